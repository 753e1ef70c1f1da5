-- An owner's story: from signing up with the issuer to working in an org of one's own, by calls that the application's role makes,
-- each of them counted. Then the four measures that say whether it worked.
SELECT current_user AS admin \gset
SET client_min_messages = warning;
SELECT minting.token('clerk', '{"sub": "story-olga", "email": "olga@owner.test", "email_verified": true, "name": "Story Olga"}') AS olga,
	minting.token('clerk', '{"sub": "story-paul", "email": "paul@owner.test", "email_verified": true, "name": "Story Paul"}') AS paul \gset
CREATE TABLE story_note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
SELECT tenancy.protect('story_note');
GRANT SELECT, INSERT, UPDATE, DELETE ON story_note TO regress_tenancy_app;
-- For the third measure: an action that nobody is granted.
SELECT tenancy.revoke_permission('admin', 'delete', 'story_note');
\c - regress_tenancy_app
SET client_min_messages = warning;

\echo == Olga has signed up: her first request
BEGIN;
SELECT minting.call('owner', format('SELECT status, next_step FROM tenancy.begin_session(%L)', :'olga'));
SELECT minting.call('owner', 'SELECT org_slug, roles, created FROM tenancy.provision_user()');
SELECT minting.call('owner', 'SELECT status, next_step, org_slug, org_name, roles FROM tenancy.session()');
COMMIT;
SELECT * FROM minting.told('owner');

\echo == her second request: in at once, and at work
BEGIN;
SELECT status, org_slug FROM tenancy.begin_session(:'olga');
INSERT INTO story_note (body) VALUES ('of Olga');
SELECT body FROM story_note;
COMMIT;

\echo == whatever she calls again changes nothing
BEGIN;
SELECT status FROM tenancy.begin_session(:'olga');
SELECT org_slug, roles, created FROM tenancy.provision_user();
SELECT count(*) FROM tenancy.my_orgs();
COMMIT;

\echo == Paul signs up as well, and has another org
BEGIN;
SELECT status FROM tenancy.begin_session(:'paul');
SELECT org_slug, roles, created FROM tenancy.provision_user();
INSERT INTO story_note (body) VALUES ('of Paul');
COMMIT;

\echo == measure 1: the owner logs in and gets status active
SET tenancy.session_token = :'olga';
SELECT status = 'active' AS holds FROM tenancy.session();
\echo == measure 2: the first user in a new org has the role admin
SELECT roles = '{admin}' AS holds FROM tenancy.my_orgs();
\echo == measure 3: with no grant there is no access
SELECT tenancy.can_i('update', 'story_note') AND NOT tenancy.can_i('delete', 'story_note') AS holds;
SELECT minting.refusal('DELETE FROM story_note') LIKE '42501:%' AS holds;
SELECT minting.refusal($$SELECT tenancy.require('delete', 'story_note')$$) LIKE '42501:%' AS holds;
SELECT minting.refusal($$SELECT count(*) FROM tenancy.users$$) LIKE '42501:%' AS holds;
\echo == measure 4: org 1 cannot reach org 2, by reading, by writing, by naming it, by going there
SELECT count(*) = 1 AND bool_and(body = 'of Olga') AS holds FROM story_note;
SELECT tenancy.current_org() AS olga_org \gset
SET tenancy.session_token = :'paul';
SELECT count(*) = 1 AND bool_and(body = 'of Paul') AS holds FROM story_note;
SELECT count(*) = 0 AS holds FROM story_note WHERE org_id = :'olga_org';
WITH changed AS (UPDATE story_note SET body = 'taken' RETURNING body) SELECT count(*) = 1 AS holds FROM changed;
SELECT minting.refusal(format('INSERT INTO story_note (body, org_id) VALUES (%L, %L)', 'planted', :'olga_org')) LIKE '42501:%' AS holds;
SELECT minting.refusal(format('UPDATE story_note SET org_id = %L', :'olga_org')) LIKE '42501:%' AS holds;
SELECT minting.refusal(format('SELECT tenancy.switch_org(%L)', :'olga_org')) LIKE 'TN005:%' AS holds;
SET tenancy.org = :'olga_org';
SELECT status = 'not_a_member' AS holds FROM tenancy.session();
SELECT count(*) = 0 AS holds FROM story_note;
RESET tenancy.org;
SET tenancy.session_token = :'olga';
SELECT count(*) = 1 AND bool_and(body = 'of Olga') AS holds FROM story_note;

\c - :admin
SET client_min_messages = warning;
DROP TABLE story_note;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'story_note';
DELETE FROM tenancy.resource_types WHERE name = 'story_note';
DELETE FROM tenancy.organizations WHERE slug IN ('story-olga', 'story-paul');
DELETE FROM tenancy.users WHERE name IN ('Story Olga', 'Story Paul');
DELETE FROM minting.calls;
