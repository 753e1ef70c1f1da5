/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  The event trigger of guarded schemas.
 *
 * It fires for every table that is created or altered in the database.  Most
 * of that does not concern a guard: which of it does stands in the parse tree,
 * where only C can look.  The rest is tenancy.guard_tables()'s.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "catalog/pg_class_d.h"
#include "catalog/pg_type_d.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"

#include "privileged.h"

static bool
attaches_partition(Node *command)
{
	ListCell   *lc;

	if (!IsA(command, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) command)->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AttachPartition)
			return true;
	}
	return false;
}

static bool
is_temporary(RangeVar *name)
{
	return name->relpersistence == RELPERSISTENCE_TEMP;
}

/*
 * May the command have brought a table into a schema?  An extension's tables
 * are its own, a temporary one its session's.  What alters a table leaves it
 * where it is, but for SET SCHEMA, which is no AlterTableStmt.
 */
static bool
brings_table(Node *command)
{
	if (creating_extension)
		return false;
	switch (nodeTag(command))
	{
		case T_AlterTableStmt:
		case T_AlterTableMoveAllStmt:
		case T_RenameStmt:
			return false;
		case T_CreateStmt:
			return !is_temporary(((CreateStmt *) command)->relation);
		case T_CreateTableAsStmt:
			return !is_temporary(((CreateTableAsStmt *) command)->into->rel);
		default:
			return true;
	}
}

TENANCY_FUNCTION(tenancy_guard_new_tables);
Datum
tenancy_guard_new_tables(PG_FUNCTION_ARGS)
{
	Oid			argtypes[] = {BOOLOID};
	Node	   *command;
	Datum		attaches;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an event trigger")));
	command = ((EventTriggerData *) fcinfo->context)->parsetree;
	attaches = BoolGetDatum(attaches_partition(command));
	if (DatumGetBool(attaches) || brings_table(command))
		(void) tn_privileged_call("SELECT tenancy.guard_tables($1)", 1, argtypes, &attaches, NULL);
	PG_RETURN_NULL();
}
