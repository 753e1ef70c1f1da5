/*-------------------------------------------------------------------------
 *
 * claims.c
 *	  Strict reading of a JWT's header and payload.
 *
 * libjwt's JSON parser is lenient: it takes comments, NaN, bytes after a NUL
 * and duplicate members.  Two parsers that disagree about one token are how
 * claims get forged, so every claim the extension uses is read here, from
 * PostgreSQL's own streaming parser, and whatever could be read in two ways
 * is refused.
 *
 * Nothing here raises an error because of its input; the caller decides which
 * one a refusal deserves.  That takes two checks before the parser runs: it
 * recurses, raising an error when the stack runs out, and it steps over
 * multibyte characters trusting them to be valid.
 *
 * The file compiles as backend and, for the unit tests, as frontend code.
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "compat.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "claims.h"

/* 9999-12-31 23:59:59 UTC, in either direction */
#define MAX_NUMERIC_DATE INT64CONST(253402300799)

typedef enum MemberKind
{
	MEMBER_SCALAR,
	MEMBER_STRINGS,				/* an array of strings, maybe empty */
	MEMBER_NUMBERS,				/* an array of numbers, not empty */
	MEMBER_OTHER				/* an object or any other array */
} MemberKind;

typedef struct TnClaimMember
{
	const char *path;
	int			depth;
	MemberKind	kind;
	int			first;			/* its items: claims->items[first] and on */
	int			n;
} TnClaimMember;

/*
 * An object or array the parser is inside of.
 */
typedef struct Frame
{
	bool		is_object;
	bool		listed;			/* are scalars directly in it items? */
	int			first_name;		/* where its names begin in names */
	int			member;			/* object: the member being read; array: the
								 * member whose value it is */
} Frame;

typedef struct ParseState
{
	TnClaims   *claims;
	int			max_items;
	int			max_members;
	bool		refused;

	int			depth;
	Frame		frames[TN_CLAIMS_MAX_DEPTH];

	/*
	 * Names seen so far in each open object, the outermost object's first.
	 * An object's names are dropped when it closes, so a parent's are always
	 * contiguous.
	 */
	char	  **names;
	int			n_names;
	int			max_names;
} ParseState;

/*
 * Make room for one more in an array that doubles when it is full.
 */
static void *
grow(void *array, int n, int *max, size_t size)
{
	if (n < *max)
		return array;
	*max = Max(16, *max * 2);
	return array == NULL ? palloc(*max * size) : repalloc(array, *max * size);
}

/*
 * Does the nesting stay within bounds?  Brackets inside strings don't count.
 * For text that is not JSON the answer is good up to the parser's first
 * error, which is as far as the parser recurses.
 */
static bool
depth_is_bounded(const char *json, size_t len)
{
	int			depth = 0;
	bool		in_string = false;

	for (size_t i = 0; i < len; i++)
	{
		switch (json[i])
		{
			case '"':
				in_string = !in_string;
				break;
			case '\\':
				if (in_string)
					i++;
				break;
			case '{':
			case '[':
				if (!in_string && ++depth > TN_CLAIMS_MAX_DEPTH)
					return false;
				break;
			case '}':
			case ']':
				if (!in_string)
					depth--;
				break;
			default:
				break;
		}
	}
	return true;
}

/*
 * Open an object or array.
 */
static void
push_frame(ParseState *state, bool is_object)
{
	Frame	   *parent = state->depth > 0 ? &state->frames[state->depth - 1] : NULL;
	Frame	   *frame = &state->frames[state->depth++];

	frame->is_object = is_object;
	frame->first_name = state->n_names;
	frame->member = -1;
	if (parent == NULL)
	{
		/* an array or a scalar is JSON, but no set of claims */
		frame->listed = is_object;
		if (!is_object)
			state->refused = true;
		return;
	}

	frame->listed = parent->listed && parent->is_object;
	if (parent->listed)
	{
		TnClaimMember *member = &state->claims->members[parent->member];

		if (is_object || !parent->is_object)
			member->kind = MEMBER_OTHER;
		else
		{
			member->kind = MEMBER_STRINGS;
			frame->member = parent->member;
		}
	}
}

