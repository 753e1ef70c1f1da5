-- The twelve statuses of a session, each with its next step, what it may read and write, and the error that says why not;
-- and what session(), begin_session(), current_user_id(), current_org(), claims(), my_orgs() and switch_org() return.
SELECT current_user AS admin \gset
SET client_min_messages = warning;
CREATE SCHEMA statuses;
GRANT USAGE ON SCHEMA statuses TO regress_tenancy_app;

-- A user for each status, and orgs that are not as they should be.
SELECT minting.enrol('statuses-disabled', 'statuses-acme'), minting.enrol('statuses-revoked', 'statuses-acme'),
	minting.enrol('statuses-none', 'statuses-acme'), minting.enrol('statuses-several', 'statuses-acme', 'viewer'),
	minting.enrol('statuses-several', 'statuses-beta', 'admin'), minting.enrol('statuses-several', 'statuses-beta', 'member'),
	minting.enrol('statuses-several', 'statuses-shut'), minting.enrol('statuses-several', 'statuses-old'),
	minting.enrol('statuses-shut', 'statuses-shut'), minting.enrol('statuses-old', 'statuses-old'),
	minting.enrol('statuses-super', 'statuses-beta'), minting.enrol('statuses-archivist', 'statuses-acme'),
	minting.enrol('statuses-archivist', 'statuses-old'), minting.enrol('statuses-fallen', 'statuses-beta') \g /dev/null
DELETE FROM tenancy.memberships WHERE user_id = minting.user_id('statuses-none');
UPDATE tenancy.users SET status = 'disabled' WHERE name IN ('statuses-disabled', 'statuses-fallen');
UPDATE tenancy.users SET tokens_valid_from = now() + interval '1 minute' WHERE name = 'statuses-revoked';
UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'unpaid invoice' WHERE slug = 'statuses-shut';
UPDATE tenancy.organizations SET status = 'archived' WHERE slug = 'statuses-old';
UPDATE tenancy.organizations SET kind = 'personal' WHERE slug = 'statuses-acme';
INSERT INTO tenancy.superadmins VALUES (minting.user_id('statuses-super')), (minting.user_id('statuses-fallen'));
INSERT INTO tenancy.org_external_ids SELECT i.id, 'org_' || o.slug, o.id FROM tenancy.issuers i, tenancy.organizations o
WHERE i.issuer = 'https://clerk.test' AND o.slug LIKE 'statuses-%';

CREATE TABLE statuses.note (body text);
SELECT tenancy.protect('statuses.note', 'statuses_note');
INSERT INTO statuses.note SELECT o.slug, o.id FROM tenancy.organizations o WHERE o.slug LIKE 'statuses-%';
GRANT ALL ON statuses.note TO regress_tenancy_app;

