-- What is searched: 5,000 rows an org, number n belongs to org 1 + n % :articles. Every kind of search has its index,
-- beginning with the org where an index can.
CREATE TABLE article (id bigint NOT NULL, org_id uuid NOT NULL, name text NOT NULL, email text NOT NULL, doc jsonb NOT NULL, body tsvector NOT NULL);
INSERT INTO article
SELECT n, bench.org(1 + n % :articles), md5('name ' || n), 'User-' || n || '@Example.com',
	jsonb_build_object('sku', 's' || n % 50000, 'color', (ARRAY['red', 'green', 'blue'])[1 + n % 3]),
	to_tsvector('simple', format('word%s text%s part%s', n % 50000, n % 7919, n % 1000))
FROM generate_series(0, :articles * 5000 - 1) n;
CREATE UNIQUE INDEX article_id ON article (id);
CREATE INDEX article_org_id_name ON article (org_id, name text_pattern_ops);
CREATE INDEX article_org_id_email ON article (org_id, lower(email));
CREATE INDEX article_doc ON article USING gin (doc jsonb_path_ops);
CREATE INDEX article_body ON article USING gin (body);
