//! Configuration files, good and bad: what `--dump-config` makes of each, whether commands and the daemon take it.

use crate::script::{Script, compare};
use crate::support::user;

#[test]
fn configuration_files() {
    compare("conformance-configuration", 1, configuration_script);
}

const BASE: &str = "node_id=1\nnode_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n";

/// Whole files.
const FILES: &[&str] = &[
    "",
    "\n\n# nothing\n",
    "node_id=1\n",
    "node_id=1\nnode_name='n1'\nconninfo='host=n1'\n",
    "node_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n",
    "node=1\ncluster=test\nnode_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n",
    "node_id=0\nnode_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n",
    "node_id=-1\nnode_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n",
    "node_id=one\nnode_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n",
    "node_id=1\r\nnode_name='n1'\r\nconninfo='host=n1'\r\ndata_directory='/d'\r\n",
    "node_id = 1 # first\n\tnode_name = 'n1'\n  conninfo 'host=n1'\ndata_directory='/d'",
    "[main]\nnode_id=1\n",
    "node_id=1\nnode_name=\"n1\"\nconninfo=\"host=n1\"\ndata_directory=\"/d\"\n",
    "export node_id=1\n",
    "node_id: 1\nnode_name: n1\n",
];

/// Lines that are added to a complete file.
const LINES: &[&str] = &[
    "node_name=my-host.example",
    "node_name=node1.example",
    "node_name=node1.example.com",
    "node_name='ü'",
    "conninfo=host=n1 user=r",
    "conninfo='host=n1 user'",
    "conninfo='nonsense=1'",
    "conninfo='postgresql://repmgr@n1:5433/repmgr?connect_timeout=2'",
    "conninfo='postgresql://n1/repmgr?nonsense=2'",
    "data_directory=/var/lib/x",
    "data_directory='/var//lib/./x/'",
    "priority 7",
    "priority=-1",
    "priority=high",
    "priority=2147483648",
    "priority = '50'",
    "PRIORITY=7",
    "failover=Automatic",
    "failover=automatic\npromote_command='p'",
    "failover='automatic'\npromote_command='p'\nfollow_command='f %n'",
    "log_level=NOSUCH",
    "log_level=debug",
    "log_facility=NOSUCH",
    "log_facility=LOCAL7",
    "loglevel=INFO\nlogfacility=STDERR\nlogfile='/x'",
    "master_reponse_timeout=60\nretry_promote_interval_secs=300\nupstream_node=1",
    "master_response_timeout=60",
    "unheard_of='x y'",
    "use_replication_slots=1",
    "use_replication_slots=On",
    "use_replication_slots=t",
    "use_replication_slots=''",
    "use_replication_slots=yes\nuse_replication_slots=no",
    "monitoring_history=yes\nmonitor_interval_secs=1",
    "monitor_interval_secs=0",
    "reconnect_attempts=0\nreconnect_interval=0",
    "reconnect_attempts=-1",
    "degraded_monitoring_timeout=-1\nasync_query_timeout=0",
    "degraded_monitoring_timeout=-2",
    "connection_check_type=PING",
    "connection_check_type='nosuch'",
    "replication_type=physical",
    "replication_type=bdr",
    "event_notifications='a, b ,,c'\nevent_notifications=d",
    "tablespace_mapping='/a=/b'\ntablespace_mapping='/c\\\\=d=/e/'",
    "recovery_min_apply_delay=5min",
    "recovery_min_apply_delay='5 min'",
    "recovery_min_apply_delay=5us",
    "recovery_min_apply_delay=5",
    "archive_ready_warning=128",
    "archive_ready_critical=16",
    "archive_ready_critcial=20",
    "replication_lag_warning=600",
    "replication_lag_warning=10\nreplication_lag_critical=11",
    "node_rejoin_timeout=61",
    "standby_reconnect_timeout=61\nnode_rejoin_timeout=61",
    "standby_reconnect_timeout=59",
    "repmgrd_standby_startup_timeout=7",
    "barman_host=b",
    "barman_server=b",
    "barman_host=b\nbarman_server=s",
    "child_nodes_check_interval=0",
    "child_nodes_disconnect_min_count=-1\nchild_nodes_connected_min_count=1",
    "ssh_options=''",
    "ssh_options='-q -p 2222'\nrsync_options=--archive",
    "restore_command='cp \"/a b/%f\" %p'",
    "restore_command='it''s'",
    "restore_command='it\\'s\\n'",
    "restore_command='open",
    "service_start_command = 'sudo systemctl start postgresql@15-main' # comment",
    "service_start_command = sudo systemctl start",
    "promote_command='/usr/bin/repmgr standby promote -f /etc/repmgr.conf --log-to-file'",
    "follow_command='/usr/bin/repmgr standby follow -f /etc/repmgr.conf --log-to-file --upstream-node-id=%n'",
    "pg_bindir='/usr/lib/postgresql/15/bin/'\nrepmgr_bindir=usr",
    "include 'more.conf'",
    "include = 'more.conf'",
    "INCLUDE 'more.conf'",
    "include 'nosuch.conf'",
    "include 'repmgr.conf'",
    "include_dir 'more.d'",
    "include_dir 'nosuch.d'",
    "include 'broken.conf'",
    "include_if_exists 'more.conf'",
    "promote_delay=1\nfailover_delay=1\nreconnect_loop_sync=true\nalways_promote=true",
    "node_id=2",
    "replication_user=r",
    "=",
    "x",
    "x =",
    "= 3",
    "location=10.0.0.1",
    "location='dc 1'",
    "location=dc1",
];

