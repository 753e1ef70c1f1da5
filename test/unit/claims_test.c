/*-------------------------------------------------------------------------
 *
 * claims_test.c
 *	  Unit test of src/claims.c, in TAP.
 *
 * Built as frontend code and linked with libpgcommon, which has the same JSON
 * parser as the server.  One thing differs: a frontend parser does not check
 * the stack, so the depth limit is tested at its boundary only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "claims.h"

static int	n_tests = 0;
static int	n_failed = 0;

static void
ok(bool passed, const char *name)
{
	printf("%sok %d - %s\n", passed ? "" : "not ", ++n_tests, name);
	if (!passed)
		n_failed++;
}

/*
 * Parse an exact-sized copy, so that a sanitizer sees any read past the end.
 */
static bool
parse_bytes(const char *json, size_t len, TnClaims *claims)
{
	char	   *copy = malloc(len + (len == 0));
	bool		result;

	memcpy(copy, json, len);
	result = tn_claims_parse(copy, len, claims);
	free(copy);
	return result;
}

static TnClaims
parse(const char *json)
{
	TnClaims	claims;

	if (!parse_bytes(json, strlen(json), &claims))
	{
		printf("# refused: %s\n", json);
		n_failed++;
	}
	return claims;
}

static void
accepts_bytes(const char *json, size_t len, const char *name)
{
	TnClaims	claims;

	ok(parse_bytes(json, len, &claims), name);
}

static void
refuses_bytes(const char *json, size_t len, const char *name)
{
	TnClaims	claims;

	memset(&claims, 0x7f, sizeof(claims));
	ok(!parse_bytes(json, len, &claims) &&
	   claims.n == 0 && claims.items == NULL && !tn_claims_has(&claims, "a"),
	   name);
}

static void
accepts(const char *json, const char *name)
{
	accepts_bytes(json, strlen(json), name);
}

static void
refuses(const char *json, const char *name)
{
	refuses_bytes(json, strlen(json), name);
}

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool
item_is(const TnClaims *claims, int i, const char *path, int depth,
		bool in_array, TnJsonType type, const char *value)
{
	const TnClaim *item = &claims->items[i];

	return i < claims->n && same(item->path, path) && item->depth == depth &&
		item->in_array == in_array && item->type == type &&
		same(item->value, value);
}

/*
 * {"a":[[1]]} or {"a":{"a":{"a":1}}}, depth levels in all, around a scalar.
 */
static char *
nested(int depth, bool arrays)
{
	static char text[1024];
	char	   *p = text;

	p += sprintf(p, "{\"a\":");
	for (int i = 1; i < depth; i++)
		p += sprintf(p, arrays ? "[" : "{\"a\":");
	p += sprintf(p, "1");
	for (int i = 1; i < depth; i++)
		p += sprintf(p, arrays ? "]" : "}");
	sprintf(p, "}");
	return text;
}

/*
 * {"a":"xxx"} of len bytes.
 */
static char *
sized(size_t len)
{
	static char text[TN_CLAIMS_MAX_BYTES + 16];

	memset(text, 'x', len);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + len - 2, "\"}", 3);
	return text;
}

