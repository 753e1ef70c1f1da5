/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  The SQL-callable functions: unpack, call, return.
 *
 * What each does, who may call it and which errors it raises is written once,
 * in docs/reference.md and in the COMMENTs of sql/api.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/supportnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "catalog.h"
#include "datums.h"
#include "directory.h"
#include "errcodes.h"
#include "keyring.h"
#include "names.h"
#include "onboarding.h"
#include "ownership.h"
#include "policy.h"
#include "privileged.h"
#include "recording.h"
#include "redaction.h"
#include "session.h"
#include "settings.h"
#include "statement.h"

/*
 * Defines a function of SQL that asks anew, by a function of its own, only if
 * its last answer in the same place does not hold any more.  Nothing else here:
 * it may be called for every row.
 */
#define ANSWERING_FUNCTION(name, ask) \
	TENANCY_FUNCTION(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		TnAnswer   *answer = tn_answer(fcinfo->flinfo); \
		\
		if (unlikely(answer == NULL)) \
			answer = ask(fcinfo); \
		fcinfo->isnull = answer->isnull; \
		return answer->value; \
	}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * The names of some roles as text[], in alphabetical order.
 */
static Datum
role_names(TnRead *read, int n, const pg_uuid_t *role_ids)
{
	char	  **names = palloc((n + 1) * sizeof(char *));
	Datum	   *values = palloc((n + 1) * sizeof(Datum));
	int			found = 0;

	for (int i = 0; i < n; i++)
	{
		char	   *name = tn_role_name(read, &role_ids[i]);

		if (name != NULL)
			names[found++] = name;
	}
	qsort(names, found, sizeof(char *), compare_names);
	for (int i = 0; i < found; i++)
		values[i] = CStringGetTextDatum(names[i]);
	return PointerGetDatum(construct_array(values, found, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
member_role_names(TnRead *read, const pg_uuid_t *user_id, const pg_uuid_t *org_id)
{
	pg_uuid_t  *role_ids;
	int			n = tn_member_roles(read, user_id, org_id, &role_ids);

	return role_names(read, n, role_ids);
}

/*
 * A row of a function that returns one.
 */
static Datum
make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* ---- session ---- */

/* The columns of session(). */
enum
{
	S_STATUS, S_NEXT_STEP, S_USER_ID, S_EMAIL, S_ORG_ID, S_ORG_SLUG, S_ORG_NAME,
	S_ROLES, S_IS_SUPERADMIN, S_ISSUER, S_SUBJECT, S_EXPIRES_AT,
	S_IMPERSONATED_BY, S_IMPERSONATION, S_IS_READ_ONLY, S_COLUMNS
};

static void
put_token(const TnVerifiedToken *token, Datum *values, bool *nulls)
{
	TimestampTz expires_at;

	tn_put_text(&values[S_EMAIL], &nulls[S_EMAIL], token->email);
	tn_put_text(&values[S_ISSUER], &nulls[S_ISSUER], token->issuer);
	tn_put_text(&values[S_SUBJECT], &nulls[S_SUBJECT], token->subject);
	nulls[S_EXPIRES_AT] = false;
	/* A claim may name a time before the first that PostgreSQL can show. */
	expires_at = time_t_to_timestamptz(token->expires_at);
	if (!IS_VALID_TIMESTAMP(expires_at))
		TIMESTAMP_NOBEGIN(expires_at);
	values[S_EXPIRES_AT] = TimestampTzGetDatum(expires_at);
}

static void
put_impersonation(const TnSession *session, Datum *values, bool *nulls)
{
	const char *impersonator = tn_session_impersonator(session);

	if (session->has_superadmin)
		tn_put_text(&values[S_EMAIL], &nulls[S_EMAIL], session->email);
	if (impersonator != NULL)
	{
		tn_put_text(&values[S_IMPERSONATED_BY], &nulls[S_IMPERSONATED_BY], impersonator);
		tn_put_text(&values[S_IMPERSONATION], &nulls[S_IMPERSONATION],
				 session->has_superadmin ? "act_as" : "token");
	}
	nulls[S_IS_READ_ONLY] = false;
	values[S_IS_READ_ONLY] = BoolGetDatum(session->read_only);
}

static void
put_org(const TnSession *session, Datum *values, bool *nulls)
{
	TnRead		read;
	TnOrg		org;

	nulls[S_ORG_ID] = false;
	values[S_ORG_ID] = tn_uuid_datum(&session->org_id);
	tn_read_begin(&read);
	if (tn_org_find(&read, &session->org_id, &org))
	{
		tn_put_text(&values[S_ORG_SLUG], &nulls[S_ORG_SLUG], org.slug);
		tn_put_text(&values[S_ORG_NAME], &nulls[S_ORG_NAME], org.name);
	}
	if (session->status == TN_STATUS_ACTIVE)
	{
		nulls[S_ROLES] = false;
		values[S_ROLES] = role_names(&read, session->n_roles, session->role_ids);
	}
	tn_read_end(&read);
}

static HeapTupleHeader
make_session_row(FunctionCallInfo fcinfo, const TnSession *session)
{
	Datum		values[S_COLUMNS];
	bool		nulls[S_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	tn_put_text(&values[S_STATUS], &nulls[S_STATUS], tn_status_name(session->status));
	tn_put_text(&values[S_NEXT_STEP], &nulls[S_NEXT_STEP], tn_status_next_step(session->status));
	nulls[S_IS_SUPERADMIN] = false;
	values[S_IS_SUPERADMIN] = BoolGetDatum(session->is_superadmin);
	if (session->token != NULL && session->token->verdict == TN_VERDICT_GOOD)
		put_token(session->token, values, nulls);
	put_impersonation(session, values, nulls);
	if (session->has_user)
	{
		nulls[S_USER_ID] = false;
		values[S_USER_ID] = tn_uuid_datum(&session->user_id);
	}
	if (session->has_org)
		put_org(session, values, nulls);
	return DatumGetHeapTupleHeader(make_row(fcinfo, values, nulls));
}

/*
 * Every request begins with it, so the row is kept beside the session.
 */
static Datum
session_row(FunctionCallInfo fcinfo)
{
	const TnSession *session = tn_session();
	HeapTupleHeader row = session->row;

	if (row == NULL)
	{
		row = make_session_row(fcinfo, session);
		tn_session_keep_row(session, row);
		return HeapTupleHeaderGetDatum(row);
	}
	return HeapTupleHeaderGetDatum(memcpy(palloc(HeapTupleHeaderGetDatumLength(row)), row,
										  HeapTupleHeaderGetDatumLength(row)));
}

TENANCY_FUNCTION(tenancy_session);
Datum
tenancy_session(PG_FUNCTION_ARGS)
{
	return session_row(fcinfo);
}

TENANCY_FUNCTION(tenancy_begin_session);
Datum
tenancy_begin_session(PG_FUNCTION_ARGS)
{
	tn_settings_set_token(PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	tn_settings_set_impersonation("", false);
	tn_settings_set_org(PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1)), false);
	return session_row(fcinfo);
}

static pg_noinline TnAnswer *
ask_user_id(FunctionCallInfo fcinfo)
{
	TnAnswer   *answer = tn_answer_begin(fcinfo->flinfo);
	const TnSession *session = tn_answer_session(answer, fcinfo->flinfo);

	return tn_answer_uuid(answer, fcinfo->flinfo,
						  session->status <= TN_STATUS_DISABLED ? NULL : &session->user_id);
}

ANSWERING_FUNCTION(tenancy_current_user_id, ask_user_id)

TENANCY_FUNCTION(tenancy_require_user);
Datum
tenancy_require_user(PG_FUNCTION_ARGS)
{
	return tn_uuid_datum(&tn_session_of_user()->user_id);
}

TENANCY_FUNCTION(tenancy_require_user_for_change);
Datum
tenancy_require_user_for_change(PG_FUNCTION_ARGS)
{
	return tn_uuid_datum(&tn_session_of_user_for_change()->user_id);
}

TENANCY_FUNCTION(tenancy_require_current_org);
Datum
tenancy_require_current_org(PG_FUNCTION_ARGS)
{
	const TnSession *session = tn_session();

	if (session->status != TN_STATUS_ACTIVE)
		tn_session_raise(session);
	return tn_uuid_datum(&session->org_id);
}

TENANCY_FUNCTION(tenancy_verified_email);
Datum
tenancy_verified_email(PG_FUNCTION_ARGS)
{
	const TnSession *session = tn_session_trusted();

	/* Who acts as another has neither that one's address nor, meanwhile, their own. */
	if (session->token == NULL || !session->token->email_verified || session->has_superadmin)
		PG_RETURN_NULL();
	return CStringGetTextDatum(session->token->email);
}

TENANCY_FUNCTION(tenancy_database_role);
Datum
tenancy_database_role(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(namein, CStringGetDatum(GetUserNameFromId(GetOuterUserId(), false)));
}

static pg_noinline TnAnswer *
ask_org(FunctionCallInfo fcinfo)
{
	TnAnswer   *answer = tn_answer_begin(fcinfo->flinfo);
	const TnSession *session = tn_answer_session(answer, fcinfo->flinfo);

	return tn_answer_uuid(answer, fcinfo->flinfo,
						  session->status == TN_STATUS_ACTIVE ? &session->org_id : NULL);
}

ANSWERING_FUNCTION(tenancy_current_org, ask_org)

TENANCY_FUNCTION(tenancy_claims);
Datum
tenancy_claims(PG_FUNCTION_ARGS)
{
	const TnSession *session = tn_answer_session(tn_answer_begin(fcinfo->flinfo), fcinfo->flinfo);

	/* Those of a session that is no more are not kept. */
	if (session->token == NULL || session->token->payload == NULL)
		PG_RETURN_NULL();
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(session->token->payload));
}

/* The columns of my_orgs(). */
enum
{
	O_ORG_ID, O_SLUG, O_NAME, O_KIND, O_STATUS, O_ROLES, O_IS_CURRENT, O_COLUMNS
};

TENANCY_FUNCTION(tenancy_my_orgs);
Datum
tenancy_my_orgs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const TnSession *session = tn_answer_session(tn_answer_begin(fcinfo->flinfo), fcinfo->flinfo);
	TnRead		read;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (session->status <= TN_STATUS_DISABLED)
		return (Datum) 0;

	tn_read_begin(&read);
	foreach(lc, tn_member_orgs(&read, &session->user_id))
	{
		TnOrg	   *org = lfirst(lc);
		Datum		values[O_COLUMNS];
		bool		nulls[O_COLUMNS] = {false};

		if (org->status == TN_ORG_ARCHIVED)
			continue;
		values[O_ORG_ID] = UUIDPGetDatum(&org->id);
		values[O_SLUG] = CStringGetTextDatum(org->slug);
		values[O_NAME] = CStringGetTextDatum(org->name);
		values[O_KIND] = CStringGetTextDatum(org->kind);
		values[O_STATUS] = CStringGetTextDatum(org->status_name);
		values[O_ROLES] = member_role_names(&read, &session->user_id, &org->id);
		values[O_IS_CURRENT] = BoolGetDatum(session->has_org &&
											memcmp(&session->org_id, &org->id, sizeof(pg_uuid_t)) == 0);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	tn_read_end(&read);
	return (Datum) 0;
}

/*
 * An org that the user does not belong to and one that does not exist get the
 * same answer.  A superadmin enters any.
 */
TENANCY_FUNCTION(tenancy_switch_org);
Datum
tenancy_switch_org(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const TnSession *session = tn_session_of_user();
	TnSession	wanted = *session;
	TnRead		read;
	TnOrg		org;
	bool		found;
	bool		is_member;

	wanted.status = TN_STATUS_NOT_A_MEMBER;
	tn_read_begin(&read);
	found = tn_org_find_by_name(&read, name, &org);
	is_member = found && tn_member_exists(&read, &wanted.user_id, &org.id);
	if (is_member || (found && wanted.is_superadmin))
	{
		wanted.org_id = org.id;
		wanted.status = org.status == TN_ORG_ACTIVE ? TN_STATUS_ACTIVE :
			org.status == TN_ORG_SUSPENDED ? TN_STATUS_ORG_SUSPENDED : TN_STATUS_ORG_ARCHIVED;
	}
	tn_read_end(&read);
	if (wanted.status != TN_STATUS_ACTIVE)
		tn_session_raise(&wanted);

	tn_settings_set_org(DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&org.id))), true);
	if (!is_member)
		tn_audit_record("switch_org", &org.id, &org.id);
	return tn_uuid_datum(&org.id);
}

