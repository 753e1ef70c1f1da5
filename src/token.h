/*-------------------------------------------------------------------------
 *
 * token.h
 *	  The JWS layer: taking a compact token apart, checking its signature.
 *
 * Free of postgres.h on purpose, see token.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_TOKEN_H
#define TN_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "keyring.h"

/* Longer tokens are refused before a byte of them is looked at. */
#define TN_TOKEN_MAX_BYTES 16384

/* Decoded JSON texts, each NUL-terminated; they lie in the caller's buffer. */
typedef struct TnTokenParts
{
	const char *header;
	size_t		header_len;
	const char *payload;
	size_t		payload_len;
} TnTokenParts;

/*
 * Takes apart a token of len bytes.  True only for the strict compact form of
 * RFC 7515: exactly three non-empty segments of base64url (see
 * tn_base64url_decode), at most TN_TOKEN_MAX_BYTES, with a header that begins
 * with a brace, which is how redaction.c knows a token.  A NUL is refused both
 * in the token and in the decoded header and payload.  buf needs len + 2
 * bytes.  *parts is set on success alone.  The JSON is not parsed.
 */
extern bool tn_token_split(const char *token, size_t len, char *buf,
						   TnTokenParts *parts);

typedef enum TnSignatureResult
{
	TN_SIGNATURE_GOOD,
	TN_SIGNATURE_BAD,
	TN_SIGNATURE_WRONG_ALG,		/* the header's algorithm is not the key's */
	TN_SIGNATURE_ERROR			/* out of memory or a library failure */
} TnSignatureResult;

/*
 * Verifies the signature of a NUL-terminated token that tn_token_split
 * accepted.  Looks at no claim and no clock.  header_alg is the "alg" of the
 * strictly parsed header.  A header with "crit", or with a "b64" other than
 * true, makes the signature bad: no extension is understood here.
 *
 * Only TN_SIGNATURE_GOOD means that the key's owner signed this token.
 */
extern TnSignatureResult tn_token_verify(TnKey *key, const char *header_alg,
										 const char *token);

#endif							/* TN_TOKEN_H */
