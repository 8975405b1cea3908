//! Replication slots: made by clone and follow, shown by `node status`, dropped when no longer needed.

use crate::script::{Script, compare};
use crate::support::eventually;

const SLOTS: &str = "use_replication_slots=true\n";

#[test]
fn replication_slots() {
    compare("conformance-slots", 3, slots);
}

fn wait_slot(script: &Script, holder: u32, standby: u32, active: bool) {
    let sql = format!("SELECT active FROM pg_replication_slots WHERE slot_name = 'repmgr_slot_{standby}'");
    let wanted = if active { "t" } else { "f" };
    eventually(
        &format!("the slot of node{standby} on node{holder}: active {active}"),
        || (script.cluster.node(holder).server.query(&sql) == wanted).then_some(()),
    );
}

fn slots(script: &mut Script) {
    for node in &script.cluster.nodes {
        node.write_config(SLOTS);
    }
    script.cluster.primary_up("");
    script.metadata(1, "primary register");
    let source = script.cluster.node(1).server.conninfo();

    clone_and_register(script, &source);
    a_cascade_with_slots(script, &source);
    follow_moves_the_slot(script);
    missing_and_inactive(script);
    promotion(script);
}

fn clone_and_register(script: &mut Script, source: &str) {
    script.run(2, &["-d", source, "standby", "clone", "--dry-run"]);
    script.slots(1, "clone --dry-run");
    script.run(2, &["-d", source, "standby", "clone", "-c"]);
    script.slots(1, "clone");
    script.replication_configuration(2);
    script.run(2, &["-d", source, "standby", "clone", "-c"]);
    script.run(2, &["-d", source, "standby", "clone", "-cF"]);
    script.slots(1, "clone --force");
    script.shows(1, &["node status", "node status --csv"]);
    script.cluster.node(2).server.configure("");
    script.cluster.node(2).server.start();
    script.cluster.wait_streaming(1, 2);
    wait_slot(script, 1, 2, true);
    script.runs(2, &["standby register"]);
    script.metadata(1, "standby register");
    script.slots(1, "standby register");
    script.shows(1, &["node status", "node status --csv"]);
}

fn a_cascade_with_slots(script: &mut Script, source: &str) {
    script.wait_replayed(1, 2);
    script.run(3, &["-d", source, "standby", "clone", "-c", "--upstream-node-id=7"]);
    script.run(3, &["-d", source, "standby", "clone", "-c", "--upstream-node-id=2"]);
    script.slots(1, "clone with another upstream");
    script.slots(2, "clone with another upstream");
    script.replication_configuration(3);
    script.cluster.node(3).server.configure("");
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(2, 3);
    wait_slot(script, 2, 3, true);
    script.runs(3, &["standby register --upstream-node-id=2"]);
    script.nodes(1, "a cascade");
    for id in [1, 2] {
        script.wait_replayed(1, 2);
        script.shows(id, &["node status --csv", "cluster show --csv"]);
    }
}

fn follow_moves_the_slot(script: &mut Script) {
    script.runs(3, &["standby follow --dry-run", "standby follow --upstream-node-id=1"]);
    script.cluster.wait_streaming(1, 3);
    wait_slot(script, 1, 3, true);
    script.slots(1, "follow");
    script.nodes(1, "follow");
    script.replication_configuration(3);
    script
        .differs("follow-again", "exit 0")
        .run(3, &["standby", "follow", "--upstream-node-id=1"]);
    script.sql(1, "DELETE FROM repmgr.events WHERE event = 'standby_follow'");
    // The original leaves the old slot if the walsender is not gone yet.
    script.sql(
        2,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
    );
    script.slots(1, "follow again");
    script.slots(2, "follow again");
}

fn missing_and_inactive(script: &mut Script) {
    script.cluster.node(3).server.stop("fast");
    wait_slot(script, 1, 3, false);
    script.shows(1, &["node status --csv", "node status --terse"]);
    script.sql(1, "SELECT pg_drop_replication_slot('repmgr_slot_3')");
    script.shows(1, &["node status --csv", "node status"]);
    script.sql(
        1,
        "SELECT pg_create_physical_replication_slot('bar'), pg_create_physical_replication_slot('foo')",
    );
    script.shows(1, &["node status --csv", "node status"]);
    script.sql(
        1,
        "SELECT pg_drop_replication_slot('bar'), pg_drop_replication_slot('foo')",
    );
    script.sql(1, "SELECT pg_create_physical_replication_slot('repmgr_slot_3', true)");
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(1, 3);
    wait_slot(script, 1, 3, true);
}

fn promotion(script: &mut Script) {
    script.wait_replayed(1, 2);
    script.wait_replayed(1, 3);
    script.cluster.node(1).server.stop("fast");
    script.runs(2, &["standby promote"]);
    script.runs(3, &["standby follow --dry-run"]);
    script.slots(2, "promote");
    script.runs(3, &["standby follow"]);
    script.cluster.wait_streaming(2, 3);
    wait_slot(script, 2, 3, true);
    script.slots(2, "follow of the new primary");
    script.metadata(2, "promote and follow");
    script.shows(2, &["node status --csv"]);
    script.wait_replayed(2, 3);
    script.shows(3, &["node status --csv", "node status"]);
    script.runs(3, &["standby unregister"]);
    script.slots(2, "unregister");
}
