-- The audit log: every function that changes something leaves its row in the same transaction, and says who, where, what it was
-- and what it is. What is refused, undone or changes nothing leaves none. Nobody touches a row again, and nobody sees another
-- org's. Rows that other tests look at, function by function, are not repeated here in full; that each has one is.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA audit TO regress_tenancy_app;

CREATE FUNCTION audit.sign_in(subject text, org text DEFAULT '', claims jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'audit-' || subject) || claims), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
SELECT minting.enrol('audit-admin', 'audit-acme', 'admin'), minting.enrol('audit-member', 'audit-acme'), minting.enrol('audit-viewer', 'audit-acme', 'viewer'), minting.enrol('audit-mate', 'audit-acme', 'admin'),
	minting.enrol('audit-other', 'audit-beta', 'admin'), minting.enrol('audit-root', 'audit-home', 'admin') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('audit-root'));
CREATE TABLE audit.users AS SELECT substr(name, 7) AS name, id FROM tenancy.users WHERE name LIKE 'audit-%';
CREATE TABLE audit.note (body text);
GRANT SELECT ON audit.users TO regress_tenancy_app;
CREATE FUNCTION audit.id(name text) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT u.id FROM audit.users u WHERE u.name = id.name $$;
CREATE FUNCTION audit.rows() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT count(*) FROM tenancy.audit_events $$;
SELECT minting.make_key('audit', 'HS256', 'audit-1', 'https://audit.test'), minting.make_key('audit_2', 'HS256', 'audit-1', 'https://audit.test') \g /dev/null
CREATE TABLE audit.jwks AS SELECT k.name, jsonb_build_object('keys', jsonb_build_array(k.jwk)) AS jwks FROM minting.keys k WHERE name LIKE 'audit%';
GRANT SELECT ON audit.jwks TO regress_tenancy_app;

\echo == one row a call, in the same transaction
-- Each as somebody who may, or as the DBA; and again at once, when nothing is left to change. protect() also adds a resource type.
CREATE TABLE audit.calls (n serial, who text, call text);
INSERT INTO audit.calls (who, call) VALUES
	('root', $$trust_issuer('https://audit.test', (SELECT jwks FROM audit.jwks WHERE name = 'audit'))$$),
	('root', $$import_jwks('https://audit.test', (SELECT jwks FROM audit.jwks WHERE name = 'audit_2'))$$),
	('root', $$distrust_issuer('https://audit.test')$$),
	('root', $$add_resource_type('audit_report', '{read}')$$),
	('root', $$add_resource_type('audit_report', '{read,export}')$$),
	('DBA', $$protect('audit.note', 'audit_note')$$),
	('DBA', $$unprotect('audit.note')$$),
	('root', $$require_fresh_authentication('export', 'audit_report', '5 minutes')$$),
	('root', $$require_fresh_authentication('export', 'audit_report', NULL)$$),
	('root', $$suspend_org('audit-acme', 'unpaid')$$),
	('root', $$resume_org('audit-acme')$$),
	('root', $$archive_org('audit-acme')$$),
	('root', $$resume_org('audit-acme')$$),
	('root', $$rename_org('audit-acme', 'Acme')$$),
	('root', $$add_superadmin(audit.id('member'))$$),
	('root', $$remove_superadmin(audit.id('member'))$$),
	('root', $$disable_user(audit.id('member'), 'lost phone')$$),
	('root', $$enable_user(audit.id('member'))$$),
	('DBA', $$sync_org('https://clerk.test', 'audit-synced', 'Audit Synced', 'audit-synced')$$),
	('root', $$sync_member('https://clerk.test', 'audit-synced', 'audit-other', 'viewer')$$),
	('root', $$sync_member('https://clerk.test', 'audit-synced', 'audit-other', NULL)$$),
	('admin', $$set_member_roles(audit.id('member'), '{viewer}')$$),
	('admin', $$set_default_org('audit-acme')$$);
