//! Clones that come to nothing: found out first, or taken back.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::cluster::Cluster;
use crate::support::flavor::Flavor;
use crate::support::{eventually, skip, user};
use crate::{attach, clone, clone_events, clone_fails, clone_ok, cluster, slots};

#[test]
fn a_failed_backup_leaves_what_was_there_and_nothing_else() {
    let settings = "use_replication_slots=true\npg_basebackup_options='--no-such-option'\n";
    let cluster = cluster("clone-fails", settings);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let error = clone_fails(14, standby, primary, &[]);
    assert!(error.contains("no-such-option"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(primary), "");

    user::folder(&standby.server.data);
    std::fs::set_permissions(&standby.server.data, std::fs::Permissions::from_mode(0o755)).expect("the mode");
    primary
        .server
        .query("SELECT pg_create_physical_replication_slot('repmgr_slot_2')");
    clone_fails(14, standby, primary, &[]);
    assert_eq!(
        std::fs::read_dir(&standby.server.data).expect("the directory").count(),
        0
    );
    assert_eq!(
        std::fs::metadata(&standby.server.data)
            .expect("the directory")
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
    assert_eq!(slots(primary), "repmgr_slot_2");
}

#[test]
fn an_interrupted_clone_is_taken_back() {
    let settings = "use_replication_slots=true\npg_basebackup_options='--max-rate=32'\n";
    let cluster = cluster("clone-interrupt", settings);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let conninfo = primary.server.conninfo();
        let mut child = standby
            .program("repmgr")
            .args(["-d", &conninfo, "standby", "clone", "--fast-checkpoint"])
            .args(Flavor::current().superuser_option())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("repmgr");
        eventually("the backup has begun", || {
            standby.server.data.join("base").exists().then_some(())
        });
        assert_eq!(slots(primary), "repmgr_slot_2");
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), signal).expect("a signal");
        let status = eventually("the clone has ended", || child.try_wait().expect("its status"));
        assert_eq!(status.code(), Some(14));
        assert!(!standby.server.data.exists(), "after {signal}");
        assert_eq!(slots(primary), "", "after {signal}");
        // The server notices a broken connection when it sends the next time.
        eventually("the backup's connections have ended", || {
            (primary.server.query("SELECT count(*) FROM pg_stat_replication") == "0").then_some(())
        });
    }
}

