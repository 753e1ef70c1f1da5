/*-------------------------------------------------------------------------
 *
 * verification.c
 *	  Is this token good, and what does it say?
 *
 * Puts the parts together: token.c splits and checks the signature, claims.c
 * parses strictly, issuer.c knows whom we trust.  A bad token is never an
 * error here: it is a verdict with a sentence that says what is wrong, and the
 * sentence is a constant, so that no part of a token can get into a message.
 *
 * Followed: RFC 7515 (JWS), 7519 (JWT), 8725 (best practice).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "datatype/timestamp.h"
#include "utils/memutils.h"

#include "claims.h"
#include "issuer.h"
#include "settings.h"
#include "token.h"
#include "verification.h"

#define MAX_SUBJECT_BYTES 1024
#define MAX_EMAIL_BYTES 320

/* Signed with the same keys, but a cookie's cache and no access token. */
#define BETTER_AUTH_CACHE_TYPE "better-auth.session-cache+jwt"
#define BETTER_AUTH_CACHE_AUDIENCE "better-auth:session-cache"

/* OpenID Connect Back-Channel Logout: has a subject, an audience and an expiry time too. */
#define LOGOUT_TYPE "logout+jwt"
#define LOGOUT_EVENT "events.http://schemas.openid.net/event/backchannel-logout"

typedef struct Header
{
	const char *algorithm;
	const char *key_id;			/* NULL if there is none */
	const char *type;			/* NULL if there is none */
} Header;

static bool
refuse(TnVerifiedToken *verified, TnVerdict verdict, const char *problem)
{
	verified->verdict = verdict;
	verified->problem = problem;
	return false;
}

/*
 * A member that must be a string where it is there at all.
 */
static bool
optional_string(const TnClaims *claims, const char *name, const char **value)
{
	*value = tn_claims_string(claims, name);
	return *value != NULL || !tn_claims_has(claims, name);
}

/*
 * "jku", "x5u", "jwk" and "x5c" are not looked at: keys come from the catalog
 * alone.  "crit" lists extensions that must be understood, and we know none;
 * "b64" would change what is signed.
 */
static bool
read_header(const TnTokenParts *parts, Header *header, TnVerifiedToken *verified)
{
	TnClaims	claims;

	if (!tn_claims_parse(parts->header, parts->header_len, &claims))
		return refuse(verified, TN_VERDICT_MALFORMED, "The token's header is not a JSON object in strict form.");
	header->algorithm = tn_claims_string(&claims, "alg");
	if (header->algorithm == NULL)
		return refuse(verified, TN_VERDICT_MALFORMED, "The token's header names no algorithm.");
	if (!optional_string(&claims, "kid", &header->key_id) ||
		!optional_string(&claims, "typ", &header->type))
		return refuse(verified, TN_VERDICT_MALFORMED, "A member of the token's header has the wrong type.");
	if (tn_claims_has(&claims, "crit") || tn_claims_has(&claims, "b64"))
		return refuse(verified, TN_VERDICT_MALFORMED, "The token's header asks for an extension that is not supported.");
	return true;
}

static bool
contains(int n, const char *const *strings, const char *wanted)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(strings[i], wanted) == 0)
			return true;
	}
	return false;
}

/*
 * Is the token of that type?  "application/" may stand before it (RFC 7515
 * section 4.1.9).
 */
static bool
is_of_type(const Header *header, const char *type)
{
	const char *prefix = "application/";
	const char *said = header->type;

	if (said == NULL)
		return false;
	if (pg_strncasecmp(said, prefix, strlen(prefix)) == 0)
		said += strlen(prefix);
	return pg_strcasecmp(said, type) == 0;
}

/*
 * For whom the token is, and for what: "typ", "aud", "azp", and Clerk's "sts".
 */
