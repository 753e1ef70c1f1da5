/*-------------------------------------------------------------------------
 *
 * session.c
 *	  Who is this, in which org, and in which state: the one accessor.
 *
 * Everything that depends on the caller's identity goes through tn_session().
 * It puts three things together, each with its own way of going stale:
 *
 *	- what the token says: kept per token text until the keyring's generation
 *	  changes;
 *	- what the catalog says of that user: kept beside it until the authority
 *	  generation changes, or tenancy.org or tenancy.impersonation does;
 *	- the clock, compared at every use with the token's times, and with the end
 *	  of an impersonation.
 *
 * Entries live in a fixed array of slots, the least recently used one giving
 * way.  A setting's extra block remembers slot and id, so the usual call finds
 * its entry without looking at the token.
 *
 * Reading never writes: it works on a hot standby and in parallel workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "catalog.h"
#include "directory.h"
#include "errcodes.h"
#include "ownership.h"
#include "session.h"
#include "settings.h"

/* How often a reading that was overtaken by a change is tried again. */
#define MAX_READ_TRIES 3

/* Among how many of the last tokens an older one of the same subject is sought. */
#define MAX_PREDECESSORS 64

/*
 * The value of a setting that something was read under.
 */
typedef struct ReadUnder
{
	uint64		serial;			/* 0 if there was none */
	char	   *value;
} ReadUnder;

typedef struct Entry
{
	dlist_node	lru;			/* in used_entries or free_entries */
	uint64		id;				/* never given twice; 0 if free */
	MemoryContext context;		/* everything below that is palloc'd */
	uint64		hash;
	size_t		len;
	char	   *text;

	uint64		keyring_generation;
	TnVerifiedToken token;

	/* What the catalog says, as of a generation and under two settings. */
	uint64		authority_generation;	/* 0: not read yet */
	ReadUnder	org;
	ReadUnder	impersonation;
	MemoryContext authority_context;
	TnSession	session;

	/* The same token outside its time. */
	TnSession	out_of_time;
} Entry;

typedef struct IndexEntry
{
	uint64		hash;
	int			slot;
} IndexEntry;

static MemoryContext cache_context = NULL;
static int	n_slots = 0;
static Entry *slots = NULL;
static HTAB *slot_index = NULL;
static dlist_head used_entries; /* most recently used first */
static dlist_head free_entries;

static uint64 last_entry_id = 0;
uint64		tn_session_uses = 0;
static uint64 last_version = 0;

static const TnSession anonymous = {.status = TN_STATUS_ANONYMOUS};

/*
 * Processes invalidations once a statement.  PostgreSQL itself does when a
 * statement locks a table, but not if the transaction has that lock already:
 * a membership removed elsewhere would go unnoticed until commit.
 *
 * A statement inside a function is known by its snapshot.  Whenever some
 * transaction has ended since, either xmax has grown or fewer transactions
 * below it are running.
 */
static void
hear_of_changes(void)
{
	static TimestampTz heard_at = 0;
	static TransactionId heard_xmax = InvalidTransactionId;
	static uint64 heard_running = 0;
	TimestampTz statement = GetCurrentStatementStartTimestamp();
	TransactionId xmax = InvalidTransactionId;
	uint64		running = 0;

	if (ActiveSnapshotSet())
	{
		Snapshot	snapshot = GetActiveSnapshot();

		xmax = snapshot->xmax;
		running = ((uint64) snapshot->xcnt << 32) | (uint32) snapshot->subxcnt;
	}
	if (statement != heard_at || xmax != heard_xmax || running != heard_running)
	{
		AcceptInvalidationMessages();
		heard_at = statement;
		heard_xmax = xmax;
		heard_running = running;
	}
}

