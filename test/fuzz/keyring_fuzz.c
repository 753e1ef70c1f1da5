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
	MUST(tn_key_signature_len(key) >= 32 && tn_key_signature_len(key) <= 2048);

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
