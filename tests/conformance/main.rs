//! The same script against the original and against this program: exit codes,
//! machine-read output, metadata rows and replication configuration must be equal.
//!
//! Words of log lines are not compared: those are our own. Where this program
//! does otherwise on purpose, the step says so with [`script::Script::differs`]:
//! the name of a line in `differences.txt`, and what ours answers. A step that
//! differs without that fails, and so does one that was to differ and does not.

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod catalogue;
mod clone;
mod cluster_life;
mod command_line;
mod configuration;
mod daemon_arguments;
mod daemon_service;
mod daemons;
mod differences;
mod events;
mod exit_codes;
mod external_configuration;
mod failover;
mod many_hosts;
mod masks;
mod node_check;
mod node_service;
mod promotion;
mod registration;
mod rejoin;
mod script;
mod slots;
mod status;
mod switchover;
mod unregistration;
mod witness;

#[test]
fn no_difference_is_on_the_list_without_being_seen() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut sources = String::new();
    for entry in std::fs::read_dir(folder).expect("the scenarios") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).expect("a scenario"));
        }
    }
    let unseen: Vec<&str> = differences::all()
        .map(|difference| difference.name)
        .filter(|name| !name.is_empty() && !sources.contains(&format!("\"{name}\"")))
        .collect();
    assert!(unseen.is_empty(), "no scenario shows these: {unseen:?}");
}
