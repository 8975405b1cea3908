//! Why there is no connection, or no answer.

use std::time::Duration;

pub use crate::types::ConnectFailure;

/// A connection attempt that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What kind of "no".
    pub failure: ConnectFailure,
    /// What a person reads; names the server, never a password.
    pub message: String,
}

/// A query without an answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The server answered with an error.
    #[error("{}", describe(.0))]
    Server(Box<tokio_postgres::error::DbError>),
    /// The connection broke.
    #[error("connection lost: {0}")]
    ConnectionLost(String),
    /// No answer before the deadline; the connection is given up.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The answer was not of the expected form.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
}

impl QueryError {
    /// The SQLSTATE, if the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            QueryError::Server(error) => Some(error.code().code()),
            _ => None,
        }
    }

    /// What a person can do about it, where the SQLSTATE says that about a question to the metadata
    /// (PostgreSQL: "PostgreSQL Error Codes").
    pub fn way_out(&self) -> Option<&'static str> {
        match self.sqlstate()? {
            // An undefined table, schema or function.
            "42P01" | "3F000" | "42883" => Some(
                "the \"repmgr\" extension is missing in this database, or too old: check \"dbname\" in the connection \
                 string, and that the primary is registered (\"repmgr primary register\")",
            ),
            "42501" => Some("give the role the rights on schema \"repmgr\" and its tables, or connect as another role"),
            "25006" => Some("this server is a standby; changes are made on the primary"),
            _ => None,
        }
    }
}

/// What the server said; without its DETAIL if that shows the row that was refused (SQLSTATE class 23), as a
/// node record may hold a password.
fn describe(error: &tokio_postgres::error::DbError) -> String {
    if error.code().code().starts_with("23") {
        return format!("{}: {}", error.severity(), error.message());
    }
    error.to_string()
}

impl From<tokio_postgres::Error> for QueryError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return QueryError::Server(Box::new(db.clone()));
        }
        if error.is_closed() || std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>()) {
            return QueryError::ConnectionLost(error.to_string());
        }
        QueryError::Unexpected(error.to_string())
    }
}
