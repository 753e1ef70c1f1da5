/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  What the session may do.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_POLICY_H
#define TN_POLICY_H

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "session.h"

/*
 * The name of an action or of a resource type, as an argument has it: without
 * a zero at its end.
 */
typedef struct TnName
{
	const char *data;
	int			len;
} TnName;

typedef struct TnPermission
{
	const char *resource_type;
	const char *action;
} TnPermission;

extern bool tn_policy_allows(const TnSession *session, TnName action, TnName resource_type);
extern void tn_policy_require(const TnSession *session, TnName action, TnName resource_type);
extern List *tn_policy_permissions(const TnSession *session);

#endif							/* TN_POLICY_H */
