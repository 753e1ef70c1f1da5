/*-------------------------------------------------------------------------
 *
 * keyring_test.c
 *	  Unit tests of keyring.c: which JWKs become keys, and why others do not.
 *
 *-------------------------------------------------------------------------
 */
#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "keyring.h"
#include "signing.h"
#include "token.h"

static const char r_object[] = "it is not a JSON object";
static const char r_large[] = "it is too large";
static const char r_strict[] = "it is not strict JSON";
static const char r_nul[] = "a string in it contains a NUL";
static const char r_duplicate[] = "it has a duplicate member";
static const char r_no_kty[] = "it has no key type (kty)";
static const char r_kty[] = "its key type (kty) is not supported";
static const char r_private[] = "it is a private key";
static const char r_use[] = "its use is not \"sig\"";
static const char r_ops_type[] = "its key_ops is not an array of strings";
static const char r_ops[] = "its key_ops does not include \"verify\"";
static const char r_alg[] = "its algorithm (alg) is not supported";
static const char r_fit[] = "its algorithm (alg) does not fit its type or curve";
static const char r_crv[] = "its curve (crv) is not supported";
static const char r_missing[] = "a member that its type requires is missing or not a string";
static const char r_base64[] = "a member is not strict base64url";
static const char r_zero[] = "an RSA member has a leading zero octet";
static const char r_short[] = "its RSA modulus is shorter than 2048 bits";
static const char r_long[] = "its RSA modulus is longer than 16384 bits";
static const char r_even[] = "its RSA modulus is even";
static const char r_exponent[] = "its RSA exponent is even or less than 3";
static const char r_long_e[] = "its RSA exponent is longer than 64 bits";
static const char r_coordinate[] = "an EC coordinate does not have the length of its curve's field";
static const char r_prime[] = "an EC coordinate is not less than its curve's prime";
static const char r_point[] = "its EC point is not on the curve";
static const char r_okp[] = "its x does not have the length of its curve's public keys";
static const char r_okp_prime[] = "its x is not less than its curve's prime";
static const char r_order[] = "its point has a small order";
static const char r_secret[] = "its secret is shorter than the hash of its algorithm";
static const char r_kid[] = "its key id (kid) is not a string";
static const char r_kid_len[] = "its key id (kid) is longer than 255 bytes";

static MintKey *rsa;
static MintKey *ec256;
static MintKey *ec521;
static MintKey *ed25519;
static MintKey *ed448;

/* The key of len bytes of text, from memory that ends with them. */
static TnKey *
create(const char *text, size_t len, const char **reason)
{
	char	   *copy = malloc(len > 0 ? len : 1);
	TnKey	   *key;

	memcpy(copy, text, len);
	key = tn_key_create(copy, len, reason);
	free(copy);
	return key;
}

static void
refuse_bytes(const char *text, size_t len, const char *expected, const char *name)
{
	const char *reason;
	TnKey	   *key = create(text, len, &reason);

	if (!ok(key == NULL && reason != NULL && strcmp(reason, expected) == 0,
			"refused, %s: %s", expected, name))
		printf("# got: %s\n", key ? "a key" : reason ? reason : "no reason");
	tn_key_free(key);
}

/* Takes over jwk. */
static void
refuse(char *jwk, const char *expected, const char *name)
{
	refuse_bytes(jwk, strlen(jwk), expected, name);
	free(jwk);
}

/* Takes over jwk.  alg is the algorithm expected. */
static void
accept(char *jwk, const char *alg, const char *name)
{
	const char *reason;
	TnKey	   *key = create(jwk, strlen(jwk), &reason);

	if (!ok(key != NULL && reason == NULL && strcmp(tn_key_alg(key), alg) == 0,
			"accepted as %s: %s", alg, name))
		printf("# got: %s\n", key ? tn_key_alg(key) : reason);
	tn_key_free(key);
	free(jwk);
}

/* The public JWK of a key with more members put in front. */
static char *
with(const MintKey *mint, const char *members)
{
	char	   *jwk = mint_jwk(mint, NULL, NULL, false);
	char	   *result = mint_format("{%s%s", members, jwk + 1);

	free(jwk);
	return result;
}

