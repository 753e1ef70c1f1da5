-- Step-up authentication (RFC 9470): a permission may need the user to have authenticated lately, whatever role grants it.

CREATE OR REPLACE FUNCTION tenancy.authenticated_within(max_age interval)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_authenticated_within';
COMMENT ON FUNCTION tenancy.authenticated_within(interval) IS 'Internal: true if the token says that the user authenticated so lately.';

CREATE OR REPLACE FUNCTION tenancy.require_fresh_authentication(action text, resource_type text, max_age interval)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	before interval;
BEGIN
	PERFORM tenancy.assert_administrator('require a fresh authentication');
	PERFORM tenancy.assert_action(require_fresh_authentication.action, require_fresh_authentication.resource_type);
	-- Tokens tell the time in seconds: less would be no time at all.
	IF require_fresh_authentication.max_age < interval '1 second' OR require_fresh_authentication.max_age > interval '1 year' THEN
		RAISE EXCEPTION 'invalid age of an authentication'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Pass an interval from a second to a year, such as ''10 minutes'', or null to require none.';
	END IF;

	SELECT f.max_age INTO before FROM tenancy.fresh_authentications f
	WHERE f.resource_type = require_fresh_authentication.resource_type AND f.action = require_fresh_authentication.action FOR UPDATE;
	IF before IS NOT DISTINCT FROM require_fresh_authentication.max_age THEN
		RETURN;
	ELSIF require_fresh_authentication.max_age IS NULL THEN
		DELETE FROM tenancy.fresh_authentications f
		WHERE f.resource_type = require_fresh_authentication.resource_type AND f.action = require_fresh_authentication.action;
	ELSE
		INSERT INTO tenancy.fresh_authentications AS f (resource_type, action, max_age)
		VALUES (require_fresh_authentication.resource_type, require_fresh_authentication.action, require_fresh_authentication.max_age)
		ON CONFLICT ON CONSTRAINT fresh_authentications_pkey DO UPDATE SET max_age = excluded.max_age;
	END IF;
	PERFORM tenancy.record_change('require_fresh_authentication', NULL,
		format('%s %s', require_fresh_authentication.action, require_fresh_authentication.resource_type),
		jsonb_build_object('max_age', before), jsonb_build_object('max_age', require_fresh_authentication.max_age));
END
$$;
COMMENT ON FUNCTION tenancy.require_fresh_authentication(text, text, interval) IS 'Lets a permission hold only for so long after the user authenticated, in every org at once; null ends that.';
