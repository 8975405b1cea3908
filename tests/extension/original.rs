//! Side by side with the original's package: the same objects, and data directories that change hands.

use crate::scripts::catalog;
use crate::support::server::Server;
use crate::support::{skip, stage, user};
use crate::{Primary, messages};

/// The original's staged installation, or a counted skip.
fn original() -> Option<&'static stage::Stage> {
    let original = stage::original();
    if original.is_none() {
        skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
    }
    original
}

#[test]
fn a_new_installation_has_the_originals_objects() {
    let Some(original) = original() else { return };
    let (original, ours) = (Primary::with_stage(original, ""), Primary::up(""));
    let version = original.query("SELECT extversion FROM pg_extension WHERE extname = 'repmgr'");
    ours.query(&format!(
        "DROP EXTENSION repmgr; CREATE EXTENSION repmgr VERSION '{version}'"
    ));
    assert_eq!(catalog(&ours), catalog(&original));

    // The views are more than their columns.
    let (ours, original) = (views(&ours), views(&original));
    assert_eq!(ours, original);
    assert_eq!(ours.lines().count(), 9);
}

/// What the views show of the same rows, times relative to now.
fn views(server: &Server) -> String {
    server.query(
        "BEGIN; \
         INSERT INTO repmgr.nodes VALUES (1, NULL, true, 'a', 'primary', 'l', 1, 'host=a', 'r', NULL, 'f'), \
             (2, 1, true, 'b', 'standby', 'l', 1, 'host=b', 'r', 's', 'f'), \
             (3, 1, false, 'c', 'witness', 'l', 1, 'host=c', 'r', 's', 'f'), \
             (4, 2, true, 'd', 'standby', 'l', 1, 'host=d', 'r', 's', 'f'); \
         INSERT INTO repmgr.monitoring_history \
             SELECT 1, standby, now() - age * interval '1 minute', now() - age * interval '2 minutes', '0/3', \
                    CASE WHEN standby < 4 THEN '0/2'::pg_lsn END, standby / 4 * 1048576 * age, age * 1000 \
               FROM generate_series(2, 4) AS standby, generate_series(1, 4) AS age; \
         INSERT INTO repmgr.monitoring_history VALUES \
             (1, 2, now() - interval '1 minute', now() - interval '3 days', '0/3', '0/2', 77777, 88888888), \
             (1, 2, now() - interval '1 minute', NULL, '0/3', '0/2', 77777, 0); \
         SELECT primary_node_id, standby_node_id, standby_name, node_type, active, now() - last_monitor_time, \
                last_wal_primary_location, last_wal_standby_location, replication_lag, replication_time_lag, apply_lag, \
                communication_time_lag \
           FROM repmgr.replication_status ORDER BY standby_node_id, replication_lag, apply_lag; \
         SELECT * FROM repmgr.show_nodes ORDER BY node_id; \
         ROLLBACK",
    )
}

#[test]
fn a_data_directory_changes_between_the_original_and_this_library() {
    let Some(original) = original() else { return };
    let preloaded = "shared_preload_libraries = 'repmgr'";
    let primary = Primary::with_stage(original, preloaded);
    primary.query("SELECT repmgr.set_local_node_id(3), repmgr.repmgrd_pause(true)");
    primary.stop("fast");

    let paused = "SELECT repmgr.repmgrd_is_paused()";
    let ours = Server {
        folder: primary.server.folder.clone(),
        data: primary.data.clone(),
        port: primary.port,
        flavor: primary.flavor,
        stage: stage::stage(),
        host: None,
    };
    // The functions are those that the original's scripts created.
    ours.start();
    let every_function = "SELECT repmgr.set_local_node_id(3), repmgr.get_local_node_id(), \
        repmgr.standby_set_last_updated(), repmgr.standby_get_last_updated(), repmgr.set_upstream_last_seen(2), \
        repmgr.get_upstream_last_seen(), repmgr.set_upstream_node_id(4), repmgr.get_upstream_node_id(), \
        repmgr.notify_follow_primary(5), repmgr.get_new_primary(), repmgr.reset_voting_status(), \
        repmgr.get_wal_receiver_pid(), repmgr.set_repmgrd_pid(-1, NULL), repmgr.get_repmgrd_pid(), \
        repmgr.get_repmgrd_pidfile(), repmgr.repmgrd_is_running()";
    assert_eq!(messages(&ours, every_function), "INFO:  00000");
    assert_eq!(ours.query("SELECT repmgr.get_upstream_node_id()"), "4");
    assert_eq!(ours.query(paused), "t");
    assert_eq!(messages(&ours, "SELECT repmgr.repmgrd_pause(false)"), "");
    assert_eq!(messages(&ours, "SELECT repmgr.repmgrd_pause(true)"), "");

    // Not preloaded the original answers NULL, this library does not.
    let configuration = ours.data.join("postgresql.conf");
    let text = std::fs::read_to_string(&configuration).expect("the configuration");
    user::write(&configuration, &text.replace(preloaded, ""));
    ours.stop("fast");
    ours.start();
    assert_eq!(ours.query("SELECT repmgr.get_local_node_id()"), "-1");
    ours.stop("fast");
    user::write(&configuration, &text);

    primary.start();
    primary.query("SELECT repmgr.set_local_node_id(3)");
    assert_eq!(primary.query(paused), "t");
}
