//! The surface of the original, as data: every noun, verb and option of its
//! command line, against the tables of this program and the program itself.

mod support;

use std::process::Stdio;

use repmgr::commands::catalogue::{self, COMMANDS};
use repmgr::commands::option_entry::{Argument, OptionEntry};
use repmgr::commands::option_table::OPTIONS;
use support::user;

/// Nouns, and the verbs that each takes.
const VERBS: &[(&str, &str)] = &[
    ("primary", "register unregister check status"),
    ("master", "register unregister check status"),
    (
        "standby",
        "clone register unregister promote follow switchover check status",
    ),
    ("witness", "register unregister"),
    ("node", "status check rejoin service control"),
    ("cluster", "show event events crosscheck matrix cleanup"),
    ("service", "status pause unpause"),
    ("daemon", "start stop status pause unpause"),
];

/// What follows an option.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    /// Nothing.
    None,
    /// A word.
    Text,
    /// A number of at least this much.
    Number(i32),
    /// A word that may be left out.
    OptionalText,
    /// A number that may be left out.
    OptionalNumber,
}
use Value::{None as Flag, Number, OptionalNumber, OptionalText, Text};

/// Long name, short name, value, and the commands that take it without a warning: `*` for all.
const OPTIONS_OF_ORIGINAL: &[(&str, Option<char>, Value, &str)] = &[
    ("help", Some('?'), Flag, "*"),
    ("version", Some('V'), Flag, "*"),
    ("version-number", None, Flag, "*"),
    ("config-file", Some('f'), Text, "*"),
    ("force", Some('F'), Flag, "*"),
    ("pg_bindir", Some('b'), Text, "*"),
    (
        "dry-run",
        None,
        Flag,
        "primary register, primary unregister, standby clone, standby register, standby follow, standby switchover, \
         standby promote, witness register, witness unregister, node rejoin, node service, service status, \
         service pause, service unpause, daemon start, daemon stop",
    ),
    (
        "wait",
        Some('w'),
        OptionalNumber,
        "standby follow, daemon start, daemon stop",
    ),
    ("no-wait", Some('W'), Flag, "node rejoin, daemon start, daemon stop"),
    ("compact", None, Flag, "cluster show, cluster event, service status"),
    ("detail", None, Flag, "service status"),
    ("dump-config", None, Flag, "*"),
    ("dbname", Some('d'), Text, CONNECTING),
    ("host", Some('h'), Text, CONNECTING),
    ("port", Some('p'), Number(1), CONNECTING),
    ("username", Some('U'), Text, CONNECTING),
    ("remote-user", Some('R'), Text, "*"),
    (
        "superuser",
        Some('S'),
        Text,
        "standby clone, standby switchover, node check, node service",
    ),
    ("pgdata", Some('D'), Text, "standby clone, standby follow, node service"),
    (
        "node-id",
        None,
        Number(1),
        "primary unregister, standby unregister, witness unregister, cluster cleanup, cluster event, cluster matrix, \
         cluster crosscheck",
    ),
    ("node-name", None, Text, "standby unregister, cluster event"),
    ("remote-node-id", None, Number(1), "*"),
    ("log-level", Some('L'), Text, "*"),
    ("log-to-file", None, Flag, "*"),
    ("quiet", Some('q'), Flag, "*"),
    ("terse", Some('t'), Flag, "*"),
    ("verbose", Some('v'), Flag, "*"),
    ("csv", None, Flag, "*"),
    ("nagios", None, Flag, "*"),
    ("optformat", None, Flag, "*"),
    ("copy-external-config-files", None, OptionalText, "*"),
    ("fast-checkpoint", Some('c'), Flag, "*"),
    ("no-upstream-connection", None, Flag, "*"),
    (
        "replication-user",
        None,
        Text,
        "primary register, standby register, standby clone",
    ),
    ("upstream-conninfo", None, Text, "*"),
    (
        "upstream-node-id",
        None,
        Number(1),
        "standby clone, standby register, standby follow",
    ),
    ("without-barman", None, Flag, "*"),
    ("replication-conf-only", None, Flag, "standby clone"),
    ("recovery-conf-only", None, Flag, "standby clone"),
    ("verify-backup", None, Flag, "*"),
    ("recovery-min-apply-delay", None, Text, "*"),
    ("wait-start", None, Number(0), "*"),
    ("wait-sync", None, OptionalNumber, "*"),
    ("always-promote", None, Flag, "standby switchover"),
    ("force-rewind", None, OptionalText, "standby switchover, node rejoin"),
    ("siblings-follow", None, Flag, "standby promote, standby switchover"),
    ("repmgrd-no-pause", None, Flag, "standby switchover"),
    ("repmgrd-force-unpause", None, Flag, "standby switchover"),
    ("is-shutdown-cleanly", None, Flag, "node status"),
    ("archive-ready", None, Flag, "*"),
    ("downstream", None, Flag, "*"),
    ("upstream", None, Flag, "*"),
    ("replication-lag", None, Flag, "*"),
    ("role", None, Flag, "*"),
    ("slots", None, Flag, "*"),
    ("missing-slots", None, Flag, "*"),
    ("repmgrd", None, Flag, "*"),
    ("has-passfile", None, Flag, "*"),
    ("replication-connection", None, Flag, "*"),
    ("data-directory-config", None, Flag, "*"),
    ("replication-config-owner", None, Flag, "*"),
    ("db-connection", None, Flag, "*"),
    ("config-files", None, Text, "node rejoin"),
    ("config-archive-dir", None, Text, "*"),
    ("action", None, Text, "node service"),
    ("list-actions", None, Flag, "*"),
    ("checkpoint", None, Flag, "*"),
    ("all", None, Flag, "cluster event"),
    ("event", None, Text, "cluster event"),
    ("limit", None, Number(1), "cluster event"),
    ("keep-history", Some('k'), Number(0), "*"),
    ("disable-wal-receiver", None, Flag, "node control"),
    ("enable-wal-receiver", None, Flag, "node control"),
    ("check-upstream-config", None, Flag, "*"),
    ("remote-config-file", Some('C'), Text, "*"),
];

