//! Both ways to other hosts, libssh2 and the system's ssh, under a whole procedure.

mod support;

use support::hosts::Hosts;

/// Something that libssh2 is not used for.
const SYSTEM: &str = "ssh_options='-q -o ConnectTimeout=10 -o Ciphers=aes256-ctr'\n";

fn switch_over(hosts: &Hosts, to: u32) -> String {
    let output = hosts
        .node(to)
        .repmgr(&["standby", "switchover", "--siblings-follow", "--verbose"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(hosts.primaries(), [to], "{said}");
    for id in (1..=3).filter(|id| *id != to) {
        hosts.wait_streaming(to, id);
    }
    said
}

#[test]
fn a_switchover_and_back_over_each_transport() {
    let Some(hosts) = Hosts::up_with("transports", 3, "", SYSTEM) else {
        return;
    };
    let said = switch_over(&hosts, 2);
    assert!(said.contains("is reached with the system's ssh"), "{said}");
    assert!(said.contains("ciphers"), "{said}");
    assert!(!said.contains("is reached with libssh2"), "{said}");

    hosts.node(1).write_config("");
    let said = switch_over(&hosts, 1);
    assert!(said.contains("is reached with libssh2"), "{said}");
    assert!(!said.contains("is reached with the system's ssh"), "{said}");
}
