-- doctor(): each fault is planted, found, and mended by its own remedy. In a database of its own, where nothing else is wrong.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SELECT current_database() AS home, current_user AS dba \gset
CREATE DATABASE regress_tenancy_doctor TEMPLATE template0;
CREATE ROLE regress_tenancy_client LOGIN;
CREATE ROLE regress_tenancy_owner;
CREATE ROLE regress_tenancy_group;
CREATE ROLE regress_tenancy_report;
\c regress_tenancy_doctor
SET client_min_messages = warning;

\echo == a fresh installation has no findings
CREATE EXTENSION tenancy;
SELECT * FROM tenancy.doctor();

-- What doctor() finds, what its remedies leave, and "mended" if that is nothing.
CREATE SCHEMA clinic;
CREATE FUNCTION clinic.examine() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	f record;
	remedies text[] := '{}';
BEGIN
	FOR f IN SELECT * FROM tenancy.doctor() LOOP
		remedies := remedies || f.remedy;
		RETURN NEXT format('%s %s: %s', f.severity, f.check_id, f.object);
		RETURN NEXT '  ' || regexp_replace(f.problem, '\m' || current_user || '\M', 'DBA', 'g');
		RETURN NEXT '  ' || regexp_replace(f.remedy, '\m' || current_user || '\M', 'DBA', 'g');
	END LOOP;
	FOR i IN 1 .. cardinality(remedies) LOOP
		EXECUTE remedies[i];
	END LOOP;
	FOR f IN SELECT * FROM tenancy.doctor() LOOP
		RETURN NEXT format('LEFT %s: %s', f.check_id, f.object);
	END LOOP;
	IF NOT FOUND THEN
		RETURN NEXT 'mended';
	END IF;
END
$$;

\echo == with an application: what the installation guide asks for beside it
SELECT tenancy.grant_access('regress_tenancy_client');
SELECT clinic.examine();
-- A list that is there already is kept.
ALTER DATABASE regress_tenancy_doctor SET session_preload_libraries = 'plpgsql', "odd, one";
SELECT remedy FROM tenancy.doctor();
ALTER DATABASE regress_tenancy_doctor RESET session_preload_libraries;
ALTER ROLE regress_tenancy_client SET session_preload_libraries = '$libdir/tenancy';
SELECT clinic.examine();
ALTER ROLE regress_tenancy_client RESET session_preload_libraries;
SELECT clinic.examine();