static void
test_grammar(void)
{
	TnClaims	claims;

	accepts("{}", "an empty object");
	accepts(" \t\r\n{ \"a\" : [ 1 , { } ] } \n", "white space around tokens");

	refuses("", "nothing");
	refuses("  ", "white space alone");
	refuses("[]", "an array at the top");
	refuses("[{\"a\":1}]", "an object inside an array at the top");
	refuses("\"a\"", "a string at the top");
	refuses("1", "a number at the top");
	refuses("null", "null at the top");
	refuses("{", "an object cut off");
	refuses("{\"a\"", "an object cut off after a name");
	refuses("{\"a\":", "an object cut off after a colon");
	refuses("{\"a\":1", "an object cut off after a value");
	refuses("{\"a\":\"x", "a string cut off");
	refuses("{\"a\":\"x\\", "a string cut off in an escape");
	refuses("{\"a\":[1}", "brackets that do not match");
	refuses("{\"a\":1}}", "a bracket too many");
	refuses("{\"a\":1} x", "bytes after the object");
	refuses("{\"a\":1}{\"b\":1}", "two objects");
	refuses("{\"a\":1,}", "a trailing comma in an object");
	refuses("{\"a\":[1,]}", "a trailing comma in an array");
	refuses("{a:1}", "a bare name");
	refuses("{'a':1}", "single quotes");
	refuses("{1:1}", "a number as a name");
	refuses("{\"a\":1/* c */}", "a block comment");
	refuses("{\"a\":1}// c", "a line comment");
	refuses("{\"a\":NaN}", "NaN");
	refuses("{\"a\":Infinity}", "Infinity");
	refuses("{\"a\":-Infinity}", "-Infinity");
	refuses("{\"a\":True}", "True");
	refuses("{\"a\":undefined}", "undefined");
	refuses("{\"a\":01}", "a number with a leading zero");
	refuses("{\"a\":+1}", "a number with a plus sign");
	refuses("{\"a\":.5}", "a number without whole digits");
	refuses("{\"a\":1.}", "a number without digits after the point");
	refuses("{\"a\":1e}", "a number without exponent digits");
	refuses("{\"a\":0x10}", "a hexadecimal number");
	refuses("{\"a\":-}", "a minus sign alone");
	refuses("{\"a\":\"\t\"}", "a raw control character in a string");
	refuses("{\"a\":\"\\x41\"}", "an unknown escape");
	refuses("{\"a\":\"\\u12\"}", "a short unicode escape");
	refuses("\f{}", "a form feed as white space");

	accepts_bytes("{\"a\":1}zzz", 7, "the length given decides, not a NUL");
	accepts(sized(TN_CLAIMS_MAX_BYTES), "the greatest size");
	refuses(sized(TN_CLAIMS_MAX_BYTES + 1), "one byte above the greatest size");

	ok(parse_bytes("{\"b\":1}", 7, &claims) &&
	   !parse_bytes("{\"a\":1} ,", 9, &claims) &&
	   tn_claims_find(&claims, "a") == NULL &&
	   tn_claims_find(&claims, "b") == NULL,
	   "a refused text leaves no claims");
}

static void
test_encoding(void)
{
	TnClaims	claims;

	claims = parse("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\ud83d\\ude00\"}");
	ok(same(tn_claims_string(&claims, "a"),
			"\"\\/\b\f\n\r\tA\303\251\360\237\230\200"),
	   "escapes are resolved");
	claims = parse("{\"\\u0061\\u002e\":\"\303\251\"}");
	ok(same(tn_claims_string(&claims, "a."), "\303\251"),
	   "escapes in names are resolved, UTF-8 is kept");

	refuses_bytes("{\"a\":1}\0", 8, "a NUL after the object");
	refuses_bytes("{\"a\":\"x\0y\"}", 11, "a NUL in a string");
	refuses_bytes("{\"a\":\0 1}", 9, "a NUL between tokens");
	refuses("{\"a\":\"\\u0000\"}", "an escaped NUL in a value");
	refuses("{\"a\\u0000b\":1}", "an escaped NUL in a name");
	refuses("{\"x\":[[\"\\u0000\"]]}", "an escaped NUL where nothing is listed");

	refuses("{\"a\":\"\\ud800\"}", "a lone high surrogate");
	refuses("{\"a\":\"\\ud800x\"}", "a high surrogate before a character");
	refuses("{\"a\":\"\\ud800\\n\"}", "a high surrogate before an escape");
	refuses("{\"a\":\"\\ud800\\ud800\"}", "two high surrogates");
	refuses("{\"a\":\"\\ude00\"}", "a lone low surrogate");
	refuses("{\"a\":\"\\ude00\\ud83d\"}", "surrogates in the wrong order");
	refuses("{\"\\ud800\":1}", "a lone surrogate in a name");

	refuses("{\"a\":\"\xff\"}", "a byte that UTF-8 never has");
	refuses("{\"a\":\"\x80\"}", "a continuation byte alone");
	refuses("{\"a\":\"\xc3\"}", "a sequence cut off by a quote");
	refuses("{\"a\":\"x\xe2\x82", "a sequence cut off by the end");
	refuses("{\"a\":\"\xc0\xaf\"}", "an overlong sequence of two bytes");
	refuses("{\"a\":\"\xe0\x80\xaf\"}", "an overlong sequence of three bytes");
	refuses("{\"a\":\"\xed\xa0\x80\"}", "a surrogate encoded in UTF-8");
	refuses("{\"a\":\"\xf4\x90\x80\x80\"}", "a code point above U+10FFFF");
	refuses("{\"\xff\":1}", "bad UTF-8 in a name");
	refuses("{\"x\":[[\"\xff\"]]}", "bad UTF-8 where nothing is listed");
	refuses("\xef\xbb\xbf{}", "a byte order mark");
}

