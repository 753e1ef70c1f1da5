-- The extension's own objects: who can reach what, that wrong states are impossible, and what a dump carries.
-- Rules about every table or function are asked of the catalog, so that they hold for those that come later as well.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA catalog;
GRANT USAGE ON SCHEMA catalog TO PUBLIC;
CREATE FUNCTION catalog.code(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;
CREATE VIEW catalog.relations AS SELECT c.*, format('tenancy.%I', c.relname) AS name FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace;
CREATE VIEW catalog.functions AS SELECT p.*, p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace;
CREATE FUNCTION catalog.grants(grantee oid) RETURNS SETOF text LANGUAGE sql SET search_path = pg_catalog AS $$
	SELECT 'schema ' || a.privilege_type FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = 'tenancy' AND a.grantee = grants.grantee
	UNION ALL (SELECT format('%s %s', name, a.privilege_type) FROM catalog.relations r, aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a WHERE a.grantee = grants.grantee ORDER BY 1)
	UNION ALL (SELECT format('%s (%s) %s', name, attname, a.privilege_type) FROM catalog.relations r JOIN pg_attribute t ON attrelid = r.oid, aclexplode(attacl) a WHERE a.grantee = grants.grantee ORDER BY 1)
	UNION ALL (SELECT format('%s %s', name, a.privilege_type) FROM catalog.functions, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = grants.grantee ORDER BY 1)
	-- A row type goes with its table, an array type with its element.
	UNION ALL (SELECT format('type %s %s', typname, a.privilege_type) FROM pg_type y LEFT JOIN pg_class c ON c.oid = typrelid, aclexplode(coalesce(typacl, acldefault('T', typowner))) a
		WHERE typnamespace = 'tenancy'::regnamespace AND typelem = 0 AND coalesce(c.relkind, 'c') = 'c' AND a.grantee = grants.grantee ORDER BY 1)
$$;

\echo == nothing is granted to PUBLIC
SELECT catalog.grants(0);
SELECT defaclobjtype, defaclacl FROM pg_default_acl WHERE defaclnamespace = 'tenancy'::regnamespace;

\echo == every object is as it should be: none is listed
-- Tables without row security.
SELECT name FROM catalog.relations WHERE relkind IN ('r', 'p', 'm', 'f') AND NOT relrowsecurity;
-- Tables, views, functions and triggers' functions that say nothing of themselves.
SELECT name FROM catalog.relations WHERE relkind IN ('r', 'v', 'm', 'S') AND obj_description(oid, 'pg_class') IS NULL;
SELECT name FROM catalog.functions WHERE obj_description(oid, 'pg_proc') IS NULL ORDER BY name::text;
-- Functions that are resolved by the caller's search_path: SECURITY DEFINER, or not written in C and not resolved when they were made.
SELECT name FROM catalog.functions WHERE (prosecdef OR (prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND prosqlbody IS NULL)) AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'] ORDER BY name::text;
-- What does not belong to the extension, or to another than its owner.
SELECT name FROM catalog.relations r WHERE relkind IN ('r', 'v', 'm', 'S') AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e' AND extname = 'tenancy' AND extowner = relowner);
SELECT name FROM catalog.functions p WHERE NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND extname = 'tenancy' AND extowner = proowner);
-- Columns whose values differ from server to server.
SELECT name, attname FROM catalog.relations r JOIN pg_attribute ON attrelid = r.oid WHERE relkind = 'r' AND attnum > 0 AND (atttypid = 'oid'::regtype OR format_type(atttypid, NULL) LIKE 'reg%');
-- References without an index: deleting what they refer to would read the whole table.
SELECT conrelid::regclass, conname FROM pg_constraint k WHERE contype = 'f' AND connamespace = 'tenancy'::regnamespace
	AND NOT EXISTS (SELECT FROM pg_index i WHERE indrelid = conrelid AND indpred IS NULL AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey) ORDER BY 1, 2;
