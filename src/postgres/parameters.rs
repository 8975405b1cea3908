//! The parameters of a connection as values: checked, with units
//! (PostgreSQL 17: "Parameter Key Words"). Every error names its keyword.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use openssl::ssl::SslVersion;

use crate::conninfo::{ConninfoError, Resolved};

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `channel_binding`, `gssencmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preference {
    Disable,
    Prefer,
    Require,
}

/// `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// How a server can ask who we are; `None`: it does not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthenticationMethod {
    None,
    Password,
    Md5,
    ScramSha256,
    Gss,
    Sspi,
}

impl AuthenticationMethod {
    /// What a server did that uses this method, for a message.
    pub fn requested(self) -> &'static str {
        match self {
            Self::None => "the server did not ask for authentication",
            Self::Password => "the server asked for a cleartext password",
            Self::Md5 => "the server asked for an MD5-hashed password",
            Self::ScramSha256 => "the server asked for SASL authentication",
            Self::Gss => "the server asked for GSSAPI authentication",
            Self::Sspi => "the server asked for SSPI authentication",
        }
    }
}

/// `require_auth`: a list of methods, of which one must be used, or none if negated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RequireAuth {
    text: String,
    methods: Vec<AuthenticationMethod>,
    negated: bool,
}

impl RequireAuth {
    pub fn allows(&self, method: AuthenticationMethod) -> bool {
        self.methods.is_empty() || self.methods.contains(&method) != self.negated
    }

    fn parse(text: &str) -> Result<RequireAuth, ConninfoError> {
        let invalid = |what: &str| ConninfoError(format!("invalid require_auth value: \"{text}\" ({what})"));
        let mut parsed = RequireAuth {
            text: text.to_owned(),
            ..RequireAuth::default()
        };
        if text.is_empty() {
            return Ok(parsed);
        }
        for (index, item) in text.split(',').map(str::trim).enumerate() {
            let (name, negated) = match item.strip_prefix('!') {
                Some(name) => (name, true),
                None => (item, false),
            };
            if index > 0 && negated != parsed.negated {
                return Err(invalid("negated and other methods cannot be mixed"));
            }
            parsed.negated = negated;
            let method = match name {
                "none" => AuthenticationMethod::None,
                "password" => AuthenticationMethod::Password,
                "md5" => AuthenticationMethod::Md5,
                "scram-sha-256" => AuthenticationMethod::ScramSha256,
                "gss" => AuthenticationMethod::Gss,
                "sspi" => AuthenticationMethod::Sspi,
                _ => return Err(invalid(&format!("\"{name}\" is not known"))),
            };
            if parsed.methods.contains(&method) {
                return Err(invalid(&format!("\"{name}\" is given more than once")));
            }
            parsed.methods.push(method);
        }
        let supported =
            |method: &AuthenticationMethod| !matches!(method, AuthenticationMethod::Gss | AuthenticationMethod::Sspi);
        if !parsed.negated && !parsed.methods.iter().any(supported) {
            return Err(ConninfoError(format!(
                "require_auth={text}: GSSAPI and SSPI authentication are not supported"
            )));
        }
        Ok(parsed)
    }
}

impl fmt::Display for RequireAuth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// `sslcertmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CertificateMode {
    Disable,
    Allow,
}

/// What TLS needs to know.
#[derive(Clone)]
pub(super) struct TlsParameters {
    pub mode: SslMode,
    /// TLS from the first byte on (`sslnegotiation=direct`).
    pub direct: bool,
    pub certificate_mode: CertificateMode,
    pub certificate: Option<PathBuf>,
    pub key: Option<String>,
    pub key_password: Option<String>,
    pub roots: Option<String>,
    pub revoked: Option<PathBuf>,
    pub revoked_directory: Option<PathBuf>,
    pub send_name: bool,
    pub lowest: Option<SslVersion>,
    pub highest: Option<SslVersion>,
    /// Where the files are that are not given: `~/.postgresql`.
    pub directory: Option<PathBuf>,
}

