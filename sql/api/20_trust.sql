-- Which issuers may sign tokens, with which keys.

CREATE OR REPLACE FUNCTION tenancy.inspect_jwk(jwk jsonb, OUT key_id text, OUT algorithm text, OUT problem text)
RETURNS record LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_inspect_jwk';
COMMENT ON FUNCTION tenancy.inspect_jwk(jsonb) IS 'The id of a JWK and the algorithm it is bound to, or what is wrong with it.';

CREATE OR REPLACE FUNCTION tenancy.claim_preset(preset text)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN CASE preset
		WHEN 'oidc' THEN
			'{"email": "email", "email_verified": "email_verified", "name": "name", "actor": "act.sub", "auth_time": "auth_time"}'::jsonb
		WHEN 'clerk' THEN
			'{"email": "email", "email_verified": "email_verified", "name": "name", "org": ["o.id", "org_id"],
				"actor": "act.sub", "auth_time": "auth_time", "auth_age": "fva"}'::jsonb
		WHEN 'better-auth' THEN
			'{"email": "email", "email_verified": ["emailVerified", "email_verified"], "name": "name", "org": ["o.id", "activeOrganizationId"],
				"actor": ["act.sub", "impersonatedBy"], "auth_time": "auth_time"}'::jsonb
	END;
END
$$;
COMMENT ON FUNCTION tenancy.claim_preset(text) IS 'Where the claims of a kind of issuer sit, or null for an unknown kind.';

-- The mapping as it is stored: the preset's, with what the caller says in its place.
CREATE OR REPLACE FUNCTION tenancy.expand_claims(claims jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	preset text := coalesce(claims ->> 'preset', 'oidc');
	k text;
	v jsonb;
BEGIN
	IF claims IS NULL OR jsonb_typeof(claims) <> 'object' THEN
		RAISE EXCEPTION 'claims must be a JSON object'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"preset": "clerk"} or {"preset": "oidc", "org": "org_id"}.';
	END IF;
	IF tenancy.claim_preset(preset) IS NULL THEN
		RAISE EXCEPTION 'claims preset "%" does not exist', preset
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Presets are clerk, better-auth and oidc.';
	END IF;
	FOR k, v IN SELECT e.key, e.value FROM jsonb_each(claims) e WHERE e.key <> 'preset' LOOP
		IF k NOT IN ('email', 'email_verified', 'name', 'org', 'actor', 'auth_time', 'auth_age') THEN
			RAISE EXCEPTION 'claims has an unknown member "%"', k
				USING ERRCODE = 'invalid_parameter_value', HINT = 'It maps email, email_verified, name, org, actor, auth_time and auth_age to paths in the token.';
		END IF;
		IF NOT (jsonb_typeof(v) IN ('string', 'null')
			OR (jsonb_typeof(v) = 'array' AND NOT jsonb_path_exists(v, 'strict $[*] ? (@.type() <> "string")'))
			OR (k = 'email_verified' AND jsonb_typeof(v) = 'boolean')) THEN
			RAISE EXCEPTION 'claims maps "%" to something that is no path', k
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'A path is a string such as "o.id"; an array of paths is tried in order; null maps to nothing; email_verified may be true.';
		END IF;
	END LOOP;
	RETURN tenancy.claim_preset(preset) || claims || jsonb_build_object('preset', preset);
END
$$;
COMMENT ON FUNCTION tenancy.expand_claims(jsonb) IS 'Checks a claims mapping and fills it up from its preset.';

-- Makes the issuer's keys those of the JWKS: adds, keeps, and retires the rest.
CREATE OR REPLACE FUNCTION tenancy.replace_keys(for_issuer_id uuid, jwks jsonb, OUT added integer, OUT kept integer, OUT retired integer)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	k record;
	ids text[] := '{}';
