/*-------------------------------------------------------------------------
 *
 * barrier.c
 *	  What a condition does besides its result, it does for no hidden row.
 *
 * PostgreSQL evaluates a condition before the policies if it gives no column
 * to a function that may leak.  But a function need not be given a column to
 * tell of a row: that it is called at all says enough.
 *
 *		WHERE CASE WHEN email = 'guess' THEN raise_notice() END
 *		WHERE email = 'guess' AND name = (SELECT raise_notice())
 *
 * So whatever has an error, a notice or an effect of its own must happen for no
 * row, or whether there is a row or not.  A condition that compares something
 * with a value, where the value alone may do such things,
 *
 *		WHERE made_at > now() - interval '1 day'
 *
 * is left where it is, so that an index may serve it, and the value is computed
 * once before: by a condition of no columns, which PostgreSQL makes a One-Time
 * Filter.  Any other comes after the policies: it is put into a COALESCE, which
 * PostgreSQL takes for something that may leak and which changes nothing.
 *
 * That is done when the planner asks for the first table with policies: then
 * all functions are inlined and all subqueries are pulled up, and no condition
 * has been given its place yet.
 *
 * The policies themselves are noticeable where they end in an error, as for a
 * token that is no good.  They too would do so only where a condition before
 * them has found a row.  Such errors are raised before there are rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/sdir.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "barrier.h"
#include "catalog.h"
#include "changes.h"
#include "session.h"
#include "settings.h"
#include "statement.h"

typedef struct Guard
{
	PlannerInfo *root;
	Oid			table_owner;
	List	   *computed_before;
} Guard;

static get_relation_info_hook_type next_get_relation_info = NULL;
static ExecutorStart_hook_type next_ExecutorStart = NULL;
static ExecutorRun_hook_type next_ExecutorRun = NULL;
static ExecutorFinish_hook_type next_ExecutorFinish = NULL;

static bool
is_leaky(Oid function, void *context)
{
	return !get_func_leakproof(function);
}

/*
 * A subquery's result is computed when it is first needed.  One that refers to
 * an outer query's row has its value from there already.
 */
static bool
is_computed_when_needed(int param, PlannerInfo *root)
{
	for (; root != NULL; root = root->parent_root)
	{
		ListCell   *lc;

		foreach(lc, root->init_plans)
		{
			if (list_member_int(((SubPlan *) lfirst(lc))->setParam, param))
				return true;
		}
	}
	return false;
}

/*
 * May it raise an error, or have an effect, of its own?  Beyond functions there
 * is what PostgreSQL takes for harmless: arrays made of arrays of unequal size,
 * and slices of types that have none.
 */
static bool
is_noticeable(Node *node, void *root)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_leaky, NULL))
		return true;
	switch (nodeTag(node))
	{
		case T_Param:
			return ((Param *) node)->paramkind == PARAM_EXEC &&
				is_computed_when_needed(((Param *) node)->paramid, root);

		case T_ArrayExpr:
			if (((ArrayExpr *) node)->multidims)
				return true;
			break;

		case T_SubscriptingRef:
			if (((SubscriptingRef *) node)->reflowerindexpr != NIL &&
				get_typlen(((SubscriptingRef *) node)->refcontainertype) > 0)
				return true;
			break;

		case T_MinMaxExpr:
			{
				TypeCacheEntry *type = lookup_type_cache(((MinMaxExpr *) node)->minmaxtype, TYPECACHE_CMP_PROC);

				if (!OidIsValid(type->cmp_proc) || !get_func_leakproof(type->cmp_proc))
					return true;
			}
			break;

		default:
			break;
	}
	return expression_tree_walker(node, is_noticeable, root);
}

/*
 * May it do more than fail for some arguments?  A caller's own may tell how
 * often it is called.
 */
static bool
is_foreign(Oid function, void *table_owner)
{
	HeapTuple	tuple;
	Oid			owner;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner != *(Oid *) table_owner && !superuser_arg(owner);
}

