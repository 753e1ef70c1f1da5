/*-------------------------------------------------------------------------
 *
 * pushdown.c
 *	  Stand-ins for operators that an index may serve under row security.
 *
 * PostgreSQL evaluates a condition before the policy, by an index say, only if
 * its functions are marked leakproof: whatever their arguments are, they tell
 * nothing of them but by the result.  LIKE and the operators of arrays and
 * ranges may not be marked, since for some arguments they raise an error, and
 * CASE lets a caller choose the arguments by what a hidden row holds:
 *
 *		WHERE 'x' LIKE CASE WHEN secret = 'guess' THEN '\' ELSE 'y' END
 *
 * A stand-in is the same function for all arguments that cannot fail, and
 * returns null for the others.  When allow_pushdown() has marked it, the
 * planner is given it in the place of the original, in queries under row
 * security and where the arguments are known to be of the former kind.  The
 * operator stays the same, so every index for it serves.
 *
 * Hence always: a stand-in raises nothing, whoever calls it with whatever
 * (out of memory and out of stack aside); and where it takes the place of the
 * original, both return the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog.h"
#include "pushdown.h"

#define PREFIX "leakproof_"

static planner_hook_type next_planner = NULL;

/* ---- what cannot fail ---- */

static bool
is_deterministic(Oid collation)
{
	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/* LIKE fails at a pattern whose last character is a backslash that escapes nothing. */
static bool
is_whole_pattern(const char *pattern, int len)
{
	int			backslashes = 0;

	while (backslashes < len && pattern[len - backslashes - 1] == '\\')
		backslashes++;
	return backslashes % 2 == 0;
}

static bool
is_whole_text(text *pattern)
{
	return is_whole_pattern(VARDATA_ANY(pattern), VARSIZE_ANY_EXHDR(pattern));
}

/*
 * Elements are compared by their type's own "=".  If that is leakproof, so is
 * what is made of it; that of a record, say, is not.
 */
static bool
has_leakproof_equality(Oid element, Oid collation)
{
	TypeCacheEntry *type = lookup_type_cache(element, TYPECACHE_EQ_OPR);

	return OidIsValid(type->eq_opr) && get_func_leakproof(get_opcode(type->eq_opr)) &&
		(!OidIsValid(type->typcollation) || OidIsValid(collation));
}

/*
 * The same for the bounds of ranges.  A function that makes ranges canonical
 * is called by the test for adjacency; those of PostgreSQL do not fail there,
 * as the bounds are canonical already.
 */
static bool
has_leakproof_bounds(Oid range)
{
	TypeCacheEntry *type = lookup_type_cache(range, TYPECACHE_RANGE_INFO);

	return type->rngelemtype != NULL && get_func_leakproof(type->rng_cmp_proc_finfo.fn_oid) &&
		type->rng_canonical_finfo.fn_oid < FirstNormalObjectId;
}

/* ---- the stand-ins ---- */

/*
 * What holds for a call's types and collation is found out at its first row.
 * LIKE leaves fn_extra to us; the others keep there what they know of the type
 * that they were last called with, which was after we let them.
 */
static bool
pattern_cannot_fail(FunctionCallInfo fcinfo)
{
	static char deterministic;

	if (fcinfo->flinfo->fn_extra == NULL && is_deterministic(PG_GET_COLLATION()))
		fcinfo->flinfo->fn_extra = &deterministic;
	return fcinfo->flinfo->fn_extra != NULL && is_whole_text(PG_GETARG_TEXT_PP(1));
}

static bool
is_known(FunctionCallInfo fcinfo, Oid type)
{
	TypeCacheEntry *known = fcinfo->flinfo->fn_extra;

	return known != NULL && known->type_id == type;
}

static bool
arrays_cannot_fail(FunctionCallInfo fcinfo)
{
	Oid			element = AARR_ELEMTYPE(PG_GETARG_ANY_ARRAY_P(0));

	return is_known(fcinfo, element) || has_leakproof_equality(element, PG_GET_COLLATION());
}

static bool
range_cannot_fail(FunctionCallInfo fcinfo, int position)
{
	Oid			range = RangeTypeGetOid(PG_GETARG_RANGE_P(position));

	return is_known(fcinfo, range) || has_leakproof_bounds(range);
}

#define STAND_IN(original, cannot_fail) \
TENANCY_FUNCTION(tenancy_leakproof_##original); \
Datum \
tenancy_leakproof_##original(PG_FUNCTION_ARGS) \
{ \
	if (!(cannot_fail)) \
		PG_RETURN_NULL(); \
	return original(fcinfo); \
}

STAND_IN(textlike, pattern_cannot_fail(fcinfo))
STAND_IN(texticlike, pattern_cannot_fail(fcinfo))
STAND_IN(array_eq, arrays_cannot_fail(fcinfo))
STAND_IN(arraycontains, arrays_cannot_fail(fcinfo))
STAND_IN(arraycontained, arrays_cannot_fail(fcinfo))
STAND_IN(arrayoverlap, arrays_cannot_fail(fcinfo))
STAND_IN(range_eq, range_cannot_fail(fcinfo, 0))
STAND_IN(range_contains, range_cannot_fail(fcinfo, 0))
STAND_IN(range_contained_by, range_cannot_fail(fcinfo, 0))
STAND_IN(range_contains_elem, range_cannot_fail(fcinfo, 0))
STAND_IN(elem_contained_by_range, range_cannot_fail(fcinfo, 1))
STAND_IN(range_overlaps, range_cannot_fail(fcinfo, 0))
STAND_IN(range_before, range_cannot_fail(fcinfo, 0))
STAND_IN(range_after, range_cannot_fail(fcinfo, 0))
STAND_IN(range_overleft, range_cannot_fail(fcinfo, 0))
STAND_IN(range_overright, range_cannot_fail(fcinfo, 0))
STAND_IN(range_adjacent, range_cannot_fail(fcinfo, 0))

/* ---- where they take the place of the originals ---- */

/* A constant, or what the planner takes for one as the plan is for this value alone; NULL for anything else. */
static Const *
as_constant(Node *node, ParamListInfo params, Const *space)
{
	Param	   *param;
	ParamExternData *value,
				workspace;

	while (IsA(node, RelabelType) || IsA(node, CollateExpr))
		node = IsA(node, RelabelType) ? (Node *) ((RelabelType *) node)->arg : (Node *) ((CollateExpr *) node)->arg;
	if (IsA(node, Const))
		return (Const *) node;
	param = (Param *) node;
	if (!IsA(node, Param) || param->paramkind != PARAM_EXTERN || params == NULL ||
		param->paramid <= 0 || param->paramid > params->numParams)
		return NULL;

	value = params->paramFetch != NULL ?
		params->paramFetch(params, param->paramid, true, &workspace) :
		&params->params[param->paramid - 1];
	if (value->ptype != param->paramtype || !(value->pflags & PARAM_FLAG_CONST))
		return NULL;
	space->xpr.type = T_Const;
	space->constvalue = value->value;
	space->constisnull = value->isnull;
	return space;
}

/* A pattern is often made by $1 || '%': its end is all that matters. */
static bool
is_known_whole(Node *pattern, ParamListInfo params)
{
	Const		space;
	Const	   *constant = as_constant(pattern, params, &space);

	if (constant != NULL)
		return constant->constisnull || is_whole_text(DatumGetTextPP(constant->constvalue));
	if (IsA(pattern, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) pattern;

		set_opfuncid(op);
		constant = op->opfuncid == F_TEXTCAT ? as_constant(lsecond(op->args), params, &space) : NULL;
		if (constant != NULL && !constant->constisnull)
		{
			text	   *end = DatumGetTextPP(constant->constvalue);

			return VARSIZE_ANY_EXHDR(end) > 0 &&
				VARDATA_ANY(end)[VARSIZE_ANY_EXHDR(end) - 1] != '\\';
		}
	}
	return false;
}

static bool
patterns_suit(List *args, Oid collation, ParamListInfo params)
{
	return is_deterministic(collation) && is_known_whole(lsecond(args), params);
}

static bool
arrays_suit(List *args, Oid collation, ParamListInfo params)
{
	Oid			element = get_base_element_type(exprType(linitial(args)));

	return OidIsValid(element) && has_leakproof_equality(element, collation);
}

static bool
ranges_suit(List *args, Oid collation, ParamListInfo params)
{
	return has_leakproof_bounds(getBaseType(exprType(linitial(args))));
}

static bool
range_of_element_suits(List *args, Oid collation, ParamListInfo params)
{
	return has_leakproof_bounds(getBaseType(exprType(lsecond(args))));
}

static const struct
{
	Oid			original;
	bool		(*suits) (List *args, Oid collation, ParamListInfo params);
}			stood_in_for[] =
{
	{F_TEXTLIKE, patterns_suit},
	{F_TEXTICLIKE, patterns_suit},
	{F_ARRAY_EQ, arrays_suit},
	{F_ARRAYCONTAINS, arrays_suit},
	{F_ARRAYCONTAINED, arrays_suit},
	{F_ARRAYOVERLAP, arrays_suit},
	{F_RANGE_EQ, ranges_suit},
	{F_RANGE_CONTAINS, ranges_suit},
	{F_RANGE_CONTAINED_BY, ranges_suit},
	{F_RANGE_CONTAINS_ELEM, ranges_suit},
	{F_ELEM_CONTAINED_BY_RANGE, range_of_element_suits},
	{F_RANGE_OVERLAPS, ranges_suit},
	{F_RANGE_BEFORE, ranges_suit},
	{F_RANGE_AFTER, ranges_suit},
	{F_RANGE_OVERLEFT, ranges_suit},
	{F_RANGE_OVERRIGHT, ranges_suit},
	{F_RANGE_ADJACENT, ranges_suit},
};

/* The one of the same arguments; InvalidOid unless allow_pushdown() has marked it. */
static Oid
find_stand_in(Oid original)
{
	Oid			found = InvalidOid;
	Oid			schema = get_namespace_oid(TN_SCHEMA, true);
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(original));

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);
		char	   *name = psprintf(PREFIX "%s", NameStr(function->proname));

		found = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
								PointerGetDatum(&function->proargtypes), ObjectIdGetDatum(schema));
		ReleaseSysCache(tuple);
	}
	return OidIsValid(found) && get_func_leakproof(found) ? found : InvalidOid;
}

