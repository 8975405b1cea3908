//! From a connection string to a session: hosts, addresses and encryption in
//! libpq's order (PostgreSQL: "Specifying Multiple Hosts", "SSL Mode Descriptions").

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use super::parameters::{Parameters, SslMode, TargetSession};
use super::session::{OpenSession, Opened, Route};
use super::socket::{self, Address};
use super::startup::{self, Login, Reason, Session, StartupError};
use super::tls::{self, TlsError};
use super::wire::{self, Wire};
use super::{ConnectError, ConnectFailure, Deadlines, QueryError};
use crate::conninfo::{Conninfo, Environment, Host, Resolved};

/// The bound of an attempt whose `connect_timeout` is 0, which libpq leaves to the kernel.
const NO_TIMEOUT: Duration = Duration::from_secs(130);

/// How long connecting to one address may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectLimit {
    /// In all.
    pub whole: Duration,
    /// For the TCP handshake.
    pub handshake: Duration,
}

impl ConnectLimit {
    /// Keeps so much of the whole for the login, unless that were more than a quarter: a server whose handshake takes
    /// longer than the rest would not complete a login in time.
    pub fn leaving(whole: Duration, login: Duration) -> ConnectLimit {
        let handshake = if login * 4 <= whole { whole - login } else { whole };
        ConnectLimit { whole, handshake }
    }
}

impl From<Duration> for ConnectLimit {
    fn from(whole: Duration) -> ConnectLimit {
        ConnectLimit::leaving(whole, Duration::ZERO)
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Queries,
    Replication,
}

/// One address that gave no session.
pub(super) struct Failed {
    pub failure: ConnectFailure,
    pub message: String,
    /// Whether the server asked who we are.
    pub authentication_requested: bool,
    /// Whether the next address may do better; libpq stops at a server that has refused the login.
    try_next: bool,
}

/// Connects with what the original adds to every connection, and gives it a deadline if it has none.
pub(super) async fn connect(
    environment: &Environment,
    conninfo: &Conninfo,
    purpose: Purpose,
    deadlines: Deadlines,
) -> Result<OpenSession, ConnectError> {
    let mut effective = conninfo.clone();
    effective.set_default("fallback_application_name", "repmgr");
    effective.set("options", "-csearch_path=");
    // PGCONNECT_TIMEOUT does not count: the original gives every string a timeout of its own.
    let own_timeout = conninfo.get("connect_timeout").is_some();
    let (resolved, parameters) = prepare(environment, &effective).map_err(bad_parameters)?;
    let limit = match parameters.connect_timeout {
        Some(limit) if own_timeout => limit.unwrap_or(NO_TIMEOUT),
        _ => deadlines.connect,
    };
    let connecting = ConnectLimit::leaving(limit, deadlines.login);
    let opened = open(&resolved, &parameters, connecting)
        .await
        .map_err(ConnectError::from)?;
    let session = OpenSession::new(opened, conninfo.clone(), deadlines);
    if purpose == Purpose::Queries && conninfo.get("replication").is_none() {
        // A statement of its own, as the original's: a pooler in between may ignore what comes with the login, and who
        // lets this client in and answers nothing is found out here.
        let set = session.client().batch_execute("SET synchronous_commit TO 'local'");
        session.limited_by(limit, set).await.map_err(|error| ConnectError {
            failure: match error {
                QueryError::TimedOut(_) => ConnectFailure::Silent,
                QueryError::ConnectionLost(_) => ConnectFailure::Transport,
                _ => ConnectFailure::Other,
            },
            message: format!("could not set synchronous_commit: {error}"),
        })?;
    }
    Ok(session)
}

/// Fills the gaps of a connection string and checks it; logs its warnings once per process.
pub(super) fn prepare(environment: &Environment, conninfo: &Conninfo) -> Result<(Resolved, Parameters), String> {
    static WARNED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let resolved = conninfo.resolve(environment).map_err(|error| error.to_string())?;
    for warning in &resolved.warnings {
        let mut warned = WARNED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if warned.get_or_insert_default().insert(warning.clone()) {
            crate::warning!("{warning}");
        }
    }
    let parameters = Parameters::new(&resolved).map_err(|error| error.to_string())?;
    Ok((resolved, parameters))
}

pub(super) fn bad_parameters(message: String) -> ConnectError {
    ConnectError {
        failure: ConnectFailure::BadParameters,
        message,
    }
}

/// Tries the hosts until one gives a session of the wanted kind. `limit` holds for each address.
pub(super) async fn open(
    resolved: &Resolved,
    parameters: &Parameters,
    limit: ConnectLimit,
) -> Result<Opened, Failures> {
    if parameters.target != TargetSession::PreferStandby {
        return open_target(resolved, parameters, parameters.target, limit).await;
    }
    match open_target(resolved, parameters, TargetSession::Standby, limit).await {
        Ok(opened) => Ok(opened),
        Err(failures) if failures.0.iter().any(|failed| failed.failure == ConnectFailure::Other) => {
            open_target(resolved, parameters, TargetSession::Any, limit).await
        }
        Err(failures) => Err(failures),
    }
}

async fn open_target(
    resolved: &Resolved,
    parameters: &Parameters,
    target: TargetSession,
    limit: ConnectLimit,
) -> Result<Opened, Failures> {
    let mut failures = Vec::new();
    let mut hosts: Vec<&Host> = resolved.hosts.iter().collect();
    if parameters.shuffle_hosts {
        shuffle(&mut hosts);
    }
    for host in hosts {
        let mut addresses = match socket::addresses(host, limit.whole).await {
            Ok(addresses) => addresses,
            Err((failure, message)) => {
                failures.push(Failed {
                    failure,
                    message,
                    authentication_requested: false,
                    try_next: true,
                });
                continue;
            }
        };
        if parameters.shuffle_hosts {
            shuffle(&mut addresses);
        }
        for address in addresses {
            let attempt = open_address(host, &address, parameters, target, limit.handshake);
            let failed = match tokio::time::timeout(limit.whole, attempt).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(failed)) => failed,
                Err(_) => Failed {
                    failure: ConnectFailure::Silent,
                    message: format!("timeout expired: no answer within {:?}", limit.whole),
                    authentication_requested: false,
                    try_next: true,
                },
            };
            let stop = !failed.try_next;
            failures.push(Failed {
                message: format!("connection to {} failed: {}", title(host, &address), failed.message),
                ..failed
            });
            if stop {
                return Err(Failures(failures));
            }
        }
    }
    Err(Failures(failures))
}

