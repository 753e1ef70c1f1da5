-- For test/long/statements.pl: the same tables three times. In schema kept they are protected and hold rows of A and B, in schema
-- alone they are not and hold the same rows of A, and in schema none they hold nothing. B's values begin with SECRET-B, so that
-- statements can guess them; every row has one with "deep" in it, which no statement has.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT minting.enrol('ann', 'a', 'admin'), minting.enrol('bert', 'b', 'admin'), minting.enrol('idle', 'a', 'viewer'), minting.enrol('vera', 'a', 'viewer'),
	minting.enrol('root', 'b', 'admin') \g /dev/null
DELETE FROM tenancy.membership_roles WHERE user_id = minting.user_id('idle');
INSERT INTO tenancy.superadmins VALUES (minting.user_id('root'));
SELECT id AS a FROM tenancy.organizations WHERE slug = 'a' \gset
SELECT id AS b FROM tenancy.organizations WHERE slug = 'b' \gset

-- What the application brings along, as cheap as can be: what it is given, or called at all, it tells.
CREATE SCHEMA own;
GRANT USAGE, CREATE ON SCHEMA own TO regress_tenancy_app;
SET SESSION AUTHORIZATION regress_tenancy_app;
SET search_path = own;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
CREATE FUNCTION leak_stable(text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
CREATE FUNCTION echo(text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN $1; END $$;
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: % and %', $1, $2; RETURN $1 = $2; END $$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same, COMMUTATOR = ===, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION inlined(text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT own.leak_stable($1) $$;
CREATE FUNCTION told() RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'told'; RETURN true; END $$;
CREATE FUNCTION told_stable() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'told'; RETURN true; END $$;
CREATE FUNCTION gather(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN RAISE NOTICE 'seen: %', $2; RETURN greatest($1, $2); END $$;
CREATE AGGREGATE gathered (text) (SFUNC = gather, STYPE = text, COMBINEFUNC = gather, PARALLEL = SAFE);
CREATE DOMAIN spy AS text CHECK (own.leak(VALUE));
CREATE TYPE parcel AS (body text);
CREATE FUNCTION boxed(text) RETURNS parcel LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN ROW($1)::own.parcel; END $$;
CREATE CAST (text AS parcel) WITH FUNCTION boxed(text);
CREATE TABLE identity (who text PRIMARY KEY, token text NOT NULL, org text NOT NULL DEFAULT '', cross_org text NOT NULL DEFAULT 'off');
CREATE FUNCTION become(who text, for_transaction boolean DEFAULT true) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', i.token, for_transaction), set_config('tenancy.org', i.org, for_transaction),
		set_config('tenancy.cross_org', i.cross_org, for_transaction) FROM own.identity i WHERE i.who = become.who;
	RETURN true;
END
$$;
CREATE FUNCTION become_stable(who text) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0000001 AS $$ BEGIN RETURN own.become(who); END $$;
CREATE FUNCTION become_immutable(who text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0000001 AS $$ BEGIN RETURN own.become(who); END $$;
CREATE FUNCTION become_seeing(who text, what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', what; RETURN own.become(who); END $$;
CREATE FUNCTION begin(who text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	PERFORM FROM own.identity i, tenancy.begin_session(i.token, nullif(i.org, '')) WHERE i.who = begin.who;
	RETURN true;
END
$$;
-- A statement's rows are fetched one by one, by one and another.
CREATE FUNCTION fetched(statement text, other text, at_last text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	r record;
BEGIN
	OPEN c FOR EXECUTE statement;
	FETCH c INTO r;
	RETURN NEXT r::text;
	PERFORM own.become(other);
	FETCH c INTO r;
	RETURN NEXT r::text;
	PERFORM own.become(at_last);
	MOVE c;
	FOR r IN EXECUTE statement LOOP
		RETURN NEXT r::text;
		PERFORM own.become(other);
	END LOOP;
END
$$;
CREATE FUNCTION run_it(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;
RESET SESSION AUTHORIZATION;
-- Across is one who may not read across orgs, but says so; lost one who has picked an org that is none.
INSERT INTO own.identity SELECT who, minting.token('clerk', jsonb_build_object('sub', who)) FROM unnest('{ann,vera,idle,bert}'::text[]) who;
INSERT INTO own.identity SELECT x.who, minting.token('clerk', jsonb_build_object('sub', x.sub)), x.org, x.cross_org FROM (VALUES ('lost', 'ann', 'nowhere', 'off'), ('across', 'ann', '', 'on'), ('root', 'root', '', 'on')) x (who, sub, org, cross_org);
INSERT INTO own.identity VALUES ('nobody', ''), ('garbage', 'garbage'), ('expired', minting.token('clerk', '{"sub": "ann", "iat": 1600000000, "exp": 1600000060}'));
-- What everybody sees; it has the values that others can guess.
CREATE TABLE own.plain (id int, body text, n int, tags text[]);
INSERT INTO own.plain SELECT i, CASE i % 3 WHEN 0 THEN 'a-' || i % 7 WHEN 1 THEN 'SECRET-B-' || i % 9 END, i % 5, ARRAY['a-1', 'SECRET-B-' || i % 4] FROM generate_series(1, 12) i;
GRANT SELECT ON own.plain TO regress_tenancy_app;

-- A's n is never -1, and what follows the second letter of A's body is a number: of B's rows only, 1 / (n + 1) and such casts fail.
CREATE PROCEDURE own.make(schema name, VARIADIC orgs uuid[]) LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	EXECUTE format('CREATE SCHEMA %I', schema);
	PERFORM set_config('search_path', quote_ident(schema) || ', own', true);
	CREATE TABLE note (org_id uuid NOT NULL, id int NOT NULL, body text, n int, tags text[], PRIMARY KEY (org_id, id)) WITH (autovacuum_enabled = off);
	CREATE TABLE item (org_id uuid NOT NULL, id int NOT NULL, body text, n int CHECK (n < 1000), tags text[], PRIMARY KEY (org_id, id)) WITH (autovacuum_enabled = off);
	CREATE TABLE entry (org_id uuid NOT NULL, id int NOT NULL, body text, n int DEFAULT 3, tags text[], PRIMARY KEY (org_id, id),
		FOREIGN KEY (org_id, n) REFERENCES item (org_id, id) ON DELETE CASCADE) WITH (autovacuum_enabled = off);
	CREATE TABLE event (org_id uuid NOT NULL, id int NOT NULL, body text, n int, tags text[], PRIMARY KEY (org_id, id)) PARTITION BY RANGE (id);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (5) WITH (autovacuum_enabled = off);
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (5) TO (20) WITH (autovacuum_enabled = off);
	CREATE TABLE event_3 PARTITION OF event DEFAULT WITH (autovacuum_enabled = off);
	FOREACH name IN ARRAY '{note,item,entry,event}'::text[] LOOP
		EXECUTE format('CREATE INDEX ON %I (body); CREATE INDEX ON %1$I (n, body); CREATE INDEX ON %1$I (id)', name);
		IF schema = 'kept' THEN
			PERFORM tenancy.protect(name::regclass, 'kept_' || name);
		ELSE
			EXECUTE format('ALTER TABLE %I ALTER org_id SET DEFAULT %L', name, orgs[1]);
		END IF;
		FOR i IN 1 .. cardinality(orgs) LOOP
			EXECUTE format(CASE i WHEN 1 THEN
				'INSERT INTO %I SELECT %L, i, ''a-'' || nullif(i %% 7, 6), CASE WHEN %1$L = ''entry'' THEN 1 + i %% 9 ELSE nullif(i %% 5, 4) END, ARRAY[''a-'' || i %% 3, ''t''] FROM generate_series(1, 9) i' ELSE
				'INSERT INTO %I SELECT %L, i, ''SECRET-B-'' || i %% 9 || CASE i %% 2 WHEN 0 THEN ''-deep'' ELSE '''' END, CASE WHEN %1$L = ''entry'' THEN 1 + i %% 9 ELSE i %% 5 - 1 END, ARRAY[''SECRET-B-'' || i %% 4, ''t'', ''deep''] FROM generate_series(1, 36) i' END, name, orgs[i]);
		END LOOP;
	END LOOP;
	CREATE INDEX ON note USING gin (tags);
	CREATE INDEX ON note (length(body));
	CREATE VIEW shown WITH (security_invoker) AS SELECT * FROM note WHERE id > 1;
	CREATE VIEW behind WITH (security_invoker, security_barrier) AS SELECT org_id, id, body, n, tags FROM item WHERE id < 30;
	CREATE VIEW both_kinds WITH (security_invoker) AS SELECT org_id, id, body, n, tags FROM note UNION ALL SELECT org_id, id, body, n, tags FROM event;
	CREATE FUNCTION rows_of_note() RETURNS SETOF note LANGUAGE sql STABLE AS 'SELECT * FROM note';
	CREATE FUNCTION rows_of_entry() RETURNS SETOF entry LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY SELECT * FROM entry; END';
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO regress_tenancy_app; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %1$I TO regress_tenancy_app', schema);
END
$$;
CALL own.make('kept', :'a', :'b');
CALL own.make('alone', :'a');
CALL own.make('none', VARIADIC '{}');

-- As a superuser's: B's rows, whoever asks. Nobody but B may change them.
CREATE FUNCTION own.b_rows() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = kept, pg_catalog AS $$
	SELECT md5(string_agg(r, ' ' ORDER BY r)) FROM (SELECT org_id, 'n' || t::text FROM note t UNION ALL SELECT org_id, 'i' || t::text FROM item t
		UNION ALL SELECT org_id, 'l' || t::text FROM entry t UNION ALL SELECT org_id, 'e' || t::text FROM event t) q (org_id, r)
	WHERE org_id = (SELECT id FROM tenancy.organizations WHERE slug = 'b') $$;

-- A statement's rows, run by PL/pgSQL.
CREATE FUNCTION own.run(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE format('SELECT r::text FROM (%s) r', statement); END $$;
