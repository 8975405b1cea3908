//! `standby clone` from Barman: a real Barman with real backups of a real primary, on this host.
//! What counts is what the servers and the file system say, not what the program prints.

#[path = "../support/mod.rs"]
mod support;

mod backup_api;
mod compressed;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::cluster::{Cluster, Node};
use support::hosts::Hosts;
use support::network::Namespace;
use support::{PATIENCE, eventually, skip, user, within};

/// A Barman of its own, in the cluster's folder, that backs up node 1 as `main`.
struct Barman {
    folder: PathBuf,
    config: PathBuf,
    host: Option<Namespace>,
}

/// Whether Barman is installed here.
fn installed() -> bool {
    let there = |program: &str| {
        let status = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let installed = there("barman") && there("rsync");
    if !installed {
        skip("barman", "barman and rsync are not installed");
    }
    installed
}

impl Barman {
    /// Node 1 must run with [`Barman::server_settings`].
    fn new(cluster: &Cluster) -> Barman {
        let server = &cluster.node(1).server;
        let conninfo = format!("host={} port={} user=postgres", server.folder.display(), server.port);
        Barman::on_host(cluster, &conninfo, "backup_method=postgres", None)
    }

    /// The same on a host of its own.
    fn on_host(cluster: &Cluster, conninfo: &str, method: &str, host: Option<Namespace>) -> Barman {
        let folder = cluster.folder.join("barman");
        for part in ["", "main", "main/incoming", "main/base", "main/wals", "main/streaming"] {
            user::folder(&folder.join(part));
        }
        let config = folder.join("barman.conf");
        let server = &cluster.node(1).server;
        let text = format!(
            "[barman]\nbarman_user={user}\nbarman_home={home}\nbarman_lock_directory={home}\nlog_file={home}/barman.log\n\
             [main]\ndescription=main\nconninfo={conninfo} dbname=postgres\nstreaming_conninfo={conninfo}\n\
             {method}\narchiver=on\nstreaming_archiver=off\nimmediate_checkpoint=true\n\
             path_prefix={bindir}\n\
             [empty]\ndescription=empty\nconninfo={conninfo} dbname=postgres\nstreaming_conninfo={conninfo}\n\
             backup_method=postgres\narchiver=on\n",
            user = user::ordinary().2,
            home = folder.display(),
            bindir = server.stage.bindir.display(),
        );
        user::write(&config, &text);
        Barman { folder, config, host }
    }

    /// What the server that is backed up needs.
    fn server_settings(cluster: &Cluster) -> String {
        format!(
            "archive_mode = on\narchive_command = 'cp %p {}/main/incoming/%f'\n",
            cluster.folder.join("barman").display()
        )
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = match &self.host {
            Some(host) => user::command_on(host, "barman"),
            None => user::command("barman"),
        };
        command
            .arg("-c")
            .arg(&self.config)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("barman")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "barman {arguments:?}: {text}");
        text
    }

    /// Takes a backup; its id.
    fn back_up(&self, primary: &Node) -> String {
        eventually("the first WAL file is archived", || {
            primary.server.query("SELECT pg_switch_wal()");
            self.ok(&["archive-wal", "main"]);
            let wals = std::fs::read_dir(self.folder.join("main/wals")).expect("the archive");
            (wals.count() > 1).then_some(())
        });
        self.ok(&["backup", "main"]);
        let mut backups: Vec<String> = std::fs::read_dir(self.folder.join("main/base"))
            .expect("the backups")
            .map(|entry| entry.expect("a backup").file_name().into_string().expect("its id"))
            .collect();
        backups.sort();
        backups.pop().expect("a backup")
    }

    /// The lines of repmgr.conf for cloning from it without SSH.
    fn settings(&self) -> String {
        format!(
            "barman_host='localhost'\nbarman_server=main\nbarman_config='{}'\n",
            self.config.display()
        )
    }
}

/// A primary with a Barman that has a backup of it.
fn with_backup(name: &str) -> (Cluster, Barman) {
    with_backup_and(name, "")
}

