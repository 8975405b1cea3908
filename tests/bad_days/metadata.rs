//! Ids and names that are taken, records and extensions that are missing or too old.

use crate::support::cluster::Cluster;
use crate::support::flavor::Flavor;
use crate::support::stage::Stage;
use crate::support::{eventually, skip, user};
use crate::{clone_line, records, refused, run_program, slots};

#[test]
fn a_standby_does_not_take_the_place_of_another_node() {
    let cluster = Cluster::up("bad-id", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let before = records(&primary.server);
    let config = std::fs::read_to_string(&standby.config_file).expect("repmgr.conf");
    user::write(&standby.config_file, &config.replace("node_id=2", "node_id=1"));
    for more in [&[][..], &["--force"], &["--dry-run"], &["--force", "--dry-run"]] {
        let said = refused(standby, 1, &[&["standby", "register"], more].concat());
        assert!(said.contains("node1"), "{said}");
        assert_eq!(records(&primary.server), before, "{more:?}");
    }
    user::write(
        &standby.config_file,
        &config.replace("node_name='node2'", "node_name='node1'"),
    );
    for more in [&[][..], &["--force"], &["--dry-run"]] {
        let said = refused(standby, 1, &[&["standby", "register"], more].concat());
        assert!(said.contains("node_name"), "{said}");
        assert_eq!(records(&primary.server), before, "{more:?}");
    }
    cluster.wait_streaming(1, 2);
}

#[test]
fn a_primary_does_not_take_the_name_of_another_node() {
    let cluster = Cluster::up("bad-name", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let before = records(&primary.server);
    primary.write_config("node_name='node2'");
    for more in [&["--force"][..], &["--force", "--dry-run"]] {
        let said = refused(primary, 1, &[&["primary", "register"], more].concat());
        assert!(said.contains("node_name"), "{said}");
        assert_eq!(records(&primary.server), before);
    }
    // The standby's id in the primary's configuration would give it the standby's record.
    let config = std::fs::read_to_string(&standby.config_file).expect("repmgr.conf");
    primary.write_config("node_id=2");
    let said = refused(primary, 1, &["primary", "register", "--force"]);
    assert!(said.contains("node1"), "{said}");
    assert_eq!(records(&primary.server), before);
    assert!(config.contains("node_id=2"));
}

#[test]
fn an_extension_that_is_missing_is_told_by_every_command() {
    let cluster = Cluster::new("bad-extension", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    primary.server.initialise("");
    primary.server.start();
    primary.create_role();
    let source = primary.server.conninfo();
    let said = refused(standby, 1, &clone_line(&source, &[]));
    assert!(said.contains("extension"), "{said}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(&primary.server), "");

    standby.base_backup_from(primary);
    cluster.wait_streaming(1, 2);
    for (node, codes, command) in [
        (standby, [1, 1], &["standby", "register", "--wait-start=1"][..]),
        (standby, [1, 7], &["standby", "follow"]),
        (standby, [1, 7], &["standby", "promote"]),
        (primary, [1, 7], &["primary", "unregister"]),
        (standby, [1, 7], &["standby", "unregister"]),
        (primary, [1, 7], &["cluster", "show"]),
        (primary, [1, 7], &["cluster", "event"]),
        (primary, [1, 7], &["cluster", "cleanup"]),
        (primary, [1, 7], &["node", "status"]),
        (primary, [1, 7], &["service", "status"]),
        (primary, [1, 7], &["service", "pause"]),
    ] {
        let output = crate::run(node, command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().unwrap_or(-1);
        assert!(codes.contains(&code), "{command:?} ended with {code}\n{said}");
        crate::explained(&said);
        assert!(said.contains("extension"), "{command:?}\n{said}");
    }
    assert_eq!(cluster.primaries(), [1]);
    let output = run_program(primary, "repmgrd", &["--daemonize=false"]);
    assert_eq!(output.status.code(), Some(1), "{}", primary.daemon_log());
    assert!(primary.daemon_log().contains("extension"), "{}", primary.daemon_log());
}

#[test]
fn an_extension_that_is_too_old_is_told_with_how_to_update_it() {
    let cluster = Cluster::up("bad-old", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    primary
        .server
        .query("SET allow_system_table_mods = on; UPDATE pg_extension SET extversion = '5.1' WHERE extname = 'repmgr'");
    let before = records(&primary.server);
    let source = primary.server.conninfo();
    standby.server.stop("fast");
    std::fs::remove_dir_all(&standby.server.data).expect("the standby's data directory");
    let line = clone_line(&source, &[]);
    for (node, command) in [(primary, &["primary", "register", "--force"][..]), (standby, &line)] {
        let said = refused(node, 1, command);
        assert!(
            said.contains("5.1") && said.contains("ALTER EXTENSION repmgr UPDATE"),
            "{said}"
        );
    }
    assert!(!standby.server.data.exists());
    assert_eq!(records(&primary.server), before);
    let output = run_program(primary, "repmgrd", &["--daemonize=false"]);
    assert_eq!(output.status.code(), Some(1), "{}", primary.daemon_log());
    let log = primary.daemon_log();
    assert!(
        log.contains("5.1") && log.contains("ALTER EXTENSION repmgr UPDATE"),
        "{log}"
    );
}

#[test]
fn an_extension_that_the_host_does_not_have_is_told() {
    let staged = crate::support::stage::stage();
    let plain = std::path::PathBuf::from(format!("/usr/lib/postgresql/{}/bin", staged.major));
    let control = format!("/usr/share/postgresql/{}/extension/repmgr.control", staged.major);
    if !plain.join("postgres").exists() || std::path::Path::new(&control).exists() {
        return skip("cluster", "there is no PostgreSQL without repmgr's extension here");
    }
    let stage: &'static Stage = Box::leak(Box::new(Stage {
        root: "/".into(),
        bindir: plain,
        major: staged.major,
    }));
    let cluster = Cluster::with_stage("bad-host", 2, stage, crate::support::stage::programs());
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    primary.server.initialise("");
    primary.server.start();
    primary.create_role();
    let superuser = Flavor::current().superuser_option();
    let said = refused(primary, 1, &[&["primary", "register"], superuser].concat());
    assert!(said.contains("package"), "{said}");
    assert_eq!(
        primary
            .server
            .query("SELECT count(*) FROM pg_namespace WHERE nspname = 'repmgr'"),
        "0"
    );
    let source = primary.server.conninfo();
    let said = refused(standby, 1, &clone_line(&source, &[]));
    assert!(said.contains("package"), "{said}");
    assert!(!standby.server.data.exists());
}

#[test]
fn a_primary_that_is_gone_is_told_by_what_needs_it() {
    let cluster = Cluster::up("bad-gone", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    eventually("the standby knows itself", || {
        (standby.server.query("SELECT count(*) FROM repmgr.nodes") == "2").then_some(())
    });
    primary.server.kill();
    for (code, command) in [
        (1, &["standby", "register", "--force"][..]),
        (1, &["standby", "unregister"]),
        (6, &["primary", "unregister"]),
        (6, &["cluster", "cleanup"]),
        (23, &["standby", "follow"]),
    ] {
        refused(standby, code, command);
    }
    assert!(standby.server.is_running() && !standby.server.is_primary());
}
