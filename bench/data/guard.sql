-- A thousand rows, in turn of org 10 and org 11: what the guard counts must not grow with the data.
CREATE TABLE item (id bigint NOT NULL, org_id uuid NOT NULL, name text NOT NULL);
INSERT INTO item SELECT n, bench.org(10 + (n % 2)::int), 'Item ' || n FROM generate_series(0, 999) n;
CREATE UNIQUE INDEX item_id ON item (id);
CREATE INDEX item_org_id_id ON item (org_id, id);
