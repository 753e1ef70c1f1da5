/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  A statement works under one identity.
 *
 * The planner takes it that a STABLE function answers the same throughout a
 * statement.  It checks the permission once, in a One-Time Filter, and then
 * compares each row with the org alone.  But a statement can change the
 * identity while it runs:
 *
 *		DELETE FROM t WHERE set_config('tenancy.org', 'other', true) <> ''
 *
 * would have been permitted in one org and deleted rows of another, where the
 * same user may only read.  So the identity is settled for all policies of a
 * query: before it runs if they hide rows of it, else by the first that is
 * evaluated.  They answer for that identity whatever has become of the session
 * since: an error there and then would tell that there was a row for which they
 * were asked.  It is an error in the end if the session is another one by then.
 *
 * A query is known by its executor's memory context, in which the functions of
 * its policies are set up too.  Only calls that come from a stored expression
 * count, a policy or a default, and only in a query that the executor runs:
 * PL/pgSQL sets up what a function's own text says once a transaction, functions
 * of SQL that it calls and their defaults among it, and that may well ask under
 * several identities.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "nodes/primnodes.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "settings.h"
#include "statement.h"

/*
 * What a query has settled.  Lives in the query's own memory and leaves the
 * list when that goes.
 */
typedef struct Settled
{
	dlist_node	node;
	MemoryContext query_context;
	uint64		version;		/* of the session, when it was compared last */
	TnIdentity	identity;
	TnSession	session;		/* as far as permissions hang on it */
	TnVerifiedToken token;
	bool		asked_under_another;	/* what its policies answered was not the session's then */
	MemoryContextCallback callback;
} Settled;

/* What the memory of a query that the executor runs is known by. */
static const char query_mark[] = "query";

static dlist_head all_settled = DLIST_STATIC_INIT(all_settled);

static void
forget(void *arg)
{
	dlist_delete(&((Settled *) arg)->node);
}

static Settled *
find(MemoryContext query_context)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_settled)
	{
		Settled    *settled = dlist_container(Settled, node, iter.cur);

		if (settled->query_context == query_context)
			return settled;
	}
	return NULL;
}

/*
 * A copy of what permissions hang on: the session's own is gone with the next
 * look at it.
 */
static void
copy_session(Settled *settled, const TnSession *session)
{
	Size		size = session->n_roles * sizeof(pg_uuid_t);

	settled->session = *session;
	settled->session.email = NULL;
	settled->session.context = NULL;
	settled->session.row = NULL;
	if (session->token != NULL)
	{
		settled->token.verdict = session->token->verdict;
		settled->token.problem = session->token->problem;
		settled->token.has_authenticated_at = session->token->has_authenticated_at;
		settled->token.authenticated_at = session->token->authenticated_at;
		settled->session.token = &settled->token;
	}
	if (size > 0)
		settled->session.role_ids = memcpy(MemoryContextAlloc(settled->query_context, size),
										   session->role_ids, size);
}

static Settled *
settle(MemoryContext query_context, const TnSession *session)
{
	Settled    *settled = MemoryContextAllocZero(query_context, sizeof(Settled));

	settled->query_context = query_context;
	settled->version = session->version;
	tn_session_identity(session, &settled->identity);
	copy_session(settled, session);
	settled->callback.func = forget;
	settled->callback.arg = settled;
	MemoryContextRegisterResetCallback(query_context, &settled->callback);
	dlist_push_head(&all_settled, &settled->node);
	return settled;
}

static bool
is_of(Settled *settled, const TnSession *session)
{
	TnIdentity	now;

	/* Reading across orgs is no part of the session, but of the identity. */
	if (settled->version == session->version &&
		settled->identity.cross_org == (tn_cross_org && session->is_superadmin))
		return true;
	tn_session_identity(session, &now);
	if (!tn_session_same_identity(&now, &settled->identity))
		return false;
	settled->version = session->version;
	return true;
}

static void
check(Settled *settled, const TnSession *session)
{
	if (!is_of(settled, session))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("identity has changed during a statement that depends on it"),
				 errdetail("While the statement ran, the user, the org or the state of the session has changed."),
				 errhint("Set the token or the org in a statement of its own. "
						 "If somebody else has changed what the user may do, run the statement again.")));
}

/*
 * Says that the memory is a query's, which is about to run.
 */
void
tn_statement_mark(MemoryContext query_context)
{
	MemoryContextSetIdentifier(query_context, query_mark);
}

/*
 * Settles the identity of a query that is about to run.  If it is run on, the
 * identity must be the same.
 */
void
tn_statement_settle(MemoryContext query_context, const TnSession *session)
{
	Settled    *settled = find(query_context);

	if (settled == NULL)
		(void) settle(query_context, session);
	else
		check(settled, session);
}

/*
 * Raises an error if the session is another one than the query was run under.
 * If policies hide rows of it, whether they were asked does not matter: they may
 * be for hidden rows alone.  Any other has not depended on the identity since
 * that has changed if it was not asked again.
 */
