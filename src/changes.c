/*-------------------------------------------------------------------------
 *
 * changes.c
 *	  Counts whatever may change who the session is or what it may do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "changes.h"

uint64		tn_changes = 1;
