-- doctor(): what leaves this database open, and the statements that mend it.
--
-- Why it exists: protection is ordinary catalog state, so a migration, a restore or a grant can undo it, and nothing fails then.
--
-- Invariants:
--   * A check reads catalogs and tenancy's own tables. It changes nothing, reads none of the application's rows and runs nobody's code.
--   * Each check is one SELECT: its id, and above it why it matters. What may be on purpose is a notice.
--   * A remedy clears its finding. It is built by format() with %I, %L and reg* alone, as names may contain anything.
--   * What protection is stands in 60_protection.sql, who may call what in 70_access.sql: asked here, not repeated.

-- ---------------------------------------------------------------------------------------------
-- What the checks ask
-- ---------------------------------------------------------------------------------------------

-- Cheaper than tenancy.protections, which also says by which column.
CREATE OR REPLACE VIEW tenancy.doctor_protected AS
	SELECT c.oid AS relid, c.relowner, c.relispartition, c.relkind
	FROM pg_catalog.pg_class c
	WHERE c.relpersistence <> 't' AND c.oid IN (SELECT p.polrelid FROM pg_catalog.pg_policy p
		WHERE p.polname IN (SELECT o.policy FROM tenancy.protection_policies('', '') o));
COMMENT ON VIEW tenancy.doctor_protected IS 'Internal: the tables that have policies of tenancy.';

-- Whom grant_access() was called for, with every role whose rights it has or can take on, PUBLIC (0) and itself among them.
CREATE OR REPLACE VIEW tenancy.doctor_applications AS
	WITH RECURSIVE acts_as AS (
		SELECT DISTINCT a.grantee AS role, a.grantee AS acts_as
		FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
		WHERE p.oid = 'tenancy.begin_session(text, text)'::pg_catalog.regprocedure AND a.grantee NOT IN (0, p.proowner)
		UNION
		SELECT r.role, m.roleid FROM acts_as r JOIN pg_catalog.pg_auth_members m ON m.member = r.acts_as)
	SELECT r.role, r.acts_as FROM acts_as r UNION ALL SELECT DISTINCT r.role, 0::pg_catalog.oid FROM acts_as r;
COMMENT ON VIEW tenancy.doctor_applications IS 'Internal: the roles that applications log in as, and whose rights they have.';

CREATE OR REPLACE VIEW tenancy.doctor_grants AS
	SELECT c.oid AS relid, NULL::name AS column_name, a.grantee, a.privilege_type
	FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
	UNION ALL
	SELECT c.oid, t.attname, a.grantee, a.privilege_type
	FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid = t.attrelid, pg_catalog.aclexplode(t.attacl) a
	WHERE a.grantee <> c.relowner;
COMMENT ON VIEW tenancy.doctor_grants IS 'Internal: privileges on relations and columns, but those of their owners.';

-- Row security stops none of these.
CREATE OR REPLACE VIEW tenancy.doctor_exempt_roles AS
	SELECT r.oid AS role FROM pg_catalog.pg_roles r WHERE r.rolsuper OR r.rolbypassrls;
COMMENT ON VIEW tenancy.doctor_exempt_roles IS 'Internal: superusers, and roles with BYPASSRLS.';

-- Functions that somebody else wrote and an application may call; or sets off, as triggers: these need no privilege to run.
CREATE OR REPLACE VIEW tenancy.doctor_callable AS
	SELECT p.oid AS funcid, p.proowner, p.pronamespace, p.prosecdef, p.proconfig, p.prosrc, p.prolang, k.is_trigger
	FROM pg_catalog.pg_proc p
	CROSS JOIN LATERAL (SELECT p.prorettype IN ('trigger'::pg_catalog.regtype, 'event_trigger'::pg_catalog.regtype) AS is_trigger) k
	WHERE p.oid >= 16384
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
		AND CASE WHEN k.is_trigger
			THEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = p.oid AND t.tgenabled <> 'D')
				OR EXISTS (SELECT FROM pg_catalog.pg_event_trigger t WHERE t.evtfoid = p.oid AND t.evtenabled <> 'D')
			ELSE EXISTS (SELECT FROM pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
				WHERE a.grantee <> p.proowner AND (a.grantee = 0 OR a.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r))) END;
COMMENT ON VIEW tenancy.doctor_callable IS 'Internal: functions that applications may call or set off, but those of extensions and of PostgreSQL.';

-- A view with security_invoker asks for the rights of whoever uses it, in another view too.
CREATE OR REPLACE VIEW tenancy.doctor_readers AS
	WITH RECURSIVE reads AS (
		SELECT p.relid FROM tenancy.doctor_protected p
		UNION
		SELECT w.ev_class FROM reads r
		JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = r.relid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND w.ev_type = '1')
	SELECT r.relid, c.relname, c.relkind, c.relowner, EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
		WHERE c.relkind = 'v' AND o.option_name = 'security_invoker' AND o.option_value::boolean) AS invokes
	FROM reads r JOIN pg_catalog.pg_class c ON c.oid = r.relid;
COMMENT ON VIEW tenancy.doctor_readers IS 'Internal: protected tables, and the views and materialized views over them.';

-- Columns that hold an org: they refer to one, are called so, or as the org column of a protected table, and then refer to nothing else.
CREATE OR REPLACE VIEW tenancy.doctor_org_columns AS
	WITH used AS MATERIALIZED (SELECT DISTINCT p.org_column FROM tenancy.protections p
		JOIN pg_catalog.pg_attribute a ON a.attrelid = p.relid AND a.attname = p.org_column
		-- The settings of an org may have its id as theirs.
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = p.relid AND k.conkey = ARRAY[a.attnum] AND k.contype = 'p'))
	SELECT DISTINCT ON (c.oid) c.oid AS relid, c.relkind, a.attname AS org_column, a.atttypid
	FROM pg_catalog.pg_class c
	JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] AND k.confrelid = 'tenancy.organizations'::pg_catalog.regclass
	WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
		AND (k.oid IS NOT NULL
			OR a.attname = 'org_id' AND coalesce(nullif(t.typbasetype, 0), t.oid) IN ('uuid'::pg_catalog.regtype, 'text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype, 'bpchar'::pg_catalog.regtype)
			OR a.attname IN (SELECT u.org_column FROM used u) AND a.atttypid = 'uuid'::pg_catalog.regtype
				AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid = c.oid AND o.conkey = ARRAY[a.attnum] AND o.contype IN ('f', 'p')))
	ORDER BY c.oid, k.oid IS NULL, a.attname <> 'org_id', a.attnum;
COMMENT ON VIEW tenancy.doctor_org_columns IS 'Internal: the tables, protected or not, that seem to have an org column.';

CREATE OR REPLACE FUNCTION tenancy.doctor_grantee(role oid)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN role = 0 THEN 'PUBLIC' ELSE role::regrole::text END
$$;
COMMENT ON FUNCTION tenancy.doctor_grantee(oid) IS 'Internal: a role as REVOKE names it.';

-- A table keeps its resource type. A new one has the table's name, unless that cannot be a type or is one of tenancy's own. What protect()
-- refuses beside its own policies goes first: row security that was made by hand, for instance.
CREATE OR REPLACE FUNCTION tenancy.doctor_protect_statement(target oid, org_column name, resource_type text)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce((SELECT string_agg(o.statement, '; ' ORDER BY o.statement) || '; '
			FROM tenancy.protection_members(doctor_protect_statement.target) m (member) CROSS JOIN LATERAL (
				SELECT format('DROP POLICY %I ON %s', p.polname, m.member) FROM pg_policy p
				WHERE p.polrelid = m.member AND p.polpermissive AND p.polname NOT IN (SELECT w.policy FROM tenancy.protection_policies('', '') w)
				UNION ALL
				SELECT format('DROP RULE %I ON %s', r.rulename, m.member) FROM pg_rewrite r
				WHERE r.ev_class = m.member AND r.ev_type <> '1' AND r.is_instead) o (statement)), '')
		|| format('SELECT tenancy.protect(%L%s%s)', target::regclass,
		', resource_type => ' || quote_literal(coalesce(doctor_protect_statement.resource_type,
			CASE WHEN c.relname !~ '^[a-z][a-z0-9_]{0,62}$' OR EXISTS (SELECT FROM tenancy.resource_types t WHERE t.name = c.relname AND t.shipped)
				THEN 'app_' || left(regexp_replace(lower(c.relname), '[^a-z0-9]+', '_', 'g'), 59) END)),
		', org_column => ' || quote_literal(nullif(doctor_protect_statement.org_column, 'org_id')))
	FROM pg_class c WHERE c.oid = target
$$;
COMMENT ON FUNCTION tenancy.doctor_protect_statement(oid, name, text) IS 'Internal: the call of protect() for a table, after what clears its way.';

