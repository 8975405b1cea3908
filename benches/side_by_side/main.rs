//! Side by side with the original: the same commands on two clusters of three
//! hosts, one with each, in turn. Prints a table of ratios; ends with 1 if a
//! goal is missed.
//!
//! `make bench`, as root. `BENCH_ROUNDS` is the number of rounds (5); `BENCH_PROGRAM` is another build of ours;
//! `BENCH_RECORD=1` writes `docs/performance.md`. `BENCH_PARTS=daemon,failover` runs these parts only.

#[path = "../../tests/support/mod.rs"]
mod support;

mod cloning;
mod commands;
mod comparison;
mod daemons;
mod growth;
mod record;
mod right;
mod writers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use comparison::Comparison;
use support::hosts::Hosts;
use support::{stage, user};

/// The connect timeout of every node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Measures, and adds what it found.
type Part = fn(&mut Bench);

/// What is measured, in this order.
const PARTS: &[(&str, Part)] = &[
    ("looking", commands::looking),
    ("growth", growth::with_live_nodes),
    ("cloning", cloning::beside_pg_basebackup),
    // Before a connection is cut: a primary that stops waits for standbys that it takes for connected.
    ("switchover", commands::switchovers),
    ("right", right::switchovers),
    ("silent", commands::looking_past_a_silent_host),
    ("daemon", daemons::standing_by),
    ("failover", daemons::lost_primaries),
];

/// Both clusters, and what was measured of them.
pub struct Bench {
    ours: Hosts,
    original: Hosts,
    rounds: usize,
    comparisons: Vec<Comparison>,
}

impl Bench {
    fn add(&mut self, comparison: Comparison) {
        eprintln!("{}", comparison.line());
        self.comparisons.push(comparison);
    }
}

/// The program as it is shipped, not the one of the tests.
fn ours() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("repmgr-oxide-bench-{}", std::process::id()));
    user::folder(&folder);
    let program = std::env::var("BENCH_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_repmgr").to_owned());
    for name in ["repmgr", "repmgrd"] {
        user::copy_program(Path::new(&program), &folder.join(name));
    }
    folder
}

fn main() {
    let Some(original) = stage::original() else {
        eprintln!("ERROR: the original is not staged");
        eprintln!("HINT: run scripts/stage-original.sh");
        std::process::exit(1);
    };
    let rounds = std::env::var("BENCH_ROUNDS").map_or(5, |text| text.parse().expect("BENCH_ROUNDS: a number"));
    let programs = ours();
    let both = (
        Hosts::with_guests("bench-ours", 3, 1, stage::stage(), &programs),
        Hosts::with_guests("bench-original", 3, 1, original, &original.bindir),
    );
    let (Some(ours), Some(original)) = both else {
        std::process::exit(1);
    };
    for hosts in [&ours, &original] {
        hosts.bring_up("shared_preload_libraries = 'repmgr'", "");
        hosts
            .node(1)
            .server
            .query("CREATE TABLE public.written (at timestamptz)");
    }
    let mut bench = Bench {
        ours,
        original,
        rounds,
        comparisons: Vec::new(),
    };
    let only = std::env::var("BENCH_PARTS").ok();
    for (name, part) in PARTS {
        if only
            .as_deref()
            .is_none_or(|only| only.split(',').any(|one| one == *name))
        {
            part(&mut bench);
        }
    }

    println!("\n{}", comparison::heading());
    for comparison in &bench.comparisons {
        println!("{}", comparison.line());
    }
    if std::env::var_os("BENCH_RECORD").is_some() {
        record::write(&bench.comparisons);
    }
    let missed = bench.comparisons.iter().any(|comparison| !comparison.is_met());
    let _ = std::fs::remove_dir_all(programs);
    drop(bench);
    if missed {
        std::process::exit(1);
    }
}
