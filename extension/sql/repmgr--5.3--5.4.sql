-- 5.4 changed no object of the extension.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit
