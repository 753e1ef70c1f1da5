-- A second user's story: invited by email or by a link, they sign up and land in the inviting org, and in no other. Every call is
-- the application's, and counted from the admin's intent to the invited user's first login.
SELECT current_user AS admin \gset
SET client_min_messages = warning;
SELECT minting.token('clerk', '{"sub": "story-anna", "email": "anna@second.test", "email_verified": true, "name": "Story Anna"}') AS anna,
	minting.token('clerk', '{"sub": "story-ben", "email": "ben@second.test", "email_verified": true, "name": "Story Ben"}') AS ben,
	minting.token('clerk', '{"sub": "story-cleo", "email": "cleo@second.test", "email_verified": true, "name": "Story Cleo"}') AS cleo,
	minting.token('clerk', '{"sub": "story-dora", "email": "dora@elsewhere.test", "email_verified": false, "name": "Story Dora"}') AS dora,
	minting.token('clerk', '{"sub": "story-eve", "email": "ben@second.test", "email_verified": false, "name": "Story Eve"}') AS eve \gset
\c - regress_tenancy_app
SET client_min_messages = warning;
BEGIN;
SELECT status FROM tenancy.begin_session(:'anna');
SELECT org_slug FROM tenancy.provision_user();
COMMIT;

\echo == by email alone: Anna invites an address
BEGIN;
SELECT status FROM tenancy.begin_session(:'anna');
SELECT minting.call('by email', $$SELECT invitation_id IS NOT NULL, invite_token IS NOT NULL FROM tenancy.invite('Ben@second.test', 'viewer')$$);
COMMIT;
\echo == whoever merely says that the address is theirs gets an org of their own, not hers
BEGIN;
SELECT status FROM tenancy.begin_session(:'eve');
SELECT org_slug, roles, created FROM tenancy.provision_user();
SELECT count(*) FROM tenancy.my_invitations();
COMMIT;
\echo == Ben signs up
BEGIN;
SELECT minting.call('by email', format('SELECT status, next_step FROM tenancy.begin_session(%L)', :'ben'));
SELECT minting.call('by email', 'SELECT org_slug, roles, created FROM tenancy.provision_user()');
SELECT minting.call('by email', 'SELECT status, next_step, org_slug, roles FROM tenancy.session()');
\echo == and has no other org, personal ones included
SELECT slug, kind, roles FROM tenancy.my_orgs();
\echo == as a viewer he may look, and no more
SELECT tenancy.can_i('read', 'org') AS reads, tenancy.can_i('create', 'invitation') AS invites;
SELECT minting.refusal($$SELECT tenancy.invite('friend@second.test')$$) LIKE '42501:%' AS refused;
COMMIT;
SELECT * FROM minting.told('by email');

\echo == by a link: Anna invites, the application mails the secret, Cleo follows it
BEGIN;
SELECT status FROM tenancy.begin_session(:'anna');
SELECT minting.call('by link', $$SELECT (tenancy.invite('cleo@second.test', 'member')).invite_token$$) AS row \gset
SELECT trim('()' FROM :'row') AS secret \gset
COMMIT;
BEGIN;
SELECT minting.call('by link', format('SELECT status, next_step FROM tenancy.begin_session(%L)', :'cleo'));
SELECT minting.call('by link', format('SELECT tenancy.accept_invitation(%L) IS NOT NULL', :'secret'));
SELECT minting.call('by link', 'SELECT status, next_step, org_slug, roles FROM tenancy.session()');
SELECT slug, kind, roles FROM tenancy.my_orgs();
\echo == following it once more does no harm, and lets nobody else in
SELECT tenancy.accept_invitation(:'secret') = tenancy.current_org() AS again;
SELECT status FROM tenancy.begin_session(:'dora');
SELECT minting.refusal(format('SELECT tenancy.accept_invitation(%L)', :'secret')) LIKE 'TN007:%' AS refused;
COMMIT;
SELECT * FROM minting.told('by link');

\echo == by a link for any address, since Dora signs in under another
BEGIN;
SELECT status FROM tenancy.begin_session(:'anna');
SELECT invite_token AS bound FROM tenancy.invite('info@dora.test', 'member') \gset
SELECT minting.call('any email', $$SELECT (tenancy.invite('office@dora.test', 'member', any_email => true)).invite_token$$) AS row \gset
SELECT trim('()' FROM :'row') AS secret \gset
COMMIT;
BEGIN;
SELECT minting.call('any email', format('SELECT status, next_step FROM tenancy.begin_session(%L)', :'dora'));
\echo == a link that is bound to its address is none for her
SELECT minting.refusal(format('SELECT tenancy.accept_invitation(%L)', :'bound')) LIKE 'TN007:%' AS refused;
SELECT minting.call('any email', format('SELECT tenancy.accept_invitation(%L) IS NOT NULL', :'secret'));
SELECT minting.call('any email', 'SELECT status, next_step, org_slug, roles FROM tenancy.session()');
SELECT slug, kind, roles FROM tenancy.my_orgs();
COMMIT;
SELECT * FROM minting.told('any email');

\echo == Anna sees them all
BEGIN;
SELECT status FROM tenancy.begin_session(:'anna');
SELECT email, roles FROM tenancy.members ORDER BY email;
SELECT email, role, status FROM tenancy.list_invitations() ORDER BY email;
COMMIT;

\c - :admin
SET client_min_messages = warning;
DELETE FROM tenancy.organizations WHERE slug IN ('story-anna', 'story-eve');
DELETE FROM tenancy.users WHERE name IN ('Story Anna', 'Story Ben', 'Story Cleo', 'Story Dora', 'Story Eve');
DELETE FROM minting.calls;
