# An extension that was updated is the same as one that was installed: objects, definitions, privileges, comments, what a dump
# carries. From every version that was released (sql/releases/), and from this one to a made-up next one, which adds to the state
# and changes code. The old SQL works under the new library before, and what tenants had they have afterwards; also in a dump.
use strict;
use warnings;
use lib 'test/t';

use File::Copy;
use File::Path;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('updates');
$node->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
$node->start;
# The test's own installation.
my $directory = $node->safe_psql('postgres', "SELECT setting || '/extension' FROM pg_config WHERE name = 'SHAREDIR'");
my ($current) = slurp_file('tenancy.control') =~ /^default_version = '(.*)'/m;
my @releases = sort map { m{/tenancy--(.*)\.sql$} } glob 'sql/releases/*.sql';
my @installed;

# put(FILE, NAME): into the installation, until the end. The control file is put back.
sub put
{
	my ($file, $name) = @_;
	my $path = "$directory/$name";

	unlink $path;
	copy($file, $path) or die "$path: $!\n";
	push @installed, $path;
}
END
{
	my $status = $?;
	unlink grep { !/--\Q$current\E\.sql$/ } @installed;
	if (@installed) { unlink "$directory/tenancy.control"; copy('tenancy.control', "$directory/tenancy.control") }
	$? = $status;
}

sub put_control
{
	my ($version) = @_;
	my $file = $node->basedir . '/tenancy.control';

	unlink $file;
	append_to_file($file, slurp_file('tenancy.control') =~ s/^default_version = .*/default_version = '$version'/mr);
	put($file, 'tenancy.control');
}

# ---- everything that the extension is ----

# One line each, of what belongs to the extension: functions, relations with all that hangs on them, and the rest by its name.
my $everything = q{
	WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'tenancy'),
	relation AS (SELECT c.*, c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace),
	trait (t) AS (
		SELECT 'object ' || pg_describe_object(classid, objid, 0) || coalesce(': ' || obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)), '') FROM member
		UNION ALL SELECT 'in the schema ' || pg_describe_object('pg_class'::regclass, oid, 0) FROM relation WHERE relkind <> 'i'
		UNION ALL SELECT 'in the schema ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace
		UNION ALL SELECT 'definition ' || pg_get_functiondef(objid) FROM member WHERE classid = 'pg_proc'::regclass
		UNION ALL SELECT format('may call %s %s', objid::regprocedure, proacl) FROM member JOIN pg_proc p ON p.oid = objid WHERE classid = 'pg_proc'::regclass
		UNION ALL SELECT format('relation %s %s %s %s row security %s %s, %s', name, relkind, relpersistence, reloptions, relrowsecurity, relforcerowsecurity, coalesce(relacl, acldefault('r', relowner))) FROM relation WHERE relkind <> 'i'
		UNION ALL SELECT format('view %s %s', name, pg_get_viewdef(oid)) FROM relation WHERE relkind = 'v'
		-- With its number: C reads columns by it.
		UNION ALL SELECT format('column %s %s %s %s %s %s default %s generated %s%s collation %s, %s', name, attnum, attname, format_type(atttypid, atttypmod), attnotnull, atthasdef, pg_get_expr(adbin, adrelid), attidentity, attgenerated,
			attcollation::regcollation, attacl) || coalesce(': ' || col_description(r.oid, attnum), '')
			FROM relation r JOIN pg_attribute a ON attrelid = r.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relkind IN ('r', 'v') AND attnum > 0
		UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'tenancy'::regnamespace
		UNION ALL SELECT 'index ' || pg_get_indexdef(oid) FROM relation WHERE relkind = 'i'
		UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t JOIN relation r ON r.oid = tgrelid WHERE NOT tgisinternal
		UNION ALL SELECT format('policy %s %s', p, pg_describe_object('pg_policy'::regclass, y.oid, 0)) FROM pg_policies p JOIN relation r ON r.relname = tablename JOIN pg_policy y ON y.polrelid = r.oid AND y.polname = policyname WHERE schemaname = 'tenancy'
		UNION ALL SELECT format('event trigger %s %s %s %s %s', evtname, evtevent, evtfoid::regprocedure, evtenabled, evttags) FROM pg_event_trigger WHERE evtname ~ '^tenancy'
		UNION ALL SELECT format('dumped %s %s', r, condition) FROM pg_extension, unnest(extconfig::regclass[], extcondition) x (r, condition) WHERE extname = 'tenancy'
		UNION ALL SELECT format('from the start %s %s %s', pg_describe_object(classoid, objoid, objsubid), privtype, initprivs) FROM pg_init_privs JOIN member ON classid = classoid AND objid = objoid
		UNION ALL SELECT format('extension %s', to_jsonb(e) - '{oid,extnamespace,extconfig,extcondition}'::text[]) FROM pg_extension e WHERE extname = 'tenancy'
		UNION ALL SELECT format('schema %s', coalesce(nspacl, acldefault('n', nspowner))) FROM pg_namespace WHERE nspname = 'tenancy'
		-- What is shipped.
		UNION ALL SELECT format('role %s', to_jsonb(r) - 'created_at') FROM tenancy.roles r WHERE org_id IS NULL
		UNION ALL SELECT format('resource type %s', to_jsonb(t) - 'created_at') FROM tenancy.resource_types t WHERE shipped
		UNION ALL SELECT format('grant %s', to_jsonb(p)) FROM tenancy.role_permissions p WHERE shipped)
	SELECT replace(t, E'\n', ' ') FROM trait ORDER BY 1};

