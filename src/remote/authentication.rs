//! Showing a host who we are, with the keys of an agent and of files, in the
//! order in which OpenSSH tries them.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ssh2::{PublicKey, Session};

use super::choice::{IdentityAgent, Settings};

/// How long an agent may take to list its keys; a dead one must not cost the connection.
const AGENT_LIMIT: Duration = Duration::from_secs(2);

/// Authenticates with the first key that is accepted. What did the job, for people.
///
/// # Errors
/// What was tried and why nothing was accepted.
pub(super) fn authenticate(session: &Session, settings: &Settings, deadline: Instant) -> Result<String, String> {
    let user = settings.user.as_str();
    session.set_timeout(milliseconds(deadline.saturating_duration_since(Instant::now())));
    let methods = session.auth_methods(user).map(str::to_owned);
    if session.authenticated() {
        return Ok("no key needed".to_owned());
    }
    let methods = methods.map_err(|error| error.message().to_owned())?;
    if !methods.split(',').any(|method| method == "publickey") {
        return Err(format!("keys are not accepted, only {methods}"));
    }
    let mut attempts = Attempts {
        session,
        user,
        deadline,
        failures: Vec::new(),
    };
    let agent = Agent::open(session, &settings.identity_agent, &mut attempts.failures);
    let files: Vec<&PathBuf> = settings.identity_files.iter().filter(|file| file.exists()).collect();
    let public: Vec<Option<Vec<u8>>> = files.iter().map(|file| public_key(file)).collect();
    if let Some(agent) = &agent {
        for identity in agent.ordered(&public, settings.identities_only) {
            if attempts.with_agent(agent, identity)? {
                return Ok(format!("key \"{}\" of the agent", identity.comment()));
            }
        }
    }
    for (file, public) in files.into_iter().zip(public) {
        if public.is_some_and(|key| agent.as_ref().is_some_and(|agent| agent.has(&key))) {
            continue;
        }
        if attempts.with_file(file)? {
            return Ok(format!("key file \"{}\"", file.display()));
        }
    }
    Err(attempts.failure())
}

struct Attempts<'a> {
    session: &'a Session,
    user: &'a str,
    deadline: Instant,
    failures: Vec<String>,
}

impl Attempts<'_> {
    fn with_agent(&mut self, agent: &Agent, identity: &PublicKey) -> Result<bool, String> {
        let name = format!("key \"{}\" of the agent", identity.comment());
        self.attempt(&name, || agent.agent.userauth(self.user, identity))
    }

    fn with_file(&mut self, file: &Path) -> Result<bool, String> {
        let name = format!("key file \"{}\"", file.display());
        if is_open_to_others(file) {
            self.failures.push(format!("{name}: others may read it"));
            return Ok(false);
        }
        self.attempt(&name, || self.session.userauth_pubkey_file(self.user, None, file, None))
    }

    /// # Errors
    /// There is no use in trying the next one.
    fn attempt(&mut self, name: &str, authenticate: impl FnOnce() -> Result<(), ssh2::Error>) -> Result<bool, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.failures.push("no time was left".to_owned());
            return Err(self.failure());
        }
        self.session.set_timeout(milliseconds(left));
        match authenticate() {
            Ok(()) if self.session.authenticated() => Ok(true),
            Ok(()) => {
                self.failures
                    .push(format!("{name}: accepted, but the host wants more than that"));
                Ok(false)
            }
            Err(error) => {
                self.failures.push(format!("{name}: {}", error.message()));
                Ok(false)
            }
        }
    }

    fn failure(&self) -> String {
        if self.failures.is_empty() {
            "there is no key: no agent, and none of the key files exists".to_owned()
        } else {
            self.failures.join("; ")
        }
    }
}

/// For libssh2, where 0 is no limit.
pub(super) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis())
        .unwrap_or(u32::MAX)
        .clamp(1, i32::MAX as u32)
}

struct Agent {
    agent: ssh2::Agent,
    identities: Vec<PublicKey>,
}

impl Agent {
    fn open(session: &Session, wanted: &IdentityAgent, failures: &mut Vec<String>) -> Option<Agent> {
        let socket = match wanted {
            IdentityAgent::None => return None,
            IdentityAgent::Socket(socket) => socket.clone(),
            IdentityAgent::Environment => {
                let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty())?;
                PathBuf::from(socket)
            }
        };
        let open = || {
            probe(&socket).map_err(|error| error.to_string())?;
            let identities = |agent: &mut ssh2::Agent| {
                agent.set_identity_path(&socket)?;
                agent.connect()?;
                agent.list_identities()?;
                agent.identities()
            };
            let mut agent = session.agent().map_err(|error| error.message().to_owned())?;
            let identities = identities(&mut agent).map_err(|error| error.message().to_owned())?;
            Ok::<_, String>(Agent { agent, identities })
        };
        open()
            .map_err(|reason| failures.push(format!("agent \"{}\": {reason}", socket.display())))
            .ok()
    }

    fn has(&self, key: &[u8]) -> bool {
        self.identities.iter().any(|identity| identity.blob() == key)
    }

    /// First those that are also configured as files, in that order.
    fn ordered(&self, files: &[Option<Vec<u8>>], only_those: bool) -> Vec<&PublicKey> {
        let mut result: Vec<&PublicKey> = Vec::new();
        for key in files.iter().flatten() {
            result.extend(self.identities.iter().filter(|identity| identity.blob() == key));
        }
        if !only_those {
            for identity in &self.identities {
                if !result.contains(&identity) {
                    result.push(identity);
                }
            }
        }
        result
    }
}

/// libssh2 waits for an agent without a limit; this does not.
fn probe(socket: &Path) -> std::io::Result<()> {
    // The protocol's request for the list of keys, and the first bytes of its answer: length and type.
    const REQUEST_IDENTITIES: [u8; 5] = [0, 0, 0, 1, 11];
    const IDENTITIES_ANSWER: u8 = 12;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(AGENT_LIMIT))?;
    stream.set_write_timeout(Some(AGENT_LIMIT))?;
    stream.write_all(&REQUEST_IDENTITIES)?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => std::io::Error::other("it does not answer"),
        _ => error,
    })?;
    if answer[4] == IDENTITIES_ANSWER {
        Ok(())
    } else {
        Err(std::io::Error::other("it does not list its keys"))
    }
}

/// What stands beside a key file.
fn public_key(file: &Path) -> Option<Vec<u8>> {
    let mut path = file.as_os_str().to_owned();
    path.push(".pub");
    let text = std::fs::read_to_string(path).ok()?;
    openssl::base64::decode_block(text.split_whitespace().nth(1)?).ok()
}

/// OpenSSH does not use such a key.
fn is_open_to_others(file: &Path) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    std::fs::metadata(file).is_ok_and(|metadata| metadata.uid() == own && metadata.mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_agent_that_is_dead_or_silent_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        assert!(probe(&socket).is_err());
        let listener = UnixListener::bind(&socket).unwrap();
        let error = probe(&socket).unwrap_err();
        assert!(error.to_string().contains("does not answer"), "{error}");
        drop(listener);
        let error = probe(&socket).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn limits_are_never_none() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_secs(2)), 2000);
        assert_eq!(milliseconds(Duration::MAX), i32::MAX as u32);
    }
}
