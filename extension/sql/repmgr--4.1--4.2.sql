-- 4.2: the server knows the daemon, which can be paused.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

CREATE FUNCTION repmgr.get_repmgrd_pid() RETURNS INTEGER
    AS 'MODULE_PATHNAME', 'get_repmgrd_pid' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.get_repmgrd_pidfile() RETURNS TEXT
    AS 'MODULE_PATHNAME', 'get_repmgrd_pidfile' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.set_repmgrd_pid(INTEGER, TEXT) RETURNS void
    AS 'MODULE_PATHNAME', 'set_repmgrd_pid' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.repmgrd_is_running() RETURNS BOOLEAN
    AS 'MODULE_PATHNAME', 'repmgrd_is_running' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.repmgrd_pause(BOOLEAN) RETURNS void
    AS 'MODULE_PATHNAME', 'repmgrd_pause' LANGUAGE C STRICT;

CREATE FUNCTION repmgr.repmgrd_is_paused() RETURNS BOOLEAN
    AS 'MODULE_PATHNAME', 'repmgrd_is_paused' LANGUAGE C STRICT;
