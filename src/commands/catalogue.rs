//! The commands: nouns, verbs, their aliases, and what each needs.

/// What `repmgr` can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described in the table below")]
pub enum Command {
    PrimaryRegister,
    PrimaryUnregister,
    StandbyClone,
    StandbyRegister,
    StandbyUnregister,
    StandbyPromote,
    StandbyFollow,
    StandbySwitchover,
    WitnessRegister,
    WitnessUnregister,
    NodeStatus,
    NodeCheck,
    NodeRejoin,
    NodeService,
    NodeControl,
    ClusterShow,
    ClusterEvent,
    ClusterCrosscheck,
    ClusterMatrix,
    ClusterCleanup,
    ServiceStatus,
    ServicePause,
    ServiceUnpause,
    DaemonStart,
    DaemonStop,
    WriteRightEnable,
    WriteRightDisable,
    WriteRightShow,
    WriteRightForce,
}

/// What the table says of one command.
#[derive(Debug, Clone, Copy)]
pub struct CommandEntry {
    /// Which one.
    pub command: Command,
    /// The first word.
    pub noun: &'static str,
    /// The second word.
    pub verb: &'static str,
    /// One sentence for help and manual.
    pub purpose: &'static str,
    /// Left out of help and manual.
    pub hidden: bool,
    /// Lines to type, each with what it is for.
    pub examples: &'static [(&'static str, &'static str)],
}

