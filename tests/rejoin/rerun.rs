//! A rejoin that was killed, or failed half-way, run again.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::cluster::{Cluster, Node};
use crate::support::{eventually, user};
use crate::{OWN_FILES, assert_back, come_back_and_write, failed_over, last_event, refused, rejoin, rejoin_line};

/// A program in this node's own folder of programs, of which it has a link to each otherwise.
fn put_program(node: &Node, name: &str, script: &str) -> PathBuf {
    let folder = node.server.folder.join("programs");
    if !folder.exists() {
        user::folder(&folder);
        for entry in std::fs::read_dir(&node.server.stage.bindir).expect("the programs") {
            let path = entry.expect("an entry").path();
            let link = folder.join(path.file_name().expect("a name"));
            std::os::unix::fs::symlink(path, link).expect("a link");
        }
    }
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    let real = node.server.stage.bindir.join(name);
    let script = script
        .replace("REAL", &real.display().to_string())
        .replace("FOLDER", &node.server.folder.display().to_string());
    user::write(&path, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    path
}

fn use_programs(node: &Node) {
    node.write_config(&format!(
        "pg_bindir='{}'",
        node.server.folder.join("programs").display()
    ));
}

/// The process that has written its id to `reached`, once it is there whole.
fn reached(node: &Node) -> Option<Pid> {
    let text = std::fs::read_to_string(node.server.folder.join("reached")).ok()?;
    let id = text.strip_suffix('\n')?;
    Some(Pid::from_raw(id.parse().expect("a process id")))
}

/// A rejoin in the background, killed without warning once a stand-in has said that it was reached; the stand-in's
/// process is returned.
fn killed_at(cluster: &Cluster, more: &[&str]) -> Pid {
    let mut child = in_background(cluster, more);
    let pid = eventually("the rejoin has come that far", || {
        assert!(child.try_wait().expect("its status").is_none(), "it has ended");
        reached(cluster.node(1))
    });
    child.kill().expect("to kill it");
    child.wait().expect("its end");
    pid
}

fn in_background(cluster: &Cluster, more: &[&str]) -> Child {
    let target = cluster.node(2).server.conninfo();
    let node = cluster.node(1);
    node.program("repmgr")
        .args(rejoin_line(&target, more))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("repmgr")
}

/// What a service manager's attempt to start the server comes to while nobody may.
fn assert_does_not_start(node: &Node) {
    let server = &node.server;
    let mut command = server.command(server.stage.bindir.join("pg_ctl"));
    let started = command
        .args(["start", "-w", "-t", "20", "-D"])
        .arg(&server.data)
        .arg("-l")
        .arg(server.log_file())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("pg_ctl");
    assert!(!started.success());
    let log = std::fs::read_to_string(server.log_file()).expect("the server's log");
    assert!(log.contains("has invalid permissions"), "{log}");
}

fn own_port(node: &Node) -> bool {
    let text = std::fs::read_to_string(node.server.data.join("postgresql.conf")).expect("postgresql.conf");
    let mut ports = text.lines().filter_map(|line| line.strip_prefix("port = "));
    ports.next_back() == Some(&node.server.port.to_string())
}

/// Options that keep the archive in the node's own folder.
fn options(node: &Node) -> [String; 3] {
    let archive = node.server.folder.join("kept");
    user::folder(&archive);
    [
        "--force-rewind".to_owned(),
        OWN_FILES.to_owned(),
        format!("--config-archive-dir={}", archive.display()),
    ]
}

fn words(options: &[String; 3]) -> [&str; 3] {
    [&options[0], &options[1], &options[2]]
}

/// Does what `$0` really does, except that a real rewind says that it is there and waits for `go` at that place.
const WAIT_BEFORE: &str = "case \"$*\" in *--dry-run*) exec REAL \"$@\";; esac\n\
     echo $$ >FOLDER/reached; while [ ! -e FOLDER/go ]; do sleep 0.1; done; exec REAL \"$@\"";
const WAIT_BEHIND: &str = "case \"$*\" in *--dry-run*) exec REAL \"$@\";; esac\n\
     REAL \"$@\" || exit 1; echo $$ >FOLDER/reached; while [ ! -e FOLDER/go ]; do sleep 0.1; done";

#[test]
fn killed_while_pg_rewind_works_it_is_finished_by_the_next_run() {
    let cluster = failed_over("rejoin-killed-rewind", 2, "", "fast");
    let first = cluster.node(1);
    come_back_and_write(first, "fast");
    put_program(first, "pg_rewind", WAIT_BEFORE);
    use_programs(first);
    let options = options(first);
    let pid = killed_at(&cluster, &words(&options));
    // pg_rewind goes on without the one who started it.
    let said = refused(&cluster, 24, &words(&options));
    assert!(said.contains("another rejoin"), "{said}");
    // Seed 80 of the random sequences: a service manager started the server in the middle of the rewind.
    assert_does_not_start(first);
    user::write(&first.server.folder.join("go"), "");
    eventually("pg_rewind has ended", || kill(pid, None).is_err().then_some(()));
    assert!(!own_port(first), "pg_rewind has brought the primary's configuration");
    let said = rejoin(&cluster, &words(&options));
    assert!(!said.contains("executing pg_rewind"), "{said}");
    assert!(own_port(first));
    assert_back(&cluster);
}

#[test]
fn killed_behind_pg_rewind_it_keeps_what_was_kept() {
    let cluster = failed_over("rejoin-killed-behind", 2, "", "fast");
    let first = cluster.node(1);
    come_back_and_write(first, "fast");
    put_program(first, "pg_rewind", WAIT_BEHIND);
    use_programs(first);
    let options = options(first);
    killed_at(&cluster, &words(&options));
    user::write(&first.server.folder.join("go"), "");
    assert!(!own_port(first), "pg_rewind has brought the primary's configuration");
    // Also a run that does not ask for a rewind any more goes on with it.
    eventually("nobody works there any more", || {
        let target = cluster.node(2).server.conninfo();
        let output = first.repmgr(&rejoin_line(&target, &[&options[2]]));
        output.status.success().then_some(())
    });
    assert!(own_port(first));
    assert_eq!(
        std::fs::read_dir(first.server.folder.join("kept"))
            .expect("the folder")
            .count(),
        0
    );
    assert_back(&cluster);
}

#[test]
fn a_rewind_that_was_killed_half_way_ends_in_a_clone_and_not_in_a_damaged_node() {
    let cluster = failed_over("rejoin-half", 2, "", "fast");
    let first = cluster.node(1);
    come_back_and_write(first, "fast");
    put_program(
        first,
        "pg_rewind",
        "case \"$*\" in *--dry-run*) exec REAL \"$@\";; esac\n\
         rm -f FOLDER/data/pg_wal/0000000100* FOLDER/data/global/1262; echo broken >FOLDER/data/postgresql.conf; kill -9 $$",
    );
    use_programs(first);
    let options = options(first);
    let said = refused(&cluster, 24, &words(&options));
    assert!(said.contains("must not be started as it is"), "{said}");
    assert!(last_event(&cluster).starts_with("1 node_rejoin f pg_rewind cannot rewind this node"));
    let mode = std::fs::metadata(&first.server.data)
        .expect("its mode")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o702, "which PostgreSQL refuses to start in");
    put_program(first, "pg_rewind", "exec REAL \"$@\"");
    let said = refused(&cluster, 24, &words(&options));
    assert!(
        said.contains("interrupted half-way") && said.contains("standby clone"),
        "{said}"
    );
    let kept = first
        .server
        .folder
        .join("kept/repmgr-config-archive-node1/postgresql.conf");
    let kept = std::fs::read_to_string(kept).expect("the configuration file that was kept");
    assert!(kept.contains(&format!("port = {}", first.server.port)));
    assert!(
        first.server.data.join("standby.signal").exists(),
        "it must not become a primary"
    );
}