-- ---------------------------------------------------------------------------------------------
-- Tables: is what protect() makes still there, and is anything open that should have it?
-- ---------------------------------------------------------------------------------------------

-- What protect() would do is what is wrong: its statements are told apart by how they begin or end, where no name can stand.
CREATE OR REPLACE FUNCTION tenancy.doctor_protection()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off AS $$
	WITH protected AS MATERIALIZED (
		SELECT p.relid, p.org_column, p.resource_type, c.relispartition FROM tenancy.protections p JOIN pg_class c ON c.oid = p.relid
		WHERE p.org_column IS NOT NULL AND p.resource_type IS NOT NULL),
	-- A foreign key that was never validated is there, and a second one would not do better.
	not_valid AS (
		SELECT k.conrelid, k.conname FROM pg_constraint k
		WHERE k.contype = 'f' AND NOT k.convalidated AND k.confrelid = 'tenancy.organizations'::regclass),
	lacking AS (
		SELECT p.relid, s.statement FROM protected p, tenancy.protection_column_statements(p.relid, p.org_column) s (statement)
		WHERE NOT p.relispartition AND NOT (s.statement ~ ' ADD FOREIGN KEY ' AND p.relid IN (SELECT n.conrelid FROM not_valid n))
		UNION ALL
		SELECT p.relid, s.statement FROM protected p, tenancy.protection_row_statements(p.relid, p.org_column, p.resource_type) s (statement))
	SELECT k.check_id, k.severity, l.relid::regclass::text, k.problem, l.statement
	FROM lacking l JOIN (VALUES
		-- Without row security the policies are void.
		('row_security_disabled', 'error', ' ENABLE ROW LEVEL SECURITY$', 'Row security is off: everybody with SELECT sees the rows of every org.'),
		-- Without FORCE the owner sees all orgs, and so does each view or SECURITY DEFINER function of the owner's.
		('row_security_not_forced', 'error', ' FORCE ROW LEVEL SECURITY$', 'Row security is not forced: the owner, and what runs with the owner''s rights, sees the rows of every org.'),
		('policy_missing', 'error', '^CREATE POLICY ', 'A policy of tenancy is missing.'),
		('policy_altered', 'error', '^DROP POLICY ', 'A policy of tenancy has been altered.'),
		-- A row without an org belongs to nobody, who could purge it or hand it over.
		('org_column_nullable', 'warning', ' SET NOT NULL$', 'The org column may be null: such a row is nobody''s.'),
		('org_foreign_key_missing', 'warning', ' REFERENCES tenancy\.organizations \(id\)$', 'The org column does not refer to tenancy.organizations: rows may outlive their org.'),
		('org_index_missing', 'warning', '^CREATE INDEX ON ', 'No index begins with the org column: every query reads the rows of all orgs before it hides them.'),
		('org_default_missing', 'warning', ' SET DEFAULT tenancy\.current_org\(\)$', 'The org column has not tenancy.current_org() as its default: an INSERT must name the org.'))
		AS k (check_id, severity, pattern, problem) ON l.statement ~ k.pattern
	UNION ALL
	SELECT 'org_foreign_key_not_valid', 'warning', p.relid::regclass::text, 'The foreign key of the org column has not been validated: old rows may be of no org that exists.',
		format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p.relid::regclass, n.conname)
	FROM protected p JOIN not_valid n ON n.conrelid = p.relid
	UNION ALL
	-- Policies under our names, of which none says any more by which column, or for which type: nothing else looks at the table then.
	SELECT 'protection_unreadable', 'error', p.relid::regclass::text, 'The policies that have the names of tenancy''s do not name an org column and a resource type.',
		tenancy.doctor_protect_statement(p.relid, coalesce(p.org_column, o.org_column), p.resource_type)
	FROM tenancy.protections p LEFT JOIN tenancy.doctor_org_columns o USING (relid) WHERE p.org_column IS NULL OR p.resource_type IS NULL
$$;
COMMENT ON FUNCTION tenancy.doctor_protection() IS 'Internal: checks of doctor() on what protect() makes.';

CREATE OR REPLACE FUNCTION tenancy.doctor_open_tables()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH RECURSIVE child AS (
		SELECT p.relid AS parent, i.inhrelid AS top, i.inhrelid AS relid FROM tenancy.protections p JOIN pg_inherits i ON i.inhparent = p.relid JOIN pg_class c ON c.oid = i.inhrelid
		WHERE NOT c.relispartition AND i.inhrelid NOT IN (SELECT o.relid FROM tenancy.doctor_protected o)
		UNION
		SELECT h.parent, h.top, i.inhrelid FROM child h JOIN pg_inherits i ON i.inhparent = h.relid),
	unguarded AS MATERIALIZED (
		SELECT c.oid AS relid FROM pg_class c
		WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
			AND c.oid NOT IN (SELECT p.relid FROM tenancy.doctor_protected p) AND NOT tenancy.is_shared(c.oid)
			AND c.oid NOT IN (SELECT h.relid FROM child h)
			AND (c.relkind = 'f' OR (SELECT o.detail FROM tenancy.protection_obstacle(c.oid) o) IS NULL))
	-- Somebody meant its rows to be an org's, and everybody sees them.
	SELECT 'unprotected_table', 'error', t.relid::regclass::text, format('It has an org column, %I, and is neither protected nor declared shared.', t.org_column),
		CASE WHEN t.atttypid <> 'uuid'::regtype THEN format('ALTER TABLE %s ALTER COLUMN %I TYPE uuid USING %2$I::uuid; ', t.relid::regclass, t.org_column) ELSE '' END
			|| tenancy.doctor_protect_statement(t.relid, t.org_column, NULL)
	FROM tenancy.doctor_org_columns t JOIN unguarded u USING (relid)
	WHERE t.relkind <> 'f'
	UNION ALL
	-- It has no org column, but what it belongs to has: the lines of an org's invoices.
	SELECT 'unprotected_reference', 'error', f.relid::regclass::text, format('Applications use it, it refers to %s, which is protected, and it is neither protected nor declared shared.', f.ref),
		concat(CASE WHEN NOT f.has_column THEN format('ALTER TABLE %s ADD COLUMN %I uuid; ', f.relid::regclass, f.org_column) END,
			format('SET session_replication_role = replica; UPDATE %s t SET %I = r.%2$I FROM %s r WHERE %s AND t.%2$I IS NULL; RESET session_replication_role; ',
				f.relid::regclass, f.org_column, f.ref, f.joined),
			tenancy.doctor_protect_statement(f.relid, f.org_column, NULL))
	FROM (SELECT DISTINCT ON (k.conrelid) k.conrelid AS relid, k.confrelid::regclass AS ref, p.org_column, j.joined,
			EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attname = p.org_column AND NOT a.attisdropped) AS has_column
		FROM pg_constraint k JOIN unguarded u ON u.relid = k.conrelid
		JOIN tenancy.protections p ON p.relid = k.confrelid AND p.org_column IS NOT NULL
		CROSS JOIN LATERAL (SELECT string_agg(format('r.%I = t.%I', b.attname, a.attname), ' AND ' ORDER BY x.i) AS joined FROM unnest(k.conkey, k.confkey) WITH ORDINALITY x (key, ref, i)
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.key JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.ref) j
		WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid NOT IN (SELECT o.relid FROM tenancy.doctor_org_columns o)
			AND EXISTS (SELECT FROM tenancy.doctor_grants g WHERE g.relid = k.conrelid AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
				AND (g.grantee = 0 OR g.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r)))
		ORDER BY k.conrelid, k.oid) f
	UNION ALL
	-- Nothing covers what is read from elsewhere.
	SELECT 'foreign_table_readable', 'error', t.relid::regclass::text, format('It is a foreign table with an org column, %I, and row security does not cover it.', t.org_column),
		string_agg(DISTINCT format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', t.relid::regclass, tenancy.doctor_grantee(g.grantee)), '; ')
	FROM tenancy.doctor_org_columns t JOIN tenancy.doctor_grants g USING (relid)
	WHERE t.relkind = 'f' AND NOT tenancy.is_shared(t.relid) AND (g.grantee = 0 OR g.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r))
	GROUP BY t.relid, t.org_column
	UNION ALL
	-- Through a parent its own policies do not count.
	SELECT 'open_parent', 'error', i.inhparent::regclass::text, format('It is open, and through it the rows of %s can be reached, which is protected.', i.inhrelid::regclass),
		CASE WHEN c.relispartition THEN tenancy.doctor_protect_statement(pg_partition_root(i.inhrelid), p.org_column, p.resource_type)
			ELSE format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, i.inhparent::regclass) END
	FROM tenancy.protections p JOIN pg_inherits i ON i.inhrelid = p.relid JOIN pg_class c ON c.oid = p.relid
	WHERE p.org_column IS NOT NULL AND i.inhparent NOT IN (SELECT o.relid FROM tenancy.doctor_protected o)
		AND NOT (c.relispartition AND pg_partition_root(i.inhrelid) IN (SELECT o.relid FROM tenancy.doctor_protected o))
	UNION ALL
	-- Its checks and triggers run with the rights of whoever writes the whole, and its owner can drop its policies.
	SELECT 'partition_of_another_owner', 'warning', m.member::text, format('It belongs to %s, and is a partition of %s, which belongs to %s.', c.relowner::regrole, p.relid::regclass, p.relowner::regrole),
		format('ALTER TABLE %s OWNER TO %s', m.member, p.relowner::regrole)
	FROM tenancy.doctor_protected p, tenancy.protection_members(p.relid) m (member) JOIN pg_class c ON c.oid = m.member
	WHERE p.relkind = 'p' AND NOT p.relispartition AND c.relowner <> p.relowner
	UNION ALL
	-- Row security does not follow when a partition is addressed by its own name.
	SELECT 'open_partition', 'error', m.member::text, format('It is a partition of %s, which is protected, and has no policies itself: addressed by its own name it is open.', p.relid::regclass),
		format('SELECT tenancy.protect(%L)', m.member)
	FROM tenancy.doctor_protected p, tenancy.protection_members(p.relid) m (member)
	WHERE p.relkind = 'p' AND NOT p.relispartition AND m.member NOT IN (SELECT o.relid FROM tenancy.doctor_protected o)
	UNION ALL
	-- Nor along plain inheritance. What inherits from the child hangs on it.
	SELECT 'open_inheritance_child', 'error', h.top::regclass::text, format('It inherits from %s, which is protected, and is open itself.', h.parent::regclass),
		concat_ws('; ', (SELECT string_agg(format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, i.inhparent::regclass), '; ' ORDER BY i.inhrelid, i.inhseqno)
				FROM pg_inherits i WHERE i.inhrelid = ANY (array_agg(h.relid))),
			string_agg(tenancy.doctor_protect_statement(h.relid, p.org_column, p.resource_type), '; ' ORDER BY h.relid))
	FROM child h JOIN tenancy.protections p ON p.relid = h.parent GROUP BY h.parent, h.top
	UNION ALL
	-- It cannot cross orgs, for the wall; but inside the org it allows what no role grants.
	SELECT 'permissive_policy', 'error', p.relid::regclass::text, format('The permissive policy %I, which is not tenancy''s, allows within the org what no role grants.', o.polname),
		format('DROP POLICY %I ON %s', o.polname, p.relid::regclass)
	FROM tenancy.doctor_protected p JOIN pg_policy o ON o.polrelid = p.relid AND o.polpermissive
	WHERE o.polname NOT IN (SELECT w.policy FROM tenancy.protection_policies('', '') w)
