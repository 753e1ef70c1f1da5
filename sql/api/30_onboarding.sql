-- How a person gets a user and an org.

-- Without settings of its own and in one expression, so that the planner puts it in the place of a call.
CREATE OR REPLACE FUNCTION tenancy.slugify(name text)
RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.regexp_replace(pg_catalog.regexp_replace(
	pg_catalog.rtrim(pg_catalog.left(pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.lower(
		pg_catalog.regexp_replace(pg_catalog.normalize(slugify.name, 'NFKD'), '[\u0300-\u036f]', '', 'g') COLLATE pg_catalog."C"),
		'[^a-z0-9]+', '-', 'g'), '-'), 48), '-'),
	'^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$', 'org-\1'),
	'^$', 'org');
COMMENT ON FUNCTION tenancy.slugify(text) IS 'A slug made from a name: lower-case ASCII letters, digits and hyphens, at most 48.';

CREATE OR REPLACE FUNCTION tenancy.strip_blank(name text)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_strip_blank';
COMMENT ON FUNCTION tenancy.strip_blank(text) IS 'Internal: a name without the white space and invisible characters in front; null if there is nothing else.';

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
