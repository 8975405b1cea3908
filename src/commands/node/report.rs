//! What `node status` shows, and what it finds wrong. Pure.

use serde::Serialize;

use crate::commands::ColumnFormat;
use crate::metadata::NodeRecord;
use crate::output::{self, CheckStatus};
use crate::postgres::PhysicalSlot;
use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

/// The replication slots of the node's server.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    /// `max_replication_slots`.
    pub max: i64,
    /// Those that are there, by name.
    pub present: Vec<PhysicalSlot>,
    /// Those that its downstream nodes need and that are not there: whose, and the slot's name.
    pub missing: Vec<(String, String)>,
}

impl Slots {
    fn inactive(&self) -> Vec<&str> {
        let inactive = self.present.iter().filter(|slot| !slot.active);
        inactive.map(|slot| slot.name.as_str()).collect()
    }

    fn line(&self) -> String {
        if self.max == 0 {
            return "disabled".to_owned();
        }
        let (present, max, missing) = (self.present.len(), self.max, self.missing.len());
        let mut text = format!("{present} physical (of maximal {max}; {missing} missing)");
        let inactive = self.inactive().len();
        if inactive > 0 {
            text.push_str(&format!("; {inactive} inactive"));
        }
        text
    }
}

/// What was found out about the node.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its record.
    pub own: NodeRecord,
    /// Such as `15.18`.
    pub version: String,
    /// `None`: the role may not see it.
    pub data_size: Option<String>,
    /// Of pg_control; asked for only with `--verbose`.
    pub system_identifier: Option<String>,
    /// What the server says of itself.
    pub recovery: RecoveryState,
    /// `off`, `on` or `always`.
    pub archive_mode: String,
    /// `None`: the role may not see it.
    pub archive_command: Option<String>,
    /// Files that wait to be archived; `None`: the directory cannot be read.
    pub archive_ready: Option<usize>,
    /// Walsenders at work.
    pub walsenders: i64,
    /// `max_wal_senders`.
    pub max_walsenders: i64,
    /// Replication slots.
    pub slots: Slots,
    /// A standby's registered upstream.
    pub upstream: Option<(NodeId, String)>,
    /// A standby's lag in seconds.
    pub lag: Option<i64>,
    /// What a standby has received.
    pub received: Option<Lsn>,
    /// What a standby has replayed.
    pub replayed: Option<Lsn>,
    /// The downstream nodes that do not stream.
    pub detached: Vec<String>,
}

impl Report {
    /// The result in a form; `verbose` adds the system identifier.
    pub fn render(&self, format: ColumnFormat, verbose: bool) -> String {
        match format {
            ColumnFormat::Text => self.text(verbose),
            ColumnFormat::Csv => self.csv(verbose),
            ColumnFormat::Json => self.json(verbose),
            ColumnFormat::Nagios => {
                let issues = self.issues(verbose);
                if issues.is_empty() {
                    output::nagios_line("REPMGR_NODE_STATUS", CheckStatus::Ok, "no problems", "")
                } else {
                    output::nagios_line("REPMGR_NODE_STATUS", CheckStatus::Critical, &issues.join("; "), "")
                }
            }
            ColumnFormat::Optformat => output::optformat_line(&[
                ("status", self.status().as_str().to_owned()),
                ("node-id", self.own.node_id.to_string()),
                ("role", self.own.node_type.to_string()),
            ]),
        }
    }

    fn status(&self) -> CheckStatus {
        if self.issues(false).is_empty() {
            CheckStatus::Ok
        } else {
            CheckStatus::Critical
        }
    }

    fn is_standby(&self) -> bool {
        self.own.node_type == NodeType::Standby
    }

