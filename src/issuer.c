/*-------------------------------------------------------------------------
 *
 * issuer.c
 *	  The issuers we trust, as this backend has them at hand.
 *
 * An issuer is read from the catalog at the first token that names it, and all
 * are forgotten when the keyring's generation has changed.  Unknown issuers
 * are not remembered: a client could name any number of them.
 *
 * The keys are libjwt's, outside PostgreSQL's memory.  They are freed in one
 * place, the reset callback of the context that holds their issuer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "issuer.h"

static MemoryContext issuers_context = NULL;
static List *issuers = NIL;
static uint64 issuers_generation = 0;

static void
free_keys(void *arg)
{
	TnIssuer   *issuer = arg;

	for (int i = 0; i < issuer->n_keys; i++)
		tn_key_free(issuer->keys[i]);
}

/*
 * A text[] column as C strings; -1 for null, which means "no rule".
 */
static int
read_strings(TnScan *scan, HeapTuple tuple, AttrNumber attr, char ***strings)
{
	bool		isnull;
	Datum		value = tn_scan_value(scan, tuple, attr, &isnull);
	Datum	   *elements;
	int			n;

	*strings = NULL;
	if (isnull)
		return -1;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &n);
	*strings = palloc(n * sizeof(char *));
	for (int i = 0; i < n; i++)
		(*strings)[i] = TextDatumGetCString(elements[i]);
	return n;
}

/*
 * A jsonb column as JSON text, or NULL.
 */
static char *
read_json(TnScan *scan, HeapTuple tuple, AttrNumber attr)
{
	bool		isnull;
	Datum		value = tn_scan_value(scan, tuple, attr, &isnull);
	Jsonb	   *json;

	if (isnull)
		return NULL;
	json = DatumGetJsonbP(value);
	return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

/*
 * Reads an issuer's keys.  One that libjwt cannot use (a row written past
 * trust_issuer(), say) is left out: its tokens are of an unknown key.  For lack
 * of memory a key must not be: it would be missed until the keyring changes.
 */
static void
load_keys(TnIssuer *issuer, TnRead *read)
{
	TnScan		scan;
	HeapTuple	tuple;
	int			room = 0;

	tn_scan_begin(&scan, read, TN_SIGNING_KEYS, 1,
				  TN_SIGNING_KEYS_ISSUER_ID, UUIDPGetDatum(&issuer->id), 0, 0);
	while ((tuple = tn_scan_next(&scan)) != NULL)
	{
		char	   *jwk = read_json(&scan, tuple, TN_SIGNING_KEYS_JWK);
		const char *reason;
		TnKey	   *key;

		if (issuer->n_keys == room)
		{
			room = room == 0 ? 4 : room * 2;
			issuer->keys = issuer->keys == NULL ?
				palloc(room * sizeof(TnKey *)) :
				repalloc(issuer->keys, room * sizeof(TnKey *));
		}
		key = tn_key_create(jwk, strlen(jwk), &reason);
		if (key != NULL)
			issuer->keys[issuer->n_keys++] = key;
		else if (reason == tn_key_no_memory)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not read a signing key"),
					 errdetail("There is not enough memory.")));
		else
			issuer->has_unusable_key = true;
		pfree(jwk);
	}
	tn_scan_end(&scan);
}

/*
 * Fills an issuer from its row, except for the keys; false if there is none
 * or it is not trusted.
 */
static bool
load_issuer(TnIssuer *issuer, const char *name, TnRead *read)
{
	TnScan		scan;
	HeapTuple	tuple;
	bool		isnull;
	bool		found = false;

	tn_scan_begin(&scan, read, TN_ISSUERS, 1,
				  TN_ISSUERS_ISSUER, CStringGetTextDatum(name), 0, 0);
	tuple = tn_scan_next(&scan);
	if (tuple != NULL &&
		DatumGetBool(tn_scan_value(&scan, tuple, TN_ISSUERS_TRUSTED, &isnull)))
	{
		char	   *mapping = read_json(&scan, tuple, TN_ISSUERS_CLAIMS);

		issuer->id = tn_scan_uuid(&scan, tuple, TN_ISSUERS_ID);
		issuer->issuer = pstrdup(name);
		issuer->n_audiences = read_strings(&scan, tuple, TN_ISSUERS_AUDIENCES,
										   &issuer->audiences);
		issuer->n_authorized_parties =
			read_strings(&scan, tuple, TN_ISSUERS_AUTHORIZED_PARTIES,
						 &issuer->authorized_parties);
		found = tn_claims_parse(mapping, strlen(mapping), &issuer->mapping);
	}
	tn_scan_end(&scan);
	return found;
}

/*
 * The trusted issuer of that name, or NULL.  It is valid until the next call.
 */
const TnIssuer *
tn_issuer_find(const char *name)
{
	MemoryContext context;
	MemoryContext old;
	MemoryContextCallback *callback;
	TnIssuer   *issuer;
	TnRead		read;
	ListCell   *lc;

	if (issuers_generation != tn_catalog_generation(TN_SIGNAL_KEYRING))
	{
		issuers = NIL;
		if (issuers_context != NULL)
			MemoryContextReset(issuers_context);
		issuers_generation = tn_catalog_generation(TN_SIGNAL_KEYRING);
	}
	foreach(lc, issuers)
	{
		issuer = lfirst(lc);
		if (strcmp(issuer->issuer, name) == 0)
			return issuer;
	}

	if (issuers_context == NULL)
		issuers_context = AllocSetContextCreate(TopMemoryContext, "tenancy issuers",
												ALLOCSET_DEFAULT_SIZES);
	context = AllocSetContextCreate(CurrentMemoryContext, "tenancy issuer",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	issuer = palloc0(sizeof(TnIssuer));
	tn_read_begin(&read);
	if (load_issuer(issuer, name, &read))
	{
		callback = palloc0(sizeof(MemoryContextCallback));
		callback->func = free_keys;
		callback->arg = issuer;
		MemoryContextRegisterResetCallback(context, callback);
		load_keys(issuer, &read);
	}
	else
		issuer = NULL;
	tn_read_end(&read);
	MemoryContextSwitchTo(old);

	if (issuer == NULL)
	{
		MemoryContextDelete(context);
		return NULL;
	}

	/* Whole now, and not before: an error on the way has left nothing behind. */
	MemoryContextSetParent(context, issuers_context);
	old = MemoryContextSwitchTo(issuers_context);
	issuers = lappend(issuers, issuer);
	MemoryContextSwitchTo(old);
	return issuer;
}

/*
 * The key that a token means: the one of that id, or without an id the only
 * one there is.  NULL if there is none.
 */
TnKey *
tn_issuer_key(const TnIssuer *issuer, const char *key_id)
{
	if (key_id == NULL)
		return issuer->n_keys == 1 ? issuer->keys[0] : NULL;

	for (int i = 0; i < issuer->n_keys; i++)
	{
		const char *id = tn_key_id(issuer->keys[i]);

		if (id != NULL && strcmp(id, key_id) == 0)
			return issuer->keys[i];
	}
	return NULL;
}
