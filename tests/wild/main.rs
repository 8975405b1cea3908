//! Command lines and configuration files as roles, modules, container images and monitoring plug-ins write them:
//! quoted and unquoted, with old spellings, options before and behind the verb, in a shell with pipes and variables.
//!
//! What is expected stands in the tables. It must hold for this program and, where it is staged, for the original.

#[path = "../support/mod.rs"]
mod support;

mod daemons;
mod files;
mod lines;

use std::path::Path;
use std::process::{Command, Stdio};

use support::cluster::{Cluster, Node};
use support::stage::{self, Stage};

/// Runs a test with this program and with the original at the same time. Without the original it is a part of the
/// layer `conformance` that is skipped.
fn with_both(test: fn(&'static Stage, &Path)) {
    let Some(original) = stage::original() else {
        support::skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
        return test(stage::stage(), stage::programs());
    };
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| test(original, &original.bindir));
        test(stage::stage(), stage::programs());
        theirs.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// A line for the shell of a node. `/etc/repmgr.conf` is the node's own file, which also lies in the current folder;
/// `$PGDATA`, `$PRIMARY`, `$PORT` (of the primary) and `$PIDFILE` are set.
fn shell(cluster: &Cluster, node: &Node, primary: u32, line: &str) -> Command {
    let line = line.replace("/etc/repmgr.conf", &node.config_file.display().to_string());
    let server = &node.server;
    let mut command = server.command("sh");
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        node.programs.display(),
        server.stage.bindir.display()
    );
    command
        .args(["-c", &line])
        .current_dir(&server.folder)
        .env("PWD", &server.folder)
        .env("TMPDIR", &server.folder)
        .env("PATH", path)
        .env("PGDATA", &server.data)
        .env("PRIMARY", server.flavor.host())
        .env("PORT", cluster.node(primary).server.port.to_string())
        .env("PIDFILE", server.folder.join("other.pid"))
        .stdin(Stdio::null());
    command
}
