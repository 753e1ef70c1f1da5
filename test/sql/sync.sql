-- What a provider's webhooks tell of, in any order and more than once: orgs, members, deleted users.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE ROLE regress_tenancy_sync LOGIN;
CREATE SCHEMA sync;
GRANT USAGE ON SCHEMA sync TO regress_tenancy_app, regress_tenancy_sync;

CREATE FUNCTION sync.sign_in(subject text, claims jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', '', false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'sync-' || subject) || claims), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
-- As a provider tells it: short names for the calls, times as seconds.
CREATE FUNCTION sync.at(seconds int) RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2026-01-01 00:00:00+00' + make_interval(secs => seconds) $$;
CREATE FUNCTION sync.org(id text, name text, slug text DEFAULT NULL, seconds int DEFAULT NULL) RETURNS uuid LANGUAGE sql AS $$ SELECT tenancy.sync_org('https://clerk.test', 'sync-' || id, name, slug, sync.at(seconds)) $$;
CREATE FUNCTION sync.member(org text, subject text, role text, seconds int DEFAULT NULL) RETURNS void LANGUAGE sql AS $$ SELECT tenancy.sync_member('https://clerk.test', 'sync-' || org, 'sync-' || subject, role, sync.at(seconds)) $$;
CREATE FUNCTION sync.deleted(subject text, seconds int DEFAULT NULL) RETURNS void LANGUAGE sql AS $$ SELECT tenancy.sync_user_deleted('https://clerk.test', 'sync-' || subject, sync.at(seconds)) $$;
CREATE FUNCTION sync.hidden(slug text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(slug, '-[0-9a-f]{8}$', '-(random)') $$;
-- What there is of an org, and of a user.
CREATE FUNCTION sync.look(id text) RETURNS TABLE (slug text, name text, kind text, creator uuid, members text) LANGUAGE sql SECURITY DEFINER AS $$
	SELECT sync.hidden(o.slug), o.name, o.kind, o.created_by, (SELECT string_agg(concat_ws(' ', d.subject, (SELECT string_agg(r.name, '+' ORDER BY r.name) FROM tenancy.membership_roles mr JOIN tenancy.roles r ON r.id = mr.role_id WHERE mr.user_id = m.user_id AND mr.org_id = o.id)), ', ' ORDER BY d.subject) FROM tenancy.memberships m JOIN tenancy.identities d ON d.user_id = m.user_id WHERE m.org_id = o.id)
	FROM tenancy.organizations o JOIN tenancy.org_external_ids x ON x.org_id = o.id WHERE x.external_id = 'sync-' || look.id
$$;
CREATE FUNCTION sync.person(subject text) RETURNS TABLE (status text, email text, name text, revoked boolean, superadmin boolean, orgs text) LANGUAGE sql SECURITY DEFINER AS $$
	SELECT u.status, u.email, u.name, u.tokens_valid_from IS NOT NULL, EXISTS (SELECT FROM tenancy.superadmins s WHERE s.user_id = u.id), (SELECT string_agg(sync.hidden(o.slug), ' ' ORDER BY o.slug) FROM tenancy.memberships m JOIN tenancy.organizations o ON o.id = m.org_id WHERE m.user_id = u.id)
	FROM tenancy.users u JOIN tenancy.identities d ON d.user_id = u.id WHERE d.subject = 'sync-' || person.subject
$$;
-- An org of an id, made by sync_member(), and made and then renamed by sync_org(): the names it has, and the errors.
CREATE FUNCTION sync.named(id text, name text, slug text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	call text;
	result text := '';
BEGIN
	FOREACH call IN ARRAY ARRAY[format('SELECT tenancy.sync_member(%L, %L, ''sync-namer'', ''admin'')', 'https://clerk.test', id), format('SELECT tenancy.sync_org(%L, %L, %L, %L)', 'https://clerk.test', id, name, slug),
			format('SELECT tenancy.sync_org(%L, %L, ''Good'')', 'https://clerk.test', id), format('SELECT tenancy.sync_org(%L, %L, %L, %L)', 'https://clerk.test', id, name, slug)] LOOP
		result := result || coalesce(nullif(split_part(minting.refusal(call), E'\n', 1), 'no error') || '; ', '');
		result := result || coalesce((SELECT format('[%s] %s', regexp_replace(CASE WHEN length(o.name) > 40 THEN left(o.name, 3) || '...' || length(o.name) ELSE o.name END, '\s', '_', 'g'), sync.hidden(o.slug)) || '; ' FROM tenancy.organizations o JOIN tenancy.org_external_ids x ON x.org_id = o.id WHERE x.external_id = named.id), '');
	END LOOP;
	RETURN rtrim(result, '; ');
END
$$;
CREATE TABLE sync.looked (at timestamptz);
INSERT INTO sync.looked VALUES (clock_timestamp());
CREATE FUNCTION sync.audit() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS $$
	WITH l AS (UPDATE sync.looked n SET at = clock_timestamp() FROM sync.looked o RETURNING o.at)
	SELECT concat_ws(' ', e.action, coalesce(sync.hidden(o.slug), 'no org'), coalesce(d.subject, sync.hidden(e.target)), 'by', coalesce(e.subject, CASE e.database_role WHEN current_user THEN 'DBA' ELSE e.database_role END), coalesce(e.old_values::text, 'null'), '=>', regexp_replace(coalesce(e.new_values::text, 'null'), '-[0-9a-f]{8}"', '-(random)"', 'g'))
	FROM l, tenancy.audit_events e LEFT JOIN tenancy.organizations o ON o.id = e.org_id LEFT JOIN tenancy.identities d ON d.user_id::text = e.target WHERE e.at > l.at ORDER BY e.at
$$;
SELECT minting.enrol('sync-admin', 'sync-taken', 'admin'), minting.enrol('sync-root', 'sync-taken', 'viewer') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('sync-root'));

\echo == who may
\c - regress_tenancy_app
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.tries() RETURNS SETOF text LANGUAGE sql AS $$ SELECT minting.refusal('SELECT sync.' || c) FROM unnest('{"org(''x'', ''X'')","member(''x'', ''x'', ''admin'')","deleted(''x'')"}'::text[]) c $$;
SELECT sync.sign_in('admin');
SELECT pg_temp.tries();
RESET tenancy.session_token;
SELECT pg_temp.tries();
\c - regress_tenancy_sync
SELECT minting.refusal('SELECT sync.org(''x'', ''X'')');
-- Not by whoever likes to.
SELECT minting.refusal('SELECT tenancy.grant_sync(''regress_tenancy_sync'')');
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.grant_sync('regress_tenancy_sync');
\c - regress_tenancy_sync
SET client_min_messages = warning;
SELECT sync.org('first', 'First') IS NOT NULL AS made;
SELECT sync.audit();
-- It may do nothing else, and with a token only what the token allows.
SELECT minting.refusal('SELECT * FROM tenancy.session()'), minting.refusal('SELECT tenancy.sync_without_token()'), minting.refusal('SELECT tenancy.suspend_org(''first'', ''x'')');
SELECT set_config('tenancy.session_token', minting.token('clerk', '{"sub": "sync-admin"}'), false) IS NOT NULL AS signed_in;
SELECT left(minting.refusal('SELECT sync.org(''first'', ''Second'')'), 5);
SET tenancy.session_token = 'nonsense';
SELECT left(minting.refusal('SELECT sync.org(''first'', ''Second'')'), 5);
-- A superadmin.
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT sync.sign_in('root');
SELECT sync.org('first', 'First', 'one') IS NOT NULL AS made;
SELECT sync.audit();

\echo == an org
\c - regress_tenancy_sync
SET client_min_messages = warning;
SELECT sync.org('acme', 'Acme', 'sync-acme') = sync.org('acme', 'Acme', 'sync-acme') AS same;
SELECT * FROM sync.look('acme');
SELECT sync.audit();
-- A slug that another org has: a suffix, which stays.
SELECT sync.org('other', 'Acme', 'sync-acme') = sync.org('other', 'Acme', 'sync-acme') AS same;
SELECT * FROM sync.look('other');
SELECT sync.audit();
SELECT sync.org('taken', 'Taken', 'sync-taken') IS NOT NULL AS made;
SELECT * FROM sync.look('taken');
SELECT sync.org('acme', 'Acme Ltd', 'sync-taken') IS NOT NULL AS renamed;
SELECT * FROM sync.look('acme');
SELECT sync.org('acme', 'Acme', 'sync-acme2') IS NOT NULL AS renamed;
-- Without a slug, it keeps its own.
SELECT sync.org('acme', 'Acme Incorporated') IS NOT NULL AS renamed;
SELECT * FROM sync.look('acme');
-- Whatever the provider calls it.
SELECT n, sync.org('odd' || n, name, slug) IS NOT NULL AS made FROM (VALUES (1, NULL, NULL), (2, ' ', ''), (3, repeat('é', 300), NULL), (4, 'Ünïcode GmbH & Co.', NULL), (5, 'X', 'Not A Slug!'), (6, 'X', repeat('x', 100)), (7, '00000000-0000-4000-8000-000000000001', NULL)) x (n, name, slug);
SELECT n, l.slug, left(l.name, 20) AS name, char_length(l.name) FROM generate_series(1, 7) n, sync.look('odd' || n) l;
SELECT sync.org('odd1', 'Known Now') IS NOT NULL AS named;
SELECT * FROM sync.look('odd1');
SELECT count(*) FROM sync.audit();

\echo == events in another order than they happened
SELECT sync.org('late', 'Third', 'sync-third', 3) = sync.org('late', 'First', 'sync-first', 1) AS same;
SELECT sync.org('late', 'Second', 'sync-second', 2) IS NOT NULL AS passed_over;
SELECT * FROM sync.look('late');
SELECT sync.org('late', 'Third again', 'sync-third', 3) IS NOT NULL AS applied;
SELECT sync.org('late', 'Timeless', 'sync-third') IS NOT NULL AS applied;
SELECT sync.org('late', 'Second', 'sync-second', 2) IS NOT NULL AS passed_over;
SELECT * FROM sync.look('late');
SELECT sync.audit();

\echo == a member
SELECT sync.member('acme', 'alice', 'admin'), sync.member('acme', 'bob', 'member');
SELECT * FROM sync.look('acme');
SELECT sync.audit();
SELECT sync.member('acme', 'alice', 'admin');
SELECT sync.audit();
-- Exactly that role.
SELECT sync.member('acme', 'bob', 'viewer'), sync.member('acme', 'bob', 'viewer');
SELECT * FROM sync.look('acme');
SELECT sync.audit();
SELECT sync.member('acme', 'bob', NULL), sync.member('acme', 'bob', NULL);
SELECT * FROM sync.look('acme');
SELECT sync.audit();
SELECT minting.refusal('SELECT sync.member(''acme'', ''bob'', ''owner'')');
SELECT count(*) FROM sync.audit();
-- The org is not known yet; its own event comes later.
SELECT sync.member('early', 'carl', 'member', 2);
SELECT * FROM sync.look('early');
SELECT sync.audit();
SELECT sync.org('early', 'Early Bird', 'sync-early', 1) IS NOT NULL AS named;
SELECT * FROM sync.look('early');
SELECT sync.member('nameless', 'carl', 'admin'), sync.org('nameless', 'Named') IS NOT NULL AS named;
SELECT * FROM sync.look('nameless');
-- What ended before it began is over.
SELECT sync.member('early', 'dora', NULL, 5), sync.member('early', 'dora', 'admin', 4);
SELECT sync.member('void', 'dora', NULL, 5);
SELECT * FROM sync.look('early') UNION ALL SELECT * FROM sync.look('void');
SELECT count(*) FROM sync.person('dora');
SELECT sync.member('early', 'dora', 'viewer', 6);
SELECT * FROM sync.look('early');
-- Two ids run together are not another two.
SELECT sync.member('a', 'b:c', 'admin', 9), sync.member('a:b', 'c', 'admin', 1);
SELECT * FROM sync.look('a:b');
SELECT count(*) > 0 AS audited FROM sync.audit();

\echo == the last admin
SELECT minting.refusal('SELECT sync.member(''acme'', ''alice'', NULL, 7)');
SELECT minting.refusal('SELECT sync.member(''acme'', ''alice'', ''member'', 7)');
SELECT * FROM sync.look('acme');
SELECT count(*) FROM sync.audit();
-- The provider tries again, and by then there is another.
SELECT sync.member('acme', 'erin', 'admin', 8), sync.member('acme', 'alice', 'member', 7);
SELECT * FROM sync.look('acme');
SELECT sync.audit();

\echo == who was synced signs in: the same user, in that org, and in no other
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT sync.sign_in('alice', '{"email": "alice@sync.test", "email_verified": true, "name": "Alice"}');
SELECT org_slug, roles FROM tenancy.session();
SELECT org_slug, roles, created FROM tenancy.provision_user();
SELECT slug, roles FROM tenancy.my_orgs();
SELECT * FROM sync.person('alice');
-- And who has signed in before is synced into the same user.
SELECT sync.sign_in('fay', '{"name": "Sync Fay"}');
SELECT org_slug, roles, created FROM tenancy.provision_user();
\c - regress_tenancy_sync
SET client_min_messages = warning;
SELECT sync.member('acme', 'fay', 'viewer');
SELECT * FROM sync.person('fay');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT sync.sign_in('fay', '{"o": {"id": "sync-acme"}}');
SELECT org_slug, roles FROM tenancy.session();

\echo == a user who is deleted
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.add_superadmin(minting.user_id('sync-alice'));
SELECT count(*) > 0 AS audited FROM sync.audit();
\c - regress_tenancy_sync
SET client_min_messages = warning;
SELECT sync.deleted('alice', 10);
SELECT * FROM sync.person('alice');
SELECT sync.audit();
SELECT sync.deleted('alice', 10), sync.deleted('alice', 9), sync.deleted('alice');
SELECT sync.audit();
\c - regress_tenancy_app
SET client_min_messages = warning;
-- With a token of before, and with one that the provider signs a moment later all the same.
SELECT n, sync.sign_in('alice', jsonb_build_object('email', 'alice@sync.test', 'email_verified', true, 'iat', floor(extract(epoch FROM now())) + n)), left(minting.refusal('SELECT tenancy.provision_user()'), 5)
FROM (VALUES (-60), (3)) x (n);
SELECT sync.sign_in('root');
SELECT member_count, admin_count FROM tenancy.orgs WHERE slug = 'sync-acme2';
-- Not known yet: known as deleted, whatever comes later.
\c - regress_tenancy_sync
SET client_min_messages = warning;
SELECT sync.deleted('gus', 10);
SELECT sync.member('acme', 'gus', 'admin', 9);
SELECT * FROM sync.person('gus');
SELECT sync.audit();
-- Enabled again by a superadmin: the same event once more does nothing, a later one does.
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.enable_user(minting.user_id('sync-gus'));
UPDATE tenancy.users SET name = 'Sync Gus' WHERE id = minting.user_id('sync-gus');
SELECT count(*) FROM sync.audit();
\c - regress_tenancy_sync
SET client_min_messages = warning;
SELECT sync.deleted('gus', 10), sync.deleted('gus', 9);
SELECT status, name FROM sync.person('gus');
SELECT sync.audit();
SELECT sync.deleted('gus', 11);
SELECT status, name FROM sync.person('gus');
SELECT sync.audit();
-- The last admin: nobody asks us. Then nor when the membership ends.
SELECT sync.deleted('erin');
SELECT sync.member('acme', 'erin', NULL, 12);
SELECT * FROM sync.look('acme');
SELECT sync.audit();

\echo == bad arguments
SELECT call, minting.refusal('SELECT tenancy.' || call) FROM (VALUES (1, 'sync_org(NULL, ''x'', ''X'')'), (2, 'sync_org(''https://clerk.test'', NULL, ''X'')'), (3, 'sync_org(''https://clerk.test'', '''', ''X'')'), (4, 'sync_org(''https://clerk.test'', repeat(''x'', 1025), ''X'')'),
	(5, 'sync_org(''https://nobody.test'', ''x'', ''X'')'), (6, 'sync_member(''https://clerk.test'', NULL, ''x'', ''admin'')'), (7, 'sync_member(''https://clerk.test'', ''x'', NULL, ''admin'')'), (8, 'sync_member(''https://clerk.test'', ''x'', '''', ''admin'')'),
	(9, 'sync_member(''https://nobody.test'', ''x'', ''x'', ''admin'')'), (10, 'sync_user_deleted(''https://clerk.test'', NULL)'), (11, 'sync_user_deleted(''https://clerk.test'', '''')'), (12, 'sync_user_deleted(NULL, ''x'')')) c (n, call) ORDER BY n;
-- The longest ids.
SELECT tenancy.sync_member('https://clerk.test', 'sync-' || repeat('o', 1019), 'sync-' || repeat('s', 1019), 'admin');
SELECT char_length(name), slug FROM sync.look(repeat('o', 1019));

\echo == names that are none, or too long, are no reason to fail
\c - regress_tenancy_sync
SET client_min_messages = warning;
-- Made and renamed, by an id that is one, that is blank and that is long; and a name that stands in.
SELECT n, sync.named(x.id, x.name, x.slug) FROM (VALUES (1, 'n1', NULL, NULL), (2, 'n2', '', ''), (3, 'n3', '   ', '   '), (4, 'n4', E' \t\r\n\x0b\f', E'\t'), (5, 'n5', E' \tPlain\n ', NULL), (6, 'n6', repeat('ä', 300), repeat('ä', 300)), (7, 'n7', repeat(' ', 300) || 'x', NULL), (8, 'n8', repeat('x', 199) || '  y', NULL),
	(9, ' ', '', NULL), (10, E'\t', E'\n', NULL), (11, repeat('i', 1024), ' ', NULL), (12, repeat(' ', 1024), NULL, NULL), (13, repeat(' ', 300) || 'i', '', NULL), (14, 'eeeeeeee-0000-4000-8000-000000000001', '', NULL), (15, 'n15', 'n15', 'eeeeeeee-0000-4000-8000-000000000002'), (16, '', 'n16', NULL), (17, 'n17', U&'\200b\00a0', U&'\200b')) x (n, id, name, slug) ORDER BY n;

\echo == taken back
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.grant_sync('regress_tenancy_app');
SELECT tenancy.revoke_sync('regress_tenancy_app'), tenancy.revoke_sync('regress_tenancy_sync');
SELECT has_schema_privilege('regress_tenancy_sync', 'tenancy', 'USAGE') AS sync, has_function_privilege('regress_tenancy_app', 'tenancy.sync_without_token()', 'EXECUTE') AS app;
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT left(minting.refusal('SELECT sync.org(''x'', ''X'')'), 5);
SELECT sync.sign_in('root');
SELECT sync.org('root', 'Root') IS NOT NULL AS made;

\c - :dba
SET client_min_messages = warning;
DELETE FROM tenancy.organizations o USING tenancy.org_external_ids x WHERE x.org_id = o.id AND x.external_id LIKE 'sync-%';
DELETE FROM tenancy.organizations o USING tenancy.memberships m, tenancy.identities d WHERE m.org_id = o.id AND d.user_id = m.user_id AND d.subject = 'sync-namer';
DELETE FROM tenancy.organizations WHERE slug LIKE 'sync-%';
DELETE FROM tenancy.users u USING tenancy.identities d WHERE d.user_id = u.id AND d.subject LIKE 'sync-%';
DELETE FROM tenancy.synced_events;
DROP SCHEMA sync CASCADE;
DROP ROLE regress_tenancy_sync;
