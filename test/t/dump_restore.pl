# A database is dumped and restored into another, and the tenants are as they were: the same tokens give the same rows,
# permissions and protection are equal, and what was revoked stays revoked. In pg_dump's formats, in parts, by parallel jobs, with the
# whole cluster, by pg_upgrade, and again from the restored database, since a defect may show only in the second generation.
use strict;
use warnings;
use lib 'test/t';

use Cwd;
use PostgreSQL::Test::Utils;
use Test::More;
use TenancyTest;

my $node = start_node('dump_restore');
$node->safe_psql('postgres', q{
	SELECT minting.enrol('alice', 'acme', 'admin'), minting.enrol('bob', 'acme', 'member'), minting.enrol('carl', 'acme', 'viewer'), minting.enrol('carl', 'beta', 'admin'),
		minting.enrol('dora', 'beta', 'member'), minting.enrol('eve', 'beta', 'member'), minting.enrol('fay', 'shut', 'admin'), minting.enrol('root', 'beta', 'viewer'), minting.enrol('gus', 'acme', 'viewer');
	UPDATE tenancy.users SET status = 'disabled' WHERE name = 'eve';
	UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 hour' WHERE name = 'gus';
	UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'unpaid' WHERE slug = 'shut';
	INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
	INSERT INTO tenancy.org_external_ids SELECT i.id, 'org_beta', o.id FROM tenancy.issuers i, tenancy.organizations o WHERE i.issuer = 'https://clerk.test' AND o.slug = 'beta';

	-- A resource type of which one default grant is taken back and a shipped grant that is.
	SELECT tenancy.add_resource_type('report', '{read,create,export}');
	SELECT tenancy.revoke_permission('member', 'create', 'report');
	SELECT tenancy.grant_permission('viewer', 'export', 'report');
	SELECT tenancy.revoke_permission('member', 'read', 'member');
	SELECT tenancy.grant_permission('viewer', 'read', 'audit');
	-- An org's own role.
	INSERT INTO tenancy.roles (org_id, name, description) SELECT id, 'clerk', 'Writes reports' FROM tenancy.organizations WHERE slug = 'acme';
	INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT id, 'report', 'create' FROM tenancy.roles WHERE name = 'clerk';
	INSERT INTO tenancy.membership_roles SELECT minting.user_id('bob'), org_id, id FROM tenancy.roles WHERE name = 'clerk';
	INSERT INTO tenancy.invitations (org_id, email, role_id, token_hash, expires_at)
	SELECT o.id, 'new@acme.test', r.id, sha256('secret'), now() + interval '1 day' FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = 'acme' AND r.name = 'clerk';

	CREATE TABLE note (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
	SELECT tenancy.protect('note');
	CREATE TABLE paper (body text) PARTITION BY LIST (body);
	CREATE TABLE paper_rest PARTITION OF paper DEFAULT;
	SELECT tenancy.protect('paper', 'report');
	INSERT INTO note (body, org_id) SELECT o.slug || n, o.id FROM tenancy.organizations o, generate_series(1, 3) n WHERE o.slug IN ('acme', 'beta', 'shut');
	INSERT INTO paper SELECT 'paper of ' || o.slug, o.id FROM tenancy.organizations o WHERE o.slug IN ('acme', 'beta');
	GRANT SELECT, INSERT, UPDATE, DELETE ON note, paper TO regress_tenancy_app;
	SELECT tenancy.revoke_permission('viewer', 'read', 'note');

	-- A schema that protects its new tables, one that refuses others, and tables that are meant for everybody.
	CREATE SCHEMA guarded;
	CREATE SCHEMA strict;
	SELECT tenancy.guard_schema('guarded'), tenancy.share_table('guarded', 'country'), tenancy.share_table('strict', 'unit');
	CREATE TABLE guarded.letter (id int PRIMARY KEY, body text);
	CREATE TABLE guarded.bill (id int, at date) PARTITION BY RANGE (at);
	CREATE TABLE guarded.bill_2025 PARTITION OF guarded.bill FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
	CREATE TABLE guarded.country (code text);
	CREATE TABLE strict.unit (code text);
	CREATE TABLE strict.file (id int);
	SELECT tenancy.protect('strict.file');
	SELECT tenancy.guard_schema('strict', 'refuse');
	INSERT INTO guarded.letter (id, org_id) SELECT 1, id FROM tenancy.organizations WHERE slug = 'acme';

	-- What providers, superadmins and the users themselves have made, and the log of it.
	SELECT tenancy.sync_org('https://clerk.test', 'org_synced', 'Synced', NULL, now()), tenancy.sync_member('https://clerk.test', 'org_synced', 'hal', 'admin', now());
	SELECT tenancy.rename_org('shut', 'Shut Down');
	SELECT tenancy.require_fresh_authentication('export', 'report', '5 minutes');
	SELECT tenancy.allow_pushdown('{jsonb,array}');
	INSERT INTO tenancy.default_orgs SELECT minting.user_id('bob'), id FROM tenancy.organizations WHERE slug = 'acme';
	INSERT INTO tenancy.impersonations (superadmin_id, user_id, reason, read_only, expires_at) VALUES (minting.user_id('root'), minting.user_id('bob'), 'ticket 1', true, now() + interval '1 hour');
});
# A table that is empty would be compared to nothing.
for my $table (qw(guarded_schemas shared_tables audit_events synced_events default_orgs impersonations fresh_authentications))
{
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.$table"), '>', 0, "before: $table has rows");
}
# One that the restored database must be able to verify: the keys are in the dump.
my %token = map { $_ => mint($node, qq({"sub": "$_", "email": "$_\@dump.test", "email_verified": true})) } qw(alice bob carl dora eve fay gus root unknown);
$token{in_beta} = mint($node, '{"sub": "carl", "o": {"id": "org_beta"}}');
$token{newcomer} = mint($node, '{"sub": "newcomer", "email": "new@acme.test", "email_verified": true}');

# as_app of another database
sub app
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql, extra_params => [ '-U', 'regress_tenancy_app' ], on_error_stop => 0);

	$err =~ s/^psql:<stdin>:\d+: //gm;
	return join "\n", grep { $_ ne '' } $out, $err;
}

