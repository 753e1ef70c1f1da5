-- Whose rows a session sees, for every way there is to set, restore and lose a token; and that a bad token never
-- leaves the previous identity in force.
\set VERBOSITY sqlstate
SELECT current_user AS admin \gset
SET client_min_messages = warning;

CREATE SCHEMA identity;
GRANT USAGE ON SCHEMA identity TO regress_tenancy_app;
SELECT minting.enrol('identity-alice', 'identity-acme', 'admin'), minting.enrol('identity-bob', 'identity-beta', 'member') \g /dev/null
CREATE TABLE identity.note (body text);
SELECT tenancy.protect('identity.note', 'identity_note');
INSERT INTO identity.note SELECT o.slug || n, o.id FROM tenancy.organizations o, generate_series(1, 2) n WHERE o.slug IN ('identity-acme', 'identity-beta');
GRANT ALL ON identity.note TO regress_tenancy_app;
CREATE VIEW identity.me WITH (security_invoker) AS
	SELECT s.status, s.subject, (SELECT string_agg(body, ' ' ORDER BY body) FROM identity.note) AS notes FROM tenancy.session() s;
GRANT SELECT ON identity.me TO regress_tenancy_app;

SELECT minting.token('clerk', '{"sub": "identity-alice"}') AS alice, minting.token('clerk', '{"sub": "identity-bob"}') AS bob,
	minting.token('clerk', '{"sub": "identity-alice", "exp": 1000000000, "iat": null}') AS expired,
	minting.token('clerk', '{"sub": "identity-alice", "nbf": 32503680000}') AS early,
	minting.token('clerk', '{"sub": "identity-alice"}', options => '--sig garbage') AS forged,
	minting.token('clerk', '{"sub": "identity-alice"}', '{"kid": "unknown"}') AS unknown_key,
	minting.token('clerk', '{"sub": "identity-alice", "iss": "https://stranger.test"}') AS stranger,
	minting.token('clerk', '{"sub": "identity-carol", "org_id": "ext_identity-acme"}') AS carol \gset
\set malformed not.a.token
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET search_path = identity;

\echo == no token
TABLE me;
INSERT INTO note VALUES ('nobody');
UPDATE note SET body = 'nobody';
DELETE FROM note;

\echo == SET holds for the session
SET tenancy.session_token = :'alice';
TABLE me;
BEGIN;
TABLE me;
ROLLBACK;
TABLE me;
INSERT INTO note VALUES ('identity-acme3');
TABLE me;

\echo == another SET takes its place
SET tenancy.session_token = :'bob';
TABLE me;
DELETE FROM note WHERE body = 'identity-acme3';
SET tenancy.session_token = :'alice';
UPDATE note SET body = 'identity-acme4' WHERE body = 'identity-acme3';
TABLE me;
DELETE FROM note WHERE body = 'identity-acme4';

\echo == RESET, SET TO DEFAULT, an empty value, RESET ALL and DISCARD ALL end it
RESET tenancy.session_token;
TABLE me;
SET tenancy.session_token = :'alice';
SET tenancy.session_token TO DEFAULT;
TABLE me;
SET tenancy.session_token = :'alice';
SET tenancy.session_token = '';
TABLE me;
SET tenancy.session_token = :'alice';
RESET ALL;
TABLE identity.me;
SET tenancy.session_token = :'alice';
SET tenancy.org = 'identity-beta';
TABLE identity.me;
DISCARD ALL;
TABLE identity.me;
SHOW tenancy.org;
SET search_path = identity;

\echo == SET LOCAL holds for the transaction, and none in force before it comes back
SET LOCAL tenancy.session_token = :'alice';
TABLE me;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
TABLE me;
COMMIT;
TABLE me;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
ROLLBACK;
TABLE me;

\echo == SET LOCAL over SET
SET tenancy.session_token = :'alice';
BEGIN;
SET LOCAL tenancy.session_token = :'bob';
TABLE me;
COMMIT;
TABLE me;

\echo == SET in a transaction that commits, and in one that does not
BEGIN;
SET tenancy.session_token = :'bob';
COMMIT;
TABLE me;
BEGIN;
SET tenancy.session_token = :'alice';
TABLE me;
ROLLBACK;
TABLE me;

