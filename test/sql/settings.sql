-- The settings: who may set them and from where, what is too long, what is set before the library is loaded,
-- token_scope = transaction, clock_skew, session_cache_size, and cross_org for superadmins alone.
\set VERBOSITY sqlstate
SELECT current_user AS admin, current_database() AS db \gset
SET client_min_messages = warning;
CREATE SCHEMA settings;
GRANT USAGE ON SCHEMA settings TO regress_tenancy_app;
SELECT minting.enrol('settings-alice', 'settings-acme', 'admin'), minting.enrol('settings-alice', 'settings-gamma', 'admin'),
	minting.enrol('settings-bob', 'settings-beta', 'admin'), minting.enrol('settings-super', 'settings-beta', 'admin') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('settings-super'));
INSERT INTO tenancy.org_external_ids SELECT i.id, 'org_settings', o.id FROM tenancy.issuers i, tenancy.organizations o
WHERE i.issuer = 'https://clerk.test' AND o.slug = 'settings-acme';
CREATE TABLE settings.note (body text);
SELECT tenancy.protect('settings.note', 'settings_note');
INSERT INTO settings.note SELECT o.slug, o.id FROM tenancy.organizations o WHERE o.slug LIKE 'settings-%';
GRANT ALL ON settings.note TO regress_tenancy_app;
CREATE VIEW settings.me WITH (security_invoker) AS
	SELECT s.status, s.subject, (SELECT string_agg(body, ' ' ORDER BY body) FROM settings.note) AS notes FROM tenancy.session() s;
GRANT SELECT ON settings.me TO regress_tenancy_app;
SELECT minting.token('clerk', '{"sub": "settings-alice", "o": {"id": "org_settings"}}') AS alice, minting.token('clerk', '{"sub": "settings-bob"}') AS bob,
	minting.token('clerk', '{"sub": "settings-super"}') AS super,
	extract(epoch FROM now())::bigint AS now \gset

\echo == no token from anywhere but the session
\set VERBOSITY default
ALTER ROLE regress_tenancy_app SET tenancy.session_token = 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln';
\set VERBOSITY sqlstate
ALTER ROLE regress_tenancy_app SET tenancy.session_token = 'anything';
ALTER ROLE regress_tenancy_app IN DATABASE :"db" SET tenancy.session_token = :'alice';
ALTER DATABASE :"db" SET tenancy.session_token = :'alice';
ALTER ROLE ALL SET tenancy.session_token = :'alice';
ALTER SYSTEM SET tenancy.session_token = :'alice';
SET tenancy.session_token = :'alice';
ALTER ROLE regress_tenancy_app SET tenancy.session_token FROM CURRENT;
RESET tenancy.session_token;
SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) c WHERE c LIKE 'tenancy.session_token%';
\c - regress_tenancy_app
\set VERBOSITY sqlstate
ALTER ROLE regress_tenancy_app SET tenancy.session_token = :'alice';
SELECT status FROM tenancy.session();
ALTER ROLE regress_tenancy_app SET tenancy.session_token = :'alice';

\echo == what the application cannot set, nor a name that does not exist
SET tenancy.token_scope = 'session';
SET tenancy.clock_skew = 300;
SET tenancy.superadmin_emails = 'me@settings.test';
SET tenancy.session_cache_size = 1;
SELECT set_config('tenancy.token_scope', 'session', true);
SET tenancy.tokens = 'x';
SHOW tenancy.superadmin_emails;
SHOW tenancy.token_scope;
-- Before the library is loaded a name is only a name; what may not be set is dropped when it is.
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET tenancy.token_scope = 'transaction';
SET tenancy.clock_skew = 300;
SET tenancy.superadmin_emails = 'me@settings.test';
SET tenancy.session_cache_size = 1;
SET tenancy.cross_org = 'perhaps';
SET tenancy.tokens = 'x';
SELECT status FROM tenancy.session();
SHOW tenancy.token_scope;
SHOW tenancy.clock_skew;
SHOW tenancy.session_cache_size;
SHOW tenancy.cross_org;
SHOW tenancy.tokens;

