/*-------------------------------------------------------------------------
 *
 * cursors.c
 *	  Rows of one identity are not fetched under another.
 *
 * A scan compares with the current org once, when it starts.  A cursor (or a
 * portal that a driver fetches in batches) therefore goes on to return the
 * rows of the org that it was started in, whatever token is set since.  Two
 * things prevent that:
 *
 *	- Running a query that has asked for the identity, when it was started or run
 *	  before, under another one is an error.
 *	- Rows that are put aside are fetched without running anything: those of a
 *	  cursor WITH HOLD, which keeps them beyond the transaction, where the next
 *	  client of a pooled connection would find it, and those of INSERT …
 *	  RETURNING and the like.  Such a portal is closed as soon as a statement has
 *	  changed the identity; and a token that ends with its transaction lets
 *	  nobody hold rows for longer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "changes.h"
#include "cursors.h"
#include "session.h"
#include "settings.h"

/*
 * A query that can be run on.  Lives in the query's own memory and leaves the
 * list when that goes.
 */
typedef struct OpenQuery
{
	dlist_node	node;
	QueryDesc  *query;
	TnIdentity	identity;
	MemoryContextCallback callback;
} OpenQuery;

/*
 * A portal whose rows have been put aside: a cursor WITH HOLD whose transaction
 * has ended, or a statement that ran to its end before its first row is sent.
 */
typedef struct HeldCursor
{
	dlist_node	node;
	char		name[NAMEDATALEN];
	TimestampTz creation_time;
	TnIdentity	identity;
} HeldCursor;

static dlist_head open_queries = DLIST_STATIC_INIT(open_queries);
static dlist_head held_cursors = DLIST_STATIC_INIT(held_cursors);

/*
 * How often the session had been asked for when a query was last started or
 * run.  It is asked for between two hooks as well: PostgreSQL rewinds a cursor
 * that it is about to hold, which evaluates the keys of an index scan.
 */
static uint64 seen_uses = 0;

static ExecutorStart_hook_type next_ExecutorStart = NULL;
static ExecutorRun_hook_type next_ExecutorRun = NULL;
static ProcessUtility_hook_type next_ProcessUtility = NULL;

static bool
is_current(const TnIdentity *identity)
{
	TnIdentity	now;

	tn_session_identity(tn_session(), &now);
	return tn_session_same_identity(&now, identity);
}

static void
check_identity(const TnIdentity *identity)
{
	if (is_current(identity))
		return;
	/* An expired token is what to tell of. */
	(void) tn_session_trusted();
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_CURSOR_STATE),
			 errmsg("cursor was opened under another identity"),
			 errdetail("Since its first fetch, the user, the org or the state of the session has changed."),
			 errhint("Close it, and open it again under the present identity. A loop in PL/pgSQL that changes the org reads its rows into an array first.")));
}

static void
forget_query(void *arg)
{
	dlist_delete(&((OpenQuery *) arg)->node);
}

static OpenQuery *
find_query(QueryDesc *query)
{
	dlist_iter	iter;

	dlist_foreach(iter, &open_queries)
	{
		OpenQuery  *open = dlist_container(OpenQuery, node, iter.cur);

		if (open->query == query)
			return open;
	}
	return NULL;
}

static OpenQuery *
remember_query(QueryDesc *query)
{
	MemoryContext context = query->estate->es_query_cxt;
	OpenQuery  *open = MemoryContextAllocZero(context, sizeof(OpenQuery));

	tn_session_identity(tn_session(), &open->identity);
	open->query = query;
	open->callback.func = forget_query;
	open->callback.arg = open;
	dlist_push_head(&open_queries, &open->node);
	MemoryContextRegisterResetCallback(context, &open->callback);
	return open;
}

/*
 * May a query be run on, or back, after it has been run for so many rows?  Not
 * once it has been run for all of them by a portal that goes forward alone, as
 * those of the protocol do.
 */
static bool
may_run_on(QueryDesc *query, uint64 count)
{
	return count != 0 || ActivePortal == NULL || ActivePortal->queryDesc != query ||
		(ActivePortal->cursorOptions & (CURSOR_OPT_NO_SCROLL | CURSOR_OPT_HOLD)) != CURSOR_OPT_NO_SCROLL;
}

/*
 * Are the query's rows being put aside, as its transaction ends?
 */
static bool
is_being_held(QueryDesc *query)
{
	return ActivePortal != NULL && ActivePortal->queryDesc == query &&
		ActivePortal->holdStore != NULL &&
		(ActivePortal->cursorOptions & CURSOR_OPT_HOLD) != 0;
}

/*
 * Will the rest of the rows be sent without running anything, as the portal of
 * this kind of statement fetches all of them at once?
 */
