-- Superadmins, and what an administrator does about a user of whatever org.

CREATE OR REPLACE FUNCTION tenancy.lock_user(user_id uuid)
RETURNS tenancy.users LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
BEGIN
	IF lock_user.user_id IS NULL THEN
		RAISE EXCEPTION 'user_id must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass the user''s id, as tenancy.session() shows it to the user.';
	END IF;
	SELECT u.* INTO found_user FROM tenancy.users u WHERE u.id = lock_user.user_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user "%" does not exist', lock_user.user_id
			USING ERRCODE = 'undefined_object', HINT = 'Pass the user''s id, as tenancy.session() shows it to the user.';
	END IF;
	RETURN found_user;
END
$$;
COMMENT ON FUNCTION tenancy.lock_user(uuid) IS 'Internal: a user, locked against other changes of it.';

CREATE OR REPLACE FUNCTION tenancy.add_superadmin(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
BEGIN
	PERFORM tenancy.assert_administrator('add a superadmin');
	found_user := tenancy.lock_user(add_superadmin.user_id);
	IF found_user.status <> 'active' THEN
		RAISE EXCEPTION 'user "%" is disabled', found_user.id
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.enable_user(user_id) first.';
	END IF;
	INSERT INTO tenancy.superadmins (user_id) VALUES (found_user.id) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		PERFORM tenancy.record_change('add_superadmin', NULL, found_user.id::text, '{"superadmin": false}', '{"superadmin": true}');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.add_superadmin(uuid) IS 'Makes a user a superadmin.';

-- The setting lists addresses, and its word counts at the next sign-in.
CREATE OR REPLACE FUNCTION tenancy.warn_of_superadmin_email(found_user tenancy.users)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM regexp_split_to_table(current_setting('tenancy.superadmin_emails'), ',') e
			WHERE lower(btrim(e, ' "') COLLATE "C") = lower(found_user.email)) THEN
		RAISE WARNING 'user "%" becomes a superadmin again at the next sign-in', found_user.id
			USING DETAIL = 'The setting tenancy.superadmin_emails lists the user''s email address.',
				HINT = 'Take the address off the setting, or call tenancy.disable_user(user_id).';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.warn_of_superadmin_email(tenancy.users) IS 'Internal: warns of a former superadmin whom tenancy.superadmin_emails lists.';

