//! Cloning through pg-backup-api: Barman's host is asked over HTTP to recover a
//! backup onto this host, and it is waited until that is done.
//!
//! Barman writes the data directory by itself, over SSH, and cannot be stopped
//! from here: as long as it may be at work nothing of what it writes is removed.
//! (pg-backup-api: "Operations".)

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Cloning;
use super::barman::check_identity;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::http::{Endpoint, Exchange, Reply, segment};
use crate::instance::data_directory::{self, State};

/// The port of pg-backup-api.
const PORT: u16 = 7480;
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(3);
/// How long there may be no answer to any question.
const UNREACHABLE: Duration = Duration::from_secs(10 * 60);
/// How long nothing may be written here while the operation is said to be in progress.
const STALLED: Duration = Duration::from_secs(60 * 60);
/// How often a wait says whom it waits for.
const SAY: Duration = Duration::from_secs(60);

/// The service, and what it was asked for.
pub(super) struct FromApi {
    endpoint: Endpoint,
    /// Whether Barman may be writing here.
    at_work: bool,
}

/// What a question about an operation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Done,
    Failed(String),
    Running,
    /// No answer, or none that is understood.
    Unknown(String),
}

fn get(path: &str) -> Exchange<'_> {
    Exchange {
        path,
        ..Exchange::default()
    }
}

fn service_error(message: impl Into<String>) -> Error {
    Error::new(ExitCode::PgBackupApiService, message)
}

/// What the service says is wrong: `{"error": "…"}`.
fn said(body: &str) -> String {
    let error = serde_json::from_str::<Value>(body).ok();
    let error = error.as_ref().and_then(|value| value.get("error")?.as_str());
    error.map_or_else(|| body.chars().take(200).collect(), str::to_owned)
}

fn progress_of(reply: std::result::Result<Reply, String>) -> Progress {
    let reply = match reply {
        Ok(reply) => reply,
        Err(reason) => return Progress::Unknown(reason),
    };
    let value: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    match value.get("status").and_then(Value::as_str) {
        _ if reply.status == 404 => Progress::Failed(said(&reply.body)),
        Some("DONE") => Progress::Done,
        Some("FAILED") => Progress::Failed("its status is FAILED".to_owned()),
        Some("IN_PROGRESS") => Progress::Running,
        _ => Progress::Unknown(format!("HTTP status {}: {}", reply.status, said(&reply.body))),
    }
}

/// Free bytes of the file system: what changes while somebody writes there.
fn free(path: &Path) -> u64 {
    nix::sys::statvfs::statvfs(path).map_or(0, |room| room.blocks_available().saturating_mul(room.fragment_size()))
}

