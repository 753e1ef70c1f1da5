-- The life of an org: suspended, resumed, archived, renamed; what its members see of it, and who may.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA lifecycle;
GRANT USAGE ON SCHEMA lifecycle TO regress_tenancy_app;

-- A statement of its own, after the one that signs in.
CREATE FUNCTION lifecycle.orgs() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM tenancy.orgs); END $$;
CREATE FUNCTION lifecycle.sign_in(subject text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'lifecycle-' || subject)), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
SELECT minting.enrol('lifecycle-admin', 'lifecycle-acme', 'admin'), minting.enrol('lifecycle-member', 'lifecycle-acme'), minting.enrol('lifecycle-viewer', 'lifecycle-acme', 'viewer'),
	minting.enrol('lifecycle-other', 'lifecycle-beta', 'admin'), minting.enrol('lifecycle-both', 'lifecycle-acme', 'admin'), minting.enrol('lifecycle-both', 'lifecycle-beta', 'viewer'),
	minting.enrol('lifecycle-root', 'lifecycle-beta', 'viewer'), minting.enrol('lifecycle-gone', 'lifecycle-beta', 'admin') \g /dev/null
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'lifecycle-gone';
INSERT INTO tenancy.superadmins VALUES (minting.user_id('lifecycle-root'));
CREATE TABLE lifecycle.note (body text);
SELECT tenancy.protect('lifecycle.note', 'lifecycle_note');
INSERT INTO lifecycle.note SELECT o.slug, o.id FROM tenancy.organizations o WHERE o.slug LIKE 'lifecycle-%';
GRANT ALL ON lifecycle.note TO regress_tenancy_app;
-- What the audit log has since the last look, oldest first.
CREATE TABLE lifecycle.looked (at timestamptz);
INSERT INTO lifecycle.looked VALUES (clock_timestamp());
CREATE FUNCTION lifecycle.audit() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$
	WITH l AS (UPDATE lifecycle.looked n SET at = clock_timestamp() FROM lifecycle.looked o RETURNING o.at)
	SELECT concat_ws(' ', e.action, o.slug, e.target, coalesce(e.subject, CASE e.database_role WHEN current_user THEN 'DBA' END), e.old_values, '=>', e.new_values)
	FROM l, tenancy.audit_events e LEFT JOIN tenancy.organizations o ON o.id = e.org_id WHERE e.at > l.at ORDER BY e.at
$$;

\echo == administrators see every org, others none
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT lifecycle.sign_in('root');
SELECT slug, name, kind, status, status_reason, created_by, member_count, admin_count, created_at <= now() AS created, id IS NOT NULL AS id FROM tenancy.orgs WHERE slug LIKE 'lifecycle-%' ORDER BY slug;
SELECT s AS subject, lifecycle.sign_in(s), lifecycle.orgs() FROM unnest('{admin,member,viewer,other,both,gone,nobody}'::text[]) WITH ORDINALITY x (s, n) ORDER BY n;
RESET tenancy.session_token;
SELECT count(*) FROM tenancy.orgs;
SET tenancy.session_token = 'no.token.at.all';
SELECT minting.refusal('SELECT count(*) FROM tenancy.orgs');

