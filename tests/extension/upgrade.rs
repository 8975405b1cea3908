//! Databases that an original of long ago set up, and metadata that leaves a server and comes back: nothing is lost.

use std::path::Path;

use crate::scripts::{catalog, catalog_in};
use crate::support::cluster::Cluster;
use crate::support::server::Server;
use crate::support::stage::{self, Stage};
use crate::support::{eventually, skip};
use crate::{Primary, messages};

/// The original's staged installation with a library that has the C symbols of every version, so that the scripts of
/// every version can be run.
fn of_any_age(original: &Stage) -> &'static Stage {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/extension/old_library.c");
    let build = "cd \"$0\"/usr/lib/postgresql/*/lib && rm -f repmgr.so && \
                 cc -shared -fPIC -I \"$(\"$2\" --includedir-server)\" -o repmgr.so \"$1\"";
    let config = format!("/usr/lib/postgresql/{}/bin/pg_config", original.major);
    let stage = stage::variant(original, "of-any-age", build, &[&source, Path::new(&config)]);
    Box::leak(Box::new(stage))
}

/// The versions that the original's scripts can create, the oldest first.
fn versions_of(original: &Stage) -> Vec<String> {
    let folder = original
        .root
        .join(format!("usr/share/postgresql/{}/extension", original.major));
    let files = std::fs::read_dir(folder).expect("the extensions' folder");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let version = |name: String| {
        let version = name.strip_prefix("repmgr--")?.strip_suffix(".sql")?;
        (!version.contains("--")).then(|| version.to_owned())
    };
    let mut versions: Vec<String> = names.filter_map(version).collect();
    versions.sort();
    versions
}

/// A row of everything, with what may be NULL and what may not.
const ROWS: &str = "\
    INSERT INTO repmgr.nodes VALUES (2, NULL, false, 'b', 'primary', 'l', 0, 'host=b', 'r', 's', 'f'), \
        (1, 2, true, 'ä''\"\\', 'standby', 'l', 1, 'host=a', 'r', NULL, 'f'), \
        (3, 2, true, 'w', 'witness', 'default', 100, 'host=w', 'r', NULL, 'f'); \
    INSERT INTO repmgr.events SELECT number, 'e', number > 1, '2017-11-14 01:02:03.456+00', 'd\te' \
        FROM generate_series(1, 200) AS number; \
    INSERT INTO repmgr.events (node_id, event) VALUES (-1, 'without details'); \
    INSERT INTO repmgr.monitoring_history \
        SELECT 2, 1, now(), NULL, '1/2', NULL, number, 4294967296 FROM generate_series(1, 200) AS number; \
    INSERT INTO repmgr.voting_term VALUES (7)";

/// The role that the commands give their rights to, where they came with a superuser's.
const RIGHTS: &str = "GRANT USAGE ON SCHEMA repmgr TO app; GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO app";

/// All rows of the metadata, and the rights on them.
const CONTENTS: &[&str] = &[
    "SELECT n.*::text FROM repmgr.nodes AS n ORDER BY 1",
    "SELECT e.*::text FROM repmgr.events AS e ORDER BY 1",
    "SELECT m.*::text FROM repmgr.monitoring_history AS m ORDER BY 1",
    "SELECT nspacl FROM pg_namespace WHERE nspname = 'repmgr'",
    "SELECT * FROM repmgr.voting_term",
];

/// [`CONTENTS`] of a database.
pub fn contents(server: &Server, database: &str) -> String {
    let rows = server.try_queries_in(database, CONTENTS);
    rows.unwrap_or_else(|error| panic!("{database}: {error}"))
}

/// The same without the term, which is no part of a dump.
fn dumped(server: &Server, database: &str) -> String {
    let rows = server.try_queries_in(database, &CONTENTS[..CONTENTS.len() - 1]);
    rows.unwrap_or_else(|error| panic!("{database}: {error}"))
}

fn in_database(server: &Server, database: &str, sql: &str) -> String {
    let rows = server.try_query_in(database, sql);
    rows.unwrap_or_else(|error| panic!("{database}: {sql}: {error}"))
}

