/*-------------------------------------------------------------------------
 *
 * redaction.h
 *	  Keeps tokens out of the server log and of error messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_REDACTION_H
#define TN_REDACTION_H

extern bool tn_redaction_needed(const char *text);
extern void tn_redaction_init(void);

#endif							/* TN_REDACTION_H */
