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
