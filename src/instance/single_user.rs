//! PostgreSQL's single-user mode: crash recovery of a server that is not to
//! be started (PostgreSQL: "postgres", "Options for Single-User Mode").

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::output_file::OutputFile;
use super::program;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::info;

/// How often a long wait says that it goes on.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Where postgresql.conf is if not in the data directory: in `config_directory`, or where the server
/// found it when it was last started.
pub fn configuration_file(config: &Config, data_directory: &Path) -> Option<PathBuf> {
    if data_directory.join("postgresql.conf").exists() {
        return None;
    }
    let configured = config.config_directory.join("postgresql.conf");
    if !config.config_directory.as_os_str().is_empty() && configured.exists() {
        return Some(configured);
    }
    let options = std::fs::read_to_string(data_directory.join("postmaster.opts")).ok()?;
    from_options(&options)
}

/// `postmaster.opts` holds the command line of the last start, each argument in double quotes.
fn from_options(options: &str) -> Option<PathBuf> {
    options
        .split('"')
        .filter_map(|word| word.trim_start_matches("--").strip_prefix("config_file="))
        .next_back()
        .map(PathBuf::from)
}

fn postgres(config: &Config, data_directory: &Path) -> Command {
    let mut command = Command::new(program(config, "postgres"));
    command.env("LC_ALL", "C").stdin(Stdio::null()).process_group(0);
    command.arg("-D").arg(data_directory);
    command
}

fn with_configuration_file(command: &mut Command, config: &Config, data_directory: &Path) {
    if let Some(file) = configuration_file(config, data_directory) {
        command.arg("-c").arg(format!("config_file={}", file.display()));
    }
}

/// A setting of a server that is not running, as its configuration files say it.
pub async fn setting(config: &Config, data_directory: &Path, name: &str) -> Option<String> {
    let mut command = postgres(config, data_directory);
    with_configuration_file(&mut command, config, data_directory);
    command.arg("-C").arg(name).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let output = output.ok()?.ok().filter(|output| output.status.success())?;
    Some(
        String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned(),
    )
}

/// Makes the server in the data directory recover from its crash and shut down cleanly. No signal file
/// for recovery may be there. Can be run again after any end.
///
/// # Errors
/// [`ExitCode::RejoinFail`], with what the server said.
pub async fn recover(config: &Config, data_directory: &Path) -> Result<()> {
    let mut command = Command::new(program(config, "postgres"));
    command.env("LC_ALL", "C").stdin(Stdio::null()).process_group(0);
    command.arg("--single").arg("-D").arg(data_directory);
    with_configuration_file(&mut command, config, data_directory);
    command.arg("template1").kill_on_drop(true);
    let failed = |detail: String| {
        Error::new(
            ExitCode::RejoinFail,
            format!(
                "the server in \"{}\" could not be made to recover from its crash",
                data_directory.display()
            ),
        )
        .detail(detail)
    };
    let output = OutputFile::new().map_err(|error| failed(format!("no file for its output: {error}")))?;
    let status = match run(command, &output, "crash recovery").await {
        Ok(status) => status,
        Err(error) => {
            return Err(failed(format!("\"postgres\" could not be run: {error}")).hint("set pg_bindir in repmgr.conf"));
        }
    };
    if status.success() {
        return Ok(());
    }
    let error = failed(format!("it ended with {status}; its output: {}", output.tail()));
    let says = |text: &str| output.text().contains(text);
    Err(if says("No space left on device") {
        error.hint("make room on the file system of the data directory and of pg_wal, and run the command again")
    } else {
        error.hint("nothing is lost: mend what it complains of and run the command again, or start the server as it is")
    })
}

/// Runs a program whose end must be waited for, however long it takes.
pub(super) async fn run(mut command: Command, output: &OutputFile, what: &str) -> std::io::Result<ExitStatus> {
    let mut child: Child = command.stdout(output.writer()?).stderr(output.writer()?).spawn()?;
    let begin = Instant::now();
    loop {
        match tokio::time::timeout(REPORT_INTERVAL, child.wait()).await {
            Ok(status) => return status,
            Err(_) => info!("{what} goes on since {} seconds", begin.elapsed().as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_of_the_last_start_is_found() {
        let debian = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/var/lib/postgresql/15/main\" \
                      \"-c\" \"config_file=/etc/postgresql/15/main/postgresql.conf\"\n";
        assert_eq!(
            from_options(debian),
            Some(PathBuf::from("/etc/postgresql/15/main/postgresql.conf"))
        );
        assert_eq!(from_options("/pg/bin/postgres \"-D\" \"/data\"\n"), None);
    }

    #[test]
    fn a_configuration_file_in_the_data_directory_needs_no_naming() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let config = Config {
            config_directory: folder.path().to_owned(),
            ..Config::default()
        };
        assert_eq!(configuration_file(&config, &data), None);
        std::fs::write(folder.path().join("postgresql.conf"), "").unwrap();
        assert_eq!(
            configuration_file(&config, &data),
            Some(folder.path().join("postgresql.conf"))
        );
        std::fs::write(data.join("postgresql.conf"), "").unwrap();
        assert_eq!(configuration_file(&config, &data), None);
    }
}
