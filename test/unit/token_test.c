/*-------------------------------------------------------------------------
 *
 * token_test.c
 *	  Unit tests of token.c: good tokens are good, and nothing else is.
 *
 * Keys are made at run time, tokens are signed by OpenSSL (signing.c), so
 * libjwt is never checked against itself.
 *
 *-------------------------------------------------------------------------
 */
#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "published.h"
#include "signing.h"
#include "token.h"
#include "warm_up.h"

#define CLAIMS "{\"iss\":\"https://issuer.example\",\"sub\":\"u1\",\"exp\":1}"

/* What mint_key_generate is asked for, the algorithm, and the key made. */
typedef struct Case
{
	const char *kind;
	const char *alg;
	MintKey    *mint;
	TnKey	   *key;
} Case;

static Case cases[] = {
	{"RS256", "RS256", NULL, NULL},
	{"RS384", "RS384", NULL, NULL},
	{"RS512", "RS512", NULL, NULL},
	{"PS256", "PS256", NULL, NULL},
	{"PS384", "PS384", NULL, NULL},
	{"PS512", "PS512", NULL, NULL},
	{"ES256", "ES256", NULL, NULL},
	{"ES384", "ES384", NULL, NULL},
	{"ES512", "ES512", NULL, NULL},
	{"EdDSA", "EdDSA", NULL, NULL},
	{"EdDSA:Ed448", "EdDSA", NULL, NULL},
	{"HS256", "HS256", NULL, NULL},
	{"HS384", "HS384", NULL, NULL},
	{"HS512", "HS512", NULL, NULL},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static TnKey *
import_jwk(const char *jwk)
{
	const char *reason;
	TnKey	   *key = tn_key_create(jwk, strlen(jwk), &reason);

	if (key == NULL)
	{
		fprintf(stderr, "key refused: %s\n", reason);
		exit(1);
	}
	return key;
}

static TnKey *
import(const MintKey *mint, const char *alg)
{
	char	   *jwk = mint_jwk(mint, "k1", alg, false);
	TnKey	   *key = import_jwk(jwk);

	free(jwk);
	return key;
}

static Case *
find_case(const char *kind)
{
	for (size_t i = 0; i < N_CASES; i++)
	{
		if (strcmp(cases[i].kind, kind) == 0)
			return &cases[i];
	}
	abort();
}

static bool
splits(const char *token, size_t len)
{
	/* exactly the size promised, so that the sanitizers see any excess */
	char	   *buf = malloc(len + 2);
	char	   *copy = malloc(len + 1);
	TnTokenParts parts;
	bool		result;

	memcpy(copy, token, len);
	result = tn_token_split(copy, len, buf, &parts);
	if (result)
		result = parts.header[parts.header_len] == '\0' &&
			parts.payload[parts.payload_len] == '\0';
	free(copy);
	free(buf);
	return result;
}

/* What the extension asks: accepted by both functions. */
static bool
accepted(TnKey *key, const char *alg, const char *token)
{
	return splits(token, strlen(token)) &&
		tn_token_verify(key, alg, token) == TN_SIGNATURE_GOOD;
}

static char *
plain_token(const Case *c)
{
	char	   *header = mint_format("{\"alg\":\"%s\",\"kid\":\"k1\"}", c->alg);
	char	   *token = mint_token(c->mint, c->alg, header, CLAIMS);

	free(header);
	return token;
}

/* The token's first two segments with a signature of these bytes. */
static char *
resign(const char *token, const unsigned char *signature, size_t len)
{
	char	   *text = mint_base64url(signature, len);
	char	   *result = mint_format("%.*s.%s",
									 (int) (strrchr(token, '.') - token),
									 token, text);

	free(text);
	return result;
}

/* Signs the token's first two segments once more. */
static size_t
sign_again(const Case *c, const char *alg, const char *token,
		   unsigned char *signature)
{
	return mint_sign(c->mint, alg, token,
					 (size_t) (strrchr(token, '.') - token), signature);
}

static void
refuse_signature(const Case *c, const char *token,
				 const unsigned char *signature, size_t len, const char *name)
{
	char	   *forged = resign(token, signature, len);

	ok(!accepted(c->key, c->alg, forged), "%s: %s", c->kind, name);
	free(forged);
}

static void
test_good(void)
{
	for (size_t i = 0; i < N_CASES; i++)
	{
		Case	   *c = &cases[i];
		char	   *token = plain_token(c);
		MintKey    *other_mint = mint_key_generate(c->kind);
		TnKey	   *other = import(other_mint, c->alg);

		ok(accepted(c->key, c->alg, token), "%s verifies its own token",
		   c->kind);
		ok(tn_token_verify(other, c->alg, token) == TN_SIGNATURE_BAD,
		   "%s: another key of the kind does not", c->kind);
		tn_key_free(other);
		mint_key_free(other_mint);
		free(token);
	}
}

static void
test_flipped_bits(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char *const segments[] = {"header", "payload", "signature"};

	for (size_t i = 0; i < N_CASES; i++)
	{
		Case	   *c = &cases[i];
		char	   *token = plain_token(c);
		size_t		start = 0;

		for (int s = 0; s < 3; s++)
		{
			size_t		len = strcspn(token + start, ".");
			size_t		step = (len + 5) / 6;
			bool		all_refused = true;

			for (size_t at = 0; at < len; at += step)
			{
				char		old = token[start + at];
				size_t		value = (size_t) (strchr(alphabet, old) - alphabet);

				for (int bit = 0; bit < 6; bit++)
				{
					token[start + at] = alphabet[value ^ (1U << bit)];
					all_refused &= !accepted(c->key, c->alg, token);
				}
				token[start + at] = old;
			}
			ok(all_refused, "%s: a flipped bit in the %s", c->kind, segments[s]);
			start += len + 1;
		}
		ok(accepted(c->key, c->alg, token), "%s: flipped back", c->kind);
		free(token);
	}
}

/* No beginning of a token is one. */
static void
test_truncated(void)
{
	for (size_t i = 0; i < N_CASES; i++)
	{
		Case	   *c = &cases[i];
		char	   *token = plain_token(c);
		bool		all_refused = true;

		for (size_t len = strlen(token) - 1; len > 0; len--)
		{
			token[len] = '\0';
			all_refused &= tn_token_verify(c->key, c->alg, token) == TN_SIGNATURE_BAD;
		}
		ok(all_refused, "%s: cut at every byte", c->kind);
		free(token);
	}
}

/* Every key against every algorithm that its type can sign with. */
static void
test_algorithm_is_the_keys(void)
{
	static const char *const algs[] = {
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
	};

	for (size_t i = 0; i < N_CASES; i++)
	{
		Case	   *c = &cases[i];
		bool		wrong_alg = true;
		bool		lie_refused = true;

		for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
		{
			const char *alg = algs[a];
			bool		rsa = alg[1] == 'S' && (alg[0] == 'R' || alg[0] == 'P');
			bool		rsa_key = strchr("RP", c->alg[0]) != NULL;
			char	   *header;
			char	   *token;

			if (strcmp(alg, c->alg) == 0)
				continue;
			if (alg[0] != 'H' && !(rsa && rsa_key) &&
				(c->alg[0] != alg[0] || c->alg[1] != alg[1]))
				continue;

			header = mint_format("{\"alg\":\"%s\"}", alg);
			token = mint_token(c->mint, alg, header, CLAIMS);
			wrong_alg &=
				tn_token_verify(c->key, alg, token) == TN_SIGNATURE_WRONG_ALG;
			/* even if the strict parser were fooled about the header */
			lie_refused &=
				tn_token_verify(c->key, c->alg, token) != TN_SIGNATURE_GOOD;
			free(token);

			/* signed as the key wants it, while the header says otherwise */
			token = mint_token(c->mint, c->alg, header, CLAIMS);
			lie_refused &=
				tn_token_verify(c->key, c->alg, token) != TN_SIGNATURE_GOOD;
			free(token);
			free(header);
		}
		ok(wrong_alg, "%s key: tokens of other algorithms", c->kind);
		ok(lie_refused, "%s key: libjwt itself refuses those", c->kind);
	}
}

static void
test_public_key_as_secret(void)
{
	static const char *const kinds[] = {"RS256", "ES256", "EdDSA"};

	for (size_t i = 0; i < 3; i++)
	{
		Case	   *c = find_case(kinds[i]);
		TnKey	   *no_alg = import(c->mint, NULL);
		char	   *pem = mint_public_pem(c->mint);
		char	   *jwk = mint_jwk(c->mint, "k1", c->alg, false);
		unsigned char *der = NULL;
		int			der_len = i2d_PUBKEY(c->mint->pkey, &der);
		unsigned char raw[1024];
		size_t		raw_len = sizeof(raw);
		char	   *raw_text;
		BIGNUM	   *n = NULL;

		if (EVP_PKEY_get_bn_param(c->mint->pkey, "n", &n) == 1)
			raw_len = (size_t) BN_bn2bin(n, raw);
		else if (EVP_PKEY_get_octet_string_param(c->mint->pkey, "pub", raw,
												 sizeof(raw), &raw_len) != 1)
			abort();
		raw_text = mint_base64url(raw, raw_len);

		struct
		{
			const char *name;
			const void *bytes;
			size_t		len;
		}			secrets[] = {
			{"PEM", pem, strlen(pem)},
			{"PEM without its last line feed", pem, strlen(pem) - 1},
			{"DER", der, (size_t) der_len},
			{"JWK", jwk, strlen(jwk)},
			{"bare number", raw, raw_len},
			{"bare number in base64url", raw_text, strlen(raw_text)},
			{"empty string", "", 0},
		};

		for (size_t s = 0; s < sizeof(secrets) / sizeof(secrets[0]); s++)
		{
			MintKey    *secret = mint_key_of_secret(secrets[s].bytes,
													secrets[s].len);
			char	   *token = mint_token(secret, "HS256",
										   "{\"alg\":\"HS256\"}", CLAIMS);

			ok(tn_token_verify(c->key, "HS256", token) == TN_SIGNATURE_WRONG_ALG &&
			   tn_token_verify(no_alg, "HS256", token) == TN_SIGNATURE_WRONG_ALG &&
			   tn_token_verify(c->key, c->alg, token) != TN_SIGNATURE_GOOD &&
			   tn_token_verify(no_alg, c->alg, token) != TN_SIGNATURE_GOOD,
			   "HS256 with the public %s key as the secret: its %s",
			   c->kind, secrets[s].name);
			free(token);
			mint_key_free(secret);
		}
		BN_free(n);
		free(raw_text);
		OPENSSL_free(der);
		free(jwk);
		free(pem);
		tn_key_free(no_alg);
	}
}

static void
test_no_algorithm(void)
{
	static const char *const names[] = {
		"none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS25",
		"RS2566", "HS256", "ES256K", "RSA1_5"
	};
	static const char *const headers[] = {
		"{}", "{\"alg\":null}", "{\"alg\":5}", "{\"alg\":[\"RS256\"]}",
		"{\"alg\":\"RS256\",\"alg\":\"none\"}", "{\"Alg\":\"RS256\"}",
		"[\"alg\",\"RS256\"]", "null", "\"RS256\"", "5"
	};
	Case	   *c = find_case("RS256");
	TnKey	   *hmac = find_case("HS256")->key;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		char	   *header = mint_format("{\"alg\":\"%s\"}", names[i]);
		char	   *input = mint_signing_input(header, strlen(header),
											   CLAIMS, strlen(CLAIMS));
		char	   *empty = mint_format("%s.", input);
		char	   *some = mint_format("%s.AAAA", input);
		char	   *good = mint_token(c->mint, "RS256", header, CLAIMS);

		ok(!splits(empty, strlen(empty)) && !splits(input, strlen(input)),
		   "alg \"%s\" without a signature is malformed", names[i]);
		ok(tn_token_verify(c->key, names[i], empty) == TN_SIGNATURE_WRONG_ALG &&
		   tn_token_verify(c->key, names[i], some) == TN_SIGNATURE_WRONG_ALG &&
		   tn_token_verify(c->key, names[i], good) == TN_SIGNATURE_WRONG_ALG,
		   "alg \"%s\" is not the key's", names[i]);
		ok(tn_token_verify(c->key, "RS256", empty) == TN_SIGNATURE_BAD &&
		   tn_token_verify(c->key, "RS256", input) == TN_SIGNATURE_BAD &&
		   tn_token_verify(c->key, "RS256", some) == TN_SIGNATURE_BAD &&
		   tn_token_verify(c->key, "RS256", good) == TN_SIGNATURE_BAD &&
		   tn_token_verify(hmac, "HS256", empty) == TN_SIGNATURE_BAD,
		   "alg \"%s\" in the header alone", names[i]);
		free(good);
		free(some);
		free(empty);
		free(input);
		free(header);
	}

	ok(tn_token_verify(c->key, NULL, "a.b.c") == TN_SIGNATURE_WRONG_ALG,
	   "no alg at all");
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
	{
		char	   *token = mint_token(c->mint, "RS256", headers[i], CLAIMS);

		ok(tn_token_verify(c->key, "RS256", token) == TN_SIGNATURE_BAD,
		   "header %s", headers[i]);
		free(token);
	}
}