/// `keepalives*`, `tcp_user_timeout`; `None` is the system's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keepalive {
    pub enabled: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    pub user_timeout: Option<Duration>,
}

/// Everything but the hosts.
#[derive(Clone)]
pub(super) struct Parameters {
    pub user: String,
    pub dbname: String,
    pub options: Option<String>,
    pub application_name: Option<String>,
    pub replication: Option<String>,
    pub tls: TlsParameters,
    pub channel_binding: Preference,
    pub require_auth: RequireAuth,
    pub require_peer: Option<String>,
    pub keepalive: Keepalive,
    pub target: TargetSession,
    pub shuffle_hosts: bool,
    /// `Some(None)`: explicitly without limit.
    pub connect_timeout: Option<Option<Duration>>,
}

impl Parameters {
    pub fn new(resolved: &Resolved) -> Result<Parameters, ConninfoError> {
        let text = |keyword: &str| resolved.get(keyword).map(str::to_owned);
        refuse_gssapi(resolved)?;
        let tls = TlsParameters::new(resolved)?;
        let channel_binding = preference(resolved, "channel_binding")?.unwrap_or(Preference::Prefer);
        if channel_binding == Preference::Require && tls.mode == SslMode::Disable {
            return Err(ConninfoError(
                "channel_binding=require needs an encrypted connection, but sslmode is \"disable\"".to_owned(),
            ));
        }
        Ok(Parameters {
            user: text("user").unwrap_or_default(),
            dbname: text("dbname").unwrap_or_default(),
            options: text("options"),
            application_name: text("application_name").or_else(|| text("fallback_application_name")),
            replication: text("replication"),
            tls,
            channel_binding,
            require_auth: RequireAuth::parse(resolved.get("require_auth").unwrap_or_default())?,
            require_peer: text("requirepeer"),
            keepalive: Keepalive::new(resolved)?,
            target: choice(
                resolved,
                "target_session_attrs",
                &[
                    ("any", TargetSession::Any),
                    ("read-write", TargetSession::ReadWrite),
                    ("read-only", TargetSession::ReadOnly),
                    ("primary", TargetSession::Primary),
                    ("standby", TargetSession::Standby),
                    ("prefer-standby", TargetSession::PreferStandby),
                ],
            )?
            .unwrap_or(TargetSession::Any),
            shuffle_hosts: choice(resolved, "load_balance_hosts", &[("disable", false), ("random", true)])?
                .unwrap_or(false),
            connect_timeout: integer(resolved, "connect_timeout")?.map(connect_timeout),
        })
    }
}

/// 0 and less: no limit; less than two seconds is rounded up, as libpq does.
fn connect_timeout(seconds: i32) -> Option<Duration> {
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.max(2)))
}

fn refuse_gssapi(resolved: &Resolved) -> Result<(), ConninfoError> {
    if preference(resolved, "gssencmode")? == Some(Preference::Require) {
        return Err(ConninfoError(
            "gssencmode=require: GSSAPI encryption is not supported (use sslmode)".to_owned(),
        ));
    }
    Ok(())
}

