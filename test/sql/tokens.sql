-- Which tokens are accepted, and with which SQLSTATE each other one is refused: algorithms, keys, headers, claims, times
-- and the compact form itself. Every token is tried by the application's role, as errors and as session()'s status, and
-- twice, since a verdict is remembered. No message may hold anything of a token.
\set ON_ERROR_STOP on
\pset format unaligned
\set SHOW_CONTEXT never
SET client_min_messages = warning;

CREATE SCHEMA tokens_test;
GRANT USAGE ON SCHEMA tokens_test TO PUBLIC;
SET search_path = tokens_test;

-- Minting byte by byte: minting.token passes JSON through the shell, which is no place for backslashes and bad UTF-8.
CREATE FUNCTION encoded(bytes bytea) RETURNS text LANGUAGE sql AS $$
	SELECT translate(rtrim(encode(bytes, 'base64'), '='), E'+/\n', '-_')
$$;
CREATE FUNCTION minted(key text, header bytea, payload bytea, signed_with text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	input text := encoded(header) || '.' || encoded(payload);
	k minting.keys;
BEGIN
	SELECT * INTO STRICT k FROM minting.keys WHERE name = key;
	RETURN input || '.' || minting.run(format('printf %%s %s | %s sign %s %s', input,
		(SELECT s.value FROM minting.settings s WHERE s.name = 'mint'), k.file, coalesce(signed_with, k.algorithm)));
END
$$;
CREATE FUNCTION utf8(content text) RETURNS bytea LANGUAGE sql AS $$ SELECT convert_to(content, 'UTF8') $$;

-- One key for each algorithm, all of one issuer. The RS and PS keys are one and the same: what tells them apart is only
-- the algorithm that each is registered for.
CREATE TABLE algorithms AS
	SELECT * FROM (VALUES ('rs256', 'RS256', 'RS256'), ('rs384', 'RS384', NULL), ('rs512', 'RS512', NULL),
		('ps256', 'PS256', NULL), ('ps384', 'PS384', NULL), ('ps512', 'PS512', NULL),
		('es256', 'ES256', 'ES256'), ('es384', 'ES384', 'ES384'), ('es512', 'ES512', 'ES512'),
		('ed25519', 'EdDSA', 'EdDSA'), ('ed448', 'EdDSA', 'EdDSA:Ed448'),
		('hs256', 'HS256', 'HS256'), ('hs384', 'HS384', 'HS384'), ('hs512', 'HS512', 'HS512')) a (key, algorithm, kind);
SELECT count(minting.make_key(key, kind, key, 'https://tokens.test')) FROM algorithms WHERE kind IS NOT NULL;
INSERT INTO minting.keys
	SELECT a.key, a.algorithm, a.key, k.issuer, k.file, k.jwk || jsonb_build_object('alg', a.algorithm, 'kid', a.key)
	FROM algorithms a, minting.keys k WHERE a.kind IS NULL AND k.name = 'rs256';
SELECT minting.make_key('tokens_attacker', 'ES256', 'es256', 'https://tokens.test');
SELECT minting.make_key('tokens_no_kid', 'ES256', NULL, 'https://tokens-no-kid.test');
SELECT minting.make_key('tokens_one_key', 'ES256', 'the-only', 'https://tokens-one-key.test');

SELECT tenancy.trust_issuer('https://tokens.test', (SELECT minting.jwks(VARIADIC array_agg(key)) FROM algorithms));
SELECT tenancy.trust_issuer('https://tokens-no-kid.test', minting.jwks('tokens_no_kid'));
SELECT tenancy.trust_issuer('https://tokens-one-key.test', minting.jwks('tokens_one_key'));
SELECT tenancy.trust_issuer('https://tokens-two-keys.test', minting.jwks('es256', 'ed25519'));
SELECT tenancy.trust_issuer('https://tokens-audience.test', minting.jwks('ed25519'), audiences => '{api-1,api-2}');
SELECT tenancy.trust_issuer('https://tokens-party.test', minting.jwks('ed25519'), authorized_parties => '{https://app-1.test,https://app-2.test}');
SELECT tenancy.trust_issuer('https://tokens-distrusted.test', minting.jwks('ed25519'));
SELECT tenancy.distrust_issuer('https://tokens-distrusted.test');
-- Keys whose "alg" is not said: EC and OKP imply it by their curve, RSA means RS256 and a secret HS256.
SELECT tenancy.trust_issuer('https://tokens-implied.test',
	(SELECT jsonb_build_object('keys', jsonb_agg(jwk - 'alg')) FROM minting.keys WHERE name IN ('rs256', 'es256', 'es384', 'es512', 'ed25519', 'ed448', 'hs256')));

CREATE TABLE tries (
	id int GENERATED ALWAYS AS IDENTITY,
	expected text NOT NULL,	-- an SQLSTATE, or ok
	description text NOT NULL,
	token text NOT NULL,
	code text, message text, context text, status text, told text, again text);
GRANT SELECT, UPDATE ON tries TO regress_tenancy_app;

-- Claims of a token that is good. What must not be told by any message has the word "marker" in it.
CREATE FUNCTION claims(changes jsonb DEFAULT '{}', VARIADIC without text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT ((jsonb_build_object('iss', 'https://tokens.test', 'sub', 'marker-subject', 'email', 'marker@tokens.test',
		'iat', n, 'exp', n + 3600) || changes) - without)::text
	FROM (SELECT floor(extract(epoch FROM clock_timestamp()))::bigint) AS clock (n)
$$;
CREATE FUNCTION seconds(ahead int) RETURNS text LANGUAGE sql AS $$ SELECT (floor(extract(epoch FROM clock_timestamp()))::bigint + ahead)::text $$;
-- The claims, with one member's value in JSON text as it stands.
CREATE FUNCTION with_raw(name text, value text, issuer text DEFAULT 'https://tokens.test') RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(claims(jsonb_build_object('iss', issuer) || jsonb_build_object(name, 'replace-me')), '"replace-me"', replace(value, '\', '\\'))
$$;

ALTER FUNCTION claims SET search_path = tokens_test;
-- A good token of a key, but for the claims given.
CREATE FUNCTION good(key text DEFAULT 'ed25519', VARIADIC claims text[] DEFAULT '{}') RETURNS text LANGUAGE sql SET search_path = tokens_test AS $$
	SELECT minted(key, utf8(json_build_object('alg', algorithm, 'kid', key_id)::text), utf8(coalesce(claims[1], claims()))) FROM minting.keys WHERE name = key
$$;

\echo == algorithms
INSERT INTO tries (expected, description, token) SELECT 'ok', 'algorithm of ' || key, good(key) FROM algorithms;
INSERT INTO tries (expected, description, token)
	SELECT 'ok', 'implied algorithm of ' || key, good(key, claims('{"iss": "https://tokens-implied.test"}'))
	FROM algorithms WHERE key IN ('rs256', 'es256', 'es384', 'es512', 'ed25519', 'ed448', 'hs256');
-- The key that a header names has another algorithm than the header, or the signature, or both.
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('key %s, header and signature %s', a.key, b.key),
		minted(b.key, utf8(json_build_object('alg', b.algorithm, 'kid', a.key)::text), utf8(claims()))
	FROM algorithms a, algorithms b WHERE a.key <> b.key;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('key and header %s, signature %s', a.key, b.key),
		minted(b.key, utf8(json_build_object('alg', a.algorithm, 'kid', a.key)::text), utf8(claims()))
	FROM algorithms a, algorithms b WHERE a.algorithm <> b.algorithm;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('key and signature %s, header %s', a.key, b.algorithm),
		minted(a.key, utf8(json_build_object('alg', b.algorithm, 'kid', a.key)::text), utf8(claims()))
	FROM algorithms a, (SELECT DISTINCT algorithm FROM algorithms) b WHERE a.algorithm <> b.algorithm;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('key %s, algorithm %s', a.key, n),
		minted(a.key, utf8(json_build_object('alg', n, 'kid', a.key)::text), utf8(claims()))
	FROM algorithms a, unnest('{none,None,NONE,nOnE,"",ES256K,HS1,A128KW,dir,marker}'::text[]) n;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'lower case of ' || a.key, minted(a.key, utf8(json_build_object('alg', lower(algorithm), 'kid', a.key)::text), utf8(claims()))
	FROM algorithms a WHERE lower(algorithm) <> algorithm;
-- HMAC with what everybody knows, the public key's PEM text, as the secret.
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('HS256 by the public key of %s', a.key),
		minted(a.key, utf8(json_build_object('alg', 'HS256', 'kid', a.key)::text), utf8(claims()), 'HS256')
	FROM algorithms a WHERE a.algorithm NOT LIKE 'HS%';
INSERT INTO tries (expected, description, token)
	SELECT '28T02', 'unsigned ' || n, encoded(utf8(format('{"alg":"%s"}', n))) || '.' || encoded(utf8(claims())) || rest
	FROM unnest('{none,None,RS256,EdDSA}'::text[]) n, unnest('{"",.}'::text[]) rest;

\echo == signatures
INSERT INTO tries (expected, description, token)
	SELECT '28T03', description, minted(name, utf8((jsonb_build_object('alg', 'ES256', 'kid', 'es256') || more)::text), utf8(claims()))
	FROM minting.keys, LATERAL (VALUES ('signed by somebody else under a known key id', '{}'),
		('signed by somebody else, key in the header', jsonb_build_object('jwk', jwk, 'jku', 'https://marker.test/jwks'))) h (description, more)
	WHERE name = 'tokens_attacker';
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'claims changed, ' || key, regexp_replace(good(key), '\.[^.]*\.', '.' || encoded(utf8(claims('{"sub": "marker-other"}'))) || '.') FROM algorithms;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'signature of 3 bytes, ' || key, regexp_replace(good(key), '[^.]*$', 'AAAA') FROM algorithms;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'bytes after the signature, ' || key, left(t, -4) || 'AAAAAAAA' FROM algorithms, good(key) t;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'signature all zero, ' || key, regexp_replace(t, '[^.]*$', repeat('A', length(split_part(t, '.', 3)))) FROM algorithms, good(key) t;

\echo == keys
INSERT INTO tries (expected, description, token)
	SELECT expected, description, minted(key, utf8(header), utf8(claims(changes::jsonb))) FROM (VALUES
		('ok', 'key id', 'ed25519', '{"alg":"EdDSA","kid":"ed25519"}', '{}'),
		('28T06', 'unknown key id', 'ed25519', '{"alg":"EdDSA","kid":"marker-key"}', '{}'),
		('28T06', 'key id of another issuer', 'ed25519', '{"alg":"EdDSA","kid":"the-only"}', '{}'),
		('28T06', 'key id of another issuer, signed by it', 'tokens_one_key', '{"alg":"ES256","kid":"the-only"}', '{}'),
		('28T06', 'key id in other case', 'ed25519', '{"alg":"EdDSA","kid":"ED25519"}', '{}'),
		('28T06', 'empty key id', 'ed25519', '{"alg":"EdDSA","kid":""}', '{}'),
		('28T06', 'long key id', 'ed25519', format('{"alg":"EdDSA","kid":"%s"}', repeat('marker', 500)), '{}'),
		('28T06', 'no key id, many keys', 'ed25519', '{"alg":"EdDSA"}', '{}'),
		('28T06', 'no key id, two keys', 'ed25519', '{"alg":"EdDSA"}', '{"iss": "https://tokens-two-keys.test"}'),
		('ok', 'key id, two keys', 'ed25519', '{"alg":"EdDSA","kid":"ed25519"}', '{"iss": "https://tokens-two-keys.test"}'),
		('ok', 'no key id, one key that has one', 'tokens_one_key', '{"alg":"ES256"}', '{"iss": "https://tokens-one-key.test"}'),
		('28T06', 'another key id, one key that has one', 'tokens_one_key', '{"alg":"ES256","kid":"other"}', '{"iss": "https://tokens-one-key.test"}'),
		('ok', 'no key id, one key without', 'tokens_no_kid', '{"alg":"ES256"}', '{"iss": "https://tokens-no-kid.test"}'),
		('28T06', 'key id, one key without', 'tokens_no_kid', '{"alg":"ES256","kid":"other"}', '{"iss": "https://tokens-no-kid.test"}')
	) k (expected, description, key, header, changes);

\echo == header
INSERT INTO tries (expected, description, token)
	SELECT expected, 'header ' || coalesce(note, header), minted('ed25519', utf8(header), utf8(claims())) FROM (VALUES
		('28T02', '{}', NULL),
		('28T02', '[]', NULL),
		('28T02', '""', NULL),
		('28T02', '1', NULL),
		('28T02', 'null', NULL),
		('28T02', '{"kid":"ed25519"}', NULL),
		('28T02', '{"alg":null,"kid":"ed25519"}', NULL),
		('28T02', '{"alg":1,"kid":"ed25519"}', NULL),
		('28T02', '{"alg":["EdDSA"],"kid":"ed25519"}', NULL),
		('28T02', '{"alg":{"EdDSA":1},"kid":"ed25519"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":null}', NULL),
		('28T02', '{"alg":"EdDSA","kid":1}', NULL),
		('28T02', '{"alg":"EdDSA","kid":["ed25519"]}', NULL),
		('28T02', '{"alg":"EdDSA","kid":{"a":"ed25519"}}', NULL),
		('28T02', '{"alg":"EdDSA","alg":"EdDSA","kid":"ed25519"}', NULL),
		('28T02', '{"alg":"none","alg":"EdDSA","kid":"ed25519"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"marker","kid":"ed25519"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","\u0061lg":"EdDSA"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":{"a":1,"a":2}}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519"}{}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519"}x', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519",}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519"', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519"/* */}', NULL),
		('28T02', '{''alg'':''EdDSA'',''kid'':''ed25519''}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":NaN}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":"\u0000"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519\u0000"}', NULL),
		('28T02', chr(65279) || '{"alg":"EdDSA","kid":"ed25519"}', 'after a byte order mark'),
		('ok', E' \t\r\n{ "alg" : "EdDSA" , "kid" : "ed25519" } \n', 'with white space'),
		('ok', '{"alg":"EdDSA","kid":"\u0065d25519"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":["exp"]}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":["b64"],"b64":false}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":[]}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":null}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":{}}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":"exp"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","b64":false}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","b64":true}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","b64":{}}', NULL),
		('ok', '{"alg":"EdDSA","kid":"ed25519","typ":"JWT"}', NULL),
		('ok', '{"alg":"EdDSA","kid":"ed25519","typ":"at+jwt"}', NULL),
		('ok', '{"alg":"EdDSA","kid":"ed25519","typ":""}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","typ":null}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","typ":1}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","typ":["JWT"]}', NULL),
		('28T05', '{"alg":"EdDSA","kid":"ed25519","typ":"better-auth.session-cache+jwt"}', NULL),
		('28T05', '{"alg":"EdDSA","kid":"ed25519","typ":"Better-Auth.Session-Cache+JWT"}', NULL),
		('ok', '{"alg":"EdDSA","kid":"ed25519","cty":"JWT","jku":"https://marker.test","x5u":"https://marker.test","x5c":["marker"],"jwk":{},"x":{"y":[1,{"z":2}]}}', NULL)
	) h (expected, header, note);
INSERT INTO tries (expected, description, token)
	SELECT expected, description, minted('ed25519', header, utf8(claims())) FROM (VALUES
		('28T02', 'header with bad UTF-8', '{"alg":"EdDSA","kid":"ed25519","x":"' || '\xff'::bytea || '"}'),
		('28T02', 'header with a NUL byte', '{"alg":"EdDSA","kid":"ed25519"' || '\x00'::bytea || '}'),
		('28T02', 'header with a NUL byte after it', '{"alg":"EdDSA","kid":"ed25519"}' || '\x00'::bytea)
	) h (expected, description, header);

\echo == payload
INSERT INTO tries (expected, description, token)
	SELECT expected, 'payload ' || note, good('ed25519', payload) FROM (VALUES
		('28T02', 'is an array', '[' || claims() || ']'),
		('28T02', 'is a string', '"marker"'),
		('28T02', 'is a number', '1'),
		('28T02', 'is null', 'null'),
		('28T02', 'is an empty object', '{}'),
		('28T02', 'is not JSON', 'marker'),
		('28T02', 'is cut', left(claims(), -1)),
		('28T02', 'has a comma too many', left(claims(), -1) || ',}'),
		('28T02', 'has bytes after it', claims() || 'x'),
		('28T02', 'is two objects', claims() || '{}'),
		('ok', 'has white space around', E'\n ' || claims() || E'\t\n'),
		('28T02', 'has a form feed around', E'\f' || claims()),
		('28T02', 'has a byte order mark', chr(65279) || claims()),
		('28T02', 'has a comment', left(claims(), -1) || '/**/}'),
		('28T02', 'has single quotes', replace(claims(), '"', '''')),
		('28T02', 'has NaN', left(claims(), -1) || ',"x":NaN}'),
		('28T02', 'has Infinity', left(claims(), -1) || ',"x":-Infinity}'),
		('28T02', 'has a number with a leading zero', left(claims(), -1) || ',"x":01}'),
		('28T02', 'has a hexadecimal number', left(claims(), -1) || ',"x":0x1}'),
		('28T02', 'has a raw line feed in a string', left(claims(), -1) || E',"x":"a\nb"}'),
		('28T02', 'has a member twice', left(claims(), -1) || ',"sub":"marker-other"}'),
		('28T02', 'has the same member twice', left(claims(), -1) || ',"sub":"marker-subject"}'),
		('28T02', 'has a member twice, once escaped', left(claims(), -1) || ',"s\u0075b":"marker-other"}'),
		('28T02', 'has an unused member twice', left(claims(), -1) || ',"x":1,"x":1}'),
		('28T02', 'has a nested member twice', left(claims(), -1) || ',"x":{"y":1,"y":2}}'),
		('28T02', 'has a member twice in an array', left(claims(), -1) || ',"x":[{"y":1,"y":2}]}'),
		('ok', 'has one name at two levels', left(claims(), -1) || ',"x":{"sub":1,"x":{"sub":2}}}'),
		('ok', 'has names that differ in case', left(claims(), -1) || ',"Sub":"marker-other"}'),
		('28T02', 'has an escaped NUL', left(claims(), -1) || ',"x":"a\u0000b"}'),
		('28T02', 'has an escaped NUL in a name', left(claims(), -1) || ',"x\u0000":1}'),
		('28T02', 'has a lone high surrogate', left(claims(), -1) || ',"x":"\ud83d"}'),
		('28T02', 'has a lone low surrogate', left(claims(), -1) || ',"x":"\ude00"}'),
		('28T02', 'has surrogates in the wrong order', left(claims(), -1) || ',"x":"\ude00\ud83d"}'),
		('ok', 'has a pair of surrogates', left(claims(), -1) || ',"x":"\ud83d\ude00"}'),
		('28T02', 'has an unknown escape', left(claims(), -1) || ',"x":"\x41"}'),
		('ok', 'is nested to depth 31', left(claims(), -1) || ',"x":' || repeat('{"a":', 30) || '1' || repeat('}', 30) || '}'),
		('28T02', 'is nested to depth 32', left(claims(), -1) || ',"x":' || repeat('{"a":', 31) || '1' || repeat('}', 31) || '}'),
		('ok', 'has arrays to depth 31', left(claims(), -1) || ',"x":' || repeat('[', 30) || '1' || repeat(']', 30) || '}'),
		('28T02', 'has arrays to depth 32', left(claims(), -1) || ',"x":' || repeat('[', 31) || repeat(']', 31) || '}'),
		('28T02', 'has arrays to depth 5000', left(claims(), -1) || ',"x":' || repeat('[', 5000) || repeat(']', 5000) || '}'),
		('28T02', 'has arrays to depth 10000, not closed', '{"x":' || repeat('[', 10000)),
		('ok', 'has an empty name', left(claims(), -1) || ',"":1}'),
		('ok', 'has numbers of every kind', left(claims(), -1) || ',"x":[0,-0,-0.0,1E+2,1e-2,1e4000,-1e-4000,18446744073709551616,' || repeat('9', 400) || ',0.' || repeat('3', 400) || ']}'),
		('ok', 'has escapes of every kind', left(claims(), -1) || ',"x":"\"\\/\b\f\n\r\t\u00e9\uFFFF' || chr(127) || chr(8232) || '"}'),
		('ok', 'has every type of claim', left(claims(), -1) || ',"t":true,"f":false,"n":null,"o":{},"a":[],"m":[1,"a",null,true,{},[]]}'),
		('ok', 'has a long string', left(claims(), -1) || ',"x":"' || repeat('x', 10000) || '"}')
	) p (expected, note, payload);
INSERT INTO tries (expected, description, token)
	SELECT expected, description, minted('ed25519', utf8('{"alg":"EdDSA","kid":"ed25519"}'), payload) FROM (VALUES
		('28T02', 'payload has a byte that UTF-8 never has', utf8(left(claims(), -1)) || ',"x":"' || '\xff'::bytea || '"}'),
		('28T02', 'payload has an overlong sequence', utf8(left(claims(), -1)) || ',"x":"' || '\xc0af'::bytea || '"}'),
		('28T02', 'payload has a surrogate in UTF-8', utf8(left(claims(), -1)) || ',"x":"' || '\xeda080'::bytea || '"}'),
		('28T02', 'payload has a cut sequence', utf8(left(claims(), -1)) || ',"x":"' || '\xe282'::bytea || '"}'),
		('28T02', 'payload has a code point beyond Unicode', utf8(left(claims(), -1)) || ',"x":"' || '\xf4908080'::bytea || '"}'),
		('ok', 'payload has four-byte UTF-8', utf8(left(claims(), -1)) || ',"x":"' || '\xf09f9880'::bytea || '"}'),
		('28T02', 'payload has a NUL in a string', utf8(left(claims(), -1)) || ',"x":"a' || '\x00'::bytea || 'b"}'),
		('28T02', 'payload has a NUL after it', utf8(claims()) || '\x00'::bytea),
		('28T02', 'payload has a NUL and more after it', utf8(claims()) || '\x00'::bytea || '{"sub":"marker-other"}'),
		('28T02', 'payload is in UTF-16', '\xfeff007b'::bytea)
	) p (expected, description, payload);

\echo == issuer and subject
INSERT INTO tries (expected, description, token)
	SELECT expected, format('%s %s', name, coalesce(note, value)), good('ed25519', CASE WHEN value IS NULL THEN claims('{}', name) ELSE with_raw(name, value) END) FROM (VALUES
		('28T02', 'iss', NULL, 'missing'),
		('28T02', 'iss', 'null', NULL),
		('28T02', 'iss', '1', NULL),
		('28T02', 'iss', 'true', NULL),
		('28T02', 'iss', '""', NULL),
		('28T02', 'iss', '["https://tokens.test"]', NULL),
		('28T02', 'iss', '{"iss":"https://tokens.test"}', NULL),
		('28T05', 'iss', '"https://marker.test"', 'unknown'),
		('28T05', 'iss', '"https://tokens.test/"', NULL),
		('28T05', 'iss', '"https://TOKENS.test"', NULL),
		('28T05', 'iss', '" https://tokens.test"', NULL),
		('28T05', 'iss', '"https://tokens-distrusted.test"', 'no longer trusted'),
		('ok', 'iss', '"https:\/\/tokens.test"', NULL),
		('28T02', 'sub', NULL, 'missing'),
		('28T02', 'sub', 'null', NULL),
		('28T02', 'sub', '42', NULL),
		('28T02', 'sub', 'true', NULL),
		('28T02', 'sub', '""', NULL),
		('28T02', 'sub', '["marker"]', NULL),
		('28T02', 'sub', '{"a":"marker"}', NULL),
		('ok', 'sub', format('"%s"', repeat('x', 1024)), 'of 1024 bytes'),
		('28T02', 'sub', format('"%s"', repeat('x', 1025)), 'of 1025 bytes'),
		('28T02', 'sub', format('"%s"', repeat(chr(233), 513)), 'of 513 characters, 1026 bytes'),
		('ok', 'sub', '" "', NULL),
		('ok', 'sub', '"Zo\u00eb \ud83d\ude00"', NULL),
		('28T02', 'sub', '"marker\u0000"', NULL)
	) c (expected, name, value, note);

\echo == audience, authorized party, sign-in status
INSERT INTO tries (expected, description, token)
	SELECT expected, format('%s %s: %s', name, coalesce(value, 'missing'), rule),
		good('ed25519', CASE WHEN value IS NULL THEN claims(jsonb_build_object('iss', 'https://tokens' || rule || '.test'), name)
			ELSE with_raw(name, value, 'https://tokens' || rule || '.test') END) FROM (VALUES
		('ok', 'aud', NULL, ''),
		('ok', 'aud', '"marker"', ''),
		('ok', 'aud', '["marker","other"]', ''),
		('ok', 'aud', '[]', ''),
		('28T02', 'aud', 'null', ''),
		('28T02', 'aud', '1', ''),
		('28T02', 'aud', 'true', ''),
		('28T02', 'aud', '{"a":"marker"}', ''),
		('28T02', 'aud', '["marker",1]', ''),
		('28T02', 'aud', '["marker",null]', ''),
		('28T02', 'aud', '["marker",["marker"]]', ''),
		('28T05', 'aud', '"better-auth:session-cache"', ''),
		('28T05', 'aud', '["marker","better-auth:session-cache"]', ''),
		('28T05', 'aud', '["api-1","better-auth:session-cache"]', '-audience'),
		('ok', 'aud', '"api-1"', '-audience'),
		('ok', 'aud', '"api-2"', '-audience'),
		('ok', 'aud', '["marker","api-2"]', '-audience'),
		('28T05', 'aud', NULL, '-audience'),
		('28T05', 'aud', '"marker"', '-audience'),
		('28T05', 'aud', '"API-1"', '-audience'),
		('28T05', 'aud', '"api-1 "', '-audience'),
		('28T05', 'aud', '"api-1,api-2"', '-audience'),
		('28T05', 'aud', '""', '-audience'),
		('28T05', 'aud', '[]', '-audience'),
		('28T05', 'aud', '["marker"]', '-audience'),
		('28T02', 'aud', '["api-1",1]', '-audience'),
		('28T02', 'aud', '["api-1",["api-1"]]', '-audience'),
		('28T02', 'aud', '{"api-1":"api-1"}', '-audience'),
		('28T02', 'aud', 'null', '-audience'),
		('ok', 'azp', NULL, ''),
		('ok', 'azp', '"https://marker.test"', ''),
		('28T02', 'azp', 'null', ''),
		('28T02', 'azp', '1', ''),
		('28T02', 'azp', '["https://app-1.test"]', ''),
		('ok', 'azp', '"https://app-1.test"', '-party'),
		('ok', 'azp', '"https://app-2.test"', '-party'),
		('28T05', 'azp', NULL, '-party'),
		('28T05', 'azp', '"https://marker.test"', '-party'),
		('28T05', 'azp', '"https://app-1.test/"', '-party'),
		('28T05', 'azp', '""', '-party'),
		('28T02', 'azp', '["https://app-1.test"]', '-party'),
		('28T02', 'azp', 'null', '-party'),
		('ok', 'sts', NULL, ''),
		('ok', 'sts', '"active"', ''),
		('28T05', 'sts', '"pending"', ''),
		('28T02', 'sts', 'null', ''),
		('28T02', 'sts', '1', ''),
		('28T02', 'sts', '["pending"]', '')
	) c (expected, name, value, rule);

\echo == times
INSERT INTO tries (expected, description, token)
	SELECT expected, format('%s %s', name, coalesce(note, value, 'missing')), good('ed25519', CASE WHEN value IS NULL THEN claims('{}', name) ELSE with_raw(name, value) END) FROM (VALUES
		('28T02', 'exp', NULL, NULL),
		('28T02', 'exp', 'null', NULL),
		('28T02', 'exp', 'true', NULL),
		('28T02', 'exp', '"9999999999"', NULL),
		('28T02', 'exp', '[9999999999]', NULL),
		('28T02', 'exp', '{"a":9999999999}', NULL),
		('28T02', 'exp', '253402300800', NULL),
		('28T02', 'exp', '1e300', NULL),
		('28T02', 'exp', '1e4000', NULL),
		('28T02', 'exp', repeat('9', 400), 'of 400 digits'),
		('28T02', 'exp', '18446744073709551616', NULL),
		('28T02', 'exp', '-1e300', NULL),
		('ok', 'exp', '253402300799', NULL),
		('ok', 'exp', '1e10', NULL),
		('ok', 'exp', '9999999999.75', NULL),
		('ok', 'exp', seconds(3600), 'in an hour'),
		('28T04', 'exp', seconds(-3600), 'an hour ago'),
		('28T04', 'exp', seconds(-3600) || '.5', 'an hour ago, with a fraction'),
		('28T04', 'exp', '0', NULL),
		('28T04', 'exp', '-1', NULL),
		('28T04', 'exp', '-0.5', NULL),
		('28T04', 'exp', '-253402300799', NULL),
		('28T04', 'exp', '1e-400', NULL),
		('ok', 'nbf', NULL, NULL),
		('28T02', 'nbf', 'null', NULL),
		('28T02', 'nbf', '"0"', NULL),
		('28T02', 'nbf', 'false', NULL),
		('28T02', 'nbf', '[]', NULL),
		('28T02', 'nbf', '{}', NULL),
		('28T02', 'nbf', '1e300', NULL),
		('ok', 'nbf', '0', NULL),
		('ok', 'nbf', '-1', NULL),
		('ok', 'nbf', seconds(-10), 'ten seconds ago'),
		('28T04', 'nbf', seconds(3600), 'in an hour'),
		('28T04', 'nbf', seconds(3600) || '.5', 'in an hour, with a fraction'),
		('28T04', 'nbf', '253402300799', NULL),
		('ok', 'iat', NULL, NULL),
		('28T02', 'iat', 'null', NULL),
		('28T02', 'iat', '"0"', NULL),
		('28T02', 'iat', 'true', NULL),
		('28T02', 'iat', '[0]', NULL),
		('28T02', 'iat', '{}', NULL),
		('28T02', 'iat', '-1e300', NULL),
		('ok', 'iat', '0', NULL),
		('ok', 'iat', '-1.5', NULL),
		('ok', 'iat', seconds(-10), 'ten seconds ago'),
		('28T04', 'iat', seconds(3600), 'in an hour'),
		('28T04', 'iat', '253402300799', NULL)
	) c (expected, name, value, note);
INSERT INTO tries (expected, description, token) VALUES
	('28T04', 'not yet valid and long expired', good('ed25519', claims('{"nbf": 9999999999, "exp": 1}'))),
	('28T04', 'over for as long as clocks may differ', good('ed25519', with_raw('exp', seconds(-5))));

\echo == compact form
INSERT INTO tries (expected, description, token)
	SELECT expected, description, token FROM good() t, LATERAL (VALUES
		('28T02', 'one space', ' '),
		('28T02', 'a word', 'marker'),
		('28T02', 'one dot', '.'),
		('28T02', 'two dots', '..'),
		('28T02', 'three dots', '...'),
		('28T02', 'quoted', '"' || t || '"'),
		('28T02', 'with the word Bearer', 'Bearer ' || t),
		('28T02', 'after a space', ' ' || t),
		('28T02', 'before a space', t || ' '),
		('28T02', 'before a line feed', t || E'\n'),
		('28T02', 'with a line feed inside', overlay(t PLACING E'\n' FROM 20 FOR 0)),
		('28T02', 'with a space inside', overlay(t PLACING ' ' FROM 20 FOR 0)),
		('28T02', 'with a letter beyond ASCII', overlay(t PLACING chr(233) FROM 20 FOR 1)),
		('28T02', 'one segment', split_part(t, '.', 1)),
		('28T02', 'two segments', split_part(t, '.', 1) || '.' || split_part(t, '.', 2)),
		('28T02', 'no header', '.' || split_part(t, '.', 2) || '.' || split_part(t, '.', 3)),
		('28T02', 'no payload', split_part(t, '.', 1) || '..' || split_part(t, '.', 3)),
		('28T02', 'no signature', split_part(t, '.', 1) || '.' || split_part(t, '.', 2) || '.'),
		('28T02', 'four segments', t || '.AAAA'),
		('28T02', 'a dot at the end', t || '.'),
		('28T02', 'a dot at the beginning', '.' || t),
		('28T02', 'five segments, as a JWE', t || '.AAAA.AAAA'),
		('28T02', 'signature padded', t || '=='),
		('28T02', 'signature with bits beyond its end', left(t, -1) || translate(right(t, 1), 'AQgw', 'BRhx')),
		('28T02', 'signature of an impossible length', t || 'AAA'),
		('28T02', 'JSON serialization', format('{"payload":"%s","protected":"%s","signature":"%s"}', split_part(t, '.', 2), split_part(t, '.', 1), split_part(t, '.', 3)))
	) c (expected, description, token);
-- Each of the other ways to write the same bytes; the signature is of what stands there.
CREATE FUNCTION written(header text, payload text) RETURNS text LANGUAGE sql SET search_path = tokens_test AS $$
	SELECT header || '.' || payload || '.' || minting.run(format('printf %%s %L | %s sign %s EdDSA', header || '.' || payload,
		(SELECT s.value FROM minting.settings s WHERE s.name = 'mint'), k.file)) FROM minting.keys k WHERE k.name = 'ed25519'
$$;
INSERT INTO tries (expected, description, token)
	SELECT expected, description, token FROM encoded(utf8('{"alg":"EdDSA","kid":"ed25519"}')) h,
		(SELECT claims || repeat(' ', 2 - (octet_length(claims) + 1) % 3) FROM claims('{"x": ">>>>>>??????"}')) p (claims),
		encoded(utf8(p.claims)) e, LATERAL (VALUES
		('ok', 'payload in base64url', written(h, e)),
		('28T02', 'payload in base64', written(h, translate(e, '-_', '+/'))),
		('28T02', 'payload padded', written(h, encoded(utf8(p.claims || ' ')) || '==')),
		('28T02', 'payload with a line feed', written(h, overlay(e PLACING E'\n' FROM 40 FOR 0))),
		('28T02', 'header padded', written(h || repeat('=', 3 - (length(h) + 3) % 4), e)),
		('28T02', 'payload of an impossible length', written(h, encoded(utf8(p.claims || ' ')) || 'AAA'))
	) c (expected, description, token);
-- The longest token there may be, and one that is longer.
CREATE FUNCTION of_length(bytes int) RETURNS text LANGUAGE sql SET search_path = tokens_test AS $$
	SELECT good('ed25519', left(c, -1) || ',"x":"' || repeat('x', (bytes - 2 - 86 - length(encoded(utf8('{"alg" : "EdDSA", "kid" : "ed25519"}')))) * 3 / 4 - octet_length(c) - 7) || '"}')
	FROM claims() c
$$;
INSERT INTO tries (expected, description, token) VALUES
	('ok', 'of 16384 bytes', of_length(16384)),
	('28T02', 'of 16386 bytes', of_length(16386)),
	('28T02', 'of a megabyte', repeat('x', 1024 * 1024));
SELECT description, length(token) FROM tries WHERE description LIKE 'of 1638%';

\echo == the verdicts
-- What an application does: set the token, ask. The status is asked first, and both again.
CREATE FUNCTION ask(token text, OUT code text, OUT message text, OUT context text, OUT status text, OUT told text) LANGUAGE plpgsql AS $$
DECLARE
	session record;
	detail text;
	hint text;
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	SELECT * INTO session FROM tenancy.session();
	status := session.status;
	told := (SELECT string_agg(key, ' ' ORDER BY key) FROM jsonb_each(jsonb_strip_nulls(to_jsonb(session))));
	IF session IS DISTINCT FROM (SELECT s FROM tenancy.begin_session(token) s) THEN
		told := 'begin_session() says something else';
	END IF;
	BEGIN
		PERFORM tenancy.current_org();
		code := 'ok';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
			hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
		message := concat_ws(E'\n', message, detail, hint);
	END;
END
$$;

SELECT current_user AS dba \gset
\c - regress_tenancy_app
SET search_path = tokens_test;
UPDATE tries SET (code, message, context, status, told) = (SELECT a.code, a.message, a.context, a.status, a.told FROM ask(token) a),
	again = (SELECT concat_ws(' ', a.code, a.status) FROM ask(token) a);
\c - :dba
SET search_path = tokens_test;
SET client_min_messages = warning;

-- Nothing but what is expected:
SELECT description, expected, code, message, status, again FROM tries
WHERE code IS DISTINCT FROM expected OR again IS DISTINCT FROM concat_ws(' ', code, status) ORDER BY id;
-- What session() says of each: a good token's user is not provisioned here, one that is over is expired, all others are
-- invalid. Who the user is, is told of tokens that are good but for the clock.
SELECT code, CASE WHEN code = '28T04' THEN split_part(message, E'\n', 1) END AS message, status, told, count(*)
FROM tries GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3;
-- All that was said, and that nothing of the tokens is in it.
SELECT code, message, count(*) FROM tries WHERE message IS NOT NULL GROUP BY code, message ORDER BY code, message;
SELECT count(*) FROM tries t WHERE concat(t.message, t.context) ~* 'marker'
	OR EXISTS (SELECT FROM string_to_table(t.token, '.') s WHERE length(s) > 10 AND strpos(concat(t.message, t.context), s) > 0);

\echo == no token
SET ROLE regress_tenancy_app;
SELECT * FROM ask(NULL);
SELECT * FROM ask('');
SELECT status, next_step FROM tenancy.begin_session(NULL);
SELECT status, next_step FROM tenancy.begin_session('');

\echo == every function refuses a bad token
RESET ROLE;
CREATE TABLE calls (call text);
INSERT INTO calls VALUES ('tenancy.current_user_id()'), ('tenancy.current_org()'), ('tenancy.claims()'), ('tenancy.my_orgs()'),
	('tenancy.switch_org(''x'')'), ('tenancy.is_superadmin()'), ('tenancy.is_administrator()'), ('tenancy.assert_administrator(''x'')'),
	('tenancy.provision_user()'), ('tenancy.create_org(''x'')'), ('tenancy.can_i(''read'', ''org'')'), ('tenancy.current_org_if(''read'', ''org'')'),
	('tenancy.require(''read'', ''org'')'), ('tenancy.require_org(''read'', ''org'')'), ('tenancy.my_permissions()'),
	('tenancy.grant_permission(''viewer'', ''read'', ''org'')'), ('tenancy.revoke_permission(''viewer'', ''read'', ''org'')'),
	('tenancy.add_resource_type(''x'')'), ('tenancy.trust_issuer(''x'', ''{}'')'), ('tenancy.import_jwks(''x'', ''{}'')'), ('tenancy.doctor()'),
	('tenancy.set_default_org(NULL)'),
	('tenancy.distrust_issuer(''x'')'), ('tenancy.create_role(''x'')'), ('tenancy.drop_role(''x'')'),
	('tenancy.can_user(NULL, ''x'', ''x'')'), ('tenancy.who_can(''x'', ''x'')'), ('tenancy.require_fresh_authentication(''x'', ''x'', NULL)'),
	('tenancy.permission_matrix'), ('tenancy.audit_log'), ('tenancy.resource_types');
INSERT INTO calls VALUES ('tenancy.members'), ('tenancy.set_member_roles(gen_random_uuid(), ''{viewer}'')'), ('tenancy.remove_member(gen_random_uuid())'), ('tenancy.leave_org()');
INSERT INTO calls VALUES ('tenancy.orgs'), ('tenancy.suspend_org(''x'', ''x'')'), ('tenancy.resume_org(''x'')'), ('tenancy.archive_org(''x'')'),
	('tenancy.rename_org(''x'', ''x'')'), ('tenancy.purge_org(''x'')'), ('tenancy.add_superadmin(gen_random_uuid())'), ('tenancy.remove_superadmin(gen_random_uuid())'),
	('tenancy.enable_user(gen_random_uuid())'), ('tenancy.disable_user(gen_random_uuid())'), ('tenancy.revoke_tokens(gen_random_uuid())'),
	('tenancy.sync_org(''x'', ''x'', ''x'')'), ('tenancy.sync_member(''x'', ''x'', ''x'', ''x'')'), ('tenancy.sync_user_deleted(''x'', ''x'')'),
	('tenancy.why_not(''why_not_note'', ''1'')');
CREATE TABLE why_not_note (id int PRIMARY KEY);
SELECT tenancy.protect('why_not_note');
GRANT SELECT ON why_not_note TO regress_tenancy_app;
INSERT INTO calls VALUES ('tenancy.invite(''x@x.test'')'), ('tenancy.accept_invitation(''x'')'), ('tenancy.revoke_invitation(gen_random_uuid())'), ('tenancy.list_invitations()'), ('tenancy.my_invitations()');
INSERT INTO calls VALUES ('tenancy.act_as(gen_random_uuid(), ''x'')'), ('tenancy.stop_acting()');
GRANT SELECT ON calls TO regress_tenancy_app;
CREATE FUNCTION code_of(call text, token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	EXECUTE 'SELECT FROM ' || call;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;
-- The application's functions that are not in this list: those that say why (session, begin_session, explain_can_i), what only tells
-- whether a setting is in force, and the list behind a view of the database's own tables.
SELECT f FROM tenancy.application_functions() f WHERE NOT EXISTS (SELECT FROM calls WHERE f::text LIKE split_part(call, '(', 1) || '(%') ORDER BY f::text;
SET ROLE regress_tenancy_app;
SELECT code, string_agg(call, ', ') FILTER (WHERE code_of(call, token) <> code) AS otherwise
FROM calls, tries WHERE description IN ('one space', 'claims changed, rs256', 'exp an hour ago', 'iss unknown', 'unknown key id') GROUP BY code ORDER BY code;
RESET ROLE;
DROP TABLE why_not_note;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'why_not_note';
DELETE FROM tenancy.resource_types WHERE name = 'why_not_note';

\echo == clock skew
-- The clock is asked at every use: a remembered token becomes valid, and expires. SET ROLE keeps what the DBA has set.
SHOW tenancy.clock_skew;
CREATE FUNCTION asked(token text) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', code, status) FROM tokens_test.ask(token) $$;
SELECT good('ed25519', with_raw('exp', seconds(-100))) AS over,
	good('ed25519', with_raw('exp', seconds(-300))) AS long_over,
	good('ed25519', with_raw('nbf', seconds(300))) AS early,
	good('ed25519', with_raw('iat', seconds(300))) AS early_issued,
	good('ed25519', with_raw('nbf', seconds(5000))) AS too_early \gset
SET ROLE regress_tenancy_app;
SELECT asked(:'over') AS over, asked(:'long_over') AS long_over, asked(:'early') AS early, asked(:'early_issued') AS early_issued, asked(:'too_early') AS too_early;
RESET ROLE;
SET tenancy.clock_skew = 300;
SET ROLE regress_tenancy_app;
SELECT asked(:'over') AS over, asked(:'long_over') AS long_over, asked(:'early') AS early, asked(:'early_issued') AS early_issued, asked(:'too_early') AS too_early;
RESET ROLE;
SET tenancy.clock_skew = 0;
SET ROLE regress_tenancy_app;
SELECT asked(:'over') AS over, asked(:'long_over') AS long_over, asked(:'early') AS early, asked(:'early_issued') AS early_issued, asked(:'too_early') AS too_early;
-- The application cannot stretch it.
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
SET tenancy.clock_skew = 300;
\set VERBOSITY default
\set ON_ERROR_STOP on
RESET ROLE;
RESET tenancy.clock_skew;

\echo == a bad token does not leave the one before it in force
SELECT good() AS good, tries.token AS bad FROM tries WHERE description = 'unknown key id' \gset
SET ROLE regress_tenancy_app;
SET tenancy.session_token = :'good';
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'bad';
SELECT status FROM tenancy.session();
BEGIN;
SET LOCAL tenancy.session_token = :'good';
SELECT status FROM tenancy.session();
ROLLBACK;
SELECT status FROM tenancy.session();
RESET tenancy.session_token;
SELECT status FROM tenancy.session();
-- Nor does one that is a part of it, or that it is a part of.
SELECT set_config('tenancy.session_token', t, false) IS NOT NULL AS set, asked(t), asked(:'good') AS good FROM unnest(ARRAY[left(:'good', -2), :'good' || 'AA']) t;

\echo == verified claims
SELECT token AS good FROM tries WHERE description = 'payload has a pair of surrogates' \gset
SET tenancy.session_token = :'good';
SELECT tenancy.claims() ->> 'sub' AS sub, tenancy.claims() ->> 'x' AS x, tenancy.claims() = convert_from(decode(rpad(translate(split_part(:'good', '.', 2), '-_', '+/'), (length(split_part(:'good', '.', 2)) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb AS all_of_them;
RESET tenancy.session_token;
SELECT tenancy.claims() IS NULL AS none_without_a_token;
RESET ROLE;

DROP SCHEMA tokens_test CASCADE;
DELETE FROM minting.keys WHERE issuer LIKE 'https://tokens%';
DELETE FROM tenancy.issuers WHERE issuer LIKE 'https://tokens%';
