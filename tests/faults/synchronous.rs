//! The strict synchronous mode while a primary is cut off, frozen or lost: what was acknowledged, wherever and whenever, is on
//! the next primary.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clients;
use crate::rights;
use crate::scenario::{Cast, Scenario, THREE};
use crate::story::Story;

const SETTINGS: &str = "write_right=majority\nwrite_right_duration=5\nsynchronous_mode=strict\n";
const SERVER_SETTINGS: &str = "shared_preload_libraries = 'repmgr'\n";

/// A primary and two standbys that commits wait for.
const STRICT: Cast = Cast {
    settings: SETTINGS,
    server_settings: SERVER_SETTINGS,
    guarded: true,
    ..THREE
};

const EXPECTED: &str = "a standby is promoted, and no acknowledged row is missing there";

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "synchronous-primary-cut-off",
        cast: STRICT,
        fault: "all packets to and from the primary's host are lost; writers beside every server; `synchronous_mode=strict`",
        expected: EXPECTED,
        short: false,
        story: |story| keeps_all(story, rights::cut_off),
    },
    Scenario {
        name: "synchronous-server-killed",
        cast: STRICT,
        fault: "the primary's server is killed; its daemon lives; `synchronous_mode=strict`",
        expected: EXPECTED,
        short: false,
        story: |story| keeps_all(story, rights::server_killed),
    },
    Scenario {
        name: "synchronous-host-frozen",
        cast: STRICT,
        fault: "server and daemon of the primary get SIGSTOP, and SIGCONT after the failover; `synchronous_mode=strict`",
        expected: EXPECTED,
        short: false,
        story: |story| keeps_all(story, rights::host_frozen),
    },
];

const PACE: Duration = Duration::from_millis(5);
/// No writer beside one server writes as many rows.
const ROWS: u64 = 1_000_000;

/// Writers beside servers, at their sockets. Each row has a number of its own.
struct Writers {
    acknowledged: Arc<Mutex<BTreeSet<u64>>>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writers {
    fn at(story: &Story, nodes: &[u32]) -> Writers {
        let (acknowledged, end) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (told, until) = (Arc::clone(&acknowledged), Arc::clone(&end));
        let places: Vec<(u32, PathBuf)> = nodes
            .iter()
            .map(|id| (*id, story.node(*id).server.folder.clone()))
            .collect();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let mut writers = tokio::task::JoinSet::new();
                for (id, folder) in places {
                    writers.spawn(write(id, folder, Arc::clone(&told)));
                }
                while !until.load(Ordering::Relaxed) {
                    tokio::time::sleep(PACE).await;
                }
            });
        });
        Writers {
            acknowledged,
            end,
            thread: Some(thread),
        }
    }

    fn rows(&self) -> BTreeSet<u64> {
        self.acknowledged.lock().expect("what was acknowledged").clone()
    }

    fn of(&self, node: u32) -> usize {
        let rows = self.rows();
        rows.iter().filter(|row| **row / ROWS == u64::from(node)).count()
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn write(id: u32, folder: PathBuf, told: Arc<Mutex<BTreeSet<u64>>>) {
    let mut row = u64::from(id) * ROWS;
    loop {
        if let Some(client) = clients::connect(&folder.to_string_lossy(), "repmgr").await {
            while !client.is_closed() {
                row += 1;
                let sql = format!("INSERT INTO numbered VALUES ({row})");
                if client.batch_execute(&sql).await.is_ok() {
                    told.lock().expect("what was acknowledged").insert(row);
                }
                tokio::time::sleep(PACE).await;
            }
        }
        tokio::time::sleep(PACE * 10).await;
    }
}

/// Plays a story of the right to write with writers, and looks for each of their rows on the new primary.
fn keeps_all(story: &mut Story, play: fn(&mut Story)) {
    let standbys: Vec<u32> = (2..2 + story.cast().standbys).collect();
    let create = "CREATE TABLE numbered (number bigint); SELECT 'done'";
    assert_eq!(story.ask(1, create).as_deref(), Some("done"));
    let members: Vec<String> = standbys.iter().map(u32::to_string).collect();
    let settled = format!(
        "SELECT (SELECT synchronous_on FROM repmgr_write_right.status()) \
         AND repmgr_write_right.ask('repmgr-write-right/1 status') ~ ' payload=[0-9]+:1:{} '",
        members.join(",")
    );
    story.wait("the standbys are remembered to have all commits", |story| {
        story.answers(1, &settled, "t").then_some(())
    });
    for id in &standbys {
        let there = "SELECT count(*) FROM pg_class WHERE relname = 'numbered'";
        story.wait("the table is there", |story| {
            story.answers(*id, there, "1").then_some(())
        });
    }
    let nodes: Vec<u32> = std::iter::once(1).chain(standbys.iter().copied()).collect();
    let writers = Writers::at(story, &nodes);
    story.wait("the writer beside the primary writes", |_| {
        (writers.of(1) > 100).then_some(())
    });
    play(story);
    let promoted = |story: &Story| {
        let is_primary = |id: &&u32| story.answers(**id, "SELECT pg_is_in_recovery()", "f");
        standbys.iter().find(is_primary).copied()
    };
    let winner = promoted(story).expect("a standby was promoted");
    let before = writers.of(winner);
    story.wait("the new primary is written to", |_| {
        (writers.of(winner) > before + 100).then_some(())
    });
    let acknowledged = writers.rows();
    drop(writers);
    let kept = story
        .ask(winner, "SELECT string_agg(number::text, ',') FROM numbered")
        .expect("the rows");
    let kept: BTreeSet<u64> = kept.split(',').map(|row| row.parse().expect("a number")).collect();
    let lost: Vec<&u64> = acknowledged.difference(&kept).collect();
    assert!(
        lost.is_empty(),
        "{} acknowledged rows, missing: {lost:?}",
        acknowledged.len()
    );
}
