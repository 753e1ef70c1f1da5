-- Who is this, in which org, and in which state.

CREATE OR REPLACE FUNCTION tenancy.session(
	OUT status text, OUT next_step text, OUT user_id uuid, OUT email text,
	OUT org_id uuid, OUT org_slug text, OUT org_name text, OUT roles text[], OUT is_superadmin boolean,
	OUT issuer text, OUT subject text, OUT expires_at timestamptz,
	OUT impersonated_by text, OUT impersonation text, OUT is_read_only boolean)
RETURNS record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_session';
COMMENT ON FUNCTION tenancy.session() IS 'The state of this session in one row, and what the application should do next. Raises no error for any token.';

CREATE OR REPLACE FUNCTION tenancy.begin_session(
	token text, org text DEFAULT NULL,
	OUT status text, OUT next_step text, OUT user_id uuid, OUT email text,
	OUT org_id uuid, OUT org_slug text, OUT org_name text, OUT roles text[], OUT is_superadmin boolean,
	OUT issuer text, OUT subject text, OUT expires_at timestamptz,
	OUT impersonated_by text, OUT impersonation text, OUT is_read_only boolean)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_begin_session';
COMMENT ON FUNCTION tenancy.begin_session(text, text) IS 'Sets the token, and the org if one is named, for this transaction, as nobody but oneself; returns session().';

CREATE OR REPLACE FUNCTION tenancy.current_user_id()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_current_user_id';
COMMENT ON FUNCTION tenancy.current_user_id() IS 'The signed-in user, or null without a token, before provisioning and for a disabled user.';

CREATE OR REPLACE FUNCTION tenancy.current_org()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_current_org';
COMMENT ON FUNCTION tenancy.current_org() IS 'The org that the session works in, or null if it is not active.';

CREATE OR REPLACE FUNCTION tenancy.claims()
RETURNS jsonb LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_claims';
COMMENT ON FUNCTION tenancy.claims() IS 'The verified claims of the token, or null without a token.';

CREATE OR REPLACE FUNCTION tenancy.my_orgs(
	OUT org_id uuid, OUT slug text, OUT name text, OUT kind text, OUT status text, OUT roles text[], OUT is_current boolean)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE ROWS 5 AS 'MODULE_PATHNAME', 'tenancy_my_orgs';
COMMENT ON FUNCTION tenancy.my_orgs() IS 'The orgs that the user belongs to, archived ones left out.';

CREATE OR REPLACE FUNCTION tenancy.switch_org(org text)
RETURNS uuid LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_switch_org';
COMMENT ON FUNCTION tenancy.switch_org(text) IS 'Picks the org to work in, by id or slug, for as long as the token holds; returns its id.';

-- A membership that goes at the same moment takes the default with it: FOR KEY SHARE waits to see.
CREATE OR REPLACE FUNCTION tenancy.set_default_org(org text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.require_user_for_change();
	old_id uuid;
	new_id uuid;
BEGIN
	IF set_default_org.org IS NOT NULL THEN
		SELECT m.org_id INTO new_id FROM tenancy.memberships m JOIN tenancy.organizations o ON o.id = m.org_id
		WHERE m.user_id = me AND (o.slug = set_default_org.org OR o.id::text = lower(set_default_org.org)) FOR KEY SHARE OF m;
		IF new_id IS NULL THEN
			RAISE EXCEPTION 'user is not a member of the org'
				USING ERRCODE = 'TN005', DETAIL = 'The org that is named does not exist, or the user does not belong to it.',
					HINT = 'Choose from tenancy.my_orgs().';
		END IF;
	END IF;

	SELECT d.org_id INTO old_id FROM tenancy.default_orgs d WHERE d.user_id = me FOR UPDATE;
	IF new_id IS NOT DISTINCT FROM old_id THEN
		RETURN new_id;
	END IF;
	IF new_id IS NULL THEN
		DELETE FROM tenancy.default_orgs d WHERE d.user_id = me;
	ELSE
		INSERT INTO tenancy.default_orgs AS d (user_id, org_id) VALUES (me, new_id)
		ON CONFLICT (user_id) DO UPDATE SET org_id = excluded.org_id;
	END IF;
	PERFORM tenancy.record_change('set_default_org', NULL, me::text,
		jsonb_build_object('org_id', old_id), jsonb_build_object('org_id', new_id));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.set_default_org(text) IS 'Sets the org, by id or slug, that the user works in when none is picked; null for none. Returns its id.';

CREATE OR REPLACE FUNCTION tenancy.cross_org_support(internal)
RETURNS internal LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tenancy_cross_org_support';
COMMENT ON FUNCTION tenancy.cross_org_support(internal) IS 'Planner support of cross_org_active().';

CREATE OR REPLACE FUNCTION tenancy.cross_org_active()
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE SUPPORT tenancy.cross_org_support AS 'MODULE_PATHNAME', 'tenancy_cross_org_active';
COMMENT ON FUNCTION tenancy.cross_org_active() IS 'True for a superadmin who has set tenancy.cross_org: protected tables are then readable in every org.';

CREATE OR REPLACE FUNCTION tenancy.is_superadmin()
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_is_superadmin';
COMMENT ON FUNCTION tenancy.is_superadmin() IS 'True if the signed-in user is a superadmin.';

CREATE OR REPLACE FUNCTION tenancy.is_administrator()
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_is_administrator';
COMMENT ON FUNCTION tenancy.is_administrator() IS 'True for a superadmin by token, and without a token for a superuser and the extension''s owner.';

CREATE OR REPLACE FUNCTION tenancy.require_user()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_user';
COMMENT ON FUNCTION tenancy.require_user() IS 'Internal: the signed-in user, or an error that says why there is none.';

CREATE OR REPLACE FUNCTION tenancy.require_user_for_change()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_user_for_change';
COMMENT ON FUNCTION tenancy.require_user_for_change() IS 'Internal: the signed-in user, or an error that says why there is none or why nothing may be changed.';

CREATE OR REPLACE FUNCTION tenancy.require_current_org()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_current_org';
COMMENT ON FUNCTION tenancy.require_current_org() IS 'Internal: the org that the session works in, or an error that says why there is none.';

CREATE OR REPLACE FUNCTION tenancy.verified_email()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_verified_email';
COMMENT ON FUNCTION tenancy.verified_email() IS 'Internal: the email address that the token says is verified, or null.';

CREATE OR REPLACE FUNCTION tenancy.database_role()
RETURNS name LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_database_role';
COMMENT ON FUNCTION tenancy.database_role() IS 'Internal: the role that called, whatever rights a function lends it.';

CREATE OR REPLACE FUNCTION tenancy.acting_superadmin()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_acting_superadmin';
COMMENT ON FUNCTION tenancy.acting_superadmin() IS 'Internal: the superadmin who acts as the session''s user by act_as(), or null.';
