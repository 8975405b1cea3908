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

    // A worker that has nothing to do ends with the right, before it tells the publisher any more.
    let ended = "terminating logical replication worker due to administrator command";
    server.lapse();
    eventually("the worker ends", || server.log().contains(ended).then_some(()));
    publisher.query("INSERT INTO t VALUES (2)");
    arrived("1,2");
    // The same when nobody says so.
    let log_then = server.log().len();
    server.lapse();
    server.hold(1500);
    eventually("the worker ends by itself", || {
        server.log()[log_then..].contains(ended).then_some(())
    });

    // None can start, and so nothing is applied.
    server.outlive();
    let log_then = server.log().len();
    let refused = || {
        server.log()[log_then..]
            .matches("does not hold the right to write")
            .count()
    };
    publisher.query("INSERT INTO t VALUES (3)");
    eventually("a worker is refused", || (refused() > 0).then_some(()));
    let so_far = refused();
    eventually("the next one, too", || (refused() > so_far).then_some(()));
    assert_eq!(server.rows(), "1,2");
    arrived("1,2,3");

    // One that is in the middle of its commit when the right ends does not report it.
    server.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.query("SELECT pg_reload_conf()");
    let confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'";
    publisher.query("INSERT INTO t VALUES (4)");
    eventually("the worker waits for a standby", || {
        server.hold(LONG);
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        (server.query(waits) == "1").then_some(())
    });
    let inserted = publisher.query("SELECT pg_current_wal_flush_lsn()");
    server.lapse();
    server.query("ALTER SYSTEM RESET synchronous_standby_names");
    server.query("SELECT pg_reload_conf()");
    let so_far = refused();
    eventually("the next one is refused", || (refused() > so_far).then_some(()));
    let ahead = format!("SELECT ({confirmed}) < '{inserted}'");
    assert_eq!(publisher.query(&ahead), "t");
    publisher.query("INSERT INTO t VALUES (5)");
    arrived("1,2,3,4,5");
    server.query("DROP SUBSCRIPTION s");
}
