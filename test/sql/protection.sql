-- protect(), unprotect(), protected_tables: what they make, mend, keep and refuse.
-- What the policies let through, with tokens, is tested elsewhere; here it is catalog state.
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET timezone = 'UTC';

CREATE SCHEMA shop;
SET search_path = shop;
CREATE ROLE regress_tenancy_table_owner;
CREATE ROLE regress_tenancy_bystander;
INSERT INTO tenancy.organizations (id, slug, name) VALUES
	('aaaaaaaa-0000-4000-8000-000000000001', 'regress-acme', 'Acme'),
	('bbbbbbbb-0000-4000-8000-000000000002', 'regress-beta', 'Beta');

CREATE TEMPORARY TABLE types_before AS SELECT name FROM tenancy.resource_types;

-- The error a statement ends with, SQLSTATE first; or that there was none.
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN sqlstate || ': ' || sqlerrm || coalesce(E'\n  DETAIL: ' || nullif(detail, ''), '')
		|| coalesce(E'\n  HINT: ' || nullif(hint, ''), '');
END
$$;

-- Everything about a table that protection decides, in words.
CREATE FUNCTION shape(target regclass) RETURNS SETOF text LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	SELECT format('row security %s, forced %s', c.relrowsecurity, c.relforcerowsecurity) FROM pg_class c WHERE c.oid = target
	UNION ALL
	(SELECT format('column %I %s%s default %s', a.attname, a.atttypid::regtype, CASE WHEN a.attnotnull THEN ' not null' END,
			coalesce(pg_get_expr(d.adbin, d.adrelid), 'none'))
	FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
	UNION ALL
	(SELECT format('key %s', pg_get_constraintdef(con.oid)) FROM pg_constraint con
	WHERE con.conrelid = target AND con.contype IN ('p', 'u', 'f') ORDER BY con.contype DESC, con.conname)
	UNION ALL
	(SELECT format('index %s', substring(pg_get_indexdef(i.indexrelid) FROM 'USING .*')) FROM pg_index i
	WHERE i.indrelid = target AND NOT i.indisprimary ORDER BY 1)
	UNION ALL
	(SELECT format('%s %s %s to %s%s%s', p.permissive, p.policyname, p.cmd, p.roles, ' using ' || p.qual, ' check ' || p.with_check)
	FROM pg_policies p JOIN pg_class c ON c.relname = p.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = p.schemaname
	WHERE c.oid = target ORDER BY p.permissive, p.policyname)
$$;

-- What a call that changes nothing must leave as it is: every catalog row of the table, and its file.
CREATE FUNCTION catalog_state(target regclass) RETURNS text LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	SELECT string_agg(s, ' ' ORDER BY s) FROM (
		SELECT format('class %s %s %s', c.oid, c.xmin, c.relfilenode) FROM pg_class c WHERE c.oid = target
		UNION ALL SELECT format('attribute %s %s', a.attnum, a.xmin) FROM pg_attribute a WHERE a.attrelid = target
		UNION ALL SELECT format('default %s %s', d.oid, d.xmin) FROM pg_attrdef d WHERE d.adrelid = target
		UNION ALL SELECT format('constraint %s %s', k.oid, k.xmin) FROM pg_constraint k WHERE k.conrelid = target
		UNION ALL SELECT format('index %s %s', i.indexrelid, i.xmin) FROM pg_index i WHERE i.indrelid = target
		UNION ALL SELECT format('policy %s %s', p.oid, p.xmin) FROM pg_policy p WHERE p.polrelid = target) AS rows (s)
$$;
CREATE VIEW listed AS SELECT * FROM tenancy.protected_tables WHERE schema_name LIKE 'shop%' ORDER BY schema_name, table_name;

\echo == what it makes
CREATE TABLE contact (id serial PRIMARY KEY, name text);
SELECT tenancy.protect('contact');
SELECT shape('contact');
\pset format aligned
\pset tuples_only off
SELECT * FROM listed;
\pset format unaligned
\pset tuples_only on
SELECT name, actions FROM tenancy.resource_types WHERE name = 'contact';

\echo == a second call changes nothing
CREATE TABLE seen AS SELECT catalog_state('contact') AS state;
BEGIN;
SELECT tenancy.protect('contact');
SELECT tenancy.protect('contact', 'contact', 'org_id', 'regress-acme');
SELECT 'locks on it: ' || count(*) FROM pg_locks WHERE relation = 'contact'::regclass AND mode <> 'AccessShareLock' AND pid = pg_backend_pid();
COMMIT;
SELECT CASE WHEN state = catalog_state('contact') THEN 'unchanged' ELSE 'CHANGED' END FROM seen;

\echo == nor does it bring back actions taken from the resource type
DELETE FROM tenancy.role_permissions WHERE resource_type = 'contact' AND action <> 'read';
UPDATE tenancy.resource_types SET actions = '{read}' WHERE name = 'contact';
SELECT tenancy.protect('contact');
SELECT name, actions FROM tenancy.resource_types WHERE name = 'contact';

\echo == it mends what is broken
CREATE FUNCTION mended(damage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := (SELECT string_agg(s, E'\n') FROM shape('contact') AS s);
	listed boolean;
BEGIN
	EXECUTE damage;
	SELECT complete INTO listed FROM listed WHERE table_name = 'contact';
	PERFORM tenancy.protect('contact');
	RETURN format('%s: complete %s; %s', damage, coalesce(listed::text, 'unlisted'),
		CASE WHEN before = (SELECT string_agg(s, E'\n') FROM shape('contact') AS s) THEN 'mended' ELSE 'NOT MENDED' END);
END
$$;
SELECT mended(format('DROP POLICY %I ON contact', policyname)) FROM pg_policies
WHERE schemaname = 'shop' AND tablename = 'contact' ORDER BY policyname;
SELECT mended('ALTER POLICY tenancy_read ON contact USING (true)');
SELECT mended('ALTER POLICY tenancy_read ON contact USING (org_id = tenancy.current_org_if(''read'', ''contact'') OR true)');
SELECT mended('ALTER POLICY tenancy_wall_update ON contact WITH CHECK (true)');
SELECT mended('ALTER POLICY tenancy_wall_delete ON contact TO regress_tenancy_table_owner');
SELECT mended('DROP POLICY tenancy_wall_read ON contact; CREATE POLICY tenancy_wall_read ON contact FOR SELECT
	USING (org_id = tenancy.current_org() OR tenancy.cross_org_active())');
SELECT mended('DROP POLICY tenancy_delete ON contact; CREATE POLICY tenancy_delete ON contact FOR ALL
	USING (org_id = tenancy.require_org(''delete'', ''contact''))');
SELECT mended('ALTER POLICY tenancy_read ON contact USING (org_id = tenancy.current_org_if(''read'', ''other''))');
SELECT mended('ALTER TABLE contact DISABLE ROW LEVEL SECURITY');
SELECT mended('ALTER TABLE contact NO FORCE ROW LEVEL SECURITY');
SELECT mended('ALTER TABLE contact ALTER org_id DROP DEFAULT');
SELECT mended('ALTER TABLE contact ALTER org_id SET DEFAULT gen_random_uuid()');
SELECT mended('ALTER TABLE contact ALTER org_id DROP NOT NULL');
SELECT mended('ALTER TABLE contact DROP CONSTRAINT contact_org_id_fkey');
SELECT mended('DROP INDEX contact_org_id_idx');

\echo == renames, search_path and quoting make no difference
ALTER TABLE contact RENAME TO person;
ALTER SCHEMA shop RENAME TO shop_2;
SET search_path = shop_2;
SELECT * FROM listed;
TRUNCATE seen;
INSERT INTO seen SELECT catalog_state('person');
SELECT tenancy.protect('person');
SET search_path = shop_2, tenancy;
SET quote_all_identifiers = on;
SELECT * FROM listed;
SELECT tenancy.protect('person');
RESET quote_all_identifiers;
SELECT CASE WHEN state = catalog_state('person') THEN 'unchanged' ELSE 'CHANGED' END FROM seen;
ALTER SCHEMA shop_2 RENAME TO shop;
SET search_path = shop;
ALTER TABLE person RENAME TO contact;
ALTER TABLE contact RENAME org_id TO tenant;
SELECT * FROM listed;
SELECT tenancy.protect('contact', org_column => 'tenant');
SELECT refusal($$SELECT tenancy.protect('contact')$$);
ALTER TABLE contact RENAME tenant TO org_id;

\echo == policies restored from a dump are ours
CREATE TABLE dump AS SELECT format('CREATE POLICY %I ON contact AS %s FOR %s TO PUBLIC%s%s', policyname, permissive, cmd,
	' USING (' || qual || ')', ' WITH CHECK (' || with_check || ')') AS statement
FROM pg_policies WHERE schemaname = 'shop' AND tablename = 'contact';
DO $$
DECLARE
	p name;
	s text;
BEGIN
	FOR p IN SELECT policyname FROM pg_policies WHERE schemaname = 'shop' AND tablename = 'contact' LOOP
		EXECUTE format('DROP POLICY %I ON contact', p);
	END LOOP;
	FOR s IN SELECT statement FROM dump LOOP
		EXECUTE s;
	END LOOP;
END
$$;
SELECT * FROM listed;

\echo == unprotect
SELECT tenancy.unprotect('contact');
SELECT shape('contact');
SELECT count(*) FROM listed;
SET client_min_messages = notice;
SELECT tenancy.unprotect('contact');
SELECT tenancy.unprotect('listed');
SET client_min_messages = warning;
SELECT refusal('SELECT tenancy.unprotect(NULL)');
SELECT refusal('SELECT tenancy.unprotect(4294967295::regclass)');
SELECT tenancy.protect('contact', 'person');
CREATE POLICY extra ON contact AS RESTRICTIVE USING (name IS NOT NULL);
SELECT tenancy.protect('contact');
SELECT tenancy.unprotect('contact');
SELECT s FROM shape('contact') AS s WHERE s ~ 'row security|RESTRICTIVE|PERMISSIVE';
SELECT name FROM tenancy.resource_types WHERE name IN ('contact', 'person') ORDER BY name;

\echo == rows that are there already
CREATE TABLE invoice (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total int);
INSERT INTO invoice (total) VALUES (1), (2);
CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trigger fired'; END $$;
CREATE TRIGGER trip BEFORE UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION trip();
SELECT refusal($$SELECT tenancy.protect('invoice')$$);
SELECT refusal($$SELECT tenancy.protect('invoice', existing_rows_org => 'no-such-org')$$);
SELECT refusal($$SELECT tenancy.protect('invoice', existing_rows_org => 'cccccccc-0000-4000-8000-000000000003')$$);
SELECT shape('invoice');
CREATE TABLE file AS SELECT pg_relation_filenode('invoice') AS node;
SELECT tenancy.protect('invoice', existing_rows_org => 'regress-acme');
SELECT CASE WHEN node = pg_relation_filenode('invoice') THEN 'not rewritten' ELSE 'REWRITTEN' END FROM file;
SELECT s FROM shape('invoice') AS s WHERE s ~ 'column org_id';
SELECT org_id, count(*) FROM invoice GROUP BY 1;

\echo == rows with a null org, without firing triggers, whose states are kept
CREATE TABLE note (id int, org_id uuid);
INSERT INTO note VALUES (1, NULL), (2, 'bbbbbbbb-0000-4000-8000-000000000002');
CREATE TRIGGER a_always BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION trip();
CREATE TRIGGER a_disabled BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION trip();
CREATE TRIGGER a_plain BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION trip();
CREATE TRIGGER a_replica BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION trip();
ALTER TABLE note ENABLE ALWAYS TRIGGER a_always, DISABLE TRIGGER a_disabled, ENABLE REPLICA TRIGGER a_replica;
SELECT refusal($$SELECT tenancy.protect('note')$$);
SELECT tenancy.protect('note', existing_rows_org => 'AAAAAAAA-0000-4000-8000-000000000001');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'note'::regclass AND NOT tgisinternal ORDER BY tgname;
SELECT * FROM note ORDER BY id;

\echo == rows of an org that does not exist: nothing of it stays
CREATE TABLE stray (id int, org_id uuid);
INSERT INTO stray VALUES (1, 'cccccccc-0000-4000-8000-000000000003');
SELECT refusal($$SELECT tenancy.protect('stray')$$);
SELECT shape('stray');

\echo == the org column
CREATE TABLE odd (id int, as_text text, made uuid GENERATED ALWAYS AS ('aaaaaaaa-0000-4000-8000-000000000001'::uuid) STORED);
CREATE DOMAIN org_ref AS uuid;
ALTER TABLE odd ADD COLUMN as_domain org_ref;
SELECT refusal(format('SELECT tenancy.protect(%L, org_column => %L)', 'odd', c))
FROM unnest(ARRAY['as_text', 'as_domain', 'made', 'ctid', 'tableoid', '', NULL]) AS c;
SELECT tenancy.protect('odd', org_column => 'tenant_id');
SELECT schema_name, table_name, org_column, complete FROM listed WHERE table_name = 'odd';

\echo == resource types
CREATE TABLE "Order" (id int);
CREATE TABLE member (id int);
SELECT refusal($$SELECT tenancy.protect('"Order"')$$);
SELECT refusal($$SELECT tenancy.protect('"Order"', 'Order')$$);
SELECT refusal($$SELECT tenancy.protect('"Order"', '')$$);
SELECT refusal($$SELECT tenancy.protect('"Order"', 'a; DROP TABLE contact')$$);
SELECT refusal($$SELECT tenancy.protect('member')$$);
SELECT shape('"Order"');
SELECT tenancy.protect('"Order"', 'sale');
SELECT refusal($$SELECT tenancy.protect('"Order"', 'invoice')$$);
SELECT refusal($$SELECT tenancy.protect('"Order"', 'sale', 'tenant_id')$$);
SELECT tenancy.protect('"Order"');
SELECT table_name, resource_type, complete FROM listed WHERE table_name = 'Order';

\echo == keys and indexes
CREATE TABLE composite_key (org_id uuid, id int, PRIMARY KEY (org_id, id));
CREATE TABLE plain_key (id int, part int, PRIMARY KEY (id, part));
CREATE TABLE hashed (org_id uuid, id int);
CREATE INDEX ON hashed USING hash (org_id);
CREATE INDEX ON hashed (org_id) WHERE id > 0;
CREATE INDEX ON hashed (id, org_id);
CREATE TABLE linked (org_id uuid CONSTRAINT linked_org REFERENCES tenancy.organizations ON DELETE CASCADE, id int);
CREATE INDEX ON linked (org_id DESC, id);
CREATE UNLOGGED TABLE scratch (id uuid);
SELECT tenancy.protect(t) FROM unnest(ARRAY['composite_key', 'plain_key', 'hashed', 'linked', 'scratch']::regclass[]) AS t;
SELECT t, s FROM unnest(ARRAY['composite_key', 'plain_key', 'hashed', 'linked', 'scratch']::regclass[]) AS t, shape(t) AS s WHERE s ~ '^(key|index)';
SELECT table_name, complete FROM listed WHERE table_name IN ('composite_key', 'plain_key', 'hashed', 'linked', 'scratch');

\echo == partitions
CREATE TABLE event (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (id);
CREATE TABLE event_2_1 PARTITION OF event_2 FOR VALUES IN (1);
INSERT INTO event VALUES (1, '2025-05-05'), (1, '2026-05-05');
SELECT refusal($$SELECT tenancy.protect('event_1')$$);
SELECT refusal($$SELECT tenancy.protect('event_2_1')$$);
SELECT refusal($$SELECT tenancy.protect('event')$$);
SELECT tenancy.protect('event', existing_rows_org => 'regress-beta');
SELECT shape('event_2_1');
SELECT table_name, org_column, resource_type, is_partition, complete FROM listed WHERE table_name LIKE 'event%';
SELECT refusal($$SELECT tenancy.protect('event_1', 'other')$$);
SELECT refusal($$SELECT tenancy.unprotect('event_1')$$);
ALTER TABLE event_1 DISABLE ROW LEVEL SECURITY;
SELECT tenancy.protect('event_1');
CREATE TABLE event_3 (id int, at date, org_id uuid NOT NULL);
SELECT tenancy.protect('event_3', 'attached');
ALTER TABLE event ATTACH PARTITION event_3 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE TABLE event_4 PARTITION OF event FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');
SELECT table_name, resource_type, complete FROM listed WHERE table_name LIKE 'event%';
SELECT tenancy.protect('event');
SELECT table_name, resource_type, complete FROM listed WHERE table_name LIKE 'event%';
SELECT bool_and(complete), count(*) FROM listed WHERE table_name LIKE 'event%';
TRUNCATE seen;
INSERT INTO seen SELECT string_agg(catalog_state(relid), ' ') FROM pg_partition_tree('event');
SELECT tenancy.protect('event'), tenancy.protect('event_3');
SELECT CASE WHEN state = (SELECT string_agg(catalog_state(relid), ' ') FROM pg_partition_tree('event')) THEN 'unchanged' ELSE 'CHANGED' END FROM seen;
DROP INDEX event_org_id_idx;
SELECT tenancy.protect('event');
SELECT s FROM shape('event_2_1') AS s WHERE s ~ '^index';
SELECT tenancy.unprotect('event');
SELECT count(*) FROM listed WHERE table_name LIKE 'event%';
SELECT relid, s FROM pg_partition_tree('event'), shape(relid) AS s WHERE s ~ 'row security';
CREATE FOREIGN DATA WRAPPER regress_tenancy_nothing;
CREATE SERVER regress_tenancy_nowhere FOREIGN DATA WRAPPER regress_tenancy_nothing;
CREATE TABLE spread (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE spread_far PARTITION OF spread FOR VALUES IN (1) SERVER regress_tenancy_nowhere;
CREATE TABLE spread_near PARTITION OF spread FOR VALUES IN (2);
CREATE POLICY wide ON spread_near USING (true);
SELECT refusal($$SELECT tenancy.protect('spread')$$);
DROP FOREIGN TABLE spread_far;
SELECT refusal($$SELECT tenancy.protect('spread')$$);

\echo == plain inheritance
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
SELECT refusal($$SELECT tenancy.protect('parent')$$);
SELECT refusal($$SELECT tenancy.protect('child')$$);
ALTER TABLE child NO INHERIT parent;
SELECT tenancy.protect('parent'), tenancy.protect('child');
ALTER TABLE child INHERIT parent;
SELECT refusal($$SELECT tenancy.protect('parent')$$);

\echo == hostile names
CREATE SCHEMA "shop ""'; --";
CREATE TABLE "shop ""'; --"."Tab	le
'%s"" $$" ("I d" int PRIMARY KEY);
SELECT oid AS hostile FROM pg_class WHERE relname LIKE 'Tab%' AND relkind = 'r' \gset
SELECT tenancy.protect(:hostile, 'hostile', E'org "id'' %I\n');
SELECT tenancy.protect(:hostile, 'hostile', E'org "id'' %I\n');
SELECT * FROM listed WHERE resource_type = 'hostile';
SELECT refusal('SELECT tenancy.protect(' || :hostile || $$, 'other')$$);
SELECT tenancy.unprotect(:hostile);
CREATE TEMPORARY TABLE resource_types (name text);
CREATE TEMPORARY TABLE pg_policy (polname text);
SET search_path = pg_temp, shop;
CREATE TABLE shop.planted (id int);
SELECT tenancy.protect('shop.planted');
SET search_path = shop;
DROP TABLE pg_temp.resource_types, pg_temp.pg_policy;
SELECT table_name, complete FROM listed WHERE table_name = 'planted';

\echo == a permissive policy that somebody adds later shows up: it widens who may, though not beyond the org
CREATE POLICY everybody ON shop.planted FOR UPDATE USING (true);
SELECT table_name, complete FROM listed WHERE table_name = 'planted';
SELECT refusal($$SELECT tenancy.protect('shop.planted')$$);
DROP POLICY everybody ON shop.planted;
CREATE POLICY nobody ON shop.planted AS RESTRICTIVE FOR UPDATE USING (false);
SELECT table_name, complete FROM listed WHERE table_name = 'planted';

\echo == what cannot be protected
CREATE TABLE base (id int, other_id int);
CREATE VIEW a_view AS SELECT * FROM base;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM base;
CREATE SEQUENCE a_sequence;
CREATE INDEX an_index ON base (id);
CREATE TYPE a_type AS (id int);
CREATE FOREIGN TABLE far (id int) SERVER regress_tenancy_nowhere;
CREATE TEMPORARY TABLE short_lived (id int);
CREATE TABLE of_extension (id int);
ALTER EXTENSION plpgsql ADD TABLE of_extension;
SELECT refusal(format('SELECT tenancy.protect(%L)', t)) FROM unnest(ARRAY['a_view', 'a_matview', 'a_sequence', 'an_index',
	'a_type', 'far', 'short_lived', 'of_extension', 'tenancy.organizations', 'pg_class', 'information_schema.sql_features']) AS t;
SELECT refusal(format('SELECT tenancy.protect(%L)', reltoastrelid::regclass)) ~ 'system catalog' FROM pg_class WHERE oid = 'contact'::regclass;
SELECT refusal('SELECT tenancy.protect(NULL)');
SELECT refusal('SELECT tenancy.protect(4294967295::regclass)');
ALTER EXTENSION plpgsql DROP TABLE of_extension;
CREATE RULE elsewhere AS ON DELETE TO base DO INSTEAD NOTHING;
SELECT refusal($$SELECT tenancy.protect('base')$$);
DROP RULE elsewhere ON base;
CREATE RULE also AS ON DELETE TO base DO ALSO NOTHING;
CREATE POLICY "let all in" ON base USING (true);
CREATE POLICY narrow ON base AS RESTRICTIVE USING (id > 0);
SELECT refusal($$SELECT tenancy.protect('base')$$);
SELECT shape('base');
DROP POLICY "let all in" ON base;
SELECT tenancy.protect('base');
SELECT table_name, complete FROM listed WHERE table_name = 'base';

\echo == authority
GRANT USAGE, CREATE ON SCHEMA shop TO regress_tenancy_table_owner, regress_tenancy_bystander;
CREATE TABLE owned (id int);
ALTER TABLE owned OWNER TO regress_tenancy_table_owner;
SET ROLE regress_tenancy_table_owner;
SELECT refusal($$SELECT tenancy.protect('shop.owned')$$);
SELECT refusal($$SELECT tenancy.unprotect('shop.owned')$$);
SELECT refusal($$SELECT * FROM tenancy.protected_tables$$);
RESET ROLE;
SELECT count(*) AS public_may_call FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname ~ 'protect' AND a.grantee = 0;
SELECT p.oid::regprocedure AS without_comment FROM pg_proc AS p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname ~ 'protect' AND obj_description(p.oid, 'pg_proc') IS NULL;

\echo == an administrator must own the table as well
BEGIN;
GRANT USAGE ON SCHEMA tenancy TO regress_tenancy_table_owner, regress_tenancy_bystander;
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace AND proname ~ '^protection_|^current_org$' LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO regress_tenancy_table_owner, regress_tenancy_bystander', f);
	END LOOP;
END
$$;
SET LOCAL ROLE regress_tenancy_bystander;
SELECT refusal($$SELECT tenancy.protection_check('shop.owned', 'org_id')$$);
SET LOCAL ROLE regress_tenancy_table_owner;
SELECT refusal($$SELECT tenancy.protection_check('shop.owned', 'org_id')$$);
RESET ROLE;
GRANT REFERENCES (id) ON tenancy.organizations TO regress_tenancy_table_owner;
SET LOCAL ROLE regress_tenancy_table_owner;
SELECT tenancy.protection_check('shop.owned', 'org_id');
INSERT INTO owned VALUES (1), (2);
SELECT tenancy.protection_apply('shop.owned', 'org_id', 'owned', 'aaaaaaaa-0000-4000-8000-000000000001');
SELECT count(*) AS statements_left FROM tenancy.protection_statements('shop.owned', 'org_id', 'owned');
-- Forced row security hides the rows from their owner, but not from the repair.
RESET ROLE;
ALTER TABLE owned ALTER org_id DROP NOT NULL, DROP CONSTRAINT owned_org_id_fkey;
UPDATE owned SET org_id = NULL WHERE id = 1;
SET LOCAL ROLE regress_tenancy_table_owner;
SELECT refusal($$SELECT tenancy.protection_apply('shop.owned', 'org_id', 'owned', NULL)$$);
SELECT tenancy.protection_apply('shop.owned', 'org_id', 'owned', 'bbbbbbbb-0000-4000-8000-000000000002');
RESET ROLE;
SELECT id, org_id FROM owned ORDER BY id;
ALTER TABLE owned DROP CONSTRAINT owned_org_id_fkey;
UPDATE owned SET org_id = 'cccccccc-0000-4000-8000-000000000003' WHERE id = 1;
SET LOCAL ROLE regress_tenancy_table_owner;
SELECT refusal($$SELECT tenancy.protection_apply('shop.owned', 'org_id', 'owned', NULL)$$);
SET LOCAL ROLE regress_tenancy_bystander;
SELECT refusal($$SELECT tenancy.protection_check_removal('shop.owned')$$);
ROLLBACK;

\echo == what the owner of a table has written into it runs as that owner, whoever protects it
CREATE FUNCTION told(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING '%: %', what, current_user; RETURN true; END $$;
CREATE TABLE trap (id int, org_id uuid CONSTRAINT trap_org REFERENCES tenancy.organizations DEFERRABLE INITIALLY DEFERRED, CHECK (told('check ' || id)), CHECK (told('constant check')));
SET client_min_messages = error;
CREATE INDEX ON trap ((told('constant index')));
CREATE TABLE trap_parts (id int, org_id uuid) PARTITION BY LIST (id);
CREATE TABLE trap_part PARTITION OF trap_parts (CHECK (told('check of a partition')), CHECK (told('check of partition ' || id))) DEFAULT;
CREATE TABLE trap_new (id int, CHECK (told('check, no column')));
INSERT INTO trap VALUES (1), (2);
INSERT INTO trap_parts VALUES (1), (2);
INSERT INTO trap_new VALUES (1);
ALTER TABLE trap OWNER TO regress_tenancy_table_owner;
ALTER TABLE trap_parts OWNER TO regress_tenancy_table_owner;
ALTER TABLE trap_new OWNER TO regress_tenancy_table_owner;
GRANT USAGE ON SCHEMA shop TO regress_tenancy_table_owner;
SET client_min_messages = warning;
-- Two owners' constraints would run as each other.
SELECT refusal($$SELECT tenancy.protect('trap_parts', 'trap', existing_rows_org => 'regress-acme')$$);
ALTER TABLE trap_part OWNER TO regress_tenancy_table_owner;
SELECT tenancy.protect('trap', existing_rows_org => 'regress-acme');
SELECT tenancy.protect('trap_parts', 'trap', existing_rows_org => 'regress-acme');
SELECT tenancy.protect('trap_new', 'trap', existing_rows_org => 'regress-acme');
SELECT table_name, complete FROM listed WHERE resource_type = 'trap';
SELECT t, s FROM unnest(ARRAY['trap', 'trap_part', 'trap_new']::regclass[]) AS t, shape(t) AS s WHERE s ~ '^(key|column org_id)';
SET client_min_messages = error;
SELECT (SELECT count(*) FROM trap WHERE org_id IS NOT NULL), (SELECT count(*) FROM trap_parts WHERE org_id IS NOT NULL), (SELECT count(*) FROM trap_new WHERE org_id IS NOT NULL);
SET client_min_messages = warning;
-- The switch is for whoever could SET ROLE to the owner.
GRANT USAGE ON SCHEMA tenancy TO regress_tenancy_bystander;
GRANT EXECUTE ON FUNCTION tenancy.protection_run_as_owner(regclass, text) TO regress_tenancy_bystander;
SET ROLE regress_tenancy_bystander;
SELECT refusal($$SELECT tenancy.protection_run_as_owner('shop.trap', 'SELECT current_user')$$);
RESET ROLE;
INSERT INTO tenancy.users (id, name) VALUES ('eeeeeeee-0000-4000-8000-000000000001', 'trap-root');
INSERT INTO tenancy.identities SELECT id, 'trap-root', 'eeeeeeee-0000-4000-8000-000000000001' FROM tenancy.issuers WHERE issuer = 'https://clerk.test';
INSERT INTO tenancy.superadmins VALUES ('eeeeeeee-0000-4000-8000-000000000001');
SELECT set_config('tenancy.session_token', minting.token('clerk', '{"sub": "trap-root"}'), false) IS NOT NULL;
SET ROLE regress_tenancy_bystander;
SELECT refusal($$SELECT tenancy.protection_run_as_owner('shop.trap', 'SELECT current_user')$$);
RESET ROLE;
GRANT regress_tenancy_table_owner TO regress_tenancy_bystander;
SET ROLE regress_tenancy_bystander;
SELECT tenancy.protection_run_as_owner('shop.trap', 'SELECT current_user');
RESET ROLE;
RESET tenancy.session_token;
REVOKE regress_tenancy_table_owner FROM regress_tenancy_bystander;
REVOKE ALL ON FUNCTION tenancy.protection_run_as_owner(regclass, text) FROM regress_tenancy_bystander;
REVOKE ALL ON SCHEMA tenancy FROM regress_tenancy_bystander;
DELETE FROM tenancy.users WHERE name = 'trap-root';

\echo == a policy of that name is no protection by itself
CREATE TYPE label AS ENUM ('aaaaaaaa-0000-4000-8000-000000000001');
CREATE FUNCTION label_org(label) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT 'aaaaaaaa-0000-4000-8000-000000000001'::uuid $$;
CREATE CAST (label AS uuid) WITH FUNCTION label_org AS IMPLICIT;
CREATE TABLE forged (id int PRIMARY KEY, org_id label);
CREATE TEMPORARY TABLE forged_2 (id int PRIMARY KEY, org_id uuid);
CREATE POLICY tenancy_read ON forged USING (org_id = tenancy.current_org_if('read', 'trap'));
CREATE POLICY tenancy_read ON forged_2 USING (org_id = tenancy.current_org_if('read', 'trap'));
SELECT count(*) FROM tenancy.protected_tables WHERE table_name LIKE 'forged%';
SELECT t, tenancy.protection_of(t), refusal(format('SELECT tenancy.why_not(%L, ''1'')', t)), refusal(format('SELECT tenancy.protect(%L)', t)) FROM unnest('{shop.forged,pg_temp.forged_2}'::text[]) t;
SELECT tenancy.unprotect('forged_2');
DROP TABLE forged_2;
-- One whose policies have all been altered shows up.
ALTER POLICY tenancy_read ON forged USING (true);
SELECT table_name, org_column, resource_type, complete FROM listed WHERE table_name = 'forged';
DROP TABLE forged;

\echo == an application without a token: no rows, no writes, by any name of the table, not even to its owner
CREATE TABLE ledger (id int, part int) PARTITION BY LIST (part);
CREATE TABLE ledger_1 PARTITION OF ledger FOR VALUES IN (1);
INSERT INTO ledger VALUES (1, 1);
SELECT tenancy.protect('ledger', existing_rows_org => 'regress-acme');
SELECT tenancy.grant_access('regress_tenancy_bystander'), tenancy.grant_access('regress_tenancy_table_owner');
GRANT ALL ON ledger, ledger_1 TO regress_tenancy_bystander;
ALTER TABLE ledger OWNER TO regress_tenancy_table_owner;
ALTER TABLE ledger_1 OWNER TO regress_tenancy_table_owner;
SELECT count(*) AS rows_to_a_superuser FROM ledger;
SET ROLE regress_tenancy_bystander;
SELECT * FROM tenancy.protected_tables WHERE table_name LIKE 'ledger%' ORDER BY table_name;
SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM ledger_1);
SELECT substr(refusal(s), 1, 5) AS sqlstate, s FROM unnest(ARRAY['INSERT INTO ledger VALUES (1, 1)', 'INSERT INTO ledger_1 VALUES (1, 1)',
	$$INSERT INTO ledger VALUES (1, 1, 'aaaaaaaa-0000-4000-8000-000000000001')$$, 'UPDATE ledger SET id = 2', 'DELETE FROM ledger_1']) AS s;
SELECT refusal($$SELECT tenancy.protect('ledger')$$);
SET ROLE regress_tenancy_table_owner;
SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM ledger_1);
RESET ROLE;
SELECT count(*) AS rows_to_a_superuser FROM ledger;
SELECT tenancy.revoke_access('regress_tenancy_bystander'), tenancy.revoke_access('regress_tenancy_table_owner');

\echo == clean up
DROP SCHEMA shop, "shop ""'; --" CASCADE;
DROP FOREIGN DATA WRAPPER regress_tenancy_nothing CASCADE;
DROP ROLE regress_tenancy_table_owner, regress_tenancy_bystander;
DELETE FROM tenancy.role_permissions WHERE resource_type NOT IN (SELECT name FROM types_before);
DELETE FROM tenancy.resource_types WHERE name NOT IN (SELECT name FROM types_before);
DELETE FROM tenancy.organizations WHERE slug IN ('regress-acme', 'regress-beta');
