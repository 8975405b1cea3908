//! libpq's connection strings: keyword and URI form, quoting, merging, redaction.
//!
//! (PostgreSQL: "Database Connection Control Functions", "Connection Strings".)

use std::fmt;

/// Connection parameters in order. A password never shows in `Debug` or [`Conninfo::redacted`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Conninfo {
    parameters: Vec<(String, String)>,
}

/// Why a connection string is wrong; says which part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConninfoError(pub String);

impl Conninfo {
    /// No parameters.
    pub fn new() -> Self {
        Conninfo::default()
    }

    /// Parses the keyword/value form.
    pub fn parse(text: &str) -> Result<Self, ConninfoError> {
        let mut conninfo = Conninfo::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (keyword, after) = rest
                .split_once('=')
                .ok_or_else(|| ConninfoError(format!("missing \"=\" after \"{rest}\" in connection info string")))?;
            let (value, after) = take_value(after.trim_start())?;
            conninfo.set(keyword.trim(), &value);
            rest = after.trim_start();
        }
        Ok(conninfo)
    }

    /// The value of a keyword, if it is there and not empty.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, _)| name == keyword)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
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

    /// Removes a keyword.
    pub fn remove(&mut self, keyword: &str) {
        self.parameters.retain(|(name, _)| name != keyword);
    }

    /// Keywords and values in order, empty values left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The keyword form with every value quoted where needed, **with** the password: for programs, never for people.
    pub fn to_keyword_string(&self) -> String {
        self.render(|_, value| value.to_owned())
    }

    /// The keyword form with the password hidden.
    pub fn redacted(&self) -> String {
        self.render(|keyword, value| {
            if is_secret(keyword) {
                "********".to_owned()
            } else {
                value.to_owned()
            }
        })
    }

    fn render(&self, show: impl Fn(&str, &str) -> String) -> String {
        self.iter()
            .map(|(keyword, value)| format!("{keyword}={}", quote(&show(keyword, value))))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Conninfo({})", self.redacted())
    }
}

fn is_secret(keyword: &str) -> bool {
    matches!(keyword, "password" | "sslpassword")
}

fn quote(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && c != '\'' && c != '\\';
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
    }
}

fn take_value(text: &str) -> Result<(String, &str), ConninfoError> {
    let mut value = String::new();
    let quoted = text.starts_with('\'');
    let body = if quoted { &text[1..] } else { text };
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                if let Some((_, escaped)) = characters.next() {
                    value.push(escaped);
                }
            }
            '\'' if quoted => return Ok((value, &body[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &body[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(ConninfoError(
            "unterminated quoted string in connection info string".to_owned(),
        ));
    }
    Ok((value, ""))
}
