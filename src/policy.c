/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  What the session may do.
 *
 * A permission is a row: a role may do an action on a resource type.  The
 * grants of the roles a member holds unite into a permission set, which this
 * backend keeps per combination of roles until the authority generation
 * changes.  Members with the same roles, of whatever org, share a set: a role
 * that is an org's own has an id of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "directory.h"
#include "lib/stringinfo.h"
#include "policy.h"

/* As many as the built-in combinations of many orgs' roles need; then all go. */
#define MAX_SETS 256

typedef struct PermissionKey
{
	char		resource_type[NAMEDATALEN];
	char		action[NAMEDATALEN];
} PermissionKey;

typedef struct Permission
{
	PermissionKey key;
	bool		has_max_age;
	Interval	max_age;		/* since the user authenticated */
} Permission;

typedef struct PermissionSet
{
	int			n_roles;
	pg_uuid_t  *role_ids;
	HTAB	   *permissions;	/* of Permission */
} PermissionSet;

typedef enum Decision
{
	ALLOWED,
	NOT_GRANTED,
	NOT_FRESH,					/* granted to who has authenticated lately */
	READ_ONLY					/* granted, but somebody looks on in the user's name */
} Decision;

static MemoryContext sets_context = NULL;
static List *sets = NIL;
static uint64 sets_generation = 0;

/* The set that was asked last, and for which state of which session. */
static PermissionSet *last_set = NULL;
static uint64 last_version = 0;

/*
 * False if a name is too long to be one.
 */
static bool
make_key(PermissionKey *key, const char *action, const char *resource_type)
{
	if (strlen(action) >= NAMEDATALEN || strlen(resource_type) >= NAMEDATALEN)
		return false;
	memset(key, 0, sizeof(*key));
	strcpy(key->resource_type, resource_type);
	strcpy(key->action, action);
	return true;
}

/*
 * Enters (or removes, for a shipped grant that was taken back) what one table
 * says of a role.
 */
static void
read_permissions(TnRead *read, TnTable table, const pg_uuid_t *role_id, HTAB *permissions)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, table, 1,
				  TN_PERMISSIONS_ROLE_ID, UUIDPGetDatum(role_id), 0, 0);
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		PermissionKey key;

		if (make_key(&key, tn_scan_text(&scan, tuple, TN_PERMISSIONS_ACTION),
					 tn_scan_text(&scan, tuple, TN_PERMISSIONS_RESOURCE_TYPE)))
			(void) hash_search(permissions, &key,
							   table == TN_REVOKED_PERMISSIONS ? HASH_REMOVE : HASH_ENTER, NULL);
	}
	tn_scan_end(&scan);
}

static HTAB *
create_permissions(MemoryContext context)
{
	HASHCTL		ctl = {
		.keysize = sizeof(PermissionKey),
		.entrysize = sizeof(Permission),
		.hcxt = context
	};

	return hash_create("tenancy permissions", 32, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * A revocation is of one role's grant: another role may still give it.
 */
static void
add_role(TnRead *read, const pg_uuid_t *role_id, HTAB *permissions)
{
	HTAB	   *granted = create_permissions(CurrentMemoryContext);
	HASH_SEQ_STATUS seq;
	Permission *permission;

	read_permissions(read, TN_ROLE_PERMISSIONS, role_id, granted);
	read_permissions(read, TN_REVOKED_PERMISSIONS, role_id, granted);
	hash_seq_init(&seq, granted);
	while ((permission = hash_seq_search(&seq)) != NULL)
		((Permission *) hash_search(permissions, &permission->key, HASH_ENTER, NULL))->has_max_age = false;
	hash_destroy(granted);
}

/*
 * Whatever role grants them, some permissions need a fresh authentication.
 */
static void
read_max_ages(TnRead *read, HTAB *permissions)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, TN_FRESH_AUTHENTICATIONS, 0, 0, 0, 0, 0);
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		bool		isnull;
		Datum		max_age = tn_scan_value(&scan, tuple, TN_FRESH_AUTHENTICATIONS_MAX_AGE, &isnull);
		Permission *permission = NULL;
		PermissionKey key;

		if (make_key(&key, tn_scan_text(&scan, tuple, TN_FRESH_AUTHENTICATIONS_ACTION),
					 tn_scan_text(&scan, tuple, TN_FRESH_AUTHENTICATIONS_RESOURCE_TYPE)))
			permission = hash_search(permissions, &key, HASH_FIND, NULL);
		if (permission != NULL)
		{
			permission->has_max_age = true;
			permission->max_age = *DatumGetIntervalP(max_age);
		}
	}
	tn_scan_end(&scan);
}

static PermissionSet *
build_set(const TnSession *session)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy permission set",
												  ALLOCSET_SMALL_SIZES);
	PermissionSet *set = MemoryContextAlloc(context, sizeof(PermissionSet));
	Size		size = session->n_roles * sizeof(pg_uuid_t);
	MemoryContext old;
	TnRead		read;

	set->n_roles = session->n_roles;
	set->role_ids = MemoryContextAlloc(context, Max(size, 1));
	if (size > 0)
		memcpy(set->role_ids, session->role_ids, size);
	set->permissions = create_permissions(context);

	tn_read_begin(&read);
	for (int i = 0; i < set->n_roles; i++)
		add_role(&read, &set->role_ids[i], set->permissions);
	read_max_ages(&read, set->permissions);
	tn_read_end(&read);

	MemoryContextSetParent(context, sets_context);
	old = MemoryContextSwitchTo(sets_context);
	sets = lappend(sets, set);
	MemoryContextSwitchTo(old);
	return set;
}

