//! Clusters in virtual time, driven by the real failover core.
//!
//! Each seed builds a cluster of two to seven nodes with settings of its own, lets servers, daemons, links,
//! commands and people misbehave, heals everything, and looks whether the cluster is well. After each
//! decision the invariants are checked. In some clusters half of the nodes run a model of the original's daemon;
//! what only that is to blame for is counted and does not fail. `SIMULATION_SEED=n` runs one seed and tells its story;
//! `SIMULATION_SEEDS=count` sets how many are run, `SIMULATION_FIRST=n` where they begin. A
//! seed that fails is cut down to the faults that it takes; `SIMULATION_FAULTS=1,4` runs a seed with those only. A full run (`make simulate`) fails if a rule, a kind
//! of fault or the premise of an invariant never came up.

mod acting;
mod ballots;
mod commands;
mod coroutine;
mod daemon;
mod ending;
mod faults;
mod invariants;
mod network;
mod original;
mod people;
mod random;
mod rights;
mod scenario;
mod server;
mod shrinking;
mod story;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use repmgr::failover::Rule;

use crate::faults::Fault;

/// The share of a full run that every test run has.
const DEFAULT_SEEDS: u64 = 5_000;

/// What a full run has; only in one of this size everything has to come up.
const FULL_RUN: u64 = 100_000;

/// Rules that a short run may have no occasion for.
const RARE: &[Rule] = &[
    Rule::NotRegistered,
    Rule::NoRecordedPrimary,
    Rule::ElectionDelayed,
    Rule::PromotionCompleted,
    Rule::ToldToPromote,
    Rule::SuccessorKnown,
    Rule::RightMissing,
    // What the mode needs is in no world.
    Rule::RightBarred,
];

fn add(total: &mut BTreeMap<&'static str, u64>, more: &BTreeMap<&'static str, u64>) {
    for (name, count) in more {
        *total.entry(name).or_default() += count;
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn seeds_hold_the_invariants() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let kept = std::env::var("SIMULATION_FAULTS").ok().map(|list| {
            let numbers = list.split(',').filter(|number| !number.is_empty());
            numbers
                .map(|number| number.parse().expect("numbers with commas between them"))
                .collect::<Vec<usize>>()
        });
        let world = scenario::run_part(seed, true, kept.as_deref());
        assert!(world.failures.is_empty(), "seed {seed}: {}", world.failures.join("\n"));
        return;
    }
    let first = number("SIMULATION_FIRST").unwrap_or(1);
    let count = number("SIMULATION_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let next = AtomicU64::new(first);
    let totals = Mutex::new((BTreeMap::<Rule, u64>::new(), Vec::<String>::new(), 0u64, 0u64));
    let counts = Mutex::new((BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new()));
    let attributed = Mutex::new(BTreeMap::<&str, u64>::new());
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let world = scenario::run(seed, false);
                    if !world.failures.is_empty() {
                        failed
                            .lock()
                            .expect("nobody panics with it")
                            .push((seed, world.planned));
                    }
                    let mut counted = counts.lock().expect("nobody panics with it");
                    add(&mut counted.0, &world.inflicted);
                    add(&mut counted.1, &world.premises);
                    drop(counted);
                    add(
                        &mut attributed.lock().expect("nobody panics with it"),
                        &world.attributed,
                    );
                    let mut totals = totals.lock().expect("no thread panics while it holds this");
                    for (rule, fired) in &world.fired {
                        *totals.0.entry(*rule).or_default() += fired;
                    }
                    totals.1.extend(
                        world
                            .failures
                            .iter()
                            .map(|failure| format!("SIMULATION_SEED={seed}: {failure}")),
                    );
                    totals.2 += world.turns;
                    totals.3 += world.promotions.len() as u64;
                }
            });
        }
    });
    let (fired, failures, turns, promotions) = totals.into_inner().expect("all threads are done");
    println!("{count} seeds, {turns} turns, {promotions} promotions");
    for rule in Rule::ALL {
        println!("{:>10}  {}", fired.get(rule).copied().unwrap_or(0), rule.name());
    }
    let (inflicted, premises) = counts.into_inner().expect("all threads are done");
    for name in Fault::KINDS {
        println!("{:>10}  fault: {name}", inflicted.get(name).copied().unwrap_or(0));
    }
    for name in invariants::PREMISES {
        println!("{:>10}  invariant: {name}", premises.get(name).copied().unwrap_or(0));
    }
    for (name, count) in attributed.into_inner().expect("all threads are done") {
        println!("{count:>10}  attributed to an original: {name}");
    }
    let failed = failed.into_inner().expect("all threads are done");
    for (seed, planned) in failed.into_iter().take(3) {
        shrinking::tell(seed, planned);
    }
    let shown: Vec<&str> = failures.iter().take(20).map(String::as_str).collect();
    assert!(
        failures.is_empty(),
        "{} seeds failed:\n{}",
        failures.len(),
        shown.join("\n")
    );
    if count >= DEFAULT_SEEDS {
        let silent: Vec<&str> = Rule::ALL
            .iter()
            .filter(|rule| !fired.contains_key(rule) && (count >= FULL_RUN || !RARE.contains(rule)))
            .map(|rule| rule.name())
            .collect();
        assert!(silent.is_empty(), "rules that never fired: {}", silent.join(", "));
        let never = |known: &[&'static str], counted: &BTreeMap<&str, u64>| -> Vec<&str> {
            known
                .iter()
                .filter(|name| !counted.contains_key(**name))
                .copied()
                .collect()
        };
        let faults = never(Fault::KINDS, &inflicted);
        assert!(faults.is_empty(), "faults that never happened: {}", faults.join(", "));
        let premises = never(invariants::PREMISES, &premises);
        assert!(
            premises.is_empty(),
            "invariants that had nothing to hold: {}",
            premises.join(", ")
        );
    }
}