const fn entry(
    command: Command,
    noun: &'static str,
    verb: &'static str,
    purpose: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> CommandEntry {
    CommandEntry {
        command,
        noun,
        verb,
        purpose,
        hidden: false,
        examples,
    }
}

/// The nouns in the order of the help, with their aliases and what they are about.
pub static NOUNS: &[(&str, &[&str], &str)] = &[
    ("primary", &["master"], "register and unregister a primary"),
    ("standby", &[], "clone and manage standbys"),
    ("witness", &[], "register and unregister a witness"),
    ("node", &[], "look at and look after this node"),
    ("cluster", &[], "look at and look after the whole cluster"),
    ("service", &[], "look at and pause the daemons of all nodes"),
    ("daemon", &[], "start and stop the daemon of this node"),
    ("write-right", &[], "let a primary write only with a majority's consent"),
];

/// The commands in the order of the help.
pub static COMMANDS: &[CommandEntry] = &[
    entry(
        Command::PrimaryRegister,
        "primary",
        "register",
        "Creates the repmgr extension if it is missing and records this node as the primary of the cluster.",
        &[
            (
                "After repmgr.conf is written, on the first server",
                "repmgr -f /etc/repmgr.conf primary register",
            ),
            (
                "After conninfo or another setting of the record was changed",
                "repmgr -f /etc/repmgr.conf primary register --force",
            ),
        ],
    ),
    entry(
        Command::PrimaryUnregister,
        "primary",
        "unregister",
        "Removes the record of an inactive primary.",
        &[(
            "A former primary that does not come back, from another node",
            "repmgr -f /etc/repmgr.conf primary unregister --node-id=1",
        )],
    ),
    entry(
        Command::StandbyClone,
        "standby",
        "clone",
        "Makes this node's data directory a copy of another node's, ready to be started as a standby.",
        &[
            (
                "Whether it could succeed",
                "repmgr -f /etc/repmgr.conf -h node1 -U repmgr -d repmgr standby clone --dry-run",
            ),
            (
                "From the server on node1, with its checkpoint made at once",
                "repmgr -f /etc/repmgr.conf -h node1 -U repmgr -d repmgr standby clone --fast-checkpoint",
            ),
            (
                "A standby of node 2 (cascading replication)",
                "repmgr -f /etc/repmgr.conf -h node2 -U repmgr -d repmgr standby clone --upstream-node-id=2",
            ),
        ],
    ),
    entry(
        Command::StandbyRegister,
        "standby",
        "register",
        "Records this node as a standby.",
        &[
            (
                "After the server was cloned and started",
                "repmgr -f /etc/repmgr.conf standby register",
            ),
            (
                "Before it is started",
                "repmgr -f /etc/repmgr.conf standby register --force --wait-start=60",
            ),
        ],
    ),
    entry(
        Command::StandbyUnregister,
        "standby",
        "unregister",
        "Removes the record of a standby; its server goes on running.",
        &[
            (
                "The standby of this host",
                "repmgr -f /etc/repmgr.conf standby unregister",
            ),
            (
                "A standby that is gone, from another node",
                "repmgr -f /etc/repmgr.conf standby unregister --node-id=3",
            ),
        ],
    ),
    entry(
        Command::StandbyPromote,
        "standby",
        "promote",
        "Makes this standby the primary; the former primary must not be running.",
        &[
            (
                "Whether it could succeed",
                "repmgr -f /etc/repmgr.conf standby promote --dry-run",
            ),
            (
                "With all other standbys behind it",
                "repmgr -f /etc/repmgr.conf standby promote --siblings-follow",
            ),
        ],
    ),
    entry(
        Command::StandbyFollow,
        "standby",
        "follow",
        "Attaches this running standby to a new upstream.",
        &[
            (
                "Behind the primary that runs now",
                "repmgr -f /etc/repmgr.conf standby follow",
            ),
            (
                "Behind another standby",
                "repmgr -f /etc/repmgr.conf standby follow --upstream-node-id=2",
            ),
        ],
    ),
    entry(
        Command::StandbySwitchover,
        "standby",
        "switchover",
        "Makes this standby the primary and the running primary a standby.",
        &[
            (
                "Whether it could succeed",
                "repmgr -f /etc/repmgr.conf standby switchover --siblings-follow --dry-run",
            ),
            (
                "On the standby that is to be the primary",
                "repmgr -f /etc/repmgr.conf standby switchover --siblings-follow",
            ),
        ],
    ),
    entry(
        Command::WitnessRegister,
        "witness",
        "register",
        "Records this node's server as a witness of the cluster.",
        &[(
            "On the witness' host, with the primary's address",
            "repmgr -f /etc/repmgr.conf -h node1 -U repmgr -d repmgr witness register",
        )],
    ),
    entry(
        Command::WitnessUnregister,
        "witness",
        "unregister",
        "Removes the record of a witness; its server goes on running.",
        &[(
            "The witness of this host",
            "repmgr -f /etc/repmgr.conf -h node1 -U repmgr -d repmgr witness unregister",
        )],
    ),
    entry(
        Command::NodeStatus,
        "node",
        "status",
        "Shows this node's state and what is wrong with it.",
        &[
            ("This node", "repmgr -f /etc/repmgr.conf node status"),
            ("As JSON", "repmgr -f /etc/repmgr.conf node status --format=json"),
        ],
    ),
    entry(
        Command::NodeCheck,
        "node",
        "check",
        "Checks this node, in forms that monitoring systems read.",
        &[
            ("All checks", "repmgr -f /etc/repmgr.conf node check"),
            (
                "One check, as a plugin of Nagios",
                "repmgr -f /etc/repmgr.conf node check --replication-lag --nagios",
            ),
        ],
    ),
    entry(
        Command::NodeRejoin,
        "node",
        "rejoin",
        "Makes a stopped former primary a standby of the running cluster.",
        &[
            (
                "Whether it could succeed",
                "repmgr -f /etc/repmgr.conf -d 'host=node2 user=repmgr' node rejoin --force-rewind --dry-run",
            ),
            (
                "A former primary, behind the new one on node2",
                "repmgr -f /etc/repmgr.conf -d 'host=node2 user=repmgr' node rejoin --force-rewind",
            ),
        ],
    ),
    entry(
        Command::NodeService,
        "node",
        "service",
        "Shows or runs the commands that start, stop, restart, reload and promote this node's server.",
        &[
            (
                "The commands that would be run",
                "repmgr -f /etc/repmgr.conf node service --list-actions",
            ),
            (
                "A restart, with a checkpoint before it",
                "repmgr -f /etc/repmgr.conf node service --action=restart --checkpoint",
            ),
        ],
    ),
    CommandEntry {
        hidden: true,
        ..entry(
            Command::NodeControl,
            "node",
            "control",
            "Stops or restarts the WAL receiver of this node, for tests.",
            &[],
        )
    },
    entry(
        Command::ClusterShow,
        "cluster",
        "show",
        "Shows all nodes with their state as found now.",
        &[
            ("All nodes", "repmgr -f /etc/repmgr.conf cluster show"),
            ("As JSON", "repmgr -f /etc/repmgr.conf cluster show --format=json"),
        ],
    ),
    entry(
        Command::ClusterEvent,
        "cluster",
        "event",
        "Shows what happened in the cluster, newest first.",
        &[
            ("The last twenty events", "repmgr -f /etc/repmgr.conf cluster event"),
            (
                "All failovers",
                "repmgr -f /etc/repmgr.conf cluster event --event=repmgrd_failover_promote --all",
            ),
        ],
    ),
    entry(
        Command::ClusterCrosscheck,
        "cluster",
        "crosscheck",
        "Shows which node can connect to which, as all nodes together see it.",
        &[(
            "From each node to each node",
            "repmgr -f /etc/repmgr.conf cluster crosscheck",
        )],
    ),
    entry(
        Command::ClusterMatrix,
        "cluster",
        "matrix",
        "Shows which node can connect to which.",
        &[(
            "From each node to each node",
            "repmgr -f /etc/repmgr.conf cluster matrix",
        )],
    ),
    entry(
        Command::ClusterCleanup,
        "cluster",
        "cleanup",
        "Deletes old rows of the monitoring history.",
        &[(
            "All but the last thirty days",
            "repmgr -f /etc/repmgr.conf cluster cleanup --keep-history=30",
        )],
    ),
    entry(
        Command::ServiceStatus,
        "service",
        "status",
        "Shows the daemons of all nodes.",
        &[("The daemons of all nodes", "repmgr -f /etc/repmgr.conf service status")],
    ),
    entry(
        Command::ServicePause,
        "service",
        "pause",
        "Makes all daemons stand still: no failover until unpaused.",
        &[("Before maintenance", "repmgr -f /etc/repmgr.conf service pause")],
    ),
    entry(
        Command::ServiceUnpause,
        "service",
        "unpause",
        "Makes all daemons work again.",
        &[("After maintenance", "repmgr -f /etc/repmgr.conf service unpause")],
    ),
    entry(
        Command::DaemonStart,
        "daemon",
        "start",
        "Starts this node's daemon with repmgrd_service_start_command.",
        &[
            (
                "The command that would be run",
                "repmgr -f /etc/repmgr.conf daemon start --dry-run",
            ),
            ("This node's daemon", "repmgr -f /etc/repmgr.conf daemon start"),
        ],
    ),
    entry(
        Command::DaemonStop,
        "daemon",
        "stop",
        "Stops this node's daemon with repmgrd_service_stop_command.",
        &[("This node's daemon", "repmgr -f /etc/repmgr.conf daemon stop")],
    ),
    entry(
        Command::WriteRightEnable,
        "write-right",
        "enable",
        "Checks all nodes and switches the right to write on, in a running cluster.",
        &[
            (
                "Whether all nodes are able to vote",
                "repmgr -f /etc/repmgr.conf write-right enable --dry-run",
            ),
            (
                "From now on a primary that is cut off commits nothing",
                "repmgr -f /etc/repmgr.conf write-right enable",
            ),
        ],
    ),
    entry(
        Command::WriteRightDisable,
        "write-right",
        "disable",
        "Switches the right to write off: a primary may write again whatever the others say.",
        &[("Without it again", "repmgr -f /etc/repmgr.conf write-right disable")],
    ),
    entry(
        Command::WriteRightShow,
        "write-right",
        "show",
        "Shows who holds the right to write, as each node sees it.",
        &[
            ("All voters", "repmgr -f /etc/repmgr.conf write-right show"),
            ("As JSON", "repmgr -f /etc/repmgr.conf write-right show --format=json"),
        ],
    ),
    entry(
        Command::WriteRightForce,
        "write-right",
        "force",
        "Gives nodes up for good, so that those that remain grant the right to write without a majority of all.",
        &[
            (
                "Nodes 2 and 3 are lost: what that means, on the node that is to write",
                "repmgr -f /etc/repmgr.conf write-right force --give-up=2,3",
            ),
            (
                "And now in earnest",
                "repmgr -f /etc/repmgr.conf write-right force --give-up=2,3 --force",
            ),
        ],
    ),
];

/// The noun that a word means, in any case and by its aliases.
pub fn noun(word: &str) -> Option<&'static str> {
    NOUNS
        .iter()
        .find(|(noun, aliases, _)| {
            noun.eq_ignore_ascii_case(word) || aliases.iter().any(|alias| alias.eq_ignore_ascii_case(word))
        })
        .map(|(noun, _, _)| *noun)
}

