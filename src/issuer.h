/*-------------------------------------------------------------------------
 *
 * issuer.h
 *	  The issuers we trust, as this backend has them at hand.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_ISSUER_H
#define TN_ISSUER_H

#include "utils/uuid.h"

#include "claims.h"
#include "keyring.h"

typedef struct TnIssuer
{
	pg_uuid_t	id;
	char	   *issuer;
	int			n_audiences;	/* -1: any audience, also none */
	char	  **audiences;
	int			n_authorized_parties;	/* -1: any party, also none */
	char	  **authorized_parties;
	TnClaims	mapping;		/* what we call a claim -> its paths */
	int			n_keys;
	TnKey	  **keys;
	bool		has_unusable_key;
} TnIssuer;

extern const TnIssuer *tn_issuer_find(const char *issuer);
extern TnKey *tn_issuer_key(const TnIssuer *issuer, const char *key_id);

#endif							/* TN_ISSUER_H */
