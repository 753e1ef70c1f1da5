/*-------------------------------------------------------------------------
 *
 * audit.h
 *	  The trace of what a superadmin does beyond their own orgs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_AUDIT_H
#define TN_AUDIT_H

#include "utils/uuid.h"

extern void tn_audit_init(void);
extern void tn_audit_log_entry(const pg_uuid_t *superadmin_id, const pg_uuid_t *org_id);
extern void tn_audit_log_cross_org(const pg_uuid_t *superadmin_id);
extern void tn_audit_record(const char *action, const pg_uuid_t *org_id, const pg_uuid_t *target);

#endif							/* TN_AUDIT_H */
