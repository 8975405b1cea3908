//! The schema as the catalogue of a server has it: what `primary register` creates, and what an update leaves.

use crate::script::{Script, compare};

#[test]
fn the_catalogue() {
    compare("conformance-catalogue", 1, catalogue_script);
}

/// Members of the extension and of its schema, each question with what it is about.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "schema",
        "SELECT nspname, nspowner::regrole, nspacl FROM pg_namespace WHERE nspname = 'repmgr'",
    ),
    (
        "relations",
        "SELECT relname, relkind, relpersistence, relowner::regrole, relacl, relreplident, relnatts, reloptions \
         FROM pg_class WHERE relnamespace = 'repmgr'::regnamespace AND relkind <> 't' ORDER BY 1",
    ),
    (
        "columns",
        "SELECT attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attisdropped, \
         attacl, pg_get_expr(adbin, adrelid) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid \
         LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
         WHERE relnamespace = 'repmgr'::regnamespace AND attnum > 0 ORDER BY attrelid::regclass::text, 2",
    ),
    (
        "constraints",
        "SELECT conrelid::regclass, conname, contype, pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE connamespace = 'repmgr'::regnamespace ORDER BY conrelid::regclass::text, 2",
    ),
    (
        "indexes",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'repmgr' ORDER BY 1, 2",
    ),
    (
        "views",
        "SELECT viewname, viewowner FROM pg_views WHERE schemaname = 'repmgr' ORDER BY 1",
    ),
    (
        "triggers and rules",
        "SELECT c.relname, (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid), \
         (SELECT count(*) FROM pg_rewrite r WHERE r.ev_class = c.oid) \
         FROM pg_class c WHERE relnamespace = 'repmgr'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1",
    ),
    (
        "types",
        "SELECT typname, typtype, typowner::regrole FROM pg_type WHERE typnamespace = 'repmgr'::regnamespace ORDER BY 1",
    ),
    (
        "functions",
        "SELECT p.oid::regprocedure, prorettype::regtype, proretset, lanname, provolatile, proisstrict, prosecdef, \
         proparallel, proleakproof, proargnames, pronargdefaults, proowner::regrole, proacl, procost, prorows, \
         proconfig, prosrc FROM pg_proc p JOIN pg_language l ON l.oid = prolang \
         WHERE pronamespace = 'repmgr'::regnamespace ORDER BY p.oid::regprocedure::text",
    ),
    (
        "privileges of the role",
        "SELECT relname, privilege FROM pg_class, \
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege \
         WHERE relnamespace = 'repmgr'::regnamespace AND relkind IN ('r', 'v') \
         AND has_table_privilege('someone', pg_class.oid, privilege) ORDER BY 1, 2",
    ),
    (
        "extension",
        "SELECT extname, extowner::regrole, extnamespace::regnamespace, extrelocatable, extversion, \
         extconfig::regclass[], extcondition FROM pg_extension WHERE extname = 'repmgr'",
    ),
    (
        "members",
        "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend \
         WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' \
         AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'repmgr') ORDER BY 1",
    ),
    ("what is dumped", "SELECT * FROM repmgr.voting_term"),
];

fn catalogue_script(script: &mut Script) {
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    script.sql(1, "CREATE ROLE someone");
    look(script, "as registered");
    available(script);
    script.sql(1, "GRANT USAGE ON SCHEMA repmgr TO someone");
    script.sql(1, "GRANT SELECT ON ALL TABLES IN SCHEMA repmgr TO someone");
    for sql in [
        "SELECT count(*) FROM repmgr.nodes",
        "SELECT count(*) FROM repmgr.show_nodes",
        "SELECT count(*) FROM repmgr.replication_status",
        "INSERT INTO repmgr.events SELECT 1, 'x'",
        "SELECT repmgr.get_local_node_id()",
        "SELECT repmgr.set_local_node_id(1)",
        "SELECT repmgr.repmgrd_is_paused()",
        "SELECT repmgr.repmgrd_pause(true)",
        "SELECT repmgr.notify_follow_primary(7)",
        "SELECT repmgr.get_new_primary()",
        "SELECT repmgr.reset_voting_status()",
        "SELECT repmgr.set_upstream_last_seen(7)",
        "SELECT repmgr.get_upstream_node_id(), repmgr.get_upstream_last_seen() >= 0",
        "SELECT repmgr.set_repmgrd_pid(NULL, NULL)",
        "SELECT repmgr.get_repmgrd_pid(), repmgr.get_repmgrd_pidfile(), repmgr.repmgrd_is_running()",
        "SELECT repmgr.standby_set_last_updated() IS NULL, repmgr.standby_get_last_updated() IS NULL",
        "SELECT repmgr.am_bdr_failover_handler(1)",
    ] {
        // As a role that is not the owner, and what the functions say.
        script.output(
            &mut asked_by_someone(script, sql),
            &format!("someone: {sql}"),
            |code, stdout, _| format!("{code}\n{stdout}"),
        );
    }
    views(script);
    dumped(script);
}

