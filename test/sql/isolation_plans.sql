-- Plans: whatever the planner makes of it, and however long a plan is kept, a query returns the rows of the identity it runs
-- under; and protection costs one condition on the org and one check a query. SECRET-B stands in no result: what B sees is
-- counted.
\getenv dir PG_ABS_SRCDIR
\set fixture :dir '/data/two_orgs.sql'
\set drop :dir '/data/two_orgs_drop.sql'
\set ECHO none
\i :fixture
\set ECHO all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never

-- Big enough for every kind of plan; A has 2000 rows, B 8000, of each k.
CREATE TABLE iso.big (id integer PRIMARY KEY, k integer, body text);
SELECT tenancy.protect('iso.big', 'iso_big');
INSERT INTO iso.big (id, k, body, org_id)
SELECT i, i % 99, CASE WHEN i % 5 = 0 THEN 'a-' ELSE 'SECRET-B-' END || i, CASE WHEN i % 5 = 0 THEN :a::uuid ELSE :b END
FROM generate_series(1, 10000) i;
CREATE INDEX big_k ON iso.big (k);
VACUUM ANALYZE iso.big;
GRANT SELECT, INSERT, UPDATE, DELETE ON iso.big TO regress_tenancy_app;

\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';

\echo == the shape: one condition on the org, and the permission checked once
SELECT iso.plan('SELECT * FROM iso.big');
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT iso.plan('SELECT * FROM iso.big');
\echo -- the condition of the application joins in
SELECT iso.plan('SELECT * FROM iso.big WHERE org_id = ''0b000000-0000-4000-8000-000000000000''');
SELECT count(*) FROM iso.big WHERE org_id = '0b000000-0000-4000-8000-000000000000';
RESET enable_seqscan;
RESET enable_bitmapscan;
\echo -- two protected tables that are joined by their org share it
SET enable_nestloop = off;
SELECT iso.plan('SELECT FROM iso.line l JOIN iso.item i ON i.org_id = l.org_id AND i.id = l.item_id');
RESET enable_nestloop;
\echo -- writing
SELECT iso.plan('DELETE FROM iso.note');
SELECT iso.plan('UPDATE iso.note SET body = body WHERE id = 1');
SELECT iso.plan('INSERT INTO iso.note (id, body) VALUES (1, ''x'')');
\echo -- who may not read does not start the scan
SET tenancy.session_token = :'none_a';
SELECT iso.analyzed('SELECT * FROM iso.big');
RESET tenancy.session_token;
SELECT iso.analyzed('SELECT * FROM iso.big');

\echo == estimates are those of the org
CREATE FUNCTION pg_temp.estimate() RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN n BETWEEN 1500 AND 2500 THEN 'about 2000' WHEN n BETWEEN 7000 AND 9000 THEN 'about 8000' ELSE n::text END
	FROM (SELECT substring(p FROM 'rows=(\d+)')::int FROM iso.plan('SELECT * FROM iso.big', 'COSTS ON') p LIMIT 1) q (n)
$$;
SET tenancy.session_token = :'admin_a';
SELECT pg_temp.estimate();
SET tenancy.session_token = :'admin_b';
SELECT pg_temp.estimate();

