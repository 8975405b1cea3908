//! Files of known hosts: whether a host's key is the one that is known
//! (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use openssl::base64::{decode_block, encode_block};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// The port whose number is not part of a known host's name.
const SSH_PORT: u16 = 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    CertAuthority,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    marker: Marker,
    names: String,
    key: Vec<u8>,
    place: String,
}

/// Whether a key is that of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is known.
    Known,
    /// Nothing is known that speaks against it.
    Unknown,
    /// Another key of the same type is known. The file and line.
    Changed(String),
    /// It was revoked. The file and line.
    Revoked(String),
}

/// The entries of all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownHosts(Vec<Entry>);

/// What a host is called in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostName {
    full: String,
    /// Without the port: a key that is known for the host as a whole is good for each of its ports.
    bare: Option<String>,
}

impl HostName {
    pub(super) fn new(host: &str, port: u16, alias: Option<&str>) -> HostName {
        let (full, bare) = match alias {
            Some(alias) => (alias.to_ascii_lowercase(), None),
            None if port == SSH_PORT => (host.to_ascii_lowercase(), None),
            None => {
                let host = host.to_ascii_lowercase();
                (format!("[{host}]:{port}"), Some(host))
            }
        };
        HostName { full, bare }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.full.as_str()).chain(self.bare.as_deref())
    }
}

impl KnownHosts {
    /// Reads all files; one that is not there, or is not readable, knows nobody.
    pub(super) fn read<'p>(files: impl IntoIterator<Item = &'p PathBuf>) -> KnownHosts {
        let mut entries = Vec::new();
        for file in files {
            if let Ok(bytes) = std::fs::read(file) {
                let text = String::from_utf8_lossy(&bytes);
                entries.extend(parse(&text, &file.to_string_lossy()));
            }
        }
        KnownHosts(entries)
    }

    /// About `key`, as it goes over the wire.
    pub(super) fn judge(&self, host: &HostName, key: &[u8]) -> Verdict {
        for name in host.names() {
            let entries = || self.0.iter().filter(|entry| is_named(&entry.names, name));
            let revoked = |entry: &&Entry| entry.marker == Marker::Revoked && entry.key == key;
            if let Some(entry) = entries().find(revoked) {
                return Verdict::Revoked(entry.place.clone());
            }
            let mut same_type =
                entries().filter(|entry| entry.marker == Marker::None && key_type(&entry.key) == key_type(key));
            if same_type.clone().any(|entry| entry.key == key) {
                return Verdict::Known;
            }
            if let Some(entry) = same_type.next().filter(|_| host.full == name) {
                return Verdict::Changed(entry.place.clone());
            }
        }
        Verdict::Unknown
    }

    /// The types of the keys that are known for a host.
    pub(super) fn key_types(&self, host: &HostName) -> Vec<String> {
        let mut types: Vec<String> = Vec::new();
        for name in host.names() {
            for entry in &self.0 {
                let found = String::from_utf8_lossy(key_type(&entry.key)).into_owned();
                if entry.marker == Marker::None && !types.contains(&found) && is_named(&entry.names, name) {
                    types.push(found);
                }
            }
        }
        types
    }

    /// Whether a host may prove who it is with a certificate.
    pub(super) fn has_authority(&self, host: &HostName) -> bool {
        let is_authority = |entry: &Entry| entry.marker == Marker::CertAuthority;
        let is_named = |entry: &Entry| host.names().any(|name| is_named(&entry.names, name));
        self.0.iter().any(|entry| is_authority(entry) && is_named(entry))
    }
}

/// Adds a key. Folder and file are made if they are missing, for their owner alone.
///
/// # Errors
/// The system's.
pub(super) fn add(file: &Path, host: &HostName, key: &[u8], hashed: bool) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    }
    let name = if hashed { hash(&host.full)? } else { host.full.clone() };
    let key_type = String::from_utf8_lossy(key_type(key)).into_owned();
    // One write, so that lines of two processes do not mix.
    let line = format!("{name} {key_type} {}\n", encode_block(key));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(file)?;
    file.write_all(line.as_bytes())
}

fn parse(text: &str, file: &str) -> Vec<Entry> {
    let entry = |(number, line): (usize, &str)| {
        let mut words = line.split_whitespace().peekable();
        let marker = match words.peek()? {
            word if word.starts_with('#') => return None,
            &"@revoked" => Marker::Revoked,
            &"@cert-authority" => Marker::CertAuthority,
            _ => Marker::None,
        };
        if marker != Marker::None {
            words.next();
        }
        let (names, _type, key) = (words.next()?, words.next()?, words.next()?);
        Some(Entry {
            marker,
            names: names.to_owned(),
            key: decode_block(key).ok()?,
            place: format!("{file}:{}", number + 1),
        })
    };
    text.lines().enumerate().filter_map(entry).collect()
}

/// The type stands at the beginning of a key, with its length before it (RFC 4253, 6.6).
fn key_type(key: &[u8]) -> &[u8] {
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
    key.split_first_chunk()
        .and_then(|(head, rest)| rest.get(..length(head)))
        .unwrap_or_default()
}

fn is_named(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        let equal = || {
            let (salt, expected) = hashed.split_once('|')?;
            Some(digest(&decode_block(salt).ok()?, name).ok()? == decode_block(expected).ok()?)
        };
        return equal().unwrap_or(false);
    }
    let mut found = false;
    for pattern in names.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if is_like(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()) {
            if negated {
                return false;
            }
            found = true;
        }
    }
    found
}

