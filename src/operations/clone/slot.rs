//! The clone's replication slot: on the source while it copies, afterwards on the upstream.

use std::time::{Duration, Instant};

use super::Cloning;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::operations::slots::{self, Created, Dropped, Helpers, SlotManager};
use crate::postgres::{Connection, QueryError};
use crate::survey;

/// How long the walsender of an ended pg_basebackup may go on holding its slot.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

impl Cloning<'_> {
    fn helpers(&self) -> Helpers<'_> {
        Helpers {
            superuser: self.request.superuser.as_deref(),
            replication_user: self.request.replication_user.as_deref(),
            upstream_repluser: self.upstream.as_ref().map(|node| node.repluser.as_str()),
        }
    }

    async fn manager<'c>(&self, connection: &'c Connection) -> Result<SlotManager<'c>> {
        SlotManager::new(connection, self.helpers(), self.request.deadlines).await
    }

    pub(super) async fn check_slot(&mut self) -> Result<()> {
        if !self.request.config.use_replication_slots {
            return Ok(());
        }
        let manager = self
            .manager(self.source()?)
            .await
            .map_err(|error| error.with_exit_code(ExitCode::BadConfig))?;
        if self.dry_run {
            self.check_free_slot().await?;
            crate::info!(
                "replication slot \"{}\" would be created by {}",
                self.request.slot_name(),
                manager.describe()
            );
        }
        Ok(())
    }

    /// What creating the slot would come to; the real run lets the server say it.
    async fn check_free_slot(&self) -> Result<()> {
        let source = self.source()?;
        let unknown = |error: QueryError| {
            Error::bad_config("unable to find out the free replication slots of the source").detail(error.to_string())
        };
        let name = self.request.slot_name();
        let there = slots::find(source, &name).await.map_err(unknown)?;
        if there.is_none() && slots::free_slots(source).await.map_err(unknown)? < 1 {
            return Err(
                Error::bad_config(format!("the source has no free replication slot for \"{name}\""))
                    .hint("raise max_replication_slots on the source, or drop a slot that nobody needs"),
            );
        }
        Ok(())
    }

    pub(super) async fn create_slot(&mut self) -> Result<()> {
        if !self.request.config.use_replication_slots {
            return Ok(());
        }
        let name = self.request.slot_name();
        // If it is interrupted while the server creates the slot, it must be taken back all the same.
        self.slot_is_ours = matches!(slots::find(self.source()?, &name).await, Ok(None));
        let created = match self.manager(self.source()?).await {
            Ok(manager) => manager.create(&name).await,
            Err(error) => Err(error),
        };
        match created {
            Ok(created) => {
                self.slot_is_ours = created == Created::New;
                Ok(())
            }
            Err(error) => {
                self.report_slot_failure(&error).await;
                Err(error)
            }
        }
    }

    async fn report_slot_failure(&self, error: &Error) {
        let event = Event::new(EventName::StandbyClone, self.request.node_id())
            .successful(false)
            .details(
                error
                    .details
                    .iter()
                    .fold(error.message.clone(), |text, more| format!("{text}: {more}")),
            );
        events::emit(self.events_connection(), &self.request.config, event).await;
    }

    pub(super) async fn remove_slot(&mut self) {
        if !std::mem::take(&mut self.slot_is_ours) {
            return;
        }
        self.refresh_connections().await;
        if let Err(error) = self.drop_from_source().await {
            crate::warning!("{}", error.message);
            for detail in &error.details {
                crate::detail!("{detail}");
            }
            crate::hint!(
                "drop it on the source, it keeps WAL: SELECT pg_drop_replication_slot('{}')",
                self.request.slot_name()
            );
        }
    }

    async fn drop_from_source(&self) -> Result<()> {
        let source = self.source()?;
        let name = self.request.slot_name();
        let deadline = Instant::now() + RELEASE_LIMIT;
        while matches!(slots::find(source, &name).await, Ok(Some(slot)) if slot.active) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match self.manager(source).await?.drop_if_inactive(&name).await? {
            Dropped::Active => Err(Error::new(
                ExitCode::DbQuery,
                format!("replication slot \"{name}\" is still in use on the source"),
            )
            .hint(format!(
                "once nobody uses it, drop it there: SELECT pg_drop_replication_slot('{name}')"
            ))),
            Dropped::Dropped | Dropped::Absent => Ok(()),
        }
    }

    /// The slot must be where the standby will stream from.
    pub(super) async fn settle_slot(&mut self) -> Result<()> {
        if !self.request.config.use_replication_slots {
            return Ok(());
        }
        self.refresh_connections().await;
        let Some(upstream) = &self.upstream else { return Ok(()) };
        let name = self.request.slot_name();
        let title = upstream.title();
        let connection = match survey::connect(upstream, self.request.deadlines).await {
            Ok(connection) => connection,
            Err(error) => {
                crate::warning!("upstream {title} cannot be reached, replication slot \"{name}\" is not created there");
                crate::detail!("{error}");
                crate::hint!(
                    "create it before the standby starts: SELECT pg_create_physical_replication_slot('{name}', true)"
                );
                self.remove_slot().await;
                return Ok(());
            }
        };
        if self.source()?.is_same_server_as(&connection).await {
            self.slot_is_ours = false;
            return Ok(());
        }
        match slots::find(&connection, &name).await {
            Ok(Some(slot)) if slot.active => {
                crate::warning!("replication slot \"{name}\" on upstream {title} is in use");
                crate::hint!("stop the standby that uses it before this one is started");
            }
            _ => {
                crate::notice!("creating replication slot \"{name}\" on upstream {title}");
                let created = match self.manager(&connection).await {
                    Ok(manager) => manager.create(&name).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = created {
                    self.report_slot_failure(&error).await;
                    self.remove_slot().await;
                    return Err(error.with_exit_code(ExitCode::DbQuery).hint(format!(
                        "the data directory is complete; create the slot on {title} before the standby is started"
                    )));
                }
            }
        }
        self.remove_slot().await;
        Ok(())
    }

    /// For a clone that does not come from the source itself: who may create the slot, if that can be found out.
    pub(super) async fn check_upstream_slot(&mut self) -> Result<()> {
        if self.source.is_none() {
            return Ok(());
        }
        self.check_slot().await
    }

    /// For a clone that does not come from the source itself: the slot keeps the WAL from now on. Without it the
    /// data are as good, so it is only a warning if it cannot be created.
    pub(super) async fn create_upstream_slot(&mut self) -> Result<()> {
        if !self.request.config.use_replication_slots {
            return Ok(());
        }
        if let Err(error) = self.try_create_upstream_slot().await {
            let name = self.request.slot_name();
            let title = self
                .upstream
                .as_ref()
                .map_or("the upstream".to_owned(), NodeRecord::title);
            crate::warning!(
                "replication slot \"{name}\" was not created on {title}: {}",
                error.message
            );
            for detail in &error.details {
                crate::detail!("{detail}");
            }
            crate::hint!(
                "create it there before the standby starts: SELECT pg_create_physical_replication_slot('{name}', true)"
            );
        }
        Ok(())
    }

    async fn try_create_upstream_slot(&mut self) -> Result<()> {
        let unasked = |why: &str| Error::new(ExitCode::DbConn, why);
        if self.request.no_upstream_connection {
            return Err(unasked("no node is connected to (--no-upstream-connection)"));
        }
        let Some(upstream) = &self.upstream else {
            return Err(unasked("there is no record of it"));
        };
        let connection = survey::connect(upstream, self.request.deadlines)
            .await
            .map_err(|error| unasked("it cannot be reached").detail(error.to_string()))?;
        let name = self.request.slot_name();
        if matches!(slots::find(&connection, &name).await, Ok(Some(slot)) if slot.active) {
            return Err(unasked("it is there and in use by another standby"));
        }
        let created = self.manager(&connection).await?.create(&name).await?;
        if created == Created::New {
            self.slot_holder = Some(connection);
        }
        Ok(())
    }

    pub(super) async fn remove_upstream_slot(&mut self) {
        let Some(mut connection) = self.slot_holder.take() else {
            return;
        };
        let name = self.request.slot_name();
        if !connection.is_responding(Duration::from_secs(10)).await
            && let Some(upstream) = &self.upstream
            && let Ok(fresh) = survey::connect(upstream, self.request.deadlines).await
        {
            connection = fresh;
        }
        let dropped = match self.manager(&connection).await {
            Ok(manager) => manager.drop_if_inactive(&name).await,
            Err(error) => Err(error),
        };
        if let Err(error) = dropped {
            crate::warning!("{}", error.message);
            crate::hint!("drop it on the upstream, it keeps WAL: SELECT pg_drop_replication_slot('{name}')");
        }
    }
}
