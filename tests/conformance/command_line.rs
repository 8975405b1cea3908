//! What needs no server: the command line and the configuration.

use crate::script::{Script, compare};

#[test]
fn the_command_line_and_the_configuration() {
    compare("conformance-cli", 1, command_line);
}

/// What needs no server: the command line and the configuration.
fn command_line(script: &mut Script) {
    for arguments in [
        &["nosuch", "verb"][..],
        &["primary"],
        &["primary", "nosuch"],
        &["--nosuch", "primary", "register"],
        &["--node-id=0", "primary", "unregister"],
        &["--node-id=abc", "primary", "unregister"],
        &["--csv", "--nagios", "cluster", "show"],
        &["standby", "clone"],
        &["standby", "clone", "host1", "host2"],
        &["--wait", "--no-wait", "standby", "follow"],
        &["--log-level=NOSUCH", "cluster", "show"],
        &["--up=4", "standby", "follow"],
        &["cluster", "show"],
        &["primary", "register"],
        &["standby", "promote"],
        &["standby", "follow"],
        &["service", "status"],
        &["service", "pause"],
        &["cluster", "event"],
        &["cluster", "cleanup"],
        &["node", "status"],
        &["node", "status", "--is-shutdown-cleanly"],
        &["--recovery-min-apply-delay=5x", "-h", "localhost", "standby", "clone"],
    ] {
        script.show(1, arguments);
    }
    script.show(1, &["--dump-config"]);
    misplaced_options(script);
}

/// Options that a command does not take are complained about, each once.
fn misplaced_options(script: &mut Script) {
    let misplaced = "--wait --no-wait --compact --detail --node-id=1 --node-name=x --upstream-node-id=2 --pgdata=/x -Sx \
        --replication-user=x --replication-conf-only --siblings-follow --event=x --limit=2 --all --action=x \
        --is-shutdown-cleanly --always-promote --repmgrd-no-pause --force-rewind --config-files=x \
        --check-upstream-config -Cx -hx -p1 -Ux -dx --dry-run";
    for option in misplaced.split_whitespace() {
        for command in ["standby promote", "cluster show", "node status"] {
            let words: Vec<&str> = command.split(' ').chain([option]).collect();
            script.complaints(1, &words);
        }
    }
    for line in [
        "primary register -hx",
        "primary register --compact --detail --wait -Dx -Ux -p1 -dx",
        "primary unregister --upstream-node-id=3 --wait-sync --csv",
        "standby register --siblings-follow --event=x -q",
        "standby register --siblings-follow --event=x -t --wait-start=0",
        "standby follow --replication-user=x",
        "standby clone -h 127.0.0.1 -p1 -Dx --replication-user=x --upstream-conninfo=host=y",
        "service pause --compact --detail --dry-run",
        "service status --compact --detail --all",
        "cluster event --all --limit=3 --node-id=1 --node-name=x",
        "cluster cleanup --all -k1",
        "node status --csv --optformat --nagios",
        "-FqtvV primary register",
        "-FqL debug primary register",
        "MASTER Register -LINFO",
        "Cluster EVENTS --limit=1",
        "daemon pause",
        "standby unregister --wait",
    ] {
        script.complaints(1, &line.split_whitespace().collect::<Vec<_>>());
    }
    script.runs(1, &["--vers", "--version-number=1"]);
    script.differs("help-in-a-bundle", "exit 0").run(1, &["-?F"]);
    script.differs("clone-no-upstream-connection", "exit 6").run(
        1,
        &["standby", "clone", "-h", "127.0.0.1", "-p1", "--no-upstream-connection"],
    );

    script
        .differs("superuser-warning", "exit 6, complains: false")
        .complaints(1, &["primary", "register", "-Sx"]);
    for (command, difference) in [
        ("standby unregister", "unregister-dry-run"),
        ("cluster cleanup", "cleanup-dry-run"),
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--dry-run"]).collect();
        script
            .differs(difference, "exit 6, complains: false")
            .complaints(1, &words);
    }
}
