//! `node service` and `node control`.

use crate::script::{Script, compare};
use crate::support::eventually;

#[test]
fn node_service() {
    compare("conformance-node-service", 2, script);
}

fn script(script: &mut Script) {
    script.cluster.primary_up("");
    script.standby_of(2, 1, 1);
    for id in [1, 2] {
        script.cluster.node(id).write_config(&all_commands());
    }
    script.shows(
        1,
        &[
            "node service --list-actions",
            "node service --list-actions --action=stop",
            "node service --terse -LERROR --list-actions --action=stop",
            "NODE Service --list-actions --action=Promote",
            "node service --list-actions --action=nothing",
            "node service --action=nothing",
            "node service",
            "node service --checkpoint",
            "node service --dry-run",
            "node service --action=restart --dry-run",
            "node service --action=stop --checkpoint --dry-run",
            "node service --action=stop --checkpoint --dry-run -S postgres",
            "node service --action=stop --checkpoint --superuser=nobody",
            "node service --action=reload",
            "node service --action=promote",
        ],
    );
    controls(script);
    for id in [1, 2] {
        // The original reads one line of a command's output; pg_ctl then ends by SIGPIPE between stop and start.
        let server = &script.cluster.node(id).server;
        let (data, log) = (server.data.display(), server.log_file());
        script.cluster.node(id).write_config(&format!(
            "service_restart_command='{} -w -D {data} -l {} restart >/dev/null'",
            server.stage.bindir.join("pg_ctl").display(),
            log.display()
        ));
    }
    script.runs(1, &["node service --action=restart --checkpoint"]);
    script.cluster.wait_streaming(1, 2);
    script.runs(1, &["node service --action=stop --checkpoint --superuser=postgres"]);
    eventually("the server is down", || {
        (!script.cluster.node(1).server.is_running()).then_some(())
    });
    script.shows(
        1,
        &[
            "node status --is-shutdown-cleanly",
            "node service --action=stop",
            "node service --action=stop --checkpoint",
            "node service --action=start --checkpoint",
        ],
    );
    script.cluster.wait_streaming(1, 2);
    script.runs(2, &["node service --action=promote"]);
    script.cluster.wait_primary(2);
    script.nodes(2, "promotion without a record");
}

/// The default commands differ in blanks and quotes; these come out as they are.
fn all_commands() -> String {
    ["start", "stop", "restart", "promote"]
        .map(|action| format!("service_{action}_command='echo {action} | cat >/dev/null; true'\n"))
        .concat()
        + "service_reload_command='/bin/false'\n"
}

fn controls(script: &mut Script) {
    script.runs(
        1,
        &[
            "node control --enable-wal-receiver",
            "node control --disable-wal-receiver",
        ],
    );
    script.runs(
        2,
        &[
            "node control",
            "node control --disable-wal-receiver --enable-wal-receiver",
        ],
    );
    script
        .differs("control-without-preload", "exit 0")
        .run(2, &["node", "control", "--disable-wal-receiver"]);
    script
        .cluster
        .node(2)
        .repmgr(&["node", "control", "--enable-wal-receiver"]);
    script.cluster.wait_streaming(1, 2);
}
