//! What must hold before anything is copied.

use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::process::Command;

use super::base_backup::BackupOptions;
use super::{Cloning, Method};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::data_directory::{self, State};
use crate::instance::{program, replication_configuration};
use crate::metadata::extension::{self, ExtensionStatus};
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, QueryError, ReplicationConnection, ServerVersion};
use crate::process;
use crate::survey;
use crate::types::{NodeType, RecoveryState};

/// The oldest server that can be cloned.
const OLDEST: ServerVersion = ServerVersion(130_000);

fn unanswered(what: &str) -> impl Fn(QueryError) -> Error {
    move |error| Error::bad_config(format!("unable to find out {what}")).detail(error.to_string())
}

impl Cloning<'_> {
    pub(super) fn check_not_in_use(&mut self) -> Result<()> {
        let path = &self.request.data_directory;
        crate::notice!("destination directory \"{}\" provided", path.display());
        let state = data_directory::state(path)?;
        data_directory::check_owner(path)?;
        data_directory::check_writable(path)?;
        if state == State::PostgreSql
            && let Some(pid) = data_directory::running_server(path)?
        {
            return Err(Error::bad_config(format!(
                "a server runs in data directory \"{}\" (process {pid})",
                path.display()
            ))
            .hint("stop it before cloning into its data directory; -F/--force does not do that"));
        }
        Ok(())
    }

    pub(super) async fn check_source(&mut self) -> Result<()> {
        let request = self.request;
        let node_name = &request.config.node_name;
        crate::info!("connecting to source node");
        crate::detail!("connection string is: {}", request.source.redacted());
        let source = request.connect().await?;
        self.version = source
            .server_version()
            .await
            .map_err(unanswered("the version of the source"))?;
        if self.version < OLDEST {
            return Err(Error::bad_config("the source's PostgreSQL is too old")
                .detail(format!("it is version {}, and 13 is needed", self.version.major()))
                .hint("upgrade the source's PostgreSQL first"));
        }
        let size = "SELECT pg_catalog.sum(pg_catalog.pg_database_size(oid))::bigint, \
                    pg_catalog.pg_size_pretty(pg_catalog.sum(pg_catalog.pg_database_size(oid))) \
                    FROM pg_catalog.pg_database";
        // A role that may not connect to every database may not ask for their sizes either.
        if let Ok(row) = source.query_one(size, &[]).await
            && let (Some(bytes), Some(size)) = (row.get::<_, Option<i64>>(0), row.get::<_, Option<String>>(1))
        {
            crate::detail!("current installation size is {size}");
            self.check_room(bytes.unsigned_abs());
        }
        let recovery = source
            .recovery_state()
            .await
            .map_err(unanswered("whether the source is in recovery"))?;
        if recovery == RecoveryState::Standby {
            let primary = survey::live_primary(&source, request.deadlines)
                .await
                .map_err(unanswered("the primary of the source's cluster"))?;
            let Some((record, connection)) = primary else {
                return Err(
                    Error::bad_config("the source is a standby, and its cluster's primary cannot be reached")
                        .hint("check with \"repmgr cluster show\" on the source; the primary must run while cloning"),
                );
            };
            crate::info!("the source is a standby; the primary is {}", record.title());
            self.primary = Some(connection);
        }
        self.check_extension(self.primary.as_ref().unwrap_or(&source)).await?;
        if recovery == RecoveryState::Primary {
            check_identity(&source, request).await?;
        }
        if let Ok(own) = crate::conninfo::Conninfo::parse(&request.config.conninfo)
            && let Some(name) = own.get("application_name")
            && name != node_name
        {
            crate::notice!("\"application_name\" in \"conninfo\" is \"{name}\", the node name \"{node_name}\" is used");
        }
        self.source = Some(source);
        Ok(())
    }

    /// Only a warning: tablespaces may lie elsewhere, and with `--force` room is made first.
    pub(super) fn check_room(&self, needed: u64) {
        let path = &self.request.data_directory;
        let existing = path.ancestors().find(|folder| folder.exists());
        let Some(room) = existing.and_then(|folder| nix::sys::statvfs::statvfs(folder).ok()) else {
            return;
        };
        let free = room.blocks_available().saturating_mul(room.fragment_size());
        if free < needed {
            crate::warning!("there may not be enough room for the clone in \"{}\"", path.display());
            crate::detail!("{} MB are free, {} MB are needed", free >> 20, needed >> 20);
        }
    }

    async fn check_extension(&self, primary: &Connection) -> Result<()> {
        let problem = match extension::status(primary).await {
            Ok(ExtensionStatus::Installed { .. } | ExtensionStatus::TablesOnly) => return Ok(()),
            Ok(ExtensionStatus::Available) => {
                Error::bad_config("the repmgr extension is not installed in the source's database")
                    .hint("check the database name in the connection parameters, and that the primary is registered")
            }
            Ok(ExtensionStatus::Unavailable) => {
                Error::bad_config("the repmgr extension is not available on the source's primary")
                    .hint("install repmgr's package there and register the primary")
            }
            Ok(ExtensionStatus::OldVersionInstalled { installed, default }) => {
                Error::bad_config("an old version of the repmgr extension is installed on the source's primary")
                    .detail(format!("{installed} is installed, {default} is available"))
                    .hint("run \"ALTER EXTENSION repmgr UPDATE\" in the repmgr database of the primary")
            }
            Err(error) => Error::new(
                ExitCode::DbQuery,
                "unable to find out whether the repmgr extension is installed",
            )
            .detail(error.to_string()),
        };
        if self.request.force {
            crate::warning!("{}", problem.message);
            return Ok(());
        }
        Err(problem)
    }

    /// A directory with contents needs `--force`; a dry run goes on, to show what else there is.
    pub(super) fn check_directory(&mut self) -> Result<()> {
        let path = &self.request.data_directory;
        let what = match data_directory::state(path)? {
            State::Absent | State::Empty => return Ok(()),
            State::PostgreSql => "is a PostgreSQL data directory",
            State::NotEmpty => "exists and is not empty",
        };
        let message = format!("directory \"{}\" {what}", path.display());
        let hint = "use -F/--force to have its contents removed";
        if self.request.force {
            if self.dry_run {
                crate::warning!("{message}; its contents would be removed");
            }
            return Ok(());
        }
        if self.dry_run {
            crate::warning!("{message}");
            crate::hint!("{hint}");
            return Ok(());
        }
        Err(Error::bad_config(message).hint(hint))
    }

    pub(super) async fn check_upstream(&mut self) -> Result<()> {
        let request = self.request;
        let source = self.source()?;
        let unreadable = unanswered("the node records on the source");
        let upstream = match request.upstream_node_id {
            Some(id) => nodes::by_id(source, id).await.map_err(&unreadable)?.ok_or_else(|| {
                Error::bad_config(format!("there is no record of the upstream node {id} on the source"))
                    .hint("register that node first; \"repmgr cluster show\" lists the registered ones")
            })?,
            None => nodes::recorded_primary(source)
                .await
                .map_err(&unreadable)?
                .ok_or_else(|| {
                    Error::bad_config("the source's metadata has no active primary")
                        .hint("register the primary first, or name the upstream with --upstream-node-id")
                })?,
        };
        if upstream.node_type == NodeType::Witness {
            return Err(
                Error::bad_config(format!("{} is a witness and cannot be an upstream", upstream.title()))
                    .hint("name another node with --upstream-node-id"),
            );
        }
        let own_id = request.node_id();
        let records = nodes::all(source).await.map_err(&unreadable)?;
        let is_primary = |node: &NodeRecord| node.active && node.node_type == NodeType::Primary;
        let taken = records
            .iter()
            .find(|node| node.node_id == own_id && (node.node_id == upstream.node_id || is_primary(node)));
        if let Some(taken) = taken {
            return Err(Error::bad_config(format!("the id {own_id} is taken by {}", taken.title()))
                .detail("a standby with the id of the primary or of its upstream would take over that node's record and slot")
                .hint("give this node another node_id in repmgr.conf")
                .hint("if this node was the primary, register the current one with \"repmgr primary register\" first"));
        }
        let namesake = records
            .into_iter()
            .find(|node| node.node_name == request.config.node_name && node.node_id != own_id);
        if let Some(namesake) = namesake {
            return Err(Error::bad_config(format!(
                "the name \"{}\" is taken by node {}",
                namesake.node_name, namesake.node_id
            ))
            .hint("give this node another node_name in repmgr.conf"));
        }
        self.upstream = Some(upstream);
        Ok(())
    }

    pub(super) async fn check_source_configuration(&mut self) -> Result<()> {
        if self.source.is_none() {
            return Ok(());
        }
        let config = &self.request.config;
        self.options = BackupOptions::parse(&config.pg_basebackup_options)?;
        let source = self.source()?;
        let text = async |name: &'static str| match source.setting(name).await {
            Ok(value) => Ok(value.unwrap_or_default()),
            Err(error) => Err(unanswered(&format!("\"{name}\" of the source"))(error)),
        };
        let number = async |name: &'static str| text(name).await.map(|value| value.parse::<i64>().unwrap_or(0));
        let refuse = |message: &str, hint: &str| Err(Error::bad_config(message.to_owned()).hint(hint.to_owned()));

        if !matches!(text("wal_level").await?.as_str(), "replica" | "logical") {
            return refuse(
                "\"wal_level\" of the source is not enough for a standby",
                "set wal_level to replica or logical in the source's postgresql.conf",
            );
        }
        if config.use_replication_slots {
            let slots = number("max_replication_slots").await?;
            if slots < 1 {
                return refuse(
                    "the source allows no replication slots",
                    "set max_replication_slots in the source's postgresql.conf, or use_replication_slots=false",
                );
            }
            crate::info!("max_replication_slots of the source is {slots}");
        } else {
            crate::info!("replication slots are not in use, none will be created for this standby");
            let needs_wal = self.request.method != Method::Barman && !self.options.streams_wal();
            if needs_wal && config.restore_command.is_empty() && number("wal_keep_size").await? < 1 {
                return refuse(
                    "the source keeps no WAL for the standby",
                    "set wal_keep_size on the source, or use replication slots or restore_command",
                );
            }
        }
        if text("archive_mode").await? != "off"
            && text("archive_command").await?.is_empty()
            && text("archive_library").await?.is_empty()
        {
            return refuse(
                "\"archive_mode\" of the source is on, but nothing says how to archive",
                "set archive_command or archive_library on the source, or archive_mode to off",
            );
        }
        if text("hot_standby").await? != "on" {
            return refuse(
                "\"hot_standby\" of the source is off",
                "set hot_standby to on in the source's postgresql.conf",
            );
        }
        if number("max_wal_senders").await? < 1 {
            return refuse(
                "the source allows no replication connections",
                "set max_wal_senders in the source's postgresql.conf",
            );
        }
        if self.request.method == Method::BaseBackup {
            self.check_walsenders().await?;
        }
        let checksums = text("data_checksums").await?;
        let hints = text("wal_log_hints").await?;
        if checksums == "off" && hints == "off" {
            crate::warning!("data checksums are not enabled and \"wal_log_hints\" is off on the source");
            crate::detail!("pg_rewind will not be able to bring this node back after a failover");
        }
        Ok(())
    }

    /// Free walsenders, and that the replication role may really use that many at the same time.
    async fn check_walsenders(&self) -> Result<()> {
        let source = self.source()?;
        let needed: i64 = if self.options.streams_wal() { 2 } else { 1 };
        crate::notice!("checking for available walsenders on the source node ({needed} required)");
        let sql = "SELECT pg_catalog.current_setting('max_wal_senders')::bigint - pg_catalog.count(*) \
                   FROM pg_catalog.pg_stat_replication";
        let free: Option<i64> = source
            .value(sql, &[])
            .await
            .map_err(unanswered("the free walsenders of the source"))?;
        let free = free.unwrap_or(0);
        if free < needed {
            return Err(Error::bad_config("the source has too few free walsenders")
                .detail(format!("{needed} are needed, {free} are free"))
                .hint("raise max_wal_senders on the source, or wait until other backups or standbys are done"));
        }
        crate::notice!("checking replication connections can be made to the source server ({needed} required)");
        let user = self
            .replication_user()
            .or(self.request.source.get("user"))
            .unwrap_or_default();
        let parameters = self.request.source.for_replication(user);
        let attempts = (0..needed).map(|_| ReplicationConnection::connect(&parameters, self.request.deadlines));
        let opened = join_all(attempts).await;
        match opened.into_iter().find_map(std::result::Result::err) {
            None => {
                crate::info!("required number of replication connections could be made to the source server");
                Ok(())
            }
            Some(error) => Err(Error::bad_config(format!(
                "replication connections to the source cannot be made (user \"{user}\")"
            ))
            .detail(error.to_string())
            .hint("the role needs the REPLICATION attribute, and the source's pg_hba.conf a line for \"replication\"")),
        }
    }

    /// A program that is missing is found before anything is touched, not after hours of copying.
    pub(super) async fn check_programs(&mut self) -> Result<()> {
        let source_major = self.version.major();
        let major = self.program_major("pg_basebackup").await?;
        if major < source_major {
            return Err(Error::bad_config(format!(
                "pg_basebackup is of PostgreSQL {major}, but the source is of PostgreSQL {source_major}"
            ))
            .hint("set pg_bindir in repmgr.conf to the programs of the source's version"));
        }
        self.check_server_program().await?;
        if self.request.verify_backup {
            self.program_major("pg_verifybackup").await?;
        }
        Ok(())
    }

    /// The server that will run here must be of the version that is cloned.
    pub(super) async fn check_server_program(&self) -> Result<()> {
        let source_major = self.version.major();
        if let Ok(server) = self.program_major("postgres").await
            && server != source_major
        {
            let message =
                format!("the server on this host is of PostgreSQL {server}, the source of PostgreSQL {source_major}");
            if !self.request.force {
                return Err(Error::bad_config(message)
                    .detail("a standby needs the same major version as its primary")
                    .hint("set pg_bindir in repmgr.conf to the programs of the source's version")
                    .hint("use -F/--force to clone nevertheless"));
            }
            crate::warning!("{message}");
        }
        Ok(())
    }

    async fn program_major(&self, name: &str) -> Result<i32> {
        let path = program(&self.request.config, name);
        let mut command = Command::new(&path);
        command.arg("--version").stdin(Stdio::null()).env("LC_ALL", "C");
        let missing = |detail: String| {
            Error::bad_config(format!("\"{}\" cannot be run", path.display()))
                .detail(detail)
                .hint("install PostgreSQL's programs, and set pg_bindir in repmgr.conf if they are not in PATH")
        };
        let finished = process::capture(command, name, Duration::from_secs(20))
            .await
            .map_err(|error| missing(error.to_string()))?;
        major_of(&finished.stdout).ok_or_else(|| missing(format!("it says: {}{}", finished.stdout, finished.stderr)))
    }

    /// What the standby's `primary_conninfo` is made from: the command line, and over it the upstream's conninfo.
    pub(super) fn check_parameters(&mut self) -> Result<()> {
        let request = self.request;
        let mut parameters = request.source.clone();
        if !request.config.node_name.is_empty() {
            parameters.set("application_name", &request.config.node_name);
        } else {
            parameters.set_default("application_name", "repmgr");
        }
        let upstream = self.upstream.as_ref();
        let recorded = upstream.map_or("", |node| node.conninfo.as_str());
        let conninfo = request.upstream_conninfo.as_deref().unwrap_or(recorded);
        replication_configuration::merge_upstream(&mut parameters, conninfo).map_err(|error| {
            Error::bad_config("the upstream's connection string is not valid").detail(error.to_string())
        })?;
        if let Some(user) = upstream
            .map(|node| node.repluser.as_str())
            .filter(|user| !user.is_empty())
        {
            parameters.set("user", user);
        }
        self.parameters = parameters;
        Ok(())
    }

    /// After a long copy the connections may be gone; what still needs them gets new ones.
    pub(super) async fn refresh_connections(&mut self) {
        let deadlines = self.request.deadlines;
        for connection in [&mut self.source, &mut self.primary].into_iter().flatten() {
            if !connection.is_responding(Duration::from_secs(10)).await
                && let Ok(fresh) = Connection::connect(&connection.conninfo().clone(), deadlines).await
            {
                *connection = fresh;
            }
        }
    }
}

/// A source that is not part of the cluster that its own metadata describe is a witness, or belongs elsewhere.
async fn check_identity(source: &Connection, request: &super::Request) -> Result<()> {
    let Ok(own) = source.system_identifier().await else {
        return Ok(());
    };
    let records = nodes::all(source).await.unwrap_or_default();
    let others = records.iter().filter(|node| node.node_type != NodeType::Witness);
    let asked = others.map(|node| async move {
        let connection = survey::connect(node, request.deadlines).await.ok()?;
        Some((node, connection.system_identifier().await.ok()?))
    });
    match join_all(asked).await.into_iter().flatten().next() {
        Some((node, identifier)) if identifier != own => Err(Error::bad_config(
            "the source does not belong to the cluster that its metadata describe",
        )
        .detail(format!(
            "its system identifier is {own}, that of {} is {identifier}",
            node.title()
        ))
        .hint("is it the witness? clone from the primary or a standby")),
        _ => Ok(()),
    }
}

/// `pg_basebackup (PostgreSQL) 15.18 (Debian …)`, `18beta1`: the major version.
fn major_of(text: &str) -> Option<i32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn the_major_version_of_a_program() {
        assert_eq!(
            major_of("pg_basebackup (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("something else"), None);
    }
}