/*
 * Sets tenancy.impersonation to the one that the SQL function opens, which
 * checks who calls and what.
 */
TENANCY_FUNCTION(tenancy_act_as);
Datum
tenancy_act_as(PG_FUNCTION_ARGS)
{
	Oid			argtypes[] = {UUIDOID, TEXTOID, BOOLOID};
	Datum		values[lengthof(argtypes)];
	pg_uuid_t	id;

	for (int i = 0; i < lengthof(argtypes); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("user, reason and read_only must not be null"),
					 errhint("Pass the id of the user to act as, and why.")));
		values[i] = PG_GETARG_DATUM(i);
	}
	if (!tn_privileged_call("SELECT tenancy.open_impersonation($1, $2, $3)",
							lengthof(argtypes), argtypes, values, &id))
		elog(ERROR, "no impersonation was opened");
	tn_settings_set_impersonation(DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))), true);
	return tn_uuid_datum(&id);
}

/*
 * Without an impersonation in force it clears the setting all the same: it may
 * name what is nothing here.
 */
TENANCY_FUNCTION(tenancy_stop_acting);
Datum
tenancy_stop_acting(PG_FUNCTION_ARGS)
{
	const TnSession *session = tn_session_trusted();

	if (session->has_superadmin)
	{
		pg_uuid_t	id = session->impersonation_id;
		Oid			argtypes[] = {UUIDOID};
		Datum		values[] = {UUIDPGetDatum(&id)};

		(void) tn_privileged_call("SELECT tenancy.close_impersonation($1)",
								  lengthof(argtypes), argtypes, values, NULL);
	}
	tn_settings_set_impersonation("", true);
	PG_RETURN_VOID();
}