BEGIN
	IF jwks IS NULL OR jsonb_typeof(jwks) <> 'object' OR jsonb_typeof(jwks -> 'keys') IS DISTINCT FROM 'array'
		OR jsonb_array_length(jwks -> 'keys') = 0 THEN
		RAISE EXCEPTION 'jwks must be a JSON Web Key Set with at least one key'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A key set is an object with an array "keys" (RFC 7517).',
				HINT = 'Pass what the issuer publishes at its jwks_uri, unchanged.';
	END IF;

	added := 0;
	kept := 0;
	FOR k IN SELECT j.value AS jwk, j.ordinality AS position, i.*
			FROM jsonb_array_elements(jwks -> 'keys') WITH ORDINALITY j, tenancy.inspect_jwk(j.value) i
			ORDER BY j.ordinality LOOP
		IF k.problem IS NOT NULL THEN
			RAISE EXCEPTION 'key % of the key set cannot be used', k.position
				USING ERRCODE = 'invalid_parameter_value',
					DETAIL = coalesce('Key "' || left(k.jwk ->> 'kid', 255) || '": ', '') || k.problem || '.',
					HINT = 'Take this key out of the set, or ask the issuer for a proper one.';
		END IF;
		IF coalesce(k.key_id, '') = ANY (ids) THEN
			RAISE EXCEPTION 'two keys of the key set have the same id'
				USING ERRCODE = 'invalid_parameter_value',
					DETAIL = format('Key %s repeats %s.', k.position, coalesce('"kid": "' || k.key_id || '"', 'a key without "kid"')),
					HINT = 'Give every key an id of its own.';
		END IF;
		ids := ids || coalesce(k.key_id, '');

		IF EXISTS (SELECT FROM tenancy.signing_keys s
				WHERE s.issuer_id = for_issuer_id AND s.key_id IS NOT DISTINCT FROM k.key_id AND s.jwk = k.jwk) THEN
			kept := kept + 1;
		ELSE
			INSERT INTO tenancy.signing_keys AS s (issuer_id, key_id, algorithm, jwk)
			VALUES (for_issuer_id, k.key_id, k.algorithm, k.jwk)
			ON CONFLICT (issuer_id, key_id) DO UPDATE SET algorithm = excluded.algorithm, jwk = excluded.jwk, added_at = now();
			added := added + 1;
		END IF;
	END LOOP;

	DELETE FROM tenancy.signing_keys s WHERE s.issuer_id = for_issuer_id AND coalesce(s.key_id, '') <> ALL (ids);
	GET DIAGNOSTICS retired = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION tenancy.replace_keys(uuid, jsonb) IS 'Makes an issuer''s keys those of a key set.';

-- For the audit log: keys by their ids. An HMAC key is a secret, and no trace of it belongs there.
CREATE OR REPLACE FUNCTION tenancy.issuer_values(for_issuer text)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT jsonb_build_object('trusted', i.trusted, 'audiences', i.audiences, 'authorized_parties', i.authorized_parties, 'claims', i.claims,
		'keys', (SELECT coalesce(jsonb_agg(jsonb_build_object('kid', k.key_id, 'alg', k.algorithm) ORDER BY k.key_id), '[]') FROM tenancy.signing_keys k WHERE k.issuer_id = i.id))
	FROM tenancy.issuers i WHERE i.issuer = for_issuer
$$;
COMMENT ON FUNCTION tenancy.issuer_values(text) IS 'Internal: what the audit log tells of an issuer.';

