//! What is generated from the table of parameters: repmgr.conf.sample and the
//! manual's chapter.

use std::fmt::Write as _;

use super::grammar::quote;
use super::include::MAX_NESTING;
use super::load::RETIRED;
use super::parameters::{Config, Kind, PARAMETERS, Parameter, Reload};
use super::validate::REQUIRED;
use crate::output::wrap;
use crate::placeholders;

/// Parameters for tests; they are not in the sample.
pub(super) const UNDOCUMENTED: &str = "Undocumented";

pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.section).collect();
    sections.dedup();
    sections
}

pub(super) fn parameters_of(section: &str) -> impl Iterator<Item = &'static Parameter> {
    PARAMETERS.iter().filter(move |parameter| parameter.section == section)
}

/// The default as it would stand in the file; `None` if the parameter is not set.
pub(super) fn default(parameter: &Parameter) -> Option<String> {
    if REQUIRED.contains(&parameter.name) {
        return None;
    }
    let value = Config::default().show(parameter);
    match parameter.kind {
        _ if value.is_empty() => None,
        Kind::Integer | Kind::Seconds | Kind::Boolean | Kind::OneOf(_) => Some(value),
        _ => Some(quote(&value)),
    }
}

pub(super) fn kind(parameter: &Parameter) -> String {
    match parameter.kind {
        Kind::Integer => "integer".to_owned(),
        Kind::Seconds if parameter.finest.is_some() => "seconds, also as 1.5 or 500ms".to_owned(),
        Kind::Seconds => "seconds".to_owned(),
        Kind::Text if parameter.max_bytes < 1024 => format!("text, shorter than {} bytes", parameter.max_bytes),
        Kind::Text => "text".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::OneOf(words) => words.join(" or "),
        Kind::Delay => "number with ms, s, min, h or d".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Mapping => "OLDDIR=NEWDIR".to_owned(),
    }
}

pub(super) fn is_number(parameter: &Parameter) -> bool {
    matches!(parameter.kind, Kind::Integer | Kind::Seconds)
}

/// `repmgr.conf.sample`: every parameter with what it means, commented out.
pub fn sample() -> String {
    let mut text = String::from(
        "# repmgr.conf - configuration of one node for repmgr and repmgrd\n\
         #\n\
         # Generated from the table of parameters: UPDATE_GENERATED=1 cargo test --test generated\n\
         #\n\
         # node_id, node_name, conninfo and data_directory are required. The other\n\
         # parameters are shown with their defaults; a parameter without a value has none.\n\
         #\n\
         # A value that is not a plain word or number stands in single quotes; a single\n\
         # quote in it is doubled. Only intervals of repmgrd may have fractions and units\n\
         # (1.5, 500ms, 2min). Other files are read with\n\
         # include, include_if_exists and include_dir.\n\
         #\n\
         # repmgrd reads this file again on SIGHUP. All parameters and what SIGHUP does\n\
         # with them are in docs/configuration.md.\n",
    );
    for section in sections().into_iter().filter(|section| *section != UNDOCUMENTED) {
        let rule = "#".repeat(78);
        let _ = write!(text, "\n{rule}\n# {section}\n{rule}\n");
        for parameter in parameters_of(section) {
            text.push('\n');
            let mut about = parameter.meaning.to_owned();
            if REQUIRED.contains(&parameter.name) {
                about.push_str(" Required.");
            }
            if let Some(min) = parameter.min.filter(|_| is_number(parameter)) {
                let _ = write!(about, " At least {min}.");
            }
            for line in wrap(&about, 76) {
                let _ = writeln!(text, "# {line}");
            }
            let value = default(parameter).unwrap_or_else(|| {
                if is_number(parameter) {
                    String::new()
                } else {
                    "''".to_owned()
                }
            });
            let _ = writeln!(text, "#{}={value}", parameter.name);
        }
    }
    text
}

/// The manual's chapter, `docs/configuration.md`.
pub fn chapter() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Generated from src/config; UPDATE_GENERATED=1 cargo test --test generated -->\n\n",
    );
    text.push_str(INTRODUCTION);
    let _ = write!(
        text,
        "A chain of included files may be {MAX_NESTING} files long, and no file may include itself.\n\n"
    );
    text.push_str(VALUES);
    text.push_str("\n## Parameters\n\nThe column *Reload* says what SIGHUP does in a running `repmgrd`:\n\n");
    for reload in [Reload::Reported, Reload::Silent, Reload::Fixed, Reload::Unused] {
        let (word, meaning) = reload_word(reload);
        let _ = writeln!(text, "* **{word}**: {meaning}");
    }
    for section in sections() {
        let _ = write!(
            text,
            "\n### {section}\n\n| Parameter | Value | Default | At least | Reload | Meaning |\n|---|---|---|---|---|---|\n"
        );
        for parameter in parameters_of(section) {
            let default = match default(parameter) {
                _ if REQUIRED.contains(&parameter.name) => "required".to_owned(),
                Some(value) => format!("`{value}`"),
                None => String::new(),
            };
            let min = match parameter.min.filter(|_| is_number(parameter)) {
                Some(min) => min.to_string(),
                None => String::new(),
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {default} | {min} | {} | {} |",
                parameter.name,
                kind(parameter),
                reload_word(parameter.reload).0,
                parameter.meaning.replace('<', "&lt;").replace('|', "\\|"),
            );
        }
    }
    text.push_str(BETWEEN);
    text.push_str("\n## Placeholders in commands\n\n");
    text.push_str(COMMANDS);
    for command in placeholders::COMMANDS {
        let unknown = match command.unknown {
            placeholders::Unknown::Kept => "Any other `%` stays as it is.",
            placeholders::Unknown::WithoutPercent => "Before any other letter the `%` is dropped.",
        };
        let table = placeholders::manual_table(command.parameter);
        let _ = write!(text, "\n### {}\n\n{table}\n{unknown}\n", command.parameter);
    }
    text.push_str("\n## Names of earlier releases\n\nThey give a warning, and their value is not taken over.\n\n| Name | What became of it |\n|---|---|\n");
    for (name, advice) in RETIRED {
        let _ = writeln!(text, "| `{name}` | {} |", advice.replace('"', "`"));
    }
    text
}

