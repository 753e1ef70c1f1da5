-- Who may administer what: every function that changes authority asks here first.

-- Errors reach the server log without the user's name; this line has it. Ids alone: no token, no claim.
CREATE OR REPLACE FUNCTION tenancy.log_denial(purpose text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s record;
BEGIN
	SELECT * INTO s FROM tenancy.session();
	RAISE LOG 'tenancy: permission denied to %', purpose
		USING DETAIL = format('User %s%s, org %s, status %s, database role %s.', coalesce(s.user_id::text, 'none'),
			coalesce(', acted as by superadmin ' || tenancy.acting_superadmin(), ''), coalesce(s.org_id::text, 'none'), s.status,
			tenancy.database_role());
END
$$;
COMMENT ON FUNCTION tenancy.log_denial(text) IS 'Internal: writes a refused administrative call to the server log.';

-- A definer because protect(), which runs with its caller's rights, asks it too.
CREATE OR REPLACE FUNCTION tenancy.assert_administrator(purpose text)
RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT tenancy.is_administrator() THEN
		PERFORM tenancy.log_denial(purpose);
		RAISE EXCEPTION 'permission denied to %', purpose
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'This is for superadmins, and without a session token for a superuser or the extension''s owner.',
				HINT = 'Ask a superadmin, or run it as the DBA after RESET tenancy.session_token.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_administrator(text) IS 'Raises an error unless is_administrator().';

CREATE OR REPLACE FUNCTION tenancy.org_id_of(org text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	IF org ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
		SELECT o.id INTO found_id FROM tenancy.organizations o WHERE o.id = org::uuid;
	ELSE
		SELECT o.id INTO found_id FROM tenancy.organizations o WHERE o.slug = org;
	END IF;
	IF found_id IS NULL THEN
		RAISE EXCEPTION 'org "%" does not exist', org
			USING ERRCODE = 'undefined_object', HINT = 'Pass a slug or an id; a superadmin finds them in tenancy.orgs.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.org_id_of(text) IS 'Internal: the id of an org named by slug or id. For administrators'' eyes: it tells what exists.';

-- The DBA has no org of its own: tenancy.org names the one to work on.
CREATE OR REPLACE FUNCTION tenancy.authorize(action text, resource_type text, purpose text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF tenancy.is_administrator() AND NOT tenancy.is_superadmin() THEN
		IF coalesce(current_setting('tenancy.org', true), '') = '' THEN
			RAISE EXCEPTION 'no org is picked'
				USING ERRCODE = 'TN002', DETAIL = 'This works on one org.', HINT = 'Set tenancy.org to its slug or id.';
		END IF;
		RETURN tenancy.org_id_of(current_setting('tenancy.org'));
	END IF;
	IF NOT tenancy.can_i(action, resource_type) THEN
		PERFORM tenancy.log_denial(purpose);
	END IF;
	RETURN tenancy.require_org(action, resource_type);
END
$$;
COMMENT ON FUNCTION tenancy.authorize(text, text, text) IS 'Internal: the org in which the caller may do that, or an error that says why not.';