/// What the views make of rows; their definitions are words of our own.
fn views(script: &mut Script) {
    script.sql(
        1,
        "INSERT INTO repmgr.nodes(node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) VALUES \
         (2, 1, 'two', 'standby', 'host=two', 'repmgr', '/two'), (3, 2, 'three', 'witness', 'host=three', 'repmgr', '/three')",
    );
    script.sql(
        1,
        "INSERT INTO repmgr.monitoring_history SELECT 1, 2 + n % 2, now() - n * interval '1 day', \
         now() - n * interval '2 days', '0/5000000', '0/4000000', n * 8192, n * 1048576 FROM generate_series(0, 5) AS n",
    );
    script.query(1, "show_nodes", "SELECT * FROM repmgr.show_nodes ORDER BY node_id");
    script.query(
        1,
        "replication_status",
        "SELECT primary_node_id, standby_node_id, standby_name, node_type, active, last_monitor_time::date - now()::date, \
         last_wal_primary_location IS NULL, last_wal_standby_location IS NULL, replication_lag, \
         date_trunc('day', replication_time_lag), apply_lag, date_trunc('day', communication_time_lag) \
         FROM repmgr.replication_status ORDER BY 2",
    );
    script.sql(1, "DELETE FROM repmgr.monitoring_history");
}

fn look(script: &mut Script, when: &str) {
    for (what, sql) in QUESTIONS {
        script.query(1, &format!("{what} {when}"), sql);
    }
}

/// The versions that can be had, and by which updates.
fn available(script: &mut Script) {
    script.query(
        1,
        "the control file",
        "SELECT name, superuser, trusted, relocatable, schema, requires FROM pg_available_extension_versions \
         WHERE name = 'repmgr' AND version = (SELECT extversion FROM pg_extension WHERE extname = 'repmgr')",
    );
}

fn asked_by_someone(script: &Script, sql: &str) -> std::process::Command {
    let server = &script.cluster.node(1).server;
    let mut command = server.command(server.stage.bindir.join("psql"));
    let port = server.port.to_string();
    command
        .args(["-XAtqw", "-U", "postgres", "-h"])
        .arg(&server.folder)
        .args(["-p", &port, "-d", "repmgr", "-v", "ON_ERROR_STOP=1"])
        .args(["-c", "SET ROLE someone", "-c", sql]);
    command
}

/// Which tables go with their rows into a dump.
fn dumped(script: &mut Script) {
    let server = &script.cluster.node(1).server;
    let mut command = server.command(server.stage.bindir.join("pg_dump"));
    command
        .args(["-U", "postgres", "-h"])
        .arg(&server.folder)
        .args(["-p", &server.port.to_string(), "-d", "repmgr"]);
    script.output(&mut command, "pg_dump", |code, stdout, _| {
        let lines = stdout.lines().filter(|line| {
            let is_of_the_schema = line.contains("repmgr") && !line.contains("DATABASE");
            is_of_the_schema
                && !line.starts_with("\\connect")
                && !line.starts_with("--")
                && !line.starts_with("COMMENT")
        });
        format!("{code}\n{}", lines.collect::<Vec<_>>().join("\n"))
    });
}
