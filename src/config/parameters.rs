//! The one table of parameters of repmgr.conf.
//!
//! Parsing, defaults, limits, validation, reload, `--dump-config`,
//! `repmgr.conf.sample` and the manual's chapter are made from it. The order
//! is that of `--dump-config`.

use std::path::PathBuf;
use std::time::Duration;

use super::values::Value;

/// What a reload (SIGHUP of the daemon) does with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// Takes effect and is reported.
    Reported,
    /// Takes effect without being reported.
    Silent,
    /// Must not change: the reload is refused.
    Fixed,
    /// Not used by a running daemon.
    Unused,
}

/// Whether the daemon may promote and follow by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailoverMode {
    /// It only watches.
    Manual,
    /// It promotes and follows.
    Automatic,
}

/// How the daemon finds out whether its upstream is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionCheckType {
    /// Ask whether it accepts connections.
    Ping,
    /// Make a new connection.
    Connection,
    /// Run a query on the connection that is kept.
    Query,
}

/// The replication type; only one is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationType {
    /// Streaming replication.
    Physical,
}

/// Whether a primary may write only while it holds a right that the others grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteRight {
    /// It may write, as with the original.
    Off,
    /// A majority of the registered nodes grants it.
    Majority,
    /// etcd grants it.
    Etcd,
}

/// How far a former primary that another node has overtaken may go by itself; each word allows those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejoin {
    /// It is stopped, and a person makes it a standby.
    Manual,
    /// It becomes a standby where that discards nothing.
    Follow,
    /// It is rewound with pg_rewind.
    Rewind,
    /// It is cloned again where a rewind does not help.
    Clone,
}

/// Whether a primary acknowledges a commit before standbys have it. Needs the right to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynchronousMode {
    /// As the server is configured.
    Off,
    /// Not before `synchronous_node_count` standbys have it, as long as so many are there.
    On,
    /// Never before they have it.
    Strict,
}

/// Where a tablespace of the source goes on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablespaceMapping {
    /// Its location on the source.
    pub old: PathBuf,
    /// Its location here.
    pub new: PathBuf,
}

/// Seconds as a parameter's value.
const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer,
    /// Seconds: a whole number, or also a fraction or another unit where the table says so.
    Seconds,
    /// Any text.
    Text,
    /// A file or directory.
    Path,
    /// true or false.
    Boolean,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number with a unit of time.
    Delay,
    /// Names separated by commas; repeating the parameter adds to them.
    List,
    /// `OLDDIR=NEWDIR`; repeating the parameter adds another.
    Mapping,
}

/// What the table says of one parameter, beside its value.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name in the file.
    pub name: &'static str,
    /// The heading it stands under in the sample and the manual.
    pub section: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// What a reload does with it.
    pub reload: Reload,
    /// The lowest value, if it is a number.
    pub min: Option<i32>,
    /// If fractions and units are accepted: the shortest time but 0, in milliseconds.
    pub finest: Option<u64>,
    /// A text must be shorter than this many bytes.
    pub max_bytes: usize,
    /// One or two sentences for the manual.
    pub meaning: &'static str,
}

impl Parameter {
    /// Whether the original does not know it. What reads our output must not meet it before somebody has set it.
    pub fn is_new(&self) -> bool {
        self.section == "Write right"
    }
}

/// The limit of texts that have none of their own.
const MAX_BYTES: usize = 1024;

const fn lowest(limit: &[i32]) -> Option<i32> {
    if limit.is_empty() { None } else { Some(limit[0]) }
}

const fn finest(limit: &[u64]) -> Option<u64> {
    if limit.is_empty() { None } else { Some(limit[0]) }
}

const fn longest(limit: &[usize]) -> usize {
    if limit.is_empty() { MAX_BYTES } else { limit[0] }
}

