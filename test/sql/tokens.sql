-- Which tokens are accepted, and with which SQLSTATE each other one is refused: the catalogue (test/data/token_catalogue.sql), as
-- the application's role sees it: as errors and as session()'s status, and twice, since a verdict is remembered. No message may
-- hold anything of a token.
\getenv dir PG_ABS_SRCDIR
\set catalogue :dir '/data/token_catalogue.sql'
\set ON_ERROR_STOP on
\pset format unaligned
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\set ECHO none
\o /dev/null
\i :catalogue
\o
\set ECHO all
SET search_path = tokens_test;
SELECT description, length(token) FROM tries WHERE description LIKE 'of 1638%';
SELECT count(*) AS tokens, count(DISTINCT token) >= 1700 AS different FROM tries;

\echo == the verdicts
-- What an application does: set the token, ask. The status is asked first, and both again.
CREATE FUNCTION ask(token text, OUT code text, OUT message text, OUT context text, OUT status text, OUT told text) LANGUAGE plpgsql AS $$
DECLARE
	session record;
	detail text;
	hint text;
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	SELECT * INTO session FROM tenancy.session();
	status := session.status;
	told := (SELECT string_agg(key, ' ' ORDER BY key) FROM jsonb_each(jsonb_strip_nulls(to_jsonb(session))));
	IF session IS DISTINCT FROM (SELECT s FROM tenancy.begin_session(token) s) THEN
		told := 'begin_session() says something else';
	END IF;
	BEGIN
		PERFORM tenancy.current_org();
		code := 'ok';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
			hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
		message := concat_ws(E'\n', message, detail, hint);
	END;
END
$$;

-- All that is asked, before any of it is stored: an error that is caught in a transaction that has written makes the session forget its
-- keys, which takes time.
CREATE FUNCTION ask_all() RETURNS TABLE (id int, code text, message text, context text, status text, told text, again text) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT t.id, a.*, concat_ws(' ', b.code, b.status) FROM tries t, ask(t.token) a, LATERAL (SELECT * FROM ask(t.token)) b;
END
$$;

SELECT current_user AS dba \gset
\c - regress_tenancy_app
SET search_path = tokens_test;
UPDATE tries SET (code, message, context, status, told, again) = (a.code, a.message, a.context, a.status, a.told, a.again) FROM ask_all() a WHERE a.id = tries.id;
\c - :dba
SET search_path = tokens_test;
SET client_min_messages = warning;

-- Nothing but what is expected:
SELECT description, expected, code, message, status, again FROM tries
WHERE code IS DISTINCT FROM expected OR again IS DISTINCT FROM concat_ws(' ', code, status) ORDER BY id;
-- What session() says of each: a good token's user is not provisioned here, one that is over is expired, all others are
-- invalid. Who the user is, is told of tokens that are good but for the clock. Which of the cut ones are in base64url is up to chance,
-- so they are not counted.
SELECT code, CASE WHEN code = '28T04' THEN split_part(message, E'\n', 1) END AS message, status, told, count(*)
FROM tries WHERE description NOT LIKE 'cut after % characters' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3;
-- All that was said, and that nothing of the tokens is in it.
SELECT code, message, count(*) FROM tries WHERE message IS NOT NULL AND description NOT LIKE 'cut after % characters' GROUP BY code, message ORDER BY code, message;
SELECT count(*) FROM tries t WHERE concat(t.message, t.context) ~* 'marker'
	OR EXISTS (SELECT FROM string_to_table(t.token, '.') s WHERE length(s) > 10 AND strpos(concat(t.message, t.context), s) > 0);

\echo == no token
SET ROLE regress_tenancy_app;
SELECT * FROM ask(NULL);
SELECT * FROM ask('');
SELECT status, next_step FROM tenancy.begin_session(NULL);
SELECT status, next_step FROM tenancy.begin_session('');

