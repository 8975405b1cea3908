//! A connection string with its gaps filled, as libpq does before it connects
//! (PostgreSQL: "Environment Variables", "Specifying Multiple Hosts", "The Password File").

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::passfile::{PasswordFile, Wanted};
use super::{Conninfo, ConninfoError, Environment, KEYWORDS, service};

/// Where Debian's libpq looks for sockets if there is no host.
pub(super) const DEFAULT_SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// A connection string after environment, service file, password file and defaults.
#[derive(Clone)]
pub struct Resolved {
    parameters: Conninfo,
    /// Where to connect, in the order of the string.
    pub hosts: Vec<Host>,
    /// What a person should know, such as a password file that everybody can read.
    pub warnings: Vec<String>,
    /// The directory of the default TLS files: `~/.postgresql`.
    pub tls_directory: Option<PathBuf>,
}

/// One server to try.
#[derive(Clone, PartialEq, Eq)]
pub struct Host {
    /// The value of `host`; empty if only `hostaddr` was given.
    pub name: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its port; for a socket the number in the socket's name.
    pub port: u16,
    /// The password for it.
    pub password: Option<String>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A numeric address (`hostaddr`), perhaps with a `%scope`.
    Address(String),
    /// A name to look up, which can also be a numeric address.
    Name(String),
    /// The directory of a Unix socket; one that starts with `@` is in the abstract namespace.
    SocketDirectory(String),
}

impl Host {
    /// How messages name it, as libpq does: `server at "n1", port 5432`.
    pub fn title(&self) -> String {
        match &self.endpoint {
            Endpoint::Address(address) if self.name.is_empty() => {
                format!("server at \"{address}\", port {}", self.port)
            }
            Endpoint::Address(address) if *address != self.name => {
                format!("server at \"{}\" ({address}), port {}", self.name, self.port)
            }
            Endpoint::Address(_) | Endpoint::Name(_) => format!("server at \"{}\", port {}", self.name, self.port),
            Endpoint::SocketDirectory(directory) => {
                format!("server on socket \"{directory}/.s.PGSQL.{}\"", self.port)
            }
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Host({})", self.title())
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Resolved")
            .field("parameters", &self.parameters)
            .field("hosts", &self.hosts)
            .finish()
    }
}

impl Conninfo {
    /// Fills the gaps: service file, environment, defaults, password file. Reads those files.
    pub fn resolve(&self, environment: &Environment) -> Result<Resolved, ConninfoError> {
        let parameters = self.with_defaults(environment)?;
        let mut hosts = hosts(&parameters)?;
        let mut warnings = Vec::new();
        match parameters.get("password") {
            Some(password) => hosts
                .iter_mut()
                .for_each(|host| host.password = Some(password.to_owned())),
            None => {
                let file = parameters.get("passfile").map(PathBuf::from);
                let file = file.or_else(|| environment.home.as_ref().map(|home| home.join(".pgpass")));
                if let Some(file) = file {
                    from_password_file(&file, &parameters, &mut hosts, &mut warnings);
                }
            }
        }
        Ok(Resolved {
            parameters,
            hosts,
            warnings,
            tls_directory: environment.home.as_ref().map(|home| home.join(".postgresql")),
        })
    }

