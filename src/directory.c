/*-------------------------------------------------------------------------
 *
 * directory.c
 *	  Reading users, orgs, memberships and roles from the catalog.
 *
 * Every function reads under the caller's TnRead, so that several calls see
 * one state.  Strings are palloc'd in the current context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "utils/builtins.h"

#include "directory.h"

/*
 * Reads one uuid column of the row with that key; false if there is none.
 */
static bool
find_uuid(TnRead *read, TnTable table, int nkeys, AttrNumber attr1, Datum value1,
		  AttrNumber attr2, Datum value2, AttrNumber wanted, pg_uuid_t *result)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, table, nkeys, attr1, value1, attr2, value2);
	tuple = tn_scan_next(&scan);
	if (tuple != NULL)
		*result = tn_scan_uuid(&scan, tuple, wanted);
	tn_scan_end(&scan);
	return tuple != NULL;
}

/*
 * The user of that id.
 */
bool
tn_user_find_by_id(TnRead *read, const pg_uuid_t *user_id, TnUser *user)
{
	TnScan		scan;
	HeapTuple	tuple;
	pg_uuid_t	ignored;
	Datum		id = UUIDPGetDatum(user_id);

	tn_scan_begin(&scan, read, TN_USERS, 1, TN_USERS_ID, id, 0, 0);
	tuple = tn_scan_next(&scan);
	if (tuple != NULL)
	{
		bool		isnull;
		Datum		valid_from;

		user->id = tn_scan_uuid(&scan, tuple, TN_USERS_ID);
		user->email = tn_scan_text(&scan, tuple, TN_USERS_EMAIL);
		user->email_verified = DatumGetBool(tn_scan_value(&scan, tuple, TN_USERS_EMAIL_VERIFIED, &isnull));
		user->name = tn_scan_text(&scan, tuple, TN_USERS_NAME);
		valid_from = tn_scan_value(&scan, tuple, TN_USERS_TOKENS_VALID_FROM, &isnull);
		user->has_tokens_valid_from = !isnull;
		user->tokens_valid_from = isnull ? 0 : DatumGetTimestampTz(valid_from);
		user->disabled = strcmp(tn_scan_text(&scan, tuple, TN_USERS_STATUS), "active") != 0;
	}
	tn_scan_end(&scan);
	if (tuple == NULL)
		return false;

	user->superadmin = find_uuid(read, TN_SUPERADMINS, 1, TN_SUPERADMINS_USER_ID, id,
								 0, 0, TN_SUPERADMINS_USER_ID, &ignored);
	return true;
}

/*
 * The user that an issuer means by subject; false if there is none yet.
 */
bool
tn_user_find(TnRead *read, const pg_uuid_t *issuer_id, const char *subject, TnUser *user)
{
	pg_uuid_t	user_id;

	return find_uuid(read, TN_IDENTITIES, 2,
					 TN_IDENTITIES_ISSUER_ID, UUIDPGetDatum(issuer_id),
					 TN_IDENTITIES_SUBJECT, CStringGetTextDatum(subject),
					 TN_IDENTITIES_USER_ID, &user_id) &&
		tn_user_find_by_id(read, &user_id, user);
}

/*
 * The impersonation of that id, whether it still holds or not.
 */
bool
tn_impersonation_find(TnRead *read, const pg_uuid_t *id, TnImpersonation *impersonation)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, TN_IMPERSONATIONS, 1,
				  TN_IMPERSONATIONS_ID, UUIDPGetDatum(id), 0, 0);
	tuple = tn_scan_next(&scan);
	if (tuple != NULL)
	{
		bool		isnull;

		impersonation->superadmin_id = tn_scan_uuid(&scan, tuple, TN_IMPERSONATIONS_SUPERADMIN_ID);
		impersonation->user_id = tn_scan_uuid(&scan, tuple, TN_IMPERSONATIONS_USER_ID);
		impersonation->read_only = DatumGetBool(tn_scan_value(&scan, tuple, TN_IMPERSONATIONS_READ_ONLY, &isnull));
		impersonation->expires_at = DatumGetTimestampTz(tn_scan_value(&scan, tuple, TN_IMPERSONATIONS_EXPIRES_AT, &isnull));
		(void) tn_scan_value(&scan, tuple, TN_IMPERSONATIONS_ENDED_AT, &isnull);
		impersonation->ended = !isnull;
	}
	tn_scan_end(&scan);
	return tuple != NULL;
}

