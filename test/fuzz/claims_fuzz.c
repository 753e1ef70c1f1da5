/*-------------------------------------------------------------------------
 *
 * claims_fuzz.c
 *	  Any bytes as a token's header or payload.
 *
 * Besides memory errors it looks for texts that claims.c and the json-c in
 * libjwt read differently, since two readings of one token are how claims get
 * forged: what claims.c accepts, json-c must read in the same way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <json-c/json.h>

#include "claims.h"
#include "fuzz.h"

static const char *const paths[] = {
	"alg", "kid", "typ", "iss", "sub", "aud", "azp", "exp", "nbf", "iat",
	"act", "act.sub", "o.id", "fva", "a", "a.b", "a.b.c", ""
};

/* The same member for both parsers, of the same type and value. */
static void
check_member(struct json_object *object, const TnClaim *item)
{
	struct json_object *value;

	MUST(json_object_object_get_ex(object, item->path, &value));
	switch (item->type)
	{
		case TN_JSON_STRING:
			MUST(json_object_is_type(value, json_type_string));
			MUST(strcmp(json_object_get_string(value), item->value) == 0);
			MUST(json_object_get_string_len(value) == (int) strlen(item->value));
			break;
		case TN_JSON_NUMBER:
			MUST(json_object_is_type(value, json_type_int) ||
				 json_object_is_type(value, json_type_double));
			break;
		case TN_JSON_BOOL:
			MUST(json_object_is_type(value, json_type_boolean));
			MUST(json_object_get_boolean(value) == (strcmp(item->value, "true") == 0));
			break;
		case TN_JSON_NULL:
			MUST(value == NULL);
			break;
	}
}

static void
compare_with_json_c(const char *json, size_t len, const TnClaims *claims)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;
	int			top_level = 0;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, json, (int) len);
	MUST(json_tokener_get_error(tokener) == json_tokener_success ||
		 json_tokener_get_error(tokener) == json_tokener_continue);
	MUST(json_object_is_type(object, json_type_object));

	for (int i = 0; i < claims->n; i++)
	{
		const TnClaim *item = &claims->items[i];

		if (item->depth > 1 || item->in_array)
			continue;
		check_member(object, item);
		top_level++;
	}
	MUST(top_level <= json_object_object_length(object));
	json_object_put(object);
	json_tokener_free(tokener);
}

static void
ask(const TnClaims *claims, const char *path)
{
	const TnClaim *claim = tn_claims_find(claims, path);
	const char *string = tn_claims_string(claims, path);
	const char **strings;
	int			n = tn_claims_strings(claims, path, &strings);
	int64		seconds = 0;
	TnTimeResult time = tn_claims_time(claims, path, &seconds);
	int64	   *numbers;
	int			n_numbers = tn_claims_numbers(claims, path, &numbers);

	MUST((string != NULL) == (claim != NULL && claim->type == TN_JSON_STRING));
	MUST(string == NULL || (n == 1 && strcmp(strings[0], string) == 0));
	MUST(n >= -1 && (n > 0) == (strings != NULL));
	for (int i = 0; i < n; i++)
		MUST(strings[i] != NULL);
	MUST(n <= 0 || (time == TN_TIME_INVALID && n_numbers == 0));
	MUST(time != TN_TIME_OK || (claim != NULL && claim->type == TN_JSON_NUMBER));
	MUST(seconds >= -INT64CONST(253402300800) && seconds <= INT64CONST(253402300799));
	for (int i = 0; i < n_numbers; i++)
		MUST(numbers[i] >= -INT64CONST(253402300800) && numbers[i] <= INT64CONST(253402300799));
	MUST(!tn_claims_has(claims, path) || claim == NULL || claim->depth == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* ends where the text ends, so that the sanitizer sees a byte too many */
	char	   *json = malloc(size + (size == 0));
	TnClaims	claims;

	memcpy(json, data, size);
	memset(&claims, 0x7f, sizeof(claims));
	if (tn_claims_parse(json, size, &claims))
	{
		MUST(size <= TN_CLAIMS_MAX_BYTES && memchr(json, '\0', size) == NULL);
		compare_with_json_c(json, size, &claims);
		for (size_t i = 0; i < lengthof(paths); i++)
			ask(&claims, paths[i]);
		for (int i = 0; i < claims.n && i < 100; i++)
		{
			MUST(claims.items[i].depth >= 1 && claims.items[i].depth <= TN_CLAIMS_MAX_DEPTH);
			ask(&claims, claims.items[i].path);
		}
	}
	else
		MUST(claims.n == 0 && claims.items == NULL && !tn_claims_has(&claims, "a"));

	forget_memory();
	free(json);
	return 0;
}
