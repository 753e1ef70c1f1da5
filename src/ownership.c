/*-------------------------------------------------------------------------
 *
 * ownership.c
 *	  Statements on a table, run as its owner or as some other role.
 *
 * What an administrator does to the rows of an org, in tables of whoever it
 * is, runs triggers and column defaults that these owners wrote.  They must
 * not run with the rights of the caller, who may be a superuser, nor with
 * those of the extension's owner, whose SECURITY DEFINER functions bring us
 * here.
 *
 * Nor may they use the caller's token, or that the caller is the DBA: for as
 * long as the statement runs, nobody is signed in and nobody is the DBA.
 *
 * The owner sees all rows, FORCE ROW LEVEL SECURITY or not, so the statement
 * says which org it means.  What runs on its behalf can neither change the
 * role nor leave anything behind that would run later, as somebody else: a
 * deferred trigger is an error.
 *
 * Any other role is subject to row security and keeps the token, which is one
 * that the superuser who looks what that role may do has made for it.
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
#include "settings.h"

/* Whose rights a statement runs with. */
typedef struct Runner
{
	Oid			role;
	int			security;		/* beside what always holds */
	bool		keeps_token;
} Runner;

static bool running_as_owner = false;

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

static void
set_for_statement(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Does code of a table's owner, or of whom it lets write, run just now, on
 * behalf of somebody who may do more?
 */
bool
tn_running_as_owner(void)
{
	return running_as_owner;
}

/*
 * Runs a statement by SPI; argtype, arg and *answer as in tn_run_as_owner().
 */
static uint64
execute(const char *sql, Oid argtype, Datum arg, MemoryContext context, char **answer)
{
	int			result;
	uint64		rows;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute_with_args(sql, OidIsValid(argtype) ? 1 : 0, &argtype, &arg, NULL, false, 0);
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
	return rows;
}

/*
 * Runs a statement on a table of that schema with a runner's rights, and
 * pg_catalog, the schema and pg_temp as search_path.
 *
 * After an error the transaction's abort brings the caller's rights and
 * settings back.
 */
static uint64
run(const Runner *runner, const char *schema, const char *sql, Oid argtype, Datum arg, char **answer)
{
	bool		nested = running_as_owner;
	Oid			caller;
	int			security;
	int			settings;
	uint64		rows = 0;

	GetUserIdAndSecContext(&caller, &security);
	SetUserIdAndSecContext(runner->role, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | runner->security);
	settings = NewGUCNestLevel();
	set_for_statement("search_path", psprintf("pg_catalog, %s, pg_temp", quote_identifier(schema)));
	if (!runner->keeps_token)
		set_for_statement(TN_TOKEN_SETTING, "");

	running_as_owner = true;
	PG_TRY();
	{
		rows = execute(sql, argtype, arg, CurrentMemoryContext, answer);
	}
	PG_FINALLY();
	{
		running_as_owner = nested;
	}
	PG_END_TRY();

	AtEOXact_GUC(false, settings);
	SetUserIdAndSecContext(caller, security);
	return rows;
}

/*
 * Runs a statement, whose $1 is arg, with the rights of the table's owner and
 * pg_catalog, the table's schema and pg_temp as search_path.  Returns the
 * number of rows; *answer, unless answer is NULL, is the first column of the
 * first row as text, or NULL, in the caller's memory context.
 */
uint64
tn_run_as_owner(Oid relid, const char *sql, Oid argtype, Datum arg, char **answer)
{
	Runner		owner = {.security = SECURITY_NOFORCE_RLS};
	char	   *schema;

	find_table(relid, &owner.role, &schema);
	return run(&owner, schema, sql, argtype, arg, answer);
}

/*
 * Runs a statement on a table as a role may, under the token in force.  Returns
 * the number of rows.  For superusers alone, who may be any role anyway.
 */
uint64
tn_run_as_role(Oid role, Oid relid, const char *sql)
{
	Runner		runner = {.role = role,.keeps_token = true};
	Oid			owner;
	char	   *schema;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to run a statement as another role"),
				 errhint("Call it as a superuser.")));
	find_table(relid, &owner, &schema);
	return run(&runner, schema, sql, InvalidOid, (Datum) 0, NULL);
}
