-- What cannot be read can be told in other ways: by a function that reports its arguments, an expression that fails, a message,
-- a count in EXPLAIN, a statistic, an object that stands in for another, or an identity that changes half-way. Every row of B
-- contains SECRET-B: it stands in statements, and in results only under a heading that begins with KNOWN.
\getenv dir PG_ABS_SRCDIR
\set fixture :dir '/data/two_orgs.sql'
\set drop :dir '/data/two_orgs_drop.sql'
\set ECHO none
\i :fixture
\set ECHO all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never

-- What the application could make itself in a schema of its own: functions as cheap as they can be, and that report.
CREATE SCHEMA iso_app AUTHORIZATION regress_tenancy_app;
-- Indexes on expressions, as a DBA makes for an application. B has n = 0 in all its rows.
CREATE FUNCTION iso.shout(text) RETURNS text LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN upper($1); END $$;
SET client_min_messages = error;
CREATE INDEX note_shout ON iso.note (iso.shout(body));
SET client_min_messages = warning;
CREATE INDEX note_length ON iso.note (length(body));
CREATE INDEX note_body ON iso.note (body);
INSERT INTO iso.item (id, body, org_id) SELECT i, 'a-' || i, :a FROM generate_series(1000, 2999) i;
INSERT INTO iso.item (id, body, org_id) SELECT i, 'SECRET-B-' || i % 100, :b FROM generate_series(1000, 2999) i;
CREATE INDEX item_body ON iso.item (body);
-- Without statistics, so that all plans are the same; with dead rows, whose place is wanted.
CREATE TABLE iso.busy (id integer, body text) WITH (fillfactor = 10, autovacuum_enabled = off);
CREATE INDEX ON iso.busy (body, id);
SELECT tenancy.protect('iso.busy', 'iso_busy') \g /dev/null
GRANT SELECT ON iso.busy TO regress_tenancy_app;
INSERT INTO iso.busy (id, body, org_id) SELECT i, 'a-' || i, :a FROM generate_series(1, 1000) i;
INSERT INTO iso.busy (id, body, org_id) SELECT i, 'SECRET-B-' || i, :b FROM generate_series(1, 1000) i;
UPDATE iso.busy SET id = id + 1;
-- For parallel workers; with one index alone, which finds rows of all orgs.
CREATE TABLE iso.wide (id integer, body text) WITH (autovacuum_enabled = off, parallel_workers = 2);
SELECT tenancy.protect('iso.wide', 'iso_wide') \g /dev/null
DROP INDEX iso.wide_org_id_idx;
CREATE INDEX ON iso.wide (body) INCLUDE (org_id);
GRANT SELECT ON iso.wide TO regress_tenancy_app;
INSERT INTO iso.wide (id, body, org_id) SELECT i, 'SECRET-B-' || i % 10, :b FROM generate_series(1, 1000) i;
-- With a policy of the application's own that asks for the token, and hides a row of the org.
CREATE TABLE iso.claimed (body text);
SELECT tenancy.protect('iso.claimed', 'iso_claimed') \g /dev/null
CREATE POLICY claimed ON iso.claimed AS RESTRICTIVE USING (tenancy.claims() ->> 'sub' = body);
GRANT SELECT ON iso.claimed TO regress_tenancy_app;
INSERT INTO iso.claimed (body, org_id) VALUES ('SECRET-B-101', :a);
-- With policies of the application's own alone, which ask in a subselect.
CREATE TABLE iso.asked_once (body text PRIMARY KEY, org_id uuid);
ALTER TABLE iso.asked_once ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON iso.asked_once USING (org_id = (SELECT tenancy.current_org()));
CREATE TABLE iso.of_my_orgs (body text PRIMARY KEY, org_id uuid);
ALTER TABLE iso.of_my_orgs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON iso.of_my_orgs USING (org_id IN (SELECT o.org_id FROM tenancy.my_orgs() o));
GRANT SELECT ON iso.asked_once, iso.of_my_orgs TO regress_tenancy_app;
INSERT INTO iso.asked_once VALUES ('SECRET-B-101', :b), ('a-1', :a);
INSERT INTO iso.of_my_orgs VALUES ('SECRET-B-101', :b), ('a-1', :a);
ANALYZE iso.note, iso.item;
UPDATE iso.b_before SET rows = iso.b_rows();

