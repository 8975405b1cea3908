//! Installing and updating the extension.

use crate::support::server::Server;
use crate::{Primary, messages};

/// Everything about the extension's objects that a client can notice, one row each; no object identifiers.
pub const CATALOG: &[&str] = &[
    "SELECT 'extension', extversion, extrelocatable, extnamespace::regnamespace, \
            (SELECT array_agg(c::regclass::text ORDER BY 1) FROM unnest(extconfig) AS c), extcondition \
       FROM pg_extension WHERE extname = 'repmgr'",
    "SELECT 'member', pg_describe_object(classid, objid, objsubid) FROM pg_depend \
      WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'repmgr')",
    "SELECT 'function', proname, pg_get_function_arguments(oid), proargnames, pg_get_function_result(oid), \
            proisstrict, provolatile, proparallel, prosecdef, proleakproof, procost, prosrc, probin, proacl, proconfig \
       FROM pg_proc WHERE pronamespace = 'repmgr'::regnamespace",
    "SELECT 'relation', relname, relkind, relpersistence, relacl, reloptions, relreplident, relhasrules \
       FROM pg_class WHERE relnamespace = 'repmgr'::regnamespace",
    "SELECT 'column', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, \
            (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum) \
       FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid \
      WHERE relnamespace = 'repmgr'::regnamespace AND attnum > 0",
    "SELECT 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid), condeferrable, condeferred \
       FROM pg_constraint WHERE connamespace = 'repmgr'::regnamespace",
    "SELECT 'index', pg_get_indexdef(indexrelid), indisunique, indisprimary \
       FROM pg_index JOIN pg_class AS c ON c.oid = indrelid WHERE relnamespace = 'repmgr'::regnamespace",
    "SELECT 'rule', tablename, rulename, definition FROM pg_rules WHERE schemaname = 'repmgr'",
];

/// The rows of [`CATALOG`], sorted.
pub fn catalog(server: &Server) -> Vec<String> {
    catalog_in(server, "repmgr")
}

/// The same of any database.
pub fn catalog_in(server: &Server, database: &str) -> Vec<String> {
    let rows = server.try_queries_in(database, CATALOG);
    let rows = rows.unwrap_or_else(|error| panic!("{database}: {error}"));
    let mut rows: Vec<String> = rows.lines().map(String::from).collect();
    rows.sort_unstable();
    rows
}

fn version(server: &Server) -> String {
    server.query("SELECT extversion FROM pg_extension WHERE extname = 'repmgr'")
}

fn recreate(server: &Server, how: &str) {
    server.query(&format!("DROP EXTENSION repmgr; CREATE EXTENSION repmgr {how}"));
}

/// The same rows without the extension's own, which holds the version.
fn objects(server: &Server) -> Vec<String> {
    let version = format!("extension|{}|", version(server));
    let rows = catalog(server).into_iter();
    rows.map(|row| row.replace(&version, "extension|…|")).collect()
}

#[test]
fn every_version_has_the_same_objects_however_it_was_reached() {
    let server = Primary::up("");
    let default = version(&server);
    assert!(["5.3", "5.5"].contains(&default.as_str()), "default version {default}");

    recreate(&server, "VERSION '5.3'");
    let fresh = objects(&server);
    assert_eq!(fresh.iter().filter(|row| row.starts_with("function|")).count(), 18);
    for step in ["5.4", "5.5"] {
        server.query("INSERT INTO repmgr.events (node_id, event) VALUES (1, 'kept')");
        server.query(&format!("ALTER EXTENSION repmgr UPDATE TO '{step}'"));
        assert_eq!((version(&server).as_str(), objects(&server)), (step, fresh.clone()));
    }
    assert_eq!(server.query("SELECT count(*) FROM repmgr.events"), "2");
    for fresh_version in ["5.4", "5.5"] {
        recreate(&server, &format!("VERSION '{fresh_version}'"));
        assert_eq!((version(&server).as_str(), &objects(&server)), (fresh_version, &fresh));
    }

    // What an installation of long ago looks like: no library of that time exists here, so it is made from today's.
    let settings_of = |old: &str| format!("UPDATE pg_extension SET extversion = '{old}' WHERE extname = 'repmgr'");
    let unprefix =
        "UPDATE pg_proc SET prosrc = replace(prosrc, 'repmgr_', '') WHERE pronamespace = 'repmgr'::regnamespace";
    let drop = |names: &[&str]| -> String {
        let one =
            |name: &&str| format!("ALTER EXTENSION repmgr DROP FUNCTION repmgr.{name}; DROP FUNCTION repmgr.{name};");
        names.iter().map(one).collect()
    };
    let since_4_3 = [
        "get_upstream_last_seen()",
        "get_upstream_node_id()",
        "set_upstream_node_id(int)",
        "set_upstream_last_seen(int)",
        "get_wal_receiver_pid()",
    ];
    let since_4_2 = [
        "get_repmgrd_pid()",
        "get_repmgrd_pidfile()",
        "set_repmgrd_pid(int,text)",
        "repmgrd_is_running()",
        "repmgrd_pause(bool)",
        "repmgrd_is_paused()",
    ];
    let add = |name: &str, result: &str| {
        format!(
            "CREATE FUNCTION repmgr.{name} RETURNS {result} AS '$libdir/repmgr', 'repmgr_reset_voting_status' \
             LANGUAGE C STRICT; ALTER EXTENSION repmgr ADD FUNCTION repmgr.{name};"
        )
    };
    let bdr = add("am_bdr_failover_handler(int)", "boolean") + &add("unset_bdr_failover_handler()", "void");
    let no_dump = "UPDATE pg_extension SET extconfig = NULL, extcondition = NULL WHERE extname = 'repmgr';";
    let strict = "ALTER FUNCTION repmgr.set_repmgrd_pid STRICT;";
    let histories = [
        ("4.0", no_dump.to_owned() + &drop(&since_4_3) + &drop(&since_4_2) + &bdr),
        ("4.2", no_dump.to_owned() + &drop(&since_4_3) + &bdr + strict),
        // A real 4.3 has a function without argument that later became one with an argument.
        (
            "4.3",
            no_dump.to_owned() + &drop(&since_4_3[1..4]) + &add("set_upstream_last_seen()", "void") + &bdr + strict,
        ),
        ("5.0", no_dump.to_owned() + &bdr),
        ("5.1", no_dump.to_owned()),
        ("5.2", String::new()),
    ];
    for (old, history) in histories {
        recreate(&server, "VERSION '5.3'");
        server.query(&history);
        server.query(unprefix);
        server.query(&settings_of(old));
        server.query("ALTER EXTENSION repmgr UPDATE TO '5.5'");
        assert_eq!(objects(&server), fresh, "from {old}");
    }
}

