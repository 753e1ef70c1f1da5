-- guard_schema(): a new table in a guarded schema is protected when it is made, or refused.
--
-- Why it exists: protect() works for whoever remembers to call it.
--
-- Invariants:
--   * It helps who creates tables; it does not stop them. Whoever owns a table can take its policies away again.
--   * What guards runs with the rights of the extension's owner, as who creates a table need not be an administrator; code of the
--     table's runs as the table's owner, as in protect().
--   * A restore is left alone: the policies are in the dump, and come after the tables.

-- Whether a table of that name is meant to have no org.
CREATE OR REPLACE FUNCTION tenancy.is_shared(target oid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN tenancy.shared_tables s ON s.schema_name = n.nspname AND s.table_name = c.relname WHERE c.oid = is_shared.target)
$$;
COMMENT ON FUNCTION tenancy.is_shared(oid) IS 'Internal: whether share_table() was called for a table.';

-- Both are in the first lines of what pg_dump writes, and hardly ever together elsewhere. Who sets them on purpose could as well drop
-- the policies afterwards.
CREATE OR REPLACE FUNCTION tenancy.is_restoring()
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT current_setting('row_security') = 'off' AND current_setting('check_function_bodies') = 'off'
$$;
COMMENT ON FUNCTION tenancy.is_restoring() IS 'Internal: whether the session restores a dump.';

-- The table may be gone by now, or protected, shared or moved. Its partitions count with it.
CREATE OR REPLACE FUNCTION tenancy.guard_refuse(target oid)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	guarded name;
	open_table regclass;
BEGIN
	SELECT g.schema_name, m.member INTO guarded, open_table
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN tenancy.guarded_schemas g ON g.schema_name = n.nspname
	CROSS JOIN LATERAL tenancy.protection_members(c.oid) m (member)
	WHERE c.oid = guard_refuse.target AND g.action = 'refuse' AND NOT tenancy.is_shared(c.oid)
		AND (SELECT p.resource_type FROM tenancy.protection_of(m.member) p) IS NULL
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table % is not protected', open_table
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('Schema %I is guarded.', guarded),
				HINT = format('Call tenancy.protect(%L) in the transaction that makes it, or have the DBA declare it with tenancy.share_table().', guard_refuse.target::regclass);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.guard_refuse(oid) IS 'Internal: raises an error for a table that must not be in its schema.';

-- A partition is protected as its root is; a table that was protected before it was moved here stays as it is.
CREATE OR REPLACE FUNCTION tenancy.guard_protect(target regclass)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	protection record;
	guarded name := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = guard_protect.target);
	message text;
	detail text;
	hint text;
BEGIN
	SELECT * INTO protection FROM tenancy.protection_of(coalesce(pg_partition_root(guard_protect.target), guard_protect.target));
	INSERT INTO tenancy.unguarded_tables (relid) VALUES (guard_protect.target::oid::bigint);
	PERFORM tenancy.protection_make(guard_protect.target, NULL, coalesce(protection.org_column, 'org_id'), NULL);
	DELETE FROM tenancy.unguarded_tables u WHERE u.relid = guard_protect.target::oid::bigint;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE EXCEPTION 'table % cannot be in guarded schema %', guard_protect.target, quote_ident(guarded)
		USING ERRCODE = sqlstate, DETAIL = concat_ws(E'\n', message || '.', nullif(detail, '')),
			HINT = concat_ws(E'\n', nullif(hint, ''), 'To choose its resource type or org column, make and protect it in another schema, then move it here.',
				'If it is meant to be every org''s, have the DBA call tenancy.share_table() before it is made.');
END
$$;
COMMENT ON FUNCTION tenancy.guard_protect(regclass) IS 'Internal: protects a new table, or says why it cannot be in its schema.';

