//! A stopped former primary that cannot be rewound becomes a standby: a clone of the new primary takes the place of its
//! data directory. The clone is made beside it and is complete, standby.signal and all, before the two change places; at
//! no moment is there a half-made directory where the server would be started.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::clone::{self, Method};
use super::follow::Repoint;
use super::join_check::{Joined, describe, join_check};
use super::slots::Helpers;
use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::instance::{configuration_archive, control_file, data_directory, put_aside};
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines};
use crate::types::{NodeId, RecoveryState};
use crate::{detail, hint, notice, survey, warning};

fn failed(message: impl Into<String>) -> Error {
    Error::new(ExitCode::RejoinFail, message)
}

/// Clones this node again from the new primary, starts it and waits until it is attached. The old data directory is kept
/// beside it, or removed at the very end, as `rejoin_keep` says. `interruption` says why to stop; it is asked after the
/// checks.
///
/// # Errors
/// Nothing was changed, or the new directory is in place and says what keeps it.
pub async fn reclone<F: Future<Output = &'static str>>(
    config: &Config,
    primary: &NodeRecord,
    interruption: impl FnOnce() -> Result<F>,
) -> Result<()> {
    let connection = connect(primary).await?;
    let own = nodes::by_id(&connection, NodeId(config.node_id))
        .await
        .map_err(|error| failed("the record of this node cannot be read").detail(error.to_string()))?
        .ok_or_else(|| failed(format!("{} has no record of this node", primary.title())))?;
    let data = real(&config.data_directory)?;
    check(&data)?;
    let control = control_file::read(&data)?;
    let parent = put_aside::parent(&data)?;
    put_aside::require_room(&parent, size(&connection).await)?;
    let aside = put_aside::beside(&parent, &data, control.checkpoint_timeline);
    let fresh = with_suffix(&data, "-being-cloned");
    drop(connection);

    notice!("this node is cloned again from {}", primary.title());
    let cloned = clone::clone_unless(&request(config, primary, &fresh)?, false, interruption).await;
    cloned.map_err(|error| error.hint(format!("nothing was changed in \"{}\"", data.display())))?;
    let placed = own_configuration(&data, &fresh).and_then(|()| change_places(&data, &fresh, &aside));
    if let Err(error) = placed {
        remove(&fresh);
        return Err(error);
    }
    notice!("the old data directory is now \"{}\"", aside.display());

    let connection = connect(primary).await?;
    attach(config, &own, primary, &connection).await?;
    let mut details = format!(
        "node {} is now attached to node {}; it was cloned again; discarded all that it had on timeline {} since its \
         history parted from the new primary's, to {} at least",
        own.node_id, primary.node_id, control.checkpoint_timeline, control.checkpoint
    );
    if config.rejoin_keep {
        details.push_str(&format!("; its old data directory is \"{}\"", aside.display()));
    } else {
        remove(&aside);
    }
    let event = Event::new(EventName::NodeRejoin, own.node_id)
        .details(details.clone())
        .about(primary);
    events::emit(Some(&connection), config, event).await;
    notice!("NODE REJOIN successful");
    detail!("{details}");
    Ok(())
}

async fn connect(primary: &NodeRecord) -> Result<Connection> {
    let connection = survey::connect(primary, Deadlines::default())
        .await
        .map_err(|error| failed(format!("unable to connect to {}", primary.title())).detail(error.to_string()))?;
    match connection.recovery_state().await {
        Ok(RecoveryState::Primary) => Ok(connection),
        _ => Err(failed(format!("{} is no primary any more", primary.title()))),
    }
}

/// The directory itself: what the server is configured with may be a link to it.
fn real(data: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(data).map_err(|error| {
        failed(format!("the data directory \"{}\" cannot be read", data.display())).detail(error.to_string())
    })
}

/// Nothing lies elsewhere that would be shared by the old directory and the new.
fn check(data: &Path) -> Result<()> {
    data_directory::check_owner(data)?;
    if let Some(pid) = data_directory::running_server(data)? {
        return Err(failed(format!(
            "a server runs in \"{}\" (process {pid})",
            data.display()
        )));
    }
    let by_hand = "make room for it and clone this node by hand: \"repmgr standby clone --force\"";
    let elsewhere = std::fs::symlink_metadata(data.join("pg_wal")).is_ok_and(|found| found.is_symlink());
    let tablespaces = std::fs::read_dir(data.join("pg_tblspc"))
        .into_iter()
        .flatten()
        .flatten();
    let tablespaces = tablespaces.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    if elsewhere || tablespaces.count() > 0 {
        return Err(failed("this node is not cloned again by itself: a part of it lies elsewhere")
            .detail("its pg_wal is a link, or it has tablespaces; those would be overwritten and could not be put aside")
            .hint(by_hand));
    }
    let device = |path: &Path| {
        std::fs::metadata(path)
            .map(|found| std::os::unix::fs::MetadataExt::dev(&found))
            .ok()
    };
    if data.parent().and_then(device) != device(data) {
        return Err(failed(format!(
            "\"{}\" is a file system of its own, and cannot change places with a clone beside it",
            data.display()
        ))
        .hint(by_hand));
    }
    Ok(())
}

