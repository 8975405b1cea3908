//! `node rejoin` on real servers: back without a rewind, back with one, and
//! the days on which it must refuse, or was killed, and be run again.

#[path = "rejoin/bad_days.rs"]
mod bad_days;
#[path = "rejoin/rerun.rs"]
mod rerun;
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use support::cluster::{Cluster, Node};
use support::eventually;
use support::flavor::Flavor;

/// What a node's own configuration files are in a test cluster, where all are in the data directory.
const OWN_FILES: &str = "--config-files=postgresql.conf,pg_hba.conf";

/// Node 1 stopped in this way, node 2 promoted in its place, node 3 and later following it.
fn failed_over(name: &str, count: u32, settings: &str, mode: &str) -> Cluster {
    let cluster = Cluster::up_with(name, count, "", settings);
    for holder in 2..=count {
        cluster.wait_record(holder, count);
    }
    stop(cluster.node(1), mode);
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    for id in 3..=count {
        cluster.node(id).repmgr_ok(&["standby", "follow"]);
    }
    cluster
}

fn stop(node: &Node, mode: &str) {
    match mode {
        "kill" => node.server.kill(),
        mode => node.server.stop(mode),
    }
}

/// The old primary comes back as if nothing had happened, and commits what the new one never sees.
fn come_back_and_write(node: &Node, mode: &str) {
    node.server.start();
    node.server
        .query("CREATE TABLE written_by_the_old_primary AS SELECT 1 AS lost");
    node.server.query("INSERT INTO written_by_the_old_primary VALUES (2)");
    stop(node, mode);
}

/// `-d NODE2 node rejoin` with what this flavor needs.
fn rejoin_line<'a>(target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let superuser: &[&str] = Flavor::current().superuser_option();
    [&["-d", target, "node", "rejoin"], superuser, more].concat()
}

fn rejoin(cluster: &Cluster, more: &[&str]) -> String {
    let target = cluster.node(2).server.conninfo();
    cluster.node(1).repmgr_fails(0, &rejoin_line(&target, more))
}

fn refused(cluster: &Cluster, code: i32, more: &[&str]) -> String {
    let target = cluster.node(2).server.conninfo();
    let said = cluster.node(1).repmgr_fails(code, &rejoin_line(&target, more));
    assert!(said.contains("ERROR: ") && said.contains("HINT: "), "{said}");
    said
}

/// Every file and folder with its mode, time and contents.
fn picture(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut picture = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let found = std::fs::symlink_metadata(&path).expect("its metadata");
            let contents = if found.is_file() {
                std::fs::read(&path).expect("its contents")
            } else {
                Vec::new()
            };
            if found.is_dir() {
                folders.push(path.clone());
            }
            picture.insert(
                path,
                (found.permissions().mode(), found.mtime(), found.mtime_nsec(), contents),
            );
        }
    }
    picture
}

/// Asserts that two pictures are the same, naming the paths that are not.
fn assert_same(before: &BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>, folder: &Path, when: &str) {
    let after = picture(folder);
    let changed: Vec<&PathBuf> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .collect();
    assert!(changed.is_empty(), "changed by {when}: {changed:?}");
}

/// All that a rejoin changes on the primary.
fn metadata(cluster: &Cluster) -> String {
    cluster.node(2).server.query(
        "SELECT (SELECT string_agg(n::text, E'\\n' ORDER BY node_id) FROM repmgr.nodes n) || (SELECT count(*) FROM repmgr.events) \
         || coalesce((SELECT string_agg(slot_name || active, ',' ORDER BY slot_name) FROM pg_replication_slots), '')",
    )
}

fn last_event(cluster: &Cluster) -> String {
    cluster.node(2).server.query(
        "SELECT concat_ws(' ', node_id, event, successful, details) FROM repmgr.events ORDER BY event_timestamp DESC LIMIT 1",
    )
}

/// Node 1 is a standby of node 2 in every respect, and has what node 2 writes.
fn assert_back(cluster: &Cluster) {
    cluster.wait_streaming(2, 1);
    let (first, second) = (cluster.node(1), cluster.node(2));
    assert_eq!(cluster.primaries(), [2]);
    assert_eq!(
        first.record_on(&second.server, "concat_ws(' ', type, upstream_node_id, active)"),
        "standby 2 t"
    );
    second
        .server
        .query("CREATE TABLE written_by_the_new_primary AS SELECT 42 AS answer");
    eventually("node 1 has what node 2 has written", || {
        let answer = first.server.try_query("SELECT answer FROM written_by_the_new_primary");
        (answer.as_deref() == Ok("42")).then_some(())
    });
}

#[test]
fn a_primary_that_was_stopped_in_time_comes_back_without_a_rewind() {
    let cluster = failed_over("rejoin", 2, "", "fast");
    let data = &cluster.node(1).server.data;
    let (before, known) = (picture(data), metadata(&cluster));
    let said = rejoin(&cluster, &["--dry-run"]);
    assert!(
        said.contains("prerequisites for executing NODE REJOIN are met"),
        "{said}"
    );
    rejoin(&cluster, &["--dry-run", "--force-rewind", OWN_FILES]);
    assert_same(&before, data, "a dry run");
    assert_eq!(metadata(&cluster), known);

    let said = rejoin(&cluster, &[]);
    assert!(said.contains("NOTICE: NODE REJOIN successful"), "{said}");
    assert_eq!(last_event(&cluster), "1 node_rejoin t node 1 is now attached to node 2");
    assert_back(&cluster);
}

