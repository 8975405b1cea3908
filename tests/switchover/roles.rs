//! Primary and standby change places.

use crate::{hosts, last_event, records, slots};

#[test]
fn there_and_back() {
    let Some(hosts) = hosts("switchover-back", 2, "use_replication_slots=yes") else {
        return;
    };
    let (first, second) = (hosts.node(1), hosts.node(2));
    let before = records(first);
    let said = second.repmgr(&["standby", "switchover", "--dry-run"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("prerequisites for executing STANDBY SWITCHOVER are met"),
        "{said}"
    );
    assert_eq!(hosts.primaries(), [1], "a dry run changes nothing");
    assert_eq!(records(first), before, "a dry run changes nothing");

    let output = second.repmgr(&["standby", "switchover"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("STANDBY SWITCHOVER has completed successfully"), "{said}");
    assert!(said.contains("seconds without a writable primary"), "{said}");
    assert_eq!(hosts.primaries(), [2]);
    hosts.wait_streaming(2, 1);
    assert_eq!(records(second), "1 standby t 2, 2 primary t 0");
    assert_eq!(last_event(second, "standby_switchover"), "2 standby_switchover t");
    assert_eq!(slots(first), "", "the slot that nobody uses any more is gone");
    assert_eq!(slots(second), "repmgr_slot_1 true");

    first.repmgr_ok(&["standby", "switchover"]);
    assert_eq!(hosts.primaries(), [1]);
    hosts.wait_streaming(1, 2);
    assert_eq!(records(first), before);
}
