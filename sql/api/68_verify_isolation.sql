-- verify_isolation(): tries, in every protected table, what must not be possible, and undoes it.
--
-- Why it exists: doctor() compares what is there with what should be. This asks PostgreSQL itself, as an application's role and with
-- tokens that go through all of tenancy, so that it also finds what nobody thought of looking for.
--
-- Invariants:
--   * For superusers. Everything happens in a subtransaction that is always rolled back: an issuer with a key that nobody knows, its
--     users, orgs and rows. Other connections never see them, and nothing of them can be used afterwards.
--   * No code of a table's owner runs with the superuser's rights: rows are made, found and compared as the owner, attempts are made as
--     the application's role. Neither can become anybody else. A table whose partitions bring code of other owners is not tried.
--   * An attempt is judged by what happened, not by what is defined. One that could not be made has not passed.
--   * The result says nothing of what is in a row.

CREATE OR REPLACE FUNCTION tenancy.run_as_role(role regrole, target regclass, statement text)
RETURNS bigint LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_run_as_role';
COMMENT ON FUNCTION tenancy.run_as_role(regrole, regclass, text) IS 'Internal: runs a statement on a table as a role may, under the token in force; returns the number of rows. For superusers.';

CREATE OR REPLACE FUNCTION tenancy.hmac_sha256(message bytea, secret bytea)
RETURNS bytea LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_hmac_sha256';
COMMENT ON FUNCTION tenancy.hmac_sha256(bytea, bytea) IS 'Internal: HMAC with SHA-256.';

CREATE OR REPLACE FUNCTION tenancy.isolation_base64url(value bytea)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT translate(encode(value, 'base64'), E'+/=\n', '-_')
$$;
COMMENT ON FUNCTION tenancy.isolation_base64url(bytea) IS 'Internal: as JSON Web Tokens are written.';

CREATE OR REPLACE FUNCTION tenancy.isolation_token(secret bytea, issuer text, subject text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT signed.part || '.' || tenancy.isolation_base64url(tenancy.hmac_sha256(convert_to(signed.part, 'UTF8'), isolation_token.secret))
	FROM (SELECT floor(extract(epoch FROM statement_timestamp()))::bigint) clock (now)
	CROSS JOIN LATERAL (SELECT tenancy.isolation_base64url(convert_to('{"alg":"HS256"}', 'UTF8')) || '.'
		|| tenancy.isolation_base64url(convert_to(jsonb_build_object('iss', isolation_token.issuer, 'sub', isolation_token.subject,
			'iat', clock.now, 'exp', clock.now + 3600, 'auth_time', clock.now)::text, 'UTF8'))) signed (part)
$$;
COMMENT ON FUNCTION tenancy.isolation_token(bytea, text, text) IS 'Internal: a token of the issuer that verify_isolation() makes.';

-- ---------------------------------------------------------------------------------------------
-- Who tries: three users of an issuer of their own
-- ---------------------------------------------------------------------------------------------

-- Active, and nobody's yet.
CREATE OR REPLACE FUNCTION tenancy.isolation_org()
RETURNS uuid LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO tenancy.organizations (slug, name) VALUES ('i' || replace(gen_random_uuid()::text, '-', ''), 'verify_isolation()') RETURNING id
$$;
COMMENT ON FUNCTION tenancy.isolation_org() IS 'Internal: makes an org for verify_isolation().';

-- A session is the name of a user, or "no token".
CREATE OR REPLACE FUNCTION tenancy.isolation_sessions(OUT tokens jsonb, OUT users jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	issuer_name text := 'https://' || gen_random_uuid() || '.invalid';
	secret bytea := sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));
	session_name text;
	new_id uuid;
BEGIN
	PERFORM tenancy.trust_issuer(issuer_name, jsonb_build_object('keys', jsonb_build_array(
		jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'k', tenancy.isolation_base64url(secret)))), claims => '{"preset": "oidc"}');
	users := '{}';
	tokens := '{"no token": ""}';
	FOREACH session_name IN ARRAY '{another org,own org,no permission}'::text[] LOOP
		INSERT INTO tenancy.users (name) VALUES (session_name) RETURNING id INTO new_id;
		INSERT INTO tenancy.identities (issuer_id, subject, user_id)
		SELECT i.id, session_name, new_id FROM tenancy.issuers i WHERE i.issuer = issuer_name;
		users := users || jsonb_build_object(session_name, new_id);
		tokens := tokens || jsonb_build_object(session_name, tenancy.isolation_token(secret, issuer_name, session_name));
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_sessions() IS 'Internal: makes the users that verify_isolation() tries as; their tokens and ids, by the name of the session.';

