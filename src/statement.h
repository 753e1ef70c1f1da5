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

#endif							/* TN_STATEMENT_H */