static void
refuse_form(const char *token, size_t len, const char *name)
{
	ok(!splits(token, len), "form: %s", name);
}

static void
test_form(void)
{
	static const struct
	{
		const char *token;
		const char *name;
	}			bad[] = {
		{"", "empty"},
		{".", "a dot"},
		{"..", "two dots"},
		{"e30", "one segment"},
		{"e30.e30", "two segments"},
		{"e30.e30.", "empty signature"},
		{"e30..e30w", "empty payload"},
		{".e30.e30w", "empty header"},
		{"e30.e30.AAAA.AAAA", "four segments"},
		{"e30.e30.AAAA.AAAA.AAAA", "five segments"},
		{"e30.e30.AAAA.", "a dot at the end"},
		{".e30.e30.AAAA", "a dot at the start"},
		{"e30=.e30.AAAA", "padding in the header"},
		{"e30.e30=.AAAA", "padding in the payload"},
		{"e30.e30.AAA=", "padding in the signature"},
		{"e30.e30.AA==", "double padding in the signature"},
		{"e30+.e30.AAAA", "+ in the header"},
		{"e30.e30/.AAAA", "/ in the payload"},
		{"e30.e30.AA+A", "+ in the signature"},
		{"e30.e30.AA/A", "/ in the signature"},
		{" e30.e30.AAAA", "a leading space"},
		{"e30.e30.AAAA ", "a trailing space"},
		{"e30.e30.AAAA\n", "a trailing line feed"},
		{"e30.e30.AAAA\r\n", "a trailing CR LF"},
		{"e30 .e30.AAAA", "a space in the header"},
		{"e3 0.e30.AAAA", "a space in the header's middle"},
		{"e30.\te30.AAAA", "a tab in the payload"},
		{"e30.e30.AA\nAA", "a line feed in the signature"},
		{"e31.e30.AAAA", "trailing bits in the header"},
		{"e30.e31.AAAA", "trailing bits in the payload"},
		{"e30.e30.AAB", "two trailing bits in the signature"},
		{"e30.e30.AB", "four trailing bits in the signature"},
		{"e30.e30.A", "one character of signature"},
		{"e30.e30.AAAAA", "five characters of signature"},
		{"e30.e30.AAA%", "% in the signature"},
		{"e30.e30.AAA\xc3\xa9", "UTF-8 in the signature"},
		{"e30.e30.AAA\x80", "a byte beyond ASCII in the signature"},
		{"AAAA.e30.AAAA", "a NUL for a header"},
		{"ewB9.e30.AAAA", "a NUL in the decoded header"},
		{"e30.ewB9.AAAA", "a NUL in the decoded payload"},
		{"{\"payload\":\"e30\",\"protected\":\"e30\",\"signature\":\"AAAA\"}",
		"JSON serialization"},
		{"{\"a.b.c\":1}", "JSON with dots"},
		{"Bearer e30.e30.AAAA", "the word Bearer"},
	};
	char		buf[TN_TOKEN_MAX_BYTES + 3];
	char	   *token;
	TnTokenParts parts;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse_form(bad[i].token, strlen(bad[i].token), bad[i].name);
	refuse_form("e30.e30.AAAA\0", 13, "a NUL at the end");
	refuse_form("e30.e\0" "30.AAAA", 13, "a NUL in the payload");

	ok(tn_token_split("e30.eyJhIjoxfQ.AAAA?", 19, buf, &parts) &&
	   parts.header_len == 2 && strcmp(parts.header, "{}") == 0 &&
	   parts.payload_len == 7 && strcmp(parts.payload, "{\"a\":1}") == 0,
	   "form: decoded, and not a byte beyond len is read");

	/* lengths for which the payload ends in zero bits, given a final w */
	for (size_t len = TN_TOKEN_MAX_BYTES; len <= TN_TOKEN_MAX_BYTES + 1; len++)
	{
		size_t		payload_len = len - strlen("eeee") - strlen(".") - strlen(".eeee");
		size_t		decoded_len;

		token = malloc(len + 1);
		memset(token, 'e', len);
		token[len] = '\0';
		token[1] = 'y';
		token[4] = token[len - 5] = '.';
		token[len - 6] = 'w';
		ok(tn_base64url_decode(token + 5, payload_len, NULL, &decoded_len) &&
		   splits(token, len) == (len <= TN_TOKEN_MAX_BYTES),
		   "form: %zu bytes", len);
		free(token);
	}
}

