//! What `cluster show` and `service status` have in common: all nodes, asked
//! at the same time, each with its verdict.

use std::time::Duration;

use serde::Serialize;

use crate::commands::connecting::unanswered;
use crate::commands::{ColumnFormat, Context, Options, write_right};
use crate::config::WriteRight;
use crate::error::{Error, Result};
use crate::etcd::Standing;
use crate::exit_code::ExitCode;
use crate::metadata::Attachment;
use crate::metadata::write_right::Vote;
use crate::metadata::{NodeRecord, nodes};
use crate::output::{self, CheckStatus};
use crate::postgres::{Connection, Deadlines};
use crate::survey::{self, Attached, Observation, Reachability, Subject, Verdict};
use crate::types::{NodeId, RecoveryState};

/// A node that answers, answers at once; one that hangs must not hold up the table.
const QUERY_LIMIT: Duration = Duration::from_secs(10);

/// Who votes where etcd grants the right, and what is said if it gives no answer that can be used.
const ETCD: &str = "etcd";
const ETCD_UNKNOWN: &str = "etcd: unknown";

/// The limits for connections to many nodes.
pub fn deadlines() -> Deadlines {
    Deadlines {
        query: QUERY_LIMIT,
        ..Deadlines::default()
    }
}

/// All node records, of which there must be some.
pub async fn records(connection: &Connection) -> Result<Vec<NodeRecord>> {
    let records = nodes::all(connection)
        .await
        .map_err(|error| unanswered(ExitCode::BadConfig, "read the node records", &error))?;
    if records.is_empty() {
        return Err(Error::bad_config("no node records were found")
            .hint("register the primary with \"repmgr primary register\""));
    }
    Ok(records)
}

/// All nodes and what is thought of them.
#[derive(Debug, Clone)]
pub struct Overview {
    /// By id.
    pub nodes: Vec<(Observation, Verdict)>,
}

impl Overview {
    /// Asks all nodes that `connection` has records of; for the right to write only where it is configured.
    pub async fn ask(context: &Context, connection: Connection, daemons: bool) -> Result<Overview> {
        let records = records(&connection).await?;
        let subject = Subject {
            daemons,
            right: context.config.write_right != WriteRight::Off,
        };
        let etcd = write_right::etcd(context, &connection).await.transpose();
        let (mut observations, granted) = tokio::join!(
            survey::probe(records, Some(connection), subject, deadlines()),
            write_right::granted_by(etcd)
        );
        if let Some(granted) = granted {
            let rights = observations.iter_mut().filter_map(|node| node.right.as_mut());
            rights.for_each(|right| *right = as_etcd_sees_it(right.own_left, granted.as_ref().ok()));
        }
        Ok(Overview::judge(observations, context.options.verbose))
    }

    /// Judges what was seen.
    pub fn judge(observations: Vec<Observation>, reasons: bool) -> Overview {
        let verdicts: Vec<Verdict> = {
            let records: Vec<&NodeRecord> = observations.iter().map(|node| &node.record).collect();
            let judge = |node| survey::verdict(node, &records, reasons);
            observations.iter().map(judge).collect()
        };
        Overview {
            nodes: observations.into_iter().zip(verdicts).collect(),
        }
    }

    /// Whether nothing is wrong with any node.
    pub fn is_good(&self) -> bool {
        self.nodes.iter().all(|(_, verdict)| verdict.is_good())
    }

    fn warnings(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().flat_map(|(_, verdict)| &verdict.warnings)
    }

    fn some_unreachable(&self) -> bool {
        self.nodes.iter().any(|(node, _)| node.reachability != Reachability::Up)
    }

    /// Prints the result, and below a text table what is wrong.
    pub fn print(&self, result: &str, options: &Options) {
        output::print(result);
        if options.format == ColumnFormat::Text {
            self.report_warnings(options.terse, options.verbose);
        }
    }

    /// The JSON document: each node with what `more` adds to it.
    pub fn json<T: Serialize>(&self, more: impl Fn(&Observation) -> T) -> String {
        #[derive(Serialize)]
        struct Document<T> {
            ok: bool,
            nodes: Vec<Row<T>>,
        }
        #[derive(Serialize)]
        struct Row<T> {
            #[serde(flatten)]
            node: NodeJson,
            #[serde(flatten)]
            more: T,
        }
        let row = |(node, verdict): &(Observation, Verdict)| Row {
            node: NodeJson::of(node, verdict, self),
            more: more(node),
        };
        output::json(&Document {
            ok: self.is_good(),
            nodes: self.nodes.iter().map(row).collect(),
        })
    }

    fn report_warnings(&self, terse: bool, verbose: bool) {
        let items: Vec<String> = self.warnings().map(|warning| format!("  - {warning}")).collect();
        if terse || items.is_empty() {
            return;
        }
        output::print("\n");
        crate::warning!("following issues were detected\n{}", items.join("\n"));
        if self.some_unreachable() && !verbose {
            crate::hint!("with -v/--verbose the reasons of failed connections are shown");
        }
    }

