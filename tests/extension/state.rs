//! The node's state: what the functions answer, who sees it, when it is forgotten.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::server::Server;
use crate::support::{eventually, stage, user};
use crate::{PRELOADING, Primary, messages, session};

/// Every readable value in one row.
const EVERYTHING: &str = "SELECT repmgr.get_local_node_id(), repmgr.get_upstream_node_id(), \
     repmgr.get_upstream_last_seen(), repmgr.get_new_primary(), repmgr.get_repmgrd_pid(), \
     coalesce(repmgr.get_repmgrd_pidfile(), 'NULL'), repmgr.repmgrd_is_running(), repmgr.repmgrd_is_paused(), \
     repmgr.get_wal_receiver_pid(), repmgr.standby_get_last_updated() AT TIME ZONE 'UTC'";

/// What [`EVERYTHING`] gives before anybody has said anything.
const NOTHING_KNOWN: &str = "-1|-1|-1|-1|-1|NULL|f|f|0|2000-01-01 00:00:00";

fn pause_file(server: &Server) -> std::path::PathBuf {
    server.data.join("pg_stat/repmgrd_state.txt")
}

#[test]
fn exports_the_originals_symbols_and_those_of_the_write_right() {
    let stage = stage::stage();
    let library = stage.bindir.with_file_name("lib").join("repmgr.so");
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output();
    let output = String::from_utf8(output.expect("nm, from binutils").stdout).expect("nm's output");
    let mut exported: Vec<&str> = output.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    exported.sort_unstable();

    let prefixed = [
        "set_local_node_id",
        "get_local_node_id",
        "standby_set_last_updated",
        "standby_get_last_updated",
        "set_upstream_last_seen",
        "get_upstream_last_seen",
        "get_upstream_node_id",
        "set_upstream_node_id",
        "notify_follow_primary",
        "get_new_primary",
        "reset_voting_status",
        "get_wal_receiver_pid",
    ];
    let unprefixed = [
        "get_repmgrd_pid",
        "get_repmgrd_pidfile",
        "set_repmgrd_pid",
        "repmgrd_is_running",
        "repmgrd_pause",
        "repmgrd_is_paused",
    ];
    let functions = prefixed.map(|name| format!("repmgr_{name}")).into_iter();
    // Those of the other extension are its own: all that its script names.
    let script = include_str!("../../extension/sql/repmgr_write_right--1.0.sql");
    let write_right = script
        .lines()
        .filter_map(|line| line.split_once("'MODULE_PATHNAME', '")?.1.strip_suffix("';"))
        .map(String::from);
    let functions: Vec<String> = functions
        .chain(unprefixed.map(String::from))
        .chain(write_right)
        .collect();
    let records = functions.iter().map(|name| format!("pg_finfo_{name}"));
    let mut expected: Vec<String> = records.chain(functions.iter().cloned()).collect();
    expected.extend(["Pg_magic_func".into(), "_PG_init".into()]);
    expected.sort_unstable();
    assert_eq!(exported, expected);
}

#[test]
fn functions_answer_as_documented_preloaded_or_not() {
    for settings in PRELOADING {
        let server = Primary::up(settings);
        assert_eq!(server.query(EVERYTHING), NOTHING_KNOWN, "{settings}");

        // Before the server knows its node, a notification says nothing, and nobody's upstream is itself.
        assert_eq!(messages(&server, "SELECT repmgr.notify_follow_primary(4)"), "");
        assert_eq!(server.query("SELECT repmgr.get_new_primary()"), "-1");
        assert_eq!(
            messages(&server, "SELECT repmgr.set_upstream_node_id(-1)"),
            "ERROR:  22023"
        );

        // The first to say which node this is has said it; NULL says nothing.
        server.query("SELECT repmgr.set_local_node_id(NULL)");
        assert_eq!(server.query("SELECT repmgr.get_local_node_id()"), "-1");
        server.query("SELECT repmgr.set_local_node_id(3)");
        server.query("SELECT repmgr.set_local_node_id(5)");
        assert_eq!(server.query("SELECT repmgr.get_local_node_id()"), "3");

        assert_eq!(
            messages(&server, "SELECT repmgr.set_upstream_node_id(3)"),
            "ERROR:  22023"
        );
        assert_eq!(messages(&server, "SELECT repmgr.set_upstream_node_id(2)"), "");
        assert_eq!(server.query("SELECT repmgr.get_upstream_node_id()"), "2");
        assert_eq!(server.query("SELECT repmgr.get_upstream_last_seen()"), "-1");
        // No such check here, as in the original.
        server.query("SELECT repmgr.set_upstream_last_seen(3)");
        let seen = "SELECT repmgr.get_upstream_node_id(), repmgr.get_upstream_last_seen() BETWEEN 0 AND 30";
        assert_eq!(server.query(seen), "3|t");

        notifications(&server);
        daemon_process(&server);

        let updated = "SELECT repmgr.standby_set_last_updated() BETWEEN now() AND now() + interval '30 s'";
        assert_eq!(server.query(updated), "t");
        let updated = "SELECT repmgr.standby_get_last_updated() BETWEEN now() - interval '30 s' AND now()";
        assert_eq!(server.query(updated), "t");
    }
}

