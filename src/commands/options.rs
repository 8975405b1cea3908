//! What the command line can say: the values that verbs read.

use crate::types::NodeId;

/// The form of a result on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnFormat {
    /// For people.
    #[default]
    Text,
    /// Comma-separated values, the original's.
    Csv,
    /// One JSON document.
    Json,
    /// One line for Nagios and its kin.
    Nagios,
    /// `--name=value` words, which other nodes' `repmgr` reads.
    Optformat,
}

impl ColumnFormat {
    /// A format by its word.
    pub fn by_name(word: &str) -> Option<ColumnFormat> {
        Some(match word.to_ascii_lowercase().as_str() {
            "text" => ColumnFormat::Text,
            "csv" => ColumnFormat::Csv,
            "json" => ColumnFormat::Json,
            "nagios" => ColumnFormat::Nagios,
            "optformat" => ColumnFormat::Optformat,
            _ => return None,
        })
    }
}

/// What the command line said. What each means is in the table of options.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each is described in the table of options")]
pub struct Options {
    /// The long names of all options that were given, each once.
    pub given: Vec<&'static str>,

    pub help: bool,
    pub version: bool,
    pub version_number: bool,
    pub dump_config: bool,
    pub config_file: Option<String>,
    pub dry_run: bool,
    pub force: bool,
    pub pg_bindir: Option<String>,
    /// `None`: not given; `Some(None)`: given without a number.
    pub wait: Option<Option<u32>>,
    pub no_wait: bool,
    pub compact: bool,
    pub detail: bool,
    pub dbname: Option<String>,
    /// `-h`, or the positional HOST of `standby clone`.
    pub host: Option<String>,
    pub port: Option<String>,
    pub username: Option<String>,
    pub remote_user: Option<String>,
    pub superuser: Option<String>,
    pub without_library: bool,
    pub pgdata: Option<String>,
    pub node_id: Option<NodeId>,
    pub node_name: Option<String>,
    pub remote_node_id: Option<NodeId>,
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
    /// Also put into the configuration.
    pub recovery_min_apply_delay: Option<String>,
    pub wait_start: Option<u32>,
    /// `None`: not given; `Some(None)`: wait for ever; `Some(Some(n))`: n seconds, 0 is off.
    pub wait_sync: Option<Option<u32>>,
    /// Each once was enough.
    pub give_up: Vec<NodeId>,
    pub siblings_follow: bool,
    pub always_promote: bool,
    /// `None`: not given; `Some(None)`: the pg_rewind of the binary directory; `Some(Some(path))`: this one.
    pub force_rewind: Option<Option<String>>,
    pub repmgrd_no_pause: bool,
    pub repmgrd_force_unpause: bool,
    pub is_shutdown_cleanly: bool,
    /// The long names of the checks that `node check` was asked for.
    pub checks: Vec<&'static str>,
    pub config_files: Option<String>,
    pub config_archive_dir: Option<String>,
    pub action: Option<String>,
    pub list_actions: bool,
    pub checkpoint: bool,
    pub all: bool,
    pub event: Option<String>,
    pub limit: Option<u32>,
    pub keep_history: u32,
    pub disable_wal_receiver: bool,
    pub enable_wal_receiver: bool,
}

impl Options {
    /// Whether an option was given, by its long name.
    pub fn is_given(&self, long: &str) -> bool {
        self.given.contains(&long)
    }

    /// Whether any of `-d -h -p -U` was given. The positional HOST does not count.
    pub fn connection_parameters_given(&self) -> bool {
        ["dbname", "host", "port", "username"]
            .iter()
            .any(|long| self.is_given(long))
    }
}
