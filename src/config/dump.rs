//! `--dump-config`: every parameter as `name|value`.

use super::parameters::{Config, PARAMETERS, Parameter};
use crate::conninfo::Conninfo;

/// One line a parameter, in the order of the table; those that the original does not know only if they are set to
/// something.
pub fn dump(config: &Config) -> String {
    let default = Config::default();
    PARAMETERS
        .iter()
        .filter(|parameter| !parameter.is_new() || config.show(parameter) != default.show(parameter))
        .map(|parameter| format!("{}|{}\n", parameter.name, shown(config, parameter)))
        .collect()
}

/// A value as people may see it: with its password hidden if it has one.
pub(super) fn shown(config: &Config, parameter: &Parameter) -> String {
    let value = config.show(parameter);
    if parameter.name != "conninfo" {
        return value;
    }
    match Conninfo::parse(&value) {
        Ok(conninfo) if conninfo.get("password").is_none() && conninfo.get("sslpassword").is_none() => value,
        Ok(conninfo) => conninfo.redacted(),
        Err(_) if value.is_empty() => value,
        Err(_) => "(not a connection string)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TablespaceMapping;

    #[test]
    fn every_parameter_has_its_line_in_the_forms_of_the_original() {
        let mapping = |old: &str, new: &str| TablespaceMapping {
            old: old.into(),
            new: new.into(),
        };
        let config = Config {
            node_id: 3,
            conninfo: "host=n1  dbname=repmgr".to_owned(),
            event_notifications: vec!["a".to_owned(), "b".to_owned()],
            tablespace_mapping: vec![mapping("/a", "/b"), mapping("/c", "/d")],
            ..Config::default()
        };
        let dump = dump(&config);
        assert_eq!(dump.lines().count(), 86);
        assert!(dump.starts_with("node_id|3\nnode_name|\nconninfo|host=n1  dbname=repmgr\n"));
        for line in [
            "replication_type|physical",
            "log_status_interval|300",
            "use_replication_slots|false",
            "tablespace_mapping|/a=/b,/c=/d",
            "recovery_min_apply_delay|",
            "failover|manual",
            "degraded_monitoring_timeout|-1",
            "child_nodes_connected_min_count|-1",
            "event_notifications|a,b",
            "connection_check_query|SELECT 1",
        ] {
            assert!(dump.lines().any(|l| l == line), "no {line} in {dump}");
        }
    }

    #[test]
    fn what_the_original_does_not_know_is_shown_when_it_is_used() {
        let config = Config {
            write_right: crate::config::WriteRight::Majority,
            ..Config::default()
        };
        assert_eq!(dump(&config).lines().count(), 87);
        assert!(dump(&config).contains("\nwrite_right|majority\n"));
    }

    #[test]
    fn a_password_is_hidden() {
        let config = Config {
            conninfo: "host=n1 password=geheim".to_owned(),
            ..Config::default()
        };
        assert!(!dump(&config).contains("geheim"));
        assert!(dump(&config).contains("conninfo|host=n1"));
    }
}
