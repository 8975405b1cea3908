//! Files that are generated from tables in the program are fresh. `UPDATE_GENERATED=1 cargo test --test generated`
//! writes them.

use std::path::Path;

use clap_complete::Shell;

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("repmgr.conf.sample", repmgr::config::sample()),
        ("docs/configuration.md", repmgr::config::chapter()),
        ("docs/events.md", repmgr::events::manual()),
        ("docs/exit-codes.md", repmgr::exit_code::manual()),
        ("docs/failover.md", repmgr::failover::manual()),
        ("completion/repmgr.bash", repmgr::commands::completion(Shell::Bash)),
        ("completion/_repmgr", repmgr::commands::completion(Shell::Zsh)),
        ("completion/repmgr.fish", repmgr::commands::completion(Shell::Fish)),
        ("man/repmgr.1", repmgr::commands::manual()),
        ("man/repmgrd.1", repmgr::daemon::manual::manual()),
    ]
}

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let update = std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (name, text) in files() {
        let path = root.join(name);
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
