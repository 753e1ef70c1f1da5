-- The catalogue of tokens: what is tried, one line a case, and what each must come to: ok, or an SQLSTATE. Real keys sign
-- them, byte for byte as they stand here. Include it as the superuser, after test/sql/setup.sql: it leaves all of them in
-- tokens_test.tries, for test/sql/tokens.sql, which looks at what is said of them, and for test/t/token_attacks.pl, which looks at
-- what they open and at the server's log. What no message and no log may tell has the word "marker" in it.
CREATE SCHEMA tokens_test;
GRANT USAGE ON SCHEMA tokens_test TO PUBLIC;
SET search_path = tokens_test;

-- Minting byte by byte: minting.token passes JSON through the shell, which is no place for backslashes and bad UTF-8.
CREATE FUNCTION encoded(bytes bytea) RETURNS text LANGUAGE sql AS $$
	SELECT translate(rtrim(encode(bytes, 'base64'), '='), E'+/\n', '-_')
$$;
-- What is to be signed, as a line for "mint signed": all that is in tries at the end is signed in one go. A case that takes a token
-- apart has it signed at once.
CREATE FUNCTION minted(key text, header bytea, payload bytea, signed_with text DEFAULT NULL) RETURNS text LANGUAGE sql SET search_path = tokens_test AS $$
	SELECT concat_ws(' ', '!', file, coalesce(signed_with, algorithm), encoded(header) || '.' || encoded(payload)) FROM minting.keys WHERE name = key