    /// For the Nagios form: a status and one sentence.
    pub fn summary(&self) -> (CheckStatus, String) {
        let bad = self.nodes.iter().filter(|(_, verdict)| !verdict.is_good()).count();
        if bad == 0 {
            return (
                CheckStatus::Ok,
                format!("{} nodes are as they should be", self.nodes.len()),
            );
        }
        let reasons: Vec<&str> = self.warnings().map(String::as_str).collect();
        let text = format!(
            "{bad} of {} nodes have problems: {}",
            self.nodes.len(),
            reasons.join("; ")
        );
        (CheckStatus::Critical, text.replace(['\n', '|'], " "))
    }
}

/// Where etcd grants the right, no node votes: etcd is the one voter of all.
fn as_etcd_sees_it(own_left: u64, standing: Option<&Standing>) -> Vote {
    let holder = standing.and_then(Standing::holder);
    let last = standing.and_then(|standing| standing.seen.last).map(|entry| entry.kept);
    let left = standing.and_then(|standing| standing.left).unwrap_or(0);
    Vote {
        voter: if standing.is_some() { ETCD } else { ETCD_UNKNOWN }.to_owned(),
        holder: holder.or(last).map(|kept| NodeId(kept.node)),
        epoch: holder.or(last).map(|kept| kept.epoch),
        lease_left: holder.map_or(0, |_| left * 1000),
        own_left,
    }
}

/// The cells with which the row of a node begins: ID, Name, Role, Status, Upstream.
pub fn first_cells(node: &Observation, verdict: &Verdict) -> Vec<String> {
    vec![
        node.record.node_id.to_string(),
        node.record.node_name.clone(),
        node.record.node_type.to_string(),
        verdict.status.to_owned(),
        verdict.upstream.clone(),
    ]
}

impl Overview {
    /// The titles of [`Overview::right_cells`]; none where the right to write is not switched on.
    pub fn right_titles(&self) -> &'static [&'static str] {
        match self.nodes.iter().any(|(node, _)| node.right.is_some()) {
            true => &["Holder", "Epoch", "Lease left"],
            false => &[],
        }
    }

    /// Who holds the right to write, in which epoch and for how long, as this node sees it.
    pub fn right_cells(&self, node: &Observation) -> Vec<String> {
        if self.right_titles().is_empty() {
            return Vec::new();
        }
        let Some(right) = &node.right else {
            return vec!["?".to_owned(); 3];
        };
        let name = |id: NodeId| {
            let found = self.nodes.iter().find(|(node, _)| node.record.node_id == id);
            found.map_or_else(|| id.to_string(), |(node, _)| node.record.node_name.clone())
        };
        let left = match right.voter.as_str() {
            "voting" | ETCD if right.lease_left > 0 => seconds(right.lease_left),
            "voting" | ETCD => "-".to_owned(),
            // Why it does not vote.
            other => other.to_owned(),
        };
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        vec![
            or_dash(right.holder.map(name)),
            or_dash(right.epoch.map(|epoch| epoch.to_string())),
            left,
        ]
    }
}

/// Milliseconds as people read them.
pub fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// The right to write as a node sees it, in JSON.
#[derive(Debug, Serialize)]
struct RightJson {
    holder: Option<i32>,
    epoch: Option<u64>,
    lease_left_ms: u64,
    own_left_ms: u64,
    vote: String,
}

/// A node in JSON.
#[derive(Debug, Serialize)]
struct NodeJson {
    node_id: i32,
    node_name: String,
    #[serde(rename = "type")]
    node_type: String,
    active: bool,
    location: String,
    priority: i32,
    upstream_node_id: Option<i32>,
    upstream_node_name: Option<String>,
    reported_upstream_node_id: Option<i32>,
    attached: Option<&'static str>,
    reachability: &'static str,
    recovery: Option<bool>,
    timeline: Option<u32>,
    status: &'static str,
    issues: Vec<String>,
    ok: bool,
    write_right: Option<RightJson>,
}

