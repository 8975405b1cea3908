//! An authenticated libssh2 session. Everything here blocks, until a deadline.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ssh2::{MethodType, Session};

use super::authentication::{authenticate, milliseconds};
use super::choice::{AddressFamily, HostKeys, Settings};
use super::known_hosts::{self, HostName, KnownHosts, Verdict};
use crate::warning;

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// The host is not there, or does not answer: no other way of asking would change that.
    Unreachable(String),
    /// The host is not known to be who it says. This must not be worked around.
    HostKey(String),
    /// libssh2 did not get further; the system's ssh may.
    Unable(String),
}

/// An open connection, and what it is used by.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) stream: TcpStream,
    /// The key, for people.
    pub(super) key: String,
}

/// Host keys that libssh2 can check, the preferred ones first; no certificates.
const HOST_KEY_METHODS: &[(&str, &str)] = &[
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("ssh-rsa", "rsa-sha2-512"),
    ("ssh-rsa", "rsa-sha2-256"),
];

/// Connects and authenticates. The limit of the configuration is for connection and handshake, `deadline` for
/// everything.
pub(super) fn open(settings: &Settings, deadline: Instant) -> Result<Opened, ConnectError> {
    let name = HostName::new(&settings.host, settings.port, settings.host_key_alias.as_deref());
    let known = KnownHosts::read(settings.user_known_hosts.iter().chain(&settings.global_known_hosts));
    if known.has_authority(&name) {
        return Err(ConnectError::Unable(
            "the host may show a certificate, which libssh2 cannot check".to_owned(),
        ));
    }
    let addresses = resolve(settings)?;
    let connected_by = match settings.connect_timeout {
        Some(limit) => deadline.min(Instant::now() + limit),
        None => deadline,
    };
    let reached_by = settings
        .reach_timeout
        .map_or(connected_by, |limit| connected_by.min(Instant::now() + limit));
    let stream = connect(settings, &addresses, reached_by)?;
    let session = shake_hands(settings, &stream, &known.key_types(&name), connected_by)?;
    check_host_key(settings, &session, &known, &name)?;
    let key = authenticate(&session, settings, deadline).map_err(ConnectError::Unable)?;
    session.set_blocking(false);
    Ok(Opened { session, stream, key })
}

fn place(settings: &Settings) -> String {
    format!("{} port {}", settings.host, settings.port)
}

fn resolve(settings: &Settings) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = (settings.host.as_str(), settings.port)
        .to_socket_addrs()
        .map_err(|error| ConnectError::Unreachable(format!("{}: {error}", settings.host)))?;
    let addresses: Vec<SocketAddr> = found
        .filter(|address| match settings.address_family {
            AddressFamily::Any => true,
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        })
        .collect();
    if addresses.is_empty() {
        return Err(ConnectError::Unreachable(format!(
            "{}: no address of the wanted family",
            settings.host
        )));
    }
    Ok(addresses)
}

fn connect(settings: &Settings, addresses: &[SocketAddr], until: Instant) -> Result<TcpStream, ConnectError> {
    let mut failures = Vec::new();
    for address in addresses {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(stream) => {
                // Small requests and answers must not wait for each other.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failures.push(format!("{}: {error}", address.ip())),
        }
    }
    Err(ConnectError::Unreachable(format!(
        "cannot connect to {}: {}",
        place(settings),
        failures.join("; ")
    )))
}

fn shake_hands(
    settings: &Settings,
    stream: &TcpStream,
    known: &[String],
    until: Instant,
) -> Result<Session, ConnectError> {
    let unable = |error: ssh2::Error| ConnectError::Unable(error.message().to_owned());
    let stream = stream
        .try_clone()
        .map_err(|error| ConnectError::Unable(error.to_string()))?;
    let mut session = Session::new().map_err(unable)?;
    session
        .method_pref(MethodType::HostKey, &host_key_methods(known))
        .map_err(unable)?;
    session.set_tcp_stream(stream);
    let left = until.saturating_duration_since(Instant::now());
    session.set_timeout(milliseconds(left));
    session.handshake().map_err(|error| {
        if until <= Instant::now() + Duration::from_millis(5) {
            ConnectError::Unreachable(format!(
                "no SSH server answered at {} within {:.0?}",
                place(settings),
                left
            ))
        } else {
            unable(error)
        }
    })?;
    Ok(session)
}

/// Of several keys, a host shows the one that is known, if it is asked for that.
fn host_key_methods(known: &[String]) -> String {
    let is_known = |(key_type, _): &&(&str, &str)| known.iter().any(|known| known == key_type);
    let (mut first, rest): (Vec<&(&str, &str)>, Vec<_>) = HOST_KEY_METHODS.iter().partition(is_known);
    first.extend(rest);
    let methods: Vec<&str> = first.into_iter().map(|method| method.1).collect();
    methods.join(",")
}

fn check_host_key(
    settings: &Settings,
    session: &Session,
    known: &KnownHosts,
    name: &HostName,
) -> Result<(), ConnectError> {
    let (key, _) = session
        .host_key()
        .ok_or_else(|| ConnectError::Unable("the host showed no key".to_owned()))?;
    let shown = fingerprint(session);
    match (known.judge(name, key), settings.host_keys) {
        (Verdict::Known, _) => Ok(()),
        (Verdict::Revoked(line), _) => Err(ConnectError::HostKey(format!(
            "the key of {} ({shown}) is marked as revoked in {line}",
            place(settings)
        ))),
        (Verdict::Changed(line), HostKeys::Any) => {
            warning!(
                "the key of {} has changed and is accepted, as configured",
                place(settings)
            );
            crate::detail!("it is {shown}; another one is in {line}");
            Ok(())
        }
        (Verdict::Changed(line), _) => Err(ConnectError::HostKey(format!(
            "the key of {} ({shown}) is not the one in {line}; if the host has got a new key, \
             remove that line with \"ssh-keygen -R\", otherwise somebody else answers",
            place(settings)
        ))),
        (Verdict::Unknown, HostKeys::Known) => Err(ConnectError::HostKey(format!(
            "the key of {} ({shown}) is not known; connect once with \"ssh\" as this user, \
             or add it with \"ssh-keyscan\"",
            place(settings)
        ))),
        (Verdict::Unknown, HostKeys::AcceptNew | HostKeys::Any) => {
            if let Some(file) = settings.user_known_hosts.first()
                && let Err(error) = known_hosts::add(file, name, key, settings.hash_known_hosts)
            {
                warning!("the key of {} could not be remembered", place(settings));
                crate::detail!("{}: {error}", file.display());
            }
            Ok(())
        }
    }
}

fn fingerprint(session: &Session) -> String {
    let hash = session.host_key_hash(ssh2::HashType::Sha256).unwrap_or_default();
    let hash = openssl::base64::encode_block(hash);
    format!("SHA256:{}", hash.trim_end_matches('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_for_the_key_that_is_known() {
        let methods = |known: &[&str]| {
            let known: Vec<String> = known.iter().map(|known| (*known).to_owned()).collect();
            host_key_methods(&known)
        };
        assert!(methods(&[]).starts_with("ssh-ed25519,ecdsa-sha2-nistp256,"));
        assert!(methods(&["ssh-rsa"]).starts_with("rsa-sha2-512,rsa-sha2-256,ssh-ed25519,"));
        assert!(methods(&["unknown", "ecdsa-sha2-nistp384"]).starts_with("ecdsa-sha2-nistp384,ssh-ed25519,"));
    }
}
