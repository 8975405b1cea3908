//! Nodes of one host change places, in each way in which a cluster is reached.

mod support;

use support::cluster::Cluster;
use support::eventually;
use support::flavor::Flavor;

#[test]
fn nodes_of_one_host_need_no_ssh() {
    let cluster = Cluster::up_with("one-host", 3, "", "ssh_options='-F /no/such/file'");
    cluster.wait_record(2, 3);
    let superuser = Flavor::current().superuser_option();
    let second = cluster.node(2);
    second.repmgr_ok(&[&["standby", "switchover", "--siblings-follow"], superuser].concat());
    assert_eq!(cluster.primaries(), [2]);
    cluster.wait_streaming(2, 1);
    cluster.wait_streaming(2, 3);
    let records = "SELECT string_agg(concat_ws(' ', node_id, type, active, coalesce(upstream_node_id, 0)), ', ' \
                   ORDER BY node_id) FROM repmgr.nodes";
    assert_eq!(
        second.server.query(records),
        "1 standby t 2, 2 primary t 0, 3 standby t 2"
    );

    // Two timelines from here: node 2 goes on alone, and comes back by a rewind.
    let first = cluster.node(1);
    cluster.wait_record(1, 3);
    second.server.kill();
    first.repmgr_ok(&["standby", "promote", "--siblings-follow"]);
    cluster.wait_streaming(1, 3);
    second.server.start();
    second.server.query("CREATE TABLE lost AS SELECT 1 AS one");
    second.server.stop("fast");
    let target = first.server.conninfo();
    let rejoin = ["-d", &target, "node", "rejoin"];
    second.repmgr_fails(24, &[&rejoin, superuser].concat());
    let rewind = ["--force-rewind", "--config-files=postgresql.conf,pg_hba.conf"];
    second.repmgr_ok(&[&rejoin[..], &rewind, superuser].concat());
    cluster.wait_streaming(1, 2);
    assert_eq!(cluster.primaries(), [1]);
    eventually("what nobody else had is gone", || {
        let lost = second.server.try_query("SELECT one FROM lost");
        lost.is_err_and(|error| error.contains("does not exist")).then_some(())
    });
}
