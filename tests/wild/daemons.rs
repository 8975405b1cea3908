//! How entry points, init scripts and units start the daemon.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::stage::Stage;
use crate::{shell, with_both};

/// Which PID file a daemon writes.
#[derive(Clone, Copy)]
enum PidFile {
    /// That of the configuration.
    Configured,
    /// That of the command line.
    Given,
    /// None.
    No,
}
use PidFile::{Configured, Given, No};

/// The line, its PID file, whether it writes the monitoring history.
const LINES: &[(&str, PidFile, bool)] = &[
    (
        "repmgrd -f /etc/repmgr.conf -p $PIDFILE  -m -d -v >> log 2>&1;",
        Given,
        true,
    ),
    (
        "repmgrd -f /etc/repmgr.conf --monitoring-history --daemonize --pid-file=$PIDFILE | tee -a log 2>&1",
        Given,
        true,
    ),
    (
        "repmgrd -f /etc/repmgr.conf --verbose --monitoring-history --daemonize=false > log 2>&1 &",
        Configured,
        true,
    ),
    ("repmgrd --daemonize=false -f /etc/repmgr.conf &", Configured, false),
    ("repmgrd -f /etc/repmgr.conf --daemonize=true", Configured, false),
    ("repmgrd -f /etc/repmgr.conf --daemonize=true --no-pid-file", No, false),
    ("repmgrd -f /etc/repmgr.conf --pid-file $PIDFILE", Given, false),
    ("repmgrd -f /etc/repmgr.conf -d", Configured, false),
    ("repmgrd -f /etc/repmgr.conf start", Configured, false),
    ("repmgrd --verbose", Configured, false),
    (
        "env -u PGPASSWORD PGPASSFILE=${PGDATA}/.pgpass repmgrd -f /etc/repmgr.conf -v",
        Configured,
        false,
    ),
    (
        "rm -rf \"$PIDFILE\"; repmgrd -p \"$(repmgrd -f /etc/repmgr.conf -p $PIDFILE --show-pid-file)\" -L INFO",
        Given,
        false,
    ),
];

fn starts(stage: &'static Stage, programs: &Path) {
    let cluster = Cluster::with_stage("wild-daemons", 2, stage, programs);
    for node in &cluster.nodes {
        node.write_config("monitor_interval_secs=1\n");
    }
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    cluster.standby_up(2);
    let (primary, node) = (cluster.node(1), cluster.node(2));
    for (line, pid_file, history) in LINES {
        let said = format!("{}: {line}", programs.display());
        primary.server.query("TRUNCATE repmgr.monitoring_history");
        let mut command = shell(&cluster, node, 1, line);
        let status = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("sh");
        assert!(status.success(), "{said} ended with {status}\n{}", node.daemon_log());
        let pid = eventually(&format!("a daemon, {said}\n{}", node.daemon_log()), || {
            let pid: i32 = node.server.query("SELECT repmgr.get_repmgrd_pid()").parse().ok()?;
            (pid > 0 && node.server.query("SELECT repmgr.repmgrd_is_running()") == "t").then_some(pid)
        });
        let (configured, given) = (node.pid_file(), node.server.folder.join("other.pid"));
        let read = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
        let files = [read(&configured).ok(), read(&given).ok()];
        let pid_text = Some(pid.to_string());
        let expected = match pid_file {
            Configured => [pid_text, None],
            Given => [None, pid_text],
            No => [None, None],
        };
        assert_eq!(files, expected, "{said}");
        if *history {
            // Something must have been replayed since the start of the server for the original to write a row.
            primary.server.query("SELECT pg_switch_wal()");
            primary.server.query("CREATE TABLE IF NOT EXISTS written ()");
            eventually(&format!("a row of the monitoring history, {said}"), || {
                let rows = primary
                    .server
                    .query("SELECT count(*) > 0 FROM repmgr.monitoring_history WHERE standby_node_id = 2");
                (rows == "t").then_some(())
            });
        }
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("the daemon");
        eventually(&format!("the daemon has ended, {said}"), || {
            let is_gone = node.server.query("SELECT repmgr.get_repmgrd_pid()") != pid.to_string();
            (is_gone && !configured.exists() && !given.exists()).then_some(())
        });
    }
}

#[test]
fn starts_of_the_daemon() {
    with_both(starts);
}
