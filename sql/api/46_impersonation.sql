-- A superadmin acts as another user, for an hour at most, with a reason, and both of them in the audit log.

-- act_as() and stop_acting() are C, since they leave a setting behind; what needs rights on the tables is here.
CREATE OR REPLACE FUNCTION tenancy.open_impersonation(as_user uuid, reason text, read_only boolean)
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.require_user();
	new_id uuid;
	until timestamptz := clock_timestamp() + interval '1 hour';
BEGIN
	IF NOT tenancy.is_superadmin() THEN
		PERFORM tenancy.log_denial('act as another user');
		RAISE EXCEPTION 'permission denied to act as another user'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'This is for superadmins, with their own token and as themselves.',
				HINT = 'Ask a superadmin; whoever acts as a user already calls tenancy.stop_acting() first.';
	END IF;
	IF btrim(open_impersonation.reason) = '' THEN
		RAISE EXCEPTION 'reason must not be blank'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why, for the audit log: a ticket''s number will do.';
	END IF;
	IF open_impersonation.as_user = me THEN
		RAISE EXCEPTION 'cannot act as oneself'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass the id of another user.';
	END IF;
	-- Locked, so that the answer is this one and not a foreign key's.
	PERFORM FROM tenancy.users u WHERE u.id = open_impersonation.as_user FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'undefined_object', HINT = 'Pass the user_id that tenancy.session() shows the user, or that tenancy.audit_log names.';
	END IF;

	INSERT INTO tenancy.impersonations AS i (superadmin_id, user_id, reason, read_only, expires_at)
	VALUES (me, open_impersonation.as_user, open_impersonation.reason, open_impersonation.read_only, until)
	RETURNING i.id INTO new_id;
	PERFORM tenancy.record_change('act_as', NULL, open_impersonation.as_user::text, NULL,
		jsonb_build_object('impersonation_id', new_id, 'reason', open_impersonation.reason,
			'read_only', open_impersonation.read_only, 'expires_at', until));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.open_impersonation(uuid, text, boolean) IS 'Internal: what act_as() writes.';

CREATE OR REPLACE FUNCTION tenancy.close_impersonation(impersonation_id uuid)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	as_user uuid;
BEGIN
	UPDATE tenancy.impersonations i SET ended_at = clock_timestamp()
	WHERE i.id = close_impersonation.impersonation_id AND i.superadmin_id = tenancy.acting_superadmin() AND i.ended_at IS NULL
	RETURNING i.user_id INTO as_user;
	IF FOUND THEN
		PERFORM tenancy.record_change('stop_acting', NULL, as_user::text, NULL,
			jsonb_build_object('impersonation_id', close_impersonation.impersonation_id));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.close_impersonation(uuid) IS 'Internal: what stop_acting() writes.';

CREATE OR REPLACE FUNCTION tenancy.act_as(user_id uuid, reason text, read_only boolean DEFAULT true)
RETURNS uuid LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_act_as';
COMMENT ON FUNCTION tenancy.act_as(uuid, text, boolean) IS 'Lets a superadmin see, or do, what a user does, for an hour at most and for as long as the token holds; returns the id of the impersonation.';

CREATE OR REPLACE FUNCTION tenancy.stop_acting()
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_stop_acting';
COMMENT ON FUNCTION tenancy.stop_acting() IS 'Ends the impersonation in force, in every connection that it is in force in.';