\echo == tables that should be protected
CREATE SCHEMA shop;
CREATE TABLE shop.contact (org_id uuid REFERENCES tenancy.organizations, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text);
SELECT clinic.examine();
CREATE TABLE shop.by_name (org_id text);
CREATE TABLE shop.by_reference (owner_org uuid REFERENCES tenancy.organizations);
CREATE TABLE shop."Odd ""table""
" ("odd ""org""
" uuid REFERENCES tenancy.organizations);
CREATE TABLE shop.member (org_id uuid);
-- These are nobody's rows, or not org ids.
CREATE TABLE shop.country (code text);
CREATE TABLE shop.number (org_id integer);
CREATE TEMPORARY TABLE passing (org_id uuid);
SELECT clinic.examine();
SELECT schema_name, table_name, org_column, resource_type, complete FROM tenancy.protected_tables ORDER BY 2;
-- By a domain; and by the name that another table's org column has, unless it refers to something else or is the key.
CREATE DOMAIN shop.org AS uuid;
CREATE TABLE shop.by_domain (org_id shop.org);
CREATE TABLE shop.by_same_name (owner_org uuid);
CREATE TABLE shop.person (owner_org uuid PRIMARY KEY);
CREATE TABLE shop.pet (owner_org uuid REFERENCES shop.person);
SELECT clinic.examine();
CREATE TABLE shop.settings (id uuid PRIMARY KEY);
SELECT tenancy.protect('shop.settings', org_column => 'id');
CREATE TABLE shop.visit (id uuid, at date, PRIMARY KEY (id, at));
SELECT * FROM tenancy.doctor();
DROP TABLE shop.settings, shop.visit;
-- Its rows belong to rows of an org. One that no application uses, or that is declared shared, may be the DBA's.
INSERT INTO tenancy.organizations (id, slug, name) VALUES ('00000000-0000-4000-8000-0000000000aa', 'acme', 'Acme');
CREATE TABLE shop.invoice (id bigint GENERATED ALWAYS AS IDENTITY, at date, PRIMARY KEY (id, at));
SELECT tenancy.protect('shop.invoice');
INSERT INTO shop.invoice (at, org_id) VALUES ('2025-01-01', '00000000-0000-4000-8000-0000000000aa');
CREATE TABLE shop."line ""s""" (invoice bigint, at date, FOREIGN KEY (invoice, at) REFERENCES shop.invoice (id, at));
INSERT INTO shop."line ""s""" VALUES (1, '2025-01-01');
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON shop."line ""s""" FOR EACH ROW EXECUTE FUNCTION shop.refuse();
SELECT * FROM tenancy.doctor();
GRANT SELECT ON shop."line ""s""" TO regress_tenancy_client;
SELECT tenancy.share_table('shop', 'line "s"');
SELECT * FROM tenancy.doctor();
SELECT tenancy.unshare_table('shop', 'line "s"');
SELECT clinic.examine();
SELECT clinic.examine();
SELECT * FROM shop."line ""s""";
DROP TABLE shop."line ""s""", shop.invoice, shop.by_domain, shop.pet, shop.person, shop.by_same_name;
DROP FUNCTION shop.refuse();
DELETE FROM tenancy.organizations;
-- Row security made by hand, which protect() refuses.
CREATE TABLE shop.by_hand (org_id uuid);
ALTER TABLE shop.by_hand ENABLE ROW LEVEL SECURITY;
CREATE POLICY "by ""hand""" ON shop.by_hand USING (org_id = current_setting('by.hand')::uuid);
CREATE POLICY narrower ON shop.by_hand AS RESTRICTIVE USING (true);
CREATE RULE "no ""delete""" AS ON DELETE TO shop.by_hand DO INSTEAD NOTHING;
SELECT clinic.examine();
SELECT polname FROM pg_policy WHERE polrelid = 'shop.by_hand'::regclass AND polname !~ '^tenancy_';
DROP TABLE shop.by_hand;
-- A setting of the caller's, by which PostgreSQL would read the checks otherwise.
SET standard_conforming_strings = off;
SELECT * FROM tenancy.doctor();
RESET standard_conforming_strings;
CREATE FOREIGN DATA WRAPPER regress_tenancy_wrapper;
CREATE SERVER regress_tenancy_server FOREIGN DATA WRAPPER regress_tenancy_wrapper;
CREATE FOREIGN TABLE shop.abroad (org_id uuid) SERVER regress_tenancy_server;
SELECT * FROM tenancy.doctor();
GRANT SELECT (org_id), INSERT ON shop.abroad TO regress_tenancy_client;
SELECT clinic.examine();

\echo == protection that was undone
ALTER TABLE shop.contact DISABLE ROW LEVEL SECURITY;
ALTER TABLE shop.member NO FORCE ROW LEVEL SECURITY;
SELECT clinic.examine();
DROP POLICY tenancy_read ON shop.contact;
ALTER POLICY tenancy_wall_update ON shop.contact USING (true);
ALTER POLICY tenancy_delete ON shop.contact TO regress_tenancy_client;
CREATE POLICY "every""body" ON shop.contact USING (true);
CREATE POLICY narrower ON shop.contact AS RESTRICTIVE USING (email IS NOT NULL);
SELECT clinic.examine();
ALTER TABLE shop.contact ALTER org_id DROP NOT NULL, ALTER org_id DROP DEFAULT, DROP CONSTRAINT contact_org_id_fkey;
DROP INDEX shop.contact_org_id_idx;
SELECT clinic.examine();
ALTER TABLE shop.contact DROP CONSTRAINT contact_org_id_fkey, ADD CONSTRAINT "of ""org""" FOREIGN KEY (org_id) REFERENCES tenancy.organizations NOT VALID;
SELECT clinic.examine();
DROP POLICY tenancy_read ON shop.by_name; DROP POLICY tenancy_create ON shop.by_name; DROP POLICY tenancy_update ON shop.by_name; DROP POLICY tenancy_delete ON shop.by_name;
DROP POLICY tenancy_wall_create ON shop.by_name; DROP POLICY tenancy_wall_update ON shop.by_name; DROP POLICY tenancy_wall_delete ON shop.by_name;
ALTER POLICY tenancy_wall_read ON shop.by_name USING (true);
SELECT clinic.examine();