#[test]
fn databases_of_every_earlier_version_become_as_new_and_keep_their_data() {
    let Some(original) = stage::original_of_any_age() else {
        return skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
    };
    let old = Primary::with_stage(of_any_age(original), "");
    old.query("CREATE ROLE app");
    let versions = versions_of(original);
    assert_eq!(versions.first().map(String::as_str), Some("4.0"));
    let newest = versions.last().expect("a version");

    // Installed with each version, and with the first one, updated by the original to each.
    let mut databases = Vec::new();
    for version in &versions {
        let steps = versions.iter().filter(|step| *step <= version && *step != "4.0");
        let updates: String = steps
            .map(|step| format!("ALTER EXTENSION repmgr UPDATE TO '{step}';"))
            .collect();
        for (first, updates) in [(version.as_str(), ""), ("4.0", updates.as_str())] {
            let database = format!("from {first} by {version}");
            if databases.contains(&database) {
                continue;
            }
            in_database(&old, "postgres", &format!("CREATE DATABASE \"{database}\""));
            let create = format!("CREATE EXTENSION repmgr VERSION '{first}'; {RIGHTS}; {ROWS}");
            in_database(&old, &database, &create);
            in_database(&old, &database, updates);
            databases.push(database);
        }
    }
    assert_eq!(databases.len(), versions.len() * 2 - 1);
    let before: Vec<String> = databases.iter().map(|database| contents(&old, database)).collect();
    assert_eq!(before[0].lines().count(), 3 + 201 + 200 + 1 + 1);
    old.stop("fast");

    let ours = Server {
        folder: old.server.folder.clone(),
        data: old.data.clone(),
        port: old.port,
        flavor: old.flavor,
        stage: stage::stage(),
        host: None,
    };
    ours.start();
    in_database(&ours, "postgres", "CREATE DATABASE fresh");
    in_database(
        &ours,
        "fresh",
        &format!("CREATE EXTENSION repmgr VERSION '5.5'; {RIGHTS}"),
    );
    let fresh = catalog_in(&ours, "fresh");
    for (database, before) in databases.iter().zip(before) {
        if newest == "5.5" && database.ends_with("by 5.5") {
            // Nothing is newer than this; an update says so.
            continue;
        }
        in_database(&ours, database, "ALTER EXTENSION repmgr UPDATE TO '5.5'");
        let differing: Vec<String> = different(&fresh, &catalog_in(&ours, database));
        assert_eq!(differing, [""; 0], "{database}");
        assert_eq!(contents(&ours, database), before, "{database}");
        let call = "SELECT repmgr.get_local_node_id(), repmgr.set_repmgrd_pid(-1, NULL) IS NULL";
        assert_eq!(in_database(&ours, database, call), "-1|f", "{database}");
    }
}

/// The rows that only one of them has.
pub fn different(one: &[String], other: &[String]) -> Vec<String> {
    let lacking = one
        .iter()
        .filter(|row| !other.contains(row))
        .map(|row| format!("- {row}"));
    let more = other
        .iter()
        .filter(|row| !one.contains(row))
        .map(|row| format!("+ {row}"));
    lacking.chain(more).collect()
}

/// The options of a program for a server's database.
fn at<'a>(server: &'a Server, port: &'a str, database: &'a str) -> [&'a str; 8] {
    let folder = server.folder.to_str().expect("a path in UTF-8");
    ["-U", "postgres", "-h", folder, "-p", port, "-d", database]
}

#[test]
fn pg_dump_takes_the_metadata_along_and_pg_restore_brings_it_back() {
    let server = Primary::up("");
    server.query("CREATE ROLE app");
    server.query(RIGHTS);
    server.query(ROWS);
    let (port, file) = (server.port.to_string(), server.folder.0.join("dump"));
    let file = file.to_str().expect("a path");
    for format in ["custom", "plain"] {
        let format_option = format!("--format={format}");
        let dump = [&at(&server, &port, "repmgr")[..], &[&format_option, "-f", file]].concat();
        server.stage.run("pg_dump", &dump);
        in_database(&server, "postgres", &format!("CREATE DATABASE {format}"));
        let target = at(&server, &port, format);
        match format {
            "plain" => server.stage.run(
                "psql",
                &[&target[..], &["-Xq", "-v", "ON_ERROR_STOP=1", "-f", file]].concat(),
            ),
            _ => server
                .stage
                .run("pg_restore", &[&target[..], &["--exit-on-error", file]].concat()),
        };
        assert_eq!(catalog_in(&server, format), catalog(&server), "{format}");
        assert_eq!(dumped(&server, format), dumped(&server, "repmgr"), "{format}");
        // As with the original: the term is the cluster's, not the dump's.
        assert_eq!(
            in_database(&server, format, "SELECT count(*) FROM repmgr.voting_term"),
            "0"
        );
    }
    // The rows alone, into an extension that is there.
    in_database(&server, "postgres", "CREATE DATABASE rows");
    in_database(&server, "rows", &format!("CREATE EXTENSION repmgr; {RIGHTS}"));
    let dump = [
        &at(&server, &port, "repmgr")[..],
        &["--data-only", "-t", "repmgr.*", "-f", file],
    ]
    .concat();
    server.stage.run("pg_dump", &dump);
    let restore = [
        &at(&server, &port, "rows")[..],
        &["-Xq", "-v", "ON_ERROR_STOP=1", "-f", file],
    ]
    .concat();
    server.stage.run("psql", &restore);
    assert_eq!(dumped(&server, "rows"), dumped(&server, "repmgr"));
    assert_eq!(messages(&server, "SELECT 1"), "");
}

