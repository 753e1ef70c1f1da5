-- Partitioned by org: 320 rows an org, number n belongs to org 1 + n % 1000.
CREATE TABLE ledger (id bigint NOT NULL, org_id uuid NOT NULL, amount int NOT NULL, memo text NOT NULL) PARTITION BY HASH (org_id);
SELECT format('CREATE TABLE ledger_%s PARTITION OF ledger FOR VALUES WITH (MODULUS 32, REMAINDER %1$s)', i) FROM generate_series(0, 31) i \gexec
INSERT INTO ledger SELECT n, bench.org(1 + n % 1000), n % 997, 'Entry ' || n FROM generate_series(0, 319999) n;
CREATE UNIQUE INDEX ledger_org_id_id ON ledger (org_id, id);
