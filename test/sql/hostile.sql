-- What somebody makes in a schema of their own to get at hidden rows, and what PostgreSQL itself tells when a constraint fails.
-- Every row of B contains SECRET-B: it stands in statements, and never in a result.
\getenv dir PG_ABS_SRCDIR
\set fixture :dir '/data/two_orgs.sql'
\set drop :dir '/data/two_orgs_drop.sql'
\set ECHO none
\i :fixture
\set ECHO all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never

CREATE SCHEMA iso_app AUTHORIZATION regress_tenancy_app;
\c - regress_tenancy_app
SET search_path = iso_app, pg_catalog, public;
SET tenancy.session_token = :'admin_a';
CREATE FUNCTION report(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;

\echo == own casts, domains and aggregates
CREATE DOMAIN spy AS text CHECK (report(value));
CREATE DOMAIN spy_row AS iso.note CHECK (report((value).body));
CREATE TYPE box AS (body text);
CREATE FUNCTION to_box(uuid) RETURNS box LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'seen: %', left($1::text, 2); RETURN ROW($1::text)::box; END $$;
CREATE CAST (uuid AS box) WITH FUNCTION to_box(uuid) AS IMPLICIT;
CREATE FUNCTION from_box(box) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT '0b000000-0000-4000-8000-000000000000'::uuid $$;
CREATE CAST (box AS uuid) WITH FUNCTION from_box(box) AS IMPLICIT;
CREATE FUNCTION gather(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'seen: %', $2; RETURN coalesce($1 || ' ', '') || $2; END $$;
CREATE AGGREGATE gathered(text) (SFUNC = gather, STYPE = text);
CREATE FUNCTION refuse_other(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR === (FUNCTION = refuse_other, LEFTARG = uuid, RIGHTARG = uuid, COMMUTATOR = ===, RESTRICT = eqsel, HASHES, MERGES);
SELECT id FROM iso.note WHERE body::spy <> '' AND id < 3 ORDER BY id;
SELECT id FROM iso.note WHERE (note::spy_row).id = 1;
SELECT id FROM iso.note WHERE (org_id::box).body <> '' AND id = 1;
SELECT count(*) FROM iso.note WHERE org_id = ROW('x')::box;
SELECT gathered(body ORDER BY id) FROM iso.note;
SELECT gathered(body) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM iso.item;
SELECT count(*) FROM iso.note WHERE org_id === :b;
SELECT count(*) FROM iso.note n JOIN iso.item i ON n.org_id === i.org_id;
INSERT INTO iso.note (id, body, org_id) VALUES (50, 'x', ROW('x')::box);
UPDATE iso.note SET org_id = ROW('x')::box WHERE id = 1;
\echo -- views of the application; what hangs on the table itself only the owner makes
CREATE RULE r AS ON SELECT TO iso.note DO INSTEAD SELECT 1;
CREATE VIEW peek AS SELECT * FROM iso.note;
CREATE VIEW peek_barrier WITH (security_barrier, security_invoker = off) AS SELECT * FROM iso.note;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM iso.note;
CREATE TABLE copied AS TABLE iso.note;
CREATE TABLE child () INHERITS (iso.note);
CREATE TABLE part PARTITION OF iso.event FOR VALUES FROM (MINVALUE) TO (0);
CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM iso.note';
CREATE FUNCTION definer_of_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET tenancy.org = 'iso-b' AS 'SELECT definer()';
CREATE STATISTICS known (mcv) ON id, body FROM iso.note;
SELECT count(*), min(body) FROM peek;
SELECT count(*), min(body) FROM peek_barrier;
SELECT count(*), min(body) FROM kept;
SELECT count(*), min(body) FROM copied;
SELECT definer(), definer_of_definer();
REFRESH MATERIALIZED VIEW kept;
SELECT count(*), min(body) FROM kept;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION tenancy.guard_new_tables();
\echo -- and without a token they show nothing, whoever made them
RESET tenancy.session_token;
SELECT count(*) FROM peek;
SELECT definer();

\echo == what a failing constraint tells: values of the own row alone
\c - :dba
SET client_min_messages = warning;
CREATE TABLE iso.booking (id int, room int, body text CHECK (body <> 'bad'), code text, EXCLUDE USING btree (room WITH =), CONSTRAINT once UNIQUE (code) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX booking_expression ON iso.booking ((body || 'x'));
SELECT tenancy.protect('iso.booking', 'iso_booking');
INSERT INTO iso.booking VALUES (101, 7, 'SECRET-B', 'SECRET-B-code', :b);
GRANT SELECT, INSERT, UPDATE, DELETE ON iso.booking TO regress_tenancy_app;
ANALYZE iso.booking;
\c - regress_tenancy_app
\set VERBOSITY verbose
SET tenancy.session_token = :'admin_a';
SELECT iso.attempt(s) FROM unnest(ARRAY[
	$$INSERT INTO iso.booking VALUES (1, 7, 'mine')$$,
	$$INSERT INTO iso.booking VALUES (1, 8, 'SECRET-' || 'B')$$,
	$$INSERT INTO iso.booking VALUES (1, 8, 'bad')$$,
	$$INSERT INTO iso.booking VALUES (1, 8, 'mine', 'SECRET-' || 'B-code'); SET CONSTRAINTS ALL IMMEDIATE$$,
	$$INSERT INTO iso.booking VALUES (1, 7, 'mine') ON CONFLICT DO NOTHING$$,
	$$INSERT INTO iso.booking (id, room, body) VALUES (1, 8, 'x'), (2, 8, 'y')$$,
	$$UPDATE iso.note SET body = NULL WHERE id = 1$$,
	$$UPDATE iso.note SET n = 2147483647 + n$$,
	$$SELECT body::int FROM iso.note$$,
	$$SELECT FROM iso.note WHERE (SELECT body FROM iso.note) = ''$$]) s;
\set VERBOSITY default

\echo == statistics of indexes
SELECT count(*) FROM pg_stats WHERE schemaname = 'iso' AND tablename ~ '^(booking|note|item|event)';
SELECT count(*) FROM pg_stats_ext_exprs;

\c - :dba
SET client_min_messages = warning;
SELECT 'rows of B are ' || CASE WHEN rows = iso.b_rows() THEN 'untouched' ELSE 'CHANGED' END FROM iso.b_before;
\set ECHO none
\i :drop
DROP SCHEMA iso_app CASCADE;
