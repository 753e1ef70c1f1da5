-- A superadmin acts as another user: with that one's rights and no more, to look unless said otherwise, for an hour at most,
-- and with a trace. What ends it reaches every connection, and then fails rather than falls back.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA imp;
GRANT USAGE ON SCHEMA imp TO regress_tenancy_app;

SELECT minting.enrol('imp-root', 'imp-home', 'admin'), minting.enrol('imp-chief', 'imp-home', 'admin'), minting.enrol('imp-alice', 'imp-acme', 'admin'),
	minting.enrol('imp-bob', 'imp-acme', 'viewer'), minting.enrol('imp-two', 'imp-acme', 'viewer'), minting.enrol('imp-two', 'imp-beta', 'admin'),
	minting.enrol('imp-gone', 'imp-acme'), minting.enrol('imp-late', 'imp-acme'), minting.enrol('imp-none', 'imp-acme') \g /dev/null
DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('imp-none');
INSERT INTO tenancy.superadmins VALUES (minting.user_id('imp-root')), (minting.user_id('imp-chief'));
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'imp-gone';
UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 minute' WHERE name = 'imp-late';
UPDATE tenancy.users SET email = name || '@imp.test', email_verified = true WHERE name LIKE 'imp-%';
INSERT INTO tenancy.org_external_ids SELECT i.id, 'ext_' || o.slug, o.id FROM tenancy.issuers i, tenancy.organizations o
WHERE i.issuer = 'https://clerk.test' AND o.slug LIKE 'imp-%';
CREATE TABLE imp.note (body text);
SELECT tenancy.protect('imp.note', 'imp_note');
INSERT INTO imp.note SELECT o.slug, o.id FROM tenancy.organizations o WHERE o.slug LIKE 'imp-%';
GRANT SELECT, INSERT, UPDATE, DELETE ON imp.note TO regress_tenancy_app;

