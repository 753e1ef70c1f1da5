# Logical replication of the whole database, as docs/replication.md tells it: authority and protected rows arrive, what changed on
# the publisher counts in connections that are open on the subscriber, and row security holds there as it does on the publisher.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $publisher = start_node('publisher', "session_preload_libraries = tenancy\nwal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\n");
$publisher->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'acme', 'viewer'), minting.enrol('root', 'beta', 'admin');
	CREATE TABLE note (id int PRIMARY KEY, body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT row_number() OVER (ORDER BY slug), slug, id FROM tenancy.organizations;
	GRANT ALL ON note TO regress_tenancy_app;
	SELECT tenancy.revoke_permission('member', 'read', 'member');
	CREATE PUBLICATION everything FOR TABLES IN SCHEMA tenancy, public;
});
my %token = map { $_ => mint($publisher, qq({"sub": "$_", "email": "$_\@replication.test", "email_verified": true})) } qw(alice bob carol);
my $schema = PostgreSQL::Test::Utils::tempdir() . '/schema';
$publisher->command_ok([ 'pg_dump', '-s', '-N', 'minting', '--no-publications', '-f', $schema, '-d', $publisher->connstr('postgres') ], 'the schema is dumped');

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
$subscriber->append_conf('postgresql.conf', "session_preload_libraries = tenancy\n");
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE ROLE regress_tenancy_app LOGIN; CREATE ROLE regress_tenancy_stranger LOGIN');
$subscriber->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $schema, '-d', $subscriber->connstr('postgres') ], 'and restored');
# The rows that CREATE EXTENSION brought come from the publisher, as it has them.
$subscriber->safe_psql('postgres', 'TRUNCATE tenancy.roles, tenancy.resource_types CASCADE');
my $connection = $publisher->connstr . ' dbname=postgres';
# From 16 on the tables' owners write the rows unless the subscription says that its owner does; one that is no superuser also needs a password.
my $options = $subscriber->safe_psql('postgres', 'SHOW server_version_num') >= 160000 ? 'WITH (run_as_owner, password_required = false)' : '';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION everything CONNECTION '$connection' PUBLICATION everything $options");
$subscriber->wait_for_subscription_sync($publisher, 'everything');

# Every row of the extension's and the protected tables.
sub stored
{
	my ($node) = @_;
	my @tables = split /\n/, $node->safe_psql('postgres', "SELECT oid::regclass::text FROM pg_class WHERE relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace) AND relkind = 'r' ORDER BY 1");
	return join "\n", map { "$_:\n" . $node->safe_psql('postgres', "SELECT to_jsonb(t) FROM $_ t ORDER BY to_jsonb(t)::text COLLATE \"C\"") } @tables;
}
sub arrive { $publisher->wait_for_catchup('everything') }

is(stored($subscriber), stored($publisher), 'the first copy is whole');
is($subscriber->safe_psql('postgres', q{SELECT string_agg(check_id || ' ' || object, ', ') FROM tenancy.doctor() WHERE check_id ~ 'protect|policy|catalog|signal|seed'}), '', 'doctor() finds the subscriber as it should be');

my $session = app_session($subscriber);
my $state = "SELECT status, org_slug, roles, tenancy.can_i('read', 'note'), tenancy.can_i('create', 'note'), (SELECT string_agg(body, ' ') FROM note) FROM tenancy.session()";
ask($session, "SET tenancy.session_token = '$token{bob}'");
is(ask($session, $state), 'active|acme|{viewer}|t|f|acme', 'a subscriber reads by a token, and only the own org');

# heard(CHANGE, STATE, NAME): a change on the publisher, and what the connection that was open before sees of it.
sub heard
{
	my ($sql, $expected, $name) = @_;

	$publisher->safe_psql('postgres', "SET client_min_messages = warning; $sql");
	arrive();
	is(ask($session, $state), $expected, $name);
}

