//! Random sequences of faults in the strict synchronous mode, with a writer beside every server: whatever happened, no
//! acknowledged row is lost, and in the end there is one primary that all others follow.
//!
//! `make faults-long` plays a hundred, and goes on where it was interrupted. `FAULTS_SEEDS=n` plays so many,
//! `FAULTS_SEED=n` one.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::notes::Notes;
use crate::scenario::{Cast, THREE, WITH_WITNESS};
use crate::sequence::{self, Blow, Bout, Fault};
use crate::story::Story;
use crate::writers::{self, Writers};

const SETTINGS: &str = "write_right=majority\nwrite_right_duration=5\nsynchronous_mode=strict\nrejoin=rewind\n\
                        election_rerun_interval=3\n";
const SERVER_SETTINGS: &str = "shared_preload_libraries = 'repmgr'\n";

/// How long the cluster may take to be whole again by itself after the last mend; a voter that has booted is silent for
/// half a minute.
const LIMIT: Duration = Duration::from_secs(240);

/// From one look at the servers to the next.
const PACE: Duration = Duration::from_millis(200);

fn cast(seed: u64) -> Cast {
    Cast {
        settings: SETTINGS,
        server_settings: SERVER_SETTINGS,
        guarded: true,
        ..if seed.is_multiple_of(3) { WITH_WITNESS } else { THREE }
    }
}

/// What a sequence came to.
struct Held {
    rows: usize,
    promotions: usize,
}

