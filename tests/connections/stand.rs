//! One server for the whole file of tests, reached in every way that libpq knows.

use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use repmgr::conninfo::{Conninfo, Environment};
use repmgr::postgres::Deadlines;

use crate::support::server::Server;
use crate::support::stage::stage;
use crate::support::user;

/// Long enough for a busy machine, and short enough to notice a call that never ends.
pub fn deadlines() -> Deadlines {
    Deadlines {
        connect: Duration::from_secs(20),
        query: Duration::from_secs(20),
    }
}

/// An environment of nothing: no variables, no home, a user of its own.
pub fn nobody() -> Environment {
    Environment::of_variables([]).with_user("nobody")
}

pub fn conninfo(text: &str) -> Conninfo {
    Conninfo::parse(text).expect(text)
}

/// Runs one asynchronous test as the programs run: on one thread.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// The server and its folder.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("repmgr-connections-{}", std::process::id()));
        let server = Server::new(&folder, stage());
        server.initialise("");
        server.start();
        stop_with_this_process(&server);
        server
    })
}

/// A static is never dropped: a shell waits for the end of this process, however it comes, and stops the server.
fn stop_with_this_process(server: &Server) {
    let script = "read -r _; \"$0\" -m immediate -D \"$1/data\" stop; rm -rf \"$1\"";
    let shell = user::command("sh")
        .args(["-c", script])
        .arg(server.stage.bindir.join("pg_ctl"))
        .arg(&server.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("sh");
    // It outlives this process.
    std::mem::forget(shell);
}
