//! The statements that take effect ahead of their commit, so that a check at the commit would come too late or find nothing.
//!
//! Everything else that writes does so in a transaction with an id and is caught when that commits: also `ALTER TABLE … SET
//! TABLESPACE`, `VACUUM FULL`, `CLUSTER`, `REFRESH MATERIALIZED VIEW CONCURRENTLY`, a plain `REINDEX`. `VACUUM`, `CHECKPOINT`
//! and `ALTER SYSTEM` go on without the right: they change nothing that a client was promised.

use std::ffi::CStr;

use pgrx::pg_sys::{self, NodeTag, TransactionStmtKind};

/// The name of the command if `statement` takes effect ahead of its commit.
///
/// # Safety
///
/// `statement` is null or a parse tree of the server's.
pub unsafe fn ahead_of_commit(statement: *const pg_sys::Node) -> Option<&'static CStr> {
    // SAFETY: the tag says which structure it is; the server builds them whole.
    unsafe {
        if statement.is_null() {
            return None;
        }
        match (*statement).type_ {
            NodeTag::T_TransactionStmt => match (*statement.cast::<pg_sys::TransactionStmt>()).kind {
                TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED => Some(c"COMMIT PREPARED"),
                TransactionStmtKind::TRANS_STMT_ROLLBACK_PREPARED => Some(c"ROLLBACK PREPARED"),
                _ => None,
            },
            // The files are made, moved or removed, and WAL says so, before the commit.
            NodeTag::T_CreatedbStmt => Some(c"CREATE DATABASE"),
            NodeTag::T_DropdbStmt => Some(c"DROP DATABASE"),
            NodeTag::T_CreateTableSpaceStmt => Some(c"CREATE TABLESPACE"),
            NodeTag::T_DropTableSpaceStmt => Some(c"DROP TABLESPACE"),
            NodeTag::T_AlterDatabaseStmt => {
                let options = (*statement.cast::<pg_sys::AlterDatabaseStmt>()).options;
                has_option(options, c"tablespace").then_some(c"ALTER DATABASE SET TABLESPACE")
            }
            // These commit in the middle: refused at the beginning, they leave no invalid index and no half-detached partition.
            NodeTag::T_IndexStmt => {
                let concurrent = (*statement.cast::<pg_sys::IndexStmt>()).concurrent;
                concurrent.then_some(c"CREATE INDEX CONCURRENTLY")
            }
            NodeTag::T_DropStmt => {
                let concurrent = (*statement.cast::<pg_sys::DropStmt>()).concurrent;
                concurrent.then_some(c"DROP INDEX CONCURRENTLY")
            }
            NodeTag::T_ReindexStmt => reindexes_concurrently(statement.cast()).then_some(c"REINDEX CONCURRENTLY"),
            NodeTag::T_AlterTableStmt => {
                detaches_concurrently(statement.cast()).then_some(c"ALTER TABLE DETACH PARTITION CONCURRENTLY")
            }
            // The publisher's slot is made or dropped before the commit.
            NodeTag::T_CreateSubscriptionStmt => Some(c"CREATE SUBSCRIPTION"),
            NodeTag::T_AlterSubscriptionStmt => Some(c"ALTER SUBSCRIPTION"),
            NodeTag::T_DropSubscriptionStmt => Some(c"DROP SUBSCRIPTION"),
            _ => None,
        }
    }
}

#[cfg(feature = "pg13")]
unsafe fn reindexes_concurrently(statement: *const pg_sys::ReindexStmt) -> bool {
    // SAFETY: the caller's.
    unsafe { (*statement).concurrent }
}

#[cfg(not(feature = "pg13"))]
unsafe fn reindexes_concurrently(statement: *const pg_sys::ReindexStmt) -> bool {
    // The option may say "false"; a statement that is refused without need is a lesser evil than reading the value wrongly.
    // SAFETY: the caller's.
    unsafe { has_option((*statement).params, c"concurrently") }
}

/// PostgreSQL 13 cannot.
#[cfg(feature = "pg13")]
unsafe fn detaches_concurrently(_: *const pg_sys::AlterTableStmt) -> bool {
    false
}

#[cfg(not(feature = "pg13"))]
unsafe fn detaches_concurrently(statement: *const pg_sys::AlterTableStmt) -> bool {
    // SAFETY: the list holds the commands; that of a detachment has a PartitionCmd for its definition.
    unsafe {
        elements::<pg_sys::AlterTableCmd>((*statement).cmds).any(|command| {
            (*command).subtype == pg_sys::AlterTableType::AT_DetachPartition
                && (*(*command).def.cast::<pg_sys::PartitionCmd>()).concurrent
        })
    }
}

unsafe fn has_option(options: *const pg_sys::List, name: &CStr) -> bool {
    // SAFETY: the list holds definitions, whose names are strings.
    unsafe { elements::<pg_sys::DefElem>(options).any(|option| CStr::from_ptr((*option).defname) == name) }
}

/// The pointers of a list, which is null when it is empty. No destructor, so that a server error may pass.
unsafe fn elements<T>(list: *const pg_sys::List) -> impl Iterator<Item = *const T> {
    // SAFETY: the caller's.
    let length = if list.is_null() {
        0
    } else {
        unsafe { (*list).length as usize }
    };
    // SAFETY: as many cells as the length says, each a pointer.
    (0..length).map(move |at| unsafe { (*(*list).elements.add(at)).ptr_value.cast_const().cast() })
}
