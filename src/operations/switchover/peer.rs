//! The demotion candidate as its host shows it: what is run there, and how its
//! answers are read. An original may be on the other side.

use std::time::Duration;

use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::process::Finished;
use crate::remote::{Answers, Call, Host, RemoteRepmgr, Ssh, answers};
use crate::types::Lsn;

/// How long a host, and a look-up there, may take.
pub const LOOK_UP_LIMIT: Duration = Duration::from_secs(60);
/// What a look-up on a busy host may take, however little time is left.
const LEAST_LOOK_UP_LIMIT: Duration = Duration::from_secs(5);
const REACH_LIMIT: Duration = Duration::from_secs(15);
/// ssh's own exit code (ssh(1)).
const SSH_FAILED: i32 = 255;
/// The shell's exit codes for a program that is not there or cannot be run (POSIX: "Exit Status for Commands").
const NOT_EXECUTABLE: [i32; 2] = [126, 127];

/// A node's host and the repmgr there.
pub struct Peer<'r> {
    ssh: &'r Ssh<'r>,
    host: Host,
    repmgr: RemoteRepmgr,
    config_file: String,
    title: String,
}

/// What came back, or why nothing did.
pub type Asked = std::result::Result<Finished, String>;

impl<'r> Peer<'r> {
    /// The host of a node, by `host` in its conninfo (else `hostaddr`).
    pub async fn find(
        config: &Config,
        ssh: &'r Ssh<'r>,
        log_level: Option<&str>,
        node: &NodeRecord,
    ) -> Result<Peer<'r>> {
        let title = node.title();
        let unusable =
            |reason: String| Error::bad_config(format!("unable to tell which host {title} is on")).detail(reason);
        let conninfo = Conninfo::parse(&node.conninfo).map_err(|error| unusable(error.to_string()))?;
        let name = conninfo.get("host").or_else(|| conninfo.get("hostaddr")).unwrap_or("");
        let host = Host::find(name, REACH_LIMIT)
            .await
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Peer {
            ssh,
            repmgr: RemoteRepmgr::new(config, log_level).on(&host),
            host,
            config_file: node.config_file.clone(),
            title,
        })
    }

    /// Whether commands can be run there.
    pub async fn reach(&self) -> Result<()> {
        self.ssh.reach(&self.host, REACH_LIMIT).await.map_err(|error| {
            Error::bad_config(format!("unable to run commands on the host of {} with ssh", self.title))
                .detail(error.to_string())
                .hint("ssh must work without a password, as the user that runs repmgr or the one of -R/--remote-user")
        })
    }

    /// The line for its shell.
    pub fn line(&self, call: &Call<'_>) -> String {
        self.repmgr.call(&self.config_file, call)
    }

    /// The line for its shell that starts its server.
    pub fn start_line(&self) -> String {
        self.repmgr
            .command(&self.config_file, &["node", "service", "--action=start"])
    }

    /// The line with which a person runs `line` there, from here.
    pub fn for_person(&self, line: &str) -> String {
        self.ssh.command_line(&self.host, line)
    }

    /// Runs a line there.
    pub async fn run(&self, line: &str, limit: Duration) -> Asked {
        self.ssh
            .run(&self.host, line, limit)
            .await
            .map_err(|error| error.to_string())
    }

    /// Asks the repmgr there.
    pub async fn ask(&self, call: &Call<'_>, limit: Duration) -> Asked {
        self.run(&self.line(call), limit).await
    }

    /// Whether its repmgr.conf is where the record says.
    pub async fn has_config_file(&self) -> Asked {
        let line = crate::remote::repmgr_command::file_exists(&self.config_file);
        self.run(&line, LOOK_UP_LIMIT).await
    }

    /// The path of its repmgr.conf.
    pub fn config_file(&self) -> &str {
        &self.config_file
    }

    /// Its state, if the server is down or said to be. Without an answer within `limit` it is not known.
    pub async fn shutdown_state(&self, limit: Duration) -> ShutdownState {
        let limit = limit.clamp(LEAST_LOOK_UP_LIMIT, LOOK_UP_LIMIT);
        match self.ask(&Call::IsShutdownCleanly, limit).await {
            Ok(finished) => shutdown_state(&finished.stdout),
            Err(_) => ShutdownState::NotYet,
        }
    }
}

/// How a call ended, for a DETAIL line.
pub fn describe(asked: &Asked) -> String {
    match asked {
        Err(reason) => reason.clone(),
        Ok(finished) => {
            let said = if finished.stderr.trim().is_empty() {
                finished.stdout.trim()
            } else {
                finished.stderr.trim()
            };
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines[lines.len().saturating_sub(6)..].join("; ");
            if tail.is_empty() {
                format!("it ended with {} and said nothing", finished.status)
            } else {
                format!("it ended with {}: {tail}", finished.status)
            }
        }
    }
}

