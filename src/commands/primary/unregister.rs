//! `repmgr primary unregister`: removes the record of a primary that is no
//! longer one. It may run on any registered node.

use crate::commands::{Context, connecting, records};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines};
use crate::types::{NodeId, NodeType, RecoveryState};
use crate::{hint, info, notice, survey, warning};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let own_id = NodeId(config.node_id);
    let local = connecting::local(context).await?;
    let named = records::node_named_by_options(context, &local).await?;
    let own = records::required_record(&local, own_id, ExitCode::BadConfig)
        .await
        .map_err(|error| error.hint("this verb runs on a registered node"))?;
    let (primary_record, primary) = recorded_primary(&local).await?;
    let target = match named {
        // Without --node-id the verb addresses the current primary, wherever it runs.
        None => primary_record.clone(),
        Some(node) if node.node_id == own_id => own,
        Some(node) => node,
    };
    let target_is_current = target.node_id == primary_record.node_id;

    if target.node_type == NodeType::Witness {
        return Err(Error::bad_config(format!("{} is a witness", target.title()))
            .hint("remove it with \"repmgr witness unregister\""));
    }
    records::refuse_with_dependants(&primary, &target).await?;
    let observed = observe(&target).await;
    let problem = unregister_problem(
        target.node_type,
        target.active,
        target_is_current,
        observed,
        options.force,
    );
    if let Some(problem) = problem {
        return Err(problem.into_error(&target));
    }
    if observed == Some(RecoveryState::Primary) {
        warning!("{} is running and accepts writes", target.title());
    }

    if options.dry_run {
        notice!("{} would now be unregistered", target.title());
        hint!("run the same command without --dry-run to unregister it");
        return Ok(ExitCode::Success);
    }
    nodes::delete(&primary, target.node_id).await.map_err(|error| {
        connecting::unanswered(
            ExitCode::DbQuery,
            &format!("delete the record of {}", target.title()),
            &error,
        )
    })?;
    let mut details = format!("{} unregistered", target.title());
    if target.node_id != own_id {
        details.push_str(&format!(" from {}", connecting::local_title(context)));
    }
    let event = Event::new(EventName::PrimaryUnregister, own_id).details(details);
    events::emit(Some(&primary), config, event).await;
    info!("{} was successfully unregistered", target.title());
    Ok(ExitCode::Success)
}

/// The primary according to this node's metadata, and a connection to it.
async fn recorded_primary(local: &Connection) -> Result<(NodeRecord, Connection)> {
    let recorded = nodes::recorded_primary(local)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::DbConn, "read the record of the primary", &error))?;
    let Some(recorded) = recorded else {
        return Err(Error::new(ExitCode::DbConn, "no active primary is registered")
            .hint("use \"repmgr cluster show\" to see the registered nodes"));
    };
    let primary = survey::connect(&recorded, Deadlines::default())
        .await
        .map_err(|error| {
            Error::new(
                ExitCode::DbConn,
                format!("unable to connect to the primary, {}", recorded.title()),
            )
            .detail(error.to_string())
            .hint("the primary must run: it holds the record to be removed")
        })?;
    let record = records::required_record(&primary, recorded.node_id, ExitCode::BadConfig).await?;
    Ok((record, primary))
}

/// The recovery state; `None` if the node cannot be reached.
async fn observe(target: &NodeRecord) -> Option<RecoveryState> {
    let connection = survey::connect(target, Deadlines::default()).await.ok()?;
    Some(connection.recovery_state().await.unwrap_or(RecoveryState::Unknown))
}

#[derive(Debug, PartialEq, Eq)]
enum Problem {
    NotPrimary,
    PrimaryInRecovery,
    StateUnknown,
    CurrentPrimary,
    Active,
}

impl Problem {
    fn into_error(self, target: &NodeRecord) -> Error {
        let title = target.title();
        match self {
            Problem::NotPrimary => {
                Error::bad_config(format!("{title} is registered as {}, not as primary", target.node_type))
                    .hint(format!("remove it with \"repmgr {} unregister\"", target.node_type))
            }
            Problem::PrimaryInRecovery => {
                Error::bad_config(format!("{title} is registered as primary, but runs as a standby"))
                    .hint("register it as what it is with \"repmgr standby register --force\"")
                    .hint("use -F/--force to unregister it nevertheless")
            }
            Problem::StateUnknown => Error::bad_config(format!("unable to determine whether {title} is in recovery"))
                .hint("see that server's log, and run the command again"),
            Problem::CurrentPrimary => Error::bad_config(format!("{title} is the current primary"))
                .hint("use -F/--force to unregister it nevertheless"),
            Problem::Active => {
                Error::bad_config(format!("{title} is active")).hint("use -F/--force to unregister it nevertheless")
            }
        }
    }
}

/// What stands against it, in the order in which it is looked at.
fn unregister_problem(
    node_type: NodeType,
    active: bool,
    is_current: bool,
    observed: Option<RecoveryState>,
    force: bool,
) -> Option<Problem> {
    let state_problem = match observed {
        None | Some(RecoveryState::Standby) if node_type != NodeType::Primary => Some(Problem::NotPrimary),
        Some(RecoveryState::Standby) if !force => Some(Problem::PrimaryInRecovery),
        Some(RecoveryState::Unknown) if !force => Some(Problem::StateUnknown),
        Some(RecoveryState::Primary) if is_current && !force => Some(Problem::CurrentPrimary),
        _ => None,
    };
    state_problem.or((active && !force).then_some(Problem::Active))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn force_does_not_make_a_standby_a_primary() {
        for observed in [None, Some(RecoveryState::Standby)] {
            assert_eq!(
                unregister_problem(NodeType::Standby, true, false, observed, true),
                Some(Problem::NotPrimary)
            );
        }
    }

    #[test]
    fn an_unreachable_inactive_primary_may_go_without_force() {
        assert_eq!(unregister_problem(NodeType::Primary, false, false, None, false), None);
        assert_eq!(
            unregister_problem(NodeType::Primary, true, false, None, false),
            Some(Problem::Active)
        );
    }

    #[test]
    fn the_current_primary_and_one_in_recovery_take_force() {
        let current = |force| unregister_problem(NodeType::Primary, true, true, Some(RecoveryState::Primary), force);
        assert_eq!((current(false), current(true)), (Some(Problem::CurrentPrimary), None));
        let in_recovery =
            |force| unregister_problem(NodeType::Primary, false, false, Some(RecoveryState::Standby), force);
        assert_eq!(
            (in_recovery(false), in_recovery(true)),
            (Some(Problem::PrimaryInRecovery), None)
        );
    }
}
