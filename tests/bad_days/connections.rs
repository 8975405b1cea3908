//! Servers that answer late, not at all, or stop in the middle of a sentence.

use std::time::{Duration, Instant};

use crate::proxy::{Proxy, Then};
use crate::support::cluster::{Cluster, Node};
use crate::support::flavor::Flavor;
use crate::support::ports;
use crate::{clone_line, explained, records, refused, run};

fn at(node: &Node, port: u16) -> String {
    let server = &node.server;
    server
        .conninfo()
        .replace(&format!("port={}", server.port), &format!("port={port}"))
}

#[test]
fn a_server_that_accepts_and_never_answers_costs_its_timeout_and_no_more() {
    let cluster = Cluster::new("bad-silent", 1);
    let node = cluster.node(1);
    // The kernel accepts for it; nobody reads.
    let silent = ports::listener();
    let conninfo = format!(
        "host=127.0.0.1 port={} user=repmgr dbname=repmgr connect_timeout=2",
        silent.local_addr().expect("an address").port()
    );
    node.write_config(&format!("conninfo='{conninfo}'"));
    let source = clone_line(&conninfo, &[]);
    for (code, command) in [
        (6, &["primary", "register"][..]),
        (1, &["standby", "register", "--wait-start=1"]),
        (6, &source),
        (6, &["cluster", "show"]),
        (6, &["cluster", "event"]),
        (6, &["cluster", "cleanup"]),
        (6, &["service", "status"]),
        (6, &["service", "pause"]),
        (6, &["standby", "follow"]),
        (6, &["standby", "promote"]),
    ] {
        let begin = Instant::now();
        refused(node, code, command);
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_secs(8), "{command:?} took {elapsed:?}");
    }
    assert!(!node.server.data.exists());
}

/// Cuts the conversation after so many bytes of answers, and again later, until the command comes through.
fn cut_everywhere(cluster: &Cluster, node: &Node, command: &[&str], then: Then, mut check: impl FnMut(bool, &str)) {
    let mut answers = 0;
    loop {
        let proxy = Proxy::new(cluster.node(1).server.port, answers, then);
        node.write_config(&format!("conninfo='{}'", at(cluster.node(1), proxy.port)));
        let output = run(node, command);
        let said = format!("after {answers} bytes: {}", String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            explained(&said);
            assert!(
                matches!(output.status.code(), Some(1 | 6 | 7)),
                "{:?} {said}",
                output.status
            );
        }
        check(output.status.success(), &said);
        if !proxy.has_cut() {
            assert!(output.status.success(), "{said}");
            return;
        }
        answers += 97;
    }
}

#[test]
fn a_registration_whose_server_goes_away_is_whole_or_not_there() {
    let cluster = Cluster::new("bad-middle", 1);
    let node = cluster.node(1);
    if node.server.flavor != Flavor::Plain {
        return;
    }
    node.server.initialise("");
    node.server.start();
    node.create_role();
    let extension = "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr'";
    cut_everywhere(
        &cluster,
        node,
        &["primary", "register", "--force"],
        Then::Close,
        |success, said| {
            let installed = node.server.query(extension) == "1";
            assert!(installed || !success, "{said}");
            if installed {
                let found = node.server.query(
                    "SELECT (SELECT count(*) FROM repmgr.nodes) || ' ' || (SELECT count(*) FROM repmgr.voting_term)",
                );
                assert!(["0 0", "1 1"].contains(&found.as_str()), "{found}\n{said}");
                assert!(!success || found == "1 1", "{found}\n{said}");
            }
        },
    );
}

#[test]
fn a_show_whose_server_goes_away_says_so() {
    let cluster = Cluster::new("bad-show", 1);
    let node = cluster.node(1);
    if node.server.flavor != Flavor::Plain {
        return;
    }
    cluster.primary_up("");
    let before = records(&node.server);
    // What the record says is not what breaks: only the first connection does.
    cut_everywhere(&cluster, node, &["cluster", "event"], Then::Close, |_, _| {});
    cut_everywhere(
        &cluster,
        node,
        &["service", "pause", "--dry-run"],
        Then::Close,
        |_, _| {},
    );
    assert_eq!(records(&node.server), before);
}

#[test]
fn a_server_that_falls_silent_in_the_middle_is_given_up() {
    let cluster = Cluster::new("bad-pause", 1);
    let node = cluster.node(1);
    if node.server.flavor != Flavor::Plain {
        return;
    }
    cluster.primary_up("");
    let before = records(&node.server);
    let begin = Instant::now();
    // Behind the login, in front of the first answer to a question.
    let proxy = Proxy::new(node.server.port, 700, Then::FallSilent);
    node.write_config(&format!("conninfo='{}'", at(node, proxy.port)));
    for command in [&["primary", "register", "--force"][..], &["cluster", "event"]] {
        let output = run(node, command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 6 | 7)), "{said}");
        explained(&said);
        assert!(proxy.has_cut());
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(records(&node.server), before);
}