CREATE OR REPLACE FUNCTION tenancy.trust_issuer(issuer text, jwks jsonb, audiences text[] DEFAULT NULL,
	authorized_parties text[] DEFAULT NULL, claims jsonb DEFAULT '{"preset": "oidc"}')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	trusted_id uuid;
	mapping jsonb;
	before jsonb;
	after jsonb;
	changed_keys integer;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('trust an issuer');
	actor := tenancy.audit_actor();
	IF coalesce(trust_issuer.issuer, '') = '' OR octet_length(trust_issuer.issuer) > 2048 THEN
		RAISE EXCEPTION 'issuer must be a text of 1 to 2048 bytes'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass exactly what the issuer''s tokens say in "iss".';
	END IF;
	IF EXISTS (SELECT FROM (VALUES (trust_issuer.audiences), (trust_issuer.authorized_parties)) l (list)
			WHERE cardinality(l.list) = 0 OR array_ndims(l.list) > 1 OR EXISTS (SELECT FROM unnest(l.list) u (item) WHERE u.item IS NULL)) THEN
		RAISE EXCEPTION 'audiences and authorized_parties must be null or list at least one, none of them null'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass an array of one dimension, such as ''{https://app.example.com}''. Null accepts any; an empty list would accept no token at all.';
	END IF;
	mapping := tenancy.expand_claims(trust_issuer.claims);

	PERFORM FROM tenancy.issuers i WHERE i.issuer = trust_issuer.issuer FOR UPDATE;
	before := tenancy.issuer_values(trust_issuer.issuer);
	INSERT INTO tenancy.issuers AS i (issuer, audiences, authorized_parties, claims)
	VALUES (trust_issuer.issuer, trust_issuer.audiences, trust_issuer.authorized_parties, mapping)
	ON CONFLICT (issuer) DO UPDATE SET trusted = true, audiences = excluded.audiences,
		authorized_parties = excluded.authorized_parties, claims = excluded.claims
	RETURNING i.id INTO trusted_id;
	SELECT r.added + r.retired INTO changed_keys FROM tenancy.replace_keys(trusted_id, trust_issuer.jwks) r;
	after := tenancy.issuer_values(trust_issuer.issuer);
	IF after IS DISTINCT FROM before OR changed_keys > 0 THEN
		PERFORM tenancy.record_change_by(actor, 'trust_issuer', NULL, trust_issuer.issuer, before, after);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.trust_issuer(text, jsonb, text[], text[], jsonb) IS 'Accepts tokens of an issuer that are signed with these keys; calling it again replaces rules and keys.';

-- The row lock makes two simultaneous rotations follow each other.
CREATE OR REPLACE FUNCTION tenancy.import_jwks(issuer text, jwks jsonb, OUT added integer, OUT kept integer, OUT retired integer)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	trusted_id uuid;
	before jsonb;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('import signing keys');
	actor := tenancy.audit_actor();
	SELECT i.id INTO trusted_id FROM tenancy.issuers i WHERE i.issuer = import_jwks.issuer AND i.trusted FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" is not trusted', import_jwks.issuer
			USING ERRCODE = 'undefined_object', HINT = 'Call tenancy.trust_issuer(issuer, jwks) first.';
	END IF;
	before := tenancy.issuer_values(import_jwks.issuer) -> 'keys';
	SELECT r.added, r.kept, r.retired INTO added, kept, retired FROM tenancy.replace_keys(trusted_id, jwks) r;
	IF added + retired > 0 THEN
		PERFORM tenancy.record_change_by(actor, 'import_jwks', NULL, import_jwks.issuer, jsonb_build_object('keys', before),
			jsonb_build_object('keys', tenancy.issuer_values(import_jwks.issuer) -> 'keys', 'added', added, 'kept', kept, 'retired', retired));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.import_jwks(text, jsonb) IS 'Rotates an issuer''s keys: adds what is new, keeps what is the same, retires what the key set no longer has.';

CREATE OR REPLACE FUNCTION tenancy.distrust_issuer(issuer text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	distrusted_id uuid;
	before jsonb;
	after jsonb;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('distrust an issuer');
	actor := tenancy.audit_actor();
	PERFORM FROM tenancy.issuers i WHERE i.issuer = distrust_issuer.issuer FOR UPDATE;
	before := tenancy.issuer_values(distrust_issuer.issuer);
	UPDATE tenancy.issuers i SET trusted = false WHERE i.issuer = distrust_issuer.issuer RETURNING i.id INTO distrusted_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" does not exist', distrust_issuer.issuer
			USING ERRCODE = 'undefined_object', HINT = 'tenancy.issuers lists them.';
	END IF;
	DELETE FROM tenancy.signing_keys k WHERE k.issuer_id = distrusted_id;
	after := tenancy.issuer_values(distrust_issuer.issuer);
	IF after <> before THEN
		PERFORM tenancy.record_change_by(actor, 'distrust_issuer', NULL, distrust_issuer.issuer, before, after);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.distrust_issuer(text) IS 'Refuses all tokens of an issuer from now on, and forgets its keys. Its users stay.';
