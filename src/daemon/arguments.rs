//! The command line of `repmgrd`.
//!
//! Options, their short letters and their optional values are the original's;
//! long options may be abbreviated and arguments that are no options are
//! ignored, as with getopt.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::log::Level;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Print the help.
    Help,
    /// Print name and version.
    Version,
    /// Be the daemon (or, with `show_pid_file`, say where its PID file would be).
    Run(Arguments),
}

/// The options of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// The configuration file; searched for if not given.
    pub config_file: Option<String>,
    /// Go into the background. The default.
    pub daemonize: bool,
    /// The PID file; wins over `repmgrd_pid_file`.
    pub pid_file: Option<PathBuf>,
    /// Write no PID file, whatever else is set.
    pub no_pid_file: bool,
    /// Print the path of the PID file and end.
    pub show_pid_file: bool,
    /// Wins over `log_level`.
    pub log_level: Option<Level>,
    /// Show the extra lines.
    pub verbose: bool,
    /// As `monitoring_history=true`, until the next reload.
    pub monitoring_history: bool,
}

/// Why the command line cannot be used: what clap has to say, in whole lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

const BOOLEANS: [&str; 8] = ["0", "1", "true", "false", "on", "off", "yes", "no"];

fn boolean() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(BOOLEANS)
        .map(|word| matches!(word.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes"))
}

/// The command line, from which parser, help and manual page are made.
pub fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    Command::new("repmgrd")
        .about("Watches the PostgreSQL replication of this node and carries out the failover")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .args_override_self(true)
        .arg(
            flag("help")
                .short('?')
                .help("show this help, then exit")
                .help_heading("Options"),
        )
        .arg(
            flag("version")
                .short('V')
                .help("show the version, then exit")
                .help_heading("Options"),
        )
        .arg(
            flag("verbose")
                .short('v')
                .help("show additional log lines, useful for debugging")
                .help_heading("Options"),
        )
        .arg(
            Arg::new("config-file")
                .long("config-file")
                .short('f')
                .value_name("PATH")
                .help("path to the configuration file")
                .help_heading("Options"),
        )
        .arg(
            Arg::new("log-level")
                .long("log-level")
                .short('L')
                .value_name("LEVEL")
                .value_parser(|name: &str| Level::by_name(name).ok_or("not the name of a log level"))
                .help("log level; overrides log_level of the configuration file")
                .help_heading("Options"),
        )
        .arg(
            flag("monitoring-history")
                .short('m')
                .help("write the monitoring history until the next reload, whatever the configuration file says")
                .help_heading("Options"),
        )
        .arg(
            Arg::new("daemonize")
                .long("daemonize")
                .value_name("BOOL")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .ignore_case(true)
                .value_parser(boolean())
                .hide_possible_values(true)
                .help("go into the background (default: true)")
                .help_heading("Process"),
        )
        .arg(Arg::new("background").short('d').action(ArgAction::SetTrue).hide(true))
        .arg(
            Arg::new("daemonize-short")
                .long("daemonize-short")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("")
                .hide(true),
        )
        .arg(
            Arg::new("pid-file")
                .long("pid-file")
                .short('p')
                .value_name("PATH")
                .help("path of the PID file; overrides repmgrd_pid_file of the configuration file")
                .help_heading("Process"),
        )
        .arg(
            flag("show-pid-file")
                .short('s')
                .help("show the path of the PID file that would be used, then exit")
                .help_heading("Process"),
        )
        .arg(flag("no-pid-file").help("write no PID file").help_heading("Process"))
        .arg(Arg::new("ignored").num_args(0..).hide(true))
}

/// Reads the command line; the first argument is the program's name.
pub fn parse(arguments: &[String]) -> Result<Asked, UsageError> {
    let matches = command()
        .try_get_matches_from(arguments)
        .map_err(|error| UsageError(error.render().to_string()))?;
    if matches.get_flag("help") {
        return Ok(Asked::Help);
    }
    if matches.get_flag("version") {
        return Ok(Asked::Version);
    }
    Ok(Asked::Run(options(&matches)))
}

fn options(matches: &ArgMatches) -> Arguments {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let short_given = matches.get_flag("background") || matches.contains_id("daemonize-short");
    Arguments {
        config_file: text("config-file"),
        daemonize: short_given || matches.get_one("daemonize").copied().unwrap_or(true),
        pid_file: text("pid-file").map(PathBuf::from),
        no_pid_file: matches.get_flag("no-pid-file"),
        show_pid_file: matches.get_flag("show-pid-file"),
        log_level: matches.get_one("log-level").copied(),
        verbose: matches.get_flag("verbose"),
        monitoring_history: matches.get_flag("monitoring-history"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &str) -> Result<Asked, UsageError> {
        let words: Vec<String> = std::iter::once("repmgrd")
            .chain(words.split_whitespace())
            .map(str::to_owned)
            .collect();
        parse(&words)
    }

    fn arguments(words: &str) -> Arguments {
        match run(words) {
            Ok(Asked::Run(arguments)) => arguments,
            other => panic!("{words}: {other:?}"),
        }
    }

    #[test]
    fn it_goes_into_the_background_unless_told_otherwise() {
        assert!(arguments("").daemonize);
        assert!(arguments("-d").daemonize);
        assert!(arguments("--daemonize").daemonize);
        for no in ["0", "false", "off", "no", "FALSE", "Off"] {
            assert!(!arguments(&format!("--daemonize={no}")).daemonize, "{no}");
        }
        for yes in ["1", "true", "on", "yes", "TRUE"] {
            assert!(arguments(&format!("--daemonize={yes}")).daemonize, "{yes}");
        }
        assert!(run("--daemonize=perhaps").is_err());
        assert!(run("-d=false").is_err(), "the letter takes no value");
    }

    #[test]
    fn a_value_of_daemonize_must_be_attached() {
        assert!(arguments("--daemonize false").daemonize, "a separate word is no value");
        assert!(arguments("--daemonize-short=false").daemonize, "its value is ignored");
    }

    #[test]
    fn options_have_their_short_letters() {
        let all = arguments("-f /etc/repmgr.conf -p /run/x.pid -s -L debug -v -m");
        assert_eq!(all.config_file.as_deref(), Some("/etc/repmgr.conf"));
        assert_eq!(all.pid_file, Some(PathBuf::from("/run/x.pid")));
        assert_eq!(all.log_level, Some(Level::Debug));
        assert!(all.show_pid_file && all.verbose && all.monitoring_history && !all.no_pid_file);
        assert!(run("-L LOUD").is_err());
        assert_eq!(run("-?"), Ok(Asked::Help));
        assert_eq!(run("-V"), Ok(Asked::Version));
    }

    #[test]
    fn long_options_may_be_abbreviated_and_other_words_are_ignored() {
        assert!(arguments("--no-pid stray words").no_pid_file);
        assert_eq!(arguments("--config /a -f /b").config_file.as_deref(), Some("/b"));
        assert!(run("--nonsense").is_err());
    }
}
