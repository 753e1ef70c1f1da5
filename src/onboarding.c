/*-------------------------------------------------------------------------
 *
 * onboarding.c
 *	  How a person gets a user and an org.
 *
 * All of this is safe to call again and in any number of connections at
 * once.  Unique indexes decide who comes first, with ON CONFLICT DO NOTHING:
 * whoever comes second waits for the first to commit and finds its work, or
 * does it if the first rolled back.  No lock is taken that a reader would
 * notice.  A user's row is locked before any org's, as everywhere.  Whoever
 * writes has it locked, so that nobody disables the user from then on; whom
 * somebody has disabled before that is found out by looking at the session
 * again: in hold_me() or, for provision_user(), in look_again().
 *
 * Callers are SECURITY DEFINER functions with a fixed search_path: SPI runs as
 * the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "directory.h"
#include "names.h"
#include "onboarding.h"
#include "recording.h"
#include "session.h"
#include "settings.h"

#define MAX_ARGS 15

/* As the table has it. */
#define MAX_NAME_CHARS 200

/* How often another suffix is tried for a slug; each has 32 random bits. */
#define MAX_SLUG_TRIES 8

/* Of tenancy.invitations i, those that an address has not answered yet. */
#define INVITES(email) \
	"pg_catalog.lower(i.email) = pg_catalog.lower(" email " COLLATE pg_catalog.\"C\") AND i.accepted_at IS NULL AND i.revoked_at IS NULL"

typedef enum Statement
{
	INSERT_USER,
	LOCK_USER,
	HOLD_ME,
	HOLD_CURRENT_USER,
	UPDATE_PROFILE,
	INSERT_SUPERADMIN,
	LOCK_INVITING_ORGS,
	ACCEPT_INVITATIONS,
	INSERT_ORG,
	INSERT_ADMIN,
	FIND_OWN_ORG,
	INVITE_ADMIN,
	ASSERT_ADMINISTRATOR,
	RECORD_SUPERADMIN,
	RECORD_PERSONAL_ORG,
	RECORD_ORG,
	SLUGIFY
} Statement;

/*
 * The statements, planned at first use.
 */
