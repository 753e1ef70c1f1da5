/*-------------------------------------------------------------------------
 *
 * conflict.h
 *	  ON CONFLICT DO UPDATE … WHERE looks at no row before its policies do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_CONFLICT_H
#define TN_CONFLICT_H

extern void tn_conflict_init(void);

#endif							/* TN_CONFLICT_H */
