-- Invitations: who invites whom and as what, who accepts, and that a secret that does not open says no more than that.
-- Simultaneous acceptance, revocation and invitation are tested in test/specs/invitation_races.spec.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA invitations;
GRANT USAGE ON SCHEMA invitations TO regress_tenancy_app;

-- With a verified address of that name, unless claims say otherwise.
CREATE FUNCTION invitations.sign_in(subject text, claims jsonb DEFAULT '{}', org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', CASE WHEN org = '' THEN '' ELSE 'invitations-' || org END, false), set_config('tenancy.session_token', minting.token('clerk',
		jsonb_build_object('sub', 'invitations-' || subject, 'name', 'invitations-' || subject, 'email', subject || '@inv.test', 'email_verified', true) || claims), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
CREATE FUNCTION invitations.id(subject text) RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT minting.user_id('invitations-' || subject) $$;
-- A statement as somebody: what becomes of it. A change is undone.
CREATE FUNCTION invitations.try(subject text, statement text, claims jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN invitations.sign_in(subject, claims) || ': ' || minting.refusal_undone(statement);
END
$$;
-- Secrets, by a name.
CREATE TABLE invitations.secrets (name text PRIMARY KEY, invitation_id uuid, invite_token text);
GRANT SELECT, INSERT ON invitations.secrets TO regress_tenancy_app;
CREATE FUNCTION invitations.invite(name text, email text, role text DEFAULT 'member', valid_for interval DEFAULT '7 days', any_email boolean DEFAULT false) RETURNS void LANGUAGE sql AS $$
	INSERT INTO invitations.secrets SELECT name, i.* FROM tenancy.invite(email, role, valid_for, any_email) i
$$;
CREATE FUNCTION invitations.secret(name text) RETURNS text LANGUAGE sql STABLE AS $$ SELECT s.invite_token FROM invitations.secrets s WHERE s.name = secret.name $$;
CREATE FUNCTION invitations.accept(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	joined uuid := tenancy.accept_invitation(invitations.secret(accept.name));
BEGIN
	RETURN (SELECT o.slug FROM tenancy.my_orgs() o WHERE o.org_id = joined);
END
$$;
-- Memberships of a user, with the DBA's eyes.
CREATE FUNCTION invitations.orgs(subject text) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$
	SELECT string_agg(format('%s{%s}', o.slug, array_to_string(tenancy.member_role_names(m.user_id, m.org_id), ',')), ' ' ORDER BY o.slug)
	FROM tenancy.memberships m JOIN tenancy.organizations o ON o.id = m.org_id WHERE m.user_id = invitations.id(subject)
$$;
-- What was logged since the last time, without what differs from run to run.
CREATE TABLE invitations.looked AS SELECT clock_timestamp() AS at;
CREATE FUNCTION invitations.audited() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	since timestamptz := (SELECT l.at FROM invitations.looked l);
BEGIN
	UPDATE invitations.looked SET at = clock_timestamp();
	RETURN QUERY SELECT concat_ws(' ', coalesce(u.name, e.database_role), e.action, coalesce((SELECT name FROM tenancy.users t WHERE t.id::text = e.target), e.target), 'in ' || o.slug,
		CASE WHEN e.old_values ->> 'invitation_id' IN (SELECT i.id::text FROM tenancy.invitations i) THEN 'old: an invitation' END,
		CASE WHEN e.new_values ->> 'invitation_id' IN (SELECT i.id::text FROM tenancy.invitations i) THEN 'new: an invitation' END,
		nullif(e.old_values - '{invitation_id,expires_at}'::text[], '{}'), nullif(e.new_values - '{invitation_id,expires_at}'::text[], '{}'))
	FROM tenancy.audit_events e LEFT JOIN tenancy.users u ON u.id = e.user_id LEFT JOIN tenancy.organizations o ON o.id = e.org_id
	WHERE e.at > since ORDER BY e.at;
END
$$;

SELECT minting.enrol('invitations-' || s, 'invitations-' || o, r) FROM (VALUES ('ada', 'acme', 'admin'), ('mel', 'acme', 'member'), ('vic', 'acme', 'viewer'), ('bob', 'beta', 'admin'),
	('shy', 'shut', 'admin'), ('old', 'acme', 'admin'), ('root', 'beta', 'viewer'), ('two', 'acme', 'admin'), ('two', 'beta', 'admin'), ('gil', 'gone', 'admin')) m (s, o, r) \g /dev/null
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'invitations-shut';
UPDATE tenancy.users SET status = 'disabled' WHERE id = invitations.id('old');
UPDATE tenancy.users SET email = replace(name, 'invitations-', '') || '@inv.test', email_verified = true WHERE name LIKE 'invitations-%';
INSERT INTO tenancy.superadmins VALUES (invitations.id('root'));
-- Somebody who may invite and little else.
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'host' FROM tenancy.organizations WHERE slug = 'invitations-acme';
INSERT INTO tenancy.role_permissions (role_id, resource_type, action) SELECT r.id, 'invitation', a FROM tenancy.roles r, unnest('{read,create}'::text[]) a WHERE r.name = 'host';
SELECT minting.enrol('invitations-hal', 'invitations-acme', 'viewer') \g /dev/null
INSERT INTO tenancy.membership_roles SELECT invitations.id('hal'), org_id, id FROM tenancy.roles WHERE name = 'host';

CREATE TABLE invitations.callers AS SELECT * FROM unnest('{ada,hal,mel,vic,bob,shy,old,unknown,two}'::text[]) WITH ORDINALITY c (subject, n);
GRANT SELECT ON invitations.callers TO regress_tenancy_app;

\echo == who may invite, list and revoke
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.sign_in('ada');
SELECT invitations.invite('standing', 'standing@inv.test', 'viewer') \g /dev/null
SELECT subject, invitations.try(subject, 'SELECT tenancy.invite(''new@inv.test'', ''viewer'')') FROM invitations.callers ORDER BY n;
SELECT subject, invitations.try(subject, 'SELECT count(*) FROM tenancy.list_invitations()') FROM invitations.callers ORDER BY n;
SELECT subject, invitations.try(subject, format('SELECT tenancy.revoke_invitation(%L)', (SELECT invitation_id FROM invitations.secrets WHERE name = 'standing'))) FROM invitations.callers ORDER BY n;
RESET tenancy.session_token;
SELECT minting.refusal(call) FROM (VALUES (1, 'SELECT tenancy.invite(''new@inv.test'')'), (2, 'SELECT tenancy.list_invitations()'), (3, 'SELECT tenancy.revoke_invitation(gen_random_uuid())'), (4, 'SELECT tenancy.accept_invitation(''inv_x'')')) c (n, call) ORDER BY n;
SELECT count(*) FROM tenancy.my_invitations();
-- Nobody invites as what they are not.
SELECT role, invitations.try('hal', format('SELECT tenancy.invite(''new@inv.test'', %L)', role)) FROM unnest('{viewer,host,member,admin,nonsense}'::text[]) WITH ORDINALITY r (role, n) ORDER BY n;

\echo == arguments
SELECT invitations.sign_in('ada');
SELECT n, split_part(minting.refusal(format('SELECT tenancy.invite(%L, %L, %L, %L)', email, role, valid_for, any_email)), E'\n', 1) FROM (VALUES (1, NULL, 'viewer', '7 days', 'false'), (2, '', 'viewer', '7 days', 'false'), (3, 'a', 'viewer', '7 days', 'false'),
	(4, 'a@', 'viewer', '7 days', 'false'), (5, '@b', 'viewer', '7 days', 'false'), (6, 'a@b@c', 'viewer', '7 days', 'false'), (7, 'a b@c', 'viewer', '7 days', 'false'), (8, E'a@b\n', 'viewer', '7 days', 'false'),
	(9, repeat('a', 320) || '@b', 'viewer', '7 days', 'false'), (10, 'a@b', NULL, '7 days', 'false'), (11, 'a@b', 'nonsense', '7 days', 'false'), (12, 'a@b', 'viewer', NULL, 'false'), (13, 'a@b', 'viewer', '0', 'false'),
	(14, 'a@b', 'viewer', '-1 day', 'false'), (15, 'a@b', 'viewer', '2 years', 'false'), (16, 'a@b', 'viewer', '7 days', NULL)) a (n, email, role, valid_for, any_email) ORDER BY n;
SELECT minting.refusal('SELECT tenancy.invite(''a'')'), minting.refusal('SELECT tenancy.invite(''a@b'', valid_for => ''0'')');
SELECT minting.refusal('SELECT tenancy.invite(''MEL@inv.test'')');
SELECT minting.refusal('SELECT tenancy.revoke_invitation(NULL)'), minting.refusal('SELECT tenancy.revoke_invitation(gen_random_uuid())'), minting.refusal('SELECT tenancy.accept_invitation(NULL)');

\echo == a first sign-in by invitation: one call, one org
SELECT invitations.invite('cleo', 'Cleo@INV.test', 'viewer') \g /dev/null
SELECT invite_token ~ '^inv_[0-9a-f]{64}$' AS shape FROM invitations.secrets WHERE name = 'cleo';
SELECT email, role, status, invited_by = tenancy.current_user_id() AS by_me, expires_at - now() BETWEEN '6 days 23 hours' AND '7 days 1 hour' AS a_week FROM tenancy.list_invitations();
SELECT invitations.sign_in('cleo');
SELECT org_slug, org_name, role FROM tenancy.my_invitations();
SELECT invitations.accept('cleo');
SELECT status, org_slug, roles FROM tenancy.session();
SELECT created, org_slug FROM tenancy.provision_user();
SELECT invitations.orgs('cleo');
SELECT count(*) FROM tenancy.my_invitations();
-- Once more: the org again, and nothing changes. That it was accepted by provision_user() is no matter either.
SELECT invitations.audited();
SELECT invitations.accept('cleo') AS by_secret, (SELECT o.slug FROM tenancy.my_orgs() o WHERE o.org_id = tenancy.accept_invitation(s.invitation_id::text)) AS by_id FROM invitations.secrets s WHERE s.name = 'cleo';
SELECT invitations.orgs('cleo');
SELECT invitations.audited();
SELECT invitations.sign_in('ada');
SELECT invitations.invite('dee', 'dee@inv.test', 'viewer'), invitations.invite('dee-any', 'dee+any@inv.test', 'member', any_email => true) \g /dev/null
SELECT invitations.sign_in('dee');
SELECT org_slug, roles, created FROM tenancy.provision_user();
SELECT invitations.accept('dee'), invitations.accept('dee'), invitations.accept('dee-any'), invitations.accept('dee-any');
SELECT invitations.orgs('dee');
SELECT invitations.audited();
-- Nobody else's, and not who has left since.
SELECT subject, invitations.try(subject, format('SELECT tenancy.accept_invitation(%L)', invitations.secret(name))), name FROM (VALUES (1, 'cleo', 'dee'), (2, 'mel', 'dee-any'), (3, 'nobody', 'dee-any')) x (n, subject, name) ORDER BY n;
SELECT invitations.sign_in('dee');
SELECT tenancy.leave_org();
SELECT invitations.try('dee', format('SELECT tenancy.accept_invitation(%L)', invitations.secret(name))) FROM unnest('{dee,dee-any}'::text[]) name;
SELECT count(*) FROM invitations.audited() \g /dev/null
-- Who is here already: another org, another role, and by the id.
SELECT invitations.sign_in('two', org => 'beta');
SELECT invitations.invite('cleo-beta', 'cleo@inv.test'), invitations.invite('mel', 'mel@inv.test', 'admin') \g /dev/null
SELECT invitations.sign_in('cleo');
SELECT tenancy.accept_invitation(invitation_id::text) IS NOT NULL AS accepted FROM tenancy.my_invitations();
SELECT invitations.orgs('cleo');
SELECT invitations.sign_in('mel');
SELECT tenancy.accept_invitation(upper(invitation_id::text)) IS NOT NULL AS accepted FROM tenancy.my_invitations();
SELECT invitations.orgs('mel');
-- A member whose address was not known gets the role beside those held.
SELECT invitations.sign_in('two', org => 'acme');
SELECT invitations.invite('link', 'somebody@inv.test', 'admin', any_email => true) \g /dev/null
SELECT invitations.sign_in('vic', '{"email": "new@inv.test"}');
SELECT invitations.accept('link');
SELECT invitations.orgs('vic');
SELECT invitations.audited();

\echo == whatever is wrong, the answer is the same
SELECT invitations.sign_in('ada');
SELECT invitations.invite('other', 'other@inv.test'), invitations.invite('revoked', 'eve@inv.test'), invitations.invite('expired', 'eve+1@inv.test', any_email => true) \g /dev/null
SELECT tenancy.revoke_invitation(invitation_id) FROM invitations.secrets WHERE name = 'revoked';
SELECT invitations.invite('replaced', 'eve+2@inv.test', any_email => true) \g /dev/null
SELECT invitations.invite('replacing', 'EVE+2@inv.test', any_email => true) \g /dev/null
SELECT email, status FROM tenancy.list_invitations() WHERE email ILIKE 'eve%' ORDER BY email COLLATE "C", status;
-- One that had expired when it was replaced, or taken back, had expired.
SELECT invitations.invite('late', 'late@inv.test'), invitations.invite('late too', 'late+2@inv.test') \g /dev/null
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.invitations SET expires_at = now() - interval '1 second' WHERE email LIKE 'late%@inv.test';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.sign_in('ada');
SELECT invitations.invite('late again', 'late@inv.test'), tenancy.revoke_invitation(invitation_id) FROM invitations.secrets WHERE name = 'late too' \g /dev/null
SELECT email, status FROM tenancy.list_invitations() WHERE email LIKE 'late%' ORDER BY 1, 2;
SELECT invitations.sign_in('gil');
SELECT invitations.invite('archived', 'eve@inv.test', any_email => true) \g /dev/null
SELECT invitations.sign_in('bob');
SELECT invitations.invite('suspended', 'eve@inv.test', any_email => true) \g /dev/null
SELECT email, status FROM tenancy.list_invitations() ORDER BY email;
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.invitations SET expires_at = now() - interval '1 second' WHERE email = 'eve+1@inv.test';
UPDATE tenancy.organizations SET status = 'archived' WHERE slug = 'invitations-gone';
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'invitations-beta';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.sign_in('eve');
CREATE TEMPORARY TABLE keys AS SELECT name, invite_token AS key FROM invitations.secrets WHERE name IN ('cleo', 'other', 'revoked', 'expired', 'replaced', 'archived', 'suspended')
	UNION ALL SELECT name || ' by id', invitation_id::text FROM invitations.secrets WHERE name IN ('other', 'revoked', 'replaced', 'replacing', 'suspended')
	UNION ALL VALUES ('made up', 'inv_' || repeat('0', 64)), ('nothing', ''), ('a made-up id', gen_random_uuid()::text), ('a hash', (SELECT encode(sha256(invite_token::bytea), 'hex') FROM invitations.secrets WHERE name = 'replacing')),
		('in capitals', (SELECT upper(invite_token) FROM invitations.secrets WHERE name = 'replacing')), ('with a space', (SELECT invite_token || ' ' FROM invitations.secrets WHERE name = 'replacing')), ('long', repeat('x', 100000));
SELECT minting.refusal(format('SELECT tenancy.accept_invitation(%L)', key)) AS refusal, count(*), string_agg(name, ', ' ORDER BY name) FROM keys GROUP BY 1;
-- Nor is one shown what could not be accepted.
SELECT count(*) FROM tenancy.my_invitations();
SELECT invitations.sign_in('eve', '{"email": "eve+1@inv.test"}');
SELECT count(*) FROM tenancy.my_invitations();
-- It leaves nothing behind, not even the user.
SELECT status FROM tenancy.session();
-- One's own address, but not verified.
SELECT invitations.try('other', format('SELECT tenancy.accept_invitation(%L)', invitations.secret('other')), claims) FROM unnest(ARRAY['{"email_verified": false}', '{"email_verified": null}', '{"email": null}', '{}']::jsonb[]) claims;
SELECT invitations.sign_in('other', '{"email_verified": false}');
SELECT count(*) FROM tenancy.my_invitations();
-- A link opens to whoever has it, once.
SELECT invitations.sign_in('eve');
SELECT invitations.accept('replacing');
SELECT invitations.try('fay', format('SELECT tenancy.accept_invitation(%L)', invitations.secret('replacing')));
-- Not to a disabled user, who is shown none either; nor outside its time.
\c - :dba
SET client_min_messages = warning;
SELECT invitations.invite('old-beta', 'old@inv.test') FROM set_config('tenancy.org', 'invitations-beta', false) \g /dev/null
RESET tenancy.org;
UPDATE tenancy.organizations SET status = 'active' WHERE slug = 'invitations-beta';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.try('old', format('SELECT tenancy.accept_invitation(%L)', invitations.secret('old-beta')));
SELECT count(*) FROM tenancy.my_invitations();
SELECT set_config('tenancy.session_token', 'x', false) \g /dev/null
SELECT left(minting.refusal('SELECT tenancy.my_invitations()'), 5), left(minting.refusal('SELECT tenancy.accept_invitation(''x'')'), 5);
-- No secret is stored or logged.
\c - :dba
SET client_min_messages = warning;
SELECT count(*) AS known, count(i.id) AS by_hash, count(*) FILTER (WHERE position(s.invite_token IN i::text) > 0) AS stored FROM invitations.secrets s LEFT JOIN tenancy.invitations i ON i.token_hash = sha256(s.invite_token::bytea);
SELECT count(*) FROM tenancy.audit_events e WHERE e::text ~ 'inv_[0-9a-f]';
SELECT invitations.audited();

\echo == accepted at the first sign-in
-- All that are pending for the verified address; each org's log tells of its own.
SELECT invitations.invite('guy-' || o, 'guy@inv.test', 'viewer') FROM unnest('{acme,beta}'::text[]) o, LATERAL set_config('tenancy.org', 'invitations-' || o, false) \g /dev/null
RESET tenancy.org;
SELECT invitations.audited();
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.sign_in('guy');
SELECT created FROM tenancy.provision_user();
SELECT invitations.orgs('guy');
SELECT created FROM tenancy.provision_user();
SELECT string_agg(a, E'\n' ORDER BY a) FROM invitations.audited() a;
SELECT invitations.sign_in('own');
SELECT created FROM tenancy.provision_user();
SELECT invitations.audited();

\echo == the same person, or the same address, at another account
SELECT invitations.sign_in('ada');
SELECT left(minting.refusal(format('SELECT tenancy.invite(%L)', email)), 5), email FROM unnest('{old@inv.test,mel@inv.test}'::text[]) email;
SELECT invitations.invite('mel-two', 'mel@inv.test', 'viewer', any_email => true) \g /dev/null
SELECT invitations.sign_in('mel-two', '{"email": "mel@inv.test"}');
SELECT invitations.accept('mel-two');
SELECT invitations.orgs('mel'), invitations.orgs('mel-two');
SELECT invitations.try('mel', format('SELECT tenancy.accept_invitation(%L)', invitations.secret('mel-two')));
SELECT count(*) FROM invitations.audited() \g /dev/null

\echo == to replace an invitation is to take its role away
SELECT invitations.sign_in('ada');
SELECT invitations.invite('boss', 'boss@inv.test', 'admin'), invitations.invite('tardy', 'tardy@inv.test', 'admin'), invitations.invite('low', 'low@inv.test', 'viewer') \g /dev/null
SELECT invitations.sign_in('hal');
SELECT email, regexp_replace(minting.refusal(format('SELECT tenancy.invite(%L, ''viewer'')', email)), ':[^\n]*\.\n', ': ….' || E'\n') FROM unnest('{BOSS@inv.test,tardy@inv.test,low@inv.test}'::text[]) email;
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.invitations SET expires_at = now() WHERE email = 'tardy@inv.test';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.try('hal', 'SELECT tenancy.invite(''tardy@inv.test'', ''viewer'')'), invitations.try('ada', 'SELECT tenancy.invite(''boss@inv.test'', ''viewer'')');
-- Another org's stays.
SELECT invitations.sign_in('two', org => 'beta');
SELECT invitations.invite('elsewhere', 'elsewhere@inv.test', 'admin') \g /dev/null
SELECT invitations.try('hal', 'SELECT tenancy.invite(''elsewhere@inv.test'', ''viewer'')');
SELECT email, role, status FROM tenancy.list_invitations() WHERE email IN ('boss@inv.test', 'tardy@inv.test', 'low@inv.test') ORDER BY email, status;
SELECT count(*) FROM invitations.audited() \g /dev/null

\echo == who is put out does not come back by an invitation of their own
-- Of several: pending, in another org, somebody else's, used.
SELECT invitations.sign_in('two', org => 'acme');
SELECT invitations.invite('back', 'two@back.test', 'admin', any_email => true), invitations.invite('back-2', 'two@back-2.test', 'viewer'), invitations.invite('used', 'tim@inv.test', 'viewer') \g /dev/null
SELECT invitations.sign_in('two', org => 'beta');
SELECT invitations.invite('back-beta', 'two@back.test', 'viewer', any_email => true) \g /dev/null
SELECT invitations.sign_in('tim');
SELECT invitations.accept('used');
SELECT invitations.sign_in('ada');
SELECT invitations.invite('not-two', 'ada@back.test', 'viewer') \g /dev/null
SELECT count(*) FROM invitations.audited() \g /dev/null
SELECT tenancy.remove_member(invitations.id('two'));
SELECT regexp_replace(a, '[0-9a-f]{8}-[0-9a-f-]{27}', '(id)', 'g') FROM invitations.audited() a;
SELECT email, status FROM tenancy.list_invitations() WHERE email ~ '@back|^tim' ORDER BY email COLLATE "C";
SELECT invitations.try('two', format('SELECT tenancy.accept_invitation(%L)', invitations.secret(name)), '{"sub": "invitations-alias"}'), name FROM unnest('{back,back-2,back-beta}'::text[]) name;
SELECT invitations.orgs('two');
-- Nor by those of a provider's member; without any, there is nothing to tell.
\c - :dba
SET client_min_messages = warning;
INSERT INTO tenancy.org_external_ids SELECT i.id, 'invitations-acme', o.id FROM tenancy.issuers i, tenancy.organizations o WHERE i.issuer = 'https://clerk.test' AND o.slug = 'invitations-acme';
SELECT tenancy.sync_member('https://clerk.test', 'invitations-acme', 'invitations-pat', 'admin');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.sign_in('pat');
SELECT invitations.invite('pat-back', 'pat@back.test', 'viewer', any_email => true) \g /dev/null
\c - :dba
SET client_min_messages = warning;
SELECT count(*) FROM invitations.audited() \g /dev/null
SELECT tenancy.sync_member('https://clerk.test', 'invitations-acme', 'invitations-pat', 'viewer');
SELECT revoked_at IS NULL AS pending FROM tenancy.invitations WHERE email = 'pat@back.test';
SELECT tenancy.sync_member('https://clerk.test', 'invitations-acme', 'invitations-pat', NULL);
SELECT tenancy.sync_member('https://clerk.test', 'invitations-acme', 'invitations-pat', NULL);
SELECT regexp_replace(a, '[0-9a-f]{8}-[0-9a-f-]{27}', '(id)', 'g') FROM invitations.audited() a;
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT invitations.try('pat', format('SELECT tenancy.accept_invitation(%L)', invitations.secret('pat-back')));
-- Who leaves leaves them as they are.
SELECT invitations.sign_in('ada');
SELECT invitations.invite('lee', 'lee@inv.test', 'admin') \g /dev/null
SELECT invitations.sign_in('lee');
SELECT invitations.accept('lee');
SELECT invitations.invite('lee-friend', 'friend@inv.test', 'viewer') \g /dev/null
SELECT count(*) FROM invitations.audited() \g /dev/null
SELECT tenancy.leave_org();
SELECT invitations.audited();
SELECT invitations.try('friend', format('SELECT tenancy.accept_invitation(%L)', invitations.secret('lee-friend')));

\echo == a superadmin who has entered an org
SELECT invitations.sign_in('root', org => 'acme');
SELECT invitations.invite('by-root', 'guest@inv.test', 'admin') \g /dev/null
SELECT role, status, invited_by = invitations.id('root') AS by_root FROM tenancy.list_invitations() WHERE email = 'guest@inv.test';
SELECT tenancy.revoke_invitation(invitation_id) FROM invitations.secrets WHERE name = 'by-root';
SELECT invitations.audited();

\echo == an org for a customer
SELECT subject, invitations.try(subject, 'SELECT tenancy.create_org(''Customer'', ''invitations-customer'', ''cust@inv.test'')') FROM invitations.callers ORDER BY n;
RESET tenancy.session_token;
SELECT minting.refusal('SELECT tenancy.create_org(''Customer'', ''invitations-customer'', ''cust@inv.test'')');
SELECT minting.refusal('SELECT tenancy.create_org(''Customer'', ''invitations-customer'')');
SELECT invitations.sign_in('root');
SELECT tenancy.create_org('Customer', 'invitations-customer', 'Cust@inv.test') IS NOT NULL AS made;
SELECT minting.refusal('SELECT tenancy.create_org(''Customer'', ''invitations-customer'', ''cust@inv.test'')');
-- Nor is an org of one's own taken for the customer's.
SELECT tenancy.create_org('Own', 'invitations-own-org') = tenancy.create_org('Own', 'invitations-own-org') AS same, left(minting.refusal('SELECT tenancy.create_org(''Own'', ''invitations-own-org'', ''cust@inv.test'')'), 5);
SELECT minting.refusal('SELECT tenancy.create_org(''Customer'', NULL, ''nonsense'')'), minting.refusal('SELECT tenancy.create_org('' '', NULL, ''cust@inv.test'')'), minting.refusal('SELECT tenancy.create_org(NULL, NULL, ''cust@inv.test'')');
SELECT count(*) FROM tenancy.my_orgs() WHERE slug = 'invitations-customer';
SELECT invitations.sign_in('cust');
SELECT created, org_slug, roles FROM tenancy.provision_user();
\c - :dba
SET client_min_messages = warning;
SELECT invitations.audited();
SELECT minting.refusal('SELECT tenancy.create_org(''Invitations DBA'')');
SELECT tenancy.create_org('Invitations DBA', admin_email => 'cust@inv.test') IS NOT NULL AS made;
SELECT invitations.audited();
SELECT o.slug, o.created_by, i.email, i.invited_by FROM tenancy.organizations o JOIN tenancy.invitations i ON i.org_id = o.id WHERE o.name = 'Invitations DBA';

DELETE FROM tenancy.organizations WHERE slug LIKE 'invitations-%';
DELETE FROM tenancy.users WHERE name LIKE 'invitations-%';
DROP SCHEMA invitations CASCADE;
