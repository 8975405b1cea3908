//! A cluster moves to the next major version of PostgreSQL: its primary with pg_upgrade, its standby as a new clone.

use std::path::Path;

use crate::scripts::{catalog, catalog_in};
use crate::support::cluster::Cluster;
use crate::support::server::Server;
use crate::support::stage::{self, Stage};
use crate::support::{skip, user};
use crate::upgrade::{contents, different, watches_the_primary};

/// An installation of an earlier major version with this project's library (`scripts/versions.sh` has one).
fn older() -> Option<&'static Stage> {
    let Some(root) = std::env::var_os("REPMGR_OLDER_STAGE") else {
        skip(
            "versions",
            "no PostgreSQL of an earlier major version is here; run: make versions",
        );
        return None;
    };
    let older = stage::at(Path::new(&root));
    assert!(older.major < stage::stage().major, "{}", older.major);
    Some(Box::leak(Box::new(older)))
}

/// Brings the stopped server's data to the major version of `new`.
fn pg_upgrade(server: &mut Server, new: &'static Stage) {
    let old = server.stage;
    let folder = |name: &str| server.folder.join(name).display().to_string();
    let (before, data, after) = (folder("data-before"), folder("data"), folder("data-after"));
    let mut initdb = vec!["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D", &after];
    if new.major >= 18 {
        // The older one has none, and both must be alike.
        initdb.push("--no-data-checksums");
    }
    new.run("initdb", &initdb);
    let mut command = user::command(new.bindir.join("pg_upgrade"));
    command.current_dir(&server.folder).args(["-U", "postgres"]);
    command.arg("-b").arg(&old.bindir).arg("-B").arg(&new.bindir);
    stage::run("pg_upgrade", command.args(["-d", &data, "-D", &after]));
    std::fs::rename(&data, &before).expect("the old data directory");
    std::fs::rename(&after, &data).expect("the new data directory");
    server.stage = new;
    server.configure("");
}

#[test]
fn a_cluster_moves_to_the_next_major_version() {
    let Some(older) = older() else { return };
    let mut cluster = Cluster::with_stage("pg-upgrade", 2, older, stage::programs());
    cluster.primary_up("");
    cluster.standby_up(2);
    let first = &cluster.node(1).server;
    let history = "INSERT INTO repmgr.monitoring_history SELECT 1, 2, now(), NULL, '1/2', NULL, 3, 4";
    first.query(history);
    first.query("UPDATE repmgr.voting_term SET term = 7");
    let before = contents(first, "repmgr");
    assert!(
        before.contains("primary_register") && before.contains("standby_register"),
        "{before}"
    );
    cluster.node(1).server.stop("fast");
    cluster.node(2).server.stop("fast");

    let new = stage::stage();
    pg_upgrade(&mut cluster.node_mut(1).server, new);
    cluster.node_mut(2).server.stage = new;
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    let first = cluster.node(1);
    first.server.start();
    let version = first
        .server
        .query("SELECT current_setting('server_version_num')::int / 10000");
    assert_eq!(version, new.major.to_string());
    assert_eq!(contents(&first.server, "repmgr"), before);
    // The release of the newer PostgreSQL may have a newer extension, or an earlier one to be alike with its original.
    let newer = "SELECT string_to_array(default_version, '.')::int[] > string_to_array(installed_version, '.')::int[] \
                 FROM pg_available_extensions WHERE name = 'repmgr'";
    if first.server.query(newer) == "t" {
        first.server.query("ALTER EXTENSION repmgr UPDATE");
    }
    // PostgreSQL may describe an object otherwise in another version, so both are asked of the new one.
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'repmgr'";
    let create = format!("CREATE EXTENSION repmgr VERSION '{}'", first.server.query(version));
    let postgres = |sql: &str| first.server.try_query_in("postgres", sql).expect(sql);
    postgres("CREATE DATABASE fresh");
    first.server.try_query_in("fresh", &create).expect("a new installation");
    let found = different(&catalog_in(&first.server, "fresh"), &catalog(&first.server));
    assert_eq!(found, [""; 0]);
    first.repmgr_ok(&["primary", "register", "--force"]);

    // What is left of the standby is of the older version, so it is cloned anew over it.
    let second = cluster.node(2);
    second.clone_from(first, &["--force"]);
    second.server.start();
    second.repmgr_ok(&["standby", "register", "--force"]);
    cluster.wait_streaming(1, 2);
    for id in [1, 2] {
        cluster.node_mut(id).start_daemon();
    }
    cluster.node(1).repmgr_ok(&["cluster", "show"]);
    watches_the_primary(&cluster);
    cluster.node(1).server.stop("fast");
    cluster.wait_primary(2);
}
