//! `primary register|unregister` and `standby register|unregister` on real servers.

mod support;

use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::server::Server;

const RECORD: &str = "concat_ws('|', node_id, coalesce(upstream_node_id::text, '-'), active, node_name, type, \
                      location, priority, repluser, coalesce(slot_name, '-'), config_file)";

/// All records and the voting term: what a command that is refused must leave as it was.
fn metadata(server: &Server) -> String {
    server.query(
        "SELECT string_agg(n::text, E'\\n' ORDER BY node_id) || (SELECT coalesce(max(term), -1) FROM repmgr.voting_term) \
         FROM repmgr.nodes n",
    )
}

fn events(server: &Server) -> String {
    server.query("SELECT string_agg(concat_ws(' ', node_id, event, successful), ', ' ORDER BY event_timestamp) FROM repmgr.events")
}

/// A primary, registered, and standbys of it that are not registered yet.
fn with_standbys(name: &str, count: u32) -> Cluster {
    let cluster = Cluster::new(name, count);
    cluster.primary_up("");
    for id in 2..=count {
        cluster.node(id).base_backup_from(cluster.node(1));
        cluster.wait_streaming(1, id);
    }
    cluster
}

fn prepared_primary(cluster: &Cluster, id: u32) -> &Node {
    let node = cluster.node(id);
    node.server.initialise("");
    node.server.start();
    node.create_role();
    node
}

fn register(node: &Node, more: &[&str]) {
    node.repmgr_ok(&[&["primary", "register"], Flavor::current().superuser_option(), more].concat());
}

#[test]
fn registering_a_primary_creates_extension_record_and_term() {
    let cluster = Cluster::new("primary-register", 1);
    let node = prepared_primary(&cluster, 1);
    let superuser = Flavor::current().superuser_option();
    node.repmgr_ok(&[&["primary", "register", "--dry-run"], superuser].concat());
    let extensions = "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr'";
    assert_eq!(node.server.query(extensions), "0", "a dry run changes nothing");

    register(node, &[]);
    let expected = format!(
        "1|-|t|node1|primary|default|100|repmgr|-|{}",
        node.config_file.display()
    );
    assert_eq!(node.record_on(&node.server, RECORD), expected);
    assert_eq!(node.record_on(&node.server, "conninfo"), node.server.conninfo());
    assert_eq!(node.server.query("SELECT term FROM repmgr.voting_term"), "1");
    assert_eq!(events(&node.server), "1 cluster_created t, 1 primary_register t");
    assert_eq!(
        node.server
            .query("SELECT details FROM repmgr.events WHERE event = 'primary_register'"),
        ""
    );
}

#[test]
fn a_second_registration_takes_force_and_is_otherwise_without_effect() {
    let cluster = Cluster::new("primary-again", 1);
    let node = prepared_primary(&cluster, 1);
    register(node, &[]);
    node.server.query("UPDATE repmgr.voting_term SET term = 7");
    node.write_config("priority=55\nuse_replication_slots=yes");
    let before = metadata(&node.server);
    node.repmgr_fails(1, &["primary", "register"]);
    node.repmgr_fails(1, &["primary", "register", "--dry-run"]);
    node.repmgr_ok(&["primary", "register", "--dry-run", "--force"]);
    assert_eq!(metadata(&node.server), before, "nothing changes before it is accepted");

    node.repmgr_ok(&["primary", "register", "--force"]);
    assert_eq!(
        node.record_on(&node.server, "concat_ws('|', priority, slot_name)"),
        "55|repmgr_slot_1"
    );
    node.write_config("");
    node.repmgr_ok(&["master", "register", "-F"]);
    assert_eq!(
        node.record_on(&node.server, "concat_ws('|', priority, coalesce(slot_name, 'none'))"),
        "100|none"
    );
}

#[test]
fn no_primary_is_registered_beside_another_that_lives() {
    let cluster = Cluster::new("two-primaries", 2);
    let (first, second) = (prepared_primary(&cluster, 1), prepared_primary(&cluster, 2));
    register(first, &[]);
    register(second, &[]);
    second.server.query(&format!(
        "UPDATE repmgr.nodes SET active = FALSE; \
         INSERT INTO repmgr.nodes (node_id, node_name, type, conninfo, repluser, config_file) \
         VALUES (1, 'node1', 'primary', '{}', 'repmgr', '/x'); UPDATE repmgr.voting_term SET term = 9",
        first.server.conninfo()
    ));
    let before = metadata(&second.server);
    let said = second.repmgr_fails(1, &["primary", "register", "--force"]);
    assert!(said.contains("node \"node1\" (ID: 1)"), "{said}");
    assert_eq!(
        metadata(&second.server),
        before,
        "a refused registration changes nothing"
    );

    first.server.stop("fast");
    second.repmgr_ok(&["primary", "register", "--force"]);
    let activity = "SELECT string_agg(node_id || type || active, ',' ORDER BY node_id) FROM repmgr.nodes";
    assert_eq!(second.server.query(activity), "1primaryfalse,2primarytrue");
}

