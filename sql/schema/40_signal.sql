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

-- ALWAYS: logical replication and session_replication_role = replica must not silence it.
DO $$
DECLARE
	kind name;
	t name;
BEGIN
	FOR kind, t IN
		SELECT 'authority', pg_catalog.unnest('{users,identities,superadmins,organizations,org_external_ids,memberships,roles,
			membership_roles,default_orgs,impersonations}'::name[])
		UNION ALL SELECT 'permission', pg_catalog.unnest('{role_permissions,revoked_permissions,fresh_authentications}'::name[])
		UNION ALL SELECT 'keyring', pg_catalog.unnest('{issuers,signing_keys}'::name[])
	LOOP
		EXECUTE pg_catalog.format('CREATE TRIGGER signal_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.%I
			FOR EACH STATEMENT EXECUTE FUNCTION tenancy.%I()', t, 'signal_' || kind || '_change');
		EXECUTE pg_catalog.format('ALTER TABLE tenancy.%I ENABLE ALWAYS TRIGGER signal_change', t);
	END LOOP;
END
$$;
