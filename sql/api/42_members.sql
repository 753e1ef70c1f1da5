-- Who belongs to an org, with which roles.
--
-- Every function that changes an org's members, roles or invitations begins with authorize_change(), which locks the org's
-- row: such changes follow each other, and each is judged by what the one before has left.
--
-- Locks are taken in one order everywhere, so that nobody deadlocks: a user's row (hold_user(), lock_user_and_orgs()), then
-- orgs in the order of their ids (lock_org()), then invitations.

-- FOR KEY SHARE is what foreign keys take: what refers to the user, and would take it late, finds it held. Of all that is done
-- to users, disabling alone conflicts.
CREATE OR REPLACE FUNCTION tenancy.hold_user(user_id uuid)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT FROM tenancy.users u WHERE u.id = hold_user.user_id FOR KEY SHARE
$$;
COMMENT ON FUNCTION tenancy.hold_user(uuid) IS 'Internal: keeps a user from being disabled until the transaction ends. To be called before lock_org().';

-- Asked again once held: it may have waited for who disables the user.
CREATE OR REPLACE FUNCTION tenancy.hold_me()
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.hold_user(tenancy.require_user_for_change());
	RETURN tenancy.require_user_for_change();
END
$$;
COMMENT ON FUNCTION tenancy.hold_me() IS 'Internal: require_user_for_change(), with the user kept from being disabled.';

-- Runs with its owner's rights, so it filters by itself. A branch for each way to be shown, so that one org's rows are found
-- by index: who may read members, who sees only themself, and the DBA, who has no org (a superadmin sees the one entered, as
-- everybody does). OFFSET 0 keeps a caller's conditions out: one on an email address, tested first, would find that user
-- whatever the org, and the counts of EXPLAIN ANALYZE would tell.
CREATE OR REPLACE VIEW tenancy.members WITH (security_barrier) AS
SELECT s.org_id, s.user_id, s.email, s.name, s.status,
	ARRAY(SELECT r.name::text FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id
		WHERE mr.user_id = s.user_id AND mr.org_id = s.org_id ORDER BY r.name) AS roles,
	s.created_at AS joined_at
FROM (SELECT m.org_id, m.user_id, u.email, u.name, u.status, m.created_at
	FROM (SELECT * FROM tenancy.memberships m
		WHERE m.org_id = tenancy.current_org_if('read', 'member')
		UNION ALL
		SELECT * FROM tenancy.memberships m
		WHERE m.org_id = tenancy.current_org() AND m.user_id = tenancy.current_user_id()
			AND tenancy.current_org_if('read', 'member') IS NULL
		UNION ALL
		SELECT * FROM tenancy.memberships m
		WHERE tenancy.is_administrator() AND NOT tenancy.is_superadmin()) m
	JOIN tenancy.users u ON u.id = m.user_id
	OFFSET 0) s;
COMMENT ON VIEW tenancy.members IS 'The members of the current org, for who may read them, and always oneself; for the DBA those of every org.';

-- The row is written and not only locked: a REPEATABLE READ transaction that comes second must fail, since it would go on
-- with the members that it saw before it waited.
CREATE OR REPLACE FUNCTION tenancy.lock_org(org_id uuid)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	UPDATE tenancy.organizations o SET status = o.status WHERE o.id = lock_org.org_id
$$;
COMMENT ON FUNCTION tenancy.lock_org(uuid) IS 'Internal: makes changes of an org''s members and roles follow each other. Hold the user first; lock several orgs in the order of their ids.';

-- Asked again under the lock: of two admins who remove each other at once, the second is none any more.
CREATE OR REPLACE FUNCTION tenancy.authorize_change(action text, resource_type text, purpose text)
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize(authorize_change.action, authorize_change.resource_type, authorize_change.purpose);
BEGIN
	PERFORM tenancy.hold_user(tenancy.current_user_id());
	PERFORM tenancy.lock_org(in_org);
	IF tenancy.authorize(authorize_change.action, authorize_change.resource_type, authorize_change.purpose) IS DISTINCT FROM in_org THEN
		RAISE EXCEPTION 'the session has come into another org meanwhile'
			USING ERRCODE = 'serialization_failure', DETAIL = 'A concurrent change ended the membership that this began under.',
				HINT = 'Look at tenancy.session(), and try again.';
	END IF;
	RETURN in_org;
END
$$;
COMMENT ON FUNCTION tenancy.authorize_change(text, text, text) IS 'Internal: authorize(), with the org locked against other changes of its members and roles.';

CREATE OR REPLACE FUNCTION tenancy.assert_not_null(value text, name text, hint text)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF value IS NULL THEN
		RAISE EXCEPTION '% must not be null', name USING ERRCODE = 'null_value_not_allowed', HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_not_null(text, text, text) IS 'Internal: raises an error about a missing argument.';

