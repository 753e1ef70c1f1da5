# What a client says when it connects, what is configured for its role, and what a pooled connection keeps: no token but
# one set within the session is ever in force, wherever the library is loaded.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $node = start_node('connections', "max_prepared_transactions = 5\n");
$node->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'beta', 'admin'), minting.enrol('bob', 'acme', 'admin');
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT o.slug, o.id FROM tenancy.organizations o;
	GRANT ALL ON note TO regress_tenancy_app;
	CREATE VIEW me WITH (security_invoker) AS SELECT s.status, s.subject, (SELECT string_agg(body, ' ' ORDER BY body) FROM note) FROM tenancy.session() s;
	GRANT SELECT ON me TO regress_tenancy_app;
});
my $alice = mint($node, '{"sub": "alice"}');
my $bob = mint($node, '{"sub": "bob"}');
my $refused = 'WARNING:  "tenancy.session_token" can be set only within a session';

# No part of a token, of at least its header's length, is in a message.
sub shows_no_token
{
	my ($text, $name) = @_;
	my @parts = map { substr $_, 0, 16 } split /\./, $alice;
	is(scalar(grep { index($text, $_) >= 0 } @parts), 0, $name);
}

# ---- a token in the startup packet ----

for my $loading ('first use', 'session_preload_libraries')
{
	$node->append_conf('postgresql.conf', "session_preload_libraries = 'tenancy'\n") if $loading ne 'first use';
	$node->reload;
	# Twice: the option would become the value that a RESET restores.
	local $ENV{PGOPTIONS} = "-c tenancy.session_token=$alice";
	my ($out, $err) = as_app($node, 'TABLE me; DISCARD ALL; TABLE me; RESET ALL; TABLE me; RESET tenancy.session_token; TABLE me; SHOW tenancy.session_token');
	is($out, "anonymous||\n" x 4, "$loading: a token given when connecting is not in force, then or after DISCARD ALL");
	like($err, qr/^(psql:<stdin>:1: )?$refused/, "$loading: and the client is told");
	shows_no_token($err, "$loading: without the token");
	($out) = as_app($node, "SET tenancy.session_token = '$bob'; SET tenancy.org = 'beta'; TABLE me; RESET tenancy.session_token; TABLE me; DISCARD ALL; TABLE me");
	is($out, "active|bob|beta\nanonymous||\nanonymous||", "$loading: nor is it restored after one that was set");
}

{
	local $ENV{PGOPTIONS} = '-c tenancy.org=beta';
	my ($out) = as_app($node, "SET tenancy.session_token = '$bob'; TABLE me; SET tenancy.session_token = '$alice'; TABLE me");
	is($out, "active|bob|beta\nnot_a_member|alice|", 'an org may be given when connecting: it counts for its members');
}
for my $setting ('token_scope=session', 'clock_skew=300', 'superadmin_emails=me@example.com', 'session_cache_size=1')
{
	local $ENV{PGOPTIONS} = "-c tenancy.$setting";
	my ($out, $err) = as_app($node, 'TABLE me');
	like($err, qr/permission denied to set parameter/, "the application cannot set $setting when connecting");
}

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tenancy'\nsession_preload_libraries = ''\n");
$node->restart;
{
	local $ENV{PGOPTIONS} = "-c tenancy.session_token=$alice";
	my ($out, $err) = as_app($node, 'TABLE me');
	is($out, '', 'shared_preload_libraries: the connection is refused');
	like($err, qr/FATAL:  "tenancy.session_token" can be set only within a session/, 'shared_preload_libraries: with the reason');
	shows_no_token($err, 'shared_preload_libraries: without the token');
}
{
	my ($out) = as_app($node, "SET tenancy.session_token = '$alice'; TABLE me");
	is($out, 'active|alice|acme', 'shared_preload_libraries: a token set in the session is good');
}

# ---- superadmins in the configuration, by a list that is none ----

my $no_list = '"tenancy.superadmin_emails" is not a list of email addresses';
$node->append_conf('postgresql.conf', "tenancy.superadmin_emails = 'root\@x.test'\n");
$node->restart;
$node->append_conf('postgresql.conf', "tenancy.superadmin_emails = 'root\@x.test,'\n");
my $from = -s $node->logfile;
$node->reload;
$node->wait_for_log(qr/LOG:  $no_list/, $from);
is($node->safe_psql('postgres', 'SHOW tenancy.superadmin_emails'), 'root@x.test', 'a reload leaves the list that was in force');
$from = -s $node->logfile;
$node->restart;
like(substr(slurp_file($node->logfile), $from), qr/WARNING:  $no_list/, 'a start is warned of');
is($node->safe_psql('postgres', 'SHOW tenancy.superadmin_emails'), '', 'and has no superadmin by it');
$node->append_conf('postgresql.conf', "tenancy.superadmin_emails = ''\n");

