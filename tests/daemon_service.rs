//! `daemon start|stop` with a real daemon.

mod support;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use repmgr::process::is_alive;
use support::cluster::{Cluster, Node};
use support::eventually;

/// Lines of repmgr.conf that start the daemon in the background and stop it.
fn commands(node: &Node) -> String {
    format!(
        "repmgrd_service_start_command='{} -f {}'\nrepmgrd_service_stop_command='kill `cat {}`'\n",
        node.programs.join("repmgrd").display(),
        node.config_file.display(),
        node.pid_file().display()
    )
}

fn known_pid(node: &Node) -> Option<i32> {
    let pid: i32 = node.server.query("SELECT repmgr.get_repmgrd_pid()").parse().ok()?;
    is_alive(pid).then_some(pid)
}

/// A node whose daemon is ended even if the test fails.
struct Daemon<'a>(&'a Node);

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let text = std::fs::read_to_string(self.0.pid_file()).unwrap_or_default();
        if let Ok(pid) = text.trim().parse() {
            // It may be gone already.
            let _ = kill(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

#[test]
fn the_daemon_is_there_when_start_returns_and_gone_when_stop_returns() {
    let cluster = Cluster::up("daemon-service", 1);
    let node = cluster.node(1);
    let _daemon = Daemon(node);
    node.repmgr_fails(1, &["daemon", "start"]);
    node.repmgr_fails(1, &["daemon", "stop"]);
    node.write_config(&commands(node));
    node.repmgr_ok(&["daemon", "start", "--dry-run"]);
    node.repmgr_fails(27, &["daemon", "stop"]);
    assert_eq!(known_pid(node), None);

    node.repmgr_ok(&["daemon", "start"]);
    let pid = known_pid(node).expect("a daemon");
    node.repmgr_fails(27, &["daemon", "start"]);
    node.repmgr_ok(&["daemon", "stop", "--dry-run"]);
    assert_eq!(known_pid(node), Some(pid));
    node.repmgr_ok(&["daemon", "stop", "-w"]);
    assert!(!is_alive(pid), "the process is gone");
    assert_eq!(known_pid(node), None);

    // Without waiting.
    node.repmgr_ok(&["daemon", "start", "--no-wait"]);
    let pid = eventually("the daemon appears", || known_pid(node));
    node.repmgr_ok(&["daemon", "stop", "-W"]);
    eventually("the daemon ends", || (!is_alive(pid)).then_some(()));

    // The server is down: its daemon cannot be started, and is found by its PID file to be stopped.
    node.repmgr_ok(&["daemon", "start", "--wait=30"]);
    let pid = known_pid(node).expect("a daemon");
    node.server.stop("fast");
    node.repmgr_fails(6, &["daemon", "start"]);
    node.repmgr_ok(&["daemon", "stop", "--wait=30"]);
    assert!(!is_alive(pid), "the process is gone");
    node.repmgr_fails(27, &["daemon", "stop"]);
}

#[test]
fn commands_that_fail_or_do_nothing_are_noticed() {
    let cluster = Cluster::up("daemon-commands", 1);
    let node = cluster.node(1);
    let both = |command: &str| {
        node.write_config(&format!(
            "repmgrd_service_start_command='{command}'\nrepmgrd_service_stop_command='{command}'\n"
        ));
    };
    both("echo the reason >&2; exit 3");
    let text = node.repmgr_fails(27, &["daemon", "start"]);
    assert!(text.contains("the reason") && text.contains("exit status: 3"), "{text}");
    both("true");
    node.repmgr_fails(27, &["daemon", "start", "--wait=1"]);
    node.repmgr_ok(&["daemon", "start", "--wait=0"]);

    // A daemon that does not stop: any process will do.
    let mut sleeper = support::user::command("sleep").arg("600").spawn().expect("sleep");
    let pid = sleeper.id();
    node.server
        .query(&format!("SELECT repmgr.set_repmgrd_pid({pid}, '/tmp/repmgrd.pid')"));
    node.repmgr_fails(27, &["daemon", "stop", "--wait=1"]);
    both(&format!("kill {pid}"));
    // The test does not wait for its child yet: a process that has ended counts as gone.
    node.repmgr_ok(&["daemon", "stop"]);
    sleeper.wait().expect("the sleeper");
}
