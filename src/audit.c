/*-------------------------------------------------------------------------
 *
 * audit.c
 *	  The trace of what a superadmin does beyond their own orgs.
 *
 * Reading writes nothing, or it would not work on a hot standby.  So what a
 * setting alone does, entering an org and reading across orgs, goes to the
 * server log: one line a transaction and org.  Ids alone: no token, no claim,
 * and not the statement.  What a function does, which is called where
 * something may be written, goes to the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "audit.h"
#include "privileged.h"

/* What this transaction has logged already. */
static bool entry_logged = false;
static pg_uuid_t entered_by;
static pg_uuid_t entered_org;
static bool cross_org_logged = false;
static pg_uuid_t cross_org_by;

static bool
same(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

static char *
uuid_text(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	entry_logged = false;
	cross_org_logged = false;
}

/*
 * Registers the callback.  Called once, from _PG_init.
 */
void
tn_audit_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
}

/*
 * A superadmin works in an org of others.  A parallel worker leaves it to its
 * leader.
 */
void
tn_audit_log_entry(const pg_uuid_t *superadmin_id, const pg_uuid_t *org_id)
{
	if (IsParallelWorker() ||
		(entry_logged && same(&entered_by, superadmin_id) && same(&entered_org, org_id)))
		return;
	entry_logged = true;
	entered_by = *superadmin_id;
	entered_org = *org_id;
	ereport(LOG_SERVER_ONLY,
			(errmsg("tenancy: superadmin enters an org"),
			 errdetail("User %s, org %s, database role %s.", uuid_text(superadmin_id),
					   uuid_text(org_id), GetUserNameFromId(GetOuterUserId(), false)),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * A superadmin reads the rows of all orgs.
 */
void
tn_audit_log_cross_org(const pg_uuid_t *superadmin_id)
{
	if (IsParallelWorker() || (cross_org_logged && same(&cross_org_by, superadmin_id)))
		return;
	cross_org_logged = true;
	cross_org_by = *superadmin_id;
	ereport(LOG_SERVER_ONLY,
			(errmsg("tenancy: superadmin reads across orgs"),
			 errdetail("User %s, database role %s.", uuid_text(superadmin_id),
					   GetUserNameFromId(GetOuterUserId(), false)),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * Writes a row of the audit log about the caller, where the transaction may
 * write.
 */
void
tn_audit_record(const char *action, const pg_uuid_t *org_id, const pg_uuid_t *target)
{
	Oid			argtypes[] = {TEXTOID, UUIDOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(action), UUIDPGetDatum(org_id),
	CStringGetTextDatum(uuid_text(target))};

	if (!XactReadOnly && !RecoveryInProgress())
		(void) tn_privileged_call("SELECT tenancy.record_change($1, $2, $3, NULL, NULL)",
								  lengthof(argtypes), argtypes, values, NULL);
}
