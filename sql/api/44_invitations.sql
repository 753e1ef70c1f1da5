-- How a second person gets into an org.
--
-- Who accepts holds the own user, locks the org's row (FOR SHARE, so that several may at once) and then the invitation's; who
-- invites or revokes locks the org by authorize_change(). Hence of accepting and revoking or inviting again, one comes first and
-- the other sees what it did; and nobody deadlocks.

CREATE OR REPLACE FUNCTION tenancy.hash_secret(secret text)
RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT sha256(convert_to(secret, 'UTF8'))
$$;
COMMENT ON FUNCTION tenancy.hash_secret(text) IS 'Internal: what is stored of an invitation''s secret.';

-- The caller has locked the org, or just made it. A plain hash will do: nobody guesses 244 random bits. src/redaction.c
-- knows the secret by its shape.
CREATE OR REPLACE FUNCTION tenancy.write_invitation(for_org uuid, email text, role_id uuid, valid_for interval, any_email boolean,
	OUT invitation_id uuid, OUT invite_token text, OUT expires_at timestamptz, OUT replaced_id uuid)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.assert_not_null(write_invitation.email, 'email', 'Pass an address such as ''name@example.com''.');
	PERFORM tenancy.assert_not_null(write_invitation.valid_for::text, 'valid_for', 'Pass an interval from a second to a year, such as ''7 days''.');
	IF write_invitation.email COLLATE "C" !~ '^[^@\s]+@[^@\s]+$'
		OR octet_length(write_invitation.email) > 320 THEN
		RAISE EXCEPTION 'invalid email address'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'An address is at most 320 bytes, without spaces, with one @.',
				HINT = 'Pass an address such as ''name@example.com''.';
	END IF;
	IF write_invitation.valid_for NOT BETWEEN interval '1 second' AND interval '1 year' THEN
		RAISE EXCEPTION 'invalid time for which the invitation is valid'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass an interval from a second to a year, such as ''7 days''.';
	END IF;
	PERFORM tenancy.assert_not_null(write_invitation.any_email::text, 'any_email', 'Pass false to bind the invitation to the address.');

	UPDATE tenancy.invitations i SET revoked_at = now()
	WHERE i.org_id = for_org AND lower(i.email) = lower(write_invitation.email COLLATE "C")
		AND i.accepted_at IS NULL AND i.revoked_at IS NULL
	RETURNING i.id INTO replaced_id;
	invite_token := 'inv_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
	expires_at := clock_timestamp() + write_invitation.valid_for;
	INSERT INTO tenancy.invitations AS i (org_id, email, role_id, token_hash, invited_by, expires_at, any_email)
	VALUES (for_org, write_invitation.email, write_invitation.role_id, tenancy.hash_secret(invite_token),
		tenancy.current_user_id(), write_invitation.expires_at, write_invitation.any_email)
	RETURNING i.id INTO invitation_id;
END
$$;
COMMENT ON FUNCTION tenancy.write_invitation(uuid, text, uuid, interval, boolean) IS 'Internal: writes an invitation in the place of an earlier one for the same address.';

