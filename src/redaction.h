/*-------------------------------------------------------------------------
 *
 * redaction.h
 *	  Keeps tokens out of the server log, error messages, pg_stat_activity and
 *	  pg_stat_statements.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_REDACTION_H
#define TN_REDACTION_H

extern bool tn_redaction_hide_statement(void);
extern void tn_redaction_init(void);

#endif							/* TN_REDACTION_H */