/* The public JWK of a key with one base64url member replaced. */
static char *
replaced(const MintKey *mint, const char *name, const char *value)
{
	char	   *jwk = mint_jwk(mint, NULL, NULL, false);
	char	   *pattern = mint_format("\"%s\":\"", name);
	char	   *start = strstr(jwk, pattern) + strlen(pattern);
	char	   *result = mint_format("%.*s%s%s", (int) (start - jwk), jwk, value,
									 strchr(start, '"'));

	free(pattern);
	free(jwk);
	return result;
}

static char *
replaced_bytes(const MintKey *mint, const char *name, const void *bytes,
			   size_t len)
{
	char	   *value = mint_base64url(bytes, len);
	char	   *result = replaced(mint, name, value);

	free(value);
	return result;
}

/* The public JWK of a key with one member renamed away. */
static char *
without(const MintKey *mint, const char *name)
{
	char	   *jwk = mint_jwk(mint, NULL, NULL, false);
	char	   *pattern = mint_format("\"%s\":", name);

	strstr(jwk, pattern)[1] = '_';
	free(pattern);
	return jwk;
}

/* The public JWK of a key with one member a number instead of a string. */
static char *
with_number(const MintKey *mint, const char *name)
{
	char	   *jwk = without(mint, name);
	char	   *result = mint_format("{\"%s\":12345,%s", name, jwk + 1);

	free(jwk);
	return result;
}

static void
test_json(void)
{
	static const char *const not_objects[] = {
		"", " ", "{", "}", "[]", "null", "true", "5", "\"kty\"", "nonsense",
		"{}x", "{}{}", "{} ,", "{'kty':'RSA'}", "{\"kty\":\"RSA\",}",
		"{\"kty\":\"RSA\" /* comment */}", "{kty:\"RSA\"}", "{\"kty\" \"RSA\"}",
		"{\"kty\":\"\xff\"}", "{\"kty\":\"\xc3\"}", "{\"kty\":\"RSA\"",
	};
	char	   *jwk = with(ed25519, "");
	char	   *long_jwk;
	size_t		len = strlen(jwk);
	const char *reason;
	TnKey	   *key;

	for (size_t i = 0; i < sizeof(not_objects) / sizeof(not_objects[0]); i++)
		refuse(strdup(not_objects[i]), r_object, not_objects[i]);
	refuse_bytes(jwk, len - 1, r_object, "len ends before the object");
	refuse_bytes(jwk, len + 1, r_object, "a NUL after the object");
	refuse_bytes("{\"a\":\"\0\"}", 9, r_strict, "a NUL in a string");

	key = tn_key_create("{}garbage", 2, &reason);
	ok(key == NULL && strcmp(reason, r_no_kty) == 0,
	   "nothing beyond len is read");

	long_jwk = malloc(TN_JWK_MAX_BYTES + 1);
	memset(long_jwk, ' ', TN_JWK_MAX_BYTES + 1);
	memcpy(long_jwk, jwk, len - 1);
	long_jwk[TN_JWK_MAX_BYTES - 1] = '}';
	key = create(long_jwk, TN_JWK_MAX_BYTES, &reason);
	ok(key != NULL, "accepted: 65536 bytes");
	tn_key_free(key);
	long_jwk[TN_JWK_MAX_BYTES - 1] = ' ';
	long_jwk[TN_JWK_MAX_BYTES] = '}';
	refuse_bytes(long_jwk, TN_JWK_MAX_BYTES + 1, r_large, "65537 bytes");
	free(long_jwk);
	free(jwk);

	refuse(with(rsa, "\"note\":\"\\u0000\","), r_nul, "an escaped NUL");
	refuse(with(rsa, "\"kty\\u0000x\":\"oct\","), r_nul, "an escaped NUL in a name");
	accept(with(rsa, "\"note\":\"\\\\u0000\","), "RS256",
		   "an escaped backslash before u0000");
	refuse(with(rsa, "\"note\":\"a\nb\","), r_strict, "a line feed in a string");

	refuse(with(rsa, "\"kty\":\"RSA\","), r_duplicate, "kty twice");
	refuse(with(rsa, "\"kty\":\"oct\","), r_duplicate, "two kinds of kty");
	refuse(with(rsa, "\"\\u006bty\":\"oct\","), r_duplicate, "kty, escaped");
	refuse(with(rsa, "\"n\":\"AQAB\","), r_duplicate, "n twice");
	refuse(with(rsa, "\"z\":{},\"z\":[],"), r_duplicate, "an unknown member twice");
	accept(with(rsa, "\"z\":{\"a:b\":\"{\\\"c\\\":1}\",\"d\":[{\"e\":2}]},"),
		   "RS256", "colons and braces in an unknown member");

	/* libjwt takes a JWK with this member for a set of keys */
	accept(with(rsa, "\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}],"), "RS256",
		   "a member named keys");
	accept(with(rsa, "\"keys\":5,"), "RS256", "a member named keys, a number");
}

