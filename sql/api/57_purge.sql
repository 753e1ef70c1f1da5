-- The end of an org: every row of it in every protected table, and then the org itself.

CREATE OR REPLACE FUNCTION tenancy.run_as_owner(owned regclass, statement text, org_id uuid)
RETURNS bigint LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_run_as_owner';
COMMENT ON FUNCTION tenancy.run_as_owner(regclass, text, uuid) IS 'Internal: runs a statement, with the org as $1, as a table''s owner, who sees all rows; returns the number of rows.';

CREATE OR REPLACE FUNCTION tenancy.ask_as_owner(owned regclass, statement text, argument text)
RETURNS text LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'tenancy_ask_as_owner';
COMMENT ON FUNCTION tenancy.ask_as_owner(regclass, text, text) IS 'Internal: the first value that a statement, with the argument as $1, returns to a table''s owner, who sees all rows.';

-- What is protected as a partition goes through the table that it is part of.
CREATE OR REPLACE FUNCTION tenancy.purged_tables(OUT target regclass, OUT org_column name)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH listed AS (
		SELECT c.oid, p.org_column
		FROM (SELECT DISTINCT l.polrelid FROM pg_policy l WHERE l.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') o)) c (oid)
		CROSS JOIN LATERAL tenancy.protection_of(c.oid) p
		WHERE p.org_column IS NOT NULL)
	SELECT l.oid::regclass, l.org_column
	FROM listed l
	WHERE NOT EXISTS (SELECT FROM pg_partition_ancestors(l.oid) a JOIN listed o ON o.oid = a.relid WHERE a.relid <> l.oid)
$$;
COMMENT ON FUNCTION tenancy.purged_tables() IS 'Internal: the protected tables, without what is a partition of another.';

-- What refers comes before what it refers to. Tables that refer to one another, over others perhaps, share a step: one
-- statement deletes from all of them, and foreign keys are checked at its end. Recursion is estimated at so many rows that a few
-- milliseconds of catalog reads would be compiled for a second: hence no JIT.
CREATE OR REPLACE FUNCTION tenancy.purge_steps(OUT step bigint, OUT targets regclass[], OUT org_columns name[])
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH RECURSIVE purged AS MATERIALIZED (
		SELECT p.target, p.org_column FROM tenancy.purged_tables() p),
	member AS MATERIALIZED (
		SELECT p.target, m AS relid FROM purged p, tenancy.protection_members(p.target) m),
	refers AS MATERIALIZED (
		SELECT DISTINCT coalesce(a.target, k.conrelid) AS one, coalesce(b.target, k.confrelid) AS other
		FROM pg_constraint k
		LEFT JOIN member a ON a.relid = k.conrelid
		LEFT JOIN member b ON b.relid = k.confrelid
		WHERE k.contype = 'f'),
	reaches (one, other) AS (
		SELECT r.one, r.other FROM refers r
		UNION
		SELECT x.one, r.other FROM reaches x JOIN refers r ON r.one = x.other),
	grouped AS (
		SELECT p.target, p.org_column,
			(SELECT min(o.target) FROM purged o WHERE o.target = p.target
				OR EXISTS (SELECT FROM reaches r WHERE r.one = p.target AND r.other = o.target)
					AND EXISTS (SELECT FROM reaches r WHERE r.one = o.target AND r.other = p.target)) AS leader,
			(SELECT count(DISTINCT r.one) FROM reaches r WHERE r.other = p.target) AS referrers
		FROM purged p)
	SELECT row_number() OVER (ORDER BY min(g.referrers), min(g.target::text)), array_agg(g.target ORDER BY g.target::text), array_agg(g.org_column ORDER BY g.target::text)
	FROM grouped g GROUP BY g.leader
$$;
COMMENT ON FUNCTION tenancy.purge_steps() IS 'Internal: the protected tables in the order in which rows can be deleted.';

-- Checked when the statement ends, as the table's owner; a deferred one would be at commit, as somebody else.
CREATE OR REPLACE FUNCTION tenancy.purge_constraints_statement(targets regclass[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'SET CONSTRAINTS ' || string_agg(DISTINCT format('%I.%I', n.nspname, k.conname), ', ') || ' IMMEDIATE'
	FROM unnest(targets) t, tenancy.protection_members(t) m
	JOIN pg_trigger g ON g.tgrelid = m AND g.tgdeferrable
	JOIN pg_constraint k ON k.oid = g.tgconstraint
	JOIN pg_namespace n ON n.oid = k.connamespace
$$;
COMMENT ON FUNCTION tenancy.purge_constraints_statement(regclass[]) IS 'Internal: makes the constraints of some tables immediate; null if none is deferrable.';

CREATE OR REPLACE FUNCTION tenancy.purge_cycle(targets regclass[], org_columns name[], org_id uuid)
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	parts text;
	counts text;
BEGIN
	IF (SELECT count(DISTINCT c.relowner) FROM pg_class c WHERE c.oid = ANY (purge_cycle.targets)) > 1 THEN
		RAISE EXCEPTION 'cannot purge tables that refer to one another and have different owners'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('These are %s.', array_to_string(purge_cycle.targets, ', ')),
				HINT = 'Give them one owner, or delete the org''s rows from them first.';
	END IF;
	SELECT string_agg(format('d%s AS (DELETE FROM %s WHERE %I = $1::uuid RETURNING 1)', x.i, x.target, x.org_column), ', ' ORDER BY x.i),
		string_agg(format('(SELECT count(*) FROM d%s)', x.i), ', ' ORDER BY x.i)
	INTO parts, counts
	FROM unnest(purge_cycle.targets, purge_cycle.org_columns) WITH ORDINALITY x (target, org_column, i);
	RETURN tenancy.ask_as_owner(purge_cycle.targets[1], format('WITH %s SELECT ARRAY[%s]', parts, counts), purge_cycle.org_id::text)::bigint[];
END
$$;
COMMENT ON FUNCTION tenancy.purge_cycle(regclass[], name[], uuid) IS 'Internal: deletes the rows of an org from tables that refer to one another; the numbers of rows.';

CREATE OR REPLACE FUNCTION tenancy.purge_step(targets regclass[], org_columns name[], org_id uuid)
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	constraints text := tenancy.purge_constraints_statement(purge_step.targets);
BEGIN
	IF constraints IS NOT NULL THEN
		PERFORM tenancy.run_as_owner(purge_step.targets[1], constraints, purge_step.org_id);
	END IF;
	IF cardinality(purge_step.targets) > 1 THEN
		RETURN tenancy.purge_cycle(purge_step.targets, purge_step.org_columns, purge_step.org_id);
	END IF;
	RETURN ARRAY[tenancy.run_as_owner(purge_step.targets[1],
		format('DELETE FROM %s WHERE %I = $1', purge_step.targets[1], purge_step.org_columns[1]), purge_step.org_id)];
END
$$;
COMMENT ON FUNCTION tenancy.purge_step(regclass[], name[], uuid) IS 'Internal: deletes the rows of an org from the tables of a step; the numbers of rows.';

-- What a DELETE reaches: partitions and children, what refers to them with an action, and so on. AFTER triggers of all of it run
-- with the rights of whoever runs the DELETE, hence of the owner of the table that the walk begins at.
CREATE OR REPLACE FUNCTION tenancy.purge_reach(OUT root regclass, OUT reached regclass, OUT is_update boolean)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH RECURSIVE walk (root, relid, is_update) AS (
		SELECT t.oid, t.oid, false
		FROM (SELECT p.target::oid FROM tenancy.purged_tables() p UNION SELECT 'tenancy.organizations'::regclass::oid) t (oid)
		UNION
		SELECT w.root, n.relid, n.is_update
		FROM walk w
		CROSS JOIN LATERAL (
			SELECT i.inhrelid, w.is_update FROM pg_inherits i WHERE i.inhparent = w.relid
			UNION ALL
			SELECT k.conrelid, w.is_update OR a.action <> 'c'
			FROM pg_constraint k
			CROSS JOIN LATERAL (SELECT CASE WHEN w.is_update THEN k.confupdtype ELSE k.confdeltype END) a (action)
			WHERE k.contype = 'f' AND k.confrelid = w.relid AND a.action IN ('c', 'n', 'd')) n (relid, is_update))
	SELECT w.root, w.relid, w.is_update FROM walk w
$$;
COMMENT ON FUNCTION tenancy.purge_reach() IS 'Internal: for each table that a purge deletes from, the tables that are deleted from or updated with it.';

-- Against whoever gives one of them a trigger, a partition or a reference after assert_purge_is_own() has looked. Reading and
-- writing go on. Names are compared as in protection_lock().
CREATE OR REPLACE FUNCTION tenancy.lock_purge_reach()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	locked regclass[] := '{}';
	more regclass[];
	t regclass;
	name text;
BEGIN
	LOOP
		more := ARRAY(SELECT DISTINCT r.reached FROM tenancy.purge_reach() r JOIN pg_class c ON c.oid = r.reached
			WHERE c.relkind IN ('r', 'p') AND r.reached <> ALL (locked) ORDER BY r.reached);
		EXIT WHEN more = '{}';
		FOREACH t IN ARRAY more LOOP
			LOOP
				name := t::text;
				PERFORM tenancy.ask_as_owner(t, format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', name), '');
				EXIT WHEN t::text = name;
			END LOOP;
		END LOOP;
		locked := locked || more;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.lock_purge_reach() IS 'Internal: locks what a purge reaches against changes of its definition.';

-- No matter when a trigger fires: a BEFORE trigger runs as its table's owner, or as that of the table it is a partition of. An owner who
-- may do all that the other may gains nothing.
CREATE OR REPLACE FUNCTION tenancy.assert_purge_is_own(org_slug text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	delete_events constant int := 8;
	update_events constant int := 4 | 8 | 16;	-- a row that moves to another partition is deleted and inserted
	f record;
BEGIN
	SELECT r.root, pg_get_userbyid(o.relowner) AS root_owner, r.reached, pg_get_userbyid(c.relowner) AS owner, t.tgname
	INTO f
	FROM tenancy.purge_reach() r
	JOIN pg_class o ON o.oid = r.root
	JOIN pg_class c ON c.oid = r.reached
	JOIN pg_trigger t ON t.tgrelid = r.reached
	WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
		AND t.tgtype & CASE WHEN r.is_update THEN update_events ELSE delete_events END <> 0
		AND NOT pg_has_role(c.relowner, o.relowner, 'USAGE')
	ORDER BY r.root::text, r.reached::text, t.tgname LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot purge org "%"', assert_purge_is_own.org_slug
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('Deleting from table %s, which belongs to %I, reaches table %s, which belongs to %I and has trigger %I: it would run with the rights of %2$I. Nothing has been changed.',
					f.root, f.root_owner, f.reached, f.owner, f.tgname),
				HINT = 'Give both tables one owner, or drop or disable the trigger. For a protected table a foreign key without ON DELETE will do: its rows are purged anyway.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_purge_is_own(text) IS 'Internal: raises an error if a purge would run a trigger with the rights of another owner than that of the trigger''s table.';

-- What has been committed by others since a snapshot of before could be neither deleted nor checked.
CREATE OR REPLACE FUNCTION tenancy.assert_read_committed(purpose text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'cannot % in a transaction of isolation level %', assert_read_committed.purpose, current_setting('transaction_isolation')
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It must see what others commit meanwhile.',
				HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.assert_read_committed(text) IS 'Internal: raises an error in a transaction that keeps one snapshot.';

-- The row lock waits for every transaction that has written rows of the org, and lets no new one.
CREATE OR REPLACE FUNCTION tenancy.lock_org_for_purge(org text)
RETURNS tenancy.organizations LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations := tenancy.lock_named_org(lock_org_for_purge.org);
BEGIN
	IF found_org.status <> 'archived' THEN
		RAISE EXCEPTION 'org "%" is not archived', found_org.slug
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Purging deletes every row of the org, for good.',
				HINT = 'Call tenancy.archive_org(org) first, and purge it when nobody has missed it.';
	END IF;
	PERFORM FROM tenancy.organizations o WHERE o.id = found_org.id FOR UPDATE;
	RETURN found_org;
END
$$;
COMMENT ON FUNCTION tenancy.lock_org_for_purge(text) IS 'Internal: an archived org, locked against everything.';

CREATE OR REPLACE FUNCTION tenancy.purge_org(org text, OUT table_name text, OUT rows_deleted bigint)
RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_org tenancy.organizations;
	s record;
	deleted bigint[];
	done integer := 0;
	total bigint;
	counts jsonb := '{}';
	detail_schema text;
	detail_table text;
BEGIN
	PERFORM tenancy.assert_administrator('purge an org');
	PERFORM tenancy.assert_read_committed('purge an org');
	found_org := tenancy.lock_org_for_purge(purge_org.org);
	PERFORM tenancy.lock_purge_reach();
	PERFORM tenancy.assert_purge_is_own(found_org.slug);
	total := (SELECT count(*) FROM tenancy.purged_tables());

	FOR s IN SELECT p.targets, p.org_columns FROM tenancy.purge_steps() p ORDER BY p.step LOOP
		deleted := tenancy.purge_step(s.targets, s.org_columns, found_org.id);
		FOR table_name, rows_deleted IN SELECT u.target::text, u.deleted FROM unnest(s.targets, deleted) u (target, deleted) LOOP
			done := done + 1;
			RAISE NOTICE 'purging %: % rows deleted (% of %)', table_name, rows_deleted, done, total;
			counts := counts || jsonb_build_object(table_name, rows_deleted);
			RETURN NEXT;
		END LOOP;
	END LOOP;

	-- As a step too: what refers with SET DEFAULT, say, runs expressions of its owner's, who must defer nothing to the commit.
	PERFORM tenancy.purge_step('{tenancy.organizations}', '{id}', found_org.id);
	PERFORM tenancy.record_change('purge_org', found_org.id, found_org.slug,
		jsonb_build_object('slug', found_org.slug, 'name', found_org.name, 'kind', found_org.kind, 'status', found_org.status, 'status_reason', found_org.status_reason),
		jsonb_build_object('rows_deleted', counts));
EXCEPTION WHEN foreign_key_violation THEN
	GET STACKED DIAGNOSTICS detail_schema = SCHEMA_NAME, detail_table = TABLE_NAME;
	RAISE EXCEPTION 'cannot purge org "%"', found_org.slug
		USING ERRCODE = 'foreign_key_violation',
			DETAIL = format('Rows of table %I.%I still refer to it or to its rows. Nothing has been changed.', detail_schema, detail_table),
			HINT = 'Delete these rows, or protect that table, so that the org''s rows in it are purged too.';
END
$$;
COMMENT ON FUNCTION tenancy.purge_org(text) IS 'Deletes an archived org with every row of it in every protected table, and says how many. The audit log stays.';