# All that an application sees, whoever signs in.
sub seen
{
	my ($database) = @_;

	return join "\n", map {
		my $name = $_;
		map { "$name: $_" } split /\n/, app($database, "\\set VERBOSITY sqlstate
			SET tenancy.session_token = '$token{$name}';
			SELECT status, next_step, user_id, org_slug, org_name, roles, is_superadmin FROM tenancy.session();
			SELECT * FROM tenancy.my_orgs() ORDER BY slug;
			SELECT * FROM tenancy.my_permissions() ORDER BY 1, 2;
			SELECT * FROM tenancy.permission_matrix ORDER BY 1, 2, 3, 4;
			SELECT name, actions FROM tenancy.resource_types ORDER BY name;
			SELECT id, body, org_id FROM note ORDER BY id;
			SELECT * FROM paper ORDER BY body;
			BEGIN; INSERT INTO note (body) VALUES ('new') RETURNING body, org_id; ROLLBACK;
			BEGIN; INSERT INTO paper (body) VALUES ('new') RETURNING body, org_id; ROLLBACK;
			BEGIN; SET LOCAL tenancy.cross_org = on; SELECT count(*) FROM note; ROLLBACK;
			BEGIN; SELECT org_slug, roles, created FROM tenancy.provision_user(); ROLLBACK")
	} sort keys %token;
}

# Every row of the extension's tables, and what there is of policies and privileges. What CREATE EXTENSION brings is of
# another day.
sub stored
{
	my ($database) = @_;
	my @tables = split /\n/, $node->safe_psql($database, "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' ORDER BY 1");

	return join "\n", "", (map { "$_:\n" . $node->safe_psql($database, "SELECT r FROM (SELECT to_jsonb(t) - CASE WHEN '$_' ~ '\\.(roles|resource_types)\$' THEN 'created_at' ELSE '' END FROM $_ t) x (r) ORDER BY r::text COLLATE \"C\"") } @tables),
	  $node->safe_psql($database, q{
		SELECT * FROM tenancy.permission_matrix ORDER BY 1, 2, 3, 4;
		SELECT * FROM tenancy.protected_tables ORDER BY 1, 2;
		SELECT schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2, 3;
		SELECT oid::regclass::text, relrowsecurity, relforcerowsecurity, coalesce(relacl, acldefault('r', relowner)) FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace) ORDER BY 1;
		SELECT attrelid::regclass::text, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'tenancy.%' ORDER BY 1, 2;
		SELECT oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace ORDER BY 1;
		SELECT nspacl FROM pg_namespace WHERE nspname = 'tenancy';
		SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN ('note'::regclass, 'paper'::regclass) ORDER BY 1;
		SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2;
		SELECT tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
		SELECT evtname, evtenabled, evttags FROM pg_event_trigger ORDER BY 1;
		SELECT oid::regprocedure::text, md5(replace(pg_get_functiondef(oid), ' LEAKPROOF', '')) FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace ORDER BY 1;
		SELECT extversion, extowner::regrole, x.* FROM pg_extension, LATERAL (SELECT r::regclass::text, c FROM unnest(extconfig, extcondition) x (r, c)) x WHERE extname = 'tenancy' ORDER BY 3});
}

