/*-------------------------------------------------------------------------
 *
 * conflict.c
 *	  ON CONFLICT DO UPDATE … WHERE looks at no row before its policies do.
 *
 * The row that an INSERT conflicts with is found by a unique key, whatever
 * org it is of.  Some releases of PostgreSQL, 18.6 for one, evaluate the
 * statement's WHERE on it and check the policies afterwards, so that
 *
 *		INSERT INTO t … ON CONFLICT (id) DO UPDATE SET … WHERE t.body::int = 1
 *
 * would tell another org's body in an error message.  Others, such as 15.20,
 * check first.  Here the policies' test is put in front of that WHERE, in a copy
 * of the plan: a row that they hide gets past it, without being looked at, to
 * the check that refuses it.  So the error is the same in all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

#include "conflict.h"

static ExecutorStart_hook_type next_ExecutorStart = NULL;

/*
 * The policies' tests of the row that an INSERT conflicts with, as a list of
 * conditions that must all hold.
 */
static List *
policy_tests(ModifyTable *plan)
{
	List	   *tests = NIL;
	ListCell   *lc;

	if (plan->withCheckOptionLists == NIL)
		return NIL;
	foreach(lc, (List *) linitial(plan->withCheckOptionLists))
	{
		WithCheckOption *option = lfirst_node(WithCheckOption, lc);

		if (option->kind == WCO_RLS_CONFLICT_CHECK)
			tests = list_concat_copy(tests, (List *) option->qual);
	}
	return tests;
}

static bool
looks_first(Plan *plan)
{
	return plan != NULL && IsA(plan, ModifyTable) &&
		((ModifyTable *) plan)->onConflictAction == ONCONFLICT_UPDATE &&
		((ModifyTable *) plan)->onConflictWhere != NULL &&
		policy_tests((ModifyTable *) plan) != NIL;
}

/* The statement's WHERE, or a row that the policies will refuse. */
static List *
unless_hidden(List *tests, List *where)
{
	BooleanTest *hidden = makeNode(BooleanTest);

	hidden->arg = make_ands_explicit(copyObject(tests));
	hidden->booltesttype = IS_NOT_TRUE;
	hidden->location = -1;
	return list_make1(make_orclause(list_make2(hidden, make_ands_explicit(where))));
}

static void
check_first(Plan *plan)
{
	ModifyTable *insert = (ModifyTable *) plan;

	if (looks_first(plan))
		insert->onConflictWhere = (Node *) unless_hidden(policy_tests(insert),
														 (List *) insert->onConflictWhere);
}

static void
start_query(QueryDesc *query, int eflags)
{
	PlannedStmt *statement = query->plannedstmt;
	bool		found = looks_first(statement->planTree);
	ListCell   *lc;

	/* An INSERT in a WITH clause is a plan of its own. */
	foreach(lc, statement->subplans)
		found = found || looks_first(lfirst(lc));

	if (found)
	{
		statement = copyObject(statement);
		check_first(statement->planTree);
		foreach(lc, statement->subplans)
			check_first(lfirst(lc));
		query->plannedstmt = statement;
	}

	if (next_ExecutorStart)
		next_ExecutorStart(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/*
 * Installs the hook.  Called once, from _PG_init.
 */
void
tn_conflict_init(void)
{
	next_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
}
