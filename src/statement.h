/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  A statement works under one identity, and asks for it once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_STATEMENT_H
#define TN_STATEMENT_H

#include "fmgr.h"

#include "changes.h"
#include "session.h"

struct Settled;

/*
 * What a function that depends on the identity answered last at one place of a
 * query, and when.  Lives in fn_extra, so that it goes with the query.
 */
typedef struct TnAnswer
{
	uint64		changes;		/* as of then; 0: there is none that holds */
	struct Settled *settled;	/* the query's, if a policy or a default asks */
	Datum		value;
	bool		isnull;

	/* If neither does. */
	TimestampTz statement;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;

	bool		same_arguments; /* at every call */
	uint64		begun;
} TnAnswer;

extern TnAnswer *tn_answer_begin(FmgrInfo *function);
extern const TnSession *tn_answer_session(TnAnswer *answer, FmgrInfo *function);
extern TnAnswer *tn_answer_bool(TnAnswer *answer, bool value);
extern TnAnswer *tn_answer_uuid(TnAnswer *answer, FmgrInfo *function, const pg_uuid_t *uuid);

extern TnAnswer *tn_answer_elsewhere(TnAnswer *answer);
extern void tn_statement_mark(MemoryContext query_context);
extern void tn_statement_settle(MemoryContext query_context, const TnSession *session);
extern void tn_statement_check(MemoryContext query_context, bool hides_rows);

/*
 * The answer of this call of a function that still holds, or NULL.
 *
 * A policy's holds while nothing changes: its query runs within one statement,
 * and cursors.c counts it as a change if it is run on by another.
 */
static inline TnAnswer *
tn_answer(FmgrInfo *function)
{
	TnAnswer   *answer = function->fn_extra;

	if (unlikely(answer == NULL || answer->changes != tn_changes))
		return NULL;
	return likely(answer->settled != NULL) ? answer : tn_answer_elsewhere(answer);
}

#endif							/* TN_STATEMENT_H */
