//! A primary that is cut off, frozen or comes back, in a cluster with the right to write: clients on both sides of the
//! cut, and one that left a transaction open. At no moment may both sides acknowledge commits.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_postgres::Client;

use crate::clients;
use crate::scenario::{Cast, Scenario, THREE, WITH_WITNESS};
use crate::story::Story;

const SETTINGS: &str = "write_right=majority\nwrite_right_duration=5\n";
const SERVER_SETTINGS: &str = "shared_preload_libraries = 'repmgr'\n";

/// A primary and two standbys, with the right to write.
pub const GUARDED: Cast = Cast {
    settings: SETTINGS,
    server_settings: SERVER_SETTINGS,
    guarded: true,
    ..THREE
};

/// A primary and a standby with a witness, with the right to write.
pub const GUARDED_PAIR: Cast = Cast {
    settings: SETTINGS,
    server_settings: SERVER_SETTINGS,
    guarded: true,
    ..WITH_WITNESS
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "right-primary-cut-off",
        cast: GUARDED,
        fault: "all packets to and from the primary's host are lost; clients on both sides, one in a transaction; \
                `write_right=majority`",
        expected: "a standby is promoted; the primary commits nothing from before that on, nor when healed",
        short: true,
        story: cut_off,
    },
    Scenario {
        name: "right-primary-cut-off-beside-a-witness",
        cast: GUARDED_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: cut_off,
    },
    Scenario {
        name: "right-server-killed",
        cast: GUARDED,
        fault: "the primary's server is killed; its daemon lives; `write_right=majority`",
        expected: "a standby is promoted; nobody waits for the end of a right that was given back",
        short: false,
        story: server_killed,
    },
    Scenario {
        name: "right-server-killed-beside-a-witness",
        cast: GUARDED_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: server_killed,
    },
    Scenario {
        name: "right-host-powered-off",
        cast: GUARDED,
        fault: "the primary's host loses power, and is started again after the failover; `write_right=majority`",
        expected: "a standby is promoted; the old primary commits nothing when it is back",
        short: false,
        story: powered_off,
    },
    Scenario {
        name: "right-host-powered-off-beside-a-witness",
        cast: GUARDED_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: powered_off,
    },
    Scenario {
        name: "right-server-frozen",
        cast: GUARDED,
        fault: "every process of the primary's server gets SIGSTOP, and SIGCONT after the failover; \
                `write_right=majority`",
        expected: "a standby is promoted; what the thawed server was about to commit is not acknowledged",
        short: false,
        story: server_frozen,
    },
    Scenario {
        name: "right-server-frozen-beside-a-witness",
        cast: GUARDED_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: server_frozen,
    },
    Scenario {
        name: "right-host-frozen",
        cast: GUARDED,
        fault: "server and daemon of the primary get SIGSTOP, and SIGCONT after the failover; `write_right=majority`",
        expected: "the same",
        short: false,
        story: host_frozen,
    },
    Scenario {
        name: "right-host-frozen-beside-a-witness",
        cast: GUARDED_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: host_frozen,
    },
    Scenario {
        name: "right-daemon-frozen",
        cast: GUARDED,
        fault: "the primary's daemon gets SIGSTOP, and SIGCONT later; `write_right=majority`",
        expected: "nobody is promoted; the primary commits nothing until its daemon goes on",
        short: false,
        story: daemon_frozen,
    },
    Scenario {
        name: "right-daemon-frozen-beside-a-witness",
        cast: GUARDED_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: daemon_frozen,
    },
];

/// A client beside a server, at its socket, which no cut in the network concerns. It waits for each answer for as long as
/// it takes.
struct Inside {
    acknowledged: Arc<Mutex<Vec<Instant>>>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

const PACE: Duration = Duration::from_millis(10);

impl Inside {
    fn at(story: &Story, id: u32) -> Inside {
        let folder = story.node(id).server.folder.clone();
        let (acknowledged, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (told, until) = (Arc::clone(&acknowledged), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                while !until.load(Ordering::Relaxed) {
                    tokio::select! {
                        () = write(folder.clone(), &told, id) => {}
                        () = ended(&until) => {}
                    }
                }
            });
        });
        let inside = Inside {
            acknowledged,
            end,
            thread: Some(thread),
        };
        story.wait("the client beside the primary writes", |_| {
            (inside.acknowledgements().len() > 10).then_some(())
        });
        inside
    }

    fn acknowledgements(&self) -> Vec<Instant> {
        self.acknowledged.lock().expect("what was acknowledged").clone()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn ended(end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        tokio::time::sleep(PACE).await;
    }
}