-- Whatever the table's resource type knows is granted, and nothing on another: code in the table's way runs with these tokens. Which type
-- it is say the policies, hence the owner: never one of tenancy's own.
CREATE OR REPLACE FUNCTION tenancy.isolation_enrol(user_id uuid, org_id uuid, resource_type text)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	new_role uuid;
BEGIN
	INSERT INTO tenancy.roles (name) VALUES ('i' || replace(gen_random_uuid()::text, '-', '')) RETURNING id INTO new_role;
	INSERT INTO tenancy.role_permissions (role_id, resource_type, action)
	SELECT new_role, t.name, a FROM tenancy.resource_types t, unnest(t.actions) a WHERE t.name = isolation_enrol.resource_type AND NOT t.shipped;
	INSERT INTO tenancy.memberships (user_id, org_id) VALUES (isolation_enrol.user_id, isolation_enrol.org_id);
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) VALUES (isolation_enrol.user_id, isolation_enrol.org_id, new_role);
END
$$;
COMMENT ON FUNCTION tenancy.isolation_enrol(uuid, uuid, text) IS 'Internal: makes a user of verify_isolation() a member, with every permission on a resource type or, if that is null, with none.';

-- ---------------------------------------------------------------------------------------------
-- A row to try with
-- ---------------------------------------------------------------------------------------------

