//! Cloning: what is written, with which options, and what is refused.

use crate::script::{Script, compare};
use crate::support::user;

#[test]
fn cloning() {
    compare("conformance-clone", 4, cloning_script);
}

fn cloning_script(script: &mut Script) {
    let source = script.cluster.node(1).server.conninfo();
    sources_without_cluster(script, &source);
    script.cluster.node(1).repmgr_ok(&["primary", "register"]);
    written_parameters(script, &source);
    command_line_parameters(script, &source);
    tablespaces_and_wal(script, &source);
    directories(script, &source);
    replication_configuration_only(script, &source);
    server_settings(script, &source);
}

fn sources_without_cluster(script: &mut Script, source: &str) {
    script.run(2, &["-d", source, "standby", "clone"]);
    let first = script.cluster.node(1);
    first.server.initialise("");
    first.server.start();
    first.create_role();
    let other = source.replace("dbname=repmgr", "dbname=postgres");
    for arguments in [
        &["-d", source, "standby", "clone"][..],
        &["-d", source, "standby", "clone", "-F"],
        &["-d", &other, "standby", "clone"],
        &["-d", "host=127.0.0.1 port=1", "standby", "clone"],
        &["-d", "host=127.0.0.1 nonsense", "standby", "clone"],
        &["-d", "nonsense=1", "standby", "clone"],
        &["standby", "clone", "127.0.0.1"],
    ] {
        script.run(2, arguments);
    }
    script.fact("what is left", &contents(script, 2));
}

/// The names in a node's data directory that a failed clone could have left there.
fn contents(script: &Script, id: u32) -> String {
    let entries = std::fs::read_dir(&script.cluster.node(id).server.data);
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.join(" ")
}

/// Removes a data directory that the script made.
fn remove(script: &Script, id: u32) {
    let data = &script.cluster.node(id).server.data;
    if data.exists() {
        std::fs::remove_dir_all(data).expect("the data directory can be removed");
    }
}

fn written_parameters(script: &mut Script, source: &str) {
    let passfile = script.cluster.folder.join("passfile").display().to_string();
    for settings in [
        "recovery_min_apply_delay=5min\nrestore_command='cp /archive/%f \"%p\"'\n".to_owned(),
        "restore_command='echo ''a b'' \\\\ %p'\narchive_cleanup_command='pg_archivecleanup /archive %r'\n".to_owned(),
        format!("passfile='{passfile}'\nuse_primary_conninfo_password=true\nreplication_user=postgres\n"),
        "use_primary_conninfo_password=true\nlocation=x\npriority=1\n".to_owned(),
    ] {
        remove(script, 2);
        script.cluster.node(2).write_config(&settings);
        let environment = [("PGPASSWORD", "secret word")];
        script.run_with(2, &environment, &["-d", source, "standby", "clone", "-c"]);
        script.replication_configuration(2);
    }
    script.cluster.node(2).write_config("");
}

fn command_line_parameters(script: &mut Script, source: &str) {
    let port = script.cluster.node(1).server.port.to_string();
    let uri = format!("postgresql://repmgr@127.0.0.1:{port}/repmgr?keepalives=1&application_name=me");
    let long = format!("{source} keepalives_idle=7 sslmode=prefer application_name=other password='it''s \\\\'");
    let upstream = format!("{source} keepalives_interval=3 passfile=/x user=someone");
    for arguments in [
        &[
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "repmgr",
            "-d",
            "repmgr",
            "standby",
            "clone",
        ][..],
        &[
            "-p",
            &port,
            "-U",
            "repmgr",
            "-d",
            "repmgr",
            "standby",
            "clone",
            "127.0.0.1",
        ],
        &["-d", &uri, "standby", "clone"],
        &["-d", &long, "standby", "clone"],
        &["-d", source, "standby", "clone", "--upstream-conninfo", &upstream],
        &["-d", source, "standby", "clone", "--replication-user=postgres"],
        &["-d", source, "standby", "clone", "--replication-user=nosuch"],
        &[
            "-d",
            source,
            "standby",
            "clone",
            "--recovery-min-apply-delay=10s",
            "--upstream-node-id=1",
        ],
        &["-d", source, "standby", "clone", "--recovery-min-apply-delay=3"],
        &["-d", source, "standby", "clone", "--verify-backup", "--without-barman"],
    ] {
        remove(script, 2);
        script.run(2, &[arguments, &["-c"]].concat());
        if arguments[0] == "-p" {
            script.differs("clone-parameter-order", "# Do not");
        }
        script.replication_configuration(2);
    }
}

