//! The options of `repmgr`.
#![allow(missing_docs)]

use crate::types::NodeId;

/// The form of a result on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnFormat {
    #[default]
    Text,
    Csv,
    Json,
    Nagios,
    Optformat,
}

/// What the command line said.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub config_file: Option<String>,
    pub dry_run: bool,
    pub force: bool,
    pub pg_bindir: Option<String>,
    pub wait: Option<Option<u32>>,
    pub no_wait: bool,
    pub compact: bool,
    pub detail: bool,
    pub dbname: Option<String>,
    pub host: Option<String>,
    pub port: Option<String>,
    pub username: Option<String>,
    pub remote_user: Option<String>,
    pub superuser: Option<String>,
    pub pgdata: Option<String>,
    pub node_id: Option<NodeId>,
    pub node_name: Option<String>,
    pub log_level: Option<String>,
    pub log_to_file: bool,
    pub quiet: bool,
    pub terse: bool,
    pub verbose: bool,
    pub format: ColumnFormat,
    /// `Some("samepath")` or `Some("pgdata")`.
    pub copy_external_config_files: Option<String>,
    pub fast_checkpoint: bool,
    pub no_upstream_connection: bool,
    pub replication_user: Option<String>,
    pub upstream_conninfo: Option<String>,
    pub upstream_node_id: Option<NodeId>,
    pub without_barman: bool,
    pub replication_conf_only: bool,
    pub verify_backup: bool,
    pub recovery_min_apply_delay: Option<String>,
    pub wait_start: Option<u32>,
    /// `None`: not given; `Some(None)`: wait for ever; `Some(Some(n))`: n seconds, 0 is off.
    pub wait_sync: Option<Option<u32>>,
    pub siblings_follow: bool,
    pub is_shutdown_cleanly: bool,
    pub all: bool,
    pub event: Option<String>,
    pub limit: Option<u32>,
    pub keep_history: u32,
}
