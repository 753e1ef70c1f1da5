-- What was read from changes that are undone since does not count: not after a rollback, not after a savepoint's, and not
-- where the statement that made the change has failed in its middle, so that it never signalled.
\set VERBOSITY terse
SET client_min_messages = warning;
-- They name orgs that are not there, each another, so that what was read for one does not serve the next.
SELECT minting.token('clerk', '{"sub": "undone-alice", "org_id": "1"}') AS alice, minting.token('clerk', '{"sub": "undone-alice", "org_id": "2"}') AS alice_again,
	minting.token('clerk', '{"sub": "undone-alice", "org_id": "3"}') AS alice_once_more \gset
SELECT FROM minting.enrol('undone-alice', 'undone-acme', 'viewer');
SELECT minting.user_id('undone-alice') AS alice_id \gset
CREATE SCHEMA undone;
-- Looks at the session in the middle of a statement, at what that has written so far.
CREATE FUNCTION undone.look(id uuid) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	PERFORM 1;
	RAISE INFO 'superadmin %', (SELECT is_superadmin FROM tenancy.session());
	RETURN id;
END
$$;
SET tenancy.session_token = :'alice';
SELECT status, is_superadmin FROM tenancy.session();

\echo == a rollback, one to a savepoint, an exception that was caught
BEGIN;
INSERT INTO tenancy.superadmins (user_id) VALUES (:'alice_id');
SELECT is_superadmin FROM tenancy.session();
ROLLBACK;
SELECT is_superadmin FROM tenancy.session();
BEGIN;
SAVEPOINT s;
INSERT INTO tenancy.superadmins (user_id) VALUES (:'alice_id');
SELECT is_superadmin FROM tenancy.session();
ROLLBACK TO s;
SELECT is_superadmin FROM tenancy.session();
COMMIT;
CREATE FUNCTION undone.try(id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO tenancy.superadmins (user_id) VALUES (id);
		PERFORM FROM tenancy.session();
		RAISE EXCEPTION 'undone';
	EXCEPTION WHEN raise_exception THEN
		RETURN (SELECT is_superadmin FROM tenancy.session());
	END;
END
$$;
SELECT undone.try(:'alice_id');

\echo == a statement that fails after it was looked at, with a token about which nothing is cached
SET tenancy.session_token = :'alice_again';
INSERT INTO tenancy.superadmins (user_id)
SELECT CASE WHEN i = 1 THEN id WHEN undone.look(id) IS NOT NULL THEN (1 / (i - 2))::text::uuid END
FROM (VALUES (1, :'alice_id'::uuid), (2, :'alice_id')) v (i, id);
SELECT is_superadmin FROM tenancy.session();
BEGIN;
SET LOCAL tenancy.session_token = :'alice_once_more';
SAVEPOINT s;
INSERT INTO tenancy.superadmins (user_id)
SELECT CASE WHEN i = 1 THEN id WHEN undone.look(id) IS NOT NULL THEN (1 / (i - 2))::text::uuid END
FROM (VALUES (1, :'alice_id'::uuid), (2, :'alice_id')) v (i, id);
ROLLBACK TO s;
SELECT is_superadmin FROM tenancy.session();
COMMIT;

RESET tenancy.session_token;
DROP SCHEMA undone CASCADE;
DELETE FROM tenancy.organizations WHERE slug = 'undone-acme';
DELETE FROM tenancy.users WHERE id = :'alice_id';
