//! Commits that wait, past the end of the right, after they were checked: nothing of them is acknowledged.

use crate::Guarded;
use crate::session::CLOSED;

/// A name that no standby has: every commit waits until the setting is taken back.
const NOBODY: &str = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'";

fn wait_for_nobody(server: &Guarded) {
    server.query(NOBODY);
    server.query("SELECT pg_reload_conf()");
    crate::support::eventually("commits wait", || {
        (server.query("SHOW synchronous_standby_names") == "nobody").then_some(())
    });
}

fn let_through(server: &Guarded) {
    server.query("ALTER SYSTEM RESET synchronous_standby_names");
    server.query("SELECT pg_reload_conf()");
}

#[test]
fn a_commit_that_waits_for_a_standby_past_the_end_is_not_acknowledged() {
    let server = Guarded::on("max_prepared_transactions = 10");
    server.query("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'to commit'");
    server.query("BEGIN; INSERT INTO t VALUES (100); PREPARE TRANSACTION 'to roll back'");
    server.query(
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (2); COMMIT; \
                  INSERT INTO t VALUES (101); COMMIT; END $$",
    );
    let sessions: Vec<_> = (0..8).map(|_| server.session()).collect();
    let open = server.session();
    open.run("BEGIN; SELECT count(*) FROM t");
    wait_for_nobody(&server);

    let writes = [
        "INSERT INTO t VALUES (3)",
        "BEGIN; INSERT INTO t VALUES (4); COMMIT; SELECT 1",
        "BEGIN; INSERT INTO t VALUES (102); PREPARE TRANSACTION 'another'",
        "COMMIT PREPARED 'to commit'",
        "ROLLBACK PREPARED 'to roll back'",
        "CALL p()",
        "INSERT INTO t VALUES (5) RETURNING n",
        "CREATE DATABASE another",
    ];
    let waiting: Vec<_> = sessions
        .into_iter()
        .zip(writes)
        .map(|(session, sql)| (sql, session.start(sql)))
        .collect();
    server.waiting("SyncRep", writes.len());
    server.lapse();
    let_through(&server);
    for (sql, answer) in waiting {
        assert_eq!(answer.join().expect("the session"), Err(CLOSED.into()), "{sql}");
    }
    // Whoever did not write in this time stays.
    open.run("SELECT count(*) FROM t; COMMIT");
    // They are committed, which nobody was told; the procedure did not go on.
    assert_eq!(server.rows(), "1,2,3,4,5");
    let log = server.log();
    assert!(
        log.contains("the right to write ended while a transaction was being committed"),
        "{log}"
    );
}

#[test]
fn a_commit_that_waits_for_the_queue_of_notifications_past_the_end_is_not_acknowledged() {
    let server = Guarded::on("");
    let (first, second, third) = (server.session(), server.session(), server.session());
    let listener = server.session();
    listener.run("LISTEN channel");
    wait_for_nobody(&server);
    // The first holds the queue until its commit is through; the second was checked before it waits for the queue.
    let first = first.start("BEGIN; INSERT INTO t VALUES (1); NOTIFY channel; COMMIT");
    server.waiting("SyncRep", 1);
    let second = second.start("BEGIN; INSERT INTO t VALUES (2); NOTIFY channel; COMMIT");
    server.waiting("object", 1);
    // A notification alone is no write, though it gets a transaction id in the end.
    let third = third.start("NOTIFY channel, 'x'");
    server.waiting("object", 2);
    server.lapse();
    let_through(&server);
    assert_eq!(first.join().expect("the session"), Err(CLOSED.into()));
    assert_eq!(second.join().expect("the session"), Err(CLOSED.into()));
    assert_eq!(third.join().expect("the session"), Ok(String::new()));
    assert_eq!(server.rows(), "1,2");
}
