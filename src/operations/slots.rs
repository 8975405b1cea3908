//! Replication slots on an upstream: who may manage them, creating, dropping,
//! counting (PostgreSQL: "Replication Slots").

use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::info;
use crate::notice;
use crate::postgres::{Connection, Deadlines, QueryError, ReplicationConnection};
use crate::warning;

pub use crate::metadata::nodes::slot_name;

/// A slot as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Physical or logical.
    pub physical: bool,
    /// Whether somebody streams from it.
    pub active: bool,
    /// Whether the server has removed WAL that the slot should have kept: it is of no use any more.
    pub lost: bool,
}

/// A slot by its name.
pub async fn find(connection: &Connection, name: &str) -> Result<Option<Slot>, QueryError> {
    let sql = "SELECT slot_type = 'physical', active, wal_status IS NOT DISTINCT FROM 'lost' \
               FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
    let row = connection.query_opt(sql, &[&name]).await?;
    Ok(row.map(|row| Slot {
        physical: row.get(0),
        active: row.get(1),
        lost: row.get(2),
    }))
}

/// `max_replication_slots` less the slots there are, physical and logical, in use or not.
pub async fn free_slots(connection: &Connection) -> Result<i64, QueryError> {
    let sql = "SELECT pg_catalog.current_setting('max_replication_slots')::bigint - pg_catalog.count(*) \
               FROM pg_catalog.pg_replication_slots";
    Ok(connection.value(sql, &[]).await?.unwrap_or(0))
}

/// The roles that may help out where the connected one may not manage slots.
#[derive(Debug, Clone, Copy, Default)]
pub struct Helpers<'a> {
    /// `--superuser`.
    pub superuser: Option<&'a str>,
    /// `--replication-user`.
    pub replication_user: Option<&'a str>,
    /// `repluser` in the record of the server's node.
    pub upstream_repluser: Option<&'a str>,
}

/// As whom slots are managed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    /// The connected role has the right.
    Connected,
    /// This superuser, over SQL.
    Superuser(String),
    /// This role, over the replication protocol.
    Replication(String),
}

/// The original's order of preference; `None` if nobody is left.
fn choose(connected_may: bool, connected_user: &str, helpers: Helpers<'_>) -> Option<Role> {
    if connected_may {
        return Some(Role::Connected);
    }
    if let Some(user) = helpers.superuser {
        return Some(Role::Superuser(user.to_owned()));
    }
    if let Some(user) = helpers.replication_user {
        return Some(Role::Replication(user.to_owned()));
    }
    helpers
        .upstream_repluser
        .filter(|user| !user.is_empty() && *user != connected_user)
        .map(|user| Role::Replication(user.to_owned()))
}

/// What creating a slot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// It was there, unused.
    Reused,
}

/// What dropping a slot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is gone.
    Dropped,
    /// It was not there.
    Absent,
    /// Somebody streams from it, so it stays.
    Active,
}

/// Manages the slots of one server, as a role that may.
#[derive(Debug)]
pub struct SlotManager<'a> {
    connection: &'a Connection,
    role: Role,
    deadlines: Deadlines,
}

