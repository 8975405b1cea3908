//! The fault suite: for each fault a story on hosts of their own (network namespaces, real servers, real daemons), in
//! which the servers are asked what became of it, and a client measures how long nobody could write.
//!
//! `make faults` plays all, and goes on where it was interrupted. `cargo test --test faults` plays the short ones.
//! `FAULTS=name,name` plays some, `FAULTS=all` all; `FAULTS_AT_ONCE=n` so many at the same time; `FAULTS_ROUNDS=n` all
//! of them n times in a row; `FAULTS_FRESH=1` forgets an interrupted run; `FAULTS_RECORD=1` writes the table that
//! `docs/failover.md` shows.

#[path = "../simulation/random.rs"]
mod random;
#[path = "../support/mod.rs"]
mod support;

mod booting;
mod clients;
mod clocks;
mod daemons;
mod disk;
mod disks;
mod gates;
mod long;
mod network;
mod notes;
mod returning;
mod rights;
mod scenario;
mod sequence;
mod servers;
mod steps;
mod story;
mod synchronous;
mod table;
mod writers;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use notes::Notes;
use scenario::{Outcome, Scenario};

/// How many clusters live at the same time: stories mostly wait.
const AT_ONCE: u32 = 3;

/// All scenarios, family by family.
fn scenarios() -> Vec<&'static Scenario> {
    let families = [
        servers::SCENARIOS,
        daemons::SCENARIOS,
        network::SCENARIOS,
        disks::SCENARIOS,
        clocks::SCENARIOS,
        returning::SCENARIOS,
        steps::SCENARIOS,
        rights::SCENARIOS,
        booting::SCENARIOS,
        synchronous::SCENARIOS,
    ];
    families.into_iter().flatten().collect()
}

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}: a number, not {value}"))
    })
}

/// Those that this run is to play.
fn chosen() -> Vec<&'static Scenario> {
    let wanted = std::env::var("FAULTS").unwrap_or_else(|_| "short".to_owned());
    let all = scenarios();
    match wanted.as_str() {
        "all" => all,
        "short" => all.into_iter().filter(|scenario| scenario.short).collect(),
        names => {
            let find = |name: &str| {
                let found = all.iter().find(|scenario| scenario.name == name);
                *found.unwrap_or_else(|| panic!("there is no scenario {name}"))
            };
            names.split(',').map(find).collect()
        }
    }
}

#[test]
fn what_must_hold_holds() {
    let rounds = number("FAULTS_ROUNDS", 1);
    let chosen = chosen();
    let whole = chosen.len() == scenarios().len();
    // Only whole runs are noted: the others are short, or of somebody who looks for something.
    let mut notes = whole.then(|| Notes::open("faults-notes", rounds));
    let mut pauses: Vec<Vec<Duration>> = vec![Vec::new(); chosen.len()];
    let mut failed = Vec::new();
    let mut left_out = Vec::new();
    for round in 1..=rounds {
        let mut queue = VecDeque::new();
        for (index, scenario) in chosen.iter().enumerate() {
            match notes.as_ref().and_then(|notes| notes.held(round, scenario.name)) {
                Some(pause) => pauses[index].push(pause),
                None => queue.push_back((index, *scenario)),
            }
        }
        if queue.len() < chosen.len() {
            eprintln!(
                "round {round}: {} of {} have held already",
                chosen.len() - queue.len(),
                chosen.len()
            );
        }
        for (index, outcome) in play_all(round, queue, &mut notes) {
            match outcome {
                Some(Outcome::Held(pause)) => pauses[index].push(pause),
                Some(Outcome::NotHere(reason)) => left_out.push((chosen[index].name, reason)),
                None => failed.push(chosen[index].name),
            }
        }
        if !failed.is_empty() {
            break;
        }
    }
    print!("\n{}", table::text(&chosen, &pauses));
    for (name, reason) in &left_out {
        support::skip("faults", &format!("{name}: {reason}"));
    }
    assert!(failed.is_empty(), "did not hold: {failed:?}");
    if let Some(notes) = notes {
        notes.close();
        if std::env::var_os("FAULTS_RECORD").is_some() {
            table::record(&chosen, &pauses, rounds);
        }
    }
}

/// Plays some at a time; each with what came of it, `None` where something did not hold.
fn play_all(
    round: u32,
    queue: VecDeque<(usize, &'static Scenario)>,
    notes: &mut Option<Notes>,
) -> Vec<(usize, Option<Outcome>)> {
    let (queue, notes, outcomes) = (Mutex::new(queue), Mutex::new(notes), Mutex::new(Vec::new()));
    let work = || {
        while let Some((index, scenario)) = { queue.lock().expect("the queue").pop_front() } {
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| story::play(scenario))).ok();
            let seconds = start.elapsed().as_secs();
            let said = match &outcome {
                Some(Outcome::Held(pause)) => format!("held, no writes for {:.1} s", pause.as_secs_f32()),
                Some(Outcome::NotHere(reason)) => format!("left out: {reason}"),
                None => "DID NOT HOLD".to_owned(),
            };
            eprintln!("round {round}, {}: {said} (played in {seconds} s)", scenario.name);
            if let Some(notes) = notes.lock().expect("the notes").as_mut() {
                match &outcome {
                    Some(Outcome::Held(pause)) => notes.note(round, scenario.name, *pause),
                    Some(Outcome::NotHere(_)) => {}
                    None => notes.note_failure(scenario.name),
                }
            }
            outcomes.lock().expect("the outcomes").push((index, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..number("FAULTS_AT_ONCE", AT_ONCE) {
            scope.spawn(work);
        }
    });
    outcomes.into_inner().expect("the outcomes")
}
