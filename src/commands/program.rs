//! What `repmgr` does before and after a verb. Which of several errors is
//! reported first is the original's order.

use nix::unistd::{Uid, User, geteuid};

use super::catalogue::{self, Command};
use super::checks::{self, Findings};
use super::connecting;
use super::help::{self, ConnectionDefaults};
use super::parse::{Parsed, parse};
use super::records;
use super::source::{connection_parameters, names_a_host};
use super::{Context, Options};
use crate::config::{self, Config};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::nearest::nearest;
use crate::operations::switchover::guard;
use crate::output;
use crate::{COMPATIBLE_VERSION, COMPATIBLE_VERSION_NUMBER, VERSION};

/// The program `repmgr`.
pub fn main(arguments: &[String]) -> ExitCode {
    if guard::is_guard() && guard::nothing_to_do() {
        return ExitCode::Success;
    }
    let program = crate::program_name(arguments);
    let parsed = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(reason) => {
            crate::log::plain(format_args!("{program}: {reason}"));
            let noun = arguments.iter().skip(1).find_map(|word| catalogue::noun(word));
            output::print(&try_help(&program, noun));
            return ExitCode::BadConfig;
        }
    };
    if let Some(text) = version(&program, &parsed.options) {
        output::print(&text);
        return ExitCode::Success;
    }
    match prepare(&program, parsed) {
        Ok(Prepared::Run(command, context)) => execute(command, *context),
        Ok(Prepared::Done) => ExitCode::Success,
        Err(Refusal::Usage { errors, noun }) => {
            crate::error!("the command line cannot be understood:");
            for error in errors {
                crate::log::plain(format_args!("  {error}"));
            }
            crate::log::plain(format_args!("{}", try_help(&program, noun).trim_end()));
            ExitCode::BadConfig
        }
        Err(Refusal::Reported) => ExitCode::BadConfig,
    }
}

/// What is left to do.
enum Prepared {
    /// A verb.
    Run(Command, Box<Context>),
    /// Nothing: help or the configuration was shown.
    Done,
}

/// Why nothing is done; the exit code is always [`ExitCode::BadConfig`].
enum Refusal {
    /// The command line is wrong.
    Usage {
        errors: Vec<String>,
        noun: Option<&'static str>,
    },
    /// The reason was already said.
    Reported,
}

fn version(program: &str, options: &Options) -> Option<String> {
    if options.version_number {
        return Some(format!("{COMPATIBLE_VERSION_NUMBER}\n"));
    }
    options.version.then(|| {
        let own = if options.verbose {
            format!("repmgr-oxide {VERSION}\n")
        } else {
            String::new()
        };
        format!("{program} {COMPATIBLE_VERSION}\n{own}")
    })
}

fn try_help(program: &str, noun: Option<&str>) -> String {
    match noun {
        Some(noun) => format!("Try \"{program} --help\" or \"{program} {noun} --help\" for more information.\n"),
        None => format!("Try \"{program} --help\" for more information.\n"),
    }
}

