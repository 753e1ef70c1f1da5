-- Search under isolation: after allow_pushdown() an index serves each kind of search, with the same rows as before; no function on
-- the list tells of a hidden row by an error or a message, whatever the row holds and however the query is made; and
-- revoke_pushdown() leaves everything as it was.
\getenv dir PG_ABS_SRCDIR
\set fixture :dir '/data/two_orgs.sql'
\set drop :dir '/data/two_orgs_drop.sql'
\set ECHO none
\i :fixture
\set ECHO all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never

CREATE EXTENSION pg_trgm SCHEMA iso;
CREATE EXTENSION citext SCHEMA iso;
CREATE COLLATION iso.loose (provider = icu, locale = 'und', deterministic = false);
CREATE TYPE iso.state AS ENUM ('open', 'closed', 'lost');
-- Two columns of each type, so that both arguments of an operator can be a hidden row's.
CREATE TABLE iso.doc (id integer PRIMARY KEY, name text, alias text, mail iso.citext, mail2 iso.citext, data jsonb, more jsonb,
	tags text[], labels text[], numbers integer[], span int4range, slot int4range, prices numrange, period tstzrange,
	words tsvector, query tsquery, price numeric, cost numeric, d date, t timestamp, z timestamptz,
	state iso.state, state2 iso.state, addr inet, net inet);
