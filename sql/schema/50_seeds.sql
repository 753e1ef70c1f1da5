-- What every installation starts with, as rows one can see and change. Fixed ids: memberships in a dump refer to them.

INSERT INTO tenancy.roles (id, org_id, name, description) VALUES
	('00000000-0000-4000-8000-000000000001', NULL, 'admin', 'Runs the org: members, roles, invitations and all data'),
	('00000000-0000-4000-8000-000000000002', NULL, 'member', 'Works in the org: reads, creates and updates its data'),
	('00000000-0000-4000-8000-000000000003', NULL, 'viewer', 'Reads the org''s data');

INSERT INTO tenancy.resource_types (name, actions, shipped, defaults_granted) VALUES
	('org', '{read,update,delete}', true, true),
	('member', '{read,create,update,delete}', true, true),
	('invitation', '{read,create,delete}', true, true),
	('role', '{read,create,update,delete}', true, true),
	('audit', '{read}', true, true);

INSERT INTO tenancy.role_permissions (role_id, resource_type, action, shipped)
SELECT r.id, t.name, a.action, true
FROM tenancy.roles r, tenancy.resource_types t, pg_catalog.unnest(t.actions) AS a (action)
WHERE r.name = 'admin'
	OR (r.name = 'member' AND a.action = 'read' AND t.name IN ('org', 'member'))
	OR (r.name = 'viewer' AND a.action = 'read' AND t.name = 'org');
