//! Whether every process of a data directory's server is gone, so that nothing can be acknowledged to a client any more.
//! Processes of a server outlive its postmaster when that is killed.

use std::io::ErrorKind;
use std::path::Path;

use super::control_file;

/// Where the kernel lists the shared memory segments (proc_sysvipc(5)).
const SEGMENTS: &str = "/proc/sysvipc/shm";

/// Ok if no process of a server works on this data directory; otherwise why that is not so, or not known.
///
/// A server that begins afterwards is not this one.
///
/// # Errors
/// A sentence. What cannot be told counts as a process that is there.
pub fn check(data_directory: &Path) -> Result<(), String> {
    let file = data_directory.join("postmaster.pid");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return shut_down(data_directory),
        Err(error) => return Err(format!("\"{}\" cannot be read: {error}", file.display())),
    };
    let segments = std::fs::read_to_string(SEGMENTS).map_err(|error| format!("{SEGMENTS} cannot be read: {error}"))?;
    detached(&text, &segments)
}

/// The file is removed by a server that ends in an orderly way, but not only by that.
fn shut_down(data_directory: &Path) -> Result<(), String> {
    let control = control_file::read(data_directory).map_err(|error| error.to_string())?;
    if control.state.is_clean() {
        return Ok(());
    }
    Err(format!(
        "there is no \"postmaster.pid\", but the server's state is \"{}\"",
        control.state.as_str()
    ))
}

/// Whether the segment that `postmaster.pid` names has no process attached. Every process of a server is attached to it;
/// it stays behind when they are killed (PostgreSQL's `src/backend/port/sysv_shmem.c` looks at the same before a start).
fn detached(postmaster: &str, segments: &str) -> Result<(), String> {
    let line = postmaster.lines().nth(6).unwrap_or_default();
    let mut words = line.split_whitespace();
    let (Some(key), Some(id)) = (words.next(), words.next()) else {
        return Err("\"postmaster.pid\" names no shared memory segment".to_owned());
    };
    for segment in segments.lines() {
        let columns: Vec<&str> = segment.split_whitespace().collect();
        // key shmid perms size cpid lpid nattch ...
        let [its_key, its_id, _, _, _, _, attached, ..] = columns[..] else {
            continue;
        };
        if same_key(its_key, key) && its_id == id {
            return match attached {
                "0" => Ok(()),
                count => Err(format!("{count} processes are attached to its shared memory")),
            };
        }
    }
    Err(format!("its shared memory segment {id} is not to be seen from here"))
}

/// A key is unsigned in `postmaster.pid` and signed in the kernel's list.
fn same_key(listed: &str, key: &str) -> bool {
    let listed = listed.parse::<i32>().map(i32::cast_unsigned);
    listed.is_ok() && listed.ok() == key.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::detached;

    const SEGMENTS: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid\n  \
         10664538    4063232   600                    56  3912  6594      0   101   104\n  \
         10223979     229377   600                    56  4688  4694      7   101   104\n \
         -89478485         12   600                    56     1     1      0   101   104\n";

    fn postmaster(segment: &str) -> String {
        format!("4688\n/data\n1795260600\n5432\n/tmp\n*\n{segment}\nready\n")
    }

    #[test]
    fn only_a_segment_that_is_listed_without_processes_is_abandoned() {
        assert_eq!(detached(&postmaster(" 10664538   4063232"), SEGMENTS), Ok(()));
        assert_eq!(detached(&postmaster("4205488811        12"), SEGMENTS), Ok(()));
        for segment in [
            " 10223979    229377",
            " 10664538    229377",
            " 99    4063232",
            "",
            "10664538",
        ] {
            assert!(detached(&postmaster(segment), SEGMENTS).is_err(), "{segment}");
        }
        assert!(detached("", SEGMENTS).is_err());
        assert!(detached(&postmaster(" 10664538   4063232"), "").is_err());
    }
}
