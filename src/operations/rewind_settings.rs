//! Whether a cluster's settings and a role's rights let pg_rewind work. Shared by `node rejoin` and `standby switchover`.

use crate::postgres::{Connection, QueryError};

/// What stands against it, a sentence each, with the name of the server in it; empty if nothing does.
/// `has_checksums`: the data checksums of the data directory that is to be rewound (PostgreSQL: "pg_rewind").
pub async fn obstacles(primary: &Connection, title: &str, has_checksums: bool) -> Result<Vec<String>, QueryError> {
    let (full_page_writes, wal_log_hints) =
        tokio::join!(primary.setting("full_page_writes"), primary.setting("wal_log_hints"));
    let is_on = |value: Option<String>| value.as_deref() == Some("on");
    Ok(judge(
        title,
        is_on(full_page_writes?),
        is_on(wal_log_hints?),
        has_checksums,
    ))
}

/// Whether the connected role may read the server's files as pg_rewind does (PostgreSQL: "pg_rewind", "Notes").
pub async fn may_read_files(connection: &Connection) -> Result<bool, QueryError> {
    let sql = "SELECT pg_catalog.bool_and(pg_catalog.has_function_privilege(f, 'EXECUTE')) FROM pg_catalog.unnest(ARRAY[\
               'pg_catalog.pg_ls_dir(text,boolean,boolean)', 'pg_catalog.pg_stat_file(text,boolean)', \
               'pg_catalog.pg_read_binary_file(text)', 'pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)']) f";
    Ok(connection.value(sql, &[]).await? == Some(true))
}

/// What helps a role that may not.
pub const GRANTS: &str = "or grant the role EXECUTE on pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), \
                          pg_read_binary_file(text) and pg_read_binary_file(text, bigint, bigint, boolean)";

fn judge(title: &str, full_page_writes: bool, wal_log_hints: bool, has_checksums: bool) -> Vec<String> {
    let mut obstacles = Vec::new();
    if !full_page_writes {
        obstacles.push(format!("\"full_page_writes\" is off on {title}"));
    }
    if !wal_log_hints && !has_checksums {
        obstacles.push(format!(
            "\"wal_log_hints\" is off on {title}, and there are no data checksums"
        ));
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn hints_are_logged_or_pages_have_checksums() {
        let count = |full, hints, checksums| judge("node \"a\"", full, hints, checksums).len();
        assert_eq!(count(true, true, false), 0);
        assert_eq!(count(true, false, true), 0);
        assert_eq!(count(true, false, false), 1);
        assert_eq!(count(false, true, true), 1);
        assert_eq!(count(false, false, false), 2);
    }
}
