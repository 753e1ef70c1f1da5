-- What a member may do: roles, resource types with their actions, and grants. No wildcards: a permission is a row.

CREATE TABLE tenancy.roles (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	org_id uuid REFERENCES tenancy.organizations ON DELETE CASCADE,
	name text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
	description text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	UNIQUE NULLS NOT DISTINCT (org_id, name),
	CONSTRAINT roles_own_name CHECK (org_id IS NULL OR name NOT IN ('admin', 'member', 'viewer'))
);
COMMENT ON TABLE tenancy.roles IS 'The built-in roles (org_id is null) and the orgs'' own.';

CREATE TABLE tenancy.membership_roles (
	user_id uuid NOT NULL,
	org_id uuid NOT NULL,
	role_id uuid NOT NULL REFERENCES tenancy.roles ON DELETE CASCADE,
	PRIMARY KEY (user_id, org_id, role_id),
	FOREIGN KEY (user_id, org_id) REFERENCES tenancy.memberships ON DELETE CASCADE
);
CREATE INDEX membership_roles_role_id ON tenancy.membership_roles (role_id);
COMMENT ON TABLE tenancy.membership_roles IS 'The roles a member holds in an org; their grants unite.';

CREATE FUNCTION tenancy.check_membership_role() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM tenancy.roles r WHERE r.id = NEW.role_id AND r.org_id <> NEW.org_id) THEN
		RAISE EXCEPTION 'a role of one org cannot be given in another'
			USING ERRCODE = 'check_violation', HINT = 'Give a built-in role or one of the same org.';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.check_membership_role() IS 'Trigger: a role is given in its own org alone.';
CREATE TRIGGER check_role BEFORE INSERT OR UPDATE ON tenancy.membership_roles
	FOR EACH ROW EXECUTE FUNCTION tenancy.check_membership_role();

CREATE TABLE tenancy.resource_types (
	name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
	actions text[] NOT NULL DEFAULT '{read,create,update,delete}' CHECK (pg_catalog.cardinality(actions) > 0
		AND pg_catalog.array_position(actions, NULL) IS NULL
		AND pg_catalog.array_to_string(actions, ' ') ~ '^[a-z][a-z0-9_]{0,62}( [a-z][a-z0-9_]{0,62})*$'
		AND pg_catalog.array_to_string(actions, '') !~ ' '),
	shipped boolean NOT NULL DEFAULT false,
	defaults_granted boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.resource_types IS 'What permissions are about, and the actions each knows. A superadmin may INSERT (name, actions).';
COMMENT ON COLUMN tenancy.resource_types.defaults_granted IS 'The built-in roles have their default grants: set by the first INSERT, so that a restored row does not bring back grants taken away since.';

CREATE TABLE tenancy.role_permissions (
	role_id uuid NOT NULL REFERENCES tenancy.roles ON DELETE CASCADE,
	resource_type text COLLATE "C" NOT NULL REFERENCES tenancy.resource_types,
	action text COLLATE "C" NOT NULL,
	shipped boolean NOT NULL DEFAULT false,
	PRIMARY KEY (role_id, resource_type, action)
);
CREATE INDEX role_permissions_resource_type ON tenancy.role_permissions (resource_type);
COMMENT ON TABLE tenancy.role_permissions IS 'A row allows a role an action on a resource type.';

-- An action that a type no longer has must not stay granted: adding it again later would bring the grants back.
CREATE FUNCTION tenancy.drop_removed_actions() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM tenancy.role_permissions p WHERE p.resource_type = NEW.name AND p.action <> ALL (NEW.actions);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy.drop_removed_actions() IS 'Trigger: takes back the grants of actions that a resource type no longer has.';
CREATE TRIGGER drop_removed_actions AFTER UPDATE OF actions ON tenancy.resource_types
	FOR EACH ROW WHEN (NOT OLD.actions <@ NEW.actions) EXECUTE FUNCTION tenancy.drop_removed_actions();

-- A shipped grant is not in a dump, so its removal must be a row that is: otherwise a restore would grant it again.
CREATE TABLE tenancy.revoked_permissions (
	role_id uuid NOT NULL,
	resource_type text COLLATE "C" NOT NULL,
	action text COLLATE "C" NOT NULL,
	PRIMARY KEY (role_id, resource_type, action),
	FOREIGN KEY (role_id, resource_type, action) REFERENCES tenancy.role_permissions ON DELETE CASCADE
);
COMMENT ON TABLE tenancy.revoked_permissions IS 'Shipped grants that this installation has taken back.';

CREATE FUNCTION tenancy.check_role_permission() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM tenancy.resource_types t WHERE t.name = NEW.resource_type AND NEW.action = ANY (t.actions)) THEN
		RAISE EXCEPTION 'resource type "%" has no action "%"', NEW.resource_type, NEW.action
			USING ERRCODE = 'check_violation',
				HINT = 'Add it with tenancy.add_resource_type(name, actions); tenancy.resource_types lists what exists.';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy.check_role_permission() IS 'Trigger: a grant is of an action that the resource type knows.';
CREATE TRIGGER check_action BEFORE INSERT OR UPDATE ON tenancy.role_permissions
	FOR EACH ROW EXECUTE FUNCTION tenancy.check_role_permission();

CREATE TABLE tenancy.fresh_authentications (
	resource_type text COLLATE "C" NOT NULL REFERENCES tenancy.resource_types ON DELETE CASCADE,
	action text COLLATE "C" NOT NULL,
	max_age interval NOT NULL CHECK (max_age > interval '0' AND max_age <= interval '1 year'),
	PRIMARY KEY (resource_type, action)
);
COMMENT ON TABLE tenancy.fresh_authentications IS 'Permissions that need the user to have authenticated within max_age, whatever role grants them.';

CREATE TABLE tenancy.invitations (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	org_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	email text COLLATE "C" NOT NULL CHECK (email ~ '^[^@\s]+@[^@\s]+$' AND pg_catalog.octet_length(email) <= 320),
	role_id uuid NOT NULL REFERENCES tenancy.roles ON DELETE CASCADE,
	token_hash bytea NOT NULL UNIQUE CHECK (pg_catalog.octet_length(token_hash) = 32),
	invited_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	expires_at timestamptz NOT NULL,
	accepted_at timestamptz,
	accepted_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	revoked_at timestamptz,
	any_email boolean NOT NULL DEFAULT false,
	CHECK (accepted_at IS NULL OR revoked_at IS NULL),
	CHECK (accepted_by IS NULL OR accepted_at IS NOT NULL)
);
CREATE UNIQUE INDEX invitations_pending ON tenancy.invitations (pg_catalog.lower(email), org_id)
	WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_org_id ON tenancy.invitations (org_id);
CREATE INDEX invitations_role_id ON tenancy.invitations (role_id);
CREATE INDEX invitations_invited_by ON tenancy.invitations (invited_by);
CREATE INDEX invitations_accepted_by ON tenancy.invitations (accepted_by);
COMMENT ON COLUMN tenancy.invitations.any_email IS 'Whoever knows the secret may accept, whatever their address.';
COMMENT ON TABLE tenancy.invitations IS 'Who is invited to which org; the secret is stored as its SHA-256. provision_user() accepts what is pending for the verified email.';
