/*-------------------------------------------------------------------------
 *
 * cursors.h
 *	  Rows of one identity are not fetched under another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_CURSORS_H
#define TN_CURSORS_H

extern void tn_cursors_init(void);

#endif							/* TN_CURSORS_H */