GRANT SELECT ON audit.calls TO regress_tenancy_app;
-- How many rows a call leaves, and a second call of the same.
CREATE FUNCTION audit.counted(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint := audit.rows();
BEGIN
	EXECUTE 'SELECT tenancy.' || call;
	RETURN audit.rows() - before;
END
$$;
CREATE TABLE audit.looked (at timestamptz);
INSERT INTO audit.looked VALUES (clock_timestamp());
CREATE FUNCTION audit.seen() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT concat_ws(' ', e.action, coalesce(o.slug, 'no org'), coalesce(t.name, e.target), 'by', coalesce(u.name, 'nobody'), coalesce(e.issuer || ' ' || e.subject || ' ' || e.session_id, 'no token'), CASE e.database_role WHEN current_user THEN 'DBA' ELSE e.database_role END,
		coalesce(e.old_values::text, 'null'), '=>', regexp_replace(coalesce(e.new_values::text, 'null'), '"[0-9a-f-]{36}"', '(id)'))
	FROM audit.looked l, tenancy.audit_events e LEFT JOIN tenancy.organizations o ON o.id = e.org_id LEFT JOIN audit.users u ON u.id = e.user_id LEFT JOIN audit.users t ON t.id::text = e.target WHERE e.at > l.at ORDER BY e.at
$$;
CREATE FUNCTION audit.last() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT concat_ws(' ', e.action, 'by', u.name, e.subject) FROM tenancy.audit_events e LEFT JOIN audit.users u ON u.id = e.user_id ORDER BY e.at DESC LIMIT 1 $$;
CREATE FUNCTION audit.run(caller text) RETURNS TABLE (call text, first text, again text) LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT a.call FROM audit.calls a WHERE a.who = caller ORDER BY a.n LOOP
		call := c.call;
		first := audit.counted(c.call);
		again := audit.counted(c.call);
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT * FROM audit.run('DBA');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT audit.sign_in('root', claims => '{"sid": "session-1", "jti": "token-1"}');
SELECT * FROM audit.run('root');
-- Plain INSERT too.
INSERT INTO tenancy.resource_types (name, actions) VALUES ('audit_plain', '{read}');
SELECT audit.sign_in('admin', claims => '{"jti": "token-2"}');
SELECT * FROM audit.run('admin');
SELECT audit.seen();
-- What is no string names no sign-in.
SELECT audit.sign_in('admin', claims => '{"sid": 7, "jti": "token-3"}');
BEGIN;
SELECT tenancy.set_default_org(NULL);
SELECT count(*) FROM audit.seen() s WHERE s LIKE 'set_default_org % token-3 %';
ROLLBACK;
-- A change of tokens_valid_from is another each time.
SELECT audit.sign_in('root');
SELECT audit.counted('revoke_tokens(audit.id(''viewer''))'), audit.counted('revoke_tokens(audit.id(''viewer''))');

-- Of who ends their own token with it, too.
BEGIN;
SELECT tenancy.revoke_tokens(audit.id('root'));
SELECT status FROM tenancy.session();
SELECT minting.refusal('SELECT tenancy.suspend_org(''audit-acme'', ''x'')') LIKE '28T07%' AS revoked;
SELECT audit.last();
ROLLBACK;
BEGIN;
SELECT tenancy.distrust_issuer('https://clerk.test');
SELECT status FROM tenancy.session();
SELECT audit.last();
ROLLBACK;
BEGIN;
SELECT tenancy.sync_user_deleted('https://clerk.test', 'audit-root');
SELECT audit.last();
ROLLBACK;

\echo == what is refused, fails or is undone leaves none
SELECT audit.rows() AS rows \gset
SELECT audit.sign_in('viewer', claims => jsonb_build_object('iat', floor(extract(epoch FROM now())) + 3));
SELECT count(*) FILTER (WHERE minting.refusal('SELECT tenancy.' || call) LIKE '42501%') AS refused, count(*) FILTER (WHERE minting.refusal('SELECT tenancy.' || call) NOT LIKE '42501%') AS otherwise FROM audit.calls WHERE call NOT LIKE 'set_default_org%';
SELECT audit.sign_in('root');
SELECT minting.refusal('SELECT tenancy.suspend_org(''audit-none'', ''unpaid'')') IS NOT NULL AS refused;
BEGIN;
SELECT tenancy.suspend_org('audit-acme', 'unpaid');
SELECT audit.rows() - :rows AS meanwhile;
SAVEPOINT s;
SELECT tenancy.resume_org('audit-acme');
ROLLBACK TO s;
SELECT audit.rows() - :rows AS meanwhile;
ROLLBACK;
SELECT audit.rows() - :rows AS more;

\echo == who sees it
\c - :dba
SET client_min_messages = warning;
SELECT count(*) AS acme FROM tenancy.audit_events e JOIN tenancy.organizations o ON o.id = e.org_id AND o.slug = 'audit-acme' \gset
SELECT count(*) AS all FROM tenancy.audit_events \gset
\c - regress_tenancy_app
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.sees(subject text, org text DEFAULT '') RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM audit.sign_in(subject, org, jsonb_build_object('iat', floor(extract(epoch FROM now())) + 3));
	RETURN (SELECT count(*) FROM tenancy.audit_log);
END
$$;
SELECT pg_temp.sees('admin') = :acme AND :acme > 5 AS admin, pg_temp.sees('member') AS member, pg_temp.sees('viewer') AS viewer, pg_temp.sees('other', 'audit-acme') AS from_outside, pg_temp.sees('nobody') AS nobody, pg_temp.sees('root') = :all AS root;
SELECT pg_temp.sees('other');
SELECT count(*) FROM tenancy.audit_log WHERE org_id IS DISTINCT FROM tenancy.current_org();
RESET tenancy.session_token;
SELECT count(*) FROM tenancy.audit_log;

\echo == append-only
SELECT pg_temp.sees('root') > 0 AS root;
SELECT s, left(minting.refusal(s), 5) FROM unnest('{DELETE FROM tenancy.audit_events,UPDATE tenancy.audit_events SET action = NULL,TRUNCATE tenancy.audit_events,DELETE FROM tenancy.audit_log,UPDATE tenancy.audit_log SET action = NULL,INSERT INTO tenancy.audit_log (action) VALUES (NULL),"SELECT tenancy.record_change(''x'', NULL, NULL)"}'::text[]) s;
\c - :dba
SET client_min_messages = warning;
SELECT s, left(minting.refusal(s), 5) FROM unnest('{DELETE FROM tenancy.audit_events,UPDATE tenancy.audit_events SET action = NULL,TRUNCATE tenancy.audit_events,DELETE FROM tenancy.audit_log,DELETE FROM tenancy.audit_events WHERE false}'::text[]) s;
SET session_replication_role = replica;
SELECT s, minting.refusal(s) FROM unnest('{DELETE FROM tenancy.audit_events,UPDATE tenancy.audit_events SET action = NULL,TRUNCATE tenancy.audit_events}'::text[]) s;
RESET session_replication_role;

\echo == no secrets
-- Neither a token nor a part of one, nor a key.
SELECT count(*) FROM tenancy.audit_events e WHERE e::text ~ 'eyJ';
SELECT count(*) FROM tenancy.audit_events e, minting.keys k, jsonb_each_text(k.jwk) m WHERE m.key IN ('k', 'n', 'x', 'y') AND strpos(e::text, m.value) > 0;
SELECT count(*) > 0 AS checked FROM minting.keys k, jsonb_each_text(k.jwk) m WHERE m.key = 'k';

DROP SCHEMA audit CASCADE;
DELETE FROM tenancy.users WHERE name LIKE 'audit-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'audit-%';
DELETE FROM tenancy.synced_events;
DELETE FROM tenancy.role_permissions WHERE resource_type LIKE 'audit\_%';
DELETE FROM tenancy.resource_types WHERE name LIKE 'audit\_%';
DELETE FROM tenancy.issuers WHERE issuer = 'https://audit.test';
