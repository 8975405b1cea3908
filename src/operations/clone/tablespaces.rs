//! The other directories that a clone fills: tablespaces and `--waldir`.

use std::path::PathBuf;

use super::Cloning;
use crate::config::TablespaceMapping;
use crate::error::{Error, Result};
use crate::instance::data_directory::{self, State};

/// Where a tablespace with this location on the source goes.
pub(super) fn destination(location: &str, mappings: &[TablespaceMapping]) -> PathBuf {
    mappings
        .iter()
        .find(|mapping| mapping.old == std::path::Path::new(location))
        .map_or_else(|| PathBuf::from(location), |mapping| mapping.new.clone())
}

impl Cloning<'_> {
    pub(super) fn other_paths(&self, locations: &[String]) -> Vec<PathBuf> {
        let mappings = &self.request.config.tablespace_mapping;
        let tablespaces = locations.iter().map(|location| destination(location, mappings));
        tablespaces.chain(self.options.waldir.clone()).collect()
    }

    /// Each mapping must name a tablespace that the source has, and each place must be free.
    pub(super) async fn check_tablespaces(&mut self) -> Result<()> {
        let sql = "SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace \
                   WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid";
        let rows =
            self.source()?.query(sql, &[]).await.map_err(|error| {
                Error::bad_config("unable to list the source's tablespaces").detail(error.to_string())
            })?;
        let locations: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let mappings = &self.request.config.tablespace_mapping;
        let missing: Vec<_> = mappings
            .iter()
            .filter(|mapping| {
                !locations
                    .iter()
                    .any(|location| mapping.old == std::path::Path::new(location))
            })
            .collect();
        if !missing.is_empty() {
            let mut error =
                Error::bad_config("\"tablespace_mapping\" names locations where the source has no tablespace");
            for mapping in missing {
                error = error.detail(format!("there is none in \"{}\"", mapping.old.display()));
            }
            return Err(error.hint("correct tablespace_mapping in repmgr.conf"));
        }
        // In-place tablespaces lie in the data directory; their location is relative.
        let locations: Vec<String> = locations
            .into_iter()
            .filter(|location| location.starts_with('/'))
            .collect();
        for path in self.other_paths(&locations) {
            if !matches!(data_directory::state(&path)?, State::Absent | State::Empty) {
                return Err(
                    Error::bad_config(format!("directory \"{}\" exists and is not empty", path.display()))
                        .detail("a tablespace of the source, or its WAL (--waldir), would go there")
                        .hint("empty it, or choose another place with tablespace_mapping or --waldir in repmgr.conf"),
                );
            }
        }
        self.tablespaces = locations;
        Ok(())
    }

    pub(super) fn prepare_other_directories(&mut self) -> Result<()> {
        for path in self.other_paths(&self.tablespaces) {
            self.other_directories.push(data_directory::prepare(&path, false)?);
        }
        Ok(())
    }

    pub(super) fn remove_other_directories(&mut self) {
        for prepared in self.other_directories.drain(..).rev() {
            if let Err(error) = prepared.undo() {
                crate::warning!("a tablespace or WAL directory could not be cleaned up: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tablespace_stays_where_it_is_unless_it_is_mapped() {
        let mappings = [TablespaceMapping {
            old: "/srv/ts1".into(),
            new: "/srv/new".into(),
        }];
        assert_eq!(destination("/srv/ts1", &mappings), PathBuf::from("/srv/new"));
        assert_eq!(destination("/srv/ts2", &mappings), PathBuf::from("/srv/ts2"));
    }
}
