//! A plan: a list of steps, each with what must hold before it, what it does,
//! and how it is taken back.
//!
//! First every check of the list runs, then every action. `--dry-run` ends
//! between the two, so it judges by the very same checks and changes nothing.
//! An action that fails, or a signal, takes back what was done, newest first,
//! down to the last point of no return; behind one, signals wait for the end.

use futures_util::future::{Either, LocalBoxFuture, select};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Result};
use crate::exit_code::ExitCode;

type Work<S, T> = for<'a> fn(&'a mut S) -> LocalBoxFuture<'a, T>;

/// One step of a plan over a state `S`, in which it keeps what it finds out and does.
pub struct Step<S> {
    check: Option<Work<S, Result<()>>>,
    act: Option<Work<S, Result<()>>>,
    undo: Option<Work<S, ()>>,
    name: &'static str,
    no_return: bool,
}

impl<S> Step<S> {
    /// A step that does nothing yet.
    pub fn new(name: &'static str) -> Self {
        Step {
            check: None,
            act: None,
            undo: None,
            name,
            no_return: false,
        }
    }

    /// What must hold. Changes nothing in the world.
    #[must_use]
    pub fn check(mut self, check: Work<S, Result<()>>) -> Self {
        self.check = Some(check);
        self
    }

    /// What is done.
    #[must_use]
    pub fn act(mut self, act: Work<S, Result<()>>) -> Self {
        self.act = Some(act);
        self
    }

    /// How it is taken back, also half-done; what cannot be is logged.
    #[must_use]
    pub fn undo(mut self, undo: Work<S, ()>) -> Self {
        self.undo = Some(undo);
        self
    }

    /// When this is done, it and all before it stay, whatever happens later.
    #[must_use]
    pub fn point_of_no_return(mut self) -> Self {
        self.no_return = true;
        self
    }
}

/// Runs the checks in order, up to the first that fails.
///
/// # Errors
/// The failed check's.
pub async fn check<S>(steps: &[Step<S>], state: &mut S) -> Result<()> {
    for step in steps {
        if let Some(check) = step.check {
            crate::debug!("checking: {}", step.name);
            check(state).await?;
        }
    }
    Ok(())
}

/// Runs the actions in order. `interruption` says why to stop, see [`Interruption`]; that is an error with the exit
/// code `interrupted_as`.
///
/// # Errors
/// The failed action's, or that it was interrupted; what was done is taken back.
pub async fn carry_out<S>(
    steps: &[Step<S>],
    state: &mut S,
    interruption: impl Future<Output = &'static str>,
    interrupted_as: ExitCode,
) -> Result<()> {
    let mut interruption = Box::pin(interruption);
    let mut undone_from = 0;
    for (index, step) in steps.iter().enumerate() {
        let Some(act) = step.act else { continue };
        crate::debug!("step: {}", step.name);
        let outcome = if undone_from > 0 {
            act(state).await
        } else {
            match select(interruption.as_mut(), act(state)).await {
                Either::Left((cause, _)) => Err(interrupted(step.name, cause, interrupted_as)),
                Either::Right((outcome, _)) => outcome,
            }
        };
        if let Err(error) = outcome {
            for step in steps[undone_from..=index.max(undone_from)].iter().rev() {
                if let Some(undo) = step.undo {
                    crate::debug!("taking back: {}", step.name);
                    undo(state).await;
                }
            }
            return Err(error);
        }
        if step.no_return {
            undone_from = index + 1;
        }
    }
    Ok(())
}

fn interrupted(step: &str, cause: &str, exit_code: ExitCode) -> Error {
    Error::new(exit_code, format!("interrupted by {cause}")).detail(format!("it happened during: {step}"))
}

/// The signals by which a person or the system ends a program: Ctrl-C, a lost terminal, SIGTERM.
pub struct Interruption {
    signals: Vec<(&'static str, Signal)>,
}

impl Interruption {
    /// Starts to listen; from now on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen() -> std::io::Result<Interruption> {
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
        ];
        let signals = kinds
            .into_iter()
            .map(|(name, kind)| Ok((name, signal(kind)?)))
            .collect::<std::io::Result<_>>()?;
        Ok(Interruption { signals })
    }

    /// Waits for the first of them; its name.
    pub async fn wait(mut self) -> &'static str {
        let waiting = self.signals.iter_mut().map(|(name, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *name
            })
        });
        futures_util::future::select_all(waiting).await.0
    }
}

/// Listens from now on to the signals that end a program, and waits for the first of them.
///
/// # Errors
/// The system refuses.
pub fn signals() -> Result<impl Future<Output = &'static str>> {
    let interruption = Interruption::listen()
        .map_err(|error| Error::new(ExitCode::Internal, "unable to listen for signals").detail(error.to_string()))?;
    Ok(interruption.wait())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Log = Vec<&'static str>;

    fn plan() -> Vec<Step<Log>> {
        fn say(log: &mut Log, word: &'static str) -> Result<()> {
            let refused = log.first().is_some_and(|first| *first == word);
            log.push(word);
            if refused { Err(Error::bad_config(word)) } else { Ok(()) }
        }
        vec![
            Step::new("one")
                .check(|log| Box::pin(async { say(log, "check one") }))
                .act(|log| Box::pin(async { say(log, "act one") }))
                .undo(|log| Box::pin(async { log.push("undo one") })),
            Step::new("two").check(|log| Box::pin(async { say(log, "check two") })),
            Step::new("three")
                .act(|log| Box::pin(async { say(log, "act three") }))
                .undo(|log| Box::pin(async { log.push("undo three") }))
                .point_of_no_return(),
            Step::new("four")
                .act(|log| Box::pin(async { say(log, "act four") }))
                .undo(|log| Box::pin(async { log.push("undo four") })),
        ]
    }

    /// The first entry of the log says what is to fail.
    fn run(failing: &'static str, interruption: impl Future<Output = &'static str>) -> (Log, bool) {
        let mut log = vec![failing];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(async {
            check(&plan(), &mut log).await?;
            carry_out(&plan(), &mut log, interruption, ExitCode::Internal).await
        });
        log.remove(0);
        (log, result.is_ok())
    }

    #[test]
    fn all_checks_come_before_all_actions() {
        let (log, ok) = run("", std::future::pending());
        assert_eq!(log, ["check one", "check two", "act one", "act three", "act four"]);
        assert!(ok);
    }

    #[test]
    fn a_failed_check_means_that_nothing_is_done() {
        let (log, ok) = run("check two", std::future::pending());
        assert_eq!(log, ["check one", "check two"]);
        assert!(!ok);
    }

    #[test]
    fn a_failed_action_is_taken_back_with_those_before_it() {
        let (log, ok) = run("act three", std::future::pending());
        assert_eq!(log[2..], ["act one", "act three", "undo three", "undo one"]);
        assert!(!ok);
    }

    #[test]
    fn behind_a_point_of_no_return_only_later_steps_are_taken_back() {
        let (log, ok) = run("act four", std::future::pending());
        assert_eq!(log[2..], ["act one", "act three", "act four", "undo four"]);
        assert!(!ok);
    }

    #[test]
    fn a_signal_takes_everything_back() {
        let (log, ok) = run("", async { "SIGINT" });
        assert_eq!(log[2..], ["undo one"]);
        assert!(!ok);
    }
}