pub(super) fn reload_word(reload: Reload) -> (&'static str, &'static str) {
    match reload {
        Reload::Reported => ("yes", "the new value takes effect, and the log says so."),
        Reload::Silent => ("silent", "the new value takes effect."),
        Reload::Fixed => (
            "refused",
            "it cannot change; a file with another value is refused as a whole.",
        ),
        Reload::Unused => (
            "no",
            "a running daemon does not use it: `repmgr` does, or it is read at start, or taken from the node's record \
             (`repmgr ... register --force` writes that).",
        ),
    }
}

const INTRODUCTION: &str = r#"## Which file

With `-f FILE` only that file is read; without it the first of these that exists:

1. a place that the packager chose, if any
2. `repmgr.conf` in the current directory
3. `/etc/repmgr.conf`
4. `repmgr.conf` in PostgreSQL's configuration directory (`pg_config --sysconfdir`; `/etc/postgresql-common` on Debian)

The file's absolute path is stored in the node's record when it is registered; commands for this node that are run on
other hosts use it.

Everything that is wrong with the file is told at once, each with file and line, and nothing is done. What is only
strange (a name that nobody knows, a number with a unit) is a warning, which `--terse` leaves out.
`repmgr --dump-config` shows all values as `name|value`, with passwords hidden.

## Lines

A line is `name = value`; the `=` may be left out. `#` starts a comment. Names are case-sensitive.
A value stands in single quotes unless it is a number or a word: a letter, then letters, digits and `-._:/`. (A word
with exactly one dot between two names, such as `node1.example`, needs quotes too.) In quotes, `''` and `\'` are a
single quote, `\b \f \n \r \t` are the usual characters, `\` and up to three octal digits are a byte, and `\` before
another character is that character. A value ends on the line on which it starts.

If a parameter is repeated, the last one counts; `tablespace_mapping` and `event_notifications` add up instead.

| Directive | Reads |
|---|---|
| `include 'FILE'` | the file |
| `include_if_exists 'FILE'` | the file; nothing if there is none |
| `include_dir 'DIRECTORY'` | the files in it whose names end in `.conf` and do not start with a dot, in the order of their names |

They are read where the directive stands. A relative name starts from the directory of the file that contains it.
"#;

const VALUES: &str = r#"## Values

* **integer**, **seconds**: decimal digits, perhaps with a sign. There are no units: of `10min` only the 10 counts, and
  a warning says so. Where the table says so, `1.5`, `500ms`, `2min` and `1h` are understood; daemons of repmgr 5.x
  read something else in them, which a warning says.
* **boolean**: `true`, `on`, `yes`, `1`, `false`, `off`, `no`, `0`, in any case.
* **text**: shorter than 1024 bytes, unless the table says otherwise.
* **path**: doubled slashes and `.` are taken out.
* **list**: items separated by commas; blanks do not count.
* **OLDDIR=NEWDIR**: a `=` that belongs to a name is written `\=`, which in quotes is `\\=`.
"#;

const BETWEEN: &str = r#"
## What must hold between parameters

* `conninfo` is a valid connection string.
* `barman_host` and `barman_server` are both set or both not set.
* `archive_ready_critical` is greater than `archive_ready_warning`, `replication_lag_critical` greater than
  `replication_lag_warning`.
* `standby_reconnect_timeout` is at least `node_rejoin_timeout`.
* With `failover=automatic`, `promote_command` and `follow_command` are set (checked by `repmgrd`, at start and at reload).
"#;

const COMMANDS: &str = "Commands are run by `/bin/sh`. Values are put in as they are, without quoting, but in an event's details each `\"` \
gets a backslash. `%%` is a `%`. Commands that are not listed here are run as they stand.\n";

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    #[test]
    fn the_sample_shows_the_defaults() {
        let uncommented: String = sample()
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter(|line| !line.ends_with("=''") && !line.ends_with('='))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(uncommented.lines().count() > 40, "{uncommented}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("repmgr.conf");
        let required = Config {
            node_id: 1,
            node_name: "n1".to_owned(),
            conninfo: "host=n1".to_owned(),
            data_directory: "/d".into(),
            ..Config::default()
        };
        std::fs::write(
            &file,
            format!("node_id=1\nnode_name=n1\nconninfo='host=n1'\ndata_directory='/d'\n{uncommented}"),
        )
        .unwrap();
        let loaded = load::load_again(&file).unwrap();
        assert_eq!(loaded.config, required);
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }

    #[test]
    fn the_sample_as_it_is_sets_nothing() {
        let parsed = super::super::grammar::parse(sample().as_bytes());
        assert_eq!(parsed, super::super::grammar::Parsed::default());
    }

    #[test]
    fn commands_with_placeholders_are_parameters() {
        for command in placeholders::COMMANDS {
            assert!(
                super::super::parameters::parameter(command.parameter).is_some(),
                "{command:?}"
            );
        }
    }

    #[test]
    fn the_chapter_has_every_parameter_once() {
        let chapter = chapter();
        for parameter in PARAMETERS {
            let row = format!("| `{}` | ", parameter.name);
            assert_eq!(chapter.matches(&row).count(), 1, "{row}");
        }
        assert!(chapter.lines().all(|line| !line.ends_with(' ')));
    }
}