$$;
COMMENT ON FUNCTION tenancy.doctor_open_tables() IS 'Internal: checks of doctor() on tables that somebody left open.';

-- A guard looks at new tables alone, and a restore passes it by.
CREATE OR REPLACE FUNCTION tenancy.doctor_guards()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'guarded_table_unprotected', 'error', c.oid::regclass::text, format('Schema %I is guarded, and the table is neither protected nor declared shared.', n.nspname),
		tenancy.doctor_protect_statement(c.oid, NULL, NULL)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN tenancy.guarded_schemas g ON g.schema_name = n.nspname
	WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND NOT tenancy.is_shared(c.oid)
		AND c.oid NOT IN (SELECT p.relid FROM tenancy.doctor_protected p)
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		-- One with an org column is unprotected_table already, a child of a protected one open_inheritance_child.
		AND c.oid::regclass::text NOT IN (SELECT o.object FROM tenancy.doctor_open_tables() o)
	UNION ALL
	SELECT 'guard_disabled', 'error', quote_ident(t.evtname), 'The event trigger of guarded schemas is disabled, so new tables are not guarded.', format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', t.evtname)
	FROM pg_event_trigger t WHERE t.evtfoid = 'tenancy.guard_new_tables()'::regprocedure AND t.evtenabled <> 'A' AND EXISTS (SELECT FROM tenancy.guarded_schemas)
	UNION ALL
	-- Its tables have no guard under the new name, and another schema of the old one would have.
	SELECT 'guarded_schema_missing', 'warning', quote_ident(g.schema_name), 'A guarded schema was dropped or renamed.', format('SELECT tenancy.unguard_schema(%L)', g.schema_name)
	FROM tenancy.guarded_schemas g WHERE g.schema_name NOT IN (SELECT n.nspname FROM pg_namespace n)
$$;
COMMENT ON FUNCTION tenancy.doctor_guards() IS 'Internal: checks of doctor() on guarded schemas.';

