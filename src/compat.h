/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Everything that differs between the supported PostgreSQL majors.
 *
 * No other file tests PG_VERSION_NUM.  Include this right after postgres.h
 * (or postgres_fe.h, for the files that unit tests link as frontend code).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TN_COMPAT_H
#define TN_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "tenancy supports PostgreSQL 15 to 18"
#endif

/*
 * The streaming JSON parser (common/jsonapi.h).
 *
 * From 16 on a semantic action returns an error code, where 15 has it return
 * nothing.  An action is declared TN_JSON_ACTION and ends with
 * TN_JSON_ACTION_DONE; it notes its own verdict in its state, the one way to
 * report it that all majors have.
 */
#if PG_VERSION_NUM >= 160000
#define TN_JSON_ACTION JsonParseErrorType
#define TN_JSON_ACTION_DONE return JSON_SUCCESS
#else
#define TN_JSON_ACTION void
#define TN_JSON_ACTION_DONE return
#endif

/*
 * A lexer for len bytes of UTF-8 that de-escapes strings.  From 17 on the
 * caller may provide its place, or NULL to have it palloc'd as before.  None
 * writes to its input, though not all declare it const.
 */
#if PG_VERSION_NUM >= 170000
#define tn_json_lexer(json, len) \
	makeJsonLexContextCstringLen(NULL, unconstify(char *, json), (len), \
								 PG_UTF8, true)
#else
#define tn_json_lexer(json, len) \
	makeJsonLexContextCstringLen(unconstify(char *, json), (int) (len), \
								 PG_UTF8, true)
#endif

/*
 * Marks a function that does not return, in front of its declaration; before
 * 18 it was pg_attribute_noreturn(), behind (29f7ce6fe).
 */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

#ifndef FRONTEND

/*
 * Debian's (and everybody's) PostgreSQL 15 defines PGDLLEXPORT as nothing on
 * Linux, so -fvisibility=hidden would hide even the magic block; 16 made it
 * visibility("default") (089480c07).
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

#include "fmgr.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#define TENANCY_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/*
 * A block that guc.c may free(): malloc'd in 15, in a memory context since
 * 16 (407b50f2d).  NULL when out of memory, as check hooks want it.
 */
#if PG_VERSION_NUM >= 160000
#define tn_guc_malloc(size) guc_malloc(LOG, (size))
#define tn_guc_free(block) guc_free(block)
#else
#define tn_guc_malloc(size) malloc(size)
#define tn_guc_free(block) free(block)
#endif

/*
 * The record of a setting; 15 keeps find_option() to itself.
 */
static inline struct config_generic *
tn_find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, ERROR);
#else
	struct config_generic **all = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
	{
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
#endif
}

/*
 * The executor is told whether a query will be run once only, until 18
 * (3eea7a0c9).  There, any may be run again.
 */
#if PG_VERSION_NUM >= 180000
#define TN_EXECUTE_ONCE_PARAMETER
#define TN_EXECUTE_ONCE_ARGUMENT
#define TN_MAY_RUN_AGAIN true
#else
#define TN_EXECUTE_ONCE_PARAMETER , bool execute_once
#define TN_EXECUTE_ONCE_ARGUMENT , execute_once
#define TN_MAY_RUN_AGAIN (!execute_once)
#endif

/*
 * What EXPLAIN ANALYZE shows as "Heap Blocks" of a bitmap scan; 18 moved it
 * into a struct (5a1e6df3b).
 */
#if PG_VERSION_NUM >= 180000
#define tn_clear_heap_blocks(state) \
	((state)->stats.exact_pages = (state)->stats.lossy_pages = 0)
#else
#define tn_clear_heap_blocks(state) \
	((state)->exact_pages = (state)->lossy_pages = 0)
#endif

/*
 * What it shows as "Index Searches", since 18 (0fbceae84).
 */
#if PG_VERSION_NUM >= 180000
#define tn_clear_index_searches(instrument) ((instrument).nsearches = 0)
#else
#define tn_clear_index_searches(instrument) ((void) 0)
#endif

#endif							/* FRONTEND */

#endif							/* TN_COMPAT_H */