fn with_backup_and(name: &str, server_settings: &str) -> (Cluster, Barman) {
    let cluster = Cluster::new(name, 2);
    cluster.primary_up(&(Barman::server_settings(&cluster) + server_settings));
    let barman = Barman::new(&cluster);
    take_backup(&cluster, &barman);
    (cluster, barman)
}

/// Some rows before a backup, some after it, in a tablespace.
fn take_backup(cluster: &Cluster, barman: &Barman) {
    let primary = &cluster.node(1).server;
    let location = cluster.folder.join("ts on primary");
    user::folder(&location);
    primary.query(&format!("CREATE TABLESPACE ts LOCATION '{}'", location.display()));
    primary.query("CREATE TABLE before TABLESPACE ts AS SELECT generate_series(1, 1000) AS n");
    barman.back_up(cluster.node(1));
    primary.query("CREATE TABLE after TABLESPACE ts AS SELECT generate_series(1, 500) AS n");
}

fn mapping(cluster: &Cluster) -> (PathBuf, String) {
    let to = cluster.folder.join("ts on standby");
    let line = format!(
        "tablespace_mapping='{}={}'\n",
        cluster.folder.join("ts on primary").display(),
        to.display()
    );
    (to, line)
}

fn clone(node: &Node, more: &[&str]) -> Output {
    node.repmgr(&[&["standby", "clone"], more].concat())
}

