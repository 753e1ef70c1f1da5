-- guard_schema(): a new table in a guarded schema is protected when it is made, or refused when its transaction commits.
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SELECT current_user AS dba, current_database() AS home \gset
CREATE ROLE regress_tenancy_migration LOGIN;
CREATE SCHEMA guarded AUTHORIZATION regress_tenancy_migration;
CREATE SCHEMA strict AUTHORIZATION regress_tenancy_migration;
CREATE SCHEMA free AUTHORIZATION regress_tenancy_migration;
CREATE VIEW listed AS SELECT schema_name, table_name, org_column, resource_type, complete FROM tenancy.protected_tables
	WHERE schema_name IN ('guarded', 'strict', 'free') ORDER BY 1, 2;
GRANT SELECT ON listed TO PUBLIC;
GRANT USAGE ON SCHEMA tenancy TO regress_tenancy_migration;
GRANT EXECUTE ON FUNCTION tenancy.protection_list() TO regress_tenancy_migration;

\echo == who may guard what
SELECT minting.refusal('SELECT tenancy.guard_schema(''tenancy'')');
SELECT minting.refusal('SELECT tenancy.guard_schema(''pg_catalog'')');
SELECT minting.refusal('SELECT tenancy.guard_schema(''nowhere'')');
SELECT minting.refusal('SELECT tenancy.guard_schema(NULL)');
SELECT minting.refusal('SELECT tenancy.guard_schema(''guarded'', ''warn'')');
SELECT minting.refusal('SELECT tenancy.guard_schema(''guarded'', NULL)');
SELECT minting.refusal('SELECT tenancy.share_table(NULL, ''x'')');
SELECT tenancy.guard_schema('guarded'), tenancy.guard_schema('guarded'), tenancy.guard_schema('strict', 'refuse');
SELECT * FROM tenancy.guarded_schemas ORDER BY 1;
SELECT action, target, old_values, new_values FROM tenancy.audit_events WHERE action LIKE '%guard%' ORDER BY at;
SET ROLE regress_tenancy_migration;
SELECT minting.refusal('SELECT tenancy.unguard_schema(''guarded'')');
RESET ROLE;

\echo == every way to make a table, by a role that has no rights on tenancy
\c - regress_tenancy_migration
SET client_min_messages = warning;
CREATE TABLE guarded.plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text CHECK (body <> ''));
CREATE TABLE guarded.copied (LIKE guarded.plain INCLUDING ALL);
CREATE TABLE guarded.from_query AS SELECT 1 AS id WITH NO DATA;
CREATE TABLE guarded.from_rows AS SELECT 1 AS id;
SELECT 1 AS id INTO guarded.selected FROM generate_series(1, 0);
PREPARE one AS SELECT 1 AS id WHERE false;
CREATE TABLE guarded.executed AS EXECUTE one;
CREATE TABLE guarded.divided (at date, org_id uuid) PARTITION BY RANGE (at);
CREATE TABLE guarded.divided_1 PARTITION OF guarded.divided FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE free.divided_2 (at date, org_id uuid NOT NULL);
ALTER TABLE guarded.divided ATTACH PARTITION free.divided_2 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE UNLOGGED TABLE guarded.unlogged ();
CREATE TABLE IF NOT EXISTS guarded.plain ();
CREATE TABLE free.moved ();
ALTER TABLE free.moved SET SCHEMA guarded;
CREATE TABLE free.whole (id int, org_id uuid) PARTITION BY LIST (id);
CREATE TABLE free.whole_1 PARTITION OF free.whole DEFAULT;
ALTER TABLE free.whole SET SCHEMA guarded;
DO $$ BEGIN CREATE TABLE guarded.in_a_block (); END $$;
SELECT * FROM listed;
SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'guarded'::regnamespace AND relkind = 'r' AND relowner <> 'regress_tenancy_migration'::regrole;
-- What is no table of the schema's is left alone, and a change of a table too.
CREATE TEMPORARY TABLE passing (id int);
CREATE TABLE free.untouched (id int);
CREATE VIEW guarded.seen AS SELECT 1 AS one;
ALTER TABLE guarded.plain ADD COLUMN more text;
SELECT count(*) FROM listed;

