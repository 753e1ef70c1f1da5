# A hot standby: it reads as the primary does, what changed on the primary counts once it is replayed, and what would write says so.
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

$primary->safe_psql('postgres', "SELECT minting.enrol('bob', 'acme', 'member')");
replay();
is(ask($session, $state), 'active|acme|t|t|acme', 'a role given on the primary counts in an open connection');
$primary->safe_psql('postgres', "SELECT tenancy.suspend_org('acme', 'x')");
replay();
is(ask($session, $state), 'org_suspended|acme|f|f|', 'a suspension');
$primary->safe_psql('postgres', "SELECT tenancy.resume_org('acme'); SELECT tenancy.revoke_tokens(minting.user_id('bob'))");
replay();
is(ask($session, 'SELECT status FROM tenancy.session(); SELECT tenancy.can_i(\'read\', \'note\')'), "revoked\nERROR:  28T07", 'revoked tokens');

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
$session->quit;

$standby->stop;
$primary->stop;
done_testing();