-- Keys are checked across all orgs, so an error tells that another org has a value. A new key of a partitioned table is made at its
-- root. One that others refer to is theirs to change first.
CREATE OR REPLACE FUNCTION tenancy.doctor_keys()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off AS $$
	WITH protected AS MATERIALIZED (SELECT p.relid, p.org_column FROM tenancy.protections p WHERE p.org_column IS NOT NULL)
	-- Values that the database draws tell nothing: a uuid, an identity, a sequence.
	SELECT 'unique_across_orgs', 'notice', u.name::text, format('It is unique across all orgs in %s: an error tells that another org has a value.', u.relid::regclass),
		CASE WHEN u.conname IS NOT NULL THEN format('ALTER TABLE %s DROP CONSTRAINT %I; ALTER TABLE %1$s ADD CONSTRAINT %2$I %3$s', u.relid::regclass, u.conname,
				regexp_replace(u.condef, '\(', format('(%s, ', replace(quote_ident(u.org_column), '\', '\\'))))
			ELSE format('DROP INDEX %s; %s', u.name, u.prefix || format('%I, ', u.org_column) || substr(u.def, length(u.prefix) + 1)) END
	FROM (SELECT p.relid, p.org_column, i.indexrelid::regclass AS name, k.conname, pg_get_constraintdef(k.oid) AS condef, pg_get_indexdef(i.indexrelid) AS def,
			format('CREATE UNIQUE INDEX %I ON %s%s USING btree (', c.relname, CASE WHEN c.relkind = 'I' THEN 'ONLY ' ELSE '' END, p.relid::regclass) AS prefix
		FROM protected p JOIN pg_index i ON i.indrelid = p.relid AND i.indisunique JOIN pg_class c ON c.oid = i.indexrelid
		LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
		WHERE NOT c.relispartition
			AND NOT EXISTS (SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) n JOIN pg_attribute a ON a.attrelid = p.relid AND a.attnum = n
				LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
				WHERE a.attname = p.org_column OR a.attidentity <> '' OR a.atttypid = 'uuid'::regtype OR pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\(')
			AND NOT EXISTS (SELECT FROM pg_constraint r WHERE r.contype = 'f' AND r.conindid = i.indexrelid)) u
	UNION ALL
	-- So are exclusion constraints. gist compares uuids by an extension.
	SELECT 'exclusion_across_orgs', 'notice', format('%s.%I', p.relid::regclass, k.conname), 'It excludes rows across all orgs: an error tells that another org has such a row.',
		concat(CASE WHEN m.amname = 'gist' AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'btree_gist') THEN 'CREATE EXTENSION btree_gist; ' END,
			format('ALTER TABLE %s DROP CONSTRAINT %I; ALTER TABLE %1$s ADD CONSTRAINT %2$I %3$s', p.relid::regclass, k.conname,
				regexp_replace(pg_get_constraintdef(k.oid), '\(', format('(%s WITH =, ', replace(quote_ident(p.org_column), '\', '\\')))))
	FROM protected p JOIN pg_constraint k ON k.conrelid = p.relid AND k.contype = 'x' AND k.conparentid = 0
	JOIN pg_class c ON c.oid = k.conindid JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('gist', 'btree')
	WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p.relid AND a.attname = p.org_column AND a.attnum = ANY (k.conkey))
	UNION ALL
	-- One row that many orgs refer to takes theirs along.
	SELECT 'cascade_across_orgs', 'warning', r.oid::regclass::text, format('%s has %s on it, and with a row of it rows of every org in %s are %s.', tenancy.doctor_grantee(g.grantee), g.privilege_type, p.relid::regclass,
			CASE WHEN g.privilege_type = 'DELETE' AND k.confdeltype = 'c' THEN 'deleted' ELSE 'changed' END),
		format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', r.oid::regclass, tenancy.doctor_grantee(g.grantee))
	FROM protected p JOIN pg_constraint k ON k.conrelid = p.relid AND k.contype = 'f' AND k.conparentid = 0
	JOIN pg_class r ON r.oid = k.confrelid AND NOT r.relrowsecurity AND r.relnamespace <> 'tenancy'::regnamespace
	JOIN tenancy.doctor_grants g ON g.relid = r.oid AND (g.grantee = 0 OR g.grantee IN (SELECT a.acts_as FROM tenancy.doctor_applications a))
	WHERE g.privilege_type = 'DELETE' AND k.confdeltype IN ('c', 'n', 'd')
		OR g.privilege_type = 'UPDATE' AND k.confupdtype IN ('c', 'n', 'd')
			AND (g.column_name IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attname = g.column_name AND a.attnum = ANY (k.confkey)))
	UNION ALL
	-- A row may refer to another org's, which tells that it is there, and lets ON DELETE reach across.
	SELECT 'foreign_key_across_orgs', 'warning', format('%s.%I', f.relid::regclass, f.conname), format('It lets a row refer to a row of another org in %s, and tells whether that exists.', f.ref),
		CASE WHEN NOT f.has_key THEN format('ALTER TABLE %s ADD UNIQUE (%I, %s); ', f.ref, f.ref_column, f.ref_columns) ELSE '' END
		|| format('ALTER TABLE %s DROP CONSTRAINT %I; ALTER TABLE %1$s ADD CONSTRAINT %2$I FOREIGN KEY (%3$I, %4$s) REFERENCES %5$s (%6$I, %7$s)%8$s',
			f.relid::regclass, f.conname, f.org_column, f.columns, f.ref, f.ref_column, f.ref_columns,
			regexp_replace(substr(f.def, length(f.prefix) + 1), 'ON DELETE SET (NULL|DEFAULT)(?! \()', format('ON DELETE SET \1 (%s)', replace(f.columns, '\', '\\'))))
	FROM (SELECT p.relid, p.org_column, k.conname, k.confrelid::regclass AS ref, r.org_column AS ref_column, n.columns, n.ref_columns, pg_get_constraintdef(k.oid) AS def,
			format('FOREIGN KEY (%s) REFERENCES %s(%s)', n.columns, k.confrelid::regclass, n.ref_columns) AS prefix,
			EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attname = r.org_column
				WHERE i.indrelid = k.confrelid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality(k.confkey) + 1
					AND (i.indkey::int2[])[0:i.indnkeyatts - 1] @> (k.confkey || a.attnum)) AS has_key
		FROM protected p JOIN pg_constraint k ON k.conrelid = p.relid AND k.contype = 'f' AND k.conparentid = 0
		JOIN protected r ON r.relid = k.confrelid
		CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.i) AS columns, string_agg(quote_ident(b.attname), ', ' ORDER BY x.i) AS ref_columns,
				bool_or(a.attname = p.org_column AND b.attname = r.org_column) AS within
			FROM unnest(k.conkey, k.confkey) WITH ORDINALITY x (key, ref, i)
			JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.key JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.ref) n
		WHERE NOT n.within) f
$$;
COMMENT ON FUNCTION tenancy.doctor_keys() IS 'Internal: checks of doctor() on keys that tell one org of another.';

-- What is granted on a protected table, or hangs on it.
CREATE OR REPLACE FUNCTION tenancy.doctor_attachments()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- No row security applies to these.
	SELECT 'table_privilege', k.severity, p.relid::regclass::text, format('%s has %s on it: %s.', tenancy.doctor_grantee(g.grantee), g.privilege_type, k.why),
		format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', p.relid::regclass, tenancy.doctor_grantee(g.grantee))
	FROM tenancy.doctor_protected p JOIN tenancy.doctor_grants g USING (relid)
	JOIN (VALUES
		('TRUNCATE', 'error', 'it empties the table for every org'),
		('TRIGGER', 'error', 'a trigger of its own would run with the rights of whoever writes, in every org'),
		('REFERENCES', 'warning', 'a foreign key of its own would tell which keys every org has'),
		('MAINTAIN', 'warning', 'a lock that it takes stops every org'))
		AS k (privilege, severity, why) ON k.privilege = g.privilege_type
	WHERE g.grantee = 0 OR g.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r)
	UNION ALL
	-- As GRANT ALL in default privileges gives them on each table to come.
	SELECT 'default_privilege', 'warning', d.defaclrole::regrole || coalesce(' in ' || quote_ident(n.nspname), ''),
		format('%s will have %s on each new table.', tenancy.doctor_grantee(a.grantee), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
		format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE %s ON TABLES FROM %s', d.defaclrole::regrole, ' IN SCHEMA ' || quote_ident(n.nspname),
			string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), tenancy.doctor_grantee(a.grantee))
	FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
	WHERE d.defaclobjtype = 'r' AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN') AND a.grantee <> d.defaclrole
		AND (a.grantee = 0 OR a.grantee IN (SELECT r.acts_as FROM tenancy.doctor_applications r))
	GROUP BY d.defaclrole, n.nspname, a.grantee
	UNION ALL
	-- Whoever owns the function can rewrite it, and it runs as each role that writes the table.
	SELECT 'foreign_trigger_function', 'warning', t.tgfoid::regprocedure::text, format('Trigger %I on %s runs it with the rights of whoever writes there, and it belongs to another role, %s.',
			t.tgname, p.relid::regclass, f.proowner::regrole),
		format('ALTER FUNCTION %s OWNER TO %s', t.tgfoid::regprocedure, p.relowner::regrole)
	FROM tenancy.doctor_protected p JOIN pg_trigger t ON t.tgrelid = p.relid AND NOT t.tgisinternal AND t.tgparentid = 0 JOIN pg_proc f ON f.oid = t.tgfoid
	WHERE f.proowner <> p.relowner AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = f.proowner AND r.rolsuper)
	UNION ALL
	-- What a rule puts in a statement's place is checked with the rights of the table's owner.
	SELECT 'rule_on_protected_table', 'warning', p.relid::regclass::text, format('Rule %I puts other statements in the place of what is written to it, with the owner''s rights.', r.rulename),
		format('DROP RULE %I ON %s', r.rulename, p.relid::regclass)
	FROM tenancy.doctor_protected p JOIN pg_rewrite r ON r.ev_class = p.relid AND r.ev_type <> '1'
	UNION ALL
	-- As DISABLE TRIGGER ALL leaves it: rows of no org, or of a parent that is gone.
	SELECT 'foreign_key_disabled', 'warning', p.relid::regclass::text, 'Triggers of its foreign keys are disabled: they are not enforced.',
		string_agg(format('ALTER TABLE %s ENABLE TRIGGER %I', p.relid::regclass, t.tgname), '; ' ORDER BY t.tgname)
	FROM tenancy.doctor_protected p JOIN pg_trigger t ON t.tgrelid = p.relid AND t.tgisinternal AND t.tgenabled = 'D' GROUP BY p.relid
$$;
COMMENT ON FUNCTION tenancy.doctor_attachments() IS 'Internal: checks of doctor() on privileges, triggers and rules of protected tables.';

-- ---------------------------------------------------------------------------------------------
-- Ways around row security
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.doctor_views()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH reads AS MATERIALIZED (SELECT r.* FROM tenancy.doctor_readers r),
	-- Somebody who is subject to row security may use it. An application: directly, or through another view, of whose owner.
	exposed AS (
		SELECT r.relid, CASE WHEN bool_or(g.grantee = 0 OR g.grantee IN (SELECT a.acts_as FROM tenancy.doctor_applications a)
				OR g.grantee IN (SELECT o.relowner FROM reads o)) THEN 'error' ELSE 'notice' END AS severity,
			string_agg(DISTINCT format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', r.relid::regclass, tenancy.doctor_grantee(g.grantee)), '; ') AS revoke
		FROM reads r JOIN tenancy.doctor_grants g ON g.relid = r.relid
		WHERE g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND g.grantee NOT IN (SELECT e.role FROM tenancy.doctor_exempt_roles e)
		GROUP BY r.relid)
	-- It reads with its owner's rights. Of an owner who is subject to row security the policies hold, as they ask for the session's org.
	SELECT 'view_bypasses_row_security', e.severity, e.relid::regclass::text, format('It reads protected tables with the rights of %s, to whom row security does not apply.', c.relowner::regrole),
		format('ALTER VIEW %s SET (security_invoker = true)', e.relid::regclass)
	FROM exposed e JOIN reads c ON c.relid = e.relid AND c.relkind = 'v' AND NOT c.invokes
	WHERE c.relowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x)
		AND EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class
			JOIN reads r ON r.relid = d.refobjid AND NOT r.invokes WHERE w.ev_class = e.relid AND w.ev_type = '1')
	UNION ALL
	-- It has no policies, and holds what its owner saw.
	SELECT 'materialized_view_readable', e.severity, e.relid::regclass::text, 'It holds rows of protected tables, and row security does not cover it.', e.revoke
	FROM exposed e JOIN reads c ON c.relid = e.relid AND c.relkind = 'm'
	UNION ALL
	-- What a rule does, it does with the rights of the owner of what it is on, security_invoker or not.
	SELECT 'rule_bypasses_row_security', CASE WHEN bool_or(g.grantee = 0 OR g.grantee IN (SELECT a.acts_as FROM tenancy.doctor_applications a)) THEN 'error' ELSE 'notice' END,
		c.oid::regclass::text, format('Rule %I reaches protected tables with the rights of %s, to whom row security does not apply.', w.rulename, c.relowner::regrole),
		format('DROP RULE %I ON %s', w.rulename, c.oid::regclass)
	FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN tenancy.doctor_grants g ON g.relid = c.oid
	WHERE w.ev_type <> '1' AND c.relowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x) AND c.oid NOT IN (SELECT p.relid FROM tenancy.doctor_protected p)
		AND g.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') AND g.grantee NOT IN (SELECT x.role FROM tenancy.doctor_exempt_roles x)
		AND EXISTS (SELECT FROM pg_depend d JOIN reads r ON r.relid = d.refobjid AND NOT r.invokes
			WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class)
	GROUP BY c.oid, c.relowner, w.rulename
$$;
COMMENT ON FUNCTION tenancy.doctor_views() IS 'Internal: checks of doctor() on views and materialized views.';

CREATE OR REPLACE FUNCTION tenancy.doctor_functions()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- A body is text, so its words are compared. What it puts together at run time is not found. strpos() is the quicker look before. A
	-- trigger does what it does, and no more: most are on purpose.
	SELECT 'definer_function', CASE WHEN f.is_trigger THEN 'notice' ELSE 'warning' END, f.funcid::regprocedure::text,
		format('It names protected tables, or views of them, and runs with the rights of %s, to whom row security does not apply.', f.proowner::regrole),
		format('ALTER ROUTINE %s SECURITY INVOKER', f.funcid::regprocedure)
	FROM tenancy.doctor_callable f
	WHERE f.prosecdef AND f.proowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x)
		AND EXISTS (SELECT FROM tenancy.doctor_readers c
			WHERE strpos(f.prosrc, c.relname) > 0 AND f.prosrc ~ format('(^|\W)%s(\W|$)', regexp_replace(c.relname, '(\W)', '\\\1', 'g'))
				OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.funcid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.relid))
	UNION ALL
	-- What it calls without a schema can be somebody else's, found first in the caller's path; a table, also in pg_temp, which comes first
	-- unless it is named. An empty path makes it name all schemas.
	SELECT 'definer_search_path', 'warning', f.funcid::regprocedure::text,
		CASE WHEN c.path IS NULL
			THEN format('It runs with the rights of %s and the caller''s search_path, so a caller can put functions of their own in place of those it means.', f.proowner::regrole)
			ELSE format('It runs with the rights of %s and a search_path without pg_temp at its end, so a caller can put temporary tables, with triggers, in place of those it means.', f.proowner::regrole) END,
		format('ALTER ROUTINE %s SET search_path = %s, pg_temp', f.funcid::regprocedure, coalesce(c.path, 'pg_catalog, ' || quote_ident(n.nspname)))
	FROM tenancy.doctor_callable f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
	LEFT JOIN LATERAL (SELECT substr(s, length('search_path=') + 1) AS path FROM unnest(f.proconfig) s WHERE s LIKE 'search\_path=%') c ON true
	WHERE f.prosecdef AND l.lanname NOT IN ('c', 'internal')
		AND (f.proowner IN (SELECT x.role FROM tenancy.doctor_exempt_roles x) OR f.proowner IN (SELECT p.relowner FROM tenancy.doctor_protected p))
		AND coalesce(c.path !~ '(^|[ ,"])pg_temp($|[ ,"])' AND c.path <> '""', true)
	UNION ALL
	-- PostgreSQL calls it with hidden rows before the policies decide; an error or a NOTICE tells of them.
	SELECT 'leakproof_function', 'warning', p.oid::regprocedure::text, 'It is marked leakproof by hand, so row security lets it see the rows of other orgs.',
		format('ALTER FUNCTION %s NOT LEAKPROOF', p.oid::regprocedure)
	FROM pg_proc p
	WHERE p.proleakproof AND p.oid >= 16384
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
	UNION ALL
	-- A dump has no marks on PostgreSQL's own functions: after a restore or pg_upgrade searches are slow.
	SELECT 'pushdown_undone', 'warning', s.serves, format('allow_pushdown() marked functions that are not leakproof any more, after a restore or an upgrade: %s.', string_agg(s.function, ', ' ORDER BY s.function COLLATE "C")),
		format('SELECT tenancy.allow_pushdown(%L)', ARRAY[s.serves])
	FROM tenancy.pushdown_status() s WHERE s.allowed AND NOT s.leakproof GROUP BY s.serves
$$;
COMMENT ON FUNCTION tenancy.doctor_functions() IS 'Internal: checks of doctor() on functions.';

-- A subscriber gets the rows of every org. That may be its purpose.
CREATE OR REPLACE FUNCTION tenancy.doctor_publications()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'published_unfiltered', 'notice', quote_ident(p.pubname), 'It publishes all tables: a subscriber gets the rows of every org.', format('DROP PUBLICATION %I', p.pubname)
	FROM pg_publication p WHERE p.puballtables AND EXISTS (SELECT FROM tenancy.doctor_protected)
	UNION ALL
	SELECT 'published_unfiltered', 'notice', quote_ident(p.pubname), format('It publishes protected tables without a row filter, so a subscriber gets the rows of every org: %s.', string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid)),
		format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid))
	FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prqual IS NULL JOIN tenancy.doctor_protected t ON t.relid = r.prrelid
	GROUP BY p.oid, p.pubname
	UNION ALL
	SELECT 'published_unfiltered', 'notice', quote_ident(p.pubname), format('It publishes all tables of schema %I, protected ones among them: a subscriber gets the rows of every org.', n.nspname),
		format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I', p.pubname, n.nspname)
	FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid JOIN pg_namespace n ON n.oid = s.pnnspid
	WHERE EXISTS (SELECT FROM tenancy.doctor_protected t JOIN pg_class c ON c.oid = t.relid WHERE c.relnamespace = n.oid)
