-- Who is there, for all works: 1,000 orgs with one user each, and a schema for each of the three copies of every table.
-- The other data files make the tables, once in each schema. The copies are equal but for their policies:
--   floor   no row security; the application names its org
--   ours    protected by tenancy
--   peer    row security as others write it; each peer is a role, and a policy holds for its role alone
-- Every variant has a login role of its own, bench_NAME, that finds its copy by its search_path.
CREATE EXTENSION tenancy;
CREATE EXTENSION pg_prewarm;
CREATE SCHEMA floor;
CREATE SCHEMA ours;
CREATE SCHEMA peer;
CREATE SCHEMA bench;

CREATE FUNCTION bench.org(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5('org ' || n)::uuid $$;
CREATE FUNCTION bench.person(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5('person ' || n)::uuid $$;

INSERT INTO tenancy.organizations (id, slug, name) SELECT bench.org(n), 'org-' || n, 'Org ' || n FROM generate_series(1, 1000) n;
INSERT INTO tenancy.users (id, name) SELECT bench.person(n), 'Person ' || n FROM generate_series(1, 1000) n;
INSERT INTO tenancy.memberships (user_id, org_id) SELECT bench.person(n), bench.org(n) FROM generate_series(1, 1000) n;
INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
SELECT bench.person(n), bench.org(n), r.id FROM generate_series(1, 1000) n, tenancy.roles r WHERE r.org_id IS NULL AND r.name = 'member';

-- A second person in each of the first ten orgs, whose role there allows nothing.
INSERT INTO tenancy.roles (org_id, name) SELECT bench.org(n), 'onlooker' FROM generate_series(1, 10) n;
INSERT INTO tenancy.users (id, name) SELECT bench.person(-n), 'Onlooker ' || n FROM generate_series(1, 10) n;
INSERT INTO tenancy.memberships (user_id, org_id) SELECT bench.person(-n), bench.org(n) FROM generate_series(1, 10) n;
INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
SELECT bench.person(-n), bench.org(n), r.id FROM generate_series(1, 10) n JOIN tenancy.roles r ON r.org_id = bench.org(n);

SELECT tenancy.trust_issuer('https://bench.test', :'jwks') \g /dev/null
INSERT INTO tenancy.identities (issuer_id, subject, user_id)
SELECT i.id, 'person-' || n, bench.person(n) FROM tenancy.issuers i, generate_series(-10, 1000) n
WHERE i.issuer = 'https://bench.test' AND n <> 0;

-- The peers: what their files in bench/peers register. sign_in is what an application sends once a connection;
-- %org% and %person% are filled in.
CREATE TABLE bench.peers (name name PRIMARY KEY, title text, policy text, sign_in text, position int GENERATED ALWAYS AS IDENTITY);

CREATE FUNCTION bench.make_role(variant name, path text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE ROLE %I LOGIN', 'bench_' || variant);
	EXECUTE format('ALTER ROLE %I SET search_path = %s', 'bench_' || variant, path);
	EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', path, 'bench_' || variant);
	EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', path, 'bench_' || variant);
END
$$;

CREATE FUNCTION bench.add_peer(name name, title text, policy text, sign_in text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bench.peers (name, title, policy, sign_in) VALUES (name, title, policy, sign_in);
	PERFORM bench.make_role(name, 'peer');
END
$$;

-- Called for each of the three schemas after a data file has made its tables there: lets that design do its part. All
-- have the foreign key.
CREATE FUNCTION bench.finish(schema name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	target regclass;
	peer record;
BEGIN
	FOR target IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = schema::regnamespace AND c.relkind IN ('r', 'p')
		AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f')
	LOOP
		IF schema = 'ours' THEN
			PERFORM tenancy.protect(target);
			CONTINUE;
		END IF;
		EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (org_id) REFERENCES tenancy.organizations (id)', target);
		FOR peer IN SELECT * FROM bench.peers p WHERE schema = 'peer' ORDER BY p.position LOOP
			EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
			EXECUTE format('CREATE POLICY %I ON %s TO %I USING (%s)', peer.name, target, 'bench_' || peer.name, peer.policy);
		END LOOP;
	END LOOP;
END
$$;

-- Something to scan that has no policy.
CREATE TABLE bench.numbers AS SELECT n FROM generate_series(1, 20000) n;
VACUUM ANALYZE bench.numbers;
GRANT USAGE ON SCHEMA bench TO PUBLIC;
GRANT SELECT ON bench.numbers TO PUBLIC;

SELECT bench.make_role('floor', 'floor'), bench.make_role('tenancy', 'ours'), bench.make_role('unloaded', 'floor') \g /dev/null
-- The one role whose connections do not load the library, but one that does nothing by itself: a list cannot be empty.
ALTER ROLE bench_unloaded SET session_preload_libraries = 'plpgsql';
SELECT tenancy.grant_access('bench_tenancy') \g /dev/null
