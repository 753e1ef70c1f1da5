-- Protection: protect(), unprotect() and the view protected_tables.
--
-- Why it exists: a table becomes tenant-owned by one call, and everything that makes it so is
-- ordinary catalog state (a column, its default, a foreign key, an index, two flags, eight
-- policies). Nothing is recorded beside it, so a rename, a dump and restore or a hand-made change
-- cannot make the record and the truth differ.
--
-- Invariants:
--   * tenancy.protection_policies() is the one definition of the policies; making, repairing,
--     checking and listing all compare with it.
--   * protection_*_statements() say what a table lacks, as DDL, and change nothing. protect() runs
--     them; none left means protected, which is why a second call is a few catalog reads.
--   * Every check runs again once the ACCESS EXCLUSIVE lock is held.
--   * Everything runs with the caller's rights: protecting needs the table's ownership as well as
--     an administrator's authority.
--   * search_path and quote_all_identifiers are pinned wherever an expression is turned into
--     text, because the text is compared.

-- ---------------------------------------------------------------------------------------------
-- What protection is
-- ---------------------------------------------------------------------------------------------

-- The org test stands in the permissive policies too, not in the wall alone, because Citus turns
-- restrictive policies into permissive ones on its shards. Each test is one bare call of a STABLE
-- function: a sub-select would hide the org from the planner, and Citus refuses it.
--
-- The wall is the same test once more: the planner drops what it has already, so that a query pays
-- for one call. A policy that somebody adds can neither cross an org nor allow what no role grants;
-- and a refused write says why, which current_org() as the wall would keep from being asked.
CREATE OR REPLACE FUNCTION tenancy.protection_policies(p_column name, p_type text)
RETURNS TABLE (policy name, command text, polcmd "char", permissive boolean, using_expr text, check_expr text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT (kind.prefix || cmd.action)::name, cmd.command, cmd.polcmd, kind.permissive,
		   CASE WHEN cmd.command <> 'INSERT' THEN test.expr END,
		   CASE WHEN cmd.command IN ('INSERT', 'UPDATE') THEN test.expr END
	  FROM (VALUES ('read',   'SELECT', 'r'::"char", 'current_org_if', '(%s OR tenancy.cross_org_active())'),
				   ('create', 'INSERT', 'a'::"char", 'require_org', '%s'),
				   ('update', 'UPDATE', 'w'::"char", 'require_org', '%s'),
				   ('delete', 'DELETE', 'd'::"char", 'require_org', '%s'))
			 AS cmd (action, command, polcmd, function, shape)
	 CROSS JOIN LATERAL (SELECT format(cmd.shape, format('(%I OPERATOR(pg_catalog.=) tenancy.%s(%L::text, %L::text))',
														 p_column, cmd.function, cmd.action, p_type)))
			 AS test (expr)
	 CROSS JOIN (VALUES ('tenancy_', true), ('tenancy_wall_', false)) AS kind (prefix, permissive)
$$;
COMMENT ON FUNCTION tenancy.protection_policies(name, text) IS
	'Internal: the eight policies of a protected table.';

-- Read from the policies alone: the column through the dependency, which follows a rename, and
-- the type through the expression. The commonest answer wins, so one altered policy is repaired
-- instead of being taken for the table's protection. Anybody can write such policies on a table of
-- their own: a column that is no uuid is no org's, whatever casts make of it, and a temporary
-- table is its session's alone.
CREATE OR REPLACE VIEW tenancy.protections AS
	SELECT pol.relid, col.org_column, pol.resource_type
	  FROM (SELECT p.polrelid AS relid,
				   pg_catalog.mode() WITHIN GROUP (ORDER BY pg_catalog."substring"(pg_catalog.pg_get_expr(coalesce(p.polqual, p.polwithcheck), p.polrelid),
					   'tenancy\.(?:current_org_if|require_org)\(''[a-z]+''::text, ''([a-z][a-z0-9_]*)''::text\)')) AS resource_type
			  FROM pg_catalog.pg_policy AS p
			 WHERE p.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') AS o)
			 GROUP BY p.polrelid) AS pol
	  JOIN pg_catalog.pg_class AS c ON c.oid = pol.relid AND c.relpersistence <> 't'
	  LEFT JOIN (SELECT p.polrelid AS relid, pg_catalog.mode() WITHIN GROUP (ORDER BY att.attname) AS org_column
				   FROM pg_catalog.pg_policy AS p
				   JOIN pg_catalog.pg_depend AS dep ON dep.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
													AND dep.objid = p.oid
													AND dep.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
													AND dep.refobjid = p.polrelid
				   JOIN pg_catalog.pg_attribute AS att ON att.attrelid = dep.refobjid AND att.attnum = dep.refobjsubid
				  WHERE p.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') AS o)
					AND att.atttypid = 'uuid'::pg_catalog.regtype
				  GROUP BY p.polrelid) AS col ON col.relid = pol.relid;
COMMENT ON VIEW tenancy.protections IS
	'Internal: the tables that have policies of tenancy, with the org column and resource type that they name.';

CREATE OR REPLACE FUNCTION tenancy.protection_of(p_target regclass, OUT org_column name, OUT resource_type text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT p.org_column, p.resource_type FROM tenancy.protections AS p WHERE p.relid = p_target
$$;
COMMENT ON FUNCTION tenancy.protection_of(regclass) IS
	'Internal: the org column and resource type a table is protected with; NULLs when it is not.';

-- Row security is not inherited when a partition is addressed by its own name, so protection is a
-- matter of every member. The root comes first: what it passes on, its partitions then have.
CREATE OR REPLACE FUNCTION tenancy.protection_members(p_target regclass)
RETURNS SETOF regclass
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT member.relid
	  FROM (SELECT p_target AS relid, 0 AS level
			UNION
			SELECT tree.relid, tree.level FROM pg_partition_tree(p_target) AS tree) AS member
	 ORDER BY member.level, member.relid::oid
$$;
COMMENT ON FUNCTION tenancy.protection_members(regclass) IS
	'Internal: a table and all its partitions, parents first.';

-- ---------------------------------------------------------------------------------------------
-- What a table lacks, as statements
-- ---------------------------------------------------------------------------------------------

-- A restored or hand-written policy is as good as ours if it says the same, so the definitions
-- are compared and not the origin. FOR and AS cannot be altered: a wrong policy is made anew.
CREATE OR REPLACE FUNCTION tenancy.protection_policy_statements(p_member regclass, p_column name, p_type text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT CASE WHEN have.oid IS NOT NULL
				THEN format('DROP POLICY %I ON %s; ', want.policy, p_member) ELSE '' END
		   || format('CREATE POLICY %I ON %s AS %s FOR %s TO PUBLIC', want.policy, p_member,
					 CASE WHEN want.permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, want.command)
		   || coalesce(' USING (' || want.using_expr || ')', '')
		   || coalesce(' WITH CHECK (' || want.check_expr || ')', '')
	  FROM tenancy.protection_policies(p_column, p_type) AS want
	  LEFT JOIN pg_policy AS have ON have.polrelid = p_member AND have.polname = want.policy
	 WHERE (have.polcmd = want.polcmd
			AND have.polpermissive = want.permissive
			AND have.polroles = '{0}'::oid[]
			AND pg_get_expr(have.polqual, have.polrelid)
				IS NOT DISTINCT FROM replace(want.using_expr, 'OPERATOR(pg_catalog.=)', '=')
			AND pg_get_expr(have.polwithcheck, have.polrelid)
				IS NOT DISTINCT FROM replace(want.check_expr, 'OPERATOR(pg_catalog.=)', '=')) IS NOT TRUE
	 ORDER BY want.policy
$$;
COMMENT ON FUNCTION tenancy.protection_policy_statements(regclass, name, text) IS
	'Internal: the statements that give one table the policies it lacks.';

-- What partitions get through their parent. The index is on the org column alone: it serves every
-- access path's org test and stays small; one that continues with the table's own order is the
-- application's to make, and counts.
CREATE OR REPLACE FUNCTION tenancy.protection_column_statements(p_target regclass, p_column name)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', p_target, p_column)
	 WHERE EXISTS (SELECT
					 FROM tenancy.protection_members(p_target) AS member
					 LEFT JOIN pg_attribute AS att ON att.attrelid = member
												  AND att.attname = p_column AND NOT att.attisdropped
					WHERE att.attnotnull IS NOT TRUE)
	UNION ALL
	SELECT format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy.organizations (id)', p_target, p_column)
	 WHERE NOT EXISTS (SELECT
						 FROM pg_constraint AS con
						 JOIN pg_attribute AS att ON att.attrelid = con.conrelid AND con.conkey = ARRAY[att.attnum]
						 JOIN pg_attribute AS ref ON ref.attrelid = con.confrelid AND con.confkey = ARRAY[ref.attnum]
						WHERE con.conrelid = p_target AND con.contype = 'f' AND con.convalidated
						  AND att.attname = p_column
						  AND con.confrelid = 'tenancy.organizations'::regclass AND ref.attname = 'id')
	UNION ALL
	SELECT format('CREATE INDEX ON %s (%I)', p_target, p_column)
	 WHERE NOT EXISTS (SELECT
						 FROM pg_index AS ind
						 JOIN pg_class AS c ON c.oid = ind.indexrelid
						 JOIN pg_am AS am ON am.oid = c.relam
						 JOIN pg_attribute AS att ON att.attrelid = ind.indrelid AND att.attnum = ind.indkey[0]
						WHERE ind.indrelid = p_target AND ind.indisvalid AND ind.indpred IS NULL
						  AND am.amname = 'btree' AND att.attname = p_column)
$$;
COMMENT ON FUNCTION tenancy.protection_column_statements(regclass, name) IS
	'Internal: the statements that make the org column mandatory, referenced and indexed.';

CREATE OR REPLACE FUNCTION tenancy.protection_row_statements(p_member regclass, p_column name, p_type text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT tenancy.current_org()', p_member, p_column)
	 WHERE NOT EXISTS (SELECT
						 FROM pg_attrdef AS def
						 JOIN pg_attribute AS att ON att.attrelid = def.adrelid AND att.attnum = def.adnum
						WHERE def.adrelid = p_member AND att.attname = p_column
						  AND pg_get_expr(def.adbin, def.adrelid) = 'tenancy.current_org()')
	UNION ALL
	SELECT tenancy.protection_policy_statements(p_member, p_column, p_type)
	UNION ALL
	SELECT format('ALTER TABLE ONLY %s ENABLE ROW LEVEL SECURITY', p_member)
	  FROM pg_class AS c WHERE c.oid = p_member AND NOT c.relrowsecurity
	UNION ALL
	SELECT format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', p_member)
	  FROM pg_class AS c WHERE c.oid = p_member AND NOT c.relforcerowsecurity
$$;
COMMENT ON FUNCTION tenancy.protection_row_statements(regclass, name, text) IS
	'Internal: the statements that give one table, partition or not, its default, policies and row security.';

CREATE OR REPLACE FUNCTION tenancy.protection_statements(p_target regclass, p_column name, p_type text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy.protection_column_statements(p_target, p_column)
	UNION ALL
	SELECT tenancy.protection_row_statements(member, p_column, p_type)
	  FROM tenancy.protection_members(p_target) AS member
$$;
COMMENT ON FUNCTION tenancy.protection_statements(regclass, name, text) IS
	'Internal: every statement a table and its partitions need to be protected; none when they are.';

-- ---------------------------------------------------------------------------------------------
-- What cannot be protected
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.protection_refuse(p_target regclass, p_state text, p_detail text, p_hint text)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot protect %', p_target
		USING ERRCODE = p_state, DETAIL = p_detail, HINT = p_hint;
END
$$;
COMMENT ON FUNCTION tenancy.protection_refuse(regclass, text, text, text) IS
	'Internal: raises the error all refusals share.';

-- Objects below 16384 (FirstNormalObjectId) were made by initdb, whatever schema they are in.
CREATE OR REPLACE FUNCTION tenancy.protection_obstacle(p_target regclass, OUT detail text, OUT hint text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT why.detail, why.hint
	  FROM pg_class AS c
	  JOIN pg_namespace AS n ON n.oid = c.relnamespace
	  LEFT JOIN pg_depend AS dep ON dep.classid = 'pg_class'::regclass AND dep.objid = c.oid
								AND dep.refclassid = 'pg_extension'::regclass AND dep.deptype = 'e'
	  LEFT JOIN pg_extension AS ext ON ext.oid = dep.refobjid
	 CROSS JOIN LATERAL (VALUES
		(1, c.oid < 16384 OR n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast'),
		 'It is a system catalog.',
		 'Protect tables of the application only.'),
		(2, n.nspname = 'tenancy',
		 'It belongs to tenancy itself, which guards its own tables.',
		 'Protect tables of the application only.'),
		(3, ext.oid IS NOT NULL,
		 'It belongs to extension ' || quote_ident(ext.extname) || '.',
		 'Protect tables of the application only.'),
		(4, c.relkind = 'v',
		 'It is a view.',
		 'Protect the tables beneath it, and create the view WITH (security_invoker).'),
		(5, c.relkind = 'm',
		 'It is a materialized view, which row security does not cover.',
		 'Protect the tables beneath it, and grant the materialized view to no application.'),
		(6, c.relkind = 'f',
		 'It is a foreign table, which row security does not cover.',
		 'Protect the table on the server that holds it.'),
		(7, c.relkind NOT IN ('r', 'p'),
		 'It is not a table.',
		 'Protect ordinary and partitioned tables only.'),
		(8, c.relpersistence = 't',
		 'It is a temporary table, which one session sees alone.',
		 'Protect permanent tables only.'))
		AS why (rank, applies, detail, hint)
	 WHERE c.oid = p_target AND why.applies
	 ORDER BY why.rank
	 LIMIT 1
$$;
COMMENT ON FUNCTION tenancy.protection_obstacle(regclass) IS
	'Internal: why a relation is of a kind that cannot be protected; NULLs when it can be.';

-- A permissive policy of someone else would be OR-ed with ours wherever the wall is not (Citus
-- shards), and tells of a design that has to be settled first. Restrictive ones only narrow.
CREATE OR REPLACE FUNCTION tenancy.protection_check_member(p_member regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_why record;
	v_names text;
BEGIN
	SELECT * INTO v_why FROM tenancy.protection_obstacle(p_member);
	IF v_why.detail IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_member, '42809', v_why.detail, v_why.hint);
	END IF;

	IF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = p_member) THEN
		PERFORM tenancy.protection_refuse(p_member, '42501',
			'Only the owner of a table can protect it.',
			'Connect as the owner, or as a member of the role that owns it.');
	END IF;

	SELECT string_agg(quote_ident(r.rulename), ', ' ORDER BY r.rulename) INTO v_names
	  FROM pg_rewrite AS r
	 WHERE r.ev_class = p_member AND r.ev_type <> '1' AND r.is_instead;
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_member, '55000',
			format('It has rules that replace what is written to it: %s.', v_names),
			'Drop the rules first; use triggers in their place.');
	END IF;

	SELECT string_agg(quote_ident(pol.polname), ', ' ORDER BY pol.polname) INTO v_names
	  FROM pg_policy AS pol
	 WHERE pol.polrelid = p_member AND pol.polpermissive
	   AND pol.polname NOT IN (SELECT policy FROM tenancy.protection_policies('', ''));
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_member, '55000',
			format('It has permissive policies of its own, which could let in more than its org: %s.', v_names),
			'Drop them first, or make them AS RESTRICTIVE, which only narrows what tenancy allows.');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_member(regclass) IS
	'Internal: refuses one table, partition or not, that cannot be protected.';

-- Plain inheritance passes on neither policies nor keys nor indexes, and reads through the parent
-- apply the parent's policies alone: there is no protection of it that is easy to reason about.
CREATE OR REPLACE FUNCTION tenancy.protection_check_family(p_target regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_partition boolean := (SELECT c.relispartition FROM pg_class AS c WHERE c.oid = p_target);
	v_root regclass := CASE WHEN v_partition THEN pg_partition_root(p_target) END;
	v_names text;
BEGIN
	IF v_partition AND (SELECT p.resource_type FROM tenancy.protection_of(v_root) AS p) IS NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			format('It is a partition of %s, which is not protected.', v_root),
			format('Protect the whole table: SELECT tenancy.protect(%L).', v_root));
	END IF;

	SELECT string_agg(inh.inhparent::regclass::text, ', ' ORDER BY inh.inhseqno) INTO v_names
	  FROM pg_inherits AS inh WHERE inh.inhrelid = p_target AND NOT v_partition;
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			format('It inherits from %s, and row security does not follow inheritance.', v_names),
			'Use declarative partitioning, or detach it first: ALTER TABLE ... NO INHERIT ....');
	END IF;

	SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) INTO v_names
	  FROM pg_inherits AS inh JOIN pg_class AS c ON c.oid = inh.inhrelid
	 WHERE inh.inhparent = p_target AND NOT c.relispartition;
	IF v_names IS NOT NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			format('Tables inherit from it, and row security does not follow inheritance: %s.', v_names),
			'Use declarative partitioning, or detach them first: ALTER TABLE ... NO INHERIT ....');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_family(regclass) IS
	'Internal: refuses a table whose parents or children would stay open.';

