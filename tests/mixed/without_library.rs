//! A node whose server has no library, in a cluster with daemons of the original.

use std::process::Stdio;

use crate::mix::{
    Make, ORIGINAL, OURS, answers, cluster, daemons_up, failed_over, primary_up, receives, record, standby_up, term,
    watched, watches, witness_up,
};
use crate::support::cluster::Cluster;
use crate::support::{PATIENCE, stage, user, within};

fn refused(cluster: &Cluster, id: u32) {
    let node = cluster.node(id);
    let output = node
        .program("repmgrd")
        .arg("--daemonize=false")
        .stdin(Stdio::null())
        .output()
        .expect("repmgrd");
    assert_eq!(output.status.code(), Some(1), "{}", node.daemon_log());
    let log = node.daemon_log();
    for sign in [
        "[ERROR]",
        "a daemon of the original runs in this cluster",
        "it runs on node \"node1\"",
        "[HINT]",
    ] {
        assert!(log.contains(sign), "{sign} is missing:\n{log}");
    }
}

#[test]
fn our_daemon_does_not_start_beside_an_original() {
    let Some(mut cluster) = cluster("bare-refused", &[ORIGINAL, OURS.bare()], "") else {
        return;
    };
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    cluster.node_mut(1).start_daemon();
    watches(&cluster, 1, 1);
    refused(&cluster, 2);
    // Without the original it starts.
    cluster.node_mut(1).stop_daemon();
    cluster.node_mut(2).start_daemon();
    watches(&cluster, 1, 2);
    assert_eq!(cluster.node_mut(2).stop_daemon(), Some(0));
}

/// The originals came later: they do not see a candidate in a node that they cannot ask, and neither do we.
#[test]
#[ignore = "make mixed"]
fn where_originals_come_later_the_node_without_stands_back_and_follows() {
    let makes: [Make; 4] = [ORIGINAL, ORIGINAL, OURS.preferred().bare(), OURS];
    let Some(mut cluster) = cluster("bare-later", &makes, "") else {
        return;
    };
    primary_up(&cluster);
    for id in 2..=4 {
        standby_up(&cluster, id, 1);
    }
    cluster.node_mut(3).start_daemon();
    watches(&cluster, 1, 3);
    for id in [1, 2, 4] {
        cluster.node_mut(id).start_daemon();
        watches(&cluster, 1, id);
    }
    cluster.node(1).server.kill();
    within(PATIENCE * 2, "node2 is primary", || {
        cluster.node(2).server.is_primary().then_some(())
    });
    for follower in [3, 4] {
        receives(&cluster, follower, 2);
    }
    assert_eq!(cluster.primaries(), [2]);
}

/// The original's library is there, and shared_preload_libraries does not load it.
#[test]
#[ignore = "make mixed"]
fn our_daemons_work_where_the_originals_library_is_not_loaded() {
    let makes = [OURS.with_the_other_library(); 3];
    let Some(mut cluster) = cluster("not-loaded", &makes, "") else {
        return;
    };
    cluster.primary_up("");
    for id in [2, 3] {
        cluster.standby_up(id);
    }
    assert_eq!(cluster.node(1).server.query("SHOW shared_preload_libraries"), "");
    assert!(stage::original().is_some_and(|original| std::ptr::eq(original, cluster.node(3).server.stage)));
    daemons_up(&mut cluster);
    cluster.node(1).server.kill();
    failed_over(&mut cluster, 1, 2, &[3]);
    assert_eq!(cluster.primaries(), [2]);
    assert_eq!(term(&cluster, 2), "2");
}

/// Daemons of ours with the library and without, whoever wins.
#[test]
#[ignore = "make mixed"]
fn daemons_of_ours_with_and_without_the_library_fail_over() {
    let makes = [
        OURS,
        Make { priority: 300, ..OURS },
        OURS.preferred().bare(),
        OURS,
        Make {
            priority: 50,
            ..OURS.bare()
        },
    ];
    let Some(mut cluster) = watched("bare-among-ours", &makes, "") else {
        return;
    };
    cluster.node(1).server.kill();
    failed_over(&mut cluster, 1, 2, &[3, 4, 5]);
    cluster.node(2).server.kill();
    failed_over(&mut cluster, 2, 3, &[4, 5]);
    assert_eq!(cluster.primaries(), [3]);
    assert_eq!(term(&cluster, 3), "3");
}

/// Standbys and witness without the library: the one vote that is refused is told to the others as it is with it.
#[test]
#[ignore = "make mixed"]
fn a_refused_candidate_and_a_witness_without_the_library() {
    let makes = [OURS, OURS.preferred().bare(), OURS.bare(), OURS.bare()];
    let Some(mut cluster) = cluster("bare-rerun", &makes, "") else {
        return;
    };
    let permission = cluster.folder.join("permission");
    for (node, make) in cluster.nodes.iter().zip(makes) {
        node.write_config(&format!(
            "{}priority={}\nelection_rerun_interval=1\nwitness_sync_interval=1\n\
             failover_validation_command='test -e {}'\n",
            node.automatic_failover(),
            make.priority,
            permission.display()
        ));
    }
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    standby_up(&cluster, 3, 1);
    witness_up(&cluster, 4);
    daemons_up(&mut cluster);
    cluster.node(1).server.kill();
    let told = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4294967294";
    answers(&cluster, 3, told, "t");
    assert!(!cluster.node(2).server.is_primary() && !cluster.node(3).server.is_primary());
    user::write(&permission, "");
    failed_over(&mut cluster, 1, 2, &[3, 4]);
    assert_eq!(record(&cluster, 2, 4, "upstream_node_id"), "2");
    assert!(!cluster.node(3).server.is_primary());
}