\echo == every function refuses a bad token
RESET ROLE;
CREATE TABLE calls (call text);
INSERT INTO calls VALUES ('tenancy.current_user_id()'), ('tenancy.current_org()'), ('tenancy.claims()'), ('tenancy.my_orgs()'),
	('tenancy.switch_org(''x'')'), ('tenancy.is_superadmin()'), ('tenancy.is_administrator()'), ('tenancy.assert_administrator(''x'')'),
	('tenancy.provision_user()'), ('tenancy.create_org(''x'')'), ('tenancy.can_i(''read'', ''org'')'), ('tenancy.current_org_if(''read'', ''org'')'),
	('tenancy.require(''read'', ''org'')'), ('tenancy.require_org(''read'', ''org'')'), ('tenancy.my_permissions()'),
	('tenancy.grant_permission(''viewer'', ''read'', ''org'')'), ('tenancy.revoke_permission(''viewer'', ''read'', ''org'')'),
	('tenancy.add_resource_type(''x'')'), ('tenancy.trust_issuer(''x'', ''{}'')'), ('tenancy.import_jwks(''x'', ''{}'')'), ('tenancy.doctor()'),
	('tenancy.set_default_org(NULL)'),
	('tenancy.distrust_issuer(''x'')'), ('tenancy.create_role(''x'')'), ('tenancy.drop_role(''x'')'),
	('tenancy.can_user(NULL, ''x'', ''x'')'), ('tenancy.who_can(''x'', ''x'')'), ('tenancy.require_fresh_authentication(''x'', ''x'', NULL)'),
	('tenancy.permission_matrix'), ('tenancy.audit_log'), ('tenancy.resource_types');
INSERT INTO calls VALUES ('tenancy.members'), ('tenancy.set_member_roles(gen_random_uuid(), ''{viewer}'')'), ('tenancy.remove_member(gen_random_uuid())'), ('tenancy.leave_org()');
INSERT INTO calls VALUES ('tenancy.orgs'), ('tenancy.suspend_org(''x'', ''x'')'), ('tenancy.resume_org(''x'')'), ('tenancy.archive_org(''x'')'),
	('tenancy.rename_org(''x'', ''x'')'), ('tenancy.purge_org(''x'')'), ('tenancy.add_superadmin(gen_random_uuid())'), ('tenancy.remove_superadmin(gen_random_uuid())'),
	('tenancy.enable_user(gen_random_uuid())'), ('tenancy.disable_user(gen_random_uuid())'), ('tenancy.revoke_tokens(gen_random_uuid())'),
	('tenancy.sync_org(''x'', ''x'', ''x'')'), ('tenancy.sync_member(''x'', ''x'', ''x'', ''x'')'), ('tenancy.sync_user_deleted(''x'', ''x'')'),
	('tenancy.why_not(''why_not_note'', ''1'')');