static bool
calls_foreign(Node *node, void *table_owner)
{
	return node != NULL &&
		(check_functions_in_node(node, is_foreign, table_owner) ||
		 expression_tree_walker(node, calls_foreign, table_owner));
}

static bool
is_constant_in_query(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node);
}

/*
 * The side of a comparison that can be computed before, and leaves nothing
 * noticeable then; or NULL.
 */
static Node *
side_to_compute(Node *condition, Guard *guard)
{
	List	   *args;

	if (check_functions_in_node(condition, is_leaky, NULL))
		return NULL;
	if (IsA(condition, OpExpr))
		args = ((OpExpr *) condition)->args;
	else if (IsA(condition, ScalarArrayOpExpr))
		args = ((ScalarArrayOpExpr *) condition)->args;
	else
		return NULL;
	if (list_length(args) != 2)
		return NULL;

	for (int i = 0; i < 2; i++)
	{
		Node	   *side = list_nth(args, i);

		if (is_constant_in_query(side) && !calls_foreign(side, &guard->table_owner) &&
			!is_noticeable(list_nth(args, 1 - i), guard->root))
			return side;
	}
	return NULL;
}

/* True whatever the value is, when it has been computed. */
static Node *
is_computed(Node *value)
{
	NullTest   *is_null = makeNode(NullTest);
	BooleanTest *is_known = makeNode(BooleanTest);

	is_null->arg = copyObject((Expr *) value);
	is_null->nulltesttype = IS_NULL;
	is_null->location = -1;
	is_known->arg = (Expr *) is_null;
	is_known->booltesttype = IS_NOT_UNKNOWN;
	is_known->location = -1;
	return (Node *) is_known;
}

static Node *
put_behind_policies(Node *condition)
{
	CoalesceExpr *behind = makeNode(CoalesceExpr);

	behind->coalescetype = BOOLOID;
	behind->args = list_make1(condition);
	behind->location = -1;
	return (Node *) behind;
}

static bool
needs_guard(Node *condition, PlannerInfo *root)
{
	return !is_constant_in_query(condition) && !contain_leaked_vars(condition) &&
		is_noticeable(condition, root);
}

static void
guard_conditions(List *conditions, Guard *guard)
{
	ListCell   *lc;

	foreach(lc, conditions)
	{
		Node	   *side;

		if (!needs_guard(lfirst(lc), guard->root))
			continue;
		side = side_to_compute(lfirst(lc), guard);
		if (side == NULL)
			lfirst(lc) = put_behind_policies(lfirst(lc));
		else
			guard->computed_before = list_append_unique(guard->computed_before, is_computed(side));
	}
}

static void
guard_joins(Node *node, Guard *guard)
{
	ListCell   *lc;

	if (IsA(node, FromExpr))
	{
		guard_conditions((List *) ((FromExpr *) node)->quals, guard);
		foreach(lc, ((FromExpr *) node)->fromlist)
			guard_joins(lfirst(lc), guard);
	}
	else if (IsA(node, JoinExpr))
	{
		guard_conditions((List *) ((JoinExpr *) node)->quals, guard);
		guard_joins(((JoinExpr *) node)->larg, guard);
		guard_joins(((JoinExpr *) node)->rarg, guard);
	}
}

/*
 * The conditions of a UNION ALL have their places by now, and are about to be
 * given to its parts.
 */
static void
guard_union(RelOptInfo *all, PlannerInfo *root)
{
	ListCell   *lc;

	foreach(lc, all->baserestrictinfo)
	{
		RestrictInfo *info = lfirst(lc);

		if (needs_guard((Node *) info->clause, root))
		{
			info->clause = (Expr *) put_behind_policies((Node *) info->clause);
			info->orclause = NULL;
			info->leakproof = false;
		}
	}
	foreach(lc, all->joininfo)
	{
		RestrictInfo *info = lfirst(lc);

		if (needs_guard((Node *) info->clause, root))
			info->leakproof = false;
	}
}