static void
create_cache(void)
{
	HASHCTL		ctl = {.keysize = sizeof(uint64),.entrysize = sizeof(IndexEntry)};
	MemoryContext context;

	if (cache_context != NULL)
	{
		MemoryContextDelete(cache_context);
		cache_context = NULL;
		n_slots = 0;
	}

	context = AllocSetContextCreate(TopMemoryContext, "tenancy sessions",
									ALLOCSET_DEFAULT_SIZES);
	slots = MemoryContextAllocZero(context, tn_session_cache_size * sizeof(Entry));
	ctl.hcxt = context;
	slot_index = hash_create("tenancy session index", tn_session_cache_size, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dlist_init(&used_entries);
	dlist_init(&free_entries);
	for (int i = 0; i < tn_session_cache_size; i++)
		dlist_push_tail(&free_entries, &slots[i].lru);
	cache_context = context;
	n_slots = tn_session_cache_size;
}

static void
free_entry(Entry *entry)
{
	IndexEntry *indexed = hash_search(slot_index, &entry->hash, HASH_FIND, NULL);

	if (indexed != NULL && &slots[indexed->slot] == entry)
		(void) hash_search(slot_index, &entry->hash, HASH_REMOVE, NULL);
	entry->id = 0;
	dlist_delete(&entry->lru);
	dlist_push_head(&free_entries, &entry->lru);
	MemoryContextDelete(entry->context);
	entry->context = NULL;
}

/*
 * Verifies the token in force and gives it an entry.
 */
static Entry *
create_entry(uint64 hash, size_t len)
{
	MemoryContext context;
	MemoryContext authority_context;
	MemoryContext old;
	TnVerifiedToken token;
	uint64		generation;
	Entry	   *entry;
	char	   *text;

	/* Until it is whole, it belongs to the caller: an error leaves nothing. */
	context = AllocSetContextCreate(CurrentMemoryContext, "tenancy session",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	text = pnstrdup(tn_session_token, len);
	generation = tn_catalog_generation(TN_SIGNAL_KEYRING);
	tn_verify_token(text, &token);
	authority_context = AllocSetContextCreate(context, "tenancy session authority",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(old);

	if (dlist_is_empty(&free_entries))
		free_entry(dlist_container(Entry, lru, dlist_tail_node(&used_entries)));
	entry = dlist_container(Entry, lru, dlist_head_node(&free_entries));
	((IndexEntry *) hash_search(slot_index, &hash, HASH_ENTER, NULL))->slot = entry - slots;

	dlist_delete(&entry->lru);
	memset(entry, 0, sizeof(Entry));
	dlist_push_head(&used_entries, &entry->lru);
	MemoryContextSetParent(context, cache_context);
	entry->context = context;
	entry->authority_context = authority_context;
	entry->id = ++last_entry_id;
	entry->hash = hash;
	entry->len = len;
	entry->text = text;
	entry->keyring_generation = generation;
	entry->token = token;
	entry->out_of_time.version = ++last_version;
	entry->out_of_time.token = &entry->token;
	return entry;
}

/*
 * Is it the token in force, of that length, verified under the present keyring?
 */
static bool
is_of_token(const Entry *entry, size_t len)
{
	return entry->keyring_generation == tn_catalog_generation(TN_SIGNAL_KEYRING) &&
		entry->len == len && memcmp(entry->text, tn_session_token, len) == 0;
}

static Entry *
remember_entry(TnSettingValue *value, Entry *entry)
{
	value->entry_slot = entry - slots;
	value->entry_id = entry->id;
	return entry;
}

/*
 * The entry of the token in force, verified under the present keyring.
 */
static Entry *
find_entry(TnSettingValue *value)
{
	Entry	   *entry;
	IndexEntry *indexed;
	uint64		hash;
	size_t		len;

	if (value->entry_slot < n_slots)
	{
		entry = &slots[value->entry_slot];
		if (entry->id != 0 && entry->id == value->entry_id &&
			entry->keyring_generation == tn_catalog_generation(TN_SIGNAL_KEYRING))
			return entry;
	}

	if (n_slots != tn_session_cache_size)
		create_cache();
	len = strlen(tn_session_token);

	/* Set again, as by every request of one user: no hash is needed. */
	if (!dlist_is_empty(&used_entries))
	{
		entry = dlist_container(Entry, lru, dlist_head_node(&used_entries));
		if (is_of_token(entry, len))
			return remember_entry(value, entry);
	}

	hash = DatumGetUInt64(hash_any_extended((const unsigned char *) tn_session_token, len, 0));
	indexed = hash_search(slot_index, &hash, HASH_FIND, NULL);
	entry = indexed == NULL ? NULL : &slots[indexed->slot];

	/* Of two tokens with one hash the later takes the place. */
	if (entry != NULL && !is_of_token(entry, len))
	{
		free_entry(entry);
		entry = NULL;
	}
	if (entry == NULL)
		entry = create_entry(hash, len);
	else
		dlist_move_head(&used_entries, &entry->lru);
	return remember_entry(value, entry);
}

/*
 * The org that the session means: the one picked, else the token's, else the
 * user's only one (archived ones count only if there is no other), else the
 * user's default.  Returns ACTIVE with *org set, or the status that says why
 * there is none.
 *
 * A superadmin may pick any org that exists.  What a token names is not picked:
 * an issuer that says "org" must not lead into one that the user does not
 * belong to.
 */
static TnStatus
choose_org(TnRead *read, TnSession *session, TnOrg *org)
{
	const TnVerifiedToken *token = session->token;
	bool		picked = tn_org_serial != 0;
	bool		named = picked;
	bool		found;
	List	   *orgs;
	ListCell   *lc;
	int			open = 0;

	found = picked && tn_org_find_by_name(read, tn_org, org);
	/* Who acts as another does not have that one's token. */
	if (!picked && token->org != NULL && !session->has_superadmin)
		named = found = tn_org_find_by_external_id(read, &token->issuer_id, token->org, org);
	if (found && tn_member_exists(read, &session->user_id, &org->id))
		return TN_STATUS_ACTIVE;
	if (found && picked && session->is_superadmin)
	{
		session->entered = true;
		return TN_STATUS_ACTIVE;
	}

	/* Who has none to pick from is not asked to pick. */
	orgs = tn_member_orgs(read, &session->user_id);
	if (orgs == NIL)
		return TN_STATUS_NO_ORG;
	if (named)
		return TN_STATUS_NOT_A_MEMBER;
	*org = *(TnOrg *) linitial(orgs);
	foreach(lc, orgs)
	{
		TnOrg	   *candidate = lfirst(lc);

		if (candidate->status != TN_ORG_ARCHIVED)
		{
			*org = *candidate;
			open++;
		}
	}
	if (open <= 1)
		return TN_STATUS_ACTIVE;
	/* A foreign key makes it one of these, but replication need not keep foreign keys. */
	if (tn_default_org_find(read, &session->user_id, org) && org->status == TN_ORG_ACTIVE &&
		tn_member_exists(read, &session->user_id, &org->id))
		return TN_STATUS_ACTIVE;
	return TN_STATUS_PICK_ORG;
}

static bool
is_revoked(const TnUser *user, const TnVerifiedToken *token)
{
	TimestampTz issued_at;

	if (!user->has_tokens_valid_from)
		return false;
	if (!token->has_issued_at)
		return true;
	issued_at = (token->issued_at -
				 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY) * USECS_PER_SEC;
	return issued_at < user->tokens_valid_from;
}

/*
 * Makes the session that of the user whom the token's user acts as, if
 * tenancy.impersonation names one.  Anybody may set that: of who is neither a
 * superadmin nor was one, it means nothing.  A superadmin's that names none of
 * theirs, or one that holds no longer, ends in an error, and not in their own
 * identity, which would do more than was asked for: the impersonation may have
 * been rolled back, or not have reached this standby yet.
 *
 * Returns false if it is over.  *user is who the session is for.
 */
static bool
impersonate(TnRead *read, TnSession *session, TnUser *user)
{
	TnImpersonation impersonation;
	pg_uuid_t	id;
	bool		holds;

	if (tn_impersonation_serial == 0)
		return true;
	if (!tn_parse_uuid(tn_impersonation, &id) ||
		!tn_impersonation_find(read, &id, &impersonation) ||
		memcmp(&impersonation.superadmin_id, &user->id, sizeof(pg_uuid_t)) != 0)
	{
		session->impersonation_over = session->is_superadmin;
		session->is_superadmin = false;
		return !session->impersonation_over;
	}

	holds = session->is_superadmin && !impersonation.ended &&
		impersonation.expires_at > GetCurrentStatementStartTimestamp();
	session->has_superadmin = true;
	session->superadmin_id = user->id;
	session->is_superadmin = false;
	session->impersonation_id = id;
	session->impersonation_expires_at = impersonation.expires_at;
	session->read_only = impersonation.read_only;
	session->user_id = impersonation.user_id;
	session->impersonation_over = !holds || !tn_user_find_by_id(read, &impersonation.user_id, user);
	if (session->impersonation_over)
		return false;
	session->email = user->email;
	return true;
}

/*
 * What the catalog says of a token's subject now.  session->token is set;
 * fills the rest.
 */
static void
read_authority(TnRead *read, TnSession *session)
{
	const TnVerifiedToken *token = session->token;
	TnUser		user;
	TnOrg		org;

	session->status = TN_STATUS_UNPROVISIONED;
	if (!tn_user_find(read, &token->issuer_id, token->subject, &user))
		return;

	session->has_user = true;
	session->user_id = user.id;
	session->status = TN_STATUS_REVOKED;
	if (is_revoked(&user, token))
		return;
	session->status = TN_STATUS_DISABLED;
	if (user.disabled)
		return;
	/* Who acts as a superadmin by the issuer's leave does not run the installation. */
	session->is_superadmin = user.superadmin && token->actor == NULL;
	if (!impersonate(read, session, &user) || user.disabled)
		return;

	session->status = choose_org(read, session, &org);
	if (session->status != TN_STATUS_ACTIVE)
		return;
	session->has_org = true;
	session->org_id = org.id;
	if (org.status == TN_ORG_SUSPENDED)
		session->status = TN_STATUS_ORG_SUSPENDED;
	else if (org.status == TN_ORG_ARCHIVED)
		session->status = TN_STATUS_ORG_ARCHIVED;
	else if (session->entered)
	{
		session->n_roles = 1;
		session->role_ids = palloc(sizeof(pg_uuid_t));
		session->role_ids[0] = tn_admin_role();
	}
	else
		session->n_roles = tn_member_roles(read, &user.id, &org.id, &session->role_ids);
}

/*
 * Does the setting, with that serial and value now, still say the same?
 */
static bool
is_unchanged(ReadUnder *read_under, uint64 serial, const char *value)
{
	if (read_under->serial == serial)
		return true;

	/* Set again to the same value, as every request does. */
	if (read_under->value == NULL || serial == 0 || strcmp(read_under->value, value) != 0)
		return false;
	read_under->serial = serial;
	return true;
}

/*
 * Is entry->session what the catalog, the settings and the clock say now?
 */
static bool
authority_is_current(Entry *entry)
{
	const TnSession *session = &entry->session;

	return entry->authority_generation == tn_catalog_generation(TN_SIGNAL_AUTHORITY) &&
		is_unchanged(&entry->org, tn_org_serial, tn_org) &&
		is_unchanged(&entry->impersonation, tn_impersonation_serial, tn_impersonation) &&
		(!session->has_superadmin || session->impersonation_over ||
		 session->impersonation_expires_at > GetCurrentStatementStartTimestamp());
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/*
 * Is all that the catalog says of the older token's subject true of the newer
 * one's as well?  What was not revoked then is not now.
 */
static bool
is_renewal(const TnVerifiedToken *older, const TnVerifiedToken *newer)
{
	return memcmp(&older->issuer_id, &newer->issuer_id, sizeof(pg_uuid_t)) == 0 &&
		same_text(older->subject, newer->subject) &&
		same_text(older->org, newer->org) &&
		same_text(older->actor, newer->actor) &&
		(!older->has_issued_at ||
		 (newer->has_issued_at && newer->issued_at >= older->issued_at));
}

/*
 * The entry of an older token whose reading of the catalog serves this one,
 * or NULL: issuers renew tokens, some of them every minute.
 */
static const Entry *
find_predecessor(const Entry *entry)
{
	dlist_iter	iter;
	int			tried = 0;

	dlist_foreach(iter, &used_entries)
	{
		Entry	   *other = dlist_container(Entry, lru, iter.cur);

		if (authority_is_current(other) && other->session.status != TN_STATUS_REVOKED &&
			is_renewal(&other->token, &entry->token))
			return other;
		if (++tried == MAX_PREDECESSORS)
			break;
	}
	return NULL;
}

static void
copy_session(const TnSession *from, TnSession *to)
{
	TnSession	own = *to;
	size_t		size = from->n_roles * sizeof(pg_uuid_t);

	*to = *from;
	to->token = own.token;
	to->version = own.version;
	to->context = own.context;
	to->row = NULL;
	if (from->email != NULL)
		to->email = pstrdup(from->email);
	if (from->role_ids != NULL)
		to->role_ids = memcpy(palloc(size), from->role_ids, size);
}

/*
 * Brings entry->session up to date.
 */
static void
refresh_authority(Entry *entry)
{
	const Entry *predecessor = find_predecessor(entry);
	MemoryContext old;
	TnRead		read;
	uint64		generation;

	entry->authority_generation = 0;
	for (int try = 0; try < MAX_READ_TRIES; try++)
	{
		MemoryContextReset(entry->authority_context);
		memset(&entry->session, 0, sizeof(TnSession));
		entry->session.token = &entry->token;
		entry->session.version = ++last_version;
		entry->session.context = entry->authority_context;
		generation = tn_catalog_generation(TN_SIGNAL_AUTHORITY);

		old = MemoryContextSwitchTo(entry->authority_context);
		if (predecessor != NULL)
			copy_session(&predecessor->session, &entry->session);
		else
		{
			tn_read_begin(&read);
			read_authority(&read, &entry->session);
			tn_read_end(&read);
		}
		entry->org.value = tn_org_serial == 0 ? NULL : pstrdup(tn_org);
		entry->impersonation.value = tn_impersonation_serial == 0 ? NULL : pstrdup(tn_impersonation);
		MemoryContextSwitchTo(old);

		if (generation == tn_catalog_generation(TN_SIGNAL_AUTHORITY))
			break;
	}
	entry->org.serial = tn_org_serial;
	entry->impersonation.serial = tn_impersonation_serial;
	entry->authority_generation = generation;
}

/*
 * The statement's clock, in Unix time.
 */
static int64
statement_clock(void)
{
	return GetCurrentStatementStartTimestamp() / USECS_PER_SEC +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
}

/*
 * The state of the session at this moment.  Never raises an error for what a
 * token says or a user may not do.  Reads the catalog when something has
 * changed.
 */
const TnSession *
tn_session(void)
{
	TnSettingValue *value = tn_session_token_value;
	Entry	   *entry;
	int64		now;

	tn_session_uses++;
	if (value == NULL)
		return &anonymous;

	hear_of_changes();
	entry = find_entry(value);
	now = statement_clock();
	if (entry->token.verdict != TN_VERDICT_GOOD ||
		now + tn_clock_skew < entry->token.valid_from)
	{
		entry->out_of_time.status = TN_STATUS_INVALID;
		return &entry->out_of_time;
	}
	if (now - tn_clock_skew >= entry->token.expires_at)
	{
		entry->out_of_time.status = TN_STATUS_EXPIRED;
		return &entry->out_of_time;
	}

	if (!authority_is_current(entry))
		refresh_authority(entry);
	if (entry->session.entered && entry->session.status == TN_STATUS_ACTIVE)
		tn_audit_log_entry(&entry->session.user_id, &entry->session.org_id);
	return &entry->session;
}

/*
 * Keeps a copy of a row that was made of tn_session()'s last answer, until
 * anything that it may say has changed.
 */
void
tn_session_keep_row(const TnSession *session, HeapTupleHeader row)
{
	Size		size = HeapTupleHeaderGetDatumLength(row);

	if (session->context != NULL)
		((TnSession *) session)->row = memcpy(MemoryContextAlloc(session->context, size), row, size);
}

/*
 * Says in the server log, before workers run, what they would leave to their
 * leader: it need not ask who is there itself.
 */
void
tn_session_announce(void)
{
	const TnSession *session;

	if (IsParallelWorker() || (tn_org_serial == 0 && !tn_cross_org))
		return;
	session = tn_session();
	if (tn_cross_org && session->is_superadmin)
		tn_audit_log_cross_org(&session->user_id);
}

/*
 * The state as tn_session() has it, but raises an error for a token that is no good: an application
 * must not take "no rows" for an answer then.  ANONYMOUS is returned.
 */
const TnSession *
tn_session_trusted(void)
{
	const TnSession *session = tn_session();

	if (session->status == TN_STATUS_INVALID ||
		session->status == TN_STATUS_EXPIRED ||
		session->status == TN_STATUS_REVOKED)
		tn_session_raise(session);
	return session;
}

/*
 * The same for what needs a user, of whatever org or none: raises an error
 * unless there is one who is not disabled.
 */
const TnSession *
tn_session_of_user(void)
{
	const TnSession *session = tn_session();

	if (session->status <= TN_STATUS_DISABLED)
		tn_session_raise(session);
	return session;
}

/*
 * The same for what a user changes for themself: raises an error where
 * somebody only looks on in their name.
 */
const TnSession *
tn_session_of_user_for_change(void)
{
	const TnSession *session = tn_session_of_user();

	if (session->read_only)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("session is read-only"),
				 errdetail("A superadmin acts as this user in order to look, not to change anything."),
				 errhint("Call tenancy.stop_acting() first; tenancy.act_as(user_id, reason, read_only => false) allows changes.")));
	return session;
}

/*
 * May the caller administer the installation: a superadmin by token, or
 * without a token the DBA, which is a superuser or the extension's owner.  The
 * outer user counts: inside our SECURITY DEFINER functions the current one is
 * the extension's owner.  But code of a table's owner that runs meanwhile is
 * not the DBA's.
 */
bool
tn_session_is_administrator(const TnSession *session)
{
	Oid			role = GetOuterUserId();

	if (session->status != TN_STATUS_ANONYMOUS)
		return session->is_superadmin;
	return !tn_running_as_owner() &&
		(superuser_arg(role) || has_privs_of_role(role, tn_catalog_owner()));
}

/*
 * Did the user authenticate within max_age, its months taken as 30 days?  Not
 * if the token does not say when, nor if it says a time to come.
 */
bool
tn_session_is_fresh(const TnSession *session, const Interval *max_age)
{
	const TnVerifiedToken *token = session->token;
	int64		days = (int64) max_age->month * DAYS_PER_MONTH + max_age->day;
	int64		seconds = days * SECS_PER_DAY + max_age->time / USECS_PER_SEC;
	int64		now = statement_clock();

	return token != NULL && token->has_authenticated_at &&
		token->authenticated_at <= now + tn_clock_skew &&
		now - token->authenticated_at < seconds;
}

/*
 * Who really acts: the subject of the superadmin who said so here, or else
 * whom the issuer names.  NULL if the user acts themself.
 */
const char *
tn_session_impersonator(const TnSession *session)
{
	const TnVerifiedToken *token = session->token;

	if (session->has_superadmin)
		return token->subject;
	return token != NULL && token->verdict == TN_VERDICT_GOOD ? token->actor : NULL;
}

/*
 * The part of a session that decides which rows it sees.
 */
void
tn_session_identity(const TnSession *session, TnIdentity *identity)
{
	/* Padding is compared too. */
	memset(identity, 0, sizeof(*identity));
	identity->status = session->status;
	identity->user_id = session->user_id;
	identity->org_id = session->org_id;
	identity->cross_org = tn_cross_org && session->is_superadmin;
	identity->read_only = session->read_only;
}

static void
raise_bad_token(const TnVerifiedToken *token)
{
	static const struct
	{
		int			sqlstate;
		const char *message;
		const char *hint;
	}			refusals[] =
	{
		[TN_VERDICT_MALFORMED] = {TN_ERRCODE_MALFORMED_TOKEN, "session token is malformed",
		"Pass the issuer's signed JWT unchanged, in compact form."},
		[TN_VERDICT_BAD_SIGNATURE] = {TN_ERRCODE_BAD_SIGNATURE, "session token has a bad signature",
		"Sign in again. If this happens to everybody, import the issuer's present keys with tenancy.import_jwks()."},
		[TN_VERDICT_WRONG_ISSUER] = {TN_ERRCODE_WRONG_ISSUER, "session token is not acceptable here",
		"An administrator says with tenancy.trust_issuer() which issuers, audiences and authorized parties are."},
		[TN_VERDICT_UNKNOWN_KEY] = {TN_ERRCODE_UNKNOWN_KEY, "session token is signed with an unknown key",
		"If the issuer has rotated its keys, an administrator imports them with tenancy.import_jwks()."},
	};

	if (token->verdict == TN_VERDICT_GOOD)
		ereport(ERROR,
				(errcode(TN_ERRCODE_TOKEN_TIME),
				 errmsg("session token is not valid yet"),
				 errdetail("It says that it is issued or becomes valid in the future."),
				 errhint("Compare the issuer's clock with this server's; tenancy.clock_skew says how far they may differ.")));
	ereport(ERROR,
			(errcode(refusals[token->verdict].sqlstate),
			 errmsg("%s", refusals[token->verdict].message),
			 errdetail("%s", token->problem),
			 errhint("%s", refusals[token->verdict].hint)));
}

static void
raise_disabled(const TnSession *session)
{
	if (session->impersonation_over)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("impersonation is over"),
				 errdetail("It was ended or has expired, or the user who acts is no longer a superadmin."),
				 errhint("Call tenancy.stop_acting() or RESET tenancy.impersonation to go on as yourself.")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("user is disabled"),
			 errdetail("The token is good, but an administrator has disabled this user."),
			 errhint("Ask a superadmin to enable the user again.")));
}