    fn with_defaults(&self, environment: &Environment) -> Result<Conninfo, ConninfoError> {
        let mut filled = self.clone();
        let service = self.get_given("service").or_else(|| environment.variable("PGSERVICE"));
        if let Some(service) = service.filter(|service| !service.is_empty()) {
            for (keyword, value) in service::look_up(service, environment)?.parameters {
                if filled.get_given(&keyword).is_none() {
                    filled.set(&keyword, &value);
                }
            }
        }
        let mut sslmode_is_default = false;
        for keyword in KEYWORDS.iter().filter(|keyword| self.get_given(keyword.name).is_none()) {
            if filled.get_given(keyword.name).is_some() {
                continue;
            }
            let from_variable = keyword.variable.and_then(|name| environment.variable(name));
            let value = match from_variable {
                Some(value) => Some(value),
                None if keyword.name == "sslmode" => {
                    if environment
                        .variable("PGREQUIRESSL")
                        .is_some_and(|value| value.starts_with('1'))
                    {
                        Some("require")
                    } else {
                        sslmode_is_default = true;
                        keyword.default
                    }
                }
                None => keyword.default,
            };
            if let Some(value) = value {
                filled.set(keyword.name, value);
            }
        }
        // The system's roots vouch for everybody: the name must count.
        if sslmode_is_default && filled.get("sslrootcert") == Some("system") {
            filled.set("sslmode", "verify-full");
        }
        if filled.get("user").is_none() {
            let user = environment.user.as_deref().ok_or_else(|| {
                ConninfoError("no \"user\" is given, and the system does not know the name of this user".to_owned())
            })?;
            filled.set("user", user);
        }
        if filled.get("dbname").is_none() {
            let user = filled.get("user").unwrap_or_default().to_owned();
            filled.set("dbname", &user);
        }
        Ok(filled)
    }
}

impl Resolved {
    /// The value of a keyword, if it is not empty.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.parameters.get(keyword)
    }

    /// All parameters. The password is here only if it was given as one.
    pub fn parameters(&self) -> &Conninfo {
        &self.parameters
    }
}

fn hosts(parameters: &Conninfo) -> Result<Vec<Host>, ConninfoError> {
    let list = |keyword| -> Vec<&str> {
        let value = parameters.get(keyword);
        value
            .map(|value| value.split(',').map(str::trim).collect())
            .unwrap_or_default()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(ConninfoError(format!(
            "could not match {} host names to {} hostaddr values",
            names.len(),
            addresses.len()
        )));
    }
    let count = names.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(ConninfoError(format!(
            "could not match {} port numbers to {count} hosts",
            ports.len()
        )));
    }
    (0..count)
        .map(|index| {
            let at = |list: &[&str]| list.get(index).copied().unwrap_or_default().to_owned();
            let (name, address) = (at(&names), at(&addresses));
            let port = if ports.len() == 1 {
                ports[0].to_owned()
            } else {
                at(&ports)
            };
            let endpoint = endpoint(&name, &address)?;
            Ok(Host {
                name,
                endpoint,
                port: parse_port(&port)?,
                password: None,
            })
        })
        .collect()
}

fn endpoint(name: &str, address: &str) -> Result<Endpoint, ConninfoError> {
    if !address.is_empty() {
        let numeric = address.split('%').next().unwrap_or_default();
        return match numeric.parse::<IpAddr>() {
            Ok(_) => Ok(Endpoint::Address(address.to_owned())),
            Err(_) => Err(ConninfoError(format!("could not parse network address \"{address}\""))),
        };
    }
    Ok(match name {
        "" => Endpoint::SocketDirectory(DEFAULT_SOCKET_DIRECTORY.to_owned()),
        path if path.starts_with(['/', '@']) => Endpoint::SocketDirectory(path.to_owned()),
        name => Endpoint::Name(name.to_owned()),
    })
}

fn parse_port(text: &str) -> Result<u16, ConninfoError> {
    if text.is_empty() {
        return Ok(5432);
    }
    text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| {
        // What is not even a number could be a part of a password, from a URI that lacks its "%2F".
        let shown = if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            format!("\"{text}\"")
        } else {
            "it is not a number".to_owned()
        };
        ConninfoError(format!("invalid port number: {shown} (1 to 65535)"))
    })
}

fn from_password_file(file: &Path, parameters: &Conninfo, hosts: &mut [Host], warnings: &mut Vec<String>) {
    let lines = match PasswordFile::read(file) {
        Ok(Some(lines)) => lines,
        Ok(None) => return,
        Err(warning) => return warnings.push(warning),
    };
    for host in hosts {
        let name = match &host.endpoint {
            Endpoint::Address(address) if host.name.is_empty() => address.as_str(),
            _ => host.name.as_str(),
        };
        host.password = lines.password(&Wanted {
            host: name,
            port: host.port,
            dbname: parameters.get("dbname").unwrap_or_default(),
            user: parameters.get("user").unwrap_or_default(),
        });
    }
}
