//! `node service` and `node control` on real servers.

mod support;

use support::cluster::{Cluster, Node};
use support::eventually;

fn checkpoints(node: &Node) -> String {
    node.server.query("SELECT checkpoint_lsn FROM pg_control_checkpoint()")
}

fn started(node: &Node) -> String {
    node.server.query("SELECT pg_postmaster_start_time()")
}

fn log_in_one_file(node: &Node) {
    node.write_config(&format!("pg_ctl_options='-l {}'", node.server.log_file().display()));
}

fn demanded_checkpoints(node: &Node) -> usize {
    node.server
        .log()
        .matches("checkpoint starting: immediate force wait")
        .count()
}

fn wait_down(node: &Node) {
    eventually("the server is down", || (!node.server.is_running()).then_some(()));
}

#[test]
fn the_server_is_controlled_by_action() {
    let cluster = Cluster::new("node-service", 1);
    cluster.primary_up("log_checkpoints = on");
    let node = cluster.node(1);
    log_in_one_file(node);
    let service = |more: &[&str]| node.repmgr_ok(&[&["node", "service"], more].concat());

    let list = service(&["--list-actions"]);
    assert!(list.starts_with("Following commands would be executed for each action:\n\n    start: \""));
    let stop = service(&["--list-actions", "--action=STOP"]);
    assert!(stop.ends_with("-W -m fast stop\n"), "{stop}");
    // What a switchover of the original runs, word by word.
    node.repmgr_ok(&[
        "node",
        "service",
        "--terse",
        "-LERROR",
        "--list-actions",
        "--action=stop",
    ]);
    node.repmgr_fails(1, &["node", "service", "--action=burn"]);
    service(&[]);
    assert!(node.server.is_running());

    let demanded = demanded_checkpoints(node);
    let (checkpoint, start) = (checkpoints(node), started(node));
    node.server.query("CREATE TABLE something AS SELECT 1");
    service(&["--action=stop", "--checkpoint", "--dry-run"]);
    service(&["--action=restart", "--dry-run"]);
    assert_eq!((checkpoints(node), started(node)), (checkpoint.clone(), start.clone()));

    service(&["--action=restart", "--checkpoint"]);
    assert_ne!(started(node), start, "it was restarted");
    assert_eq!(demanded_checkpoints(node), demanded + 1);

    std::fs::OpenOptions::new()
        .append(true)
        .open(node.server.data.join("postgresql.conf"))
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"work_mem = '7MB'\n"))
        .expect("postgresql.conf");
    service(&["--action=reload"]);
    eventually("the setting arrived", || {
        (node.server.query("SHOW work_mem") == "7MB").then_some(())
    });

    node.repmgr_ok(&["node", "service", "--action=stop", "--checkpoint"]);
    wait_down(node);
    node.repmgr_fails(5, &["node", "service", "--action=stop"]);
    node.repmgr_fails(6, &["node", "service", "--action=stop", "--checkpoint"]);
    node.repmgr_fails(6, &["node", "service", "--action=restart", "--checkpoint", "--dry-run"]);
    service(&["--action=start", "--checkpoint"]);
    assert!(node.server.is_primary());
}

#[test]
fn a_role_without_the_right_stops_the_server_without_a_checkpoint_and_a_superuser_helps() {
    let cluster = Cluster::new("node-service-rights", 1);
    cluster.primary_up("log_checkpoints = on");
    let node = cluster.node(1);
    log_in_one_file(node);
    node.server.query("CREATE ROLE admin SUPERUSER LOGIN");
    node.server.query("ALTER ROLE repmgr NOSUPERUSER");
    let before = demanded_checkpoints(node);
    node.repmgr_fails(6, &["node", "service", "--action=stop", "--checkpoint", "-S", "nobody"]);
    assert!(node.server.is_running());
    let said = node.repmgr_fails(0, &["node", "service", "--action=restart", "--checkpoint"]);
    assert!(said.contains("WARNING: no CHECKPOINT was made"), "{said}");
    assert_eq!(demanded_checkpoints(node), before);
    node.repmgr_ok(&["node", "service", "--action=restart", "--checkpoint", "-S", "admin"]);
    assert_eq!(demanded_checkpoints(node), before + 1);
}

#[test]
fn a_standby_is_promoted_by_action_and_its_record_stays() {
    let cluster = Cluster::up("node-service-promote", 2);
    let second = cluster.node(2);
    second.repmgr_ok(&["node", "service", "--action=promote"]);
    cluster.wait_primary(2);
    assert_eq!(second.record_on(&second.server, "type"), "standby");
}

#[test]
fn the_wal_receiver_is_stopped_and_starts_again() {
    let cluster = Cluster::up("node-control", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    let receivers = || second.server.query("SELECT count(*) FROM pg_stat_wal_receiver");
    first.repmgr_fails(1, &["node", "control", "--disable-wal-receiver"]);
    second.repmgr_fails(
        1,
        &["node", "control", "--disable-wal-receiver", "--enable-wal-receiver"],
    );
    second.repmgr_ok(&["node", "control"]);
    assert_eq!(receivers(), "1");

    second.repmgr_ok(&["node", "control", "--disable-wal-receiver"]);
    assert_eq!(receivers(), "0");
    second.repmgr_fails(1, &["node", "control", "--disable-wal-receiver"]);
    second.repmgr_ok(&["node", "control", "--enable-wal-receiver"]);
    cluster.wait_streaming(1, 2);
    assert_eq!(second.server.query("SHOW wal_retrieve_retry_interval"), "5s");
    second.repmgr_ok(&["node", "control", "--enable-wal-receiver"]);

    second.server.stop("fast");
    second.repmgr_fails(6, &["node", "control", "--enable-wal-receiver"]);
}
