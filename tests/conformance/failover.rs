//! The daemons of either program on three nodes whose primary is killed.

use std::collections::BTreeSet;

use crate::script::{Script, compare};
use crate::support::{PATIENCE, eventually, within};

#[test]
fn failover() {
    compare("conformance-failover", 3, failover_script);
}

fn failover_script(script: &mut Script) {
    for node in &script.cluster.nodes {
        let priority = if node.id == 2 { 200 } else { 100 };
        node.write_config(&format!("{}priority={priority}\n", node.automatic_failover()));
    }
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    for id in [2, 3] {
        script.standby_of(id, 1, 1);
        script.wait_replayed(1, id);
    }
    for id in 1..=3 {
        script.cluster.node_mut(id).start_daemon();
    }
    for id in 1..=3 {
        let started = format!("SELECT count(*) FROM repmgr.events WHERE node_id = {id} AND event = 'repmgrd_start'");
        eventually(&format!("the daemon of node{id} has reported its start"), || {
            (script.cluster.node(1).server.query(&started) == "1").then_some(())
        });
    }
    script.query(
        1,
        "starts",
        "SELECT node_id, event, successful FROM repmgr.events WHERE event LIKE 'repmgrd%' ORDER BY 1",
    );
    for id in [2, 3] {
        script.wait_replayed(1, id);
    }
    script.cluster.node(1).server.kill();

    within(PATIENCE * 2, "node2 is primary", || {
        script.cluster.node(2).server.is_primary().then_some(())
    });
    script.cluster.wait_streaming(2, 3);
    let wanted =
        "SELECT count(*) FROM repmgr.events WHERE event IN ('repmgrd_failover_promote', 'repmgrd_failover_follow')";
    eventually("both daemons have reported the failover", || {
        (script.cluster.node(2).server.query(wanted) == "2").then_some(())
    });
    let events =
        script.cluster.node(2).server.query(
            "SELECT node_id, event, successful FROM repmgr.events WHERE event NOT LIKE '%register%' ORDER BY 1, 2",
        );
    // How often a child node came and went in between is a matter of moments.
    let kinds: BTreeSet<&str> = events.lines().filter(|line| !line.contains("child_node")).collect();
    script.fact("events", &kinds.into_iter().collect::<Vec<_>>().join("\n"));
    script.nodes(2, "failover");
    script.query(2, "voting term", "SELECT term FROM repmgr.voting_term");
    script.query(
        2,
        "followers",
        "SELECT application_name FROM pg_stat_replication ORDER BY 1",
    );
    script.wait_replayed(2, 3);
    script.sql(2, "CHECKPOINT");
    script.shows(2, &["cluster show --csv"]);
    script.replication_configuration(3);
}
