//! The right to write, enforced in live servers: every way in which a write could slip by.

#[path = "../support/mod.rs"]
mod support;

mod session;
mod subscription;
mod switching;
mod synchronous;
mod voting;
mod waits;
mod writes;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use session::Session;
use support::server::Server;
use support::{eventually, stage, user};

/// What the server says to a write without the right.
const REFUSED: &str = "25006";

/// Long enough for what a test does within the right.
const LONG: u32 = 29_000;

/// A folder that is removed with its servers; kept if the test failed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("repmgr-oxide-enforcement-{}-{number}", std::process::id()));
        user::folder(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A running server with the database `repmgr`, the extension `repmgr_write_right` in it and a table `t`. The folder is
/// dropped after the server.
struct Guarded {
    server: Server,
    /// The ballot of the right that is held; a right that was given up is not extended again.
    round: AtomicU32,
    _folder: Folder,
}

impl Deref for Guarded {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Guarded {
    /// A server that preloads the library, with nothing switched on.
    fn preloaded(settings: &str) -> Guarded {
        Guarded::up(&format!("shared_preload_libraries = 'repmgr'\n{settings}"))
    }

    /// A server that requires the right to write, and has it.
    fn on(settings: &str) -> Guarded {
        let server = Guarded::preloaded(settings);
        server.require(true);
        server
    }

    fn up(settings: &str) -> Guarded {
        let folder = Folder::new();
        let server = Server::new(&folder.0.join("primary"), stage::stage());
        server.initialise(settings);
        server.start();
        server
            .try_query_in("postgres", "CREATE DATABASE repmgr")
            .expect("the database");
        server.query("CREATE EXTENSION repmgr_write_right");
        server.query("CREATE TABLE t (n integer)");
        Guarded {
            server,
            round: AtomicU32::new(1),
            _folder: folder,
        }
    }

    /// Holds the right, then switches the enforcement on; or switches it off.
    fn require(&self, on: bool) {
        if on {
            self.hold(LONG);
        }
        let word = if on { "on" } else { "off" };
        self.query(&format!("ALTER SYSTEM SET repmgr.require_write_right = {word}"));
        self.query("SELECT pg_reload_conf()");
        eventually("the setting is in force", || {
            let is = self.query("SELECT enforcement_on FROM repmgr_write_right.status()");
            ((is == "t") == on).then_some(())
        });
    }

    /// The right, for so many milliseconds from now.
    fn hold(&self, milliseconds: u32) {
        let round = self.round.load(Ordering::Relaxed);
        self.query(&format!(
            "SELECT repmgr_write_right.hold_until(boottime_ms + {milliseconds}, server, '{round}.1.1') \
             FROM repmgr_write_right.status()"
        ));
    }

    /// Ends the right.
    fn lapse(&self) {
        let round = self.round.fetch_add(1, Ordering::Relaxed);
        self.query(&format!("SELECT repmgr_write_right.lapse('{round}.1.1')"));
    }

    /// Waits until the right has ended by itself.
    fn outlive(&self) {
        eventually("the right ends", || {
            (self.query("SELECT coalesce(remaining_ms, 0) FROM repmgr_write_right.status()") == "0").then_some(())
        });
    }

    fn session(&self) -> Session {
        Session::open(self, "repmgr")
    }

    /// Waits until so many sessions of clients wait for an event of this name.
    fn waiting(&self, event: &str, sessions: usize) {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event = '{event}'");
        let expected = sessions.to_string();
        eventually(&format!("{sessions} wait for {event}"), || {
            (self.query(&sql) == expected).then_some(())
        });
    }

    fn rows(&self) -> String {
        self.query("SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '') FROM t")
    }
}
