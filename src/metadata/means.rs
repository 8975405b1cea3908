//! By which means a server is asked and told what daemons need: the server
//! library, or what PostgreSQL offers itself ([`super::substitute`]).
//!
//! Every daemon of this program is present on its server with an advisory lock,
//! whichever the means are; an original's daemon is not.

use crate::postgres::{Connection, QueryError};
use crate::types::NodeId;

/// How a server is asked and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The library answers there.
    Library,
    /// It is not installed there, not loaded, or its functions were never created.
    Substitute,
}

/// The first key of the advisory lock that a daemon holds on its server; the second is its node's id.
pub(super) const PRESENCE: i32 = i32::from_be_bytes(*b"repm");

/// Rows of `pg_locks` with one of our first keys. Advisory locks are visible to every role, in every database.
pub(super) fn locks(key: i32) -> String {
    format!("l.locktype = 'advisory' AND l.classid = {key} AND l.objsubid = 2 AND l.granted")
}

/// By which means this server is to be asked. Found out once a session.
pub async fn of(connection: &Connection) -> Result<Means, QueryError> {
    let library = match connection.has_library() {
        Some(library) => library,
        None => {
            let library = find_out(connection).await?;
            connection.remember_library(library);
            library
        }
    };
    Ok(if library { Means::Library } else { Means::Substitute })
}

async fn find_out(connection: &Connection) -> Result<bool, QueryError> {
    match connection.value::<i32>("SELECT repmgr.get_local_node_id()", &[]).await {
        // The original's library answers NULL where it was not preloaded.
        Ok(answer) => Ok(answer.is_some()),
        // The file is missing (undefined_file), or the function (undefined_function).
        Err(error) if matches!(error.sqlstate(), Some("58P01" | "42883")) => {
            crate::debug!("the repmgr library does not answer: {error}");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// An expression of SQL that makes this session the presence of a node's daemon, as long as the session lives. It may
/// be evaluated any number of times.
pub fn be_present(node: NodeId) -> String {
    format!("pg_catalog.pg_try_advisory_lock_shared({PRESENCE}, {node})")
}

/// A condition of SQL: whether a daemon of this program is present on the server.
pub fn is_present() -> String {
    format!("EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE {})", locks(PRESENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_distinct_and_shown_unsigned_as_they_are() {
        assert_eq!(PRESENCE, 0x7265_706d);
        assert!(locks(PRESENCE).contains("classid = 1919250541 "));
    }
}
