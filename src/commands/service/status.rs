//! `repmgr service status`.

use serde::Serialize;

use crate::commands::overview::{Overview, first_cells};
use crate::commands::{ColumnFormat, Context, connecting};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::output::{self, CheckStatus, Table};
use crate::survey::{Observation, Reachability};
use crate::types::{NodeType, RecoveryState};

/// Runs the verb. Problems of nodes are shown and do not change the exit code.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let options = &context.options;
    let connection = connecting::local(context).await?;
    let overview = Overview::ask(context, connection, true).await?;
    let result = match options.format {
        ColumnFormat::Text => table(&overview, options.compact, options.detail),
        ColumnFormat::Csv => overview.nodes.iter().map(|(node, _)| csv(node)).collect(),
        ColumnFormat::Json => json(&overview),
        ColumnFormat::Nagios => {
            let (status, text) = summary(&overview);
            output::nagios_line("REPMGR_SERVICE", status, &text, "")
        }
        ColumnFormat::Optformat => {
            let (status, _) = summary(&overview);
            output::optformat_line(&[("status", status.as_str().to_owned())])
        }
    };
    overview.print(&result, options);
    if options.format == ColumnFormat::Text && !options.terse {
        say_what_is_missing(&overview);
    }
    Ok(ExitCode::Success)
}

/// Names the nodes whose daemons do without the library, and what that means.
fn say_what_is_missing(overview: &Overview) {
    let without = overview
        .nodes
        .iter()
        .filter(|(node, _)| node.daemon.library == Some(false));
    let titles: Vec<String> = without.map(|(node, _)| node.record.title()).collect();
    if titles.is_empty() {
        return;
    }
    crate::warning!("without the repmgr library on its server: {}", titles.join(", "));
    crate::detail!("a daemon of the original there cannot start, and one elsewhere can neither ask nor tell this node");
    crate::detail!("\"service pause\" needs the right to ALTER SYSTEM there");
    crate::hint!("install the library on these hosts; no restart of PostgreSQL is needed, only of repmgrd");
}

/// Whether every daemon runs and none is paused.
fn summary(overview: &Overview) -> (CheckStatus, String) {
    let mut problems = Vec::new();
    for (node, _) in &overview.nodes {
        let name = &node.record.node_name;
        match (node.daemon.running, node.daemon.paused) {
            (Some(true), Some(true)) => problems.push(format!("the daemon of {name} is paused")),
            (Some(true), _) => {}
            (Some(false), _) => problems.push(format!("the daemon of {name} does not run")),
            (None, _) => problems.push(format!("the daemon of {name} is not known")),
        }
    }
    if problems.is_empty() {
        return (CheckStatus::Ok, format!("{} daemons run", overview.nodes.len()));
    }
    (CheckStatus::Critical, problems.join("; "))
}

fn table(overview: &Overview, compact: bool, detail: bool) -> String {
    let mut titles = vec!["ID", "Name", "Role", "Status", "Upstream"];
    if detail {
        titles.extend(["Location", if compact { "Prio." } else { "Priority" }]);
    }
    titles.extend(["repmgrd", "PID", "Paused?"]);
    titles.push(if compact { "Upstr. last" } else { "Upstream last seen" });
    titles.extend(overview.right_titles());
    let mut table = Table::new(titles).with_trailing_blank(true);
    for (node, verdict) in &overview.nodes {
        let record = &node.record;
        let mut row = first_cells(node, verdict);
        if detail {
            row.extend([record.location.clone(), record.priority.to_string()]);
        }
        row.extend(daemon_cells(node, compact));
        row.extend(overview.right_cells(node));
        table.push(row);
    }
    table.render()
}

fn daemon_cells(node: &Observation, compact: bool) -> [String; 4] {
    let unknown = || "n/a".to_owned();
    let daemon = &node.daemon;
    let running = match daemon.running {
        Some(true) => "running".to_owned(),
        Some(false) => "not running".to_owned(),
        None => unknown(),
    };
    let Some(pid) = daemon.pid else {
        return [running, unknown(), unknown(), unknown()];
    };
    let paused = match daemon.paused {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => unknown(),
    };
    let unit = if compact { "sec(s) ago" } else { "second(s) ago" };
    let last_seen = last_seen(node).map_or_else(unknown, |seconds| format!("{seconds} {unit}"));
    [running, pid.to_string(), paused, last_seen]
}

/// How long ago its daemon has seen its upstream. A former standby that was promoted has none, and its server goes on
/// counting.
fn last_seen(node: &Observation) -> Option<i32> {
    let has_upstream = node.recovery == RecoveryState::Standby || node.record.node_type == NodeType::Witness;
    node.daemon.upstream_last_seen.filter(|_| has_upstream)
}

