//! Completion for the shells, made from the tables of commands and options.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ValueHint};
use clap_complete::{Shell, generate};

use super::catalogue::{COMMANDS, CommandEntry, NOUNS};
use super::help::options_of;
use super::option_entry::{Argument, Group, OptionEntry};
use super::option_table::OPTIONS;
use crate::events::EventName;

/// The script for a shell; see its manual for where scripts are looked for.
pub fn completion(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut tree(), "repmgr", &mut script);
    String::from_utf8(script).expect("scripts are made of texts")
}

/// The commands as a tree. The parser's own grammar is flat, as options may stand anywhere.
fn tree() -> clap::Command {
    let mut tree = bare(
        "repmgr",
        "Sets up PostgreSQL streaming replication and moves the primary",
    )
    .args(OPTIONS.iter().filter(|entry| stands_first(entry)).map(argument));
    for (noun, aliases, about) in NOUNS {
        let verbs = COMMANDS.iter().filter(|entry| entry.noun == *noun && !entry.hidden);
        tree = tree.subcommand(
            bare(noun, about)
                .visible_aliases(*aliases)
                .args(OPTIONS.iter().filter(|entry| entry.long == "help").map(argument))
                .subcommands(verbs.map(verb)),
        );
    }
    tree
}

fn bare(name: &'static str, about: &'static str) -> clap::Command {
    clap::Command::new(name)
        .about(about)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
}

fn verb(entry: &'static CommandEntry) -> clap::Command {
    let own = options_of(entry);
    let general = OPTIONS.iter().filter(|entry| is_general(entry));
    let command = bare(entry.verb, entry.purpose).args(own.chain(general).map(argument));
    match entry.verb {
        "clone" => command.arg(Arg::new("HOST").value_hint(ValueHint::Hostname)),
        _ => command,
    }
}

/// Whether an option is of use whatever the command is.
fn is_general(entry: &OptionEntry) -> bool {
    entry.used_by.is_empty() && entry.group != Group::Hidden
}

/// Whether an option is offered before the noun, too, where it may stand like any other.
fn stands_first(entry: &OptionEntry) -> bool {
    is_general(entry) || matches!(entry.group, Group::General | Group::Connection)
}

fn argument(entry: &OptionEntry) -> Arg {
    let mut argument = Arg::new(entry.long).long(entry.long).help(entry.help);
    // A question mark is a pattern to the shells.
    if let Some(short) = entry.short.filter(|short| *short != '?') {
        argument = argument.short(short);
    }
    let argument = match entry.argument {
        Argument::Flag(_) => return argument.action(ArgAction::SetTrue),
        Argument::Text(name, _) | Argument::Integer(name, ..) => argument.value_name(name),
        Argument::OptionalText(name, _) | Argument::OptionalInteger(name, _) => {
            argument.value_name(name).num_args(0..=1).require_equals(true)
        }
    };
    match values(entry.long) {
        Some(values) => argument.value_parser(PossibleValuesParser::new(values)),
        None => argument.value_hint(hint(entry.long)),
    }
}

/// The words that may follow, where there are only some.
fn values(long: &str) -> Option<Vec<&'static str>> {
    Some(match long {
        "format" => vec!["text", "csv", "json", "nagios", "optformat"],
        "log-level" => vec!["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "ALERT", "CRIT", "EMERG"],
        "copy-external-config-files" => vec!["samepath", "pgdata"],
        "action" => vec!["start", "stop", "restart", "reload", "promote"],
        "event" => EventName::ALL.iter().map(|event| event.as_str()).collect(),
        _ => return None,
    })
}

fn hint(long: &str) -> ValueHint {
    match long {
        "config-file" | "force-rewind" => ValueHint::FilePath,
        "pg_bindir" | "pgdata" | "config-archive-dir" => ValueHint::DirPath,
        "host" => ValueHint::Hostname,
        "remote-user" => ValueHint::Username,
        _ => ValueHint::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_that_is_not_hidden_is_offered() {
        tree().debug_assert();
        let tree = tree();
        for entry in COMMANDS.iter().filter(|entry| !entry.hidden) {
            let verb = tree
                .find_subcommand(entry.noun)
                .and_then(|noun| noun.find_subcommand(entry.verb))
                .unwrap_or_else(|| panic!("{} {}", entry.noun, entry.verb));
            for option in OPTIONS.iter().filter(|option| option.group != Group::Hidden) {
                let expected = option.used_by.is_empty() || option.used_by.contains(&entry.command);
                let is_offered = verb.get_arguments().any(|argument| argument.get_id() == option.long);
                assert_eq!(is_offered, expected, "{} {} --{}", entry.noun, entry.verb, option.long);
            }
        }
    }
}
