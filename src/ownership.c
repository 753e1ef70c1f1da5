/*-------------------------------------------------------------------------
 *
 * ownership.c
 *	  Statements on a table, run as its owner.
 *
 * What an administrator does to the rows of an org, in tables of whoever it
 * is, runs triggers and column defaults that these owners wrote.  They must
 * not run with the rights of the caller, who may be a superuser, nor with
 * those of the extension's owner, whose SECURITY DEFINER functions bring us
 * here.
 *
 * The owner sees all rows, FORCE ROW LEVEL SECURITY or not, so the statement
 * says which org it means.  What runs on its behalf can neither change the
 * role nor leave anything behind that would run later, as somebody else: a
 * deferred trigger is an error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "ownership.h"

static void
find_table(Oid relid, Oid *owner, char **schema)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", relid),
				 errhint("It has just been dropped. Try again.")));
	*owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	*schema = get_namespace_name(((Form_pg_class) GETSTRUCT(tuple))->relnamespace);
	ReleaseSysCache(tuple);
	if (*schema == NULL)
		elog(ERROR, "cache lookup failed for the schema of relation %u", relid);
}

/*
 * Runs a statement, whose $1 is arg, with the rights of the table's owner and
 * pg_catalog, the table's schema and pg_temp as search_path.  Returns the
 * number of rows; *answer, unless answer is NULL, is the first column of the
 * first row as text, or NULL.
 *
 * After an error the transaction's abort brings the caller's rights and
 * settings back.
 */
uint64
tn_run_as_owner(Oid relid, const char *sql, Oid argtype, Datum arg, char **answer)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			owner;
	char	   *schema;
	Oid			caller;
	int			security;
	int			settings;
	int			result;
	uint64		rows;

	find_table(relid, &owner, &schema);
	GetUserIdAndSecContext(&caller, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	settings = NewGUCNestLevel();
	(void) set_config_option("search_path",
							 psprintf("pg_catalog, %s, pg_temp", quote_identifier(schema)),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute_with_args(sql, 1, &argtype, &arg, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute statement: %s", SPI_result_code_string(result));
	rows = SPI_processed;
	if (answer != NULL)
	{
		char	   *value = rows == 0 || SPI_tuptable == NULL ? NULL :
			SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		*answer = value == NULL ? NULL : MemoryContextStrdup(context, value);
	}
	SPI_finish();

	AtEOXact_GUC(false, settings);
	SetUserIdAndSecContext(caller, security);
	return rows;
}
