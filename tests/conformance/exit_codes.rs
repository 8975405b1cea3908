//! Each exit code that a command can be made to end with, brought about in both programs.
//!
//! Elsewhere: 12 in `many_hosts`, 18 in `switchover`. Only beside an original of 5.4 or later: 28. Nowhere: 10, 11, 16, 17
//! and 21, which this program never gives, and the original only where its memory or its buffers end.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::script::{Script, compare, compare_on_hosts};
use crate::support::{eventually, stage, user};

#[test]
#[ignore = "make conformance"]
fn errors_of_every_exit_code() {
    compare("conformance-exit-codes", 3, exit_codes);
}

/// A program that says what nobody understands.
const NONSENSE: &str = "#!/bin/sh\necho nonsense\n";

/// Runs a command that must end with this code, in both programs.
fn ends(script: &mut Script, id: u32, code: i32, line: &str) {
    let mut program = script.cluster.node(id).program("repmgr");
    program_ends(script, id, code, program.args(line.split_whitespace()), line);
}

/// The same with any program.
fn program_ends(script: &mut Script, id: u32, code: i32, program: &mut Command, line: &str) {
    let output = program.stdin(Stdio::null()).output().expect(line);
    let found = output.status.code();
    script.must(
        found == Some(code),
        &format!(
            "{} {line} on node{id} ends with {found:?} instead of {code}: {}",
            script.cluster.node(id).programs.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
    );
    script.fact(&format!("node{id}: {line}"), &format!("{found:?}"));
}

fn exit_codes(script: &mut Script) {
    let settings = "pg_basebackup_options='--no-sync'\n";
    for node in &script.cluster.nodes {
        node.write_config(settings);
    }
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    for id in [2, 3] {
        script.standby_of(id, 1, 1);
    }
    let port = script.cluster.node(1).server.port;
    let source = format!("-h 127.0.0.1 -p {port} -U repmgr -d repmgr");

    ends(script, 1, 0, "cluster show");
    ends(script, 1, 1, "primary register");
    ends(script, 1, 1, "cluster nosuch");
    ends(script, 1, 8, "standby promote");

    // The extension is there, and its tables are not.
    script.sql(1, "ALTER TABLE repmgr.nodes RENAME TO hidden");
    for line in [
        "cluster show",
        "primary register -F",
        "node status",
        "service status",
        "node check",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        script.run(1, &arguments);
    }
    script.sql(1, "ALTER TABLE repmgr.hidden RENAME TO nodes");
    the_database_refuses(script);

    script
        .cluster
        .node(1)
        .write_config(&format!("{settings}service_stop_command='/bin/false'\n"));
    ends(script, 1, 5, "node service --action=stop");
    script.cluster.node(1).write_config(settings);

    the_server_does_not_start(script, &source);
    // A backup that cannot be made.
    let data = script.cluster.node(3).server.data.clone();
    script.cluster.node(3).server.stop("fast");
    std::fs::remove_dir_all(&data).expect("the data directory can be removed");
    script
        .cluster
        .node(3)
        .write_config("pg_basebackup_options='--nosuch'\n");
    ends(script, 3, 14, &format!("{source} standby clone"));
    remove_if_there(&data);
    script
        .cluster
        .node(3)
        .write_config("barman_host='nosuch.invalid'\nbarman_server='s'\n");
    ends(script, 3, 19, &format!("{source} standby clone --dry-run"));
    barman_says_what_nobody_understands(script, &source);
    if original_knows_backup_api() {
        let settings = "pg_backupapi_host='127.0.0.1'\npg_backupapi_node_name='s'\npg_backupapi_backup_id='b'\n\
                        pg_backupapi_remote_ssh_command='ssh nosuch.invalid'\n";
        script.cluster.node(3).write_config(settings);
        ends(script, 3, 28, &format!("{source} standby clone"));
        remove_if_there(&data);
    }
    script.cluster.node(3).write_config(settings);
    ends(script, 3, 6, "-h 127.0.0.1 -p 1 standby clone");
    script.run(
        3,
        &format!("{source} standby clone --copy-external-config-files=nowhere")
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    ends(script, 3, 0, &format!("{source} standby clone -c"));
    script.cluster.node(3).server.configure("");
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(1, 3);

    script.sql(2, "SELECT pg_wal_replay_pause()");
    script.cluster.node(2).write_config(&format!("{settings}priority=33\n"));
    ends(script, 2, 20, "standby register -F --wait-sync=1");
    script.sql(2, "SELECT pg_wal_replay_resume()");
    script.wait_replayed(1, 2);

    ends(script, 1, 24, "node rejoin -d host=127.0.0.1");
    ends(script, 2, 23, "standby follow --upstream-node-id=7");
    script.cluster.node(3).server.stop("fast");
    ends(script, 1, 25, "cluster show");
    ends(script, 1, 25, "node check");
    ends(script, 1, 2, "node check --downstream");
    ends(script, 1, 26, "service pause");
    ends(script, 1, 0, "node check --role");
    script
        .cluster
        .node(1)
        .write_config("repmgrd_service_start_command='/bin/false'\nrepmgrd_service_stop_command='/bin/true'\n");
    ends(script, 1, 27, "daemon start");
    script.cluster.node(1).write_config(settings);
    the_daemon(script);
}

/// A query of the metadata that fails, or finds nothing where something must be.
fn the_database_refuses(script: &mut Script) {
    for (table, line) in [("events", "cluster event"), ("monitoring_history", "cluster cleanup")] {
        script.sql(1, &format!("ALTER TABLE repmgr.{table} RENAME TO hidden"));
        ends(script, 1, 7, line);
        script.sql(1, &format!("ALTER TABLE repmgr.hidden RENAME TO {table}"));
    }
    script.sql(1, "UPDATE repmgr.nodes SET type = 'standby' WHERE node_id = 1");
    ends(script, 1, 7, "cluster cleanup");
    script.sql(1, "UPDATE repmgr.nodes SET type = 'primary' WHERE node_id = 1");

    script.sql(1, "CREATE TABLE kept AS SELECT * FROM repmgr.nodes WHERE node_id = 2");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 2");
    script.wait_replayed(1, 2);
    ends(script, 2, 7, "standby promote");
    ends(script, 2, 7, "standby switchover --dry-run");
    script.sql(1, "INSERT INTO repmgr.nodes SELECT * FROM kept");
    script.wait_replayed(1, 2);

    script.sql(
        1,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not now''; END'",
    );
    script.sql(
        1,
        "CREATE TRIGGER refused BEFORE UPDATE OR DELETE ON repmgr.nodes FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    ends(script, 1, 7, "primary register -F");
    script.sql(1, "DROP FUNCTION refuse() CASCADE");
    script.nodes(1, "what the database refused");
}

/// The command that starts or restarts the server fails.
fn the_server_does_not_start(script: &mut Script, source: &str) {
    script
        .cluster
        .node(2)
        .write_config("standby_follow_restart=true\nservice_restart_command='/bin/false'\n");
    ends(script, 2, 4, "standby follow");
    script.cluster.node(2).write_config("");
    script.cluster.wait_streaming(1, 2);
    script.cluster.node(3).server.stop("fast");
    script
        .cluster
        .node(3)
        .write_config("service_start_command='/bin/false'\n");
    ends(script, 3, 4, &format!("{source} node rejoin"));
    script.cluster.node(3).write_config("");
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(1, 3);
}

fn barman_says_what_nobody_understands(script: &mut Script, source: &str) {
    let folder = script.cluster.node(3).server.folder.join("nonsense");
    user::folder(&folder);
    // Barman on another host, and on this one.
    for name in ["ssh", "barman"] {
        user::write_program(&folder.join(name), NONSENSE);
    }
    script
        .cluster
        .node(3)
        .write_config("barman_host='localhost'\nbarman_server='s'\n");
    let mut program = script.cluster.node(3).program("repmgr");
    program
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()))
        .args(source.split_whitespace())
        .args(["standby", "clone"]);
    program_ends(script, 3, 15, &mut program, "a Barman that nobody understands");
    remove_if_there(&script.cluster.node(3).server.data);
}

fn remove_if_there(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("the folder can be removed");
    }
}

