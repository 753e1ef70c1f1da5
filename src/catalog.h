/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  Our own tables: reading them, and hearing of their changes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_CATALOG_H
#define TN_CATALOG_H

#include "access/genam.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* Where all that is ours stands. */
#define TN_SCHEMA "tenancy"

/*
 * The tables that are read by index, each with its columns as numbered in
 * sql/schema.  Only columns that C reads are named.
 */
typedef enum TnTable
{
	TN_ISSUERS,
	TN_SIGNING_KEYS,
	TN_USERS,
	TN_IDENTITIES,
	TN_SUPERADMINS,
	TN_ORGS,
	TN_ORGS_BY_SLUG,
	TN_ORG_EXTERNAL_IDS,
	TN_MEMBERSHIPS,
	TN_MEMBERSHIP_ROLES,
	TN_DEFAULT_ORGS,
	TN_IMPERSONATIONS,
	TN_ROLES,
	TN_ROLE_PERMISSIONS,
	TN_REVOKED_PERMISSIONS,
	TN_FRESH_AUTHENTICATIONS
} TnTable;
#define TN_TABLE_COUNT (TN_FRESH_AUTHENTICATIONS + 1)

/* issuers (index: issuer) */
#define TN_ISSUERS_ID 1
#define TN_ISSUERS_ISSUER 2
#define TN_ISSUERS_AUDIENCES 3
#define TN_ISSUERS_AUTHORIZED_PARTIES 4
#define TN_ISSUERS_CLAIMS 5
#define TN_ISSUERS_TRUSTED 6
/* signing_keys (index: issuer_id, key_id) */
#define TN_SIGNING_KEYS_ISSUER_ID 2
#define TN_SIGNING_KEYS_KEY_ID 3
#define TN_SIGNING_KEYS_JWK 5
/* users (index: id) */
#define TN_USERS_ID 1
#define TN_USERS_EMAIL 2
#define TN_USERS_EMAIL_VERIFIED 3
#define TN_USERS_NAME 4
#define TN_USERS_STATUS 5
#define TN_USERS_TOKENS_VALID_FROM 6
/* identities (index: issuer_id, subject) */
#define TN_IDENTITIES_ISSUER_ID 1
#define TN_IDENTITIES_SUBJECT 2
#define TN_IDENTITIES_USER_ID 3
/* superadmins (index: user_id) */
#define TN_SUPERADMINS_USER_ID 1
/* organizations (indexes: id; slug) */
#define TN_ORGS_ID 1
#define TN_ORGS_SLUG 2
#define TN_ORGS_NAME 3
#define TN_ORGS_KIND 4
#define TN_ORGS_STATUS 5
#define TN_ORGS_STATUS_REASON 6
/* org_external_ids (index: issuer_id, external_id) */
#define TN_ORG_EXTERNAL_IDS_ISSUER_ID 1
#define TN_ORG_EXTERNAL_IDS_EXTERNAL_ID 2
#define TN_ORG_EXTERNAL_IDS_ORG_ID 3
/* memberships (index: user_id, org_id) */
#define TN_MEMBERSHIPS_USER_ID 1
#define TN_MEMBERSHIPS_ORG_ID 2
/* membership_roles (index: user_id, org_id, role_id) */
#define TN_MEMBERSHIP_ROLES_USER_ID 1
#define TN_MEMBERSHIP_ROLES_ORG_ID 2
#define TN_MEMBERSHIP_ROLES_ROLE_ID 3
/* default_orgs (index: user_id) */
#define TN_DEFAULT_ORGS_USER_ID 1
#define TN_DEFAULT_ORGS_ORG_ID 2
/* impersonations (index: id) */
#define TN_IMPERSONATIONS_ID 1
#define TN_IMPERSONATIONS_SUPERADMIN_ID 2
#define TN_IMPERSONATIONS_USER_ID 3
#define TN_IMPERSONATIONS_READ_ONLY 5
#define TN_IMPERSONATIONS_EXPIRES_AT 7
#define TN_IMPERSONATIONS_ENDED_AT 8
/* roles (index: id) */
#define TN_ROLES_ID 1
#define TN_ROLES_NAME 3
/* role_permissions, revoked_permissions (index: role_id, resource_type, action) */
#define TN_PERMISSIONS_ROLE_ID 1
#define TN_PERMISSIONS_RESOURCE_TYPE 2
#define TN_PERMISSIONS_ACTION 3
/* fresh_authentications (index: resource_type, action) */
#define TN_FRESH_AUTHENTICATIONS_RESOURCE_TYPE 1
#define TN_FRESH_AUTHENTICATIONS_ACTION 2
#define TN_FRESH_AUTHENTICATIONS_MAX_AGE 3

/*
 * What a change is signalled of.
 */
typedef enum TnSignal
{
	TN_SIGNAL_AUTHORITY,		/* users, memberships, orgs */
	TN_SIGNAL_PERMISSION,		/* what roles grant */
	TN_SIGNAL_KEYRING,			/* issuers, signing keys */
	TN_SIGNAL_COUNT
} TnSignal;

/*
 * A reading of several rows under one snapshot: the latest committed state
 * plus our own transaction's changes, whatever the isolation level.
 */
typedef struct TnRead
{
	Snapshot	snapshot;
} TnRead;

typedef struct TnScan
{
	Relation	rel;
	SysScanDesc scan;
} TnScan;

extern void tn_catalog_init(void);
extern uint64 tn_catalog_generation(TnSignal signal);
extern void tn_catalog_signal(TnSignal signal);
extern Oid	tn_catalog_owner(void);

extern void tn_read_begin(TnRead *read);
extern void tn_read_end(TnRead *read);
extern void tn_scan_begin(TnScan *scan, TnRead *read, TnTable table,
						  int nkeys, AttrNumber attr1, Datum value1,
						  AttrNumber attr2, Datum value2);
extern HeapTuple tn_scan_next(TnScan *scan);
extern Datum tn_scan_value(TnScan *scan, HeapTuple tuple, AttrNumber attr, bool *isnull);
extern char *tn_scan_text(TnScan *scan, HeapTuple tuple, AttrNumber attr);
extern pg_uuid_t tn_scan_uuid(TnScan *scan, HeapTuple tuple, AttrNumber attr);
extern void tn_scan_end(TnScan *scan);

#endif							/* TN_CATALOG_H */
