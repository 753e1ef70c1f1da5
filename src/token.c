/*-------------------------------------------------------------------------
 *
 * token.c
 *	  Takes compact JWS tokens apart and verifies their signatures.
 *
 * libjwt does the cryptography, but decodes base64 and JSON leniently and
 * ignores parts of the standards.  What it would let pass is refused around
 * it: another base64 form of the same bytes, a "crit" header, a signature that
 * is too short, a RSASSA-PSS salt of another length than the hash's.
 *
 * Invariants:
 *	- The algorithm must be the key's, by the caller's strict parse of the
 *	  header and by libjwt's parse of it.
 *	- A token is good only if every check passed; all else, running out of
 *	  memory included, is something other than TN_SIGNATURE_GOOD.
 *	- Nothing here reads the clock or a claim.  Claims are believed only as
 *	  the strict parser of claims.c reads them.
 *	- Memory is malloc'd and freed before return; nothing here can ereport,
 *	  which is why this file does not include postgres.h.
 *	- libjwt's messages may quote the token: they are never passed on.
 *	- OpenSSL's error queue is left as it was found, since the backend's TLS
 *	  code shares it.
 *
 *-------------------------------------------------------------------------
 */
#include <jwt.h>
#include <json-c/json.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "token.h"

bool
tn_token_split(const char *token, size_t len, char *buf, TnTokenParts *parts)
{
	const char *end = token + len;
	const char *dot1;
	const char *dot2;
	char	   *payload;
	size_t		header_len;
	size_t		payload_len;
	size_t		signature_len;

	if (len == 0 || len > TN_TOKEN_MAX_BYTES)
		return false;

	dot1 = memchr(token, '.', len);
	if (dot1 == NULL)
		return false;
	dot2 = memchr(dot1 + 1, '.', (size_t) (end - dot1 - 1));
	if (dot2 == NULL)
		return false;

	/* A third dot is in the signature, and not of its alphabet. */
	if (!tn_base64url_decode(dot2 + 1, (size_t) (end - dot2 - 1),
							 NULL, &signature_len))
		return false;

	if (!tn_base64url_decode(token, (size_t) (dot1 - token),
							 (unsigned char *) buf, &header_len))
		return false;
	buf[header_len] = '\0';

	/* White space there is JSON too, but the log would not know the token. */
	if (buf[0] != '{')
		return false;

	payload = buf + header_len + 1;
	if (!tn_base64url_decode(dot1 + 1, (size_t) (dot2 - dot1 - 1),
							 (unsigned char *) payload, &payload_len))
		return false;
	payload[payload_len] = '\0';

	/* To libjwt, JSON ends at a NUL. */
	if (memchr(buf, '\0', header_len) != NULL ||
		memchr(payload, '\0', payload_len) != NULL)
		return false;

	parts->header = buf;
	parts->header_len = header_len;
	parts->payload = payload;
	parts->payload_len = payload_len;
	return true;
}

/*
 * libjwt ignores "crit" (RFC 7515 section 4.1.11: refuse what you do not
 * understand) and "b64" (RFC 7797 section 7: never false in a JWT).
 */
static TnSignatureResult
check_extensions(const TnTokenParts *parts)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *header;
	struct json_object *b64;
	TnSignatureResult result = TN_SIGNATURE_GOOD;

	if (tokener == NULL)
		return TN_SIGNATURE_ERROR;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	header = json_tokener_parse_ex(tokener, parts->header,
								   (int) parts->header_len);

	/* libjwt refuses what is not an object: it finds no "alg" there */
	if (json_tokener_get_error(tokener) != json_tokener_success)
		result = TN_SIGNATURE_BAD;
	else if (json_object_object_get_ex(header, "crit", NULL))
		result = TN_SIGNATURE_BAD;
	else if (json_object_object_get_ex(header, "b64", &b64) &&
			 !(json_object_is_type(b64, json_type_boolean) &&
			   json_object_get_boolean(b64)))
		result = TN_SIGNATURE_BAD;

	json_object_put(header);
	json_tokener_free(tokener);
	return result;
}

