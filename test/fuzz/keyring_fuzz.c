/*-------------------------------------------------------------------------
 *
 * keyring_fuzz.c
 *	  Any bytes as a JSON Web Key.
 *
 * A key that is accepted must be one that the standards allow, by another
 * reading of the text than keyring.c's, and must verify no token but those of
 * whoever holds its private half.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>

#include <json-c/json.h>

#include "fuzz.h"
#include "keyring.h"
#include "published.h"
#include "token.h"

static const struct
{
	const char *alg;
	const char *kty;
	const char *member;			/* that tells one public key from another */
	size_t		least_bytes;	/* of it */
}			algorithms[] = {
	{"RS256", "RSA", "n", 256}, {"RS384", "RSA", "n", 256}, {"RS512", "RSA", "n", 256},
	{"PS256", "RSA", "n", 256}, {"PS384", "RSA", "n", 256}, {"PS512", "RSA", "n", 256},
	{"ES256", "EC", "x", 32}, {"ES384", "EC", "x", 48}, {"ES512", "EC", "x", 66},
	{"EdDSA", "OKP", "x", 32},
	{"HS256", "oct", "k", 32}, {"HS384", "oct", "k", 48}, {"HS512", "oct", "k", 64},
};

static const char *const private_members[] = {
	"d", "p", "q", "dp", "dq", "qi", "oth", "k"
};

/* NULL if it is absent, which nothing but a string may take the place of. */
static const char *
member(struct json_object *object, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, name, &value))
		return NULL;
	MUST(json_object_is_type(value, json_type_string));
	return json_object_get_string(value);
}

static bool
same_member(struct json_object *a, struct json_object *b, const char *name)
{
	struct json_object *of_a;
	struct json_object *of_b;

	return json_object_object_get_ex(a, name, &of_a) &&
		json_object_object_get_ex(b, name, &of_b) &&
		json_object_equal(of_a, of_b);
}

/* The bytes of a member that must be there. */
static size_t
bytes_of(struct json_object *jwk, const char *name, unsigned char *bytes, size_t room)
{
	const char *text = member(jwk, name);
	size_t		len = 0;

	MUST(text != NULL && strlen(text) * 3 / 4 <= room && tn_base64url_decode(text, strlen(text), bytes, &len));
	return len;
}

static void
check_rsa(struct json_object *jwk)
{
	unsigned char bytes[2048];
	size_t		len = bytes_of(jwk, "n", bytes, sizeof(bytes));

	MUST((len > 256 || bytes[0] >= 0x80) && bytes[0] != 0 && bytes[len - 1] % 2 == 1);
	len = bytes_of(jwk, "e", bytes, 8);
	MUST(bytes[0] != 0 && bytes[len - 1] % 2 == 1 && (len > 1 || bytes[0] > 1));
}