$$;
CREATE FUNCTION signed(line text) RETURNS text LANGUAGE sql AS $$
	SELECT minting.run(format('echo %s | %s signed', minting.quoted(substr(line, 3)), value)) FROM minting.settings WHERE name = 'mint'
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
SELECT minting.make_key('tokens_other_audience', 'EdDSA', 'ed25519', 'https://tokens-audience.test');
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
CREATE FUNCTION with_raw(name text, value text, issuer text DEFAULT 'https://tokens.test', more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(claims(jsonb_build_object('iss', issuer) || more || jsonb_build_object(name, 'replace-me')), '"replace-me"', replace(value, '\', '\\'))
$$;

ALTER FUNCTION claims SET search_path = tokens_test;
-- A good token of a key, but for the claims given.
CREATE FUNCTION good(key text DEFAULT 'ed25519', VARIADIC claims text[] DEFAULT '{}') RETURNS text LANGUAGE sql SET search_path = tokens_test AS $$
	SELECT minted(key, utf8(json_build_object('alg', algorithm, 'kid', key_id)::text), utf8(coalesce(claims[1], claims()))) FROM minting.keys WHERE name = key
$$;

-- == algorithms
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

-- == signatures
INSERT INTO tries (expected, description, token)
	SELECT '28T03', description, minted(name, utf8((jsonb_build_object('alg', 'ES256', 'kid', 'es256') || more)::text), utf8(claims()))
	FROM minting.keys, LATERAL (VALUES ('signed by somebody else under a known key id', '{}'),
		('signed by somebody else, key in the header', jsonb_build_object('jwk', jwk, 'jku', 'https://marker.test/jwks'))) h (description, more)
	WHERE name = 'tokens_attacker';
-- Nothing that somebody else says is believed, nor answered in detail: which audiences are ours, say.
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'signed by somebody else, ' || coalesce(changes, 'without exp'),
		minted('tokens_attacker', utf8('{"alg":"ES256","kid":"es256"}'), utf8(CASE WHEN changes IS NULL THEN claims('{}', 'exp') ELSE claims(changes::jsonb) END))
	FROM unnest(ARRAY[NULL, '{"exp": 1}', '{"exp": "marker"}', '{"nbf": 9999999999}', '{"iat": "marker"}', '{"aud": 1}', '{"aud": "better-auth:session-cache"}', '{"azp": null}',
		'{"sts": "pending"}', '{"act": {}}', '{"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}']) changes;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'signed by somebody else, ' || coalesce(aud, 'no audience'),
		minted('tokens_other_audience', utf8('{"alg":"EdDSA","kid":"ed25519"}'), utf8(claims(jsonb_strip_nulls(jsonb_build_object('iss', 'https://tokens-audience.test', 'aud', aud)))))
	FROM unnest(ARRAY[NULL, 'api-1', 'marker']) aud;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'claims changed, ' || key, regexp_replace(signed(good(key)), '\.[^.]*\.', '.' || encoded(utf8(claims('{"sub": "marker-other"}'))) || '.') FROM algorithms;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'signature of 3 bytes, ' || key, regexp_replace(signed(good(key)), '[^.]*$', 'AAAA') FROM algorithms;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'bytes after the signature, ' || key, left(t, -4) || 'AAAAAAAA' FROM algorithms, signed(good(key)) t;
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'signature all zero, ' || key, regexp_replace(t, '[^.]*$', repeat('A', length(split_part(t, '.', 3)))) FROM algorithms, signed(good(key)) t;

-- == keys
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

-- == header
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
		('28T02', '{"alg":"EdDSA","kid":"marker","k\u0069d":"ed25519"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":[{"a":1,"\u0061":2}]}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","typ":"JWT","typ":"JWT"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":"\ud83d"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"\udc00ed25519"}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","\ud83d":1}', NULL),
		('28T02', '{"alg\u0000":"none","alg":"EdDSA","kid":"ed25519"}', NULL),
		('28T02', '{"x":{"alg":"EdDSA"},"kid":"ed25519"}', NULL),
		('28T06', '{"alg":"EdDSA","x":{"kid":"ed25519"}}', NULL),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":' || repeat('{"a":', 31) || '1' || repeat('}', 31) || '}', 'nested to depth 32'),
		('ok', '{"alg":"EdDSA","kid":"ed25519","x":' || repeat('{"a":', 30) || '1' || repeat('}', 30) || '}', 'nested to depth 31'),
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
		('ok', E'{ \t\r\n"alg" : "EdDSA" , "kid" : "ed25519" } \n', 'with white space'),
		('ok', E'{\n"alg":"EdDSA","kid":"ed25519"}', 'with a line feed'),
		('ok', E'{\t"alg":"EdDSA","kid":"ed25519"}', 'with a tab'),
		('28T02', ' {"alg":"EdDSA","kid":"ed25519"}', 'after a space'),
		('28T02', E'\n{"alg":"EdDSA","kid":"ed25519"}', 'after a line feed'),
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
		('28T05', '{"alg":"EdDSA","kid":"ed25519","typ":"better-auth.session-cache\u002bjwt"}', NULL),
		('ok', '{"alg":"EdDSA","kid":"ed25519","cty":"JWT","jku":"https://marker.test","x5u":"https://marker.test","x5c":["marker"],"jwk":{},"x":{"y":[1,{"z":2}]}}', NULL)
	) h (expected, header, note);
INSERT INTO tries (expected, description, token)
	SELECT expected, description, minted('ed25519', header, utf8(claims())) FROM (VALUES
		('28T02', 'header with bad UTF-8', '{"alg":"EdDSA","kid":"ed25519","x":"' || '\xff'::bytea || '"}'),
		('28T02', 'header with a NUL byte', '{"alg":"EdDSA","kid":"ed25519"' || '\x00'::bytea || '}'),
		('28T02', 'header with an overlong sequence', '{"alg":"EdDSA","kid":"ed25519","x":"' || '\xc0a2'::bytea || '"}'),
		('28T02', 'header with a surrogate in UTF-8', '{"alg":"EdDSA","kid":"ed25519","x":"' || '\xeda080'::bytea || '"}'),
		('28T02', 'header with bad UTF-8 in a name', '{"alg":"EdDSA","kid":"ed25519","' || '\xff'::bytea || '":1}'),
		('28T02', 'header with a NUL byte after its brace', '{' || '\x00'::bytea || '"alg":"EdDSA","kid":"ed25519"}'),
		('28T02', 'header with a NUL byte in the algorithm', '{"kid":"ed25519","alg":"EdDSA' || '\x00'::bytea || '"}'),
		('28T02', 'header with a NUL byte after it', '{"alg":"EdDSA","kid":"ed25519"}' || '\x00'::bytea)
	) h (expected, description, header);

-- == payload
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
		('28T02', 'has two issuers', left(claims(), -1) || ',"iss":"https://marker.test"}'),
		('28T02', 'has two issuers, one escaped', '{"\u0069ss":"https://marker.test",' || substr(claims(), 2)),
		('28T02', 'has two expiry times', left(claims(), -1) || ',"exp":9999999999}'),
		('28T02', 'has two expiry times, the first escaped', '{"e\u0078p":1,' || substr(claims(), 2)),
		('28T02', 'has two audiences', left(claims(), -1) || ',"aud":"marker","aud":["marker"]}'),
		('28T02', 'has a member twice, once of another type', left(claims(), -1) || ',"email":null}'),
		('28T02', 'has a name with slashes twice, once escaped', left(claims(), -1) || ',"https://a.test/b":1,"https:\/\/a.test\/b":2}'),
		('28T02', 'has an emoji twice, once escaped', left(claims(), -1) || ',"' || chr(128512) || '":1,"\ud83d\ude00":2}'),
		('28T02', 'has an unused member twice', left(claims(), -1) || ',"x":1,"x":1}'),
		('28T02', 'has a nested member twice', left(claims(), -1) || ',"x":{"y":1,"y":2}}'),
		('28T02', 'has a member twice in an array', left(claims(), -1) || ',"x":[{"y":1,"y":2}]}'),
		('ok', 'has one name at two levels', left(claims(), -1) || ',"x":{"sub":1,"x":{"sub":2}}}'),
		('ok', 'has names that differ in case', left(claims(), -1) || ',"Sub":"marker-other"}'),
		('28T02', 'has an escaped NUL', left(claims(), -1) || ',"x":"a\u0000b"}'),
		('28T02', 'has an escaped NUL in a name', left(claims(), -1) || ',"x\u0000":1}'),
		('28T02', 'has a lone high surrogate', left(claims(), -1) || ',"x":"\ud83d"}'),
		('28T02', 'has a lone low surrogate', left(claims(), -1) || ',"x":"\ude00"}'),
		('28T02', 'has a lone surrogate in a name', left(claims(), -1) || ',"\ud83d":1}'),
		('28T02', 'has a lone surrogate deep in an array', left(claims(), -1) || ',"x":[[[{"y":"\udfff"}]]]}'),
		('28T02', 'has a surrogate before another escape', left(claims(), -1) || ',"x":"\ud83d\u0041"}'),
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
		('ok', 'has a number that is too great for jsonb', left(claims(), -1) || ',"x":1e999999,"marker":0}'),
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

-- == issuer and subject
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

-- == audience, authorized party, sign-in status
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

-- == times
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
		('28T02', 'exp', '99e99999999999999999999', NULL),
		('28T02', 'exp', '253402300799.5', NULL),
		('28T02', 'exp', '"' || seconds(3600) || '"', 'a string, in an hour'),
		('28T02', 'exp', '""', NULL),
		('28T02', 'exp', 'false', NULL),
		('28T02', 'exp', '[]', NULL),
		('28T02', 'exp', 'NaN', NULL),
		('28T02', 'exp', 'Infinity', NULL),
		('28T02', 'exp', '+9999999999', NULL),
		('28T02', 'exp', '09999999999', NULL),
		('28T02', 'exp', '9999999999.', NULL),
		('28T02', 'exp', '0x2540be3ff', NULL),
		('28T02', 'exp', '9_999_999_999', NULL),
		('28T02', 'exp', '1e', NULL),
		('28T04', 'exp', '-0', NULL),
		('28T04', 'exp', '1e-3', NULL),
		('28T04', 'exp', '4294967296e-6', NULL),
		('28T04', 'exp', '-9999999999', NULL),
		('ok', 'exp', '99999999990000e-4', NULL),
		('ok', 'exp', '0.00000000009999999999e20', NULL),
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
		('28T02', 'nbf', '-1e300', NULL),
		('28T02', 'nbf', '253402300800', NULL),
		('28T02', 'nbf', '18446744073709551616', NULL),
		('28T02', 'nbf', '"' || seconds(-10) || '"', 'a string, ten seconds ago'),
		('28T02', 'nbf', '[0]', NULL),
		('ok', 'nbf', '-253402300799', NULL),
		('ok', 'nbf', '1.7e9', NULL),
		('ok', 'nbf', seconds(-10) || '.75', 'ten seconds ago, with a fraction'),
		('28T04', 'nbf', '9999999999', NULL),
		('28T04', 'nbf', '1e11', NULL),
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
		('28T02', 'iat', '1e300', NULL),
		('28T02', 'iat', '253402300800', NULL),
		('28T02', 'iat', '18446744073709551616', NULL),
		('28T02', 'iat', '"' || seconds(-10) || '"', 'a string, ten seconds ago'),
		('28T02', 'iat', '""', NULL),
		('ok', 'iat', '-253402300799', NULL),
		('ok', 'iat', '1.7e9', NULL),
		('ok', 'iat', seconds(-10) || '.75', 'ten seconds ago, with a fraction'),
		('28T04', 'iat', seconds(3600) || '.5', 'in an hour, with a fraction'),
		('28T04', 'iat', '9999999999', NULL),
		('ok', 'iat', '0', NULL),
		('ok', 'iat', '-1.5', NULL),
		('ok', 'iat', seconds(-10), 'ten seconds ago'),
		('28T04', 'iat', seconds(3600), 'in an hour'),
		('28T04', 'iat', '253402300799', NULL)
	) c (expected, name, value, note);
-- A time that no rule asks for makes no token bad; what it is not good for is in test/sql/step_up.sql.
INSERT INTO tries (expected, description, token)
	SELECT 'ok', format('auth_time %s', value), good('ed25519', with_raw('auth_time', value))
	FROM unnest(ARRAY['null', '"0"', '-1', '0.5', '1e300', '1e4000', '253402300800', 'true', '[0]', '{}']) value;
INSERT INTO tries (expected, description, token) VALUES
	('28T02', 'expiry time in an object', good('ed25519', claims('{"x": {"exp": 9999999999}, "claims": {"exp": 9999999999}}', 'exp'))),
	('28T02', 'expiry time under other names', good('ed25519', claims('{"EXP": 9999999999, "exp ": 9999999999, "expires": 9999999999, ".exp": 9999999999}', 'exp'))),
	('28T02', 'subject in an object', good('ed25519', claims('{"x": {"sub": "marker-subject"}, "user": {"sub": "marker-subject"}}', 'sub'))),
	('28T04', 'not yet valid and long expired', good('ed25519', claims('{"nbf": 9999999999, "exp": 1}'))),
	('28T04', 'over for as long as clocks may differ', good('ed25519', with_raw('exp', seconds(-5))));

-- == compact form
INSERT INTO tries (expected, description, token)
	SELECT expected, description, token FROM signed(good()) t, LATERAL (VALUES
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
		('28T02', 'a plus sign in the signature', overlay(t PLACING '+' FROM length(t) - 9)),
		('28T02', 'a slash in the signature', overlay(t PLACING '/' FROM length(t) - 9)),
		('28T02', 'a line feed in the signature', overlay(t PLACING E'\n' FROM length(t) - 9 FOR 0)),
		('28T02', 'JSON serialization', format('{"payload":"%s","protected":"%s","signature":"%s"}', split_part(t, '.', 2), split_part(t, '.', 1), split_part(t, '.', 3)))
	) c (expected, description, token);
-- Of each algorithm whose signature leaves bits over: with the last of them set.
CREATE FUNCTION following(text text) RETURNS text LANGUAGE sql AS $$ SELECT left(text, -1) || chr(ascii(right(text, 1)) + 1) $$;
INSERT INTO tries (expected, description, token)
	SELECT '28T02', 'signature with a bit beyond its end, ' || key, following(t) FROM algorithms, signed(good(key)) t WHERE length(split_part(t, '.', 3)) % 4 <> 0;
-- Cut after each of its characters: three parts, in base64url, are a token that nobody signed.
INSERT INTO tries (expected, description, token)
	SELECT CASE WHEN length(s) % 4 = 0 AND s <> '' OR length(s) % 4 = 2 AND s ~ '[AQgw]$' OR length(s) % 4 = 3 AND s ~ '[AEIMQUYcgkosw048]$' THEN '28T03' ELSE '28T02' END,
		format('cut after %s characters', n), left(t, n)
	FROM signed(good('ed25519')) t, generate_series(1, length(t) - 1) n, split_part(left(t, n), '.', 3) s;
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
		('ok', 'header in base64url', written(encoded(utf8('{"alg":"EdDSA","kid":"ed25519","x":">>>>>>??????"}')), e)),
		('28T02', 'header in base64', written(translate(encoded(utf8('{"alg":"EdDSA","kid":"ed25519","x":">>>>>>??????"}')), '-_', '+/'), e)),
		('28T02', 'header with a line feed', written(overlay(h PLACING E'\n' FROM 20 FOR 0), e)),
		-- of 31, 32 and 31 bytes: so many bits are left over
		('28T02', 'header with four bits beyond its end', written(following(h), e)),
		('28T02', 'header with two bits beyond its end', written(following(encoded(utf8('{"alg":"EdDSA","kid":"ed25519"} '))), e)),
		('28T02', 'payload with four bits beyond its end', written(h, following(encoded(utf8(p.claims || ' '))))),
		('28T02', 'payload with two bits beyond its end', written(h, following(encoded(utf8(p.claims || '  '))))),
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

-- == keys that are known or chosen by an attacker
-- HMAC with something public as the secret; "known" has no key of that kind.
CREATE FUNCTION secret_signed(secret bytea, header text, payload text) RETURNS text LANGUAGE plpgsql SET search_path = tokens_test AS $$
DECLARE
	file text := format('%s/minting_%s_secret', current_setting('data_directory'), current_database());
BEGIN
	PERFORM minting.run(format('echo oct:%s > %s', encoded(secret), file));
	RETURN signed(concat_ws(' ', '!', file, 'HS256', encoded(utf8(header)) || '.' || encoded(utf8(payload))));
END
$$;
CREATE FUNCTION decoded(text text) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(rpad(translate(text, '-_', '+/'), (length(text) + 3) / 4 * 4, '='), 'base64') $$;
CREATE FUNCTION jwk(key text) RETURNS jsonb LANGUAGE sql AS $$ SELECT k.jwk FROM minting.keys k WHERE k.name = key $$;
INSERT INTO tries (expected, description, token)
	SELECT expected, 'HS256, secret: ' || description, secret_signed(secret, format('{"alg":"HS256","kid":"%s"}', kid), claims()) FROM (VALUES
		('28T03', 'modulus of rs256', 'rs256', decoded(jwk('rs256') ->> 'n')),
		('28T03', 'modulus of rs256, in base64url', 'rs256', utf8(jwk('rs256') ->> 'n')),
		('28T03', 'JWK of rs256', 'rs256', utf8(jwk('rs256')::text)),
		('28T03', 'x of es256', 'es256', decoded(jwk('es256') ->> 'x')),
		('28T03', 'x and y of es256', 'es256', '\x04'::bytea || decoded(jwk('es256') ->> 'x') || decoded(jwk('es256') ->> 'y')),
		('28T03', 'JWK of es256', 'es256', utf8(jwk('es256')::text)),
		('28T03', 'x of ed25519', 'ed25519', decoded(jwk('ed25519') ->> 'x')),
		('28T03', 'x of ed25519, in base64url', 'ed25519', utf8(jwk('ed25519') ->> 'x')),
		('28T03', 'JWKS of the issuer', 'es256', utf8(minting.jwks('es256')::text)),
		('28T03', 'a key id', 'ed25519', utf8('ed25519')),
		('28T03', 'the issuer', 'ed25519', utf8('https://tokens.test')),
		('28T03', 'nothing, for an HMAC key', 'hs256', ''),
		('28T03', '32 zero bytes, for an HMAC key', 'hs256', decode(repeat('00', 32), 'hex')),
		('28T03', 'the word secret, for an HMAC key', 'hs256', 'secret'),
		('28T03', 'the first 31 bytes of the HMAC key', 'hs256', substr(decoded(jwk('hs256') ->> 'k'), 1, 31)),
		('28T03', 'the HMAC key in base64url', 'hs256', utf8(jwk('hs256') ->> 'k')),
		('28T03', 'another HMAC key of the issuer', 'hs256', decoded(jwk('hs512') ->> 'k')),
		('28T06', 'an empty file, by its path as the key id', '../../../../../../dev/null', ''),
		('28T06', 'nothing, by an unknown key id', 'marker', ''),
		('ok', 'the HMAC key itself', 'hs256', decoded(jwk('hs256') ->> 'k')),
		-- HMAC fills a short key with zeros: the same key
		('ok', 'the HMAC key and a zero byte', 'hs256', decoded(jwk('hs256') ->> 'k') || '\x00'::bytea)
	) s (expected, description, kid, secret);
-- Key ids that look for a file, a query, a command or a near miss.
INSERT INTO tries (expected, description, token)
	SELECT '28T06', 'key id ' || to_json(kid), minted('ed25519', utf8(json_build_object('alg', 'EdDSA', 'kid', kid)::text), utf8(claims())) FROM unnest(ARRAY[
		'../ed25519', './ed25519', '/dev/null', 'file:///dev/null', 'https://marker.test/jwks.json#ed25519', 'ed25519'' OR ''1''=''1', 'x'' UNION SELECT ''AAAA', '%', '_d25519', '*',
		'ed25519;--', 'ed25519 ', ' ed25519', E'ed25519\n', E'ed25519\r\n', 'ed25519/', 'Ed25519', 'ed25519,es256', '["ed25519"]', '{"kid":"ed25519"}', '$(id)', '`id`', '|id', 'null', '0', '-1',
		E'\u0435d25519', E'ed25519\u200b', E'\ufeffed25519', 'ed2551', 'ed255199', repeat('e', 300)]) kid;
-- Another issuer's key of the same id: the issuer says whose.
SELECT minting.make_key('tokens_other', 'EdDSA', 'ed25519', 'https://tokens-other.test');
SELECT tenancy.trust_issuer('https://tokens-other.test', minting.jwks('tokens_other'));
INSERT INTO tries (expected, description, token)
	SELECT expected, description, minted(key, utf8('{"alg":"EdDSA","kid":"ed25519"}'), utf8(claims(changes::jsonb))) FROM (VALUES
		('ok', 'the same key id at another issuer', 'tokens_other', '{"iss": "https://tokens-other.test"}'),
		('28T03', 'another issuer''s key of the same id', 'tokens_other', '{}'),
		('28T03', 'at another issuer, the key of the same id', 'ed25519', '{"iss": "https://tokens-other.test"}')
	) k (expected, description, key, changes);
-- A key that the token brings along: with a known key id, an unknown one, and none.
INSERT INTO tries (expected, description, token)
	SELECT expected, format('key in the header: %s, %s', name, note), minted('tokens_attacker', utf8((jsonb_build_object('alg', 'ES256') || kid || jsonb_build_object(name, value))::text), utf8(claims()))
	FROM (VALUES ('28T03', 'known key id', '{"kid": "es256"}'::jsonb), ('28T06', 'unknown key id', '{"kid": "marker"}'), ('28T06', 'no key id', '{}')) i (expected, note, kid),
		(VALUES ('jwk', jwk('tokens_attacker')), ('jwks', minting.jwks('tokens_attacker')), ('jku', '"https://marker.test/jwks"'), ('x5u', '"https://marker.test/cert"'), ('x5c', '["marker"]'),
			('x5t', '"marker"'), ('x5t#S256', '"marker"'), ('key', jwk('tokens_attacker')), ('keys', minting.jwks('tokens_attacker') -> 'keys'), ('iss', '"https://tokens.test"')) h (name, value);

-- == algorithms, once more
INSERT INTO tries (expected, description, token)
	SELECT expected, 'alg ' || header, minted('ed25519', utf8(header), utf8(claims())) FROM (VALUES
		('28T03', '{"alg":"none ","kid":"ed25519"}'),
		('28T03', '{"alg":" none","kid":"ed25519"}'),
		('28T03', '{"alg":"EdDSA ","kid":"ed25519"}'),
		('28T03', '{"alg":" EdDSA","kid":"ed25519"}'),
		('28T03', '{"alg":"Ed25519","kid":"ed25519"}'),
		('28T03', '{"alg":"HS256,EdDSA","kid":"ed25519"}'),
		('28T03', '{"alg":"\u006eone","kid":"ed25519"}'),
		('28T02', '{"alg":"none\u0000","kid":"ed25519"}'),
		('28T02', '{"alg":"EdDSA\u0000","kid":"ed25519"}'),
		('28T02', '{"Alg":"EdDSA","kid":"ed25519"}'),
		('28T02', '{"ALG":"EdDSA","kid":"ed25519"}'),
		('28T02', '{"alg ":"EdDSA","kid":"ed25519"}'),
		('28T02', '{"alg":true,"kid":"ed25519"}'),
		('28T02', '{"alg":["none","EdDSA"],"kid":"ed25519"}'),
		('ok', '{"alg":"\u0045dDSA","kid":"ed25519"}'),
		('ok', '{"alg":"EdDSA","Alg":"none","kid":"ed25519"}'),
		('ok', '{"alg":"EdDSA","kid":"ed25519","Kid":"marker","enc":"A256GCM"}'),
		('ok', '{"alg":"EdDSA","kid":"ed25519","zip":"DEF"}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":["marker"],"marker":true}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":["alg"]}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":["typ","typ"],"typ":"JWT"}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":[1]}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","crit":true}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","\u0063rit":["exp"]}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","b64":null}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","b64":"true"}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","b64":0}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","\u00624":1,"b64":false}'),
		('ok', '{"alg":"EdDSA","kid":"ed25519","Crit":["exp"],"B64":false}'),
		('28T02', '{"alg":"EdDSA","kid":"ed25519","x":' || repeat('[', 5000) || repeat(']', 5000) || '}'),
		('28T02', '{"alg":' || repeat('[', 10000))
	) h (expected, header);

-- == signatures, byte by byte
-- Integers of a signature: big-endian, and little-endian for EdDSA.
CREATE FUNCTION number(bytes bytea) RETURNS numeric LANGUAGE sql AS $$
	SELECT sum(get_byte(bytes, i)::numeric * 256::numeric ^ (length(bytes) - 1 - i))::numeric(1000, 0) FROM generate_series(0, length(bytes) - 1) i
$$;
CREATE FUNCTION bytes(number numeric, size int) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	result bytea := '';
BEGIN
	FOR i IN 1 .. size LOOP
		result := set_byte('\x00', 0, mod(number, 256)::int) || result;
		number := div(number, 256);
	END LOOP;
	RETURN result;
END
$$;
CREATE FUNCTION reversed(bytes bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT string_agg(substr(bytes, i, 1), '' ORDER BY i DESC) FROM generate_series(1, length(bytes)) i $$;
CREATE FUNCTION with_signature(token text, signature bytea) RETURNS text LANGUAGE sql SET search_path = tokens_test AS $$ SELECT regexp_replace(token, '[^.]*$', encoded(signature)) $$;
\set n_256 115792089210356248762697446949407573529996955224135760342422259061068512044369
\set l_25519 7237005577332262213973186563042994240857116359379907606001950938285454250989
INSERT INTO tries (expected, description, token)
	SELECT expected, 'ES256, ' || description, with_signature(t, signature)
	FROM signed(good('es256')) t, decoded(split_part(t, '.', 3)) s, substr(s, 1, 32) r_bytes, substr(s, 33) s_bytes, decode(repeat('00', 32), 'hex') zero, LATERAL (VALUES
		('ok', 'r and s as they are', s),
		-- ECDSA's twin of each signature; that it has one opens nothing, as no token is told by its signature
		('ok', 's is n - s', r_bytes || bytes(:n_256 - number(s_bytes), 32)),
		('28T03', 'r is zero', zero || s_bytes),
		('28T03', 's is zero', r_bytes || zero),
		('28T03', 'r is one and s is one', bytes(1, 32) || bytes(1, 32)),
		('28T03', 'r is n', bytes(:n_256, 32) || s_bytes),
		('28T03', 's is n', r_bytes || bytes(:n_256, 32)),
		('28T03', 'r is n - r', bytes(:n_256 - number(r_bytes), 32) || s_bytes),
		('28T03', 'r is n - 1, s is n - 1', bytes(:n_256 - 1, 32) || bytes(:n_256 - 1, 32)),
		('28T03', 'r and s all ones', decode(repeat('ff', 64), 'hex')),
		('28T03', 'r and s zero', zero || zero),
		('28T03', 'r and s are n', bytes(:n_256, 32) || bytes(:n_256, 32)),
		('28T03', 'r is n + 1, s is one', bytes(:n_256 + 1, 32) || bytes(1, 32)),
		('28T03', 'r is the x of the generator, s is one', '\x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'::bytea || bytes(1, 32)),
		('28T03', 'r is the x of the key, s is one', decoded(jwk('es256') ->> 'x') || bytes(1, 32)),
		('28T03', 'r and s exchanged', s_bytes || r_bytes),
		('28T03', 'r twice', r_bytes || r_bytes),
		('28T03', 'r alone', r_bytes),
		('28T03', 'a byte less', substr(s, 1, 63)),
		('28T03', 'a byte more', s || '\x00'::bytea),
		('28T03', 'halves longer by a zero', '\x00'::bytea || r_bytes || '\x00'::bytea || s_bytes),
		('28T03', 'the first bit flipped', set_bit(s, 7, 1 - get_bit(s, 7))),
		('28T03', 'the last bit flipped', set_bit(s, 504, 1 - get_bit(s, 504))),
		('28T03', 'signature twice', s || s)
	) e (expected, description, signature);
INSERT INTO tries (expected, description, token)
	SELECT '28T03', 'in DER, ' || key, minted(key, utf8(json_build_object('alg', algorithm, 'kid', key)::text), utf8(claims()), algorithm || ':DER')
	FROM algorithms WHERE algorithm LIKE 'ES%';
INSERT INTO tries (expected, description, token)
	SELECT expected, 'Ed25519, ' || description, with_signature(t, signature)
	FROM signed(good('ed25519')) t, decoded(split_part(t, '.', 3)) s, substr(s, 1, 32) r_bytes, substr(s, 33) s_bytes, decode(repeat('00', 32), 'hex') zero, LATERAL (VALUES
		('ok', 'R and S as they are', s),
		('28T03', 'S + L', r_bytes || reversed(bytes(number(reversed(s_bytes)) + :l_25519, 32))),
		('28T03', 'S is zero', r_bytes || zero),
		('28T03', 'S is L', r_bytes || reversed(bytes(:l_25519, 32))),
		('28T03', 'R is zero', zero || s_bytes),
		('28T03', 'R neutral, S zero', reversed(bytes(1, 32)) || zero),
		('28T03', 'R of small order, S zero', decode('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex') || zero),
		('28T03', 'R neutral, written as p + 1, S zero', decode('ee' || repeat('ff', 30) || '7f', 'hex') || zero),
		('28T03', 'R neutral, with a sign, S zero', decode('01' || repeat('00', 30) || '80', 'hex') || zero),
		('28T03', 'R of order 2, S zero', decode('ec' || repeat('ff', 30) || '7f', 'hex') || zero),
		('28T03', 'R of order 4, S zero', zero || zero),
		('28T03', 'R neutral, S one', reversed(bytes(1, 32)) || reversed(bytes(1, 32))),
		('28T03', 'S + 2 L', r_bytes || reversed(bytes(number(reversed(s_bytes)) + 2 * :l_25519, 32))),
		('28T03', 'L - S', r_bytes || reversed(bytes(:l_25519 - number(reversed(s_bytes)), 32))),
		('28T03', 'R with its sign flipped', set_bit(s, 255, 1 - get_bit(s, 255))),
		('28T03', 'R and S exchanged', s_bytes || r_bytes),
		('28T03', 'all ones', decode(repeat('ff', 64), 'hex')),
		('28T03', 'a byte less', substr(s, 1, 63)),
		('28T03', 'a byte more', s || '\x00'::bytea),
		('28T03', 'R alone', r_bytes)
	) e (expected, description, signature);
INSERT INTO tries (expected, description, token)
	SELECT expected, format('%s, salt of %s', key, salt), minted(key, utf8(json_build_object('alg', upper(key), 'kid', key)::text), utf8(claims()), upper(key) || ':' || salt) FROM (VALUES
		('ok', 'ps256', 32), ('ok', 'ps384', 48), ('ok', 'ps512', 64),
		('28T03', 'ps256', 0), ('28T03', 'ps256', 20), ('28T03', 'ps256', 31), ('28T03', 'ps256', 33), ('28T03', 'ps256', 222),
		('28T03', 'ps384', 0), ('28T03', 'ps384', 32), ('28T03', 'ps384', 206), ('28T03', 'ps512', 0), ('28T03', 'ps512', 32), ('28T03', 'ps512', 190)) p (expected, key, salt);
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('%s, %s', key, description), with_signature(t, signature)
	FROM unnest('{rs256,ps256}'::text[]) key, signed(good(key)) t, decoded(split_part(t, '.', 3)) s, decoded(jwk('rs256') ->> 'n') n, LATERAL (VALUES
		('a zero byte before it', '\x00'::bytea || s),
		('its first byte missing', substr(s, 2)),
		('the modulus itself', n),
		('the modulus less one', bytes(number(n) - 1, 256)),
		('one', bytes(1, 256)),
		('its negative', bytes(number(n) - number(s), 256))
	) e (description, signature);
-- What RS256 signs, in a form that is not to the letter: a key's owner could, and for an exponent of 3 anybody. Another mask for PS256.
SELECT tenancy.trust_issuer('https://tokens-exponent.test', jsonb_build_object('keys', jsonb_build_array(jwk('rs256') || '{"e": "Aw", "kid": "cubic"}')));
INSERT INTO tries (expected, description, token)
	SELECT CASE form WHEN 'PROPER' THEN 'ok' ELSE '28T03' END, 'RS256, ' || form, minted('rs256', utf8('{"alg":"RS256","kid":"rs256"}'), utf8(claims()), 'RS256:' || form)
	FROM unnest('{PROPER,GARBAGE,PARAMETERS,BYTE-AFTER,LONG-HASH,NO-PARAMETERS,LONG-LENGTH,OF-SHA512,BARE-HASH,TYPE-0,TYPE-2,OTHER-PADDING,CUBE-ROOT}'::text[]) form;
INSERT INTO tries (expected, description, token) VALUES
	('28T03', 'RS256, exponent 3, a cube root', minted('rs256', utf8('{"alg":"RS256","kid":"cubic"}'), utf8(claims('{"iss": "https://tokens-exponent.test"}')), 'RS256:CUBE-ROOT')),
	('28T03', 'RS256, exponent 3, signed with another', minted('rs256', utf8('{"alg":"RS256","kid":"cubic"}'), utf8(claims('{"iss": "https://tokens-exponent.test"}')))),
	('28T03', 'PS256, mask of SHA-1', minted('ps256', utf8('{"alg":"PS256","kid":"ps256"}'), utf8(claims()), 'PS256:MGF1-SHA1'));
INSERT INTO tries (expected, description, token)
	SELECT '28T03', format('%s, half of it', key), with_signature(t, substr(s, 1, length(s) / 2)) FROM unnest('{hs256,hs384,hs512}'::text[]) key, signed(good(key)) t, decoded(split_part(t, '.', 3)) s;

-- == parts of tokens
INSERT INTO tries (expected, description, token)
	SELECT expected, description, token FROM signed(good('es256')) t, signed(good('es256', claims('{"sub": "marker-other"}'))) o,
		split_part(t, '.', 1) h, split_part(t, '.', 2) p, split_part(t, '.', 3) s, LATERAL (VALUES
		('28T03', 'another token''s payload', h || '.' || split_part(o, '.', 2) || '.' || s),
		('28T03', 'another token''s signature', h || '.' || p || '.' || split_part(o, '.', 3)),
		('28T02', 'payload and header exchanged', p || '.' || h || '.' || s),
		('28T02', 'header as payload', h || '.' || h || '.' || s),
		('28T02', 'payload as header', p || '.' || p || '.' || s),
		('28T02', 'two tokens', t || o),
		('28T02', 'two tokens, a dot between', t || '.' || o),
		('28T02', 'two tokens, a comma between', t || ',' || o),
		('28T02', 'two tokens, a space between', t || ' ' || o),
		('28T02', 'as a JWE, nothing encrypted', h || '....'),
		('28T02', 'as a JWE, its parts the token''s', h || '.' || s || '.' || s || '.' || p || '.' || s),
		('28T02', 'as a JWE by its header', encoded('{"alg":"dir","enc":"A256GCM","kid":"es256"}') || '..' || s || '.' || p || '.' || s),
		('28T03', 'a JWE''s header, three parts', encoded('{"alg":"dir","enc":"A256GCM","kid":"es256"}') || '.' || p || '.' || s),
		('28T02', 'a token in a token', h || '.' || encoded(utf8(t)) || '.' || s),
		('28T02', 'percent-encoded dots', replace(t, '.', '%2E')),
		('28T02', 'dots of full width', replace(t, '.', chr(65294))),
		('28T02', 'a header of letters of full width', translate(h, 'abcdef', E'\uFF41\uFF42\uFF43\uFF44\uFF45\uFF46') || '.' || p || '.' || s),
		('28T02', 'cut in the header', left(t, 10)),
		('28T02', 'cut before the payload', h || '.'),
		('28T02', 'cut in the payload', h || '.' || left(p, 20)),
		('28T02', 'cut after the payload', h || '.' || p),
		('28T03', 'cut in the signature', h || '.' || p || '.' || left(s, 40)),
		('28T02', 'cut by one character', left(t, -1)),
		('28T03', 'cut by two characters', h || '.' || p || '.' || left(s, -2)),
		('28T02', 'as a cookie', 'session=' || t),
		('28T02', 'as a query', '?token=' || t),
		('28T02', 'in brackets', '<' || t || '>'),
		('28T02', 'as hexadecimal', encode(utf8(t), 'hex')),
		('28T02', 'in base64', encoded(utf8(t))),
		('28T02', 'with a tab before it', E'\t' || t),
		('28T02', 'with a carriage return after it', t || E'\r\n'),
		('28T02', 'with a byte order mark', chr(65279) || t),
		('28T02', 'with a space of zero width', t || chr(8203)),
		('28T02', 'the header with bits beyond its end', 'eyJhbGciOiJFUzI1NiJ' || '7' || '.' || p || '.' || s),
		('28T02', 'flattened JSON serialization with a header', format('{"payload":"%s","protected":"%s","header":{"kid":"es256"},"signature":"%s"}', p, h, s)),
		('28T02', 'flattened JSON serialization, dots in it', format('{"a":"%s","b":"."}', t)),
		('28T02', 'JSON array of a token', format('["%s"]', t)),
		('28T02', 'general JSON serialization', format('{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}', p, h, s)),
		('28T02', 'JSON serialization with an open header', format('{"payload":"%s","header":{"alg":"none"},"signature":"%s"}', p, s)),
		('28T02', 'SD-JWT', t || '~' || encoded('["salt","sub","marker"]') || '~'),
		('28T02', 'PASETO', 'v4.public.' || p),
		('28T02', 'a JSON object', '{"sub":"marker-subject"}'),
		('28T02', 'only dots', repeat('.', 16384)),
		('28T02', 'only a letter, as long as can be', repeat('A', 16384)),
		('28T02', 'ten megabytes', repeat('A', 10 * 1024 * 1024)),
		('28T02', 'ten megabytes in three parts', h || '.' || repeat('A', 10 * 1024 * 1024) || '.' || s)
	) c (expected, description, token);

-- == not access tokens
-- Better Auth signs its cookie cache with the same keys.
INSERT INTO tries (expected, description, token)
	SELECT expected, description, minted('ed25519', utf8(header), utf8(claims(changes::jsonb, VARIADIC without::text[]))) FROM (VALUES
		('28T05', 'Better Auth''s cookie cache', '{"alg":"EdDSA","kid":"ed25519","typ":"better-auth.session-cache+jwt"}', '{"aud": "better-auth:session-cache", "session": {"token": "marker"}, "user": {"id": "marker-subject"}, "version": "1"}', '{}'),
		('28T05', 'Better Auth''s cookie cache, by its type', '{"alg":"EdDSA","kid":"ed25519","typ":"better-auth.session-cache+jwt"}', '{"aud": "https://tokens.test"}', '{}'),
		('28T05', 'Better Auth''s cookie cache, by its audience alone', '{"alg":"EdDSA","kid":"ed25519","typ":"JWT"}', '{"aud": "better-auth:session-cache", "session": {"token": "marker"}, "user": {"id": "marker-subject"}, "version": "1"}', '{}'),
		('28T05', 'Better Auth''s cookie cache, by its audience', '{"alg":"EdDSA","kid":"ed25519"}', '{"aud": ["https://tokens.test", "better-auth:session-cache"]}', '{}'),
		('28T02', 'Better Auth''s cookie cache, without a subject', '{"alg":"EdDSA","kid":"ed25519"}', '{"session": {"token": "marker"}, "user": {"id": "marker"}, "updatedAt": 1}', '{sub}'),
		('28T05', 'Better Auth''s cookie cache, by its whole type', '{"alg":"EdDSA","kid":"ed25519","typ":"application/better-auth.session-cache+jwt"}', '{}', '{}'),
		('28T05', 'a logout token', '{"alg":"EdDSA","kid":"ed25519","typ":"logout+jwt"}', '{"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "jti": "marker", "sid": "marker"}', '{}'),
		('28T05', 'a logout token, by its type', '{"alg":"EdDSA","kid":"ed25519","typ":"Logout+JWT"}', '{}', '{}'),
		('28T05', 'a logout token, by its whole type', '{"alg":"EdDSA","kid":"ed25519","typ":"application/logout+jwt"}', '{}', '{}'),
		('28T05', 'a logout token, by its event', '{"alg":"EdDSA","kid":"ed25519","typ":"JWT"}', '{"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}', '{}'),
		('28T05', 'a logout token, by its event with a value', '{"alg":"EdDSA","kid":"ed25519"}', '{"events": {"http://schemas.openid.net/event/backchannel-logout": "marker"}}', '{}'),
		('ok', 'events of the application''s own', '{"alg":"EdDSA","kid":"ed25519","typ":"application/at+jwt"}', '{"events": ["concert"], "event": {"backchannel-logout": {}}}', '{}'),
		('28T02', 'a logout token, without expiry', '{"alg":"EdDSA","kid":"ed25519","typ":"logout+jwt"}', '{"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}', '{exp}'),
		('28T02', 'somebody acts, nobody says who', '{"alg":"EdDSA","kid":"ed25519"}', '{"act": {}}', '{}'),
		('28T02', 'somebody acts, by a number', '{"alg":"EdDSA","kid":"ed25519"}', '{"act": {"sub": 1}}', '{}'),
		('28T02', 'somebody acts, without a name', '{"alg":"EdDSA","kid":"ed25519"}', '{"act": {"sub": ""}}', '{}'),
		('28T02', 'somebody acts, as a string', '{"alg":"EdDSA","kid":"ed25519"}', '{"act": "marker"}', '{}'),
		('28T02', 'somebody acts, as an array', '{"alg":"EdDSA","kid":"ed25519"}', '{"act": ["marker"]}', '{}'),
		('ok', 'somebody acts', '{"alg":"EdDSA","kid":"ed25519"}', '{"act": {"sub": "marker-actor"}}', '{}'),
		('ok', 'claims of the database''s own names', '{"alg":"EdDSA","kid":"ed25519"}', '{"role": "postgres", "is_superadmin": true, "org_id": "marker", "roles": ["admin"], "user_id": "marker"}', '{}')
	) c (expected, description, header, changes, without);
-- What standards have published is no access token: no subject, or no JSON.
INSERT INTO tries (expected, description, token) VALUES
	('28T02', 'RFC 8037 A', 'eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ._vSpFAYzQd76KTga_fKXdhrh3C0FWu4LvjqsxWd4NRyBOrKTdBeh_PkyRQtFmRgGKgdW5upgieZM67Gbz4AtAA'),
	('28T02', 'RFC 7515 A.3', 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'),
	('28T02', 'RFC 7515 A.2', 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'),
	('28T02', 'RFC 7515 A.1', 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'),
	('28T02', 'RFC 7520 4.1, RS256', 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg'),
	('28T02', 'RFC 7520 4.2, PS384', 'eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw'),
	('28T02', 'RFC 7520 4.3, ES512', 'eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2'),
	('28T02', 'RFC 7520 4.4, HS256', 'eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0'),
	('28T02', 'RFC 7520 4.5, detached', 'eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9..s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0'),
	('28T02', 'RFC 7520 4.4, flattened JSON', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","protected":"eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9","signature":"s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"}'),
	('28T02', 'RFC 7520 4.4, general JSON', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","signatures":[{"protected":"eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9","signature":"s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"}]}'),
	('28T02', 'RFC 7520 5.6, a JWE', 'eyJhbGciOiJkaXIiLCJraWQiOiI3N2M3ZTJiOC02ZTEzLTQ1Y2YtODY3Mi02MTdiNWI0NTI0M2EiLCJlbmMiOiJBMTI4R0NNIn0..refa467QzzKx6QAB.JW_i_f52hww_ELQPGaYyeAB6HYGcR559l9TYnSovc23XJoBcW29rHP8yZOZG7YhLpT1bjFuvZPjQS-m0IFtVcXkZXdH_lr_FrdYt9HRUYkshtrMmIUAyGmUnd9zMDB2n0cRDIHAzFVeJUDxkUwVAE7_YGRPdcqMyiBoCO-FBdE-Nceb4h3-FtBP-c_BIwCPTjb9o0SbdcdREEMJMyZBH8ySWMVi1gPD9yxi-aQpGbSv_F9N4IZAxscj5g-NJsUPbjk29-s7LJAGb15wEBtXphVCgyy53CoIKLHHeJHXex45Uz9aKZSRSInZI-wjsY0yu3cT4_aQ3i1o-tiE-F8Ios61EKgyIQ4CWao8PFMj8TTnp.vbb32Xvllea2OtmHAdccRQ'),
	('28T02', 'RFC 7797 4.2, b64 false', 'eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2V9.$.02.GsyM6AQJbQHY8aQKCbZSPJHzMRWo3HKIlcDuXof7nqs'),
	('28T02', 'RFC 8037 A.4, EdDSA', 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'),
	('28T02', 'RFC 7520 4.6, flattened JSON, key id unprotected', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","protected":"eyJhbGciOiJIUzI1NiJ9","header":{"kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"},"signature":"bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20"}'),
	('28T02', 'RFC 7520 4.6, general JSON, key id unprotected', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","signatures":[{"protected":"eyJhbGciOiJIUzI1NiJ9","header":{"kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"},"signature":"bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20"}]}'),
	('28T02', 'RFC 7520 4.7, flattened JSON, nothing but the content protected', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","header":{"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"},"signature":"xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk"}'),
	('28T02', 'RFC 7520 4.7, general JSON, nothing but the content protected', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","signatures":[{"header":{"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"},"signature":"xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk"}]}'),
	('28T02', 'RFC 7520 4.7, its signing input as a compact form without a header', '.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk'),
	('28T02', 'RFC 7520 4.8, three signatures', '{"payload":"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4","signatures":[{"protected":"eyJhbGciOiJSUzI1NiJ9","header":{"kid":"bilbo.baggins@hobbiton.example"},"signature":"MIsjqtVlOpa71KE-Mss8_Nq2YH4FGhiocsqrgi5NvyG53uoimic1tcMdSg-qptrzZc7CG6Svw2Y13TDIqHzTUrL_lR2ZFcryNFiHkSw129EghGpwkpxaTn_THJTCglNbADko1MZBCdwzJxwqZc-1RlpO2HibUYyXSwO97BSe0_evZKdjvvKSgsIqjytKSeAMbhMBdMma622_BG5t4sdbuCHtFjp9iJmkio47AIwqkZV1aIZsv33uPUqBBCXbYoQJwt7mxPftHmNlGoOSMxR_3thmXTCm4US-xiNOyhbm8afKK64jU6_TPtQHiJeQJxz9G3Tx-083B745_AfYOnlC9w"},{"header":{"alg":"ES512","kid":"bilbo.baggins@hobbiton.example"},"signature":"ARcVLnaJJaUWG8fG-8t5BREVAuTY8n8YHjwDO1muhcdCoFZFFjfISu0Cdkn9Ybdlmi54ho0x924DUz8sK7ZXkhc7AFM8ObLfTvNCrqcI3Jkl2U5IX3utNhODH6v7xgy1Qahsn0fyb4zSAkje8bAWz4vIfj5pCMYxxm4fgV3q7ZYhm5eD"},{"protected":"eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9","signature":"s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"}]}'),
	('28T02', 'RFC 7520 6, the nested token, PS256', 'eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJob2JiaXRvbi5leGFtcGxlIiwiZXhwIjoxMzAwODE5MzgwLCJodHRwOi8vZXhhbXBsZS5jb20vaXNfcm9vdCI6dHJ1ZX0.dPpMqwRZxFYi1UfcDAaf8M99o7kwUWtiXZ-ByvVuJih4MhJ_aZqciprz0OWaIAkIvn1qskChirjKvY9ESZNUCP4JjvfyPS-nqjJxYoA5ztWOyFk2cZNIPXjcJXSQwXPO9tEe-v4VSqgD0aKHqPxYog4N6Cz1lKph1U1sYDSI67_bLL7elg_vkjfMp5_W5l5LuUYGMeh6hxQIaIUXf9EwV2JmvTMuZ-vBOWy0Sniy1EFo72CRTvmtrIf5AROo5MNliY3KtUxeP-SOmD-LEYwW9SlkohYzMVAZDDOrVbv7KVRHpeYNaK75KEQqdCEEkS_rskZS-Qtt_nlegTWh1mEYaA'),
	('28T02', 'RFC 7515 A.6, general JSON, two signatures', '{"payload":"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ","signatures":[{"protected":"eyJhbGciOiJSUzI1NiJ9","header":{"kid":"2010-12-29"},"signature":"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},{"protected":"eyJhbGciOiJFUzI1NiJ9","header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"}]}'),
	('28T02', 'RFC 7515 A.7, flattened JSON', '{"payload":"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ","protected":"eyJhbGciOiJFUzI1NiJ9","header":{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"},"signature":"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"}'),
	('28T02', 'RFC 7515 E, an extension that nobody knows', 'eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.'),
	('28T02', 'RFC 7519 6.1, unsecured', 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.'),
	('28T02', 'RFC 7515 A.4, ES512', 'eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn');

-- == as they come
-- Tokens in the shapes in which they are issued, each by an issuer that is trusted as its guide says. Their org is not known here.
CREATE TABLE shapes (issuer text, key text, audiences text[], parties text[], preset text, description text, header jsonb, claims jsonb);
INSERT INTO shapes VALUES
	('clerk', 'rs256', NULL, '{https://app.test}', 'clerk', 'Clerk, version 1', '{"cat": "cl_B7d4PD111AAA", "typ": "JWT"}',
		'{"azp": "https://app.test", "sid": "sess_2", "fva": [3, -1], "org_id": "org_2", "org_slug": "acme", "org_role": "org:admin", "org_permissions": ["org:feature:read"]}'),
	('clerk', 'rs256', NULL, '{https://app.test}', 'clerk', 'Clerk, version 1, no org', '{"cat": "cl_B7d4PD111AAA", "typ": "JWT"}',
		'{"azp": "https://app.test", "sid": "sess_2", "fva": [0, -1], "org_id": null, "org_role": null, "org_slug": null}'),
	('clerk', 'rs256', NULL, '{https://app.test}', 'clerk', 'Clerk, version 2', '{"cat": "cl_B7d4PD111AAA", "typ": "JWT"}',
		'{"v": 2, "azp": "https://app.test", "sid": "sess_2", "sts": "active", "fva": [3, -1], "pla": "u:free", "fea": "o:reports",
			"o": {"id": "org_2", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3"}, "email_verified": true, "name": "Ada"}'),
	('clerk', 'rs256', NULL, '{https://app.test}', 'clerk', 'Clerk, version 2, impersonated', '{"cat": "cl_B7d4PD111AAA", "typ": "JWT"}',
		'{"v": 2, "azp": "https://app.test", "sid": "sess_2", "sts": "active", "fva": [-1, -1], "act": {"iss": "https://dashboard.clerk.com", "sid": "sess_3", "sub": "user_3"}}'),
	('better-auth', 'ed25519', '{https://tokens-better-auth.test}', NULL, 'better-auth', 'Better Auth', '{}',
		'{"aud": "https://tokens-better-auth.test", "id": "marker-subject", "name": "Ada", "emailVerified": true, "image": null,
			"createdAt": "2026-01-02T03:04:05.678Z", "updatedAt": "2026-01-02T03:04:05.678Z", "twoFactorEnabled": false, "role": "admin", "banned": null, "banReason": null, "banExpires": null}'),
	('better-auth', 'es256', '{https://tokens-better-auth.test}', NULL, 'better-auth', 'Better Auth, ES256, its own payload', '{}',
		'{"aud": "https://tokens-better-auth.test", "activeOrganizationId": null, "impersonatedBy": null, "emailVerified": false, "sid": "s"}'),
	('neon-auth', 'ed25519', '{https://ep-1.neonauth.test}', NULL, 'better-auth', 'Neon Auth', '{}',
		'{"aud": "https://ep-1.neonauth.test", "id": "marker-subject", "name": "Ada", "emailVerified": true, "image": null, "role": "authenticated", "banned": false,
			"banReason": null, "banExpires": null, "createdAt": "2026-01-02T03:04:05.678Z", "updatedAt": "2026-01-02T03:04:05.678Z"}'),
	('neon-stack', 'es256', '{project-1}', NULL, 'oidc', 'Neon Auth on Stack Auth', '{}',
		'{"aud": "project-1", "branchId": "main", "refreshTokenId": "r", "role": "authenticated", "email_verified": true, "name": "Ada", "selected_team_id": null, "is_anonymous": false}'),
	('auth0', 'rs256', '{https://api.test}', '{client-1}', 'oidc', 'Auth0, an access token', '{"typ": "at+jwt"}',
		'{"aud": ["https://api.test", "https://tokens-auth0.test/userinfo"], "azp": "client-1", "scope": "openid profile email", "permissions": ["read:all"], "https://app.test/roles": ["admin"]}'),
	('keycloak', 'rs256', '{account}', '{web}', 'oidc', 'Keycloak', '{"typ": "JWT"}',
		'{"aud": "account", "azp": "web", "typ": "Bearer", "auth_time": 1700000000, "jti": "onrtac:1", "acr": "1", "sid": "s", "allowed-origins": ["*"], "realm_access": {"roles": ["admin"]},
			"resource_access": {"account": {"roles": ["manage-account"]}}, "scope": "openid", "email_verified": true, "preferred_username": "ada"}'),
	('entra', 'rs256', '{6e74172b-be56-4843-9ff4-e66a39bb12e3}', NULL, 'oidc', 'Entra ID, version 2', '{"typ": "JWT", "x5t": "nOo3ZDrODXEK1jKWhXslHR_KXEg"}',
		'{"aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "ver": "2.0", "oid": "o", "tid": "t", "uti": "u", "rh": "0.", "aio": "A", "azpacr": "0", "scp": "access_as_user", "roles": ["admin"]}'),
	('google', 'rs256', '{client-1.apps.googleusercontent.test}', NULL, 'oidc', 'Google, an ID token', '{"typ": "JWT"}',
		'{"aud": "client-1.apps.googleusercontent.test", "azp": "client-1.apps.googleusercontent.test", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "acme.test", "email_verified": true, "nonce": "n"}'),
	('cognito', 'rs256', NULL, NULL, 'oidc', 'Cognito, an access token, without an audience', '{}',
		'{"client_id": "c", "token_use": "access", "scope": "openid", "auth_time": 1700000000, "origin_jti": "o", "event_id": "e", "jti": "j", "username": "ada", "cognito:groups": ["admin"]}'),
	('supabase', 'es256', '{authenticated}', NULL, 'oidc', 'Supabase', '{"typ": "JWT"}',
		'{"aud": "authenticated", "role": "authenticated", "aal": "aal1", "amr": [{"method": "password", "timestamp": 1700000000}], "session_id": "s", "phone": "", "is_anonymous": false,
			"app_metadata": {"provider": "email", "providers": ["email"]}, "user_metadata": {"email_verified": true, "sub": "marker-other"}}'),
	('supabase-secret', 'hs256', '{authenticated}', NULL, 'oidc', 'Supabase, HS256', '{"typ": "JWT"}', '{"aud": "authenticated", "role": "authenticated", "session_id": "s"}'),
	('firebase', 'rs256', '{project-1}', NULL, 'oidc', 'Firebase', '{"typ": "JWT"}',
		'{"aud": "project-1", "auth_time": 1700000000, "user_id": "marker-subject", "email_verified": false, "firebase": {"identities": {"email": ["a@b.test"]}, "sign_in_provider": "password"}}'),
	('okta', 'rs256', '{api://default}', NULL, 'oidc', 'Okta', '{}',
		'{"aud": "api://default", "ver": 1, "jti": "AT.1", "cid": "c", "uid": "u", "scp": ["openid"], "auth_time": 1700000000}');
SELECT tenancy.trust_issuer(format('https://tokens-%s.test', issuer), minting.jwks(VARIADIC array_agg(DISTINCT key)), s.audiences, parties, jsonb_build_object('preset', preset))
FROM shapes s GROUP BY issuer, audiences, parties, preset;
INSERT INTO tries (expected, description, token)
	SELECT 'ok', 'shape: ' || s.description, minted(s.key, utf8((jsonb_build_object('alg', a.algorithm, 'kid', s.key) || header)::text),
		utf8(claims(s.claims || jsonb_build_object('iss', format('https://tokens-%s.test', s.issuer), 'nbf', 1700000000))))
	FROM shapes s JOIN algorithms a USING (key);

-- Who acts as the user is told from the user wherever the issuer has it, or the token is no good.
INSERT INTO tries (expected, description, token)
	SELECT expected, format('impersonatedBy %s', value), good('ed25519', with_raw('impersonatedBy', value, 'https://tokens-neon-auth.test', '{"aud": "https://ep-1.neonauth.test"}')) FROM (VALUES
		('ok', '"marker-actor"'),
		('ok', 'null'),
		('ok', 'false'),
		('ok', '""'),
		('28T02', '7'),
		('28T02', '0'),
		('28T02', 'true'),
		('28T02', '{"id":"marker"}'),
		('28T02', '{}'),
		('28T02', '["marker"]'),
		('28T02', '[7]'),
		('28T02', '[]')
	) c (expected, value);

-- Everything is signed.
CREATE FUNCTION sign_all() RETURNS void LANGUAGE plpgsql SET search_path = tokens_test, pg_catalog, pg_temp AS $$
DECLARE
	file text := format('%s/minting_%s_lines', current_setting('data_directory'), current_database());
BEGIN
	CREATE TEMPORARY TABLE minted_tokens (number int GENERATED ALWAYS AS IDENTITY, token text);
	EXECUTE format('COPY (SELECT substr(token, 3) FROM tries WHERE token LIKE ''! %%'' ORDER BY id) TO %L', file);
	EXECUTE format('COPY minted_tokens (token) FROM PROGRAM %L', (SELECT value || ' signed < ' || file FROM minting.settings WHERE name = 'mint'));
	UPDATE tries SET token = m.token FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM tries WHERE token LIKE '! %') t JOIN minted_tokens m USING (number) WHERE tries.id = t.id;
	DROP TABLE minted_tokens;
END
$$;
SELECT sign_all();
RESET search_path;