fn csv(node: &Observation) -> String {
    let record = &node.record;
    let daemon = &node.daemon;
    let three = |value: Option<bool>| value.map_or(-1, i32::from).to_string();
    output::csv_line([
        record.node_id.to_string(),
        record.node_name.clone(),
        record.node_type.to_string(),
        i32::from(node.reachability == Reachability::Up).to_string(),
        three(daemon.running),
        daemon.pid.unwrap_or(-1).to_string(),
        three(daemon.paused),
        record.priority.to_string(),
        daemon.pid.and(last_seen(node)).unwrap_or(-1).to_string(),
        record.location.clone(),
    ])
}

fn json(overview: &Overview) -> String {
    #[derive(Serialize)]
    struct More {
        repmgrd: Daemon,
    }
    #[derive(Serialize)]
    struct Daemon {
        running: Option<bool>,
        pid: Option<i32>,
        paused: Option<bool>,
        upstream_last_seen: Option<i32>,
        library: Option<bool>,
    }
    overview.json(|node| More {
        repmgrd: Daemon {
            running: node.daemon.running,
            pid: node.daemon.pid,
            paused: node.daemon.paused,
            upstream_last_seen: last_seen(node),
            library: node.daemon.library,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::overview::samples::{bad, documented, good, guarded};

    #[test]
    fn text() {
        insta::assert_snapshot!(table(&good(), false, false).replace(' ', "."), @r"
        .ID.|.Name..|.Role....|.Status....|.Upstream.|.repmgrd.|.PID.|.Paused?.|.Upstream.last.seen
        ----+-------+---------+-----------+----------+---------+-----+---------+--------------------
        .1..|.node1.|.primary.|.*.running.|..........|.running.|.101.|.no......|.n/a................
        .2..|.node2.|.standby.|...running.|.node1....|.running.|.102.|.no......|.1.second(s).ago....
        .4..|.node4.|.witness.|.*.running.|.node1....|.running.|.104.|.no......|.1.second(s).ago....
        ");
        insta::assert_snapshot!(table(&bad(), false, true), @r"
         ID | Name  | Role    | Status        | Upstream | Location | Priority | repmgrd     | PID | Paused? | Upstream last seen
        ----+-------+---------+---------------+----------+----------+----------+-------------+-----+---------+--------------------
         1  | node1 | primary | * running     |          | default  | 100      | running     | 101 | no      | n/a                
         2  | node2 | standby | ? unreachable | ? node1  | default  | 100      | n/a         | n/a | n/a     | n/a                
         3  | node3 | standby |   running     | ! node1  | default  | 100      | not running | n/a | n/a     | n/a                
         5  | node5 | standby |   running     | node1    | default  | 100      | running     | 105 | yes     | 1 second(s) ago
        ");
        insta::assert_snapshot!(table(&bad(), true, true), @r"
         ID | Name  | Role    | Status        | Upstream | Location | Prio. | repmgrd     | PID | Paused? | Upstr. last 
        ----+-------+---------+---------------+----------+----------+-------+-------------+-----+---------+--------------
         1  | node1 | primary | * running     |          | default  | 100   | running     | 101 | no      | n/a          
         2  | node2 | standby | ? unreachable | ? node1  | default  | 100   | n/a         | n/a | n/a     | n/a          
         3  | node3 | standby |   running     | ! node1  | default  | 100   | not running | n/a | n/a     | n/a          
         5  | node5 | standby |   running     | node1    | default  | 100   | running     | 105 | yes     | 1 sec(s) ago
        ");
    }

    #[test]
    fn csv_has_ten_fields() {
        let lines: String = bad().nodes.iter().map(|(node, _)| csv(node)).collect();
        insta::assert_snapshot!(lines, @r"
        1,node1,primary,1,1,101,0,100,-1,default
        2,node2,standby,0,-1,-1,-1,100,-1,default
        3,node3,standby,1,0,-1,0,100,-1,default
        5,node5,standby,1,1,105,1,100,1,default
        ");
    }

    #[test]
    fn a_promoted_standby_has_no_upstream_that_was_seen() {
        let (mut node, _) = good().nodes.remove(0);
        node.daemon.upstream_last_seen = Some(7);
        assert_eq!(csv(&node), "1,node1,primary,1,1,101,0,100,-1,default\n");
        assert_eq!(daemon_cells(&node, false)[3], "n/a");
    }

    #[test]
    fn the_right_to_write_is_shown_where_it_is_switched_on() {
        let text = table(&guarded(), true, false);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in ["| Holder | Epoch | Lease left", "| node1 | 3 | 4.2 s", "| - | - | lost"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!table(&good(), true, false).contains("Lease"));
    }

    #[test]
    fn json_document() {
        insta::assert_snapshot!(json(&bad()));
        assert!(include_str!("../../../docs/json.md").contains(&json(&documented())));
    }

    #[test]
    fn one_line_says_which_daemons_are_missing() {
        assert_eq!(summary(&good()).0, CheckStatus::Ok);
        insta::assert_snapshot!(summary(&bad()).1, @r"the daemon of node2 is not known; the daemon of node3 does not run; the daemon of node5 is paused");
    }
}
