-- Basejump's shapes, on Supabase: the accounts of the user from a function, and a function that is asked about each account.
-- https://usebasejump.com/docs/rls-policies
CREATE SCHEMA basejump;
GRANT USAGE ON SCHEMA basejump TO PUBLIC;
CREATE TYPE basejump.account_role AS ENUM ('owner', 'member');
CREATE TABLE basejump.account_user (user_id uuid NOT NULL, account_id uuid NOT NULL, account_role basejump.account_role NOT NULL,
	PRIMARY KEY (user_id, account_id));
INSERT INTO basejump.account_user SELECT user_id, org_id, 'member' FROM tenancy.memberships;
ANALYZE basejump.account_user;

CREATE FUNCTION basejump.get_accounts_with_role(passed_in_role basejump.account_role DEFAULT NULL) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = basejump, public AS $$
	SELECT u.account_id FROM basejump.account_user u
	WHERE u.user_id = auth.uid() AND (u.account_role = passed_in_role OR passed_in_role IS NULL)
$$;
CREATE FUNCTION basejump.has_role_on_account(account_id uuid, account_role basejump.account_role DEFAULT NULL) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = basejump, public AS $$
	SELECT EXISTS (SELECT FROM basejump.account_user u WHERE u.user_id = auth.uid()
		AND u.account_id = has_role_on_account.account_id
		AND (u.account_role = has_role_on_account.account_role OR has_role_on_account.account_role IS NULL))
$$;

\set sign_in 'SET request.jwt.claims = ''{"sub": "%person%", "role": "authenticated"}'''
SELECT bench.add_peer('basejump', 'has_role_on_account()', 'basejump.has_role_on_account(org_id)', :'sign_in');
SELECT bench.add_peer('basejump_accounts', 'IN (get_accounts_with_role())',
	'org_id IN (SELECT basejump.get_accounts_with_role())', :'sign_in');
