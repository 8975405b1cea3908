//! Which way leads to a host: libssh2, if it can do everything that ssh's
//! configuration asks for, otherwise the system's ssh. Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::effective::Effective;

/// The way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// libssh2, and what it has to know.
    Library(Box<Settings>),
    /// The system's ssh.
    System {
        /// Why.
        reason: String,
        /// Sharing connections is configured already.
        shares: bool,
    },
}

/// What to do about a host key that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKeys {
    /// Only known ones (`yes`, and `ask`, as nobody can be asked).
    Known,
    /// A new one is accepted and remembered.
    AcceptNew,
    /// Any is accepted; a new one is remembered.
    Any,
}

/// Where keys may come from besides files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdentityAgent {
    /// From the agent of the environment, if there is one.
    Environment,
    /// From the agent at this socket.
    Socket(PathBuf),
    /// From nowhere else.
    None,
}

/// Which addresses of a name count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressFamily {
    /// All.
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// What the library has to know for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Name or address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// What the host is called in the files of known hosts, instead of its own name and port.
    pub(super) host_key_alias: Option<String>,
    pub(super) address_family: AddressFamily,
    /// For connection and handshake together.
    pub(super) connect_timeout: Option<Duration>,
    /// For the connection alone, if the command is in more of a hurry than ssh.
    pub(super) reach_timeout: Option<Duration>,
    pub(super) identity_files: Vec<PathBuf>,
    /// Only the keys in `identity_files`, even if the agent has more.
    pub(super) identities_only: bool,
    pub(super) identity_agent: IdentityAgent,
    pub(super) host_keys: HostKeys,
    /// New ones go into the first.
    pub(super) user_known_hosts: Vec<PathBuf>,
    pub(super) global_known_hosts: Vec<PathBuf>,
    /// Names of new ones are hashed.
    pub(super) hash_known_hosts: bool,
    /// How long a host may say nothing while a command runs, before it is asked for a sign of life.
    pub(super) alive_interval: Duration,
}

/// If the configuration has no shorter one.
const ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Keywords that are in [`Settings`], or that [`refused`] looks at.
const UNDERSTOOD: &[&str] = &[
    "addressfamily",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "host",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "loglevel",
    "port",
    "requesttty",
    "sendenv",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

/// Keywords that change nothing about a command without terminal and forwarding that is authenticated by a key:
/// `ssh -G` has applied them already, they are about what is said or forwarded, or about other ways to
/// authenticate, which are tried when keys fail.
const WITHOUT_EFFECT: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizehostname",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "challengeresponseauthentication",
    "clearallforwardings",
    "compression",
    "controlpersist",
    "enableescapecommandline",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "ipqos",
    "kbdinteractiveauthentication",
    "logverbose",
    "numberofpasswordprompts",
    "passwordauthentication",
    "rekeylimit",
    "serveralivecountmax",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunneldevice",
    "updatehostkeys",
    "visualhostkey",
    "xauthlocation",
];

/// Decides, from what ssh would do for this destination and what it does if nobody asks for anything. `home` and
/// `local_user` are those of the running user.
pub(super) fn choose(asked: &Effective, plain: &Effective, home: &Path, local_user: &str) -> Choice {
    let beyond = |keyword: &&&str| !UNDERSTOOD.contains(keyword) && !WITHOUT_EFFECT.contains(keyword);
    let differing = asked.differing(plain);
    let shares = differing.contains(&"controlmaster") || differing.contains(&"controlpath");
    let system = |reason: String| Choice::System { reason, shares };
    let beyond: Vec<&str> = differing.iter().filter(beyond).copied().collect();
    if !beyond.is_empty() {
        return system(format!("libssh2 cannot do what is configured: {}", beyond.join(", ")));
    }
    if let Some(reason) = refused(asked) {
        return system(reason);
    }
    match settings(asked, home, local_user) {
        Ok(settings) => Choice::Library(Box::new(settings)),
        Err(keyword) => system(format!("libssh2 cannot do what is configured: {keyword}")),
    }
}

/// Values that need the system's ssh, of keywords that do not in general.
fn refused(asked: &Effective) -> Option<String> {
    let is = |keyword: &str, values: &[&str]| {
        let value = asked.first(keyword)?;
        values
            .iter()
            .any(|other| other.eq_ignore_ascii_case(value))
            .then(|| format!("configured: {keyword} {value}"))
    };
    let locale = |pattern: &String| pattern.starts_with("LC_") || pattern == "LANG" || pattern == "COLORTERM";
    let environment = asked.all("sendenv").iter().find(|pattern| !locale(pattern));
    is("loglevel", &["VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"])
        .or_else(|| is("requesttty", &["yes", "true", "force"]))
        .or_else(|| is("gssapikeyexchange", &["yes"]))
        .or_else(|| environment.map(|pattern| format!("configured: sendenv {pattern}")))
}