/// The entry of the table for a name.
pub fn parameter(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

macro_rules! parameters {
    ($($section:literal { $($name:ident: $type:ty = $default:expr, $reload:ident $(, min $min:literal)? $(, finest $finest:literal)? $(, bytes $max:literal)?, $doc:literal;)+ })+) => {
        /// The values of all parameters. An empty string, path or list means "not set".
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config { $($(#[doc = $doc] pub $name: $type,)+)+ }

        impl Default for Config {
            fn default() -> Self { Config { $($($name: $default,)+)+ } }
        }

        /// The table, in the order of `--dump-config`.
        pub static PARAMETERS: &[Parameter] = &[$($(Parameter {
            name: stringify!($name),
            section: $section,
            kind: <$type as Value>::KIND,
            reload: Reload::$reload,
            min: lowest(&[$($min)?]),
            finest: finest(&[$($finest)?]),
            max_bytes: longest(&[$($max)?]),
            meaning: $doc,
        },)+)+];

        impl Config {
            /// Sets a parameter from the text in the file. A warning if the text is probably not understood as it
            /// was meant; an error if it is no value for this parameter.
            pub(super) fn assign(&mut self, parameter: &Parameter, text: &[u8]) -> Result<Option<String>, String> {
                match parameter.name {
                    $($(stringify!($name) => Value::assign(&mut self.$name, text, parameter),)+)+
                    other => unreachable!("\"{other}\" is not in the table of parameters"),
                }
            }

            /// The value of a parameter as `--dump-config` shows it. May hold a password.
            pub(super) fn show(&self, parameter: &Parameter) -> String {
                match parameter.name {
                    $($(stringify!($name) => Value::show(&self.$name),)+)+
                    other => unreachable!("\"{other}\" is not in the table of parameters"),
                }
            }
        }
    };
}

parameters! {
    "Node" {
        node_id: i32 = -1, Fixed, min 1, "The unique number of this node in the cluster.";
        node_name: String = String::new(), Fixed, bytes 64, "The unique name of this node; also the application_name of its WAL receiver, by which it is found in pg_stat_replication.";
        conninfo: String = String::new(), Reported, "How every node of the cluster connects to this one: a connection string or URI.";
        replication_user: String = String::new(), Unused, bytes 64, "The role for replication connections; without it the user in conninfo.";
        data_directory: PathBuf = PathBuf::new(), Unused, "The data directory of this node's server.";
        config_directory: PathBuf = PathBuf::new(), Unused, "Where postgresql.conf is, if not in the data directory.";
        pg_bindir: PathBuf = PathBuf::new(), Unused, "Where PostgreSQL's programs are; without it they are searched in PATH.";
        repmgr_bindir: PathBuf = PathBuf::new(), Unused, "Where repmgr is on the other hosts; without it pg_bindir.";
        replication_type: ReplicationType = ReplicationType::Physical, Unused, "Only physical is supported.";
    }
    "Logging" {
        log_level: String = String::new(), Reported, "DEBUG, INFO, NOTICE, WARNING, ERROR, ALERT, CRIT or EMERG; INFO if not set.";
        log_facility: String = String::new(), Reported, "STDERR, or for syslog LOCAL0 to LOCAL7 or USER.";
        log_file: PathBuf = PathBuf::new(), Reported, "Where the daemon writes its log; reopened at SIGHUP.";
        log_status_interval: Duration = s(300), Reported, min 0, finest 100, "Seconds between two lines of the daemon that say that it is alive; 0 for none.";
    }
    "Cloning and replication" {
        use_replication_slots: bool = false, Unused, "Give each standby a replication slot on its upstream, repmgr_slot_<node_id>.";
        pg_basebackup_options: String = String::new(), Unused, "Added to the command line of pg_basebackup.";
        restore_command: String = String::new(), Unused, "Written to the replication configuration of a clone.";
        tablespace_mapping: Vec<TablespaceMapping> = Vec::new(), Unused, "OLDDIR=NEWDIR: where a tablespace of the source goes on this node. In quotes, a = that belongs to a name is written \\\\=. May be repeated.";
        recovery_min_apply_delay: Option<String> = None, Unused, min 0, "How long this standby waits before it replays a transaction: a number with ms, s, min, h or d.";
        archive_cleanup_command: String = String::new(), Unused, "Written to the replication configuration of a clone.";
        use_primary_conninfo_password: bool = false, Unused, "Write the password from PGPASSWORD into primary_conninfo.";
        passfile: String = String::new(), Unused, "The password file that primary_conninfo names.";
    }
    "Promotion" {
        promote_check_timeout: Duration = s(60), Unused, min 1, "Seconds to wait for a promotion to be completed.";
        promote_check_interval: Duration = s(1), Unused, min 1, "Seconds between two looks whether the promotion is completed.";
    }
    "pg-backup-api" {
        pg_backupapi_backup_id: String = String::new(), Unused, bytes 64, "The Barman backup to restore through pg-backup-api.";
        pg_backupapi_host: String = String::new(), Unused, bytes 64, "The host of pg-backup-api (port 7480), HOST:PORT, or either behind http:// or https://; selects that way of cloning.";
        pg_backupapi_node_name: String = String::new(), Unused, bytes 64, "The Barman server name in pg-backup-api.";
        pg_backupapi_remote_ssh_command: String = String::new(), Unused, "The ssh command with which Barman reaches this host.";
    }
    "Follow, switchover, rejoin" {
        primary_follow_timeout: Duration = s(60), Unused, min 1, "Seconds that standby follow --wait tries to reach the new upstream.";
        standby_follow_timeout: Duration = s(30), Unused, min 1, "Seconds to wait until the standby is attached to its new upstream.";
        standby_follow_restart: bool = false, Unused, "Restart the server on follow where a reload would do.";
        shutdown_check_timeout: Duration = s(60), Unused, min 1, "Seconds to wait in a switchover for the old primary to stop.";
        standby_reconnect_timeout: Duration = s(60), Unused, min 1, "Seconds to wait for a demoted node to accept connections.";
        wal_receive_check_timeout: Duration = s(30), Unused, min 1, "Seconds to wait in a switchover for the last WAL to arrive.";
        node_rejoin_timeout: Duration = s(60), Unused, min 1, "Seconds to wait until a rejoined node is attached.";
    }
    "Checks and witness" {
        archive_ready_warning: i32 = 16, Unused, min 1, "Files waiting to be archived from which node check warns.";
        archive_ready_critical: i32 = 128, Unused, min 1, "Files waiting to be archived from which node check calls it critical.";
        replication_lag_warning: Duration = s(300), Unused, min 1, "Seconds of lag from which node check warns.";
        replication_lag_critical: Duration = s(600), Unused, min 1, "Seconds of lag from which node check calls it critical.";
        witness_sync_interval: Duration = s(15), Silent, min 1, finest 100, "Seconds between two copies of the node records to the witness.";
    }
    "Daemon" {
        failover: FailoverMode = FailoverMode::Manual, Reported, "automatic: the daemon promotes and follows by itself; manual: it only watches.";
        location: String = "default".to_owned(), Unused, "Where this node is, for telling a cut network from a lost primary.";
        priority: i32 = 100, Unused, min 0, "Higher is preferred in an election among equally advanced nodes; 0 is never promoted.";
        promote_command: String = String::new(), Reported, "What the daemon runs to promote this node.";
        follow_command: String = String::new(), Reported, "What the daemon runs to follow a new primary; %n is its node id.";
        monitor_interval_secs: Duration = s(2), Reported, min 1, finest 100, "Seconds between two checks of the upstream.";
        reconnect_attempts: i32 = 6, Reported, min 0, "How often a lost upstream is tried before it is given up.";
        reconnect_interval: Duration = s(10), Reported, min 0, finest 10, "Seconds between two such attempts.";
        monitoring_history: bool = false, Reported, "Write each check to repmgr.monitoring_history.";
        degraded_monitoring_timeout: Option<Duration> = None, Reported, min -1, "Seconds after which a degraded daemon ends; -1 or 0 for never.";
        async_query_timeout: Duration = s(60), Reported, min 0, finest 100, "Seconds to wait for the answer to connection_check_type=query.";
        primary_notification_timeout: Duration = s(60), Reported, min 0, finest 100, "Seconds to wait for the new primary's word after an election.";
        repmgrd_standby_startup_timeout: Duration = s(60), Reported, min 0, finest 100, "Seconds to wait for the own server after following; standby_reconnect_timeout if not set.";
        repmgrd_pid_file: PathBuf = PathBuf::new(), Unused, "The daemon's PID file.";
        repmgrd_exit_on_inactive_node: bool = false, Unused, "Do not start on a node whose record is inactive.";
        standby_disconnect_on_failover: bool = false, Reported, "Stop the WAL receivers before an election.";
        sibling_nodes_disconnect_timeout: Duration = s(30), Reported, min 0, finest 100, "Seconds to wait for the siblings' WAL receivers to stop.";
        connection_check_type: ConnectionCheckType = ConnectionCheckType::Ping, Reported, "ping, connection or query: how the upstream is checked.";
        primary_visibility_consensus: bool = false, Reported, "No failover while another node still sees the primary.";
        always_promote: bool = false, Reported, "Promote even if the upstream of this node is not known.";
        failover_validation_command: String = String::new(), Reported, "Must end with 0 before this node is promoted: %n %a %v %u %t.";
        election_rerun_interval: Duration = s(15), Silent, min 1, finest 100, "Seconds to wait before a vetoed election is run again.";
        child_nodes_check_interval: Duration = s(5), Reported, min 1, finest 100, "Seconds between two checks of the attached standbys.";
        child_nodes_disconnect_min_count: i32 = -1, Reported, min -1, "How many standbys must be missing for child_nodes_disconnect_command.";
        child_nodes_connected_min_count: i32 = -1, Reported, min -1, "How many standbys must be attached; wins over child_nodes_disconnect_min_count.";
        child_nodes_connected_include_witness: bool = false, Reported, "Count the witness among the attached nodes.";
        child_nodes_disconnect_timeout: Duration = s(30), Reported, min 0, finest 100, "Seconds that the standbys must be missing.";
        child_nodes_disconnect_command: String = String::new(), Reported, "What a primary runs when too few standbys are attached; %p is its node id.";
    }
    "Service control" {
        pg_ctl_options: String = String::new(), Unused, "Added to the command line of pg_ctl.";
        service_start_command: String = String::new(), Unused, "Starts the server; without it pg_ctl.";
        service_stop_command: String = String::new(), Unused, "Stops the server; without it pg_ctl.";
        service_restart_command: String = String::new(), Unused, "Restarts the server; without it pg_ctl.";
        service_reload_command: String = String::new(), Unused, "Reloads the server's configuration; without it pg_ctl.";
        service_promote_command: String = String::new(), Unused, "Promotes the server; without it pg_promote() or pg_ctl.";
        repmgrd_service_start_command: String = String::new(), Unused, "Starts the daemon, for daemon start.";
        repmgrd_service_stop_command: String = String::new(), Unused, "Stops the daemon, for daemon stop.";
    }
    "Write right" {
        write_right: WriteRight = WriteRight::Off, Unused, "majority: a primary may commit only while a majority of the registered nodes grants it the right to; etcd: only while etcd does; off: it may always. The same on all nodes.";
        write_right_duration: Duration = s(5), Reported, min 2, finest 2000, "Seconds that the right lasts without being renewed, 2 to 30; it is renewed three times in that time.";
        rejoin: Rejoin = Rejoin::Manual, Reported, "How far a former primary that was overtaken may go by itself to become a standby: manual, follow, rewind (pg_rewind) or clone; each allows those before it. Needs write_right.";
        rejoin_keep: bool = true, Reported, "Put aside what a former primary discards, beside its data directory.";
        synchronous_mode: SynchronousMode = SynchronousMode::Off, Reported, "Whether standbys must have a commit before it is acknowledged: off: as the server is configured; on: as long as enough of them are there; strict: always. Needs \"write_right\"; the same on all nodes.";
        synchronous_node_count: i32 = 1, Reported, min 1, "How many standbys must have a commit with \"synchronous_mode\".";
        etcd_endpoints: Vec<String> = Vec::new(), Unused, "The members of the etcd cluster for write_right=etcd: http://HOST:2379 or https://HOST:2379, with commas between them.";
        etcd_prefix: String = String::new(), Unused, "Below which the keys of this cluster are in etcd; /repmgr/SYSTEM_IDENTIFIER if not set. The same on all nodes, another one for each cluster.";
        etcd_user: String = String::new(), Unused, "The etcd user; without one etcd must let everybody in.";
        etcd_password_file: PathBuf = PathBuf::new(), Unused, "A file with the password of etcd_user.";
        etcd_ca_file: PathBuf = PathBuf::new(), Unused, "The certificates that those of the members must be signed by, in PEM; those of the system if not set.";
        etcd_cert_file: PathBuf = PathBuf::new(), Unused, "The client's certificate for etcd, in PEM.";
        etcd_key_file: PathBuf = PathBuf::new(), Unused, "The key of etcd_cert_file, in PEM; in the same file if not set.";
    }
    "Events" {
        event_notification_command: String = String::new(), Reported, "What is run at each event: %n %e %s %t %d %a %c %p.";
        event_notifications: Vec<String> = Vec::new(), Reported, "The events for which it is run; all if not set.";
    }
    "Barman, rsync, ssh" {
        barman_host: String = String::new(), Unused, "The Barman host, or USER@HOST; selects cloning from Barman.";
        barman_server: String = String::new(), Unused, "The Barman server section.";
        barman_config: String = String::new(), Unused, "Barman's configuration file on its host.";
        rsync_options: String = String::new(), Unused, "Options of rsync for external configuration files; --archive --checksum --compress, with ssh and \"ssh_options\", if not set.";
        ssh_options: String = "-q -o ConnectTimeout=10".to_owned(), Unused, "Options of ssh; setting it replaces the default.";
    }
    "Undocumented" {
        reconnect_loop_sync: bool = false, Silent, "Another pacing of the attempts to reach a lost primary.";
        promote_delay: Duration = s(0), Reported, min 1, finest 10, "Seconds to wait before promoting, for tests.";
        failover_delay: Duration = s(0), Silent, min 1, finest 10, "Seconds to wait before an election, for tests.";
        connection_check_query: String = "SELECT 1".to_owned(), Silent, "The query of connection_check_type=query.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_parameter_once() {
        let of_the_original = PARAMETERS.iter().filter(|parameter| !parameter.is_new());
        assert_eq!(of_the_original.count(), 86);
        for (index, parameter) in PARAMETERS.iter().enumerate() {
            assert!(
                PARAMETERS[..index].iter().all(|other| other.name != parameter.name),
                "{} is there twice",
                parameter.name
            );
        }
    }
}
