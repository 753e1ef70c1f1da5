# Many connections provision one new user at once, as a browser does that opens a page of many requests after sign-up:
# all get the same user and org, one made them, and there is one of each. Half of the users are invited to an org.
use strict;
use warnings;
use lib 'test/t';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;
use Time::HiRes qw(sleep);

my $clients = 16;
my $subjects = 20;
my $patience = 180;

my $node = start_node('provision_concurrently');
$node->safe_psql('postgres', qq{
	INSERT INTO tenancy.organizations (slug, name) VALUES ('inviting', 'Inviting');
	CREATE TABLE subjects AS SELECT n, 'racer-' || n AS subject, n % 2 = 0 AS invited,
		minting.token('clerk', jsonb_build_object('sub', 'racer-' || n, 'name', 'Racer ' || n, 'email', 'racer' || n || '\@race.test', 'email_verified', true)) AS token
	FROM generate_series(1, $subjects) n;
	INSERT INTO tenancy.invitations (org_id, email, role_id, token_hash, expires_at)
	SELECT o.id, 'Racer' || n || '\@race.test', r.id, sha256(subject::bytea), now() + interval '1 day'
	FROM subjects, tenancy.organizations o, tenancy.roles r WHERE invited AND r.org_id IS NULL AND r.name = 'viewer';
	CREATE TABLE answers (n int, client int, user_id uuid, org_id uuid, roles text[], created boolean);
	GRANT SELECT ON subjects TO regress_tenancy_app;
	GRANT INSERT ON answers TO regress_tenancy_app;
});

# Each client waits at a lock before each subject, so that all of them go at the same time.
my $script = $node->basedir . '/race.sql';
append_to_file($script, q{
\set n :n + 1
SELECT pg_advisory_lock_shared(:n);
BEGIN;
SELECT set_config('tenancy.session_token', token, true) FROM subjects WHERE n = :n;
INSERT INTO answers SELECT :n, :client_id, user_id, org_id, roles, created FROM tenancy.provision_user();
COMMIT;
});
my $starter = $node->background_psql('postgres');
$starter->query_safe("SELECT pg_advisory_lock(n) FROM generate_series(1, $subjects) n");

my ($out, $err) = ('', '');
my $race = IPC::Run::start(
	[ 'pgbench', '-n', '-c', $clients, '-j', 4, '-t', $subjects, '-D', 'n=0', '-U', 'regress_tenancy_app', '-h', $node->host, '-p', $node->port, '-f', $script, 'postgres' ],
	'>', \$out, '2>', \$err);

my $gathered = 0;
for my $n (1 .. $subjects)
{
	my $end = time + $patience;

	sleep 0.01
	  until $starter->query_safe("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $n AND NOT granted") == $clients
	  or time > $end;
	$gathered++ if time <= $end;
	$starter->query_safe("SELECT pg_advisory_unlock($n)");
}
is($gathered, $subjects, "all $clients connections were at the start each time");
ok(IPC::Run::finish($race), 'no connection got an error') or diag $err;
$starter->quit;

sub all_are
{
	my ($sql, $expected, $name) = @_;
	is($node->safe_psql('postgres', $sql), join("\n", @$expected), $name);
}

all_are("SELECT n, count(*), count(DISTINCT client), count(DISTINCT user_id), count(DISTINCT org_id), count(DISTINCT roles), count(*) FILTER (WHERE created) FROM answers GROUP BY n ORDER BY n",
	[ map { "$_|$clients|$clients|1|1|1|1" } 1 .. $subjects ], 'all get the same answer, and one has made the user');
all_are(q{SELECT s.n, count(*), count(DISTINCT u.id), bool_and(u.id = (SELECT a.user_id FROM answers a WHERE a.n = s.n LIMIT 1)) FROM subjects s
	JOIN tenancy.identities i ON i.subject = s.subject JOIN tenancy.users u ON u.id = i.user_id GROUP BY s.n ORDER BY s.n},
	[ map { "$_|1|1|t" } 1 .. $subjects ], 'one identity each');
is($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.users WHERE name LIKE 'Racer %'"), $subjects, 'one user each');
all_are(q{SELECT s.n, string_agg(concat_ws(' ', regexp_replace(o.slug, '\d+$', ''), o.kind, r.name), '; ') FROM subjects s
	JOIN tenancy.identities i ON i.subject = s.subject JOIN tenancy.memberships m USING (user_id) JOIN tenancy.organizations o ON o.id = m.org_id
	JOIN tenancy.membership_roles x USING (user_id, org_id) JOIN tenancy.roles r ON r.id = x.role_id GROUP BY s.n ORDER BY s.n},
	[ map { "$_|" . ($_ % 2 ? 'racer- personal admin' : 'inviting team viewer') } 1 .. $subjects ], 'one membership with one role each, in the inviting org or a personal one');
is($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.organizations WHERE kind = 'personal'"), $subjects / 2, 'no personal org too many');
is($node->safe_psql('postgres', 'SELECT count(*), count(accepted_by) FROM tenancy.invitations'), join('|', ($subjects / 2) x 2), 'every invitation is accepted');

$node->stop;
done_testing();
