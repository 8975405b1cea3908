//! Configuration, data directories and programs of this host.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::cluster::{Cluster, Node};
use crate::support::{skip, user};
use crate::{clone_line, explained, records, refused, run_program, slots};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A host to clone from, in a command that never gets as far as asking it.
const NOBODY: &str = "host=127.0.0.1 port=1 user=repmgr dbname=repmgr connect_timeout=2";

const COMMANDS: &[&[&str]] = &[
    &["primary", "register"],
    &["standby", "register"],
    &["-d", NOBODY, "standby", "clone"],
    &["standby", "promote"],
    &["standby", "follow"],
    &["cluster", "show"],
    &["node", "status"],
    &["service", "pause"],
];

fn refused_everywhere(node: &Node, mention: &str) {
    for command in COMMANDS {
        let said = refused(node, 1, command);
        assert!(
            said.contains(mention),
            "{command:?}: {mention} is not mentioned\n{said}"
        );
    }
    let output = run_program(node, "repmgrd", &["--daemonize=false"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &node.daemon_log();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(mention), "repmgrd: {mention} is not mentioned\n{said}");
    assert!(!node.server.data.exists());
}

#[test]
fn a_configuration_that_is_missing_unreadable_or_wrong_stops_every_command() {
    let cluster = Cluster::new("bad-config", 1);
    let node = cluster.node(1);
    let good = std::fs::read_to_string(&node.config_file).expect("repmgr.conf");
    let name = node.config_file.to_str().expect("a path").to_owned();

    set_mode(&node.config_file, 0o000);
    refused_everywhere(node, &name);
    set_mode(&node.config_file, 0o644);
    for (wrong, mention) in [
        (good.replace("node_id=1", ""), "node_id"),
        (good.replace("node_id=1", "node_id=0"), "node_id"),
        (good.replace("node_name=", "#"), "node_name"),
        (good.replace("conninfo=", "#"), "conninfo"),
        (good.replace("data_directory=", "#"), "data_directory"),
        (good.replace("host=127.0.0.1", "hots=127.0.0.1"), "hots"),
        (format!("{good}priority=often\n"), "priority"),
        (
            format!("{good}include '/nonexistent/more.conf'\n"),
            "/nonexistent/more.conf",
        ),
        (
            format!("{good}promote_command='\n"),
            &format!("line {}", good.lines().count() + 1),
        ),
    ] {
        // What stands for the host in other flavors is as good a place to be wrong.
        let wrong = wrong
            .replace("host=localhost", "hots=localhost")
            .replace("host=::1", "hots=::1");
        if mention != "hots" {
            user::write(&node.config_file, &wrong.replace("hots=", "host="));
        } else {
            user::write(&node.config_file, &wrong);
        }
        refused_everywhere(node, mention);
    }
    std::fs::remove_file(&node.config_file).expect("repmgr.conf");
    refused_everywhere(node, &name);
}

/// Node 1 is the registered primary, node 2 is not there yet and wants a slot.
fn cluster(name: &str) -> Cluster {
    let cluster = Cluster::new(name, 2);
    cluster.node(2).write_config("use_replication_slots=true");
    cluster.primary_up("");
    cluster
}

#[test]
fn a_data_directory_that_cannot_be_used_is_left_as_it_is() {
    let cluster = cluster("bad-directory");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let source = primary.server.conninfo();
    let data = &standby.server.data;
    let clone = |code: i32, more: &[&str]| {
        let said = refused(standby, code, &clone_line(&source, more));
        assert_eq!(slots(&primary.server), "", "{said}");
        said
    };

    // A file, a link to nowhere, a folder in which nothing can be made.
    user::write(data, "not a directory");
    clone(1, &["--force"]);
    assert_eq!(std::fs::read_to_string(data).expect("the file"), "not a directory");
    std::fs::remove_file(data).expect("the file");
    std::os::unix::fs::symlink("/nonexistent/elsewhere", data).expect("a link");
    clone(1, &["--force"]);
    assert!(std::fs::symlink_metadata(data).is_ok());
    std::fs::remove_file(data).expect("the link");
    set_mode(&standby.server.folder, 0o555);
    let said = clone(1, &[]);
    set_mode(&standby.server.folder, 0o755);
    assert!(said.contains(data.to_str().expect("a path")), "{said}");
    assert!(!data.exists());

    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a directory of another user needs root");
    }
    std::fs::create_dir(data).expect("a directory");
    set_mode(data, 0o755);
    for more in [&[][..], &["--force"]] {
        let said = clone(1, more);
        assert!(said.contains("root") && said.contains("postgres"), "{said}");
    }
    set_mode(data, 0o700);
    clone(1, &["--force"]);
    assert_eq!(std::fs::metadata(data).expect("it").permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(data).expect("it").count(), 0);
}