static void
raise_org_closed(const TnSession *session)
{
	TnRead		read;
	TnOrg		org;
	bool		found;
	bool		suspended = session->status == TN_STATUS_ORG_SUSPENDED;

	tn_read_begin(&read);
	found = tn_org_find(&read, &session->org_id, &org);
	tn_read_end(&read);
	ereport(ERROR,
			(errcode(suspended ? TN_ERRCODE_ORG_SUSPENDED : TN_ERRCODE_ORG_ARCHIVED),
			 suspended ? errmsg("org \"%s\" is suspended", found ? org.slug : "?") :
			 errmsg("org \"%s\" is archived", found ? org.slug : "?"),
			 found && org.status_reason != NULL ?
			 errdetail("Reason: %s", org.status_reason) :
			 errdetail("Its data is kept, but its members cannot work in it."),
			 errhint("Pick another org with tenancy.switch_org(), make one with tenancy.create_org(name), or ask a superadmin to resume this one.")));
}

/*
 * Raises the error that says why the session is not ACTIVE.
 */
void
tn_session_raise(const TnSession *session)
{
	switch (session->status)
	{
		case TN_STATUS_ANONYMOUS:
			ereport(ERROR,
					(errcode(TN_ERRCODE_NO_TOKEN),
					 errmsg("no session token is set"),
					 errdetail("Without a token there is no user, and so no permission."),
					 errhint("Set the signed-in user's token: SET LOCAL tenancy.session_token = '…' or tenancy.begin_session(token).")));
			break;
		case TN_STATUS_INVALID:
			raise_bad_token(session->token);
			break;
		case TN_STATUS_EXPIRED:
			ereport(ERROR,
					(errcode(TN_ERRCODE_TOKEN_TIME),
					 errmsg("session token has expired"),
					 errdetail("Its expiry time has passed."),
					 errhint("Get a fresh token from the issuer and set it.")));
			break;
		case TN_STATUS_REVOKED:
			ereport(ERROR,
					(errcode(TN_ERRCODE_REVOKED_TOKEN),
					 errmsg("session token has been revoked"),
					 errdetail("An administrator has revoked the tokens that this user had until then."),
					 errhint("Sign in again.")));
			break;
		case TN_STATUS_UNPROVISIONED:
			ereport(ERROR,
					(errcode(TN_ERRCODE_NOT_PROVISIONED),
					 errmsg("user is not provisioned"),
					 errdetail("The token is good, but its subject has no user here yet."),
					 errhint("Call tenancy.provision_user() once after sign-in.")));
			break;
		case TN_STATUS_DISABLED:
			raise_disabled(session);
			break;
		case TN_STATUS_NO_ORG:
			ereport(ERROR,
					(errcode(TN_ERRCODE_ORG_REQUIRED),
					 errmsg("user belongs to no org"),
					 errdetail("This needs an org to work in."),
					 errhint("Call tenancy.provision_user(), which accepts pending invitations or creates a personal org, or tenancy.create_org(name).")));
			break;
		case TN_STATUS_PICK_ORG:
			ereport(ERROR,
					(errcode(TN_ERRCODE_ORG_REQUIRED),
					 errmsg("no org is picked"),
					 errdetail("The user belongs to several orgs, and this needs one to work in."),
					 errhint("Choose from tenancy.my_orgs(), then call tenancy.switch_org(org) or set tenancy.org.")));
			break;
		case TN_STATUS_NOT_A_MEMBER:
			ereport(ERROR,
					(errcode(TN_ERRCODE_NOT_A_MEMBER),
					 errmsg("user is not a member of the org"),
					 errdetail("The org that is picked does not exist, or the user does not belong to it."),
					 errhint("Choose from tenancy.my_orgs(), or ask an admin of that org for an invitation.")));
			break;
		case TN_STATUS_ORG_SUSPENDED:
		case TN_STATUS_ORG_ARCHIVED:
			raise_org_closed(session);
			break;
		case TN_STATUS_ACTIVE:
			break;
	}
	elog(ERROR, "session is active");
}