CREATE OR REPLACE FUNCTION tenancy.invite(email text, role text DEFAULT 'member', valid_for interval DEFAULT '7 days', any_email boolean DEFAULT false,
	OUT invitation_id uuid, OUT invite_token text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('create', 'invitation', 'invite somebody');
	with_role uuid := tenancy.role_of_org(invite.role, in_org);
	written record;
BEGIN
	PERFORM tenancy.assert_may_give(with_role);
	-- The address alone does not say that it is the same account: any_email invites another one that has it.
	IF NOT invite.any_email AND EXISTS (SELECT FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id
			WHERE m.org_id = in_org AND u.status = 'active' AND u.email_verified AND lower(u.email) = lower(invite.email COLLATE "C")) THEN
		RAISE EXCEPTION 'this person is a member already'
			USING ERRCODE = 'unique_violation', DETAIL = 'A member of the org has this verified email address.',
				HINT = 'Change the member''s roles with tenancy.set_member_roles(), or pass any_email => true to invite another account with that address.';
	END IF;
	-- To replace an invitation takes away the role it was to give. One that has expired gives none.
	PERFORM tenancy.assert_may_give(i.role_id) FROM tenancy.invitations i
	WHERE i.org_id = in_org AND lower(i.email) = lower(invite.email COLLATE "C")
		AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp();
	SELECT * INTO written FROM tenancy.write_invitation(in_org, invite.email, with_role, invite.valid_for, invite.any_email);
	invitation_id := written.invitation_id;
	invite_token := written.invite_token;
	PERFORM tenancy.record_change('invite', in_org, invite.email,
		CASE WHEN written.replaced_id IS NOT NULL THEN jsonb_build_object('invitation_id', written.replaced_id) END,
		jsonb_build_object('invitation_id', invitation_id, 'role', invite.role, 'any_email', invite.any_email, 'expires_at', written.expires_at));
END
$$;
COMMENT ON FUNCTION tenancy.invite(text, text, interval, boolean) IS 'Invites an address to the current org; the secret is shown this once. Inviting again replaces the earlier invitation.';

-- Whatever is wrong with it, the answer is the same: a made-up secret tells nothing.
CREATE OR REPLACE FUNCTION tenancy.raise_unusable_invitation()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'invitation cannot be used'
		USING ERRCODE = 'TN007',
			DETAIL = 'It does not exist, was used, was revoked or has expired, its org is closed, or it is for another verified email address.',
			HINT = 'Sign in with the address that was invited and verify it, or ask for a new invitation.';
END
$$;
COMMENT ON FUNCTION tenancy.raise_unusable_invitation() IS 'Internal: raises the one error there is about an invitation.';

-- By the secret, or by the id if it is one's own.
CREATE OR REPLACE FUNCTION tenancy.find_invitation(invite_token text, OUT invitation_id uuid, OUT org_id uuid)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF invite_token ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
		SELECT i.id, i.org_id INTO invitation_id, org_id FROM tenancy.invitations i
		WHERE i.id = find_invitation.invite_token::uuid AND lower(i.email) = lower(tenancy.verified_email() COLLATE "C");
	ELSE
		SELECT i.id, i.org_id INTO invitation_id, org_id FROM tenancy.invitations i
		WHERE i.token_hash = tenancy.hash_secret(find_invitation.invite_token);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.find_invitation(text) IS 'Internal: the invitation that a secret or an own invitation''s id names, in whatever state; nulls if there is none.';

CREATE OR REPLACE FUNCTION tenancy.accept_invitation(invite_token text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.provision_identity('accept_invitation');
	named record;
	i tenancy.invitations;
BEGIN
	PERFORM tenancy.hold_me();
	PERFORM tenancy.assert_not_null(accept_invitation.invite_token, 'invite_token', 'Pass the secret that invite() returned, or an id of tenancy.my_invitations().');
	SELECT * INTO named FROM tenancy.find_invitation(accept_invitation.invite_token);
	PERFORM FROM tenancy.organizations o WHERE o.id = named.org_id AND o.status = 'active' FOR SHARE;
	IF NOT FOUND THEN
		PERFORM tenancy.raise_unusable_invitation();
	END IF;
	SELECT * INTO i FROM tenancy.invitations v WHERE v.id = named.invitation_id FOR UPDATE;
	-- Who is in by it already has clicked twice, lost the answer, or came by way of provision_user().
	IF i.accepted_by = me AND EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id = me AND m.org_id = i.org_id) THEN
		RETURN i.org_id;
	END IF;
	-- The clock is looked at once the lock is held: waiting for it may have taken longer than the invitation was valid.
	IF NOT FOUND OR i.accepted_at IS NOT NULL OR i.revoked_at IS NOT NULL OR i.expires_at <= clock_timestamp()
		OR NOT (i.any_email OR coalesce(lower(i.email) = lower(tenancy.verified_email() COLLATE "C"), false)) THEN
		PERFORM tenancy.raise_unusable_invitation();
	END IF;

	UPDATE tenancy.invitations v SET accepted_at = now(), accepted_by = me WHERE v.id = i.id;
	INSERT INTO tenancy.memberships (user_id, org_id) VALUES (me, i.org_id) ON CONFLICT DO NOTHING;
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) VALUES (me, i.org_id, i.role_id) ON CONFLICT DO NOTHING;
	PERFORM tenancy.record_change('accept_invitation', i.org_id, me::text, NULL,
		jsonb_build_object('invitation_id', i.id, 'role', (SELECT r.name FROM tenancy.roles r WHERE r.id = i.role_id)));
	RETURN i.org_id;