TENANCY_FUNCTION(tenancy_acting_superadmin);
Datum
tenancy_acting_superadmin(PG_FUNCTION_ARGS)
{
	const TnSession *session = tn_session();

	if (!session->has_superadmin)
		PG_RETURN_NULL();
	return tn_uuid_datum(&session->superadmin_id);
}

TENANCY_FUNCTION(tenancy_cross_org_active);
Datum
tenancy_cross_org_active(PG_FUNCTION_ARGS)
{
	const TnSession *session;

	if (!tn_cross_org)
		PG_RETURN_BOOL(false);
	session = tn_answer_session(tn_answer_begin(fcinfo->flinfo), fcinfo->flinfo);
	if (session->is_superadmin)
		tn_audit_log_cross_org(&session->user_id);
	PG_RETURN_BOOL(session->is_superadmin);
}

/*
 * Planner support: without the setting, `OR tenancy.cross_org_active()` is
 * gone from the plan.  Only ever to false: a plan that is used for longer than
 * it should be hides rows and shows none.
 */
TENANCY_FUNCTION(tenancy_cross_org_support);
Datum
tenancy_cross_org_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSimplify) && !tn_cross_org)
		PG_RETURN_POINTER(makeBoolConst(false, false));
	PG_RETURN_POINTER(NULL);
}

