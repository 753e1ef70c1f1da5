/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  What the session may do.
 *
 * A permission is a row: a role may do an action on a resource type.  The
 * grants of the roles a member holds unite into a permission set, which this
 * backend keeps per combination of roles until what roles grant
 * changes.  Members with the same roles, of whatever org, share a set: a role
 * that is an org's own has an id of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "directory.h"
#include "policy.h"

/* As many as the built-in combinations of many orgs' roles need; then all go. */
#define MAX_SETS 256

/*
 * Names are compared by their bytes.  Those of a set are in its own memory.
 */
typedef struct PermissionKey
{
	TnName		action;
	TnName		resource_type;
} PermissionKey;

typedef struct Permission
{
	PermissionKey key;
	uint32		hash;
	char		status;			/* simplehash's */
	bool		has_max_age;
	Interval	max_age;		/* since the user authenticated */
} Permission;

static inline uint32
hash_key(const PermissionKey *key)
{
	return hash_combine(hash_bytes((const unsigned char *) key->action.data, key->action.len),
						hash_bytes((const unsigned char *) key->resource_type.data, key->resource_type.len));
}

static inline bool
names_equal(const TnName *a, const TnName *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static inline bool
keys_equal(const PermissionKey *a, const PermissionKey *b)
{
	return names_equal(&a->action, &b->action) && names_equal(&a->resource_type, &b->resource_type);
}

#define SH_PREFIX permissions
#define SH_ELEMENT_TYPE Permission
#define SH_KEY_TYPE PermissionKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_key(&(key))
#define SH_EQUAL(table, a, b) keys_equal(&(a), &(b))
#define SH_STORE_HASH
#define SH_GET_HASH(table, permission) (permission)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct PermissionSet
{
	int			n_roles;
	pg_uuid_t  *role_ids;
	permissions_hash *permissions;
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

static TnName
scan_name(TnScan *scan, HeapTuple tuple, int column)
{
	TnName		name;

	name.data = tn_scan_text(scan, tuple, column);
	name.len = strlen(name.data);
	return name;
}

/*
 * Enters (or removes, for a shipped grant that was taken back) what one table
 * says of a role.
 */
static void
read_permissions(TnRead *read, TnTable table, const pg_uuid_t *role_id, permissions_hash *permissions)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, table, 1,
				  TN_PERMISSIONS_ROLE_ID, UUIDPGetDatum(role_id), 0, 0);
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		PermissionKey key = {scan_name(&scan, tuple, TN_PERMISSIONS_ACTION),
		scan_name(&scan, tuple, TN_PERMISSIONS_RESOURCE_TYPE)};
		bool		found;

		if (table == TN_REVOKED_PERMISSIONS)
			(void) permissions_delete(permissions, key);
		else
			(void) permissions_insert(permissions, key, &found);
	}
	tn_scan_end(&scan);
}

/*
 * A revocation is of one role's grant: another role may still give it.
 */
static void
add_role(TnRead *read, const pg_uuid_t *role_id, permissions_hash *permissions)
{
	permissions_hash *granted = permissions_create(CurrentMemoryContext, 32, NULL);
	permissions_iterator iterator;
	Permission *permission;
	bool		found;

	read_permissions(read, TN_ROLE_PERMISSIONS, role_id, granted);
	read_permissions(read, TN_REVOKED_PERMISSIONS, role_id, granted);
	permissions_start_iterate(granted, &iterator);
	while ((permission = permissions_iterate(granted, &iterator)) != NULL)
		permissions_insert(permissions, permission->key, &found)->has_max_age = false;
	permissions_destroy(granted);
}

/*
 * Whatever role grants them, some permissions need a fresh authentication.
 */
