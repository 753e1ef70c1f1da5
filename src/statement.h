/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  A statement works under one identity.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_STATEMENT_H
#define TN_STATEMENT_H

#include "fmgr.h"

#include "session.h"

extern void tn_statement_check_identity(FmgrInfo *function, const TnSession *session);
extern bool tn_statement_has_identity(MemoryContext query_context);

#endif							/* TN_STATEMENT_H */
