-- 5.0: a daemon that stops tells the server so by passing NULL as its pid file.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

ALTER FUNCTION repmgr.set_repmgrd_pid(INTEGER, TEXT) CALLED ON NULL INPUT;