/// Lines of which the two make something else.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("include_if_exists 'nosuch.conf'", "include-if-exists", "exit 0"),
    ("priority=''", "empty-number", "exit 1, errors: true"),
    (
        "recovery_min_apply_delay=h",
        "apply-delay-without-a-number",
        "exit 1, errors: true",
    ),
    ("data_directory='/a/../b'", "path-with-two-dots", "exit 0"),
    ("location=''", "empty-location", "exit 0"),
    (
        "conninfo='host=n1 password=secret'",
        "passwords-in-dump-config",
        "exit 0",
    ),
    (
        "tablespace_mapping='/a'",
        "bad-tablespace-mapping",
        "exit 1, errors: true",
    ),
    (
        "tablespace_mapping='/a=/b=/c'",
        "bad-tablespace-mapping",
        "exit 1, errors: true",
    ),
];

fn configuration_script(script: &mut Script) {
    let folder = script.cluster.node(1).server.folder.clone();
    user::write(&folder.join("more.conf"), "priority=33\nlocation=here\n");
    user::write(&folder.join("broken.conf"), "priority=33\nlocation=\n");
    user::folder(&folder.join("more.d"));
    for (name, text) in [
        ("20.conf", "priority=20\n"),
        ("10.conf", "priority=10\nlocation=ten\n"),
        ("30.confx", "priority=30\n"),
        (".40.conf", "priority=40\n"),
    ] {
        user::write(&folder.join("more.d").join(name), text);
    }
    for text in FILES {
        dump(script, text);
    }
    for lines in LINES {
        dump(script, &format!("{BASE}{lines}\n"));
    }
    for (lines, difference, ours) in DIFFERENT {
        script.differs(difference, ours);
        dump(script, &format!("{BASE}{lines}\n"));
    }
    script.differs("include-nothing", "exit 1, errors: true");
    dump(script, "node_id=1\ninclude ''\n");
    user::write(&script.cluster.node(1).config_file, "unheard_of=1\n");
    script
        .differs("empty-line-before-warnings", "exit 1")
        .show(1, &["cluster", "show"]);
    places(script);
    taken(script);
}

/// Exit code, how many errors and warnings are listed, and the values.
fn dump(script: &mut Script, text: &str) {
    let file = script.cluster.node(1).config_file.clone();
    user::write(&file, text);
    let mut program = script.cluster.node(1).program("repmgr");
    program.arg("--dump-config");
    script.output(
        &mut program,
        &format!("--dump-config of {text:?}"),
        |code, stdout, stderr| {
            let count = |title: &str| {
                let after = stderr.lines().skip_while(|line| !line.starts_with(title)).skip(1);
                after.take_while(|line| line.starts_with("  ")).count()
            };
            let (errors, warnings) = (count("ERROR"), count("WARNING"));
            // The original has an empty line on standard output before its list of warnings.
            format!(
                "{code}, errors: {}, {warnings} warnings\n{}",
                errors > 0,
                stdout.trim_start()
            )
        },
    );
}

/// Where the file is looked for, and what it can be.
fn places(script: &mut Script) {
    let node = script.cluster.node(1);
    let (folder, file) = (node.server.folder.clone(), node.config_file.clone());
    user::write(&file, BASE);
    for arguments in [
        &["--dump-config"][..],
        &["-f", "repmgr.conf", "--dump-config"],
        &["--dump-config", "-f", "./repmgr.conf"],
        &["-f", "", "--dump-config"],
        &["-f", "nosuch.conf", "--dump-config"],
        &["-f", ".", "--dump-config"],
        &["-f", "more.conf", "--dump-config"],
        &["--config-file=repmgr.conf", "--dump-config"],
        &["--config-file", "repmgr.conf", "cluster", "show", "--dump-config"],
        &["-fmore.conf", "cluster", "show"],
    ] {
        let node = script.cluster.node(1);
        let mut program = node.server.command(node.programs.join("repmgr"));
        // The original takes the shell's word for where it is.
        program.args(arguments).current_dir(&folder).env("PWD", &folder);
        script.output(
            &mut program,
            &format!("in its folder: {}", arguments.join(" ")),
            |code, stdout, _| format!("{code}\n{stdout}"),
        );
    }
}

/// Which commands and whether the daemon start with a file.
fn taken(script: &mut Script) {
    let data = script.cluster.node(1).server.data.display().to_string();
    let base = BASE.replace("/d", &data).replace("host=n1", "host=127.0.0.1 port=1");
    for (what, text) in [
        ("nothing", String::new()),
        ("no conninfo", base.replace("conninfo", "# conninfo")),
        ("a syntax error", format!("{base}location=a b\n")),
        ("an unknown name", format!("{base}unheard_of=1\n")),
        ("nobody at the address", base.clone()),
        ("automatic without commands", format!("{base}failover=automatic\n")),
        (
            "automatic with one command",
            format!("{base}failover=automatic\npromote_command=true\n"),
        ),
        (
            "a log file that cannot be written",
            format!("{base}log_file='/nonexistent/log'\n"),
        ),
    ] {
        let file = script.cluster.node(1).config_file.clone();
        user::write(&file, &text);
        script.fact(what, "");
        script.shows(
            1,
            &[
                "cluster show",
                "cluster show -h 127.0.0.1 -p 1",
                "primary register",
                "standby clone -h 127.0.0.1 -p 1 --dry-run",
                "node check --has-passfile",
                "node status",
                "node check",
                "service pause",
                "daemon start",
                "daemon stop --log-to-file",
                "cluster show -q -t",
                "cluster show -L nosuch",
                "cluster show --log-level=DEBUG --verbose",
            ],
        );
        for arguments in [
            &["--daemonize=false", "--no-pid-file"][..],
            &["--show-pid-file"],
            &["-s", "-p", "/tmp/some.pid"],
        ] {
            script.daemon(1, arguments);
        }
    }
}
