-- 5.2: pg_dump saves what the tables hold.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

SELECT pg_catalog.pg_extension_config_dump('repmgr.nodes', '');
SELECT pg_catalog.pg_extension_config_dump('repmgr.events', '');
SELECT pg_catalog.pg_extension_config_dump('repmgr.monitoring_history', '');
