/*-------------------------------------------------------------------------
 *
 * explain.h
 *	  EXPLAIN ANALYZE does not count rows that one may not see.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_EXPLAIN_H
#define TN_EXPLAIN_H

extern void tn_explain_init(void);

#endif							/* TN_EXPLAIN_H */
