//! The start-up of a session: start-up message, authentication, first parameters
//! (PostgreSQL: "Message Flow", "Start-up"; "SASL Authentication").
//!
//! It is ours, and not tokio-postgres', because replication mode, `require_auth`
//! and the meaning of each refusal are needed, and only whoever reads the
//! messages knows them.

use std::collections::HashMap;
use std::io;

use bytes::{Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::backend::{
    AuthenticationSaslBody, ERROR_RESPONSE_TAG, ErrorResponseBody, Header, Message,
};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::parameters::{AuthenticationMethod, Preference, RequireAuth};
use super::wire::Wire;

/// No message of a start-up is as long as this; what is longer does not come from PostgreSQL.
const LONGEST_MESSAGE: usize = 100_000;

/// Who logs in, and what he accepts.
pub(super) struct Login<'a> {
    pub user: &'a str,
    pub password: Option<&'a str>,
    /// The start-up message: names and values.
    pub startup: Vec<(&'static str, &'a str)>,
    pub channel_binding: Preference,
    pub require_auth: &'a RequireAuth,
}

/// A session that is ready for its first query.
pub(super) struct Session {
    pub wire: Wire,
    /// What the server reported of its settings.
    pub parameters: HashMap<String, String>,
    /// The messages from AuthenticationOk to ReadyForQuery, and whatever followed, as they came.
    pub transcript: BytesMut,
}

/// Why a start-up failed.
pub(super) struct StartupError {
    pub reason: Reason,
    /// Whether the server asked who we are: then it accepts connections, whatever came after.
    pub authentication_requested: bool,
}

pub(super) enum Reason {
    Server(ServerError),
    Closed,
    Io(io::Error),
    /// We did not want to go on: no password, no channel binding, a method that is not allowed.
    Declined(String),
    Protocol(String),
}

/// An ErrorResponse.
pub(super) struct ServerError {
    pub sqlstate: String,
    /// Severity, message, detail and hint on one line.
    pub text: String,
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Reason::Closed,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Reason::Protocol(error.to_string()),
            _ => Reason::Io(error),
        }
    }
}

/// Logs in. `server_end_point` is the hash of the server's certificate if the wire is encrypted.
pub(super) async fn log_in(
    wire: Wire,
    server_end_point: Option<Vec<u8>>,
    login: &Login<'_>,
) -> Result<Session, StartupError> {
    let mut dialogue = Dialogue {
        wire,
        unread: BytesMut::new(),
        authentication_requested: false,
    };
    match dialogue.log_in(server_end_point, login).await {
        Ok((parameters, mut transcript)) => {
            transcript.extend_from_slice(&dialogue.unread);
            Ok(Session {
                wire: dialogue.wire,
                parameters,
                transcript,
            })
        }
        Err(reason) => Err(StartupError {
            reason,
            authentication_requested: dialogue.authentication_requested,
        }),
    }
}

struct Dialogue {
    wire: Wire,
    unread: BytesMut,
    authentication_requested: bool,
}

