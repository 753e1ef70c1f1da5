-- Orgs, members and users as a provider's webhooks tell of them: in any order, more than once, and several at once.
--
-- What happened to one object (an org, a membership, a user of an issuer) is a row of synced_events. Every call locks the rows
-- of the objects that it is about, always in the order membership, org, user: calls about one object follow each other.

CREATE OR REPLACE FUNCTION tenancy.sync_without_token()
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT $$;
COMMENT ON FUNCTION tenancy.sync_without_token() IS 'Internal: whoever may execute this may sync without a token; it does nothing itself.';

CREATE OR REPLACE FUNCTION tenancy.assert_may_sync()
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (SELECT s.status FROM tenancy.session() s) = 'anonymous'
		AND has_function_privilege(tenancy.database_role(), 'tenancy.sync_without_token()', 'EXECUTE') THEN
		RETURN;
	END IF;
	IF NOT tenancy.is_administrator() THEN
		PERFORM tenancy.log_denial('sync with a provider');
		RAISE EXCEPTION 'permission denied to sync with a provider'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'This is for superadmins, and without a session token for roles that tenancy.grant_sync() was called for.',
				HINT = 'Let what receives the webhooks connect as a role of its own, and let the DBA call tenancy.grant_sync(role).';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_may_sync() IS 'Internal: raises an error unless the caller may sync with a provider.';

