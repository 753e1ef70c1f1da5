-- Superadmins: how one becomes and ceases to be one, what they do about users, and that nobody else does.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA superadmin;
GRANT USAGE ON SCHEMA superadmin TO regress_tenancy_app;

CREATE FUNCTION superadmin.sign_in(subject text, org text DEFAULT '', claims jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'superadmin-' || subject) || claims), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
SELECT minting.enrol('superadmin-admin', 'superadmin-acme', 'admin'), minting.enrol('superadmin-member', 'superadmin-acme'), minting.enrol('superadmin-viewer', 'superadmin-acme', 'viewer'),
	minting.enrol('superadmin-other', 'superadmin-beta', 'admin'), minting.enrol('superadmin-both', 'superadmin-acme', 'admin'), minting.enrol('superadmin-both', 'superadmin-beta', 'admin'),
	minting.enrol('superadmin-root', 'superadmin-beta', 'viewer'), minting.enrol('superadmin-gone', 'superadmin-beta', 'admin') \g /dev/null
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'superadmin-gone';
UPDATE tenancy.users SET email = name || '@superadmin.test' WHERE name LIKE 'superadmin-%';
CREATE TABLE superadmin.users AS SELECT substr(name, 12) AS name, id FROM tenancy.users WHERE name LIKE 'superadmin-%';
GRANT SELECT ON superadmin.users TO regress_tenancy_app;
CREATE FUNCTION superadmin.id(name text) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT u.id FROM superadmin.users u WHERE u.name = id.name $$;
CREATE FUNCTION superadmin.valid_from() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT tokens_valid_from FROM tenancy.users WHERE id = superadmin.id('viewer') $$;
CREATE TABLE superadmin.looked (at timestamptz);
INSERT INTO superadmin.looked VALUES (clock_timestamp());
CREATE FUNCTION superadmin.audit() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$
	WITH l AS (UPDATE superadmin.looked n SET at = clock_timestamp() FROM superadmin.looked o RETURNING o.at)
	SELECT regexp_replace(concat_ws(' ', e.action, coalesce(o.slug, 'no org'), u.name, coalesce(e.subject, CASE e.database_role WHEN current_user THEN 'DBA' END), e.old_values, '=>', e.new_values), '\d{4}-[0-9-]+T[0-9:.+-]+', '(time)', 'g')
	FROM l, tenancy.audit_events e LEFT JOIN superadmin.users u ON u.id::text = e.target LEFT JOIN tenancy.organizations o ON o.id = e.org_id WHERE e.at > l.at ORDER BY e.at
$$;

\echo == the DBA makes the first
SELECT tenancy.add_superadmin(superadmin.id('root'));
SELECT superadmin.audit();
SELECT tenancy.add_superadmin(superadmin.id('root'));
SELECT superadmin.audit();