static void
test_size(void)
{
	static const struct
	{
		const char *header;
		size_t		token_len;
		TnSignatureResult expected;
	}			sizes[] = {
		{"{\"alg\":\"EdDSA\"}", TN_TOKEN_MAX_BYTES, TN_SIGNATURE_GOOD},
		{"{\"alg\":\"EdDSA\"} ", TN_TOKEN_MAX_BYTES + 1, TN_SIGNATURE_BAD},
	};
	Case	   *c = find_case("EdDSA");

	for (size_t i = 0; i < 2; i++)
	{
		size_t		header_len = (strlen(sizes[i].header) * 4 + 2) / 3;
		size_t		claims_len = (sizes[i].token_len - header_len - 2 - 86) * 3 / 4;
		char	   *claims = malloc(claims_len + 1);
		char	   *token;

		memset(claims, 'x', claims_len);
		memcpy(claims, "{\"a\":\"", 6);
		memcpy(claims + claims_len - 2, "\"}", 3);
		token = mint_token(c->mint, c->alg, sizes[i].header, claims);
		ok(strlen(token) == sizes[i].token_len &&
		   tn_token_verify(c->key, c->alg, token) == sizes[i].expected,
		   "a signed token of %zu bytes", sizes[i].token_len);
		free(token);
		free(claims);
	}
}

