-- Search under isolation: allow_pushdown(), revoke_pushdown() and pushdown_status().
--
-- Why it exists: under row security PostgreSQL uses an index only for operators whose functions are marked leakproof, and few are.
--
-- Invariants:
--   * No function on the list raises an error, a notice or a log line that depends on its arguments, whatever these are. What is a
--     constant in one query is chosen by CASE, for each hidden row, in another; so is whether the function is called at all. Two
--     exceptions, both no news to who has "=", which PostgreSQL marks itself, and a clock: arguments of hundreds of megabytes, or so
--     deeply nested, that memory or stack runs out; and what a collation reports when it is used (it cannot be determined, or is of
--     another version).
--   * Where the original does raise one, a stand-in of ours (src/pushdown.c) is marked instead.
--   * A function that was leakproof before is not ours: neither marked nor taken back.
--   * An entry that leaves the list must be taken back by the update that removes it.

-- ---------------------------------------------------------------------------------------------
-- Stand-ins
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.leakproof_textlike(text, text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SUPPORT pg_catalog.textlike_support AS 'MODULE_PATHNAME', 'tenancy_leakproof_textlike';
COMMENT ON FUNCTION tenancy.leakproof_textlike(text, text) IS 'Stands in for textlike(text, text): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_texticlike(text, text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SUPPORT pg_catalog.texticlike_support AS 'MODULE_PATHNAME', 'tenancy_leakproof_texticlike';
COMMENT ON FUNCTION tenancy.leakproof_texticlike(text, text) IS 'Stands in for texticlike(text, text): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_array_eq(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_array_eq';
COMMENT ON FUNCTION tenancy.leakproof_array_eq(anyarray, anyarray) IS 'Stands in for array_eq(anyarray, anyarray): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_arraycontains(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_arraycontains';
COMMENT ON FUNCTION tenancy.leakproof_arraycontains(anyarray, anyarray) IS 'Stands in for arraycontains(anyarray, anyarray): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_arraycontained(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_arraycontained';
COMMENT ON FUNCTION tenancy.leakproof_arraycontained(anyarray, anyarray) IS 'Stands in for arraycontained(anyarray, anyarray): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_arrayoverlap(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_arrayoverlap';
COMMENT ON FUNCTION tenancy.leakproof_arrayoverlap(anyarray, anyarray) IS 'Stands in for arrayoverlap(anyarray, anyarray): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_eq(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_eq';
COMMENT ON FUNCTION tenancy.leakproof_range_eq(anyrange, anyrange) IS 'Stands in for range_eq(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_contains(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_contains';
COMMENT ON FUNCTION tenancy.leakproof_range_contains(anyrange, anyrange) IS 'Stands in for range_contains(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_contained_by(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_contained_by';
COMMENT ON FUNCTION tenancy.leakproof_range_contained_by(anyrange, anyrange) IS 'Stands in for range_contained_by(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_overlaps(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_overlaps';
COMMENT ON FUNCTION tenancy.leakproof_range_overlaps(anyrange, anyrange) IS 'Stands in for range_overlaps(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_before(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_before';
COMMENT ON FUNCTION tenancy.leakproof_range_before(anyrange, anyrange) IS 'Stands in for range_before(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_after(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_after';
COMMENT ON FUNCTION tenancy.leakproof_range_after(anyrange, anyrange) IS 'Stands in for range_after(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_overleft(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_overleft';
COMMENT ON FUNCTION tenancy.leakproof_range_overleft(anyrange, anyrange) IS 'Stands in for range_overleft(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_overright(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_overright';
COMMENT ON FUNCTION tenancy.leakproof_range_overright(anyrange, anyrange) IS 'Stands in for range_overright(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_adjacent(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_adjacent';
COMMENT ON FUNCTION tenancy.leakproof_range_adjacent(anyrange, anyrange) IS 'Stands in for range_adjacent(anyrange, anyrange): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_range_contains_elem(anyrange, anyelement)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_contains_elem';
COMMENT ON FUNCTION tenancy.leakproof_range_contains_elem(anyrange, anyelement) IS 'Stands in for range_contains_elem(anyrange, anyelement): null where that may raise an error.';
CREATE OR REPLACE FUNCTION tenancy.leakproof_elem_contained_by_range(anyelement, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_elem_contained_by_range';
COMMENT ON FUNCTION tenancy.leakproof_elem_contained_by_range(anyelement, anyrange) IS 'Stands in for elem_contained_by_range(anyelement, anyrange): null where that may raise an error.';

-- ---------------------------------------------------------------------------------------------
-- The list
-- ---------------------------------------------------------------------------------------------

-- What of it is there on this major, with the extensions that are installed. Whatever else has such a name is not meant: PostgreSQL's
-- own functions were made by initdb (below 16384, FirstNormalObjectId), the others belong to their extension.
CREATE OR REPLACE FUNCTION tenancy.pushdown_list()
RETURNS TABLE (entry text, function regprocedure, serves text, leakproof boolean, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('%s(%s)', f.name, l.arguments), p.oid::regprocedure, l.serves, p.proleakproof, l.reason
	FROM (VALUES
		('pattern', 'tenancy', '{leakproof_textlike,leakproof_texticlike}', 'text, text',
			'LIKE and ILIKE fail at a pattern that ends with an escape, and under a nondeterministic collation: null here'),
		('case', NULL, '{lower,upper}', 'text',
			'maps characters; what is stored is valid in the encoding, so there is nothing to reject'),
		('case', 'citext', '{citext_eq,citext_ne,citext_lt,citext_le,citext_gt,citext_ge}', 'citext, citext',
			'lower() of both, then the comparison of text'),
		('trigram', 'pg_trgm', '{similarity_op,word_similarity_op,word_similarity_commutator_op,strict_word_similarity_op,strict_word_similarity_commutator_op}', 'text, text',
			'cuts both into trigrams and counts those in common; a text without any has similarity 0'),
		('jsonb', NULL, '{jsonb_contains,jsonb_contained}', 'jsonb, jsonb',
			'walks both values; a scalar, an array and an object are unequal, not an error'),
		('jsonb', NULL, '{jsonb_eq,jsonb_ne}', 'jsonb, jsonb',
			'walks both values without recursion; values of different kinds are ordered, not an error'),
		('jsonb', NULL, '{jsonb_exists,jsonb_object_field,jsonb_object_field_text}', 'jsonb, text',
			'looks up a key; null or false for what is no object'),
		('jsonb', NULL, '{jsonb_exists_any,jsonb_exists_all}', 'jsonb, text[]',
			'looks up keys; passes over null ones'),
		('jsonb', NULL, '{jsonb_array_element,jsonb_array_element_text}', 'jsonb, integer',
			'null for what is no array and for a position outside'),
		('jsonb', NULL, '{jsonb_extract_path,jsonb_extract_path_text}', 'jsonb, text[]',
			'null for a step that leads nowhere, such as a word into an array'),
		('array', 'tenancy', '{leakproof_array_eq,leakproof_arraycontains,leakproof_arraycontained,leakproof_arrayoverlap}', 'anyarray, anyarray',
			'compares elements with the "=" of their type, which fails for some (records): null here unless that "=" is leakproof'),
		('range', 'tenancy', '{leakproof_range_eq,leakproof_range_contains,leakproof_range_contained_by,leakproof_range_overlaps,leakproof_range_before,leakproof_range_after,leakproof_range_overleft,leakproof_range_overright,leakproof_range_adjacent}', 'anyrange, anyrange',
			'compares bounds with the comparison of their type, which fails for some (records): null here unless that is leakproof'),
		('range', 'tenancy', '{leakproof_range_contains_elem}', 'anyrange, anyelement',
			'as the other operators of ranges'),
		('range', 'tenancy', '{leakproof_elem_contained_by_range}', 'anyelement, anyrange',
			'as the other operators of ranges'),
		('range', NULL, '{numeric_cmp}', 'numeric, numeric',
			'compares digits; NaN and the infinities have their places. Bounds of numrange are compared with it'),
		('text_search', NULL, '{ts_match_vq}', 'tsvector, tsquery',
			'looks the lexemes of a parsed query up in a parsed document'),
		('text_search', NULL, '{ts_match_qv}', 'tsquery, tsvector',
			'looks the lexemes of a parsed query up in a parsed document'),
		('numeric', NULL, '{numeric_eq,numeric_ne,numeric_lt,numeric_le,numeric_gt,numeric_ge}', 'numeric, numeric',
			'compares digits; NaN and the infinities have their places'),
		('time', NULL, '{date_eq_timestamp,date_ne_timestamp,date_lt_timestamp,date_le_timestamp,date_gt_timestamp,date_ge_timestamp}', 'date, timestamp without time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{date_eq_timestamptz,date_ne_timestamptz,date_lt_timestamptz,date_le_timestamptz,date_gt_timestamptz,date_ge_timestamptz}', 'date, timestamp with time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamp_eq_date,timestamp_ne_date,timestamp_lt_date,timestamp_le_date,timestamp_gt_date,timestamp_ge_date}', 'timestamp without time zone, date',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamp_eq_timestamptz,timestamp_ne_timestamptz,timestamp_lt_timestamptz,timestamp_le_timestamptz,timestamp_gt_timestamptz,timestamp_ge_timestamptz}', 'timestamp without time zone, timestamp with time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamptz_eq_date,timestamptz_ne_date,timestamptz_lt_date,timestamptz_le_date,timestamptz_gt_date,timestamptz_ge_date}', 'timestamp with time zone, date',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamptz_eq_timestamp,timestamptz_ne_timestamp,timestamptz_lt_timestamp,timestamptz_le_timestamp,timestamptz_gt_timestamp,timestamptz_ge_timestamp}', 'timestamp with time zone, timestamp without time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('enum', NULL, '{enum_eq,enum_ne,enum_lt,enum_le,enum_gt,enum_ge}', 'anyenum, anyenum',
			'compares identifiers, or their places in the list of values, from which none is ever removed'),
		('network', NULL, '{network_sub,network_subeq,network_sup,network_supeq,network_overlap}', 'inet, inet',
			'compares bits; addresses of different families are apart, not an error'))
		AS l (serves, extension, names, arguments, reason)
	LEFT JOIN pg_extension e ON e.extname = l.extension
	JOIN pg_namespace n ON n.oid = coalesce(e.extnamespace, 'pg_catalog'::regnamespace)
	CROSS JOIN LATERAL unnest(l.names::text[]) AS f (name)
	JOIN pg_proc p ON p.oid = to_regprocedure(CASE WHEN l.extension IS NULL OR e.oid IS NOT NULL THEN
		format('%I.%I(%s)', n.nspname, f.name, replace(l.arguments, 'citext', format('%I.citext', n.nspname))) END)
	WHERE CASE WHEN l.extension IS NULL THEN p.oid < 16384
		ELSE EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
			AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e') END
$$;
COMMENT ON FUNCTION tenancy.pushdown_list() IS 'Internal: the functions that allow_pushdown() marks leakproof, what for, and why they cannot leak.';

CREATE OR REPLACE FUNCTION tenancy.pushdown_status()
RETURNS TABLE (function text, serves text, leakproof boolean, allowed boolean, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT l.function::text, l.serves, l.leakproof, m.entry IS NOT NULL, l.reason
	FROM tenancy.pushdown_list() l LEFT JOIN tenancy.pushdown_marks m USING (entry)
	ORDER BY l.serves, l.function::text COLLATE "C"
$$;
COMMENT ON FUNCTION tenancy.pushdown_status() IS 'Which functions allow_pushdown() marks leakproof, whether they are, whether it was we, and why they cannot leak.';

-- ---------------------------------------------------------------------------------------------
-- Allowing and revoking
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.forget_plans()
RETURNS void LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'tenancy_forget_plans';
COMMENT ON FUNCTION tenancy.forget_plans() IS 'Internal: every session plans its statements anew once this transaction has committed.';

-- Two calls at once would each see what the other is about to mark; hence the lock.
CREATE OR REPLACE FUNCTION tenancy.pushdown_check(serves text[])
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	unknown text;
BEGIN
	PERFORM tenancy.assert_administrator('mark functions leakproof');
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'permission denied to mark functions leakproof'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'The mark is one of PostgreSQL''s own functions, and counts in the whole database.',
				HINT = 'Call it as a superuser.';
	END IF;
	SELECT coalesce(s, 'null') INTO unknown FROM unnest(pushdown_check.serves) s
	WHERE s IS NULL OR s NOT IN ('pattern', 'case', 'trigram', 'jsonb', 'array', 'range', 'text_search', 'numeric', 'time', 'enum', 'network');
	IF FOUND THEN
		RAISE EXCEPTION 'there is no kind of search "%"', unknown
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'There are pattern, case, trigram, jsonb, array, range, text_search, numeric, time, enum and network.';
	END IF;
	LOCK TABLE tenancy.pushdown_marks IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION tenancy.pushdown_check(text[]) IS 'Internal: may the caller do this, are there such kinds of search; and one at a time.';

-- Nobody needs EXECUTE on a built-in operator's function; so it must be with what stands in for one.
CREATE OR REPLACE FUNCTION tenancy.pushdown_mark(function regprocedure, leakproof boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('ALTER FUNCTION %s %s', pushdown_mark.function, CASE WHEN leakproof THEN 'LEAKPROOF' ELSE 'NOT LEAKPROOF' END);
	IF (SELECT p.pronamespace = 'tenancy'::regnamespace FROM pg_proc p WHERE p.oid = pushdown_mark.function) THEN
		EXECUTE format(CASE WHEN leakproof THEN 'GRANT EXECUTE ON FUNCTION %s TO PUBLIC' ELSE 'REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC' END,
			pushdown_mark.function);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.pushdown_mark(regprocedure, boolean) IS 'Internal: marks a function leakproof, or takes the mark back.';

-- SECURITY INVOKER, as all of this: PostgreSQL itself refuses whoever is no superuser.
CREATE OR REPLACE FUNCTION tenancy.allow_pushdown(serves text[] DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	f record;
	marked text[] := '{}';
BEGIN
	PERFORM tenancy.pushdown_check(allow_pushdown.serves);
	FOR f IN SELECT l.* FROM tenancy.pushdown_list() l
			WHERE NOT l.leakproof AND (allow_pushdown.serves IS NULL OR l.serves = ANY (allow_pushdown.serves)) ORDER BY l.entry LOOP
		PERFORM tenancy.pushdown_mark(f.function, true);
		INSERT INTO tenancy.pushdown_marks (entry) VALUES (f.entry) ON CONFLICT (entry) DO UPDATE SET marked_at = now();
		marked := marked || f.entry;
	END LOOP;
	IF marked <> '{}' THEN
		PERFORM tenancy.forget_plans(),
			tenancy.record_change('allow_pushdown', NULL, NULL, NULL, jsonb_build_object('functions', marked));
	END IF;
	RETURN cardinality(marked);
END
$$;
COMMENT ON FUNCTION tenancy.allow_pushdown(text[]) IS 'Lets indexes serve searches under row security: marks functions that cannot leak as leakproof, all or those of some kinds of search.';

CREATE OR REPLACE FUNCTION tenancy.revoke_pushdown(serves text[] DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	f record;
	revoked text[] := '{}';
BEGIN
	PERFORM tenancy.pushdown_check(revoke_pushdown.serves);
	FOR f IN SELECT l.* FROM tenancy.pushdown_list() l JOIN tenancy.pushdown_marks m USING (entry)
			WHERE revoke_pushdown.serves IS NULL OR l.serves = ANY (revoke_pushdown.serves) ORDER BY l.entry LOOP
		PERFORM tenancy.pushdown_mark(f.function, false);
		DELETE FROM tenancy.pushdown_marks m WHERE m.entry = f.entry;
		revoked := revoked || f.entry;
	END LOOP;
	-- Of extensions that are gone.
	IF revoke_pushdown.serves IS NULL THEN
		DELETE FROM tenancy.pushdown_marks;
	END IF;
	IF revoked <> '{}' THEN
		PERFORM tenancy.forget_plans(),
			tenancy.record_change('revoke_pushdown', NULL, NULL, jsonb_build_object('functions', revoked), NULL);
	END IF;
	RETURN cardinality(revoked);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_pushdown(text[]) IS 'Takes back what allow_pushdown() marked, and nothing else.';
