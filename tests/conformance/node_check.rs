//! `node check`: every check in every form, on nodes that are well and on nodes that are not.

use std::path::Path;

use crate::script::{Script, compare};
use crate::support::{eventually, user};

#[test]
fn node_check() {
    compare("conformance-node-check", 3, node_check_script);
}

const CHECKS: &[&str] = &[
    "",
    "--role",
    "--replication-lag",
    "--archive-ready",
    "--upstream",
    "--downstream",
    "--slots",
    "--missing-slots",
    "--data-directory-config",
    "--repmgrd",
];

const FORMS: &[&str] = &["", "--csv", "--nagios", "--optformat"];

/// What originals run over SSH in a switchover.
const ASKED_BY_OTHERS: &[&str] = &[
    "node check --data-directory-config --optformat -LINFO",
    "node check --db-connection --superuser=postgres --optformat -LINFO",
    "node check --replication-config-owner --optformat -LINFO",
    "node check --remote-node-id=1 --replication-connection",
    "node check --remote-node-id=2 --replication-connection",
    "node check --remote-node-id=9 --replication-connection --nagios",
    "node check --replication-connection",
    "node check --terse -LERROR --archive-ready --optformat",
    "node check --has-passfile",
    "node check --has-passfile --optformat --role",
];

/// One look at a check in a form. The combined Nagios line is new here.
fn check(script: &mut Script, id: u32, option: &str, form: &str) {
    let words: Vec<&str> = ["node", "check", option, form]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    if option.is_empty() && form == "--nagios" && script.cluster.node(id).server.is_running() {
        script.differs("check-nagios-report", "exit ");
    }
    script.show(id, &words);
}

fn look(script: &mut Script, what: &str, ids: &[u32], options: &[&str]) {
    script.fact(what, "");
    for &id in ids {
        for option in options {
            for form in FORMS {
                check(script, id, option, form);
            }
        }
    }
}

fn node_check_script(script: &mut Script) {
    script.shows(1, ASKED_BY_OTHERS);
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    script.standby_of(2, 1, 1);
    script.standby_of(3, 1, 1);
    script.wait_replayed(1, 2);
    look(script, "all is well", &[1, 2], CHECKS);
    for id in [1, 2] {
        script.shows(id, ASKED_BY_OTHERS);
    }
    options(script);
    daemons(script);
    slots(script);
    roles(script);
    files(script);
    lag(script);
    detached(script);
    unreachable(script);
}

fn options(script: &mut Script) {
    script.shows(
        2,
        &[
            "node check --role --archive-ready",
            "node check --repmgrd --role --nagios",
            "standby check --upstream",
            "primary check",
            "node check --db-connection",
            "node check --db-connection --role --optformat",
            "node check --replication-config-owner",
            "node check --replication-config-owner --role --optformat",
            "node check --role -S postgres",
            "node check --db-connection -S nosuch --optformat",
            "node check --role -S nosuch",
            "node check --role -S nosuch --optformat",
            "node check --optformat -S nosuch",
        ],
    );
    script.runs(
        2,
        &[
            "node check --db-connection --csv",
            "node check --db-connection --nagios",
            "node check --db-connection -S nosuch",
            "node check --replication-config-owner --nagios",
            "node check --csv --nagios",
        ],
    );
}

fn daemons(script: &mut Script) {
    for id in [1, 2] {
        // Any process will do.
        let pid = script.cluster.node(id).server.pid().expect("a running server");
        script.sql(id, &format!("SELECT repmgr.set_repmgrd_pid({pid}, '/tmp/repmgrd.pid')"));
    }
    look(script, "a daemon", &[1, 2], &["--repmgrd"]);
    script.sql(2, "SELECT repmgr.repmgrd_pause(true)");
    look(script, "a paused daemon", &[1, 2], &["--repmgrd", ""]);
    script.sql(2, "SELECT repmgr.repmgrd_pause(false)");
}

fn slots(script: &mut Script) {
    let options = &["", "--slots", "--missing-slots"];
    script.sql(1, "SELECT pg_create_physical_replication_slot('foo')");
    script.sql(
        1,
        "UPDATE repmgr.nodes SET slot_name = 'repmgr_slot_2' WHERE node_id = 2",
    );
    look(script, "an inactive and a missing slot", &[1], options);
    script.sql(1, "UPDATE repmgr.nodes SET active = false WHERE node_id = 2");
    look(script, "of an inactive node", &[1], options);
    script.sql(1, "SELECT pg_drop_replication_slot('foo')");
    script.sql(1, "UPDATE repmgr.nodes SET slot_name = NULL, active = true");
    look(script, "no more", &[1], options);
}

fn roles(script: &mut Script) {
    let options = &["", "--role", "--upstream", "--downstream", "--replication-lag"];
    for (what, sql) in [
        (
            "types exchanged",
            "UPDATE repmgr.nodes SET type = CASE node_id WHEN 2 THEN 'primary' ELSE 'standby' END",
        ),
        (
            "witnesses",
            "UPDATE repmgr.nodes SET type = CASE node_id WHEN 3 THEN 'primary' ELSE 'witness' END",
        ),
        (
            "no upstream",
            "UPDATE repmgr.nodes SET upstream_node_id = NULL, type = CASE node_id WHEN 1 THEN 'primary' ELSE 'standby' END",
        ),
        (
            "another upstream",
            "UPDATE repmgr.nodes SET upstream_node_id = 3 WHERE node_id = 2",
        ),
        (
            "an inactive record",
            "UPDATE repmgr.nodes SET active = false, upstream_node_id = 1 WHERE node_id = 2",
        ),
    ] {
        script.sql(1, sql);
        script.wait_replayed(1, 2);
        look(script, what, &[1, 2], options);
    }
    script.sql(
        1,
        "UPDATE repmgr.nodes SET active = true, upstream_node_id = CASE node_id WHEN 1 THEN NULL ELSE 1 END",
    );
    script.wait_replayed(1, 2);
}

