-- Whatever way of reading somebody in org A takes, B's rows stay out of sight. Every row of B contains SECRET-B: below, it
-- stands in statements, and in results only under a heading that begins with KNOWN, which shows what PostgreSQL's row security
-- does not cover and what an installation therefore has to keep to.
\getenv dir PG_ABS_SRCDIR
\set fixture :dir '/data/two_orgs.sql'
\set drop :dir '/data/two_orgs_drop.sql'
\set ECHO none
\i :fixture
\set ECHO all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never

\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';

\echo == plain reads
SELECT * FROM iso.note ORDER BY id;
TABLE iso.item;
SELECT t, to_jsonb(t) -> 'body' FROM iso.note t WHERE id IN (2, 102);
SELECT count(*), min(body), max(body), sum(n), array_agg(DISTINCT org_id = tenancy.current_org()) FROM iso.note;
SELECT body, row_number() OVER (ORDER BY id DESC), lag(body) OVER (ORDER BY id), count(*) OVER () FROM iso.note;
SELECT body FROM iso.note WHERE body LIKE '%SECRET%' OR org_id <> tenancy.current_org() OR true ORDER BY id;
SELECT body FROM iso.note WHERE org_id = '0b000000-0000-4000-8000-000000000000';
SELECT body FROM iso.note WHERE id IN (101, 102) OR id = 3;
SELECT DISTINCT org_id = tenancy.current_org() FROM iso.note;
SELECT id FROM iso.note UNION SELECT id FROM iso.item EXCEPT SELECT 3 ORDER BY 1;
SELECT count(*) FROM iso.note GROUP BY GROUPING SETS ((), (org_id)) ORDER BY 1;
(SELECT body FROM iso.note ORDER BY id DESC LIMIT 1) UNION ALL (SELECT body FROM iso.note ORDER BY id OFFSET 2);

\echo == where a row is
SELECT ctid, body FROM iso.note WHERE ctid = '(0,2)';
SELECT body FROM iso.note WHERE ctid IN ('(0,1)', '(0,2)', '(0,3)', '(0,4)', '(0,5)') ORDER BY id;
SELECT body FROM iso.note WHERE ctid >= '(0,2)' ORDER BY id;
SELECT body, tableoid::regclass, cmin FROM iso.note WHERE xmin::text <> '0' ORDER BY id;
SELECT body FROM iso.note TABLESAMPLE SYSTEM (100) ORDER BY id;
SELECT body FROM iso.note TABLESAMPLE BERNOULLI (100) REPEATABLE (1) ORDER BY id;

\echo == subqueries and joins
SELECT (SELECT string_agg(body, ' ' ORDER BY id) FROM iso.note);
SELECT EXISTS (SELECT FROM iso.note WHERE id = 101), 101 IN (SELECT id FROM iso.note), 102 = ANY (ARRAY(SELECT id FROM iso.note));
SELECT x, (SELECT body FROM iso.note WHERE id = x) FROM (VALUES (1), (101)) v (x);
SELECT x, body FROM (VALUES (1), (101)) v (x) LEFT JOIN LATERAL (SELECT body FROM iso.note WHERE id = x) n ON true ORDER BY x;
SELECT n.body, i.body FROM iso.note n FULL JOIN iso.item i ON i.id = n.id ORDER BY 1, 2;
SELECT n.body, l.body, i.body FROM iso.note n JOIN iso.line l ON l.note_id = n.id JOIN iso.item i ON i.id = l.item_id;
SELECT count(*) FROM iso.note n CROSS JOIN iso.note m;

\echo == CTEs
WITH c AS MATERIALIZED (SELECT * FROM iso.note) SELECT body FROM c ORDER BY id;
WITH c AS NOT MATERIALIZED (SELECT * FROM iso.note) SELECT body FROM c WHERE id > 100;
WITH RECURSIVE r AS (SELECT 1 AS id UNION ALL SELECT r.id + 1 FROM r WHERE r.id < 110)
SELECT string_agg(n.body, ' ' ORDER BY n.id) FROM r JOIN iso.note n USING (id);

\echo == partitions, through the root and directly
SELECT body FROM iso.event ORDER BY id;
SELECT body FROM ONLY iso.event;
SELECT body FROM iso.event_1;
SELECT body FROM ONLY iso.event_2;
SELECT body FROM iso.event_1 UNION ALL SELECT body FROM iso.event_2 WHERE id = 151;

