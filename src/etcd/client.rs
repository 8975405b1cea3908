//! Questions to the members, in turn, each with its part of the time.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Standing;
use super::wire::{Keys, number, text};
use crate::config::Config;
use crate::http::{Endpoint, Exchange};
use crate::write_right::etcd::{Reply, Request, Seen};

/// The port of etcd's clients.
const PORT: u16 = 2379;
const TRANSACTION: &str = "/v3/kv/txn";

/// An etcd cluster, and the keys of one cluster of servers in it.
#[derive(Debug)]
pub struct Client {
    endpoints: Vec<Endpoint>,
    keys: Keys,
    user: String,
    password_file: PathBuf,
    ca_file: PathBuf,
    cert_file: PathBuf,
    key_file: PathBuf,
    /// The member that answered last.
    preferred: Mutex<usize>,
    /// What the user's login gave; asked for again when it is refused.
    token: Mutex<Option<String>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The settings, or a file that they name.
    Settings(String),
    /// No member answered, each with its reason.
    Members(Vec<String>),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Settings(why) => formatter.write_str(why),
            Problem::Members(why) => formatter.write_str(&why.join("; ")),
        }
    }
}

impl Client {
    /// For the cluster of this system identifier.
    ///
    /// # Errors
    /// [`Problem::Settings`].
    pub fn new(config: &Config, system_identifier: u64) -> Result<Client, Problem> {
        let endpoints = config.etcd_endpoints.iter().map(|text| {
            let what = || {
                Problem::Settings(format!(
                    "\"{text}\" in \"etcd_endpoints\" is no address of an etcd member"
                ))
            };
            Endpoint::parse(text, PORT).ok_or_else(what)
        });
        let endpoints: Vec<Endpoint> = endpoints.collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(Problem::Settings(
                "\"etcd_endpoints\" is not set in repmgr.conf".to_owned(),
            ));
        }
        let prefix = match config.etcd_prefix.is_empty() {
            true => format!("/repmgr/{system_identifier}"),
            false => config.etcd_prefix.clone(),
        };
        Ok(Client {
            endpoints,
            keys: Keys::below(&prefix),
            user: config.etcd_user.clone(),
            password_file: config.etcd_password_file.clone(),
            ca_file: config.etcd_ca_file.clone(),
            cert_file: config.etcd_cert_file.clone(),
            key_file: config.etcd_key_file.clone(),
            preferred: Mutex::default(),
            token: Mutex::default(),
        })
    }

    /// Puts one question of the right.
    ///
    /// # Errors
    /// No member answered within `limit`; a change may have been made nevertheless.
    pub async fn put(&self, request: &Request, limit: Duration) -> Result<Reply, Problem> {
        match self.ask(Call::Put(request), limit).await? {
            Given::Reply(reply) => Ok(reply),
            Given::Keys(seen, _) => Ok(Reply::Keys(seen)),
            Given::Left(_) => Err(Problem::Members(vec!["it answers something else".to_owned()])),
        }
    }

    /// How the right stands, for people.
    ///
    /// # Errors
    /// No member answered within `limit`.
    pub async fn standing(&self, limit: Duration) -> Result<Standing, Problem> {
        let Given::Keys(seen, lease) = self.ask(Call::Put(&Request::Look), limit).await? else {
            return Err(Problem::Members(vec!["it answers something else".to_owned()]));
        };
        let left = match lease {
            Some(lease) => self.ask(Call::TimeToLive(&lease), limit).await.ok(),
            None => None,
        };
        let left = left.and_then(|given| match given {
            Given::Left(left) => left,
            _ => None,
        });
        Ok(Standing { seen, left })
    }

    /// Has one member after the other answer, beginning with the one that did last.
    async fn ask(&self, call: Call<'_>, limit: Duration) -> Result<Given, Problem> {
        let connector = self.connector().await?;
        let begin = Instant::now();
        let first = *lock(&self.preferred);
        let count = self.endpoints.len();
        let mut problems = Vec::new();
        for turn in 0..count {
            let at = (first + turn) % count;
            let left = limit.saturating_sub(begin.elapsed());
            let part = left / u32::try_from(count - turn).unwrap_or(1);
            let member = Member {
                client: self,
                endpoint: &self.endpoints[at],
                connector: connector.as_ref(),
                limit: part,
            };
            let answer = tokio::time::timeout(part, member.answer(call)).await;
            match answer.unwrap_or_else(|_| Err(format!("no answer within {part:.1?}"))) {
                Ok(answer) => {
                    *lock(&self.preferred) = at;
                    return Ok(answer);
                }
                Err(problem) => problems.push(format!("{}: {problem}", member.endpoint.url())),
            }
        }
        Err(Problem::Members(problems))
    }

    /// What TLS needs; read anew each time, as certificates are renewed.
    async fn connector(&self) -> Result<Option<SslConnector>, Problem> {
        if !self.endpoints.iter().any(Endpoint::is_tls) {
            return Ok(None);
        }
        let files = [&self.ca_file, &self.cert_file, &self.key_file].map(Clone::clone);
        let built = tokio::task::spawn_blocking(move || build(&files)).await;
        let built = built.map_err(|error| Problem::Settings(error.to_string()))?;
        built.map(Some).map_err(|error| {
            Problem::Settings(format!(
                "\"etcd_ca_file\", \"etcd_cert_file\" and \"etcd_key_file\" cannot be used: {error}"
            ))
        })
    }
}