CREATE OR REPLACE FUNCTION tenancy.assert_admin_remains(org_id uuid)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM tenancy.membership_roles mr
			JOIN tenancy.roles r ON r.id = mr.role_id AND r.org_id IS NULL AND r.name = 'admin'
			JOIN tenancy.users u ON u.id = mr.user_id AND u.status = 'active'
			WHERE mr.org_id = assert_admin_remains.org_id) THEN
		RAISE EXCEPTION 'the org would have no admin left'
			USING ERRCODE = 'TN006',
				DETAIL = 'An org keeps at least one member with the built-in role admin whose user is not disabled.',
				HINT = 'Make somebody else admin first: tenancy.set_member_roles(user_id, ''{admin}'').';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_admin_remains(uuid) IS 'Internal: raises an error if the org has no active admin. To be called after lock_org() and the change.';

-- A disabled admin is none whom the org could lose.
CREATE OR REPLACE FUNCTION tenancy.is_active_admin(user_id uuid, org_id uuid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM tenancy.membership_roles mr
		JOIN tenancy.roles r ON r.id = mr.role_id AND r.org_id IS NULL AND r.name = 'admin'
		JOIN tenancy.users u ON u.id = mr.user_id AND u.status = 'active'
		WHERE mr.user_id = is_active_admin.user_id AND mr.org_id = is_active_admin.org_id)
$$;
COMMENT ON FUNCTION tenancy.is_active_admin(uuid, uuid) IS 'Internal: whether a user who is not disabled is an admin of an org.';

CREATE OR REPLACE FUNCTION tenancy.member_role_names(user_id uuid, org_id uuid)
RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT ARRAY(SELECT r.name::text FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id
		WHERE mr.user_id = member_role_names.user_id AND mr.org_id = member_role_names.org_id ORDER BY r.name)
$$;
COMMENT ON FUNCTION tenancy.member_role_names(uuid, uuid) IS 'Internal: the names of the roles a user holds in an org.';

CREATE OR REPLACE FUNCTION tenancy.role_of_org(role text, org_id uuid)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_not_null(role_of_org.role, 'role', 'tenancy.permission_matrix lists the roles: admin, member, viewer and the org''s own.');
	SELECT r.id INTO found_id FROM tenancy.roles r
	WHERE r.name = role_of_org.role AND (r.org_id IS NULL OR r.org_id = role_of_org.org_id);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist', role_of_org.role
			USING ERRCODE = 'undefined_object', HINT = 'tenancy.permission_matrix lists the roles: admin, member, viewer and the org''s own.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.role_of_org(text, uuid) IS 'Internal: the id of a built-in role or an org''s own; raises an error for an unknown name.';

-- Nobody gives what they do not hold, or takes it away. Asks for what the caller's roles grant, not can_i(): that a
-- permission needs a fresh authentication does not make the role another one's to give.
CREATE OR REPLACE FUNCTION tenancy.assert_may_give(role_id uuid)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	missing text;
BEGIN
	IF tenancy.is_administrator() THEN
		RETURN;
	END IF;
	SELECT string_agg(format('%s %s', p.action, p.resource_type), ', ' ORDER BY p.resource_type, p.action) INTO missing
	FROM (SELECT g.resource_type, g.action FROM tenancy.granted_permissions g WHERE g.role_id = assert_may_give.role_id
		EXCEPT SELECT m.resource_type, m.action FROM tenancy.my_permissions() m) p;
	IF missing IS NOT NULL THEN
		RAISE EXCEPTION 'permission denied to give or take a role beyond your own'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The role grants what your roles do not: %s.', missing),
				HINT = 'Choose another role, or ask somebody who holds these permissions.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_may_give(uuid) IS 'Internal: raises an error if the role grants anything that the caller''s roles in the current org do not.';

CREATE OR REPLACE FUNCTION tenancy.raise_no_such_member()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'no such member of this org'
		USING ERRCODE = 'undefined_object', HINT = 'tenancy.members lists the members of the current org.';
END
$$;
COMMENT ON FUNCTION tenancy.raise_no_such_member() IS 'Internal: raises the error about somebody who is no member.';

