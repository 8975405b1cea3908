//! The manual page repmgr.conf(5), made from the table of parameters.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::manual::{UNDOCUMENTED, default, is_number, kind, parameters_of, reload_word, sections};
use super::validate::REQUIRED;

const LINES: &[&str] = &[
    "A line is name = value; the = may be left out. # starts a comment. Names are case-sensitive. A value that is not a \
     plain word or number stands in single quotes; a single quote in it is doubled. If a parameter is repeated, the last \
     one counts; tablespace_mapping and event_notifications add up instead.",
    "include 'FILE', include_if_exists 'FILE' and include_dir 'DIRECTORY' read other files where they stand.",
    "Everything that is wrong with the file is told at once, each with file and line, and nothing is done. repmgr \
     --dump-config shows all values, with passwords hidden.",
    "repmgrd reads the file again on SIGHUP. Of each parameter is said what it does with a new value: \
     takes it (reload: yes, or silent if the log does not say so), refuses the whole file (refused), or does not use it (no).",
];

const EXAMPLE: &[&str] = &[
    "node_id=1",
    "node_name='node1'",
    "conninfo='host=node1 user=repmgr dbname=repmgr connect_timeout=2'",
    "data_directory='/var/lib/postgresql/15/main'",
    "pg_bindir='/usr/lib/postgresql/15/bin'",
    "failover='automatic'",
    "promote_command='repmgr standby promote -f /etc/repmgr.conf --log-to-file'",
    "follow_command='repmgr standby follow -f /etc/repmgr.conf --log-to-file --upstream-node-id=%n'",
    "service_start_command='sudo pg_ctlcluster 15 main start'",
    "service_stop_command='sudo pg_ctlcluster 15 main stop -m fast'",
    "service_restart_command='sudo pg_ctlcluster 15 main restart'",
    "service_reload_command='sudo pg_ctlcluster 15 main reload'",
];

/// The page in the language of man(7).
pub fn manual_page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["REPMGR.CONF", "5", "", "repmgr", "repmgr"]);
    page.control("SH", ["NAME"]);
    page.text([roman("repmgr.conf - configuration of one node for repmgr and repmgrd")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        roman("Read from the file that -f names, or the first of these that exists: "),
        italic("./repmgr.conf"),
        roman(", "),
        italic("/etc/repmgr.conf"),
        roman(", "),
        italic(format!("{}/repmgr.conf", super::load::SYSCONFDIR)),
        roman("."),
    ]);
    for paragraph in LINES {
        page.control("PP", []);
        page.text([roman(*paragraph)]);
    }
    page.control("SH", ["PARAMETERS"]);
    for section in sections().into_iter().filter(|section| *section != UNDOCUMENTED) {
        page.control("SS", [section]);
        for parameter in parameters_of(section) {
            page.control("TP", []);
            page.text(title(parameter.name, &kind(parameter)));
            let mut facts = Vec::new();
            if REQUIRED.contains(&parameter.name) {
                facts.push("required".to_owned());
            }
            facts.extend(default(parameter).map(|value| format!("default: {value}")));
            let lowest = parameter.min.filter(|_| is_number(parameter));
            facts.extend(lowest.map(|min| format!("at least {min}")));
            facts.push(format!("reload: {}", reload_word(parameter.reload).0));
            page.text([roman(format!("{} ({})", parameter.meaning, facts.join("; ")))]);
        }
    }
    page.control("SH", ["EXAMPLES"]);
    page.text([roman("A node with automatic failover on Debian:")]);
    page.control("PP", []);
    page.control("RS", ["4"]);
    page.control("nf", []);
    for line in EXAMPLE {
        page.text([roman(*line)]);
    }
    page.control("fi", []);
    page.control("RE", []);
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("repmgr"),
        roman("(1), "),
        bold("repmgrd"),
        roman("(8), "),
        italic("/usr/share/doc/repmgr-oxide/configuration.md.gz"),
    ]);
    page.render()
}

fn title(name: &str, kind: &str) -> Vec<Inline> {
    vec![bold(name), roman(" ("), italic(kind), roman(")")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("repmgr.conf");
        std::fs::write(&file, EXAMPLE.join("\n")).unwrap();
        let loaded = crate::config::load(file.to_str()).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}
