/*-------------------------------------------------------------------------
 *
 * pushdown.h
 *	  Stand-ins for operators that an index may serve under row security.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_PUSHDOWN_H
#define TN_PUSHDOWN_H

extern void tn_pushdown_init(void);

#endif							/* TN_PUSHDOWN_H */
