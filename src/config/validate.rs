//! What must hold between parameters. Pure.

use std::collections::HashMap;
use std::time::Duration;

use super::include::Place;
use super::parameters::{Config, FailoverMode, Rejoin, SynchronousMode, WriteRight};
use crate::conninfo::Conninfo;
use crate::types::NodeType;

/// Which parameters a file gave, and where it did so last.
pub(super) type Provided = HashMap<&'static str, Place>;

/// Parameters without which nothing goes.
pub(super) const REQUIRED: [&str; 4] = ["node_id", "node_name", "data_directory", "conninfo"];

/// The longest right to write: as long as a voter is silent that may have forgotten one.
const LONGEST_RIGHT: Duration = Duration::from_secs(30);

/// All that is wrong with a configuration as a whole, one text each.
pub(super) fn problems(config: &Config, provided: &Provided) -> Vec<String> {
    let mut problems = Vec::new();
    let place = |names: &[&str]| {
        let places: Vec<String> = names
            .iter()
            .filter_map(|name| provided.get(name))
            .map(ToString::to_string)
            .collect();
        if places.is_empty() {
            String::new()
        } else {
            format!(" ({})", places.join("; "))
        }
    };

    let empty = |name: &str| match name {
        "node_name" => config.node_name.is_empty(),
        "data_directory" => config.data_directory.as_os_str().is_empty(),
        "conninfo" => config.conninfo.is_empty(),
        _ => false,
    };
    for name in REQUIRED {
        if !provided.contains_key(name) {
            problems.push(format!("\"{name}\": required parameter was not found"));
        } else if empty(name) {
            problems.push(format!("\"{name}\": required parameter is empty{}", place(&[name])));
        }
    }

    if !config.conninfo.is_empty()
        && let Err(error) = Conninfo::parse(&config.conninfo)
    {
        // The text itself is not shown: it may hold a password.
        problems.push(format!("\"conninfo\": {error}{}", place(&["conninfo"])));
    }

    for (set, unset) in [("barman_host", "barman_server"), ("barman_server", "barman_host")] {
        let is_set = |name| match name {
            "barman_host" => !config.barman_host.is_empty(),
            _ => !config.barman_server.is_empty(),
        };
        if is_set(set) && !is_set(unset) {
            problems.push(format!("\"{unset}\": must be set if \"{set}\" is set{}", place(&[set])));
        }
    }

    if config.write_right_duration > LONGEST_RIGHT {
        problems.push(format!(
            "\"write_right_duration\" ({} s) must be at most {} s{}",
            config.write_right_duration.as_secs_f64(),
            LONGEST_RIGHT.as_secs(),
            place(&["write_right_duration"])
        ));
    }

    if config.rejoin != Rejoin::Manual && config.write_right == WriteRight::Off {
        problems.push(format!(
            "\"rejoin\" needs \"write_right\": without it nobody knows whose commits were acknowledged, and \
             \"rejoin\" must be \"manual\"{}",
            place(&["rejoin"])
        ));
    }
    if config.write_right == WriteRight::Etcd && config.etcd_endpoints.is_empty() {
        problems.push(format!(
            "\"write_right=etcd\" needs \"etcd_endpoints\"{}",
            place(&["write_right"])
        ));
    }
    if config.write_right == WriteRight::Etcd && config.synchronous_mode != SynchronousMode::Off {
        problems.push(format!(
            "\"synchronous_mode\" needs \"write_right=majority\": with etcd nobody remembers the standbys that have all commits{}",
            place(&["synchronous_mode"])
        ));
    }
    if !config.etcd_user.is_empty() && config.etcd_password_file.as_os_str().is_empty() {
        problems.push(format!(
            "\"etcd_user\" needs \"etcd_password_file\"{}",
            place(&["etcd_user"])
        ));
    }

    if config.synchronous_mode != SynchronousMode::Off && config.write_right == WriteRight::Off {
        problems.push(format!(
            "\"synchronous_mode\" needs \"write_right\", which is off{}",
            place(&["synchronous_mode", "write_right"])
        ));
    }

    for (higher, lower, holds, relation, values) in [
        (
            "archive_ready_critical",
            "archive_ready_warning",
            config.archive_ready_critical > config.archive_ready_warning,
            "greater than",
            (
                i64::from(config.archive_ready_critical),
                i64::from(config.archive_ready_warning),
            ),
        ),
        (
            "replication_lag_critical",
            "replication_lag_warning",
            config.replication_lag_critical > config.replication_lag_warning,
            "greater than",
            (
                config.replication_lag_critical.as_secs() as i64,
                config.replication_lag_warning.as_secs() as i64,
            ),
        ),
        (
            "standby_reconnect_timeout",
            "node_rejoin_timeout",
            config.standby_reconnect_timeout >= config.node_rejoin_timeout,
            "equal to or greater than",
            (
                config.standby_reconnect_timeout.as_secs() as i64,
                config.node_rejoin_timeout.as_secs() as i64,
            ),
        ),
    ] {
        if !holds {
            problems.push(format!(
                "\"{higher}\" ({}) must be {relation} \"{lower}\" ({}){}",
                values.0,
                values.1,
                place(&[higher, lower])
            ));
        }
    }
    problems
}

/// What a daemon lacks if it is to fail over by itself: the parameters that must be set for `failover=automatic`.
/// A witness needs none when it reloads; `None` is a daemon that starts, where the original asks it of every type.
pub fn missing_for_automatic_failover(config: &Config, node_type: Option<NodeType>) -> Vec<&'static str> {
    if config.failover != FailoverMode::Automatic || node_type == Some(NodeType::Witness) {
        return Vec::new();
    }
    [
        ("promote_command", config.promote_command.is_empty()),
        ("follow_command", config.follow_command.is_empty()),
    ]
    .into_iter()
    .filter(|(_, missing)| *missing)
    .map(|(name, _)| name)
    .collect()
}
