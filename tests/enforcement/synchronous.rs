//! The strict synchronous mode: what the synchronous standbys do not have is not acknowledged.

use crate::session::CLOSED;
use crate::support::server::Server;
use crate::support::{eventually, stage};
use crate::{Folder, Guarded, LONG};

/// What the server says to a writer that would not wait.
const WOULD_NOT_WAIT: &str = "55000";

fn set(server: &Guarded, setting: &str, value: &str) {
    server.query(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
    server.query("SELECT pg_reload_conf()");
    eventually(setting, || {
        (server.query(&format!("SHOW {setting}")) == value).then_some(())
    });
}

#[test]
fn what_no_synchronous_standby_has_is_not_acknowledged() {
    let server = Guarded::on("max_prepared_transactions = 10");
    let folder = Folder::new();
    let standby = Server::new(&folder.0.join("standby"), stage::stage());
    let (data, conninfo) = (
        standby.data.display().to_string(),
        server.conninfo_as("postgres", "postgres"),
    );
    standby.run("pg_basebackup", &["-D", &data, "-R", "-c", "fast", "-d", &conninfo]);
    standby.configure("");
    standby.start();
    // Before it is strict, a session may choose not to wait, and a cancelled wait is acknowledged.
    let lax = server.session();
    lax.run("SET synchronous_commit = off");
    server.hold(LONG);
    lax.run("INSERT INTO t VALUES (1)");
    lax.run("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'prepared'");
    set(&server, "synchronous_standby_names", "*");
    set(&server, "repmgr.require_synchronous_commit", "on");
    let strict = "SELECT synchronous_on FROM repmgr_write_right.status()";
    eventually("the mode is in force", || (server.query(strict) == "t").then_some(()));

    let held = || server.hold(LONG);
    held();
    let session = server.session();
    session.run("INSERT INTO t VALUES (3)");
    for level in ["off", "local", "remote_write"] {
        lax.run(&format!("SET synchronous_commit = {level}"));
        for write in [
            "INSERT INTO t VALUES (100)",
            "BEGIN; INSERT INTO t VALUES (101); PREPARE TRANSACTION 'another'",
            "COMMIT PREPARED 'prepared'",
            "CREATE DATABASE another",
        ] {
            assert_eq!(lax.ask(write), Err(WOULD_NOT_WAIT.into()), "{level}: {write}");
        }
        lax.run("SELECT count(*) FROM t");
    }
    lax.run("SET synchronous_commit = remote_apply");
    lax.run("COMMIT PREPARED 'prepared'");

    // The standby hangs: commits wait, and whoever is cancelled is told nothing.
    held();
    server.query("BEGIN; INSERT INTO t VALUES (4); PREPARE TRANSACTION 'second'");
    server.query("BEGIN; INSERT INTO t VALUES (102); PREPARE TRANSACTION 'third'");
    let sessions: Vec<_> = (0..4).map(|_| server.session()).collect();
    standby.freeze();
    let writes = [
        "INSERT INTO t VALUES (5)",
        "BEGIN; INSERT INTO t VALUES (103); PREPARE TRANSACTION 'fourth'",
        "COMMIT PREPARED 'second'",
        "ROLLBACK PREPARED 'third'",
    ];
    let waiting: Vec<_> = sessions
        .into_iter()
        .zip(writes)
        .map(|(session, sql)| (sql, session.start(sql)))
        .collect();
    held();
    server.waiting("SyncRep", writes.len());
    held();
    server.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    for (sql, answer) in waiting {
        assert_eq!(answer.join().expect("the session"), Err(CLOSED.into()), "{sql}");
    }
    session.run("SELECT count(*) FROM t");

    // With the standby back, all goes on; without the name of one, nothing does.
    standby.go_on();
    held();
    session.run("INSERT INTO t VALUES (6)");
    set(&server, "synchronous_standby_names", "");
    held();
    assert_eq!(session.ask("INSERT INTO t VALUES (104)"), Err(WOULD_NOT_WAIT.into()));
    // Without the right to write it does not count.
    server.require(false);
    session.run("SET synchronous_commit = off; INSERT INTO t VALUES (7)");
    assert_eq!(server.rows(), "1,2,3,4,5,6,7");
    standby.stop("immediate");
}
