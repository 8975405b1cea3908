//! When the checks are there, and when the right ends by itself.

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::support::eventually;
use crate::{Guarded, LONG, REFUSED};

const STATUS: &str =
    "SELECT enforcement_loaded, enforcement_on, end_boottime_ms IS NOT NULL FROM repmgr_write_right.status()";

#[test]
fn a_library_that_is_not_preloaded_enforces_nothing_and_says_so() {
    // The setting is there all the same: any name with a dot in it may be set.
    let server = Guarded::up("repmgr.require_write_right = on");
    assert_eq!(server.query("SHOW repmgr.require_write_right"), "on");
    assert_eq!(server.query(STATUS), "f|f|f");
    server.query("INSERT INTO t VALUES (1)");

    // Loaded later, it still is not hooked in.
    let session = server.session();
    session.run("LOAD 'repmgr'");
    session.run("INSERT INTO t VALUES (2)");
    let hold =
        "SELECT repmgr_write_right.hold_until(boottime_ms + 1000, server, '1.1.1') FROM repmgr_write_right.status()";
    assert_eq!(session.ask(hold), Err("55000".into()));
    session.run("SELECT repmgr_write_right.lapse('1.1.1')");
    session.run("INSERT INTO t VALUES (3)");
    assert_eq!(server.rows(), "1,2,3");
}

#[test]
fn a_reload_switches_it_on_and_off_for_every_session_at_once() {
    let server = Guarded::preloaded("");
    assert_eq!(server.query(STATUS), "t|f|f");
    let (before, long) = (server.session(), server.session());
    before.run("INSERT INTO t VALUES (1)");
    // Even for one that is in the middle of a statement, which reads no configuration.
    let keeper = server.session();
    keeper.run("SELECT pg_advisory_lock(1)");
    let long = long.start("DO $$ BEGIN INSERT INTO t VALUES (2); PERFORM pg_advisory_lock(1); END $$");
    server.waiting("advisory", 1);

    server.require(true);
    assert_eq!(server.query(STATUS), "t|t|t");
    before.run("INSERT INTO t VALUES (3)");
    server.lapse();
    assert_eq!(server.query(STATUS), "t|t|f");
    assert_eq!(before.ask("INSERT INTO t VALUES (4)"), Err(REFUSED.into()));
    keeper.run("SELECT pg_advisory_unlock(1)");
    assert_eq!(long.join().expect("the session"), Err(REFUSED.into()));

    server.require(false);
    server.lapse();
    assert_eq!(server.query(STATUS), "t|f|f");
    before.run("INSERT INTO t VALUES (5)");
    assert_eq!(server.rows(), "1,3,5");
}

#[test]
fn the_right_ends_by_itself_and_with_the_servers_memory() {
    let server = Guarded::on("");
    // Nobody extends it: the daemon is frozen.
    server.lapse();
    let session = server.session();
    server.hold(1500);
    session.run("BEGIN; INSERT INTO t VALUES (1)");
    server.outlive();
    assert_eq!(session.ask("COMMIT"), Err(REFUSED.into()));
    // Extended in time, it goes on; only forward, and not by more than the longest lease.
    server.hold(LONG);
    server.hold(1);
    session.run("INSERT INTO t VALUES (2)");
    let too_far =
        "SELECT repmgr_write_right.hold_until(boottime_ms + 31000, server, '9.1.1') FROM repmgr_write_right.status()";
    assert_eq!(session.ask(too_far), Err("22023".into()));

    // What was on its way to the server before its restart does not reach the one after it.
    let server_then = server.query("SELECT server FROM repmgr_write_right.status()");
    let late = format!(
        "SELECT repmgr_write_right.hold_until(boottime_ms + 1000, {server_then}, '9.1.1') FROM repmgr_write_right.status()"
    );
    session.run(&late);
    server.stop("fast");
    server.start();
    assert_eq!(server.query(STATUS), "t|t|f");
    let session = server.session();
    assert_eq!(session.ask("INSERT INTO t VALUES (3)"), Err(REFUSED.into()));
    assert_eq!(session.ask(&late), Err("55000".into()));

    // The same after a crash of one backend, for which the postmaster makes its memory anew.
    server.hold(LONG);
    session.run("INSERT INTO t VALUES (4)");
    let pid: i32 = session.run("SELECT pg_backend_pid()").parse().expect("a process");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
    eventually("the server is back without the right", || {
        (server.try_query(STATUS).as_deref() == Ok("t|t|f")).then_some(())
    });
    assert_eq!(server.session().ask("INSERT INTO t VALUES (5)"), Err(REFUSED.into()));
    assert_eq!(server.rows(), "2,4");

    // Given up under one ballot, nothing extends it under the same.
    server.hold(LONG);
    let session = server.session();
    session.run("INSERT INTO t VALUES (6)");
    server.lapse();
    let again =
        "SELECT repmgr_write_right.hold_until(boottime_ms + 9000, server, '1.1.1') FROM repmgr_write_right.status()";
    assert_eq!(session.ask(again), Err("55000".into()));
    assert_eq!(session.ask("INSERT INTO t VALUES (7)"), Err(REFUSED.into()));
}

/// The clock that the right is measured with, in milliseconds.
fn boottime() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("the clock");
    now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000
}

#[test]
fn a_server_that_was_frozen_past_the_end_commits_nothing_when_it_is_thawed() {
    let server = Guarded::on("");
    let (open, in_time) = (server.session(), server.session());
    open.run("BEGIN; INSERT INTO t VALUES (100)");
    server.lapse();
    server.hold(3000);
    in_time.run("INSERT INTO t VALUES (1)");
    let end = "SELECT end_boottime_ms FROM repmgr_write_right.status()";
    let end: i64 = server.query(end).parse().expect("a time");
    server.freeze();
    // Both commits reach the server while it cannot answer.
    let commits = [open.start("COMMIT"), in_time.start("INSERT INTO t VALUES (101)")];
    eventually("the end is past", || (boottime() > end).then_some(()));
    server.go_on();
    for commit in commits {
        assert_eq!(commit.join().expect("the session"), Err(REFUSED.into()));
    }
    assert_eq!(server.rows(), "1");
}

#[test]
fn only_those_who_were_given_the_functions_may_call_them() {
    let server = Guarded::preloaded("");
    server.query("CREATE ROLE somebody; GRANT USAGE ON SCHEMA repmgr_write_right TO somebody");
    let session = server.session();
    session.run("SET ROLE somebody");
    for call in ["status()", "lapse('1.1.1')", "hold_until(1, 1, '1.1.1')"] {
        let sql = format!("SELECT repmgr_write_right.{call}");
        assert_eq!(session.ask(&sql), Err("42501".into()), "{call}");
    }
}
