//! The keyword/value form: `host=localhost port=5432 password='a b'`.

use super::{Conninfo, ConninfoError, keywords};

/// What C's isspace() says in the C locale.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}

pub(super) fn parse(text: &str) -> Result<Conninfo, ConninfoError> {
    let mut conninfo = Conninfo::new();
    let mut rest = text.trim_start_matches(is_blank);
    // A word that is not understood behind a password is most likely the rest of it: not shown.
    let mut secret = None;
    while !rest.is_empty() {
        let end = rest.find(|c| c == '=' || is_blank(c)).unwrap_or(rest.len());
        let keyword = &rest[..end];
        let Some(after) = rest[end..].trim_start_matches(is_blank).strip_prefix('=') else {
            return Err(ConninfoError(match secret {
                Some(secret) => odd_word_after("missing \"=\"", secret),
                None => format!("missing \"=\" after \"{keyword}\" in connection info string"),
            }));
        };
        let (value, after) = take_value(after.trim_start_matches(is_blank)).ok_or_else(|| {
            ConninfoError(match secret {
                Some(secret) => odd_word_after("unterminated quoted string", secret),
                None => format!("unterminated quoted string in connection info string, in the value of \"{keyword}\""),
            })
        })?;
        store(&mut conninfo, keyword, &value, |keyword| match secret {
            Some(secret) => odd_word_after("invalid connection option", secret),
            None => format!("invalid connection option \"{keyword}\""),
        })?;
        secret = Some(keyword).filter(|keyword| keywords::is_secret(keyword));
        rest = after.trim_start_matches(is_blank);
    }
    Ok(conninfo)
}

fn odd_word_after(problem: &str, secret: &str) -> String {
    format!("{problem} after the value of \"{secret}\" in connection info string (a value with blanks needs quotes)")
}

/// Stores a value under its keyword, or under the one that an old spelling stands for.
pub(super) fn store(
    conninfo: &mut Conninfo,
    keyword: &str,
    value: &str,
    unknown: impl Fn(&str) -> String,
) -> Result<(), ConninfoError> {
    if keyword == "requiressl" {
        let mode = if value.starts_with('1') { "require" } else { "prefer" };
        conninfo.set("sslmode", mode);
        return Ok(());
    }
    if !keywords::is_keyword(keyword) {
        return Err(ConninfoError(unknown(keyword)));
    }
    conninfo.set(keyword, value);
    Ok(())
}

/// A value and what follows it; `None` if its closing quote is missing.
fn take_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let quoted = text.starts_with('\'');
    let body = if quoted { &text[1..] } else { text };
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, &body[at + 1..])),
            c if !quoted && is_blank(c) => return Some((value, &body[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

/// A value with quotes if it needs them.
pub(super) fn quote(value: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !is_blank(c) && c != '\'' && c != '\\';
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        quoted(value)
    }
}

/// A value in quotes.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}
