//! The password file (PostgreSQL: "The Password File").

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::resolve::DEFAULT_SOCKET_DIRECTORY;

/// What a line must match.
pub(super) struct Wanted<'a> {
    pub host: &'a str,
    pub port: u16,
    pub dbname: &'a str,
    pub user: &'a str,
}

/// The lines of a password file.
pub(super) struct PasswordFile(String);

impl PasswordFile {
    /// Reads a password file. `Ok(None)` if there is none; `Err` says why one is ignored.
    pub(super) fn read(file: &Path) -> Result<Option<PasswordFile>, String> {
        let name = file.display();
        let Ok(metadata) = std::fs::metadata(file) else {
            return Ok(None);
        };
        if !metadata.is_file() {
            return Err(format!("password file \"{name}\" is not a plain file; it is ignored"));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(format!(
                "password file \"{name}\" has group or world access and is ignored; \
                 permissions should be u=rw (0600) or less"
            ));
        }
        let bytes = std::fs::read(file).map_err(|error| format!("password file \"{name}\" cannot be read: {error}"))?;
        Ok(Some(PasswordFile(String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// The password of the first line that matches.
    pub(super) fn password(&self, wanted: &Wanted<'_>) -> Option<String> {
        let host = match wanted.host {
            "" | DEFAULT_SOCKET_DIRECTORY => "localhost",
            host => host,
        };
        let port = wanted.port.to_string();
        self.0
            .split('\n')
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| {
                let rest = after_match(line, host)?;
                let rest = after_match(rest, &port)?;
                let rest = after_match(rest, wanted.dbname)?;
                after_match(rest, wanted.user)
            })
            .map(unescape)
    }
}

/// What follows a field and its colon, if the field is `*` or the wanted text (`\:` and `\\` escaped).
fn after_match<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut field = line.chars();
    loop {
        match field.next()? {
            ':' => {
                return match wanted.next() {
                    None => Some(field.as_str()),
                    // A bare colon in the file also stands for itself, as in libpq (an IPv6 address).
                    Some(':') => continue,
                    Some(_) => None,
                };
            }
            '\\' => {
                if wanted.next() != Some(field.next()?) {
                    return None;
                }
            }
            character => {
                if wanted.next() != Some(character) {
                    return None;
                }
            }
        }
    }
}

/// The last field: up to an unescaped colon.
fn unescape(field: &str) -> String {
    let mut password = String::new();
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => break,
            '\\' => password.push(characters.next().unwrap_or('\\')),
            character => password.push(character),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(lines: &str, host: &str, dbname: &str, user: &str) -> Option<String> {
        PasswordFile(lines.to_owned()).password(&Wanted {
            host,
            port: 5432,
            dbname,
            user,
        })
    }

    #[test]
    fn the_first_matching_line_counts() {
        let lines = "# n1:5432:app:me:comment\nn1:5433:app:me:wrong port\nn1:5432:*:me:first\n*:*:*:*:second\n";
        assert_eq!(look(lines, "n1", "app", "me").as_deref(), Some("first"));
        assert_eq!(look(lines, "n2", "app", "me").as_deref(), Some("second"));
        assert_eq!(look("n1:5432:app:you:x\n", "n1", "app", "me"), None);
        assert_eq!(look("", "n1", "app", "me"), None);
        assert_eq!(look("n1:5432:app\n", "n1", "app", "me"), None);
    }

    #[test]
    fn a_field_matches_whole_or_not_at_all() {
        for host in ["n", "n11", "N1"] {
            assert_eq!(look("n1:*:*:*:p", host, "app", "me"), None, "{host}");
        }
        assert_eq!(look("*1:*:*:*:p", "n1", "app", "me"), None, "a star stands alone");
        assert_eq!(look("*1:*:*:*:p", "*1", "app", "me").as_deref(), Some("p"));
    }

    #[test]
    fn colons_and_backslashes_are_escaped() {
        assert_eq!(
            look(r"\:\:1:5432:a\\b:m\:e:p\:w\\d:ignored", "::1", r"a\b", "m:e").as_deref(),
            Some(r"p:w\d")
        );
        assert_eq!(look("::1:5432:*:*:p", "::1", "app", "me").as_deref(), Some("p"));
        assert_eq!(
            look("h:*:*:*:a b ' \"\r\n", "h", "app", "me").as_deref(),
            Some("a b ' \"")
        );
        assert_eq!(look(r"h:*:*:*:end\", "h", "app", "me").as_deref(), Some(r"end\"));
    }

    #[test]
    fn the_default_socket_is_localhost_and_others_are_their_directory() {
        assert_eq!(look("localhost:*:*:*:p", "", "app", "me").as_deref(), Some("p"));
        assert_eq!(
            look("localhost:*:*:*:p", DEFAULT_SOCKET_DIRECTORY, "app", "me").as_deref(),
            Some("p")
        );
        assert_eq!(look("localhost:*:*:*:p", "/tmp", "app", "me"), None);
        assert_eq!(look("/tmp:*:*:*:p", "/tmp", "app", "me").as_deref(), Some("p"));
    }
}