-- What a check of the column, or of its domain, names is what it is likely to accept: its constants, the numbers beside them if it compares,
-- and text of that length. They take turns with what isolation_value() makes up, which has the first two.
CREATE OR REPLACE FUNCTION tenancy.isolation_checked_value(target regclass, attnum int2, turn integer)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE base AS (
		SELECT t.oid, t.typcategory, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = isolation_checked_value.target AND a.attnum = isolation_checked_value.attnum
		UNION ALL
		SELECT t.oid, t.typcategory, t.typbasetype FROM pg_type t JOIN base b ON t.oid = b.typbasetype),
	candidate AS (
		SELECT CASE WHEN m.found[2] IS NULL THEN replace(m.found[1], '''''', '''')
				WHEN b.typcategory = 'N' THEN (m.found[2]::numeric + n.step)::text
				WHEN b.typcategory = 'S' AND m.found[2] ~ '^\d{1,3}$' THEN repeat('v', m.found[2]::integer + n.step)
				ELSE m.found[2] END AS value,
			row_number() OVER (ORDER BY abs(n.step), n.step DESC, c.oid, m.place) - 1 AS place, count(*) OVER () AS candidates
		FROM base b CROSS JOIN pg_constraint c
		CROSS JOIN LATERAL (SELECT pg_get_expr(c.conbin, c.conrelid)) e (expression)
		CROSS JOIN LATERAL regexp_matches(e.expression, '''((?:[^'']|'''')*)''|\m(\d+(?:\.\d+)?)\M', 'g') WITH ORDINALITY m (found, place)
		JOIN (VALUES (0), (1), (-1)) n (step) ON n.step = 0 OR m.found[2] IS NOT NULL AND e.expression ~ '[<>] '
		WHERE b.typbasetype = 0 AND c.contype = 'c' AND (c.contypid IN (SELECT d.oid FROM base d)
			OR c.conrelid = isolation_checked_value.target AND c.conkey = ARRAY[isolation_checked_value.attnum]))
	SELECT c.value FROM candidate c
	WHERE isolation_checked_value.turn > 2 AND isolation_checked_value.turn % 2 = 1 AND c.place = (isolation_checked_value.turn / 2 - 1) % c.candidates
$$;
COMMENT ON FUNCTION tenancy.isolation_checked_value(regclass, int2, integer) IS 'Internal: some value that the checks of a column name, as text; null if it is not its turn.';

-- Not what the column means: something of its type. Two kinds take turns, since a check may accept one only. Null for a type that
-- nothing is known of.
CREATE OR REPLACE FUNCTION tenancy.isolation_value(type oid, turn integer)
RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE base AS (
		SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype FROM pg_type t WHERE t.oid = isolation_value.type
		UNION ALL
		SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype FROM pg_type t JOIN base b ON t.oid = b.typbasetype)
	SELECT CASE
		WHEN b.typtype = 'e' THEN (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder LIMIT 1)
		WHEN b.typtype = 'r' THEN 'empty'
		WHEN b.typtype = 'm' OR b.typcategory = 'A' THEN '{}'
		WHEN b.typname IN ('json', 'jsonb') THEN '{}'
		WHEN b.typname IN ('bytea', 'tsvector') THEN ''
		WHEN b.typname = 'uuid' THEN gen_random_uuid()::text
		WHEN b.typname = 'xml' THEN '<v/>'
		WHEN b.typname = 'point' THEN '(0,0)'
		WHEN b.typtype = 'c' THEN (SELECT '(' || repeat(',', count(*)::integer - 1) || ')' FROM pg_type c JOIN pg_attribute a ON a.attrelid = c.typrelid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.oid = b.oid)
		WHEN b.oid = '"char"'::regtype THEN 'v'
		ELSE CASE b.typcategory
			WHEN 'S' THEN 'v' || left(replace(gen_random_uuid()::text, '-', ''), 12) || CASE WHEN isolation_value.turn % 2 = 0 THEN '@example.com' ELSE '' END
			WHEN 'N' THEN CASE WHEN isolation_value.turn % 4 = 3 THEN '0' ELSE (1 + floor(random() * CASE WHEN isolation_value.turn % 2 = 0 THEN 9 WHEN b.typname IN ('int4', 'int8') THEN 1000000000 ELSE 30000 END))::integer::text END
			WHEN 'B' THEN 'false'
			WHEN 'D' THEN CASE isolation_value.turn % 4 WHEN 2 THEN 'infinity' WHEN 0 THEN '-infinity' ELSE 'now' END
			WHEN 'T' THEN '1 day'
			WHEN 'I' THEN '127.0.0.1'
			WHEN 'V' THEN '0' END END
	FROM base b WHERE b.typbasetype = 0
$$;
COMMENT ON FUNCTION tenancy.isolation_value(oid, integer) IS 'Internal: some value of a type, as text.';

-- The columns that partitions are chosen by, on the way to a table and below it; with a value that leads into one, where the bounds of
-- some partition name such.
CREATE OR REPLACE FUNCTION tenancy.isolation_bounds(target regclass, OUT column_name name, OUT value text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH leaf AS (
		SELECT x.relid FROM pg_partition_tree(isolation_bounds.target) x JOIN pg_class c ON c.oid = x.relid
		WHERE x.isleaf ORDER BY pg_get_expr(c.relpartbound, c.oid) ~ '^DEFAULT|MINVALUE', x.relid LIMIT 1)
	SELECT a.attname, CASE WHEN l.word ~ '^''' THEN replace(substr(l.word, 2, length(l.word) - 2), '''''', '''')
		WHEN l.word NOT IN ('MINVALUE', 'MAXVALUE', 'NULL') THEN l.word END
	FROM (SELECT i.inhparent AS parent, pg_get_expr(c.relpartbound, c.oid) AS bounds
		FROM leaf CROSS JOIN LATERAL pg_partition_ancestors(leaf.relid) x JOIN pg_class c ON c.oid = x.relid JOIN pg_inherits i ON i.inhrelid = c.oid
		UNION ALL SELECT isolation_bounds.target, NULL) p
	JOIN pg_partitioned_table k ON k.partrelid = p.parent
	CROSS JOIN LATERAL unnest(k.partattrs::int2[]) WITH ORDINALITY u (attnum, place)
	JOIN pg_attribute a ON a.attrelid = k.partrelid AND a.attnum = u.attnum
	LEFT JOIN LATERAL (SELECT m.found[1] AS word, m.place FROM regexp_matches(
		substring(p.bounds FROM '^FOR VALUES (?:FROM|IN) \((.*)$'), '(''(?:[^'']|'''')*''|[^ ,()'']+)', 'g') WITH ORDINALITY m (found, place)) l
		ON l.place = u.place
$$;
COMMENT ON FUNCTION tenancy.isolation_bounds(regclass) IS 'Internal: the partition keys of a table and of those that it is a partition of, with a value where the bounds name one.';

-- Columns of a unique key or an exclusion constraint across orgs, which would refuse a second row with the same value; and what its
-- expressions and generated columns are made of.
CREATE OR REPLACE FUNCTION tenancy.isolation_keys(target regclass, org_column name, OUT index_id oid, OUT attnum int2)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH key AS (
		SELECT i.indexrelid, d.refobjsubid::int2 AS attnum
		FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
		WHERE i.indrelid = isolation_keys.target AND i.indexprs IS NOT NULL AND (i.indisunique OR i.indisexclusion) AND d.refobjsubid > 0
		UNION
		SELECT i.indexrelid, k.attnum FROM pg_index i, unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k (attnum)
		WHERE i.indrelid = isolation_keys.target AND (i.indisunique OR i.indisexclusion))
	SELECT k.indexrelid, c.attnum FROM key k CROSS JOIN LATERAL (
		SELECT k.attnum
		UNION SELECT d.refobjsubid::int2 FROM pg_attrdef g JOIN pg_attribute a ON a.attrelid = g.adrelid AND a.attnum = g.adnum AND a.attgenerated <> ''
		JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = g.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = g.adrelid
		WHERE g.adrelid = isolation_keys.target AND g.adnum = k.attnum) c (attnum)
	WHERE k.indexrelid NOT IN (SELECT o.indexrelid FROM key o JOIN pg_attribute a ON a.attrelid = isolation_keys.target AND a.attnum = o.attnum
		AND a.attname = isolation_keys.org_column)
$$;
COMMENT ON FUNCTION tenancy.isolation_keys(regclass, name) IS 'Internal: the columns of a table''s unique keys that do not hold the org column.';

-- Given a row, everything is taken from it; for another row like it, all but its keys. Without one, what has a default gets that, and
-- what must not be null some value. A writer who may not set all columns sets those that they may.
CREATE OR REPLACE FUNCTION tenancy.isolation_insert(target regclass, org_column name, org uuid, given jsonb DEFAULT NULL, another boolean DEFAULT false, turn integer DEFAULT 1,
	writer regrole DEFAULT NULL)
RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH bound AS MATERIALIZED (SELECT b.column_name, max(b.value) AS value FROM tenancy.isolation_bounds(isolation_insert.target) b GROUP BY 1),
	key AS MATERIALIZED (SELECT DISTINCT k.attnum FROM tenancy.isolation_keys(isolation_insert.target, isolation_insert.org_column) k),
	cell AS MATERIALIZED (
		SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) AS type, CASE
			WHEN a.attname = isolation_insert.org_column THEN quote_literal(isolation_insert.org)
			WHEN isolation_insert.given ? a.attname AND (NOT isolation_insert.another OR k.attnum IS NULL OR b.column_name IS NOT NULL)
				THEN quote_nullable(isolation_insert.given ->> a.attname)
			WHEN b.value IS NOT NULL THEN quote_literal(b.value)
			-- A default may lead past the default partition.
			WHEN (a.atthasdef OR a.attidentity <> '') AND (b.column_name IS NULL OR isolation_insert.turn % 2 = 1) THEN NULL
			WHEN a.attnotnull OR k.attnum IS NOT NULL OR t.typnotnull OR b.column_name IS NOT NULL THEN quote_literal(coalesce(
				tenancy.isolation_checked_value(a.attrelid, a.attnum, isolation_insert.turn), tenancy.isolation_value(a.atttypid, isolation_insert.turn)))
			END AS literal
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN key k ON k.attnum = a.attnum
		LEFT JOIN bound b ON b.column_name = a.attname
		WHERE a.attrelid = isolation_insert.target AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
			AND (isolation_insert.writer IS NULL OR NOT has_any_column_privilege(isolation_insert.writer, isolation_insert.target, 'INSERT')
				OR has_column_privilege(isolation_insert.writer, isolation_insert.target, a.attnum, 'INSERT')))
	SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', isolation_insert.target,
		string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum), string_agg(format('%s::%s', c.literal, c.type), ', ' ORDER BY c.attnum))
	FROM cell c WHERE c.literal IS NOT NULL