CREATE OR REPLACE FUNCTION tenancy.remove_superadmin(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	found_user tenancy.users;
BEGIN
	PERFORM tenancy.assert_administrator('remove a superadmin');
	found_user := tenancy.lock_user(remove_superadmin.user_id);
	DELETE FROM tenancy.superadmins s WHERE s.user_id = found_user.id;
	IF FOUND THEN
		PERFORM tenancy.record_change('remove_superadmin', NULL, found_user.id::text, '{"superadmin": true}', '{"superadmin": false}');
	END IF;
	PERFORM tenancy.warn_of_superadmin_email(found_user);
END
$$;
COMMENT ON FUNCTION tenancy.remove_superadmin(uuid) IS 'Makes a superadmin an ordinary user.';

-- Under the locks no membership begins and no role is given or taken: FOR UPDATE waits for who holds the user, in order to
-- join an org, and keeps others from it.
CREATE OR REPLACE FUNCTION tenancy.lock_user_and_orgs(user_id uuid)
RETURNS tenancy.users LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	found_org uuid;
	found_user tenancy.users;
BEGIN
	PERFORM FROM tenancy.users u WHERE u.id = lock_user_and_orgs.user_id FOR UPDATE;
	found_user := tenancy.lock_user(lock_user_and_orgs.user_id);
	FOR found_org IN SELECT m.org_id FROM tenancy.memberships m WHERE m.user_id = found_user.id ORDER BY m.org_id LOOP
		PERFORM tenancy.lock_org(found_org);
	END LOOP;
	RETURN found_user;
END
$$;
COMMENT ON FUNCTION tenancy.lock_user_and_orgs(uuid) IS 'Internal: a user, locked together with all orgs the user belongs to.';

-- In an org without other members nobody is locked out: else anybody could make orgs until they cannot be disabled.
CREATE OR REPLACE FUNCTION tenancy.orgs_left_without_admin(user_id uuid)
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT o.slug
	FROM tenancy.membership_roles mr
	JOIN tenancy.roles r ON r.id = mr.role_id AND r.org_id IS NULL AND r.name = 'admin'
	JOIN tenancy.organizations o ON o.id = mr.org_id AND o.status = 'active' AND o.kind = 'team'
	WHERE mr.user_id = orgs_left_without_admin.user_id
		AND NOT EXISTS (SELECT FROM tenancy.membership_roles a JOIN tenancy.users u ON u.id = a.user_id AND u.status = 'active'
			WHERE a.org_id = mr.org_id AND a.role_id = mr.role_id)
		AND EXISTS (SELECT FROM tenancy.memberships m WHERE m.org_id = mr.org_id AND m.user_id <> mr.user_id)
	ORDER BY o.slug
$$;
COMMENT ON FUNCTION tenancy.orgs_left_without_admin(uuid) IS 'Internal: the active team orgs with other members whose admin the user is, and in which nobody who is not disabled is admin.';

CREATE OR REPLACE FUNCTION tenancy.disable_user(user_id uuid, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
	orphans text[];
BEGIN
	PERFORM tenancy.assert_administrator('disable a user');
	found_user := tenancy.lock_user_and_orgs(disable_user.user_id);
	IF found_user.status = 'disabled' THEN
		RETURN;
	END IF;
	UPDATE tenancy.users u SET status = 'disabled' WHERE u.id = found_user.id;
	orphans := ARRAY(SELECT * FROM tenancy.orgs_left_without_admin(found_user.id));
	IF orphans <> '{}' THEN
		RAISE EXCEPTION 'user "%" is the last admin of an org', found_user.id
			USING ERRCODE = 'TN006', DETAIL = format('Nobody else is an active admin of: %s%s.', array_to_string(orphans[:5], ', '),
					CASE WHEN cardinality(orphans) > 5 THEN format(' and %s more', cardinality(orphans) - 5) END),
				HINT = 'Make somebody else admin of each, or suspend it first with tenancy.suspend_org(org, reason).';
	END IF;
	PERFORM tenancy.record_change('disable_user', NULL, found_user.id::text,
		jsonb_build_object('status', found_user.status), jsonb_build_object('status', 'disabled', 'reason', disable_user.reason));
END
$$;
COMMENT ON FUNCTION tenancy.disable_user(uuid, text) IS 'Locks a user out of every org, from the commit on. Memberships and roles stay.';

CREATE OR REPLACE FUNCTION tenancy.enable_user(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
BEGIN
	PERFORM tenancy.assert_administrator('enable a user');
	found_user := tenancy.lock_user(enable_user.user_id);
	IF found_user.status = 'active' THEN
		RETURN;
	END IF;
	UPDATE tenancy.users u SET status = 'active' WHERE u.id = found_user.id;
	PERFORM tenancy.record_change('enable_user', NULL, found_user.id::text,
		jsonb_build_object('status', found_user.status), '{"status": "active"}');
END
$$;
COMMENT ON FUNCTION tenancy.enable_user(uuid) IS 'Lets a disabled user in again, with the memberships and roles that are left.';

-- A token's time of issue is in whole seconds, so those of the present second are revoked too.
CREATE OR REPLACE FUNCTION tenancy.revoke_tokens(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
	valid_from timestamptz;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('revoke a user''s tokens');
	actor := tenancy.audit_actor();
	found_user := tenancy.lock_user(revoke_tokens.user_id);
	valid_from := clock_timestamp();
	IF found_user.tokens_valid_from >= valid_from THEN
		RETURN;
	END IF;
	UPDATE tenancy.users u SET tokens_valid_from = valid_from WHERE u.id = found_user.id;
	PERFORM tenancy.record_change_by(actor, 'revoke_tokens', NULL, found_user.id::text,
		jsonb_build_object('tokens_valid_from', found_user.tokens_valid_from), jsonb_build_object('tokens_valid_from', valid_from));
END
$$;
COMMENT ON FUNCTION tenancy.revoke_tokens(uuid) IS 'Refuses every token of a user that was issued until now. Signing in again a second later gives one that is accepted.';
