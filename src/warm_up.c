/*-------------------------------------------------------------------------
 *
 * warm_up.c
 *	  What libjwt and OpenSSL set up at their first use, set up once.
 *
 * OpenSSL looks up its providers, algorithms and curves when they are first
 * asked for, which takes longer than to verify a token.  Done in the
 * postmaster, where shared_preload_libraries loads us, every connection
 * inherits it.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "keyring.h"
#include "published.h"
#include "token.h"
#include "warm_up.h"

/*
 * Verifies a token of each family of algorithms.  Returns how many were good,
 * which only a test needs to know: what fails here fails again, and is told,
 * where a token matters.
 */
int
tn_warm_up(void)
{
	int			good = 0;

	for (int i = 0; i < PUBLISHED_EXAMPLES; i++)
	{
		const char *reason;
		TnKey	   *key = tn_key_create(published[i].jwk, strlen(published[i].jwk), &reason);

		if (key == NULL)
			continue;
		if (tn_token_verify(key, published[i].alg, published[i].token) == TN_SIGNATURE_GOOD)
			good++;
		tn_key_free(key);
	}
	return good;
}
