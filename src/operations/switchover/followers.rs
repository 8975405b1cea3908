//! The other nodes that have the demotion candidate as their upstream:
//! standbys that follow the new primary on request, witnesses that always do.

use futures_util::future::join_all;

use super::Request;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::functions::{self, Notification};
use crate::metadata::{NodeRecord, nodes};
use crate::operations::siblings::{self, Route, Siblings};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::types::{NodeId, NodeType};
use crate::{detail, hint, info, survey, warning};

/// What was found out about them.
#[derive(Debug, Default)]
pub struct Followers {
    /// Standbys that are to follow; empty without `--siblings-follow`.
    pub standbys: Siblings,
    /// Standbys that stay with the demotion candidate.
    pub staying: Vec<NodeRecord>,
    /// Witnesses.
    pub witnesses: Vec<NodeRecord>,
    /// Standbys that say that they cannot log in to the new primary.
    shut_out: Vec<String>,
    asked_for: bool,
}

/// Asks all of them at the same time; nothing is judged yet.
pub async fn ask(
    request: &Request,
    route: Route<'_>,
    connection: &Connection,
    former: NodeId,
    own: &NodeRecord,
) -> std::result::Result<Followers, QueryError> {
    let found = nodes::active_siblings(connection, former, own.node_id).await?;
    let (witnesses, standbys): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|node| node.node_type == NodeType::Witness);
    let mut followers = Followers {
        witnesses,
        asked_for: request.siblings_follow,
        ..Followers::default()
    };
    if !request.siblings_follow {
        followers.staying = standbys;
        return Ok(followers);
    }
    followers.standbys = siblings::probe(route, standbys).await;
    followers.shut_out = siblings::shut_out(route, &followers.standbys.reachable, own).await;
    Ok(followers)
}

impl Followers {
    /// Says what was found.
    ///
    /// # Errors
    /// A standby that is to follow cannot be told to; with `force` a WARNING.
    pub fn judge(&self, force: bool) -> Result<()> {
        let standbys = self.standbys.reachable.len() + self.standbys.unreachable.len();
        if !self.staying.is_empty() {
            warning!(
                "{} sibling nodes found, but option \"--siblings-follow\" not specified",
                self.staying.len()
            );
            detail!("these nodes will remain attached to the current primary:");
            for node in &self.staying {
                detail!("  {} (node ID: {})", node.node_name, node.node_id);
            }
        }
        if !self.asked_for {
            return Ok(());
        }
        if standbys == 0 && self.witnesses.is_empty() {
            warning!("option \"--siblings-follow\" was given, but there are no sibling nodes");
        }
        let unreachable = self
            .standbys
            .unreachable
            .iter()
            .map(|(node, reason)| format!("{}: {reason}", node.title()));
        Self::refuse(
            unreachable.collect(),
            "sibling nodes cannot be reached with ssh",
            "those siblings stay attached to the old primary",
            force,
        )?;
        if !self.standbys.reachable.is_empty() {
            info!("all sibling nodes that are to follow can be reached");
        }
        Ok(())
    }

    /// Whether they can log in to the new primary.
    ///
    /// # Errors
    /// One says that it cannot; with `force` a WARNING.
    pub fn judge_logins(&self, force: bool) -> Result<()> {
        Self::refuse(
            self.shut_out.clone(),
            "sibling nodes cannot make a replication connection to this node",
            "mend pg_hba.conf, the role or the password there; those siblings go on trying",
            force,
        )
    }

    fn refuse(lines: Vec<String>, what: &str, consequence: &str, force: bool) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let message = format!("{} {what}", lines.len());
        if force {
            warning!("{message}");
            lines.iter().for_each(|line| detail!("{line}"));
            hint!("{consequence}");
            return Ok(());
        }
        let error = lines.into_iter().fold(Error::bad_config(message), Error::detail);
        Err(error.hint(format!("use -F/--force to go on nevertheless; {consequence}")))
    }

    /// Walsenders that the new primary needs: for the old one and the siblings.
    pub fn required_walsenders(&self) -> usize {
        1 + self.standbys.required_walsenders()
    }

    /// Slots that the new primary needs for the old one and the siblings.
    pub fn required_slots(&self, former: &NodeRecord) -> usize {
        usize::from(former.slot_name.is_some()) + self.standbys.required_slots()
    }

    /// Lets the standbys follow; what is left to do for those that did not.
    pub async fn follow(&self, route: Route<'_>, own: &NodeRecord) -> usize {
        if self.standbys.reachable.is_empty() {
            return 0;
        }
        siblings::follow(route, &self.standbys.reachable, own).await
    }

    /// Gives the witnesses the new primary as upstream, in the cluster's records and in their own copies,
    /// and tells their daemons. What is left to do for those with which that failed.
    pub async fn move_witnesses(&self, primary: &Connection, own: &NodeRecord) -> Vec<String> {
        let mut left = Vec::new();
        for witness in &self.witnesses {
            if let Err(error) = nodes::set_upstream(primary, witness.node_id, own.node_id).await {
                warning!("the record of witness {} could not be updated", witness.title());
                detail!("{error}");
            }
        }
        let moved = join_all(self.witnesses.iter().map(|witness| move_witness(primary, witness, own))).await;
        for (witness, outcome) in self.witnesses.iter().zip(moved) {
            match outcome {
                Ok(()) => info!("witness {} has the new primary as upstream", witness.title()),
                Err(reason) => {
                    warning!("witness {} could not be told of the new primary", witness.title());
                    detail!("{reason}");
                    left.push(format!(
                        "on witness {}: repmgr witness register --force -h <host of {}>",
                        witness.title(),
                        own.title()
                    ));
                }
            }
        }
        left
    }
}

async fn move_witness(primary: &Connection, witness: &NodeRecord, own: &NodeRecord) -> std::result::Result<(), String> {
    let connection = survey::connect(witness, Deadlines::default())
        .await
        .map_err(|error| error.to_string())?;
    let text = |error: QueryError| error.to_string();
    let records = nodes::all(primary).await.map_err(text)?;
    nodes::replace_all(&connection, &records).await.map_err(text)?;
    // A daemon that was not told finds the new primary in the records.
    if let Err(error) = functions::notify(&connection, Notification::Follow(own.node_id)).await {
        info!("the daemon of witness {} was not told: {error}", witness.title());
    }
    Ok(())
}

/// The error for records that cannot be read.
pub fn unreadable(error: &QueryError) -> Error {
    Error::new(ExitCode::BadConfig, "unable to read the records of the sibling nodes").detail(error.to_string())
}
