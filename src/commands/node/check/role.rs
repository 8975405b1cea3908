//! `--role`: the server is what the node is registered as.

use super::{Node, Outcome};
use crate::output::CheckStatus;
use crate::types::{NodeType, RecoveryState};

pub async fn check(node: &Node<'_>) -> Outcome {
    match node.recovery().await {
        Ok(recovery) => verdict(node.own.node_type, recovery),
        Err(error) => Outcome::unknown("determine the server's role", error),
    }
}

fn verdict(registered: NodeType, recovery: RecoveryState) -> Outcome {
    let running = match recovery {
        RecoveryState::Unknown => return Outcome::new(CheckStatus::Unknown, "the server does not say what it is"),
        RecoveryState::Standby => "standby",
        RecoveryState::Primary => "primary",
    };
    let fits = match registered {
        NodeType::Primary | NodeType::Witness => recovery == RecoveryState::Primary,
        NodeType::Standby => recovery == RecoveryState::Standby,
        NodeType::Unknown => false,
    };
    let outcome = if fits {
        Outcome::new(CheckStatus::Ok, format!("node is {registered}"))
    } else {
        Outcome::new(
            CheckStatus::Critical,
            format!("node is registered as {registered} but running as {running}"),
        )
    };
    outcome
        .measure("registered", registered.as_str())
        .measure("recovery", recovery == RecoveryState::Standby)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_must_be_what_it_is_registered_as() {
        use CheckStatus::{Critical, Ok, Unknown};
        for (registered, recovery, status, details) in [
            (NodeType::Primary, RecoveryState::Primary, Ok, "node is primary"),
            (NodeType::Standby, RecoveryState::Standby, Ok, "node is standby"),
            (NodeType::Witness, RecoveryState::Primary, Ok, "node is witness"),
            (
                NodeType::Primary,
                RecoveryState::Standby,
                Critical,
                "node is registered as primary but running as standby",
            ),
            (
                NodeType::Standby,
                RecoveryState::Primary,
                Critical,
                "node is registered as standby but running as primary",
            ),
            (
                NodeType::Witness,
                RecoveryState::Standby,
                Critical,
                "node is registered as witness but running as standby",
            ),
            (
                NodeType::Standby,
                RecoveryState::Unknown,
                Unknown,
                "the server does not say what it is",
            ),
        ] {
            let outcome = verdict(registered, recovery);
            assert_eq!((outcome.status, outcome.details.as_str()), (status, details));
            assert_eq!(outcome.optformat_line(), "");
        }
    }
}
