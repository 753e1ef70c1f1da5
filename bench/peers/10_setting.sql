-- The org in a custom setting, as many guides to multi-tenant PostgreSQL have it: bare, and wrapped in a sub-select.
-- https://aws.amazon.com/blogs/database/multi-tenant-data-isolation-with-postgresql-row-level-security/
SELECT bench.add_peer('setting', 'current_setting()',
	$$org_id = current_setting('app.org_id')::uuid$$,
	$$SET app.org_id = '%org%'$$);
SELECT bench.add_peer('setting_wrapped', '(SELECT current_setting())',
	$$org_id = (SELECT current_setting('app.org_id')::uuid)$$,
	$$SET app.org_id = '%org%'$$);
