-- Roles, resource types and grants: what is there from the start, how roles unite, who may change what, and that a change
-- takes effect in the next statement of every session.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA rbac;
GRANT USAGE ON SCHEMA rbac TO regress_tenancy_app;

CREATE FUNCTION rbac.code(statement text) RETURNS text LANGUAGE sql AS $$ SELECT left(minting.refusal(statement), 5) $$;
CREATE FUNCTION rbac.sign_in(subject text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'rbac-' || subject)), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
-- What a query returns, and what a statement ends with, for a user.
CREATE FUNCTION rbac.seen_by(subject text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM rbac.sign_in(subject);
	EXECUTE query INTO result;
	RETURN result;
END
$$;
CREATE FUNCTION rbac.code_for(subject text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN rbac.sign_in(subject) || ' ' || rbac.code(statement);
END
$$;
-- What the user may do, a line a resource type; what other tests have added is left out.
CREATE FUNCTION rbac.mine() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s: %s', resource_type, string_agg(action, ' ' ORDER BY action)) FROM tenancy.my_permissions()
	WHERE resource_type IN ('org', 'member', 'invitation', 'role', 'audit') OR resource_type LIKE 'rbac%' GROUP BY resource_type ORDER BY 1
$$;
-- can_i(), current_org_if(), require() and require_org() must agree, with each other and with my_permissions(), on every
-- action there is: the actions of which they do not.
CREATE FUNCTION rbac.disagreements() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s', a.action, t.name) FROM tenancy.resource_types t, unnest(t.actions || '{read,nonsense}'::text[]) AS a (action),
		LATERAL (SELECT tenancy.can_i(a.action, t.name) AS may) c
	WHERE may IS DISTINCT FROM (tenancy.current_org_if(a.action, t.name) IS NOT DISTINCT FROM tenancy.current_org() AND tenancy.current_org() IS NOT NULL)
		OR may IS DISTINCT FROM (rbac.code(format('SELECT tenancy.require(%L, %L)', a.action, t.name)) = 'no er')
		OR may IS DISTINCT FROM (rbac.code(format('SELECT tenancy.require_org(%L, %L)', a.action, t.name)) = 'no er')
		OR may IS DISTINCT FROM EXISTS (SELECT FROM tenancy.my_permissions() p WHERE p.resource_type = t.name AND p.action = a.action)
$$;

SELECT minting.enrol('rbac-admin', 'rbac-acme', 'admin'), minting.enrol('rbac-member', 'rbac-acme', 'member'), minting.enrol('rbac-viewer', 'rbac-acme', 'viewer'),
	minting.enrol('rbac-both', 'rbac-acme', 'viewer'), minting.enrol('rbac-both', 'rbac-acme', 'member'), minting.enrol('rbac-none', 'rbac-acme'),
	minting.enrol('rbac-other', 'rbac-beta', 'admin'), minting.enrol('rbac-super', 'rbac-beta', 'viewer'), minting.enrol('rbac-two', 'rbac-acme', 'viewer'),
	minting.enrol('rbac-two', 'rbac-beta', 'admin'), minting.enrol('rbac-homeless', 'rbac-beta'), minting.enrol('rbac-shut', 'rbac-shut', 'admin') \g /dev/null
DELETE FROM tenancy.membership_roles WHERE user_id = minting.user_id('rbac-none');
DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('rbac-homeless');
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'rbac-shut';
INSERT INTO tenancy.superadmins VALUES (minting.user_id('rbac-super'));

\echo == what every installation starts with
SELECT name, org_id, description, id FROM tenancy.roles WHERE org_id IS NULL ORDER BY id;
SELECT name, actions FROM tenancy.resource_types WHERE shipped ORDER BY name;
SELECT r.name AS role, p.resource_type, string_agg(p.action, ' ' ORDER BY p.action) AS actions FROM tenancy.role_permissions p JOIN tenancy.roles r ON r.id = p.role_id
WHERE p.shipped GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM tenancy.role_permissions p JOIN tenancy.resource_types t ON t.name = p.resource_type AND t.shipped WHERE NOT p.shipped;

\echo == what the roles may do
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT rbac.sign_in('admin');
SELECT rbac.mine();
SELECT rbac.disagreements();
SELECT rbac.sign_in('member');
SELECT rbac.mine();
SELECT rbac.disagreements();
SELECT rbac.sign_in('viewer');
SELECT rbac.mine();
SELECT rbac.disagreements();
-- Several unite.
SELECT rbac.sign_in('both');
SELECT rbac.mine();
SELECT rbac.disagreements();
-- A member without a role may do nothing.
SELECT rbac.sign_in('none');
SELECT rbac.mine();
SELECT rbac.disagreements();
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
-- In each org by the role held there; none before one is picked.
SELECT rbac.sign_in('two', 'rbac-acme');
SELECT rbac.mine();
SET tenancy.org = 'rbac-beta';
SELECT tenancy.can_i('delete', 'org');
SELECT rbac.disagreements();
RESET tenancy.org;
SELECT rbac.mine();
SELECT rbac.disagreements();
-- A superadmin has no more rights in an org than the roles give.
SELECT rbac.sign_in('super');
SELECT rbac.mine();
SELECT rbac.disagreements();

\echo == why not
SELECT minting.refusal(format('SELECT tenancy.%s(%L, %L)', f, action, type)) FROM (VALUES (1, 'require', 'delete', 'org'), (2, 'require_org', 'delete', 'org'), (3, 'require', 'read', 'rbac_nonsense'), (4, 'require', 'nonsense', 'org')) c (n, f, action, type) ORDER BY n;
SELECT rbac.sign_in('both');
SELECT minting.refusal('SELECT tenancy.require(''delete'', ''org'')');
-- Whatever the state of the session: false, null, no rows; and the reason as an error.
CREATE TEMPORARY TABLE subjects (n int, subject text, org text);
INSERT INTO subjects VALUES (1, 'unknown', ''), (2, 'homeless', ''), (3, 'two', ''), (4, 'admin', 'rbac-beta'), (5, 'admin', 'no-such-org'), (6, 'shut', '');
CREATE FUNCTION pg_temp.state(subject text, org text, OUT status text, OUT can boolean, OUT org_if uuid, OUT permissions bigint, OUT require text, OUT require_org text) LANGUAGE plpgsql AS $$
BEGIN
	status := rbac.sign_in(subject, org);
	can := tenancy.can_i('read', 'org');
	org_if := tenancy.current_org_if('read', 'org');
	permissions := (SELECT count(*) FROM tenancy.my_permissions());
	require := rbac.code('SELECT tenancy.require(''read'', ''org'')');
	require_org := rbac.code('SELECT tenancy.require_org(''read'', ''org'')');
END
$$;
SELECT s.* FROM (SELECT n, pg_temp.state(subject, org) AS s FROM subjects ORDER BY n OFFSET 0) x, LATERAL (SELECT (x.s).*) s;
RESET tenancy.session_token;
RESET tenancy.org;
SELECT tenancy.can_i('read', 'org'), tenancy.current_org_if('read', 'org'), (SELECT count(*) FROM tenancy.my_permissions()), rbac.code('SELECT tenancy.require(''read'', ''org'')'), rbac.code('SELECT tenancy.require_org(''read'', ''org'')');

\echo == null and strange arguments
SELECT rbac.sign_in('admin');
SELECT tenancy.can_i(NULL, 'org') AS a, tenancy.can_i('read', NULL) AS b, tenancy.current_org_if(NULL, 'org') AS c, tenancy.current_org_if('read', NULL) AS d;
SELECT minting.refusal('SELECT tenancy.require(NULL, ''org'')'), minting.refusal('SELECT tenancy.require(''read'', NULL)');
SELECT minting.refusal('SELECT tenancy.require_org(NULL, ''org'')'), minting.refusal('SELECT tenancy.require_org(''read'', NULL)');
SELECT n, tenancy.can_i(action, type), rbac.code(format('SELECT tenancy.require(%L, %L)', action, type)) FROM (VALUES (1, '', ''), (2, 'read', ''), (3, '', 'org'), (4, 'READ', 'org'), (5, 'read', 'Org'),
	(6, 'read ', 'org'), (7, 'read', 'org '), (8, '*', 'org'), (9, '%', '%'), (10, 'read', repeat('x', 63)), (11, 'read', repeat('x', 64)), (12, repeat('x', 100000), 'org'), (13, 'org', 'read'), (14, 'réad', 'org'), (15, 'read', 'org')) x (n, action, type) ORDER BY n;

\echo == own roles of an org
\c - :dba
SET client_min_messages = warning;
INSERT INTO tenancy.roles (org_id, name, description) SELECT id, 'rbac-auditor', 'Reads the log' FROM tenancy.organizations WHERE slug = 'rbac-acme';
INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT id, 'audit', 'read' FROM tenancy.roles WHERE name = 'rbac-auditor';
INSERT INTO tenancy.membership_roles SELECT minting.user_id('rbac-none'), org_id, id FROM tenancy.roles WHERE name = 'rbac-auditor';
INSERT INTO tenancy.membership_roles SELECT minting.user_id('rbac-viewer'), org_id, id FROM tenancy.roles WHERE name = 'rbac-auditor';
-- In another org it cannot be given, nor can its members be moved there.
SELECT minting.refusal('INSERT INTO tenancy.membership_roles SELECT minting.user_id(''rbac-other''), o.id, r.id FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = ''rbac-beta'' AND r.name = ''rbac-auditor''');
SELECT minting.refusal('UPDATE tenancy.membership_roles SET role_id = (SELECT id FROM tenancy.roles WHERE name = ''rbac-auditor'') WHERE user_id = minting.user_id(''rbac-other'')');
-- Nor given to one who is no member.
SELECT rbac.code('INSERT INTO tenancy.membership_roles SELECT minting.user_id(''rbac-other''), org_id, id FROM tenancy.roles WHERE name = ''rbac-auditor''');
-- Nor take a built-in role's name; nor have an action that the type does not know.
SELECT rbac.code(format('INSERT INTO tenancy.roles (org_id, name) SELECT id, %L FROM tenancy.organizations WHERE slug = ''rbac-acme''', name)) FROM unnest('{admin,member,viewer,rbac-auditor,Admin,"",9x}'::text[]) name;
SELECT minting.refusal('INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT id, ''audit'', ''delete'' FROM tenancy.roles WHERE name = ''rbac-auditor''');
SELECT rbac.code('INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT id, ''rbac_nonsense'', ''read'' FROM tenancy.roles WHERE name = ''rbac-auditor''');
SELECT rbac.code('UPDATE tenancy.role_permissions SET action = ''nonsense'' WHERE role_id = (SELECT id FROM tenancy.roles WHERE name = ''rbac-auditor'')');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT rbac.sign_in('none');
SELECT rbac.mine();
SELECT roles FROM tenancy.session();
SELECT rbac.disagreements();
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
SELECT rbac.sign_in('viewer');
SELECT rbac.mine();
SELECT rbac.disagreements();
-- Who sees it in the matrix: those who work in the org, and administrators.
SELECT subject, rbac.seen_by(subject, 'SELECT string_agg(DISTINCT m.role, '' '' ORDER BY m.role) FROM tenancy.permission_matrix m WHERE m.resource_type = ''audit'' AND (m.org_id IS NULL OR m.role LIKE ''rbac-%'')')
FROM unnest('{viewer,admin,other,two,homeless,shut,super,unknown}'::text[]) WITH ORDINALITY s (subject, n) ORDER BY n;
SELECT rbac.sign_in('viewer');
SELECT role, granted, org_id = tenancy.current_org() AS own FROM tenancy.permission_matrix WHERE resource_type = 'audit' ORDER BY 1;
SELECT rbac.sign_in('super');
SELECT role, granted FROM tenancy.permission_matrix WHERE resource_type = 'audit' AND (org_id IS NULL OR role LIKE 'rbac-%') ORDER BY 1;
SELECT rbac.sign_in('unknown');
SELECT count(*) FROM tenancy.permission_matrix;
RESET tenancy.session_token;
SELECT count(*) FROM tenancy.permission_matrix;

\echo == who may change what the built-in roles may do
CREATE TEMPORARY TABLE calls (n int, call text);
INSERT INTO calls VALUES (1, 'SELECT tenancy.grant_permission(''viewer'', ''read'', ''audit'')'), (2, 'SELECT tenancy.revoke_permission(''viewer'', ''read'', ''org'')'),
	(3, 'SELECT tenancy.add_resource_type(''rbac_stolen'')'), (4, 'INSERT INTO tenancy.resource_types (name) VALUES (''rbac_stolen'')');
SELECT n, subject, rbac.code_for(subject, call) FROM unnest('{admin,member,two,shut,homeless,unknown}'::text[]) subject, calls ORDER BY n, subject;
SELECT rbac.sign_in('admin');
SELECT minting.refusal(call) FROM calls ORDER BY n;
RESET tenancy.session_token;
SELECT n, minting.refusal(call) FROM calls ORDER BY n;
-- The other columns and the other commands are nobody's.
SELECT rbac.sign_in('super');
SELECT rbac.code('INSERT INTO tenancy.resource_types (name, shipped) VALUES (''rbac_shipped'', true)'), rbac.code('INSERT INTO tenancy.resource_types (name, defaults_granted) VALUES (''rbac_silent'', true)'),
	rbac.code('UPDATE tenancy.resource_types SET actions = ''{read}'''), rbac.code('DELETE FROM tenancy.resource_types');
\c - regress_tenancy_stranger
SET tenancy.session_token = '';
SELECT tenancy.can_i('read', 'org');
SELECT * FROM tenancy.permission_matrix;

\echo == granting and revoking
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT rbac.sign_in('super');
SELECT tenancy.grant_permission('viewer', 'read', 'audit');
SELECT tenancy.grant_permission('viewer', 'read', 'audit');
SELECT tenancy.revoke_permission('viewer', 'read', 'org');
SELECT tenancy.revoke_permission('viewer', 'read', 'org');
SELECT tenancy.revoke_permission('viewer', 'delete', 'org');
SELECT role, resource_type, action FROM tenancy.permission_matrix WHERE role = 'viewer' AND granted AND resource_type IN ('org', 'audit', 'member') ORDER BY 1, 2, 3;
SELECT rbac.sign_in('viewer');
SELECT rbac.mine();
SELECT rbac.disagreements();
-- A revocation is of one role's grant: another still gives it.
SELECT rbac.sign_in('both');
SELECT rbac.mine();
SELECT rbac.disagreements();
-- It is a row that a dump carries, as the shipped grant is not in one.
\c - :dba
SET client_min_messages = warning;
SELECT r.name, v.resource_type, v.action, p.shipped FROM tenancy.revoked_permissions v JOIN tenancy.roles r ON r.id = v.role_id JOIN tenancy.role_permissions p USING (role_id, resource_type, action);
SELECT r.name, p.resource_type, p.action FROM tenancy.role_permissions p JOIN tenancy.roles r ON r.id = p.role_id WHERE NOT p.shipped AND p.resource_type = 'audit' AND r.org_id IS NULL;
-- And back again.
SELECT tenancy.grant_permission('viewer', 'read', 'org'), tenancy.revoke_permission('viewer', 'read', 'audit');
SELECT count(*) FROM tenancy.revoked_permissions;
SELECT count(*) FROM tenancy.role_permissions p JOIN tenancy.resource_types t ON t.name = p.resource_type AND t.shipped JOIN tenancy.roles r ON r.id = p.role_id AND r.org_id IS NULL WHERE NOT p.shipped;
SELECT minting.refusal(call) FROM (VALUES (1, 'SELECT tenancy.grant_permission(''nonsense'', ''read'', ''org'')'), (2, 'SELECT tenancy.revoke_permission(''rbac-auditor'', ''read'', ''audit'')'), (3, 'SELECT tenancy.grant_permission(''viewer'', ''nonsense'', ''org'')'),
	(4, 'SELECT tenancy.revoke_permission(''viewer'', ''read'', ''nonsense'')'), (5, 'SELECT tenancy.grant_permission(NULL, ''read'', ''org'')'), (6, 'SELECT tenancy.grant_permission(''viewer'', NULL, ''org'')'), (7, 'SELECT tenancy.revoke_permission(''viewer'', ''read'', NULL)')) c (n, call) ORDER BY n;

\echo == permission_matrix shows a function in WHERE no row that it does not show the caller
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'rbac_secret' FROM tenancy.organizations WHERE slug = 'rbac-beta';
SELECT count(*) AS planted FROM tenancy.roles WHERE name = 'rbac_secret';
CREATE FUNCTION rbac.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE INFO 'leaked %', $1; RETURN true; END$$;
GRANT EXECUTE ON FUNCTION rbac.leak TO regress_tenancy_app;
SET ROLE regress_tenancy_app;
SELECT count(*) FROM tenancy.permission_matrix WHERE rbac.leak(role);
SELECT count(*) FROM tenancy.permission_matrix WHERE org_id IS NOT NULL AND role::int = 1;
RESET ROLE;
DELETE FROM tenancy.roles WHERE name = 'rbac_secret';
-- Nor does audit_log.
SELECT tenancy.record_change('rbac_' || slug, id, NULL) FROM tenancy.organizations WHERE slug IN ('rbac-acme', 'rbac-beta') \g /dev/null
SELECT count(*) AS planted FROM tenancy.audit_log WHERE action LIKE 'rbac\_%';
SET ROLE regress_tenancy_app;
SELECT rbac.sign_in('admin');
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT action FROM tenancy.audit_log WHERE rbac.leak(action);
RESET enable_indexscan;
RESET enable_bitmapscan;
RESET tenancy.session_token;
RESET ROLE;

\echo == resource types
-- By a plain INSERT, in the matrix at once.
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT rbac.sign_in('super');
SELECT name, actions FROM tenancy.resource_types WHERE name LIKE 'rbac%';
INSERT INTO tenancy.resource_types (name, actions) VALUES ('rbac_invoice', '{read,create,update,delete,approve}');
INSERT INTO tenancy.resource_types (name) VALUES ('rbac_note');
SELECT resource_type, role, string_agg(action, ' ' ORDER BY action) FROM tenancy.permission_matrix WHERE resource_type LIKE 'rbac%' AND granted AND org_id IS NULL GROUP BY 1, 2 ORDER BY 1, 2;
SELECT rbac.code('INSERT INTO tenancy.resource_types (name) VALUES (''rbac_note'')');
SELECT n, rbac.code(format('INSERT INTO tenancy.resource_types (name, actions) VALUES (%L, %L)', name, actions)) FROM (VALUES (1, NULL, '{read}'), (2, '', '{read}'), (3, 'Rbac', '{read}'), (4, '9rbac', '{read}'), (5, 'rbac-x', '{read}'),
	(6, 'rbac x', '{read}'), (7, repeat('x', 64), '{read}'), (8, 'rbac_x', '{}'), (9, 'rbac_x', '{NULL}'), (10, 'rbac_x', NULL), (11, 'rbac_x', '{Read}'), (12, 'rbac_x', '{"read write"}'), (13, 'rbac_x', '{read,""}'), (14, 'rbac_x', '{{read,create},{update,delete}}')) x (n, name, actions) ORDER BY n;
-- By the function: new, again, with more actions.
SELECT tenancy.add_resource_type('rbac_report');
SELECT tenancy.add_resource_type('rbac_report');
SELECT tenancy.add_resource_type('rbac_report', '{read,export,export}');
SELECT tenancy.add_resource_type('rbac_log', '{read}');
SELECT name, actions FROM tenancy.resource_types WHERE name LIKE 'rbac%' ORDER BY name;
SELECT resource_type, role, string_agg(action, ' ' ORDER BY action) FROM tenancy.permission_matrix WHERE resource_type IN ('rbac_report', 'rbac_log') AND granted AND org_id IS NULL GROUP BY 1, 2 ORDER BY 1, 2;
SELECT n, rbac.code(format('SELECT tenancy.add_resource_type(%L, %L)', name, actions)) FROM (VALUES (1, NULL, '{read}'), (2, '', '{read}'), (3, 'Rbac', '{read}'), (4, '9rbac', '{read}'), (5, 'rbac-x', '{read}'),
	(6, E'rbac\n', '{read}'), (7, repeat('x', 64), '{read}'), (8, 'rbac_x', '{}'), (9, 'rbac_x', '{NULL}'), (10, 'rbac_x', NULL), (11, 'rbac_x', '{Read}'), (12, 'rbac_x', '{"read write"}'), (13, 'rbac_x', '{read,""}')) x (n, name, actions) ORDER BY n;
SELECT minting.refusal('SELECT tenancy.add_resource_type(''rbac-x'')'), minting.refusal('SELECT tenancy.add_resource_type(''rbac_x'', ''{}'')');
-- What was taken back stays so when the type is added again, and when it gets another action.
SELECT tenancy.revoke_permission('member', 'update', 'rbac_report');
SELECT tenancy.add_resource_type('rbac_report', '{read,update,print}');
SELECT role, string_agg(action, ' ' ORDER BY action) FROM tenancy.permission_matrix WHERE resource_type = 'rbac_report' AND granted AND org_id IS NULL GROUP BY 1 ORDER BY 1;
-- A type that is shipped has the actions that it has.
SELECT minting.refusal('SELECT tenancy.add_resource_type(''audit'', ''{read,export}'')'), minting.refusal('SELECT tenancy.add_resource_type(''audit'', ''{read}'')');
SELECT role, action, granted FROM tenancy.permission_matrix WHERE resource_type = 'audit' AND org_id IS NULL ORDER BY 1, 2;
SELECT rbac.sign_in('member');
SELECT rbac.mine();
SELECT rbac.disagreements();
SELECT name FROM tenancy.resource_types WHERE name LIKE 'rbac%' ORDER BY name;
SELECT rbac.sign_in('unknown');
SELECT count(*) FROM tenancy.resource_types;
RESET tenancy.session_token;
SELECT count(*) FROM tenancy.resource_types;
-- The DBA by function, and by INSERT as the table's owner. An action that is taken away is not granted when it comes back.
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.add_resource_type('rbac_task');
UPDATE tenancy.resource_types SET actions = '{read}' WHERE name = 'rbac_task';
UPDATE tenancy.resource_types SET actions = '{read,update}' WHERE name = 'rbac_task';
SELECT role, action, granted FROM tenancy.permission_matrix WHERE resource_type = 'rbac_task' AND org_id IS NULL ORDER BY 1, 2;

\echo == the next statement of another session
-- The application's session stays open while the DBA changes what it may do.
CREATE EXTENSION dblink;
SELECT dblink_connect('app', format('dbname=%s user=regress_tenancy_app', current_database()));
CREATE FUNCTION rbac.ask(what text) RETURNS text LANGUAGE sql AS $$ SELECT answer FROM dblink('app', 'SELECT (' || what || ')::text') AS d (answer text) $$;
SELECT rbac.ask('SELECT rbac.sign_in(''member'')');
SELECT rbac.ask('SELECT tenancy.can_i(''read'', ''org'')'), rbac.ask('SELECT tenancy.can_i(''delete'', ''rbac_note'')'), rbac.ask('SELECT tenancy.can_i(''read'', ''rbac_later'')');
SELECT tenancy.revoke_permission('member', 'read', 'org'), tenancy.grant_permission('member', 'delete', 'rbac_note'), tenancy.add_resource_type('rbac_later');
SELECT rbac.ask('SELECT tenancy.can_i(''read'', ''org'')'), rbac.ask('SELECT tenancy.can_i(''delete'', ''rbac_note'')'), rbac.ask('SELECT tenancy.can_i(''read'', ''rbac_later'')');
-- Not before the commit; but at once in the session that does it.
BEGIN;
SELECT tenancy.grant_permission('member', 'read', 'org');
SELECT granted FROM tenancy.permission_matrix WHERE role = 'member' AND resource_type = 'org' AND action = 'read';
SELECT rbac.ask('SELECT tenancy.can_i(''read'', ''org'')');
ROLLBACK;
SELECT rbac.ask('SELECT tenancy.can_i(''read'', ''org'')');
SELECT tenancy.grant_permission('member', 'read', 'org');
SELECT rbac.ask('SELECT tenancy.can_i(''read'', ''org'')');
-- A role given and taken, and all of a role's rows at once.
INSERT INTO tenancy.membership_roles SELECT minting.user_id('rbac-member'), o.id, r.id FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = 'rbac-acme' AND r.name = 'admin' AND r.org_id IS NULL;
SELECT rbac.ask('SELECT tenancy.can_i(''delete'', ''org'')');
DELETE FROM tenancy.membership_roles x USING tenancy.roles r WHERE x.user_id = minting.user_id('rbac-member') AND r.id = x.role_id AND r.name = 'admin';
SELECT rbac.ask('SELECT tenancy.can_i(''delete'', ''org'')');
SELECT rbac.ask('SELECT rbac.sign_in(''none'')'), rbac.ask('SELECT tenancy.can_i(''read'', ''audit'')');
DELETE FROM tenancy.roles WHERE name = 'rbac-auditor';
SELECT rbac.ask('SELECT tenancy.can_i(''read'', ''audit'')'), rbac.ask('SELECT roles FROM tenancy.session()');
SELECT dblink_disconnect('app');
DROP EXTENSION dblink CASCADE;

DELETE FROM tenancy.role_permissions WHERE resource_type LIKE 'rbac%';
DELETE FROM tenancy.resource_types WHERE name LIKE 'rbac%';
DELETE FROM tenancy.users WHERE name LIKE 'rbac-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'rbac-%';
SELECT count(*) FROM tenancy.role_permissions p JOIN tenancy.resource_types t ON t.name = p.resource_type AND t.shipped WHERE NOT p.shipped;
DROP SCHEMA rbac CASCADE;