/// Every address that was tried, and why it gave no session.
pub(super) struct Failures(pub Vec<Failed>);

impl From<Failures> for ConnectError {
    fn from(failures: Failures) -> ConnectError {
        let told = failures.0.iter().find(|failed| failed.failure.server_is_there());
        let failure = told
            .or(failures.0.last())
            .map_or(ConnectFailure::Other, |failed| failed.failure);
        let messages: Vec<&str> = failures.0.iter().map(|failed| failed.message.as_str()).collect();
        ConnectError {
            failure,
            message: messages.join("; "),
        }
    }
}

fn title(host: &Host, address: &Address) -> String {
    match address {
        // A name that was looked up is shown with what was found.
        Address::Tcp(found) if host.name.parse::<std::net::IpAddr>().is_err() && !host.name.is_empty() => {
            format!("server at \"{}\" ({}), port {}", host.name, found.ip(), host.port)
        }
        _ => host.title(),
    }
}

fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let mut random = [0; 4];
        // Without randomness the order of the string is as good as any.
        if openssl::rand::rand_bytes(&mut random).is_ok() {
            items.swap(last, u32::from_ne_bytes(random) as usize % (last + 1));
        }
    }
}

/// How to encrypt, in the order in which to try.
fn encryptions(mode: SslMode, address: &Address) -> &'static [bool] {
    match (address, mode) {
        (Address::Unix(_), _) | (_, SslMode::Disable) => &[false],
        (_, SslMode::Allow) => &[false, true],
        (_, SslMode::Prefer) => &[true, false],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[true],
    }
}

