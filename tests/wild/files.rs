//! Configuration files in the styles of their makers.

use std::path::Path;

use crate::support::cluster::Cluster;
use crate::support::stage::Stage;
use crate::support::user;
use crate::{shell, with_both};

/// Who writes so, the file, and values that `--dump-config` must show; none if the file is refused.
type File = (&'static str, &'static str, &'static [&'static str]);

const FILES: &[File] = &[
    (
        "a container image: everything quoted, quotes inside",
        "event_notification_command='/opt/events/router.sh %n %e %s \"%t\" \"%d\"'\n\
         ssh_options='-o \"StrictHostKeyChecking no\" -v'\nuse_replication_slots='1'\npg_bindir='/opt/postgresql/bin'\n\n\
         # FIXME: these 2 parameter should work\nnode_id=1001\nnode_name='pg-0'\nlocation='default'\n\
         conninfo='user=repmgr  host=pg-0.pg-headless dbname=repmgr port=5432 connect_timeout=5'\n\
         failover='automatic'\n\
         promote_command='PGPASSWORD=secret repmgr standby promote -f \"/opt/repmgr.conf\" --log-level DEBUG --verbose'\n\
         follow_command='PGPASSWORD=secret repmgr standby follow -f \"/opt/repmgr.conf\" -W --log-level DEBUG --verbose'\n\
         reconnect_attempts='3'\nreconnect_interval='5'\nlog_level='NOTICE'\npriority='100'\n\
         degraded_monitoring_timeout='5'\ndata_directory='/data/pg'\nasync_query_timeout='20'\n\
         pg_ctl_options='-o \"--config-file=\\\"/conf/postgresql.conf\\\" --external_pid_file=\\\"/tmp/pg.pid\\\"\"'\n",
        &[
            "node_id|1001",
            "ssh_options|-o \"StrictHostKeyChecking no\" -v",
            "use_replication_slots|true",
            "event_notification_command|/opt/events/router.sh %n %e %s \"%t\" \"%d\"",
            "pg_ctl_options|-o \"--config-file=\"/conf/postgresql.conf\" --external_pid_file=\"/tmp/pg.pid\"\"",
            "promote_command|PGPASSWORD=secret repmgr standby promote -f \"/opt/repmgr.conf\" --log-level DEBUG --verbose",
            "degraded_monitoring_timeout|5",
        ],
    ),
    (
        "a role: blanks around the sign, numbers in quotes",
        "node_id = 2\nnode_name = 'db2.example.com'\n\
         conninfo = 'host=db2 user=repmgr application_name=db2 connect_timeout=2'\n\
         data_directory = '/opt/postgres/data'\npg_bindir = '/usr/pgsql-15/bin'\npriority = '80'\nlocation = 'dc1'\n\
         use_replication_slots = yes\nasync_query_timeout = 60\nreconnect_attempts = 10\nreconnect_interval = 5\n\
         failover = manual\npromote_command ='true'\nfollow_command  ='repmgr standby follow --upstream-node-id=%n'\n\
         monitoring_history=True\nlog_status_interval = 60\n",
        &[
            "node_name|db2.example.com",
            "priority|80",
            "use_replication_slots|true",
            "failover|manual",
            "monitoring_history|true",
            "follow_command|repmgr standby follow --upstream-node-id=%n",
        ],
    ),
    (
        "a module: no quotes where they are not needed",
        "# managed, do not edit\nnode_id=3\nnode_name=node3\nconninfo='host=node3 dbname=repmgr user=repmgr'\n\
         data_directory='/var/lib/pgsql/15/data/'\nlog_level=INFO\nlog_facility=STDERR\nfailover=automatic\n\
         priority=100\nreconnect_attempts=6\nreconnect_interval=10\nuse_replication_slots=1\nmonitoring_history=no\n\
         witness_sync_interval=15\nrepmgrd_pid_file='/var/run/repmgr/repmgrd-15.pid'\n\
         promote_command='/usr/pgsql-15/bin/repmgr standby promote -f /etc/repmgr/15/repmgr.conf --log-to-file'\n\
         follow_command='/usr/pgsql-15/bin/repmgr standby follow -f /etc/repmgr/15/repmgr.conf --log-to-file --upstream-node-id=%n'\n",
        &[
            "node_name|node3",
            "data_directory|/var/lib/pgsql/15/data",
            "log_facility|STDERR",
            "use_replication_slots|true",
            "monitoring_history|false",
        ],
    ),
    (
        "a tutorial: services with sudo, a sign forgotten, the file without its last line end",
        "node_id=1\nnode_name='node1'\nconninfo='host=10.0.0.1 user=repmgr dbname=repmgr connect_timeout=2'\n\
         data_directory='/var/lib/postgresql/15/main'\npassfile='/var/lib/postgresql/.pgpass'\n\
         service_start_command = 'sudo -n /bin/systemctl start postgresql@15-main'\n\
         service_stop_command   = 'sudo pg_ctlcluster 15 main stop -- -m fast'\n\
         service_restart_command'sudo systemctl restart postgresql.service'\n\
         service_reload_command = 'sudo /usr/bin/systemctl reload postgresql'\n\
         service_promote_command='sudo /usr/bin/pg_ctlcluster 15 main promote'\n\
         repmgrd_service_start_command='/etc/init.d/repmgrd start'\nrepmgrd_service_stop_command = 'kill `cat /tmp/repmgrd.pid`'\n\
         log_file='/var/log/postgresql/repmgr.log'",
        &[
            "service_restart_command|sudo systemctl restart postgresql.service",
            "service_stop_command|sudo pg_ctlcluster 15 main stop -- -m fast",
            "repmgrd_service_stop_command|kill `cat /tmp/repmgrd.pid`",
            "log_file|/var/log/postgresql/repmgr.log",
        ],
    ),
    (
        "leftovers of older versions are told and ignored",
        "cluster=test\nnode=1\nnode_id=1\nnode_name=node1\nupstream_node=2\nconninfo='host=node1 user=repmgr dbname=repmgr'\n\
         data_directory='/d'\nloglevel=DEBUG\nlogfacility=STDERR\nlogfile='/var/log/repmgr.log'\n\
         master_response_timeout=60\nretry_promote_interval_secs=300\nwitness_repl_nodes_sync_interval_secs=15\n\
         use_primary_conninfo_password=on\nmonitor_interval_secs=5\nevent_notifications=all\npromote_action='x'\n\
         rsync_options='--archive --checksum --compress --progress --rsh=\"ssh -o \\\"StrictHostKeyChecking no\\\"\"'\n",
        &[
            "node_id|1",
            "log_level|",
            "log_file|",
            "use_primary_conninfo_password|true",
            "event_notifications|all",
            "rsync_options|--archive --checksum --compress --progress --rsh=\"ssh -o \"StrictHostKeyChecking no\"\"",
        ],
    ),
    (
        "line ends of another system, a value behind a tab, comments behind values",
        "node_id=1 # this node\r\nnode_name='a b'\r\nconninfo\t=\t'host=a'\r\ndata_directory='/d'#here\r\npriority=50\t# half\r\n",
        &["node_name|a b", "priority|50", "conninfo|host=a"],
    ),
    (
        "version 3: the connection string without quotes",
        "cluster=test\nnode=1\nnode_name=node1\nconninfo=host=node1 user=repmgr dbname=repmgr\n",
        &[],
    ),
    (
        "a path without quotes",
        "node_id=1\nnode_name=node1\nconninfo='host=node1'\ndata_directory=/var/lib/postgresql/15/main\n",
        &[],
    ),
    (
        "double quotes, as in a shell",
        "node_id=1\nnode_name=\"node1\"\nconninfo='host=node1'\ndata_directory='/d'\n",
        &[],
    ),
    (
        "an address without quotes",
        "node_id=1\nnode_name=node1\nconninfo='host=node1'\ndata_directory='/d'\nbarman_server=pg\nbarman_host=10.0.0.9\n",
        &[],
    ),
    (
        "node_id alone is missing",
        "node=1\nnode_name=node1\nconninfo='host=node1'\ndata_directory='/d'\n",
        &[],
    ),
];

fn read(stage: &'static Stage, programs: &Path) {
    let cluster = Cluster::with_stage("wild-files", 1, stage, programs);
    let node = cluster.node(1);
    for (who, text, values) in FILES {
        user::write(&node.config_file, text);
        for line in [
            "repmgr -f /etc/repmgr.conf --dump-config",
            "repmgr --dump-config --config-file=/etc/repmgr.conf",
            "repmgr --dump-config",
        ] {
            let output = shell(&cluster, node, 1, line).output().expect("sh");
            let shown = String::from_utf8_lossy(&output.stdout);
            let said = format!(
                "{}, {who}: {line}\n{shown}{}",
                programs.display(),
                String::from_utf8_lossy(&output.stderr)
            );
            let code = if values.is_empty() { 1 } else { 0 };
            assert_eq!(output.status.code(), Some(code), "{said}");
            for value in *values {
                assert!(shown.lines().any(|line| line == *value), "{value:?} is missing, {said}");
            }
        }
    }
}

#[test]
fn configuration_files() {
    with_both(read);
}