static Oid
table_owner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
guard_table(PlannerInfo *root, Oid table, bool inhparent, RelOptInfo *rel)
{
	if (next_get_relation_info != NULL)
		next_get_relation_info(root, table, inhparent, rel);

	if (root->simple_rte_array[rel->relid]->securityQuals == NIL)
		return;
	/* As it does; PostgreSQL itself only says so of a cached statement. */
	root->glob->dependsOnRole = true;
	if (rel->reloptkind == RELOPT_BASEREL)
	{
		FromExpr   *from = root->parse->jointree;
		Guard		guard = {root, table_owner(table), NIL};

		guard_joins((Node *) from, &guard);
		from->quals = (Node *) list_union((List *) from->quals, guard.computed_before);
	}
	else if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
		guard_union(root->simple_rel_array[root->append_rel_array[rel->relid]->parent_relid], root);
}

/*
 * Does row security keep rows of any of these tables from the current user?
 * Whoever reads them through a view may be asked for as well: at worst, counts
 * are hidden that need not be.
 */
bool
tn_barrier_stands(List *range_table)
{
	ListCell   *lc;

	foreach(lc, range_table)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION &&
			check_enable_rls(rte->relid, InvalidOid, true) == RLS_ENABLED)
			return true;
	}
	return false;
}

/*
 * A variable of PL/pgSQL may be missing: a field of a record that is not
 * assigned.  PL/pgSQL itself says so if it is asked for the value.
 */
static bool
ask_for_missing(Node *node, void *query)
{
	ParamListInfo params = ((QueryDesc *) query)->params;
	Param	   *param = (Param *) node;
	ParamExternData space;

	if (node == NULL)
		return false;
	if (IsA(node, Param) && param->paramkind == PARAM_EXTERN &&
		!OidIsValid(params->paramFetch(params, param->paramid, true, &space)->ptype))
	{
		bool		isnull;

		(void) ExecEvalExprSwitchContext(ExecInitExprWithParams((Expr *) param, params),
										 GetPerTupleExprContext(((QueryDesc *) query)->estate), &isnull);
	}
	return expression_tree_walker(node, ask_for_missing, query);
}

static bool
ask_for_variables(PlanState *state, void *query)
{
	(void) ask_for_missing((Node *) state->plan->qual, query);
	return planstate_tree_walker(state, ask_for_variables, query);
}

static void
start_query(QueryDesc *query, int eflags)
{
	if (next_ExecutorStart)
		next_ExecutorStart(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	if (query->params != NULL && query->params->paramFetch != NULL &&
		tn_barrier_stands(query->plannedstmt->rtable))
	{
		MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);

		(void) ask_for_variables(query->planstate, query);
		MemoryContextSwitchTo(old);
	}
}

/*
 * A call of ours in a policy: what is parsed with the statement has a location.
 */
static bool
is_question(FuncExpr *call)
{
	ListCell   *lc;

	if (call->location >= 0 || get_func_namespace(call->funcid) != get_namespace_oid(TN_SCHEMA, true))
		return false;
	foreach(lc, call->args)
	{
		if (!IsA(lfirst(lc), Const))
			return false;
	}
	return func_volatile(call->funcid) == PROVOLATILE_STABLE;
}

typedef struct Questions
{
	EState	   *estate;			/* NULL: they are looked for, but not asked */
	bool		found;
} Questions;

static bool
ask_questions(Node *node, void *arg)
{
	Questions  *questions = arg;
	bool		isnull;

	if (node == NULL)
		return false;
	if (!IsA(node, FuncExpr) || !is_question((FuncExpr *) node))
		return expression_tree_walker(node, ask_questions, arg);
	questions->found = true;
	/* What returns rows has no error but for a token that is no good. */
	if (questions->estate != NULL && !((FuncExpr *) node)->funcretset)
		(void) ExecEvalExprSwitchContext(ExecInitExpr((Expr *) node, NULL),
										 GetPerTupleExprContext(questions->estate), &isnull);
	return false;
}

