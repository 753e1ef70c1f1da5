-- Loaded by CREATE EXTENSION alone.
\echo Use "CREATE EXTENSION tenancy" to load this file. \quit

-- Every name below is qualified; this keeps a schema that somebody planted earlier in the path out of the rest.
SET LOCAL search_path TO pg_catalog, pg_temp;

DO $$
BEGIN
	IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
		RAISE EXCEPTION 'tenancy needs a database in encoding UTF8'
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Claims of a token are UTF-8; a conversion could make two subjects equal.',
				HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
	END IF;
	-- The owner of a schema can replace what is in it: it must be the extension's owner.
	IF (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'tenancy')
		<> (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'schema "tenancy" exists already and belongs to another role'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
			WHERE n.nspname = 'tenancy' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) THEN
		RAISE EXCEPTION 'schema "tenancy" exists already, and others may create objects in it'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tenancy')
		OR EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'tenancy')
		OR EXISTS (SELECT FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE n.nspname = 'tenancy')
		OR EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tenancy') THEN
		RAISE EXCEPTION 'schema "tenancy" is not empty'
			USING ERRCODE = 'duplicate_schema',
				HINT = 'Drop or rename that schema, then run CREATE EXTENSION again.';
	END IF;
END
$$;
