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

-- By code points: what a locale calls white space differs from server to server. Names are shown to people, who would see
-- nothing: control characters, spaces of all widths, what has no width, fillers, selectors and tags.
CREATE OR REPLACE FUNCTION tenancy.strip_blank(name text)
RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT nullif(regexp_replace(strip_blank.name COLLATE "C",
		'^[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f'
		'\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+', ''), '')
$$;
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