SELECT tenancy.protect('iso.doc', 'iso_doc');
-- So that there is no other way than by the index of the search, or by reading all.
DROP INDEX iso.doc_org_id_idx;
-- Each row of A is found by each kind of search in few others; B has as many rows.
CREATE FUNCTION iso.fill(first integer, last integer, org uuid, prefix text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO iso.doc SELECT i, prefix || i || '-Name', prefix || i, prefix || i || '@Doc.test', prefix || i || '@doc.test',
		jsonb_build_object('key', prefix || i, 'k' || i, 1), jsonb_build_object('key', prefix || i), ARRAY[prefix || i, 'all'], ARRAY[prefix || i], ARRAY[i, -1],
		int4range(i * 10, i * 10 + 5), int4range(i * 10 + 1, i * 10 + 2), numrange(i, i + 0.5), tstzrange(timestamptz '2000-01-01 UTC' + i * interval '1 day', timestamptz '2000-01-01 UTC' + i * interval '1 day' + interval '1 hour'),
		to_tsvector('simple', prefix || 'word' || i), to_tsquery('simple', prefix || 'word' || i), i, i,
		date '2000-01-01' + i, date '2000-01-01' + i, timestamptz '2000-01-01 UTC' + i * interval '1 day',
		CASE WHEN i % 4000 = 1 THEN 'lost' ELSE 'open' END::iso.state, 'closed', inet '10.0.0.0' + i, inet '10.0.0.0' + i, org
	FROM generate_series(first, last) i
$$;
SELECT iso.fill(1, 8000, :a, 'a'), iso.fill(8001, 16000, :b, 'SECRET-B');
CREATE INDEX ON iso.doc (name text_pattern_ops);
CREATE INDEX ON iso.doc (alias COLLATE "C");
CREATE INDEX ON iso.doc (lower(name));
CREATE INDEX ON iso.doc (upper(name));
CREATE INDEX ON iso.doc (mail);
CREATE INDEX doc_trigram ON iso.doc USING gin (name iso.gin_trgm_ops);
CREATE INDEX ON iso.doc USING gin (data);
CREATE INDEX ON iso.doc USING gin (more jsonb_path_ops);
CREATE INDEX ON iso.doc ((data ->> 'key'));
CREATE INDEX ON iso.doc USING gin (tags);
CREATE INDEX ON iso.doc USING gin (numbers);
CREATE INDEX ON iso.doc (labels);
CREATE INDEX ON iso.doc USING gist (span);
CREATE INDEX ON iso.doc USING gist (prices);
CREATE INDEX ON iso.doc USING gist (period);
CREATE INDEX ON iso.doc USING gin (words);
CREATE INDEX ON iso.doc (price);
CREATE INDEX ON iso.doc (z);
CREATE INDEX ON iso.doc (state);
CREATE INDEX ON iso.doc USING gist (addr inet_ops);
VACUUM ANALYZE iso.doc;
GRANT SELECT ON iso.doc TO regress_tenancy_app;

CREATE TABLE iso.search (serves text, condition text, rows text, plan text);
INSERT INTO iso.search (serves, condition) VALUES
	('pattern', $$name LIKE 'a77-%'$$), ('pattern', $$name LIKE 'a77' || '-%'$$), ('pattern', $$alias LIKE 'a777%' COLLATE "C"$$),
	('case', $$lower(name) = 'a77-name'$$), ('case', $$upper(name) = 'A77-NAME'$$), ('case', $$mail OPERATOR(iso.=) 'A77@DOC.TEST'$$),
	('trigram', $$name LIKE '%a777-N%'$$), ('trigram', $$name ILIKE '%A777-n%'$$), ('trigram', $$name OPERATOR(iso.%) 'a7777-Name'$$),
	('jsonb', $$data @> '{"key": "a77"}'$$), ('jsonb', $$more @> '{"key": "a77"}'$$), ('jsonb', $$data ? 'k77'$$), ('jsonb', $$data ?| '{k77,k78}'$$),
	('jsonb', $$data ?& '{key,k78}'$$), ('jsonb', $$data ->> 'key' = 'a77'$$),
	('array', $$tags @> '{a77}'$$), ('array', $$tags && '{a77,a78}'$$), ('array', $$tags <@ '{a77,all}'$$), ('array', $$'{77}' <@ numbers$$), ('array', $$labels = '{a77}'$$),
	('range', $$span @> 771$$), ('range', $$span && '[771,772)'$$), ('range', $$span <@ '[760,780)'$$), ('range', $$span << '[25,26)'$$), ('range', $$span -|- '[775,776)'$$),
	('range', $$span = '[770,775)'$$), ('range', $$span @> '[771,773)'$$), ('range', $$772 <@ span$$), ('range', $$span >> '[79990,79991)'$$), ('range', $$span &< '[25,36)'$$), ('range', $$span &> '[79990,79991)'$$),
	('range', $$prices @> 77.25$$), ('range', $$period @> timestamptz '2000-03-18 00:30 UTC'$$),
	('text_search', $$words @@ 'aword77'$$), ('text_search', $$to_tsquery('simple', 'aword77 | aword78') @@ words$$),
	('numeric', $$price BETWEEN 77 AND 78$$), ('time', $$z < date '2000-01-10'$$), ('enum', $$state = 'lost'$$), ('network', $$addr <<= '10.0.0.64/30'$$);
UPDATE iso.search SET rows = 'nothing';
DO $$
DECLARE
	s iso.search;
BEGIN
	FOR s IN SELECT * FROM iso.search LOOP
		EXECUTE format('UPDATE iso.search SET rows = (SELECT string_agg(id::text, '','' ORDER BY id) FROM iso.doc WHERE org_id = %L AND (%s)) WHERE condition = %L',
			'0a000000-0000-4000-8000-000000000000', s.condition, s.condition);
	END LOOP;
END
$$;
SELECT count(*) FROM iso.search WHERE rows IS NULL;
GRANT SELECT ON iso.search TO regress_tenancy_app;
CREATE TABLE iso.before AS SELECT oid, proleakproof, proacl FROM pg_proc;

-- Whether an index serves the condition; and whether the rows are those of A.
CREATE FUNCTION iso.found(condition text, expected text) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
	plan text;
	found text;
BEGIN
	SELECT string_agg(p, E'\n') INTO plan FROM iso.plan('SELECT id FROM iso.doc WHERE ' || condition) p WHERE p ~ 'Index Cond';
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM iso.doc WHERE %s', condition) INTO found;
	RETURN concat_ws(', ', CASE WHEN plan IS NULL THEN 'no index' ELSE 'index' END, CASE WHEN found IS DISTINCT FROM expected THEN 'OTHER ROWS' END);
END
$$;

-- The same by reading all rows, where it is the function itself that answers.
CREATE FUNCTION iso.read(condition text, expected text) RETURNS text LANGUAGE plpgsql SET enable_indexscan = off SET enable_indexonlyscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
	found text;
BEGIN
	EXECUTE format('SELECT string_agg(id::text, '','' ORDER BY id) FROM iso.doc WHERE %s', condition) INTO found;
	RETURN CASE WHEN found IS DISTINCT FROM expected THEN 'OTHER ROWS' ELSE 'the same' END;
END
$$;

\echo == before: no index serves a search
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT iso.found(condition, rows), count(*) FROM iso.search GROUP BY 1;

\echo == for superusers alone
SELECT iso.attempt(s) FROM unnest(ARRAY['SELECT tenancy.allow_pushdown()', 'SELECT tenancy.revoke_pushdown()', 'SELECT tenancy.pushdown_status()']) s;
\c - :dba
GRANT EXECUTE ON FUNCTION tenancy.allow_pushdown(text[]), tenancy.revoke_pushdown(text[]), tenancy.pushdown_check(text[]) TO regress_tenancy_app;
\c - regress_tenancy_app
SELECT minting.refusal('SELECT tenancy.allow_pushdown()');
SET tenancy.session_token = :'admin_a';
SELECT minting.refusal('SELECT tenancy.allow_pushdown()');
SET tenancy.session_token = :'root';
SELECT minting.refusal('SELECT tenancy.allow_pushdown()');
SELECT minting.refusal('SELECT tenancy.revoke_pushdown()');
\c - :dba
REVOKE EXECUTE ON FUNCTION tenancy.allow_pushdown(text[]), tenancy.revoke_pushdown(text[]), tenancy.pushdown_check(text[]) FROM regress_tenancy_app;
SELECT minting.refusal('SELECT tenancy.allow_pushdown(''{prefix}'')');
SELECT minting.refusal('SELECT tenancy.revoke_pushdown(''{jsonb,null}'')');
SELECT count(*) FROM tenancy.pushdown_status() WHERE allowed OR leakproof;

\echo == some kinds of search, and a function that the DBA has marked before
ALTER FUNCTION ts_match_qv(tsquery, tsvector) LEAKPROOF;
SELECT tenancy.allow_pushdown('{text_search,network}');
SELECT tenancy.allow_pushdown('{text_search,network}');
SELECT function, allowed FROM tenancy.pushdown_status() WHERE leakproof;
SELECT tenancy.revoke_pushdown('{text_search}'), tenancy.revoke_pushdown('{text_search}'), tenancy.revoke_pushdown();
SELECT function, allowed FROM tenancy.pushdown_status() WHERE leakproof OR allowed;
ALTER FUNCTION ts_match_qv(tsquery, tsvector) NOT LEAKPROOF;
SELECT action, old_values, new_values FROM tenancy.audit_log WHERE action LIKE '%pushdown' ORDER BY at;

\echo == all of them
SELECT tenancy.allow_pushdown(), tenancy.allow_pushdown();
SELECT serves, string_agg(function, ' ' ORDER BY function COLLATE "C"), reason FROM tenancy.pushdown_status() WHERE leakproof AND allowed GROUP BY serves, reason ORDER BY 1, 2;
SELECT function FROM tenancy.pushdown_status() WHERE NOT leakproof OR NOT allowed;
\echo -- where a stand-in serves, the original is as it was
SELECT oid::regprocedure FROM pg_proc WHERE proleakproof AND pronamespace = 'pg_catalog'::regnamespace AND proname IN (SELECT replace(split_part(split_part(function, '(', 1), '.', 2), 'leakproof_', '') FROM tenancy.pushdown_status() WHERE function LIKE 'tenancy.%');

\echo == after: an index serves each, and the rows are the same
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
-- The first statement of a connection may be planned before the library is loaded.
SELECT tenancy.current_org() IS NOT NULL;
SELECT iso.found(condition, rows), count(*) FROM iso.search GROUP BY 1;
SELECT serves, condition, iso.found(condition, rows) FROM iso.search WHERE iso.found(condition, rows) <> 'index';
\echo -- nor does a stand-in answer otherwise than the original
SELECT serves, condition FROM iso.search WHERE iso.read(condition, rows) <> 'the same';
SELECT iso.plan($$SELECT id FROM iso.doc WHERE name LIKE 'a77-%'$$);
SELECT iso.plan($$SELECT id FROM iso.doc WHERE data @> '{"key": "a77"}'$$);
\echo -- patterns given as parameters, through a view, and where the pattern is a column
PREPARE p (text) AS SELECT id FROM iso.doc WHERE name LIKE $1 || '%';
PREPARE q (varchar) AS SELECT id FROM iso.doc WHERE name LIKE $1;
EXPLAIN (COSTS OFF) EXECUTE p ('a77-');
EXPLAIN (COSTS OFF) EXECUTE q ('a77-%');
EXECUTE p ('a77-');
EXECUTE q ('a77-%');
\echo -- one that escapes nothing is an error, as ever
EXECUTE q ('a77\');
EXECUTE q ('a77-Name\');
SELECT iso.attempt($$SELECT FROM iso.doc WHERE name LIKE 'a77-Name\'$$);
CREATE TEMPORARY VIEW short WITH (security_invoker) AS SELECT id, name FROM iso.doc;
EXPLAIN (COSTS OFF) SELECT id FROM short WHERE name LIKE 'a77-%';
SELECT count(*) FROM iso.doc WHERE name LIKE alias || '-%';
\echo -- types and collations for which the original may fail are left to it
SELECT iso.plan($$SELECT FROM iso.doc WHERE ARRAY[ROW(id)] && ARRAY[ROW(1)] AND name LIKE 'x%' COLLATE iso.loose$$);
\echo -- rows of B that an index finds and the condition takes out are not counted
SELECT iso.analyzed($$SELECT FROM iso.doc WHERE name LIKE '%8001%SECRET-B8001-%'$$);
\echo -- who sees nothing, sees nothing
SET tenancy.session_token = :'none_a';
SELECT count(*) FROM iso.doc WHERE name LIKE 'a%';
RESET tenancy.session_token;
SELECT count(*) FROM iso.doc WHERE name LIKE 'a%' OR tags @> '{all}';

\echo == a function that the caller has made is called for visible rows only
SET tenancy.session_token = :'admin_a';
CREATE FUNCTION pg_temp.peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'sees %', $1; RETURN true; END $$;
SELECT id FROM iso.doc WHERE pg_temp.peek(name) AND span && '[79990,80015)';
CREATE FUNCTION pg_temp.leakproof(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true';

\echo == ON CONFLICT finds the index that it names
\c - :dba
CREATE TABLE iso.unique_doc (id integer, tags text[]);
SELECT tenancy.protect('iso.unique_doc', 'iso_doc');
CREATE UNIQUE INDEX ON iso.unique_doc (org_id, id) WHERE tags = '{}';
CREATE UNIQUE INDEX ON iso.unique_doc (org_id, (tags && '{a}')) WHERE tags <> '{}';
GRANT SELECT, INSERT, UPDATE ON iso.unique_doc TO regress_tenancy_app;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT tenancy.current_org() IS NOT NULL;
INSERT INTO iso.unique_doc VALUES (1, '{}'), (1, '{a}');
INSERT INTO iso.unique_doc VALUES (1, '{}') ON CONFLICT (org_id, id) WHERE tags = '{}' DO UPDATE SET id = 2 WHERE unique_doc.tags = '{}' RETURNING id;
INSERT INTO iso.unique_doc VALUES (1, '{a}') ON CONFLICT (org_id, (tags && '{a}')) WHERE tags <> '{}' DO NOTHING RETURNING id;

\echo == EXPLAIN ANALYZE counts no hidden row
SET enable_seqscan = off;
SET jit = off;
SELECT iso.analyzed($$SELECT id FROM iso.doc WHERE name LIKE 'SECRET-B%'$$);
SELECT iso.analyzed($$SELECT id FROM iso.doc WHERE tags && '{SECRET-B8001,SECRET-B8002}'$$);

\echo == rows of B that make trouble, as any argument of any function on the list
\c - :dba
CREATE TABLE iso.trouble (x text, j text, a text[], n integer[], r int4range, q tstzrange, m numrange, v tsvector, w tsquery, p numeric, d date, t timestamp, z timestamptz, i inet);
INSERT INTO iso.trouble (x) VALUES (''), ('\'), ('x\'), ('%\'), ('\\\'), ('_%%\%'), ('İıß' || chr(1)), (repeat('Ａ', 5000)), (repeat('%a', 100)), (NULL);
INSERT INTO iso.trouble (j) VALUES ('null'), ('1'), ('"a"'), ('[]'), ('{}'), ('[[[[]]]]'), ('{"": {"": []}}'), ('1e131071'), (repeat('[', 1000) || repeat(']', 1000)), ('{"key": [null, {"key": "\u00ff"}]}');
INSERT INTO iso.trouble (a, n) VALUES ('{}', '{}'), ('{NULL}', '{NULL}'), ('{{a,b},{c,d}}', '{{1,2},{3,4}}'), ('[-5:-4]={a,NULL}', '[2147483640:2147483641]={2147483647,-2147483648}'), (array_fill('x'::text, '{500}'), array_fill(0, '{500}'));
INSERT INTO iso.trouble (r, q, m) VALUES ('empty', 'empty', 'empty'), ('(,)', '(,)', '(,)'), ('[-2147483648,-2147483648]', '[-infinity,infinity]', '[NaN,NaN]'), ('[2147483646,2147483647)', '(-infinity,-infinity]', '[-infinity,infinity]'), ('(,2147483647)', '[infinity,]', '(,1e1000)');
INSERT INTO iso.trouble (v, w) VALUES ('', 'a:*'), ('a:1A,16383B', '!!a <-> (b | !c:*A)'), (array_to_tsvector(ARRAY(SELECT 'w' || i FROM generate_series(1, 500) i)), 'w1 & !w2'), ('a', '!a'), (NULL, 'a <16384> b');
INSERT INTO iso.trouble (p) VALUES ('NaN'), ('infinity'), ('-infinity'), ('1e131071'), ('1e-16383'), (0.00);
INSERT INTO iso.trouble (d, t, z) VALUES ('infinity', '-infinity', 'infinity'), ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999 UTC'), ('4714-11-24 BC', '4714-11-24 BC', '4714-11-24 00:00 UTC BC'), ('-infinity', 'infinity', '-infinity');
INSERT INTO iso.trouble (i) VALUES ('::/0'), ('0.0.0.0/0'), ('255.255.255.255'), ('ffff::1/1');
-- The indexes would refuse some of them, so there are none here.
CREATE TABLE iso.odd (LIKE iso.doc);
SELECT tenancy.protect('iso.odd', 'iso_doc');
DROP INDEX iso.odd_org_id_idx;
GRANT SELECT ON iso.odd TO regress_tenancy_app;
INSERT INTO iso.odd SELECT row_number() OVER (), o.x, p.x, o.x, p.x, coalesce(o.j, '1')::jsonb, coalesce(p.j, '{}')::jsonb, o.a, p.a, o.n, o.r, p.r, o.m, o.q, o.v, p.w, o.p, p.p, o.d, p.t, o.z, 'open', 'lost', o.i, p.i, :b
FROM iso.trouble o JOIN iso.trouble p ON (o.x IS NULL) = (p.x IS NULL) AND (o.j IS NULL) = (p.j IS NULL) AND (o.a IS NULL) = (p.a IS NULL) AND (o.r IS NULL) = (p.r IS NULL)
	AND (o.w IS NULL) = (p.w IS NULL) AND (o.p IS NULL) = (p.p IS NULL) AND (o.d IS NULL) = (p.d IS NULL) AND (o.i IS NULL) = (p.i IS NULL);
INSERT INTO iso.odd SELECT * FROM iso.doc WHERE id = 1;
ANALYZE iso.odd;
-- For each function a call of it with every pair of columns of its types, in both orders.
CREATE TABLE iso.calls (function text, call text);
INSERT INTO iso.calls
WITH columns (name, types) AS (
	VALUES ('name', '{text}'::text[]), ('alias', '{text}'), ('mail', '{citext}'), ('mail2', '{citext}'), ('data', '{jsonb}'), ('more', '{jsonb}'), ('id', '{integer}'),
		('tags', '{text[],anyarray}'), ('labels', '{text[],anyarray}'), ('span', '{anyrange}'), ('slot', '{anyrange}'), ('id', '{anyelement}'),
		('words', '{tsvector}'), ('query', '{tsquery}'), ('price', '{numeric}'), ('cost', '{numeric}'), ('state', '{anyenum}'), ('state2', '{anyenum}'),
		('d', '{date}'), ('t', '{timestamp without time zone}'), ('z', '{timestamp with time zone}'), ('addr', '{inet}'), ('net', '{inet}'))
SELECT s.function, format('%s(%s)%s', split_part(s.function, '(', 1), concat_ws(', ', x.name, CASE WHEN p.provariadic <> 0 THEN 'VARIADIC ' END || y.name, CASE WHEN p.provariadic = 0 THEN y.name END),
	CASE WHEN p.prorettype <> 'boolean'::regtype THEN ' IS NOT NULL' END)
FROM tenancy.pushdown_status() s
JOIN pg_proc p ON p.oid = s.function::regprocedure
JOIN columns x ON x.types @> ARRAY[replace(format_type(p.proargtypes[0], NULL), 'iso.', '')]
LEFT JOIN columns y ON y.types @> ARRAY[replace(format_type(p.proargtypes[1], NULL), 'iso.', '')];
INSERT INTO iso.calls (call) VALUES ('tenancy.leakproof_arraycontains(numbers, numbers)'), ('tenancy.leakproof_array_eq(numbers, numbers)'), ('tenancy.leakproof_range_overlaps(prices, prices)'),
	('tenancy.leakproof_range_adjacent(period, period)'), ('tenancy.leakproof_range_contains_elem(prices, price)'), ('tenancy.leakproof_range_contains_elem(period, z)');
GRANT SELECT ON iso.calls TO regress_tenancy_app;
\echo -- without a call: none
SELECT function FROM tenancy.pushdown_status() s WHERE NOT EXISTS (SELECT FROM iso.calls c WHERE c.function = s.function);
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
\echo -- not evaluated before the policy: none; with an error or the rows of others: none
SELECT call FROM iso.calls WHERE (SELECT string_agg(p, '') FROM iso.plan('SELECT FROM iso.odd WHERE ' || call) p WHERE p ~ ' Filter: ') NOT LIKE '%) AND (org_id = %';
SELECT call, iso.attempt('SELECT FROM iso.odd WHERE ' || call) FROM iso.calls WHERE iso.attempt('SELECT FROM iso.odd WHERE ' || call) NOT IN ('0', '1');
\echo -- the operators with columns on both sides
SELECT c, iso.attempt('SELECT FROM iso.odd WHERE ' || c) FROM unnest('{name LIKE name,name ILIKE alias,alias LIKE name,tags @> labels,labels <@ tags,tags && labels,tags = labels,span @> slot,span -|- slot,span << slot,span = slot,data @> more,more ? name}'::text[]) c;

\echo == nor does CASE, which chooses by a hidden row what is passed and what is called
\c - :dba
CREATE TYPE iso.pair AS (a json);
CREATE TYPE iso.pairs AS RANGE (subtype = iso.pair);
CREATE TABLE iso.oracle (n serial, condition text);
-- In A ids are at most 8000; 8001 is a row of B.
INSERT INTO iso.oracle (condition) VALUES
	($$'x' LIKE CASE WHEN id = 8001 THEN '\' ELSE 'x' END$$),
	($$'x' ILIKE CASE WHEN id = 8001 THEN '\' ELSE 'x' END$$),
	($$tenancy.leakproof_textlike('x', CASE WHEN id = 8001 THEN '\' ELSE 'x' END)$$),
	($$CASE WHEN id = 8001 THEN name LIKE 'x' COLLATE iso.loose ELSE true END$$),
	($$CASE WHEN id = 8001 THEN tenancy.leakproof_textlike(name, 'x' COLLATE iso.loose) ELSE true END$$),
	($$ARRAY[CASE WHEN id = 8001 THEN ROW(1) ELSE ROW('x'::text) END] @> ARRAY[ROW('x'::text)]$$),
	($$ARRAY[CASE WHEN id = 8001 THEN ROW(1) ELSE ROW('x'::text) END] = ARRAY[ROW('x'::text)]$$),
	($$tenancy.leakproof_arraycontains(ARRAY[CASE WHEN id = 8001 THEN ROW(1) ELSE ROW('x'::text) END], ARRAY[ROW('x'::text)]) IS NULL$$),
	($$CASE WHEN id = 8001 THEN '["(""{}"")",)'::iso.pairs ELSE 'empty' END <@ '["(""{}"")",)'::iso.pairs$$),
	($$tenancy.leakproof_range_contains(CASE WHEN id = 8001 THEN '["(""{}"")",)'::iso.pairs ELSE 'empty' END, '["(""{}"")",)') IS NULL$$),
	($$data @> CASE WHEN id = 8001 THEN 'null' ELSE '{}' END::jsonb$$),
	-- What is not on the list is evaluated after the policy, as ever.
	($$'x' ~ CASE WHEN id = 8001 THEN '(' ELSE 'x' END$$),
	($$to_tsvector('simple', CASE WHEN id = 8001 THEN repeat('x', 3000) ELSE 'x' END) @@ 'x'$$),
	($$1 / (8001 - id) >= 0$$),
	($$substr(alias, 2)::integer = id$$),
	($$data @@ CASE WHEN id = 8001 THEN '$.key.datetime() < "12:00"' ELSE '$.key starts with "a"' END::jsonpath$$),
	($$substr('x', 1, 8000 - id) IS NOT NULL$$);
-- Every stand-in by itself, which anybody may call.
INSERT INTO iso.oracle (condition)
SELECT format('%s(%s) IS NULL', split_part(s.function, '(', 1), CASE substring(s.function FROM '\(.*') WHEN '(text,text)' THEN $$'x', CASE WHEN id = 8001 THEN '\' ELSE 'x' END$$
	WHEN '(anyarray,anyarray)' THEN $$ARRAY[CASE WHEN id = 8001 THEN ROW(1) ELSE ROW('x'::text) END], ARRAY[ROW('x'::text)]$$
	WHEN '(anyrange,anyrange)' THEN $$CASE WHEN id = 8001 THEN '["(""{}"")",)'::iso.pairs ELSE 'empty' END, '["(""{}"")",)'$$
	WHEN '(anyrange,anyelement)' THEN $$'["(""{}"")",)'::iso.pairs, ROW('{}')::iso.pair$$
	WHEN '(anyelement,anyrange)' THEN $$ROW('{}')::iso.pair, '["(""{}"")",)'::iso.pairs$$ END)
FROM tenancy.pushdown_status() s WHERE s.function LIKE 'tenancy.%' ORDER BY s.function COLLATE "C";
GRANT SELECT ON iso.oracle TO regress_tenancy_app;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT condition, iso.attempt('SELECT FROM iso.doc WHERE ' || condition) FROM iso.oracle ORDER BY n;
\echo -- what it would be if LIKE itself were marked
\c - :dba
ALTER FUNCTION textlike(text, text) LEAKPROOF;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT condition, iso.attempt('SELECT FROM iso.doc WHERE ' || condition) FROM iso.oracle WHERE n = 1;
\c - :dba
ALTER FUNCTION textlike(text, text) NOT LEAKPROOF;

\echo == what a restored dump lacks: allowed, but not marked
ALTER FUNCTION jsonb_contains(jsonb, jsonb) NOT LEAKPROOF;
SELECT function, leakproof FROM tenancy.pushdown_status() WHERE allowed AND NOT leakproof;
SELECT tenancy.allow_pushdown();
SELECT count(*) FROM tenancy.pushdown_status() WHERE allowed AND NOT leakproof;

\echo == revoking: everything is as it was, for plans that are kept as well
SET SESSION AUTHORIZATION regress_tenancy_app;
SET tenancy.session_token = :'admin_a';
SET plan_cache_mode = force_generic_plan;
SELECT tenancy.current_org() IS NOT NULL;
PREPARE kept AS SELECT id FROM iso.doc WHERE data @> '{"key": "a77"}';
EXPLAIN (COSTS OFF) EXECUTE kept;
EXECUTE kept;
RESET SESSION AUTHORIZATION;
RESET tenancy.session_token;
SELECT tenancy.revoke_pushdown(), tenancy.revoke_pushdown();
SELECT count(*) FROM tenancy.pushdown_status() WHERE allowed OR leakproof;
SELECT b.oid::regprocedure FROM iso.before b JOIN pg_proc p USING (oid) WHERE (b.proleakproof, b.proacl::text) IS DISTINCT FROM (p.proleakproof, p.proacl::text);
SET SESSION AUTHORIZATION regress_tenancy_app;
SET tenancy.session_token = :'admin_a';
EXPLAIN (COSTS OFF) EXECUTE kept;
EXECUTE kept;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT tenancy.current_org() IS NOT NULL;
SELECT iso.found(condition, rows), count(*) FROM iso.search GROUP BY 1;

\c - :dba
\set ECHO none
\i :drop
