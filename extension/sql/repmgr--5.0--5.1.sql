-- 5.1 ended the support of BDR.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit

DROP FUNCTION IF EXISTS repmgr.am_bdr_failover_handler(INTEGER);
DROP FUNCTION IF EXISTS repmgr.unset_bdr_failover_handler();