static bool
check_purpose(const TnIssuer *issuer, const Header *header,
			  const TnClaims *claims, TnVerifiedToken *verified)
{
	const char **audiences;
	const char **strings;
	const char *party;
	const char *session_status;
	int			n = tn_claims_strings(claims, "aud", &audiences);
	bool		for_us = issuer->n_audiences < 0;

	if (n < 0)
		return refuse(verified, TN_VERDICT_MALFORMED, "The token's audience is neither a string nor an array of strings.");
	if (!optional_string(claims, "azp", &party) ||
		!optional_string(claims, "sts", &session_status))
		return refuse(verified, TN_VERDICT_MALFORMED, "A claim of the token has the wrong type.");

	if (is_of_type(header, BETTER_AUTH_CACHE_TYPE) ||
		contains(n, audiences, BETTER_AUTH_CACHE_AUDIENCE))
		return refuse(verified, TN_VERDICT_WRONG_ISSUER, "This is a cookie cache, not an access token.");
	if (is_of_type(header, LOGOUT_TYPE) || tn_claims_strings(claims, LOGOUT_EVENT, &strings) != 0)
		return refuse(verified, TN_VERDICT_WRONG_ISSUER, "This is a logout token, not an access token.");

	for (int i = 0; i < issuer->n_audiences && !for_us; i++)
		for_us = contains(n, audiences, issuer->audiences[i]);
	if (!for_us)
		return refuse(verified, TN_VERDICT_WRONG_ISSUER, "The token is for another audience.");

	if (issuer->n_authorized_parties >= 0 &&
		(party == NULL ||
		 !contains(issuer->n_authorized_parties,
				   (const char *const *) issuer->authorized_parties, party)))
		return refuse(verified, TN_VERDICT_WRONG_ISSUER, "The token was issued to a party that is not authorized.");

	if (session_status != NULL && strcmp(session_status, "pending") == 0)
		return refuse(verified, TN_VERDICT_WRONG_ISSUER, "The issuer says that the sign-in is still pending.");
	return true;
}

/*
 * "exp", "nbf" and "iat": that they are times.  What they say is compared with
 * the clock at every use.
 */
static bool
read_times(const TnClaims *claims, TnVerifiedToken *verified)
{
	int64		not_before;
	TnTimeResult nbf = tn_claims_time(claims, "nbf", &not_before);
	TnTimeResult iat = tn_claims_time(claims, "iat", &verified->issued_at);

	if (tn_claims_time(claims, "exp", &verified->expires_at) != TN_TIME_OK)
		return refuse(verified, TN_VERDICT_MALFORMED, "The token has no expiry time (\"exp\", in seconds), or one that is not a time.");
	if (nbf == TN_TIME_INVALID || iat == TN_TIME_INVALID)
		return refuse(verified, TN_VERDICT_MALFORMED, "A time in the token (\"nbf\" or \"iat\", in seconds) is not a time.");

	verified->has_issued_at = iat == TN_TIME_OK;
	verified->valid_from = PG_INT64_MIN;
	if (nbf == TN_TIME_OK)
		verified->valid_from = not_before;
	if (iat == TN_TIME_OK)
		verified->valid_from = Max(verified->valid_from, verified->issued_at);
	return true;
}

/*
 * The first of the paths that the issuer's mapping gives for what we call
 * `name` at which the token has a scalar.
 */
static const TnClaim *
mapped_claim(const TnIssuer *issuer, const TnClaims *claims, const char *name)
{
	const char **paths;
	int			n = tn_claims_strings(&issuer->mapping, name, &paths);

	for (int i = 0; i < n; i++)
	{
		const TnClaim *claim = tn_claims_find(claims, paths[i]);

		if (claim != NULL && claim->type != TN_JSON_NULL)
			return claim;
	}
	return NULL;
}

/*
 * A mapped claim as text; NULL if it is not there, empty or no string.
 */
static char *
mapped_string(const TnIssuer *issuer, const TnClaims *claims, const char *name,
			  MemoryContext result)
{
	const TnClaim *claim = mapped_claim(issuer, claims, name);

	if (claim == NULL || claim->type != TN_JSON_STRING || *claim->value == '\0')
		return NULL;
	return MemoryContextStrdup(result, claim->value);
}

/*
 * Does what is at that path say that somebody acts?  Null, false and an empty
 * string do not.
 */