static PermissionSet *
find_set(const TnSession *session)
{
	ListCell   *lc;

	if (sets_context == NULL)
		sets_context = AllocSetContextCreate(TopMemoryContext, "tenancy permissions",
											 ALLOCSET_DEFAULT_SIZES);
	if (sets_generation != tn_catalog_authority_generation() ||
		list_length(sets) >= MAX_SETS)
	{
		last_set = NULL;
		sets = NIL;
		MemoryContextReset(sets_context);
		sets_generation = tn_catalog_authority_generation();
	}

	if (last_set != NULL && last_version == session->version)
		return last_set;
	last_set = NULL;
	foreach(lc, sets)
	{
		PermissionSet *set = lfirst(lc);

		if (set->n_roles == session->n_roles &&
			(set->n_roles == 0 ||
			 memcmp(set->role_ids, session->role_ids, set->n_roles * sizeof(pg_uuid_t)) == 0))
			last_set = set;
	}
	if (last_set == NULL)
		last_set = build_set(session);
	last_version = session->version;
	return last_set;
}

/*
 * May a read-only session do that?  Only what every resource type calls by
 * this name: nothing is known of an action of an application's own.
 */
static bool
only_reads(const char *action)
{
	return strcmp(action, "read") == 0;
}

static Decision
decide(const TnSession *session, const char *action, const char *resource_type)
{
	const Permission *permission;
	PermissionKey key;

	if (session->status != TN_STATUS_ACTIVE || !make_key(&key, action, resource_type))
		return NOT_GRANTED;
	permission = hash_search(find_set(session)->permissions, &key, HASH_FIND, NULL);
	if (permission == NULL)
		return NOT_GRANTED;
	if (permission->has_max_age && !tn_session_is_fresh(session, &permission->max_age))
		return NOT_FRESH;
	if (session->read_only && !only_reads(action))
		return READ_ONLY;
	return ALLOWED;
}

/*
 * May this session do that?  Only an ACTIVE one may do anything.
 */
bool
tn_policy_allows(const TnSession *session, const char *action, const char *resource_type)
{
	return decide(session, action, resource_type) == ALLOWED;
}

/*
 * The names of the session's roles, for a message.
 */
static char *
role_names(const TnSession *session)
{
	StringInfoData names;
	TnRead		read;

	initStringInfo(&names);
	tn_read_begin(&read);
	for (int i = 0; i < session->n_roles; i++)
	{
		char	   *name = tn_role_name(&read, &session->role_ids[i]);

		if (name != NULL)
			appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ", name);
	}
	tn_read_end(&read);
	return names.len == 0 ? "none" : names.data;
}

/*
 * Raises the error that says why not, unless the session may do that.  Returns
 * the session.
 */
const TnSession *
tn_policy_require(const char *action, const char *resource_type)
{
	const TnSession *session = tn_session();

	if (session->status != TN_STATUS_ACTIVE)
		tn_session_raise(session);
	switch (decide(session, action, resource_type))
	{
		case ALLOWED:
			break;
		case NOT_GRANTED:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to %s %s", action, resource_type),
					 errdetail("The user's roles in this org do not grant it. Roles: %s.", role_names(session)),
					 errhint("Ask an admin of the org for a role that does; tenancy.my_permissions() lists what is granted.")));
			break;
		case NOT_FRESH:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission to %s %s needs a fresh authentication", action, resource_type),
					 errdetail("The user's roles grant it, but the token does not say that the user has authenticated lately enough."),
					 errhint("Let the user sign in or verify themself again and set the new token; tenancy.permission_matrix says how fresh it must be.")));
			break;
		case READ_ONLY:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to %s %s in a read-only session", action, resource_type),
					 errdetail("The user's roles grant it, but a superadmin acts as this user in order to look, not to change anything."),
					 errhint("Call tenancy.stop_acting() first; tenancy.act_as(user_id, reason, read_only => false) allows changes.")));
			break;
	}
	return session;
}

/*
 * Everything that the roles of an ACTIVE session grant, also what needs a fresh
 * authentication: a List of TnPermission *, which point into the cache and are
 * valid until the next call into policy.c.
 */
List *
tn_policy_permissions(const TnSession *session)
{
	HASH_SEQ_STATUS seq;
	Permission *granted;
	List	   *result = NIL;

	if (session->status != TN_STATUS_ACTIVE)
		return NIL;
	hash_seq_init(&seq, find_set(session)->permissions);
	while ((granted = hash_seq_search(&seq)) != NULL)
	{
		TnPermission *permission;

		if (session->read_only && !only_reads(granted->key.action))
			continue;
		permission = palloc(sizeof(TnPermission));

		permission->resource_type = granted->key.resource_type;
		permission->action = granted->key.action;
		result = lappend(result, permission);
	}
	return result;
}
