//! The write-ahead log that a rewind discards, put aside before it: the only copy of what was committed there.

use std::path::PathBuf;

use super::Rejoin;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::put_aside::{self, Aside};
use crate::instance::wal_files::{self, Branch};
use crate::operations::attach::{Divergence, Verdict};
use crate::{info, notice};

/// What is put aside, and where.
#[derive(Debug)]
pub(super) struct Keeping {
    folder: PathBuf,
    files: Vec<PathBuf>,
    note: String,
}

impl Rejoin<'_> {
    /// There is room for what is to be put aside.
    pub(super) async fn check_room(&mut self) -> Result<()> {
        // An earlier attempt has put it aside; what lies there now may be the source's.
        if !self.is_rewind() || self.journal.is_some() {
            return Ok(());
        }
        let Some(parent) = &self.request.keep else {
            return Ok(());
        };
        let data = &self.config.data_directory;
        let branch = match self.verdict {
            Some(Verdict::Diverged(Divergence::ForkedEarlier { timeline, fork, local })) => Some(Branch {
                timeline,
                fork,
                end: local,
            }),
            _ => None,
        };
        let found = wal_files::of_branch(&data.join("pg_wal"), branch).map_err(|error| {
            Error::new(ExitCode::RejoinFail, "the WAL to be put aside cannot be looked at")
                .detail(error.to_string())
                .hint("nothing was changed")
        })?;
        put_aside::require_room(parent, found.bytes)?;
        let timeline = self.control()?.checkpoint_timeline;
        let folder = put_aside::beside(parent, data, timeline);
        let discarded = self.discarded.get_or_insert_with(|| "discarded WAL".to_owned());
        let note = format!(
            "Write-ahead log that node \"{}\" (ID: {}) had when it was rewound, and that was not in the new primary's:\n\
             {discarded}\n\n\
             pg_waldump shows what is in it. Nothing needs this folder any more; remove it when nothing of it is wanted.\n",
            self.config.node_name, self.config.node_id
        );
        discarded.push_str(&format!("; put aside in \"{}\"", folder.display()));
        self.keeping = Some(Keeping {
            folder,
            files: found.files,
            note,
        });
        Ok(())
    }

    pub(super) async fn put_aside(&mut self) -> Result<()> {
        let Some(keeping) = &self.keeping else { return Ok(()) };
        let aside = Aside::create(&keeping.folder)?;
        self.aside = Some(aside);
        let Some(aside) = &self.aside else { return Ok(()) };
        aside.copy(&keeping.files)?;
        aside.note(&keeping.note)?;
        notice!("the WAL that the rewind discards was put aside");
        info!("{} files are in \"{}\"", keeping.files.len(), keeping.folder.display());
        Ok(())
    }

    pub(super) fn take_back_aside(&mut self) {
        if let Some(aside) = self.aside.take() {
            aside.remove();
        }
    }
}
