//! Command lines in the life of a cluster: of entry points and roles that build it, of plug-ins that look at it.

use std::path::Path;

use crate::support::cluster::Cluster;
use crate::support::stage::Stage;
use crate::{shell, with_both};

/// Where a line runs, the line, its exit code.
type Line = (u32, &'static str, i32);

const PRIMARY: &[Line] = &[
    (1, "repmgr -f /etc/repmgr.conf primary register --dry-run", 0),
    (1, "repmgr -f /etc/repmgr.conf -p $PORT primary register", 0),
    (1, "repmgr -f /etc/repmgr.conf primary register", 1),
    (1, "repmgr -f /etc/repmgr.conf master register --force", 0),
    (1, "repmgr primary register -F -f /etc/repmgr.conf --verbose", 0),
    (1, "repmgr -v primary register --force", 0),
    (1, "repmgr -f /etc/repmgr.conf -p $PORT cluster show", 0),
];

const CLONE: &[Line] = &[
    (
        2,
        "repmgr -h $PRIMARY -p $PORT -U repmgr -d repmgr -f /etc/repmgr.conf standby clone --dry-run",
        0,
    ),
    (
        2,
        "repmgr standby clone -h $PRIMARY -p $PORT -U repmgr -d repmgr -f /etc/repmgr.conf --force --dry-run",
        0,
    ),
    (
        2,
        "PGPASSWORD=secret repmgr -f /etc/repmgr.conf -h \"$PRIMARY\" -p \"$PORT\" -U \"repmgr\" -d \"repmgr\" \
         -D \"$PGDATA\" \"standby\" \"clone\" \"--fast-checkpoint\"",
        0,
    ),
    (
        2,
        "rm -Rf \"$PGDATA\"/* && repmgr -h ${PRIMARY} -p ${PORT} -U repmgr -d repmgr standby clone --fast-checkpoint",
        0,
    ),
    (
        2,
        "repmgr -f /etc/repmgr.conf --force --host $PRIMARY --port=$PORT --dbname repmgr --user repmgr --verbose \
         standby clone -c",
        0,
    ),
    (
        2,
        "repmgr -d \"host=$PRIMARY port=$PORT user=repmgr dbname=repmgr\" standby clone --fast-checkpoint -F 2>&1 | tail -5",
        0,
    ),
    (
        2,
        "repmgr -f /etc/repmgr.conf -D $PGDATA -d repmgr -U repmgr --ignore-external-config-files standby clone -h $PRIMARY",
        1,
    ),
];

const STANDBY: &[Line] = &[
    (2, "repmgr -f /etc/repmgr.conf standby register", 0),
    (2, "repmgr standby unregister -f /etc/repmgr.conf --node-id=2", 0),
    (2, "repmgr standby register -f /etc/repmgr.conf --force --verbose", 0),
    (2, "repmgr -F -f /etc/repmgr.conf standby register 2>&1 | tail -20", 0),
    (
        2,
        "repmgr -f /etc/repmgr.conf -v standby register --force --wait-sync=30",
        0,
    ),
    (
        2,
        "repmgr -f ./repmgr.conf -h $PRIMARY -p $PORT -U repmgr -d repmgr standby register -F",
        0,
    ),
    (2, "repmgr standby follow -f /etc/repmgr.conf --force --verbose", 0),
    (
        2,
        "repmgr standby follow -f \"/etc/repmgr.conf\" -W --log-level DEBUG --verbose",
        0,
    ),
    (
        2,
        "repmgr standby follow -f /etc/repmgr.conf --log-to-file -W --upstream-node-id=1",
        0,
    ),
    (2, "repmgr -f /etc/repmgr.conf standby follow --wait-upto=now", 1),
];

const WITNESS: &[Line] = &[
    (
        3,
        "repmgr witness register -f /etc/repmgr.conf --host $PRIMARY --port $PORT --force --verbose",
        0,
    ),
    (
        3,
        "env -u PGPASSWORD PGPASSFILE=${PGDATA}/.pgpass repmgr -f /etc/repmgr.conf -h \"$PRIMARY\" -p $PORT -U repmgr \
         -d repmgr witness register",
        1,
    ),
    (
        3,
        "repmgr -f /etc/repmgr.conf witness register -h $PRIMARY -p $PORT -U repmgr -d repmgr --force",
        0,
    ),
];

/// Lines that are refused, whatever the cluster is like.
const REFUSED: &[Line] = &[
    (1, "repmgr -f /etc/repmgr.conf cluster status", 1),
    (1, "repmgr -f /etc/repmgr.conf standby demote", 1),
    (1, "repmgr -f /etc/repmgr.conf bdr register", 1),
    (1, "repmgr -f /etc/repmgr.conf witness create", 1),
    (1, "repmgr -f /etc/repmgr.conf daemon", 1),
    (1, "repmgr -f /etc/repmgr.conf cluster diagnose", 1),
    (1, "repmgr cluster show -force", 1),
    (1, "repmgrd -f /etc/repmgr.conf --no-daemonize", 1),
    (1, "repmgr -f /nonexistent/repmgr.conf cluster show", 1),
];

/// Where a line runs, the line, what it prints.
const ASKED: &[(u32, &str, &str)] = &[
    (1, "repmgr --version | cut -d' ' -f1", "repmgr"),
    (1, "repmgrd -V | cut -d' ' -f1", "repmgrd"),
    (
        2,
        "repmgr node check -f /etc/repmgr.conf -qt --replication-lag | cut -c1-2",
        "OK",
    ),
    (
        2,
        "repmgr -f /etc/repmgr.conf --log-level=ERROR node check --role",
        "OK (node is standby)",
    ),
    (
        1,
        "repmgr  -f /etc/repmgr.conf node check --role",
        "OK (node is primary)",
    ),
    (
        2,
        "repmgr node check --role -f /etc/repmgr.conf 2>/dev/null || repmgr standby register -f /etc/repmgr.conf --force",
        "OK (node is standby)",
    ),
    (
        1,
        "repmgr cluster show > /dev/null && repmgr cluster show --csv | awk -F, '$3 == 0 { printf(\"pgnode%d\\n\", $1) }'",
        // A witness is no standby, either.
        "pgnode1\npgnode3",
    ),
    (
        2,
        "repmgr -f /etc/repmgr.conf cluster show --compact 2>/dev/null | awk -F'|' '$3 ~ /primary/ && /running/ { gsub(/ /, \"\", $2); print $2 }'",
        "node1",
    ),
    (2, "repmgr cluster show --csv 2>/dev/null | grep ^2", "2,0,1"),
    (
        2,
        "repmgr node status --csv | tr -d '\"' | awk -F, '$1 == \"Node name\" { print $2 }'",
        "node2",
    ),
    (
        2,
        "repmgr node status --csv | grep \"Node ID\" | cut -d, -f 2 | sed 's/\"//g'",
        "2",
    ),
    (
        2,
        "repmgr node status 2>/dev/null | awk -F: '/Role:/ { gsub(/ /, \"\", $2); print $2 }'",
        "standby",
    ),
    (
        1,
        "repmgr daemon status --csv | cut -d, -f3,5,7",
        "primary,0,0\nstandby,0,0\nwitness,0,0",
    ),
    (
        1,
        "repmgr -f /etc/repmgr.conf service status --csv 2>/dev/null | cut -d, -f1-4",
        "1,node1,primary,1\n2,node2,standby,1\n3,node3,witness,1",
    ),
    (
        2,
        "repmgr daemon status | awk -F\"|\" '/^ [1-2]/ && /not running/ { print $1 + 0 }'",
        "1\n2",
    ),
    (
        1,
        "repmgr -f /etc/repmgr.conf cluster event --event=standby_register --limit=1 --csv | cut -d, -f1-4",
        "2,node2,standby_register,t",
    ),
    (
        2,
        "repmgr -f /etc/repmgr.conf node check --replication-lag --nagios | cut -d' ' -f1,2",
        "REPMGR_REPLICATION_LAG OK:",
    ),
    (
        1,
        "repmgr -f /etc/repmgr.conf node check --archive-ready --nagios 2>/dev/null | sed 's/ |.*//'",
        "REPMGR_ARCHIVE_READY OK: 0 pending archive ready files",
    ),
    (
        1,
        "repmgr node check --slots -f /etc/repmgr.conf -t -L ERROR; echo $?",
        "OK (node has no physical replication slots)\n0",
    ),
    (
        1,
        "repmgr -qt -f /etc/repmgr.conf node check --downstream | cut -c1-2",
        "OK",
    ),
    (
        2,
        "repmgr -f /etc/repmgr.conf node check --upstream --nagios; echo \"status: $?\"",
        "REPMGR_UPSTREAM_SERVER OK: node \"node2\" (ID: 2) is attached to expected upstream node \"node1\" (ID: 1)\nstatus: 0",
    ),
];

const FAILOVER: &[Line] = &[
    (1, "pg_ctl -D \"$PGDATA\" -m fast -w stop", 0),
    (
        2,
        "PGPASSWORD=secret repmgr standby promote -f \"/etc/repmgr.conf\" --log-level DEBUG --verbose",
        0,
    ),
    (
        3,
        "repmgr -f /etc/repmgr.conf -h $PRIMARY -p $PORT2 -U repmgr -d repmgr witness register -F",
        0,
    ),
    (
        1,
        "repmgr -f /etc/repmgr.conf node rejoin -d \"postgres://repmgr@$PRIMARY:$PORT2/repmgr\" --dry-run --verbose",
        0,
    ),
    (
        1,
        "repmgr node rejoin -d\"host=$PRIMARY port=$PORT2 user=repmgr dbname=repmgr connect_timeout=2\" \
         --force-rewind --config-files=postgresql.conf,pg_hba.conf,server.crt --dry-run",
        0,
    ),
    (
        1,
        "repmgr -f /etc/repmgr.conf node rejoin -d repmgr -h $PRIMARY -p $PORT2 -U repmgr --verbose",
        0,
    ),
    (2, "repmgr -f /etc/repmgr.conf cluster cleanup -k 7", 0),
    (2, "repmgr cluster cleanup --keep-history=7", 0),
    (2, "repmgr -f /etc/repmgr.conf service pause -t", 0),
    (2, "repmgr daemon unpause -f /etc/repmgr.conf", 0),
    (1, "repmgr -f /etc/repmgr.conf standby unregister --node-id 1", 0),
    (2, "repmgr -f /etc/repmgr.conf witness unregister --node-id=3", 0),
];

fn run(cluster: &Cluster, lines: &[Line]) {
    for (id, line, code) in lines {
        let mut command = shell(cluster, cluster.node(*id), 1, line);
        let second = cluster.node(2).server.port.to_string();
        let output = command.env("PORT2", second).output().expect("sh");
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{} on node{id}: {line}\n{}{}",
            cluster.node(*id).programs.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn life(stage: &'static Stage, programs: &Path) {
    let cluster = Cluster::with_stage("wild-lines", 3, stage, programs);
    let (first, second, third) = (cluster.node(1), cluster.node(2), cluster.node(3));
    first.server.initialise("shared_preload_libraries = 'repmgr'");
    first.server.start();
    first.create_role();
    second.write_config("pg_basebackup_options='--no-sync'\n");
    run(&cluster, PRIMARY);
    run(&cluster, CLONE);
    second.server.configure("");
    second.server.start();
    cluster.wait_streaming(1, 2);
    run(&cluster, STANDBY);
    cluster.wait_streaming(1, 2);
    third.server.initialise("shared_preload_libraries = 'repmgr'");
    third.server.start();
    third.create_role();
    run(&cluster, WITNESS);
    run(&cluster, REFUSED);
    cluster.wait_record(2, 3);
    let complaints: Vec<String> = ASKED
        .iter()
        .filter_map(|(id, line, printed)| {
            let output = shell(&cluster, cluster.node(*id), 1, line).output().expect("sh");
            let text = String::from_utf8_lossy(&output.stdout);
            let trimmed = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
            let errors = String::from_utf8_lossy(&output.stderr);
            (trimmed != *printed).then(|| format!("{line}\n{trimmed}\ninstead of\n{printed}\n{errors}"))
        })
        .collect();
    assert!(
        complaints.is_empty(),
        "{}:\n{}",
        programs.display(),
        complaints.join("\n")
    );
    run(&cluster, FAILOVER);
    assert_eq!(
        second.server.query("SELECT node_id, type FROM repmgr.nodes"),
        "2|primary"
    );
    cluster.wait_streaming(2, 1);
}

#[test]
fn command_lines() {
    with_both(life);
}
