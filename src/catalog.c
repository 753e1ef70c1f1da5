/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Our own tables: reading them, and hearing of their changes.
 *
 * Reads are index scans as PostgreSQL reads its own catalogs, not SPI: no
 * switch of privileges, no row security in row security, and they work on a
 * hot standby and in a parallel worker.  Nothing here takes a transaction id,
 * locks a row or writes.
 *
 * A trigger on every table that decides something (for a statement, or for a
 * row that logical replication writes) invalidates the relcache entry of an
 * empty "signal" table.  That message is sent at commit, reaches every backend
 * and every standby, and is processed in our own backend at the next command.
 * The callback bumps a counter, which is all a callback may do: it runs where
 * no catalog may be read.  Whoever cached something keeps the counter's value
 * beside it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "changes.h"

static const struct
{
	const char *table;
	const char *index;
}			table_names[TN_TABLE_COUNT] =
{
	[TN_ISSUERS] = {"issuers", "issuers_issuer_key"},
	[TN_SIGNING_KEYS] = {"signing_keys", "signing_keys_issuer_id_key_id_key"},
	[TN_USERS] = {"users", "users_pkey"},
	[TN_IDENTITIES] = {"identities", "identities_pkey"},
	[TN_SUPERADMINS] = {"superadmins", "superadmins_pkey"},
	[TN_ORGS] = {"organizations", "organizations_pkey"},
	[TN_ORGS_BY_SLUG] = {"organizations", "organizations_slug_key"},
	[TN_ORG_EXTERNAL_IDS] = {"org_external_ids", "org_external_ids_pkey"},
	[TN_MEMBERSHIPS] = {"memberships", "memberships_pkey"},
	[TN_MEMBERSHIP_ROLES] = {"membership_roles", "membership_roles_pkey"},
	[TN_DEFAULT_ORGS] = {"default_orgs", "default_orgs_pkey"},
	[TN_IMPERSONATIONS] = {"impersonations", "impersonations_pkey"},
	[TN_ROLES] = {"roles", "roles_pkey"},
	[TN_ROLE_PERMISSIONS] = {"role_permissions", "role_permissions_pkey"},
	[TN_REVOKED_PERMISSIONS] = {"revoked_permissions", "revoked_permissions_pkey"},
	[TN_FRESH_AUTHENTICATIONS] = {"fresh_authentications", "fresh_authentications_pkey"},
};

/*
 * Each signal has a table, of which only the OID counts, and a generation,
 * which callers keep beside what they cache.
 */
static struct
{
	const char *table;
	Oid			oid;
	uint64		generation;
}			signals[TN_SIGNAL_COUNT] =
{
	[TN_SIGNAL_AUTHORITY] = {"authority_signal", InvalidOid, 1},
	[TN_SIGNAL_PERMISSION] = {"permission_signal", InvalidOid, 1},
	[TN_SIGNAL_KEYRING] = {"keyring_signal", InvalidOid, 1},
};

/*
 * All OIDs are resolved together.  The extension may have been dropped, and
 * made again: that sends a signal too, so that after any it is looked whether
 * the signal tables are still the same.
 */
static bool oids_checked = false;
static Oid	table_oids[TN_TABLE_COUNT];
static Oid	index_oids[TN_TABLE_COUNT];

static void
note_change(TnSignal signal)
{
	signals[signal].generation++;
	tn_changes++;
}

/*
 * Relcache callback.  InvalidOid means that everything may have changed.
 */
static void
note_invalidation(Datum arg, Oid relid)
{
	for (int i = 0; i < TN_SIGNAL_COUNT; i++)
	{
		if (relid == signals[i].oid || relid == InvalidOid)
		{
			note_change(i);
			oids_checked = false;
		}
	}
}

static Oid
find_relation(Oid schema, const char *name)
{
	Oid			oid = get_relname_relid(name, schema);

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", TN_SCHEMA, name),
				 errhint("The extension \"tenancy\" is damaged: drop and create it again, or restore a backup.")));
	return oid;
}

/*
 * False if a signal table is another one than before.
 */
static bool
signals_are_the_same(Oid schema)
{
	for (int i = 0; i < TN_SIGNAL_COUNT; i++)
	{
		if (!OidIsValid(signals[i].oid) ||
			get_relname_relid(signals[i].table, schema) != signals[i].oid)
			return false;
	}
	return true;
}

static void
resolve_oids(void)
{
	while (!oids_checked)
	{
		uint64		changes = tn_changes;
		Oid			schema = get_namespace_oid(TN_SCHEMA, false);

		if (!signals_are_the_same(schema))
		{
			for (int i = 0; i < TN_TABLE_COUNT; i++)
			{
				table_oids[i] = find_relation(schema, table_names[i].table);
				index_oids[i] = find_relation(schema, table_names[i].index);
			}
			/* Not before all are found. */
			for (int i = 0; i < TN_SIGNAL_COUNT; i++)
				signals[i].oid = find_relation(schema, signals[i].table);
		}
		/* A look-up may have processed a signal: then once more. */
		oids_checked = changes == tn_changes;
	}
}

