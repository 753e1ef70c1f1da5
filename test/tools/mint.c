/*-------------------------------------------------------------------------
 *
 * mint.c
 *	  Mints keys, JWKs and tokens for the tests, good ones and forgeries.
 *
 * Knows nothing of the extension and nothing of libjwt, and never corrects
 * what it is given: header and claims are signed byte for byte, so duplicate
 * members, bad UTF-8 and lies about the algorithm can all be minted.
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "signing.h"

static void __attribute__((noreturn))
usage(void)
{
	fputs("usage: mint key KIND > FILE      KIND: RS256 ... PS512, ES256 ... ES512, ES256K, EdDSA,\n"
		  "                                 EdDSA:Ed448, HS256 ... HS512, RSA:BITS\n"
		  "       mint jwk FILE [--kid K] [--alg A] [--private]\n"
		  "       mint jwks FILE[,KID[,ALG]] ...\n"
		  "       mint token FILE --header JSON --claims JSON [--alg A] [--sig none|garbage|empty]\n"
		  "       mint tokens FILE CLAIMS-FILE --header JSON\n"
		  "       mint sign FILE ALG < signing-input\n"
		  "       mint signed < LINES       LINES: FILE ALG SIGNING-INPUT\n"
		  "       mint pem FILE             the public key\n"
		  "\n"
		  "tokens makes one of each line of CLAIMS-FILE, signed one of each line of its input: many a second.\n"
		  "--alg of token, and ALG of sign, is the algorithm really used (default: the header's).\n"
		  "PS256:N uses a salt of N bytes, ES256:DER writes the signature in DER, RS256:GARBAGE and others\n"
		  "sign a spoilt block; HS* with an asymmetric key uses the text of its public key's PEM as the\n"
		  "secret. --sig none leaves the third segment\n"
		  "out, empty leaves it empty, garbage puts random bytes there, as many as a signature has.\n", stderr);
	exit(2);
}

/* The value of an option, which must have one. */
static const char *
option_value(int argc, char **argv, int *i)
{
	if (++*i >= argc)
		usage();
	return argv[*i];
}

static void
print_and_free(char *text)
{
	puts(text);
	free(text);
}

static void
do_jwk(int argc, char **argv)
{
	MintKey    *key = mint_key_read(argv[0]);
	const char *kid = NULL;
	const char *alg = NULL;
	bool		with_private = false;

	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--kid") == 0)
			kid = option_value(argc, argv, &i);
		else if (strcmp(argv[i], "--alg") == 0)
			alg = option_value(argc, argv, &i);
		else if (strcmp(argv[i], "--private") == 0)
			with_private = true;
		else
			usage();
	}
	print_and_free(mint_jwk(key, kid, alg, with_private));
	mint_key_free(key);
}

static void
do_jwks(int argc, char **argv)
{
	fputs("{\"keys\":[", stdout);
	for (int i = 0; i < argc; i++)
	{
		char	   *rest = argv[i];
		const char *path = strsep(&rest, ",");
		const char *kid = strsep(&rest, ",");
		const char *alg = rest;
		MintKey    *key = mint_key_read(path);
		char	   *jwk = mint_jwk(key, kid && *kid ? kid : NULL, alg, false);

		printf("%s%s", i > 0 ? "," : "", jwk);
		free(jwk);
		mint_key_free(key);
	}
	puts("]}");
}