fn files(script: &mut Script) {
    script.cluster.node(1).server.stop("fast");
    script.server_settings(1, "archive_mode = on\narchive_command = '/bin/false'\n");
    script.cluster.node(1).server.start();
    script.cluster.wait_streaming(1, 2);
    script.cluster.wait_streaming(1, 3);
    let status = script.cluster.node(1).server.data.join("pg_wal/archive_status");
    for name in ["a", "b", "c"] {
        user::write(&status.join(format!("{name}.ready")), "");
    }
    user::folder(&status.join("folder.ready"));
    for settings in [
        "archive_ready_warning=3\narchive_ready_critical=4\n",
        "archive_ready_warning=2\narchive_ready_critical=3\n",
        "archive_ready_warning=1\narchive_ready_critical=2\n",
    ] {
        script.cluster.node(1).write_config(settings);
        look(script, settings, &[1], &["", "--archive-ready"]);
        script.shows(1, &["node check --terse -LERROR --archive-ready --optformat"]);
    }
    script.cluster.node(1).write_config("");
    for name in ["a", "b", "c"] {
        let path = status.join(format!("{name}.ready"));
        std::fs::remove_file(path).expect("the file that was written");
    }
    std::fs::remove_dir(status.join("folder.ready")).expect("the folder that was made");

    let (own, other) = (
        script.cluster.node(1).server.data.clone(),
        script.cluster.node(2).server.data.clone(),
    );
    let options = &["", "--data-directory-config", "--archive-ready"];
    for wrong in [other.as_path(), &own.join("base"), Path::new("/nonexistent")] {
        let text = format!("data_directory='{}'\n", wrong.display());
        script.cluster.node(1).write_config(&text);
        look(script, &text, &[1], options);
        // Without postgresql.auto.conf the original's answer is a matter of luck.
        if !wrong.ends_with("base") {
            script.shows(1, ASKED_BY_OTHERS);
        }
    }
    script.cluster.node(1).write_config("");
    if nix::unistd::geteuid().is_root() {
        let file = own.join("postgresql.auto.conf");
        std::os::unix::fs::chown(&file, Some(0), None).expect("another owner");
        script.shows(1, ASKED_BY_OTHERS);
        user::give(&file);
    }
}

fn lag(script: &mut Script) {
    script
        .cluster
        .node(2)
        .write_config("replication_lag_warning=1\nreplication_lag_critical=3600\n");
    script.sql(1, "CREATE TABLE written (number int)");
    script.wait_replayed(1, 2);
    script.sql(2, "SELECT pg_wal_replay_pause()");
    script.sql(1, "INSERT INTO written VALUES (1)");
    let options = ["--replication-lag", ""];
    let lags = |script: &Script, seconds: u32| {
        eventually("node2 lags", || {
            let sql = format!(
                "SELECT pg_last_wal_receive_lsn() <> pg_last_wal_replay_lsn() \
                 AND now() - pg_last_xact_replay_timestamp() > interval '{seconds} s'"
            );
            (script.cluster.node(2).server.query(&sql) == "t").then_some(())
        });
    };
    lags(script, 3);
    let run = |script: &mut Script, what: &str| {
        script.fact(what, "");
        for option in options {
            for form in ["", "--csv", "--nagios", "--optformat"] {
                if option.is_empty() && form == "--nagios" {
                    continue;
                }
                let line = format!("node check {option} {form}");
                script.shows(2, &[line.trim()]);
            }
        }
    };
    run(script, "a warning");
    script
        .cluster
        .node(2)
        .write_config("replication_lag_warning=1\nreplication_lag_critical=2\n");
    run(script, "critical");
    script.sql(2, "SELECT pg_wal_replay_resume()");
    script.cluster.node(2).write_config("");
    script.wait_replayed(1, 2);
}

fn detached(script: &mut Script) {
    script.cluster.node(3).server.stop("fast");
    let options = &["", "--downstream"];
    look(script, "node3 is down", &[1], options);
    script.cluster.node(2).server.stop("fast");
    look(script, "node2 is down, too", &[1], options);
    look(script, "asked of node2", &[2], CHECKS);
    script.shows(2, ASKED_BY_OTHERS);
    script.cluster.node(2).server.start();
    script.cluster.wait_streaming(1, 2);
}

fn unreachable(script: &mut Script) {
    script.sql(1, "UPDATE repmgr.nodes SET upstream_node_id = 3 WHERE node_id = 2");
    script.wait_replayed(1, 2);
    script
        .differs("check-unreachable-upstream", "exit 2")
        .run(2, &["node", "check", "--upstream"]);
    script
        .differs("check-unreachable-upstream", "exit 25")
        .run(2, &["node", "check"]);
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 2");
    script.wait_replayed(1, 2);
    script.fact("no record", "");
    script.shows(
        2,
        &[
            "node check",
            "node check --csv",
            "node check --optformat",
            "node check --role",
        ],
    );
    script.shows(2, ASKED_BY_OTHERS);
}