fn tablespaces_and_wal(script: &mut Script, source: &str) {
    let folder = script.cluster.folder.clone();
    for name in ["old", "other"] {
        user::folder(&folder.join(name));
        script.sql(
            1,
            &format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.join(name).display()),
        );
    }
    let folder_text = folder.display().to_string();
    let mapping = "tablespace_mapping='FOLDER/old=FOLDER/NUMBERnew'\n\
                   tablespace_mapping='FOLDER/other=FOLDER/NUMBERother'\n";
    for (number, settings) in [
        "tablespace_mapping='FOLDER/nosuch=FOLDER/x'\n",
        "pg_basebackup_options='--waldir=FOLDER/wal -X fetch --label=mine'\n",
        "pg_basebackup_options='--waldir=wal'\n",
        "pg_basebackup_options='--nosuch'\n",
        "pg_basebackup_options='--no-slot=x'\n",
        "pg_basebackup_options='-S other'\nuse_replication_slots=true\n",
        "pg_basebackup_options='-X none'\nuse_replication_slots=true\n",
    ]
    .into_iter()
    .enumerate()
    {
        let settings = format!("{mapping}{settings}")
            .replace("FOLDER", &folder_text)
            .replace("NUMBER", &number.to_string());
        remove(script, 3);
        script.cluster.node(3).write_config(&settings);
        script.fact("settings", &settings);
        script.run(3, &["-d", source, "standby", "clone", "-c"]);
        links(script, 3);
        script.slots(1, "a clone with options");
        script.sql(
            1,
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
        );
    }
    let settings = format!("{mapping}pg_basebackup_options='--no-slot'\nuse_replication_slots=true\n")
        .replace("FOLDER", &folder_text)
        .replace("NUMBER", "no-slot");
    remove(script, 3);
    script.cluster.node(3).write_config(&settings);
    script
        .differs("clone-no-slot", "exit 0")
        .run(3, &["-d", source, "standby", "clone", "-c"]);
    script.sql(
        1,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
    );
    script.cluster.node(3).write_config("");
    for name in ["old", "other"] {
        script.sql(1, &format!("DROP TABLESPACE {name}"));
    }
}

/// Records where a clone's WAL and tablespaces are.
fn links(script: &mut Script, id: u32) {
    let data = script.cluster.node(id).server.data.clone();
    let wal = std::fs::read_link(data.join("pg_wal")).unwrap_or_default();
    script.fact("pg_wal", &wal.display().to_string());
    let mut places: Vec<String> = std::fs::read_dir(data.join("pg_tblspc"))
        .into_iter()
        .flatten()
        .map(|entry| {
            let place = std::fs::read_link(entry.expect("an entry").path());
            place.expect("a link").display().to_string()
        })
        .collect();
    places.sort();
    script.fact("tablespaces", &places.join("\n"));
}

