-- The functions that came with 4.3 are created by the step to 5.3, which names the C symbols that the library has.

\echo Use "ALTER EXTENSION repmgr UPDATE" to load this file. \quit
