//! The command line as a whole: which error, which stream, which exit code. Needs no server.

mod support;

use std::process::{Command, Output, Stdio};

use support::user;

/// Lines that end before a server is asked for more than a connection: exit code and standard output are the original's.
const SAME_AS_ORIGINAL: &[&str] = &[
    "",
    "foo",
    "foo bar",
    "cluster",
    "cluster show x",
    "cluster show",
    "-- cluster show",
    "cluster -- show",
    "cluster show -- -x",
    "--rec cluster show",
    "--replication-c cluster show",
    "--recovery-conf-only cluster show",
    "cluster show --up=3",
    "cluster event --limit",
    "cluster event --limit=0",
    "cluster event --all --limit=3",
    "cluster show --csv --nagios",
    "--csv --csv cluster show",
    "cluster show -p 0",
    "cluster show -p 99999999999",
    "cluster show -L loud",
    "cluster show -L ERR",
    "cluster show --log-level=debug",
    "cluster show -d foo=bar",
    "cluster show -w 30",
    "cluster show --wait=x",
    "cluster show --recovery-min-apply-delay=5us",
    "cluster cleanup -k x",
    "-k 3 cluster cleanup",
    "standby register --wait-start=-1",
    "standby register --wait-sync=x",
    "standby follow --wait --no-wait",
    "standby switchover --repmgrd-no-pause --repmgrd-force-unpause",
    "node control --disable-wal-receiver --enable-wal-receiver",
    "standby clone",
    "standby clone n1",
    "standby clone -d host=",
    "standby clone -h a b",
    "standby clone --copy-external-config-files=foo",
    "witness register",
    "witness register -d repmgr",
    "witness status",
    "witness create",
    "node rejoin",
    "node restore-config",
    "bdr register",
    "standby status",
    "daemon status",
    "service start",
    "-f /nonexistent cluster show",
    "--node-id=0 cluster event",
    "--node-id=3 --node-name=x cluster event",
    "--upstream-node-id=0 standby register",
    "--dump-config cluster show",
    "-C x --check-upstream-config cluster show",
    "node status --is-shutdown-cleanly",
];