async fn open_address(
    host: &Host,
    address: &Address,
    parameters: &Parameters,
    target: TargetSession,
    handshake: Duration,
) -> Result<Opened, Failed> {
    let mut refusals: Vec<String> = Vec::new();
    let mut encryptions = encryptions(parameters.tls.mode, address).iter().peekable();
    let (session, encrypted) = loop {
        let encrypt = encryptions.next().copied().unwrap_or_default();
        match start(host, address, parameters, encrypt, handshake).await {
            Ok(started) => break started,
            Err((failed, encryption_matters)) => {
                refusals.push(failed.message.clone());
                if encryption_matters && encryptions.peek().is_some() {
                    continue;
                }
                refusals.dedup();
                return Err(Failed {
                    message: refusals.join("; then: "),
                    ..failed
                });
            }
        }
    };
    let reported = session.parameters.clone();
    let (client, driver) = wire::hand_over(session).await.map_err(|error| Failed {
        failure: ConnectFailure::Transport,
        message: error.to_string(),
        authentication_requested: true,
        try_next: true,
    })?;
    let opened = Opened {
        client,
        driver,
        route: Route {
            address: address.clone(),
            host: host.name.clone(),
            keepalive: parameters.keepalive,
            tls: encrypted.then(|| parameters.tls.clone()),
        },
    };
    check_target(opened, &reported, target).await
}

/// The start of a session over one socket, and whether it is encrypted. The flag of an error says
/// whether another encryption could do better.
async fn start(
    host: &Host,
    address: &Address,
    parameters: &Parameters,
    encrypt: bool,
    handshake: Duration,
) -> Result<(Session, bool), (Failed, bool)> {
    let mut encrypted = false;
    let (wire, server_end_point): (Wire, _) = match address {
        Address::Unix(path) => {
            let stream = socket::connect_unix(path, parameters.require_peer.as_deref())
                .await
                .map_err(|error| (no_socket(&error), false))?;
            (Box::new(stream), None)
        }
        Address::Tcp(address) => {
            let connecting = socket::connect_tcp(*address, &parameters.keepalive);
            let stream = tokio::time::timeout(handshake, connecting)
                .await
                .map_err(|_| (no_handshake(handshake), false))?
                .map_err(|error| (no_socket(&error), false))?;
            if encrypt {
                match tls::negotiate(stream, &host.name, &parameters.tls).await {
                    Ok(Ok(tls)) => {
                        encrypted = true;
                        (Box::new(tls.stream), tls.server_end_point)
                    }
                    Ok(Err(plain)) => (Box::new(plain), None),
                    Err(error) => return Err(no_tls(error)),
                }
            } else {
                (Box::new(stream), None)
            }
        }
    };
    let mut message = vec![
        ("user", parameters.user.as_str()),
        ("database", parameters.dbname.as_str()),
    ];
    let optional = [
        ("replication", &parameters.replication),
        ("options", &parameters.options),
        ("application_name", &parameters.application_name),
    ];
    for (name, value) in optional {
        message.extend(value.as_deref().map(|value| (name, value)));
    }
    // Whatever `client_encoding` says: strings are UTF-8 here.
    message.push(("client_encoding", "UTF8"));
    let login = Login {
        user: &parameters.user,
        password: host.password.as_deref(),
        startup: message,
        channel_binding: parameters.channel_binding,
        require_auth: &parameters.require_auth,
    };
    match startup::log_in(wire, server_end_point, &login).await {
        Ok(session) => Ok((session, encrypted)),
        Err(error) => {
            // pg_hba.conf may refuse a login with or without encryption. A server that has none has said it all.
            let refused = matches!(&error.reason, Reason::Server(server) if server.sqlstate.starts_with("28"));
            Err((not_started(error), refused && encrypt == encrypted))
        }
    }
}

fn no_handshake(limit: Duration) -> Failed {
    Failed {
        failure: ConnectFailure::Silent,
        message: format!("timeout expired: no TCP connection within {limit:?}"),
        authentication_requested: false,
        try_next: true,
    }
}

