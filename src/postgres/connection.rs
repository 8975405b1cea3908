//! A connection on which every query has a deadline.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};

use super::error::{ConnectError, ConnectFailure, QueryError};
use crate::conninfo::Conninfo;

/// How long to wait for a connection and for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Used if the connection string has no `connect_timeout`.
    pub connect: Duration,
    /// For each query.
    pub query: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            connect: Duration::from_secs(2),
            query: Duration::from_secs(30),
        }
    }
}

/// An open SQL connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    conninfo: Conninfo,
    deadlines: Deadlines,
}

impl Connection {
    /// Connects with what the original adds to every connection
    /// (`fallback_application_name=repmgr`, empty search path, `synchronous_commit=local`).
    pub async fn connect(conninfo: &Conninfo, deadlines: Deadlines) -> Result<Connection, ConnectError> {
        let mut effective = conninfo.clone();
        effective.set_default("application_name", "repmgr");
        effective.set("options", "-csearch_path=");
        let config: tokio_postgres::Config = effective.to_keyword_string().parse().map_err(|error| ConnectError {
            failure: ConnectFailure::BadParameters,
            message: format!("{error}"),
        })?;
        let (client, connection) = tokio::time::timeout(deadlines.connect, config.connect(NoTls))
            .await
            .map_err(|_| ConnectError {
                failure: ConnectFailure::Silent,
                message: "timeout expired".to_owned(),
            })?
            .map_err(|error| ConnectError {
                failure: ConnectFailure::Other,
                message: error.to_string(),
            })?;
        tokio::spawn(connection);
        let connection = Connection {
            client,
            conninfo: conninfo.clone(),
            deadlines,
        };
        connection
            .batch("SET synchronous_commit TO 'local'")
            .await
            .map_err(|error| ConnectError {
                failure: ConnectFailure::Other,
                message: error.to_string(),
            })?;
        Ok(connection)
    }

    /// The parameters it was opened with.
    pub fn conninfo(&self) -> &Conninfo {
        &self.conninfo
    }

    /// Whether the connection is known to be broken.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The same connection with another deadline for its queries.
    pub fn set_query_deadline(&mut self, limit: Duration) {
        self.deadlines.query = limit;
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, QueryError> {
        match tokio::time::timeout(self.deadlines.query, work).await {
            Ok(result) => result.map_err(QueryError::from),
            Err(_) => Err(QueryError::TimedOut(self.deadlines.query)),
        }
    }

    /// All rows of a query.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, QueryError> {
        self.limited(self.client.query(sql, parameters)).await
    }

    /// The first row of a query, if there is one.
    pub async fn query_opt(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, QueryError> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// The one row of a query.
    pub async fn query_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, QueryError> {
        self.query_opt(sql, parameters)
            .await?
            .ok_or_else(|| QueryError::Unexpected("no row".to_owned()))
    }

    /// The first column of the one row of a query. An SQL NULL is `None`.
    pub async fn value<T>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Option<T>, QueryError>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = self.query_one(sql, parameters).await?;
        row.try_get(0)
            .map_err(|error| QueryError::Unexpected(error.to_string()))
    }

    /// Runs a statement; the number of rows it changed.
    pub async fn execute(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, QueryError> {
        self.limited(self.client.execute(sql, parameters)).await
    }

    /// Runs statements without parameters (simple protocol), such as BEGIN, VACUUM, ALTER SYSTEM.
    pub async fn batch(&self, sql: &str) -> Result<(), QueryError> {
        self.limited(self.client.batch_execute(sql)).await
    }
}
