//! What a reload changes, or why it is refused. Pure.
//!
//! A daemon loads into new values (`load_again`), asks [`compare`], tries a
//! changed `conninfo`, and only then takes the new values: all or nothing.

use super::dump::shown;
use super::parameters::{Config, PARAMETERS, Parameter, Reload};
use super::validate::missing_for_automatic_failover;
use crate::types::NodeType;

/// A parameter with another value than before, as people may see it: passwords are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The parameter.
    pub name: &'static str,
    /// The value until now.
    pub old: String,
    /// The value from now on.
    pub new: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Change { name, old, new } = self;
        if old == new {
            // What differs is hidden.
            write!(formatter, "\"{name}\" changed; it is now \"{new}\"")
        } else {
            write!(formatter, "\"{name}\" is now \"{new}\" (was \"{old}\")")
        }
    }
}

/// What a reload changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What takes effect and is reported.
    pub reported: Vec<Change>,
    /// What changed in the file but is not used by a running daemon: it is read at start, by `repmgr`, or taken from
    /// the node's record, which the register commands write.
    pub unused: Vec<Change>,
    /// Whether the connection to the own server must be made anew.
    pub reconnect: bool,
}

/// Compares the configuration in force with a new one. `node_type` is that of the daemon's own node.
///
/// # Errors
/// All reasons why the new one must not be taken.
pub fn compare(old: &Config, new: &Config, node_type: NodeType) -> Result<Changes, Vec<String>> {
    let mut refusals: Vec<String> = missing_for_automatic_failover(new, Some(node_type))
        .into_iter()
        .map(|name| format!("\"{name}\" must be set if \"failover\" is \"automatic\""))
        .collect();
    let mut changes = Changes::default();
    for parameter in PARAMETERS {
        if old.show(parameter) == new.show(parameter) {
            continue;
        }
        let change = change(old, new, parameter);
        match parameter.reload {
            Reload::Fixed => refusals.push(format!(
                "\"{}\" cannot be changed in a running repmgrd (it is \"{}\", the file has \"{}\")",
                change.name, change.old, change.new
            )),
            Reload::Reported => {
                changes.reconnect |= parameter.name == "conninfo";
                changes.reported.push(change);
            }
            Reload::Unused => changes.unused.push(change),
            Reload::Silent => {}
        }
    }
    if refusals.is_empty() {
        Ok(changes)
    } else {
        Err(refusals)
    }
}

fn change(old: &Config, new: &Config, parameter: &Parameter) -> Change {
    Change {
        name: parameter.name,
        old: shown(old, parameter),
        new: shown(new, parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FailoverMode, Kind, TablespaceMapping, parameter};

    fn config() -> Config {
        Config {
            node_id: 1,
            node_name: "n1".to_owned(),
            conninfo: "host=n1 password=alt".to_owned(),
            promote_command: "p".to_owned(),
            follow_command: "f".to_owned(),
            ..Config::default()
        }
    }

    fn other_value(kind: Kind, shown: &str) -> &'static str {
        match kind {
            Kind::Integer | Kind::Seconds => "77",
            Kind::Text => "other",
            Kind::Path => "/other",
            Kind::Boolean if shown == "true" => "false",
            Kind::Boolean => "true",
            Kind::OneOf(words) => words.iter().find(|word| **word != shown).unwrap_or(&words[0]),
            Kind::Delay => "5min",
            Kind::List => "repmgrd_start",
            Kind::Mapping => "/a=/b",
        }
    }

    #[test]
    fn each_parameter_is_treated_as_the_table_says() {
        for parameter in PARAMETERS {
            let mut new = config();
            let value = match parameter.name {
                "conninfo" => "host=other",
                _ => other_value(parameter.kind, &new.show(parameter)),
            };
            new.assign(parameter, value.as_bytes()).unwrap();
            let names = |changes: &[Change]| changes.iter().map(|change| change.name).collect::<Vec<_>>();
            let result = compare(&config(), &new, NodeType::Standby);
            if new == config() {
                assert_eq!(parameter.name, "replication_type", "only this has one value");
                assert_eq!(result, Ok(Changes::default()));
                continue;
            }
            match (parameter.reload, result) {
                (Reload::Fixed, Err(refusals)) => {
                    assert_eq!(refusals.len(), 1);
                    assert!(refusals[0].contains(parameter.name));
                }
                (Reload::Reported, Ok(changes)) => {
                    assert_eq!(names(&changes.reported), [parameter.name]);
                    assert_eq!(changes.reconnect, parameter.name == "conninfo");
                }
                (Reload::Silent, Ok(changes)) => assert_eq!(changes, Changes::default()),
                (Reload::Unused, Ok(changes)) => assert_eq!(names(&changes.unused), [parameter.name]),
                (reload, result) => panic!("{}: {reload:?} gave {result:?}", parameter.name),
            }
        }
    }

    #[test]
    fn all_refusals_are_told_at_once() {
        let new = Config {
            node_id: 2,
            node_name: "n2".to_owned(),
            failover: FailoverMode::Automatic,
            promote_command: String::new(),
            follow_command: String::new(),
            ..config()
        };
        assert_eq!(compare(&config(), &new, NodeType::Standby).unwrap_err().len(), 4);
        assert_eq!(compare(&config(), &new, NodeType::Witness).unwrap_err().len(), 2);
    }

    #[test]
    fn a_changed_password_is_a_change_that_shows_no_password() {
        let new = Config {
            conninfo: "host=n1 password=neu".to_owned(),
            ..config()
        };
        let changes = compare(&config(), &new, NodeType::Primary).unwrap();
        assert!(changes.reconnect);
        let text = changes.reported[0].to_string();
        assert!(text.starts_with("\"conninfo\" changed"), "{text}");
        assert!(!text.contains("alt") && !text.contains("neu"), "{text}");
    }

    #[test]
    fn lists_are_compared_too() {
        let new = Config {
            event_notifications: vec!["repmgrd_start".to_owned()],
            tablespace_mapping: vec![TablespaceMapping {
                old: "/a".into(),
                new: "/b".into(),
            }],
            ..config()
        };
        let changes = compare(&config(), &new, NodeType::Primary).unwrap();
        assert_eq!(
            changes.reported[0].to_string(),
            "\"event_notifications\" is now \"repmgrd_start\" (was \"\")"
        );
        assert_eq!(changes.unused[0].new, "/a=/b");
        assert_eq!(parameter("tablespace_mapping").unwrap().reload, Reload::Unused);
    }
}
