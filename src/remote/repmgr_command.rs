//! The command line of a repmgr on another host: the one place that builds it.
//!
//! The other side may be the original, so what is asked stands in a closed
//! list ([`Call`]), with the words and the order in which originals ask each
//! other. Every word is quoted for the remote shell.

use std::path::Path;

use super::Host;
use crate::config::Config;
use crate::process::shell_quote;
use crate::types::NodeId;

/// What a repmgr of another host can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call<'a> {
    /// Prints its version ([`super::answers::version`]).
    Version,
    /// Does `data_directory` point to the running server's? (`--configured-data-directory=`)
    DataDirectoryConfig,
    /// Can it connect to its server? (`--db-connection=`)
    DbConnection {
        /// The value of `--superuser`.
        superuser: Option<&'a str>,
    },
    /// Does the configuration file that holds the replication settings belong to the right user?
    /// (`--replication-config-owner=`)
    ReplicationConfigOwner,
    /// Can it make a replication connection to another node? (`--connection=OK|BAD|CONNECTION_ERROR`)
    ReplicationConnection {
        /// The node to connect to.
        remote_node: NodeId,
    },
    /// How many WAL files wait for being archived? (`--status=`, `--files=`, `--threshold=`, `--error=`)
    ArchiveReady,
    /// The command with which it would stop its server, as text for people.
    ListStopAction,
    /// A checkpoint, then its server is stopped.
    Stop {
        /// The value of `--superuser`, for the checkpoint.
        superuser: Option<&'a str>,
    },
    /// Is its server down, and what was its last checkpoint? (`--state=`, `--last-checkpoint-lsn=`)
    IsShutdownCleanly,
    /// `node rejoin`.
    Rejoin(Rejoin<'a>),
    /// `standby follow`.
    Follow,
    /// `witness register --force`.
    WitnessRegister {
        /// The primary's; may hold a password.
        conninfo: &'a str,
    },
    /// Its view of all nodes ([`super::answers::numbers`]: node, status).
    ClusterShow,
    /// Its matrix ([`super::answers::numbers`]: from, to, status).
    ClusterMatrix,
}

/// The options of a remote `node rejoin`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rejoin<'a> {
    /// The new primary's; may hold a password.
    pub conninfo: &'a str,
    /// It is over when the server has been started.
    pub no_wait: bool,
    /// `--force-rewind`, and the path of pg_rewind if one was given.
    pub force_rewind: Option<Option<&'a str>>,
    /// The value of `--config-files`.
    pub config_files: Option<&'a str>,
    /// The value of `--superuser`, for pg_rewind and slots.
    pub superuser: Option<&'a str>,
}

/// A repmgr on other hosts, all of which are expected to have it in the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRepmgr {
    program: String,
    log_level: Option<String>,
}

impl RemoteRepmgr {
    /// The repmgr in `repmgr_bindir`, else in `pg_bindir`, else in PATH there. `log_level` is the user's `-L`.
    pub fn new(config: &Config, log_level: Option<&str>) -> RemoteRepmgr {
        let folder = [&config.repmgr_bindir, &config.pg_bindir]
            .into_iter()
            .find(|folder| !folder.as_os_str().is_empty());
        let program = folder.map_or_else(|| Path::new("repmgr").to_owned(), |folder| folder.join("repmgr"));
        RemoteRepmgr {
            program: program.to_string_lossy().into_owned(),
            log_level: log_level.map(str::to_owned),
        }
    }

    /// The same for `host`: if that is this host, no other program than this very one should run.
    pub fn on(&self, host: &Host) -> RemoteRepmgr {
        let mut here = self.clone();
        if *host == Host::Local {
            here.program = own_program();
        }
        here
    }

    /// The line for the shell of the other host. Each of the arguments arrives there as one word, as it is.
    /// `config_file` is the one in the node's record.
    pub fn command(&self, config_file: &str, arguments: &[&str]) -> String {
        let mut words = vec![self.program.as_str(), "-f", config_file];
        if let Some(level) = &self.log_level {
            words.extend(["-L", level]);
        }
        words.extend(arguments);
        let words: Vec<String> = words.into_iter().map(shell_quote).collect();
        words.join(" ")
    }

