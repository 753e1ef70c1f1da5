-- An org is purged: every row of it in every protected table, in an order that foreign keys allow, with the rights of each
-- table's owner and no others; and nothing of any other org.
\set SHOW_CONTEXT never
\pset format unaligned
\pset null -
SET client_min_messages = warning;
SELECT current_user AS dba \gset
CREATE ROLE regress_tenancy_purger;
CREATE ROLE regress_tenancy_purger_2;
CREATE SCHEMA purge;
GRANT USAGE ON SCHEMA purge TO regress_tenancy_app, regress_tenancy_purger, regress_tenancy_purger_2;
CREATE SCHEMA "Purge ""odd"", it's" AUTHORIZATION regress_tenancy_purger;

CREATE FUNCTION purge.sign_in(subject text, org text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('tenancy.org', org, false), set_config('tenancy.session_token', minting.token('clerk', jsonb_build_object('sub', 'purge-' || subject)), false);
	RETURN (SELECT status FROM tenancy.session());
END
$$;
SELECT minting.enrol('purge-admin', 'purge-acme', 'admin'), minting.enrol('purge-other', 'purge-beta', 'admin'), minting.enrol('purge-both', 'purge-acme', 'admin'),
	minting.enrol('purge-both', 'purge-beta', 'admin'), minting.enrol('purge-root', 'purge-beta', 'viewer') \g /dev/null
INSERT INTO tenancy.superadmins VALUES (minting.user_id('purge-root'));
INSERT INTO tenancy.roles (org_id, name) SELECT id, 'purge-own' FROM tenancy.organizations WHERE slug = 'purge-acme';
CREATE FUNCTION purge.org(slug text) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT id FROM tenancy.organizations o WHERE o.slug = 'purge-' || org.slug $$;

-- Referred to before it refers, by name and by creation; a key of two columns; itself; one another; partitions; odd names.
SET ROLE regress_tenancy_purger;
CREATE TABLE "Purge ""odd"", it's".a_customer (id int PRIMARY KEY, parent_id int REFERENCES "Purge ""odd"", it's".a_customer ON DELETE RESTRICT);
CREATE TABLE "Purge ""odd"", it's"."b Order""s" ("the ""org""" uuid NOT NULL, id int, customer_id int REFERENCES "Purge ""odd"", it's".a_customer ON DELETE RESTRICT, PRIMARY KEY ("the ""org""", id));
CREATE TABLE "Purge ""odd"", it's".c_line (org_id uuid NOT NULL, id int, order_id int, FOREIGN KEY (org_id, order_id) REFERENCES "Purge ""odd"", it's"."b Order""s");
CREATE TABLE "Purge ""odd"", it's".cycle_1 (id int PRIMARY KEY, other_id int);
CREATE TABLE "Purge ""odd"", it's".cycle_2 (id int PRIMARY KEY, other_id int REFERENCES "Purge ""odd"", it's".cycle_1);
ALTER TABLE "Purge ""odd"", it's".cycle_1 ADD FOREIGN KEY (other_id) REFERENCES "Purge ""odd"", it's".cycle_2;
CREATE TABLE "Purge ""odd"", it's".d_event (id int, customer_id int REFERENCES "Purge ""odd"", it's".a_customer) PARTITION BY LIST (id);
CREATE TABLE "Purge ""odd"", it's".d_event_1 PARTITION OF "Purge ""odd"", it's".d_event FOR VALUES IN (1, 2);
CREATE TABLE "Purge ""odd"", it's".d_event_2 PARTITION OF "Purge ""odd"", it's".d_event DEFAULT PARTITION BY LIST (id);
CREATE TABLE "Purge ""odd"", it's".d_event_2_1 PARTITION OF "Purge ""odd"", it's".d_event_2 DEFAULT;
CREATE TABLE "Purge ""odd"", it's".e_empty ();
-- Triggers see who runs them, and where names are looked up.
CREATE TABLE "Purge ""odd"", it's".trace (what text);
CREATE TABLE "Purge ""odd"", it's".watched (id int PRIMARY KEY, owner_id int REFERENCES "Purge ""odd"", it's".a_customer DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION "Purge ""odd"", it's".watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO trace VALUES (format('%s %s %s as %s, %s', TG_TABLE_NAME, TG_WHEN, OLD.id, current_user, current_setting('search_path')));
	RETURN OLD;
END
$$;
CREATE TRIGGER watch BEFORE DELETE ON "Purge ""odd"", it's".watched FOR EACH ROW EXECUTE FUNCTION "Purge ""odd"", it's".watch();
CREATE CONSTRAINT TRIGGER watch_late AFTER DELETE ON "Purge ""odd"", it's".watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "Purge ""odd"", it's".watch();
RESET ROLE;
CREATE TABLE purge.note (body text, cycle_id int REFERENCES "Purge ""odd"", it's".cycle_2);
SELECT tenancy.protect(t, 'purge_data', c) FROM (VALUES ('a_customer', 'org_id'), ('"b Order""s"', 'the "org"'), ('c_line', 'org_id'), ('cycle_1', 'org_id'), ('cycle_2', 'org_id'), ('d_event', 'org_id'), ('e_empty', 'org_id'), ('watched', 'org_id')) x (n, c),
	LATERAL (SELECT ('"Purge ""odd"", it''s".' || n)::regclass) r (t) \g /dev/null
SELECT tenancy.protect('purge.note', 'purge_data') \g /dev/null
CREATE FUNCTION purge.fill(slug text, base int) RETURNS void LANGUAGE sql SET search_path = "Purge ""odd"", it's" AS $$
	INSERT INTO a_customer (id, parent_id, org_id) VALUES (base + 1, NULL, purge.org(slug)), (base + 2, base + 1, purge.org(slug)), (base + 3, base + 2, purge.org(slug)), (base + 4, base + 4, purge.org(slug));
	INSERT INTO "b Order""s" SELECT purge.org(slug), n, base + n % 4 + 1 FROM generate_series(1, 5) n;
	INSERT INTO c_line SELECT purge.org(slug), n, n % 5 + 1 FROM generate_series(1, 10) n;
	INSERT INTO cycle_1 VALUES (base, NULL, purge.org(slug)), (base + 1, NULL, purge.org(slug));
	INSERT INTO cycle_2 VALUES (base, base, purge.org(slug));
	UPDATE cycle_1 SET other_id = base WHERE id = base;
	INSERT INTO d_event SELECT n, base + 1, purge.org(slug) FROM generate_series(1, 7) n;
	INSERT INTO watched VALUES (base, base + 1, purge.org(slug)), (base + 1, base + 2, purge.org(slug));
	INSERT INTO purge.note SELECT slug, base, purge.org(slug) FROM generate_series(1, 3);
$$;
SELECT purge.fill('acme', 0), purge.fill('beta', 100) \g /dev/null
CREATE FUNCTION purge.rows() RETURNS TABLE (of text, rows text) LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT format('%I.%I', schema_name, table_name) AS name, org_column FROM tenancy.protected_tables WHERE resource_type = 'purge_data' AND NOT is_partition ORDER BY table_name COLLATE "C" LOOP
		of := t.name;
		EXECUTE format('SELECT string_agg(slug || '' '' || n, '', '' ORDER BY slug) FROM (SELECT coalesce(o.slug, ''gone'') AS slug, count(*) AS n FROM %s t LEFT JOIN tenancy.organizations o ON o.id = t.%I GROUP BY 1) x', t.name, t.org_column) INTO rows;
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT * FROM purge.rows();

\echo == who may, and when
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT s AS subject, o AS org, purge.sign_in(s, o), minting.refusal('SELECT tenancy.purge_org(''purge-acme'')')
FROM (VALUES (1, 'admin', ''), (2, 'other', ''), (3, 'both', 'purge-acme'), (4, 'both', 'purge-beta'), (5, 'nobody', '')) x (n, s, o) ORDER BY n;
RESET tenancy.session_token;
SELECT left(minting.refusal('SELECT tenancy.purge_org(''purge-acme'')'), 5);
SELECT purge.sign_in('root');
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
SELECT tenancy.suspend_org('purge-acme', 'unpaid');
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-none'')'), minting.refusal('SELECT tenancy.purge_org(NULL)');
SELECT tenancy.archive_org('purge-acme');

\echo == a table that is protected no more and still refers
\c - :dba
SET client_min_messages = warning;
SELECT tenancy.unprotect('purge.note');
\c - regress_tenancy_app
SELECT purge.sign_in('root');
SET client_min_messages = warning;
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
\c - :dba
SET client_min_messages = warning;
ALTER TABLE purge.note DROP CONSTRAINT note_cycle_id_fkey;
-- The reference to the org itself is still there.
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
SELECT * FROM purge.rows();
SELECT count(*) FROM tenancy.audit_events WHERE action = 'purge_org';
SELECT tenancy.protect('purge.note', 'purge_data');
-- One that refers to rows that go, and never was protected.
CREATE TABLE purge.loose (id int REFERENCES "Purge ""odd"", it's".a_customer);
INSERT INTO purge.loose VALUES (3);
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
DROP TABLE purge.loose;

\echo == tables that refer to one another, of two owners
GRANT USAGE ON SCHEMA "Purge ""odd"", it's" TO regress_tenancy_purger_2;
ALTER TABLE "Purge ""odd"", it's".cycle_1 OWNER TO regress_tenancy_purger_2;
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
ALTER TABLE "Purge ""odd"", it's".cycle_1 OWNER TO regress_tenancy_purger;

\echo == a trigger that would be somebody else
CREATE FUNCTION purge.escape() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'SET ROLE ' || TG_ARGV[0];
	RETURN OLD;
END
$$;
CREATE TRIGGER escape BEFORE DELETE ON "Purge ""odd"", it's".a_customer FOR EACH ROW EXECUTE FUNCTION purge.escape(:'dba');
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
DROP TRIGGER escape ON "Purge ""odd"", it's".a_customer;
CREATE TRIGGER escape BEFORE DELETE ON "Purge ""odd"", it's".a_customer FOR EACH ROW EXECUTE FUNCTION purge.escape('regress_tenancy_app');
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
DROP TRIGGER escape ON "Purge ""odd"", it's".a_customer;
-- What it defers would run at commit, as whoever purges.
CREATE TABLE purge.late (id int);
GRANT INSERT ON purge.late TO regress_tenancy_purger;
CREATE FUNCTION purge.run_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as %', current_user; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON purge.late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION purge.run_late();
CREATE FUNCTION purge.defer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO purge.late VALUES (1); RETURN OLD; END $$;
CREATE TRIGGER defer BEFORE DELETE ON "Purge ""odd"", it's".a_customer FOR EACH ROW EXECUTE FUNCTION purge.defer();
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
DROP TRIGGER defer ON "Purge ""odd"", it's".a_customer;
DROP TABLE purge.late;
\echo == what a table reaches and somebody else owns: its triggers would run with the rights of whoever owns the table
CREATE SCHEMA purge_2 AUTHORIZATION regress_tenancy_purger_2;
CREATE TABLE purge.inv (id int PRIMARY KEY, code int UNIQUE);
SELECT tenancy.protect('purge.inv', 'purge_data');
INSERT INTO purge.inv SELECT n, n, purge.org('acme') FROM generate_series(1, 2) n;
CREATE TABLE purge.shelf (id int) PARTITION BY LIST (id);
SELECT tenancy.protect('purge.shelf', 'purge_data');
GRANT REFERENCES ON purge.inv TO regress_tenancy_purger_2;
GRANT USAGE ON SCHEMA tenancy TO regress_tenancy_purger_2;
GRANT REFERENCES ON tenancy.organizations TO regress_tenancy_purger_2;
SET ROLE regress_tenancy_purger_2;
-- Whose delete it is, or from PostgreSQL 18 on whose cascade.
CREATE FUNCTION purge_2.spy() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	who text := current_user;
BEGIN
	IF TG_TABLE_NAME = 'own' AND current_user IN (SELECT relowner::regrole::text FROM pg_class WHERE oid IN (TG_RELID, 'purge.inv'::regclass)) THEN
		who := 'an owner of the tables';
	END IF;
	RAISE WARNING '% % on % as %', TG_WHEN, TG_OP, TG_TABLE_NAME, who;
	RETURN coalesce(NEW, OLD);
END
$$;
RESET ROLE;
-- Each variant: what somebody else makes, what they do before, and what the purge says. Then all of it is undone.
CREATE FUNCTION purge.attempt(made text, arranged text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF arranged <> '' THEN
		EXECUTE arranged;
	END IF;
	SET LOCAL ROLE regress_tenancy_purger_2;
	EXECUTE made;
	RESET ROLE;
	PERFORM tenancy.purge_org('purge-acme');
	RAISE EXCEPTION 'it has been purged';
EXCEPTION WHEN OTHERS THEN
	DECLARE
		detail text;
		hint text;
	BEGIN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		RETURN concat_ws(E'\n  ', sqlstate || ': ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
	END;
END
$$;
SELECT n, what, replace(purge.attempt(made || CASE WHEN spied <> '' THEN format('; CREATE TRIGGER spy %s FOR EACH ROW EXECUTE FUNCTION purge_2.spy()', spied) ELSE '' END, arranged), :'dba', '(dba)') FROM (VALUES
	(1, 'cascade', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE); INSERT INTO purge_2.line VALUES (1)', 'AFTER DELETE ON purge_2.line', ''),
	(2, 'set null', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE SET NULL); INSERT INTO purge_2.line VALUES (1)', 'AFTER UPDATE ON purge_2.line', ''),
	(3, 'set default', 'CREATE TABLE purge_2.line (inv int DEFAULT NULL REFERENCES purge.inv ON DELETE SET DEFAULT); INSERT INTO purge_2.line VALUES (1)', 'AFTER INSERT OR UPDATE ON purge_2.line', ''),
	(4, 'cascade of a cascade', 'CREATE TABLE purge_2.line (id int PRIMARY KEY REFERENCES purge.inv ON DELETE CASCADE); CREATE TABLE purge_2.more (id int REFERENCES purge_2.line ON DELETE CASCADE); INSERT INTO purge_2.line VALUES (1); INSERT INTO purge_2.more VALUES (1)', 'AFTER DELETE ON purge_2.more', ''),
	(5, 'update after set null', 'CREATE TABLE purge_2.line (inv int UNIQUE REFERENCES purge.inv ON DELETE SET NULL); CREATE TABLE purge_2.more (id int REFERENCES purge_2.line (inv) ON UPDATE CASCADE); INSERT INTO purge_2.line VALUES (1); INSERT INTO purge_2.more VALUES (1)', 'AFTER UPDATE ON purge_2.more', ''),
	(6, 'partition of what refers', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE) PARTITION BY LIST (inv); CREATE TABLE purge_2.line_1 PARTITION OF purge_2.line DEFAULT; INSERT INTO purge_2.line VALUES (1)', 'AFTER DELETE ON purge_2.line_1', ''),
	(7, 'partition', '', 'AFTER DELETE ON purge_2.shelf_1', 'CREATE TABLE purge_2.shelf_1 PARTITION OF purge.shelf DEFAULT; INSERT INTO purge_2.shelf_1 SELECT 1, purge.org(''acme''); ALTER TABLE purge_2.shelf_1 OWNER TO regress_tenancy_purger_2'),
	(8, 'child', '', 'BEFORE DELETE ON purge_2.inv_1', 'CREATE TABLE purge_2.inv_1 () INHERITS (purge.inv); INSERT INTO purge_2.inv_1 SELECT 3, 3, purge.org(''acme''); ALTER TABLE purge_2.inv_1 OWNER TO regress_tenancy_purger_2'),
	(9, 'cascade of the org', 'CREATE TABLE purge_2.line (org uuid REFERENCES tenancy.organizations ON DELETE CASCADE); INSERT INTO purge_2.line VALUES (' || quote_literal(purge.org('acme')) || ')', 'AFTER DELETE ON purge_2.line', ''),
	(10, 'always', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE); CREATE TRIGGER spy_2 AFTER DELETE ON purge_2.line EXECUTE FUNCTION purge_2.spy(); ALTER TABLE purge_2.line ENABLE ALWAYS TRIGGER spy_2', '', ''),
	-- What cannot run, or runs as nobody else.
	(11, 'no action', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv)', 'AFTER DELETE ON purge_2.line', ''),
	(12, 'on update alone', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv (code) ON UPDATE CASCADE)', 'AFTER UPDATE ON purge_2.line', ''),
	(13, 'another event', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE)', 'AFTER INSERT OR UPDATE ON purge_2.line', ''),
	(14, 'disabled', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE); CREATE TRIGGER spy_2 AFTER DELETE ON purge_2.line EXECUTE FUNCTION purge_2.spy(); ALTER TABLE purge_2.line DISABLE TRIGGER spy_2', '', ''),
	(15, 'no trigger', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE)', '', ''),
	(16, 'one owner', 'CREATE TABLE purge_2.line (inv int REFERENCES purge.inv ON DELETE CASCADE)', 'AFTER DELETE ON purge_2.line', 'ALTER TABLE purge.inv OWNER TO regress_tenancy_purger_2'),
	(17, 'an owner who may be the other', 'SELECT', '', 'ALTER TABLE purge.inv OWNER TO regress_tenancy_purger_2; CREATE TABLE purge.own (inv int REFERENCES purge.inv ON DELETE CASCADE); CREATE TRIGGER spy AFTER DELETE ON purge.own FOR EACH ROW EXECUTE FUNCTION purge_2.spy(); INSERT INTO purge.own VALUES (1)')
	) x (n, what, made, spied, arranged) ORDER BY n;
-- What the org's own deletion runs as the owner of another table may leave nothing for the end of the transaction either.
SELECT purge.attempt($$
	CREATE TABLE purge_2.late (id int);
	CREATE CONSTRAINT TRIGGER spy AFTER INSERT ON purge_2.late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION purge_2.spy();
	CREATE FUNCTION purge_2.no_org() RETURNS uuid LANGUAGE sql AS 'INSERT INTO purge_2.late VALUES (1); SELECT NULL::uuid';
	CREATE TABLE purge_2.line (org uuid DEFAULT purge_2.no_org() REFERENCES tenancy.organizations ON DELETE SET DEFAULT);
	INSERT INTO purge_2.line SELECT $$ || quote_literal(purge.org('acme')) || $$$$);
-- It looks at what has been committed meanwhile, and so at no snapshot of before.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
ROLLBACK;
REVOKE ALL ON SCHEMA tenancy FROM regress_tenancy_purger_2;
REVOKE ALL ON tenancy.organizations FROM regress_tenancy_purger_2;
DROP SCHEMA purge_2 CASCADE;

\echo == a temporary table counts nowhere
CREATE TEMPORARY TABLE forged (org_id uuid, id int);
CREATE POLICY tenancy_read ON forged USING (org_id = tenancy.current_org_if('read', 'purge_data'));
SELECT count(*) FROM tenancy.protected_tables WHERE table_name = 'forged';
SELECT minting.refusal('SELECT tenancy.protect(''forged'')');
SELECT count(*) FROM tenancy.purged_tables() WHERE target = 'forged'::regclass;

-- None of it has changed anything.
SELECT * FROM purge.rows();
SELECT slug, status FROM tenancy.organizations WHERE slug LIKE 'purge-%' ORDER BY slug;

\echo == purged
\c - regress_tenancy_app
SET client_min_messages = warning;
SELECT purge.sign_in('root');
SELECT id AS acme FROM tenancy.orgs WHERE slug = 'purge-acme' \gset
-- The application has no right to any of the tables, nor is the current org the one that is purged.
-- In what order, see test/t/administration.pl; other tests' tables come in between here.
SELECT * FROM tenancy.purge_org('purge-acme') WHERE table_name LIKE '%urge%' ORDER BY table_name COLLATE "C";
SELECT * FROM purge.rows();
SELECT minting.refusal('SELECT tenancy.purge_org(''purge-acme'')');
SELECT count(*) FROM tenancy.orgs WHERE slug = 'purge-acme';
SELECT action, org_id = :'acme' AS org, target, subject, old_values, (SELECT jsonb_object_agg(key, value) FROM jsonb_each(new_values -> 'rows_deleted') WHERE key LIKE '%urge%') AS rows_deleted, (new_values ->> 'rows_deleted') IS NOT NULL AS counted
FROM tenancy.audit_log WHERE org_id = :'acme' ORDER BY at;
-- Its members are still users; the other org's admin works as before, and knows nothing of it.
SELECT purge.sign_in('admin');
SELECT purge.sign_in('both');
SELECT org_slug, roles FROM tenancy.session();
SELECT count(*) FROM tenancy.audit_log WHERE org_id = :'acme';
\c - :dba
SET client_min_messages = warning;
SELECT what FROM "Purge ""odd"", it's".trace ORDER BY what;
SELECT (SELECT count(*) FROM tenancy.memberships WHERE org_id = :'acme') AS memberships, (SELECT count(*) FROM tenancy.roles WHERE name = 'purge-own') AS roles, (SELECT count(*) FROM tenancy.users WHERE name LIKE 'purge-%') AS users;
-- The DBA, and an org without a row in any table.
INSERT INTO tenancy.organizations (slug, name, status) VALUES ('purge-empty', 'Empty', 'archived');
SELECT sum(rows_deleted) FROM tenancy.purge_org('purge-empty');

SET client_min_messages = warning;
DROP SCHEMA purge, "Purge ""odd"", it's" CASCADE;
DROP ROLE regress_tenancy_purger, regress_tenancy_purger_2;
DELETE FROM tenancy.users WHERE name LIKE 'purge-%';
DELETE FROM tenancy.organizations WHERE slug LIKE 'purge-%';
DELETE FROM tenancy.role_permissions WHERE resource_type = 'purge_data';
DELETE FROM tenancy.resource_types WHERE name = 'purge_data';