impl TlsParameters {
    fn new(resolved: &Resolved) -> Result<TlsParameters, ConninfoError> {
        let path = |keyword: &str| resolved.get(keyword).map(PathBuf::from);
        let mode = choice(
            resolved,
            "sslmode",
            &[
                ("disable", SslMode::Disable),
                ("allow", SslMode::Allow),
                ("prefer", SslMode::Prefer),
                ("require", SslMode::Require),
                ("verify-ca", SslMode::VerifyCa),
                ("verify-full", SslMode::VerifyFull),
            ],
        )?
        .unwrap_or(SslMode::Prefer);
        let mode_text = resolved.get("sslmode").unwrap_or("prefer");
        let direct = choice(resolved, "sslnegotiation", &[("postgres", false), ("direct", true)])?.unwrap_or(false);
        if direct && mode < SslMode::Require {
            return Err(ConninfoError(format!(
                "weak sslmode \"{mode_text}\" may not be used with sslnegotiation=direct \
                 (use \"require\", \"verify-ca\", or \"verify-full\")"
            )));
        }
        if resolved.get("sslrootcert") == Some("system") && mode != SslMode::VerifyFull {
            return Err(ConninfoError(format!(
                "weak sslmode \"{mode_text}\" may not be used with sslrootcert=system (use \"verify-full\")"
            )));
        }
        let certificate_mode = choice(
            resolved,
            "sslcertmode",
            &[
                ("disable", Some(CertificateMode::Disable)),
                ("allow", Some(CertificateMode::Allow)),
                ("require", None),
            ],
        )?
        .unwrap_or(Some(CertificateMode::Allow))
        .ok_or_else(|| {
            ConninfoError(
                "sslcertmode=require is not supported: whether the server asks for a certificate is not known here \
                 (have it ask with clientcert=verify-ca in its pg_hba.conf)"
                    .to_owned(),
            )
        })?;
        let (lowest, highest) = (
            tls_version(resolved, "ssl_min_protocol_version")?,
            tls_version(resolved, "ssl_max_protocol_version")?,
        );
        if let (Some((lowest, _)), Some((highest, _))) = (lowest, highest)
            && lowest > highest
        {
            return Err(ConninfoError(
                "ssl_min_protocol_version is above ssl_max_protocol_version".to_owned(),
            ));
        }
        Ok(TlsParameters {
            mode,
            direct,
            certificate_mode,
            certificate: path("sslcert"),
            key: resolved.get("sslkey").map(str::to_owned),
            key_password: resolved.get("sslpassword").map(str::to_owned),
            roots: resolved.get("sslrootcert").map(str::to_owned),
            revoked: path("sslcrl"),
            revoked_directory: path("sslcrldir"),
            send_name: resolved.get("sslsni").is_none_or(|value| value.starts_with('1')),
            lowest: lowest.map(|(_, version)| version),
            highest: highest.map(|(_, version)| version),
            directory: resolved.tls_directory.clone(),
        })
    }
}

impl Keepalive {
    fn new(resolved: &Resolved) -> Result<Keepalive, ConninfoError> {
        let positive = |keyword| -> Result<Option<u32>, ConninfoError> {
            Ok(integer(resolved, keyword)?
                .and_then(|value| u32::try_from(value).ok())
                .filter(|value| *value > 0))
        };
        let seconds = |keyword| -> Result<Option<Duration>, ConninfoError> {
            Ok(positive(keyword)?.map(|seconds| Duration::from_secs(seconds.into())))
        };
        Ok(Keepalive {
            enabled: integer(resolved, "keepalives")? != Some(0),
            idle: seconds("keepalives_idle")?,
            interval: seconds("keepalives_interval")?,
            count: positive("keepalives_count")?,
            user_timeout: positive("tcp_user_timeout")?.map(|ms| Duration::from_millis(ms.into())),
        })
    }
}

fn choice<T: Clone>(resolved: &Resolved, keyword: &str, choices: &[(&str, T)]) -> Result<Option<T>, ConninfoError> {
    let Some(value) = resolved.get(keyword) else {
        return Ok(None);
    };
    match choices.iter().find(|(name, _)| *name == value) {
        Some((_, choice)) => Ok(Some(choice.clone())),
        None => {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Err(ConninfoError(format!(
                "invalid {keyword} value: \"{value}\" (valid are {})",
                names.join(", ")
            )))
        }
    }
}

fn preference(resolved: &Resolved, keyword: &str) -> Result<Option<Preference>, ConninfoError> {
    choice(
        resolved,
        keyword,
        &[
            ("disable", Preference::Disable),
            ("prefer", Preference::Prefer),
            ("require", Preference::Require),
        ],
    )
}

