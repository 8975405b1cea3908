//! Each exit code that a command can be made to end with on one host, brought about in both programs.

use crate::script::{Script, compare};
use crate::support::user;

#[test]
#[ignore = "make conformance"]
fn errors_of_every_exit_code() {
    compare("conformance-exit-codes", 3, exit_codes);
}

/// Runs a command that must end with this code, in both programs.
fn ends(script: &mut Script, id: u32, code: i32, line: &str) {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let output = script.cluster.node(id).repmgr(&arguments);
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

    script
        .cluster
        .node(1)
        .write_config(&format!("{settings}service_stop_command='/bin/false'\n"));
    ends(script, 1, 5, "node service --action=stop");
    script.cluster.node(1).write_config(settings);

    // A backup that cannot be made.
    let data = script.cluster.node(3).server.data.clone();
    script.cluster.node(3).server.stop("fast");
    std::fs::remove_dir_all(&data).expect("the data directory can be removed");
    script
        .cluster
        .node(3)
        .write_config("pg_basebackup_options='--nosuch'\n");
    ends(script, 3, 14, &format!("{source} standby clone"));
    if data.exists() {
        std::fs::remove_dir_all(&data).expect("the data directory can be removed");
    }
    script
        .cluster
        .node(3)
        .write_config("barman_host='nosuch.invalid'\nbarman_server='s'\n");
    ends(script, 3, 19, &format!("{source} standby clone --dry-run"));
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

fn the_daemon(script: &mut Script) {
    script.cluster.node(1).write_config("");
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
    crate::support::eventually("the daemon watches", || {
        let started = "SELECT count(*) FROM repmgr.events WHERE node_id = 2 AND event = 'repmgrd_start'";
        (script.cluster.node(1).server.query(started) == "1").then_some(())
    });
    script.cluster.node(1).server.stop("fast");
    let code = script.cluster.node_mut(2).wait_daemon();
    script.fact("a daemon that was degraded for too long", &format!("{code:?}"));
    script.daemon(1, &["--daemonize=false"]);
}