#[test]
fn exit_codes_and_standard_output_are_the_originals() {
    let Some(original) = support::stage::original() else {
        support::skip(
            "conformance",
            "the original's package is not there; run scripts/stage-original.sh",
        );
        return;
    };
    let cli = Cli::new();
    let config = cli.config("");
    let mut differences = Vec::new();
    for line in SAME_AS_ORIGINAL {
        let line = format!("-f {config} {line}");
        let ours = cli.run(&line);
        let mut command = user::command(original.bindir.join("repmgr"));
        let theirs = answer(command.args(line.split_whitespace()));
        if (ours.code, &ours.stdout) != (theirs.code, &theirs.stdout) {
            differences.push(format!(
                "{line:?}: {:?} {:?}, the original {:?} {:?}",
                ours.code, ours.stdout, theirs.code, theirs.stdout
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The program under test, where the ordinary user reaches it.
fn program(folder: &std::path::Path) -> std::path::PathBuf {
    let copy = folder.join("repmgr");
    user::copy_program(std::path::Path::new(env!("CARGO_BIN_EXE_repmgr")), &copy);
    user::give(&copy);
    copy
}

struct Cli {
    folder: tempfile::TempDir,
}

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Cli {
    fn new() -> Cli {
        let folder = tempfile::tempdir().expect("a folder");
        user::give(folder.path());
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("the folder's mode");
        program(folder.path());
        Cli { folder }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = user::command(self.folder.path().join("repmgr"));
        command
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, line: &str) -> Answer {
        answer(&mut self.command(line))
    }

    fn config(&self, more: &str) -> String {
        let path = self.folder.path().join("node.conf");
        let text = format!(
            "node_id=1\nnode_name='node1'\nconninfo='host=127.0.0.1 port=1 user=repmgr dbname=repmgr'\n\
             data_directory='{}'\n{more}\n",
            self.folder.path().join("data").display()
        );
        user::write(&path, &text);
        path.display().to_string()
    }
}

/// Runs a command. A copy of the program that another test's child has inherited open for writing is busy for a moment.
fn answer(command: &mut Command) -> Answer {
    support::eventually("the program can be started", || match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => None,
        output => Some(output.expect("repmgr").into()),
    })
}

fn assert_usage_error(answer: &Answer, reason: &str, noun: &str) {
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert_eq!(answer.stdout, "", "an error list goes to standard error");
    assert!(answer.stderr.starts_with("ERROR: "), "{}", answer.stderr);
    assert!(answer.stderr.contains(&format!("\n  {reason}")), "{}", answer.stderr);
    let hint = match noun {
        "" => "Try \"repmgr --help\" for more information.\n".to_owned(),
        noun => format!("Try \"repmgr --help\" or \"repmgr {noun}--help\" for more information.\n"),
    };
    assert!(answer.stderr.ends_with(&hint), "{}", answer.stderr);
}

#[test]
fn versions_are_what_other_nodes_parse() {
    let cli = Cli::new();
    let answer = cli.run("--version");
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "repmgr 5.5.0\n"));
    assert_eq!(cli.run("-V").stdout, "repmgr 5.5.0\n");
    assert_eq!(cli.run("--version-number").stdout, "50500\n");
    let verbose = cli.run("--version -v").stdout;
    assert!(verbose.starts_with("repmgr 5.5.0\nrepmgr-oxide "), "{verbose}");
}

#[test]
fn help_goes_to_standard_output_and_knows_the_noun() {
    let cli = Cli::new();
    for line in ["--help", "-?", "foo --help", "--help foo bar"] {
        let answer = cli.run(line);
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{line}");
        assert!(answer.stdout.contains("--config-file"), "{line}");
    }
    for line in ["MASTER --help", "primary register -?", "-? primary nonsense"] {
        let answer = cli.run(line);
        assert_eq!(answer.code, Some(0), "{line}");
        assert!(answer.stdout.contains("PRIMARY REGISTER"), "{line}");
    }
    let mut command = cli.command("--help");
    let page = answer(command.env("PGHOST", "n1").env("PGPORT", "77"));
    assert!(page.stdout.contains("(default: \"n1\")") && page.stdout.contains("(default: \"77\")"));
}

#[test]
fn what_is_no_command_is_said_on_standard_error() {
    let cli = Cli::new();
    assert_usage_error(&cli.run(""), "no command was given", "");
    assert_usage_error(&cli.run("foo"), "unknown command \"foo\"", "");
    assert_usage_error(&cli.run("foo bar"), "unknown command \"foo bar\"", "");
    assert_usage_error(&cli.run("cluster"), "no action was given for CLUSTER", "cluster ");
    assert_usage_error(
        &cli.run("node archive-config"),
        "unknown command \"node archive-config\"",
        "node ",
    );
    assert_usage_error(&cli.run("cluster show me"), "\"me\" is one word too many", "cluster ");
    assert_usage_error(&cli.run("standby clone -h a b"), "a host was already given", "standby ");
    assert_usage_error(&cli.run("standby clone"), "the host to clone from", "standby ");
    assert_usage_error(&cli.run("standby clone n1"), "a host alone is not enough", "standby ");
    assert_usage_error(
        &cli.run("cluster show --dump-config"),
        "--dump-config stands alone",
        "cluster ",
    );
}

#[test]
fn values_are_checked_before_anything_else() {
    let cli = Cli::new();
    assert_usage_error(&cli.run("foo -p x"), "invalid value for --port", "");
    assert_usage_error(
        &cli.run("cluster event --limit=0"),
        "invalid value for --limit",
        "cluster ",
    );
    assert_usage_error(
        &cli.run("cluster show -L loud -f /nonexistent"),
        "invalid value for --log-level",
        "cluster ",
    );
    assert_usage_error(
        &cli.run("cluster show -d host='n1"),
        "invalid value for --dbname",
        "cluster ",
    );
    assert_usage_error(&cli.run("cluster show --csv --nagios"), "only one of --csv", "cluster ");
}

#[test]
fn an_unknown_option_is_named_and_the_hint_goes_to_standard_output() {
    let cli = Cli::new();
    for line in [
        "--bogus cluster show",
        "cluster show -x",
        "cluster show --up=3",
        "cluster show -d",
    ] {
        let answer = cli.run(line);
        assert_eq!(answer.code, Some(1), "{line}");
        assert!(answer.stderr.starts_with("repmgr: "), "{line}: {}", answer.stderr);
        assert_eq!(
            answer.stdout, "Try \"repmgr --help\" or \"repmgr cluster --help\" for more information.\n",
            "{line}"
        );
    }
}

#[test]
fn errors_of_the_configuration_come_before_those_of_the_command() {
    let cli = Cli::new();
    let answer = cli.run("foo bar -f missing.conf");
    assert_eq!(answer.code, Some(1));
    assert!(
        answer.stderr.contains("configuration file \"missing.conf\" not found"),
        "{}",
        answer.stderr
    );
    assert!(!answer.stderr.contains("unknown command"), "{}", answer.stderr);
    let config = cli.config("reconnect_attempts=many");
    let answer = cli.run(&format!("cluster show -f {config}"));
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("reconnect_attempts"), "{}", answer.stderr);
}

#[test]
fn warnings_about_options_can_be_silenced_and_change_nothing() {
    let cli = Cli::new();
    let config = cli.config("nonsense=1");
    let quiet = cli.run(&format!("cluster show -f {config} --siblings-follow -q"));
    assert_eq!(quiet.code, Some(6), "{}", quiet.stderr);
    assert!(
        quiet
            .stderr
            .contains("  --siblings-follow has no effect with CLUSTER SHOW\n"),
        "{}",
        quiet.stderr
    );
    assert!(quiet.stderr.contains("nonsense"), "{}", quiet.stderr);
    let terse = cli.run(&format!("cluster show -f {config} --siblings-follow --terse"));
    assert_eq!(terse.code, Some(6));
    assert!(
        !terse.stderr.contains("WARNING") && !terse.stderr.contains("DETAIL"),
        "{}",
        terse.stderr
    );
    assert!(terse.stderr.starts_with("ERROR: "), "{}", terse.stderr);
}

#[test]
fn commands_that_need_a_node_say_so() {
    let cli = Cli::new();
    for line in [
        "cluster show",
        "node status",
        "cluster event",
        "service pause",
        "primary register",
    ] {
        let answer = cli.run(line);
        assert_eq!(answer.code, Some(1), "{line}");
        assert!(
            answer.stderr.contains("no configuration file was found"),
            "{line}: {}",
            answer.stderr
        );
    }
    // With connection parameters the server is asked, and not there.
    let answer = cli.run("cluster show -h 127.0.0.1 -p 1 -U repmgr -d repmgr");
    assert_eq!(answer.code, Some(6), "{}", answer.stderr);
}

#[test]
fn a_local_node_that_is_down_gives_exit_code_6() {
    let cli = Cli::new();
    let config = cli.config("");
    for line in [
        "cluster show",
        "cluster event",
        "cluster cleanup",
        "node status",
        "service status",
        "service pause",
    ] {
        let answer = cli.run(&format!("-f {config} {line}"));
        assert_eq!(answer.code, Some(6), "{line}: {}", answer.stderr);
        assert_eq!(answer.stdout, "", "{line}");
    }
    let answer = cli.run(&format!("-f {config} witness unregister --force --node-id=3"));
    assert_eq!(answer.code, Some(6), "{}", answer.stderr);
    let answer = cli.run(&format!("-f {config} node status --is-shutdown-cleanly"));
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "--state=UNKNOWN\n"));
}

