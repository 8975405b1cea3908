//! An original on the other side, which is asked over ssh and asks over ssh.

use crate::support;
use crate::support::hosts::Hosts;
use crate::support::stage;
use crate::{last_event, records};

/// Two hosts with the original's server library, which ours works with, too. The programs of node 2 are ours, those of
/// node 1 the original's; each looks for the other's where they are.
fn mixed(name: &str) -> Option<Hosts> {
    let Some(original) = stage::original() else {
        support::skip(
            "conformance",
            "the original is not staged; run: scripts/stage-original.sh",
        );
        return None;
    };
    let mut hosts = Hosts::with_stage(name, 2, original, &original.bindir)?;
    let ours = stage::programs();
    hosts.node_mut(2).programs = ours.to_owned();
    hosts
        .node(1)
        .write_config(&format!("repmgr_bindir='{}'", ours.display()));
    hosts
        .node(2)
        .write_config(&format!("repmgr_bindir='{}'", original.bindir.display()));
    hosts.primary_up("shared_preload_libraries = 'repmgr'\nwal_log_hints = on");
    hosts.standby_up(2);
    hosts.wait_record(2, 2);
    Some(hosts)
}

#[test]
fn an_original_is_demoted_by_us_and_demotes_us() {
    let Some(hosts) = mixed("switchover-mixed") else {
        return;
    };
    let (original, ours) = (hosts.node(1), hosts.node(2));
    let before = records(original);
    ours.repmgr_ok(&["standby", "switchover", "--dry-run"]);
    assert_eq!(records(original), before);
    let output = ours.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(hosts.primaries(), [2]);
    hosts.wait_streaming(2, 1);
    assert_eq!(records(ours), "1 standby t 2, 2 primary t 0");
    assert_eq!(last_event(ours, "standby_switchover"), "2 standby_switchover t");

    hosts.wait_record(1, 2);
    original.repmgr_ok(&["standby", "switchover"]);
    assert_eq!(hosts.primaries(), [1]);
    hosts.wait_streaming(1, 2);
    assert_eq!(records(original), before);
}
