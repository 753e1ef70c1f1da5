-- Which functions allow_pushdown() has marked leakproof, to be taken back by revoke_pushdown(). Part of a dump, which does not carry
-- the marks themselves: what is listed here and not marked is to be allowed again.

CREATE TABLE tenancy.pushdown_marks (
	entry text COLLATE "C" PRIMARY KEY,
	marked_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.pushdown_marks IS 'Functions that allow_pushdown() has marked leakproof, as pushdown_list() names them; not those that were so before.';