# ---- what tenants have ----

# same(TEXT, OTHER, NAME): tells what is not, and nothing of the rest.
sub same
{
	my ($text, $other, $name) = @_;
	my ($has, $expected) = map { { map { $_ => 1 } split /\n/, $_ } } $text, $other;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($text eq $other, $name) or diag join "\n", (map { "+ $_" } grep { !$expected->{$_} } sort keys %$has), (map { "- $_" } grep { !$has->{$_} } sort keys %$expected);
}

sub app
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql, extra_params => [ '-U', 'regress_tenancy_app' ], on_error_stop => 0);
	return join "\n", grep { $_ ne '' } $out, $err;
}

my %token;

sub fill
{
	my ($database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	$node->run_log([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', 'test/sql/setup.sql' ])
	  or die "test/sql/setup.sql failed\n";
	$token{$_} = $node->safe_psql($database, qq(SELECT minting.token('clerk', '{"sub": "$_", "email": "$_\@x.test", "email_verified": true}')), extra_params => ['-q']) for qw(alice bob carl);
	$node->safe_psql($database, q{
		CREATE TABLE note (id int PRIMARY KEY, body text);
		SELECT tenancy.protect('note');
		GRANT SELECT, INSERT ON note TO regress_tenancy_app;
	});
	is(app($database, "SET tenancy.session_token = '$token{alice}'; SELECT created FROM tenancy.provision_user(); INSERT INTO note VALUES (1, 'of alice');
		SELECT (tenancy.invite('bob\@x.test', 'viewer')).invitation_id IS NOT NULL; SELECT tenancy.create_role('own') IS NOT NULL;
		SET tenancy.session_token = '$token{bob}'; SELECT created FROM tenancy.provision_user();
		SET tenancy.session_token = '$token{carl}'; SELECT created FROM tenancy.provision_user(); INSERT INTO note VALUES (2, 'of carl')"),
		join("\n", ('t') x 5), "$database: the application works");
	$node->safe_psql($database, q{
		SELECT tenancy.revoke_permission('member', 'read', 'member');
		SELECT tenancy.guard_schema('public');
		SELECT tenancy.grant_sync('regress_tenancy_stranger');
	});
}

sub seen
{
	my ($database) = @_;

	return join "\n", map { app($database, "SET tenancy.session_token = '$token{$_}'; SELECT status, user_id, org_slug, roles FROM tenancy.session(); SELECT * FROM tenancy.my_permissions() ORDER BY 1, 2;
		SELECT * FROM tenancy.permission_matrix WHERE resource_type <> 'addition' ORDER BY 1, 2, 3, 4; SELECT email, roles FROM tenancy.members ORDER BY 1; TABLE note") } sort keys %token;
}

sub kept
{
	my ($database) = @_;
	# Without what an update adds, and when what is shipped was made.
	my @tables = split /\n/, $node->safe_psql('fresh', "SELECT relname FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' ORDER BY 1");

	return join "\n", map { $node->safe_psql($database, "SELECT '$_', jsonb_strip_nulls(to_jsonb(t)) - CASE WHEN '$_' IN ('roles', 'resource_types') THEN 'created_at' ELSE '' END FROM tenancy.$_ t WHERE t::text !~ 'addition' ORDER BY 2") } grep { $_ ne 'additions' } @tables;
}

# ---- an update ----

# updates(FROM, TO, DIRECTORY): the version TO, with the script that updates to it, was made in DIRECTORY.
sub updates
{
	my ($from, $to, $made) = @_;
	my $database = "from_$from" =~ tr/./_/r;

	put_control($from);
	fill($database);
	my $open = $node->background_psql($database, extra_params => [ '-U', 'regress_tenancy_app' ]);
	$open->query_safe("SET tenancy.session_token = '$token{alice}'");
	is($open->query_safe('SELECT body FROM note'), 'of alice', "$from: an open connection");

	put_control($to);
	put("$made/tenancy--$to.sql", "tenancy--$to.sql");
	put("$made/tenancy--$from--$to.sql", "tenancy--$from--$to.sql");
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS fresh');
	$node->safe_psql('postgres', 'CREATE DATABASE fresh TEMPLATE template0');
	$node->safe_psql('fresh', 'CREATE EXTENSION tenancy');
	my ($seen, $kept) = (seen($database), kept($database));
	like($seen, qr/of alice/, "$from: there is something to keep");
	my $outdated = "FROM tenancy.doctor() WHERE check_id = 'extension_outdated'";
	is($node->safe_psql($database, "SELECT severity, object, problem $outdated"), "warning|tenancy|The database has version $from of the extension, the server $to.", 'doctor() says so');
	$node->safe_psql($database, $node->safe_psql($database, "SELECT remedy $outdated"));
	is($node->safe_psql($database, "SELECT count(*) $outdated"), '0', 'and what mends it');
	is($node->safe_psql($database, "SELECT extversion FROM pg_extension WHERE extname = 'tenancy'"), $to, "$from to $to");
	same(kept($database), $kept, 'all rows are as they were');
	same(seen($database), $seen, 'everybody sees what they saw');
	is($open->query_safe('SELECT body FROM note'), 'of alice', 'the open connection too');
	$open->quit;

	# What was granted to roles is no part of the extension: a dump must have it.
	my $restored = "restored_$database";
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$restored";
	$node->command_ok([ 'pg_dump', '-f', $file, '-d', $node->connstr($database) ], "dump $database");
	$node->safe_psql('postgres', "CREATE DATABASE $restored TEMPLATE template0");
	$node->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr($restored) ], 'restore it');
	same(kept($restored), $kept, 'all rows are in the dump');
	same(seen($restored), $seen, 'and all privileges');
	like($node->safe_psql($restored, "SET ROLE regress_tenancy_stranger; SELECT tenancy.sync_org('https://clerk.test', 'x', 'X')"), qr/^[0-9a-f-]{36}$/, 'those of grant_sync() too');
	$node->safe_psql($database, 'SELECT tenancy.revoke_sync(\'regress_tenancy_stranger\'), tenancy.revoke_access(\'regress_tenancy_stranger\'), tenancy.revoke_access(\'regress_tenancy_app\')');
	my $installed = $node->safe_psql('fresh', $everything);
	cmp_ok(scalar(() = $installed =~ /\n/g), '>', 500, 'there is much to compare');
	same($node->safe_psql($database, $everything), $installed, "$from updated is $to installed");
}

# ---- what was released ----

my $released = join ' ', grep { $_ ne $current } @releases;
my ($listed) = slurp_file('Makefile') =~ /^RELEASES =(.*)$/m;
is($listed =~ s/^\s+//r, $released, 'every released version can be updated');
SKIP:
{
	skip "$current is not released", 1 unless grep { $_ eq $current } @releases;
	same(slurp_file("sql/tenancy--$current.sql"), slurp_file("sql/releases/tenancy--$current.sql"), "$current is as it was released");
}
for my $release (grep { $_ ne $current } @releases)
{
	# PostgreSQL looks for the C function of each when it is made, so the new library has all of them.
	put("sql/releases/tenancy--$release.sql", "tenancy--$release.sql");
	updates($release, $current, 'sql');
}

# ---- the next one ----

my $sources = $node->basedir . '/sources';
my $next = "$current.next";
mkdir $sources or die "$sources: $!\n";
system_or_bail('cp', '-R', 'Makefile', 'tenancy.control', 'META.json', 'sql', 'test', $sources);

# edit(FILE, PATTERN, REPLACEMENT)
sub edit
{
	my ($file, $pattern, $replacement) = @_;
	my $text = slurp_file("$sources/$file");

	$text =~ s/$pattern/$replacement/m or die "$file has no $pattern\n";
	unlink "$sources/$file";
	append_to_file("$sources/$file", $text);
}
# A column, and a table with a signal, that a dump carries.
my $additions = q{
ALTER TABLE tenancy.users ADD COLUMN nickname text;
CREATE TABLE tenancy.additions (name text PRIMARY KEY);
COMMENT ON TABLE tenancy.additions IS 'Added.';
CREATE TRIGGER signal_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.additions FOR EACH STATEMENT EXECUTE FUNCTION tenancy.signal_authority_change();
ALTER TABLE tenancy.additions ENABLE ALWAYS TRIGGER signal_change;
SELECT pg_catalog.pg_extension_config_dump('tenancy.additions', '');
INSERT INTO tenancy.resource_types (name, actions, shipped, defaults_granted) VALUES ('addition', '{read}', true, true);
};
append_to_file("$sources/sql/schema/55_additions.sql", $additions);
append_to_file("$sources/sql/updates/$current.sql", $additions . "ALTER TABLE tenancy.additions ENABLE ROW LEVEL SECURITY;\nDROP FUNCTION tenancy.statistics_functions();\n");
# Code that is new, that is another, and that is gone.
append_to_file("$sources/sql/api/69_additions.sql", q{
CREATE OR REPLACE FUNCTION tenancy.add(name text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'INSERT INTO tenancy.additions VALUES (name)';
COMMENT ON FUNCTION tenancy.add(text) IS 'Adds.';
CREATE OR REPLACE VIEW tenancy.added AS SELECT name FROM tenancy.additions;
COMMENT ON VIEW tenancy.added IS 'What was added.';
});
edit('sql/api/70_access.sql', 'Let the application log in as a role with neither', 'Use another role');
edit('sql/api/70_access.sql', 'CREATE OR REPLACE FUNCTION tenancy\.statistics_functions(.|\n)*?\nCOMMENT .*', '');
edit('sql/api/70_access.sql', 'tenancy\.statistics_functions\(\)', 'pg_catalog.unnest(NULL::regprocedure[])');
edit('sql/api/67_doctor.sql', 'tenancy\.statistics_functions\(\)', 'pg_catalog.unnest(NULL::regprocedure[])');
edit('tenancy.control', "^default_version = .*", "default_version = '$next'");
edit('Makefile', '^RELEASES =.*', "RELEASES = $current");
edit('Makefile', '(?<=\tsql/schema/50_seeds.sql \\\\\n)', "\tsql/schema/55_additions.sql \\\n");
edit('Makefile', '(?=\tsql/api/70_access.sql)', "\tsql/api/69_additions.sql \\\n");
system_or_bail('make', '-s', '-C', $sources, "sql/tenancy--$next.sql", "sql/tenancy--$current--$next.sql");
updates($current, $next, "$sources/sql");

# A released version that names what the library does not have would be noticed.
is((split /\n/, ($node->psql('fresh', q{CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE c AS '$libdir/tenancy', 'tenancy_no_such_function'}))[2])[0] =~ s/ in file.*//r =~ s/^\S+ //r,
	'ERROR:  could not find function "tenancy_no_such_function"', 'PostgreSQL looks for C functions');

$node->stop;
done_testing();