static struct
{
	const char *sql;
	int			nargs;
	Oid			argtypes[MAX_ARGS];
	SPIPlanPtr	plan;
}			statements[] =
{
	/*
	 * In one statement, so that the reference from the identity to the user
	 * holds at its end, and because one costs much less than several.  The
	 * org is left to give_org() where there is more to decide: for whom
	 * somebody has invited, and where the slug is taken.
	 */
	[INSERT_USER] = {
		"WITH identity AS ("
		" INSERT INTO tenancy.identities (issuer_id, subject, user_id) VALUES ($1, $2, pg_catalog.gen_random_uuid())"
		" ON CONFLICT (issuer_id, subject) DO NOTHING RETURNING user_id), "
		"person AS ("
		" INSERT INTO tenancy.users (id, email, email_verified, name) SELECT i.user_id, $3, $4, $5 FROM identity i"
		" RETURNING id), "
		"org AS ("
		" INSERT INTO tenancy.organizations (slug, name, kind, created_by)"
		" SELECT tenancy.slugify($6), $6, 'personal', p.id FROM person p"
		" WHERE $6 IS NOT NULL AND NOT ($4 AND EXISTS (SELECT FROM tenancy.invitations i WHERE " INVITES("$3") "))"
		" ON CONFLICT (slug) DO NOTHING RETURNING id, slug, created_by), "
		"member AS ("
		" INSERT INTO tenancy.memberships (user_id, org_id) SELECT o.created_by, o.id FROM org o), "
		"role AS ("
		" INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) SELECT o.created_by, o.id, $7 FROM org o), "
		"written AS ("
		" SELECT NULL::uuid AS org_id, p.id AS user_id,"
		" pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('created', true, 'superadmin', nullif($9, false))) AS new_values FROM person p"
		" UNION ALL "
		" SELECT o.id, o.created_by,"
		" pg_catalog.jsonb_build_object('slug', o.slug, 'name', $6, 'kind', 'personal', 'role', 'admin') FROM org o) "
		"INSERT INTO tenancy.audit_events (org_id, user_id, action, target, new_values,"
		" issuer, subject, session_id, acting_superadmin, impersonated_by, database_role) "
		"SELECT w.org_id, w.user_id, $8, w.user_id::text, w.new_values, $10, $11, $12, $13, $14, $15 FROM written w "
		"RETURNING user_id, org_id, new_values ->> 'slug'",
		15, {UUIDOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, BOOLOID,
		TEXTOID, TEXTOID, TEXTOID, UUIDOID, TEXTOID, TEXTOID}},
	[LOCK_USER] = {
		"SELECT FROM tenancy.users WHERE id = $1 FOR UPDATE",
		1, {UUIDOID}},
	[HOLD_ME] = {
		"SELECT tenancy.hold_me()",
		0, {InvalidOid}},
	[HOLD_CURRENT_USER] = {
		"SELECT tenancy.hold_user(tenancy.current_user_id())",
		0, {InvalidOid}},
	[UPDATE_PROFILE] = {
		"UPDATE tenancy.users SET email = coalesce($2, email), "
		"email_verified = CASE WHEN $2 IS NULL THEN email_verified ELSE $3 END, name = coalesce($4, name) "
		"WHERE id = $1",
		4, {UUIDOID, TEXTOID, BOOLOID, TEXTOID}},
	[INSERT_SUPERADMIN] = {
		"INSERT INTO tenancy.superadmins (user_id) VALUES ($1) ON CONFLICT DO NOTHING",
		1, {UUIDOID}},
	/* Before the invitations, as everybody does who locks both. */
	[LOCK_INVITING_ORGS] = {
		"SELECT FROM tenancy.organizations o WHERE o.id IN (SELECT i.org_id FROM tenancy.invitations i"
		" WHERE " INVITES("$1") ")"
		" ORDER BY o.id FOR SHARE",
		1, {TEXTOID}},
	/* The clock is looked at once a row is locked: waiting for it takes time. */
	[ACCEPT_INVITATIONS] = {
		"WITH locked AS MATERIALIZED ("
		" SELECT i.id, i.org_id, i.role_id, i.expires_at FROM tenancy.invitations i JOIN tenancy.organizations o ON o.id = i.org_id"
		" WHERE " INVITES("$2")
		" AND o.status = 'active' ORDER BY i.id FOR UPDATE OF i), "
		"pending AS MATERIALIZED ("
		" SELECT l.id, l.org_id, l.role_id FROM locked l WHERE l.expires_at > pg_catalog.clock_timestamp()), "
		"accepted AS ("
		" UPDATE tenancy.invitations i SET accepted_at = pg_catalog.now(), accepted_by = $1"
		" FROM pending p WHERE i.id = p.id), "
		"member AS ("
		" INSERT INTO tenancy.memberships (user_id, org_id) SELECT DISTINCT $1, p.org_id FROM pending p"
		" ON CONFLICT DO NOTHING), "
		"role AS ("
		" INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) SELECT DISTINCT $1, p.org_id, p.role_id FROM pending p"
		" ON CONFLICT DO NOTHING) "
		"SELECT p.org_id, tenancy.record_change('provision_user', p.org_id, $1::text, NULL,"
		" pg_catalog.jsonb_build_object('invitation_id', p.id, 'role', r.name)) "
		"FROM pending p JOIN tenancy.roles r ON r.id = p.role_id ORDER BY p.id",
		2, {UUIDOID, TEXTOID}},
	[INSERT_ORG] = {
		"INSERT INTO tenancy.organizations (slug, name, kind, created_by) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (slug) DO NOTHING RETURNING id",
		4, {TEXTOID, TEXTOID, TEXTOID, UUIDOID}},
	[INSERT_ADMIN] = {
		"WITH member AS (INSERT INTO tenancy.memberships (user_id, org_id) VALUES ($1, $2)) "
		"INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) VALUES ($1, $2, $3)",
		3, {UUIDOID, UUIDOID, UUIDOID}},
	[FIND_OWN_ORG] = {
		"SELECT o.id, o.status = 'archived' FROM tenancy.organizations o "
		"JOIN tenancy.memberships m ON m.org_id = o.id AND m.user_id = $2 "
		"WHERE o.slug = $1 AND o.created_by = $2 AND o.name = $3",
		3, {TEXTOID, UUIDOID, TEXTOID}},
	[INVITE_ADMIN] = {
		"SELECT invitation_id FROM tenancy.write_invitation($1, $2, tenancy.built_in_role('admin'), '7 days', false)",
		2, {UUIDOID, TEXTOID}},
	[ASSERT_ADMINISTRATOR] = {
		"SELECT tenancy.assert_administrator('create an org for somebody else')",
		0, {InvalidOid}},
	[RECORD_SUPERADMIN] = {
		"SELECT tenancy.record_change($1, NULL, $2::text, NULL, '{\"superadmin\": true}')",
		2, {TEXTOID, UUIDOID}},
	[RECORD_PERSONAL_ORG] = {
		"SELECT tenancy.record_change('provision_user', o.id, $2::text, NULL,"
		" pg_catalog.jsonb_build_object('slug', o.slug, 'name', o.name, 'kind', o.kind, 'role', 'admin')) "
		"FROM tenancy.organizations o WHERE o.id = $1",
		2, {UUIDOID, UUIDOID}},
	[RECORD_ORG] = {
		"SELECT tenancy.record_change('create_org', o.id, o.slug, NULL, pg_catalog.jsonb_strip_nulls("
		"pg_catalog.jsonb_build_object('slug', o.slug, 'name', o.name, 'admin_email', $2, 'invitation_id', $3))) "
		"FROM tenancy.organizations o WHERE o.id = $1",
		3, {UUIDOID, TEXTOID, UUIDOID}},
	[SLUGIFY] = {
		"SELECT tenancy.slugify($1)",
		1, {TEXTOID}},
};