#[test]
fn killed_in_crash_recovery_it_recovers_again() {
    let cluster = failed_over("rejoin-killed-recovery", 2, "", "kill");
    let first = cluster.node(1);
    come_back_and_write(first, "kill");
    put_program(
        first,
        "postgres",
        "case \"$*\" in *--single*) echo $$ >FOLDER/reached; sleep 1000;; *) exec REAL \"$@\";; esac",
    );
    use_programs(first);
    let options = options(first);
    let pid = killed_at(&cluster, &words(&options));
    let _ = kill(pid, Signal::SIGKILL);
    first.write_config("");
    let said = rejoin(&cluster, &words(&options));
    assert!(said.contains("executing pg_rewind"), "{said}");
    assert!(own_port(first));
    assert_back(&cluster);
}

#[test]
fn an_interruption_before_the_rewind_takes_everything_back() {
    let cluster = failed_over("rejoin-interrupted", 2, "", "kill");
    let first = cluster.node(1);
    come_back_and_write(first, "kill");
    put_program(
        first,
        "postgres",
        "case \"$*\" in *--single*) echo $$ >FOLDER/reached; exec sleep 1000;; *) exec REAL \"$@\";; esac",
    );
    use_programs(first);
    let options = options(first);
    let mut child = in_background(&cluster, &words(&options));
    eventually("it recovers", || reached(first));
    let before = crate::metadata(&cluster);
    kill(
        Pid::from_raw(i32::try_from(child.id()).expect("a process id")),
        Signal::SIGTERM,
    )
    .expect("a signal");
    assert_eq!(child.wait().expect("its end").code(), Some(24));
    assert_eq!(
        std::fs::read_dir(first.server.folder.join("kept"))
            .expect("the folder")
            .count(),
        0
    );
    assert_eq!(crate::metadata(&cluster), before);
    first.write_config("");
    rejoin(&cluster, &words(&options));
    assert_back(&cluster);
}

#[test]
fn a_server_that_does_not_start_is_started_by_the_next_run() {
    let cluster = failed_over("rejoin-no-start", 2, "use_replication_slots=true", "fast");
    let first = cluster.node(1);
    come_back_and_write(first, "fast");
    first.write_config("use_replication_slots=true\nservice_start_command='/bin/false'\n");
    let options = options(first);
    let said = refused(&cluster, 4, &words(&options));
    assert!(said.contains("run the same command again"), "{said}");
    assert!(
        last_event(&cluster).starts_with("1 node_rejoin f "),
        "{}",
        last_event(&cluster)
    );
    assert!(own_port(first), "the configuration is back before the start");
    // A server that does not attach in time is told apart from one that does not start.
    let sleeper = "use_replication_slots=true\nservice_start_command='/bin/true'\n\
                   node_rejoin_timeout=1\nstandby_reconnect_timeout=1\n";
    first.write_config(sleeper);
    let said = refused(&cluster, 24, &words(&options));
    assert!(said.contains("does not accept connections after 1 seconds"), "{said}");
    first.write_config("use_replication_slots=true");
    let said = rejoin(&cluster, &words(&options));
    assert!(!said.contains("executing pg_rewind"), "{said}");
    assert_back(&cluster);
}