impl NodeJson {
    fn of(node: &Observation, verdict: &Verdict, overview: &Overview) -> NodeJson {
        let record = &node.record;
        let upstream = overview
            .nodes
            .iter()
            .find(|(other, _)| Some(other.record.node_id) == record.upstream_node_id);
        NodeJson {
            node_id: record.node_id.0,
            node_name: record.node_name.clone(),
            node_type: record.node_type.to_string(),
            active: record.active,
            location: record.location.clone(),
            priority: record.priority,
            upstream_node_id: record.upstream_node_id.map(|id| id.0),
            upstream_node_name: upstream.map(|(other, _)| other.record.node_name.clone()),
            reported_upstream_node_id: node.own.and_then(|own| own.upstream).map(|id| id.0),
            attached: match &node.attached {
                Attached::NotAsked => None,
                Attached::Asked(Attachment::Attached) => Some("attached"),
                Attached::Asked(Attachment::NotAttached { .. }) => Some("not attached"),
                Attached::Asked(Attachment::Detached) => Some("detached"),
                Attached::NoRecord | Attached::NoConnection | Attached::Asked(Attachment::Unknown { .. }) => {
                    Some("unknown")
                }
            },
            reachability: match node.reachability {
                Reachability::Up => "up",
                Reachability::Rejected { .. } => "rejected",
                Reachability::Down { .. } => "down",
            },
            recovery: match node.recovery {
                RecoveryState::Primary => Some(false),
                RecoveryState::Standby => Some(true),
                RecoveryState::Unknown => None,
            },
            timeline: node.timeline.map(|timeline| timeline.0),
            status: verdict.status.trim_start(),
            issues: verdict.warnings.clone(),
            ok: verdict.is_good(),
            write_right: node.right.as_ref().map(|right| RightJson {
                holder: right.holder.map(|id| id.0),
                epoch: right.epoch,
                lease_left_ms: right.lease_left,
                own_left_ms: right.own_left,
                vote: right.voter.clone(),
            }),
        }
    }
}

#[cfg(test)]
pub mod samples {
    //! A cluster in which much is wrong.

    use super::*;
    use crate::survey::{DaemonState, OwnRecord};
    use crate::types::{NodeType, TimelineId};

    fn node(id: i32, node_type: NodeType, upstream: Option<i32>) -> Observation {
        Observation {
            record: NodeRecord {
                node_id: NodeId(id),
                upstream_node_id: upstream.map(NodeId),
                active: true,
                node_name: format!("node{id}"),
                node_type,
                location: "default".to_owned(),
                priority: if node_type == NodeType::Witness { 0 } else { 100 },
                conninfo: format!("host=node{id} dbname=repmgr"),
                repluser: "repmgr".to_owned(),
                slot_name: None,
                config_file: "/etc/repmgr.conf".to_owned(),
            },
            reachability: Reachability::Up,
            recovery: match node_type {
                NodeType::Standby => RecoveryState::Standby,
                _ => RecoveryState::Primary,
            },
            own: Some(OwnRecord {
                node_type,
                upstream: upstream.map(NodeId),
            }),
            timeline: Some(TimelineId(1)),
            replay_paused: false,
            attached: match upstream {
                Some(_) => Attached::Asked(Attachment::Attached),
                None => Attached::NotAsked,
            },
            daemon: DaemonState {
                running: Some(true),
                pid: Some(100 + id),
                paused: Some(false),
                upstream_last_seen: upstream.map(|_| 1),
                library: Some(true),
            },
            right: None,
        }
    }

    /// Primary, standby and witness, all well.
    pub fn good() -> Overview {
        let nodes = vec![
            node(1, NodeType::Primary, None),
            node(2, NodeType::Standby, Some(1)),
            node(4, NodeType::Witness, Some(1)),
        ];
        Overview::judge(nodes, false)
    }

    /// A standby that is not attached; the example in the documentation.
    pub fn documented() -> Overview {
        let mut detached = node(2, NodeType::Standby, Some(1));
        detached.attached = Attached::Asked(Attachment::Detached);
        Overview::judge(vec![node(1, NodeType::Primary, None), detached], false)
    }

    /// Like [`good`], with the right to write: held by the primary, lost by the witness.
    pub fn guarded() -> Overview {
        let mut overview = good();
        for (at, (node, _)) in overview.nodes.iter_mut().enumerate() {
            let lost = node.record.node_type == NodeType::Witness;
            node.right = Some(Vote {
                voter: if lost { "lost" } else { "voting" }.to_owned(),
                holder: (!lost).then_some(NodeId(1)),
                epoch: (!lost).then_some(3),
                lease_left: if lost { 0 } else { 4210 },
                own_left: if at == 0 { 3190 } else { 0 },
            });
        }
        overview
    }

    /// A standby that is down, one that is detached, one whose daemon is paused.
    pub fn bad() -> Overview {
        let mut down = node(2, NodeType::Standby, Some(1));
        down.reachability = Reachability::Down {
            reason: "connection refused".to_owned(),
        };
        down.own = None;
        down.timeline = None;
        down.recovery = RecoveryState::Unknown;
        down.attached = Attached::NotAsked;
        down.daemon = DaemonState::default();
        let mut detached = node(3, NodeType::Standby, Some(1));
        detached.attached = Attached::Asked(Attachment::Detached);
        detached.daemon.running = Some(false);
        detached.daemon.pid = None;
        let mut paused = node(5, NodeType::Standby, Some(1));
        paused.daemon.paused = Some(true);
        paused.timeline = None;
        let nodes = vec![node(1, NodeType::Primary, None), down, detached, paused];
        Overview::judge(nodes, true)
    }
}
