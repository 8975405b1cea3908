//! A cluster under way: daemons watch, a client writes, and a story asks the servers what became of a fault.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::clients::{self, Clients};
use crate::clocks;
use crate::disk::Disk;
use crate::gates;
use crate::scenario::{Cast, Outcome, Scenario};
use crate::support::hosts::Hosts;
use crate::support::stage;

/// How long anything may take to come true: far longer than it does, as machines can be busy.
const LIMIT: Duration = Duration::from_secs(150);
/// How long nothing must happen for it to count as "does not happen": longer than the settings take to a decision.
const CALM: Duration = Duration::from_secs(10);

/// Ends the sessions of daemons; how many there were.
pub const DISCONNECT: &str =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name ~ '^repmgr'";

/// A cluster that a fault happens to.
pub struct Story {
    // Dropped in this order: nobody asks hosts that are gone, no server runs in a file system that goes.
    clients: Clients,
    hosts: Hosts,
    disk: Option<Disk>,
    cast: Cast,
    began: Instant,
    hit: Option<Instant>,
    promoted: Vec<u32>,
    runtime: tokio::runtime::Runtime,
}

impl Deref for Story {
    type Target = Hosts;

    fn deref(&self) -> &Hosts {
        &self.hosts
    }
}

impl DerefMut for Story {
    fn deref_mut(&mut self) -> &mut Hosts {
        &mut self.hosts
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        // What hangs on a disk cannot be ended.
        if let Some(disk) = &self.disk {
            let _ = disk.go_on();
        }
    }
}

/// Plays a scenario on hosts of its own; panics with what did not hold.
pub fn play(scenario: &Scenario) -> Outcome {
    let mut story = match Story::begin(scenario.name, scenario.cast) {
        Ok(story) => story,
        Err(reason) => return Outcome::NotHere(reason),
    };
    (scenario.story)(&mut story);
    Outcome::Held(story.end())
}