static void
test_key_type(void)
{
	refuse(strdup("{}"), r_no_kty, "an empty object");
	refuse(without(rsa, "kty"), r_no_kty, "no kty");
	refuse(strdup("{\"kty\":5}"), r_no_kty, "a number");
	refuse(strdup("{\"kty\":null}"), r_no_kty, "null");
	refuse(strdup("{\"keys\":[]}"), r_no_kty, "a key set");
	refuse(replaced(rsa, "kty", "rsa"), r_kty, "rsa");
	refuse(replaced(rsa, "kty", ""), r_kty, "empty");
	refuse(replaced(rsa, "kty", "AKP"), r_kty, "AKP");
	refuse(replaced(rsa, "kty", "oct"), r_missing, "an RSA key as oct");
	refuse(replaced(ec256, "kty", "OKP"), r_crv, "an EC key as OKP");
}

static void
test_private(void)
{
	static const char *const members[] = {
		"d", "p", "q", "dp", "dq", "qi", "oth", "k"
	};
	MintKey    *keys[] = {rsa, ec256, ec521, ed25519, ed448};

	for (int i = 0; i < 5; i++)
	{
		refuse(mint_jwk(keys[i], NULL, NULL, true), r_private, "a whole one");
		for (int m = 0; m < 8; m++)
		{
			char	   *member = mint_format("\"%s\":\"AQAB\",", members[m]);

			refuse(with(keys[i], member), r_private, members[m]);
			free(member);
		}
	}
	refuse(with(rsa, "\"d\":null,"), r_private, "a null d");
	refuse(with(ed25519, "\"d\":5,"), r_private, "a numeric d");
}

static void
test_purpose(void)
{
	accept(with(rsa, "\"use\":\"sig\","), "RS256", "use sig");
	refuse(with(rsa, "\"use\":\"enc\","), r_use, "enc");
	refuse(with(rsa, "\"use\":\"\","), r_use, "empty");
	refuse(with(rsa, "\"use\":null,"), r_use, "null");
	refuse(with(rsa, "\"use\":[\"sig\"],"), r_use, "an array");

	accept(with(rsa, "\"key_ops\":[\"verify\"],"), "RS256", "key_ops verify");
	accept(with(rsa, "\"key_ops\":[\"sign\",\"verify\"],"), "RS256",
		   "key_ops sign and verify");
	refuse(with(rsa, "\"key_ops\":[],"), r_ops, "none");
	refuse(with(rsa, "\"key_ops\":[\"sign\"],"), r_ops, "sign");
	refuse(with(rsa, "\"key_ops\":[\"Verify\"],"), r_ops, "Verify");
	refuse(with(rsa, "\"use\":\"sig\",\"key_ops\":[\"encrypt\"],"), r_ops,
		   "encrypt, with use sig");
	refuse(with(rsa, "\"key_ops\":\"verify\","), r_ops_type, "a string");
	refuse(with(rsa, "\"key_ops\":null,"), r_ops_type, "null");
	refuse(with(rsa, "\"key_ops\":[\"verify\",5],"), r_ops_type, "a number in it");
	refuse(with(rsa, "\"key_ops\":[\"verify\",null],"), r_ops_type, "a null in it");
}

