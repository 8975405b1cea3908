//! `repmgr cluster show`.

use serde::Serialize;

use crate::commands::overview::{Overview, first_cells};
use crate::commands::{ColumnFormat, Context, connecting};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::output::{self, Colour, Table};
use crate::survey::{Observation, Reachability, Verdict};
use crate::types::{NodeType, RecoveryState};

/// Runs the verb. Any problem of any node gives [`ExitCode::NodeStatus`], also if it is not shown.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let options = &context.options;
    let connection = connecting::local_or_source(context).await?;
    let overview = Overview::ask(context, connection, false).await?;
    let result = match options.format {
        ColumnFormat::Text => table(&overview, options.compact, output::coloured()),
        ColumnFormat::Csv => csv(&overview),
        ColumnFormat::Json => json(&overview),
        ColumnFormat::Nagios => {
            let (status, text) = overview.summary();
            output::nagios_line("REPMGR_CLUSTER", status, &text, "")
        }
        ColumnFormat::Optformat => {
            let (status, _) = overview.summary();
            output::optformat_line(&[
                ("status", status.as_str().to_owned()),
                ("nodes", overview.nodes.len().to_string()),
            ])
        }
    };
    overview.print(&result, options);
    Ok(if overview.is_good() {
        ExitCode::Success
    } else {
        ExitCode::NodeStatus
    })
}

fn table(overview: &Overview, compact: bool, coloured: bool) -> String {
    let mut titles = vec!["ID", "Name", "Role", "Status", "Upstream", "Location"];
    titles.extend(if compact {
        ["Prio.", "TLI"]
    } else {
        ["Priority", "Timeline"]
    });
    titles.extend(overview.right_titles());
    if !compact {
        titles.push("Connection string");
    }
    let mut table = Table::new(titles).with_trailing_blank(compact);
    for (node, verdict) in &overview.nodes {
        let record = &node.record;
        let timeline = match (record.node_type, &node.reachability, node.timeline) {
            (NodeType::Witness, ..) => "n/a".to_owned(),
            (_, Reachability::Up, Some(timeline)) => timeline.to_string(),
            (_, Reachability::Up, None) => "?".to_owned(),
            _ => String::new(),
        };
        let mut row = first_cells(node, verdict);
        row.extend([record.location.clone(), record.priority.to_string(), timeline]);
        row.extend(overview.right_cells(node));
        if !compact {
            row.push(crate::conninfo::redact(&record.conninfo));
        }
        table.push(row);
        if coloured {
            table.colour(STATUS, colour(verdict));
        }
    }
    table.render()
}

/// The column that [`first_cells`] gives it.
const STATUS: usize = 3;

/// Red is what [`Verdict::status`] marks as failed, not reachable or not what it should be.
fn colour(verdict: &Verdict) -> Colour {
    match verdict.status.chars().next() {
        _ if verdict.is_good() => Colour::Green,
        Some('-' | '?' | '!') => Colour::Red,
        _ => Colour::Yellow,
    }
}

/// `node_id,availability,recovery`, which other nodes' `repmgr` reads.
fn csv(overview: &Overview) -> String {
    let line = |node: &Observation| {
        let available = if node.reachability == Reachability::Up { 0 } else { -1 };
        let recovery = match node.recovery {
            RecoveryState::Primary => 0,
            RecoveryState::Standby => 1,
            RecoveryState::Unknown => -1,
        };
        output::csv_line([node.record.node_id.0, available, recovery])
    };
    overview.nodes.iter().map(|(node, _)| line(node)).collect()
}

fn json(overview: &Overview) -> String {
    #[derive(Serialize)]
    struct More {
        conninfo: String,
    }
    overview.json(|node| More {
        conninfo: crate::conninfo::redact(&node.record.conninfo),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::overview::samples::{bad, documented, good, guarded};

    #[test]
    fn text() {
        insta::assert_snapshot!(table(&good(), false, false), @r"
         ID | Name  | Role    | Status    | Upstream | Location | Priority | Timeline | Connection string       
        ----+-------+---------+-----------+----------+----------+----------+----------+--------------------------
         1  | node1 | primary | * running |          | default  | 100      | 1        | host=node1 dbname=repmgr
         2  | node2 | standby |   running | node1    | default  | 100      | 1        | host=node2 dbname=repmgr
         4  | node4 | witness | * running | node1    | default  | 0        | n/a      | host=node4 dbname=repmgr
        ");
        insta::assert_snapshot!(table(&bad(), false, false), @r"
         ID | Name  | Role    | Status        | Upstream | Location | Priority | Timeline | Connection string       
        ----+-------+---------+---------------+----------+----------+----------+----------+--------------------------
         1  | node1 | primary | * running     |          | default  | 100      | 1        | host=node1 dbname=repmgr
         2  | node2 | standby | ? unreachable | ? node1  | default  | 100      |          | host=node2 dbname=repmgr
         3  | node3 | standby |   running     | ! node1  | default  | 100      | 1        | host=node3 dbname=repmgr
         5  | node5 | standby |   running     | node1    | default  | 100      | ?        | host=node5 dbname=repmgr
        ");
        insta::assert_snapshot!(table(&bad(), true, false), @r"
         ID | Name  | Role    | Status        | Upstream | Location | Prio. | TLI
        ----+-------+---------+---------------+----------+----------+-------+-----
         1  | node1 | primary | * running     |          | default  | 100   | 1   
         2  | node2 | standby | ? unreachable | ? node1  | default  | 100   |     
         3  | node3 | standby |   running     | ! node1  | default  | 100   | 1   
         5  | node5 | standby |   running     | node1    | default  | 100   | ?
        ");
    }

    #[test]
    fn the_right_to_write_is_shown_where_it_is_switched_on() {
        let text = table(&guarded(), true, false);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in ["| Holder | Epoch | Lease left", "| node1 | 3 | 4.2 s", "| - | - | lost"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!table(&good(), true, false).contains("Lease"));
        assert_eq!(csv(&guarded()), csv(&good()));
        assert!(json(&guarded()).contains("\"lease_left_ms\": 4210"));
        assert!(json(&good()).contains("\"write_right\": null"));
    }

    #[test]
    fn on_a_terminal_the_status_is_coloured() {
        let text = table(&bad(), false, true);
        for expected in [
            Colour::Green.paint("* running    "),
            Colour::Red.paint("? unreachable"),
            Colour::Yellow.paint("  running    "),
        ] {
            assert!(text.contains(&expected), "{text}");
        }
    }

    #[test]
    fn csv_has_no_header() {
        assert_eq!(csv(&good()), "1,0,0\n2,0,1\n4,0,0\n");
        assert_eq!(csv(&bad()), "1,0,0\n2,-1,-1\n3,0,1\n5,0,1\n");
    }

    #[test]
    fn json_document() {
        insta::assert_snapshot!(json(&bad()));
        assert!(include_str!("../../../docs/json.md").contains(&json(&documented())));
    }

    #[test]
    fn a_password_in_a_record_is_not_shown() {
        let mut overview = good();
        overview.nodes[0].0.record.conninfo = "host=n1 password=geheim".to_owned();
        assert!(!table(&overview, false, false).contains("geheim"));
        assert!(!json(&overview).contains("geheim"));
    }
}
