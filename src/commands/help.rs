//! The help pages, made from the tables of commands and options.

use std::fmt::Write;

use super::catalogue::{COMMANDS, CommandEntry, NOUNS, verbs_of};
use super::option_entry::{Group, OptionEntry};
use super::option_table::OPTIONS;
use crate::output::wrap;

/// What the connection options are if they are not given.
#[derive(Debug, Clone, Default)]
pub struct ConnectionDefaults {
    /// PGDATABASE, or the user.
    pub dbname: String,
    /// PGHOST.
    pub host: String,
    /// PGPORT.
    pub port: String,
    /// The user of the operating system.
    pub user: String,
}

const HOME_PAGE: &str = "repmgr home page: <https://repmgr.org/>\n";

/// How wide a page is, and where what is said of an option begins.
#[derive(Clone, Copy)]
struct Layout {
    width: usize,
    indent: usize,
}

/// Of the general page, which fits a small terminal.
const NARROW: Layout = Layout { width: 80, indent: 25 };
/// Of the pages of nouns and verbs, whose options have longer names.
const WIDE: Layout = Layout { width: 100, indent: 34 };

/// The general page; so short and narrow that it is seen as a whole.
pub fn general(program: &str, defaults: &ConnectionDefaults) -> String {
    let mut page = format!("{program}: sets up PostgreSQL streaming replication and looks after it.\n\nUsage:\n");
    for (noun, _, _) in NOUNS {
        let verbs: Vec<&str> = verbs_of(noun).collect();
        let _ = writeln!(page, "  {program} [OPTIONS] {noun:<7} {{{}}}", verbs.join("|"));
    }
    let _ = writeln!(page, "  {program} NOUN [VERB] --help");
    for (title, group) in [
        ("General options", Group::Help),
        ("Configuration options", Group::General),
        ("Connection options", Group::Connection),
        ("Output options", Group::Output),
    ] {
        let _ = writeln!(page, "\n{title}:");
        for entry in OPTIONS.iter().filter(|entry| entry.group == group) {
            let default = match entry.long {
                "dbname" => format!(" (default: \"{}\")", defaults.dbname),
                "host" => format!(" (default: \"{}\")", defaults.host),
                "port" => format!(" (default: \"{}\")", defaults.port),
                "username" => format!(" (default: \"{}\")", defaults.user),
                _ => String::new(),
            };
            describe(&mut page, entry, &default, NARROW);
        }
    }
    page
}

/// The page of a noun.
pub fn of_noun(program: &str, noun: &str) -> String {
    let (_, aliases, about) = NOUNS
        .iter()
        .find(|(name, _, _)| *name == noun)
        .expect("only nouns of the table are asked for");
    let mut page = format!("{program} {noun}: {about}.\n\nUsage:\n");
    for entry in shown(noun) {
        let _ = writeln!(page, "    {}", usage(program, entry));
    }
    for alias in *aliases {
        let _ = writeln!(page, "\n\"{alias}\" can be used instead of \"{noun}\".");
    }
    for entry in shown(noun) {
        describe_command(&mut page, entry);
    }
    end(&mut page, program);
    page
}

/// The page of a verb.
pub fn of_command(program: &str, entry: &CommandEntry) -> String {
    let mut page = format!("Usage:\n    {}\n", usage(program, entry));
    describe_command(&mut page, entry);
    end(&mut page, program);
    page
}

fn usage(program: &str, entry: &CommandEntry) -> String {
    let host = if entry.verb == "clone" { " [HOST]" } else { "" };
    format!("{program} [OPTIONS] {} {}{host}", entry.noun, entry.verb)
}

fn describe_command(page: &mut String, entry: &CommandEntry) {
    let _ = writeln!(page, "\n{} {}\n", entry.noun.to_uppercase(), entry.verb.to_uppercase());
    for line in wrap(entry.purpose, WIDE.width - 2) {
        let _ = writeln!(page, "  {line}");
    }
    page.push('\n');
    for (about, line) in entry.examples {
        let _ = writeln!(page, "  {about}:\n      {line}");
    }
    page.push('\n');
    for option in options_of(entry) {
        describe(page, option, "", WIDE);
    }
}

fn end(page: &mut String, program: &str) {
    let _ = writeln!(
        page,
        "\nOptions that all commands take are shown by \"{program} --help\"."
    );
    page.push_str(HOME_PAGE);
}

fn shown(noun: &str) -> impl Iterator<Item = &'static CommandEntry> {
    COMMANDS.iter().filter(move |entry| entry.noun == noun && !entry.hidden)
}

/// The options of one command: its own, `-F` and `--dry-run` where they mean something, the connection's where taken.
pub fn options_of(command: &CommandEntry) -> impl Iterator<Item = &'static OptionEntry> {
    OPTIONS
        .iter()
        .filter(move |option| option.group != Group::Hidden && option.used_by.contains(&command.command))
}

fn describe(page: &mut String, entry: &OptionEntry, default: &str, layout: Layout) {
    let Layout { width, indent } = layout;
    let short = entry
        .short
        .map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let head = format!("  {short}--{}{}", entry.long, entry.value_form());
    let mut lines = wrap(&format!("{}{default}", entry.help), width - indent).into_iter();
    if head.len() < indent {
        let _ = writeln!(page, "{head:<indent$}{}", lines.next().unwrap_or_default());
    } else {
        let _ = writeln!(page, "{head}");
    }
    for line in lines {
        let _ = writeln!(page, "{:indent$}{line}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_not_hidden_stands_on_some_page() {
        let mut pages = general("repmgr", &ConnectionDefaults::default());
        for (noun, _, _) in NOUNS {
            pages.push_str(&of_noun("repmgr", noun));
        }
        for entry in OPTIONS.iter().filter(|entry| entry.group != Group::Hidden) {
            let head = format!("--{}{}", entry.long, entry.value_form());
            assert!(pages.contains(&head), "{head}");
        }
    }

    #[test]
    fn the_general_page_fits_a_screen() {
        let defaults = ConnectionDefaults {
            dbname: "postgres".to_owned(),
            host: "/var/run/postgresql".to_owned(),
            port: "5432".to_owned(),
            user: "postgres".to_owned(),
        };
        let page = general("repmgr", &defaults);
        assert!(page.lines().count() <= 44, "{page}");
        assert!(page.lines().all(|line| line.len() <= 80), "{page}");
    }

    #[test]
    fn a_verb_has_a_page_with_its_examples() {
        for entry in COMMANDS.iter().filter(|entry| !entry.hidden) {
            let page = of_command("repmgr", entry);
            assert!(!entry.examples.is_empty(), "{page}");
            assert!(entry.examples.iter().all(|(_, line)| page.contains(line)), "{page}");
        }
    }

    #[test]
    fn lines_are_not_longer_than_a_terminal_shows() {
        for (noun, _, _) in NOUNS {
            for line in of_noun("repmgr", noun).lines() {
                assert!(line.len() <= WIDE.width, "{line}");
            }
        }
    }

    #[test]
    fn a_noun_page() {
        insta::assert_snapshot!(of_noun("repmgr", "witness"));
    }
}
