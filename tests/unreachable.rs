//! Hosts whose packets are dropped, not refused: switched off, or behind a broken link.
//!
//! Each test runs in a network namespace of its own, with a cable to nobody.

mod support;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::{eventually, skip};

/// `connect_timeout` in every conninfo here.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Puts this thread, and what it starts from now on, into a network of its own where
/// 198.51.100.11 to .19 (TEST-NET-2, RFC 5737) swallow every packet. It ends with its last process.
fn enter_network_with_silent_hosts() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("a network namespace needs root".to_owned());
    }
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("a network namespace: {error}"))?;
    ip("link set lo up")?;
    ip("link add cable0 type veth peer name cable1")?;
    ip("addr add 198.51.100.1/24 dev cable0")?;
    ip("link set cable0 up")?;
    ip("link set cable1 up")?;
    for host in 11..20 {
        // A known neighbour: otherwise the kernel itself would say after a while that there is none.
        ip(&format!(
            "neigh add 198.51.100.{host} lladdr 02:00:00:00:00:{host} dev cable0 nud permanent"
        ))?;
    }
    Ok(())
}

/// The cluster, or `None` where there cannot be such hosts.
fn cluster(name: &str, count: u32) -> Option<Cluster> {
    if let Err(reason) = enter_network_with_silent_hosts() {
        skip("faults", &reason);
        return None;
    }
    Some(Cluster::up(name, count))
}

fn conninfo(id: u32) -> String {
    format!("host=198.51.100.{id} user=repmgr dbname=repmgr connect_timeout=2")
}

/// Registers nodes 11 to 10 + `count`, whose hosts are silent.
fn register_silent(primary: &Node, count: u32) {
    primary.server.query("DELETE FROM repmgr.nodes WHERE node_id > 10");
    for id in 11..11 + count {
        primary.server.query(&format!(
            "INSERT INTO repmgr.nodes (node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
             VALUES ({id}, 1, 'node{id}', 'standby', '{}', 'repmgr', '/etc/repmgr.conf')",
            conninfo(id)
        ));
    }
}

fn timed(node: &Node, arguments: &[&str]) -> (Output, Duration) {
    let begin = Instant::now();
    let output = node.repmgr(arguments);
    (output, begin.elapsed())
}

#[test]
fn silent_hosts_cost_one_connect_timeout_in_all() {
    let Some(cluster) = cluster("unreachable-show", 2) else {
        return;
    };
    let first = cluster.node(1);
    for verb in [&["cluster", "show", "--csv"], &["service", "status", "--csv"]] {
        let mut costs = Vec::new();
        for count in [1, 3] {
            register_silent(first, count);
            let (output, cost) = timed(first, verb);
            let lines = String::from_utf8_lossy(&output.stdout).lines().count();
            assert_eq!(lines, 2 + count as usize, "{verb:?} shows all nodes: {output:?}");
            // Or nothing was waited for, and this test says nothing.
            assert!(
                cost > CONNECT_TIMEOUT - Duration::from_millis(100),
                "{verb:?}: {cost:?}"
            );
            costs.push(cost);
        }
        let limit = 2 * CONNECT_TIMEOUT + Duration::from_secs(2);
        assert!(costs[1] < limit, "{verb:?} took {costs:?}");
        assert!(
            costs[1] < costs[0] + CONNECT_TIMEOUT / 2 + Duration::from_millis(500),
            "{verb:?} took {costs:?}"
        );
    }
}

