//! A script that runs twice, and the comparison of what it saw.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;

use crate::differences::{self, Difference};
use crate::masks;
use crate::support;
use crate::support::cluster::Cluster;
use crate::support::hosts::Hosts;
use crate::support::stage::{self, Stage};

/// What one step left behind, with paths, ports and times replaced.
#[derive(Debug)]
pub struct Record {
    step: String,
    seen: String,
    log: String,
    deliberate: Option<Deliberate>,
}

/// A step where this program does otherwise on purpose.
#[derive(Debug, Clone, Copy)]
struct Deliberate {
    difference: Difference,
    ours: &'static str,
}

/// Where the nodes are: all on this host, or on a host each.
pub enum Place {
    /// On loopback.
    Here(Cluster),
    /// With addresses of their own and an sshd each.
    Hosts(Hosts),
}

impl Deref for Place {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        match self {
            Place::Here(cluster) => cluster,
            Place::Hosts(hosts) => hosts,
        }
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut Cluster {
        match self {
            Place::Here(cluster) => cluster,
            Place::Hosts(hosts) => hosts,
        }
    }
}

/// A cluster and what was seen of it so far.
pub struct Script {
    /// The cluster.
    pub cluster: Place,
    records: Vec<Record>,
    deliberate: Option<Deliberate>,
    hidden: Vec<String>,
    complaints: Vec<String>,
}

