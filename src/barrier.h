/*-------------------------------------------------------------------------
 *
 * barrier.h
 *	  What a condition does besides its result, it does for no hidden row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_BARRIER_H
#define TN_BARRIER_H

#include "nodes/pg_list.h"

extern bool tn_barrier_stands(List *range_table);
extern void tn_barrier_init(void);

#endif							/* TN_BARRIER_H */