#[test]
fn silent_hosts_do_not_hold_up_pausing_and_checking() {
    let Some(cluster) = cluster("unreachable-pause", 1) else {
        return;
    };
    let first = cluster.node(1);
    register_silent(first, 4);
    let limit = 2 * CONNECT_TIMEOUT + Duration::from_secs(2);
    for (arguments, code) in [
        (&["service", "pause"][..], 26),
        (&["service", "unpause", "--dry-run"], 26),
        (&["node", "check", "--downstream"], 2),
    ] {
        let (output, cost) = timed(first, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(cost < limit, "{arguments:?} took {cost:?}");
    }
    assert_eq!(first.server.query("SELECT repmgr.repmgrd_is_paused()"), "t");
    // An upstream that swallows every packet is a result of one check, not the end of all.
    first
        .server
        .query("UPDATE repmgr.nodes SET upstream_node_id = 11 WHERE node_id = 1");
    let (output, cost) = timed(first, &["node", "check"]);
    assert_eq!(output.status.code(), Some(25), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("\tUpstream connection: CRITICAL (") && text.contains("\tServer role: OK ("),
        "{text}"
    );
    assert!(cost < limit, "the report took {cost:?}");
}

#[test]
fn silent_siblings_do_not_hold_up_promote_follow_and_registration() {
    let Some(cluster) = cluster("unreachable-verbs", 3) else {
        return;
    };
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    register_silent(first, 3);
    for holder in [2, 3] {
        cluster.wait_record(holder, 13);
    }
    let limit = 3 * CONNECT_TIMEOUT + Duration::from_secs(10);
    for (node, arguments) in [
        (third, &["standby", "register", "--force"][..]),
        (third, &["standby", "follow", "--upstream-node-id=2"]),
        (first, &["node", "status"]),
    ] {
        let (output, cost) = timed(node, arguments);
        assert!(cost < limit, "{arguments:?} took {cost:?}");
        assert!(
            matches!(output.status.code(), Some(0 | 25)),
            "{arguments:?}: {output:?}"
        );
    }
    first.server.kill();
    let (output, cost) = timed(second, &["standby", "promote"]);
    assert!(output.status.success(), "{output:?}");
    assert!(cost < limit, "the promotion took {cost:?}");
    assert_eq!(cluster.primaries(), [2]);
}

#[test]
fn a_silent_source_or_upstream_is_an_error_in_time_and_nothing_is_made() {
    let Some(cluster) = cluster("unreachable-source", 2) else {
        return;
    };
    let mut more = Cluster::new("unreachable-clone", 1);
    let (first, new) = (cluster.node(1), more.node_mut(1));
    new.id = 9;
    new.write_config("use_replication_slots=true");
    let (output, cost) = timed(new, &["-d", &conninfo(11), "standby", "clone"]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("ERROR") && said.contains("198.51.100.11") && said.contains("HINT"),
        "{said}"
    );
    assert!(cost < 2 * CONNECT_TIMEOUT, "{cost:?}");

    // The source answers, the upstream that was asked for does not: the backup is made nevertheless,
    // and the slot on the source does not stay behind.
    register_silent(first, 1);
    let source = first.server.conninfo();
    let (output, _) = timed(
        new,
        &[
            &["-d", &source, "standby", "clone", "-c", "--upstream-node-id=11"],
            Flavor::current().superuser_option(),
        ]
        .concat(),
    );
    assert!(output.status.success(), "{output:?}");
    let slots = "SELECT count(*) FROM pg_replication_slots";
    eventually("no slot stays behind", || {
        (first.server.query(slots) == "0").then_some(())
    });
}

#[test]
fn w16_a_daemon_goes_on_beside_silent_nodes() {
    let Some(mut cluster) = cluster("unreachable-daemon", 2) else {
        return;
    };
    register_silent(cluster.node(1), 3);
    cluster.wait_record(2, 13);
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    cluster.node_mut(1).start_daemon();
    cluster.node_mut(2).start_daemon();
    eventually("the standby's daemon watches", || {
        let sql = "SELECT count(*) FROM repmgr.events WHERE event = 'repmgrd_start' AND node_id = 2";
        (cluster.node(1).server.query(sql) == "1").then_some(())
    });
    let sql = "SELECT repmgr.get_upstream_last_seen()";
    for _ in 0..5 {
        let seen: i64 = cluster.node(2).server.query(sql).parse().expect("seconds");
        assert!(seen <= 5, "the primary was last seen {seen} s ago");
        std::thread::sleep(Duration::from_secs(1));
    }
}
