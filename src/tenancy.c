/*-------------------------------------------------------------------------
 *
 * tenancy.c
 *	  The magic block and the order in which the parts are set up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "miscadmin.h"

#include "audit.h"
#include "barrier.h"
#include "catalog.h"
#include "checks.h"
#include "conflict.h"
#include "cursors.h"
#include "explain.h"
#include "pushdown.h"
#include "redaction.h"
#include "settings.h"
#include "warm_up.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (process_shared_preload_libraries_in_progress)
		(void) tn_warm_up();
	tn_redaction_init();
	tn_catalog_init();
	tn_settings_init();
	tn_audit_init();
	tn_barrier_init();
	/* Before the barrier in its turn: a cursor of another identity is what to tell of. */
	tn_cursors_init();
	tn_explain_init();
	tn_conflict_init();
	tn_checks_init();
	tn_pushdown_init();
}
