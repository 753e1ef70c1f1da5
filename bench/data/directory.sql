-- :users people and :orgs orgs, each person in three of them, in a database of their own. Tokens name the org, so nobody has to pick.
-- Foreign keys need no checking here, and the triggers that check rows one by one are left out; those that signal a
-- change are not.
CREATE EXTENSION tenancy;
CREATE EXTENSION pg_prewarm;
CREATE SCHEMA bench;
SELECT tenancy.grant_access('bench_tenancy') \g /dev/null
SELECT tenancy.add_resource_type('contact') \g /dev/null
SELECT tenancy.trust_issuer('https://bench.test', :'jwks', claims => '{"preset": "clerk"}') \g /dev/null
SELECT id AS issuer FROM tenancy.issuers \gset
SET session_replication_role = replica;

CREATE FUNCTION bench.org(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5('org ' || n)::uuid $$;
CREATE FUNCTION bench.person(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5('person ' || n)::uuid $$;

-- In the order of their keys: much faster to index.
CREATE TEMP TABLE person AS SELECT n, bench.person(n) AS id FROM generate_series(1, :users) n ORDER BY 2;
CREATE TEMP TABLE org AS SELECT n, bench.org(n) AS id FROM generate_series(1, :orgs) n ORDER BY 2;
CREATE TEMP TABLE member AS
SELECT p.id AS user_id, o.id AS org_id FROM person p, generate_series(0, 2) k, org o WHERE o.n = 1 + (p.n + k * 7) % :orgs ORDER BY 1, 2;
INSERT INTO tenancy.organizations (id, slug, name) SELECT id, 'org-' || n, 'Org ' || n FROM org;
INSERT INTO tenancy.org_external_ids (issuer_id, external_id, org_id) SELECT :'issuer', 'org-' || n, id FROM org;
INSERT INTO tenancy.users (id, name) SELECT id, 'Person ' || n FROM person;
INSERT INTO tenancy.identities (issuer_id, subject, user_id) SELECT :'issuer', 'person-' || n, id FROM person;
INSERT INTO tenancy.memberships (user_id, org_id) SELECT user_id, org_id FROM member;
INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
SELECT m.user_id, m.org_id, r.id FROM member m, tenancy.roles r WHERE r.org_id IS NULL AND r.name = 'member' ORDER BY 1, 2;
RESET session_replication_role;
VACUUM ANALYZE;
SELECT pg_prewarm(c.oid) FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'i') \g /dev/null
CHECKPOINT;
