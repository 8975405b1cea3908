CREATE OR REPLACE FUNCTION repmgr.set_local_node_id(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_local_node_id' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_local_node_id() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_local_node_id' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.standby_set_last_updated() RETURNS TIMESTAMPTZ
    AS 'MODULE_PATHNAME', 'repmgr_standby_set_last_updated' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.standby_get_last_updated() RETURNS TIMESTAMPTZ
    AS 'MODULE_PATHNAME', 'repmgr_standby_get_last_updated' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.set_upstream_last_seen(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_upstream_last_seen' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_upstream_last_seen() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_upstream_last_seen' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_upstream_node_id() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_upstream_node_id' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.set_upstream_node_id(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_upstream_node_id' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.notify_follow_primary(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_notify_follow_primary' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_new_primary() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_new_primary' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.reset_voting_status() RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_reset_voting_status' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_repmgrd_pid() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'get_repmgrd_pid' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_repmgrd_pidfile() RETURNS TEXT
    AS 'MODULE_PATHNAME', 'get_repmgrd_pidfile' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.set_repmgrd_pid(INTEGER, TEXT) RETURNS void
    AS 'MODULE_PATHNAME', 'set_repmgrd_pid' LANGUAGE C CALLED ON NULL INPUT;

CREATE OR REPLACE FUNCTION repmgr.repmgrd_is_running() RETURNS BOOLEAN
    AS 'MODULE_PATHNAME', 'repmgrd_is_running' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.repmgrd_pause(BOOLEAN) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgrd_pause' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.repmgrd_is_paused() RETURNS BOOLEAN
    AS 'MODULE_PATHNAME', 'repmgrd_is_paused' LANGUAGE C STRICT;

CREATE OR REPLACE FUNCTION repmgr.get_wal_receiver_pid() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_wal_receiver_pid' LANGUAGE C STRICT;
