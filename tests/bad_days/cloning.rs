//! A source that cannot serve a clone, or breaks down while it does, and a person who changes his mind.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::proxy::{Proxy, Then};
use crate::support::cluster::{Cluster, Node};
use crate::support::flavor::Flavor;
use crate::support::{eventually, user};
use crate::{clone_line, explained, refused, slots};

/// Node 1 is the registered primary with `settings`, node 2 is not there yet and wants a slot.
fn cluster(name: &str, settings: &str, more: &str) -> Cluster {
    let cluster = Cluster::new(name, 2);
    cluster
        .node(2)
        .write_config(&format!("use_replication_slots=true\n{more}"));
    cluster.primary_up(settings);
    cluster
}

fn nothing_is_left(cluster: &Cluster, slots_before: &str) {
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    assert!(!standby.server.data.exists(), "a data directory was left");
    assert_eq!(slots(&primary.server), slots_before);
    assert_eq!(primary.server.query("SELECT count(*) FROM repmgr.nodes"), "1");
}

#[test]
fn too_few_walsenders_or_slots_are_told_before_anything_is_copied() {
    let cluster = cluster("bad-walsenders", "max_wal_senders = 1\nmax_replication_slots = 1\n", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let source = primary.server.conninfo();
    let said = refused(standby, 1, &clone_line(&source, &[]));
    assert!(said.contains("max_wal_senders"), "{said}");
    nothing_is_left(&cluster, "");

    let restart = |setting: &str| {
        primary.server.query(&format!("ALTER SYSTEM SET {setting}"));
        primary.server.stop("fast");
        primary.server.start();
    };
    restart("max_wal_senders = 5");
    primary
        .server
        .query("SELECT pg_create_physical_replication_slot('of_somebody_else')");
    for arguments in [&[][..], &["--dry-run"]] {
        let code = if arguments.is_empty() { 7 } else { 1 };
        let said = refused(standby, code, &clone_line(&source, arguments));
        assert!(said.contains("max_replication_slots"), "{said}");
        nothing_is_left(&cluster, "of_somebody_else");
    }
    let event = "SELECT successful FROM repmgr.events WHERE event = 'standby_clone'";
    assert_eq!(primary.server.query(event), "f");

    primary
        .server
        .query("SELECT pg_drop_replication_slot('of_somebody_else')");
    restart("max_replication_slots = 0");
    let said = refused(standby, 1, &clone_line(&source, &[]));
    assert!(said.contains("max_replication_slots"), "{said}");
    nothing_is_left(&cluster, "");

    restart("max_wal_senders = 0");
    standby.write_config("");
    let said = refused(standby, 1, &clone_line(&source, &[]));
    assert!(said.contains("max_wal_senders"), "{said}");
    nothing_is_left(&cluster, "");
}

#[test]
fn an_id_that_is_taken_is_told_before_anything_is_copied() {
    let cluster = cluster("bad-clone-id", "", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let source = primary.server.conninfo();
    let config = std::fs::read_to_string(&standby.config_file).expect("repmgr.conf");
    // repmgr.conf was copied from the primary, and not all of it was changed.
    user::write(&standby.config_file, &config.replace("node_id=2", "node_id=1"));
    for more in [&[][..], &["--force"], &["--dry-run"]] {
        let said = refused(standby, 1, &clone_line(&source, more));
        assert!(said.contains("node_id") && said.contains("node1"), "{said}");
        nothing_is_left(&cluster, "");
    }
}

#[test]
fn a_server_that_does_not_let_replication_in_is_told() {
    let cluster = cluster("bad-hba", "", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let hba = primary.server.data.join("pg_hba.conf");
    let text = std::fs::read_to_string(&hba).expect("pg_hba.conf");
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("replication")).collect();
    user::write(&hba, &(without.join("\n") + "\n"));
    primary.server.query("SELECT pg_reload_conf()");
    let source = primary.server.conninfo();
    let said = eventually("the file is in force", || {
        let output = crate::run(standby, &clone_line(&source, &["--dry-run"]));
        (output.status.code() == Some(1)).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    explained(&said);
    assert!(said.contains("pg_hba.conf"), "{said}");
    nothing_is_left(&cluster, "");
}

#[test]
fn a_wrong_or_missing_password_is_told() {
    let cluster = cluster("bad-password", "", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    if primary.server.flavor == Flavor::Tls {
        return;
    }
    user::write(
        &primary.server.data.join("pg_hba.conf"),
        "local all all trust\nhost all all samehost scram-sha-256\nhost replication all samehost scram-sha-256\n",
    );
    primary.server.query("SELECT pg_reload_conf()");
    primary.server.query("ALTER ROLE repmgr PASSWORD 'right'");
    for password in ["", " password=wrong", " passfile=/nonexistent"] {
        let source = primary.server.conninfo() + password;
        let said = eventually("the password is asked for", || {
            let output = crate::run(standby, &clone_line(&source, &[]));
            (output.status.code() == Some(6)).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
        });
        explained(&said);
        assert!(said.contains("password"), "{said}");
        nothing_is_left(&cluster, "");
    }
    // The role's password is right, the replication role's is not known.
    let source = primary.server.conninfo() + " password=right";
    primary
        .server
        .query("CREATE ROLE copier LOGIN REPLICATION PASSWORD 'other'");
    let said = refused(standby, 1, &clone_line(&source, &["--replication-user=copier"]));
    assert!(said.contains("copier"), "{said}");
    nothing_is_left(&cluster, "");
}

/// Enough for a clone to take a while.
fn fill(primary: &Node) {
    primary
        .server
        .query("CREATE TABLE filling AS SELECT generate_series(1, 300000) AS i, repeat('x', 60) AS t");
}

#[test]
fn a_source_that_breaks_off_while_it_is_copied_leaves_nothing_behind() {
    let cluster = cluster("bad-break", "", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    if primary.server.flavor != Flavor::Plain {
        return;
    }
    fill(primary);
    for answers in [3_000_000, 12_000_000, 30_000_000] {
        let proxy = Proxy::new(primary.server.port, answers, Then::CloseOnce);
        let source = primary.server.conninfo().replace(
            &format!("port={}", primary.server.port),
            &format!("port={}", proxy.port),
        );
        let said = refused(standby, 14, &clone_line(&source, &[]));
        assert!(proxy.has_cut(), "{said}");
        nothing_is_left(&cluster, "");
    }
}

/// `standby clone` slowly, begun so far that it copies.
fn begin(standby: &Node, source: &str) -> Child {
    let child = standby
        .program("repmgr")
        .args(clone_line(source, &["--force"]))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    eventually("the backup has begun", || {
        standby.server.data.join("base").exists().then_some(())
    });
    child
}

fn end(child: Child) -> (Option<i32>, String) {
    let mut child = child;
    let status = eventually("the clone has ended", || child.try_wait().expect("its status"));
    let output = child.wait_with_output().expect("its output");
    (status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_source_that_dies_while_it_is_copied_is_told_with_what_is_left_to_do() {
    let cluster = cluster("bad-death", "", "pg_basebackup_options='--max-rate=32'\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let source = primary.server.conninfo();
    let child = begin(standby, &source);
    primary.server.kill();
    let (code, said) = end(child);
    assert_eq!(code, Some(14), "{said}");
    explained(&said);
    assert!(!standby.server.data.exists());
    assert!(said.contains("pg_drop_replication_slot('repmgr_slot_2')"), "{said}");

    // It says so because the slot is there when the server comes back; the next clone takes it over.
    primary.server.start();
    assert_eq!(slots(&primary.server), "repmgr_slot_2");
    standby.write_config("use_replication_slots=true");
    let source = primary.server.conninfo();
    let output = crate::run(standby, &clone_line(&source, &[]));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn ctrl_c_keeps_what_was_there_before() {
    let cluster = cluster("bad-ctrl-c", "", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (space, mapped) = (cluster.folder.join("space"), cluster.folder.join("mapped"));
    user::folder(&space);
    user::folder(&mapped);
    primary
        .server
        .query(&format!("CREATE TABLESPACE space LOCATION '{}'", space.display()));
    primary
        .server
        .query("SELECT pg_create_physical_replication_slot('repmgr_slot_2')");
    standby.write_config(&format!(
        "use_replication_slots=true\npg_basebackup_options='--max-rate=32 --waldir={}'\ntablespace_mapping='{}={}'",
        cluster.folder.join("wal").display(),
        space.display(),
        mapped.display()
    ));
    user::folder(&standby.server.data);
    std::fs::set_permissions(&standby.server.data, std::fs::Permissions::from_mode(0o750)).expect("a mode");
    let source = primary.server.conninfo();
    for presses in 1..=2 {
        let child = begin(standby, &source);
        let process = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        for _ in 0..presses {
            kill(process, Signal::SIGINT).expect("a signal");
        }
        let (code, said) = end(child);
        assert_eq!(code, Some(14), "{said}");
        explained(&said);
        for folder in [&standby.server.data, &mapped] {
            assert_eq!(std::fs::read_dir(folder).expect("it stays").count(), 0, "{said}");
        }
        assert!(!cluster.folder.join("wal").exists(), "{said}");
        let mode = std::fs::metadata(&standby.server.data)
            .expect("it")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o750);
        eventually("the slot that was there is free", || {
            (slots(&primary.server) == "repmgr_slot_2").then_some(())
        });
    }
}