-- The caller has locked the org.
CREATE OR REPLACE FUNCTION tenancy.replace_member_roles(user_id uuid, org_id uuid, wanted uuid[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	held uuid[] := ARRAY(SELECT mr.role_id FROM tenancy.membership_roles mr
		WHERE mr.user_id = replace_member_roles.user_id AND mr.org_id = replace_member_roles.org_id);
	was_admin boolean := tenancy.is_active_admin(replace_member_roles.user_id, replace_member_roles.org_id);
	changed uuid;
BEGIN
	FOR changed IN
		SELECT w FROM unnest(wanted) w WHERE w <> ALL (held)
		UNION SELECT h FROM unnest(held) h WHERE h <> ALL (wanted)
	LOOP
		PERFORM tenancy.assert_may_give(changed);
	END LOOP;

	DELETE FROM tenancy.membership_roles mr
	WHERE mr.user_id = replace_member_roles.user_id AND mr.org_id = replace_member_roles.org_id AND mr.role_id <> ALL (wanted);
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
	SELECT replace_member_roles.user_id, replace_member_roles.org_id, w FROM unnest(wanted) w WHERE w <> ALL (held);
	IF was_admin THEN
		PERFORM tenancy.assert_admin_remains(replace_member_roles.org_id);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.replace_member_roles(uuid, uuid, uuid[]) IS 'Internal: makes these the roles of a member, as far as the caller may give and take them.';

CREATE OR REPLACE FUNCTION tenancy.set_member_roles(user_id uuid, roles text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('update', 'member', 'change the roles of a member');
	before text[];
	after text[];
BEGIN
	PERFORM tenancy.assert_not_null(set_member_roles.user_id::text, 'user', 'tenancy.members lists the members of the current org.');
	IF coalesce(cardinality(set_member_roles.roles), 0) = 0 THEN
		RAISE EXCEPTION 'a member needs at least one role'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'To take somebody out of the org, call tenancy.remove_member(user_id).';
	END IF;
	IF NOT EXISTS (SELECT FROM tenancy.memberships m WHERE m.org_id = in_org AND m.user_id = set_member_roles.user_id) THEN
		PERFORM tenancy.raise_no_such_member();
	END IF;

	before := tenancy.member_role_names(set_member_roles.user_id, in_org);
	PERFORM tenancy.replace_member_roles(set_member_roles.user_id, in_org,
		ARRAY(SELECT DISTINCT tenancy.role_of_org(r, in_org) FROM unnest(set_member_roles.roles) r));
	after := tenancy.member_role_names(set_member_roles.user_id, in_org);
	IF after <> before THEN
		PERFORM tenancy.record_change('set_member_roles', in_org, set_member_roles.user_id::text,
			jsonb_build_object('roles', before), jsonb_build_object('roles', after));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_member_roles(uuid, text[]) IS 'Makes these the roles of a member of the current org.';

-- Who is put out must not come back by an invitation of their own making that whoever has the secret may accept. The caller has
-- locked the org.
CREATE OR REPLACE FUNCTION tenancy.revoke_invitations_by(user_id uuid, org_id uuid)
RETURNS jsonb LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH revoked AS (
		UPDATE tenancy.invitations i SET revoked_at = now()
		WHERE i.org_id = revoke_invitations_by.org_id AND i.invited_by = revoke_invitations_by.user_id
			AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		RETURNING i.id)
	SELECT jsonb_build_object('revoked_invitations', jsonb_agg(r.id ORDER BY r.id)) FROM revoked r HAVING count(*) > 0
$$;
COMMENT ON FUNCTION tenancy.revoke_invitations_by(uuid, uuid) IS 'Internal: takes back the pending invitations that a member has written; what the audit log tells of it, or null.';

-- The caller has locked the org.
CREATE OR REPLACE FUNCTION tenancy.delete_membership(user_id uuid, org_id uuid, action text, after jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	before text[] := tenancy.member_role_names(delete_membership.user_id, delete_membership.org_id);
	was_admin boolean := tenancy.is_active_admin(delete_membership.user_id, delete_membership.org_id);
BEGIN
	DELETE FROM tenancy.memberships m WHERE m.user_id = delete_membership.user_id AND m.org_id = delete_membership.org_id;
	IF NOT FOUND THEN
		PERFORM tenancy.raise_no_such_member();
	END IF;
	IF was_admin THEN
		PERFORM tenancy.assert_admin_remains(delete_membership.org_id);
	END IF;
	PERFORM tenancy.record_change(delete_membership.action, delete_membership.org_id, delete_membership.user_id::text,
		jsonb_build_object('roles', before), delete_membership.after);
END
$$;
COMMENT ON FUNCTION tenancy.delete_membership(uuid, uuid, text, jsonb) IS 'Internal: ends a membership, unless it is the last active admin''s.';

CREATE OR REPLACE FUNCTION tenancy.remove_member(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('delete', 'member', 'remove a member');
BEGIN
	PERFORM tenancy.assert_not_null(remove_member.user_id::text, 'user', 'tenancy.members lists the members of the current org.');
	PERFORM tenancy.assert_may_give(mr.role_id) FROM tenancy.membership_roles mr
	WHERE mr.org_id = in_org AND mr.user_id = remove_member.user_id;
	PERFORM tenancy.delete_membership(remove_member.user_id, in_org, 'remove_member',
		tenancy.revoke_invitations_by(remove_member.user_id, in_org));
END
$$;
COMMENT ON FUNCTION tenancy.remove_member(uuid) IS 'Takes somebody out of the current org, and their pending invitations back.';

CREATE OR REPLACE FUNCTION tenancy.leave_org()
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.hold_me();
	in_org uuid := tenancy.require_current_org();
BEGIN
	PERFORM tenancy.lock_org(in_org);
	PERFORM tenancy.delete_membership(me, in_org, 'leave_org');
END
$$;
COMMENT ON FUNCTION tenancy.leave_org() IS 'Ends the user''s own membership in the current org.';
