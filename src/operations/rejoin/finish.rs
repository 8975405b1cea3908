//! From a data directory that can follow the primary to a node that does.

use std::time::Duration;

use super::Rejoin;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::attachment;
use crate::operations::join_check::{Joined, describe, join_check};
use crate::operations::slots::{Helpers, SlotManager};
use crate::postgres::{Connection, Deadlines};
use crate::{detail, hint, info, warning};

impl Rejoin<'_> {
    pub(super) async fn attach(&mut self) -> Result<()> {
        self.reconnect().await?;
        self.require_stopped()?;
        self.changed = true;
        // The server takes over the data directory.
        self.lock = None;
        let (_, connection) = self.primary()?;
        self.repoint(connection)?.run().await
    }

    pub(super) async fn await_attachment(&mut self) -> Result<()> {
        self.reconnect().await?;
        let config = self.config;
        let (record, connection) = self.primary()?;
        let name = &self.own()?.node_name;
        if self.request.no_wait {
            let seen = attachment(connection, name).await;
            info!("the node was started; as its upstream sees it, {}", describe(&seen));
            return Ok(());
        }
        let conninfo = Conninfo::parse(&config.conninfo).unwrap_or_default();
        let (ping_limit, attach_limit) = (config.standby_reconnect_timeout, config.node_rejoin_timeout);
        let joined = join_check(&conninfo, record, name, ping_limit, attach_limit).await;
        let failed = |message: String| Error::new(ExitCode::RejoinFail, message);
        let seconds =
            |limit: Duration, parameter: &str| format!("after {} seconds (parameter \"{parameter}\")", limit.as_secs());
        match joined {
            Joined::Yes => Ok(()),
            Joined::NoPing => Err(failed(format!(
                "the server does not accept connections {}",
                seconds(ping_limit, "standby_reconnect_timeout")
            ))
            .detail("it was started as a standby and is recovering, or has ended again")
            .hint("see its log; once it runs, it attaches by itself")),
            Joined::NoReplication(seen) => Err(failed(format!(
                "this node is not attached to {} {}",
                record.title(),
                seconds(attach_limit, "node_rejoin_timeout")
            ))
            .detail(describe(&seen))
            .hint("its server runs and goes on trying; see its log for what keeps it")),
        }
    }

    /// Slots that the node had as a primary would keep WAL for nobody. What goes wrong is a WARNING:
    /// the node itself is where it should be.
    pub(super) async fn drop_slots(&mut self) -> Result<()> {
        if self.config.use_replication_slots && !self.is_rewind() {
            let conninfo = Conninfo::parse(&self.config.conninfo).unwrap_or_default();
            match Connection::connect(&conninfo, Deadlines::default()).await {
                Ok(local) => self.drop_slots_on(&local).await?,
                Err(error) => {
                    warning!("unable to connect to this node to look for slots that nobody uses");
                    detail!("{error}");
                }
            }
        }
        Ok(())
    }

    async fn drop_slots_on(&self, local: &Connection) -> Result<()> {
        let (record, _) = self.primary()?;
        let helpers = Helpers {
            superuser: self.request.superuser.as_deref(),
            replication_user: self.request.replication_user.as_deref(),
            upstream_repluser: Some(&self.own()?.repluser),
        };
        if let Some(slot) = &record.slot_name {
            let dropped = match SlotManager::new(local, helpers, Deadlines::default()).await {
                Ok(manager) => manager.drop_if_inactive(slot).await,
                Err(error) => Err(error),
            };
            if let Err(error) = dropped {
                warning!("replication slot \"{slot}\" remains on this node");
                detail!("{}", error.message);
            }
        }
        let sql = "SELECT slot_name::text FROM pg_catalog.pg_replication_slots \
                   WHERE slot_type = 'physical' AND NOT active AND NOT temporary ORDER BY 1";
        match local.query(sql, &[]).await {
            Ok(rows) if !rows.is_empty() => {
                let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                warning!("this node has replication slots that nobody uses, they keep WAL");
                detail!("{}", names.join(", "));
                hint!("drop those that are not needed with pg_drop_replication_slot()");
            }
            Ok(_) => {}
            Err(error) => {
                warning!("unable to look for slots that nobody uses");
                detail!("{error}");
            }
        }
        Ok(())
    }
}
