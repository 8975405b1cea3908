//! The command line of `repmgrd`: what needs no server, and what one that is in order ends with at once.

use crate::script::{Script, compare};
use crate::support::eventually;

#[test]
fn the_command_line_of_the_daemon() {
    compare("conformance-daemon-arguments", 1, daemon_script);
}

const LINES: &[&str] = &[
    "--nosuch",
    "--daemonize=maybe",
    "-d=x",
    "-L NOSUCH",
    "--log-level=NOSUCH --show-pid-file",
    "-p",
    "-f",
    "--pid-file",
    "--monitoring-history=yes",
    "-x",
    "-s",
    "-sm",
    "-sd",
    "-dsv",
    "--show-pid-file",
    "--show-pid-file --no-pid-file",
    "--no-pid-file -s -p /tmp/x.pid",
    "-s -p /tmp/x.pid",
    "-s --pid-file=/tmp/y.pid",
    "--show-pid",
    "--show",
    "-s --daemonize",
    "-s --daemonize=true",
    "-s --daemonize=off",
    "-s --daemonize=NO",
    "-s --daemonize no",
    "-s --daemonize-short",
    "-s --daemonize-short=false",
    "-s --monitoring-history",
    "-s -v -v --verbose",
    "-s --log-level=debug",
    "-s -LINFO",
    "-s start",
    "-s node1 -- --nosuch",
    "--verb -s",
    "--d -s",
    "--no -s",
];

fn daemon_script(script: &mut Script) {
    for line in LINES {
        script.daemon(1, &line.split_whitespace().collect::<Vec<_>>());
    }
    for settings in ["", "repmgrd_pid_file='/tmp/configured.pid'\n"] {
        // The last of two counts.
        let settings = format!("repmgrd_pid_file=''\n{settings}");
        script.cluster.node(1).write_config(&settings);
        for line in ["-s", "-s -p /tmp/z.pid", "-s --no-pid-file"] {
            script.daemon(1, &line.split_whitespace().collect::<Vec<_>>());
        }
    }
    starts(script);
}

/// Starts that fail, each for another reason.
fn starts(script: &mut Script) {
    script.cluster.node(1).write_config("");
    let foreground = ["--daemonize=false", "--no-pid-file"];
    script.daemon(1, &foreground);
    let first = script.cluster.node(1);
    first.server.initialise("shared_preload_libraries = 'repmgr'");
    first.server.start();
    script.daemon(1, &foreground);
    script.cluster.node(1).create_role();
    script.daemon(1, &foreground);
    script.sql(1, "CREATE EXTENSION repmgr");
    script.daemon(1, &foreground);
    script.runs(1, &["primary register -F"]);
    script.query(1, "registered", "SELECT count(*) FROM repmgr.nodes");
    script.sql(1, "UPDATE repmgr.nodes SET node_id = 7");
    script.daemon(1, &foreground);
    script.sql(1, "UPDATE repmgr.nodes SET node_id = 1");
    for settings in ["failover=automatic\n", "failover=automatic\npromote_command=true\n"] {
        script.cluster.node(1).write_config(settings);
        script.daemon(1, &foreground);
    }
    script.sql(1, "UPDATE repmgr.nodes SET active = false");
    script.cluster.node(1).write_config(
        "failover=automatic\npromote_command=true\nfollow_command=true\nrepmgrd_exit_on_inactive_node=true\n",
    );
    script.daemon(1, &foreground);
    script.query(1, "the record", "SELECT active FROM repmgr.nodes");
    script.cluster.node(1).write_config("");
    running(script);
}

/// One that runs, a second one beside it, and what is left of both.
fn running(script: &mut Script) {
    script.cluster.node_mut(1).start_daemon();
    script.query(1, "the record", "SELECT active FROM repmgr.nodes");
    let pid_file = script.cluster.node(1).pid_file();
    script.fact("the PID file", &pid_file.exists().to_string());
    script.daemon(1, &["--daemonize=false"]);
    script.fact("the PID file of the first", &pid_file.exists().to_string());
    script.query(1, "the first", "SELECT repmgr.repmgrd_is_running()");
    let started = "SELECT count(*) FROM repmgr.events WHERE event = 'repmgrd_start'";
    eventually("the start is an event", || {
        (script.cluster.node(1).server.query(started) == "1").then_some(())
    });
    let code = script.cluster.node_mut(1).stop_daemon();
    script.fact("SIGTERM", &format!("{code:?}, PID file: {}", pid_file.exists()));
    script.query(
        1,
        "events",
        "SELECT node_id, event, successful FROM repmgr.events WHERE event LIKE 'repmgrd%' ORDER BY event_timestamp",
    );
    script.query(
        1,
        "the daemon",
        "SELECT repmgr.repmgrd_is_running(), repmgr.get_repmgrd_pid(), repmgr.get_repmgrd_pidfile() IS NULL",
    );
    // A file of a process that is gone, and one without sense.
    for text in ["999999\n", "nonsense\n", ""] {
        crate::support::user::write(&pid_file, text);
        script.cluster.node(1).write_config("degraded_monitoring_timeout=1\n");
        script.fact("a PID file", text);
        script.sql(1, "UPDATE repmgr.nodes SET node_id = 7");
        script.daemon(1, &["--daemonize=false"]);
        script.sql(1, "UPDATE repmgr.nodes SET node_id = 1");
    }
}
