-- Why a row is not visible; and that nobody learns of a row that is not theirs to know of.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE ROLE regress_tenancy_keeper;
CREATE SCHEMA why AUTHORIZATION regress_tenancy_keeper;
GRANT USAGE ON SCHEMA why TO regress_tenancy_app;
CREATE FUNCTION why.sign_in(subject text, org text DEFAULT '', claims jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'why-' || subject) || claims), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
SELECT minting.enrol('why-admin', 'why-acme', 'admin'), minting.enrol('why-member', 'why-acme'), minting.enrol('why-viewer', 'why-acme', 'viewer'), minting.enrol('why-other', 'why-beta', 'admin'),
	minting.enrol('why-both', 'why-acme', 'admin'), minting.enrol('why-both', 'why-beta', 'viewer'), minting.enrol('why-two', 'why-acme', 'admin'), minting.enrol('why-two', 'why-beta', 'admin'),
	minting.enrol('why-shut', 'why-shut', 'admin'), minting.enrol('why-gone', 'why-beta', 'admin'), minting.enrol('why-root', 'why-home', 'admin') \g /dev/null
UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'unpaid' WHERE slug = 'why-shut';
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'why-gone';
INSERT INTO tenancy.superadmins VALUES (minting.user_id('why-root'));

CREATE DOMAIN why.code AS text COLLATE "C" CHECK (value ~ '^[a-z]+$');
CREATE TABLE why.note (id int PRIMARY KEY, body text);
CREATE TABLE why.item (org_id uuid NOT NULL, "the key" why.code, PRIMARY KEY ("the key", org_id));
CREATE TABLE why.pair (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE why.bare (a int);
CREATE TABLE why.open (id int PRIMARY KEY);
CREATE TABLE why.secret (id int PRIMARY KEY);
SELECT tenancy.protect(('why.' || t)::regclass, 'why_note') FROM unnest('{note,item,pair,bare,secret}'::text[]) t \g /dev/null
INSERT INTO why.note SELECT CASE o.slug WHEN 'why-acme' THEN 1 WHEN 'why-beta' THEN 2 ELSE 3 END, o.slug, o.id FROM tenancy.organizations o WHERE o.slug IN ('why-acme', 'why-beta', 'why-shut');
INSERT INTO why.item SELECT id, 'shared' FROM tenancy.organizations WHERE slug IN ('why-acme', 'why-beta');
INSERT INTO why.item SELECT id, 'acme' FROM tenancy.organizations WHERE slug = 'why-acme';
GRANT SELECT ON why.note, why.item, why.pair, why.bare, why.open TO regress_tenancy_app;
SELECT format('ALTER TABLE why.%I OWNER TO regress_tenancy_keeper', t) FROM unnest('{note,item,pair,bare,secret}'::text[]) t \gexec

CREATE FUNCTION why.told(target regclass, key text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', check_name, coalesce(passed::text, 'null'), regexp_replace(regexp_replace(reason, 'until .*', 'until (time)'), '[0-9a-f]{8}-[0-9a-f-]{27}', '(id)')), E'\n') FROM tenancy.why_not(target, key)
$$;

\echo == the row's org's admin, and administrators
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT why.sign_in('admin');
SELECT why.told('why.note', '1');
-- Whatever org is current, and whatever state the session is in.
SELECT why.sign_in('both');
SELECT why.told('why.note', '1');
SELECT why.sign_in('both', 'why-beta');
SELECT why.told('why.note', '1');
SELECT why.sign_in('shut');
SELECT why.told('why.note', '3');
-- Of two rows of one key, that of the current org.
SELECT why.sign_in('two', 'why-beta');
SELECT why.told('why.item', 'shared');
SELECT why.told('why.item', 'acme');
-- A superadmin, about any.
SELECT why.sign_in('root');
SELECT why.told('why.note', '2');
SET tenancy.cross_org = on;
SELECT why.told('why.note', '2');
SET tenancy.cross_org = off;
SELECT why.told('why.note', '9');
\c - :dba
SET client_min_messages = warning;
SELECT why.told('why.note', '2');
SELECT why.told('why.note', '9');
CREATE POLICY narrow ON why.note AS RESTRICTIVE FOR SELECT USING (body <> 'why-acme');
SELECT tenancy.revoke_permission('admin', 'read', 'why_note');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT why.sign_in('admin');
SELECT why.told('why.note', '1');
\c - :dba
SET client_min_messages = warning;
DROP POLICY narrow ON why.note;
SELECT tenancy.grant_permission('admin', 'read', 'why_note');

\echo == to everybody else a row of another org is as one that does not exist
\c - regress_tenancy_app
SET client_min_messages = warning;
-- The complete output for a row in another org, a row in an org where one is no admin, and none at all.
CREATE FUNCTION pg_temp.oracle(subject text, org text, foreign_key text, OUT told text, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	existing jsonb;
	missing jsonb;
BEGIN
	PERFORM why.sign_in(subject, org);
	existing := (SELECT jsonb_agg(to_jsonb(w)) FROM tenancy.why_not('why.note', foreign_key) w);
	missing := (SELECT jsonb_agg(to_jsonb(w)) FROM tenancy.why_not('why.note', '9') w);
	told := existing;
	same := existing = missing;
END
$$;
SELECT n, subject, o.* FROM (VALUES (1, 'admin', '', '2'), (2, 'member', '', '2'), (3, 'member', '', '1'), (4, 'viewer', '', '2'), (5, 'viewer', '', '1'), (6, 'other', '', '1'), (7, 'both', '', '2'), (8, 'both', 'why-beta', '2'),
	(9, 'both', 'why-acme', '3'), (10, 'two', '', '3'), (11, 'shut', '', '1'), (12, 'gone', '', '2'), (13, 'nobody', '', '1'), (14, 'other', 'why-acme', '1')) x (n, subject, org, key), LATERAL pg_temp.oracle(subject, org, key) o ORDER BY n;
RESET tenancy.session_token;
SELECT why.told('why.note', '1') = why.told('why.note', '9') AS same;
-- Nor by what it counts: it does not look.
SELECT why.sign_in('viewer');
BEGIN;
SELECT seq_tup_read + idx_tup_fetch AS before FROM pg_stat_xact_user_tables WHERE relid = 'why.note'::regclass \gset
SELECT why.told('why.note', '2');
SELECT seq_tup_read + idx_tup_fetch - :before AS read FROM pg_stat_xact_user_tables WHERE relid = 'why.note'::regclass;
COMMIT;

\echo == it reads as the owner of the table, whose code may be in the way
-- A key's type may have a check of the owner's making.
\c - :dba
SET client_min_messages = warning;
CREATE FUNCTION why.spy(value text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'checked as %', current_user; RETURN true; END $$;
CREATE DOMAIN why.watched AS text CHECK (why.spy(value));
CREATE TABLE why.spied (id why.watched PRIMARY KEY);
SELECT tenancy.protect('why.spied', 'why_note');
ALTER TABLE why.spied OWNER TO regress_tenancy_keeper;
SELECT why.told('why.spied', 'x');

\echo == nor does a table that somebody has forged tell of an org
-- An org column whose type is cast to whatever org one administers, and shows another.
CREATE FUNCTION why.forge(victim uuid, mine uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TYPE why.label AS ENUM (%L)', victim);
	EXECUTE format('CREATE FUNCTION why.label_org(why.label) RETURNS uuid LANGUAGE sql IMMUTABLE AS %L', format('SELECT %L::uuid', mine));
END
$$;
SELECT why.forge(a.id, b.id) FROM tenancy.organizations a, tenancy.organizations b WHERE a.slug = 'why-acme' AND b.slug = 'why-beta';
CREATE CAST (why.label AS uuid) WITH FUNCTION why.label_org AS IMPLICIT;
CREATE TABLE why.forged (id int PRIMARY KEY, org_id why.label);
INSERT INTO why.forged SELECT 1, enum_first(NULL::why.label);
CREATE POLICY tenancy_read ON why.forged USING (org_id = tenancy.current_org_if('read', 'why_note'));
ALTER TABLE why.forged OWNER TO regress_tenancy_keeper;
GRANT SELECT ON why.forged TO regress_tenancy_app;
-- Past the check of the column's type, too, what is found is compared with what one administers.
SELECT why.sign_in('other');
SELECT tenancy.why_not_org('why.forged', 'org_id', '1');
RESET tenancy.session_token;
SELECT tenancy.why_not_org('why.forged', 'org_id', '1') = id AS as_administrator FROM tenancy.organizations WHERE slug = 'why-acme';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT why.sign_in('other');
SELECT minting.refusal('SELECT * FROM tenancy.why_not(''why.forged'', ''1'')');


\echo == bad arguments
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT why.sign_in('admin');
SELECT t, k, minting.refusal(format('SELECT * FROM tenancy.why_not(%L, %L)', t, k)) FROM (VALUES (1, NULL, '1'), (2, 'why.note', NULL), (3, 'why.note', 'x'), (4, 'why.note', '1; DROP TABLE why.note'), (5, 'why.item', 'NOT A CODE'), (6, 'why.pair', '1'), (7, 'why.bare', '1'), (8, 'why.open', '1'), (9, 'why.secret', '1'), (10, 'tenancy.users', '1')) x (n, t, k) ORDER BY n;
SELECT minting.refusal('SELECT * FROM tenancy.why_not(4294967295::regclass, ''1'')');
SET tenancy.session_token = 'nonsense';
SELECT left(minting.refusal('SELECT * FROM tenancy.why_not(''why.note'', ''1'')'), 5);

\c - :dba
SET client_min_messages = warning;
DROP SCHEMA why CASCADE;
DROP ROLE regress_tenancy_keeper;
DELETE FROM tenancy.users WHERE name LIKE 'why-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'why-%';
DELETE FROM tenancy.role_permissions WHERE resource_type = 'why_note';
DELETE FROM tenancy.resource_types WHERE name = 'why_note';