END
$$;
COMMENT ON FUNCTION tenancy.accept_invitation(text) IS 'Joins the org that an invitation is for, by its secret, or by the id that my_invitations() shows; returns the org.';

CREATE OR REPLACE FUNCTION tenancy.revoke_invitation(invitation_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('delete', 'invitation', 'revoke an invitation');
	invited text;
BEGIN
	PERFORM tenancy.assert_not_null(revoke_invitation.invitation_id::text, 'invitation', 'tenancy.list_invitations() shows those of the current org.');
	UPDATE tenancy.invitations i SET revoked_at = now()
	WHERE i.id = revoke_invitation.invitation_id AND i.org_id = in_org AND i.accepted_at IS NULL AND i.revoked_at IS NULL
	RETURNING i.email INTO invited;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such pending invitation'
			USING ERRCODE = 'undefined_object', DETAIL = 'It is not of this org, or was used or revoked before.',
				HINT = 'tenancy.list_invitations() shows those of the current org.';
	END IF;
	PERFORM tenancy.record_change('revoke_invitation', in_org, invited, jsonb_build_object('invitation_id', revoke_invitation.invitation_id));
END
$$;
COMMENT ON FUNCTION tenancy.revoke_invitation(uuid) IS 'Takes a pending invitation of the current org back.';

CREATE OR REPLACE FUNCTION tenancy.list_invitations(OUT invitation_id uuid, OUT email text, OUT role text, OUT status text,
	OUT invited_by uuid, OUT created_at timestamptz, OUT expires_at timestamptz)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	in_org uuid := tenancy.authorize('read', 'invitation', 'list invitations');
BEGIN
	RETURN QUERY SELECT i.id, i.email::text, r.name::text,
		CASE WHEN i.accepted_at IS NOT NULL THEN 'accepted' WHEN i.revoked_at < i.expires_at THEN 'revoked'
			WHEN i.expires_at <= clock_timestamp() THEN 'expired' ELSE 'pending' END,
		i.invited_by, i.created_at, i.expires_at
	FROM tenancy.invitations i JOIN tenancy.roles r ON r.id = i.role_id
	WHERE i.org_id = in_org ORDER BY i.created_at DESC, i.id;
END
$$;
COMMENT ON FUNCTION tenancy.list_invitations() IS 'The invitations of the current org, newest first.';

-- Also before provisioning, so that an application can ask "join Acme, or an org of your own?" first.
CREATE OR REPLACE FUNCTION tenancy.my_invitations(OUT invitation_id uuid, OUT org_slug text, OUT org_name text, OUT role text, OUT expires_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT i.id, o.slug::text, o.name, r.name::text, i.expires_at
	FROM tenancy.invitations i JOIN tenancy.organizations o ON o.id = i.org_id JOIN tenancy.roles r ON r.id = i.role_id
	WHERE lower(i.email) = lower(tenancy.verified_email() COLLATE "C")
		AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp() AND o.status = 'active'
		AND (SELECT s.status FROM tenancy.session() s) <> 'disabled'
	ORDER BY i.created_at DESC, i.id
$$;
COMMENT ON FUNCTION tenancy.my_invitations() IS 'The pending invitations for the token''s verified email address.';
