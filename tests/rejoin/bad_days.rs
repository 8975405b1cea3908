//! Days on which a rejoin must refuse, and change nothing.

use crate::support::cluster::Cluster;
use crate::support::flavor::Flavor;
use crate::support::mount::Mount;
use crate::support::{eventually, skip, user};
use crate::{
    OWN_FILES, assert_back, assert_same, come_back_and_write, failed_over, metadata, picture, refused, rejoin,
    rejoin_line,
};

#[test]
fn a_server_that_runs_or_starts_is_left_alone() {
    let cluster = failed_over("rejoin-running", 2, "", "fast");
    let first = cluster.node(1);
    first.server.start();
    let known = metadata(&cluster);
    for options in [&[][..], &["--force-rewind"], &["--dry-run"]] {
        let said = refused(&cluster, 24, options);
        assert!(said.contains("is running") && said.contains("in production"), "{said}");
    }
    assert!(first.server.is_primary());
    first.server.stop("fast");

    // Starting up, or on another port than repmgr.conf says: there is only the postmaster.
    let mut process = user::command("sleep").arg("1000").spawn().expect("sleep");
    let pid_file = first.server.data.join("postmaster.pid");
    for sign in ["", "-"] {
        user::write(
            &pid_file,
            &format!("{sign}{}\n{}\n", process.id(), first.server.data.display()),
        );
        let before = picture(&first.server.data);
        let said = refused(&cluster, 24, &["--force-rewind"]);
        assert!(said.contains(&process.id().to_string()), "{said}");
        assert_same(&before, &first.server.data, "a refusal");
    }
    process.kill().expect("to end sleep");
    process.wait().expect("its end");
    assert_eq!(metadata(&cluster), known);
    // What a process left that lives no more is no obstacle.
    rejoin(&cluster, &["--force-rewind", OWN_FILES]);
    assert_back(&cluster);
}

#[test]
fn a_standby_that_accepts_no_connections_is_running_too() {
    let cluster = Cluster::up("rejoin-rejecting", 2);
    let second = cluster.node(2);
    second.server.stop("fast");
    let path = second.server.data.join("postgresql.conf");
    let text = std::fs::read_to_string(&path).expect("postgresql.conf");
    user::write(&path, &format!("{text}\nhot_standby = off\n"));
    let (data, log) = (
        second.server.data.display().to_string(),
        second.server.log_file().display().to_string(),
    );
    second
        .server
        .stage
        .run("pg_ctl", &["-W", "-D", &data, "-l", &log, "start"]);
    eventually("the standby refuses connections", || {
        let refusal = second.server.try_query("SELECT 1").err()?;
        // PostgreSQL 13 still says the latter.
        let refuses = ["not accepting connections", "is starting up"];
        refuses.iter().any(|words| refusal.contains(words)).then_some(())
    });
    let target = cluster.node(1).server.conninfo();
    let said = second.repmgr_fails(24, &rejoin_line(&target, &[]));
    assert!(said.contains("starting up or shutting down"), "{said}");
}

#[test]
fn a_data_directory_of_another_cluster_is_not_touched() {
    let cluster = failed_over("rejoin-foreign", 2, "", "fast");
    let first = cluster.node(1);
    let known = metadata(&cluster);
    std::fs::rename(&first.server.data, first.server.folder.join("own")).expect("to move it");
    let said = refused(&cluster, 1, &[]);
    assert!(said.contains("PG_VERSION"), "{said}");
    first.server.initialise("");
    let before = picture(&first.server.data);
    for options in [&["--force-rewind"][..], &[]] {
        let said = refused(&cluster, 24, options);
        assert!(said.contains("system identifiers differ"), "{said}");
    }
    assert_same(&before, &first.server.data, "a refusal");
    assert_eq!(metadata(&cluster), known);
}

#[test]
fn without_the_wal_that_a_rewind_needs_nothing_is_changed() {
    let cluster = failed_over("rejoin-missing-wal", 2, "", "fast");
    let first = cluster.node(1);
    first.server.start();
    first.server.query("CREATE TABLE lost AS SELECT 1");
    for _ in 0..2 {
        first.server.query("SELECT pg_switch_wal()");
        first.server.query("CHECKPOINT");
        first.server.query("INSERT INTO lost VALUES (2)");
    }
    let last = first.server.query("SELECT pg_walfile_name(pg_current_wal_lsn())");
    first.server.stop("fast");
    for entry in std::fs::read_dir(first.server.data.join("pg_wal")).expect("pg_wal") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.len() == 24 && name < last {
            std::fs::remove_file(path).expect("to remove it");
        }
    }
    let (before, known) = (picture(&first.server.data), metadata(&cluster));
    for options in [
        &["--force-rewind", OWN_FILES][..],
        &["--force-rewind", OWN_FILES, "--dry-run"],
    ] {
        let said = refused(&cluster, 24, options);
        assert!(said.contains("pg_rewind cannot rewind this node"), "{said}");
        assert!(
            said.contains("restore_command") && said.contains("nothing was changed"),
            "{said}"
        );
    }
    assert_same(&before, &first.server.data, "a refusal");
    assert_eq!(metadata(&cluster), known);
}