/*
 * Runs a statement under a snapshot of its own; a null pointer among the
 * values is SQL's null.  Returns the number of rows.
 */
static uint64
run(Statement statement, Datum *values, const bool *nulls)
{
	char		null_flags[MAX_ARGS];
	int			result;

	if (statements[statement].plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(statements[statement].sql, statements[statement].nargs,
											  statements[statement].argtypes, CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare statement %d: %s", statement, SPI_result_code_string(SPI_result));
		statements[statement].plan = plan;
	}
	for (int i = 0; i < statements[statement].nargs; i++)
		null_flags[i] = nulls != NULL && nulls[i] ? 'n' : ' ';
	result = SPI_execute_plan(statements[statement].plan, values, null_flags, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute statement %d: %s", statement, SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * A column of a row, which is a uuid.
 */
static pg_uuid_t
uuid_of_row(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null");
	return *DatumGetUUIDP(value);
}

/*
 * The first column of the first row.
 */
static pg_uuid_t
result_uuid(void)
{
	return uuid_of_row(0, 1);
}

/*
 * The second column of the first row, which is a boolean.
 */
static bool
second_result_bool(void)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);

	return !isnull && DatumGetBool(value);
}

static Datum
text_or_null(const char *string, bool *isnull)
{
	*isnull = string == NULL;
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

/*
 * Inserts an org whose slug is free; false if it is taken.  The creator may be
 * NULL.
 */
static bool
insert_org(const char *slug, const char *name, const char *kind,
		   const pg_uuid_t *creator, pg_uuid_t *org_id)
{
	Datum		values[] = {CStringGetTextDatum(slug), CStringGetTextDatum(name),
	CStringGetTextDatum(kind), UUIDPGetDatum(creator)};
	bool		nulls[] = {false, false, false, creator == NULL};

	if (run(INSERT_ORG, values, nulls) == 0)
		return false;
	*org_id = result_uuid();
	return true;
}

/*
 * Inserts an org under a slug made from its name, with a random suffix where
 * another org has that slug.
 */
static pg_uuid_t
insert_org_with_free_slug(const char *name, const char *kind, const pg_uuid_t *creator)
{
	Datum		values[] = {CStringGetTextDatum(name)};
	pg_uuid_t	org_id;
	char	   *base;

	if (run(SLUGIFY, values, NULL) != 1)
		elog(ERROR, "could not make a slug");
	base = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (insert_org(base, name, kind, creator, &org_id))
		return org_id;

	for (int try = 0; try < MAX_SLUG_TRIES; try++)
	{
		uint32		suffix;

		if (!pg_strong_random(&suffix, sizeof(suffix)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		if (insert_org(psprintf("%s-%08x", base, suffix), name, kind, creator, &org_id))
			return org_id;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("could not find a free slug for the org"),
			 errdetail("Every slug that was tried is taken."),
			 errhint("Name one: tenancy.create_org(name, slug).")));
	return org_id;
}

static void
make_admin(const pg_uuid_t *user_id, const pg_uuid_t *org_id)
{
	pg_uuid_t	admin_role = tn_admin_role();
	Datum		values[] = {UUIDPGetDatum(user_id), UUIDPGetDatum(org_id), UUIDPGetDatum(&admin_role)};

	(void) run(INSERT_ADMIN, values, NULL);
}

/*
 * Does tenancy.superadmin_emails name this address?
 */
static bool
is_superadmin_email(const char *email)
{
	List	   *emails;
	ListCell   *lc;
	bool		found = false;

	if (!SplitGUCList(pstrdup(tn_superadmin_emails), ',', &emails))
		return false;
	foreach(lc, emails)
		found = found || pg_strcasecmp(lfirst(lc), email) == 0;
	return found;
}

/*
 * The name of a personal org: what people call its owner.
 */
static char *
personal_org_name(const TnVerifiedToken *token)
{
	const char *candidates[] = {
		token->name,
		token->email == NULL ? NULL : pnstrdup(token->email, strcspn(token->email, "@"))
	};

	for (int i = 0; i < lengthof(candidates); i++)
	{
		/* What nobody sees in front could be all that is left of a long name. */
		const char *name = candidates[i] == NULL ? NULL : tn_strip_blank(candidates[i]);

		if (name != NULL)
			return pnstrdup(name, pg_mbcharcliplen(name, strlen(name), MAX_NAME_CHARS));
	}
	return pstrdup("Personal");
}

/*
 * Raises an error for what cannot be the name of an org.
 */
static void
check_name(const char *name)
{
	if (tn_strip_blank(name) == NULL || pg_mbstrlen(name) > MAX_NAME_CHARS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid name of an org"),
				 errdetail("A name is 1 to %d characters, and not blank.", MAX_NAME_CHARS),
				 errhint("Pass the name that people know the org by.")));
}

/*
 * Raises an error for what cannot be a slug, as the table would, but saying why.
 */
static void
check_slug(const char *slug)
{
	size_t		len = strlen(slug);
	pg_uuid_t	ignored;

	if (len < 1 || len > 63 ||
		strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
		slug[0] == '-' || slug[len - 1] == '-' || tn_parse_uuid(slug, &ignored))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid slug of an org"),
				 errdetail("A slug is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end, and does not look like a uuid."),
				 errhint("Choose another slug, or pass none to have one made from the name.")));
}

