//! What is found before anything is touched, and what is put back afterwards.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::eventually;
use crate::support::hosts::{Hosts, SSH};
use crate::support::user;
use crate::{hosts, records};

fn program(hosts: &Hosts, name: &str, script: &str) -> String {
    let folder = hosts.folder.join(name);
    user::folder(&folder);
    let file = folder.join("repmgr");
    user::write(&file, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    folder.display().to_string()
}

#[test]
fn before_anything_is_touched() {
    let Some(hosts) = hosts("switchover-refused", 3, "ssh_options='-q -o ConnectTimeout=2'") else {
        return;
    };
    let (first, second, third) = (hosts.node(1), hosts.node(2), hosts.node(3));
    let before = records(first);
    let refused = |code: i32, arguments: &[&str], words: &[&str]| {
        let said = second.repmgr_fails(code, &[&["standby", "switchover"], arguments].concat());
        for word in words {
            assert!(said.contains(word), "\"{word}\" is missing in:\n{said}");
        }
        assert_eq!(hosts.primaries(), [1], "{said}");
        assert_eq!(records(first), before, "{said}");
        assert!(!said.contains("stopping current primary"), "{said}");
    };
    let settings = "ssh_options='-q -o ConnectTimeout=2'";

    first.repmgr_fails(18, &["standby", "switchover"]);

    hosts.drop_port_from(2, 1, SSH);
    refused(1, &[], &["ssh", "node1"]);
    hosts.heal();

    second.write_config(&format!("{settings}\nrepmgr_bindir='/no/such/folder'"));
    refused(1, &[], &["unable to run repmgr", "repmgr_bindir"]);
    let strange = program(&hosts, "strange", "echo 'not a version'");
    second.write_config(&format!("{settings}\nrepmgr_bindir='{strange}'"));
    refused(1, &[], &["version"]);
    second.write_config(settings);

    first
        .server
        .query("UPDATE repmgr.nodes SET config_file = config_file || 'x' WHERE node_id = 1");
    eventually("the record has arrived", || {
        second.record_on(&second.server, "upstream_node_id").parse::<i32>().ok()
    });
    let said = second.repmgr_fails(1, &["standby", "switchover"]);
    assert!(said.contains("repmgr.confx"), "{said}");
    first
        .server
        .query("UPDATE repmgr.nodes SET config_file = rtrim(config_file, 'x') WHERE node_id = 1");

    // The sibling's host can be reached, but its server is not let in by the new primary.
    let hba = second.server.data.join("pg_hba.conf");
    let rules = std::fs::read_to_string(&hba).expect("pg_hba.conf");
    user::write(
        &hba,
        &format!("host replication all {}/32 reject\n{rules}", hosts.host(3).address),
    );
    second.server.query("SELECT pg_reload_conf()");
    refused(1, &["--siblings-follow"], &["node3", "replication connection"]);
    user::write(
        &hba,
        &format!("host replication all {}/32 reject\n{rules}", hosts.host(1).address),
    );
    second.server.query("SELECT pg_reload_conf()");
    refused(1, &[], &["node1", "replication connection"]);
    user::write(&hba, &rules);
    second.server.query("SELECT pg_reload_conf()");

    second.server.query("SELECT pg_wal_replay_pause()");
    first.server.query("CREATE TABLE waits AS SELECT 1 AS one");
    refused(18, &[], &["paused"]);
    second.server.query("SELECT pg_wal_replay_resume()");

    hosts.stop_sshd(3);
    refused(1, &["--siblings-follow"], &["node3"]);
    hosts.start_sshd(3);
    let _ = third;

    // What a shell says at login is no answer, and no obstacle.
    hosts.login_shell(1, "echo 'Welcome. --error is human'\necho hello >&2");
    let said = String::from_utf8(hosts.ssh(2, 1, "echo answer").stdout).expect("text");
    assert_eq!(said, "Welcome. --error is human\nanswer\n");
    second.repmgr_ok(&["standby", "switchover", "--siblings-follow"]);
    assert_eq!(hosts.primaries(), [2]);
    hosts.wait_streaming(2, 1);
    hosts.wait_streaming(2, 3);
    assert_eq!(records(second), "1 standby t 2, 2 primary t 0, 3 standby t 2");
}

#[test]
fn what_fails_before_the_promotion_is_put_back() {
    let Some(mut hosts) = hosts("switchover-put-back", 2, "") else {
        return;
    };
    for id in [1, 2] {
        let settings = hosts.node(id).automatic_failover();
        hosts.node(id).write_config(&settings);
        hosts.node_mut(id).start_daemon();
    }
    let (first, second) = (hosts.node(1), hosts.node(2));
    let before = records(first);
    let expect_put_back = |said: &str| {
        assert_eq!(hosts.primaries(), [1], "{said}");
        hosts.wait_streaming(1, 2);
        assert_eq!(records(first), before, "{said}");
        for node in [first, second] {
            let paused = node.server.query("SELECT repmgr.repmgrd_is_paused()");
            assert_eq!(paused, "f", "{} is paused\n{said}", node.name());
        }
        assert!(
            !second.server.data.join("pg_stat_tmp/repmgr_switchover.json").exists(),
            "{said}"
        );
    };
    let automatic = |id: u32| hosts.node(id).automatic_failover();

    // It does not stop in time, or its stop command fails.
    for command in ["/bin/true", "/bin/false"] {
        first.write_config(&format!("{}\nservice_stop_command='{command}'", automatic(1)));
        second.write_config(&format!("{}\nshutdown_check_timeout=3", automatic(2)));
        let said = second.repmgr_fails(18, &["standby", "switchover"]);
        expect_put_back(&said);
    }
    first.write_config(&automatic(1));

    // The promotion does not come about.
    second.write_config(&format!(
        "{}\nservice_promote_command='/bin/true'\npromote_check_timeout=2",
        automatic(2)
    ));
    let said = second.repmgr_fails(8, &["standby", "switchover"]);
    assert!(said.contains("is primary, as before"), "{said}");
    expect_put_back(&said);
    second.write_config(&automatic(2));

    // A signal while nobody is primary.
    let mut child = second
        .program("repmgr")
        .args(["standby", "switchover"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    let mut said = String::new();
    let mut sent = false;
    for line in BufReader::new(child.stderr.take().expect("its standard error")).lines() {
        let line = line.expect("a line");
        if line.contains("to shut down") && !sent {
            kill(
                Pid::from_raw(i32::try_from(child.id()).expect("a pid")),
                Signal::SIGTERM,
            )
            .expect("the signal");
            sent = true;
        }
        said.push_str(&line);
        said.push('\n');
    }
    assert_eq!(child.wait().expect("its end").code(), Some(18), "{said}");
    expect_put_back(&said);

    for node in [first, second] {
        let log = node.daemon_log();
        assert!(!log.contains("repmgrd_failover"), "no daemon took part:\n{log}");
    }
}

#[test]
fn a_rejoin_that_fails_is_completed_by_the_same_command() {
    let Some(hosts) = hosts("switchover-no-rejoin", 2, "") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    first.write_config("service_start_command='/bin/false'");
    let said = second.repmgr_fails(22, &["standby", "switchover"]);
    assert_eq!(hosts.primaries(), [2], "behind the point of no return");
    let by_hand = format!("-f {} -d ", first.config_file.display());
    assert!(said.contains("left to do") && said.contains(&by_hand), "{said}");
    assert_eq!(
        crate::last_event(second, "standby_switchover"),
        "2 standby_switchover f"
    );

    first.write_config("");
    second.repmgr_ok(&["standby", "switchover", "--dry-run"]);
    assert!(!first.server.is_running(), "a dry run changes nothing");
    second.repmgr_ok(&["standby", "switchover"]);
    hosts.wait_streaming(2, 1);
    assert_eq!(records(second), "1 standby t 2, 2 primary t 0");
    assert_eq!(
        crate::last_event(second, "standby_switchover"),
        "2 standby_switchover t"
    );
    second.repmgr_fails(18, &["standby", "switchover"]);
}