#[test]
fn a_full_disk_is_named_and_cleaned_up() {
    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a file system of its own needs root");
    }
    let cluster = cluster("clone-full", "use_replication_slots=true\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    user::folder(&standby.server.data);
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"])
        .arg(&standby.server.data)
        .output()
        .expect("mount");
    if !mounted.status.success() {
        return skip("faults", "no tmpfs can be mounted here");
    }
    user::give(&standby.server.data);
    let output = clone(standby, primary, &[]);
    let left = std::fs::read_dir(&standby.server.data).map(Iterator::count);
    let unmounted = std::process::Command::new("umount").arg(&standby.server.data).status();
    assert!(unmounted.expect("umount").success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{text}");
    assert!(text.contains("make room"), "{text}");
    assert_eq!(left.expect("the mounted directory"), 0);
    assert_eq!(slots(primary), "");
}

#[test]
fn a_directory_in_use_or_with_contents_is_refused() {
    let cluster = cluster("clone-directory", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    user::folder(&standby.server.data);
    let precious = standby.server.data.join("precious");
    user::write(&precious, "x");
    clone_fails(1, standby, primary, &[]);
    assert!(precious.exists());
    clone_ok(standby, primary, &["--force"]);
    assert!(!precious.exists());
    attach(&cluster, 1, 2, &[]);

    let error = clone_fails(1, standby, primary, &["--force"]);
    assert!(error.contains("process"), "{error}");
    assert!(standby.server.is_running());
    standby.server.stop("fast");
    clone_fails(1, standby, primary, &[]);
    assert!(standby.server.data.join("PG_VERSION").exists());
    let log = clone_ok(standby, primary, &["--force"]);
    assert!(log.contains("standby register --force"), "{log}");
    standby.server.configure("");
    standby.server.start();
    cluster.wait_streaming(1, 2);
}

#[test]
fn what_is_wrong_is_found_before_anything_is_touched() {
    let cluster = cluster("clone-checks", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let conninfo = primary.server.conninfo();
    let attempt = |code: i32, options: &[&str]| standby.repmgr_fails(code, options);

    let unused = conninfo.replace(&primary.server.port.to_string(), "1");
    attempt(6, &["-d", &unused, "standby", "clone"]);
    let other_database = conninfo.replace("dbname=repmgr", "dbname=postgres");
    let error = attempt(1, &["-d", &other_database, "standby", "clone"]);
    assert!(error.contains("extension"), "{error}");
    let error = clone_fails(1, standby, primary, &["--upstream-node-id=7"]);
    assert!(error.contains('7'), "{error}");

    standby.write_config("node_name=node1");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("node1"), "{error}");
    standby.write_config("pg_basebackup_options='--no-slot --slot=x'");
    clone_fails(1, standby, primary, &[]);
    standby.write_config("pg_bindir='/nonexistent'");
    clone_fails(1, standby, primary, &[]);
    standby.write_config("barman_host=b\nbarman_server=s");
    clone_fails(19, standby, primary, &[]);
    standby.write_config("pg_backupapi_host=b");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("set pg_backupapi_backup_id"), "{error}");

    standby.write_config("pg_basebackup_options='-X fetch'");
    primary.server.query("ALTER SYSTEM SET wal_keep_size = 0");
    primary.server.query("SELECT pg_reload_conf()");
    eventually("the setting is in force", || {
        (primary.server.query("SHOW wal_keep_size") == "0").then_some(())
    });
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("wal_keep_size"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(clone_events(primary), "");
}

#[test]
fn a_directory_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a directory of another user needs root");
    }
    let cluster = cluster("clone-owner", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let foreign = cluster.folder.join("foreign");
    std::fs::create_dir(&foreign).expect("a directory of root");
    for (data, word) in [(foreign.clone(), "\"root\""), (foreign.join("below"), "write to")] {
        standby.write_config(&format!("data_directory='{}'", data.display()));
        let error = clone_fails(1, standby, primary, &["--force", "--dry-run"]);
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(std::fs::read_dir(&foreign).expect("the directory").count(), 0);
}

#[test]
fn a_role_that_may_not_replicate_is_told_so() {
    let cluster = cluster("clone-role", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    primary.server.query("ALTER ROLE repmgr NOREPLICATION NOSUPERUSER");
    primary.server.query("GRANT ALL ON SCHEMA repmgr TO repmgr");
    primary
        .server
        .query("GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO repmgr");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("REPLICATION"), "{error}");
    assert!(!standby.server.data.exists());
}

/// PostgreSQL's programs, one of them replaced by a script.
fn programs_with(cluster: &Cluster, name: &str, script: &str) -> String {
    let folder = cluster.folder.join("bin");
    user::folder(&folder);
    for entry in std::fs::read_dir(&cluster.node(1).server.stage.bindir).expect("the programs") {
        let entry = entry.expect("a program");
        if entry.file_name() != name {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).expect("a link");
        }
    }
    let path = folder.join(name);
    user::write(&path, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the mode");
    format!("pg_bindir='{}'\n", folder.display())
}

#[test]
fn a_backup_that_is_not_intact_does_not_stay() {
    let cluster = cluster("clone-verify", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let script = "[ \"$1\" = --version ] && { echo 'pg_verifybackup (PostgreSQL) 15.1'; exit 0; }\n\
                  echo \"pg_verifybackup: error: $1 is damaged\" >&2; exit 1";
    let programs = programs_with(&cluster, "pg_verifybackup", script);
    standby.write_config(&format!("{programs}use_replication_slots=true\n"));
    let error = clone_fails(14, standby, primary, &["--verify-backup"]);
    assert!(error.contains("is damaged"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(primary), "");
}

#[test]
fn a_source_that_dies_leaves_nothing_here_and_is_named() {
    let settings = "use_replication_slots=true\npg_basebackup_options='--max-rate=32'\n";
    let cluster = cluster("clone-dead", settings);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let conninfo = primary.server.conninfo();
    let child = standby
        .program("repmgr")
        .args(["-d", &conninfo, "standby", "clone", "--fast-checkpoint"])
        .args(Flavor::current().superuser_option())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    eventually("the backup has begun", || {
        standby.server.data.join("base").exists().then_some(())
    });
    primary.server.kill();
    let output = child.wait_with_output().expect("repmgr");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{text}");
    assert!(text.contains("pg_drop_replication_slot('repmgr_slot_2')"), "{text}");
    assert!(!standby.server.data.exists());
}