\echo == superadmin_emails: a list of addresses or nothing, for what nobody can read would make nobody superadmin
\c - :admin
LOAD 'tenancy';
\set VERBOSITY default
SET tenancy.superadmin_emails = 'root@settings.test,';
SET tenancy.superadmin_emails = 'root@settings.test, ops';
SHOW tenancy.superadmin_emails;
\set VERBOSITY sqlstate
SELECT list, left(minting.refusal(format('SET LOCAL tenancy.superadmin_emails = %L', list)), 8) AS answer
FROM unnest('{"", " ", "a@x.test", "a@x.test,b@x.test", " a@x.test , \"b@x.test\" ", "a+b.c@ü.test", ",a@x.test", "a@x.test,,b@x.test",
	"a@x.test; b@x.test", "a@x.test;b@x.test", "a@x.test b@x.test", "\"a@x.test b@x.test\"", "\"a@x.test", "@x.test", "a@", "a@b@x.test", "a",
	"<a@x.test>", "Root <a@x.test>", "''a@x.test''", "\"a@x.test,b@x.test\""}'::text[]) WITH ORDINALITY l (list, n) ORDER BY n;
ALTER ROLE regress_tenancy_app SET tenancy.superadmin_emails = 'root@settings.test,';
ALTER DATABASE :"db" SET tenancy.superadmin_emails = 'root@settings.test,';
ALTER SYSTEM SET tenancy.superadmin_emails = 'root@settings.test,';
-- Where the library is not loaded a name is only a name: then each connection is told, and not what is on the list.
\c - :admin
ALTER ROLE regress_tenancy_app SET tenancy.superadmin_emails = 'root@settings.test,';
\set VERBOSITY default
\c - regress_tenancy_app
SELECT status FROM tenancy.session();
\c - :admin
\set VERBOSITY sqlstate
ALTER ROLE regress_tenancy_app RESET tenancy.superadmin_emails;

\echo == a token set before the library is loaded
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET tenancy.session_token = :'alice';
TABLE settings.me;
SHOW tenancy.session_token;
RESET tenancy.session_token;
TABLE settings.me;
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET tenancy.session_token = :'bob';
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
SET LOCAL tenancy.org = 'settings-gamma';
SAVEPOINT a;
SET LOCAL tenancy.session_token = 'malformed';
SELECT status FROM tenancy.session();
ROLLBACK TO a;
TABLE settings.me;
ROLLBACK;
TABLE settings.me;
SHOW tenancy.org;
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET tenancy.session_token = 'malformed';
SELECT status FROM tenancy.session();
TABLE settings.note;
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SELECT repeat('x', 20000) AS long \gset
SET tenancy.session_token = :'long';
SELECT status FROM tenancy.session();
TABLE settings.note;
\c - regress_tenancy_app
BEGIN;
SET tenancy.session_token = :'alice';
ROLLBACK;
TABLE settings.me;