fn notifications(server: &Server) {
    let new_primary = || server.query("SELECT repmgr.get_new_primary()");
    // Any number is taken, and reading does not take it away.
    for candidate in ["4", "-2", "3", "-1", "7"] {
        let notify = format!("SELECT repmgr.notify_follow_primary({candidate})");
        assert_eq!(messages(server, &notify), "INFO:  00000");
        assert_eq!((new_primary(), new_primary()), (candidate.into(), candidate.into()));
    }
    server.query("SELECT repmgr.notify_follow_primary(NULL)");
    assert_eq!(new_primary(), "7");
    server.query("SELECT repmgr.reset_voting_status()");
    assert_eq!(new_primary(), "-1");
}

fn daemon_process(server: &Server) {
    let set = |arguments: &str| server.query(&format!("SELECT repmgr.set_repmgrd_pid({arguments})"));
    let daemon = || {
        server.query(
            "SELECT repmgr.get_repmgrd_pid(), coalesce(repmgr.get_repmgrd_pidfile(), 'NULL'), \
             repmgr.repmgrd_is_running()",
        )
    };
    let postmaster = server.pid().expect("the postmaster").to_string();
    assert_eq!(
        messages(server, "SELECT repmgr.set_repmgrd_pid(1, '/run/x')"),
        "INFO:  00000"
    );
    // There is a process 1, but the server's user may not signal it.
    assert_eq!(daemon(), "1|/run/x|f");
    set(&format!("{postmaster}, '/run/ä'"));
    assert_eq!(daemon(), format!("{postmaster}|/run/ä|t"));
    set(&format!("{postmaster}, ''"));
    assert_eq!(daemon(), format!("{postmaster}|NULL|t"));
    set(&format!("{postmaster}, NULL"));
    assert_eq!(daemon(), format!("{postmaster}|NULL|t"));
    set("-1, '/run/x'");
    assert_eq!(daemon(), "-1|NULL|f");
    set(&format!("{postmaster}, '/run/x'"));
    set("NULL, '/run/x'");
    assert_eq!(daemon(), "-1|NULL|f");

    // What does not fit is left out, at the end of a character.
    set(&format!("{postmaster}, repeat('a', 5000)"));
    let length = "SELECT octet_length(repmgr.get_repmgrd_pidfile())";
    assert_eq!(server.query(length), "1023");
    set(&format!("{postmaster}, repeat('ä', 5000)"));
    assert_eq!(server.query(length), "1022");
    set("-1, NULL");
}

#[test]
fn forgets_everything_when_the_server_forgets_its_memory() {
    for settings in PRELOADING {
        let server = Primary::up(settings);
        let learn = "SELECT repmgr.set_local_node_id(3), repmgr.set_upstream_last_seen(2), \
                     repmgr.notify_follow_primary(4), repmgr.set_repmgrd_pid(1, '/run/x'), \
                     repmgr.standby_set_last_updated()";
        let forgotten = |after: &str| assert_eq!(server.query(EVERYTHING), NOTHING_KNOWN, "{settings} {after}");

        server.query(learn);
        server.restart("fast");
        forgotten("a restart");

        server.query(learn);
        server.restart("immediate");
        forgotten("an immediate restart");

        server.query(learn);
        server.query("SELECT pg_reload_conf()");
        assert_eq!(server.query("SELECT repmgr.get_local_node_id()"), "3");

        // The server ends all sessions and starts over after this.
        session(&server, "COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'");
        eventually("the server answers again", || server.try_query("SELECT 1").ok());
        forgotten("a backend's crash");
    }
}

