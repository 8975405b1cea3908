//! A good day: nothing happens, and nobody is called.

use crate::support::cluster::Cluster;
use crate::support::eventually;

#[test]
fn daemons_of_a_quiet_cluster_log_no_warning_and_no_error() {
    let mut cluster = Cluster::new("quiet", 3);
    for node in &cluster.nodes {
        node.write_config(&format!(
            "{}monitoring_history=true\nlog_status_interval=1\nuse_replication_slots=true\n",
            node.automatic_failover()
        ));
    }
    cluster.primary_up("");
    cluster.standby_up(2);
    cluster.standby_up(3);
    for id in [2, 3] {
        cluster.wait_record(id, 3);
    }
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    let primary = &cluster.node(1).server;
    eventually("each standby has been watched for some intervals", || {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM repmgr.monitoring_history GROUP BY standby_node_id \
                   HAVING count(*) > 6) watched";
        (primary.query(sql) == "2").then_some(())
    });
    eventually("the primary's daemon has reported its status", || {
        let log = cluster.node(1).daemon_log();
        (log.matches("monitoring primary node").count() > 1 || log.matches("[INFO]").count() > 6).then_some(())
    });
    let events = "SELECT string_agg(event || ' ' || node_id, ', ') FROM repmgr.events \
                  WHERE NOT successful OR event NOT IN ('cluster_created', 'primary_register', 'standby_clone', \
                  'standby_register', 'standby_register_sync', 'repmgrd_start')";
    assert_eq!(primary.query(events), "");
    for id in 1..=3 {
        let node = cluster.node_mut(id);
        assert_eq!(node.stop_daemon(), Some(0));
        let log = node.daemon_log();
        let bad = |line: &&str| {
            ["[WARNING]", "[ERROR]", "[CRITICAL]", "[ALERT]"]
                .iter()
                .any(|level| line.contains(level))
        };
        let found: Vec<&str> = log.lines().filter(bad).collect();
        assert!(found.is_empty(), "node{id}: {found:#?}\n{log}");
    }
}