-- All of them, so that none says any more for which type, or by which column.
CREATE PROCEDURE clinic.alter_policies(expression text) LANGUAGE plpgsql AS $$
DECLARE
	p record;
BEGIN
	FOR p IN SELECT polname, polqual, polwithcheck FROM pg_policy WHERE polrelid = 'shop.by_reference'::regclass LOOP
		EXECUTE format('ALTER POLICY %I ON shop.by_reference', p.polname) || CASE WHEN p.polqual IS NOT NULL THEN format(' USING (%s)', expression) ELSE '' END
			|| CASE WHEN p.polwithcheck IS NOT NULL THEN format(' WITH CHECK (%s)', expression) ELSE '' END;
	END LOOP;
END
$$;
CALL clinic.alter_policies('owner_org IS NOT NULL');
SELECT clinic.examine();
CALL clinic.alter_policies('tenancy.require_org(''read'', ''by_reference'') IS NOT NULL');
SELECT clinic.examine();
SELECT table_name, org_column, resource_type, complete FROM tenancy.protected_tables WHERE table_name = 'by_reference';

\echo == partitions and children
CREATE TABLE shop.event (at date) PARTITION BY RANGE (at);
SELECT tenancy.protect('shop.event');
CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.contact_archive (until date) INHERITS (shop.contact);
CREATE TABLE shop.old_archive () INHERITS (shop.contact_archive);
SELECT clinic.examine();
SELECT table_name, resource_type, complete FROM tenancy.protected_tables WHERE table_name ~ 'archive' ORDER BY 1;
DROP TABLE shop.old_archive;
-- The other way round: an open parent.
CREATE TABLE shop.anything (id bigint NOT NULL);
ALTER TABLE shop.contact INHERIT shop.anything;
CREATE TABLE shop.whole (id integer, owner_org uuid NOT NULL) PARTITION BY LIST (id);
CREATE TABLE shop.part (LIKE shop.whole);
SELECT tenancy.protect('shop.part', org_column => 'owner_org');
ALTER TABLE shop.whole ATTACH PARTITION shop.part DEFAULT;
SELECT clinic.examine();
ALTER TABLE shop.part OWNER TO regress_tenancy_owner;
SELECT clinic.examine();
DROP TABLE shop.whole, shop.anything;

\echo == keys that tell one org of another
ALTER TABLE shop.contact ADD UNIQUE (email), ADD UNIQUE (org_id, id, email), ADD reference uuid UNIQUE, ADD serial serial UNIQUE;
CREATE UNIQUE INDEX "by ""lower""" ON shop.contact USING btree (lower(email) text_pattern_ops DESC) INCLUDE (id) WHERE email <> '';
SELECT clinic.examine();
\d shop.contact
CREATE TABLE shop.slashes ("org\1(" uuid, "na\1me(" text UNIQUE, during int4range, EXCLUDE USING gist (during WITH &&));
SELECT tenancy.protect('shop.slashes', org_column => 'org\1(');
SELECT clinic.examine();
DROP TABLE shop.slashes;
DROP EXTENSION btree_gist;
ALTER TABLE shop.contact ADD during int4range, ADD CONSTRAINT "over""laps" EXCLUDE USING gist (int4range(id::integer, id::integer + 1) WITH &&, during WITH =) WHERE (email <> '(');
SELECT clinic.examine();
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'shop.contact'::regclass AND contype = 'x';
ALTER TABLE shop.contact DROP during;
CREATE TABLE shop.plan (code text PRIMARY KEY);
ALTER TABLE shop.contact ADD plan text REFERENCES shop.plan ON DELETE CASCADE ON UPDATE CASCADE;
GRANT SELECT, INSERT, DELETE, UPDATE ON shop.plan TO regress_tenancy_client;
GRANT UPDATE (code) ON shop.plan TO PUBLIC;
GRANT DELETE ON shop.plan TO regress_tenancy_report;
SELECT clinic.examine();
ALTER TABLE shop.contact DROP plan, ADD plan text REFERENCES shop.plan;
GRANT UPDATE, DELETE ON shop.plan TO regress_tenancy_client;
SELECT clinic.examine();
ALTER TABLE shop.contact DROP plan;
DROP TABLE shop.plan;
CREATE TABLE shop.note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, contact_id bigint, parent bigint REFERENCES shop.note, FOREIGN KEY (contact_id) REFERENCES shop.contact (id) ON DELETE SET NULL,
	country text);