static bool
find_user(const TnVerifiedToken *token, TnUser *user)
{
	TnRead		read;
	bool		found;

	tn_read_begin(&read);
	found = tn_user_find(&read, &token->issuer_id, token->subject, user);
	tn_read_end(&read);
	return found;
}

/*
 * Does the token make its subject a superadmin?  What somebody else does in the
 * user's name does not.
 */
static bool
names_superadmin(const TnVerifiedToken *token)
{
	return token->email_verified && token->actor == NULL && is_superadmin_email(token->email);
}

static bool
make_superadmin(const pg_uuid_t *user_id)
{
	Datum		values[] = {UUIDPGetDatum(user_id)};

	return run(INSERT_SUPERADMIN, values, NULL) > 0;
}

/*
 * Writes a new user for the token's subject, with a personal org where one is
 * wanted and nothing speaks against it.  False if somebody else has just
 * written the user.
 */
static bool
insert_user(const TnVerifiedToken *token, const char *action, bool wants_org, TnArrival *arrival)
{
	pg_uuid_t	admin_role = tn_admin_role();
	bool		superadmin = names_superadmin(token);
	bool		nulls[MAX_ARGS] = {false};
	Datum		values[MAX_ARGS];
	Datum		actor[TN_AUDIT_COLUMNS];
	bool		actor_nulls[TN_AUDIT_COLUMNS];
	int			n = 9;
	uint64		rows;

	values[0] = UUIDPGetDatum(&token->issuer_id);
	values[1] = CStringGetTextDatum(token->subject);
	values[2] = text_or_null(token->email, &nulls[2]);
	values[3] = BoolGetDatum(token->email_verified);
	values[4] = text_or_null(token->name, &nulls[4]);
	values[5] = text_or_null(wants_org ? personal_org_name(token) : NULL, &nulls[5]);
	values[6] = UUIDPGetDatum(&admin_role);
	values[7] = CStringGetTextDatum(action);
	values[8] = BoolGetDatum(superadmin);
	tn_record_actor(actor, actor_nulls);
	for (int column = TN_AUDIT_ISSUER; column <= TN_AUDIT_DATABASE_ROLE; column++)
	{
		values[n] = actor[column];
		nulls[n++] = actor_nulls[column];
	}
	/* A row of the audit log each for the user and the org. */
	rows = run(INSERT_USER, values, nulls);
	if (rows == 0)
		return false;
	arrival->created = true;
	arrival->user_id = uuid_of_row(0, 1);
	arrival->has_org = rows > 1;
	if (arrival->has_org)
	{
		arrival->org_id = uuid_of_row(1, 2);
		strlcpy(arrival->new_slug, SPI_getvalue(SPI_tuptable->vals[1], SPI_tuptable->tupdesc, 3),
				sizeof(arrival->new_slug));
	}
	if (superadmin)
		(void) make_superadmin(&arrival->user_id);
	return true;
}

