/*-------------------------------------------------------------------------
 *
 * verification.h
 *	  Is this token good, and what does it say?
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_VERIFICATION_H
#define TN_VERIFICATION_H

#include "utils/uuid.h"

typedef enum TnVerdict
{
	TN_VERDICT_GOOD,
	TN_VERDICT_MALFORMED,
	TN_VERDICT_BAD_SIGNATURE,
	TN_VERDICT_WRONG_ISSUER,	/* issuer, audience, authorized party or kind of token */
	TN_VERDICT_UNKNOWN_KEY
} TnVerdict;

/*
 * What a token says.  Only verdict and problem are set unless it is good.  The
 * verdict holds for one keyring generation; it does not depend on the clock,
 * which its readers compare at every use.
 */
typedef struct TnVerifiedToken
{
	TnVerdict	verdict;
	const char *problem;		/* a static sentence, NULL if good */

	pg_uuid_t	issuer_id;
	char	   *issuer;
	char	   *subject;
	char	   *email;			/* NULL if the token has none */
	bool		email_verified;
	char	   *name;			/* NULL if the token has none */
	char	   *org;			/* the issuer's id of an org; NULL if none */
	char	   *actor;			/* the subject who acts as this one; NULL if none does */
	char	   *session_id;		/* what tells one sign-in from another; NULL if nothing does */
	char	   *payload;		/* JSON text */

	int64		expires_at;		/* Unix time, seconds */
	int64		valid_from;		/* later of nbf and iat; PG_INT64_MIN if neither */
	bool		has_issued_at;
	int64		issued_at;
	bool		has_authenticated_at;
	int64		authenticated_at;	/* when the user last proved who they are */
} TnVerifiedToken;

extern void tn_verify_token(const char *token, TnVerifiedToken *verified);

#endif							/* TN_VERIFICATION_H */
