//! Holding: renewals, the own server's end, changes of the voters and of the payload, and the lapse.

use std::collections::BTreeSet;

use repmgr_write_right::{NodeId, Payload, Proposal, Purpose, Request, Safety, Verdict};

use super::action::Action;
use super::observation::Change;
use super::rules::Rule;
use super::state::{Decision, Held, Phase, Renewal};
use super::turn::{Turn, listed};

impl Turn<'_> {
    /// Tells the own server its end, if it does not know it.
    pub fn extend_local_end(&mut self) {
        let (Some(held), Some(server)) = (&self.next.held, self.seen.server.start) else {
            return;
        };
        let (ballot, until) = (held.ballot, held.until);
        let forgotten = self.seen.server.end.is_some_and(|end| end < until);
        if until > self.now && (forgotten || self.next.extended != Some((server, until))) {
            self.next.extended = Some((server, until));
            self.act(Action::ExtendLocalEnd { ballot, until, server });
        }
    }

    /// The right has ended without a renewal.
    pub fn lapse(mut self, held: &Held) -> Decision {
        let Held { ballot, epoch, .. } = *held;
        self.next.held = None;
        self.act(Action::SetLocalEndToZero { ballot });
        self.act(Action::Lapsed { epoch });
        let over = self.now.saturating_sub(held.until);
        let reason = format!("the end of epoch {epoch} passed {over} ms ago without a renewal");
        let until = self.random_while();
        self.back_off(Rule::Lapsed, reason, until)
    }

    /// The daemon does not want it any more.
    pub fn give_up(mut self) -> Decision {
        self.next.phase = Phase::Idle;
        let wake_at = self.now + self.settings.length;
        let Some(Held { ballot, epoch, .. }) = self.next.held.take() else {
            return self.decide(Rule::NotWanted, "the right is not wanted here", wake_at);
        };
        self.act(Action::SetLocalEndToZero { ballot });
        self.act(Action::Lapsed { epoch });
        let reason = format!("the right of epoch {epoch} is not wanted any more, and left to end");
        self.decide(Rule::GivenUp, reason, wake_at)
    }

    /// This node is no voter any more.
    pub fn not_a_voter(mut self) -> Decision {
        let list = self.next.list.clone();
        let what = match list.given_up.contains(&self.next.own) {
            true => "gives this node up",
            false => "does not name this node",
        };
        let reason = format!("voter list {} ({}) {what}", list.version, listed(&list.voters));
        self.next.phase = Phase::Idle;
        if let Some(Held { ballot, epoch, .. }) = self.next.held.take() {
            self.act(Action::SetLocalEndToZero { ballot });
            self.act(Action::Lapsed { epoch });
        }
        let wake_at = self.now + self.settings.length;
        self.decide(Rule::NotAVoter, reason, wake_at)
    }

    /// Counts what came for the renewals under way, and extends the end. Says whether it was, and why a voter refused.
    fn count(&mut self, held: &mut Held, renewals: &mut Vec<Renewal>) -> (bool, Option<String>) {
        let mut refused = None;
        for renewal in renewals.iter_mut() {
            for answered in self.answers(renewal.attempt) {
                let Some(answer) = &answered.answer else { continue };
                match answer.verdict {
                    Verdict::Accepted => {
                        renewal.accepted.insert(answered.voter);
                    }
                    Verdict::LowerBallot
                    | Verdict::OlderEpoch
                    | Verdict::OlderList
                    | Verdict::AlreadyReleased
                    | Verdict::Implausible => {
                        let (voter, word) = (answered.voter, answer.verdict.word());
                        refused = Some(format!("voter {voter} refused the renewal: {word}"));
                    }
                    _ => {}
                }
            }
        }
        let mut extended = false;
        for renewal in renewals.iter() {
            let list = &renewal.proposal.list;
            let quorum = match self.rules.hold(Safety::MajorityNeeded) {
                true => list.is_quorum(|node| renewal.accepted.contains(&node)),
                false => renewal.accepted.len() * 2 >= list.voters.len(),
            };
            if !quorum {
                continue;
            }
            let until = self.end_of(renewal.since, renewal.until);
            if until > held.until {
                held.until = until;
                extended = true;
            }
            let payload = &renewal.proposal.payload;
            if payload.version == held.payload.version && !held.payload_chosen {
                held.payload_chosen = true;
                let payload = payload.clone();
                self.actions.push(Action::PayloadChosen { payload });
            }
            let both = match self.rules.hold(Safety::BothMajorities) {
                true => list.is_accepted_by(|node| renewal.accepted.contains(&node)),
                false => {
                    list.before
                        .iter()
                        .filter(|node| renewal.accepted.contains(node))
                        .count()
                        * 2
                        > list.before.len()
                }
            };
            let chosen = held.list_chosen.as_ref().map(|chosen| chosen.rank());
            if (list.is_settled() || both) && Some(list.rank()) > chosen {
                held.list_chosen = Some(list.clone());
            }
        }
        let now = self.now;
        renewals.retain(|renewal| renewal.until > now);
        (extended, refused)
    }

    /// Holds the right.
    pub fn holding(mut self, mut renewals: Vec<Renewal>, next: u64) -> Decision {
        let Some(mut held) = self.next.held.clone() else {
            return self.begin();
        };
        let (extended, refused) = self.count(&mut held, &mut renewals);
        self.next.held = Some(held.clone());
        if held.until <= self.now {
            return self.lapse(&held);
        }
        let list = self.next.list.clone();
        let learnt = self.next.list_from != Some(held.ballot) && list.version > 0;
        let refused = refused.or_else(|| {
            let version = list.version;
            learnt.then(|| format!("a voter knows voter list {version}, which this process has not proposed"))
        });
        if let Some(reason) = refused {
            self.extend_local_end();
            let mut decision = self.prepare();
            decision.rule = Rule::RenewalRefused;
            decision.reason = format!("{reason}; {}", decision.reason);
            return decision;
        }
        let given_up = self.seen.force.as_ref();
        if given_up.is_some_and(|given_up| list.everybody().iter().any(|node| given_up.contains(node))) {
            return self.prepare();
        }
        let told = self.next.extended.map(|(server, _)| server);
        let restarted = self.seen.server.start.is_some() && told.is_some() && told != self.seen.server.start;
        let (rule, mut reason) = self.change(&mut held);
        let due = rule.is_some() || self.now >= next;
        let mut next = next;
        if due {
            renewals.push(self.renew(&held));
            next = self.now + self.settings.renewal();
        }
        self.extend_local_end();
        let left = held.until - self.now;
        let wake_at = next.min(held.until);
        let rule = rule.unwrap_or(match (due, extended) {
            (_, true) => Rule::Renewed,
            (true, false) => Rule::Renewing,
            (false, false) if restarted => Rule::ServerRestarted,
            (false, false) if self.seen.server.start.is_none() => Rule::ServerAway,
            (false, false) => Rule::Held,
        });
        if reason.is_empty() {
            reason = format!("the right is held in epoch {} for {left} ms", held.epoch);
        }
        self.next.held = Some(held);
        self.next.phase = Phase::Holding { renewals, next };
        self.decide(rule, reason, wake_at)
    }

    /// What of voters and payload is to change with the next renewal, and what of it is over.
    fn change(&mut self, held: &mut Held) -> (Option<Rule>, String) {
        let list = self.next.list.clone();
        let chosen = held.list_chosen.as_ref() == Some(&list);
        if !list.is_settled() && chosen {
            self.next.list = list.settled();
            let voters = list.voters.clone();
            let reason = format!("voter list {} counts: {}", list.version, listed(&voters));
            self.act(Action::VotersChanged { voters });
            return (Some(Rule::VotersChanged), reason);
        }
        let may_change = chosen || !self.rules.hold(Safety::OneChangeAtATime);
        let settled = if may_change { list.settled() } else { list };
        let changed = match self.seen.change {
            Some(Change::Add(node)) => settled.with(node).filter(|_| self.has_a_record(node)),
            Some(Change::Remove(node)) if node != self.next.own => settled.without(node),
            _ => None,
        };
        if let Some(changed) = changed {
            let reason = format!(
                "voter list {} is proposed: {}",
                changed.version,
                listed(&changed.voters)
            );
            self.next.list = changed;
            return (Some(Rule::VotersChanging), reason);
        }
        if let Some((count, standbys)) = &self.seen.payload
            && held.payload_chosen
            && (held.payload.count, &held.payload.standbys) != (*count, standbys)
        {
            self.next.payload_version += 1;
            held.payload = Payload {
                version: self.next.payload_version,
                count: *count,
                standbys: standbys.clone(),
            };
            held.payload_chosen = false;
            let reason = format!("{count} of nodes {} are to have each commit", listed(standbys));
            return (Some(Rule::PayloadChanging), reason);
        }
        (None, String::new())
    }

    /// Whether a node that is to vote has a record and is not silent; asks it, as long as it is not known.
    fn has_a_record(&mut self, node: NodeId) -> bool {
        if let Some((asked, attempt, since)) = self.next.joining
            && asked == node
        {
            let answer = self.answers(attempt).find_map(|answered| answered.answer.as_ref());
            if answer.is_some_and(|answer| answer.known.is_some() && answer.silent == 0) {
                self.next.joining = None;
                return true;
            }
            if self.now < since + self.settings.patience() {
                return false;
            }
        }
        let attempt = self.ask(vec![node], Request::Status, self.settings.patience());
        self.next.joining = Some((node, attempt, self.now));
        let reason = format!("node {node} is to vote: whether it has a record is asked");
        self.noted = Some((Rule::JoinerAwaited, reason));
        false
    }

    /// Asks for the same acceptance again.
    fn renew(&mut self, held: &Held) -> Renewal {
        let list = self.next.list.clone();
        let proposal = Proposal {
            purpose: if list.is_settled() {
                Purpose::Renew
            } else {
                Purpose::Reconfigure
            },
            ballot: held.ballot,
            epoch: held.epoch,
            length: self.settings.length,
            payload: held.payload.clone(),
            list,
        };
        let mut whom = proposal.list.everybody();
        // Those who were given up are told so as soon as they are there again, before they find each other.
        whom.extend(&proposal.list.given_up);
        let attempt = self.ask(whom, Request::Accept(proposal.clone()), self.worth());
        Renewal {
            attempt,
            since: self.now,
            until: self.now + self.worth(),
            proposal,
            accepted: BTreeSet::new(),
        }
    }
}
