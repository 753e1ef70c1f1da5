-- What plpgsql_check finds in tenancy's functions: errors, whatever path they lie on; variables that nothing uses; statements that could be
-- put together by a caller. dev/test fails if it returns a row.
SELECT f.oid::regprocedure, c.lineno, c.message, c.detail
FROM pg_proc f
JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
LEFT JOIN (SELECT DISTINCT ON (t.tgfoid) t.tgfoid, t.tgrelid FROM pg_trigger t ORDER BY t.tgfoid, t.oid) t ON t.tgfoid = f.oid
CROSS JOIN LATERAL plpgsql_check_function_tb(f.oid, coalesce(t.tgrelid, 0), fatal_errors => false, performance_warnings => false, security_warnings => true) c
WHERE f.pronamespace = 'tenancy'::regnamespace
	-- It runs statements of protect() that are put together elsewhere.
	AND NOT (f.oid = 'tenancy.protection_run(regclass,text)'::regprocedure AND c.level = 'security')
	-- Whether an invitation has expired is asked of the clock, once a row.
	AND NOT (f.oid = 'tenancy.list_invitations()'::regprocedure AND c.message = 'routine is marked as STABLE, but expression is VOLATILE')
	-- '{}' for an array or jsonb, and a text's cast to what it is assigned to.
	AND c.message <> 'target type is different type than source type'
	-- Names that users write quoted.
	AND c.message !~ '^name of parameter "table" is reserved keyword$'
ORDER BY 1, 2;