\echo == every kind of plan
CREATE FUNCTION pg_temp.counted(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n text;
BEGIN
	EXECUTE format('SELECT format(''%%s of A, %%s of B'', count(*) FILTER (WHERE body LIKE ''a-%%''), count(*) FILTER (WHERE body LIKE ''SECRET-B%%'')) FROM (%s) q', statement) INTO n;
	RETURN n;
END
$$;
CREATE FUNCTION pg_temp.scans(statement text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(substring(p FROM '(\w[\w ]*(?:Scan|Join|Loop|Append|Gather|Gather Merge)\M)'), ', ') FROM iso.plan(statement) p
$$;
SET tenancy.session_token = :'admin_a';
SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT body FROM iso.big WHERE k = 5')) v (q);
RESET enable_indexscan; RESET enable_indexonlyscan; SET enable_seqscan = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT body FROM iso.big WHERE k = 5')) v (q);
RESET enable_bitmapscan; SET enable_indexscan = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT body FROM iso.big WHERE k = 5 AND id > 0')) v (q);
RESET enable_indexscan; SET enable_bitmapscan = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT ''a-'' AS body FROM iso.big WHERE k = 5 AND org_id = tenancy.current_org()')) v (q);
RESET ALL;
SET tenancy.session_token = :'admin_a';
SELECT pg_temp.counted('SELECT a.body FROM iso.big a JOIN iso.big b USING (id) WHERE a.k = 5');
-- PostgreSQL 18 knows that it need not join.
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'enable_self_join_elimination' \g /dev/null
SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT a.body FROM iso.big a JOIN iso.big b USING (id) WHERE a.k = 5')) v (q);
RESET enable_hashjoin; SET enable_nestloop = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT a.body FROM iso.big a JOIN iso.big b USING (id) WHERE a.k = 5')) v (q);
RESET enable_mergejoin; SET enable_hashjoin = off;
SELECT pg_temp.scans(q), pg_temp.counted(q) FROM (VALUES ('SELECT a.body FROM iso.big a JOIN iso.big b USING (id) WHERE a.k = 5')) v (q);
RESET ALL;
SET tenancy.session_token = :'admin_a';
SET enable_partitionwise_join = on; SET enable_partitionwise_aggregate = on;
SELECT pg_temp.counted('SELECT e.body FROM iso.event e JOIN iso.event f USING (id)');
SELECT iso.seen('SELECT max(body) FROM iso.event GROUP BY id');
RESET ALL;

\echo == parallel plans, with workers
SET tenancy.session_token = :'admin_a';
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off; SET enable_indexonlyscan = off;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'enable_self_join_elimination' \g /dev/null
CREATE FUNCTION pg_temp.workers(statement text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN bool_or(p ~ 'Workers Launched: [1-9]') THEN 'by workers' ELSE 'BY NONE' END || ': '
		|| string_agg(substring(p FROM '(Parallel [\w ]*(?:Scan|Join|Append|Hash)\M)'), ', ')
	FROM iso.analyzed(statement) p
$$;
SELECT pg_temp.workers(q), iso.seen(q) FROM (VALUES ('SELECT count(*) || '' to '' || max(body) FROM iso.big')) v (q);
SET enable_seqscan = off;
SELECT pg_temp.workers(q), iso.seen(q) FROM (VALUES ('SELECT count(*) || '' to '' || max(body) FROM iso.big WHERE k < 50')) v (q);
RESET enable_seqscan;
SELECT pg_temp.workers(q), iso.seen(q) FROM (VALUES ('SELECT count(*) FROM iso.big a JOIN iso.big b USING (id)')) v (q);
SELECT pg_temp.workers(q), iso.seen(q) FROM (VALUES ('SELECT string_agg(body, '' '' ORDER BY body) FROM iso.event')) v (q);
\echo -- the same under others: whoever may not, may not in a worker either
SET tenancy.session_token = :'admin_b';
SELECT count(*), count(*) FILTER (WHERE body LIKE 'SECRET-B%') AS of_b FROM iso.big;
SET tenancy.session_token = :'none_a';
SELECT count(*) FROM iso.big;
SET tenancy.session_token = :'expired';
SELECT count(*) FROM iso.big;
BEGIN;
SET LOCAL tenancy.session_token = :'both';
SET LOCAL tenancy.org = 'iso-a';
SELECT pg_temp.workers('SELECT count(*) FROM iso.big');
SELECT count(*), min(body) FROM iso.big;
SET LOCAL tenancy.org = 'iso-b';
SELECT count(*), count(*) FILTER (WHERE body LIKE 'SECRET-B%') AS of_b FROM iso.big;
COMMIT;
RESET ALL;
SELECT count(*) FROM iso.big;

\echo == prepared statements under several identities
PREPARE one (int) AS SELECT format('%s of A, %s of B', count(*) FILTER (WHERE body LIKE 'a-%'), count(*) FILTER (WHERE body LIKE 'SECRET-B%')) FROM iso.big WHERE k = $1;
PREPARE page AS SELECT body FROM iso.note ORDER BY id LIMIT 2;
PREPARE parts AS SELECT count(*) FROM iso.event;
CREATE FUNCTION pg_temp.executions(mode text, times int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	who text;
	answer text;
	answers text[] := '{}';
BEGIN
	PERFORM set_config('plan_cache_mode', mode, true);
	FOR i IN 1..times LOOP
		FOREACH who IN ARRAY '{admin_a,admin_b,anonymous,none_a,viewer_a}'::text[] LOOP
			PERFORM tenancy.begin_session((SELECT p.token FROM iso.people p WHERE p.name = who));
			EXECUTE 'EXECUTE one (5)' INTO answer;
			answers := answers || (who || ': ' || answer);
		END LOOP;
	END LOOP;
	RETURN QUERY SELECT format('%s, %s times', a, count(*)) FROM unnest(answers) a GROUP BY a ORDER BY a;
END
$$;
SELECT pg_temp.executions('force_generic_plan', 3);
SELECT pg_temp.executions('force_custom_plan', 3);
DEALLOCATE one;
PREPARE one (int) AS SELECT format('%s of A, %s of B', count(*) FILTER (WHERE body LIKE 'a-%'), count(*) FILTER (WHERE body LIKE 'SECRET-B%')) FROM iso.note WHERE n < $1;
SELECT pg_temp.executions('auto', 8);
SELECT CASE WHEN generic_plans > 0 THEN 'a generic plan was used' ELSE 'ONLY CUSTOM PLANS' END FROM pg_prepared_statements WHERE name = 'one';
\echo -- the plan that is kept has the functions in it, not what they answered
SET plan_cache_mode = force_generic_plan;
SET tenancy.session_token = :'admin_a';
EXPLAIN (COSTS OFF) EXECUTE page;
EXECUTE page;
EXECUTE parts;
SET tenancy.session_token = :'viewer_a';
EXECUTE page;
RESET tenancy.session_token;
EXECUTE page;
EXECUTE parts;
SET tenancy.session_token = :'expired';
EXECUTE page;
SET tenancy.session_token = :'root';
EXECUTE page;
\echo -- writing
PREPARE w (int) AS UPDATE iso.note SET n = n + 1 WHERE id = $1 RETURNING id;
BEGIN;
SET LOCAL tenancy.session_token = :'admin_a';
EXECUTE w (1);
EXECUTE w (101);
SAVEPOINT s;
SET LOCAL tenancy.session_token = :'viewer_a';
EXECUTE w (1);
ROLLBACK TO s;
SET LOCAL tenancy.session_token = :'admin_b';
EXECUTE w (1);
EXECUTE w (101);
ROLLBACK;

\echo == reading across orgs is for superadmins, and ends when it is switched off
PREPARE every AS SELECT count(*) FROM iso.note;
RESET plan_cache_mode;
SELECT name, off, "on", off_again FROM (VALUES ('root'), ('admin_a'), ('both'), ('anonymous'), ('none_a')) p (name),
	LATERAL (SELECT iso.attempt_as(name, 'SELECT FROM iso.note') AS off, set_config('tenancy.cross_org', 'on', false) AS s1) x,
	LATERAL (SELECT iso.attempt_as(name, 'SELECT FROM iso.note') AS "on", set_config('tenancy.cross_org', 'off', false) AS s2) y,
	LATERAL (SELECT iso.attempt_as(name, 'SELECT FROM iso.note') AS off_again) z;
SET tenancy.session_token = :'root';
EXECUTE every;
SET tenancy.cross_org = on;
EXECUTE every;
SELECT count(*) FROM iso.event_1;
SELECT iso.attempt(s) FROM unnest(ARRAY['UPDATE iso.note SET body = ''x''', 'DELETE FROM iso.note WHERE id = 101', 'SELECT FROM iso.note FOR UPDATE',
	$$INSERT INTO iso.note (id, body, org_id) VALUES (50, 'x', '0b000000-0000-4000-8000-000000000000')$$]) s;
SET tenancy.session_token = :'admin_a';
EXECUTE every;
SET tenancy.session_token = :'root';
SET tenancy.cross_org = off;
EXECUTE every;
SET plan_cache_mode = force_generic_plan;
SET tenancy.cross_org = on;
EXECUTE every;
SET tenancy.session_token = :'viewer_a';
EXECUTE every;
SET tenancy.cross_org = off;
EXECUTE every;

\c - :dba
SELECT 'rows of B are ' || CASE WHEN rows = iso.b_rows() THEN 'untouched' ELSE 'CHANGED' END FROM iso.b_before;
\set ECHO none
\i :drop
