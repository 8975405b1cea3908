//! A cluster on whose servers nothing of repmgr is installed: no library, no scripts, no control file.

mod support;

use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::{PATIENCE, eventually, stage, within};

fn answers(node: &Node, sql: &str, answer: &str) {
    eventually(&format!("{} answers {answer} to {sql}", node.name()), || {
        (node.server.try_query(sql).as_deref() == Ok(answer)).then_some(())
    });
}

/// Whom a standby receives WAL from, as it says itself.
fn receives(cluster: &Cluster, standby: u32, upstream: u32) {
    let sql = "SELECT sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    answers(
        cluster.node(standby),
        sql,
        &cluster.node(upstream).server.port.to_string(),
    );
}

fn event(cluster: &Cluster, on: u32, id: u32, name: &str) {
    let sql =
        format!("SELECT count(*) > 0 FROM repmgr.events WHERE node_id = {id} AND event = '{name}' AND successful");
    answers(cluster.node(on), &sql, "t");
}

/// Id, running, paused of each daemon, as a node sees them.
fn daemons(node: &Node) -> String {
    let text = node.repmgr_ok(&["service", "status", "--csv"]);
    let cells = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},{},{}", cells[0], cells[4], cells[6])
    };
    text.lines().map(cells).collect::<Vec<_>>().join(" ")
}

#[test]
fn three_nodes_without_anything_of_repmgr_in_their_servers() {
    let mut cluster = Cluster::with_stage("without-library", 3, stage::bare(), stage::programs());
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    let first = cluster.node(1);
    first.server.initialise("");
    first.server.start();
    first.create_role();
    // What is missing is said, and that there is another way.
    let said = first.repmgr_fails(1, &["primary", "register"]);
    assert!(said.contains("--without-library"), "{said}");
    let register = ["primary", "register", "--without-library"];
    first.repmgr_ok(&[&register[..], &["--dry-run"]].concat());
    let schema = "SELECT count(*) FROM pg_namespace WHERE nspname = 'repmgr'";
    assert_eq!(first.server.query(schema), "0");
    first.repmgr_ok(&register);
    first.repmgr_ok(&[&register[..], &["--force"]].concat());
    for id in [2, 3] {
        cluster.standby_up(id);
        cluster.wait_record(id, id);
    }
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
        event(&cluster, 1, id, "repmgrd_start");
    }
    for node in &cluster.nodes {
        assert_eq!(daemons(node), "1,1,0 2,1,0 3,1,0", "{}", node.name());
    }
    what_is_missing_is_said(&cluster);

    if Flavor::current() != Flavor::Unprivileged {
        a_pause_holds(&mut cluster);
    }

    // Node 2 is to be promoted, and node 3 learns of it.
    cluster.node(1).server.kill();
    within(PATIENCE * 2, "node2 is primary", || {
        cluster.node(2).server.is_primary().then_some(())
    });
    receives(&cluster, 3, 2);
    event(&cluster, 2, 2, "repmgrd_failover_promote");
    event(&cluster, 2, 3, "repmgrd_failover_follow");
    assert_eq!(cluster.primaries(), [2]);
    assert_eq!(cluster.node(2).server.query("SELECT term FROM repmgr.voting_term"), "2");
    assert_eq!(
        cluster.node(3).record_on(&cluster.node(2).server, "upstream_node_id"),
        "2"
    );
    // What it was told is forgotten.
    let told = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1919250542";
    answers(cluster.node(3), told, "0");

    // A daemon that ends takes its presence with it.
    assert_eq!(cluster.node_mut(3).stop_daemon(), Some(0));
    let present = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    answers(cluster.node(3), present, "0");
}

fn what_is_missing_is_said(cluster: &Cluster) {
    let output = cluster.node(2).repmgr(&["service", "status"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("without the repmgr library on its server"), "{said}");
    let json = cluster.node(2).repmgr_ok(&["service", "status", "--format=json"]);
    assert_eq!(json.matches("\"library\": false").count(), 3, "{json}");
    // The standby's daemon says what it sees of the primary.
    let seen = "\"upstream_last_seen\": ";
    assert_eq!(json.matches(seen).count(), 3);
    assert_eq!(json.matches("\"upstream_last_seen\": null").count(), 1, "{json}");
    let log = cluster.node(2).daemon_log();
    assert!(log.contains("has no repmgr library that answers"), "{log}");
}

/// Over a restart of the server, and until it is lifted.
fn a_pause_holds(cluster: &mut Cluster) {
    cluster.node(3).repmgr_ok(&["service", "pause"]);
    let paused = |node: &Node| assert_eq!(daemons(node), "1,1,1 2,1,1 3,1,1", "{}", node.name());
    cluster.nodes.iter().for_each(paused);
    cluster.node(1).server.stop("fast");
    for standby in [2, 3] {
        let node = cluster.node(standby);
        eventually("it has decided to do nothing", || {
            node.daemon_log().contains("state \"degraded\"").then_some(())
        });
    }
    assert!(cluster.primaries().is_empty());
    cluster.node(1).server.start();
    for standby in [2, 3] {
        receives(cluster, standby, 1);
        let seen = format!("\"node_id\": {standby},");
        eventually("it sees the primary again", || {
            let json = cluster.node(1).repmgr_ok(&["service", "status", "--format=json"]);
            let own = json.split(&seen).nth(1)?.split("\"upstream_last_seen\": ").nth(1)?;
            let age: i32 = own.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
            (age <= 2).then_some(())
        });
    }
    eventually("the primary's daemon is known again, and paused", || {
        (daemons(cluster.node(2)) == "1,1,1 2,1,1 3,1,1").then_some(())
    });
    cluster.node(2).repmgr_ok(&["service", "unpause"]);
    assert_eq!(daemons(cluster.node(1)), "1,1,0 2,1,0 3,1,0");
}
