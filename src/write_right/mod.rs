//! The right to write, as its holder and candidates see it: who is asked, what an answer is worth, until when the own
//! server may write.
//!
//! Pure: no clock, no socket, no file, no async. The daemon and the simulator (`tests/write_right/`) drive the very
//! same [`step`]. The voters' side, and the words that both speak, are the package `repmgr-write-right`.
//!
//! # How the daemon drives it
//!
//! ```text
//! let mut state = State::new(own_id, incarnation);      // another incarnation in each process
//! loop {
//!     let observation = …;                              // now; what is wanted; the own server; answers that came
//!     let decision = write_right::step(&settings, &state, &observation);
//!     log(decision.rule, decision.reason);              // when the rule changed
//!     state = decision.next;
//!     for action in decision.actions { carry_out(action); }   // in this order, none of them waited for
//!     wait until decision.wake_at, an answer, a change of the own server or a signal
//! }
//! ```
//!
//! * `now` is `CLOCK_BOOTTIME`, read *before* the turn: the right is held until a time on that clock, counted from
//!   before the question. So a daemon that was frozen anywhere between has less right, never more.
//! * Each question has a number and a deadline; each voter's end of it is reported once with that number.
//! * [`Action::ExtendLocalEnd`] may be refused, may come late or never: the server's own check of its end is what
//!   counts, and it is only ever extended to what a majority has granted already.
//! * To promote, wait for [`Action::Acquired`] *and* have the server itself compare its end with its clock when the
//!   promotion begins. Then want [`Want::Keep`].
//! * [`Rule::Overtaken`]: the node named in the reason was accepted after this one. It may never have got a majority.
//!   As long as nobody has looked at its timeline, this server's data must be taken for overtaken; if it is seen to be
//!   still in recovery, [`Want::Take`] wins the right from it.

mod acquiring;
mod action;
pub mod etcd;
mod holding;
mod leaving;
mod manual;
mod observation;
mod rules;
mod settings;
mod state;
#[cfg(test)]
mod step_tests;
pub mod synchronous;
mod turn;

use repmgr_write_right::Rules;

pub use action::Action;
pub use manual::manual;
pub use observation::{Answered, Change, Observation, Server, Want};
pub use rules::Rule;
pub use settings::Settings;
pub use state::{Accepting, Decision, Ending, Held, Phase, Preparing, Relearning, Renewal, State};

/// Decides one turn.
pub fn step(settings: &Settings, state: &State, observation: &Observation) -> Decision {
    step_under(Rules::default(), settings, state, observation)
}

/// [`step`] under other safety rules, for tests alone.
#[doc(hidden)]
pub fn step_under(rules: Rules, settings: &Settings, state: &State, observation: &Observation) -> Decision {
    let mut turn = turn::Turn::new(rules, settings, state, observation);
    turn.learn();
    turn.look_around();
    turn.relearn();
    let own = turn.next.own;
    if let Phase::Stopping(_) | Phase::Releasing { .. } = turn.next.phase {
        // Goes on to its end, whatever is wanted meanwhile.
    } else if turn.next.list.version > 0 && !turn.next.list.voters.contains(&own) && !turn.may_force() {
        return turn.not_a_voter();
    } else if observation.want == Want::Release && turn.next.held.is_some() {
        return turn.stop();
    } else if !turn.wants_it() {
        return turn.give_up();
    }
    match turn.next.phase.clone() {
        Phase::Idle => turn.begin(),
        Phase::Holding { renewals, next } => turn.holding(renewals, next),
        Phase::Stopping(ending) => turn.stopping(ending, false),
        Phase::Releasing {
            ending,
            attempt,
            since,
            released,
        } => turn.releasing(ending, attempt, since, released),
        Phase::BackingOff { until, rule } => match turn.lapsed() {
            Some(held) => turn.lapse(&held),
            None if until <= turn.now => turn.begin(),
            None => {
                let wake_at = turn.next.holds_until().map_or(until, |end| end.min(until));
                let reason = format!("{} ms are left after: {}", until - turn.now, rule.name());
                turn.decide(Rule::BackingOff, reason, wake_at)
            }
        },
        Phase::Preparing(doing) => match turn.lapsed() {
            Some(held) => turn.lapse(&held),
            None => turn.preparing(doing),
        },
        Phase::Accepting(doing) => match turn.lapsed() {
            Some(held) => turn.lapse(&held),
            None => turn.accepting(doing),
        },
    }
}