async fn write(folder: PathBuf, told: &Mutex<Vec<Instant>>, id: u32) {
    tokio::time::sleep(PACE).await;
    let Some(client) = clients::connect_as_application(&folder.to_string_lossy()).await else {
        return;
    };
    let sql = format!("INSERT INTO written VALUES ({id}, clock_timestamp())");
    while !client.is_closed() {
        if client.batch_execute(&sql).await.is_ok() {
            told.lock().expect("what was acknowledged").push(Instant::now());
        }
        tokio::time::sleep(PACE).await;
    }
}

/// A transaction that has written and waits.
async fn open_transaction(story: &Story, id: u32) -> Client {
    let folder = story.node(id).server.folder.display().to_string();
    let client = clients::connect_as_application(&folder).await.expect("a connection");
    let begin = format!("BEGIN; INSERT INTO written VALUES ({id}, 'epoch')");
    client.batch_execute(&begin).await.expect("a transaction");
    client
}

/// What a client beside the old primary was told, seen together with what the others were told by the new one.
fn never_both(story: &Story, inside: &Inside, winner: u32) {
    let first = story
        .clients()
        .first_write(winner)
        .expect("the new primary took a write");
    let mut on_the_old = inside.acknowledgements();
    on_the_old.extend(story.clients().writes_of(1));
    let late = on_the_old.iter().filter(|at| **at >= first);
    assert_eq!(
        late.count(),
        0,
        "the old primary acknowledged commits when node{winner} did already"
    );
}

/// The old primary, which is there again, commits nothing for as long as it takes to see that.
fn commits_nothing(story: &Story, inside: &Inside) {
    let before = inside.acknowledgements().len();
    story.nobody_is_promoted();
    assert_eq!(inside.acknowledgements().len(), before, "node1 commits");
    assert_eq!(
        story.ask(1, "INSERT INTO written VALUES (1, 'epoch') RETURNING node"),
        None,
        "node1 commits"
    );
}

/// Who may win, and who follows beside the one that does not.
pub fn candidates(story: &Story) -> (Vec<u32>, Vec<u32>) {
    let standbys = (2..2 + story.cast().standbys).collect();
    let witness = story.cast().witness.then(|| story.witness());
    (standbys, Vec::from_iter(witness))
}

pub fn cut_off(story: &mut Story) {
    let inside = Inside::at(story, 1);
    let open = story.block_on(open_transaction(story, 1));
    story.hit();
    story.isolate(1);
    let (standbys, followers) = candidates(story);
    let winner = story.fails_over_to_one_of(&standbys, &followers);
    let committed = story.block_on(open.batch_execute("COMMIT")).is_ok();
    assert!(!committed, "a transaction that was open across the cut was committed");
    never_both(story, &inside, winner);
    story.heal();
    commits_nothing(story, &inside);
    never_both(story, &inside, winner);
}

pub fn server_killed(story: &mut Story) {
    let inside = Inside::at(story, 1);
    story.hit();
    story.node(1).server.kill();
    let (standbys, followers) = candidates(story);
    let winner = story.fails_over_to_one_of(&standbys, &followers);
    never_both(story, &inside, winner);
}

fn powered_off(story: &mut Story) {
    let inside = Inside::at(story, 1);
    story.hit();
    story.lose_host(1);
    let (standbys, followers) = candidates(story);
    let winner = story.fails_over_to_one_of(&standbys, &followers);
    never_both(story, &inside, winner);
    story.power_on(1);
    story.node(1).server.start();
    story.start_daemon(1);
    commits_nothing(story, &inside);
    never_both(story, &inside, winner);
}

fn server_frozen(story: &mut Story) {
    let inside = Inside::at(story, 1);
    let open = story.block_on(open_transaction(story, 1));
    story.hit();
    story.node(1).server.freeze();
    let (standbys, followers) = candidates(story);
    let winner = story.fails_over_to_one_of(&standbys, &followers);
    story.node(1).server.go_on();
    let committed = story.block_on(open.batch_execute("COMMIT")).is_ok();
    assert!(
        !committed,
        "a transaction that was open across the freeze was committed"
    );
    commits_nothing(story, &inside);
    never_both(story, &inside, winner);
}

pub fn host_frozen(story: &mut Story) {
    let inside = Inside::at(story, 1);
    story.hit();
    story.node(1).server.freeze();
    story.node(1).signal_daemon(Signal::SIGSTOP);
    let (standbys, followers) = candidates(story);
    let winner = story.fails_over_to_one_of(&standbys, &followers);
    story.node(1).server.go_on();
    story.node(1).signal_daemon(Signal::SIGCONT);
    commits_nothing(story, &inside);
    never_both(story, &inside, winner);
}

fn daemon_frozen(story: &mut Story) {
    story.hit();
    story.node(1).signal_daemon(Signal::SIGSTOP);
    story.wait_no_writes();
    story.nobody_is_promoted();
    story.node(1).signal_daemon(Signal::SIGCONT);
    story.all_well(1, &[2, 3]);
}
