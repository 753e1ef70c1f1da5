-- How a change of authority reaches every connection at commit: a trigger on each table that decides something invalidates
-- an empty relation, and every backend that hears of it re-reads what it had cached.

CREATE TABLE tenancy.authority_signal (nothing boolean CHECK (false) NO INHERIT);
COMMENT ON TABLE tenancy.authority_signal IS 'Always empty. Its relcache invalidation says: users, memberships or orgs have changed.';
CREATE TABLE tenancy.permission_signal (nothing boolean CHECK (false) NO INHERIT);
COMMENT ON TABLE tenancy.permission_signal IS 'Always empty. Its relcache invalidation says: what roles grant has changed.';
CREATE TABLE tenancy.keyring_signal (nothing boolean CHECK (false) NO INHERIT);
COMMENT ON TABLE tenancy.keyring_signal IS 'Always empty. Its relcache invalidation says: issuers or signing keys have changed.';

CREATE FUNCTION tenancy.signal_authority_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_signal_authority_change';
COMMENT ON FUNCTION tenancy.signal_authority_change() IS 'Trigger: tells every connection that users, memberships or orgs have changed.';
CREATE FUNCTION tenancy.signal_permission_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_signal_permission_change';
COMMENT ON FUNCTION tenancy.signal_permission_change() IS 'Trigger: tells every connection that what roles grant has changed.';
CREATE FUNCTION tenancy.signal_keyring_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'tenancy_signal_keyring_change';
COMMENT ON FUNCTION tenancy.signal_keyring_change() IS 'Trigger: tells every connection that issuers or signing keys have changed.';

CREATE FUNCTION tenancy.signalled_tables(OUT table_name name, OUT kind text)
RETURNS SETOF record LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT unnest('{users,identities,superadmins,organizations,org_external_ids,memberships,roles,
		membership_roles,default_orgs,impersonations}'::name[]), 'authority'
	UNION ALL SELECT unnest('{role_permissions,revoked_permissions,fresh_authentications}'::name[]), 'permission'
	UNION ALL SELECT unnest('{issuers,signing_keys}'::name[]), 'keyring'
$$;
COMMENT ON FUNCTION tenancy.signalled_tables() IS 'Internal: the tables whose change every connection hears of, and by which signal.';

-- ALWAYS: session_replication_role = replica must not silence it. Logical replication fires no statement triggers but for TRUNCATE and
-- the first copy, so that a subscriber needs one for each row; it fires where changes are replicated, and nowhere else.
CREATE FUNCTION tenancy.signal_statements(table_name name, kind text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('CREATE OR REPLACE TRIGGER signal_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.%1$I '
		'FOR EACH STATEMENT EXECUTE FUNCTION tenancy.%2$I(); ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER signal_change; '
		'CREATE OR REPLACE TRIGGER signal_replicated_change AFTER INSERT OR UPDATE OR DELETE ON tenancy.%1$I '
		'FOR EACH ROW EXECUTE FUNCTION tenancy.%2$I(); ALTER TABLE tenancy.%1$I ENABLE REPLICA TRIGGER signal_replicated_change',
		table_name, 'signal_' || kind || '_change')
$$;
COMMENT ON FUNCTION tenancy.signal_statements(name, text) IS 'Internal: the statements that give a table its signals.';

DO $$
DECLARE
	statement text;
BEGIN
	FOR statement IN SELECT tenancy.signal_statements(s.table_name, s.kind) FROM tenancy.signalled_tables() s LOOP
		EXECUTE statement;
	END LOOP;
END
$$;
