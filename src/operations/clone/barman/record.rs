//! The upstream's record, asked for over Barman's own connection to the cluster, on Barman's host.

use serde_json::Value;

use super::catalogue::{Backup, Barman};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::metadata::NodeRecord;
use crate::operations::clone::Request;
use crate::process::shell_quote;
use crate::types::{NodeId, NodeType};

fn no_record(detail: impl Into<String>) -> Error {
    Error::bad_config("unable to find out the upstream's conninfo through Barman")
        .detail(detail)
        .hint("name a node to connect to with -h or -d, or give the connection string with --upstream-conninfo")
}

/// The record of `--upstream-node-id`, else of the active primary.
pub(super) async fn ask(barman: &Barman<'_>, backup: &Backup, request: &Request) -> Result<NodeRecord> {
    let conninfo = backup
        .conninfo
        .as_deref()
        .ok_or_else(|| no_record("Barman has no \"conninfo\" for this server"))?;
    let mut conninfo = Conninfo::parse(conninfo)
        .map_err(|error| no_record(format!("Barman's \"conninfo\" for this server is not valid: {error}")))?;
    for keyword in ["application_name", "passfile", "servicefile"] {
        conninfo.remove(keyword);
    }
    conninfo.set("dbname", &database(request));
    conninfo.set_default("connect_timeout", "10");
    crate::info!("asking for the upstream's record through Barman");
    crate::detail!("connection string on Barman's host is: {}", conninfo.redacted());
    let condition = match request.upstream_node_id {
        Some(id) => format!("node_id = {id} AND active"),
        None => "type = 'primary' AND active".to_owned(),
    };
    let sql = format!(
        "SELECT pg_catalog.row_to_json(n) FROM (SELECT node_id, node_name, type, conninfo, repluser::text AS repluser \
         FROM repmgr.nodes WHERE {condition} ORDER BY node_id LIMIT 1) n"
    );
    let path = backup
        .path_prefix
        .as_deref()
        .map_or_else(String::new, |prefix| format!("PATH={}:\"$PATH\" ", shell_quote(prefix)));
    let command = format!(
        "{path}psql -AqtXw -d {} -c {}",
        shell_quote(&conninfo.to_keyword_string()),
        shell_quote(&sql)
    );
    let finished = barman.shell(&command, "psql").await?;
    if !finished.status.success() {
        return Err(
            no_record(format!("psql on Barman's host ended with {}", finished.status))
                .detail(crate::conninfo::redact(finished.stderr.trim())),
        );
    }
    match parse(&finished.stdout) {
        Some(record) => Ok(record),
        None => Err(no_record(match request.upstream_node_id {
            Some(id) => format!("there is no active record of node {id}"),
            None => "there is no active record of a primary".to_owned(),
        })),
    }
}

/// The database with the metadata: the one named for the source, or the one that this node is registered with.
fn database(request: &Request) -> String {
    let own = Conninfo::parse(&request.config.conninfo).unwrap_or_default();
    let named = request.source.get("dbname").or(own.get("dbname"));
    named.unwrap_or("repmgr").to_owned()
}

/// The last line that is a record; a banner of the remote shell may stand above it.
fn parse(stdout: &str) -> Option<NodeRecord> {
    let line = stdout.lines().rev().find(|line| line.starts_with('{'))?;
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let node_id = value.get("node_id")?.as_i64()?;
    Some(NodeRecord {
        node_id: NodeId(i32::try_from(node_id).ok()?),
        upstream_node_id: None,
        active: true,
        node_name: text("node_name"),
        node_type: NodeType::from_word(&text("type")),
        location: String::new(),
        priority: 0,
        conninfo: text("conninfo"),
        repluser: text("repluser"),
        slot_name: None,
        config_file: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_below_a_banner() {
        let line =
            r#"{"node_id":1,"node_name":"n 1","type":"primary","conninfo":"host=a password='x y'","repluser":"r"}"#;
        let record = parse(&format!("Welcome\n{line}\n")).unwrap();
        assert_eq!((record.node_id, record.node_name.as_str()), (NodeId(1), "n 1"));
        assert_eq!(
            (record.conninfo.as_str(), record.repluser.as_str()),
            ("host=a password='x y'", "r")
        );
        assert_eq!(record.node_type, NodeType::Primary);
        assert!(parse("Welcome\n").is_none());
    }
}
