//! The manual page repmgr(1), made from the tables of commands, options and
//! exit codes.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::catalogue::{COMMANDS, NOUNS};
use super::help::options_of;
use super::option_entry::{Argument, Group, OptionEntry};
use super::option_table::OPTIONS;
use crate::exit_code::ExitCode;

/// The page in the language of man(7).
pub fn manual() -> String {
    let mut page = Roff::new();
    page.control("TH", ["REPMGR", "1", "", "repmgr", "repmgr"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "repmgr - sets up PostgreSQL streaming replication and moves the primary",
    )]);
    synopsis(&mut page);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "Each node of a cluster has a server and a repmgr.conf. A command is run on the node it is about, as the \
         user that owns the server process. Results go to standard output, log lines to standard error. Options \
         may stand anywhere on the command line and may be shortened as long as they stay unambiguous; nouns and \
         verbs are taken in any case.",
    )]);
    commands(&mut page);
    for (title, groups) in [
        ("GENERAL OPTIONS", &[Group::Help, Group::General][..]),
        ("CONNECTION OPTIONS", &[Group::Connection][..]),
        ("OUTPUT OPTIONS", &[Group::Output][..]),
    ] {
        page.control("SH", [title]);
        for entry in OPTIONS.iter().filter(|entry| groups.contains(&entry.group)) {
            option(&mut page, entry);
        }
    }
    exit_codes(&mut page);
    files(&mut page);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("repmgrd"), roman("(1), "), bold("pg_basebackup"), roman("(1)")]);
    page.render()
}

fn synopsis(page: &mut Roff) {
    page.control("SH", ["SYNOPSIS"]);
    for (noun, _, _) in NOUNS {
        for entry in COMMANDS.iter().filter(|entry| entry.noun == *noun && !entry.hidden) {
            let mut line = vec![bold("repmgr"), roman(" ["), italic("OPTIONS"), roman("] ")];
            line.push(bold(format!("{noun} {}", entry.verb)));
            if entry.verb == "clone" {
                line.extend([roman(" ["), italic("HOST"), roman("]")]);
            }
            page.text(line);
            page.control("br", []);
        }
    }
}

fn commands(page: &mut Roff) {
    page.control("SH", ["COMMANDS"]);
    for (noun, aliases, about) in NOUNS {
        page.control("SS", [*noun]);
        let also: String = aliases.iter().map(|alias| format!(" (also: {alias})")).collect();
        page.text([roman(format!("To {about}{also}."))]);
        for entry in COMMANDS.iter().filter(|entry| entry.noun == *noun && !entry.hidden) {
            page.control("TP", []);
            page.text([bold(format!("{noun} {}", entry.verb))]);
            page.text([roman(entry.purpose)]);
            page.control("RS", []);
            for entry in options_of(entry).filter(|entry| entry.group == Group::Command) {
                option(page, entry);
            }
            page.control("RE", []);
        }
    }
}

fn option(page: &mut Roff, entry: &OptionEntry) {
    let mut names: Vec<Inline> = Vec::new();
    if let Some(short) = entry.short {
        names.extend([bold(format!("-{short}")), roman(", ")]);
    }
    names.push(bold(format!("--{}", entry.long)));
    match entry.argument {
        Argument::Flag(_) => {}
        Argument::Text(name, _) | Argument::Integer(name, ..) => names.extend([roman("="), italic(name)]),
        Argument::OptionalText(name, _) | Argument::OptionalInteger(name, _) => {
            names.extend([roman("[="), italic(name), roman("]")]);
        }
    }
    page.control("TP", []);
    page.text(names);
    page.text([roman(entry.help)]);
}

fn exit_codes(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for code in ExitCode::ALL {
        page.control("TP", []);
        page.text([bold(format!("{} {}", code.code(), code.name()))]);
        page.text([roman(code.meaning())]);
    }
}

fn files(page: &mut Roff) {
    page.control("SH", ["FILES"]);
    for (file, what) in [
        ("./repmgr.conf", "Looked for first, unless -f names a file."),
        ("/etc/repmgr.conf", "Looked for next."),
        (
            "SYSCONFDIR/repmgr.conf",
            "Looked for last; SYSCONFDIR is that of PostgreSQL, such as /etc/postgresql-common.",
        ),
    ] {
        page.control("TP", []);
        page.text([italic(file)]);
        page.text([roman(what)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_not_hidden_is_described() {
        let page = manual().replace("\\-", "-");
        for entry in OPTIONS.iter().filter(|entry| entry.group != Group::Hidden) {
            assert!(page.contains(&format!("--{}", entry.long)), "{}", entry.long);
        }
    }
}
