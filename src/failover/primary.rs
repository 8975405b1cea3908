//! Primary mode: watches the own server. It never looks at other nodes while the own one is a primary.

use std::time::Duration;

use crate::exit_code::ExitCode;
use crate::types::{NodeId, NodeType, RecoveryState};

use super::action::{Action, Where};
use super::observation::{Finished, RecordChange};
use super::rules::Rule;
use super::state::{Decision, LocalServer, Mode, Phase, PrimaryPhase};
use super::turn::Turn;

/// How long a change of the own record on the new primary may take before another try.
const JOIN_LIMIT: Duration = Duration::from_secs(30);

impl Turn<'_> {
    pub(super) fn primary(self, phase: PrimaryPhase) -> Decision {
        match (self.seen.local.recovery, phase) {
            (RecoveryState::Primary, PrimaryPhase::Normal) => self.serves(),
            (RecoveryState::Primary, _) => self.serves_again(),
            (RecoveryState::Standby, PrimaryPhase::Searching) => self.search_primary(),
            (RecoveryState::Standby, PrimaryPhase::Joining { primary, until }) => self.joining(primary, until),
            (RecoveryState::Standby, _) => self.demoted(),
            (RecoveryState::Unknown, PrimaryPhase::Reconnecting { until }) => self.try_own_server(until),
            (RecoveryState::Unknown, PrimaryPhase::Degraded) => self.await_own_server(),
            (RecoveryState::Unknown, _) => self.own_server_lost(),
        }
    }

    fn serves(mut self) -> Decision {
        if self.seen.local.registered == super::observation::Answer::No {
            self.register_daemon();
        }
        let title = self.next.title(self.next.own);
        self.decide_paced(Rule::PrimaryServes, format!("{title} answers and is a primary"))
    }

    fn serves_again(mut self) -> Decision {
        let away = self.next.lost_at.map(|lost| self.now.saturating_sub(lost));
        self.next.mode = Mode::Primary(PrimaryPhase::Normal);
        self.forget_loss();
        self.register_daemon();
        let reason = match away {
            Some(away) => {
                let details = format!("the local server is there again after {} seconds", away.as_secs());
                self.announce("repmgrd_local_reconnect", true, Where::Local, details.clone());
                details
            }
            None => "the local server is a primary again".to_owned(),
        };
        self.decide_paced(Rule::PrimaryBack, reason)
    }

    fn own_server_lost(mut self) -> Decision {
        self.next.lost_at = Some(self.now);
        let until = self.now + self.settings.reconnect_time();
        self.next.mode = Mode::Primary(PrimaryPhase::Reconnecting { until });
        let details = format!("{} does not answer", self.next.title(self.next.own));
        self.announce("repmgrd_local_disconnect", true, Where::Nowhere, details.clone());
        self.decide_polling(Rule::PrimaryLost, details)
    }

    /// The own server is asked each turn, so only the time counts that the attempts are given.
    fn try_own_server(mut self, until: Duration) -> Decision {
        if self.now < until {
            let left = until - self.now;
            let reason = format!("the local server does not answer; {:.0} s left", left.as_secs_f64());
            let wait = left.min(self.settings.polling());
            return self.decide(Rule::PrimaryAwaited, reason, wait);
        }
        self.next.mode = Mode::Primary(PrimaryPhase::Degraded);
        self.next.degraded_since = Some(self.now);
        let lasted = self.next.lost_at.map_or(0, |lost| (self.now - lost).as_secs());
        self.decide_paced(
            Rule::PrimaryGivenUp,
            format!("the local server has not answered for {lasted} s"),
        )
    }

    fn await_own_server(self) -> Decision {
        if let Some(lasted) = self.degraded_too_long() {
            let reason = format!("the local server has not answered for {} s", lasted.as_secs());
            return self.exit(Rule::DegradedTooLong, reason, ExitCode::MonitoringTimeout, true);
        }
        self.decide_paced(Rule::PrimaryAwaited, "the local server still does not answer")
    }

    fn demoted(mut self) -> Decision {
        self.next.mode = Mode::Primary(PrimaryPhase::Searching);
        // It does not vote before it has seen a new primary; others must not wait for it.
        self.next.standing_aside = true;
        self.register_daemon();
        self.decide_at_once(Rule::PrimaryDemoted, "the local server is a standby now")
    }

    fn search_primary(mut self) -> Decision {
        let Some(primary) = self.live_primary() else {
            let asked = self.seen.others.len();
            let reason = format!("none of {asked} other nodes is a primary");
            return self.decide_paced(Rule::NewPrimarySought, reason);
        };
        self.next.mode = Mode::Primary(PrimaryPhase::Joining {
            primary,
            until: self.now + JOIN_LIMIT,
        });
        self.act(Action::BecomeStandby(primary));
        let reason = format!("{} is the primary now", self.next.title(primary));
        self.decide_polling(Rule::NewPrimaryFound, reason)
    }

    fn joining(mut self, primary: NodeId, until: Duration) -> Decision {
        let title = self.next.title(primary);
        let result = self.result(|finished| match finished {
            Finished::BecameStandby(change) => Some(*change),
            _ => None,
        });
        match result {
            Some(RecordChange::Done) => {
                let aside = std::mem::take(&mut self.next.standing_aside);
                self.forget_loss();
                self.next.standing_aside = aside;
                let upstream = self.joined_upstream(primary);
                self.watch(Some(upstream));
                self.next.local = LocalServer::Up;
                self.next.mode = Mode::Standby(Phase::Entering {
                    search: false,
                    until: self.now,
                });
                let details = format!("this node is a standby of {} now", self.next.title(upstream));
                self.announce("repmgrd_standby_reconnect", true, Where::On(primary), details.clone());
                self.decide_at_once(Rule::Rejoined, details)
            }
            Some(RecordChange::RecordMissing) => {
                let reason = format!("{title} has no record of this node");
                self.exit(Rule::NotRegistered, reason, ExitCode::BadConfig, false)
            }
            Some(RecordChange::Failed) => self.search_again(format!("the own record could not be changed on {title}")),
            None if self.now >= until => self.search_again(format!("{title} gave no answer in time")),
            None => {
                let reason = format!("waiting for the change of the own record on {title}");
                self.decide_polling(Rule::JoinPending, reason)
            }
        }
    }

    /// The upstream after a change of role. The primary that was found may be the successor of the one that this
    /// node was made a standby of: then the server does not stream from it yet, which the loss of the recorded
    /// upstream brings to light.
    fn joined_upstream(&self, primary: NodeId) -> NodeId {
        self.own()
            .filter(|own| own.node_type == NodeType::Standby)
            .and_then(|own| own.upstream)
            .filter(|upstream| *upstream != self.next.own && self.next.node(*upstream).is_some())
            .unwrap_or(primary)
    }

    fn search_again(mut self, reason: String) -> Decision {
        self.next.mode = Mode::Primary(PrimaryPhase::Searching);
        self.decide_paced(Rule::NewPrimarySought, reason)
    }
}
