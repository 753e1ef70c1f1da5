# What somebody has put into a database before CREATE EXTENSION: a schema of that name, objects of our names and of PostgreSQL's, default
# privileges, event triggers. Either the extension refuses, or it is what it is anywhere else.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('hostile_install');
$node->init(extra => [ '--no-locale', '-E', 'UTF8' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE hostile LOGIN; CREATE ROLE hostile_admin LOGIN SUPERUSER');
my $number = 0;

# prepared(SQL): a database in which that has been done.
sub prepared
{
	my ($sql) = @_;
	my $database = 'prepared_' . ++$number;

	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0; GRANT CREATE ON DATABASE $database TO hostile");
	$node->safe_psql($database, $sql, on_error_stop => 1);
	return $database;
}

sub installing
{
	my ($database, $sql, @options) = @_;
	return ($node->psql($database, $sql // 'CREATE EXTENSION tenancy', extra_params => [ '-v', 'VERBOSITY=verbose', @options ]))[2];
}

# ---- the schema ----

my %refused = (
	'a schema of another role' => 'SET ROLE hostile; CREATE SCHEMA tenancy',
	'a schema of another superuser' => 'SET ROLE hostile_admin; CREATE SCHEMA tenancy',
	'a schema that others may create in' => 'CREATE SCHEMA tenancy; GRANT CREATE ON SCHEMA tenancy TO hostile',
	'default privileges on schemas' => 'ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO hostile',
	'a schema that everybody may create in' => 'CREATE SCHEMA tenancy; GRANT CREATE ON SCHEMA tenancy TO PUBLIC',
	(
		map { my ($what, $create) = @$_; ("a $what that is left in it" => "CREATE SCHEMA tenancy; GRANT ALL ON SCHEMA tenancy TO hostile; SET ROLE hostile; $create; RESET ROLE; REVOKE ALL ON SCHEMA tenancy FROM hostile") }
		  [ table => 'CREATE TABLE tenancy.users (id int)' ],
		[ view => 'CREATE VIEW tenancy.members AS SELECT 1 AS one' ],
		[ sequence => 'CREATE SEQUENCE tenancy.s' ],
		[ function => q{CREATE FUNCTION tenancy.current_org() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()'} ],
		[ procedure => q{CREATE PROCEDURE tenancy.p() LANGUAGE sql AS 'SELECT 1'} ],
		[ aggregate => 'CREATE AGGREGATE tenancy.a(int) (SFUNC = int4pl, STYPE = int)' ],
		[ type => q{CREATE TYPE tenancy.t AS ENUM ('a')} ],
		[ domain => 'CREATE DOMAIN tenancy.d AS uuid' ],
		[ operator => 'CREATE OPERATOR tenancy.= (FUNCTION = uuid_ne, LEFTARG = uuid, RIGHTARG = uuid)' ]));
for my $name (sort keys %refused)
{
	my $database = prepared($refused{$name});
	like(installing($database), qr/ERROR:  42P06: schema "tenancy" .*HINT:  Drop or rename that schema/s, "refused: $name");
	is($node->safe_psql($database, "SELECT count(*) FROM pg_extension WHERE extname = 'tenancy'"), '0', "$name: nothing is left");
}
is(installing(prepared('CREATE SCHEMA tenancy')), '', 'an empty schema of one\'s own will do');
like(installing(prepared(''), undef, '-U', 'hostile'), qr/ERROR:  42501: /, 'only a superuser may create it');
like(installing(prepared('CREATE SCHEMA mine'), 'CREATE EXTENSION tenancy SCHEMA mine'), qr/ERROR:  0A000: /, 'in no other schema');
like(installing(prepared(q{CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER tenancy_guard ON ddl_command_end EXECUTE FUNCTION public.f()})),
	qr/ERROR:  42710: event trigger "tenancy_guard" already exists/, 'an event trigger of that name is not adopted');

# ---- what it is, whatever there was before ----

my $state = q{
	SELECT pg_get_functiondef(oid), proacl, proowner::regrole FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace ORDER BY proname, oid::regprocedure::text;
	SELECT relname, relkind, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), relowner::regrole, relrowsecurity, CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) END FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace ORDER BY 1;
	SELECT typname, coalesce(typacl, acldefault('T', typowner)), typowner::regrole FROM pg_type WHERE typnamespace = 'tenancy'::regnamespace ORDER BY 1;
	SELECT c.relname, a.attname, pg_get_expr(adbin, adrelid), attacl FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE c.relnamespace = 'tenancy'::regnamespace AND attnum > 0 ORDER BY 1, attnum;
	SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'tenancy'::regnamespace ORDER BY conrelid::regclass::text, 1, 2;
	SELECT tablename, policyname, qual, with_check FROM pg_policies WHERE schemaname = 'tenancy' ORDER BY 1, 2;
	SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace) AND NOT tgisinternal ORDER BY 1;
	SELECT nspacl, nspowner::regrole FROM pg_namespace WHERE nspname = 'tenancy';
	SELECT * FROM tenancy.permission_matrix ORDER BY 1, 2, 3, 4};
my $plain = prepared('');
is(installing($plain), '', 'a database without surprises');
my $expected = $node->safe_psql($plain, $state);

# Functions and operators that take the place of PostgreSQL's for whoever has their schema first, and tables and functions of our names.
my $decoys = q{
	CREATE SCHEMA decoys AUTHORIZATION hostile;
	GRANT CREATE ON SCHEMA public TO hostile;
	SET ROLE hostile;
	CREATE TABLE decoys.calls (who name);
	GRANT INSERT ON decoys.calls TO PUBLIC;
	CREATE FUNCTION decoys.called() RETURNS boolean LANGUAGE sql AS 'INSERT INTO decoys.calls VALUES (current_user); SELECT true';
	DO $do$
	DECLARE
		s text;
	BEGIN
		FOR s IN SELECT format('CREATE OPERATOR decoys.%s (FUNCTION = %I, LEFTARG = %s, RIGHTARG = %s)', op, f, t, t)
			FROM unnest('{text,name,uuid,oid,integer,bigint,boolean}'::regtype[]) t, LATERAL (SELECT format('decoys_%s', t) AS f) x, unnest('{=,<>}'::text[]) op LOOP
			EXECUTE format('CREATE OR REPLACE FUNCTION decoys.%I(%s, %s) RETURNS boolean LANGUAGE sql AS %L', split_part(split_part(s, 'FUNCTION = ', 2), ',', 1)::text, split_part(split_part(s, 'RIGHTARG = ', 2), ')', 1), split_part(split_part(s, 'RIGHTARG = ', 2), ')', 1), 'SELECT decoys.called()');
			EXECUTE replace(s, 'FUNCTION = ', 'FUNCTION = decoys.');
		END LOOP;
		FOR s IN SELECT format('CREATE FUNCTION decoys.%s LANGUAGE sql AS %L', f, 'SELECT decoys.called(); SELECT ' || v)
			FROM (VALUES ('gen_random_uuid() RETURNS uuid', 'NULL::uuid'), ('now() RETURNS timestamptz', 'NULL::timestamptz'), ('clock_timestamp() RETURNS timestamptz', 'NULL::timestamptz'), ('lower(text) RETURNS text', '$1'),
				('btrim(text) RETURNS text', '$1'), ('octet_length(text) RETURNS int', '1'), ('octet_length(bytea) RETURNS int', '1'), ('char_length(text) RETURNS int', '1'), ('current_setting(text) RETURNS text', '$1'), ('format(text, text) RETURNS text', '$1'),
				('format(text, regclass) RETURNS text', '$1'), ('pg_extension_config_dump(regclass, text) RETURNS void', 'NULL::void'), ('jsonb_typeof(jsonb) RETURNS text', '''object''')) v (f, v) LOOP
			EXECUTE s;
		END LOOP;
		FOREACH s IN ARRAY '{users,organizations,roles,memberships,issuers,signing_keys,resource_types,role_permissions,pg_class,pg_namespace,pg_proc,pg_roles}'::text[] LOOP
			EXECUTE format('CREATE TABLE decoys.%I (id uuid); CREATE TABLE public.%I (id uuid)', s, s);
		END LOOP;
		FOREACH s IN ARRAY '{current_org,current_user_id,is_administrator,is_superadmin,session}'::text[] LOOP
			EXECUTE format('CREATE FUNCTION decoys.%I() RETURNS boolean LANGUAGE sql AS %L; CREATE FUNCTION public.%1$I() RETURNS boolean LANGUAGE sql AS %2$L', s, 'SELECT decoys.called()');
		END LOOP;
		FOREACH s IN ARRAY '{users,organizations,roles}'::text[] LOOP
			EXECUTE format('CREATE TYPE decoys._%s AS ENUM ()', s);
		END LOOP;
	END
	$do$;
	RESET ROLE};
my %harmless = (
	'decoys before pg_catalog' => [ $decoys, 'SET search_path = decoys, public, pg_catalog; CREATE EXTENSION tenancy' ],
	'no search_path' => [ '', "SET search_path = ''; CREATE EXTENSION tenancy" ],
	'default privileges for everybody' => [
		'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC' ],
	'default privileges for a role' => [
		'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO hostile; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO hostile; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO hostile;
		ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO hostile; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO hostile' ],
	'default privileges to pass on' => [ 'ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO hostile WITH GRANT OPTION; ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO hostile WITH GRANT OPTION' ],
	'event triggers of others' => [ "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM * FROM pg_event_trigger_ddl_commands(); END';
		CREATE EVENT TRIGGER another ON ddl_command_end EXECUTE FUNCTION public.watch(); ALTER EVENT TRIGGER another ENABLE ALWAYS" ]);
for my $name (sort keys %harmless)
{
	my ($before, $install) = @{$harmless{$name}};
	my $database = prepared($before);

	is(installing($database, $install), '', "installed: $name");
	is_deeply([ split /\n/, $node->safe_psql($database, $state) ], [ split /\n/, $expected ], "$name: it is as it is elsewhere");
	is($node->safe_psql($database, 'SELECT count(*) FROM decoys.calls'), '0', "$name: nothing else was called") if $before eq $decoys;
}

$node->stop;
done_testing();
