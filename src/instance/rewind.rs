//! `pg_rewind`: makes a data directory whose history has parted from a running
//! server's one that can follow it (PostgreSQL: "pg_rewind").

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use super::output_file::OutputFile;
use super::single_user;
use crate::conninfo::Conninfo;
use crate::process::shell_quote;

/// What is to be rewound, and to what.
#[derive(Debug, Clone)]
pub struct Rewind {
    /// pg_rewind itself.
    pub program: PathBuf,
    /// The data directory, of a server that was shut down cleanly.
    pub data_directory: PathBuf,
    /// The server whose history is taken over. **May hold a password.**
    pub source: Conninfo,
    /// postgresql.conf, if it is not in the data directory and this version can be told so.
    pub configuration_file: Option<PathBuf>,
    /// Whether WAL that is missing may be fetched with the server's `restore_command`.
    pub restore_target_wal: bool,
}

/// What pg_rewind made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it found that the histories have parted.
    pub needed: bool,
    /// How much it copies, if it said so.
    pub megabytes: Option<u64>,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RewindError {
    /// It could not be started.
    #[error("\"{program}\" could not be run: {source}")]
    NotRun {
        /// Where it was looked for.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It gave up.
    #[error("pg_rewind ended with {status}: {said}")]
    Failed {
        /// Exit code or signal.
        status: std::process::ExitStatus,
        /// Its last lines.
        said: String,
    },
}

impl Rewind {
    fn arguments(&self, source: &Conninfo, dry_run: bool) -> Vec<String> {
        let mut words = vec![
            "-D".to_owned(),
            self.data_directory.to_string_lossy().into_owned(),
            format!("--source-server={}", source.to_keyword_string()),
            // Crash recovery is a step of its own.
            "--no-ensure-shutdown".to_owned(),
            "--progress".to_owned(),
        ];
        if let Some(file) = &self.configuration_file {
            words.push(format!("--config-file={}", file.display()));
        }
        if dry_run {
            words.push("--dry-run".to_owned());
        } else if self.restore_target_wal {
            // It writes into pg_wal, also in a dry run.
            words.push("--restore-target-wal".to_owned());
        }
        words
    }

    /// The line that a person could type, without the password.
    pub fn command_line(&self) -> String {
        let arguments = self.arguments(&self.source.hidden(), false);
        std::iter::once(self.program.to_string_lossy().into_owned())
            .chain(arguments)
            .map(|word| shell_quote(&word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs it to its end, however long that takes. `lock` stays locked as long as pg_rewind lives,
    /// also when this program does not any more.
    ///
    /// # Errors
    /// It could not be run, or gave up. In a dry run nothing is changed; else there is no telling.
    pub async fn run(&self, dry_run: bool, lock: &File) -> Result<Outcome, RewindError> {
        let not_run = |source| RewindError::NotRun {
            program: self.program.display().to_string(),
            source,
        };
        let mut source = self.source.clone();
        source.remove("password");
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments(&source, dry_run))
            .env("LC_ALL", "C")
            .stdin(Stdio::from(lock.try_clone().map_err(not_run)?))
            .process_group(0)
            .kill_on_drop(dry_run);
        if let Some(password) = self.source.get("password") {
            // Arguments are visible to every user of the host.
            command.env("PGPASSWORD", password);
        }
        let output = OutputFile::new().map_err(not_run)?;
        let status = single_user::run(command, &output, "pg_rewind").await.map_err(not_run)?;
        let said = output.text();
        if !status.success() {
            return Err(RewindError::Failed {
                status,
                said: reason(&said),
            });
        }
        Ok(Outcome {
            needed: !said.contains("no rewind required"),
            megabytes: megabytes(&said),
        })
    }
}

/// The lines that are no progress.
fn reason(said: &str) -> String {
    let lines: Vec<&str> = said
        .split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains(" kB ("))
        .collect();
    lines[lines.len().saturating_sub(4)..].join("\n")
}

fn megabytes(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("need to copy ")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewind() -> Rewind {
        Rewind {
            program: "/pg/bin/pg_rewind".into(),
            data_directory: "/srv/my data".into(),
            source: Conninfo::parse("host=n2 user=repmgr password='se cret' dbname=repmgr").unwrap(),
            configuration_file: None,
            restore_target_wal: true,
        }
    }

    #[test]
    fn the_line_for_people_hides_the_password() {
        let line = rewind().command_line();
        assert!(line.starts_with("/pg/bin/pg_rewind -D '/srv/my data' '--source-server="));
        assert!(
            line.ends_with(" --no-ensure-shutdown --progress --restore-target-wal"),
            "{line}"
        );
        assert!(!line.contains("cret"), "{line}");
    }

    #[test]
    fn a_dry_run_fetches_no_wal() {
        let arguments = rewind().arguments(&Conninfo::new(), true);
        assert!(arguments.contains(&"--dry-run".to_owned()));
        assert!(!arguments.contains(&"--restore-target-wal".to_owned()));
    }

    #[test]
    fn progress_is_not_a_reason() {
        let said = "pg_rewind: need to copy 48 MB (total source directory size is 55 MB)\n\
                    1024/49152 kB (2%) copied\r2048/49152 kB (4%) copied\npg_rewind: fatal: could not open file \"x\"\n";
        assert_eq!(megabytes(said), Some(48));
        assert!(reason(said).ends_with("could not open file \"x\""));
        assert!(!reason(said).contains("copied"));
    }
}
