//! A subscription's worker: it reports what it has committed to the publisher, which then forgets it.

use crate::support::eventually;
use crate::{Guarded, LONG};

#[test]
fn a_subscription_takes_nothing_without_the_right_and_goes_on_with_it() {
    let publisher = Guarded::up("wal_level = logical");
    publisher.query("CREATE PUBLICATION p FOR TABLE t");
    let server = Guarded::on("wal_retrieve_retry_interval = 200ms");
    // Its commits wait for synchronous standbys as clients' do.
    server.query(&format!(
        "CREATE SUBSCRIPTION s CONNECTION '{}' PUBLICATION p WITH (synchronous_commit = on)",
        publisher.conninfo_as("postgres", "repmgr")
    ));
    let arrived = |rows: &str| {
        eventually(rows, || {
            server.hold(LONG);
            (server.rows() == rows).then_some(())
        });
    };
    let synchronised = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'";
    publisher.query("INSERT INTO t VALUES (1)");
    eventually("the first copy", || (server.query(synchronised) == "1").then_some(()));
    arrived("1");

    // A worker that runs applies nothing, and none can start.
    server.lapse();
    publisher.query("INSERT INTO t VALUES (2)");
    let refused = || server.log().matches("does not hold the right to write").count();
    eventually("a worker is refused", || (refused() > 0).then_some(()));
    let so_far = refused();
    eventually("the next one, too", || (refused() > so_far).then_some(()));
    assert_eq!(server.rows(), "1");
    arrived("1,2");

    // One that is in the middle of its commit when the right ends does not report it.
    server.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.query("SELECT pg_reload_conf()");
    let confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'";
    publisher.query("INSERT INTO t VALUES (3)");
    server.waiting("SyncRep", 1);
    let inserted = publisher.query("SELECT pg_current_wal_flush_lsn()");
    server.lapse();
    server.query("ALTER SYSTEM RESET synchronous_standby_names");
    server.query("SELECT pg_reload_conf()");
    eventually("the worker ends", || {
        server
            .log()
            .contains("the right to write ended while a transaction")
            .then_some(())
    });
    let so_far = refused();
    eventually("the next one is refused", || (refused() > so_far).then_some(()));
    let ahead = format!("SELECT ({confirmed}) < '{inserted}'");
    assert_eq!(publisher.query(&ahead), "t");
    assert_eq!(server.rows(), "1,2,3");
    publisher.query("INSERT INTO t VALUES (4)");
    arrived("1,2,3,4");
    server.query("DROP SUBSCRIPTION s");
}
