//! `witness register|unregister`, seen from the servers.

mod support;

use support::cluster::{Cluster, Node};
use support::eventually;
use support::flavor::Flavor;

const COPY: &str = "SELECT * FROM repmgr.nodes ORDER BY node_id";

/// A cluster whose last node has a server of its own, not registered yet.
fn with_witness(name: &str, count: u32) -> Cluster {
    let cluster = Cluster::new(name, count);
    cluster.primary_up("");
    for id in 2..count {
        cluster.standby_up(id);
    }
    let witness = cluster.node(count);
    witness.server.initialise("");
    witness.server.start();
    witness.create_role();
    cluster
}

/// `witness register` below a primary, with more options.
fn register<'a>(primary: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [
        &["witness", "register", "-d", primary][..],
        Flavor::current().superuser_option(),
        more,
    ]
    .concat()
}

fn event_count(node: &Node, event: &str) -> String {
    node.server
        .query(&format!("SELECT count(*) FROM repmgr.events WHERE event = '{event}'"))
}

fn statuses(node: &Node) -> Vec<String> {
    let text = String::from_utf8_lossy(&node.repmgr(&["cluster", "show"]).stdout).into_owned();
    let rows = text.lines().skip(2).filter(|line| line.contains('|'));
    let cell = |line: &str| line.split('|').nth(3).expect("a status").trim().to_owned();
    rows.map(cell).collect()
}

#[test]
fn a_witness_gets_a_copy_of_the_records_and_a_record_of_its_own() {
    let mut cluster = with_witness("witness", 3);
    let source = cluster.node(1).server.conninfo();
    let (first, third) = (cluster.node(1), cluster.node(3));
    let before = first.server.query(COPY);
    third.repmgr_ok(&register(&source, &["--dry-run"]));
    assert_eq!(first.server.query(COPY), before);
    let extension = "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr'";
    assert_eq!(third.server.query(extension), "0");

    third.repmgr_ok(&register(&source, &[]));
    let record = "type || ' ' || priority || ' ' || upstream_node_id || ' ' || active";
    assert_eq!(third.record_on(&first.server, record), "witness 0 1 true");
    assert_eq!(third.server.query(COPY), first.server.query(COPY));
    assert_eq!(event_count(first, "witness_register"), "1");
    assert_eq!(event_count(third, "cluster_created"), "1");
    cluster.wait_record(2, 3);
    for node in &cluster.nodes {
        assert_eq!(statuses(node), ["* running", "running", "* running"], "{}", node.name());
        node.repmgr_ok(&["cluster", "show"]);
        node.repmgr_ok(&["node", "check"]);
    }
    third.repmgr_fails(1, &register(&source, &[]));
    third.repmgr_ok(&register(&source, &["--force"]));
    assert_eq!(event_count(first, "witness_register"), "2");

    // Its daemon reports what it sees of the primary.
    cluster.node(3).write_config("witness_sync_interval=1");
    cluster.node_mut(3).start_daemon();
    let (first, third) = (cluster.node(1), cluster.node(3));
    eventually("the witness has seen its upstream", || {
        let line = first.repmgr_ok(&["service", "status", "--csv"]);
        let line = line
            .lines()
            .find(|line| line.starts_with("3,node3,witness,1,1,"))?
            .to_owned();
        let last_seen: i32 = line.split(',').nth(8)?.parse().ok()?;
        (last_seen >= 0).then_some(())
    });
    first
        .server
        .query("UPDATE repmgr.nodes SET location = 'elsewhere' WHERE node_id = 2");
    eventually("the witness has copied what is new", || {
        (third.server.query(COPY) == first.server.query(COPY)).then_some(())
    });

    // It follows by hand to a new primary, as an original's switchover makes it.
    cluster.node_mut(3).stop_daemon();
    cluster.node(1).server.stop("fast");
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    let (second, third) = (cluster.node(2), cluster.node(3));
    let source = second.server.conninfo();
    third.repmgr_ok(&["witness", "register", "-d", &source, "--force"]);
    assert_eq!(third.record_on(&second.server, "upstream_node_id"), "2");
    assert_eq!(third.server.query(COPY), second.server.query(COPY));

    // Unregistered from another node; the witness's own database stays.
    second.repmgr_ok(&["witness", "unregister", "--node-id=3", "--dry-run"]);
    assert_eq!(second.server.query("SELECT count(*) FROM repmgr.nodes"), "3");
    second.repmgr_ok(&["witness", "unregister", "--node-id=3"]);
    assert_eq!(second.server.query("SELECT count(*) FROM repmgr.nodes"), "2");
    assert_eq!(third.server.query("SELECT count(*) FROM repmgr.nodes"), "3");
    assert_eq!(event_count(second, "witness_unregister"), "1");
    third.repmgr_fails(1, &["witness", "unregister"]);
}

