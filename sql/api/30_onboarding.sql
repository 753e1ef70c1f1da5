-- How a person gets a user and an org.

CREATE OR REPLACE FUNCTION tenancy.slugify(name text)
RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN s.slug = '' THEN 'org'
			WHEN s.slug ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN 'org-' || s.slug
			ELSE s.slug END
	FROM (SELECT rtrim(left(btrim(regexp_replace(lower(
			regexp_replace(normalize(slugify.name, NFKD), '[\u0300-\u036f]', '', 'g') COLLATE "C"),
			'[^a-z0-9]+', '-', 'g'), '-'), 48), '-')) AS s (slug)
$$;
COMMENT ON FUNCTION tenancy.slugify(text) IS 'A slug made from a name: lower-case ASCII letters, digits and hyphens, at most 48.';

CREATE OR REPLACE FUNCTION tenancy.provision_user(
	OUT user_id uuid, OUT org_id uuid, OUT org_slug text, OUT roles text[], OUT created boolean)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tenancy_provision_user';
COMMENT ON FUNCTION tenancy.provision_user() IS 'Gives the token''s subject a user and an org, if they are not there yet. Safe to call at every sign-in.';

CREATE OR REPLACE FUNCTION tenancy.provision_identity(action text)
RETURNS uuid LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tenancy_provision_identity';
COMMENT ON FUNCTION tenancy.provision_identity(text) IS 'Internal: gives the token''s subject a user, but no org; the audit log names the action. For who is about to join one.';

CREATE OR REPLACE FUNCTION tenancy.create_org(name text, slug text DEFAULT NULL, admin_email text DEFAULT NULL)
RETURNS uuid LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tenancy_create_org';
COMMENT ON FUNCTION tenancy.create_org(text, text, text) IS 'Creates an org whose admin is the caller, or whom an administrator names by email. With a slug a caller''s own is safe to repeat.';
