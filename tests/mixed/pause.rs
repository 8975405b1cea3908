//! A pause holds for both kinds, whoever says it.

use crate::mix::{ORIGINAL, OURS, answers, daemons, failed_over, receives, watched};

#[test]
#[ignore = "make mixed"]
fn a_pause_by_either_program_holds_for_both() {
    let Some(mut cluster) = watched("pause", &[ORIGINAL, ORIGINAL, OURS], "") else {
        return;
    };
    let all = |paused: u8| format!("1,1,{paused} 2,1,{paused} 3,1,{paused}");
    for by in [2, 3] {
        cluster.node(by).repmgr_ok(&["service", "pause"]);
        for node in &cluster.nodes {
            assert_eq!(daemons(node), all(1), "paused by node{by}, seen by {}", node.name());
        }
        cluster.node(1).server.kill();
        for standby in [2, 3] {
            // Long after all attempts: what was to be decided is decided.
            answers(&cluster, standby, "SELECT repmgr.get_upstream_last_seen() > 12", "t");
        }
        assert!(cluster.primaries().is_empty(), "paused by node{by}");
        cluster.node(1).server.start();
        for standby in [2, 3] {
            receives(&cluster, standby, 1);
            answers(
                &cluster,
                standby,
                "SELECT repmgr.get_upstream_last_seen() BETWEEN 0 AND 3",
                "t",
            );
        }
        // The restarted server has its pause again as soon as its daemon is known to it.
        answers(&cluster, 1, "SELECT repmgr.repmgrd_is_paused()", "t");
        cluster.node(5 - by).repmgr_ok(&["service", "unpause"]);
        for node in &cluster.nodes {
            assert_eq!(daemons(node), all(0), "unpaused, seen by {}", node.name());
        }
    }
    // What is no longer paused fails over.
    cluster.node(1).server.kill();
    failed_over(&mut cluster, 1, 2, &[3]);
}