static bool
differs(const char *said, const char *known)
{
	return said != NULL && (known == NULL || strcmp(said, known) != 0);
}

/*
 * Brings what we know of a user up to what the token says.  A claim that the
 * token does not have says nothing about the user.
 */
static void
update_profile(const TnVerifiedToken *token, const TnUser *user)
{
	bool		nulls[4] = {false, false, false, false};
	Datum		values[4];

	/* Every write here is heard by all connections: write only what is new. */
	if (!differs(token->email, user->email) && !differs(token->name, user->name) &&
		(token->email == NULL || token->email_verified == user->email_verified))
		return;

	values[0] = UUIDPGetDatum(&user->id);
	values[1] = text_or_null(token->email, &nulls[1]);
	values[2] = BoolGetDatum(token->email_verified);
	values[3] = text_or_null(token->name, &nulls[3]);
	(void) run(UPDATE_PROFILE, values, nulls);
}

static bool
belongs_to_an_org(const pg_uuid_t *user_id)
{
	TnRead		read;
	bool		result;

	tn_read_begin(&read);
	result = tn_member_orgs(&read, user_id) != NIL;
	tn_read_end(&read);
	return result;
}

/*
 * Gives a user who belongs to no org one: those that have invited the verified
 * email, or else a personal one.  Returns the first.
 */
static pg_uuid_t
give_org(const TnVerifiedToken *token, const pg_uuid_t *user_id)
{
	pg_uuid_t	org_id;

	if (token->email_verified)
	{
		Datum		email[] = {CStringGetTextDatum(token->email)};
		Datum		values[] = {UUIDPGetDatum(user_id), email[0]};

		if (run(LOCK_INVITING_ORGS, email, NULL) > 0 && run(ACCEPT_INVITATIONS, values, NULL) > 0)
			return result_uuid();
	}
	org_id = insert_org_with_free_slug(personal_org_name(token), "personal", user_id);
	make_admin(user_id, &org_id);
	{
		Datum		values[] = {UUIDPGetDatum(&org_id), UUIDPGetDatum(user_id)};

		(void) run(RECORD_PERSONAL_ORG, values, NULL);
	}
	return org_id;
}

