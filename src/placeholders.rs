//! Placeholders in the commands of repmgr.conf: `%n` and the like. Pure.
//!
//! The values are put in as they are, without quoting for the shell, except for
//! `"` in an event's details: that is what existing commands rely on. Commands
//! that are not in [`COMMANDS`] are run verbatim.

use std::borrow::Cow;

use crate::types::NodeId;

/// A command with placeholders, for the manual.
#[derive(Debug, Clone, Copy)]
pub struct CommandPlaceholders {
    /// The parameter that holds the command.
    pub parameter: &'static str,
    /// Its placeholders and what they stand for.
    pub placeholders: &'static [(&'static str, &'static str)],
    /// What becomes of a `%` before another letter.
    pub unknown: Unknown,
}

/// What becomes of a placeholder that the command does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It stays as it is.
    Kept,
    /// The letter stays, the `%` goes.
    WithoutPercent,
}

/// All commands with placeholders. `%%` is a `%` in each of them.
pub const COMMANDS: &[CommandPlaceholders] = &[EVENT, FOLLOW, VALIDATION, CHILD_NODES];

const EVENT: CommandPlaceholders = CommandPlaceholders {
    parameter: "event_notification_command",
    placeholders: &[
        (
            "%n",
            "id of the node the event is about, usually the one that runs the command",
        ),
        ("%e", "name of the event"),
        ("%s", "1 for success, 0 for failure"),
        (
            "%t",
            "when: the time in the events table, or local time if no row could be written",
        ),
        ("%d", "details, each `\"` as `\\\"`"),
        ("%p", "id of the other node, or empty"),
        ("%a", "name of the other node, or empty"),
        ("%c", "conninfo of the other node, or empty"),
    ],
    unknown: Unknown::Kept,
};

const FOLLOW: CommandPlaceholders = CommandPlaceholders {
    parameter: "follow_command",
    placeholders: &[("%n", "id of the node to follow")],
    unknown: Unknown::Kept,
};

const VALIDATION: CommandPlaceholders = CommandPlaceholders {
    parameter: "failover_validation_command",
    placeholders: &[
        ("%n", "id of the node that is to be promoted"),
        ("%a", "its name"),
        ("%v", "number of nodes it sees, itself included"),
        ("%u", "number of nodes that had the lost upstream, itself included"),
        ("%t", "number of registered nodes"),
    ],
    unknown: Unknown::Kept,
};

const CHILD_NODES: CommandPlaceholders = CommandPlaceholders {
    parameter: "child_nodes_disconnect_command",
    placeholders: &[("%p", "id of the primary that runs the command")],
    unknown: Unknown::WithoutPercent,
};

/// What `event_notification_command` is told.
#[derive(Debug, Clone, Copy)]
pub struct EventValues<'a> {
    /// `%n`
    pub node_id: NodeId,
    /// `%e`
    pub event: &'a str,
    /// `%s`
    pub successful: bool,
    /// `%t`
    pub timestamp: &'a str,
    /// `%d`
    pub details: &'a str,
    /// `%p`
    pub other_id: Option<NodeId>,
    /// `%a`
    pub other_name: &'a str,
    /// `%c`
    pub other_conninfo: &'a str,
}

/// `event_notification_command` with its values.
pub fn event_notification_command(command: &str, values: &EventValues<'_>) -> String {
    expand(command, Unknown::Kept, |placeholder| {
        Some(match placeholder {
            'n' => values.node_id.to_string().into(),
            'e' => values.event.into(),
            's' => if values.successful { "1" } else { "0" }.into(),
            't' => values.timestamp.into(),
            'd' => escape_quotes(values.details).into(),
            'p' => values.other_id.map(|id| id.to_string()).unwrap_or_default().into(),
            'a' => values.other_name.into(),
            'c' => values.other_conninfo.into(),
            _ => return None,
        })
    })
}

/// `follow_command` with the node to follow.
pub fn follow_command(command: &str, upstream: NodeId) -> String {
    expand(command, FOLLOW.unknown, |placeholder| {
        (placeholder == 'n').then(|| upstream.to_string().into())
    })
}

/// What `failover_validation_command` is told.
#[derive(Debug, Clone, Copy)]
pub struct ValidationValues<'a> {
    /// `%n`
    pub node_id: NodeId,
    /// `%a`
    pub node_name: &'a str,
    /// `%v`
    pub visible_nodes: usize,
    /// `%u`
    pub nodes_of_upstream: usize,
    /// `%t`
    pub registered_nodes: usize,
}

/// `failover_validation_command` with its values.
pub fn failover_validation_command(command: &str, values: &ValidationValues<'_>) -> String {
    expand(command, VALIDATION.unknown, |placeholder| {
        Some(match placeholder {
            'n' => values.node_id.to_string().into(),
            'a' => values.node_name.into(),
            'v' => values.visible_nodes.to_string().into(),
            'u' => values.nodes_of_upstream.to_string().into(),
            't' => values.registered_nodes.to_string().into(),
            _ => return None,
        })
    })
}

