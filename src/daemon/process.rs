//! From the command line to the loop, and from the loop's end to the exit code.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{dup2_stdin, dup2_stdout, geteuid};

use super::arguments::{self, Arguments, Asked};
use super::fork::{self, Side};
use super::pid_file::{self, PidFile};
use super::signals::Signals;
use super::startup;
use super::watch::Watch;
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::log;
use crate::metadata::NodeRecord;

const PROGRAM: &str = "repmgrd";

/// The program `repmgrd`.
pub fn main(arguments: &[String]) -> ExitCode {
    let arguments = match arguments::parse(arguments) {
        Ok(Asked::Help) => {
            print!("{}", arguments::command().render_help());
            return ExitCode::Success;
        }
        Ok(Asked::Version) => {
            println!("{PROGRAM} {}", crate::COMPATIBLE_VERSION);
            return ExitCode::Success;
        }
        Ok(Asked::Run(arguments)) => arguments,
        Err(error) => {
            eprint!("{error}");
            eprintln!("Try \"{PROGRAM} --help\" for more information.");
            return ExitCode::BadConfig;
        }
    };
    if geteuid().is_root() {
        eprintln!("{PROGRAM}: cannot be run as root");
        eprintln!("Please log in (using, e.g., \"su\") as the (unprivileged) user that owns the data directory.");
        return ExitCode::BadConfig;
    }
    // From here on lines have the daemon's form.
    log::set_timestamps(true);
    let loaded = match config::load(arguments.config_file.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            error.report(false);
            return ExitCode::BadConfig;
        }
    };
    loaded.report_warnings();
    let Some(file) = loaded.file else {
        Error::bad_config("no configuration file was found")
            .hint("name it with -f/--config-file")
            .report();
        return ExitCode::BadConfig;
    };
    match be(&arguments, loaded.config, &file) {
        Ok(code) => code,
        Err(error) => {
            error.report();
            error.exit_code
        }
    }
}

fn be(arguments: &Arguments, mut config: Config, file: &Path) -> Result<ExitCode> {
    let pid_path = pid_file::decide(arguments, &config);
    if arguments.show_pid_file {
        println!("{}", pid_path.unwrap_or_default().display());
        return Ok(ExitCode::Success);
    }
    if arguments.pid_file.is_some() && !arguments.no_pid_file && !config.repmgrd_pid_file.as_os_str().is_empty() {
        crate::warning!("\"repmgrd_pid_file\" is set, but -p/--pid-file is used");
    }
    config.monitoring_history |= arguments.monitoring_history;
    silence()?;
    log::configure(&log_settings(arguments, &config))?;
    crate::notice!("{PROGRAM} ({PROGRAM} {}) starting up", crate::COMPATIBLE_VERSION);

    let record = check(&config)?;
    if arguments.daemonize {
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        match fork::daemonize(directory.unwrap_or(Path::new("/"))) {
            Ok(Side::Launcher) => return Ok(ExitCode::Success),
            Ok(Side::Daemon) => {}
            Err(error) => {
                return Err(
                    Error::new(ExitCode::SysFailure, "could not go into the background").detail(error.to_string())
                );
            }
        }
        if let Err(error) = log::detach() {
            crate::warning!("could not give up the terminal: {error}");
        }
    }
    watch(config, file, record, pid_path)
}

/// What the log is to be, by the command line and the configuration.
fn log_settings<'a>(arguments: &Arguments, config: &'a Config) -> log::Settings<'a> {
    log::Settings {
        program: PROGRAM,
        level_option: arguments.log_level.map(log::Level::label),
        verbose: arguments.verbose,
        ..reloaded_log_settings(config)
    }
}

/// What the log is to be after a reload: options of the command line count no more.
pub fn reloaded_log_settings(config: &Config) -> log::Settings<'_> {
    log::Settings {
        program: PROGRAM,
        level_option: None,
        level: &config.log_level,
        verbose: log::is_verbose(),
        terse: false,
        dry_run: false,
        quiet: false,
        daemon: true,
        facility: &config.log_facility,
        file: &config.log_file,
    }
}

/// Standard input and output lead nowhere from now on.
fn silence() -> Result<()> {
    let failed = |error: String| Error::bad_config("could not open /dev/null").detail(error);
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| failed(error.to_string()))?;
    dup2_stdin(&null).map_err(|error| failed(error.to_string()))?;
    dup2_stdout(&null).map_err(|error| failed(error.to_string()))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ExitCode::SysFailure, "could not start").detail(error.to_string()))
}

/// The checks run in a runtime of their own, which is gone when this process forks.
fn check(config: &Config) -> Result<NodeRecord> {
    let runtime = runtime()?;
    let result = runtime.block_on(startup::check(config));
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

fn watch(config: Config, file: &Path, record: NodeRecord, pid_path: Option<PathBuf>) -> Result<ExitCode> {
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        // Before the PID file is there, so that no signal can leave it behind.
        let signals = Signals::listen().map_err(|error| {
            Error::new(ExitCode::SysFailure, "could not listen to signals").detail(error.to_string())
        })?;
        let pid_file = match &pid_path {
            Some(path) => Some(PidFile::claim(path)?),
            None => None,
        };
        let path_text = pid_path
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        let watch = Watch::new(config, file.to_owned(), record, path_text);
        let code = watch.run(signals).await;
        if let Some(pid_file) = pid_file {
            pid_file.remove();
        }
        Ok(code)
    });
    // What still hangs in the background, such as a name lookup, must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    crate::info!("{PROGRAM} ends");
    code
}
