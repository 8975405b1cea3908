-- The objects of the repmgr extension, the same in versions 5.3, 5.4 and 5.5.

\echo Use "CREATE EXTENSION repmgr" to load this file. \quit

CREATE TABLE repmgr.nodes (
    node_id          INTEGER     NOT NULL PRIMARY KEY,
    upstream_node_id INTEGER     NULL REFERENCES repmgr.nodes (node_id) DEFERRABLE,
    active           BOOLEAN     NOT NULL DEFAULT TRUE,
    node_name        TEXT        NOT NULL,
    type             TEXT        NOT NULL CHECK (type IN ('primary', 'standby', 'witness', 'bdr')),
    location         TEXT        NOT NULL DEFAULT 'default',
    priority         INTEGER     NOT NULL DEFAULT 100,
    conninfo         TEXT        NOT NULL,
    repluser         VARCHAR(63) NOT NULL,
    slot_name        TEXT        NULL,
    config_file      TEXT        NOT NULL
);

CREATE TABLE repmgr.events (
    node_id         INTEGER     NOT NULL,
    event           TEXT        NOT NULL,
    successful      BOOLEAN     NOT NULL DEFAULT TRUE,
    event_timestamp TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    details         TEXT        NULL
);

CREATE TABLE repmgr.monitoring_history (
    primary_node_id           INTEGER     NOT NULL,
    standby_node_id           INTEGER     NOT NULL,
    last_monitor_time         TIMESTAMPTZ NOT NULL,
    last_apply_time           TIMESTAMPTZ NULL,
    last_wal_primary_location PG_LSN      NOT NULL,
    last_wal_standby_location PG_LSN      NULL,
    replication_lag           BIGINT      NOT NULL,
    apply_lag                 BIGINT      NOT NULL
);

CREATE INDEX idx_monitoring_history_time ON repmgr.monitoring_history (last_monitor_time, standby_node_id);

-- At most one row, which cannot be deleted.
CREATE TABLE repmgr.voting_term (
    term INTEGER NOT NULL
);

CREATE UNIQUE INDEX voting_term_restrict ON repmgr.voting_term ((TRUE));

CREATE RULE voting_term_delete AS ON DELETE TO repmgr.voting_term DO INSTEAD NOTHING;

SELECT pg_catalog.pg_extension_config_dump('repmgr.nodes', '');
SELECT pg_catalog.pg_extension_config_dump('repmgr.events', '');
SELECT pg_catalog.pg_extension_config_dump('repmgr.monitoring_history', '');

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

CREATE FUNCTION repmgr.set_local_node_id(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_local_node_id' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_local_node_id() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_local_node_id' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.standby_set_last_updated() RETURNS TIMESTAMPTZ
    AS 'MODULE_PATHNAME', 'repmgr_standby_set_last_updated' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.standby_get_last_updated() RETURNS TIMESTAMPTZ
    AS 'MODULE_PATHNAME', 'repmgr_standby_get_last_updated' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.set_upstream_last_seen(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_upstream_last_seen' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_upstream_last_seen() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_upstream_last_seen' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_upstream_node_id() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_upstream_node_id' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.set_upstream_node_id(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_upstream_node_id' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.notify_follow_primary(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_notify_follow_primary' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_new_primary() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_new_primary' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.reset_voting_status() RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_reset_voting_status' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_repmgrd_pid() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'get_repmgrd_pid' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_repmgrd_pidfile() RETURNS TEXT
    AS 'MODULE_PATHNAME', 'get_repmgrd_pidfile' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.set_repmgrd_pid(INTEGER, TEXT) RETURNS void
    AS 'MODULE_PATHNAME', 'set_repmgrd_pid' LANGUAGE C CALLED ON NULL INPUT;

CREATE FUNCTION repmgr.repmgrd_is_running() RETURNS BOOLEAN
    AS 'MODULE_PATHNAME', 'repmgrd_is_running' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.repmgrd_pause(BOOLEAN) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgrd_pause' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.repmgrd_is_paused() RETURNS BOOLEAN
    AS 'MODULE_PATHNAME', 'repmgrd_is_paused' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_wal_receiver_pid() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_wal_receiver_pid' LANGUAGE C STRICT;

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
