//! The long names of options that everybody abbreviates, and the second names of nouns: each does what the first does.
//!
//! And the other way round: no verb and no option of the tables is without a test that uses it.

mod support;

use std::path::Path;

use repmgr::commands::catalogue::COMMANDS;
use repmgr::commands::option_table::OPTIONS;
use support::cluster::Cluster;
use support::flavor::Flavor;

#[test]
fn long_names_do_what_the_letters_do() {
    let cluster = Cluster::new("spellings", 2);
    cluster.primary_up("");
    let (first, second) = (cluster.node(1), cluster.node(2));
    let port = first.server.port.to_string();
    let data = second.server.folder.join("elsewhere");
    let bindir = second.server.stage.bindir.display().to_string();
    let config = second.config_file.display().to_string();
    let clone = |more: &[&str]| {
        let mut command = second.server.command(second.programs.join("repmgr"));
        command.args([
            "--config-file",
            &config,
            "--host",
            Flavor::Plain.host(),
            "--port",
            &port,
        ]);
        command.args(["--username=repmgr", "--dbname=repmgr", "standby", "clone"]);
        command.args(["--fast-checkpoint", "--pg_bindir", &bindir]).args(more);
        command.output().expect("repmgr")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let output = clone(&["--dry-run", "--quiet"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "", "errors only, and there are none");
    let output = clone(&["--dry-run", "--remote-user=somebody"]);
    assert!(output.status.success(), "{output:?}");
    let output = clone(&["--quiet", "--username=nobody"]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("ERROR") && !said.contains("NOTICE"), "{said}");

    // Another program of the same name is not taken.
    let output = clone(&["--pg_bindir=/no/such/folder"]);
    assert!(!output.status.success(), "{output:?}");
    assert!(text(&output.stderr).contains("/no/such/folder"), "{output:?}");

    // The data directory of the configuration counts, as with the original; a file that is not there is an error.
    let output = clone(&["--pgdata", data.to_str().expect("a path")]);
    assert!(output.status.success(), "{output:?}");
    let made = [&data, &second.server.data].map(|folder| folder.join("PG_VERSION").exists());
    assert_eq!(made, [false, true], "{output:?}");
    let output = second
        .server
        .command(second.programs.join("repmgr"))
        .args(["--config-file=/no/such/file", "cluster", "show"])
        .output();
    assert_eq!(output.expect("repmgr").status.code(), Some(1));

    // It has meant nothing for years, and is still accepted.
    let output = first.repmgr(&["--remote-config-file=/etc/repmgr.conf", "cluster", "show"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stderr).contains("--remote-config-file"), "{output:?}");
}

#[test]
fn a_master_is_a_primary() {
    let cluster = Cluster::new("master", 2);
    let (first, second) = (cluster.node(1), cluster.node(2));
    first.server.initialise("");
    first.server.start();
    first.create_role();
    first.repmgr_ok(&["master", "register"]);
    assert_eq!(first.record_on(&first.server, "type"), "primary");
    for verb in ["check", "status"] {
        let of = |noun: &str| {
            let output = first.repmgr(&[noun, verb]);
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        };
        assert_eq!(of("master"), of("node"), "{verb}");
        assert_eq!(of("primary"), of("node"), "{verb}");
        assert_eq!(of("standby"), of("node"), "{verb}");
        assert!(of("node").1.contains("node1"), "{verb}");
    }
    cluster.standby_up(2);
    second.repmgr_ok(&["node", "check", "--has-passfile"]);
    second.server.stop("fast");
    first.server.stop("fast");
    second.server.start();
    second.repmgr_ok(&["standby", "promote"]);
    second.repmgr_ok(&["master", "unregister", "--node-id=1", "--force"]);
    assert_eq!(second.server.query("SELECT count(*) FROM repmgr.nodes"), "1");
}

/// The sources of the tests, without those that only go through the tables.
fn sources(folder: &Path) -> String {
    let without = ["surface.rs", "completion.rs", "generated.rs"];
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("the tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !without.iter().any(|name| path.ends_with(name))
        {
            text.push_str(&std::fs::read_to_string(&path).expect("a test"));
        }
    }
    text
}

/// Whether `name` is in the text, and is not the beginning of a longer name.
fn has(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let next = text[at + name.len()..].chars().next();
        !next.is_some_and(|next| next.is_alphanumeric() || next == '-' || next == '_')
    })
}

#[test]
fn no_option_and_no_verb_is_without_a_test() {
    let text = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let options = OPTIONS
        .iter()
        .flat_map(|entry| [Some(entry.long), entry.alias])
        .flatten();
    let options: Vec<&str> = options.filter(|long| !has(&text, &format!("--{long}"))).collect();
    assert!(options.is_empty(), "no test passes these options: {options:?}");
    let verbs: Vec<String> = COMMANDS
        .iter()
        .map(|row| (row.noun, row.verb))
        .filter(|(noun, verb)| {
            !has(&text, &format!("\"{noun}\", \"{verb}\"")) && !has(&text, &format!("{noun} {verb}"))
        })
        .map(|(noun, verb)| format!("{noun} {verb}"))
        .collect();
    assert!(verbs.is_empty(), "no test runs these verbs: {verbs:?}");
    assert!(has("--force --x", "--force") && !has("--forced", "--force"));
}