ALTER TABLE shop.country ADD PRIMARY KEY (code);
ALTER TABLE shop.note ADD FOREIGN KEY (country) REFERENCES shop.country;
SELECT tenancy.protect('shop.note');
SELECT clinic.examine();
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'shop.note'::regclass AND contype <> 'n' ORDER BY 1;

\echo == privileges, triggers and rules
GRANT ALL ON shop.contact TO regress_tenancy_client;
GRANT REFERENCES (id) ON shop.contact TO PUBLIC;
GRANT ALL ON shop.note TO regress_tenancy_owner;
-- A privilege since PostgreSQL 17, and mended first, so that the rest is the same everywhere.
SELECT count(*) = (current_setting('server_version_num')::int >= 170000)::int FROM tenancy.doctor() WHERE (severity, check_id, object, problem, remedy) =
	('warning', 'table_privilege', 'shop.contact', 'regress_tenancy_client has MAINTAIN on it: a lock that it takes stops every org.', 'REVOKE MAINTAIN ON shop.contact FROM regress_tenancy_client');
DO $$ BEGIN EXECUTE coalesce((SELECT remedy FROM tenancy.doctor() WHERE problem ~ 'MAINTAIN'), ''); END $$;
SELECT clinic.examine();
ALTER DEFAULT PRIVILEGES FOR ROLE regress_tenancy_owner IN SCHEMA shop GRANT ALL ON TABLES TO regress_tenancy_client, regress_tenancy_report;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_tenancy_owner GRANT SELECT, TRUNCATE ON TABLES TO PUBLIC;
-- MAINTAIN again, since PostgreSQL 17.
SELECT bool_or(problem = 'regress_tenancy_client will have MAINTAIN, REFERENCES, TRIGGER, TRUNCATE on each new table.') = (current_setting('server_version_num')::int >= 170000) FROM tenancy.doctor();
DO $$
BEGIN
	IF current_setting('server_version_num')::int >= 170000 THEN
		EXECUTE 'ALTER DEFAULT PRIVILEGES FOR ROLE regress_tenancy_owner IN SCHEMA shop REVOKE MAINTAIN ON TABLES FROM regress_tenancy_client, regress_tenancy_report';
	END IF;
END
$$;
SELECT clinic.examine();
ALTER DEFAULT PRIVILEGES FOR ROLE regress_tenancy_owner IN SCHEMA shop REVOKE ALL ON TABLES FROM regress_tenancy_client, regress_tenancy_report;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_tenancy_owner REVOKE ALL ON TABLES FROM PUBLIC;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER "touch it" BEFORE UPDATE ON shop.contact FOR EACH ROW EXECUTE FUNCTION shop.touch();
SELECT clinic.examine();
ALTER FUNCTION shop.touch() OWNER TO regress_tenancy_owner;
SELECT clinic.examine();
CREATE RULE "no ""note""" AS ON DELETE TO shop.note DO INSTEAD NOTHING;
SELECT clinic.examine();
ALTER TABLE shop.note DISABLE TRIGGER ALL;
SELECT check_id, severity, object, problem FROM tenancy.doctor();
SELECT substr(clinic.examine(), 1, 20);