fn no_socket(error: &io::Error) -> Failed {
    let failure = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ConnectFailure::Refused,
        io::ErrorKind::TimedOut => ConnectFailure::Silent,
        _ => ConnectFailure::Transport,
    };
    Failed {
        failure,
        message: describe(error),
        authentication_requested: false,
        try_next: true,
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "server closed the connection unexpectedly".to_owned(),
        io::ErrorKind::ConnectionRefused => "Connection refused (is a server running there?)".to_owned(),
        _ => error.to_string(),
    }
}

fn no_tls(error: TlsError) -> (Failed, bool) {
    let (failure, message, try_next, other_encryption) = match error {
        TlsError::NotOffered => (
            ConnectFailure::Transport,
            "server does not support SSL, but SSL was required".to_owned(),
            false,
            false,
        ),
        TlsError::Local(message) => (ConnectFailure::BadParameters, message, false, false),
        TlsError::Handshake(message) => (ConnectFailure::Transport, message, false, true),
        TlsError::Io(error) => (ConnectFailure::Transport, describe(&error), true, true),
    };
    let failed = Failed {
        failure,
        message,
        authentication_requested: false,
        try_next,
    };
    (failed, other_encryption)
}

fn not_started(error: StartupError) -> Failed {
    let (failure, message) = match error.reason {
        Reason::Server(server) => (failure_of(&server.sqlstate), server.text),
        Reason::Closed => (
            ConnectFailure::Transport,
            "server closed the connection unexpectedly".to_owned(),
        ),
        Reason::Io(error) => (ConnectFailure::Transport, describe(&error)),
        Reason::Declined(message) => (ConnectFailure::Authentication, message),
        Reason::Protocol(message) => (ConnectFailure::Transport, message),
    };
    Failed {
        failure,
        message,
        authentication_requested: error.authentication_requested,
        try_next: matches!(failure, ConnectFailure::NotAccepting | ConnectFailure::Transport),
    }
}

/// What an SQLSTATE during start-up means (PostgreSQL: "PostgreSQL Error Codes").
fn failure_of(sqlstate: &str) -> ConnectFailure {
    match sqlstate {
        "57P03" => ConnectFailure::NotAccepting,
        "53300" => ConnectFailure::TooManyConnections,
        "3D000" => ConnectFailure::Authentication,
        state if state.starts_with("28") => ConnectFailure::Authentication,
        _ => ConnectFailure::Other,
    }
}

/// Whether the session is of the wanted kind; by what the server reports (14 and later), else by asking.
async fn check_target(
    mut opened: Opened,
    reported: &HashMap<String, String>,
    target: TargetSession,
) -> Result<Opened, Failed> {
    let is_on = |name: &str| reported.get(name).map(|value| value == "on");
    let question = match target {
        TargetSession::Any | TargetSession::PreferStandby => return Ok(opened),
        TargetSession::ReadWrite | TargetSession::ReadOnly => "SHOW transaction_read_only",
        TargetSession::Primary | TargetSession::Standby => {
            "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END"
        }
    };
    let known = match target {
        TargetSession::Primary | TargetSession::Standby => is_on("in_hot_standby"),
        _ => is_on("in_hot_standby")
            .zip(is_on("default_transaction_read_only"))
            .map(|(standby, read_only)| standby || read_only),
    };
    let answer = match known {
        Some(answer) => answer,
        None => {
            let asked = async {
                let rows = opened.client.simple_query(question).await?;
                Ok::<_, tokio_postgres::Error>(rows.iter().any(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
                    _ => false,
                }))
            };
            tokio::select! {
                answer = asked => answer.map_err(|error| other(error.to_string()))?,
                _ = &mut opened.driver => return Err(other("server closed the connection unexpectedly".to_owned())),
            }
        }
    };
    match (target, answer) {
        (TargetSession::ReadWrite, true) => Err(other("session is read-only".to_owned())),
        (TargetSession::ReadOnly, false) => Err(other("session is not read-only".to_owned())),
        (TargetSession::Primary, true) => Err(other("server is in hot standby mode".to_owned())),
        (TargetSession::Standby, false) => Err(other("server is not in hot standby mode".to_owned())),
        _ => Ok(opened),
    }
}

fn other(message: String) -> Failed {
    Failed {
        failure: ConnectFailure::Other,
        message,
        authentication_requested: true,
        try_next: true,
    }
}