static void
read_max_ages(TnRead *read, permissions_hash *permissions)
{
	TnScan		scan;
	HeapTuple	tuple;

	tn_scan_begin(&scan, read, TN_FRESH_AUTHENTICATIONS, 0, 0, 0, 0, 0);
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		bool		isnull;
		Datum		max_age = tn_scan_value(&scan, tuple, TN_FRESH_AUTHENTICATIONS_MAX_AGE, &isnull);
		PermissionKey key = {scan_name(&scan, tuple, TN_FRESH_AUTHENTICATIONS_ACTION),
		scan_name(&scan, tuple, TN_FRESH_AUTHENTICATIONS_RESOURCE_TYPE)};
		Permission *permission = permissions_lookup(permissions, key);

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
	set->permissions = permissions_create(context, 32, NULL);

	old = MemoryContextSwitchTo(context);
	tn_read_begin(&read);
	for (int i = 0; i < set->n_roles; i++)
		add_role(&read, &set->role_ids[i], set->permissions);
	read_max_ages(&read, set->permissions);
	tn_read_end(&read);

	MemoryContextSetParent(context, sets_context);
	MemoryContextSwitchTo(sets_context);
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
	if (sets_generation != tn_catalog_generation(TN_SIGNAL_PERMISSION) ||
		list_length(sets) >= MAX_SETS)
	{
		last_set = NULL;
		sets = NIL;
		MemoryContextReset(sets_context);
		sets_generation = tn_catalog_generation(TN_SIGNAL_PERMISSION);
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
only_reads(TnName action)
{
	return action.len == 4 && memcmp(action.data, "read", 4) == 0;
}

static Decision
decide(const TnSession *session, TnName action, TnName resource_type)
{
	const Permission *permission;
	PermissionKey key = {action, resource_type};

	if (session->status != TN_STATUS_ACTIVE)
		return NOT_GRANTED;
	permission = permissions_lookup(find_set(session)->permissions, key);
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
tn_policy_allows(const TnSession *session, TnName action, TnName resource_type)
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
 * Raises the error that says why not, unless the session may do that.
 */
void
tn_policy_require(const TnSession *session, TnName action, TnName resource_type)
{
	if (session->status != TN_STATUS_ACTIVE)
		tn_session_raise(session);
	switch (decide(session, action, resource_type))
	{
		case ALLOWED:
			break;
		case NOT_GRANTED:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to %.*s %.*s", action.len, action.data,
							resource_type.len, resource_type.data),
					 errdetail("The user's roles in this org do not grant it. Roles: %s.", role_names(session)),
					 errhint("Ask an admin of the org for a role that does; tenancy.my_permissions() lists what is granted.")));
			break;
		case NOT_FRESH:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission to %.*s %.*s needs a fresh authentication", action.len, action.data,
							resource_type.len, resource_type.data),
					 errdetail("The user's roles grant it, but the token does not say that the user has authenticated lately enough."),
					 errhint("Let the user sign in or verify themself again and set the new token; tenancy.permission_matrix says how fresh it must be.")));
			break;
		case READ_ONLY:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to %.*s %.*s in a read-only session", action.len, action.data,
							resource_type.len, resource_type.data),
					 errdetail("The user's roles grant it, but a superadmin acts as this user in order to look, not to change anything."),
					 errhint("Call tenancy.stop_acting() first; tenancy.act_as(user_id, reason, read_only => false) allows changes.")));
			break;
	}
}

/*
 * Everything that the roles of an ACTIVE session grant, also what needs a fresh
 * authentication: a List of TnPermission *, which point into the cache and are
 * valid until the next call into policy.c.
 */
List *
tn_policy_permissions(const TnSession *session)
{
	permissions_hash *permissions;
	permissions_iterator iterator;
	Permission *granted;
	List	   *result = NIL;

	if (session->status != TN_STATUS_ACTIVE)
		return NIL;
	permissions = find_set(session)->permissions;
	permissions_start_iterate(permissions, &iterator);
	while ((granted = permissions_iterate(permissions, &iterator)) != NULL)
	{
		TnPermission *permission;

		if (session->read_only && !only_reads(granted->key.action))
			continue;
		permission = palloc(sizeof(TnPermission));

		permission->resource_type = granted->key.resource_type.data;
		permission->action = granted->key.action.data;
		result = lappend(result, permission);
	}
	return result;
}