/*
 * A private copy: the session's is gone with the next look at it.
 */
static TnVerifiedToken *
copy_token(const TnVerifiedToken *token)
{
	TnVerifiedToken *copy = palloc(sizeof(TnVerifiedToken));

	*copy = *token;
	copy->subject = pstrdup(token->subject);
	copy->email = token->email == NULL ? NULL : pstrdup(token->email);
	copy->name = token->name == NULL ? NULL : pstrdup(token->name);
	copy->actor = token->actor == NULL ? NULL : pstrdup(token->actor);
	copy->issuer = copy->org = copy->session_id = copy->payload = NULL;
	return copy;
}

/*
 * The token in force, as a private copy.  Raises an error without a good one
 * and for a disabled user.
 */
static TnVerifiedToken *
token_to_provision(void)
{
	const TnSession *session = tn_session_trusted();

	if (session->status == TN_STATUS_ANONYMOUS || session->status == TN_STATUS_DISABLED)
		tn_session_raise(session);
	/* The token's subject is not the user of the session. */
	if (session->has_superadmin)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("user's own token is needed"),
				 errdetail("A superadmin acts as this user, under a token that says nothing of them."),
				 errhint("Call tenancy.stop_acting() first.")));
	return copy_token(session->token);
}

/*
 * Brings what is known of a user up to what the token says; the audit log
 * names the action.
 */
static void
update_user(const TnVerifiedToken *token, const char *action, const TnUser *user)
{
	update_profile(token, user);
	if (!user->superadmin && names_superadmin(token) && make_superadmin(&user->id))
	{
		Datum		values[] = {CStringGetTextDatum(action), UUIDPGetDatum(&user->id)};

		(void) run(RECORD_SUPERADMIN, values, NULL);
	}
}

/*
 * Gives the token's subject a user, if there is none, and what the token says
 * of them; the audit log names the action.  A new user may get an org at once.
 */
static void
ensure_user(TnVerifiedToken *token, const char *action, bool wants_org, TnArrival *arrival)
{
	TnUser		user;
	bool		found;

	memset(arrival, 0, sizeof(*arrival));
	if (token->name != NULL && tn_strip_blank(token->name) == NULL)
		token->name = NULL;
	/* Whom the session does not know is new, in all likelihood. */
	found = tn_session()->has_user && find_user(token, &user);
	if (!found && insert_user(token, action, wants_org, arrival))
		return;
	if (!found && !find_user(token, &user))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not provision user because of a concurrent change"),
				 errhint("Try again.")));
	update_user(token, action, &user);
	arrival->user_id = user.id;
}

/*
 * Somebody may have disabled a user whom others can see; and one who has long
 * been here is in the session's org.
 */
static void
look_again(TnArrival *arrival)
{
	const TnSession *session = tn_session_of_user();

	if (!arrival->has_org && session->has_org)
	{
		arrival->has_org = true;
		arrival->org_id = session->org_id;
	}
}

/*
 * Gives the token's subject a user and an org, if they are not there yet.
 * *arrival tells what has been written, and in which org the user is: the one
 * they were given, or else the session's.  Raises an error without a good token
 * and for a disabled user.  In a REPEATABLE READ transaction that began before
 * a simultaneous first sign-in committed, raises serialization_failure.
 */
void
tn_provision_user(TnArrival *arrival)
{
	TnVerifiedToken *token = token_to_provision();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	ensure_user(token, "provision_user", true, arrival);
	if (!arrival->has_org && (arrival->created || !belongs_to_an_org(&arrival->user_id)))
	{
		Datum		values[] = {UUIDPGetDatum(&arrival->user_id)};

		/* Of two calls at once for a user without an org, the second finds the first's. */
		(void) run(LOCK_USER, values, NULL);
		if (!belongs_to_an_org(&arrival->user_id))
		{
			arrival->org_id = give_org(token, &arrival->user_id);
			arrival->has_org = true;
		}
	}
	SPI_finish();
	if (!arrival->created)
		look_again(arrival);
}

/*
 * The same without an org, for whom one is about to be given by other means.
 * Returns the user.
 */