/// Whether ssh, and not the command, failed.
pub fn ssh_failed(asked: &Asked) -> bool {
    match asked {
        Ok(finished) => finished.status.code() == Some(SSH_FAILED),
        Err(_) => true,
    }
}

/// The version of the repmgr there; the reason if there is none.
pub fn version(asked: &Asked) -> std::result::Result<u32, NoVersion> {
    let Ok(finished) = asked else {
        return Err(NoVersion::NotExecutable);
    };
    let code = finished.status.code();
    match answers::version(&finished.stdout) {
        Some(version) => Ok(version),
        None if code.is_some_and(|code| code == 0 || !NOT_EXECUTABLE.contains(&code)) && !ssh_failed(asked) => {
            Err(NoVersion::Unreadable)
        }
        None => Err(NoVersion::NotExecutable),
    }
}

/// Why the version of the repmgr there is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoVersion {
    /// It could not be run.
    NotExecutable,
    /// What it said is no version.
    Unreadable,
}

/// Why a look-up there is no "OK".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// It says so.
    NotOk,
    /// It could not connect to its own server.
    DbConnection,
    /// The conninfo in its repmgr.conf is not valid.
    ConninfoParse,
    /// It gave no answer.
    Silent,
}

/// `node check --data-directory-config --optformat`. Originals that know the option answer with the key;
/// an answer without it is taken for a yes, as they do.
pub fn data_directory(asked: &Asked) -> std::result::Result<(), Complaint> {
    keyed(asked, "configured-data-directory")
}

/// `node check --replication-config-owner --optformat`.
pub fn config_owner(asked: &Asked) -> std::result::Result<(), Complaint> {
    keyed(asked, "replication-config-owner")
}

fn keyed(asked: &Asked, key: &str) -> std::result::Result<(), Complaint> {
    let Ok(finished) = asked else {
        return Err(Complaint::Silent);
    };
    let answers = Answers::parse(&finished.stdout);
    if let Some(error) = answers.get("error") {
        return Err(error_complaint(error));
    }
    match answers.is_ok(key) {
        Some(true) => Ok(()),
        Some(false) => Err(Complaint::NotOk),
        None if finished.stdout.trim().is_empty() || !finished.status.success() => Err(Complaint::Silent),
        None => Ok(()),
    }
}

fn error_complaint(word: &str) -> Complaint {
    match word.to_ascii_uppercase().as_str() {
        "DB_CONNECTION" => Complaint::DbConnection,
        "CONNINFO_PARSE" => Complaint::ConninfoParse,
        _ => Complaint::NotOk,
    }
}

/// `node check --db-connection --optformat`: only a clear yes is one.
pub fn db_connection(asked: &Asked) -> bool {
    answered(asked, "db-connection") == Some(true)
}

/// `node check --replication-connection`: yes, no, unknown.
pub fn replication_connection(asked: &Asked) -> Option<bool> {
    let finished = asked.as_ref().ok()?;
    match Answers::parse(&finished.stdout).get("connection") {
        Some("OK") => Some(true),
        Some("BAD") => Some(false),
        _ => None,
    }
}

fn answered(asked: &Asked, key: &str) -> Option<bool> {
    let finished = asked.as_ref().ok()?;
    Answers::parse(&finished.stdout).is_ok(key)
}

/// How many WAL files wait for being archived there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archive {
    /// Few.
    Ok,
    /// More than `archive_ready_warning` there.
    Warning {
        /// As many.
        files: String,
        /// The limit.
        threshold: String,
    },
    /// More than `archive_ready_critical` there.
    Critical {
        /// As many.
        files: String,
        /// The limit.
        threshold: String,
    },
    /// It could not be found out; with no connection to its server not even `--force` helps.
    Unknown {
        /// It could not connect to its own server.
        no_connection: bool,
    },
}

/// `node check --archive-ready --optformat`.
pub fn archive(asked: &Asked) -> Archive {
    let Ok(finished) = asked else {
        return Archive::Unknown { no_connection: false };
    };
    let answers = Answers::parse(&finished.stdout);
    if let Some(error) = answers.get("error") {
        return Archive::Unknown {
            no_connection: error_complaint(error) == Complaint::DbConnection,
        };
    }
    let value = |key: &str| answers.get(key).unwrap_or("?").to_owned();
    let (files, threshold) = (value("files"), value("threshold"));
    match answers.get("status") {
        Some("OK") => Archive::Ok,
        Some("WARNING") => Archive::Warning { files, threshold },
        Some("CRITICAL") => Archive::Critical { files, threshold },
        _ => Archive::Unknown { no_connection: false },
    }
}

/// Whether a server that was told to stop is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownState {
    /// Cleanly; its last checkpoint begins here.
    Down(Lsn),
    /// It crashed.
    Unclean,
    /// Not, or it is not known.
    NotYet,
}

