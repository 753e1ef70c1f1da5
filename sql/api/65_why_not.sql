-- Why a row is not there for the session. It looks where row security would not let it, so it tells only those who may know.

-- The one column that the primary key has beside the org column, with the operator that the key compares by.
CREATE OR REPLACE FUNCTION tenancy.why_not_key(target regclass, org_column name, OUT key_column name, OUT key_type text, OUT equals text)
RETURNS record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	SELECT min(a.attname), min(format_type(a.atttypid, NULL)), min(format('OPERATOR(%I.%s)', n.nspname, o.oprname))
	INTO key_column, key_type, equals
	FROM pg_index i
	CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) k (attnum, opclass)
	JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND a.attname <> why_not_key.org_column
	JOIN pg_opclass c ON c.oid = k.opclass
	JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype AND p.amopstrategy = 3
	JOIN pg_operator o ON o.oid = p.amopopr
	JOIN pg_namespace n ON n.oid = o.oprnamespace
	WHERE i.indrelid = why_not_key.target AND i.indisprimary
	HAVING count(*) = 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'table % has no primary key of one column', why_not_key.target
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The org column does not count.',
				HINT = 'Call tenancy.explain_can_i(''read'', resource_type), and compare the row''s org with tenancy.current_org().';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.why_not_key(regclass, name) IS 'Internal: the column that tells the rows of a table apart within an org.';

-- Of an org that the caller may know of, and of the current one if it is among them. Who administers none reads nothing. For who
-- administers some org the key is looked up, and what is found in others passed over: the answer does not tell of it, but the table's
-- statistics and the time it takes may. The owner's code runs on the way, so what comes back is compared once more.
CREATE OR REPLACE FUNCTION tenancy.why_not_org(target regclass, org_column name, key text)
RETURNS uuid LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	k record;
	statement text;
	administered uuid[];
	found uuid;
BEGIN
	SELECT * INTO k FROM tenancy.why_not_key(why_not_org.target, why_not_org.org_column);
	statement := format('SELECT %1$I FROM %2$s WHERE %3$I %4$s CAST($1 AS %5$s)', why_not_org.org_column, why_not_org.target, k.key_column, k.equals, k.key_type);
	IF NOT tenancy.is_administrator() THEN
		administered := ARRAY(SELECT m.org_id FROM tenancy.memberships m
			WHERE m.user_id = tenancy.current_user_id() AND tenancy.is_active_admin(m.user_id, m.org_id));
		IF administered = '{}' THEN
			RETURN NULL;
		END IF;
		statement := statement || format(' AND %I = ANY (%L::uuid[])', why_not_org.org_column, administered);
	END IF;
	found := tenancy.ask_as_owner(why_not_org.target,
		statement || format(' ORDER BY %I IS DISTINCT FROM %L::uuid LIMIT 1', why_not_org.org_column, tenancy.current_org()), why_not_org.key);
	RETURN CASE WHEN administered IS NULL OR found = ANY (administered) THEN found END;
END
$$;
COMMENT ON FUNCTION tenancy.why_not_org(regclass, name, text) IS 'Internal: the org of a row, if the caller may know of it.';

CREATE OR REPLACE FUNCTION tenancy.why_not_result(target regclass, resource_type text, row_org uuid, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	across boolean := tenancy.cross_org_active();
	allowed boolean := coalesce(tenancy.current_org_if('read', why_not_result.resource_type) = row_org, false);
	exempt boolean := (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles r WHERE r.rolname = tenancy.database_role());
	others text := (SELECT string_agg(quote_ident(p.polname), ', ' ORDER BY p.polname) FROM pg_policy p
		WHERE p.polrelid = why_not_result.target AND NOT p.polpermissive AND p.polcmd IN ('r', '*')
			AND p.polname NOT IN (SELECT o.policy FROM tenancy.protection_policies('', '') o));
BEGIN
	RETURN QUERY SELECT 'row_org', coalesce(tenancy.current_org() = row_org, false),
		CASE WHEN tenancy.current_org() = row_org THEN 'the session works in the row''s org'
			ELSE 'the session does not work in the row''s org: pick it with tenancy.switch_org(org)' END;
	IF across THEN
		RETURN QUERY SELECT 'cross_org', true, 'tenancy.cross_org is on: rows of every org are read';
	END IF;
	IF exempt THEN
		RETURN QUERY SELECT 'database_role', true, format('database role %s is not subject to row security', tenancy.database_role());
	END IF;
	IF others IS NOT NULL THEN
		RETURN QUERY SELECT 'other_policies', NULL::boolean, format('policies of the application''s own decide too: %s', others);
	END IF;
	RETURN QUERY SELECT 'result', exempt OR across OR allowed,
		CASE WHEN NOT (exempt OR across OR allowed) THEN 'not visible: see the checks that did not pass'
			WHEN others IS NOT NULL AND NOT exempt THEN 'visible, unless another policy hides it'
			ELSE 'visible' END;
END
$$;
COMMENT ON FUNCTION tenancy.why_not_result(regclass, text, uuid) IS 'Internal: the last rows of why_not().';

CREATE OR REPLACE FUNCTION tenancy.why_not("table" regclass, key text, OUT check_name text, OUT passed boolean, OUT reason text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	p record;
	row_org uuid;
BEGIN
	PERFORM tenancy.assert_not_null(why_not."table"::text, 'table', 'tenancy.protected_tables lists those there are.');
	PERFORM tenancy.assert_not_null(why_not.key, 'key', 'Pass the value of the row''s primary key as text.');
	IF has_table_privilege(tenancy.database_role(), why_not."table"::oid, 'SELECT') IS NOT TRUE THEN
		RAISE EXCEPTION 'permission denied for table %', why_not."table"
			USING ERRCODE = 'insufficient_privilege', HINT = 'Ask the DBA to grant SELECT on it.';
	END IF;
	SELECT * INTO p FROM tenancy.protection_of(why_not."table");
	IF p.org_column IS NULL OR p.resource_type IS NULL THEN
		RAISE EXCEPTION 'table % is not protected', why_not."table"
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'tenancy.protected_tables lists those that are.';
	END IF;

	row_org := tenancy.why_not_org(why_not."table", p.org_column, why_not.key);
	IF row_org IS NULL THEN
		RETURN QUERY SELECT 'row', false, 'there is no row with this key, or none in an org whose admin you are';
		RETURN;
	END IF;
	RETURN QUERY SELECT 'row', true, format('it is there, in org "%s"', o.slug) FROM tenancy.organizations o WHERE o.id = row_org;
	RETURN QUERY SELECT e.check_name, e.passed, e.reason FROM tenancy.explain_can_i('read', p.resource_type) e WHERE e.check_name <> 'result';
	RETURN QUERY SELECT r.check_name, r.passed, r.reason FROM tenancy.why_not_result(why_not."table", p.resource_type, row_org) r;
END
$$;
COMMENT ON FUNCTION tenancy.why_not(regclass, text) IS 'Why the session does not see a row: one row a check. For administrators and the admins of the row''s org; to others no row exists.';
