# A database is dumped and restored into another, and the tenants are as they were: the same tokens give the same rows,
# permissions and protection are equal, and what was revoked stays revoked. In pg_dump's formats, in parts, by parallel jobs, with the
# whole cluster, and again from the restored database, since a defect may show only in the second generation.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use RestoreTest;
use TenancyTest;

my $node = start_node('dump_restore');
fill($node);

# The whole cluster.
my $other = PostgreSQL::Test::Cluster->new('pg_dumpall');
my $cluster = PostgreSQL::Test::Utils::tempdir() . '/cluster';
$node->command_ok([ 'pg_dumpall', '-f', $cluster, '-d', $node->connstr('postgres') ], 'dump the cluster');
$other->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
$other->start;
# The superuser is there already, so it does not stop at an error.
$other->command_checks_all([ 'psql', '-X', '-q', '-o', '/dev/null', '-f', $cluster, '-d', $other->connstr('postgres') ],
	0, [], [ qr/\A(?!.*ERROR:.*ERROR:).*role "\w+" already exists/s ], 'restore the cluster');
is_restored($other, 'postgres', 'pg_dumpall');
$other->stop;

sub restore
{
	my ($from, $to, $format, @options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$to";
	my @jobs = $format eq 'directory' ? ('-j', 4) : ();

	$node->command_ok([ 'pg_dump', '-F', $format, @jobs, '-f', $file, '-d', $node->connstr($from) ], "dump $from, format $format");
	$node->safe_psql('postgres', "CREATE DATABASE $to TEMPLATE template0");
	$node->command_ok($_, "restore into $to")
	  for $format eq 'plain'
	  ? [ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr($to) ]
	  : map { [ 'pg_restore', '-e', @$_, '-d', $node->connstr($to), $file ] } @options;
	if (grep { $_ eq '--disable-triggers' } map { @$_ } @options)
	{
		my $triggers = "FROM tenancy.doctor() WHERE check_id = 'catalog_trigger_disabled'";

		cmp_ok($node->safe_psql($to, "SELECT count(*) $triggers"), '>', 20, 'doctor() finds what --disable-triggers has left');
		$node->safe_psql($to, "SELECT remedy $triggers \\gexec");
	}
	is_restored($node, $to, $to);
}

restore('postgres', 'from_plain', 'plain');
restore('postgres', 'from_custom', 'custom', []);
# The extension's tables have foreign keys from the start, and parallel workers of pg_restore load tables in any order: their data is
# restored by one, or without triggers. Those come back as ordinary ones, which doctor() mends.
my @ends = ([ '--section=pre-data' ], [ '--section=post-data', '-j', 2 ]);
my $any_order = [ '--data-only', '--disable-triggers', '-j', 4 ];
restore('postgres', 'from_directory', 'directory', $ends[0], [ '--section=data' ], $ends[1]);
restore('postgres', 'from_parallel', 'directory', $ends[0], $any_order, $ends[1]);
restore('postgres', 'from_parts', 'custom', [ '--schema-only' ], $any_order);
restore('from_custom', 'second_generation', 'plain');

# The schema and the rows by dumps of their own.
$node->safe_psql('postgres', 'CREATE DATABASE from_two_dumps TEMPLATE template0');
for my $part ('--schema-only', '--data-only')
{
	my $file = PostgreSQL::Test::Utils::tempdir() . "/two_dumps$part";

	$node->command_ok([ 'pg_dump', $part, '-f', $file, '-d', $node->connstr('postgres') ], "dump $part");
	$node->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr('from_two_dumps') ], "restore $part");
}
is_restored($node, 'from_two_dumps', 'from_two_dumps');