    /// The line for the shell of the other host, for one of the things that also the original understands.
    pub fn call(&self, config_file: &str, call: &Call<'_>) -> String {
        let words = self.words(call);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.command(config_file, &words)
    }

    fn words(&self, call: &Call<'_>) -> Vec<String> {
        let words = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let mut result = match call {
            Call::Version => words("--version"),
            Call::DataDirectoryConfig => words("node check --data-directory-config --optformat -LINFO"),
            Call::DbConnection { superuser } => {
                let mut result = words("node check --db-connection");
                result.extend(superuser.map(|name| format!("--superuser={name}")));
                result.extend(words("--optformat -LINFO"));
                result
            }
            Call::ReplicationConfigOwner => words("node check --replication-config-owner --optformat -LINFO"),
            Call::ReplicationConnection { remote_node } => words(&format!(
                "node check --remote-node-id={} --replication-connection",
                remote_node.0
            )),
            Call::ArchiveReady => words("node check --terse -LERROR --archive-ready --optformat"),
            Call::ListStopAction => words("node service --terse -LERROR --list-actions --action=stop"),
            Call::Stop { superuser } => {
                let mut result = words("node service --action=stop --checkpoint");
                result.extend(superuser.map(|name| format!("--superuser={name}")));
                result
            }
            Call::IsShutdownCleanly => words("node status --is-shutdown-cleanly"),
            Call::Rejoin(rejoin) => rejoin.words(),
            Call::Follow => words("standby follow"),
            Call::WitnessRegister { conninfo } => {
                let mut result = words("witness register -d");
                result.push((*conninfo).to_owned());
                result.push("--force".to_owned());
                result
            }
            Call::ClusterShow => words("cluster show --csv --terse"),
            Call::ClusterMatrix => words("cluster matrix --csv --terse"),
        };
        if matches!(call, Call::ClusterShow | Call::ClusterMatrix) && self.log_level.is_none() {
            result.extend(words("-L NOTICE"));
        }
        result
    }
}

impl Rejoin<'_> {
    fn words(&self) -> Vec<String> {
        let mut result = Vec::new();
        if self.no_wait {
            result.push("--no-wait".to_owned());
        }
        match self.force_rewind {
            None => {}
            Some(None) => result.push("--force-rewind".to_owned()),
            Some(Some(path)) => result.push(format!("--force-rewind={path}")),
        }
        result.extend(self.config_files.map(|files| format!("--config-files={files}")));
        result.extend(self.superuser.map(|name| format!("--superuser={name}")));
        result.extend(["-d", self.conninfo, "node", "rejoin"].map(str::to_owned));
        result
    }
}

/// The line that ends with 0 if the file is there.
pub fn file_exists(file: &str) -> String {
    format!("test -f {}", shell_quote(file))
}

