-- 5.4 changed no object of the extension; installations that were updated from long ago become as new ones.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

-- The original's step to 5.0 leaves it strict, so that a daemon that stops cannot say so.
ALTER FUNCTION repmgr.set_repmgrd_pid(INTEGER, TEXT) CALLED ON NULL INPUT;

-- 4.3 had a form without an argument, behind which there is no C function any more.
DROP FUNCTION IF EXISTS repmgr.set_upstream_last_seen();