/*
 * What was read from changes of our own that are undone now must go.  The
 * triggers' signals see to that only where the writing statement has ended.
 */
static void
forget_undone(void)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
	{
		for (int i = 0; i < TN_SIGNAL_COUNT; i++)
			note_change(i);
	}
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		forget_undone();
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_undone();
}

/*
 * Registers the callbacks.  Called once, from _PG_init; it cannot be undone.
 */
void
tn_catalog_init(void)
{
	CacheRegisterRelcacheCallback(note_invalidation, (Datum) 0);
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * The number that changes whenever what the signal tells of may have.  Accurate
 * as of the last AcceptInvalidationMessages().
 */
uint64
tn_catalog_generation(TnSignal signal)
{
	return signals[signal].generation;
}

/*
 * Tells every backend, at commit, that it has.
 */
void
tn_catalog_signal(TnSignal signal)
{
	resolve_oids();
	CacheInvalidateRelcacheByRelid(signals[signal].oid);
}

/*
 * The role that owns our tables: the extension's owner.
 */
Oid
tn_catalog_owner(void)
{
	Relation	rel;
	Oid			owner;

	resolve_oids();
	rel = table_open(table_oids[TN_USERS], AccessShareLock);
	owner = rel->rd_rel->relowner;
	table_close(rel, AccessShareLock);
	return owner;
}

/*
 * Starts a reading; end it with tn_read_end().  On error the resource owner
 * cleans up.  PostgreSQL takes a fresh catalog snapshot for a relation without
 * a syscache, and unlike GetLatestSnapshot() that works in a parallel worker.
 */
void
tn_read_begin(TnRead *read)
{
	resolve_oids();
	read->snapshot = RegisterSnapshot(GetCatalogSnapshot(table_oids[TN_USERS]));
}

void
tn_read_end(TnRead *read)
{
	UnregisterSnapshot(read->snapshot);
}

static void
init_key(ScanKey key, Relation rel, AttrNumber attr, Datum value)
{
	Oid			type = TupleDescAttr(RelationGetDescr(rel), attr - 1)->atttypid;

	Assert(type == UUIDOID || type == TEXTOID);
	/* ScanKeyInit's collation is "C", as is that of every text column we look up. */
	ScanKeyInit(key, attr, BTEqualStrategyNumber,
				type == UUIDOID ? F_UUID_EQ : F_TEXTEQ, value);
}

/*
 * Starts an index scan for equality on the first nkeys (1 or 2) columns of
 * the table's index.  End it with tn_scan_end().
 */
void
tn_scan_begin(TnScan *scan, TnRead *read, TnTable table, int nkeys,
			  AttrNumber attr1, Datum value1, AttrNumber attr2, Datum value2)
{
	ScanKeyData keys[2];

	resolve_oids();
	scan->rel = table_open(table_oids[table], AccessShareLock);
	if (nkeys > 0)
		init_key(&keys[0], scan->rel, attr1, value1);
	if (nkeys > 1)
		init_key(&keys[1], scan->rel, attr2, value2);
	scan->scan = systable_beginscan(scan->rel, index_oids[table], true,
									read->snapshot, nkeys, keys);
}

/*
 * The next row, or NULL.  It stays valid until the next call.
 */
HeapTuple
tn_scan_next(TnScan *scan)
{
	return systable_getnext(scan->scan);
}

/*
 * A column of a row; a by-reference value points into the row.
 */
Datum
tn_scan_value(TnScan *scan, HeapTuple tuple, AttrNumber attr, bool *isnull)
{
	return heap_getattr(tuple, attr, RelationGetDescr(scan->rel), isnull);
}

/*
 * A text column as a palloc'd string, NULL for SQL's null.
 */
char *
tn_scan_text(TnScan *scan, HeapTuple tuple, AttrNumber attr)
{
	bool		isnull;
	Datum		value = tn_scan_value(scan, tuple, attr, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * A uuid column that is NOT NULL.
 */
pg_uuid_t
tn_scan_uuid(TnScan *scan, HeapTuple tuple, AttrNumber attr)
{
	bool		isnull;
	Datum		value = tn_scan_value(scan, tuple, attr, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null in column %d of \"%s\"",
			 attr, RelationGetRelationName(scan->rel));
	return *DatumGetUUIDP(value);
}

void
tn_scan_end(TnScan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->rel, AccessShareLock);
}
