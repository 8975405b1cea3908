//! Real servers for tests and the demo: a staged PostgreSQL, clusters on
//! loopback with a port each, run as an ordinary user, removed afterwards.
//!
//! A test waits for a condition with a limit ([`eventually`]), never for a time.
#![allow(dead_code)]

pub mod cluster;
pub mod flavor;
pub mod hosts;
pub mod mount;
pub mod network;
pub mod ports;
pub mod server;
pub mod sshd;
pub mod stage;
pub mod user;

use std::time::{Duration, Instant};

/// How long a condition may take to come true on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value; panics, naming `what`, after [`PATIENCE`].
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, condition)
}

/// Waits until `condition` gives a value; panics, naming `what`, after `limit`.
pub fn within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A layer that cannot run here: an error where it is required (`REPMGR_TEST_LAYERS`), a counted skip elsewhere.
pub fn skip(layer: &str, reason: &str) {
    let required = std::env::var("REPMGR_TEST_LAYERS").unwrap_or_default();
    assert!(
        !required.split_whitespace().any(|name| name == layer),
        "layer \"{layer}\" must run here, but: {reason}"
    );
    eprintln!("SKIPPED {layer}: {reason}");
    if let Ok(path) = std::env::var("REPMGR_TEST_SKIPS") {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("the list of skips"), "{layer}: {reason}").expect("the list of skips");
    }
}