#[test]
fn a_refused_registration_changes_nothing() {
    let cluster = with_witness("witness-refused", 3);
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    let source = first.server.conninfo();
    let before = first.server.query(COPY);
    let refused = |node: &Node, source: &str, more: &[&str], reason: &str| {
        let text = node.repmgr_fails(1, &register(source, more));
        assert!(text.contains(reason), "{text}");
        assert_eq!(first.server.query(COPY), before);
        assert_eq!(event_count(first, "witness_register"), "0");
    };
    // A standby, and a server of the cluster that is to be watched.
    refused(second, &source, &[], "is in recovery");
    refused(third, &second.server.conninfo(), &[], "is in recovery");
    refused(third, &third.server.conninfo(), &[], "record of the primary");
    refused(
        third,
        "host=127.0.0.1 port=1 connect_timeout=2",
        &[],
        "unable to connect",
    );
    refused(first, &source, &["--force"], "belongs to the cluster");
    let extension = "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr'";
    assert_eq!(third.server.query(extension), "0");

    // Another node has the id or the name.
    third.write_config("node_id=2");
    refused(third, &source, &["--force"], "is registered as standby");
    third.write_config("node_name=node2");
    refused(third, &source, &["--force"], "is taken by node 2");
    assert_eq!(third.server.query(extension), "0");
    third.write_config("");

    // A witness that cannot take the copy: the record on the primary goes, too.
    third.repmgr_ok(&register(&source, &[]));
    third.repmgr_ok(&["witness", "unregister"]);
    first
        .server
        .query("DELETE FROM repmgr.events WHERE event = 'witness_register'");
    third.server.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$",
    );
    third
        .server
        .query("CREATE TRIGGER refuse BEFORE INSERT ON repmgr.nodes EXECUTE FUNCTION refuse()");
    let copy = third.server.query(COPY);
    refused(third, &source, &["--force"], "the disk is full");
    assert_eq!(third.server.query(COPY), copy);
    third.server.query("DROP TRIGGER refuse ON repmgr.nodes");
    third.repmgr_fails(1, &register(&source, &[]));
    third.repmgr_ok(&register(&source, &["--force"]));
}

#[test]
fn a_witness_that_is_gone_can_be_unregistered() {
    let cluster = with_witness("witness-gone", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    let source = first.server.conninfo();
    second.repmgr_ok(&register(&source, &[]));
    second.server.stop("fast");
    assert_eq!(statuses(first), ["* running", "? unreachable"]);
    second.repmgr_fails(1, &["witness", "unregister"]);
    second.repmgr_fails(1, &["witness", "unregister", "--force", "-d", "host=127.0.0.1 port=1"]);
    second.repmgr_ok(&["witness", "unregister", "--force", "--dry-run", "-d", &source]);
    assert_eq!(statuses(first), ["* running", "? unreachable"]);
    second.repmgr_ok(&["witness", "unregister", "--force", "-d", &source]);
    assert_eq!(statuses(first), ["* running"]);
    // Only witnesses.
    first.repmgr_fails(1, &["witness", "unregister"]);
    assert_eq!(statuses(first), ["* running"]);
}
