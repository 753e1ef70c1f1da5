-- Picking the org to work in: a user of several lists them, switches, sets a default; a user of one never picks; the token's
-- org claim counts through the issuer's own ids; and nobody picks an org they do not belong to.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA org_picker;
GRANT USAGE ON SCHEMA org_picker TO regress_tenancy_app;

SELECT minting.enrol('org_picker-one', 'org-picker-acme'), minting.enrol('org_picker-two', 'org-picker-acme', 'admin'),
	minting.enrol('org_picker-two', 'org-picker-beta', 'viewer'), minting.enrol('org_picker-three', 'org-picker-acme'),
	minting.enrol('org_picker-three', 'org-picker-beta'), minting.enrol('org_picker-three', 'org-picker-gamma'),
	minting.enrol('org_picker-none', 'org-picker-acme'), minting.enrol('org_picker-disabled', 'org-picker-acme') \g /dev/null
DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('org_picker-none');
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'org_picker-disabled';
INSERT INTO tenancy.org_external_ids SELECT i.id, 'ext_' || o.slug, o.id FROM tenancy.issuers i, tenancy.organizations o
WHERE i.issuer = 'https://clerk.test' AND o.slug LIKE 'org-picker-%';
CREATE TABLE org_picker.note (body text);
SELECT tenancy.protect('org_picker.note', 'org_picker_note');
INSERT INTO org_picker.note SELECT o.slug, o.id FROM tenancy.organizations o WHERE o.slug LIKE 'org-picker-%';
GRANT SELECT ON org_picker.note TO regress_tenancy_app;

-- The token, with the issuer's id of an org in it or none, and what comes of it; tenancy.org stays as it is.
CREATE FUNCTION org_picker.sign_in(subject text, claim text DEFAULT NULL, OUT status text, OUT org_slug text, OUT notes text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'org_picker-' || subject, 'org_id', claim)), false);
	SELECT s.status, s.org_slug INTO status, org_slug FROM tenancy.session() s;
	notes := (SELECT string_agg(body, ' ' ORDER BY body) FROM org_picker.note);
END
$$;
CREATE FUNCTION org_picker.slug(id uuid) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT slug FROM tenancy.organizations o WHERE o.id = slug.id $$;
CREATE VIEW org_picker.changes AS SELECT u.name, a.org_id, a.action, a.target = a.user_id::text AS own, org_picker.slug((a.old_values ->> 'org_id')::uuid) AS old,
	org_picker.slug((a.new_values ->> 'org_id')::uuid) AS new, a.database_role
FROM tenancy.audit_events a JOIN tenancy.users u ON u.id = a.user_id WHERE u.name LIKE 'org\_picker-%' ORDER BY a.at;

\c - regress_tenancy_app
SET client_min_messages = warning;
\echo == one org: never asked to pick
SELECT * FROM org_picker.sign_in('one');
\echo == several: picked by tenancy.org, by slug or id, for this transaction alone if so set
SELECT * FROM org_picker.sign_in('two');
SELECT slug, kind, status, roles, is_current FROM tenancy.my_orgs() ORDER BY slug;
BEGIN;
SET LOCAL tenancy.org = 'org-picker-beta';
SELECT body FROM org_picker.note;
SELECT slug, is_current FROM tenancy.my_orgs() ORDER BY slug;
SELECT tenancy.current_org() AS beta \gset
COMMIT;
SELECT status FROM tenancy.session();
SET tenancy.org = :'beta';
SELECT org_slug FROM tenancy.session();
\echo == picked by switch_org
SELECT org_picker.slug(tenancy.switch_org('org-picker-acme'));
SELECT body FROM org_picker.note;
SELECT minting.refusal('SELECT tenancy.switch_org(''org-picker-gamma'')');
SELECT body FROM org_picker.note;
RESET tenancy.org;
\echo == named by the token, by the id that the issuer has for it; tenancy.org overrides it
SELECT * FROM org_picker.sign_in('two', 'ext_org-picker-beta');
SET tenancy.org = 'org-picker-acme';
SELECT org_slug FROM tenancy.session();
RESET tenancy.org;
\echo -- a slug or an id is no external id, and one that nobody knows is as none
SELECT * FROM org_picker.sign_in('two', 'org-picker-beta');
SELECT * FROM org_picker.sign_in('two', :'beta');
SELECT * FROM org_picker.sign_in('two', 'ext_unknown');
\echo -- of a foreign org: no other is taken in its place
SELECT * FROM org_picker.sign_in('two', 'ext_org-picker-gamma');
SELECT * FROM org_picker.sign_in('one', 'ext_org-picker-gamma');
SELECT * FROM org_picker.sign_in('none', 'ext_org-picker-gamma');
\echo -- what another issuer calls so is another thing
SELECT set_config('tenancy.session_token', minting.token('better_auth', '{"sub": "org_picker-two", "aud": "https://app.test", "activeOrganizationId": "ext_org-picker-beta"}'), false) \g /dev/null
SELECT status FROM tenancy.session();

