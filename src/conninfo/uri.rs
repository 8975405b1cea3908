//! The URI form: `postgresql://user:password@host1:port1,[::1]:port2/dbname?keyword=value`.

use super::{Conninfo, ConninfoError, keywords, parse::store};

/// What follows the scheme, if it is one of libpq's.
pub(super) fn after_scheme(text: &str) -> Option<&str> {
    ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
}

pub(super) fn parse(rest: &str) -> Result<Conninfo, ConninfoError> {
    let mut conninfo = Conninfo::new();
    let rest = take_credentials(rest, &mut conninfo)?;
    let rest = take_hosts(rest, &mut conninfo)?;
    let query = match rest.strip_prefix('/') {
        Some(path) => {
            let (dbname, query) = split_at_any(path, &['?']);
            store_decoded(&mut conninfo, "dbname", dbname)?;
            query
        }
        None => rest,
    };
    if let Some(parameters) = query.strip_prefix('?') {
        take_parameters(parameters, &mut conninfo)?;
    }
    Ok(conninfo)
}

fn split_at_any<'a>(text: &'a str, delimiters: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(delimiters).unwrap_or(text.len()))
}

fn take_credentials<'a>(rest: &'a str, conninfo: &mut Conninfo) -> Result<&'a str, ConninfoError> {
    let (credentials, after) = split_at_any(rest, &['@', '/']);
    let Some(after) = after.strip_prefix('@') else {
        return Ok(rest);
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    store_decoded(conninfo, "user", user)?;
    store_decoded(conninfo, "password", password)?;
    Ok(after)
}

/// Hosts and ports, each joined by commas as the keyword form has them.
fn take_hosts<'a>(mut rest: &'a str, conninfo: &mut Conninfo) -> Result<&'a str, ConninfoError> {
    let (mut hosts, mut ports) = (String::new(), String::new());
    loop {
        let host;
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, after) = bracketed.split_once(']').ok_or_else(|| {
                ConninfoError(
                    "end of string reached when looking for matching \"]\" in IPv6 host address in URI".into(),
                )
            })?;
            if address.is_empty() {
                return Err(ConninfoError("IPv6 host address may not be empty in URI".into()));
            }
            if let Some(odd) = after.chars().next().filter(|c| !matches!(c, ':' | '/' | '?' | ',')) {
                return Err(ConninfoError(format!(
                    "unexpected character \"{odd}\" after \"[{address}]\" in URI (expected \":\" or \"/\")"
                )));
            }
            (host, rest) = (address, after);
        } else {
            (host, rest) = split_at_any(rest, &[':', '/', '?', ',']);
        }
        hosts.push_str(host);
        if let Some(after) = rest.strip_prefix(':') {
            let port;
            (port, rest) = split_at_any(after, &['/', '?', ',']);
            // What is no number here is the password of credentials that were cut off too early: not shown.
            if !port.chars().all(|c| c.is_ascii_digit() || c == '%') {
                return Err(ConninfoError(
                    "the port in the URI is not a number (in a password \":\", \"/\", \"?\" and \"@\" are written %3A, %2F, %3F and %40)".into(),
                ));
            }
            ports.push_str(port);
        }
        let Some(after) = rest.strip_prefix(',') else { break };
        rest = after;
        hosts.push(',');
        ports.push(',');
    }
    store_decoded(conninfo, "host", &hosts)?;
    store_decoded(conninfo, "port", &ports)?;
    Ok(rest)
}

fn take_parameters(parameters: &str, conninfo: &mut Conninfo) -> Result<(), ConninfoError> {
    // A final "&" is accepted; an empty parameter elsewhere is not.
    let parameters = match parameters.strip_suffix('&') {
        Some(all) if !all.is_empty() => all,
        _ => parameters,
    };
    if parameters.is_empty() {
        return Ok(());
    }
    let mut after_secret = false;
    for parameter in parameters.split('&') {
        let Some((keyword, value)) = parameter.split_once('=') else {
            // After a password this is most likely the rest of it: not shown.
            let shown = if after_secret { "(after a password)" } else { parameter };
            return Err(ConninfoError(format!(
                "missing key/value separator \"=\" in URI query parameter: \"{shown}\""
            )));
        };
        let follows_secret = std::mem::replace(&mut after_secret, keywords::is_secret(keyword));
        if value.contains('=') {
            return Err(ConninfoError(format!(
                "extra key/value separator \"=\" in URI query parameter: \"{keyword}\""
            )));
        }
        let keyword = decode(keyword, "a URI query parameter's name")?;
        let value = decode(value, &keyword)?;
        if keyword == "ssl" && value == "true" {
            conninfo.set("sslmode", "require");
            continue;
        }
        store(conninfo, &keyword, &value, |keyword| {
            let shown = if follows_secret { "(after a password)" } else { keyword };
            format!("invalid URI query parameter: \"{shown}\"")
        })?;
    }
    Ok(())
}

fn store_decoded(conninfo: &mut Conninfo, keyword: &str, encoded: &str) -> Result<(), ConninfoError> {
    if !encoded.is_empty() {
        conninfo.set(keyword, &decode(encoded, keyword)?);
    }
    Ok(())
}

/// Resolves `%XX`. `what` names the part in an error: the part itself could be a password.
fn decode(encoded: &str, what: &str) -> Result<String, ConninfoError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let value = digit()
            .zip(digit())
            .map(|(high, low)| (high * 16 + low) as u8)
            .ok_or_else(|| ConninfoError(format!("invalid percent-encoded token in {what} of the URI")))?;
        if value == 0 {
            return Err(ConninfoError(format!(
                "forbidden value %00 in percent-encoded {what} of the URI"
            )));
        }
        decoded.push(value);
    }
    String::from_utf8(decoded).map_err(|_| ConninfoError(format!("{what} of the URI is not UTF-8")))
}
