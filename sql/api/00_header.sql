-- From here on: code alone, which an update runs again. Nothing below may create state.
SET LOCAL search_path TO pg_catalog, pg_temp;