impl Cloning<'_> {
    fn operations(&self) -> String {
        format!(
            "/servers/{}/operations",
            segment(&self.request.config.pg_backupapi_node_name)
        )
    }

    fn endpoint(&self) -> Result<&Endpoint> {
        let api = self.backup_api.as_ref().map(|api| &api.endpoint);
        api.ok_or_else(|| Error::new(ExitCode::Internal, "pg-backup-api has not been asked yet"))
    }

    /// The settings are complete, and the service knows the server.
    pub(super) async fn check_backup_api(&mut self) -> Result<()> {
        let config = &self.request.config;
        let mut error = Error::bad_config("settings for cloning through pg-backup-api are missing");
        for (name, value) in [
            ("pg_backupapi_node_name", &config.pg_backupapi_node_name),
            ("pg_backupapi_backup_id", &config.pg_backupapi_backup_id),
            (
                "pg_backupapi_remote_ssh_command",
                &config.pg_backupapi_remote_ssh_command,
            ),
        ] {
            if value.is_empty() {
                error = error.hint(format!("set {name} in repmgr.conf"));
            }
        }
        if !error.hints.is_empty() {
            return Err(error);
        }
        if self.request.verify_backup {
            return Err(
                Error::bad_config("--verify-backup cannot be used when cloning through pg-backup-api")
                    .hint("verify the backup on Barman's host: \"barman verify-backup\""),
            );
        }
        let endpoint = Endpoint::parse(&config.pg_backupapi_host, PORT).ok_or_else(|| {
            Error::bad_config("\"pg_backupapi_host\" is not the address of a service")
                .detail(format!("it is \"{}\"", config.pg_backupapi_host))
                .hint("it is HOST, HOST:PORT, or either behind http:// or https://")
        })?;
        crate::info!("asking pg-backup-api at {}", endpoint.url());
        let url = endpoint.url();
        let reply = endpoint.request(get(&self.operations()), ANSWER).await.map_err(|reason| {
            service_error(format!("pg-backup-api at {url} cannot be reached"))
                .detail(reason)
                .hint("check pg_backupapi_host in repmgr.conf; the service listens on its own host only, unless it is configured otherwise")
        })?;
        if reply.status == 404 {
            return Err(service_error(format!(
                "pg-backup-api at {url} does not know the server \"{}\"",
                config.pg_backupapi_node_name
            ))
            .detail(said(&reply.body))
            .hint(
                "check pg_backupapi_node_name in repmgr.conf: it is the name of a server in Barman's configuration",
            ));
        }
        if reply.status >= 400 {
            crate::warning!("pg-backup-api at {url} answered with HTTP status {}", reply.status);
            crate::detail!("{}", said(&reply.body));
        }
        self.backup_api = Some(FromApi {
            endpoint,
            at_work: false,
        });
        Ok(())
    }

    /// Barman recovers tablespaces where they were; nobody's files may be there.
    pub(super) async fn check_recovered_tablespaces(&mut self) -> Result<()> {
        if !self.request.config.tablespace_mapping.is_empty() {
            return Err(
                Error::bad_config("\"tablespace_mapping\" cannot be used when cloning through pg-backup-api")
                    .detail("it recovers tablespaces in the locations that they have on the source")
                    .hint("remove tablespace_mapping, or pg_backupapi_host, from repmgr.conf"),
            );
        }
        if self.options.waldir.take().is_some() {
            crate::warning!("--waldir in pg_basebackup_options has no effect when cloning through pg-backup-api");
        }
        self.check_tablespaces().await
    }

    /// An absent or empty directory is prepared; one with contents is Barman's to bring in line, file by file.
    pub(super) fn prepare_recovery_directory(&mut self) -> Result<()> {
        match data_directory::state(&self.request.data_directory)? {
            State::Absent | State::Empty => self.prepare_directory(),
            _ => {
                crate::notice!(
                    "Barman will replace the contents of \"{}\" (-F/--force)",
                    self.request.data_directory.display()
                );
                Ok(())
            }
        }
    }

    /// Has the backup recovered and waits until that is over.
    pub(super) async fn recover(&mut self) -> Result<()> {
        crate::notice!("starting recovery (using pg-backup-api)...");
        if let Some(api) = &mut self.backup_api {
            // Also while the request is on its way it may be at work already.
            api.at_work = true;
        }
        let started = self.start_recovery().await;
        let outcome = match started {
            Ok(id) => self.wait_for_recovery(&id).await,
            Err(outcome) => Err(outcome),
        };
        match outcome {
            Ok(()) => {
                self.at_rest();
                Ok(())
            }
            Err((error, over)) => {
                if over {
                    self.at_rest();
                }
                Err(error)
            }
        }
    }

    fn at_rest(&mut self) {
        if let Some(api) = &mut self.backup_api {
            api.at_work = false;
        }
    }

    /// Asks for the recovery; the operation's id. An error comes with whether it is certain that nothing goes on.
    async fn start_recovery(&self) -> std::result::Result<String, (Error, bool)> {
        let config = &self.request.config;
        let endpoint = self.endpoint().map_err(|error| (error, true))?;
        let body = serde_json::json!({
            "operation_type": "recovery",
            "backup_id": config.pg_backupapi_backup_id,
            "remote_ssh_command": config.pg_backupapi_remote_ssh_command,
            "destination_directory": self.request.data_directory.to_string_lossy(),
        });
        let failed = |detail: String| {
            service_error(format!(
                "pg-backup-api at {} did not start the recovery of backup \"{}\"",
                endpoint.url(),
                config.pg_backupapi_backup_id
            ))
            .detail(detail)
        };
        let reply = endpoint
            .request(
                Exchange {
                    json: Some(body.to_string()),
                    ..get(&self.operations())
                },
                ANSWER,
            )
            .await;
        let reply = reply.map_err(|reason| (failed(reason), false))?;
        let detail = format!("HTTP status {}: {}", reply.status, said(&reply.body));
        match reply.status {
            400..=498 => {
                return Err((
                    failed(detail).hint(
                        "check pg_backupapi_backup_id and pg_backupapi_node_name in repmgr.conf, and \"barman list-backups\" on its host",
                    ),
                    true,
                ));
            }
            499.. => return Err((failed(detail).hint("the service's own log says more"), true)),
            _ => {}
        }
        let value: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let id = value.get("operation_id").and_then(Value::as_str);
        match id {
            Some(id) => Ok(id.to_owned()),
            None => Err((
                failed(format!("its answer has no operation_id: {}", said(&reply.body))),
                false,
            )),
        }
    }

    /// Asks again and again. An error comes with whether it is certain that nothing goes on any more.
    async fn wait_for_recovery(&self, id: &str) -> std::result::Result<(), (Error, bool)> {
        let endpoint = self.endpoint().map_err(|error| (error, true))?;
        let path = format!("{}/{}", self.operations(), segment(id));
        let data = &self.request.data_directory;
        crate::info!("the operation is {id}, waiting until Barman has recovered the backup");
        let now = Instant::now();
        let (mut answered, mut moved, mut told) = (now, now, now);
        let mut seen = free(data);
        let failed = |detail: String| service_error(format!("recovery operation {id} did not succeed")).detail(detail);
        let logs = "Barman's log on its host says more";
        loop {
            match progress_of(endpoint.request(get(&path), ANSWER).await) {
                Progress::Done => return Ok(()),
                Progress::Failed(detail) => return Err((failed(detail).hint(logs), true)),
                Progress::Running => answered = Instant::now(),
                Progress::Unknown(reason) if answered.elapsed() >= UNREACHABLE => {
                    return Err((
                        failed(format!("pg-backup-api has not answered for too long: {reason}")),
                        false,
                    ));
                }
                Progress::Unknown(reason) => crate::warning!("pg-backup-api: {reason}"),
            }
            let free = free(data);
            if free != seen {
                (seen, moved) = (free, Instant::now());
            } else if moved.elapsed() >= STALLED {
                let detail = format!("nothing has been written here for {} minutes", STALLED.as_secs() / 60);
                return Err((failed(detail).hint(logs), false));
            }
            if told.elapsed() >= SAY {
                crate::info!(
                    "still waiting for recovery operation {id}; {} MB are free here",
                    free >> 20
                );
                told = Instant::now();
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// What may still be written is left alone.
    pub(super) fn leave_recovery(&mut self) {
        if !self.backup_api.as_ref().is_some_and(|api| api.at_work) {
            return;
        }
        self.directory = None;
        self.other_directories.clear();
        crate::warning!(
            "Barman may still be writing to \"{}\": nothing in it is removed",
            self.request.data_directory.display()
        );
        crate::hint!("the operation cannot be stopped from here; when it is over, clone again with -F/--force");
    }

    /// What Barman recovered must be of the source's cluster.
    pub(super) async fn check_recovered(&mut self) -> Result<()> {
        let expected = self.source()?.system_identifier().await.ok();
        check_identity(&self.request.data_directory, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Progress {
        progress_of(Ok(Reply {
            status,
            body: body.to_owned(),
        }))
    }

    #[test]
    fn an_answer_is_a_state_or_unknown() {
        assert_eq!(reply(200, r#"{"recovery_id":"1","status":"DONE"}"#), Progress::Done);
        assert_eq!(
            reply(200, r#"{"operation_id":"1","status":"IN_PROGRESS"}"#),
            Progress::Running
        );
        assert!(matches!(reply(200, r#"{"status":"FAILED"}"#), Progress::Failed(_)));
        assert_eq!(
            reply(404, r#"{"error":"404 Not Found: Resource not found"}"#),
            Progress::Failed("404 Not Found: Resource not found".to_owned())
        );
        for (status, body) in [(502, "<html>"), (200, "{}"), (200, "")] {
            assert!(matches!(reply(status, body), Progress::Unknown(_)), "{body}");
        }
        assert!(matches!(progress_of(Err("refused".to_owned())), Progress::Unknown(_)));
    }
}
