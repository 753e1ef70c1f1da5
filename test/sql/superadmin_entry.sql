-- A superadmin works in an org of others as its admin, by tenancy.org, switch_org() or begin_session(); nobody else does.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA entry;
GRANT USAGE ON SCHEMA entry TO regress_tenancy_app;

SELECT minting.enrol('entry-root', 'entry-home', 'viewer'), minting.enrol('entry-rootless', 'entry-home'), minting.enrol('entry-admin', 'entry-acme', 'admin'),
	minting.enrol('entry-admin', 'entry-shut', 'admin'), minting.enrol('entry-admin', 'entry-old', 'admin') \g /dev/null
DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('entry-rootless');
INSERT INTO tenancy.superadmins VALUES (minting.user_id('entry-root')), (minting.user_id('entry-rootless'));
UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'unpaid invoice' WHERE slug = 'entry-shut';
UPDATE tenancy.organizations SET status = 'archived' WHERE slug = 'entry-old';
INSERT INTO tenancy.org_external_ids SELECT i.id, 'ext_' || o.slug, o.id FROM tenancy.issuers i, tenancy.organizations o
WHERE i.issuer = 'https://clerk.test' AND o.slug LIKE 'entry-%';
CREATE TABLE entry.note (body text);
SELECT tenancy.protect('entry.note', 'entry_note');
INSERT INTO entry.note SELECT o.slug, o.id FROM tenancy.organizations o WHERE o.slug LIKE 'entry-%';
GRANT SELECT, INSERT, UPDATE, DELETE ON entry.note TO regress_tenancy_app;

CREATE FUNCTION entry.sign_in(subject text, claim text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'entry-' || subject, 'org_id', claim)), false);
END
$$;
CREATE FUNCTION entry.look(OUT status text, OUT org_slug text, OUT roles text[], OUT is_superadmin boolean, OUT notes text) LANGUAGE plpgsql AS $$
BEGIN
	SELECT s.status, s.org_slug, s.roles, s.is_superadmin INTO status, org_slug, roles, is_superadmin FROM tenancy.session() s;
	notes := (SELECT string_agg(body, ' ' ORDER BY body) FROM entry.note);
END
$$;
CREATE VIEW entry.changes AS SELECT u.name, o.slug, a.action, a.target = o.id::text AS org_is_target, a.old_values, a.new_values, a.subject, a.database_role, a.acting_superadmin
FROM tenancy.audit_events a JOIN tenancy.users u ON u.id = a.user_id LEFT JOIN tenancy.organizations o ON o.id = a.org_id WHERE u.name LIKE 'entry-%' ORDER BY a.at;

\c - regress_tenancy_app
SET client_min_messages = warning;
\echo == at home, by the roles held there
SELECT entry.sign_in('root') \g /dev/null
SELECT * FROM entry.look();
SELECT tenancy.switch_org('entry-home') IS NOT NULL AS switched;
SELECT * FROM entry.look();
RESET tenancy.org;

\echo == by the setting: as the admin of that org and of no other
SET tenancy.org = 'entry-acme';
SELECT * FROM entry.look();
SELECT tenancy.can_i('delete', 'entry_note'), tenancy.can_i('update', 'member'), tenancy.can_i('delete', 'no_such_type');
INSERT INTO entry.note VALUES ('new') RETURNING body, org_id = tenancy.current_org() AS in_org;
DELETE FROM entry.note WHERE body IN ('new', 'entry-home') RETURNING body;
SELECT slug, is_current FROM tenancy.my_orgs();
\echo -- by its id
SELECT tenancy.current_org() AS acme \gset
SET tenancy.org = :'acme';
SELECT * FROM entry.look();
\echo -- leaving
RESET tenancy.org;
SELECT * FROM entry.look();
\echo -- for a transaction
SELECT status, org_slug, roles FROM tenancy.begin_session(minting.token('clerk', '{"sub": "entry-root"}'), 'entry-acme');
BEGIN;
SET LOCAL tenancy.org = 'entry-acme';
SELECT * FROM entry.look();
COMMIT;
SELECT * FROM entry.look();
\echo -- who belongs to no org
SELECT entry.sign_in('rootless') \g /dev/null
SELECT * FROM entry.look();
SET tenancy.org = 'entry-acme';
SELECT * FROM entry.look();
RESET tenancy.org;
\echo -- across orgs from there
SELECT entry.sign_in('root') \g /dev/null
SET tenancy.org = 'entry-acme';
SET tenancy.cross_org = on;
SELECT notes FROM entry.look();
DELETE FROM entry.note WHERE body = 'entry-home' RETURNING body;
\echo -- but not for a part of a statement
SELECT minting.refusal($$SELECT body FROM entry.note WHERE set_config('tenancy.cross_org', 'off', true) <> ''$$);
SELECT count(*) FROM entry.note WHERE set_config('tenancy.cross_org', 'off', true) || set_config('tenancy.cross_org', 'on', true) <> '';
RESET tenancy.cross_org;
RESET tenancy.org;

