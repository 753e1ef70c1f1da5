-- Roles and permissions looked up by a SECURITY DEFINER function, in SQL and in PL/pgSQL: bare as it is mostly written, and wrapped.
-- https://supabase.com/docs/guides/database/postgres/custom-claims-and-role-based-access-control-rbac
CREATE SCHEMA authz;
GRANT USAGE ON SCHEMA authz TO PUBLIC;
CREATE TABLE authz.member (user_id uuid NOT NULL, org_id uuid NOT NULL, role text NOT NULL, PRIMARY KEY (user_id, org_id));
CREATE TABLE authz.role_permission (role text NOT NULL, resource text NOT NULL, action text NOT NULL, PRIMARY KEY (role, resource, action));
INSERT INTO authz.member SELECT m.user_id, m.org_id, CASE WHEN u.name LIKE 'Onlooker %' THEN 'onlooker' ELSE 'member' END
FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id;
INSERT INTO authz.role_permission SELECT 'member', 'contact', a FROM unnest('{read,create,update}'::text[]) a;
ANALYZE authz.member, authz.role_permission;

CREATE FUNCTION authz.can_i(action text, resource text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM authz.member m JOIN authz.role_permission p ON p.role = m.role
		WHERE m.user_id = current_setting('app.user_id')::uuid AND m.org_id = current_setting('app.org_id')::uuid
		AND p.resource = can_i.resource AND p.action = can_i.action)
$$;
CREATE FUNCTION authz.can_i_plpgsql(action text, resource text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN EXISTS (SELECT FROM authz.member m JOIN authz.role_permission p ON p.role = m.role
		WHERE m.user_id = current_setting('app.user_id')::uuid AND m.org_id = current_setting('app.org_id')::uuid
		AND p.resource = can_i_plpgsql.resource AND p.action = can_i_plpgsql.action);
END
$$;

\set sign_in 'SET app.user_id = ''%person%''; SET app.org_id = ''%org%'''
SELECT bench.add_peer('can_i_sql', 'SQL can_i()',
	$$org_id = current_setting('app.org_id')::uuid AND authz.can_i('read', 'contact')$$, :'sign_in');
SELECT bench.add_peer('can_i_sql_wrapped', '(SELECT SQL can_i())',
	$$org_id = (SELECT current_setting('app.org_id')::uuid) AND (SELECT authz.can_i('read', 'contact'))$$, :'sign_in');
SELECT bench.add_peer('can_i_plpgsql', 'PL/pgSQL can_i()',
	$$org_id = current_setting('app.org_id')::uuid AND authz.can_i_plpgsql('read', 'contact')$$, :'sign_in');
SELECT bench.add_peer('can_i_plpgsql_wrapped', '(SELECT PL/pgSQL can_i())',
	$$org_id = (SELECT current_setting('app.org_id')::uuid) AND (SELECT authz.can_i_plpgsql('read', 'contact'))$$, :'sign_in');