static void
test_algorithm(void)
{
	static const char *const unknown[] = {
		"none", "None", "", "RS1", "rs256", "RS256 ", "ES256K", "RSA-OAEP",
		"A128KW", "dir", "Ed25519", "HS1"
	};
	static const char *const all[] = {
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
	};
	static const struct
	{
		const char *kind;
		const char *algs;		/* the first is the default */
	}			fits[] = {
		{"RS256", "RS256 RS384 RS512 PS256 PS384 PS512"},
		{"ES256", "ES256"},
		{"ES384", "ES384"},
		{"ES512", "ES512"},
		{"EdDSA", "EdDSA"},
		{"EdDSA:Ed448", "EdDSA"},
		{"HS512", "HS256 HS384 HS512"},
	};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
	{
		refuse(mint_jwk(rsa, NULL, unknown[i], false), r_alg, unknown[i]);
		refuse(mint_jwk(ed25519, NULL, unknown[i], false), r_alg, unknown[i]);
	}
	refuse(with(rsa, "\"alg\":256,"), r_alg, "a number");
	refuse(with(rsa, "\"alg\":null,"), r_alg, "null");

	for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++)
	{
		MintKey    *mint = mint_key_generate(fits[i].kind);
		char	   *first = mint_format("%.5s", fits[i].algs);
		char	   *name = mint_format("%s without alg", fits[i].kind);

		accept(mint_jwk(mint, NULL, NULL, false), first, name);
		for (size_t a = 0; a < sizeof(all) / sizeof(all[0]); a++)
		{
			char	   *jwk = mint_jwk(mint, NULL, all[a], false);

			if (strstr(fits[i].algs, all[a]) != NULL)
				accept(jwk, all[a], fits[i].kind);
			else
				refuse(jwk, r_fit, fits[i].kind);
		}
		free(name);
		free(first);
		mint_key_free(mint);
	}
}

static void
test_curve(void)
{
	MintKey    *k1 = mint_key_generate("ES256K");

	refuse(mint_jwk(k1, NULL, NULL, false), r_crv, "secp256k1");
	refuse(mint_jwk(k1, NULL, "ES256", false), r_crv, "secp256k1 for ES256");
	refuse(replaced(ec256, "crv", "P-224"), r_crv, "P-224");
	refuse(replaced(ec256, "crv", "prime256v1"), r_crv, "prime256v1");
	refuse(replaced(ec256, "crv", "p-256"), r_crv, "p-256");
	refuse(replaced(ec256, "crv", "Ed25519"), r_crv, "Ed25519 for EC");
	refuse(replaced(ed25519, "crv", "P-256"), r_crv, "P-256 for OKP");
	refuse(replaced(ed25519, "crv", "X25519"), r_crv, "X25519");
	refuse(replaced(ed448, "crv", "X448"), r_crv, "X448");
	refuse(without(ec256, "crv"), r_missing, "EC without crv");
	refuse(without(ed25519, "crv"), r_missing, "OKP without crv");
	refuse(with_number(ec256, "crv"), r_missing, "a number for crv");
	mint_key_free(k1);
}

static void
test_rsa(void)
{
	unsigned char number[2049];
	BIGNUM	   *n = NULL;
	MintKey    *weak = mint_key_generate("RSA:1024");
	MintKey    *nearly = mint_key_generate("RSA:2047");
	MintKey    *strong = mint_key_generate("RSA:3072");

	refuse(mint_jwk(weak, NULL, NULL, false), r_short, "1024 bits");
	refuse(mint_jwk(nearly, NULL, "PS256", false), r_short, "2047 bits");
	accept(mint_jwk(strong, NULL, "PS256", false), "PS256", "3072 bits");
	mint_key_free(weak);
	mint_key_free(nearly);
	mint_key_free(strong);

	memset(number, 0xff, sizeof(number));
	accept(replaced_bytes(rsa, "n", number, 2048), "RS256", "16384 bits");
	number[0] = 1;
	refuse(replaced_bytes(rsa, "n", number, 2049), r_long, "16385 bits");

	EVP_PKEY_get_bn_param(rsa->pkey, "n", &n);
	number[0] = 0;
	BN_bn2bin(n, number + 1);
	refuse(replaced_bytes(rsa, "n", number, 257), r_zero, "in n");
	number[256] &= 0xfe;
	refuse(replaced_bytes(rsa, "n", number + 1, 256), r_even, "n - 1");
	BN_free(n);

	accept(replaced(rsa, "e", "Aw"), "RS256", "exponent 3");
	accept(replaced_bytes(rsa, "e", "\xff\xff\xff\xff\xff\xff\xff\xff", 8),
		   "RS256", "an exponent of 64 bits");
	refuse(replaced(rsa, "e", "AQ"), r_exponent, "1");
	refuse(replaced(rsa, "e", "Ag"), r_exponent, "2");
	refuse(replaced(rsa, "e", "AQAA"), r_exponent, "65536");
	refuse(replaced(rsa, "e", "AA"), r_zero, "exponent 0");
	refuse(replaced_bytes(rsa, "e", "\0\1\0\1", 4), r_zero, "in e");
	refuse(replaced_bytes(rsa, "e", "\1\0\0\0\0\0\0\0\1", 9), r_long_e, "65 bits");

	refuse(without(rsa, "n"), r_missing, "n");
	refuse(without(rsa, "e"), r_missing, "e");
	refuse(with_number(rsa, "n"), r_missing, "n is a number");
	refuse(with_number(rsa, "e"), r_missing, "e is a number");
}

