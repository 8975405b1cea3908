//! `standby clone` on real servers. What counts is what the servers and the
//! file system say, not what the program prints.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::{eventually, skip, user};

/// Node 1 is the registered primary; node 2 is not there yet.
fn cluster(name: &str, settings: &str) -> Cluster {
    let cluster = Cluster::new(name, 2);
    for node in &cluster.nodes {
        node.write_config(settings);
    }
    cluster.primary_up("");
    cluster
}

fn clone(node: &Node, source: &Node, more: &[&str]) -> Output {
    let conninfo = source.server.conninfo();
    let options = [&["-d", &conninfo, "standby", "clone", "--fast-checkpoint"], more].concat();
    node.repmgr(&[&options, Flavor::current().superuser_option()].concat())
}

fn clone_fails(code: i32, node: &Node, source: &Node, more: &[&str]) -> String {
    let output = clone(node, source, more);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{more:?}\n{text}");
    text
}

fn clone_ok(node: &Node, source: &Node, more: &[&str]) -> String {
    clone_fails(0, node, source, more)
}

fn slots(node: &Node) -> String {
    node.server
        .query("SELECT string_agg(slot_name, ',' ORDER BY slot_name) FROM pg_replication_slots")
}

fn clone_events(node: &Node) -> String {
    node.server
        .query("SELECT string_agg(node_id || ' ' || successful || ' ' || details, E'\\n') FROM repmgr.events WHERE event = 'standby_clone'")
}

fn primary_conninfo(node: &Node) -> String {
    let text = std::fs::read_to_string(node.server.data.join("postgresql.auto.conf")).expect("postgresql.auto.conf");
    let line = text.lines().find(|line| line.starts_with("primary_conninfo"));
    line.expect("primary_conninfo").to_owned()
}

/// Starts a clone, registers it, and waits until it streams.
fn attach(cluster: &Cluster, upstream: u32, id: u32, options: &[&str]) {
    let node = cluster.node(id);
    node.server.configure("");
    node.server.start();
    node.repmgr_ok(&[&["standby", "register"], options].concat());
    cluster.wait_streaming(upstream, id);
}