\echo == a default, by slug and by id
SELECT * FROM org_picker.sign_in('three');
SELECT org_picker.slug(tenancy.set_default_org('org-picker-beta'));
SELECT * FROM org_picker.sign_in('three');
SELECT tenancy.set_default_org(upper(:'beta')) = :'beta' AS same;
SELECT org_picker.slug(tenancy.set_default_org('org-picker-gamma'));
SELECT * FROM org_picker.sign_in('three');
\echo -- is for when nothing else says which
SELECT * FROM org_picker.sign_in('three', 'ext_org-picker-acme');
SELECT * FROM org_picker.sign_in('three', 'ext_unknown');
SET tenancy.org = 'org-picker-beta';
SELECT * FROM org_picker.sign_in('three', 'ext_org-picker-acme');
SET tenancy.org = 'org-picker-nowhere';
SELECT * FROM org_picker.sign_in('three');
RESET tenancy.org;
\echo -- is of one user alone
SELECT * FROM org_picker.sign_in('two');
\echo -- is undone by a rollback
SELECT * FROM org_picker.sign_in('three');
BEGIN;
SELECT org_picker.slug(tenancy.set_default_org('org-picker-acme'));
SELECT org_slug FROM tenancy.session();
ROLLBACK;
SELECT org_slug FROM tenancy.session();
\echo -- must be one that the user belongs to, and the refusal does not tell which exist
SELECT * FROM org_picker.sign_in('two');
SELECT minting.refusal('SELECT tenancy.set_default_org(''org-picker-gamma'')');
SELECT minting.refusal('SELECT tenancy.set_default_org(''org-picker-nowhere'')') = minting.refusal('SELECT tenancy.set_default_org(''org-picker-gamma'')') AS same,
	minting.refusal('SELECT tenancy.set_default_org('''')') = minting.refusal('SELECT tenancy.set_default_org(''org-picker-gamma'')') AS same;
\echo -- needs a user
SELECT * FROM org_picker.sign_in('disabled');
SELECT minting.refusal('SELECT tenancy.set_default_org(''org-picker-acme'')');
SELECT * FROM org_picker.sign_in('nobody');
SELECT minting.refusal('SELECT tenancy.set_default_org(NULL)');
RESET tenancy.session_token;
SELECT left(minting.refusal('SELECT tenancy.set_default_org(NULL)'), 5);

\echo == a default that is suspended or archived does not count
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'org-picker-gamma';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.organizations SET status = 'archived' WHERE slug = 'org-picker-gamma';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.organizations SET status = 'active' WHERE slug = 'org-picker-gamma';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');
\echo == a default that was left is gone, and does not come back with the membership
\c - :dba
SET client_min_messages = warning;
DELETE FROM tenancy.memberships m USING tenancy.organizations o WHERE o.id = m.org_id AND o.slug = 'org-picker-gamma';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');
\c - :dba
SET client_min_messages = warning;
SELECT minting.enrol('org_picker-three', 'org-picker-gamma');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');
\echo -- even where the foreign key was not there to take it away
SELECT org_picker.slug(tenancy.set_default_org('org-picker-gamma'));
\c - :dba
SET client_min_messages = warning;
SET session_replication_role = replica;
DELETE FROM tenancy.memberships m USING tenancy.organizations o WHERE o.id = m.org_id AND o.slug = 'org-picker-gamma';
RESET session_replication_role;
SELECT count(*) FROM tenancy.default_orgs;
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');

\echo == taken back with null; nothing is written where nothing changes
SELECT org_picker.slug(tenancy.set_default_org('org-picker-beta')), org_picker.slug(tenancy.set_default_org('org-picker-beta'));
SELECT tenancy.set_default_org(NULL), tenancy.set_default_org(NULL);
SELECT * FROM org_picker.sign_in('three');
\echo == with one org left there is nothing to pick
\c - :dba
SET client_min_messages = warning;
DELETE FROM tenancy.memberships m USING tenancy.organizations o WHERE o.id = m.org_id AND o.slug = 'org-picker-acme';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM org_picker.sign_in('three');
\c - :dba
SET client_min_messages = warning;
SELECT * FROM org_picker.changes;

\echo == clean up
DROP SCHEMA org_picker CASCADE;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'org_picker_note';
DELETE FROM tenancy.resource_types WHERE name = 'org_picker_note';
DELETE FROM tenancy.users WHERE name LIKE 'org\_picker-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'org-picker-%';