#[test]
fn a_primary_with_commits_of_its_own_is_rewound() {
    let cluster = failed_over("rejoin-rewind", 3, "", "fast");
    let first = cluster.node(1);
    come_back_and_write(first, "fast");
    let data = &first.server.data;
    let (before, known) = (picture(data), metadata(&cluster));
    let said = refused(&cluster, 24, &[]);
    assert!(said.contains("histories have parted"), "{said}");
    let archive = first.server.folder.join("kept");
    support::user::folder(&archive);
    let archive_option = format!("--config-archive-dir={}", archive.display());
    let said = rejoin(&cluster, &["--dry-run", "--force-rewind", OWN_FILES, &archive_option]);
    assert!(said.contains("pg_rewind can rewind this node"), "{said}");
    assert!(said.contains("2 transactions were committed in it"), "{said}");
    assert_same(&before, data, "a dry run");
    assert_eq!(std::fs::read_dir(&archive).expect("the folder").count(), 0);
    assert_eq!(metadata(&cluster), known);

    let own = std::fs::read_to_string(data.join("postgresql.conf")).expect("postgresql.conf");
    // What the node has promised as a voter lies where pg_rewind removes it.
    let vote = data.join("pg_replslot/repmgr_write_right");
    support::user::write(&vote, "promised");
    let said = rejoin(&cluster, &["--force-rewind", OWN_FILES, &archive_option]);
    assert!(said.contains("NOTICE: NODE REJOIN successful"), "{said}");
    assert_eq!(std::fs::read_to_string(&vote).expect("the vote"), "promised");
    assert_eq!(
        std::fs::read_to_string(data.join("postgresql.conf")).expect("postgresql.conf"),
        own
    );
    assert_eq!(std::fs::read_dir(&archive).expect("the folder").count(), 0);
    let event = last_event(&cluster);
    assert!(
        event.starts_with("1 node_rejoin t node 1 is now attached to node 2; discarded timeline 1 from "),
        "{event}"
    );
    assert_back(&cluster);
    assert!(
        first
            .server
            .try_query("SELECT * FROM written_by_the_old_primary")
            .is_err()
    );
    assert!(!data.join("pg_stat_tmp/repmgr_rejoin").exists());
}

#[test]
fn a_crashed_primary_recovers_before_it_is_rewound() {
    let cluster = failed_over("rejoin-crash", 2, "", "kill");
    let first = cluster.node(1);
    come_back_and_write(first, "kill");
    let before = picture(&first.server.data);
    let said = refused(&cluster, 24, &[]);
    assert!(said.contains("not shut down cleanly"), "{said}");
    rejoin(&cluster, &["--force-rewind", OWN_FILES, "--dry-run"]);
    assert_same(&before, &first.server.data, "a dry run");
    rejoin(&cluster, &["--force-rewind", OWN_FILES]);
    assert_back(&cluster);
}

#[test]
fn slots_are_made_on_the_new_primary_and_removed_from_the_old() {
    let cluster = failed_over("rejoin-slots", 2, "use_replication_slots=true", "fast");
    let (first, second) = (cluster.node(1), cluster.node(2));
    // The old primary kept WAL for node 2, and for somebody else.
    first.server.start();
    first
        .server
        .query("SELECT pg_create_physical_replication_slot('of_somebody', true)");
    let slots = |node: &Node| {
        node.server
            .query("SELECT string_agg(slot_name || active, ',' ORDER BY slot_name) FROM pg_replication_slots")
    };
    assert_eq!(slots(first), "of_somebodyfalse,repmgr_slot_2false");
    first.server.stop("fast");
    rejoin(&cluster, &["--force-rewind", OWN_FILES]);
    assert_back(&cluster);
    assert_eq!(slots(second), "repmgr_slot_1true");
    assert_eq!(first.server.query("SELECT count(*) FROM pg_replication_slots"), "0");
    assert_eq!(first.record_on(&second.server, "slot_name"), "repmgr_slot_1");

    // Without a rewind only the slot of the new primary goes; others are named.
    first
        .server
        .query("SELECT pg_create_physical_replication_slot('repmgr_slot_2')");
    first
        .server
        .query("SELECT pg_create_physical_replication_slot('of_somebody')");
    first.server.stop("fast");
    let said = rejoin(&cluster, &[]);
    assert!(said.contains("of_somebody"), "{said}");
    eventually("one slot is left", || {
        (slots(first) == "of_somebodyfalse").then_some(())
    });
}

#[test]
fn a_switchover_calls_it_with_options_before_the_words_and_does_not_wait() {
    let cluster = failed_over("rejoin-contract", 2, "", "fast");
    let (first, second) = (cluster.node(1), cluster.node(2));
    let events = || {
        second
            .server
            .query("SELECT count(*) FROM repmgr.events WHERE event = 'node_rejoin'")
    };
    let conninfo = second.server.conninfo();
    let superuser = Flavor::current().superuser_option();
    first.repmgr_ok(&[&["--no-wait", "-d", &conninfo, "node", "rejoin"], superuser].concat());
    assert_eq!(events(), "0", "the switchover writes the event");
    assert_back(&cluster);
}

#[test]
fn a_standby_that_crashed_is_only_started() {
    let cluster = Cluster::up("rejoin-crashed-standby", 3);
    cluster.wait_record(2, 3);
    let (second, third) = (cluster.node(2), cluster.node(3));
    let target = cluster.node(1).server.conninfo();
    for options in [&[][..], &["--force-rewind"]] {
        third.server.kill();
        cluster
            .node(1)
            .server
            .query("CREATE TABLE IF NOT EXISTS meanwhile AS SELECT 1");
        let said = third.repmgr_fails(0, &rejoin_line(&target, options));
        assert!(!said.contains("single-user"), "{said}");
        cluster.wait_streaming(1, 3);
    }
    // Also over the metadata of another standby.
    third.server.stop("fast");
    let target = second.server.conninfo();
    third.repmgr_fails(0, &rejoin_line(&target, &[]));
    cluster.wait_streaming(1, 3);
}
