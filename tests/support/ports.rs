//! TCP ports that no other test of this machine uses, below the range that the
//! system gives to outgoing connections. A port is held by a locked file for as
//! long as the process lives.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A free port of its own.
pub fn free() -> u16 {
    listener().local_addr().expect("its address").port()
}

/// Who listens at a free port of its own. A port that is given back may not be free for a moment: a program that is being
/// started by another thread has the listener, too, until it is what it is to be.
pub fn listener() -> TcpListener {
    let folder = std::env::temp_dir().join("repmgr-oxide-test-ports");
    std::fs::create_dir_all(&folder).expect("the folder of port locks");
    // Other users of this machine run tests, too. Only the folder's owner can say so.
    let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777));
    let start = 10_000 + u16::try_from(std::process::id() % 97).expect("small") * 100;
    for port in (start..20_000).chain(10_000..start) {
        let Ok(file) = File::create(folder.join(port.to_string())) else {
            continue;
        };
        if file.try_lock().is_err() {
            continue;
        }
        let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else {
            continue;
        };
        HELD.lock().expect("the held ports").push(file);
        return listener;
    }
    panic!("no free port between 10000 and 20000");
}
