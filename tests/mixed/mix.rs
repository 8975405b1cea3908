//! Nodes with the programs of one kind and the server library of either.

use crate::support::cluster::{Cluster, Node};
use crate::support::stage::{self, Stage};
use crate::support::{self, PATIENCE, eventually, user, within};

/// Whose program or library it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This one's.
    Ours,
    /// The original's, from Debian's package.
    Original,
    /// No library at all.
    None,
}
use Kind::{Original, Ours};

/// What a node is made of.
#[derive(Debug, Clone, Copy)]
pub struct Make {
    /// Whose `repmgr` and `repmgrd` it runs.
    pub programs: Kind,
    /// Whose library its server loads.
    pub library: Kind,
    /// Its priority.
    pub priority: u32,
}

/// All of the original.
pub const ORIGINAL: Make = Make {
    programs: Original,
    library: Original,
    priority: 100,
};

/// All of ours.
pub const OURS: Make = Make {
    programs: Ours,
    library: Ours,
    priority: 100,
};

impl Make {
    /// The same, preferred in an election.
    pub const fn preferred(self) -> Make {
        Make { priority: 200, ..self }
    }

    /// The same programs without a library.
    pub const fn bare(self) -> Make {
        Make {
            library: Kind::None,
            ..self
        }
    }

    /// The same programs with the other library.
    pub const fn with_the_other_library(self) -> Make {
        let library = match self.library {
            Original => Ours,
            _ => Original,
        };
        Make { library, ..self }
    }
}

/// Of these, in the order of their ids. Configured for quick automatic failover, without servers; `None`, and
/// counted as skipped, if the original is not staged.
pub fn cluster(name: &str, makes: &[Make], more: &str) -> Option<Cluster> {
    let Some(original) = stage::original() else {
        support::skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
        return None;
    };
    let count = u32::try_from(makes.len()).expect("a few nodes");
    let mut cluster = Cluster::new(&format!("mixed-{name}"), count);
    for (node, make) in cluster.nodes.iter_mut().zip(makes) {
        node.server.stage = of(make.library, original);
        node.programs = programs(make.programs, original);
        let settings = format!("{}priority={}\n{more}", node.automatic_failover(), make.priority);
        node.write_config(&settings);
    }
    Some(cluster)
}

fn of(kind: Kind, original: &'static Stage) -> &'static Stage {
    match kind {
        Ours => stage::stage(),
        Original => original,
        Kind::None => stage::bare(),
    }
}

fn programs(kind: Kind, original: &'static Stage) -> std::path::PathBuf {
    match kind {
        Original => original.bindir.clone(),
        _ => stage::programs().to_owned(),
    }
}

/// Gives a node other programs, and perhaps another library, while neither its daemon nor, for that, its server runs.
pub fn exchange(node: &mut Node, kind: Kind, library: Option<Kind>) {
    let original = stage::original().expect("the staged original");
    if let Some(library) = library {
        node.server.stage = of(library, original);
    }
    node.programs = programs(kind, original);
    node.write_config(&node.automatic_failover());
}

/// The original's library must be preloaded. For ours it makes no difference, so it is not.
fn preload(node: &Node) -> &'static str {
    match stage::original() {
        Some(original) if std::ptr::eq(original, node.server.stage) => "shared_preload_libraries = 'repmgr'",
        _ => "shared_preload_libraries = ''",
    }
}

/// The primary, node 1, registered.
pub fn primary_up(cluster: &Cluster) {
    cluster.primary_up(preload(cluster.node(1)));
}

/// A standby below a node, cloned by its own programs, registered, streaming.
pub fn standby_up(cluster: &Cluster, id: u32, upstream: u32) {
    let node = cluster.node(id);
    let below = format!("--upstream-node-id={upstream}");
    node.clone_from(cluster.node(upstream), &[&below]);
    let path = node.server.data.join("postgresql.conf");
    let text = std::fs::read_to_string(&path).expect("postgresql.conf");
    user::write(&path, &format!("{text}{}\n", preload(node)));
    node.server.start();
    cluster.wait_streaming(upstream, id);
    node.repmgr_ok(&["standby", "register", &below]);
    replayed(cluster, 1, id);
}

/// A witness of node 1, registered by its own programs.
pub fn witness_up(cluster: &Cluster, id: u32) {
    let node = cluster.node(id);
    node.server.initialise(preload(node));
    node.server.start();
    node.create_role();
    let primary = cluster.node(1).server.conninfo();
    let register = ["-d", &primary, "witness", "register"];
    let more: &[&str] = if is_bare(node) { &["--without-library"] } else { &[] };
    node.repmgr_ok(&[&register[..], more].concat());
}

fn is_bare(node: &Node) -> bool {
    std::ptr::eq(node.server.stage, stage::bare())
}

/// A query for the node that the daemon of a server watches.
fn watched_node(node: &Node) -> &'static str {
    if is_bare(node) {
        "SELECT substring(application_name from ' up=([0-9]+)') FROM pg_stat_activity \
         WHERE application_name LIKE 'repmgrd pid=%'"
    } else {
        "SELECT repmgr.get_upstream_node_id()"
    }
}

/// Starts all daemons, the primary's first, and waits until each watches.
pub fn daemons_up(cluster: &mut Cluster) {
    for at in 0..cluster.nodes.len() {
        let id = cluster.nodes[at].id;
        cluster.node_mut(id).start_daemon();
        watches(cluster, 1, id);
    }
    for node in &cluster.nodes {
        if !node.server.is_primary() {
            replayed(cluster, 1, node.id);
        }
    }
}

