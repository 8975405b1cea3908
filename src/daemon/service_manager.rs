//! systemd, or whoever else started the daemon with `NOTIFY_SOCKET`: ready, reloading, stopping, what it is doing, and
//! that its loop turns (sd_notify(3)). Without that variable nothing is told to anybody.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The socket of the service manager, and how often it wants to be fed.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one in the environment of this process.
    pub fn of_process() -> ServiceManager {
        ServiceManager::of(|name| std::env::var_os(name), std::process::id())
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> ServiceManager {
        let Some(address) = variable("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return ServiceManager::default();
        };
        let socket = match open(&address) {
            Ok(socket) => socket,
            Err(error) => {
                crate::warning!("the service manager cannot be told anything: {error}");
                crate::detail!("NOTIFY_SOCKET is \"{}\"", address.display());
                return ServiceManager::default();
            }
        };
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // The variable may have been meant for the process that started this one.
        let for_this = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(own));
        ServiceManager {
            socket: Some(socket),
            watchdog: number("WATCHDOG_USEC")
                .filter(|limit| for_this && *limit > 0)
                .map(Duration::from_micros),
        }
    }

    /// How often the loop has to feed the watchdog, if there is one.
    pub fn pace(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 3)
    }

    /// The daemon watches.
    pub fn ready(&self) {
        self.tell(&format!("READY=1\nMAINPID={}", std::process::id()));
    }

    /// The configuration is read again; [`ServiceManager::ready`] ends it.
    pub fn reloading(&self) {
        // systemd compares it with the time of its own request (Type=notify-reload).
        let now =
            clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// The daemon ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// What it is doing, in one line.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The loop turns.
    pub fn feed(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            crate::debug!("the service manager was not told \"{message}\": {error}");
        }
    }
}

/// A path, or after `@` a name of the abstract kind. Never waits for a reader.
fn open(address: &OsStr) -> std::io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(variables: &[(&str, &str)]) -> ServiceManager {
        ServiceManager::of(
            |name| {
                let found = variables.iter().find(|(known, _)| *known == name)?;
                Some(OsString::from(found.1))
            },
            42,
        )
    }

    fn next(receiver: &UnixDatagram) -> String {
        let mut buffer = [0; 1000];
        let length = receiver.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn messages_have_the_form_of_sd_notify() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let manager = manager(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "3000000")]);
        assert_eq!(manager.pace(), Some(Duration::from_secs(1)));
        manager.ready();
        assert_eq!(next(&receiver), format!("READY=1\nMAINPID={}", std::process::id()));
        manager.status("two\nlines");
        assert_eq!(next(&receiver), "STATUS=two lines");
        manager.feed();
        assert_eq!(next(&receiver), "WATCHDOG=1");
        manager.reloading();
        let reloading = next(&receiver);
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        manager.stopping();
        assert_eq!(next(&receiver), "STOPPING=1");
        // Nobody listens any more, which is nobody's loss.
        drop(receiver);
        manager.feed();
    }

    #[test]
    fn an_abstract_name_begins_with_an_at() {
        let name = format!("repmgr-oxide-test-{}", std::process::id());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        manager(&[("NOTIFY_SOCKET", &format!("@{name}"))]).stopping();
        assert_eq!(next(&receiver), "STOPPING=1");
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_fed() {
        let with = |pid: &str| {
            let variables = [
                ("NOTIFY_SOCKET", "/x"),
                ("WATCHDOG_USEC", "9000000"),
                ("WATCHDOG_PID", pid),
            ];
            manager(&variables).pace()
        };
        assert_eq!(with("42"), Some(Duration::from_secs(3)));
        assert_eq!(with("43"), None);
        assert_eq!(manager(&[("WATCHDOG_USEC", "9000000")]).pace(), None);
        manager(&[]).ready();
    }
}