-- Names that C looks up, in another order than that of their bytes.
SELECT name, attname FROM catalog.relations r JOIN pg_index i ON indrelid = r.oid AND indisunique AND indexprs IS NULL JOIN pg_attribute ON attrelid = r.oid AND attnum = ANY (indkey) WHERE atttypid = 'text'::regtype AND attcollation <> '"C"'::regcollation;
-- Tables that decide something, of whose change no other session hears; or not when it comes by replication.
SELECT name FROM catalog.relations r WHERE relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = r.oid AND tgname = 'signal_change' AND tgenabled = 'A' AND tgtype & 61 = 60)
	OR relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = r.oid AND tgname = 'signal_replicated_change' AND tgenabled = 'R' AND tgtype & 61 = 29) ORDER BY 1;

\echo == what the application gets
SELECT catalog.grants('regress_tenancy_app'::regrole);
SELECT catalog.grants('regress_tenancy_stranger'::regrole);
-- Functions that SECURITY DEFINER runs as the owner for it.
SELECT name FROM catalog.functions WHERE prosecdef AND has_function_privilege('regress_tenancy_app', oid, 'EXECUTE') ORDER BY name::text;
CREATE TABLE catalog.tries AS
	SELECT name AS object, format(command, name, (SELECT attname FROM pg_attribute WHERE attrelid = r.oid AND attnum = 1)) AS statement FROM catalog.relations r,
		unnest('{SELECT * FROM %s,SELECT FROM %s FOR UPDATE,INSERT INTO %s DEFAULT VALUES,UPDATE %1$s SET %2$I = %2$I,DELETE FROM %s,TRUNCATE %s,LOCK TABLE %s IN EXCLUSIVE MODE}'::text[]) command WHERE relkind IN ('r', 'v', 'm')
	UNION ALL SELECT name, format('CREATE TABLE catalog.mine (x uuid REFERENCES %s)', name) FROM catalog.relations r WHERE relkind = 'r' AND EXISTS (SELECT FROM pg_index WHERE indrelid = r.oid AND indisprimary)
	UNION ALL SELECT name, format('CREATE INDEX ON %s (ctid)', name) FROM catalog.relations WHERE relkind = 'r'
	UNION ALL SELECT name::text, format('SELECT %s(%s)', proname::regproc, (SELECT string_agg('(SELECT NULL::' || CASE format_type(t, NULL) WHEN 'anyarray' THEN 'integer[]' WHEN 'anyrange' THEN 'int4range' WHEN 'anyelement' THEN 'integer' ELSE format_type(t, NULL) END || ')', ', ' ORDER BY i) FROM unnest(proargtypes) WITH ORDINALITY x (t, i)))
		FROM (SELECT f.oid, f.name, format('tenancy.%I', f.proname) AS proname, f.proargtypes FROM catalog.functions f WHERE prorettype <> 'trigger'::regtype AND NOT proargtypes::oid[] @> ARRAY['internal'::regtype::oid]) f
	UNION ALL SELECT 'schema', s FROM unnest('{CREATE TABLE tenancy.mine (),CREATE FUNCTION tenancy.mine() RETURNS int LANGUAGE sql AS ''SELECT 1'',DROP EXTENSION tenancy,ALTER EXTENSION tenancy UPDATE,ALTER SCHEMA tenancy RENAME TO mine}'::text[]) s;
GRANT SELECT ON catalog.tries TO PUBLIC;
GRANT CREATE ON SCHEMA catalog TO PUBLIC;
SELECT count(*) > 100 AS many FROM catalog.tries;
-- What is not refused for lack of a privilege: reading what it may, what no view can do, and the functions it is granted.
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT object, string_agg(split_part(statement, ' ', 1) || ' ' || catalog.code(statement), ', ' ORDER BY statement) FROM catalog.tries WHERE object !~ '\(' AND catalog.code(statement) <> '42501' GROUP BY object ORDER BY object;
SELECT object FROM catalog.tries WHERE object ~ '\(' AND catalog.code(statement) <> '42501' ORDER BY object;
-- What is not its own it cannot pass on.
SET client_min_messages = error;
GRANT USAGE ON SCHEMA tenancy TO regress_tenancy_stranger;
GRANT SELECT ON tenancy.resource_types TO regress_tenancy_stranger;
GRANT EXECUTE ON FUNCTION tenancy.session() TO regress_tenancy_stranger;
\c - regress_tenancy_stranger
SET client_min_messages = warning;
SELECT object, statement, catalog.code(statement) FROM catalog.tries WHERE catalog.code(statement) <> '42501';
\c - :dba
SET client_min_messages = warning;
SELECT catalog.grants('regress_tenancy_stranger'::regrole);

