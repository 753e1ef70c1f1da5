-- What always holds of tenancy's tables, whatever was interrupted: a row here breaks it. For a database in which people and orgs were
-- made by the public functions alone, so that all of it is in the audit log.
CREATE SCHEMA invariants;
CREATE VIEW invariants.broken (rule, object) AS
	SELECT 'a user has an identity', u.id::text FROM tenancy.users u WHERE NOT EXISTS (SELECT FROM tenancy.identities i WHERE i.user_id = u.id)
	UNION ALL
	SELECT 'an identity is a user''s', i.subject FROM tenancy.identities i LEFT JOIN tenancy.users u ON u.id = i.user_id WHERE u.id IS NULL
	UNION ALL
	SELECT 'a membership is a user''s, in an org', m::text FROM tenancy.memberships m
	LEFT JOIN tenancy.users u ON u.id = m.user_id LEFT JOIN tenancy.organizations o ON o.id = m.org_id WHERE u.id IS NULL OR o.id IS NULL
	UNION ALL
	SELECT 'a member has a role', m::text FROM tenancy.memberships m LEFT JOIN tenancy.membership_roles r USING (user_id, org_id) WHERE r.role_id IS NULL
	UNION ALL
	SELECT 'a role is held by a member', r::text FROM tenancy.membership_roles r LEFT JOIN tenancy.memberships m USING (user_id, org_id) WHERE m.user_id IS NULL
	UNION ALL
	SELECT 'an org has an admin', o.slug FROM tenancy.organizations o WHERE o.id NOT IN (SELECT a.org_id FROM tenancy.doctor_orgs_with_admin a)
	UNION ALL
	SELECT 'a personal org is its creator''s, who has one', o.slug FROM tenancy.organizations o WHERE o.kind = 'personal'
		AND (NOT EXISTS (SELECT FROM tenancy.memberships m WHERE m.org_id = o.id AND m.user_id = o.created_by)
			OR EXISTS (SELECT FROM tenancy.organizations x WHERE x.kind = 'personal' AND x.created_by = o.created_by AND x.id <> o.id))
	UNION ALL
	SELECT 'who has accepted is a member', i.email FROM tenancy.invitations i LEFT JOIN tenancy.memberships m ON m.org_id = i.org_id AND m.user_id = i.accepted_by
	WHERE i.accepted_at IS NOT NULL AND m.user_id IS NULL
	UNION ALL
	SELECT 'what an org has goes with it', x.what FROM (
		SELECT 'invitation', org_id FROM tenancy.invitations UNION ALL SELECT 'external id', org_id FROM tenancy.org_external_ids
		UNION ALL SELECT 'default org', org_id FROM tenancy.default_orgs UNION ALL SELECT 'role', org_id FROM tenancy.roles WHERE org_id IS NOT NULL) x (what, org_id)
	WHERE x.org_id NOT IN (SELECT o.id FROM tenancy.organizations o)
	UNION ALL
	SELECT 'what is logged has happened: a user', e.target FROM tenancy.audit_events e
	WHERE e.new_values ->> 'created' = 'true' AND e.target NOT IN (SELECT u.id::text FROM tenancy.users u)
	UNION ALL
	SELECT 'what has happened is logged once: a user', u.id::text FROM tenancy.users u
	WHERE (SELECT count(*) FROM tenancy.audit_events e WHERE e.new_values ->> 'created' = 'true' AND e.target = u.id::text) <> 1
	UNION ALL
	SELECT 'what is logged has happened: an org', e.org_id::text FROM tenancy.audit_events e
	WHERE e.org_id NOT IN (SELECT o.id FROM tenancy.organizations o) AND e.org_id NOT IN (SELECT p.org_id FROM tenancy.audit_events p WHERE p.action = 'purge_org')
	UNION ALL
	SELECT 'what is logged has happened: an invitation is accepted', e.target FROM tenancy.audit_events e
	WHERE e.action IN ('accept_invitation', 'provision_user') AND e.new_values ? 'invitation_id' AND e.org_id IN (SELECT o.id FROM tenancy.organizations o)
		AND NOT EXISTS (SELECT FROM tenancy.invitations i WHERE i.id::text = e.new_values ->> 'invitation_id' AND i.accepted_by::text = e.target)
	UNION ALL
	SELECT 'what has happened is logged: an invitation is accepted', i.email FROM tenancy.invitations i
	WHERE i.accepted_at IS NOT NULL AND NOT EXISTS (SELECT FROM tenancy.audit_events e WHERE e.new_values ->> 'invitation_id' = i.id::text AND e.target = i.accepted_by::text)
	UNION ALL
	SELECT 'what is logged has happened: an org is purged', e.target FROM tenancy.audit_events e
	WHERE e.action = 'purge_org' AND e.org_id IN (SELECT o.id FROM tenancy.organizations o);
