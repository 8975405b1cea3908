//! What is too little, too much, or not permitted: found before the old primary is stopped.

use std::process::Stdio;

use crate::support::eventually;
use crate::support::hosts::Hosts;
use crate::support::user;
use crate::{hosts, records};

/// Runs the switchover to node 2, which must end with `code`, say all `words`, and leave everything as it is.
fn refused(hosts: &Hosts, code: i32, arguments: &[&str], words: &[&str]) {
    let before = records(hosts.node(1));
    let said = hosts
        .node(2)
        .repmgr_fails(code, &[&["standby", "switchover"], arguments].concat());
    for word in words {
        assert!(said.contains(word), "\"{word}\" is missing in:\n{said}");
    }
    assert!(!said.contains("stopping current primary"), "{said}");
    assert_eq!(hosts.primaries(), [1], "{said}");
    assert_eq!(records(hosts.node(1)), before, "{said}");
}

#[test]
fn too_few_walsenders_or_slots_for_the_siblings() {
    let Some(hosts) = Hosts::new("switchover-few", 3) else {
        return;
    };
    for node in &hosts.nodes {
        node.write_config("use_replication_slots=yes");
    }
    hosts.primary_up("max_wal_senders = 4");
    hosts.standby_up(2);
    hosts.standby_up(3);
    for holder in [2, 3] {
        hosts.wait_record(holder, 3);
    }
    let second = hosts.node(2);
    second.server.query("ALTER SYSTEM SET max_wal_senders = 4");
    second.server.query("ALTER SYSTEM SET max_replication_slots = 1");
    second.server.stop("fast");
    second.server.start();
    hosts.wait_streaming(1, 2);

    let slots = ["too few free replication slots", "max_replication_slots"];
    refused(&hosts, 1, &["--siblings-follow"], &slots);
    refused(&hosts, 1, &["--siblings-follow", "--dry-run"], &slots);
    let said = second.repmgr_fails(0, &["standby", "switchover", "--dry-run"]);
    assert!(
        said.contains("prerequisites for executing STANDBY SWITCHOVER are met"),
        "one slot does for the old primary alone:\n{said}"
    );

    // Somebody else receives from the candidate.
    let folder = hosts.folder.join("received");
    let mut receivers: Vec<_> = (0..3)
        .map(|number| {
            let folder = folder.join(number.to_string());
            user::folder(&folder);
            let conninfo = second.server.conninfo();
            hosts
                .command(2, second.server.stage.bindir.join("pg_receivewal"))
                .args(["--no-loop", "-d", &conninfo, "-D"])
                .arg(&folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("pg_receivewal")
        })
        .collect();
    eventually("all of them receive", || {
        (second.server.query("SELECT count(*) FROM pg_stat_replication") == "3").then_some(())
    });
    let walsenders = ["too few free walsenders", "max_wal_senders", "1 are free, 2 are needed"];
    refused(&hosts, 1, &["--siblings-follow"], &walsenders);
    refused(
        &hosts,
        1,
        &["--siblings-follow", "--dry-run"],
        &[&walsenders[..], &slots].concat(),
    );
    // Slots that are missing can be made up for later, walsenders cannot be forced.
    refused(&hosts, 1, &["--siblings-follow", "--force"], &walsenders);
    for receiver in &mut receivers {
        receiver.kill().expect("to end pg_receivewal");
        receiver.wait().expect("its end");
    }
}

#[test]
fn archive_and_lag_beyond_their_limits() {
    let limits =
        "archive_ready_warning=1\narchive_ready_critical=2\nreplication_lag_warning=1\nreplication_lag_critical=2";
    let Some(hosts) = Hosts::up_with(
        "switchover-limits",
        2,
        "archive_mode = on\narchive_command = '/bin/true'",
        limits,
    ) else {
        return;
    };
    hosts.wait_record(2, 2);
    let (first, second) = (hosts.node(1), hosts.node(2));
    let reload = |id: u32, setting: &str| {
        let server = &hosts.node(id).server;
        server.query(&format!("ALTER SYSTEM SET {setting}"));
        server.query("SELECT pg_reload_conf()");
    };
    let ready = || {
        let folder = first.server.data.join("pg_wal/archive_status");
        let entries = std::fs::read_dir(folder).expect("the folder of the archiver").flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".ready"))
            .count()
    };
    reload(1, "archive_command = '/bin/false'");
    eventually("three segments wait for being archived", || {
        first
            .server
            .query("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()");
        (ready() >= 3).then_some(())
    });
    refused(
        &hosts,
        18,
        &[],
        &["wait for being archived", "archive_ready_critical", "--force"],
    );
    refused(&hosts, 18, &["--dry-run"], &["wait for being archived"]);
    reload(1, "archive_command = '/bin/true'");
    eventually("all is archived", || (ready() == 0).then_some(()));

    reload(2, "recovery_min_apply_delay = '1h'");
    eventually("the delay is seen", || {
        (second.server.query("SHOW recovery_min_apply_delay") == "1h").then_some(())
    });
    first.server.query("CREATE TABLE delayed AS SELECT 1 AS one");
    let said = eventually("the lag has grown", || {
        let output = second.repmgr(&["standby", "switchover", "--dry-run"]);
        (output.status.code() == Some(18)).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    assert!(said.contains("replication_lag_critical"), "{said}");
    refused(
        &hosts,
        18,
        &[],
        &["replication lag of this node is critical", "--force"],
    );
    // By the user's own decision: what is delayed is replayed in the promotion.
    let output = second.repmgr(&["standby", "switchover", "--force"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("WARNING: replication lag of this node is critical"),
        "{said}"
    );
    assert_eq!(hosts.primaries(), [2], "{said}");
    assert_eq!(second.server.query("SELECT one FROM delayed"), "1");
    hosts.wait_streaming(2, 1);
}

#[test]
fn a_superuser_where_one_is_needed() {
    let Some(hosts) = hosts("switchover-superuser", 2, "") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    first.server.query("CREATE ROLE admin SUPERUSER LOGIN");
    first.server.query("CREATE ROLE nobody LOGIN");
    first.server.query("ALTER ROLE repmgr NOSUPERUSER");
    eventually("the standby knows", || {
        let sql = "SELECT rolsuper FROM pg_roles WHERE rolname = 'repmgr'";
        (second.server.query(sql) == "f").then_some(())
    });
    refused(&hosts, 1, &["-S", "nobody"], &["is no superuser"]);
    refused(&hosts, 1, &["-S", "missing"], &["\"missing\"", "-S/--superuser"]);
    refused(
        &hosts,
        1,
        &["--force-rewind"],
        &["pg_ls_dir", "-S/--superuser", "pg_rewind"],
    );
    // Without: nothing else needs one. With one the checkpoint is made.
    let output = second.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("WARNING: the repmgr role is no superuser"), "{said}");
    assert_eq!(hosts.primaries(), [2], "{said}");
    hosts.wait_streaming(2, 1);
    let output = first.repmgr(&["standby", "switchover", "-S", "admin", "--force-rewind"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(hosts.primaries(), [1], "{said}");
    hosts.wait_streaming(1, 2);
}