static TN_JSON_ACTION
object_start(void *arg)
{
	push_frame(arg, true);
	TN_JSON_ACTION_DONE;
}

static TN_JSON_ACTION
array_start(void *arg)
{
	push_frame(arg, false);
	TN_JSON_ACTION_DONE;
}

static TN_JSON_ACTION
array_end(void *arg)
{
	ParseState *state = arg;

	state->depth--;
	TN_JSON_ACTION_DONE;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Close an object.  Its names are compared only now, sorted, lest an object
 * of many members cost quadratic time.  They are de-escaped: "a" and "\u0061"
 * are one name.
 */
static TN_JSON_ACTION
object_end(void *arg)
{
	ParseState *state = arg;
	Frame	   *frame = &state->frames[--state->depth];
	int			n = state->n_names - frame->first_name;

	if (n > 1)
	{
		char	  **names = state->names + frame->first_name;

		qsort(names, n, sizeof(char *), compare_names);
		for (int i = 1; i < n; i++)
		{
			if (strcmp(names[i - 1], names[i]) == 0)
				state->refused = true;
		}
	}
	state->n_names = frame->first_name;
	TN_JSON_ACTION_DONE;
}

static TN_JSON_ACTION
object_field_start(void *arg, char *fname, bool isnull)
{
	ParseState *state = arg;
	TnClaims   *claims = state->claims;
	Frame	   *frame = &state->frames[state->depth - 1];

	state->names = grow(state->names, state->n_names, &state->max_names,
						sizeof(char *));
	state->names[state->n_names++] = fname;

	if (frame->listed)
	{
		TnClaimMember *member;

		claims->members = grow(claims->members, claims->n_members,
							   &state->max_members, sizeof(TnClaimMember));
		member = &claims->members[claims->n_members];
		memset(member, 0, sizeof(TnClaimMember));

		/* all frames around a listed object are listed objects */
		member->depth = state->depth;
		if (state->depth == 1)
			member->path = fname;
		else
			member->path = psprintf("%s.%s",
									claims->members[frame[-1].member].path,
									fname);
		frame->member = claims->n_members++;
	}
	TN_JSON_ACTION_DONE;
}

static TN_JSON_ACTION
scalar(void *arg, char *token, JsonTokenType tokentype)
{
	ParseState *state = arg;
	TnClaims   *claims = state->claims;
	Frame	   *frame;
	TnClaimMember *member;
	TnClaim    *item;

	if (state->depth == 0)
	{
		state->refused = true;
		TN_JSON_ACTION_DONE;
	}
	frame = &state->frames[state->depth - 1];
	if (!frame->listed)
	{
		TN_JSON_ACTION_DONE;
	}

	claims->items = grow(claims->items, claims->n, &state->max_items,
						 sizeof(TnClaim));
	item = &claims->items[claims->n];
	member = &claims->members[frame->member];
	item->path = member->path;
	item->depth = member->depth;
	item->in_array = !frame->is_object;
	item->value = token;
	switch (tokentype)
	{
		case JSON_TOKEN_STRING:
			item->type = TN_JSON_STRING;
			break;
		case JSON_TOKEN_NUMBER:
			item->type = TN_JSON_NUMBER;
			break;
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			item->type = TN_JSON_BOOL;
			break;
		default:
			item->type = TN_JSON_NULL;
			break;
	}

	if (frame->is_object)
		member->kind = MEMBER_SCALAR;
	else if (item->type == TN_JSON_NUMBER && member->kind == MEMBER_STRINGS && member->n == 0)
		member->kind = MEMBER_NUMBERS;
	else if (item->type != (member->kind == MEMBER_NUMBERS ? TN_JSON_NUMBER : TN_JSON_STRING))
		member->kind = MEMBER_OTHER;
	if (member->n++ == 0)
		member->first = claims->n;
	claims->n++;
	TN_JSON_ACTION_DONE;
}

/*
 * Parse one JSON object (RFC 8259, UTF-8) of at most TN_CLAIMS_MAX_BYTES.
 * False, and no claims, if it is anything else, has bytes after it, holds a
 * NUL (raw or \u0000), a lone surrogate or the same member twice in any
 * object, or is nested more than TN_CLAIMS_MAX_DEPTH deep, the object itself
 * being the first level.
 */
bool
tn_claims_parse(const char *json, size_t len, TnClaims *claims)
{
	ParseState	state;
	JsonSemAction actions;

	memset(claims, 0, sizeof(TnClaims));

	/* the verifier of UTF-8 stops at a NUL too */
	if (len > TN_CLAIMS_MAX_BYTES ||
		pg_encoding_verifymbstr(PG_UTF8, json, (int) len) != (int) len ||
		!depth_is_bounded(json, len))
		return false;

	memset(&state, 0, sizeof(state));
	state.claims = claims;

	memset(&actions, 0, sizeof(actions));
	actions.semstate = &state;
	actions.object_start = object_start;
	actions.object_end = object_end;
	actions.array_start = array_start;
	actions.array_end = array_end;
	actions.object_field_start = object_field_start;
	actions.scalar = scalar;

	if (pg_parse_json(tn_json_lexer(json, len), &actions) != JSON_SUCCESS ||
		state.refused)
	{
		memset(claims, 0, sizeof(TnClaims));
		return false;
	}
	return true;
}

/*
 * The member that path means (see claims.h), or NULL if there is none.
 */
static const TnClaimMember *
find_member(const TnClaims *claims, const char *path)
{
	static const TnClaimMember ambiguous = {.kind = MEMBER_OTHER};
	const TnClaimMember *best = NULL;
	bool		tie = false;

	for (int i = 0; i < claims->n_members; i++)
	{
		const TnClaimMember *member = &claims->members[i];

		if (strcmp(member->path, path) != 0)
			continue;
		if (best == NULL || member->depth < best->depth)
		{
			best = member;
			tie = false;
		}
		else if (member->depth == best->depth)
			tie = true;
	}
	return tie ? &ambiguous : best;
}

/*
 * Is there a top-level member of that name, of whatever type?
 */
bool
tn_claims_has(const TnClaims *claims, const char *name)
{
	for (int i = 0; i < claims->n_members; i++)
	{
		if (claims->members[i].depth == 1 &&
			strcmp(claims->members[i].path, name) == 0)
			return true;
	}
	return false;
}

/*
 * The scalar at path, null included; NULL if there is none, as when an object
 * or array is there.
 */
const TnClaim *
tn_claims_find(const TnClaims *claims, const char *path)
{
	const TnClaimMember *member = find_member(claims, path);

	if (member == NULL || member->kind != MEMBER_SCALAR)
		return NULL;
	return &claims->items[member->first];
}

/*
 * The string at path, or NULL if there is none.
 */
const char *
tn_claims_string(const TnClaims *claims, const char *path)
{
	const TnClaim *claim = tn_claims_find(claims, path);

	if (claim == NULL || claim->type != TN_JSON_STRING)
		return NULL;
	return claim->value;
}

/*
 * Every string of a claim that is a string or an array of strings (like
 * "aud").  Returns their number, 0 for an empty array and for an absent claim
 * alike (tn_claims_has tells them apart), or -1 if the claim is anything
 * else, even in a single element.  *strings is NULL unless the number is
 * positive.
 */
int
tn_claims_strings(const TnClaims *claims, const char *path,
				  const char ***strings)
{
	const TnClaimMember *member = find_member(claims, path);

	*strings = NULL;
	if (member == NULL)
		return 0;
	if (member->kind == MEMBER_OTHER || member->kind == MEMBER_NUMBERS ||
		(member->kind == MEMBER_SCALAR &&
		 claims->items[member->first].type != TN_JSON_STRING))
		return -1;
	if (member->n == 0)
		return 0;

	*strings = palloc(member->n * sizeof(char *));
	for (int i = 0; i < member->n; i++)
		(*strings)[i] = claims->items[member->first + i].value;
	return member->n;
}

/*
 * A number as whole seconds, rounded down; TN_TIME_INVALID for anything else
 * and for what no clock will show.
 */
static TnTimeResult
read_number(const TnClaim *claim, int64 *seconds)
{
	const char *digits;
	const char *p;
	bool		negative;
	bool		fraction = false;
	int			exponent = 0;
	int			n_whole = 0;	/* digits before the decimal point */
	int			n_read = 0;
	int64		value = 0;

	if (claim->type != TN_JSON_NUMBER)
		return TN_TIME_INVALID;

	/* the parser made sure of -?digits[.digits][(e|E)[+|-]digits] */
	negative = claim->value[0] == '-';
	digits = claim->value + (negative ? 1 : 0);
	n_whole = strspn(digits, "0123456789");
	p = strpbrk(digits, "eE");
	if (p != NULL)
	{
		bool		negative_exponent = p[1] == '-';

		/* past this bound no number of our input size stays in range */
		for (p += strspn(p, "eE+-"); *p != '\0'; p++)
			exponent = Min(exponent * 10 + (*p - '0'), 2 * TN_CLAIMS_MAX_BYTES);
		n_whole += negative_exponent ? -exponent : exponent;
	}

	for (p = digits; *p != '\0' && *p != 'e' && *p != 'E'; p++)
	{
		if (*p == '.')
			continue;
		if (n_read++ < n_whole)
			value = value * 10 + (*p - '0');
		else if (*p != '0')
			fraction = true;
		if (value > MAX_NUMERIC_DATE)
			return TN_TIME_INVALID;
	}
	for (; n_read < n_whole; n_read++)
	{
		value *= 10;
		if (value > MAX_NUMERIC_DATE)
			return TN_TIME_INVALID;
	}
	if (value == MAX_NUMERIC_DATE && fraction)
		return TN_TIME_INVALID;

	*seconds = negative ? -value - (fraction ? 1 : 0) : value;
	return TN_TIME_OK;
}

/*
 * The NumericDate (RFC 7519) at path: seconds since the epoch, any fraction
 * rounded down.  Invalid unless it is a number of magnitude up to
 * MAX_NUMERIC_DATE.
 *
 * It is read digit by digit, since a double would round
 * 1700000000.99999999 up and hide that 253402300799.00000001 is too large.
 */
TnTimeResult
tn_claims_time(const TnClaims *claims, const char *path, int64 *seconds)
{
	const TnClaimMember *member = find_member(claims, path);

	if (member == NULL)
		return TN_TIME_ABSENT;
	if (member->kind != MEMBER_SCALAR)
		return TN_TIME_INVALID;
	return read_number(&claims->items[member->first], seconds);
}

/*
 * The elements of an array of numbers, each rounded down as tn_claims_time
 * does.  Returns how many; 0 too if there is no such array or anything else is
 * in it.  *numbers is palloc'd.
 */
int
tn_claims_numbers(const TnClaims *claims, const char *path, int64 **numbers)
{
	const TnClaimMember *member = find_member(claims, path);

	*numbers = NULL;
	if (member == NULL || member->kind != MEMBER_NUMBERS)
		return 0;
	*numbers = palloc(member->n * sizeof(int64));
	for (int i = 0; i < member->n; i++)
	{
		if (read_number(&claims->items[member->first + i], &(*numbers)[i]) != TN_TIME_OK)
			return 0;
	}
	return member->n;
}
