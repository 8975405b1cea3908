//! The local syslog daemon's socket (RFC 3164, in the form glibc's `syslog()` sends).

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::Level;

/// Where syslog daemons listen.
pub(super) const SOCKET: &str = "/dev/log";

/// Who the message is from, as syslog sorts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facility(u8);

impl Facility {
    /// `USER` or `LOCAL0` to `LOCAL7`; case counts.
    pub(super) fn by_name(name: &str) -> Option<Facility> {
        match name {
            "USER" => Some(Facility(1)),
            _ => match name.strip_prefix("LOCAL")?.as_bytes() {
                [digit @ b'0'..=b'7'] => Some(Facility(16 + digit - b'0')),
                _ => None,
            },
        }
    }
}

/// An open way to the syslog daemon.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    facility: Facility,
    program: String,
}

impl Syslog {
    pub(super) fn open(path: &Path, facility: Facility, program: &str) -> io::Result<Syslog> {
        let socket = UnixDatagram::unbound()?;
        // A log must not hold the work up: what the daemon does not take at once is not sent.
        socket.set_nonblocking(true)?;
        socket.connect(path)?;
        Ok(Syslog {
            socket,
            path: path.to_owned(),
            facility,
            program: program.to_owned(),
        })
    }

    /// Sends a line. A syslog daemon that was restarted is found again.
    pub(super) fn send(&self, level: Level, text: &str) -> io::Result<()> {
        let message = format!(
            "<{}>{} {}[{}]: {text}",
            self.facility.0 * 8 + level as u8,
            chrono::Local::now().format("%b %e %H:%M:%S"),
            self.program,
            std::process::id(),
        );
        match self.socket.send(message.as_bytes()) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.socket.connect(&self.path)?;
                self.socket.send(message.as_bytes()).map(|_| ())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities() {
        assert_eq!(Facility::by_name("USER"), Some(Facility(1)));
        assert_eq!(Facility::by_name("LOCAL0"), Some(Facility(16)));
        assert_eq!(Facility::by_name("LOCAL7"), Some(Facility(23)));
        for name in ["", "STDERR", "LOCAL", "LOCAL8", "LOCAL10", "local0", "user", "LOCALX"] {
            assert_eq!(Facility::by_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_message_has_priority_time_program_and_process_and_a_restarted_daemon_gets_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let syslog = Syslog::open(&path, Facility(16), "repmgrd").unwrap();
        let receive = |daemon: &UnixDatagram| {
            let mut buffer = [0; 200];
            daemon
                .set_read_timeout(Some(std::time::Duration::from_secs(20)))
                .unwrap();
            let length = daemon.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        syslog.send(Level::Notice, "hello").unwrap();
        let message = receive(&daemon);
        let expected = format!(" repmgrd[{}]: hello", std::process::id());
        assert!(
            message.starts_with("<133>") && message.ends_with(&expected),
            "{message}"
        );
        assert_eq!(message.len(), "<133>Jan  1 00:00:00".len() + expected.len());

        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.send(Level::Error, "lost").is_err());
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::Error, "found").unwrap();
        assert!(receive(&daemon).starts_with("<131>"));
    }
}
