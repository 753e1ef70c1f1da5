-- What every other test builds on: the extension, an application's role, issuers with real keys, and mint_token().
-- The keys are made for each run by test/tools/mint, whose path is in the environment (MINT).
\set ON_ERROR_STOP on
\getenv mint MINT
SET client_min_messages = warning;

CREATE EXTENSION tenancy;

-- The application: a login role that is no superuser, owns nothing and has no BYPASSRLS.
SELECT format('DROP ROLE IF EXISTS %I', r) FROM unnest('{regress_tenancy_app,regress_tenancy_stranger}'::text[]) r \gexec
CREATE ROLE regress_tenancy_app LOGIN;
SELECT tenancy.grant_access('regress_tenancy_app');
-- A role without any access.
CREATE ROLE regress_tenancy_stranger LOGIN;

CREATE SCHEMA minting;
CREATE TABLE minting.keys (name text PRIMARY KEY, algorithm text, key_id text, issuer text, file text, jwk jsonb);

-- One line of a program's output.
CREATE FUNCTION minting.run(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	CREATE TEMPORARY TABLE IF NOT EXISTS minting_output (line text);
	TRUNCATE pg_temp.minting_output;
	EXECUTE format('COPY pg_temp.minting_output FROM PROGRAM %L', command);
	SELECT string_agg(o.line, '') INTO line FROM pg_temp.minting_output o;
	RETURN line;
END
$$;

-- A private key of that name, kept in the data directory; issuer and key_id go into the tokens it signs.
CREATE FUNCTION minting.make_key(name text, algorithm text, key_id text, issuer text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	mint text := (SELECT s.value FROM minting.settings s WHERE s.name = 'mint');
	file text := format('%s/minting_%s_%s', current_setting('data_directory'), current_database(), name);
BEGIN
	PERFORM minting.run(format('umask 077; %s key %s > %s', mint, algorithm, file));
	INSERT INTO minting.keys VALUES (name, split_part(replace(algorithm, 'RSA:1024', 'RS256'), ':', 1), key_id, issuer, file,
		minting.run(format('%s jwk %s --alg %s %s', mint, file, split_part(replace(algorithm, 'RSA:1024', 'RS256'), ':', 1),
			CASE WHEN key_id IS NOT NULL THEN '--kid ' || key_id ELSE '' END))::jsonb);
END
$$;
CREATE TABLE minting.settings (name text PRIMARY KEY, value text);
INSERT INTO minting.settings VALUES ('mint', :'mint');

-- {"keys": […]} of some keys.
CREATE FUNCTION minting.jwks(VARIADIC names text[]) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('keys', jsonb_agg(k.jwk ORDER BY n.i)) FROM unnest(names) WITH ORDINALITY n (name, i) JOIN minting.keys k USING (name)
$$;

-- A token that holds for an hour, unless claims say otherwise; a claim or header member of JSON null is left out.
-- SECURITY DEFINER, so that tests may call it as the application; a real application gets its tokens from an issuer.
CREATE FUNCTION minting.token(key text, claims jsonb DEFAULT '{}', header jsonb DEFAULT '{}', raw_claims text DEFAULT NULL, options text DEFAULT '')
RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	k minting.keys;
	clock bigint := extract(epoch FROM clock_timestamp())::bigint;
BEGIN
	SELECT * INTO STRICT k FROM minting.keys WHERE name = key;
	RETURN minting.run(format('%s token %s --header %L --claims %L %s',
		(SELECT s.value FROM minting.settings s WHERE s.name = 'mint'), k.file,
		jsonb_strip_nulls(jsonb_build_object('alg', k.algorithm, 'kid', k.key_id) || header),
		coalesce(raw_claims, jsonb_strip_nulls(jsonb_build_object('iss', k.issuer, 'iat', clock, 'exp', clock + 3600) || claims)::text),
		options));
END
$$;
GRANT USAGE ON SCHEMA minting TO PUBLIC;

-- Two issuers as in real life: Clerk with RS256, Better Auth with EdDSA.
SELECT minting.make_key('clerk', 'RS256', 'clerk-1', 'https://clerk.test');
SELECT minting.make_key('better_auth', 'EdDSA', 'ba-1', 'https://app.test');
SELECT tenancy.trust_issuer('https://clerk.test', minting.jwks('clerk'), claims => '{"preset": "clerk"}');
SELECT tenancy.trust_issuer('https://app.test', minting.jwks('better_auth'), '{https://app.test}', claims => '{"preset": "better-auth"}');