const CONNECTING: &str = "standby clone, standby follow, standby register, witness register, witness unregister, \
                          cluster show, cluster matrix, cluster crosscheck, node rejoin";

/// Options that are new here.
const NEW: &[&str] = &["format", "give-up", "synchronous", "without-library"];

/// Where an option has an effect here although the original warns that it has none.
const ALSO_TAKEN: &[(&str, &str)] = &[
    ("dry-run", "standby unregister, cluster cleanup"),
    (
        "superuser",
        "primary register, standby follow, witness register, node rejoin",
    ),
];

fn entry(long: &str) -> &'static OptionEntry {
    OPTIONS
        .iter()
        .find(|entry| entry.long == long || entry.alias == Some(long))
        .unwrap_or_else(|| panic!("--{long} is missing"))
}

fn value(entry: &OptionEntry) -> Value {
    match entry.argument {
        Argument::Flag(_) => Flag,
        Argument::Text(..) => Text,
        Argument::Integer(_, min, _) => Number(min),
        Argument::OptionalText(..) => OptionalText,
        Argument::OptionalInteger(..) => OptionalNumber,
    }
}

/// What the original has nothing of.
const NEW_NOUN: &str = "write-right";

#[test]
fn every_noun_and_verb_is_there_and_no_other() {
    let mut known = Vec::new();
    for (word, verbs) in VERBS {
        let noun = catalogue::noun(word).unwrap_or_else(|| panic!("{word} is missing"));
        for verb in verbs.split_whitespace() {
            let command = catalogue::command(noun, verb).unwrap_or_else(|| panic!("{word} {verb} is missing"));
            known.push(command);
        }
    }
    for row in COMMANDS.iter().filter(|row| row.noun != NEW_NOUN) {
        assert!(
            known.contains(&row.command),
            "{} {} is not the original's",
            row.noun,
            row.verb
        );
    }
}

#[test]
fn every_option_is_there_with_its_names_and_value_and_no_other() {
    for (long, short, expected, _) in OPTIONS_OF_ORIGINAL {
        let entry = entry(long);
        if entry.long == *long {
            assert_eq!(entry.short, *short, "--{long}");
        }
        assert_eq!(value(entry), *expected, "--{long}");
    }
    for entry in OPTIONS {
        let is_known = OPTIONS_OF_ORIGINAL.iter().any(|(long, ..)| *long == entry.long);
        assert_ne!(is_known, NEW.contains(&entry.long), "--{}", entry.long);
    }
}

#[test]
fn every_option_is_warned_about_where_the_original_warns() {
    let listed = |list: &str, name: &str| list.split(", ").any(|item| item == name);
    for (long, _, _, commands) in OPTIONS_OF_ORIGINAL {
        let more = ALSO_TAKEN.iter().find(|(option, _)| option == long);
        for row in COMMANDS.iter().filter(|row| row.noun != NEW_NOUN) {
            let name = format!("{} {}", row.noun, row.verb);
            let expected =
                *commands == "*" || listed(commands, &name) || more.is_some_and(|(_, more)| listed(more, &name));
            assert_eq!(entry(long).is_taken_by(row.command), expected, "{name} --{long}");
        }
    }
}

/// Whatever a verb says without a server: it is not that there is no such verb.
#[test]
fn every_verb_does_something() {
    let folder = tempfile::tempdir().expect("a folder");
    user::give(folder.path());
    let config = folder.path().join("repmgr.conf");
    user::write(
        &config,
        &format!(
            "node_id=1\nnode_name=node1\nconninfo='host=127.0.0.1 port=1 user=repmgr dbname=repmgr'\n\
             data_directory='{}'\n",
            folder.path().join("data").display()
        ),
    );
    for (noun, verbs) in VERBS {
        for verb in verbs.split_whitespace() {
            let source = "-d host=127.0.0.1 port=1 user=repmgr dbname=repmgr"
                .split_once(' ')
                .expect("two words");
            let output = user::command(support::stage::programs().join("repmgr"))
                .arg("-f")
                .arg(&config)
                .args([noun, verb, source.0, source.1, "--dry-run", "--wait-start=1"])
                .stdin(Stdio::null())
                .output()
                .expect("repmgr");
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!text.contains("not available in this version"), "{noun} {verb}: {text}");
            assert!(
                !text.contains("the command line cannot be understood"),
                "{noun} {verb}: {text}"
            );
        }
    }
}
