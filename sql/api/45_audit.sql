-- The trace of every change: a function that changes authority calls record_change() in its own transaction.

-- Asked before a change that may end the caller's own token: revoked, or signed with a key that is gone, it would not say who
-- this was any more.
CREATE OR REPLACE FUNCTION tenancy.audit_actor()
RETURNS tenancy.audit_events LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'tenancy_audit_actor';
COMMENT ON FUNCTION tenancy.audit_actor() IS 'Internal: what a row of the audit log says of the caller.';

CREATE OR REPLACE FUNCTION tenancy.record_change_by(actor tenancy.audit_events, action text, org_id uuid, target text, old_values jsonb, new_values jsonb)
RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
	INSERT INTO tenancy.audit_events (org_id, user_id, issuer, subject, session_id, acting_superadmin, impersonated_by, database_role,
		action, target, old_values, new_values)
	VALUES (record_change_by.org_id, (actor).user_id, (actor).issuer, (actor).subject, (actor).session_id, (actor).acting_superadmin,
		(actor).impersonated_by, (actor).database_role, record_change_by.action, record_change_by.target,
		record_change_by.old_values, record_change_by.new_values)
$$;
COMMENT ON FUNCTION tenancy.record_change_by(tenancy.audit_events, text, uuid, text, jsonb, jsonb) IS 'Internal: writes a row of the audit log about whom audit_actor() has told of. The action is the name of the function that was called.';

CREATE OR REPLACE FUNCTION tenancy.record_change(action text, org_id uuid, target text,
	old_values jsonb DEFAULT NULL, new_values jsonb DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'tenancy_record_change';
COMMENT ON FUNCTION tenancy.record_change(text, uuid, text, jsonb, jsonb) IS 'Internal: writes a row of the audit log about the caller. The action is the name of the function that was called.';

-- Runs with its owner's rights, so it filters by itself. Two branches, so that one org's rows are found by index; below a
-- SELECT, since PostgreSQL takes no notice of security_barrier on a plain UNION ALL: a caller's function in WHERE would be
-- shown every row.
CREATE OR REPLACE VIEW tenancy.audit_log WITH (security_barrier) AS
SELECT e.id, e.at, e.org_id, e.user_id, e.issuer, e.subject, e.session_id, e.acting_superadmin, e.impersonated_by, e.database_role,
	e.action, e.target, e.old_values, e.new_values
FROM (SELECT a.* FROM tenancy.audit_events a WHERE tenancy.is_administrator()
	UNION ALL
	SELECT a.* FROM tenancy.audit_events a
	WHERE a.org_id = tenancy.current_org_if('read', 'audit') AND NOT tenancy.is_administrator()) e;
COMMENT ON VIEW tenancy.audit_log IS 'Who changed what, and when: of the current org for who may read its audit, of everything for a superadmin.';
