-- Who changed what: one row a change, written in the transaction of the change and never touched again.

CREATE TABLE tenancy.audit_events (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	org_id uuid,
	user_id uuid,
	issuer text COLLATE "C",
	subject text COLLATE "C",
	session_id text COLLATE "C",
	acting_superadmin uuid,
	impersonated_by text COLLATE "C",
	database_role text COLLATE "C" NOT NULL,
	action text COLLATE "C" NOT NULL,
	target text COLLATE "C",
	old_values jsonb,
	new_values jsonb
);
CREATE INDEX audit_events_org_id ON tenancy.audit_events (org_id, at);
CREATE INDEX audit_events_at ON tenancy.audit_events (at);
COMMENT ON TABLE tenancy.audit_events IS 'Who changed what, and when. No foreign keys: a row outlives what it tells of.';

CREATE FUNCTION tenancy.refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'the audit log is append-only'
		USING ERRCODE = 'insufficient_privilege', HINT = 'Read it through tenancy.audit_log.';
END
$$;
COMMENT ON FUNCTION tenancy.refuse_audit_change() IS 'Trigger: nobody changes or removes what was logged.';
-- ALWAYS: session_replication_role = replica must not open it.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenancy.audit_events
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy.refuse_audit_change();
ALTER TABLE tenancy.audit_events ENABLE ALWAYS TRIGGER append_only;