#[test]
#[ignore = "a release check: make faults-long"]
fn no_acknowledged_row_is_lost() {
    let seeds: Vec<u64> = match crate::number("FAULTS_SEED", 0) {
        0 => (1..=u64::from(crate::number("FAULTS_SEEDS", 100))).collect(),
        one => vec![u64::from(one)],
    };
    let notes = (seeds.len() > 1).then(|| Notes::open("faults-long-notes", 1));
    let held = |seed: &u64| {
        notes
            .as_ref()
            .is_some_and(|notes| notes.held(1, &name(*seed)).is_some())
    };
    let queue: VecDeque<u64> = seeds.iter().filter(|seed| !held(seed)).copied().collect();
    eprintln!(
        "{} of {} sequences have held already",
        seeds.len() - queue.len(),
        seeds.len()
    );
    let (queue, notes) = (Mutex::new(queue), Mutex::new(notes));
    let (failed, sums) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::<&str, usize>::new()));
    let work = || {
        while let Some(seed) = { queue.lock().expect("the queue").pop_front() } {
            let start = Instant::now();
            let held = catch_unwind(AssertUnwindSafe(|| play(seed))).ok();
            let mut notes = notes.lock().expect("the notes");
            match held {
                Some(held) => {
                    eprintln!(
                        "seed {seed}: held, {} rows, {} promotions (played in {} s)",
                        held.rows,
                        held.promotions,
                        start.elapsed().as_secs()
                    );
                    let mut sums = sums.lock().expect("the sums");
                    *sums.entry("acknowledged rows").or_default() += held.rows;
                    *sums.entry("promotions").or_default() += held.promotions;
                    if let Some(notes) = notes.as_mut() {
                        notes.note(1, &name(seed), start.elapsed());
                    }
                }
                None => {
                    eprintln!("seed {seed}: DID NOT HOLD");
                    failed.lock().expect("the failed").push(seed);
                    if let Some(notes) = notes.as_mut() {
                        notes.note_failure(&name(seed));
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..crate::number("FAULTS_AT_ONCE", crate::AT_ONCE) {
            scope.spawn(work);
        }
    });
    eprintln!("in this run: {:?}", sums.into_inner().expect("the sums"));
    let failed = failed.into_inner().expect("the failed");
    assert!(failed.is_empty(), "did not hold: the seeds {failed:?}");
    if let Some(notes) = notes.into_inner().expect("the notes") {
        notes.close();
    }
}

fn name(seed: u64) -> String {
    format!("seed-{seed}")
}

fn play(seed: u64) -> Held {
    let mut story = Story::begin(&format!("seed-{seed}"), cast(seed)).expect("hosts");
    let count = u32::try_from(story.nodes.len()).expect("few");
    let writers = Writers::at_work(&story);
    let mut primary = 1;
    for bout in sequence::bouts(seed, count) {
        eprintln!("seed {seed}: node{primary} is the primary; {bout}");
        suffer(&mut story, &bout, primary, count);
        primary = whole_again(&mut story);
        writers.write_at(&story, primary);
        writers.lost_nothing(&story, primary);
    }
    Held {
        rows: writers.rows().len(),
        promotions: story.clients().promoted().len(),
    }
}

fn suffer(story: &mut Story, bout: &Bout, primary: u32, count: u32) {
    for blow in &bout.blows {
        std::thread::sleep(blow.after);
        strike(story, blow, primary, count);
    }
    std::thread::sleep(bout.lasts);
    for index in &bout.mended {
        let blow = &bout.blows[*index];
        mend(story, blow.fault, blow.whom.node(primary, count));
        std::thread::sleep(bout.between);
    }
    // A host that boots heals the network, and not every bout has one.
    story.heal();
}

fn strike(story: &mut Story, blow: &Blow, primary: u32, count: u32) {
    let id = blow.whom.node(primary, count);
    let next = id % count + 1;
    match blow.fault {
        Fault::ServerKilled => story.node(id).server.kill(),
        Fault::ServerStopped => story.node(id).server.stop("fast"),
        Fault::DaemonKilled => story.kill_daemon(id),
        Fault::ServerFrozen => story.node(id).server.freeze(),
        Fault::DaemonFrozen => story.node(id).signal_daemon(Signal::SIGSTOP),
        Fault::HostFrozen => {
            story.node(id).server.freeze();
            story.node(id).signal_daemon(Signal::SIGSTOP);
        }
        Fault::PoweredOff => story.lose_host(id),
        Fault::CutOff => story.isolate(id),
        Fault::CutFromNext => story.cut(id, next),
        Fault::CutOneWay => story.cut_one_way(id, next),
        Fault::Lossy => story.lose(id, 33),
    }
}

fn mend(story: &mut Story, fault: Fault, id: u32) {
    match fault {
        Fault::ServerKilled | Fault::ServerStopped => start_server(story, id),
        Fault::DaemonKilled => start_daemon(story, id),
        Fault::ServerFrozen => story.node(id).server.go_on(),
        Fault::DaemonFrozen => story.node(id).signal_daemon(Signal::SIGCONT),
        Fault::HostFrozen => {
            story.node(id).server.go_on();
            story.node(id).signal_daemon(Signal::SIGCONT);
        }
        Fault::PoweredOff => {
            story.power_on(id);
            start_server(story, id);
            start_daemon(story, id);
        }
        Fault::CutOff | Fault::CutFromNext | Fault::CutOneWay | Fault::Lossy => story.heal(),
    }
}

/// As a service manager does: it may run already, and its daemon may be about to make a standby of it.
fn start_server(story: &Story, id: u32) {
    let server = &story.node(id).server;
    let mut command = server.command(server.stage.bindir.join("pg_ctl"));
    let log = server.log_file();
    let output = command
        .args(["start", "-w", "-t", "20", "-D"])
        .arg(&server.data)
        .arg("-l")
        .arg(log)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    output.expect("pg_ctl");
}

/// As a service manager does: unless it runs.
fn start_daemon(story: &mut Story, id: u32) {
    if story.node(id).daemon_pid().is_none() || story.node_mut(id).daemon_has_ended() {
        story.node_mut(id).spawn_daemon();
    }
}

/// Waits until one primary is written to, which all others follow and remember to be members. A daemon that has ended is
/// started again, as its service manager does; nothing else is done for them.
fn whole_again(story: &mut Story) -> u32 {
    let start = Instant::now();
    let nodes: Vec<u32> = story.nodes.iter().map(|node| node.id).collect();
    let witness = story.cast().witness.then(|| story.witness());
    let data: Vec<u32> = nodes.iter().copied().filter(|id| Some(*id) != witness).collect();
    let mut led: Option<(u32, Instant)> = None;
    let primary = loop {
        for id in &nodes {
            start_daemon(story, *id);
        }
        let primaries: Vec<u32> = data
            .iter()
            .copied()
            .filter(|id| story.answers(*id, "SELECT pg_is_in_recovery()", "f"))
            .collect();
        let leads = match primaries[..] {
            [one] if data.iter().all(|id| *id == one || follows(story, *id, one)) => Some(one),
            _ => None,
        };
        // Written to since it leads, not before.
        led = leads.map(|one| led.filter(|(was, _)| *was == one).unwrap_or((one, Instant::now())));
        if let Some((primary, since)) = led
            && story.clients().wrote(primary, since)
        {
            break primary;
        }
        assert!(
            start.elapsed() < LIMIT,
            "not whole again within {LIMIT:?}; primaries: {primaries:?}\n{}",
            story.picture()
        );
        std::thread::sleep(PACE);
    };
    let others = story.others(primary);
    story.all_well(primary, &others);
    let standbys: Vec<u32> = data.into_iter().filter(|id| *id != primary).collect();
    writers::members_are(story, primary, &standbys);
    primary
}

fn follows(story: &Story, id: u32, primary: u32) -> bool {
    let sender = format!("SELECT state FROM pg_stat_replication WHERE application_name = 'node{id}'");
    story.answers(primary, &sender, "streaming")
}
