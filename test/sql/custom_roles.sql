-- An org's own roles: who makes, grants, drops them, that nobody gives what they do not hold, and who can do what.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
CREATE SCHEMA own_roles;
GRANT USAGE ON SCHEMA own_roles TO regress_tenancy_app;
SELECT tenancy.add_resource_type('own_deed', '{read,create,seal}'), tenancy.add_resource_type('own_vault', '{open}');
SELECT minting.enrol('own-admin', 'own-acme', 'admin'), minting.enrol('own-member', 'own-acme', 'member'), minting.enrol('own-viewer', 'own-acme', 'viewer'),
	minting.enrol('own-keeper', 'own-acme', 'member'), minting.enrol('own-none', 'own-acme'), minting.enrol('own-beta', 'own-beta', 'admin'),
	minting.enrol('own-super', 'own-beta', 'viewer'), minting.enrol('own-shut', 'own-shut', 'admin'), minting.enrol('own-disabled', 'own-acme', 'admin') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('own-super'));
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'own-shut';
UPDATE tenancy.users SET status = 'disabled' WHERE id = minting.user_id('own-disabled');

CREATE FUNCTION own_roles.sign_in(subject text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false),
		set_config('tenancy.session_token', CASE subject WHEN 'nobody' THEN '' ELSE minting.token('clerk', jsonb_build_object('sub', 'own-' || subject)) END, false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
-- What a statement ends with for a user; what it did is undone.
CREATE FUNCTION own_roles.try(subject text, statement text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM own_roles.sign_in(subject, org);
	EXECUTE statement;
	RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDON';
EXCEPTION WHEN SQLSTATE 'UNDON' THEN
	RETURN 'permitted';
WHEN OTHERS THEN
	RETURN sqlstate || ': ' || sqlerrm;
END
$$;
-- The grants of the org's own roles.
CREATE FUNCTION own_roles.granted(slug text) RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER AS $$
	SELECT format('%s: %s', r.name, string_agg(p.action || ' ' || p.resource_type, ', ' ORDER BY p.resource_type, p.action))
	FROM tenancy.roles r JOIN tenancy.organizations o ON o.id = r.org_id LEFT JOIN tenancy.granted_permissions p ON p.role_id = r.id
	WHERE o.slug = granted.slug GROUP BY r.name ORDER BY r.name
$$;
SELECT minting.user_id('own-admin') AS admin, minting.user_id('own-member') AS member, minting.user_id('own-keeper') AS keeper, minting.user_id('own-beta') AS beta,
	minting.user_id('own-viewer') AS viewer, minting.user_id('own-disabled') AS disabled \gset
SET ROLE regress_tenancy_app;

\echo == an admin makes roles, grants, and gives them
SELECT own_roles.sign_in('admin');
SELECT tenancy.create_role('sealer', 'Seals deeds') IS NOT NULL AS created, tenancy.create_role('role-keeper') IS NOT NULL AS created;
SELECT tenancy.grant_permission('sealer', 'seal', 'own_deed'), tenancy.grant_permission('sealer', 'seal', 'own_deed');
SELECT tenancy.grant_permission('role-keeper', action, 'role') FROM unnest('{read,create,update,delete}'::text[]) action;
SELECT tenancy.set_member_roles(:'keeper', '{member,role-keeper}');
SELECT own_roles.granted('own-acme');
SELECT role, granted FROM tenancy.permission_matrix WHERE resource_type = 'own_deed' AND action = 'seal' ORDER BY org_id NULLS FIRST, role;
SELECT own_roles.sign_in('viewer'), tenancy.can_i('seal', 'own_deed') AS before;
SELECT own_roles.sign_in('admin'), tenancy.set_member_roles(:'viewer', '{viewer,sealer}');
SELECT own_roles.sign_in('viewer'), tenancy.can_i('seal', 'own_deed') AS seal, tenancy.can_i('read', 'own_deed') AS read, (SELECT roles FROM tenancy.session());

\echo == who may
SELECT s.subject, regexp_replace(t.statement, '[0-9a-f-]{36}', '…') AS statement, own_roles.try(s.subject, t.statement, s.org) FROM (VALUES ('nobody', ''), ('unknown', ''), ('disabled', ''), ('viewer', ''), ('member', ''), ('none', ''), ('beta', ''), ('shut', ''),
	('super', ''), ('super', 'own-acme'), ('keeper', ''), ('admin', '')) AS s (subject, org),
	unnest(ARRAY[$$SELECT tenancy.create_role('another')$$, $$SELECT tenancy.drop_role('role-keeper')$$, $$SELECT tenancy.grant_permission('sealer', 'create', 'own_deed')$$,
		$$SELECT tenancy.revoke_permission('sealer', 'seal', 'own_deed')$$, format('SELECT tenancy.can_user(%L, ''read'', ''org'')', :'admin'), $$SELECT tenancy.who_can('read', 'org')$$])
	WITH ORDINALITY AS t (statement, i) ORDER BY t.i, s.subject, s.org;
-- The built-in roles are an administrator's, whoever asks.
SELECT s, own_roles.try(s, $$SELECT tenancy.grant_permission('viewer', 'seal', 'own_deed')$$), own_roles.try(s, $$SELECT tenancy.revoke_permission('member', 'create', 'own_deed')$$),
	own_roles.try(s, $$SELECT tenancy.drop_role('viewer')$$), own_roles.try(s, $$SELECT tenancy.create_role('admin')$$) FROM unnest('{admin,keeper,super}'::text[]) s;

\echo == nobody gives what they do not hold
SELECT own_roles.sign_in('keeper');
SELECT minting.refusal($$SELECT tenancy.grant_permission('role-keeper', 'open', 'own_vault')$$);
SELECT minting.refusal($$SELECT tenancy.revoke_permission('sealer', 'seal', 'own_deed')$$);
SELECT minting.refusal($$SELECT tenancy.drop_role('sealer')$$);
SELECT tenancy.create_role('creator') IS NOT NULL AS created, tenancy.grant_permission('creator', 'create', 'own_deed');
SELECT own_roles.granted('own-acme');

\echo == roles of another org
SELECT own_roles.sign_in('beta');
SELECT minting.refusal(statement) FROM unnest(ARRAY[$$SELECT tenancy.grant_permission('sealer', 'seal', 'own_deed')$$, $$SELECT tenancy.revoke_permission('sealer', 'seal', 'own_deed')$$,
	$$SELECT tenancy.drop_role('sealer')$$, $$SELECT tenancy.grant_permission('no-such-role', 'seal', 'own_deed')$$]) statement;
SELECT tenancy.can_user(:'admin', 'read', 'org') AS foreign_admin, tenancy.can_user(:'beta', 'read', 'org') AS own, (SELECT count(*) FROM tenancy.who_can('read', 'org') w WHERE w.user_id = :'admin') AS foreign_listed;
-- A role of the same name is another role.
SELECT tenancy.create_role('sealer') IS NOT NULL AS created;
SELECT own_roles.granted('own-beta');
SELECT role FROM tenancy.permission_matrix WHERE org_id IS NOT NULL GROUP BY org_id, role;

\echo == bad arguments
SELECT own_roles.sign_in('admin');
SELECT minting.refusal(statement) FROM unnest(ARRAY['SELECT tenancy.create_role(NULL)', 'SELECT tenancy.create_role('''')', 'SELECT tenancy.create_role(''Editor'')',
	format('SELECT tenancy.create_role(%L)', repeat('a', 64)), 'SELECT tenancy.create_role(''sealer'')', 'SELECT tenancy.create_role(''viewer'')', 'SELECT tenancy.drop_role(NULL)',
	'SELECT tenancy.drop_role(''nosuch'')', 'SELECT tenancy.drop_role(''sealer'')', 'SELECT tenancy.grant_permission(NULL, ''read'', ''org'')',
	'SELECT tenancy.grant_permission(''sealer'', NULL, ''org'')', 'SELECT tenancy.grant_permission(''sealer'', ''read'', NULL)', 'SELECT tenancy.grant_permission(''sealer'', ''fly'', ''org'')',
	'SELECT tenancy.grant_permission(''nosuch'', ''read'', ''org'')']) statement;
SELECT tenancy.can_user(NULL, 'read', 'org'), tenancy.can_user(:'admin', NULL, 'org'), tenancy.can_user(:'admin', 'read', NULL), tenancy.can_user(:'admin', 'fly', 'org'),
	(SELECT count(*) FROM tenancy.who_can(NULL, NULL));

\echo == who can
SELECT (SELECT u.subject FROM (VALUES ('admin', :'admin'::uuid), ('viewer', :'viewer'), ('keeper', :'keeper'), ('member', :'member')) u (subject, id) WHERE u.id = w.user_id), w.roles
FROM tenancy.who_can('seal', 'own_deed') w ORDER BY 1;
SELECT tenancy.can_user(:'viewer', 'seal', 'own_deed') AS viewer, tenancy.can_user(:'member', 'seal', 'own_deed') AS member, tenancy.can_user(:'disabled', 'seal', 'own_deed') AS disabled;

\echo == dropping
SELECT tenancy.set_member_roles(:'viewer', '{viewer}');
RESET ROLE;
INSERT INTO tenancy.invitations (org_id, email, role_id, token_hash, expires_at)
SELECT r.org_id, 'own@example.com', r.id, sha256('own'), now() + interval '1 day' FROM tenancy.roles r JOIN tenancy.organizations o ON o.id = r.org_id WHERE r.name = 'sealer' AND o.slug = 'own-acme';
SET ROLE regress_tenancy_app;
SELECT minting.refusal($$SELECT tenancy.drop_role('sealer')$$);
RESET ROLE;
UPDATE tenancy.invitations SET revoked_at = now() WHERE email = 'own@example.com';
SET ROLE regress_tenancy_app;
SELECT tenancy.drop_role('sealer');
SELECT own_roles.granted('own-acme');
SELECT own_roles.granted('own-beta');

\echo == the DBA names the org
RESET ROLE;
SELECT set_config('tenancy.session_token', '', false), set_config('tenancy.org', '', false);
SELECT minting.refusal($$SELECT tenancy.create_role('editor')$$);
SET tenancy.org = 'own-beta';
SELECT tenancy.create_role('editor') IS NOT NULL AS created, tenancy.grant_permission('editor', 'open', 'own_vault'), tenancy.revoke_permission('editor', 'open', 'own_vault');
RESET tenancy.org;

\echo == the trace
SELECT o.slug, e.action, e.target, e.old_values, e.new_values FROM tenancy.audit_log e JOIN tenancy.organizations o ON o.id = e.org_id
WHERE o.slug LIKE 'own-%' AND e.action IN ('create_role', 'drop_role', 'grant_permission', 'revoke_permission') ORDER BY e.at;
DROP SCHEMA own_roles CASCADE;
