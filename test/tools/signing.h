/*-------------------------------------------------------------------------
 *
 * signing.h
 *	  Keys, JWKs and signatures for the tests, good and forged.
 *
 * On OpenSSL alone: what checks libjwt's answers must not be libjwt.  The
 * functions suit a test program: they print a message and exit when they
 * cannot do what is asked.  Strings and buffers returned are malloc'd.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_SIGNING_H
#define TN_SIGNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <openssl/evp.h>

/* The largest signature, by RSA with 16384 bits. */
#define MINT_MAX_SIGNATURE 2048

/* A private key, or the secret of an HMAC. */
typedef struct MintKey
{
	EVP_PKEY   *pkey;			/* NULL for an HMAC secret */
	unsigned char *secret;
	size_t		secret_len;
} MintKey;

/*
 * kind: RS256 ... ES512, EdDSA (with Ed25519), EdDSA:Ed448, HS256 ... HS512,
 * ES256K, or RSA:BITS.
 */
extern MintKey *mint_key_generate(const char *kind);

/* An HMAC key of any bytes, as attackers choose them. */
extern MintKey *mint_key_of_secret(const void *secret, size_t len);

/* The two forms of a key's file: PEM, and a line "oct:<base64url>". */
extern MintKey *mint_key_read(const char *path);
extern void mint_key_write(const MintKey *key, FILE *out);
extern void mint_key_free(MintKey *key);

/* The public key as PEM text, as found on an issuer's web site. */
extern char *mint_public_pem(const MintKey *key);

/* One JWK.  kid and alg may be NULL.  An HMAC key always shows its secret. */
extern char *mint_jwk(const MintKey *key, const char *kid, const char *alg,
					  bool with_private);

/*
 * Signs input and returns the signature's length; signature has room for
 * MINT_MAX_SIGNATURE bytes.  alg need not be the key's own:
 *	HS* with an asymmetric key: the secret is the public key's PEM text
 *	PS256:N: with a salt of N bytes instead of the hash's length
 *	PS256:MGF1-SHA1: with another hash for its mask
 *	RS256:FORM: of a block that is not as it should be, see forms in signing.c
 *	ES*: that hash, with whatever curve the key has; ES256:DER in DER form
 */
extern size_t mint_sign(const MintKey *key, const char *alg,
						const void *input, size_t len,
						unsigned char *signature);

extern char *mint_base64url(const void *bytes, size_t len);

/* base64url(header).base64url(claims), for the bytes as they are. */
extern char *mint_signing_input(const void *header, size_t header_len,
								const void *claims, size_t claims_len);

/* A whole token, signed with alg whatever the header says. */
extern char *mint_token(const MintKey *key, const char *alg,
						const char *header, const char *claims);

/* printf into a new string. */
extern char *mint_format(const char *format,...)
			__attribute__((format(printf, 1, 2)));

/* The value of a header's "alg" as plain text search finds it, or NULL. */
extern char *mint_header_alg(const char *header);

#endif							/* TN_SIGNING_H */