static void
do_token(int argc, char **argv)
{
	MintKey    *key = mint_key_read(argv[0]);
	const char *header = NULL;
	const char *claims = NULL;
	const char *sig = NULL;
	char	   *alg = NULL;
	char	   *input;

	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--header") == 0)
			header = option_value(argc, argv, &i);
		else if (strcmp(argv[i], "--claims") == 0)
			claims = option_value(argc, argv, &i);
		else if (strcmp(argv[i], "--sig") == 0)
			sig = option_value(argc, argv, &i);
		else if (strcmp(argv[i], "--alg") == 0)
		{
			free(alg);
			alg = strdup(option_value(argc, argv, &i));
		}
		else
			usage();
	}
	if (header == NULL || claims == NULL)
		usage();

	input = mint_signing_input(header, strlen(header), claims, strlen(claims));
	if (sig != NULL && strcmp(sig, "none") == 0)
		puts(input);
	else if (sig != NULL && strcmp(sig, "empty") == 0)
		printf("%s.\n", input);
	else if (sig == NULL || strcmp(sig, "garbage") == 0)
	{
		unsigned char signature[MINT_MAX_SIGNATURE];
		size_t		len;
		char	   *text;

		if (alg == NULL)
			alg = mint_header_alg(header);
		if (alg == NULL)
			usage();
		len = mint_sign(key, alg, input, strlen(input), signature);
		if (sig != NULL && RAND_bytes(signature, (int) len) != 1)
			exit(1);
		text = mint_base64url(signature, len);
		printf("%s.%s\n", input, text);
		free(text);
	}
	else
		usage();

	free(input);
	free(alg);
	mint_key_free(key);
}

static void
do_tokens(int argc, char **argv)
{
	MintKey    *key = mint_key_read(argv[0]);
	FILE	   *lines;
	char	   *alg;
	char	   *claims = NULL;
	size_t		room = 0;
	ssize_t		len;

	if (argc != 4 || strcmp(argv[2], "--header") != 0 ||
		(alg = mint_header_alg(argv[3])) == NULL ||
		(lines = fopen(argv[1], "r")) == NULL)
		usage();
	while ((len = getline(&claims, &room, lines)) > 0)
	{
		if (claims[len - 1] == '\n')
			claims[len - 1] = '\0';
		print_and_free(mint_token(key, alg, argv[3], claims));
	}
	free(claims);
	fclose(lines);
	free(alg);
	mint_key_free(key);
}

static void
do_sign(int argc, char **argv)
{
	unsigned char signature[MINT_MAX_SIGNATURE];
	char		input[65536];
	size_t		len = fread(input, 1, sizeof(input), stdin);
	MintKey    *key = mint_key_read(argv[0]);

	if (argc != 2)
		usage();
	len = mint_sign(key, argv[1], input, len, signature);
	print_and_free(mint_base64url(signature, len));
	mint_key_free(key);
}

static void
do_signed(void)
{
	char	   *line = NULL;
	size_t		room = 0;
	ssize_t		len;

	while ((len = getline(&line, &room, stdin)) > 0)
	{
		unsigned char signature[MINT_MAX_SIGNATURE];
		char	   *rest = line;
		const char *path;
		const char *alg;
		MintKey    *key;
		size_t		signature_len;
		char	   *text;

		line[strcspn(line, "\n")] = '\0';
		path = strsep(&rest, " ");
		alg = strsep(&rest, " ");
		if (rest == NULL)
			usage();
		key = mint_key_read(path);
		signature_len = mint_sign(key, alg, rest, strlen(rest), signature);
		text = mint_base64url(signature, signature_len);
		printf("%s.%s\n", rest, text);
		free(text);
		mint_key_free(key);
	}
	free(line);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "signed") == 0)
	{
		do_signed();
		return 0;
	}
	if (argc < 3)
		usage();

	if (strcmp(argv[1], "key") == 0)
	{
		MintKey    *key = mint_key_generate(argv[2]);

		mint_key_write(key, stdout);
		mint_key_free(key);
	}
	else if (strcmp(argv[1], "jwk") == 0)
		do_jwk(argc - 2, argv + 2);
	else if (strcmp(argv[1], "jwks") == 0)
		do_jwks(argc - 2, argv + 2);
	else if (strcmp(argv[1], "token") == 0)
		do_token(argc - 2, argv + 2);
	else if (strcmp(argv[1], "tokens") == 0 && argc > 3)
		do_tokens(argc - 2, argv + 2);
	else if (strcmp(argv[1], "sign") == 0)
		do_sign(argc - 2, argv + 2);
	else if (strcmp(argv[1], "pem") == 0)
	{
		MintKey    *key = mint_key_read(argv[2]);
		char	   *pem = mint_public_pem(key);

		fputs(pem, stdout);
		free(pem);
		mint_key_free(key);
	}
	else
		usage();
	return 0;
}
