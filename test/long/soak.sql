-- What test/long/soak.pl works on: orgs whose rows carry their number, people of whom it is known by construction which org they belong
-- to, a token for each, and functions that read, disturb and write down what happened. After test/sql/setup.sql.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE ROLE regress_tenancy_pooled LOGIN;
SELECT tenancy.grant_access('regress_tenancy_pooled');
LOAD 'tenancy';
ALTER ROLE regress_tenancy_pooled SET tenancy.token_scope = 'transaction';

CREATE SCHEMA soak;
GRANT USAGE ON SCHEMA soak TO PUBLIC;
CREATE FUNCTION soak.org_id(org int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT format('50a50000-0000-4000-8000-%s', lpad(org::text, 12, '0'))::uuid $$;
CREATE FUNCTION soak.slug(org int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'soak-' || org $$;
INSERT INTO tenancy.organizations (id, slug, name) SELECT soak.org_id(n), soak.slug(n), 'Soak ' || n FROM generate_series(1, :orgs) n;

-- ---- people ----

-- org is the one whose rows the person may see, if any; slug, the one to pick, is empty for who belongs to no other.
CREATE TABLE soak.people (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, subject text NOT NULL, role text NOT NULL, org int NOT NULL, org_id uuid NOT NULL,
	slug text NOT NULL DEFAULT '', key text NOT NULL DEFAULT 'clerk', user_id uuid, token text
);
INSERT INTO soak.people (kind, subject, role, org, org_id)
SELECT 'steady', format('steady-%s-%s', org, n), CASE n WHEN 1 THEN 'admin' WHEN 2 THEN 'viewer' ELSE 'member' END, org, soak.org_id(org) FROM generate_series(1, :orgs) org, generate_series(1, 5) n;
INSERT INTO soak.people (kind, subject, role, org, org_id, slug)
SELECT 'both', 'both-' || n, role, org, soak.org_id(org), soak.slug(org) FROM generate_series(1, :orgs) n, LATERAL (VALUES ('member', n), ('viewer', n % :orgs + 1)) x (role, org);
-- Their issuer changes its keys all the time, and their tokens are revoked.
SELECT minting.make_key('rotating_' || n, 'EdDSA', 'rotating-' || n, 'https://app.test') FROM generate_series(1, 3) n;
SELECT tenancy.trust_issuer('https://app.test', minting.jwks('rotating_1', 'rotating_2', 'rotating_3'), '{https://app.test}', claims => '{"preset": "better-auth"}');
INSERT INTO soak.people (kind, subject, role, org, org_id, key)
SELECT 'rotating', format('rotating-%s-%s', org, n), 'member', org, soak.org_id(org), 'rotating_' || n FROM generate_series(1, :orgs) org, generate_series(1, 3) n;
INSERT INTO soak.people (kind, subject, role, org, org_id) VALUES ('root', 'root', 'viewer', 0, soak.org_id(0));
INSERT INTO tenancy.organizations (id, slug, name) VALUES (soak.org_id(0), soak.slug(0), 'Home');
SELECT minting.enrol(subject, soak.slug(org), role, k.issuer) FROM soak.people JOIN minting.keys k ON k.name = key;
UPDATE soak.people p SET user_id = d.user_id FROM tenancy.identities d WHERE d.subject = p.subject;
INSERT INTO tenancy.superadmins SELECT user_id FROM soak.people WHERE kind = 'root';

-- Who has no user yet.
CREATE TABLE soak.newcomers (n int PRIMARY KEY, token text);
CREATE SEQUENCE soak.arrivals;
GRANT USAGE, SELECT ON SEQUENCE soak.arrivals TO PUBLIC;

-- ---- tokens, many a second ----

CREATE TABLE soak.minted (n int GENERATED ALWAYS AS IDENTITY, token text);
CREATE FUNCTION soak.mint(key text, claims jsonb[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	k minting.keys;
	file text;
	clock bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
	SELECT * INTO STRICT k FROM minting.keys WHERE name = key;
	file := k.file || '_claims';
	TRUNCATE soak.minted RESTART IDENTITY;
	EXECUTE format('COPY (SELECT %L::jsonb || c FROM unnest(%L::jsonb[]) WITH ORDINALITY u (c, i) ORDER BY i) TO %L',
		jsonb_build_object('iss', k.issuer, 'aud', k.issuer, 'iat', clock, 'exp', clock + 86400), claims, file);
	EXECUTE format('COPY soak.minted (token) FROM PROGRAM %L', format('%s tokens %s %s --header %s', (SELECT value FROM minting.settings WHERE name = 'mint'),
		k.file, file, minting.quoted(jsonb_build_object('alg', k.algorithm, 'kid', k.key_id)::text)));
	RETURN (SELECT array_agg(token ORDER BY n) FROM soak.minted);
END
$$;
CREATE FUNCTION soak.claims(subject text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('sub', subject, 'name', subject, 'email', subject || '@soak.test', 'email_verified', true, 'emailVerified', true)
$$;
UPDATE soak.people p SET token = t.token
FROM (SELECT key, array_agg(id ORDER BY id) AS ids, soak.mint(key, array_agg(soak.claims(subject) ORDER BY id)) AS tokens FROM soak.people GROUP BY key) k, unnest(k.ids, k.tokens) t (id, token)
WHERE t.id = p.id;
INSERT INTO soak.newcomers SELECT n, token
FROM (SELECT array_agg(n ORDER BY n) AS ns, soak.mint('clerk', array_agg(soak.claims('newcomer-' || n) ORDER BY n)) AS tokens FROM generate_series(1, :newcomers) n) k, unnest(k.ns, k.tokens) t (n, token);
GRANT SELECT ON soak.people, soak.newcomers TO PUBLIC;

-- ---- rows: every one says by itself whose it is ----

CREATE TABLE soak.item (id bigint GENERATED ALWAYS AS IDENTITY, tag int NOT NULL, body text);
CREATE TABLE soak.note (id bigint GENERATED ALWAYS AS IDENTITY, tag int NOT NULL, body text);
SELECT tenancy.protect(t) FROM unnest('{soak.item,soak.note}'::regclass[]) t;
INSERT INTO soak.item (tag, org_id, body) SELECT n, soak.org_id(n), 'item ' || i FROM generate_series(1, :orgs) n, generate_series(1, 40) i;
INSERT INTO soak.note (tag, org_id, body) SELECT n, soak.org_id(n), 'note ' || i FROM generate_series(1, :orgs) n, generate_series(1, 5) i;
GRANT SELECT, INSERT, UPDATE, DELETE ON soak.item, soak.note TO PUBLIC;
ANALYZE soak.item, soak.note;

-- ---- what happened ----

CREATE UNLOGGED TABLE soak.tally (kind text, rows bigint, mismatches bigint);
CREATE UNLOGGED TABLE soak.outcomes (kind text, code text, message text);
CREATE UNLOGGED TABLE soak.provisioned (n int, user_id uuid, org_id uuid, created boolean);
GRANT INSERT ON soak.tally, soak.outcomes, soak.provisioned TO PUBLIC;

-- A statement under a token, and what came of it.
CREATE FUNCTION soak.attempt(kind text, token text, org text, statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', token, true), set_config('tenancy.org', org, true);
	EXECUTE statement;
	INSERT INTO soak.outcomes VALUES (kind, 'done');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO soak.outcomes VALUES (kind, sqlstate, sqlerrm);
END
$$;

-- Reading where errors are legitimate. The plans are kept, whoever comes next.
CREATE FUNCTION soak.read(p soak.people) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', p.token, true), set_config('tenancy.org', p.slug, true);
	INSERT INTO soak.tally SELECT 'read, kept plan', count(*), count(*) FILTER (WHERE org_id <> p.org_id OR tag <> p.org) FROM soak.item;
	INSERT INTO soak.tally SELECT 'read, joined', count(*), count(*) FILTER (WHERE i.org_id <> p.org_id OR n.tag <> p.org) FROM soak.item i, soak.note n WHERE i.body = 'item 7';
	INSERT INTO soak.outcomes VALUES ('read', 'done');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO soak.outcomes VALUES ('read', sqlstate, sqlerrm);
END
$$;

-- Writing within one's org, and beyond it.
CREATE FUNCTION soak.write(p soak.people) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	other uuid := (SELECT org_id FROM soak.people WHERE org <> p.org ORDER BY random() LIMIT 1);
BEGIN
	PERFORM soak.attempt('write', p.token, p.slug, format($sql$
		WITH w AS (INSERT INTO soak.note (tag, body) VALUES (%1$s, 'written') RETURNING *) INSERT INTO soak.tally SELECT 'insert', count(*), count(*) FILTER (WHERE org_id <> %2$L) FROM w$sql$, p.org, p.org_id)),
		soak.attempt('write', p.token, p.slug, format($sql$
		WITH w AS (UPDATE soak.note SET body = body || '.' RETURNING *) INSERT INTO soak.tally SELECT 'update', count(*), count(*) FILTER (WHERE org_id <> %2$L OR tag <> %1$s) FROM w$sql$, p.org, p.org_id)),
		soak.attempt('write', p.token, p.slug, format($sql$
		WITH w AS (DELETE FROM soak.note WHERE body LIKE 'written%%' OR tag <> %1$s RETURNING *) INSERT INTO soak.tally SELECT 'delete', count(*), count(*) FILTER (WHERE org_id <> %2$L OR tag <> %1$s) FROM w$sql$, p.org, p.org_id)),
		soak.attempt('trespass', p.token, p.slug, format('INSERT INTO soak.note (tag, body, org_id) VALUES (%s, %L, %L)', p.org, 'trespassed', other)),
		soak.attempt('trespass', p.token, p.slug, format('DO $do$ BEGIN UPDATE soak.note SET org_id = %L; IF NOT FOUND THEN RAISE no_data_found; END IF; END $do$', other));
END
$$;

-- Who of them is out, so that they can be brought back: seen with the rights of the server's owner.
CREATE FUNCTION soak.one(state text) RETURNS soak.people LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT p FROM soak.people p JOIN tenancy.users u ON u.id = p.user_id JOIN tenancy.organizations o ON o.id = p.org_id
	WHERE p.kind <> 'root' AND CASE state WHEN 'any' THEN p.role <> 'admin' WHEN 'absent' THEN NOT EXISTS (SELECT FROM tenancy.memberships m WHERE (m.user_id, m.org_id) = (p.user_id, p.org_id))
		WHEN 'disabled' THEN u.status = 'disabled' WHEN 'revoked' THEN u.tokens_valid_from IS NOT NULL WHEN 'suspended' THEN o.status = 'suspended' END
	ORDER BY random() LIMIT 1
$$;
-- No function of tenancy makes revoked tokens good again.
CREATE FUNCTION soak.forgive(user_id uuid) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	UPDATE tenancy.users u SET tokens_valid_from = NULL WHERE u.id = forgive.user_id
$$;
CREATE FUNCTION soak.two_keys() RETURNS jsonb LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT minting.jwks(VARIADIC array_agg(name)) FROM (SELECT name FROM minting.keys WHERE name ~ '^rotating' ORDER BY random() LIMIT 2) k
$$;

-- Who was removed is invited again, and accepts later.
CREATE UNLOGGED TABLE soak.invited (person int, secret text);
GRANT SELECT, INSERT, DELETE ON soak.invited TO PUBLIC;

-- One change of who may what, at random.
CREATE FUNCTION soak.disturb() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	p soak.people := soak.one('any');
	out soak.people;
	admin text := (SELECT token FROM soak.people a WHERE a.org = p.org AND a.role = 'admin');
	root text := (SELECT token FROM soak.people WHERE kind = 'root');
	action text := (ARRAY['set_member_roles', 'set_member_roles', 'remove_member', 'leave_org', 'suspend_org', 'disable_user', 'import_jwks', 'import_jwks', 'revoke_tokens', 'grant', 'revoke', 'own role',
		'invite', 'invite', 'revoke_invitation', 'rename_org', 'switch_org'])[ceil(random() * 17)];
	statement text := CASE action
		WHEN 'set_member_roles' THEN format('SELECT tenancy.set_member_roles(%L, %L)', p.user_id, (ARRAY['{viewer}', '{member}', '{member,viewer}'])[ceil(random() * 3)])
		WHEN 'remove_member' THEN format('SELECT tenancy.remove_member(%L)', p.user_id)
		WHEN 'leave_org' THEN 'SELECT tenancy.leave_org()'
		WHEN 'suspend_org' THEN format('SELECT tenancy.suspend_org(%L, %L)', soak.slug(p.org), 'soak')
		WHEN 'disable_user' THEN format('SELECT tenancy.disable_user(%L)', p.user_id)
		WHEN 'import_jwks' THEN format('SELECT tenancy.import_jwks(%L, %L)', 'https://app.test', soak.two_keys())
		WHEN 'grant' THEN 'SELECT tenancy.grant_permission(''viewer'', ''read'', ''item'')'
		WHEN 'revoke' THEN 'SELECT tenancy.revoke_permission(''viewer'', ''read'', ''item'')'
		WHEN 'own role' THEN (ARRAY['SELECT tenancy.create_role(''reader'')', 'SELECT tenancy.grant_permission(''reader'', ''read'', ''item'')', 'SELECT tenancy.drop_role(''reader'')'])[ceil(random() * 3)]
		-- Of those who are about to arrive.
		WHEN 'invite' THEN format('SELECT tenancy.invite(%L, %L)', format('newcomer-%s@soak.test', (SELECT last_value / 4 + floor(random() * 4) FROM soak.arrivals)), 'viewer')
		WHEN 'revoke_invitation' THEN 'SELECT tenancy.revoke_invitation(invitation_id) FROM tenancy.list_invitations() WHERE status = ''pending'' LIMIT 1'
		WHEN 'rename_org' THEN format('SELECT tenancy.rename_org(%L, %L)', soak.slug(p.org), 'Soak ' || random())
		WHEN 'switch_org' THEN format('SELECT tenancy.switch_org(%L)', soak.slug(p.org))
	END;
BEGIN
	IF action = 'revoke_tokens' THEN
		SELECT * INTO p FROM soak.people WHERE kind = 'rotating' ORDER BY random() LIMIT 1;
		statement := format('SELECT tenancy.revoke_tokens(%L)', p.user_id);
	END IF;
	PERFORM soak.attempt(action, CASE WHEN action IN ('suspend_org', 'disable_user', 'import_jwks', 'revoke_tokens', 'grant', 'revoke', 'rename_org') THEN root
		WHEN action IN ('leave_org', 'switch_org') THEN p.token ELSE admin END, CASE WHEN action = 'leave_org' THEN p.slug ELSE '' END, statement);
END
$$;

-- One that keeps most of them in. Like the one above it is a transaction by itself: then none may end in a deadlock.
CREATE FUNCTION soak.mend() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	root text := (SELECT token FROM soak.people WHERE kind = 'root');
	action text := (ARRAY['invite again', 'accept_invitation', 'accept_invitation', 'enable_user', 'resume_org', 'forgive'])[ceil(random() * 6)];
	p soak.people := soak.one(CASE action WHEN 'invite again' THEN 'absent' WHEN 'enable_user' THEN 'disabled' WHEN 'resume_org' THEN 'suspended' WHEN 'forgive' THEN 'revoked' END);
	i soak.invited;
BEGIN
	IF action = 'accept_invitation' THEN
		SELECT * INTO i FROM soak.invited ORDER BY random() LIMIT 1;
		DELETE FROM soak.invited d WHERE d = i;
		SELECT * INTO p FROM soak.people WHERE id = i.person;
	END IF;
	CASE action
		WHEN 'invite again' THEN
			PERFORM soak.attempt(action, (SELECT token FROM soak.people a WHERE a.org = p.org AND a.role = 'admin'), '',
				format('INSERT INTO soak.invited SELECT %s, invite_token FROM tenancy.invite(%L, %L, any_email => true)', p.id, p.subject || '@soak.test', p.role)) WHERE p.id IS NOT NULL;
		WHEN 'accept_invitation' THEN PERFORM soak.attempt(action, p.token, '', format('SELECT tenancy.accept_invitation(%L)', i.secret)) WHERE p.id IS NOT NULL;
		WHEN 'enable_user' THEN PERFORM soak.attempt(action, root, '', format('SELECT tenancy.enable_user(%L)', p.user_id)) WHERE p.id IS NOT NULL;
		WHEN 'resume_org' THEN PERFORM soak.attempt(action, root, '', format('SELECT tenancy.resume_org(%L)', soak.slug(p.org))) WHERE p.id IS NOT NULL;
		WHEN 'forgive' THEN PERFORM soak.forgive(p.user_id) WHERE p.id IS NOT NULL;
	END CASE;
END
$$;

-- Each newcomer arrives four times, about at once.
CREATE FUNCTION soak.arrive() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	arriving int := 1 + (nextval('soak.arrivals') / 4) % (SELECT count(*) FROM soak.newcomers);
BEGIN
	PERFORM soak.attempt('provision_user', (SELECT token FROM soak.newcomers WHERE n = arriving), '',
		format('INSERT INTO soak.provisioned SELECT %s, user_id, org_id, created FROM tenancy.provision_user()', arriving));
END
$$;