static void
test_ecdsa(void)
{
	static const char *const kinds[] = {"ES256", "ES384", "ES512"};
	static const int nids[] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};

	for (size_t i = 0; i < 3; i++)
	{
		Case	   *c = find_case(kinds[i]);
		char	   *token = plain_token(c);
		unsigned char good[MINT_MAX_SIGNATURE];
		unsigned char bad[MINT_MAX_SIGNATURE];
		size_t		len = sign_again(c, c->alg, token, good);
		size_t		half = len / 2;
		char	   *again = resign(token, good, len);
		EC_GROUP   *group = EC_GROUP_new_by_curve_name(nids[i]);
		const BIGNUM *order = EC_GROUP_get0_order(group);
		ECDSA_SIG  *pair = ECDSA_SIG_new();
		unsigned char *der = NULL;
		int			der_len;

		ok(accepted(c->key, c->alg, again), "%s: signed again", c->kind);
		ok(len == tn_key_signature_len(c->key), "%s: %zu bytes", c->kind, len);

		memset(bad, 0, sizeof(bad));
		refuse_signature(c, token, bad, len, "r and s zero");
		memcpy(bad + half, good + half, half);
		refuse_signature(c, token, bad, len, "r zero");
		memcpy(bad, good, half);
		memset(bad + half, 0, half);
		refuse_signature(c, token, bad, len, "s zero");
		BN_bn2binpad(order, bad, (int) half);
		BN_bn2binpad(order, bad + half, (int) half);
		refuse_signature(c, token, bad, len, "r and s the group's order");
		memset(bad, 0xff, len);
		refuse_signature(c, token, bad, len, "r and s all ones");

		ECDSA_SIG_set0(pair, BN_bin2bn(good, (int) half, NULL),
					   BN_bin2bn(good + half, (int) half, NULL));
		der_len = i2d_ECDSA_SIG(pair, &der);
		refuse_signature(c, token, der, (size_t) der_len, "DER form");

		refuse_signature(c, token, good, half, "r alone");
		refuse_signature(c, token, good, len - 1, "a byte less");
		refuse_signature(c, token, good, len - 2, "two bytes less");
		memcpy(bad, good, len);
		bad[len] = bad[len + 1] = 0;
		refuse_signature(c, token, bad, len + 1, "a byte more");
		refuse_signature(c, token, bad, len + 2, "two bytes more");
		bad[0] = bad[half + 1] = 0;
		memcpy(bad + 1, good, half);
		memcpy(bad + half + 2, good + half, half);
		refuse_signature(c, token, bad, len + 2, "both halves a zero longer");

		OPENSSL_free(der);
		ECDSA_SIG_free(pair);
		EC_GROUP_free(group);
		free(again);
		free(token);
	}
}