static void
test_base64(void)
{
	static const char *const bad[] = {
		"", "A", "AQAB=", "AQ==", "AQAB\\n", " AQAB", "AQ AB", "AQ+B", "AQ/B",
		"AR", "AQB", "AQABA", "AQAB.", "\xc3\xa9QAB"
	};
	static const struct
	{
		MintKey   **mint;
		const char *name;
	}			members[] = {
		{&rsa, "n"}, {&rsa, "e"}, {&ec256, "x"}, {&ec256, "y"}, {&ed25519, "x"}
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++)
			refuse(replaced(*members[m].mint, members[m].name, bad[i]),
				   r_base64, bad[i]);
		refuse(mint_format("{\"kty\":\"oct\",\"k\":\"%s\"}", bad[i]), r_base64,
			   bad[i]);
	}
}

static void
test_ec(void)
{
	unsigned char bytes[80];
	BIGNUM	   *x = NULL;
	BIGNUM	   *p = NULL;

	EVP_PKEY_get_bn_param(ec256->pkey, "qx", &x);
	bytes[0] = 0;
	BN_bn2binpad(x, bytes + 1, 32);
	refuse(replaced_bytes(ec256, "x", bytes, 33), r_coordinate, "x with a zero more");
	refuse(replaced_bytes(ec256, "y", bytes, 33), r_coordinate, "y with a zero more");
	refuse(replaced_bytes(ec256, "x", bytes + 1, 31), r_coordinate, "x a byte short");
	refuse(replaced_bytes(ec256, "y", bytes + 1, 31), r_coordinate, "y a byte short");
	refuse(replaced_bytes(ec256, "y", bytes + 1, 32), r_point, "x for y");
	refuse(replaced(ec256, "crv", "P-384"), r_coordinate, "a P-256 key as P-384");
	memset(bytes, 0, 32);
	refuse(replaced_bytes(ec256, "x", bytes, 32), r_point, "x zero");
	memset(bytes, 0xff, 32);
	refuse(replaced_bytes(ec256, "x", bytes, 32), r_prime, "x all ones");
	refuse(replaced_bytes(ec256, "y", bytes, 32), r_prime, "y all ones");
	BN_free(x);

	/* the same point under other names: x or y, plus the prime 2^521 - 1 */
	p = BN_new();
	BN_set_bit(p, 521);
	BN_sub_word(p, 1);
	for (int i = 0; i < 2; i++)
	{
		BIGNUM	   *number = NULL;

		EVP_PKEY_get_bn_param(ec521->pkey, i == 0 ? "qx" : "qy", &number);
		BN_add(number, number, p);
		BN_bn2binpad(number, bytes, 66);
		refuse(replaced_bytes(ec521, i == 0 ? "x" : "y", bytes, 66), r_prime,
			   i == 0 ? "x + p" : "y + p");
		BN_free(number);
	}
	BN_bn2binpad(p, bytes, 66);
	refuse(replaced_bytes(ec521, "x", bytes, 66), r_prime, "x = p");
	BN_free(p);

	refuse(without(ec256, "x"), r_missing, "EC without x");
	refuse(without(ec256, "y"), r_missing, "EC without y");
	refuse(with_number(ec256, "x"), r_missing, "a number for x");
	refuse(with_number(ec256, "y"), r_missing, "a number for y");
}

