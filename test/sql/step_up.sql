-- Step-up: a permission that needs a fresh authentication, as the token tells of it, for can_i() and its kin and for protected tables.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
CREATE SCHEMA step_up;
GRANT USAGE ON SCHEMA step_up TO regress_tenancy_app;

SELECT minting.make_key('step_oidc', 'ES256', 'step-1', 'https://step.test');
SELECT tenancy.trust_issuer('https://step.test', minting.jwks('step_oidc'));
SELECT minting.enrol('step-admin', 'step-acme', 'admin'), minting.enrol('step-viewer', 'step-acme', 'viewer'), minting.enrol('step-super', 'step-beta', 'viewer'),
	minting.enrol('step-oidc', 'step-acme', 'admin', 'https://step.test'), minting.enrol('step-ba', 'step-acme', 'admin', 'https://app.test') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('step-super'));
SELECT tenancy.add_resource_type('step_secret');
CREATE TABLE step_up.secret (id int PRIMARY KEY, note text);
SELECT tenancy.protect('step_up.secret', 'step_secret');
GRANT SELECT, INSERT, UPDATE, DELETE ON step_up.secret TO regress_tenancy_app;

-- Signs a Clerk user in; claims with {"ago": seconds} in the place of auth_time are a time so long ago.
CREATE FUNCTION step_up.sign_in(subject text, claims jsonb DEFAULT '{}', key text DEFAULT 'clerk') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	clock bigint := floor(extract(epoch FROM clock_timestamp()));
BEGIN
	claims := claims || jsonb_build_object('sub', subject, 'aud', CASE key WHEN 'better_auth' THEN 'https://app.test' END)
		|| CASE WHEN claims #> '{auth_time,ago}' IS NOT NULL THEN jsonb_build_object('auth_time', clock - (claims #>> '{auth_time,ago}')::int) ELSE '{}' END;
	PERFORM set_config('tenancy.org', '', false), set_config('tenancy.session_token', minting.token(key, claims), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
-- can_i() for a token with these claims; what is asked needs an authentication within ten minutes.
CREATE FUNCTION step_up.may(claims jsonb, subject text DEFAULT 'step-admin', key text DEFAULT 'clerk') RETURNS text LANGUAGE sql AS $$
	SELECT step_up.sign_in(subject, claims, key) || ' ' || tenancy.can_i('delete', 'step_secret')
$$;

\echo == who may require it
SELECT step_up.sign_in('step-admin'), minting.refusal($$SELECT tenancy.require_fresh_authentication('delete', 'step_secret', '10 minutes')$$);
SELECT step_up.sign_in('step-super'), minting.refusal($$SELECT tenancy.require_fresh_authentication('delete', 'step_secret', '10 minutes')$$);
RESET tenancy.session_token;
SELECT action, max_age FROM tenancy.permission_matrix WHERE resource_type = 'step_secret' AND role = 'admin' AND org_id IS NULL ORDER BY action;
SELECT minting.refusal(format('SELECT tenancy.require_fresh_authentication(%s)', arguments)) FROM unnest(ARRAY[$$'delete', 'nonsense', '1 hour'$$,
	$$'nonsense', 'step_secret', '1 hour'$$, $$NULL, 'step_secret', '1 hour'$$, $$'delete', NULL, '1 hour'$$, $$'delete', 'step_secret', '0'$$,
	$$'delete', 'step_secret', '-1 hour'$$, $$'delete', 'step_secret', '366 days'$$, $$'delete', 'step_secret', '999 milliseconds'$$, $$'delete', 'step_secret', '1 month -30 days'$$]) arguments;
BEGIN;
SELECT tenancy.require_fresh_authentication('delete', 'step_secret', '1 second');
ROLLBACK;

\echo == what the token must tell
SELECT claims, step_up.may(claims::jsonb) FROM unnest(ARRAY['{}',
	'{"fva": [0, -1]}', '{"fva": [9, -1]}', '{"fva": [11, -1]}', '{"fva": [600, 3]}', '{"fva": [-1, 3]}', '{"fva": [3, 600]}', '{"fva": [3]}',
	'{"fva": [-1, -1]}', '{"fva": []}', '{"fva": 0}', '{"fva": "0"}', '{"fva": ["0"]}', '{"fva": [0, null]}', '{"fva": [0, [1]]}', '{"fva": [1e9]}',
	'{"fva": [0, -1], "iat": null}',
	'{"auth_time": {"ago": 0}}', '{"auth_time": {"ago": 540}}', '{"auth_time": {"ago": 660}}', '{"auth_time": {"ago": -3600}}', '{"auth_time": "0"}',
	'{"auth_time": 253402300799}', '{"auth_time": 253402300800}', '{"auth_time": 1e300}', '{"auth_time": -1}', '{"auth_time": -1e300}', '{"auth_time": true}', '{"auth_time": {}}', '{"auth_time": []}',
	'{"fva": [-0.5, -1]}', '{"fva": [0.9]}', '{"fva": [1e300]}', '{"fva": [-1e300]}', '{"fva": [253402300799]}', '{"fva": [0, -1], "iat": -253402300799}', '{"fva": {"a": 0}}', '{"fva": [[0]]}',
	'{"auth_time": {"ago": 660}, "fva": [1, -1]}']) claims;
-- The right time in the wrong type, and with a fraction.
SELECT n, step_up.may(jsonb_build_object('auth_time', value)) FROM (SELECT floor(extract(epoch FROM clock_timestamp()))) clock (now),
	LATERAL (VALUES (1, to_jsonb(now::text)), (2, jsonb_build_array(now)), (3, jsonb_build_object('at', now)), (4, to_jsonb(now * 1000)), (5, to_jsonb(now - 0.5))) v (n, value) ORDER BY n;
-- An hour ago is an hour ago, whatever the token says of its age then.
SELECT step_up.may(jsonb_build_object('fva', '[0, -1]'::jsonb, 'iat', floor(extract(epoch FROM clock_timestamp())) - 3600)) AS old_token;
-- Other issuers have no "fva".
SELECT step_up.may('{"fva": [0]}', 'step-oidc', 'step_oidc') AS oidc_fva, step_up.may('{"auth_time": {"ago": 5}}', 'step-oidc', 'step_oidc') AS oidc,
	step_up.may('{"fva": [0]}', 'step-ba', 'better_auth') AS better_auth_fva, step_up.may('{"auth_time": {"ago": 5}}', 'step-ba', 'better_auth') AS better_auth;
-- It grants nothing by itself.
SELECT step_up.may('{"fva": [0, -1]}', 'step-viewer') AS viewer;

\echo == what a refusal says, and that other actions are not concerned
SELECT step_up.sign_in('step-admin', '{"fva": [30, -1]}');
SELECT tenancy.can_i('read', 'step_secret') AS read, tenancy.can_i('delete', 'step_secret') AS delete, tenancy.current_org_if('delete', 'step_secret') AS org_if,
	(SELECT count(*) FROM tenancy.my_permissions() WHERE resource_type = 'step_secret') AS granted;
SELECT minting.refusal(statement) FROM unnest(ARRAY[$$SELECT tenancy.require('delete', 'step_secret')$$, $$SELECT tenancy.require_org('delete', 'step_secret')$$]) statement;

\echo == a protected table
SET ROLE regress_tenancy_app;
INSERT INTO step_up.secret VALUES (1, 'kept');
DELETE FROM step_up.secret;
RESET ROLE;
SELECT step_up.sign_in('step-admin', '{"fva": [2, -1]}');
SET ROLE regress_tenancy_app;
DELETE FROM step_up.secret RETURNING note;
RESET ROLE;

\echo == ages: shorter, longer, none
RESET tenancy.session_token;
SELECT tenancy.require_fresh_authentication('delete', 'step_secret', '1 minute');
SELECT step_up.may('{"fva": [2, -1]}');
RESET tenancy.session_token;
SELECT tenancy.require_fresh_authentication('delete', 'step_secret', '1 month');
SELECT step_up.may('{"fva": [43000, -1]}'), step_up.may('{"fva": [43300, -1]}');
RESET tenancy.session_token;
SELECT tenancy.require_fresh_authentication('delete', 'step_secret', NULL), tenancy.require_fresh_authentication('delete', 'step_secret', NULL);
SELECT step_up.may('{}');
RESET tenancy.session_token;
-- A row a change; the call that changed nothing left none.
SELECT target, old_values, new_values FROM tenancy.audit_log WHERE action = 'require_fresh_authentication' ORDER BY at;

\echo == "act": the token of somebody who acts as the subject
SELECT step_up.sign_in('step-admin', claims::jsonb), minting.refusal('SELECT tenancy.claims()') FROM unnest('{"{\"act\": {\"sub\": \"support\"}}",
	"{\"act\": {}}", "{\"act\": {\"sub\": \"\"}}", "{\"act\": {\"sub\": 7}}", "{\"act\": \"support\"}", "{\"act\": []}"}'::text[]) claims;
-- Whoever acts as a superadmin does not become one.
SELECT step_up.sign_in('step-super'), tenancy.is_superadmin(), tenancy.is_administrator();
SELECT step_up.sign_in('step-super', '{"act": {"sub": "support"}}'), tenancy.is_superadmin(), tenancy.is_administrator();
SELECT minting.refusal(format('SELECT tenancy.act_as(%L, ''a try'')', minting.user_id('step-viewer')));
-- Nor is who acts left out where the issuer has it in a claim of its own, in whatever type.
INSERT INTO tenancy.superadmins SELECT d.user_id FROM tenancy.identities d WHERE d.subject = 'step-ba';
SELECT claims, s.status, CASE s.status WHEN 'active' THEN tenancy.is_superadmin() END AS superadmin
FROM unnest(ARRAY['{}', '{"impersonatedBy": null}', '{"impersonatedBy": "support"}', '{"impersonatedBy": 7}', '{"impersonatedBy": true}', '{"impersonatedBy": {"id": "support"}}', '{"impersonatedBy": ["support"]}']) claims,
	LATERAL (SELECT step_up.sign_in('step-ba', claims::jsonb, 'better_auth') AS status) s;
DROP SCHEMA step_up CASCADE;