CREATE OR REPLACE FUNCTION tenancy.protection_check_column(p_target regclass, p_column name)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_att pg_catalog.pg_attribute%ROWTYPE;
BEGIN
	IF p_column IS NULL OR p_column = '' THEN
		RAISE EXCEPTION 'org_column must not be empty'
			USING ERRCODE = '22023', HINT = 'Leave it out to use org_id.';
	END IF;

	SELECT * INTO v_att FROM pg_attribute AS att
	 WHERE att.attrelid = p_target AND att.attname = p_column AND NOT att.attisdropped;
	IF v_att.attnum < 0 OR v_att.attgenerated <> '' THEN
		PERFORM tenancy.protection_refuse(p_target, '42809',
			format('Column %I is a %s column, which cannot hold the org.', p_column,
				   CASE WHEN v_att.attnum < 0 THEN 'system' ELSE 'generated' END),
			'Name another org_column.');
	ELSIF v_att.atttypid <> 'uuid'::regtype THEN
		PERFORM tenancy.protection_refuse(p_target, '42804',
			format('Column %I has type %s, and an org is a uuid.', p_column, format_type(v_att.atttypid, v_att.atttypmod)),
			'Name another org_column, or convert it first: ALTER TABLE ... ALTER COLUMN ... TYPE uuid USING ....');
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_column(regclass, name) IS
	'Internal: refuses a column that cannot hold the org; one that does not exist is fine.';

