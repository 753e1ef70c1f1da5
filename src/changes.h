/*-------------------------------------------------------------------------
 *
 * changes.h
 *	  Counts whatever may change who the session is or what it may do: a
 *	  setting assigned, a signal from the catalog, a rollback.
 *
 * While it has one value, within one statement, an answer given before still
 * holds.  Never 0.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_CHANGES_H
#define TN_CHANGES_H

extern uint64 tn_changes;

#endif							/* TN_CHANGES_H */
