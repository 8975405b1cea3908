//! What `cluster matrix` and `cluster crosscheck` have in common: whom they
//! ask, how the result is shown, and which exit code it gives.

use serde::Serialize;

use crate::commands::{ColumnFormat, Context, connecting, overview};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::output::{self, CheckStatus, Table};
use crate::remote::Ssh;
use crate::survey::{self, Asking, Link, Links, Problem, Views};
use crate::types::NodeId;

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `cluster matrix`.
    Matrix,
    /// `cluster crosscheck`.
    Crosscheck,
}

/// Asks, prints, and gives the exit code.
pub async fn run(context: &Context, kind: Kind) -> Result<ExitCode> {
    let options = &context.options;
    let connection = connecting::local_or_source(context).await?;
    let records = overview::records(&connection).await?;
    drop(connection);
    let patience = survey::connect_limit(&records);
    let ssh = Ssh::new(&context.config, options.remote_user.as_deref()).reaching_within(patience);
    let asking = Asking {
        records: &records,
        own: own_id(context),
        config: &context.config,
        ssh: &ssh,
        log_level: options.log_level.as_deref(),
    };
    crate::info!("connecting to {} nodes", records.len());
    let views = match kind {
        Kind::Matrix => asking.matrix().await,
        Kind::Crosscheck => asking.crosscheck().await,
    };
    let issues = issues(&views, &records);
    output::print(&render(&views.links, &issues, options.format, kind));
    if options.format == ColumnFormat::Text && !options.terse && !issues.is_empty() {
        let items: Vec<String> = issues.iter().map(|issue| format!("  - {issue}")).collect();
        crate::warning!("following problems were detected\n{}", items.join("\n"));
    }
    Ok(exit_code(&views, kind, options.format))
}

/// The node that runs the command: the configuration says it, without one `--node-id` does.
fn own_id(context: &Context) -> Option<NodeId> {
    match context.config.node_id {
        id if id > 0 => Some(NodeId(id)),
        _ => context.options.node_id,
    }
}

/// A failed link comes before an incomplete picture. Programs that read the CSV of the matrix are told of an
/// incomplete picture with the same code, as by the original.
fn exit_code(views: &Views, kind: Kind, format: ColumnFormat) -> ExitCode {
    let unknown_counts = kind == Kind::Matrix && format == ColumnFormat::Csv;
    if views.links.any(Link::Failed) || (unknown_counts && views.links.any(Link::Unknown)) {
        return ExitCode::NodeStatus;
    }
    match views.problems.last() {
        Some((_, Problem::NoAnswer { .. })) => ExitCode::BadSsh,
        Some((_, Problem::Unreadable { .. })) => ExitCode::Internal,
        None => ExitCode::Success,
    }
}

fn issues(views: &Views, records: &[NodeRecord]) -> Vec<String> {
    let title = |id: NodeId| {
        let node = records.iter().find(|node| node.node_id == id);
        node.map_or_else(|| format!("node {id}"), NodeRecord::title)
    };
    let issue = |(id, problem): &(NodeId, Problem)| match problem {
        Problem::NoAnswer { reason } => format!("no answer from {}: {reason}", title(*id)),
        Problem::Unreadable { missing } => {
            let missing: Vec<String> = missing.iter().map(|id| title(*id)).collect();
            format!("the answer of {} says nothing of {}", title(*id), missing.join(", "))
        }
    };
    views.problems.iter().map(issue).collect()
}

fn render(links: &Links, issues: &[String], format: ColumnFormat, kind: Kind) -> String {
    match format {
        ColumnFormat::Text => table(links),
        ColumnFormat::Csv => csv(links),
        ColumnFormat::Json => json(links, issues),
        ColumnFormat::Nagios => {
            let service = match kind {
                Kind::Matrix => "REPMGR_CLUSTER_MATRIX",
                Kind::Crosscheck => "REPMGR_CLUSTER_CROSSCHECK",
            };
            let (status, text) = summary(links);
            output::nagios_line(service, status, &text, "")
        }
        ColumnFormat::Optformat => output::optformat_line(&[
            ("status", summary(links).0.as_str().to_owned()),
            ("nodes", links.ids().count().to_string()),
            ("failed", count(links, Link::Failed).to_string()),
            ("unknown", count(links, Link::Unknown).to_string()),
        ]),
    }
}

fn count(links: &Links, wanted: Link) -> usize {
    links.pairs().filter(|(_, _, link)| *link == wanted).count()
}

fn summary(links: &Links) -> (CheckStatus, String) {
    let list = |wanted| {
        let pairs = links.pairs().filter(|(_, _, link)| *link == wanted);
        let texts: Vec<String> = pairs.map(|(from, to, _)| format!("{from} to {to}")).collect();
        texts.join(", ")
    };
    if links.any(Link::Failed) {
        return (
            CheckStatus::Critical,
            format!("failed connections: {}", list(Link::Failed)),
        );
    }
    if links.any(Link::Unknown) {
        return (
            CheckStatus::Unknown,
            format!("unknown connections: {}", list(Link::Unknown)),
        );
    }
    (CheckStatus::Ok, "all nodes connect to each other".to_owned())
}

fn table(links: &Links) -> String {
    let ids: Vec<String> = links.ids().map(|id| id.to_string()).collect();
    let titles = ["Name".to_owned(), "ID".to_owned()].into_iter().chain(ids);
    let mut table = Table::new(titles).with_trailing_blank(true);
    for (id, name, row) in links.rows() {
        let mut cells = vec![name.to_owned(), id.to_string()];
        cells.extend(row.iter().map(|link| link.mark().to_owned()));
        table.push(cells);
    }
    table.render()
}