/// Waits until a daemon has reported its start to the primary.
pub fn watches(cluster: &Cluster, primary: u32, id: u32) {
    event(cluster, primary, id, "repmgrd_start");
}

/// A primary and standbys below it, all with their daemons.
pub fn watched(name: &str, makes: &[Make], more: &str) -> Option<Cluster> {
    let mut cluster = cluster(name, makes, more)?;
    primary_up(&cluster);
    for id in 2..=u32::try_from(makes.len()).expect("a few nodes") {
        standby_up(&cluster, id, 1);
    }
    daemons_up(&mut cluster);
    Some(cluster)
}

/// Waits until a standby has replayed what a primary has written.
pub fn replayed(cluster: &Cluster, primary: u32, standby: u32) {
    let written = cluster.node(primary).server.query("SELECT pg_current_wal_lsn()");
    let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    eventually(&format!("node{standby} has replayed {written}"), || {
        (cluster.node(standby).server.try_query(&sql).as_deref() == Ok("t")).then_some(())
    });
}

/// Waits until the table of events on a server has a successful one of a node.
pub fn event(cluster: &Cluster, on: u32, id: u32, name: &str) {
    let sql =
        format!("SELECT count(*) > 0 FROM repmgr.events WHERE node_id = {id} AND event = '{name}' AND successful");
    eventually(&format!("node{on} has the event {name} of node{id}"), || {
        (cluster.node(on).server.try_query(&sql).as_deref() == Ok("t")).then_some(())
    });
}

/// Waits until a standby receives from an upstream, as it says itself.
pub fn receives(cluster: &Cluster, standby: u32, upstream: u32) {
    let port = cluster.node(upstream).server.port.to_string();
    let sql = "SELECT sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    within(
        PATIENCE * 2,
        &format!("node{standby} receives from node{upstream}"),
        || (cluster.node(standby).server.try_query(sql).as_deref() == Ok(&port)).then_some(()),
    );
}

/// Waits until a query on a server has this answer.
pub fn answers(cluster: &Cluster, id: u32, sql: &str, answer: &str) {
    eventually(&format!("node{id} answers {answer} to {sql}"), || {
        (cluster.node(id).server.try_query(sql).as_deref() == Ok(answer)).then_some(())
    });
}

/// Waits until a failover is complete: its winner, the standbys that follow it, and no other primary.
/// The witness is told apart by its record.
pub fn failed_over(cluster: &mut Cluster, lost: u32, winner: u32, followers: &[u32]) {
    within(PATIENCE * 2, &format!("node{winner} is primary"), || {
        cluster.node(winner).server.is_primary().then_some(())
    });
    event(cluster, winner, winner, "repmgrd_failover_promote");
    for follower in followers {
        if record(cluster, winner, *follower, "type") == "witness" {
            let upstream = watched_node(cluster.node(*follower));
            answers(cluster, *follower, upstream, &winner.to_string());
        } else {
            receives(cluster, *follower, winner);
            assert!(!cluster.node(*follower).server.is_primary());
        }
        event(cluster, winner, *follower, "repmgrd_failover_follow");
        let upstream = format!("SELECT upstream_node_id FROM repmgr.nodes WHERE node_id = {follower}");
        answers(cluster, winner, &upstream, &winner.to_string());
        watches_upstream(cluster, *follower, winner);
    }
    assert_eq!(record(cluster, winner, lost, "active"), "f");
    assert_eq!(
        cluster
            .node(winner)
            .server
            .query("SELECT node_id, upstream_node_id, active FROM repmgr.nodes WHERE type = 'primary' AND active"),
        format!("{winner}||t")
    );
}

/// Waits until the daemon of a standby or witness watches this upstream. An original that meets a new primary before
/// its record is written ends with exit code 6 (W-21); it is started again, as its service manager does.
pub fn watches_upstream(cluster: &mut Cluster, id: u32, upstream: u32) {
    let seen = format!(
        "SELECT repmgr.get_upstream_node_id() = {upstream} AND repmgr.get_upstream_last_seen() BETWEEN 0 AND 3"
    );
    eventually(&format!("the daemon of node{id} watches node{upstream}"), || {
        let original = stage::original().is_some_and(|original| cluster.node(id).programs == original.bindir);
        if original && cluster.node_mut(id).daemon_has_ended() {
            cluster.node_mut(id).start_daemon();
        }
        // Without a library nobody can be asked this way.
        let server = &cluster.node(id).server;
        let bare =
            is_bare(cluster.node(id)) || server.try_query("SELECT repmgr.get_local_node_id()").as_deref() == Ok("");
        (bare || server.try_query(&seen).as_deref() == Ok("t")).then_some(())
    });
}

/// A column of a node's record.
pub fn record(cluster: &Cluster, on: u32, id: u32, column: &str) -> String {
    cluster.node(id).record_on(&cluster.node(on).server, column)
}

/// The term of the last election, as a server has it.
pub fn term(cluster: &Cluster, on: u32) -> String {
    cluster.node(on).server.query("SELECT term FROM repmgr.voting_term")
}

/// The lines of `service status --csv` on a node: id, running, paused; the witness's own included.
pub fn daemons(node: &Node) -> String {
    columns(&node.repmgr_ok(&["service", "status", "--csv"]))
}

/// The same, if the program comes to an answer: the original gives a server two seconds.
pub fn daemons_seen(node: &Node) -> Option<String> {
    let output = node.repmgr(&["service", "status", "--csv"]);
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| columns(&text))
}

fn columns(text: &str) -> String {
    let cells = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("{},{},{}", cells[0], cells[4], cells[6])
    };
    text.lines().map(cells).collect::<Vec<_>>().join(" ")
}
