//! What the outside sees of a cluster while a story goes on: a client on a host of its own that tries to write to
//! every node, and an observer at every server's socket that no cut in the network blinds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::hosts::{Hosts, POSTGRES};

/// From one try to the next.
const PACE: Duration = Duration::from_millis(50);
/// How long a client waits for a connection or an answer before it tries anew.
const PATIENCE: Duration = Duration::from_secs(1);

/// A client and observers at work. They end when this is dropped.
pub struct Clients {
    told: Arc<Mutex<Told>>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Told {
    /// Until when the client rests.
    rest: Option<Instant>,
    /// When faults came.
    faults: Vec<Instant>,
    /// Each write that was confirmed, with the node that took it.
    writes: Vec<(Instant, u32)>,
    /// Whether a node was in recovery when it answered last.
    in_recovery: BTreeMap<u32, bool>,
    /// Each node that left recovery, in order.
    promoted: Vec<u32>,
}

impl Told {
    fn rests(&self) -> bool {
        self.rest.is_some_and(|until| Instant::now() < until)
    }

    fn saw(&mut self, node: u32, in_recovery: bool) {
        if self.in_recovery.insert(node, in_recovery) == Some(true) && !in_recovery {
            self.promoted.push(node);
        }
    }
}

/// How long the client still rests when a fault comes: what a fault takes to come.
const REST: Duration = Duration::from_millis(300);

/// Where a node is found.
struct Place {
    id: u32,
    address: String,
    socket: PathBuf,
}

impl Clients {
    /// Begins to write from a host (which must not be one of those that a fault hits) and to observe.
    pub fn at_work(hosts: &Hosts, client: u32, nodes: &[u32]) -> Clients {
        let places: Vec<Place> = nodes
            .iter()
            .map(|id| Place {
                id: *id,
                address: hosts.host(*id).address.clone(),
                socket: hosts.node(*id).server.folder.clone(),
            })
            .collect();
        let namespace = std::fs::File::open(format!("/run/netns/{}", hosts.host(client).name)).expect("a namespace");
        let (told, end) = (Arc::new(Mutex::new(Told::default())), Arc::new(AtomicBool::new(false)));
        let (for_thread, until) = (Arc::clone(&told), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            // Of this thread alone; sockets belong to the host of the thread that makes them.
            setns(&namespace, CloneFlags::CLONE_NEWNET).expect("the client's host");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for place in places {
                    let place = Arc::new(place);
                    tasks.spawn(write(Arc::clone(&place), Arc::clone(&for_thread)));
                    tasks.spawn(observe(place, Arc::clone(&for_thread)));
                }
                while !until.load(Ordering::Relaxed) {
                    tokio::time::sleep(PACE).await;
                }
            });
        });
        Clients {
            told,
            end,
            thread: Some(thread),
        }
    }

    /// Whether a node confirmed a write after `moment`.
    pub fn wrote(&self, node: u32, moment: Instant) -> bool {
        let told = self.told.lock().expect("what was told");
        told.writes.iter().rev().any(|(at, id)| *id == node && *at > moment)
    }

    /// When a node confirmed writes.
    pub fn writes_of(&self, node: u32) -> Vec<Instant> {
        let told = self.told.lock().expect("what was told");
        let of_it = told.writes.iter().filter(|(_, id)| *id == node);
        of_it.map(|(at, _)| *at).collect()
    }

    /// When a node confirmed its first write.
    pub fn first_write(&self, node: u32) -> Option<Instant> {
        self.writes_of(node).into_iter().min()
    }

    /// The nodes that have left recovery since the beginning, in order.
    pub fn promoted(&self) -> Vec<u32> {
        self.told.lock().expect("what was told").promoted.clone()
    }

    /// The client stops writing until a fault comes.
    pub fn rest(&self) {
        let limit = Instant::now() + Duration::from_secs(600);
        self.told.lock().expect("what was told").rest = Some(limit);
    }

    /// A fault comes now; a moment later the client writes again.
    pub fn fault_comes(&self) {
        let mut told = self.told.lock().expect("what was told");
        let now = Instant::now();
        told.rest = Some(now + REST);
        told.faults.push(now);
    }

    /// The longest time after `moment` between two confirmed writes. What the client did not try before a fault counts
    /// in none.
    pub fn longest_pause(&self, moment: Instant) -> Duration {
        let told = self.told.lock().expect("what was told");
        let moments: Vec<Instant> = told.writes.iter().map(|(at, _)| *at).collect();
        let pauses = moments.windows(2).filter(|pair| pair[1] > moment).map(|pair| {
            let fault = told.faults.iter().filter(|at| **at < pair[1]).max();
            pair[1] - fault.map_or(pair[0], |fault| pair[0].max(*fault))
        });
        pauses.max().unwrap_or_default()
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whom an application connects as. It is no superuser: sessions that wait for a standby, their client having given up,
/// must not take the places that repmgr needs.
pub const APPLICATION: &str = "application";

/// A connection as superuser to a host or to the socket in a folder.
pub async fn connect(host: &str, database: &str) -> Option<Client> {
    connect_as("postgres", host, database).await
}

/// A connection as [`APPLICATION`].
pub async fn connect_as_application(host: &str) -> Option<Client> {
    connect_as(APPLICATION, host, "repmgr").await
}

async fn connect_as(user: &str, host: &str, database: &str) -> Option<Client> {
    let mut settings = tokio_postgres::Config::new();
    settings.host(host).port(POSTGRES).user(user).dbname(database);
    let (client, connection) = timeout(PATIENCE, settings.connect(NoTls)).await.ok()?.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// Sessions that take every free connection of a server, also those that become free, until this is dropped.
pub struct Crowd {
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Crowd {
    /// Gathers at a server's socket, and ends the sessions of daemons once there is no room for new ones.
    pub fn at(folder: PathBuf) -> Crowd {
        let end = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let folder = folder.to_string_lossy();
                let mut sessions = Vec::new();
                let mut full = false;
                while !until.load(Ordering::Relaxed) {
                    if let Some(session) = connect(&folder, "postgres").await {
                        sessions.push(session);
                        continue;
                    }
                    if !full && let Some(first) = sessions.first() {
                        // What does not work shows: the daemons would not notice anything.
                        full = first.batch_execute(crate::story::DISCONNECT).await.is_ok();
                    }
                    tokio::time::sleep(PACE / 10).await;
                }
            });
        });
        Crowd {
            end,
            thread: Some(thread),
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn write(place: Arc<Place>, told: Arc<Mutex<Told>>) {
    loop {
        if let Some(client) = connect_as_application(&place.address).await {
            let sql = format!("INSERT INTO written VALUES ({}, clock_timestamp())", place.id);
            loop {
                if told.lock().expect("what was told").rests() {
                    tokio::time::sleep(PACE / 5).await;
                    continue;
                }
                let Ok(result) = timeout(PATIENCE, client.batch_execute(&sql)).await else {
                    break;
                };
                // A standby refuses, and stays connected.
                if result.is_ok() {
                    let mut told = told.lock().expect("what was told");
                    told.writes.push((Instant::now(), place.id));
                }
                if client.is_closed() {
                    break;
                }
                tokio::time::sleep(PACE).await;
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn observe(place: Arc<Place>, told: Arc<Mutex<Told>>) {
    loop {
        if let Some(client) = connect(&place.socket.to_string_lossy(), "postgres").await {
            while let Ok(Ok(rows)) = timeout(PATIENCE, client.simple_query("SELECT pg_is_in_recovery()")).await {
                let Some(SimpleQueryMessage::Row(row)) =
                    rows.iter().find(|part| matches!(part, SimpleQueryMessage::Row(_)))
                else {
                    break;
                };
                let now = row.get(0) == Some("t");
                told.lock().expect("what was told").saw(place.id, now);
                tokio::time::sleep(PACE).await;
            }
        }
        tokio::time::sleep(PACE).await;
    }
}