static void
test_duplicates(void)
{
	refuses("{\"a\":1,\"a\":1}", "a duplicate member");
	refuses("{\"a\":1,\"b\":2,\"c\":3,\"a\":{}}", "a duplicate member, apart");
	refuses("{\"a\":1,\"\\u0061\":2}", "a duplicate member, escaped");
	refuses("{\"\":1,\"\":2}", "a duplicate empty name");
	refuses("{\"o\":{\"a\":1,\"a\":2}}", "a duplicate in a nested object");
	refuses("{\"x\":[{\"a\":1,\"a\":2}]}", "a duplicate in an array");
	refuses("{\"x\":[[{\"y\":{\"a\":1,\"a\":2}}]]}", "a duplicate deep in an array");
	refuses("{\"a\":{\"b\":1},\"c\":2,\"a\":3}", "a duplicate around a nested object");
	refuses("{\"a\":{\"b\":1,\"c\":2},\"d\":[{\"e\":1}],\"d\":1}",
			"a duplicate after nested objects have closed");

	accepts("{\"a\":{\"a\":{\"a\":1}}}", "a name repeated at other levels");
	accepts("{\"a\":{\"x\":1},\"b\":{\"x\":1}}", "a name repeated in siblings");
	accepts("{\"a\":[{\"x\":1},{\"x\":1}]}", "a name repeated in array elements");
	accepts("{\"a\":1,\"A\":1,\"a \":1,\"aa\":1}", "names that differ");
}

static void
test_depth(void)
{
	char		flat[512];
	char	   *p = flat;

	accepts(nested(TN_CLAIMS_MAX_DEPTH, false), "objects as deep as allowed");
	refuses(nested(TN_CLAIMS_MAX_DEPTH + 1, false), "objects one level deeper");
	accepts(nested(TN_CLAIMS_MAX_DEPTH, true), "arrays as deep as allowed");
	refuses(nested(TN_CLAIMS_MAX_DEPTH + 1, true), "arrays one level deeper");
	accepts("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\","
			"\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\":1}",
			"brackets in strings are no nesting");
	accepts("{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
			"an escaped quote does not end a string");
	accepts("{\"a\":\"\\\\\",\"b\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
			"an escaped backslash escapes nothing");

	p += sprintf(p, "{\"a\":[");
	for (int i = 0; i < 60; i++)
		p += sprintf(p, "[],{},");
	sprintf(p, "1]}");
	accepts(flat, "closed brackets are no nesting");
}