TENANCY_FUNCTION(tenancy_is_administrator);
Datum
tenancy_is_administrator(PG_FUNCTION_ARGS)
{
	const TnSession *session = tn_answer_session(tn_answer_begin(fcinfo->flinfo), fcinfo->flinfo);

	PG_RETURN_BOOL(tn_session_is_administrator(session));
}

TENANCY_FUNCTION(tenancy_is_superadmin);
Datum
tenancy_is_superadmin(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(tn_answer_session(tn_answer_begin(fcinfo->flinfo), fcinfo->flinfo)->is_superadmin);
}

/* ---- permissions ---- */

static TnName
name_argument(FunctionCallInfo fcinfo, int n)
{
	text	   *name = PG_GETARG_TEXT_PP(n);
	TnName		result = {VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)};

	return result;
}

static pg_noinline TnAnswer *
ask_permission(FunctionCallInfo fcinfo)
{
	TnAnswer   *answer = tn_answer_begin(fcinfo->flinfo);
	const TnSession *session = tn_answer_session(answer, fcinfo->flinfo);

	return tn_answer_bool(answer, tn_policy_allows(session, name_argument(fcinfo, 0),
												   name_argument(fcinfo, 1)));
}

ANSWERING_FUNCTION(tenancy_can_i, ask_permission)

