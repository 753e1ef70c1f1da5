-- Who sees the members of an org, who changes them, and that an org keeps an admin. Simultaneous changes are tested in
-- test/specs/last_admin.spec.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA members;
GRANT USAGE ON SCHEMA members TO regress_tenancy_app;

CREATE FUNCTION members.sign_in(subject text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', CASE WHEN org = '' THEN '' ELSE 'members-' || org END, false),
		set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'members-' || subject)), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
-- The user of a subject, whoever asks.
CREATE FUNCTION members.id(subject text) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT minting.user_id('members-' || subject) $$;
-- A statement as somebody: what becomes of it. A change is undone.
CREATE FUNCTION members.try(subject text, statement text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN members.sign_in(subject, org) || ': ' || minting.refusal_undone(statement);
END
$$;
-- The members and roles of an org, with the DBA's eyes.
CREATE FUNCTION members.of(slug text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$
	SELECT string_agg(format('%s{%s}', substr(u.name, 9), array_to_string(tenancy.member_role_names(m.user_id, m.org_id), ',')), ' ' ORDER BY u.name)
	FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id JOIN tenancy.organizations o ON o.id = m.org_id WHERE o.slug = 'members-' || of.slug
$$;
-- What was logged since the last time: who, what, on whom.
CREATE TABLE members.looked AS SELECT timestamptz '-infinity' AS at;
CREATE FUNCTION members.audited() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	since timestamptz := (SELECT l.at FROM members.looked l);
BEGIN
	UPDATE members.looked SET at = clock_timestamp();
	RETURN QUERY SELECT concat_ws(' ', coalesce(u.name, e.database_role), e.action, (SELECT name FROM tenancy.users t WHERE t.id::text = e.target), o.slug, e.old_values, e.new_values)
	FROM tenancy.audit_events e LEFT JOIN tenancy.users u ON u.id = e.user_id LEFT JOIN tenancy.organizations o ON o.id = e.org_id
	WHERE o.slug LIKE 'members-%' AND e.at > since ORDER BY e.at;
END
$$;

SELECT minting.enrol('members-' || s, 'members-' || o, r) FROM (VALUES ('ada', 'acme', 'admin'), ('amy', 'acme', 'admin'), ('mel', 'acme', 'member'), ('vic', 'acme', 'viewer'),
	('bob', 'beta', 'admin'), ('shy', 'shut', 'admin'), ('out', 'beta', 'admin'), ('root', 'beta', 'viewer'), ('old', 'acme', 'admin'), ('two', 'acme', 'member'), ('two', 'beta', 'admin')) m (s, o, r) \g /dev/null
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'members-shut';
UPDATE tenancy.users SET status = 'disabled' WHERE id = members.id('old');
UPDATE tenancy.users SET email = name || '@x.test' WHERE name LIKE 'members-%';
INSERT INTO tenancy.superadmins VALUES (members.id('root'));
-- A role that manages members, beside what a member may do (other tests have resource types too), with a holder.
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'hr' FROM tenancy.organizations WHERE slug = 'members-acme';
INSERT INTO tenancy.role_permissions (role_id, resource_type, action)
SELECT r.id, g.resource_type, g.action FROM tenancy.roles r, (SELECT resource_type, action FROM tenancy.granted_permissions WHERE role_id = tenancy.built_in_role('member')
	UNION VALUES ('member', 'update'), ('member', 'delete')) g WHERE r.name = 'hr';
SELECT minting.enrol('members-hal', 'members-acme', 'viewer') \g /dev/null
INSERT INTO tenancy.membership_roles SELECT members.id('hal'), org_id, id FROM tenancy.roles WHERE name = 'hr';

\echo == who sees whom
CREATE FUNCTION members.seen(subject text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM members.sign_in(subject, org);
	RETURN (SELECT string_agg(substr(m.name, 9), ' ' ORDER BY m.name) FROM tenancy.members m);
END
$$;
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT subject, members.seen(subject) FROM unnest('{ada,mel,vic,hal,bob,shy,old,unknown,two}'::text[]) WITH ORDINALITY s (subject, n) ORDER BY n;
SELECT members.seen('two', 'acme') AS acme, members.seen('two', 'beta') AS beta, members.seen('vic', 'beta') AS not_a_member;
SELECT members.sign_in('mel');
SELECT email, name, status, roles, joined_at <= now() AS joined, org_id = tenancy.current_org() AS org FROM tenancy.members ORDER BY name;
RESET tenancy.session_token;
SELECT count(*) FROM tenancy.members;
SELECT set_config('tenancy.session_token', 'x', false) \g /dev/null
SELECT minting.refusal('SELECT FROM tenancy.members');
\c - :dba
SET client_min_messages = warning;
SELECT count(*) FROM tenancy.members WHERE name LIKE 'members-%';
-- A function in WHERE is shown no row that the caller is not.
CREATE FUNCTION members.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE INFO 'leaked %', $1; RETURN true; END$$;
\c - regress_tenancy_app
SELECT members.sign_in('vic');
SELECT name FROM tenancy.members WHERE members.leak(name);
SELECT members.sign_in('shy');
SELECT name FROM tenancy.members WHERE members.leak(name);
SET client_min_messages = warning;

\echo == who may change the roles of whom
CREATE TEMPORARY TABLE callers AS SELECT * FROM unnest('{ada,hal,mel,vic,bob,root,shy,old,unknown,two}'::text[]) WITH ORDINALITY c (subject, n);
SELECT subject, members.try(subject, format('SELECT tenancy.set_member_roles(%L, ''{viewer,member}'')', members.id('mel'))) FROM callers ORDER BY n;
SELECT subject, members.try(subject, format('SELECT tenancy.remove_member(%L)', members.id('mel'))) FROM callers ORDER BY n;
SELECT subject, members.try(subject, 'SELECT tenancy.leave_org()') FROM callers ORDER BY n;
RESET tenancy.session_token;
RESET tenancy.org;
SELECT minting.refusal(format('SELECT tenancy.set_member_roles(%L, ''{viewer}'')', members.id('mel'))), minting.refusal(format('SELECT tenancy.remove_member(%L)', members.id('mel'))), minting.refusal('SELECT tenancy.leave_org()');
SELECT members.of('acme');
SELECT members.audited();

\echo == nobody gives, takes or ends what is beyond their own
SELECT n, members.try('hal', format('SELECT tenancy.set_member_roles(%L, %L)', members.id(subject), roles)) FROM (VALUES (1, 'hal', '{admin}'), (2, 'hal', '{hr,viewer,admin}'), (3, 'mel', '{admin}'), (4, 'mel', '{viewer}'),
	(5, 'ada', '{viewer}'), (6, 'ada', '{admin,viewer}'), (7, 'vic', '{hr}'), (8, 'vic', '{viewer,hr}'), (9, 'mel', '{member,hr}'), (10, 'hal', '{viewer}')) x (n, subject, roles) ORDER BY n;
SELECT members.sign_in('hal');
SELECT regexp_replace(minting.refusal(format('SELECT tenancy.set_member_roles(%L, ''{admin}'')', members.id('vic'))), 'update role.*?\.', 'update role, ….');
SELECT subject, members.try('hal', format('SELECT tenancy.remove_member(%L)', members.id(subject))) FROM unnest('{ada,mel,vic,hal}'::text[]) WITH ORDINALITY s (subject, n) ORDER BY n;

\echo == what cannot be done to nobody, or with no role
SELECT members.sign_in('ada');
SELECT minting.refusal(call) FROM (VALUES (1, 'SELECT tenancy.set_member_roles(NULL, ''{viewer}'')'), (2, format('SELECT tenancy.set_member_roles(%L, NULL)', members.id('mel'))), (3, format('SELECT tenancy.set_member_roles(%L, ''{}'')', members.id('mel'))),
	(4, format('SELECT tenancy.set_member_roles(%L, ''{NULL}'')', members.id('mel'))), (5, format('SELECT tenancy.set_member_roles(%L, ''{viewer,NULL}'')', members.id('ada'))), (6, format('SELECT tenancy.set_member_roles(%L, ''{nonsense}'')', members.id('mel'))),
	(7, format('SELECT tenancy.set_member_roles(%L, ''{viewer}'')', members.id('bob'))), (8, 'SELECT tenancy.set_member_roles(gen_random_uuid(), ''{viewer}'')'), (9, 'SELECT tenancy.remove_member(NULL)'),
	(10, format('SELECT tenancy.remove_member(%L)', members.id('bob'))), (11, 'SELECT tenancy.remove_member(gen_random_uuid())')) c (n, call) ORDER BY n;
SELECT members.of('acme'), members.of('beta');

\echo == changes
SELECT tenancy.set_member_roles(members.id('mel'), '{viewer,hr,viewer}');
SELECT tenancy.set_member_roles(members.id('mel'), '{hr,viewer}');
SELECT tenancy.set_member_roles(members.id('vic'), '{admin}');
SELECT members.of('acme');
SELECT members.audited();
-- In the very next statement.
SELECT members.sign_in('vic');
SELECT roles, tenancy.can_i('delete', 'member') FROM tenancy.session();
SELECT tenancy.set_member_roles(members.id('vic'), '{viewer}');
SELECT tenancy.can_i('delete', 'member');
SELECT members.sign_in('mel');
SELECT tenancy.leave_org();
SELECT status FROM tenancy.session();
SELECT members.sign_in('ada');
SELECT tenancy.remove_member(members.id('two'));
SELECT members.sign_in('two', 'acme'), members.sign_in('two');
SELECT members.of('acme'), members.of('beta');
SELECT members.audited();

\echo == the last admin
-- old is one by name, but disabled.
SELECT members.sign_in('ada');
SELECT tenancy.remove_member(members.id('amy'));
SELECT minting.refusal(call) FROM (VALUES (1, 'SELECT tenancy.leave_org()'), (2, format('SELECT tenancy.remove_member(%L)', members.id('ada'))), (3, format('SELECT tenancy.set_member_roles(%L, ''{viewer,hr}'')', members.id('ada')))) c (n, call) ORDER BY n;
SELECT members.of('acme');
-- All in one transaction: what counts is what is there after each.
BEGIN;
SELECT tenancy.set_member_roles(members.id('vic'), '{admin}');
SELECT tenancy.leave_org();
SELECT status FROM tenancy.session();
ROLLBACK;
SELECT tenancy.set_member_roles(members.id('ada'), '{admin,viewer}');
SELECT members.of('acme');
SELECT members.audited();
-- An org without one: what has nothing to do with it can be done, and somebody can be made one.
\c - :dba
SET client_min_messages = warning;
SET tenancy.org = 'members-acme';
SELECT tenancy.set_member_roles(members.id('old'), '{viewer}');
SELECT minting.refusal(format('SELECT tenancy.remove_member(%L)', members.id('ada')));
UPDATE tenancy.users SET status = 'disabled' WHERE id = members.id('ada');
SELECT tenancy.set_member_roles(members.id('vic'), '{member}');
SELECT tenancy.remove_member(members.id('old'));
-- Nor is an admin lost who is disabled.
BEGIN;
SELECT tenancy.remove_member(members.id('ada'));
SELECT members.of('acme');
ROLLBACK;
SELECT tenancy.set_member_roles(members.id('ada'), '{viewer}');
SELECT tenancy.set_member_roles(members.id('vic'), '{admin}');
SELECT minting.refusal(format('SELECT tenancy.remove_member(%L)', members.id('vic')));
SELECT members.of('acme');
SELECT members.audited();

\echo == a superadmin
-- Who has entered the org runs it as its admin does, gives what there is to give, and has no membership to end.
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT members.seen('root', 'acme');
SELECT members.try('root', call, 'acme') FROM (VALUES (1, format('SELECT tenancy.set_member_roles(%L, ''{admin,hr}'')', members.id('hal'))), (2, format('SELECT tenancy.remove_member(%L)', members.id('hal'))),
	(3, format('SELECT tenancy.remove_member(%L)', members.id('vic'))), (4, 'SELECT tenancy.leave_org()'), (5, format('SELECT tenancy.remove_member(%L)', members.id('root')))) c (n, call) ORDER BY n;
\c - :dba
SET client_min_messages = warning;

\echo == the DBA
-- Names the org, and has no membership to end.
RESET tenancy.org;
SELECT minting.refusal(call) FROM (VALUES (1, format('SELECT tenancy.set_member_roles(%L, ''{viewer}'')', members.id('vic'))), (2, format('SELECT tenancy.remove_member(%L)', members.id('vic'))), (3, 'SELECT tenancy.leave_org()')) c (n, call) ORDER BY n;
SET tenancy.org = 'members-nonsense';
SELECT minting.refusal(format('SELECT tenancy.remove_member(%L)', members.id('vic')));
-- In a suspended org too.
SET tenancy.org = 'members-shut';
SELECT minting.refusal(format('SELECT tenancy.set_member_roles(%L, ''{admin,viewer}'')', members.id('shy')));
RESET tenancy.org;
-- What is no application's business.
\c - regress_tenancy_stranger
SELECT * FROM tenancy.members;
\c - regress_tenancy_app
SELECT minting.refusal('SELECT FROM tenancy.granted_permissions'), minting.refusal('SELECT tenancy.delete_membership(NULL, NULL, NULL)'), minting.refusal('SELECT tenancy.replace_member_roles(NULL, NULL, NULL)'), minting.refusal('SELECT tenancy.lock_org(NULL)');

\c - :dba
SET client_min_messages = warning;
DELETE FROM tenancy.organizations WHERE slug LIKE 'members-%';
DELETE FROM tenancy.users WHERE name LIKE 'members-%';
DROP SCHEMA members CASCADE;
