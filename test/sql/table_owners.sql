-- Code that a table's owner wrote runs with the owner's rights where an administrator causes it to run, and under nobody's token.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE ROLE regress_tenancy_table_owner;
SELECT tenancy.grant_access('regress_tenancy_table_owner') \g /dev/null
CREATE SCHEMA owned AUTHORIZATION regress_tenancy_table_owner;
GRANT USAGE ON SCHEMA owned TO regress_tenancy_app;
SELECT minting.enrol('owned-root', 'owned-acme', 'admin'), minting.enrol('owned-admin', 'owned-acme', 'admin'), minting.enrol('owned-villain', 'owned-beta', 'admin') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('owned-root'));
SELECT minting.user_id('owned-villain') AS villain, id AS acme FROM tenancy.organizations WHERE slug = 'owned-acme' \gset
CREATE FUNCTION owned.sign_in(subject text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'owned-' || subject)), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;

-- What such code tries: each attempt with its answer.
SET ROLE regress_tenancy_table_owner;
CREATE TABLE owned.trace (who text, org text, what text, answer text);
CREATE FUNCTION owned.try(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO owned.trace VALUES (current_user, (SELECT concat_ws(' ', s.status, s.org_slug) FROM tenancy.session() s), what, minting.refusal(what));
END
$$;
CREATE FUNCTION owned.try_all() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM owned.try('SELECT tenancy.add_superadmin(''VILLAIN'')'),
		owned.try('SELECT 1 / (SELECT count(*) FROM tenancy.members)'),
		owned.try('SELECT tenancy.invite(''villain@owned.test'', ''admin'')');
END
$$;
CREATE FUNCTION owned.on_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM owned.try_all(); RETURN old; END $$;
CREATE FUNCTION owned.is_code(value text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM owned.try_all(); RETURN true; END $$;
CREATE DOMAIN owned.code AS text CHECK (owned.is_code(value));
CREATE TABLE owned.doc (code owned.code PRIMARY KEY);
CREATE TRIGGER on_delete BEFORE DELETE ON owned.doc FOR EACH ROW EXECUTE FUNCTION owned.on_delete();
RESET ROLE;
SELECT replace(pg_get_functiondef('owned.try_all'::regproc), 'VILLAIN', :'villain') AS definition \gset
SET ROLE regress_tenancy_table_owner;
:definition;
RESET ROLE;
GRANT SELECT ON owned.doc TO regress_tenancy_app;
SELECT tenancy.protect('owned.doc', 'owned_doc') \g /dev/null
CREATE FUNCTION owned.traced(OUT who text, OUT org text, OUT what text, OUT answer text) RETURNS SETOF record LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM owned.trace RETURNING *)
	SELECT DISTINCT g.who, g.org, split_part(g.what, '(', 1), split_part(g.answer, E'\n', 1) FROM gone g ORDER BY 3, 1, 2
$$;
CREATE FUNCTION owned.harm() RETURNS text LANGUAGE sql AS $$
	SELECT format('superadmins: %s; invitations: %s', (SELECT string_agg(u.name, ' ') FROM tenancy.superadmins s JOIN tenancy.users u ON u.id = s.user_id WHERE u.name LIKE 'owned-%'),
		(SELECT count(*) FROM tenancy.invitations WHERE email = 'villain@owned.test'))
$$;
-- Whoever inserts runs a domain's code, as ever: the DBA had better not.
INSERT INTO owned.doc (code, org_id) VALUES ('x', :'acme');
DELETE FROM owned.trace;
DELETE FROM tenancy.superadmins WHERE user_id = :'villain';

\echo == why_not(), by the DBA, by the org's admin and by a superadmin
SELECT count(*) > 0 AS told FROM tenancy.why_not('owned.doc', 'x');
SELECT * FROM owned.traced();
SELECT owned.sign_in('admin');
SELECT count(*) > 0 AS told FROM tenancy.why_not('owned.doc', 'x');
SELECT owned.sign_in('root');
SELECT count(*) > 0 AS told FROM tenancy.why_not('owned.doc', 'x');
SELECT * FROM owned.traced();
SELECT owned.harm();

\echo == purge_org(), by a superadmin and by the DBA
SELECT tenancy.archive_org('owned-acme');
BEGIN;
SELECT * FROM tenancy.purge_org('owned-acme');
SELECT * FROM owned.traced();
SELECT owned.harm(), status FROM tenancy.session();
SELECT action, user_id = minting.user_id('owned-root') AS root FROM tenancy.audit_events ORDER BY at DESC LIMIT 1;
ROLLBACK;
RESET tenancy.session_token;
SELECT * FROM tenancy.purge_org('owned-acme');
SELECT * FROM owned.traced();
SELECT owned.harm();
\echo -- an error on the way changes nothing about who may do what
SELECT minting.refusal('SELECT tenancy.run_as_owner(''owned.doc'', ''SELECT 1 / 0'', gen_random_uuid())'), tenancy.is_administrator();

SET client_min_messages = warning;
DROP SCHEMA owned CASCADE;
SELECT tenancy.revoke_access('regress_tenancy_table_owner') \g /dev/null
DROP ROLE regress_tenancy_table_owner;
DELETE FROM tenancy.organizations WHERE slug LIKE 'owned-%';
DELETE FROM tenancy.users WHERE name LIKE 'owned-%';
