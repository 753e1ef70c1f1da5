-- Who is this, in which org, and in which state.

CREATE OR REPLACE FUNCTION tenancy.session(
	OUT status text, OUT next_step text, OUT user_id uuid, OUT email text,
	OUT org_id uuid, OUT org_slug text, OUT org_name text, OUT roles text[], OUT is_superadmin boolean,
	OUT issuer text, OUT subject text, OUT expires_at timestamptz)
RETURNS record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_session';
COMMENT ON FUNCTION tenancy.session() IS 'The state of this session in one row, and what the application should do next. Raises no error for any token.';

CREATE OR REPLACE FUNCTION tenancy.begin_session(
	token text, org text DEFAULT NULL,
	OUT status text, OUT next_step text, OUT user_id uuid, OUT email text,
	OUT org_id uuid, OUT org_slug text, OUT org_name text, OUT roles text[], OUT is_superadmin boolean,
	OUT issuer text, OUT subject text, OUT expires_at timestamptz)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_begin_session';
COMMENT ON FUNCTION tenancy.begin_session(text, text) IS 'Sets the token, and the org if one is named, for this transaction; returns session().';

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
COMMENT ON FUNCTION tenancy.database_role() IS 'Internal: the role that called, outside any SECURITY DEFINER function.';
