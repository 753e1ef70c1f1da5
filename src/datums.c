/*-------------------------------------------------------------------------
 *
 * datums.c
 *	  Values of ours as PostgreSQL's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "utils/builtins.h"

#include "datums.h"

/*
 * A copy in the current memory context.
 */
Datum
tn_uuid_datum(const pg_uuid_t *uuid)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *uuid;
	return UUIDPGetDatum(copy);
}

/*
 * The same of a string as text, in a row that is being filled; NULL for null.
 */
void
tn_put_text(Datum *value, bool *isnull, const char *string)
{
	*isnull = string == NULL;
	*value = string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}
