/*-------------------------------------------------------------------------
 *
 * checks.c
 *	  What a written row must satisfy is asked once.
 *
 * The wall, the restrictive policy of each command, asks the same as the
 * permissive one.  In a condition on the rows that are read, the planner sees
 * that by itself.  Not so in the checks of rows that are written: each is set
 * up at every execution, which is most of what policies cost there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "nodes/parsenodes.h"
#include "optimizer/planner.h"

#include "checks.h"

static planner_hook_type next_planner = NULL;

/*
 * Is it asked by one of these already?  A policy's name does not matter: it is
 * only there for the error message.
 */
static bool
is_asked(List *checks, WithCheckOption *check)
{
	ListCell   *lc;

	foreach(lc, checks)
	{
		WithCheckOption *other = lfirst_node(WithCheckOption, lc);

		if (other->kind == check->kind && strcmp(other->relname, check->relname) == 0 &&
			equal(other->qual, check->qual))
			return true;
	}
	return false;
}

static List *
without_repetitions(List *checks)
{
	List	   *needed = NIL;
	ListCell   *lc;

	foreach(lc, checks)
	{
		WithCheckOption *check = lfirst_node(WithCheckOption, lc);

		if (check->kind == WCO_VIEW_CHECK || !is_asked(needed, check))
			needed = lappend(needed, check);
	}
	return needed;
}

static PlannedStmt *
plan_query(Query *query, const char *source, int options, ParamListInfo params)
{
	ListCell   *lc;

	query->withCheckOptions = without_repetitions(query->withCheckOptions);
	/* Only there can another query write. */
	foreach(lc, query->cteList)
	{
		Query	   *cte = castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery);

		cte->withCheckOptions = without_repetitions(cte->withCheckOptions);
	}
	return next_planner != NULL ?
		next_planner(query, source, options, params) :
		standard_planner(query, source, options, params);
}

/*
 * Installs the hook.  Called once, from _PG_init.
 */
void
tn_checks_init(void)
{
	next_planner = planner_hook;
	planner_hook = plan_query;
}