fn directories(script: &mut Script, source: &str) {
    remove(script, 4);
    let data = script.cluster.node(4).server.data.clone();
    user::folder(&data);
    script.run(4, &["-d", source, "standby", "clone", "-c"]);
    script.run(4, &["-d", source, "standby", "clone", "-c", "--dry-run"]);
    script.run(4, &["-d", source, "standby", "clone", "-c", "--dry-run", "-F"]);
    script.run(4, &["-d", source, "standby", "clone", "-c", "-F"]);
    remove(script, 4);
    user::folder(&data);
    user::write(&data.join("mine"), "something");
    script.run(4, &["-d", source, "standby", "clone", "-c"]);
    script.fact("a directory with contents", &contents(script, 4));
    script.run(4, &["-d", source, "standby", "clone", "-c", "-F"]);
    script.fact("it is gone", &data.join("mine").exists().to_string());
    script.cluster.node(4).server.configure("");
    script.cluster.node(4).server.start();
    script.cluster.wait_streaming(1, 4);
    script.run(4, &["-d", source, "standby", "clone", "-c", "-F"]);
    script.run(4, &["-d", source, "standby", "clone", "-c", "-F", "--dry-run"]);
    script.sql(1, "INSERT INTO repmgr.nodes(node_id, node_name, type, conninfo, repluser, config_file) VALUES (9, 'node3', 'standby', '', '', '')");
    remove(script, 3);
    script.run(3, &["-d", source, "standby", "clone", "-c"]);
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 9");
    script.wait_replayed(1, 4);
    let standby = script.cluster.node(4).server.conninfo();
    script.run(3, &["-d", &standby, "standby", "clone", "-c"]);
    script.replication_configuration(3);
}

fn replication_configuration_only(script: &mut Script, source: &str) {
    let only = ["-d", source, "standby", "clone", "--replication-conf-only"];
    script.run(4, &only);
    script.runs(4, &["standby register"]);
    script.run(4, &only);
    script.run(4, &[&only[..], &["-F", "--dry-run"]].concat());
    script.cluster.node(4).server.stop("fast");
    script
        .cluster
        .node(4)
        .write_config("use_replication_slots=true\nrestore_command=true\n");
    script.run(4, &[&only[..], &["--dry-run"]].concat());
    script.slots(1, "--replication-conf-only --dry-run");
    script.run(4, &[&only[..], &["--upstream-node-id=7"]].concat());
    script.run(4, &only);
    script.slots(1, "--replication-conf-only");
    script
        .differs("clone-replication-conf-only", "# Do not")
        .replication_configuration(4);
    script.cluster.node(4).server.start();
    script.cluster.wait_streaming(1, 4);
    script.cluster.node(4).server.stop("fast");
    script.cluster.node(4).write_config("");
    script.run(
        4,
        &[
            "-d",
            source,
            "standby",
            "clone",
            "--recovery-conf-only",
            "--recovery-min-apply-delay=1h",
        ],
    );
    script
        .differs("clone-replication-conf-only", "# Do not")
        .replication_configuration(4);
    remove(script, 3);
    script.run(3, &["-d", source, "standby", "clone", "--replication-conf-only"]);
}

fn server_settings(script: &mut Script, source: &str) {
    script.sql(
        1,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
    );
    for (settings, slots) in [
        ("wal_level = minimal\nmax_wal_senders = 0\n", false),
        ("max_wal_senders = 0\n", false),
        ("max_wal_senders = 1\n", false),
        ("max_wal_senders = 10\nmax_replication_slots = 0\n", true),
        ("max_replication_slots = 10\nhot_standby = off\n", false),
        ("hot_standby = on\narchive_mode = on\n", false),
        ("archive_command = 'true'\nwal_keep_size = 0\n", false),
    ] {
        script.cluster.node(1).server.stop("fast");
        script.server_settings(1, "wal_level = replica\n");
        script.server_settings(1, settings);
        script.cluster.node(1).server.start();
        remove(script, 3);
        let config = if slots {
            "use_replication_slots=true\n"
        } else {
            "pg_basebackup_options='-X fetch'\n"
        };
        script.cluster.node(3).write_config(config);
        script.fact(settings, "");
        script.run(3, &["-d", source, "standby", "clone", "-c", "--dry-run"]);
        script.run(3, &["-d", source, "standby", "clone", "-c"]);
    }
}