/// `node status --is-shutdown-cleanly`.
pub fn shutdown_state(stdout: &str) -> ShutdownState {
    let answers = Answers::parse(stdout);
    let lsn = answers
        .get("last-checkpoint-lsn")
        .and_then(|text| text.parse::<Lsn>().ok())
        .filter(|lsn| *lsn != Lsn::INVALID);
    match (answers.get("state"), lsn) {
        (Some("SHUTDOWN"), Some(lsn)) => ShutdownState::Down(lsn),
        (Some("UNCLEAN_SHUTDOWN"), _) => ShutdownState::Unclean,
        _ => ShutdownState::NotYet,
    }
}

/// The exit code of a remote command.
pub fn exit_code(asked: &Asked) -> Option<i32> {
    asked.as_ref().ok().and_then(|finished| finished.status.code())
}

/// Whether a remote command ended as `code`.
pub fn ended_as(asked: &Asked, code: ExitCode) -> bool {
    exit_code(asked) == Some(i32::from(code.code()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn said(code: i32, stdout: &str) -> Asked {
        Ok(Finished {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        })
    }

    #[test]
    fn versions_and_the_lack_of_one() {
        assert_eq!(version(&said(0, "Welcome!\nrepmgr 5.3.3\n")), Ok(50303));
        assert_eq!(version(&said(0, "hello")), Err(NoVersion::Unreadable));
        assert_eq!(version(&said(1, "")), Err(NoVersion::Unreadable));
        for failed in [said(127, ""), said(126, "x"), said(255, ""), Err("slow".to_owned())] {
            assert_eq!(version(&failed), Err(NoVersion::NotExecutable));
        }
    }

    #[test]
    fn the_data_directory_is_right_unless_something_speaks_against_it() {
        let verdict = |stdout| data_directory(&said(0, stdout));
        assert_eq!(verdict("--configured-data-directory=OK\n"), Ok(()));
        assert_eq!(verdict("some other check\n"), Ok(()));
        assert_eq!(
            verdict("banner\n--configured-data-directory=CRITICAL"),
            Err(Complaint::NotOk)
        );
        assert_eq!(verdict("--error=db_connection"), Err(Complaint::DbConnection));
        assert_eq!(verdict("--error=CONNINFO_PARSE"), Err(Complaint::ConninfoParse));
        assert_eq!(verdict(" \n"), Err(Complaint::Silent));
        assert_eq!(data_directory(&said(1, "banner")), Err(Complaint::Silent));
        assert_eq!(
            config_owner(&said(0, "--replication-config-owner=CRITICAL")),
            Err(Complaint::NotOk)
        );
        assert_eq!(data_directory(&Err(String::new())), Err(Complaint::Silent));
    }

    #[test]
    fn connections_are_there_only_if_it_is_said() {
        assert!(db_connection(&said(0, "--db-connection=OK")));
        assert!(!db_connection(&said(2, "--db-connection=CRITICAL")));
        assert!(!db_connection(&said(0, "")));
        assert_eq!(replication_connection(&said(0, "--connection=OK")), Some(true));
        assert_eq!(replication_connection(&said(0, "--connection=BAD")), Some(false));
        assert_eq!(replication_connection(&said(0, "--connection=CONNECTION_ERROR")), None);
        assert_eq!(replication_connection(&said(0, "")), None);
    }

    #[test]
    fn archiving_has_four_states() {
        assert_eq!(archive(&said(0, "--status=OK --files=0")), Archive::Ok);
        let Archive::Warning { files, threshold } = archive(&said(1, "--status=WARNING --files=20 --threshold=16"))
        else {
            panic!("a warning");
        };
        assert_eq!((files.as_str(), threshold.as_str()), ("20", "16"));
        assert!(matches!(
            archive(&said(2, "--status=CRITICAL --files=200 --threshold=128")),
            Archive::Critical { .. }
        ));
        let no_connection = true;
        assert_eq!(
            archive(&said(6, "--error=DB_CONNECTION")),
            Archive::Unknown { no_connection }
        );
        let no_connection = false;
        assert_eq!(
            archive(&said(3, "--status=UNKNOWN ")),
            Archive::Unknown { no_connection }
        );
        assert_eq!(archive(&said(0, "")), Archive::Unknown { no_connection });
    }

    #[test]
    fn a_server_is_down_only_if_its_last_checkpoint_is_known() {
        for (stdout, expected) in [
            (
                "--state=SHUTDOWN --last-checkpoint-lsn=0/5006B38",
                ShutdownState::Down(Lsn(0x500_6B38)),
            ),
            ("--state=SHUTDOWN --last-checkpoint-lsn=0/0", ShutdownState::NotYet),
            ("--state=SHUTDOWN", ShutdownState::NotYet),
            ("--state=UNCLEAN_SHUTDOWN", ShutdownState::Unclean),
            ("--state=SHUTTING_DOWN", ShutdownState::NotYet),
            ("--state=UP", ShutdownState::NotYet),
            ("", ShutdownState::NotYet),
        ] {
            assert_eq!(shutdown_state(stdout), expected, "{stdout}");
        }
    }
}