CREATE OR REPLACE FUNCTION tenancy.protection_check_exists(p_target regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF p_target IS NULL THEN
		RAISE EXCEPTION 'the table must not be null'
			USING ERRCODE = '22004', HINT = 'Name a table: ''schema.table''.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = p_target) THEN
		RAISE EXCEPTION 'table with OID % does not exist', p_target::oid
			USING ERRCODE = '42P01', HINT = 'Name a table: ''schema.table''.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_exists(regclass) IS
	'Internal: refuses a null or dangling regclass.';

CREATE OR REPLACE FUNCTION tenancy.protection_check(p_target regclass, p_column name)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy.protection_check_exists(p_target);
	PERFORM tenancy.protection_check_member(member)
	   FROM tenancy.protection_members(p_target) AS member;
	PERFORM tenancy.protection_check_family(p_target);
	PERFORM tenancy.protection_check_column(p_target, p_column);

	-- Without it the foreign key would fail with a message about a table the caller never named.
	IF NOT has_column_privilege('tenancy.organizations', 'id', 'REFERENCES') THEN
		PERFORM tenancy.protection_refuse(p_target, '42501',
			'The foreign key of the org column needs the right to reference tenancy.organizations.',
			format('As the administrator: GRANT REFERENCES (id) ON tenancy.organizations TO %I.', current_user));
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check(regclass, name) IS
	'Internal: refuses, with the reason, whatever protect() cannot protect.';

-- ---------------------------------------------------------------------------------------------
-- What the caller's arguments mean
-- ---------------------------------------------------------------------------------------------

-- A protected table keeps the type it has when none is named, so a renamed table can be repaired
-- by the plain call. A partition has its root's type, whatever it had when it was attached.
CREATE OR REPLACE FUNCTION tenancy.protection_resource_type(p_target regclass, p_type text, p_column name)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_pattern CONSTANT text := '^[a-z][a-z0-9_]{0,62}$';
	v_table pg_catalog.pg_class%ROWTYPE;
	v_root regclass;
	v_now record;
BEGIN
	SELECT * INTO v_table FROM pg_class AS c WHERE c.oid = p_target;
	v_root := CASE WHEN v_table.relispartition THEN pg_partition_root(p_target) ELSE p_target END;
	SELECT * INTO v_now FROM tenancy.protection_of(v_root);

	IF p_type !~ v_pattern THEN
		RAISE EXCEPTION 'invalid resource type name: %', p_type
			USING ERRCODE = '22023',
				  HINT = 'Use lower case letters, digits and underscores, beginning with a letter, at most 63.';
	ELSIF v_now.resource_type <> p_type OR v_now.org_column <> p_column THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			'It is already protected' || coalesce(' as resource type ' || v_now.resource_type, '')
			|| coalesce(' by column ' || quote_ident(v_now.org_column), '') || '.',
			format('To change that, call SELECT tenancy.unprotect(%L) first.', v_root));
	ELSIF p_type IS NULL AND v_now.resource_type IS NULL AND v_table.relname !~ v_pattern THEN
		RAISE EXCEPTION 'the name of table % cannot serve as a resource type', p_target
			USING ERRCODE = '22023',
				  DETAIL = 'A resource type has lower case letters, digits and underscores, beginning with a letter.',
				  HINT = format('Pass one: SELECT tenancy.protect(%L, ''document'').', p_target);
	END IF;

	RETURN coalesce(p_type, v_now.resource_type, v_table.relname);
