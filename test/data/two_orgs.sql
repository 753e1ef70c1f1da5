-- Two orgs, A and B, with people in them and protected tables that hold rows of both: what the isolation tests stand on.
-- Include it as the superuser. It leaves a psql variable with a token for each person, and everything else in schema iso.
-- Every value of B contains SECRET-B, so that it shows wherever it leaks.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS iso CASCADE;
DELETE FROM tenancy.organizations WHERE slug LIKE 'iso-%';
DELETE FROM tenancy.users WHERE email LIKE '%@iso.test';

INSERT INTO tenancy.organizations (id, slug, name) VALUES
	('0a000000-0000-4000-8000-000000000000', 'iso-a', 'A'),
	('0b000000-0000-4000-8000-000000000000', 'iso-b', 'SECRET-B'),
	('0c000000-0000-4000-8000-000000000000', 'iso-c', 'C'),
	('0d000000-0000-4000-8000-000000000000', 'iso-d', 'D');
UPDATE tenancy.organizations SET status = 'suspended', status_reason = 'invoice unpaid' WHERE slug = 'iso-c';
UPDATE tenancy.organizations SET status = 'archived' WHERE slug = 'iso-d';

-- Who they are, and in which org with which role. "both" is admin in A and viewer in B; "roleless" is in B with no role at all
-- and in A as admin; "root" is a superadmin and an admin of A.
CREATE SCHEMA iso;
CREATE TABLE iso.people (name text PRIMARY KEY, token text);
CREATE TABLE iso.seats (name text, org text, role text);
INSERT INTO iso.seats VALUES
	('admin_a', 'iso-a', 'admin'), ('member_a', 'iso-a', 'member'), ('viewer_a', 'iso-a', 'viewer'),
	('none_a', 'iso-a', NULL), ('admin_b', 'iso-b', 'admin'),
	('both', 'iso-a', 'admin'), ('both', 'iso-b', 'viewer'),
	('roleless', 'iso-a', 'admin'), ('roleless', 'iso-b', NULL),
	('suspended', 'iso-c', 'admin'), ('archived', 'iso-d', 'admin'), ('disabled', 'iso-a', 'admin'),
	('removed', NULL, NULL), ('root', 'iso-a', 'admin');
INSERT INTO tenancy.users (email, email_verified, status)
SELECT DISTINCT name || '@iso.test', true, CASE name WHEN 'disabled' THEN 'disabled' ELSE 'active' END FROM iso.seats;
INSERT INTO tenancy.identities (issuer_id, subject, user_id)
SELECT i.id, u.email, u.id FROM tenancy.issuers i, tenancy.users u
WHERE i.issuer = 'https://clerk.test' AND u.email LIKE '%@iso.test';
INSERT INTO tenancy.memberships (user_id, org_id)
SELECT u.id, o.id FROM iso.seats s JOIN tenancy.users u ON u.email = s.name || '@iso.test' JOIN tenancy.organizations o ON o.slug = s.org;
INSERT INTO tenancy.membership_roles (user_id, org_id, role_id)
SELECT u.id, o.id, r.id FROM iso.seats s JOIN tenancy.users u ON u.email = s.name || '@iso.test'
JOIN tenancy.organizations o ON o.slug = s.org JOIN tenancy.roles r ON r.name = s.role AND r.org_id IS NULL;
INSERT INTO tenancy.superadmins (user_id) SELECT id FROM tenancy.users WHERE email = 'root@iso.test';

INSERT INTO iso.people VALUES ('anonymous', ''),
	('unprovisioned', minting.token('clerk', '{"sub": "stranger@iso.test"}')),
	('expired', minting.token('clerk', '{"sub": "admin_a@iso.test", "exp": 1000000000, "iat": 999999000}')),
	('forged', minting.token('clerk', '{"sub": "admin_a@iso.test"}', options => '--sig garbage'));
INSERT INTO iso.people SELECT s.name, minting.token('clerk', jsonb_build_object('sub', s.name || '@iso.test')) FROM (SELECT DISTINCT name FROM iso.seats) s;
SELECT max(token) FILTER (WHERE name = 'admin_a') AS admin_a, max(token) FILTER (WHERE name = 'member_a') AS member_a,
	max(token) FILTER (WHERE name = 'viewer_a') AS viewer_a, max(token) FILTER (WHERE name = 'none_a') AS none_a,
	max(token) FILTER (WHERE name = 'admin_b') AS admin_b, max(token) FILTER (WHERE name = 'both') AS both,
	max(token) FILTER (WHERE name = 'roleless') AS roleless, max(token) FILTER (WHERE name = 'root') AS root,
	max(token) FILTER (WHERE name = 'removed') AS removed, max(token) FILTER (WHERE name = 'expired') AS expired,
	max(token) FILTER (WHERE name = 'suspended') AS suspended
FROM iso.people \gset