\echo == not by the claim of a token, and not where there is nothing
SELECT entry.sign_in('root', 'ext_entry-acme') \g /dev/null
SELECT * FROM entry.look();
SELECT entry.sign_in('rootless', 'ext_entry-acme') \g /dev/null
SELECT * FROM entry.look();
SELECT entry.sign_in('root') \g /dev/null
SET tenancy.org = 'entry-nowhere';
SELECT * FROM entry.look();
SELECT minting.refusal('SELECT tenancy.switch_org(''entry-nowhere'')');
RESET tenancy.org;

\echo == a suspended or archived org stays closed
SET tenancy.org = 'entry-shut';
SELECT * FROM entry.look();
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
SET tenancy.org = 'entry-old';
SELECT * FROM entry.look();
RESET tenancy.org;
SELECT minting.refusal('SELECT tenancy.switch_org(''entry-shut'')');
SELECT minting.refusal('SELECT tenancy.switch_org(''entry-old'')');

\echo == by switch_org, which leaves a trace
SELECT tenancy.switch_org('entry-acme') = :'acme' AS switched;
SELECT * FROM entry.look();
RESET tenancy.org;
\echo -- undone together
BEGIN;
SELECT tenancy.switch_org('entry-acme') = :'acme' AS switched;
SELECT count(*) FROM tenancy.audit_log WHERE action = 'switch_org' AND org_id = :'acme';
ROLLBACK;
SELECT * FROM entry.look();
\echo -- where nothing may be written it works without
BEGIN READ ONLY;
SELECT tenancy.switch_org('entry-acme') = :'acme' AS switched;
SELECT * FROM entry.look();
COMMIT;
SELECT * FROM entry.look();
RESET tenancy.org;
\echo -- whatever the path and the temporary objects of the caller
CREATE FUNCTION pg_temp.record_change(text, uuid, text, jsonb, jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TEMPORARY TABLE audit_events (x int);
SET search_path = pg_temp;
SELECT tenancy.switch_org('entry-acme') = :'acme' AS switched, current_user;
RESET search_path;
RESET tenancy.org;

\echo == nobody else enters
SELECT entry.sign_in('admin') \g /dev/null
SET tenancy.org = 'entry-home';
SELECT * FROM entry.look();
SELECT minting.refusal('SELECT tenancy.switch_org(''entry-home'')');
SELECT status FROM tenancy.begin_session(minting.token('clerk', '{"sub": "entry-admin"}'), 'entry-home');
RESET tenancy.org;
SET tenancy.org = 'entry-acme';
SELECT tenancy.switch_org('entry-acme') = :'acme' AS own_org_without_a_trace;
\echo -- and its admins see who came
SELECT o.slug, a.action, a.subject FROM tenancy.audit_log a JOIN tenancy.my_orgs() o USING (org_id);
RESET tenancy.org;

\echo == who is no longer superadmin is out at once
\c - :dba
SET client_min_messages = warning;
SELECT minting.token('clerk', '{"sub": "entry-root"}') AS root \gset
SET SESSION AUTHORIZATION regress_tenancy_app;
SET tenancy.session_token = :'root';
SET tenancy.org = 'entry-acme';
SELECT * FROM entry.look();
SET SESSION AUTHORIZATION DEFAULT;
DELETE FROM tenancy.superadmins WHERE user_id = minting.user_id('entry-root');
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT * FROM entry.look();
RESET tenancy.org;
SELECT * FROM entry.look();
RESET tenancy.session_token;
SET SESSION AUTHORIZATION DEFAULT;
SELECT * FROM entry.changes;

\echo == clean up
DROP SCHEMA entry CASCADE;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'entry_note';
DELETE FROM tenancy.resource_types WHERE name = 'entry_note';
DELETE FROM tenancy.users WHERE name LIKE 'entry-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'entry-%';
