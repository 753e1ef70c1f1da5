-- Takes away what two_orgs.sql made. Include it as the superuser.
SET client_min_messages = warning;
DROP SCHEMA iso CASCADE;
DELETE FROM tenancy.organizations WHERE slug LIKE 'iso-%';
DELETE FROM tenancy.users WHERE email LIKE '%@iso.test';