#[test]
fn a_data_directory_of_another_user_is_not_written_to_by_commands_of_a_standby() {
    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a directory of another user needs root");
    }
    let cluster = Cluster::up("bad-owner", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    let foreign = cluster.folder.join("foreign");
    std::fs::create_dir(&foreign).expect("a directory");
    std::fs::write(foreign.join("PG_VERSION"), "15\n").expect("a file");
    second.write_config(&format!("data_directory='{}'", foreign.display()));
    let source = first.server.conninfo();
    let before = records(&first.server);
    refused(
        second,
        1,
        &["-d", &source, "standby", "clone", "--replication-conf-only"],
    );
    refused(second, 23, &["standby", "follow"]);
    assert_eq!(std::fs::read_dir(&foreign).expect("it").count(), 1);
    assert_eq!(records(&first.server), before);
    cluster.wait_streaming(1, 2);
}

/// A program that says it is of another major version.
fn fake_program(folder: &Path, name: &str, major: u32) {
    let path = folder.join(name);
    user::write(&path, &format!("#!/bin/sh\necho \"{name} (PostgreSQL) {major}.1\"\n"));
    set_mode(&path, 0o755);
}

#[test]
fn another_major_version_is_refused() {
    let cluster = cluster("bad-major");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let source = primary.server.conninfo();
    let major = primary.server.stage.major;
    let bindir = cluster.folder.join("bin");
    user::folder(&bindir);
    standby.write_config(&format!("use_replication_slots=true\npg_bindir='{}'", bindir.display()));
    for (basebackup, server) in [(major - 1, major - 1), (major, major - 1), (major + 1, major + 1)] {
        fake_program(&bindir, "pg_basebackup", basebackup);
        fake_program(&bindir, "postgres", server);
        let said = refused(standby, 1, &clone_line(&source, &[]));
        assert!(said.contains(&major.to_string()), "{said}");
        assert!(!standby.server.data.exists());
        assert_eq!(slots(&primary.server), "");
    }
    // A program that is no program.
    user::write(&bindir.join("pg_basebackup"), "#!/bin/sh\nexit 3\n");
    refused(standby, 1, &clone_line(&source, &[]));

    // A data directory that another major version made.
    standby.write_config("use_replication_slots=true");
    user::folder(&standby.server.data);
    user::write(&standby.server.data.join("PG_VERSION"), &format!("{}\n", major - 1));
    let conf_only = ["-d", &source, "standby", "clone", "--replication-conf-only"];
    primary.server.query(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
         VALUES (2, 1, 'node2', 'standby', 'host=x', 'repmgr', '/x')",
    );
    let said = refused(standby, 1, &conf_only);
    assert!(said.contains(&format!("{}", major - 1)), "{said}");
    assert!(!standby.server.data.join("standby.signal").exists());
    assert!(!standby.server.data.join("postgresql.auto.conf").exists());
    assert_eq!(slots(&primary.server), "");
}

#[test]
fn a_control_file_that_cannot_be_read_is_said_so() {
    let cluster = Cluster::new("bad-control", 1);
    cluster.primary_up("");
    let node = cluster.node(1);
    node.server.stop("fast");
    let control = node.server.data.join("global/pg_control");
    let good = std::fs::read(&control).expect("pg_control");
    let mut other_major = good.clone();
    other_major[8] = other_major[8].wrapping_add(7);
    for bad in [other_major, good[..100].to_vec(), Vec::new()] {
        std::fs::write(&control, &bad).expect("pg_control");
        let output = run_program(node, "repmgr", &["node", "status", "--is-shutdown-cleanly"]);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(!shown.contains("SHUTDOWN"), "{shown}");
        if output.status.code() != Some(0) {
            explained(&String::from_utf8_lossy(&output.stderr));
        }
    }
}
