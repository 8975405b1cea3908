//! `repmgr write-right`: the right to write of the whole cluster.

pub mod force;
pub mod show;
pub mod switch;

use std::time::Duration;

use crate::commands::Context;
use crate::config::WriteRight;
use crate::error::{Error, Result};
use crate::etcd::{Client, Standing};
use crate::postgres::Connection;

/// How long etcd may take.
const ETCD_LIMIT: Duration = Duration::from_secs(5);

/// What it grants to whom; `None` where it does not grant the right. A client that could not be made is one that it does
/// not answer.
pub async fn granted_by(etcd: Option<Result<Client>>) -> Option<std::result::Result<Standing, String>> {
    match etcd? {
        Ok(client) => {
            let standing = client.standing(ETCD_LIMIT).await;
            Some(standing.map_err(|problem| problem.to_string()))
        }
        Err(error) => Some(Err(error.message)),
    }
}

/// The etcd that grants the right, where repmgr.conf says so.
pub async fn etcd(context: &Context, local: &Connection) -> Result<Option<Client>> {
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
