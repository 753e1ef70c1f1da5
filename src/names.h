/*-------------------------------------------------------------------------
 *
 * names.h
 *	  Names that people read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_NAMES_H
#define TN_NAMES_H

extern const char *tn_strip_blank(const char *name);

#endif							/* TN_NAMES_H */
