-- Loaded by CREATE EXTENSION alone.
\echo Use "CREATE EXTENSION tenancy" to load this file. \quit

-- Every name below is qualified; this keeps a schema that somebody planted earlier in the path out of the rest.
SET LOCAL search_path TO pg_catalog, pg_temp;

DO $$
BEGIN
	IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
		RAISE EXCEPTION 'tenancy needs a database in encoding UTF8'
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Claims of a token are UTF-8; a conversion could make two subjects equal.',
				HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
	END IF;
	-- The owner of a schema can replace what is in it: it must be the extension's owner.
	IF (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'tenancy')
		<> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'schema "tenancy" exists already and belongs to another role'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
			WHERE n.nspname = 'tenancy' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) THEN
		RAISE EXCEPTION 'schema "tenancy" exists already, and others may create objects in it'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tenancy')
		OR EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'tenancy')
		OR EXISTS (SELECT FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE n.nspname = 'tenancy')
		OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tenancy') THEN
		RAISE EXCEPTION 'schema "tenancy" is not empty'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
	END IF;
END
$$;
-- Who may sign tokens: issuers, their rules and their public keys.

CREATE TABLE tenancy.issuers (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	issuer text COLLATE "C" NOT NULL UNIQUE CHECK (issuer <> '' AND pg_catalog.octet_length(issuer) <= 2048),
	audiences text[] CHECK (pg_catalog.cardinality(audiences) > 0 AND pg_catalog.array_position(audiences, NULL) IS NULL),
	authorized_parties text[] CHECK (pg_catalog.cardinality(authorized_parties) > 0 AND pg_catalog.array_position(authorized_parties, NULL) IS NULL),
	claims jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(claims) = 'object'),
	trusted boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.issuers IS 'Token issuers, their rules and where their claims sit. A distrusted issuer keeps its row, since identities refer to it.';

CREATE TABLE tenancy.signing_keys (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	issuer_id uuid NOT NULL REFERENCES tenancy.issuers ON DELETE CASCADE,
	key_id text COLLATE "C",
	algorithm text NOT NULL,
	jwk jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(jwk) = 'object'),
	added_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	UNIQUE NULLS NOT DISTINCT (issuer_id, key_id)
);
COMMENT ON TABLE tenancy.signing_keys IS 'The keys an issuer signs with, as JWK. An HMAC key is a secret: nobody but the owner reads this table.';
-- People and orgs: users, the identities they sign in with, orgs, memberships.
-- What C looks up by index is COLLATE "C": compared by bytes, on any libc. C also reads columns by number: append, never insert.

CREATE TABLE tenancy.users (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	email text COLLATE "C",
	email_verified boolean NOT NULL DEFAULT false,
	name text,
	status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
	tokens_valid_from timestamptz,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CHECK (NOT email_verified OR email IS NOT NULL)
);
COMMENT ON TABLE tenancy.users IS 'One row a person. Tokens issued before tokens_valid_from are revoked.';

CREATE TABLE tenancy.identities (
	issuer_id uuid NOT NULL REFERENCES tenancy.issuers,
	subject text COLLATE "C" NOT NULL CHECK (subject <> '' AND pg_catalog.octet_length(subject) <= 1024),
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (issuer_id, subject)
);
CREATE INDEX identities_user_id ON tenancy.identities (user_id);
COMMENT ON TABLE tenancy.identities IS 'Maps what an issuer calls a person (issuer, subject) to the user.';

CREATE TABLE tenancy.superadmins (
	user_id uuid PRIMARY KEY REFERENCES tenancy.users ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.superadmins IS 'Users who run the whole installation. Separate from every org role.';

-- A slug never looks like a uuid, since tenancy.org takes either.
CREATE TABLE tenancy.organizations (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	slug text COLLATE "C" NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
		AND slug !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'),
	name text NOT NULL CHECK (pg_catalog.btrim(name) <> '' AND pg_catalog.char_length(name) <= 200),
	kind text NOT NULL DEFAULT 'team' CHECK (kind IN ('personal', 'team')),
	status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'archived')),
	status_reason text,
	created_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX organizations_created_by ON tenancy.organizations (created_by);
COMMENT ON TABLE tenancy.organizations IS 'One row a tenant; foreign keys refer to it. Superadmins read it as the view tenancy.orgs.';

CREATE TABLE tenancy.org_external_ids (
	issuer_id uuid NOT NULL REFERENCES tenancy.issuers,
	external_id text COLLATE "C" NOT NULL CHECK (external_id <> '' AND pg_catalog.octet_length(external_id) <= 1024),
	org_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (issuer_id, external_id)
);
CREATE INDEX org_external_ids_org_id ON tenancy.org_external_ids (org_id);
COMMENT ON TABLE tenancy.org_external_ids IS 'Maps what an issuer calls an org to the org.';

CREATE TABLE tenancy.memberships (
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	org_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (user_id, org_id)
);
CREATE INDEX memberships_org_id ON tenancy.memberships (org_id);
COMMENT ON TABLE tenancy.memberships IS 'Who belongs to which org.';

CREATE TABLE tenancy.default_orgs (
	user_id uuid PRIMARY KEY,
	org_id uuid NOT NULL,
	FOREIGN KEY (user_id, org_id) REFERENCES tenancy.memberships ON DELETE CASCADE
);
CREATE INDEX default_orgs_user_id_org_id ON tenancy.default_orgs (user_id, org_id);
COMMENT ON TABLE tenancy.default_orgs IS 'The org that a member of several works in when none is picked. Goes with the membership.';

CREATE TABLE tenancy.impersonations (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	superadmin_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	reason text NOT NULL CHECK (pg_catalog.btrim(reason) <> ''),
	read_only boolean NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	expires_at timestamptz NOT NULL,
	ended_at timestamptz,
	CHECK (superadmin_id <> user_id)
);
CREATE INDEX impersonations_superadmin_id ON tenancy.impersonations (superadmin_id);
CREATE INDEX impersonations_user_id ON tenancy.impersonations (user_id);
COMMENT ON TABLE tenancy.impersonations IS 'Which superadmin acts as which user, why and until when. The setting tenancy.impersonation names a row.';

CREATE TABLE tenancy.synced_events (
	issuer_id uuid NOT NULL REFERENCES tenancy.issuers,
	object text COLLATE "C" NOT NULL CHECK (pg_catalog.octet_length(object) <= 2200),
	event_at timestamptz NOT NULL,
	PRIMARY KEY (issuer_id, object)
);
COMMENT ON TABLE tenancy.synced_events IS 'When the last event that was applied to an issuer''s org, member or user happened: an older one that arrives later is passed over.';
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
-- Who changed what: one row a change, written in the transaction of the change and never touched again.

CREATE TABLE tenancy.audit_events (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	org_id uuid,
	user_id uuid,
	issuer text COLLATE "C",
	subject text COLLATE "C",
	session_id text COLLATE "C",
	acting_superadmin uuid,
	impersonated_by text COLLATE "C",
	database_role text COLLATE "C" NOT NULL,
	action text COLLATE "C" NOT NULL,
	target text COLLATE "C",
	old_values jsonb,
	new_values jsonb
);
CREATE INDEX audit_events_org_id ON tenancy.audit_events (org_id, at);
CREATE INDEX audit_events_at ON tenancy.audit_events (at);
COMMENT ON TABLE tenancy.audit_events IS 'Who changed what, and when. No foreign keys: a row outlives what it tells of.';

CREATE FUNCTION tenancy.refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'the audit log is append-only'
		USING ERRCODE = 'insufficient_privilege', HINT = 'Read it through tenancy.audit_log.';
END
$$;
COMMENT ON FUNCTION tenancy.refuse_audit_change() IS 'Trigger: nobody changes or removes what was logged.';
-- ALWAYS: session_replication_role = replica must not open it.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenancy.audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy.refuse_audit_change();
ALTER TABLE tenancy.audit_events ENABLE ALWAYS TRIGGER append_only;
-- Which functions allow_pushdown() has marked leakproof, to be taken back by revoke_pushdown(). Part of a dump, which does not carry
-- the marks themselves: what is listed here and not marked is to be allowed again.

