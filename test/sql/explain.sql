-- explain_can_i(): every state of a session, every check, and that it always agrees with can_i().
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
CREATE SCHEMA explain;
GRANT USAGE ON SCHEMA explain TO regress_tenancy_app;

SELECT minting.enrol('explain-admin', 'explain-acme', 'admin'), minting.enrol('explain-viewer', 'explain-acme', 'viewer'), minting.enrol('explain-none', 'explain-acme'),
	minting.enrol('explain-two', 'explain-acme', 'viewer'), minting.enrol('explain-two', 'explain-beta', 'member'), minting.enrol('explain-shut', 'explain-shut', 'admin'),
	minting.enrol('explain-gone', 'explain-gone', 'admin'), minting.enrol('explain-disabled', 'explain-acme', 'admin'), minting.enrol('explain-revoked', 'explain-acme', 'admin'),
	minting.enrol('explain-homeless', 'explain-beta'), minting.enrol('explain-super', 'explain-beta', 'viewer') \g /dev/null
DELETE FROM tenancy.membership_roles WHERE user_id = minting.user_id('explain-none');
DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('explain-homeless');
UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'unpaid' WHERE slug = 'explain-shut';
UPDATE tenancy.organizations SET status = 'archived' WHERE slug = 'explain-gone';
UPDATE tenancy.users SET status = 'disabled' WHERE id = minting.user_id('explain-disabled');
UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 day' WHERE id = minting.user_id('explain-revoked');
INSERT INTO tenancy.superadmins VALUES (minting.user_id('explain-super'));
SELECT tenancy.add_resource_type('explain_deed', '{read,seal}'), tenancy.require_fresh_authentication('seal', 'explain_deed', '10 minutes');
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'sealer' FROM tenancy.organizations WHERE slug IN ('explain-acme', 'explain-beta');
INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT id, 'explain_deed', 'seal' FROM tenancy.roles WHERE name = 'sealer';

CREATE FUNCTION explain.sign_in(subject text, org text DEFAULT '', claims jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', claims || jsonb_build_object('sub', 'explain-' || subject)), false);
END
$$;
-- What it says, without what differs in each run.
CREATE FUNCTION explain.why(action text, resource_type text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s: %s, %s', e.check_name, coalesce(e.passed::text, '-'), regexp_replace(regexp_replace(e.reason, 'until .*', 'until …'), '[0-9a-f-]{36}', '…'))
	FROM tenancy.explain_can_i(action, resource_type) e
$$;

\echo == states
SET ROLE regress_tenancy_app;
SELECT explain.why('read', 'explain_deed') AS anonymous;
SET tenancy.session_token = 'nonsense';
SELECT explain.why('read', 'explain_deed') AS malformed;
SELECT explain.sign_in('admin', '', '{"exp": 1}');
SELECT explain.why('read', 'explain_deed') AS expired;
SELECT explain.sign_in('revoked');
SELECT explain.why('read', 'explain_deed') AS revoked;
SELECT explain.sign_in('nobody');
SELECT explain.why('read', 'explain_deed') AS unprovisioned;
SELECT explain.sign_in('disabled');
SELECT explain.why('read', 'explain_deed') AS disabled;
SELECT explain.sign_in('homeless');
SELECT explain.why('read', 'explain_deed') AS no_org;
SELECT explain.sign_in('two');
SELECT explain.why('read', 'explain_deed') AS pick_org;
SELECT explain.sign_in('viewer', 'explain-beta');
SELECT explain.why('read', 'explain_deed') AS not_a_member;
SELECT explain.sign_in('viewer', 'no-such-org');
SELECT explain.why('read', 'explain_deed') AS no_such_org;
SELECT explain.sign_in('shut');
SELECT explain.why('read', 'explain_deed') AS suspended;
SELECT explain.sign_in('gone');
SELECT explain.why('read', 'explain_deed') AS archived;

\echo == permissions
SELECT explain.sign_in('viewer');
SELECT explain.why('read', 'explain_deed') AS granted;
SELECT explain.why('seal', 'explain_deed') AS not_granted;
SELECT explain.why('shred', 'explain_deed') AS no_such_action;
SELECT explain.why('read', 'no_such_type') AS no_such_type;
SELECT explain.why(NULL, 'explain_deed') AS null_action;
SELECT explain.why('read', NULL) AS null_type;
SELECT explain.sign_in('none');
SELECT explain.why('read', 'explain_deed') AS no_role;
-- The org's own role of that name is shown, another org's is not counted.
SELECT explain.sign_in('super', 'explain-acme');
SELECT explain.why('read', 'explain_deed') AS superadmin_entered;
SELECT explain.sign_in('admin');
SELECT explain.why('seal', 'explain_deed') AS not_fresh;
SELECT explain.sign_in('admin', '', '{"fva": [1, -1]}');
SELECT explain.why('seal', 'explain_deed') AS fresh;
SELECT explain.sign_in('admin', '', '{"act": {"sub": "support-7"}}');
SELECT explain.why('read', 'explain_deed') AS acted_as;
RESET ROLE;

\echo == read-only impersonation
SELECT explain.sign_in('super');
SELECT tenancy.act_as(minting.user_id('explain-admin'), 'a question') \g /dev/null
SELECT explain.why('read', 'explain_deed') AS read_only_read;
SELECT explain.why('seal', 'explain_deed') AS read_only_write;
SELECT tenancy.stop_acting();

\echo == it agrees with can_i(), and so do its checks with its result
CREATE FUNCTION explain.disagreements() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	subject text;
	asked record;
	may boolean;
	said record;
BEGIN
	FOREACH subject IN ARRAY '{admin,viewer,none,two,shut,gone,disabled,homeless,super,nobody}'::text[] LOOP
		PERFORM explain.sign_in(subject);
		FOR asked IN SELECT t.name, a.action FROM tenancy.resource_types t, unnest(t.actions || '{read,nonsense}'::text[]) AS a (action) LOOP
			SELECT bool_and(coalesce(e.passed, false)) FILTER (WHERE e.check_name <> 'result') AS checks, bool_and(e.passed) FILTER (WHERE e.check_name = 'result') AS result
			INTO said FROM tenancy.explain_can_i(asked.action, asked.name) e;
			may := tenancy.can_i(asked.action, asked.name);
			IF may IS DISTINCT FROM said.result OR may IS DISTINCT FROM said.checks THEN
				RETURN NEXT format('%s: %s %s: %s %s %s', subject, asked.action, asked.name, may, said.checks, said.result);
			END IF;
		END LOOP;
	END LOOP;
	PERFORM set_config('tenancy.session_token', '', false);
END
$$;
SELECT explain.disagreements();
RESET tenancy.session_token;
RESET tenancy.org;
DROP SCHEMA explain CASCADE;
