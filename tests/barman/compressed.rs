//! Backups and WAL that Barman keeps compressed, on a host of its own.

use crate::support::eventually;
use crate::support::hosts::Hosts;
use crate::support::user;
use crate::{Barman, attach, barman_id, clone_fails, files, installed, mapping, take_backup};

#[test]
fn a_compressed_backup_is_unpacked_and_its_wal_decompressed() {
    if !installed() {
        return;
    }
    let Some(hosts) = Hosts::new("barman-gzip", 3) else {
        return;
    };
    for node in &hosts.nodes {
        node.write_config("");
    }
    hosts.primary_up(&(Barman::server_settings(&hosts) + "wal_keep_size = 0\nmin_wal_size = 32MB\n"));
    let (primary, standby) = (hosts.node(1), hosts.node(2));
    let address = &hosts.host(1).address;
    let conninfo = format!("host={address} port={} user=repmgr", primary.server.port);
    let method = "backup_method=postgres\nbackup_compression=gzip\ncompression=gzip";
    let barman = Barman::on_host(&hosts, &conninfo, method, Some(hosts.host(3).clone()));
    take_backup(&hosts, &barman);
    let (tablespace, mapping) = mapping(&hosts);
    let host = format!("{}@{}", user::ordinary().2, hosts.host(3).address);
    let settings = barman.settings().replace("localhost", &host);
    standby.write_config(&format!("{settings}{mapping}"));
    let data = barman.folder.join("main/base").join(barman_id(&barman)).join("data");
    let archive = data.join("base.tar.gz");
    assert!(archive.exists(), "it is compressed");
    eventually("the primary has removed WAL since the backup", || {
        primary.server.query("SELECT pg_switch_wal()");
        primary.server.query("CHECKPOINT");
        (files(&barman.folder.join("main/incoming")) > 3).then_some(())
    });
    barman.ok(&["archive-wal", "main"]);

    // What is not there is found out first.
    let options = ["-d", &primary.server.conninfo()];
    let aside = archive.with_extension("aside");
    std::fs::rename(&archive, &aside).expect("to move it");
    let error = clone_fails(19, standby, &options);
    assert!(error.contains("archives are not where they are expected"), "{error}");
    assert!(!standby.server.data.exists() && !tablespace.exists());

    // A broken one is taken back.
    user::write(&archive, "no archive");
    let error = clone_fails(14, standby, &options);
    assert!(error.contains("could not be copied from Barman"), "{error}");
    assert!(!standby.server.data.exists() && !tablespace.exists(), "{error}");
    std::fs::rename(&aside, &archive).expect("to move it back");

    let log = hosts.folder.join("ssh/node3.log");
    let logins = || {
        let text = std::fs::read_to_string(&log).expect("the log of sshd");
        text.matches("Accepted publickey").count()
    };
    let before = logins();
    let said = clone_fails(0, standby, &options);
    assert!(said.contains("standby clone (using Barman) complete"), "{said}");
    assert_eq!(
        logins() - before,
        2,
        "one session for questions, one for all archives\n{said}"
    );
    attach(&hosts, 2);
    assert_eq!(
        standby
            .server
            .query("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'ts'"),
        tablespace.display().to_string()
    );
}
