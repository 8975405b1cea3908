//! Going on where a killed switchover ended: its journal and the state of the
//! servers say how far it got.

use super::asking::rewind;
use super::checks::{Base, assemble};
use super::daemons;
use super::followers;
use super::journal::Journal;
use super::judging::judge_daemons;
use super::peer::Peer;
use super::{Promotion, Request, Switchover};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::nodes;
use crate::operations::siblings::Route;
use crate::remote::Ssh;
use crate::types::{NodeId, RecoveryState};
use crate::{detail, notice, warning};

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing but daemons was touched: it begins anew.
    Fresh,
    /// The old primary was told to stop, and nobody is primary.
    Stopped,
    /// This node is the primary.
    Promoted,
}

/// Decides from this node's state, the journal, and the primary that answers.
pub fn phase(local: RecoveryState, journal: &Journal, live_primary: Option<NodeId>) -> Phase {
    match (local, live_primary) {
        (RecoveryState::Primary, _) if journal.stopping => Phase::Promoted,
        (RecoveryState::Standby, None) if journal.stopping => Phase::Stopped,
        _ => Phase::Fresh,
    }
}

/// Says what was found.
pub fn announce(journal: &Journal, phase: Phase) {
    notice!(
        "a switchover of this node with node {} was begun and not completed",
        journal.former_primary()
    );
    detail!(
        "{}",
        match phase {
            Phase::Promoted => "this node is primary: what is left is done now",
            _ => "the former primary was told to stop: the switchover is completed now",
        }
    );
}

/// The checks of a switchover that goes on. What cannot be asked any more was asked before.
pub async fn examine<'r>(
    request: &'r Request,
    ssh: &'r Ssh<'r>,
    base: Base,
    journal: Journal,
    phase: Phase,
) -> Result<Switchover<'r>> {
    let unreadable = |error: crate::postgres::QueryError| {
        Error::new(ExitCode::DbQuery, "unable to read the record of the former primary").detail(error.to_string())
    };
    let id = journal.former_primary();
    let former = nodes::by_id(&base.local, id)
        .await
        .map_err(unreadable)?
        .ok_or_else(|| {
            Error::new(
                ExitCode::DbQuery,
                format!("no record found for node {id}, the former primary"),
            )
        })?;
    let peer = Peer::find(&request.config, ssh, request.log_level.as_deref(), &former).await?;
    let route = Route {
        config: &request.config,
        ssh,
        log_level: request.log_level.as_deref(),
    };
    let all = nodes::all(&base.local).await.map_err(unreadable)?;
    let asked = async {
        if request.no_pause {
            None
        } else {
            Some(daemons::ask(all).await)
        }
    };
    let (reached, followers, asked) = tokio::join!(
        peer.reach(),
        followers::ask(request, route, &base.local, id, &base.own),
        asked,
    );
    if phase == Phase::Promoted {
        if let Err(error) = reached {
            warning!("{}", error.message);
            error.details.iter().for_each(|line| detail!("{line}"));
        }
    } else {
        reached?;
    }
    let followers = followers.map_err(|error| followers::unreadable(&error))?;
    followers.judge(true)?;
    followers.judge_logins(true)?;
    // Nodes that do not answer are no reason to leave the cluster half done.
    let forced = Request {
        force: true,
        ..request.clone()
    };
    let daemons = judge_daemons(&forced, Ok(asked), Some(&journal))?;
    let rewind = match &request.force_rewind {
        Some(path) => Some(rewind(request, &base, &base.local, path.as_deref()).await?),
        None => None,
    };
    let mut switchover = assemble(request, ssh, base, former, peer, journal);
    switchover.resumed = true;
    switchover.rewind = rewind;
    switchover.followers = followers;
    switchover.daemons = daemons;
    if phase == Phase::Promoted {
        switchover.promotion = Promotion::Done;
    }
    Ok(switchover)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_say_how_far_it_got() {
        let mut journal = Journal::new(NodeId(2), NodeId(1));
        let one = Some(NodeId(1));
        assert_eq!(phase(RecoveryState::Standby, &journal, one), Phase::Fresh);
        assert_eq!(phase(RecoveryState::Standby, &journal, None), Phase::Fresh);
        journal.stopping = true;
        assert_eq!(phase(RecoveryState::Standby, &journal, one), Phase::Fresh);
        assert_eq!(phase(RecoveryState::Standby, &journal, None), Phase::Stopped);
        assert_eq!(phase(RecoveryState::Primary, &journal, None), Phase::Promoted);
        assert_eq!(phase(RecoveryState::Unknown, &journal, None), Phase::Fresh);
    }
}
