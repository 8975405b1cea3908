//! `repmgr write-right show`: the right as each voter sees it.

use futures_util::future::join_all;
use repmgr_write_right::ListRank;
use serde::Serialize;

use crate::commands::{ColumnFormat, Context, connecting, overview};
use crate::error::Result;
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

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let local = connecting::local(context).await?;
    let records = overview::records(&local).await?;
    drop(local);
    let voters = write_right::voters(records, overview::deadlines()).await;
    let mut rows = join_all(voters.iter().map(Row::of)).await;
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
