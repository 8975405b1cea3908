CREATE VIEW repmgr.show_nodes AS
    SELECT node.node_id,
           node.node_name,
           node.active,
           node.upstream_node_id,
           upstream.node_name AS upstream_node_name,
           node.type,
           node.priority,
           node.conninfo
      FROM repmgr.nodes AS node
      LEFT JOIN repmgr.nodes AS upstream ON upstream.node_id = node.upstream_node_id;

-- The newest monitoring row of each standby.
CREATE VIEW repmgr.replication_status AS
    SELECT history.primary_node_id,
           history.standby_node_id,
           standby.node_name AS standby_name,
           standby.type AS node_type,
           standby.active,
           history.last_monitor_time,
           CASE WHEN standby.type = 'standby' THEN history.last_wal_primary_location END AS last_wal_primary_location,
           history.last_wal_standby_location,
           CASE WHEN standby.type = 'standby'
                THEN pg_catalog.pg_size_pretty(history.replication_lag)
           END AS replication_lag,
           CASE WHEN standby.type = 'standby'
                THEN CASE WHEN history.replication_lag > 0
                          THEN pg_catalog.age(pg_catalog.now(), history.last_apply_time)
                          ELSE INTERVAL '0'
                     END
           END AS replication_time_lag,
           CASE WHEN standby.type = 'standby'
                THEN pg_catalog.pg_size_pretty(history.apply_lag)
           END AS apply_lag,
           pg_catalog.age(
               pg_catalog.now(),
               CASE WHEN pg_catalog.pg_is_in_recovery()
                    THEN repmgr.standby_get_last_updated()
                    ELSE history.last_monitor_time
               END
           ) AS communication_time_lag
      FROM repmgr.monitoring_history AS history
      JOIN repmgr.nodes AS standby ON standby.node_id = history.standby_node_id
      JOIN (SELECT standby_node_id, max(last_monitor_time) AS last_monitor_time
              FROM repmgr.monitoring_history
             GROUP BY standby_node_id) AS newest
        ON newest.standby_node_id = history.standby_node_id
       AND newest.last_monitor_time = history.last_monitor_time;