#[test]
fn every_session_of_every_database_sees_one_state() {
    let server = Primary::up("");
    server.query("CREATE DATABASE other");
    server
        .try_query_in("other", "CREATE EXTENSION repmgr VERSION '5.5'")
        .expect("the extension in another database");
    // Not a matter of transactions either.
    server.query("BEGIN; SELECT repmgr.set_local_node_id(3); ROLLBACK");
    let other = server.try_query_in("other", "SELECT repmgr.get_local_node_id()");
    assert_eq!(other.as_deref(), Ok("3"));
}

#[test]
fn sessions_at_the_same_time_neither_lose_nor_tear_anything() {
    let server = Primary::up("");

    // All of them find the state not there yet; one makes it, one is the first to name the node.
    let first = std::thread::scope(|scope| {
        let all: Vec<_> = (1..=8)
            .map(|id| {
                let sql = format!("SELECT repmgr.set_local_node_id({id}); SELECT repmgr.get_local_node_id()");
                let server: &Server = &server;
                scope.spawn(move || server.query(&sql).lines().last().map(String::from))
            })
            .collect();
        let mut seen: Vec<_> = all
            .into_iter()
            .map(|session| session.join().expect("a session"))
            .collect();
        seen.dedup();
        assert_eq!(seen.len(), 1, "sessions disagree: {seen:?}");
        seen.pop().flatten().expect("a node id")
    });
    assert_eq!(server.query("SELECT repmgr.get_local_node_id()"), first);

    // A path of one repeated digit is written by some and read by others: a mixture divides by zero.
    let script = server.server.folder.join("script.sql");
    user::write(
        &script,
        "\\set digit random(1, 9)\n\
         SELECT repmgr.set_repmgrd_pid(:digit, repeat(:digit::text, 900 + :digit));\n\
         SELECT 1 / (translate(path, left(path, 1), '') = '' AND length(path) = 900 + left(path, 1)::int)::int \
           FROM repmgr.get_repmgrd_pidfile() AS path;\n",
    );
    let script = script.display().to_string();
    let (folder, port) = (server.server.folder.display().to_string(), server.port.to_string());
    let options = [
        "-n", "-c", "6", "-j", "2", "-t", "400", "-U", "postgres", "-d", "repmgr",
    ];
    server.stage.run(
        "pgbench",
        &[&options[..], &["-h", &folder, "-p", &port, "-f", &script]].concat(),
    );

    // A session that ends while it works leaves no lock behind.
    session(
        &server,
        "SELECT repmgr.set_local_node_id(1) FROM generate_series(1, 1000000), pg_terminate_backend(pg_backend_pid())",
    );
    assert_eq!(server.query("SELECT repmgr.get_local_node_id()"), first);
}

#[test]
fn the_pause_flag_outlives_a_restart_in_the_originals_file() {
    for settings in PRELOADING {
        let server = Primary::up(settings);
        let path = pause_file(&server);
        let paused = || server.query("SELECT repmgr.repmgrd_is_paused()");

        // Works before the node is known, and says so in the file.
        server.query("SELECT repmgr.repmgrd_pause(true)");
        assert_eq!(
            (paused().as_str(), &*fs::read(&path).expect("the file")),
            ("t", &b"-1:1\0"[..])
        );
        server.query("SELECT repmgr.set_local_node_id(3)");
        server.query("SELECT repmgr.repmgrd_pause(false)");
        assert_eq!(
            (paused().as_str(), &*fs::read(&path).expect("the file")),
            ("f", &b"3:0\0"[..])
        );
        server.query("SELECT repmgr.repmgrd_pause(true)");
        server.query("SELECT repmgr.repmgrd_pause(NULL)");
        assert_eq!(
            (paused().as_str(), &*fs::read(&path).expect("the file")),
            ("t", &b"3:1\0"[..])
        );
        let mode = path.metadata().expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().expect("a folder")).expect("pg_stat").count(),
            1
        );

        // Restored when the same node is named again, not by the server itself and not for another node.
        for (node, restored) in [("4", "f"), ("3", "t")] {
            server.restart("immediate");
            assert_eq!(paused(), "f", "{settings}");
            server.query(&format!("SELECT repmgr.set_local_node_id({node})"));
            assert_eq!(paused(), restored, "{settings}: node {node}");
        }

        // The file is read each time; what it says is taken only if it makes sense.
        for (content, messages_expected, expected) in [
            ("3:0", "", "f"),
            ("0x3:1 and more", "", "t"),
            ("4:0", "", "t"),
            ("3:5", "", "t"),
            ("", "", "t"),
            ("rubbish", "WARNING:  01000", "t"),
            ("3:", "WARNING:  01000", "t"),
        ] {
            user::write(&path, content);
            let messages = messages(&server, "SELECT repmgr.set_local_node_id(9)");
            assert_eq!(
                (messages.as_str(), paused().as_str()),
                (messages_expected, expected),
                "{content}"
            );
        }

        // A file that cannot be written is no reason not to pause.
        fs::remove_file(&path).expect("removed");
        user::folder(&path);
        assert_eq!(
            messages(&server, "SELECT repmgr.repmgrd_pause(false)"),
            "WARNING:  01000"
        );
        assert_eq!(paused(), "f");
        assert_eq!(
            fs::read_dir(path.parent().expect("a folder")).expect("pg_stat").count(),
            1
        );
    }
}