$$;
COMMENT ON FUNCTION tenancy.doctor_publications() IS 'Internal: checks of doctor() on publications.';

-- ---------------------------------------------------------------------------------------------
-- Roles and settings
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.doctor_roles()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- grant_access() refuses the first two; ALTER ROLE afterwards does not ask it.
	SELECT k.check_id, 'error', r.oid::regrole::text, format('An application uses this role, and it %s.', k.why), format('ALTER ROLE %s %s', r.oid::regrole, k.attribute)
	FROM pg_roles r
	CROSS JOIN LATERAL (VALUES
		('application_is_superuser', r.rolsuper, 'is a superuser: no row security applies to it', 'NOSUPERUSER'),
		('application_bypasses_row_security', r.rolbypassrls, 'has BYPASSRLS: no row security applies to it', 'NOBYPASSRLS'),
		('application_creates_roles', r.rolcreaterole, 'has CREATEROLE: it can make itself a member of other roles', 'NOCREATEROLE'),
		('application_replicates', r.rolreplication, 'has REPLICATION: it can read the rows of every org from the write-ahead log', 'NOREPLICATION'))
		AS k (check_id, applies, why, attribute)
	WHERE k.applies AND r.oid IN (SELECT a.role FROM tenancy.doctor_applications a)
	UNION ALL
	-- An owner is subject to the policies, but can drop them.
	SELECT 'application_owns_table', 'error', p.relid::regclass::text, format('It belongs to %s, which an application uses and which can therefore drop its policies.', p.relowner::regrole),
		format('ALTER TABLE %s OWNER TO %s', p.relid::regclass, e.extowner::regrole)
	FROM tenancy.doctor_protected p, pg_extension e
	WHERE e.extname = 'tenancy' AND p.relowner IN (SELECT a.role FROM tenancy.doctor_applications a)
	UNION ALL
	-- Whoever owns the schema can drop what is in it, and put something else there; pg_database_owner is the owner of public.
	SELECT 'application_owns_schema', 'error', quote_ident(n.nspname), format('Protected tables are in it, and it belongs to %s, which an application can act as.', n.nspowner::regrole),
		format('ALTER SCHEMA %I OWNER TO %s', n.nspname, e.extowner::regrole)
	FROM pg_namespace n, pg_extension e
	WHERE e.extname = 'tenancy' AND n.nspowner IN (SELECT a.acts_as FROM tenancy.doctor_applications a)
		AND n.oid IN (SELECT c.relnamespace FROM tenancy.doctor_protected p JOIN pg_class c ON c.oid = p.relid)
	UNION ALL
	SELECT 'application_owns_database', 'error', quote_ident(d.datname), format('It belongs to %s, which an application can act as.', d.datdba::regrole),
		format('ALTER DATABASE %I OWNER TO %s', d.datname, e.extowner::regrole)
	FROM pg_database d, pg_extension e
	WHERE e.extname = 'tenancy' AND d.datname = current_database() AND d.datdba IN (SELECT a.acts_as FROM tenancy.doctor_applications a)
	UNION ALL
	-- An application's role may be a group of those that log in. That of an administrator may be a member without any application using it.
	SELECT 'application_by_membership', 'warning', r.oid::regrole::text, format('It has all that %s may, so that an application could use it, and it %s.', m.application::regrole, concat_ws(' and ',
			CASE WHEN r.rolsuper THEN 'is a superuser' WHEN r.rolbypassrls THEN 'has BYPASSRLS' END, CASE WHEN o.owns THEN 'owns protected tables' END)),
		string_agg(format('REVOKE %s FROM %s', m.roleid::regrole, r.oid::regrole), '; ')
	FROM (WITH RECURSIVE inheritor AS (
			SELECT DISTINCT a.role AS application, a.role AS roleid, a.role AS member FROM tenancy.doctor_applications a
			UNION
			SELECT i.application, m.roleid, m.member FROM inheritor i JOIN pg_auth_members m ON m.roleid = i.member JOIN pg_roles r ON r.oid = m.member
			-- From PostgreSQL 16 on it is a matter of each membership.
			WHERE coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit))
		SELECT * FROM inheritor) m
	JOIN pg_roles r ON r.oid = m.member AND r.rolcanlogin
	CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM tenancy.doctor_protected p WHERE p.relowner = r.oid) AS owns) o
	WHERE m.member <> m.roleid AND (r.rolsuper OR r.rolbypassrls OR o.owns) AND r.oid NOT IN (SELECT a.role FROM tenancy.doctor_applications a)
	GROUP BY r.oid, m.application, r.rolsuper, r.rolbypassrls, o.owns
	UNION ALL
	-- Also without INHERIT: SET ROLE is enough. What PostgreSQL's own roles are members of (below 16384) comes with those.
	SELECT DISTINCT 'application_is_member', k.severity, m.member::regrole::text, format('An application that uses it can act as %s, which %s.', m.roleid::regrole, k.why), format('REVOKE %s FROM %s', m.roleid::regrole, m.member::regrole)
	FROM tenancy.doctor_applications a JOIN pg_auth_members m ON m.member = a.acts_as AND m.member >= 16384 JOIN pg_roles r ON r.oid = m.roleid
	CROSS JOIN LATERAL (SELECT v.severity, v.why FROM (VALUES
		(1, r.rolsuper, 'error', 'is a superuser'),
		(2, r.rolbypassrls, 'error', 'has BYPASSRLS'),
		(3, r.rolcreaterole, 'error', 'has CREATEROLE'),
		(4, r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'), 'error', 'reaches the server''s files, all tables among them'),
		(5, r.oid IN (SELECT e.extowner FROM pg_extension e WHERE e.extname = 'tenancy'), 'error', 'owns the extension'),
		(6, r.oid IN (SELECT p.relowner FROM tenancy.doctor_protected p), 'error', 'owns protected tables and can drop their policies'),
		(7, r.rolname IN ('pg_read_all_data', 'pg_write_all_data'), 'warning', 'reaches all tables and views, those without row security too'),
		(8, r.rolname = 'pg_maintain', 'warning', 'can lock all tables, which stops every org'),
		(9, r.rolname IN ('pg_monitor', 'pg_read_all_stats'), 'warning', 'sees what other sessions run, and statistics of every org'))
		AS v (rank, applies, severity, why) WHERE v.applies ORDER BY v.rank LIMIT 1) k
	UNION ALL
	-- pg_db_role_setting can be read by everybody.
	SELECT k.check_id, k.severity, coalesce(r.rolname::regrole::text, 'all roles') || coalesce(' in database ' || quote_ident(d.datname), ''), k.problem,
		CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN format('ALTER DATABASE %I RESET %s', d.datname, k.setting)
			ELSE format('ALTER ROLE %s%s RESET %s', coalesce(r.oid::regrole::text, 'ALL'), ' IN DATABASE ' || quote_ident(d.datname), k.setting) END
	FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c
	JOIN (VALUES
		('stored_token', 'error', 'tenancy.session_token', 'A session token is stored in the catalog, where everybody can read it.'),
		('stored_cross_org', 'warning', 'tenancy.cross_org', 'tenancy.cross_org is stored: every session of a superadmin reads across orgs without having asked for it.'))
		AS k (check_id, severity, setting, problem) ON lower(split_part(c, '=', 1)) = k.setting
	LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
$$;
COMMENT ON FUNCTION tenancy.doctor_roles() IS 'Internal: checks of doctor() on the roles that applications use, and stored settings.';

-- Of interest as soon as an application has access. Some come with no dump: the database's settings.
CREATE OR REPLACE FUNCTION tenancy.doctor_server()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH stored AS (
		SELECT s.setrole, s.setdatabase, substr(c, strpos(c, '=') + 1) AS libraries FROM pg_db_role_setting s, unnest(s.setconfig) c
		WHERE split_part(c, '=', 1) = 'session_preload_libraries'),
	here AS (
		SELECT d.oid, d.datname, s.libraries AS stored, coalesce(s.libraries, current_setting('session_preload_libraries')) AS libraries
		FROM pg_database d LEFT JOIN stored s ON s.setdatabase = d.oid AND s.setrole = 0 WHERE d.datname = current_database()),
	preloaded AS (
		SELECT a.role FROM tenancy.doctor_applications a, here h
		WHERE concat_ws(',', current_setting('shared_preload_libraries'),
				coalesce((SELECT s.libraries FROM stored s WHERE s.setrole = a.role AND s.setdatabase IN (0, h.oid) ORDER BY s.setdatabase DESC LIMIT 1), h.libraries))
			~ '(^|[,/ "])tenancy($|[, "])')
	-- Until the library is there, nothing hides a token in the first statement of a connection.
	SELECT 'library_not_preloaded', 'notice', quote_ident(h.datname), 'The library is not loaded when a connection starts: its first statement is logged with the token in it.',
		-- What is stored is quoted already.
		format('ALTER DATABASE %I SET session_preload_libraries = %s', h.datname, concat_ws(', ',
			nullif(coalesce(h.stored, (SELECT string_agg(quote_literal(trim(l, ' "')), ', ') FROM string_to_array(h.libraries, ',') a, unnest(a) l)), ''), 'tenancy'))
	FROM here h WHERE EXISTS (SELECT FROM tenancy.doctor_applications a WHERE a.role NOT IN (SELECT p.role FROM preloaded p))
	UNION ALL
	-- They count what was fetched before the policies hid it.
	SELECT 'statistics_readable', 'notice', 'pg_catalog', 'Everybody may read the statistics of all tables, which count rows of every org.',
		'SELECT tenancy.close_statistics()'
	WHERE EXISTS (SELECT FROM tenancy.doctor_applications)
		AND EXISTS (SELECT FROM tenancy.statistics_functions() s (f) JOIN pg_proc p ON p.oid = s.f, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
	UNION ALL
	SELECT 'extension_outdated', 'warning', 'tenancy', format('The database has version %s of the extension, the server %s.', e.extversion, v.default_version), 'ALTER EXTENSION tenancy UPDATE'
	FROM pg_extension e JOIN pg_available_extensions v ON v.name = e.extname WHERE e.extname = 'tenancy' AND e.extversion <> v.default_version
$$;
COMMENT ON FUNCTION tenancy.doctor_server() IS 'Internal: checks of doctor() on the server and the database.';

-- ---------------------------------------------------------------------------------------------
-- Tenancy's own objects
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.doctor_privileges()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH asked (funcid, declaration, symbol, is_strict, support) AS (VALUES
		('tenancy.current_org()'::regprocedure, 'tenancy.current_org()', 'tenancy_current_org', false, NULL),
		('tenancy.current_org_if(text, text)'::regprocedure, 'tenancy.current_org_if(action text, resource_type text)', 'tenancy_current_org_if', true, NULL),
		('tenancy.require_org(text, text)'::regprocedure, 'tenancy.require_org(action text, resource_type text)', 'tenancy_require_org', false, NULL),
		('tenancy.cross_org_active()'::regprocedure, 'tenancy.cross_org_active()', 'tenancy_cross_org_active', false, 'tenancy.cross_org_support'))
	-- Whoever writes these tables decides who may do what; whoever reads them reads secrets.
	SELECT 'catalog_privilege', 'error', c.oid::regclass::text, format('%s has %s on it.', tenancy.doctor_grantee(g.grantee), g.privilege_type || coalesce(' (' || quote_ident(g.column_name) || ')', '')),
		format('REVOKE %s%s ON %s FROM %s', g.privilege_type, ' (' || quote_ident(g.column_name) || ')', c.oid::regclass, tenancy.doctor_grantee(g.grantee))
	FROM tenancy.doctor_grants g JOIN pg_class c ON c.oid = g.relid
	WHERE c.relnamespace = 'tenancy'::regnamespace
		AND (g.grantee = 0 OR NOT (
			g.privilege_type = 'SELECT' AND g.column_name IS NULL AND c.oid IN (SELECT tenancy.application_relations())
			OR c.oid = 'tenancy.resource_types'::regclass AND g.privilege_type = 'INSERT' AND g.column_name IN ('name', 'actions')
			-- protect() needs it where the extension's owner is no superuser.
			OR c.oid = 'tenancy.organizations'::regclass AND g.privilege_type = 'REFERENCES' AND g.column_name = 'id'))
	UNION ALL
	-- Internal functions trust their caller.
	SELECT 'function_privilege', 'error', p.oid::regprocedure::text, format('%s may execute it.', tenancy.doctor_grantee(a.grantee)),
		format('REVOKE EXECUTE ON FUNCTION %s FROM %s', p.oid::regprocedure, tenancy.doctor_grantee(a.grantee))
	FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
	WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee <> p.proowner
		AND NOT (a.grantee <> 0 AND (p.oid IN (SELECT tenancy.application_functions()) OR p.oid = 'tenancy.sync_without_token()'::regprocedure))
		-- allow_pushdown() gives PUBLIC what stands in for an operator.
		AND NOT (p.proleakproof AND p.oid IN (SELECT l.function FROM tenancy.pushdown_list() l))
	UNION ALL
	-- Whoever may create there can put an object of theirs in front of ours.
	SELECT 'schema_privilege', 'error', 'tenancy', format('%s has %s on the schema.', tenancy.doctor_grantee(a.grantee), a.privilege_type),
		format('REVOKE %s ON SCHEMA tenancy FROM %s', a.privilege_type, tenancy.doctor_grantee(a.grantee))
	FROM pg_namespace n, aclexplode(n.nspacl) a
	WHERE n.nspname = 'tenancy' AND a.grantee <> n.nspowner AND (a.privilege_type = 'CREATE' OR a.grantee = 0)
	UNION ALL
	-- An owner can replace what they own.
	SELECT 'catalog_owner', 'error', o.identity, format('It belongs to %s, and the extension to %s.', o.owner::regrole, e.extowner::regrole), format('ALTER %s %s OWNER TO %s', o.kind, o.identity, e.extowner::regrole)
	FROM pg_extension e, (
		SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner FROM pg_class c
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
		UNION ALL
		SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
		UNION ALL
		SELECT 'SCHEMA', 'tenancy', n.nspowner FROM pg_namespace n WHERE n.nspname = 'tenancy') o (kind, identity, owner)
	WHERE e.extname = 'tenancy' AND o.owner <> e.extowner
	UNION ALL
	-- What all policies ask. One that is IMMUTABLE, say, would be asked once for all users of a plan.
	SELECT 'function_replaced', 'error', p.oid::regprocedure::text, 'The policies ask it, and it is not as it was made.',
		format('CREATE OR REPLACE FUNCTION %s RETURNS %s LANGUAGE c STABLE%s PARALLEL SAFE%s AS %L, %L', f.declaration, format_type(p.prorettype, NULL),
			CASE WHEN f.is_strict THEN ' STRICT' ELSE '' END, ' SUPPORT ' || f.support::text, '$libdir/tenancy', f.symbol)
	FROM asked f JOIN pg_proc p ON p.oid = f.funcid JOIN pg_language l ON l.oid = p.prolang
	WHERE (l.lanname, p.prosrc, p.provolatile, p.proisstrict, p.prosecdef, p.proleakproof, p.prosupport)
		IS DISTINCT FROM ('c', f.symbol, 's'::"char", f.is_strict, false, false, coalesce(f.support, '-')::regproc) OR p.probin !~ 'tenancy' OR p.proconfig IS NOT NULL
	UNION ALL
	-- Without it the names in them mean what the caller's search_path says.
	SELECT 'function_search_path', 'error', p.oid::regprocedure::text, 'It runs with the rights of its owner, and its search_path is not what it was made with.',
		format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', p.oid::regprocedure)
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef AND l.lanname <> 'c' AND p.oid NOT IN (SELECT f.funcid FROM asked f) AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
$$;
COMMENT ON FUNCTION tenancy.doctor_privileges() IS 'Internal: checks of doctor() on who may use tenancy''s own objects.';

CREATE OR REPLACE FUNCTION tenancy.doctor_catalog()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- The second lock, behind the privileges.
	SELECT 'catalog_row_security', 'error', c.oid::regclass::text, 'Row security is off on a table of tenancy''s own.', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass)
	FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity
	UNION ALL
	SELECT 'catalog_policy', 'error', c.oid::regclass::text, format('Policy %I on a table of tenancy''s own is not tenancy''s.', p.polname), format('DROP POLICY %I ON %s', p.polname, c.oid::regclass)
	FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
	WHERE c.relnamespace = 'tenancy'::regnamespace AND NOT (c.relname = 'resource_types' AND p.polname IN ('users_read', 'superadmins_insert'))
	UNION ALL
	-- Without its signal a change, a revocation for instance, reaches no other connection.
	SELECT 'signal_missing', 'error', format('tenancy.%I', s.table_name), 'The trigger that tells other connections of a change is missing.', tenancy.signal_statements(s.table_name, s.kind)
	FROM tenancy.signalled_tables() s
	WHERE (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relname = s.table_name AND t.tgname IN ('signal_change', 'signal_replicated_change')) < 2
	UNION ALL
	-- A disabled one signals, checks or refuses nothing. Those that replication must not silence are ALWAYS, one is for it alone.
	SELECT 'catalog_trigger_disabled', 'error', c.oid::regclass::text, format('Trigger %I is disabled%s.', t.tgname, CASE WHEN t.tgenabled <> 'D' THEN ' in some sessions' ELSE '' END),
		format('ALTER TABLE %s ENABLE%s TRIGGER %I', c.oid::regclass, ' ' || w.sessions, t.tgname)
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	CROSS JOIN LATERAL (SELECT CASE WHEN t.tgname IN ('signal_change', 'append_only') THEN 'ALWAYS' WHEN t.tgname = 'signal_replicated_change' THEN 'REPLICA' END) w (sessions)
	WHERE c.relnamespace = 'tenancy'::regnamespace
		AND t.tgenabled <> ALL (CASE w.sessions WHEN 'ALWAYS' THEN '{A}' WHEN 'REPLICA' THEN '{R,A}' ELSE '{O,A}' END::"char"[])
	UNION ALL
	-- What CREATE EXTENSION brought, and a dump therefore does not carry.
	SELECT 'seed_missing', 'error', 'role ' || r.name, 'A built-in role is missing.', format('INSERT INTO tenancy.roles (id, name) VALUES (%L, %L)', r.id, r.name)
	FROM (VALUES
		('00000000-0000-4000-8000-000000000001'::uuid, 'admin'),
		('00000000-0000-4000-8000-000000000002', 'member'),
		('00000000-0000-4000-8000-000000000003', 'viewer')) r (id, name)
	WHERE r.id NOT IN (SELECT o.id FROM tenancy.roles o)
	UNION ALL
	-- One that revoke_permission() took back is still a row here.
	SELECT 'seed_missing', 'error', format('role admin: %s %s', a.action, t.name), 'A grant that admin was shipped with is missing: the admins of orgs cannot do that.',
		format('INSERT INTO tenancy.role_permissions (role_id, resource_type, action, shipped) VALUES (%L, %L, %L, true)', r.id, t.name, a.action)
	FROM tenancy.resource_types t CROSS JOIN unnest(t.actions) a (action) JOIN tenancy.roles r ON r.org_id IS NULL AND r.name = 'admin'
	WHERE t.shipped AND NOT EXISTS (SELECT FROM tenancy.role_permissions p WHERE p.role_id = r.id AND p.resource_type = t.name AND p.action = a.action)
$$;
COMMENT ON FUNCTION tenancy.doctor_catalog() IS 'Internal: checks of doctor() on whether tenancy''s own tables are as they were made.';

-- ---------------------------------------------------------------------------------------------
-- Whom tokens and tables let in
-- ---------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tenancy.doctor_trust()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- Nobody can sign in with it: forgotten, or its keys have gone.
	SELECT 'issuer_without_keys', 'warning', i.issuer, 'It is trusted and has no keys, so no token of it is accepted.', format('SELECT tenancy.distrust_issuer(%L)', i.issuer)
	FROM tenancy.issuers i WHERE i.trusted AND NOT EXISTS (SELECT FROM tenancy.signing_keys k WHERE k.issuer_id = i.id)
	UNION ALL
	SELECT 'key_unusable', 'error', i.issuer, format('Key %s cannot be used: %s.', coalesce(quote_literal(k.key_id), 'without an id'), j.problem), format('DELETE FROM tenancy.signing_keys WHERE id = %L', k.id)
	FROM tenancy.signing_keys k JOIN tenancy.issuers i ON i.id = k.issuer_id CROSS JOIN LATERAL tenancy.inspect_jwk(k.jwk) j
	WHERE j.problem IS NOT NULL
	UNION ALL
	-- Another application that the same issuer serves has tokens that are good here.
	SELECT 'issuer_without_audience', 'notice', i.issuer, 'Any audience and any authorized party is accepted: tokens that it signs for other applications are good here too.',
		format('UPDATE tenancy.issuers SET audiences = ARRAY[:''audience''] WHERE issuer = %L', i.issuer)
	FROM tenancy.issuers i WHERE i.trusted AND i.audiences IS NULL AND i.authorized_parties IS NULL
	UNION ALL
	-- What is fetched over http anybody on the way can replace, keys too.
	SELECT 'issuer_without_tls', 'warning', i.issuer, 'Its address is not https, so its keys can be replaced on the way.', format('SELECT tenancy.distrust_issuer(%L)', i.issuer)
	FROM tenancy.issuers i WHERE i.trusted AND i.issuer ~* '^http:' AND i.issuer !~* '^http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)'
	UNION ALL
	-- Whoever verifies can sign, and every dump holds the secret.
	SELECT 'shared_secret_key', 'notice', i.issuer, format('Key %s is a shared secret (%s): whoever can check a token can make one, and every dump has the secret in it.', coalesce(quote_literal(k.key_id), 'without an id'), k.algorithm),
		format('DELETE FROM tenancy.signing_keys WHERE id = %L', k.id)
	FROM tenancy.signing_keys k JOIN tenancy.issuers i ON i.id = k.issuer_id WHERE k.algorithm LIKE 'HS%'
$$;
COMMENT ON FUNCTION tenancy.doctor_trust() IS 'Internal: checks of doctor() on issuers and keys.';

CREATE OR REPLACE VIEW tenancy.doctor_orgs_with_admin AS
	SELECT DISTINCT r.org_id FROM tenancy.membership_roles r
	JOIN tenancy.roles b ON b.id = r.role_id AND b.org_id IS NULL AND b.name = 'admin'
	JOIN tenancy.users u ON u.id = r.user_id AND u.status = 'active';
COMMENT ON VIEW tenancy.doctor_orgs_with_admin IS 'Internal: orgs that have an active admin.';

CREATE OR REPLACE FUNCTION tenancy.doctor_people()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	-- Nobody can invite, or take somebody out. The member of longest standing is as good a guess as any.
	SELECT 'org_without_admin', 'warning', o.slug, 'It has members, and none of them is an active admin.',
		format('SET tenancy.org = %L; SELECT tenancy.set_member_roles(%L, %L); RESET tenancy.org', o.slug, m.user_id, ARRAY['admin'])
	FROM tenancy.organizations o CROSS JOIN LATERAL (
		SELECT m.user_id FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id AND u.status = 'active'
		WHERE m.org_id = o.id ORDER BY m.created_at, m.user_id LIMIT 1) m
	WHERE o.status <> 'archived' AND o.id NOT IN (SELECT a.org_id FROM tenancy.doctor_orgs_with_admin a)
	UNION ALL
	-- They are let in, and may do nothing.
	SELECT 'member_without_role', 'notice', format('%s in %s', coalesce(u.email, u.id::text), o.slug), 'The member has no role, and so may do nothing.',
		format('SET tenancy.org = %L; SELECT tenancy.set_member_roles(%L, %L); RESET tenancy.org', o.slug, u.id, ARRAY['viewer'])
	FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id AND u.status = 'active' JOIN tenancy.organizations o ON o.id = m.org_id AND o.status <> 'archived'
	WHERE NOT EXISTS (SELECT FROM tenancy.membership_roles r WHERE r.user_id = m.user_id AND r.org_id = m.org_id)
		AND m.org_id IN (SELECT a.org_id FROM tenancy.doctor_orgs_with_admin a)
$$;
COMMENT ON FUNCTION tenancy.doctor_people() IS 'Internal: checks of doctor() on orgs and members.';

-- The list is for superusers' eyes. Removing a superadmin does not take the address off it.
CREATE OR REPLACE FUNCTION tenancy.doctor_superadmin_emails()
RETURNS TABLE (check_id text, severity text, object text, problem text, remedy text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	WITH listed AS (
		SELECT trim(e.address) AS address, e.i, count(u.id) > 0 AND count(s.user_id) = 0 AS is_fault
		FROM (SELECT coalesce(
				(SELECT substr(c, strpos(c, '=') + 1) FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
					WHERE s.setrole = 0 AND lower(split_part(c, '=', 1)) = 'tenancy.superadmin_emails'),
				current_setting('tenancy.superadmin_emails', true))) l (addresses)
		CROSS JOIN LATERAL unnest(string_to_array(l.addresses, ',')) WITH ORDINALITY e (address, i)
		LEFT JOIN tenancy.users u ON lower(u.email) = lower(trim(e.address))
		LEFT JOIN tenancy.superadmins s ON s.user_id = u.id
		GROUP BY e.address, e.i)
	SELECT 'superadmin_listed', 'notice', string_agg(l.address, ', ' ORDER BY l.i) FILTER (WHERE l.is_fault),
		'tenancy.superadmin_emails names a user who is no superadmin: one who is active and whose address is verified becomes one at the next sign-in.',
		format('ALTER DATABASE %I SET tenancy.superadmin_emails = %L', current_database(), coalesce(string_agg(l.address, ',' ORDER BY l.i) FILTER (WHERE NOT l.is_fault), ''))
	FROM listed l HAVING bool_or(l.is_fault)
$$;
COMMENT ON FUNCTION tenancy.doctor_superadmin_emails() IS 'Internal: the check of doctor() on the setting tenancy.superadmin_emails.';

-- ---------------------------------------------------------------------------------------------
-- The interface
-- ---------------------------------------------------------------------------------------------

-- A definer because tenancy's tables are its owner's. A superadmin runs the installation, and sees what is wrong with it; what
-- PostgreSQL shows superusers alone stays theirs. Compiling the checks takes longer than running them.
CREATE OR REPLACE FUNCTION tenancy.doctor(OUT check_id text, OUT severity text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy.assert_administrator('examine the installation');
	RETURN QUERY
		SELECT f.* FROM (
			SELECT * FROM tenancy.doctor_protection()
			UNION ALL SELECT * FROM tenancy.doctor_open_tables()
			UNION ALL SELECT * FROM tenancy.doctor_guards()
			UNION ALL SELECT * FROM tenancy.doctor_keys()
			UNION ALL SELECT * FROM tenancy.doctor_attachments()
			UNION ALL SELECT * FROM tenancy.doctor_views()
			UNION ALL SELECT * FROM tenancy.doctor_functions()
			UNION ALL SELECT * FROM tenancy.doctor_publications()
			UNION ALL SELECT * FROM tenancy.doctor_roles()
			UNION ALL SELECT * FROM tenancy.doctor_server()
			UNION ALL SELECT * FROM tenancy.doctor_privileges()
			UNION ALL SELECT * FROM tenancy.doctor_catalog()
			UNION ALL SELECT * FROM tenancy.doctor_trust()
			UNION ALL SELECT * FROM tenancy.doctor_people()
			UNION ALL SELECT * FROM tenancy.doctor_superadmin_emails() WHERE NOT tenancy.is_superadmin()) f
		ORDER BY array_position('{error,warning,notice}', f.severity), f.check_id COLLATE "C", f.object COLLATE "C", f.problem COLLATE "C";
END
$$;
COMMENT ON FUNCTION tenancy.doctor() IS 'What leaves this database open: one row a finding, worst first, with the statements that mend it. None if all is well.';