static bool
says_actor(const TnClaims *claims, const char *path)
{
	const TnClaim *claim = tn_claims_find(claims, path);
	const char **strings;

	if (claim == NULL)
		return tn_claims_has(claims, path) || tn_claims_strings(claims, path, &strings) != 0;
	if (claim->type == TN_JSON_STRING)
		return *claim->value != '\0';
	return claim->type == TN_JSON_NUMBER || strcmp(claim->value, "true") == 0;
}

/*
 * Who acts as the subject: "act" of RFC 8693, or where the issuer has it.  An
 * actor that cannot be named makes the token no good: the two must be told
 * apart.
 */
static bool
read_actor(const TnIssuer *issuer, const TnClaims *claims, MemoryContext result,
		   TnVerifiedToken *verified)
{
	const TnClaim *act = tn_claims_find(claims, "act");
	bool		acts = tn_claims_has(claims, "act") && (act == NULL || act->type != TN_JSON_NULL);
	const char **paths;
	int			n = tn_claims_strings(&issuer->mapping, "actor", &paths);

	for (int i = 0; i < n && !acts; i++)
		acts = says_actor(claims, paths[i]);

	verified->actor = mapped_string(issuer, claims, "actor", result);
	if (acts && verified->actor == NULL)
		return refuse(verified, TN_VERDICT_MALFORMED, "The token says that somebody acts as its subject, but not who.");
	return true;
}

/*
 * When the user last authenticated, by whatever factor: "auth_time" of OpenID
 * Connect, or Clerk's "fva", which has the minutes since each factor, -1 for
 * one that was not used, at the time of issue.
 */
static void
read_authentication(const TnIssuer *issuer, const TnClaims *claims, TnVerifiedToken *verified)
{
	const char **paths;
	int			n = tn_claims_strings(&issuer->mapping, "auth_time", &paths);
	int64		latest = PG_INT64_MIN;
	int64		at;

	for (int i = 0; i < n; i++)
	{
		if (tn_claims_time(claims, paths[i], &at) == TN_TIME_OK)
			latest = Max(latest, at);
	}
	n = verified->has_issued_at ? tn_claims_strings(&issuer->mapping, "auth_age", &paths) : 0;
	for (int i = 0; i < n; i++)
	{
		int64	   *minutes;
		int			n_factors = tn_claims_numbers(claims, paths[i], &minutes);

		for (int j = 0; j < n_factors; j++)
		{
			if (minutes[j] >= 0)
				latest = Max(latest, verified->issued_at - minutes[j] * SECS_PER_MINUTE);
		}
	}
	verified->has_authenticated_at = latest != PG_INT64_MIN;
	verified->authenticated_at = latest;
}

/*
 * True only for the boolean true, or the string "true" that some issuers send;
 * a mapping may also say that every address of the issuer is verified.
 */
static bool
mapped_true(const TnIssuer *issuer, const TnClaims *claims, const char *name)
{
	const TnClaim *always = tn_claims_find(&issuer->mapping, name);
	const TnClaim *claim;

	if (always != NULL && always->type == TN_JSON_BOOL)
		return strcmp(always->value, "true") == 0;

	claim = mapped_claim(issuer, claims, name);
	return claim != NULL &&
		(claim->type == TN_JSON_BOOL || claim->type == TN_JSON_STRING) &&
		strcmp(claim->value, "true") == 0;
}

static bool
check_signature(const TnIssuer *issuer, const Header *header, const char *token,
				TnVerifiedToken *verified)
{
	TnKey	   *key = tn_issuer_key(issuer, header->key_id);

	if (key == NULL)
		return refuse(verified, TN_VERDICT_UNKNOWN_KEY,
					  issuer->has_unusable_key ?
					  "The issuer has a signing key that cannot be used, and no other that the token can mean: tenancy.doctor() tells which." :
					  header->key_id != NULL ?
					  "The issuer has no signing key of the id that the token names." :
					  "The token names no key, and the issuer has not exactly one.");

	switch (tn_token_verify(key, header->algorithm, token))
	{
		case TN_SIGNATURE_GOOD:
			return true;
		case TN_SIGNATURE_WRONG_ALG:
			return refuse(verified, TN_VERDICT_BAD_SIGNATURE, "The token's algorithm is not the one its key is for.");
		case TN_SIGNATURE_BAD:
			return refuse(verified, TN_VERDICT_BAD_SIGNATURE, "The token was not signed with the issuer's key, or was changed since.");
		case TN_SIGNATURE_ERROR:
			break;
	}
	/* Not a verdict on the token: it must not be remembered as one. */
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("could not verify the session token"),
			 errdetail("The cryptographic library failed, which is most often for lack of memory.")));
	return false;
}