/* S + L verifies wherever S does, unless the verifier checks S < L. */
static void
test_eddsa(void)
{
	static const struct
	{
		const char *kind;
		const char *order;
	}			curves[] = {
		{"EdDSA",
			"1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"},
		{"EdDSA:Ed448",
			"3fffffffffffffffffffffffffffffffffffffffffffffffffffffff"
			"7cca23e9c44edb49aed63690216cc2728dc58f552378c292ab5844f3"},
	};

	for (size_t i = 0; i < 2; i++)
	{
		Case	   *c = find_case(curves[i].kind);
		char	   *token = plain_token(c);
		unsigned char good[MINT_MAX_SIGNATURE];
		unsigned char bad[MINT_MAX_SIGNATURE];
		size_t		len = sign_again(c, c->alg, token, good);
		size_t		half = len / 2;
		BIGNUM	   *order = NULL;
		BIGNUM	   *s = BN_lebin2bn(good + half, (int) half, NULL);

		BN_hex2bn(&order, curves[i].order);
		ok(BN_cmp(s, order) < 0, "%s: S is less than L", c->kind);
		BN_add(s, s, order);
		memcpy(bad, good, len);
		BN_bn2lebinpad(s, bad + half, (int) half);
		refuse_signature(c, token, bad, len, "S + L");

		memset(bad, 0, sizeof(bad));
		refuse_signature(c, token, bad, len, "all zeros");
		bad[0] = 1;
		refuse_signature(c, token, bad, len, "R neutral, S zero");
		memset(bad, 0xff, len);
		refuse_signature(c, token, bad, len, "all ones");
		refuse_signature(c, token, good, len - 1, "a byte less");
		memcpy(bad, good, len);
		bad[len] = 0;
		refuse_signature(c, token, bad, len + 1, "a byte more");
		refuse_signature(c, token, good, half, "R alone");

		BN_free(s);
		BN_free(order);
		free(token);
	}
}

