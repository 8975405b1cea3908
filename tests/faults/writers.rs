//! Writers beside servers, at their sockets, which no cut in the network concerns. Each row has a number of its own, so that
//! one that was acknowledged and is missing is found.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clients;
use crate::story::Story;

const PACE: Duration = Duration::from_millis(5);
/// No writer beside one server writes as many rows.
const ROWS: u64 = 1_000_000;

/// Writers at work. They end when this is dropped.
pub struct Writers {
    acknowledged: Arc<Mutex<BTreeSet<u64>>>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writers {
    /// Waits until the standbys are remembered to have all commits; then begins, and waits for the first rows.
    pub fn at_work(story: &Story) -> Writers {
        let create = format!(
            "CREATE TABLE numbered (number bigint); GRANT INSERT ON numbered TO {}; SELECT 'done'",
            clients::APPLICATION
        );
        assert_eq!(story.ask(1, &create).as_deref(), Some("done"));
        let standbys: Vec<u32> = (2..2 + story.cast().standbys).collect();
        members_are(story, 1, &standbys);
        for id in &standbys {
            let there = "SELECT count(*) FROM pg_class WHERE relname = 'numbered'";
            story.wait("the table is there", |story| {
                story.answers(*id, there, "1").then_some(())
            });
        }
        let nodes: Vec<u32> = std::iter::once(1).chain(standbys).collect();
        let writers = Writers::at(story, &nodes);
        writers.write_at(story, 1);
        writers
    }

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

    /// Every row that was acknowledged, by whichever server.
    pub fn rows(&self) -> BTreeSet<u64> {
        self.acknowledged.lock().expect("what was acknowledged").clone()
    }

    /// Waits until the writer beside a node has written more rows.
    pub fn write_at(&self, story: &Story, node: u32) {
        let before = self.of(node);
        story.wait(&format!("the writer beside node{node} writes"), |_| {
            (self.of(node) > before + 100).then_some(())
        });
    }

    fn of(&self, node: u32) -> usize {
        let first = u64::from(node) * ROWS;
        self.acknowledged
            .lock()
            .expect("what was acknowledged")
            .range(first..first + ROWS)
            .count()
    }

    /// Every row that was acknowledged until now is on a server.
    pub fn lost_nothing(&self, story: &Story, primary: u32) {
        let acknowledged = self.rows();
        let kept = story
            .ask(primary, "SELECT string_agg(number::text, ',') FROM numbered")
            .expect("the rows");
        let kept: BTreeSet<u64> = kept.split(',').map(|row| row.parse().expect("a number")).collect();
        let lost: Vec<&u64> = acknowledged.difference(&kept).collect();
        assert!(
            lost.is_empty(),
            "of {} acknowledged rows {} are missing: {lost:?}",
            acknowledged.len(),
            lost.len()
        );
    }
}

/// Waits until the voters remember these, and no others, to have all commits of a primary.
pub fn members_are(story: &Story, primary: u32, members: &[u32]) {
    let names: Vec<String> = members.iter().map(u32::to_string).collect();
    let settled = format!(
        "SELECT (SELECT synchronous_on FROM repmgr_write_right.status()) \
         AND repmgr_write_right.ask('repmgr-write-right/1 status') ~ ' payload=[0-9]+:1:{} '",
        names.join(",")
    );
    story.wait(&format!("{members:?} are remembered to have all commits"), |story| {
        story.answers(primary, &settled, "t").then_some(())
    });
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
        if let Some(client) = clients::connect_as_application(&folder.to_string_lossy()).await {
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
