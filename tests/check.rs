//! `node check` on real servers: what it says, against what the servers report.

mod support;

use serde_json::Value;

use nix::sys::signal::Signal;
use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::{eventually, user};

/// Exit code and standard output.
fn check(node: &Node, options: &[&str]) -> (i32, String) {
    let output = node.repmgr(&[&["node", "check"], options].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = output
        .status
        .code()
        .unwrap_or_else(|| panic!("{options:?}: {output:?}"));
    (code, text)
}

fn json(node: &Node, options: &[&str]) -> Value {
    let (_, text) = check(node, &[options, &["--format=json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{options:?}: {error}\n{text}"))
}

/// What a check measured.
fn measures(node: &Node, option: &str) -> Value {
    json(node, &[option])["checks"][0]["measures"].clone()
}

/// The checks of the combined report that are not OK, in order.
fn complaints(node: &Node) -> Vec<String> {
    let report = json(node, &[]);
    let checks = report["checks"].as_array().expect("checks");
    let bad = checks.iter().filter(|check| check["status"] != "OK");
    bad.map(|check| check["check"].as_str().expect("a name").to_owned())
        .collect()
}

fn wait_replayed(cluster: &Cluster, standby: u32) {
    let written = cluster.node(1).server.query("SELECT pg_current_wal_lsn()");
    let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    eventually("all is replayed", || {
        (cluster.node(standby).server.try_query(&sql).as_deref() == Ok("t")).then_some(())
    });
}

#[test]
fn nodes_in_order_pass_and_what_is_broken_is_named() {
    let cluster = Cluster::up_with("check", 3, "", "use_replication_slots=true");
    let (first, second) = (cluster.node(1), cluster.node(2));
    wait_replayed(&cluster, 2);
    for node in [first, second] {
        assert_eq!(complaints(node), [""; 0]);
        assert_eq!(check(node, &[]).0, 0);
        assert_eq!(check(node, &["--csv"]).0, 0);
        let (code, line) = check(node, &["--nagios"]);
        assert!(
            code == 0 && line.starts_with("REPMGR_NODE OK: 8 checks passed | lag="),
            "{line}"
        );
    }
    assert_eq!(measures(first, "--downstream")["attached"], 2);
    assert_eq!(measures(second, "--upstream")["upstream_node_name"], "node1");
    assert_eq!(measures(first, "--slots")["slots"], 2);

    // A slot that nobody uses, and one that a standby needs.
    first
        .server
        .query("SELECT pg_create_physical_replication_slot('left_over')");
    assert_eq!(
        measures(first, "--slots")["inactive_slots"],
        serde_json::json!(["left_over"])
    );
    first
        .server
        .query("UPDATE repmgr.nodes SET slot_name = 'gone' WHERE node_id = 3");
    assert_eq!(
        check(first, &["--missing-slots", "--nagios"]),
        (
            2,
            "REPMGR_MISSING_SLOTS CRITICAL: 1 physical replication slots are missing: gone | missing_slots=1;gone\n"
                .to_owned()
        )
    );
    assert_eq!(complaints(first), ["slots", "missing-slots"]);
    assert_eq!(check(first, &[]).0, 25);
    first.server.query("SELECT pg_drop_replication_slot('left_over')");
    first
        .server
        .query("UPDATE repmgr.nodes SET slot_name = 'repmgr_slot_3' WHERE node_id = 3");

    // A downstream node that is not there.
    cluster.node(3).server.stop("fast");
    eventually("node3 is detached", || {
        (measures(first, "--downstream")["missing_node_ids"] == serde_json::json!([3])).then_some(())
    });
    assert_eq!(
        check(first, &["--downstream"]),
        (
            2,
            "CRITICAL (1 of 2 downstream nodes not attached; missing: node3 (ID: 3))\n".to_owned()
        )
    );

    // A standby promoted behind the metadata's back.
    second.server.query("SELECT pg_promote()");
    cluster.wait_primary(2);
    let (code, line) = check(second, &["--role", "--nagios"]);
    assert_eq!(code, 2, "{line}");
    assert_eq!(complaints(second)[..2], ["role".to_owned(), "upstream".to_owned()]);
}

#[test]
fn lag_is_what_the_server_measures() {
    let cluster = Cluster::up("check-lag", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    let thresholds = |warning: u32, critical: u32| {
        second.write_config(&format!(
            "replication_lag_warning={warning}\nreplication_lag_critical={critical}"
        ));
    };
    first.server.query("CREATE TABLE written (number int)");
    wait_replayed(&cluster, 2);
    assert_eq!(measures(second, "--replication-lag")["lag_seconds"], 0);
    second.server.query("SELECT pg_wal_replay_pause()");
    first.server.query("INSERT INTO written VALUES (1)");
    let age = "SELECT round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()))";
    let seconds = || second.server.query(age).parse::<i64>().expect("a number");
    eventually("the standby lags", || {
        let received = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
        (second.server.query(received) == "t" && seconds() >= 2).then_some(())
    });
    thresholds(1, 3600);
    let earliest = seconds();
    let (code, line) = check(second, &["--replication-lag", "--nagios"]);
    let latest = seconds();
    assert_eq!(code, 1, "{line}");
    let lag = line
        .strip_prefix("REPMGR_REPLICATION_LAG WARNING: ")
        .and_then(|line| line.split_once(' '))
        .map(|(lag, _)| lag.parse::<i64>().expect("a number"));
    assert!(lag.is_some_and(|lag| (earliest..=latest).contains(&lag)), "{line}");
    assert!(line.ends_with(";1;3600\n"), "{line}");
    thresholds(1, 2);
    let (code, line) = check(second, &["--replication-lag", "--optformat"]);
    assert_eq!(code, 2, "{line}");
    assert!(
        line.starts_with("--status=CRITICAL --lag=") && line.ends_with(" --threshold=2\n"),
        "{line}"
    );
    second.server.query("SELECT pg_wal_replay_resume()");
    wait_replayed(&cluster, 2);
    assert_eq!(check(second, &["--replication-lag"]).0, 0);
}

#[test]
fn files_that_are_not_archived_are_counted() {
    let cluster = Cluster::new("check-archive", 1);
    let node = cluster.node(1);
    node.write_config("archive_ready_warning=1\narchive_ready_critical=2");
    cluster.primary_up("archive_mode = on\narchive_command = 'false'");
    let counted = || {
        let sql = "SELECT count(*) FROM pg_ls_dir('pg_wal/archive_status') AS name WHERE name LIKE '%.ready'";
        node.server.query(sql)
    };
    for (expected, code) in [(1, 0), (2, 1), (3, 2)] {
        while counted().parse::<i32>().expect("a number") < expected {
            node.server.query("SELECT pg_create_restore_point('more')");
            node.server.query("SELECT pg_switch_wal()");
        }
        assert_eq!(measures(node, "--archive-ready")["files"].to_string(), counted());
        let (ended, line) = check(node, &["--archive-ready", "--terse", "-LERROR", "--optformat"]);
        assert_eq!(ended, code, "{line}");
        assert!(line.contains(&format!("--files={expected}")), "{line}");
    }
    assert_eq!(complaints(node), ["archive-ready"]);
}

#[test]
fn another_directory_or_owner_is_found() {
    let cluster = Cluster::up("check-directory", 1);
    let node = cluster.node(1);
    let data = node.server.data.display().to_string();
    let asked = ["--data-directory-config", "--optformat", "-LINFO"];
    assert_eq!(check(node, &asked), (0, "--configured-data-directory=OK\n".to_owned()));
    let owner = ["--replication-config-owner", "--optformat", "-LINFO"];
    assert_eq!(check(node, &owner), (0, "--replication-config-owner=OK\n".to_owned()));
    if nix::unistd::geteuid().is_root() {
        let file = node.server.data.join("postgresql.auto.conf");
        std::os::unix::fs::chown(&file, Some(0), None).expect("another owner");
        assert_eq!(
            check(node, &owner),
            (2, "--replication-config-owner=CRITICAL\n".to_owned())
        );
        user::give(&file);
    }

    node.write_config(&format!("data_directory='{data}/base'"));
    assert_eq!(
        check(node, &asked),
        (2, "--configured-data-directory=CRITICAL\n".to_owned())
    );
    assert_eq!(measures(node, "--data-directory-config")["actual"], data.as_str());
    assert_eq!(check(node, &["--archive-ready"]).0, 3);
    assert_eq!(complaints(node), ["archive-ready", "data-directory-config"]);
    if Flavor::current() == Flavor::Unprivileged {
        // A role that may not see the setting still notices what is no data directory at all.
        node.server.query("REVOKE pg_monitor FROM repmgr");
        assert_eq!(check(node, &asked).0, 2);
        node.write_config("");
        assert_eq!(check(node, &asked).0, 0);
        assert_eq!(measures(node, "--data-directory-config")["actual"], Value::Null);
    }
}

#[test]
fn the_daemon_is_seen_as_it_is() {
    let mut cluster = Cluster::up("check-daemon", 1);
    let repmgrd = |cluster: &Cluster| check(cluster.node(1), &["--repmgrd", "--nagios"]);
    let missing = (2, "REPMGRD CRITICAL: repmgrd not running\n".to_owned());
    assert_eq!(repmgrd(&cluster), missing);
    cluster.node_mut(1).start_daemon();
    assert_eq!(repmgrd(&cluster), (0, "REPMGRD OK: repmgrd running\n".to_owned()));
    cluster.node(1).repmgr_ok(&["service", "pause"]);
    let paused = (1, "REPMGRD WARNING: repmgrd running but paused\n".to_owned());
    assert_eq!(repmgrd(&cluster), paused);
    cluster.node_mut(1).stop_daemon();
    assert_eq!(repmgrd(&cluster), missing);
}

#[test]
fn connections_are_tried_for_other_nodes() {
    let cluster = Cluster::up("check-connections", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    let replication = |id: &str| {
        let remote = format!("--remote-node-id={id}");
        check(second, &[&remote, "--replication-connection"])
    };
    cluster.wait_record(2, 2);
    assert_eq!(replication("1"), (0, "--connection=OK\n".to_owned()));
    assert_eq!(replication("9"), (0, "--connection=UNKNOWN\n".to_owned()));
    let superuser = ["--db-connection", "--superuser=postgres", "--optformat", "-LINFO"];
    if Flavor::current() != Flavor::Tls {
        assert_eq!(check(first, &superuser), (0, "--db-connection=OK\n".to_owned()));
    }
    assert_eq!(check(first, &["--db-connection"]), (0, "OK ()\n".to_owned()));
    let nobody = ["--db-connection", "--superuser=nobody", "--optformat"];
    assert_eq!(check(first, &nobody), (2, "--db-connection=CRITICAL\n".to_owned()));

    // A server that lets nobody replicate.
    let rules = first.server.data.join("pg_hba.conf");
    let allowed = std::fs::read_to_string(&rules).expect("pg_hba.conf");
    let without: Vec<&str> = allowed.lines().filter(|line| !line.contains("replication")).collect();
    user::write(&rules, &without.join("\n"));
    first.server.query("SELECT pg_reload_conf()");
    eventually("node1 refuses replication", || {
        (replication("1") == (0, "--connection=BAD\n".to_owned())).then_some(())
    });
    user::write(&rules, &allowed);
    first.server.query("SELECT pg_reload_conf()");

    // An upstream that hangs: an answer in time, and the other checks are made.
    first.server.signal(Signal::SIGSTOP);
    assert_eq!(complaints(second), ["upstream"]);
    let (code, line) = check(second, &["--upstream"]);
    assert_eq!(code, 2, "{line}");
    assert_eq!(replication("1"), (0, "--connection=BAD\n".to_owned()));
    first.server.signal(Signal::SIGCONT);

    // The node's own server is gone.
    second.server.stop("fast");
    assert_eq!(check(second, &["--role"]), (6, String::new()));
    assert_eq!(
        check(second, &["--role", "--optformat"]),
        (6, "--error=DB_CONNECTION\n".to_owned())
    );
    assert_eq!(replication("1"), (0, "--connection=CONNECTION_ERROR\n".to_owned()));
    let (code, line) = check(second, &["--db-connection"]);
    assert!(
        code == 2 && line.contains("user=repmgr") && !line.contains("password"),
        "{line}"
    );
}
