//! The exit codes of both programs: one table, from which the numbers, the
//! names and the manual's chapter come.

macro_rules! exit_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal;)+) => {
        /// How a program ended. Numbers and names are the original's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ExitCode { $($(#[doc = $doc])+ $variant = $number,)+ }

        impl ExitCode {
            /// All of them, in numeric order.
            pub const ALL: &[ExitCode] = &[$(ExitCode::$variant,)+];
            /// The original's name, such as `ERR_BAD_CONFIG`.
            pub fn name(self) -> &'static str { match self { $(ExitCode::$variant => $name,)+ } }
            /// One sentence for the manual.
            pub fn meaning(self) -> &'static str {
                match self { $(ExitCode::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
            /// The number the process ends with.
            pub fn code(self) -> u8 { self as u8 }
        }
    };
}

exit_codes! {
    /// The work was done.
    Success = 0, "SUCCESS";
    /// Configuration or command line error, unmet precondition, or a record that does not exist.
    BadConfig = 1, "ERR_BAD_CONFIG";
    /// External configuration files could not be copied while cloning.
    BadRsync = 2, "ERR_BAD_RSYNC";
    /// The daemon's PID file is unreadable or names a live process.
    BadPidFile = 3, "ERR_BAD_PIDFILE";
    /// The server could not be started or restarted.
    NoRestart = 4, "ERR_NO_RESTART";
    /// A service command failed.
    LocalCommand = 5, "ERR_LOCAL_COMMAND";
    /// A database connection failed or was lost.
    DbConn = 6, "ERR_DB_CONN";
    /// A metadata query or update failed.
    DbQuery = 7, "ERR_DB_QUERY";
    /// The promotion was refused or failed.
    PromotionFail = 8, "ERR_PROMOTION_FAIL";
    /// The daemon was degraded for longer than `degraded_monitoring_timeout`.
    MonitoringTimeout = 9, "ERR_MONITORING_TIMEOUT";
    /// A value is too long (kept for compatibility).
    StrOverflow = 10, "ERR_STR_OVERFLOW";
    /// Failover failed (kept for compatibility).
    FailoverFail = 11, "ERR_FAILOVER_FAIL";
    /// A host gave no answer over SSH.
    BadSsh = 12, "ERR_BAD_SSH";
    /// The daemon could not put itself into the background.
    SysFailure = 13, "ERR_SYS_FAILURE";
    /// The base backup or its verification failed.
    BadBasebackup = 14, "ERR_BAD_BASEBACKUP";
    /// Output of another program could not be understood.
    Internal = 15, "ERR_INTERNAL";
    /// Monitoring failed (kept for compatibility).
    MonitoringFail = 16, "ERR_MONITORING_FAIL";
    /// Bad backup label (kept for compatibility).
    BadBackupLabel = 17, "ERR_BAD_BACKUP_LABEL";
    /// The switchover was not performed, or the primary may be stopped.
    SwitchoverFail = 18, "ERR_SWITCHOVER_FAIL";
    /// Barman failed.
    Barman = 19, "ERR_BARMAN";
    /// The node record did not reach the standby in time.
    RegistrationSync = 20, "ERR_REGISTRATION_SYNC";
    /// Out of memory (kept for compatibility).
    OutOfMemory = 21, "ERR_OUT_OF_MEMORY";
    /// The new primary runs, but the old one is not attached to it.
    SwitchoverIncomplete = 22, "ERR_SWITCHOVER_INCOMPLETE";
    /// The standby could not follow its new upstream.
    FollowFail = 23, "ERR_FOLLOW_FAIL";
    /// The node could not rejoin the cluster.
    RejoinFail = 24, "ERR_REJOIN_FAIL";
    /// A status or check command found problems.
    NodeStatus = 25, "ERR_NODE_STATUS";
    /// Not every daemon could be paused or unpaused.
    RepmgrdPause = 26, "ERR_REPMGRD_PAUSE";
    /// The daemon could not be started or stopped.
    RepmgrdService = 27, "ERR_REPMGRD_SERVICE";
    /// pg-backup-api failed.
    PgBackupApiService = 28, "ERR_PGBACKUPAPI_SERVICE";
}

/// The manual's chapter, `docs/exit-codes.md`.
pub fn manual() -> String {
    let mut text = String::from(
        "# Exit codes\n\n\
         <!-- Generated from src/exit_code.rs; UPDATE_GENERATED=1 cargo test --test generated -->\n\n\
         `repmgr` and `repmgrd` end with one of these. `repmgr node check` with a single check\n\
         ends as a Nagios plugin does instead: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.\n\n\
         | Code | Name | Meaning |\n|---|---|---|\n",
    );
    for code in ExitCode::ALL {
        text.push_str(&format!(
            "| {} | `{}` | {} |\n",
            code.code(),
            code.name(),
            code.meaning()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::ExitCode;

    #[test]
    fn numbers_are_consecutive_from_zero() {
        for (expected, code) in ExitCode::ALL.iter().enumerate() {
            assert_eq!(usize::from(code.code()), expected, "{}", code.name());
        }
        assert_eq!(ExitCode::ALL.len(), 29);
    }
}