-- A partition attached to a table that was there, unprotected, before the guard came is as open as that.
CREATE OR REPLACE FUNCTION tenancy.guard_tables(attached boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t record;
BEGIN
	IF tenancy.is_restoring() THEN
		RETURN;
	END IF;
	FOR t IN SELECT DISTINCT c.oid, g.action FROM pg_event_trigger_ddl_commands() e JOIN pg_class c ON c.oid = e.objid
			JOIN pg_namespace n ON n.oid = c.relnamespace JOIN tenancy.guarded_schemas g ON g.schema_name = n.nspname
			WHERE e.classid = 'pg_class'::regclass AND NOT e.in_extension AND c.relkind IN ('r', 'p', 'f') AND NOT tenancy.is_shared(c.oid)
				AND (NOT guard_tables.attached OR (SELECT p.resource_type FROM tenancy.protection_of(c.oid) p) IS NOT NULL)
			ORDER BY c.oid LOOP
		IF t.action = 'protect' THEN
			PERFORM tenancy.guard_protect(t.oid);
		ELSE
			INSERT INTO tenancy.unguarded_tables (relid) VALUES (t.oid::bigint) ON CONFLICT DO NOTHING;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.guard_tables(boolean) IS 'Internal: does what the guards ask for, for the tables of the command that has just ended.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.guard_schema(schema regnamespace, action text DEFAULT 'protect')
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	name name := (SELECT n.nspname FROM pg_namespace n WHERE n.oid = guard_schema.schema);
	old_action text;
BEGIN
	PERFORM tenancy.assert_administrator('guard a schema');
	PERFORM tenancy.assert_not_null(name::text, 'schema', 'Name a schema that exists.');
	IF guard_schema.action IS NULL OR guard_schema.action NOT IN ('protect', 'refuse') THEN
		RAISE EXCEPTION 'invalid action of a guard'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass ''protect'' or ''refuse''.';
	END IF;
	IF name IN ('tenancy', 'information_schema') OR name LIKE 'pg\_%' THEN
		RAISE EXCEPTION 'schema % cannot be guarded', guard_schema.schema
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It is no schema of the application''s.', HINT = 'Name the schema that your tables are in.';
	END IF;
	SELECT g.action INTO old_action FROM tenancy.guarded_schemas g WHERE g.schema_name = name;
	IF old_action IS DISTINCT FROM guard_schema.action THEN
		INSERT INTO tenancy.guarded_schemas AS g (schema_name, action) VALUES (name, guard_schema.action)
		ON CONFLICT (schema_name) DO UPDATE SET action = excluded.action;
		PERFORM tenancy.record_change('guard_schema', NULL, quote_ident(name), jsonb_build_object('action', old_action), jsonb_build_object('action', guard_schema.action));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.guard_schema(regnamespace, text) IS 'From now on a new table in the schema is protected when it is made, or refused unless its transaction protects it.';

-- By name, as the schema may have been dropped or renamed.
CREATE OR REPLACE FUNCTION tenancy.unguard_schema(schema_name name)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	old_action text;
BEGIN
	PERFORM tenancy.assert_administrator('end the guard of a schema');
	DELETE FROM tenancy.guarded_schemas g WHERE g.schema_name = unguard_schema.schema_name RETURNING g.action INTO old_action;
	IF NOT FOUND THEN
		RAISE NOTICE 'schema % is not guarded', quote_ident(unguard_schema.schema_name);
		RETURN;
	END IF;
	PERFORM tenancy.record_change('unguard_schema', NULL, quote_ident(unguard_schema.schema_name), jsonb_build_object('action', old_action), NULL);
END
$$;
COMMENT ON FUNCTION tenancy.unguard_schema(name) IS 'Ends what guard_schema() began; tables stay as they are.';

CREATE OR REPLACE FUNCTION tenancy.share_table(schema_name name, table_name name)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target CONSTANT text := concat_ws('.', quote_ident(share_table.schema_name), quote_ident(share_table.table_name));
BEGIN
	PERFORM tenancy.assert_administrator('share a table');
	PERFORM tenancy.assert_not_null(share_table.schema_name::text, 'schema_name', 'Name the schema of the table.');
	PERFORM tenancy.assert_not_null(share_table.table_name::text, 'table_name', 'Name the table.');
	IF (SELECT p.resource_type FROM tenancy.protection_of(to_regclass(target)) p) IS NOT NULL THEN
		RAISE EXCEPTION 'table % is protected', target
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Its rows belong to orgs.', HINT = format('Call tenancy.unprotect(%L) first.', target);
	END IF;
	INSERT INTO tenancy.shared_tables (schema_name, table_name) VALUES (share_table.schema_name, share_table.table_name) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		PERFORM tenancy.record_change('share_table', NULL, target);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.share_table(name, name) IS 'Declares that a table, whether it exists yet or not, is meant to be every org''s: no guard and no doctor asks for its protection.';

CREATE OR REPLACE FUNCTION tenancy.unshare_table(schema_name name, table_name name)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target CONSTANT text := concat_ws('.', quote_ident(unshare_table.schema_name), quote_ident(unshare_table.table_name));
BEGIN
	PERFORM tenancy.assert_administrator('share a table no longer');
	DELETE FROM tenancy.shared_tables s WHERE s.schema_name = unshare_table.schema_name AND s.table_name = unshare_table.table_name;
	IF NOT FOUND THEN
		RAISE NOTICE 'table % is not shared', target;
		RETURN;
	END IF;
	PERFORM tenancy.record_change('unshare_table', NULL, target);
END
$$;
COMMENT ON FUNCTION tenancy.unshare_table(name, name) IS 'Takes back what share_table() declared; the table stays as it is.';