/*
 * Clerk's session, or the token's own id.
 */
static char *
read_session_id(const TnClaims *claims, MemoryContext result)
{
	const char *id = tn_claims_string(claims, "sid");

	if (id == NULL)
		id = tn_claims_string(claims, "jti");
	return id == NULL ? NULL : MemoryContextStrdup(result, id);
}

/*
 * The checks in order: nothing of the payload is believed before the
 * signature, except for the issuer's name, which says whose key to try.
 */
static bool
verify(const char *token, MemoryContext result, TnVerifiedToken *verified)
{
	size_t		len = strlen(token);
	char	   *buf = palloc(len + 2);
	TnTokenParts parts;
	Header		header;
	TnClaims	claims;
	const char *name;
	const char *subject;
	const TnIssuer *issuer;

	if (strcmp(token, TN_OVERSIZE_TOKEN) == 0)
		return refuse(verified, TN_VERDICT_MALFORMED, "The token is longer than 16384 bytes.");
	if (!tn_token_split(token, len, buf, &parts))
		return refuse(verified, TN_VERDICT_MALFORMED, "A token is three parts in base64url, joined by dots.");
	if (!read_header(&parts, &header, verified))
		return false;
	if (!tn_claims_parse(parts.payload, parts.payload_len, &claims))
		return refuse(verified, TN_VERDICT_MALFORMED, "The token's payload is not a JSON object in strict form.");

	name = tn_claims_string(&claims, "iss");
	subject = tn_claims_string(&claims, "sub");
	if (name == NULL || *name == '\0')
		return refuse(verified, TN_VERDICT_MALFORMED, "The token names no issuer (\"iss\").");
	if (subject == NULL || *subject == '\0' || strlen(subject) > MAX_SUBJECT_BYTES)
		return refuse(verified, TN_VERDICT_MALFORMED, "The token names no subject (\"sub\") of 1 to 1024 bytes.");

	issuer = tn_issuer_find(name);
	if (issuer == NULL)
		return refuse(verified, TN_VERDICT_WRONG_ISSUER, "The token's issuer is not trusted here.");
	if (!check_signature(issuer, &header, token, verified) ||
		!read_times(&claims, verified) ||
		!check_purpose(issuer, &header, &claims, verified) ||
		!read_actor(issuer, &claims, result, verified))
		return false;
	read_authentication(issuer, &claims, verified);

	verified->verdict = TN_VERDICT_GOOD;
	verified->issuer_id = issuer->id;
	verified->issuer = MemoryContextStrdup(result, issuer->issuer);
	verified->subject = MemoryContextStrdup(result, subject);
	verified->email = mapped_string(issuer, &claims, "email", result);
	if (verified->email != NULL && strlen(verified->email) > MAX_EMAIL_BYTES)
		verified->email = NULL;
	verified->email_verified = verified->email != NULL &&
		mapped_true(issuer, &claims, "email_verified");
	verified->name = mapped_string(issuer, &claims, "name", result);
	verified->org = mapped_string(issuer, &claims, "org", result);
	verified->session_id = read_session_id(&claims, result);
	verified->payload = MemoryContextStrdup(result, parts.payload);
	return true;
}

/*
 * Verifies a token; it must be NUL-terminated.  Strings of the result are
 * palloc'd in the current context.  Reads the catalog if the issuer is new to
 * this backend.  Raises an error only for lack of memory and the like.
 */
void
tn_verify_token(const char *token, TnVerifiedToken *verified)
{
	MemoryContext result = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(result, "tenancy token verification",
												  ALLOCSET_DEFAULT_SIZES);

	memset(verified, 0, sizeof(*verified));
	MemoryContextSwitchTo(scratch);
	(void) verify(token, result, verified);
	MemoryContextSwitchTo(result);
	MemoryContextDelete(scratch);
}