static const struct
{
	const char *name;
	const char *next_step;
}			statuses[] =
{
	[TN_STATUS_ANONYMOUS] = {"anonymous", "sign_in"},
	[TN_STATUS_INVALID] = {"invalid", "sign_in"},
	[TN_STATUS_EXPIRED] = {"expired", "sign_in"},
	[TN_STATUS_REVOKED] = {"revoked", "sign_in"},
	[TN_STATUS_UNPROVISIONED] = {"unprovisioned", "provision"},
	[TN_STATUS_DISABLED] = {"disabled", "show_error"},
	[TN_STATUS_NO_ORG] = {"no_org", "provision"},
	[TN_STATUS_PICK_ORG] = {"pick_org", "pick_org"},
	[TN_STATUS_NOT_A_MEMBER] = {"not_a_member", "pick_org"},
	[TN_STATUS_ORG_SUSPENDED] = {"org_suspended", "show_error"},
	[TN_STATUS_ORG_ARCHIVED] = {"org_archived", "show_error"},
	[TN_STATUS_ACTIVE] = {"active", "ok"},
};

/*
 * A status as session() shows it; constant.
 */
const char *
tn_status_name(TnStatus status)
{
	return statuses[status].name;
}

/*
 * What the application should do next; constant.
 */
const char *
tn_status_next_step(TnStatus status)
{
	return statuses[status].next_step;
}