fn prepare(program: &str, parsed: Parsed) -> Result<Prepared, Refusal> {
    let Parsed {
        mut options,
        words,
        mut errors,
    } = parsed;
    if options.log_to_file {
        crate::log::set_timestamps(true);
    }
    crate::log::set_verbose(options.verbose);

    if geteuid().is_root() && !options.help {
        crate::log::plain(format_args!("{program}: cannot be run as root"));
        crate::log::plain(format_args!(
            "Run it as the (unprivileged) user that owns the PostgreSQL server process, usually \"postgres\"."
        ));
        return Err(Refusal::Reported);
    }
    let database = std::env::var("PGDATABASE").ok();
    if let Err(error) = connection_parameters(&options, database.as_deref()) {
        errors.push(format!("invalid value for --dbname: {error}"));
    }
    let mut words = words.into_iter();
    let first = words.next();
    let noun = first.as_deref().and_then(catalogue::noun);
    if !errors.is_empty() {
        return Err(Refusal::Usage { errors, noun });
    }
    if options.help {
        output::print(&match noun {
            Some(noun) => match words.next().and_then(|verb| catalogue::command(noun, &verb)) {
                Some(command) => help::of_command(program, command.entry()),
                None => help::of_noun(program, noun),
            },
            None => help::general(program, &connection_defaults()),
        });
        return Ok(Prepared::Done);
    }

    let second = words.next();
    let command = match (&first, noun, &second) {
        (None, ..) => Err("no command was given".to_owned()),
        (Some(first), None, None) => Err(unknown_command(first, None)),
        (Some(_), Some(noun), None) => Err(format!("no action was given for {}", noun.to_uppercase())),
        (Some(first), noun, Some(second)) => noun
            .and_then(|noun| catalogue::command(noun, second))
            .ok_or_else(|| unknown_command(first, Some(second))),
    };
    if let Ok(Command::StandbyClone) = command
        && let Some(host) = words.next()
    {
        take_host(&mut options, host, database.as_deref(), &mut errors);
    }
    errors.extend(words.map(|word| format!("\"{word}\" is one word too many")));

    let (config, config_file) = load(&options)?;
    if options.dump_config {
        if first.is_some() {
            let errors = vec!["--dump-config stands alone".to_owned()];
            return Err(Refusal::Usage { errors, noun });
        }
        output::print(&config::dump(&config));
        return Ok(Prepared::Done);
    }
    let command = match command {
        Ok(command) => command,
        Err(error) => {
            errors.insert(0, error);
            return Err(Refusal::Usage { errors, noun });
        }
    };
    let source = connection_parameters(&options, database.as_deref()).ok().flatten();
    let findings = checks::check(command, &mut options, &config, source.as_ref());
    report(findings, errors, noun, options.terse)?;
    set_up_log(program, &options, &config).map_err(|error| {
        error.report();
        Refusal::Reported
    })?;
    Ok(Prepared::Run(
        command,
        Box::new(Context {
            options,
            config,
            config_file,
            source,
        }),
    ))
}

/// Which word is wrong, and what it probably means.
fn unknown_command(first: &str, second: Option<&str>) -> String {
    let words: Vec<&str> = std::iter::once(first).chain(second).collect();
    let meant: Vec<String> = meant_commands(first, second)
        .iter()
        .map(|meant| format!("\"{meant}\""))
        .collect();
    let meant = match meant.split_last() {
        None => String::new(),
        Some((last, [])) => format!("; did you mean {last}?"),
        Some((last, others)) => format!("; did you mean {} or {last}?", others.join(", ")),
    };
    format!("unknown command \"{}\"{meant}", words.join(" "))
}

/// What a command that there is not may mean: a mistyped one; one whose noun was forgotten, comes last, or is another.
fn meant_commands(first: &str, second: Option<&str>) -> Vec<String> {
    let all_with = |verb: &str| -> Vec<String> {
        let nouns = catalogue::NOUNS.iter().map(|(noun, ..)| *noun);
        nouns
            .filter_map(|noun| {
                let verb = catalogue::verbs_of(noun).find(|known| known.eq_ignore_ascii_case(verb))?;
                Some(format!("{noun} {verb}"))
            })
            .collect()
    };
    let nouns = catalogue::NOUNS.iter().map(|(noun, ..)| *noun);
    let noun = catalogue::noun(first).or_else(|| nearest(first, nouns));
    match (noun, second) {
        (Some(noun), None) => vec![noun.to_owned()],
        (None, None) => all_with(first),
        (Some(noun), Some(verb)) => {
            let known = catalogue::command(noun, verb).map(|command| command.entry().verb);
            match known.or_else(|| nearest(verb, catalogue::verbs_of(noun))) {
                Some(verb) => vec![format!("{noun} {verb}")],
                None => all_with(verb),
            }
        }
        (None, Some(last)) => {
            let turned = catalogue::noun(last).map(|noun| (noun, catalogue::command(noun, first)));
            match turned {
                Some((noun, Some(command))) => vec![format!("{noun} {}", command.entry().verb)],
                _ => Vec::new(),
            }
        }
    }
}

/// The HOST of `standby clone`.
fn take_host(options: &mut Options, host: String, database: Option<&str>, errors: &mut Vec<String>) {
    let source: Option<Conninfo> = connection_parameters(options, database).ok().flatten();
    if names_a_host(source.as_ref()) {
        errors.push(format!("a host was already given, \"{host}\" is one too many"));
    } else {
        options.host = Some(host);
    }
}

