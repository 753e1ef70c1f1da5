-- provision_user() and create_org(): who gets which user, org and role, what is refused and why, and that a transaction
-- that fails leaves nothing behind. Simultaneous calls are tested in test/specs and test/t.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE SCHEMA onboarding;
GRANT USAGE ON SCHEMA onboarding TO regress_tenancy_app;

-- Sets the session's token to one of Clerk's (or another issuer's) for that subject.
CREATE FUNCTION onboarding.sign_in(subject text, claims jsonb DEFAULT '{}', key text DEFAULT 'clerk', OUT status text, OUT next_step text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', '', false), set_config('tenancy.session_token', minting.token(key,
		CASE key WHEN 'better_auth' THEN '{"aud": "https://app.test"}' ELSE '{}' END::jsonb || jsonb_build_object('sub', 'onboarding-' || subject) || claims), false);
	SELECT s.status, s.next_step INTO status, next_step FROM tenancy.session() s;
END
$$;
-- A slug without its random suffix, if another test has taken the plain one.
CREATE FUNCTION onboarding.plain(slug text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(slug, '-[0-9a-f]{8}$', '-########') $$;
-- provision_user(), without what differs from run to run.
CREATE FUNCTION onboarding.provision(OUT created boolean, OUT slug text, OUT roles text[], OUT ids_are_the_sessions text) LANGUAGE plpgsql AS $$
DECLARE
	p record;
BEGIN
	SELECT * INTO p FROM tenancy.provision_user();
	created := p.created;
	slug := onboarding.plain(p.org_slug);
	roles := p.roles;
	SELECT concat_ws(' ', CASE WHEN s.user_id = p.user_id THEN 'user' END, CASE WHEN s.org_id = p.org_id AND s.org_slug = p.org_slug THEN 'org' END, s.status)
	INTO ids_are_the_sessions FROM tenancy.session() s;
END
$$;
-- What the catalog says of a subject, seen with the DBA's eyes.
CREATE FUNCTION onboarding.account(subject text, key text DEFAULT 'clerk', OUT email text, OUT verified boolean, OUT name text, OUT super boolean, OUT orgs text)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER AS $$
	SELECT u.email, u.email_verified, left(u.name, 40), EXISTS (SELECT FROM tenancy.superadmins a WHERE a.user_id = u.id),
		(SELECT string_agg(format('%s %s "%s" %s', onboarding.plain(o.slug), o.kind, left(o.name, 40), (SELECT string_agg(r.name, ',' ORDER BY r.name)
			FROM tenancy.membership_roles x JOIN tenancy.roles r ON r.id = x.role_id WHERE x.user_id = u.id AND x.org_id = o.id)), '; ' ORDER BY o.created_at, o.name)
		FROM tenancy.memberships m JOIN tenancy.organizations o ON o.id = m.org_id WHERE m.user_id = u.id)
	FROM tenancy.users u JOIN tenancy.identities d ON d.user_id = u.id JOIN tenancy.issuers i ON i.id = d.issuer_id
	JOIN minting.keys k ON k.issuer = i.issuer WHERE d.subject = 'onboarding-' || account.subject AND k.name = account.key
$$;
-- How much there is of everything that onboarding writes.
CREATE FUNCTION onboarding.rows() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM tenancy.users), (SELECT count(*) FROM tenancy.identities), (SELECT count(*) FROM tenancy.organizations),
		(SELECT count(*) FROM tenancy.memberships), (SELECT count(*) FROM tenancy.membership_roles), (SELECT count(*) FROM tenancy.superadmins),
		(SELECT count(*) FROM tenancy.invitations WHERE accepted_at IS NOT NULL))
$$;
-- An error in words.

\echo == without a token, or a good one
SELECT minting.refusal('SELECT tenancy.provision_user()');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Nobody'')');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT minting.refusal('SELECT tenancy.provision_user()');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Nobody'')');
SELECT * FROM onboarding.sign_in('ann', '{"exp": 1}');
SELECT left(minting.refusal('SELECT tenancy.provision_user()'), 5), left(minting.refusal('SELECT tenancy.create_org(''Onboarding Nobody'')'), 5);
SELECT * FROM onboarding.account('ann');

