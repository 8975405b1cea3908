//! Who wins, and that the others follow.

use crate::mix::{Make, ORIGINAL, OURS, answers, failed_over, receives, replayed, term, watched, watches_upstream};
use crate::support::cluster::Cluster;

fn loss_of_the_primary(name: &str, makes: &[Make], winner: u32, followers: &[u32]) -> Option<Cluster> {
    let mut cluster = watched(name, makes, "")?;
    cluster.node(1).server.kill();
    failed_over(&mut cluster, 1, winner, followers);
    assert_eq!(cluster.primaries(), [winner]);
    assert_eq!(term(&cluster, winner), "2");
    Some(cluster)
}

#[test]
fn the_original_follows_us() {
    loss_of_the_primary("ours-wins", &[ORIGINAL, ORIGINAL, OURS.preferred()], 3, &[2]);
}

#[test]
fn we_follow_the_original() {
    loss_of_the_primary("original-wins", &[OURS, ORIGINAL.preferred(), OURS], 2, &[3]);
}

/// Either program with either library, equal in rank: the lowest id wins, then the next.
#[test]
#[ignore = "make mixed"]
fn both_programs_with_both_libraries() {
    let makes = [
        OURS.with_the_other_library(),
        ORIGINAL.with_the_other_library(),
        ORIGINAL,
        OURS,
        OURS.with_the_other_library(),
    ];
    let Some(mut cluster) = loss_of_the_primary("libraries", &makes, 2, &[3, 4, 5]) else {
        return;
    };
    for standby in [3, 4, 5] {
        replayed(&cluster, 2, standby);
        let seen = "SELECT repmgr.get_upstream_node_id(), repmgr.get_upstream_last_seen() BETWEEN 0 AND 5";
        answers(&cluster, standby, seen, "2|t");
    }
    cluster.node(2).server.kill();
    failed_over(&mut cluster, 2, 3, &[4, 5]);
    for standby in [4, 5] {
        replayed(&cluster, 3, standby);
        answers(&cluster, standby, "SELECT repmgr.get_upstream_node_id()", "3");
    }
    cluster.node(3).server.kill();
    failed_over(&mut cluster, 3, 4, &[5]);
    assert_eq!(cluster.primaries(), [4]);
    assert_eq!(term(&cluster, 4), "4");
}

/// The one that has received more wins, whatever its priority: `behind` stopped receiving before the last write.
fn the_most_advanced_wins(name: &str, makes: &[Make], behind: u32, winner: u32) {
    let Some(mut cluster) = watched(name, makes, "") else {
        return;
    };
    let node = cluster.node(behind);
    node.server.query("ALTER SYSTEM SET primary_conninfo = ''");
    node.server.query("SELECT pg_reload_conf()");
    answers(&cluster, behind, "SELECT count(*) FROM pg_stat_wal_receiver", "0");
    cluster.node(1).server.query("CREATE TABLE written_last ()");
    replayed(&cluster, 1, winner);
    cluster.node(1).server.kill();
    failed_over(&mut cluster, 1, winner, &[behind]);
    replayed(&cluster, winner, behind);
    for id in [behind, winner] {
        let there = "SELECT count(*) FROM pg_class WHERE relname = 'written_last'";
        assert_eq!(cluster.node(id).server.query(there), "1", "node{id}");
    }
}

#[test]
#[ignore = "make mixed"]
fn ours_wins_because_it_has_received_more() {
    the_most_advanced_wins("ours-ahead", &[ORIGINAL, ORIGINAL.preferred(), OURS], 2, 3);
}

#[test]
#[ignore = "make mixed"]
fn the_original_wins_because_it_has_received_more() {
    the_most_advanced_wins("original-ahead", &[ORIGINAL, ORIGINAL, OURS.preferred()], 3, 2);
}

/// Each kind loses and rejoins below the other, with its daemon running all the time.
#[test]
#[ignore = "make mixed"]
fn lost_primaries_of_either_kind_rejoin_below_the_other() {
    let makes = [ORIGINAL, OURS.preferred(), ORIGINAL];
    let Some(mut cluster) = watched("round", &makes, "") else {
        return;
    };
    for (lost, winner, other) in [(1, 2, 3), (2, 1, 3), (1, 2, 3)] {
        cluster.node(lost).server.stop("fast");
        failed_over(&mut cluster, lost, winner, &[other]);
        let source = cluster.node(winner).server.conninfo();
        cluster.node(lost).repmgr_ok(&["-d", &source, "node", "rejoin"]);
        receives(&cluster, lost, winner);
        for standby in [lost, other] {
            watches_upstream(&mut cluster, standby, winner);
            replayed(&cluster, winner, standby);
        }
        assert_eq!(cluster.primaries(), [winner]);
    }
}