#[test]
fn a_cluster_goes_on_after_its_database_was_dumped_and_restored() {
    let mut cluster = Cluster::up("restored", 2);
    let primary = cluster.node(1);
    let (port, file) = (primary.server.port.to_string(), cluster.folder.join("dump"));
    let file = file.to_str().expect("a path");
    let nodes = "SELECT n.*::text FROM repmgr.nodes AS n ORDER BY 1";
    let before = primary.server.query(nodes);
    let dump = [
        &at(&primary.server, &port, "repmgr")[..],
        &["--format=custom", "-f", file],
    ]
    .concat();
    primary.server.stage.run("pg_dump", &dump);
    in_database(&primary.server, "postgres", "DROP DATABASE repmgr WITH (FORCE)");
    in_database(&primary.server, "postgres", "CREATE DATABASE repmgr OWNER repmgr");
    let restore = [&at(&primary.server, &port, "repmgr")[..], &["--exit-on-error", file]].concat();
    primary.server.stage.run("pg_restore", &restore);
    assert_eq!(primary.server.query(nodes), before);

    let config = primary.automatic_failover();
    primary.write_config(&config);
    let config = cluster.node(2).automatic_failover();
    cluster.node(2).write_config(&config);
    primary_is_registered_again(&cluster);
    let written = cluster.node(1).server.query("SELECT pg_current_wal_lsn()");
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    eventually("the standby has replayed all", || {
        (cluster.node(2).server.try_query_in("postgres", &replayed).as_deref() == Ok("t")).then_some(())
    });
    for id in [1, 2] {
        cluster.node_mut(id).start_daemon();
    }
    watches_the_primary(&cluster);
    let term = "SELECT term FROM repmgr.voting_term";
    assert_eq!(cluster.node(2).server.query(term), "1");
    cluster.node(1).server.stop("fast");
    cluster.wait_primary(2);
    eventually("the election is counted", || {
        (cluster.node(2).server.try_query(term).as_deref() == Ok("2")).then_some(())
    });
}

/// The dump has everything but the term, without which there is no failover; `primary register --force` writes it.
fn primary_is_registered_again(cluster: &Cluster) {
    let primary = cluster.node(1);
    assert_eq!(primary.server.query("SELECT count(*) FROM repmgr.voting_term"), "0");
    primary.repmgr_ok(&["primary", "register", "--force"]);
}

/// Waits until the daemon of node 2 has seen node 1.
pub fn watches_the_primary(cluster: &Cluster) {
    let watches = "SELECT repmgr.get_upstream_node_id() = 1 AND repmgr.get_upstream_last_seen() >= 0";
    eventually("the daemon of node2 watches the primary", || {
        (cluster.node(2).server.try_query(watches).as_deref() == Ok("t")).then_some(())
    });
}

#[test]
fn a_cluster_of_an_original_of_any_age_is_taken_over_with_its_metadata() {
    let Some(original) = stage::original_of_any_age() else {
        return skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
    };
    let mut cluster = Cluster::with_stage("any-age", 2, original, &original.bindir);
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    cluster.standby_up(2);
    cluster.wait_streaming(1, 2);
    cluster.wait_record(2, 2);
    for id in [1, 2] {
        cluster.node_mut(id).start_daemon();
    }
    watches_the_primary(&cluster);
    for id in [2, 1] {
        assert_eq!(cluster.node_mut(id).stop_daemon(), Some(0));
    }
    let before = contents(&cluster.node(1).server, "repmgr");
    assert!(before.contains("repmgrd_start"), "{before}");
    for id in [1, 2] {
        let node = cluster.node_mut(id);
        node.server.stop("fast");
        node.server.stage = stage::stage();
        node.programs = stage::programs().to_owned();
        node.write_config(&node.automatic_failover());
        node.server.start();
    }
    cluster.wait_streaming(1, 2);
    let primary = &cluster.node(1).server;
    primary.query("ALTER EXTENSION repmgr UPDATE");
    assert_eq!(contents(primary, "repmgr"), before);
    in_database(primary, "postgres", "CREATE DATABASE fresh");
    in_database(primary, "fresh", "CREATE EXTENSION repmgr");
    let found = different(&catalog_in(primary, "fresh"), &catalog(primary));
    assert_eq!(found, [""; 0]);
    let written = primary.query("SELECT pg_current_wal_lsn()");
    eventually("the standby has replayed the update", || {
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        (cluster.node(2).server.try_query(&replayed).as_deref() == Ok("t")).then_some(())
    });
    for id in [1, 2] {
        cluster.node_mut(id).start_daemon();
    }
    watches_the_primary(&cluster);
    cluster.node(1).server.stop("fast");
    cluster.wait_primary(2);
}
