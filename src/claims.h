/*-------------------------------------------------------------------------
 *
 * claims.h
 *	  Strict reading of a JWT's header and payload.
 *
 * What these functions return is palloc'd in the memory context that was
 * current when tn_claims_parse (or tn_claims_strings) ran.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_CLAIMS_H
#define TN_CLAIMS_H

#define TN_CLAIMS_MAX_BYTES 16384
/* As deep as json-c goes inside libjwt, whatever is innermost. */
#define TN_CLAIMS_MAX_DEPTH 31

typedef enum TnJsonType
{
	TN_JSON_STRING,
	TN_JSON_NUMBER,
	TN_JSON_BOOL,
	TN_JSON_NULL
} TnJsonType;

/*
 * One scalar of the document, in document order.
 */
typedef struct TnClaim
{
	const char *path;			/* member names joined by '.', "o.id" */
	int			depth;			/* 1 = top-level member */
	bool		in_array;		/* an element of the array at that path */
	TnJsonType	type;
	const char *value;			/* text of the scalar, strings de-escaped */
} TnClaim;

/*
 * Only scalars are items: the values of members, and the elements of an array
 * that is itself the value of a member.  What lies deeper in an array is
 * checked but not listed.
 */
typedef struct TnClaims
{
	int			n;
	TnClaim    *items;

	/* private to claims.c: every member outside arrays, of whatever type */
	int			n_members;
	struct TnClaimMember *members;
} TnClaims;

typedef enum TnTimeResult
{
	TN_TIME_ABSENT,
	TN_TIME_OK,
	TN_TIME_INVALID
} TnTimeResult;

/*
 * In every function below that takes a path: a top-level member of exactly
 * that name wins, whatever its type; among nested members the shallowest
 * does, and where several are equally shallow ({"a.b":{"c":1},"a":{"b.c":2}})
 * the path is ambiguous and counts as a member of the wrong type.
 */
extern bool tn_claims_parse(const char *json, size_t len, TnClaims *claims);
extern bool tn_claims_has(const TnClaims *claims, const char *name);
extern const TnClaim *tn_claims_find(const TnClaims *claims, const char *path);
extern const char *tn_claims_string(const TnClaims *claims, const char *path);
extern int	tn_claims_strings(const TnClaims *claims, const char *path,
							  const char ***strings);
extern TnTimeResult tn_claims_time(const TnClaims *claims, const char *path,
								   int64 *seconds);
extern int	tn_claims_numbers(const TnClaims *claims, const char *path,
							  int64 **numbers);

#endif							/* TN_CLAIMS_H */