static void
test_rsa(void)
{
	static const char *const kinds[] = {"RS256", "PS256"};

	for (size_t i = 0; i < 2; i++)
	{
		Case	   *c = find_case(kinds[i]);
		char	   *token = plain_token(c);
		unsigned char good[MINT_MAX_SIGNATURE];
		unsigned char bad[MINT_MAX_SIGNATURE];
		size_t		len = sign_again(c, c->alg, token, good);
		BIGNUM	   *n = NULL;
		BIGNUM	   *s;
		char	   *again;

		bad[0] = 0;
		memcpy(bad + 1, good, len);
		refuse_signature(c, token, bad, len + 1, "a leading zero more");
		refuse_signature(c, token, good, len - 1, "a byte less");
		memcpy(bad, good, len);
		bad[len] = 0;
		refuse_signature(c, token, bad, len + 1, "a byte more");
		memset(bad, 0, len);
		refuse_signature(c, token, bad, len, "all zeros");
		bad[len - 1] = 1;
		refuse_signature(c, token, bad, len, "one");
		memset(bad, 0xff, len);
		refuse_signature(c, token, bad, len, "all ones");

		/* one signature in some 200 starts with a zero */
		for (int salt = 0; good[0] != 0; salt++)
		{
			char	   *claims = mint_format("{\"salt\":%d}", salt);

			free(token);
			token = mint_token(c->mint, c->alg,
							   i == 0 ? "{\"alg\":\"RS256\"}" : "{\"alg\":\"PS256\"}",
							   claims);
			len = sign_again(c, c->alg, token, good);
			free(claims);
		}
		again = resign(token, good, len);
		ok(accepted(c->key, c->alg, again),
		   "%s: a signature that starts with a zero", c->kind);
		refuse_signature(c, token, good + 1, len - 1,
						 "the same without the zero");

		/* nearly always short enough, the zero being replaced */
		s = BN_bin2bn(good, (int) len, NULL);
		EVP_PKEY_get_bn_param(c->mint->pkey, "n", &n);
		BN_add(s, s, n);
		BN_bn2binpad(s, bad, (int) len);
		refuse_signature(c, token, bad, len, "signature + modulus");

		free(again);
		BN_free(s);
		BN_free(n);
		free(token);
	}
}

/*
 * Blocks that are not what RS256 signs, byte for byte.  All are signed by the
 * key's owner but the last, which anybody can make for an exponent of 3.
 */
static void
test_pkcs1(void)
{
	static const char *const forms[] = {
		"RS256:GARBAGE", "RS256:PARAMETERS", "RS256:BYTE-AFTER", "RS256:LONG-HASH",
		"RS256:NO-PARAMETERS", "RS256:LONG-LENGTH", "RS256:OF-SHA512",
		"RS256:BARE-HASH", "RS256:TYPE-0", "RS256:TYPE-2", "RS256:OTHER-PADDING"
	};
	Case	   *c = find_case("RS256");
	Case		cubic = {"RS256, exponent 3", "RS256", c->mint, NULL};
	char	   *token = plain_token(c);
	char	   *jwk = mint_jwk(c->mint, NULL, "RS256", false);
	char	   *e = strstr(jwk, "\"e\":\"AQAB\"");
	char	   *cubic_jwk = mint_format("%.*s\"e\":\"Aw\"%s", (int) (e - jwk), jwk, e + strlen("\"e\":\"AQAB\""));
	unsigned char signature[MINT_MAX_SIGNATURE];
	size_t		len = sign_again(c, "RS256:PROPER", token, signature);
	char	   *again = resign(token, signature, len);

	ok(accepted(c->key, c->alg, again), "RS256: a block made by hand");
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		len = sign_again(c, forms[i], token, signature);
		refuse_signature(c, token, signature, len, forms[i]);
	}
	cubic.key = import_jwk(cubic_jwk);
	len = sign_again(c, "RS256:CUBE-ROOT", token, signature);
	refuse_signature(&cubic, token, signature, len, "a cube root");

	tn_key_free(cubic.key);
	free(again);
	free(cubic_jwk);
	free(jwk);
	free(token);
}

static void
test_pss_salt(void)
{
	static const char *const others[][4] = {
		{"PS256:0", "PS256:20", "PS256:31", "PS256:222"},
		{"PS384:0", "PS384:32", "PS384:49", "PS384:206"},
		{"PS512:0", "PS512:32", "PS512:63", "PS512:190"},
	};
	static const char *const same[] = {"PS256:32", "PS384:48", "PS512:64"};
	static const char *const masks[] = {"PS256:MGF1-SHA1", "PS384:MGF1-SHA1", "PS512:MGF1-SHA1"};

	for (size_t i = 0; i < 3; i++)
	{
		char		kind[6] = "";
		Case	   *c = find_case(strncpy(kind, same[i], 5));
		char	   *token = plain_token(c);
		unsigned char signature[MINT_MAX_SIGNATURE];
		size_t		len = sign_again(c, same[i], token, signature);
		char	   *again = resign(token, signature, len);

		ok(accepted(c->key, c->alg, again), "%s: a salt as long as the hash",
		   c->kind);
		for (size_t j = 0; j < 4; j++)
		{
			len = sign_again(c, others[i][j], token, signature);
			refuse_signature(c, token, signature, len, others[i][j]);
		}
		len = sign_again(c, masks[i], token, signature);
		refuse_signature(c, token, signature, len, masks[i]);
		free(again);
		free(token);
	}
}

