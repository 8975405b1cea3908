//! How fast a standby is cloned, beside plain pg_basebackup from the same server to the same disk.

use crate::Bench;
use crate::comparison::{Comparison, Goal};
use crate::support::user;
use crate::writers::{micros, seconds};

/// Megabytes in the source's tables.
const MEGABYTES: u32 = 512;

/// Ours in place of the original is pg_basebackup here.
pub fn beside_pg_basebackup(bench: &mut Bench) {
    let hosts = &bench.ours;
    let source = &hosts.node(1).server;
    source.query(&format!(
        "CREATE TABLE public.weight AS SELECT repeat(md5(n::text), 32) AS text FROM generate_series(1, {MEGABYTES} * 960) AS n"
    ));
    source.query("CHECKPOINT");
    for standby in [2, 3] {
        hosts.wait_streaming(1, standby);
        crate::support::eventually("the standby has the table", || {
            let behind = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), min(replay_lsn)) FROM pg_stat_replication";
            (source.query(behind) == "0").then_some(())
        });
    }
    let folder = hosts.host(3).home.join("cloned");
    let config = hosts.host(3).home.join("cloned.conf");
    let data = folder.join("data");
    user::write(
        &config,
        &format!(
            "node_id=90\nnode_name='cloned'\nconninfo='{}'\ndata_directory='{}'\npg_bindir='{}'\n",
            hosts.node(3).server.conninfo(),
            data.display(),
            source.stage.bindir.display()
        ),
    );
    let conninfo = source.conninfo();
    let clone = format!(
        "{} -f {} -d '{conninfo}' standby clone -c",
        hosts.node(3).programs.join("repmgr").display(),
        config.display()
    );
    let plain = format!(
        "{} -d '{conninfo}' -D {} -X stream -c fast",
        source.stage.bindir.join("pg_basebackup").display(),
        data.display()
    );
    let mut comparison = Comparison::new(
        format!("standby clone of {MEGABYTES} MB (second column: pg_basebackup)"),
        Goal::Part(1.05),
    );
    for _ in 0..bench.rounds.clamp(3, 5) {
        for (command, times) in [(&clone, &mut comparison.ours), (&plain, &mut comparison.original)] {
            let script = format!(
                "rm -rf {0}; mkdir {0}; sync; from=$EPOCHREALTIME; {command} >{0}/said 2>&1 || {{ cat {0}/said >&2; exit 1; }}; \
                 echo $from $EPOCHREALTIME",
                folder.display()
            );
            let output = hosts.command(3, "bash").args(["-c", &script]).output().expect("bash");
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8_lossy(&output.stdout);
            let (from, to) = text.trim().split_once(' ').expect("two times");
            times.push(seconds(micros(to) - micros(from)));
        }
    }
    let _ = hosts.command(3, "rm").arg("-rf").arg(&folder).status();
    bench.ours.node(1).server.query("DROP TABLE public.weight");
    bench.add(comparison);
}