\echo == views and functions that run with the rights of somebody who sees everything
CREATE VIEW shop.emails AS SELECT email FROM shop.contact;
CREATE VIEW shop.careful WITH (security_invoker = on) AS SELECT email FROM shop.contact;
CREATE VIEW shop.by_owner AS SELECT email FROM shop.emails;
GRANT SELECT ON shop.careful TO regress_tenancy_client;
-- Of a role to whom row security applies.
ALTER VIEW shop.by_owner OWNER TO regress_tenancy_owner;
GRANT SELECT ON shop.by_owner TO regress_tenancy_client;
SELECT clinic.examine();
GRANT SELECT (email) ON shop.emails TO regress_tenancy_owner;
SELECT clinic.examine();
CREATE MATERIALIZED VIEW shop.counts AS SELECT org_id, count(*) FROM shop.careful, shop.note GROUP BY org_id;
SELECT clinic.examine();
GRANT SELECT ON shop.counts TO PUBLIC, regress_tenancy_client;
SELECT clinic.examine();
GRANT SELECT ON shop.counts TO regress_tenancy_report;
ALTER VIEW shop.careful RESET (security_invoker);
REVOKE ALL ON shop.careful FROM regress_tenancy_client;
GRANT SELECT ON shop.careful TO regress_tenancy_report;
SELECT clinic.examine();
-- In a view of a superuser's one with security_invoker asks for the rights of whoever uses it.
ALTER VIEW shop.careful SET (security_invoker = true);
CREATE VIEW shop.outer AS SELECT email FROM shop.careful;
GRANT SELECT ON shop.outer, shop.careful TO regress_tenancy_client;
SELECT * FROM tenancy.doctor() WHERE object = 'shop.outer';
DROP VIEW shop.outer;
-- A rule has its owner's rights, wherever it is.
CREATE TABLE shop.inbox (id bigint);
CREATE RULE "clear ""all""" AS ON DELETE TO shop.inbox DO ALSO DELETE FROM shop.note;
CREATE VIEW shop.nothing WITH (security_invoker) AS SELECT 1 AS one;
CREATE RULE clear AS ON INSERT TO shop.nothing DO INSTEAD DELETE FROM shop.note;
SELECT * FROM tenancy.doctor() WHERE check_id ~ 'rule';
GRANT DELETE ON shop.inbox TO regress_tenancy_client;
GRANT INSERT ON shop.nothing TO regress_tenancy_report;
CREATE RULE harmless AS ON UPDATE TO shop.inbox DO ALSO DELETE FROM shop.careful;
GRANT UPDATE ON shop.inbox TO regress_tenancy_client;
SELECT clinic.examine();
DROP TABLE shop.inbox;
DROP VIEW shop.nothing;
CREATE FUNCTION shop.by_view() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM shop.careful';
CREATE FUNCTION shop.open_path() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = shop, "odd, one" AS 'SELECT 1::bigint';
CREATE FUNCTION shop.closed_path() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1::bigint';
-- Triggers need no privilege to run; one that nothing sets off does nothing.
CREATE FUNCTION shop.log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO shop.note DEFAULT VALUES; RETURN NEW; END';
REVOKE EXECUTE ON FUNCTION shop.log() FROM PUBLIC;
SELECT clinic.examine();
CREATE TRIGGER log BEFORE INSERT ON shop.country FOR EACH ROW EXECUTE FUNCTION shop.log();
SELECT clinic.examine();
CREATE FUNCTION shop.count_contacts(integer DEFAULT 0) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN (SELECT count(*) FROM shop.contact); END';
CREATE FUNCTION shop.all_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp BEGIN ATOMIC SELECT count(*) FROM shop.note; END;
CREATE PROCEDURE shop.nothing() LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN END';
-- The owner's policies hold, or nobody else may call it, or it names something else.
CREATE FUNCTION shop.own_contacts() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM shop.contact';
ALTER FUNCTION shop.own_contacts() OWNER TO regress_tenancy_owner;
CREATE FUNCTION shop.private() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM shop.contact';
REVOKE EXECUTE ON FUNCTION shop.private() FROM PUBLIC;
CREATE FUNCTION shop.other() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT ''contactless notes''';
SELECT clinic.examine();
CREATE FUNCTION shop.same(text, text) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT $1 = $2';
SELECT clinic.examine();

\echo == what a restore or an upgrade takes back
SELECT tenancy.allow_pushdown('{jsonb,network}') > 0;
SELECT clinic.examine();
ALTER FUNCTION jsonb_exists(jsonb, text) NOT LEAKPROOF;
ALTER FUNCTION jsonb_eq(jsonb, jsonb) NOT LEAKPROOF;
SELECT clinic.examine();
-- Here there is no version to update to: the remedy fails.
BEGIN;
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'tenancy';
SELECT check_id, severity, object, replace(problem, (SELECT default_version FROM pg_available_extensions WHERE name = 'tenancy'), 'X'), remedy FROM tenancy.doctor();
ROLLBACK;

\echo == publications
SET client_min_messages = error;
CREATE PUBLICATION one FOR TABLE shop.contact, shop.country;
CREATE PUBLICATION filtered FOR TABLE shop.contact WHERE (org_id = '00000000-0000-4000-8000-000000000001');
CREATE PUBLICATION "a schema" FOR TABLES IN SCHEMA shop;
CREATE PUBLICATION everything FOR ALL TABLES;
SET client_min_messages = warning;
SELECT clinic.examine();

\echo == roles that applications use
ALTER ROLE regress_tenancy_client SUPERUSER BYPASSRLS CREATEROLE REPLICATION;
SELECT clinic.examine();
ALTER TABLE shop.country OWNER TO regress_tenancy_client;
ALTER TABLE shop.note OWNER TO regress_tenancy_client;
SELECT clinic.examine();
ALTER SCHEMA shop OWNER TO regress_tenancy_client;
ALTER DATABASE regress_tenancy_doctor OWNER TO regress_tenancy_client;
SELECT clinic.examine();
-- A group that others log in as members of. One without INHERIT has its rights only after SET ROLE, which row security then applies to.
CREATE ROLE regress_tenancy_login LOGIN BYPASSRLS;
CREATE ROLE regress_tenancy_between;
CREATE ROLE regress_tenancy_apart LOGIN BYPASSRLS NOINHERIT;
GRANT regress_tenancy_client TO regress_tenancy_between, regress_tenancy_apart;
GRANT regress_tenancy_between TO regress_tenancy_login;
SELECT clinic.examine();
ALTER ROLE regress_tenancy_login NOBYPASSRLS;
GRANT regress_tenancy_between TO regress_tenancy_login;
SELECT clinic.examine();
ALTER TABLE shop.note OWNER TO regress_tenancy_login;
SELECT clinic.examine();
ALTER TABLE shop.note OWNER TO :"dba";
DROP ROLE regress_tenancy_login, regress_tenancy_between, regress_tenancy_apart;
-- By another role, which passes on no rights but can be taken on.
ALTER ROLE regress_tenancy_group NOINHERIT;
ALTER TABLE shop.note OWNER TO regress_tenancy_owner;
GRANT regress_tenancy_group TO regress_tenancy_client;
GRANT regress_tenancy_owner, pg_execute_server_program, pg_read_all_data, pg_monitor TO regress_tenancy_group;
SELECT clinic.examine();
-- A session without the library does not ask it, and stores a token.
ALTER DATABASE regress_tenancy_doctor RESET session_preload_libraries;
\c
SET client_min_messages = warning;
ALTER ROLE regress_tenancy_client SET tenancy.session_token = 'a.b.c';
ALTER DATABASE regress_tenancy_doctor SET tenancy.session_token = 'a.b.c';
ALTER ROLE regress_tenancy_client IN DATABASE regress_tenancy_doctor SET tenancy.cross_org = on;
ALTER ROLE regress_tenancy_client SET tenancy.token_scope = 'transaction';
SELECT clinic.examine();
ALTER ROLE regress_tenancy_client RESET ALL;

\echo == privileges on the objects of tenancy
GRANT SELECT ON tenancy.users, tenancy.members TO PUBLIC;
GRANT INSERT ON tenancy.superadmins TO regress_tenancy_client;
GRANT UPDATE (status) ON tenancy.users TO regress_tenancy_client;
GRANT REFERENCES (id) ON tenancy.organizations TO regress_tenancy_owner;
GRANT EXECUTE ON FUNCTION tenancy.session() TO PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.run_as_owner(regclass, text, uuid) TO regress_tenancy_client;
GRANT CREATE ON SCHEMA tenancy TO regress_tenancy_client;
ALTER FUNCTION tenancy.can_i(text, text) OWNER TO regress_tenancy_owner;
ALTER TABLE tenancy.roles OWNER TO regress_tenancy_owner;
ALTER SCHEMA tenancy OWNER TO regress_tenancy_owner;
ALTER FUNCTION tenancy.leave_org() RESET ALL;
ALTER FUNCTION tenancy.current_org_if(text, text) IMMUTABLE;
ALTER FUNCTION tenancy.current_org() LEAKPROOF;
CREATE OR REPLACE FUNCTION tenancy.require_org(action text, resource_type text) RETURNS uuid LANGUAGE sql AS 'SELECT id FROM tenancy.organizations LIMIT 1';
CREATE OR REPLACE FUNCTION tenancy.cross_org_active() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS 'SELECT true';
ALTER FUNCTION tenancy.list_invitations() SET search_path = pg_catalog, public, pg_temp;
CREATE ROLE regress_tenancy_hook;
SELECT tenancy.grant_sync('regress_tenancy_hook');
SELECT clinic.examine();
SELECT tenancy.revoke_sync('regress_tenancy_hook');
DROP ROLE regress_tenancy_hook;

\echo == the tables of tenancy
ALTER TABLE tenancy.users DISABLE ROW LEVEL SECURITY;
CREATE POLICY open ON tenancy.users USING (true);
ALTER TABLE tenancy.users DISABLE TRIGGER signal_change;
ALTER TABLE tenancy.memberships ENABLE TRIGGER signal_change;
ALTER TABLE tenancy.audit_events DISABLE TRIGGER append_only;
ALTER TABLE tenancy.role_permissions DISABLE TRIGGER check_action;
DROP TRIGGER signal_change ON tenancy.signing_keys;
DROP TRIGGER signal_replicated_change ON tenancy.issuers;
ALTER TABLE tenancy.roles ENABLE TRIGGER signal_replicated_change;
SELECT clinic.examine();
DELETE FROM tenancy.roles WHERE name = 'viewer';
DELETE FROM tenancy.role_permissions WHERE resource_type = 'invitation' AND action = 'create';
SELECT tenancy.revoke_permission('admin', 'update', 'org');
SELECT clinic.examine();

\echo == issuers
CREATE FUNCTION clinic.jwks(algorithm text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE algorithm
		WHEN 'EdDSA' THEN '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "o''k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'::jsonb
		ELSE '{"keys": [{"kty": "oct", "kid": "secret", "alg": "HS256", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}' END;
END
$$;
SELECT tenancy.trust_issuer('https://good.test', clinic.jwks('EdDSA'), '{app}'), tenancy.trust_issuer('https://party.test', clinic.jwks('EdDSA'), NULL, '{app}'),
	tenancy.trust_issuer('http://localhost:3000', clinic.jwks('EdDSA'), '{app}');
SELECT clinic.examine();
SELECT tenancy.trust_issuer('http://plain.test', clinic.jwks('EdDSA'), '{app}'), tenancy.trust_issuer('https://empty''.test', clinic.jwks('EdDSA'), '{app}'), tenancy.trust_issuer('https://broken.test', clinic.jwks('EdDSA'), '{app}');
UPDATE tenancy.signing_keys k SET jwk = '{"kty": "OKP"}' FROM tenancy.issuers i WHERE i.id = k.issuer_id AND i.issuer = 'https://broken.test';
DELETE FROM tenancy.signing_keys k USING tenancy.issuers i WHERE i.id = k.issuer_id AND i.issuer LIKE 'https://empty%';
SELECT regexp_replace(clinic.examine(), '[0-9a-f-]{36}', 'UUID');
-- A key set that has become empty is a finding of its own.
SELECT tenancy.distrust_issuer('https://broken.test');
SELECT tenancy.trust_issuer('https://any.test', clinic.jwks('EdDSA')), tenancy.trust_issuer('https://secret.test', clinic.jwks('HS256'), '{app}');
SELECT check_id, severity, object, problem, regexp_replace(remedy, '[0-9a-f-]{36}', 'UUID') FROM tenancy.doctor();
-- Which audience, only the DBA knows. psql looks for variables in the value of a variable, too.
\set audience 'it''s app'
SELECT remedy FROM tenancy.doctor() WHERE check_id = 'issuer_without_audience' \gset
:remedy;
SELECT issuer, audiences FROM tenancy.issuers WHERE issuer = 'https://any.test';
DO $$ BEGIN EXECUTE (SELECT remedy FROM tenancy.doctor() WHERE check_id = 'shared_secret_key'); END $$;
-- It was the only one.
SELECT clinic.examine();

\echo == people
INSERT INTO tenancy.users (id, email, email_verified, status) VALUES
	('00000000-0000-4000-8000-00000000000a', 'ann@example.com', true, 'active'), ('00000000-0000-4000-8000-00000000000b', 'ben@example.com', false, 'active'),
	('00000000-0000-4000-8000-00000000000c', 'cy@example.com', true, 'disabled');
INSERT INTO tenancy.organizations (id, slug, name) SELECT format('00000000-0000-4000-8000-0000000000%s', n)::uuid, n, n FROM unnest('{01,02,03}'::text[]) n;
INSERT INTO tenancy.memberships SELECT u.id, o.id, '2025-01-01' FROM tenancy.users u, tenancy.organizations o WHERE o.slug = '01' OR o.slug = '02' AND u.email ~ 'cy';
INSERT INTO tenancy.membership_roles SELECT m.user_id, m.org_id, r.id FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id AND u.email ~ 'cy', tenancy.roles r WHERE r.name = 'admin';
SELECT clinic.examine();
SELECT clinic.examine();
INSERT INTO tenancy.superadmins VALUES ('00000000-0000-4000-8000-00000000000a');
ALTER DATABASE regress_tenancy_doctor SET tenancy.superadmin_emails = 'Ann@example.com, ben@example.com,cy@example.com,new@example.com';
SELECT check_id, severity, object, problem, remedy FROM tenancy.doctor();
DELETE FROM tenancy.superadmins;
SELECT clinic.examine();

\echo == nothing is left to find, and all that was mended is as it was
SELECT * FROM tenancy.doctor();
\c :home
SET client_min_messages = warning;
DROP DATABASE regress_tenancy_doctor;

\echo == a superadmin sees what is wrong, and no setting that PostgreSQL shows superusers alone
SELECT minting.enrol('doctor-root', 'doctor-acme', 'admin'), minting.enrol('doctor-listed', 'doctor-acme');
INSERT INTO tenancy.superadmins VALUES (minting.user_id('doctor-root'));
UPDATE tenancy.users SET email = 'listed@doctor.test', email_verified = true WHERE id = minting.user_id('doctor-listed');
ALTER DATABASE :"home" SET tenancy.superadmin_emails = 'listed@doctor.test';
SELECT minting.token('clerk', '{"sub": "doctor-root"}') AS root, minting.token('clerk', '{"sub": "doctor-listed"}') AS listed \gset
SELECT count(*) > 1, count(*) FILTER (WHERE check_id = 'superadmin_listed') FROM tenancy.doctor();
\c - regress_tenancy_app
SET client_min_messages = warning;
SET tenancy.session_token = :'root';
SELECT count(*) > 1, count(*) FILTER (WHERE check_id = 'superadmin_listed') FROM tenancy.doctor();
SET tenancy.session_token = :'listed';
SELECT * FROM tenancy.doctor();
RESET tenancy.session_token;
SELECT * FROM tenancy.doctor();
\c - :dba
SET client_min_messages = warning;
ALTER DATABASE :"home" RESET tenancy.superadmin_emails;
DROP ROLE regress_tenancy_client, regress_tenancy_owner, regress_tenancy_group, regress_tenancy_report;