/// `*` stands for anything, `?` for one character.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(&character) if character == b'?' || character == name[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                position = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|&character| character == b'*')
}

fn hash(name: &str) -> std::io::Result<String> {
    let mut salt = [0; 20];
    openssl::rand::rand_bytes(&mut salt)?;
    Ok(format!(
        "|1|{}|{}",
        encode_block(&salt),
        encode_block(&digest(&salt, name)?)
    ))
}

fn digest(salt: &[u8], name: &str) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let key = PKey::hmac(salt)?;
    Signer::new(MessageDigest::sha1(), &key)?.sign_oneshot_to_vec(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key_type: &str, content: &str) -> Vec<u8> {
        let mut key = u32::try_from(key_type.len()).unwrap().to_be_bytes().to_vec();
        key.extend(key_type.as_bytes());
        key.extend(content.as_bytes());
        key
    }

    fn line(names: &str, key: &[u8]) -> String {
        format!("{names} type {} comment\n", encode_block(key))
    }

    fn host(name: &str, port: u16) -> HostName {
        HostName::new(name, port, None)
    }

    #[test]
    fn keys_are_known_by_name_address_pattern_and_hash() {
        let own = key("ssh-ed25519", "own");
        let hashed = hash("node4").unwrap();
        let hashed_port = hash("[node4]:23").unwrap();
        let text = format!(
            "# comment\n\nnonsense\n{}{}{}{}{}",
            line("node1,192.0.2.1,2001:db8::1", &own),
            line("[node2]:2222", &own),
            line("*.example.com,!bad.example.com,node?.Net", &own),
            line(&hashed, &own),
            line(&hashed_port, &own)
        );
        let known = KnownHosts(parse(&text, "f"));
        for (name, port) in [
            ("node1", 22),
            ("NODE1", 22),
            ("192.0.2.1", 22),
            ("2001:db8::1", 22),
            ("node1", 4444),
            ("node2", 2222),
            ("a.example.com", 22),
            ("a.b.example.com", 22),
            ("node7.net", 22),
            ("node4", 22),
            ("node4", 23),
        ] {
            assert_eq!(known.judge(&host(name, port), &own), Verdict::Known, "{name} {port}");
        }
        for (name, port) in [
            ("node2", 22),
            ("node2", 2223),
            ("bad.example.com", 22),
            ("example.com", 22),
            ("node77.net", 22),
            ("node5", 22),
        ] {
            assert_eq!(known.judge(&host(name, port), &own), Verdict::Unknown, "{name} {port}");
        }
        let alias = HostName::new("other", 99, Some("Node1"));
        assert_eq!(known.judge(&alias, &own), Verdict::Known);
    }

    #[test]
    fn another_key_of_the_same_type_is_a_change() {
        let (own, other) = (key("ssh-ed25519", "own"), key("ssh-ed25519", "other"));
        let rsa = key("ssh-rsa", "own");
        let text = format!("# one\n{}{}", line("node1", &other), line("node1", &rsa));
        let known = KnownHosts(parse(&text, "f"));
        assert_eq!(
            known.judge(&host("node1", 22), &own),
            Verdict::Changed("f:2".to_owned())
        );
        assert_eq!(known.judge(&host("node1", 22), &rsa), Verdict::Known);
        assert_eq!(
            known.judge(&host("node1", 22), &key("ssh-dss", "own")),
            Verdict::Unknown
        );
        // Another port may be another server.
        assert_eq!(known.judge(&host("node1", 23), &own), Verdict::Unknown);
        assert_eq!(known.key_types(&host("node1", 22)), ["ssh-ed25519", "ssh-rsa"]);
        assert!(known.key_types(&host("node2", 22)).is_empty());
        let both = format!("{text}{}", line("node1", &own));
        assert_eq!(
            KnownHosts(parse(&both, "f")).judge(&host("node1", 22), &own),
            Verdict::Known
        );
    }

    #[test]
    fn markers_count() {
        let own = key("ssh-ed25519", "own");
        let text = format!(
            "{}@revoked {}@cert-authority {}",
            line("node1", &own),
            line("*", &own),
            line("node2", &own)
        );
        let known = KnownHosts(parse(&text, "f"));
        assert_eq!(
            known.judge(&host("node1", 22), &own),
            Verdict::Revoked("f:2".to_owned())
        );
        assert!(known.has_authority(&host("node2", 22)) && known.has_authority(&host("node2", 24)));
        assert!(!known.has_authority(&host("node1", 22)));
    }

    #[test]
    fn a_new_key_is_known_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".ssh/known_hosts");
        let own = key("ssh-ed25519", "own");
        add(&file, &host("node1", 22), &own, false).unwrap();
        add(&file, &host("node2", 2222), &own, true).unwrap();
        let known = KnownHosts::read([&file, &folder.path().join("missing")]);
        assert_eq!(known.judge(&host("node1", 22), &own), Verdict::Known);
        assert_eq!(known.judge(&host("node2", 2222), &own), Verdict::Known);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("node1 ssh-ed25519 ") && !text.contains("node2"),
            "{text}"
        );
        assert!(key_type(&[0, 0, 0, 9, 1]).is_empty());
    }
}
