-- Guarded schemas: whose new tables are protected, or refused. By name, as a dump carries them; of a table that is renamed only
-- doctor() takes note.

CREATE TABLE tenancy.guarded_schemas (
	schema_name name PRIMARY KEY,
	action text NOT NULL CHECK (action IN ('protect', 'refuse'))
);
COMMENT ON TABLE tenancy.guarded_schemas IS 'Schemas whose new tables are protected, or refused.';

CREATE TABLE tenancy.shared_tables (
	schema_name name,
	table_name name,
	PRIMARY KEY (schema_name, table_name)
);
COMMENT ON TABLE tenancy.shared_tables IS 'Tables that are meant to be every org''s, whether they are there yet or not.';

-- A row is deleted at commit, by the trigger that it fires, or before: none is ever committed, and the OID of a table may stand in it.
CREATE TABLE tenancy.unguarded_tables (
	relid bigint PRIMARY KEY
);
COMMENT ON TABLE tenancy.unguarded_tables IS 'Tables made in this transaction that are being protected, or must be when it commits. Always empty to others.';

CREATE FUNCTION tenancy.check_unguarded_table() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM tenancy.unguarded_tables u WHERE u.relid = NEW.relid;
	PERFORM tenancy.guard_refuse(NEW.relid::oid);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy.check_unguarded_table() IS 'Trigger: at commit a new table in a guarded schema is protected or shared.';
CREATE CONSTRAINT TRIGGER check_at_commit AFTER INSERT ON tenancy.unguarded_tables DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION tenancy.check_unguarded_table();

CREATE FUNCTION tenancy.guard_new_tables() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_guard_new_tables';
COMMENT ON FUNCTION tenancy.guard_new_tables() IS 'Event trigger: guards new tables in guarded schemas.';

CREATE EVENT TRIGGER tenancy_guard ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE SCHEMA',
		'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA')
	EXECUTE FUNCTION tenancy.guard_new_tables();
-- ALWAYS: session_replication_role = replica must not silence it.
ALTER EVENT TRIGGER tenancy_guard ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER tenancy_guard IS 'Guards new tables in schemas that guard_schema() was called for.';
