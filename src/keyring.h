/*-------------------------------------------------------------------------
 *
 * keyring.h
 *	  Verification keys: one TnKey from one JSON Web Key.
 *
 * Free of postgres.h on purpose, see keyring.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_KEYRING_H
#define TN_KEYRING_H

#include <stdbool.h>
#include <stddef.h>

/* The longest JWK text looked at; certificate chains (x5c) fit, a flood does not. */
#define TN_JWK_MAX_BYTES 65536

/* The longest "kid" a key may carry, in bytes. */
#define TN_KEY_ID_MAX_BYTES 255

/*
 * One public (or HMAC) verification key, bound to exactly one algorithm, with
 * a libjwt checker that is ready for any number of verifications.
 */
typedef struct TnKey TnKey;

/*
 * Makes a key of one JWK, given as len bytes of JSON text (need not be
 * NUL-terminated).  NULL when the JWK is refused; *reason then is a static
 * English fragment that completes "the key was refused because ..." and holds
 * no key material.  *reason is NULL on success.
 */
extern TnKey *tn_key_create(const char *jwk, size_t len, const char **reason);

/* The *reason that says nothing of the JWK. */
extern const char tn_key_no_memory[];

/*
 * Whether there is too little memory to believe that something is wrong with
 * a key or a token: the libraries do not always say that this is why they fail.
 */
extern bool tn_memory_is_short(void);

/* Frees a key and everything it owns; NULL is allowed. */
extern void tn_key_free(TnKey *key);

/* The JWK's "kid", or NULL if it has none; owned by the key. */
extern const char *tn_key_id(const TnKey *key);

/* The one algorithm this key verifies, as in a JWS header; static storage. */
extern const char *tn_key_alg(const TnKey *key);

/*
 * Decodes strict base64url (RFC 7515 section 2): at least one character, that
 * alphabet alone, no padding, unused trailing bits zero.  dst may be NULL to
 * check only; it needs (len * 3) / 4 bytes and is not NUL-terminated.
 * *dst_len is set on success alone.
 */
extern bool tn_base64url_decode(const char *src, size_t len,
								unsigned char *dst, size_t *dst_len);

/*
 * For token.c alone, which is why the types are the libraries' own struct
 * tags: no other file needs jwt.h or OpenSSL's headers.
 */
struct jwt_checker;
struct evp_pkey_st;

/* The key's libjwt checker; its error state is the caller's to clear. */
extern struct jwt_checker *tn_key_checker(TnKey *key);

/* The only length in bytes that a signature by this key can have. */
extern size_t tn_key_signature_len(const TnKey *key);

/*
 * For a PS256, PS384 or PS512 key the public key, else NULL; *digest is the
 * OpenSSL name of the algorithm's hash.
 */
extern struct evp_pkey_st *tn_key_pss(const TnKey *key, const char **digest);

#endif							/* TN_KEYRING_H */
