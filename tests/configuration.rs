//! repmgr.conf seen through the program: bad input, and line by line the same as the original but for known defects.

mod support;

use std::path::{Path, PathBuf};

use support::{stage, user};

const BASE: &str = "node_id=1\nnode_name='n1'\nconninfo='host=n1'\ndata_directory='/d'\n";

/// What a program did with a configuration file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    code: Option<i32>,
    /// What `--dump-config` says, without the parameters that came with 5.4.
    dump: Vec<String>,
    stderr: String,
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("repmgr-oxide-{name}-{}", std::process::id()));
        user::folder(&path);
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        user::write(&path, text);
        path
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Seen {
        let output = user::command(program)
            .args(arguments)
            .env_remove("PWD")
            .current_dir(&self.0)
            .output()
            .expect("the program");
        Seen {
            code: output.status.code(),
            dump: String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter(|line| !line.starts_with("pg_backupapi"))
                .map(str::to_owned)
                .collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn own_program() -> PathBuf {
    stage::programs().join("repmgr")
}

#[test]
fn what_is_wrong_is_told_on_standard_error_with_exit_code_1() {
    let folder = Folder::new("configuration");
    let program = own_program();
    let run = |text: &str, more: &[&str]| {
        let file = folder.write("repmgr.conf", text);
        let file = file.to_str().expect("a path in UTF-8");
        folder.run(&program, &[&["-f", file, "--dump-config"], more].concat())
    };

    let seen = run(
        "node_id=1\nnode_name=a.b\nconninfo=host=n1\nnode=7\n",
        &["-L", "EMERG", "-q"],
    );
    assert_eq!((seen.code, seen.dump.len()), (Some(1), 0), "{seen:?}");
    let lines: Vec<&str> = seen.stderr.lines().collect();
    assert!(lines[0].starts_with("ERROR: 2 errors in the configuration"), "{seen:?}");
    assert!(lines[1].starts_with("  ") && lines[1].ends_with("line 2)"), "{seen:?}");
    assert!(lines[2].starts_with("  ") && lines[2].ends_with("line 3)"), "{seen:?}");
    assert!(
        lines[3].starts_with("WARNING: ") && lines[4].contains("\"node_id\""),
        "{seen:?}"
    );
    assert_eq!(lines.len(), 5);

    let strange = format!("{BASE}unheard_of=1\nreconnect_interval=5min\n");
    let seen = run(&strange, &[]);
    assert_eq!((seen.code, seen.stderr.lines().count()), (Some(0), 3), "{seen:?}");
    let seen = run(&strange, &["-t"]);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{seen:?}");

    let seen = folder.run(&program, &["-f", "nowhere.conf", "--dump-config"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.stderr.contains("\"nowhere.conf\" not found"), "{seen:?}");
    let seen = folder.run(&program, &["-f", ".", "--dump-config"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
}

#[test]
fn without_f_the_file_in_the_current_directory_is_found() {
    let folder = Folder::new("configuration-here");
    folder.write("repmgr.conf", &format!("{BASE}priority=42\n"));
    let seen = folder.run(&own_program(), &["--dump-config"]);
    assert!(seen.dump.iter().any(|line| line == "priority|42"), "{seen:?}");
    folder.write("repmgr.conf", "priority=high");
    let seen = folder.run(&own_program(), &["--dump-config"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    let here = format!("{}/repmgr.conf", folder.0.display());
    assert!(
        seen.stderr.lines().last().is_some_and(|line| line.contains(&here)),
        "a file that was not named is named: {seen:?}"
    );
}

/// One line each, added to a complete configuration.
const SAME: &[&str] = &[
    "conninfo=host=n1 user=r",
    "data_directory=/var/lib/x",
    "node_name=node1.example",
    "node_name=node1.example.com",
    "node_name=my-host.example",
    "node_name=1abc",
    "location=10.0.0.1",
    "location=.",
    "location=-",
    "location=5.",
    "location=1e5",
    "location=0x1Fz",
    "location='a",
    r"location='a\'",
    r"location='a\\'",
    r"location='a\tb'",
    r"location='\101\60'",
    "location='it''s' # x",
    "location=größe",
    "location='a\u{1}b'",
    "location=' a '",
    "location=\"a\"",
    "\u{c}",
    "@x=1",
    "x.y=1",
    "x.y.z=1",
    "a-b=1",
    "priority 7",
    "priority = 7 8",
    "priority = = 7",
    "priority",
    "priority=",
    "priority='5 s'",
    "priority=10min",
    "priority=1.9",
    "priority=0x10",
    "priority=-1",
    "priority=2147483647",
    "priority=2147483648",
    "priority=x",
    "Priority=3",
    "unknown=3",
    "node=2",
    "cluster=x",
    "log_level='DEBUG'\r",
    "log_level=nonsense",
    "log_facility=nonsense",
    "use_replication_slots=t",
    "use_replication_slots=YES",
    "use_replication_slots=''",
    "failover=Automatic",
    "failover=automatic",
    "connection_check_type=QUERY",
    "connection_check_type=x",
    "replication_type=Physical",
    "replication_type=bdr",
    "recovery_min_apply_delay=5min",
    "recovery_min_apply_delay='5 min'",
    "recovery_min_apply_delay=5us",
    "recovery_min_apply_delay=''",
    "recovery_min_apply_delay=-5",
    "event_notifications='a,b , c d,,'",
    "event_notifications='a'\nevent_notifications='b'",
    "tablespace_mapping='/a=/b'",
    "tablespace_mapping='/a=/b'\ntablespace_mapping='//c/=/d/'",
    "tablespace_mapping='/a'",
    "tablespace_mapping='=/b'",
    "tablespace_mapping='/a=/b=/c'",
    r"tablespace_mapping='/a\\=/b=/c'",
    "barman_host=x",
    "barman_host=x\nbarman_server=y",
    "archive_ready_warning=128",
    "archive_ready_warning=127",
    "replication_lag_critical=300",
    "node_rejoin_timeout=61",
    "standby_reconnect_timeout=59",
    "standby_reconnect_timeout=75",
    "promote_delay=0",
    "degraded_monitoring_timeout=-1",
    "degraded_monitoring_timeout=-2",
    "child_nodes_disconnect_min_count=-2",
    "child_nodes_connected_min_count=0",
    "include 'missing.conf'",
    "include_dir 'missing'",
    "include 'repmgr.conf'",
    "INCLUDE 'one.conf'",
    "include one.conf",
    "include_dir 'd'",
    "pg_bindir='/usr//lib/.//x/'",
    "pg_bindir='rel/./x/'",
    "passfile='/a//b/'",
    "data_directory=''",
    "node_name=''",
    "conninfo=''",
    "conninfo='bogus=1'",
    "conninfo='host'",
    "conninfo='postgresql://u@h:5433/db?sslmode=require'",
    "conninfo='host=a'' b'",
    "node_id=0",
];

/// Where the original is wrong, and why it is not followed.
const DIFFERENT: &[(&str, &str)] = &[
    ("priority=''", "an empty number is 0 there"),
    ("node_id=''", "an empty number is 0 there, which no node may have"),
    (
        "recovery_min_apply_delay=h",
        "a unit without a number, which PostgreSQL refuses",
    ),
    ("include ''", "all further checks are silently left out there"),
    (
        "include_if_exists 'missing.conf'",
        "an error there, against its documentation",
    ),
    (
        "pg_bindir='/a/b/../c'",
        "becomes /a/c there, which is another directory if b is a symbolic link",
    ),
    (
        "node_name='xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
        "64 bytes run into the next value there",
    ),
];

#[test]
fn each_line_is_read_as_the_original_reads_it() {
    let Some(original) = stage::original() else {
        support::skip("conformance", "the original is not staged (scripts/stage-original.sh)");
        return;
    };
    let folder = Folder::new("configuration-original");
    folder.write("one.conf", "priority=11\n");
    user::folder(&folder.0.join("d"));
    folder.write("d/a.conf", "priority=12\n");
    let (theirs, ours) = (original.bindir.join("repmgr"), own_program());
    let mut wrong = Vec::new();
    let lines = SAME.iter().map(|line| (*line, true));
    for (line, same) in lines.chain(DIFFERENT.iter().map(|(line, _)| (*line, false))) {
        let file = folder.write("repmgr.conf", &format!("{BASE}{line}\n"));
        let arguments = ["-f", file.to_str().expect("a path in UTF-8"), "--dump-config"];
        let (theirs, ours) = (folder.run(&theirs, &arguments), folder.run(&ours, &arguments));
        let is_same = theirs.code == ours.code && (theirs.code != Some(0) || theirs.dump == ours.dump);
        if is_same != same {
            wrong.push(format!("{line}\n  {theirs:?}\n  {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
