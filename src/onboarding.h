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

/*
 * Who has come, and where they are.
 */
typedef struct TnArrival
{
	pg_uuid_t	user_id;
	bool		created;		/* the user is new */
	bool		has_org;
	pg_uuid_t	org_id;			/* if has_org */
	char		new_slug[64];	/* of an org made with the user, who is its admin; else empty */
} TnArrival;

extern void tn_provision_user(TnArrival *arrival);
extern pg_uuid_t tn_provision_identity(const char *action);
extern pg_uuid_t tn_create_org(const char *name, const char *slug, const char *admin_email);

#endif							/* TN_ONBOARDING_H */
