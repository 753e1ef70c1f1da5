-- A server of its own: who is there, and a small table for one select.
\i data/base.sql
SELECT bench.make_role('first_use', 'ours') \g /dev/null
SELECT tenancy.grant_access('bench_first_use') \g /dev/null
ALTER ROLE bench_tenancy SET session_preload_libraries = 'tenancy';
CREATE TABLE floor.contact (id bigint NOT NULL, org_id uuid NOT NULL, name text NOT NULL, email text NOT NULL);
INSERT INTO floor.contact SELECT n, bench.org(10), 'Contact ' || n, 'contact-' || n || '@example.com' FROM generate_series(1, 5000) n;
CREATE UNIQUE INDEX contact_id ON floor.contact (id);
CREATE INDEX contact_org_id_id ON floor.contact (org_id, id);
CREATE TABLE ours.contact (LIKE floor.contact INCLUDING ALL);
INSERT INTO ours.contact SELECT * FROM floor.contact;
SELECT bench.finish('floor'), bench.finish('ours') \g /dev/null
VACUUM ANALYZE;
