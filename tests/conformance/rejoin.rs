//! `node rejoin`: refused, without a rewind, with one. Neither program asks another host over SSH for it; it is called over
//! SSH by a switchover (`switchover.rs`).

use crate::script::{Script, compare};
use crate::support::user;

#[test]
fn rejoin() {
    compare("conformance-rejoin", 3, script);
}

fn script(script: &mut Script) {
    for id in [1, 2, 3] {
        script.cluster.node(id).write_config("use_replication_slots=true\n");
    }
    script.cluster.primary_up("");
    for id in [2, 3] {
        script.standby_of(id, 1, 1);
    }
    for id in [2, 3] {
        script.wait_replayed(1, id);
    }
    refused(script);
    without_rewind(script);
    with_rewind(script);
    standbys(script);
}

/// `node rejoin` of node 1 to node 2, with more words.
fn rejoin_one(script: &mut Script, more: &[&str]) {
    let target = script.cluster.node(2).server.conninfo();
    let archive = script.cluster.node(1).server.folder.join("kept");
    user::folder(&archive);
    let archive = format!("--config-archive-dir={}", archive.display());
    script.run(1, &[&["-d", &target, "node", "rejoin", &archive], more].concat());
}

fn refused(script: &mut Script) {
    script.runs(
        1,
        &["node rejoin", "node rejoin --force-rewind", "node rejoin --dry-run"],
    );
    rejoin_one(script, &[]);
    rejoin_one(script, &["--dry-run"]);
    rejoin_one(script, &["--force-rewind"]);
    script.cluster.node(1).server.stop("fast");
    // The metadata still name this node as the primary.
    rejoin_one(script, &[]);
    rejoin_one(script, &["--dry-run"]);
    let own = script.cluster.node(1).server.conninfo();
    script.run(1, &["-d", &own, "node", "rejoin"]);
    script.run(
        1,
        &[
            "-h",
            "127.0.0.1",
            "-p",
            "1",
            "-U",
            "repmgr",
            "-d",
            "repmgr",
            "node",
            "rejoin",
        ],
    );
    script.nodes(2, "what was refused");
    script.runs(2, &["standby promote"]);
    script.runs(3, &["standby follow"]);
    script.sql(2, "CHECKPOINT");
}

fn without_rewind(script: &mut Script) {
    rejoin_one(script, &["--dry-run"]);
    rejoin_one(script, &["--dry-run", "-W"]);
    script.nodes(2, "a dry run");
    script.slots(2, "a dry run");
    script.cluster.node(1).server.start();
    script.sql(
        1,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
    );
    script.cluster.node(1).server.stop("fast");
    // It ran as a primary again, so its last checkpoint is beyond the fork.
    rejoin_one(script, &[]);
    rejoin_one(script, &["--no-wait"]);
    script.differs("rejoin-rehearsal", "exit 24");
    rejoin_one(
        script,
        &[
            "--force-rewind=/nowhere/pg_rewind",
            "--dry-run",
            "--config-files=postgresql.conf",
        ],
    );
    script.metadata(2, "a node whose history has parted");
}

fn with_rewind(script: &mut Script) {
    let files = "--config-files=postgresql.conf,pg_hba.conf,missing.conf";
    rejoin_one(script, &["--force-rewind", files, "--dry-run"]);
    script.sql(2, "ALTER SYSTEM SET full_page_writes = off");
    script.sql(2, "SELECT pg_reload_conf()");
    crate::support::eventually("the setting is there", || {
        (script.cluster.node(2).server.query("SHOW full_page_writes") == "off").then_some(())
    });
    rejoin_one(script, &["--force-rewind", files]);
    script.sql(2, "ALTER SYSTEM RESET full_page_writes");
    script.sql(2, "SELECT pg_reload_conf()");
    crate::support::eventually("the setting is back", || {
        (script.cluster.node(2).server.query("SHOW full_page_writes") == "on").then_some(())
    });
    rejoin_one(script, &["--force-rewind", files]);
    script.cluster.wait_streaming(2, 1);
    script.metadata(2, "a rewind");
    script.slots(2, "a rewind");
    script.slots(1, "a rewind");
    script.replication_configuration(1);
    script.fact(
        "what was kept is gone",
        &std::fs::read_dir(script.cluster.node(1).server.folder.join("kept"))
            .expect("the folder")
            .count()
            .to_string(),
    );
}

fn standbys(script: &mut Script) {
    // A standby that was stopped, with the slot of the primary as when it was the primary.
    script.sql(1, "SELECT pg_create_physical_replication_slot('repmgr_slot_2')");
    script.sql(1, "SELECT pg_create_physical_replication_slot('of_somebody')");
    script.cluster.node(1).server.stop("fast");
    rejoin_one(script, &[]);
    script.cluster.wait_streaming(2, 1);
    script.slots(1, "a rejoin without a rewind");
    script.metadata(2, "a rejoin without a rewind");
    script.cluster.node(1).server.stop("fast");
    let target = script.cluster.node(3).server.conninfo();
    // As a switchover calls it.
    script.run(1, &["--no-wait", "-d", &target, "node", "rejoin"]);
    script.cluster.wait_streaming(2, 1);
    script.metadata(2, "a rejoin that was not waited for");
    script.cluster.node(1).server.stop("fast");
    script
        .cluster
        .node(1)
        .write_config("use_replication_slots=true\nservice_start_command='/bin/false'\n");
    rejoin_one(script, &[]);
    script
        .cluster
        .node(1)
        .write_config("use_replication_slots=true\nservice_start_command='/bin/true'\nnode_rejoin_timeout=2\nstandby_reconnect_timeout=2\n");
    rejoin_one(script, &[]);
    rejoin_one(script, &["--no-wait"]);
    script.cluster.node(1).write_config("");
    script.metadata(2, "a server that does not start");
    script.cluster.node(1).server.start();
    script.cluster.wait_streaming(2, 1);
    script.cluster.node(1).server.kill();
    script
        .differs("rejoin-crashed-standby", "exit 0")
        .run(1, &["-d", &target, "node", "rejoin"]);
}