END
$$;
COMMENT ON FUNCTION tenancy.protection_resource_type(regclass, text, name) IS
	'Internal: the resource type protect() is to use, refused when the table has another one already.';

-- While a guarded schema protects a new table, whoever creates it need not be an administrator. Nobody
-- but the extension's owner writes that table, and no row of it is ever committed.
CREATE OR REPLACE FUNCTION tenancy.is_being_guarded(p_target regclass)
RETURNS boolean
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM tenancy.unguarded_tables AS u
					WHERE u.relid = p_target::oid::bigint
					   OR u.relid IN (SELECT a::oid::bigint FROM pg_partition_ancestors(p_target) AS a))
$$;
COMMENT ON FUNCTION tenancy.is_being_guarded(regclass) IS
	'Internal: whether a guard protects this new table, or one that it is a partition of, just now.';

-- Nobody but the extension's owner reads its tables, and the caller may be another: hence the two
-- definers here. They answer an administrator alone, and a guard.
CREATE OR REPLACE FUNCTION tenancy.protection_org(p_org text)
RETURNS uuid
LANGUAGE plpgsql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy.assert_administrator('look up an org');
	RETURN CASE WHEN p_org IS NOT NULL THEN tenancy.org_id_of(p_org) END;
END
$$;
COMMENT ON FUNCTION tenancy.protection_org(text) IS
	'Internal: the id of the org named by slug or uuid; NULL for NULL.';

