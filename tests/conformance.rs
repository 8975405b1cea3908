//! The same script against the original and against this program: exit codes,
//! machine-read output, metadata rows and replication configuration must be equal.
//!
//! Words of log lines are not compared: those are our own.

mod support;

use support::cluster::Cluster;
use support::stage::{self, Stage};

/// What one step left behind, with paths and ports replaced.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    step: String,
    seen: String,
}

struct Script {
    cluster: Cluster,
    records: Vec<Record>,
}

impl Script {
    fn new(name: &str, count: u32, stage: &'static Stage, programs: &std::path::Path) -> Script {
        Script {
            cluster: Cluster::with_stage(name, count, stage, programs),
            records: Vec::new(),
        }
    }

    fn normal(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for node in &self.cluster.nodes {
            text = text.replace(&node.server.port.to_string(), &format!("PORT{}", node.id));
        }
        text = text.replace(&self.cluster.folder.display().to_string(), "FOLDER");
        text = text.replace(&self.cluster.node(1).server.stage.root.display().to_string(), "STAGE");
        // Column widths follow the longest value, and those differ by port and path.
        let squeeze = |line: &str| {
            let words = line.split(' ').filter(|word| !word.is_empty());
            let words: Vec<&str> = words.map(without_time).collect();
            let dashes = line.starts_with("--") && line.contains("-+-");
            if dashes { "---".to_owned() } else { words.join(" ") }
        };
        // The original of Debian 12 is 5.3, which does not have these four parameters yet.
        let known = |line: &&str| !line.starts_with("pg_backupapi_");
        text.lines().filter(known).map(squeeze).collect::<Vec<_>>().join("\n")
    }

    fn record(&mut self, step: String, seen: &str) {
        let (step, seen) = (self.normal(&step), self.normal(seen));
        self.records.push(Record { step, seen });
    }

    /// Runs a command and records its exit code.
    fn run(&mut self, id: u32, arguments: &[&str]) {
        let output = self.cluster.node(id).repmgr(arguments);
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
        }
        self.record(
            format!("node{id}: {arguments:?}"),
            &format!("exit {:?}", output.status.code()),
        );
    }

    /// Runs a command and records its exit code and its standard output.
    fn show(&mut self, id: u32, arguments: &[&str]) {
        let output = self.cluster.node(id).repmgr(arguments);
        let seen = format!(
            "exit {:?}\n{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout)
        );
        self.record(format!("node{id}: {arguments:?}"), &seen);
    }

    /// Records the metadata as the server of a node shows it.
    fn metadata(&mut self, id: u32, after: &str) {
        let server = &self.cluster.node(id).server;
        let nodes = server.query("SELECT * FROM repmgr.nodes ORDER BY node_id");
        let events = server.query("SELECT node_id, event, successful FROM repmgr.events ORDER BY event_timestamp");
        let term = server.query("SELECT term FROM repmgr.voting_term");
        self.record(
            format!("metadata on node{id} after {after}"),
            &format!("{nodes}\n{events}\nterm {term}"),
        );
    }

    /// Records what a clone was configured with.
    fn replication_configuration(&mut self, id: u32) {
        let data = &self.cluster.node(id).server.data;
        let text = std::fs::read_to_string(data.join("postgresql.auto.conf")).unwrap_or_default();
        let signal = std::fs::read_to_string(data.join("standby.signal")).unwrap_or_default();
        self.record(
            format!("replication configuration of node{id}"),
            &format!("{text}{signal}"),
        );
    }
}