static void
test_items(void)
{
	TnClaims	claims;

	claims = parse("{\"s\":\"x\",\"n\":-1.50e+2,\"t\":true,\"f\":false,\"z\":null,"
				   "\"o\":{\"id\":\"i\",\"p\":{\"q\":1},\"l\":[\"m\"]},"
				   "\"l\":[\"a\",2,null,[\"deep\",{\"y\":1}],{\"x\":\"hidden\"},true],"
				   "\"e\":\"\",\"\":0,\"eo\":{},\"ea\":[]}");
	ok(claims.n == 14, "number of items");
	ok(item_is(&claims, 0, "s", 1, false, TN_JSON_STRING, "x"), "a string");
	ok(item_is(&claims, 1, "n", 1, false, TN_JSON_NUMBER, "-1.50e+2"), "a number, as written");
	ok(item_is(&claims, 2, "t", 1, false, TN_JSON_BOOL, "true"), "true");
	ok(item_is(&claims, 3, "f", 1, false, TN_JSON_BOOL, "false"), "false");
	ok(item_is(&claims, 4, "z", 1, false, TN_JSON_NULL, "null"), "null");
	ok(item_is(&claims, 5, "o.id", 2, false, TN_JSON_STRING, "i"), "a nested member");
	ok(item_is(&claims, 6, "o.p.q", 3, false, TN_JSON_NUMBER, "1"), "two levels down");
	ok(item_is(&claims, 7, "o.l", 2, true, TN_JSON_STRING, "m"), "an element of a nested array");
	ok(item_is(&claims, 8, "l", 1, true, TN_JSON_STRING, "a"), "an element");
	ok(item_is(&claims, 9, "l", 1, true, TN_JSON_NUMBER, "2"), "a number element");
	ok(item_is(&claims, 10, "l", 1, true, TN_JSON_NULL, "null"), "a null element");
	ok(item_is(&claims, 11, "l", 1, true, TN_JSON_BOOL, "true"),
	   "an element after arrays and objects, which are not listed");
	ok(item_is(&claims, 12, "e", 1, false, TN_JSON_STRING, ""), "an empty string");
	ok(item_is(&claims, 13, "", 1, false, TN_JSON_NUMBER, "0"), "an empty name");
	ok(tn_claims_has(&claims, "eo") && tn_claims_has(&claims, "ea") &&
	   tn_claims_has(&claims, "l") && tn_claims_has(&claims, "o") &&
	   tn_claims_has(&claims, "z") && tn_claims_has(&claims, ""),
	   "members of every type are known");
	ok(!tn_claims_has(&claims, "id") && !tn_claims_has(&claims, "o.id") &&
	   !tn_claims_has(&claims, "x") && !tn_claims_has(&claims, "absent"),
	   "only top-level members are");

	claims = parse("{\"x\":[{\"y\":{\"z\":\"hidden\"},\"l\":[\"hidden\"]}]}");
	ok(claims.n == 0, "nothing below an object in an array is listed");
}

static void
test_find(void)
{
	TnClaims	claims;

	claims = parse("{\"s\":\"x\",\"n\":1,\"l\":[\"a\"],\"eo\":{},\"z\":null,"
				   "\"o\":{\"id\":\"nested\",\"slg\":\"slug\"},\"o.id\":\"flat\"}");
	ok(tn_claims_find(&claims, "s") == &claims.items[0], "a scalar is found");
	ok(tn_claims_find(&claims, "z") != NULL, "null is a scalar");
	ok(tn_claims_find(&claims, "l") == NULL, "an array's element is not");
	ok(tn_claims_find(&claims, "eo") == NULL && tn_claims_find(&claims, "o") == NULL,
	   "an object is not");
	ok(tn_claims_find(&claims, "absent") == NULL, "nothing is at another path");
	ok(tn_claims_find(&claims, "o.id.") == NULL && tn_claims_find(&claims, "o.i") == NULL,
	   "paths are compared whole");
	ok(same(tn_claims_string(&claims, "s"), "x"), "a string is a string");
	ok(tn_claims_string(&claims, "n") == NULL && tn_claims_string(&claims, "z") == NULL &&
	   tn_claims_string(&claims, "absent") == NULL, "nothing else is");
	ok(same(tn_claims_string(&claims, "o.slg"), "slug"), "a nested string");
	ok(same(tn_claims_string(&claims, "o.id"), "flat"),
	   "a top-level name wins over an earlier nested one");

	claims = parse("{\"o.id\":\"flat\",\"o\":{\"id\":\"nested\"}}");
	ok(same(tn_claims_string(&claims, "o.id"), "flat"),
	   "a top-level name wins over a later nested one");
	claims = parse("{\"o\":{\"id\":\"nested\"},\"o.id\":{}}");
	ok(tn_claims_find(&claims, "o.id") == NULL,
	   "a top-level name wins even if it is no scalar");
	claims = parse("{\"a\":{\"b\":{\"c\":\"deep\"},\"b.c\":\"shallow\"}}");
	ok(same(tn_claims_string(&claims, "a.b.c"), "shallow"), "the shallowest wins");
	claims = parse("{\"a.b\":{\"c\":\"1\"},\"a\":{\"b.c\":\"2\"}}");
	ok(tn_claims_find(&claims, "a.b.c") == NULL, "an ambiguous path finds nothing");
	claims = parse("{\"a.b\":{\"c\":\"1\"},\"a\":{\"b.c\":\"2\"},\"a.b.c\":\"3\"}");
	ok(same(tn_claims_string(&claims, "a.b.c"), "3"), "a top-level name ends ambiguity");
	claims = parse("{\"x\":[{\"id\":\"hidden\"}]}");
	ok(tn_claims_find(&claims, "x.id") == NULL && tn_claims_find(&claims, "id") == NULL,
	   "objects in arrays have no path");
}