static pg_noinline TnAnswer *
ask_permitted_org(FunctionCallInfo fcinfo)
{
	TnAnswer   *answer = tn_answer_begin(fcinfo->flinfo);
	const TnSession *session = tn_answer_session(answer, fcinfo->flinfo);
	bool		allowed = tn_policy_allows(session, name_argument(fcinfo, 0),
										   name_argument(fcinfo, 1));

	return tn_answer_uuid(answer, fcinfo->flinfo, allowed ? &session->org_id : NULL);
}

ANSWERING_FUNCTION(tenancy_current_org_if, ask_permitted_org)

/*
 * Not STRICT: a null must not pass for a permission.
 */
static void
require_permission(FunctionCallInfo fcinfo, const TnSession *session)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("action and resource type must not be null"),
				 errhint("tenancy.resource_types lists what exists.")));
	tn_policy_require(session, name_argument(fcinfo, 0), name_argument(fcinfo, 1));
}

TENANCY_FUNCTION(tenancy_require);
Datum
tenancy_require(PG_FUNCTION_ARGS)
{
	require_permission(fcinfo, tn_session());
	PG_RETURN_VOID();
}

static pg_noinline TnAnswer *
ask_required_org(FunctionCallInfo fcinfo)
{
	TnAnswer   *answer = tn_answer_begin(fcinfo->flinfo);
	const TnSession *session = tn_answer_session(answer, fcinfo->flinfo);

	require_permission(fcinfo, session);
	return tn_answer_uuid(answer, fcinfo->flinfo, &session->org_id);
}

ANSWERING_FUNCTION(tenancy_require_org, ask_required_org)

TENANCY_FUNCTION(tenancy_authenticated_within);
Datum
tenancy_authenticated_within(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(tn_session_is_fresh(tn_session_trusted(), PG_GETARG_INTERVAL_P(0)));
}

TENANCY_FUNCTION(tenancy_my_permissions);
Datum
tenancy_my_permissions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, tn_policy_permissions(tn_session_trusted()))
	{
		TnPermission *permission = lfirst(lc);
		Datum		values[] = {CStringGetTextDatum(permission->resource_type),
		CStringGetTextDatum(permission->action)};
		bool		nulls[] = {false, false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- tables of others ---- */

TENANCY_FUNCTION(tenancy_run_as_owner);
Datum
tenancy_run_as_owner(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) tn_run_as_owner(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)),
											UUIDOID, PG_GETARG_DATUM(2), NULL));
}

TENANCY_FUNCTION(tenancy_ask_as_owner);
Datum
tenancy_ask_as_owner(PG_FUNCTION_ARGS)
{
	char	   *answer;

	(void) tn_run_as_owner(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)),
						   TEXTOID, PG_GETARG_DATUM(2), &answer);
	if (answer == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(answer));
}