impl Script {
    fn new(cluster: Place) -> Script {
        Script {
            cluster,
            records: Vec::new(),
            deliberate: None,
            hidden: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// What must hold for either program, not only be the same for both.
    pub fn must(&mut self, holds: bool, complaint: &str) {
        if !holds {
            self.complaints.push(complaint.to_owned());
        }
    }

    /// The hosts of a scenario that runs on hosts.
    pub fn hosts(&self) -> &Hosts {
        match &self.cluster {
            Place::Hosts(hosts) => hosts,
            Place::Here(_) => panic!("this scenario runs on one host"),
        }
    }

    /// Words, such as process ids, that are shown as `PID` from now on.
    pub fn hide(&mut self, words: &[String]) {
        self.hidden.extend_from_slice(words);
    }

    /// The next step must differ from the original's, as the line of `differences.txt` with this name says, and begin
    /// with `ours`.
    pub fn differs(&mut self, name: &str, ours: &'static str) -> &mut Script {
        let difference = differences::named(name);
        self.deliberate = Some(Deliberate { difference, ours });
        self
    }

    fn normal(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for node in &self.cluster.nodes {
            text = match &node.server.host {
                Some(host) => masks::word(&text, &host.address, &format!("ADDRESS{}", node.id)),
                None => masks::word(&text, &node.server.port.to_string(), &format!("PORT{}", node.id)),
            };
        }
        text = text.replace(&self.cluster.folder.display().to_string(), "FOLDER");
        let programs = self.cluster.node(1).programs.display().to_string();
        text = text.replace(&programs, "PROGRAMS");
        // Ours need not be where PostgreSQL's are; the original's are.
        let stage = self.cluster.node(1).server.stage;
        text = text.replace(&stage.bindir.display().to_string(), "PROGRAMS");
        text = text.replace(&stage.root.display().to_string(), "STAGE");
        for word in &self.hidden {
            text = masks::word(&text, word, "PID");
        }
        // The original of Debian 12 is 5.3, which does not have these four parameters yet.
        let known = |line: &&str| !line.starts_with("pg_backupapi_");
        text.lines()
            .filter(known)
            .map(masks::squeeze)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn record(&mut self, step: &str, seen: &str, log: &str) {
        let record = Record {
            step: self.normal(step),
            seen: self.normal(seen),
            log: self.normal(log),
            deliberate: self.deliberate.take(),
        };
        self.records.push(record);
    }

    /// Runs a command and records its exit code.
    pub fn run(&mut self, id: u32, arguments: &[&str]) {
        self.run_with(id, &[], arguments);
    }

    /// Runs a command with variables of the environment and records its exit code.
    pub fn run_with(&mut self, id: u32, environment: &[(&str, &str)], arguments: &[&str]) {
        self.command(id, environment, arguments, |code, _, _| code);
    }

    /// Runs a command and records its exit code and its standard output.
    pub fn show(&mut self, id: u32, arguments: &[&str]) {
        self.command(id, &[], arguments, |code, stdout, _| format!("{code}\n{stdout}"));
    }

    /// Runs commands without blanks in their arguments and records their exit codes.
    pub fn runs(&mut self, id: u32, lines: &[&str]) {
        for line in lines {
            self.run(id, &line.split_whitespace().collect::<Vec<_>>());
        }
    }

    /// Runs commands without blanks in their arguments and records their exit codes and standard outputs.
    pub fn shows(&mut self, id: u32, lines: &[&str]) {
        for line in lines {
            self.show(id, &line.split_whitespace().collect::<Vec<_>>());
        }
    }

    /// Runs `repmgrd` with what does not keep it running, and records its exit code and its standard output.
    pub fn daemon(&mut self, id: u32, arguments: &[&str]) {
        let node = self.cluster.node(id);
        let mut program = node.server.command("timeout");
        program
            .args(["--kill-after=10", "60"])
            .arg(node.programs.join("repmgrd"))
            .arg("-f")
            .arg(&node.config_file)
            .args(arguments)
            .env("TMPDIR", &node.server.folder)
            .stdin(std::process::Stdio::null());
        self.output(
            &mut program,
            &format!("node{id}: repmgrd {}", arguments.join(" ")),
            |code, stdout, _| format!("{code}\n{stdout}"),
        );
    }

    /// Runs any command and records what of its exit code, standard output and standard error is said.
    pub fn output(&mut self, command: &mut Command, step: &str, seen: impl FnOnce(String, &str, &str) -> String) {
        let output = command.output().expect(step);
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let code = output
            .status
            .code()
            .map_or("killed".to_owned(), |code| format!("exit {code}"));
        let seen = seen(code, &stdout, &stderr);
        self.record(step, &seen, &stderr);
    }

    /// Runs a command and records its exit code and whether it complains of its options.
    pub fn complaints(&mut self, id: u32, arguments: &[&str]) {
        self.command(id, &[], arguments, |code, _, stderr| {
            let mut lines = stderr.lines();
            // The items of a list of errors or warnings, not a text below "DETAIL:".
            let list = lines.find(|line| line.starts_with("  ") || line.starts_with("DETAIL:"));
            let complains = list.is_some_and(|line| line.starts_with("  "));
            format!("{code}, complains: {complains}")
        });
    }

    fn command(
        &mut self,
        id: u32,
        environment: &[(&str, &str)],
        arguments: &[&str],
        seen: impl FnOnce(String, &str, &str) -> String,
    ) {
        let mut program = self.cluster.node(id).program("repmgr");
        program
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(std::process::Stdio::null());
        self.output(&mut program, &format!("node{id}: {}", arguments.join(" ")), seen);
    }

    /// Records what a server answers.
    pub fn query(&mut self, id: u32, what: &str, sql: &str) {
        let seen = self
            .cluster
            .node(id)
            .server
            .try_query(sql)
            .unwrap_or_else(|error| error);
        self.record(&format!("{what} on node{id}"), &seen, "");
    }

    /// Changes something on a server without recording anything.
    pub fn sql(&self, id: u32, sql: &str) {
        self.cluster.node(id).server.query(sql);
    }

    /// Records the metadata as the server of a node shows it.
    pub fn metadata(&mut self, id: u32, after: &str) {
        let server = &self.cluster.node(id).server;
        let nodes = server.query("SELECT * FROM repmgr.nodes ORDER BY node_id");
        let events = server.query("SELECT node_id, event, successful FROM repmgr.events ORDER BY event_timestamp");
        let term = server.query("SELECT term FROM repmgr.voting_term");
        self.record(
            &format!("metadata on node{id} after {after}"),
            &format!("{nodes}\n{events}\nterm {term}"),
            "",
        );
    }

    /// Records the nodes alone.
    pub fn nodes(&mut self, id: u32, after: &str) {
        self.query(
            id,
            &format!("nodes after {after}"),
            "SELECT * FROM repmgr.nodes ORDER BY node_id",
        );
    }

    /// Records the replication slots of a server.
    pub fn slots(&mut self, id: u32, after: &str) {
        self.query(
            id,
            &format!("slots after {after}"),
            "SELECT slot_name, slot_type, active, restart_lsn IS NOT NULL FROM pg_replication_slots ORDER BY 1",
        );
    }

    /// Records what a clone was configured with.
    pub fn replication_configuration(&mut self, id: u32) {
        let data = self.cluster.node(id).server.data.clone();
        let text = std::fs::read_to_string(data.join("postgresql.auto.conf")).unwrap_or_default();
        let signals = ["standby.signal", "recovery.signal", "recovery.conf"].map(|name| {
            let content = std::fs::read_to_string(data.join(name));
            content.map_or_else(|_| String::new(), |content| format!("{name}: {content}\n"))
        });
        self.record(
            &format!("replication configuration of node{id}"),
            &format!("{text}{}", signals.concat()),
            "",
        );
    }

    /// Adds lines to postgresql.conf of a server that is not running.
    pub fn server_settings(&self, id: u32, lines: &str) {
        let path = self.cluster.node(id).server.data.join("postgresql.conf");
        let text = std::fs::read_to_string(&path).expect("postgresql.conf");
        support::user::write(&path, &format!("{text}{lines}"));
    }

    /// Records some fact of the file system.
    pub fn fact(&mut self, what: &str, seen: &str) {
        self.record(what, seen, "");
    }

    /// A standby of a node, cloned from `source`, running, registered below `upstream`; nothing is recorded.
    pub fn standby_of(&self, id: u32, source: u32, upstream: u32) {
        let node = self.cluster.node(id);
        let upstream_option = format!("--upstream-node-id={upstream}");
        node.clone_from(self.cluster.node(source), &[&upstream_option]);
        node.server.start();
        self.cluster.wait_streaming(upstream, id);
        node.repmgr_ok(&["standby", "register", &upstream_option]);
    }

    /// Waits until a server has replayed what another has written.
    pub fn wait_replayed(&self, primary: u32, standby: u32) {
        let written = self.cluster.node(primary).server.query("SELECT pg_current_wal_lsn()");
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        support::eventually(&format!("node{standby} has replayed {written}"), || {
            (self.cluster.node(standby).server.try_query(&sql).as_deref() == Ok("t")).then_some(())
        });
    }
}

/// Runs a scenario with the original and with this program at the same time; their records must be equal.
pub fn compare(name: &str, count: u32, scenario: fn(&mut Script)) {
    compare_at(scenario, |stage, programs| {
        Some(Place::Here(Cluster::with_stage(name, count, stage, programs)))
    });
}

/// The same on hosts with an address and an sshd each, without servers.
pub fn compare_on_hosts(name: &str, count: u32, scenario: fn(&mut Script)) {
    compare_at(scenario, |stage, programs| {
        Hosts::with_stage(name, count, stage, programs).map(Place::Hosts)
    });
}

fn compare_at(scenario: fn(&mut Script), place: impl Fn(&'static Stage, &Path) -> Option<Place> + Sync) {
    let Some(original) = stage::original() else {
        return support::skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
    };
    let record = |stage, programs: &Path| {
        let mut script = Script::new(place(stage, programs)?);
        scenario(&mut script);
        assert!(script.complaints.is_empty(), "{}", script.complaints.join("\n"));
        Some(script.records)
    };
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| record(original, &original.bindir));
        let ours = record(stage::stage(), stage::programs());
        (theirs.join(), ours)
    });
    let theirs = theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let (Some(theirs), Some(ours)) = (theirs, ours) else {
        return;
    };
    assert_eq!(theirs.len(), ours.len());
    let complaints: Vec<String> = theirs
        .iter()
        .zip(&ours)
        .filter_map(|(theirs, ours)| difference(theirs, ours))
        .collect();
    assert!(
        complaints.is_empty(),
        "{} of {} steps differ\n{}",
        complaints.len(),
        ours.len(),
        complaints.join("\n")
    );
}

fn difference(theirs: &Record, ours: &Record) -> Option<String> {
    assert_eq!(theirs.step, ours.step);
    let complaint = match ours.deliberate {
        None if theirs.seen == ours.seen => return None,
        None => "differs".to_owned(),
        Some(Deliberate { difference, .. }) if theirs.seen == ours.seen => {
            format!("is the same, though it was to differ ({})", difference.name)
        }
        Some(Deliberate { ours: expected, .. }) if ours.seen.starts_with(expected) => return None,
        Some(Deliberate { difference, .. }) => format!("differs otherwise than said ({})", difference.name),
    };
    Some(format!(
        "### {} {complaint}\n--- original\n{}\n{}--- ours\n{}\n{}",
        ours.step,
        theirs.seen,
        log(&theirs.log),
        ours.seen,
        log(&ours.log)
    ))
}

fn log(text: &str) -> String {
    text.lines().map(|line| format!("    | {line}\n")).collect()
}
