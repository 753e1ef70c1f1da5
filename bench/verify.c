/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  What verifying signatures costs without PostgreSQL.
 *
 * usage: verify raw|libjwt KEY ALG TOKENS
 *
 * Verifies every token of a file, one a line, with one key, several times
 * over, and prints the nanoseconds that one takes: the mean of the tokens' best
 * times, which are those that nothing else has disturbed.  raw is OpenSSL alone,
 * given the signature as OpenSSL has it; libjwt is the library with the checker
 * that the extension has for a key, and nothing of the extension's own.
 *
 *-------------------------------------------------------------------------
 */
#include <jwt.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keyring.h"
#include "signing.h"

#define MAX_TOKENS 10000
#define PASSES 20

typedef struct Token
{
	char	   *text;
	size_t		input_len;		/* of what is signed */
	unsigned char signature[MINT_MAX_SIGNATURE];
	size_t		signature_len;
	double		best;			/* nanoseconds; 0: not verified yet */
} Token;

static Token tokens[MAX_TOKENS];
static int	n_tokens = 0;

static void __attribute__((noreturn))
fail(const char *what)
{
	fprintf(stderr, "verify: %s\n", what);
	exit(1);
}

/* r and s side by side, as a JWS has them, become DER. */
static void
to_der(Token *token)
{
	ECDSA_SIG  *pair = ECDSA_SIG_new();
	int			half = (int) token->signature_len / 2;
	unsigned char *der = token->signature;

	if (pair == NULL ||
		ECDSA_SIG_set0(pair, BN_bin2bn(token->signature, half, NULL),
					   BN_bin2bn(token->signature + half, half, NULL)) != 1)
		fail("cannot read a signature");
	token->signature_len = (size_t) i2d_ECDSA_SIG(pair, &der);
	ECDSA_SIG_free(pair);
}

static void
read_tokens(const char *path, bool ecdsa)
{
	FILE	   *file = fopen(path, "r");
	char	   *line = NULL;
	size_t		room = 0;

	if (file == NULL)
		fail("cannot read the tokens");
	while (n_tokens < MAX_TOKENS && getline(&line, &room, file) > 0)
	{
		Token	   *token = &tokens[n_tokens++];
		char	   *dot;

		line[strcspn(line, "\n")] = '\0';
		token->text = strdup(line);
		dot = token->text == NULL ? NULL : strrchr(token->text, '.');
		if (dot == NULL || strlen(dot) > MINT_MAX_SIGNATURE ||
			!tn_base64url_decode(dot + 1, strlen(dot + 1), token->signature,
								 &token->signature_len))
			fail("not a token");
		token->input_len = (size_t) (dot - token->text);
		if (ecdsa)
			to_der(token);
	}
	free(line);
	fclose(file);
}

static bool
verify_hmac(const MintKey *key, const Token *token)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len;

	return HMAC(EVP_sha256(), key->secret, (int) key->secret_len,
				(unsigned char *) token->text, token->input_len, mac, &len) != NULL &&
		len == token->signature_len && memcmp(mac, token->signature, len) == 0;
}

static bool
verify_raw(const MintKey *key, const EVP_MD *digest, const Token *token)
{
	EVP_MD_CTX *context;
	bool		good;

	if (key->pkey == NULL)
		return verify_hmac(key, token);
	context = EVP_MD_CTX_new();
	good = context != NULL &&
		EVP_DigestVerifyInit(context, NULL, digest, NULL, key->pkey) == 1 &&
		EVP_DigestVerify(context, token->signature, token->signature_len,
						 (unsigned char *) token->text, token->input_len) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double) time.tv_sec * 1e9 + (double) time.tv_nsec;
}

static void
verify_all(const MintKey *key, const EVP_MD *digest, TnKey *ours)
{
	for (int i = 0; i < n_tokens; i++)
	{
		Token	   *token = &tokens[i];
		double		start = now();
		double		taken;

		if (ours != NULL ? jwt_checker_verify(tn_key_checker(ours), token->text) != 0 :
			!verify_raw(key, digest, token))
			fail("a signature is bad");
		taken = now() - start;
		if (token->best == 0 || taken < token->best)
			token->best = taken;
	}
}

int
main(int argc, char **argv)
{
	double		sum = 0;
	const char *reason;
	MintKey    *key;
	TnKey	   *ours = NULL;
	const EVP_MD *digest;

	if (argc != 5)
		fail("usage: verify raw|libjwt KEY ALG TOKENS");
	key = mint_key_read(argv[2]);
	digest = strcmp(argv[3], "EdDSA") == 0 ? NULL : EVP_sha256();
	read_tokens(argv[4], strcmp(argv[3], "ES256") == 0);
	if (strcmp(argv[1], "libjwt") == 0)
	{
		char	   *jwk = mint_jwk(key, "bench", argv[3], false);

		ours = tn_key_create(jwk, strlen(jwk), &reason);
		free(jwk);
		if (ours == NULL)
			fail("the key is refused");
	}

	for (int pass = 0; pass < PASSES; pass++)
		verify_all(key, digest, ours);
	for (int i = 0; i < n_tokens; i++)
		sum += tokens[i].best;
	printf("%.0f\n", sum / n_tokens);
	return 0;
}
