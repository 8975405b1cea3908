-- The metadata of repmgr 3 lies in a schema named after the cluster: bring its tables here, without its views.
DO $migration$
DECLARE
    old_schema NAME;
BEGIN
    SELECT nspname INTO old_schema
      FROM pg_catalog.pg_namespace
     WHERE nspname LIKE 'repmgr\_%'
     ORDER BY nspname
     LIMIT 1;
    IF old_schema IS NULL THEN
        RAISE EXCEPTION 'no schema of repmgr 3 found'
            USING HINT = 'Its name begins with "repmgr_". To begin anew, use: CREATE EXTENSION repmgr';
    END IF;
    EXECUTE pg_catalog.format('DROP VIEW IF EXISTS %I.repl_show_nodes, %I.repl_status', old_schema, old_schema);
    EXECUTE pg_catalog.format('ALTER TABLE %I.repl_nodes SET SCHEMA repmgr', old_schema);
    EXECUTE pg_catalog.format('ALTER TABLE %I.repl_events SET SCHEMA repmgr', old_schema);
    EXECUTE pg_catalog.format('ALTER TABLE %I.repl_monitor SET SCHEMA repmgr', old_schema);
END
$migration$;
