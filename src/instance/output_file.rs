//! What a child process writes, in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::mkstemp;

/// Where a command writes. A pipe would not do: the server that `pg_ctl` starts inherits it, so its
/// end would never come, and the server's log would be lost once nobody reads it.
pub(super) struct OutputFile {
    path: PathBuf,
    file: File,
}

impl OutputFile {
    /// A new one in the temporary directory.
    pub(super) fn new() -> std::io::Result<OutputFile> {
        let (descriptor, path) = mkstemp(&std::env::temp_dir().join("repmgr_command.XXXXXX"))?;
        Ok(OutputFile {
            path,
            file: File::from(descriptor),
        })
    }

    /// For the standard output or standard error of a child.
    pub(super) fn writer(&self) -> std::io::Result<Stdio> {
        Ok(Stdio::from(self.file.try_clone()?))
    }

    /// All that was written so far.
    pub(super) fn text(&self) -> String {
        let text = std::fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The last lines, for a person.
    pub(super) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        match lines.len() {
            0 => "none".to_owned(),
            count => lines[count.saturating_sub(5)..].join("\n"),
        }
    }

    /// The path of the file if another process goes on writing to it and it therefore stays.
    pub(super) fn release(&self) -> Option<PathBuf> {
        is_open_elsewhere(&self.path).then(|| self.path.clone())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if !is_open_elsewhere(&self.path) {
            // A left-over in the temporary directory is no reason to fail.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether another process of this user has the file open (Linux: "proc(5)").
fn is_open_elsewhere(path: &Path) -> bool {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| {
            // "self" and "thread-self" are this process, too.
            let name = process.file_name();
            let name = name.to_string_lossy();
            name != own && name.bytes().all(|byte| byte.is_ascii_digit())
        })
        .filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok())
        .flatten()
        .flatten()
        .any(|descriptor| std::fs::read_link(descriptor.path()).is_ok_and(|target| target == path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_nobody_goes_on_writing_to_is_removed() {
        let output = OutputFile::new().unwrap();
        let path = output.path.clone();
        assert!(output.release().is_none(), "only this process has it open");
        drop(output);
        assert!(!path.exists());
    }
}
