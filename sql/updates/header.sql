-- Loaded by ALTER EXTENSION alone.
\echo Use "ALTER EXTENSION tenancy UPDATE" to load this file. \quit
SET LOCAL search_path TO pg_catalog, pg_temp;