    fn archiving(&self) -> &'static str {
        match self.archive_mode.as_str() {
            "off" => "off",
            "on" if self.recovery == RecoveryState::Standby => {
                "disabled (on standbys \"archive_mode\" must be set to \"always\" to be effective)"
            }
            _ => "enabled",
        }
    }

    fn archive_command(&self) -> &str {
        if self.archive_mode == "off" {
            return "(none)";
        }
        self.archive_command.as_deref().unwrap_or("unknown")
    }

    fn replication_connections(&self) -> String {
        format!("{} (of maximal {})", self.walsenders, self.max_walsenders)
    }

    fn upstream(&self) -> String {
        self.upstream
            .as_ref()
            .map_or_else(|| "(none)".to_owned(), |(id, name)| format!("{name} (ID: {id})"))
    }

    fn lag(&self) -> String {
        match self.lag {
            Some(seconds) if self.is_standby() => format!("{seconds} seconds"),
            _ => "n/a".to_owned(),
        }
    }

    /// Keys and values in the original's order.
    fn lines(&self, verbose: bool, csv: bool) -> Vec<(&'static str, String)> {
        let lsn = |lsn: Option<Lsn>| lsn.map_or_else(|| "(none)".to_owned(), |lsn| lsn.to_string());
        let mut lines = vec![
            ("PostgreSQL version", self.version.clone()),
            ("Total data size", self.data_size.clone().unwrap_or_else(unknown)),
            ("Conninfo", crate::conninfo::redact(&self.own.conninfo)),
        ];
        if verbose {
            lines.push((
                "System identifier",
                self.system_identifier.clone().unwrap_or_else(unknown),
            ));
        }
        lines.push(("Role", self.own.node_type.to_string()));
        lines.push(("WAL archiving", self.archiving().to_owned()));
        lines.push(("Archive command", self.archive_command().to_owned()));
        match self.archive_ready {
            Some(files) if csv => lines.push(("WALs pending archiving", files.to_string())),
            Some(files) if self.archive_mode != "off" => {
                lines.push(("WALs pending archiving", format!("{files} pending files")));
            }
            _ => {}
        }
        lines.push(("Replication connections", self.replication_connections()));
        lines.push(("Replication slots", self.slots.line()));
        if csv || self.is_standby() {
            lines.push(("Upstream node", self.upstream()));
        }
        lines.push(("Replication lag", self.lag()));
        if csv || self.is_standby() {
            lines.push(("Last received LSN", lsn(self.received.filter(|_| self.is_standby()))));
            lines.push(("Last replayed LSN", lsn(self.replayed.filter(|_| self.is_standby()))));
        }
        lines
    }

    fn text(&self, verbose: bool) -> String {
        let mut text = format!("Node \"{}\":\n", self.own.node_name);
        for (key, value) in self.lines(verbose, false) {
            text.push_str(&format!("\t{key}: {value}\n"));
        }
        text.push('\n');
        text
    }

    fn csv(&self, verbose: bool) -> String {
        let mut text = format!(
            "\"Node name\",\"{}\"\n\"Node ID\",\"{}\"\n",
            self.own.node_name, self.own.node_id
        );
        for (key, value) in self.lines(verbose, true) {
            text.push_str(&format!("\"{key}\",\"{value}\"\n"));
        }
        let inactive = self.slots.inactive();
        let missing: Vec<&str> = self.slots.missing.iter().map(|(_, slot)| slot.as_str()).collect();
        let active = self.slots.present.len() - inactive.len();
        text.push_str(&format!("\"max_wal_senders\",{}\n", self.max_walsenders));
        text.push_str(&format!("\"occupied_wal_senders\",{}\n", self.walsenders));
        text.push_str(&format!("\"max_replication_slots\",{}\n", self.slots.max));
        text.push_str(&format!("\"active_replication_slots\",{active}\n"));
        for (key, names) in [("inactive", inactive), ("missing", missing)] {
            text.push_str(&format!("\"{key}_replication_slots\",{}", names.len()));
            for name in names {
                text.push_str(&format!(",\"{name}\""));
            }
            text.push('\n');
        }
        text
    }

    /// What is wrong with the node.
    pub fn issues(&self, verbose: bool) -> Vec<String> {
        let mut issues = Vec::new();
        match (self.own.node_type, self.recovery) {
            (NodeType::Primary, RecoveryState::Standby) => {
                issues.push("node is registered as primary but running as standby".to_owned());
            }
            (NodeType::Standby, RecoveryState::Primary) => {
                issues.push("node is registered as standby but running as primary".to_owned());
            }
            _ => {}
        }
        if verbose && self.system_identifier.is_none() {
            issues.push("the system identifier could not be read from pg_control".to_owned());
        }
        if self.archive_ready.is_none() {
            issues.push("the number of files that wait to be archived could not be determined".to_owned());
        }
        if !self.detached.is_empty() {
            let (number, list) = (self.detached.len(), self.detached.join(", "));
            issues.push(format!("{number} downstream node(s) not attached: {list}"));
        }
        for (node, slot) in &self.slots.missing {
            issues.push(format!("replication slot \"{slot}\" of {node} is missing"));
        }
        let inactive = self.slots.inactive();
        if !inactive.is_empty() {
            let (number, list) = (inactive.len(), inactive.join(", "));
            issues.push(format!("{number} inactive physical replication slot(s): {list}"));
        }
        issues
    }

    fn json(&self, verbose: bool) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            ok: bool,
            node_id: i32,
            node_name: &'a str,
            #[serde(rename = "type")]
            node_type: String,
            recovery: Option<bool>,
            postgresql_version: &'a str,
            total_data_size: Option<&'a str>,
            conninfo: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            system_identifier: Option<&'a str>,
            archive_mode: &'a str,
            archive_command: Option<&'a str>,
            archive_ready_files: Option<usize>,
            walsenders: Usage,
            replication_slots: SlotsJson<'a>,
            upstream: Option<Upstream<'a>>,
            replication_lag_seconds: Option<i64>,
            last_received_lsn: Option<String>,
            last_replayed_lsn: Option<String>,
            issues: Vec<String>,
        }
        #[derive(Serialize)]
        struct Usage {
            used: i64,
            max: i64,
        }
        #[derive(Serialize)]
        struct SlotsJson<'a> {
            max: i64,
            active: Vec<&'a str>,
            inactive: Vec<&'a str>,
            missing: Vec<&'a str>,
        }
        #[derive(Serialize)]
        struct Upstream<'a> {
            node_id: i32,
            node_name: &'a str,
        }
        let issues = self.issues(verbose);
        let active = self.slots.present.iter().filter(|slot| slot.active);
        output::json(&Document {
            ok: issues.is_empty(),
            node_id: self.own.node_id.0,
            node_name: &self.own.node_name,
            node_type: self.own.node_type.to_string(),
            recovery: match self.recovery {
                RecoveryState::Primary => Some(false),
                RecoveryState::Standby => Some(true),
                RecoveryState::Unknown => None,
            },
            postgresql_version: &self.version,
            total_data_size: self.data_size.as_deref(),
            conninfo: crate::conninfo::redact(&self.own.conninfo),
            system_identifier: self.system_identifier.as_deref(),
            archive_mode: &self.archive_mode,
            archive_command: self.archive_command.as_deref(),
            archive_ready_files: self.archive_ready,
            walsenders: Usage {
                used: self.walsenders,
                max: self.max_walsenders,
            },
            replication_slots: SlotsJson {
                max: self.slots.max,
                active: active.map(|slot| slot.name.as_str()).collect(),
                inactive: self.slots.inactive(),
                missing: self.slots.missing.iter().map(|(_, slot)| slot.as_str()).collect(),
            },
            upstream: self.upstream.as_ref().map(|(id, name)| Upstream {
                node_id: id.0,
                node_name: name,
            }),
            replication_lag_seconds: self.lag,
            last_received_lsn: self.received.map(|lsn| lsn.to_string()),
            last_replayed_lsn: self.replayed.map(|lsn| lsn.to_string()),
            issues,
        })
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, active: bool) -> PhysicalSlot {
        PhysicalSlot {
            name: name.to_owned(),
            active,
        }
    }

    fn primary() -> Report {
        Report {
            own: NodeRecord {
                node_id: NodeId(1),
                upstream_node_id: None,
                active: true,
                node_name: "node1".to_owned(),
                node_type: NodeType::Primary,
                location: "default".to_owned(),
                priority: 100,
                conninfo: "host=node1 user=repmgr dbname=repmgr connect_timeout=2".to_owned(),
                repluser: "repmgr".to_owned(),
                slot_name: None,
                config_file: String::new(),
            },
            version: "15.20".to_owned(),
            data_size: Some("30 MB".to_owned()),
            system_identifier: None,
            recovery: RecoveryState::Primary,
            archive_mode: "off".to_owned(),
            archive_command: Some("(disabled)".to_owned()),
            archive_ready: Some(0),
            walsenders: 2,
            max_walsenders: 10,
            slots: Slots {
                max: 10,
                present: vec![slot("bar", false), slot("foo", false)],
                missing: vec![
                    ("node \"node3\" (ID: 3)".to_owned(), "repmgr_slot_3".to_owned()),
                    ("node \"node2\" (ID: 2)".to_owned(), "repmgr_slot_2".to_owned()),
                ],
            },
            upstream: None,
            lag: None,
            received: None,
            replayed: None,
            detached: vec!["node \"node2\" (ID: 2)".to_owned()],
        }
    }

    fn standby() -> Report {
        let mut report = primary();
        report.own.node_type = NodeType::Standby;
        report.recovery = RecoveryState::Standby;
        report.archive_mode = "on".to_owned();
        report.archive_command = Some("cp %p /archive".to_owned());
        report.archive_ready = Some(3);
        report.slots = Slots::default();
        report.upstream = Some((NodeId(2), "node2".to_owned()));
        report.lag = Some(4);
        report.received = Some(Lsn(0x500_0728));
        report.replayed = Some(Lsn(0x500_0700));
        report.detached = Vec::new();
        report
    }

    #[test]
    fn csv_of_a_primary() {
        insta::assert_snapshot!(primary().render(ColumnFormat::Csv, false), @r#"
        "Node name","node1"
        "Node ID","1"
        "PostgreSQL version","15.20"
        "Total data size","30 MB"
        "Conninfo","host=node1 user=repmgr dbname=repmgr connect_timeout=2"
        "Role","primary"
        "WAL archiving","off"
        "Archive command","(none)"
        "WALs pending archiving","0"
        "Replication connections","2 (of maximal 10)"
        "Replication slots","2 physical (of maximal 10; 2 missing); 2 inactive"
        "Upstream node","(none)"
        "Replication lag","n/a"
        "Last received LSN","(none)"
        "Last replayed LSN","(none)"
        "max_wal_senders",10
        "occupied_wal_senders",2
        "max_replication_slots",10
        "active_replication_slots",0
        "inactive_replication_slots",2,"bar","foo"
        "missing_replication_slots",2,"repmgr_slot_3","repmgr_slot_2"
        "#);
    }

    #[test]
    fn text_of_a_standby() {
        insta::assert_snapshot!(standby().render(ColumnFormat::Text, true).replace('\t', ">"), @r#"
        Node "node1":
        >PostgreSQL version: 15.20
        >Total data size: 30 MB
        >Conninfo: host=node1 user=repmgr dbname=repmgr connect_timeout=2
        >System identifier: unknown
        >Role: standby
        >WAL archiving: disabled (on standbys "archive_mode" must be set to "always" to be effective)
        >Archive command: cp %p /archive
        >WALs pending archiving: 3 pending files
        >Replication connections: 2 (of maximal 10)
        >Replication slots: disabled
        >Upstream node: node2 (ID: 2)
        >Replication lag: 4 seconds
        >Last received LSN: 0/5000728
        >Last replayed LSN: 0/5000700
        "#);
    }

    #[test]
    fn json_document() {
        let document = primary().render(ColumnFormat::Json, false);
        assert!(include_str!("../../../docs/json.md").contains(&document));
        insta::assert_snapshot!(document);
    }

    #[test]
    fn issues_of_a_primary() {
        insta::assert_snapshot!(primary().issues(true).join("\n"), @r#"
        the system identifier could not be read from pg_control
        1 downstream node(s) not attached: node "node2" (ID: 2)
        replication slot "repmgr_slot_3" of node "node3" (ID: 3) is missing
        replication slot "repmgr_slot_2" of node "node2" (ID: 2) is missing
        2 inactive physical replication slot(s): bar, foo
        "#);
        assert_eq!(standby().issues(false), Vec::<String>::new());
    }

    #[test]
    fn a_role_that_is_not_the_registered_one_is_an_issue() {
        let mut report = standby();
        report.recovery = RecoveryState::Primary;
        assert_eq!(report.issues(false).len(), 1);
        report.archive_ready = None;
        assert_eq!(report.issues(false).len(), 2);
        assert!(!report.text(false).contains("WALs pending"));
    }
}
