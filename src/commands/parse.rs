//! From the words of the command line to [`Options`].

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches};

use super::option_entry::{Argument, Group, OptionEntry};
use super::option_table::OPTIONS;
use super::options::{ColumnFormat, Options};
use crate::nearest::nearest;

/// What the words said.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The values.
    pub options: Options,
    /// Noun, verb and what follows.
    pub words: Vec<String>,
    /// What is wrong with values.
    pub errors: Vec<String>,
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// One sentence, if an option is unknown or ambiguous, or its value is missing.
pub fn parse(arguments: &[String]) -> Result<Parsed, String> {
    let matches = grammar()
        .try_get_matches_from(arguments)
        .map_err(|error| sentence(&error))?;
    let mut parsed = Parsed::default();
    for entry in OPTIONS {
        if is_given(&matches, entry) {
            parsed.options.given.push(entry.long);
            apply(entry, &matches, &mut parsed);
        }
    }
    parsed.words = matches
        .get_many::<String>("words")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    check_formats(&matches, &mut parsed);
    check_contradictions(&mut parsed);
    Ok(parsed)
}

/// The options as clap sees them; also what man pages and completions are made from.
pub fn grammar() -> clap::Command {
    clap::Command::new("repmgr")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .args_override_self(true)
        .args(OPTIONS.iter().map(argument))
        .arg(Arg::new("words").num_args(0..).action(ArgAction::Append))
}

fn argument(entry: &'static OptionEntry) -> Arg {
    let mut arg = Arg::new(entry.long).long(entry.long).help(entry.help);
    if let Some(short) = entry.short {
        arg = arg.short(short);
    }
    if let Some(alias) = entry.alias {
        arg = arg.alias(alias);
    }
    match entry.argument {
        Argument::Flag(_) => arg.action(ArgAction::Count),
        Argument::Text(name, _) | Argument::Integer(name, ..) => arg.value_name(name).allow_hyphen_values(true),
        Argument::OptionalText(name, _) | Argument::OptionalInteger(name, _) => {
            arg.value_name(name).num_args(0..=1).require_equals(true)
        }
    }
}

fn is_given(matches: &ArgMatches, entry: &OptionEntry) -> bool {
    match entry.argument {
        Argument::Flag(_) => matches.get_count(entry.long) > 0,
        _ => matches.contains_id(entry.long),
    }
}

fn apply(entry: &OptionEntry, matches: &ArgMatches, parsed: &mut Parsed) {
    let value = || matches.get_one::<String>(entry.long).map(String::as_str);
    let options = &mut parsed.options;
    let result = match entry.argument {
        Argument::Flag(set) => {
            set(options);
            Ok(())
        }
        Argument::Text(_, set) => set(options, value().unwrap_or_default()),
        Argument::OptionalText(_, set) => set(options, value()),
        Argument::Integer(_, min, set) => integer(value().unwrap_or_default(), min).map(|value| set(options, value)),
        Argument::OptionalInteger(_, set) => value()
            .map(|value| integer(value, 0))
            .transpose()
            .map(|value| set(options, value.and_then(|value| u32::try_from(value).ok()))),
    };
    if let Err(reason) = result {
        parsed
            .errors
            .push(format!("invalid value for --{}: {reason}", entry.long));
    }
}

fn integer(text: &str, min: i32) -> Result<i32, String> {
    let value: i64 = text
        .trim()
        .parse()
        .map_err(|_| format!("\"{text}\" is not a whole number"))?;
    match i32::try_from(value) {
        Ok(value) if value >= min => Ok(value),
        Ok(_) => Err(format!("{value} is less than {min}")),
        Err(_) => Err(format!("{value} is not between {min} and {}", i32::MAX)),
    }
}

/// Two different forms at once are an error.
fn check_formats(matches: &ArgMatches, parsed: &mut Parsed) {
    let mut asked: Vec<ColumnFormat> = ["csv", "nagios", "optformat"]
        .into_iter()
        .filter(|name| matches.get_count(name) > 0)
        .filter_map(ColumnFormat::by_name)
        .collect();
    asked.extend(
        matches
            .get_one::<String>("format")
            .and_then(|word| ColumnFormat::by_name(word)),
    );
    asked.dedup();
    if asked.len() > 1 {
        parsed
            .errors
            .push("only one of --csv, --nagios, --optformat and --format can be used".to_owned());
    }
}

fn check_contradictions(parsed: &mut Parsed) {
    for (one, other) in [
        ("wait", "no-wait"),
        ("repmgrd-no-pause", "repmgrd-force-unpause"),
        ("disable-wal-receiver", "enable-wal-receiver"),
    ] {
        if parsed.options.is_given(one) && parsed.options.is_given(other) {
            parsed
                .errors
                .push(format!("--{one} and --{other} cannot be used together"));
        }
    }
}