fn report(findings: Findings, mut errors: Vec<String>, noun: Option<&'static str>, terse: bool) -> Result<(), Refusal> {
    errors.extend(findings.errors);
    if !errors.is_empty() {
        return Err(Refusal::Usage { errors, noun });
    }
    if !terse && !findings.warnings.is_empty() {
        crate::warning!("command line:");
        for warning in findings.warnings {
            crate::log::plain(format_args!("  {warning}"));
        }
    }
    Ok(())
}

/// The configuration with what the command line says in place of it.
fn load(options: &Options) -> Result<(Config, Option<std::path::PathBuf>), Refusal> {
    let loaded = config::load(options.config_file.as_deref()).map_err(|error| {
        error.report(options.terse);
        Refusal::Reported
    })?;
    if !options.terse {
        loaded.report_warnings();
    }
    let mut config = loaded.config;
    if let Some(directory) = &options.pg_bindir {
        config.pg_bindir = directory.into();
    }
    if let Some(delay) = &options.recovery_min_apply_delay {
        config.recovery_min_apply_delay = Some(delay.clone());
    }
    Ok((config, loaded.file))
}

fn set_up_log(program: &str, options: &Options, config: &Config) -> Result<()> {
    crate::log::configure(&crate::log::Settings {
        program,
        level_option: options.log_level.as_deref(),
        level: &config.log_level,
        verbose: options.verbose,
        terse: options.terse,
        dry_run: options.dry_run,
        quiet: options.quiet,
        daemon: options.log_to_file,
        facility: &config.log_facility,
        file: &config.log_file,
    })
}

fn connection_defaults() -> ConnectionDefaults {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = User::from_uid(Uid::effective())
        .ok()
        .flatten()
        .map(|user| user.name)
        .unwrap_or_default();
    ConnectionDefaults {
        dbname: variable("PGDATABASE").unwrap_or_else(|| user.clone()),
        host: variable("PGHOST").unwrap_or_default(),
        port: variable("PGPORT").unwrap_or_else(|| "5432".to_owned()),
        user,
    }
}

fn execute(command: Command, mut context: Context) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            crate::error!("the program's event loop could not be started: {error}");
            return ExitCode::Internal;
        }
    };
    let result = runtime.block_on(async {
        require_configuration(command, &context)?;
        resolve_node(&mut context).await?;
        super::run(command, &context).await
    });
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| {
        error.report();
        error.exit_code
    })
}

/// Most commands need to know which node this is.
fn require_configuration(command: Command, context: &Context) -> Result<()> {
    let needless = match command {
        Command::StandbyClone => true,
        Command::NodeCheck => context.options.checks.contains(&"has-passfile"),
        Command::ClusterShow | Command::ClusterMatrix | Command::ClusterCrosscheck => {
            context.options.connection_parameters_given()
        }
        _ => false,
    };
    if needless || context.config.node_id > 0 {
        return Ok(());
    }
    Err(
        Error::bad_config("no configuration file was found, so this node is not known")
            .hint("name the file with -f/--config-file"),
    )
}

/// Looks up `--node-id` or `--node-name` in this node's metadata, before the verb begins.
async fn resolve_node(context: &mut Context) -> Result<()> {
    if context.options.node_id.is_none() && context.options.node_name.is_none() {
        return Ok(());
    }
    let connection = connecting::local_or_source(context).await?;
    let record = records::node_named_by_options(context, &connection).await?;
    context.options.node_id = record.map(|record| record.node_id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_command_suggests_the_nearest() {
        for (first, second, expected) in [
            (
                "clutser",
                Some("show"),
                "unknown command \"clutser show\"; did you mean \"cluster show\"?",
            ),
            (
                "Standby",
                Some("swichover"),
                "unknown command \"Standby swichover\"; did you mean \"standby switchover\"?",
            ),
            ("stanby", None, "unknown command \"stanby\"; did you mean \"standby\"?"),
            (
                "witness",
                Some("status"),
                "unknown command \"witness status\"; did you mean \"node status\" or \"service status\"?",
            ),
            (
                "register",
                None,
                "unknown command \"register\"; did you mean \"primary register\", \"standby register\" or \
                 \"witness register\"?",
            ),
            (
                "promote",
                Some("standby"),
                "unknown command \"promote standby\"; did you mean \"standby promote\"?",
            ),
            (
                "node",
                Some("archive-config"),
                "unknown command \"node archive-config\"",
            ),
            ("bdr", Some("register"), "unknown command \"bdr register\""),
        ] {
            assert_eq!(unknown_command(first, second), expected);
        }
    }
}