void
tn_statement_check(MemoryContext query_context, bool hides_rows)
{
	Settled    *settled = find(query_context);

	if (settled != NULL && (hides_rows || settled->asked_under_another))
		check(settled, tn_session());
}

/*
 * Are all arguments constants, as in policies?
 */
static bool
has_same_arguments(FmgrInfo *function)
{
	ListCell   *lc;

	if (function->fn_expr == NULL || !IsA(function->fn_expr, FuncExpr))
		return false;
	foreach(lc, ((FuncExpr *) function->fn_expr)->args)
	{
		if (!IsA(lfirst(lc), Const))
			return false;
	}
	return true;
}

/*
 * An answer that does not hold yet, in the function's fn_extra.  To be called
 * before the session is asked for: if a change is heard of meanwhile, or an
 * error raised, it will not hold.
 */
TnAnswer *
tn_answer_begin(FmgrInfo *function)
{
	TnAnswer   *answer = function->fn_extra;

	if (answer == NULL)
	{
		answer = MemoryContextAllocZero(function->fn_mcxt, sizeof(TnAnswer));
		answer->same_arguments = has_same_arguments(function);
		function->fn_extra = answer;
	}
	answer->changes = 0;
	answer->begun = tn_changes;
	return answer;
}

/* Expressions that were parsed here have a location. */
static bool
is_stored(FmgrInfo *function)
{
	return function->fn_expr != NULL && IsA(function->fn_expr, FuncExpr) &&
		((FuncExpr *) function->fn_expr)->location < 0;
}

/*
 * The memory that a function's query is known by.  A row that another transaction
 * has changed meanwhile is looked at again by an executor within the query's.
 */
static MemoryContext
query_of(FmgrInfo *function)
{
	MemoryContext context = function->fn_mcxt;

	if (context->ident != query_mark && context->parent != NULL &&
		context->parent->ident == query_mark && strcmp(context->name, "ExecutorState") == 0)
		return context->parent;
	return context;
}

/*
 * The session that the answer is about.  Raises an error for a token that is no
 * good, but not in a query that has been settled before.
 */
const TnSession *
tn_answer_session(TnAnswer *answer, FmgrInfo *function)
{
	MemoryContext query_context = query_of(function);
	const TnSession *session;

	if (answer->settled == NULL && is_stored(function))
		answer->settled = find(query_context);
	if (answer->settled == NULL)
	{
		session = tn_session_trusted();
		if (is_stored(function) && query_context->ident == query_mark)
			answer->settled = settle(query_context, session);
		return session;
	}
	session = tn_session();
	if (is_of(answer->settled, session))
		return session;
	answer->settled->asked_under_another = true;
	return &answer->settled->session;
}

static TnAnswer *
give(TnAnswer *answer, Datum value, bool isnull)
{
	answer->value = value;
	answer->isnull = isnull;
	if (answer->settled == NULL && ActiveSnapshotSet())
	{
		Snapshot	snapshot = GetActiveSnapshot();

		answer->statement = GetCurrentStatementStartTimestamp();
		answer->xmax = snapshot->xmax;
		answer->xcnt = snapshot->xcnt;
		answer->subxcnt = snapshot->subxcnt;
	}
	answer->changes = answer->same_arguments ? answer->begun : 0;
	return answer;
}

/*
 * The answer, if it holds, of a call that no policy makes.  The statement must
 * be the same, and the snapshot: PL/pgSQL keeps a function's expressions from
 * one of its statements to the next, among which other transactions may have
 * ended.
 */
TnAnswer *
tn_answer_elsewhere(TnAnswer *answer)
{
	Snapshot	snapshot;

	if (answer->statement != GetCurrentStatementStartTimestamp() || !ActiveSnapshotSet())
		return NULL;
	snapshot = GetActiveSnapshot();
	if (answer->xmax != snapshot->xmax || answer->xcnt != snapshot->xcnt ||
		answer->subxcnt != snapshot->subxcnt)
		return NULL;
	tn_session_uses++;
	return answer;
}

/*
 * Completes an answer.
 */
TnAnswer *
tn_answer_bool(TnAnswer *answer, bool value)
{
	return give(answer, BoolGetDatum(value), false);
}

/*
 * The same; NULL for a null.  A copy is made where the value is another one
 * than before, which somebody may still hold.
 */
TnAnswer *
tn_answer_uuid(TnAnswer *answer, FmgrInfo *function, const pg_uuid_t *uuid)
{
	pg_uuid_t  *copy = DatumGetUUIDP(answer->value);

	if (uuid != NULL && (copy == NULL || memcmp(copy, uuid, sizeof(pg_uuid_t)) != 0))
	{
		copy = MemoryContextAlloc(function->fn_mcxt, sizeof(pg_uuid_t));
		*copy = *uuid;
	}
	return give(answer, UUIDPGetDatum(copy), uuid == NULL);
}
