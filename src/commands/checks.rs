//! Which options go with which command.

use super::catalogue::Command;
use super::option_entry::Elsewhere;
use super::option_table::OPTIONS;
use super::options::Options;
use super::source::names_a_host;
use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::operations::clone::Method;

/// What is wrong, and what is odd.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Nothing is done.
    pub errors: Vec<String>,
    /// It is done nevertheless.
    pub warnings: Vec<String>,
}

/// Compares the options with what the command takes; drops the values of those that it must not see.
pub fn check(command: Command, options: &mut Options, config: &Config, source: Option<&Conninfo>) -> Findings {
    let mut findings = Findings::default();
    not_taken(command, options, &mut findings.warnings);
    match command {
        Command::StandbyClone => standby_clone(options, config, source, &mut findings),
        Command::WitnessRegister if !names_a_host(source) => {
            findings
                .errors
                .push("the host of the primary must be given with -h/--host or in -d/--dbname".to_owned());
        }
        Command::NodeRejoin if !options.connection_parameters_given() => {
            findings.errors.push(
                "the running primary must be given with -d/--dbname, -h/--host, -p/--port or -U/--username".to_owned(),
            );
        }
        Command::ClusterEvent if options.all && options.limit.is_some() => {
            options.all = false;
            findings.warnings.push("--all has no effect with --limit".to_owned());
        }
        _ => {}
    }
    deprecated(options, &mut findings.warnings);
    findings
}

fn not_taken(command: Command, options: &mut Options, warnings: &mut Vec<String>) {
    let title = command.title();
    for entry in OPTIONS {
        if options.is_given(entry.long) && !entry.is_taken_by(command) {
            warnings.push(format!("--{} has no effect with {title}", entry.long));
            if let Elsewhere::Cleared(clear) = entry.elsewhere {
                clear(options);
            }
        }
    }
    if options.node_id.is_some() && options.node_name.take().is_some() {
        warnings.push("--node-name has no effect with --node-id".to_owned());
    }
}

fn standby_clone(options: &Options, config: &Config, source: Option<&Conninfo>, findings: &mut Findings) {
    let Findings { errors, warnings } = findings;
    let barman = Method::configured(config, options.without_barman) == Method::Barman;
    let copies_files = options.copy_external_config_files.is_some();
    if !config.config_directory.as_os_str().is_empty() && !copies_files {
        warnings.push(
            "config_directory is set, but without --copy-external-config-files nothing is copied into it".to_owned(),
        );
    }
    if barman {
        if options.fast_checkpoint {
            warnings.push("-c/--fast-checkpoint has no effect when cloning from Barman".to_owned());
        }
        return;
    }
    if !names_a_host(source) {
        errors.push("the host to clone from must be given with -h/--host or in -d/--dbname".to_owned());
    } else if !options.connection_parameters_given() {
        errors.push(
            "a host alone is not enough: -d/--dbname, -h/--host, -p/--port or -U/--username must be given".to_owned(),
        );
    }
    if options.pgdata.is_some() && !config.data_directory.as_os_str().is_empty() {
        warnings.push("-D/--pgdata has no effect: data_directory is set in the configuration file".to_owned());
    }
    if options.replication_user.is_some() && options.upstream_conninfo.is_some() {
        warnings.push("--replication-user has no effect on primary_conninfo with --upstream-conninfo".to_owned());
    }
    if options.no_upstream_connection {
        warnings.push("--no-upstream-connection only has an effect when cloning from Barman".to_owned());
    }
}

fn deprecated(options: &Options, warnings: &mut Vec<String>) {
    if options.is_given("check-upstream-config") {
        warnings.push("--check-upstream-config is deprecated and has no effect; use --dry-run".to_owned());
    }
    if options.is_given("remote-config-file") {
        warnings.push("-C/--remote-config-file is deprecated and has no effect".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::parse::parse;
    use crate::commands::source::connection_parameters;

    fn findings(command: Command, line: &str) -> (Options, Findings) {
        let words: Vec<String> = std::iter::once("repmgr")
            .chain(line.split_whitespace())
            .map(str::to_owned)
            .collect();
        let mut options = parse(&words).unwrap().options;
        let source = connection_parameters(&options, None).unwrap();
        let findings = check(command, &mut options, &Config::default(), source.as_ref());
        (options, findings)
    }

    fn warnings(command: Command, line: &str) -> Vec<String> {
        let (_, findings) = findings(command, line);
        assert_eq!(findings.errors, Vec::<String>::new());
        findings.warnings
    }

    #[test]
    fn node_selection_is_dropped_where_it_would_mislead() {
        let (options, found) = findings(Command::ClusterShow, "--node-id=3 --node-name=x");
        assert_eq!((options.node_id, options.node_name), (None, None));
        assert_eq!(found.warnings.len(), 2);
        let (options, found) = findings(Command::ClusterEvent, "--node-id=3 --node-name=x");
        assert!(options.node_id.is_some() && options.node_name.is_none());
        assert_eq!(found.warnings, ["--node-name has no effect with --node-id"]);
    }

    #[test]
    fn options_are_warned_about_where_they_do_nothing() {
        assert!(warnings(Command::ClusterShow, "--compact --csv -h n1 -F --fast-checkpoint").is_empty());
        assert_eq!(
            warnings(Command::NodeStatus, "--compact"),
            ["--compact has no effect with NODE STATUS"]
        );
        assert_eq!(warnings(Command::StandbyPromote, "-h n1 --dry-run").len(), 1);
        assert_eq!(warnings(Command::ClusterEvent, "--all --limit=3").len(), 1);
        assert_eq!(warnings(Command::ClusterShow, "-C x --check-upstream-config").len(), 2);
        assert!(warnings(Command::ClusterCleanup, "--dry-run").is_empty());
    }

    #[test]
    fn commands_that_need_a_host_say_so() {
        for (command, line) in [
            (Command::StandbyClone, ""),
            (Command::StandbyClone, "-d repmgr"),
            (Command::WitnessRegister, "-d repmgr"),
            (Command::NodeRejoin, ""),
        ] {
            assert_eq!(findings(command, line).1.errors.len(), 1, "{command:?} {line}");
        }
        for (command, line) in [
            (Command::StandbyClone, "-h n1"),
            (Command::StandbyClone, "-d host=n1"),
            (Command::StandbyClone, "-d hostaddr=::1"),
            (Command::WitnessRegister, "-h n1"),
            (Command::NodeRejoin, "-U repmgr"),
        ] {
            assert_eq!(
                findings(command, line).1.errors,
                Vec::<String>::new(),
                "{command:?} {line}"
            );
        }
    }
}