#[test]
fn works_on_a_read_only_standby_with_a_state_of_its_own() {
    for settings in PRELOADING {
        let primary = Primary::up(settings);
        primary
            .query("SELECT repmgr.set_local_node_id(1), repmgr.set_upstream_last_seen(7), repmgr.repmgrd_pause(true)");

        let standby = Server::new(&primary.folder.0.join("standby"), primary.stage);
        let (data, conninfo) = (
            standby.data.display().to_string(),
            primary.conninfo_as("postgres", "postgres"),
        );
        let options = ["-R", "-c", "fast", "-X", "stream", "-D", &data, "-d", &conninfo];
        primary.stage.run("pg_basebackup", &options);
        standby.configure(settings);
        standby.start();
        assert_eq!(standby.query("SELECT pg_is_in_recovery()"), "t");

        // Nothing came with the base backup but the pause file, which speaks of another node.
        let known = standby.query("SELECT repmgr.get_local_node_id(), repmgr.get_upstream_last_seen()");
        assert_eq!(known, "-1|-1");
        assert_eq!(fs::read(pause_file(&standby)).expect("the file"), b"1:1\0");
        standby.query("SELECT repmgr.set_local_node_id(2)");
        assert_eq!(standby.query("SELECT repmgr.repmgrd_is_paused()"), "f");

        standby.query(
            "BEGIN READ ONLY; SELECT repmgr.set_upstream_last_seen(1), repmgr.repmgrd_pause(true), \
             repmgr.notify_follow_primary(-2), repmgr.set_repmgrd_pid(1, ''), repmgr.standby_set_last_updated()",
        );
        let known = "SELECT repmgr.get_local_node_id(), repmgr.get_upstream_node_id(), repmgr.get_new_primary(), \
                     repmgr.get_repmgrd_pid(), repmgr.repmgrd_is_paused(), repmgr.get_upstream_last_seen() < 30, \
                     repmgr.standby_get_last_updated() > now() - interval '30 s'";
        assert_eq!(standby.query(known), "2|1|-2|1|t|t|t");
        assert_eq!(fs::read(pause_file(&standby)).expect("the file"), b"2:1\0");
        assert_eq!(
            primary.query("SELECT repmgr.get_local_node_id(), repmgr.get_new_primary()"),
            "1|-1"
        );

        let receiver = "SELECT repmgr.get_wal_receiver_pid(), pid FROM pg_stat_wal_receiver";
        eventually("the WAL receiver's process", || {
            let row = standby.query(receiver);
            let (ours, servers) = row.split_once('|')?;
            (ours == servers).then_some(())
        });
        // The view asks the function for the time of the last update.
        primary.query(
            "INSERT INTO repmgr.nodes VALUES (2, NULL, true, 'b', 'standby', 'l', 1, 'c', 'r', NULL, 'f'); \
             INSERT INTO repmgr.monitoring_history VALUES (1, 2, now() - interval '1 day', NULL, '0/1', '0/1', 0, 0)",
        );
        let lag = "SELECT communication_time_lag < '1 hour' FROM repmgr.replication_status";
        eventually("the row is replayed", || (standby.query(lag) == "t").then_some(()));
        assert_eq!(primary.query(lag), "f");

        // A promotion changes nothing but that there is no receiver any more.
        standby.query("SELECT pg_promote()");
        eventually("no WAL receiver", || {
            (standby.query("SELECT repmgr.get_wal_receiver_pid()") == "0").then_some(())
        });
        assert_eq!(standby.query(known), "2|1|-2|1|t|t|t");
        standby.stop("immediate");
    }
}
