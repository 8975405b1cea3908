//! `repmgr cluster event`.

use serde::Serialize;

use crate::commands::connecting::{self, unanswered};
use crate::commands::{ColumnFormat, Context};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::metadata::events::{self, EventFilter, EventRow};
use crate::output::{self, CheckStatus, Table};

const DEFAULT_LIMIT: u32 = 20;

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let options = &context.options;
    let connection = connecting::local(context).await?;
    let filter = EventFilter {
        node_id: options.node_id,
        node_name: None,
        event: options.event.clone(),
        limit: (!options.all).then(|| options.limit.unwrap_or(DEFAULT_LIMIT)),
    };
    let rows = events::list(&connection, &filter)
        .await
        .map_err(|error| unanswered(ExitCode::DbQuery, "read the events", &error))?;
    output::print(&render(&rows, options.format, options.compact));
    Ok(ExitCode::Success)
}

fn render(rows: &[EventRow], format: ColumnFormat, compact: bool) -> String {
    match format {
        ColumnFormat::Json => json(rows),
        ColumnFormat::Nagios => {
            let text = format!("{} events", rows.len());
            output::nagios_line("REPMGR_EVENTS", CheckStatus::Ok, &text, "")
        }
        _ if rows.is_empty() => "no matching events found\n".to_owned(),
        ColumnFormat::Csv => rows.iter().map(|row| output::csv_line(cells(row))).collect(),
        ColumnFormat::Optformat => rows.iter().map(optformat).collect(),
        ColumnFormat::Text => table(rows, compact),
    }
}

fn cells(row: &EventRow) -> Vec<String> {
    vec![
        row.node_id.to_string(),
        row.node_name.clone().unwrap_or_default(),
        row.event.clone(),
        if row.successful { "t" } else { "f" }.to_owned(),
        row.timestamp.clone(),
    ]
}

fn optformat(row: &EventRow) -> String {
    let names = ["node-id", "node-name", "event", "successful", "timestamp"];
    let values: Vec<(&str, String)> = names.into_iter().zip(cells(row)).collect();
    output::optformat_line(&values)
}

fn table(rows: &[EventRow], compact: bool) -> String {
    let mut titles = vec!["Node ID", "Name", "Event", "OK", "Timestamp"];
    if !compact {
        titles.push("Details");
    }
    let mut table = Table::new(titles);
    for row in rows {
        let mut cells = cells(row);
        if !compact {
            cells.push(row.details.clone().unwrap_or_default());
        }
        table.push(cells);
    }
    format!("{}\n", table.render())
}

fn json(rows: &[EventRow]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        events: Vec<Event<'a>>,
    }
    #[derive(Serialize)]
    struct Event<'a> {
        node_id: i32,
        node_name: Option<&'a str>,
        event: &'a str,
        successful: bool,
        timestamp: &'a str,
        details: Option<&'a str>,
    }
    let event = |row| {
        let EventRow {
            node_id,
            node_name,
            event,
            successful,
            timestamp,
            details,
        }: &EventRow = row;
        Event {
            node_id: node_id.0,
            node_name: node_name.as_deref(),
            event,
            successful: *successful,
            timestamp,
            details: details.as_deref(),
        }
    };
    output::json(&Document {
        events: rows.iter().map(event).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeId;

    fn rows() -> Vec<EventRow> {
        let row = |id, name: Option<&str>, event: &str, successful, details: Option<&str>| EventRow {
            node_id: NodeId(id),
            node_name: name.map(str::to_owned),
            event: event.to_owned(),
            successful,
            timestamp: "2026-11-21 08:56:51".to_owned(),
            details: details.map(str::to_owned),
        };
        vec![
            row(
                2,
                Some("node2"),
                "standby_register",
                true,
                Some("upstream node ID is 1"),
            ),
            row(7, None, "standby_promote", false, None),
        ]
    }

    #[test]
    fn text() {
        insta::assert_snapshot!(render(&rows(), ColumnFormat::Text, false).replace(' ', "."), @r"
        .Node.ID.|.Name..|.Event............|.OK.|.Timestamp...........|.Details..............
        ---------+-------+------------------+----+---------------------+-----------------------
        .2.......|.node2.|.standby_register.|.t..|.2026-11-21.08:56:51.|.upstream.node.ID.is.1
        .7.......|.......|.standby_promote..|.f..|.2026-11-21.08:56:51.|......................
        ");
        insta::assert_snapshot!(render(&rows(), ColumnFormat::Text, true), @r"
         Node ID | Name  | Event            | OK | Timestamp          
        ---------+-------+------------------+----+---------------------
         2       | node2 | standby_register | t  | 2026-11-21 08:56:51
         7       |       | standby_promote  | f  | 2026-11-21 08:56:51
        ");
    }

    #[test]
    fn csv_has_no_header_and_no_details() {
        assert_eq!(
            render(&rows(), ColumnFormat::Csv, false),
            "2,node2,standby_register,t,2026-11-21 08:56:51\n7,,standby_promote,f,2026-11-21 08:56:51\n"
        );
    }

    #[test]
    fn json_document() {
        let document = render(&rows(), ColumnFormat::Json, false);
        assert!(include_str!("../../../docs/json.md").contains(&document));
        insta::assert_snapshot!(document);
    }

    #[test]
    fn nothing_found_is_said_in_every_form_but_json() {
        let nothing = |format| render(&[], format, false);
        assert_eq!(nothing(ColumnFormat::Text), "no matching events found\n");
        assert_eq!(nothing(ColumnFormat::Csv), "no matching events found\n");
        assert_eq!(nothing(ColumnFormat::Json), "{\n  \"events\": []\n}\n");
    }
}
