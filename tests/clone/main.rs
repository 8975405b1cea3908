//! `standby clone` on real servers. What counts is what the servers and the
//! file system say, not what the program prints.

#[path = "../support/mod.rs"]
mod support;

mod failures;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use support::cluster::{Cluster, Node};
use support::flavor::Flavor;
use support::user;

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
