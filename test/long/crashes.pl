# As test/t/faults.pl, with a backend and then the postmaster killed by signal 9 at every point; and under load, where people sign up,
# make orgs and are invited by many connections at once.
use strict;
use warnings;
use lib 'test/t';

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use FaultTest;

my $rounds = 10;
my $clients = 6;

my $node = start_faulty('crashes');
for my $operation (operations())
{
	my $before = $node->safe_psql('postgres', 'SELECT faults.state()');

	for my $point (points($node, $operation))
	{
		interrupt($node, $operation, $point, \&kill_backend);
		is_absent($node, $before, "$operation->{name}, its backend killed at $point");
		interrupt($node, $operation, $point, \&kill_postmaster);
		is_absent($node, $before, "$operation->{name}, the postmaster killed at $point");
	}
	is_whole($node, $operation);
}

# ---- under load ----

$node->safe_psql('postgres', q{
	DROP TRIGGER pause_commit ON tenancy.audit_events;
	SELECT format('DROP TRIGGER pause ON %s', name) FROM faults.tables \gexec
});
# Each client signs a subject up, makes an org and invites the next subject to it.
my $script = $node->basedir . '/load.sql';
append_to_file($script, q{
\set n random(1, 1000000000)
BEGIN;
SELECT set_config('tenancy.session_token', faults.token(:n), true);
SELECT user_id FROM tenancy.provision_user();
SELECT set_config('tenancy.org', tenancy.create_org('Org of ' || :n, 'org-' || :n)::text, true);
SELECT tenancy.invite('load' || :n + 1 || '@faults.test', 'admin');
COMMIT;
BEGIN;
SELECT set_config('tenancy.session_token', faults.token(:n + 1), true);
SELECT user_id FROM tenancy.provision_user();
COMMIT;
});
$node->safe_psql('postgres', q{
	CREATE FUNCTION faults.token(n int) RETURNS text LANGUAGE sql AS $$
		SELECT minting.token('clerk', jsonb_build_object('sub', 'load-' || n, 'name', 'Load ' || n, 'email', 'load' || n || '@faults.test', 'email_verified', true)) $$;
	GRANT USAGE ON SCHEMA faults TO regress_tenancy_app;
});
for my $round (1 .. $rounds)
{
	my $users = $node->safe_psql('postgres', 'SELECT count(*) FROM tenancy.users');
	my ($out, $err) = ('', '');
	my $load = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-T', 300, '-U', 'regress_tenancy_app', '-h', $node->host, '-p', $node->port, '-f', $script, 'postgres' ],
		'>', \$out, '2>', \$err);

	$node->poll_query_until('postgres', "SELECT count(*) > $users + 20 + random() * 20 FROM tenancy.users") or die "no load: $err\n";
	if ($round % 2)
	{
		kill_postmaster($node);
	}
	else
	{
		kill_backend($node, $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE usename = 'regress_tenancy_app' ORDER BY random() LIMIT 1"));
	}
	IPC::Run::finish($load);
	is($node->safe_psql('postgres', 'SELECT * FROM invariants.broken'), '', "round $round: everything is whole or absent");
	cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM faults.state()'), '>', 0, "round $round: indexes agree with their tables");
}

$node->stop;
done_testing();
