//! The chapter of the book about options, made from the tables of commands and
//! options and from the command line of the daemon.

use std::fmt::Write;

use super::catalogue::{COMMANDS, NOUNS};
use super::help::options_of;
use super::option_entry::{Group, OptionEntry};
use super::option_table::OPTIONS;

/// The chapter in Markdown.
pub fn chapter(daemon: &clap::Command) -> String {
    let mut text = String::from(
        "# Options\n\n\
         <!-- Generated from src/commands; UPDATE_GENERATED=1 cargo test --test generated -->\n\n\
         `repmgr [OPTIONS] NOUN VERB`. Options may stand anywhere on the command line, and may be shortened as long as\n\
         they stay unambiguous. `repmgr NOUN VERB --help` shows those of one command, `man repmgr-NOUN-VERB` also\n\
         examples.\n\n\
         ## Of all commands\n",
    );
    let groups = [Group::Help, Group::General, Group::Connection, Group::Output];
    table(&mut text, OPTIONS.iter().filter(|entry| groups.contains(&entry.group)));
    for (noun, aliases, _) in NOUNS {
        let _ = write!(text, "\n## {noun}\n");
        for alias in *aliases {
            let _ = write!(text, "\nAlso: `{alias}`.\n");
        }
        for command in COMMANDS.iter().filter(|entry| entry.noun == *noun && !entry.hidden) {
            let _ = write!(text, "\n### {noun} {}\n\n{}\n", command.verb, command.purpose);
            table(&mut text, options_of(command));
        }
    }
    text.push_str("\n## repmgrd\n\n`repmgrd [OPTIONS]`; see also [Under systemd](systemd.md).\n");
    text.push_str("\n| Option | Meaning |\n|---|---|\n");
    for argument in daemon.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long() else { continue };
        let value = argument
            .get_value_names()
            .filter(|_| argument.get_action().takes_values())
            .map(|names| format!("={}", names.join(" ")))
            .unwrap_or_default();
        let names = spelled(argument.get_short(), long, &value);
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "| {names} | {help} |");
    }
    text
}

fn table<'a>(text: &mut String, entries: impl Iterator<Item = &'a OptionEntry>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    text.push_str("\n| Option | Meaning |\n|---|---|\n");
    for entry in entries {
        let names = spelled(entry.short, entry.long, &entry.value_form());
        let help = entry.help.replace('|', "\\|");
        let _ = writeln!(text, "| {names} | {help} |");
    }
}

fn spelled(short: Option<char>, long: &str, value: &str) -> String {
    let short = short.map(|letter| format!("`-{letter}`, ")).unwrap_or_default();
    format!("{short}`--{long}{}`", value.replace('|', "\\|"))
}
