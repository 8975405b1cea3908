//! The right to write in virtual time: the real voters and the real proposers, among everything that can go wrong.
//!
//! Each seed builds two to seven voters with clocks of different rates, lets 20 to 30 enemies strike, checks the
//! invariants of `checks.rs` after every step against the true time, mends everything, and waits for a commit
//! to be acknowledged again. Then every safety rule is taken away in turn, and some seed must break an invariant.
//!
//! `WRITE_RIGHT_SEED=n` tells the story of one seed, `WRITE_RIGHT_WITHOUT=rule` without that rule;
//! `WRITE_RIGHT_SEEDS=count` sets how many are run (`make simulate`: 100,000), `WRITE_RIGHT_FIRST=n` where they begin. In a
//! full run everything has to come up.

mod checks;
mod daemon;
mod enemies;
mod host;
#[path = "../simulation/random.rs"]
mod random;
mod server;
mod voter;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use repmgr::write_right::Rule;
use repmgr_write_right::{Rules, Safety, Verdict};

use crate::enemies::{Enemy, HEALING};
use crate::world::{SECOND, World};

/// The share of a full run that every test run has.
const DEFAULT_SEEDS: u64 = 150;

/// What a full run has; only in one of this size everything has to come up.
const FULL_RUN: u64 = 20_000;

/// Within so many seeds the lack of a rule must show.
const MUTATION_SEEDS: u64 = 10_000;

/// Needs two lost attempts in a row that one voter alone saw, and a third that it did not answer in time.
const RARE: &[&str] = &["older-epoch"];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(seed: u64, rules: Rules, loud: bool) -> World {
    let mut world = World::new(seed, rules, loud);
    enemies::plan(&mut world);
    let begin = world.now;
    // Silence after a loss, relearning, and its silence again; leases of half a minute.
    world.run(begin + (HEALING + 180) * SECOND);
    if world.failures.is_empty() && world.first_after_healing.is_none() && !checks::needs_a_person(&world) {
        world
            .failures
            .push("no commit was acknowledged after everything was mended".to_owned());
    }
    world
}

/// Runs the seeds on all processors until one of the threads says stop.
fn each(seeds: std::ops::Range<u64>, rules: Rules, look: impl Fn(u64, World) -> bool + Sync) {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if !look(seed, run(seed, rules, false)) {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn add<K: Ord + Copy>(total: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (name, count) in more {
        *total.entry(*name).or_default() += count;
    }
}

#[derive(Default)]
struct Totals {
    steps: u64,
    fired: BTreeMap<Rule, u64>,
    verdicts: BTreeMap<Verdict, u64>,
    inflicted: BTreeMap<&'static str, u64>,
    premises: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

fn without() -> Rules {
    let name = std::env::var("WRITE_RIGHT_WITHOUT").unwrap_or_default();
    let rule = Safety::ALL.iter().find(|rule| rule.name() == name);
    rule.map_or(Rules::default(), |rule| Rules::without(*rule))
}

#[test]
fn seeds_hold_the_invariants() {
    if let Some(seed) = number("WRITE_RIGHT_SEED") {
        let world = run(seed, without(), true);
        assert!(world.failures.is_empty(), "seed {seed}: {}", world.failures.join("\n"));
        return;
    }
    let count = number("WRITE_RIGHT_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let first = number("WRITE_RIGHT_FIRST").unwrap_or(1);
    let totals = Mutex::new(Totals::default());
    each(first..first + count, without(), |seed, world| {
        let mut totals = totals.lock().expect("nobody panics with it");
        totals.steps += world.steps;
        add(&mut totals.fired, &world.fired);
        add(&mut totals.verdicts, &world.verdicts);
        add(&mut totals.inflicted, &world.inflicted);
        add(&mut totals.premises, &world.premises);
        let failures = world
            .failures
            .iter()
            .map(|failure| format!("WRITE_RIGHT_SEED={seed}: {failure}"));
        totals.failures.extend(failures);
        totals.failures.len() < 20
    });
    let totals = totals.into_inner().expect("all threads are done");
    println!("{count} seeds, {} steps", totals.steps);
    let mut never = Vec::new();
    let mut show = |kind: &str, name: &str, count: u64| {
        println!("{count:>12}  {kind}: {name}");
        if count == 0 && !RARE.contains(&name) {
            never.push(format!("{kind}: {name}"));
        }
    };
    for rule in Rule::ALL {
        show("rule", rule.name(), totals.fired.get(rule).copied().unwrap_or(0));
    }
    for verdict in Verdict::ALL {
        show(
            "verdict",
            verdict.word(),
            totals.verdicts.get(verdict).copied().unwrap_or(0),
        );
    }
    for enemy in Enemy::ALL {
        show(
            "enemy",
            enemy.name(),
            totals.inflicted.get(enemy.name()).copied().unwrap_or(0),
        );
    }
    for premise in checks::PREMISES {
        show("held", premise, totals.premises.get(premise).copied().unwrap_or(0));
    }
    let failures = &totals.failures;
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(
        count < FULL_RUN || never.is_empty(),
        "never came up: {}",
        never.join(", ")
    );
}

/// A rule that can be taken away without anything breaking is no rule, or the simulator does not see what it is for.
#[test]
#[ignore = "takes minutes: make simulate"]
fn without_any_one_rule_an_invariant_breaks() {
    let limit = number("WRITE_RIGHT_MUTATION_SEEDS").unwrap_or(MUTATION_SEEDS);
    let only = std::env::var("WRITE_RIGHT_WITHOUT").ok();
    let mut unneeded = Vec::new();
    for rule in Safety::ALL {
        if only.as_ref().is_some_and(|only| only != rule.name()) {
            continue;
        }
        let found = Mutex::new(None::<(u64, String)>);
        let start = std::time::Instant::now();
        each(1..limit + 1, Rules::without(*rule), |seed, world| {
            let Some(failure) = world.failures.first() else {
                return true;
            };
            let mut found = found.lock().expect("nobody panics with it");
            if found.as_ref().is_none_or(|(earlier, _)| seed < *earlier) {
                *found = Some((seed, failure.clone()));
            }
            false
        });
        let took = start.elapsed().as_secs();
        match found.into_inner().expect("all threads are done") {
            Some((seed, failure)) => println!("without {:<24} seed {seed:>5} ({took} s): {failure}", rule.name()),
            None => {
                println!("without {:<24} NOTHING breaks ({took} s)", rule.name());
                unneeded.push(rule.name());
            }
        }
    }
    assert!(unneeded.is_empty(), "nothing breaks without: {}", unneeded.join(", "));
}
