//! Bad input and bad days: each is told with ERROR and DETAIL or HINT, ends with
//! the original's exit code, and leaves nothing half-written. What a test of one
//! command already says is not said again here.

#[path = "bad_days/cloning.rs"]
mod cloning;
#[path = "bad_days/connections.rs"]
mod connections;
#[path = "bad_days/files.rs"]
mod files;
#[path = "bad_days/full_disk.rs"]
mod full_disk;
#[path = "bad_days/metadata.rs"]
mod metadata;
#[path = "bad_days/passwords.rs"]
mod passwords;
#[path = "bad_days/proxy.rs"]
mod proxy;
#[path = "bad_days/quiet.rs"]
mod quiet;
mod support;

use std::process::{Output, Stdio};

use support::cluster::Node;
use support::flavor::Flavor;
use support::server::Server;
use support::user;

/// Runs `repmgr -f CONFIG …`, which must end within a minute.
fn run(node: &Node, arguments: &[&str]) -> Output {
    run_program(node, "repmgr", arguments)
}

fn run_program(node: &Node, program: &str, arguments: &[&str]) -> Output {
    let output = user::command("timeout")
        .arg("60")
        .arg(node.programs.join(program))
        .arg("-f")
        .arg(&node.config_file)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("timeout");
    assert_ne!(
        output.status.code(),
        Some(124),
        "{program} {arguments:?} hangs: {output:?}"
    );
    output
}

/// Runs a command that must be refused with this exit code and say why, and what to do; what it said.
fn refused(node: &Node, code: i32, arguments: &[&str]) -> String {
    let output = run(node, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
    explained(&said);
    said
}

/// An ERROR line, and behind it DETAIL or HINT (or the list that the error announces).
fn explained(said: &str) {
    let lines: Vec<&str> = said.lines().collect();
    let error = lines.iter().position(|line| line.contains("ERROR"));
    let error = error.unwrap_or_else(|| panic!("no ERROR:\n{said}"));
    let helps = |line: &&str| line.contains("DETAIL") || line.contains("HINT") || line.starts_with("  ");
    assert!(lines[error + 1..].iter().any(helps), "neither DETAIL nor HINT:\n{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// `-d SOURCE standby clone` with what this flavor needs.
fn clone_line<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let line = ["-d", source, "standby", "clone", "--fast-checkpoint"];
    [&line, Flavor::current().superuser_option(), more].concat()
}

/// Slots of a server, with `*` behind those in use.
fn slots(server: &Server) -> String {
    server.query(
        "SELECT string_agg(slot_name || CASE WHEN active THEN '*' ELSE '' END, ',' ORDER BY slot_name) \
         FROM pg_replication_slots",
    )
}

/// All records and the voting term of a server.
fn records(server: &Server) -> String {
    server.query(
        "SELECT string_agg(n::text, E'\\n' ORDER BY node_id) || (SELECT coalesce(max(term), -1) FROM repmgr.voting_term) \
         FROM repmgr.nodes n",
    )
}
