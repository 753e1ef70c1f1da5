/*-------------------------------------------------------------------------
 *
 * privileged.h
 *	  Calling an SQL function of ours with the rights of the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_PRIVILEGED_H
#define TN_PRIVILEGED_H

#include "utils/uuid.h"

extern bool tn_privileged_call(const char *call, int nargs, Oid *argtypes, Datum *values,
							   pg_uuid_t *result);

#endif							/* TN_PRIVILEGED_H */