CREATE TABLE why_not_note (id int PRIMARY KEY);
SELECT tenancy.protect('why_not_note');
GRANT SELECT ON why_not_note TO regress_tenancy_app;
INSERT INTO calls VALUES ('tenancy.invite(''x@x.test'')'), ('tenancy.accept_invitation(''x'')'), ('tenancy.revoke_invitation(gen_random_uuid())'), ('tenancy.list_invitations()'), ('tenancy.my_invitations()');
INSERT INTO calls VALUES ('tenancy.act_as(gen_random_uuid(), ''x'')'), ('tenancy.stop_acting()');
GRANT SELECT ON calls TO regress_tenancy_app;
CREATE FUNCTION code_of(call text, token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	EXECUTE 'SELECT FROM ' || call;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;
-- The application's functions that are not in this list: those that say why (session, begin_session, explain_can_i), what only tells
-- whether a setting is in force, and the list behind a view of the database's own tables.
SELECT f FROM tenancy.application_functions() f WHERE NOT EXISTS (SELECT FROM calls WHERE f::text LIKE split_part(call, '(', 1) || '(%') ORDER BY f::text;
SET ROLE regress_tenancy_app;
SELECT code, string_agg(call, ', ') FILTER (WHERE code_of(call, token) <> code) AS otherwise
FROM calls, tries WHERE description IN ('one space', 'claims changed, rs256', 'exp an hour ago', 'iss unknown', 'unknown key id') GROUP BY code ORDER BY code;
RESET ROLE;
DROP TABLE why_not_note;
DELETE FROM tenancy.role_permissions WHERE resource_type = 'why_not_note';
DELETE FROM tenancy.resource_types WHERE name = 'why_not_note';

\echo == clock skew
-- The clock is asked at every use: a remembered token becomes valid, and expires. SET ROLE keeps what the DBA has set.
SHOW tenancy.clock_skew;
CREATE FUNCTION asked(token text) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', code, status) FROM tokens_test.ask(token) $$;
SELECT signed(good('ed25519', with_raw('exp', seconds(-100)))) AS over,
	signed(good('ed25519', with_raw('exp', seconds(-300)))) AS long_over,
	signed(good('ed25519', with_raw('nbf', seconds(300)))) AS early,
	signed(good('ed25519', with_raw('iat', seconds(300)))) AS early_issued,
	signed(good('ed25519', with_raw('nbf', seconds(5000)))) AS too_early \gset
SET ROLE regress_tenancy_app;
SELECT asked(:'over') AS over, asked(:'long_over') AS long_over, asked(:'early') AS early, asked(:'early_issued') AS early_issued, asked(:'too_early') AS too_early;
RESET ROLE;
SET tenancy.clock_skew = 300;
SET ROLE regress_tenancy_app;
SELECT asked(:'over') AS over, asked(:'long_over') AS long_over, asked(:'early') AS early, asked(:'early_issued') AS early_issued, asked(:'too_early') AS too_early;
RESET ROLE;
SET tenancy.clock_skew = 0;
SET ROLE regress_tenancy_app;
SELECT asked(:'over') AS over, asked(:'long_over') AS long_over, asked(:'early') AS early, asked(:'early_issued') AS early_issued, asked(:'too_early') AS too_early;
-- The application cannot stretch it.
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
SET tenancy.clock_skew = 300;
\set VERBOSITY default
\set ON_ERROR_STOP on
RESET ROLE;
RESET tenancy.clock_skew;

\echo == a bad token does not leave the one before it in force
SELECT signed(good()) AS good, tries.token AS bad FROM tries WHERE description = 'unknown key id' \gset
SET ROLE regress_tenancy_app;
SET tenancy.session_token = :'good';
SELECT status FROM tenancy.session();
SET tenancy.session_token = :'bad';
SELECT status FROM tenancy.session();
BEGIN;
SET LOCAL tenancy.session_token = :'good';
SELECT status FROM tenancy.session();
ROLLBACK;
SELECT status FROM tenancy.session();
RESET tenancy.session_token;
SELECT status FROM tenancy.session();
-- Nor does one that is a part of it, or that it is a part of.
SELECT set_config('tenancy.session_token', t, false) IS NOT NULL AS set, asked(t), asked(:'good') AS good FROM unnest(ARRAY[left(:'good', -2), :'good' || 'AA']) t;

\echo == verified claims
SELECT token AS good FROM tries WHERE description = 'payload has a pair of surrogates' \gset
SET tenancy.session_token = :'good';
SELECT tenancy.claims() ->> 'sub' AS sub, tenancy.claims() ->> 'x' AS x, tenancy.claims() = convert_from(decode(rpad(translate(split_part(:'good', '.', 2), '-_', '+/'), (length(split_part(:'good', '.', 2)) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb AS all_of_them;
RESET tenancy.session_token;
SELECT tenancy.claims() IS NULL AS none_without_a_token;
-- Of every good token; and if jsonb cannot hold them, the error tells nothing of them.
CREATE FUNCTION pg_temp.payload(token text) RETURNS text LANGUAGE sql AS $$
	SELECT convert_from(decode(rpad(translate(p, '-_', '+/'), (length(p) + 3) / 4 * 4, '='), 'base64'), 'UTF8') FROM split_part(token, '.', 2) p
$$;
CREATE FUNCTION pg_temp.told_claims(token text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	context text;
BEGIN
	PERFORM set_config('tenancy.session_token', token, true);
	RETURN CASE WHEN tenancy.claims() = pg_temp.payload(token)::jsonb THEN 'all of them' ELSE 'others' END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(' ', sqlstate, sqlerrm, detail, substring(context FROM '.*marker.*'));
END
$$;
SELECT pg_temp.told_claims(token) AS claims, count(*) > 1 AS several, CASE WHEN count(*) = 1 THEN min(description) END AS description
FROM tries WHERE expected = 'ok' GROUP BY 1 ORDER BY 1;
RESET ROLE;

DROP SCHEMA tokens_test CASCADE;
DELETE FROM minting.keys WHERE issuer LIKE 'https://tokens%';
DELETE FROM tenancy.issuers WHERE issuer LIKE 'https://tokens%';
