-- What the session may do, and who decides it.

CREATE OR REPLACE FUNCTION tenancy.can_i(action text, resource_type text)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_can_i';
COMMENT ON FUNCTION tenancy.can_i(text, text) IS 'True if the session is active and a role of the user in the current org grants the action.';

CREATE OR REPLACE FUNCTION tenancy.current_org_if(action text, resource_type text)
RETURNS uuid LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_current_org_if';
COMMENT ON FUNCTION tenancy.current_org_if(text, text) IS 'The current org if can_i(), else null: what policies for reading compare with.';

CREATE OR REPLACE FUNCTION tenancy.require(action text, resource_type text)
RETURNS void LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require';
COMMENT ON FUNCTION tenancy.require(text, text) IS 'Raises an error that says why, unless can_i().';

CREATE OR REPLACE FUNCTION tenancy.require_org(action text, resource_type text)
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_org';
COMMENT ON FUNCTION tenancy.require_org(text, text) IS 'The current org if can_i(), else an error that says why: what policies for writing compare with.';

CREATE OR REPLACE FUNCTION tenancy.my_permissions(OUT resource_type text, OUT action text)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE ROWS 30 AS 'MODULE_PATHNAME', 'tenancy_my_permissions';
COMMENT ON FUNCTION tenancy.my_permissions() IS 'Everything the user may do in the current org; nothing if the session is not active.';

-- What is granted and not taken back. Shows all there is: for the functions here, and granted to nobody.
CREATE OR REPLACE VIEW tenancy.granted_permissions AS
SELECT p.role_id, p.resource_type, p.action FROM tenancy.role_permissions p
WHERE NOT EXISTS (SELECT FROM tenancy.revoked_permissions v
	WHERE v.role_id = p.role_id AND v.resource_type = p.resource_type AND v.action = p.action);
COMMENT ON VIEW tenancy.granted_permissions IS 'Internal: the permissions in force, of all roles.';

-- Runs with its owner's rights, so it filters by itself: the built-in roles for every user, an org's own roles for those in it.
-- A barrier, or a caller's function in WHERE would be shown the rows before they are filtered.
CREATE OR REPLACE VIEW tenancy.permission_matrix WITH (security_barrier) AS
SELECT r.org_id, r.name AS role, t.name AS resource_type, a.action,
	p.role_id IS NOT NULL AND v.role_id IS NULL AS granted, f.max_age
FROM tenancy.roles r
CROSS JOIN tenancy.resource_types t
CROSS JOIN LATERAL pg_catalog.unnest(t.actions) AS a (action)
LEFT JOIN tenancy.role_permissions p ON p.role_id = r.id AND p.resource_type = t.name AND p.action = a.action
LEFT JOIN tenancy.revoked_permissions v ON v.role_id = r.id AND v.resource_type = t.name AND v.action = a.action
LEFT JOIN tenancy.fresh_authentications f ON f.resource_type = t.name AND f.action = a.action
WHERE (r.org_id IS NULL AND tenancy.current_user_id() IS NOT NULL)
	OR r.org_id = tenancy.current_org()
	OR tenancy.is_administrator();
COMMENT ON VIEW tenancy.permission_matrix IS 'Every role, resource type and action, whether it is granted, and how fresh an authentication it needs.';

CREATE OR REPLACE FUNCTION tenancy.built_in_role(role text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	role_id uuid;
BEGIN
	IF role IS NULL THEN
		RAISE EXCEPTION 'role must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'The built-in roles are admin, member and viewer.';
	END IF;
	SELECT r.id INTO role_id FROM tenancy.roles r WHERE r.org_id IS NULL AND r.name = role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist', role
			USING ERRCODE = 'undefined_object', HINT = 'The built-in roles are admin, member and viewer.';
	END IF;
	RETURN role_id;
END
$$;
COMMENT ON FUNCTION tenancy.built_in_role(text) IS 'The id of a built-in role; raises an error for an unknown name.';

CREATE OR REPLACE FUNCTION tenancy.assert_action(action text, resource_type text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF action IS NULL OR resource_type IS NULL THEN
		RAISE EXCEPTION 'action and resource type must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'tenancy.resource_types lists what exists.';
	END IF;
	IF NOT EXISTS (SELECT FROM tenancy.resource_types t WHERE t.name = resource_type AND action = ANY (t.actions)) THEN
		RAISE EXCEPTION 'resource type "%" with action "%" does not exist', resource_type, action
			USING ERRCODE = 'undefined_object',
				HINT = 'tenancy.resource_types lists what exists; tenancy.add_resource_type(name, actions) adds.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_action(text, text) IS 'Raises an error unless the resource type knows the action.';
