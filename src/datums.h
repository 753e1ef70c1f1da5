/*-------------------------------------------------------------------------
 *
 * datums.h
 *	  Values of ours as PostgreSQL's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_DATUMS_H
#define TN_DATUMS_H

#include "utils/uuid.h"

extern Datum tn_uuid_datum(const pg_uuid_t *uuid);
extern void tn_put_text(Datum *value, bool *isnull, const char *string);

#endif							/* TN_DATUMS_H */