static void
test_strings(void)
{
	TnClaims	claims;
	const char **strings;

	claims = parse("{\"s\":\"x\",\"l\":[\"a\",\"b\",\"c\"],\"ea\":[],\"n\":1,\"z\":null,"
				   "\"o\":{\"l\":[\"d\"]},\"mn\":[\"a\",1],\"mz\":[null],\"ml\":[\"a\",[]],"
				   "\"mo\":[{},\"a\"],\"b\":[true,\"a\"],\"after\":[\"e\"]}");
	ok(tn_claims_strings(&claims, "s", &strings) == 1 && same(strings[0], "x"),
	   "one string");
	ok(tn_claims_strings(&claims, "l", &strings) == 3 && same(strings[0], "a") &&
	   same(strings[1], "b") && same(strings[2], "c"), "an array of strings");
	ok(tn_claims_strings(&claims, "o.l", &strings) == 1 && same(strings[0], "d"),
	   "a nested array of strings");
	ok(tn_claims_strings(&claims, "after", &strings) == 1 && same(strings[0], "e"),
	   "an array after others");
	ok(tn_claims_strings(&claims, "ea", &strings) == 0 && strings == NULL,
	   "an empty array has none");
	ok(tn_claims_strings(&claims, "absent", &strings) == 0 && strings == NULL,
	   "neither has an absent claim");
	ok(tn_claims_strings(&claims, "n", &strings) == -1 && strings == NULL, "not a number");
	ok(tn_claims_strings(&claims, "z", &strings) == -1, "not null");
	ok(tn_claims_strings(&claims, "o", &strings) == -1, "not an object");
	ok(tn_claims_strings(&claims, "mn", &strings) == -1, "not an array with a number");
	ok(tn_claims_strings(&claims, "b", &strings) == -1, "not an array with a boolean first");
	ok(tn_claims_strings(&claims, "mz", &strings) == -1, "not an array of null");
	ok(tn_claims_strings(&claims, "ml", &strings) == -1, "not an array with an array");
	ok(tn_claims_strings(&claims, "mo", &strings) == -1, "not an array with an object first");

	claims = parse("{\"a.b\":{\"c\":\"1\"},\"a\":{\"b.c\":\"2\"}}");
	ok(tn_claims_strings(&claims, "a.b.c", &strings) == -1, "not an ambiguous path");
}

static void
test_numbers(void)
{
	TnClaims	claims = parse("{\"fva\":[3,-1],\"o\":{\"n\":[7]},\"none\":[],\"one\":4,\"text\":[\"1\"],"
							   "\"mixed\":[1,\"2\"],\"mixed2\":[\"1\",2],\"null\":[1,null],\"deep\":[1,[2]],"
							   "\"deep2\":[[1],2],\"object\":[1,{\"a\":2}],\"large\":[1,1e300]}");
	static const char *const refused[] = {
		"absent", "none", "one", "text", "mixed", "mixed2", "null", "deep", "deep2", "object", "large"
	};
	const char **strings;
	int64	   *numbers;

	ok(tn_claims_numbers(&claims, "fva", &numbers) == 2 && numbers[0] == 3 && numbers[1] == -1,
	   "numbers of an array");
	ok(tn_claims_numbers(&claims, "o.n", &numbers) == 1 && numbers[0] == 7, "numbers of a nested array");
	for (int i = 0; i < lengthof(refused); i++)
		ok(tn_claims_numbers(&claims, refused[i], &numbers) == 0, psprintf("no numbers: %s", refused[i]));
	ok(tn_claims_strings(&claims, "fva", &strings) == -1, "numbers are no strings");
	ok(tn_claims_strings(&claims, "mixed", &strings) == -1, "a number and a string are no strings");
	ok(tn_claims_strings(&claims, "mixed2", &strings) == -1, "a string and a number are no strings");
}

