-- Which issuers and keys are trusted: trust_issuer(), import_jwks(), distrust_issuer(). Who may call them, what each
-- refuses and why, that a refusal changes nothing, and that a key that is retired is refused at once by other connections.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA trust;
GRANT USAGE ON SCHEMA trust TO PUBLIC;

-- An issuer as it is stored, but for the key material.
CREATE FUNCTION trust.issuer(name text, OUT trusted boolean, OUT audiences text[], OUT parties text[], OUT claims jsonb, OUT keys text)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER AS $$
	SELECT i.trusted, i.audiences, i.authorized_parties, i.claims, (SELECT string_agg(coalesce(k.key_id, '(none)') || ' ' || k.algorithm, ', ' ORDER BY k.key_id) FROM tenancy.signing_keys k WHERE k.issuer_id = i.id)
	FROM tenancy.issuers i WHERE i.issuer = name
$$;
-- All of both tables: what a refusal must leave as it is.
CREATE FUNCTION trust.state() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT md5(concat((SELECT string_agg(i::text || i.xmin::text, ';' ORDER BY id) FROM tenancy.issuers i), (SELECT string_agg(k::text || k.xmin::text, ';' ORDER BY id) FROM tenancy.signing_keys k)))
$$;
-- What the application gets for a token.
CREATE FUNCTION trust.verdict(token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	PERFORM tenancy.current_org();
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;

SELECT minting.make_key('trust_a', 'ES256', 'a', 'https://trust.test'), minting.make_key('trust_b', 'EdDSA', 'b', 'https://trust.test'), minting.make_key('trust_a2', 'ES256', 'a', 'https://trust.test'),
	minting.make_key('trust_none', 'ES256', NULL, 'https://trust.test'), minting.make_key('trust_none2', 'ES256', NULL, 'https://trust.test'),
	minting.make_key('trust_rsa', 'RS256', 'rsa', 'https://trust.test'), minting.make_key('trust_hs', 'HS256', 'hs', 'https://trust.test') \g /dev/null
SELECT minting.enrol('trust-admin', 'trust-acme', 'admin'), minting.enrol('trust-super', 'trust-acme', 'viewer'), minting.enrol('trust-fallen', 'trust-acme') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('trust-super')), (minting.user_id('trust-fallen'));
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'trust-fallen';
CREATE FUNCTION trust.jwks() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT minting.jwks('trust_a')::text $$;

