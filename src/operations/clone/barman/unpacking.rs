//! Copying a compressed backup. Barman keeps one as archives of tar, one of the data directory and one of each
//! tablespace, which are unpacked here while they arrive. One that is broken off begins anew: nothing of it can be kept.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::complete::failed;
use super::copy::{SILENT, copy_error};
use super::{Cloning, barman_error, destination};
use crate::error::{Error, Result};
use crate::operations::clone::copying::Running;
use crate::operations::clone::progress::{Line, Output, Patience};
use crate::process::{self, shell_quote};
use crate::remote::Host;

/// How the archives are compressed (Barman: `backup_compression`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Archives, but not compressed.
    None,
    /// `.gz`
    Gzip,
    /// `.lz4`
    Lz4,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// By its name in `backup.info`.
    pub fn named(name: &str) -> Option<Compression> {
        match name {
            "none" => Some(Compression::None),
            "gzip" => Some(Compression::Gzip),
            "lz4" => Some(Compression::Lz4),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Lz4 => ".lz4",
            Compression::Zstd => ".zst",
        }
    }

    /// The program that undoes it.
    fn program(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Lz4 => Some("lz4"),
            Compression::Zstd => Some("zstd"),
        }
    }
}

/// The line for a shell of this host in which `fetch` is unpacked; it fails if either of the two does.
fn line(fetch: &str, to: &Path, compression: Compression) -> String {
    let decompress = match compression.program() {
        Some(program) => format!(" --use-compress-program={program}"),
        None => String::new(),
    };
    // A record of tar has 10240 bytes.
    let tar = format!(
        "tar --extract --file=- --directory={}{decompress} --keep-directory-symlink --no-same-owner \
         --preserve-permissions --checkpoint=1000 --checkpoint-action=echo='%u'",
        shell_quote(&to.to_string_lossy())
    );
    format!(
        "exec 3>&1; fetched=$({{ {{ {fetch}; echo $? >&4; }} | {tar} >&3; }} 4>&1) || exit 2; \
         [ \"$fetched\" = 0 ] || {{ echo \"the archive could not be fetched ($fetched)\" >&2; exit 3; }}"
    )
}

/// `tar: 3000`
fn read_line(line: &str) -> Line<'_> {
    let records: Option<u64> = line.strip_prefix("tar: ").and_then(|count| count.trim().parse().ok());
    match records.and_then(|records| records.checked_mul(10240)) {
        // How much it will be is known of the compressed archives alone.
        Some(bytes) => Line::Progress(bytes, bytes.saturating_add(1)),
        None => Line::Other(line),
    }
}

impl Cloning<'_> {
    /// All archives of the backup are there, and what unpacks them is.
    pub(super) async fn check_archives(&self, compression: Compression) -> Result<()> {
        for program in std::iter::once("tar").chain(compression.program()) {
            let mut command = Command::new(program);
            command.arg("--version").stdin(Stdio::null());
            let ran = process::capture(command, program, Duration::from_secs(20)).await;
            if !ran.is_ok_and(|finished| finished.status.success()) {
                return Err(Error::bad_config(format!("\"{program}\" cannot be run"))
                    .hint(format!("install {program}: Barman's backup is unpacked with it")));
            }
        }
        let from = self.barman_source()?;
        let tests: Vec<String> = self
            .archives(compression)?
            .iter()
            .map(|(path, _)| format!("test -f {}", shell_quote(path)))
            .collect();
        let finished = from.barman.shell(&tests.join(" && "), "test -f").await?;
        if finished.status.success() {
            return Ok(());
        }
        Err(barman_error(format!("backup {} cannot be cloned from", from.backup.id))
            .detail("it is compressed, but its archives are not where they are expected")
            .detail(tests.join(" && "))
            .hint("have Barman take a plain, full backup, or use --without-barman to clone from a node"))
    }

    /// The archives on Barman's host, and where each is unpacked.
    fn archives(&self, compression: Compression) -> Result<Vec<(String, PathBuf)>> {
        let from = self.barman_source()?;
        let path = |name: &str| format!("{}/data/{name}.tar{}", from.backup.folder, compression.suffix());
        let mappings = &self.request.config.tablespace_mapping;
        let tablespaces = from.backup.info.tablespaces.iter().map(|tablespace| {
            let to = destination(&tablespace.location.to_string_lossy(), mappings);
            (path(&tablespace.oid.to_string()), to)
        });
        let base = (path("base"), self.request.data_directory.clone());
        Ok(std::iter::once(base).chain(tablespaces).collect())
    }

    /// The data directory and the tablespaces, one after the other.
    pub(super) async fn unpack_backup(&mut self, compression: Compression) -> Result<()> {
        let mut done = 0;
        for (archive, to) in self.archives(compression)? {
            match std::fs::DirBuilder::new().mode(0o700).create(&to) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&to)(error)),
                _ => {}
            }
            let barman = &self.barman_source()?.barman;
            let read = format!("cat {}", shell_quote(&archive));
            let fetch = match &barman.host {
                Host::Local => read,
                Host::Remote(name) => format!(
                    "{} {} {}",
                    barman.ssh.sharing_program(&barman.host).await,
                    shell_quote(&barman.ssh.destination(name)),
                    shell_quote(&read)
                ),
            };
            let line = line(&fetch, &to, compression);
            crate::info!("executing:\n  {line}");
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &line]);
            let running = Running::start(command)
                .map_err(|error| Error::bad_config("\"/bin/sh\" cannot be run").detail(error.to_string()))?;
            let patience = Patience {
                begin: SILENT,
                copying: SILENT,
                end: SILENT,
            };
            let mut output = Output::new("tar", read_line, patience).part_of(done, 0);
            let status = self.backup.insert(running).follow(&mut output).await;
            self.backup = None;
            let reason = match status {
                Ok(Some(status)) if status.success() => {
                    done += output.done();
                    continue;
                }
                Ok(Some(status)) => format!("unpacking it ended with {status}"),
                Ok(None) => "nothing came any more, and unpacking it was ended".to_owned(),
                Err(error) => format!("tar: {error}"),
            };
            return Err(copy_error(&archive, &reason, &output.errors));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(fetch: &str, to: &Path, compression: Compression) -> (Option<i32>, String) {
        let line = line(fetch, to, compression);
        let finished = process::shell(&line, "/bin/sh", Duration::from_secs(20)).await.unwrap();
        (finished.status.code(), finished.stderr)
    }

    #[tokio::test]
    async fn an_archive_is_unpacked_and_failures_of_either_side_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("it's to"));
        for folder in [&from, &to] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(from.join("file"), "text").unwrap();
        let archive = format!("tar -czC {} .", shell_quote(&from.to_string_lossy()));
        let (code, said) = run(&archive, &to, Compression::Gzip).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(std::fs::read_to_string(to.join("file")).unwrap(), "text");

        let (code, said) = run(&format!("({archive}; exit 255)"), &to, Compression::Gzip).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("could not be fetched (255)"), "{said}");
        let (code, _) = run("echo 'no archive'", &to, Compression::Gzip).await;
        assert_eq!(code, Some(2));
    }

    #[test]
    fn progress_is_told_from_words() {
        assert_eq!(read_line("tar: 3000"), Line::Progress(30_720_000, 30_720_001));
        assert_eq!(read_line("tar: x: Cannot write"), Line::Other("tar: x: Cannot write"));
    }
}
