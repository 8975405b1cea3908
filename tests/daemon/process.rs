//! Its process: start, PID file, log, background, end.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::cluster::Cluster;
use crate::support::flavor::Flavor;
use crate::support::{eventually, stage, user};
use crate::{daemon, events, started, text};

#[test]
fn help_and_version_are_for_everybody_and_root_is_refused() {
    let program = stage::programs().join("repmgrd");
    for option in ["--version", "-V"] {
        let output = Command::new(&program).arg(option).output().unwrap();
        assert_eq!(
            (text(&output.stdout).as_str(), output.status.code()),
            ("repmgrd 5.5.0\n", Some(0))
        );
    }
    for option in ["--help", "-?"] {
        let output = Command::new(&program).arg(option).output().unwrap();
        assert!(text(&output.stdout).contains("--daemonize"), "{output:?}");
        assert_eq!(output.status.code(), Some(0));
    }
    if nix::unistd::geteuid().is_root() {
        let output = Command::new(&program).args(["-f", "/nonexistent"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("root"), "{output:?}");
    }
    let output = user::command(&program).arg("--nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--nonsense"), "{output:?}");
}

#[test]
fn what_prevents_the_start_is_told_to_the_caller() {
    let cluster = Cluster::new("daemon-start", 1);
    let node = cluster.node(1);
    let pid_file = node.pid_file();
    let shown = daemon(&cluster, 1, &["-s"]);
    assert_eq!(text(&shown.stdout), format!("{}\n", pid_file.display()));
    let shown = daemon(&cluster, 1, &["-s", "-p", "/x/y.pid"]);
    assert_eq!(text(&shown.stdout), "/x/y.pid\n");
    let shown = daemon(&cluster, 1, &["--show-pid-file", "--no-pid-file"]);
    assert_eq!((text(&shown.stdout).as_str(), shown.status.code()), ("\n", Some(0)));

    // The server is not there: the exit code reaches the caller also when the daemon is to go into the background.
    for arguments in [&[][..], &["--daemonize=false"][..]] {
        let output = daemon(&cluster, 1, arguments);
        assert_eq!(output.status.code(), Some(6), "{output:?}\n{}", node.daemon_log());
    }
    node.server.initialise("");
    node.server.start();
    node.create_role();
    assert_eq!(daemon(&cluster, 1, &[]).status.code(), Some(1), "no extension");
    assert!(
        node.daemon_log().contains("extension \"repmgr\""),
        "{}",
        node.daemon_log()
    );
    node.repmgr_ok(&[&["primary", "register"], Flavor::current().superuser_option()].concat());

    node.write_config("failover=automatic\n");
    let output = daemon(&cluster, 1, &[]);
    assert_eq!(output.status.code(), Some(1), "automatic without commands: {output:?}");
    assert!(
        node.daemon_log().contains("promote_command and follow_command"),
        "{}",
        node.daemon_log()
    );
    node.write_config("nonsense='\n");
    assert_eq!(daemon(&cluster, 1, &[]).status.code(), Some(1), "a bad file");
    assert!(!pid_file.exists());
}

