//! What surrounds a connection string: variables, home directory, system user.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::{User, geteuid};

/// Where connection parameters come from that are not in the connection string.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// The home directory, for `~/.pgpass` and `~/.postgresql`.
    pub home: Option<PathBuf>,
    /// The operating system's name of the user.
    pub user: Option<String>,
}

impl Environment {
    /// The environment of this process. `HOME` comes before the system's user database, as in libpq.
    pub fn of_process() -> Environment {
        // Asked once: the user database may be far away.
        static ACCOUNT: OnceLock<Option<User>> = OnceLock::new();
        let account = ACCOUNT.get_or_init(|| User::from_uid(geteuid()).ok().flatten());
        let variables: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("PG"))
            .collect();
        Environment {
            variables,
            home: std::env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from)
                .or_else(|| account.as_ref().map(|account| account.dir.clone())),
            user: account.as_ref().map(|account| account.name.clone()),
        }
    }

    /// An environment with nothing but these variables.
    pub fn of_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
        Environment {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..Environment::default()
        }
    }

    /// The same environment with a home directory.
    #[must_use]
    pub fn with_home(mut self, home: &Path) -> Environment {
        self.home = Some(home.to_owned());
        self
    }

    /// The same environment with a system user.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Environment {
        self.user = Some(user.to_owned());
        self
    }

    /// A variable, also an empty one.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: PGPASSWORD is among them.
        formatter
            .debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish()
    }
}
