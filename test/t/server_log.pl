# What a superadmin does by settings alone leaves one line a transaction in the server log: ids, and nothing else.
use strict;
use warnings;
use lib 'test/t';

use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $node = start_node('server_log', "log_min_messages = warning\nlog_statement = none\n");
$node->safe_psql('postgres', q{
	SELECT minting.enrol('root', 'home', 'admin'), minting.enrol('alice', 'acme', 'admin'), minting.enrol('alice', 'beta', 'admin');
	INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
	CREATE TABLE note (body text);
	SELECT tenancy.protect('note');
	INSERT INTO note SELECT o.slug, o.id FROM tenancy.organizations o, generate_series(1, 1000);
	ALTER TABLE note SET (parallel_workers = 2);
	GRANT ALL ON note TO regress_tenancy_app;
});
my %token = map { $_ => mint($node, qq({"sub": "$_"})) } qw(root alice);
my $root = $node->safe_psql('postgres', "SELECT minting.user_id('root')");
my %org = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT slug, id FROM tenancy.organizations');

# logged(SQL, SUBJECT): our lines in the log, each with its detail, that the application's statements lead to.
sub logged
{
	my ($sql, $subject) = @_;
	my $from = -s $node->logfile;

	my (undef, $err) = as_app($node, "SET tenancy.session_token = '$token{$subject // 'root'}';\n$sql");
	is($err, '', "no error: $sql") if $sql !~ /error/;
	my $log = substr slurp_file($node->logfile), $from;
	unlike($log, qr/STATEMENT|CONTEXT/, 'no statement is shown') if $sql !~ /error/;
	return [ $log =~ /LOG:  tenancy: (.*)\n.*DETAIL:  (.*)\n/g ];
}
sub enters { return ('superadmin enters an org', "User $root, org $org{$_[0]}, database role regress_tenancy_app.") }
my @across = ('superadmin reads across orgs', "User $root, database role regress_tenancy_app.");

is_deeply(logged("SELECT count(*) FROM note"), [], 'nothing in an org of their own');
is_deeply(logged("SET tenancy.org = 'acme'; SELECT 1"), [], 'nor for a setting that nothing depends on');
is_deeply(logged("SET tenancy.org = 'acme';\nSELECT count(*) FROM note"), [ enters('acme') ], 'entering by the setting');
is_deeply(logged("BEGIN; SET LOCAL tenancy.org = 'acme'; SELECT count(*) FROM note; SELECT status FROM tenancy.session(); DELETE FROM note WHERE false; COMMIT"),
	[ enters('acme') ], 'once a transaction');
is_deeply(logged("SET tenancy.org = 'acme';\nBEGIN; SELECT count(*) FROM note; SAVEPOINT s; SELECT count(*) FROM note; ROLLBACK TO s; SELECT count(*) FROM note; ROLLBACK;\nSELECT count(*) FROM note"),
	[ enters('acme'), enters('acme') ], 'and again in the next');
is_deeply(logged("BEGIN; SET LOCAL tenancy.org = 'acme'; SELECT count(*) FROM note; SET LOCAL tenancy.org = 'beta'; SELECT count(*) FROM note; COMMIT"),
	[ enters('acme'), enters('beta') ], 'once for each org');
is_deeply(logged("SELECT status FROM tenancy.begin_session('$token{root}', 'acme')"), [ enters('acme') ], 'by begin_session');
is_deeply(logged("BEGIN READ ONLY; SELECT tenancy.switch_org('acme'); SELECT count(*) FROM note; COMMIT"), [ enters('acme') ], 'by switch_org where nothing can be written');
is_deeply(logged("SET tenancy.org = 'nowhere';\nSELECT count(*) FROM note"), [], 'not for an org that does not exist');
is_deeply(logged("SET tenancy.org = 'acme';\nSELECT count(*) FROM note", 'alice'), [], 'not for a member');
is_deeply(logged("SET tenancy.org = 'home';\nSELECT count(*) FROM note", 'alice'), [], 'not for who is no superadmin');

is_deeply(logged("SET tenancy.cross_org = on;\nSELECT count(*) FROM note"), \@across, 'reading across orgs');
is_deeply(logged("SET tenancy.cross_org = on;\nBEGIN; SELECT count(*) FROM note; SELECT count(*) FROM note; COMMIT; SELECT 1"), \@across, 'once a transaction');
is_deeply(logged("SET tenancy.cross_org = on;\nSELECT count(*) FROM pg_class"), [], 'not without reading');
is_deeply(logged("SET tenancy.cross_org = on; SET tenancy.org = 'acme';\nSELECT count(*) FROM note", 'alice'), [], 'not for others');

# Whoever runs the scan: a generic plan is not estimated again, and its workers ask who is there.
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexscan = off;'
  . ' SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan; SET parallel_leader_participation = off;';
my $prepared = "$parallel\nPREPARE q AS SELECT count(*) FROM note;\n";
is_deeply(logged("$prepared SET tenancy.cross_org = on;\nEXECUTE q;\nBEGIN; EXECUTE q; EXECUTE q; COMMIT"), [ @across, @across ], 'across orgs, in workers');
is_deeply(logged("$prepared SET tenancy.org = 'acme';\nEXECUTE q;\nBEGIN; EXECUTE q; EXECUTE q; COMMIT"), [ enters('acme'), enters('acme') ], 'entering, in workers');

$node->stop;
done_testing();
