//! Where a clone comes from.

use crate::config::Config;

/// The ways of cloning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// pg_basebackup takes a backup of the source.
    BaseBackup,
    /// The latest backup that Barman has is copied from its host.
    Barman,
    /// pg-backup-api has Barman recover a backup onto this host.
    BackupApi,
}

impl Method {
    /// What the configuration asks for; `without_barman` is the option of that name.
    pub fn configured(config: &Config, without_barman: bool) -> Method {
        if !config.barman_host.is_empty() && !without_barman {
            Method::Barman
        } else if !config.pg_backupapi_host.is_empty() {
            Method::BackupApi
        } else {
            Method::BaseBackup
        }
    }

    /// Its name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::BaseBackup => "pg_basebackup",
            Method::Barman => "barman",
            Method::BackupApi => "pg_backupapi",
        }
    }

    /// Its name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Method::BaseBackup => "pg_basebackup",
            Method::Barman => "Barman",
            Method::BackupApi => "pg-backup-api",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barman_comes_first_unless_it_is_ruled_out() {
        let mut config = Config::default();
        assert_eq!(Method::configured(&config, false), Method::BaseBackup);
        config.pg_backupapi_host = "api".to_owned();
        assert_eq!(Method::configured(&config, false), Method::BackupApi);
        config.barman_host = "b".to_owned();
        assert_eq!(Method::configured(&config, false), Method::Barman);
        assert_eq!(Method::configured(&config, true), Method::BackupApi);
    }
}