CREATE OR REPLACE FUNCTION tenancy.trusted_issuer_id(issuer text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_not_null(trusted_issuer_id.issuer, 'issuer', 'Pass exactly what the issuer''s tokens say in "iss".');
	SELECT i.id INTO found_id FROM tenancy.issuers i WHERE i.issuer = trusted_issuer_id.issuer AND i.trusted;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" is not trusted', trusted_issuer_id.issuer
			USING ERRCODE = 'undefined_object', HINT = 'Call tenancy.trust_issuer(issuer, jwks) first.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.trusted_issuer_id(text) IS 'Internal: the id of a trusted issuer.';

CREATE OR REPLACE FUNCTION tenancy.assert_external_id(id text, name text)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.assert_not_null(assert_external_id.id, assert_external_id.name, 'Pass what the provider calls it, as its tokens do.');
	IF octet_length(assert_external_id.id) NOT BETWEEN 1 AND 1024 THEN
		RAISE EXCEPTION '% must be a text of 1 to 1024 bytes', assert_external_id.name
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass what the provider calls it, as its tokens do.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_external_id(text, text) IS 'Internal: raises an error for what cannot be a provider''s id.';

-- An event without a time always applies, and moves nothing. Of two events of one time, the one that comes later does, unless
-- they can only be the same one.
CREATE OR REPLACE FUNCTION tenancy.begin_sync(issuer_id uuid, object text, event_at timestamptz, once boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO tenancy.synced_events AS e (issuer_id, object, event_at)
	VALUES (begin_sync.issuer_id, begin_sync.object, coalesce(begin_sync.event_at, '-infinity'))
	ON CONFLICT ON CONSTRAINT synced_events_pkey DO UPDATE SET event_at = greatest(e.event_at, excluded.event_at)
	WHERE begin_sync.event_at IS NULL OR e.event_at < excluded.event_at OR (e.event_at = excluded.event_at AND NOT begin_sync.once);
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.begin_sync(uuid, text, timestamptz, boolean) IS 'Internal: locks an object of a provider''s; false if a later event than this one has been applied to it, or this one before.';

CREATE OR REPLACE FUNCTION tenancy.suffixed_slug(base text)
RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT rtrim(left(base, 48), '-') || '-' || left(md5(gen_random_uuid()::text), 8)
$$;
COMMENT ON FUNCTION tenancy.suffixed_slug(text) IS 'Internal: a slug with a random suffix.';

-- Is this slug what the base gives, with or without a suffix?
CREATE OR REPLACE FUNCTION tenancy.is_slug_of(slug text, base text)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT slug = base OR (left(slug, -9) = rtrim(left(base, 48), '-') AND right(slug, 9) COLLATE "C" ~ '^-[0-9a-f]{8}$')
$$;
COMMENT ON FUNCTION tenancy.is_slug_of(text, text) IS 'Internal: whether a slug was made from another, as it is or with a random suffix.';

-- A name that is blank or too long is the provider's to mend, and no reason to lose the org.
CREATE OR REPLACE FUNCTION tenancy.synced_name(name text, external_id text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT left(rtrim(coalesce(tenancy.strip_blank(synced_name.name), tenancy.strip_blank(synced_name.external_id), 'org'), E' \t\r\n'), 200)
$$;
COMMENT ON FUNCTION tenancy.synced_name(text, text) IS 'Internal: what an org that a provider tells of can be called: its name, or else its id.';

-- The caller has locked the provider's org. An org of the same slug or name is another one: never are two merged.
CREATE OR REPLACE FUNCTION tenancy.insert_synced_org(action text, issuer_id uuid, external_id text, name text, base text)
RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	free_slug text := insert_synced_org.base;
	new_id uuid;
BEGIN
	LOOP
		INSERT INTO tenancy.organizations AS o (slug, name) VALUES (free_slug, insert_synced_org.name)
		ON CONFLICT ON CONSTRAINT organizations_slug_key DO NOTHING RETURNING o.id INTO new_id;
		EXIT WHEN FOUND;
		free_slug := tenancy.suffixed_slug(insert_synced_org.base);
	END LOOP;
	INSERT INTO tenancy.org_external_ids (issuer_id, external_id, org_id)
	VALUES (insert_synced_org.issuer_id, insert_synced_org.external_id, new_id);
	PERFORM tenancy.record_change(insert_synced_org.action, new_id, free_slug, NULL,
		jsonb_build_object('slug', free_slug, 'name', insert_synced_org.name, 'external_id', insert_synced_org.external_id));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.insert_synced_org(text, uuid, text, text, text) IS 'Internal: makes an org that a provider tells of, under a free slug.';

CREATE OR REPLACE FUNCTION tenancy.update_synced_org(org_id uuid, name text, base text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations := tenancy.lock_named_org(update_synced_org.org_id::text);
	free_slug text := CASE WHEN tenancy.is_slug_of(found_org.slug, coalesce(update_synced_org.base, found_org.slug)) THEN found_org.slug
		ELSE update_synced_org.base END;
BEGIN
	IF found_org.name = update_synced_org.name AND found_org.slug = free_slug THEN
		RETURN;
	END IF;
	LOOP
		BEGIN
			UPDATE tenancy.organizations o SET name = update_synced_org.name, slug = free_slug WHERE o.id = found_org.id;
			EXIT;
		EXCEPTION WHEN unique_violation THEN
			free_slug := tenancy.suffixed_slug(update_synced_org.base);
		END;
	END LOOP;
	PERFORM tenancy.record_change('sync_org', found_org.id, found_org.slug,
		jsonb_build_object('slug', found_org.slug, 'name', found_org.name), jsonb_build_object('slug', free_slug, 'name', update_synced_org.name));
END
$$;
COMMENT ON FUNCTION tenancy.update_synced_org(uuid, text, text) IS 'Internal: gives an org the name and slug that a provider tells of.';

CREATE OR REPLACE FUNCTION tenancy.org_of_external_id(issuer_id uuid, external_id text)
RETURNS uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT x.org_id FROM tenancy.org_external_ids x
	WHERE x.issuer_id = org_of_external_id.issuer_id AND x.external_id = org_of_external_id.external_id
$$;
COMMENT ON FUNCTION tenancy.org_of_external_id(uuid, text) IS 'Internal: the org that an issuer calls so, or null.';

CREATE OR REPLACE FUNCTION tenancy.sync_org(issuer text, external_id text, name text, slug text DEFAULT NULL, event_at timestamptz DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	from_issuer uuid;
	placeholder text;
	new_name text;
	base text;
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_may_sync();
	from_issuer := tenancy.trusted_issuer_id(sync_org.issuer);
	PERFORM tenancy.assert_external_id(sync_org.external_id, 'external_id');
	placeholder := tenancy.synced_name(NULL, sync_org.external_id);
	new_name := tenancy.synced_name(sync_org.name, sync_org.external_id);
	base := tenancy.slugify(tenancy.strip_blank(sync_org.slug));

	IF NOT tenancy.begin_sync(from_issuer, 'org:' || sync_org.external_id, sync_org.event_at) THEN
		RETURN tenancy.org_of_external_id(from_issuer, sync_org.external_id);
	END IF;
	found_id := tenancy.org_of_external_id(from_issuer, sync_org.external_id);
	IF found_id IS NULL THEN
		RETURN tenancy.insert_synced_org('sync_org', from_issuer, sync_org.external_id, new_name, coalesce(base, tenancy.slugify(new_name)));
	END IF;
	-- Without a slug an org keeps the one it has, unless that is a placeholder.
	IF base IS NULL AND (SELECT tenancy.is_slug_of(o.slug, tenancy.slugify(placeholder)) FROM tenancy.organizations o WHERE o.id = found_id) THEN
		base := tenancy.slugify(new_name);
	END IF;
	PERFORM tenancy.update_synced_org(found_id, new_name, base);
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.sync_org(text, text, text, text, timestamptz) IS 'Makes or renames the org that a provider tells of, and returns its id. Safe to repeat, in any order.';

CREATE OR REPLACE FUNCTION tenancy.user_of_subject(issuer_id uuid, subject text)
RETURNS uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.user_id FROM tenancy.identities d WHERE d.issuer_id = user_of_subject.issuer_id AND d.subject = user_of_subject.subject
$$;
COMMENT ON FUNCTION tenancy.user_of_subject(uuid, text) IS 'Internal: the user whom an issuer calls so, or null.';

-- Against a first sign-in at the same moment, as provision_user() does it: the identity decides, and the reference from it to
-- the user holds at the end of the statement.
CREATE OR REPLACE FUNCTION tenancy.insert_synced_user(action text, issuer_id uuid, subject text, status text)
RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	new_id uuid;
BEGIN
	WITH identity AS (
		INSERT INTO tenancy.identities AS d (issuer_id, subject, user_id)
		VALUES (insert_synced_user.issuer_id, insert_synced_user.subject, gen_random_uuid())
		ON CONFLICT ON CONSTRAINT identities_pkey DO NOTHING RETURNING d.user_id)
	INSERT INTO tenancy.users (id, status) SELECT i.user_id, insert_synced_user.status FROM identity i RETURNING id INTO new_id;
	IF new_id IS NOT NULL THEN
		PERFORM tenancy.record_change(insert_synced_user.action, NULL, new_id::text, NULL,
			jsonb_build_object('status', insert_synced_user.status, 'subject', insert_synced_user.subject));
	END IF;
	RETURN coalesce(new_id, tenancy.user_of_subject(insert_synced_user.issuer_id, insert_synced_user.subject));
END
$$;
COMMENT ON FUNCTION tenancy.insert_synced_user(text, uuid, text, text) IS 'Internal: the user whom a provider tells of, made if need be.';

-- The caller has locked the org. No role: the membership ends.
CREATE OR REPLACE FUNCTION tenancy.set_synced_member(user_id uuid, org_id uuid, role text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	was_admin boolean := tenancy.is_active_admin(set_synced_member.user_id, set_synced_member.org_id);
	was_member boolean := EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id = set_synced_member.user_id AND m.org_id = set_synced_member.org_id);
	before text[] := tenancy.member_role_names(set_synced_member.user_id, set_synced_member.org_id);
	after jsonb := CASE WHEN set_synced_member.role IS NOT NULL THEN jsonb_build_object('roles', ARRAY[set_synced_member.role]) END;
	wanted uuid;
BEGIN
	IF set_synced_member.role IS NULL THEN
		after := CASE WHEN was_member THEN tenancy.revoke_invitations_by(set_synced_member.user_id, set_synced_member.org_id) END;
		DELETE FROM tenancy.memberships m WHERE m.user_id = set_synced_member.user_id AND m.org_id = set_synced_member.org_id;
	ELSE
		wanted := tenancy.role_of_org(set_synced_member.role, set_synced_member.org_id);
		INSERT INTO tenancy.memberships (user_id, org_id) VALUES (set_synced_member.user_id, set_synced_member.org_id) ON CONFLICT DO NOTHING;
		DELETE FROM tenancy.membership_roles mr
		WHERE mr.user_id = set_synced_member.user_id AND mr.org_id = set_synced_member.org_id AND mr.role_id <> wanted;
		INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
		VALUES (set_synced_member.user_id, set_synced_member.org_id, wanted) ON CONFLICT DO NOTHING;
	END IF;
	IF was_admin AND (SELECT o.status FROM tenancy.organizations o WHERE o.id = set_synced_member.org_id) = 'active' THEN
		PERFORM tenancy.assert_admin_remains(set_synced_member.org_id);
	END IF;
	IF was_member IS DISTINCT FROM (set_synced_member.role IS NOT NULL) OR was_member AND before <> ARRAY[set_synced_member.role] THEN
		PERFORM tenancy.record_change('sync_member', set_synced_member.org_id, set_synced_member.user_id::text,
			CASE WHEN was_member THEN jsonb_build_object('roles', before) END, after);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_synced_member(uuid, uuid, text) IS 'Internal: gives a member exactly one role, or ends the membership.';

CREATE OR REPLACE FUNCTION tenancy.sync_member(issuer text, external_org_id text, subject text, role text, event_at timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	from_issuer uuid;
	in_org uuid;
	member uuid;
	placeholder text;
BEGIN
	PERFORM tenancy.assert_may_sync();
	from_issuer := tenancy.trusted_issuer_id(sync_member.issuer);
	PERFORM tenancy.assert_external_id(sync_member.external_org_id, 'external_org_id');
	PERFORM tenancy.assert_external_id(sync_member.subject, 'subject');
	-- The length tells where the one id ends and the other begins.
	IF NOT tenancy.begin_sync(from_issuer, format('member:%s:%s:%s', octet_length(sync_member.external_org_id), sync_member.external_org_id, sync_member.subject), sync_member.event_at) THEN
		RETURN;
	END IF;

	PERFORM tenancy.begin_sync(from_issuer, 'org:' || sync_member.external_org_id, NULL);
	in_org := tenancy.org_of_external_id(from_issuer, sync_member.external_org_id);
	PERFORM tenancy.begin_sync(from_issuer, 'user:' || sync_member.subject, NULL);
	member := tenancy.user_of_subject(from_issuer, sync_member.subject);
	IF sync_member.role IS NULL AND (in_org IS NULL OR member IS NULL) THEN
		RETURN;
	END IF;
	IF in_org IS NULL THEN
		placeholder := tenancy.synced_name(NULL, sync_member.external_org_id);
		in_org := tenancy.insert_synced_org('sync_member', from_issuer, sync_member.external_org_id, placeholder, tenancy.slugify(placeholder));
	END IF;
	member := coalesce(member, tenancy.insert_synced_user('sync_member', from_issuer, sync_member.subject, 'active'));
	PERFORM tenancy.hold_user(member);
	PERFORM tenancy.lock_org(in_org);
	PERFORM tenancy.set_synced_member(member, in_org, sync_member.role);
END
$$;
COMMENT ON FUNCTION tenancy.sync_member(text, text, text, text, timestamptz) IS 'Gives a member of a provider''s org exactly this role, or ends the membership if it is null. Safe to repeat, in any order.';

-- The profile is not in the audit log: what was deleted is to be gone.
CREATE OR REPLACE FUNCTION tenancy.sync_user_deleted(issuer text, subject text, event_at timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	from_issuer uuid;
	found_user tenancy.users;
	was_superadmin boolean;
	org_slug text;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_may_sync();
	from_issuer := tenancy.trusted_issuer_id(sync_user_deleted.issuer);
	PERFORM tenancy.assert_external_id(sync_user_deleted.subject, 'subject');
	-- An administrator may have enabled the user since.
	IF NOT tenancy.begin_sync(from_issuer, 'user:' || sync_user_deleted.subject, sync_user_deleted.event_at, once => true) THEN
		RETURN;
	END IF;

	found_user.id := tenancy.user_of_subject(from_issuer, sync_user_deleted.subject);
	IF found_user.id IS NULL THEN
		found_user.id := tenancy.insert_synced_user('sync_user_deleted', from_issuer, sync_user_deleted.subject, 'disabled');
	END IF;
	actor := tenancy.audit_actor();
	found_user := tenancy.lock_user_and_orgs(found_user.id);
	DELETE FROM tenancy.superadmins s WHERE s.user_id = found_user.id;
	was_superadmin := FOUND;
	UPDATE tenancy.users u SET status = 'disabled', tokens_valid_from = clock_timestamp(), email = NULL, email_verified = false, name = NULL
	WHERE u.id = found_user.id
		AND (u.status <> 'disabled' OR u.tokens_valid_from IS NULL OR u.email IS NOT NULL OR u.name IS NOT NULL);
	IF found_user.status = 'active' OR was_superadmin THEN
		PERFORM tenancy.record_change_by(actor, 'sync_user_deleted', NULL, found_user.id::text,
			jsonb_build_object('status', found_user.status, 'superadmin', was_superadmin), '{"status": "disabled", "superadmin": false}');
	END IF;
	FOR org_slug IN SELECT * FROM tenancy.orgs_left_without_admin(found_user.id) LOOP
		RAISE WARNING 'org "%" has no active admin', org_slug
			USING HINT = 'A superadmin can pick the org and call tenancy.set_member_roles(user_id, roles) or tenancy.invite(email, ''admin'').';
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.sync_user_deleted(text, text, timestamptz) IS 'Disables the user whom a provider has deleted, for good: tokens are revoked, email and name forgotten.';

-- SECURITY INVOKER: the caller grants what it owns, so PostgreSQL itself refuses anybody else.
CREATE OR REPLACE FUNCTION tenancy.grant_sync(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA tenancy TO %s', grant_sync.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION tenancy.sync_without_token(), tenancy.sync_org(text, text, text, text, timestamptz),
		tenancy.sync_member(text, text, text, text, timestamptz), tenancy.sync_user_deleted(text, text, timestamptz) TO %s', grant_sync.role);
END
$$;
COMMENT ON FUNCTION tenancy.grant_sync(regrole) IS 'Lets a database role sync with a provider without a token: what receives the provider''s webhooks.';

-- What grant_access() has granted stays.
CREATE OR REPLACE FUNCTION tenancy.revoke_sync(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('REVOKE EXECUTE ON FUNCTION tenancy.sync_without_token() FROM %s', revoke_sync.role);
	IF NOT has_function_privilege(revoke_sync.role::oid, 'tenancy.session()', 'EXECUTE') THEN
		PERFORM tenancy.revoke_access(revoke_sync.role);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_sync(regrole) IS 'Takes back what grant_sync() gave.';
