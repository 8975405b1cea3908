//! The grammar of repmgr.conf, which is that of postgresql.conf
//! (PostgreSQL: "Setting Parameters", and `guc-file.l` for the tokens).
//!
//! Pure: text in, entries and syntax errors out. What `include` directives mean
//! is the business of `include`; `postgresql.auto.conf`, where they mean
//! nothing, is read with [`parse_plain`].

use std::fmt;

/// Parsing of a text stops after so many syntax errors.
const MAX_SYNTAX_ERRORS: usize = 100;

/// One line `name = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: usize,
    /// As it stands in the text; the grammar does not know which names there are.
    pub name: String,
    /// Without quotes and escapes. Not necessarily UTF-8: a path may be any bytes.
    pub value: Vec<u8>,
}

/// A line that is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// The token that does not belong there; `None` for the end of the line.
    pub near: Option<String>,
    /// Whether nothing after this line was looked at.
    pub gave_up: bool,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.near {
            Some(token) => write!(formatter, "syntax error near \"{token}\"")?,
            None => formatter.write_str("syntax error near end of line")?,
        }
        if self.gave_up {
            write!(
                formatter,
                "; {MAX_SYNTAX_ERRORS} syntax errors, the rest of the file was not read"
            )?;
        }
        Ok(())
    }
}

/// What a text holds, right and wrong lines, each in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The right ones.
    pub entries: Vec<Entry>,
    /// The wrong ones.
    pub errors: Vec<SyntaxError>,
}

/// Reads a text; a wrong line does not keep the others from being read.
pub fn parse(text: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        match parse_line(line) {
            Ok(None) => {}
            Ok(Some((name, value))) => parsed.entries.push(Entry {
                line: index + 1,
                name,
                value,
            }),
            Err(near) => {
                let gave_up = parsed.errors.len() + 1 == MAX_SYNTAX_ERRORS;
                parsed.errors.push(SyntaxError {
                    line: index + 1,
                    near,
                    gave_up,
                });
                if gave_up {
                    break;
                }
            }
        }
    }
    parsed
}