static void
time_is(const char *number, TnTimeResult result, int64 expected)
{
	int64		seconds = 4711;
	TnClaims	claims = parse(psprintf("{\"t\":%s}", number));

	ok(tn_claims_time(&claims, "t", &seconds) == result &&
	   (result != TN_TIME_OK || seconds == expected),
	   psprintf("time of %s", number));
}

static void
test_time(void)
{
	TnClaims	claims = parse("{\"o\":{\"t\":12},\"t\":1}");
	int64		seconds;

	ok(tn_claims_time(&claims, "absent", &seconds) == TN_TIME_ABSENT, "no time");
	ok(tn_claims_time(&claims, "o.t", &seconds) == TN_TIME_OK && seconds == 12,
	   "a nested time");

	time_is("0", TN_TIME_OK, 0);
	time_is("-0", TN_TIME_OK, 0);
	time_is("1700000000", TN_TIME_OK, 1700000000);
	time_is("-1700000000", TN_TIME_OK, -1700000000);
	time_is("1700000000.9", TN_TIME_OK, 1700000000);
	time_is("1700000000.99999999", TN_TIME_OK, 1700000000);
	time_is("-1.0", TN_TIME_OK, -1);
	time_is("-1.5", TN_TIME_OK, -2);
	time_is("-0.001", TN_TIME_OK, -1);
	time_is("1.7e9", TN_TIME_OK, 1700000000);
	time_is("1.7E+9", TN_TIME_OK, 1700000000);
	time_is("17000000005e-1", TN_TIME_OK, 1700000000);
	time_is("12345e-3", TN_TIME_OK, 12);
	time_is("-12345e-3", TN_TIME_OK, -13);
	time_is("1.23456e2", TN_TIME_OK, 123);
	time_is("5e-99999999999999999999", TN_TIME_OK, 0);
	time_is("-5e-3", TN_TIME_OK, -1);
	time_is("0e99999999999999999999", TN_TIME_OK, 0);
	time_is("0.000000000000000000001e22", TN_TIME_OK, 10);
	time_is("253402300799", TN_TIME_OK, INT64CONST(253402300799));
	time_is("-253402300799", TN_TIME_OK, -INT64CONST(253402300799));
	time_is("253402300799.0", TN_TIME_OK, INT64CONST(253402300799));
	time_is("253402300799.00000001", TN_TIME_INVALID, 0);
	time_is("-253402300799.5", TN_TIME_INVALID, 0);
	time_is("253402300800", TN_TIME_INVALID, 0);
	time_is("-253402300800", TN_TIME_INVALID, 0);
	time_is("2.534023008e11", TN_TIME_INVALID, 0);
	time_is("1e12", TN_TIME_INVALID, 0);
	time_is("1e99999999999999999999", TN_TIME_INVALID, 0);
	time_is("1e4294967297", TN_TIME_INVALID, 0);
	time_is("18446744073709551617", TN_TIME_INVALID, 0);
	time_is("99999999999999999999999999999999999999", TN_TIME_INVALID, 0);
	time_is("\"1700000000\"", TN_TIME_INVALID, 0);
	time_is("true", TN_TIME_INVALID, 0);
	time_is("null", TN_TIME_INVALID, 0);
	time_is("[1700000000]", TN_TIME_INVALID, 0);
	time_is("{}", TN_TIME_INVALID, 0);
	time_is("[]", TN_TIME_INVALID, 0);

	claims = parse("{\"a.b\":{\"c\":1},\"a\":{\"b.c\":1}}");
	ok(tn_claims_time(&claims, "a.b.c", &seconds) == TN_TIME_INVALID,
	   "time at an ambiguous path");
}

int
main(void)
{
	test_grammar();
	test_encoding();
	test_duplicates();
	test_depth();
	test_items();
	test_find();
	test_strings();
	test_numbers();
	test_time();
	printf("1..%d\n", n_tests);
	return n_failed == 0 ? 0 : 1;
}
