//! `--archive-ready`: how many WAL files wait to be archived.

use super::{Node, Outcome};
use crate::instance::archive_status;
use crate::output::CheckStatus;

pub fn check(node: &Node<'_>) -> Outcome {
    let config = &node.context.config;
    let files = archive_status::ready_files(&config.data_directory);
    if let Err(error) = &files {
        crate::warning!(
            "unable to read pg_wal/archive_status in \"{}\"",
            config.data_directory.display()
        );
        crate::detail!("{error}");
    }
    verdict(
        files.ok(),
        usize::try_from(config.archive_ready_warning).unwrap_or_default(),
        usize::try_from(config.archive_ready_critical).unwrap_or_default(),
    )
}

fn verdict(files: Option<usize>, warning: usize, critical: usize) -> Outcome {
    let outcome = match files {
        None => Outcome::new(CheckStatus::Unknown, "unable to check archive_status directory")
            .optformat("--status=UNKNOWN "),
        Some(files) => {
            let (status, threshold, tail) = if files > critical {
                (
                    CheckStatus::Critical,
                    Some(critical),
                    format!(", critical threshold: {critical}"),
                )
            } else if files > warning {
                (CheckStatus::Warning, Some(warning), format!(" (threshold: {warning})"))
            } else {
                (CheckStatus::Ok, None, String::new())
            };
            let threshold = threshold.map_or_else(String::new, |threshold| format!(" --threshold={threshold}"));
            let text = format!("{files} pending archive ready files");
            Outcome::new(status, format!("{text}{tail}"))
                .nagios(text)
                .performance(format!("files={files};{warning};{critical}"))
                .metrics(format!("files={files};{warning};{critical}"))
                .optformat(format!("--status={} --files={files}{threshold}", status.as_str()))
        }
    };
    outcome
        .measure("files", files)
        .measure("warning", warning)
        .measure("critical", critical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(files: Option<usize>) -> String {
        let outcome = verdict(files, 2, 4);
        format!(
            "{}{}{}",
            outcome.text_line(),
            outcome.nagios_line("REPMGR_ARCHIVE_READY"),
            outcome.optformat_line()
        )
    }

    #[test]
    fn thresholds_must_be_exceeded() {
        insta::assert_snapshot!(lines(Some(2)), @r"
        OK (2 pending archive ready files)
        REPMGR_ARCHIVE_READY OK: 2 pending archive ready files | files=2;2;4
        --status=OK --files=2
        ");
        insta::assert_snapshot!(lines(Some(4)), @r"
        WARNING (4 pending archive ready files (threshold: 2))
        REPMGR_ARCHIVE_READY WARNING: 4 pending archive ready files | files=4;2;4
        --status=WARNING --files=4 --threshold=2
        ");
        insta::assert_snapshot!(lines(Some(5)), @r"
        CRITICAL (5 pending archive ready files, critical threshold: 4)
        REPMGR_ARCHIVE_READY CRITICAL: 5 pending archive ready files | files=5;2;4
        --status=CRITICAL --files=5 --threshold=4
        ");
    }

    #[test]
    fn an_unreadable_directory_is_not_an_empty_one() {
        assert_eq!(
            lines(None),
            "UNKNOWN (unable to check archive_status directory)\n\
             REPMGR_ARCHIVE_READY UNKNOWN: unable to check archive_status directory\n\
             --status=UNKNOWN \n"
        );
    }
}
