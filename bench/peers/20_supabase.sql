-- Supabase's shapes: the org as a claim, auth.jwt() ->> ..., and a membership sub-query by auth.uid(); bare and wrapped as advised.
-- https://supabase.com/docs/guides/database/postgres/row-level-security
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO PUBLIC;

-- The API puts the claims of a token that it has verified into a setting.
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim', true), ''), nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
		nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;

CREATE TABLE auth.team_user (user_id uuid NOT NULL, team_id uuid NOT NULL, PRIMARY KEY (user_id, team_id));
CREATE INDEX ON auth.team_user (team_id);
INSERT INTO auth.team_user SELECT user_id, org_id FROM tenancy.memberships;
GRANT SELECT ON auth.team_user TO PUBLIC;
ANALYZE auth.team_user;

\set sign_in 'SET request.jwt.claims = ''{"sub": "%person%", "role": "authenticated", "user_role": "member", "app_metadata": {"org_id": "%org%"}}'''
SELECT bench.add_peer('supabase_claim', 'auth.jwt() ->>',
	$$org_id = (auth.jwt() -> 'app_metadata' ->> 'org_id')::uuid$$, :'sign_in');
SELECT bench.add_peer('supabase_claim_wrapped', '(SELECT auth.jwt() ->>)',
	$$org_id = (SELECT (auth.jwt() -> 'app_metadata' ->> 'org_id')::uuid)$$, :'sign_in');
SELECT bench.add_peer('supabase_member', 'auth.uid() IN (members)',
	$$auth.uid() IN (SELECT t.user_id FROM auth.team_user t WHERE t.team_id = org_id)$$, :'sign_in');
SELECT bench.add_peer('supabase_member_wrapped', 'IN (teams of (SELECT auth.uid()))',
	$$org_id IN (SELECT t.team_id FROM auth.team_user t WHERE t.user_id = (SELECT auth.uid()))$$, :'sign_in');

-- Its documented permission check, for roles in the token: called by the work that times one call.
-- https://supabase.com/docs/guides/database/postgres/custom-claims-and-role-based-access-control-rbac
CREATE TABLE auth.role_permissions (role text NOT NULL, permission text NOT NULL, PRIMARY KEY (role, permission));
INSERT INTO auth.role_permissions SELECT 'member', 'contact.' || a FROM unnest('{read,create,update}'::text[]) a;
ANALYZE auth.role_permissions;
CREATE FUNCTION auth.authorize(requested_permission text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
	granted int;
	user_role text;
BEGIN
	SELECT auth.jwt() ->> 'user_role' INTO user_role;
	SELECT count(*) INTO granted FROM auth.role_permissions p WHERE p.permission = requested_permission AND p.role = user_role;
	RETURN granted > 0;
END
$$;
