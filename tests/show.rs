//! What the showing verbs say, against what the servers report.

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::cluster::{Cluster, Node};
use support::{eventually, ports};

fn json(node: &Node, arguments: &[&str]) -> Value {
    let output = node.repmgr(&[arguments, &["--format=json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "{arguments:?}: {error}\n{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn by_id(document: &Value, id: u32) -> &Value {
    let nodes = document["nodes"].as_array().expect("nodes");
    nodes.iter().find(|node| node["node_id"] == id).expect("the node")
}

/// Rows of a table: cells without blanks around them.
fn cells(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.contains('|'))
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn add_record(cluster: &Cluster, id: u32, node_type: &str, conninfo: &str) {
    cluster.node(1).server.query(&format!(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, active, node_name, type, location, priority, conninfo, \
         repluser, config_file) \
         VALUES ({id}, 1, true, 'node{id}', '{node_type}', 'default', 100, '{conninfo}', 'repmgr', '/nowhere')"
    ));
}

#[test]
fn a_cluster_in_order_shows_what_its_servers_say() {
    let cluster = Cluster::up("show-good", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    for node in [first, second] {
        let shown = json(node, &["cluster", "show"]);
        assert_eq!(shown["ok"], true, "{shown:#}");
        for (id, other) in [(1, first), (2, second)] {
            let row = by_id(&shown, id);
            let recovery = other.server.query("SELECT pg_is_in_recovery()") == "t";
            assert_eq!(row["recovery"], recovery);
            let timeline = other.server.query("SELECT timeline_id FROM pg_control_checkpoint()");
            assert_eq!(row["timeline"].to_string(), timeline);
        }
        assert_eq!(by_id(&shown, 2)["attached"], "attached");
    }
    let rows = cells(&first.repmgr_ok(&["cluster", "show"]));
    assert_eq!(rows[1][..5], ["1", "node1", "primary", "* running", ""]);
    assert_eq!(rows[2][..5], ["2", "node2", "standby", "running", "node1"]);
    assert_eq!(rows[1][8], first.server.conninfo());
    assert_eq!(first.repmgr_ok(&["cluster", "show", "--csv"]), "1,0,0\n2,0,1\n");
    // Without a configuration file, over the connection that the options describe.
    let source = first.server.conninfo();
    assert_eq!(
        second.repmgr_ok(&["cluster", "show", "--csv", "-d", &source]),
        "1,0,0\n2,0,1\n"
    );

    let status = json(second, &["node", "status"]);
    assert_eq!(status["ok"], true, "{status:#}");
    assert_eq!(status["upstream"]["node_name"], "node1");
    let replayed = second.server.query("SELECT pg_last_wal_replay_lsn()");
    assert_eq!(status["last_replayed_lsn"], replayed.as_str());
    let walsenders = first.server.query("SELECT count(*) FROM pg_stat_replication");
    assert_eq!(
        json(first, &["node", "status"])["walsenders"]["used"].to_string(),
        walsenders
    );

    let events = json(first, &["cluster", "event", "--all"]);
    let count = first.server.query("SELECT count(*) FROM repmgr.events");
    assert_eq!(
        events["events"].as_array().map(Vec::len).unwrap_or(0).to_string(),
        count
    );
    let line = first.repmgr_ok(&["cluster", "event", "--csv", "--event=primary_register"]);
    assert_eq!(
        line.trim_end().split(',').take(4).collect::<Vec<_>>(),
        ["1", "node1", "primary_register", "t"]
    );
    assert_eq!(
        first.repmgr_ok(&["cluster", "event", "--event=none"]),
        "no matching events found\n"
    );
    let newest = first
        .server
        .query("SELECT event FROM repmgr.events ORDER BY event_timestamp DESC LIMIT 1");
    let limited = json(first, &["cluster", "event", "--limit=1"]);
    assert_eq!(limited["events"][0]["event"], newest.as_str());
}

#[test]
fn what_is_wrong_with_a_node_is_shown_and_gives_exit_code_25() {
    let cluster = Cluster::up("show-bad", 3);
    let first = cluster.node(1);
    let status_of = |id| by_id(&json(first, &["cluster", "show"]), id)["status"].clone();

    // A server that is gone.
    cluster.node(2).server.stop("fast");
    assert_eq!(status_of(2), "? unreachable");
    let complaints = first.repmgr_fails(25, &["cluster", "show"]);
    assert!(
        complaints.contains("unable to connect to node \"node2\" (ID: 2)"),
        "{complaints}"
    );
    assert_eq!(first.repmgr_fails(25, &["cluster", "show", "--terse"]), "");
    let issues = first.repmgr_fails(25, &["node", "status"]);
    assert!(issues.contains("node \"node2\" (ID: 2)"), "{issues}");
    let control = cluster.node(2).repmgr_ok(&["node", "status", "--is-shutdown-cleanly"]);
    let checkpoint = control
        .trim_end()
        .strip_prefix("--state=SHUTDOWN --last-checkpoint-lsn=");
    assert!(checkpoint.is_some_and(|lsn| lsn.contains('/')), "{control}");
    assert_eq!(
        first.repmgr_ok(&["node", "status", "--is-shutdown-cleanly"]),
        "--state=UP\n"
    );
    first
        .server
        .query("UPDATE repmgr.nodes SET active = FALSE WHERE node_id = 2");
    assert_eq!(status_of(2), "- failed");

    // A standby that was promoted behind the metadata's back.
    cluster.node(3).server.query("SELECT pg_promote()");
    cluster.wait_primary(3);
    assert_eq!(status_of(3), "! running as primary");
    let shown = json(first, &["cluster", "show"]);
    assert_eq!(by_id(&shown, 3)["attached"], "detached", "{shown:#}");
    assert_eq!(first.repmgr(&["service", "status"]).status.code(), Some(0));
}

/// Addresses that accept a connection and never answer, or do not even accept it.
struct SilentHosts {
    ports: Vec<u16>,
    _held: (Vec<Socket>, Vec<TcpListener>, Vec<TcpStream>),
}

impl SilentHosts {
    fn new(count: usize) -> SilentHosts {
        let mut silent = SilentHosts {
            ports: Vec::new(),
            _held: Default::default(),
        };
        for number in 0..count {
            let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
            silent.ports.push(address.port());
            if number % 2 == 0 {
                // The kernel accepts for it; nobody reads.
                silent._held.1.push(TcpListener::bind(address).expect("a listener"));
                continue;
            }
            // Its backlog is full: further packets are dropped, as by a host that is switched off.
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            // An ended connection of an earlier test may linger at this port.
            socket.set_reuse_address(true).expect("an option");
            socket.bind(&address.into()).expect("an address");
            socket.listen(0).expect("a listener");
            silent._held.0.push(socket);
            while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                silent._held.2.push(stream);
            }
        }
        silent
    }
}

#[test]
fn silent_hosts_cost_one_connect_timeout_in_all() {
    let cluster = Cluster::new("show-silent", 1);
    cluster.primary_up("");
    let first = cluster.node(1);
    let silent = SilentHosts::new(6);
    for (id, port) in (10..).zip(&silent.ports) {
        add_record(
            &cluster,
            id,
            "standby",
            &format!("host=127.0.0.1 port={port} user=repmgr dbname=repmgr"),
        );
    }
    for verb in [["cluster", "show"], ["service", "status"]] {
        let start = Instant::now();
        let output = first.repmgr(&[&verb[..], &["--csv"]].concat());
        let elapsed = start.elapsed();
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 7);
        assert!(
            elapsed >= Duration::from_millis(1900),
            "{verb:?} gave up after {elapsed:?}"
        );
        assert!(elapsed < Duration::from_millis(3900), "{verb:?} took {elapsed:?}");
    }
    let start = Instant::now();
    let output = first.repmgr(&["service", "pause", "--dry-run"]);
    assert_eq!(output.status.code(), Some(26));
    assert!(start.elapsed() < Duration::from_millis(3900), "{:?}", start.elapsed());
}

#[test]
fn pausing_reaches_every_node_and_a_dry_run_none() {
    let cluster = Cluster::up("show-pause", 2);
    let first = cluster.node(1);
    let paused = || -> Vec<String> {
        let ask = |node: &Node| node.server.query("SELECT repmgr.repmgrd_is_paused()");
        cluster.nodes.iter().map(ask).collect()
    };
    first.repmgr_ok(&["service", "pause", "--dry-run"]);
    assert_eq!(paused(), ["f", "f"]);
    cluster.node(2).repmgr_ok(&["daemon", "pause"]);
    assert_eq!(paused(), ["t", "t"]);
    let shown = json(first, &["service", "status"]);
    assert_eq!(by_id(&shown, 2)["repmgrd"]["paused"], true, "{shown:#}");
    assert_eq!(by_id(&shown, 2)["repmgrd"]["running"], false, "{shown:#}");
    first.repmgr_ok(&["service", "unpause"]);
    assert_eq!(paused(), ["f", "f"]);
    cluster.node(2).server.stop("fast");
    first.repmgr_fails(26, &["service", "pause"]);
    assert_eq!(first.server.query("SELECT repmgr.repmgrd_is_paused()"), "t");
}

#[test]
fn cleanup_deletes_what_is_old_and_nothing_else() {
    let cluster = Cluster::up("show-cleanup", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    let fill = || {
        first.server.query(
            "TRUNCATE repmgr.monitoring_history; \
             INSERT INTO repmgr.monitoring_history SELECT 1, node, now() - make_interval(days => age), NULL, \
             '0/1', '0/1', 0, 0 FROM generate_series(2, 3) node, generate_series(0, 9) age",
        );
    };
    let count = || first.server.query("SELECT count(*) FROM repmgr.monitoring_history");
    let events = || {
        first
            .server
            .query("SELECT count(*) FROM repmgr.events WHERE event = 'cluster_cleanup'")
    };

    first.repmgr_ok(&["cluster", "cleanup"]);
    assert_eq!(events(), "0", "nothing to delete is no event");
    fill();
    second.repmgr_ok(&["cluster", "cleanup", "-k", "5", "--dry-run"]);
    assert_eq!((count().as_str(), events().as_str()), ("20", "0"));
    eventually("the record has reached the standby", || {
        (second.server.query("SELECT count(*) FROM repmgr.nodes") == "2").then_some(())
    });
    second.repmgr_ok(&["cluster", "cleanup", "-k", "5", "--node-id=2"]);
    assert_eq!((count().as_str(), events().as_str()), ("15", "1"));
    let details = first
        .server
        .query("SELECT node_id, details FROM repmgr.events WHERE event = 'cluster_cleanup'");
    assert_eq!(
        details,
        "2|monitoring records deleted for node 2; records newer than 5 day(s) retained"
    );
    first.repmgr_ok(&["cluster", "cleanup", "-k", "5"]);
    assert_eq!(count(), "10");
    first.repmgr_ok(&["cluster", "cleanup"]);
    assert_eq!((count().as_str(), events().as_str()), ("0", "3"));
    first.repmgr_fails(1, &["cluster", "cleanup", "--node-id=77"]);
}

/// `script` gives the program a terminal.
#[test]
fn states_are_coloured_on_a_terminal_that_shows_colours() {
    let cluster = Cluster::up("show-colour", 2);
    let first = cluster.node(1);
    cluster.node(2).server.stop("fast");
    let program = first.program("repmgr");
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let line = format!("{} cluster show", line.join(" "));
    let on_a_terminal = |settings: &[(&str, &str)]| -> String {
        let mut script = first.server.command("script");
        script.args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR");
        let output = script
            .envs(settings.iter().copied())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("script");
        assert_eq!(output.status.code(), Some(25), "{settings:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = on_a_terminal(&[("TERM", "xterm")]);
    assert!(shown.contains("\u{1b}[32m* running"), "{shown:?}");
    assert!(shown.contains("\u{1b}[31m? unreachable"), "{shown:?}");
    let plain = shown
        .replace("\u{1b}[32m", "")
        .replace("\u{1b}[31m", "")
        .replace("\u{1b}[0m", "");
    assert_eq!(plain, on_a_terminal(&[("TERM", "dumb")]));
    assert_eq!(plain, on_a_terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
    let output = first
        .program("repmgr")
        .args(["cluster", "show"])
        .env("TERM", "xterm")
        .output();
    let piped = String::from_utf8_lossy(&output.expect("repmgr").stdout).into_owned();
    assert!(
        piped.contains("? unreachable") && !piped.contains('\u{1b}'),
        "{piped:?}"
    );
}

/// A password in a record never shows, in no form of output.
#[test]
fn passwords_in_records_are_hidden() {
    let cluster = Cluster::new("show-password", 1);
    cluster.primary_up("");
    let first = cluster.node(1);
    add_record(
        &cluster,
        9,
        "standby",
        "host=127.0.0.1 port=1 user=repmgr password=geheim",
    );
    for arguments in [
        &["cluster", "show", "-v"][..],
        &["cluster", "show", "--format=json"],
        &["service", "status", "-v", "-L", "DEBUG"],
        &["service", "pause", "-v", "-L", "DEBUG"],
    ] {
        let output = first.repmgr(arguments);
        let all = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&all).contains("geheim"), "{arguments:?}");
    }
}
