-- Orgs of all sizes in one table, by slots of the id: of every :slots rows 40 % are org 1's, 10 % org 2's, one row goes
-- round the orgs after 501, and each of the other slots is an org of its own, with 5,000 rows. So id = org - 3 (mod
-- :slots), plus the half that the large ones have, is a row of a medium org; these are numbered from 0. Rows of an org
-- lie scattered, as they do in a table that many write to.
CREATE TABLE company (id bigint NOT NULL, org_id uuid NOT NULL, name text NOT NULL);
INSERT INTO company SELECT n, bench.org(1 + (n % 1000)::int), 'Company ' || n FROM generate_series(0, 99999) n;
CREATE UNIQUE INDEX company_id ON company (id);
CREATE INDEX company_org_id_id ON company (org_id, id);

CREATE TABLE contact (id bigint NOT NULL, org_id uuid NOT NULL, company_id bigint NOT NULL, number int NOT NULL, amount int NOT NULL,
	name text NOT NULL, email text NOT NULL, created_at timestamptz NOT NULL);
INSERT INTO contact
SELECT n, o.id, o.number - 1 + 1000 * (n % 100), n / :slots, n % 997, 'Contact ' || n, 'contact-' || n || '@example.com', timestamptz '2025-01-01' + n * interval '1 second'
FROM generate_series(0, :slots * 5000::bigint - 1) n
JOIN LATERAL (SELECT n % :slots AS slot) s ON true
JOIN (SELECT number, bench.org(number) AS id FROM generate_series(1, 1000) number OFFSET 0) o ON o.number = CASE
	WHEN s.slot < :slots * 4 / 10 THEN 1
	WHEN s.slot < :slots / 2 THEN 2
	WHEN s.slot < :slots - 1 THEN 3 + s.slot - :slots / 2
	ELSE 502 + n / :slots % 499 END
ORDER BY n;
CREATE UNIQUE INDEX contact_id ON contact (id);
CREATE INDEX contact_org_id_number ON contact (org_id, number);