#[test]
fn w51_w52_a_daemon_starts_is_the_only_one_rotates_its_log_and_stops() {
    let mut cluster = Cluster::new("daemon-process", 1);
    cluster.primary_up("");
    cluster.node_mut(1).start_daemon();
    started(&cluster, 1);
    let pid = cluster.node(1).daemon_pid().unwrap().to_string();
    let pid_file = cluster.node(1).pid_file();
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), pid);
    assert!(
        cluster
            .node(1)
            .daemon_log()
            .contains("monitoring cluster primary \"node1\" (ID: 1)")
    );
    let kept = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'repmgr'";
    eventually("one kept connection", || {
        (cluster.node(1).server.query(kept) == "1").then_some(())
    });

    // A second one is refused, with the same PID file, with another, and when it cannot even start.
    assert_eq!(daemon(&cluster, 1, &["--daemonize=false"]).status.code(), Some(3));
    assert_eq!(
        daemon(&cluster, 1, &["--daemonize=false", "--no-pid-file"])
            .status
            .code(),
        Some(3)
    );
    let other = cluster.node(1).server.folder.join("other.conf");
    let config = std::fs::read_to_string(&cluster.node(1).config_file).unwrap();
    user::write(&other, &config.replace("node_id=1", "node_id=7"));
    let output = daemon(&cluster, 1, &["-f", other.to_str().unwrap(), "--daemonize=false"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        std::fs::read_to_string(&pid_file).unwrap(),
        pid,
        "the file of the first is untouched"
    );
    let published = "SELECT repmgr.get_repmgrd_pid(), repmgr.get_repmgrd_pidfile(), repmgr.repmgrd_is_running()";
    assert_eq!(
        cluster.node(1).server.query(published),
        format!("{pid}|{}|t", pid_file.display())
    );

    // SIGHUP opens the log again; a bad file changes nothing, a good one does.
    let log = cluster.node(1).daemon_log_file();
    let rotated = log.with_extension("old");
    std::fs::rename(&log, &rotated).unwrap();
    cluster.node(1).write_config("nonsense='\n");
    cluster.node(1).signal_daemon(Signal::SIGHUP);
    eventually("the log is there again", || log.exists().then_some(()));
    cluster.node(1).write_config("log_status_interval=1\n");
    cluster.node(1).signal_daemon(Signal::SIGHUP);
    eventually("the new configuration counts", || {
        cluster
            .node(1)
            .daemon_log()
            .contains("monitoring primary node \"node1\" (ID: 1) in normal state")
            .then_some(())
    });
    assert!(
        std::fs::read_to_string(&rotated)
            .unwrap()
            .contains("the old configuration stays in force")
    );

    // A restarted server is told again whom it serves.
    cluster.node(1).server.stop("fast");
    eventually("the loss is noticed", || {
        cluster
            .node(1)
            .daemon_log()
            .contains("rule \"primary-lost\"")
            .then_some(())
    });
    cluster.node(1).server.start();
    eventually("the daemon is known again", || {
        (cluster.node(1).server.try_query(published).ok()? == format!("{pid}|{}|t", pid_file.display())).then_some(())
    });
    eventually("the reconnect is recorded", || {
        events(&cluster, 1, 1)
            .contains(&"repmgrd_local_reconnect".to_owned())
            .then_some(())
    });

    assert_eq!(cluster.node_mut(1).stop_daemon(), Some(0));
    assert!(!pid_file.exists());
    assert_eq!(cluster.node(1).server.query("SELECT repmgr.get_repmgrd_pid()"), "-1");
    let told = events(&cluster, 1, 1);
    assert_eq!(told.first().map(String::as_str), Some("repmgrd_start"), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("repmgrd_shutdown"), "{told:?}");
}

#[test]
fn a_daemon_goes_into_the_background() {
    let cluster = Cluster::new("daemon-background", 1);
    cluster.primary_up("");
    assert_eq!(daemon(&cluster, 1, &[]).status.code(), Some(0));
    let pid_file = cluster.node(1).pid_file();
    let pid: i32 = eventually("the PID file", || std::fs::read_to_string(&pid_file).ok()?.parse().ok());
    started(&cluster, 1);
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    let directory = std::fs::read_link(process.join("cwd")).unwrap();
    assert_eq!(Some(directory.as_path()), cluster.node(1).config_file.parent());
    let second = daemon(&cluster, 1, &[]);
    assert_eq!(
        second.status.code(),
        Some(0),
        "only the daemon itself looks at the PID file"
    );
    eventually("the second one is refused", || {
        cluster
            .node(1)
            .daemon_log()
            .contains("belongs to the process with PID")
            .then_some(())
    });
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    eventually("the daemon ended", || (!process.exists()).then_some(()));
    assert!(!pid_file.exists());
}