\echo == first sign-in
SELECT * FROM onboarding.sign_in('ann', '{"email": "ann@onboarding.test", "email_verified": true, "name": "Onboarding Ann"}');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Nobody'')');
SELECT * FROM onboarding.provision();
SELECT * FROM onboarding.account('ann');
SELECT status, next_step, org_slug, org_name, roles, is_superadmin FROM tenancy.session();
SELECT count(*) FROM tenancy.my_permissions() WHERE resource_type IN ('org', 'member', 'invitation', 'role', 'audit');

\echo == again
CREATE TEMPORARY TABLE before AS SELECT onboarding.rows() AS rows, (SELECT user_id FROM tenancy.session()) AS user_id;
SELECT * FROM onboarding.provision();
SELECT (p).created, onboarding.rows() = rows AS nothing_new, (p).user_id = user_id AS same_user FROM before, (SELECT tenancy.provision_user() AS p FROM generate_series(1, 3)) x;
-- Nothing is written when nothing is new, since every connection would hear of it.
\c - :dba
SET client_min_messages = warning;
SELECT xmin AS version FROM tenancy.users WHERE email = 'ann@onboarding.test' \gset
SELECT minting.token('clerk', '{"sub": "onboarding-ann"}') AS plain, minting.token('clerk', '{"sub": "onboarding-ann", "email": "ann@onboarding.test", "email_verified": true, "name": "Onboarding Ann"}') AS full \gset
BEGIN;
SELECT status FROM tenancy.begin_session(:'full');
SELECT created FROM tenancy.provision_user();
SELECT status FROM tenancy.begin_session(:'plain');
SELECT created FROM tenancy.provision_user();
SELECT xmin = :version AS untouched, pg_current_xact_id_if_assigned() IS NULL AS nothing_written FROM tenancy.users WHERE email = 'ann@onboarding.test';
COMMIT;

