//! `daemon start|stop` with commands that succeed, fail and do nothing.

use crate::script::{Script, compare};
use crate::support::cluster::Node;

#[test]
fn daemon_service() {
    compare("conformance-daemon-service", 1, daemon_script);
}

/// Lines of repmgr.conf that start and stop the node's daemon.
fn commands(node: &Node) -> String {
    let (repmgrd, config) = (node.programs.join("repmgrd"), node.config_file.display());
    format!(
        "repmgrd_service_start_command='{} -f {config}'\n\
         repmgrd_service_stop_command='kill `cat {}`'\n",
        repmgrd.display(),
        node.pid_file().display()
    )
}

fn daemon_script(script: &mut Script) {
    script.runs(1, &["daemon start", "daemon stop", "daemon start --dry-run"]);
    let both = commands(script.cluster.node(1));
    script.cluster.node(1).write_config(&both);
    script.runs(1, &["daemon start", "daemon stop --dry-run"]);
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    script.cluster.node(1).write_config("");
    script.runs(1, &["daemon start", "daemon stop"]);
    script.cluster.node(1).write_config(&both);
    script.shows(1, &["daemon start --dry-run", "daemon stop --dry-run", "daemon stop"]);

    script.shows(1, &["daemon start", "daemon start", "daemon stop --dry-run"]);
    running(script);
    script.shows(1, &["daemon stop"]);
    running(script);
    script.shows(1, &["daemon start --wait=30", "daemon stop --wait=30"]);
    running(script);
    script.shows(1, &["daemon start -W", "daemon start --wait --no-wait"]);

    script
        .cluster
        .node(1)
        .write_config("repmgrd_service_start_command='/bin/false'\nrepmgrd_service_stop_command='/bin/false'\n");
    crate::support::eventually("the daemon is there", || {
        (script
            .cluster
            .node(1)
            .server
            .query("SELECT repmgr.repmgrd_is_running()")
            == "t")
            .then_some(())
    });
    script.runs(1, &["daemon start", "daemon stop", "daemon stop -W"]);
    script
        .cluster
        .node(1)
        .write_config("repmgrd_service_start_command='/bin/true'\nrepmgrd_service_stop_command='/bin/true'\n");
    script.runs(1, &["daemon stop --wait=1", "daemon stop --wait=0", "daemon stop -W"]);
    script.cluster.node(1).write_config(&both);
    script.shows(1, &["daemon stop"]);
    script
        .cluster
        .node(1)
        .write_config("repmgrd_service_start_command='/bin/true'\nrepmgrd_service_stop_command='/bin/true'\n");
    script.runs(
        1,
        &[
            "daemon start --wait=1",
            "daemon start --wait=0",
            "daemon start --no-wait",
            "daemon stop",
        ],
    );
    script.cluster.node(1).server.stop("fast");
    script.runs(
        1,
        &["daemon start", "daemon stop", "daemon stop -W", "daemon stop --dry-run"],
    );
}

fn running(script: &mut Script) {
    script.query(1, "the daemon", "SELECT repmgr.repmgrd_is_running()");
}