\c - regress_tenancy_app
SET search_path = iso_app, public;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
CREATE FUNCTION leak_steady(text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN $1; END $$;
CREATE FUNCTION leak_eq(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: % and %', $1, $2; RETURN true; END $$;
CREATE OPERATOR <~~> (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_eq, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
\echo -- nobody but a superuser may call a function leakproof
CREATE FUNCTION quiet(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true';
ALTER FUNCTION leak(text) LEAKPROOF;
SET tenancy.session_token = :'admin_a';

\echo == a function that reports what it gets
SELECT id FROM iso.note WHERE leak(body) ORDER BY id;
SELECT id FROM iso.note WHERE leak_steady(body) <> '' AND id > 1 ORDER BY id;
SELECT id FROM iso.note WHERE leak(body) AND org_id = :b;
SELECT id FROM iso.note WHERE body <~~> 'x' AND id = 1;
SELECT leak(body) FROM iso.note WHERE id IN (1, 101);
SELECT count(*) FROM iso.note GROUP BY leak_steady(body) HAVING leak(max(body));
SELECT id FROM iso.note ORDER BY leak_steady(body) LIMIT 1;
SELECT n.id FROM iso.note n JOIN iso.line l ON leak(n.body || ' with ' || l.body) WHERE n.id <> 2;
SELECT n.id FROM iso.note n LEFT JOIN iso.line l ON n.body <~~> l.body WHERE n.id = 1;
SELECT id FROM (SELECT * FROM iso.note OFFSET 0) q WHERE leak(body);
SELECT id FROM iso.event WHERE leak(body);
SELECT id FROM iso.event_1 WHERE leak(body);
SELECT id FROM iso.note TABLESAMPLE SYSTEM (100) WHERE leak(body) AND id <> 3;
SELECT id FROM iso.note WHERE ctid = '(0,2)' AND leak(body);
SELECT id FROM iso.note WHERE leak(note::text) AND id = 1;
SELECT CASE WHEN leak(body) THEN 1 END FROM iso.note WHERE id = 3;
SELECT count(*) FILTER (WHERE leak(body)) FROM iso.note;
WITH c AS (SELECT * FROM iso.note) SELECT id FROM c WHERE leak(body) AND id < 3;
SELECT (SELECT count(*) FROM iso.note n WHERE leak(n.body) AND n.id = x) FROM generate_series(101, 101) x;
BEGIN;
UPDATE iso.note SET n = 7 WHERE leak(body) AND id <> 3 RETURNING id;
DELETE FROM iso.event WHERE leak(body) RETURNING id;
MERGE INTO iso.item t USING (VALUES (1), (7)) s (id) ON t.id = s.id AND leak(t.body) WHEN MATCHED THEN UPDATE SET body = 'x';
ROLLBACK;
INSERT INTO iso.note (id, body) VALUES (101, 'x') ON CONFLICT (id) DO UPDATE SET n = 7 WHERE leak(iso.note.body);
COPY (SELECT id FROM iso.note WHERE leak(body) AND id > 2) TO STDOUT;

\echo == expressions that fail
SELECT count(*) FROM iso.note WHERE substring(body FROM 3)::int > 0;
SELECT count(*) FROM iso.note WHERE 1 / n > 5;
SELECT id FROM iso.note ORDER BY 1 / n, id;
SELECT id FROM iso.note ORDER BY substring(body FROM 3)::int DESC;
SELECT sum(1 / n) FROM iso.note;
SELECT id FROM iso.note WHERE CASE WHEN body LIKE 'SECRET%' THEN 1 / (n - n) ELSE 1 END = 1 ORDER BY id;
SELECT count(*) FROM iso.event WHERE substring(body FROM 3)::int > 0;
SELECT count(*) FROM iso.item i JOIN iso.note n ON substring(i.body FROM 3)::int = n.id;
SELECT count(*) FROM iso.note WHERE id = 101 AND 1 / (id - 101) > 0;
\echo -- and their messages are about rows of A
SELECT count(*) FROM iso.note WHERE body::int > 0;

\echo == what is called, or fails, for some rows only, and is given nothing of them
CREATE FUNCTION tell() RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE FUNCTION tell_steady() RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0000001 AS $$ BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE FUNCTION tell_inlined(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT CASE WHEN $1 = current_setting('iso.guess') THEN tell_steady() END $$;
CREATE FUNCTION tell_rows() RETURNS SETOF iso.note LANGUAGE sql STABLE AS $$ SELECT * FROM iso.note WHERE CASE WHEN body = current_setting('iso.guess') THEN tell_steady() END $$;
CREATE VIEW told WITH (security_invoker) AS SELECT body, CASE WHEN body = current_setting('iso.guess') THEN tell_steady() END AS told FROM iso.note;
CREATE VIEW behind WITH (security_invoker, security_barrier) AS SELECT * FROM iso.note WHERE id > 0;
-- The same must happen, without an index that leaves no row to a condition, for a value that another org has and for one that nobody has.
CREATE FUNCTION pg_temp.told(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	results text[] = '{}';
	guess text;
BEGIN
	FOREACH guess IN ARRAY '{SECRET-B-101,SECRET-X-101}'::text[] LOOP
		PERFORM set_config('iso.guess', guess, false);
		results := results || iso.attempt(replace(statement, '?', quote_literal(guess)));
	END LOOP;
	RETURN CASE WHEN results[1] = results[2] THEN 'no difference: ' || results[1] ELSE 'TOLD: ' || results::text END;
END
$$;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
SELECT s, pg_temp.told(s) FROM unnest(ARRAY[
	$$SELECT FROM iso.note WHERE CASE WHEN body = ? THEN tell() END$$,
	$$SELECT FROM iso.note WHERE CASE WHEN body = ? THEN tell_steady() END$$,
	$$SELECT FROM iso.note WHERE CASE WHEN body = ? THEN set_config('no such name', '', false) IS NULL END$$,
	$$SELECT FROM iso.note WHERE CASE body WHEN ? THEN 1 / (length(current_user) - length(current_user)) IS NULL END$$,
	$$SELECT FROM iso.note WHERE body >= ? AND body <= ? AND (tell() OR n < 10)$$,
	$$SELECT FROM iso.note WHERE body >= ? AND body <= ? AND body = tell_steady()::text$$,
	$$SELECT FROM iso.note WHERE body >= ? AND body <= ? AND n = 1 / (length(current_user) - length(current_user))$$,
	$$SELECT FROM iso.note WHERE body <> ? OR tell()$$,
	$$SELECT FROM iso.note WHERE body = CASE WHEN body = ? THEN (SELECT tell()::text) ELSE '' END$$,
	$$SELECT FROM iso.note WHERE body >= ? AND body <= ? AND body > (SELECT tell()::text)$$,
	$$SELECT FROM iso.note WHERE body >= ? AND body <= ? AND body = ANY (ARRAY(SELECT tell()::text))$$,
	$$SELECT (SELECT count(*) FROM iso.note WHERE body >= ? AND body <= ? AND body > (SELECT tell()::text || x)) FROM generate_series(1, 2) x$$,
	$$SELECT FROM iso.note WHERE ARRAY[CASE WHEN body = ? THEN '{1,2}'::int[] ELSE '{1}' END, '{1}'] IS NULL$$,
	$$SELECT FROM iso.note WHERE (CASE WHEN body = ? THEN 'x'::name END)[1:2] IS NOT NULL$$,
	$$SELECT FROM iso.note WHERE CASE WHEN body = ? THEN greatest(ROW(1), ROW(current_user)) IS NULL END$$,
	$$SELECT FROM iso.note WHERE tell_inlined(body)$$,
	$$SELECT FROM tell_rows()$$,
	$$SELECT FROM told WHERE told$$,
	$$SELECT FROM behind WHERE CASE WHEN body = ? THEN tell_steady() END$$,
	$$SELECT FROM (SELECT DISTINCT body FROM iso.note) q WHERE CASE WHEN body = ? THEN tell_steady() END$$,
	$$SELECT FROM (SELECT * FROM iso.note UNION ALL SELECT * FROM iso.note) q WHERE CASE WHEN body = ? THEN tell_steady() END$$,
	$$SELECT FROM (SELECT * FROM iso.note UNION ALL SELECT * FROM iso.note) q WHERE body >= ? AND body <= ? AND body > (SELECT tell()::text)$$,
	$$SELECT FROM iso.event WHERE CASE WHEN body = ? OR id = 151 THEN tell_steady() END$$,
	$$SELECT FROM (VALUES (1)) v LEFT JOIN iso.note ON CASE WHEN body = ? THEN tell_steady() END$$,
	$$SELECT FROM (VALUES ('')) v (x) LEFT JOIN iso.note ON body >= ? AND body <= ? AND body > (SELECT tell()::text)$$,
	$$SELECT FROM iso.item i JOIN iso.note n ON i.id = n.id AND CASE WHEN n.body = ? THEN tell_steady() END$$,
	$$UPDATE iso.note SET n = n WHERE body >= ? AND body <= ? AND (tell() OR n < 10)$$,
	$$DELETE FROM iso.note WHERE CASE WHEN body = ? THEN tell_steady() END$$,
	$$MERGE INTO iso.note USING (VALUES (1)) v ON body >= ? AND body <= ? AND (tell() OR n < 10) WHEN MATCHED THEN DELETE$$]) s;
\echo -- a record without a value
CREATE FUNCTION pg_temp.unassigned(guess text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n bigint;
BEGIN
	FOR i IN 1 .. 2 LOOP
		IF i = 1 THEN
			SELECT 'x' AS f INTO r;
		ELSE
			r := NULL;
		END IF;
		SELECT count(*) INTO n FROM iso.note WHERE body >= guess AND body <= guess AND body > r.f;
	END LOOP;
	RETURN n;
END
$$;
SELECT pg_temp.told($$SELECT pg_temp.unassigned(?)$$);
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;
\echo -- a value that only a function of the DBA makes is computed before there are rows, and an index serves it
SET enable_seqscan = off;
SELECT iso.plan($$SELECT FROM iso.note WHERE body = current_setting('iso.guess')$$);
SELECT iso.plan($$SELECT FROM iso.note WHERE body = (SELECT tell()::text)$$);
SELECT iso.plan($$SELECT FROM iso.note WHERE id = ANY (ARRAY(SELECT 1))$$);
RESET enable_seqscan;
\echo -- but not one that a function of the caller makes, which would be called once more for a row
SELECT iso.plan($$SELECT FROM iso.note WHERE body = tell_steady()::text$$);

\echo == LIKE and regular expressions
SELECT count(*) FROM iso.note WHERE body LIKE 'SECRET%';
SELECT count(*) FROM iso.note WHERE body ~ '^SECRET' OR body SIMILAR TO '%B%' OR body ILIKE '%secret%';
SELECT regexp_matches(body, 'SECRET.*') FROM iso.note;

\echo == indexes on expressions
SET enable_seqscan = off;
SELECT iso.plan('SELECT id FROM iso.note WHERE iso.shout(body) = ''SECRET-B-101''');
SELECT id FROM iso.note WHERE iso.shout(body) = 'SECRET-B-101';
SELECT id FROM iso.note WHERE iso.shout(body) = 'A-1';
SELECT id FROM iso.note ORDER BY iso.shout(body) LIMIT 1;
SELECT id FROM iso.note WHERE length(body) = 12;
SELECT max(length(body)) FROM iso.note;
RESET enable_seqscan;
\echo -- an index that a leakproof condition may use first leaves the row to the policy
SELECT id FROM iso.note WHERE body = 'SECRET-B-101' AND leak(body);
SELECT max(body), min(body) FROM iso.note;

\echo == EXPLAIN
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.users SET name = 'SECRET-B-name' WHERE email = 'admin_b@iso.test';
INSERT INTO tenancy.roles (org_id, name) VALUES (:b, 'secret-b');
INSERT INTO tenancy.audit_events (org_id, database_role, action, target) VALUES (:b, 'x', 'x', 'SECRET-B-target');
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
\echo -- the first statement of a connection that has not loaded the library yet
SELECT iso.analyzed('SELECT FROM iso.note WHERE id = 101');
\echo -- whatever the plan, no count differs between a value that another org has and one that nobody has
CREATE FUNCTION pg_temp.analyzed(value text, options text, statement text DEFAULT 'SELECT FROM iso.item WHERE body = ?') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text = '';
BEGIN
	FOR line IN SELECT iso.plan(replace(statement, '?', quote_literal(value)), 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, ' || options) LOOP
		EXIT WHEN line = 'Planning:';
		-- Which of the workers was the first differs from run to run.
		result = result || regexp_replace(replace(line, value, '?'), 'Worker \d', 'Worker') || E'\n';
	END LOOP;
	RETURN result;
END
$$;
CREATE FUNCTION pg_temp.compared(options text, VARIADIC statement text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN b = x THEN 'no difference' ELSE b || x END
	FROM coalesce(statement[1], 'SELECT FROM iso.item WHERE body = ?') s, pg_temp.analyzed('SECRET-X-7', options, s) x, pg_temp.analyzed('SECRET-B-7', options, s) b
$$;
SET enable_bitmapscan = off;
SELECT pg_temp.analyzed('SECRET-B-7', 'FORMAT text');
SELECT o, pg_temp.compared(o) FROM unnest('{FORMAT text,FORMAT json,FORMAT yaml,VERBOSE,BUFFERS}'::text[]) o;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT pg_temp.analyzed('SECRET-B-7', 'FORMAT text');
SELECT o, pg_temp.compared(o) FROM unnest('{FORMAT text,FORMAT json,FORMAT yaml,VERBOSE,BUFFERS}'::text[]) o;
SET enable_seqscan = off;
RESET enable_bitmapscan;
SELECT o, pg_temp.compared(o) FROM unnest('{FORMAT text,FORMAT json,FORMAT yaml,VERBOSE,BUFFERS}'::text[]) o;
SELECT iso.analyzed('SELECT FROM iso.item WHERE body = ''SECRET-B-7'' OR body > ''SECRET-B-7'' AND body < ''SECRET-C''');
\echo -- nor does a BitmapAnd tell that it has left out a scan, as there was no row of any org before it
SELECT pg_temp.analyzed('SECRET-X-7', 'FORMAT text', 'SELECT FROM iso.busy WHERE body = ?');
SELECT o, pg_temp.compared(o, 'SELECT FROM iso.busy WHERE body = ?') FROM unnest('{FORMAT text,FORMAT json,FORMAT yaml,VERBOSE,BUFFERS}'::text[]) o;
\echo -- nor is WAL, which a row that is found has written when dead ones beside it go
SET enable_bitmapscan = off;
RESET enable_indexscan;
SELECT iso.plan(format('SELECT FROM iso.busy WHERE body = %L AND id > 0', v), 'ANALYZE, WAL, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF') FROM unnest('{SECRET-X-7,SECRET-B-7}'::text[]) v;
\echo -- nor do the counts of each worker tell, of which PostgreSQL 18 shows more than those before it
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET parallel_leader_participation = off;
SET cpu_tuple_cost = 1;
SELECT pg_temp.analyzed('SECRET-B-7', 'VERBOSE', 'SELECT FROM iso.wide WHERE body = ?');
SELECT o, pg_temp.compared(o, 'SELECT FROM iso.wide WHERE body = ?') FROM unnest('{VERBOSE,"VERBOSE, BUFFERS","VERBOSE, WAL"}'::text[]) o;
RESET enable_indexonlyscan;
SELECT pg_temp.analyzed('SECRET-B-7', 'VERBOSE', 'SELECT FROM iso.wide WHERE body = ?');
SELECT o, pg_temp.compared(o, 'SELECT FROM iso.wide WHERE body = ?') FROM unnest('{VERBOSE,"VERBOSE, BUFFERS","VERBOSE, WAL"}'::text[]) o;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
RESET enable_bitmapscan;
SELECT pg_temp.analyzed('SECRET-B-7', 'VERBOSE', 'SELECT FROM iso.wide WHERE body = ?');
SELECT o, pg_temp.compared(o, 'SELECT FROM iso.wide WHERE body = ?') FROM unnest('{VERBOSE,"VERBOSE, BUFFERS","VERBOSE, WAL"}'::text[]) o;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET parallel_leader_participation;
RESET cpu_tuple_cost;
RESET enable_seqscan;
RESET enable_indexscan;
RESET enable_indexonlyscan;
SELECT iso.analyzed(q) FROM (VALUES ('SELECT FROM iso.event'), ('SELECT FROM iso.event_1 WHERE id = 51'), ('SELECT FROM iso.note WHERE ctid = ''(0,2)''')) v (q);
PREPARE e AS SELECT FROM iso.note WHERE id = 101;
SELECT iso.analyzed('EXECUTE e');
BEGIN;
SELECT iso.analyzed('UPDATE iso.note SET n = n WHERE id = 101');
SELECT iso.analyzed('DELETE FROM iso.event_1');
ROLLBACK;
\echo -- rows of A that a condition of its own takes out are not counted either; those of a table without row security are
SELECT iso.analyzed('SELECT FROM iso.note WHERE n = 1');
SELECT iso.analyzed($$SELECT FROM iso.note n, (SELECT FROM iso.people WHERE token = '' OFFSET 0) p WHERE n.id = 1$$);
\echo -- nor if a plan keeps the condition for reading across orgs, so that no policy needs to be evaluated for a value that nobody has
SET tenancy.cross_org = on;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
SELECT o, pg_temp.compared(o) FROM unnest('{FORMAT text,FORMAT json,FORMAT yaml,VERBOSE,BUFFERS}'::text[]) o;
SELECT iso.analyzed(format('%s iso.item %s body = %L', c[1], c[2], v))
FROM unnest('{SECRET-B-7,SECRET-X-7}'::text[]) v, (VALUES ('{UPDATE,SET id = id WHERE}'::text[]), ('{DELETE FROM,WHERE}')) s (c) ORDER BY c[1];
RESET tenancy.cross_org;
\echo -- nor of what stands below the views of tenancy
CREATE FUNCTION pg_temp.view_analyzed(name text, condition text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text = '';
BEGIN
	FOR line IN SELECT iso.analyzed(format('SELECT FROM tenancy.%s WHERE ' || condition, name, value)) LOOP
		result = result || replace(line, value, '?') || E'\n';
	END LOOP;
	RETURN result;
END
$$;
CREATE FUNCTION pg_temp.view_compared(name text, condition text, secret text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN pg_temp.view_analyzed(name, condition, secret) = pg_temp.view_analyzed(name, condition, 'nobody') THEN 'no difference' ELSE
		pg_temp.view_analyzed(name, condition, secret) || pg_temp.view_analyzed(name, condition, 'nobody') END
$$;
CREATE FUNCTION pg_temp.views_compared(OUT name text, OUT difference text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT v.name, pg_temp.view_compared(v.name, condition, secret) FROM (VALUES ('members', 'email = %L', 'admin_b@iso.test'), ('members', 'name = %L', 'SECRET-B-name'),
		('permission_matrix', 'role = %L', 'secret-b'), ('audit_log', 'target = %L', 'SECRET-B-target'), ('orgs', 'slug = %L', 'iso-b')) v (name, condition, secret)
$$;
SELECT * FROM pg_temp.views_compared();
RESET enable_indexscan;
RESET enable_indexonlyscan;
SET enable_seqscan = off;
SELECT * FROM pg_temp.views_compared();
RESET enable_bitmapscan;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT * FROM pg_temp.views_compared();
RESET ALL;
\echo -- who is not held to the policies sees all counts
\c - :dba
SELECT status FROM tenancy.session();
SELECT iso.analyzed('SELECT FROM iso.note WHERE n = 1');
\echo -- among them the rows that an index alone could not answer for
CREATE INDEX item_covering ON iso.item (body) INCLUDE (org_id);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT p FROM iso.analyzed($$SELECT FROM iso.item WHERE body = 'SECRET-B-7'$$) p WHERE p <> '  Index Searches: 1';
SET SESSION AUTHORIZATION regress_tenancy_app;
SET tenancy.session_token = :'admin_a';
SELECT iso.analyzed($$SELECT FROM iso.item WHERE body = 'SECRET-B-7'$$);
RESET SESSION AUTHORIZATION;
DROP INDEX iso.item_covering;
\echo == statistics
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT count(*) FROM pg_stats WHERE schemaname = 'iso' AND tablename IN ('note', 'item', 'line', 'event', 'event_1', 'event_2');
SELECT iso.attempt(s) FROM unnest('{SELECT FROM pg_statistic,SELECT FROM pg_statistic_ext_data}'::text[]) s;
SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'iso';
SELECT count(*) FROM pg_policies WHERE schemaname = 'iso' AND (qual LIKE '%0b00%' OR with_check LIKE '%0b00%');
\echo -- KNOWN: how big a table is with the rows of all orgs is public, as it is in every PostgreSQL database
SELECT reltuples FROM pg_class WHERE oid = 'iso.item'::regclass;

\echo == sequences
\c - :dba
CREATE TABLE iso.numbered (id integer GENERATED ALWAYS AS IDENTITY, org_id uuid NOT NULL, number integer, body text, PRIMARY KEY (org_id, number));
SELECT tenancy.protect('iso.numbered', 'iso_numbered');
GRANT SELECT, INSERT ON iso.numbered TO regress_tenancy_app;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_b';
INSERT INTO iso.numbered (number, body) VALUES (1, 'SECRET-B'), (2, 'SECRET-B');
SET tenancy.session_token = :'admin_a';
SELECT iso.attempt(s) FROM unnest('{SELECT last_value FROM iso.numbered_id_seq,SELECT nextval(''iso.numbered_id_seq''),SELECT setval(''iso.numbered_id_seq'' COMMA 1)}'::text[]) x (r), replace(r, ' COMMA', ',') s;
\echo -- KNOWN: gaps in numbers from a sequence tell how many rows others made in between; a number that each org counts itself does not
INSERT INTO iso.numbered (number, body) VALUES (1, 'a') RETURNING id, number;

\echo == objects that stand in for others
\c - regress_tenancy_app
SET client_min_messages = warning;
SET tenancy.session_token = :'admin_a';
CREATE FUNCTION iso_app.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR iso_app.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = iso_app.yes);
CREATE FUNCTION iso_app.current_org() RETURNS uuid LANGUAGE sql AS $$ SELECT '0b000000-0000-4000-8000-000000000000'::uuid $$;
CREATE FUNCTION iso_app.current_org_if(text, text) RETURNS uuid LANGUAGE sql AS $$ SELECT '0b000000-0000-4000-8000-000000000000'::uuid $$;
CREATE FUNCTION iso_app.cross_org_active() RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION iso_app.uuid_eq(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION iso_app.is_administrator() RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION pg_temp.current_org() RETURNS uuid LANGUAGE sql AS $$ SELECT '0b000000-0000-4000-8000-000000000000'::uuid $$;
CREATE TEMPORARY TABLE orgs (id uuid, slug text);
CREATE TEMPORARY TABLE memberships (user_id uuid, org_id uuid);
CREATE TEMPORARY TABLE superadmins (user_id uuid);
CREATE TEMPORARY TABLE resource_types (name text, actions text[]);
CREATE TEMPORARY TABLE role_permissions (role_id uuid, resource_type text, action text);
SELECT p, set_config('search_path', p, false) <> '', iso.seen('SELECT body FROM iso.note'), iso.attempt('SELECT FROM iso.note WHERE org_id OPERATOR(iso_app.=) ''0b000000-0000-4000-8000-000000000000'''),
	iso.attempt($$UPDATE iso.note SET org_id = '0b000000-0000-4000-8000-000000000000'$$), iso.attempt($$INSERT INTO iso.note (id, body, org_id) VALUES (60, 'x', iso_app.current_org())$$),
	iso.attempt('SELECT tenancy.assert_administrator(''do anything'')'), iso.attempt('SELECT tenancy.grant_permission(''viewer'', ''delete'', ''iso_note'')')
FROM unnest('{"iso_app, pg_catalog, public","pg_temp, iso_app, pg_catalog","iso_app, tenancy, pg_temp",""}'::text[]) p;
SET search_path = iso_app, pg_catalog;
\echo -- what the default fills in is the real one
BEGIN;
INSERT INTO iso.note (id, body) VALUES (60, 'x') RETURNING org_id OPERATOR(pg_catalog.=) tenancy.current_org();
ROLLBACK;
\echo -- a temporary table of that name is another table
CREATE TEMPORARY TABLE note (id int, body text);
SET search_path = public;
SELECT count(*) FROM note;
SELECT count(*) FROM iso.note;

\echo == an identity that changes within a statement
\echo -- "both" is admin in A and viewer in B; "roleless" is admin in A and may do nothing in B
SET search_path = public;
SET tenancy.session_token = :'both';
SET tenancy.org = 'iso-a';
-- An index has the org before the first row is looked at; which plan there is must not hang on statistics.
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT iso.attempt(s) FROM unnest(ARRAY[
	$$DELETE FROM iso.line WHERE set_config('tenancy.org', 'iso-b', true) <> ''$$,
	$$DELETE FROM iso.line WHERE set_config('tenancy.org', 'iso-b', true) <> '' RETURNING body$$,
	$$DELETE FROM iso.line RETURNING set_config('tenancy.org', 'iso-b', true)$$,
	$$DELETE FROM iso.event WHERE set_config('tenancy.org', 'iso-b', true) <> ''$$,
	$$UPDATE iso.line SET body = set_config('tenancy.org', 'iso-b', true)$$,
	$$DELETE FROM iso.line l USING (SELECT i.id FROM iso.item i WHERE set_config('tenancy.org', CASE i.id WHEN 2 THEN 'iso-b' ELSE 'iso-a' END, true) <> '' OFFSET 0) i WHERE l.id <> i.id$$,
	$$WITH s AS MATERIALIZED (SELECT set_config('tenancy.org', 'iso-b', true)) DELETE FROM iso.line USING s$$,
	$$INSERT INTO iso.note (id, body, org_id) SELECT 70 + id, set_config('tenancy.org', 'iso-b', true), '0b000000-0000-4000-8000-000000000000' FROM iso.line$$,
	$$SELECT FROM iso.line, LATERAL (SELECT tenancy.switch_org('iso-b') WHERE line.id > 0) s$$,
	format('DELETE FROM iso.line WHERE set_config(''tenancy.session_token'', %L, true) <> ''''', :'admin_b')]) s;
RESET enable_indexscan;
RESET enable_bitmapscan;
SET tenancy.session_token = :'roleless';
SELECT iso.attempt(s) FROM unnest(ARRAY[
	$$SELECT FROM iso.note WHERE set_config('tenancy.org', 'iso-b', true) <> ''$$,
	$$SELECT set_config('tenancy.org', 'iso-b', true) FROM iso.note$$,
	format('SELECT FROM iso.note WHERE (tenancy.begin_session(%L)).status <> ''''', :'admin_b')]) s;
\echo -- not for the views of tenancy either: a viewer of B, who sees themself alone, is admin of A
CREATE FUNCTION pg_temp.move(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN PERFORM set_config('tenancy.org', 'iso-a', true); RETURN true; END $$;
SET tenancy.session_token = :'both';
SET tenancy.org = 'iso-b';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT email FROM tenancy.members;
SELECT iso.attempt(format('SELECT %s FROM tenancy.%s WHERE pg_temp.move(%s)', c, v, c)) FROM (VALUES ('members', 'email'), ('permission_matrix', 'role'), ('audit_log', 'target'), ('orgs', 'slug')) s (v, c);
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_sort;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET tenancy.org;
\echo -- but a function may change it between its own statements, or for one of them
CREATE FUNCTION pg_temp.tour() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text = '';
	org text;
	here uuid;
BEGIN
	FOREACH org IN ARRAY '{iso-a,iso-b,iso-a}'::text[] LOOP
		PERFORM tenancy.switch_org(org);
		here := tenancy.current_org();
		result := result || (SELECT format('%s sees %s; ', left(here::text, 2), count(*)) FROM iso.note);
	END LOOP;
	RETURN result;
END
$$;
CREATE FUNCTION pg_temp.in_a() RETURNS bigint LANGUAGE sql SET tenancy.org = 'iso-a' AS 'SELECT count(*) FROM iso.note';
CREATE FUNCTION pg_temp.in_b() RETURNS bigint LANGUAGE sql SET tenancy.org = 'iso-b' AS 'SELECT count(*) FROM iso.note';
SET tenancy.session_token = :'both';
SELECT pg_temp.tour();
SELECT pg_temp.in_a(), pg_temp.in_b(), pg_temp.in_a();
SELECT id, pg_temp.in_b() FROM iso.note ORDER BY id;
\echo -- who begins a session reads in the next statement
SELECT status, (SELECT count(*) FROM iso.note) FROM tenancy.begin_session(:'admin_a');

\echo == what a policy asks is asked whether or not a condition has found a row before it
CREATE FUNCTION pg_temp.both(statement text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN b = x THEN 'no difference: ' || b ELSE 'TOLD: ' || b || ' / ' || x END
	FROM iso.attempt(format(statement, 'SECRET-B-101')) b, iso.attempt(format(statement, 'SECRET-X-101')) x
$$;
SET tenancy.session_token = :'admin_a';
SET plan_cache_mode = force_generic_plan;
PREPARE reading (text) AS SELECT FROM iso.note WHERE body = $1;
EXECUTE reading ('x');
SET tenancy.session_token = 'garbage';
SELECT pg_temp.both('EXECUTE reading (%L)');
SET tenancy.session_token = :'expired';
SELECT pg_temp.both('EXECUTE reading (%L)');
SET tenancy.session_token = :'admin_a';
SET tenancy.cross_org = on;
PREPARE deleting (text) AS DELETE FROM iso.note WHERE body = $1;
EXECUTE deleting ('x');
SET tenancy.org = 'nowhere';
SELECT pg_temp.both('EXECUTE deleting (%L)');
RESET tenancy.org;
SET tenancy.session_token = :'viewer_a';
SELECT pg_temp.both('EXECUTE deleting (%L)');
RESET tenancy.cross_org;
RESET plan_cache_mode;
DEALLOCATE ALL;
\echo -- nor does an identity tell that changes while the statement runs, and is back in its end
CREATE FUNCTION pg_temp.go(org text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('tenancy.org', org, true) $$;
SET tenancy.session_token = :'admin_a';
SELECT pg_temp.both($$SELECT pg_temp.go('nowhere'), (SELECT count(*) FROM iso.note WHERE body = %L), pg_temp.go(''), (SELECT 1 / (count(*) - 3) FROM iso.note)$$);
SELECT pg_temp.both($$SELECT (SELECT count(*) FROM iso.note), pg_temp.go('nowhere'), (SELECT count(*) FROM iso.note WHERE body = %L), pg_temp.go('')$$);
SELECT pg_temp.both($$SELECT (SELECT count(*) FROM iso.note), pg_temp.go('nowhere'), (SELECT count(*) FROM iso.note WHERE body = %L)$$);
SELECT pg_temp.both($$SELECT set_config('tenancy.session_token', 'no.token.at.all', true), (SELECT count(*) FROM iso.claimed WHERE body = %L)$$);
SELECT count(*) FROM iso.claimed;
\echo -- nor do policies of an application that ask in a subselect, which is computed when a row needs it
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT body FROM iso.asked_once;
SELECT body FROM iso.of_my_orgs;
SELECT t, pg_temp.both(format($$SELECT set_config('tenancy.org', 'nowhere', true) UNION ALL SELECT body FROM iso.%s WHERE body = %%L$$, t)) FROM unnest('{asked_once,of_my_orgs}'::text[]) t;
SELECT t, pg_temp.both(format($$SELECT set_config('tenancy.session_token', 'no.token.at.all', true) UNION ALL SELECT body FROM iso.%s WHERE body = %%L$$, t)) FROM unnest('{asked_once,of_my_orgs}'::text[]) t;
SELECT t, pg_temp.both(format($$SELECT set_config('tenancy.session_token', 'no.token.at.all', true) UNION ALL SELECT body FROM iso.%s WHERE body = %%L UNION ALL SELECT set_config('tenancy.session_token', %L, true)$$, t, :'admin_a')) FROM unnest('{asked_once,of_my_orgs}'::text[]) t;
SET tenancy.session_token = :'expired';
SELECT t, pg_temp.both(format('SELECT FROM iso.%s WHERE body = %%L', t)) FROM unnest('{asked_once,of_my_orgs}'::text[]) t;
SET tenancy.session_token = :'admin_a';
RESET enable_seqscan;
RESET enable_bitmapscan;
\echo -- a cursor is of the identity that it was opened under, whether or not it has a row
CREATE FUNCTION pg_temp.fetch_elsewhere(guess text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c CURSOR FOR SELECT FROM iso.note WHERE body = guess;
BEGIN
	OPEN c;
	MOVE c;
	PERFORM set_config('tenancy.org', 'nowhere', true);
	MOVE c;
	RETURN 'moved';
END
$$;
SET tenancy.session_token = :'admin_a';
SELECT pg_temp.both('SELECT pg_temp.fetch_elsewhere(%L)');
RESET tenancy.session_token;
BEGIN;
SET LOCAL tenancy.session_token = :'admin_a';
DECLARE c CURSOR WITH HOLD FOR SELECT FROM iso.note WHERE body = 'SECRET-B-101';
COMMIT;
BEGIN;
SET LOCAL tenancy.session_token = :'admin_a';
DECLARE c CURSOR WITH HOLD FOR SELECT FROM iso.note WHERE body = 'SECRET-X-101';
COMMIT;
CLOSE ALL;

\echo == cursors of one identity under another
SET tenancy.session_token = :'admin_b';
RESET tenancy.org;
BEGIN;
DECLARE c CURSOR FOR SELECT body FROM iso.note ORDER BY id;
MOVE 1 FROM c;
SET LOCAL tenancy.session_token = :'admin_a';
FETCH ALL FROM c;
ROLLBACK;
BEGIN;
SET LOCAL enable_seqscan = off;
DECLARE c CURSOR FOR SELECT body FROM iso.note;
MOVE 1 FROM c;
SET LOCAL tenancy.session_token = '';
FETCH ALL FROM c;
ROLLBACK;
\echo -- not started yet: it is the one who starts it who counts
BEGIN;
DECLARE c CURSOR FOR SELECT body FROM iso.note ORDER BY id;
SET LOCAL tenancy.session_token = :'admin_a';
FETCH ALL FROM c;
COMMIT;
\echo -- WITH HOLD
DECLARE held CURSOR WITH HOLD FOR SELECT body FROM iso.note ORDER BY id;
MOVE 1 FROM held;
SET tenancy.session_token = :'admin_a';
FETCH ALL FROM held;
SELECT count(*) FROM pg_cursors WHERE name = 'held';

\c - :dba
SELECT 'rows of B are ' || CASE WHEN rows = iso.b_rows() THEN 'untouched' ELSE 'CHANGED' END FROM iso.b_before;
\set ECHO none
\i :drop
DROP SCHEMA iso_app CASCADE;