TENANCY_FUNCTION(tenancy_run_as_role);
Datum
tenancy_run_as_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) tn_run_as_role(PG_GETARG_OID(0), PG_GETARG_OID(1),
										   text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/*
 * HMAC (RFC 2104) with SHA-256: what a token of HS256 is signed with.
 */
TENANCY_FUNCTION(tenancy_hmac_sha256);
Datum
tenancy_hmac_sha256(PG_FUNCTION_ARGS)
{
	bytea	   *message = PG_GETARG_BYTEA_PP(0);
	bytea	   *secret = PG_GETARG_BYTEA_PP(1);
	bytea	   *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
	bool		done;

	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	done = hmac != NULL &&
		pg_hmac_init(hmac, (uint8 *) VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)) == 0 &&
		pg_hmac_update(hmac, (uint8 *) VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message)) == 0 &&
		pg_hmac_final(hmac, (uint8 *) VARDATA(result), PG_SHA256_DIGEST_LENGTH) == 0;
	pg_hmac_free(hmac);
	if (!done)
		elog(ERROR, "could not compute an HMAC");
	PG_RETURN_BYTEA_P(result);
}

/* ---- onboarding ---- */

/* The columns of provision_user(). */
enum
{
	P_USER_ID, P_ORG_ID, P_ORG_SLUG, P_ROLES, P_CREATED, P_COLUMNS
};

/*
 * An org that was made with the user needs no look-up.
 */
