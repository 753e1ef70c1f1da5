/*-------------------------------------------------------------------------
 *
 * redaction.c
 *	  Keeps tokens, and the secrets of invitations, out of the server log,
 *	  error messages, pg_stat_activity and pg_stat_statements.
 *
 * log_statement, log_min_duration_statement, logged parameters and errors in
 * a statement all quote text in which a client passed a token.  Whatever looks
 * like one is replaced before the message is written.  A session is covered
 * from when the library is loaded: by its first use, or at once where
 * shared_preload_libraries or session_preload_libraries names it.
 *
 * pg_stat_activity shows the statement to every session of the same role, and
 * an application's sessions share one.  It is overwritten when a token is set,
 * when an invitation is being accepted, when a statement with a token or a
 * secret fails before that, and in parallel workers, which show their leader's
 * statement as it came.  pg_stat_statements would keep the text of a utility
 * statement such as SET as it is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"

#include "redaction.h"

#define REPLACEMENT "[token hidden]"
#define HIDDEN_STATEMENT "(statement with a session token, hidden)"

/* The shortest header in use, {"alg":"…"}, takes more than this. */
#define MIN_HEADER_CHARS 12

/* As write_invitation() makes them.  So many digits are no name; a log may have cut the rest. */
#define SECRET_PREFIX "inv_"
#define MIN_SECRET_CHARS 12

static emit_log_hook_type next_emit_log_hook = NULL;
static ExecutorStart_hook_type next_ExecutorStart = NULL;
static post_parse_analyze_hook_type next_post_parse_analyze = NULL;

/* Every statement is looked through: a table is quicker than to compare ranges. */
static const bool base64url[UCHAR_MAX + 1] = {
	['-'] = true, ['_'] = true,
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true
};

static inline bool
is_base64url(char c)
{
	return base64url[(unsigned char) c];
}

/*
 * The end of a run of base64url, and of dots too if with_dots.  The run may go
 * on behind a line break and the next line's indentation, where debug_print_parse
 * and its like (since PostgreSQL 18 with the text of SET in them) wrap a line.
 */
static const char *
skip_run(const char *p, bool with_dots)
{
	for (;;)
	{
		const char *next;

		while (is_base64url(*p) || (with_dots && *p == '.'))
			p++;
		if (*p != '\n')
			return p;
		next = p + strspn(p, "\n \t");
		if (!is_base64url(*next) && !(*next == '.' && is_base64url(next[1])))
			return p;
		p = next;
		if (*p == '.' && !with_dots)
			return p;
	}
}

/*
 * Does what looks like a JWS in compact form begin here: a run of base64url
 * that decodes to '{"' or '{' and white space ("ey", "ew", "eg", "eQ", "ek"),
 * followed by a dot?  *end is behind that run, if it was looked at.
 */
static bool
begins_token(const char *p, const char **end)
{
	if (p[0] != 'e' || p[1] == '\0' || strchr("ywgQk", p[1]) == NULL)
		return false;
	*end = skip_run(p, false);
	return **end == '.' && *end - p >= MIN_HEADER_CHARS;
}

/*
 * Does what looks like the secret of an invitation begin here, or the beginning
 * of one?
 */
static bool
begins_secret(const char *p)
{
	return p[0] == 'i' && strncmp(p, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0 &&
		strspn(p + strlen(SECRET_PREFIX), "0123456789abcdefABCDEF") >= MIN_SECRET_CHARS;
}

/*
 * The first token or secret in text.  It goes as far as skip_run() does, over
 * dots in a token.
 *
 * A run over many lines is looked at once: where it does not end as a token
 * does, none begins in it further on.
 */
static const char *
find_token(const char *text)
{
	const char *p = text;
	const char *none_before = text;

	for (;;)
	{
		while (!is_base64url(*p))
		{
			if (*p++ == '\0')
				return NULL;
		}
		if ((p >= none_before && begins_token(p, &none_before)) || begins_secret(p))
			return p;
		while (is_base64url(*p))
			p++;
	}
}

static bool
contains_token(const char *text)
{
	return text != NULL && find_token(text) != NULL;
}

/*
 * Takes the running statement out of pg_stat_activity if it contains what
 * looks like a token; says whether it does.
 */
bool
tn_redaction_hide_statement(void)
{
	if (!contains_token(debug_query_string))
		return false;
	pgstat_report_activity(STATE_RUNNING, HIDDEN_STATEMENT);
	return true;
}

/*
 * Replaces every token in *field, in the error's own memory.
 */
static void
redact(char **field, MemoryContext context)
{
	StringInfoData clean;
	MemoryContext old;
	const char *rest = *field;
	const char *token;

	if (!contains_token(*field))
		return;

	old = MemoryContextSwitchTo(context);
	initStringInfo(&clean);
	while ((token = find_token(rest)) != NULL)
	{
		appendBinaryStringInfo(&clean, rest, token - rest);
		appendStringInfoString(&clean, REPLACEMENT);
		rest = skip_run(token, !begins_secret(token));
	}
	appendStringInfoString(&clean, rest);
	*field = clean.data;
	MemoryContextSwitchTo(old);
}

static void
hide_tokens(ErrorData *edata)
{
	redact(&edata->message, edata->assoc_context);
	redact(&edata->detail, edata->assoc_context);
	redact(&edata->detail_log, edata->assoc_context);
	redact(&edata->hint, edata->assoc_context);
	redact(&edata->context, edata->assoc_context);
	redact(&edata->internalquery, edata->assoc_context);
	if (tn_redaction_hide_statement())
		edata->hide_stmt = true;

	if (next_emit_log_hook)
		next_emit_log_hook(edata);
}

static void
start_query(QueryDesc *query, int eflags)
{
	if (IsParallelWorker())
		(void) tn_redaction_hide_statement();

	if (next_ExecutorStart)
		next_ExecutorStart(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/*
 * A statement without an identifier is not counted, and its text not kept.
 */
static void
leave_uncounted(ParseState *pstate, Query *query, JumbleState *jumble)
{
	if (next_post_parse_analyze)
		next_post_parse_analyze(pstate, query, jumble);
	if (query->utilityStmt != NULL && contains_token(pstate->p_sourcetext))
		query->queryId = 0;
}

/*
 * Installs the hooks.  Called once, from _PG_init.
 */
void
tn_redaction_init(void)
{
	next_emit_log_hook = emit_log_hook;
	emit_log_hook = hide_tokens;
	next_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
	next_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = leave_uncounted;
}