#[test]
fn metadata_of_repmgr_3_comes_along() {
    let server = Primary::up("");
    // CREATE EXTENSION … FROM unpackaged ended with PostgreSQL 13; the scripts can still be run as updates of nothing.
    for version in ["4.0", "5.1", "5.2", "5.3"] {
        server.query(
            "CREATE SCHEMA repmgr_old; \
             CREATE TABLE repmgr_old.repl_nodes (id int PRIMARY KEY, type text NOT NULL, upstream_node_id int, \
                 cluster text, name text, conninfo text, slot_name text, priority int, active bool); \
             CREATE TABLE repmgr_old.repl_events (node_id int, event text, successful bool, \
                 event_timestamp timestamptz, details text); \
             CREATE TABLE repmgr_old.repl_monitor (primary_node int, standby_node int, last_monitor_time timestamptz, \
                 last_apply_time timestamptz, last_wal_primary_location text, last_wal_standby_location text, \
                 replication_lag bigint, apply_lag bigint); \
             CREATE VIEW repmgr_old.repl_show_nodes AS SELECT * FROM repmgr_old.repl_nodes; \
             CREATE VIEW repmgr_old.repl_status AS SELECT * FROM repmgr_old.repl_monitor; \
             INSERT INTO repmgr_old.repl_nodes VALUES (2, 'standby', 1, 'old', 'b', 'host=b', 's', 5, true), \
                 (1, 'master', NULL, 'old', 'a', 'host=a', NULL, 6, true); \
             INSERT INTO repmgr_old.repl_events VALUES (1, 'master_register', true, now(), 'd'); \
             INSERT INTO repmgr_old.repl_monitor VALUES (1, 2, now(), NULL, '0/2', '0/1', 1, 0)",
        );
        empty_extension(&server);
        server.query(&format!("ALTER EXTENSION repmgr UPDATE TO '{version}'"));
        if version < "5.3" {
            server.query("ALTER EXTENSION repmgr UPDATE TO '5.3'");
        }
        assert_eq!(
            server.query("SELECT * FROM repmgr.nodes ORDER BY node_id"),
            "1||t|a|primary|default|6|host=a|unknown||unknown\n2|1|t|b|standby|default|5|host=b|unknown|s|unknown"
        );
        let rest = "SELECT e.event, e.details, m.last_wal_primary_location, m.replication_lag, v.term \
                      FROM repmgr.events AS e, repmgr.monitoring_history AS m, repmgr.voting_term AS v";
        assert_eq!(server.query(rest), "master_register|d|0/2|1|1");
        let migrated = objects(&server);
        server.query("DROP SCHEMA repmgr_old");
        recreate(&server, "VERSION '5.3'");
        assert_eq!(migrated, objects(&server), "unpackaged to {version}");
    }
    // Without such a schema nothing happens.
    empty_extension(&server);
    assert_eq!(
        messages(&server, "ALTER EXTENSION repmgr UPDATE TO '4.0'"),
        "ERROR:  P0001"
    );
    assert_eq!(version(&server), "unpackaged");
}

/// Leaves the extension without any object, under the version from which the migrations start.
fn empty_extension(server: &Server) {
    server.query(
        "DELETE FROM pg_depend USING pg_extension AS e WHERE e.extname = 'repmgr' \
            AND (refclassid, refobjid) = ('pg_extension'::regclass, e.oid) \
             OR e.extname = 'repmgr' AND (classid, objid) = ('pg_extension'::regclass, e.oid); \
         DROP SCHEMA repmgr CASCADE; CREATE SCHEMA repmgr; \
         UPDATE pg_extension SET extversion = 'unpackaged', extconfig = NULL, extcondition = NULL, \
            extnamespace = 'repmgr'::regnamespace WHERE extname = 'repmgr'",
    );
}