heard("INSERT INTO note SELECT 9 + row_number() OVER (), 'new', id FROM tenancy.organizations", 'active|acme|{viewer}|t|f|acme new', 'protected rows arrive, of every org');
heard("SELECT minting.enrol('bob', 'acme', 'member')", 'active|acme|{member,viewer}|t|t|acme new', 'a role that is given: INSERT');
heard("SELECT tenancy.suspend_org('acme', 'x')", 'org_suspended|acme||f|f|', 'a suspension: UPDATE');
heard("SELECT tenancy.resume_org('acme')", 'active|acme|{member,viewer}|t|t|acme new', 'resumed');
heard("SELECT tenancy.revoke_permission('member', 'create', 'note')", 'active|acme|{member,viewer}|t|f|acme new', 'a grant that is taken back: DELETE');
heard("SELECT tenancy.revoke_tokens(minting.user_id('bob'))", "ERROR:  28T07", 'revoked tokens');
heard("UPDATE tenancy.users SET tokens_valid_from = NULL", 'active|acme|{member,viewer}|t|f|acme new', 'which hold again');
heard("SELECT tenancy.distrust_issuer('https://clerk.test')", "ERROR:  28T05", 'an issuer that is not trusted any more');
heard("SELECT tenancy.trust_issuer('https://clerk.test', minting.jwks('clerk'), claims => '{\"preset\": \"clerk\"}')", 'active|acme|{member,viewer}|t|f|acme new', 'and is again');
heard("DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('bob')", 'no_org|||f|f|', 'a member who is removed');
heard("SELECT minting.enrol('bob', 'acme', 'viewer')", 'active|acme|{viewer}|t|f|acme new', 'and comes back');
heard('TRUNCATE tenancy.membership_roles', 'active|acme|{}|f|f|', 'TRUNCATE');
heard("SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'acme', 'viewer')", 'active|acme|{viewer}|t|f|acme new', 'roles are given again');

# Somebody who signs up there signs in here.
is(ask($session, "SET tenancy.session_token = '$token{carol}'; SELECT status FROM tenancy.session()"), 'unprovisioned', 'somebody new');
as_app($publisher, "SET tenancy.session_token = '$token{carol}'; SELECT tenancy.provision_user()");
arrive();
is(ask($session, 'SELECT status, roles FROM tenancy.session()'), 'active|{admin}', 'is known once the publisher has provisioned them');
is(stored($subscriber), stored($publisher), 'all rows are equal, the audit log among them');

# Rows of all orgs are written for a subscription, but by nobody else.
is(ask($session, "INSERT INTO note SELECT 20, 'x', id FROM tenancy.my_orgs(), LATERAL (SELECT org_id) x (id) RETURNING body"), 'x', 'the subscriber takes rows of its own');
is(ask($session, "INSERT INTO note SELECT 21, 'x', gen_random_uuid()"), 'ERROR:  42501', 'of the own org alone');

# One who may not pass row security subscribes to nothing, and says so.
$subscriber->safe_psql('postgres', 'CREATE ROLE regress_tenancy_subscriber LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public, tenancy TO regress_tenancy_subscriber');
$subscriber->safe_psql('postgres', 'ALTER ROLE regress_tenancy_subscriber SUPERUSER; ALTER SUBSCRIPTION everything OWNER TO regress_tenancy_subscriber; ALTER ROLE regress_tenancy_subscriber NOSUPERUSER');
my $from = -s $subscriber->logfile;
$publisher->safe_psql('postgres', "INSERT INTO note SELECT 30, 'later', id FROM tenancy.organizations WHERE slug = 'acme'");
$subscriber->wait_for_log(qr/cannot replicate into relation with row-level security enabled: "note"/, $from);
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM note WHERE id = 30'), '0', 'a subscription whose owner may not pass row security stops');
$subscriber->safe_psql('postgres', 'ALTER ROLE regress_tenancy_subscriber BYPASSRLS');
arrive();
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM note WHERE id = 30'), '1', 'and goes on once it may: nothing is lost');

$session->quit;
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION everything');
$subscriber->stop;
$publisher->stop;
done_testing();
