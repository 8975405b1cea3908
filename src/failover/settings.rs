//! The parameters that decisions depend on.

use std::time::Duration;

use crate::config::{Config, FailoverMode};
use crate::types::NodeId;

/// No attempt is started sooner after the one before, whatever `reconnect_interval` says.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The part of the configuration that this room knows. Made from [`Config`] at start and at each reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `node_id`.
    pub own: NodeId,
    /// `failover=automatic`.
    pub automatic: bool,
    /// `monitor_interval_secs`: the pace of turns.
    pub monitor_interval: Duration,
    /// `reconnect_attempts`.
    pub reconnect_attempts: u32,
    /// `reconnect_interval`: from the start of one attempt to the start of the next.
    pub reconnect_interval: Duration,
    /// `degraded_monitoring_timeout`; `None` for never.
    pub degraded_timeout: Option<Duration>,
    /// `primary_notification_timeout`.
    pub notification_timeout: Duration,
    /// `repmgrd_standby_startup_timeout`: for the own server to be back after a follow.
    pub startup_timeout: Duration,
    /// `election_rerun_interval`.
    pub rerun_interval: Duration,
    /// `standby_disconnect_on_failover`.
    pub disconnect_receivers: bool,
    /// `sibling_nodes_disconnect_timeout`.
    pub siblings_disconnect_timeout: Duration,
    /// `primary_visibility_consensus`.
    pub visibility_consensus: bool,
    /// `always_promote`.
    pub always_promote: bool,
    /// Whether there is a `failover_validation_command`.
    pub validate: bool,
    /// `promote_delay`.
    pub promote_delay: Duration,
    /// How long the right to write is tried for before a promotion: the lost primary's may have to end first.
    pub right_timeout: Duration,
    /// `failover_delay`.
    pub failover_delay: Duration,
    /// How long after the end of a successful `promote_command` the server may still be in recovery
    /// (`promote_check_timeout`).
    pub promote_check_timeout: Duration,
    /// The deadline of `promote_command`: ample against what `repmgr standby promote` itself waits for. Also how
    /// long an elected node that is there and does not act stays elected.
    pub promote_timeout: Duration,
    /// The deadline of `follow_command` and of each other wait for a result.
    pub command_timeout: Duration,
    /// How long a node holds back that others may not have counted with until now, and one that takes the place of a
    /// better one: ample for a promotion that was just decided elsewhere to show.
    pub settle: Duration,
    /// How long the own server may be away before the node is recorded as inactive. A plain restart takes less.
    pub local_grace: Duration,
}

impl Settings {
    /// Takes them from the configuration.
    pub fn from_config(config: &Config) -> Self {
        let monitor_interval = config.monitor_interval_secs;
        Settings {
            own: NodeId(config.node_id),
            automatic: config.failover == FailoverMode::Automatic,
            monitor_interval,
            reconnect_attempts: u32::try_from(config.reconnect_attempts).unwrap_or(0),
            reconnect_interval: config.reconnect_interval,
            degraded_timeout: config.degraded_monitoring_timeout.filter(|limit| !limit.is_zero()),
            notification_timeout: config.primary_notification_timeout,
            startup_timeout: config.repmgrd_standby_startup_timeout,
            rerun_interval: config.election_rerun_interval,
            disconnect_receivers: config.standby_disconnect_on_failover,
            siblings_disconnect_timeout: config.sibling_nodes_disconnect_timeout,
            visibility_consensus: config.primary_visibility_consensus,
            always_promote: config.always_promote,
            validate: !config.failover_validation_command.is_empty(),
            promote_delay: config.promote_delay,
            right_timeout: config.write_right_duration * 3,
            failover_delay: config.failover_delay,
            promote_check_timeout: config.promote_check_timeout,
            promote_timeout: config.promote_check_timeout * 2 + Duration::from_secs(60),
            command_timeout: config.standby_follow_timeout + config.primary_follow_timeout + Duration::from_secs(120),
            settle: Duration::from_secs(5),
            local_grace: Duration::from_secs(10).max(monitor_interval * 2),
        }
    }

    /// How old another node's sighting of the primary may be to count as "sees it".
    pub fn visibility_window(&self) -> Duration {
        self.monitor_interval * 2
    }

    /// The longest time from the loss of the primary to the decision who is to be promoted, while the own server and
    /// the other nodes answer: the pace of monitoring, all attempts, and the delays that are set. `attempt` is how
    /// long one attempt takes to fail; attempts overlap, so it counts once.
    pub fn longest_to_decision(&self, attempt: Duration) -> Duration {
        let receivers = if self.disconnect_receivers {
            self.command_timeout + self.siblings_disconnect_timeout
        } else {
            Duration::ZERO
        };
        self.monitor_interval + self.reconnect_time() + attempt + receivers + self.failover_delay
    }

    /// From the start of one attempt to the start of the next.
    pub fn attempt_interval(&self) -> Duration {
        self.reconnect_interval.max(SHORTEST_INTERVAL)
    }

    /// From the start of the first attempt to the start of the last one.
    pub fn reconnect_time(&self) -> Duration {
        self.attempt_interval() * self.reconnect_attempts.saturating_sub(1)
    }

    /// The time within which something that is awaited is looked at again.
    pub fn polling(&self) -> Duration {
        Duration::from_secs(1).min(self.monitor_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(change: impl FnOnce(&mut Config), probe: u64) -> u128 {
        let mut config = Config::default();
        change(&mut config);
        Settings::from_config(&config)
            .longest_to_decision(Duration::from_millis(probe))
            .as_millis()
    }

    #[test]
    fn the_longest_time_to_a_decision_follows_from_the_settings() {
        // Two seconds to notice, five times ten between the attempts.
        assert_eq!(longest(|_| (), 0), 52_000);
        // A silent host costs the last attempt.
        assert_eq!(longest(|_| (), 2_000), 54_000);
        let quick = |config: &mut Config| {
            config.monitor_interval_secs = Duration::from_millis(500);
            config.reconnect_attempts = 3;
            config.reconnect_interval = Duration::from_millis(500);
        };
        assert_eq!(longest(quick, 0), 1_500);
        // Attempts that last longer than the interval overlap.
        assert_eq!(longest(quick, 2_000), 3_500);
        for attempts in [0, 1] {
            assert_eq!(longest(|config| config.reconnect_attempts = attempts, 1_000), 3_000);
        }
        assert_eq!(
            longest(|config| config.failover_delay = Duration::from_secs(7), 0),
            59_000
        );
    }
}