#[test]
fn a_standby_is_no_primary_and_a_primary_no_standby() {
    let cluster = with_standbys("wrong-type", 2);
    cluster.node(2).repmgr_fails(1, &["primary", "register"]);
    cluster.node(1).repmgr_fails(1, &["standby", "register", "--force"]);
    cluster.node(1).server.stop("fast");
    cluster.node(1).repmgr_fails(6, &["primary", "register", "--force"]);
}

#[test]
fn the_extension_serves_a_role_with_an_odd_name() {
    let cluster = Cluster::new("odd-role", 1);
    let node = prepared_primary(&cluster, 1);
    if node.server.flavor == Flavor::Tls {
        return;
    }
    node.server.query("CREATE ROLE \"Odd-\"\"Role\" LOGIN REPLICATION");
    let conninfo = node.server.conninfo_as("Odd-\"Role", "repmgr");
    node.write_config(&format!("conninfo='{conninfo}'"));
    let said = node.repmgr_fails(1, &["primary", "register"]);
    assert!(said.contains("superuser"), "{said}");
    let extensions = "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr'";
    node.repmgr_ok(&["primary", "register", "-S", "postgres", "--dry-run"]);
    assert_eq!(node.server.query(extensions), "0");
    node.repmgr_ok(&["primary", "register", "-S", "postgres"]);
    assert_eq!(node.record_on(&node.server, "repluser"), "Odd-\"Role");
}

