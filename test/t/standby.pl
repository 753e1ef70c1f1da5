# A hot standby: it reads as the primary does, what changed on the primary counts once it is replayed, and what would write says so.
# Promoted, it is a primary as any.
use strict;
use warnings;
use lib 'test/t';

use Test::More;
use TenancyTest;

my $primary = start_node('primary', "session_preload_libraries = tenancy\nwal_level = replica\nmax_wal_senders = 4\n");
$primary->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'acme', 'viewer'), minting.enrol('bob', 'beta', 'viewer');
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT slug, id FROM tenancy.organizations;
	GRANT ALL ON note TO regress_tenancy_app;
	INSERT INTO tenancy.superadmins VALUES (minting.user_id('alice'));
});
my %token = map { $_ => mint($primary, qq({"sub": "$_", "email": "$_\@standby.test", "email_verified": true})) } qw(alice bob carol);

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub replay { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')) }

my $session = app_session($standby);
ask($session, "SET tenancy.session_token = '$token{bob}'; SET tenancy.org = 'acme'");

my $state = "SELECT status, org_slug, tenancy.can_i('read', 'note'), tenancy.can_i('create', 'note'), (SELECT string_agg(body, ' ') FROM note) FROM tenancy.session()";
is(ask($session, $state), 'active|acme|t|f|acme', 'a standby reads');
is(ask($session, 'SELECT slug FROM tenancy.my_orgs() ORDER BY 1'), "acme\nbeta", 'and lists orgs');
is(ask($session, "SELECT count(*) FROM tenancy.members"), '1', 'and oneself');
is(ask($session, "BEGIN; SELECT status, org_slug FROM tenancy.begin_session('$token{bob}', 'beta'); COMMIT"), 'active|beta', 'begin_session');
is(ask($session, "SELECT slug FROM tenancy.my_orgs() WHERE tenancy.switch_org('beta') IS NOT NULL AND slug = 'beta'; SET tenancy.org = 'acme'"), 'beta', 'switch_org');

# The doctor only reads.
my $findings = "SELECT string_agg(check_id || ' ' || object, ', ' ORDER BY check_id, object) FROM tenancy.doctor() WHERE check_id <> 'superadmin_listed'";
$primary->safe_psql('postgres', 'ALTER TABLE note DISABLE ROW LEVEL SECURITY');
replay();
my $found = $primary->safe_psql('postgres', $findings);
like($found, qr/row_security_disabled public\.note/, 'doctor() finds a fault');
is($standby->safe_psql('postgres', $findings), $found, 'the same on a standby');
is($primary->safe_psql('postgres', "BEGIN READ ONLY; $findings; ROLLBACK"), $found, 'and in a READ ONLY transaction');
is(ask($session, "SET tenancy.session_token = '$token{alice}'; $findings; SET tenancy.session_token = '$token{bob}'"), $found, 'and by a superadmin through the application');
$primary->safe_psql('postgres', 'ALTER TABLE note ENABLE ROW LEVEL SECURITY');

$primary->safe_psql('postgres', "SELECT minting.enrol('bob', 'acme', 'member')");
replay();
is(ask($session, $state), 'active|acme|t|t|acme', 'a role given on the primary counts in an open connection');
$primary->safe_psql('postgres', "SELECT tenancy.suspend_org('acme', 'x')");
replay();
is(ask($session, $state), 'org_suspended|acme|f|f|', 'a suspension');
$primary->safe_psql('postgres', "SELECT tenancy.resume_org('acme'); SELECT tenancy.revoke_tokens(minting.user_id('bob'))");
replay();
is(ask($session, 'SELECT status FROM tenancy.session(); SELECT tenancy.can_i(\'read\', \'note\')'), "revoked\nERROR:  28T07", 'revoked tokens');

# Each kind of what is cached, by a statement that was prepared, and in a transaction that is open.
ask($session, "PREPARE state AS $state; PREPARE readings AS SELECT count(*), tenancy.can_i('read', 'note') FROM note");
sub changed
{
	my ($sql, $expected, $name) = @_;

	$primary->safe_psql('postgres', "SET client_min_messages = warning; $sql");
	replay();
	is(ask($session, 'EXECUTE state'), $expected, $name);
}
changed('UPDATE tenancy.users SET tokens_valid_from = NULL', 'active|acme|t|t|acme', 'which hold again');
changed("SELECT tenancy.revoke_permission('member', 'create', 'note')", 'active|acme|t|f|acme', 'a grant that is taken back');
changed("SELECT tenancy.distrust_issuer('https://clerk.test')", 'ERROR:  28T05', 'an issuer that is not trusted any more');
changed("SELECT tenancy.trust_issuer('https://clerk.test', minting.jwks('clerk'), claims => '{\"preset\": \"clerk\"}')", 'active|acme|t|f|acme', 'and is again');
changed("SELECT tenancy.require_fresh_authentication('read', 'note', '5 minutes')", 'active|acme|f|f|', 'an action that needs a fresh sign-in');
changed("SELECT tenancy.require_fresh_authentication('read', 'note', NULL)", 'active|acme|t|f|acme', 'and does not any more');
is(ask($session, 'BEGIN; EXECUTE readings'), '1|t', 'a transaction that is open');
changed("DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('bob') AND org_id = (SELECT id FROM tenancy.organizations WHERE slug = 'acme')", 'not_a_member||f|f|', 'hears in its middle of a member who is removed');
ask($session, 'COMMIT');
changed("UPDATE tenancy.users SET status = 'disabled' WHERE name = 'bob'", 'disabled||f|f|', 'a user who is disabled');
changed("UPDATE tenancy.users SET status = 'active'; SELECT minting.enrol('bob', 'acme', 'viewer')", 'active|acme|t|f|acme', 'and is not any more');
# A superadmin's identity of the primary's making.
$primary->safe_psql('postgres', "INSERT INTO tenancy.impersonations (superadmin_id, user_id, reason, read_only, expires_at) VALUES (minting.user_id('alice'), minting.user_id('bob'), 'x', false, now() + interval '1 hour')");
replay();
my $as = $primary->safe_psql('postgres', 'SELECT id FROM tenancy.impersonations');
is(ask($session, "SET tenancy.session_token = '$token{alice}'; SET tenancy.impersonation = '$as'; SELECT status, roles, user_id <> tenancy.current_user_id() FROM tenancy.session()"),
	'active|{viewer}|f', 'who acts as another on the primary does so here');
changed('UPDATE tenancy.impersonations SET ended_at = now()', 'disabled||f|f|', 'until it is over there');
ask($session, "RESET tenancy.impersonation; SET tenancy.session_token = '$token{bob}'");

# What writes does not work there, nor in a READ ONLY transaction: here by a user, and one who is not provisioned yet.
my $bob = $primary->safe_psql('postgres', "SELECT minting.user_id('bob')");
my $on_primary = app_session($primary);
for my $of (
	[ carol => 'provision_user()' ], [ carol => "accept_invitation('inv_x')" ], [ alice => "create_org('Gamma')" ],
	[ alice => "invite('x\@standby.test')" ], [ alice => "set_default_org('acme')" ], [ alice => 'leave_org()' ],
	[ alice => "suspend_org('beta', 'x')" ], [ alice => "act_as('$bob', 'x')" ])
{
	my ($who, $call) = @$of;
	my $set = "RESET tenancy.org; SET tenancy.session_token = '$token{$who}'";

	is(ask($session, "$set; SELECT tenancy.$call"), 'ERROR:  25006', "$call on a standby");
	is(ask($on_primary, "$set; BEGIN READ ONLY; SELECT tenancy.$call; ROLLBACK"), 'ERROR:  25006', "$call in a READ ONLY transaction");
}
is(ask($session, "SET tenancy.org = 'acme'; INSERT INTO note VALUES ('x')"), 'ERROR:  25006', 'nor do rows');
$on_primary->quit;

# The primary is lost.
$primary->stop('immediate');
$standby->promote;
is(ask($session, "RESET tenancy.org; SET tenancy.session_token = '$token{carol}'; SELECT status FROM tenancy.session(); SELECT created FROM tenancy.provision_user(); SELECT status, roles FROM tenancy.session()"),
	"unprovisioned\nt\nactive|{admin}", 'promoted, it provisions');
$session->quit;

$standby->stop;
done_testing();