fn clone_fails(code: i32, node: &Node, more: &[&str]) -> String {
    let output = clone(node, more);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{more:?}\n{text}");
    text
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Starts a clone and waits until it streams and has all that the primary has.
fn attach(cluster: &Cluster, id: u32) {
    let (primary, node) = (cluster.node(1), cluster.node(id));
    node.server.configure("archive_mode = off");
    node.server.start();
    cluster.wait_streaming(1, id);
    node.repmgr_ok(&["standby", "register"]);
    primary.server.query("INSERT INTO after SELECT 1");
    let count = "SELECT (SELECT count(*) FROM before) || ' ' || (SELECT count(*) FROM after)";
    let expected = primary.server.query(count);
    eventually("the standby has all rows", || {
        (node.server.try_query(count).as_ref() == Ok(&expected)).then_some(())
    });
    assert!(!node.server.is_primary());
}

#[test]
fn a_clone_of_a_backup_streams_and_is_recorded() {
    if !installed() {
        return;
    }
    let (cluster, barman) = with_backup("barman");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (tablespace, mapping) = mapping(&cluster);
    standby.write_config(&format!("{}{mapping}use_replication_slots=true\n", barman.settings()));
    let conninfo = primary.server.conninfo();

    clone_fails(0, standby, &["-d", &conninfo, "--dry-run"]);
    assert!(!standby.server.data.exists() && !tablespace.exists());
    assert_eq!(primary.server.query("SELECT count(*) FROM pg_replication_slots"), "0");

    let log = clone_fails(0, standby, &["-d", &conninfo]);
    assert!(log.contains("standby clone (using Barman) complete"), "{log}");
    assert!(standby.server.data.join("standby.signal").exists());
    assert_eq!(
        primary.server.query("SELECT slot_name FROM pg_replication_slots"),
        "repmgr_slot_2"
    );
    let details = "SELECT details FROM repmgr.events WHERE event = 'standby_clone'";
    assert!(
        primary
            .server
            .query(details)
            .ends_with("; backup method: barman; --force: N")
    );
    attach(&cluster, 2);
    assert_eq!(
        standby
            .server
            .query("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'ts'"),
        tablespace.display().to_string()
    );
    assert_eq!(primary.server.query("SELECT active FROM pg_replication_slots"), "t");
}

#[test]
fn without_a_node_the_upstream_is_asked_for_through_barman() {
    if !installed() {
        return;
    }
    let (cluster, barman) = with_backup("barman-alone");
    let standby = cluster.node(2);
    let (_, mapping) = mapping(&cluster);
    standby.write_config(&format!("{}{mapping}", barman.settings()));
    for more in [&["--dry-run"][..], &["--no-upstream-connection"]] {
        clone_fails(0, standby, more);
        assert_eq!(standby.server.data.exists(), more[0] != "--dry-run");
    }
    let auto = std::fs::read_to_string(standby.server.data.join("postgresql.auto.conf")).expect("its settings");
    let port = format!("port={}", cluster.node(1).server.port);
    assert!(auto.contains(&port), "{auto}");
    attach(&cluster, 2);
}

#[test]
fn a_clone_that_fails_leaves_what_was_there_and_nothing_else() {
    if !installed() {
        return;
    }
    let (cluster, barman) = with_backup("barman-fails");
    a_copy_that_is_interrupted_or_dies_is_taken_back(&cluster, &barman);
    a_full_disk_is_named_and_cleaned_up(&cluster, &barman);
    a_running_server_is_not_emptied_and_a_directory_in_use_stays(&cluster, &barman);
    what_is_missing_is_found_before_anything_is_touched(&cluster, &barman);
}

fn what_is_missing_is_found_before_anything_is_touched(cluster: &Cluster, barman: &Barman) {
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (_, mapping) = mapping(cluster);
    let conninfo = primary.server.conninfo();
    let good = barman.settings();
    let check = |code: i32, settings: &str, options: &[&str], word: &str| {
        standby.write_config(&format!("{settings}{mapping}use_replication_slots=true\n"));
        let error = clone_fails(code, standby, &[&["-d", &conninfo], options].concat());
        assert!(error.contains(word), "{settings}{error}");
        assert!(!standby.server.data.exists(), "{settings}");
        assert_eq!(primary.server.query("SELECT count(*) FROM pg_replication_slots"), "0");
    };
    check(19, &good.replace("server=main", "server=other"), &[], "other");
    check(19, &good.replace("server=main", "server=empty"), &[], "empty");
    check(19, &good.replace("barman.conf", "nothing.conf"), &[], "nothing.conf");
    check(
        19,
        &good.replace("localhost", "no-such-host.invalid"),
        &[],
        "no-such-host.invalid",
    );
    check(1, &good, &["--verify-backup"], "--verify-backup");
    check(1, &good, &["--upstream-node-id=77"], "77");

    // A backup of another cluster, compressed ones: told by what Barman wrote about them.
    let info = barman
        .folder
        .join("main/base")
        .join(barman_id(barman))
        .join("backup.info");
    let text = std::fs::read_to_string(&info).expect("backup.info");
    let id = primary
        .server
        .query("SELECT system_identifier FROM pg_control_system()");
    for (from, to, word) in [
        (
            format!("systemid={id}"),
            "systemid=7".to_owned(),
            "another database cluster",
        ),
        (
            "compression=None".to_owned(),
            "compression=gzip".to_owned(),
            "compressed",
        ),
        ("timeline=1".to_owned(), "timeline=5".to_owned(), "histories"),
    ] {
        assert!(text.contains(&from), "{text}");
        user::write(&info, &text.replace(&from, &to));
        check(19, &good, &[], word);
    }
}

fn barman_id(barman: &Barman) -> String {
    let mut entries = std::fs::read_dir(barman.folder.join("main/base")).expect("the backups");
    let entry = entries.next().expect("a backup").expect("a backup");
    entry.file_name().into_string().expect("its id")
}

fn a_running_server_is_not_emptied_and_a_directory_in_use_stays(cluster: &Cluster, barman: &Barman) {
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (tablespace, mapping) = mapping(cluster);
    primary.write_config(&barman.settings());
    clone_fails(1, primary, &["-d", &primary.server.conninfo(), "--force"]);
    assert!(primary.server.is_running() && primary.server.is_primary());

    standby.write_config(&format!("{}{mapping}", barman.settings()));
    user::folder(&standby.server.data);
    user::write(&standby.server.data.join("precious"), "x");
    clone_fails(1, standby, &["-d", &primary.server.conninfo()]);
    assert!(standby.server.data.join("precious").exists());
    user::folder(&tablespace);
    user::write(&tablespace.join("precious"), "x");
    clone_fails(1, standby, &["-d", &primary.server.conninfo(), "--force"]);
    assert!(standby.server.data.join("precious").exists() && tablespace.join("precious").exists());
    std::fs::remove_file(tablespace.join("precious")).expect("removed");
    clone_fails(0, standby, &["-d", &primary.server.conninfo(), "--force"]);
    assert!(!standby.server.data.join("precious").exists());
    for folder in [&standby.server.data, &tablespace] {
        std::fs::remove_dir_all(folder).expect("the clone is removed");
    }
}

/// A copy that does not get anywhere, until it is told to end.
fn slow_rsync(cluster: &Cluster, kilobytes: u32) -> String {
    let folder = cluster.folder.join("bin");
    user::folder(&folder);
    let real = Command::new("sh")
        .args(["-c", "command -v rsync"])
        .output()
        .expect("sh");
    let real = String::from_utf8_lossy(&real.stdout).trim().to_owned();
    let script = folder.join("rsync");
    user::write(
        &script,
        &format!(
            "#!/bin/sh\necho $$ >{}/pid\nexec {real} --bwlimit={kilobytes} \"$@\"\n",
            folder.display()
        ),
    );
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    format!("{}:{}", folder.display(), std::env::var("PATH").expect("PATH"))
}

fn a_copy_that_is_interrupted_or_dies_is_taken_back(cluster: &Cluster, barman: &Barman) {
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (tablespace, mapping) = mapping(cluster);
    standby.write_config(&format!("{}{mapping}use_replication_slots=true\n", barman.settings()));
    let path = slow_rsync(cluster, 50);
    for (signal, to_rsync) in [
        (Signal::SIGINT, false),
        (Signal::SIGTERM, false),
        (Signal::SIGKILL, true),
    ] {
        let mut child = standby
            .program("repmgr")
            .args(["-d", &primary.server.conninfo(), "standby", "clone"])
            .env("PATH", &path)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("repmgr");
        eventually("files are copied", || (files(&standby.server.data) > 3).then_some(()));
        assert_eq!(primary.server.query("SELECT count(*) FROM pg_replication_slots"), "1");
        let pid = if to_rsync {
            let text = std::fs::read_to_string(cluster.folder.join("bin/pid")).expect("rsync's process");
            text.trim().parse().expect("a process id")
        } else {
            i32::try_from(child.id()).expect("a process id")
        };
        kill(Pid::from_raw(pid), signal).expect("a signal");
        let status = eventually("the clone has ended", || child.try_wait().expect("its status"));
        assert_eq!(status.code(), Some(14), "{signal}");
        assert!(!standby.server.data.exists() && !tablespace.exists(), "{signal}");
        assert_eq!(primary.server.query("SELECT count(*) FROM pg_replication_slots"), "0");
    }
}

#[test]
fn barman_on_a_host_of_its_own_is_reached_over_ssh() {
    if !installed() {
        return;
    }
    let Some(hosts) = Hosts::new("barman-ssh", 3) else {
        return;
    };
    for node in &hosts.nodes {
        node.write_config("");
    }
    hosts.primary_up(&Barman::server_settings(&hosts));
    let (primary, standby) = (hosts.node(1), hosts.node(2));
    let conninfo = format!(
        "host={} port={} user=repmgr",
        hosts.host(1).address,
        primary.server.port
    );
    let method = format!(
        "backup_method=rsync\nssh_command=ssh {}@{}\nreuse_backup=link",
        user::ordinary().2,
        hosts.host(1).address
    );
    let barman = Barman::on_host(&hosts, &conninfo, &method, Some(hosts.host(3).clone()));
    take_backup(&hosts, &barman);
    let (tablespace, mapping) = mapping(&hosts);
    let host = format!("{}@{}", user::ordinary().2, hosts.host(3).address);
    let settings = barman.settings().replace("localhost", &host);
    standby.write_config(&format!("{settings}{mapping}"));

    hosts.stop_sshd(3);
    let error = clone_fails(19, standby, &["-d", &primary.server.conninfo()]);
    assert!(error.contains(&host), "{error}");
    hosts.start_sshd(3);
    clone_fails(0, standby, &["--dry-run"]);
    assert!(!standby.server.data.exists() && !tablespace.exists());

    // A connection that is lost in the middle is taken up again.
    let log = hosts.folder.join("clone.log");
    let mut child = standby
        .program("repmgr")
        .args(["-d", &primary.server.conninfo(), "standby", "clone"])
        .env("PATH", slow_rsync(&hosts, 2000))
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("repmgr");
    eventually("files are copied", || (files(&standby.server.data) > 3).then_some(()));
    hosts.stop_sshd(3);
    let text = || std::fs::read_to_string(&log).expect("the log");
    eventually("the lost connection is noticed", || {
        text().contains("taken up again").then_some(())
    });
    hosts.start_sshd(3);
    let status = within(2 * PATIENCE, "the clone has ended", || {
        child.try_wait().expect("its status")
    });
    assert!(status.success(), "{}", text());
    attach(&hosts, 2);
}

fn a_full_disk_is_named_and_cleaned_up(cluster: &Cluster, barman: &Barman) {
    if !nix::unistd::geteuid().is_root() {
        return skip("faults", "a file system of its own needs root");
    }
    let (_, mapping) = mapping(cluster);
    let standby = cluster.node(2);
    standby.write_config(&format!("{}{mapping}", barman.settings()));
    user::folder(&standby.server.data);
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs"])
        .arg(&standby.server.data)
        .output()
        .expect("mount");
    if !mounted.status.success() {
        return skip("faults", "no tmpfs can be mounted here");
    }
    user::give(&standby.server.data);
    let output = clone(standby, &[]);
    let left = files(&standby.server.data);
    let unmounted = Command::new("umount").arg(&standby.server.data).status();
    assert!(unmounted.expect("umount").success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(14), "{text}");
    assert!(text.contains("make room"), "{text}");
    assert_eq!(left, 0);
    std::fs::remove_dir(&standby.server.data).expect("the mount point is empty");
}

#[test]
fn wal_that_the_primary_has_removed_comes_from_barman() {
    if !installed() {
        return;
    }
    let (cluster, barman) = with_backup_and("barman-wal", "wal_keep_size = 0\nmin_wal_size = 32MB\n");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let (_, mapping) = mapping(&cluster);
    let options = ["-d", &primary.server.conninfo()];
    standby.write_config(&format!("{}{mapping}", barman.settings()));
    let archived = || files(&barman.folder.join("main/incoming"));
    eventually("the primary has removed WAL since the backup", || {
        primary.server.query("SELECT pg_switch_wal()");
        primary.server.query("CHECKPOINT");
        (archived() > 3).then_some(())
    });
    let error = clone_fails(19, standby, &options);
    assert!(error.contains("Barman has all the WAL"), "{error}");

    barman.ok(&["archive-wal", "main"]);
    assert!(!standby.server.data.exists());

    clone_fails(0, standby, &options);
    assert!(files(&standby.server.data.join("pg_wal")) > 1);
    attach(&cluster, 2);
    standby.server.stop("fast");
    primary.server.query("DELETE FROM repmgr.nodes WHERE node_id = 2");

    let restore = format!(
        "restore_command='barman -c {} get-wal main %f >%p'\n",
        barman.config.display()
    );
    standby.write_config(&format!("{}{mapping}{restore}", barman.settings()));
    std::fs::remove_dir_all(mapping_target(&cluster)).expect("the tablespace's directory");
    clone_fails(0, standby, &[&options[..], &["--force"]].concat());
    let wal = standby.server.data.join("pg_wal");
    assert_eq!(files(&wal), usize::from(wal.join("archive_status").exists()));
    attach(&cluster, 2);
}

fn mapping_target(cluster: &Cluster) -> PathBuf {
    mapping(cluster).0
}
