-- What every other test builds on: the extension, an application's role, issuers with real keys, and mint_token().
-- The keys are made for each run by test/tools/mint, whose path is in the environment (MINT).
\set ON_ERROR_STOP on
\getenv mint MINT
SET client_min_messages = warning;

CREATE EXTENSION tenancy;

-- The application: a login role that is no superuser, owns nothing and has no BYPASSRLS.
-- A role without any access: regress_tenancy_stranger. Roles are the cluster's, so another database's run may have made them.
SELECT format('CREATE ROLE %I LOGIN', r) FROM unnest('{regress_tenancy_app,regress_tenancy_stranger}'::text[]) r
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) ORDER BY r \gexec
SELECT tenancy.grant_access('regress_tenancy_app');

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

-- A text as one word of the shell's, whatever is in it.
CREATE FUNCTION minting.quoted(word text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '''' || replace(word, '''', '''\''''') || '''' $$;

-- A token that holds for an hour, unless claims say otherwise; a claim or header member of JSON null is left out.
-- SECURITY DEFINER, so that tests may call it as the application; a real application gets its tokens from an issuer.
CREATE FUNCTION minting.token(key text, claims jsonb DEFAULT '{}', header jsonb DEFAULT '{}', raw_claims text DEFAULT NULL, options text DEFAULT '')
RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	k minting.keys;
	-- What tokens are compared with, however long the statement takes.
	clock bigint := floor(extract(epoch FROM statement_timestamp()));
BEGIN
	SELECT * INTO STRICT k FROM minting.keys WHERE name = key;
	RETURN minting.run(format('%s token %s --header %s --claims %s %s',
		(SELECT s.value FROM minting.settings s WHERE s.name = 'mint'), k.file,
		minting.quoted(jsonb_strip_nulls(jsonb_build_object('alg', k.algorithm, 'kid', k.key_id) || header)::text),
		minting.quoted(coalesce(raw_claims, jsonb_strip_nulls(jsonb_build_object('iss', k.issuer, 'iat', clock, 'exp', clock + 3600) || claims)::text)),
		options));
END
$$;
GRANT USAGE ON SCHEMA minting TO PUBLIC;

-- The error that a statement ends with: its SQLSTATE and message, its detail and its hint.
CREATE FUNCTION minting.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
END
$$;

-- The same, in one line, and whatever it has changed is undone.
CREATE FUNCTION minting.refusal_undone(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	BEGIN
		result := split_part(minting.refusal(statement), E'\n', 1);
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
	END;
	RETURN result;
END
$$;

-- Two issuers as in real life: Clerk with RS256, Better Auth with EdDSA.
SELECT minting.make_key('clerk', 'RS256', 'clerk-1', 'https://clerk.test');
SELECT minting.make_key('better_auth', 'EdDSA', 'ba-1', 'https://app.test');
SELECT tenancy.trust_issuer('https://clerk.test', minting.jwks('clerk'), claims => '{"preset": "clerk"}');
SELECT tenancy.trust_issuer('https://app.test', minting.jwks('better_auth'), '{https://app.test}', claims => '{"preset": "better-auth"}');

-- A member of an org, whatever of it exists already: a user known to the issuer by that subject, the org of that slug, a built-in role.
CREATE FUNCTION minting.enrol(subject text, slug text, role text DEFAULT 'member', issuer text DEFAULT 'https://clerk.test')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	user_id uuid := (SELECT d.user_id FROM tenancy.identities d JOIN tenancy.issuers i ON i.id = d.issuer_id
		WHERE d.subject = enrol.subject AND i.issuer = enrol.issuer);
BEGIN
	IF user_id IS NULL THEN
		INSERT INTO tenancy.users (name) VALUES (subject) RETURNING id INTO user_id;
		INSERT INTO tenancy.identities SELECT i.id, subject, user_id FROM tenancy.issuers i WHERE i.issuer = enrol.issuer;
	END IF;
	INSERT INTO tenancy.organizations (slug, name) VALUES (enrol.slug, initcap(enrol.slug)) ON CONFLICT DO NOTHING;
	INSERT INTO tenancy.memberships SELECT user_id, o.id FROM tenancy.organizations o WHERE o.slug = enrol.slug ON CONFLICT DO NOTHING;
	INSERT INTO tenancy.membership_roles SELECT user_id, o.id, r.id FROM tenancy.organizations o, tenancy.roles r
	WHERE o.slug = enrol.slug AND r.org_id IS NULL AND r.name = enrol.role ON CONFLICT DO NOTHING;
END
$$;

-- The user known to Clerk by that subject.
CREATE FUNCTION minting.user_id(subject text) RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT d.user_id FROM tenancy.identities d JOIN tenancy.issuers i ON i.id = d.issuer_id
	WHERE d.subject = user_id.subject AND i.issuer = 'https://clerk.test'
$$;

-- For stories: one call that an application makes, counted under the story's name. Returns its rows as text.
CREATE TABLE minting.calls (number int GENERATED ALWAYS AS IDENTITY, story text, function text);
GRANT SELECT, INSERT ON minting.calls TO PUBLIC;
CREATE FUNCTION minting.call(story text, statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO minting.calls (story, function) VALUES (story, substring(statement FROM 'tenancy\.(\w+)'));
	RETURN QUERY EXECUTE format('SELECT r::text FROM (%s) r', statement);
END
$$;
-- The calls of a story in their order, and whether they are few enough for a customer to be in within minutes.
CREATE FUNCTION minting.told(story text, OUT calls bigint, OUT at_most_five boolean, OUT functions text) LANGUAGE sql STABLE AS $$
	SELECT count(*), count(*) BETWEEN 1 AND 5, string_agg(c.function, ', ' ORDER BY c.number) FROM minting.calls c WHERE c.story = told.story
$$;