/* x as a number, little-endian, with either sign. */
static void
refuse_point(const MintKey *mint, const char *hex, const char *expected, const char *name)
{
	unsigned char x[57];
	size_t		len = mint == ed25519 ? 32 : 57;
	BIGNUM	   *y = NULL;

	BN_hex2bn(&y, hex);
	BN_bn2lebinpad(y, x, (int) len);
	refuse(replaced_bytes(mint, "x", x, len), expected, name);
	x[len - 1] |= 0x80;
	refuse(replaced_bytes(mint, "x", x, len), expected, name);
	BN_free(y);
}

static void
test_small_order(void)
{
	static const char p_448[] = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
		"fffffffffffffffffffffffffffffffffffffffffffffffffffffff";
	char	   *ending = mint_format("%se", p_448);

	refuse_point(ed25519, "0", r_order, "Ed25519, y = 0");
	refuse_point(ed25519, "1", r_order, "Ed25519, y = 1");
	refuse_point(ed25519, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec", r_order, "Ed25519, y = -1");
	refuse_point(ed25519, "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", r_order, "Ed25519, order 8");
	refuse_point(ed25519, "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", r_order, "Ed25519, order 8, negative");
	refuse_point(ed25519, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", r_okp_prime, "Ed25519, y = p");
	refuse_point(ed25519, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee", r_okp_prime, "Ed25519, y = p + 1");
	refuse_point(ed25519, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", r_okp_prime, "Ed25519, all ones");
	refuse_point(ed448, "0", r_order, "Ed448, y = 0");
	refuse_point(ed448, "1", r_order, "Ed448, y = 1");
	refuse_point(ed448, ending, r_order, "Ed448, y = -1");
	free(ending);
	ending = mint_format("%sf", p_448);
	refuse_point(ed448, ending, r_okp_prime, "Ed448, y = p");
	free(ending);
}

static void
test_okp(void)
{
	unsigned char x[64];

	memset(x, 9, sizeof(x));
	refuse(replaced_bytes(ed25519, "x", x, 31), r_okp, "Ed25519, 31 bytes");
	refuse(replaced_bytes(ed25519, "x", x, 33), r_okp, "Ed25519, 33 bytes");
	refuse(replaced_bytes(ed25519, "x", x, 57), r_okp, "Ed25519, 57 bytes");
	refuse(replaced_bytes(ed448, "x", x, 32), r_okp, "Ed448, 32 bytes");
	refuse(replaced_bytes(ed448, "x", x, 56), r_okp, "Ed448, 56 bytes");
	refuse(replaced_bytes(ed448, "x", x, 58), r_okp, "Ed448, 58 bytes");
	test_small_order();
	refuse(without(ed25519, "x"), r_missing, "OKP without x");
	refuse(with_number(ed25519, "x"), r_missing, "OKP, a number for x");
}

static void
test_oct(void)
{
	static const char *const algs[] = {"HS256", "HS384", "HS512"};
	unsigned char secret[100];

	RAND_bytes(secret, sizeof(secret));
	for (size_t i = 0; i < 3; i++)
	{
		size_t		len = 32 + 16 * i;
		MintKey    *enough = mint_key_of_secret(secret, len);
		MintKey    *too_short = mint_key_of_secret(secret, len - 1);

		accept(mint_jwk(enough, NULL, algs[i], false), algs[i], "as long as the hash");
		refuse(mint_jwk(too_short, NULL, algs[i], false), r_secret, algs[i]);
		mint_key_free(too_short);
		mint_key_free(enough);
	}
	refuse(strdup("{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}"), r_secret, "without alg");
	refuse(strdup("{\"kty\":\"oct\"}"), r_missing, "oct without k");
	refuse(strdup("{\"kty\":\"oct\",\"k\":12345}"), r_missing, "a number for k");
}

static void
test_key_id(void)
{
	char		kid[TN_KEY_ID_MAX_BYTES + 2];
	char	   *jwk;
	const char *reason;
	TnKey	   *key;

	memset(kid, 'k', sizeof(kid));
	kid[TN_KEY_ID_MAX_BYTES + 1] = '\0';
	refuse(mint_jwk(rsa, kid, NULL, false), r_kid_len, "256 bytes");
	kid[TN_KEY_ID_MAX_BYTES] = '\0';
	jwk = mint_jwk(rsa, kid, NULL, false);
	key = create(jwk, strlen(jwk), &reason);
	ok(key && strcmp(tn_key_id(key), kid) == 0, "a kid of 255 bytes");
	tn_key_free(key);
	free(jwk);

	jwk = mint_jwk(rsa, "a \"kid\" \\ \xc3\xa9", NULL, false);
	key = create(jwk, strlen(jwk), &reason);
	ok(key && strcmp(tn_key_id(key), "a \"kid\" \\ \xc3\xa9") == 0,
	   "a kid with quotes, backslash and UTF-8");
	tn_key_free(key);
	free(jwk);

	jwk = mint_jwk(rsa, NULL, NULL, false);
	key = create(jwk, strlen(jwk), &reason);
	ok(key && tn_key_id(key) == NULL, "no kid");
	tn_key_free(key);
	free(jwk);

	refuse(with(rsa, "\"kid\":5,"), r_kid, "a number");
	refuse(with(rsa, "\"kid\":null,"), r_kid, "null");
}

/* What is checked is what is used: other members have no say. */
static void
test_other_members(void)
{
	char	   *jwk = with(rsa, "\"x5u\":\"https://evil.example\",\"x5c\":[\"AAAA\"],"
						   "\"x5t\":5,\"x\":\"AAAA\",\"crv\":\"P-256\",\"ext\":true,"
						   "\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}],");
	const char *reason;
	TnKey	   *key = create(jwk, strlen(jwk), &reason);
	char	   *token = mint_token(rsa, "RS256", "{\"alg\":\"RS256\"}", "{}");

	ok(key != NULL && tn_token_verify(key, "RS256", token) == TN_SIGNATURE_GOOD,
	   "members of other types and certificates are ignored");
	tn_key_free(key);
	free(token);
	free(jwk);
}

static int	allocations_left;

static void *
scarce_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void
test_out_of_memory(void)
{
	MintKey    *keys[] = {rsa, ec256, ed25519, NULL};
	MintKey    *secret = mint_key_generate("HS256");

	keys[3] = secret;
	for (int i = 0; i < 4; i++)
	{
		char	   *jwk = mint_jwk(keys[i], "k1", NULL, false);
		bool		right = true;
		int			n;

		for (n = 0; n < 100; n++)
		{
			const char *reason;
			TnKey	   *key;

			allocations_left = n;
			jwt_set_alloc(scarce_malloc, free);
			key = tn_key_create(jwk, strlen(jwk), &reason);
			jwt_set_alloc(NULL, NULL);
			right &= (key == NULL) == (reason != NULL);
			right &= (key == NULL) == (allocations_left < 0);
			tn_key_free(key);
			if (allocations_left >= 0)
				break;
		}
		ok(right && n > 0 && n < 100, "no key without memory, %d", i);
		free(jwk);
	}
	mint_key_free(secret);
}

static void
test_error_queue(void)
{
	const char *reason;

	ERR_clear_error();
	refuse(replaced(ec256, "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		   r_point, "for the next test");
	ok(ERR_peek_error() == 0, "no OpenSSL error is left behind");
	tn_key_free(NULL);
	ok(tn_key_create("{}", 2, &reason) == NULL, "NULL can be freed");
}

int
main(void)
{
	rsa = mint_key_generate("RS256");
	ec256 = mint_key_generate("ES256");
	ec521 = mint_key_generate("ES512");
	ed25519 = mint_key_generate("EdDSA");
	ed448 = mint_key_generate("EdDSA:Ed448");

	test_json();
	test_key_type();
	test_private();
	test_purpose();
	test_algorithm();
	test_curve();
	test_rsa();
	test_base64();
	test_ec();
	test_okp();
	test_oct();
	test_key_id();
	test_other_members();
	test_out_of_memory();
	test_error_queue();

	mint_key_free(rsa);
	mint_key_free(ec256);
	mint_key_free(ec521);
	mint_key_free(ed25519);
	mint_key_free(ed448);
	return done_testing();
}
