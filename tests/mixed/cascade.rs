//! Standbys of each kind below a standby that is lost.

use crate::mix::{Make, ORIGINAL, OURS, answers, cluster, daemons_up, event, primary_up, receives, record, standby_up};

fn both_kinds_follow_the_primary(name: &str, middle: Make) {
    let Some(mut cluster) = cluster(name, &[ORIGINAL, middle, ORIGINAL, OURS], "") else {
        return;
    };
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    standby_up(&cluster, 3, 2);
    standby_up(&cluster, 4, 2);
    daemons_up(&mut cluster);
    for standby in [3, 4] {
        answers(&cluster, standby, "SELECT repmgr.get_upstream_node_id()", "2");
    }
    cluster.node(2).signal_daemon(nix::sys::signal::Signal::SIGKILL);
    cluster.node(2).server.kill();
    for standby in [3, 4] {
        receives(&cluster, standby, 1);
        event(&cluster, 1, standby, "repmgrd_failover_follow");
        assert_eq!(record(&cluster, 1, standby, "upstream_node_id"), "1");
        answers(&cluster, standby, "SELECT repmgr.get_upstream_node_id()", "1");
    }
    assert_eq!(cluster.primaries(), [1]);
}

#[test]
#[ignore = "make mixed"]
fn below_an_original() {
    both_kinds_follow_the_primary("below-original", ORIGINAL);
}

#[test]
#[ignore = "make mixed"]
fn below_ours() {
    both_kinds_follow_the_primary("below-ours", OURS);
}
