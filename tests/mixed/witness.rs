//! A witness of each kind beside a standby of the other.

use crate::mix::{
    Make, ORIGINAL, OURS, answers, cluster, daemons_up, failed_over, primary_up, record, standby_up, witness_up,
};

/// Without the witness the standby would have no majority: its sibling is gone.
fn with_a_witness(name: &str, standby: Make, witness: Make) {
    let makes = [ORIGINAL, standby, ORIGINAL, witness];
    let Some(mut cluster) = cluster(name, &makes, "witness_sync_interval=1\n") else {
        return;
    };
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    standby_up(&cluster, 3, 1);
    witness_up(&cluster, 4);
    daemons_up(&mut cluster);
    answers(&cluster, 4, "SELECT count(*) FROM repmgr.nodes", "4");
    // The primary's daemon sees by this whether the witness is attached.
    answers(&cluster, 4, "SELECT repmgr.get_upstream_node_id()", "1");
    cluster.node(3).signal_daemon(nix::sys::signal::Signal::SIGKILL);
    cluster.node(3).server.kill();
    cluster.node(1).server.kill();
    failed_over(&mut cluster, 1, 2, &[4]);
    let copy = "SELECT count(*) FROM repmgr.nodes WHERE node_id = 2 AND type = 'primary'";
    answers(&cluster, 4, copy, "1");
    assert_eq!(record(&cluster, 2, 4, "upstream_node_id"), "2");
    assert_eq!(cluster.primaries(), [2, 4], "the witness's server is one of its own");
}

#[test]
#[ignore = "make mixed"]
fn ours_wins_with_the_originals_witness() {
    with_a_witness("their-witness", OURS, ORIGINAL);
}

#[test]
#[ignore = "make mixed"]
fn the_original_wins_with_our_witness() {
    with_a_witness("our-witness", ORIGINAL, OURS);
}