/// Builds a cluster step by step, right and wrong, and takes it apart again.
fn cluster_life(mut script: Script) -> Vec<Record> {
    let server_settings = "shared_preload_libraries = 'repmgr'";
    let first = script.cluster.node(1);
    first.server.initialise(server_settings);
    first.server.start();
    first.create_role();

    script.run(1, &["standby", "register"]);
    script.run(1, &["primary", "register", "--dry-run"]);
    script.run(1, &["primary", "register"]);
    script.metadata(1, "primary register");
    script.run(1, &["primary", "register"]);
    script.run(1, &["master", "register", "--force"]);
    script.metadata(1, "primary register --force");
    script.show(1, &["cluster", "show", "--csv"]);
    script.show(1, &["cluster", "show"]);
    script.show(1, &["cluster", "event", "--csv", "--event=primary_register"]);

    let source = script.cluster.node(1).server.conninfo();
    for id in [2, 3] {
        script.run(
            id,
            &["-d", &source, "standby", "clone", "--dry-run", "--fast-checkpoint"],
        );
        script.run(id, &["-d", &source, "standby", "clone", "--fast-checkpoint"]);
        script.replication_configuration(id);
        script.cluster.node(id).server.configure("");
        script.run(id, &["-d", &source, "standby", "clone", "--fast-checkpoint"]);
        script.run(id, &["standby", "register", "--wait-start=1"]);
        script.cluster.node(id).server.start();
        script.cluster.wait_streaming(1, id);
        script.run(id, &["standby", "register", "--dry-run"]);
        script.run(id, &["standby", "register", "--wait-sync=30"]);
        script.run(id, &["standby", "register"]);
        script.run(id, &["standby", "register", "--force"]);
        script.metadata(1, "standby register");
    }
    script.run(2, &["primary", "register"]);
    script.run(1, &["standby", "promote"]);
    script.run(1, &["standby", "follow"]);

    for id in [1, 2] {
        script.show(id, &["cluster", "show"]);
        script.show(id, &["cluster", "show", "--compact"]);
        script.show(id, &["cluster", "show", "--csv"]);
        script.show(id, &["service", "status"]);
        script.show(id, &["service", "status", "--csv"]);
        script.show(id, &["service", "status", "--detail"]);
        script.show(id, &["service", "status", "--compact"]);
    }
    script.run(1, &["service", "pause", "--dry-run"]);
    script.run(1, &["service", "pause"]);
    script.show(1, &["service", "status", "--csv"]);
    script.run(2, &["daemon", "unpause"]);
    script.show(1, &["service", "status", "--csv"]);
    script.run(1, &["cluster", "cleanup"]);
    script.run(1, &["cluster", "cleanup", "--keep-history=1"]);
    script.show(1, &["cluster", "event", "--csv", "--event=no_such_event"]);

    script.run(3, &["standby", "follow", "--dry-run"]);
    script.run(3, &["standby", "follow"]);
    script.run(3, &["standby", "follow", "--upstream-node-id=2"]);
    script.cluster.wait_streaming(2, 3);
    script.metadata(1, "standby follow node2");
    script.replication_configuration(3);
    script.show(1, &["cluster", "show"]);
    script.run(2, &["standby", "unregister"]);
    script.run(3, &["standby", "follow", "--upstream-node-id=1"]);
    script.cluster.wait_streaming(1, 3);
    script.run(3, &["standby", "follow", "--upstream-node-id=3"]);
    script.run(3, &["standby", "follow", "--upstream-node-id=7"]);

    script.run(2, &["standby", "promote"]);
    script.cluster.node(1).server.stop("fast");
    script.show(2, &["cluster", "show"]);
    script.show(2, &["cluster", "show", "--csv"]);
    script.show(2, &["service", "status"]);
    script.show(2, &["service", "status", "--csv"]);
    script.run(1, &["cluster", "show"]);
    script.run(2, &["standby", "promote", "--dry-run"]);
    script.run(2, &["standby", "promote"]);
    script.metadata(2, "standby promote");
    script.run(3, &["standby", "follow"]);
    script.cluster.wait_streaming(2, 3);
    script.metadata(2, "standby follow");
    script.show(2, &["cluster", "show", "--csv"]);
    script.run(2, &["primary", "unregister"]);
    script.run(2, &["primary", "unregister", "--node-id=1", "--dry-run"]);
    script.run(2, &["primary", "unregister", "--node-id=1"]);
    script.run(3, &["standby", "unregister", "--node-id=2"]);
    script.run(3, &["standby", "unregister"]);
    script.metadata(2, "unregister");
    script.show(2, &["cluster", "event", "--csv"]);
    script.records
}

/// What needs no server: the command line and the configuration.
fn command_line(mut script: Script) -> Vec<Record> {
    for arguments in [
        &["nosuch", "verb"][..],
        &["primary"],
        &["primary", "nosuch"],
        &["--nosuch", "primary", "register"],
        &["--node-id=0", "primary", "unregister"],
        &["--node-id=abc", "primary", "unregister"],
        &["--csv", "--nagios", "cluster", "show"],
        &["standby", "clone"],
        &["standby", "clone", "host1", "host2"],
        &["--wait", "--no-wait", "standby", "follow"],
        &["--log-level=NOSUCH", "cluster", "show"],
        &["--up=4", "standby", "follow"],
        &["cluster", "show"],
        &["primary", "register"],
        &["standby", "promote"],
        &["standby", "follow"],
        &["service", "status"],
        &["service", "pause"],
        &["cluster", "event"],
        &["cluster", "cleanup"],
        &["node", "status"],
        &["node", "status", "--is-shutdown-cleanly"],
        &["--recovery-min-apply-delay=5x", "-h", "localhost", "standby", "clone"],
    ] {
        script.show(1, arguments);
    }
    script.show(1, &["--dump-config"]);
    script.records
}

/// The beginning of a word that ends in a date, or nothing of a time of day.
fn without_time(word: &str) -> &str {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    if shape == "99:99:99" {
        return "TIME";
    }
    if shape.ends_with("9999-99-99") {
        &word[..word.len() - 10]
    } else {
        word
    }
}

fn compare(name: &str, count: u32, scenario: fn(Script) -> Vec<Record>) {
    let Some(original) = stage::original() else {
        return support::skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
    };
    let theirs = scenario(Script::new(name, count, original, &original.bindir));
    let ours = scenario(Script::new(name, count, stage::stage(), stage::programs()));
    let mut differences = Vec::new();
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs.step, ours.step);
        if theirs.seen != ours.seen {
            differences.push(format!(
                "### {}\n--- original\n{}\n--- ours\n{}",
                ours.step, theirs.seen, ours.seen
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} steps differ\n{}",
        differences.len(),
        ours.len(),
        differences.join("\n")
    );
}

#[test]
fn the_life_of_a_cluster() {
    compare("conformance-life", 3, cluster_life);
}

#[test]
fn the_command_line_and_the_configuration() {
    compare("conformance-cli", 1, command_line);
}