\echo == granting and taking back access
CREATE ROLE regress_tenancy_late LOGIN;
CREATE ROLE regress_tenancy_super SUPERUSER;
CREATE ROLE regress_tenancy_bypass BYPASSRLS;
CREATE ROLE "regress tenancy ""odd""";
SELECT minting.refusal('SELECT tenancy.grant_access(''regress_tenancy_super'')');
SELECT minting.refusal('SELECT tenancy.grant_access(''regress_tenancy_bypass'')');
SELECT minting.refusal('SELECT tenancy.grant_access(''regress_tenancy_nobody'')');
SELECT catalog.grants('regress_tenancy_super'::regrole) UNION ALL SELECT catalog.grants('regress_tenancy_bypass'::regrole);
SELECT tenancy.grant_access('regress_tenancy_late'), tenancy.grant_access('regress_tenancy_late'), tenancy.grant_access('"regress tenancy ""odd"""');
SELECT array_agg(g) = (SELECT array_agg(g) FROM catalog.grants('regress_tenancy_app'::regrole) g) AS as_the_application FROM catalog.grants('regress_tenancy_late'::regrole) g;
SELECT array_agg(g) = (SELECT array_agg(g) FROM catalog.grants('regress_tenancy_app'::regrole) g) AS as_the_application FROM catalog.grants('"regress tenancy ""odd"""'::regrole) g;
-- An application cannot pass on what it has, whatever its token.
SELECT minting.enrol('catalog-super', 'catalog-acme');
INSERT INTO tenancy.superadmins VALUES (minting.user_id('catalog-super'));
SELECT minting.token('clerk', '{"sub": "catalog-super"}') AS super \gset
\c - regress_tenancy_app
SET client_min_messages = warning;
SET tenancy.session_token = :'super';
SELECT catalog.code('SELECT tenancy.grant_access(''regress_tenancy_stranger'')'), catalog.code('SELECT tenancy.revoke_access(''regress_tenancy_late'')');
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.revoke_access('regress_tenancy_late'), tenancy.revoke_access('regress_tenancy_late'), tenancy.revoke_access('"regress tenancy ""odd"""');
SELECT catalog.grants('regress_tenancy_late'::regrole) UNION ALL SELECT catalog.grants('"regress tenancy ""odd"""'::regrole);
DROP ROLE regress_tenancy_late, regress_tenancy_super, regress_tenancy_bypass, "regress tenancy ""odd""";

