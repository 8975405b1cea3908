//! libpq's connection strings (PostgreSQL 17: "Connection Strings").
//!
//! This room answers for reading and writing them, and for what fills their
//! gaps: environment, service file, password file, defaults. It opens no
//! connection; it reads files only in [`Conninfo::resolve`].

mod environment;
mod keywords;
mod parse;
mod passfile;
mod resolve;
mod service;
#[cfg(test)]
mod tests;
mod uri;

use std::fmt;

pub use environment::Environment;
pub use keywords::{KEYWORDS, Keyword, is_keyword};
pub use resolve::{Endpoint, Host, Resolved};

/// Connection parameters in order. A password never shows in `Debug` or [`Conninfo::redacted`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Conninfo {
    parameters: Vec<(String, String)>,
}

/// Why a connection string is wrong; says which part, without any value that could be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConninfoError(pub String);

impl Conninfo {
    /// No parameters.
    pub fn new() -> Self {
        Conninfo::default()
    }

    /// Parses the keyword/value form or a URI. Keywords that libpq does not know are errors.
    /// The parameters keep the order of the text; see [`Conninfo::in_libpq_order`].
    pub fn parse(text: &str) -> Result<Self, ConninfoError> {
        match uri::after_scheme(text) {
            Some(rest) => uri::parse(rest),
            None => parse::parse(text),
        }
    }

    /// Whether a `-d` argument is a connection string and not the name of a database
    /// (it has a URI's scheme, or a `=`).
    pub fn is_connection_string(text: &str) -> bool {
        uri::after_scheme(text).is_some() || text.contains('=')
    }

    /// The value of a keyword, if it is there and not empty.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.get_given(keyword).filter(|value| !value.is_empty())
    }

    /// The value of a keyword, also an empty one: `host=` is not the same as no `host`
    /// when the environment could fill it.
    fn get_given(&self, keyword: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, _)| name == keyword)
            .map(|(_, value)| value.as_str())
    }

    /// Replaces a value in place, or appends the keyword.
    pub fn set(&mut self, keyword: &str, value: &str) {
        match self.parameters.iter_mut().find(|(name, _)| name == keyword) {
            Some((_, old)) => value.clone_into(old),
            None => self.parameters.push((keyword.to_owned(), value.to_owned())),
        }
    }

    /// Sets a keyword only if it is not there.
    pub fn set_default(&mut self, keyword: &str, value: &str) {
        if self.get(keyword).is_none() {
            self.set(keyword, value);
        }
    }

    /// Sets every non-empty parameter of `other`: replaced in place, or appended.
    pub fn merge(&mut self, other: &Conninfo) {
        for (keyword, value) in other.iter() {
            self.set(keyword, value);
        }
    }

    /// Removes a keyword.
    pub fn remove(&mut self, keyword: &str) {
        self.parameters.retain(|(name, _)| name != keyword);
    }

    /// Whether no parameter has a value.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Keywords and values in order, empty values left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same parameters in the order in which libpq lists its keywords, as a string that went
    /// through libpq has them (user, password, …, dbname, host, …); what libpq does not know comes last.
    #[must_use]
    pub fn in_libpq_order(&self) -> Conninfo {
        let mut parameters = self.parameters.clone();
        parameters.sort_by_key(|(name, _)| keywords::position(name).unwrap_or(KEYWORDS.len()));
        Conninfo { parameters }
    }

    /// The parameters of a replication connection to the same server: `user` replaced unless it is
    /// empty, and `dbname=replication`, so that the password file's lines for it match. A password
    /// in the string stays, as it does in `primary_conninfo`.
    #[must_use]
    pub fn for_replication(&self, user: &str) -> Conninfo {
        let mut conninfo = self.clone();
        if !user.is_empty() {
            conninfo.set("user", user);
        }
        conninfo.set("dbname", "replication");
        conninfo.set("replication", "true");
        conninfo
    }

    /// The parameters of a connection as another user: without the password, which is not his.
    #[must_use]
    pub fn for_user(&self, user: &str) -> Conninfo {
        let mut conninfo = self.clone();
        conninfo.remove("password");
        conninfo.set("user", user);
        conninfo
    }

    /// The keyword form with every value quoted where needed, **with** the password: for programs, never for people.
    pub fn to_keyword_string(&self) -> String {
        self.render(|_, value| parse::quote(value))
    }

    /// The same parameters with the passwords hidden, for people. Without a user, a database name with an `@` is
    /// most likely the end of a password of which a URI's slash made a path; it is hidden, too.
    #[must_use]
    pub fn hidden(&self) -> Conninfo {
        let misread = self.get("user").is_none();
        let mut shown = self.clone();
        for (keyword, value) in &mut shown.parameters {
            let secret = keywords::is_secret(keyword) || (misread && keyword == "dbname" && value.contains('@'));
            if secret && !value.is_empty() {
                "********".clone_into(value);
            }
        }
        shown
    }

    /// The keyword form with the passwords hidden.
    pub fn redacted(&self) -> String {
        self.hidden().to_keyword_string()
    }

    /// The keyword form with a quoting of one's own.
    pub fn render(&self, quote: impl Fn(&str, &str) -> String) -> String {
        self.iter()
            .map(|(keyword, value)| format!("{keyword}={}", quote(keyword, value)))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Conninfo({})", self.redacted())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Conninfo {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(parameters: I) -> Self {
        let mut conninfo = Conninfo::new();
        for (keyword, value) in parameters {
            conninfo.set(keyword, value);
        }
        conninfo
    }
}

/// A value as it is written in `primary_conninfo`: bare if it is made of letters, digits, `_` and `.`, else quoted.
pub fn quote_strictly(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if !value.is_empty() && value.chars().all(bare) {
        value.to_owned()
    } else {
        parse::quoted(value)
    }
}

/// A connection string as a person may see it: as it was written if it holds no password, else in
/// keyword form with the passwords hidden. One that is not valid is not shown: nobody knows what is in it.
pub fn redact(text: &str) -> String {
    let Ok(conninfo) = Conninfo::parse(text) else {
        return "(not a valid connection string)".to_owned();
    };
    // A URI with a user but no "user" has a password with a bare slash in it.
    let misread = uri::after_scheme(text).is_some() && text.contains('@') && conninfo.get("user").is_none();
    let secret = conninfo.iter().any(|(keyword, _)| keywords::is_secret(keyword));
    match (misread, secret) {
        (true, _) => "(not a valid connection string)".to_owned(),
        (false, true) => conninfo.redacted(),
        (false, false) => text.to_owned(),
    }
}