#[test]
fn registering_a_standby_records_it_and_its_upstream() {
    let cluster = with_standbys("standby-register", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let before = metadata(&primary.server);
    standby.repmgr_ok(&["standby", "register", "--dry-run"]);
    assert_eq!(metadata(&primary.server), before, "a dry run changes nothing");

    standby.repmgr_ok(&["standby", "register", "--wait-sync=60"]);
    let expected = format!(
        "2|1|t|node2|standby|default|100|repmgr|-|{}",
        standby.config_file.display()
    );
    assert_eq!(standby.record_on(&primary.server, RECORD), expected);
    assert_eq!(
        standby.record_on(&standby.server, RECORD),
        expected,
        "--wait-sync has waited for the standby's copy"
    );
    assert!(events(&primary.server).ends_with("2 standby_register t, 2 standby_register_sync t"));

    standby.repmgr_fails(1, &["standby", "register"]);
    standby.write_config("use_replication_slots=yes\nlocation=north");
    standby.repmgr_ok(&["standby", "register", "--force"]);
    assert_eq!(
        standby.record_on(&primary.server, "concat_ws('|', location, slot_name)"),
        "north|repmgr_slot_2"
    );
    standby.write_config("");
    standby.repmgr_ok(&["standby", "register", "--force"]);
    assert_eq!(standby.record_on(&primary.server, "slot_name IS NULL"), "t");
}

#[test]
fn a_standby_that_is_not_attached_is_registered_only_by_force() {
    let cluster = Cluster::new("not-attached", 2);
    cluster.primary_up("");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    standby.base_backup_from(primary);
    cluster.wait_streaming(1, 2);
    standby
        .server
        .query("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'");
    standby.server.query("SELECT pg_reload_conf()");
    let sql = "SELECT count(*) FROM pg_stat_replication";
    support::eventually("the standby has left", || {
        (primary.server.query(sql) == "0").then_some(())
    });

    standby.repmgr_fails(1, &["standby", "register"]);
    standby.repmgr_fails(1, &["standby", "register", "--dry-run"]);
    assert_eq!(primary.server.query("SELECT count(*) FROM repmgr.nodes"), "1");
    standby.repmgr_ok(&["standby", "register", "--force"]);
    assert_eq!(standby.record_on(&primary.server, "upstream_node_id"), "1");
}

#[test]
fn the_upstream_that_is_named_is_looked_at() {
    let cluster = with_standbys("upstreams", 3);
    let (primary, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    second.repmgr_ok(&["standby", "register"]);

    third.repmgr_fails(1, &["standby", "register", "--upstream-node-id=3"]);
    third.repmgr_fails(1, &["standby", "register", "--upstream-node-id=9"]);
    third.repmgr_fails(1, &["standby", "register", "--upstream-node-id=2"]);
    primary
        .server
        .query("UPDATE repmgr.nodes SET active = FALSE WHERE node_id = 2");
    let said = third.repmgr_fails(1, &["standby", "register", "--upstream-node-id=2"]);
    assert!(said.contains("inactive"), "{said}");

    let before = metadata(&primary.server);
    third.repmgr_ok(&["standby", "register", "--upstream-node-id=9", "--force", "--dry-run"]);
    assert_eq!(metadata(&primary.server), before, "a dry run makes no placeholder");
    third.repmgr_ok(&[
        "standby",
        "register",
        "--upstream-node-id=9",
        "--upstream-conninfo=host=nine",
        "--force",
    ]);
    assert_eq!(
        primary
            .server
            .query("SELECT concat_ws('|', upstream_node_id, active, node_name, type, conninfo) FROM repmgr.nodes WHERE node_id = 9"),
        "1|f||standby|host=nine"
    );
    assert_eq!(third.record_on(&primary.server, "upstream_node_id"), "9");
}

#[test]
fn a_standby_that_does_not_run_is_registered_through_the_primary() {
    let cluster = Cluster::new("not-running", 2);
    cluster.primary_up("");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    standby.repmgr_fails(1, &["standby", "register", "--wait-start=1"]);
    standby.repmgr_fails(1, &["standby", "register", "--force"]);
    let conninfo = primary.server.conninfo();
    standby.repmgr_ok(&["standby", "register", "--force", "-d", &conninfo]);
    assert_eq!(
        standby.record_on(&primary.server, "upstream_node_id || type || active"),
        "1standbytrue"
    );
    let details = "SELECT details FROM repmgr.events WHERE event = 'standby_register'";
    assert!(primary.server.query(details).contains("upstream node ID is 1"));
}

#[test]
fn a_name_is_given_once() {
    let cluster = with_standbys("namesake", 2);
    let standby = cluster.node(2);
    standby.write_config("node_name=node1");
    let said = standby.repmgr_fails(1, &["standby", "register", "--force"]);
    assert!(said.contains("node1"), "{said}");
    assert_eq!(cluster.node(1).server.query("SELECT count(*) FROM repmgr.nodes"), "1");
}

#[test]
fn unregistering_removes_the_standby_that_is_named() {
    let cluster = with_standbys("standby-unregister", 3);
    let (primary, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    second.repmgr_ok(&["standby", "register"]);
    third.repmgr_ok(&["standby", "register"]);
    let registered = || {
        primary
            .server
            .query("SELECT string_agg(node_id::text, ',' ORDER BY node_id) FROM repmgr.nodes")
    };

    // The lookup of a name is made in this node's own copy.
    cluster.wait_record(2, 3);
    second.repmgr_ok(&["standby", "unregister", "--dry-run"]);
    assert_eq!(registered(), "1,2,3", "a dry run changes nothing");
    second.repmgr_ok(&["standby", "unregister", "--node-name=node3"]);
    assert_eq!(registered(), "1,2", "the named node goes, not the one it runs on");
    assert!(events(&primary.server).ends_with("3 standby_unregister t"));

    third.repmgr_ok(&["standby", "register", "--force"]);
    primary
        .server
        .query("UPDATE repmgr.nodes SET upstream_node_id = 2 WHERE node_id = 3");
    second.repmgr_fails(1, &["standby", "unregister"]);
    primary.repmgr_fails(1, &["standby", "unregister"]);
    primary.repmgr_ok(&["standby", "unregister", "--node-id=3"]);
    second.repmgr_ok(&["standby", "unregister"]);
    assert_eq!(registered(), "1");
}

#[test]
fn unregistering_a_primary_is_guarded() {
    let cluster = with_standbys("primary-unregister", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let count = || primary.server.query("SELECT count(*) FROM repmgr.nodes");
    standby.repmgr_ok(&["standby", "register", "--wait-sync=60"]);
    primary.repmgr_fails(1, &["primary", "unregister", "--force"]);
    primary.repmgr_fails(1, &["primary", "unregister", "--force", "--node-id=2"]);
    assert_eq!(count(), "2", "a primary with standbys stays, even with force");

    // A former primary that is gone for good.
    primary.server.query(
        "INSERT INTO repmgr.nodes (node_id, active, node_name, type, conninfo, repluser, config_file) \
         VALUES (5, FALSE, 'node5', 'primary', 'host=127.0.0.1 port=1', 'repmgr', '/x')",
    );
    primary.repmgr_ok(&["primary", "unregister", "--node-id=5", "--dry-run"]);
    assert_eq!(count(), "3", "a dry run changes nothing");
    primary.repmgr_ok(&["primary", "unregister", "--node-id=5"]);
    assert_eq!(count(), "2");
    assert!(events(&primary.server).ends_with("1 primary_unregister t"));

    standby.repmgr_ok(&["standby", "unregister"]);
    primary.repmgr_fails(1, &["primary", "unregister"]);
    assert_eq!(count(), "1", "the current primary takes force");
    primary.repmgr_ok(&["primary", "unregister", "--force"]);
    assert_eq!(count(), "0");
}
