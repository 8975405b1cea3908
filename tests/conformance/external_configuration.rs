//! `standby clone --copy-external-config-files`: what is copied, whereto, and what is refused.

use std::path::Path;

use crate::script::{Script, compare_on_hosts};
use crate::support::user;

#[test]
#[ignore = "make conformance"]
fn external_configuration() {
    compare_on_hosts("conformance-external", 2, external_script);
}

fn external_script(script: &mut Script) {
    let etc = script.cluster.folder.join("etc");
    user::folder(&etc);
    script.cluster.node(1).server.initialise("");
    let data = script.cluster.node(1).server.data.clone();
    let authentication = std::fs::read_to_string(data.join("pg_hba.conf")).expect("pg_hba.conf");
    user::write(&etc.join("pg_hba.conf"), &format!("# from outside\n{authentication}"));
    user::write(&etc.join("pg_ident.conf"), "# names from outside\n");
    script.server_settings(
        1,
        &format!(
            "hba_file = '{0}/pg_hba.conf'\nident_file = '{0}/pg_ident.conf'\n",
            etc.display()
        ),
    );
    script.cluster.node(1).server.start();
    script.cluster.node(1).create_role();
    script.cluster.node(1).repmgr_ok(&["primary", "register"]);
    script
        .cluster
        .node(2)
        .write_config("ssh_options='-q -o ConnectTimeout=2'\n");

    let source = script.cluster.node(1).server.conninfo();
    for more in [
        &[][..],
        &["--copy-external-config-files=nowhere"],
        &["--copy-external-config-files", "--dry-run"],
        &["--copy-external-config-files=samepath", "--dry-run"],
        &["--copy-external-config-files=pgdata", "--dry-run"],
        &["--copy-external-config-files=samepath", "--dry-run", "-S", "nosuch"],
        &["--copy-external-config-files=samepath", "--dry-run", "-R", "nosuch"],
        &["--copy-external-config-files"],
    ] {
        clone(script, &source, more);
    }
    into_the_data_directory(script, &source);
    script.hosts().stop_sshd(1);
    clone(script, &source, &["--copy-external-config-files", "--dry-run"]);
    clone(script, &source, &["--copy-external-config-files"]);
    script.hosts().start_sshd(1);
    std::fs::rename(etc.join("pg_ident.conf"), etc.join("moved")).expect("another name");
    clone(script, &source, &["--copy-external-config-files=pgdata"]);
    std::fs::rename(etc.join("moved"), etc.join("pg_ident.conf")).expect("the name again");
    script
        .cluster
        .node(2)
        .write_config("rsync_options='--archive --nosuch'\nssh_options='-q -o ConnectTimeout=2'\n");
    clone(script, &source, &["--copy-external-config-files=pgdata"]);
    script.sql(1, "CREATE ROLE plain REPLICATION LOGIN");
    let plain = source.replace("user=repmgr", "user=plain");
    script.sql(1, "GRANT USAGE ON SCHEMA repmgr TO plain");
    script.sql(1, "GRANT SELECT ON ALL TABLES IN SCHEMA repmgr TO plain");
    clone(script, &plain, &["--copy-external-config-files=pgdata", "--dry-run"]);
}

/// The original copies before the backup makes the directory, and again after it.
fn into_the_data_directory(script: &mut Script, source: &str) {
    let into = "--copy-external-config-files=pgdata";
    let data = script.cluster.node(2).server.data.clone();
    remove(&data);
    script
        .differs("external-files-into-pgdata", "exit 0")
        .run(2, &["-d", source, "standby", "clone", "-c", into]);
    for more in [&[into][..], &[into, "-S", "postgres"]] {
        remove(&data);
        user::folder(&data);
        script.run(2, &[&["-d", source, "standby", "clone", "-c"], more].concat());
        copied(script);
    }
}

fn clone(script: &mut Script, source: &str, more: &[&str]) {
    remove(&script.cluster.node(2).server.data);
    script.run(2, &[&["-d", source, "standby", "clone", "-c"], more].concat());
    copied(script);
}

fn remove(data: &Path) {
    if data.exists() {
        std::fs::remove_dir_all(data).expect("the data directory can be removed");
    }
}

/// The beginnings of the files that were outside.
fn copied(script: &mut Script) {
    let data = script.cluster.node(2).server.data.clone();
    for name in ["pg_hba.conf", "pg_ident.conf"] {
        let text = std::fs::read_to_string(data.join(name)).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().to_owned();
        script.fact(&format!("{name} in the data directory"), &first);
    }
}
