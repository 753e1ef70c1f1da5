/*-------------------------------------------------------------------------
 *
 * recording.h
 *	  Rows of the audit log: who changed what.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_RECORDING_H
#define TN_RECORDING_H

#include "utils/uuid.h"

/*
 * The columns of tenancy.audit_events.
 */
typedef enum TnAuditColumn
{
	TN_AUDIT_ID,
	TN_AUDIT_AT,
	TN_AUDIT_ORG_ID,
	TN_AUDIT_USER_ID,
	TN_AUDIT_ISSUER,
	TN_AUDIT_SUBJECT,
	TN_AUDIT_SESSION_ID,
	TN_AUDIT_ACTING_SUPERADMIN,
	TN_AUDIT_IMPERSONATED_BY,
	TN_AUDIT_DATABASE_ROLE,
	TN_AUDIT_ACTION,
	TN_AUDIT_TARGET,
	TN_AUDIT_OLD_VALUES,
	TN_AUDIT_NEW_VALUES,
	TN_AUDIT_COLUMNS
} TnAuditColumn;

extern void tn_record_actor(Datum *values, bool *nulls);
extern void tn_record_change(Datum *values, bool *nulls);

#endif							/* TN_RECORDING_H */
