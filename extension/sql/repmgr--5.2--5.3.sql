-- 5.3: C symbols that no other library is likely to have, and the functions that came with 4.3 and 4.4.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

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

CREATE OR REPLACE FUNCTION repmgr.get_wal_receiver_pid() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_wal_receiver_pid' LANGUAGE C STRICT;
