# pg_upgrade leaves the tenants as they were: from this major to itself, which makes the catalog anew as it does for the next one, and
# from each older major that dev/test has built the extension for.
use strict;
use warnings;
use lib 'test/t';

use Cwd;
use PostgreSQL::Test::Utils;
use Test::More;
use RestoreTest;
use TenancyTest;

my ($new_programs) = map { s,/postgres$,,r } grep { -x } map { "$_/postgres" } split /:/, $ENV{PATH};

# Both clusters have checksums of their pages, or neither: PostgreSQL's default differs.
my $checksums = '--data-checksums';

sub major { return (split /[. ]/, `$_[0]/postgres --version` =~ s/^postgres \(PostgreSQL\) //r)[0] }

for my $old_programs (split(/:/, $ENV{OLDER_MAJORS} // ''), $new_programs)
{
	my $how = 'from ' . major($old_programs) . ' to ' . major($new_programs);
	my ($old, $library);
	{
		# The server, and the programs that make and fill it.
		local $ENV{PATH} = "$old_programs:$ENV{PATH}";
		$old = start_node($how =~ s/ /_/gr, '', $checksums);
		like($old->safe_psql('postgres', 'SHOW server_version'), qr/^\Q${\major($old_programs)}\E\b/, "$how: the old server");
		fill($old);
		$library = $old->safe_psql('postgres', "SELECT setting || '/tenancy.so' FROM pg_config WHERE name = 'PKGLIBDIR'");
		$old->stop;
	}
	my $new = PostgreSQL::Test::Cluster->new("$how, upgraded" =~ s/\W+/_/gr);
	$new->init(extra => [ '--no-locale', '-E', 'UTF8', $checksums ]);

	my @pg_upgrade = ('pg_upgrade', '-b', $old_programs, '-B', $new_programs, '-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host, '-p', $old->port, '-P', $new->port);
	my $here = Cwd::getcwd();
	my $log = PostgreSQL::Test::Utils::tempdir();
	chdir $log or die "$log: $!\n";
	if ($old_programs eq $new_programs)
	{
		rename $library, "$library.away" or die "$library: $!\n";
		command_checks_all([ @pg_upgrade, '--check' ], 1, [ qr/references loadable libraries/ ], [], "$how: it stops before it changes anything if the library is not there");
		like(slurp_file((glob $new->data_dir . '/pg_upgrade_output.d/*/loadable_libraries.txt')[0]), qr{"\$libdir/tenancy"}, "$how: and says which");
		rename "$library.away", $library or die "$library: $!\n";
	}
	my $upgraded = ok(run_log(\@pg_upgrade), "$how: pg_upgrade");
	chdir $here or die "$here: $!\n";
	# Why not is said by its logs alone.
	unless ($upgraded)
	{
		diag map { grep { /ERROR: |FATAL: / } split /^/, slurp_file($_) } glob $new->data_dir . '/pg_upgrade_output.d/*/log/*.log';
		next;
	}

	$new->start;
	like($new->safe_psql('postgres', 'SHOW server_version'), qr/^\Q${\major($new_programs)}\E\b/, "$how: the new server");
	is_restored($new, 'postgres', $how);

	# The marks of allow_pushdown() on PostgreSQL's own functions are the one thing that is lost; those on tenancy's stand-ins are not.
	is($new->safe_psql('postgres', q{SELECT string_agg(check_id || ' ' || object, ', ' ORDER BY check_id, object) FROM tenancy.doctor() WHERE check_id ~ 'pushdown|protect|guard|policy|catalog|signal|seed|privilege'}),
		'pushdown_undone jsonb', "$how: doctor() finds that marks are gone, and nothing else amiss");
	$new->safe_psql('postgres', q{SELECT remedy FROM tenancy.doctor() WHERE check_id = 'pushdown_undone' \gexec});
	is($new->safe_psql('postgres', q{SELECT count(*) FROM tenancy.doctor() WHERE check_id = 'pushdown_undone'}), '0', "$how: its remedy brings them back");

	# It goes on: tables are guarded, a change is heard, and the wall stands, whatever is tried.
	$new->safe_psql('postgres', 'CREATE TABLE guarded.later ()');
	is($new->safe_psql('postgres', q{SELECT complete FROM tenancy.protected_tables WHERE table_name = 'later'}), 't', "$how: a guard guards");
	is(app($new, 'postgres', "\\set VERBOSITY sqlstate
		SET tenancy.session_token = '@{[ token('newcomer') ]}';
		SELECT status FROM tenancy.session(); SELECT org_slug, created FROM tenancy.provision_user(); SELECT status FROM tenancy.session()"),
		"unprovisioned\nacme|t\nactive", "$how: somebody new signs in");
	is($new->safe_psql('postgres', 'SELECT count(*) FILTER (WHERE NOT passed), count(*) > 20 FROM tenancy.verify_isolation()'), '0|t', "$how: verify_isolation()");
	$new->stop;
}
done_testing();