\echo == tables that cannot be protected cannot be there
CREATE TABLE guarded.member ();
CREATE TABLE guarded."Odd name" ();
CREATE TABLE guarded.numbered (org_id integer);
CREATE TABLE guarded.child () INHERITS (guarded.plain);
CREATE TABLE free.parent (id int) PARTITION BY LIST (id);
CREATE TABLE guarded.partition PARTITION OF free.parent DEFAULT;
SELECT relname FROM pg_class WHERE relnamespace = 'guarded'::regnamespace AND relname IN ('member', 'Odd name', 'numbered', 'child', 'partition', 'from_rows');
\c - :dba
SET client_min_messages = warning;
CREATE TABLE free.crew ();
SELECT tenancy.protect('free.crew', 'crew', 'team');
ALTER TABLE free.crew SET SCHEMA guarded;
SELECT * FROM listed WHERE table_name = 'crew';
CREATE FOREIGN DATA WRAPPER regress_tenancy_wrapper;
CREATE SERVER regress_tenancy_server FOREIGN DATA WRAPPER regress_tenancy_wrapper;
CREATE FOREIGN TABLE guarded.abroad (id int) SERVER regress_tenancy_server;

\echo == code of the creator runs with the rights of the creator
INSERT INTO tenancy.organizations (id, slug, name) VALUES ('aaaaaaaa-0000-4000-8000-0000000000aa', 'guard-acme', 'Acme');
\c - regress_tenancy_migration
SET client_min_messages = warning;
-- Constant, so that planning runs it already.
CREATE FUNCTION free.testify() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'run as %', current_user; RETURN true; END $$;
CREATE TABLE free.spy (id int, org_id uuid);
INSERT INTO free.spy VALUES (1, 'aaaaaaaa-0000-4000-8000-0000000000aa');
SET client_min_messages = error;
ALTER TABLE free.spy ADD CHECK (free.testify()), ADD CHECK (free.testify() AND id > 0);
CREATE INDEX ON free.spy ((free.testify()));
SET client_min_messages = warning;
SET constraint_exclusion = on;
ALTER TABLE free.spy SET SCHEMA guarded;
RESET constraint_exclusion;
SELECT * FROM listed WHERE table_name = 'spy';

\echo == the table of a definer belongs to the definer, and is guarded all the same
CREATE FUNCTION free.make_table() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'CREATE TABLE guarded.by_definer ()';
GRANT USAGE ON SCHEMA free TO regress_tenancy_app;
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT free.make_table();
SELECT * FROM listed WHERE table_name = 'by_definer';

\echo == refused: at commit, unless it was protected by then
\c - regress_tenancy_migration
SET client_min_messages = warning;
CREATE TABLE strict.plain (id int);
CREATE TABLE strict.from_rows AS SELECT 1 AS id;
BEGIN;
CREATE TABLE strict.dropped ();
DROP TABLE strict.dropped;
CREATE TABLE strict.moved_away ();
ALTER TABLE strict.moved_away SET SCHEMA free;
COMMIT;
BEGIN;
CREATE TABLE strict.renamed ();
ALTER TABLE strict.renamed RENAME TO other_name;
COMMIT;
ALTER TABLE free.untouched SET SCHEMA strict;
SELECT relname FROM pg_class WHERE relnamespace = 'strict'::regnamespace;
\c - :dba
SET client_min_messages = warning;
BEGIN;
CREATE TABLE strict.member (id int);
SELECT tenancy.protect('strict.member', 'crew');
COMMIT;
BEGIN;
CREATE TABLE strict.divided (id int) PARTITION BY LIST (id);
SELECT tenancy.protect('strict.divided', 'crew');
COMMIT;
CREATE TABLE free.part (id int, org_id uuid NOT NULL);
ALTER TABLE strict.divided ATTACH PARTITION free.part FOR VALUES IN (1);
CREATE TABLE strict.divided_2 PARTITION OF strict.divided FOR VALUES IN (2);
BEGIN;
ALTER TABLE strict.divided ATTACH PARTITION free.part FOR VALUES IN (1);
SELECT tenancy.protect('strict.divided', 'crew');
COMMIT;
SELECT * FROM listed WHERE resource_type = 'crew';
SELECT count(*) FROM tenancy.unguarded_tables;