CREATE TABLE tenancy.pushdown_marks (
	entry text COLLATE "C" PRIMARY KEY,
	marked_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.pushdown_marks IS 'Functions that allow_pushdown() has marked leakproof, as pushdown_list() names them; not those that were so before.';
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
-- What every installation starts with, as rows one can see and change. Fixed ids: memberships in a dump refer to them.

INSERT INTO tenancy.roles (id, org_id, name, description) VALUES
	('00000000-0000-4000-8000-000000000001', NULL, 'admin', 'Runs the org: members, roles, invitations and all data'),
	('00000000-0000-4000-8000-000000000002', NULL, 'member', 'Works in the org: reads, creates and updates its data'),
	('00000000-0000-4000-8000-000000000003', NULL, 'viewer', 'Reads the org''s data');

INSERT INTO tenancy.resource_types (name, actions, shipped, defaults_granted) VALUES
	('org', '{read,update,delete}', true, true),
	('member', '{read,create,update,delete}', true, true),
	('invitation', '{read,create,delete}', true, true),
	('role', '{read,create,update,delete}', true, true),
	('audit', '{read}', true, true);

INSERT INTO tenancy.role_permissions (role_id, resource_type, action, shipped)
SELECT r.id, t.name, a.action, true
FROM tenancy.roles r, tenancy.resource_types t, pg_catalog.unnest(t.actions) AS a (action)
WHERE r.name = 'admin'
	OR (r.name = 'member' AND a.action = 'read' AND t.name IN ('org', 'member'))
	OR (r.name = 'viewer' AND a.action = 'read' AND t.name = 'org');
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
-- From here on: code alone, which an update runs again. Nothing below may create state.
SET LOCAL search_path TO pg_catalog, pg_temp;
-- Who is this, in which org, and in which state.

CREATE FUNCTION tenancy.session(
	OUT status text, OUT next_step text, OUT user_id uuid, OUT email text,
	OUT org_id uuid, OUT org_slug text, OUT org_name text, OUT roles text[], OUT is_superadmin boolean,
	OUT issuer text, OUT subject text, OUT expires_at timestamptz,
	OUT impersonated_by text, OUT impersonation text, OUT is_read_only boolean)
RETURNS record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_session';
COMMENT ON FUNCTION tenancy.session() IS 'The state of this session in one row, and what the application should do next. Raises no error for any token.';

CREATE FUNCTION tenancy.begin_session(
	token text, org text DEFAULT NULL,
	OUT status text, OUT next_step text, OUT user_id uuid, OUT email text,
	OUT org_id uuid, OUT org_slug text, OUT org_name text, OUT roles text[], OUT is_superadmin boolean,
	OUT issuer text, OUT subject text, OUT expires_at timestamptz,
	OUT impersonated_by text, OUT impersonation text, OUT is_read_only boolean)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_begin_session';
COMMENT ON FUNCTION tenancy.begin_session(text, text) IS 'Sets the token, and the org if one is named, for this transaction, as nobody but oneself; returns session().';

CREATE FUNCTION tenancy.current_user_id()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_current_user_id';
COMMENT ON FUNCTION tenancy.current_user_id() IS 'The signed-in user, or null without a token, before provisioning and for a disabled user.';

CREATE FUNCTION tenancy.current_org()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_current_org';
COMMENT ON FUNCTION tenancy.current_org() IS 'The org that the session works in, or null if it is not active.';

CREATE FUNCTION tenancy.claims()
RETURNS jsonb LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_claims';
COMMENT ON FUNCTION tenancy.claims() IS 'The verified claims of the token, or null without a token.';

CREATE FUNCTION tenancy.my_orgs(
	OUT org_id uuid, OUT slug text, OUT name text, OUT kind text, OUT status text, OUT roles text[], OUT is_current boolean)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE ROWS 5 AS 'MODULE_PATHNAME', 'tenancy_my_orgs';
COMMENT ON FUNCTION tenancy.my_orgs() IS 'The orgs that the user belongs to, archived ones left out.';

CREATE FUNCTION tenancy.switch_org(org text)
RETURNS uuid LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_switch_org';
COMMENT ON FUNCTION tenancy.switch_org(text) IS 'Picks the org to work in, by id or slug, for as long as the token holds; returns its id.';

-- A membership that goes at the same moment takes the default with it: FOR KEY SHARE waits to see.
CREATE FUNCTION tenancy.set_default_org(org text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.require_user_for_change();
	old_id uuid;
	new_id uuid;
BEGIN
	IF set_default_org.org IS NOT NULL THEN
		SELECT m.org_id INTO new_id FROM tenancy.memberships m JOIN tenancy.organizations o ON o.id = m.org_id
		WHERE m.user_id = me AND (o.slug = set_default_org.org OR o.id::text = lower(set_default_org.org)) FOR KEY SHARE OF m;
		IF new_id IS NULL THEN
			RAISE EXCEPTION 'user is not a member of the org'
				USING ERRCODE = 'TN005', DETAIL = 'The org that is named does not exist, or the user does not belong to it.',
					HINT = 'Choose from tenancy.my_orgs().';
		END IF;
	END IF;

	SELECT d.org_id INTO old_id FROM tenancy.default_orgs d WHERE d.user_id = me FOR UPDATE;
	IF new_id IS NOT DISTINCT FROM old_id THEN
		RETURN new_id;
	END IF;
	IF new_id IS NULL THEN
		DELETE FROM tenancy.default_orgs d WHERE d.user_id = me;
	ELSE
		INSERT INTO tenancy.default_orgs AS d (user_id, org_id) VALUES (me, new_id)
		ON CONFLICT (user_id) DO UPDATE SET org_id = excluded.org_id;
	END IF;
	PERFORM tenancy.record_change('set_default_org', NULL, me::text,
		jsonb_build_object('org_id', old_id), jsonb_build_object('org_id', new_id));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.set_default_org(text) IS 'Sets the org, by id or slug, that the user works in when none is picked; null for none. Returns its id.';

CREATE FUNCTION tenancy.cross_org_support(internal)
RETURNS internal LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'tenancy_cross_org_support';
COMMENT ON FUNCTION tenancy.cross_org_support(internal) IS 'Planner support of cross_org_active().';

CREATE FUNCTION tenancy.cross_org_active()
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE SUPPORT tenancy.cross_org_support AS 'MODULE_PATHNAME', 'tenancy_cross_org_active';
COMMENT ON FUNCTION tenancy.cross_org_active() IS 'True for a superadmin who has set tenancy.cross_org: protected tables are then readable in every org.';

CREATE FUNCTION tenancy.is_superadmin()
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_is_superadmin';
COMMENT ON FUNCTION tenancy.is_superadmin() IS 'True if the signed-in user is a superadmin.';

CREATE FUNCTION tenancy.is_administrator()
RETURNS boolean LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_is_administrator';
COMMENT ON FUNCTION tenancy.is_administrator() IS 'True for a superadmin by token, and without a token for a superuser and the extension''s owner.';

CREATE FUNCTION tenancy.require_user()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_user';
COMMENT ON FUNCTION tenancy.require_user() IS 'Internal: the signed-in user, or an error that says why there is none.';

CREATE FUNCTION tenancy.require_user_for_change()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_user_for_change';
COMMENT ON FUNCTION tenancy.require_user_for_change() IS 'Internal: the signed-in user, or an error that says why there is none or why nothing may be changed.';

CREATE FUNCTION tenancy.require_current_org()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_current_org';
COMMENT ON FUNCTION tenancy.require_current_org() IS 'Internal: the org that the session works in, or an error that says why there is none.';

CREATE FUNCTION tenancy.verified_email()
RETURNS text LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_verified_email';
COMMENT ON FUNCTION tenancy.verified_email() IS 'Internal: the email address that the token says is verified, or null.';

CREATE FUNCTION tenancy.database_role()
RETURNS name LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_database_role';
COMMENT ON FUNCTION tenancy.database_role() IS 'Internal: the role that called, whatever rights a function lends it.';

CREATE FUNCTION tenancy.acting_superadmin()
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_acting_superadmin';
COMMENT ON FUNCTION tenancy.acting_superadmin() IS 'Internal: the superadmin who acts as the session''s user by act_as(), or null.';
-- Who may administer what: every function that changes authority asks here first.

-- Errors reach the server log without the user's name; this line has it. Ids alone: no token, no claim.
CREATE FUNCTION tenancy.log_denial(purpose text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	s record;
BEGIN
	SELECT * INTO s FROM tenancy.session();
	RAISE LOG 'tenancy: permission denied to %', purpose
		USING DETAIL = format('User %s%s, org %s, status %s, database role %s.', coalesce(s.user_id::text, 'none'),
			coalesce(', acted as by superadmin ' || tenancy.acting_superadmin(), ''), coalesce(s.org_id::text, 'none'), s.status,
			tenancy.database_role());
END
$$;
COMMENT ON FUNCTION tenancy.log_denial(text) IS 'Internal: writes a refused administrative call to the server log.';

-- A definer because protect(), which runs with its caller's rights, asks it too.
CREATE FUNCTION tenancy.assert_administrator(purpose text)
RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT tenancy.is_administrator() THEN
		PERFORM tenancy.log_denial(purpose);
		RAISE EXCEPTION 'permission denied to %', purpose
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'This is for superadmins, and without a session token for a superuser or the extension''s owner.',
				HINT = 'Ask a superadmin, or run it as the DBA after RESET tenancy.session_token.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_administrator(text) IS 'Raises an error unless is_administrator().';

CREATE FUNCTION tenancy.org_id_of(org text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	IF org ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
		SELECT o.id INTO found_id FROM tenancy.organizations o WHERE o.id = org::uuid;
	ELSE
		SELECT o.id INTO found_id FROM tenancy.organizations o WHERE o.slug = org;
	END IF;
	IF found_id IS NULL THEN
		RAISE EXCEPTION 'org "%" does not exist', org
			USING ERRCODE = 'undefined_object', HINT = 'Pass a slug or an id; a superadmin finds them in tenancy.orgs.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.org_id_of(text) IS 'Internal: the id of an org named by slug or id. For administrators'' eyes: it tells what exists.';

-- The DBA has no org of its own: tenancy.org names the one to work on.
CREATE FUNCTION tenancy.authorize(action text, resource_type text, purpose text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF tenancy.is_administrator() AND NOT tenancy.is_superadmin() THEN
		IF coalesce(current_setting('tenancy.org', true), '') = '' THEN
			RAISE EXCEPTION 'no org is picked'
				USING ERRCODE = 'TN002', DETAIL = 'This works on one org.', HINT = 'Set tenancy.org to its slug or id.';
		END IF;
		RETURN tenancy.org_id_of(current_setting('tenancy.org'));
	END IF;
	IF NOT tenancy.can_i(action, resource_type) THEN
		PERFORM tenancy.log_denial(purpose);
	END IF;
	RETURN tenancy.require_org(action, resource_type);
END
$$;
COMMENT ON FUNCTION tenancy.authorize(text, text, text) IS 'Internal: the org in which the caller may do that, or an error that says why not.';
-- Which issuers may sign tokens, with which keys.

CREATE FUNCTION tenancy.inspect_jwk(jwk jsonb, OUT key_id text, OUT algorithm text, OUT problem text)
RETURNS record LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_inspect_jwk';
COMMENT ON FUNCTION tenancy.inspect_jwk(jsonb) IS 'The id of a JWK and the algorithm it is bound to, or what is wrong with it.';

CREATE FUNCTION tenancy.claim_preset(preset text)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN CASE preset
		WHEN 'oidc' THEN
			'{"email": "email", "email_verified": "email_verified", "name": "name", "actor": "act.sub", "auth_time": "auth_time"}'::jsonb
		WHEN 'clerk' THEN
			'{"email": "email", "email_verified": "email_verified", "name": "name", "org": ["o.id", "org_id"],
				"actor": "act.sub", "auth_time": "auth_time", "auth_age": "fva"}'::jsonb
		WHEN 'better-auth' THEN
			'{"email": "email", "email_verified": ["emailVerified", "email_verified"], "name": "name", "org": ["o.id", "activeOrganizationId"],
				"actor": ["act.sub", "impersonatedBy"], "auth_time": "auth_time"}'::jsonb
	END;
END
$$;
COMMENT ON FUNCTION tenancy.claim_preset(text) IS 'Where the claims of a kind of issuer sit, or null for an unknown kind.';

-- The mapping as it is stored: the preset's, with what the caller says in its place.
CREATE FUNCTION tenancy.expand_claims(claims jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	preset text := coalesce(claims ->> 'preset', 'oidc');
	k text;
	v jsonb;
BEGIN
	IF claims IS NULL OR jsonb_typeof(claims) <> 'object' THEN
		RAISE EXCEPTION 'claims must be a JSON object'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"preset": "clerk"} or {"preset": "oidc", "org": "org_id"}.';
	END IF;
	IF tenancy.claim_preset(preset) IS NULL THEN
		RAISE EXCEPTION 'claims preset "%" does not exist', preset
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Presets are clerk, better-auth and oidc.';
	END IF;
	FOR k, v IN SELECT e.key, e.value FROM jsonb_each(claims) e WHERE e.key <> 'preset' LOOP
		IF k NOT IN ('email', 'email_verified', 'name', 'org', 'actor', 'auth_time', 'auth_age') THEN
			RAISE EXCEPTION 'claims has an unknown member "%"', k
				USING ERRCODE = 'invalid_parameter_value', HINT = 'It maps email, email_verified, name, org, actor, auth_time and auth_age to paths in the token.';
		END IF;
		IF NOT (jsonb_typeof(v) IN ('string', 'null')
			OR (jsonb_typeof(v) = 'array' AND NOT jsonb_path_exists(v, 'strict $[*] ? (@.type() <> "string")'))
			OR (k = 'email_verified' AND jsonb_typeof(v) = 'boolean')) THEN
			RAISE EXCEPTION 'claims maps "%" to something that is no path', k
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'A path is a string such as "o.id"; an array of paths is tried in order; null maps to nothing; email_verified may be true.';
		END IF;
	END LOOP;
	RETURN tenancy.claim_preset(preset) || claims || jsonb_build_object('preset', preset);
END
$$;
COMMENT ON FUNCTION tenancy.expand_claims(jsonb) IS 'Checks a claims mapping and fills it up from its preset.';

-- Makes the issuer's keys those of the JWKS: adds, keeps, and retires the rest.
CREATE FUNCTION tenancy.replace_keys(for_issuer_id uuid, jwks jsonb, OUT added integer, OUT kept integer, OUT retired integer)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	k record;
	ids text[] := '{}';
BEGIN
	IF jwks IS NULL OR jsonb_typeof(jwks) <> 'object' OR jsonb_typeof(jwks -> 'keys') IS DISTINCT FROM 'array'
		OR jsonb_array_length(jwks -> 'keys') = 0 THEN
		RAISE EXCEPTION 'jwks must be a JSON Web Key Set with at least one key'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A key set is an object with an array "keys" (RFC 7517).',
				HINT = 'Pass what the issuer publishes at its jwks_uri, unchanged.';
	END IF;

	added := 0;
	kept := 0;
	FOR k IN SELECT j.value AS jwk, j.ordinality AS position, i.*
			FROM jsonb_array_elements(jwks -> 'keys') WITH ORDINALITY j, tenancy.inspect_jwk(j.value) i
			ORDER BY j.ordinality LOOP
		IF k.problem IS NOT NULL THEN
			RAISE EXCEPTION 'key % of the key set cannot be used', k.position
				USING ERRCODE = 'invalid_parameter_value',
					DETAIL = coalesce('Key "' || left(k.jwk ->> 'kid', 255) || '": ', '') || k.problem || '.',
					HINT = 'Take this key out of the set, or ask the issuer for a proper one.';
		END IF;
		IF coalesce(k.key_id, '') = ANY (ids) THEN
			RAISE EXCEPTION 'two keys of the key set have the same id'
				USING ERRCODE = 'invalid_parameter_value',
					DETAIL = format('Key %s repeats %s.', k.position, coalesce('"kid": "' || k.key_id || '"', 'a key without "kid"')),
					HINT = 'Give every key an id of its own.';
		END IF;
		ids := ids || coalesce(k.key_id, '');

		IF EXISTS (SELECT FROM tenancy.signing_keys s
				WHERE s.issuer_id = for_issuer_id AND s.key_id IS NOT DISTINCT FROM k.key_id AND s.jwk = k.jwk) THEN
			kept := kept + 1;
		ELSE
			INSERT INTO tenancy.signing_keys AS s (issuer_id, key_id, algorithm, jwk)
			VALUES (for_issuer_id, k.key_id, k.algorithm, k.jwk)
			ON CONFLICT (issuer_id, key_id) DO UPDATE SET algorithm = excluded.algorithm, jwk = excluded.jwk, added_at = now();
			added := added + 1;
		END IF;
	END LOOP;

	DELETE FROM tenancy.signing_keys s WHERE s.issuer_id = for_issuer_id AND coalesce(s.key_id, '') <> ALL (ids);
	GET DIAGNOSTICS retired = ROW_COUNT;
END
$$;
COMMENT ON FUNCTION tenancy.replace_keys(uuid, jsonb) IS 'Makes an issuer''s keys those of a key set.';

-- For the audit log: keys by their ids. An HMAC key is a secret, and no trace of it belongs there.
CREATE FUNCTION tenancy.issuer_values(for_issuer text)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT jsonb_build_object('trusted', i.trusted, 'audiences', i.audiences, 'authorized_parties', i.authorized_parties, 'claims', i.claims,
		'keys', (SELECT coalesce(jsonb_agg(jsonb_build_object('kid', k.key_id, 'alg', k.algorithm) ORDER BY k.key_id), '[]') FROM tenancy.signing_keys k WHERE k.issuer_id = i.id))
	FROM tenancy.issuers i WHERE i.issuer = for_issuer
$$;
COMMENT ON FUNCTION tenancy.issuer_values(text) IS 'Internal: what the audit log tells of an issuer.';

CREATE FUNCTION tenancy.trust_issuer(issuer text, jwks jsonb, audiences text[] DEFAULT NULL,
	authorized_parties text[] DEFAULT NULL, claims jsonb DEFAULT '{"preset": "oidc"}')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	trusted_id uuid;
	mapping jsonb;
	before jsonb;
	after jsonb;
	changed_keys integer;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('trust an issuer');
	actor := tenancy.audit_actor();
	IF coalesce(trust_issuer.issuer, '') = '' OR octet_length(trust_issuer.issuer) > 2048 THEN
		RAISE EXCEPTION 'issuer must be a text of 1 to 2048 bytes'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass exactly what the issuer''s tokens say in "iss".';
	END IF;
	IF EXISTS (SELECT FROM (VALUES (trust_issuer.audiences), (trust_issuer.authorized_parties)) l (list)
			WHERE cardinality(l.list) = 0 OR array_ndims(l.list) > 1 OR EXISTS (SELECT FROM unnest(l.list) u (item) WHERE u.item IS NULL)) THEN
		RAISE EXCEPTION 'audiences and authorized_parties must be null or list at least one, none of them null'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass an array of one dimension, such as ''{https://app.example.com}''. Null accepts any; an empty list would accept no token at all.';
	END IF;
	mapping := tenancy.expand_claims(trust_issuer.claims);

	PERFORM FROM tenancy.issuers i WHERE i.issuer = trust_issuer.issuer FOR UPDATE;
	before := tenancy.issuer_values(trust_issuer.issuer);
	INSERT INTO tenancy.issuers AS i (issuer, audiences, authorized_parties, claims)
	VALUES (trust_issuer.issuer, trust_issuer.audiences, trust_issuer.authorized_parties, mapping)
	ON CONFLICT (issuer) DO UPDATE SET trusted = true, audiences = excluded.audiences,
		authorized_parties = excluded.authorized_parties, claims = excluded.claims
	RETURNING i.id INTO trusted_id;
	SELECT r.added + r.retired INTO changed_keys FROM tenancy.replace_keys(trusted_id, trust_issuer.jwks) r;
	after := tenancy.issuer_values(trust_issuer.issuer);
	IF after IS DISTINCT FROM before OR changed_keys > 0 THEN
		PERFORM tenancy.record_change_by(actor, 'trust_issuer', NULL, trust_issuer.issuer, before, after);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.trust_issuer(text, jsonb, text[], text[], jsonb) IS 'Accepts tokens of an issuer that are signed with these keys; calling it again replaces rules and keys.';

-- The row lock makes two simultaneous rotations follow each other.
CREATE FUNCTION tenancy.import_jwks(issuer text, jwks jsonb, OUT added integer, OUT kept integer, OUT retired integer)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	trusted_id uuid;
	before jsonb;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('import signing keys');
	actor := tenancy.audit_actor();
	SELECT i.id INTO trusted_id FROM tenancy.issuers i WHERE i.issuer = import_jwks.issuer AND i.trusted FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" is not trusted', import_jwks.issuer
			USING ERRCODE = 'undefined_object', HINT = 'Call tenancy.trust_issuer(issuer, jwks) first.';
	END IF;
	before := tenancy.issuer_values(import_jwks.issuer) -> 'keys';
	SELECT r.added, r.kept, r.retired INTO added, kept, retired FROM tenancy.replace_keys(trusted_id, jwks) r;
	IF added + retired > 0 THEN
		PERFORM tenancy.record_change_by(actor, 'import_jwks', NULL, import_jwks.issuer, jsonb_build_object('keys', before),
			jsonb_build_object('keys', tenancy.issuer_values(import_jwks.issuer) -> 'keys', 'added', added, 'kept', kept, 'retired', retired));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.import_jwks(text, jsonb) IS 'Rotates an issuer''s keys: adds what is new, keeps what is the same, retires what the key set no longer has.';

CREATE FUNCTION tenancy.distrust_issuer(issuer text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	distrusted_id uuid;
	before jsonb;
	after jsonb;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('distrust an issuer');
	actor := tenancy.audit_actor();
	PERFORM FROM tenancy.issuers i WHERE i.issuer = distrust_issuer.issuer FOR UPDATE;
	before := tenancy.issuer_values(distrust_issuer.issuer);
	UPDATE tenancy.issuers i SET trusted = false WHERE i.issuer = distrust_issuer.issuer RETURNING i.id INTO distrusted_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" does not exist', distrust_issuer.issuer
			USING ERRCODE = 'undefined_object', HINT = 'tenancy.issuers lists them.';
	END IF;
	DELETE FROM tenancy.signing_keys k WHERE k.issuer_id = distrusted_id;
	after := tenancy.issuer_values(distrust_issuer.issuer);
	IF after <> before THEN
		PERFORM tenancy.record_change_by(actor, 'distrust_issuer', NULL, distrust_issuer.issuer, before, after);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.distrust_issuer(text) IS 'Refuses all tokens of an issuer from now on, and forgets its keys. Its users stay.';
-- How a person gets a user and an org.

-- Without settings of its own and in one expression, so that the planner puts it in the place of a call.
CREATE FUNCTION tenancy.slugify(name text)
RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.regexp_replace(pg_catalog.regexp_replace(
	pg_catalog.rtrim(pg_catalog.left(pg_catalog.btrim(pg_catalog.regexp_replace(pg_catalog.lower(
		pg_catalog.regexp_replace(pg_catalog.normalize(slugify.name, 'NFKD'), '[\u0300-\u036f]', '', 'g') COLLATE pg_catalog."C"),
		'[^a-z0-9]+', '-', 'g'), '-'), 48), '-'),
	'^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$', 'org-\1'),
	'^$', 'org');
COMMENT ON FUNCTION tenancy.slugify(text) IS 'A slug made from a name: lower-case ASCII letters, digits and hyphens, at most 48.';

CREATE FUNCTION tenancy.strip_blank(name text)
RETURNS text LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_strip_blank';
COMMENT ON FUNCTION tenancy.strip_blank(text) IS 'Internal: a name without the white space and invisible characters in front; null if there is nothing else.';

CREATE FUNCTION tenancy.provision_user(
	OUT user_id uuid, OUT org_id uuid, OUT org_slug text, OUT roles text[], OUT created boolean)
RETURNS record LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tenancy_provision_user';
COMMENT ON FUNCTION tenancy.provision_user() IS 'Gives the token''s subject a user and an org, if they are not there yet. Safe to call at every sign-in.';

CREATE FUNCTION tenancy.provision_identity(action text)
RETURNS uuid LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tenancy_provision_identity';
COMMENT ON FUNCTION tenancy.provision_identity(text) IS 'Internal: gives the token''s subject a user, but no org; the audit log names the action. For who is about to join one.';

CREATE FUNCTION tenancy.create_org(name text, slug text DEFAULT NULL, admin_email text DEFAULT NULL)
RETURNS uuid LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'tenancy_create_org';
COMMENT ON FUNCTION tenancy.create_org(text, text, text) IS 'Creates an org whose admin is the caller, or whom an administrator names by email. With a slug a caller''s own is safe to repeat.';
-- What the session may do, and who decides it.

CREATE FUNCTION tenancy.can_i(action text, resource_type text)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_can_i';
COMMENT ON FUNCTION tenancy.can_i(text, text) IS 'True if the session is active and a role of the user in the current org grants the action.';

CREATE FUNCTION tenancy.current_org_if(action text, resource_type text)
RETURNS uuid LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_current_org_if';
COMMENT ON FUNCTION tenancy.current_org_if(text, text) IS 'The current org if can_i(), else null: what policies for reading compare with.';

CREATE FUNCTION tenancy.require(action text, resource_type text)
RETURNS void LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require';
COMMENT ON FUNCTION tenancy.require(text, text) IS 'Raises an error that says why, unless can_i().';

CREATE FUNCTION tenancy.require_org(action text, resource_type text)
RETURNS uuid LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_require_org';
COMMENT ON FUNCTION tenancy.require_org(text, text) IS 'The current org if can_i(), else an error that says why: what policies for writing compare with.';

CREATE FUNCTION tenancy.my_permissions(OUT resource_type text, OUT action text)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE ROWS 30 AS 'MODULE_PATHNAME', 'tenancy_my_permissions';
COMMENT ON FUNCTION tenancy.my_permissions() IS 'Everything the user may do in the current org; nothing if the session is not active.';

-- What is granted and not taken back. Shows all there is: for the functions here, and granted to nobody.
CREATE VIEW tenancy.granted_permissions AS
SELECT p.role_id, p.resource_type, p.action FROM tenancy.role_permissions p
WHERE NOT EXISTS (SELECT FROM tenancy.revoked_permissions v
	WHERE v.role_id = p.role_id AND v.resource_type = p.resource_type AND v.action = p.action);
COMMENT ON VIEW tenancy.granted_permissions IS 'Internal: the permissions in force, of all roles.';

-- Runs with its owner's rights, so it filters by itself: the built-in roles for every user, an org's own roles for those in it.
-- A barrier, or a caller's function in WHERE would be shown the rows before they are filtered.
CREATE VIEW tenancy.permission_matrix WITH (security_barrier) AS
SELECT r.org_id, r.name AS role, t.name AS resource_type, a.action,
	p.role_id IS NOT NULL AND v.role_id IS NULL AS granted, f.max_age
FROM tenancy.roles r
CROSS JOIN tenancy.resource_types t
CROSS JOIN LATERAL pg_catalog.unnest(t.actions) AS a (action)
LEFT JOIN tenancy.role_permissions p ON p.role_id = r.id AND p.resource_type = t.name AND p.action = a.action
LEFT JOIN tenancy.revoked_permissions v ON v.role_id = r.id AND v.resource_type = t.name AND v.action = a.action
LEFT JOIN tenancy.fresh_authentications f ON f.resource_type = t.name AND f.action = a.action
WHERE (r.org_id IS NULL AND tenancy.current_user_id() IS NOT NULL)
	OR r.org_id = tenancy.current_org()
	OR tenancy.is_administrator();
COMMENT ON VIEW tenancy.permission_matrix IS 'Every role, resource type and action, whether it is granted, and how fresh an authentication it needs.';

CREATE FUNCTION tenancy.built_in_role(role text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	role_id uuid;
BEGIN
	IF role IS NULL THEN
		RAISE EXCEPTION 'role must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'The built-in roles are admin, member and viewer.';
	END IF;
	SELECT r.id INTO role_id FROM tenancy.roles r WHERE r.org_id IS NULL AND r.name = role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist', role
			USING ERRCODE = 'undefined_object', HINT = 'The built-in roles are admin, member and viewer.';
	END IF;
	RETURN role_id;
END
$$;
COMMENT ON FUNCTION tenancy.built_in_role(text) IS 'The id of a built-in role; raises an error for an unknown name.';

CREATE FUNCTION tenancy.assert_action(action text, resource_type text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF action IS NULL OR resource_type IS NULL THEN
		RAISE EXCEPTION 'action and resource type must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'tenancy.resource_types lists what exists.';
	END IF;
	IF NOT EXISTS (SELECT FROM tenancy.resource_types t WHERE t.name = resource_type AND action = ANY (t.actions)) THEN
		RAISE EXCEPTION 'resource type "%" with action "%" does not exist', resource_type, action
			USING ERRCODE = 'undefined_object',
				HINT = 'tenancy.resource_types lists what exists; tenancy.add_resource_type(name, actions) adds.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_action(text, text) IS 'Raises an error unless the resource type knows the action.';
-- Who belongs to an org, with which roles.
--
-- Every function that changes an org's members, roles or invitations begins with authorize_change(), which locks the org's
-- row: such changes follow each other, and each is judged by what the one before has left.
--
-- Locks are taken in one order everywhere, so that nobody deadlocks: a user's row (hold_user(), lock_user_and_orgs()), then
-- orgs in the order of their ids (lock_org()), then invitations.

-- FOR KEY SHARE is what foreign keys take: what refers to the user, and would take it late, finds it held. Of all that is done
-- to users, disabling alone conflicts.
CREATE FUNCTION tenancy.hold_user(user_id uuid)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT FROM tenancy.users u WHERE u.id = hold_user.user_id FOR KEY SHARE
$$;
COMMENT ON FUNCTION tenancy.hold_user(uuid) IS 'Internal: keeps a user from being disabled until the transaction ends. To be called before lock_org().';

-- Asked again once held: it may have waited for who disables the user.
CREATE FUNCTION tenancy.hold_me()
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.hold_user(tenancy.require_user_for_change());
	RETURN tenancy.require_user_for_change();
END
$$;
COMMENT ON FUNCTION tenancy.hold_me() IS 'Internal: require_user_for_change(), with the user kept from being disabled.';

-- Runs with its owner's rights, so it filters by itself. A branch for each way to be shown, so that one org's rows are found
-- by index: who may read members, who sees only themself, and the DBA, who has no org (a superadmin sees the one entered, as
-- everybody does). OFFSET 0 keeps a caller's conditions out: one on an email address, tested first, would find that user
-- whatever the org, and the counts of EXPLAIN ANALYZE would tell.
CREATE VIEW tenancy.members WITH (security_barrier) AS
SELECT s.org_id, s.user_id, s.email, s.name, s.status,
	ARRAY(SELECT r.name::text FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id
		WHERE mr.user_id = s.user_id AND mr.org_id = s.org_id ORDER BY r.name) AS roles,
	s.created_at AS joined_at
FROM (SELECT m.org_id, m.user_id, u.email, u.name, u.status, m.created_at
	FROM (SELECT * FROM tenancy.memberships m
		WHERE m.org_id = tenancy.current_org_if('read', 'member')
		UNION ALL
		SELECT * FROM tenancy.memberships m
		WHERE m.org_id = tenancy.current_org() AND m.user_id = tenancy.current_user_id()
			AND tenancy.current_org_if('read', 'member') IS NULL
		UNION ALL
		SELECT * FROM tenancy.memberships m
		WHERE tenancy.is_administrator() AND NOT tenancy.is_superadmin()) m
	JOIN tenancy.users u ON u.id = m.user_id
	OFFSET 0) s;
COMMENT ON VIEW tenancy.members IS 'The members of the current org, for who may read them, and always oneself; for the DBA those of every org.';

-- The row is written and not only locked: a REPEATABLE READ transaction that comes second must fail, since it would go on
-- with the members that it saw before it waited.
CREATE FUNCTION tenancy.lock_org(org_id uuid)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	UPDATE tenancy.organizations o SET status = o.status WHERE o.id = lock_org.org_id
$$;
COMMENT ON FUNCTION tenancy.lock_org(uuid) IS 'Internal: makes changes of an org''s members and roles follow each other. Hold the user first; lock several orgs in the order of their ids.';

-- Asked again under the lock: of two admins who remove each other at once, the second is none any more.
CREATE FUNCTION tenancy.authorize_change(action text, resource_type text, purpose text)
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize(authorize_change.action, authorize_change.resource_type, authorize_change.purpose);
BEGIN
	PERFORM tenancy.hold_user(tenancy.current_user_id());
	PERFORM tenancy.lock_org(in_org);
	IF tenancy.authorize(authorize_change.action, authorize_change.resource_type, authorize_change.purpose) IS DISTINCT FROM in_org THEN
		RAISE EXCEPTION 'the session has come into another org meanwhile'
			USING ERRCODE = 'serialization_failure', DETAIL = 'A concurrent change ended the membership that this began under.',
				HINT = 'Look at tenancy.session(), and try again.';
	END IF;
	RETURN in_org;
END
$$;
COMMENT ON FUNCTION tenancy.authorize_change(text, text, text) IS 'Internal: authorize(), with the org locked against other changes of its members and roles.';

CREATE FUNCTION tenancy.assert_not_null(value text, name text, hint text)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF value IS NULL THEN
		RAISE EXCEPTION '% must not be null', name USING ERRCODE = 'null_value_not_allowed', HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_not_null(text, text, text) IS 'Internal: raises an error about a missing argument.';

CREATE FUNCTION tenancy.assert_admin_remains(org_id uuid)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM tenancy.membership_roles mr
			JOIN tenancy.roles r ON r.id = mr.role_id AND r.org_id IS NULL AND r.name = 'admin'
			JOIN tenancy.users u ON u.id = mr.user_id AND u.status = 'active'
			WHERE mr.org_id = assert_admin_remains.org_id) THEN
		RAISE EXCEPTION 'the org would have no admin left'
			USING ERRCODE = 'TN006',
				DETAIL = 'An org keeps at least one member with the built-in role admin whose user is not disabled.',
				HINT = 'Make somebody else admin first: tenancy.set_member_roles(user_id, ''{admin}'').';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_admin_remains(uuid) IS 'Internal: raises an error if the org has no active admin. To be called after lock_org() and the change.';

-- A disabled admin is none whom the org could lose.
CREATE FUNCTION tenancy.is_active_admin(user_id uuid, org_id uuid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM tenancy.membership_roles mr
		JOIN tenancy.roles r ON r.id = mr.role_id AND r.org_id IS NULL AND r.name = 'admin'
		JOIN tenancy.users u ON u.id = mr.user_id AND u.status = 'active'
		WHERE mr.user_id = is_active_admin.user_id AND mr.org_id = is_active_admin.org_id)
$$;
COMMENT ON FUNCTION tenancy.is_active_admin(uuid, uuid) IS 'Internal: whether a user who is not disabled is an admin of an org.';

CREATE FUNCTION tenancy.member_role_names(user_id uuid, org_id uuid)
RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT ARRAY(SELECT r.name::text FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id
		WHERE mr.user_id = member_role_names.user_id AND mr.org_id = member_role_names.org_id ORDER BY r.name)
$$;
COMMENT ON FUNCTION tenancy.member_role_names(uuid, uuid) IS 'Internal: the names of the roles a user holds in an org.';

CREATE FUNCTION tenancy.role_of_org(role text, org_id uuid)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_not_null(role_of_org.role, 'role', 'tenancy.permission_matrix lists the roles: admin, member, viewer and the org''s own.');
	SELECT r.id INTO found_id FROM tenancy.roles r
	WHERE r.name = role_of_org.role AND (r.org_id IS NULL OR r.org_id = role_of_org.org_id);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist', role_of_org.role
			USING ERRCODE = 'undefined_object', HINT = 'tenancy.permission_matrix lists the roles: admin, member, viewer and the org''s own.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.role_of_org(text, uuid) IS 'Internal: the id of a built-in role or an org''s own; raises an error for an unknown name.';

-- Nobody gives what they do not hold, or takes it away. Asks for what the caller's roles grant, not can_i(): that a
-- permission needs a fresh authentication does not make the role another one's to give.
CREATE FUNCTION tenancy.assert_may_give(role_id uuid)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	missing text;
BEGIN
	IF tenancy.is_administrator() THEN
		RETURN;
	END IF;
	SELECT string_agg(format('%s %s', p.action, p.resource_type), ', ' ORDER BY p.resource_type, p.action) INTO missing
	FROM (SELECT g.resource_type, g.action FROM tenancy.granted_permissions g WHERE g.role_id = assert_may_give.role_id
		EXCEPT SELECT m.resource_type, m.action FROM tenancy.my_permissions() m) p;
	IF missing IS NOT NULL THEN
		RAISE EXCEPTION 'permission denied to give or take a role beyond your own'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The role grants what your roles do not: %s.', missing),
				HINT = 'Choose another role, or ask somebody who holds these permissions.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_may_give(uuid) IS 'Internal: raises an error if the role grants anything that the caller''s roles in the current org do not.';

CREATE FUNCTION tenancy.raise_no_such_member()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'no such member of this org'
		USING ERRCODE = 'undefined_object', HINT = 'tenancy.members lists the members of the current org.';
END
$$;
COMMENT ON FUNCTION tenancy.raise_no_such_member() IS 'Internal: raises the error about somebody who is no member.';

-- The caller has locked the org.
CREATE FUNCTION tenancy.replace_member_roles(user_id uuid, org_id uuid, wanted uuid[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	held uuid[] := ARRAY(SELECT mr.role_id FROM tenancy.membership_roles mr
		WHERE mr.user_id = replace_member_roles.user_id AND mr.org_id = replace_member_roles.org_id);
	was_admin boolean := tenancy.is_active_admin(replace_member_roles.user_id, replace_member_roles.org_id);
	changed uuid;
BEGIN
	FOR changed IN
		SELECT w FROM unnest(wanted) w WHERE w <> ALL (held)
		UNION SELECT h FROM unnest(held) h WHERE h <> ALL (wanted)
	LOOP
		PERFORM tenancy.assert_may_give(changed);
	END LOOP;

	DELETE FROM tenancy.membership_roles mr
	WHERE mr.user_id = replace_member_roles.user_id AND mr.org_id = replace_member_roles.org_id AND mr.role_id <> ALL (wanted);
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
	SELECT replace_member_roles.user_id, replace_member_roles.org_id, w FROM unnest(wanted) w WHERE w <> ALL (held);
	IF was_admin THEN
		PERFORM tenancy.assert_admin_remains(replace_member_roles.org_id);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.replace_member_roles(uuid, uuid, uuid[]) IS 'Internal: makes these the roles of a member, as far as the caller may give and take them.';

CREATE FUNCTION tenancy.set_member_roles(user_id uuid, roles text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('update', 'member', 'change the roles of a member');
	before text[];
	after text[];
BEGIN
	PERFORM tenancy.assert_not_null(set_member_roles.user_id::text, 'user', 'tenancy.members lists the members of the current org.');
	IF coalesce(cardinality(set_member_roles.roles), 0) = 0 THEN
		RAISE EXCEPTION 'a member needs at least one role'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'To take somebody out of the org, call tenancy.remove_member(user_id).';
	END IF;
	IF NOT EXISTS (SELECT FROM tenancy.memberships m WHERE m.org_id = in_org AND m.user_id = set_member_roles.user_id) THEN
		PERFORM tenancy.raise_no_such_member();
	END IF;

	before := tenancy.member_role_names(set_member_roles.user_id, in_org);
	PERFORM tenancy.replace_member_roles(set_member_roles.user_id, in_org,
		ARRAY(SELECT DISTINCT tenancy.role_of_org(r, in_org) FROM unnest(set_member_roles.roles) r));
	after := tenancy.member_role_names(set_member_roles.user_id, in_org);
	IF after <> before THEN
		PERFORM tenancy.record_change('set_member_roles', in_org, set_member_roles.user_id::text,
			jsonb_build_object('roles', before), jsonb_build_object('roles', after));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_member_roles(uuid, text[]) IS 'Makes these the roles of a member of the current org.';

-- Who is put out must not come back by an invitation of their own making that whoever has the secret may accept. The caller has
-- locked the org.
CREATE FUNCTION tenancy.revoke_invitations_by(user_id uuid, org_id uuid)
RETURNS jsonb LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH revoked AS (
		UPDATE tenancy.invitations i SET revoked_at = now()
		WHERE i.org_id = revoke_invitations_by.org_id AND i.invited_by = revoke_invitations_by.user_id
			AND i.accepted_at IS NULL AND i.revoked_at IS NULL
		RETURNING i.id)
	SELECT jsonb_build_object('revoked_invitations', jsonb_agg(r.id ORDER BY r.id)) FROM revoked r HAVING count(*) > 0
$$;
COMMENT ON FUNCTION tenancy.revoke_invitations_by(uuid, uuid) IS 'Internal: takes back the pending invitations that a member has written; what the audit log tells of it, or null.';

-- The caller has locked the org.
CREATE FUNCTION tenancy.delete_membership(user_id uuid, org_id uuid, action text, after jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	before text[] := tenancy.member_role_names(delete_membership.user_id, delete_membership.org_id);
	was_admin boolean := tenancy.is_active_admin(delete_membership.user_id, delete_membership.org_id);
BEGIN
	DELETE FROM tenancy.memberships m WHERE m.user_id = delete_membership.user_id AND m.org_id = delete_membership.org_id;
	IF NOT FOUND THEN
		PERFORM tenancy.raise_no_such_member();
	END IF;
	IF was_admin THEN
		PERFORM tenancy.assert_admin_remains(delete_membership.org_id);
	END IF;
	PERFORM tenancy.record_change(delete_membership.action, delete_membership.org_id, delete_membership.user_id::text,
		jsonb_build_object('roles', before), delete_membership.after);
END
$$;
COMMENT ON FUNCTION tenancy.delete_membership(uuid, uuid, text, jsonb) IS 'Internal: ends a membership, unless it is the last active admin''s.';

CREATE FUNCTION tenancy.remove_member(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('delete', 'member', 'remove a member');
BEGIN
	PERFORM tenancy.assert_not_null(remove_member.user_id::text, 'user', 'tenancy.members lists the members of the current org.');
	PERFORM tenancy.assert_may_give(mr.role_id) FROM tenancy.membership_roles mr
	WHERE mr.org_id = in_org AND mr.user_id = remove_member.user_id;
	PERFORM tenancy.delete_membership(remove_member.user_id, in_org, 'remove_member',
		tenancy.revoke_invitations_by(remove_member.user_id, in_org));
END
$$;
COMMENT ON FUNCTION tenancy.remove_member(uuid) IS 'Takes somebody out of the current org, and their pending invitations back.';

CREATE FUNCTION tenancy.leave_org()
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.hold_me();
	in_org uuid := tenancy.require_current_org();
BEGIN
	PERFORM tenancy.lock_org(in_org);
	PERFORM tenancy.delete_membership(me, in_org, 'leave_org');
END
$$;
COMMENT ON FUNCTION tenancy.leave_org() IS 'Ends the user''s own membership in the current org.';
-- Roles and what they grant. The built-in roles belong to everybody: administrators alone change them. An org's own roles are
-- changed by those who may update its roles, within what they hold themselves.

CREATE FUNCTION tenancy.is_built_in_role(role text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM tenancy.roles r WHERE r.org_id IS NULL AND r.name = is_built_in_role.role)
$$;
COMMENT ON FUNCTION tenancy.is_built_in_role(text) IS 'Internal: is there a built-in role of that name?';

CREATE FUNCTION tenancy.own_role(role text, org_id uuid)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_not_null(own_role.role, 'role', 'tenancy.permission_matrix lists the roles.');
	SELECT r.id INTO found_id FROM tenancy.roles r WHERE r.org_id = own_role.org_id AND r.name = own_role.role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist in this org', own_role.role
			USING ERRCODE = 'undefined_object',
				HINT = 'tenancy.permission_matrix lists the roles; tenancy.create_role(name) makes one of the org''s own.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.own_role(text, uuid) IS 'Internal: the id of an org''s own role; raises an error for an unknown name.';

CREATE FUNCTION tenancy.create_role(name text, description text DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('create', 'role', 'create a role');
	new_id uuid;
BEGIN
	IF create_role.name IS NULL OR create_role.name COLLATE "C" !~ '^[a-z][a-z0-9_-]{0,62}$' THEN
		RAISE EXCEPTION 'invalid name of a role'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A name is 1 to 63 lower-case letters, digits, hyphens and underscores, beginning with a letter.',
				HINT = 'Choose a name such as ''editor''.';
	END IF;
	IF tenancy.is_built_in_role(create_role.name) OR EXISTS (SELECT FROM tenancy.roles r WHERE r.org_id = in_org AND r.name = create_role.name) THEN
		RAISE EXCEPTION 'role "%" exists already', create_role.name
			USING ERRCODE = 'duplicate_object', HINT = 'Choose another name, or grant to this role with tenancy.grant_permission().';
	END IF;

	INSERT INTO tenancy.roles AS r (org_id, name, description) VALUES (in_org, create_role.name, create_role.description)
	RETURNING r.id INTO new_id;
	PERFORM tenancy.record_change('create_role', in_org, create_role.name, NULL, jsonb_build_object('description', create_role.description));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.create_role(text, text) IS 'Creates a role of the current org''s own, which grants nothing yet; returns its id.';

-- Not taken from who holds it: a member would be left with less than anybody decided, maybe with nothing.
CREATE FUNCTION tenancy.drop_role(name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('delete', 'role', 'drop a role');
	dropped uuid := tenancy.own_role(drop_role.name, in_org);
	granted jsonb := (SELECT jsonb_agg(format('%s %s', p.action, p.resource_type) ORDER BY p.resource_type, p.action)
		FROM tenancy.granted_permissions p WHERE p.role_id = dropped);
BEGIN
	IF EXISTS (SELECT FROM tenancy.membership_roles mr WHERE mr.role_id = dropped)
		OR EXISTS (SELECT FROM tenancy.invitations i WHERE i.role_id = dropped AND i.accepted_at IS NULL AND i.revoked_at IS NULL
			AND i.expires_at > clock_timestamp()) THEN
		RAISE EXCEPTION 'role "%" is in use', drop_role.name
			USING ERRCODE = 'object_in_use', DETAIL = 'Members hold it, or pending invitations name it.',
				HINT = 'Give these members other roles with tenancy.set_member_roles(), and revoke the invitations, first.';
	END IF;
	PERFORM tenancy.assert_may_give(dropped);
	DELETE FROM tenancy.roles r WHERE r.id = dropped;
	PERFORM tenancy.record_change('drop_role', in_org, drop_role.name, jsonb_build_object('permissions', granted));
END
$$;
COMMENT ON FUNCTION tenancy.drop_role(text) IS 'Drops a role of the current org''s own that nobody holds.';

-- The role whose grants the caller may change, and the org it belongs to: null for a built-in one.
CREATE FUNCTION tenancy.role_to_change(role text, purpose text, OUT role_id uuid, OUT org_id uuid)
RETURNS record LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.assert_not_null(role_to_change.role, 'role', 'tenancy.permission_matrix lists the roles.');
	-- To a DBA who has picked no org, a name that no role has is a mistyped one.
	IF tenancy.is_built_in_role(role_to_change.role)
		OR (tenancy.is_administrator() AND NOT EXISTS (SELECT FROM tenancy.roles r WHERE r.name = role_to_change.role)) THEN
		PERFORM tenancy.assert_administrator(role_to_change.purpose || ' a built-in role');
		role_id := tenancy.built_in_role(role_to_change.role);
	ELSE
		org_id := tenancy.authorize_change('update', 'role', role_to_change.purpose || ' a role');
		role_id := tenancy.own_role(role_to_change.role, org_id);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.role_to_change(text, text) IS 'Internal: a role whose grants the caller may change; raises an error for another.';

CREATE FUNCTION tenancy.assert_holds(action text, resource_type text)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT tenancy.is_administrator() AND NOT EXISTS (SELECT FROM tenancy.my_permissions() p
			WHERE p.action = assert_holds.action AND p.resource_type = assert_holds.resource_type) THEN
		RAISE EXCEPTION 'permission denied to grant or revoke what you do not hold'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('Your roles in this org do not grant %s %s.', assert_holds.action, assert_holds.resource_type),
				HINT = 'Ask somebody who holds this permission.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_holds(text, text) IS 'Internal: raises an error unless the caller''s roles grant that, fresh authentication or not.';

CREATE FUNCTION tenancy.is_granted(role_id uuid, action text, resource_type text)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM tenancy.granted_permissions p
		WHERE p.role_id = is_granted.role_id AND p.action = is_granted.action AND p.resource_type = is_granted.resource_type)
$$;
COMMENT ON FUNCTION tenancy.is_granted(uuid, text, text) IS 'Internal: does a role grant that?';

CREATE FUNCTION tenancy.grant_permission(role text, action text, resource_type text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	granted record;
BEGIN
	SELECT * INTO granted FROM tenancy.role_to_change(grant_permission.role, 'grant a permission to');
	PERFORM tenancy.assert_action(grant_permission.action, grant_permission.resource_type);
	PERFORM tenancy.assert_holds(grant_permission.action, grant_permission.resource_type);
	IF tenancy.is_granted(granted.role_id, grant_permission.action, grant_permission.resource_type) THEN
		RETURN;
	END IF;

	DELETE FROM tenancy.revoked_permissions v
	WHERE v.role_id = granted.role_id AND v.resource_type = grant_permission.resource_type AND v.action = grant_permission.action;
	INSERT INTO tenancy.role_permissions (role_id, resource_type, action)
	VALUES (granted.role_id, grant_permission.resource_type, grant_permission.action)
	ON CONFLICT DO NOTHING;
	PERFORM tenancy.record_change('grant_permission', granted.org_id, grant_permission.role, NULL,
		jsonb_build_object('action', grant_permission.action, 'resource_type', grant_permission.resource_type));
END
$$;
COMMENT ON FUNCTION tenancy.grant_permission(text, text, text) IS 'Allows a role an action on a resource type: a built-in role in every org at once, or one of the current org''s own. No error if it is allowed already.';

CREATE FUNCTION tenancy.revoke_permission(role text, action text, resource_type text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	revoked record;
BEGIN
	SELECT * INTO revoked FROM tenancy.role_to_change(revoke_permission.role, 'revoke a permission of');
	PERFORM tenancy.assert_action(revoke_permission.action, revoke_permission.resource_type);
	PERFORM tenancy.assert_holds(revoke_permission.action, revoke_permission.resource_type);
	IF NOT tenancy.is_granted(revoked.role_id, revoke_permission.action, revoke_permission.resource_type) THEN
		RETURN;
	END IF;

	DELETE FROM tenancy.role_permissions p
	WHERE p.role_id = revoked.role_id AND p.resource_type = revoke_permission.resource_type
		AND p.action = revoke_permission.action AND NOT p.shipped;
	INSERT INTO tenancy.revoked_permissions (role_id, resource_type, action)
	SELECT p.role_id, p.resource_type, p.action FROM tenancy.role_permissions p
	WHERE p.role_id = revoked.role_id AND p.resource_type = revoke_permission.resource_type
		AND p.action = revoke_permission.action
	ON CONFLICT DO NOTHING;
	PERFORM tenancy.record_change('revoke_permission', revoked.org_id, revoke_permission.role,
		jsonb_build_object('action', revoke_permission.action, 'resource_type', revoke_permission.resource_type));
END
$$;
COMMENT ON FUNCTION tenancy.revoke_permission(text, text, text) IS 'Takes an action on a resource type back from a role: a built-in role in every org at once, or one of the current org''s own. No error if it is not allowed.';

-- What members may do, for those who decide it.
CREATE FUNCTION tenancy.members_who_can(org_id uuid, action text, resource_type text)
RETURNS SETOF uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT DISTINCT mr.user_id FROM tenancy.membership_roles mr
	JOIN tenancy.users u ON u.id = mr.user_id AND u.status = 'active'
	JOIN tenancy.organizations o ON o.id = mr.org_id AND o.status = 'active'
	JOIN tenancy.granted_permissions p ON p.role_id = mr.role_id
	WHERE mr.org_id = members_who_can.org_id AND p.action = members_who_can.action AND p.resource_type = members_who_can.resource_type
$$;
COMMENT ON FUNCTION tenancy.members_who_can(uuid, text, text) IS 'Internal: the active members of an active org whose roles grant that.';

CREATE FUNCTION tenancy.can_user(user_id uuid, action text, resource_type text)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize('read', 'role', 'see what a user can do');
BEGIN
	RETURN EXISTS (SELECT FROM tenancy.members_who_can(in_org, can_user.action, can_user.resource_type) m WHERE m = can_user.user_id);
END
$$;
COMMENT ON FUNCTION tenancy.can_user(uuid, text, text) IS 'True if the roles of a member of the current org grant the action; fresh authentication is another matter.';

CREATE FUNCTION tenancy.who_can(action text, resource_type text, OUT user_id uuid, OUT email text, OUT roles text[])
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	in_org uuid := tenancy.authorize('read', 'role', 'see who can do something');
BEGIN
	RETURN QUERY SELECT u.id, u.email::text, tenancy.member_role_names(u.id, in_org)
	FROM tenancy.members_who_can(in_org, who_can.action, who_can.resource_type) m JOIN tenancy.users u ON u.id = m
	ORDER BY u.email, u.id;
END
$$;
COMMENT ON FUNCTION tenancy.who_can(text, text) IS 'The members of the current org whose roles grant the action; fresh authentication is another matter.';
-- How a second person gets into an org.
--
-- Who accepts holds the own user, locks the org's row (FOR SHARE, so that several may at once) and then the invitation's; who
-- invites or revokes locks the org by authorize_change(). Hence of accepting and revoking or inviting again, one comes first and
-- the other sees what it did; and nobody deadlocks.

CREATE FUNCTION tenancy.hash_secret(secret text)
RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
	SELECT sha256(convert_to(secret, 'UTF8'))
$$;
COMMENT ON FUNCTION tenancy.hash_secret(text) IS 'Internal: what is stored of an invitation''s secret.';

-- The caller has locked the org, or just made it. A plain hash will do: nobody guesses 244 random bits. src/redaction.c
-- knows the secret by its shape.
CREATE FUNCTION tenancy.write_invitation(for_org uuid, email text, role_id uuid, valid_for interval, any_email boolean,
	OUT invitation_id uuid, OUT invite_token text, OUT expires_at timestamptz, OUT replaced_id uuid)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.assert_not_null(write_invitation.email, 'email', 'Pass an address such as ''name@example.com''.');
	PERFORM tenancy.assert_not_null(write_invitation.valid_for::text, 'valid_for', 'Pass an interval from a second to a year, such as ''7 days''.');
	IF write_invitation.email COLLATE "C" !~ '^[^@\s]+@[^@\s]+$'
		OR octet_length(write_invitation.email) > 320 THEN
		RAISE EXCEPTION 'invalid email address'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'An address is at most 320 bytes, without spaces, with one @.',
				HINT = 'Pass an address such as ''name@example.com''.';
	END IF;
	IF write_invitation.valid_for NOT BETWEEN interval '1 second' AND interval '1 year' THEN
		RAISE EXCEPTION 'invalid time for which the invitation is valid'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass an interval from a second to a year, such as ''7 days''.';
	END IF;
	PERFORM tenancy.assert_not_null(write_invitation.any_email::text, 'any_email', 'Pass false to bind the invitation to the address.');

	UPDATE tenancy.invitations i SET revoked_at = now()
	WHERE i.org_id = for_org AND lower(i.email) = lower(write_invitation.email COLLATE "C")
		AND i.accepted_at IS NULL AND i.revoked_at IS NULL
	RETURNING i.id INTO replaced_id;
	invite_token := 'inv_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
	expires_at := clock_timestamp() + write_invitation.valid_for;
	INSERT INTO tenancy.invitations AS i (org_id, email, role_id, token_hash, invited_by, expires_at, any_email)
	VALUES (for_org, write_invitation.email, write_invitation.role_id, tenancy.hash_secret(invite_token),
		tenancy.current_user_id(), write_invitation.expires_at, write_invitation.any_email)
	RETURNING i.id INTO invitation_id;
END
$$;
COMMENT ON FUNCTION tenancy.write_invitation(uuid, text, uuid, interval, boolean) IS 'Internal: writes an invitation in the place of an earlier one for the same address.';

CREATE FUNCTION tenancy.invite(email text, role text DEFAULT 'member', valid_for interval DEFAULT '7 days', any_email boolean DEFAULT false,
	OUT invitation_id uuid, OUT invite_token text)
RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('create', 'invitation', 'invite somebody');
	with_role uuid := tenancy.role_of_org(invite.role, in_org);
	written record;
BEGIN
	PERFORM tenancy.assert_may_give(with_role);
	-- The address alone does not say that it is the same account: any_email invites another one that has it.
	IF NOT invite.any_email AND EXISTS (SELECT FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id
			WHERE m.org_id = in_org AND u.status = 'active' AND u.email_verified AND lower(u.email) = lower(invite.email COLLATE "C")) THEN
		RAISE EXCEPTION 'this person is a member already'
			USING ERRCODE = 'unique_violation', DETAIL = 'A member of the org has this verified email address.',
				HINT = 'Change the member''s roles with tenancy.set_member_roles(), or pass any_email => true to invite another account with that address.';
	END IF;
	-- To replace an invitation takes away the role it was to give. One that has expired gives none.
	PERFORM tenancy.assert_may_give(i.role_id) FROM tenancy.invitations i
	WHERE i.org_id = in_org AND lower(i.email) = lower(invite.email COLLATE "C")
		AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp();
	SELECT * INTO written FROM tenancy.write_invitation(in_org, invite.email, with_role, invite.valid_for, invite.any_email);
	invitation_id := written.invitation_id;
	invite_token := written.invite_token;
	PERFORM tenancy.record_change('invite', in_org, invite.email,
		CASE WHEN written.replaced_id IS NOT NULL THEN jsonb_build_object('invitation_id', written.replaced_id) END,
		jsonb_build_object('invitation_id', invitation_id, 'role', invite.role, 'any_email', invite.any_email, 'expires_at', written.expires_at));
END
$$;
COMMENT ON FUNCTION tenancy.invite(text, text, interval, boolean) IS 'Invites an address to the current org; the secret is shown this once. Inviting again replaces the earlier invitation.';

-- Whatever is wrong with it, the answer is the same: a made-up secret tells nothing.
CREATE FUNCTION tenancy.raise_unusable_invitation()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'invitation cannot be used'
		USING ERRCODE = 'TN007',
			DETAIL = 'It does not exist, was used, was revoked or has expired, its org is closed, or it is for another verified email address.',
			HINT = 'Sign in with the address that was invited and verify it, or ask for a new invitation.';
END
$$;
COMMENT ON FUNCTION tenancy.raise_unusable_invitation() IS 'Internal: raises the one error there is about an invitation.';

-- By the secret, or by the id if it is one's own.
CREATE FUNCTION tenancy.find_invitation(invite_token text, OUT invitation_id uuid, OUT org_id uuid)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF invite_token ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
		SELECT i.id, i.org_id INTO invitation_id, org_id FROM tenancy.invitations i
		WHERE i.id = find_invitation.invite_token::uuid AND lower(i.email) = lower(tenancy.verified_email() COLLATE "C");
	ELSE
		SELECT i.id, i.org_id INTO invitation_id, org_id FROM tenancy.invitations i
		WHERE i.token_hash = tenancy.hash_secret(find_invitation.invite_token);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.find_invitation(text) IS 'Internal: the invitation that a secret or an own invitation''s id names, in whatever state; nulls if there is none.';

CREATE FUNCTION tenancy.accept_invitation(invite_token text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.provision_identity('accept_invitation');
	named record;
	i tenancy.invitations;
BEGIN
	PERFORM tenancy.hold_me();
	PERFORM tenancy.assert_not_null(accept_invitation.invite_token, 'invite_token', 'Pass the secret that invite() returned, or an id of tenancy.my_invitations().');
	SELECT * INTO named FROM tenancy.find_invitation(accept_invitation.invite_token);
	PERFORM FROM tenancy.organizations o WHERE o.id = named.org_id AND o.status = 'active' FOR SHARE;
	IF NOT FOUND THEN
		PERFORM tenancy.raise_unusable_invitation();
	END IF;
	SELECT * INTO i FROM tenancy.invitations v WHERE v.id = named.invitation_id FOR UPDATE;
	-- Who is in by it already has clicked twice, lost the answer, or came by way of provision_user().
	IF i.accepted_by = me AND EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id = me AND m.org_id = i.org_id) THEN
		RETURN i.org_id;
	END IF;
	-- The clock is looked at once the lock is held: waiting for it may have taken longer than the invitation was valid.
	IF NOT FOUND OR i.accepted_at IS NOT NULL OR i.revoked_at IS NOT NULL OR i.expires_at <= clock_timestamp()
		OR NOT (i.any_email OR coalesce(lower(i.email) = lower(tenancy.verified_email() COLLATE "C"), false)) THEN
		PERFORM tenancy.raise_unusable_invitation();
	END IF;

	UPDATE tenancy.invitations v SET accepted_at = now(), accepted_by = me WHERE v.id = i.id;
	INSERT INTO tenancy.memberships (user_id, org_id) VALUES (me, i.org_id) ON CONFLICT DO NOTHING;
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) VALUES (me, i.org_id, i.role_id) ON CONFLICT DO NOTHING;
	PERFORM tenancy.record_change('accept_invitation', i.org_id, me::text, NULL,
		jsonb_build_object('invitation_id', i.id, 'role', (SELECT r.name FROM tenancy.roles r WHERE r.id = i.role_id)));
	RETURN i.org_id;
END
$$;
COMMENT ON FUNCTION tenancy.accept_invitation(text) IS 'Joins the org that an invitation is for, by its secret, or by the id that my_invitations() shows; returns the org.';

CREATE FUNCTION tenancy.revoke_invitation(invitation_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	in_org uuid := tenancy.authorize_change('delete', 'invitation', 'revoke an invitation');
	invited text;
BEGIN
	PERFORM tenancy.assert_not_null(revoke_invitation.invitation_id::text, 'invitation', 'tenancy.list_invitations() shows those of the current org.');
	UPDATE tenancy.invitations i SET revoked_at = now()
	WHERE i.id = revoke_invitation.invitation_id AND i.org_id = in_org AND i.accepted_at IS NULL AND i.revoked_at IS NULL
	RETURNING i.email INTO invited;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no such pending invitation'
			USING ERRCODE = 'undefined_object', DETAIL = 'It is not of this org, or was used or revoked before.',
				HINT = 'tenancy.list_invitations() shows those of the current org.';
	END IF;
	PERFORM tenancy.record_change('revoke_invitation', in_org, invited, jsonb_build_object('invitation_id', revoke_invitation.invitation_id));
END
$$;
COMMENT ON FUNCTION tenancy.revoke_invitation(uuid) IS 'Takes a pending invitation of the current org back.';

CREATE FUNCTION tenancy.list_invitations(OUT invitation_id uuid, OUT email text, OUT role text, OUT status text,
	OUT invited_by uuid, OUT created_at timestamptz, OUT expires_at timestamptz)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	in_org uuid := tenancy.authorize('read', 'invitation', 'list invitations');
BEGIN
	RETURN QUERY SELECT i.id, i.email::text, r.name::text,
		CASE WHEN i.accepted_at IS NOT NULL THEN 'accepted' WHEN i.revoked_at < i.expires_at THEN 'revoked'
			WHEN i.expires_at <= clock_timestamp() THEN 'expired' ELSE 'pending' END,
		i.invited_by, i.created_at, i.expires_at
	FROM tenancy.invitations i JOIN tenancy.roles r ON r.id = i.role_id
	WHERE i.org_id = in_org ORDER BY i.created_at DESC, i.id;
END
$$;
COMMENT ON FUNCTION tenancy.list_invitations() IS 'The invitations of the current org, newest first.';

-- Also before provisioning, so that an application can ask "join Acme, or an org of your own?" first.
CREATE FUNCTION tenancy.my_invitations(OUT invitation_id uuid, OUT org_slug text, OUT org_name text, OUT role text, OUT expires_at timestamptz)
RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT i.id, o.slug::text, o.name, r.name::text, i.expires_at
	FROM tenancy.invitations i JOIN tenancy.organizations o ON o.id = i.org_id JOIN tenancy.roles r ON r.id = i.role_id
	WHERE lower(i.email) = lower(tenancy.verified_email() COLLATE "C")
		AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > clock_timestamp() AND o.status = 'active'
		AND (SELECT s.status FROM tenancy.session() s) <> 'disabled'
	ORDER BY i.created_at DESC, i.id
$$;
COMMENT ON FUNCTION tenancy.my_invitations() IS 'The pending invitations for the token''s verified email address.';
-- The trace of every change: a function that changes authority calls record_change() in its own transaction.

-- Asked before a change that may end the caller's own token: revoked, or signed with a key that is gone, it would not say who
-- this was any more.
CREATE FUNCTION tenancy.audit_actor()
RETURNS tenancy.audit_events LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'tenancy_audit_actor';
COMMENT ON FUNCTION tenancy.audit_actor() IS 'Internal: what a row of the audit log says of the caller.';

CREATE FUNCTION tenancy.record_change_by(actor tenancy.audit_events, action text, org_id uuid, target text, old_values jsonb, new_values jsonb)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO tenancy.audit_events (org_id, user_id, issuer, subject, session_id, acting_superadmin, impersonated_by, database_role,
		action, target, old_values, new_values)
	VALUES (record_change_by.org_id, (actor).user_id, (actor).issuer, (actor).subject, (actor).session_id, (actor).acting_superadmin,
		(actor).impersonated_by, (actor).database_role, record_change_by.action, record_change_by.target,
		record_change_by.old_values, record_change_by.new_values)
$$;
COMMENT ON FUNCTION tenancy.record_change_by(tenancy.audit_events, text, uuid, text, jsonb, jsonb) IS 'Internal: writes a row of the audit log about whom audit_actor() has told of. The action is the name of the function that was called.';

CREATE FUNCTION tenancy.record_change(action text, org_id uuid, target text,
	old_values jsonb DEFAULT NULL, new_values jsonb DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'tenancy_record_change';
COMMENT ON FUNCTION tenancy.record_change(text, uuid, text, jsonb, jsonb) IS 'Internal: writes a row of the audit log about the caller. The action is the name of the function that was called.';

-- Runs with its owner's rights, so it filters by itself. Two branches, so that one org's rows are found by index; below a
-- SELECT, since PostgreSQL takes no notice of security_barrier on a plain UNION ALL: a caller's function in WHERE would be
-- shown every row.
CREATE VIEW tenancy.audit_log WITH (security_barrier) AS
SELECT e.id, e.at, e.org_id, e.user_id, e.issuer, e.subject, e.session_id, e.acting_superadmin, e.impersonated_by, e.database_role,
	e.action, e.target, e.old_values, e.new_values
FROM (SELECT a.* FROM tenancy.audit_events a WHERE tenancy.is_administrator()
	UNION ALL
	SELECT a.* FROM tenancy.audit_events a
	WHERE a.org_id = tenancy.current_org_if('read', 'audit') AND NOT tenancy.is_administrator()) e;
COMMENT ON VIEW tenancy.audit_log IS 'Who changed what, and when: of the current org for who may read its audit, of everything for a superadmin.';
-- A superadmin acts as another user, for an hour at most, with a reason, and both of them in the audit log.

-- act_as() and stop_acting() are C, since they leave a setting behind; what needs rights on the tables is here.
CREATE FUNCTION tenancy.open_impersonation(as_user uuid, reason text, read_only boolean)
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	me uuid := tenancy.require_user();
	new_id uuid;
	until timestamptz := clock_timestamp() + interval '1 hour';
BEGIN
	IF NOT tenancy.is_superadmin() THEN
		PERFORM tenancy.log_denial('act as another user');
		RAISE EXCEPTION 'permission denied to act as another user'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'This is for superadmins, with their own token and as themselves.',
				HINT = 'Ask a superadmin; whoever acts as a user already calls tenancy.stop_acting() first.';
	END IF;
	IF btrim(open_impersonation.reason) = '' THEN
		RAISE EXCEPTION 'reason must not be blank'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why, for the audit log: a ticket''s number will do.';
	END IF;
	IF open_impersonation.as_user = me THEN
		RAISE EXCEPTION 'cannot act as oneself'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass the id of another user.';
	END IF;
	-- Locked, so that the answer is this one and not a foreign key's.
	PERFORM FROM tenancy.users u WHERE u.id = open_impersonation.as_user FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'undefined_object', HINT = 'Pass the user_id that tenancy.session() shows the user, or that tenancy.audit_log names.';
	END IF;

	INSERT INTO tenancy.impersonations AS i (superadmin_id, user_id, reason, read_only, expires_at)
	VALUES (me, open_impersonation.as_user, open_impersonation.reason, open_impersonation.read_only, until)
	RETURNING i.id INTO new_id;
	PERFORM tenancy.record_change('act_as', NULL, open_impersonation.as_user::text, NULL,
		jsonb_build_object('impersonation_id', new_id, 'reason', open_impersonation.reason,
			'read_only', open_impersonation.read_only, 'expires_at', until));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.open_impersonation(uuid, text, boolean) IS 'Internal: what act_as() writes.';

CREATE FUNCTION tenancy.close_impersonation(impersonation_id uuid)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	as_user uuid;
BEGIN
	UPDATE tenancy.impersonations i SET ended_at = clock_timestamp()
	WHERE i.id = close_impersonation.impersonation_id AND i.superadmin_id = tenancy.acting_superadmin() AND i.ended_at IS NULL
	RETURNING i.user_id INTO as_user;
	IF FOUND THEN
		PERFORM tenancy.record_change('stop_acting', NULL, as_user::text, NULL,
			jsonb_build_object('impersonation_id', close_impersonation.impersonation_id));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.close_impersonation(uuid) IS 'Internal: what stop_acting() writes.';

CREATE FUNCTION tenancy.act_as(user_id uuid, reason text, read_only boolean DEFAULT true)
RETURNS uuid LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_act_as';
COMMENT ON FUNCTION tenancy.act_as(uuid, text, boolean) IS 'Lets a superadmin see, or do, what a user does, for an hour at most and for as long as the token holds; returns the id of the impersonation.';

CREATE FUNCTION tenancy.stop_acting()
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_stop_acting';
COMMENT ON FUNCTION tenancy.stop_acting() IS 'Ends the impersonation in force, in every connection that it is in force in.';
-- Step-up authentication (RFC 9470): a permission may need the user to have authenticated lately, whatever role grants it.

CREATE FUNCTION tenancy.authenticated_within(max_age interval)
RETURNS boolean LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_authenticated_within';
COMMENT ON FUNCTION tenancy.authenticated_within(interval) IS 'Internal: true if the token says that the user authenticated so lately.';

CREATE FUNCTION tenancy.require_fresh_authentication(action text, resource_type text, max_age interval)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	before interval;
BEGIN
	PERFORM tenancy.assert_administrator('require a fresh authentication');
	PERFORM tenancy.assert_action(require_fresh_authentication.action, require_fresh_authentication.resource_type);
	-- Tokens tell the time in seconds: less would be no time at all.
	IF require_fresh_authentication.max_age < interval '1 second' OR require_fresh_authentication.max_age > interval '1 year' THEN
		RAISE EXCEPTION 'invalid age of an authentication'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Pass an interval from a second to a year, such as ''10 minutes'', or null to require none.';
	END IF;

	SELECT f.max_age INTO before FROM tenancy.fresh_authentications f
	WHERE f.resource_type = require_fresh_authentication.resource_type AND f.action = require_fresh_authentication.action FOR UPDATE;
	IF before IS NOT DISTINCT FROM require_fresh_authentication.max_age THEN
		RETURN;
	ELSIF require_fresh_authentication.max_age IS NULL THEN
		DELETE FROM tenancy.fresh_authentications f
		WHERE f.resource_type = require_fresh_authentication.resource_type AND f.action = require_fresh_authentication.action;
	ELSE
		INSERT INTO tenancy.fresh_authentications AS f (resource_type, action, max_age)
		VALUES (require_fresh_authentication.resource_type, require_fresh_authentication.action, require_fresh_authentication.max_age)
		ON CONFLICT ON CONSTRAINT fresh_authentications_pkey DO UPDATE SET max_age = excluded.max_age;
	END IF;
	PERFORM tenancy.record_change('require_fresh_authentication', NULL,
		format('%s %s', require_fresh_authentication.action, require_fresh_authentication.resource_type),
		jsonb_build_object('max_age', before), jsonb_build_object('max_age', require_fresh_authentication.max_age));
END
$$;
COMMENT ON FUNCTION tenancy.require_fresh_authentication(text, text, interval) IS 'Lets a permission hold only for so long after the user authenticated, in every org at once; null ends that.';
-- Why the session may do something, or may not.

-- What the functions that raise it would say of the session; null if it is active.
CREATE FUNCTION tenancy.inactive_reason()
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	message text;
	detail text;
BEGIN
	PERFORM tenancy.require_current_org();
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN message || coalesce(': ' || nullif(detail, ''), '');
END
$$;
COMMENT ON FUNCTION tenancy.inactive_reason() IS 'Internal: why the session is not active; null if it is.';

-- The states of a session in the order in which it gets past them.
CREATE FUNCTION tenancy.explain_session(OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.check_name, CASE WHEN f.fails_at IS NULL OR c.place < f.fails_at THEN true WHEN c.place = f.fails_at THEN false END,
		CASE WHEN c.place = f.fails_at THEN tenancy.inactive_reason()
			WHEN f.fails_at IS NULL OR c.place < f.fails_at THEN c.reason
			ELSE 'not reached' END
	FROM tenancy.session() s
	CROSS JOIN LATERAL (SELECT CASE s.status
			WHEN 'active' THEN NULL
			WHEN 'unprovisioned' THEN 2 WHEN 'disabled' THEN 2
			WHEN 'no_org' THEN 3 WHEN 'pick_org' THEN 3 WHEN 'org_suspended' THEN 3 WHEN 'org_archived' THEN 3
			WHEN 'not_a_member' THEN 4
			ELSE 1 END) AS f (fails_at)
	CROSS JOIN LATERAL (VALUES
		(1, 'token', format('signed by a trusted issuer, holds until %s', s.expires_at)),
		(2, 'user', format('provisioned as user %s', s.user_id) ||
			CASE s.impersonation
				WHEN 'act_as' THEN format(', acted as by superadmin %s', s.impersonated_by)
				WHEN 'token' THEN format(', acted as by %s', s.impersonated_by)
				ELSE '' END),
		(3, 'org', coalesce('works in org "' || s.org_slug || '"', 'an org is picked')),
		(4, 'membership', CASE WHEN EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id = s.user_id AND m.org_id = s.org_id)
			THEN 'member of the org' ELSE 'entered as superadmin' END))
		AS c (place, check_name, reason)
	ORDER BY c.place
$$;
COMMENT ON FUNCTION tenancy.explain_session() IS 'Internal: which state the session is in, check by check.';

-- What is left to check once the session is active.
CREATE FUNCTION tenancy.explain_permission(action text, resource_type text, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH role AS (
		SELECT r.name, p.role_id IS NOT NULL AS grants, r.name = ANY (s.roles) AS held
		FROM tenancy.session() s
		JOIN tenancy.roles r ON r.org_id IS NULL OR r.org_id = s.org_id
		LEFT JOIN tenancy.granted_permissions p ON p.role_id = r.id
			AND p.resource_type = explain_permission.resource_type AND p.action = explain_permission.action),
	roles AS (
		SELECT string_agg(r.name, ', ' ORDER BY r.name) FILTER (WHERE r.held) AS held,
			string_agg(r.name, ', ' ORDER BY r.name) FILTER (WHERE r.grants) AS granting,
			string_agg(r.name, ', ' ORDER BY r.name) FILTER (WHERE r.held AND r.grants) AS decisive
		FROM role r)
	SELECT 'resource_type', known.it, CASE WHEN known.it THEN format('"%s" has the action "%s"', explain_permission.resource_type, explain_permission.action)
		ELSE 'no such resource type, or it has no such action' END
	FROM (SELECT EXISTS (SELECT FROM tenancy.resource_types t
			WHERE t.name = explain_permission.resource_type AND explain_permission.action = ANY (t.actions))) AS known (it)
	UNION ALL
	SELECT 'role', r.held IS NOT NULL, coalesce('holds ' || r.held, 'holds no role in the org') FROM roles r
	UNION ALL
	SELECT 'grant', r.decisive IS NOT NULL, coalesce('granted by ' || r.decisive,
		'not granted by any role that the user holds; ' || coalesce('granted by ' || r.granting, 'no role grants it')) FROM roles r
	UNION ALL
	SELECT 'fresh_authentication', tenancy.authenticated_within(f.max_age), CASE WHEN tenancy.authenticated_within(f.max_age)
		THEN format('authenticated within %s', f.max_age)
		ELSE format('needs an authentication within %s, and the token does not tell of one', f.max_age) END
	FROM tenancy.fresh_authentications f
	WHERE f.resource_type = explain_permission.resource_type AND f.action = explain_permission.action
	UNION ALL
	SELECT 'read_only', explain_permission.action = 'read', CASE WHEN explain_permission.action = 'read'
		THEN 'the impersonation is read-only, and this is reading' ELSE 'the impersonation is read-only' END
	FROM tenancy.session() s WHERE s.is_read_only
$$;
COMMENT ON FUNCTION tenancy.explain_permission(text, text) IS 'Internal: whether the active session''s roles allow something, check by check.';

CREATE FUNCTION tenancy.explain_can_i(action text, resource_type text, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	active boolean := (SELECT s.status = 'active' FROM tenancy.session() s);
	allowed boolean := active AND coalesce(tenancy.can_i(explain_can_i.action, explain_can_i.resource_type), false);
BEGIN
	RETURN QUERY SELECT e.check_name, e.passed, e.reason FROM tenancy.explain_session() e;
	IF active THEN
		RETURN QUERY SELECT e.check_name, coalesce(e.passed, false), e.reason
		FROM tenancy.explain_permission(explain_can_i.action, explain_can_i.resource_type) e;
	ELSE
		RETURN QUERY SELECT n.check_name, NULL::boolean, 'not reached' FROM unnest('{resource_type,role,grant}'::text[]) AS n (check_name);
	END IF;
	RETURN QUERY SELECT 'result', allowed, CASE WHEN allowed THEN 'allowed' ELSE 'denied' END;
END
$$;
COMMENT ON FUNCTION tenancy.explain_can_i(text, text) IS 'Why can_i() says what it says: one row a check, the last with the result. Raises no error for any token.';
-- What permissions are about. A new type is granted to the built-in roles at once: to admin all of it, to member and viewer
-- what they usually do.

CREATE FUNCTION tenancy.grant_default_permissions(for_type text, actions text[])
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

CREATE FUNCTION tenancy.grant_new_resource_type()
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
CREATE TRIGGER grant_defaults AFTER INSERT ON tenancy.resource_types
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

CREATE FUNCTION tenancy.add_resource_type(name text, actions text[] DEFAULT '{read,create,update,delete}')
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
-- The life of an org: suspended, resumed, archived, renamed. All of it is the administrators'; the org's own admins have no part in it.

-- Runs with its owner's rights, so it filters by itself.
CREATE VIEW tenancy.orgs WITH (security_barrier) AS
SELECT o.id, o.slug, o.name, o.kind, o.status, o.status_reason, o.created_by, o.created_at, m.member_count, m.admin_count
FROM tenancy.organizations o
CROSS JOIN LATERAL (
	SELECT pg_catalog.count(*) AS member_count,
		pg_catalog.count(*) FILTER (WHERE EXISTS (
			SELECT FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id
			WHERE mr.user_id = m.user_id AND mr.org_id = m.org_id AND r.org_id IS NULL AND r.name = 'admin')) AS admin_count
	FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id
	WHERE m.org_id = o.id AND u.status = 'active') m
WHERE tenancy.is_administrator();
COMMENT ON VIEW tenancy.orgs IS 'Every org, with its status and how many active members and admins it has; no rows for anybody but administrators.';

-- Two changes of an org at once follow each other, and each tells in the audit log what it found.
CREATE FUNCTION tenancy.lock_named_org(org text)
RETURNS tenancy.organizations LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	IF lock_named_org.org IS NULL THEN
		RAISE EXCEPTION 'org must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass a slug or an id; a superadmin finds them in tenancy.orgs.';
	END IF;
	SELECT o.* INTO found_org FROM tenancy.organizations o WHERE o.id = tenancy.org_id_of(lock_named_org.org) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'org "%" does not exist', lock_named_org.org
			USING ERRCODE = 'undefined_object', HINT = 'It has just been purged.';
	END IF;
	RETURN found_org;
END
$$;
COMMENT ON FUNCTION tenancy.lock_named_org(text) IS 'Internal: an org named by slug or id, locked against other changes of it.';

CREATE FUNCTION tenancy.change_org_status(action text, found_org tenancy.organizations, new_status text, new_reason text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF found_org.status = new_status AND found_org.status_reason IS NOT DISTINCT FROM new_reason THEN
		RETURN;
	END IF;
	UPDATE tenancy.organizations o SET status = new_status, status_reason = new_reason WHERE o.id = found_org.id;
	PERFORM tenancy.record_change(change_org_status.action, found_org.id, found_org.slug,
		jsonb_build_object('status', found_org.status, 'status_reason', found_org.status_reason),
		jsonb_build_object('status', new_status, 'status_reason', new_reason));
END
$$;
COMMENT ON FUNCTION tenancy.change_org_status(text, tenancy.organizations, text, text) IS 'Internal: gives an org a status with its reason, unless it has them.';

CREATE FUNCTION tenancy.suspend_org(org text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	PERFORM tenancy.assert_administrator('suspend an org');
	IF suspend_org.reason IS NULL THEN
		RAISE EXCEPTION 'reason must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Say why; the members of the org are shown it.';
	ELSIF btrim(suspend_org.reason, E' \t\r\n') = '' THEN
		RAISE EXCEPTION 'reason must not be blank'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why; the members of the org are shown it.';
	END IF;
	found_org := tenancy.lock_named_org(suspend_org.org);
	IF found_org.status = 'archived' THEN
		RAISE EXCEPTION 'org "%" is archived', found_org.slug
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Its members are locked out already, and do not see it among their orgs.',
				HINT = 'Call tenancy.resume_org(org) first, if they are to see it again.';
	END IF;
	PERFORM tenancy.change_org_status('suspend_org', found_org, 'suspended', suspend_org.reason);
END
$$;
COMMENT ON FUNCTION tenancy.suspend_org(text, text) IS 'Locks the members of an org out, with the reason that they are shown. Its data stays.';

CREATE FUNCTION tenancy.archive_org(org text, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	PERFORM tenancy.assert_administrator('archive an org');
	IF btrim(archive_org.reason, E' \t\r\n') = '' THEN
		RAISE EXCEPTION 'reason must not be blank'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why, or pass null.';
	END IF;
	found_org := tenancy.lock_named_org(archive_org.org);
	IF found_org.status = 'archived' AND archive_org.reason IS NULL THEN
		RETURN;
	END IF;
	PERFORM tenancy.change_org_status('archive_org', found_org, 'archived', archive_org.reason);
END
$$;
COMMENT ON FUNCTION tenancy.archive_org(text, text) IS 'Locks the members of an org out and hides it from their lists. Its data stays.';

CREATE FUNCTION tenancy.resume_org(org text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
BEGIN
	PERFORM tenancy.assert_administrator('resume an org');
	found_org := tenancy.lock_named_org(resume_org.org);
	PERFORM tenancy.change_org_status('resume_org', found_org, 'active', NULL);
	IF (SELECT o.admin_count FROM tenancy.orgs o WHERE o.id = found_org.id) = 0 THEN
		RAISE WARNING 'org "%" has no active admin', found_org.slug
			USING HINT = 'Make somebody admin: pick the org and call tenancy.set_member_roles(user_id, roles) or tenancy.invite(email, ''admin'').';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.resume_org(text) IS 'Opens a suspended or archived org to its members again, as it was.';

CREATE FUNCTION tenancy.rename_org(org text, name text, slug text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
	new_slug text;
BEGIN
	PERFORM tenancy.assert_administrator('rename an org');
	IF rename_org.name IS NULL THEN
		RAISE EXCEPTION 'name must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass the name that people know the org by.';
	ELSIF tenancy.strip_blank(rename_org.name) IS NULL OR char_length(rename_org.name) > 200 THEN
		RAISE EXCEPTION 'invalid name of an org'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = 'A name is 1 to 200 characters, and not blank.',
				HINT = 'Pass the name that people know the org by.';
	ELSIF rename_org.slug COLLATE "C" !~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
		OR rename_org.slug COLLATE "C" ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
		RAISE EXCEPTION 'invalid slug of an org'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A slug is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end, and does not look like a uuid.',
				HINT = 'Choose another slug, or pass none to keep the one that it has.';
	END IF;
	found_org := tenancy.lock_named_org(rename_org.org);
	new_slug := coalesce(rename_org.slug, found_org.slug);
	IF found_org.name = rename_org.name AND found_org.slug = new_slug THEN
		RETURN;
	END IF;
	UPDATE tenancy.organizations o SET name = rename_org.name, slug = new_slug WHERE o.id = found_org.id;
	PERFORM tenancy.record_change('rename_org', found_org.id, found_org.slug,
		jsonb_build_object('name', found_org.name, 'slug', found_org.slug),
		jsonb_build_object('name', rename_org.name, 'slug', new_slug));
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION 'slug "%" is taken', rename_org.slug
		USING ERRCODE = 'unique_violation', DETAIL = 'Another org has this slug.',
			HINT = 'Choose another slug, or pass none to keep the one that it has.';
END
$$;
COMMENT ON FUNCTION tenancy.rename_org(text, text, text) IS 'Gives an org another name, and another slug if one is passed. Its id stays.';
-- Superadmins, and what an administrator does about a user of whatever org.

CREATE FUNCTION tenancy.lock_user(user_id uuid)
RETURNS tenancy.users LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
BEGIN
	IF lock_user.user_id IS NULL THEN
		RAISE EXCEPTION 'user_id must not be null'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Pass the user''s id, as tenancy.session() shows it to the user.';
	END IF;
	SELECT u.* INTO found_user FROM tenancy.users u WHERE u.id = lock_user.user_id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user "%" does not exist', lock_user.user_id
			USING ERRCODE = 'undefined_object', HINT = 'Pass the user''s id, as tenancy.session() shows it to the user.';
	END IF;
	RETURN found_user;
END
$$;
COMMENT ON FUNCTION tenancy.lock_user(uuid) IS 'Internal: a user, locked against other changes of it.';

CREATE FUNCTION tenancy.add_superadmin(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
BEGIN
	PERFORM tenancy.assert_administrator('add a superadmin');
	found_user := tenancy.lock_user(add_superadmin.user_id);
	IF found_user.status <> 'active' THEN
		RAISE EXCEPTION 'user "%" is disabled', found_user.id
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.enable_user(user_id) first.';
	END IF;
	INSERT INTO tenancy.superadmins (user_id) VALUES (found_user.id) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		PERFORM tenancy.record_change('add_superadmin', NULL, found_user.id::text, '{"superadmin": false}', '{"superadmin": true}');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.add_superadmin(uuid) IS 'Makes a user a superadmin.';

-- The setting lists addresses, and its word counts at the next sign-in.
CREATE FUNCTION tenancy.warn_of_superadmin_email(found_user tenancy.users)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM regexp_split_to_table(current_setting('tenancy.superadmin_emails'), ',') e
			WHERE lower(btrim(e, ' "') COLLATE "C") = lower(found_user.email)) THEN
		RAISE WARNING 'user "%" becomes a superadmin again at the next sign-in', found_user.id
			USING DETAIL = 'The setting tenancy.superadmin_emails lists the user''s email address.',
				HINT = 'Take the address off the setting, or call tenancy.disable_user(user_id).';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.warn_of_superadmin_email(tenancy.users) IS 'Internal: warns of a former superadmin whom tenancy.superadmin_emails lists.';

CREATE FUNCTION tenancy.remove_superadmin(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	found_user tenancy.users;
BEGIN
	PERFORM tenancy.assert_administrator('remove a superadmin');
	found_user := tenancy.lock_user(remove_superadmin.user_id);
	DELETE FROM tenancy.superadmins s WHERE s.user_id = found_user.id;
	IF FOUND THEN
		PERFORM tenancy.record_change('remove_superadmin', NULL, found_user.id::text, '{"superadmin": true}', '{"superadmin": false}');
	END IF;
	PERFORM tenancy.warn_of_superadmin_email(found_user);
END
$$;
COMMENT ON FUNCTION tenancy.remove_superadmin(uuid) IS 'Makes a superadmin an ordinary user.';

-- Under the locks no membership begins and no role is given or taken: FOR UPDATE waits for who holds the user, in order to
-- join an org, and keeps others from it.
CREATE FUNCTION tenancy.lock_user_and_orgs(user_id uuid)
RETURNS tenancy.users LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	found_org uuid;
	found_user tenancy.users;
BEGIN
	PERFORM FROM tenancy.users u WHERE u.id = lock_user_and_orgs.user_id FOR UPDATE;
	found_user := tenancy.lock_user(lock_user_and_orgs.user_id);
	FOR found_org IN SELECT m.org_id FROM tenancy.memberships m WHERE m.user_id = found_user.id ORDER BY m.org_id LOOP
		PERFORM tenancy.lock_org(found_org);
	END LOOP;
	RETURN found_user;
END
$$;
COMMENT ON FUNCTION tenancy.lock_user_and_orgs(uuid) IS 'Internal: a user, locked together with all orgs the user belongs to.';

-- In an org without other members nobody is locked out: else anybody could make orgs until they cannot be disabled.
CREATE FUNCTION tenancy.orgs_left_without_admin(user_id uuid)
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT o.slug
	FROM tenancy.membership_roles mr
	JOIN tenancy.roles r ON r.id = mr.role_id AND r.org_id IS NULL AND r.name = 'admin'
	JOIN tenancy.organizations o ON o.id = mr.org_id AND o.status = 'active' AND o.kind = 'team'
	WHERE mr.user_id = orgs_left_without_admin.user_id
		AND NOT EXISTS (SELECT FROM tenancy.membership_roles a JOIN tenancy.users u ON u.id = a.user_id AND u.status = 'active'
			WHERE a.org_id = mr.org_id AND a.role_id = mr.role_id)
		AND EXISTS (SELECT FROM tenancy.memberships m WHERE m.org_id = mr.org_id AND m.user_id <> mr.user_id)
	ORDER BY o.slug
$$;
COMMENT ON FUNCTION tenancy.orgs_left_without_admin(uuid) IS 'Internal: the active team orgs with other members whose admin the user is, and in which nobody who is not disabled is admin.';

CREATE FUNCTION tenancy.disable_user(user_id uuid, reason text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
	orphans text[];
BEGIN
	PERFORM tenancy.assert_administrator('disable a user');
	found_user := tenancy.lock_user_and_orgs(disable_user.user_id);
	IF found_user.status = 'disabled' THEN
		RETURN;
	END IF;
	UPDATE tenancy.users u SET status = 'disabled' WHERE u.id = found_user.id;
	orphans := ARRAY(SELECT * FROM tenancy.orgs_left_without_admin(found_user.id));
	IF orphans <> '{}' THEN
		RAISE EXCEPTION 'user "%" is the last admin of an org', found_user.id
			USING ERRCODE = 'TN006', DETAIL = format('Nobody else is an active admin of: %s%s.', array_to_string(orphans[:5], ', '),
					CASE WHEN cardinality(orphans) > 5 THEN format(' and %s more', cardinality(orphans) - 5) END),
				HINT = 'Make somebody else admin of each, or suspend it first with tenancy.suspend_org(org, reason).';
	END IF;
	PERFORM tenancy.record_change('disable_user', NULL, found_user.id::text,
		jsonb_build_object('status', found_user.status), jsonb_build_object('status', 'disabled', 'reason', disable_user.reason));
END
$$;
COMMENT ON FUNCTION tenancy.disable_user(uuid, text) IS 'Locks a user out of every org, from the commit on. Memberships and roles stay.';

CREATE FUNCTION tenancy.enable_user(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
BEGIN
	PERFORM tenancy.assert_administrator('enable a user');
	found_user := tenancy.lock_user(enable_user.user_id);
	IF found_user.status = 'active' THEN
		RETURN;
	END IF;
	UPDATE tenancy.users u SET status = 'active' WHERE u.id = found_user.id;
	PERFORM tenancy.record_change('enable_user', NULL, found_user.id::text,
		jsonb_build_object('status', found_user.status), '{"status": "active"}');
END
$$;
COMMENT ON FUNCTION tenancy.enable_user(uuid) IS 'Lets a disabled user in again, with the memberships and roles that are left.';

-- A token's time of issue is in whole seconds, so those of the present second are revoked too.
CREATE FUNCTION tenancy.revoke_tokens(user_id uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_user tenancy.users;
	valid_from timestamptz;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_administrator('revoke a user''s tokens');
	actor := tenancy.audit_actor();
	found_user := tenancy.lock_user(revoke_tokens.user_id);
	valid_from := clock_timestamp();
	IF found_user.tokens_valid_from >= valid_from THEN
		RETURN;
	END IF;
	UPDATE tenancy.users u SET tokens_valid_from = valid_from WHERE u.id = found_user.id;
	PERFORM tenancy.record_change_by(actor, 'revoke_tokens', NULL, found_user.id::text,
		jsonb_build_object('tokens_valid_from', found_user.tokens_valid_from), jsonb_build_object('tokens_valid_from', valid_from));
END
$$;
COMMENT ON FUNCTION tenancy.revoke_tokens(uuid) IS 'Refuses every token of a user that was issued until now. Signing in again a second later gives one that is accepted.';
-- The end of an org: every row of it in every protected table, and then the org itself.

CREATE FUNCTION tenancy.run_as_owner(owned regclass, statement text, org_id uuid)
RETURNS bigint LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_run_as_owner';
COMMENT ON FUNCTION tenancy.run_as_owner(regclass, text, uuid) IS 'Internal: runs a statement, with the org as $1, as a table''s owner, who sees all rows; returns the number of rows.';

CREATE FUNCTION tenancy.ask_as_owner(owned regclass, statement text, argument text)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_ask_as_owner';
COMMENT ON FUNCTION tenancy.ask_as_owner(regclass, text, text) IS 'Internal: the first value that a statement, with the argument as $1, returns to a table''s owner, who sees all rows.';

-- What is protected as a partition goes through the table that it is part of.
CREATE FUNCTION tenancy.purged_tables(OUT target regclass, OUT org_column name)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH listed AS (
		SELECT c.oid, p.org_column
		FROM (SELECT DISTINCT l.polrelid FROM pg_policy l WHERE l.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') o)) c (oid)
		CROSS JOIN LATERAL tenancy.protection_of(c.oid) p
		WHERE p.org_column IS NOT NULL)
	SELECT l.oid::regclass, l.org_column
	FROM listed l
	WHERE NOT EXISTS (SELECT FROM pg_partition_ancestors(l.oid) a JOIN listed o ON o.oid = a.relid WHERE a.relid <> l.oid)
$$;
COMMENT ON FUNCTION tenancy.purged_tables() IS 'Internal: the protected tables, without what is a partition of another.';

-- What refers comes before what it refers to. Tables that refer to one another, over others perhaps, share a step: one
-- statement deletes from all of them, and foreign keys are checked at its end. Recursion is estimated at so many rows that a few
-- milliseconds of catalog reads would be compiled for a second: hence no JIT.
CREATE FUNCTION tenancy.purge_steps(OUT step bigint, OUT targets regclass[], OUT org_columns name[])
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH RECURSIVE purged AS MATERIALIZED (
		SELECT p.target, p.org_column FROM tenancy.purged_tables() p),
	member AS MATERIALIZED (
		SELECT p.target, m AS relid FROM purged p, tenancy.protection_members(p.target) m),
	refers AS MATERIALIZED (
		SELECT DISTINCT coalesce(a.target, k.conrelid) AS one, coalesce(b.target, k.confrelid) AS other
		FROM pg_constraint k
		LEFT JOIN member a ON a.relid = k.conrelid
		LEFT JOIN member b ON b.relid = k.confrelid
		WHERE k.contype = 'f'),
	reaches (one, other) AS (
		SELECT r.one, r.other FROM refers r
		UNION
		SELECT x.one, r.other FROM reaches x JOIN refers r ON r.one = x.other),
	grouped AS (
		SELECT p.target, p.org_column,
			(SELECT min(o.target) FROM purged o WHERE o.target = p.target
				OR EXISTS (SELECT FROM reaches r WHERE r.one = p.target AND r.other = o.target)
					AND EXISTS (SELECT FROM reaches r WHERE r.one = o.target AND r.other = p.target)) AS leader,
			(SELECT count(DISTINCT r.one) FROM reaches r WHERE r.other = p.target) AS referrers
		FROM purged p)
	SELECT row_number() OVER (ORDER BY min(g.referrers), min(g.target::text)), array_agg(g.target ORDER BY g.target::text), array_agg(g.org_column ORDER BY g.target::text)
	FROM grouped g GROUP BY g.leader
$$;
COMMENT ON FUNCTION tenancy.purge_steps() IS 'Internal: the protected tables in the order in which rows can be deleted.';

-- Checked when the statement ends, as the table's owner; a deferred one would be at commit, as somebody else.
CREATE FUNCTION tenancy.purge_constraints_statement(targets regclass[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'SET CONSTRAINTS ' || string_agg(DISTINCT format('%I.%I', n.nspname, k.conname), ', ') || ' IMMEDIATE'
	FROM unnest(targets) t, tenancy.protection_members(t) m
	JOIN pg_trigger g ON g.tgrelid = m AND g.tgdeferrable
	JOIN pg_constraint k ON k.oid = g.tgconstraint
	JOIN pg_namespace n ON n.oid = k.connamespace
$$;
COMMENT ON FUNCTION tenancy.purge_constraints_statement(regclass[]) IS 'Internal: makes the constraints of some tables immediate; null if none is deferrable.';

CREATE FUNCTION tenancy.purge_cycle(targets regclass[], org_columns name[], org_id uuid)
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	parts text;
	counts text;
BEGIN
	IF (SELECT count(DISTINCT c.relowner) FROM pg_class c WHERE c.oid = ANY (purge_cycle.targets)) > 1 THEN
		RAISE EXCEPTION 'cannot purge tables that refer to one another and have different owners'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('These are %s.', array_to_string(purge_cycle.targets, ', ')),
				HINT = 'Give them one owner, or delete the org''s rows from them first.';
	END IF;
	SELECT string_agg(format('d%s AS (DELETE FROM %s WHERE %I = $1::uuid RETURNING 1)', x.i, x.target, x.org_column), ', ' ORDER BY x.i),
		string_agg(format('(SELECT count(*) FROM d%s)', x.i), ', ' ORDER BY x.i)
	INTO parts, counts
	FROM unnest(purge_cycle.targets, purge_cycle.org_columns) WITH ORDINALITY x (target, org_column, i);
	RETURN tenancy.ask_as_owner(purge_cycle.targets[1], format('WITH %s SELECT ARRAY[%s]', parts, counts), purge_cycle.org_id::text)::bigint[];
END
$$;
COMMENT ON FUNCTION tenancy.purge_cycle(regclass[], name[], uuid) IS 'Internal: deletes the rows of an org from tables that refer to one another; the numbers of rows.';

CREATE FUNCTION tenancy.purge_step(targets regclass[], org_columns name[], org_id uuid)
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	constraints text := tenancy.purge_constraints_statement(purge_step.targets);
BEGIN
	IF constraints IS NOT NULL THEN
		PERFORM tenancy.run_as_owner(purge_step.targets[1], constraints, purge_step.org_id);
	END IF;
	IF cardinality(purge_step.targets) > 1 THEN
		RETURN tenancy.purge_cycle(purge_step.targets, purge_step.org_columns, purge_step.org_id);
	END IF;
	RETURN ARRAY[tenancy.run_as_owner(purge_step.targets[1],
		format('DELETE FROM %s WHERE %I = $1', purge_step.targets[1], purge_step.org_columns[1]), purge_step.org_id)];
END
$$;
COMMENT ON FUNCTION tenancy.purge_step(regclass[], name[], uuid) IS 'Internal: deletes the rows of an org from the tables of a step; the numbers of rows.';

-- What a DELETE reaches: partitions and children, what refers to them with an action, and so on. AFTER triggers of all of it run
-- with the rights of whoever runs the DELETE, hence of the owner of the table that the walk begins at.
CREATE FUNCTION tenancy.purge_reach(OUT root regclass, OUT reached regclass, OUT is_update boolean)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH RECURSIVE walk (root, relid, is_update) AS (
		SELECT t.oid, t.oid, false
		FROM (SELECT p.target::oid FROM tenancy.purged_tables() p UNION SELECT 'tenancy.organizations'::regclass::oid) t (oid)
		UNION
		SELECT w.root, n.relid, n.is_update
		FROM walk w
		CROSS JOIN LATERAL (
			SELECT i.inhrelid, w.is_update FROM pg_inherits i WHERE i.inhparent = w.relid
			UNION ALL
			SELECT k.conrelid, w.is_update OR a.action <> 'c'
			FROM pg_constraint k
			CROSS JOIN LATERAL (SELECT CASE WHEN w.is_update THEN k.confupdtype ELSE k.confdeltype END) a (action)
			WHERE k.contype = 'f' AND k.confrelid = w.relid AND a.action IN ('c', 'n', 'd')) n (relid, is_update))
	SELECT w.root, w.relid, w.is_update FROM walk w
$$;
COMMENT ON FUNCTION tenancy.purge_reach() IS 'Internal: for each table that a purge deletes from, the tables that are deleted from or updated with it.';

-- Against whoever gives one of them a trigger, a partition or a reference after assert_purge_is_own() has looked. Reading and
-- writing go on. Names are compared as in protection_lock().
CREATE FUNCTION tenancy.lock_purge_reach()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	locked regclass[] := '{}';
	more regclass[];
	t regclass;
	name text;
BEGIN
	LOOP
		more := ARRAY(SELECT DISTINCT r.reached FROM tenancy.purge_reach() r JOIN pg_class c ON c.oid = r.reached
			WHERE c.relkind IN ('r', 'p') AND r.reached <> ALL (locked) ORDER BY r.reached);
		EXIT WHEN more = '{}';
		FOREACH t IN ARRAY more LOOP
			LOOP
				name := t::text;
				PERFORM tenancy.ask_as_owner(t, format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', name), '');
				EXIT WHEN t::text = name;
			END LOOP;
		END LOOP;
		locked := locked || more;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.lock_purge_reach() IS 'Internal: locks what a purge reaches against changes of its definition.';

-- No matter when a trigger fires: a BEFORE trigger runs as its table's owner, or as that of the table it is a partition of. An owner who
-- may do all that the other may gains nothing.
CREATE FUNCTION tenancy.assert_purge_is_own(org_slug text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	delete_events constant int := 8;
	update_events constant int := 4 | 8 | 16;	-- a row that moves to another partition is deleted and inserted
	f record;
BEGIN
	SELECT r.root, pg_get_userbyid(o.relowner) AS root_owner, r.reached, pg_get_userbyid(c.relowner) AS owner, t.tgname
	INTO f
	FROM tenancy.purge_reach() r
	JOIN pg_class o ON o.oid = r.root
	JOIN pg_class c ON c.oid = r.reached
	JOIN pg_trigger t ON t.tgrelid = r.reached
	WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
		AND t.tgtype & CASE WHEN r.is_update THEN update_events ELSE delete_events END <> 0
		AND NOT pg_has_role(c.relowner, o.relowner, 'USAGE')
	ORDER BY r.root::text, r.reached::text, t.tgname LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot purge org "%"', assert_purge_is_own.org_slug
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('Deleting from table %s, which belongs to %I, reaches table %s, which belongs to %I and has trigger %I: it would run with the rights of %2$I. Nothing has been changed.',
					f.root, f.root_owner, f.reached, f.owner, f.tgname),
				HINT = 'Give both tables one owner, or drop or disable the trigger. For a protected table a foreign key without ON DELETE will do: its rows are purged anyway.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_purge_is_own(text) IS 'Internal: raises an error if a purge would run a trigger with the rights of another owner than that of the trigger''s table.';

-- What has been committed by others since a snapshot of before could be neither deleted nor checked.
CREATE FUNCTION tenancy.assert_read_committed(purpose text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'cannot % in a transaction of isolation level %', assert_read_committed.purpose, current_setting('transaction_isolation')
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It must see what others commit meanwhile.',
				HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_read_committed(text) IS 'Internal: raises an error in a transaction that keeps one snapshot.';

-- The row lock waits for every transaction that has written rows of the org, and lets no new one.
CREATE FUNCTION tenancy.lock_org_for_purge(org text)
RETURNS tenancy.organizations LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations := tenancy.lock_named_org(lock_org_for_purge.org);
BEGIN
	IF found_org.status <> 'archived' THEN
		RAISE EXCEPTION 'org "%" is not archived', found_org.slug
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Purging deletes every row of the org, for good.',
				HINT = 'Call tenancy.archive_org(org) first, and purge it when nobody has missed it.';
	END IF;
	PERFORM FROM tenancy.organizations o WHERE o.id = found_org.id FOR UPDATE;
	RETURN found_org;
END
$$;
COMMENT ON FUNCTION tenancy.lock_org_for_purge(text) IS 'Internal: an archived org, locked against everything.';

CREATE FUNCTION tenancy.purge_org(org text, OUT table_name text, OUT rows_deleted bigint)
RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
	s record;
	deleted bigint[];
	done integer := 0;
	total bigint;
	counts jsonb := '{}';
	detail_schema text;
	detail_table text;
BEGIN
	PERFORM tenancy.assert_administrator('purge an org');
	PERFORM tenancy.assert_read_committed('purge an org');
	found_org := tenancy.lock_org_for_purge(purge_org.org);
	PERFORM tenancy.lock_purge_reach();
	PERFORM tenancy.assert_purge_is_own(found_org.slug);
	total := (SELECT count(*) FROM tenancy.purged_tables());

	FOR s IN SELECT p.targets, p.org_columns FROM tenancy.purge_steps() p ORDER BY p.step LOOP
		deleted := tenancy.purge_step(s.targets, s.org_columns, found_org.id);
		FOR table_name, rows_deleted IN SELECT u.target::text, u.deleted FROM unnest(s.targets, deleted) u (target, deleted) LOOP
			done := done + 1;
			RAISE NOTICE 'purging %: % rows deleted (% of %)', table_name, rows_deleted, done, total;
			counts := counts || jsonb_build_object(table_name, rows_deleted);
			RETURN NEXT;
		END LOOP;
	END LOOP;

	-- As a step too: what refers with SET DEFAULT, say, runs expressions of its owner's, who must defer nothing to the commit.
	PERFORM tenancy.purge_step('{tenancy.organizations}', '{id}', found_org.id);
	PERFORM tenancy.record_change('purge_org', found_org.id, found_org.slug,
		jsonb_build_object('slug', found_org.slug, 'name', found_org.name, 'kind', found_org.kind, 'status', found_org.status, 'status_reason', found_org.status_reason),
		jsonb_build_object('rows_deleted', counts));
EXCEPTION WHEN foreign_key_violation THEN
	GET STACKED DIAGNOSTICS detail_schema = SCHEMA_NAME, detail_table = TABLE_NAME;
	RAISE EXCEPTION 'cannot purge org "%"', found_org.slug
		USING ERRCODE = 'foreign_key_violation',
			DETAIL = format('Rows of table %I.%I still refer to it or to its rows. Nothing has been changed.', detail_schema, detail_table),
			HINT = 'Delete these rows, or protect that table, so that the org''s rows in it are purged too.';
END
$$;
COMMENT ON FUNCTION tenancy.purge_org(text) IS 'Deletes an archived org with every row of it in every protected table, and says how many. The audit log stays.';
-- Orgs, members and users as a provider's webhooks tell of them: in any order, more than once, and several at once.
--
-- What happened to one object (an org, a membership, a user of an issuer) is a row of synced_events. Every call locks the rows
-- of the objects that it is about, always in the order membership, org, user: calls about one object follow each other.

CREATE FUNCTION tenancy.sync_without_token()
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT $$;
COMMENT ON FUNCTION tenancy.sync_without_token() IS 'Internal: whoever may execute this may sync without a token; it does nothing itself.';

CREATE FUNCTION tenancy.assert_may_sync()
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (SELECT s.status FROM tenancy.session() s) = 'anonymous'
		AND has_function_privilege(tenancy.database_role(), 'tenancy.sync_without_token()', 'EXECUTE') THEN
		RETURN;
	END IF;
	IF NOT tenancy.is_administrator() THEN
		PERFORM tenancy.log_denial('sync with a provider');
		RAISE EXCEPTION 'permission denied to sync with a provider'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'This is for superadmins, and without a session token for roles that tenancy.grant_sync() was called for.',
				HINT = 'Let what receives the webhooks connect as a role of its own, and let the DBA call tenancy.grant_sync(role).';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_may_sync() IS 'Internal: raises an error unless the caller may sync with a provider.';

CREATE FUNCTION tenancy.trusted_issuer_id(issuer text)
RETURNS uuid LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_not_null(trusted_issuer_id.issuer, 'issuer', 'Pass exactly what the issuer''s tokens say in "iss".');
	SELECT i.id INTO found_id FROM tenancy.issuers i WHERE i.issuer = trusted_issuer_id.issuer AND i.trusted;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" is not trusted', trusted_issuer_id.issuer
			USING ERRCODE = 'undefined_object', HINT = 'Call tenancy.trust_issuer(issuer, jwks) first.';
	END IF;
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.trusted_issuer_id(text) IS 'Internal: the id of a trusted issuer.';

CREATE FUNCTION tenancy.assert_external_id(id text, name text)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM tenancy.assert_not_null(assert_external_id.id, assert_external_id.name, 'Pass what the provider calls it, as its tokens do.');
	IF octet_length(assert_external_id.id) NOT BETWEEN 1 AND 1024 THEN
		RAISE EXCEPTION '% must be a text of 1 to 1024 bytes', assert_external_id.name
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Pass what the provider calls it, as its tokens do.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_external_id(text, text) IS 'Internal: raises an error for what cannot be a provider''s id.';

-- An event without a time always applies, and moves nothing. Of two events of one time, the one that comes later does, unless
-- they can only be the same one.
CREATE FUNCTION tenancy.begin_sync(issuer_id uuid, object text, event_at timestamptz, once boolean DEFAULT false)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO tenancy.synced_events AS e (issuer_id, object, event_at)
	VALUES (begin_sync.issuer_id, begin_sync.object, coalesce(begin_sync.event_at, '-infinity'))
	ON CONFLICT ON CONSTRAINT synced_events_pkey DO UPDATE SET event_at = greatest(e.event_at, excluded.event_at)
	WHERE begin_sync.event_at IS NULL OR e.event_at < excluded.event_at OR (e.event_at = excluded.event_at AND NOT begin_sync.once);
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy.begin_sync(uuid, text, timestamptz, boolean) IS 'Internal: locks an object of a provider''s; false if a later event than this one has been applied to it, or this one before.';

CREATE FUNCTION tenancy.suffixed_slug(base text)
RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	SELECT rtrim(left(base, 48), '-') || '-' || left(md5(gen_random_uuid()::text), 8)
$$;
COMMENT ON FUNCTION tenancy.suffixed_slug(text) IS 'Internal: a slug with a random suffix.';

-- Is this slug what the base gives, with or without a suffix?
CREATE FUNCTION tenancy.is_slug_of(slug text, base text)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT slug = base OR (left(slug, -9) = rtrim(left(base, 48), '-') AND right(slug, 9) COLLATE "C" ~ '^-[0-9a-f]{8}$')
$$;
COMMENT ON FUNCTION tenancy.is_slug_of(text, text) IS 'Internal: whether a slug was made from another, as it is or with a random suffix.';

-- A name that is blank or too long is the provider's to mend, and no reason to lose the org.
CREATE FUNCTION tenancy.synced_name(name text, external_id text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT left(rtrim(coalesce(tenancy.strip_blank(synced_name.name), tenancy.strip_blank(synced_name.external_id), 'org'), E' \t\r\n'), 200)
$$;
COMMENT ON FUNCTION tenancy.synced_name(text, text) IS 'Internal: what an org that a provider tells of can be called: its name, or else its id.';

-- The caller has locked the provider's org. An org of the same slug or name is another one: never are two merged.
CREATE FUNCTION tenancy.insert_synced_org(action text, issuer_id uuid, external_id text, name text, base text)
RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	free_slug text := insert_synced_org.base;
	new_id uuid;
BEGIN
	LOOP
		INSERT INTO tenancy.organizations AS o (slug, name) VALUES (free_slug, insert_synced_org.name)
		ON CONFLICT ON CONSTRAINT organizations_slug_key DO NOTHING RETURNING o.id INTO new_id;
		EXIT WHEN FOUND;
		free_slug := tenancy.suffixed_slug(insert_synced_org.base);
	END LOOP;
	INSERT INTO tenancy.org_external_ids (issuer_id, external_id, org_id)
	VALUES (insert_synced_org.issuer_id, insert_synced_org.external_id, new_id);
	PERFORM tenancy.record_change(insert_synced_org.action, new_id, free_slug, NULL,
		jsonb_build_object('slug', free_slug, 'name', insert_synced_org.name, 'external_id', insert_synced_org.external_id));
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION tenancy.insert_synced_org(text, uuid, text, text, text) IS 'Internal: makes an org that a provider tells of, under a free slug.';

CREATE FUNCTION tenancy.update_synced_org(org_id uuid, name text, base text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations := tenancy.lock_named_org(update_synced_org.org_id::text);
	free_slug text := CASE WHEN tenancy.is_slug_of(found_org.slug, coalesce(update_synced_org.base, found_org.slug)) THEN found_org.slug
		ELSE update_synced_org.base END;
BEGIN
	IF found_org.name = update_synced_org.name AND found_org.slug = free_slug THEN
		RETURN;
	END IF;
	LOOP
		BEGIN
			UPDATE tenancy.organizations o SET name = update_synced_org.name, slug = free_slug WHERE o.id = found_org.id;
			EXIT;
		EXCEPTION WHEN unique_violation THEN
			free_slug := tenancy.suffixed_slug(update_synced_org.base);
		END;
	END LOOP;
	PERFORM tenancy.record_change('sync_org', found_org.id, found_org.slug,
		jsonb_build_object('slug', found_org.slug, 'name', found_org.name), jsonb_build_object('slug', free_slug, 'name', update_synced_org.name));
END
$$;
COMMENT ON FUNCTION tenancy.update_synced_org(uuid, text, text) IS 'Internal: gives an org the name and slug that a provider tells of.';

CREATE FUNCTION tenancy.org_of_external_id(issuer_id uuid, external_id text)
RETURNS uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT x.org_id FROM tenancy.org_external_ids x
	WHERE x.issuer_id = org_of_external_id.issuer_id AND x.external_id = org_of_external_id.external_id
$$;
COMMENT ON FUNCTION tenancy.org_of_external_id(uuid, text) IS 'Internal: the org that an issuer calls so, or null.';

CREATE FUNCTION tenancy.sync_org(issuer text, external_id text, name text, slug text DEFAULT NULL, event_at timestamptz DEFAULT NULL)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	from_issuer uuid;
	placeholder text;
	new_name text;
	base text;
	found_id uuid;
BEGIN
	PERFORM tenancy.assert_may_sync();
	from_issuer := tenancy.trusted_issuer_id(sync_org.issuer);
	PERFORM tenancy.assert_external_id(sync_org.external_id, 'external_id');
	placeholder := tenancy.synced_name(NULL, sync_org.external_id);
	new_name := tenancy.synced_name(sync_org.name, sync_org.external_id);
	base := tenancy.slugify(tenancy.strip_blank(sync_org.slug));

	IF NOT tenancy.begin_sync(from_issuer, 'org:' || sync_org.external_id, sync_org.event_at) THEN
		RETURN tenancy.org_of_external_id(from_issuer, sync_org.external_id);
	END IF;
	found_id := tenancy.org_of_external_id(from_issuer, sync_org.external_id);
	IF found_id IS NULL THEN
		RETURN tenancy.insert_synced_org('sync_org', from_issuer, sync_org.external_id, new_name, coalesce(base, tenancy.slugify(new_name)));
	END IF;
	-- Without a slug an org keeps the one it has, unless that is a placeholder.
	IF base IS NULL AND (SELECT tenancy.is_slug_of(o.slug, tenancy.slugify(placeholder)) FROM tenancy.organizations o WHERE o.id = found_id) THEN
		base := tenancy.slugify(new_name);
	END IF;
	PERFORM tenancy.update_synced_org(found_id, new_name, base);
	RETURN found_id;
END
$$;
COMMENT ON FUNCTION tenancy.sync_org(text, text, text, text, timestamptz) IS 'Makes or renames the org that a provider tells of, and returns its id. Safe to repeat, in any order.';

CREATE FUNCTION tenancy.user_of_subject(issuer_id uuid, subject text)
RETURNS uuid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.user_id FROM tenancy.identities d WHERE d.issuer_id = user_of_subject.issuer_id AND d.subject = user_of_subject.subject
$$;
COMMENT ON FUNCTION tenancy.user_of_subject(uuid, text) IS 'Internal: the user whom an issuer calls so, or null.';

-- Against a first sign-in at the same moment, as provision_user() does it: the identity decides, and the reference from it to
-- the user holds at the end of the statement.
CREATE FUNCTION tenancy.insert_synced_user(action text, issuer_id uuid, subject text, status text)
RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	new_id uuid;
BEGIN
	WITH identity AS (
		INSERT INTO tenancy.identities AS d (issuer_id, subject, user_id)
		VALUES (insert_synced_user.issuer_id, insert_synced_user.subject, gen_random_uuid())
		ON CONFLICT ON CONSTRAINT identities_pkey DO NOTHING RETURNING d.user_id)
	INSERT INTO tenancy.users (id, status) SELECT i.user_id, insert_synced_user.status FROM identity i RETURNING id INTO new_id;
	IF new_id IS NOT NULL THEN
		PERFORM tenancy.record_change(insert_synced_user.action, NULL, new_id::text, NULL,
			jsonb_build_object('status', insert_synced_user.status, 'subject', insert_synced_user.subject));
	END IF;
	RETURN coalesce(new_id, tenancy.user_of_subject(insert_synced_user.issuer_id, insert_synced_user.subject));
END
$$;
COMMENT ON FUNCTION tenancy.insert_synced_user(text, uuid, text, text) IS 'Internal: the user whom a provider tells of, made if need be.';

-- The caller has locked the org. No role: the membership ends.
CREATE FUNCTION tenancy.set_synced_member(user_id uuid, org_id uuid, role text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	was_admin boolean := tenancy.is_active_admin(set_synced_member.user_id, set_synced_member.org_id);
	was_member boolean := EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id = set_synced_member.user_id AND m.org_id = set_synced_member.org_id);
	before text[] := tenancy.member_role_names(set_synced_member.user_id, set_synced_member.org_id);
	after jsonb := CASE WHEN set_synced_member.role IS NOT NULL THEN jsonb_build_object('roles', ARRAY[set_synced_member.role]) END;
	wanted uuid;
BEGIN
	IF set_synced_member.role IS NULL THEN
		after := CASE WHEN was_member THEN tenancy.revoke_invitations_by(set_synced_member.user_id, set_synced_member.org_id) END;
		DELETE FROM tenancy.memberships m WHERE m.user_id = set_synced_member.user_id AND m.org_id = set_synced_member.org_id;
	ELSE
		wanted := tenancy.role_of_org(set_synced_member.role, set_synced_member.org_id);
		INSERT INTO tenancy.memberships (user_id, org_id) VALUES (set_synced_member.user_id, set_synced_member.org_id) ON CONFLICT DO NOTHING;
		DELETE FROM tenancy.membership_roles mr
		WHERE mr.user_id = set_synced_member.user_id AND mr.org_id = set_synced_member.org_id AND mr.role_id <> wanted;
		INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
		VALUES (set_synced_member.user_id, set_synced_member.org_id, wanted) ON CONFLICT DO NOTHING;
	END IF;
	IF was_admin AND (SELECT o.status FROM tenancy.organizations o WHERE o.id = set_synced_member.org_id) = 'active' THEN
		PERFORM tenancy.assert_admin_remains(set_synced_member.org_id);
	END IF;
	IF was_member IS DISTINCT FROM (set_synced_member.role IS NOT NULL) OR was_member AND before <> ARRAY[set_synced_member.role] THEN
		PERFORM tenancy.record_change('sync_member', set_synced_member.org_id, set_synced_member.user_id::text,
			CASE WHEN was_member THEN jsonb_build_object('roles', before) END, after);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_synced_member(uuid, uuid, text) IS 'Internal: gives a member exactly one role, or ends the membership.';

CREATE FUNCTION tenancy.sync_member(issuer text, external_org_id text, subject text, role text, event_at timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	from_issuer uuid;
	in_org uuid;
	member uuid;
	placeholder text;
BEGIN
	PERFORM tenancy.assert_may_sync();
	from_issuer := tenancy.trusted_issuer_id(sync_member.issuer);
	PERFORM tenancy.assert_external_id(sync_member.external_org_id, 'external_org_id');
	PERFORM tenancy.assert_external_id(sync_member.subject, 'subject');
	-- The length tells where the one id ends and the other begins.
	IF NOT tenancy.begin_sync(from_issuer, format('member:%s:%s:%s', octet_length(sync_member.external_org_id), sync_member.external_org_id, sync_member.subject), sync_member.event_at) THEN
		RETURN;
	END IF;

	PERFORM tenancy.begin_sync(from_issuer, 'org:' || sync_member.external_org_id, NULL);
	in_org := tenancy.org_of_external_id(from_issuer, sync_member.external_org_id);
	PERFORM tenancy.begin_sync(from_issuer, 'user:' || sync_member.subject, NULL);
	member := tenancy.user_of_subject(from_issuer, sync_member.subject);
	IF sync_member.role IS NULL AND (in_org IS NULL OR member IS NULL) THEN
		RETURN;
	END IF;
	IF in_org IS NULL THEN
		placeholder := tenancy.synced_name(NULL, sync_member.external_org_id);
		in_org := tenancy.insert_synced_org('sync_member', from_issuer, sync_member.external_org_id, placeholder, tenancy.slugify(placeholder));
	END IF;
	member := coalesce(member, tenancy.insert_synced_user('sync_member', from_issuer, sync_member.subject, 'active'));
	PERFORM tenancy.hold_user(member);
	PERFORM tenancy.lock_org(in_org);
	PERFORM tenancy.set_synced_member(member, in_org, sync_member.role);
END
$$;
COMMENT ON FUNCTION tenancy.sync_member(text, text, text, text, timestamptz) IS 'Gives a member of a provider''s org exactly this role, or ends the membership if it is null. Safe to repeat, in any order.';

-- The profile is not in the audit log: what was deleted is to be gone.
CREATE FUNCTION tenancy.sync_user_deleted(issuer text, subject text, event_at timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	from_issuer uuid;
	found_user tenancy.users;
	was_superadmin boolean;
	org_slug text;
	actor tenancy.audit_events;
BEGIN
	PERFORM tenancy.assert_may_sync();
	from_issuer := tenancy.trusted_issuer_id(sync_user_deleted.issuer);
	PERFORM tenancy.assert_external_id(sync_user_deleted.subject, 'subject');
	-- An administrator may have enabled the user since.
	IF NOT tenancy.begin_sync(from_issuer, 'user:' || sync_user_deleted.subject, sync_user_deleted.event_at, once => true) THEN
		RETURN;
	END IF;

	found_user.id := tenancy.user_of_subject(from_issuer, sync_user_deleted.subject);
	IF found_user.id IS NULL THEN
		found_user.id := tenancy.insert_synced_user('sync_user_deleted', from_issuer, sync_user_deleted.subject, 'disabled');
	END IF;
	actor := tenancy.audit_actor();
	found_user := tenancy.lock_user_and_orgs(found_user.id);
	DELETE FROM tenancy.superadmins s WHERE s.user_id = found_user.id;
	was_superadmin := FOUND;
	UPDATE tenancy.users u SET status = 'disabled', tokens_valid_from = clock_timestamp(), email = NULL, email_verified = false, name = NULL
	WHERE u.id = found_user.id
		AND (u.status <> 'disabled' OR u.tokens_valid_from IS NULL OR u.email IS NOT NULL OR u.name IS NOT NULL);
	IF found_user.status = 'active' OR was_superadmin THEN
		PERFORM tenancy.record_change_by(actor, 'sync_user_deleted', NULL, found_user.id::text,
			jsonb_build_object('status', found_user.status, 'superadmin', was_superadmin), '{"status": "disabled", "superadmin": false}');
	END IF;
	FOR org_slug IN SELECT * FROM tenancy.orgs_left_without_admin(found_user.id) LOOP
		RAISE WARNING 'org "%" has no active admin', org_slug
			USING HINT = 'A superadmin can pick the org and call tenancy.set_member_roles(user_id, roles) or tenancy.invite(email, ''admin'').';
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.sync_user_deleted(text, text, timestamptz) IS 'Disables the user whom a provider has deleted, for good: tokens are revoked, email and name forgotten.';

-- SECURITY INVOKER: the caller grants what it owns, so PostgreSQL itself refuses anybody else.
CREATE FUNCTION tenancy.grant_sync(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA tenancy TO %s', grant_sync.role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION tenancy.sync_without_token(), tenancy.sync_org(text, text, text, text, timestamptz),
		tenancy.sync_member(text, text, text, text, timestamptz), tenancy.sync_user_deleted(text, text, timestamptz) TO %s', grant_sync.role);
END
$$;
COMMENT ON FUNCTION tenancy.grant_sync(regrole) IS 'Lets a database role sync with a provider without a token: what receives the provider''s webhooks.';

-- What grant_access() has granted stays.
CREATE FUNCTION tenancy.revoke_sync(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('REVOKE EXECUTE ON FUNCTION tenancy.sync_without_token() FROM %s', revoke_sync.role);
	IF NOT has_function_privilege(revoke_sync.role::oid, 'tenancy.session()', 'EXECUTE') THEN
		PERFORM tenancy.revoke_access(revoke_sync.role);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_sync(regrole) IS 'Takes back what grant_sync() gave.';
-- Protection: protect(), unprotect() and the view protected_tables.
--
-- Why it exists: a table becomes tenant-owned by one call, and everything that makes it so is
-- ordinary catalog state (a column, its default, a foreign key, an index, two flags, eight
-- policies). Nothing is recorded beside it, so a rename, a dump and restore or a hand-made change
-- cannot make the record and the truth differ.
--
-- Invariants:
--   * tenancy.protection_policies() is the one definition of the policies; making, repairing,
--     checking and listing all compare with it.
--   * protection_*_statements() say what a table lacks, as DDL, and change nothing. protect() runs
--     them; none left means protected, which is why a second call is a few catalog reads.
--   * Every check runs again once the ACCESS EXCLUSIVE lock is held.
--   * Everything runs with the caller's rights: protecting needs the table's ownership as well as
--     an administrator's authority.
--   * search_path and quote_all_identifiers are pinned wherever an expression is turned into
--     text, because the text is compared.

-- ---------------------------------------------------------------------------------------------
-- What protection is
-- ---------------------------------------------------------------------------------------------

-- The org test stands in the permissive policies too, not in the wall alone, because Citus turns
-- restrictive policies into permissive ones on its shards. Each test is one bare call of a STABLE
-- function: a sub-select would hide the org from the planner, and Citus refuses it.
--
-- The wall is the same test once more: the planner drops what it has already, so that a query pays
-- for one call. A policy that somebody adds can neither cross an org nor allow what no role grants;
-- and a refused write says why, which current_org() as the wall would keep from being asked.
CREATE FUNCTION tenancy.protection_policies(p_column name, p_type text)
RETURNS TABLE (policy name, command text, polcmd "char", permissive boolean, using_expr text, check_expr text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT (kind.prefix || cmd.action)::name, cmd.command, cmd.polcmd, kind.permissive,
		   CASE WHEN cmd.command <> 'INSERT' THEN test.expr END,
		   CASE WHEN cmd.command IN ('INSERT', 'UPDATE') THEN test.expr END
	  FROM (VALUES ('read',   'SELECT', 'r'::"char", 'current_org_if', '(%s OR tenancy.cross_org_active())'),
				   ('create', 'INSERT', 'a'::"char", 'require_org', '%s'),
				   ('update', 'UPDATE', 'w'::"char", 'require_org', '%s'),
				   ('delete', 'DELETE', 'd'::"char", 'require_org', '%s'))
			 AS cmd (action, command, polcmd, function, shape)
	 CROSS JOIN LATERAL (SELECT format(cmd.shape, format('(%I OPERATOR(pg_catalog.=) tenancy.%s(%L::text, %L::text))',
														 p_column, cmd.function, cmd.action, p_type)))
			 AS test (expr)
	 CROSS JOIN (VALUES ('tenancy_', true), ('tenancy_wall_', false)) AS kind (prefix, permissive)
$$;
COMMENT ON FUNCTION tenancy.protection_policies(name, text) IS
	'Internal: the eight policies of a protected table.';

-- Read from the policies alone: the column through the dependency, which follows a rename, and
-- the type through the expression. The commonest answer wins, so one altered policy is repaired
-- instead of being taken for the table's protection. Anybody can write such policies on a table of
-- their own: a column that is no uuid is no org's, whatever casts make of it, and a temporary
-- table is its session's alone.
CREATE VIEW tenancy.protections AS
	SELECT pol.relid, col.org_column, pol.resource_type
	  FROM (SELECT p.polrelid AS relid,
				   pg_catalog.mode() WITHIN GROUP (ORDER BY pg_catalog."substring"(pg_catalog.pg_get_expr(coalesce(p.polqual, p.polwithcheck), p.polrelid),
					   'tenancy\.(?:current_org_if|require_org)\(''[a-z]+''::text, ''([a-z][a-z0-9_]*)''::text\)')) AS resource_type
			  FROM pg_catalog.pg_policy AS p
			 WHERE p.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') AS o)
			 GROUP BY p.polrelid) AS pol
	  JOIN pg_catalog.pg_class AS c ON c.oid = pol.relid AND c.relpersistence <> 't'
	  LEFT JOIN (SELECT p.polrelid AS relid, pg_catalog.mode() WITHIN GROUP (ORDER BY att.attname) AS org_column
				   FROM pg_catalog.pg_policy AS p
				   JOIN pg_catalog.pg_depend AS dep ON dep.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
													AND dep.objid = p.oid
													AND dep.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
													AND dep.refobjid = p.polrelid
				   JOIN pg_catalog.pg_attribute AS att ON att.attrelid = dep.refobjid AND att.attnum = dep.refobjsubid
				  WHERE p.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') AS o)
					AND att.atttypid = 'uuid'::pg_catalog.regtype
				  GROUP BY p.polrelid) AS col ON col.relid = pol.relid;
COMMENT ON VIEW tenancy.protections IS
	'Internal: the tables that have policies of tenancy, with the org column and resource type that they name.';

CREATE FUNCTION tenancy.protection_of(p_target regclass, OUT org_column name, OUT resource_type text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT p.org_column, p.resource_type FROM tenancy.protections AS p WHERE p.relid = p_target
$$;
COMMENT ON FUNCTION tenancy.protection_of(regclass) IS
	'Internal: the org column and resource type a table is protected with; NULLs when it is not.';

-- Row security is not inherited when a partition is addressed by its own name, so protection is a
-- matter of every member. The root comes first: what it passes on, its partitions then have.
CREATE FUNCTION tenancy.protection_members(p_target regclass)
RETURNS SETOF regclass
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT member.relid
	  FROM (SELECT p_target AS relid, 0 AS level
			UNION
			SELECT tree.relid, tree.level FROM pg_partition_tree(p_target) AS tree) AS member
	 ORDER BY member.level, member.relid::oid
$$;
COMMENT ON FUNCTION tenancy.protection_members(regclass) IS
	'Internal: a table and all its partitions, parents first.';

-- ---------------------------------------------------------------------------------------------
-- What a table lacks, as statements
-- ---------------------------------------------------------------------------------------------

-- A restored or hand-written policy is as good as ours if it says the same, so the definitions
-- are compared and not the origin. FOR and AS cannot be altered: a wrong policy is made anew.
CREATE FUNCTION tenancy.protection_policy_statements(p_member regclass, p_column name, p_type text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT CASE WHEN have.oid IS NOT NULL
				THEN format('DROP POLICY %I ON %s; ', want.policy, p_member) ELSE '' END
		   || format('CREATE POLICY %I ON %s AS %s FOR %s TO PUBLIC', want.policy, p_member,
					 CASE WHEN want.permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, want.command)
		   || coalesce(' USING (' || want.using_expr || ')', '')
		   || coalesce(' WITH CHECK (' || want.check_expr || ')', '')
	  FROM tenancy.protection_policies(p_column, p_type) AS want
	  LEFT JOIN pg_policy AS have ON have.polrelid = p_member AND have.polname = want.policy
	 WHERE (have.polcmd = want.polcmd
			AND have.polpermissive = want.permissive
			AND have.polroles = '{0}'::oid[]
			AND pg_get_expr(have.polqual, have.polrelid)
				IS NOT DISTINCT FROM replace(want.using_expr, 'OPERATOR(pg_catalog.=)', '=')
			AND pg_get_expr(have.polwithcheck, have.polrelid)
				IS NOT DISTINCT FROM replace(want.check_expr, 'OPERATOR(pg_catalog.=)', '=')) IS NOT TRUE
	 ORDER BY want.policy
$$;
COMMENT ON FUNCTION tenancy.protection_policy_statements(regclass, name, text) IS
	'Internal: the statements that give one table the policies it lacks.';

-- What partitions get through their parent. The index is on the org column alone: it serves every
-- access path's org test and stays small; one that continues with the table's own order is the
-- application's to make, and counts.
CREATE FUNCTION tenancy.protection_column_statements(p_target regclass, p_column name)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', p_target, p_column)
	 WHERE EXISTS (SELECT
					 FROM tenancy.protection_members(p_target) AS member
					 LEFT JOIN pg_attribute AS att ON att.attrelid = member
												  AND att.attname = p_column AND NOT att.attisdropped
					WHERE att.attnotnull IS NOT TRUE)
	UNION ALL
	SELECT format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy.organizations (id)', p_target, p_column)
	 WHERE NOT EXISTS (SELECT
						 FROM pg_constraint AS con
						 JOIN pg_attribute AS att ON att.attrelid = con.conrelid AND con.conkey = ARRAY[att.attnum]
						 JOIN pg_attribute AS ref ON ref.attrelid = con.confrelid AND con.confkey = ARRAY[ref.attnum]
						WHERE con.conrelid = p_target AND con.contype = 'f' AND con.convalidated
						  AND att.attname = p_column
						  AND con.confrelid = 'tenancy.organizations'::regclass AND ref.attname = 'id')
	UNION ALL
	SELECT format('CREATE INDEX ON %s (%I)', p_target, p_column)
	 WHERE NOT EXISTS (SELECT
						 FROM pg_index AS ind
						 JOIN pg_class AS c ON c.oid = ind.indexrelid
						 JOIN pg_am AS am ON am.oid = c.relam
						 JOIN pg_attribute AS att ON att.attrelid = ind.indrelid AND att.attnum = ind.indkey[0]
						WHERE ind.indrelid = p_target AND ind.indisvalid AND ind.indpred IS NULL
						  AND am.amname = 'btree' AND att.attname = p_column)
$$;
COMMENT ON FUNCTION tenancy.protection_column_statements(regclass, name) IS
	'Internal: the statements that make the org column mandatory, referenced and indexed.';

CREATE FUNCTION tenancy.protection_row_statements(p_member regclass, p_column name, p_type text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT tenancy.current_org()', p_member, p_column)
	 WHERE NOT EXISTS (SELECT
						 FROM pg_attrdef AS def
						 JOIN pg_attribute AS att ON att.attrelid = def.adrelid AND att.attnum = def.adnum
						WHERE def.adrelid = p_member AND att.attname = p_column
						  AND pg_get_expr(def.adbin, def.adrelid) = 'tenancy.current_org()')
	UNION ALL
	SELECT tenancy.protection_policy_statements(p_member, p_column, p_type)
	UNION ALL
	SELECT format('ALTER TABLE ONLY %s ENABLE ROW LEVEL SECURITY', p_member)
	  FROM pg_class AS c WHERE c.oid = p_member AND NOT c.relrowsecurity
	UNION ALL
	SELECT format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', p_member)
	  FROM pg_class AS c WHERE c.oid = p_member AND NOT c.relforcerowsecurity
$$;
COMMENT ON FUNCTION tenancy.protection_row_statements(regclass, name, text) IS
	'Internal: the statements that give one table, partition or not, its default, policies and row security.';

CREATE FUNCTION tenancy.protection_statements(p_target regclass, p_column name, p_type text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy.protection_column_statements(p_target, p_column)
	UNION ALL
	SELECT tenancy.protection_row_statements(member, p_column, p_type)
	  FROM tenancy.protection_members(p_target) AS member
$$;
COMMENT ON FUNCTION tenancy.protection_statements(regclass, name, text) IS
	'Internal: every statement a table and its partitions need to be protected; none when they are.';

-- ---------------------------------------------------------------------------------------------
-- What cannot be protected
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.protection_refuse(p_target regclass, p_state text, p_detail text, p_hint text)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot protect %', p_target
		USING ERRCODE = p_state, DETAIL = p_detail, HINT = p_hint;
END
$$;
COMMENT ON FUNCTION tenancy.protection_refuse(regclass, text, text, text) IS
	'Internal: raises the error all refusals share.';

-- Objects below 16384 (FirstNormalObjectId) were made by initdb, whatever schema they are in.
CREATE FUNCTION tenancy.protection_obstacle(p_target regclass, OUT detail text, OUT hint text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT why.detail, why.hint
	  FROM pg_class AS c
	  JOIN pg_namespace AS n ON n.oid = c.relnamespace
	  LEFT JOIN pg_depend AS dep ON dep.classid = 'pg_class'::regclass AND dep.objid = c.oid
								AND dep.refclassid = 'pg_extension'::regclass AND dep.deptype = 'e'
	  LEFT JOIN pg_extension AS ext ON ext.oid = dep.refobjid
	 CROSS JOIN LATERAL (VALUES
		(1, c.oid < 16384 OR n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast'),
		 'It is a system catalog.',
		 'Protect tables of the application only.'),
		(2, n.nspname = 'tenancy',
		 'It belongs to tenancy itself, which guards its own tables.',
		 'Protect tables of the application only.'),
		(3, ext.oid IS NOT NULL,
		 'It belongs to extension ' || quote_ident(ext.extname) || '.',
		 'Protect tables of the application only.'),
		(4, c.relkind = 'v',
		 'It is a view.',
		 'Protect the tables beneath it, and create the view WITH (security_invoker).'),
		(5, c.relkind = 'm',
		 'It is a materialized view, which row security does not cover.',
		 'Protect the tables beneath it, and grant the materialized view to no application.'),
		(6, c.relkind = 'f',
		 'It is a foreign table, which row security does not cover.',
		 'Protect the table on the server that holds it.'),
		(7, c.relkind NOT IN ('r', 'p'),
		 'It is not a table.',
		 'Protect ordinary and partitioned tables only.'),
		(8, c.relpersistence = 't',
		 'It is a temporary table, which one session sees alone.',
		 'Protect permanent tables only.'))
		AS why (rank, applies, detail, hint)
	 WHERE c.oid = p_target AND why.applies
	 ORDER BY why.rank
	 LIMIT 1
$$;
COMMENT ON FUNCTION tenancy.protection_obstacle(regclass) IS
	'Internal: why a relation is of a kind that cannot be protected; NULLs when it can be.';

-- A permissive policy of someone else would be OR-ed with ours wherever the wall is not (Citus
-- shards), and tells of a design that has to be settled first. Restrictive ones only narrow.
CREATE FUNCTION tenancy.protection_check_member(p_member regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_why record;
	v_names text;
BEGIN
	SELECT * INTO v_why FROM tenancy.protection_obstacle(p_member);
	IF v_why.detail IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_member, '42809', v_why.detail, v_why.hint);
	END IF;

	IF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = p_member) THEN
		PERFORM tenancy.protection_refuse(p_member, '42501',
			'Only the owner of a table can protect it.',
			'Connect as the owner, or as a member of the role that owns it.');
	END IF;

	SELECT string_agg(quote_ident(r.rulename), ', ' ORDER BY r.rulename) INTO v_names
	  FROM pg_rewrite AS r
	 WHERE r.ev_class = p_member AND r.ev_type <> '1' AND r.is_instead;
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_member, '55000',
			format('It has rules that replace what is written to it: %s.', v_names),
			'Drop the rules first; use triggers in their place.');
	END IF;

	SELECT string_agg(quote_ident(pol.polname), ', ' ORDER BY pol.polname) INTO v_names
	  FROM pg_policy AS pol
	 WHERE pol.polrelid = p_member AND pol.polpermissive
	   AND pol.polname NOT IN (SELECT policy FROM tenancy.protection_policies('', ''));
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_member, '55000',
			format('It has permissive policies of its own, which could let in more than its org: %s.', v_names),
			'Drop them first, or make them AS RESTRICTIVE, which only narrows what tenancy allows.');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_member(regclass) IS
	'Internal: refuses one table, partition or not, that cannot be protected.';

-- Plain inheritance passes on neither policies nor keys nor indexes, and reads through the parent
-- apply the parent's policies alone: there is no protection of it that is easy to reason about.
CREATE FUNCTION tenancy.protection_check_family(p_target regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_partition boolean := (SELECT c.relispartition FROM pg_class AS c WHERE c.oid = p_target);
	v_root regclass := CASE WHEN v_partition THEN pg_partition_root(p_target) END;
	v_names text;
BEGIN
	IF v_partition AND (SELECT p.resource_type FROM tenancy.protection_of(v_root) AS p) IS NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			format('It is a partition of %s, which is not protected.', v_root),
			format('Protect the whole table: SELECT tenancy.protect(%L).', v_root));
	END IF;

	SELECT string_agg(inh.inhparent::regclass::text, ', ' ORDER BY inh.inhseqno) INTO v_names
	  FROM pg_inherits AS inh WHERE inh.inhrelid = p_target AND NOT v_partition;
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			format('It inherits from %s, and row security does not follow inheritance.', v_names),
			'Use declarative partitioning, or detach it first: ALTER TABLE ... NO INHERIT ....');
	END IF;

	SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) INTO v_names
	  FROM pg_inherits AS inh JOIN pg_class AS c ON c.oid = inh.inhrelid
	 WHERE inh.inhparent = p_target AND NOT c.relispartition;
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			format('Tables inherit from it, and row security does not follow inheritance: %s.', v_names),
			'Use declarative partitioning, or detach them first: ALTER TABLE ... NO INHERIT ....');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_family(regclass) IS
	'Internal: refuses a table whose parents or children would stay open.';

CREATE FUNCTION tenancy.protection_check_column(p_target regclass, p_column name)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_att pg_catalog.pg_attribute%ROWTYPE;
BEGIN
	IF p_column IS NULL OR p_column = '' THEN
		RAISE EXCEPTION 'org_column must not be empty'
			USING ERRCODE = '22023', HINT = 'Leave it out to use org_id.';
	END IF;

	SELECT * INTO v_att FROM pg_attribute AS att
	 WHERE att.attrelid = p_target AND att.attname = p_column AND NOT att.attisdropped;
	IF v_att.attnum < 0 OR v_att.attgenerated <> '' THEN
		PERFORM tenancy.protection_refuse(p_target, '42809',
			format('Column %I is a %s column, which cannot hold the org.', p_column,
				   CASE WHEN v_att.attnum < 0 THEN 'system' ELSE 'generated' END),
			'Name another org_column.');
	ELSIF v_att.atttypid <> 'uuid'::regtype THEN
		PERFORM tenancy.protection_refuse(p_target, '42804',
			format('Column %I has type %s, and an org is a uuid.', p_column, format_type(v_att.atttypid, v_att.atttypmod)),
			'Name another org_column, or convert it first: ALTER TABLE ... ALTER COLUMN ... TYPE uuid USING ....');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_column(regclass, name) IS
	'Internal: refuses a column that cannot hold the org; one that does not exist is fine.';

CREATE FUNCTION tenancy.protection_check_exists(p_target regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF p_target IS NULL THEN
		RAISE EXCEPTION 'the table must not be null'
			USING ERRCODE = '22004', HINT = 'Name a table: ''schema.table''.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p_target) THEN
		RAISE EXCEPTION 'table with OID % does not exist', p_target::oid
			USING ERRCODE = '42P01', HINT = 'Name a table: ''schema.table''.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_exists(regclass) IS
	'Internal: refuses a null or dangling regclass.';

CREATE FUNCTION tenancy.protection_check(p_target regclass, p_column name)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy.protection_check_exists(p_target);
	PERFORM tenancy.protection_check_member(member)
	   FROM tenancy.protection_members(p_target) AS member;
	PERFORM tenancy.protection_check_family(p_target);
	PERFORM tenancy.protection_check_column(p_target, p_column);

	-- Without it the foreign key would fail with a message about a table the caller never named.
	IF NOT has_column_privilege('tenancy.organizations', 'id', 'REFERENCES') THEN
		PERFORM tenancy.protection_refuse(p_target, '42501',
			'The foreign key of the org column needs the right to reference tenancy.organizations.',
			format('As the administrator: GRANT REFERENCES (id) ON tenancy.organizations TO %I.', current_user));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check(regclass, name) IS
	'Internal: refuses, with the reason, whatever protect() cannot protect.';

-- ---------------------------------------------------------------------------------------------
-- What the caller's arguments mean
-- ---------------------------------------------------------------------------------------------

-- A protected table keeps the type it has when none is named, so a renamed table can be repaired
-- by the plain call. A partition has its root's type, whatever it had when it was attached.
CREATE FUNCTION tenancy.protection_resource_type(p_target regclass, p_type text, p_column name)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_pattern CONSTANT text := '^[a-z][a-z0-9_]{0,62}$';
	v_table pg_catalog.pg_class%ROWTYPE;
	v_root regclass;
	v_now record;
BEGIN
	SELECT * INTO v_table FROM pg_class AS c WHERE c.oid = p_target;
	v_root := CASE WHEN v_table.relispartition THEN pg_partition_root(p_target) ELSE p_target END;
	SELECT * INTO v_now FROM tenancy.protection_of(v_root);

	IF p_type !~ v_pattern THEN
		RAISE EXCEPTION 'invalid resource type name: %', p_type
			USING ERRCODE = '22023',
				  HINT = 'Use lower case letters, digits and underscores, beginning with a letter, at most 63.';
	ELSIF v_now.resource_type <> p_type OR v_now.org_column <> p_column THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			'It is already protected' || coalesce(' as resource type ' || v_now.resource_type, '')
			|| coalesce(' by column ' || quote_ident(v_now.org_column), '') || '.',
			format('To change that, call SELECT tenancy.unprotect(%L) first.', v_root));
	ELSIF p_type IS NULL AND v_now.resource_type IS NULL AND v_table.relname !~ v_pattern THEN
		RAISE EXCEPTION 'the name of table % cannot serve as a resource type', p_target
			USING ERRCODE = '22023',
				  DETAIL = 'A resource type has lower case letters, digits and underscores, beginning with a letter.',
				  HINT = format('Pass one: SELECT tenancy.protect(%L, ''document'').', p_target);
	END IF;

	RETURN coalesce(p_type, v_now.resource_type, v_table.relname);
END
$$;
COMMENT ON FUNCTION tenancy.protection_resource_type(regclass, text, name) IS
	'Internal: the resource type protect() is to use, refused when the table has another one already.';

-- While a guarded schema protects a new table, whoever creates it need not be an administrator. Nobody
-- but the extension's owner writes that table, and no row of it is ever committed.
CREATE FUNCTION tenancy.is_being_guarded(p_target regclass)
RETURNS boolean
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM tenancy.unguarded_tables AS u
					WHERE u.relid = p_target::oid::bigint
					   OR u.relid IN (SELECT a::oid::bigint FROM pg_partition_ancestors(p_target) AS a))
$$;
COMMENT ON FUNCTION tenancy.is_being_guarded(regclass) IS
	'Internal: whether a guard protects this new table, or one that it is a partition of, just now.';

-- Nobody but the extension's owner reads its tables, and the caller may be another: hence the two
-- definers here. They answer an administrator alone, and a guard.
CREATE FUNCTION tenancy.protection_org(p_org text)
RETURNS uuid
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy.assert_administrator('look up an org');
	RETURN CASE WHEN p_org IS NOT NULL THEN tenancy.org_id_of(p_org) END;
END
$$;
COMMENT ON FUNCTION tenancy.protection_org(text) IS
	'Internal: the id of the org named by slug or uuid; NULL for NULL.';

-- A shipped type governs tenancy's own functions: on a table of that type, whoever may write its
-- rows might also invite members, or the other way round. An existing type is left as it is, since
-- adding it again would bring back actions taken from it.
CREATE FUNCTION tenancy.protection_use_type(p_target regclass, p_type text)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_shipped boolean;
BEGIN
	IF NOT tenancy.is_being_guarded(p_target) THEN
		PERFORM tenancy.assert_administrator('use a resource type');
	END IF;
	SELECT t.shipped INTO v_shipped FROM tenancy.resource_types AS t WHERE t.name = p_type;
	IF NOT FOUND THEN
		INSERT INTO tenancy.resource_types (name) VALUES (p_type) ON CONFLICT DO NOTHING;
	ELSIF v_shipped THEN
		RAISE EXCEPTION 'resource type "%" is reserved', p_type
			USING ERRCODE = '22023',
				  DETAIL = 'It governs the functions of tenancy, so a grant for the table would be one for them too.',
				  HINT = 'Pass another resource_type.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_use_type(regclass, text) IS
	'Internal: makes sure a resource type exists and may be a table''s.';

-- ---------------------------------------------------------------------------------------------
-- Changing the table
-- ---------------------------------------------------------------------------------------------

-- The lock is taken by name, so the name is compared afterwards: a rename in between would have
-- locked another table. Partitions are locked with it.
CREATE FUNCTION tenancy.protection_lock(p_target regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_name text;
BEGIN
	LOOP
		v_name := p_target::text;
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', v_name);
		EXIT WHEN p_target::text = v_name;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.protection_lock(regclass) IS
	'Internal: locks a table and its partitions against everyone.';

-- Whatever looks at rows runs code of the table's owner: CHECK constraints, and at planning already
-- what is constant in them, in indexes and in partitions' constraints. It must not run as a caller who may be a
-- superuser. Nobody gains by this function: the caller could SET ROLE to that owner. A guard acts for who could, or for
-- a function of the owner's.
CREATE FUNCTION tenancy.protection_run_as_owner(p_target regclass, p_statement text)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_constraints text := tenancy.purge_constraints_statement(ARRAY[p_target]);
BEGIN
	IF NOT tenancy.is_being_guarded(p_target) THEN
		PERFORM tenancy.assert_administrator('protect a table');
		IF NOT (SELECT pg_has_role(tenancy.database_role(), c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = p_target) THEN
			PERFORM tenancy.protection_refuse(p_target, '42501',
				'Only the owner of a table can protect it.',
				'Connect as the owner, or as a member of the role that owns it.');
		END IF;
	END IF;

	-- What is deferred would run at commit, as somebody else.
	IF v_constraints IS NOT NULL THEN
		PERFORM tenancy.ask_as_owner(p_target, v_constraints, '');
	END IF;
	RETURN tenancy.ask_as_owner(p_target, p_statement, '');
END
$$;
COMMENT ON FUNCTION tenancy.protection_run_as_owner(regclass, text) IS
	'Internal: runs a statement of protect() as the table''s owner, whom the caller may act as; the first value that it returns.';

-- Partitions of other owners would bring their code along.
CREATE FUNCTION tenancy.protection_run(p_target regclass, p_statement text, OUT answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT
				 FROM tenancy.protection_members(p_target) AS member
				 JOIN pg_class AS c ON c.oid = member
				 JOIN pg_roles AS r ON r.oid = c.relowner
				WHERE r.rolname <> current_user) THEN
		IF (SELECT count(DISTINCT c.relowner) > 1
			  FROM tenancy.protection_members(p_target) AS member
			  JOIN pg_class AS c ON c.oid = member) THEN
			PERFORM tenancy.protection_refuse(p_target, '55000',
				'Its partitions belong to several roles, whose constraints would run with each other''s rights.',
				'Give the table and its partitions one owner first: ALTER TABLE ... OWNER TO ....');
		END IF;
		answer := tenancy.protection_run_as_owner(p_target, p_statement);
	ELSIF p_statement ~ '^SELECT ' THEN
		EXECUTE p_statement INTO answer;
	ELSE
		EXECUTE p_statement;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_run(regclass, text) IS
	'Internal: runs what looks at a table''s rows, as its owner if the caller is another; the first value of a SELECT.';

-- Giving rows their org is a change of the schema, like adding the column with a default, which
-- fires no trigger either: an updated_at is not moved, an append-only guard is not tripped.
CREATE FUNCTION tenancy.protection_fill_nulls(p_target regclass, p_column name, p_org uuid)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_off text[];
	v_on text[];
	v_statement text;
BEGIN
	SELECT array_agg(format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', member, t.tgname)),
		   array_agg(format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', member,
							CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, t.tgname))
	  INTO v_off, v_on
	  FROM tenancy.protection_members(p_target) AS member
	  JOIN pg_trigger AS t ON t.tgrelid = member
	 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D';

	FOREACH v_statement IN ARRAY coalesce(v_off, '{}')
	LOOP
		EXECUTE v_statement;
	END LOOP;
	PERFORM tenancy.protection_run(p_target,
		format('UPDATE %s SET %I = %L WHERE %I IS NULL', p_target, p_column, p_org, p_column));
	FOREACH v_statement IN ARRAY coalesce(v_on, '{}')
	LOOP
		EXECUTE v_statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.protection_fill_nulls(regclass, name, uuid) IS
	'Internal: gives an org to the rows that have none, without firing triggers.';

-- A new column gets the existing rows' org as a constant default, which PostgreSQL stores once
-- and not in each row.
CREATE FUNCTION tenancy.protection_fill_org(p_target regclass, p_column name, p_org uuid)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_notnull boolean;
	v_orphans boolean;
BEGIN
	SELECT bool_and(att.attnotnull) INTO v_notnull
	  FROM tenancy.protection_members(p_target) AS member
	  JOIN pg_attribute AS att ON att.attrelid = member AND att.attname = p_column AND NOT att.attisdropped;
	IF v_notnull THEN
		RETURN;
	END IF;

	v_orphans := tenancy.protection_run(p_target,
		format('SELECT EXISTS (SELECT FROM %s WHERE %s)', p_target,
			   CASE WHEN v_notnull IS NULL THEN 'true' ELSE format('%I IS NULL', p_column) END));
	IF v_orphans AND p_org IS NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			'It has rows that belong to no org.',
			format('Name the org they belong to: SELECT tenancy.protect(%L, existing_rows_org => ''its-slug'').', p_target));
	END IF;

	IF v_notnull IS NULL THEN
		PERFORM tenancy.protection_run(p_target,
			format('ALTER TABLE %s ADD COLUMN %I uuid NOT NULL', p_target, p_column)
			|| CASE WHEN v_orphans THEN format(' DEFAULT %L', p_org) ELSE '' END);
		RETURN;
	ELSIF v_orphans THEN
		PERFORM tenancy.protection_fill_nulls(p_target, p_column, p_org);
	END IF;
	PERFORM tenancy.protection_run(p_target, format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', p_target, p_column));
END
$$;
COMMENT ON FUNCTION tenancy.protection_fill_org(regclass, name, uuid) IS
	'Internal: adds the org column if it is missing and gives every row an org, or refuses.';

-- The foreign key in two steps, since it is the caller who may refer to tenancy.organizations, and
-- the owner whose code the look at the rows may run. A partitioned table takes over what its
-- partitions have.
CREATE FUNCTION tenancy.protection_check_orgs(p_target regclass, p_column name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_member regclass;
	v_key name;
BEGIN
	FOR v_member IN
		SELECT member
		  FROM tenancy.protection_members(p_target) AS member
		  JOIN pg_class AS c ON c.oid = member
		 WHERE c.relkind = 'r'
		   AND EXISTS (SELECT FROM tenancy.protection_column_statements(member, p_column) AS s WHERE s ~ ' ADD FOREIGN KEY ')
	LOOP
		EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy.organizations (id) NOT VALID', v_member, p_column);
		SELECT con.conname INTO v_key FROM pg_constraint AS con
		 WHERE con.conrelid = v_member AND con.contype = 'f' ORDER BY con.oid DESC LIMIT 1;
		PERFORM tenancy.protection_run(v_member, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', v_member, v_key));
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_orgs(regclass, name) IS
	'Internal: gives a table, or its partitions, the foreign key that they lack.';

-- Under FORCE the owner would see, and validate, only the rows of the org in force. The lock
-- keeps everyone else out until protection_row_statements() has forced it again.
CREATE FUNCTION tenancy.protection_apply(p_target regclass, p_column name, p_type text, p_org uuid)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_statement text;
	v_detail text;
BEGIN
	FOREACH v_statement IN ARRAY ARRAY(
		SELECT format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass)
		  FROM tenancy.protection_members(p_target) AS member
		  JOIN pg_class AS c ON c.oid = member
		 WHERE c.relforcerowsecurity)
	LOOP
		EXECUTE v_statement;
	END LOOP;

	PERFORM tenancy.protection_fill_org(p_target, p_column, p_org);
	PERFORM tenancy.protection_check_orgs(p_target, p_column);

	FOREACH v_statement IN ARRAY ARRAY(SELECT tenancy.protection_statements(p_target, p_column, p_type))
	LOOP
		EXECUTE v_statement;
	END LOOP;
EXCEPTION WHEN foreign_key_violation THEN
	GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
	PERFORM tenancy.protection_refuse(p_target, '23503',
		format('It has rows of an org that does not exist: %s', v_detail),
		'Create the org, or correct or delete these rows first.');
END
$$;
COMMENT ON FUNCTION tenancy.protection_apply(regclass, name, text, uuid) IS
	'Internal: makes a locked and checked table protected.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.protection_values(p_target regclass)
RETURNS jsonb
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object('resource_type', p.resource_type, 'org_column', p.org_column)
	  FROM tenancy.protection_of(p_target) AS p
	 WHERE p.resource_type IS NOT NULL
$$;
COMMENT ON FUNCTION tenancy.protection_values(regclass) IS
	'Internal: what the audit log tells of a table''s protection; NULL when there is none.';

-- A definer because protect() and unprotect(), which run with their caller's rights, end here.
CREATE FUNCTION tenancy.protection_record(p_action text, p_target regclass, p_old jsonb)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy.is_being_guarded(p_target) THEN
		PERFORM tenancy.assert_administrator('record a change of protection');
	END IF;
	PERFORM tenancy.record_change(p_action, NULL, p_target::text, p_old, tenancy.protection_values(p_target));
END
$$;
COMMENT ON FUNCTION tenancy.protection_record(text, regclass, jsonb) IS
	'Internal: tells the audit log how a table is protected now.';

-- For whom it is done has been decided before: protect() asks for an administrator, a guarded
-- schema has the extension's owner do it.
--
-- The first round of checks runs without a lock, so that a call with nothing to do, as a
-- migration makes at each deployment, waits for nobody.
CREATE FUNCTION tenancy.protection_make(p_target regclass, p_type text, p_column name, p_existing_rows_org text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_type text;
	v_org uuid;
	v_old jsonb;
BEGIN
	PERFORM tenancy.protection_check(p_target, p_column);
	v_type := tenancy.protection_resource_type(p_target, p_type, p_column);
	IF p_existing_rows_org IS NOT NULL THEN
		v_org := tenancy.protection_org(p_existing_rows_org);
	END IF;
	PERFORM tenancy.protection_use_type(p_target, v_type);
	IF NOT EXISTS (SELECT tenancy.protection_statements(p_target, p_column, v_type)) THEN
		RETURN;
	END IF;

	PERFORM tenancy.protection_lock(p_target);
	PERFORM tenancy.protection_check(p_target, p_column);
	v_old := tenancy.protection_values(p_target);
	PERFORM tenancy.protection_apply(p_target, p_column,
									 tenancy.protection_resource_type(p_target, v_type, p_column), v_org);
	PERFORM tenancy.protection_record('protect', p_target, v_old);
END
$$;
COMMENT ON FUNCTION tenancy.protection_make(regclass, text, name, text) IS
	'Internal: protects a table, or repairs its protection.';

CREATE FUNCTION tenancy.protect(target regclass, resource_type text DEFAULT NULL,
										   org_column name DEFAULT 'org_id', existing_rows_org text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy.assert_administrator('protect a table');
	PERFORM tenancy.protection_make(target, resource_type, org_column, existing_rows_org);
END
$$;
COMMENT ON FUNCTION tenancy.protect(regclass, text, name, text) IS
	'Makes a table and its partitions tenant-owned, or repairs what is missing: org column, foreign key, index, row security and policies.';

-- A partition of a protected table stays protected: by its own name it would be open to all orgs.
CREATE FUNCTION tenancy.protection_check_removal(p_target regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_member regclass;
	v_root regclass;
BEGIN
	SELECT member INTO v_member
	  FROM tenancy.protection_members(p_target) AS member
	  JOIN pg_class AS c ON c.oid = member
	 WHERE NOT pg_has_role(c.relowner, 'USAGE')
	 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot unprotect %', p_target
			USING ERRCODE = '42501',
				  DETAIL = format('Only the owner of %s can unprotect it.', v_member),
				  HINT = 'Connect as the owner, or as a member of the role that owns it.';
	END IF;

	SELECT pg_partition_root(c.oid) INTO v_root FROM pg_class AS c WHERE c.oid = p_target AND c.relispartition;
	IF (SELECT p.resource_type FROM tenancy.protection_of(v_root) AS p) IS NOT NULL THEN
		RAISE EXCEPTION 'cannot unprotect %', p_target
			USING ERRCODE = '55000',
				  DETAIL = format('It is a partition of %s, which is protected.', v_root),
				  HINT = format('Unprotect the whole table: SELECT tenancy.unprotect(%L).', v_root);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_removal(regclass) IS
	'Internal: refuses, with the reason, what unprotect() cannot unprotect.';

-- Row security stays on where others' policies remain: without it they would be void.
CREATE FUNCTION tenancy.protection_removal_statements(p_target regclass)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH policy AS (
		SELECT pol.polrelid::regclass AS member, pol.polname,
			   pol.polname IN (SELECT p.policy FROM tenancy.protection_policies('', '') AS p) AS ours
		  FROM tenancy.protection_members(p_target) AS m
		  JOIN pg_policy AS pol ON pol.polrelid = m)
	SELECT format('DROP POLICY %I ON %s', policy.polname, policy.member)
	  FROM policy WHERE policy.ours
	UNION ALL
	SELECT format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', policy.member)
	  FROM policy GROUP BY policy.member HAVING bool_and(policy.ours)
$$;
COMMENT ON FUNCTION tenancy.protection_removal_statements(regclass) IS
	'Internal: the statements that end the protection of a table and its partitions; none when there is none.';

-- The column stays as it is, its default with it: rows written afterwards still land in the
-- writer's org, and protecting the table again, as another resource type say, finds no gap.
CREATE FUNCTION tenancy.unprotect(target regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_statement text;
	v_old jsonb;
BEGIN
	PERFORM tenancy.assert_administrator('unprotect a table');
	PERFORM tenancy.protection_check_exists(target);
	IF NOT EXISTS (SELECT tenancy.protection_removal_statements(target)) THEN
		RAISE NOTICE 'table % is not protected', target;
		RETURN;
	END IF;

	PERFORM tenancy.protection_check_removal(target);
	PERFORM tenancy.protection_lock(target);
	PERFORM tenancy.protection_check_removal(target);
	v_old := tenancy.protection_values(target);
	FOREACH v_statement IN ARRAY ARRAY(SELECT tenancy.protection_removal_statements(target))
	LOOP
		EXECUTE v_statement;
	END LOOP;
	PERFORM tenancy.protection_record('unprotect', target, v_old);
END
$$;
COMMENT ON FUNCTION tenancy.unprotect(regclass) IS
	'Ends the protection of a table and its partitions; keeps the org column, its data, default, foreign key and index, and the resource type.';

-- A definer only because it calls internal functions: it reads nothing that the catalogs do not
-- show everyone. Policies altered beyond recognition are shown, as incomplete; those that name a
-- resource type but no org column that could be one are somebody's own.
CREATE FUNCTION tenancy.protection_list()
RETURNS TABLE (schema_name name, table_name name, org_column name, resource_type text, is_partition boolean, complete boolean)
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT n.nspname, c.relname, p.org_column, p.resource_type, c.relispartition,
		   c.relrowsecurity AND c.relforcerowsecurity
		   AND p.org_column IS NOT NULL AND p.resource_type IS NOT NULL
		   AND NOT EXISTS (SELECT
							 FROM pg_policy AS pol
							WHERE pol.polrelid = c.oid AND pol.polpermissive
							  AND pol.polname NOT IN (SELECT o.policy FROM tenancy.protection_policies('', '') AS o))
		   AND NOT EXISTS (SELECT tenancy.protection_policy_statements(c.oid, p.org_column, p.resource_type))
	  FROM tenancy.protections AS p
	  JOIN pg_class AS c ON c.oid = p.relid
	  JOIN pg_namespace AS n ON n.oid = c.relnamespace
	 WHERE p.org_column IS NOT NULL OR p.resource_type IS NULL
$$;
COMMENT ON FUNCTION tenancy.protection_list() IS
	'Internal: the rows of the view protected_tables.';

CREATE VIEW tenancy.protected_tables AS
	SELECT schema_name, table_name, org_column, resource_type, is_partition, complete
	  FROM tenancy.protection_list();
COMMENT ON VIEW tenancy.protected_tables IS
	'The tables that are tenant-owned, as their policies say; complete is false where a policy or row security is missing or altered, which protect() repairs, or where a permissive policy of somebody else widens who may.';
-- Search under isolation: allow_pushdown(), revoke_pushdown() and pushdown_status().
--
-- Why it exists: under row security PostgreSQL uses an index only for operators whose functions are marked leakproof, and few are.
--
-- Invariants:
--   * No function on the list raises an error, a notice or a log line that depends on its arguments, whatever these are. What is a
--     constant in one query is chosen by CASE, for each hidden row, in another; so is whether the function is called at all. Two
--     exceptions, both no news to who has "=", which PostgreSQL marks itself, and a clock: arguments of hundreds of megabytes, or so
--     deeply nested, that memory or stack runs out; and what a collation reports when it is used (it cannot be determined, or is of
--     another version).
--   * Where the original does raise one, a stand-in of ours (src/pushdown.c) is marked instead.
--   * A function that was leakproof before is not ours: neither marked nor taken back.
--   * An entry that leaves the list must be taken back by the update that removes it.

-- ---------------------------------------------------------------------------------------------
-- Stand-ins
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.leakproof_textlike(text, text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SUPPORT pg_catalog.textlike_support AS 'MODULE_PATHNAME', 'tenancy_leakproof_textlike';
COMMENT ON FUNCTION tenancy.leakproof_textlike(text, text) IS 'Stands in for textlike(text, text): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_texticlike(text, text)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE SUPPORT pg_catalog.texticlike_support AS 'MODULE_PATHNAME', 'tenancy_leakproof_texticlike';
COMMENT ON FUNCTION tenancy.leakproof_texticlike(text, text) IS 'Stands in for texticlike(text, text): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_array_eq(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_array_eq';
COMMENT ON FUNCTION tenancy.leakproof_array_eq(anyarray, anyarray) IS 'Stands in for array_eq(anyarray, anyarray): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_arraycontains(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_arraycontains';
COMMENT ON FUNCTION tenancy.leakproof_arraycontains(anyarray, anyarray) IS 'Stands in for arraycontains(anyarray, anyarray): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_arraycontained(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_arraycontained';
COMMENT ON FUNCTION tenancy.leakproof_arraycontained(anyarray, anyarray) IS 'Stands in for arraycontained(anyarray, anyarray): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_arrayoverlap(anyarray, anyarray)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_arrayoverlap';
COMMENT ON FUNCTION tenancy.leakproof_arrayoverlap(anyarray, anyarray) IS 'Stands in for arrayoverlap(anyarray, anyarray): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_eq(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_eq';
COMMENT ON FUNCTION tenancy.leakproof_range_eq(anyrange, anyrange) IS 'Stands in for range_eq(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_contains(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_contains';
COMMENT ON FUNCTION tenancy.leakproof_range_contains(anyrange, anyrange) IS 'Stands in for range_contains(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_contained_by(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_contained_by';
COMMENT ON FUNCTION tenancy.leakproof_range_contained_by(anyrange, anyrange) IS 'Stands in for range_contained_by(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_overlaps(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_overlaps';
COMMENT ON FUNCTION tenancy.leakproof_range_overlaps(anyrange, anyrange) IS 'Stands in for range_overlaps(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_before(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_before';
COMMENT ON FUNCTION tenancy.leakproof_range_before(anyrange, anyrange) IS 'Stands in for range_before(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_after(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_after';
COMMENT ON FUNCTION tenancy.leakproof_range_after(anyrange, anyrange) IS 'Stands in for range_after(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_overleft(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_overleft';
COMMENT ON FUNCTION tenancy.leakproof_range_overleft(anyrange, anyrange) IS 'Stands in for range_overleft(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_overright(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_overright';
COMMENT ON FUNCTION tenancy.leakproof_range_overright(anyrange, anyrange) IS 'Stands in for range_overright(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_adjacent(anyrange, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_adjacent';
COMMENT ON FUNCTION tenancy.leakproof_range_adjacent(anyrange, anyrange) IS 'Stands in for range_adjacent(anyrange, anyrange): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_range_contains_elem(anyrange, anyelement)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_range_contains_elem';
COMMENT ON FUNCTION tenancy.leakproof_range_contains_elem(anyrange, anyelement) IS 'Stands in for range_contains_elem(anyrange, anyelement): null where that may raise an error.';
CREATE FUNCTION tenancy.leakproof_elem_contained_by_range(anyelement, anyrange)
RETURNS boolean LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_leakproof_elem_contained_by_range';
COMMENT ON FUNCTION tenancy.leakproof_elem_contained_by_range(anyelement, anyrange) IS 'Stands in for elem_contained_by_range(anyelement, anyrange): null where that may raise an error.';

-- ---------------------------------------------------------------------------------------------
-- The list
-- ---------------------------------------------------------------------------------------------

-- What of it is there on this major, with the extensions that are installed. Whatever else has such a name is not meant: PostgreSQL's
-- own functions were made by initdb (below 16384, FirstNormalObjectId), the others belong to their extension.
CREATE FUNCTION tenancy.pushdown_list()
RETURNS TABLE (entry text, function regprocedure, serves text, leakproof boolean, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('%s(%s)', f.name, l.arguments), p.oid::regprocedure, l.serves, p.proleakproof, l.reason
	FROM (VALUES
		('pattern', 'tenancy', '{leakproof_textlike,leakproof_texticlike}', 'text, text',
			'LIKE and ILIKE fail at a pattern that ends with an escape, and under a nondeterministic collation: null here'),
		('case', NULL, '{lower,upper}', 'text',
			'maps characters; what is stored is valid in the encoding, so there is nothing to reject'),
		('case', 'citext', '{citext_eq,citext_ne,citext_lt,citext_le,citext_gt,citext_ge}', 'citext, citext',
			'lower() of both, then the comparison of text'),
		('trigram', 'pg_trgm', '{similarity_op,word_similarity_op,word_similarity_commutator_op,strict_word_similarity_op,strict_word_similarity_commutator_op}', 'text, text',
			'cuts both into trigrams and counts those in common; a text without any has similarity 0'),
		('jsonb', NULL, '{jsonb_contains,jsonb_contained}', 'jsonb, jsonb',
			'walks both values; a scalar, an array and an object are unequal, not an error'),
		('jsonb', NULL, '{jsonb_eq,jsonb_ne}', 'jsonb, jsonb',
			'walks both values without recursion; values of different kinds are ordered, not an error'),
		('jsonb', NULL, '{jsonb_exists,jsonb_object_field,jsonb_object_field_text}', 'jsonb, text',
			'looks up a key; null or false for what is no object'),
		('jsonb', NULL, '{jsonb_exists_any,jsonb_exists_all}', 'jsonb, text[]',
			'looks up keys; passes over null ones'),
		('jsonb', NULL, '{jsonb_array_element,jsonb_array_element_text}', 'jsonb, integer',
			'null for what is no array and for a position outside'),
		('jsonb', NULL, '{jsonb_extract_path,jsonb_extract_path_text}', 'jsonb, text[]',
			'null for a step that leads nowhere, such as a word into an array'),
		('array', 'tenancy', '{leakproof_array_eq,leakproof_arraycontains,leakproof_arraycontained,leakproof_arrayoverlap}', 'anyarray, anyarray',
			'compares elements with the "=" of their type, which fails for some (records): null here unless that "=" is leakproof'),
		('range', 'tenancy', '{leakproof_range_eq,leakproof_range_contains,leakproof_range_contained_by,leakproof_range_overlaps,leakproof_range_before,leakproof_range_after,leakproof_range_overleft,leakproof_range_overright,leakproof_range_adjacent}', 'anyrange, anyrange',
			'compares bounds with the comparison of their type, which fails for some (records): null here unless that is leakproof'),
		('range', 'tenancy', '{leakproof_range_contains_elem}', 'anyrange, anyelement',
			'as the other operators of ranges'),
		('range', 'tenancy', '{leakproof_elem_contained_by_range}', 'anyelement, anyrange',
			'as the other operators of ranges'),
		('range', NULL, '{numeric_cmp}', 'numeric, numeric',
			'compares digits; NaN and the infinities have their places. Bounds of numrange are compared with it'),
		('text_search', NULL, '{ts_match_vq}', 'tsvector, tsquery',
			'looks the lexemes of a parsed query up in a parsed document'),
		('text_search', NULL, '{ts_match_qv}', 'tsquery, tsvector',
			'looks the lexemes of a parsed query up in a parsed document'),
		('numeric', NULL, '{numeric_eq,numeric_ne,numeric_lt,numeric_le,numeric_gt,numeric_ge}', 'numeric, numeric',
			'compares digits; NaN and the infinities have their places'),
		('time', NULL, '{date_eq_timestamp,date_ne_timestamp,date_lt_timestamp,date_le_timestamp,date_gt_timestamp,date_ge_timestamp}', 'date, timestamp without time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{date_eq_timestamptz,date_ne_timestamptz,date_lt_timestamptz,date_le_timestamptz,date_gt_timestamptz,date_ge_timestamptz}', 'date, timestamp with time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamp_eq_date,timestamp_ne_date,timestamp_lt_date,timestamp_le_date,timestamp_gt_date,timestamp_ge_date}', 'timestamp without time zone, date',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamp_eq_timestamptz,timestamp_ne_timestamptz,timestamp_lt_timestamptz,timestamp_le_timestamptz,timestamp_gt_timestamptz,timestamp_ge_timestamptz}', 'timestamp without time zone, timestamp with time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamptz_eq_date,timestamptz_ne_date,timestamptz_lt_date,timestamptz_le_date,timestamptz_gt_date,timestamptz_ge_date}', 'timestamp with time zone, date',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('time', NULL, '{timestamptz_eq_timestamp,timestamptz_ne_timestamp,timestamptz_lt_timestamp,timestamptz_le_timestamp,timestamptz_gt_timestamp,timestamptz_ge_timestamp}', 'timestamp with time zone, timestamp without time zone',
			'a value beyond the range of the other type is beyond all its values, not an error'),
		('enum', NULL, '{enum_eq,enum_ne,enum_lt,enum_le,enum_gt,enum_ge}', 'anyenum, anyenum',
			'compares identifiers, or their places in the list of values, from which none is ever removed'),
		('network', NULL, '{network_sub,network_subeq,network_sup,network_supeq,network_overlap}', 'inet, inet',
			'compares bits; addresses of different families are apart, not an error'))
		AS l (serves, extension, names, arguments, reason)
	LEFT JOIN pg_extension e ON e.extname = l.extension
	JOIN pg_namespace n ON n.oid = coalesce(e.extnamespace, 'pg_catalog'::regnamespace)
	CROSS JOIN LATERAL unnest(l.names::text[]) AS f (name)
	JOIN pg_proc p ON p.oid = to_regprocedure(CASE WHEN l.extension IS NULL OR e.oid IS NOT NULL THEN
		format('%I.%I(%s)', n.nspname, f.name, replace(l.arguments, 'citext', format('%I.citext', n.nspname))) END)
	WHERE CASE WHEN l.extension IS NULL THEN p.oid < 16384
		ELSE EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
			AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e') END
$$;
COMMENT ON FUNCTION tenancy.pushdown_list() IS 'Internal: the functions that allow_pushdown() marks leakproof, what for, and why they cannot leak.';

CREATE FUNCTION tenancy.pushdown_status()
RETURNS TABLE (function text, serves text, leakproof boolean, allowed boolean, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT l.function::text, l.serves, l.leakproof, m.entry IS NOT NULL, l.reason
	FROM tenancy.pushdown_list() l LEFT JOIN tenancy.pushdown_marks m USING (entry)
	ORDER BY l.serves, l.function::text COLLATE "C"
$$;
COMMENT ON FUNCTION tenancy.pushdown_status() IS 'Which functions allow_pushdown() marks leakproof, whether they are, whether it was we, and why they cannot leak.';

-- ---------------------------------------------------------------------------------------------
-- Allowing and revoking
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.forget_plans()
RETURNS void LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'tenancy_forget_plans';
COMMENT ON FUNCTION tenancy.forget_plans() IS 'Internal: every session plans its statements anew once this transaction has committed.';

-- Two calls at once would each see what the other is about to mark; hence the lock.
CREATE FUNCTION tenancy.pushdown_check(serves text[])
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	unknown text;
BEGIN
	PERFORM tenancy.assert_administrator('mark functions leakproof');
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'permission denied to mark functions leakproof'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'The mark is one of PostgreSQL''s own functions, and counts in the whole database.',
				HINT = 'Call it as a superuser.';
	END IF;
	SELECT coalesce(s, 'null') INTO unknown FROM unnest(pushdown_check.serves) s
	WHERE s IS NULL OR s NOT IN ('pattern', 'case', 'trigram', 'jsonb', 'array', 'range', 'text_search', 'numeric', 'time', 'enum', 'network');
	IF FOUND THEN
		RAISE EXCEPTION 'there is no kind of search "%"', unknown
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'There are pattern, case, trigram, jsonb, array, range, text_search, numeric, time, enum and network.';
	END IF;
	LOCK TABLE tenancy.pushdown_marks IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION tenancy.pushdown_check(text[]) IS 'Internal: may the caller do this, are there such kinds of search; and one at a time.';

-- Nobody needs EXECUTE on a built-in operator's function; so it must be with what stands in for one.
CREATE FUNCTION tenancy.pushdown_mark(function regprocedure, leakproof boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('ALTER FUNCTION %s %s', pushdown_mark.function, CASE WHEN leakproof THEN 'LEAKPROOF' ELSE 'NOT LEAKPROOF' END);
	IF (SELECT p.pronamespace = 'tenancy'::regnamespace FROM pg_proc p WHERE p.oid = pushdown_mark.function) THEN
		EXECUTE format(CASE WHEN leakproof THEN 'GRANT EXECUTE ON FUNCTION %s TO PUBLIC' ELSE 'REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC' END,
			pushdown_mark.function);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.pushdown_mark(regprocedure, boolean) IS 'Internal: marks a function leakproof, or takes the mark back.';

-- SECURITY INVOKER, as all of this: PostgreSQL itself refuses whoever is no superuser.
CREATE FUNCTION tenancy.allow_pushdown(serves text[] DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	f record;
	marked text[] := '{}';
BEGIN
	PERFORM tenancy.pushdown_check(allow_pushdown.serves);
	FOR f IN SELECT l.* FROM tenancy.pushdown_list() l
			WHERE NOT l.leakproof AND (allow_pushdown.serves IS NULL OR l.serves = ANY (allow_pushdown.serves)) ORDER BY l.entry LOOP
		PERFORM tenancy.pushdown_mark(f.function, true);
		INSERT INTO tenancy.pushdown_marks (entry) VALUES (f.entry) ON CONFLICT (entry) DO UPDATE SET marked_at = now();
		marked := marked || f.entry;
	END LOOP;
	IF marked <> '{}' THEN
		PERFORM tenancy.forget_plans(),
			tenancy.record_change('allow_pushdown', NULL, NULL, NULL, jsonb_build_object('functions', marked));
	END IF;
	RETURN cardinality(marked);
END
$$;
COMMENT ON FUNCTION tenancy.allow_pushdown(text[]) IS 'Lets indexes serve searches under row security: marks functions that cannot leak as leakproof, all or those of some kinds of search.';

CREATE FUNCTION tenancy.revoke_pushdown(serves text[] DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	f record;
	revoked text[] := '{}';
BEGIN
	PERFORM tenancy.pushdown_check(revoke_pushdown.serves);
	FOR f IN SELECT l.* FROM tenancy.pushdown_list() l JOIN tenancy.pushdown_marks m USING (entry)
			WHERE revoke_pushdown.serves IS NULL OR l.serves = ANY (revoke_pushdown.serves) ORDER BY l.entry LOOP
		PERFORM tenancy.pushdown_mark(f.function, false);
		DELETE FROM tenancy.pushdown_marks m WHERE m.entry = f.entry;
		revoked := revoked || f.entry;
	END LOOP;
	-- Of extensions that are gone.
	IF revoke_pushdown.serves IS NULL THEN
		DELETE FROM tenancy.pushdown_marks;
	END IF;
	IF revoked <> '{}' THEN
		PERFORM tenancy.forget_plans(),
			tenancy.record_change('revoke_pushdown', NULL, NULL, jsonb_build_object('functions', revoked), NULL);
	END IF;
	RETURN cardinality(revoked);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_pushdown(text[]) IS 'Takes back what allow_pushdown() marked, and nothing else.';
-- Why a row is not there for the session. It looks where row security would not let it, so it tells only those who may know.

-- The one column that the primary key has beside the org column, with the operator that the key compares by.
CREATE FUNCTION tenancy.why_not_key(target regclass, org_column name, OUT key_column name, OUT key_type text, OUT equals text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	SELECT min(a.attname), min(format_type(a.atttypid, NULL)), min(format('OPERATOR(%I.%s)', n.nspname, o.oprname))
	INTO key_column, key_type, equals
	FROM pg_index i
	CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) k (attnum, opclass)
	JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND a.attname <> why_not_key.org_column
	JOIN pg_opclass c ON c.oid = k.opclass
	JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype AND p.amopstrategy = 3
	JOIN pg_operator o ON o.oid = p.amopopr
	JOIN pg_namespace n ON n.oid = o.oprnamespace
	WHERE i.indrelid = why_not_key.target AND i.indisprimary
	HAVING count(*) = 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'table % has no primary key of one column', why_not_key.target
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The org column does not count.',
				HINT = 'Call tenancy.explain_can_i(''read'', resource_type), and compare the row''s org with tenancy.current_org().';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.why_not_key(regclass, name) IS 'Internal: the column that tells the rows of a table apart within an org.';

-- Of an org that the caller may know of, and of the current one if it is among them. Who administers none reads nothing. For who
-- administers some org the key is looked up, and what is found in others passed over: the answer does not tell of it, but the table's
-- statistics and the time it takes may. The owner's code runs on the way, so what comes back is compared once more.
CREATE FUNCTION tenancy.why_not_org(target regclass, org_column name, key text)
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	k record;
	statement text;
	administered uuid[];
	found uuid;
BEGIN
	SELECT * INTO k FROM tenancy.why_not_key(why_not_org.target, why_not_org.org_column);
	statement := format('SELECT %1$I FROM %2$s WHERE %3$I %4$s CAST($1 AS %5$s)', why_not_org.org_column, why_not_org.target, k.key_column, k.equals, k.key_type);
	IF NOT tenancy.is_administrator() THEN
		administered := ARRAY(SELECT m.org_id FROM tenancy.memberships m
			WHERE m.user_id = tenancy.current_user_id() AND tenancy.is_active_admin(m.user_id, m.org_id));
		IF administered = '{}' THEN
			RETURN NULL;
		END IF;
		statement := statement || format(' AND %I = ANY (%L::uuid[])', why_not_org.org_column, administered);
	END IF;
	found := tenancy.ask_as_owner(why_not_org.target,
		statement || format(' ORDER BY %I IS DISTINCT FROM %L::uuid LIMIT 1', why_not_org.org_column, tenancy.current_org()), why_not_org.key);
	RETURN CASE WHEN administered IS NULL OR found = ANY (administered) THEN found END;
END
$$;
COMMENT ON FUNCTION tenancy.why_not_org(regclass, name, text) IS 'Internal: the org of a row, if the caller may know of it.';

CREATE FUNCTION tenancy.why_not_result(target regclass, resource_type text, row_org uuid, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	across boolean := tenancy.cross_org_active();
	allowed boolean := coalesce(tenancy.current_org_if('read', why_not_result.resource_type) = row_org, false);
	exempt boolean := (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles r WHERE r.rolname = tenancy.database_role());
	others text := (SELECT string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname) FROM pg_policy p
		WHERE p.polrelid = why_not_result.target AND NOT p.polpermissive AND p.polcmd IN ('r', '*')
			AND p.polname NOT IN (SELECT o.policy FROM tenancy.protection_policies('', '') o));
BEGIN
	RETURN QUERY SELECT 'row_org', coalesce(tenancy.current_org() = row_org, false),
		CASE WHEN tenancy.current_org() = row_org THEN 'the session works in the row''s org'
			ELSE 'the session does not work in the row''s org: pick it with tenancy.switch_org(org)' END;
	IF across THEN
		RETURN QUERY SELECT 'cross_org', true, 'tenancy.cross_org is on: rows of every org are read';
	END IF;
	IF exempt THEN
		RETURN QUERY SELECT 'database_role', true, format('database role %s is not subject to row security', tenancy.database_role());
	END IF;
	IF others IS NOT NULL THEN
		RETURN QUERY SELECT 'other_policies', NULL::boolean, format('policies of the application''s own decide too: %s', others);
	END IF;
	RETURN QUERY SELECT 'result', exempt OR across OR allowed,
		CASE WHEN NOT (exempt OR across OR allowed) THEN 'not visible: see the checks that did not pass'
			WHEN others IS NOT NULL AND NOT exempt THEN 'visible, unless another policy hides it'
			ELSE 'visible' END;
END
$$;
COMMENT ON FUNCTION tenancy.why_not_result(regclass, text, uuid) IS 'Internal: the last rows of why_not().';

CREATE FUNCTION tenancy.why_not("table" regclass, key text, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	p record;
	row_org uuid;
BEGIN
	PERFORM tenancy.assert_not_null(why_not."table"::text, 'table', 'tenancy.protected_tables lists those there are.');
	PERFORM tenancy.assert_not_null(why_not.key, 'key', 'Pass the value of the row''s primary key as text.');
	IF has_table_privilege(tenancy.database_role(), why_not."table"::oid, 'SELECT') IS NOT TRUE THEN
		RAISE EXCEPTION 'permission denied for table %', why_not."table"
			USING ERRCODE = 'insufficient_privilege', HINT = 'Ask the DBA to grant SELECT on it.';
	END IF;
	SELECT * INTO p FROM tenancy.protection_of(why_not."table");
	IF p.org_column IS NULL OR p.resource_type IS NULL THEN
		RAISE EXCEPTION 'table % is not protected', why_not."table"
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'tenancy.protected_tables lists those that are.';
	END IF;

	row_org := tenancy.why_not_org(why_not."table", p.org_column, why_not.key);
	IF row_org IS NULL THEN
		RETURN QUERY SELECT 'row', false, 'there is no row with this key, or none in an org whose admin you are';
		RETURN;
	END IF;
	RETURN QUERY SELECT 'row', true, format('it is there, in org "%s"', o.slug) FROM tenancy.organizations o WHERE o.id = row_org;
	RETURN QUERY SELECT e.check_name, e.passed, e.reason FROM tenancy.explain_can_i('read', p.resource_type) e WHERE e.check_name <> 'result';
	RETURN QUERY SELECT r.check_name, r.passed, r.reason FROM tenancy.why_not_result(why_not."table", p.resource_type, row_org) r;
END
$$;
COMMENT ON FUNCTION tenancy.why_not(regclass, text) IS 'Why the session does not see a row: one row a check. For administrators and the admins of the row''s org; to others no row exists.';
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
CREATE FUNCTION tenancy.is_shared(target oid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN tenancy.shared_tables s ON s.schema_name = n.nspname AND s.table_name = c.relname WHERE c.oid = is_shared.target)
$$;
COMMENT ON FUNCTION tenancy.is_shared(oid) IS 'Internal: whether share_table() was called for a table.';

-- Both are in the first lines of what pg_dump writes, and hardly ever together elsewhere. Who sets them on purpose could as well drop
-- the policies afterwards.
CREATE FUNCTION tenancy.is_restoring()
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT current_setting('row_security') = 'off' AND current_setting('check_function_bodies') = 'off'
$$;
COMMENT ON FUNCTION tenancy.is_restoring() IS 'Internal: whether the session restores a dump.';

-- The table may be gone by now, or protected, shared or moved. Its partitions count with it.
CREATE FUNCTION tenancy.guard_refuse(target oid)
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
CREATE FUNCTION tenancy.guard_protect(target regclass)
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
CREATE FUNCTION tenancy.guard_tables(attached boolean)
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

CREATE FUNCTION tenancy.guard_schema(schema regnamespace, action text DEFAULT 'protect')
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
CREATE FUNCTION tenancy.unguard_schema(schema_name name)
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

CREATE FUNCTION tenancy.share_table(schema_name name, table_name name)
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

CREATE FUNCTION tenancy.unshare_table(schema_name name, table_name name)
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
-- doctor(): what leaves this database open, and the statements that mend it.
--
-- Why it exists: protection is ordinary catalog state, so a migration, a restore or a grant can undo it, and nothing fails then.
--
-- Invariants:
--   * A check reads catalogs and tenancy's own tables. It changes nothing, reads none of the application's rows and runs nobody's code.
--   * Each check is one SELECT: its id, and above it why it matters. What may be on purpose is a notice.
--   * A remedy clears its finding. It is built by format() with %I, %L and reg* alone, as names may contain anything.
--   * What protection is stands in 60_protection.sql, who may call what in 70_access.sql: asked here, not repeated.

-- ---------------------------------------------------------------------------------------------
-- What the checks ask
-- ---------------------------------------------------------------------------------------------

-- Cheaper than tenancy.protections, which also says by which column.
CREATE VIEW tenancy.doctor_protected AS
	SELECT c.oid AS relid, c.relowner, c.relispartition, c.relkind
	FROM pg_catalog.pg_class c
	WHERE c.relpersistence <> 't' AND c.oid IN (SELECT p.polrelid FROM pg_catalog.pg_policy p
		WHERE p.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') o));
COMMENT ON VIEW tenancy.doctor_protected IS 'Internal: the tables that have policies of tenancy.';

-- Whom grant_access() was called for, with every role whose rights it has or can take on, PUBLIC (0) and itself among them.
CREATE VIEW tenancy.doctor_applications AS
	WITH RECURSIVE acts_as AS (
		SELECT DISTINCT a.grantee AS role, a.grantee AS acts_as
		FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
		WHERE p.oid = 'tenancy.begin_session(text, text)'::pg_catalog.regprocedure AND a.grantee NOT IN (0, p.proowner)
		UNION
		SELECT r.role, m.roleid FROM acts_as r JOIN pg_catalog.pg_auth_members m ON m.member = r.acts_as)
	SELECT r.role, r.acts_as FROM acts_as r UNION ALL SELECT DISTINCT r.role, 0::pg_catalog.oid FROM acts_as r;
COMMENT ON VIEW tenancy.doctor_applications IS 'Internal: the roles that applications log in as, and whose rights they have.';

CREATE VIEW tenancy.doctor_grants AS
	SELECT c.oid AS relid, NULL::name AS column_name, a.grantee, a.privilege_type
	FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
	UNION ALL
	SELECT c.oid, t.attname, a.grantee, a.privilege_type
	FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid = t.attrelid, pg_catalog.aclexplode(t.attacl) a
	WHERE a.grantee <> c.relowner;
COMMENT ON VIEW tenancy.doctor_grants IS 'Internal: privileges on relations and columns, but those of their owners.';

-- Row security stops none of these.
CREATE VIEW tenancy.doctor_exempt_roles AS
	SELECT r.oid AS role FROM pg_catalog.pg_roles r WHERE r.rolsuper OR r.rolbypassrls;
COMMENT ON VIEW tenancy.doctor_exempt_roles IS 'Internal: superusers, and roles with BYPASSRLS.';

-- Functions that somebody else wrote and an application may call; or sets off, as triggers: these need no privilege to run.
CREATE VIEW tenancy.doctor_callable AS
	SELECT p.oid AS funcid, p.proowner, p.pronamespace, p.prosecdef, p.proconfig, p.prosrc, p.prolang, k.is_trigger
	FROM pg_catalog.pg_proc p
	CROSS JOIN LATERAL (SELECT p.prorettype IN ('trigger'::pg_catalog.regtype, 'event_trigger'::pg_catalog.regtype) AS is_trigger) k
	WHERE p.oid >= 16384
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
		AND CASE WHEN k.is_trigger
			THEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = p.oid AND t.tgenabled <> 'D')
				OR EXISTS (SELECT FROM pg_catalog.pg_event_trigger t WHERE t.evtfoid = p.oid AND t.evtenabled <> 'D')
			ELSE EXISTS (SELECT FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
				WHERE a.grantee <> p.proowner AND (a.grantee = 0 OR a.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r))) END;
COMMENT ON VIEW tenancy.doctor_callable IS 'Internal: functions that applications may call or set off, but those of extensions and of PostgreSQL.';

-- A view with security_invoker asks for the rights of whoever uses it, in another view too.
CREATE VIEW tenancy.doctor_readers AS
	WITH RECURSIVE reads AS (
		SELECT p.relid FROM tenancy.doctor_protected p
		UNION
		SELECT w.ev_class FROM reads r
		JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = r.relid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND w.ev_type = '1')
	SELECT r.relid, c.relname, c.relkind, c.relowner, EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
		WHERE c.relkind = 'v' AND o.option_name = 'security_invoker' AND o.option_value::boolean) AS invokes
	FROM reads r JOIN pg_catalog.pg_class c ON c.oid = r.relid;
COMMENT ON VIEW tenancy.doctor_readers IS 'Internal: protected tables, and the views and materialized views over them.';

-- Columns that hold an org: they refer to one, are called so, or as the org column of a protected table, and then refer to nothing else.
CREATE VIEW tenancy.doctor_org_columns AS
	WITH used AS MATERIALIZED (SELECT DISTINCT p.org_column FROM tenancy.protections p
		JOIN pg_catalog.pg_attribute a ON a.attrelid = p.relid AND a.attname = p.org_column
		-- The settings of an org may have its id as theirs.
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = p.relid AND k.conkey = ARRAY[a.attnum] AND k.contype = 'p'))
	SELECT DISTINCT ON (c.oid) c.oid AS relid, c.relkind, a.attname AS org_column, a.atttypid
	FROM pg_catalog.pg_class c
	JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] AND k.confrelid = 'tenancy.organizations'::pg_catalog.regclass
	WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
		AND (k.oid IS NOT NULL
			OR a.attname = 'org_id' AND coalesce(nullif(t.typbasetype, 0), t.oid) IN ('uuid'::pg_catalog.regtype, 'text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype, 'bpchar'::pg_catalog.regtype)
			OR a.attname IN (SELECT u.org_column FROM used u) AND a.atttypid = 'uuid'::pg_catalog.regtype
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = c.oid AND o.conkey = ARRAY[a.attnum] AND o.contype IN ('f', 'p')))
	ORDER BY c.oid, k.oid IS NULL, a.attname <> 'org_id', a.attnum;
COMMENT ON VIEW tenancy.doctor_org_columns IS 'Internal: the tables, protected or not, that seem to have an org column.';

CREATE FUNCTION tenancy.doctor_grantee(role oid)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN role = 0 THEN 'PUBLIC' ELSE role::regrole::text END
$$;
COMMENT ON FUNCTION tenancy.doctor_grantee(oid) IS 'Internal: a role as REVOKE names it.';

-- A table keeps its resource type. A new one has the table's name, unless that cannot be a type or is one of tenancy's own. What protect()
-- refuses beside its own policies goes first: row security that was made by hand, for instance.
CREATE FUNCTION tenancy.doctor_protect_statement(target oid, org_column name, resource_type text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT string_agg(o.statement, '; ' ORDER BY o.statement) || '; '
			FROM tenancy.protection_members(doctor_protect_statement.target) m (member) CROSS JOIN LATERAL (
				SELECT format('DROP POLICY %I ON %s', p.polname, m.member) FROM pg_policy p
				WHERE p.polrelid = m.member AND p.polpermissive AND p.polname NOT IN (SELECT w.policy FROM tenancy.protection_policies('', '') w)
				UNION ALL
				SELECT format('DROP RULE %I ON %s', r.rulename, m.member) FROM pg_rewrite r
				WHERE r.ev_class = m.member AND r.ev_type <> '1' AND r.is_instead) o (statement)), '')
		|| format('SELECT tenancy.protect(%L%s%s)', target::regclass,
		', resource_type => ' || quote_literal(coalesce(doctor_protect_statement.resource_type,
			CASE WHEN c.relname !~ '^[a-z][a-z0-9_]{0,62}$' OR EXISTS (SELECT FROM tenancy.resource_types t WHERE t.name = c.relname AND t.shipped)
				THEN 'app_' || left(regexp_replace(lower(c.relname), '[^a-z0-9]+', '_', 'g'), 59) END)),
		', org_column => ' || quote_literal(nullif(doctor_protect_statement.org_column, 'org_id')))
	FROM pg_class c WHERE c.oid = target
$$;
COMMENT ON FUNCTION tenancy.doctor_protect_statement(oid, name, text) IS 'Internal: the call of protect() for a table, after what clears its way.';

-- ---------------------------------------------------------------------------------------------
-- Tables: is what protect() makes still there, and is anything open that should have it?
-- ---------------------------------------------------------------------------------------------

-- What protect() would do is what is wrong: its statements are told apart by how they begin or end, where no name can stand.
CREATE FUNCTION tenancy.doctor_protection()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off AS $$
	WITH protected AS MATERIALIZED (
		SELECT p.relid, p.org_column, p.resource_type, c.relispartition FROM tenancy.protections p JOIN pg_class c ON c.oid = p.relid
		WHERE p.org_column IS NOT NULL AND p.resource_type IS NOT NULL),
	-- A foreign key that was never validated is there, and a second one would not do better.
	not_valid AS (
		SELECT k.conrelid, k.conname FROM pg_constraint k
		WHERE k.contype = 'f' AND NOT k.convalidated AND k.confrelid = 'tenancy.organizations'::regclass),
	lacking AS (
		SELECT p.relid, s.statement FROM protected p, tenancy.protection_column_statements(p.relid, p.org_column) s (statement)
		WHERE NOT p.relispartition AND NOT (s.statement ~ ' ADD FOREIGN KEY ' AND p.relid IN (SELECT n.conrelid FROM not_valid n))
		UNION ALL
		SELECT p.relid, s.statement FROM protected p, tenancy.protection_row_statements(p.relid, p.org_column, p.resource_type) s (statement))
	SELECT k.check_id, k.severity, l.relid::regclass::text, k.problem, l.statement
	FROM lacking l JOIN (VALUES
		-- Without row security the policies are void.
		('row_security_disabled', 'error', ' ENABLE ROW LEVEL SECURITY$', 'Row security is off: everybody with SELECT sees the rows of every org.'),
		-- Without FORCE the owner sees all orgs, and so does each view or SECURITY DEFINER function of the owner's.
		('row_security_not_forced', 'error', ' FORCE ROW LEVEL SECURITY$', 'Row security is not forced: the owner, and what runs with the owner''s rights, sees the rows of every org.'),
		('policy_missing', 'error', '^CREATE POLICY ', 'A policy of tenancy is missing.'),
		('policy_altered', 'error', '^DROP POLICY ', 'A policy of tenancy has been altered.'),
		-- A row without an org belongs to nobody, who could purge it or hand it over.
		('org_column_nullable', 'warning', ' SET NOT NULL$', 'The org column may be null: such a row is nobody''s.'),
		('org_foreign_key_missing', 'warning', ' REFERENCES tenancy\.organizations \(id\)$', 'The org column does not refer to tenancy.organizations: rows may outlive their org.'),
		('org_index_missing', 'warning', '^CREATE INDEX ON ', 'No index begins with the org column: every query reads the rows of all orgs before it hides them.'),
		('org_default_missing', 'warning', ' SET DEFAULT tenancy\.current_org\(\)$', 'The org column has not tenancy.current_org() as its default: an INSERT must name the org.'))
		AS k (check_id, severity, pattern, problem) ON l.statement ~ k.pattern
	UNION ALL
	SELECT 'org_foreign_key_not_valid', 'warning', p.relid::regclass::text, 'The foreign key of the org column has not been validated: old rows may be of no org that exists.',
		format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p.relid::regclass, n.conname)
	FROM protected p JOIN not_valid n ON n.conrelid = p.relid
	UNION ALL
	-- Policies under our names, of which none says any more by which column, or for which type: nothing else looks at the table then.
	SELECT 'protection_unreadable', 'error', p.relid::regclass::text, 'The policies that have the names of tenancy''s do not name an org column and a resource type.',
		tenancy.doctor_protect_statement(p.relid, coalesce(p.org_column, o.org_column), p.resource_type)
	FROM tenancy.protections p LEFT JOIN tenancy.doctor_org_columns o USING (relid) WHERE p.org_column IS NULL OR p.resource_type IS NULL
$$;
COMMENT ON FUNCTION tenancy.doctor_protection() IS 'Internal: checks of doctor() on what protect() makes.';

CREATE FUNCTION tenancy.doctor_open_tables()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE child AS (
		SELECT p.relid AS parent, i.inhrelid AS top, i.inhrelid AS relid FROM tenancy.protections p JOIN pg_inherits i ON i.inhparent = p.relid JOIN pg_class c ON c.oid = i.inhrelid
		WHERE NOT c.relispartition AND i.inhrelid NOT IN (SELECT o.relid FROM tenancy.doctor_protected o)
		UNION
		SELECT h.parent, h.top, i.inhrelid FROM child h JOIN pg_inherits i ON i.inhparent = h.relid),
	unguarded AS MATERIALIZED (
		SELECT c.oid AS relid FROM pg_class c
		WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
			AND c.oid NOT IN (SELECT p.relid FROM tenancy.doctor_protected p) AND NOT tenancy.is_shared(c.oid)
			AND c.oid NOT IN (SELECT h.relid FROM child h)
			AND (c.relkind = 'f' OR (SELECT o.detail FROM tenancy.protection_obstacle(c.oid) o) IS NULL))
	-- Somebody meant its rows to be an org's, and everybody sees them.
	SELECT 'unprotected_table', 'error', t.relid::regclass::text, format('It has an org column, %I, and is neither protected nor declared shared.', t.org_column),
		CASE WHEN t.atttypid <> 'uuid'::regtype THEN format('ALTER TABLE %s ALTER COLUMN %I TYPE uuid USING %2$I::uuid; ', t.relid::regclass, t.org_column) ELSE '' END
			|| tenancy.doctor_protect_statement(t.relid, t.org_column, NULL)
	FROM tenancy.doctor_org_columns t JOIN unguarded u USING (relid)
	WHERE t.relkind <> 'f'
	UNION ALL
	-- It has no org column, but what it belongs to has: the lines of an org's invoices.
	SELECT 'unprotected_reference', 'error', f.relid::regclass::text, format('Applications use it, it refers to %s, which is protected, and it is neither protected nor declared shared.', f.ref),
		concat(CASE WHEN NOT f.has_column THEN format('ALTER TABLE %s ADD COLUMN %I uuid; ', f.relid::regclass, f.org_column) END,
			format('SET session_replication_role = replica; UPDATE %s t SET %I = r.%2$I FROM %s r WHERE %s AND t.%2$I IS NULL; RESET session_replication_role; ',
				f.relid::regclass, f.org_column, f.ref, f.joined),
			tenancy.doctor_protect_statement(f.relid, f.org_column, NULL))
	FROM (SELECT DISTINCT ON (k.conrelid) k.conrelid AS relid, k.confrelid::regclass AS ref, p.org_column, j.joined,
			EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attname = p.org_column AND NOT a.attisdropped) AS has_column
		FROM pg_constraint k JOIN unguarded u ON u.relid = k.conrelid
		JOIN tenancy.protections p ON p.relid = k.confrelid AND p.org_column IS NOT NULL
		CROSS JOIN LATERAL (SELECT string_agg(format('r.%I = t.%I', b.attname, a.attname), ' AND ' ORDER BY x.i) AS joined FROM unnest(k.conkey, k.confkey) WITH ORDINALITY x (key, ref, i)
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.key JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.ref) j
		WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid NOT IN (SELECT o.relid FROM tenancy.doctor_org_columns o)
			AND EXISTS (SELECT FROM tenancy.doctor_grants g WHERE g.relid = k.conrelid AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
				AND (g.grantee = 0 OR g.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r)))
		ORDER BY k.conrelid, k.oid) f
	UNION ALL
	-- Nothing covers what is read from elsewhere.
	SELECT 'foreign_table_readable', 'error', t.relid::regclass::text, format('It is a foreign table with an org column, %I, and row security does not cover it.', t.org_column),
		string_agg(DISTINCT format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', t.relid::regclass, tenancy.doctor_grantee(g.grantee)), '; ')
	FROM tenancy.doctor_org_columns t JOIN tenancy.doctor_grants g USING (relid)
	WHERE t.relkind = 'f' AND NOT tenancy.is_shared(t.relid) AND (g.grantee = 0 OR g.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r))
	GROUP BY t.relid, t.org_column
	UNION ALL
	-- Through a parent its own policies do not count.
	SELECT 'open_parent', 'error', i.inhparent::regclass::text, format('It is open, and through it the rows of %s can be reached, which is protected.', i.inhrelid::regclass),
		CASE WHEN c.relispartition THEN tenancy.doctor_protect_statement(pg_partition_root(i.inhrelid), p.org_column, p.resource_type)
			ELSE format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, i.inhparent::regclass) END
	FROM tenancy.protections p JOIN pg_inherits i ON i.inhrelid = p.relid JOIN pg_class c ON c.oid = p.relid
	WHERE p.org_column IS NOT NULL AND i.inhparent NOT IN (SELECT o.relid FROM tenancy.doctor_protected o)
		AND NOT (c.relispartition AND pg_partition_root(i.inhrelid) IN (SELECT o.relid FROM tenancy.doctor_protected o))
	UNION ALL
	-- Its checks and triggers run with the rights of whoever writes the whole, and its owner can drop its policies.
	SELECT 'partition_of_another_owner', 'warning', m.member::text, format('It belongs to %s, and is a partition of %s, which belongs to %s.', c.relowner::regrole, p.relid::regclass, p.relowner::regrole),
		format('ALTER TABLE %s OWNER TO %s', m.member, p.relowner::regrole)
	FROM tenancy.doctor_protected p, tenancy.protection_members(p.relid) m (member) JOIN pg_class c ON c.oid = m.member
	WHERE p.relkind = 'p' AND NOT p.relispartition AND c.relowner <> p.relowner
	UNION ALL
	-- Row security does not follow when a partition is addressed by its own name.
	SELECT 'open_partition', 'error', m.member::text, format('It is a partition of %s, which is protected, and has no policies itself: addressed by its own name it is open.', p.relid::regclass),
		format('SELECT tenancy.protect(%L)', m.member)
	FROM tenancy.doctor_protected p, tenancy.protection_members(p.relid) m (member)
	WHERE p.relkind = 'p' AND NOT p.relispartition AND m.member NOT IN (SELECT o.relid FROM tenancy.doctor_protected o)
	UNION ALL
	-- Nor along plain inheritance. What inherits from the child hangs on it.
	SELECT 'open_inheritance_child', 'error', h.top::regclass::text, format('It inherits from %s, which is protected, and is open itself.', h.parent::regclass),
		concat_ws('; ', (SELECT string_agg(format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, i.inhparent::regclass), '; ' ORDER BY i.inhrelid, i.inhseqno)
				FROM pg_inherits i WHERE i.inhrelid = ANY (array_agg(h.relid))),
			string_agg(tenancy.doctor_protect_statement(h.relid, p.org_column, p.resource_type), '; ' ORDER BY h.relid))
	FROM child h JOIN tenancy.protections p ON p.relid = h.parent GROUP BY h.parent, h.top
	UNION ALL
	-- It cannot cross orgs, for the wall; but inside the org it allows what no role grants.
	SELECT 'permissive_policy', 'error', p.relid::regclass::text, format('The permissive policy %I, which is not tenancy''s, allows within the org what no role grants.', o.polname),
		format('DROP POLICY %I ON %s', o.polname, p.relid::regclass)
	FROM tenancy.doctor_protected p JOIN pg_policy o ON o.polrelid = p.relid AND o.polpermissive
	WHERE o.polname NOT IN (SELECT w.policy FROM tenancy.protection_policies('', '') w)
$$;
COMMENT ON FUNCTION tenancy.doctor_open_tables() IS 'Internal: checks of doctor() on tables that somebody left open.';

-- A guard looks at new tables alone, and a restore passes it by.
CREATE FUNCTION tenancy.doctor_guards()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'guarded_table_unprotected', 'error', c.oid::regclass::text, format('Schema %I is guarded, and the table is neither protected nor declared shared.', n.nspname),
		tenancy.doctor_protect_statement(c.oid, NULL, NULL)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN tenancy.guarded_schemas g ON g.schema_name = n.nspname
	WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND NOT tenancy.is_shared(c.oid)
		AND c.oid NOT IN (SELECT p.relid FROM tenancy.doctor_protected p)
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		-- One with an org column is unprotected_table already, a child of a protected one open_inheritance_child.
		AND c.oid::regclass::text NOT IN (SELECT o.object FROM tenancy.doctor_open_tables() o)
	UNION ALL
	SELECT 'guard_disabled', 'error', quote_ident(t.evtname), 'The event trigger of guarded schemas is disabled, so new tables are not guarded.', format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', t.evtname)
	FROM pg_event_trigger t WHERE t.evtfoid = 'tenancy.guard_new_tables()'::regprocedure AND t.evtenabled <> 'A' AND EXISTS (SELECT FROM tenancy.guarded_schemas)
	UNION ALL
	-- Its tables have no guard under the new name, and another schema of the old one would have.
	SELECT 'guarded_schema_missing', 'warning', quote_ident(g.schema_name), 'A guarded schema was dropped or renamed.', format('SELECT tenancy.unguard_schema(%L)', g.schema_name)
	FROM tenancy.guarded_schemas g WHERE g.schema_name NOT IN (SELECT n.nspname FROM pg_namespace n)
$$;
COMMENT ON FUNCTION tenancy.doctor_guards() IS 'Internal: checks of doctor() on guarded schemas.';

-- Keys are checked across all orgs, so an error tells that another org has a value. A new key of a partitioned table is made at its
-- root. One that others refer to is theirs to change first.
CREATE FUNCTION tenancy.doctor_keys()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off AS $$
	WITH protected AS MATERIALIZED (SELECT p.relid, p.org_column FROM tenancy.protections p WHERE p.org_column IS NOT NULL)
	-- Values that the database draws tell nothing: a uuid, an identity, a sequence.
	SELECT 'unique_across_orgs', 'notice', u.name::text, format('It is unique across all orgs in %s: an error tells that another org has a value.', u.relid::regclass),
		CASE WHEN u.conname IS NOT NULL THEN format('ALTER TABLE %s DROP CONSTRAINT %I; ALTER TABLE %1$s ADD CONSTRAINT %2$I %3$s', u.relid::regclass, u.conname,
				regexp_replace(u.condef, '\(', format('(%s, ', replace(quote_ident(u.org_column), '\', '\\'))))
			ELSE format('DROP INDEX %s; %s', u.name, u.prefix || format('%I, ', u.org_column) || substr(u.def, length(u.prefix) + 1)) END
	FROM (SELECT p.relid, p.org_column, i.indexrelid::regclass AS name, k.conname, pg_get_constraintdef(k.oid) AS condef, pg_get_indexdef(i.indexrelid) AS def,
			format('CREATE UNIQUE INDEX %I ON %s%s USING btree (', c.relname, CASE WHEN c.relkind = 'I' THEN 'ONLY ' ELSE '' END, p.relid::regclass) AS prefix
		FROM protected p JOIN pg_index i ON i.indrelid = p.relid AND i.indisunique JOIN pg_class c ON c.oid = i.indexrelid
		LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
		WHERE NOT c.relispartition
			AND NOT EXISTS (SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) n JOIN pg_attribute a ON a.attrelid = p.relid AND a.attnum = n
				LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
				WHERE a.attname = p.org_column OR a.attidentity <> '' OR a.atttypid = 'uuid'::regtype OR pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\(')
			AND NOT EXISTS (SELECT FROM pg_constraint r WHERE r.contype = 'f' AND r.conindid = i.indexrelid)) u
	UNION ALL
	-- So are exclusion constraints. gist compares uuids by an extension.
	SELECT 'exclusion_across_orgs', 'notice', format('%s.%I', p.relid::regclass, k.conname), 'It excludes rows across all orgs: an error tells that another org has such a row.',
		concat(CASE WHEN m.amname = 'gist' AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'btree_gist') THEN 'CREATE EXTENSION btree_gist; ' END,
			format('ALTER TABLE %s DROP CONSTRAINT %I; ALTER TABLE %1$s ADD CONSTRAINT %2$I %3$s', p.relid::regclass, k.conname,
				regexp_replace(pg_get_constraintdef(k.oid), '\(', format('(%s WITH =, ', replace(quote_ident(p.org_column), '\', '\\')))))
	FROM protected p JOIN pg_constraint k ON k.conrelid = p.relid AND k.contype = 'x' AND k.conparentid = 0
	JOIN pg_class c ON c.oid = k.conindid JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('gist', 'btree')
	WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p.relid AND a.attname = p.org_column AND a.attnum = ANY (k.conkey))
	UNION ALL
	-- One row that many orgs refer to takes theirs along.
	SELECT 'cascade_across_orgs', 'warning', r.oid::regclass::text, format('%s has %s on it, and with a row of it rows of every org in %s are %s.', tenancy.doctor_grantee(g.grantee), g.privilege_type, p.relid::regclass,
			CASE WHEN g.privilege_type = 'DELETE' AND k.confdeltype = 'c' THEN 'deleted' ELSE 'changed' END),
		format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', r.oid::regclass, tenancy.doctor_grantee(g.grantee))
	FROM protected p JOIN pg_constraint k ON k.conrelid = p.relid AND k.contype = 'f' AND k.conparentid = 0
	JOIN pg_class r ON r.oid = k.confrelid AND NOT r.relrowsecurity AND r.relnamespace <> 'tenancy'::regnamespace
	JOIN tenancy.doctor_grants g ON g.relid = r.oid AND (g.grantee = 0 OR g.grantee IN (SELECT a.acts_as FROM tenancy.doctor_applications a))
	WHERE g.privilege_type = 'DELETE' AND k.confdeltype IN ('c', 'n', 'd')
		OR g.privilege_type = 'UPDATE' AND k.confupdtype IN ('c', 'n', 'd')
			AND (g.column_name IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attname = g.column_name AND a.attnum = ANY (k.confkey)))
	UNION ALL
	-- A row may refer to another org's, which tells that it is there, and lets ON DELETE reach across.
	SELECT 'foreign_key_across_orgs', 'warning', format('%s.%I', f.relid::regclass, f.conname), format('It lets a row refer to a row of another org in %s, and tells whether that exists.', f.ref),
		CASE WHEN NOT f.has_key THEN format('ALTER TABLE %s ADD UNIQUE (%I, %s); ', f.ref, f.ref_column, f.ref_columns) ELSE '' END
		|| format('ALTER TABLE %s DROP CONSTRAINT %I; ALTER TABLE %1$s ADD CONSTRAINT %2$I FOREIGN KEY (%3$I, %4$s) REFERENCES %5$s (%6$I, %7$s)%8$s',
			f.relid::regclass, f.conname, f.org_column, f.columns, f.ref, f.ref_column, f.ref_columns,
			regexp_replace(substr(f.def, length(f.prefix) + 1), 'ON DELETE SET (NULL|DEFAULT)(?! \()', format('ON DELETE SET \1 (%s)', replace(f.columns, '\', '\\'))))
	FROM (SELECT p.relid, p.org_column, k.conname, k.confrelid::regclass AS ref, r.org_column AS ref_column, n.columns, n.ref_columns, pg_get_constraintdef(k.oid) AS def,
			format('FOREIGN KEY (%s) REFERENCES %s(%s)', n.columns, k.confrelid::regclass, n.ref_columns) AS prefix,
			EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attname = r.org_column
				WHERE i.indrelid = k.confrelid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality(k.confkey) + 1
					AND (i.indkey::int2[])[0:i.indnkeyatts - 1] @> (k.confkey || a.attnum)) AS has_key
		FROM protected p JOIN pg_constraint k ON k.conrelid = p.relid AND k.contype = 'f' AND k.conparentid = 0
		JOIN protected r ON r.relid = k.confrelid
		CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.i) AS columns, string_agg(quote_ident(b.attname), ', ' ORDER BY x.i) AS ref_columns,
				bool_or(a.attname = p.org_column AND b.attname = r.org_column) AS within
			FROM unnest(k.conkey, k.confkey) WITH ORDINALITY x (key, ref, i)
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.key JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.ref) n
		WHERE NOT n.within) f
$$;
COMMENT ON FUNCTION tenancy.doctor_keys() IS 'Internal: checks of doctor() on keys that tell one org of another.';

-- What is granted on a protected table, or hangs on it.
CREATE FUNCTION tenancy.doctor_attachments()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- No row security applies to these.
	SELECT 'table_privilege', k.severity, p.relid::regclass::text, format('%s has %s on it: %s.', tenancy.doctor_grantee(g.grantee), g.privilege_type, k.why),
		format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', p.relid::regclass, tenancy.doctor_grantee(g.grantee))
	FROM tenancy.doctor_protected p JOIN tenancy.doctor_grants g USING (relid)
	JOIN (VALUES
		('TRUNCATE', 'error', 'it empties the table for every org'),
		('TRIGGER', 'error', 'a trigger of its own would run with the rights of whoever writes, in every org'),
		('REFERENCES', 'warning', 'a foreign key of its own would tell which keys every org has'),
		('MAINTAIN', 'warning', 'a lock that it takes stops every org'))
		AS k (privilege, severity, why) ON k.privilege = g.privilege_type
	WHERE g.grantee = 0 OR g.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r)
	UNION ALL
	-- As GRANT ALL in default privileges gives them on each table to come.
	SELECT 'default_privilege', 'warning', d.defaclrole::regrole || coalesce(' in ' || quote_ident(n.nspname), ''),
		format('%s will have %s on each new table.', tenancy.doctor_grantee(a.grantee), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
		format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE %s ON TABLES FROM %s', d.defaclrole::regrole, ' IN SCHEMA ' || quote_ident(n.nspname),
			string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), tenancy.doctor_grantee(a.grantee))
	FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
	WHERE d.defaclobjtype = 'r' AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN') AND a.grantee <> d.defaclrole
		AND (a.grantee = 0 OR a.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r))
	GROUP BY d.defaclrole, n.nspname, a.grantee
	UNION ALL
	-- Whoever owns the function can rewrite it, and it runs as each role that writes the table.
	SELECT 'foreign_trigger_function', 'warning', t.tgfoid::regprocedure::text, format('Trigger %I on %s runs it with the rights of whoever writes there, and it belongs to another role, %s.',
			t.tgname, p.relid::regclass, f.proowner::regrole),
		format('ALTER FUNCTION %s OWNER TO %s', t.tgfoid::regprocedure, p.relowner::regrole)
	FROM tenancy.doctor_protected p JOIN pg_trigger t ON t.tgrelid = p.relid AND NOT t.tgisinternal AND t.tgparentid = 0 JOIN pg_proc f ON f.oid = t.tgfoid
	WHERE f.proowner <> p.relowner AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = f.proowner AND r.rolsuper)
	UNION ALL
	-- What a rule puts in a statement's place is checked with the rights of the table's owner.
	SELECT 'rule_on_protected_table', 'warning', p.relid::regclass::text, format('Rule %I puts other statements in the place of what is written to it, with the owner''s rights.', r.rulename),
		format('DROP RULE %I ON %s', r.rulename, p.relid::regclass)
	FROM tenancy.doctor_protected p JOIN pg_rewrite r ON r.ev_class = p.relid AND r.ev_type <> '1'
	UNION ALL
	-- As DISABLE TRIGGER ALL leaves it: rows of no org, or of a parent that is gone.
	SELECT 'foreign_key_disabled', 'warning', p.relid::regclass::text, 'Triggers of its foreign keys are disabled: they are not enforced.',
		string_agg(format('ALTER TABLE %s ENABLE TRIGGER %I', p.relid::regclass, t.tgname), '; ' ORDER BY t.tgname)
	FROM tenancy.doctor_protected p JOIN pg_trigger t ON t.tgrelid = p.relid AND t.tgisinternal AND t.tgenabled = 'D' GROUP BY p.relid
$$;
COMMENT ON FUNCTION tenancy.doctor_attachments() IS 'Internal: checks of doctor() on privileges, triggers and rules of protected tables.';

-- ---------------------------------------------------------------------------------------------
-- Ways around row security
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.doctor_views()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH reads AS MATERIALIZED (SELECT r.* FROM tenancy.doctor_readers r),
	-- Somebody who is subject to row security may use it. An application: directly, or through another view, of whose owner.
	exposed AS (
		SELECT r.relid, CASE WHEN bool_or(g.grantee = 0 OR g.grantee IN (SELECT a.acts_as FROM tenancy.doctor_applications a)
				OR g.grantee IN (SELECT o.relowner FROM reads o)) THEN 'error' ELSE 'notice' END AS severity,
			string_agg(DISTINCT format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', r.relid::regclass, tenancy.doctor_grantee(g.grantee)), '; ') AS revoke
		FROM reads r JOIN tenancy.doctor_grants g ON g.relid = r.relid
		WHERE g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND g.grantee NOT IN (SELECT e.role FROM tenancy.doctor_exempt_roles e)
		GROUP BY r.relid)
	-- It reads with its owner's rights. Of an owner who is subject to row security the policies hold, as they ask for the session's org.
	SELECT 'view_bypasses_row_security', e.severity, e.relid::regclass::text, format('It reads protected tables with the rights of %s, to whom row security does not apply.', c.relowner::regrole),
		format('ALTER VIEW %s SET (security_invoker = true)', e.relid::regclass)
	FROM exposed e JOIN reads c ON c.relid = e.relid AND c.relkind = 'v' AND NOT c.invokes
	WHERE c.relowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x)
		AND EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
			JOIN reads r ON r.relid = d.refobjid AND NOT r.invokes WHERE w.ev_class = e.relid AND w.ev_type = '1')
	UNION ALL
	-- It has no policies, and holds what its owner saw.
	SELECT 'materialized_view_readable', e.severity, e.relid::regclass::text, 'It holds rows of protected tables, and row security does not cover it.', e.revoke
	FROM exposed e JOIN reads c ON c.relid = e.relid AND c.relkind = 'm'
	UNION ALL
	-- What a rule does, it does with the rights of the owner of what it is on, security_invoker or not.
	SELECT 'rule_bypasses_row_security', CASE WHEN bool_or(g.grantee = 0 OR g.grantee IN (SELECT a.acts_as FROM tenancy.doctor_applications a)) THEN 'error' ELSE 'notice' END,
		c.oid::regclass::text, format('Rule %I reaches protected tables with the rights of %s, to whom row security does not apply.', w.rulename, c.relowner::regrole),
		format('DROP RULE %I ON %s', w.rulename, c.oid::regclass)
	FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN tenancy.doctor_grants g ON g.relid = c.oid
	WHERE w.ev_type <> '1' AND c.relowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x) AND c.oid NOT IN (SELECT p.relid FROM tenancy.doctor_protected p)
		AND g.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') AND g.grantee NOT IN (SELECT x.role FROM tenancy.doctor_exempt_roles x)
		AND EXISTS (SELECT FROM pg_depend d JOIN reads r ON r.relid = d.refobjid AND NOT r.invokes
			WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class)
	GROUP BY c.oid, c.relowner, w.rulename
$$;
COMMENT ON FUNCTION tenancy.doctor_views() IS 'Internal: checks of doctor() on views and materialized views.';

CREATE FUNCTION tenancy.doctor_functions()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- A body is text, so its words are compared. What it puts together at run time is not found. strpos() is the quicker look before. A
	-- trigger does what it does, and no more: most are on purpose.
	SELECT 'definer_function', CASE WHEN f.is_trigger THEN 'notice' ELSE 'warning' END, f.funcid::regprocedure::text,
		format('It names protected tables, or views of them, and runs with the rights of %s, to whom row security does not apply.', f.proowner::regrole),
		format('ALTER ROUTINE %s SECURITY INVOKER', f.funcid::regprocedure)
	FROM tenancy.doctor_callable f
	WHERE f.prosecdef AND f.proowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x)
		AND EXISTS (SELECT FROM tenancy.doctor_readers c
			WHERE strpos(f.prosrc, c.relname) > 0 AND f.prosrc ~ format('(^|\W)%s(\W|$)', regexp_replace(c.relname, '(\W)', '\\\1', 'g'))
				OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.funcid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.relid))
	UNION ALL
	-- What it calls without a schema can be somebody else's, found first in the caller's path; a table, also in pg_temp, which comes first
	-- unless it is named. An empty path makes it name all schemas.
	SELECT 'definer_search_path', 'warning', f.funcid::regprocedure::text,
		CASE WHEN c.path IS NULL
			THEN format('It runs with the rights of %s and the caller''s search_path, so a caller can put functions of their own in place of those it means.', f.proowner::regrole)
			ELSE format('It runs with the rights of %s and a search_path without pg_temp at its end, so a caller can put temporary tables, with triggers, in place of those it means.', f.proowner::regrole) END,
		format('ALTER ROUTINE %s SET search_path = %s, pg_temp', f.funcid::regprocedure, coalesce(c.path, 'pg_catalog, ' || quote_ident(n.nspname)))
	FROM tenancy.doctor_callable f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
	LEFT JOIN LATERAL (SELECT substr(s, length('search_path=') + 1) AS path FROM unnest(f.proconfig) s WHERE s LIKE 'search\_path=%') c ON true
	WHERE f.prosecdef AND l.lanname NOT IN ('c', 'internal')
		AND (f.proowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x) OR f.proowner IN (SELECT p.relowner FROM tenancy.doctor_protected p))
		AND coalesce(c.path !~ '(^|[ ,"])pg_temp($|[ ,"])' AND c.path <> '""', true)
	UNION ALL
	-- PostgreSQL calls it with hidden rows before the policies decide; an error or a NOTICE tells of them.
	SELECT 'leakproof_function', 'warning', p.oid::regprocedure::text, 'It is marked leakproof by hand, so row security lets it see the rows of other orgs.',
		format('ALTER FUNCTION %s NOT LEAKPROOF', p.oid::regprocedure)
	FROM pg_proc p
	WHERE p.proleakproof AND p.oid >= 16384
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
	UNION ALL
	-- A dump has no marks on PostgreSQL's own functions: after a restore or pg_upgrade searches are slow.
	SELECT 'pushdown_undone', 'warning', s.serves, format('allow_pushdown() marked functions that are not leakproof any more, after a restore or an upgrade: %s.', string_agg(s.function, ', ' ORDER BY s.function COLLATE "C")),
		format('SELECT tenancy.allow_pushdown(%L)', ARRAY[s.serves])
	FROM tenancy.pushdown_status() s WHERE s.allowed AND NOT s.leakproof GROUP BY s.serves
$$;
COMMENT ON FUNCTION tenancy.doctor_functions() IS 'Internal: checks of doctor() on functions.';

-- A subscriber gets the rows of every org. That may be its purpose.
CREATE FUNCTION tenancy.doctor_publications()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'published_unfiltered', 'notice', quote_ident(p.pubname), 'It publishes all tables: a subscriber gets the rows of every org.', format('DROP PUBLICATION %I', p.pubname)
	FROM pg_publication p WHERE p.puballtables AND EXISTS (SELECT FROM tenancy.doctor_protected)
	UNION ALL
	SELECT 'published_unfiltered', 'notice', quote_ident(p.pubname), format('It publishes protected tables without a row filter, so a subscriber gets the rows of every org: %s.', string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid)),
		format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid))
	FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prqual IS NULL JOIN tenancy.doctor_protected t ON t.relid = r.prrelid
	GROUP BY p.oid, p.pubname
	UNION ALL
	SELECT 'published_unfiltered', 'notice', quote_ident(p.pubname), format('It publishes all tables of schema %I, protected ones among them: a subscriber gets the rows of every org.', n.nspname),
		format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I', p.pubname, n.nspname)
	FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid JOIN pg_namespace n ON n.oid = s.pnnspid
	WHERE EXISTS (SELECT FROM tenancy.doctor_protected t JOIN pg_class c ON c.oid = t.relid WHERE c.relnamespace = n.oid)
$$;
COMMENT ON FUNCTION tenancy.doctor_publications() IS 'Internal: checks of doctor() on publications.';

-- ---------------------------------------------------------------------------------------------
-- Roles and settings
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.doctor_roles()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- grant_access() refuses the first two; ALTER ROLE afterwards does not ask it.
	SELECT k.check_id, 'error', r.oid::regrole::text, format('An application uses this role, and it %s.', k.why), format('ALTER ROLE %s %s', r.oid::regrole, k.attribute)
	FROM pg_roles r
	CROSS JOIN LATERAL (VALUES
		('application_is_superuser', r.rolsuper, 'is a superuser: no row security applies to it', 'NOSUPERUSER'),
		('application_bypasses_row_security', r.rolbypassrls, 'has BYPASSRLS: no row security applies to it', 'NOBYPASSRLS'),
		('application_creates_roles', r.rolcreaterole, 'has CREATEROLE: it can make itself a member of other roles', 'NOCREATEROLE'),
		('application_replicates', r.rolreplication, 'has REPLICATION: it can read the rows of every org from the write-ahead log', 'NOREPLICATION'))
		AS k (check_id, applies, why, attribute)
	WHERE k.applies AND r.oid IN (SELECT a.role FROM tenancy.doctor_applications a)
	UNION ALL
	-- An owner is subject to the policies, but can drop them.
	SELECT 'application_owns_table', 'error', p.relid::regclass::text, format('It belongs to %s, which an application uses and which can therefore drop its policies.', p.relowner::regrole),
		format('ALTER TABLE %s OWNER TO %s', p.relid::regclass, e.extowner::regrole)
	FROM tenancy.doctor_protected p, pg_extension e
	WHERE e.extname = 'tenancy' AND p.relowner IN (SELECT a.role FROM tenancy.doctor_applications a)
	UNION ALL
	-- Whoever owns the schema can drop what is in it, and put something else there; pg_database_owner is the owner of public.
	SELECT 'application_owns_schema', 'error', quote_ident(n.nspname), format('Protected tables are in it, and it belongs to %s, which an application can act as.', n.nspowner::regrole),
		format('ALTER SCHEMA %I OWNER TO %s', n.nspname, e.extowner::regrole)
	FROM pg_namespace n, pg_extension e
	WHERE e.extname = 'tenancy' AND n.nspowner IN (SELECT a.acts_as FROM tenancy.doctor_applications a)
		AND n.oid IN (SELECT c.relnamespace FROM tenancy.doctor_protected p JOIN pg_class c ON c.oid = p.relid)
	UNION ALL
	SELECT 'application_owns_database', 'error', quote_ident(d.datname), format('It belongs to %s, which an application can act as.', d.datdba::regrole),
		format('ALTER DATABASE %I OWNER TO %s', d.datname, e.extowner::regrole)
	FROM pg_database d, pg_extension e
	WHERE e.extname = 'tenancy' AND d.datname = current_database() AND d.datdba IN (SELECT a.acts_as FROM tenancy.doctor_applications a)
	UNION ALL
	-- An application's role may be a group of those that log in. That of an administrator may be a member without any application using it.
	SELECT 'application_by_membership', 'warning', r.oid::regrole::text, format('It has all that %s may, so that an application could use it, and it %s.', m.application::regrole, concat_ws(' and ',
			CASE WHEN r.rolsuper THEN 'is a superuser' WHEN r.rolbypassrls THEN 'has BYPASSRLS' END, CASE WHEN o.owns THEN 'owns protected tables' END)),
		string_agg(format('REVOKE %s FROM %s', m.roleid::regrole, r.oid::regrole), '; ')
	FROM (WITH RECURSIVE inheritor AS (
			SELECT DISTINCT a.role AS application, a.role AS roleid, a.role AS member FROM tenancy.doctor_applications a
			UNION
			SELECT i.application, m.roleid, m.member FROM inheritor i JOIN pg_auth_members m ON m.roleid = i.member JOIN pg_roles r ON r.oid = m.member
			-- From PostgreSQL 16 on it is a matter of each membership.
			WHERE coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit))
		SELECT * FROM inheritor) m
	JOIN pg_roles r ON r.oid = m.member AND r.rolcanlogin
	CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM tenancy.doctor_protected p WHERE p.relowner = r.oid) AS owns) o
	WHERE m.member <> m.roleid AND (r.rolsuper OR r.rolbypassrls OR o.owns) AND r.oid NOT IN (SELECT a.role FROM tenancy.doctor_applications a)
	GROUP BY r.oid, m.application, r.rolsuper, r.rolbypassrls, o.owns
	UNION ALL
	-- Also without INHERIT: SET ROLE is enough. What PostgreSQL's own roles are members of (below 16384) comes with those.
	SELECT DISTINCT 'application_is_member', k.severity, m.member::regrole::text, format('An application that uses it can act as %s, which %s.', m.roleid::regrole, k.why), format('REVOKE %s FROM %s', m.roleid::regrole, m.member::regrole)
	FROM tenancy.doctor_applications a JOIN pg_auth_members m ON m.member = a.acts_as AND m.member >= 16384 JOIN pg_roles r ON r.oid = m.roleid
	CROSS JOIN LATERAL (SELECT v.severity, v.why FROM (VALUES
		(1, r.rolsuper, 'error', 'is a superuser'),
		(2, r.rolbypassrls, 'error', 'has BYPASSRLS'),
		(3, r.rolcreaterole, 'error', 'has CREATEROLE'),
		(4, r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'), 'error', 'reaches the server''s files, all tables among them'),
		(5, r.oid IN (SELECT e.extowner FROM pg_extension e WHERE e.extname = 'tenancy'), 'error', 'owns the extension'),
		(6, r.oid IN (SELECT p.relowner FROM tenancy.doctor_protected p), 'error', 'owns protected tables and can drop their policies'),
		(7, r.rolname IN ('pg_read_all_data', 'pg_write_all_data'), 'warning', 'reaches all tables and views, those without row security too'),
		(8, r.rolname = 'pg_maintain', 'warning', 'can lock all tables, which stops every org'),
		(9, r.rolname IN ('pg_monitor', 'pg_read_all_stats'), 'warning', 'sees what other sessions run, and statistics of every org'))
		AS v (rank, applies, severity, why) WHERE v.applies ORDER BY v.rank LIMIT 1) k
	UNION ALL
	-- pg_db_role_setting can be read by everybody.
	SELECT k.check_id, k.severity, coalesce(r.rolname::regrole::text, 'all roles') || coalesce(' in database ' || quote_ident(d.datname), ''), k.problem,
		CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN format('ALTER DATABASE %I RESET %s', d.datname, k.setting)
			ELSE format('ALTER ROLE %s%s RESET %s', coalesce(r.oid::regrole::text, 'ALL'), ' IN DATABASE ' || quote_ident(d.datname), k.setting) END
	FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
	JOIN (VALUES
		('stored_token', 'error', 'tenancy.session_token', 'A session token is stored in the catalog, where everybody can read it.'),
		('stored_cross_org', 'warning', 'tenancy.cross_org', 'tenancy.cross_org is stored: every session of a superadmin reads across orgs without having asked for it.'))
		AS k (check_id, severity, setting, problem) ON lower(split_part(c, '=', 1)) = k.setting
	LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
$$;
COMMENT ON FUNCTION tenancy.doctor_roles() IS 'Internal: checks of doctor() on the roles that applications use, and stored settings.';

-- Of interest as soon as an application has access. Some come with no dump: the database's settings.
CREATE FUNCTION tenancy.doctor_server()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH stored AS (
		SELECT s.setrole, s.setdatabase, substr(c, strpos(c, '=') + 1) AS libraries FROM pg_db_role_setting s, unnest(s.setconfig) c
		WHERE split_part(c, '=', 1) = 'session_preload_libraries'),
	here AS (
		SELECT d.oid, d.datname, s.libraries AS stored, coalesce(s.libraries, current_setting('session_preload_libraries')) AS libraries
		FROM pg_database d LEFT JOIN stored s ON s.setdatabase = d.oid AND s.setrole = 0 WHERE d.datname = current_database()),
	preloaded AS (
		SELECT a.role FROM tenancy.doctor_applications a, here h
		WHERE concat_ws(',', current_setting('shared_preload_libraries'),
				coalesce((SELECT s.libraries FROM stored s WHERE s.setrole = a.role AND s.setdatabase IN (0, h.oid) ORDER BY s.setdatabase DESC LIMIT 1), h.libraries))
			~ '(^|[,/ "])tenancy($|[, "])')
	-- Until the library is there, nothing hides a token in the first statement of a connection.
	SELECT 'library_not_preloaded', 'notice', quote_ident(h.datname), 'The library is not loaded when a connection starts: its first statement is logged with the token in it.',
		-- What is stored is quoted already.
		format('ALTER DATABASE %I SET session_preload_libraries = %s', h.datname, concat_ws(', ',
			nullif(coalesce(h.stored, (SELECT string_agg(quote_literal(trim(l, ' "')), ', ') FROM string_to_array(h.libraries, ',') a, unnest(a) l)), ''), 'tenancy'))
	FROM here h WHERE EXISTS (SELECT FROM tenancy.doctor_applications a WHERE a.role NOT IN (SELECT p.role FROM preloaded p))
	UNION ALL
	-- They count what was fetched before the policies hid it.
	SELECT 'statistics_readable', 'notice', 'pg_catalog', 'Everybody may read the statistics of all tables, which count rows of every org.',
		'SELECT tenancy.close_statistics()'
	WHERE EXISTS (SELECT FROM tenancy.doctor_applications)
		AND EXISTS (SELECT FROM tenancy.statistics_functions() s (f) JOIN pg_proc p ON p.oid = s.f, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
	UNION ALL
	SELECT 'extension_outdated', 'warning', 'tenancy', format('The database has version %s of the extension, the server %s.', e.extversion, v.default_version), 'ALTER EXTENSION tenancy UPDATE'
	FROM pg_extension e JOIN pg_available_extensions v ON v.name = e.extname WHERE e.extname = 'tenancy' AND e.extversion <> v.default_version
$$;
COMMENT ON FUNCTION tenancy.doctor_server() IS 'Internal: checks of doctor() on the server and the database.';

-- ---------------------------------------------------------------------------------------------
-- Tenancy's own objects
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.doctor_privileges()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH asked (funcid, declaration, symbol, is_strict, support) AS (VALUES
		('tenancy.current_org()'::regprocedure, 'tenancy.current_org()', 'tenancy_current_org', false, NULL),
		('tenancy.current_org_if(text, text)'::regprocedure, 'tenancy.current_org_if(action text, resource_type text)', 'tenancy_current_org_if', true, NULL),
		('tenancy.require_org(text, text)'::regprocedure, 'tenancy.require_org(action text, resource_type text)', 'tenancy_require_org', false, NULL),
		('tenancy.cross_org_active()'::regprocedure, 'tenancy.cross_org_active()', 'tenancy_cross_org_active', false, 'tenancy.cross_org_support'))
	-- Whoever writes these tables decides who may do what; whoever reads them reads secrets.
	SELECT 'catalog_privilege', 'error', c.oid::regclass::text, format('%s has %s on it.', tenancy.doctor_grantee(g.grantee), g.privilege_type || coalesce(' (' || quote_ident(g.column_name) || ')', '')),
		format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', c.oid::regclass, tenancy.doctor_grantee(g.grantee))
	FROM tenancy.doctor_grants g JOIN pg_class c ON c.oid = g.relid
	WHERE c.relnamespace = 'tenancy'::regnamespace
		AND (g.grantee = 0 OR NOT (
			g.privilege_type = 'SELECT' AND g.column_name IS NULL AND c.oid IN (SELECT tenancy.application_relations())
			OR c.oid = 'tenancy.resource_types'::regclass AND g.privilege_type = 'INSERT' AND g.column_name IN ('name', 'actions')
			-- protect() needs it where the extension's owner is no superuser.
			OR c.oid = 'tenancy.organizations'::regclass AND g.privilege_type = 'REFERENCES' AND g.column_name = 'id'))
	UNION ALL
	-- Internal functions trust their caller.
	SELECT 'function_privilege', 'error', p.oid::regprocedure::text, format('%s may execute it.', tenancy.doctor_grantee(a.grantee)),
		format('REVOKE EXECUTE ON FUNCTION %s FROM %s', p.oid::regprocedure, tenancy.doctor_grantee(a.grantee))
	FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
	WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee <> p.proowner
		AND NOT (a.grantee <> 0 AND (p.oid IN (SELECT tenancy.application_functions()) OR p.oid = 'tenancy.sync_without_token()'::regprocedure))
		-- allow_pushdown() gives PUBLIC what stands in for an operator.
		AND NOT (p.proleakproof AND p.oid IN (SELECT l.function FROM tenancy.pushdown_list() l))
	UNION ALL
	-- Whoever may create there can put an object of theirs in front of ours.
	SELECT 'schema_privilege', 'error', 'tenancy', format('%s has %s on the schema.', tenancy.doctor_grantee(a.grantee), a.privilege_type),
		format('REVOKE %s ON SCHEMA tenancy FROM %s', a.privilege_type, tenancy.doctor_grantee(a.grantee))
	FROM pg_namespace n, aclexplode(n.nspacl) a
	WHERE n.nspname = 'tenancy' AND a.grantee <> n.nspowner AND (a.privilege_type = 'CREATE' OR a.grantee = 0)
	UNION ALL
	-- An owner can replace what they own.
	SELECT 'catalog_owner', 'error', o.identity, format('It belongs to %s, and the extension to %s.', o.owner::regrole, e.extowner::regrole), format('ALTER %s %s OWNER TO %s', o.kind, o.identity, e.extowner::regrole)
	FROM pg_extension e, (
		SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner FROM pg_class c
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
		UNION ALL
		SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
		UNION ALL
		SELECT 'SCHEMA', 'tenancy', n.nspowner FROM pg_namespace n WHERE n.nspname = 'tenancy') o (kind, identity, owner)
	WHERE e.extname = 'tenancy' AND o.owner <> e.extowner
	UNION ALL
	-- What all policies ask. One that is IMMUTABLE, say, would be asked once for all users of a plan.
	SELECT 'function_replaced', 'error', p.oid::regprocedure::text, 'The policies ask it, and it is not as it was made.',
		format('CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE c STABLE%s PARALLEL SAFE%s AS %L, %L', f.declaration, format_type(p.prorettype, NULL),
			CASE WHEN f.is_strict THEN ' STRICT' ELSE '' END, ' SUPPORT ' || f.support::text, '$libdir/tenancy', f.symbol)
	FROM asked f JOIN pg_proc p ON p.oid = f.funcid JOIN pg_language l ON l.oid = p.prolang
	WHERE (l.lanname, p.prosrc, p.provolatile, p.proisstrict, p.prosecdef, p.proleakproof, p.prosupport)
		IS DISTINCT FROM ('c', f.symbol, 's'::"char", f.is_strict, false, false, coalesce(f.support, '-')::regproc) OR p.probin !~ 'tenancy' OR p.proconfig IS NOT NULL
	UNION ALL
	-- Without it the names in them mean what the caller's search_path says.
	SELECT 'function_search_path', 'error', p.oid::regprocedure::text, 'It runs with the rights of its owner, and its search_path is not what it was made with.',
		format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', p.oid::regprocedure)
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef AND l.lanname <> 'c' AND p.oid NOT IN (SELECT f.funcid FROM asked f) AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
$$;
COMMENT ON FUNCTION tenancy.doctor_privileges() IS 'Internal: checks of doctor() on who may use tenancy''s own objects.';

CREATE FUNCTION tenancy.doctor_catalog()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- The second lock, behind the privileges.
	SELECT 'catalog_row_security', 'error', c.oid::regclass::text, 'Row security is off on a table of tenancy''s own.', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass)
	FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity
	UNION ALL
	SELECT 'catalog_policy', 'error', c.oid::regclass::text, format('Policy %I on a table of tenancy''s own is not tenancy''s.', p.polname), format('DROP POLICY %I ON %s', p.polname, c.oid::regclass)
	FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
	WHERE c.relnamespace = 'tenancy'::regnamespace AND NOT (c.relname = 'resource_types' AND p.polname IN ('users_read', 'superadmins_insert'))
	UNION ALL
	-- Without its signal a change, a revocation for instance, reaches no other connection.
	SELECT 'signal_missing', 'error', format('tenancy.%I', s.table_name), 'The trigger that tells other connections of a change is missing.', tenancy.signal_statements(s.table_name, s.kind)
	FROM tenancy.signalled_tables() s
	WHERE (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relname = s.table_name AND t.tgname IN ('signal_change', 'signal_replicated_change')) < 2
	UNION ALL
	-- A disabled one signals, checks or refuses nothing. Those that replication must not silence are ALWAYS, one is for it alone.
	SELECT 'catalog_trigger_disabled', 'error', c.oid::regclass::text, format('Trigger %I is disabled%s.', t.tgname, CASE WHEN t.tgenabled <> 'D' THEN ' in some sessions' ELSE '' END),
		format('ALTER TABLE %s ENABLE%s TRIGGER %I', c.oid::regclass, ' ' || w.sessions, t.tgname)
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	CROSS JOIN LATERAL (SELECT CASE WHEN t.tgname IN ('signal_change', 'append_only') THEN 'ALWAYS' WHEN t.tgname = 'signal_replicated_change' THEN 'REPLICA' END) w (sessions)
	WHERE c.relnamespace = 'tenancy'::regnamespace
		AND t.tgenabled <> ALL (CASE w.sessions WHEN 'ALWAYS' THEN '{A}' WHEN 'REPLICA' THEN '{R,A}' ELSE '{O,A}' END::"char"[])
	UNION ALL
	-- What CREATE EXTENSION brought, and a dump therefore does not carry.
	SELECT 'seed_missing', 'error', 'role ' || r.name, 'A built-in role is missing.', format('INSERT INTO tenancy.roles (id, name) VALUES (%L, %L)', r.id, r.name)
	FROM (VALUES
		('00000000-0000-4000-8000-000000000001'::uuid, 'admin'),
		('00000000-0000-4000-8000-000000000002', 'member'),
		('00000000-0000-4000-8000-000000000003', 'viewer')) r (id, name)
	WHERE r.id NOT IN (SELECT o.id FROM tenancy.roles o)
	UNION ALL
	-- One that revoke_permission() took back is still a row here.
	SELECT 'seed_missing', 'error', format('role admin: %s %s', a.action, t.name), 'A grant that admin was shipped with is missing: the admins of orgs cannot do that.',
		format('INSERT INTO tenancy.role_permissions (role_id, resource_type, action, shipped) VALUES (%L, %L, %L, true)', r.id, t.name, a.action)
	FROM tenancy.resource_types t CROSS JOIN unnest(t.actions) a (action) JOIN tenancy.roles r ON r.org_id IS NULL AND r.name = 'admin'
	WHERE t.shipped AND NOT EXISTS (SELECT FROM tenancy.role_permissions p WHERE p.role_id = r.id AND p.resource_type = t.name AND p.action = a.action)
$$;
COMMENT ON FUNCTION tenancy.doctor_catalog() IS 'Internal: checks of doctor() on whether tenancy''s own tables are as they were made.';

-- ---------------------------------------------------------------------------------------------
-- Whom tokens and tables let in
-- ---------------------------------------------------------------------------------------------

CREATE FUNCTION tenancy.doctor_trust()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- Nobody can sign in with it: forgotten, or its keys have gone.
	SELECT 'issuer_without_keys', 'warning', i.issuer, 'It is trusted and has no keys, so no token of it is accepted.', format('SELECT tenancy.distrust_issuer(%L)', i.issuer)
	FROM tenancy.issuers i WHERE i.trusted AND NOT EXISTS (SELECT FROM tenancy.signing_keys k WHERE k.issuer_id = i.id)
	UNION ALL
	SELECT 'key_unusable', 'error', i.issuer, format('Key %s cannot be used: %s.', coalesce(quote_literal(k.key_id), 'without an id'), j.problem), format('DELETE FROM tenancy.signing_keys WHERE id = %L', k.id)
	FROM tenancy.signing_keys k JOIN tenancy.issuers i ON i.id = k.issuer_id CROSS JOIN LATERAL tenancy.inspect_jwk(k.jwk) j
	WHERE j.problem IS NOT NULL
	UNION ALL
	-- Another application that the same issuer serves has tokens that are good here.
	SELECT 'issuer_without_audience', 'notice', i.issuer, 'Any audience and any authorized party is accepted: tokens that it signs for other applications are good here too.',
		format('UPDATE tenancy.issuers SET audiences = ARRAY[:''audience''] WHERE issuer = %L', i.issuer)
	FROM tenancy.issuers i WHERE i.trusted AND i.audiences IS NULL AND i.authorized_parties IS NULL
	UNION ALL
	-- What is fetched over http anybody on the way can replace, keys too.
	SELECT 'issuer_without_tls', 'warning', i.issuer, 'Its address is not https, so its keys can be replaced on the way.', format('SELECT tenancy.distrust_issuer(%L)', i.issuer)
	FROM tenancy.issuers i WHERE i.trusted AND i.issuer ~* '^http:' AND i.issuer !~* '^http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)'
	UNION ALL
	-- Whoever verifies can sign, and every dump holds the secret.
	SELECT 'shared_secret_key', 'notice', i.issuer, format('Key %s is a shared secret (%s): whoever can check a token can make one, and every dump has the secret in it.', coalesce(quote_literal(k.key_id), 'without an id'), k.algorithm),
		format('DELETE FROM tenancy.signing_keys WHERE id = %L', k.id)
	FROM tenancy.signing_keys k JOIN tenancy.issuers i ON i.id = k.issuer_id WHERE k.algorithm LIKE 'HS%'
$$;
COMMENT ON FUNCTION tenancy.doctor_trust() IS 'Internal: checks of doctor() on issuers and keys.';

CREATE VIEW tenancy.doctor_orgs_with_admin AS
	SELECT DISTINCT r.org_id FROM tenancy.membership_roles r
	JOIN tenancy.roles b ON b.id = r.role_id AND b.org_id IS NULL AND b.name = 'admin'
	JOIN tenancy.users u ON u.id = r.user_id AND u.status = 'active';
COMMENT ON VIEW tenancy.doctor_orgs_with_admin IS 'Internal: orgs that have an active admin.';

CREATE FUNCTION tenancy.doctor_people()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- Nobody can invite, or take somebody out. The member of longest standing is as good a guess as any.
	SELECT 'org_without_admin', 'warning', o.slug, 'It has members, and none of them is an active admin.',
		format('SET tenancy.org = %L; SELECT tenancy.set_member_roles(%L, %L); RESET tenancy.org', o.slug, m.user_id, ARRAY['admin'])
	FROM tenancy.organizations o CROSS JOIN LATERAL (
		SELECT m.user_id FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id AND u.status = 'active'
		WHERE m.org_id = o.id ORDER BY m.created_at, m.user_id LIMIT 1) m
	WHERE o.status <> 'archived' AND o.id NOT IN (SELECT a.org_id FROM tenancy.doctor_orgs_with_admin a)
	UNION ALL
	-- They are let in, and may do nothing.
	SELECT 'member_without_role', 'notice', format('%s in %s', coalesce(u.email, u.id::text), o.slug), 'The member has no role, and so may do nothing.',
		format('SET tenancy.org = %L; SELECT tenancy.set_member_roles(%L, %L); RESET tenancy.org', o.slug, u.id, ARRAY['viewer'])
	FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id AND u.status = 'active' JOIN tenancy.organizations o ON o.id = m.org_id AND o.status <> 'archived'
	WHERE NOT EXISTS (SELECT FROM tenancy.membership_roles r WHERE r.user_id = m.user_id AND r.org_id = m.org_id)
		AND m.org_id IN (SELECT a.org_id FROM tenancy.doctor_orgs_with_admin a)
$$;
COMMENT ON FUNCTION tenancy.doctor_people() IS 'Internal: checks of doctor() on orgs and members.';

-- The list is for superusers' eyes. Removing a superadmin does not take the address off it.
CREATE FUNCTION tenancy.doctor_superadmin_emails()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH listed AS (
		SELECT trim(e.address) AS address, e.i, count(u.id) > 0 AND count(s.user_id) = 0 AS is_fault
		FROM (SELECT coalesce(
				(SELECT substr(c, strpos(c, '=') + 1) FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
					WHERE s.setrole = 0 AND lower(split_part(c, '=', 1)) = 'tenancy.superadmin_emails'),
				current_setting('tenancy.superadmin_emails', true))) l (addresses)
		CROSS JOIN LATERAL unnest(string_to_array(l.addresses, ',')) WITH ORDINALITY e (address, i)
		LEFT JOIN tenancy.users u ON lower(u.email) = lower(trim(e.address))
		LEFT JOIN tenancy.superadmins s ON s.user_id = u.id
		GROUP BY e.address, e.i)
	SELECT 'superadmin_listed', 'notice', string_agg(l.address, ', ' ORDER BY l.i) FILTER (WHERE l.is_fault),
		'tenancy.superadmin_emails names a user who is no superadmin: one who is active and whose address is verified becomes one at the next sign-in.',
		format('ALTER DATABASE %I SET tenancy.superadmin_emails = %L', current_database(), coalesce(string_agg(l.address, ',' ORDER BY l.i) FILTER (WHERE NOT l.is_fault), ''))
	FROM listed l HAVING bool_or(l.is_fault)
$$;
COMMENT ON FUNCTION tenancy.doctor_superadmin_emails() IS 'Internal: the check of doctor() on the setting tenancy.superadmin_emails.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

-- A definer because tenancy's tables are its owner's. A superadmin runs the installation, and sees what is wrong with it; what
-- PostgreSQL shows superusers alone stays theirs. Compiling the checks takes longer than running them.
CREATE FUNCTION tenancy.doctor(OUT check_id text, OUT severity text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy.assert_administrator('examine the installation');
	RETURN QUERY
		SELECT f.* FROM (
			SELECT * FROM tenancy.doctor_protection()
			UNION ALL SELECT * FROM tenancy.doctor_open_tables()
			UNION ALL SELECT * FROM tenancy.doctor_guards()
			UNION ALL SELECT * FROM tenancy.doctor_keys()
			UNION ALL SELECT * FROM tenancy.doctor_attachments()
			UNION ALL SELECT * FROM tenancy.doctor_views()
			UNION ALL SELECT * FROM tenancy.doctor_functions()
			UNION ALL SELECT * FROM tenancy.doctor_publications()
			UNION ALL SELECT * FROM tenancy.doctor_roles()
			UNION ALL SELECT * FROM tenancy.doctor_server()
			UNION ALL SELECT * FROM tenancy.doctor_privileges()
			UNION ALL SELECT * FROM tenancy.doctor_catalog()
			UNION ALL SELECT * FROM tenancy.doctor_trust()
			UNION ALL SELECT * FROM tenancy.doctor_people()
			UNION ALL SELECT * FROM tenancy.doctor_superadmin_emails() WHERE NOT tenancy.is_superadmin()) f
		ORDER BY array_position('{error,warning,notice}', f.severity), f.check_id COLLATE "C", f.object COLLATE "C", f.problem COLLATE "C";
END
$$;
COMMENT ON FUNCTION tenancy.doctor() IS 'What leaves this database open: one row a finding, worst first, with the statements that mend it. None if all is well.';
-- verify_isolation(): tries, in every protected table, what must not be possible, and undoes it.
--
-- Why it exists: doctor() compares what is there with what should be. This asks PostgreSQL itself, as an application's role and with
-- tokens that go through all of tenancy, so that it also finds what nobody thought of looking for.
--
-- Invariants:
--   * For superusers. Everything happens in a subtransaction that is always rolled back: an issuer with a key that nobody knows, its
--     users, orgs and rows. Other connections never see them, and nothing of them can be used afterwards.
--   * No code of a table's owner runs with the superuser's rights: rows are made, found and compared as the owner, attempts are made as
--     the application's role. Neither can become anybody else. A table whose partitions bring code of other owners is not tried.
--   * An attempt is judged by what happened, not by what is defined. One that could not be made has not passed.
--   * The result says nothing of what is in a row.

CREATE FUNCTION tenancy.run_as_role(role regrole, target regclass, statement text)
RETURNS bigint LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_run_as_role';
COMMENT ON FUNCTION tenancy.run_as_role(regrole, regclass, text) IS 'Internal: runs a statement on a table as a role may, under the token in force; returns the number of rows. For superusers.';

CREATE FUNCTION tenancy.hmac_sha256(message bytea, secret bytea)
RETURNS bytea LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'tenancy_hmac_sha256';
COMMENT ON FUNCTION tenancy.hmac_sha256(bytea, bytea) IS 'Internal: HMAC with SHA-256.';

CREATE FUNCTION tenancy.isolation_base64url(value bytea)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT translate(encode(value, 'base64'), E'+/=\n', '-_')
$$;
COMMENT ON FUNCTION tenancy.isolation_base64url(bytea) IS 'Internal: as JSON Web Tokens are written.';

CREATE FUNCTION tenancy.isolation_token(secret bytea, issuer text, subject text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT signed.part || '.' || tenancy.isolation_base64url(tenancy.hmac_sha256(convert_to(signed.part, 'UTF8'), isolation_token.secret))
	FROM (SELECT floor(extract(epoch FROM statement_timestamp()))::bigint) clock (now)
	CROSS JOIN LATERAL (SELECT tenancy.isolation_base64url(convert_to('{"alg":"HS256"}', 'UTF8')) || '.'
		|| tenancy.isolation_base64url(convert_to(jsonb_build_object('iss', isolation_token.issuer, 'sub', isolation_token.subject,
			'iat', clock.now, 'exp', clock.now + 3600, 'auth_time', clock.now)::text, 'UTF8'))) signed (part)
$$;
COMMENT ON FUNCTION tenancy.isolation_token(bytea, text, text) IS 'Internal: a token of the issuer that verify_isolation() makes.';

-- ---------------------------------------------------------------------------------------------
-- Who tries: three users of an issuer of their own
-- ---------------------------------------------------------------------------------------------

-- Active, and nobody's yet.
CREATE FUNCTION tenancy.isolation_org()
RETURNS uuid LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO tenancy.organizations (slug, name) VALUES ('i' || replace(gen_random_uuid()::text, '-', ''), 'verify_isolation()') RETURNING id
$$;
COMMENT ON FUNCTION tenancy.isolation_org() IS 'Internal: makes an org for verify_isolation().';

-- A session is the name of a user, or "no token".
CREATE FUNCTION tenancy.isolation_sessions(OUT tokens jsonb, OUT users jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	issuer_name text := 'https://' || gen_random_uuid() || '.invalid';
	secret bytea := sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'));
	session_name text;
	new_id uuid;
BEGIN
	PERFORM tenancy.trust_issuer(issuer_name, jsonb_build_object('keys', jsonb_build_array(
		jsonb_build_object('kty', 'oct', 'alg', 'HS256', 'k', tenancy.isolation_base64url(secret)))), claims => '{"preset": "oidc"}');
	users := '{}';
	tokens := '{"no token": ""}';
	FOREACH session_name IN ARRAY '{another org,own org,no permission}'::text[] LOOP
		INSERT INTO tenancy.users (name) VALUES (session_name) RETURNING id INTO new_id;
		INSERT INTO tenancy.identities (issuer_id, subject, user_id)
		SELECT i.id, session_name, new_id FROM tenancy.issuers i WHERE i.issuer = issuer_name;
		users := users || jsonb_build_object(session_name, new_id);
		tokens := tokens || jsonb_build_object(session_name, tenancy.isolation_token(secret, issuer_name, session_name));
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_sessions() IS 'Internal: makes the users that verify_isolation() tries as; their tokens and ids, by the name of the session.';

-- Whatever the table's resource type knows is granted, and nothing on another: code in the table's way runs with these tokens. Which type
-- it is say the policies, hence the owner: never one of tenancy's own.
CREATE FUNCTION tenancy.isolation_enrol(user_id uuid, org_id uuid, resource_type text)
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	new_role uuid;
BEGIN
	INSERT INTO tenancy.roles (name) VALUES ('i' || replace(gen_random_uuid()::text, '-', '')) RETURNING id INTO new_role;
	INSERT INTO tenancy.role_permissions (role_id, resource_type, action)
	SELECT new_role, t.name, a FROM tenancy.resource_types t, unnest(t.actions) a WHERE t.name = isolation_enrol.resource_type AND NOT t.shipped;
	INSERT INTO tenancy.memberships (user_id, org_id) VALUES (isolation_enrol.user_id, isolation_enrol.org_id);
	INSERT INTO tenancy.membership_roles (user_id, org_id, role_id) VALUES (isolation_enrol.user_id, isolation_enrol.org_id, new_role);
END
$$;
COMMENT ON FUNCTION tenancy.isolation_enrol(uuid, uuid, text) IS 'Internal: makes a user of verify_isolation() a member, with every permission on a resource type or, if that is null, with none.';

-- ---------------------------------------------------------------------------------------------
-- A row to try with
-- ---------------------------------------------------------------------------------------------

-- What a check of the column, or of its domain, names is what it is likely to accept: its constants, the numbers beside them if it compares,
-- and text of that length. They take turns with what isolation_value() makes up, which has the first two.
CREATE FUNCTION tenancy.isolation_checked_value(target regclass, attnum int2, turn integer)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE base AS (
		SELECT t.oid, t.typcategory, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = isolation_checked_value.target AND a.attnum = isolation_checked_value.attnum
		UNION ALL
		SELECT t.oid, t.typcategory, t.typbasetype FROM pg_type t JOIN base b ON t.oid = b.typbasetype),
	candidate AS (
		SELECT CASE WHEN m.found[2] IS NULL THEN replace(m.found[1], '''''', '''')
				WHEN b.typcategory = 'N' THEN (m.found[2]::numeric + n.step)::text
				WHEN b.typcategory = 'S' AND m.found[2] ~ '^\d{1,3}$' THEN repeat('v', m.found[2]::integer + n.step)
				ELSE m.found[2] END AS value,
			row_number() OVER (ORDER BY abs(n.step), n.step DESC, c.oid, m.place) - 1 AS place, count(*) OVER () AS candidates
		FROM base b CROSS JOIN pg_constraint c
		CROSS JOIN LATERAL (SELECT pg_get_expr(c.conbin, c.conrelid)) e (expression)
		CROSS JOIN LATERAL regexp_matches(e.expression, '''((?:[^'']|'''')*)''|\m(\d+(?:\.\d+)?)\M', 'g') WITH ORDINALITY m (found, place)
		JOIN (VALUES (0), (1), (-1)) n (step) ON n.step = 0 OR m.found[2] IS NOT NULL AND e.expression ~ '[<>] '
		WHERE b.typbasetype = 0 AND c.contype = 'c' AND (c.contypid IN (SELECT d.oid FROM base d)
			OR c.conrelid = isolation_checked_value.target AND c.conkey = ARRAY[isolation_checked_value.attnum]))
	SELECT c.value FROM candidate c
	WHERE isolation_checked_value.turn > 2 AND isolation_checked_value.turn % 2 = 1 AND c.place = (isolation_checked_value.turn / 2 - 1) % c.candidates
$$;
COMMENT ON FUNCTION tenancy.isolation_checked_value(regclass, int2, integer) IS 'Internal: some value that the checks of a column name, as text; null if it is not its turn.';

-- Not what the column means: something of its type. Two kinds take turns, since a check may accept one only. Null for a type that
-- nothing is known of.
CREATE FUNCTION tenancy.isolation_value(type oid, turn integer)
RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE base AS (
		SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype FROM pg_type t WHERE t.oid = isolation_value.type
		UNION ALL
		SELECT t.oid, t.typname, t.typtype, t.typcategory, t.typbasetype FROM pg_type t JOIN base b ON t.oid = b.typbasetype)
	SELECT CASE
		WHEN b.typtype = 'e' THEN (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder LIMIT 1)
		WHEN b.typtype = 'r' THEN 'empty'
		WHEN b.typtype = 'm' OR b.typcategory = 'A' THEN '{}'
		WHEN b.typname IN ('json', 'jsonb') THEN '{}'
		WHEN b.typname IN ('bytea', 'tsvector') THEN ''
		WHEN b.typname = 'uuid' THEN gen_random_uuid()::text
		WHEN b.typname = 'xml' THEN '<v/>'
		WHEN b.typname = 'point' THEN '(0,0)'
		WHEN b.typtype = 'c' THEN (SELECT '(' || repeat(',', count(*)::integer - 1) || ')' FROM pg_type c JOIN pg_attribute a ON a.attrelid = c.typrelid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.oid = b.oid)
		WHEN b.oid = '"char"'::regtype THEN 'v'
		ELSE CASE b.typcategory
			WHEN 'S' THEN 'v' || left(replace(gen_random_uuid()::text, '-', ''), 12) || CASE WHEN isolation_value.turn % 2 = 0 THEN '@example.com' ELSE '' END
			WHEN 'N' THEN CASE WHEN isolation_value.turn % 4 = 3 THEN '0' ELSE (1 + floor(random() * CASE WHEN isolation_value.turn % 2 = 0 THEN 9 WHEN b.typname IN ('int4', 'int8') THEN 1000000000 ELSE 30000 END))::integer::text END
			WHEN 'B' THEN 'false'
			WHEN 'D' THEN CASE isolation_value.turn % 4 WHEN 2 THEN 'infinity' WHEN 0 THEN '-infinity' ELSE 'now' END
			WHEN 'T' THEN '1 day'
			WHEN 'I' THEN '127.0.0.1'
			WHEN 'V' THEN '0' END END
	FROM base b WHERE b.typbasetype = 0
$$;
COMMENT ON FUNCTION tenancy.isolation_value(oid, integer) IS 'Internal: some value of a type, as text.';

-- The columns that partitions are chosen by, on the way to a table and below it; with a value that leads into one, where the bounds of
-- some partition name such.
CREATE FUNCTION tenancy.isolation_bounds(target regclass, OUT column_name name, OUT value text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH leaf AS (
		SELECT x.relid FROM pg_partition_tree(isolation_bounds.target) x JOIN pg_class c ON c.oid = x.relid
		WHERE x.isleaf ORDER BY pg_get_expr(c.relpartbound, c.oid) ~ '^DEFAULT|MINVALUE', x.relid LIMIT 1)
	SELECT a.attname, CASE WHEN l.word ~ '^''' THEN replace(substr(l.word, 2, length(l.word) - 2), '''''', '''')
		WHEN l.word NOT IN ('MINVALUE', 'MAXVALUE', 'NULL') THEN l.word END
	FROM (SELECT i.inhparent AS parent, pg_get_expr(c.relpartbound, c.oid) AS bounds
		FROM leaf CROSS JOIN LATERAL pg_partition_ancestors(leaf.relid) x JOIN pg_class c ON c.oid = x.relid JOIN pg_inherits i ON i.inhrelid = c.oid
		UNION ALL SELECT isolation_bounds.target, NULL) p
	JOIN pg_partitioned_table k ON k.partrelid = p.parent
	CROSS JOIN LATERAL unnest(k.partattrs::int2[]) WITH ORDINALITY u (attnum, place)
	JOIN pg_attribute a ON a.attrelid = k.partrelid AND a.attnum = u.attnum
	LEFT JOIN LATERAL (SELECT m.found[1] AS word, m.place FROM regexp_matches(
		substring(p.bounds FROM '^FOR VALUES (?:FROM|IN) \((.*)$'), '(''(?:[^'']|'''')*''|[^ ,()'']+)', 'g') WITH ORDINALITY m (found, place)) l
		ON l.place = u.place
$$;
COMMENT ON FUNCTION tenancy.isolation_bounds(regclass) IS 'Internal: the partition keys of a table and of those that it is a partition of, with a value where the bounds name one.';

-- Columns of a unique key or an exclusion constraint across orgs, which would refuse a second row with the same value; and what its
-- expressions and generated columns are made of.
CREATE FUNCTION tenancy.isolation_keys(target regclass, org_column name, OUT index_id oid, OUT attnum int2)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH key AS (
		SELECT i.indexrelid, d.refobjsubid::int2 AS attnum
		FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid
		WHERE i.indrelid = isolation_keys.target AND i.indexprs IS NOT NULL AND (i.indisunique OR i.indisexclusion) AND d.refobjsubid > 0
		UNION
		SELECT i.indexrelid, k.attnum FROM pg_index i, unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k (attnum)
		WHERE i.indrelid = isolation_keys.target AND (i.indisunique OR i.indisexclusion))
	SELECT k.indexrelid, c.attnum FROM key k CROSS JOIN LATERAL (
		SELECT k.attnum
		UNION SELECT d.refobjsubid::int2 FROM pg_attrdef g JOIN pg_attribute a ON a.attrelid = g.adrelid AND a.attnum = g.adnum AND a.attgenerated <> ''
		JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = g.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = g.adrelid
		WHERE g.adrelid = isolation_keys.target AND g.adnum = k.attnum) c (attnum)
	WHERE k.indexrelid NOT IN (SELECT o.indexrelid FROM key o JOIN pg_attribute a ON a.attrelid = isolation_keys.target AND a.attnum = o.attnum
		AND a.attname = isolation_keys.org_column)
$$;
COMMENT ON FUNCTION tenancy.isolation_keys(regclass, name) IS 'Internal: the columns of a table''s unique keys that do not hold the org column.';

-- Given a row, everything is taken from it; for another row like it, all but its keys. Without one, what has a default gets that, and
-- what must not be null some value. A writer who may not set all columns sets those that they may.
CREATE FUNCTION tenancy.isolation_insert(target regclass, org_column name, org uuid, given jsonb DEFAULT NULL, another boolean DEFAULT false, turn integer DEFAULT 1,
	writer regrole DEFAULT NULL)
RETURNS text LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH bound AS MATERIALIZED (SELECT b.column_name, max(b.value) AS value FROM tenancy.isolation_bounds(isolation_insert.target) b GROUP BY 1),
	key AS MATERIALIZED (SELECT DISTINCT k.attnum FROM tenancy.isolation_keys(isolation_insert.target, isolation_insert.org_column) k),
	cell AS MATERIALIZED (
		SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) AS type, CASE
			WHEN a.attname = isolation_insert.org_column THEN quote_literal(isolation_insert.org)
			WHEN isolation_insert.given ? a.attname AND (NOT isolation_insert.another OR k.attnum IS NULL OR b.column_name IS NOT NULL)
				THEN quote_nullable(isolation_insert.given ->> a.attname)
			WHEN b.value IS NOT NULL THEN quote_literal(b.value)
			-- A default may lead past the default partition.
			WHEN (a.atthasdef OR a.attidentity <> '') AND (b.column_name IS NULL OR isolation_insert.turn % 2 = 1) THEN NULL
			WHEN a.attnotnull OR k.attnum IS NOT NULL OR t.typnotnull OR b.column_name IS NOT NULL THEN quote_literal(coalesce(
				tenancy.isolation_checked_value(a.attrelid, a.attnum, isolation_insert.turn), tenancy.isolation_value(a.atttypid, isolation_insert.turn)))
			END AS literal
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN key k ON k.attnum = a.attnum
		LEFT JOIN bound b ON b.column_name = a.attname
		WHERE a.attrelid = isolation_insert.target AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
			AND (isolation_insert.writer IS NULL OR NOT has_any_column_privilege(isolation_insert.writer, isolation_insert.target, 'INSERT')
				OR has_column_privilege(isolation_insert.writer, isolation_insert.target, a.attnum, 'INSERT')))
	SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', isolation_insert.target,
		string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum), string_agg(format('%s::%s', c.literal, c.type), ', ' ORDER BY c.attnum))
	FROM cell c WHERE c.literal IS NOT NULL
$$;
COMMENT ON FUNCTION tenancy.isolation_insert(regclass, name, uuid, jsonb, boolean, integer, regrole) IS 'Internal: the statement that inserts a row for an org, of given values or made up.';

-- A statement on a table runs the checks and index expressions of its partitions and children, and the partition keys above it.
CREATE FUNCTION tenancy.isolation_has_one_owner(target regclass)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE member AS (
		SELECT coalesce(pg_partition_root(isolation_has_one_owner.target), isolation_has_one_owner.target)::oid AS relid
		UNION
		SELECT i.inhrelid FROM member m JOIN pg_inherits i ON i.inhparent = m.relid)
	SELECT count(DISTINCT c.relowner) = 1 FROM member m JOIN pg_class c ON c.oid = m.relid
$$;
COMMENT ON FUNCTION tenancy.isolation_has_one_owner(regclass) IS 'Internal: whether a table, and all that it has partitions and children in common with, belong to one role.';

-- What a row refers to, in the same org: rows made up in the tables of its foreign keys. Without it, a trigger that looks at the
-- inserted row would never run, as the foreign key refuses the row.
CREATE FUNCTION tenancy.isolation_references(target regclass, org uuid)
RETURNS jsonb LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	k record;
	keys jsonb;
	result jsonb := '{}';
BEGIN
	FOR k IN SELECT c.confrelid::regclass AS referred,
			(SELECT p.org_column FROM tenancy.protection_of(c.confrelid) p) AS org_column,
			format('jsonb_object(ARRAY[%s], ARRAY[%s])', string_agg(quote_literal(a.attname), ', '), string_agg(format('%I::text', r.attname), ', ')) AS pairs
		FROM pg_constraint c
		CROSS JOIN LATERAL unnest(c.conkey, c.confkey) u (attnum, refnum)
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.attnum
		JOIN pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = u.refnum
		WHERE c.conrelid = isolation_references.target AND c.contype = 'f'
			AND c.confrelid NOT IN ('tenancy.organizations'::regclass, isolation_references.target) AND tenancy.isolation_has_one_owner(c.confrelid)
		GROUP BY c.oid HAVING bool_or(a.attnotnull)
	LOOP
		FOR turn IN 1..4 LOOP
			BEGIN
				keys := tenancy.ask_as_owner(k.referred,
					tenancy.isolation_insert(k.referred, coalesce(k.org_column, ''), org, turn => turn) || ' RETURNING ' || k.pairs, '')::jsonb;
				EXIT;
			EXCEPTION WHEN OTHERS OR assert_failure THEN
				-- A shared table: any row serves.
				keys := CASE WHEN k.org_column IS NULL
					THEN tenancy.ask_as_owner(k.referred, format('SELECT %s FROM %s LIMIT 1', k.pairs, k.referred), '')::jsonb END;
			END;
		END LOOP;
		result := result || coalesce(keys, '{}');
	END LOOP;
	RETURN result;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_references(regclass, uuid) IS 'Internal: makes rows that a row of a table can refer to; the values of its columns that do.';

-- Made up, and else one that is there, which then only a made-up member of its org can see. Foreign keys and triggers are off: only
-- the attempts shall meet them. Leaves a cursor on the row: UPDATE and DELETE at a cursor read no column, so that the policies of
-- SELECT, which PostgreSQL adds wherever one is read, do not stand in for their own.
CREATE FUNCTION tenancy.isolation_place(target regclass, org_column name, OUT pin text, OUT org uuid, OUT content jsonb, OUT problem text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place text;
	cells text := (SELECT format('jsonb_object(ARRAY[%s], ARRAY[%s])', string_agg(quote_literal(a.attname), ', '), string_agg(format('%I::text', a.attname), ', '))
		FROM pg_attribute a WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped);
	answer constant text := 'format(''tableoid = %s AND ctid = %L'', tableoid, ctid)';
BEGIN
	IF NOT tenancy.isolation_has_one_owner(target) THEN
		problem := 'its partitions belong to several roles, whose code would run with each other''s rights';
		RETURN;
	END IF;
	PERFORM set_config('session_replication_role', 'replica', true);
	FOR turn IN 1..24 LOOP
		BEGIN
			org := tenancy.isolation_org();
			place := tenancy.ask_as_owner(target, tenancy.isolation_insert(target, org_column, org,
				tenancy.isolation_references(target, org), turn => turn) || ' RETURNING ' || answer, '');
			EXIT WHEN place IS NOT NULL;
			problem := 'its triggers insert nothing';
		EXCEPTION WHEN OTHERS OR assert_failure THEN
			problem := 'SQLSTATE ' || sqlstate;
		END;
	END LOOP;
	IF place IS NULL THEN
		problem := format('it has no row, and none could be made up (%s)', problem);
		place := tenancy.ask_as_owner(target, format('SELECT %s FROM %s WHERE %I IS NOT NULL LIMIT 1', answer, target, org_column), '');
	END IF;
	IF place IS NOT NULL THEN
		pin := place;
		content := tenancy.ask_as_owner(target, format('SELECT %s FROM %s WHERE %s', cells, target, pin), '')::jsonb;
		org := (content ->> org_column)::uuid;
		UPDATE tenancy.organizations o SET status = 'active' WHERE o.id = isolation_place.org AND o.status <> 'active';
		PERFORM tenancy.ask_as_owner(target, format('DECLARE tenancy_isolation CURSOR FOR SELECT 1 FROM %s WHERE %s', target, pin), '');
		PERFORM tenancy.ask_as_owner(target, 'FETCH tenancy_isolation', '');
	END IF;
	PERFORM set_config('session_replication_role', 'origin', true);
END
$$;
COMMENT ON FUNCTION tenancy.isolation_place(regclass, name) IS 'Internal: makes or finds a row of a table to try with: the condition that finds it, its org and its values; or why there is none.';

-- ---------------------------------------------------------------------------------------------
-- The attempts
-- ---------------------------------------------------------------------------------------------

-- "prepare" runs before, as the owner and without triggers; its answer is $1 in "crossed", which tells afterwards whether anything went
-- across, where the number of rows does not.
--
-- A row that goes into a partition is checked there, by bounds as well, so where these are the org's, moving a row is tried at the root.
CREATE FUNCTION tenancy.isolation_attempts(target regclass, org_column name, pin text, org uuid, content jsonb, outside uuid, database_role regrole,
	OUT session_name text, OUT command text, OUT statement text, OUT kind text, OUT prepare text, OUT crossed text)
RETURNS SETOF record LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	WITH given AS MATERIALIZED (
		SELECT quote_ident(org_column) AS org_name, format('%L::uuid', outside) AS outside_value,
			tenancy.isolation_insert(target, org_column, org, content, writer => database_role) AS insert_here,
			tenancy.isolation_insert(target, org_column, outside, content, writer => database_role) AS insert_outside,
			tenancy.isolation_insert(target, org_column, outside, content, true)
				|| ' RETURNING format(''%s %s'', tableoid, ctid)' AS insert_witness,
			-- A row that a trigger, or a default, gave the session's own org.
			format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', target, org_column, outside) AS is_outside,
			format('SELECT NOT EXISTS (SELECT FROM %s WHERE %I = %L)', target, org_column, outside) AS is_inside,
			EXISTS (SELECT FROM tenancy.isolation_bounds(target) b JOIN pg_class c ON c.oid = target
				WHERE c.relispartition AND b.column_name = org_column) AS is_part_by_org),
	-- What this role may change, if anything; but not what decides on the partition.
	changed AS MATERIALIZED (
		SELECT format('%I = %s::%s', a.attname, quote_nullable(content ->> a.attname), format_type(a.atttypid, a.atttypmod)) AS assignment
		FROM pg_attribute a
		WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
		ORDER BY has_column_privilege(database_role, target, a.attnum, 'UPDATE') DESC, a.attname = org_column,
			a.attname IN (SELECT b.column_name FROM tenancy.isolation_bounds(target) b), a.attnum
		LIMIT 1),
	unique_key AS MATERIALIZED (
		SELECT string_agg(quote_ident(a.attname), ', ') AS columns
		FROM pg_index i CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k (attnum)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
		WHERE i.indexrelid IN (SELECT u.index_id FROM tenancy.isolation_keys(target, org_column) u)
			AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate
			-- A null conflicts with nothing.
			AND content ->> a.attname IS NOT NULL
		GROUP BY i.indexrelid, i.indnkeyatts HAVING count(*) = i.indnkeyatts
		ORDER BY i.indexrelid LIMIT 1)
	SELECT s.session_name, c.command, c.statement, c.kind, NULL, c.crossed
	FROM unnest('{another org,no token,no permission}'::text[]) WITH ORDINALITY s (session_name, place), given g, changed u
	CROSS JOIN LATERAL (VALUES
		(1, 'SELECT', format('SELECT FROM %s LIMIT 1', target), 'cross', NULL::text),
		(2, 'INSERT', g.insert_here, 'cross', CASE s.session_name WHEN 'another org' THEN g.is_inside END),
		(3, 'UPDATE', format('UPDATE %s SET %s WHERE CURRENT OF tenancy_isolation', target, u.assignment), 'cross', NULL),
		(4, 'DELETE', format('DELETE FROM %s WHERE CURRENT OF tenancy_isolation', target), 'cross', NULL)) c (place, command, statement, kind, crossed)
	UNION ALL
	SELECT 'another org', c.command, c.statement, c.kind, NULL, c.crossed
	FROM given g CROSS JOIN changed u LEFT JOIN unique_key k ON true
	CROSS JOIN LATERAL (VALUES
		(1, 'UPDATE that takes the row', CASE WHEN NOT g.is_part_by_org THEN
			format('UPDATE %s SET %s = %s WHERE CURRENT OF tenancy_isolation', target, g.org_name, g.outside_value) END, 'cross', NULL),
		(2, 'MERGE with INSERT', format('MERGE INTO %s USING (SELECT) s ON false WHEN NOT MATCHED THEN %s', target,
			'INSERT' || substr(g.insert_here, length('INSERT INTO ' || target) + 1)), 'cross', g.is_inside),
		(3, 'MERGE with UPDATE', format('MERGE INTO %s USING (SELECT) s ON %s WHEN MATCHED THEN UPDATE SET %s', target, pin, u.assignment), 'cross', NULL),
		(4, 'MERGE with DELETE', format('MERGE INTO %s USING (SELECT) s ON %s WHEN MATCHED THEN DELETE', target, pin), 'cross', NULL),
		(5, 'INSERT with ON CONFLICT', CASE WHEN NOT g.is_part_by_org AND k.columns IS NOT NULL THEN
			format('%s ON CONFLICT (%s) DO UPDATE SET %s', g.insert_outside, k.columns, u.assignment) END, 'conflict', g.is_inside),
		(6, 'TRUNCATE', '', 'truncate', NULL)) c (place, command, statement, kind, crossed)
	WHERE c.statement IS NOT NULL
	UNION ALL
	SELECT 'own org', c.command, c.statement, c.kind, c.prepare, c.crossed
	FROM given g CROSS JOIN changed u
	CROSS JOIN LATERAL (SELECT format('SELECT count(*) <> 1 OR bool_or(format(''%%s %%s'', tableoid, ctid) <> $1) FROM %s WHERE %I = %L', target, org_column, outside)) w (witness_changed)
	CROSS JOIN LATERAL (VALUES
		(1, 'SELECT', CASE WHEN has_any_column_privilege(database_role, target, 'SELECT') THEN format('SELECT FROM %s LIMIT 1', target) END, 'control', NULL, NULL),
		(2, 'UPDATE that gives the row away', CASE WHEN NOT g.is_part_by_org THEN
			format('UPDATE %s SET %s = %s WHERE CURRENT OF tenancy_isolation', target, g.org_name, g.outside_value) END, 'cross', NULL, g.is_outside),
		(3, 'INSERT beside another org''s row', CASE WHEN NOT g.is_part_by_org THEN g.insert_here END, 'beside',
			format('WITH gone AS (DELETE FROM %s WHERE %s) %s', target, pin, g.insert_witness), w.witness_changed),
		(4, 'UPDATE beside another org''s row', CASE WHEN NOT g.is_part_by_org THEN
			format('UPDATE %s SET %s WHERE CURRENT OF tenancy_isolation', target, u.assignment) END, 'beside', g.insert_witness, w.witness_changed),
		(5, 'DELETE beside another org''s row', CASE WHEN NOT g.is_part_by_org THEN
			format('DELETE FROM %s WHERE CURRENT OF tenancy_isolation', target) END, 'beside', g.insert_witness, w.witness_changed))
		c (place, command, statement, kind, prepare, crossed)
	WHERE c.statement IS NOT NULL
$$;
COMMENT ON FUNCTION tenancy.isolation_attempts(regclass, name, text, uuid, jsonb, uuid, regrole) IS 'Internal: what is tried with a row, as which user, and how one tells that it went through.';

-- Always undone. Triggers and foreign keys that refuse an attempt say nothing of row security, so it is then made without them.
CREATE FUNCTION tenancy.isolation_try(target regclass, database_role regrole, statement text, kind text, prepare text, crossed text, triggers boolean,
	OUT passed boolean, OUT detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	witness text;
	stage text := 'preparing';
	affected bigint;
	went_across boolean;
	constraint_name text;
	column_name text;
	table_name text;
	schema_name text;
	state text;
BEGIN
	IF prepare IS NOT NULL THEN
		PERFORM set_config('session_replication_role', 'replica', true);
		witness := tenancy.ask_as_owner(target, prepare, '');
	END IF;
	PERFORM set_config('session_replication_role', CASE WHEN triggers THEN 'origin' ELSE 'replica' END, true);
	stage := 'trying';
	affected := tenancy.run_as_role(database_role, target, statement);
	stage := 'comparing';
	went_across := CASE WHEN affected = 0 AND kind <> 'beside' THEN false
		WHEN crossed IS NULL THEN true
		ELSE tenancy.ask_as_owner(target, crossed, coalesce(witness, ''))::boolean END;
	stage := 'done';
	RAISE EXCEPTION 'to be undone';
EXCEPTION WHEN OTHERS OR assert_failure THEN
	GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME, column_name = COLUMN_NAME, table_name = TABLE_NAME, schema_name = SCHEMA_NAME;
	state := sqlstate;
	IF stage = 'done' THEN
		passed := CASE kind WHEN 'control' THEN nullif(went_across, false) ELSE NOT went_across END;
		detail := CASE
			WHEN kind = 'control' AND went_across THEN 'sees its own row'
			WHEN kind = 'control' THEN 'could not be tried: its own row is hidden as well, so that the other attempts prove little'
			WHEN went_across AND kind = 'beside' THEN 'a trigger changed rows of another org'
			WHEN went_across THEN format('went through: %s row(s)', affected)
			WHEN affected = 0 THEN 'no row'
			ELSE 'nothing went across' END;
	ELSIF stage = 'trying' AND (state = '42501' OR state ~ '^(28|TN)') THEN
		passed := kind <> 'control' OR NULL;
		detail := format('refused: SQLSTATE %s', state);
	-- Policies are asked before constraints.
	ELSIF stage = 'trying' AND state ~ '^23' AND kind = 'cross' AND to_regclass(format('%I.%I', schema_name, table_name)) IN (SELECT m FROM tenancy.protection_members(target) m)
		AND (constraint_name <> '' OR column_name <> '') THEN
		passed := false;
		detail := format('row security let it through; only a constraint refused it: SQLSTATE %s', state);
	ELSIF stage = 'trying' AND state = '23505' AND kind = 'conflict' THEN
		passed := true;
		detail := 'refused: SQLSTATE 23505';
	ELSE
		detail := format('could not be tried: SQLSTATE %s', state);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_try(regclass, regrole, text, text, text, text, boolean) IS 'Internal: makes one attempt, judges it and undoes it. Null where it says nothing.';

CREATE FUNCTION tenancy.isolation_judge(target regclass, database_role regrole, statement text, kind text, prepare text, crossed text,
	OUT passed boolean, OUT detail text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	bare record;
BEGIN
	IF kind = 'truncate' THEN
		passed := NOT has_table_privilege(database_role, target, 'TRUNCATE');
		detail := CASE WHEN passed THEN 'refused: no privilege' ELSE 'TRUNCATE is granted, which row security does not stop' END;
		RETURN;
	END IF;
	SELECT t.passed, t.detail INTO passed, detail
	FROM tenancy.isolation_try(target, database_role, statement, kind, prepare, crossed, true) t;
	-- A trigger may refuse for reasons of its own, with any SQLSTATE, or skip the row, having done something else: what it lets nobody do
	-- says nothing of row security either.
	IF passed IS DISTINCT FROM false AND kind <> 'control' THEN
		SELECT * INTO bare FROM tenancy.isolation_try(target, database_role, statement, kind, prepare, crossed, false);
		IF bare.passed IS DISTINCT FROM passed AND bare.passed IS NOT NULL THEN
			passed := bare.passed;
			detail := bare.detail || ', without triggers and foreign keys';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_judge(regclass, regrole, text, text, text, text) IS 'Internal: makes one attempt, without triggers if they are in its way.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

-- Deferred triggers would run as somebody else, if at all. Settings of the caller's would decide which identity is in force, and how what
-- follows is read.
CREATE FUNCTION tenancy.isolation_begin()
RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	SET CONSTRAINTS ALL IMMEDIATE;
	PERFORM set_config(s, '', true) FROM unnest('{tenancy.session_token,tenancy.org,tenancy.impersonation}'::text[]) s;
	PERFORM set_config('tenancy.cross_org', 'off', true), set_config('row_security', 'on', true), set_config('standard_conforming_strings', 'on', true);
END
$$;
COMMENT ON FUNCTION tenancy.isolation_begin() IS 'Internal: how verify_isolation() sets the session, within its subtransaction.';

CREATE FUNCTION tenancy.isolation_roles(role regrole)
RETURNS regrole[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	roles regrole[];
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'permission denied to verify isolation'
			USING ERRCODE = 'insufficient_privilege', DETAIL = 'It makes users and orgs, and tries as other roles.', HINT = 'Call it as a superuser.';
	ELSIF current_setting('transaction_read_only')::boolean THEN
		RAISE EXCEPTION 'cannot verify isolation in a read-only transaction'
			USING ERRCODE = 'read_only_sql_transaction', DETAIL = 'It writes rows, and undoes that.', HINT = 'Call it on the primary, in a transaction that may write.';
	ELSIF NOT EXISTS (SELECT FROM tenancy.protected_tables) THEN
		RAISE EXCEPTION 'no table is protected'
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Nothing would be verified.', HINT = 'Call tenancy.protect(table) for the application''s tables.';
	END IF;
	roles := CASE WHEN isolation_roles.role IS NOT NULL THEN ARRAY[isolation_roles.role]
		ELSE ARRAY(SELECT DISTINCT a.role::regrole FROM tenancy.doctor_applications a ORDER BY 1) END;
	IF roles = '{}' THEN
		RAISE EXCEPTION 'no role has access to tenancy'
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Nothing would be verified.',
				HINT = 'Call tenancy.grant_access(role) for the application''s role, or pass the role to verify_isolation().';
	END IF;
	RETURN roles;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_roles(regrole) IS 'Internal: the roles that verify_isolation() tries as, or the error that says why it cannot.';

CREATE FUNCTION tenancy.isolation_of_table(target regclass, org_column name, resource_type text, roles regrole[], tokens jsonb, users jsonb,
	OUT database_role regrole, OUT attempt text, OUT passed boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place record;
	a record;
	outside uuid := tenancy.isolation_org();
BEGIN
	SELECT * INTO place FROM tenancy.isolation_place(target, org_column);
	IF place.pin IS NULL THEN
		attempt := 'any';
		detail := 'could not be tried: ' || place.problem;
		FOREACH database_role IN ARRAY roles LOOP
			RETURN NEXT;
		END LOOP;
		RETURN;
	END IF;

	PERFORM tenancy.isolation_enrol((users ->> 'another org')::uuid, outside, resource_type),
		tenancy.isolation_enrol((users ->> 'own org')::uuid, place.org, resource_type),
		tenancy.isolation_enrol((users ->> 'no permission')::uuid, place.org, NULL);
	FOREACH database_role IN ARRAY roles LOOP
		FOR a IN SELECT * FROM tenancy.isolation_attempts(target, org_column, place.pin, place.org, place.content, outside, database_role) LOOP
			PERFORM set_config('tenancy.session_token', tokens ->> a.session_name, true);
			attempt := a.session_name || ': ' || a.command;
			SELECT j.passed, j.detail INTO passed, detail
			FROM tenancy.isolation_judge(target, database_role, a.statement, a.kind, a.prepare, a.crossed) j;
			RETURN NEXT;
		END LOOP;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.isolation_of_table(regclass, name, text, regrole[], jsonb, jsonb) IS 'Internal: the rows of verify_isolation() for one table. To be undone.';

CREATE FUNCTION tenancy.verify_isolation(role regrole DEFAULT NULL,
	OUT "table" regclass, OUT database_role regrole, OUT attempt text, OUT passed boolean, OUT detail text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	roles regrole[] := tenancy.isolation_roles(role);
	sessions record;
	p record;
	-- Not told by an SQLSTATE: code of a table's owner may raise any.
	undoing boolean;
	tried boolean := false;
BEGIN
	BEGIN
		PERFORM tenancy.isolation_begin();
		SELECT * INTO sessions FROM tenancy.isolation_sessions();
		FOR p IN SELECT format('%I.%I', l.schema_name, l.table_name)::regclass AS relid, l.* FROM tenancy.protected_tables l ORDER BY l.schema_name, l.table_name LOOP
			undoing := false;
			BEGIN
				RETURN QUERY SELECT p.relid, t.*
					FROM tenancy.isolation_of_table(p.relid, p.org_column, p.resource_type, roles, sessions.tokens, sessions.users) t;
				undoing := true;
				RAISE EXCEPTION 'to be undone';
			EXCEPTION WHEN OTHERS OR assert_failure THEN
				CONTINUE WHEN undoing;
				RETURN QUERY SELECT p.relid, NULL::regrole, 'any', NULL::boolean, format('could not be tried: SQLSTATE %s', sqlstate);
			END;
		END LOOP;
		tried := true;
		RAISE EXCEPTION 'to be undone';
	EXCEPTION WHEN OTHERS OR assert_failure THEN
		IF NOT tried THEN
			RAISE;
		END IF;
	END;
END
$$;
COMMENT ON FUNCTION tenancy.verify_isolation(regrole) IS 'Tries to cross the wall in every protected table, as roles of the application, and undoes it: one row an attempt, passed where nothing got through. For superusers.';
-- Who may call what. Nothing is PUBLIC's; an application's role gets what a token can authorize.

-- What an application's role may call: each of these decides by the token's user.
CREATE FUNCTION tenancy.application_functions()
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

CREATE FUNCTION tenancy.application_relations()
RETURNS SETOF regclass LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT unnest('{tenancy.permission_matrix,tenancy.members,tenancy.orgs,tenancy.audit_log,tenancy.protected_tables,tenancy.resource_types}'::regclass[])
$$;
COMMENT ON FUNCTION tenancy.application_relations() IS 'The relations that grant_access() lets the application read.';

-- SECURITY INVOKER: the caller grants what it owns, so PostgreSQL itself refuses anybody else.
CREATE FUNCTION tenancy.grant_access(role regrole)
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

CREATE FUNCTION tenancy.revoke_access(role regrole)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenancy FROM %s', revoke_access.role);
	EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA tenancy FROM %s', revoke_access.role);
	EXECUTE format('REVOKE ALL ON SCHEMA tenancy FROM %s', revoke_access.role);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_access(regrole) IS 'Takes back what grant_access() gave.';

-- They count what was fetched before the policies hid it, and how many rows a table has, of all orgs.
CREATE FUNCTION tenancy.statistics_functions()
RETURNS SETOF regprocedure LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'pg_catalog'::regnamespace
		AND (p.proname ~ '^pg_stat_get_(db_|xact_)?(numscans|tuples_.*|(live|dead)_tuples|mod_since_analyze|ins_since_vacuum|blocks_.*)$'
			-- What a serializable transaction has read is locked, hidden rows too; and which version of a row is the latest is told of any.
			OR p.proname IN ('pg_lock_status', 'currtid2'))
$$;
COMMENT ON FUNCTION tenancy.statistics_functions() IS 'Internal: the functions that tell which and how many rows of a table were read or are there, those of all orgs.';

CREATE FUNCTION tenancy.close_statistics()
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
