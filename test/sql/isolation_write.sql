-- Whatever somebody in org A writes, B's rows are neither changed nor shown, no row of A's ends up in B, and a write that is
-- refused says why. SECRET-B, which every row of B contains, stands in statements alone, and in results only under a heading
-- that begins with KNOWN. At the end B's rows are compared with what they were.
\getenv dir PG_ABS_SRCDIR
\set fixture :dir '/data/two_orgs.sql'
\set drop :dir '/data/two_orgs_drop.sql'
\set ECHO none
\i :fixture
\set ECHO all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never

\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';

\echo == INSERT
BEGIN;
INSERT INTO iso.note (id, body) VALUES (10, 'new') RETURNING body, org_id = tenancy.current_org() AS in_mine;
INSERT INTO iso.note (id, body, org_id) VALUES (11, 'new', tenancy.current_org()) RETURNING body;
INSERT INTO iso.note SELECT id + 20, body FROM iso.note WHERE id < 4 OR id > 100 RETURNING id, body;
ROLLBACK;
INSERT INTO iso.note (id, body, org_id) VALUES (12, 'planted', :b);
INSERT INTO iso.note (id, body, org_id) VALUES (12, 'planted', NULL);
SELECT iso.attempt(s) FROM unnest(ARRAY[
	$$INSERT INTO iso.note (id, body, org_id) VALUES (12, 'mine', '0a000000-0000-4000-8000-000000000000'), (13, 'planted', '0b000000-0000-4000-8000-000000000000')$$,
	$$INSERT INTO iso.item (id, body, org_id) VALUES (9, 'planted', '0b000000-0000-4000-8000-000000000000')$$,
	$$INSERT INTO iso.event (id, body, org_id) VALUES (9, 'planted', '0b000000-0000-4000-8000-000000000000')$$,
	$$INSERT INTO iso.event_2 (id, body, org_id) VALUES (109, 'planted', '0b000000-0000-4000-8000-000000000000')$$,
	$$INSERT INTO iso.event_2 (id, body) VALUES (109, 'mine')$$]) s;

\echo == UPDATE
BEGIN;
UPDATE iso.note SET body = body || '!' RETURNING id, body;
UPDATE iso.note SET body = 'taken' WHERE id = 101 RETURNING *;
UPDATE iso.note SET body = 'taken' WHERE org_id = :b;
UPDATE iso.note t SET body = f.body FROM iso.note f WHERE t.id = f.id - 99 RETURNING t.body;
UPDATE iso.event SET id = id + 100 WHERE id < 100 RETURNING id, body, tableoid::regclass;
UPDATE iso.event_1 SET body = 'taken' WHERE id = 51 RETURNING *;
ROLLBACK;
\echo -- a row cannot be moved to another org, whichever way
UPDATE iso.note SET org_id = :b;
UPDATE iso.event SET org_id = :b WHERE id = 1;
UPDATE iso.event_1 SET org_id = :b;
UPDATE iso.event SET org_id = :b, id = id + 100 WHERE id = 1;
SELECT name, iso.attempt_as(name, $$UPDATE iso.item SET org_id = '0b000000-0000-4000-8000-000000000000' WHERE id = 2$$, 'iso-a')
FROM (VALUES ('admin_a'), ('both'), ('root')) p (name);
UPDATE iso.note SET org_id = NULL;

\echo == DELETE
BEGIN;
DELETE FROM iso.line;
DELETE FROM iso.note WHERE id IN (3, 101, 102) RETURNING body;
DELETE FROM iso.note n USING iso.event e WHERE e.id > n.id RETURNING n.body, e.body;
DELETE FROM iso.event RETURNING body;
DELETE FROM iso.event_2 WHERE id = 151;
DELETE FROM iso.item WHERE id = 7;
ROLLBACK;

\echo == MERGE
BEGIN;
MERGE INTO iso.item t USING (VALUES (1, 'merged'), (3, 'merged')) s (id, body) ON t.id = s.id
	WHEN MATCHED THEN UPDATE SET body = s.body
	WHEN NOT MATCHED THEN INSERT (id, body) VALUES (s.id, s.body);