/// The verbs of a noun that are shown.
pub fn verbs_of(noun: &str) -> impl Iterator<Item = &'static str> {
    COMMANDS
        .iter()
        .filter(move |entry| entry.noun == noun && !entry.hidden)
        .map(|entry| entry.verb)
}

/// The command that a noun (as [`noun`] gives it) and a verb word mean.
pub fn command(noun: &str, verb: &str) -> Option<Command> {
    let verb = verb.to_ascii_lowercase();
    let (noun, verb) = match (noun, verb.as_str()) {
        ("primary" | "standby", "check" | "status") => ("node", verb.as_str()),
        ("daemon", "status" | "pause" | "unpause") => ("service", verb.as_str()),
        ("cluster", "events") => ("cluster", "event"),
        (noun, verb) => (noun, verb),
    };
    COMMANDS
        .iter()
        .find(|entry| entry.noun == noun && entry.verb == verb)
        .map(|entry| entry.command)
}

impl Command {
    /// Its row of the table.
    pub fn entry(self) -> &'static CommandEntry {
        COMMANDS
            .iter()
            .find(|entry| entry.command == self)
            .expect("every command has a row")
    }

    /// Noun and verb in capitals, as messages name a command.
    pub fn title(self) -> String {
        let entry = self.entry();
        format!("{} {}", entry.noun, entry.verb).to_uppercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_any_case_and_by_their_aliases() {
        let resolve = |first: &str, second: &str| noun(first).and_then(|noun| command(noun, second));
        assert_eq!(resolve("MASTER", "Register"), Some(Command::PrimaryRegister));
        assert_eq!(resolve("cluster", "events"), Some(Command::ClusterEvent));
        assert_eq!(resolve("Daemon", "unpause"), Some(Command::ServiceUnpause));
        assert_eq!(resolve("daemon", "stop"), Some(Command::DaemonStop));
        assert_eq!(resolve("standby", "status"), Some(Command::NodeStatus));
        assert_eq!(resolve("master", "check"), Some(Command::NodeCheck));
        assert_eq!(resolve("witness", "status"), None);
        assert_eq!(resolve("node", "archive-config"), None);
        assert_eq!(noun("bdr"), None);
    }

    #[test]
    fn every_command_has_one_row_and_a_known_noun() {
        for row in COMMANDS {
            assert_eq!(COMMANDS.iter().filter(|other| other.command == row.command).count(), 1);
            assert_eq!(noun(row.noun), Some(row.noun));
            assert_eq!(command(row.noun, row.verb), Some(row.command));
            assert_eq!(row.examples.is_empty(), row.hidden, "{} {}", row.noun, row.verb);
        }
    }
}