/*
 * A policy may ask in a subselect, which is computed when the first row needs it:
 * for its result, or for rows of ours.
 */
static void
ask_subselect(PlanState *state, Questions *questions)
{
	ListCell   *lc;

	if (IsA(state, ResultState))
		(void) ask_questions((Node *) state->plan->targetlist, questions);
	else if (IsA(state, FunctionScanState))
	{
		foreach(lc, ((FunctionScan *) state->plan)->functions)
		{
			Node	   *function = ((RangeTblFunction *) lfirst(lc))->funcexpr;

			if (IsA(function, FuncExpr) && ((FuncExpr *) function)->funcretset)
				(void) ask_questions(function, questions);
		}
	}
}

static bool
ask_policies(PlanState *state, void *questions)
{
	ask_subselect(state, questions);
	(void) ask_questions((Node *) state->plan->qual, questions);
	if (IsA(state, IndexScanState))
		(void) ask_questions((Node *) ((IndexScan *) state->plan)->indexqual, questions);
	else if (IsA(state, IndexOnlyScanState))
		(void) ask_questions((Node *) ((IndexOnlyScan *) state->plan)->indexqual, questions);
	else if (IsA(state, BitmapIndexScanState))
		(void) ask_questions((Node *) ((BitmapIndexScan *) state->plan)->indexqual, questions);
	return planstate_tree_walker(state, ask_policies, questions);
}

/*
 * Do policies that ask us hide rows of a query?  Those of an application's own
 * need not, nor does a view with security_barrier that is written to.
 */
static bool
hides_rows(QueryDesc *query)
{
	Questions	questions = {NULL, false};

	if (query->plannedstmt->dependsOnRole)
		(void) ask_policies(query->planstate, &questions);
	return questions.found;
}

/*
 * Before there are rows, the policies' errors are raised, and the identity that
 * they answer for is settled.  Who is active has errors from permission to write
 * alone, and those are in One-Time Filters, unless reading across orgs keeps the
 * planner from that.
 */
static void
begin_reading(QueryDesc *query)
{
	const TnSession *session = tn_session();

	if (tn_cross_org || session->status != TN_STATUS_ACTIVE)
	{
		Questions	questions = {query->estate, false};
		MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "tenancy policies",
												  ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(own);

		(void) ask_policies(query->planstate, &questions);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(own);
		if (!questions.found)
			return;
		session = tn_session_trusted();
	}
	tn_statement_settle(query->estate->es_query_cxt, session);
}

static void
run_query(QueryDesc *query, ScanDirection direction, uint64 count TN_EXECUTE_ONCE_PARAMETER)
{
	uint64		changes = tn_changes;

	tn_statement_mark(query->estate->es_query_cxt);
	/* A portal at its end, which goes forward alone, reads no more. */
	if (query->plannedstmt->dependsOnRole && !ScanDirectionIsNoMovement(direction))
		begin_reading(query);
	if (next_ExecutorRun)
		next_ExecutorRun(query, direction, count TN_EXECUTE_ONCE_ARGUMENT);
	else
		standard_ExecutorRun(query, direction, count TN_EXECUTE_ONCE_ARGUMENT);
	if (tn_changes != changes)
		tn_statement_check(query->estate->es_query_cxt, hides_rows(query));
}

/*
 * What WITH changes and nothing reads is done here, to the end.
 */
static void
finish_query(QueryDesc *query)
{
	uint64		changes = tn_changes;

	if (next_ExecutorFinish)
		next_ExecutorFinish(query);
	else
		standard_ExecutorFinish(query);
	if (tn_changes != changes && query->plannedstmt->hasModifyingCTE)
		tn_statement_check(query->estate->es_query_cxt, hides_rows(query));
}

/*
 * Installs the hooks.  Called once, from _PG_init.
 */
void
tn_barrier_init(void)
{
	next_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = guard_table;
	next_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
	next_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_query;
	next_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_query;
}
