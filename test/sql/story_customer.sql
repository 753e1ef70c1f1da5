-- A customer's story: a superadmin makes the org and names its first admin, who signs up, is in, and runs the org from then on:
-- invites, sets roles, removes. No database work is part of it. Calls are counted from the intent to the customer's first login.
SELECT current_user AS admin \gset
SET client_min_messages = warning;
SELECT minting.token('clerk', '{"sub": "story-sam", "email": "sam@vendor.test", "email_verified": true, "name": "Story Sam"}') AS sam,
	minting.token('clerk', '{"sub": "story-kim", "email": "kim@customer.test", "email_verified": true, "name": "Story Kim"}') AS kim,
	minting.token('clerk', '{"sub": "story-lee", "email": "lee@customer.test", "email_verified": true, "name": "Story Lee"}') AS lee,
	minting.token('clerk', '{"sub": "story-max", "email": "max@customer.test", "email_verified": true, "name": "Story Max"}') AS max,
	minting.token('clerk', '{"sub": "story-zoe", "email": "zoe@customer.test", "email_verified": true, "name": "Story Zoe"}') AS zoe \gset
SELECT minting.enrol('story-sam', 'story-vendor', 'admin');
SELECT tenancy.add_superadmin(minting.user_id('story-sam'));
CREATE TABLE story_order (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL);
SELECT tenancy.protect('story_order');
GRANT SELECT, INSERT, UPDATE, DELETE ON story_order TO regress_tenancy_app;
\c - regress_tenancy_app
SET client_min_messages = warning;

\echo == Sam, a superadmin, makes the org of a customer
BEGIN;
SELECT is_superadmin FROM tenancy.begin_session(:'sam');
SELECT minting.call('customer', $$SELECT tenancy.create_org('Story Customer', 'story-customer', admin_email => 'kim@customer.test') IS NOT NULL$$);
\echo == it is in the list at once, though nobody is in it yet
SELECT slug, name, kind, status, member_count, admin_count FROM tenancy.orgs WHERE slug LIKE 'story-%' ORDER BY slug;
COMMIT;

\echo == Kim signs up, and is the admin
BEGIN;
SELECT minting.call('customer', format('SELECT status, next_step FROM tenancy.begin_session(%L)', :'kim'));
SELECT minting.call('customer', 'SELECT org_slug, roles, created FROM tenancy.provision_user()');
SELECT minting.call('customer', 'SELECT status, next_step, org_slug, roles FROM tenancy.session()');
SELECT slug, kind FROM tenancy.my_orgs();
INSERT INTO story_order (item) VALUES ('of the customer');
COMMIT;
SELECT * FROM minting.told('customer');

\echo == a customer with an org already: Zoe accepts, and picks
BEGIN;
SELECT status FROM tenancy.begin_session(:'zoe');
SELECT org_slug FROM tenancy.provision_user();
COMMIT;
BEGIN;
SELECT is_superadmin FROM tenancy.begin_session(:'sam');
SELECT minting.call('several', $$SELECT tenancy.create_org('Story Branch', 'story-branch', admin_email => 'zoe@customer.test') IS NOT NULL$$);
COMMIT;
BEGIN;
SELECT minting.call('several', format('SELECT status, org_slug FROM tenancy.begin_session(%L)', :'zoe'));
SELECT minting.call('several', 'SELECT org_name, role FROM tenancy.my_invitations()');
SELECT invitation_id FROM tenancy.my_invitations() \gset
SELECT minting.call('several', format('SELECT tenancy.accept_invitation(%L) IS NOT NULL', :'invitation_id'));
COMMIT;
\echo == the next request has to say which, and the picker knows
BEGIN;
SELECT status, next_step FROM tenancy.begin_session(:'zoe');
SELECT slug, kind, roles, is_current FROM tenancy.my_orgs() ORDER BY slug;
COMMIT;
BEGIN;
SELECT minting.call('several', format('SELECT status, next_step, org_slug, roles FROM tenancy.begin_session(%L, %L)', :'zoe', 'story-branch'));
COMMIT;
SELECT * FROM minting.told('several');

\echo == Kim runs the org: invites two
BEGIN;
SELECT status FROM tenancy.begin_session(:'kim');
SELECT invitation_id IS NOT NULL AS invited FROM tenancy.invite('lee@customer.test');
SELECT invitation_id IS NOT NULL AS invited FROM tenancy.invite('max@customer.test');
SELECT email, role, status FROM tenancy.list_invitations() ORDER BY email;
COMMIT;
BEGIN;
SELECT status FROM tenancy.begin_session(:'lee');
SELECT org_slug, roles, created FROM tenancy.provision_user();
COMMIT;
BEGIN;
SELECT status FROM tenancy.begin_session(:'max');
SELECT org_slug, roles, created FROM tenancy.provision_user();
INSERT INTO story_order (item) VALUES ('of Max');
COMMIT;

\echo == sets roles
BEGIN;
SELECT status FROM tenancy.begin_session(:'kim');
SELECT user_id AS lee_id FROM tenancy.members WHERE email = 'lee@customer.test' \gset
SELECT user_id AS max_id FROM tenancy.members WHERE email = 'max@customer.test' \gset
SELECT tenancy.set_member_roles(:'lee_id', '{admin}');
SELECT tenancy.set_member_roles(:'max_id', '{viewer}');
SELECT email, roles FROM tenancy.members ORDER BY email;
COMMIT;
\echo == which Max notices at his next statement
BEGIN;
SELECT status, roles FROM tenancy.begin_session(:'max');
SELECT minting.refusal($$INSERT INTO story_order (item) VALUES ('of Max')$$) LIKE '42501:%' AS refused;
SELECT item FROM story_order ORDER BY id;
COMMIT;

\echo == removes one, who is out at once; his work stays
BEGIN;
SELECT status FROM tenancy.begin_session(:'lee');
SELECT tenancy.remove_member(:'max_id');
COMMIT;
BEGIN;
SELECT status, next_step FROM tenancy.begin_session(:'max');
SELECT count(*) FROM story_order;
COMMIT;
BEGIN;
SELECT status FROM tenancy.begin_session(:'kim');
SELECT item FROM story_order ORDER BY id;
\echo == and reads in the audit log who did what
SELECT action, subject FROM tenancy.audit_log ORDER BY at;
COMMIT;

\echo == an admin of a customer is no superadmin, and sees no other customer
BEGIN;
SELECT is_superadmin, status FROM tenancy.begin_session(:'kim');
SELECT count(*) FROM tenancy.orgs;
SELECT minting.refusal($$SELECT tenancy.create_org('Mine', 'story-mine', admin_email => 'x@customer.test')$$) LIKE '42501:%' AS refused;
SELECT minting.refusal($$SELECT tenancy.suspend_org('story-branch', 'rival')$$) LIKE '42501:%' AS refused;
SELECT minting.refusal($$SELECT tenancy.switch_org('story-branch')$$) LIKE 'TN005:%' AS refused;
COMMIT;

\c - :admin
SET client_min_messages = warning;
DROP TABLE story_order;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'story_order';
DELETE FROM tenancy.resource_types WHERE name = 'story_order';
DELETE FROM tenancy.organizations WHERE slug LIKE 'story-%';
DELETE FROM tenancy.users WHERE name IN ('Story Kim', 'Story Lee', 'Story Max', 'Story Zoe') OR id = minting.user_id('story-sam');
DELETE FROM minting.calls;