fn own_program() -> String {
    let Ok(path) = std::env::current_exe() else {
        return "repmgr".to_owned();
    };
    // The daemon is the same program under another name.
    let path = match path.file_name() {
        Some(name) if name == "repmgrd" => path.with_file_name("repmgr"),
        _ => path,
    };
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(log_level: Option<&str>) -> RemoteRepmgr {
        let config = Config {
            repmgr_bindir: "/usr/bin".into(),
            pg_bindir: "/usr/lib/postgresql/15/bin".into(),
            ..Config::default()
        };
        RemoteRepmgr::new(&config, log_level)
    }

    #[test]
    fn the_program_is_where_this_host_has_it() {
        let program = |repmgr: &str, postgres: &str| {
            let config = Config {
                repmgr_bindir: repmgr.into(),
                pg_bindir: postgres.into(),
                ..Config::default()
            };
            RemoteRepmgr::new(&config, None).program
        };
        assert_eq!(program("", ""), "repmgr");
        assert_eq!(program("", "/pg/bin/"), "/pg/bin/repmgr");
        assert_eq!(program("/opt/repmgr", "/pg/bin"), "/opt/repmgr/repmgr");
        assert_ne!(remote(None).on(&Host::Local), remote(None));
        assert_eq!(remote(None).on(&Host::Remote("a".to_owned())), remote(None));
    }

    #[test]
    fn originals_understand_every_call() {
        let superuser = Some("postgres");
        let remote_node = NodeId(3);
        let conninfo = "host=node2 user=repmgr";
        let rejoin = Rejoin {
            conninfo,
            no_wait: true,
            ..Rejoin::default()
        };
        let rewind = Rejoin {
            force_rewind: Some(None),
            config_files: Some("postgresql.conf,pg_hba.conf"),
            superuser,
            ..rejoin.clone()
        };
        let rewind_with = Rejoin {
            force_rewind: Some(Some("/opt/pg_rewind")),
            ..rejoin.clone()
        };
        for (call, expected) in [
            (Call::Version, "--version"),
            (
                Call::DataDirectoryConfig,
                "node check --data-directory-config --optformat -LINFO",
            ),
            (
                Call::DbConnection { superuser },
                "node check --db-connection --superuser=postgres --optformat -LINFO",
            ),
            (
                Call::DbConnection { superuser: None },
                "node check --db-connection --optformat -LINFO",
            ),
            (
                Call::ReplicationConfigOwner,
                "node check --replication-config-owner --optformat -LINFO",
            ),
            (
                Call::ReplicationConnection { remote_node },
                "node check --remote-node-id=3 --replication-connection",
            ),
            (
                Call::ArchiveReady,
                "node check --terse -LERROR --archive-ready --optformat",
            ),
            (
                Call::ListStopAction,
                "node service --terse -LERROR --list-actions --action=stop",
            ),
            (
                Call::Stop { superuser },
                "node service --action=stop --checkpoint --superuser=postgres",
            ),
            (
                Call::Stop { superuser: None },
                "node service --action=stop --checkpoint",
            ),
            (Call::IsShutdownCleanly, "node status --is-shutdown-cleanly"),
            (
                Call::Rejoin(rejoin),
                "--no-wait -d 'host=node2 user=repmgr' node rejoin",
            ),
            (
                Call::Rejoin(rewind),
                "--no-wait --force-rewind --config-files=postgresql.conf,pg_hba.conf --superuser=postgres \
                 -d 'host=node2 user=repmgr' node rejoin",
            ),
            (
                Call::Rejoin(rewind_with),
                "--no-wait --force-rewind=/opt/pg_rewind -d 'host=node2 user=repmgr' node rejoin",
            ),
            (Call::Follow, "standby follow"),
            (
                Call::WitnessRegister { conninfo },
                "witness register -d 'host=node2 user=repmgr' --force",
            ),
            (Call::ClusterShow, "cluster show --csv --terse -L NOTICE"),
            (Call::ClusterMatrix, "cluster matrix --csv --terse -L NOTICE"),
        ] {
            assert_eq!(
                remote(None).call("/etc/repmgr.conf", &call),
                format!("/usr/bin/repmgr -f /etc/repmgr.conf {expected}")
            );
        }
        assert_eq!(
            remote(Some("DEBUG")).call("/etc/repmgr.conf", &Call::ClusterShow),
            "/usr/bin/repmgr -f /etc/repmgr.conf -L DEBUG cluster show --csv --terse"
        );
    }

    #[tokio::test]
    async fn every_word_arrives_as_it_is() {
        let words = ["it's", "", "a b", "$HOME `id` \"q\" \\", "a;b&c|d>e", "*", "~", "ä\n!"];
        let config = Config {
            repmgr_bindir: "/no such/o'folder".into(),
            ..Config::default()
        };
        let mut repmgr = RemoteRepmgr::new(&config, Some("a b"));
        assert!(repmgr.command("f", &[]).starts_with(r"'/no such/o'\''folder/repmgr'"));
        repmgr.program = "printf".to_owned();
        let line = format!(
            "printf() {{ printf_ \"$@\"; }}; printf_() {{ for w; do /usr/bin/printf '[%s]' \"$w\"; done; }}; {}",
            repmgr.command("my $file", &words)
        );
        let finished = crate::process::shell(&line, "test", std::time::Duration::from_secs(20))
            .await
            .unwrap();
        let expected: String = ["-f", "my $file", "-L", "a b"]
            .iter()
            .chain(&words)
            .map(|word| format!("[{word}]"))
            .collect();
        assert_eq!(finished.stdout, expected);
        let line = file_exists("/etc/it's;false");
        assert_eq!(line, r"test -f '/etc/it'\''s;false'");
    }
}
