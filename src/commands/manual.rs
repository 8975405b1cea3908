//! The manual pages repmgr(1) and one for each command, made from the tables of
//! commands, options and exit codes.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::catalogue::{COMMANDS, CommandEntry, NOUNS};
use super::help::options_of;
use super::option_entry::{Argument, Group, OptionEntry};
use super::option_table::OPTIONS;
use crate::exit_code::ExitCode;

/// All pages in the language of man(7), each with the name of its file.
pub fn manual() -> Vec<(String, String)> {
    let pages = COMMANDS.iter().filter(|entry| !entry.hidden);
    std::iter::once(("repmgr.1".to_owned(), overview()))
        .chain(pages.map(|entry| (format!("{}.1", page_name(entry)), of_command(entry))))
        .collect()
}

fn page_name(entry: &CommandEntry) -> String {
    format!("repmgr-{}-{}", entry.noun, entry.verb)
}

fn overview() -> String {
    let mut page = Roff::new();
    page.control("TH", ["REPMGR", "1", "", "repmgr", "repmgr"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "repmgr - sets up PostgreSQL streaming replication and moves the primary",
    )]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold("repmgr"),
        roman(" ["),
        italic("OPTIONS"),
        roman("] "),
        italic("NOUN VERB"),
    ]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "Each node of a cluster has a server and a repmgr.conf. A command is run on the node it is about, as the \
         user that owns the server process. Results go to standard output, log lines to standard error. Options \
         may stand anywhere on the command line and may be shortened as long as they stay unambiguous; nouns and \
         verbs are taken in any case.",
    )]);
    page.control("SH", ["COMMANDS"]);
    for (noun, aliases, about) in NOUNS {
        page.control("SS", [*noun]);
        let also: String = aliases.iter().map(|alias| format!(" (also: {alias})")).collect();
        page.text([roman(format!("To {about}{also}."))]);
        for entry in COMMANDS.iter().filter(|entry| entry.noun == *noun && !entry.hidden) {
            page.control("TP", []);
            page.text([bold(format!("{noun} {}", entry.verb))]);
            page.text([
                roman(entry.purpose),
                roman(" See "),
                bold(page_name(entry)),
                roman("(1)."),
            ]);
        }
    }
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
    environment(&mut page);
    page.control("SH", ["EXAMPLES"]);
    page.text([roman("The first node of a cluster, a second one, and what there is:")]);
    for line in [
        "repmgr -f /etc/repmgr.conf primary register",
        "repmgr -f /etc/repmgr.conf -h node1 -U repmgr -d repmgr standby clone",
        "repmgr -f /etc/repmgr.conf standby register",
        "repmgr -f /etc/repmgr.conf cluster show",
    ] {
        example(&mut page, line);
    }
    see_also(
        &mut page,
        &["repmgrd(8)", "repmgr.conf(5)", "pg_basebackup(1)", "pg_rewind(1)"],
    );
    page.render()
}

fn of_command(entry: &CommandEntry) -> String {
    let mut page = Roff::new();
    let name = page_name(entry);
    page.control("TH", [name.to_uppercase().as_str(), "1", "", "repmgr", "repmgr"]);
    page.control("SH", ["NAME"]);
    let purpose = entry.purpose.trim_end_matches('.');
    let mut letters = purpose.chars();
    let purpose: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_lowercase)
        .chain(letters)
        .collect();
    page.text([roman(format!("{name} - {purpose}"))]);
    page.control("SH", ["SYNOPSIS"]);
    let mut line = vec![bold("repmgr"), roman(" ["), italic("OPTIONS"), roman("] ")];
    line.push(bold(format!("{} {}", entry.noun, entry.verb)));
    if entry.verb == "clone" {
        line.extend([roman(" ["), italic("HOST"), roman("]")]);
    }
    page.text(line);
    page.control("SH", ["OPTIONS"]);
    for entry in options_of(entry) {
        option(&mut page, entry);
    }
    page.control("PP", []);
    page.text([
        roman("Options that all commands take, files and exit codes are described in "),
        bold("repmgr"),
        roman("(1)."),
    ]);
    page.control("SH", ["EXAMPLES"]);
    for (about, line) in entry.examples {
        page.control("PP", []);
        page.text([roman(format!("{about}:"))]);
        example(&mut page, line);
    }
    let neighbours = COMMANDS
        .iter()
        .filter(|other| other.noun == entry.noun && other.command != entry.command && !other.hidden)
        .map(|other| format!("{}(1)", page_name(other)));
    let pages: Vec<String> = ["repmgr(1)", "repmgr.conf(5)"]
        .map(str::to_owned)
        .into_iter()
        .chain(neighbours)
        .collect();
    see_also(&mut page, &pages.iter().map(String::as_str).collect::<Vec<_>>());
    page.render()
}

fn example(page: &mut Roff, line: &str) {
    page.control("PP", []);
    page.control("RS", ["4"]);
    page.control("nf", []);
    page.text([roman(line)]);
    page.control("fi", []);
    page.control("RE", []);
}

fn see_also(page: &mut Roff, pages: &[&str]) {
    page.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for name in pages {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        match name.split_once('(') {
            Some((name, section)) => line.extend([bold(name), roman(format!("({section}"))]),
            None => line.push(bold(*name)),
        }
    }
    page.text(line);
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

fn environment(page: &mut Roff) {
    page.control("SH", ["ENVIRONMENT"]);
    for (name, what) in [
        (
            "PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, PGSERVICE…",
            "As for all programs that connect to PostgreSQL.",
        ),
        ("NO_COLOR", "If set and not empty, nothing is coloured on a terminal."),
    ] {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(what)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_not_hidden_is_described() {
        let pages: String = manual().into_iter().map(|(_, text)| text).collect();
        let pages = pages.replace("\\-", "-");
        for entry in OPTIONS.iter().filter(|entry| entry.group != Group::Hidden) {
            assert!(pages.contains(&format!("--{}", entry.long)), "{}", entry.long);
        }
    }
}
