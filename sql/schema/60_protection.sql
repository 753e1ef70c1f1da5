-- The catalog is reached through functions and views alone: row security without a policy, and no privilege for anybody
-- (sql/api/70_access.sql).

DO $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT c.oid::regclass FROM pg_catalog.pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' LOOP
		EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
	END LOOP;
END
$$;

-- What pg_dump must carry: everything but the shipped rows, which CREATE EXTENSION brings.
SELECT pg_catalog.pg_extension_config_dump('tenancy.issuers', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.signing_keys', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.users', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.identities', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.superadmins', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.organizations', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.org_external_ids', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.memberships', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.roles', 'WHERE org_id IS NOT NULL');
SELECT pg_catalog.pg_extension_config_dump('tenancy.membership_roles', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.resource_types', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('tenancy.role_permissions', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('tenancy.revoked_permissions', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.fresh_authentications', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.invitations', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.default_orgs', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.impersonations', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.synced_events', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.pushdown_marks', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.guarded_schemas', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.shared_tables', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.audit_events', '');
