//! A switchover that is killed: at each of its steps, with and without the process that watches over it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::eventually;
use crate::support::hosts::Hosts;
use crate::{hosts, records};

/// Node 1 is primary, node 2 its standby; a daemon on each that would fail over.
fn with_daemons(name: &str) -> Option<Hosts> {
    let mut hosts = hosts(name, 2, "")?;
    for id in [1, 2] {
        let settings = hosts.node(id).automatic_failover();
        hosts.node(id).write_config(&settings);
        hosts.node_mut(id).start_daemon();
    }
    Some(hosts)
}

#[expect(clippy::zombie_processes, reason = "the caller waits for it")]
/// Starts a switchover to node 2 and reads what it says up to a line that contains `line`.
pub fn switch_until(hosts: &Hosts, line: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = hosts
        .node(2)
        .program("repmgr")
        .args(["-L", "DEBUG", "standby", "switchover"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    let mut said = BufReader::new(child.stderr.take().expect("its standard error"));
    let mut before = String::new();
    loop {
        let mut text = String::new();
        let read = said.read_line(&mut text).expect("a line");
        assert!(read > 0, "it ended before \"{line}\":\n{before}");
        before.push_str(&text);
        if text.contains(line) {
            return (child, said);
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// The child processes of a process.
fn children(parent: Pid) -> Vec<Pid> {
    let parent = format!("\nPPid:\t{parent}\n");
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status"));
            status.is_ok_and(|status| status.contains(&parent))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .collect()
}

fn paused(hosts: &Hosts, id: u32) -> String {
    hosts
        .node(id)
        .server
        .try_query("SELECT repmgr.repmgrd_is_paused()")
        .unwrap_or_default()
}

/// Node 2 is primary, node 1 its standby, no daemon is paused, and no journal is left.
fn expect_completed(hosts: &Hosts) {
    assert_eq!(hosts.primaries(), [2]);
    hosts.wait_streaming(2, 1);
    assert_eq!(records(hosts.node(2)), "1 standby t 2, 2 primary t 0");
    for id in [1, 2] {
        assert_eq!(paused(hosts, id), "f", "the daemon of node{id}");
        let journal = hosts.node(id).server.data.join("pg_stat_tmp/repmgr_switchover.json");
        assert!(!journal.exists(), "{}", journal.display());
    }
    for id in [1, 2] {
        let log = hosts.node(id).daemon_log();
        assert!(!log.contains("repmgrd_failover_promote"), "{log}");
    }
}

fn killed_at(name: &str, line: &str) {
    let Some(hosts) = with_daemons(name) else { return };
    let (mut child, mut said) = switch_until(&hosts, line);
    kill(pid(&child), Signal::SIGKILL).expect("the kill");
    child.wait().expect("its end");
    // The watching process has the same standard error: its end is the end of both.
    let mut after = String::new();
    said.read_to_string(&mut after).expect("what it says");
    let primaries = eventually("there is a primary", || {
        Some(hosts.primaries()).filter(|primaries| !primaries.is_empty())
    });
    assert_eq!(primaries.len(), 1, "{after}");
    if primaries == [1] {
        for id in [1, 2] {
            assert_eq!(paused(&hosts, id), "f", "the daemon of node{id}\n{after}");
        }
        hosts.wait_streaming(1, 2);
        hosts.node(2).repmgr_ok(&["standby", "switchover"]);
    }
    expect_completed(&hosts);
}

fn killed_with_its_guard_at(name: &str, line: &str) {
    let Some(hosts) = with_daemons(name) else { return };
    let (mut child, _) = switch_until(&hosts, line);
    let guards = children(pid(&child));
    assert!(!guards.is_empty(), "nobody watches");
    for guard in guards {
        kill(guard, Signal::SIGKILL).expect("the kill");
    }
    kill(pid(&child), Signal::SIGKILL).expect("the kill");
    child.wait().expect("its end");
    assert!(hosts.primaries().len() <= 1);
    hosts.node(2).repmgr_ok(&["standby", "switchover"]);
    expect_completed(&hosts);
}

macro_rules! killed {
    ($($name:ident at $line:literal;)+) => {
        $(#[test]
        fn $name() {
            killed_at(concat!("switchover-", stringify!($name)), $line);
        })+
    };
}

killed! {
    while_it_writes_the_journal at "step: write down what is begun";
    while_it_pauses at "step: pause the daemons";
    while_it_checkpoints at "step: checkpoint on the primary";
    while_it_stops at "step: stop the primary";
    while_it_waits_for_the_shutdown at "to shut down";
    while_it_receives at "step: receive the last WAL";
    while_it_promotes at "step: promote";
    while_it_waits_for_the_promotion at "for promotion to complete";
    while_it_rejoins at "executing NODE REJOIN";
    while_it_looks at "step: final look";
    while_it_unpauses at "step: unpause the daemons";
}

#[test]
fn unwatched_while_it_stops() {
    killed_with_its_guard_at("switchover-unwatched-stop", "to shut down");
}

#[test]
fn unwatched_before_the_promotion() {
    killed_with_its_guard_at("switchover-unwatched-promote", "step: promote");
}

#[test]
fn unwatched_before_the_rejoin() {
    killed_with_its_guard_at("switchover-unwatched-rejoin", "step: rejoin");
}