/// What clap says, in one sentence.
fn sentence(error: &clap::Error) -> String {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && let Some(prefix) = word.strip_prefix("--")
    {
        let names: Vec<String> = OPTIONS
            .iter()
            .flat_map(|entry| [Some(entry.long), entry.alias])
            .flatten()
            .filter(|name| name.starts_with(prefix))
            .map(|name| format!("--{name}"))
            .collect();
        if names.len() > 1 {
            return format!("option {word} is ambiguous: it may be {}", names.join(", "));
        }
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let meant = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => {
            let shown = OPTIONS.iter().filter(|entry| entry.group != Group::Hidden);
            word.strip_prefix("--")
                .and_then(|word| nearest(word, shown.map(|entry| entry.long)))
        }
        _ => None,
    };
    match meant {
        Some(option) => format!("{line}; did you mean \"--{option}\"?"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeId;

    fn words(line: &str) -> Vec<String> {
        std::iter::once("repmgr")
            .chain(line.split_whitespace())
            .map(str::to_owned)
            .collect()
    }

    fn parsed(line: &str) -> Parsed {
        parse(&words(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn options_stand_anywhere_and_may_be_shortened() {
        let result = parsed("-f a standby --dry --upstream-n=4 clone -FLdebug --verb");
        assert_eq!(result.words, ["standby", "clone"]);
        let options = result.options;
        assert_eq!(options.config_file.as_deref(), Some("a"));
        assert_eq!(options.upstream_node_id, Some(NodeId(4)));
        assert_eq!(options.log_level.as_deref(), Some("debug"));
        assert!(options.dry_run && options.force && options.verbose);
        assert!(parsed("--recovery-conf-only").options.replication_conf_only);
        assert!(parsed("--recovery-c").options.replication_conf_only);
    }

    #[test]
    fn an_exact_name_wins_and_an_ambiguous_one_is_an_error() {
        assert_eq!(parsed("--upstream").options.checks, ["upstream"]);
        let error = parse(&words("--upst=4")).unwrap_err();
        assert_eq!(
            error,
            "option --upst is ambiguous: it may be --upstream-node-id, --upstream-conninfo, --upstream"
        );
        assert!(parsed("--force").options.force);
        assert!(parse(&words("--bogus")).is_err());
        assert!(parse(&words("-d")).is_err());
        for (typed, meant) in [("--dryrun", "--dry-run"), ("--upsteam-node-id=2", "--upstream-node-id")] {
            let error = parse(&words(typed)).unwrap_err();
            assert!(error.ends_with(&format!("; did you mean \"{meant}\"?")), "{error}");
        }
        assert!(!parse(&words("--bogus")).unwrap_err().contains("did you mean"));
        assert!(parse(&words("-x")).is_err());
    }

    #[test]
    fn optional_values_need_an_equals_sign() {
        let result = parsed("-w 30 --wait-sync 5 --copy-external-config-files pgdata --force-rewind x");
        assert_eq!(result.words, ["30", "5", "pgdata", "x"]);
        assert_eq!(result.options.wait, Some(None));
        assert_eq!(result.options.wait_sync, Some(None));
        assert_eq!(result.options.copy_external_config_files.as_deref(), Some("samepath"));
        assert_eq!(result.options.force_rewind, Some(None));
        let options = parsed("--wait=30 --wait-sync=5 --copy-external-config-files=pgdata --force-rewind=/x").options;
        assert_eq!(options.wait, Some(Some(30)));
        assert_eq!(options.wait_sync, Some(Some(5)));
        assert_eq!(options.copy_external_config_files.as_deref(), Some("pgdata"));
        assert_eq!(options.force_rewind, Some(Some("/x".to_owned())));
    }

    #[test]
    fn short_options_are_bundled_and_take_what_follows() {
        let options = parsed("-wFv -p5433 -h -x -h n1").options;
        assert!(options.force && options.verbose && options.wait == Some(None));
        assert_eq!(options.port.as_deref(), Some("5433"));
        assert_eq!(options.host.as_deref(), Some("n1"));
        assert!(parsed("-?").options.help);
        assert_eq!(parsed("-- -F").words, ["-F"]);
    }

    #[test]
    fn numbers_are_checked() {
        let errors = |line| parsed(line).errors.len();
        assert_eq!(errors("--node-id=5"), 0);
        for bad in [
            "--node-id=0",
            "--node-id=5abc",
            "--node-id=",
            "-p 0",
            "--node-id -1",
            "--limit=0",
        ] {
            assert_eq!(errors(bad), 1, "{bad}");
        }
        assert_eq!(errors("--node-id=2147483647"), 0);
        assert_eq!(errors("--node-id=2147483648"), 1);
        assert_eq!(errors("-L loud --recovery-min-apply-delay=5us"), 2);
    }

    #[test]
    fn contradictions_are_errors() {
        assert_eq!(parsed("--csv --nagios").errors.len(), 1);
        assert_eq!(parsed("--csv --format=json").errors.len(), 1);
        assert_eq!(parsed("--csv --format=csv --csv").errors.len(), 0);
        assert_eq!(parsed("-w -W").errors.len(), 1);
        assert_eq!(parsed("--format=json").options.format, ColumnFormat::Json);
    }
}
