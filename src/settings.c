/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  The tenancy.* settings and their hooks.
 *
 * SET never fails for what a token says: if it did, the previous identity
 * would stay in force.  So the check hook only bounds the size and refuses
 * sources that would store a token; verification is session.c's, at first
 * use.  The assign hook runs outside transactions (at rollback) and in every
 * parallel worker: it copies a pointer and cleans the activity display, no
 * more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include <limits.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/plancache.h"
#include "utils/varlena.h"

#include "changes.h"
#include "redaction.h"
#include "settings.h"
#include "token.h"

#define ORG_SETTING "tenancy.org"
#define IMPERSONATION_SETTING "tenancy.impersonation"
#define CROSS_ORG_SETTING "tenancy.cross_org"

char	   *tn_session_token = NULL;
TnSettingValue *tn_session_token_value = NULL;
char	   *tn_org = NULL;
uint64		tn_org_serial = 0;
char	   *tn_impersonation = NULL;
uint64		tn_impersonation_serial = 0;
bool		tn_cross_org = false;
int			tn_token_scope = TN_SCOPE_SESSION;
int			tn_clock_skew = 5;
char	   *tn_superadmin_emails = NULL;
int			tn_session_cache_size = 64;

static const struct config_enum_entry token_scopes[] = {
	{"session", TN_SCOPE_SESSION, false},
	{"transaction", TN_SCOPE_TRANSACTION, false},
	{NULL, 0, false}
};

/* See define_scoped_setting(). */
static bool drop_next_value = false;

/*
 * A fresh extra block, or NULL when out of memory.
 */
static TnSettingValue *
new_value(void)
{
	static uint64 last_serial = 0;
	TnSettingValue *value = tn_guc_malloc(sizeof(TnSettingValue));

	if (value != NULL)
	{
		value->serial = ++last_serial;
		value->entry_id = 0;
		value->entry_slot = 0;
	}
	return value;
}

/*
 * Puts another value in the place of the one that a check hook was given.
 */
static bool
replace_value(char **newval, const char *replacement)
{
	char	   *copy = tn_guc_malloc(strlen(replacement) + 1);

	if (copy == NULL)
		return false;
	strcpy(copy, replacement);
	tn_guc_free(*newval);
	*newval = copy;
	return true;
}

/*
 * ALTER ROLE … SET, CREATE FUNCTION … SET and configuration files would keep
 * a token where others can read it; one in a startup packet would become the
 * value that DISCARD ALL restores, for the next client of a pooled connection.
 * A parallel worker gets the leader's value with the leader's source.
 */
static bool
check_session_token(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0')
		return true;

	if (source != PGC_S_SESSION)
	{
		GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
		GUC_check_errmsg("\"%s\" can be set only within a session", TN_TOKEN_SETTING);
		GUC_check_errdetail("A stored token would be readable by others, and one given when connecting would outlive its client behind a connection pooler.");
		GUC_check_errhint("Use SET %s, SET LOCAL %s or tenancy.begin_session(token) once connected.",
						  TN_TOKEN_SETTING, TN_TOKEN_SETTING);
		return false;
	}

	if (drop_next_value)
	{
		drop_next_value = false;
		return replace_value(newval, "");
	}

	if (strlen(*newval) > TN_TOKEN_MAX_BYTES &&
		!replace_value(newval, TN_OVERSIZE_TOKEN))
		return false;

	*extra = new_value();
	return *extra != NULL;
}

static void
assign_session_token(const char *newval, void *extra)
{
	tn_session_token_value = extra;
	tn_changes++;

	if (extra != NULL)
		(void) tn_redaction_hide_statement();
}

static const char *
show_session_token(void)
{
	return tn_session_token_value == NULL ? "" : "(hidden)";
}

/*
 * Of a setting that names something: whether it exists, and is the user's, is
 * asked when it is used.
 */
static bool
check_name(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0')
		return true;

	if (drop_next_value && source == PGC_S_SESSION)
	{
		drop_next_value = false;
		return replace_value(newval, "");
	}

	*extra = new_value();
	return *extra != NULL;
}