\echo == nobody else changes one
CREATE FUNCTION pg_temp.tries(OUT call text, OUT refusal text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT c, minting.refusal('SELECT tenancy.' || c)
	FROM unnest(ARRAY['suspend_org(''lifecycle-acme'', ''unpaid'')', 'resume_org(''lifecycle-acme'')', 'archive_org(''lifecycle-acme'')', 'rename_org(''lifecycle-acme'', ''Mine'')',
		'suspend_org(''no-such-org'', ''unpaid'')', 'resume_org(NULL)']) c
$$;
SELECT lifecycle.sign_in('admin');
SELECT * FROM pg_temp.tries();
-- The same for everybody: in their own org, in another one, without a user, without a token.
CREATE TEMPORARY TABLE refusals AS SELECT * FROM pg_temp.tries();
CREATE FUNCTION pg_temp.is_the_same() RETURNS boolean LANGUAGE sql AS $$ SELECT NOT EXISTS (SELECT * FROM pg_temp.tries() EXCEPT SELECT * FROM refusals) $$;
SELECT s AS subject, o AS org, lifecycle.sign_in(s, o), pg_temp.is_the_same()
FROM (VALUES (1, 'member', ''), (2, 'viewer', ''), (3, 'other', ''), (4, 'both', ''), (5, 'both', 'lifecycle-beta'), (6, 'admin', 'lifecycle-beta'), (7, 'gone', ''), (8, 'nobody', '')) x (n, s, o) ORDER BY n;
RESET tenancy.session_token;
SELECT pg_temp.is_the_same();

\echo == who is the DBA stays it to the end of a statement
\c - :dba
SET client_min_messages = warning;
SELECT a.count > 0 AND a.count = b.count AS same FROM (SELECT count(*) FROM tenancy.orgs) a, LATERAL (SELECT set_config('tenancy.session_token', 'no.token.at.all', true) WHERE a.count > 0 OFFSET 0) s,
	LATERAL (SELECT count(*) FROM tenancy.orgs WHERE s.set_config <> '' OFFSET 0) b, LATERAL (SELECT set_config('tenancy.session_token', '', true) WHERE b.count >= 0 OFFSET 0) e;
\c - regress_tenancy_app
SET client_min_messages = warning;

\echo == a superadmin looks up the org that they are in, and closes it
BEGIN;
SELECT lifecycle.sign_in('root', 'lifecycle-beta');
SELECT tenancy.suspend_org(slug, 'moved away') FROM tenancy.orgs WHERE slug = 'lifecycle-beta';
SELECT status FROM tenancy.session();
ROLLBACK;

\echo == suspended
SELECT lifecycle.sign_in('root');
SELECT tenancy.suspend_org('lifecycle-acme', 'unpaid invoice');
SELECT lifecycle.audit();
-- Again: nothing; with another reason: that.
SELECT tenancy.suspend_org('lifecycle-acme', 'unpaid invoice');
SELECT lifecycle.audit();
SELECT tenancy.suspend_org(id::text, 'contract ended') FROM tenancy.orgs WHERE slug = 'lifecycle-acme';
SELECT lifecycle.audit();
SELECT lifecycle.sign_in('admin');
SELECT next_step, org_slug, roles FROM tenancy.session();
SELECT slug, status, is_current FROM tenancy.my_orgs();
SELECT count(*) FROM lifecycle.note;
SELECT minting.refusal('INSERT INTO lifecycle.note VALUES (''new'')');
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
-- Who belongs to another org works there.
SELECT lifecycle.sign_in('both', 'lifecycle-beta');
SELECT string_agg(body, ' ') AS notes FROM lifecycle.note;
SELECT minting.refusal('SELECT tenancy.switch_org(''lifecycle-acme'')');

\echo == resumed
SELECT lifecycle.sign_in('root');
SELECT tenancy.resume_org('lifecycle-acme');
SELECT lifecycle.audit();
SELECT tenancy.resume_org('lifecycle-acme');
SELECT lifecycle.audit();
SELECT lifecycle.sign_in('admin');
SELECT roles, (SELECT string_agg(body, ' ') FROM lifecycle.note) AS notes FROM tenancy.session();

\echo == archived
SELECT lifecycle.sign_in('root');
SELECT tenancy.archive_org('lifecycle-acme');
SELECT lifecycle.audit();
SELECT tenancy.archive_org('lifecycle-acme');
SELECT lifecycle.audit();
SELECT tenancy.archive_org('lifecycle-acme', 'merged into another');
SELECT tenancy.archive_org('lifecycle-acme');
SELECT lifecycle.audit();
SELECT minting.refusal('SELECT tenancy.suspend_org(''lifecycle-acme'', ''unpaid'')');
SELECT lifecycle.sign_in('admin');
SELECT next_step FROM tenancy.session();
SELECT count(*) FROM tenancy.my_orgs();
SELECT count(*) FROM lifecycle.note;
SELECT minting.refusal('INSERT INTO lifecycle.note VALUES (''new'')');
SELECT lifecycle.sign_in('root');
SELECT tenancy.resume_org('lifecycle-acme');
SELECT lifecycle.audit();
-- A suspended one too.
SELECT tenancy.suspend_org('lifecycle-acme', 'unpaid'), tenancy.archive_org('lifecycle-acme');
SELECT status, status_reason FROM tenancy.orgs WHERE slug = 'lifecycle-acme';
SELECT tenancy.resume_org('lifecycle-acme');
SELECT lifecycle.audit();

\echo == resumed without an admin
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.users SET status = 'disabled' WHERE name IN ('lifecycle-admin', 'lifecycle-both');
SELECT tenancy.suspend_org('lifecycle-acme', 'nobody left');
SELECT tenancy.resume_org('lifecycle-acme');
-- It is the DBA's change.
SELECT lifecycle.audit();
UPDATE tenancy.users SET status = 'active' WHERE name IN ('lifecycle-admin', 'lifecycle-both');

\echo == renamed
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT lifecycle.sign_in('root');
SELECT tenancy.rename_org('lifecycle-acme', 'Acme & Sons');
SELECT lifecycle.audit();
SELECT tenancy.rename_org('lifecycle-acme', 'Acme & Sons', 'lifecycle-acme');
SELECT lifecycle.audit();
SELECT tenancy.rename_org('lifecycle-acme', 'Acme & Sons', 'lifecycle-sons');
SELECT lifecycle.audit();
SELECT lifecycle.sign_in('admin');
SELECT org_slug, org_name, (SELECT string_agg(body, ' ') FROM lifecycle.note) AS notes FROM tenancy.session();
SELECT lifecycle.sign_in('admin', 'lifecycle-acme');
SELECT lifecycle.sign_in('root');
SELECT minting.refusal('SELECT tenancy.rename_org(''lifecycle-sons'', ''Acme'', ''lifecycle-beta'')');
-- A slug that is free again is.
SELECT tenancy.rename_org('lifecycle-sons', 'Acme', 'lifecycle-acme');
SELECT lifecycle.audit();

\echo == bad arguments
SELECT call, minting.refusal('SELECT tenancy.' || call) FROM (VALUES (1, 'suspend_org(NULL, ''x'')'), (2, 'suspend_org(''lifecycle-acme'', NULL)'), (3, 'suspend_org(''lifecycle-acme'', E'' \n'')'),
	(4, 'suspend_org(''lifecycle-none'', ''x'')'), (5, 'suspend_org(''00000000-0000-4000-8000-000000000009'', ''x'')'), (6, 'resume_org(NULL)'), (7, 'resume_org('''')'), (8, 'archive_org(NULL)'),
	(9, 'archive_org(''lifecycle-acme'', '''')'), (10, 'archive_org(''lifecycle-none'')'), (11, 'rename_org(NULL, ''x'')'), (12, 'rename_org(''lifecycle-acme'', NULL)'), (13, 'rename_org(''lifecycle-acme'', E''\t'')'),
	(14, 'rename_org(''lifecycle-acme'', repeat(''x'', 201))'), (15, 'rename_org(''lifecycle-acme'', ''Acme'', '''')'), (16, 'rename_org(''lifecycle-acme'', ''Acme'', ''-acme'')'), (17, 'rename_org(''lifecycle-acme'', ''Acme'', ''Acme'')'),
	(18, 'rename_org(''lifecycle-acme'', ''Acme'', repeat(''x'', 64))'), (19, 'rename_org(''lifecycle-acme'', ''Acme'', ''00000000-0000-4000-8000-000000000009'')'), (20, 'rename_org(''lifecycle-acme'', ''Acme'', E''acme\n'')'),
	(21, 'rename_org(''lifecycle-none'', ''x'')'), (22, 'rename_org(''lifecycle-acme'', E''\u00a0\u200b'')')) c (n, call) ORDER BY n;
-- What is refused, or undone, leaves no trace.
SELECT count(*) FROM lifecycle.audit();
BEGIN;
SELECT tenancy.suspend_org('lifecycle-acme', 'unpaid');
ROLLBACK;
SELECT count(*) FROM lifecycle.audit();
SELECT status FROM tenancy.orgs WHERE slug = 'lifecycle-acme';
-- The longest that there may be.
SELECT tenancy.rename_org('lifecycle-acme', repeat('ü', 200), repeat('x', 63));
SELECT tenancy.rename_org(repeat('x', 63), 'Acme', 'lifecycle-acme');
SELECT count(*) FROM lifecycle.audit();

\c - :dba
SET client_min_messages = warning;
DROP SCHEMA lifecycle CASCADE;
DELETE FROM tenancy.users WHERE name LIKE 'lifecycle-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'lifecycle-%';
DELETE FROM tenancy.role_permissions WHERE resource_type = 'lifecycle_note';
DELETE FROM tenancy.resource_types WHERE name = 'lifecycle_note';
