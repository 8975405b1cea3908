//! The one table of options.
//!
//! The parser, the warnings about options that a command does not take, the
//! help pages and the man pages are made from it.

use super::catalogue::Command;
use super::catalogue::Command::*;
use super::option_entry::{Argument, Group, OptionEntry, option};
use super::options::ColumnFormat;
use crate::types::NodeId;

/// A value that is kept unless it is empty, which means "not given".
fn kept(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

macro_rules! flag {
    ($field:ident) => {
        Argument::Flag(|options| options.$field = true)
    };
}
macro_rules! text {
    ($name:literal, $field:ident) => {
        Argument::Text($name, |options, value| {
            options.$field = kept(value);
            Ok(())
        })
    };
}
macro_rules! node_id {
    ($field:ident) => {
        Argument::Integer("ID", 1, |options, value| options.$field = Some(NodeId(value)))
    };
}
macro_rules! check {
    ($long:literal, $help:literal) => {
        option($long, Argument::Flag(|options| options.checks.push($long)), $help).of(&[NodeCheck])
    };
}

const CONNECTION: &[Command] = &[
    StandbyClone,
    StandbyFollow,
    StandbyRegister,
    WitnessRegister,
    WitnessUnregister,
    ClusterShow,
    ClusterMatrix,
    ClusterCrosscheck,
    NodeRejoin,
];

/// All options, in the order of the help.
pub static OPTIONS: &[OptionEntry] = &[
    option(
        "help",
        flag!(help),
        "Shows this help; after a noun or a verb, that one's.",
    )
    .short('?')
    .group(Group::Help),
    option(
        "version",
        flag!(version),
        "Shows the version; with --verbose also our own.",
    )
    .short('V')
    .group(Group::Help),
    option(
        "version-number",
        flag!(version_number),
        "Shows the version as a number.",
    )
    .group(Group::Help),
    option("config-file", text!("FILE", config_file), "The configuration file.")
        .short('f')
        .group(Group::General),
    option(
        "pg_bindir",
        text!("DIR", pg_bindir),
        "Where PostgreSQL's programs are; wins over repmgr.conf.",
    )
    .short('b')
    .group(Group::General),
    option(
        "force",
        flag!(force),
        "Does what is otherwise refused; each command says what.",
    )
    .short('F')
    .group(Group::General)
    .of(&[
        PrimaryRegister,
        PrimaryUnregister,
        StandbyClone,
        StandbyRegister,
        StandbyUnregister,
        StandbyPromote,
        StandbySwitchover,
        WitnessRegister,
        WitnessUnregister,
        NodeRejoin,
        WriteRightForce,
    ]),
    option(
        "dry-run",
        flag!(dry_run),
        "Checks and shows what would be done; changes nothing.",
    )
    .group(Group::General)
    .only(&[
        PrimaryRegister,
        PrimaryUnregister,
        StandbyClone,
        StandbyRegister,
        StandbyUnregister,
        StandbyFollow,
        StandbySwitchover,
        StandbyPromote,
        WitnessRegister,
        WitnessUnregister,
        NodeRejoin,
        NodeService,
        ClusterCleanup,
        ServicePause,
        ServiceUnpause,
        DaemonStart,
        DaemonStop,
        WriteRightEnable,
        WriteRightDisable,
        WriteRightForce,
    ])
    .tolerated_by(&[ServiceStatus]),
    option(
        "dump-config",
        flag!(dump_config),
        "Shows all configuration parameters as name|value.",
    )
    .group(Group::Hidden),
    option("dbname", text!("NAME", dbname), "Database or connection string.")
        .short('d')
        .group(Group::Connection)
        .only(CONNECTION),
    option("host", text!("HOST", host), "The host to connect to.")
        .short('h')
        .group(Group::Connection)
        .only(CONNECTION),
    option(
        "port",
        Argument::Integer("PORT", 1, |options, value| options.port = Some(value.to_string())),
        "The port to connect to.",
    )
    .short('p')
    .group(Group::Connection)
    .only(CONNECTION),
    option("username", text!("NAME", username), "The role to connect as.")
        .short('U')
        .group(Group::Connection)
        .only(CONNECTION),
    option(
        "remote-user",
        text!("NAME", remote_user),
        "The user for ssh and rsync; without it ssh decides.",
    )
    .short('R')
    .of(&[
        StandbyClone,
        StandbyPromote,
        StandbySwitchover,
        ClusterMatrix,
        ClusterCrosscheck,
    ]),
    option(
        "superuser",
        text!("NAME", superuser),
        "A superuser for what the ordinary role may not do.",
    )
    .short('S')
    .only(&[
        PrimaryRegister,
        StandbyClone,
        StandbySwitchover,
        StandbyFollow,
        WitnessRegister,
        NodeCheck,
        NodeRejoin,
        NodeService,
    ]),
    option(
        "without-library",
        flag!(without_library),
        "Creates repmgr's tables without the extension, where its library cannot be installed on any node.",
    )
    .of(&[PrimaryRegister, WitnessRegister]),
    option(
        "pgdata",
        text!("DIR", pgdata),
        "The data directory, if the configuration file names none.",
    )
    .short('D')
    .only(&[StandbyClone, NodeService])
    .tolerated_by(&[StandbyFollow]),
    option("node-id", node_id!(node_id), "The node meant, by its id.")
        .only(&[
            PrimaryUnregister,
            StandbyUnregister,
            WitnessUnregister,
            ClusterCleanup,
            ClusterEvent,
            ClusterMatrix,
            ClusterCrosscheck,
        ])
        .cleared(|options| options.node_id = None),
    option(
        "node-name",
        Argument::Text("NAME", |options, value| {
            if value.len() >= 64 {
                return Err("a node name has fewer than 64 characters".to_owned());
            }
            options.node_name = kept(value);
            Ok(())
        }),
        "The node meant, by its name.",
    )
    .only(&[StandbyUnregister, ClusterEvent])
    .cleared(|options| options.node_name = None),
    option(
        "remote-node-id",
        node_id!(remote_node_id),
        "The node that asks; for calls between nodes.",
    )
    .group(Group::Hidden),
    option(
        "upstream-node-id",
        node_id!(upstream_node_id),
        "The node that the standby follows.",
    )
    .only(&[StandbyClone, StandbyRegister, StandbyFollow]),
    option(
        "upstream-conninfo",
        text!("CONNINFO", upstream_conninfo),
        "The connection string for primary_conninfo, or of an upstream that is not registered yet.",
    )
    .of(&[StandbyClone, StandbyRegister]),
    option(
        "replication-user",
        text!("NAME", replication_user),
        "The role for replication connections.",
    )
    .only(&[StandbyClone])
    .tolerated_by(&[PrimaryRegister, StandbyRegister]),
    option(
        "copy-external-config-files",
        Argument::OptionalText("samepath|pgdata", |options, value| {
            let destination = match value.unwrap_or("samepath") {
                "samepath" => "samepath",
                "pgdata" | "data_directory" => "pgdata",
                other => return Err(format!("\"{other}\" is neither \"samepath\" nor \"pgdata\"")),
            };
            options.copy_external_config_files = Some(destination.to_owned());
            Ok(())
        }),
        "Copies configuration files outside of the data directory, to the same path (default) or \
     into the data directory.",
    )
    .of(&[StandbyClone]),
    option(
        "fast-checkpoint",
        flag!(fast_checkpoint),
        "Makes the source's checkpoint at full speed.",
    )
    .short('c')
    .of(&[StandbyClone]),
    option(
        "no-upstream-connection",
        flag!(no_upstream_connection),
        "With Barman: does not connect to the upstream.",
    )
    .of(&[StandbyClone]),
    option(
        "without-barman",
        flag!(without_barman),
        "Clones with pg_basebackup even if Barman is configured.",
    )
    .of(&[StandbyClone]),
    option(
        "replication-conf-only",
        flag!(replication_conf_only),
        "Only writes the replication configuration of an existing data directory.",
    )
    .alias("recovery-conf-only")
    .only(&[StandbyClone]),
    option(
        "verify-backup",
        flag!(verify_backup),
        "Verifies the copy with pg_verifybackup.",
    )
    .of(&[StandbyClone]),
    option(
        "recovery-min-apply-delay",
        Argument::Text("DELAY", |options, value| {
            crate::config::check_delay(value)?;
            options.recovery_min_apply_delay = kept(value);
            Ok(())
        }),
        "How long the standby waits before it replays a transaction: a number with ms, s, min, h or d.",
    )
    .of(&[StandbyClone, StandbyFollow, NodeRejoin]),
    option(
        "wait-start",
        Argument::Integer("SECONDS", 0, |options, value| {
            options.wait_start = u32::try_from(value).ok()
        }),
        "How long to wait for the standby to accept connections; 30 seconds by default.",
    )
    .of(&[StandbyRegister]),
    option(
        "wait-sync",
        Argument::OptionalInteger("SECONDS", |options, value| options.wait_sync = Some(value)),
        "Waits until the record has reached the standby; without a number for ever.",
    )
    .of(&[StandbyRegister]),
    option(
        "wait",
        Argument::OptionalInteger("SECONDS", |options, value| options.wait = Some(value)),
        "Waits for a new primary to appear, or for the daemon to have started or stopped.",
    )
    .short('w')
    .only(&[StandbyFollow, DaemonStart, DaemonStop]),
    option("no-wait", flag!(no_wait), "Does not wait for the result.")
        .short('W')
        .only(&[NodeRejoin, DaemonStart, DaemonStop]),
    option(
        "give-up",
        Argument::Text("ID,ID...", |options, value| {
            let ids = value.split(',').map(|id| id.trim().parse().ok().filter(|id| *id > 0));
            let ids: Option<Vec<i32>> = ids.collect();
            options.give_up = ids
                .ok_or("node ids with commas between them are wanted")?
                .into_iter()
                .map(NodeId)
                .collect();
            Ok(())
        }),
        "The nodes that are gone for good and vote no more, by their ids.",
    )
    .only(&[WriteRightForce]),
    option(
        "siblings-follow",
        flag!(siblings_follow),
        "Makes the other standbys of the former primary follow the new one.",
    )
    .only(&[StandbyPromote, StandbySwitchover]),
    option(
        "always-promote",
        flag!(always_promote),
        "Promotes even if this standby lacks WAL that the primary has.",
    )
    .only(&[StandbySwitchover]),
    option(
        "force-rewind",
        Argument::OptionalText("PATH", |options, value| {
            options.force_rewind = Some(value.and_then(kept));
            Ok(())
        }),
        "Runs pg_rewind on the former primary; PATH is that program's.",
    )
    .only(&[StandbySwitchover, NodeRejoin]),
    option(
        "repmgrd-no-pause",
        flag!(repmgrd_no_pause),
        "Does not pause the daemons meanwhile.",
    )
    .only(&[StandbySwitchover]),
    option(
        "repmgrd-force-unpause",
        flag!(repmgrd_force_unpause),
        "Unpauses all daemons afterwards, also those that were paused before.",
    )
    .only(&[StandbySwitchover]),
    option(
        "is-shutdown-cleanly",
        flag!(is_shutdown_cleanly),
        "Shows whether the server was shut down cleanly, without connecting to it.",
    )
    .group(Group::Hidden)
    .only(&[NodeStatus]),
    check!("archive-ready", "Checks the files that wait to be archived."),
    check!("downstream", "Checks that all downstream nodes are attached."),
    check!("upstream", "Checks that this node is attached to its upstream."),
    check!("replication-lag", "Checks the replication lag in seconds."),
    check!("role", "Checks that the server's role is the registered one."),
    check!("slots", "Checks for inactive replication slots."),
    check!("missing-slots", "Checks for missing replication slots."),
    check!("repmgrd", "Checks that the daemon runs and is not paused."),
    check!("synchronous", "Checks that the synchronous standbys are there."),
    check!(
        "data-directory-config",
        "Checks that data_directory in the configuration file is the server's."
    ),
    check!(
        "has-passfile",
        "Checks whether passfile can be used in connection strings."
    )
    .group(Group::Hidden),
    check!(
        "replication-connection",
        "Checks for a replication connection to a remote node."
    )
    .group(Group::Hidden),
    check!(
        "replication-config-owner",
        "Checks who owns the replication configuration."
    )
    .group(Group::Hidden),
    check!("db-connection", "Checks for a database connection.").group(Group::Hidden),
    option(
        "config-files",
        text!("LIST", config_files),
        "Configuration files to keep over pg_rewind, separated by commas.",
    )
    .only(&[NodeRejoin]),
    option(
        "config-archive-dir",
        text!("DIR", config_archive_dir),
        "Where they are kept meanwhile; /tmp by default.",
    )
    .of(&[NodeRejoin]),
    option(
        "action",
        text!("ACTION", action),
        "start, stop, restart, reload or promote.",
    )
    .only(&[NodeService]),
    option(
        "list-actions",
        flag!(list_actions),
        "Shows the commands instead of running one.",
    )
    .of(&[NodeService]),
    option(
        "checkpoint",
        flag!(checkpoint),
        "Makes a checkpoint before the server is stopped or restarted.",
    )
    .of(&[NodeService]),
    option("compact", flag!(compact), "A narrower table.").only(&[ClusterShow, ClusterEvent, ServiceStatus]),
    option("detail", flag!(detail), "Also shows location and priority.").only(&[ServiceStatus]),
    option("all", flag!(all), "Shows all events.").only(&[ClusterEvent]),
    option("event", text!("NAME", event), "Only events of this name.").only(&[ClusterEvent]),
    option(
        "limit",
        Argument::Integer("N", 1, |options, value| options.limit = u32::try_from(value).ok()),
        "How many events to show; 20 by default.",
    )
    .only(&[ClusterEvent]),
    option(
        "keep-history",
        Argument::Integer("DAYS", 0, |options, value| options.keep_history = value.unsigned_abs()),
        "Keeps rows younger than this; 0 by default, which deletes all.",
    )
    .short('k')
    .of(&[ClusterCleanup]),
    option(
        "disable-wal-receiver",
        flag!(disable_wal_receiver),
        "Stops the WAL receiver.",
    )
    .group(Group::Hidden)
    .only(&[NodeControl]),
    option(
        "enable-wal-receiver",
        flag!(enable_wal_receiver),
        "Lets the WAL receiver start again.",
    )
    .group(Group::Hidden)
    .only(&[NodeControl]),
    option(
        "format",
        Argument::Text("FORMAT", |options, value| {
            options.format = ColumnFormat::by_name(value)
                .ok_or_else(|| format!("\"{value}\" is none of text, csv, json, nagios and optformat"))?;
            Ok(())
        }),
        "Form of the result: text, csv, json, nagios, optformat.",
    )
    .group(Group::Output),
    option(
        "csv",
        Argument::Flag(|options| options.format = ColumnFormat::Csv),
        "The same as --format=csv.",
    )
    .group(Group::Output),
    option(
        "nagios",
        Argument::Flag(|options| options.format = ColumnFormat::Nagios),
        "The same as --format=nagios.",
    )
    .group(Group::Output),
    option(
        "optformat",
        Argument::Flag(|options| options.format = ColumnFormat::Optformat),
        "The same as --format=optformat.",
    )
    .group(Group::Output),
    option(
        "log-level",
        Argument::Text("LEVEL", |options, value| {
            if crate::log::Level::by_name(value).is_none() {
                return Err(format!(
                    "\"{value}\" is none of DEBUG, INFO, NOTICE, WARNING, ERROR, ALERT, CRIT and EMERG"
                ));
            }
            options.log_level = kept(value);
            Ok(())
        }),
        "DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.",
    )
    .short('L')
    .group(Group::Output),
    option(
        "log-to-file",
        flag!(log_to_file),
        "Logs where log_facility and log_file say.",
    )
    .group(Group::Output),
    option("quiet", flag!(quiet), "Logs errors only.")
        .short('q')
        .group(Group::Output),
    option(
        "terse",
        flag!(terse),
        "Leaves out DETAIL, HINT, and warnings about options and settings.",
    )
    .short('t')
    .group(Group::Output),
    option("verbose", flag!(verbose), "Logs more.")
        .short('v')
        .group(Group::Output),
    option(
        "check-upstream-config",
        Argument::Flag(|_| ()),
        "Without effect; see --dry-run.",
    )
    .group(Group::Hidden),
    option(
        "remote-config-file",
        Argument::Text("FILE", |_, _| Ok(())),
        "Without effect.",
    )
    .short('C')
    .group(Group::Hidden),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = Vec::new();
        for entry in OPTIONS {
            names.push(entry.long.to_owned());
            names.extend(entry.alias.map(str::to_owned));
            names.extend(entry.short.map(String::from));
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