static void
assign_org(const char *newval, void *extra)
{
	tn_org_serial = extra == NULL ? 0 : ((TnSettingValue *) extra)->serial;
	tn_changes++;
}

static void
assign_impersonation(const char *newval, void *extra)
{
	tn_impersonation_serial = extra == NULL ? 0 : ((TnSettingValue *) extra)->serial;
	tn_changes++;
}

/*
 * What could be an address; more is not for us to say.
 */
static bool
looks_like_email(const char *entry)
{
	const char *at = strchr(entry, '@');

	return at != NULL && at != entry && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
		strpbrk(entry, " \t\r\n\v\f,;:<>()\"'") == NULL;
}

/*
 * A list that is_superadmin_email() in onboarding.c cannot read would make
 * nobody superadmin, without a word.  No message says what is on it: where the
 * value was stored, they go to everybody who connects.
 */
static bool
check_superadmin_emails(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *entries = NIL;
	int			good = 0;

	if (!SplitGUCList(copy, ',', &entries))
		GUC_check_errdetail("An entry is empty, or two are not separated by a comma.");
	else
	{
		while (good < list_length(entries) && looks_like_email(list_nth(entries, good)))
			good++;
		if (good == list_length(entries))
		{
			list_free(entries);
			pfree(copy);
			return true;
		}
		GUC_check_errdetail("Entry %d is not an email address.", good + 1);
	}

	GUC_check_errmsg("\"tenancy.superadmin_emails\" is not a list of email addresses");
	GUC_check_errhint("Separate the addresses by commas, with none at the end: 'root@example.com, ops@example.com'.");
	list_free(entries);
	pfree(copy);
	return false;
}

/*
 * Plans made while cross-org reading was off have it folded away: they would
 * hide rows, never show too many, but must go.
 */
static void
assign_cross_org(bool newval, void *extra)
{
	if (newval != tn_cross_org)
		ResetPlanCache();
	tn_changes++;
}

/*
 * With token_scope = transaction, a token does not outlive its transaction: a
 * plain SET then ends where SET LOCAL would.  The value itself goes, so that
 * parallel workers, which get the bare value, see none either.
 */
static void
end_transaction_scope(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		return;
	if (tn_token_scope != TN_SCOPE_TRANSACTION)
		return;
	/* A worker takes over its leader's values in a transaction of its own. */
	if (IsParallelWorker())
		return;

	if (tn_session_token_value != NULL)
		SetConfigOption(TN_TOKEN_SETTING, "", PGC_USERSET, PGC_S_SESSION);
	if (tn_org_serial != 0)
		SetConfigOption(ORG_SETTING, "", PGC_USERSET, PGC_S_SESSION);
	if (tn_impersonation_serial != 0)
		SetConfigOption(IMPERSONATION_SETTING, "", PGC_USERSET, PGC_S_SESSION);
	/* A reading of all orgs is not for the next client either. */
	if (tn_cross_org)
		SetConfigOption(CROSS_ORG_SETTING, "off", PGC_USERSET, PGC_S_SESSION);
}

/*
 * Where the library is loaded by its first use, a value may have been set
 * before, as a mere name's, when nobody ended it with its transaction.  Was
 * that in an earlier transaction than this one?
 */
static bool
has_earlier_value(const char *name)
{
	struct config_generic *setting = tn_find_setting(name);
	GucStack   *stack = setting == NULL ? NULL : setting->stack;
	GucSource	source;
	char	   *value;

	if (setting == NULL)
		return false;
	if (stack == NULL)
	{
		source = setting->source;
		value = *((struct config_string *) setting)->variable;
	}
	else
	{
		while (stack->prev != NULL)
			stack = stack->prev;
		source = stack->source;
		value = stack->prior.val.stringval;
	}
	return source == PGC_S_SESSION && value != NULL && *value != '\0';
}

/*
 * Defines a setting that ends with its transaction under token_scope =
 * transaction.  An earlier value is the first that the check hook gets: it is
 * replaced there, because one that is merely overwritten would be back after a
 * rollback.
 */