-- A plain table; one with a key of its own for each org, and one that refers to both; and a partitioned one.
CREATE TABLE iso.note (id integer PRIMARY KEY, body text NOT NULL, n integer NOT NULL DEFAULT 0);
CREATE TABLE iso.item (org_id uuid NOT NULL, id integer, body text NOT NULL, PRIMARY KEY (org_id, id)) WITH (autovacuum_enabled = off);
CREATE TABLE iso.line (org_id uuid NOT NULL, id integer, item_id integer, note_id integer REFERENCES iso.note, body text,
	PRIMARY KEY (org_id, id), FOREIGN KEY (org_id, item_id) REFERENCES iso.item (org_id, id) ON DELETE CASCADE);
CREATE TABLE iso.event (id integer NOT NULL, body text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE iso.event_1 PARTITION OF iso.event FOR VALUES FROM (0) TO (100);
CREATE TABLE iso.event_2 PARTITION OF iso.event FOR VALUES FROM (100) TO (MAXVALUE);
SELECT tenancy.protect('iso.note', 'iso_note'), tenancy.protect('iso.item', 'iso_item'),
	tenancy.protect('iso.line', 'iso_line'), tenancy.protect('iso.event', 'iso_event') \g /dev/null

\set a '''0a000000-0000-4000-8000-000000000000'''
\set b '''0b000000-0000-4000-8000-000000000000'''
\set c '''0c000000-0000-4000-8000-000000000000'''
\set d '''0d000000-0000-4000-8000-000000000000'''
INSERT INTO iso.note (id, body, n, org_id) VALUES
	(1, 'a-1', 1, :a), (101, 'SECRET-B-101', 0, :b), (2, 'a-2', 2, :a), (102, 'SECRET-B-102', 0, :b), (3, 'a-3', 3, :a),
	(201, 'c-201', 1, :c), (301, 'd-301', 1, :d);
INSERT INTO iso.item (id, body, org_id) VALUES (1, 'a-1', :a), (1, 'SECRET-B-1', :b), (2, 'a-2', :a), (7, 'SECRET-B-7', :b);
INSERT INTO iso.line (id, item_id, note_id, body, org_id) VALUES (1, 1, 1, 'a-1', :a), (1, 7, 101, 'SECRET-B-1', :b);
INSERT INTO iso.event (id, body, org_id) VALUES (1, 'a-1', :a), (51, 'SECRET-B-51', :b), (101, 'a-101', :a), (151, 'SECRET-B-151', :b);
ANALYZE iso.note, iso.item, iso.line, iso.event;

-- What somebody sees of a table, one value for each row.
CREATE FUNCTION iso.seen(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT string_agg(t::text, '' '' ORDER BY t::text) FROM (%s) AS q (t)', statement) INTO result;
	RETURN coalesce(result, '-');
END
$$;

-- What becomes of a statement for the session's identity: its number of rows, or its error. It is undone.
CREATE FUNCTION iso.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	detail text;
BEGIN
	BEGIN
		EXECUTE statement;
		GET DIAGNOSTICS n = ROW_COUNT;
		RAISE EXCEPTION '%', n USING ERRCODE = 'IS000';
	EXCEPTION WHEN OTHERS THEN
		IF sqlstate = 'IS000' THEN
			RETURN sqlerrm;
		END IF;
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN sqlstate || ': ' || sqlerrm || coalesce(' | ' || nullif(detail, ''), '');
	END;
END
$$;

-- The same for another person, in an org if one is named.
CREATE FUNCTION iso.attempt_as(person text, statement text, org text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM tenancy.begin_session((SELECT p.token FROM iso.people p WHERE p.name = person), org);
	result := iso.attempt(statement);
	PERFORM tenancy.begin_session('');
	RETURN result;
END
$$;

-- The lines of a plan, as PostgreSQL 15 words them. An index that was not searched as far as one is told is not worth a line.
CREATE FUNCTION iso.plan(statement text, options text DEFAULT 'COSTS OFF') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, statement) LOOP
		CONTINUE WHEN line ~ '^ *Index Searches: 0$';
		line := regexp_replace(line, '(actual rows=\d+)\.00 ', '\1 ');
		line := replace(line, '(InitPlan 1).col1', '$0');
		RETURN NEXT regexp_replace(line, '(InitPlan 1)$', '\1 (returns $0)');
	END LOOP;
END
$$;
CREATE FUNCTION iso.analyzed(statement text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT iso.plan(statement, 'ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF')
$$;

GRANT USAGE ON SCHEMA iso TO regress_tenancy_app;
GRANT SELECT ON iso.people TO regress_tenancy_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON iso.note, iso.item, iso.line, iso.event, iso.event_1, iso.event_2 TO regress_tenancy_app;

-- Whether B's rows are what they were: nobody in A may change that.
CREATE FUNCTION iso.b_rows() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(r, ' ' ORDER BY r) FROM (
		SELECT t::text FROM iso.note t WHERE org_id = '0b000000-0000-4000-8000-000000000000' UNION ALL
		SELECT t::text FROM iso.item t WHERE org_id = '0b000000-0000-4000-8000-000000000000' UNION ALL
		SELECT t::text FROM iso.line t WHERE org_id = '0b000000-0000-4000-8000-000000000000' UNION ALL
		SELECT t::text FROM iso.event t WHERE org_id = '0b000000-0000-4000-8000-000000000000') AS q (r)
$$;
CREATE TABLE iso.b_before AS SELECT iso.b_rows() AS rows;
SELECT current_user AS dba \gset
