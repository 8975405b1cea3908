-- The functions of 4.0, without those for BDR, behind the C symbols of today's library; the update steps bring the others.
CREATE FUNCTION repmgr.set_local_node_id(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_set_local_node_id' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_local_node_id() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_local_node_id' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.standby_set_last_updated() RETURNS TIMESTAMPTZ
    AS 'MODULE_PATHNAME', 'repmgr_standby_set_last_updated' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.standby_get_last_updated() RETURNS TIMESTAMPTZ
    AS 'MODULE_PATHNAME', 'repmgr_standby_get_last_updated' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.notify_follow_primary(INTEGER) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_notify_follow_primary' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_new_primary() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'repmgr_get_new_primary' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.reset_voting_status() RETURNS void
    AS 'MODULE_PATHNAME', 'repmgr_reset_voting_status' LANGUAGE C STRICT;