CREATE FUNCTION imp.token(subject text, claims jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT minting.token('clerk', jsonb_build_object('sub', 'imp-' || subject, 'email', 'imp-' || subject || '@imp.test', 'email_verified', true) || claims)
$$;
CREATE FUNCTION imp.id(subject text) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS $$ SELECT minting.user_id('imp-' || subject) $$;
CREATE FUNCTION imp.look(OUT status text, OUT next_step text, OUT who text, OUT email text, OUT org text, OUT roles text[], OUT super boolean, OUT admin boolean,
	OUT actor text, OUT how text, OUT ro boolean, OUT notes text) LANGUAGE plpgsql AS $$
BEGIN
	SELECT s.status, s.next_step, coalesce((SELECT u FROM unnest('{root,chief,alice,bob,two,gone,late,none}'::text[]) u WHERE imp.id(u) = s.user_id), '-'), s.email, s.org_slug, s.roles,
		s.is_superadmin, tenancy.is_administrator(), s.impersonated_by, s.impersonation, s.is_read_only
	INTO status, next_step, who, email, org, roles, super, admin, actor, how, ro FROM tenancy.session() s;
	notes := (SELECT string_agg(body, ' ' ORDER BY body) FROM imp.note);
END
$$;
-- Asks in one place under each: how many users were there?
CREATE FUNCTION imp.in_turn(VARIADIC impersonations text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	impersonation text;
	users uuid[];
BEGIN
	FOREACH impersonation IN ARRAY impersonations LOOP
		PERFORM set_config('tenancy.impersonation', impersonation, true);
		users := users || tenancy.current_user_id();
	END LOOP;
	RETURN (SELECT count(DISTINCT u) FROM unnest(users) u);
END
$$;
CREATE FUNCTION imp.code(statement text) RETURNS text LANGUAGE sql AS $$ SELECT left(minting.refusal(statement), 5) $$;
SELECT imp.token('root') AS root, imp.token('chief') AS chief, imp.token('alice') AS alice, imp.token('root', '{"org_id": "ext_imp-home"}') AS root_home,
	imp.token('bob', '{"act": {"sub": "support-7"}}') AS bob_acted, imp.token('alice', '{"act": {"sub": "support-7"}}') AS alice_acted,
	imp.id('alice') AS alice_id, imp.id('bob') AS bob_id, imp.id('two') AS two_id, imp.id('gone') AS gone_id, imp.id('late') AS late_id,
	imp.id('none') AS none_id, imp.id('root') AS root_id, imp.id('chief') AS chief_id \gset

\c - regress_tenancy_app
SET client_min_messages = warning;
\echo == to look
SET tenancy.session_token = :'root';
SELECT * FROM imp.look();
SELECT tenancy.act_as(:'alice_id', 'ticket 1') = current_setting('tenancy.impersonation')::uuid AS acting;
SELECT * FROM imp.look();
SELECT tenancy.current_user_id() = :'alice_id' AS is_alice, tenancy.claims() ->> 'sub' AS subject, (SELECT string_agg(slug, ' ') FROM tenancy.my_orgs()) AS orgs;
\echo -- nothing but reading, though alice may do everything
SELECT tenancy.can_i('read', 'imp_note'), tenancy.can_i('create', 'imp_note'), tenancy.can_i('update', 'member'), tenancy.can_i('read', 'audit');
SELECT DISTINCT action FROM tenancy.my_permissions();
SELECT minting.refusal('SELECT tenancy.require(''update'', ''imp_note'')');
SELECT imp.code('SELECT tenancy.require_org(''delete'', ''imp_note'')'), imp.code('SELECT tenancy.require(''read'', ''imp_note'')');
SELECT minting.refusal('INSERT INTO imp.note VALUES (''x'')');
SELECT imp.code('UPDATE imp.note SET body = body'), imp.code('DELETE FROM imp.note'), imp.code('SELECT FROM imp.note FOR UPDATE');
SELECT minting.refusal('SELECT tenancy.set_default_org(NULL)');
SELECT minting.refusal('SELECT tenancy.provision_user()');
SELECT imp.code('SELECT tenancy.create_org(''X'')'), imp.code('SELECT tenancy.accept_invitation(''x'')'), imp.code('SELECT tenancy.leave_org()'), imp.code('SELECT tenancy.invite(''x@imp.test'')');
\echo -- nor as the superadmin
SELECT minting.refusal(format('SELECT tenancy.act_as(%L, ''nested'')', :'bob_id'));
SELECT imp.code('SELECT tenancy.add_resource_type(''imp_x'')'), imp.code('INSERT INTO tenancy.resource_types (name) VALUES (''imp_x'')'), imp.code('SELECT tenancy.assert_administrator(''x'')');
SET tenancy.cross_org = on;
SELECT tenancy.cross_org_active(), notes FROM imp.look();
RESET tenancy.cross_org;
SET tenancy.org = 'imp-beta';
SELECT * FROM imp.look();
SELECT imp.code('SELECT tenancy.switch_org(''imp-home'')');
RESET tenancy.org;
\echo -- and back
SELECT tenancy.stop_acting();
SHOW tenancy.impersonation;
SELECT * FROM imp.look();
SELECT tenancy.stop_acting();

\echo == to do
SELECT tenancy.act_as(:'alice_id', 'ticket 2', read_only => false) IS NOT NULL AS acting;
SELECT * FROM imp.look();
INSERT INTO imp.note VALUES ('for alice') RETURNING body;
DELETE FROM imp.note WHERE body = 'for alice' RETURNING body;
SELECT imp.code('SELECT tenancy.provision_user()'), imp.code('SELECT tenancy.require(''update'', ''member'')'), imp.code('SELECT tenancy.add_resource_type(''imp_x'')');
SELECT tenancy.set_default_org('imp-acme') IS NOT NULL AS set;
SELECT tenancy.create_org('Imp Gamma', 'imp-gamma') IS NOT NULL AS made;
SELECT slug, roles FROM tenancy.my_orgs() ORDER BY slug;
SELECT tenancy.stop_acting();
SELECT slug FROM tenancy.my_orgs();
\echo -- no more than the user may
SELECT tenancy.act_as(:'bob_id', 'ticket 3', false) IS NOT NULL AS acting;
SELECT * FROM imp.look();
SELECT minting.refusal('INSERT INTO imp.note VALUES (''x'')');
SELECT tenancy.stop_acting();

\echo == whose org
SET tenancy.session_token = :'root_home';
SELECT status, org FROM imp.look();
SELECT tenancy.act_as(:'two_id', 'the claim of the token does not count') IS NOT NULL AS acting;
SELECT * FROM imp.look();
SET tenancy.org = 'imp-beta';
SELECT * FROM imp.look();
RESET tenancy.org;
SELECT tenancy.stop_acting();
SELECT tenancy.act_as(:'none_id', 'x') IS NOT NULL AS acting;
SELECT * FROM imp.look();
SELECT imp.code('SELECT tenancy.provision_user()');
SELECT tenancy.stop_acting();
\echo -- a disabled user is seen as such; revoked tokens of the user are not those of the superadmin
SELECT tenancy.act_as(:'gone_id', 'x') IS NOT NULL AS acting;
SELECT * FROM imp.look();
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
SELECT tenancy.stop_acting();
SELECT tenancy.act_as(:'late_id', 'x') IS NOT NULL AS acting;
SELECT * FROM imp.look();
SELECT tenancy.stop_acting();
\echo -- another superadmin is but a user
SELECT tenancy.act_as(:'chief_id', 'x', false) IS NOT NULL AS acting;
SELECT * FROM imp.look();
SELECT tenancy.stop_acting();

\echo == who may, and whom
SELECT minting.refusal(format('SELECT tenancy.act_as(%L, ''x'')', :'root_id'));
SELECT minting.refusal(format('SELECT tenancy.act_as(%L, '' '')', :'alice_id'));
SELECT minting.refusal('SELECT tenancy.act_as(''00000000-0000-0000-0000-000000000000'', ''x'')');
SELECT minting.refusal('SELECT tenancy.act_as(NULL, ''x'')');
SELECT imp.code(format('SELECT tenancy.act_as(%L, NULL)', :'alice_id')), imp.code(format('SELECT tenancy.act_as(%L, ''x'', NULL)', :'alice_id'));
SET tenancy.session_token = :'alice';
SELECT minting.refusal(format('SELECT tenancy.act_as(%L, ''x'')', :'bob_id'));
RESET tenancy.session_token;
SELECT imp.code(format('SELECT tenancy.act_as(%L, ''x'')', :'bob_id'));
SHOW tenancy.impersonation;
SELECT imp.code('SELECT tenancy.open_impersonation(NULL, NULL, NULL)'), imp.code('SELECT tenancy.close_impersonation(NULL)'), imp.code('SELECT tenancy.acting_superadmin()');

\echo == the setting is nothing by itself
SET tenancy.session_token = :'root';
SELECT tenancy.act_as(:'alice_id', 'ticket 4') AS ticket_4 \gset
\echo -- another superadmin is held up by it, and not let through as themself; for a user, who is acted as or not, and for nobody it is nothing
SET tenancy.session_token = :'chief';
SELECT who, actor, how, ro, super FROM imp.look();
SELECT tenancy.stop_acting();
SHOW tenancy.impersonation;
SET tenancy.impersonation = :'ticket_4';
SET tenancy.session_token = :'alice';
SELECT who, actor, how, ro, super FROM imp.look();
RESET tenancy.session_token;
SELECT status, how, ro FROM imp.look();
\echo -- it holds still for whom it is
SET tenancy.session_token = :'root';
SELECT who, actor, how, ro, super FROM imp.look();
\echo -- one that a superadmin does not have is over, and not the superadmin: its transaction may have been rolled back
SET tenancy.impersonation = 'no uuid';
SELECT who, how, super, status FROM imp.look();
SELECT minting.refusal('SELECT tenancy.require(''read'', ''imp_note'')');
SET tenancy.impersonation = '00000000-0000-0000-0000-000000000000';
SELECT who, how, super, status FROM imp.look();
SELECT tenancy.stop_acting();
SELECT who, how, super, status FROM imp.look();
BEGIN;
SELECT tenancy.act_as(:'alice_id', 'rolled back') AS rolled_back \gset
ROLLBACK;
SET tenancy.impersonation = :'rolled_back';
SELECT who, how, super, status FROM imp.look();
SET tenancy.impersonation = :'ticket_4';
SELECT who, how, super FROM imp.look();
\echo -- not beyond it: DISCARD ALL, begin_session
DISCARD ALL;
SHOW tenancy.impersonation;
SET tenancy.session_token = :'root';
SET tenancy.impersonation = :'ticket_4';
BEGIN;
SELECT user_id = :'root_id' AS is_root, impersonation, is_read_only, is_superadmin FROM tenancy.begin_session(:'root');
SELECT tenancy.act_as(:'bob_id', 'for this transaction') IS NOT NULL AS acting;
SELECT who, how FROM imp.look();
COMMIT;
SELECT who, how FROM imp.look();
BEGIN;
SET LOCAL tenancy.impersonation = '';
SELECT who, how FROM imp.look();
SAVEPOINT s;
SELECT tenancy.act_as(:'bob_id', 'undone') IS NOT NULL AS acting;
SELECT who, how FROM imp.look();
ROLLBACK TO s;
SELECT who, how FROM imp.look();
SELECT tenancy.act_as(:'bob_id', 'undone') IS NOT NULL AS acting;
ROLLBACK;
SELECT who, how FROM imp.look();
\echo -- nothing is written in a transaction that may not
RESET tenancy.impersonation;
BEGIN READ ONLY;
SELECT imp.code(format('SELECT tenancy.act_as(%L, ''x'')', :'bob_id'));
SELECT who, how FROM imp.look();
COMMIT;

\echo == rows of one are not fetched as another, nor does a statement change who it is for
BEGIN;
DECLARE c CURSOR FOR SELECT body FROM imp.note;
FETCH 1 FROM c;
SELECT tenancy.act_as(:'two_id', 'x', false) IS NOT NULL AS acting;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
SELECT tenancy.act_as(:'alice_id', 'x', false) AS full \gset
SELECT tenancy.stop_acting();
SELECT tenancy.act_as(:'alice_id', 'x', true) AS look \gset
COMMIT;
SELECT who, how, ro FROM imp.look();
SELECT tenancy.stop_acting();
SELECT tenancy.act_as(:'alice_id', 'x', false) AS full \gset
SET tenancy.impersonation = '';
SELECT tenancy.act_as(:'alice_id', 'x', true) AS look \gset
SET tenancy.impersonation = :'full';
\echo -- the same user and org, but not the same rights
BEGIN;
DECLARE c CURSOR FOR SELECT body FROM imp.note;
FETCH 1 FROM c;
SET LOCAL tenancy.impersonation = :'look';
FETCH 1 FROM c;
ROLLBACK;
UPDATE imp.note SET body = 'x' WHERE set_config('tenancy.impersonation', :'look', false) <> '';
SELECT ro FROM imp.look();
SELECT set_config('tenancy.impersonation', :'look', false) \g /dev/null
SELECT ro, tenancy.can_i('update', 'imp_note') FROM imp.look();
SELECT set_config('tenancy.impersonation', :'full', false) \g /dev/null
SELECT ro, tenancy.can_i('update', 'imp_note') FROM imp.look();
SELECT imp.in_turn('', :'full', :'look', '');
RESET tenancy.impersonation;

\echo == over
\c - :dba
SET client_min_messages = warning;
SET tenancy.session_token = :'root';
SELECT tenancy.act_as(:'alice_id', 'ended') AS ended \gset
SELECT tenancy.stop_acting();
SELECT tenancy.verified_email();
SELECT tenancy.act_as(:'alice_id', 'ends while it lasts', false) AS live \gset
SELECT tenancy.verified_email();
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT * FROM imp.look();
\echo -- ended
SET tenancy.impersonation = :'ended';
SELECT * FROM imp.look();
SELECT tenancy.current_user_id(), tenancy.current_org(), tenancy.can_i('read', 'imp_note'), tenancy.is_superadmin(), (SELECT count(*) FROM tenancy.my_orgs()) AS orgs;
SELECT minting.refusal('SELECT tenancy.require(''read'', ''imp_note'')');
SELECT imp.code('INSERT INTO imp.note VALUES (''x'')'), imp.code(format('SELECT tenancy.act_as(%L, ''x'')', :'bob_id')), imp.code('SELECT tenancy.provision_user()'), imp.code('SELECT tenancy.set_default_org(NULL)');
SELECT tenancy.stop_acting();
SELECT who, super FROM imp.look();
\echo -- ended elsewhere
SET tenancy.impersonation = :'live';
SELECT who, status FROM imp.look();
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.impersonations SET ended_at = now() WHERE id = :'live';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT * FROM imp.look();
\echo -- expired
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.impersonations SET ended_at = NULL, expires_at = statement_timestamp() - interval '1 second' WHERE id = :'live';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT * FROM imp.look();
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.impersonations SET expires_at = now() + interval '1 hour' WHERE id = :'live';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT who, status FROM imp.look();
\echo -- no longer superadmin, and none without the setting either
SET SESSION AUTHORIZATION DEFAULT;
DELETE FROM tenancy.superadmins WHERE user_id = :'root_id';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT * FROM imp.look();
RESET tenancy.impersonation;
SELECT who, status, super FROM imp.look();
SET SESSION AUTHORIZATION DEFAULT;
INSERT INTO tenancy.superadmins VALUES (:'root_id');
SET tenancy.impersonation = :'live';
\echo -- the superadmin disabled, or the token revoked
UPDATE tenancy.users SET status = 'disabled' WHERE id = :'root_id';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT who, status, how FROM imp.look();
SELECT minting.refusal('SELECT tenancy.require(''read'', ''org'')');
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.users SET status = 'active', tokens_valid_from = now() + interval '1 minute' WHERE id = :'root_id';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT imp.code('SELECT FROM imp.note');
SELECT status FROM tenancy.session();
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.users SET tokens_valid_from = NULL WHERE id = :'root_id';
\echo -- the membership ends, the user is disabled
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT who, org FROM imp.look();
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.users SET status = 'disabled' WHERE id = :'alice_id';
SET SESSION AUTHORIZATION regress_tenancy_app;
SELECT who, status FROM imp.look();
SET SESSION AUTHORIZATION DEFAULT;
UPDATE tenancy.users SET status = 'active' WHERE id = :'alice_id';

\echo == ends with its transaction where the token does
ALTER ROLE regress_tenancy_app SET tenancy.token_scope = 'transaction';
\c - regress_tenancy_app
SET client_min_messages = warning;
BEGIN;
SET tenancy.session_token = :'root';
SET tenancy.impersonation = :'live';
SELECT who, how FROM imp.look();
COMMIT;
SHOW tenancy.impersonation;
BEGIN;
SET tenancy.session_token = :'root';
SELECT who, how FROM imp.look();
SELECT tenancy.act_as(:'bob_id', 'in a transaction') IS NOT NULL AS acting;
COMMIT;
SHOW tenancy.impersonation;
\c - :dba
SET client_min_messages = warning;
ALTER ROLE regress_tenancy_app RESET tenancy.token_scope;

\echo == by the token, as the issuer says
\c - regress_tenancy_app
SET client_min_messages = warning;
SET tenancy.session_token = :'bob_acted';
SELECT * FROM imp.look();
SET tenancy.session_token = :'alice_acted';
SELECT tenancy.set_default_org('imp-gamma') IS NOT NULL AS set;
SET tenancy.session_token = 'malformed';
SELECT status, impersonated_by, impersonation, is_read_only FROM tenancy.session();

\echo == the trace: who, as whom
\c - :dba
SET client_min_messages = warning;
SELECT (SELECT name FROM tenancy.users u WHERE u.id = user_id) AS "user", subject, (SELECT name FROM tenancy.users u WHERE u.id = acting_superadmin) AS acting, impersonated_by, action,
	(SELECT name FROM tenancy.users u WHERE u.id::text = target) AS target, new_values ->> 'reason' AS reason, new_values ->> 'read_only' AS ro, org_id IS NULL AS no_org
FROM tenancy.audit_events WHERE subject LIKE 'imp-%' AND action IN ('act_as', 'stop_acting', 'set_default_org') ORDER BY at;
SELECT count(*) AS rows, count(*) FILTER (WHERE expires_at - created_at BETWEEN interval '59 minutes' AND interval '61 minutes') AS of_an_hour FROM tenancy.impersonations
WHERE superadmin_id = :'root_id' AND id <> :'live';

\echo == clean up
DROP SCHEMA imp CASCADE;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'imp_note';
DELETE FROM tenancy.resource_types WHERE name = 'imp_note';
DELETE FROM tenancy.users WHERE name LIKE 'imp-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'imp-%';
