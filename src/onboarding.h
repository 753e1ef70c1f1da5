/*-------------------------------------------------------------------------
 *
 * onboarding.h
 *	  How a person gets a user and an org.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_ONBOARDING_H
#define TN_ONBOARDING_H

#include "utils/uuid.h"

extern bool tn_provision_user(bool *has_org, pg_uuid_t *org_id);
extern pg_uuid_t tn_provision_identity(const char *action);
extern pg_uuid_t tn_create_org(const char *name, const char *slug, const char *admin_email);

#endif							/* TN_ONBOARDING_H */
