//! An original clones from our host, and we from an original's.

use crate::mix::{Make, ORIGINAL, OURS, cluster, primary_up, standby_up};
use crate::support::cluster::Node;

fn pair(name: &str, makes: &[Make]) {
    let Some(cluster) = cluster(name, makes, "") else {
        return;
    };
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    let titles = |node: &Node| node.repmgr_ok(&["cluster", "show", "--csv"]);
    let seen_by_primary = titles(cluster.node(1));
    assert_eq!(seen_by_primary, "1,0,0\n2,0,1\n");
    assert_eq!(titles(cluster.node(2)), seen_by_primary);
    for paused in ["pause", "unpause"] {
        cluster.node(2).repmgr_ok(&["service", paused]);
        for node in &cluster.nodes {
            let expected = if paused == "pause" { "t" } else { "f" };
            assert_eq!(
                node.server.query("SELECT repmgr.repmgrd_is_paused()"),
                expected,
                "{paused} on {}",
                node.name()
            );
        }
    }
    cluster.node(1).server.stop("fast");
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    cluster.wait_primary(2);
}

#[test]
fn an_original_clones_from_our_host() {
    pair("ours-first", &[OURS, ORIGINAL]);
}

#[test]
fn we_clone_from_an_originals_host() {
    pair("original-first", &[ORIGINAL, OURS]);
}
