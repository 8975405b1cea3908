//! `repmgr write-right show`: the right as each voter sees it.

use futures_util::future::join_all;
use repmgr_write_right::ListRank;
use serde::Serialize;

use crate::commands::{ColumnFormat, Context, connecting, overview};
use crate::error::Result;
use crate::etcd::Standing;
use crate::exit_code::ExitCode;
use crate::operations::write_right::{self, Voter};
use crate::output::Table;

/// What one voter says.
#[derive(Debug, Serialize)]
struct Row {
    node_id: i32,
    node_name: String,
    /// Whether its server requires the right.
    required: Option<bool>,
    /// What is left of its own right, in milliseconds.
    own_left_ms: Option<u64>,
    /// `voting`, `silent`, `lost`, or why it does not answer.
    vote: String,
    holder: Option<i32>,
    epoch: Option<u64>,
    /// What is left of the lease that it granted, in milliseconds.
    lease_left_ms: Option<u64>,
    voters: Vec<i32>,
    /// Nodes that were given up by force, as this node knows.
    given_up: Vec<i32>,
    /// What orders the lists of voters.
    #[serde(skip)]
    rank: ListRank,
}

impl Row {
    async fn of(voter: &Voter) -> Row {
        let mut row = Row {
            node_id: voter.record.node_id.0,
            node_name: voter.record.node_name.clone(),
            required: None,
            own_left_ms: None,
            vote: String::new(),
            holder: None,
            epoch: None,
            lease_left_ms: None,
            voters: Vec::new(),
            given_up: Vec::new(),
            rank: ListRank::default(),
        };
        match write_right::look(voter).await {
            Err(error) => row.vote = error,
            Ok((standing, answer)) => {
                row.required = Some(standing.required);
                row.own_left_ms = Some(standing.left);
                row.vote = match &answer {
                    None => "no answer".to_owned(),
                    Some(answer) if answer.silent > 0 => "silent".to_owned(),
                    Some(answer) if answer.known.is_none() => "lost".to_owned(),
                    Some(_) => "voting".to_owned(),
                };
                row.lease_left_ms = answer.as_ref().map(|answer| answer.left);
                if let Some(known) = answer.and_then(|answer| answer.known) {
                    row.holder = known.holder();
                    row.epoch = Some(known.epoch.0);
                    row.rank = known.list.rank();
                    row.voters = known.list.voters;
                    row.given_up = known.list.given_up;
                }
            }
        }
        row
    }

    fn cells(&self) -> Vec<String> {
        let seconds = |left: Option<u64>| left.map_or("-".to_owned(), overview::seconds);
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let required = self
            .required
            .map(|required| if required { "yes" } else { "no" }.to_owned());
        vec![
            self.node_id.to_string(),
            self.node_name.clone(),
            or_dash(required),
            seconds(self.own_left_ms),
            self.vote.clone(),
            or_dash(self.holder.map(|holder| holder.to_string())),
            or_dash(self.epoch.map(|epoch| epoch.to_string())),
            seconds(self.lease_left_ms),
        ]
    }
}

/// Says of those whom the newest list gives up that they do not vote, whatever they know themselves.
fn mark_given_up(rows: &mut [Row]) {
    let newest = rows.iter().max_by_key(|row| row.rank);
    let given_up = newest.map(|row| row.given_up.clone()).unwrap_or_default();
    for row in rows.iter_mut().filter(|row| given_up.contains(&row.node_id)) {
        row.vote = match row.vote.as_str() {
            "voting" => "given up".to_owned(),
            other => format!("given up; {other}"),
        };
    }
}

/// What etcd says, and each node's own right.
fn show_etcd(context: &Context, rows: &[Row], granted: std::result::Result<Standing, String>) -> ExitCode {
    #[derive(Serialize)]
    struct Document<'a> {
        etcd: Etcd,
        nodes: Vec<Node<'a>>,
    }
    #[derive(Serialize)]
    struct Etcd {
        holder: Option<i32>,
        epoch: Option<u64>,
        lease_left_s: Option<u64>,
        last_holder: Option<i32>,
        problem: Option<String>,
    }
    #[derive(Serialize)]
    struct Node<'a> {
        node_id: i32,
        node_name: &'a str,
        required: Option<bool>,
        own_left_ms: Option<u64>,
    }
    let standing = granted.as_ref().ok();
    let holder = standing.and_then(Standing::holder);
    let last = standing.and_then(|standing| standing.seen.last).map(|entry| entry.kept);
    let etcd = Etcd {
        holder: holder.map(|kept| kept.node),
        epoch: holder.or(last).map(|kept| kept.epoch),
        lease_left_s: standing.and_then(|standing| standing.left),
        last_holder: last.map(|kept| kept.node),
        problem: granted.as_ref().err().cloned(),
    };
    let exit_code = match etcd.problem {
        Some(_) => ExitCode::DbConn,
        None => ExitCode::Success,
    };
    if context.options.format == ColumnFormat::Json {
        let nodes = rows.iter().map(|row| Node {
            node_id: row.node_id,
            node_name: &row.node_name,
            required: row.required,
            own_left_ms: row.own_left_ms,
        });
        let nodes = nodes.collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&Document { etcd, nodes }).expect("plain values")
        );
    } else {
        let mut table = Table::new(["ID", "Name", "Required", "Own right"]);
        rows.iter().for_each(|row| table.push(row.cells().drain(..4).collect()));
        print!("{}", table.render());
        println!();
        match (&etcd.problem, etcd.holder, etcd.epoch, etcd.last_holder) {
            (Some(problem), ..) => println!("etcd does not answer: {problem}"),
            (_, Some(holder), Some(epoch), _) => {
                let left = etcd.lease_left_s.map_or("?".to_owned(), |left| left.to_string());
                println!("etcd: node {holder} holds the right in epoch {epoch}, {left} s are left of its lease");
            }
            (_, _, Some(epoch), Some(last)) => {
                println!("etcd: nobody holds the right; node {last} had it last, in epoch {epoch}");
            }
            _ => println!("etcd: nobody has had the right"),
        }
    }
    exit_code
}

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let local = connecting::local(context).await?;
    let records = overview::records(&local).await?;
    let etcd = super::etcd(context, &local).await?;
    drop(local);
    let voters = write_right::voters(records, overview::deadlines()).await;
    let rows = async { join_all(voters.iter().map(Row::of)).await };
    let (mut rows, granted) = tokio::join!(rows, super::granted_by(etcd.map(Ok)));
    if let Some(granted) = granted {
        return Ok(show_etcd(context, &rows, granted));
    }
    mark_given_up(&mut rows);
    if context.options.format == ColumnFormat::Json {
        println!("{}", serde_json::to_string_pretty(&rows).expect("plain values"));
        return Ok(ExitCode::Success);
    }
    let titles = [
        "ID",
        "Name",
        "Required",
        "Own right",
        "Vote",
        "Holder",
        "Epoch",
        "Lease left",
    ];
    let mut table = Table::new(titles);
    rows.iter().for_each(|row| table.push(row.cells()));
    print!("{}", table.render());
    Ok(ExitCode::Success)
}