-- A shipped type governs tenancy's own functions: on a table of that type, whoever may write its
-- rows might also invite members, or the other way round. An existing type is left as it is, since
-- adding it again would bring back actions taken from it.
CREATE OR REPLACE FUNCTION tenancy.protection_use_type(p_target regclass, p_type text)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_shipped boolean;
BEGIN
	IF NOT tenancy.is_being_guarded(p_target) THEN
		PERFORM tenancy.assert_administrator('use a resource type');
	END IF;
	SELECT t.shipped INTO v_shipped FROM tenancy.resource_types AS t WHERE t.name = p_type;
	IF NOT FOUND THEN
		INSERT INTO tenancy.resource_types (name) VALUES (p_type) ON CONFLICT DO NOTHING;
	ELSIF v_shipped THEN
		RAISE EXCEPTION 'resource type "%" is reserved', p_type
			USING ERRCODE = '22023',
				  DETAIL = 'It governs the functions of tenancy, so a grant for the table would be one for them too.',
				  HINT = 'Pass another resource_type.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_use_type(regclass, text) IS
	'Internal: makes sure a resource type exists and may be a table''s.';

-- ---------------------------------------------------------------------------------------------
-- Changing the table
-- ---------------------------------------------------------------------------------------------

-- The lock is taken by name, so the name is compared afterwards: a rename in between would have
-- locked another table. Partitions are locked with it.
CREATE OR REPLACE FUNCTION tenancy.protection_lock(p_target regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_name text;
BEGIN
	LOOP
		v_name := p_target::text;
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', v_name);
		EXIT WHEN p_target::text = v_name;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.protection_lock(regclass) IS
	'Internal: locks a table and its partitions against everyone.';

-- Whatever looks at rows runs code of the table's owner: CHECK constraints, and at planning already
-- what is constant in them, in indexes and in partitions' constraints. It must not run as a caller who may be a
-- superuser. Nobody gains by this function: the caller could SET ROLE to that owner. A guard acts for who could, or for
-- a function of the owner's.
CREATE OR REPLACE FUNCTION tenancy.protection_run_as_owner(p_target regclass, p_statement text)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_constraints text := tenancy.purge_constraints_statement(ARRAY[p_target]);
BEGIN
	IF NOT tenancy.is_being_guarded(p_target) THEN
		PERFORM tenancy.assert_administrator('protect a table');
		IF NOT (SELECT pg_has_role(tenancy.database_role(), c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = p_target) THEN
			PERFORM tenancy.protection_refuse(p_target, '42501',
				'Only the owner of a table can protect it.',
				'Connect as the owner, or as a member of the role that owns it.');
		END IF;
	END IF;

	-- What is deferred would run at commit, as somebody else.
	IF v_constraints IS NOT NULL THEN
		PERFORM tenancy.ask_as_owner(p_target, v_constraints, '');
	END IF;
	RETURN tenancy.ask_as_owner(p_target, p_statement, '');
END
$$;
COMMENT ON FUNCTION tenancy.protection_run_as_owner(regclass, text) IS
	'Internal: runs a statement of protect() as the table''s owner, whom the caller may act as; the first value that it returns.';

-- Partitions of other owners would bring their code along.
CREATE OR REPLACE FUNCTION tenancy.protection_run(p_target regclass, p_statement text, OUT answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT
				 FROM tenancy.protection_members(p_target) AS member
				 JOIN pg_class AS c ON c.oid = member
				 JOIN pg_roles AS r ON r.oid = c.relowner
				WHERE r.rolname <> current_user) THEN
		IF (SELECT count(DISTINCT c.relowner) > 1
			  FROM tenancy.protection_members(p_target) AS member
			  JOIN pg_class AS c ON c.oid = member) THEN
			PERFORM tenancy.protection_refuse(p_target, '55000',
				'Its partitions belong to several roles, whose constraints would run with each other''s rights.',
				'Give the table and its partitions one owner first: ALTER TABLE ... OWNER TO ....');
		END IF;
		answer := tenancy.protection_run_as_owner(p_target, p_statement);
	ELSIF p_statement ~ '^SELECT ' THEN
		EXECUTE p_statement INTO answer;
	ELSE
		EXECUTE p_statement;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_run(regclass, text) IS
	'Internal: runs what looks at a table''s rows, as its owner if the caller is another; the first value of a SELECT.';

-- Giving rows their org is a change of the schema, like adding the column with a default, which
-- fires no trigger either: an updated_at is not moved, an append-only guard is not tripped.
CREATE OR REPLACE FUNCTION tenancy.protection_fill_nulls(p_target regclass, p_column name, p_org uuid)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_off text[];
	v_on text[];
	v_statement text;
BEGIN
	SELECT array_agg(format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', member, t.tgname)),
		   array_agg(format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', member,
							CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, t.tgname))
	  INTO v_off, v_on
	  FROM tenancy.protection_members(p_target) AS member
	  JOIN pg_trigger AS t ON t.tgrelid = member
	 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D';

	FOREACH v_statement IN ARRAY coalesce(v_off, '{}')
	LOOP
		EXECUTE v_statement;
	END LOOP;
	PERFORM tenancy.protection_run(p_target,
		format('UPDATE %s SET %I = %L WHERE %I IS NULL', p_target, p_column, p_org, p_column));
	FOREACH v_statement IN ARRAY coalesce(v_on, '{}')
	LOOP
		EXECUTE v_statement;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.protection_fill_nulls(regclass, name, uuid) IS
	'Internal: gives an org to the rows that have none, without firing triggers.';

-- A new column gets the existing rows' org as a constant default, which PostgreSQL stores once
-- and not in each row.
CREATE OR REPLACE FUNCTION tenancy.protection_fill_org(p_target regclass, p_column name, p_org uuid)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_notnull boolean;
	v_orphans boolean;
BEGIN
	SELECT bool_and(att.attnotnull) INTO v_notnull
	  FROM tenancy.protection_members(p_target) AS member
	  JOIN pg_attribute AS att ON att.attrelid = member AND att.attname = p_column AND NOT att.attisdropped;
	IF v_notnull THEN
		RETURN;
	END IF;

	v_orphans := tenancy.protection_run(p_target,
		format('SELECT EXISTS (SELECT FROM %s WHERE %s)', p_target,
			   CASE WHEN v_notnull IS NULL THEN 'true' ELSE format('%I IS NULL', p_column) END));
	IF v_orphans AND p_org IS NULL THEN
		PERFORM tenancy.protection_refuse(p_target, '55000',
			'It has rows that belong to no org.',
			format('Name the org they belong to: SELECT tenancy.protect(%L, existing_rows_org => ''its-slug'').', p_target));
	END IF;

	IF v_notnull IS NULL THEN
		PERFORM tenancy.protection_run(p_target,
			format('ALTER TABLE %s ADD COLUMN %I uuid NOT NULL', p_target, p_column)
			|| CASE WHEN v_orphans THEN format(' DEFAULT %L', p_org) ELSE '' END);
		RETURN;
	ELSIF v_orphans THEN
		PERFORM tenancy.protection_fill_nulls(p_target, p_column, p_org);
	END IF;
	PERFORM tenancy.protection_run(p_target, format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', p_target, p_column));
END
$$;
COMMENT ON FUNCTION tenancy.protection_fill_org(regclass, name, uuid) IS
	'Internal: adds the org column if it is missing and gives every row an org, or refuses.';

-- The foreign key in two steps, since it is the caller who may refer to tenancy.organizations, and
-- the owner whose code the look at the rows may run. A partitioned table takes over what its
-- partitions have.
CREATE OR REPLACE FUNCTION tenancy.protection_check_orgs(p_target regclass, p_column name)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_member regclass;
	v_key name;
BEGIN
	FOR v_member IN
		SELECT member
		  FROM tenancy.protection_members(p_target) AS member
		  JOIN pg_class AS c ON c.oid = member
		 WHERE c.relkind = 'r'
		   AND EXISTS (SELECT FROM tenancy.protection_column_statements(member, p_column) AS s WHERE s ~ ' ADD FOREIGN KEY ')
	LOOP
		EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy.organizations (id) NOT VALID', v_member, p_column);
		SELECT con.conname INTO v_key FROM pg_constraint AS con
		 WHERE con.conrelid = v_member AND con.contype = 'f' ORDER BY con.oid DESC LIMIT 1;
		PERFORM tenancy.protection_run(v_member, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', v_member, v_key));
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_orgs(regclass, name) IS
	'Internal: gives a table, or its partitions, the foreign key that they lack.';

-- Under FORCE the owner would see, and validate, only the rows of the org in force. The lock
-- keeps everyone else out until protection_row_statements() has forced it again.
CREATE OR REPLACE FUNCTION tenancy.protection_apply(p_target regclass, p_column name, p_type text, p_org uuid)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_statement text;
	v_detail text;
BEGIN
	FOREACH v_statement IN ARRAY ARRAY(
		SELECT format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', c.oid::regclass)
		  FROM tenancy.protection_members(p_target) AS member
		  JOIN pg_class AS c ON c.oid = member
		 WHERE c.relforcerowsecurity)
	LOOP
		EXECUTE v_statement;
	END LOOP;

	PERFORM tenancy.protection_fill_org(p_target, p_column, p_org);
	PERFORM tenancy.protection_check_orgs(p_target, p_column);

	FOREACH v_statement IN ARRAY ARRAY(SELECT tenancy.protection_statements(p_target, p_column, p_type))
	LOOP
		EXECUTE v_statement;
	END LOOP;
EXCEPTION WHEN foreign_key_violation THEN
	GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
	PERFORM tenancy.protection_refuse(p_target, '23503',
		format('It has rows of an org that does not exist: %s', v_detail),
		'Create the org, or correct or delete these rows first.');
END
$$;
COMMENT ON FUNCTION tenancy.protection_apply(regclass, name, text, uuid) IS
	'Internal: makes a locked and checked table protected.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.protection_values(p_target regclass)
RETURNS jsonb
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object('resource_type', p.resource_type, 'org_column', p.org_column)
	  FROM tenancy.protection_of(p_target) AS p
	 WHERE p.resource_type IS NOT NULL
$$;
COMMENT ON FUNCTION tenancy.protection_values(regclass) IS
	'Internal: what the audit log tells of a table''s protection; NULL when there is none.';

-- A definer because protect() and unprotect(), which run with their caller's rights, end here.
CREATE OR REPLACE FUNCTION tenancy.protection_record(p_action text, p_target regclass, p_old jsonb)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy.is_being_guarded(p_target) THEN
		PERFORM tenancy.assert_administrator('record a change of protection');
	END IF;
	PERFORM tenancy.record_change(p_action, NULL, p_target::text, p_old, tenancy.protection_values(p_target));
END
$$;
COMMENT ON FUNCTION tenancy.protection_record(text, regclass, jsonb) IS
	'Internal: tells the audit log how a table is protected now.';

-- For whom it is done has been decided before: protect() asks for an administrator, a guarded
-- schema has the extension's owner do it.
--
-- The first round of checks runs without a lock, so that a call with nothing to do, as a
-- migration makes at each deployment, waits for nobody.
CREATE OR REPLACE FUNCTION tenancy.protection_make(p_target regclass, p_type text, p_column name, p_existing_rows_org text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_type text;
	v_org uuid;
	v_old jsonb;
BEGIN
	PERFORM tenancy.protection_check(p_target, p_column);
	v_type := tenancy.protection_resource_type(p_target, p_type, p_column);
	IF p_existing_rows_org IS NOT NULL THEN
		v_org := tenancy.protection_org(p_existing_rows_org);
	END IF;
	PERFORM tenancy.protection_use_type(p_target, v_type);
	IF NOT EXISTS (SELECT tenancy.protection_statements(p_target, p_column, v_type)) THEN
		RETURN;
	END IF;

	PERFORM tenancy.protection_lock(p_target);
	PERFORM tenancy.protection_check(p_target, p_column);
	v_old := tenancy.protection_values(p_target);
	PERFORM tenancy.protection_apply(p_target, p_column,
									 tenancy.protection_resource_type(p_target, v_type, p_column), v_org);
	PERFORM tenancy.protection_record('protect', p_target, v_old);
END
$$;
COMMENT ON FUNCTION tenancy.protection_make(regclass, text, name, text) IS
	'Internal: protects a table, or repairs its protection.';

CREATE OR REPLACE FUNCTION tenancy.protect(target regclass, resource_type text DEFAULT NULL,
										   org_column name DEFAULT 'org_id', existing_rows_org text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy.assert_administrator('protect a table');
	PERFORM tenancy.protection_make(target, resource_type, org_column, existing_rows_org);
END
$$;
COMMENT ON FUNCTION tenancy.protect(regclass, text, name, text) IS
	'Makes a table and its partitions tenant-owned, or repairs what is missing: org column, foreign key, index, row security and policies.';

-- A partition of a protected table stays protected: by its own name it would be open to all orgs.
CREATE OR REPLACE FUNCTION tenancy.protection_check_removal(p_target regclass)
RETURNS void
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_member regclass;
	v_root regclass;
BEGIN
	SELECT member INTO v_member
	  FROM tenancy.protection_members(p_target) AS member
	  JOIN pg_class AS c ON c.oid = member
	 WHERE NOT pg_has_role(c.relowner, 'USAGE')
	 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot unprotect %', p_target
			USING ERRCODE = '42501',
				  DETAIL = format('Only the owner of %s can unprotect it.', v_member),
				  HINT = 'Connect as the owner, or as a member of the role that owns it.';
	END IF;

	SELECT pg_partition_root(c.oid) INTO v_root FROM pg_class AS c WHERE c.oid = p_target AND c.relispartition;
	IF (SELECT p.resource_type FROM tenancy.protection_of(v_root) AS p) IS NOT NULL THEN
		RAISE EXCEPTION 'cannot unprotect %', p_target
			USING ERRCODE = '55000',
				  DETAIL = format('It is a partition of %s, which is protected.', v_root),
				  HINT = format('Unprotect the whole table: SELECT tenancy.unprotect(%L).', v_root);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protection_check_removal(regclass) IS
	'Internal: refuses, with the reason, what unprotect() cannot unprotect.';

-- Row security stays on where others' policies remain: without it they would be void.
CREATE OR REPLACE FUNCTION tenancy.protection_removal_statements(p_target regclass)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH policy AS (
		SELECT pol.polrelid::regclass AS member, pol.polname,
			   pol.polname IN (SELECT p.policy FROM tenancy.protection_policies('', '') AS p) AS ours
		  FROM tenancy.protection_members(p_target) AS m
		  JOIN pg_policy AS pol ON pol.polrelid = m)
	SELECT format('DROP POLICY %I ON %s', policy.polname, policy.member)
	  FROM policy WHERE policy.ours
	UNION ALL
	SELECT format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', policy.member)
	  FROM policy GROUP BY policy.member HAVING bool_and(policy.ours)
$$;
COMMENT ON FUNCTION tenancy.protection_removal_statements(regclass) IS
	'Internal: the statements that end the protection of a table and its partitions; none when there is none.';

-- The column stays as it is, its default with it: rows written afterwards still land in the
-- writer's org, and protecting the table again, as another resource type say, finds no gap.
CREATE OR REPLACE FUNCTION tenancy.unprotect(target regclass)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_statement text;
	v_old jsonb;
BEGIN
	PERFORM tenancy.assert_administrator('unprotect a table');
	PERFORM tenancy.protection_check_exists(target);
	IF NOT EXISTS (SELECT tenancy.protection_removal_statements(target)) THEN
		RAISE NOTICE 'table % is not protected', target;
		RETURN;
	END IF;

	PERFORM tenancy.protection_check_removal(target);
	PERFORM tenancy.protection_lock(target);
	PERFORM tenancy.protection_check_removal(target);
	v_old := tenancy.protection_values(target);
	FOREACH v_statement IN ARRAY ARRAY(SELECT tenancy.protection_removal_statements(target))
	LOOP
		EXECUTE v_statement;
	END LOOP;
	PERFORM tenancy.protection_record('unprotect', target, v_old);
END
$$;
COMMENT ON FUNCTION tenancy.unprotect(regclass) IS
	'Ends the protection of a table and its partitions; keeps the org column, its data, default, foreign key and index, and the resource type.';

-- A definer only because it calls internal functions: it reads nothing that the catalogs do not
-- show everyone. Policies altered beyond recognition are shown, as incomplete; those that name a
-- resource type but no org column that could be one are somebody's own.
CREATE OR REPLACE FUNCTION tenancy.protection_list()
RETURNS TABLE (schema_name name, table_name name, org_column name, resource_type text, is_partition boolean, complete boolean)
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT n.nspname, c.relname, p.org_column, p.resource_type, c.relispartition,
		   c.relrowsecurity AND c.relforcerowsecurity
		   AND p.org_column IS NOT NULL AND p.resource_type IS NOT NULL
		   AND NOT EXISTS (SELECT
							 FROM pg_policy AS pol
							WHERE pol.polrelid = c.oid AND pol.polpermissive
							  AND pol.polname NOT IN (SELECT o.policy FROM tenancy.protection_policies('', '') AS o))
		   AND NOT EXISTS (SELECT tenancy.protection_policy_statements(c.oid, p.org_column, p.resource_type))
	  FROM tenancy.protections AS p
	  JOIN pg_class AS c ON c.oid = p.relid
	  JOIN pg_namespace AS n ON n.oid = c.relnamespace
	 WHERE p.org_column IS NOT NULL OR p.resource_type IS NULL
$$;
COMMENT ON FUNCTION tenancy.protection_list() IS
	'Internal: the rows of the view protected_tables.';

CREATE OR REPLACE VIEW tenancy.protected_tables AS
	SELECT schema_name, table_name, org_column, resource_type, is_partition, complete
	  FROM tenancy.protection_list();
COMMENT ON VIEW tenancy.protected_tables IS
	'The tables that are tenant-owned, as their policies say; complete is false where a policy or row security is missing or altered, which protect() repairs, or where a permissive policy of somebody else widens who may.';