/// The settings, or the keyword whose value cannot be understood.
fn settings(asked: &Effective, home: &Path, local_user: &str) -> Result<Settings, &'static str> {
    let host = asked.first("hostname").ok_or("hostname")?.to_ascii_lowercase();
    let user = asked.first("user").ok_or("user")?;
    let port: u16 = asked.first("port").unwrap_or("22").parse().map_err(|_| "port")?;
    let alias = asked.first("hostkeyalias").map(str::to_ascii_lowercase);
    let expansion = Expansion {
        home,
        local_user,
        host: &host,
        name: asked.first("host").unwrap_or(&host),
        key_name: alias.as_deref().unwrap_or(&host),
        port,
        user,
    };
    let files = |keyword: &'static str| expansion.list(asked.first(keyword).unwrap_or("")).ok_or(keyword);
    Ok(Settings {
        address_family: match asked.first("addressfamily") {
            None | Some("any") => AddressFamily::Any,
            Some("inet") => AddressFamily::Inet,
            Some("inet6") => AddressFamily::Inet6,
            Some(_) => return Err("addressfamily"),
        },
        connect_timeout: match asked.first("connecttimeout") {
            None => None,
            Some(seconds) => Some(Duration::from_secs(seconds.parse().map_err(|_| "connecttimeout")?)),
        },
        reach_timeout: None,
        identity_files: asked
            .all("identityfile")
            .iter()
            .map(|file| expansion.path(file).ok_or("identityfile"))
            .collect::<Result<_, _>>()?,
        identities_only: is_yes(asked, "identitiesonly"),
        identity_agent: match asked.first("identityagent") {
            None | Some("SSH_AUTH_SOCK") => IdentityAgent::Environment,
            Some("none") => IdentityAgent::None,
            Some(socket) => IdentityAgent::Socket(expansion.path(socket).ok_or("identityagent")?),
        },
        host_keys: match asked.first("stricthostkeychecking") {
            None | Some("yes" | "ask" | "true") => HostKeys::Known,
            Some("accept-new") => HostKeys::AcceptNew,
            Some("no" | "off" | "false") => HostKeys::Any,
            Some(_) => return Err("stricthostkeychecking"),
        },
        user_known_hosts: files("userknownhostsfile")?,
        global_known_hosts: files("globalknownhostsfile")?,
        hash_known_hosts: is_yes(asked, "hashknownhosts"),
        alive_interval: match asked.first("serveraliveinterval").map(str::parse) {
            Some(Ok(seconds @ 1..)) => ALIVE_INTERVAL.min(Duration::from_secs(seconds)),
            _ => ALIVE_INTERVAL,
        },
        host_key_alias: alias,
        user: user.to_owned(),
        port,
        host: host.clone(),
    })
}

fn is_yes(asked: &Effective, keyword: &str) -> bool {
    matches!(asked.first(keyword), Some("yes" | "true"))
}

/// The values of the tokens in paths (ssh_config(5), TOKENS).
struct Expansion<'a> {
    home: &'a Path,
    local_user: &'a str,
    host: &'a str,
    name: &'a str,
    key_name: &'a str,
    port: u16,
    user: &'a str,
}