\echo == who may call
-- Each of the three, for each kind of caller; what a permitted one does is undone.
CREATE FUNCTION trust.calls(token text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	call text;
BEGIN
	FOREACH call IN ARRAY ARRAY[format('tenancy.trust_issuer(''https://trust.test'', %L)', trust.jwks()), format('tenancy.import_jwks(''https://clerk.test'', %L)', trust.jwks()), 'tenancy.distrust_issuer(''https://clerk.test'')'] LOOP
		BEGIN
			PERFORM set_config('tenancy.session_token', token, true);
			EXECUTE 'SELECT ' || call;
			RAISE EXCEPTION 'permitted' USING ERRCODE = 'UNDO0';
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT split_part(call, '(', 1) || ' ' || sqlstate || ' ' || sqlerrm;
		END;
	END LOOP;
END
$$;
SELECT minting.token('clerk', '{"sub": "trust-admin"}') AS admin, minting.token('clerk', '{"sub": "trust-super"}') AS super, minting.token('clerk', '{"sub": "trust-fallen"}') AS fallen,
	minting.token('clerk', '{"sub": "trust-unknown"}') AS unknown, minting.token('clerk', '{"sub": "trust-super", "exp": 1}') AS expired \gset
SELECT trust.state() AS before \gset
-- The DBA, without a token; with one, it is the token that counts.
SELECT trust.calls('');
SELECT trust.calls(:'super');
SELECT trust.calls(:'admin');
SELECT trust.calls(:'expired');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT trust.calls('');
SELECT trust.calls(:'admin');
SELECT trust.calls(:'super');
SELECT trust.calls(:'fallen');
SELECT trust.calls(:'unknown');
SELECT trust.calls(:'expired');
SELECT minting.refusal('SELECT tenancy.trust_issuer(''x'', ''{}'')');
\c - regress_tenancy_stranger
SET client_min_messages = warning;
SELECT trust.calls('');
SELECT trust.calls(:'super');
\c - :dba
SET client_min_messages = warning;
SELECT trust.state() = :'before' AS nothing_changed;
-- The role in force is what counts: SET ROLE gives up what the DBA may do.
SET ROLE regress_tenancy_app;
SELECT trust.calls('');
RESET ROLE;

\echo == trusting, and again
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_a'));
SELECT * FROM trust.issuer('https://trust.test');
SELECT id AS issuer_id FROM tenancy.issuers WHERE issuer = 'https://trust.test' \gset
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_b', 'trust_rsa', 'trust_none', 'trust_hs'), '{api,web}', '{https://app.test}', '{"preset": "clerk"}');
SELECT * FROM trust.issuer('https://trust.test');
-- Called without them, the rules are gone.
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_a', 'trust_b'));
SELECT * FROM trust.issuer('https://trust.test');
SELECT id = :'issuer_id' AS same_row FROM tenancy.issuers WHERE issuer = 'https://trust.test';
-- An issuer is what its tokens say, to the byte.
SELECT tenancy.trust_issuer('https://trust.test/', minting.jwks('trust_b'));
SELECT issuer FROM tenancy.issuers WHERE issuer ILIKE 'https://trust.test%' ORDER BY 1;
-- Distrusted, and trusted again: the same row, as identities refer to it.
SELECT tenancy.distrust_issuer('https://trust.test/');
SELECT * FROM trust.issuer('https://trust.test/');
SELECT tenancy.distrust_issuer('https://trust.test/');
SELECT minting.refusal(format('SELECT tenancy.import_jwks(''https://trust.test/'', %L)', trust.jwks()));
SELECT tenancy.trust_issuer('https://trust.test/', minting.jwks('trust_a'));
SELECT * FROM trust.issuer('https://trust.test/');
SELECT minting.refusal('SELECT tenancy.distrust_issuer(''https://nobody.test'')'), minting.refusal('SELECT tenancy.distrust_issuer(NULL)');
SELECT minting.refusal(format('SELECT tenancy.import_jwks(''https://nobody.test'', %L)', trust.jwks())), minting.refusal(format('SELECT tenancy.import_jwks(NULL, %L)', trust.jwks()));

\echo == arguments
SELECT trust.state() AS before \gset
SELECT n, minting.refusal(format('SELECT tenancy.trust_issuer(%L, %L, %L, %L, %L)', issuer, trust.jwks(), aud, azp, claims)) FROM (VALUES
	(1, NULL, NULL, NULL, '{}'), (2, '', NULL, NULL, '{}'), (3, repeat('x', 2049), NULL, NULL, '{}'),
	(4, 'https://trust.test', '{}', NULL, '{}'), (5, 'https://trust.test', '{a,NULL}', NULL, '{}'), (6, 'https://trust.test', NULL, '{}', '{}'), (7, 'https://trust.test', NULL, '{NULL}', '{}'), (70, 'https://trust.test', NULL, '{{a,NULL}}', '{}'), (71, 'https://trust.test', '{{a,b}}', NULL, '{}'),
	(8, 'https://trust.test', NULL, NULL, NULL), (9, 'https://trust.test', NULL, NULL, '[]'), (10, 'https://trust.test', NULL, NULL, '"clerk"'), (11, 'https://trust.test', NULL, NULL, 'null'),
	(12, 'https://trust.test', NULL, NULL, '{"preset": "auth0"}'), (13, 'https://trust.test', NULL, NULL, '{"preset": ""}'), (14, 'https://trust.test', NULL, NULL, '{"preset": "Clerk"}'),
	(15, 'https://trust.test', NULL, NULL, '{"mail": "email"}'), (16, 'https://trust.test', NULL, NULL, '{"subject": "id"}'), (17, 'https://trust.test', NULL, NULL, '{"email": 1}'), (18, 'https://trust.test', NULL, NULL, '{"email": true}'),
	(19, 'https://trust.test', NULL, NULL, '{"email": {"a": "b"}}'), (20, 'https://trust.test', NULL, NULL, '{"org": ["o.id", 1]}'), (21, 'https://trust.test', NULL, NULL, '{"org": ["o.id", ["a"]]}'), (22, 'https://trust.test', NULL, NULL, '{"org": [null]}'),
	(23, 'https://trust.test', NULL, NULL, '{"email_verified": 1}')
) a (n, issuer, aud, azp, claims) ORDER BY n;
SELECT trust.state() = :'before' AS nothing_changed;
-- What is stored: the preset, with the caller's paths in its place.
CREATE FUNCTION trust.stored(mapping jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.trust_issuer('https://trust.test', minting.jwks('trust_a'), claims => mapping);
	RETURN (SELECT claims FROM trust.issuer('https://trust.test'));
END
$$;
SELECT n, trust.stored(c) FROM (VALUES (1, '{}'::jsonb), (2, '{"preset": "oidc"}'), (3, '{"preset": "clerk"}'), (4, '{"preset": "better-auth"}'), (5, '{"preset": "clerk", "org": ["x.y", "z"], "name": null}'), (6, '{"email_verified": true}'), (7, '{"org": []}'), (8, '{"preset": null}')) x (n, c) ORDER BY n;

\echo == mappings at work
CREATE FUNCTION trust.mapped(mapping jsonb, claims jsonb, OUT email text, OUT verified boolean, OUT name text, OUT org text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.trust_issuer('https://trust.test', minting.jwks('trust_a'), claims => mapping);
	PERFORM set_config('tenancy.session_token', minting.token('trust_a', '{"sub": "trust-mapped"}' || claims), true);
	PERFORM tenancy.provision_user();
	email := (SELECT s.email FROM tenancy.session() s);
	SELECT u.email_verified, u.name INTO verified, name FROM tenancy.users u WHERE u.id = tenancy.current_user_id();
	-- The org that the token names is one that the user is no member of, if it is mapped at all.
	INSERT INTO tenancy.org_external_ids SELECT i.id, 'ext', o.id FROM tenancy.issuers i, tenancy.organizations o WHERE i.issuer = 'https://trust.test' AND o.slug = 'trust-acme' ON CONFLICT DO NOTHING;
	org := CASE (SELECT s.status FROM tenancy.session() s) WHEN 'not_a_member' THEN 'mapped' ELSE 'not mapped' END;
	PERFORM set_config('tenancy.session_token', '', true);
	DELETE FROM tenancy.org_external_ids WHERE external_id = 'ext';
	DELETE FROM tenancy.organizations WHERE created_by IN (SELECT user_id FROM tenancy.identities WHERE subject = 'trust-mapped');
	DELETE FROM tenancy.users WHERE id IN (SELECT user_id FROM tenancy.identities WHERE subject = 'trust-mapped');
END
$$;
SELECT n, m.* FROM (VALUES
	(1, '{}', '{"email": "e@x.test", "email_verified": true, "name": "N", "o": {"id": "ext"}, "org_id": "ext"}'),
	(2, '{"preset": "clerk"}', '{"email": "e@x.test", "email_verified": true, "name": "N", "o": {"id": "ext"}}'),
	(3, '{"preset": "clerk"}', '{"email": "e@x.test", "email_verified": false, "org_id": "ext"}'),
	(4, '{"preset": "better-auth"}', '{"email": "e@x.test", "emailVerified": true, "name": "N", "activeOrganizationId": "ext"}'),
	(5, '{"preset": "better-auth"}', '{"email": "e@x.test", "emailVerified": false, "email_verified": true, "o": {"id": "ext"}}'),
	(6, '{"email": "user.mail", "name": ["nick", "user.name"], "org": "tenant"}', '{"email": "no@x.test", "email_verified": "true", "user": {"mail": "e@x.test", "name": "N"}, "tenant": "ext"}'),
	(7, '{"name": ["nick", "user.name"]}', '{"nick": "Nick", "user": {"name": "N"}, "email": "e@x.test", "email_verified": 1}'),
	(8, '{"name": ["nick", "user.name"]}', '{"nick": {"x": 1}, "user": {"name": "N"}}'),
	(9, '{"email": null, "name": null}', '{"email": "e@x.test", "email_verified": true, "name": "N"}'),
	(10, '{"email_verified": true}', '{"email": "e@x.test", "email_verified": false}'),
	(11, '{"email_verified": false}', '{"email": "e@x.test", "email_verified": true}'),
	(12, '{"email_verified": true}', '{"name": "N"}'),
	(13, '{"email": "https://x.test/mail"}', '{"https://x.test/mail": "e@x.test", "email_verified": "yes"}'),
	(14, '{"org": "orgs"}', '{"orgs": ["ext"], "email": ["e@x.test"], "name": true}')
) x (n, mapping, claims), trust.mapped(mapping::jsonb, claims::jsonb) m ORDER BY n;

-- An address is 320 bytes at most; a longer one is none.
SELECT bytes, octet_length(m.email) AS email, m.verified FROM (VALUES (320), (321)) x (bytes),
	trust.mapped('{}', jsonb_build_object('email', repeat('e', bytes - 7) || '@x.test', 'email_verified', true)) m ORDER BY bytes;

-- Verified is what is true, or "true" to the letter.
SELECT value, m.verified FROM unnest(ARRAY['true', '"true"', '"True"', '"TRUE"', '" true"', '"t"', '"1"', '1', '1.0', 'null', '""', '[true]', '["true"]', '{"true": true}']) WITH ORDINALITY v (value, n),
	trust.mapped('{}', jsonb_build_object('email', 'e@x.test', 'email_verified', value::jsonb)) m ORDER BY n;

\echo == keys that are refused
-- One key of each kind, spoilt; the key before it is good, and must not be there afterwards.
CREATE TABLE trust.keys AS SELECT name, jwk FROM minting.keys WHERE name LIKE 'trust%';
CREATE FUNCTION trust.private(of_key text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT minting.run(format('%s jwk %s --kid %s --private', (SELECT value FROM minting.settings WHERE name = 'mint'), k.file, k.key_id))::jsonb FROM minting.keys k WHERE k.name = of_key
$$;
SELECT minting.make_key('trust_weak', 'RSA:1024', 'weak', 'https://trust.test') \g /dev/null
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_b'));
SELECT trust.state() AS before \gset
CREATE FUNCTION trust.key(name text) RETURNS jsonb LANGUAGE sql AS $$ SELECT k.jwk FROM minting.keys k WHERE k.name = key.name $$;
CREATE TABLE trust.refusals AS SELECT n, jwk FROM (VALUES
	(1, trust.private('trust_rsa')), (2, trust.private('trust_a')), (3, trust.private('trust_b')),
	(4, trust.key('trust_weak')),
	(5, trust.key('trust_hs') || '{"k": "c2hvcnQ"}'), (6, trust.key('trust_hs') || '{"alg": "HS384"}'), (7, trust.key('trust_hs') || '{"k": ""}'),
	(8, trust.key('trust_a') || '{"use": "enc"}'), (9, trust.key('trust_a') || '{"use": 1}'), (10, trust.key('trust_a') || '{"key_ops": ["sign"]}'), (11, trust.key('trust_a') || '{"key_ops": []}'), (12, trust.key('trust_a') || '{"key_ops": "verify"}'),
	(13, trust.key('trust_a') || '{"kty": "XYZ"}'), (14, trust.key('trust_a') - 'kty'), (15, trust.key('trust_a') || '{"kty": "ec"}'),
	(16, trust.key('trust_a') || '{"alg": "ES256K"}'), (17, trust.key('trust_a') || '{"alg": "none"}'), (18, trust.key('trust_rsa') || '{"alg": "RSA-OAEP"}'), (19, trust.key('trust_a') || '{"alg": 1}'),
	(20, trust.key('trust_a') || '{"alg": "RS256"}'), (21, trust.key('trust_rsa') || '{"alg": "HS256"}'), (22, trust.key('trust_a') || '{"alg": "ES384"}'), (23, trust.key('trust_b') || '{"alg": "ES256"}'), (24, trust.key('trust_hs') || '{"alg": "RS256"}'),
	(25, trust.key('trust_a') || '{"crv": "secp256k1"}'), (26, trust.key('trust_a') || '{"crv": "P-384"}'), (27, trust.key('trust_b') || '{"crv": "X25519"}'), (28, trust.key('trust_b') || '{"crv": "Ed448"}'),
	(29, trust.key('trust_a') || jsonb_build_object('x', trust.key('trust_a') -> 'y')), (30, trust.key('trust_a') || jsonb_build_object('x', repeat('A', 43))), (31, trust.key('trust_a') || '{"x": "AAAA"}'),
	(32, trust.key('trust_a') || jsonb_build_object('x', (trust.key('trust_a') ->> 'x') || '=')), (33, trust.key('trust_a') || jsonb_build_object('x', '+/' || substr(trust.key('trust_a') ->> 'x', 3))), (34, trust.key('trust_rsa') || '{"n": "!!!"}'),
	(35, trust.key('trust_b') || '{"x": "AAAA"}'), (36, trust.key('trust_rsa') - 'n'), (37, trust.key('trust_rsa') || '{"e": "AQ"}'), (38, trust.key('trust_rsa') || '{"e": "Ag"}'), (39, trust.key('trust_a') - 'y'),
	(40, trust.key('trust_a') || '{"kid": 1}'), (41, trust.key('trust_a') || jsonb_build_object('kid', repeat('k', 256))), (42, '"key"'), (43, '1'), (44, 'null'), (45, '[]'), (46, '{}'),
	-- Numbers of RSA: zero octets before them, even ones, too long and too short ones.
	(47, trust.key('trust_rsa') || jsonb_build_object('n', 'AAAA' || (trust.key('trust_rsa') ->> 'n'))), (48, trust.key('trust_rsa') || '{"e": "AAAB"}'), (49, trust.key('trust_rsa') || '{"e": "AQAA"}'),
	(50, trust.key('trust_rsa') || '{"e": "____________"}'), (51, trust.key('trust_rsa') || jsonb_build_object('n', '_' || repeat('_', 2735))), (52, trust.key('trust_rsa') || jsonb_build_object('n', '_' || repeat('_', 338) || '8')),
	-- Points: at infinity, beyond the prime, of another curve; of small order, which anybody can sign for.
	(53, trust.key('trust_a') || jsonb_build_object('x', repeat('A', 43), 'y', repeat('A', 43))), (54, trust.key('trust_a') || jsonb_build_object('x', repeat('_', 42) || '8')), (55, trust.key('trust_a') || jsonb_build_object('y', repeat('_', 42) || '8')),
	(56, trust.key('trust_a') || jsonb_build_object('y', repeat('A', 43))), (57, trust.key('trust_b') || jsonb_build_object('x', repeat('A', 43))), (58, trust.key('trust_b') || jsonb_build_object('x', 'AQ' || repeat('A', 41))),
	(59, trust.key('trust_b') || jsonb_build_object('x', '7P' || repeat('_', 39) || '38')), (60, trust.key('trust_b') || '{"x": "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"}'), (61, trust.key('trust_b') || jsonb_build_object('x', repeat('_', 42) || '8')),
	(62, trust.key('trust_b') || '{"kty": "EC"}'), (63, trust.key('trust_a') || '{"kty": "OKP"}'), (64, trust.key('trust_rsa') || '{"kty": "oct"}'),
	-- A private or a secret member beside the public ones, empty or of another type.
	(65, trust.key('trust_a') || '{"d": null}'), (66, trust.key('trust_b') || '{"d": ""}'), (67, trust.key('trust_rsa') || '{"oth": []}'), (68, trust.key('trust_rsa') || '{"k": "AAAA"}'),
	-- A set in a key, a key that is only a certificate or an address, members of the wrong case, and ones nested too deep.
	(69, jsonb_build_object('keys', jsonb_build_array(trust.key('trust_a')))), (70, '{"kty": "RSA", "x5c": ["AAAA"]}'), (71, '{"jku": "https://marker.test/jwks"}'), (72, '{"KTY": "RSA", "kty ": "RSA"}'),
	(73, trust.key('trust_a') || jsonb_build_object('x5c', (repeat('[', 100) || repeat(']', 100))::jsonb)), (74, trust.key('trust_a') || jsonb_build_object('x5c', repeat('A', 65536))),
	(75, trust.key('trust_a') || '{"alg": "es256"}'), (76, trust.key('trust_a') || '{"alg": ""}'), (77, trust.key('trust_a') || '{"alg": null}'), (78, trust.key('trust_hs') || '{"alg": "none"}'), (79, trust.key('trust_a') || '{"alg": ["ES256", "none"]}'),
	(80, trust.key('trust_a') || '{"kid": null}'), (81, trust.key('trust_a') || '{"kid": ["a"]}'), (82, trust.key('trust_a') || '{"use": "SIG"}'), (83, trust.key('trust_a') || '{"key_ops": [null]}'), (84, trust.key('trust_a') || '{"key_ops": {"verify": true}}'),
	(85, trust.key('trust_a') || '{"kty": ["EC"]}'), (86, trust.key('trust_a') || '{"x": 1}'), (87, trust.key('trust_a') || '{"x": null}'), (88, trust.key('trust_hs') || '{"k": null}'),
	-- RSA of 512 bits, which a laptop factors, and of none; a secret of one character less; numbers for texts.
	(89, trust.key('trust_rsa') || jsonb_build_object('n', substr(trust.key('trust_rsa') ->> 'n', 1, 84) || 'AAE')), (90, trust.key('trust_rsa') || '{"n": "AQ"}'), (91, trust.key('trust_rsa') || '{"n": ""}'),
	(92, trust.key('trust_rsa') || '{"e": 65537}'), (93, trust.key('trust_rsa') || '{"e": "AQ=="}'), (94, trust.key('trust_rsa') || '{"e": "AQAC"}'), (95, trust.key('trust_rsa') || '{"e": "AQ", "n": "Aw"}'),
	(96, trust.key('trust_hs') || jsonb_build_object('k', repeat('A', 42))), (97, trust.key('trust_hs') || jsonb_build_object('k', (trust.key('trust_hs') ->> 'k') || E'\n')),
	-- Each half of another key's point, a coordinate of P-384, a point that is given by its x alone.
	(98, trust.key('trust_a') || jsonb_build_object('y', trust.key('trust_a2') -> 'y')), (99, trust.key('trust_a') || jsonb_build_object('x', trust.key('trust_a2') -> 'x')),
	(100, trust.key('trust_a') || jsonb_build_object('x', repeat('A', 64), 'y', repeat('A', 64))), (101, trust.key('trust_a') || jsonb_build_object('x', 'Ag' || (trust.key('trust_a') ->> 'x')) - 'y'),
	-- Small order, with the sign set, and its negative; of Ed448.
	(102, trust.key('trust_b') || jsonb_build_object('x', repeat('A', 41) || 'IA')), (103, trust.key('trust_b') || '{"x": "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"}'), (104, trust.key('trust_b') || '{"x": "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU"}'),
	(105, jsonb_build_object('kty', 'OKP', 'crv', 'Ed448', 'x', repeat('A', 76))), (106, jsonb_build_object('kty', 'OKP', 'crv', 'Ed448', 'x', 'AQ' || repeat('A', 74))),
	-- For something else, if for verifying too.
	(107, trust.key('trust_a') || '{"use": "enc", "key_ops": ["verify"]}'), (108, trust.key('trust_a') || '{"use": "sig", "key_ops": ["deriveKey"]}'), (109, trust.key('trust_a') || '{"use": null}'), (110, trust.key('trust_a') || '{"key_ops": null}'),
	(111, trust.key('trust_rsa') || '{"alg": "RS256 "}'), (112, trust.key('trust_rsa') || '{"alg": "RSA1_5"}'), (113, trust.key('trust_hs') || '{"alg": "A256KW"}'), (114, trust.key('trust_b') || '{"alg": "ECDH-ES"}'), (115, trust.key('trust_b') || '{"crv": "ed25519"}')
) r (n, jwk);
SELECT n, regexp_replace(minting.refusal(format('SELECT tenancy.trust_issuer(''https://trust.test'', %L)', jsonb_build_object('keys', jsonb_build_array(trust.key('trust_none'), jwk)))), '\n  Take this key.*', '') FROM trust.refusals ORDER BY n;
SELECT minting.refusal(format('SELECT tenancy.import_jwks(''https://trust.test'', %L)', jsonb_build_object('keys', jsonb_build_array(trust.key('trust_none'), jwk)))) FROM trust.refusals WHERE n IN (1, 4);
-- No key material in what is said.
SELECT count(*) FROM trust.refusals r, jsonb_each_text(CASE jsonb_typeof(jwk) WHEN 'object' THEN jwk ELSE '{}' END) m, LATERAL (SELECT minting.refusal(format('SELECT tenancy.trust_issuer(''https://trust.test'', %L)', jsonb_build_object('keys', jsonb_build_array(jwk)))) AS text OFFSET 0) said
WHERE m.key IN ('n', 'd', 'x', 'y', 'k', 'p', 'q', 'dp', 'dq', 'qi') AND length(m.value) > 3 AND strpos(said.text, m.value) > 0;
-- What is no key set, or has two keys for one id.
SELECT n, minting.refusal(format('SELECT tenancy.trust_issuer(''https://trust.test'', %L)', jwks)) FROM (VALUES (1, NULL), (2, '{}'), (3, '{"keys": []}'), (4, '{"keys": {}}'), (5, '{"keys": null}'), (6, '[]'), (7, 'null'), (8, trust.key('trust_a')),
	(9, minting.jwks('trust_a', 'trust_a2')), (10, minting.jwks('trust_a', 'trust_a')), (11, minting.jwks('trust_none', 'trust_none2')), (12, jsonb_build_object('keys', jsonb_build_array(trust.key('trust_none'), trust.key('trust_a') || '{"kid": ""}')))) s (n, jwks) ORDER BY n;
SELECT minting.refusal('SELECT tenancy.import_jwks(''https://trust.test'', NULL)'), minting.refusal('SELECT tenancy.import_jwks(''https://trust.test'', ''{"keys": []}'')');
SELECT trust.state() = :'before' AS nothing_changed;
SELECT * FROM trust.issuer('https://trust.test');
-- Members that say nothing against verification, or nothing at all.
SELECT added, kept, retired FROM tenancy.import_jwks('https://trust.test', jsonb_build_object('keys', jsonb_build_array(trust.key('trust_a') || '{"use": "sig", "key_ops": ["verify", "sign"], "x5c": ["x"], "x5t": "y", "other": {"a": 1}}', trust.key('trust_rsa') || '{"alg": "PS512"}')));
SELECT keys FROM trust.issuer('https://trust.test');

\echo == rotation, as another connection sees it
CREATE EXTENSION dblink;
SELECT dblink_connect('app', format('dbname=%s user=regress_tenancy_app', current_database()));
CREATE FUNCTION trust.ask(token text) RETURNS text LANGUAGE sql AS $$ SELECT answer FROM dblink('app', format('SELECT trust.verdict(%L)', token)) AS d (answer text) $$;
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_a'));
SELECT minting.token('trust_a', '{"sub": "x"}') AS a, minting.token('trust_b', '{"sub": "x"}') AS b, minting.token('trust_a2', '{"sub": "x"}') AS a2, minting.token('trust_none', '{"sub": "x"}') AS none \gset
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b, trust.ask(:'a2') AS a2, trust.ask(:'none') AS none;
-- Added beside the old one.
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_a', 'trust_b'));
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b, trust.ask(:'a2') AS a2, trust.ask(:'none') AS none;
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_b', 'trust_a'));
-- The old one retired.
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_b'));
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b, trust.ask(:'a2') AS a2, trust.ask(:'none') AS none;
-- Another key under an id that was there.
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_a'));
SELECT trust.ask(:'a') AS a, trust.ask(:'a2') AS a2;
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_a2'));
SELECT trust.ask(:'a') AS a, trust.ask(:'a2') AS a2;
-- Without an id.
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_none'));
SELECT trust.ask(:'a') AS a, trust.ask(:'none') AS none;
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_none', 'trust_b'));
SELECT trust.ask(:'b') AS b, trust.ask(:'none') AS none_of_two;
-- Not before the commit, and not after a rollback.
BEGIN;
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_a'));
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b, trust.verdict(:'a') AS a_here, trust.verdict(:'b') AS b_here;
ROLLBACK;
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b, trust.verdict(:'a') AS a_here, trust.verdict(:'b') AS b_here;
-- The rules as well as the keys: replaced, and the issuer distrusted.
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_b'), '{api}');
SELECT trust.ask(:'b') AS b;
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_b'));
SELECT trust.ask(:'b') AS b;
SELECT tenancy.distrust_issuer('https://trust.test');
SELECT trust.ask(:'b') AS b;
SELECT tenancy.trust_issuer('https://trust.test', minting.jwks('trust_a', 'trust_b'));
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b;

\echo == a key row that is no key
-- Written past the functions: that key is unknown, the others go on.
UPDATE tenancy.signing_keys SET jwk = '{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}' WHERE issuer_id = :'issuer_id' AND key_id = 'a';
INSERT INTO tenancy.signing_keys (issuer_id, key_id, algorithm, jwk) VALUES (:'issuer_id', 'c', 'ES256', '{}'), (:'issuer_id', NULL, 'none', '{"kty": "oct"}');
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b;
SELECT minting.refusal(format('INSERT INTO tenancy.signing_keys (issuer_id, key_id, algorithm, jwk) VALUES (%L, ''d'', ''ES256'', %L)', :'issuer_id', j)) ~ '^(23514|23502)' AS refused FROM (VALUES ('[]'), ('"x"'), ('null'), (NULL)) x (j);
SELECT * FROM tenancy.import_jwks('https://trust.test', minting.jwks('trust_a', 'trust_b'));
SELECT trust.ask(:'a') AS a, trust.ask(:'b') AS b;
SELECT dblink_disconnect('app');
DROP EXTENSION dblink CASCADE;

DELETE FROM tenancy.users WHERE name LIKE 'trust-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'trust-%';
DELETE FROM tenancy.issuers WHERE issuer LIKE 'https://trust.test%';
DELETE FROM minting.keys WHERE name LIKE 'trust%';
DROP SCHEMA trust CASCADE;