SELECT id, body FROM iso.item ORDER BY id;
MERGE INTO iso.item t USING (VALUES (7)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE;
\echo -- to A the item 7 of B is none: it is not matched, and A gets one of its own
MERGE INTO iso.item t USING (VALUES (7)) s (id) ON t.id = s.id
	WHEN MATCHED THEN UPDATE SET body = 'taken' WHEN NOT MATCHED THEN INSERT (id, body) VALUES (7, 'mine');
SELECT id, body FROM iso.item ORDER BY id;
MERGE INTO iso.event t USING iso.item s ON s.id = 1 WHEN MATCHED AND t.id > 50 THEN DELETE;
SELECT body FROM iso.event;
ROLLBACK;
SELECT iso.attempt(s) FROM unnest(ARRAY[
	$$MERGE INTO iso.item t USING (VALUES (9)) s (id) ON t.id = s.id
		WHEN NOT MATCHED THEN INSERT (id, body, org_id) VALUES (9, 'planted', '0b000000-0000-4000-8000-000000000000')$$,
	$$MERGE INTO iso.item t USING (VALUES (2)) s (id) ON t.id = s.id
		WHEN MATCHED THEN UPDATE SET org_id = '0b000000-0000-4000-8000-000000000000'$$]) s;
SELECT iso.attempt_as('viewer_a', $$MERGE INTO iso.item t USING (VALUES (2)) s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET body = 'x'$$);
SELECT iso.attempt_as('viewer_a', $$MERGE INTO iso.item t USING (VALUES (9)) s (id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, body) VALUES (9, 'x')$$);
SELECT iso.attempt_as('member_a', $$MERGE INTO iso.item t USING (VALUES (2)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE$$);

\echo == COPY in: PostgreSQL refuses it where row security applies
\c - :dba
BEGIN;
GRANT pg_read_server_files TO regress_tenancy_app;
SET LOCAL tenancy.session_token = :'admin_a';
SET LOCAL ROLE regress_tenancy_app;
SELECT t, iso.attempt(format('COPY %s FROM ''/dev/null''', t)) FROM unnest('{iso.note,iso.event,iso.event_1}'::text[]) t;
COPY iso.note (id, body) FROM '/dev/null';
ROLLBACK;
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';

\echo == ON CONFLICT
BEGIN;
INSERT INTO iso.item (id, body) VALUES (1, 'x'), (3, 'new') ON CONFLICT (org_id, id) DO UPDATE SET body = iso.item.body || '+' RETURNING id, body;
INSERT INTO iso.item (id, body) VALUES (1, 'x'), (7, 'mine') ON CONFLICT DO NOTHING RETURNING id, body;
ROLLBACK;
\echo -- with a hidden row: nothing of it is shown or changed
INSERT INTO iso.note (id, body) VALUES (101, 'x') ON CONFLICT DO NOTHING RETURNING id, body;
INSERT INTO iso.note (id, body) VALUES (101, 'x') ON CONFLICT (id) DO UPDATE SET body = 'taken' RETURNING *;
INSERT INTO iso.note (id, body) VALUES (101, 'x') ON CONFLICT (id) DO UPDATE SET body = 'taken', org_id = tenancy.current_org();
INSERT INTO iso.note (id, body) VALUES (101, 'x') ON CONFLICT (id) DO UPDATE SET body = 'taken' WHERE false;
SELECT iso.attempt_as('viewer_a', $$INSERT INTO iso.note (id, body) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = 'x'$$);
INSERT INTO iso.item (id, body, org_id) VALUES (7, 'x', :b) ON CONFLICT DO NOTHING;
INSERT INTO iso.item (id, body, org_id) VALUES (7, 'x', :b) ON CONFLICT (org_id, id) DO UPDATE SET body = 'taken';
-- One's own row is found, and would be planted in B.
INSERT INTO iso.note (id, body) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET org_id = :b;
WITH planted AS (INSERT INTO iso.note (id, body) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET org_id = :b RETURNING 1) SELECT FROM planted;

\echo == CTEs that write
BEGIN;
WITH d AS (DELETE FROM iso.event WHERE id > 0 RETURNING body), i AS (INSERT INTO iso.note (id, body) SELECT 30, string_agg(body, ' ') FROM d RETURNING body),
	u AS (UPDATE iso.item SET body = 'x' RETURNING id)
SELECT (SELECT string_agg(body, ' ' ORDER BY body) FROM d), (SELECT count(*) FROM i), (SELECT array_agg(id) FROM u);
ROLLBACK;
WITH i AS (INSERT INTO iso.note (id, body, org_id) VALUES (31, 'planted', :b) RETURNING 1) SELECT 1;

\echo == TRUNCATE needs a privilege that is not granted
TRUNCATE iso.event;
TRUNCATE iso.event_1;
\echo -- KNOWN: TRUNCATE does not ask row security: do not grant it
\c - :dba
BEGIN;
GRANT TRUNCATE ON iso.event_1 TO regress_tenancy_app;
SET LOCAL tenancy.session_token = :'viewer_a';
SET LOCAL ROLE regress_tenancy_app;
TRUNCATE iso.event_1;
RESET ROLE;
SELECT count(*) FROM iso.event_1;
ROLLBACK;

\echo == triggers and defaults cannot carry a row across
BEGIN;
CREATE FUNCTION iso.to_b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.org_id = '0b000000-0000-4000-8000-000000000000'; RETURN NEW; END $$;
CREATE TRIGGER to_b BEFORE INSERT OR UPDATE ON iso.note FOR EACH ROW EXECUTE FUNCTION iso.to_b();
SET LOCAL tenancy.session_token = :'admin_a';
SET LOCAL ROLE regress_tenancy_app;
SELECT iso.attempt($$INSERT INTO iso.note (id, body) VALUES (40, 'x')$$), iso.attempt($$UPDATE iso.note SET body = 'x'$$);
RESET ROLE;
DROP TRIGGER to_b ON iso.note;
ALTER TABLE iso.note ALTER org_id SET DEFAULT '0b000000-0000-4000-8000-000000000000';
SET LOCAL ROLE regress_tenancy_app;
SELECT iso.attempt($$INSERT INTO iso.note (id, body) VALUES (40, 'x')$$);
RESET ROLE;
CREATE TABLE iso.log (body text);
CREATE FUNCTION iso.log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO iso.log SELECT body FROM old_rows; RETURN NULL; END $$;
CREATE TRIGGER log AFTER UPDATE ON iso.note REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION iso.log();
SET LOCAL ROLE regress_tenancy_app;
UPDATE iso.note SET body = body || '!' RETURNING body;
RESET ROLE;
SELECT string_agg(body, ' ') FROM iso.log;
ROLLBACK;

\echo == foreign keys
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
\echo -- one that includes the org refers to rows of the org alone, and its answer for a row of B is that for no row
INSERT INTO iso.line (id, item_id) VALUES (5, 7);
INSERT INTO iso.line (id, item_id) VALUES (5, 8);
BEGIN;
DELETE FROM iso.item WHERE id = 1;
SELECT count(*) FROM iso.line;
ROLLBACK;
\echo -- KNOWN: one that does not lets A refer to the rows of B, find out which exist, and keep B from deleting them
SELECT id, iso.attempt(format('INSERT INTO iso.line (id, note_id) VALUES (5, %s)', id)) FROM unnest('{101,103}'::int[]) id;
BEGIN;
INSERT INTO iso.line (id, note_id) VALUES (5, 102);
SET LOCAL tenancy.session_token = :'admin_b';
SELECT iso.attempt('DELETE FROM iso.note WHERE id = 102');
ROLLBACK;

\echo == unique keys
\echo -- one that includes the org is for each org its own
BEGIN;
INSERT INTO iso.item (id, body) VALUES (7, 'mine') RETURNING id;
ROLLBACK;
\echo -- KNOWN: one that does not tells A that some org has the value: no more than that, not even in DETAIL
INSERT INTO iso.note (id, body) VALUES (101, 'x');
INSERT INTO iso.note (id, body) VALUES (1, 'x');
UPDATE iso.note SET id = 101 WHERE id = 1;

\echo == who may do what, and why not
SELECT p.name, c.command, iso.attempt_as(p.name, c.statement)
FROM iso.people p, (VALUES (1, 'insert', $$INSERT INTO iso.event (id, body) VALUES (5, 'x')$$), (2, 'update', $$UPDATE iso.event SET body = 'x'$$),
	(3, 'delete', 'DELETE FROM iso.event'), (4, 'update 1', $$UPDATE iso.event SET body = 'x' WHERE id = 51$$), (5, 'delete 1', 'DELETE FROM iso.event_1 WHERE id = 51'),
	(6, 'lock', 'SELECT FROM iso.note FOR SHARE')) c (i, command, statement)
WHERE p.name NOT IN ('admin_b', 'both', 'roleless')
ORDER BY p.name, c.i;
SELECT name, org, iso.attempt_as(name, 'DELETE FROM iso.event', org)
FROM (VALUES ('both', NULL), ('both', 'iso-b'), ('roleless', 'iso-b'), ('admin_a', 'iso-b'), ('root', 'iso-b'), ('admin_b', 'iso-a'), ('admin_a', 'nowhere')) p (name, org);
\echo -- in full
SET tenancy.session_token = :'viewer_a';
UPDATE iso.note SET body = 'x';

\echo == a permission more or less, at once
\c - :dba
SET tenancy.session_token = :'viewer_a';
PREPARE u AS UPDATE iso.event SET body = body;
SET ROLE regress_tenancy_app;
EXECUTE u;
RESET ROLE;
RESET tenancy.session_token;
SELECT tenancy.grant_permission('viewer', 'update', 'iso_event');
SET tenancy.session_token = :'viewer_a';
SET ROLE regress_tenancy_app;
WITH u AS (UPDATE iso.event SET body = body RETURNING body) SELECT string_agg(body, ' ' ORDER BY body) FROM u;
RESET ROLE;
RESET tenancy.session_token;
SELECT tenancy.revoke_permission('viewer', 'update', 'iso_event');
SET tenancy.session_token = :'viewer_a';
SET ROLE regress_tenancy_app;
EXECUTE u;

\echo == a policy more cannot cross the wall
\c - :dba
CREATE POLICY wide ON iso.note USING (true) WITH CHECK (true);
CREATE POLICY wide ON iso.event USING (true) WITH CHECK (true);
CREATE POLICY wide ON iso.event_1 USING (true) WITH CHECK (true);
\c - regress_tenancy_app
SELECT p.name, c.command, iso.attempt_as(p.name, c.statement)
FROM iso.people p, (VALUES (1, 'select', 'SELECT FROM iso.note'), (2, 'insert', $$INSERT INTO iso.note (id, body, org_id) VALUES (5, 'x', '0b000000-0000-4000-8000-000000000000')$$),
	(3, 'update', $$UPDATE iso.note SET body = 'x'$$), (4, 'move', $$UPDATE iso.event_1 SET org_id = '0b000000-0000-4000-8000-000000000000'$$),
	(5, 'delete', 'DELETE FROM iso.event'), (6, 'delete 1', 'DELETE FROM iso.event_1')) c (i, command, statement)
WHERE p.name IN ('admin_a', 'viewer_a', 'none_a', 'anonymous', 'suspended', 'archived')
ORDER BY p.name, c.i;
\c - :dba
DROP POLICY wide ON iso.note;
DROP POLICY wide ON iso.event;
DROP POLICY wide ON iso.event_1;

\echo == the application cannot become anybody else or take row security away
\c - regress_tenancy_app
SET tenancy.session_token = :'admin_a';
SELECT 'SET ROLE ' || iso.attempt(format('SET ROLE %I', :'dba'));
SET SESSION AUTHORIZATION :dba;
SELECT s, CASE WHEN s ~ 'BYPASSRLS|PROGRAM' THEN left(iso.attempt(s), 5) ELSE iso.attempt(s) END FROM unnest('{ALTER TABLE iso.note DISABLE ROW LEVEL SECURITY,ALTER TABLE iso.note NO FORCE ROW LEVEL SECURITY,DROP POLICY tenancy_wall_read ON iso.note,
CREATE POLICY p ON iso.note USING (true),ALTER POLICY tenancy_wall_read ON iso.note USING (true),ALTER TABLE iso.note OWNER TO regress_tenancy_app,
DROP TABLE iso.note,CREATE INDEX ON iso.note (body),CREATE RULE r AS ON INSERT TO iso.note DO ALSO NOTHING,VACUUM iso.note,
SET session_replication_role = replica,SELECT tenancy.unprotect(''iso.note''),INSERT INTO tenancy.memberships SELECT FROM tenancy.organizations,
SELECT FROM tenancy.organizations,SELECT FROM tenancy.users,UPDATE tenancy.role_permissions SET action = ''read'',SELECT lo_import(''/etc/hostname''),
SELECT pg_read_file(''PG_VERSION''),ALTER ROLE regress_tenancy_app BYPASSRLS,ALTER EXTENSION tenancy UPDATE,DROP EXTENSION tenancy,
ALTER FUNCTION tenancy.current_org() IMMUTABLE,CREATE FUNCTION tenancy.current_org(int) RETURNS int LANGUAGE sql AS ''SELECT 1'',
COPY iso.note TO PROGRAM ''cat'',SELECT FROM pg_statistic}'::text[]) s;
CREATE TRIGGER t AFTER INSERT ON iso.note FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SET row_security = off;
SELECT count(*) FROM iso.note;
UPDATE iso.event_1 SET body = 'x';
COPY iso.note TO STDOUT;
RESET row_security;

\echo == table locks
BEGIN;
LOCK TABLE iso.note IN ACCESS SHARE MODE;
ROLLBACK;
\echo -- KNOWN: whoever may write a table may lock all of it, whatever the token says: set lock_timeout where that matters
RESET tenancy.session_token;
BEGIN;
LOCK TABLE iso.note IN ACCESS EXCLUSIVE MODE;
ROLLBACK;

\echo == the rows of B
\c - :dba
SELECT 'are ' || CASE WHEN rows = iso.b_rows() THEN 'what they were' ELSE 'CHANGED' END FROM iso.b_before;
SELECT id, body FROM iso.note WHERE org_id = :a ORDER BY id;
\set ECHO none
\i :drop