fn integer(resolved: &Resolved, keyword: &str) -> Result<Option<i32>, ConninfoError> {
    resolved
        .get(keyword)
        .map(|text| {
            text.trim().parse().map_err(|_| {
                ConninfoError(format!(
                    "invalid integer value \"{text}\" for connection option \"{keyword}\""
                ))
            })
        })
        .transpose()
}

/// A TLS version with its rank.
fn tls_version(resolved: &Resolved, keyword: &str) -> Result<Option<(u8, SslVersion)>, ConninfoError> {
    let Some(text) = resolved.get(keyword) else {
        return Ok(None);
    };
    match text.to_ascii_lowercase().as_str() {
        "tlsv1" => Ok(Some((0, SslVersion::TLS1))),
        "tlsv1.1" => Ok(Some((1, SslVersion::TLS1_1))),
        "tlsv1.2" => Ok(Some((2, SslVersion::TLS1_2))),
        "tlsv1.3" => Ok(Some((3, SslVersion::TLS1_3))),
        _ => Err(ConninfoError(format!(
            "invalid {keyword} value: \"{text}\" (valid are TLSv1, TLSv1.1, TLSv1.2, TLSv1.3)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conninfo::{Conninfo, Environment};

    fn parameters(text: &str) -> Result<Parameters, ConninfoError> {
        let environment = Environment::of_variables([]).with_user("me");
        Parameters::new(&Conninfo::parse(text).unwrap().resolve(&environment).unwrap())
    }

    fn error(text: &str) -> String {
        match parameters(text) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_timeout_of_one_second_is_two_and_of_none_no_limit() {
        let timeout = |text| parameters(text).unwrap().connect_timeout;
        let seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
        assert_eq!(timeout(""), None);
        assert_eq!(timeout("connect_timeout=1"), seconds(2));
        assert_eq!(timeout("connect_timeout=' 30 '"), seconds(30));
        assert_eq!(timeout("connect_timeout=0"), Some(None));
        assert_eq!(timeout("connect_timeout=-5"), Some(None));
        assert!(error("connect_timeout=2s").contains("\"connect_timeout\""));
    }

    #[test]
    fn require_auth_lists_what_may_be_or_what_may_not() {
        use AuthenticationMethod::{Md5, None, ScramSha256};
        let allows = |text: &str, method| RequireAuth::parse(text).unwrap().allows(method);
        assert!(allows("", None) && allows("", Md5));
        assert!(allows("scram-sha-256, md5", Md5) && !allows("scram-sha-256,md5", None));
        assert!(allows("!md5", ScramSha256) && allows("!md5", None) && !allows("!md5,!password", Md5));
        assert!(allows("gss,none", None));
        for wrong in ["md5,", "md5,!none", "md5,md5", "oauth", "gss", "gss,sspi"] {
            assert!(
                error(&format!("require_auth='{wrong}'")).contains("require_auth"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn zero_keepalive_values_leave_it_to_the_system() {
        let keepalive = |text| parameters(text).unwrap().keepalive;
        let system = Keepalive {
            enabled: true,
            ..Keepalive::default()
        };
        assert_eq!(keepalive(""), system);
        assert_eq!(
            keepalive("keepalives_idle=0 keepalives_count=-1 tcp_user_timeout=0"),
            system
        );
        assert!(!keepalive("keepalives=0").enabled);
        let given = keepalive("keepalives_idle=60 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=1500");
        assert_eq!(given.idle, Some(Duration::from_secs(60)));
        assert_eq!(given.interval, Some(Duration::from_secs(5)));
        assert_eq!(
            (given.count, given.user_timeout),
            (Some(3), Some(Duration::from_millis(1500)))
        );
    }

    #[test]
    fn the_fallback_name_gives_way() {
        let name = |text| parameters(text).unwrap().application_name;
        assert_eq!(name("fallback_application_name=repmgr").as_deref(), Some("repmgr"));
        assert_eq!(
            name("application_name=a fallback_application_name=repmgr").as_deref(),
            Some("a")
        );
    }
}
