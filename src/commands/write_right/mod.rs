//! `repmgr write-right`: the right to write of the whole cluster.

pub mod force;
pub mod show;
pub mod switch;

use crate::commands::Context;
use crate::config::WriteRight;
use crate::error::{Error, Result};
use crate::etcd::Client;
use crate::postgres::Connection;

/// The etcd that grants the right, where repmgr.conf says so.
async fn etcd(context: &Context, local: &Connection) -> Result<Option<Client>> {
    if context.config.write_right != WriteRight::Etcd {
        return Ok(None);
    }
    let system = local.system_identifier().await.map_err(|error| {
        Error::bad_config("the system identifier of this node cannot be read").detail(error.to_string())
    })?;
    let client = Client::new(&context.config, system.0);
    client
        .map(Some)
        .map_err(|problem| Error::bad_config("the etcd settings cannot be used").detail(problem.to_string()))
}
