/*-------------------------------------------------------------------------
 *
 * privileged.c
 *	  Calling an SQL function of ours with the rights of the extension's owner.
 *
 * For C functions that leave a setting behind: they cannot be SECURITY DEFINER
 * themselves, as that needs a search_path in a SET clause, which takes SET
 * LOCAL back when the function ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "executor/spi.h"
#include "miscadmin.h"

#include "privileged.h"
#include "catalog.h"

/*
 * Runs a SELECT that calls one function, every name in it qualified: the
 * search_path is the caller's.  Sets *result, unless that is NULL, to the uuid
 * that it returns; false if that is null.  An error ends the (sub)transaction,
 * which restores the user.
 */
bool
tn_privileged_call(const char *call, int nargs, Oid *argtypes, Datum *values, pg_uuid_t *result)
{
	Oid			caller;
	int			context;
	bool		isnull = true;
	Datum		value;

	GetUserIdAndSecContext(&caller, &context);
	SetUserIdAndSecContext(tn_catalog_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(call, nargs, argtypes, values, NULL, false, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not call a function of tenancy");
	if (result != NULL)
	{
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		if (!isnull)
			*result = *DatumGetUUIDP(value);
	}
	SPI_finish();
	SetUserIdAndSecContext(caller, context);
	return !isnull;
}