/// From 5.4 on; that of Debian 12 does not.
fn original_knows_backup_api() -> bool {
    let original = stage::original().expect("the original");
    let file = format!("usr/share/postgresql/{}/extension/repmgr.control", original.major);
    let control = std::fs::read_to_string(original.root.join(file)).expect("the original's control file");
    !control.contains("'5.3'")
}

#[test]
#[ignore = "make conformance"]
fn errors_of_exit_codes_that_need_hosts() {
    compare_on_hosts("conformance-exit-codes-hosts", 2, on_hosts);
}

fn on_hosts(script: &mut Script) {
    let settings = "ssh_options='-q -o ConnectTimeout=5'\nstandby_reconnect_timeout=5\nnode_rejoin_timeout=5\n";
    script.hosts().bring_up("shared_preload_libraries = 'repmgr'", settings);
    script.wait_replayed(1, 2);

    // Another node's program that says something else.
    let folder = script.cluster.folder.join("nonsense");
    user::folder(&folder);
    user::write_program(&folder.join("repmgr"), NONSENSE);
    script
        .cluster
        .node(1)
        .write_config(&format!("{settings}repmgr_bindir='{}'\n", folder.display()));
    ends(script, 1, 15, "cluster matrix");
    ends(script, 1, 15, "cluster crosscheck");

    // The former primary does not come back.
    script
        .cluster
        .node(1)
        .write_config(&format!("{settings}service_start_command='/bin/false'\n"));
    ends(script, 2, 22, "standby switchover");
    script.nodes(2, "a former primary that did not come back");
    script.query(
        2,
        "events of a former primary that did not come back",
        "SELECT DISTINCT node_id, event, successful FROM repmgr.events WHERE event ~ 'switchover|promote' ORDER BY 1, 2",
    );
}

