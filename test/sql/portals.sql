-- Rows that were put aside under one identity are not handed out under another: cursors WITH HOLD, and statements that ran
-- to their end before the first row is fetched.
SELECT current_user AS admin \gset
SET client_min_messages = warning;
SELECT minting.token('clerk', '{"sub": "portals-alice"}') AS alice, minting.token('clerk', '{"sub": "portals-bob"}') AS bob \gset
SELECT FROM minting.enrol('portals-alice', 'portals-acme', 'admin');
SELECT FROM minting.enrol('portals-bob', 'portals-beta', 'admin');
CREATE TABLE portals_note (id int, body text);
SELECT tenancy.protect('portals_note', 'portals_note');
INSERT INTO portals_note SELECT g, 'of ' || o.slug, o.id FROM tenancy.organizations o, generate_series(1, 4) g WHERE o.slug IN ('portals-acme', 'portals-beta');
GRANT ALL ON portals_note TO regress_tenancy_app;
\c - regress_tenancy_app
SET client_min_messages = warning;

\echo == WITH HOLD under a token that lasts: for the same identity, and gone with it
SET tenancy.session_token = :'alice';
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM portals_note ORDER BY id;
COMMIT;
FETCH held;
SELECT name FROM pg_cursors;
SET tenancy.session_token = :'bob';
SELECT name FROM pg_cursors;
FETCH held;

\echo == gone in the moment of SET, since a driver may fetch from a portal without a statement
SET tenancy.session_token = :'alice';
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM portals_note ORDER BY id;
COMMIT;
SELECT name FROM pg_cursors WHERE set_config('tenancy.session_token', :'bob', false) IS NOT NULL;
SELECT name FROM pg_cursors;

\echo == a token that ends with its transaction takes its rows with it
RESET tenancy.session_token;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM portals_note ORDER BY id;
COMMIT;
SELECT name FROM pg_cursors;
BEGIN;
SELECT status FROM tenancy.begin_session(:'alice');
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM portals_note ORDER BY id;
COMMIT;
SELECT name FROM pg_cursors;
\echo -- as well where the token is asked for only as the cursor is rewound, which evaluates the key of its index scan
SET enable_seqscan = off;
SET enable_bitmapscan = off;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
EXPLAIN (COSTS OFF) SELECT body FROM portals_note;
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM portals_note;
COMMIT;
SELECT name FROM pg_cursors;
RESET enable_seqscan;
RESET enable_bitmapscan;

\echo == without a token, and without a protected table, a cursor is as ever
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM portals_note ORDER BY id;
DECLARE numbers CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 3) g;
COMMIT;
FETCH ALL held;
FETCH numbers;
SET tenancy.session_token = :'alice';
FETCH numbers;
CLOSE ALL;

\echo == a cursor that goes forward alone: more rows are for the same identity, and at its end there are none
BEGIN;
DECLARE forward NO SCROLL CURSOR FOR SELECT body FROM portals_note ORDER BY id;
FETCH 2 forward;
SET LOCAL tenancy.session_token = :'bob';
FETCH forward;
ROLLBACK;
BEGIN;
DECLARE forward NO SCROLL CURSOR FOR SELECT body FROM portals_note ORDER BY id;
FETCH ALL forward;
SET LOCAL tenancy.session_token = :'bob';
FETCH forward;
FETCH ABSOLUTE 1 forward;
ROLLBACK;

\echo == whose partitions are read is settled when a cursor is declared, and nobody else fetches from it
\c - :admin
SET client_min_messages = warning;
CREATE TABLE portals_part (org_id uuid, body text) PARTITION BY HASH (org_id);
SELECT format('CREATE TABLE portals_part_%s PARTITION OF portals_part FOR VALUES WITH (MODULUS 4, REMAINDER %s)', n, n) FROM generate_series(0, 3) n \gexec
SELECT tenancy.protect('portals_part', 'portals_note');
INSERT INTO portals_part SELECT id, 'of ' || slug FROM tenancy.organizations WHERE slug IN ('portals-acme', 'portals-beta');
GRANT ALL ON portals_part TO regress_tenancy_app;
\c - regress_tenancy_app
SET client_min_messages = warning;
SET tenancy.session_token = :'alice';
BEGIN;
DECLARE part CURSOR FOR SELECT body FROM portals_part;
SET LOCAL tenancy.session_token = :'bob';
SELECT body FROM portals_part;
FETCH part;
ROLLBACK;
BEGIN;
DECLARE part CURSOR FOR SELECT body FROM portals_part;
SET LOCAL tenancy.session_token = '';
FETCH part;
ROLLBACK;
BEGIN;
DECLARE part CURSOR FOR SELECT body FROM portals_part;
SET LOCAL tenancy.session_token = :'bob';
SET LOCAL tenancy.session_token = :'alice';
FETCH part;
COMMIT;

\echo == a statement with RETURNING has run before its first row is fetched
CREATE FUNCTION pg_temp.fetch_under_another(other text, statement text DEFAULT 'UPDATE portals_note SET id = id RETURNING body') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	changed refcursor;
	body text;
BEGIN
	OPEN changed FOR EXECUTE statement;
	FETCH changed INTO body;
	RETURN NEXT body;
	FETCH changed INTO body;
	RETURN NEXT body;
	PERFORM set_config('tenancy.session_token', other, true);
	FETCH changed INTO body;
	RETURN NEXT body;
END
$$;
-- Without the context, which names the temporary schema.
\set VERBOSITY terse
SELECT pg_temp.fetch_under_another(:'alice');
SELECT pg_temp.fetch_under_another(:'bob');
\echo -- so has a prepared one
PREPARE prepared AS SELECT body FROM portals_note;
SELECT pg_temp.fetch_under_another(:'alice', 'EXECUTE prepared');
SELECT pg_temp.fetch_under_another(:'bob', 'EXECUTE prepared');

\c - :admin
SET client_min_messages = warning;
\echo == what the functions of a statement ask, however often, is remembered of it once
LOAD 'tenancy';
CREATE FUNCTION pg_temp.ask(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM status FROM tenancy.session(); RETURN i; END';
CREATE FUNCTION pg_temp.used() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT used_bytes FROM pg_backend_memory_contexts WHERE name = 'TopMemoryContext'); END $$;
CREATE TEMPORARY TABLE asked (i int);
SET tenancy.session_token = :'alice';
WITH a AS (INSERT INTO asked SELECT pg_temp.ask(i) FROM generate_series(1, 1000) i RETURNING pg_temp.used())
SELECT CASE WHEN max(used) - min(used) < 50000 THEN 'as large as before' ELSE 'larger by ' || max(used) - min(used) END FROM a;
RESET tenancy.session_token;
DROP TABLE portals_note, portals_part;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'portals_note';
DELETE FROM tenancy.resource_types WHERE name = 'portals_note';
DELETE FROM tenancy.organizations WHERE slug IN ('portals-acme', 'portals-beta');
DELETE FROM tenancy.users WHERE id IN (minting.user_id('portals-alice'), minting.user_id('portals-bob'));
