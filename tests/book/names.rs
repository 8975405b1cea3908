//! Names of parameters, options, commands and events that the book mentions are those of the tables.

use std::collections::BTreeSet;

use repmgr::commands::catalogue::{COMMANDS, NOUNS};
use repmgr::commands::option_table::OPTIONS;
use repmgr::config::PARAMETERS;
use repmgr::events::EventName;

use crate::pages::pages;

/// Pages about the original and the project speak of names that this program does not have.
const NOT_OURS: &[&str] = &["differences.md", "release.md", "failover.md"];

/// Options of other programs that pages mention by themselves, or that `pg_wrapper` takes for `repmgr`.
const OTHER_OPTIONS: &[&str] = &["cluster", "name"];

#[test]
fn every_option_that_is_mentioned_exists() {
    let mut known: BTreeSet<&str> = OPTIONS.iter().map(|option| option.long).collect();
    known.extend(OPTIONS.iter().filter_map(|option| option.alias));
    known.extend(OTHER_OPTIONS);
    let of_the_daemon = repmgrd_options();
    known.extend(of_the_daemon.iter().map(String::as_str));
    let mut checked = 0;
    for page in pages().iter().filter(|page| !NOT_OURS.contains(&page.name.as_str())) {
        for (span, line) in page.code_spans() {
            let of_another_program = !["repmgr", "-"].iter().any(|start| span.starts_with(start));
            if of_another_program {
                continue;
            }
            for word in span.split_whitespace().filter(|word| word.starts_with("--")) {
                let name = word
                    .trim_start_matches('-')
                    .split(['=', ',', ')', '['])
                    .next()
                    .unwrap_or_default();
                assert!(name.is_empty() || known.contains(name), "{}:{line}: {word}", page.name);
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "{checked}");
}

fn repmgrd_options() -> Vec<String> {
    let command = repmgr::daemon::arguments::command();
    command
        .get_arguments()
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect()
}

#[test]
fn every_command_that_is_mentioned_exists() {
    let nouns: BTreeSet<&str> = NOUNS
        .iter()
        .flat_map(|(noun, more, _)| [&[*noun], *more].concat())
        .collect();
    let mut checked = 0;
    for page in pages().iter().filter(|page| !NOT_OURS.contains(&page.name.as_str())) {
        for (span, line) in page.code_spans() {
            let words: Vec<&str> = span.split_whitespace().collect();
            let Some(at) = words.iter().position(|word| *word == "repmgr") else {
                continue;
            };
            let mut rest = words[at + 1..].iter().filter(|word| nouns.contains(**word));
            let Some(noun) = rest.next() else { continue };
            let position = words.iter().position(|word| word == noun).expect("just found");
            let Some(verb) = words
                .get(position + 1)
                .filter(|word| word.chars().all(char::is_lowercase))
            else {
                continue;
            };
            let exists = COMMANDS.iter().any(|entry| {
                let noun = if *noun == "master" { "primary" } else { noun };
                entry.noun == noun && entry.verb == *verb
            });
            assert!(exists, "{}:{line}: {span}", page.name);
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

/// A name alone in a code span whose first word only parameters, or only events, begin with.
#[test]
fn every_parameter_and_event_that_is_mentioned_exists() {
    let parameters: BTreeSet<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    let events: BTreeSet<&str> = EventName::ALL.iter().map(|event| event.as_str()).collect();
    let looks_like_one = |name: &str| {
        let families = [
            "repmgrd_",
            "service_",
            "reconnect_",
            "child_node",
            "monitoring_",
            "primary_notification",
            "failover_",
            "promote_",
            "follow_",
            "event_",
            "standby_",
            "witness_",
            "async_query_",
            "replication_",
            "election_",
            "degraded_",
            "connection_check",
            "sibling_",
            "log_status",
            "ssh_options",
            "rejoin",
            "node_",
        ];
        name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            && name.contains('_')
            && families.iter().any(|family| name.starts_with(family))
    };
    let mut checked = 0;
    for page in pages().iter().filter(|page| !NOT_OURS.contains(&page.name.as_str())) {
        for (span, line) in page.code_spans() {
            let name = span.split('=').next().unwrap_or_default();
            // The words of JSON and of the metadata are their own.
            if page.name == "json.md" || !looks_like_one(name) || COLUMNS.contains(&name) {
                continue;
            }
            assert!(
                parameters.contains(name) || events.contains(name),
                "{}:{line}: {name} is neither a parameter nor an event",
                page.name
            );
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

/// Columns, tables and functions of the metadata that look like parameters.
const COLUMNS: &[&str] = &["node_type", "monitoring_history", "replication_status"];
