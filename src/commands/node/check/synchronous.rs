//! `--synchronous`: with the synchronous mode, the standbys that commits wait for are there.

use super::{Node, Outcome};
use crate::config::SynchronousMode;
use crate::metadata::synchronous::{self, Standing};
use crate::output::CheckStatus;
use crate::write_right::synchronous::Setting;

pub async fn check(node: &Node<'_>) -> Outcome {
    let config = &node.context.config;
    match synchronous::standing(node.connection).await {
        Ok(standing) => verdict(config.synchronous_mode, config.synchronous_node_count, &standing),
        Err(error) => Outcome::unknown("ask for the synchronous standbys", error),
    }
}

fn verdict(mode: SynchronousMode, count: i32, standing: &Standing) -> Outcome {
    if mode == SynchronousMode::Off {
        return Outcome::new(CheckStatus::Ok, "synchronous mode is off");
    }
    if standing.written.is_none() {
        return Outcome::new(CheckStatus::Ok, "node is standby");
    }
    let Some(setting) = Setting::parse(&standing.setting) else {
        let details = "synchronous_standby_names is not what repmgrd sets";
        return Outcome::new(CheckStatus::Critical, details);
    };
    let streams = |name: &&String| {
        let mut walsenders = standing.walsenders.iter();
        walsenders.any(|walsender| walsender.streaming && walsender.name.eq_ignore_ascii_case(name))
    };
    let (there, all) = (setting.names.iter().filter(streams).count(), setting.names.len());
    let waited_for = setting.count;
    let enough = i32::try_from(there).unwrap_or(i32::MAX) >= count;
    let (status, consequence) = match (enough, mode) {
        (true, _) => (CheckStatus::Ok, String::new()),
        (false, SynchronousMode::Strict) => (CheckStatus::Critical, format!("; {count} are needed, and writes wait")),
        (false, _) => (
            CheckStatus::Warning,
            format!("; {count} are wanted, and commits wait for {waited_for}"),
        ),
    };
    Outcome::new(
        status,
        format!("{there} of {all} synchronous standbys are there{consequence}"),
    )
    .performance(format!("synchronous_standbys={there};{count}"))
    .metrics(format!("synchronous_standbys={there}"))
    .measure("synchronous_standbys", setting.names.clone())
    .measure("streaming", there)
    .measure("waited_for", waited_for)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::synchronous::Walsender;
    use crate::types::Lsn;

    #[test]
    fn too_few_standbys_are_told_of_by_what_follows() {
        let standing = |setting: &str, streaming: &[&str]| Standing {
            walsenders: streaming
                .iter()
                .map(|name| Walsender {
                    name: (*name).to_owned(),
                    streaming: true,
                    flushed: None,
                    counts: true,
                })
                .collect(),
            setting: setting.to_owned(),
            written: Some(Lsn(1)),
            strict: false,
            checkpointer_idle: true,
        };
        let (on, strict) = (SynchronousMode::On, SynchronousMode::Strict);
        let both = "ANY 1 (\"a\", \"b\")";
        let lines = [
            verdict(SynchronousMode::Off, 1, &standing("x", &[])),
            verdict(on, 1, &standing(both, &["a", "b"])),
            verdict(on, 2, &standing("ANY 1 (\"a\")", &["a"])),
            verdict(strict, 1, &standing(both, &["c"])),
            verdict(on, 1, &standing("", &[])),
            verdict(on, 1, &standing("*", &["a"])),
        ]
        .map(|outcome| outcome.text_line());
        insta::assert_snapshot!(lines.concat(), @r"
        OK (synchronous mode is off)
        OK (2 of 2 synchronous standbys are there)
        WARNING (1 of 1 synchronous standbys are there; 2 are wanted, and commits wait for 1)
        CRITICAL (0 of 2 synchronous standbys are there; 1 are needed, and writes wait)
        WARNING (0 of 0 synchronous standbys are there; 1 are wanted, and commits wait for 0)
        CRITICAL (synchronous_standby_names is not what repmgrd sets)
        ");
    }
}