my $seen = seen('postgres');
my $stored = stored('postgres');

# That there is something to compare: the line that tells whether what was revoked is.
like($seen, qr/^alice: active\|ok\|\S+\|acme\|Acme\|\{admin\}\|f$/m, 'before: an admin');
like($seen, qr/^bob: active\|ok\|\S+\|acme\|Acme\|\{clerk,member\}\|f$/m, "before: an org's own role");
like($seen, qr/^carl: pick_org/m, 'before: two orgs');
like($seen, qr/^in_beta: active\|ok\|\S+\|beta\|/m, 'before: an org of the issuer');
like($seen, qr/^eve: disabled/m, 'before: a disabled user');
like($seen, qr/^gus: revoked/m, 'before: revoked tokens');
like($seen, qr/^fay: org_suspended/m, 'before: a suspended org');
like($seen, qr/^newcomer: acme\|\{clerk\}\|t$/m, 'before: an invitation');
like($seen, qr/^unknown: unprovisioned/m, 'before: somebody new');
like($seen, qr/^alice: 1\|acme1\|/m, 'before: rows');
like($stored, qr/^\|member\|member\|read\|f\|$/m, 'before: a shipped grant is revoked');
like($stored, qr/^\|member\|report\|create\|f\|$/m, 'before: a default grant is revoked');
like($stored, qr/^public\|note\|org_id\|note\|f\|t$/m, 'before: a protected table');

# elsewhere(NAME, FILL): the same in another cluster, which FILL has filled while this one does what it wants of it.
sub elsewhere
{
	my ($name, $fill) = @_;
	my $here = $node;
	my $other = PostgreSQL::Test::Cluster->new($name);

	$other->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
	$fill->($other);
	$node = $other;
	is_restored('postgres', $name);
	$other->stop;
	$node = $here;
}

elsewhere('pg_dumpall', sub {
	my ($other) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/cluster';

	$node->command_ok([ 'pg_dumpall', '-f', $file, '-d', $node->connstr('postgres') ], 'dump the cluster');
	$other->start;
	# The superuser is there already, so it does not stop at an error.
	$other->command_checks_all([ 'psql', '-X', '-q', '-o', '/dev/null', '-f', $file, '-d', $other->connstr('postgres') ],
		0, [], [ qr/\A(?!.*ERROR:.*ERROR:).*role "\w+" already exists/s ], 'restore the cluster');
});
# From a major to itself, which is what there is here: the catalog is dumped and made anew as it is for the next one.
elsewhere('pg_upgrade', sub {
	my ($other) = @_;
	my ($programs) = map { s,/postgres$,,r } grep { -x } map { "$_/postgres" } split /:/, $ENV{PATH};
	my $from = PostgreSQL::Test::Utils::tempdir();

	$node->stop;
	my $here = Cwd::getcwd();
	chdir $from or die "$from: $!\n";
	command_ok([ 'pg_upgrade', '-b', $programs, '-B', $programs, '-d', $node->data_dir, '-D', $other->data_dir, '-s', $node->host, '-p', $node->port, '-P', $other->port ], 'pg_upgrade');
	chdir $here or die "$here: $!\n";
	$node->start;
	$other->start;
});

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
	is_restored($to);
}

sub is_restored
{
	my ($database, $how) = @_;

	$how //= $database;
	same(stored($database), $stored, "$how: all rows, grants, policies and triggers are as they were");
	same(seen($database), $seen, "$how: everybody sees what they saw");
}

# is(), which shows but the lines that differ.
sub same
{
	my ($got, $expected, $name) = @_;
	my @missing = lines_without($expected, $got);
	my @more = lines_without($got, $expected);

	ok($got eq $expected, $name) or diag join "\n", (map { "missing: $_" } @missing), map { "too many: $_" } @more;
}

sub lines_without
{
	my ($text, $other) = @_;
	my %there = map { $_ => 1 } split /\n/, $other;

	return grep { !$there{$_} } split /\n/, $text;
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
is_restored('from_two_dumps');

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
	is(stored('from_custom'), $stored, "format $format: guarded schemas are as they were");
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
is(stored('second_generation'), $stored, 'a type that is added again is as it was');
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
is(app('second_generation', "\\set VERBOSITY sqlstate
	SET tenancy.session_token = '$token{newcomer}';
	SELECT status FROM tenancy.session(); SELECT org_slug, created FROM tenancy.provision_user(); SELECT status FROM tenancy.session()"),
	"unprovisioned\nacme|t\nactive", 'somebody new signs in');

$node->stop;
done_testing();
