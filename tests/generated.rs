//! Files that are generated from tables in the program are fresh. `UPDATE_GENERATED=1 cargo test --test generated`
//! writes them.

use std::collections::BTreeSet;
use std::path::Path;

use clap_complete::Shell;

#[path = "conformance/differences.rs"]
mod differences;

fn files() -> Vec<(String, String)> {
    let files = [
        ("repmgr.conf.sample", repmgr::config::sample()),
        ("docs/configuration.md", repmgr::config::chapter()),
        ("docs/differences.md", differences::manual()),
        (
            "docs/options.md",
            repmgr::commands::chapter(&repmgr::daemon::arguments::command()),
        ),
        ("docs/events.md", repmgr::events::manual()),
        ("docs/exit-codes.md", repmgr::exit_code::manual()),
        ("docs/failover.md", repmgr::failover::manual()),
        ("docs/write-right-rules.md", repmgr::write_right::manual()),
        ("completion/repmgr.bash", repmgr::commands::completion(Shell::Bash)),
        ("completion/_repmgr", repmgr::commands::completion(Shell::Zsh)),
        ("completion/repmgr.fish", repmgr::commands::completion(Shell::Fish)),
        ("man/repmgrd.8", repmgr::daemon::manual::manual()),
        ("man/repmgr.conf.5", repmgr::config::manual_page()),
    ];
    let pages = repmgr::commands::manual().into_iter();
    files
        .map(|(name, text)| (name.to_owned(), text))
        .into_iter()
        .chain(pages.map(|(name, text)| (format!("man/{name}"), text)))
        .collect()
}

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (name, text) in files() {
        let path = root.join(&name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "not what the program's tables say: {stale:?}; run: UPDATE_GENERATED=1 cargo test --test generated"
    );
}

fn functions_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions_in(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let tests = text.split("#[test]\n").skip(1);
            names.extend(tests.filter_map(|test| {
                let name = test.split_once("fn ")?.1.split_once('(')?.0;
                Some(name.to_owned())
            }));
        }
    }
}

#[test]
fn each_weakness_that_is_not_only_documented_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    functions_in(&root.join("src"), &mut tests);
    functions_in(&root.join("tests"), &mut tests);
    let mut rows = 0;
    let page = repmgr::failover::manual();
    for row in page.lines().filter(|line| line.starts_with("| W-")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, _, _, here, test, _] = cells[..] else {
            panic!("not four cells: {row}");
        };
        rows += 1;
        let test = test.trim_matches('`');
        assert!(
            tests.contains(test) || (test.is_empty() && here.starts_with("kept")),
            "there is no test {test}: {row}"
        );
    }
    assert_eq!(rows, 57);
}
