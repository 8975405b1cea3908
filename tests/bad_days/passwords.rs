//! A password shows nowhere: not in output, not in a log, not in an event.

use std::process::Output;

use nix::sys::signal::Signal;

use crate::support::cluster::{Cluster, Node};
use crate::support::flavor::Flavor;
use crate::support::{eventually, user};
use crate::{run, run_program};

const SECRET: &str = "Geheimnis";

fn hidden(what: &str, output: &Output) {
    for (name, text) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(SECRET), "{what} shows the password on {name}:\n{text}");
    }
}

/// Runs a command with all that it can say; the password must not be in it.
fn loud(node: &Node, arguments: &[&str], code: Option<i32>) {
    let output = run(node, &[&["-L", "DEBUG", "-v"], arguments].concat());
    hidden(&format!("{arguments:?}"), &output);
    if let Some(code) = code {
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    }
}

/// The conninfo of a node with the password in it.
fn with_password(node: &Node, password: &str) -> String {
    format!("{} password={password}", node.server.conninfo())
}

fn configure(node: &Node, password: &str, more: &str) {
    node.write_config(&format!(
        "conninfo='{}'\nlog_level=DEBUG\nuse_replication_slots=true\n\
         event_notification_command='echo event %e of %n: %d %a %c %p > /dev/null'\n{more}",
        with_password(node, password)
    ));
}

#[test]
fn w57_a_password_in_a_connection_string_shows_nowhere() {
    if Flavor::current() != Flavor::Plain {
        return;
    }
    let mut cluster = Cluster::new("passwords", 3);
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let authentication =
        "local all all trust\nhost all all samehost scram-sha-256\nhost replication all samehost scram-sha-256\n";
    primary.server.initialise("");
    user::write(&primary.server.data.join("pg_hba.conf"), authentication);
    primary.server.start();
    primary.create_role();
    primary.server.query(&format!("ALTER ROLE repmgr PASSWORD '{SECRET}'"));
    configure(primary, SECRET, "");
    configure(standby, SECRET, "");
    let source = with_password(primary, SECRET);
    let from_source = ["-d", &source, "standby", "clone", "--fast-checkpoint"];

    loud(primary, &["--dump-config"], Some(0));
    loud(primary, &["primary", "register", "--dry-run"], Some(0));
    loud(primary, &["primary", "register"], Some(0));
    loud(primary, &["primary", "register"], Some(1));
    loud(standby, &[&from_source[..], &["--dry-run"]].concat(), Some(0));
    loud(standby, &from_source, Some(0));
    loud(standby, &from_source, Some(1));
    standby.server.configure("");
    user::write(&standby.server.data.join("pg_hba.conf"), authentication);
    loud(standby, &["standby", "register", "--wait-start=1"], Some(1));
    loud(
        standby,
        &[&from_source[..], &["--replication-conf-only", "--dry-run"]].concat(),
        None,
    );
    standby.server.start();
    loud(standby, &["standby", "register", "--wait-sync=60"], Some(0));
    cluster.wait_streaming(1, 2);
    for command in [
        &["cluster", "show"][..],
        &["cluster", "show", "--compact"],
        &["cluster", "show", "--format=json"],
        &["cluster", "event"],
        &["node", "status"],
        &["service", "status"],
        &["service", "pause"],
        &["service", "unpause"],
        &["standby", "follow"],
        &["-d", &source, "cluster", "show"],
    ] {
        loud(standby, command, Some(0));
    }
    // Passwords that are wrong are secrets, too: often they are right elsewhere.
    let standby = cluster.node(3);
    configure(standby, SECRET, "");
    let wrong = with_password(primary, "GeheimnisGeheimnis");
    loud(standby, &["-d", &wrong, "standby", "clone"], Some(6));
    loud(
        standby,
        &[
            "-d",
            "postgresql://repmgr:Geheimnis@127.0.0.1:1/repmgr",
            "standby",
            "clone",
        ],
        Some(6),
    );
    loud(
        standby,
        &[
            "-d",
            "postgresql://repmgr:Geheimnis/x@127.0.0.1:1/repmgr",
            "standby",
            "clone",
        ],
        None,
    );
    loud(
        standby,
        &[
            "-d",
            "postgresql://repmgr:Geheimnis@127.0.0.1:port/repmgr",
            "standby",
            "clone",
        ],
        None,
    );
    loud(
        standby,
        &[
            "-d",
            "postgresql://repmgr:/Geheimnis@127.0.0.1/repmgr",
            "standby",
            "clone",
        ],
        None,
    );
    loud(
        standby,
        &["-d", "postgresql://r@h/d?password=se&Geheimnis=x", "standby", "clone"],
        Some(1),
    );
    loud(
        standby,
        &["-d", "postgresql://repmgr:Geheimnis@[::1/repmgr", "standby", "clone"],
        Some(1),
    );
    loud(
        standby,
        &[
            "-d",
            "postgresql://repmgr@h/repmgr?password=Geheimnis%zz",
            "standby",
            "clone",
        ],
        Some(1),
    );
    for mangled in [
        "host=x password=se Geheimnis",
        "host=x password = se Geheimnis user=y",
        "host=x sslpassword=se Geheimnis=y",
        "host=x password='se'Geheimnis",
        "host=x password='Geheimnis",
        "host=x pasword=Geheimnis",
        "host=x password=a=b Geheimnis",
    ] {
        loud(standby, &["-d", mangled, "standby", "clone"], None);
        user::write(
            &standby.server.folder.join("mangled.conf"),
            &format!("node_id=2\nnode_name=x\ndata_directory=/x\nconninfo={mangled}\n"),
        );
        let file = standby.server.folder.join("mangled.conf");
        let file = file.to_str().expect("a path");
        for arguments in [
            &["-f", file, "cluster", "show", "-L", "DEBUG", "-v"][..],
            &["-f", file, "--dump-config"],
        ] {
            hidden(mangled, &run(standby, arguments));
            hidden(
                mangled,
                &run_program(standby, "repmgrd", &["-f", file, "-L", "DEBUG", "--daemonize=false"]),
            );
        }
    }

    // The daemons, through a failover.
    for id in [1, 2] {
        let node = cluster.node(id);
        configure(node, SECRET, &node.automatic_failover());
        cluster.node_mut(id).start_daemon();
    }
    eventually("the standby's daemon watches", || {
        let sql = "SELECT count(*) FROM repmgr.events WHERE event = 'repmgrd_start' AND node_id = 2";
        (cluster.node(1).server.query(sql) == "1").then_some(())
    });
    cluster.node(2).signal_daemon(Signal::SIGHUP);
    cluster.node(1).server.kill();
    cluster.wait_primary(2);
    eventually("the daemon has recorded it", || {
        let sql = "SELECT count(*) FROM repmgr.events WHERE event = 'repmgrd_failover_promote'";
        (cluster.node(2).server.query(sql) == "1").then_some(())
    });
    loud(cluster.node(2), &["standby", "promote"], Some(8));
    for id in [1, 2] {
        let log = cluster.node(id).daemon_log();
        assert!(log.contains("[DEBUG]"), "the log has all:\n{log}");
        let line = log.lines().find(|line| line.contains(SECRET));
        assert_eq!(line, None, "node{id}'s daemon shows the password");
    }
    let details = "SELECT count(*) FROM repmgr.events WHERE details LIKE '%Geheimnis%'";
    assert_eq!(cluster.node(2).server.query(details), "0");
}