fn build([ca, cert, key]: &[PathBuf; 3]) -> Result<SslConnector, ErrorStack> {
    let given = |path: &Path| !path.as_os_str().is_empty();
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    if given(ca) {
        builder.set_ca_file(ca)?;
    }
    if given(cert) {
        builder.set_certificate_chain_file(cert)?;
        builder.set_private_key_file(if given(key) { key } else { cert }, SslFiletype::PEM)?;
        builder.check_private_key()?;
    }
    Ok(builder.build())
}

/// One member, for as long as it has to answer.
struct Member<'a> {
    client: &'a Client,
    endpoint: &'a Endpoint,
    connector: Option<&'a SslConnector>,
    limit: Duration,
}

/// What a member is asked.
#[derive(Clone, Copy)]
enum Call<'a> {
    Put(&'a Request),
    TimeToLive(&'a str),
}

/// What it says.
enum Given {
    Reply(Reply),
    /// With the id of the holder's lease.
    Keys(Seen, Option<String>),
    Left(Option<u64>),
}

impl Member<'_> {
    async fn answer(&self, call: Call<'_>) -> Result<Given, String> {
        let keys = &self.client.keys;
        match call {
            Call::Put(Request::Look) => {
                let (seen, lease) = keys.looked(&self.call(TRANSACTION, &keys.look()).await?)?;
                Ok(Given::Keys(seen, lease))
            }
            Call::Put(Request::Drop { holder }) => {
                let answer = self.call(TRANSACTION, &keys.drop(*holder)).await?;
                keys.changed(&answer).map(Given::Reply)
            }
            Call::Put(Request::Take {
                kept,
                holder,
                last,
                seconds,
            }) => {
                let lease = json!({ "TTL": seconds.to_string() });
                let granted = self.call("/v3/lease/grant", &lease).await?;
                let id = text(&granted["ID"]);
                if number(&granted["TTL"]).is_none_or(|granted| granted < *seconds) {
                    return Err(format!(
                        "it grants a lease of {} seconds at most",
                        text(&granted["TTL"])
                    ));
                }
                let question = keys.take(kept, &id, *holder, *last);
                let reply = keys.changed(&self.call(TRANSACTION, &question).await?)?;
                if let Reply::Keys(_) = reply {
                    // Nothing is attached to it; without this it would end by itself.
                    let _ = self.call("/v3/lease/revoke", &json!({ "ID": id })).await;
                }
                Ok(Given::Reply(reply))
            }
            Call::TimeToLive(lease) => {
                let answer = self.call("/v3/lease/timetolive", &json!({ "ID": lease })).await?;
                Ok(Given::Left(number(&answer["TTL"])))
            }
        }
    }

    /// One call, by a user who is logged in if there is one.
    async fn call(&self, path: &str, question: &Value) -> Result<Value, String> {
        if self.client.user.is_empty() {
            return self.exchange(path, question, None).await.map_err(|refusal| refusal.why);
        }
        let known = lock(&self.client.token).clone();
        if let Some(token) = known {
            match self.exchange(path, question, Some(token)).await {
                Err(refusal) if refusal.of_login => {}
                answer => return answer.map_err(|refusal| refusal.why),
            }
        }
        let token = self.login().await?;
        *lock(&self.client.token) = Some(token.clone());
        self.exchange(path, question, Some(token))
            .await
            .map_err(|refusal| refusal.why)
    }

    async fn login(&self) -> Result<String, String> {
        let file = &self.client.password_file;
        let password = std::fs::read_to_string(file);
        let password = password.map_err(|error| format!("\"etcd_password_file\" {}: {error}", file.display()))?;
        let question = json!({ "name": self.client.user, "password": password.trim_end_matches(['\r', '\n']) });
        let answer = self.exchange("/v3/auth/authenticate", &question, None).await;
        let answer =
            answer.map_err(|refusal| format!("user \"{}\" is not let in: {}", self.client.user, refusal.why))?;
        match answer["token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err("it gave no token".to_owned()),
        }
    }

    async fn exchange(&self, path: &str, question: &Value, token: Option<String>) -> Result<Value, Refusal> {
        let exchange = Exchange {
            path,
            json: Some(question.to_string()),
            authorization: token,
            connector: self.connector,
        };
        let reply = self.endpoint.request(exchange, self.limit).await;
        let reply = reply.map_err(|why| Refusal { why, of_login: false })?;
        let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        if reply.status == 200 && answer.is_object() {
            return Ok(answer);
        }
        let said = ["error", "message"].iter().find_map(|word| answer[word].as_str());
        let said = said.unwrap_or("no answer of etcd's gateway");
        // 16 is gRPC's "unauthenticated"; with an older token etcd says "invalid auth token", and after changes of users
        // "revision of auth store is old".
        let of_login = reply.status == 401 || number(&answer["code"]) == Some(16) || said.contains("auth");
        Err(Refusal {
            why: format!("HTTP {}: {said}", reply.status),
            of_login,
        })
    }
}

/// Why a member did not do what it was asked for.
struct Refusal {
    why: String,
    /// The login is not valid (any more).
    of_login: bool,
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