impl Dialogue {
    async fn log_in(
        &mut self,
        server_end_point: Option<Vec<u8>>,
        login: &Login<'_>,
    ) -> Result<(HashMap<String, String>, BytesMut), Reason> {
        let mut message = BytesMut::new();
        frontend::startup_message(login.startup.iter().copied(), &mut message)?;
        self.send(&message).await?;

        let mut method = AuthenticationMethod::None;
        let mut bound = false;
        loop {
            match self.receive().await? {
                Message::AuthenticationOk => break,
                Message::AuthenticationCleartextPassword => {
                    method = AuthenticationMethod::Password;
                    login.allow(method)?;
                    login.without_channel_binding()?;
                    self.send_password(login.password()?.as_bytes()).await?;
                }
                Message::AuthenticationMd5Password(body) => {
                    method = AuthenticationMethod::Md5;
                    login.allow(method)?;
                    login.without_channel_binding()?;
                    let hash = md5_hash(login.user.as_bytes(), login.password()?.as_bytes(), body.salt());
                    self.send_password(hash.as_bytes()).await?;
                }
                Message::AuthenticationSasl(body) => {
                    method = AuthenticationMethod::ScramSha256;
                    login.allow(method)?;
                    bound = self.scram(&body, server_end_point.clone(), login).await?;
                }
                Message::AuthenticationGss => return Err(unsupported("GSSAPI")),
                Message::AuthenticationSspi => return Err(unsupported("SSPI")),
                Message::AuthenticationKerberosV5 => return Err(unsupported("Kerberos V5")),
                Message::AuthenticationScmCredential => return Err(unsupported("SCM credential")),
                _ => return Err(unexpected()),
            }
        }
        login.allow(method)?;
        if !bound {
            login.without_channel_binding()?;
        }

        let mut parameters = HashMap::new();
        let mut transcript = BytesMut::from(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0][..]);
        loop {
            let raw = self.receive_raw().await?;
            transcript.extend_from_slice(&raw);
            match parse(raw)? {
                Message::ParameterStatus(body) => {
                    parameters.insert(body.name()?.to_owned(), body.value()?.to_owned());
                }
                Message::ReadyForQuery(_) => return Ok((parameters, transcript)),
                Message::BackendKeyData(_) | Message::NoticeResponse(_) => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// The SCRAM exchange; whether it was bound to the TLS channel.
    async fn scram(
        &mut self,
        body: &AuthenticationSaslBody,
        server_end_point: Option<Vec<u8>>,
        login: &Login<'_>,
    ) -> Result<bool, Reason> {
        use fallible_iterator::FallibleIterator;
        let offered: Vec<String> = body.mechanisms().map(|name| Ok(name.to_owned())).collect()?;
        let offers = |name: &str| offered.iter().any(|offer| offer == name);
        let end_point = server_end_point.filter(|_| login.channel_binding != Preference::Disable);
        let (binding, mechanism) = match end_point {
            Some(hash) if offers(sasl::SCRAM_SHA_256_PLUS) => (
                sasl::ChannelBinding::tls_server_end_point(hash),
                sasl::SCRAM_SHA_256_PLUS,
            ),
            // Says "I could have bound the channel": a server that offered it then knows of a man in the middle.
            Some(_) if offers(sasl::SCRAM_SHA_256) => (sasl::ChannelBinding::unrequested(), sasl::SCRAM_SHA_256),
            None if offers(sasl::SCRAM_SHA_256) => (sasl::ChannelBinding::unsupported(), sasl::SCRAM_SHA_256),
            _ => {
                return Err(Reason::Declined(format!(
                    "none of the server's SASL authentication mechanisms is supported ({})",
                    offered.join(", ")
                )));
            }
        };
        let bound = mechanism == sasl::SCRAM_SHA_256_PLUS;
        if !bound {
            login.without_channel_binding()?;
        }
        let mut scram = ScramSha256::new(login.password()?.as_bytes(), binding);
        let mut message = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut message)?;
        self.send(&message).await?;

        let Message::AuthenticationSaslContinue(body) = self.receive().await? else {
            return Err(unexpected());
        };
        scram.update(body.data()).map_err(not_proven)?;
        let mut message = BytesMut::new();
        frontend::sasl_response(scram.message(), &mut message)?;
        self.send(&message).await?;

        let Message::AuthenticationSaslFinal(body) = self.receive().await? else {
            return Err(unexpected());
        };
        scram.finish(body.data()).map_err(not_proven)?;
        Ok(bound)
    }

    async fn send_password(&mut self, password: &[u8]) -> Result<(), Reason> {
        let mut message = BytesMut::new();
        frontend::password_message(password, &mut message)?;
        self.send(&message).await
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Reason> {
        self.wire.write_all(message).await?;
        self.wire.flush().await?;
        Ok(())
    }

    /// The next message that is neither an error nor a notice.
    async fn receive(&mut self) -> Result<Message, Reason> {
        loop {
            match parse(self.receive_raw().await?)? {
                Message::NoticeResponse(_) => {}
                message => return Ok(message),
            }
        }
    }

    async fn receive_raw(&mut self) -> Result<Bytes, Reason> {
        loop {
            if let Some(header) = Header::parse(&self.unread)? {
                let length = header.len() as usize + 1;
                if header.tag() == ERROR_RESPONSE_TAG && length > LONGEST_MESSAGE {
                    return self.plain_text_error().await;
                }
                if length > LONGEST_MESSAGE {
                    return Err(Reason::Protocol("this is no PostgreSQL server".to_owned()));
                }
                if self.unread.len() >= length {
                    self.authentication_requested |= header.tag() == b'R';
                    return Ok(self.unread.split_to(length).freeze());
                }
            }
            if self.wire.read_buf(&mut self.unread).await? == 0 {
                return Err(Reason::Closed);
            }
        }
    }

    /// A postmaster that cannot start a process answers with bare text ("Message Flow", "Start-up").
    async fn plain_text_error(&mut self) -> Result<Bytes, Reason> {
        while self.unread.len() < LONGEST_MESSAGE && !self.unread.contains(&0) {
            if self.wire.read_buf(&mut self.unread).await? == 0 {
                break;
            }
        }
        let text = self.unread[1..].split(|byte| *byte == 0).next().unwrap_or_default();
        Err(Reason::Server(ServerError {
            sqlstate: String::new(),
            text: String::from_utf8_lossy(text).trim().to_owned(),
        }))
    }
}

impl Login<'_> {
    fn password(&self) -> Result<&str, Reason> {
        self.password
            .filter(|password| !password.is_empty())
            .ok_or_else(|| Reason::Declined("no password supplied".to_owned()))
    }

    fn allow(&self, method: AuthenticationMethod) -> Result<(), Reason> {
        if self.require_auth.allows(method) {
            return Ok(());
        }
        Err(Reason::Declined(format!(
            "authentication method requirement \"require_auth={}\" failed: {}",
            self.require_auth,
            method.requested()
        )))
    }

    fn without_channel_binding(&self) -> Result<(), Reason> {
        if self.channel_binding == Preference::Require {
            return Err(Reason::Declined(
                "channel_binding=require, but the server does not bind the authentication to an encrypted channel"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn parse(raw: Bytes) -> Result<Message, Reason> {
    let message = Message::parse(&mut BytesMut::from(raw))?.ok_or_else(unexpected)?;
    match message {
        Message::ErrorResponse(body) => Err(Reason::Server(server_error(&body)?)),
        message => Ok(message),
    }
}

fn server_error(body: &ErrorResponseBody) -> Result<ServerError, Reason> {
    use fallible_iterator::FallibleIterator;
    let mut fields: HashMap<u8, String> = HashMap::new();
    body.fields().for_each(|field| {
        // Before the client's encoding is known the server's own is used.
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        fields.insert(field.type_(), text);
        Ok(())
    })?;
    let mut take = |field: u8| fields.remove(&field);
    let mut text = format!(
        "{}:  {}",
        take(b'S').unwrap_or_default(),
        take(b'M').unwrap_or_default()
    );
    for (label, field) in [("DETAIL", b'D'), ("HINT", b'H')] {
        if let Some(more) = take(field) {
            text.push_str(&format!("; {label}: {more}"));
        }
    }
    Ok(ServerError {
        sqlstate: take(b'C').unwrap_or_default(),
        text,
    })
}

fn unsupported(method: &str) -> Reason {
    Reason::Declined(format!(
        "the server asks for {method} authentication (gss, sspi or the like in its pg_hba.conf), which is not supported"
    ))
}

fn unexpected() -> Reason {
    Reason::Protocol("the server's answer does not follow the protocol".to_owned())
}

fn not_proven(error: io::Error) -> Reason {
    Reason::Declined(format!("the server did not prove that it knows the password: {error}"))
}
