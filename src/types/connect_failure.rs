//! Why a connection attempt failed, as far as a decision may depend on it.

/// What kind of "no" a connection attempt ended with; a decision may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectFailure {
    /// Nothing listens there.
    Refused,
    /// No answer before the deadline.
    Silent,
    /// The host name has no address.
    NameNotResolved,
    /// The server is there and refused the login (SQLSTATE class 28, or `3D000`).
    Authentication,
    /// The server is there and has no free connection (SQLSTATE 53300).
    TooManyConnections,
    /// The server is starting up, shutting down or in recovery without hot standby (SQLSTATE 57P03).
    NotAccepting,
    /// The transport failed: TLS, a reset, an unreachable network.
    Transport,
    /// The connection string cannot be used.
    BadParameters,
    /// Any other answer of the server.
    Other,
}

impl ConnectFailure {
    /// Whether a server answered at all (libpq's PQping would say OK or REJECT).
    pub fn server_is_there(self) -> bool {
        matches!(
            self,
            Self::Authentication | Self::TooManyConnections | Self::NotAccepting | Self::Other
        )
    }
}
