//! `--repmgrd`: the daemon runs and is not paused, as the server knows it.

use super::{Node, Outcome};
use crate::metadata::functions;
use crate::output::CheckStatus;

pub async fn check(node: &Node<'_>) -> Outcome {
    let (running, paused) = tokio::join!(
        functions::repmgrd_is_running(node.connection),
        functions::repmgrd_is_paused(node.connection)
    );
    for error in [running.as_ref().err(), paused.as_ref().err()].into_iter().flatten() {
        crate::warning!("the server does not say what its daemon does");
        crate::detail!("{error}");
    }
    verdict(running.ok().flatten(), paused.ok().flatten())
}

/// A server that cannot say has no daemon that it could have heard of.
fn verdict(running: Option<bool>, paused: Option<bool>) -> Outcome {
    let outcome = match (running, paused) {
        (Some(true), Some(true)) => Outcome::new(CheckStatus::Warning, "repmgrd running but paused"),
        (Some(true), _) => Outcome::new(CheckStatus::Ok, "repmgrd running"),
        _ => Outcome::new(CheckStatus::Critical, "repmgrd not running"),
    };
    let status = outcome.status.as_str();
    outcome
        .optformat(format!("--repmgrd={status}"))
        .measure("running", running)
        .measure("paused", paused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_daemon_is_a_warning_and_a_missing_one_critical() {
        let lines = [
            (Some(true), Some(false)),
            (Some(true), Some(true)),
            (Some(false), Some(true)),
            (None, None),
        ]
        .map(|(running, paused)| verdict(running, paused).nagios_line("REPMGRD"));
        insta::assert_snapshot!(lines.concat(), @r"
        REPMGRD OK: repmgrd running
        REPMGRD WARNING: repmgrd running but paused
        REPMGRD CRITICAL: repmgrd not running
        REPMGRD CRITICAL: repmgrd not running
        ");
    }
}