#[test]
fn a_clone_streams_and_is_recorded() {
    let cluster = cluster("clone", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let log = clone_ok(standby, primary, &["--verify-backup"]);
    assert!(log.contains("standby clone (using pg_basebackup) complete"), "{log}");
    let signal = std::fs::read_to_string(standby.server.data.join("standby.signal")).expect("standby.signal");
    assert_eq!(signal, "# created by repmgr\n");
    assert_eq!(
        std::fs::metadata(&standby.server.data)
            .expect("the data directory")
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    let conninfo = primary_conninfo(standby);
    assert!(
        conninfo.contains(&format!("port={}", primary.server.port)),
        "{conninfo}"
    );
    assert!(
        conninfo.contains("application_name=node2") && !conninfo.contains("dbname"),
        "{conninfo}"
    );
    let host = Flavor::current().host();
    assert_eq!(
        clone_events(primary),
        format!(
            "2 true cloned from host \"{host}\", port {}; backup method: pg_basebackup; --force: N",
            primary.server.port
        )
    );
    attach(&cluster, 1, 2, &[]);
    assert!(!standby.server.is_primary());
    assert_eq!(slots(primary), "");
}

#[test]
fn a_dry_run_changes_nothing() {
    let cluster = cluster("clone-dry", "use_replication_slots=true\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let log = clone_ok(standby, primary, &["--dry-run"]);
    assert!(log.contains("all prerequisites for \"standby clone\" are met"), "{log}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(primary), "");
    assert_eq!(clone_events(primary), "");

    user::folder(&standby.server.data);
    user::write(&standby.server.data.join("PG_VERSION"), "15\n");
    let log = clone_ok(standby, primary, &["--dry-run"]);
    assert!(log.contains("-F/--force"), "{log}");
    clone_ok(standby, primary, &["--dry-run", "--force"]);
    assert!(standby.server.data.join("PG_VERSION").exists());
}

#[test]
fn the_slot_is_created_and_used() {
    let cluster = cluster("clone-slot", "use_replication_slots=true\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    clone_ok(standby, primary, &[]);
    assert_eq!(slots(primary), "repmgr_slot_2");
    attach(&cluster, 1, 2, &[]);
    assert_eq!(
        primary
            .server
            .query("SELECT active FROM pg_replication_slots WHERE slot_name = 'repmgr_slot_2'"),
        "t"
    );
}

#[test]
fn a_failed_backup_leaves_what_was_there_and_nothing_else() {
    let settings = "use_replication_slots=true\npg_basebackup_options='--no-such-option'\n";
    let cluster = cluster("clone-fails", settings);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let error = clone_fails(14, standby, primary, &[]);
    assert!(error.contains("no-such-option"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(primary), "");

    user::folder(&standby.server.data);
    std::fs::set_permissions(&standby.server.data, std::fs::Permissions::from_mode(0o755)).expect("the mode");
    primary
        .server
        .query("SELECT pg_create_physical_replication_slot('repmgr_slot_2')");
    clone_fails(14, standby, primary, &[]);
    assert_eq!(
        std::fs::read_dir(&standby.server.data).expect("the directory").count(),
        0
    );
    assert_eq!(
        std::fs::metadata(&standby.server.data)
            .expect("the directory")
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
    assert_eq!(slots(primary), "repmgr_slot_2");
}

#[test]
fn an_interrupted_clone_is_taken_back() {
    let settings = "use_replication_slots=true\npg_basebackup_options='--max-rate=32'\n";
    let cluster = cluster("clone-interrupt", settings);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let conninfo = primary.server.conninfo();
        let mut child = standby
            .program("repmgr")
            .args(["-d", &conninfo, "standby", "clone", "--fast-checkpoint"])
            .args(Flavor::current().superuser_option())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("repmgr");
        eventually("the backup has begun", || {
            standby.server.data.join("base").exists().then_some(())
        });
        assert_eq!(slots(primary), "repmgr_slot_2");
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), signal).expect("a signal");
        let status = eventually("the clone has ended", || child.try_wait().expect("its status"));
        assert_eq!(status.code(), Some(14));
        assert!(!standby.server.data.exists(), "after {signal}");
        assert_eq!(slots(primary), "", "after {signal}");
        assert_eq!(primary.server.query("SELECT count(*) FROM pg_stat_replication"), "0");
    }
}

#[test]
fn a_full_disk_is_named_and_cleaned_up() {
    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a file system of its own needs root");
    }
    let cluster = cluster("clone-full", "use_replication_slots=true\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    user::folder(&standby.server.data);
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"])
        .arg(&standby.server.data)
        .output()
        .expect("mount");
    if !mounted.status.success() {
        return skip("faults", "no tmpfs can be mounted here");
    }
    user::give(&standby.server.data);
    let output = clone(standby, primary, &[]);
    let left = std::fs::read_dir(&standby.server.data).map(Iterator::count);
    let unmounted = std::process::Command::new("umount").arg(&standby.server.data).status();
    assert!(unmounted.expect("umount").success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{text}");
    assert!(text.contains("make room"), "{text}");
    assert_eq!(left.expect("the mounted directory"), 0);
    assert_eq!(slots(primary), "");
}

#[test]
fn a_directory_in_use_or_with_contents_is_refused() {
    let cluster = cluster("clone-directory", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    user::folder(&standby.server.data);
    let precious = standby.server.data.join("precious");
    user::write(&precious, "x");
    clone_fails(1, standby, primary, &[]);
    assert!(precious.exists());
    clone_ok(standby, primary, &["--force"]);
    assert!(!precious.exists());
    attach(&cluster, 1, 2, &[]);

    let error = clone_fails(1, standby, primary, &["--force"]);
    assert!(error.contains("process"), "{error}");
    assert!(standby.server.is_running());
    standby.server.stop("fast");
    clone_fails(1, standby, primary, &[]);
    assert!(standby.server.data.join("PG_VERSION").exists());
    let log = clone_ok(standby, primary, &["--force"]);
    assert!(log.contains("standby register --force"), "{log}");
    standby.server.configure("");
    standby.server.start();
    cluster.wait_streaming(1, 2);
}

fn tablespace(primary: &Node, folder: &Path) {
    user::folder(folder);
    let sql = format!("CREATE TABLESPACE fast LOCATION '{}'", folder.display());
    primary.server.query(&sql);
    primary
        .server
        .query("CREATE TABLE t TABLESPACE fast AS SELECT generate_series(1, 10) AS i");
}

#[test]
fn tablespaces_are_mapped() {
    let cluster = cluster("clone-tablespace", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (old, new) = (cluster.folder.join("old=space"), cluster.folder.join("deep/new space"));
    tablespace(primary, &old);

    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("old=space"), "{error}");
    assert!(!standby.server.data.exists());

    standby.write_config("tablespace_mapping='/no/such=/place'");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("/no/such"), "{error}");

    let escaped = old.to_str().expect("a path").replace('=', "\\\\=");
    let mapping = format!("tablespace_mapping='{escaped}={}'\n", new.display());
    standby.write_config(&format!("{mapping}pg_basebackup_options='--no-such-option'"));
    clone_fails(14, standby, primary, &[]);
    assert!(!cluster.folder.join("deep").exists());

    let waldir = cluster.folder.join("wal files");
    standby.write_config(&format!(
        "{mapping}pg_basebackup_options='--waldir=\"{}\"'",
        waldir.display()
    ));
    clone_ok(standby, primary, &[]);
    assert_eq!(
        std::fs::read_link(standby.server.data.join("pg_wal")).expect("a link"),
        waldir
    );
    attach(&cluster, 1, 2, &[]);
    assert_eq!(
        standby
            .server
            .query("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'"),
        new.to_str().expect("a path")
    );
    assert_eq!(standby.server.query("SELECT count(*) FROM t"), "10");
}

#[test]
fn what_is_wrong_is_found_before_anything_is_touched() {
    let cluster = cluster("clone-checks", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let conninfo = primary.server.conninfo();
    let attempt = |code: i32, options: &[&str]| standby.repmgr_fails(code, options);

    let unused = conninfo.replace(&primary.server.port.to_string(), "1");
    attempt(6, &["-d", &unused, "standby", "clone"]);
    let other_database = conninfo.replace("dbname=repmgr", "dbname=postgres");
    let error = attempt(1, &["-d", &other_database, "standby", "clone"]);
    assert!(error.contains("extension"), "{error}");
    let error = clone_fails(1, standby, primary, &["--upstream-node-id=7"]);
    assert!(error.contains('7'), "{error}");

    standby.write_config("node_name=node1");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("node1"), "{error}");
    standby.write_config("pg_basebackup_options='--no-slot --slot=x'");
    clone_fails(1, standby, primary, &[]);
    standby.write_config("pg_bindir='/nonexistent'");
    clone_fails(1, standby, primary, &[]);
    standby.write_config("barman_host=b\nbarman_server=s");
    clone_fails(19, standby, primary, &[]);
    standby.write_config("pg_backupapi_host=b");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("set pg_backupapi_backup_id"), "{error}");

    standby.write_config("pg_basebackup_options='-X fetch'");
    primary.server.query("ALTER SYSTEM SET wal_keep_size = 0");
    primary.server.query("SELECT pg_reload_conf()");
    eventually("the setting is in force", || {
        (primary.server.query("SHOW wal_keep_size") == "0").then_some(())
    });
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("wal_keep_size"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(clone_events(primary), "");
}

#[test]
fn a_directory_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a directory of another user needs root");
    }
    let cluster = cluster("clone-owner", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let foreign = cluster.folder.join("foreign");
    std::fs::create_dir(&foreign).expect("a directory of root");
    for (data, word) in [(foreign.clone(), "\"root\""), (foreign.join("below"), "write to")] {
        standby.write_config(&format!("data_directory='{}'", data.display()));
        let error = clone_fails(1, standby, primary, &["--force", "--dry-run"]);
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(std::fs::read_dir(&foreign).expect("the directory").count(), 0);
}

#[test]
fn a_role_that_may_not_replicate_is_told_so() {
    let cluster = cluster("clone-role", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    primary.server.query("ALTER ROLE repmgr NOREPLICATION NOSUPERUSER");
    primary.server.query("GRANT ALL ON SCHEMA repmgr TO repmgr");
    primary
        .server
        .query("GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO repmgr");
    let error = clone_fails(1, standby, primary, &[]);
    assert!(error.contains("REPLICATION"), "{error}");
    assert!(!standby.server.data.exists());
}

#[test]
fn a_cascaded_clone_has_its_slot_where_it_streams_from() {
    let cluster = Cluster::new("clone-cascade", 3);
    for node in &cluster.nodes {
        node.write_config("use_replication_slots=true\n");
    }
    cluster.primary_up("");
    cluster.standby_up(2);
    let (primary, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));

    // From a standby, to follow the primary.
    clone_ok(third, second, &[]);
    assert_eq!(slots(primary), "repmgr_slot_2,repmgr_slot_3");
    assert_eq!(slots(second), "");
    assert!(primary_conninfo(third).contains(&format!("port={}", primary.server.port)));

    // From the same standby, to follow it.
    primary.server.query("SELECT pg_drop_replication_slot('repmgr_slot_3')");
    clone_ok(third, second, &["--force", "--upstream-node-id=2"]);
    assert_eq!(slots(primary), "repmgr_slot_2");
    assert_eq!(slots(second), "repmgr_slot_3");
    attach(&cluster, 2, 3, &["--upstream-node-id=2"]);
}

#[test]
fn external_configuration_files_come_along() {
    let cluster = Cluster::new("clone-files", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let folder = cluster.folder.join("etc");
    user::folder(&folder);
    let ident = folder.join("my ident.conf");
    user::write(&ident, "# from the source\n");
    cluster.primary_up(&format!("ident_file = '{}'", ident.display()));

    clone_ok(standby, primary, &["--copy-external-config-files=pgdata"]);
    let copied = standby.server.data.join("my ident.conf");
    assert_eq!(
        std::fs::read_to_string(&copied).expect("the copy"),
        "# from the source\n"
    );

    // The same path on the same host is the file itself.
    clone_ok(standby, primary, &["--force", "--copy-external-config-files"]);
    assert!(!copied.exists());
    assert_eq!(
        std::fs::read_to_string(&ident).expect("the file"),
        "# from the source\n"
    );

    std::fs::remove_file(&ident).expect("the file");
    std::fs::remove_dir_all(&standby.server.data).expect("the clone");
    clone_fails(2, standby, primary, &["--copy-external-config-files=pgdata"]);
}

#[test]
fn replication_configuration_alone_is_written() {
    let cluster = Cluster::new("clone-conf", 2);
    for node in &cluster.nodes {
        node.write_config("");
    }
    cluster.primary_up("");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let conninfo = primary.server.conninfo();
    let options = ["-d", conninfo.as_str(), "standby", "clone", "--replication-conf-only"];
    standby.repmgr_fails(1, &options);
    clone_ok(standby, primary, &[]);
    standby.repmgr_fails(1, &options);
    attach(&cluster, 1, 2, &[]);
    standby.repmgr_fails(1, &options);

    standby.server.stop("fast");
    let auto_conf = standby.server.data.join("postgresql.auto.conf");
    let before = std::fs::read_to_string(&auto_conf).expect("postgresql.auto.conf");
    user::write(&auto_conf, "log_line_prefix = 'it''s \\\\ %m '\n");
    std::fs::remove_file(standby.server.data.join("standby.signal")).expect("standby.signal");
    standby.write_config("use_replication_slots=true");
    let superuser = Flavor::current().superuser_option();
    standby.repmgr_ok(&[&options[..], &["--dry-run"], superuser].concat());
    assert!(!standby.server.data.join("standby.signal").exists());
    assert_eq!(slots(primary), "");

    standby.repmgr_ok(&[&options[..], superuser].concat());
    let after = std::fs::read_to_string(&auto_conf).expect("postgresql.auto.conf");
    assert!(after.contains("log_line_prefix = 'it''s \\\\ %m '\n"), "{after}");
    assert!(after.contains("primary_slot_name = 'repmgr_slot_2'"), "{after}");
    assert_eq!(standby.record_on(&primary.server, "slot_name"), "repmgr_slot_2");
    assert_eq!(slots(primary), "repmgr_slot_2");
    let line = |text: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("primary_conninfo"))
            .expect("primary_conninfo");
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let trimmed = |text: &str| {
        line(text)
            .into_iter()
            .map(|word| word.replace('\'', ""))
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(trimmed(&after), trimmed(&before));
    standby.server.start();
    cluster.wait_streaming(1, 2);
    assert_eq!(standby.server.query("SHOW log_line_prefix"), "it's \\ %m");
}

/// PostgreSQL's programs, one of them replaced by a script.
fn programs_with(cluster: &Cluster, name: &str, script: &str) -> String {
    let folder = cluster.folder.join("bin");
    user::folder(&folder);
    for entry in std::fs::read_dir(&cluster.node(1).server.stage.bindir).expect("the programs") {
        let entry = entry.expect("a program");
        if entry.file_name() != name {
            std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).expect("a link");
        }
    }
    let path = folder.join(name);
    user::write(&path, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the mode");
    format!("pg_bindir='{}'\n", folder.display())
}

#[test]
fn a_backup_that_is_not_intact_does_not_stay() {
    let cluster = cluster("clone-verify", "");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let script = "[ \"$1\" = --version ] && { echo 'pg_verifybackup (PostgreSQL) 15.1'; exit 0; }\n\
                  echo \"pg_verifybackup: error: $1 is damaged\" >&2; exit 1";
    let programs = programs_with(&cluster, "pg_verifybackup", script);
    standby.write_config(&format!("{programs}use_replication_slots=true\n"));
    let error = clone_fails(14, standby, primary, &["--verify-backup"]);
    assert!(error.contains("is damaged"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(primary), "");
}

#[test]
fn a_source_that_dies_leaves_nothing_here_and_is_named() {
    let settings = "use_replication_slots=true\npg_basebackup_options='--max-rate=32'\n";
    let cluster = cluster("clone-dead", settings);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let conninfo = primary.server.conninfo();
    let child = standby
        .program("repmgr")
        .args(["-d", &conninfo, "standby", "clone", "--fast-checkpoint"])
        .args(Flavor::current().superuser_option())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    eventually("the backup has begun", || {
        standby.server.data.join("base").exists().then_some(())
    });
    primary.server.kill();
    let output = child.wait_with_output().expect("repmgr");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{text}");
    assert!(text.contains("pg_drop_replication_slot('repmgr_slot_2')"), "{text}");
    assert!(!standby.server.data.exists());
}

#[test]
fn another_role_manages_the_slots() {
    let cluster = cluster("clone-repl", "use_replication_slots=true\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let password = support::server::PASSWORD.replace('\'', "''").replace('\\', "\\\\");
    let server = &primary.server;
    server.query(&format!(
        "CREATE ROLE \"my repl\" REPLICATION LOGIN PASSWORD E'{password}'"
    ));
    server.query("ALTER ROLE repmgr NOREPLICATION NOSUPERUSER");
    server.query("GRANT ALL ON SCHEMA repmgr TO repmgr");
    server.query("GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO repmgr");
    let conninfo = server.conninfo();
    let options = ["-d", conninfo.as_str(), "standby", "clone", "--fast-checkpoint"];

    standby.repmgr_ok(&[&options[..], &["--replication-user=my repl", "--dry-run"]].concat());
    assert_eq!(slots(primary), "");
    standby.repmgr_ok(&[&options[..], &["--replication-user=my repl"]].concat());
    assert_eq!(slots(primary), "repmgr_slot_2");

    server.query("SELECT pg_drop_replication_slot('repmgr_slot_2')");
    server.query("UPDATE repmgr.nodes SET repluser = 'my repl' WHERE node_id = 1");
    standby.repmgr_ok(&[&options[..], &["--force"]].concat());
    assert_eq!(slots(primary), "repmgr_slot_2");
    assert!(primary_conninfo(standby).contains("user=''my repl''"));
    standby.server.configure("");
    standby.server.start();
    cluster.wait_streaming(1, 2);
    assert_eq!(server.query("SELECT usename FROM pg_stat_replication"), "my repl");
}

#[test]
fn external_configuration_files_come_from_another_host() {
    let cluster = Cluster::new("clone-ssh", 2);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (folder, bin) = (cluster.folder.join("my etc"), cluster.folder.join("bin"));
    user::folder(&folder);
    user::folder(&bin);
    let ident = folder.join("it's ident.conf");
    user::write(&ident, "# from the source\n");
    let quoted = ident.display().to_string().replace('\'', "''");
    cluster.primary_up(&format!("ident_file = '{quoted}'"));
    // Takes this host for the other one, and notes whom it was asked for.
    let ssh = bin.join("ssh");
    let log = bin.join("log");
    let script = format!(
        "#!/bin/sh\nuser=\nwhile :; do case $1 in -l) user=$2; shift 2;; -o) shift 2;; -*) shift;; *) break;; esac; done\n\
         case $1 in *@*) ;; *) set -- \"$user@$@\";; esac\necho \"$1\" >>{}\nshift\nexec /bin/sh -c \"$*\"\n",
        log.display()
    );
    user::write(&ssh, &script);
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).expect("the mode");

    let conninfo = match Flavor::current() {
        // The certificate is not made out to the other host's name.
        Flavor::Tls => return,
        Flavor::Ipv6 => format!("{} hostaddr=::1", primary.server.conninfo()),
        _ => format!("{} hostaddr=127.0.0.1", primary.server.conninfo()),
    };
    let conninfo = conninfo.replace(&format!("host={} ", Flavor::current().host()), "host=other.invalid ");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH"));
    let output = standby
        .program("repmgr")
        .env("PATH", path)
        .args(["-d", &conninfo, "standby", "clone", "-c", "-R", "somebody"])
        .arg("--copy-external-config-files=pgdata")
        .args(Flavor::current().superuser_option())
        .output()
        .expect("repmgr");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let copied = std::fs::read_to_string(standby.server.data.join("it's ident.conf"));
    assert_eq!(copied.expect("the copy"), "# from the source\n");
    let asked = std::fs::read_to_string(&log).expect("the log");
    // ssh is also asked for its settings (-F none -G), which is no host.
    let asked = asked.replace("@none\n", "");
    assert!(
        asked.lines().count() >= 2 && asked.lines().all(|line| line == "somebody@other.invalid"),
        "{asked}"
    );
}
