-- Roles and what they grant. The built-in roles belong to everybody: administrators alone change them. An org's own roles are
-- changed by those who may update its roles, within what they hold themselves.

CREATE OR REPLACE FUNCTION tenancy.is_built_in_role(role text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM tenancy.roles r WHERE r.org_id IS NULL AND r.name = is_built_in_role.role)
$$;
COMMENT ON FUNCTION tenancy.is_built_in_role(text) IS 'Internal: is there a built-in role of that name?';

CREATE OR REPLACE FUNCTION tenancy.own_role(role text, org_id uuid)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_not_null(own_role.role, 'role', 'tenancy.permission_matrix lists the roles.');
	SELECT r.id INTO found_id FROM tenancy.roles r WHERE r.org_id = own_role.org_id AND r.name = own_role.role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist in this org', own_role.role
			USING ERRCODE = 'undefined_object',
				HINT = 'tenancy.permission_matrix lists the roles; tenancy.create_role(name) makes one of the org''s own.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.own_role(text, uuid) IS 'Internal: the id of an org''s own role; raises an error for an unknown name.';

CREATE OR REPLACE FUNCTION tenancy.create_role(name text, description text DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('create', 'role', 'create a role');
	new_id uuid;
BEGIN
	IF create_role.name IS NULL OR create_role.name COLLATE "C" !~ '^[a-z][a-z0-9_-]{0,62}$' THEN
		RAISE EXCEPTION 'invalid name of a role'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A name is 1 to 63 lower-case letters, digits, hyphens and underscores, beginning with a letter.',
				HINT = 'Choose a name such as ''editor''.';
	END IF;
	IF tenancy.is_built_in_role(create_role.name) OR EXISTS (SELECT FROM tenancy.roles r WHERE r.org_id = in_org AND r.name = create_role.name) THEN
		RAISE EXCEPTION 'role "%" exists already', create_role.name
			USING ERRCODE = 'duplicate_object', HINT = 'Choose another name, or grant to this role with tenancy.grant_permission().';
	END IF;

	INSERT INTO tenancy.roles AS r (org_id, name, description) VALUES (in_org, create_role.name, create_role.description)
	RETURNING r.id INTO new_id;
	PERFORM tenancy.record_change('create_role', in_org, create_role.name, NULL, jsonb_build_object('description', create_role.description));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.create_role(text, text) IS 'Creates a role of the current org''s own, which grants nothing yet; returns its id.';

-- Not taken from who holds it: a member would be left with less than anybody decided, maybe with nothing.
CREATE OR REPLACE FUNCTION tenancy.drop_role(name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('delete', 'role', 'drop a role');
	dropped uuid := tenancy.own_role(drop_role.name, in_org);
	granted jsonb := (SELECT jsonb_agg(format('%s %s', p.action, p.resource_type) ORDER BY p.resource_type, p.action)
		FROM tenancy.granted_permissions p WHERE p.role_id = dropped);
BEGIN
	IF EXISTS (SELECT FROM tenancy.membership_roles mr WHERE mr.role_id = dropped)
		OR EXISTS (SELECT FROM tenancy.invitations i WHERE i.role_id = dropped AND i.accepted_at IS NULL AND i.revoked_at IS NULL
			AND i.expires_at > clock_timestamp()) THEN
		RAISE EXCEPTION 'role "%" is in use', drop_role.name
			USING ERRCODE = 'object_in_use', DETAIL = 'Members hold it, or pending invitations name it.',
				HINT = 'Give these members other roles with tenancy.set_member_roles(), and revoke the invitations, first.';
	END IF;
	PERFORM tenancy.assert_may_give(dropped);
	DELETE FROM tenancy.roles r WHERE r.id = dropped;
	PERFORM tenancy.record_change('drop_role', in_org, drop_role.name, jsonb_build_object('permissions', granted));
END
$$;
COMMENT ON FUNCTION tenancy.drop_role(text) IS 'Drops a role of the current org''s own that nobody holds.';

-- The role whose grants the caller may change, and the org it belongs to: null for a built-in one.
CREATE OR REPLACE FUNCTION tenancy.role_to_change(role text, purpose text, OUT role_id uuid, OUT org_id uuid)
RETURNS record LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.assert_not_null(role_to_change.role, 'role', 'tenancy.permission_matrix lists the roles.');
	-- To a DBA who has picked no org, a name that no role has is a mistyped one.
	IF tenancy.is_built_in_role(role_to_change.role)
		OR (tenancy.is_administrator() AND NOT EXISTS (SELECT FROM tenancy.roles r WHERE r.name = role_to_change.role)) THEN
		PERFORM tenancy.assert_administrator(role_to_change.purpose || ' a built-in role');
		role_id := tenancy.built_in_role(role_to_change.role);
	ELSE
		org_id := tenancy.authorize_change('update', 'role', role_to_change.purpose || ' a role');
		role_id := tenancy.own_role(role_to_change.role, org_id);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.role_to_change(text, text) IS 'Internal: a role whose grants the caller may change; raises an error for another.';

CREATE OR REPLACE FUNCTION tenancy.assert_holds(action text, resource_type text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT tenancy.is_administrator() AND NOT EXISTS (SELECT FROM tenancy.my_permissions() p
			WHERE p.action = assert_holds.action AND p.resource_type = assert_holds.resource_type) THEN
		RAISE EXCEPTION 'permission denied to grant or revoke what you do not hold'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('Your roles in this org do not grant %s %s.', assert_holds.action, assert_holds.resource_type),
				HINT = 'Ask somebody who holds this permission.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_holds(text, text) IS 'Internal: raises an error unless the caller''s roles grant that, fresh authentication or not.';

CREATE OR REPLACE FUNCTION tenancy.is_granted(role_id uuid, action text, resource_type text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM tenancy.granted_permissions p
		WHERE p.role_id = is_granted.role_id AND p.action = is_granted.action AND p.resource_type = is_granted.resource_type)
$$;
COMMENT ON FUNCTION tenancy.is_granted(uuid, text, text) IS 'Internal: does a role grant that?';

CREATE OR REPLACE FUNCTION tenancy.grant_permission(role text, action text, resource_type text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	granted record;
BEGIN
	SELECT * INTO granted FROM tenancy.role_to_change(grant_permission.role, 'grant a permission to');
	PERFORM tenancy.assert_action(grant_permission.action, grant_permission.resource_type);
	PERFORM tenancy.assert_holds(grant_permission.action, grant_permission.resource_type);
	IF tenancy.is_granted(granted.role_id, grant_permission.action, grant_permission.resource_type) THEN
		RETURN;
	END IF;

	DELETE FROM tenancy.revoked_permissions v
	WHERE v.role_id = granted.role_id AND v.resource_type = grant_permission.resource_type AND v.action = grant_permission.action;
	INSERT INTO tenancy.role_permissions (role_id, resource_type, action)
	VALUES (granted.role_id, grant_permission.resource_type, grant_permission.action)
	ON CONFLICT DO NOTHING;
	PERFORM tenancy.record_change('grant_permission', granted.org_id, grant_permission.role, NULL,
		jsonb_build_object('action', grant_permission.action, 'resource_type', grant_permission.resource_type));
END
$$;
COMMENT ON FUNCTION tenancy.grant_permission(text, text, text) IS 'Allows a role an action on a resource type: a built-in role in every org at once, or one of the current org''s own. No error if it is allowed already.';

CREATE OR REPLACE FUNCTION tenancy.revoke_permission(role text, action text, resource_type text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	revoked record;
BEGIN
	SELECT * INTO revoked FROM tenancy.role_to_change(revoke_permission.role, 'revoke a permission of');
	PERFORM tenancy.assert_action(revoke_permission.action, revoke_permission.resource_type);
	PERFORM tenancy.assert_holds(revoke_permission.action, revoke_permission.resource_type);
	IF NOT tenancy.is_granted(revoked.role_id, revoke_permission.action, revoke_permission.resource_type) THEN
		RETURN;
	END IF;

	DELETE FROM tenancy.role_permissions p
	WHERE p.role_id = revoked.role_id AND p.resource_type = revoke_permission.resource_type
		AND p.action = revoke_permission.action AND NOT p.shipped;
	INSERT INTO tenancy.revoked_permissions (role_id, resource_type, action)
	SELECT p.role_id, p.resource_type, p.action FROM tenancy.role_permissions p
	WHERE p.role_id = revoked.role_id AND p.resource_type = revoke_permission.resource_type
		AND p.action = revoke_permission.action
	ON CONFLICT DO NOTHING;
	PERFORM tenancy.record_change('revoke_permission', revoked.org_id, revoke_permission.role,
		jsonb_build_object('action', revoke_permission.action, 'resource_type', revoke_permission.resource_type));
END
$$;
COMMENT ON FUNCTION tenancy.revoke_permission(text, text, text) IS 'Takes an action on a resource type back from a role: a built-in role in every org at once, or one of the current org''s own. No error if it is not allowed.';

-- What members may do, for those who decide it.
CREATE OR REPLACE FUNCTION tenancy.members_who_can(org_id uuid, action text, resource_type text)
RETURNS SETOF uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT mr.user_id FROM tenancy.membership_roles mr
	JOIN tenancy.users u ON u.id = mr.user_id AND u.status = 'active'
	JOIN tenancy.organizations o ON o.id = mr.org_id AND o.status = 'active'
	JOIN tenancy.granted_permissions p ON p.role_id = mr.role_id
	WHERE mr.org_id = members_who_can.org_id AND p.action = members_who_can.action AND p.resource_type = members_who_can.resource_type
$$;
COMMENT ON FUNCTION tenancy.members_who_can(uuid, text, text) IS 'Internal: the active members of an active org whose roles grant that.';

CREATE OR REPLACE FUNCTION tenancy.can_user(user_id uuid, action text, resource_type text)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize('read', 'role', 'see what a user can do');
BEGIN
	RETURN EXISTS (SELECT FROM tenancy.members_who_can(in_org, can_user.action, can_user.resource_type) m WHERE m = can_user.user_id);
END
$$;
COMMENT ON FUNCTION tenancy.can_user(uuid, text, text) IS 'True if the roles of a member of the current org grant the action; fresh authentication is another matter.';

CREATE OR REPLACE FUNCTION tenancy.who_can(action text, resource_type text, OUT user_id uuid, OUT email text, OUT roles text[])
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	in_org uuid := tenancy.authorize('read', 'role', 'see who can do something');
BEGIN
	RETURN QUERY SELECT u.id, u.email::text, tenancy.member_role_names(u.id, in_org)
	FROM tenancy.members_who_can(in_org, who_can.action, who_can.resource_type) m JOIN tenancy.users u ON u.id = m
	ORDER BY u.email, u.id;
END
$$;
COMMENT ON FUNCTION tenancy.who_can(text, text) IS 'The members of the current org whose roles grant the action; fresh authentication is another matter.';