\echo == profile
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT FROM onboarding.sign_in('ann', '{"email": "ann@new.onboarding.test", "email_verified": true, "name": "Onboarding Anne"}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
-- Another address, not verified: what was verified is not this one.
SELECT FROM onboarding.sign_in('ann', '{"email": "ann@other.onboarding.test"}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
SELECT FROM onboarding.sign_in('ann', '{"email": "ann@other.onboarding.test", "email_verified": true}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
SELECT FROM onboarding.sign_in('ann', '{"email": "ann@other.onboarding.test", "email_verified": false}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
SELECT FROM onboarding.sign_in('ann', '{"email": "ann@other.onboarding.test", "email_verified": "true"}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
-- Claims that are not there, empty or of another type say nothing.
SELECT FROM onboarding.sign_in('ann', '{"email": "", "email_verified": false, "name": 5}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
SELECT FROM onboarding.sign_in('ann', '{"name": " \u00a0\u200b"}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');
SELECT FROM onboarding.sign_in('ann', '{"email": ["x@onboarding.test"], "email_verified": true}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.account('ann');

\echo == identities
-- The same person's second account is another user, as is the same subject of another issuer.
SELECT FROM onboarding.sign_in('ann-two', '{"name": "Onboarding Ann Two", "email": "ann@other.onboarding.test", "email_verified": true}');
SELECT created FROM tenancy.provision_user();
SELECT * FROM onboarding.sign_in('ann', '{"name": "Onboarding Other Ann", "email": "ann@other.onboarding.test", "emailVerified": true}', 'better_auth');
SELECT created FROM tenancy.provision_user();
SELECT a.* FROM onboarding.account('ann-two') a UNION ALL SELECT a.* FROM onboarding.account('ann', 'better_auth') a;

\echo == what a personal org is called
CREATE TEMPORARY TABLE people (n int, subject text, claims jsonb);
INSERT INTO people VALUES
	(1, 'named-email', '{"email": "onboarding.email+tag@x.test"}'),
	(2, 'named-blank', '{"name": " \t\n", "email": "onboarding-blank@x.test"}'),
	(3, 'named-local', '{"email": "@x.test", "email_verified": true}'),
	(4, 'named-spaces', '{"email": "  @x.test"}'),
	(5, 'named-nothing', '{}'),
	(6, 'named-accents', '{"name": "Onboarding Zoë Ångström-Łódź"}'),
	(7, 'named-quotes', '{"name": "Onboarding O''Brien \"x\"; DROP TABLE \\ $$"}'),
	(8, 'named-kanji', '{"name": "山田太郎"}'),
	(9, 'named-padded', jsonb_build_object('name', repeat(' ', 300) || 'Onboarding Padded')),
	(10, 'named-hyphens', '{"name": "--- Onboarding --- Hyphens ---"}'),
	(11, 'named-long', jsonb_build_object('name', 'Onboarding ' || repeat('long ', 100))),
	(12, 'named-emoji', jsonb_build_object('name', 'Onboarding ' || repeat('😀', 300))),
	(13, 'named-uuid', '{"name": "0D9B0A3E-0000-4000-8000-00000000ABCD"}'),
	(15, 'named-unseen', '{"name": "\u00a0\u200b\u000b", "email": "onboarding-unseen@x.test"}'),
	(16, 'named-far', jsonb_build_object('name', repeat(E'\u00a0', 300) || 'Onboarding Far')),
	(14, 'named-huge', jsonb_build_object('name', 'Onboarding huge ' || repeat('x', 5000), 'email', repeat('x', 400) || '@x.test', 'email_verified', true));
CREATE FUNCTION pg_temp.onboard(subject text, claims jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM onboarding.sign_in(subject, claims);
	RETURN (SELECT created FROM tenancy.provision_user());
END
$$;
SELECT count(*) FROM people WHERE pg_temp.onboard(subject, claims);
SELECT n, a.email, a.verified, a.orgs FROM people, onboarding.account(subject) a WHERE n NOT IN (3, 4, 5, 8) ORDER BY n;
-- Where nothing can be made of the name, other tests may have taken the slug.
SELECT n, a.email, regexp_replace(a.orgs, '^(\w+)(-#{8})? ', '\1(-########) ') FROM people, onboarding.account(subject) a WHERE n IN (3, 4, 5, 8) ORDER BY n;
\c - :dba
SET client_min_messages = warning;
SELECT max(char_length(name)) AS longest_name, max(length(slug)) <= 57 AS slugs_leave_room FROM tenancy.organizations WHERE name LIKE 'Onboarding %';

\echo == invitations
CREATE FUNCTION onboarding.org(slug text, status text DEFAULT 'active') RETURNS uuid LANGUAGE sql AS $$
	INSERT INTO tenancy.organizations (slug, name, status) VALUES ('onboarding-' || slug, initcap(slug), status)
	ON CONFLICT (slug) DO UPDATE SET status = excluded.status RETURNING id
$$;
-- An invitation to an org; the last argument says what has become of it.
CREATE FUNCTION onboarding.invite(email text, slug text, role text DEFAULT 'member', state text DEFAULT 'pending') RETURNS void LANGUAGE sql AS $$
	INSERT INTO tenancy.invitations (org_id, email, role_id, token_hash, expires_at, revoked_at, accepted_at)
	SELECT o.id, email || '@onboarding.test', r.id, sha256(gen_random_uuid()::text::bytea),
		now() + CASE state WHEN 'expired' THEN interval '-1 second' ELSE interval '1 day' END,
		CASE state WHEN 'revoked' THEN now() END, CASE state WHEN 'accepted' THEN now() END
	FROM tenancy.organizations o, tenancy.roles r WHERE o.slug = 'onboarding-' || invite.slug AND r.name = invite.role AND (r.org_id IS NULL OR r.org_id = o.id)
$$;
-- Those for an address, with what has become of them.
CREATE FUNCTION onboarding.invitations(for_email text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s', o.slug, CASE WHEN i.accepted_at IS NOT NULL THEN 'accepted by ' || coalesce(d.subject, 'somebody') WHEN i.revoked_at IS NOT NULL THEN 'revoked'
		WHEN i.expires_at <= now() THEN 'expired' ELSE 'pending' END, CASE WHEN i.accepted_at = (SELECT m.created_at FROM tenancy.memberships m
		WHERE m.user_id = i.accepted_by AND m.org_id = i.org_id) THEN 'when joining' END)
	FROM tenancy.invitations i JOIN tenancy.organizations o ON o.id = i.org_id LEFT JOIN tenancy.identities d ON d.user_id = i.accepted_by
	WHERE lower(i.email) = lower(for_email) || '@onboarding.test' ORDER BY 1
$$;
SELECT onboarding.org('acme'), onboarding.org('beta'), onboarding.org('shut', 'suspended'), onboarding.org('gone', 'archived') \g /dev/null
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'onboarding-clerk' FROM tenancy.organizations WHERE slug = 'onboarding-acme';
SELECT onboarding.invite('Bob', 'acme'), onboarding.invite('carl', 'acme', 'viewer'), onboarding.invite('carl', 'beta', 'admin'),
	onboarding.invite('dora', 'acme', 'member', 'expired'), onboarding.invite('dora', 'beta', 'member', 'revoked'), onboarding.invite('dora', 'shut'), onboarding.invite('dora', 'gone'),
	onboarding.invite('eve', 'acme', 'admin'), onboarding.invite('fay', 'acme', 'onboarding-clerk'),
	onboarding.invite('gus', 'acme', 'viewer', 'revoked'), onboarding.invite('gus', 'acme', 'member'), onboarding.invite('gus', 'beta', 'member', 'accepted'),
	onboarding.invite('hal', 'acme') \g /dev/null
\c - regress_tenancy_app
SET client_min_messages = warning;
-- Written in another case: the same address.
SELECT FROM onboarding.sign_in('bob', '{"email": "bOB@Onboarding.Test", "email_verified": true, "name": "Onboarding Bob"}');
SELECT * FROM onboarding.provision();
SELECT * FROM onboarding.account('bob');
-- Two: both are accepted, and the user picks.
SELECT FROM onboarding.sign_in('carl', '{"email": "carl@onboarding.test", "email_verified": true}');
SELECT created, slug IN ('onboarding-acme', 'onboarding-beta') AS one_of_them, roles = CASE slug WHEN 'onboarding-acme' THEN '{viewer}'::text[] ELSE '{admin}' END AS its_role, ids_are_the_sessions FROM onboarding.provision();
SELECT * FROM onboarding.account('carl');
SELECT next_step FROM tenancy.session();
-- None that counts.
SELECT FROM onboarding.sign_in('dora', '{"email": "dora@onboarding.test", "email_verified": true, "name": "Onboarding Dora"}');
SELECT * FROM onboarding.provision();
-- The address is not known to be hers: it could be anybody's who signs up with it.
SELECT FROM onboarding.sign_in('eve', '{"email": "eve@onboarding.test", "email_verified": false, "name": "Onboarding Eve"}');
SELECT * FROM onboarding.provision();
SELECT FROM onboarding.sign_in('eve-two', '{"email": "eve@onboarding.test", "name": "Onboarding Eve Two"}');
SELECT * FROM onboarding.provision();
-- Verified later, when she has an org: the invitation is hers to accept.
SELECT FROM onboarding.sign_in('eve', '{"email": "eve@onboarding.test", "email_verified": true, "name": "Onboarding Eve"}');
SELECT * FROM onboarding.provision();
-- A role of the org's own.
SELECT FROM onboarding.sign_in('fay', '{"email": "fay@onboarding.test", "email_verified": true}');
SELECT * FROM onboarding.provision();
-- Revoked once and made again; accepted by somebody else before.
SELECT FROM onboarding.sign_in('gus', '{"email": "gus@onboarding.test", "email_verified": true}');
SELECT * FROM onboarding.provision();
-- Others with a similar address.
SELECT FROM onboarding.sign_in('hal', '{"email": "hal@onboarding.test.example", "email_verified": true, "name": "Onboarding Hal"}');
SELECT * FROM onboarding.provision();
SELECT FROM onboarding.sign_in('hal-two', '{"email": "h_l@onboarding.test", "email_verified": true, "name": "Onboarding Hal Two"}');
SELECT * FROM onboarding.provision();
\c - :dba
SET client_min_messages = warning;
SELECT onboarding.invitations(p) FROM unnest('{bob,carl,dora,eve,fay,gus,hal}'::text[]) WITH ORDINALITY x (p, n) ORDER BY n;

\echo == a user without an org
DELETE FROM tenancy.memberships m USING tenancy.organizations o WHERE o.id = m.org_id AND o.slug = 'onboarding-acme';
SELECT onboarding.invite('bob', 'beta', 'viewer') \g /dev/null
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM onboarding.sign_in('bob', '{"email": "bob@onboarding.test", "email_verified": true, "name": "Onboarding Bob"}');
SELECT * FROM onboarding.provision();
SELECT * FROM onboarding.sign_in('fay', '{"email": "fay@onboarding.test", "email_verified": true, "name": "Onboarding Fay"}');
SELECT * FROM onboarding.provision();
SELECT orgs FROM onboarding.account('fay');
-- An org that is suspended is an org; no other is made.
\c - :dba
SET client_min_messages = warning;
UPDATE tenancy.organizations SET status = 'suspended' WHERE slug = 'onboarding-beta';
SELECT onboarding.invite('bob', 'acme') \g /dev/null
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM onboarding.sign_in('bob', '{"email": "bob@onboarding.test", "email_verified": true}');
SELECT * FROM onboarding.provision();
SELECT orgs FROM onboarding.account('bob');

\echo == superadmins by email
\c - :dba
SET client_min_messages = warning;
ALTER ROLE regress_tenancy_app SET tenancy.superadmin_emails = 'Root@onboarding.test, ops+1@onboarding.test,"late@onboarding.test"';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT FROM onboarding.sign_in('root', '{"email": "root@Onboarding.test", "email_verified": true, "name": "Onboarding Root"}');
SELECT created FROM tenancy.provision_user();
SELECT is_superadmin, roles FROM tenancy.session();
SELECT FROM onboarding.sign_in('ops', '{"email": "ops+1@onboarding.test", "email_verified": true, "name": "Onboarding Ops"}');
SELECT created FROM tenancy.provision_user();
SELECT FROM onboarding.sign_in('root-two', '{"email": "root@onboarding.test", "name": "Onboarding Root Two"}');
SELECT created FROM tenancy.provision_user();
SELECT FROM onboarding.sign_in('root-three', '{"email": "root@onboarding.test", "email_verified": "yes", "name": "Onboarding Root Three"}');
SELECT created FROM tenancy.provision_user();
SELECT FROM onboarding.sign_in('root-four', '{"email": "oot@onboarding.test", "email_verified": true, "name": "Onboarding Root Four"}');
SELECT created FROM tenancy.provision_user();
SELECT FROM onboarding.sign_in('root-five', '{"email": "root@onboarding.test, x", "email_verified": true, "name": "Onboarding Root Five"}');
SELECT created FROM tenancy.provision_user();
-- Somebody else acts with it: it makes nobody a superadmin, neither a new user nor one of old.
SELECT * FROM onboarding.sign_in('root-six', '{"email": "root@onboarding.test", "email_verified": true, "name": "Onboarding Root Six", "act": {"sub": "onboarding-support"}}');
SELECT created FROM tenancy.provision_user();
SELECT created FROM tenancy.provision_user();
SELECT is_superadmin, impersonation FROM tenancy.session();
SELECT super FROM onboarding.account('root-six');
SELECT FROM onboarding.sign_in('root-six', '{"email": "root@onboarding.test", "email_verified": true, "name": "Onboarding Root Six"}');
SELECT created FROM tenancy.provision_user();
SELECT is_superadmin FROM tenancy.session();
-- A user of old whose address is verified now.
SELECT FROM onboarding.sign_in('late', '{"name": "Onboarding Late"}');
SELECT created FROM tenancy.provision_user();
SELECT FROM onboarding.sign_in('late', '{"email": "late@onboarding.test", "email_verified": true}');
SELECT created FROM tenancy.provision_user();
SELECT is_superadmin FROM tenancy.session();
SELECT subject, super, orgs FROM unnest('{root,ops,root-two,root-three,root-four,root-five,late}'::text[]) WITH ORDINALITY s (subject, n), onboarding.account(subject) ORDER BY n;
-- The application cannot put itself there, nor see who is.
SELECT left(minting.refusal('SET tenancy.superadmin_emails = ''x@onboarding.test'''), 5) AS setting, left(minting.refusal('SHOW tenancy.superadmin_emails'), 5) AS showing;
\c - :dba
SET client_min_messages = warning;
ALTER ROLE regress_tenancy_app RESET tenancy.superadmin_emails;

\echo == disabled, and revoked
UPDATE tenancy.users SET status = 'disabled' WHERE name = 'Onboarding Dora';
UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 minute' WHERE name = 'Onboarding Hal';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM onboarding.sign_in('dora', '{"email": "root@onboarding.test", "email_verified": true, "name": "Onboarding Changed"}');
SELECT minting.refusal('SELECT tenancy.provision_user()');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Nobody'')');
SELECT * FROM onboarding.sign_in('hal', '{"name": "Onboarding Changed"}');
SELECT minting.refusal('SELECT tenancy.provision_user()');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Nobody'')');
SELECT a.* FROM onboarding.account('dora') a UNION ALL SELECT a.* FROM onboarding.account('hal') a;

\echo == create_org
SELECT FROM onboarding.sign_in('ivy', '{"name": "Onboarding Ivy"}');
SELECT created FROM tenancy.provision_user();
SELECT tenancy.create_org('Onboarding Works') IS NOT NULL;
SELECT status, next_step FROM tenancy.session();
SELECT slug, kind, name, roles, is_current FROM tenancy.my_orgs() ORDER BY slug;
SELECT tenancy.switch_org('onboarding-works') IS NOT NULL;
SELECT status, org_slug, roles FROM tenancy.session();
-- Names.
SELECT minting.refusal(format('SELECT tenancy.create_org(%L)', name)) FROM (VALUES (1, NULL), (2, ''), (3, '  '), (4, E'\t\n'), (5, repeat('x', 201)), (6, repeat('é', 201))) n (n, name) ORDER BY n;
-- Nor what nobody sees: NBSP, a vertical tab, no width, fillers, a tag.
SELECT n, left(minting.refusal(format('SELECT tenancy.create_org(%L)', name)), 5) FROM unnest(ARRAY[E'\u00a0', E'\x0b', E'\u200b\u200d\ufeff', E'\u3000 \u2003', E'\u3164\u2800', E'\U000e0020', E'\u202e\u00ad\x1f\u0085']) WITH ORDINALITY x (name, n) ORDER BY n;
CREATE TEMPORARY TABLE made AS
	SELECT n, name, tenancy.create_org(name) AS id FROM (VALUES
		(1, 'Onboarding' || repeat(' é', 94) || 'x'), (2, 'Onboarding "quoted" O''Reilly; --'), (3, 'Onboarding Crème Brûlée'), (4, 'Onboarding ﬁne ½ ①'),
		(5, 'onboarding_under.dots/and\slashes'), (6, ' Onboarding  spaced '), (7, '0d9b0a3e-0000-4000-8000-00000000abcd'), (8, '株式会社'), (9, '!!!'),
		(10, 'Onboarding ' || repeat('-', 36) || 'cut'), (11, 'Onboarding ' || repeat('x', 36) || ' cut'), (12, 'ONBOARDING İstanbul STRASSE ß'), (13, repeat('Onboarding ', 18))) n (n, name);
SELECT n, left(o.name, 40), char_length(o.name), onboarding.plain(o.slug), o.name = made.name AS name_kept FROM made JOIN tenancy.my_orgs() o ON o.org_id = made.id WHERE n NOT IN (8, 9) ORDER BY n;
SELECT n, o.slug ~ '^org(-[0-9a-f]{8})?$' AS called_org, o.name FROM made JOIN tenancy.my_orgs() o ON o.org_id = made.id WHERE n IN (8, 9) ORDER BY n;
-- One name, three orgs.
SELECT count(DISTINCT tenancy.create_org('Onboarding Same Name')) FROM generate_series(1, 3);
SELECT onboarding.plain(slug), count(*), count(DISTINCT slug) FROM tenancy.my_orgs() WHERE name = 'Onboarding Same Name' GROUP BY 1 ORDER BY 1;
-- Slugs.
SELECT minting.refusal(format('SELECT tenancy.create_org(''Onboarding Slugs'', %L)', slug)) FROM (VALUES (1, ''), (2, '-onboarding'), (3, 'onboarding-'), (4, 'Onboarding'), (5, 'onboarding_x'),
	(6, 'onboarding x'), (7, 'onbôarding'), (8, repeat('x', 64)), (9, '0d9b0a3e-0000-4000-8000-00000000abcd'), (10, E'onboarding\n')) s (n, slug) ORDER BY n;
CREATE TEMPORARY TABLE slugs AS SELECT n, slug, tenancy.create_org('Onboarding Slugs', slug) AS id FROM (VALUES (1, 'onboarding-s1'), (2, '7'), (3, 'o' || repeat('-', 61) || 'x'), (4, '0d9b0a3e-0000-4000-8000-00000000abcg'), (5, 'onboarding--s5')) s (n, slug);
SELECT n, o.slug FROM slugs JOIN tenancy.my_orgs() o ON o.org_id = slugs.id AND o.slug = slugs.slug AND o.name = 'Onboarding Slugs' ORDER BY n;
-- The same call again is the same org; another name, or another's org, is not.
SELECT tenancy.create_org('Onboarding Slugs', 'onboarding-s1') = org_id FROM tenancy.my_orgs() WHERE slug = 'onboarding-s1';
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Other'', ''onboarding-s1'')');
SELECT minting.refusal('SELECT tenancy.create_org(''Acme'', ''onboarding-acme'')');
SELECT FROM onboarding.sign_in('eve');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Slugs'', ''onboarding-s1'')');
SELECT count(*) FROM tenancy.my_orgs();
-- One's own that is suspended is there, and shown; an archived one is not.
SELECT FROM onboarding.sign_in('ivy');
SELECT org_id AS s1 FROM tenancy.my_orgs() WHERE slug = 'onboarding-s1' \gset
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.suspend_org('onboarding-s1', 'unpaid');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT FROM onboarding.sign_in('ivy');
SELECT tenancy.create_org('Onboarding Slugs', 'onboarding-s1') = :'s1' AS same;
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.archive_org('onboarding-s1');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT FROM onboarding.sign_in('ivy');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Slugs'', ''onboarding-s1'')');
SELECT FROM onboarding.sign_in('eve');
SELECT minting.refusal('SELECT tenancy.create_org(''Onboarding Slugs'', ''onboarding-s1'')');
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.resume_org('onboarding-s1');
-- Who has left an org cannot get back in by making it again.
DELETE FROM tenancy.memberships m USING tenancy.organizations o WHERE o.id = m.org_id AND o.slug = 'onboarding-s1';
DELETE FROM tenancy.memberships m USING tenancy.users u WHERE u.id = m.user_id AND u.name = 'Onboarding Late';
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT FROM onboarding.sign_in('ivy');
SELECT left(minting.refusal('SELECT tenancy.create_org(''Onboarding Slugs'', ''onboarding-s1'')'), 5);
-- A user whose only org is archived makes one and is in it.
SELECT FROM onboarding.sign_in('ned', '{"name": "Onboarding Ned"}');
SELECT org_slug FROM tenancy.provision_user();
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.archive_org('onboarding-ned');
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT * FROM onboarding.sign_in('ned');
SELECT tenancy.create_org('Onboarding Ned''s second') IS NOT NULL;
SELECT status, org_slug, roles FROM tenancy.session();
-- A user without an org makes one and is in it.
SELECT * FROM onboarding.sign_in('late');
SELECT tenancy.create_org('Onboarding Late''s own') IS NOT NULL;
SELECT status, org_slug, roles FROM tenancy.session();

\echo == transactions
SELECT FROM onboarding.sign_in('jon', '{"name": "Onboarding Jon"}');
SELECT onboarding.rows() AS before \gset
BEGIN;
SELECT * FROM onboarding.provision();
SELECT tenancy.create_org('Onboarding Rolled Back') IS NOT NULL;
SELECT status FROM tenancy.session();
ROLLBACK;
SELECT status FROM tenancy.session();
SELECT onboarding.rows() = :'before' AS nothing_left;
BEGIN;
SAVEPOINT s;
SELECT created FROM tenancy.provision_user();
ROLLBACK TO s;
SELECT status FROM tenancy.session();
SELECT created FROM tenancy.provision_user();
RELEASE s;
SELECT created FROM tenancy.provision_user();
SAVEPOINT s;
SELECT tenancy.create_org('Onboarding Jon''s', 'onboarding-jon-s') IS NOT NULL;
SELECT status FROM tenancy.session();
ROLLBACK TO s;
SELECT status FROM tenancy.session();
COMMIT;
SELECT * FROM onboarding.account('jon');
-- The functions of an application that catch errors.
SELECT FROM onboarding.sign_in('kim', '{"name": "Onboarding Kim"}');
DO $$
BEGIN
	BEGIN
		PERFORM tenancy.provision_user();
		RAISE EXCEPTION 'something else fails';
	EXCEPTION WHEN raise_exception THEN
		ASSERT (SELECT status FROM tenancy.session()) = 'unprovisioned';
	END;
	BEGIN
		PERFORM tenancy.provision_user();
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	ASSERT (SELECT status FROM tenancy.session()) = 'active';
END
$$;
SELECT orgs FROM onboarding.account('kim');
-- A transaction that must not write says so, unless there is nothing to write.
SELECT FROM onboarding.sign_in('lea', '{"name": "Onboarding Lea"}');
BEGIN READ ONLY;
SELECT tenancy.provision_user();
ROLLBACK;
SELECT FROM onboarding.sign_in('kim', '{"name": "Onboarding Kim"}');
BEGIN READ ONLY;
SELECT created FROM tenancy.provision_user();
SELECT tenancy.create_org('Onboarding Read Only');
ROLLBACK;
-- Other isolation levels.
SELECT FROM onboarding.sign_in('lea', '{"name": "Onboarding Lea"}');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 FROM pg_class;
SELECT * FROM onboarding.provision();
SELECT tenancy.create_org('Onboarding Repeatable', 'onboarding-repeatable') = tenancy.create_org('Onboarding Repeatable', 'onboarding-repeatable') AS same;
SELECT created FROM tenancy.provision_user();
COMMIT;
SELECT FROM onboarding.sign_in('max', '{"name": "Onboarding Max"}');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM onboarding.provision();
COMMIT;
SELECT a.orgs FROM onboarding.account('lea') a UNION ALL SELECT a.orgs FROM onboarding.account('max') a;

\c - :dba
SET client_min_messages = warning;
-- Nobody without a role, no user without an identity.
SELECT count(*) FROM tenancy.memberships m JOIN tenancy.identities i USING (user_id) WHERE i.subject LIKE 'onboarding-%'
	AND NOT EXISTS (SELECT FROM tenancy.membership_roles r WHERE r.user_id = m.user_id AND r.org_id = m.org_id);
SELECT count(*) FROM tenancy.users u WHERE u.name LIKE 'Onboarding %' AND NOT EXISTS (SELECT FROM tenancy.identities i WHERE i.user_id = u.id);
DELETE FROM tenancy.organizations o WHERE o.slug LIKE 'onboarding-%' OR EXISTS (SELECT FROM tenancy.memberships m JOIN tenancy.identities i USING (user_id) WHERE m.org_id = o.id AND i.subject LIKE 'onboarding-%')
	OR o.created_by IN (SELECT i.user_id FROM tenancy.identities i WHERE i.subject LIKE 'onboarding-%');
DELETE FROM tenancy.users u USING tenancy.identities i WHERE i.user_id = u.id AND i.subject LIKE 'onboarding-%';
DROP SCHEMA onboarding CASCADE;
