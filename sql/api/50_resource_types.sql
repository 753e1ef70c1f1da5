-- What permissions are about. A new type is granted to the built-in roles at once: to admin all of it, to member and viewer
-- what they usually do.

CREATE OR REPLACE FUNCTION tenancy.grant_default_permissions(for_type text, actions text[])
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO tenancy.role_permissions (role_id, resource_type, action)
	SELECT r.id, grant_default_permissions.for_type, a.action
	FROM tenancy.roles r, unnest(grant_default_permissions.actions) AS a (action)
	WHERE r.org_id IS NULL
		AND (r.name = 'admin'
			OR (r.name = 'member' AND a.action IN ('read', 'create', 'update'))
			OR (r.name = 'viewer' AND a.action = 'read'))
	ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION tenancy.grant_default_permissions(text, text[]) IS 'Gives the built-in roles their usual grants on actions of a resource type.';

CREATE OR REPLACE FUNCTION tenancy.grant_new_resource_type()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.grant_default_permissions(NEW.name, NEW.actions);
	UPDATE tenancy.resource_types t SET defaults_granted = true WHERE t.name = NEW.name;
	PERFORM tenancy.record_change('add_resource_type', NULL, NEW.name, NULL, jsonb_build_object('actions', NEW.actions));
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy.grant_new_resource_type() IS 'Trigger: default grants of a new resource type, and its row in the audit log.';

-- A superadmin also writes the table by plain INSERT. The privileges on it come with grant_access().
CREATE OR REPLACE TRIGGER grant_defaults AFTER INSERT ON tenancy.resource_types
	FOR EACH ROW WHEN (NOT NEW.defaults_granted) EXECUTE FUNCTION tenancy.grant_new_resource_type();
DO $$
BEGIN
	DROP POLICY IF EXISTS users_read ON tenancy.resource_types;
	CREATE POLICY users_read ON tenancy.resource_types FOR SELECT
		USING (tenancy.current_user_id() IS NOT NULL OR tenancy.is_administrator());
	DROP POLICY IF EXISTS superadmins_insert ON tenancy.resource_types;
	CREATE POLICY superadmins_insert ON tenancy.resource_types FOR INSERT
		WITH CHECK (tenancy.is_superadmin() AND NOT shipped AND NOT defaults_granted);
END
$$;

CREATE OR REPLACE FUNCTION tenancy.add_resource_type(name text, actions text[] DEFAULT '{read,create,update,delete}')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	new_actions text[];
	old_actions text[];
	is_shipped boolean;
BEGIN
	PERFORM tenancy.assert_administrator('add a resource type');
	IF add_resource_type.name IS NULL OR add_resource_type.name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
		RAISE EXCEPTION 'invalid name of a resource type'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A name is 1 to 63 lower-case letters, digits and underscores, beginning with a letter.',
				HINT = 'Pass a name such as ''invoice''.';
	END IF;
	IF coalesce(cardinality(add_resource_type.actions), 0) = 0
		OR EXISTS (SELECT FROM unnest(add_resource_type.actions) a WHERE a IS NULL OR a !~ '^[a-z][a-z0-9_]{0,62}$') THEN
		RAISE EXCEPTION 'invalid actions of a resource type'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'Each action is 1 to 63 lower-case letters, digits and underscores, beginning with a letter; there is at least one.',
				HINT = 'Pass actions such as ''{read,create,update,delete}''.';
	END IF;

	INSERT INTO tenancy.resource_types (name, actions)
	VALUES (add_resource_type.name, ARRAY(SELECT DISTINCT a FROM unnest(add_resource_type.actions) a ORDER BY a))
	ON CONFLICT DO NOTHING;
	IF FOUND THEN
		RETURN;
	END IF;

	SELECT ARRAY(SELECT DISTINCT a FROM unnest(add_resource_type.actions) a WHERE a <> ALL (t.actions) ORDER BY a), t.actions, t.shipped
	INTO new_actions, old_actions, is_shipped
	FROM tenancy.resource_types t WHERE t.name = add_resource_type.name FOR UPDATE;
	-- A dump has no shipped types, and so would not have such an action, but its grants: it could not be restored.
	IF is_shipped AND new_actions <> '{}' THEN
		RAISE EXCEPTION 'resource type "%" is reserved', add_resource_type.name
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'It governs the functions of tenancy, and its actions are those that they know.',
				HINT = 'Add a resource type of your own.';
	END IF;
	IF new_actions <> '{}' THEN
		UPDATE tenancy.resource_types t SET actions = t.actions || new_actions WHERE t.name = add_resource_type.name;
		PERFORM tenancy.grant_default_permissions(add_resource_type.name, new_actions);
		PERFORM tenancy.record_change('add_resource_type', NULL, add_resource_type.name, jsonb_build_object('actions', old_actions),
			jsonb_build_object('actions', old_actions || new_actions));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.add_resource_type(text, text[]) IS 'Adds a resource type, or actions to one that exists, and the default grants of what is new.';
