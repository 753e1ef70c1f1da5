-- The life of an org: suspended, resumed, archived, renamed. All of it is the administrators'; the org's own admins have no part in it.

-- Runs with its owner's rights, so it filters by itself.
CREATE OR REPLACE VIEW tenancy.orgs WITH (security_barrier) AS
SELECT o.id, o.slug, o.name, o.kind, o.status, o.status_reason, o.created_by, o.created_at, m.member_count, m.admin_count
FROM tenancy.organizations o
CROSS JOIN LATERAL (
	SELECT pg_catalog.count(*) AS member_count,
		pg_catalog.count(*) FILTER (WHERE EXISTS (
			SELECT FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id
			WHERE mr.user_id = m.user_id AND mr.org_id = m.org_id AND r.org_id IS NULL AND r.name = 'admin')) AS admin_count
	FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id
	WHERE m.org_id = o.id AND u.status = 'active') m
WHERE tenancy.is_administrator();
COMMENT ON VIEW tenancy.orgs IS 'Every org, with its status and how many active members and admins it has; no rows for anybody but administrators.';

-- Two changes of an org at once follow each other, and each tells in the audit log what it found.
CREATE OR REPLACE FUNCTION tenancy.lock_named_org(org text)
RETURNS tenancy.organizations LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	IF lock_named_org.org IS NULL THEN
		RAISE EXCEPTION 'org must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass a slug or an id; a superadmin finds them in tenancy.orgs.';
	END IF;
	SELECT o.* INTO found_org FROM tenancy.organizations o WHERE o.id = tenancy.org_id_of(lock_named_org.org) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'org "%" does not exist', lock_named_org.org
			USING ERRCODE = 'undefined_object', HINT = 'It has just been purged.';
	END IF;
	RETURN found_org;
END
$$;
COMMENT ON FUNCTION tenancy.lock_named_org(text) IS 'Internal: an org named by slug or id, locked against other changes of it.';

CREATE OR REPLACE FUNCTION tenancy.change_org_status(action text, found_org tenancy.organizations, new_status text, new_reason text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF found_org.status = new_status AND found_org.status_reason IS NOT DISTINCT FROM new_reason THEN
		RETURN;
	END IF;
	UPDATE tenancy.organizations o SET status = new_status, status_reason = new_reason WHERE o.id = found_org.id;
	PERFORM tenancy.record_change(change_org_status.action, found_org.id, found_org.slug,
		jsonb_build_object('status', found_org.status, 'status_reason', found_org.status_reason),
		jsonb_build_object('status', new_status, 'status_reason', new_reason));
END
$$;
COMMENT ON FUNCTION tenancy.change_org_status(text, tenancy.organizations, text, text) IS 'Internal: gives an org a status with its reason, unless it has them.';

CREATE OR REPLACE FUNCTION tenancy.suspend_org(org text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	PERFORM tenancy.assert_administrator('suspend an org');
	IF suspend_org.reason IS NULL THEN
		RAISE EXCEPTION 'reason must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Say why; the members of the org are shown it.';
	ELSIF btrim(suspend_org.reason, E' \t\r\n') = '' THEN
		RAISE EXCEPTION 'reason must not be blank'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why; the members of the org are shown it.';
	END IF;
	found_org := tenancy.lock_named_org(suspend_org.org);
	IF found_org.status = 'archived' THEN
		RAISE EXCEPTION 'org "%" is archived', found_org.slug
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Its members are locked out already, and do not see it among their orgs.',
				HINT = 'Call tenancy.resume_org(org) first, if they are to see it again.';
	END IF;
	PERFORM tenancy.change_org_status('suspend_org', found_org, 'suspended', suspend_org.reason);
END
$$;
COMMENT ON FUNCTION tenancy.suspend_org(text, text) IS 'Locks the members of an org out, with the reason that they are shown. Its data stays.';

CREATE OR REPLACE FUNCTION tenancy.archive_org(org text, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	PERFORM tenancy.assert_administrator('archive an org');
	IF btrim(archive_org.reason, E' \t\r\n') = '' THEN
		RAISE EXCEPTION 'reason must not be blank'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why, or pass null.';
	END IF;
	found_org := tenancy.lock_named_org(archive_org.org);
	IF found_org.status = 'archived' AND archive_org.reason IS NULL THEN
		RETURN;
	END IF;
	PERFORM tenancy.change_org_status('archive_org', found_org, 'archived', archive_org.reason);
END
$$;
COMMENT ON FUNCTION tenancy.archive_org(text, text) IS 'Locks the members of an org out and hides it from their lists. Its data stays.';

CREATE OR REPLACE FUNCTION tenancy.resume_org(org text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	PERFORM tenancy.assert_administrator('resume an org');
	found_org := tenancy.lock_named_org(resume_org.org);
	PERFORM tenancy.change_org_status('resume_org', found_org, 'active', NULL);
	IF (SELECT o.admin_count FROM tenancy.orgs o WHERE o.id = found_org.id) = 0 THEN
		RAISE WARNING 'org "%" has no active admin', found_org.slug
			USING HINT = 'Make somebody admin: pick the org and call tenancy.set_member_roles(user_id, roles) or tenancy.invite(email, ''admin'').';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.resume_org(text) IS 'Opens a suspended or archived org to its members again, as it was.';

CREATE OR REPLACE FUNCTION tenancy.rename_org(org text, name text, slug text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
	new_slug text;
BEGIN
	PERFORM tenancy.assert_administrator('rename an org');
	IF rename_org.name IS NULL THEN
		RAISE EXCEPTION 'name must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass the name that people know the org by.';
	ELSIF tenancy.strip_blank(rename_org.name) IS NULL OR char_length(rename_org.name) > 200 THEN
		RAISE EXCEPTION 'invalid name of an org'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'A name is 1 to 200 characters, and not blank.',
				HINT = 'Pass the name that people know the org by.';
	ELSIF rename_org.slug COLLATE "C" !~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
		OR rename_org.slug COLLATE "C" ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
		RAISE EXCEPTION 'invalid slug of an org'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A slug is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end, and does not look like a uuid.',
				HINT = 'Choose another slug, or pass none to keep the one that it has.';
	END IF;
	found_org := tenancy.lock_named_org(rename_org.org);
	new_slug := coalesce(rename_org.slug, found_org.slug);
	IF found_org.name = rename_org.name AND found_org.slug = new_slug THEN
		RETURN;
	END IF;
	UPDATE tenancy.organizations o SET name = rename_org.name, slug = new_slug WHERE o.id = found_org.id;
	PERFORM tenancy.record_change('rename_org', found_org.id, found_org.slug,
		jsonb_build_object('name', found_org.name, 'slug', found_org.slug),
		jsonb_build_object('name', rename_org.name, 'slug', new_slug));
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION 'slug "%" is taken', rename_org.slug
		USING ERRCODE = 'unique_violation', DETAIL = 'Another org has this slug.',
			HINT = 'Choose another slug, or pass none to keep the one that it has.';
END
$$;
COMMENT ON FUNCTION tenancy.rename_org(text, text, text) IS 'Gives an org another name, and another slug if one is passed. Its id stays.';