/// What the clone needs; a role that may not ask for it goes without.
async fn size(connection: &Connection) -> u64 {
    let sql = "SELECT pg_catalog.sum(pg_catalog.pg_database_size(oid))::bigint FROM pg_catalog.pg_database";
    let bytes: Option<i64> = connection.value(sql, &[]).await.ok().flatten();
    bytes.unwrap_or_default().unsigned_abs()
}

fn request(config: &Config, primary: &NodeRecord, fresh: &Path) -> Result<clone::Request> {
    let source = Conninfo::parse(&primary.conninfo).map_err(|error| {
        Error::bad_config(format!("the conninfo of {} is not valid", primary.title())).detail(error.to_string())
    })?;
    Ok(clone::Request {
        method: Method::BaseBackup,
        config: config.clone(),
        source,
        data_directory: fresh.to_owned(),
        // What an earlier attempt has left there.
        force: true,
        no_upstream_connection: false,
        upstream_node_id: Some(primary.node_id),
        upstream_conninfo: None,
        superuser: None,
        replication_user: None,
        remote_user: None,
        external_files: None,
        fast_checkpoint: true,
        verify_backup: false,
        deadlines: Deadlines::default(),
    })
}

/// The node's own configuration takes the place of the primary's. What ALTER SYSTEM wrote is the primary's, with the
/// replication configuration that the clone has written.
fn own_configuration(data: &Path, fresh: &Path) -> Result<()> {
    let files = configuration_archive::own_files(data);
    let files = files
        .into_iter()
        .filter(|file| file != Path::new("postgresql.auto.conf"))
        .collect();
    let archive = configuration_archive::Archive {
        folder: fresh.to_owned(),
        files,
    };
    archive.copy_from(data)
}

fn change_places(data: &Path, fresh: &Path, aside: &Path) -> Result<()> {
    let refused = |error: io::Error| {
        failed("the clone could not take the place of the data directory")
            .detail(error.to_string())
            .hint("nothing was changed")
    };
    nix::unistd::sync();
    std::fs::rename(data, aside).map_err(refused)?;
    if let Err(error) = std::fs::rename(fresh, data) {
        return Err(match std::fs::rename(aside, data) {
            Ok(()) => refused(error),
            Err(back) => failed("the clone could not take the place of the data directory, nor be taken back")
                .detail(error.to_string())
                .detail(back.to_string())
                .hint(format!(
                    "the old data directory is \"{}\": rename it to \"{}\"",
                    aside.display(),
                    data.display()
                )),
        });
    }
    if let Some(parent) = data.parent() {
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        warning!("\"{}\" could not be removed", folder.display());
        detail!("{error}");
        hint!("remove it when nothing of it is wanted");
    }
}

/// Slot, replication configuration, start, record; then waits until it is attached.
async fn attach(config: &Config, own: &NodeRecord, primary: &NodeRecord, connection: &Connection) -> Result<()> {
    let repoint = Repoint {
        config,
        own,
        primary: connection,
        target: primary,
        target_connection: connection,
        helpers: Helpers {
            superuser: None,
            replication_user: None,
            upstream_repluser: Some(&primary.repluser),
        },
        failure: ExitCode::RejoinFail,
    };
    repoint.run().await?;
    let conninfo = Conninfo::parse(&config.conninfo).unwrap_or_default();
    let limits = (config.standby_reconnect_timeout, config.node_rejoin_timeout);
    match join_check(&conninfo, primary, &own.node_name, limits.0, limits.1).await {
        Joined::Yes => Ok(()),
        Joined::NoPing => Err(
            failed("this node was cloned again, and its server does not accept connections yet")
                .hint("see its log; once it runs, it attaches by itself"),
        ),
        Joined::NoReplication(seen) => Err(failed(format!(
            "this node was cloned again, and is not attached to {} yet",
            primary.title()
        ))
        .detail(describe(&seen))
        .hint("its server runs and goes on trying; see its log for what keeps it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_change_places_or_nothing_has_changed() {
        let parent = tempfile::tempdir().unwrap();
        let [data, fresh, aside] = ["data", "data-being-cloned", "aside"].map(|name| parent.path().join(name));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("old"), "").unwrap();
        assert!(change_places(&data, &fresh, &aside).is_err(), "there is no clone");
        assert!(data.join("old").exists() && !aside.exists());
        std::fs::create_dir(&fresh).unwrap();
        std::fs::write(fresh.join("new"), "").unwrap();
        change_places(&data, &fresh, &aside).unwrap();
        assert!(data.join("new").exists() && aside.join("old").exists() && !fresh.exists());
    }

    #[test]
    fn what_lies_elsewhere_is_not_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        std::fs::create_dir_all(data.join("pg_tblspc")).unwrap();
        check(&data).unwrap();
        std::os::unix::fs::symlink("/nowhere", data.join("pg_tblspc/16384")).unwrap();
        assert!(check(&data).is_err());
        std::fs::remove_file(data.join("pg_tblspc/16384")).unwrap();
        std::os::unix::fs::symlink("/nowhere", data.join("pg_wal")).unwrap();
        assert!(check(&data).is_err());
    }
}
