//! A full disk under a standby that is to follow another upstream.

use crate::support::cluster::Cluster;
use crate::support::mount::Mount;
use crate::support::skip;
use crate::{refused, slots};

#[test]
fn a_standby_whose_disk_is_full_keeps_the_configuration_it_has() {
    if !nix::unistd::geteuid().is_root() {
        return skip("root", "a file system of its own needs root");
    }
    // Before the cluster, so that it outlives the servers also if the test fails.
    let mut mount;
    let cluster = Cluster::new("bad-full", 3);
    for node in &cluster.nodes {
        node.write_config("use_replication_slots=true\n");
    }
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    mount = Mount::new(&third.server.data, "160m");
    if mount.is_none() {
        return skip("faults", "no tmpfs can be mounted here");
    }
    cluster.primary_up("");
    cluster.standby_up(2);
    cluster.standby_up(3);
    cluster.wait_record(2, 3);
    let configuration = third.server.data.join("postgresql.auto.conf");
    let before = std::fs::read_to_string(&configuration).expect("postgresql.auto.conf");

    let filling = third.server.data.join("filling");
    // Ends when nothing more fits.
    std::fs::write(&filling, vec![0; 200 << 20]).expect_err("more than there is room for");
    let said = refused(third, 23, &["standby", "follow", "--upstream-node-id=2"]);
    assert!(said.contains("No space left"), "{said}");
    assert_eq!(
        std::fs::read_to_string(&configuration).expect("postgresql.auto.conf"),
        before
    );
    assert_eq!(slots(&second.server), "", "the slot that was to be used is taken back");
    assert_eq!(third.record_on(&first.server, "upstream_node_id"), "1");
    let beside: Vec<_> = std::fs::read_dir(&third.server.data)
        .expect("the data directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains("auto.conf") && name != "postgresql.auto.conf")
        .collect();
    assert_eq!(beside, [] as [String; 0], "nothing half-written");

    std::fs::remove_file(&filling).expect("the file");
    third.repmgr_ok(&["standby", "follow", "--upstream-node-id=2"]);
    cluster.wait_streaming(2, 3);
    third.server.stop("fast");
    drop(mount.take());
}
