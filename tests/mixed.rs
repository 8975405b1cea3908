//! One cluster of both: an original clones from our host, and we from an original's.

mod support;

use support::cluster::{Cluster, Node};
use support::server::Server;
use support::stage::{self, Stage};

/// A node of the cluster with another PostgreSQL and other programs.
fn move_to(cluster: &mut Cluster, id: u32, stage: &'static Stage, programs: &std::path::Path) {
    let node = cluster.node_mut(id);
    let folder = node.server.folder.clone();
    node.server = Server::new(&folder, stage);
    programs.clone_into(&mut node.programs);
    node.write_config("");
}

fn mixed(name: &str, first_is_ours: bool) {
    let Some(original) = stage::original() else {
        return support::skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
    };
    let mut cluster = Cluster::new(name, 2);
    let of_the_original = if first_is_ours { 2 } else { 1 };
    move_to(&mut cluster, of_the_original, original, &original.bindir);
    // The original's library must be preloaded; for ours it does no harm.
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    cluster.standby_up(2);

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
    mixed("mixed-ours-first", true);
}

#[test]
fn we_clone_from_an_originals_host() {
    mixed("mixed-original-first", false);
}
