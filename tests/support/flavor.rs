//! How a cluster is reached: the whole cluster layer runs with each of these
//! (`REPMGR_TEST_FLAVOR`).

/// Addresses, authentication and the rights of the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// IPv4, trust, a superuser.
    Plain,
    /// The role `repmgr` is no superuser; `-S postgres` where the original needs it.
    Unprivileged,
    /// IPv6 addresses.
    Ipv6,
    /// SCRAM over TLS with verify-full instead of trust.
    Tls,
}

impl Flavor {
    /// The flavor that this run asks for.
    pub fn current() -> Flavor {
        match std::env::var("REPMGR_TEST_FLAVOR").as_deref() {
            Ok("unprivileged") => Flavor::Unprivileged,
            Ok("ipv6") => Flavor::Ipv6,
            Ok("tls") => Flavor::Tls,
            Ok("plain") | Err(_) => Flavor::Plain,
            Ok(other) => panic!("REPMGR_TEST_FLAVOR={other}: plain, unprivileged, ipv6 or tls"),
        }
    }

    /// The host in a connection string.
    pub fn host(self) -> &'static str {
        match self {
            Flavor::Ipv6 => "::1",
            // The certificate is made out to this name.
            Flavor::Tls => "localhost",
            _ => "127.0.0.1",
        }
    }

    /// Options that a command needs where the role is no superuser.
    pub fn superuser_option(self) -> &'static [&'static str] {
        match self {
            Flavor::Unprivileged => &["-S", "postgres"],
            _ => &[],
        }
    }
}