\echo == COPY out
COPY iso.note (id, body) TO STDOUT;
COPY iso.event_1 (id, body) TO STDOUT;
COPY (SELECT body FROM iso.event ORDER BY id) TO STDOUT (FORMAT csv, HEADER);

\echo == row locks need the right to update
SELECT body FROM iso.note WHERE id IN (1, 101) FOR UPDATE;
SELECT body FROM iso.note WHERE id IN (1, 101) FOR NO KEY UPDATE;
SELECT body FROM iso.note WHERE id IN (1, 101) FOR SHARE;
SELECT body FROM iso.note WHERE id IN (1, 101) FOR KEY SHARE SKIP LOCKED;
SELECT l, iso.attempt_as('viewer_a', 'SELECT FROM iso.note FOR ' || l)
FROM unnest('{UPDATE,NO KEY UPDATE,SHARE,KEY SHARE}'::text[]) l;

\echo == views
\c - :dba
CREATE VIEW iso.invoker_view WITH (security_invoker) AS SELECT id, body FROM iso.note;
CREATE VIEW iso.barrier_view WITH (security_invoker, security_barrier) AS SELECT id, body FROM iso.note;
CREATE VIEW iso.dba_view AS SELECT id, body FROM iso.note;
CREATE MATERIALIZED VIEW iso.copied AS SELECT id, body FROM iso.note;
CREATE ROLE regress_iso_owner;
GRANT USAGE ON SCHEMA iso TO regress_iso_owner;
GRANT SELECT ON iso.note TO regress_iso_owner;
CREATE VIEW iso.owner_view AS SELECT id, body FROM iso.note;
ALTER VIEW iso.owner_view OWNER TO regress_iso_owner;
GRANT SELECT ON iso.invoker_view, iso.barrier_view, iso.dba_view, iso.owner_view, iso.copied TO regress_tenancy_app;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT body FROM iso.invoker_view ORDER BY id;
SELECT body FROM iso.barrier_view ORDER BY id;
\echo -- one whose owner is no superuser: row security with the rights of that owner, for the org of the session
SELECT body FROM iso.owner_view ORDER BY id;
\echo -- KNOWN: the view of a superuser without security_invoker reads as the superuser, and a materialized view is a copy: grant neither
SELECT body FROM iso.dba_view ORDER BY id;
SELECT body FROM iso.copied ORDER BY id;

\echo == functions
\c - :dba
CREATE FUNCTION iso.sql_invoker() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT body FROM iso.note ORDER BY id';
CREATE FUNCTION iso.sql_atomic() RETURNS SETOF text STABLE BEGIN ATOMIC SELECT body FROM iso.note ORDER BY id; END;
CREATE FUNCTION iso.plpgsql_invoker() RETURNS SETOF text LANGUAGE plpgsql STABLE AS
	'BEGIN RETURN QUERY SELECT body FROM iso.note ORDER BY id; END';
CREATE FUNCTION iso.plpgsql_dynamic() RETURNS SETOF text LANGUAGE plpgsql AS
	'BEGIN RETURN QUERY EXECUTE ''SELECT body FROM iso.note ORDER BY id''; END';