static bool
is_materialized(Portal portal)
{
	return portal != NULL &&
		(portal->strategy == PORTAL_ONE_RETURNING ||
		 portal->strategy == PORTAL_ONE_MOD_WITH ||
		 portal->strategy == PORTAL_UTIL_SELECT);
}

static bool
is_held_by(const HeldCursor *held, Portal portal)
{
	return held->creation_time == portal->creation_time && strcmp(held->name, portal->name) == 0;
}

/*
 * Once for each identity: a portal may run any number of statements by way of
 * its functions, and all that is remembered is looked through by each.
 */
static void
remember_held(Portal portal, const TnIdentity *identity)
{
	dlist_iter	iter;
	HeldCursor *held;

	dlist_foreach(iter, &held_cursors)
	{
		held = dlist_container(HeldCursor, node, iter.cur);
		if (is_held_by(held, portal) && tn_session_same_identity(&held->identity, identity))
			return;
	}
	held = MemoryContextAllocZero(TopMemoryContext, sizeof(HeldCursor));
	strlcpy(held->name, portal->name, NAMEDATALEN);
	held->creation_time = portal->creation_time;
	held->identity = *identity;
	dlist_push_head(&held_cursors, &held->node);
}

/*
 * Called when a statement of the active portal has run, with the number of uses
 * of the identity before.
 */
static void
note_materialized(uint64 uses)
{
	TnIdentity	identity;

	if (!is_materialized(ActivePortal) || tn_session_uses == uses)
		return;
	tn_session_identity(tn_session(), &identity);
	remember_held(ActivePortal, &identity);
}

/*
 * Raises an error if rows would be held for longer than the token that they
 * were seen with.
 */
static void
check_lifetime(const TnIdentity *identity)
{
	if (identity->status != TN_STATUS_ANONYMOUS &&
		!tn_settings_token_outlives_transaction())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cursor cannot be held beyond the transaction that the session token ends with"),
				 errdetail("Its rows were seen under a token that holds for this transaction only."),
				 errhint("Fetch them before the transaction ends, or set the token for the session.")));
}

/*
 * Closes what another identity has left.  In a transaction that has failed
 * nothing can be fetched, and nothing looked up.
 */
static void
close_held(void)
{
	dlist_mutable_iter iter;

	if (dlist_is_empty(&held_cursors) || !IsTransactionState())
		return;

	dlist_foreach_modify(iter, &held_cursors)
	{
		HeldCursor *held = dlist_container(HeldCursor, node, iter.cur);
		Portal		portal = GetPortalByName(held->name);
		bool		gone = !PortalIsValid(portal) || !is_held_by(held, portal);

		/* One that is running now is looked at again after the next statement. */
		if (!gone && (portal->status == PORTAL_ACTIVE || is_current(&held->identity)))
			continue;
		dlist_delete(&held->node);
		pfree(held);
		if (!gone)
			PortalDrop(portal, false);
	}
}

static void
start_query(QueryDesc *query, int eflags)
{
	uint64		uses;

	close_held();
	if (query->plannedstmt->parallelModeNeeded)
		tn_session_announce();
	uses = tn_session_uses;
	if (next_ExecutorStart)
		next_ExecutorStart(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	/* Which partitions are read has been asked already, though no row is fetched yet. */
	if (tn_session_uses != uses)
		(void) remember_query(query);
	seen_uses = tn_session_uses;
}

static void
run_query(QueryDesc *query, ScanDirection direction, uint64 count TN_EXECUTE_ONCE_PARAMETER)
{
	OpenQuery  *open = find_query(query);
	uint64		uses = seen_uses;

	/* In a later statement, whose clock may end a permission. */
	if (open != NULL)
	{
		check_identity(&open->identity);
		tn_changes++;
	}
	/* Its policies may ask for hidden rows alone: whether they do must not show. */
	else if (query->plannedstmt->dependsOnRole)
		tn_session_uses++;

	if (next_ExecutorRun)
		next_ExecutorRun(query, direction, count TN_EXECUTE_ONCE_ARGUMENT);
	else
		standard_ExecutorRun(query, direction, count TN_EXECUTE_ONCE_ARGUMENT);

	/* It asked who is there: from now on its rows are theirs. */
	if (open == NULL && TN_MAY_RUN_AGAIN && tn_session_uses != uses && may_run_on(query, count))
		open = remember_query(query);
	if (open != NULL && is_being_held(query))
	{
		check_lifetime(&open->identity);
		remember_held(ActivePortal, &open->identity);
	}
	note_materialized(uses);
	close_held();
	seen_uses = tn_session_uses;
}

static void
run_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	uint64		uses = tn_session_uses;

	close_held();
	if (next_ProcessUtility)
		next_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	note_materialized(uses);
	close_held();
	seen_uses = tn_session_uses;
}

/*
 * Installs the hooks.  Called once, from _PG_init.
 */
void
tn_cursors_init(void)
{
	next_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
	next_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_query;
	next_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = run_utility;
}
