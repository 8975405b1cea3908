//! `repmgr.voting_term`: one row, one higher with each promotion by a daemon.

use crate::postgres::{Connection, QueryError};

/// The term; `None` if the row is missing.
pub async fn get(connection: &Connection) -> Result<Option<i32>, QueryError> {
    Ok(connection
        .query_opt("SELECT term FROM repmgr.voting_term", &[])
        .await?
        .map(|row| row.get(0)))
}

/// Sets the term to 1, whether the row is there or not.
pub async fn initialise(connection: &Connection) -> Result<(), QueryError> {
    if connection
        .execute("UPDATE repmgr.voting_term SET term = 1", &[])
        .await?
        == 0
    {
        connection
            .execute("INSERT INTO repmgr.voting_term (term) VALUES (1)", &[])
            .await?;
    }
    Ok(())
}

/// One higher.
pub async fn increment(connection: &Connection) -> Result<(), QueryError> {
    connection
        .execute("UPDATE repmgr.voting_term SET term = term + 1", &[])
        .await
        .map(|_| ())
}