/// `row_id,column_id,status`, which other nodes' `repmgr` reads.
fn csv(links: &Links) -> String {
    let line = |(from, to, link): (NodeId, NodeId, Link)| output::csv_line([from.0, to.0, link.code()]);
    links.pairs().map(line).collect()
}

fn json(links: &Links, issues: &[String]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        ok: bool,
        nodes: Vec<Node<'a>>,
        issues: &'a [String],
    }
    #[derive(Serialize)]
    struct Node<'a> {
        node_id: i32,
        node_name: &'a str,
        connections: Vec<Connection>,
    }
    #[derive(Serialize)]
    struct Connection {
        node_id: i32,
        works: Option<bool>,
    }
    let connection = |(to, link): (NodeId, &Link)| Connection {
        node_id: to.0,
        works: match link {
            Link::Works => Some(true),
            Link::Failed => Some(false),
            Link::Unknown => None,
        },
    };
    let node = |(id, name, row): (NodeId, _, &[Link])| Node {
        node_id: id.0,
        node_name: name,
        connections: links.ids().zip(row).map(connection).collect(),
    };
    output::json(&Document {
        ok: !links.any(Link::Failed) && !links.any(Link::Unknown) && issues.is_empty(),
        nodes: links.rows().map(node).collect(),
        issues,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeType;

    fn records() -> Vec<NodeRecord> {
        let record = |id| NodeRecord {
            node_id: NodeId(id),
            upstream_node_id: None,
            active: true,
            node_name: format!("node{id}"),
            node_type: NodeType::Standby,
            location: "default".to_owned(),
            priority: 100,
            conninfo: format!("host=node{id}"),
            repluser: "repmgr".to_owned(),
            slot_name: None,
            config_file: "/etc/repmgr.conf".to_owned(),
        };
        (1..=3).map(record).collect()
    }

    fn views(rows: &[(i32, &str)], problems: Vec<(NodeId, Problem)>) -> Views {
        let mut links = Links::new(&records());
        for (id, stdout) in rows {
            assert_eq!(links.learn_row(NodeId(*id), stdout), None);
        }
        Views { links, problems }
    }

    fn dead_third() -> Views {
        let reason = "neither its server nor its sshd answers".to_owned();
        views(
            &[(1, "1,0\n2,0\n3,-1\n"), (2, "1,0\n2,0\n3,-1\n")],
            vec![(NodeId(3), Problem::NoAnswer { reason })],
        )
    }

    fn silent_second(problem: Problem) -> Views {
        let all = "1,0\n2,0\n3,0\n";
        views(&[(1, all), (3, all)], vec![(NodeId(2), problem)])
    }

    #[test]
    fn text() {
        let expected = [
            " Name  | ID | 1 | 2 | 3\n",
            "-------+----+---+---+---\n",
            " node1 | 1  | * | * | x \n",
            " node2 | 2  | * | * | x \n",
            " node3 | 3  | ? | ? | ? \n",
        ];
        assert_eq!(table(&dead_third().links), expected.concat());
    }

    #[test]
    fn csv_has_all_pairs() {
        let expected = "1,1,0\n1,2,0\n1,3,-1\n2,1,0\n2,2,0\n2,3,-1\n3,1,-2\n3,2,-2\n3,3,-2\n";
        assert_eq!(csv(&dead_third().links), expected);
    }

    #[test]
    fn json_document() {
        let views = dead_third();
        let text = json(&views.links, &issues(&views, &records()));
        assert!(include_str!("../../../docs/json.md").contains(&text), "{text}");
    }

    #[test]
    fn one_line_for_monitoring_systems() {
        let line = |views: &Views, format| render(&views.links, &[], format, Kind::Crosscheck);
        assert_eq!(
            line(&dead_third(), ColumnFormat::Nagios),
            "REPMGR_CLUSTER_CROSSCHECK CRITICAL: failed connections: 1 to 3, 2 to 3\n"
        );
        assert_eq!(
            line(&dead_third(), ColumnFormat::Optformat),
            "--status=CRITICAL --nodes=3 --failed=2 --unknown=3\n"
        );
        let silent = silent_second(Problem::Unreadable { missing: vec![] });
        assert_eq!(
            line(&silent, ColumnFormat::Nagios),
            "REPMGR_CLUSTER_CROSSCHECK UNKNOWN: unknown connections: 2 to 1, 2 to 2, 2 to 3\n"
        );
    }

    #[test]
    fn exit_codes_are_the_originals() {
        let no_answer = || Problem::NoAnswer { reason: String::new() };
        let unreadable = || Problem::Unreadable { missing: vec![] };
        let all = "1,0\n2,0\n3,0\n";
        let good = || views(&[(1, all), (2, all), (3, all)], vec![]);
        use ColumnFormat::{Csv, Json, Text};
        for (views, kind, format, expected) in [
            (good(), Kind::Matrix, Csv, ExitCode::Success),
            (good(), Kind::Crosscheck, Text, ExitCode::Success),
            (dead_third(), Kind::Matrix, Text, ExitCode::NodeStatus),
            (dead_third(), Kind::Crosscheck, Csv, ExitCode::NodeStatus),
            (silent_second(no_answer()), Kind::Matrix, Text, ExitCode::BadSsh),
            (silent_second(no_answer()), Kind::Matrix, Json, ExitCode::BadSsh),
            (silent_second(no_answer()), Kind::Matrix, Csv, ExitCode::NodeStatus),
            (silent_second(no_answer()), Kind::Crosscheck, Csv, ExitCode::BadSsh),
            (silent_second(unreadable()), Kind::Matrix, Text, ExitCode::Internal),
            (silent_second(unreadable()), Kind::Crosscheck, Text, ExitCode::Internal),
        ] {
            assert_eq!(
                exit_code(&views, kind, format),
                expected,
                "{kind:?} {format:?} {views:?}"
            );
        }
    }
}