static TnOrgStatus
parse_org_status(const char *name)
{
	if (strcmp(name, "active") == 0)
		return TN_ORG_ACTIVE;
	if (strcmp(name, "suspended") == 0)
		return TN_ORG_SUSPENDED;
	return TN_ORG_ARCHIVED;
}

static bool
find_org(TnRead *read, TnTable table, AttrNumber attr, Datum value, TnOrg *org)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, table, 1, attr, value, 0, 0);
	tuple = tn_scan_next(&scan);
	if (tuple != NULL)
	{
		org->id = tn_scan_uuid(&scan, tuple, TN_ORGS_ID);
		org->slug = tn_scan_text(&scan, tuple, TN_ORGS_SLUG);
		org->name = tn_scan_text(&scan, tuple, TN_ORGS_NAME);
		org->kind = tn_scan_text(&scan, tuple, TN_ORGS_KIND);
		org->status_name = tn_scan_text(&scan, tuple, TN_ORGS_STATUS);
		org->status_reason = tn_scan_text(&scan, tuple, TN_ORGS_STATUS_REASON);
		org->status = parse_org_status(org->status_name);
	}
	tn_scan_end(&scan);
	return tuple != NULL;
}

/*
 * The org of that id.
 */
bool
tn_org_find(TnRead *read, const pg_uuid_t *org_id, TnOrg *org)
{
	return find_org(read, TN_ORGS, TN_ORGS_ID, UUIDPGetDatum(org_id), org);
}

/*
 * Reads a uuid in its canonical form, false for anything else; uuid_in would
 * raise an error.
 */
bool
tn_parse_uuid(const char *text, pg_uuid_t *uuid)
{
	static const int group_ends[] = {8, 13, 18, 23};

	if (strlen(text) != 36 ||
		strspn(text, "0123456789abcdefABCDEF-") != 36)
		return false;
	for (int i = 0, group = 0; i < 36; i++)
	{
		bool		dash = group < 4 && i == group_ends[group];

		if (dash != (text[i] == '-'))
			return false;
		group += dash;
	}
	*uuid = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)));
	return true;
}

/*
 * The org of that id or slug.
 */
bool
tn_org_find_by_name(TnRead *read, const char *id_or_slug, TnOrg *org)
{
	pg_uuid_t	org_id;

	if (tn_parse_uuid(id_or_slug, &org_id))
		return tn_org_find(read, &org_id, org);
	return find_org(read, TN_ORGS_BY_SLUG, TN_ORGS_SLUG,
					CStringGetTextDatum(id_or_slug), org);
}

/*
 * The org that an issuer means by its own id.
 */
bool
tn_org_find_by_external_id(TnRead *read, const pg_uuid_t *issuer_id,
						   const char *external_id, TnOrg *org)
{
	pg_uuid_t	org_id;

	return find_uuid(read, TN_ORG_EXTERNAL_IDS, 2,
					 TN_ORG_EXTERNAL_IDS_ISSUER_ID, UUIDPGetDatum(issuer_id),
					 TN_ORG_EXTERNAL_IDS_EXTERNAL_ID, CStringGetTextDatum(external_id),
					 TN_ORG_EXTERNAL_IDS_ORG_ID, &org_id) &&
		tn_org_find(read, &org_id, org);
}

/*
 * The orgs a user belongs to: a List of TnOrg *, in the order of their ids.
 */
