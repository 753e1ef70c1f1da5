/*-------------------------------------------------------------------------
 *
 * redaction.c
 *	  Keeps tokens out of the server log and of error messages.
 *
 * log_statement, log_min_duration_statement, logged parameters and errors in
 * a statement all quote text in which a client passed a token.  Whatever looks
 * like one is replaced before the message is written.  A session is covered
 * from when the library is loaded: by its first use, or at once where
 * shared_preload_libraries or session_preload_libraries names it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "compat.h"

#include "lib/stringinfo.h"
#include "tcop/tcopprot.h"

#include "redaction.h"

#define REPLACEMENT "[token hidden]"

/* The shortest header in use, {"alg":"…"}, takes more than this. */
#define MIN_HEADER_CHARS 12

static emit_log_hook_type next_emit_log_hook = NULL;

static inline bool
is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * The first thing in text that looks like a JWS in compact form: a run of
 * base64url that decodes to '{"' or '{' and white space ("ey", "ew", "eg",
 * "eQ", "ek"), followed by a dot.  Its length goes to *len.
 */
static const char *
find_token(const char *text, size_t *len)
{
	for (const char *p = text; *p != '\0'; p++)
	{
		const char *end;

		if (p[0] != 'e' || (p > text && is_base64url(p[-1])))
			continue;
		if (p[1] == '\0' || strchr("ywgQk", p[1]) == NULL)
			continue;
		for (end = p; is_base64url(*end); end++)
			;
		if (*end != '.' || end - p < MIN_HEADER_CHARS)
			continue;
		while (is_base64url(*end) || *end == '.')
			end++;
		*len = end - p;
		return p;
	}
	return NULL;
}

/*
 * Does text contain what looks like a token?
 */
bool
tn_redaction_needed(const char *text)
{
	size_t		len;

	return find_token(text, &len) != NULL;
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
	size_t		len;

	if (*field == NULL || !tn_redaction_needed(*field))
		return;

	old = MemoryContextSwitchTo(context);
	initStringInfo(&clean);
	while ((token = find_token(rest, &len)) != NULL)
	{
		appendBinaryStringInfo(&clean, rest, token - rest);
		appendStringInfoString(&clean, REPLACEMENT);
		rest = token + len;
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
	if (debug_query_string != NULL && tn_redaction_needed(debug_query_string))
		edata->hide_stmt = true;

	if (next_emit_log_hook)
		next_emit_log_hook(edata);
}

/*
 * Installs the hook.  Called once, from _PG_init.
 */
void
tn_redaction_init(void)
{
	next_emit_log_hook = emit_log_hook;
	emit_log_hook = hide_tokens;
}