$$;
COMMENT ON FUNCTION tenancy.isolation_insert(regclass, name, uuid, jsonb, boolean, integer, regrole) IS 'Internal: the statement that inserts a row for an org, of given values or made up.';

-- A statement on a table runs the checks and index expressions of its partitions and children, and the partition keys above it.
CREATE OR REPLACE FUNCTION tenancy.isolation_has_one_owner(target regclass)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE member AS (
		SELECT coalesce(pg_partition_root(isolation_has_one_owner.target), isolation_has_one_owner.target)::oid AS relid
		UNION
		SELECT i.inhrelid FROM member m JOIN pg_inherits i ON i.inhparent = m.relid)
	SELECT count(DISTINCT c.relowner) = 1 FROM member m JOIN pg_class c ON c.oid = m.relid
$$;
COMMENT ON FUNCTION tenancy.isolation_has_one_owner(regclass) IS 'Internal: whether a table, and all that it has partitions and children in common with, belong to one role.';

-- What a row refers to, in the same org: rows made up in the tables of its foreign keys. Without it, a trigger that looks at the
-- inserted row would never run, as the foreign key refuses the row.
CREATE OR REPLACE FUNCTION tenancy.isolation_references(target regclass, org uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	k record;
	keys jsonb;
	result jsonb := '{}';
BEGIN
	FOR k IN SELECT c.confrelid::regclass AS referred,
			(SELECT p.org_column FROM tenancy.protection_of(c.confrelid) p) AS org_column,
			format('jsonb_object(ARRAY[%s], ARRAY[%s])', string_agg(quote_literal(a.attname), ', '), string_agg(format('%I::text', r.attname), ', ')) AS pairs
		FROM pg_constraint c
		CROSS JOIN LATERAL unnest(c.conkey, c.confkey) u (attnum, refnum)
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.attnum
		JOIN pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = u.refnum
		WHERE c.conrelid = isolation_references.target AND c.contype = 'f'
			AND c.confrelid NOT IN ('tenancy.organizations'::regclass, isolation_references.target) AND tenancy.isolation_has_one_owner(c.confrelid)
		GROUP BY c.oid HAVING bool_or(a.attnotnull)
	LOOP
		FOR turn IN 1..4 LOOP
			BEGIN
				keys := tenancy.ask_as_owner(k.referred,
					tenancy.isolation_insert(k.referred, coalesce(k.org_column, ''), org, turn => turn) || ' RETURNING ' || k.pairs, '')::jsonb;
				EXIT;
			EXCEPTION WHEN OTHERS OR assert_failure THEN
				-- A shared table: any row serves.
				keys := CASE WHEN k.org_column IS NULL
					THEN tenancy.ask_as_owner(k.referred, format('SELECT %s FROM %s LIMIT 1', k.pairs, k.referred), '')::jsonb END;
			END;
		END LOOP;
		result := result || coalesce(keys, '{}');
	END LOOP;
	RETURN result;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_references(regclass, uuid) IS 'Internal: makes rows that a row of a table can refer to; the values of its columns that do.';

-- Made up, and else one that is there, which then only a made-up member of its org can see. Foreign keys and triggers are off: only
-- the attempts shall meet them. Leaves a cursor on the row: UPDATE and DELETE at a cursor read no column, so that the policies of
-- SELECT, which PostgreSQL adds wherever one is read, do not stand in for their own.
CREATE OR REPLACE FUNCTION tenancy.isolation_place(target regclass, org_column name, OUT pin text, OUT org uuid, OUT content jsonb, OUT problem text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place text;
	cells text := (SELECT format('jsonb_object(ARRAY[%s], ARRAY[%s])', string_agg(quote_literal(a.attname), ', '), string_agg(format('%I::text', a.attname), ', '))
		FROM pg_attribute a WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped);
	answer constant text := 'format(''tableoid = %s AND ctid = %L'', tableoid, ctid)';
BEGIN
	IF NOT tenancy.isolation_has_one_owner(target) THEN
		problem := 'its partitions belong to several roles, whose code would run with each other''s rights';
		RETURN;
	END IF;
	PERFORM set_config('session_replication_role', 'replica', true);
	FOR turn IN 1..24 LOOP
		BEGIN
			org := tenancy.isolation_org();
			place := tenancy.ask_as_owner(target, tenancy.isolation_insert(target, org_column, org,
				tenancy.isolation_references(target, org), turn => turn) || ' RETURNING ' || answer, '');
			EXIT WHEN place IS NOT NULL;
			problem := 'its triggers insert nothing';
		EXCEPTION WHEN OTHERS OR assert_failure THEN
			problem := 'SQLSTATE ' || sqlstate;
		END;
	END LOOP;
	IF place IS NULL THEN
		problem := format('it has no row, and none could be made up (%s)', problem);
		place := tenancy.ask_as_owner(target, format('SELECT %s FROM %s WHERE %I IS NOT NULL LIMIT 1', answer, target, org_column), '');
	END IF;
	IF place IS NOT NULL THEN
		pin := place;
		content := tenancy.ask_as_owner(target, format('SELECT %s FROM %s WHERE %s', cells, target, pin), '')::jsonb;
		org := (content ->> org_column)::uuid;
		UPDATE tenancy.organizations o SET status = 'active' WHERE o.id = isolation_place.org AND o.status <> 'active';
		PERFORM tenancy.ask_as_owner(target, format('DECLARE tenancy_isolation CURSOR FOR SELECT 1 FROM %s WHERE %s', target, pin), '');
		PERFORM tenancy.ask_as_owner(target, 'FETCH tenancy_isolation', '');
	END IF;
	PERFORM set_config('session_replication_role', 'origin', true);
END
$$;
COMMENT ON FUNCTION tenancy.isolation_place(regclass, name) IS 'Internal: makes or finds a row of a table to try with: the condition that finds it, its org and its values; or why there is none.';

-- ---------------------------------------------------------------------------------------------
-- The attempts
-- ---------------------------------------------------------------------------------------------

-- "prepare" runs before, as the owner and without triggers; its answer is $1 in "crossed", which tells afterwards whether anything went
-- across, where the number of rows does not.
--
-- A row that goes into a partition is checked there, by bounds as well, so where these are the org's, moving a row is tried at the root.
CREATE OR REPLACE FUNCTION tenancy.isolation_attempts(target regclass, org_column name, pin text, org uuid, content jsonb, outside uuid, database_role regrole,
	OUT session_name text, OUT command text, OUT statement text, OUT kind text, OUT prepare text, OUT crossed text)
RETURNS SETOF record LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH given AS MATERIALIZED (
		SELECT quote_ident(org_column) AS org_name, format('%L::uuid', outside) AS outside_value,
			tenancy.isolation_insert(target, org_column, org, content, writer => database_role) AS insert_here,
			tenancy.isolation_insert(target, org_column, outside, content, writer => database_role) AS insert_outside,
			tenancy.isolation_insert(target, org_column, outside, content, true)
				|| ' RETURNING format(''%s %s'', tableoid, ctid)' AS insert_witness,
			-- A row that a trigger, or a default, gave the session's own org.
			format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', target, org_column, outside) AS is_outside,
			format('SELECT NOT EXISTS (SELECT FROM %s WHERE %I = %L)', target, org_column, outside) AS is_inside,
			EXISTS (SELECT FROM tenancy.isolation_bounds(target) b JOIN pg_class c ON c.oid = target
				WHERE c.relispartition AND b.column_name = org_column) AS is_part_by_org),
	-- What this role may change, if anything; but not what decides on the partition.
	changed AS MATERIALIZED (
		SELECT format('%I = %s::%s', a.attname, quote_nullable(content ->> a.attname), format_type(a.atttypid, a.atttypmod)) AS assignment
		FROM pg_attribute a
		WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
		ORDER BY has_column_privilege(database_role, target, a.attnum, 'UPDATE') DESC, a.attname = org_column,
			a.attname IN (SELECT b.column_name FROM tenancy.isolation_bounds(target) b), a.attnum
		LIMIT 1),
	unique_key AS MATERIALIZED (
		SELECT string_agg(quote_ident(a.attname), ', ') AS columns
		FROM pg_index i CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k (attnum)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
		WHERE i.indexrelid IN (SELECT u.index_id FROM tenancy.isolation_keys(target, org_column) u)
			AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate
			-- A null conflicts with nothing.
			AND content ->> a.attname IS NOT NULL
		GROUP BY i.indexrelid, i.indnkeyatts HAVING count(*) = i.indnkeyatts
		ORDER BY i.indexrelid LIMIT 1)
	SELECT s.session_name, c.command, c.statement, c.kind, NULL, c.crossed
	FROM unnest('{another org,no token,no permission}'::text[]) WITH ORDINALITY s (session_name, place), given g, changed u
	CROSS JOIN LATERAL (VALUES
		(1, 'SELECT', format('SELECT FROM %s LIMIT 1', target), 'cross', NULL::text),
		(2, 'INSERT', g.insert_here, 'cross', CASE s.session_name WHEN 'another org' THEN g.is_inside END),
		(3, 'UPDATE', format('UPDATE %s SET %s WHERE CURRENT OF tenancy_isolation', target, u.assignment), 'cross', NULL),
		(4, 'DELETE', format('DELETE FROM %s WHERE CURRENT OF tenancy_isolation', target), 'cross', NULL)) c (place, command, statement, kind, crossed)
	UNION ALL
	SELECT 'another org', c.command, c.statement, c.kind, NULL, c.crossed
	FROM given g CROSS JOIN changed u LEFT JOIN unique_key k ON true
	CROSS JOIN LATERAL (VALUES
		(1, 'UPDATE that takes the row', CASE WHEN NOT g.is_part_by_org THEN
			format('UPDATE %s SET %s = %s WHERE CURRENT OF tenancy_isolation', target, g.org_name, g.outside_value) END, 'cross', NULL),
		(2, 'MERGE with INSERT', format('MERGE INTO %s USING (SELECT) s ON false WHEN NOT MATCHED THEN %s', target,
			'INSERT' || substr(g.insert_here, length('INSERT INTO ' || target) + 1)), 'cross', g.is_inside),
		(3, 'MERGE with UPDATE', format('MERGE INTO %s USING (SELECT) s ON %s WHEN MATCHED THEN UPDATE SET %s', target, pin, u.assignment), 'cross', NULL),
		(4, 'MERGE with DELETE', format('MERGE INTO %s USING (SELECT) s ON %s WHEN MATCHED THEN DELETE', target, pin), 'cross', NULL),
		(5, 'INSERT with ON CONFLICT', CASE WHEN NOT g.is_part_by_org AND k.columns IS NOT NULL THEN
			format('%s ON CONFLICT (%s) DO UPDATE SET %s', g.insert_outside, k.columns, u.assignment) END, 'conflict', g.is_inside),
		(6, 'TRUNCATE', '', 'truncate', NULL)) c (place, command, statement, kind, crossed)
	WHERE c.statement IS NOT NULL
	UNION ALL
	SELECT 'own org', c.command, c.statement, c.kind, c.prepare, c.crossed
	FROM given g CROSS JOIN changed u
	CROSS JOIN LATERAL (SELECT format('SELECT count(*) <> 1 OR bool_or(format(''%%s %%s'', tableoid, ctid) <> $1) FROM %s WHERE %I = %L', target, org_column, outside)) w (witness_changed)
	CROSS JOIN LATERAL (VALUES
		(1, 'SELECT', CASE WHEN has_any_column_privilege(database_role, target, 'SELECT') THEN format('SELECT FROM %s LIMIT 1', target) END, 'control', NULL, NULL),
		(2, 'UPDATE that gives the row away', CASE WHEN NOT g.is_part_by_org THEN
			format('UPDATE %s SET %s = %s WHERE CURRENT OF tenancy_isolation', target, g.org_name, g.outside_value) END, 'cross', NULL, g.is_outside),
		(3, 'INSERT beside another org''s row', CASE WHEN NOT g.is_part_by_org THEN g.insert_here END, 'beside',
			format('WITH gone AS (DELETE FROM %s WHERE %s) %s', target, pin, g.insert_witness), w.witness_changed),
		(4, 'UPDATE beside another org''s row', CASE WHEN NOT g.is_part_by_org THEN
			format('UPDATE %s SET %s WHERE CURRENT OF tenancy_isolation', target, u.assignment) END, 'beside', g.insert_witness, w.witness_changed),
		(5, 'DELETE beside another org''s row', CASE WHEN NOT g.is_part_by_org THEN
			format('DELETE FROM %s WHERE CURRENT OF tenancy_isolation', target) END, 'beside', g.insert_witness, w.witness_changed))
		c (place, command, statement, kind, prepare, crossed)
	WHERE c.statement IS NOT NULL
$$;
COMMENT ON FUNCTION tenancy.isolation_attempts(regclass, name, text, uuid, jsonb, uuid, regrole) IS 'Internal: what is tried with a row, as which user, and how one tells that it went through.';

-- Always undone. Triggers and foreign keys that refuse an attempt say nothing of row security, so it is then made without them.
CREATE OR REPLACE FUNCTION tenancy.isolation_try(target regclass, database_role regrole, statement text, kind text, prepare text, crossed text, triggers boolean,
	OUT passed boolean, OUT detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	witness text;
	stage text := 'preparing';
	affected bigint;
	went_across boolean;
	constraint_name text;
	column_name text;
	table_name text;
	schema_name text;
	state text;
BEGIN
	IF prepare IS NOT NULL THEN
		PERFORM set_config('session_replication_role', 'replica', true);
		witness := tenancy.ask_as_owner(target, prepare, '');
	END IF;
	PERFORM set_config('session_replication_role', CASE WHEN triggers THEN 'origin' ELSE 'replica' END, true);
	stage := 'trying';
	affected := tenancy.run_as_role(database_role, target, statement);
	stage := 'comparing';
	went_across := CASE WHEN affected = 0 AND kind <> 'beside' THEN false
		WHEN crossed IS NULL THEN true
		ELSE tenancy.ask_as_owner(target, crossed, coalesce(witness, ''))::boolean END;
	stage := 'done';
	RAISE EXCEPTION 'to be undone';
EXCEPTION WHEN OTHERS OR assert_failure THEN
	GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME, column_name = COLUMN_NAME, table_name = TABLE_NAME, schema_name = SCHEMA_NAME;
	state := sqlstate;
	IF stage = 'done' THEN
		passed := CASE kind WHEN 'control' THEN nullif(went_across, false) ELSE NOT went_across END;
		detail := CASE
			WHEN kind = 'control' AND went_across THEN 'sees its own row'
			WHEN kind = 'control' THEN 'could not be tried: its own row is hidden as well, so that the other attempts prove little'
			WHEN went_across AND kind = 'beside' THEN 'a trigger changed rows of another org'
			WHEN went_across THEN format('went through: %s row(s)', affected)
			WHEN affected = 0 THEN 'no row'
			ELSE 'nothing went across' END;
	ELSIF stage = 'trying' AND (state = '42501' OR state ~ '^(28|TN)') THEN
		passed := kind <> 'control' OR NULL;
		detail := format('refused: SQLSTATE %s', state);
	-- Policies are asked before constraints.
	ELSIF stage = 'trying' AND state ~ '^23' AND kind = 'cross' AND to_regclass(format('%I.%I', schema_name, table_name)) IN (SELECT m FROM tenancy.protection_members(target) m)
		AND (constraint_name <> '' OR column_name <> '') THEN
		passed := false;
		detail := format('row security let it through; only a constraint refused it: SQLSTATE %s', state);
	ELSIF stage = 'trying' AND state = '23505' AND kind = 'conflict' THEN
		passed := true;
		detail := 'refused: SQLSTATE 23505';
	ELSE
		detail := format('could not be tried: SQLSTATE %s', state);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_try(regclass, regrole, text, text, text, text, boolean) IS 'Internal: makes one attempt, judges it and undoes it. Null where it says nothing.';

CREATE OR REPLACE FUNCTION tenancy.isolation_judge(target regclass, database_role regrole, statement text, kind text, prepare text, crossed text,
	OUT passed boolean, OUT detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	bare record;
BEGIN
	IF kind = 'truncate' THEN
		passed := NOT has_table_privilege(database_role, target, 'TRUNCATE');
		detail := CASE WHEN passed THEN 'refused: no privilege' ELSE 'TRUNCATE is granted, which row security does not stop' END;
		RETURN;
	END IF;
	SELECT t.passed, t.detail INTO passed, detail
	FROM tenancy.isolation_try(target, database_role, statement, kind, prepare, crossed, true) t;
	-- A trigger may refuse for reasons of its own, with any SQLSTATE, or skip the row, having done something else: what it lets nobody do
	-- says nothing of row security either.
	IF passed IS DISTINCT FROM false AND kind <> 'control' THEN
		SELECT * INTO bare FROM tenancy.isolation_try(target, database_role, statement, kind, prepare, crossed, false);
		IF bare.passed IS DISTINCT FROM passed AND bare.passed IS NOT NULL THEN
			passed := bare.passed;
			detail := bare.detail || ', without triggers and foreign keys';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_judge(regclass, regrole, text, text, text, text) IS 'Internal: makes one attempt, without triggers if they are in its way.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

-- Deferred triggers would run as somebody else, if at all. Settings of the caller's would decide which identity is in force, and how what
-- follows is read.
CREATE OR REPLACE FUNCTION tenancy.isolation_begin()
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	SET CONSTRAINTS ALL IMMEDIATE;
	PERFORM set_config(s, '', true) FROM unnest('{tenancy.session_token,tenancy.org,tenancy.impersonation}'::text[]) s;
	PERFORM set_config('tenancy.cross_org', 'off', true), set_config('row_security', 'on', true), set_config('standard_conforming_strings', 'on', true);
END
$$;
COMMENT ON FUNCTION tenancy.isolation_begin() IS 'Internal: how verify_isolation() sets the session, within its subtransaction.';

CREATE OR REPLACE FUNCTION tenancy.isolation_roles(role regrole)
RETURNS regrole[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	roles regrole[];
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'permission denied to verify isolation'
			USING ERRCODE = 'insufficient_privilege', DETAIL = 'It makes users and orgs, and tries as other roles.', HINT = 'Call it as a superuser.';
	ELSIF current_setting('transaction_read_only')::boolean THEN
		RAISE EXCEPTION 'cannot verify isolation in a read-only transaction'
			USING ERRCODE = 'read_only_sql_transaction', DETAIL = 'It writes rows, and undoes that.', HINT = 'Call it on the primary, in a transaction that may write.';
	ELSIF NOT EXISTS (SELECT FROM tenancy.protected_tables) THEN
		RAISE EXCEPTION 'no table is protected'
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Nothing would be verified.', HINT = 'Call tenancy.protect(table) for the application''s tables.';
	END IF;
	roles := CASE WHEN isolation_roles.role IS NOT NULL THEN ARRAY[isolation_roles.role]
		ELSE ARRAY(SELECT DISTINCT a.role::regrole FROM tenancy.doctor_applications a ORDER BY 1) END;
	IF roles = '{}' THEN
		RAISE EXCEPTION 'no role has access to tenancy'
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Nothing would be verified.',
				HINT = 'Call tenancy.grant_access(role) for the application''s role, or pass the role to verify_isolation().';
	END IF;
	RETURN roles;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_roles(regrole) IS 'Internal: the roles that verify_isolation() tries as, or the error that says why it cannot.';

CREATE OR REPLACE FUNCTION tenancy.isolation_of_table(target regclass, org_column name, resource_type text, roles regrole[], tokens jsonb, users jsonb,
	OUT database_role regrole, OUT attempt text, OUT passed boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place record;
	a record;
	outside uuid := tenancy.isolation_org();
BEGIN
	SELECT * INTO place FROM tenancy.isolation_place(target, org_column);
	IF place.pin IS NULL THEN
		attempt := 'any';
		detail := 'could not be tried: ' || place.problem;
		FOREACH database_role IN ARRAY roles LOOP
			RETURN NEXT;
		END LOOP;
		RETURN;
	END IF;

	PERFORM tenancy.isolation_enrol((users ->> 'another org')::uuid, outside, resource_type),
		tenancy.isolation_enrol((users ->> 'own org')::uuid, place.org, resource_type),
		tenancy.isolation_enrol((users ->> 'no permission')::uuid, place.org, NULL);
	FOREACH database_role IN ARRAY roles LOOP
		FOR a IN SELECT * FROM tenancy.isolation_attempts(target, org_column, place.pin, place.org, place.content, outside, database_role) LOOP
			PERFORM set_config('tenancy.session_token', tokens ->> a.session_name, true);
			attempt := a.session_name || ': ' || a.command;
			SELECT j.passed, j.detail INTO passed, detail
			FROM tenancy.isolation_judge(target, database_role, a.statement, a.kind, a.prepare, a.crossed) j;
			RETURN NEXT;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_of_table(regclass, name, text, regrole[], jsonb, jsonb) IS 'Internal: the rows of verify_isolation() for one table. To be undone.';

CREATE OR REPLACE FUNCTION tenancy.verify_isolation(role regrole DEFAULT NULL,
	OUT "table" regclass, OUT database_role regrole, OUT attempt text, OUT passed boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	roles regrole[] := tenancy.isolation_roles(role);
	sessions record;
	p record;
	-- Not told by an SQLSTATE: code of a table's owner may raise any.
	undoing boolean;
	tried boolean := false;
BEGIN
	BEGIN
		PERFORM tenancy.isolation_begin();
		SELECT * INTO sessions FROM tenancy.isolation_sessions();
		FOR p IN SELECT format('%I.%I', l.schema_name, l.table_name)::regclass AS relid, l.* FROM tenancy.protected_tables l ORDER BY l.schema_name, l.table_name LOOP
			undoing := false;
			BEGIN
				RETURN QUERY SELECT p.relid, t.*
					FROM tenancy.isolation_of_table(p.relid, p.org_column, p.resource_type, roles, sessions.tokens, sessions.users) t;
				undoing := true;
				RAISE EXCEPTION 'to be undone';
			EXCEPTION WHEN OTHERS OR assert_failure THEN
				CONTINUE WHEN undoing;
				RETURN QUERY SELECT p.relid, NULL::regrole, 'any', NULL::boolean, format('could not be tried: SQLSTATE %s', sqlstate);
			END;
		END LOOP;
		tried := true;
		RAISE EXCEPTION 'to be undone';
	EXCEPTION WHEN OTHERS OR assert_failure THEN
		IF NOT tried THEN
			RAISE;
		END IF;
	END;
END
$$;
COMMENT ON FUNCTION tenancy.verify_isolation(regrole) IS 'Tries to cross the wall in every protected table, as roles of the application, and undoes it: one row an attempt, passed where nothing got through. For superusers.';