List *
tn_member_orgs(TnRead *read, const pg_uuid_t *user_id)
{
	TnScan		scan;
	HeapTuple	tuple;
	List	   *orgs = NIL;

	tn_scan_begin(&scan, read, TN_MEMBERSHIPS, 1,
				  TN_MEMBERSHIPS_USER_ID, UUIDPGetDatum(user_id), 0, 0);
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		pg_uuid_t	org_id = tn_scan_uuid(&scan, tuple, TN_MEMBERSHIPS_ORG_ID);
		TnOrg	   *org = palloc(sizeof(TnOrg));

		if (tn_org_find(read, &org_id, org))
			orgs = lappend(orgs, org);
	}
	tn_scan_end(&scan);
	return orgs;
}

/*
 * Does the user belong to the org?
 */
bool
tn_member_exists(TnRead *read, const pg_uuid_t *user_id, const pg_uuid_t *org_id)
{
	pg_uuid_t	ignored;

	return find_uuid(read, TN_MEMBERSHIPS, 2,
					 TN_MEMBERSHIPS_USER_ID, UUIDPGetDatum(user_id),
					 TN_MEMBERSHIPS_ORG_ID, UUIDPGetDatum(org_id),
					 TN_MEMBERSHIPS_ORG_ID, &ignored);
}

/*
 * The roles a user holds in an org, in the order of their bytes.  Returns
 * their number; *role_ids is palloc'd.
 */
int
tn_member_roles(TnRead *read, const pg_uuid_t *user_id, const pg_uuid_t *org_id,
				pg_uuid_t **role_ids)
{
	TnScan		scan;
	HeapTuple	tuple;
	int			n = 0;
	int			room = 4;

	*role_ids = palloc(room * sizeof(pg_uuid_t));
	tn_scan_begin(&scan, read, TN_MEMBERSHIP_ROLES, 2,
				  TN_MEMBERSHIP_ROLES_USER_ID, UUIDPGetDatum(user_id),
				  TN_MEMBERSHIP_ROLES_ORG_ID, UUIDPGetDatum(org_id));
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		if (n == room)
		{
			room *= 2;
			*role_ids = repalloc(*role_ids, room * sizeof(pg_uuid_t));
		}
		(*role_ids)[n++] = tn_scan_uuid(&scan, tuple, TN_MEMBERSHIP_ROLES_ROLE_ID);
	}
	tn_scan_end(&scan);
	return n;
}

/*
 * The org that a user works in when none is picked, if there is one.
 */
bool
tn_default_org_find(TnRead *read, const pg_uuid_t *user_id, TnOrg *org)
{
	pg_uuid_t	org_id;

	return find_uuid(read, TN_DEFAULT_ORGS, 1,
					 TN_DEFAULT_ORGS_USER_ID, UUIDPGetDatum(user_id), 0, 0,
					 TN_DEFAULT_ORGS_ORG_ID, &org_id) &&
		tn_org_find(read, &org_id, org);
}

/*
 * The built-in role admin, by the id that sql/schema/50_seeds.sql gives it
 * for good.  Without that row it would be a role that nothing is granted to.
 */
pg_uuid_t
tn_admin_role(void)
{
	static const pg_uuid_t id = {{0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}};

	return id;
}

/*
 * A role's name, or NULL if it has just gone.
 */
char *
tn_role_name(TnRead *read, const pg_uuid_t *role_id)
{
	TnScan		scan;
	HeapTuple	tuple;
	char	   *name = NULL;

	tn_scan_begin(&scan, read, TN_ROLES, 1, TN_ROLES_ID, UUIDPGetDatum(role_id), 0, 0);
	tuple = tn_scan_next(&scan);
	if (tuple != NULL)
		name = tn_scan_text(&scan, tuple, TN_ROLES_NAME);
	tn_scan_end(&scan);
	return name;
}