impl<'a> SlotManager<'a> {
    /// Finds out who manages slots on this server, and if it is another role, that it can connect.
    /// Changes nothing: this is also what `--dry-run` does.
    ///
    /// # Errors
    /// Nobody may, or the role that may cannot connect.
    pub async fn new(
        connection: &'a Connection,
        helpers: Helpers<'_>,
        deadlines: Deadlines,
    ) -> Result<SlotManager<'a>> {
        let unknown = |error: QueryError| {
            Error::new(ExitCode::DbQuery, "unable to find out who may manage replication slots")
                .detail(error.to_string())
        };
        let may = connection.has_replication_privilege().await.map_err(unknown)?;
        let user: Option<String> = connection
            .value("SELECT current_user::text", &[])
            .await
            .map_err(unknown)?;
        let user = user.unwrap_or_default();
        let role = choose(may, &user, helpers).ok_or_else(|| {
            Error::bad_config(format!("role \"{user}\" may not manage replication slots"))
                .detail("it is neither superuser nor has it the REPLICATION attribute")
                .hint("give the role the REPLICATION attribute, or name another one with -S/--superuser or --replication-user")
        })?;
        let manager = SlotManager {
            connection,
            role,
            deadlines,
        };
        match &manager.role {
            Role::Connected => {}
            Role::Superuser(_) => drop(manager.superuser_connection().await?),
            Role::Replication(_) => drop(manager.replication_connection().await?),
        }
        Ok(manager)
    }

    /// As whom, for a person.
    pub fn describe(&self) -> String {
        match &self.role {
            Role::Connected => "the connected role".to_owned(),
            Role::Superuser(user) => format!("superuser \"{user}\""),
            Role::Replication(user) => format!("replication role \"{user}\""),
        }
    }

    /// Creates a physical slot that reserves WAL at once, or takes over one of that name that nobody uses.
    ///
    /// # Errors
    /// The slot is in use or logical, or the server refuses.
    pub async fn create(&self, name: &str) -> Result<Created> {
        match self.find(name).await? {
            Some(slot) if !slot.physical => {
                return Err(Error::new(
                    ExitCode::DbQuery,
                    format!("replication slot \"{name}\" exists and is not a physical slot"),
                )
                .hint("drop it, or give this node another node_id"));
            }
            Some(slot) if slot.active => {
                return Err(Error::new(
                    ExitCode::DbQuery,
                    format!("replication slot \"{name}\" exists and is in use"),
                )
                .hint("stop the standby that uses it, or give this node another node_id"));
            }
            Some(slot) if slot.lost => {
                info!("replication slot \"{name}\" has lost its WAL, it is created anew");
                self.drop_slot(name).await?;
            }
            Some(_) => {
                info!("replication slot \"{name}\" exists and is not in use, it will be used");
                return Ok(Created::Reused);
            }
            None => {}
        }
        self.create_slot(name).await.map(|()| {
            notice!("replication slot \"{name}\" created");
            Created::New
        })
    }

    /// Drops a slot unless somebody streams from it.
    ///
    /// # Errors
    /// The server refuses or gives no answer.
    pub async fn drop_if_inactive(&self, name: &str) -> Result<Dropped> {
        match self.find(name).await? {
            None => Ok(Dropped::Absent),
            Some(slot) if slot.active => {
                warning!("replication slot \"{name}\" is in use, it is not dropped");
                Ok(Dropped::Active)
            }
            Some(_) => {
                self.drop_slot(name).await?;
                notice!("replication slot \"{name}\" dropped");
                Ok(Dropped::Dropped)
            }
        }
    }

    async fn find(&self, name: &str) -> Result<Option<Slot>> {
        find(self.connection, name).await.map_err(|error| {
            Error::new(
                ExitCode::DbQuery,
                format!("unable to look for replication slot \"{name}\""),
            )
            .detail(error.to_string())
        })
    }

    async fn create_slot(&self, name: &str) -> Result<()> {
        let created = match &self.role {
            Role::Replication(_) => {
                let connection = self.replication_connection().await?;
                connection.create_physical_slot(name, true).await
            }
            _ => self.call("pg_create_physical_replication_slot($1, TRUE)", name).await?,
        };
        created.map_err(|error| slot_error("create", name, &error))
    }

    async fn drop_slot(&self, name: &str) -> Result<()> {
        let dropped = match &self.role {
            Role::Replication(_) => self.replication_connection().await?.drop_slot(name).await,
            _ => self.call("pg_drop_replication_slot($1)", name).await?,
        };
        dropped.map_err(|error| slot_error("drop", name, &error))
    }

    /// Calls a function over SQL, as the connected role or as the superuser. The outer error: it cannot connect.
    async fn call(&self, function: &str, name: &str) -> Result<Result<(), QueryError>> {
        let superuser = match &self.role {
            Role::Superuser(_) => Some(self.superuser_connection().await?),
            _ => None,
        };
        let connection = superuser.as_ref().unwrap_or(self.connection);
        let sql = format!("SELECT pg_catalog.{function}");
        Ok(connection.query(&sql, &[&name]).await.map(drop))
    }

    async fn superuser_connection(&self) -> Result<Connection> {
        let user = self.helper_name();
        let connection = Connection::connect(&self.connection.conninfo().for_user(user), self.deadlines)
            .await
            .map_err(|error| {
                Error::new(ExitCode::DbConn, format!("unable to connect as superuser \"{user}\""))
                    .detail(error.to_string())
            })?;
        match connection.is_superuser().await {
            Ok(true) => Ok(connection),
            Ok(false) => Err(Error::bad_config(format!("role \"{user}\" is not a superuser"))
                .hint("name a superuser with -S/--superuser")),
            Err(error) => Err(Error::new(
                ExitCode::DbQuery,
                format!("unable to find out whether \"{user}\" is a superuser"),
            )
            .detail(error.to_string())),
        }
    }

    fn helper_name(&self) -> &str {
        match &self.role {
            Role::Connected => "",
            Role::Superuser(user) | Role::Replication(user) => user,
        }
    }

    async fn replication_connection(&self) -> Result<ReplicationConnection> {
        let user = self.helper_name();
        let mut parameters = self.connection.conninfo().for_replication(user);
        parameters.remove("password");
        ReplicationConnection::connect(&parameters, self.deadlines)
            .await
            .map_err(|error| {
                Error::bad_config(format!("unable to make a replication connection as role \"{user}\""))
                    .detail(error.to_string())
                    .hint("the role needs the REPLICATION attribute, and pg_hba.conf a line for \"replication\"")
            })
    }
}

fn slot_error(verb: &str, name: &str, error: &QueryError) -> Error {
    let result = Error::new(
        ExitCode::DbQuery,
        format!("unable to {verb} replication slot \"{name}\""),
    )
    .detail(error.to_string());
    match error.sqlstate() {
        Some("53400") => result.hint("raise max_replication_slots on that server, or drop slots that nobody needs"),
        Some("42501") => result.hint("give the role the REPLICATION attribute, or use -S/--superuser"),
        _ => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connected_role_is_preferred_then_the_helpers_in_order() {
        let all = Helpers {
            superuser: Some("postgres"),
            replication_user: Some("repl"),
            upstream_repluser: Some("up"),
        };
        assert_eq!(choose(true, "repmgr", all), Some(Role::Connected));
        assert_eq!(choose(false, "repmgr", all), Some(Role::Superuser("postgres".into())));
        let no_superuser = Helpers { superuser: None, ..all };
        assert_eq!(
            choose(false, "repmgr", no_superuser),
            Some(Role::Replication("repl".into()))
        );
        let upstream = Helpers {
            upstream_repluser: Some("up"),
            ..Helpers::default()
        };
        assert_eq!(choose(false, "repmgr", upstream), Some(Role::Replication("up".into())));
        assert_eq!(choose(false, "up", upstream), None);
        assert_eq!(choose(false, "repmgr", Helpers::default()), None);
    }
}
