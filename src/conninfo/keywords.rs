//! The table of libpq's keywords (PostgreSQL 17: "Parameter Key Words", "Environment Variables").

/// One keyword of a connection string.
#[derive(Debug)]
pub struct Keyword {
    /// Its name.
    pub name: &'static str,
    /// The environment variable that stands in for it.
    pub variable: Option<&'static str>,
    /// What counts if nothing is given.
    pub default: Option<&'static str>,
}

const fn keyword(name: &'static str, variable: &'static str, default: &'static str) -> Keyword {
    Keyword {
        name,
        variable: if variable.is_empty() { None } else { Some(variable) },
        default: if default.is_empty() { None } else { Some(default) },
    }
}

/// All keywords, in the order in which libpq lists them.
pub const KEYWORDS: &[Keyword] = &[
    keyword("service", "PGSERVICE", ""),
    keyword("user", "PGUSER", ""),
    keyword("password", "PGPASSWORD", ""),
    keyword("passfile", "PGPASSFILE", ""),
    keyword("channel_binding", "PGCHANNELBINDING", "prefer"),
    keyword("connect_timeout", "PGCONNECT_TIMEOUT", ""),
    keyword("dbname", "PGDATABASE", ""),
    keyword("host", "PGHOST", ""),
    keyword("hostaddr", "PGHOSTADDR", ""),
    keyword("port", "PGPORT", "5432"),
    keyword("client_encoding", "PGCLIENTENCODING", ""),
    keyword("options", "PGOPTIONS", ""),
    keyword("application_name", "PGAPPNAME", ""),
    keyword("fallback_application_name", "", ""),
    keyword("keepalives", "", ""),
    keyword("keepalives_idle", "", ""),
    keyword("keepalives_interval", "", ""),
    keyword("keepalives_count", "", ""),
    keyword("tcp_user_timeout", "", ""),
    keyword("sslmode", "PGSSLMODE", "prefer"),
    keyword("sslnegotiation", "PGSSLNEGOTIATION", "postgres"),
    keyword("sslcompression", "PGSSLCOMPRESSION", "0"),
    keyword("sslcert", "PGSSLCERT", ""),
    keyword("sslkey", "PGSSLKEY", ""),
    keyword("sslcertmode", "PGSSLCERTMODE", ""),
    keyword("sslpassword", "", ""),
    keyword("sslrootcert", "PGSSLROOTCERT", ""),
    keyword("sslcrl", "PGSSLCRL", ""),
    keyword("sslcrldir", "PGSSLCRLDIR", ""),
    keyword("sslsni", "PGSSLSNI", "1"),
    keyword("requirepeer", "PGREQUIREPEER", ""),
    keyword("require_auth", "PGREQUIREAUTH", ""),
    keyword("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", "TLSv1.2"),
    keyword("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", ""),
    keyword("gssencmode", "PGGSSENCMODE", ""),
    keyword("krbsrvname", "PGKRBSRVNAME", ""),
    keyword("gsslib", "PGGSSLIB", ""),
    keyword("gssdelegation", "PGGSSDELEGATION", ""),
    keyword("replication", "", ""),
    keyword("target_session_attrs", "PGTARGETSESSIONATTRS", "any"),
    keyword("load_balance_hosts", "PGLOADBALANCEHOSTS", "disable"),
];

/// Whether libpq knows the keyword.
pub fn is_keyword(name: &str) -> bool {
    position(name).is_some()
}

/// The place of a keyword in libpq's order.
pub(super) fn position(name: &str) -> Option<usize> {
    KEYWORDS.iter().position(|keyword| keyword.name == name)
}

/// Whether a value must never be shown.
pub(super) fn is_secret(name: &str) -> bool {
    matches!(name, "password" | "sslpassword")
}
