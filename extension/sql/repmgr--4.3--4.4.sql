-- The functions that came with 4.4 are created by the step to 5.3, which names the C symbols that the library has.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

-- 4.3 had a form without an argument, behind which there is no C function any more.
DROP FUNCTION IF EXISTS repmgr.set_upstream_last_seen();
