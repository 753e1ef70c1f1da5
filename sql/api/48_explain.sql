-- Why the session may do something, or may not.

-- What the functions that raise it would say of the session; null if it is active.
CREATE OR REPLACE FUNCTION tenancy.inactive_reason()
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	message text;
	detail text;
BEGIN
	PERFORM tenancy.require_current_org();
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN message || coalesce(': ' || nullif(detail, ''), '');
END
$$;
COMMENT ON FUNCTION tenancy.inactive_reason() IS 'Internal: why the session is not active; null if it is.';

-- The states of a session in the order in which it gets past them.
CREATE OR REPLACE FUNCTION tenancy.explain_session(OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.check_name, CASE WHEN f.fails_at IS NULL OR c.place < f.fails_at THEN true WHEN c.place = f.fails_at THEN false END,
		CASE WHEN c.place = f.fails_at THEN tenancy.inactive_reason()
			WHEN f.fails_at IS NULL OR c.place < f.fails_at THEN c.reason
			ELSE 'not reached' END
	FROM tenancy.session() s
	CROSS JOIN LATERAL (SELECT CASE s.status
			WHEN 'active' THEN NULL
			WHEN 'unprovisioned' THEN 2 WHEN 'disabled' THEN 2
			WHEN 'no_org' THEN 3 WHEN 'pick_org' THEN 3 WHEN 'org_suspended' THEN 3 WHEN 'org_archived' THEN 3
			WHEN 'not_a_member' THEN 4
			ELSE 1 END) AS f (fails_at)
	CROSS JOIN LATERAL (VALUES
		(1, 'token', format('signed by a trusted issuer, holds until %s', s.expires_at)),
		(2, 'user', format('provisioned as user %s', s.user_id) ||
			CASE s.impersonation
				WHEN 'act_as' THEN format(', acted as by superadmin %s', s.impersonated_by)
				WHEN 'token' THEN format(', acted as by %s', s.impersonated_by)
				ELSE '' END),
		(3, 'org', coalesce('works in org "' || s.org_slug || '"', 'an org is picked')),
		(4, 'membership', CASE WHEN EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id = s.user_id AND m.org_id = s.org_id)
			THEN 'member of the org' ELSE 'entered as superadmin' END))
		AS c (place, check_name, reason)
	ORDER BY c.place
$$;
COMMENT ON FUNCTION tenancy.explain_session() IS 'Internal: which state the session is in, check by check.';

-- What is left to check once the session is active.
CREATE OR REPLACE FUNCTION tenancy.explain_permission(action text, resource_type text, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH role AS (
		SELECT r.name, p.role_id IS NOT NULL AS grants, r.name = ANY (s.roles) AS held
		FROM tenancy.session() s
		JOIN tenancy.roles r ON r.org_id IS NULL OR r.org_id = s.org_id
		LEFT JOIN tenancy.granted_permissions p ON p.role_id = r.id
			AND p.resource_type = explain_permission.resource_type AND p.action = explain_permission.action),
	roles AS (
		SELECT string_agg(r.name, ', ' ORDER BY r.name) FILTER (WHERE r.held) AS held,
			string_agg(r.name, ', ' ORDER BY r.name) FILTER (WHERE r.grants) AS granting,
			string_agg(r.name, ', ' ORDER BY r.name) FILTER (WHERE r.held AND r.grants) AS decisive
		FROM role r)
	SELECT 'resource_type', known.it, CASE WHEN known.it THEN format('"%s" has the action "%s"', explain_permission.resource_type, explain_permission.action)
		ELSE 'no such resource type, or it has no such action' END
	FROM (SELECT EXISTS (SELECT FROM tenancy.resource_types t
			WHERE t.name = explain_permission.resource_type AND explain_permission.action = ANY (t.actions))) AS known (it)
	UNION ALL
	SELECT 'role', r.held IS NOT NULL, coalesce('holds ' || r.held, 'holds no role in the org') FROM roles r
	UNION ALL
	SELECT 'grant', r.decisive IS NOT NULL, coalesce('granted by ' || r.decisive,
		'not granted by any role that the user holds; ' || coalesce('granted by ' || r.granting, 'no role grants it')) FROM roles r
	UNION ALL
	SELECT 'fresh_authentication', tenancy.authenticated_within(f.max_age), CASE WHEN tenancy.authenticated_within(f.max_age)
		THEN format('authenticated within %s', f.max_age)
		ELSE format('needs an authentication within %s, and the token does not tell of one', f.max_age) END
	FROM tenancy.fresh_authentications f
	WHERE f.resource_type = explain_permission.resource_type AND f.action = explain_permission.action
	UNION ALL
	SELECT 'read_only', explain_permission.action = 'read', CASE WHEN explain_permission.action = 'read'
		THEN 'the impersonation is read-only, and this is reading' ELSE 'the impersonation is read-only' END
	FROM tenancy.session() s WHERE s.is_read_only
$$;
COMMENT ON FUNCTION tenancy.explain_permission(text, text) IS 'Internal: whether the active session''s roles allow something, check by check.';

CREATE OR REPLACE FUNCTION tenancy.explain_can_i(action text, resource_type text, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	active boolean := (SELECT s.status = 'active' FROM tenancy.session() s);
	allowed boolean := active AND coalesce(tenancy.can_i(explain_can_i.action, explain_can_i.resource_type), false);
BEGIN
	RETURN QUERY SELECT e.check_name, e.passed, e.reason FROM tenancy.explain_session() e;
	IF active THEN
		RETURN QUERY SELECT e.check_name, coalesce(e.passed, false), e.reason
		FROM tenancy.explain_permission(explain_can_i.action, explain_can_i.resource_type) e;
	ELSE
		RETURN QUERY SELECT n.check_name, NULL::boolean, 'not reached' FROM unnest('{resource_type,role,grant}'::text[]) AS n (check_name);
	END IF;
	RETURN QUERY SELECT 'result', allowed, CASE WHEN allowed THEN 'allowed' ELSE 'denied' END;
END
$$;
COMMENT ON FUNCTION tenancy.explain_can_i(text, text) IS 'Why can_i() says what it says: one row a check, the last with the result. Raises no error for any token.';
