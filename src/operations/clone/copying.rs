//! A program that copies a database cluster here, at work: its output is
//! followed, it is given up if nothing comes any more, and it is ended whole.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::progress::{Ended, Output};

/// How long the last words of a program that has ended may take.
const REST: Duration = Duration::from_secs(2);

/// It has a process group of its own: Ctrl-C is for us to act on.
pub(super) struct Running {
    child: Child,
    group: Option<i32>,
    output: Option<tokio::net::unix::pipe::Receiver>,
}

impl Running {
    /// Starts it; both of its outputs are followed.
    pub fn start(mut command: Command) -> std::io::Result<Running> {
        let (reader, writer) = std::io::pipe()?;
        let child = command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        // It holds the writing ends as long as it lives.
        drop(command);
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let output = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
        Ok(Running {
            child,
            group,
            output: Some(output),
        })
    }

    /// Follows it to its end; `None` if it was ended because nothing came any more.
    pub async fn follow(&mut self, output: &mut Output) -> std::io::Result<Option<ExitStatus>> {
        let pipe = self.output.take();
        let followed = {
            let following = std::pin::pin!(output.follow(pipe));
            let ended = std::pin::pin!(self.child.wait());
            match select(following, ended).await {
                Either::Left((followed, _)) => followed,
                // Something in the background, as a shared connection of ssh, may go on holding the pipe.
                Either::Right((_, following)) => {
                    let _ = tokio::time::timeout(REST, following).await;
                    Ended::ByItself
                }
            }
        };
        match followed {
            Ended::ByItself => self.child.wait().await.map(Some),
            Ended::Stalled => {
                self.end().await;
                Ok(None)
            }
        }
    }

    /// Ends it with its descendants, and waits until they are gone and write no more.
    pub async fn end(&mut self) {
        let Some(group) = self.group.map(Pid::from_raw) else {
            return;
        };
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
        // A process that waits for a dead disk cannot be ended; that must not hold us up.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while killpg(group, None).is_ok() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
