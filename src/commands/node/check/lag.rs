//! `--replication-lag`: how old a standby's data is.

use std::time::Duration;

use super::{Node, Outcome};
use crate::output::CheckStatus;
use crate::types::{NodeType, RecoveryState};

/// What was found out; the error of a question that was not answered is its text.
enum Lag {
    NotInRecovery,
    Seconds(i64),
    NotKnown(String),
}

pub async fn check(node: &Node<'_>) -> Outcome {
    let (recovery, lag) = tokio::join!(node.recovery(), node.connection.replication_lag());
    let lag = match (recovery, lag) {
        (Ok(RecoveryState::Primary), _) => Lag::NotInRecovery,
        (Ok(_), Ok(seconds)) => Lag::Seconds(seconds),
        (Err(error), _) => Lag::NotKnown(error),
        (_, Err(error)) => Lag::NotKnown(error.to_string()),
    };
    if let Lag::NotKnown(reason) = &lag {
        crate::warning!("unable to query replication lag");
        crate::detail!("{reason}");
    }
    let config = &node.context.config;
    verdict(
        &lag,
        node.own.node_type,
        config.replication_lag_warning,
        config.replication_lag_critical,
    )
}

fn verdict(lag: &Lag, node_type: NodeType, warning: Duration, critical: Duration) -> Outcome {
    let (warning, critical) = (seconds(warning), seconds(critical));
    let known = |status, lag: i64, details: String, threshold: Option<i64>| {
        let threshold = threshold.map_or_else(String::new, |threshold| format!(" --threshold={threshold}"));
        Outcome::new(status, details)
            .nagios(format!("{lag} seconds"))
            .performance(format!("lag={lag};{warning};{critical}"))
            .metrics(format!("lag={lag};{warning};{critical}"))
            .optformat(format!("--status={} --lag={lag}{threshold}", status.as_str()))
            .measure("lag_seconds", lag)
    };
    let outcome = match lag {
        Lag::NotInRecovery => {
            let what = if node_type == NodeType::Witness {
                "witness"
            } else {
                "primary"
            };
            known(CheckStatus::Ok, 0, format!("N/A - node is {what}"), None).measure("lag_seconds", None::<i64>)
        }
        // The original's texts, unpaired parentheses included.
        &Lag::Seconds(lag) if lag >= critical => known(
            CheckStatus::Critical,
            lag,
            format!("{lag} seconds, critical threshold: {critical})"),
            Some(critical),
        ),
        &Lag::Seconds(lag) if lag > warning => known(
            CheckStatus::Warning,
            lag,
            format!("{lag} seconds, warning threshold: {warning})"),
            Some(warning),
        ),
        &Lag::Seconds(lag) => known(CheckStatus::Ok, lag, format!("{lag} seconds"), None),
        Lag::NotKnown(_) => Outcome::new(CheckStatus::Unknown, "unable to query replication lag")
            .optformat("--status=UNKNOWN ")
            .measure("lag_seconds", None::<i64>),
    };
    outcome.measure("warning", warning).measure("critical", critical)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lag: Lag, node_type: NodeType) -> String {
        let outcome = verdict(&lag, node_type, Duration::from_secs(10), Duration::from_secs(20));
        format!(
            "{}{}{}",
            outcome.text_line(),
            outcome.nagios_line("REPMGR_REPLICATION_LAG"),
            outcome.optformat_line()
        )
    }

    #[test]
    fn the_warning_must_be_exceeded_and_the_critical_threshold_reached() {
        insta::assert_snapshot!(lines(Lag::Seconds(10), NodeType::Standby), @r"
        OK (10 seconds)
        REPMGR_REPLICATION_LAG OK: 10 seconds | lag=10;10;20
        --status=OK --lag=10
        ");
        insta::assert_snapshot!(lines(Lag::Seconds(11), NodeType::Standby), @r"
        WARNING (11 seconds, warning threshold: 10))
        REPMGR_REPLICATION_LAG WARNING: 11 seconds | lag=11;10;20
        --status=WARNING --lag=11 --threshold=10
        ");
        insta::assert_snapshot!(lines(Lag::Seconds(20), NodeType::Standby), @r"
        CRITICAL (20 seconds, critical threshold: 20))
        REPMGR_REPLICATION_LAG CRITICAL: 20 seconds | lag=20;10;20
        --status=CRITICAL --lag=20 --threshold=20
        ");
    }

    #[test]
    fn without_recovery_there_is_no_lag() {
        insta::assert_snapshot!(lines(Lag::NotInRecovery, NodeType::Primary), @r"
        OK (N/A - node is primary)
        REPMGR_REPLICATION_LAG OK: 0 seconds | lag=0;10;20
        --status=OK --lag=0
        ");
        assert!(lines(Lag::NotInRecovery, NodeType::Witness).starts_with("OK (N/A - node is witness)\n"));
    }

    #[test]
    fn no_answer_is_not_no_lag() {
        assert_eq!(
            lines(Lag::NotKnown("why".to_owned()), NodeType::Standby),
            "UNKNOWN (unable to query replication lag)\n\
             REPMGR_REPLICATION_LAG UNKNOWN: unable to query replication lag\n\
             --status=UNKNOWN \n"
        );
    }
}