static void
define_scoped_setting(const char *name, const char *description, char **variable,
					  int flags, GucStringCheckHook check_hook,
					  GucStringAssignHook assign_hook, GucShowHook show_hook)
{
	drop_next_value = tn_token_scope == TN_SCOPE_TRANSACTION && has_earlier_value(name);
	DefineCustomStringVariable(name, description, NULL, variable, "",
							   PGC_USERSET, flags | GUC_NOT_IN_SAMPLE,
							   check_hook, assign_hook, show_hook);
	drop_next_value = false;
}

/*
 * Defines all settings.  Called once, from _PG_init.
 */
void
tn_settings_init(void)
{
	DefineCustomEnumVariable("tenancy.token_scope",
							 "Whether a token set by plain SET holds for the session or ends with the transaction.",
							 "Use \"transaction\" behind a connection pooler.",
							 &tn_token_scope, TN_SCOPE_SESSION, token_scopes,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	define_scoped_setting(TN_TOKEN_SETTING,
						  "The signed-in user's JSON Web Token (JWT).",
						  &tn_session_token, GUC_NO_SHOW_ALL,
						  check_session_token, assign_session_token, show_session_token);
	define_scoped_setting(ORG_SETTING,
						  "The org to work in, by id or slug; counts only where the user is a member.",
						  &tn_org, 0,
						  check_name, assign_org, NULL);
	define_scoped_setting(IMPERSONATION_SETTING,
						  "The impersonation that a superadmin acts under; set by tenancy.act_as().",
						  &tn_impersonation, 0,
						  check_name, assign_impersonation, NULL);
	DefineCustomBoolVariable(CROSS_ORG_SETTING,
							 "Lets a superadmin read the rows of every org; no effect for anybody else.",
							 NULL, &tn_cross_org, false,
							 PGC_USERSET, GUC_NOT_IN_SAMPLE,
							 NULL, assign_cross_org, NULL);
	DefineCustomIntVariable("tenancy.clock_skew",
							"How far the clocks of an issuer and this server may differ.",
							NULL, &tn_clock_skew, 5, 0, 300,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomStringVariable("tenancy.superadmin_emails",
							   "Comma-separated verified emails whose users become superadmin when provisioned.",
							   NULL, &tn_superadmin_emails, "",
							   PGC_SUSET, GUC_LIST_INPUT | GUC_SUPERUSER_ONLY,
							   check_superadmin_emails, NULL, NULL);
	DefineCustomIntVariable("tenancy.session_cache_size",
							"How many tokens each connection remembers as verified.",
							NULL, &tn_session_cache_size, 64, 1, 65536,
							PGC_SUSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("tenancy");

	RegisterXactCallback(end_transaction_scope, NULL);
}

/*
 * SET LOCAL tenancy.session_token, for a token that came as a parameter.
 */
void
tn_settings_set_token(const char *token)
{
	(void) set_config_option(TN_TOKEN_SETTING, token, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Will the token in force still be in force after this transaction commits?
 */
bool
tn_settings_token_outlives_transaction(void)
{
	struct config_generic *token = tn_find_setting(TN_TOKEN_SETTING);

	return tn_token_scope == TN_SCOPE_SESSION && token != NULL &&
		(token->stack == NULL || token->stack->state == GUC_SET);
}

/*
 * Sets a setting for as long as the token holds that is in force (as_token),
 * or else for this transaction.
 */
static void
set_beside_token(const char *name, const char *value, bool as_token)
{
	bool		for_session = as_token && tn_settings_token_outlives_transaction();

	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 for_session ? GUC_ACTION_SET : GUC_ACTION_LOCAL,
							 true, 0, false);
}

/*
 * Sets tenancy.org.  An org that outlived its token would greet the next user
 * of a pooled connection with "not a member".
 */
void
tn_settings_set_org(const char *org, bool as_token)
{
	set_beside_token(ORG_SETTING, org, as_token);
}

/*
 * Sets tenancy.impersonation, likewise.
 */
void
tn_settings_set_impersonation(const char *id, bool as_token)
{
	set_beside_token(IMPERSONATION_SETTING, id, as_token);
}