static void
test_hmac(void)
{
	static const char *const kinds[] = {"HS256", "HS384", "HS512"};

	for (size_t i = 0; i < 3; i++)
	{
		Case	   *c = find_case(kinds[i]);
		char	   *token = plain_token(c);
		unsigned char good[MINT_MAX_SIGNATURE];
		size_t		len = sign_again(c, c->alg, token, good);

		refuse_signature(c, token, good, len / 2, "half of it");
		refuse_signature(c, token, good, len - 1, "a byte less");
		good[len] = 0;
		refuse_signature(c, token, good, len + 1, "a byte more");
		free(token);
	}
}

static void
test_header(void)
{
	static const char *const good[] = {
		"{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"k1\"}",
		"{\r\n\t\"alg\" : \"EdDSA\" } ",
		"{\"\\u0061lg\":\"Ed\\u0044SA\"}",
		"{\"alg\":\"EdDSA\",\"b64\":true}",
		"{\"alg\":\"EdDSA\",\"jku\":\"https://evil.example\",\"x5u\":\"x\",\"x5c\":[\"x\"]}",
		"{\"alg\":\"EdDSA\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
	};
	static const char *const bad[] = {
		"{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"EdDSA\",\"crit\":[\"alg\"]}",
		"{\"alg\":\"EdDSA\",\"crit\":[]}",
		"{\"alg\":\"EdDSA\",\"crit\":null}",
		"{\"alg\":\"EdDSA\",\"crit\":{}}",
		"{\"alg\":\"EdDSA\",\"\\u0063rit\":[\"b64\"],\"b64\":true}",
		"{\"alg\":\"EdDSA\",\"b64\":false}",
		"{\"alg\":\"EdDSA\",\"b64\":null}",
		"{\"alg\":\"EdDSA\",\"b64\":\"true\"}",
		"{\"alg\":\"EdDSA\",\"b64\":false,\"crit\":[\"b64\"]}",
		" {\"alg\":\"EdDSA\"}",
		"{\"alg\":\"EdDSA\"/* comment */}",
		"{'alg':'EdDSA'}",
		"{\"alg\":\"EdDSA\",}",
		"{\"alg\":\"EdDSA\"}x",
		"{\"alg\":\"EdDSA\"}{}",
		"{\"alg\":\"EdDSA\"",
		"",
	};
	Case	   *c = find_case("EdDSA");

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		char	   *token = mint_token(c->mint, c->alg, good[i], CLAIMS);

		ok(accepted(c->key, c->alg, token), "good header %zu", i + 1);
		free(token);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		char	   *token = mint_token(c->mint, c->alg, bad[i], CLAIMS);

		ok(tn_token_verify(c->key, c->alg, token) == TN_SIGNATURE_BAD,
		   "bad header %s", bad[i]);
		free(token);
	}
}

/* Neither time nor any other claim is looked at. */
static void
test_claims_are_ignored(void)
{
	static const char *const claims[] = {
		"{}",
		"{\"exp\":1}",
		"{\"exp\":\"never\",\"nbf\":\"x\"}",
		"{\"nbf\":99999999999,\"exp\":0}",
		"{\"iss\":5,\"sub\":null,\"aud\":{}}",
	};

	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
	{
		Case	   *c = find_case("ES256");
		char	   *token = mint_token(c->mint, c->alg, "{\"alg\":\"ES256\"}",
									   claims[i]);

		ok(accepted(c->key, c->alg, token), "claims %s", claims[i]);
		free(token);
	}
}

static void
test_failures_do_not_stick(void)
{
	for (size_t i = 0; i < N_CASES; i++)
	{
		Case	   *c = &cases[i];
		char	   *good = plain_token(c);
		char	   *bad = mint_token(c->mint, c->alg, "{\"alg\":\"none\"}", CLAIMS);
		char	   *garbled = strdup(good);
		char	   *at = strrchr(garbled, '.') + 3;
		bool		right = true;

		*at = *at == 'A' ? 'B' : 'A';
		for (int round = 0; round < 3; round++)
		{
			right &= tn_token_verify(c->key, c->alg, garbled) == TN_SIGNATURE_BAD;
			right &= tn_token_verify(c->key, c->alg, good) == TN_SIGNATURE_GOOD;
			right &= tn_token_verify(c->key, c->alg, bad) == TN_SIGNATURE_BAD;
			right &= tn_token_verify(c->key, c->alg, good) == TN_SIGNATURE_GOOD;
			right &= tn_token_verify(c->key, c->alg, "x") == TN_SIGNATURE_BAD;
			right &= tn_token_verify(c->key, "x", good) == TN_SIGNATURE_WRONG_ALG;
			right &= tn_token_verify(c->key, c->alg, good) == TN_SIGNATURE_GOOD;
			right &= tn_token_verify(c->key, c->alg, good) == TN_SIGNATURE_GOOD;
		}
		ok(right, "%s: neither failure nor success sticks", c->kind);
		free(garbled);
		free(bad);
		free(good);
	}
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
	for (size_t i = 0; i < N_CASES; i++)
	{
		Case	   *c = &cases[i];
		char	   *token = plain_token(c);
		unsigned char zeros[MINT_MAX_SIGNATURE] = {0};
		char	   *bad = resign(token, zeros, tn_key_signature_len(c->key));
		bool		right = true;
		int			n;

		for (n = 0; n < 100; n++)
		{
			TnSignatureResult result;

			/* its message is not to be taken for the next failure's */
			tn_token_verify(c->key, c->alg, bad);

			allocations_left = n;
			jwt_set_alloc(scarce_malloc, free);
			result = tn_token_verify(c->key, c->alg, token);
			jwt_set_alloc(NULL, NULL);

			/* it was enough, and not only by ignoring a failure */
			if (allocations_left >= 0)
			{
				right &= result == TN_SIGNATURE_GOOD;
				break;
			}
			right &= result != TN_SIGNATURE_GOOD;
			if (n == 0)
				right &= result == TN_SIGNATURE_ERROR;
		}
		ok(right && n > 0 && n < 100, "%s: fails closed without memory", c->kind);
		ok(accepted(c->key, c->alg, token), "%s: and recovers", c->kind);
		free(bad);
		free(token);
	}
}

