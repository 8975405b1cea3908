//! `--slots` and `--missing-slots`: physical replication slots that nobody
//! uses, and those that a registered standby needs and that are not there.

use super::{Node, Outcome};
use crate::commands::node::slots::missing_slots;
use crate::output::CheckStatus;
use crate::postgres::PhysicalSlot;

/// No physical slot is without its walsender.
pub async fn inactive(node: &Node<'_>) -> Outcome {
    match node.slots().await {
        Ok(slots) => inactive_verdict(slots),
        Err(error) => Outcome::unknown("read the replication slots", error),
    }
}

fn inactive_verdict(slots: &[PhysicalSlot]) -> Outcome {
    let names: Vec<&str> = slots
        .iter()
        .filter(|slot| !slot.active)
        .map(|slot| slot.name.as_str())
        .collect();
    let (total, inactive) = (slots.len(), names.len());
    let outcome = match (total, inactive) {
        (0, _) => Outcome::new(CheckStatus::Ok, "node has no physical replication slots"),
        (_, 0) => Outcome::new(
            CheckStatus::Ok,
            format!("{total} of {total} physical replication slots are active"),
        ),
        _ => Outcome::new(
            CheckStatus::Critical,
            format!("{inactive} of {total} physical replication slots are inactive"),
        ),
    };
    outcome
        .performance(format!("slots={total};{inactive}"))
        .metrics(format!("slots={total} inactive_slots={inactive}"))
        .measure("slots", total)
        .measure("inactive_slots", names)
}

/// Every standby registered below this node that uses a slot has it.
pub async fn missing(node: &Node<'_>) -> Outcome {
    match tokio::join!(node.slots(), node.downstream()) {
        (Ok(slots), Ok(downstream)) => {
            let missing = missing_slots(slots, downstream);
            let names: Vec<&str> = missing.iter().map(|(_, slot)| slot.as_str()).collect();
            missing_verdict(&names)
        }
        (Err(error), _) | (_, Err(error)) => Outcome::unknown("compare the replication slots with the records", error),
    }
}

fn missing_verdict(names: &[&str]) -> Outcome {
    let outcome = if names.is_empty() {
        Outcome::new(CheckStatus::Ok, "node has no missing physical replication slots").performance("missing_slots=0")
    } else {
        let count = names.len();
        Outcome::new(
            CheckStatus::Critical,
            format!("{count} physical replication slots are missing: {}", names.join(", ")),
        )
        .performance(format!("missing_slots={count};{}", names.join(",")))
    };
    outcome
        .metrics(format!("missing_slots={}", names.len()))
        .measure("missing_slots", names.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, active: bool) -> PhysicalSlot {
        PhysicalSlot {
            name: name.to_owned(),
            active,
        }
    }

    #[test]
    fn slots_without_walsender_are_counted() {
        let lines = [
            inactive_verdict(&[]),
            inactive_verdict(&[slot("a", true), slot("b", true)]),
            inactive_verdict(&[slot("a", true), slot("b", false)]),
        ]
        .map(|outcome| outcome.nagios_line("REPMGR_INACTIVE_SLOTS"));
        insta::assert_snapshot!(lines.concat(), @r"
        REPMGR_INACTIVE_SLOTS OK: node has no physical replication slots | slots=0;0
        REPMGR_INACTIVE_SLOTS OK: 2 of 2 physical replication slots are active | slots=2;0
        REPMGR_INACTIVE_SLOTS CRITICAL: 1 of 2 physical replication slots are inactive | slots=2;1
        ");
    }

    #[test]
    fn missing_slots_are_named() {
        let lines = [
            missing_verdict(&[]),
            missing_verdict(&["repmgr_slot_3", "repmgr_slot_2"]),
        ]
        .map(|outcome| outcome.nagios_line("REPMGR_MISSING_SLOTS"));
        insta::assert_snapshot!(lines.concat(), @r"
        REPMGR_MISSING_SLOTS OK: node has no missing physical replication slots | missing_slots=0
        REPMGR_MISSING_SLOTS CRITICAL: 2 physical replication slots are missing: repmgr_slot_3, repmgr_slot_2 | missing_slots=2;repmgr_slot_3,repmgr_slot_2
        ");
    }
}