static void
put_new_org(const TnArrival *arrival, Datum *values, bool *nulls)
{
	Datum		admin = CStringGetTextDatum("admin");

	nulls[P_ORG_ID] = nulls[P_ORG_SLUG] = nulls[P_ROLES] = false;
	values[P_ORG_ID] = tn_uuid_datum(&arrival->org_id);
	values[P_ORG_SLUG] = CStringGetTextDatum(arrival->new_slug);
	values[P_ROLES] = PointerGetDatum(construct_array(&admin, 1, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
look_up_org(const TnArrival *arrival, Datum *values, bool *nulls)
{
	TnRead		read;
	TnOrg		org;

	tn_read_begin(&read);
	if (tn_org_find(&read, &arrival->org_id, &org))
	{
		nulls[P_ORG_ID] = nulls[P_ORG_SLUG] = false;
		values[P_ORG_ID] = tn_uuid_datum(&org.id);
		values[P_ORG_SLUG] = CStringGetTextDatum(org.slug);
		/* As session() has it: in a closed org nobody has a role. */
		nulls[P_ROLES] = org.status != TN_ORG_ACTIVE;
		values[P_ROLES] = member_role_names(&read, &arrival->user_id, &org.id);
	}
	tn_read_end(&read);
}

TENANCY_FUNCTION(tenancy_provision_user);
Datum
tenancy_provision_user(PG_FUNCTION_ARGS)
{
	Datum		values[P_COLUMNS];
	bool		nulls[P_COLUMNS];
	TnArrival	arrival;

	tn_provision_user(&arrival);
	memset(nulls, true, sizeof(nulls));
	nulls[P_USER_ID] = nulls[P_CREATED] = false;
	values[P_USER_ID] = tn_uuid_datum(&arrival.user_id);
	values[P_CREATED] = BoolGetDatum(arrival.created);

	if (arrival.new_slug[0] != '\0')
		put_new_org(&arrival, values, nulls);
	else if (arrival.has_org)
		look_up_org(&arrival, values, nulls);
	return make_row(fcinfo, values, nulls);
}

/*
 * The statement may hold the secret of an invitation, as this begins its
 * acceptance.
 */
TENANCY_FUNCTION(tenancy_provision_identity);
Datum
tenancy_provision_identity(PG_FUNCTION_ARGS)
{
	pg_uuid_t	user_id;

	(void) tn_redaction_hide_statement();
	user_id = tn_provision_identity(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	return tn_uuid_datum(&user_id);
}

TENANCY_FUNCTION(tenancy_create_org);
Datum
tenancy_create_org(PG_FUNCTION_ARGS)
{
	pg_uuid_t	org_id;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name of the org must not be null"),
				 errhint("Pass the name that people know the org by.")));
	org_id = tn_create_org(text_to_cstring(PG_GETARG_TEXT_PP(0)),
						   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
						   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	return tn_uuid_datum(&org_id);
}

TENANCY_FUNCTION(tenancy_strip_blank);
Datum
tenancy_strip_blank(PG_FUNCTION_ARGS)
{
	const char *name = tn_strip_blank(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/* ---- audit ---- */

TENANCY_FUNCTION(tenancy_audit_actor);
Datum
tenancy_audit_actor(PG_FUNCTION_ARGS)
{
	Datum		values[TN_AUDIT_COLUMNS];
	bool		nulls[TN_AUDIT_COLUMNS];

	tn_record_actor(values, nulls);
	return make_row(fcinfo, values, nulls);
}

TENANCY_FUNCTION(tenancy_record_change);
Datum
tenancy_record_change(PG_FUNCTION_ARGS)
{
	static const TnAuditColumn columns[] = {
		TN_AUDIT_ACTION, TN_AUDIT_ORG_ID, TN_AUDIT_TARGET, TN_AUDIT_OLD_VALUES, TN_AUDIT_NEW_VALUES
	};
	Datum		values[TN_AUDIT_COLUMNS];
	bool		nulls[TN_AUDIT_COLUMNS];

	tn_record_actor(values, nulls);
	for (int i = 0; i < lengthof(columns); i++)
	{
		values[columns[i]] = PG_GETARG_DATUM(i);
		nulls[columns[i]] = PG_ARGISNULL(i);
	}
	tn_record_change(values, nulls);
	PG_RETURN_VOID();
}

/* ---- catalog ---- */

/*
 * One JWK as (key_id, algorithm, problem): problem is null if it can be used.
 */
TENANCY_FUNCTION(tenancy_inspect_jwk);
Datum
tenancy_inspect_jwk(PG_FUNCTION_ARGS)
{
	Jsonb	   *jwk = PG_GETARG_JSONB_P(0);
	char	   *text = JsonbToCString(NULL, &jwk->root, VARSIZE(jwk));
	Datum		values[3];
	bool		nulls[3];
	const char *problem = NULL;
	TnKey	   *key = tn_key_create(text, strlen(text), &problem);
	char		key_id[TN_KEY_ID_MAX_BYTES + 1] = "";
	const char *algorithm = NULL;
	bool		has_key_id = false;

	/* It says nothing of the key, which doctor() would have deleted. */
	if (problem == tn_key_no_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not look at a signing key"),
				 errdetail("There is not enough memory.")));

	/* Copied and freed at once: an error from here on must not leak the key. */
	if (key != NULL)
	{
		has_key_id = tn_key_id(key) != NULL;
		if (has_key_id)
			strlcpy(key_id, tn_key_id(key), sizeof(key_id));
		algorithm = tn_key_alg(key);
		tn_key_free(key);
	}
	tn_put_text(&values[0], &nulls[0], has_key_id ? key_id : NULL);
	tn_put_text(&values[1], &nulls[1], algorithm);
	tn_put_text(&values[2], &nulls[2], key == NULL ? problem : NULL);
	return make_row(fcinfo, values, nulls);
}

static Datum
signal_change(FunctionCallInfo fcinfo, TnSignal signal)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	tn_catalog_signal(signal);
	return PointerGetDatum(NULL);
}

TENANCY_FUNCTION(tenancy_signal_authority_change);
Datum
tenancy_signal_authority_change(PG_FUNCTION_ARGS)
{
	return signal_change(fcinfo, TN_SIGNAL_AUTHORITY);
}

TENANCY_FUNCTION(tenancy_signal_permission_change);
Datum
tenancy_signal_permission_change(PG_FUNCTION_ARGS)
{
	return signal_change(fcinfo, TN_SIGNAL_PERMISSION);
}

TENANCY_FUNCTION(tenancy_signal_keyring_change);
Datum
tenancy_signal_keyring_change(PG_FUNCTION_ARGS)
{
	return signal_change(fcinfo, TN_SIGNAL_KEYRING);
}