\echo == tables for everybody are declared, before or after they are made
SELECT tenancy.share_table('guarded', 'country'), tenancy.share_table('guarded', 'country'), tenancy.share_table('strict', 'Country'), tenancy.share_table('guarded', 'abroad');
SELECT minting.refusal('SELECT tenancy.share_table(''guarded'', ''plain'')');
CREATE TABLE guarded.country (code text);
CREATE TABLE strict."Country" (code text);
CREATE FOREIGN TABLE guarded.abroad (id int) SERVER regress_tenancy_server;
BEGIN;
CREATE TABLE strict.later ();
SELECT tenancy.share_table('strict', 'later');
COMMIT;
SELECT * FROM listed WHERE table_name ~* 'country|later';
SELECT tenancy.unshare_table('strict', 'later');
SET client_min_messages = notice;
SELECT tenancy.unshare_table('strict', 'later');
SELECT tenancy.unguard_schema('free');
SET client_min_messages = warning;
-- These are not new.
ALTER TABLE strict.later ADD COLUMN id int;
ALTER TABLE strict.later RENAME COLUMN id TO number;
ALTER TABLE strict.later RENAME TO later_on;
ALTER TABLE strict.later_on RENAME TO later;
SELECT tenancy.unguard_schema('guarded');
CREATE TABLE guarded.old (id int) PARTITION BY LIST (id);
SELECT tenancy.guard_schema('guarded');
CREATE TABLE free.old_1 (id int);
ALTER TABLE guarded.old ATTACH PARTITION free.old_1 FOR VALUES IN (1);
ALTER TABLE guarded.old RENAME TO old_one;
SELECT * FROM listed WHERE table_name ~ '^old';
DROP TABLE guarded.old_one;

\echo == what doctor() says
CREATE FUNCTION prescribed() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s: %s', d.severity, d.check_id, d.object) || E'\n  ' || d.problem || E'\n  ' || d.remedy FROM tenancy.doctor() d
	WHERE d.check_id ~ 'guard' OR d.check_id = 'unprotected_table' AND d.object ~ '^(guarded|strict|free)\.'
$$;
SELECT prescribed();
SELECT remedy FROM tenancy.doctor() WHERE check_id = 'guarded_table_unprotected' \gexec
SELECT tenancy.unprotect('guarded.copied');
ALTER TABLE guarded.country ADD COLUMN org_id uuid;
SELECT prescribed();
SELECT remedy FROM tenancy.doctor() WHERE object = 'guarded.copied' \gexec
ALTER EVENT TRIGGER tenancy_guard RENAME TO "re named";
ALTER EVENT TRIGGER "re named" ENABLE;
CREATE SCHEMA doomed;
SELECT tenancy.guard_schema('doomed');
ALTER SCHEMA doomed RENAME TO "re named";
SELECT prescribed();
SELECT remedy FROM tenancy.doctor() WHERE check_id IN ('guard_disabled', 'guarded_schema_missing') \gexec
ALTER EVENT TRIGGER "re named" RENAME TO tenancy_guard;
SELECT prescribed();
SELECT tenancy.guard_schema('"re named"');
SELECT * FROM tenancy.guarded_schemas ORDER BY 1;

\echo == a schema made with its tables; a guard for it that was there before
INSERT INTO tenancy.guarded_schemas VALUES ('at_once', 'protect');
CREATE SCHEMA at_once CREATE TABLE one (id int PRIMARY KEY) CREATE TABLE two (id int REFERENCES one);
SELECT table_name, complete FROM tenancy.protected_tables WHERE schema_name = 'at_once' ORDER BY 1;

\echo == a session that restores is left alone
SET row_security = off;
CREATE TABLE guarded.half (id int);
SELECT complete FROM listed WHERE table_name = 'half';
SET check_function_bodies = off;
CREATE TABLE guarded.restored (id int);
CREATE TABLE strict.restored (id int);
RESET row_security;
RESET check_function_bodies;
SELECT prescribed();

\echo == no guard any more
SELECT tenancy.unguard_schema(schema_name) FROM tenancy.guarded_schemas;
CREATE TABLE guarded.open ();
CREATE TABLE strict.open ();
SELECT * FROM listed WHERE table_name = 'open';
SELECT tenancy_guard_is_called_by_hand FROM (SELECT minting.refusal('SELECT tenancy.guard_new_tables()')) c (tenancy_guard_is_called_by_hand);
DELETE FROM tenancy.shared_tables;
DROP FUNCTION prescribed();
DROP VIEW listed;
REVOKE ALL ON FUNCTION tenancy.protection_list() FROM regress_tenancy_migration;
REVOKE ALL ON SCHEMA tenancy FROM regress_tenancy_migration;
DROP SCHEMA guarded, strict, free, "re named", at_once CASCADE;
DROP SERVER regress_tenancy_server;
DROP FOREIGN DATA WRAPPER regress_tenancy_wrapper;
DROP ROLE regress_tenancy_migration;
DELETE FROM tenancy.organizations WHERE slug = 'guard-acme';
