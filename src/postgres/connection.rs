//! An SQL connection on which every query has a deadline.

use std::sync::OnceLock;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::attempt::{self, Purpose};
use super::session::OpenSession;
use super::typed::{Parameter, typed};
use super::{ConnectError, QueryError};
use crate::conninfo::{Conninfo, Environment};

/// How long to wait for a connection and for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For each address that is tried, if the connection string has no `connect_timeout`.
    pub connect: Duration,
    /// What of that is kept for the login: a TCP handshake that is not done before is given up. Zero: nothing.
    pub login: Duration,
    /// For each query.
    pub query: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            connect: Duration::from_secs(2),
            login: Duration::ZERO,
            query: Duration::from_secs(30),
        }
    }
}

/// An open SQL connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    session: OpenSession,
    library: OnceLock<bool>,
}

impl Connection {
    /// Connects with what the original adds to every connection
    /// (`fallback_application_name=repmgr`, empty search path, `synchronous_commit=local`).
    /// The environment fills the gaps as it does for libpq; the password file's warnings are logged.
    pub async fn connect(conninfo: &Conninfo, deadlines: Deadlines) -> Result<Connection, ConnectError> {
        Self::connect_in(&Environment::of_process(), conninfo, deadlines).await
    }

    /// As [`Connection::connect`] with another environment than the process'.
    pub async fn connect_in(
        environment: &Environment,
        conninfo: &Conninfo,
        deadlines: Deadlines,
    ) -> Result<Connection, ConnectError> {
        let session = attempt::connect(environment, conninfo, Purpose::Queries, deadlines).await?;
        Ok(Connection {
            session,
            library: OnceLock::new(),
        })
    }

    /// The parameters it was opened with.
    pub fn conninfo(&self) -> &Conninfo {
        self.session.conninfo()
    }

    /// Ends when the connection does: at once when the server closes it or resets it, never for one that falls silent.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.session.closed()
    }

    /// Whether the connection is known to be over: broken, or given up after a query without answer.
    pub fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// Whether the server has a library that answers, as far as that was found out in this session.
    pub fn has_library(&self) -> Option<bool> {
        self.library.get().copied()
    }

    /// Keeps what was found out about the server's library for the rest of the session.
    pub fn remember_library(&self, library: bool) {
        // Two that found it out at the same time found the same.
        let _ = self.library.set(library);
    }

    /// The same connection with another deadline for its queries.
    pub fn set_query_deadline(&mut self, limit: Duration) {
        self.session.set_query_deadline(limit);
    }

    /// The deadlines that hold for it.
    pub fn deadlines(&self) -> Deadlines {
        self.session.deadlines()
    }

    /// All rows of a query.
    pub async fn query(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, QueryError> {
        let parameters = typed(parameters);
        self.session
            .limited(self.session.client().query_typed(sql, &parameters))
            .await
    }

    /// The first row of a query, if there is one.
    pub async fn query_opt(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Option<Row>, QueryError> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// The one row of a query.
    pub async fn query_one(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Row, QueryError> {
        self.query_opt(sql, parameters)
            .await?
            .ok_or_else(|| QueryError::Unexpected("no row".to_owned()))
    }

    /// The first column of the one row of a query. An SQL NULL is `None`.
    pub async fn value<T>(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Option<T>, QueryError>
    where
        T: for<'a> FromSql<'a>,
    {
        let row = self.query_one(sql, parameters).await?;
        row.try_get(0)
            .map_err(|error| QueryError::Unexpected(error.to_string()))
    }

    /// Runs a statement; the number of rows it changed.
    pub async fn execute(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<u64, QueryError> {
        let parameters = typed(parameters);
        self.session
            .limited(self.session.client().execute_typed(sql, &parameters))
            .await
    }

    /// Runs statements without parameters (simple protocol), such as BEGIN, VACUUM, ALTER SYSTEM.
    pub async fn batch(&self, sql: &str) -> Result<(), QueryError> {
        self.session.limited(self.session.client().batch_execute(sql)).await
    }

    /// The same with a deadline of its own in place of the connection's.
    pub async fn batch_within(&self, sql: &str, limit: Duration) -> Result<(), QueryError> {
        let ask = self.session.client().batch_execute(sql);
        self.session.limited_by(limit, ask).await
    }

    /// Whether the simplest of queries is answered within `limit`. If not, the connection is closed.
    pub async fn is_responding(&self, limit: Duration) -> bool {
        let ask = self.session.client().batch_execute("SELECT TRUE");
        self.session.limited_by(limit, ask).await.is_ok()
    }
}
