//! `repmgrd` under a service manager: the test listens in the place of systemd.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::cluster::Cluster;
use support::{PATIENCE, eventually, user};

struct Listener(UnixDatagram);

impl Listener {
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("a message in time");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }

    /// Waits for a message that begins like this; what came before.
    fn until(&self, beginning: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let message = self.next();
            if message.starts_with(beginning) {
                return before;
            }
            before.push(message);
        }
    }
}

#[test]
fn a_service_manager_is_told_and_fed() {
    let cluster = Cluster::new("systemd", 1);
    let node = cluster.node(1);
    let environment = node.server.folder.join("environment");
    let script = node.server.folder.join("event");
    user::write(&script, &format!("#!/bin/sh\nenv >> {}\n", environment.display()));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Turns are much rarer than the watchdog wants to be fed.
    let settings = format!(
        "monitor_interval_secs=300\nevent_notification_command='{}'\nevent_notifications='repmgrd_start'\n",
        script.display()
    );
    node.write_config(&settings);
    cluster.primary_up("");

    let path = cluster.folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let listener = Listener(socket);
    let mut daemon = node
        .program("repmgrd")
        .arg("--daemonize=false")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1500000")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());

    listener.until(&format!("READY=1\nMAINPID={pid}"));
    listener.until("STATUS=primary: normal");
    for _ in 0..3 {
        listener.until("WATCHDOG=1");
    }
    kill(pid, Signal::SIGHUP).unwrap();
    listener.until("RELOADING=1\nMONOTONIC_USEC=");
    listener.until("READY=1");
    listener.until("WATCHDOG=1");

    // A loop that does not turn feeds nobody.
    kill(pid, Signal::SIGSTOP).unwrap();
    listener.0.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    let mut buffer = [0; 100];
    while listener.0.recv(&mut buffer).is_ok() {}
    kill(pid, Signal::SIGCONT).unwrap();
    listener.0.set_read_timeout(Some(PATIENCE)).unwrap();
    listener.until("WATCHDOG=1");

    kill(pid, Signal::SIGTERM).unwrap();
    listener.until("STOPPING=1");
    let status = eventually("the daemon ended", || daemon.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    // What the daemon starts must not speak to the service manager in its name.
    let seen = std::fs::read_to_string(&environment).unwrap();
    assert!(seen.contains("PATH="), "{seen}");
    assert!(!seen.contains("NOTIFY_SOCKET") && !seen.contains("WATCHDOG"), "{seen}");
}
