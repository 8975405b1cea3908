//! Several checks together, in every form. Pure.

use serde::Serialize;
use serde_json::{Map, Value};

use super::outcome::Outcome;
use super::{Check, Context};
use crate::output::{self, CheckStatus};

/// What all checks found about a node.
#[derive(Debug, Clone)]
pub struct Report {
    node_id: i32,
    node_name: String,
    outcomes: Vec<(Check, Outcome)>,
}

impl Report {
    pub fn new(context: &Context, node_name: &str, outcomes: Vec<(Check, Outcome)>) -> Report {
        Report {
            node_id: context.config.node_id,
            node_name: node_name.to_owned(),
            outcomes,
        }
    }

    /// The worst of all; what is known to be critical outweighs what is not known.
    pub fn status(&self) -> CheckStatus {
        let weight = |status: &CheckStatus| match status {
            CheckStatus::Ok => 0,
            CheckStatus::Warning => 1,
            CheckStatus::Unknown => 2,
            CheckStatus::Critical => 3,
        };
        let statuses = self.outcomes.iter().map(|(_, outcome)| outcome.status);
        statuses.max_by_key(weight).unwrap_or(CheckStatus::Ok)
    }

    pub fn text(&self) -> String {
        let mut text = format!("Node \"{}\":\n", self.node_name);
        for (check, outcome) in &self.outcomes {
            let details = match outcome.details.as_str() {
                "" => String::new(),
                details => format!(" ({details})"),
            };
            text.push_str(&format!("\t{}: {}{details}\n", check.label(), outcome.status.as_str()));
        }
        text
    }

    /// The original's rows: none for the upstream, whose status counts all the same; no details of lag and archive.
    pub fn csv(&self) -> String {
        let mut text = format!(
            "\"Node name\",\"{}\"\n\"Node ID\",\"{}\"\n",
            self.node_name, self.node_id
        );
        for (check, outcome) in self.outcomes.iter().filter(|(check, _)| *check != Check::Upstream) {
            let details = match check {
                Check::ReplicationLag | Check::ArchiveReady => String::new(),
                _ => format!(",\"{}\"", outcome.details),
            };
            text.push_str(&format!(
                "\"{}\",\"{}\"{details}\n",
                check.label(),
                outcome.status.as_str()
            ));
        }
        text
    }

    /// One line: what is not OK in words, and the numbers behind it.
    pub fn nagios(&self) -> String {
        let bad: Vec<String> = self
            .outcomes
            .iter()
            .filter(|(_, outcome)| outcome.status != CheckStatus::Ok)
            .map(|(check, outcome)| {
                let text = outcome.nagios_text().replace(['\n', '|'], " ");
                format!("{}: {} ({text})", check.label(), outcome.status.as_str())
            })
            .collect();
        let text = if bad.is_empty() {
            format!("{} checks passed", self.outcomes.len())
        } else {
            bad.join("; ")
        };
        let metrics: Vec<&str> = self
            .outcomes
            .iter()
            .map(|(_, outcome)| outcome.metrics.as_str())
            .filter(|metrics| !metrics.is_empty())
            .collect();
        output::nagios_line("REPMGR_NODE", self.status(), &text, &metrics.join(" "))
    }

    /// The original's lines: of the checks that have one, then the name of the node.
    pub fn optformat(&self) -> String {
        let lines: String = self
            .outcomes
            .iter()
            .map(|(_, outcome)| outcome.optformat_line())
            .collect();
        format!("{lines}Node \"{}\":\n", self.node_name)
    }

    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            node_id: i32,
            node_name: &'a str,
            ok: bool,
            status: &'static str,
            checks: Vec<Row<'a>>,
        }
        #[derive(Serialize)]
        struct Row<'a> {
            check: &'static str,
            label: &'static str,
            status: &'static str,
            details: &'a str,
            measures: &'a Map<String, Value>,
        }
        output::json(&Document {
            node_id: self.node_id,
            node_name: &self.node_name,
            ok: self.status() == CheckStatus::Ok,
            status: self.status().as_str(),
            checks: self
                .outcomes
                .iter()
                .map(|(check, outcome)| Row {
                    check: check.option(),
                    label: check.label(),
                    status: outcome.status.as_str(),
                    details: &outcome.details,
                    measures: outcome.measures(),
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let outcome = |status, details: &str| Outcome::new(status, details);
        Report {
            node_id: 2,
            node_name: "node2".to_owned(),
            outcomes: vec![
                (
                    Check::Role,
                    outcome(CheckStatus::Ok, "node is standby")
                        .measure("registered", "standby")
                        .measure("recovery", true),
                ),
                (
                    Check::ReplicationLag,
                    outcome(CheckStatus::Warning, "301 seconds, warning threshold: 300)")
                        .nagios("301 seconds")
                        .metrics("lag=301;300;600")
                        .optformat("--status=WARNING --lag=301 --threshold=300")
                        .measure("lag_seconds", 301)
                        .measure("warning", 300)
                        .measure("critical", 600),
                ),
                (
                    Check::Upstream,
                    outcome(CheckStatus::Critical, "node \"node2\" (ID: 2) is not attached")
                        .measure("upstream_node_id", 1)
                        .measure("upstream_node_name", "node1")
                        .measure("attached", false),
                ),
            ],
        }
    }

    #[test]
    fn text() {
        insta::assert_snapshot!(report().text().replace('\t', ">"), @r#"
        Node "node2":
        >Server role: OK (node is standby)
        >Replication lag: WARNING (301 seconds, warning threshold: 300))
        >Upstream connection: CRITICAL (node "node2" (ID: 2) is not attached)
        "#);
    }

    #[test]
    fn csv_leaves_out_what_the_original_leaves_out() {
        insta::assert_snapshot!(report().csv(), @r#"
        "Node name","node2"
        "Node ID","2"
        "Server role","OK","node is standby"
        "Replication lag","WARNING"
        "#);
    }

    #[test]
    fn nagios() {
        insta::assert_snapshot!(report().nagios(), @r#"REPMGR_NODE CRITICAL: Replication lag: WARNING (301 seconds); Upstream connection: CRITICAL (node "node2" (ID: 2) is not attached) | lag=301;300;600"#);
    }

    #[test]
    fn optformat() {
        insta::assert_snapshot!(report().optformat(), @r#"
        --status=WARNING --lag=301 --threshold=300
        Node "node2":
        "#);
    }

    #[test]
    fn json_document() {
        assert!(include_str!("../../../../docs/json.md").contains(&report().json()));
    }
}
