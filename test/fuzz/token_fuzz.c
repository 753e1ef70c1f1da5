/*-------------------------------------------------------------------------
 *
 * token_fuzz.c
 *	  Any bytes as a token, tried with keys of every family.
 *
 * The keys are published ones, so that what is found can be run again.  Two
 * kinds of input:
 *
 *	- a token.  Nobody can sign here, so none is good but those published.
 *	- with a line feed, a header and a payload, which are signed here with a
 *	  secret that everybody knows: what lies behind the signature is to be
 *	  reached as well.  One that is good must be what the strict parser of
 *	  claims.c takes for a header of that algorithm, without extensions, and
 *	  the other way round: what the strict parser takes for that, and libjwt
 *	  does not, the two read differently.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "claims.h"
#include "fuzz.h"
#include "published.h"
#include "signing.h"
#include "token.h"

static TnKey *keys[PUBLISHED_EXAMPLES];
static MintKey *secret;			/* of the first of them */

static void
load_keys(void)
{
	unsigned char bytes[256];
	const char *k = strstr(published[0].jwk, "\"k\":\"") + strlen("\"k\":\"");
	size_t		len;

	for (int i = 0; i < PUBLISHED_EXAMPLES; i++)
	{
		const char *reason;

		keys[i] = tn_key_create(published[i].jwk, strlen(published[i].jwk), &reason);
		MUST(keys[i] != NULL);
		MUST(tn_token_verify(keys[i], published[i].alg, published[i].token) == TN_SIGNATURE_GOOD);
	}
	MUST(tn_base64url_decode(k, strcspn(k, "\""), bytes, &len));
	secret = mint_key_of_secret(bytes, len);
}

/* Splits a copy that ends where the token ends, into a buffer as small as can be. */
static bool
split(const char *token, size_t len, char **buf, TnTokenParts *parts)
{
	char	   *copy = malloc(len + (len == 0));
	bool		result;

	*buf = malloc(len + 2);
	memcpy(copy, token, len);
	result = tn_token_split(copy, len, *buf, parts);
	free(copy);
	if (result)
	{
		MUST(len <= TN_TOKEN_MAX_BYTES);
		MUST(strlen(parts->header) == parts->header_len && parts->header[0] == '{');
		MUST(strlen(parts->payload) == parts->payload_len && parts->payload_len > 0);
	}
	return result;
}

/* What is in a token can be written in no other way. */
static void
check_form(const char *token, const TnTokenParts *parts)
{
	const char *signature = strrchr(token, '.') + 1;
	unsigned char *bytes = malloc(strlen(signature));
	size_t		len;
	char	   *input = mint_signing_input(parts->header, parts->header_len, parts->payload, parts->payload_len);
	char	   *text;

	MUST(tn_base64url_decode(signature, strlen(signature), bytes, &len));
	text = mint_base64url(bytes, len);
	MUST(strlen(input) == (size_t) (signature - 1 - token) && strncmp(token, input, strlen(input)) == 0);
	MUST(strcmp(signature, text) == 0);
	free(text);
	free(input);
	free(bytes);
}

/* Whether a signing input is one that the key's owner has signed. */
static bool
is_published(const char *token, int i)
{
	size_t		len = (size_t) (strrchr(published[i].token, '.') + 1 - published[i].token);

	/* Of ECDSA each signature has a twin, (r, n - s). */
	if (strcmp(published[i].alg, "ES256") == 0)
		return strncmp(token, published[i].token, len) == 0;
	return strcmp(token, published[i].token) == 0;
}

static void
try_token(const char *token, size_t len)
{
	TnTokenParts parts;
	char	   *buf;
	bool		splits = split(token, len, &buf, &parts);

	if (splits)
		check_form(token, &parts);
	free(buf);
	for (int i = 0; i < PUBLISHED_EXAMPLES; i++)
	{
		if (tn_token_verify(keys[i], published[i].alg, token) == TN_SIGNATURE_GOOD)
			MUST(splits && is_published(token, i));
		MUST(tn_token_verify(keys[i], "none", token) == TN_SIGNATURE_WRONG_ALG);
	}
}

static void
try_signed(const char *header, size_t header_len, const char *payload, size_t payload_len)
{
	unsigned char signature[MINT_MAX_SIGNATURE];
	char	   *input = mint_signing_input(header, header_len, payload, payload_len);
	size_t		signature_len = mint_sign(secret, "HS256", input, strlen(input), signature);
	char	   *text = mint_base64url(signature, signature_len);
	char	   *token = mint_format("%s.%s", input, text);
	TnTokenParts parts;
	TnClaims	claims;
	char	   *buf;
	const char *alg;
	const TnClaim *b64;
	bool		good;
	bool		splits = split(token, strlen(token), &buf, &parts);

	if (splits)
	{
		MUST(parts.header_len == header_len && memcmp(parts.header, header, header_len) == 0);
		MUST(parts.payload_len == payload_len && memcmp(parts.payload, payload, payload_len) == 0);
	}
	good = tn_token_verify(keys[0], "HS256", token) == TN_SIGNATURE_GOOD;
	MUST(splits || !good);
	if (splits && tn_claims_parse(parts.header, parts.header_len, &claims))
	{
		bool		sound;

		alg = tn_claims_string(&claims, "alg");
		b64 = tn_claims_find(&claims, "b64");
		sound = alg != NULL && strcmp(alg, "HS256") == 0 && !tn_claims_has(&claims, "crit") &&
			(!tn_claims_has(&claims, "b64") ||
			 (b64 != NULL && b64->type == TN_JSON_BOOL && strcmp(b64->value, "true") == 0));
		MUST(sound || !good);
		if (sound && tn_claims_parse(parts.payload, parts.payload_len, &claims))
			MUST(good);
	}
	for (int i = 1; i < PUBLISHED_EXAMPLES; i++)
		MUST(tn_token_verify(keys[i], published[i].alg, token) != TN_SIGNATURE_GOOD);

	forget_memory();
	free(buf);
	free(token);
	free(text);
	free(input);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *line_feed = size == 0 ? NULL : memchr(data, '\n', size);

	if (secret == NULL)
		load_keys();
	if (line_feed != NULL)
	{
		size_t		header_len = (size_t) (line_feed - (const char *) data);

		try_signed((const char *) data, header_len, line_feed + 1, size - header_len - 1);
	}
	else
	{
		char	   *token = malloc(size + 1);

		/* as a setting's value is: at its first NUL it ends */
		memcpy(token, data, size);
		token[size] = '\0';
		if (strlen(token) == size)
			try_token(token, size);
		free(token);
	}
	return 0;
}