\echo == ROLLBACK after an error
BEGIN;
SET tenancy.session_token = :'alice';
SELECT 1 / 0;
TABLE me;
ROLLBACK;
TABLE me;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
SELECT 1 / 0;
COMMIT;
TABLE me;
RESET tenancy.session_token;

\echo == set_config, for the session and for the transaction
SELECT set_config('tenancy.session_token', :'alice', false);
TABLE me;
BEGIN;
SELECT set_config('tenancy.session_token', :'bob', true);
TABLE me;
COMMIT;
TABLE me;
SELECT set_config('tenancy.session_token', NULL, false);
TABLE me;

\echo == begin_session holds for the transaction
SELECT status, subject, org_slug FROM tenancy.begin_session(:'alice');
TABLE me;
BEGIN;
SELECT status, subject, org_slug FROM tenancy.begin_session(:'alice');
TABLE me;
SELECT status, subject, org_slug FROM tenancy.begin_session(:'bob', 'identity-beta');
TABLE me;
SELECT status, subject, org_slug FROM tenancy.begin_session(:'bob', 'identity-acme');
TABLE me;
SELECT status, subject, org_slug FROM tenancy.begin_session(:'alice');
TABLE me;
SELECT status, next_step FROM tenancy.begin_session(NULL);
TABLE me;
SELECT status, next_step FROM tenancy.begin_session(:'forged');
COMMIT;
TABLE me;
SHOW tenancy.org;

\echo == begin_session over SET: neither token nor org of the session stays in force for it
SET tenancy.session_token = :'alice';
SET tenancy.org = 'identity-beta';
BEGIN;
SELECT status, subject, org_slug FROM tenancy.begin_session(:'bob');
ROLLBACK;
SELECT status, subject FROM tenancy.session();
RESET tenancy.org;
TABLE me;

\echo == savepoints
BEGIN;
SET tenancy.session_token = :'bob';
SAVEPOINT a;
SET LOCAL tenancy.session_token = :'forged';
SELECT status FROM tenancy.session();
SAVEPOINT b;
SET LOCAL tenancy.session_token = '';
TABLE me;
ROLLBACK TO b;
SELECT status FROM tenancy.session();
TABLE me;
ROLLBACK TO a;
TABLE me;
SET LOCAL tenancy.session_token = :'alice';
RELEASE a;
TABLE me;
SAVEPOINT c;
SET tenancy.session_token = :'bob';
SELECT 1 / 0;
ROLLBACK TO c;
TABLE me;
COMMIT;
TABLE me;

\echo == two identities in one transaction: each writes and reads its own org
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
INSERT INTO note VALUES ('identity-acme-together');
SET LOCAL tenancy.session_token = :'bob';
INSERT INTO note VALUES ('identity-beta-together');
UPDATE note SET body = body || '!' WHERE body LIKE '%together';
TABLE me;
SET LOCAL tenancy.session_token = :'alice';
UPDATE note SET body = body || '?' WHERE body LIKE '%together';
TABLE me;
ROLLBACK;

\echo == two identities, one prepared statement, whatever plan it has
PREPARE notes AS SELECT string_agg(body, ' ' ORDER BY body) FROM note;
SET plan_cache_mode = force_generic_plan;
SET tenancy.session_token = :'alice';
EXECUTE notes;
SET tenancy.session_token = :'bob';
EXECUTE notes;
RESET tenancy.session_token;
EXECUTE notes;
SET tenancy.session_token = :'expired';
EXECUTE notes;
SET plan_cache_mode = force_custom_plan;
SET tenancy.session_token = :'alice';
EXECUTE notes;
SET tenancy.session_token = :'bob';
EXECUTE notes;

\echo == a SET clause without a token: the function is anonymous, the caller is not
\c - :admin
\set VERBOSITY sqlstate
SET search_path = identity;
CREATE FUNCTION as_nobody() RETURNS SETOF me LANGUAGE sql SET tenancy.session_token = '' AS 'TABLE identity.me';
CREATE FUNCTION in_org() RETURNS SETOF me LANGUAGE sql SET tenancy.org = 'identity-beta' AS 'TABLE identity.me';
-- With the clause SET LOCAL ends with the function; without it, with the transaction.
CREATE FUNCTION as_other(token text) RETURNS SETOF me LANGUAGE plpgsql SET tenancy.session_token = '' AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	RETURN QUERY TABLE identity.me;
END
$$;
CREATE FUNCTION become_other(token text) RETURNS SETOF me LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	RETURN QUERY TABLE identity.me;
END
$$;
CREATE FUNCTION fail_as_other(token text) RETURNS SETOF me LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM set_config('tenancy.session_token', token, false);
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		RETURN QUERY TABLE identity.me;
	END;
