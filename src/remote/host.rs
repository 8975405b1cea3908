//! Which host a name leads to: this one, or another.

use std::net::IpAddr;
use std::time::Duration;

use super::RemoteError;

/// Where a command is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// This very host; no ssh is needed.
    Local,
    /// Another host, by the name that ssh gets.
    Remote(String),
}

impl Host {
    /// The host that `name` leads to, as `host` or `hostaddr` of a connection string has it: of several
    /// the first, the node's own. Nothing, or a socket directory, is this host. A name that nobody
    /// can resolve is another host: ssh may have an alias for it.
    ///
    /// # Errors
    /// [`RemoteError::NotResolved`] if there is no answer within `limit`, [`RemoteError::NotAHost`].
    pub async fn find(name: &str, limit: Duration) -> Result<Host, RemoteError> {
        let name = name.split(',').next().unwrap_or_default().trim();
        if name.is_empty() || name.starts_with(['/', '@']) || is_own_name(name) {
            return Ok(Host::Local);
        }
        if name.starts_with('-') {
            return Err(RemoteError::NotAHost(name.to_owned()));
        }
        let resolved = tokio::time::timeout(limit, tokio::net::lookup_host((name, 0))).await;
        let mut addresses = match resolved {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(_)) => return Ok(Host::Remote(name.to_owned())),
            Err(_) => {
                return Err(RemoteError::NotResolved {
                    host: name.to_owned(),
                    limit,
                });
            }
        };
        let own = own_addresses();
        if addresses.any(|address| address.ip().is_loopback() || own.contains(&address.ip())) {
            return Ok(Host::Local);
        }
        Ok(Host::Remote(name.to_owned()))
    }
}

fn is_own_name(name: &str) -> bool {
    nix::unistd::gethostname().is_ok_and(|own| own.to_str() == Some(name))
}

/// The addresses of all interfaces. (That a socket can be bound to an address says less: the
/// system may permit it for addresses that are another host's at the moment.)
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(name: &str) -> Host {
        Host::find(name, Duration::from_secs(60)).await.unwrap()
    }

    #[tokio::test]
    async fn this_host_is_known_by_its_names_addresses_and_sockets() {
        let own = nix::unistd::gethostname().unwrap().into_string().unwrap();
        let mut names: Vec<String> = own_addresses().iter().map(IpAddr::to_string).collect();
        assert!(!names.is_empty());
        names.push(own);
        names.extend(
            [
                "",
                "/run/postgresql",
                "@abstract",
                "127.0.0.7",
                "localhost",
                "localhost,other",
            ]
            .map(str::to_owned),
        );
        for name in names {
            // The address of one link means nothing without the link.
            if !name.starts_with("fe80:") {
                assert_eq!(find(&name).await, Host::Local, "{name:?}");
            }
        }
    }

    #[tokio::test]
    async fn other_hosts_keep_the_name_that_ssh_gets() {
        for name in ["192.0.2.1", "2001:db8::1", "no-such-host.invalid"] {
            assert_eq!(find(name).await, Host::Remote(name.to_owned()));
        }
        assert_eq!(find("192.0.2.1,127.0.0.1").await, Host::Remote("192.0.2.1".to_owned()));
    }

    #[tokio::test]
    async fn an_option_is_no_host() {
        let error = Host::find("-oProxyCommand=x", Duration::from_secs(60))
            .await
            .unwrap_err();
        assert!(matches!(error, RemoteError::NotAHost(_)), "{error}");
    }
}