\echo == nobody else makes one, or does anything about a user
\c - regress_tenancy_app
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.tries(OUT call text, OUT refusal text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT c, minting.refusal(format('SELECT tenancy.%s(superadmin.id(''member''))', c)) FROM unnest('{add_superadmin,remove_superadmin,enable_user,disable_user,revoke_tokens}'::text[]) c
	UNION ALL SELECT c || ' null', minting.refusal(format('SELECT tenancy.%s(NULL)', c)) FROM unnest('{add_superadmin,remove_superadmin,enable_user,disable_user,revoke_tokens}'::text[]) c
$$;
SELECT superadmin.sign_in('admin');
SELECT * FROM pg_temp.tries();
CREATE TEMPORARY TABLE refusals AS SELECT * FROM pg_temp.tries();
CREATE FUNCTION pg_temp.is_the_same() RETURNS boolean LANGUAGE sql AS $$ SELECT NOT EXISTS (SELECT * FROM pg_temp.tries() EXCEPT SELECT * FROM refusals) $$;
SELECT s AS subject, o AS org, superadmin.sign_in(s, o), pg_temp.is_the_same()
FROM (VALUES (1, 'member', ''), (2, 'viewer', ''), (3, 'other', ''), (4, 'both', 'superadmin-acme'), (5, 'both', 'superadmin-beta'), (6, 'admin', 'superadmin-beta'), (7, 'gone', ''), (8, 'nobody', '')) x (n, s, o) ORDER BY n;
RESET tenancy.session_token;
SELECT pg_temp.is_the_same();
SELECT count(*) FROM superadmin.audit();

\echo == a superadmin makes and unmakes others
SELECT superadmin.sign_in('root');
SELECT is_superadmin, is_superadmin = tenancy.is_administrator() AS administrator FROM tenancy.session();
SELECT tenancy.add_superadmin(superadmin.id('member'));
SELECT superadmin.audit();
SELECT superadmin.sign_in('member');
SELECT is_superadmin, roles, (SELECT count(*) > 1 FROM tenancy.orgs) AS sees_orgs FROM tenancy.session();
SELECT tenancy.remove_superadmin(superadmin.id('member'));
SELECT superadmin.audit();
SELECT is_superadmin, roles FROM tenancy.session();
SELECT left(minting.refusal('SELECT tenancy.add_superadmin(superadmin.id(''member''))'), 5);
SELECT superadmin.sign_in('root');
SELECT tenancy.remove_superadmin(superadmin.id('member'));
SELECT count(*) FROM superadmin.audit();
SELECT replace(minting.refusal('SELECT tenancy.add_superadmin(superadmin.id(''gone''))'), superadmin.id('gone')::text, '(id)');

\echo == whose address tenancy.superadmin_emails lists
\c - :dba
SET client_min_messages = warning;
SET tenancy.superadmin_emails = 'ops@superadmin.test, "Superadmin-Both@superadmin.test"';
SELECT tenancy.add_superadmin(superadmin.id('both')), tenancy.remove_superadmin(superadmin.id('member'));
-- It warns, with the id, which is another each time: see test/t/administration.pl.
SET client_min_messages = error;
SELECT tenancy.remove_superadmin(superadmin.id('both'));
SET client_min_messages = warning;
RESET tenancy.superadmin_emails;
SELECT superadmin.audit();

\echo == enabled
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT superadmin.sign_in('root');
SELECT tenancy.enable_user(superadmin.id('gone'));
SELECT superadmin.audit();
SELECT tenancy.enable_user(superadmin.id('gone'));
SELECT superadmin.audit();
SELECT superadmin.sign_in('gone');
SELECT roles FROM tenancy.session();

\echo == disabled
SELECT superadmin.sign_in('root');
SELECT tenancy.disable_user(superadmin.id('member'), 'left the company');
SELECT superadmin.audit();
SELECT tenancy.disable_user(superadmin.id('member'));
SELECT superadmin.audit();
SELECT superadmin.sign_in('member');
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
-- The last active admin of an active team org is not: both is admin of acme and beta, beta has gone as well, acme has admin.
SELECT superadmin.sign_in('root');
SELECT tenancy.disable_user(superadmin.id('admin'));
SELECT replace(minting.refusal('SELECT tenancy.disable_user(superadmin.id(''both''))'), superadmin.id('both')::text, '(id)');
SELECT tenancy.disable_user(superadmin.id('gone')), tenancy.disable_user(superadmin.id('other'));
SELECT replace(minting.refusal('SELECT tenancy.disable_user(superadmin.id(''both''))'), superadmin.id('both')::text, '(id)');
SELECT superadmin.audit();
-- Suspended and archived orgs, and personal ones, hold nobody.
SELECT tenancy.suspend_org('superadmin-acme', 'nobody left'), tenancy.archive_org('superadmin-beta');
SELECT tenancy.disable_user(superadmin.id('both'));
SELECT tenancy.enable_user(superadmin.id('both'));
SELECT tenancy.resume_org('superadmin-acme'), tenancy.resume_org('superadmin-beta');
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.organizations SET kind = 'personal' WHERE slug = 'superadmin-acme';
DELETE FROM tenancy.membership_roles mr USING tenancy.organizations o WHERE o.id = mr.org_id AND o.slug = 'superadmin-beta' AND mr.user_id = superadmin.id('both');
SELECT tenancy.disable_user(superadmin.id('both'));
SELECT substr(name, 12) AS name, status FROM tenancy.users WHERE name LIKE 'superadmin-%' ORDER BY name;
SELECT tenancy.enable_user(id) FROM tenancy.users WHERE name LIKE 'superadmin-%' ORDER BY name;
SELECT superadmin.audit();
-- Nor do orgs that the user has made and nobody else is in, however many. Of others not every one is named.
SELECT minting.enrol('superadmin-maker', format('superadmin-many-%s', n), 'admin') FROM generate_series(1, 7) n \g /dev/null
INSERT INTO superadmin.users SELECT 'maker', minting.user_id('superadmin-maker');
SELECT tenancy.disable_user(superadmin.id('maker'));
SELECT tenancy.enable_user(superadmin.id('maker'));
SELECT minting.enrol('superadmin-viewer', format('superadmin-many-%s', n), 'viewer') FROM generate_series(1, 5) n \g /dev/null
SELECT replace(minting.refusal('SELECT tenancy.disable_user(superadmin.id(''maker''))'), superadmin.id('maker')::text, '(id)');
SELECT minting.enrol('superadmin-viewer', format('superadmin-many-%s', n), 'viewer') FROM generate_series(6, 7) n \g /dev/null
SELECT replace(minting.refusal('SELECT tenancy.disable_user(superadmin.id(''maker''))'), superadmin.id('maker')::text, '(id)');
DELETE FROM tenancy.organizations WHERE slug LIKE 'superadmin-many-%';
SELECT count(*) FROM superadmin.audit();
\c - regress_tenancy_app
SET client_min_messages = warning;

\echo == tokens revoked
-- Those of the same second too; not those of the next.
SELECT superadmin.sign_in('root');
SELECT tenancy.revoke_tokens(superadmin.id('viewer'));
SELECT superadmin.audit();
CREATE FUNCTION pg_temp.status_of_token(seconds int) RETURNS text LANGUAGE sql AS $$
	SELECT superadmin.sign_in('viewer', claims => jsonb_build_object('iat', floor(extract(epoch FROM superadmin.valid_from())) + seconds))
$$;
SELECT s AS seconds, pg_temp.status_of_token(s) FROM generate_series(-1, 1) s;
-- Nor one that does not say when.
SELECT superadmin.sign_in('viewer', claims => '{"iat": null}');
SELECT superadmin.sign_in('root');
SELECT superadmin.valid_from() AS first \gset
SELECT tenancy.revoke_tokens(superadmin.id('viewer'));
SELECT superadmin.valid_from() > :'first' AND superadmin.valid_from() <= clock_timestamp() AS later;
SELECT superadmin.audit();
-- It never goes back.
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 hour' WHERE id = superadmin.id('viewer');
SELECT tenancy.revoke_tokens(superadmin.id('viewer'));
SELECT count(*) FROM superadmin.audit();
SELECT superadmin.valid_from() > now() + interval '50 minutes' AS kept;
\c - regress_tenancy_app
SET client_min_messages = warning;

\echo == bad arguments
SELECT superadmin.sign_in('root');
SELECT call, minting.refusal(format('SELECT tenancy.%s(%s)', call, arg)) FROM unnest('{add_superadmin,remove_superadmin,enable_user,disable_user,revoke_tokens}'::text[]) call, unnest('{"NULL","''00000000-0000-4000-8000-000000000009''"}'::text[]) arg ORDER BY arg DESC, call;
SELECT count(*) FROM superadmin.audit();

\c - :dba
SET client_min_messages = warning;
DROP SCHEMA superadmin CASCADE;
DELETE FROM tenancy.users WHERE name LIKE 'superadmin-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'superadmin-%';