-- What a call gives: its result, or the SQLSTATE of its error. What it did is undone.
CREATE FUNCTION statuses.try(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE expression INTO result;
	RAISE EXCEPTION USING ERRCODE = 'UNDO0';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE sqlstate WHEN 'UNDO0' THEN coalesce(result, 'null') ELSE sqlstate END;
END
$$;
-- All that a token, with an org picked, makes of a session.
CREATE FUNCTION statuses.look(token text, picked text, OUT status text, OUT next_step text, OUT known text, OUT org text, OUT roles text,
	OUT super boolean, OUT reads text, OUT writes text, OUT requires text, OUT user_id text, OUT current_org text, OUT claims text, OUT orgs text)
LANGUAGE plpgsql AS $$
DECLARE
	s record;
BEGIN
	SELECT * INTO s FROM tenancy.begin_session(token, picked);
	status := s.status;
	next_step := s.next_step;
	-- What the token says is shown once it is verified, the user once the catalog knows one.
	known := concat_ws(' ', s.subject, CASE WHEN s.issuer = 'https://clerk.test' THEN 'issuer' END,
		CASE WHEN s.expires_at IS NOT NULL THEN 'expiry' END, s.email, CASE WHEN s.user_id IS NOT NULL THEN 'user' END);
	org := concat_ws(' ', s.org_slug, s.org_name, CASE WHEN s.org_id IS NOT NULL THEN 'id' END);
	roles := s.roles;
	super := s.is_superadmin;
	reads := statuses.try('SELECT string_agg(body, '' '') FROM statuses.note');
	writes := statuses.try('INSERT INTO statuses.note VALUES (''x'') RETURNING body');
	requires := statuses.try('SELECT tenancy.require(''read'', ''statuses_note'')');
	user_id := statuses.try(format('SELECT CASE WHEN id = %L THEN ''user'' WHEN id IS NOT NULL THEN ''other'' END FROM tenancy.current_user_id() AS id', s.user_id));
	current_org := statuses.try(format('SELECT CASE WHEN id = %L THEN ''org'' WHEN id IS NOT NULL THEN ''other'' END FROM tenancy.current_org() AS id', s.org_id));
	claims := statuses.try('SELECT tenancy.claims() ->> ''sub''');
	orgs := statuses.try('SELECT string_agg(slug || CASE WHEN is_current THEN ''*'' ELSE '''' END, '' '' ORDER BY slug) FROM tenancy.my_orgs()');
END
$$;

CREATE TABLE statuses.cases (name text PRIMARY KEY, n serial, token text, org text);
INSERT INTO statuses.cases (name, token, org) SELECT * FROM (VALUES
	('no token', NULL, NULL),
	('malformed', 'not.a.token', NULL),
	('bad signature', minting.token('clerk', '{"sub": "statuses-several"}', options => '--sig garbage'), NULL),
	('unknown key', minting.token('clerk', '{"sub": "statuses-several"}', '{"kid": "x"}'), NULL),
	('unknown issuer', minting.token('clerk', '{"sub": "statuses-several", "iss": "https://stranger.test"}'), NULL),
	('not valid yet', minting.token('clerk', '{"sub": "statuses-several", "nbf": 32503680000}'), NULL),
	('issued in the future', minting.token('clerk', '{"sub": "statuses-several", "iat": 32503680000}'), NULL),
	('expired', minting.token('clerk', '{"sub": "statuses-several", "iat": null, "exp": 1000000000}'), NULL),
	('revoked', minting.token('clerk', '{"sub": "statuses-revoked"}'), NULL),
	('revoked, without a time', minting.token('clerk', '{"sub": "statuses-revoked", "iat": null}'), NULL),
	('unprovisioned', minting.token('clerk', '{"sub": "statuses-nobody", "email": "nobody@statuses.test"}'), NULL),
	('unprovisioned, org picked', minting.token('clerk', '{"sub": "statuses-nobody"}'), 'statuses-acme'),
	('same subject, other issuer', minting.token('better_auth', '{"sub": "statuses-super", "aud": "https://app.test"}'), NULL),
	('disabled', minting.token('clerk', '{"sub": "statuses-disabled"}'), NULL),
	('disabled superadmin', minting.token('clerk', '{"sub": "statuses-fallen"}'), NULL),
	('no org', minting.token('clerk', '{"sub": "statuses-none"}'), NULL),
	('several orgs', minting.token('clerk', '{"sub": "statuses-several"}'), NULL),
	('several, one picked', minting.token('clerk', '{"sub": "statuses-several"}'), 'statuses-beta'),
	('several, token names one', minting.token('clerk', '{"sub": "statuses-several", "o": {"id": "org_statuses-acme"}}'), NULL),
	('token names one, other picked', minting.token('clerk', '{"sub": "statuses-several", "org_id": "org_statuses-acme"}'), 'statuses-beta'),
	('token names an unknown one', minting.token('clerk', '{"sub": "statuses-several", "org_id": "org_elsewhere"}'), NULL),
	('token names one of others', minting.token('clerk', '{"sub": "statuses-archivist", "org_id": "org_statuses-beta"}'), NULL),
	('org of others', minting.token('clerk', '{"sub": "statuses-archivist"}'), 'statuses-beta'),
	('org that does not exist', minting.token('clerk', '{"sub": "statuses-archivist"}'), 'statuses-nowhere'),
	('org that is no name', minting.token('clerk', '{"sub": "statuses-archivist"}'), E'\u2603 '' OR true --'),
	('no org, one picked', minting.token('clerk', '{"sub": "statuses-none"}'), 'statuses-acme'),
	('suspended', minting.token('clerk', '{"sub": "statuses-shut"}'), NULL),
	('archived', minting.token('clerk', '{"sub": "statuses-old"}'), NULL),
	('several, archived one picked', minting.token('clerk', '{"sub": "statuses-archivist"}'), 'statuses-old'),
	('only one not archived', minting.token('clerk', '{"sub": "statuses-archivist"}'), NULL),
	('superadmin', minting.token('clerk', '{"sub": "statuses-super"}'), NULL),
	('superadmin, org of others', minting.token('clerk', '{"sub": "statuses-super"}'), 'statuses-acme')) AS c (name, token, org);
GRANT SELECT ON statuses.cases TO regress_tenancy_app;
SELECT minting.token('clerk', '{"sub": "statuses-archivist", "email": "archie@statuses.test", "list": [1, {"a": "é"}]}') AS archivist,
	minting.token('clerk', '{"sub": "statuses-several"}') AS several, minting.token('clerk', '{"sub": "statuses-shut"}') AS shut,
	minting.token('clerk', '{"sub": "statuses-disabled"}') AS disabled, minting.token('clerk', '{"sub": "statuses-nobody"}') AS nobody \gset
\c - regress_tenancy_app

\echo == every state a session can be in
\x on
SELECT c.name, l.* FROM statuses.cases c, statuses.look(c.token, c.org) l ORDER BY c.n;
\x off

\echo == that was all of them
SELECT string_agg(DISTINCT l.status || ' -> ' || l.next_step, E'\n' ORDER BY l.status || ' -> ' || l.next_step), count(DISTINCT l.status)
FROM statuses.cases c, statuses.look(c.token, c.org) l;

\echo == what an error says
CREATE FUNCTION pg_temp.say(token text, org text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM tenancy.begin_session(token, org);
	PERFORM tenancy.require('delete', 'statuses_note');
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN format(E'%s: %s\n  DETAIL: %s\n  HINT: %s', sqlstate, sqlerrm, detail, hint);
END
$$;
\pset format unaligned
\pset tuples_only on
SELECT c.name || E'\n' || pg_temp.say(c.token, c.org) FROM statuses.cases c ORDER BY c.n;
\pset format aligned
\pset tuples_only off

\echo == claims: the whole payload, verified
BEGIN;
SET LOCAL tenancy.session_token = :'archivist';
SELECT tenancy.claims() - '{iat,exp}'::text[] AS claims, tenancy.claims() ? 'iat' AS iat, tenancy.claims() ? 'exp' AS exp;
SELECT email FROM tenancy.session();
COMMIT;
SELECT tenancy.claims() IS NULL AS no_claims, tenancy.current_user_id() IS NULL AS no_user, tenancy.current_org() IS NULL AS no_org;

\echo == my_orgs
BEGIN;
SET LOCAL tenancy.session_token = :'several';
SELECT slug, name, kind, status, roles, is_current, org_id IS NOT NULL AS has_id FROM tenancy.my_orgs() ORDER BY slug;
SET LOCAL tenancy.org = 'statuses-beta';
SELECT slug, is_current, org_id = tenancy.current_org() AS in_force FROM tenancy.my_orgs() ORDER BY slug;
COMMIT;

\echo == switch_org: by slug, by id, in any case that a uuid may have
BEGIN;
SET LOCAL tenancy.session_token = :'several';
SELECT status FROM tenancy.session();
SELECT tenancy.switch_org('statuses-beta') = tenancy.current_org() AS switched;
SELECT org_slug, roles FROM tenancy.session();
SELECT body FROM statuses.note;
SELECT org_id AS acme FROM tenancy.my_orgs() WHERE slug = 'statuses-acme' \gset
SELECT tenancy.switch_org(:'acme') = :'acme' AS switched;
SELECT org_slug, roles FROM tenancy.session();
SELECT tenancy.switch_org('statuses-beta') IS NOT NULL AS switched;
SELECT tenancy.switch_org(upper(:'acme')) = :'acme' AS switched;
SELECT org_slug FROM tenancy.session();
SELECT tenancy.switch_org(NULL);
SELECT org_slug FROM tenancy.session();

\echo == where it cannot: the org in force stays
\set ON_ERROR_ROLLBACK on
SELECT tenancy.switch_org('statuses-nowhere');
SELECT tenancy.switch_org('');
SELECT tenancy.switch_org('statuses-shut');
SELECT tenancy.switch_org('statuses-old');
SELECT org_slug FROM tenancy.session();
SET LOCAL tenancy.session_token = :'archivist';
SET LOCAL tenancy.org = '';
\echo an org of others, and its name: as if it did not exist
SELECT tenancy.switch_org('statuses-beta');
SELECT org_slug FROM tenancy.session();
\set VERBOSITY sqlstate
SET LOCAL tenancy.session_token = :'nobody';
SELECT tenancy.switch_org('statuses-acme');
SET LOCAL tenancy.session_token = :'disabled';
SELECT tenancy.switch_org('statuses-acme');
SET LOCAL tenancy.session_token = '';
SELECT tenancy.switch_org('statuses-acme');
ROLLBACK;
\set ON_ERROR_ROLLBACK off

\echo == it lasts as long as the token does
SET tenancy.session_token = :'several';
SELECT tenancy.switch_org('statuses-beta') IS NOT NULL AS switched;
SELECT org_slug FROM tenancy.session();
BEGIN;
SELECT tenancy.switch_org('statuses-acme') IS NOT NULL AS switched;
SELECT org_slug FROM tenancy.session();
ROLLBACK;
SELECT org_slug FROM tenancy.session();
BEGIN;
SELECT tenancy.switch_org('statuses-acme') IS NOT NULL AS switched;
COMMIT;
SELECT org_slug FROM tenancy.session();
RESET tenancy.session_token;
RESET tenancy.org;
BEGIN;
SET LOCAL tenancy.session_token = :'several';
SELECT tenancy.switch_org('statuses-beta') IS NOT NULL AS switched;
COMMIT;
SHOW tenancy.org;
BEGIN;
SET tenancy.session_token = :'several';
SELECT tenancy.switch_org('statuses-beta') IS NOT NULL AS switched;
COMMIT;
SELECT org_slug FROM tenancy.session();
SET tenancy.org = '';
BEGIN;
SELECT status FROM tenancy.begin_session(:'several');
SELECT tenancy.switch_org('statuses-beta') IS NOT NULL AS switched;
SELECT org_slug FROM tenancy.session();
COMMIT;
SHOW tenancy.org;

\echo == an org in force by SET: forged names do nothing, and it may be set before the token
RESET tenancy.session_token;
SET tenancy.org = 'statuses-beta';
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'several';
SELECT status, org_slug FROM tenancy.session();
SET tenancy.org = 'STATUSES-BETA';
SELECT status, org_slug FROM tenancy.session();
SELECT body FROM statuses.note;
SET tenancy.org TO DEFAULT;
SELECT status, org_slug FROM tenancy.session();
RESET tenancy.session_token;

\echo == a stranger to the extension calls nothing
\c - regress_tenancy_stranger
\set VERBOSITY sqlstate
SELECT status FROM tenancy.session();
SELECT status FROM tenancy.begin_session(NULL);
SELECT tenancy.current_org();

\echo == clean up
\c - :admin
SET client_min_messages = warning;
DROP SCHEMA statuses CASCADE;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'statuses_note';
DELETE FROM tenancy.resource_types WHERE name = 'statuses_note';
DELETE FROM tenancy.users WHERE name LIKE 'statuses-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'statuses-%';