/* Not a point whose signatures anybody can make; its sign does not matter. */
static void
check_okp(struct json_object *jwk)
{
	static const unsigned char order_8[2][32] = {
		{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
		{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}
	};
	unsigned char bytes[57];
	size_t		len = bytes_of(jwk, "x", bytes, sizeof(bytes));
	size_t		zeros = 1;
	size_t		ones = 1;

	MUST(len == (strcmp(member(jwk, "crv"), "Ed25519") == 0 ? 32 : 57));
	bytes[len - 1] &= 0x7f;
	while (zeros < len - 1 && bytes[zeros] == 0)
		zeros++;
	while (ones < len - 1 && bytes[ones] == 0xff)
		ones++;
	MUST(len == 32 || bytes[56] == 0);
	/* 0 and 1; -1, and all that is not less than the prime */
	MUST(zeros < len - 1 || bytes[len - 1] != 0 || bytes[0] > 1);
	if (len == 32)
	{
		MUST(ones < len - 1 || bytes[len - 1] != 0x7f || bytes[0] < 0xec);
		MUST(memcmp(bytes, order_8[0], 32) != 0 && memcmp(bytes, order_8[1], 32) != 0);
	}
}

/* It may be for anything, if for verifying too. */
static void
check_key_ops(struct json_object *jwk)
{
	struct json_object *ops;
	bool		verify = false;

	if (!json_object_object_get_ex(jwk, "key_ops", &ops))
		return;
	for (size_t i = 0; i < json_object_array_length(ops); i++)
		verify |= strcmp(json_object_get_string(json_object_array_get_idx(ops, i)), "verify") == 0;
	MUST(verify);
}

static void
check_members(TnKey *key, struct json_object *jwk)
{
	const char *alg = member(jwk, "alg");
	const char *use = member(jwk, "use");
	const char *kid = member(jwk, "kid");
	const char *kty = member(jwk, "kty");
	const char *text;
	size_t		len = 0;
	size_t		i = 0;

	while (i < sizeof(algorithms) / sizeof(algorithms[0]) &&
		   strcmp(algorithms[i].alg, tn_key_alg(key)) != 0)
		i++;
	MUST(i < sizeof(algorithms) / sizeof(algorithms[0]));

	MUST(alg == NULL || strcmp(alg, tn_key_alg(key)) == 0);
	MUST(use == NULL || strcmp(use, "sig") == 0);
	MUST(kty != NULL && strcmp(kty, algorithms[i].kty) == 0);
	MUST((kid == NULL) == (tn_key_id(key) == NULL));
	MUST(kid == NULL || (strcmp(kid, tn_key_id(key)) == 0 && strlen(kid) <= TN_KEY_ID_MAX_BYTES));

	text = member(jwk, algorithms[i].member);
	MUST(text != NULL && tn_base64url_decode(text, strlen(text), NULL, &len));
	MUST(len >= algorithms[i].least_bytes);
	check_key_ops(jwk);
	MUST(tn_key_signature_len(key) >= 32 && tn_key_signature_len(key) <= 2048);

	if (strcmp(kty, "RSA") == 0)
		check_rsa(jwk);
	else if (strcmp(kty, "EC") == 0)
		MUST(len == algorithms[i].least_bytes &&
			 tn_base64url_decode(member(jwk, "y"), strlen(member(jwk, "y")), NULL, &len) &&
			 len == algorithms[i].least_bytes);
	else if (strcmp(kty, "OKP") == 0)
		check_okp(jwk);

	for (size_t m = 0; strcmp(kty, "oct") != 0 &&
		 m < sizeof(private_members) / sizeof(private_members[0]); m++)
		MUST(!json_object_object_get_ex(jwk, private_members[m], NULL));
}

/* A published token is good by the published key alone. */
static void
check_tokens(TnKey *key, struct json_object *jwk)
{
	for (int i = 0; i < PUBLISHED_EXAMPLES; i++)
	{
		struct json_object *of = json_tokener_parse(published[i].jwk);
		bool		same = true;

		for (int m = 0; m < 4; m++)
		{
			static const char *const names[] = {"n", "x", "y", "k"};

			if (json_object_object_get_ex(of, names[m], NULL))
				same &= same_member(of, jwk, names[m]);
		}
		json_object_put(of);
		if (tn_token_verify(key, tn_key_alg(key), published[i].token) == TN_SIGNATURE_GOOD)
			MUST(same && strcmp(published[i].alg, tn_key_alg(key)) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* ends where the text ends, so that the sanitizer sees a byte too many */
	char	   *text = malloc(size + (size == 0));
	const char *reason;
	TnKey	   *key;

	memcpy(text, data, size);
	key = tn_key_create(text, size, &reason);
	MUST((key == NULL) == (reason != NULL));
	if (key != NULL)
	{
		struct json_tokener *tokener = json_tokener_new();
		struct json_object *jwk = json_tokener_parse_ex(tokener, text, (int) size);

		MUST(size <= TN_JWK_MAX_BYTES && json_object_is_type(jwk, json_type_object));
		check_members(key, jwk);
		check_tokens(key, jwk);
		json_object_put(jwk);
		json_tokener_free(tokener);
	}
	tn_key_free(key);
	free(text);
	return 0;
}
