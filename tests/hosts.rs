//! The test cluster of hosts itself: names, ssh, faults, removal.

mod support;

use std::process::Stdio;
use std::time::Duration;

use support::hosts::{Hosts, POSTGRES, SSH};
use support::{eventually, within};

/// Whether a TCP connection from one host to a port of another comes about.
fn connects(hosts: &Hosts, from: u32, to: u32, port: u16) -> bool {
    let address = &hosts.host(to).address;
    let script = format!("exec 3<>/dev/tcp/{address}/{port}");
    hosts
        .command(from, "timeout")
        .args(["1", "bash", "-c", &script])
        .stderr(Stdio::null())
        .status()
        .expect("bash")
        .success()
}

/// Whether node `from` reaches the sshd of node `to`, once the network has settled.
fn expect(hosts: &Hosts, from: u32, to: u32, port: u16, wanted: bool) {
    eventually(
        &format!("node{from} to port {port} of node{to} connects: {wanted}"),
        || (connects(hosts, from, to, port) == wanted).then_some(()),
    );
}

#[test]
fn hosts_have_names_homes_and_ssh_to_one_another() {
    let Some(hosts) = Hosts::new("hosts-ssh", 3) else {
        return;
    };
    for (from, to) in [(1, 2), (2, 3), (3, 1)] {
        let output = hosts.ssh(from, to, "echo $HOME; id -un; echo $SSH_CONNECTION");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let mut lines = text.lines();
        assert_eq!(lines.next(), hosts.host(to).home.to_str());
        assert_eq!(lines.next(), Some(support::user::ordinary().2.as_str()));
        let connection = lines.next().expect("the connection");
        assert!(connection.starts_with(&hosts.host(from).address), "{connection}");
    }
    let by_name = hosts
        .command(1, "ssh")
        .args(["-o", "BatchMode=yes", "node3", "hostname -I"])
        .output();
    let by_name = by_name.expect("ssh");
    assert_eq!(
        String::from_utf8_lossy(&by_name.stdout).trim(),
        hosts.host(3).address,
        "{by_name:?}"
    );

    hosts.stop_sshd(2);
    assert_eq!(hosts.ssh(1, 2, "true").status.code(), Some(255));
    hosts.start_sshd(2);
    assert!(hosts.ssh(1, 2, "true").status.success());
}

#[test]
fn packets_are_lost_where_the_test_says() {
    let Some(hosts) = Hosts::new("hosts-faults", 3) else {
        return;
    };
    hosts.cut(1, 2);
    expect(&hosts, 1, 2, SSH, false);
    expect(&hosts, 2, 1, SSH, false);
    expect(&hosts, 1, 3, SSH, true);
    expect(&hosts, 3, 2, SSH, true);
    hosts.heal();
    expect(&hosts, 1, 2, SSH, true);

    hosts.isolate(3);
    expect(&hosts, 1, 3, SSH, false);
    expect(&hosts, 3, 1, SSH, false);
    expect(&hosts, 3, 3, SSH, true);
    expect(&hosts, 1, 2, SSH, true);
    hosts.heal();

    hosts.drop_port_from(1, 2, SSH);
    expect(&hosts, 1, 2, SSH, false);
    expect(&hosts, 3, 2, SSH, true);
    expect(&hosts, 2, 1, SSH, true);
    hosts.drop_port(2, SSH);
    expect(&hosts, 3, 2, SSH, false);
    expect(&hosts, 2, 2, SSH, true);
    hosts.heal();

    // Answers do not come back either way; but what needs no answer arrives.
    hosts.cut_one_way(1, 2);
    expect(&hosts, 1, 2, SSH, false);
    expect(&hosts, 2, 1, SSH, false);
    hosts.heal();
    hosts.lose(2, 100);
    expect(&hosts, 1, 2, SSH, false);
    hosts.heal();
    expect(&hosts, 1, 2, SSH, true);

    hosts.power_off(2);
    assert!(hosts.host(2).processes().is_empty());
    expect(&hosts, 1, 2, SSH, false);
    hosts.power_on(2);
    expect(&hosts, 1, 2, SSH, true);
}

#[test]
fn a_cluster_lives_on_hosts() {
    let Some(mut hosts) = Hosts::up("hosts-cluster", 2) else {
        return;
    };
    let show = hosts.node(2).repmgr_ok(&["cluster", "show", "--csv"]);
    assert_eq!(show, "1,0,0\n2,0,1\n");
    let address = hosts.host(2).address.clone();
    let sql = "SELECT client_addr FROM pg_stat_replication";
    assert_eq!(hosts.node(1).server.query(sql), address);

    hosts.node_mut(2).start_daemon();
    let daemon = hosts.node(2).daemon_pid().expect("a daemon");
    assert!(hosts.host(2).processes().contains(&daemon));

    hosts.drop_port(2, POSTGRES);
    let show = hosts.node(1).repmgr(&["cluster", "show", "--csv"]);
    assert_eq!(String::from_utf8_lossy(&show.stdout), "1,0,0\n2,-1,-1\n");
    assert!(hosts.ssh(1, 2, "true").status.success());
    hosts.heal();

    hosts.power_off(1);
    assert!(!hosts.node(1).server.is_running());
    hosts.power_on(1);
    hosts.node(1).server.start();
    hosts.wait_streaming(1, 2);
}

#[test]
fn nothing_is_left_of_a_network() {
    let Some(hosts) = Hosts::new("hosts-removal", 1) else {
        return;
    };
    let namespace = hosts.host(1).clone();
    let mut child = hosts.command(1, "sleep").arg("1000").spawn().expect("sleep");
    drop(hosts);
    within(Duration::from_secs(30), "the process of the host is gone", || {
        child.try_wait().expect("its status")
    });
    assert!(!std::path::Path::new("/run/netns").join(&namespace.name).exists());
    assert!(!std::path::Path::new("/etc/netns").join(&namespace.name).exists());
}