# Guarded schemas are restored where their guards are, into a database that is in use. The dump has the policies, so the guards look away.
for my $format ('plain', 'custom')
{
	my $file = PostgreSQL::Test::Utils::tempdir() . "/guarded_$format";

	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $file, '-n', 'guarded', '-n', 'strict', '-d', $node->connstr('from_custom') ], "dump guarded schemas, format $format");
	$node->safe_psql('from_custom', 'DROP SCHEMA guarded, strict CASCADE');
	is($node->safe_psql('from_custom', 'SELECT count(*) FROM tenancy.guarded_schemas'), '2', 'the guards are still there');
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr('from_custom') ]
		: [ 'pg_restore', '-e', '-d', $node->connstr('from_custom'), $file ],
		"restore guarded schemas, format $format");
	is_stored($node, 'from_custom', "format $format: guarded schemas are as they were");
	is($node->safe_psql('from_custom', q{SELECT string_agg(table_name || ' ' || complete, ', ' ORDER BY table_name) FROM tenancy.protected_tables WHERE schema_name IN ('guarded', 'strict')}),
		'bill true, bill_2025 true, file true, letter true', 'and protected');
}
$node->safe_psql('from_custom', 'CREATE TABLE guarded.later ()');
is($node->safe_psql('from_custom', q{SELECT complete FROM tenancy.protected_tables WHERE table_name = 'later'}), 't', 'a restored guard guards');
like(($node->psql('from_custom', 'CREATE TABLE strict.later ()'))[2], qr/table strict.later is not protected/, 'and refuses');

# doctor() tells what a restore does not bring back.
is($node->safe_psql('second_generation', q{SELECT string_agg(check_id || ' ' || object, ', ' ORDER BY check_id, object) FROM tenancy.doctor() WHERE check_id ~ 'pushdown|protect|guard|policy|catalog|signal|seed'}),
	'pushdown_undone array, pushdown_undone jsonb', 'doctor() finds that the marks are gone, and nothing else amiss');

# Adding the type again gives nothing back, and granting does.
$node->safe_psql('second_generation', "SELECT tenancy.add_resource_type('report', '{read,create,export}')");
is_stored($node, 'second_generation', 'a type that is added again is as it was');
$node->safe_psql('second_generation', "SELECT tenancy.grant_permission('member', 'read', 'member'), tenancy.grant_permission('member', 'create', 'report')");
is($node->safe_psql('second_generation', "SELECT resource_type, action FROM tenancy.permission_matrix WHERE role = 'member' AND granted AND (resource_type, action) IN (('member', 'read'), ('report', 'create')) ORDER BY 1"),
	"member|read\nreport|create", 'what was revoked can be granted again');
is($node->safe_psql('second_generation', 'SELECT count(*) FROM tenancy.revoked_permissions'), '0', 'and is not a shipped grant that is revoked any more');

# The log goes on where it was, and is as closed as before; an event that was applied is known.
my $logged = $node->safe_psql('second_generation', 'SELECT count(*) FROM tenancy.audit_events');
is($node->safe_psql('second_generation', "SELECT tenancy.sync_org('https://clerk.test', 'org_synced', 'Old Name', NULL, now() - interval '1 day') IS NOT NULL; SELECT name FROM tenancy.organizations o JOIN tenancy.org_external_ids x ON x.org_id = o.id WHERE x.external_id = 'org_synced'"),
	"t\nSynced", 'an older event is passed over');
like(($node->psql('second_generation', 'DELETE FROM tenancy.audit_events'))[2], qr/append-only/, 'the audit log is append-only');
$node->safe_psql('second_generation', "SELECT tenancy.rename_org('shut', 'Shut')");
is($node->safe_psql('second_generation', 'SELECT count(*) FROM tenancy.audit_events'), $logged + 1, 'a change adds its row');

# Marks on functions are not in a dump, and whoever allowed them can see that.
is($node->safe_psql('second_generation', q{
	SELECT DISTINCT serves, leakproof FROM tenancy.pushdown_status() WHERE allowed ORDER BY 1;
	SELECT tenancy.allow_pushdown('{array}'), count(*) FROM tenancy.pushdown_status() WHERE allowed AND leakproof}),
	"array|f\njsonb|f\n4|0", 'what was allowed is known, and allowed again');

# A change is heard: the triggers are there.
is(app($node, 'second_generation', "\\set VERBOSITY sqlstate
	SET tenancy.session_token = '@{[ token('newcomer') ]}';
	SELECT status FROM tenancy.session(); SELECT org_slug, created FROM tenancy.provision_user(); SELECT status FROM tenancy.session()"),
	"unprovisioned\nacme|t\nactive", 'somebody new signs in');

$node->stop;
done_testing();
