//! What the generated completion offers, asked of the shells themselves.

use std::path::Path;
use std::process::Command;

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("completion").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The words that bash offers for the last of these.
fn offered_by_bash(words: &[&str]) -> Vec<String> {
    let line = format!(
        "source '{}'\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_repmgr repmgr \"${{COMP_WORDS[COMP_CWORD]}}\" \
         \"${{COMP_WORDS[COMP_CWORD-1]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script("repmgr.bash"),
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        words.len() - 1
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &line])
        .output()
        .expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let offered = String::from_utf8_lossy(&output.stdout);
    offered.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_offers_nouns_verbs_and_their_options() {
    assert_eq!(offered_by_bash(&["repmgr", "sta"]), ["standby"]);
    assert_eq!(
        offered_by_bash(&["repmgr", "-f", "/etc/repmgr.conf", "standby", "cl"]),
        ["clone"]
    );
    assert_eq!(offered_by_bash(&["repmgr", "-h", "n1", "--usern"]), ["--username"]);
    assert_eq!(
        offered_by_bash(&["repmgr", "node", "check", "--replication-l"]),
        ["--replication-lag"]
    );
    assert_eq!(offered_by_bash(&["repmgr", "cluster", "matrix", "--dry"]), [""; 0]);
    assert_eq!(offered_by_bash(&["repmgr", "service", "pause", "--dry"]), ["--dry-run"]);
    assert_eq!(offered_by_bash(&["repmgr", "--format", "js"]), ["json"]);
    let events = offered_by_bash(&["repmgr", "cluster", "event", "--event", "witness_"]);
    assert_eq!(events, ["witness_register", "witness_unregister"]);
    // What other nodes ask is not for people.
    assert_eq!(offered_by_bash(&["repmgr", "node", "status", "--is-sh"]), [""; 0]);
    assert_eq!(offered_by_bash(&["repmgr", "node", "con"]), [""; 0]);
}

#[test]
fn the_other_shells_can_read_their_scripts() {
    for (shell, name) in [("bash", "repmgr.bash"), ("zsh", "_repmgr"), ("fish", "repmgr.fish")] {
        match Command::new(shell).arg("-n").arg(script(name)).output() {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => eprintln!("{shell} cannot be asked: {error}"),
        }
    }
}