fn the_daemon(script: &mut Script) {
    script.cluster.node(1).write_config("");
    a_daemon_that_cannot_go_into_the_background(script);
    let pid_file = script.cluster.node(1).pid_file();
    // A process of the same user that lives.
    let pid = script.cluster.node(1).server.pid().expect("a running server");
    user::write(&pid_file, &format!("{pid}\n"));
    script.daemon(1, &["--daemonize=false"]);
    std::fs::remove_file(&pid_file).expect("the PID file");
    script
        .cluster
        .node(2)
        .write_config("failover=manual\nmonitor_interval_secs=1\nreconnect_attempts=1\nreconnect_interval=1\ndegraded_monitoring_timeout=1\n");
    script.cluster.node_mut(2).start_daemon();
    eventually("the daemon watches", || {
        let started = "SELECT count(*) FROM repmgr.events WHERE node_id = 2 AND event = 'repmgrd_start'";
        (script.cluster.node(1).server.query(started) == "1").then_some(())
    });
    script.cluster.node(1).server.stop("fast");
    let code = script.cluster.node_mut(2).wait_daemon();
    script.fact("a daemon that was degraded for too long", &format!("{code:?}"));
    script.daemon(1, &["--daemonize=false"]);
}

fn a_daemon_that_cannot_go_into_the_background(script: &mut Script) {
    let node = script.cluster.node(1);
    let mut program = node.server.command("prlimit");
    program
        .args(["--nproc=1", "--"])
        .arg(node.programs.join("repmgrd"))
        .arg("-f")
        .arg(&node.config_file);
    program_ends(script, 1, 13, &mut program, "repmgrd that may start no process");
}
