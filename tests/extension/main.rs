//! The server library and its SQL scripts, in live servers.

#[path = "../support/mod.rs"]
mod support;

/// The library cannot run outside a server; this part of it can.
#[path = "../../extension/src/pause_file.rs"]
#[allow(dead_code)]
mod pause_file;

mod original;
mod pg_upgrade;
mod scripts;
mod state;
mod upgrade;

use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use support::server::Server;
use support::stage::{self, Stage};
use support::user;

/// A folder that is removed with its servers; kept if the test failed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("repmgr-oxide-extension-{}-{number}", std::process::id()));
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

/// A running server with the database `repmgr` and the extension in it. The folder is dropped after the server.
struct Primary {
    server: Server,
    folder: Folder,
}

impl std::ops::Deref for Primary {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Primary {
    fn up(settings: &str) -> Primary {
        Primary::with_stage(stage::stage(), settings)
    }

    fn with_stage(stage: &'static Stage, settings: &str) -> Primary {
        let folder = Folder::new();
        let server = Server::new(&folder.0.join("primary"), stage);
        server.initialise(settings);
        server.start();
        server
            .try_query_in("postgres", "CREATE DATABASE repmgr")
            .expect("the database");
        server.query("CREATE EXTENSION repmgr");
        Primary { server, folder }
    }

    fn restart(&self, mode: &str) {
        self.stop(mode);
        self.start();
    }
}

/// Both ways of loading the library, which must not make a difference.
const PRELOADING: [&str; 2] = ["", "shared_preload_libraries = 'repmgr'"];

/// Runs SQL in one session and gives psql's whole output, messages with their SQLSTATE.
fn session(server: &Server, sql: &str) -> Output {
    user::command(server.stage.bindir.join("psql"))
        .arg("-XAtqw")
        .args(["-v", "VERBOSITY=sqlstate", "-U", "postgres", "-d", "repmgr", "-h"])
        .arg(&server.folder)
        .args(["-p", &server.port.to_string(), "-c", sql])
        .output()
        .expect("psql")
}

/// The messages that the server sent about `sql`: severity and SQLSTATE, one a line.
fn messages(server: &Server, sql: &str) -> String {
    String::from_utf8_lossy(&session(server, sql).stderr)
        .trim_end()
        .to_owned()
}