\echo == wrong states are impossible
SELECT minting.enrol('catalog-user', 'catalog-acme'), minting.enrol('catalog-other', 'catalog-beta');
CREATE TABLE catalog.wrong (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO catalog.wrong (statement) VALUES
	('INSERT INTO tenancy.issuers (issuer, claims) VALUES (''https://clerk.test'', ''{}'')'),
	('INSERT INTO tenancy.issuers (issuer, claims) VALUES ('''', ''{}'')'),
	('INSERT INTO tenancy.issuers (issuer, claims) VALUES (repeat(''x'', 2049), ''{}'')'),
	('INSERT INTO tenancy.issuers (issuer, claims) VALUES (''x'', ''[]'')'),
	('INSERT INTO tenancy.issuers (issuer, claims, audiences) VALUES (''x'', ''{}'', ''{}'')'),
	('INSERT INTO tenancy.issuers (issuer, claims, audiences) VALUES (''x'', ''{}'', ''{a,NULL}'')'),
	('INSERT INTO tenancy.issuers (issuer, claims, authorized_parties) VALUES (''x'', ''{}'', ''{}'')'),
	('INSERT INTO tenancy.issuers (issuer, claims, authorized_parties) VALUES (''x'', ''{}'', ''{NULL}'')'),
	('DELETE FROM tenancy.issuers WHERE issuer = ''https://clerk.test'''),
	('INSERT INTO tenancy.signing_keys (issuer_id, key_id, algorithm, jwk) SELECT issuer_id, key_id, algorithm, jwk FROM tenancy.signing_keys'),
	('INSERT INTO tenancy.signing_keys (issuer_id, algorithm, jwk) SELECT id, ''ES256'', ''{}'' FROM tenancy.issuers, generate_series(1, 2)'),
	('INSERT INTO tenancy.signing_keys (issuer_id, key_id, algorithm, jwk) VALUES (gen_random_uuid(), ''x'', ''ES256'', ''{}'')'),
	('INSERT INTO tenancy.users (email_verified) VALUES (true)'),
	('INSERT INTO tenancy.users (status) VALUES (''gone'')'),
	('INSERT INTO tenancy.identities SELECT issuer_id, subject, user_id FROM tenancy.identities'),
	('INSERT INTO tenancy.identities SELECT id, '''', minting.user_id(''catalog-user'') FROM tenancy.issuers'),
	('INSERT INTO tenancy.identities SELECT id, repeat(''x'', 1025), minting.user_id(''catalog-user'') FROM tenancy.issuers'),
	('INSERT INTO tenancy.identities SELECT id, ''nobody'', gen_random_uuid() FROM tenancy.issuers; SET CONSTRAINTS ALL IMMEDIATE'),
	('INSERT INTO tenancy.superadmins VALUES (gen_random_uuid())'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (''catalog-acme'', ''Again'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (''Catalog'', ''x'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (''-catalog'', ''x'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (''catalog-'', ''x'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (E''catalog\n'', ''x'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (repeat(''x'', 64), ''x'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (gen_random_uuid()::text, ''x'')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (''catalog-x'', '' '')'),
	('INSERT INTO tenancy.organizations (slug, name) VALUES (''catalog-x'', repeat(''x'', 201))'),
	('INSERT INTO tenancy.organizations (slug, name, kind) VALUES (''catalog-x'', ''x'', ''huge'')'),
	('INSERT INTO tenancy.organizations (slug, name, status) VALUES (''catalog-x'', ''x'', ''closed'')'),
	('INSERT INTO tenancy.org_external_ids SELECT i.id, ''x'', o.id FROM tenancy.issuers i, tenancy.organizations o WHERE o.slug LIKE ''catalog-%'''),
	('INSERT INTO tenancy.org_external_ids SELECT i.id, '''', o.id FROM tenancy.issuers i, tenancy.organizations o WHERE o.slug = ''catalog-acme'''),
	('INSERT INTO tenancy.memberships SELECT user_id, org_id FROM tenancy.memberships'),
	('INSERT INTO tenancy.memberships SELECT minting.user_id(''catalog-user''), gen_random_uuid()'),
	('INSERT INTO tenancy.membership_roles SELECT minting.user_id(''catalog-user''), o.id, r.id FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = ''catalog-beta'' AND r.org_id IS NULL'),
	('INSERT INTO tenancy.membership_roles SELECT user_id, org_id, gen_random_uuid() FROM tenancy.memberships'),
	('INSERT INTO tenancy.roles (name) VALUES (''admin'')'),
	('INSERT INTO tenancy.roles (name) VALUES (''Catalog'')'),
	('INSERT INTO tenancy.roles (org_id, name) SELECT id, ''viewer'' FROM tenancy.organizations WHERE slug = ''catalog-acme'''),
	('DELETE FROM tenancy.resource_types WHERE name = ''org'''),
	('INSERT INTO tenancy.role_permissions SELECT id, ''org'', ''nonsense'' FROM tenancy.roles'),
	('INSERT INTO tenancy.role_permissions SELECT id, ''catalog_nonsense'', ''read'' FROM tenancy.roles'),
	('INSERT INTO tenancy.revoked_permissions SELECT id, ''audit'', ''read'' FROM tenancy.roles WHERE name = ''viewer'''),
	('INSERT INTO tenancy.authority_signal VALUES (true)'), ('INSERT INTO tenancy.authority_signal VALUES (false)'),
	('INSERT INTO tenancy.keyring_signal VALUES (true)'), ('INSERT INTO tenancy.keyring_signal VALUES (false)');
-- An invitation that is well, with one thing wrong each time.
INSERT INTO catalog.wrong (statement) SELECT format('INSERT INTO tenancy.invitations (org_id, role_id, email, token_hash, expires_at, accepted_at, revoked_at, accepted_by)
	SELECT o.id, r.id, %s, %s, now(), %s, %s, %s FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = ''catalog-acme'' AND r.org_id IS NULL AND r.name = ''member''', email, hash, accepted, revoked, accepted_by)
	FROM (VALUES (1, '''no address''', 'sha256(''a'')', 'NULL::timestamptz', 'NULL::timestamptz', 'NULL::uuid'), (2, '''a@b c''', 'sha256(''a'')', 'NULL', 'NULL', 'NULL'), (3, 'repeat(''x'', 320) || ''@x''', 'sha256(''a'')', 'NULL', 'NULL', 'NULL'), (4, '''''', 'sha256(''a'')', 'NULL', 'NULL', 'NULL'),
		(5, '''a@b''', '''\x00''', 'NULL', 'NULL', 'NULL'), (6, '''a@b''', 'sha256(''a'')', 'now()', 'now()', 'NULL'), (7, '''a@b''', 'sha256(''a'')', 'NULL', 'NULL', 'minting.user_id(''catalog-user'')')) x (n, email, hash, accepted, revoked, accepted_by) ORDER BY n;
