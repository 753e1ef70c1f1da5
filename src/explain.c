/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  EXPLAIN ANALYZE does not count rows that one may not see.
 *
 * A condition that cannot leak, such as equality of text, may be tested before
 * the policy, by an index say.  The rows that the policy then takes out show
 * up as "Rows Removed by Filter", which answers whether another org has a row
 * with that value.  For whoever a policy applies to, the scans of tables with
 * row security count only the rows that they return, our own tables below our
 * views among them.  Nor are buffers counted, of which a row that is fetched
 * takes one more, nor searches of an index, nor WAL, which is written where it is
 * found with dead ones beside it.  That goes for auto_explain too, whose messages
 * a client can ask to be sent.
 *
 * Whether a policy was evaluated does not matter: where no row passes the
 * conditions before it, none is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "executor/executor.h"
#include "executor/instrument.h"
#include "nodes/nodeFuncs.h"
#include "utils/rel.h"

#include "barrier.h"
#include "explain.h"

static ExecutorFinish_hook_type next_ExecutorFinish = NULL;

/*
 * How often an index was descended depends on the values in it: an array's that
 * stand together, or a leading column's that are skipped, one after another.
 */
static void
hide_searches(PlanState *state)
{
	if (IsA(state, IndexScanState))
		tn_clear_index_searches(((IndexScanState *) state)->iss_Instrument);
	else if (IsA(state, IndexOnlyScanState))
		tn_clear_index_searches(((IndexOnlyScanState *) state)->ioss_Instrument);
	else if (IsA(state, BitmapIndexScanState))
		tn_clear_index_searches(((BitmapIndexScanState *) state)->biss_Instrument);
}

static void
hide_usage_of(Instrumentation *counts)
{
	memset(&counts->bufusage, 0, sizeof(BufferUsage));
	memset(&counts->walusage, 0, sizeof(WalUsage));
}

static void
hide_usage(PlanState *state)
{
	hide_usage_of(state->instrument);
	if (state->worker_instrument != NULL)
	{
		for (int i = 0; i < state->worker_instrument->num_workers; i++)
			hide_usage_of(&state->worker_instrument->instrument[i]);
	}
}

/*
 * A BitmapAnd leaves out the rest once there is no row left, of any org: they
 * have all been run as often as it was.
 */
static void
hide_which_ran(const Instrumentation *all, PlanState **plans, int n)
{
	for (int i = 0; i < n; i++)
	{
		Instrumentation *counts = plans[i]->instrument;

		counts->running = all->running;
		counts->nloops = all->nloops;
		INSTR_TIME_SET_ZERO(counts->counter);
		counts->firsttuple = counts->startup = counts->total = 0;
	}
}

static bool
hide_counts(PlanState *state, void *arg)
{
	Instrumentation *counts = state->instrument;
	Relation	rel;

	if (counts != NULL)
		hide_usage(state);
	switch (counts == NULL ? T_Invalid : nodeTag(state))
	{
			/* They count index entries; which table's is not at hand. */
		case T_BitmapAndState:
			hide_which_ran(counts, ((BitmapAndState *) state)->bitmapplans, ((BitmapAndState *) state)->nplans);
			counts->tuplecount = counts->ntuples = 0;
			break;

		case T_BitmapOrState:
			hide_which_ran(counts, ((BitmapOrState *) state)->bitmapplans, ((BitmapOrState *) state)->nplans);
			counts->tuplecount = counts->ntuples = 0;
			break;

		case T_BitmapIndexScanState:
			counts->tuplecount = counts->ntuples = 0;
			hide_searches(state);
			break;

		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
		case T_ForeignScanState:
		case T_CustomScanState:
			rel = ((ScanState *) state)->ss_currentRelation;
			if (rel != NULL && rel->rd_rel->relrowsecurity)
			{
				counts->nfiltered1 = counts->nfiltered2 = counts->ntuples2 = 0;
				hide_searches(state);
				if (IsA(state, BitmapHeapScanState))
					tn_clear_heap_blocks((BitmapHeapScanState *) state);
			}
			break;

		default:
			break;
	}
	return planstate_tree_walker(state, hide_counts, arg);
}

static void
finish_query(QueryDesc *query)
{
	if (next_ExecutorFinish)
		next_ExecutorFinish(query);
	else
		standard_ExecutorFinish(query);

	if (query->instrument_options != 0 && query->planstate != NULL &&
		tn_barrier_stands(query->plannedstmt->rtable))
		(void) hide_counts(query->planstate, NULL);
}

/*
 * Installs the hook.  Called once, from _PG_init.
 */
void
tn_explain_init(void)
{
	next_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_query;
}