# ---- a token in the configuration ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
# Without the library, a superuser can store what is then but an unknown name; with it nothing of it is used.
for my $where ('ROLE regress_tenancy_app', 'DATABASE postgres', 'ROLE ALL')
{
	$node->safe_psql('postgres', "ALTER $where SET tenancy.session_token = '$alice'");
	my ($out, $err) = as_app($node, 'TABLE me; DISCARD ALL; TABLE me');
	is($out, "anonymous||\nanonymous||", "ALTER $where SET before the library was loaded");
	like($err, qr/$refused/, "ALTER $where: the client is told");
	shows_no_token($err, "ALTER $where: without the token");
	$node->safe_psql('postgres', "ALTER $where RESET tenancy.session_token");
}
$node->append_conf('postgresql.conf', "tenancy.session_token = '$alice'\n");
$node->reload;
{
	my ($out, $err) = as_app($node, 'TABLE me; DISCARD ALL; TABLE me');
	is($out, "anonymous||\nanonymous||", 'a token in postgresql.conf is not in force');
}
$node->append_conf('postgresql.conf', "tenancy.session_token = ''\n");
$node->reload;

# ---- a pooled connection, by its own measures and by ours ----

my $pooled = app_session($node);
ask($pooled, "SET tenancy.session_token = '$alice'; SET tenancy.cross_org = on");
is(ask($pooled, 'TABLE me'), 'active|alice|acme', 'one client');
ask($pooled, 'DISCARD ALL');
is(ask($pooled, 'TABLE me; SHOW tenancy.cross_org'), "anonymous||\noff", 'the next one, after DISCARD ALL');
ask($pooled, "BEGIN; SET LOCAL tenancy.session_token = '$alice'; DECLARE held CURSOR WITH HOLD FOR TABLE note; COMMIT");
is(ask($pooled, 'FETCH ALL FROM held'), 'ERROR:  34000', 'a cursor WITH HOLD does not hand rows to the next client');
ask($pooled, "BEGIN; SET tenancy.session_token = '$alice'; PREPARE TRANSACTION 'one'");
is(ask($pooled, 'TABLE me'), 'active|alice|acme', 'PREPARE TRANSACTION ends a transaction as COMMIT does');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'one'");
$pooled->quit;

$node->append_conf('postgresql.conf', "tenancy.token_scope = 'transaction'\n");
$node->reload;
$pooled = app_session($node);
is(ask($pooled, "BEGIN; SET tenancy.session_token = '$alice'; TABLE me; PREPARE TRANSACTION 'two'"), 'active|alice|acme', 'token_scope = transaction');
is(ask($pooled, 'TABLE me'), 'anonymous||', 'PREPARE TRANSACTION ends the identity');
$node->safe_psql('postgres', "COMMIT PREPARED 'two'");
is(ask($pooled, 'TABLE me'), 'anonymous||', 'COMMIT PREPARED brings none back');
$pooled->quit;

# ---- token_scope changed while connections are open ----

$node->append_conf('postgresql.conf', "tenancy.token_scope = 'session'\n");
$node->reload;
$pooled = app_session($node);
ask($pooled, "SET tenancy.session_token = '$alice'");
is(ask($pooled, 'TABLE me'), 'active|alice|acme', 'token_scope = session');
$node->append_conf('postgresql.conf', "tenancy.token_scope = 'transaction'\n");
$node->reload;
my $end = time + 60;
1 while ask($pooled, 'SHOW tenancy.token_scope') ne 'transaction' && time < $end;
ask($pooled, 'SELECT 1');
is(ask($pooled, 'TABLE me'), 'anonymous||', 'a token that was set before the change ends with the next transaction');
$pooled->quit;

# ---- the extension made anew while connections are open ----

$node->append_conf('postgresql.conf', "tenancy.token_scope = 'session'\n");
$node->reload;
my $status = 'SELECT status, org_slug, roles FROM tenancy.session()';
$pooled = app_session($node);
ask($pooled, "SET tenancy.session_token = '$alice'");
is(ask($pooled, $status), 'active|acme|{admin}', 'one extension');
$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	DROP EXTENSION tenancy CASCADE;
	CREATE EXTENSION tenancy;
	SELECT tenancy.grant_access('regress_tenancy_app');
});
is(ask($pooled, "$status; SELECT tenancy.current_user_id()"), "invalid||\nERROR:  28T05", 'another one trusts nobody yet');
$node->safe_psql('postgres', q{
	SELECT tenancy.trust_issuer('https://clerk.test', minting.jwks('clerk'), claims => '{"preset": "clerk"}'), minting.enrol('alice', 'gamma', 'viewer');
});
is(ask($pooled, $status), 'active|gamma|{viewer}', 'and an open connection hears of what changes in it');
$pooled->quit;

done_testing();
