/*-------------------------------------------------------------------------
 *
 * directory.h
 *	  Reading users, orgs, memberships and roles from the catalog.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_DIRECTORY_H
#define TN_DIRECTORY_H

#include "nodes/pg_list.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "catalog.h"

typedef struct TnUser
{
	pg_uuid_t	id;
	bool		disabled;
	bool		superadmin;
	char	   *email;			/* NULL if not known */
	bool		email_verified;
	char	   *name;			/* NULL if not known */
	bool		has_tokens_valid_from;
	TimestampTz tokens_valid_from;	/* tokens issued earlier are revoked */
} TnUser;

typedef struct TnImpersonation
{
	pg_uuid_t	superadmin_id;
	pg_uuid_t	user_id;
	bool		read_only;
	TimestampTz expires_at;
	bool		ended;
} TnImpersonation;

typedef enum TnOrgStatus
{
	TN_ORG_ACTIVE,
	TN_ORG_SUSPENDED,
	TN_ORG_ARCHIVED
} TnOrgStatus;

typedef struct TnOrg
{
	pg_uuid_t	id;
	char	   *slug;
	char	   *name;
	char	   *kind;
	TnOrgStatus status;
	char	   *status_name;
	char	   *status_reason;	/* NULL if there is none */
} TnOrg;

extern bool tn_user_find(TnRead *read, const pg_uuid_t *issuer_id,
						 const char *subject, TnUser *user);
extern bool tn_user_find_by_id(TnRead *read, const pg_uuid_t *user_id, TnUser *user);
extern bool tn_impersonation_find(TnRead *read, const pg_uuid_t *id,
								  TnImpersonation *impersonation);

extern bool tn_org_find(TnRead *read, const pg_uuid_t *org_id, TnOrg *org);
extern bool tn_parse_uuid(const char *text, pg_uuid_t *uuid);
extern bool tn_org_find_by_name(TnRead *read, const char *id_or_slug, TnOrg *org);
extern bool tn_org_find_by_external_id(TnRead *read, const pg_uuid_t *issuer_id,
									   const char *external_id, TnOrg *org);

extern List *tn_member_orgs(TnRead *read, const pg_uuid_t *user_id);
extern bool tn_member_exists(TnRead *read, const pg_uuid_t *user_id,
							 const pg_uuid_t *org_id);
extern int	tn_member_roles(TnRead *read, const pg_uuid_t *user_id,
							const pg_uuid_t *org_id, pg_uuid_t **role_ids);
extern bool tn_default_org_find(TnRead *read, const pg_uuid_t *user_id, TnOrg *org);
extern pg_uuid_t tn_admin_role(void);
extern char *tn_role_name(TnRead *read, const pg_uuid_t *role_id);

#endif							/* TN_DIRECTORY_H */
