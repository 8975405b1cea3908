//! Primary and standby change places.

use std::os::unix::fs::PermissionsExt;

use crate::support::eventually;
use crate::support::hosts::Hosts;
use crate::support::user::{self, ordinary};
use crate::{hosts, last_event, records, slots};

#[test]
fn there_and_back() {
    let Some(hosts) = hosts("switchover-back", 2, "use_replication_slots=yes") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    let before = records(first);
    let said = second.repmgr(&["standby", "switchover", "--dry-run"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("prerequisites for executing STANDBY SWITCHOVER are met"),
        "{said}"
    );
    assert_eq!(hosts.primaries(), [1], "a dry run changes nothing");
    assert_eq!(records(first), before, "a dry run changes nothing");

    let output = second.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("STANDBY SWITCHOVER has completed successfully"), "{said}");
    assert!(said.contains("seconds without a writable primary"), "{said}");
    assert_eq!(hosts.primaries(), [2]);
    hosts.wait_streaming(2, 1);
    assert_eq!(records(second), "1 standby t 2, 2 primary t 0");
    assert_eq!(last_event(second, "standby_switchover"), "2 standby_switchover t");
    assert_eq!(slots(first), "", "the slot that nobody uses any more is gone");
    assert_eq!(slots(second), "repmgr_slot_1 true");

    first.repmgr_ok(&["standby", "switchover"]);
    assert_eq!(hosts.primaries(), [1]);
    hosts.wait_streaming(1, 2);
    assert_eq!(records(first), before);
}

#[test]
fn siblings_and_a_witness_follow_over_either_ssh() {
    let Some(hosts) = Hosts::new("switchover-siblings", 4) else {
        return;
    };
    // A cipher is more than libssh2 is asked for: the system's ssh takes over.
    let settings = "use_replication_slots=yes\nssh_options='-q -o ConnectTimeout=10 -o Ciphers=aes128-ctr'";
    for node in &hosts.nodes {
        node.write_config(settings);
    }
    hosts.primary_up("");
    hosts.standby_up(2);
    hosts.standby_up(3);
    let (first, second, witness) = (hosts.node(1), hosts.node(2), hosts.node(4));
    witness.server.initialise("");
    witness.server.start();
    witness.create_role();
    witness.repmgr_ok(&["witness", "register", "-d", &first.server.conninfo()]);
    hosts.wait_record(2, 4);

    let switch = [
        "--verbose",
        "standby",
        "switchover",
        "--siblings-follow",
        "--remote-user",
        &ordinary().2,
    ];
    let output = second.repmgr(&switch);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("ciphers"), "it says why libssh2 is not used:\n{said}");
    assert_eq!(hosts.primaries(), [2, 4], "the witness accepts writes, too");
    let expected = "1 standby t 2, 2 primary t 0, 3 standby t 2, 4 witness t 2";
    assert_eq!(records(second), expected, "{said}");
    assert_eq!(records(witness), expected, "{said}");
    assert_eq!(slots(second), "repmgr_slot_1 true, repmgr_slot_3 true", "{said}");
    assert_eq!(slots(first), "", "{said}");

    // Back with libssh2, and without moving the sibling: the witness has the primary as upstream nevertheless.
    for node in &hosts.nodes {
        node.write_config("use_replication_slots=yes");
    }
    let output = first.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("--siblings-follow"), "{said}");
    let expected = "1 primary t 0, 2 standby t 1, 3 standby t 2, 4 witness t 1";
    assert_eq!(records(first), expected, "{said}");
    assert_eq!(records(witness), expected, "{said}");
    hosts.wait_streaming(2, 3);
    assert_eq!(slots(second), "repmgr_slot_3 true", "{said}");
}

#[test]
fn daemons_are_paused_for_the_time_of_it() {
    let Some(mut hosts) = hosts("switchover-daemons", 2, "") else {
        return;
    };
    for id in [1, 2] {
        let settings = hosts.node(id).automatic_failover();
        hosts.node(id).write_config(&settings);
        hosts.node_mut(id).start_daemon();
    }
    let (first, second) = (hosts.node(1), hosts.node(2));
    let paused = |id: u32| hosts.node(id).server.query("SELECT repmgr.repmgrd_is_paused()");
    first.server.query("SELECT repmgr.repmgrd_pause(true)");
    second.repmgr_ok(&["standby", "switchover", "--dry-run"]);
    assert_eq!(
        (paused(1), paused(2)),
        ("t".into(), "f".into()),
        "a dry run changes nothing"
    );
    second.repmgr_ok(&["standby", "switchover"]);
    // A restarted server has the flag again once the daemon is back.
    eventually("what was paused stays so", || {
        ((paused(1), paused(2)) == ("t".into(), "f".into())).then_some(())
    });
    first.repmgr_ok(&["standby", "switchover", "--repmgrd-force-unpause"]);
    assert_eq!((paused(1), paused(2)), ("f".into(), "f".into()));
    assert_eq!(hosts.primaries(), [1]);
    for id in [1, 2] {
        assert!(!hosts.node(id).daemon_log().contains("repmgrd_failover_promote"));
    }
    // The daemons find their new places by themselves.
    eventually("the daemon of node2 watches node1", || {
        (second.server.query("SELECT repmgr.get_upstream_node_id()") == "1").then_some(())
    });

    for id in [1, 2] {
        hosts.node_mut(id).stop_daemon();
    }
    let output = hosts.node(2).repmgr(&["standby", "switchover", "--repmgrd-no-pause"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("pausing"), "{said}");
}

/// Node 1 stops its server only after node 2 does not receive any more and something was written.
fn leave_behind(hosts: &Hosts) {
    let (first, second) = (hosts.node(1), hosts.node(2));
    let bindir = &first.server.stage.bindir;
    let script = hosts.folder.join("stop");
    user::write(
        &script,
        &format!(
            "#!/bin/sh\nexec >{}.log 2>&1\n{}/repmgr -f {} node control --disable-wal-receiver\n\
             {}/psql '{}' -c 'CREATE TABLE public.lost AS SELECT 1 AS one'\n{}/pg_ctl -D {} -m fast -W stop\n",
            script.display(),
            second.programs.display(),
            second.config_file.display(),
            bindir.display(),
            first.server.conninfo(),
            bindir.display(),
            first.server.data.display(),
        ),
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    first.write_config(&format!("service_stop_command='{}'", script.display()));
}

#[test]
fn a_standby_that_lacks_wal_is_promoted_only_on_request() {
    let Some(hosts) = hosts("switchover-behind", 2, "wal_receive_check_timeout=2") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    leave_behind(&hosts);
    let said = second.repmgr_fails(18, &["standby", "switchover"]);
    assert!(said.contains("wal_receive_check_timeout"), "{said}");
    assert_eq!(hosts.primaries(), [1], "{said}");
    second.repmgr_ok(&["node", "control", "--enable-wal-receiver"]);
    hosts.wait_streaming(1, 2);
    eventually("nothing is lost", || {
        (second.server.try_query("SELECT one FROM public.lost").as_deref() == Ok("1")).then_some(())
    });
    first.server.query("DROP TABLE public.lost");

    let said = second.repmgr(&["standby", "switchover", "--always-promote", "--force-rewind"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(hosts.primaries(), [2], "{said}");
    hosts.wait_streaming(2, 1);
    assert!(said.contains("STANDBY SWITCHOVER has completed successfully"), "{said}");
    assert_eq!(records(second), "1 standby t 2, 2 primary t 0");
    eventually("the old primary has given up what nobody received", || {
        first
            .server
            .try_query("SELECT one FROM public.lost")
            .is_err()
            .then_some(())
    });
}
