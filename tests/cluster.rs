//! A cluster as an administrator builds it, seen from the servers.

mod support;

use support::cluster::Cluster;

#[test]
fn a_primary_and_two_standbys_replicate() {
    let cluster = Cluster::up("replicate", 3);
    let primary = &cluster.node(1).server;
    primary.query("CREATE TABLE written (number int)");
    primary.query("INSERT INTO written SELECT generate_series(1, 100)");
    for id in [2, 3] {
        let standby = &cluster.node(id).server;
        support::eventually("the rows arrive", || {
            (standby.try_query("SELECT count(*) FROM written").as_deref() == Ok("100")).then_some(())
        });
        assert_eq!(
            cluster
                .node(id)
                .record_on(primary, "type || ' ' || active || ' ' || upstream_node_id"),
            "standby true 1"
        );
    }
    assert_eq!(cluster.primaries(), [1]);
}