#[test]
fn wal_that_is_only_in_the_archive_is_fetched() {
    let name = "rejoin-archive";
    let cluster = Cluster::new(name, 2);
    let archive = cluster.folder.join("archive");
    user::folder(&archive);
    cluster.primary_up(&format!(
        "archive_mode = on\narchive_command = 'cp %p {0}/%f'\nrestore_command = 'cp {0}/%f %p'",
        archive.display()
    ));
    cluster.standby_up(2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    first.server.stop("fast");
    second.repmgr_ok(&["standby", "promote"]);
    first.server.start();
    first.server.query("CREATE TABLE lost AS SELECT 1");
    let fork = first.server.query("SELECT pg_walfile_name(pg_switch_wal())");
    eventually("the segment is archived", || archive.join(&fork).exists().then_some(()));
    first.server.query("CHECKPOINT");
    first.server.stop("fast");
    let wal = first.server.data.join("pg_wal");
    std::fs::remove_file(wal.join(&fork)).expect("to remove the segment");
    let before = picture(&first.server.data);
    rejoin(&cluster, &["--force-rewind", OWN_FILES, "--dry-run"]);
    assert_same(&before, &first.server.data, "a dry run");
    rejoin(&cluster, &["--force-rewind", OWN_FILES]);
    assert_back(&cluster);
}

#[test]
fn the_target_must_be_a_primary_that_answers() {
    let cluster = failed_over("rejoin-target", 3, "", "fast");
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    let before = picture(&first.server.data);
    let refused = |code: i32, conninfo: &str, expected: &str| {
        let said = first.repmgr_fails(code, &rejoin_line(conninfo, &["--force-rewind"]));
        assert!(said.contains(expected), "{expected}: {said}");
        assert_same(&before, &first.server.data, "a refusal");
    };
    let (of_second, of_third) = (second.server.conninfo(), third.server.conninfo());
    refused(6, &first.server.conninfo(), "unable to connect to the given node");
    let primary = |id: u32| {
        second
            .server
            .query("UPDATE repmgr.nodes SET type = 'standby' WHERE type = 'primary'");
        second.server.query(&format!(
            "UPDATE repmgr.nodes SET type = 'primary', active = true WHERE node_id = {id}"
        ));
    };
    primary(3);
    refused(1, &of_second, "is in recovery");
    refused(1, &of_second, "the given node accepts writes itself");
    primary(1);
    refused(1, &of_second, "name this very node");
    primary(2);
    cluster.wait_streaming(2, 3);
    eventually("node 3 knows", || {
        (third
            .server
            .query("SELECT node_id FROM repmgr.nodes WHERE type = 'primary'")
            == "2")
            .then_some(())
    });
    second
        .server
        .query("UPDATE repmgr.nodes SET active = false WHERE node_id = 2");
    refused(1, &of_second, "name no active primary");
    primary(2);
    second.server.query("DELETE FROM repmgr.nodes WHERE node_id = 1");
    refused(1, &of_second, "has no record of this node");
    eventually("node 3 knows", || {
        (third.server.query("SELECT count(*) FROM repmgr.nodes") == "2").then_some(())
    });
    second.server.kill();
    refused(1, &of_third, "unable to connect to node \"node2\"");
    refused(6, &of_second, "unable to connect to the given node");
}

#[test]
fn a_slot_that_cannot_be_had_is_found_out_first() {
    let cluster = failed_over("rejoin-no-slot", 2, "use_replication_slots=true", "fast");
    let (first, second) = (cluster.node(1), cluster.node(2));
    let before = picture(&first.server.data);
    second
        .server
        .query("SELECT count(pg_create_physical_replication_slot('slot_' || n)) FROM generate_series(1, 10) n");
    let said = refused(&cluster, 1, &["--force-rewind"]);
    assert!(said.contains("no free replication slots"), "{said}");
    assert_same(&before, &first.server.data, "a refusal");
}

#[test]
fn what_pg_rewind_needs_is_asked_for_by_name() {
    let cluster = failed_over("rejoin-needs", 2, "", "fast");
    let (first, second) = (cluster.node(1), cluster.node(2));
    come_back_and_write(first, "fast");
    let (before, known) = (picture(&first.server.data), metadata(&cluster));
    let set = |setting: &str| {
        second.server.query(&format!("ALTER SYSTEM SET {setting}"));
        second.server.query("SELECT pg_reload_conf()");
    };
    set("full_page_writes = off");
    let said = eventually("the setting is seen", || {
        let target = second.server.conninfo();
        let output = first.repmgr(&rejoin_line(&target, &["--force-rewind", OWN_FILES, "--dry-run"]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code() == Some(1)).then_some(said)
    });
    assert!(said.contains("\"full_page_writes\" is off on node \"node2\""), "{said}");
    set("full_page_writes = on");
    eventually("the setting is back", || {
        (second.server.query("SHOW full_page_writes") == "on").then_some(())
    });

    let said = refused(&cluster, 24, &["--force-rewind=/nowhere/pg_rewind", OWN_FILES]);
    assert!(said.contains("/nowhere/pg_rewind"), "{said}");
    let file = first.server.folder.join("file");
    user::write(&file, "");
    user::write(&first.server.folder.join("repmgr-config-archive-node1"), "");
    for folder in [
        file.display().to_string(),
        "/nowhere".to_owned(),
        first.server.folder.display().to_string(),
    ] {
        let option = format!("--config-archive-dir={folder}");
        let said = refused(&cluster, 1, &["--force-rewind", OWN_FILES, &option]);
        assert!(said.contains("--config-archive-dir"), "{said}");
    }
    if Flavor::current() == Flavor::Plain {
        second.server.query("CREATE ROLE admin SUPERUSER LOGIN");
        second.server.query("ALTER ROLE repmgr NOSUPERUSER");
        let said = refused(&cluster, 1, &["--force-rewind", OWN_FILES]);
        assert!(said.contains("pg_ls_dir") && said.contains("-S/--superuser"), "{said}");
    }
    assert_same(&before, &first.server.data, "a refusal");
    assert_eq!(metadata(&cluster), known);

    // A file that is not there is no reason to give up.
    let superuser: &[&str] = if Flavor::current() == Flavor::Plain {
        &["-S", "admin"]
    } else {
        &[]
    };
    let files = "--config-files=postgresql.conf,missing.conf,pg_hba.conf";
    let said = rejoin(&cluster, &[&["--force-rewind", files], superuser].concat());
    assert!(
        said.contains("WARNING: there is no configuration file \"missing.conf\""),
        "{said}"
    );
    assert_back(&cluster);
}

#[test]
fn a_node_that_is_ahead_on_the_same_timeline_is_refused() {
    let cluster = Cluster::up("rejoin-ahead", 2);
    cluster.wait_record(2, 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    // As some do in despair: no promotion, so no new timeline.
    second.server.stop("fast");
    first
        .server
        .query("CREATE TABLE lost AS SELECT generate_series(1, 1000)");
    first.server.stop("fast");
    std::fs::remove_file(second.server.data.join("standby.signal")).expect("to remove standby.signal");
    second.server.start();
    second
        .server
        .query("UPDATE repmgr.nodes SET type = CASE node_id WHEN 2 THEN 'primary' ELSE 'standby' END");
    let before = picture(&first.server.data);
    for options in [&[][..], &["--force-rewind"]] {
        let said = refused(&cluster, 24, options);
        assert!(said.contains("ahead of the target"), "{said}");
    }
    assert_same(&before, &first.server.data, "a refusal");
}

#[test]
fn a_full_pg_wal_is_no_place_for_a_rewind() {
    if !nix::unistd::geteuid().is_root() {
        return skip("root", "a file system of its own needs root");
    }
    // Before the cluster, so that it outlives the servers also if the test fails.
    let mount;
    let cluster = failed_over("rejoin-full", 2, "", "fast");
    let first = cluster.node(1);
    come_back_and_write(first, "fast");
    let (wal, elsewhere) = (first.server.data.join("pg_wal"), first.server.folder.join("wal"));
    mount = Mount::new(&elsewhere, "160m");
    if mount.is_none() {
        return skip("faults", "no tmpfs can be mounted here");
    }
    let moved = user::command("sh")
        .args([
            "-c",
            "cp -a \"$0\"/. \"$1\" && mv \"$0\" \"$1.old\" && ln -s \"$1\" \"$0\"",
        ])
        .args([&wal, &elsewhere])
        .status();
    assert!(moved.expect("sh").success());
    let filling = elsewhere.join("filling");
    std::fs::write(&filling, vec![0; 200 << 20]).expect_err("more than there is room for");
    let before = picture(&first.server.data);
    let said = refused(&cluster, 24, &["--force-rewind", OWN_FILES]);
    assert!(
        said.contains("no room") && said.contains("nothing was changed"),
        "{said}"
    );
    assert_same(&before, &first.server.data, "a refusal");
    std::fs::remove_file(filling).expect("to make room");
    rejoin(&cluster, &["--force-rewind", OWN_FILES]);
    assert_back(&cluster);
    drop(cluster);
    drop(mount);
}