/*
 * libjwt takes a RSASSA-PSS signature with a salt of any length; RFC 7518
 * section 3.5 has it as long as the hash.  OpenSSL checks the signature and
 * the salt only together, so this verifies a second time.
 */
static TnSignatureResult
check_pss_salt(EVP_PKEY *pkey, const char *digest,
			   const unsigned char *signature, size_t signature_len,
			   const char *input, size_t input_len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options;		/* owned by context */
	TnSignatureResult result = TN_SIGNATURE_ERROR;

	if (context != NULL &&
		EVP_DigestVerifyInit_ex(context, &options, digest, NULL, NULL, pkey,
								NULL) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0)
		result = EVP_DigestVerify(context, signature, signature_len,
								  (const unsigned char *) input,
								  input_len) == 1 ?
			TN_SIGNATURE_GOOD : TN_SIGNATURE_BAD;

	EVP_MD_CTX_free(context);
	return result;
}

/*
 * Whether libjwt failed for want of memory.  It has no codes to tell by; a
 * message that is not in this list only makes an error look like a bad
 * signature.
 */
static bool
out_of_memory(const jwt_checker_t *checker)
{
	static const char *const messages[] = {
		"Could not allocate JWT object",
		"Error allocating memory",
		"JWT[OpenSSL]: Out of memory",
		"JWT[OpenSSL]: Failed to allocate ECDSA sig",
		"JWT[OpenSSL]: Error allocating R/S params",
		"JWT[OpenSSL]: Error creatign MD context",
	};
	const char *message = jwt_checker_error_msg(checker);

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
	{
		if (strcmp(message, messages[i]) == 0)
			return true;
	}
	return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

/* tn_token_verify once the algorithm is settled; buf as for tn_token_split. */
static TnSignatureResult
verify(TnKey *key, const char *token, size_t len, char *buf)
{
	jwt_checker_t *checker = tn_key_checker(key);
	TnTokenParts parts;
	TnSignatureResult result;
	const char *signature;
	size_t		signature_len;
	EVP_PKEY   *pss;
	const char *digest;

	if (!tn_token_split(token, len, buf, &parts))
		return TN_SIGNATURE_BAD;

	result = check_extensions(&parts);
	if (result != TN_SIGNATURE_GOOD)
		return result;

	/* header and payload are done with; the signature takes their place */
	signature = strrchr(token, '.') + 1;
	tn_base64url_decode(signature, strlen(signature), (unsigned char *) buf,
						&signature_len);

	/* OpenSSL takes a RSASSA-PSS signature without its leading zeros. */
	if (signature_len != tn_key_signature_len(key))
		return TN_SIGNATURE_BAD;

	/* A message left over from an earlier token would hide a new one. */
	jwt_checker_error_clear(checker);
	if (jwt_checker_verify(checker, token) != 0)
		return out_of_memory(checker) ? TN_SIGNATURE_ERROR : TN_SIGNATURE_BAD;

	pss = tn_key_pss(key, &digest);
	if (pss == NULL)
		return TN_SIGNATURE_GOOD;
	return check_pss_salt(pss, digest, (unsigned char *) buf, signature_len,
						  token, (size_t) (signature - 1 - token));
}

TnSignatureResult
tn_token_verify(TnKey *key, const char *header_alg, const char *token)
{
	size_t		len = strlen(token);
	char	   *buf;
	TnSignatureResult result;

	if (header_alg == NULL || strcmp(header_alg, tn_key_alg(key)) != 0)
		return TN_SIGNATURE_WRONG_ALG;

	buf = malloc(len + 2);
	if (buf == NULL)
		return TN_SIGNATURE_ERROR;

	ERR_set_mark();
	result = verify(key, token, len, buf);
	/* A refusal by a library that lacked memory is none. */
	if (result == TN_SIGNATURE_BAD && tn_memory_is_short())
		result = TN_SIGNATURE_ERROR;
	ERR_pop_to_mark();

	free(buf);
	return result;
}
