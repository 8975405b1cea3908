//! Addresses and sockets: looking names up, opening, keepalive.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::ConnectFailure;
use super::parameters::Keepalive;
use crate::conninfo::{Endpoint, Host};

/// The longest path of a Unix socket, in bytes (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// Something to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    /// A path, or `@` and a name in the abstract namespace.
    Unix(String),
}

/// The addresses of a host, in the order of the system's resolver. The error is for a person.
pub(super) async fn addresses(host: &Host, limit: Duration) -> Result<Vec<Address>, (ConnectFailure, String)> {
    let unresolved = |reason: String| (ConnectFailure::NameNotResolved, reason);
    let name = match &host.endpoint {
        Endpoint::SocketDirectory(directory) => {
            let path = format!("{directory}/.s.PGSQL.{}", host.port);
            if path.len() > LONGEST_SOCKET_PATH {
                let reason =
                    format!("Unix-domain socket path \"{path}\" is too long (maximum {LONGEST_SOCKET_PATH} bytes)");
                return Err((ConnectFailure::BadParameters, reason));
            }
            return Ok(vec![Address::Unix(path)]);
        }
        Endpoint::Address(name) | Endpoint::Name(name) => name.as_str(),
    };
    let found: Vec<Address> = match tokio::time::timeout(limit, tokio::net::lookup_host((name, host.port))).await {
        Err(_) => {
            return Err(unresolved(format!(
                "could not translate host name \"{name}\" to address: the name service did not answer within {limit:?}"
            )));
        }
        Ok(Err(error)) => {
            return Err(unresolved(format!(
                "could not translate host name \"{name}\" to address: {error}"
            )));
        }
        Ok(Ok(found)) => found.map(Address::Tcp).collect(),
    };
    if found.is_empty() {
        return Err(unresolved(format!("host name \"{name}\" has no address")));
    }
    Ok(found)
}

pub(super) async fn connect_tcp(address: SocketAddr, keepalive: &Keepalive) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    let options = SockRef::from(&socket);
    if keepalive.enabled {
        options.set_keepalive(true)?;
        let mut timing = TcpKeepalive::new();
        if let Some(idle) = keepalive.idle {
            timing = timing.with_time(idle);
        }
        if let Some(interval) = keepalive.interval {
            timing = timing.with_interval(interval);
        }
        if let Some(count) = keepalive.count {
            timing = timing.with_retries(count);
        }
        options.set_tcp_keepalive(&timing)?;
    }
    if keepalive.user_timeout.is_some() {
        options.set_tcp_user_timeout(keepalive.user_timeout)?;
    }
    socket.connect(address).await
}

/// Connects to a Unix socket; with `require_peer` only if that user runs the server.
pub(super) async fn connect_unix(path: &str, require_peer: Option<&str>) -> io::Result<UnixStream> {
    // tokio takes a leading NUL for the abstract namespace.
    let path = match path.strip_prefix('@') {
        Some(name) => format!("\0{name}"),
        None => path.to_owned(),
    };
    let stream = UnixStream::connect(path).await?;
    if let Some(required) = require_peer {
        let uid = stream.peer_cred()?.uid();
        let peer = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))
            .ok()
            .flatten();
        let peer = peer.map(|user| user.name).unwrap_or_else(|| format!("user ID {uid}"));
        if peer != required {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("requirepeer specifies \"{required}\", but actual peer user name is \"{peer}\""),
            ));
        }
    }
    Ok(stream)
}