impl Story {
    /// Brings the cluster up: all stream, all daemons watch, the client writes.
    /// Tells why not, if it cannot be played here.
    pub fn begin(name: &str, cast: Cast) -> Result<Story, String> {
        let count = 1 + cast.standbys + u32::from(cast.witness);
        let name = format!("fault-{name}");
        let hosts = Hosts::with_guests(&name, count, 1, stage::stage(), stage::programs());
        let mut hosts = hosts.ok_or("hosts in network namespaces cannot be had")?;
        let disk = match cast.disk {
            Some(megabytes) => Some(Disk::new(megabytes)?),
            None => None,
        };
        if let Some(disk) = &disk {
            hosts.node_mut(1).server.data = disk.path().join("data");
        }
        if cast.names {
            for id in 1..=count {
                let host = hosts.node_mut(id).server.host.as_mut();
                host.expect("a host").address = format!("node{id}");
            }
        }
        if cast.clocks {
            clocks::fit(&mut hosts)?;
        }
        for node in &hosts.nodes {
            let settings = cast.settings.replace("%F", &node.server.folder.display().to_string());
            node.write_config(&format!("{}{settings}", gates::settings(node)));
        }
        hosts.primary_up(cast.server_settings);
        let sql = format!(
            "CREATE TABLE written (node int, at timestamptz); CREATE ROLE {role} LOGIN; GRANT INSERT ON written TO {role}",
            role = clients::APPLICATION
        );
        hosts.node(1).server.query(&sql);
        for id in 2..2 + cast.standbys {
            let node = hosts.node(id);
            node.clone_from(hosts.node(1), &[]);
            node.server.configure(cast.server_settings);
            node.server.start();
            node.repmgr_ok(&["standby", "register"]);
            hosts.wait_streaming(1, id);
        }
        if cast.witness {
            let source = hosts.node(1).server.conninfo();
            let witness = hosts.node(count);
            witness.server.initialise(cast.server_settings);
            witness.server.start();
            witness.create_role();
            witness.repmgr_ok(&["witness", "register", "-d", &source]);
        }
        let nodes: Vec<u32> = (1..=count).collect();
        let clients = Clients::at_work(&hosts, count + 1, &nodes[..nodes.len() - usize::from(cast.witness)]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let mut story = Story {
            clients,
            hosts,
            disk,
            cast,
            began: Instant::now(),
            hit: None,
            promoted: Vec::new(),
            runtime: runtime.expect("a runtime"),
        };
        for id in nodes {
            story.wait_record(id, count);
            story.start_daemon(id);
        }
        story.all_well(1, &story.others(1));
        if cast.guarded {
            story.node(1).repmgr_ok(&["write-right", "enable"]);
        }
        // One that has just started holds back in an election (rule newly-electable).
        let sql = "SELECT min(clock_timestamp() - event_timestamp) > interval '5 s' FROM repmgr.events \
                   WHERE event = 'repmgrd_start'";
        story.wait("the daemons have been there for a while", |story| {
            story.answers(1, sql, "t").then_some(())
        });
        Ok(story)
    }

    /// All nodes but one.
    pub fn others(&self, id: u32) -> Vec<u32> {
        self.nodes
            .iter()
            .map(|node| node.id)
            .filter(|other| *other != id)
            .collect()
    }

    /// The cluster that it happens to.
    pub fn cast(&self) -> Cast {
        self.cast
    }

    /// The clients on the other side of a cut.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Runs something that waits for a server.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// The witness.
    pub fn witness(&self) -> u32 {
        assert!(self.cast.witness, "a cast with a witness");
        self.cast.standbys + 2
    }

    /// The host of the client.
    pub fn client(&self) -> u32 {
        u32::try_from(self.nodes.len()).expect("few") + 1
    }

    fn is_witness(&self, id: u32) -> bool {
        self.cast.witness && id == self.witness()
    }

    /// The fault comes now, with all standbys at the same WAL, so that it is known who is to win: the client rests for
    /// that moment.
    pub fn hit(&mut self) {
        self.clients.rest();
        let primary = *self.promoted.last().unwrap_or(&1);
        let same = "SELECT count(*) > 0 AND bool_and(flush_lsn = pg_current_wal_insert_lsn()) FROM pg_stat_replication";
        let start = Instant::now();
        while !self.answers(primary, same, "t") {
            assert!(start.elapsed() < LIMIT, "all WAL of node{primary} is everywhere");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.clients.fault_comes();
        self.hit.get_or_insert_with(Instant::now);
    }

    /// Seconds since the story began, for what it says when it fails.
    fn clock(&self) -> f32 {
        self.began.elapsed().as_secs_f32()
    }

    /// Waits for a condition; panics naming it.
    pub fn wait(&self, what: &str, mut condition: impl FnMut(&Story) -> Option<()>) {
        let start = Instant::now();
        loop {
            if condition(self).is_some() {
                return;
            }
            assert!(
                start.elapsed() < LIMIT,
                "after {:.1} s, not within {LIMIT:?}: {what}\nthe servers say: {}",
                self.clock(),
                self.picture()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One value of one row from a server, asked as superuser at its socket. `None` if it does not answer.
    pub fn ask(&self, id: u32, sql: &str) -> Option<String> {
        let socket = self.node(id).server.folder.display().to_string();
        self.runtime.block_on(async {
            let client = clients::connect(&socket, "repmgr").await?;
            let rows = tokio::time::timeout(Duration::from_secs(2), client.simple_query(sql)).await;
            rows.ok()?.ok()?.iter().find_map(|part| match part {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            })
        })
    }

    /// Whether a server answers that question with this.
    pub fn answers(&self, id: u32, sql: &str, expected: &str) -> bool {
        self.ask(id, sql).as_deref() == Some(expected)
    }

    /// What every server says of itself, for messages.
    pub fn picture(&self) -> String {
        let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby of ' || coalesce((SELECT sender_host FROM \
                   pg_stat_wal_receiver WHERE status = 'streaming'), 'nobody') ELSE 'primary' END || ', the daemon ' || \
                   CASE WHEN repmgr.repmgrd_is_running() THEN 'watches node ' || repmgr.get_upstream_node_id() \
                   || ', seen ' || repmgr.get_upstream_last_seen() || ' s ago' ELSE 'does not run' END";
        let mut text = format!("promoted so far: {:?}", self.clients.promoted());
        for node in &self.nodes {
            let answer = self.ask(node.id, sql).unwrap_or_else(|| "no answer".to_owned());
            text.push_str(&format!("\n  node{}: {answer}", node.id));
        }
        text
    }

    /// The fault is survived by a promotion of `winner`: it takes writes, its record says so, `followers` stream from
    /// it or (the witness) copy from it, and all of their daemons watch.
    pub fn fails_over_to(&mut self, winner: u32, followers: &[u32]) {
        self.promoted.push(winner);
        let since = self.hit.expect("a fault");
        self.wait(&format!("node{winner} takes the client's writes"), |story| {
            story.clients.wrote(winner, since).then_some(())
        });
        let sql = format!("SELECT type || ' ' || active FROM repmgr.nodes WHERE node_id = {winner}");
        self.wait(&format!("the record of node{winner} says primary"), |story| {
            story.answers(winner, &sql, "primary true").then_some(())
        });
        self.all_well(winner, followers);
    }

    /// Waits until the client has not been able to write for a while.
    pub fn wait_no_writes(&self) {
        self.wait("the client cannot write", |story| {
            let earlier = Instant::now().checked_sub(Duration::from_secs(2))?;
            let wrote = story.nodes.iter().any(|node| story.clients.wrote(node.id, earlier));
            (!wrote).then_some(())
        });
    }

    /// [`Story::fails_over_to`] where more than one may win: the last WAL of a primary that is lost at any moment may
    /// reach only one of them. Whoever does not win is a follower. The winner.
    pub fn fails_over_to_one_of(&mut self, candidates: &[u32], followers: &[u32]) -> u32 {
        let before = self.promoted.len();
        self.wait(&format!("one of {candidates:?} is promoted"), |story| {
            (story.clients.promoted().len() > before).then_some(())
        });
        let winner = self.clients.promoted()[before];
        assert!(candidates.contains(&winner), "node{winner} was promoted");
        let others = candidates.iter().filter(|id| **id != winner);
        let followers: Vec<u32> = others.chain(followers).copied().collect();
        self.fails_over_to(winner, &followers);
        winner
    }

    /// Nobody is promoted, for as long as it takes to see that.
    pub fn nobody_is_promoted(&self) {
        let start = Instant::now();
        let before = self.clients.promoted();
        while start.elapsed() < CALM {
            let now = self.clients.promoted();
            assert_eq!(now, before, "nobody else is to be promoted\n{}", self.picture());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One primary, which takes writes; all others stream from it, and all daemons watch.
    pub fn all_well(&self, primary: u32, others: &[u32]) {
        let moment = Instant::now();
        self.wait(&format!("node{primary} takes the client's writes"), |story| {
            story.clients.wrote(primary, moment).then_some(())
        });
        for id in others {
            if self.is_witness(*id) {
                self.witness_follows(*id, primary);
            } else {
                self.streams(*id, primary);
            }
            self.watches(*id, primary);
        }
        if self.node(primary).daemon_pid().is_some() {
            self.watches_as_primary(primary);
        }
    }

    /// A standby streams from an upstream: both servers say so, and the record.
    pub fn streams(&self, standby: u32, upstream: u32) {
        self.receives(standby, upstream);
        let record = format!(
            "SELECT type || ' of ' || upstream_node_id || ' ' || active FROM repmgr.nodes WHERE node_id = {standby}"
        );
        let expected = format!("standby of {upstream} true");
        self.wait(&format!("the record of node{standby} names node{upstream}"), |story| {
            story.answers(upstream, &record, &expected).then_some(())
        });
    }

    /// A standby streams from an upstream: both servers say so.
    pub fn receives(&self, standby: u32, upstream: u32) {
        let host = self.node(upstream).server.host.as_ref().expect("a host");
        let receiver = "SELECT sender_host FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        let address = host.address.clone();
        self.wait(&format!("node{standby} receives from node{upstream}"), |story| {
            story.answers(standby, receiver, &address).then_some(())
        });
        let sender = format!("SELECT state FROM pg_stat_replication WHERE application_name = 'node{standby}'");
        self.wait(&format!("node{upstream} sends to node{standby}"), |story| {
            story.answers(upstream, &sender, "streaming").then_some(())
        });
    }

    /// The witness is recorded at a primary, and its copy of the records says who that is.
    fn witness_follows(&self, witness: u32, primary: u32) {
        let record = format!("SELECT upstream_node_id FROM repmgr.nodes WHERE node_id = {witness}");
        let copy = "SELECT node_id FROM repmgr.nodes WHERE type = 'primary' AND active".to_owned();
        for (id, sql) in [(primary, record), (witness, copy)] {
            self.wait(
                &format!("node{id} says that the witness is at node{primary}"),
                |story| story.answers(id, &sql, &primary.to_string()).then_some(()),
            );
        }
    }

    /// The daemon of a node watches that upstream and has seen it a moment ago.
    pub fn watches(&self, id: u32, upstream: u32) {
        let sql = "SELECT CASE WHEN repmgr.repmgrd_is_running() AND repmgr.get_upstream_last_seen() BETWEEN 0 AND 3 \
                   THEN repmgr.get_upstream_node_id() END";
        self.wait(&format!("the daemon of node{id} watches node{upstream}"), |story| {
            story.answers(id, sql, &upstream.to_string()).then_some(())
        });
        self.in_normal_state(id);
    }

    fn watches_as_primary(&self, id: u32) {
        let sql = "SELECT repmgr.repmgrd_is_running()";
        self.wait(&format!("the daemon of node{id} runs"), |story| {
            story.answers(id, sql, "t").then_some(())
        });
        self.in_normal_state(id);
    }

    fn in_normal_state(&self, id: u32) {
        self.wait(&format!("the daemon of node{id} is in normal state"), |story| {
            let log = story.node(id).daemon_log();
            let last = log
                .lines()
                .rev()
                .find(|line| line.contains(" monitoring ") || line.contains("monitoring primary"));
            last.is_some_and(|line| line.contains("in normal state")).then_some(())
        });
    }

    /// The disk under node 1.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("a cast with a disk")
    }

    /// The daemon of a primary finds the other one that serves beside it, and says so as an ERROR.
    pub fn raises_the_alarm(&self, id: u32) {
        self.wait_logged(id, "is a primary, and so is", 0);
    }

    /// Ends the sessions that daemons have on a server.
    pub fn disconnect_daemons(&self, id: u32) {
        let ended = self.ask(id, DISCONNECT);
        assert!(ended.is_some_and(|count| count != "0"), "daemons had sessions");
    }

    /// No host can resolve the name of any other, nor its own.
    pub fn forget_names(&self) {
        self.write_names("127.0.0.1 localhost\n");
    }

    /// Ends that.
    pub fn remember_names(&self) {
        let mut names = "127.0.0.1 localhost\n".to_owned();
        for node in &self.nodes {
            names.push_str(&format!("{} node{}\n", self.host(node.id).address, node.id));
        }
        self.write_names(&names);
    }

    /// In place: hosts have the file itself mounted.
    fn write_names(&self, names: &str) {
        for node in &self.nodes {
            let path = Path::new("/etc/netns").join(&self.host(node.id).name).join("hosts");
            std::fs::write(path, names).expect("the names of the hosts");
        }
    }

    /// Starts a daemon, as a service manager does.
    pub fn start_daemon(&mut self, id: u32) {
        let before = self.logged(id, "rule \"begin-");
        self.hosts.node_mut(id).spawn_daemon();
        self.wait_logged(id, "rule \"begin-", before);
    }

    /// `kill -9` of a daemon.
    pub fn kill_daemon(&mut self, id: u32) {
        let node = self.hosts.node_mut(id);
        node.signal_daemon(Signal::SIGKILL);
        node.wait_daemon();
    }

    /// `kill -9` of the commands of a daemon that wait at a gate.
    pub fn kill_commands(&self, id: u32) {
        for pid in self.host(id).processes_called("sh") {
            // It may have ended already.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// A host dies, and nothing answers there any more.
    pub fn lose_host(&mut self, id: u32) {
        self.hosts.power_off(id);
        if self.node(id).daemon_pid().is_some() {
            self.hosts.node_mut(id).wait_daemon();
        }
    }

    /// A node whose server is down and whose data may have diverged becomes a standby of another.
    pub fn rejoins(&mut self, id: u32, primary: u32) {
        let source = self.node(primary).server.conninfo();
        if self.node(id).server.is_running() {
            self.node(id).server.stop("fast");
        }
        self.node(id).repmgr_ok(&[
            "node",
            "rejoin",
            "-d",
            &source,
            "--force-rewind",
            "--config-files=postgresql.conf",
        ]);
        self.streams(id, primary);
    }

    /// A field of what `pg_controldata` says of a server that is down.
    pub fn control_data(&self, id: u32, field: &str) -> String {
        let server = &self.node(id).server;
        let mut command = server.command(server.stage.bindir.join("pg_controldata"));
        let output = command.arg(&server.data).output().expect("pg_controldata");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field}: {text}")).trim().to_owned()
    }

    /// Lines of a daemon's log with this in them.
    pub fn logged(&self, id: u32, text: &str) -> usize {
        self.node(id).daemon_log().matches(text).count()
    }

    /// Waits until a daemon has logged this once more than `before` times.
    pub fn wait_logged(&self, id: u32, text: &str, before: usize) {
        self.wait(&format!("the daemon of node{id} logs {text:?}"), |story| {
            (story.logged(id, text) > before).then_some(())
        });
    }

    /// What held for all stories: only the nodes that were to be promoted were, each once.
    fn end(self) -> Duration {
        let promoted = self.clients.promoted();
        assert_eq!(promoted, self.promoted, "promoted nodes, in order\n{}", self.picture());
        self.clients.longest_pause(self.hit.expect("a fault"))
    }
}
