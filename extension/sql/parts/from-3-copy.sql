-- Each node must be registered again (with --force) to fill in what repmgr 3 did not record: "unknown" here.
INSERT INTO repmgr.nodes
       (node_id, upstream_node_id, active, node_name, type, location, priority, conninfo, repluser, slot_name, config_file)
SELECT id,
       upstream_node_id,
       active,
       name,
       CASE WHEN type = 'master' THEN 'primary' ELSE type END,
       'default',
       priority,
       conninfo,
       'unknown',
       slot_name,
       'unknown'
  FROM repmgr.repl_nodes;

INSERT INTO repmgr.events (node_id, event, successful, event_timestamp, details)
SELECT node_id, event, successful, event_timestamp, details
  FROM repmgr.repl_events;

INSERT INTO repmgr.monitoring_history
       (primary_node_id, standby_node_id, last_monitor_time, last_apply_time,
        last_wal_primary_location, last_wal_standby_location, replication_lag, apply_lag)
SELECT primary_node,
       standby_node,
       last_monitor_time,
       last_apply_time,
       last_wal_primary_location::pg_lsn,
       last_wal_standby_location::pg_lsn,
       replication_lag,
       apply_lag
  FROM repmgr.repl_monitor;

INSERT INTO repmgr.voting_term (term) VALUES (1);

DROP TABLE repmgr.repl_monitor, repmgr.repl_events, repmgr.repl_nodes;