\echo == 16384 bytes are a token, one more is none: the identity before it is gone
\c - :admin
SET client_min_messages = warning;
CREATE FUNCTION settings.token_of(wanted int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	token text;
	wide int := wanted * 3 / 4 - 600;
BEGIN
	-- Some lengths no base64url has: then the header is made longer.
	FOR typ IN 1 .. 3 LOOP
		FOR more IN 0 .. 20 LOOP
			token := minting.token('better_auth', jsonb_build_object('sub', 'settings-alice', 'aud', 'https://app.test', 'pad', repeat('x', wide)),
				jsonb_build_object('typ', repeat('J', typ)));
			IF length(token) = wanted THEN
				RETURN token;
			END IF;
			EXIT WHEN length(token) > wanted;
			wide := wide + greatest((wanted - length(token)) * 3 / 4 - 2, 1);
		END LOOP;
		wide := wide - 4;
	END LOOP;
	RETURN NULL;
END
$$;
SELECT settings.token_of(16384) AS longest, settings.token_of(16385) AS too_long \gset
\c - regress_tenancy_app
\set VERBOSITY default
SET tenancy.session_token = :'longest';
SELECT status, subject FROM tenancy.session();
SET tenancy.session_token = :'alice';
TABLE settings.me;
SET tenancy.session_token = :'too_long';
SELECT status, subject FROM tenancy.session();
TABLE settings.note;
SHOW tenancy.session_token;
SET tenancy.session_token = :'alice';
SELECT status, subject FROM tenancy.begin_session(:'too_long');
SELECT set_config('tenancy.session_token', repeat('x', 10000000), false);
SELECT status, subject FROM tenancy.session();
BEGIN;
SET LOCAL tenancy.session_token = '(longer than a token may be)';
SELECT status, subject FROM tenancy.session();
ROLLBACK;
RESET tenancy.session_token;

\echo == session_cache_size = 1: tokens take turns
\c - :admin
ALTER ROLE regress_tenancy_app SET tenancy.session_cache_size = 1;
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SELECT status FROM tenancy.session();
SHOW tenancy.session_cache_size;
CREATE FUNCTION pg_temp.take_turns(tokens text[], turns int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	me settings.me;
	seen text[] := '{}';
BEGIN
	FOR i IN 0 .. turns * cardinality(tokens) - 1 LOOP
		PERFORM set_config('tenancy.session_token', tokens[1 + i % cardinality(tokens)], true);
		IF (tenancy.session()).status = 'active' THEN
			SELECT * INTO me FROM settings.me;
			seen[1 + i] := (me).notes;
		ELSE
			seen[1 + i] := (tenancy.session()).status;
		END IF;
	END LOOP;
	RETURN QUERY SELECT s || ' ' || count(*) FROM unnest(seen) WITH ORDINALITY u (s, i)
		GROUP BY s, (i - 1) % cardinality(tokens) ORDER BY (i - 1) % cardinality(tokens);
END
$$;
SELECT pg_temp.take_turns(ARRAY[:'alice', :'bob', 'malformed', ''], 3);
SET tenancy.session_token = :'alice';
BEGIN;
SET LOCAL tenancy.session_token = :'bob';
TABLE settings.me;
SAVEPOINT a;
SET LOCAL tenancy.session_token = :'super';
TABLE settings.me;
ROLLBACK TO a;
TABLE settings.me;
COMMIT;
TABLE settings.me;
\c - :admin
ALTER ROLE regress_tenancy_app RESET tenancy.session_cache_size;
\echo and while it changes
SELECT status FROM tenancy.session();
SET tenancy.session_cache_size = 3;
SET tenancy.session_token = :'alice';
SELECT subject FROM tenancy.session();
SET tenancy.session_token = :'bob';
SELECT subject FROM tenancy.session();
SET tenancy.session_cache_size = 1;
SELECT subject FROM tenancy.session();
SET tenancy.session_token = :'alice';
SELECT subject FROM tenancy.session();
SET tenancy.session_cache_size = 65536;
SELECT subject FROM tenancy.session();
SET tenancy.session_cache_size = 0;
RESET tenancy.session_cache_size;
SELECT subject FROM tenancy.session();
RESET tenancy.session_token;

\echo == clock_skew: both ways, to the setting and not further
SELECT minting.token('clerk', jsonb_build_object('sub', 'settings-bob', 'iat', NULL, 'exp', :now - 100)) AS past,
	minting.token('clerk', jsonb_build_object('sub', 'settings-bob', 'iat', :now + 100)) AS future,
	minting.token('clerk', jsonb_build_object('sub', 'settings-bob', 'iat', NULL, 'nbf', :now + 100)) AS nbf_future \gset
SET tenancy.clock_skew = 60;
SET tenancy.session_token = :'past';
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'future';
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'nbf_future';
SELECT status FROM tenancy.session();
SET tenancy.clock_skew = 300;
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'future';
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'past';
SELECT status FROM tenancy.session();
SET tenancy.clock_skew = 60;
SELECT status FROM tenancy.session();
SET tenancy.clock_skew = 301;
SET tenancy.clock_skew = -1;

\echo == token_scope = transaction
ALTER ROLE regress_tenancy_app SET tenancy.token_scope = 'transaction';
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SELECT status FROM tenancy.session();
SHOW tenancy.token_scope;
SET tenancy.token_scope = 'session';
RESET tenancy.token_scope;
SHOW tenancy.token_scope;

\echo a plain SET by itself is over with its own statement
SET tenancy.session_token = :'alice';
TABLE settings.me;
SELECT set_config('tenancy.session_token', :'alice', false);
TABLE settings.me;
SET tenancy.session_token = :'alice' \; TABLE settings.me;
TABLE settings.me;

\echo in a transaction it holds until the end, however that ends
BEGIN;
SET tenancy.session_token = :'alice';
SET tenancy.org = 'settings-gamma';
SET tenancy.cross_org = on;
TABLE settings.me;
COMMIT;
TABLE settings.me;
SHOW tenancy.session_token;
SHOW tenancy.org;
SHOW tenancy.cross_org;
BEGIN;
SET tenancy.session_token = :'alice';
TABLE settings.me;
ROLLBACK;
TABLE settings.me;
BEGIN;
SET tenancy.session_token = :'alice';
SELECT 1 / 0;
COMMIT;
TABLE settings.me;
BEGIN;
SET tenancy.session_token = :'alice';
COMMIT AND CHAIN;
TABLE settings.me;
COMMIT;

\echo so do SET LOCAL and begin_session, and what they stand over
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
TABLE settings.me;
COMMIT;
TABLE settings.me;
BEGIN;
SET tenancy.session_token = :'alice';
SET LOCAL tenancy.session_token = :'bob';
TABLE settings.me;
COMMIT;
TABLE settings.me;
BEGIN;
SELECT status FROM tenancy.begin_session(:'alice', 'settings-acme');
SELECT tenancy.switch_org('settings-gamma') IS NOT NULL AS switched;
TABLE settings.me;
COMMIT;
TABLE settings.me;
SHOW tenancy.org;
BEGIN;
SET tenancy.session_token = :'alice';
SELECT tenancy.switch_org('settings-gamma') IS NOT NULL AS switched;
TABLE settings.me;
COMMIT;
TABLE settings.me;
SHOW tenancy.org;

\echo savepoints inside it
BEGIN;
SET tenancy.session_token = :'alice';
SAVEPOINT a;
SET tenancy.session_token = :'bob';
TABLE settings.me;
ROLLBACK TO a;
TABLE settings.me;
SET tenancy.session_token = :'bob';
RELEASE a;
TABLE settings.me;
COMMIT;
TABLE settings.me;

\echo a procedure that commits ends it as well
CREATE PROCEDURE pg_temp.commit_between() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', current_setting('settings.token'), false);
	RAISE WARNING '%', (SELECT status FROM tenancy.session());
	COMMIT;
	RAISE WARNING '%', (SELECT status FROM tenancy.session());
END
$$;
SET settings.token = :'alice';
\set VERBOSITY terse
CALL pg_temp.commit_between();
\set VERBOSITY sqlstate
RESET settings.token;

\echo DISCARD ALL and RESET leave none, and bring none back
BEGIN;
SET tenancy.session_token = :'alice';
RESET tenancy.session_token;
TABLE settings.me;
COMMIT;
DISCARD ALL;
TABLE settings.me;

\echo a token set before the library is loaded holds in its own transaction alone
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET tenancy.session_token = :'alice';
SET tenancy.org = 'settings-gamma';
TABLE settings.me;
TABLE settings.me;
\c - regress_tenancy_app
SET tenancy.session_token = :'alice';
BEGIN;
TABLE settings.me;
ROLLBACK;
TABLE settings.me;
\c - regress_tenancy_app
SET tenancy.session_token = :'alice';
BEGIN;
SET LOCAL tenancy.session_token = :'bob';
TABLE settings.me;
ROLLBACK;
TABLE settings.me;
\c - regress_tenancy_app
SET tenancy.session_token = :'alice';
BEGIN;
SET tenancy.session_token = :'bob';
SAVEPOINT a;
TABLE settings.me;
ROLLBACK TO a;
TABLE settings.me;
COMMIT;
TABLE settings.me;

\echo parallel workers have it in its transaction, and see nothing after that
\c - :admin
INSERT INTO settings.note SELECT 'settings-acme', o.id FROM tenancy.organizations o, generate_series(1, 999) WHERE o.slug = 'settings-acme';
ALTER TABLE settings.note SET (parallel_workers = 2);
ANALYZE settings.note;
\c - regress_tenancy_app
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
CREATE FUNCTION pg_temp.in_parallel() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXPLAIN SELECT count(*) FROM settings.note LOOP
		IF line ~ 'Workers Planned: [12]' THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END
$$;
BEGIN;
SET tenancy.session_token = :'alice';
SELECT pg_temp.in_parallel();
SELECT count(*) FROM settings.note;
COMMIT;
SELECT count(*) FROM settings.note;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
SELECT count(*) FROM settings.note;
ROLLBACK;
SELECT count(*) FROM settings.note;

\c - :admin
SET client_min_messages = warning;
ALTER ROLE regress_tenancy_app RESET tenancy.token_scope;
DELETE FROM settings.note WHERE ctid <> ALL (ARRAY(SELECT min(ctid) FROM settings.note GROUP BY org_id));
ALTER TABLE settings.note RESET (parallel_workers);

\echo == cross_org: a superadmin reads every org, and writes in the own one as ever
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET plan_cache_mode = force_generic_plan;
SET tenancy.session_token = :'super';
PREPARE before AS SELECT string_agg(body, ' ' ORDER BY body) FROM settings.note;
EXECUTE before;
TABLE settings.me;
SET tenancy.cross_org = on;
EXECUTE before;
PREPARE during AS SELECT string_agg(body, ' ' ORDER BY body) FROM settings.note;
EXECUTE during;
TABLE settings.me;
SELECT tenancy.cross_org_active();
BEGIN;
UPDATE settings.note SET body = body || '!' RETURNING body;
SELECT body FROM settings.note FOR UPDATE;
SELECT body FROM settings.note FOR KEY SHARE;
INSERT INTO settings.note VALUES ('settings-mine') RETURNING body;
TABLE settings.me;
WITH gone AS (DELETE FROM settings.note RETURNING body) SELECT string_agg(body, ' ' ORDER BY body) FROM gone;
TABLE settings.me;
INSERT INTO settings.note SELECT 'x', org_id FROM settings.note;
ROLLBACK;
UPDATE settings.note SET org_id = (SELECT org_id FROM settings.note o WHERE body = 'settings-acme');
SET tenancy.cross_org = off;
EXECUTE before;
EXECUTE during;
PREPARE after AS SELECT string_agg(body, ' ' ORDER BY body) FROM settings.note;
EXECUTE after;
TABLE settings.me;
SELECT tenancy.cross_org_active();
BEGIN;
SET LOCAL tenancy.cross_org = on;
EXECUTE before;
EXECUTE during;
EXECUTE after;
ROLLBACK;
EXECUTE before;
EXECUTE during;
EXECUTE after;

SET tenancy.cross_org = on;
SELECT set_config('tenancy.cross_org', 'off', false) AS cross_org, tenancy.cross_org_active();

\echo whatever org is picked
SET tenancy.org = 'settings-nowhere';
SELECT status FROM tenancy.session();
EXECUTE before;
SET tenancy.cross_org = on;
EXECUTE before;
INSERT INTO settings.note VALUES ('x');
RESET tenancy.org;

\echo nobody else sees more for it, and a plan made for a superadmin shows them no more
SET tenancy.session_token = :'alice';
EXECUTE during;
TABLE settings.me;
SELECT tenancy.cross_org_active();
UPDATE settings.note SET body = body || '!';
TABLE settings.me;
UPDATE settings.note SET body = 'settings-acme';
SET tenancy.session_token = :'bob';
EXECUTE during;
RESET tenancy.session_token;
EXECUTE during;
SET tenancy.session_token = 'malformed';
EXECUTE during;
SET tenancy.session_token = :'super';
EXECUTE during;
SET tenancy.cross_org = off;
SET tenancy.session_token = :'alice';
EXECUTE during;
SET tenancy.cross_org = 'perhaps';

\echo the right to it goes with being a superadmin
SET tenancy.session_token = :'super';
SET tenancy.cross_org = on;
EXECUTE during;
BEGIN;
SET TRANSACTION READ ONLY;
EXECUTE during;
COMMIT;
\c - :admin
SET client_min_messages = warning;
DELETE FROM tenancy.superadmins WHERE user_id = minting.user_id('settings-super');
\c - regress_tenancy_app
SET tenancy.cross_org = on;
SET tenancy.session_token = :'super';
TABLE settings.me;

\echo == clean up
\c - :admin
SET client_min_messages = warning;
DROP SCHEMA settings CASCADE;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'settings_note';
DELETE FROM tenancy.resource_types WHERE name = 'settings_note';
DELETE FROM tenancy.users WHERE name LIKE 'settings-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'settings-%';
SELECT count(*) AS settings_left FROM pg_db_role_setting, unnest(setconfig) c WHERE c LIKE 'tenancy.%';