CREATE FUNCTION iso.plpgsql_loop() RETURNS text LANGUAGE plpgsql AS
	'DECLARE r record; t text = ''''; BEGIN FOR r IN SELECT body FROM iso.note ORDER BY id LOOP t = t || r.body || '' ''; END LOOP; RETURN t; END';
CREATE FUNCTION iso.dba_definer() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT body FROM iso.note ORDER BY id';
CREATE FUNCTION iso.owner_definer() RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT body FROM iso.note ORDER BY id';
ALTER FUNCTION iso.owner_definer() OWNER TO regress_iso_owner;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT iso.sql_invoker();
SELECT iso.sql_atomic();
SELECT iso.plpgsql_invoker();
SELECT iso.plpgsql_dynamic();
SELECT iso.plpgsql_loop();
\echo -- the same functions, plans kept, under the identity of B and under that of A again
SET tenancy.session_token = :'admin_b';
SELECT count(*) FILTER (WHERE s LIKE 'SECRET-B%') AS of_b, count(*) AS all FROM iso.sql_invoker() s;
SELECT count(*) FILTER (WHERE s LIKE 'SECRET-B%') AS of_b, count(*) AS all FROM iso.plpgsql_invoker() s;
SET tenancy.session_token = :'admin_a';
SELECT iso.plpgsql_invoker();
SELECT iso.plpgsql_loop();
\echo -- a definer that is no superuser needs what an application needs, and then is held to the org of the session
SELECT iso.owner_definer();
\c - :dba
SELECT tenancy.grant_access('regress_iso_owner');
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT iso.owner_definer();
\echo -- KNOWN: the definer of a superuser reads as the superuser: let another role own it
SELECT iso.dba_definer();

\echo == the owner of a table who is no superuser is held to the org, too: row security is forced
\c - :dba
ALTER TABLE iso.note OWNER TO regress_iso_owner;
SET SESSION AUTHORIZATION regress_iso_owner;
SELECT count(*) AS anonymous FROM iso.note;
SET tenancy.session_token = :'admin_a';
SELECT body FROM iso.note ORDER BY id;
SELECT body FROM iso.owner_view ORDER BY id;
SELECT iso.owner_definer();
SELECT iso.attempt($$INSERT INTO iso.note (id, body, org_id) VALUES (9, 'x', '0b000000-0000-4000-8000-000000000000')$$);
RESET SESSION AUTHORIZATION;
RESET tenancy.session_token;
ALTER TABLE iso.note OWNER TO CURRENT_USER;

\echo == cursors
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT body FROM iso.note ORDER BY id;
FETCH ALL FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 5 FROM c;
COMMIT;
\echo -- WITH HOLD
DECLARE c CURSOR WITH HOLD FOR SELECT body FROM iso.note ORDER BY id;
FETCH ALL FROM c;
CLOSE c;

\echo == who sees what
SELECT name, iso.attempt_as(name, 'SELECT FROM iso.note') AS note, iso.attempt_as(name, 'SELECT FROM iso.event_2') AS event_2
FROM iso.people WHERE name NOT IN ('both', 'roleless') ORDER BY name;
SELECT name, org, iso.attempt_as(name, 'SELECT FROM iso.note', org), iso.attempt_as(name, 'SELECT FROM iso.note WHERE body LIKE ''SECRET-B%''', org)
FROM (VALUES ('both'), ('roleless'), ('admin_a'), ('root')) p (name),
	(VALUES (NULL), ('iso-a'), ('iso-b'), ('0b000000-0000-4000-8000-000000000000'), ('no-such-org')) o (org);

\echo == no token and none after it is taken away
RESET tenancy.session_token;
SELECT count(*) FROM iso.note;
COPY iso.note TO STDOUT;
SELECT body FROM iso.event_1;
BEGIN;
SET LOCAL tenancy.session_token = :'admin_a';
SELECT count(*) FROM iso.note;
SAVEPOINT s;
SET LOCAL tenancy.session_token = :'admin_b';
SELECT count(*) FROM iso.note;
ROLLBACK TO s;
SELECT string_agg(body, ' ' ORDER BY id) FROM iso.note;
COMMIT;
SELECT count(*) FROM iso.note;

\echo == a token that expires, and a membership that ends, in a connection that has them cached
\c - :dba
SELECT minting.token('clerk', jsonb_build_object('sub', 'admin_a@iso.test', 'exp', extract(epoch FROM clock_timestamp())::bigint - 60)) AS late \gset
PREPARE p AS SELECT string_agg(body, ' ' ORDER BY id) FROM iso.note;
SET tenancy.session_token = :'late';
SET tenancy.clock_skew = 300;
SET ROLE regress_tenancy_app;
EXECUTE p;
RESET ROLE;
SET tenancy.clock_skew = 0;
SET ROLE regress_tenancy_app;
EXECUTE p;
SELECT status FROM tenancy.session();
RESET ROLE;
RESET tenancy.clock_skew;
SET tenancy.session_token = :'member_a';
SET ROLE regress_tenancy_app;
EXECUTE p;
RESET ROLE;
DELETE FROM tenancy.memberships m USING tenancy.users u WHERE u.id = m.user_id AND u.email = 'member_a@iso.test';
SET ROLE regress_tenancy_app;
EXECUTE p;
SELECT status FROM tenancy.session();
RESET ROLE;
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'iso-a';
SET ROLE regress_tenancy_app;
SET tenancy.session_token = :'admin_a';
EXECUTE p;
SELECT status FROM tenancy.session();

\c - :dba
\set ECHO none
SELECT 'rows of B are ' || CASE WHEN rows = iso.b_rows() THEN 'untouched' ELSE 'CHANGED' END FROM iso.b_before;
\i :drop
DROP OWNED BY regress_iso_owner;
DROP ROLE regress_iso_owner;
