-- Who may call what. Nothing is PUBLIC's; an application's role gets what a token can authorize.

-- What an application's role may call: each of these decides by the token's user.
CREATE OR REPLACE FUNCTION tenancy.application_functions()
RETURNS SETOF regprocedure LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT unnest(ARRAY[
		'tenancy.session()', 'tenancy.begin_session(text, text)', 'tenancy.current_user_id()', 'tenancy.current_org()',
		'tenancy.claims()', 'tenancy.my_orgs()', 'tenancy.switch_org(text)', 'tenancy.set_default_org(text)',
		'tenancy.act_as(uuid, text, boolean)', 'tenancy.stop_acting()', 'tenancy.cross_org_active()',
		'tenancy.is_superadmin()', 'tenancy.is_administrator()', 'tenancy.assert_administrator(text)',
		'tenancy.provision_user()', 'tenancy.create_org(text, text, text)',
		'tenancy.can_i(text, text)', 'tenancy.current_org_if(text, text)', 'tenancy.require(text, text)',
		'tenancy.require_org(text, text)', 'tenancy.my_permissions()',
		'tenancy.require_fresh_authentication(text, text, interval)', 'tenancy.explain_can_i(text, text)',
		'tenancy.create_role(text, text)', 'tenancy.drop_role(text)',
		'tenancy.grant_permission(text, text, text)', 'tenancy.revoke_permission(text, text, text)',
		'tenancy.can_user(uuid, text, text)', 'tenancy.who_can(text, text)',
		'tenancy.add_resource_type(text, text[])',
		'tenancy.invite(text, text, interval, boolean)', 'tenancy.accept_invitation(text)', 'tenancy.revoke_invitation(uuid)',
		'tenancy.list_invitations()', 'tenancy.my_invitations()',
		'tenancy.set_member_roles(uuid, text[])', 'tenancy.remove_member(uuid)', 'tenancy.leave_org()',
		'tenancy.suspend_org(text, text)', 'tenancy.resume_org(text)', 'tenancy.archive_org(text, text)', 'tenancy.rename_org(text, text, text)', 'tenancy.purge_org(text)',
		'tenancy.add_superadmin(uuid)', 'tenancy.remove_superadmin(uuid)', 'tenancy.disable_user(uuid, text)', 'tenancy.enable_user(uuid)',
		'tenancy.revoke_tokens(uuid)', 'tenancy.sync_org(text, text, text, text, timestamptz)',
		'tenancy.sync_member(text, text, text, text, timestamptz)', 'tenancy.sync_user_deleted(text, text, timestamptz)',
		'tenancy.protection_list()', 'tenancy.why_not(regclass, text)', 'tenancy.doctor()',
		'tenancy.trust_issuer(text, jsonb, text[], text[], jsonb)', 'tenancy.import_jwks(text, jsonb)', 'tenancy.distrust_issuer(text)'
	]::regprocedure[])
$$;
COMMENT ON FUNCTION tenancy.application_functions() IS 'The functions that grant_access() grants.';

CREATE OR REPLACE FUNCTION tenancy.application_relations()
RETURNS SETOF regclass LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT unnest('{tenancy.permission_matrix,tenancy.members,tenancy.orgs,tenancy.audit_log,tenancy.protected_tables,tenancy.resource_types}'::regclass[])
$$;
COMMENT ON FUNCTION tenancy.application_relations() IS 'The relations that grant_access() lets the application read.';

-- SECURITY INVOKER: the caller grants what it owns, so PostgreSQL itself refuses anybody else.
CREATE OR REPLACE FUNCTION tenancy.grant_access(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	f regprocedure;
	r regclass;
BEGIN
	IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = grant_access.role AND (r.rolsuper OR r.rolbypassrls)) THEN
		RAISE EXCEPTION 'role % is not subject to row security', grant_access.role
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A superuser or a role with BYPASSRLS sees the rows of every org, whatever its token says.',
				HINT = 'Let the application log in as a role with neither.';
	END IF;
	EXECUTE format('GRANT USAGE ON SCHEMA tenancy TO %s', grant_access.role);
	FOR f IN SELECT tenancy.application_functions() LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', f, grant_access.role);
	END LOOP;
	FOR r IN SELECT tenancy.application_relations() LOOP
		EXECUTE format('GRANT SELECT ON %s TO %s', r, grant_access.role);
	END LOOP;
	EXECUTE format('GRANT INSERT (name, actions) ON tenancy.resource_types TO %s', grant_access.role);
END
$$;
COMMENT ON FUNCTION tenancy.grant_access(regrole) IS 'Lets an application''s login role use the schema: everything that a token can authorize.';

CREATE OR REPLACE FUNCTION tenancy.revoke_access(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenancy FROM %s', revoke_access.role);
	EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA tenancy FROM %s', revoke_access.role);
	EXECUTE format('REVOKE ALL ON SCHEMA tenancy FROM %s', revoke_access.role);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_access(regrole) IS 'Takes back what grant_access() gave.';

-- They count what was fetched before the policies hid it, and how many rows a table has, of all orgs.
CREATE OR REPLACE FUNCTION tenancy.statistics_functions()
RETURNS SETOF regprocedure LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'pg_catalog'::regnamespace
		AND (p.proname ~ '^pg_stat_get_(db_|xact_)?(numscans|tuples_.*|(live|dead)_tuples|mod_since_analyze|ins_since_vacuum|blocks_.*)$'
			-- What a serializable transaction has read is locked, hidden rows too; and which version of a row is the latest is told of any.
			OR p.proname IN ('pg_lock_status', 'currtid2'))
$$;
COMMENT ON FUNCTION tenancy.statistics_functions() IS 'Internal: the functions that tell which and how many rows of a table were read or are there, those of all orgs.';

CREATE OR REPLACE FUNCTION tenancy.close_statistics()
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	f regprocedure;
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'permission denied to close statistics'
			USING ERRCODE = 'insufficient_privilege', DETAIL = 'What tells them are functions of PostgreSQL''s own.', HINT = 'Call it as a superuser.';
	END IF;
	FOR f IN SELECT tenancy.statistics_functions() LOOP
		EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pg_monitor', f);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.close_statistics() IS 'Takes the statistics of tables and locks, which tell of rows of every org, from PUBLIC; pg_monitor keeps them.';

-- Last, so that it covers every object of every file: whatever default privileges the database has, only the owner has any. New objects
-- alone, which have none recorded as the extension's own: in an update, that would leave out of a dump what an application was granted.
DO $$
DECLARE
	statement text;
BEGIN
	FOR statement IN
		SELECT format('REVOKE ALL ON %s FROM %s CASCADE', o.object, g.grantee)
		FROM (SELECT 'pg_namespace'::regclass, n.oid, 'SCHEMA tenancy', n.nspacl, n.nspowner FROM pg_namespace n WHERE n.nspname = 'tenancy'
			UNION ALL SELECT 'pg_class'::regclass, c.oid, 'TABLE ' || c.oid::regclass, c.relacl, c.relowner FROM pg_class c
			WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
			UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'ROUTINE ' || p.oid::regprocedure, p.proacl, p.proowner FROM pg_proc p
			WHERE p.pronamespace = 'tenancy'::regnamespace) o (class, oid, object, acl, owner),
			LATERAL (SELECT 'PUBLIC' UNION SELECT a.grantee::regrole::text FROM aclexplode(o.acl) a WHERE a.grantee NOT IN (0, o.owner)) g (grantee)
		WHERE NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = 0)
	LOOP
		EXECUTE statement;
	END LOOP;
END
$$;