#[test]
fn the_configuration_is_dumped_with_what_the_command_line_says() {
    let cli = Cli::new();
    let config = cli.config("");
    let answer = cli.run(&format!(
        "-f {config} --dump-config -b /opt/pg --recovery-min-apply-delay=5min"
    ));
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert_eq!(answer.stdout.lines().count(), 86);
    for line in ["node_id|1", "node_name|node1", "recovery_min_apply_delay|5min"] {
        assert!(
            answer.stdout.lines().any(|shown| shown == line),
            "{line}\n{}",
            answer.stdout
        );
    }
}

#[test]
fn root_is_refused_except_for_help_and_version() {
    if !nix::unistd::geteuid().is_root() {
        support::skip("root", "only root can be refused");
        return;
    }
    let cli = Cli::new();
    let as_root = |line: &str| -> Answer {
        let mut command = Command::new(cli.folder.path().join("repmgr"));
        command.args(line.split_whitespace()).output().expect("repmgr").into()
    };
    let answer = as_root("cluster show");
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
    assert!(answer.stderr.contains("cannot be run as root"), "{}", answer.stderr);
    assert_eq!(as_root("--version").code, Some(0));
    assert_eq!(as_root("cluster --help").code, Some(0));
}

#[test]
fn a_reader_that_went_away_is_no_panic() {
    let cli = Cli::new();
    assert_eq!(cli.run("standby --help").code, Some(0));
    let mut child = cli
        .command("standby --help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("repmgr");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