static void
test_error_queue(void)
{
	Case	   *c = find_case("RS256");
	char	   *token = plain_token(c);
	unsigned long mine;

	token[strlen(token) - 3] ^= 1;
	ERR_clear_error();
	tn_token_verify(c->key, c->alg, token);
	ok(ERR_peek_error() == 0, "no OpenSSL error is left behind");

	ERR_raise(ERR_LIB_USER, 42);
	mine = ERR_peek_last_error();
	tn_token_verify(c->key, c->alg, token);
	ok(ERR_get_error() == mine && ERR_get_error() == 0,
	   "an OpenSSL error of someone else's stays");
	free(token);
}

static void
test_published(void)
{
	for (size_t i = 0; i < PUBLISHED_EXAMPLES; i++)
	{
		TnKey	   *key = import_jwk(published[i].jwk);

		ok(accepted(key, published[i].alg, published[i].token), "%s",
		   published[i].name);
		for (size_t j = 0; j < PUBLISHED_EXAMPLES; j++)
		{
			if (j != i)
				ok(!accepted(key, published[i].alg, published[j].token),
				   "the key of %s on the token of %s",
				   published[i].name, published[j].name);
		}
		tn_key_free(key);
	}
	ok(tn_warm_up() == PUBLISHED_EXAMPLES, "the warm-up verifies a token of each family");
}

/*
 * RFC 8037 appendix A.4 signs a text that is not JSON, so it is no JWT and
 * libjwt refuses it.  Its private key and its signature vouch for the signing
 * of these tests, its public key is then to verify what that signs.
 */
static void
test_rfc8037(void)
{
	static const char token[] =
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
		".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
	static const char d[] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
	unsigned char seed[32];
	size_t		seed_len;
	MintKey		mint = {NULL, NULL, 0};
	Case		c = {"RFC 8037", "EdDSA", &mint, NULL};
	unsigned char signature[MINT_MAX_SIGNATURE];
	size_t		len;
	char	   *again;
	char	   *jwt;

	tn_base64url_decode(d, strlen(d), seed, &seed_len);
	mint.pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
	c.key = import_jwk("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");

	len = sign_again(&c, "EdDSA", token, signature);
	again = resign(token, signature, len);
	ok(strcmp(again, token) == 0, "RFC 8037 A.4: the same signature");
	ok(splits(token, strlen(token)) &&
	   tn_token_verify(c.key, "EdDSA", token) == TN_SIGNATURE_BAD,
	   "RFC 8037 A.4: its payload is not JSON");
	jwt = plain_token(&c);
	ok(accepted(c.key, "EdDSA", jwt), "RFC 8037 A.4: its keys on a JWT");

	free(jwt);
	free(again);
	tn_key_free(c.key);
	EVP_PKEY_free(mint.pkey);
}

int
main(void)
{
	for (size_t i = 0; i < N_CASES; i++)
	{
		cases[i].mint = mint_key_generate(cases[i].kind);
		cases[i].key = import(cases[i].mint, cases[i].alg);
	}

	test_good();
	test_flipped_bits();
	test_truncated();
	test_algorithm_is_the_keys();
	test_public_key_as_secret();
	test_no_algorithm();
	test_form();
	test_size();
	test_ecdsa();
	test_eddsa();
	test_rsa();
	test_pkcs1();
	test_pss_salt();
	test_hmac();
	test_header();
	test_claims_are_ignored();
	test_failures_do_not_stick();
	test_out_of_memory();
	test_error_queue();
	test_published();
	test_rfc8037();

	for (size_t i = 0; i < N_CASES; i++)
	{
		tn_key_free(cases[i].key);
		mint_key_free(cases[i].mint);
	}
	return done_testing();
}