/// Names and values of `postgresql.auto.conf` or another file in which `include` has no meaning, in order.
///
/// # Errors
/// The first line that is not an entry, or whose value is not UTF-8.
pub fn parse_plain(text: &[u8]) -> Result<Vec<(String, String)>, SyntaxError> {
    let parsed = parse(text);
    if let Some(error) = parsed.errors.into_iter().next() {
        return Err(error);
    }
    let pair = |entry: Entry| match String::from_utf8(entry.value) {
        Ok(value) => Ok((entry.name, value)),
        Err(error) => Err(SyntaxError {
            line: entry.line,
            near: Some(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            gave_up: false,
        }),
    };
    parsed.entries.into_iter().map(pair).collect()
}

/// A value in quotes, so that reading it gives the same value again.
pub fn quote(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for character in value.chars() {
        match character {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Id,
    QualifiedId,
    Quoted,
    Unquoted,
    Integer,
    Real,
    Equals,
    Other,
}

/// `name [=] value`, or nothing; otherwise the token at which it stops being that.
fn parse_line(line: &[u8]) -> Result<Option<(String, Vec<u8>)>, Option<String>> {
    let mut rest = line;
    let mut next = || {
        let token = take_token(&mut rest);
        (token.map(|(kind, _)| kind), token.map_or(&b""[..], |(_, text)| text))
    };
    let wrong = |kind: Option<Token>, text: &[u8]| kind.map(|_| String::from_utf8_lossy(text).into_owned());

    let (kind, name) = next();
    match kind {
        None => return Ok(None),
        Some(Token::Id | Token::QualifiedId) => {}
        Some(_) => return Err(wrong(kind, name)),
    }
    let (mut kind, mut text) = next();
    if kind == Some(Token::Equals) {
        (kind, text) = next();
    }
    let value = match kind {
        Some(Token::Quoted) => unquote(text),
        Some(Token::Id | Token::Unquoted | Token::Integer | Token::Real) => text.to_owned(),
        _ => return Err(wrong(kind, text)),
    };
    match next() {
        (None, _) => Ok(Some((String::from_utf8_lossy(name).into_owned(), value))),
        (kind, text) => Err(wrong(kind, text)),
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_letter_or_digit(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit()
}

/// How many bytes from the start are of a kind.
fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}

/// The next token of a line; `None` at its end or at a comment. The longest match
/// wins, then the order of [`Token`].
fn take_token<'a>(rest: &mut &'a [u8]) -> Option<(Token, &'a [u8])> {
    let text = &rest[run(rest, |byte| matches!(byte, b' ' | b'\t' | b'\r'))..];
    let first = *text.first()?;
    if first == b'#' {
        *rest = &[];
        return None;
    }
    let (kind, length) = if first == b'=' {
        (Token::Equals, 1)
    } else if is_letter(first) {
        word(text)
    } else if first == b'\'' {
        quoted_length(text).map_or((Token::Other, 1), |length| (Token::Quoted, length))
    } else {
        number(text).unwrap_or((Token::Other, 1))
    };
    let (token, after) = text.split_at(length);
    *rest = after;
    Some((kind, token))
}

fn word(text: &[u8]) -> (Token, usize) {
    let unquoted = run(text, |byte| is_letter_or_digit(byte) || b"-._:/".contains(&byte));
    let id = run(text, is_letter_or_digit);
    if unquoted == id {
        return (Token::Id, id);
    }
    if text[id] == b'.' && text.get(id + 1).is_some_and(|byte| is_letter(*byte)) {
        let qualified = id + 1 + run(&text[id + 1..], is_letter_or_digit);
        if unquoted == qualified {
            return (Token::QualifiedId, qualified);
        }
    }
    (Token::Unquoted, unquoted)
}

fn number(text: &[u8]) -> Option<(Token, usize)> {
    let sign = usize::from(matches!(text[0], b'+' | b'-'));
    let body = &text[sign..];
    let digits = run(body, |byte| byte.is_ascii_digit());

    let hexadecimal = match body {
        [b'0', b'x', hex @ ..] => match run(hex, |byte| byte.is_ascii_hexdigit()) {
            0 => 0,
            length => 2 + length,
        },
        _ => 0,
    };
    let with_unit = |length: usize| match length {
        0 => 0,
        length => length + run(&body[length..], |byte| byte.is_ascii_alphabetic()),
    };
    let integer = with_unit(digits).max(with_unit(hexadecimal));

    let real = if body.get(digits) == Some(&b'.') {
        let mantissa = digits + 1 + run(&body[digits + 1..], |byte| byte.is_ascii_digit());
        mantissa + exponent_length(&body[mantissa..])
    } else {
        0
    };

    match (integer, real) {
        (0, 0) => None,
        (integer, real) if integer >= real => Some((Token::Integer, sign + integer)),
        (_, real) => Some((Token::Real, sign + real)),
    }
}

fn exponent_length(text: &[u8]) -> usize {
    let [b'e' | b'E', after @ ..] = text else { return 0 };
    let sign = usize::from(matches!(after.first(), Some(b'+' | b'-')));
    match run(&after[sign..], |byte| byte.is_ascii_digit()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

/// The length of the quoted string with its quotes; `None` if it does not end on this line.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'\\', Some(_)) | (b'\'', Some(b'\'')) => at += 2,
            (b'\\', None) => return None,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn unquote(quoted: &[u8]) -> Vec<u8> {
    let body = &quoted[1..quoted.len() - 1];
    let mut value = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        let (byte, length) = match body[at] {
            b'\'' => (b'\'', 2),
            b'\\' => escape(&body[at + 1..]),
            byte => (byte, 1),
        };
        value.push(byte);
        at += length;
    }
    value
}

/// What stands after a backslash; the length counts the backslash too.
fn escape(after: &[u8]) -> (u8, usize) {
    match after[0] {
        b'b' => (0x08, 2),
        b'f' => (0x0c, 2),
        b'n' => (b'\n', 2),
        b'r' => (b'\r', 2),
        b't' => (b'\t', 2),
        b'0'..=b'7' => {
            let digits = run(after, |byte| (b'0'..=b'7').contains(&byte)).min(3);
            let number = after[..digits]
                .iter()
                .fold(0u32, |number, digit| number * 8 + u32::from(digit - b'0'));
            ((number & 0xff) as u8, 1 + digits)
        }
        other => (other, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Result<(String, String), String> {
        let parsed = parse(text.as_bytes());
        match (parsed.entries.as_slice(), parsed.errors.as_slice()) {
            ([entry], []) => Ok((entry.name.clone(), String::from_utf8(entry.value.clone()).unwrap())),
            ([], [error]) => Err(error.near.clone().unwrap_or_else(|| "end of line".to_owned())),
            _ => panic!("{text:?} gave {parsed:?}"),
        }
    }

    #[test]
    fn values_that_are_read() {
        for (text, name, value) in [
            ("priority 7", "priority", "7"),
            ("priority=7", "priority", "7"),
            ("priority = 7 # seven", "priority", "7"),
            ("\tpriority\t=\t7\r", "priority", "7"),
            ("priority='7'", "priority", "7"),
            ("node_name=node1.example.com", "node_name", "node1.example.com"),
            ("node_name=my-host.example", "node_name", "my-host.example"),
            ("node_name=host:/dir", "node_name", "host:/dir"),
            ("node_name=1abc", "node_name", "1abc"),
            ("a.b=c", "a.b", "c"),
            ("x=-0x1Fs", "x", "-0x1Fs"),
            ("x=0x", "x", "0x"),
            ("x=+1.5e-7", "x", "+1.5e-7"),
            ("x=.5", "x", ".5"),
            ("x=5.", "x", "5."),
            ("x=größe", "x", "größe"),
            ("größe=1", "größe", "1"),
            ("x=''", "x", ""),
            ("x='  blanks  '", "x", "  blanks  "),
            ("x='it''s'", "x", "it's"),
            (r"x='it\'s'", "x", "it's"),
            (r"x='a\\b\tc\nd\re\bf\fg'", "x", "a\\b\tc\nd\re\u{8}f\u{c}g"),
            (r"x='\101\1012\60\0603\q'", "x", "AA2003q"),
            ("x='# no comment'#comment", "x", "# no comment"),
        ] {
            assert_eq!(one(text), Ok((name.to_owned(), value.to_owned())), "{text}");
        }
    }

    #[test]
    fn lines_that_are_not_entries() {
        for (text, near) in [
            ("conninfo=host=n1 user=r", "="),
            ("data_directory=/var/lib/x", "/"),
            ("node_name=node1.example", "node1.example"),
            ("location=10.0.0.1", ".0"),
            ("priority", "end of line"),
            ("priority =", "end of line"),
            ("priority = # seven", "end of line"),
            ("priority == 7", "="),
            ("priority = 7 8", "8"),
            ("x = 1e5", "5"),
            ("7 = priority", "7"),
            ("a-b = 1", "a-b"),
            ("'x' = 1", "'x'"),
            ("x = 'open", "'"),
            (r"x = 'open\'", "'"),
            (r"x = 'open\", "'"),
            ("x = $y", "$"),
            ("x = -", "-"),
            ("x = y;", ";"),
        ] {
            assert_eq!(one(text), Err(near.to_owned()), "{text}");
        }
    }

    #[test]
    fn wrong_lines_do_not_hide_others_and_line_numbers_are_right() {
        let parsed = parse(b"a=1\n\n# b\nb=/x\r\nc=3\r\nd=\nE=5");
        let entries: Vec<_> = parsed.entries.iter().map(|e| (e.line, e.name.as_str())).collect();
        assert_eq!(entries, [(1, "a"), (5, "c"), (7, "E")]);
        let errors: Vec<_> = parsed.errors.iter().map(|e| (e.line, e.near.as_deref())).collect();
        assert_eq!(errors, [(4, Some("/")), (6, None)]);
    }

    #[test]
    fn a_hundred_errors_are_enough() {
        let parsed = parse("x\n".repeat(250).as_bytes());
        assert_eq!(parsed.errors.len(), 100);
        assert!(
            parsed.errors[99]
                .to_string()
                .contains("the rest of the file was not read")
        );
        assert!(!parsed.errors[98].gave_up);
    }

    #[test]
    fn octal_gives_any_byte_and_plain_reading_says_what_is_not_utf8() {
        assert_eq!(parse(br"x='\377\0\400'").entries[0].value, [0xff, 0, 0]);
        let error = parse_plain(b"a='1'\nx='\\377'").unwrap_err();
        assert_eq!(error.line, 2);
    }

    #[test]
    fn plain_reading_knows_no_include() {
        let text = b"# by ALTER SYSTEM\ninclude = 'x'\nprimary_conninfo = 'host=''a b'''\n";
        assert_eq!(
            parse_plain(text).unwrap(),
            [
                ("include".to_owned(), "x".to_owned()),
                ("primary_conninfo".to_owned(), "host='a b'".to_owned())
            ]
        );
        assert_eq!(parse_plain(b"ok=1\nx=/").unwrap_err().line, 2);
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse(&text);
        }

        #[test]
        fn never_panics_on_what_looks_like_entries(text in r"[ax_.'\\=#0-9eE+\- \t\n]{0,60}") {
            parse(text.as_bytes());
        }

        #[test]
        fn quoting_round_trip(value in any::<String>()) {
            let text = format!("x = {}", quote(&value));
            prop_assert_eq!(one(&text), Ok(("x".to_owned(), value)));
        }
    }
}
