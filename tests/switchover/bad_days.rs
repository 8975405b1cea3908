//! Servers that do not do what they are told, hosts that are lost on the way, a full disk.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::killed::switch_until;
use crate::support::cluster::Node;
use crate::support::eventually;
use crate::support::hosts::{Hosts, SSH};
use crate::support::mount::Mount;
use crate::support::user;
use crate::{hosts, last_event, records};

/// The process of a server of this kind (`pg_stat_activity.backend_type`).
fn process(node: &Node, backend: &str) -> Pid {
    let pid = node
        .server
        .query(&format!("SELECT pid FROM pg_stat_activity WHERE {backend}"));
    Pid::from_raw(pid.parse().unwrap_or_else(|_| panic!("no process: {backend}: {pid}")))
}

/// A command that stops the server of node 1 in this mode, after `before`.
fn stop_command(hosts: &Hosts, before: &str, mode: &str) -> String {
    let first = hosts.node(1);
    let script = hosts.folder.join("stop");
    user::write(
        &script,
        &format!(
            "#!/bin/sh\nexec >{}.log 2>&1\n{before}\n{}/pg_ctl -D {} -m {mode} -W stop\n",
            script.display(),
            first.server.stage.bindir.display(),
            first.server.data.display(),
        ),
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    format!("service_stop_command='{}'", script.display())
}

fn expect_first_is_primary(hosts: &Hosts, before: &str, said: &str) {
    assert_eq!(hosts.primaries(), [1], "{said}");
    hosts.wait_streaming(1, 2);
    assert_eq!(records(hosts.node(1)), before, "{said}");
    let journal = hosts.node(2).server.data.join("pg_stat_tmp/repmgr_switchover.json");
    assert!(!journal.exists(), "{said}");
}

fn expect_second_is_primary(hosts: &Hosts, said: &str) {
    assert_eq!(hosts.primaries(), [2], "{said}");
    hosts.wait_streaming(2, 1);
    assert_eq!(records(hosts.node(2)), "1 standby t 2, 2 primary t 0", "{said}");
    assert_eq!(
        last_event(hosts.node(2), "standby_switchover"),
        "2 standby_switchover t"
    );
}

#[test]
fn a_primary_that_crashes_when_it_is_stopped_is_rewound_on_request() {
    let Some(hosts) = hosts("switchover-unclean", 2, "") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    let before = records(first);
    let behind = format!(
        "{}/repmgr -f {} node control --disable-wal-receiver\n\
         {}/psql '{}' -c 'CREATE TABLE public.lost AS SELECT 1 AS one'",
        second.programs.display(),
        second.config_file.display(),
        first.server.stage.bindir.display(),
        first.server.conninfo(),
    );
    first.write_config(&stop_command(&hosts, &behind, "immediate"));
    let said = second.repmgr_fails(18, &["standby", "switchover"]);
    assert!(said.contains("not shut down cleanly"), "{said}");
    second.repmgr_ok(&["node", "control", "--enable-wal-receiver"]);
    expect_first_is_primary(&hosts, &before, &said);
    eventually("nothing is lost", || {
        (second.server.try_query("SELECT one FROM public.lost").as_deref() == Ok("1")).then_some(())
    });
    first.server.query("DROP TABLE public.lost");

    let output = second.repmgr(&["standby", "switchover", "--force", "--force-rewind"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    expect_second_is_primary(&hosts, &said);
    eventually("the old primary has given up what nobody received", || {
        let lost = first.server.try_query("SELECT one FROM public.lost");
        lost.is_err_and(|error| error.contains("does not exist")).then_some(())
    });
}

#[test]
fn a_primary_that_does_not_come_to_its_end_is_told_and_the_same_command_goes_on() {
    let settings = "shutdown_check_timeout=3\nnode_rejoin_timeout=5\nstandby_reconnect_timeout=5";
    let Some(hosts) = hosts("switchover-hangs", 2, settings) else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    let stuck = process(first, "backend_type = 'background writer'");
    kill(stuck, Signal::SIGSTOP).expect("a process that hangs");
    let said = second.repmgr_fails(18, &["standby", "switchover"]);
    assert!(
        said.contains("shutdown_check_timeout") && said.contains("nobody can write"),
        "{said}"
    );
    assert!(said.contains("node service --action=start"), "{said}");
    assert_eq!(hosts.primaries(), [] as [u32; 0], "{said}");
    let said = second.repmgr_fails(18, &["standby", "switchover"]);
    assert_eq!(hosts.primaries(), [] as [u32; 0], "{said}");
    kill(stuck, Signal::SIGCONT).expect("it goes on");
    let output = second.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    expect_second_is_primary(&hosts, &said);
}

#[test]
fn a_promotion_that_does_not_come_about_is_revoked() {
    let Some(hosts) = hosts("switchover-stuck", 2, "promote_check_timeout=2") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    let before = records(first);
    let stuck = process(second, "backend_type = 'startup'");
    kill(stuck, Signal::SIGSTOP).expect("a process that hangs");
    let said = second.repmgr_fails(8, &["standby", "switchover"]);
    if second.server.stage.major < 14 {
        // It cannot be revoked there, so the old primary stays down; and then it comes about.
        assert!(said.contains("may still come about"), "{said}");
        assert!(!first.server.is_running() && hosts.primaries().is_empty(), "{said}");
        kill(stuck, Signal::SIGCONT).expect("it goes on");
        hosts.wait_primary(2);
        second.repmgr_ok(&["standby", "switchover"]);
        return expect_second_is_primary(&hosts, &said);
    }
    assert!(said.contains("no promotion is under way"), "{said}");
    assert_eq!(hosts.primaries(), [1], "{said}");
    kill(stuck, Signal::SIGCONT).expect("it goes on");
    first.server.query("CREATE TABLE later AS SELECT 1 AS one");
    eventually("the standby replays what the old primary writes now", || {
        (second.server.try_query("SELECT one FROM later").as_deref() == Ok("1")).then_some(())
    });
    expect_first_is_primary(&hosts, &before, &said);
    second.repmgr_ok(&["standby", "switchover"]);
    expect_second_is_primary(&hosts, &said);
}

#[test]
fn a_standby_without_room_for_its_wal_is_not_promoted() {
    // Before the hosts, so that it outlives the servers also if the test fails.
    let mount;
    let Some(hosts) = hosts("switchover-full", 2, "promote_check_timeout=3") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    let before = records(first);
    second.server.stop("fast");
    let (wal, elsewhere) = (second.server.data.join("pg_wal"), second.server.folder.join("wal"));
    mount = Mount::new(&elsewhere, "200m");
    if mount.is_none() {
        return crate::support::skip("faults", "no tmpfs can be mounted here");
    }
    let moved = user::command("sh")
        .args([
            "-c",
            "cp -a \"$0\"/. \"$1\" && mv \"$0\" \"$1.old\" && ln -s \"$1\" \"$0\"",
        ])
        .args([&wal, &elsewhere])
        .status();
    assert!(moved.expect("sh").success());
    second.server.start();
    hosts.wait_streaming(1, 2);
    let filling = elsewhere.join("filling");
    std::fs::write(&filling, vec![0; 240 << 20]).expect_err("more than there is room for");

    let said = second.repmgr_fails(18, &["standby", "switchover"]);
    assert!(said.contains("no room for a promotion"), "{said}");
    assert!(!said.contains("stopping current primary"), "{said}");
    expect_first_is_primary(&hosts, &before, &said);

    // Against all warnings: the server ends in its promotion, and the old primary serves again.
    let output = second.repmgr(&["standby", "switchover", "--force"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(!second.server.is_running(), "{said}");
    assert_eq!(hosts.primaries(), [1], "{said}");
    std::fs::remove_file(filling).expect("to make room");
    second.server.start();
    expect_first_is_primary(&hosts, &before, &said);
    second.repmgr_ok(&["standby", "switchover"]);
    expect_second_is_primary(&hosts, &said);
    drop(hosts);
    drop(mount);
}

#[test]
fn a_host_that_is_lost_while_its_server_stops() {
    let settings = "ssh_options='-q -o ConnectTimeout=2'\nshutdown_check_timeout=3\nnode_rejoin_timeout=5\nstandby_reconnect_timeout=5";
    let Some(hosts) = hosts("switchover-lost", 2, settings) else {
        return;
    };
    let second = hosts.node(2);
    let (mut child, mut said) = switch_until(&hosts, "to shut down");
    hosts.drop_port(1, SSH);
    let mut after = String::new();
    std::io::Read::read_to_string(&mut said, &mut after).expect("what it says");
    let code = child.wait().expect("its end").code();
    if code == Some(0) {
        // The answer had come already. What remains over ssh is the rejoin, which cannot have worked.
        panic!("it was over before the host was lost:\n{after}");
    }
    assert!(hosts.primaries().len() <= 1, "{after}");
    assert!(after.contains("HINT"), "{after}");
    hosts.heal();
    let output = second.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{after}\n{said}");
    expect_second_is_primary(&hosts, &said);
}