END
$$;
-- Asks in one place under each token: how many users were there?
CREATE FUNCTION in_turn(VARIADIC tokens text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	token text;
	users uuid[];
BEGIN
	FOREACH token IN ARRAY tokens LOOP
		PERFORM set_config('tenancy.session_token', token, true);
		users := users || tenancy.current_user_id();
	END LOOP;
	RETURN (SELECT count(DISTINCT u) FROM unnest(users) u);
END
$$;
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET search_path = identity;
SET tenancy.session_token = :'alice';
TABLE me;
SELECT * FROM as_nobody();
TABLE me;
SELECT * FROM in_org();
TABLE me;
SELECT * FROM as_other(:'bob');
TABLE me;
SELECT * FROM as_other(:'forged');
TABLE me;
SELECT * FROM fail_as_other(:'bob');
TABLE me;
BEGIN;
SELECT * FROM become_other(:'bob');
TABLE me;
COMMIT;
TABLE me;
SELECT in_turn(:'alice', :'bob', '', :'bob', :'alice');
TABLE me;

\echo == a SET clause with a token is refused
\set VERBOSITY default
CREATE FUNCTION pg_temp.stored() RETURNS int LANGUAGE sql SET tenancy.session_token = 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln' AS 'SELECT 1';
\set VERBOSITY sqlstate
CREATE FUNCTION pg_temp.stored() RETURNS int LANGUAGE sql SET tenancy.session_token FROM CURRENT AS 'SELECT 1';

\echo == a token that is no good: SET succeeds, everything raises, and the identity before it is gone
SET tenancy.session_token = :'malformed';
SELECT status, next_step, user_id, org_id FROM tenancy.session();
TABLE note;
SET tenancy.session_token = :'alice';
SET tenancy.session_token = :'forged';
SELECT status, next_step, user_id, org_id FROM tenancy.session();
TABLE note;
SET tenancy.session_token = :'alice';
SET tenancy.session_token = :'expired';
SELECT status, next_step, user_id, org_id FROM tenancy.session();
TABLE note;
SET tenancy.session_token = :'alice';
SET tenancy.session_token = :'early';
SELECT status, next_step, user_id, org_id FROM tenancy.session();
TABLE note;
SET tenancy.session_token = :'alice';
SET tenancy.session_token = :'stranger';
SELECT status, next_step, user_id, org_id FROM tenancy.session();
TABLE note;
SET tenancy.session_token = :'alice';
SET tenancy.session_token = :'unknown_key';
SELECT status, next_step, user_id, org_id FROM tenancy.session();
TABLE note;

\echo == writes and functions raise the same, and go on to
INSERT INTO note VALUES ('x');
UPDATE note SET body = 'x';
DELETE FROM note;
SELECT tenancy.current_user_id();
SELECT tenancy.current_org();
SELECT tenancy.claims();
SELECT * FROM tenancy.my_orgs();
SELECT tenancy.switch_org('identity-acme');
SELECT tenancy.can_i('read', 'identity_note');
SELECT tenancy.require('read', 'identity_note');
SELECT tenancy.current_org_if('read', 'identity_note');
SELECT tenancy.require_org('read', 'identity_note');
SELECT * FROM tenancy.my_permissions();
SELECT tenancy.is_superadmin();
SELECT tenancy.is_administrator();
SELECT * FROM tenancy.provision_user();
SELECT tenancy.create_org('Identity');
SELECT tenancy.cross_org_active();
SET tenancy.cross_org = on;
SELECT tenancy.cross_org_active();
TABLE note;
RESET tenancy.cross_org;

\echo == in a transaction, too, until it rolls back
SET tenancy.session_token = :'alice';
BEGIN;
SET LOCAL tenancy.session_token = :'forged';
SELECT status FROM tenancy.session();
SAVEPOINT a;
TABLE note;
ROLLBACK TO a;
TABLE note;
ROLLBACK;
TABLE me;
BEGIN;
SELECT status FROM tenancy.begin_session(:'expired');
TABLE note;
ROLLBACK;
TABLE me;

\echo == a good token again is as good as before
SET tenancy.session_token = :'forged';
TABLE note;
SET tenancy.session_token = :'alice';
TABLE me;

\echo == nobody reads the token back
SHOW tenancy.session_token;
SELECT current_setting('tenancy.session_token');
SELECT count(*) FROM pg_settings WHERE name = 'tenancy.session_token';
RESET tenancy.session_token;
SHOW tenancy.session_token;

\echo == parallel workers have the identity of their leader
\c - :admin
INSERT INTO identity.note SELECT 'more', o.id FROM tenancy.organizations o, generate_series(1, CASE slug WHEN 'identity-acme' THEN 998 ELSE 1998 END)
WHERE o.slug IN ('identity-acme', 'identity-beta');
ALTER TABLE identity.note SET (parallel_workers = 2);
ANALYZE identity.note;
CREATE FUNCTION identity.in_parallel() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXPLAIN SELECT count(*) FROM identity.note LOOP
		IF line ~ 'Workers Planned: [12]' THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END
$$;
\c - regress_tenancy_app
\set VERBOSITY sqlstate
SET search_path = identity;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET parallel_leader_participation = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SELECT in_parallel();
SELECT count(*) FROM note;
SET tenancy.session_token = :'alice';
SELECT in_parallel();
SELECT count(*) FROM note;
SET tenancy.session_token = :'bob';
SELECT count(*) FROM note;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
SELECT count(*) FROM note;
SET LOCAL tenancy.org = 'identity-beta';
SELECT count(*) FROM note;
SET LOCAL tenancy.org = 'identity-acme';
SELECT count(*) FROM note;
SET LOCAL tenancy.session_token = :'expired';
SELECT count(*) FROM note;
ROLLBACK;
SELECT count(*) FROM note;
SET tenancy.session_token = :'malformed';
SELECT count(*) FROM note;
RESET tenancy.session_token;
SELECT count(*) FROM note;

\echo == the next token of a user: what it says counts, not what the one before said
\c - :admin
SELECT minting.enrol('identity-carol', 'identity-acme', 'admin'), minting.enrol('identity-carol', 'identity-beta', 'viewer') \g /dev/null
INSERT INTO tenancy.org_external_ids SELECT i.id, 'ext_' || o.slug, o.id FROM tenancy.issuers i, tenancy.organizations o
WHERE i.issuer = 'https://clerk.test' AND o.slug LIKE 'identity-%';
INSERT INTO tenancy.superadmins (user_id) VALUES (minting.user_id('identity-carol'));
UPDATE tenancy.users SET tokens_valid_from = to_timestamp(1700000100) WHERE name = 'identity-carol';
CREATE FUNCTION identity.renew(claims jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', minting.token('clerk', '{"sub": "identity-carol", "iat": 1700000200}' || claims), false);
	RETURN (SELECT format('%s %s %s superadmin: %s %s', s.status, s.org_slug, s.roles, s.is_superadmin, s.email) FROM tenancy.session() s);
END
$$;
GRANT EXECUTE ON FUNCTION identity.renew TO regress_tenancy_app;
SELECT minting.token('better_auth', '{"iss": "https://app.test", "aud": "https://app.test", "sub": "identity-carol"}') AS app_carol \gset
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT claims, identity.renew(claims) FROM unnest(ARRAY[
	'{}', '{"org_id": "ext_identity-acme"}', '{"org_id": "ext_identity-beta"}', '{"org_id": "ext_unknown"}', '{"jti": "2"}', '{"email": "new@identity.test"}',
	'{"act": {"sub": "support"}}', '{"act": {"sub": "support"}, "org_id": "ext_identity-beta"}', '{"jti": "3", "org_id": "ext_identity-beta"}',
	'{"iat": 1700000000, "org_id": "ext_identity-beta"}', '{"iat": 1700000300, "org_id": "ext_identity-beta"}', '{"iat": null, "org_id": "ext_identity-beta"}',
	'{"sub": "identity-alice"}', '{"jti": "4", "iat": 1700000300}']::jsonb[]) AS claims;
-- The same subject, but another issuer's.
SET tenancy.session_token = :'app_carol';
SELECT status, subject FROM tenancy.session();
SET tenancy.org = 'identity-beta';
SELECT identity.renew('{"jti": "5"}');
SET tenancy.org = 'identity-acme';
SELECT identity.renew('{"jti": "6"}');

\echo == a function that PL/pgSQL has set up for the transaction, inlined or as a default, answers for who is there now
\c - :admin
CREATE FUNCTION identity.org() RETURNS uuid STABLE LANGUAGE sql RETURN tenancy.current_org();
CREATE FUNCTION identity.may_delete() RETURNS boolean STABLE LANGUAGE sql RETURN tenancy.can_i('delete', 'identity_note');
CREATE FUNCTION identity.given(org uuid DEFAULT tenancy.current_org()) RETURNS uuid IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN org; END';
CREATE FUNCTION identity.asked() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	org uuid := identity.org();
	given uuid := identity.given();
	may boolean := identity.may_delete();
	slug text := (SELECT m.slug FROM tenancy.my_orgs() m WHERE m.org_id = org);
BEGIN
	RETURN format('%s %s, given the same: %s', slug, CASE WHEN may THEN 'deletes' ELSE 'does not delete' END, given IS NOT DISTINCT FROM org);
END
$$;
CREATE FUNCTION identity.asked_by_each(VARIADIC tokens text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	token text;
BEGIN
	FOREACH token IN ARRAY tokens LOOP
		PERFORM set_config('tenancy.session_token', token, true);
		RETURN NEXT identity.asked();
	END LOOP;
END
$$;
\c - regress_tenancy_app
SET search_path = identity;
BEGIN;
SET LOCAL tenancy.session_token = :'alice';
SELECT asked();
SET LOCAL tenancy.session_token = :'bob';
SELECT asked();
SET LOCAL tenancy.session_token = '';
SELECT asked();
COMMIT;
SELECT asked_by_each(:'alice', :'bob', '', :'alice');

\echo == a statement whose policies do not ask for the identity: any may change it, and a bad token is none of its business
\c - :admin
CREATE TABLE identity.own (id int, state text);
ALTER TABLE identity.own ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON identity.own USING (id % 2 = 1);
CREATE VIEW identity.low WITH (security_barrier) AS SELECT * FROM identity.own WHERE id < 4;
INSERT INTO identity.own VALUES (1), (2), (3);
GRANT ALL ON identity.own, identity.low TO regress_tenancy_app;
\c - regress_tenancy_app
SET search_path = identity;
TABLE me;
SET tenancy.session_token = :'expired';
SELECT id FROM own ORDER BY id;
UPDATE low SET state = 'seen' WHERE id = 1;
SET tenancy.session_token = :'malformed';
SELECT id FROM own ORDER BY id;
RESET tenancy.session_token;
BEGIN;
UPDATE own SET state = (SELECT status FROM tenancy.begin_session(:'alice')) WHERE id = 1 RETURNING *;
COMMIT;
BEGIN;
UPDATE low SET state = (SELECT status FROM tenancy.begin_session(:'bob')) WHERE id = 1;
SELECT status, subject FROM me;
COMMIT;

\echo == one that does not ask again after it has changed the identity is none that depends on it
SET tenancy.session_token = :'carol';
INSERT INTO note VALUES ('identity-acme5') RETURNING set_config('tenancy.org', 'identity-beta', false);
RESET tenancy.org;
\echo -- but one that does is an error, wherever the rows are written
INSERT INTO note VALUES ('identity-acme6'), ('identity-acme7') RETURNING set_config('tenancy.org', 'identity-beta', false);
WITH i AS (INSERT INTO note VALUES ('identity-acme6'), ('identity-acme7') RETURNING set_config('tenancy.org', 'identity-beta', false)) SELECT;
SELECT body FROM note WHERE body LIKE 'identity-acme_' AND body > 'identity-acme4';

\echo == clean up
\c - :admin
SET client_min_messages = warning;
DROP SCHEMA identity CASCADE;
DELETE FROM tenancy.superadmins WHERE user_id = minting.user_id('identity-carol');
DELETE FROM tenancy.role_permissions WHERE resource_type = 'identity_note';
DELETE FROM tenancy.resource_types WHERE name = 'identity_note';
DELETE FROM tenancy.users WHERE name LIKE 'identity-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'identity-%';