pg_uuid_t
tn_provision_identity(const char *action)
{
	TnVerifiedToken *token = token_to_provision();
	TnArrival	arrival;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	ensure_user(token, action, false, &arrival);
	SPI_finish();
	return arrival.user_id;
}

/*
 * The caller's own org of that slug and name, in which they still are.  One
 * that is suspended is theirs all the same, as they see; an archived one they
 * do not see any more.
 */
static pg_uuid_t
find_own_org(const char *name, const char *slug, const pg_uuid_t *user_id)
{
	Datum		values[] = {CStringGetTextDatum(slug), UUIDPGetDatum(user_id), CStringGetTextDatum(name)};

	bool		found = user_id != NULL && run(FIND_OWN_ORG, values, NULL) > 0;

	if (!found || second_result_bool())
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("slug \"%s\" is taken", slug),
				 found ? errdetail("An org of the user's own has this slug, and is archived.") :
				 errdetail("Another org has this slug."),
				 found ? errhint("Ask a superadmin to resume that org, choose another slug, or pass none to have one made from the name.") :
				 user_id == NULL ? errhint("If tenancy.orgs shows that it is the org that was meant, pick it and call tenancy.invite(email, 'admin'); otherwise choose another slug.") :
				 errhint("Choose another slug, or pass none to have one made from the name.")));
	return result_uuid();
}

/*
 * Makes the caller admin of a new org, or invites who is to be, and records it.
 */
static void
appoint_admin(const pg_uuid_t *org_id, const pg_uuid_t *user_id, const char *admin_email)
{
	Datum		values[3] = {UUIDPGetDatum(org_id)};
	bool		nulls[3] = {false, true, true};
	pg_uuid_t	invitation_id;

	if (admin_email == NULL)
		make_admin(user_id, org_id);
	else
	{
		values[1] = CStringGetTextDatum(admin_email);
		(void) run(INVITE_ADMIN, values, NULL);
		invitation_id = result_uuid();
		values[2] = UUIDPGetDatum(&invitation_id);
		nulls[1] = nulls[2] = false;
	}
	(void) run(RECORD_ORG, values, nulls);
}

/*
 * Who creates an org: *user_id is set, and returned, if it is a user.  With an
 * email that is an administrator alone, who may have none.
 */
static const pg_uuid_t *
creator_of_org(const char *admin_email, pg_uuid_t *user_id)
{
	const TnSession *session;

	if (admin_email != NULL)
	{
		(void) run(HOLD_CURRENT_USER, NULL, NULL);
		(void) run(ASSERT_ADMINISTRATOR, NULL, NULL);
	}
	else if (tn_session()->status == TN_STATUS_ANONYMOUS && tn_session_is_administrator(tn_session()))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the org needs an admin"),
				 errdetail("Without a session token there is no user who could be it."),
				 errhint("Name the first admin's email address: tenancy.create_org(name, slug, admin_email).")));
	else
		(void) run(HOLD_ME, NULL, NULL);
	session = tn_session();
	if (!session->has_user)
		return NULL;
	*user_id = session->user_id;
	return user_id;
}

/*
 * Creates an org.  Its admin is the caller, who must be a provisioned user, or
 * an administrator invites whoever has that email address.  Without a slug, one
 * is made from the name.  A slug also makes the call safe to repeat: the
 * caller's own org of that slug and name is returned.
 */
pg_uuid_t
tn_create_org(const char *name, const char *slug, const char *admin_email)
{
	const pg_uuid_t *creator;
	pg_uuid_t	user_id;
	pg_uuid_t	org_id;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	creator = creator_of_org(admin_email, &user_id);
	check_name(name);
	if (slug != NULL)
		check_slug(slug);

	if (slug != NULL && !insert_org(slug, name, "team", creator, &org_id))
		org_id = find_own_org(name, slug, admin_email == NULL ? creator : NULL);
	else
	{
		if (slug == NULL)
			org_id = insert_org_with_free_slug(name, "team", creator);
		appoint_admin(&org_id, creator, admin_email);
	}
	SPI_finish();
	return org_id;
}