impl Expansion<'_> {
    /// `None` if the path has something that only ssh knows.
    fn path(&self, text: &str) -> Option<PathBuf> {
        if text.contains("${") || text.starts_with('$') {
            return None;
        }
        let mut expanded = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                expanded.push(character);
                continue;
            }
            match characters.next()? {
                '%' => expanded.push('%'),
                'd' => expanded.push_str(self.home.to_str()?),
                'h' => expanded.push_str(self.host),
                'k' => expanded.push_str(self.key_name),
                'n' => expanded.push_str(self.name),
                'p' => expanded.push_str(&self.port.to_string()),
                'r' => expanded.push_str(self.user),
                'u' => expanded.push_str(self.local_user),
                _ => return None,
            }
        }
        match expanded.strip_prefix('~') {
            None => Some(expanded.into()),
            Some("") => Some(self.home.to_owned()),
            Some(rest) => Some(self.home.join(rest.strip_prefix('/')?)),
        }
    }

    /// Paths between blanks. `None`, too, if a blank may belong to a path, which `ssh -G` does not show.
    fn list(&self, text: &str) -> Option<Vec<PathBuf>> {
        let paths = text
            .split_whitespace()
            .map(|path| self.path(path).filter(|path| path.is_absolute()));
        paths.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "host localhost\nhostname localhost\nuser root\nport 22\naddressfamily any\n\
        stricthostkeychecking ask\nhashknownhosts no\nidentitiesonly no\nrequesttty auto\nloglevel INFO\n\
        gssapiauthentication no\nconnecttimeout none\nciphers a,b\n\
        identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n\
        globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n\
        userknownhostsfile /h/.ssh/known_hosts /h/.ssh/known_hosts2\n";

    /// `changes` replaces lines of what is plain.
    fn chosen(changes: &str) -> Choice {
        let replaced: Vec<&str> = changes.lines().filter_map(|line| line.split(' ').next()).collect();
        let kept = PLAIN
            .lines()
            .filter(|line| !replaced.contains(&line.split(' ').next().unwrap()));
        let text: Vec<&str> = kept.chain(changes.lines()).collect();
        let asked = Effective::parse(&text.join("\n"));
        choose(&asked, &Effective::parse(PLAIN), Path::new("/h"), "me")
    }

    fn library(changes: &str) -> Settings {
        match chosen(changes) {
            Choice::Library(settings) => *settings,
            Choice::System { reason, .. } => panic!("{changes:?}: {reason}"),
        }
    }

    #[test]
    fn libssh2_serves_what_is_usual() {
        let settings = library(
            "host Alias\nhostname Node3\nuser postgres\nport 2222\nhostkeyalias N\nconnecttimeout 7\n\
             addressfamily inet6\nidentityfile ~/keys/%n/%h_%r@%p%%\nidentityfile %d/my key\nidentitiesonly yes\n\
             identityagent /run/agent\nstricthostkeychecking accept-new\nhashknownhosts yes\nloglevel QUIET\n\
             userknownhostsfile ~/known /dev/null\ngssapiauthentication yes\nsendenv LANG\nsendenv LC_*\n\
             serveraliveinterval 4",
        );
        let expected = Settings {
            host: "node3".to_owned(),
            port: 2222,
            user: "postgres".to_owned(),
            host_key_alias: Some("n".to_owned()),
            address_family: AddressFamily::Inet6,
            connect_timeout: Some(Duration::from_secs(7)),
            reach_timeout: None,
            identity_files: vec!["/h/keys/Alias/node3_postgres@2222%".into(), "/h/my key".into()],
            identities_only: true,
            identity_agent: IdentityAgent::Socket("/run/agent".into()),
            host_keys: HostKeys::AcceptNew,
            user_known_hosts: vec!["/h/known".into(), "/dev/null".into()],
            global_known_hosts: vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
            hash_known_hosts: true,
            alive_interval: Duration::from_secs(4),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn nobody_can_be_asked_about_a_host_key() {
        for (value, expected) in [
            ("ask", HostKeys::Known),
            ("yes", HostKeys::Known),
            ("true", HostKeys::Known),
            ("accept-new", HostKeys::AcceptNew),
            ("no", HostKeys::Any),
            ("off", HostKeys::Any),
        ] {
            assert_eq!(library(&format!("stricthostkeychecking {value}")).host_keys, expected);
        }
    }

    #[test]
    fn the_systems_ssh_takes_over_beyond_that() {
        for change in [
            "proxyjump bastion",
            "proxycommand nc %h %p",
            "certificatefile ~/.ssh/id-cert.pub",
            "controlmaster auto",
            "controlpath ~/.ssh/c",
            "ciphers a",
            "localforward 1 2",
            "forwardagent yes",
            "remotecommand x",
            "somethingnew yes",
            "knownhostscommand /x",
            "pubkeyauthentication false",
            "gssapikeyexchange yes",
            "setenv A=1",
            "sendenv SECRET",
            "loglevel DEBUG2",
            "requesttty force",
            "identityfile ~other/key",
            "identityfile %l",
            "identityfile ${HOME}/key",
            "identityagent $OTHER",
            "userknownhostsfile /my hosts",
            "stricthostkeychecking perhaps",
            "addressfamily inet5",
            "connecttimeout soon",
        ] {
            let Choice::System { reason, shares } = chosen(change) else {
                panic!("{change}");
            };
            assert_eq!(shares, change.starts_with("control"), "{change}");
            assert!(reason.contains(change.split(' ').next().unwrap()), "{reason}");
        }
        assert!(matches!(
            chosen("proxycommand none\nproxyjump none"),
            Choice::Library(_)
        ));
    }
}
