/*-------------------------------------------------------------------------
 *
 * checks.h
 *	  What a written row must satisfy is asked once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_CHECKS_H
#define TN_CHECKS_H

extern void tn_checks_init(void);

#endif							/* TN_CHECKS_H */