SELECT n, split_part(statement, ' ', 3) AS on, catalog.code(statement) AS code FROM catalog.wrong ORDER BY n;
-- The same secret twice, and two pending invitations of one address to one org.
INSERT INTO tenancy.invitations (org_id, role_id, email, token_hash, expires_at) SELECT o.id, r.id, 'A@catalog.test', sha256('a'), now() FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = 'catalog-acme' AND r.org_id IS NULL AND r.name = 'member';
SELECT catalog.code(format('INSERT INTO tenancy.invitations (org_id, role_id, email, token_hash, expires_at, revoked_at) SELECT o.id, r.id, ''%s@catalog.test'', sha256(''%s''), now(), %L FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = ''%s'' AND r.org_id IS NULL AND r.name = ''admin''', email, hash, revoked, org))
FROM (VALUES (1, 'a', 'b', NULL, 'catalog-acme'), (2, 'b', 'a', NULL, 'catalog-acme'), (3, 'a', 'c', NULL, 'catalog-beta'), (4, 'a', 'd', now()::text, 'catalog-acme')) x (n, email, hash, revoked, org) ORDER BY n;

\echo == what goes with what
-- A user's deletion takes what is the user's, and leaves the org; an org's takes its memberships, roles and invitations.
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'catalog-own' FROM tenancy.organizations WHERE slug = 'catalog-acme';
INSERT INTO tenancy.role_permissions SELECT id, 'audit', 'read' FROM tenancy.roles WHERE name = 'catalog-own';
UPDATE tenancy.organizations SET created_by = minting.user_id('catalog-user') WHERE slug = 'catalog-acme';
DELETE FROM tenancy.users WHERE name = 'catalog-user';
SELECT (SELECT count(*) FROM tenancy.identities WHERE subject = 'catalog-user') AS identities, (SELECT count(*) FROM tenancy.organizations WHERE slug = 'catalog-acme' AND created_by IS NULL) AS orgs,
	(SELECT count(*) FROM tenancy.memberships m JOIN tenancy.organizations o ON o.id = m.org_id WHERE o.slug = 'catalog-acme') AS memberships;
SELECT id AS acme FROM tenancy.organizations WHERE slug = 'catalog-acme' \gset
DELETE FROM tenancy.organizations WHERE slug = 'catalog-acme';
SELECT (SELECT count(*) FROM tenancy.memberships WHERE org_id = :'acme') AS memberships, (SELECT count(*) FROM tenancy.roles WHERE org_id = :'acme') AS roles, (SELECT count(*) FROM tenancy.invitations WHERE org_id = :'acme') AS invitations;
DELETE FROM tenancy.organizations WHERE slug = 'catalog-beta';
DELETE FROM tenancy.users WHERE name LIKE 'catalog-%';

\echo == what a dump carries
SELECT c.oid::regclass AS "table", c.condition FROM pg_extension e, unnest(e.extconfig, e.extcondition) c (oid, condition) WHERE e.extname = 'tenancy' ORDER BY c.oid::regclass::text;
-- Tables that it does not: none has a row.
SELECT name FROM catalog.relations r WHERE relkind IN ('r', 'S') AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'tenancy' AND r.oid = ANY (extconfig)) ORDER BY 1;

DROP SCHEMA catalog CASCADE;