static Oid
stand_in_for(Oid function, List *args, Oid collation, ParamListInfo params)
{
	for (int i = 0; i < lengthof(stood_in_for); i++)
	{
		if (stood_in_for[i].original == function)
		{
			Oid			stand_in = find_stand_in(function);

			return OidIsValid(stand_in) && stood_in_for[i].suits(args, collation, params) ?
				stand_in : function;
		}
	}
	return function;
}

/* ON CONFLICT finds its index by the expressions and the WHERE that the index was made with: these stay. */
static bool
substitute(Node *node, ParamListInfo params)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, substitute, params, 0);
	if (IsA(node, OnConflictExpr))
		return substitute((Node *) ((OnConflictExpr *) node)->onConflictSet, params) ||
			substitute(((OnConflictExpr *) node)->onConflictWhere, params);
	if (IsA(node, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) node;

		set_opfuncid(op);
		op->opfuncid = stand_in_for(op->opfuncid, op->args, op->inputcollid, params);
	}
	else if (IsA(node, FuncExpr))
	{
		FuncExpr   *call = (FuncExpr *) node;

		call->funcid = stand_in_for(call->funcid, call->args, call->inputcollid, params);
	}
	return expression_tree_walker(node, substitute, params);
}

static bool
has_row_security(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return ((Query *) node)->hasRowSecurity ||
			query_tree_walker((Query *) node, has_row_security, arg, 0);
	return expression_tree_walker(node, has_row_security, arg);
}

static PlannedStmt *
plan_query(Query *query, const char *source, int options, ParamListInfo params)
{
	if (has_row_security((Node *) query, NULL))
		(void) substitute((Node *) query, params);
	return next_planner != NULL ?
		next_planner(query, source, options, params) :
		standard_planner(query, source, options, params);
}

/*
 * Has every session plan its statements anew, from the commit on: a plan that
 * is kept does not depend on how PostgreSQL's own functions are marked.
 */
TENANCY_FUNCTION(tenancy_forget_plans);
Datum
tenancy_forget_plans(PG_FUNCTION_ARGS)
{
	CacheInvalidateRelcacheAll();
	PG_RETURN_VOID();
}

/*
 * Installs the hook.  Called once, from _PG_init.
 */
void
tn_pushdown_init(void)
{
	next_planner = planner_hook;
	planner_hook = plan_query;
}