/// `child_nodes_disconnect_command` with the primary that runs it.
pub fn child_nodes_disconnect_command(command: &str, primary: NodeId) -> String {
    expand(command, CHILD_NODES.unknown, |placeholder| {
        (placeholder == 'p').then(|| primary.to_string().into())
    })
}

/// The placeholders of a parameter as a table of the manual.
pub fn manual_table(parameter: &str) -> String {
    let mut text = String::from("| Placeholder | Stands for |\n|---|---|\n");
    for command in COMMANDS.iter().filter(|command| command.parameter == parameter) {
        for (placeholder, meaning) in command.placeholders {
            text.push_str(&format!("| `{placeholder}` | {meaning} |\n"));
        }
        text.push_str("| `%%` | a `%` |\n");
    }
    text
}

fn expand<'a>(command: &str, unknown: Unknown, value: impl Fn(char) -> Option<Cow<'a, str>>) -> String {
    let mut expanded = String::with_capacity(command.len());
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            expanded.push(character);
            continue;
        }
        match characters.next() {
            None | Some('%') => expanded.push('%'),
            Some(placeholder) => match value(placeholder) {
                Some(value) => expanded.push_str(&value),
                None => {
                    if unknown == Unknown::Kept {
                        expanded.push('%');
                    }
                    expanded.push(placeholder);
                }
            },
        }
    }
    expanded
}

/// A backslash before each `"` that has none.
fn escape_quotes(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut previous = '\0';
    for character in text.chars() {
        if character == '"' && previous != '\\' {
            escaped.push('\\');
        }
        escaped.push(character);
        previous = character;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALUES: EventValues<'_> = EventValues {
        node_id: NodeId(3),
        event: "standby_follow",
        successful: true,
        timestamp: "2026-01-02 03:04:05+00",
        details: r#"says "yes" and \"no\" $x"#,
        other_id: Some(NodeId(1)),
        other_name: "n1",
        other_conninfo: "host=n1 user='a b'",
    };

    #[test]
    fn events() {
        let all = event_notification_command("%n|%e|%s|%t|%d|%p|%a|%c|%%|%x|%", &VALUES);
        assert_eq!(
            all,
            r#"3|standby_follow|1|2026-01-02 03:04:05+00|says \"yes\" and \"no\" $x|1|n1|host=n1 user='a b'|%|%x|%"#
        );
        let none = EventValues {
            successful: false,
            details: "",
            other_id: None,
            other_name: "",
            other_conninfo: "",
            ..VALUES
        };
        assert_eq!(event_notification_command("%s<%d%p%a%c>", &none), "0<>");
    }

    #[test]
    fn the_other_commands() {
        assert_eq!(
            follow_command("x --upstream-node-id=%n %% %p", NodeId(4)),
            "x --upstream-node-id=4 % %p"
        );
        let values = ValidationValues {
            node_id: NodeId(2),
            node_name: "n2",
            visible_nodes: 3,
            nodes_of_upstream: 4,
            registered_nodes: 5,
        };
        assert_eq!(
            failover_validation_command("%n %a %v %u %t %% %q", &values),
            "2 n2 3 4 5 % %q"
        );
        assert_eq!(child_nodes_disconnect_command("%p %% %q %", NodeId(1)), "1 % q %");
    }

    #[test]
    fn the_manual_names_every_placeholder_that_is_replaced() {
        let expand = |parameter: &str, text: &str| match parameter {
            "event_notification_command" => event_notification_command(text, &VALUES),
            "follow_command" => follow_command(text, NodeId(7)),
            "failover_validation_command" => failover_validation_command(
                text,
                &ValidationValues {
                    node_id: NodeId(2),
                    node_name: "n2",
                    visible_nodes: 3,
                    nodes_of_upstream: 4,
                    registered_nodes: 5,
                },
            ),
            _ => child_nodes_disconnect_command(text, NodeId(7)),
        };
        for command in COMMANDS {
            for letter in 'a'..='z' {
                let placeholder = format!("%{letter}");
                let untouched = match command.unknown {
                    Unknown::Kept => placeholder.clone(),
                    Unknown::WithoutPercent => letter.to_string(),
                };
                let replaced = expand(command.parameter, &placeholder) != untouched;
                let documented = command.placeholders.iter().any(|(name, _)| *name == placeholder);
                assert_eq!(replaced, documented, "{placeholder} of {}", command.parameter);
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_is_not_expanded_again(details in "[%a-z ]{0,20}") {
            let values = EventValues { details: &details, ..VALUES };
            prop_assert_eq!(event_notification_command("<%d>", &values), format!("<{details}>"));
        }

        #[test]
        fn without_percent_nothing_changes(command in "[^%]*") {
            prop_assert_eq!(event_notification_command(&command, &VALUES), command);
        }
    }
}
