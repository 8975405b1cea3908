//! Ends the connections of a process whose commit came too late, so that nothing of it is acknowledged.

use std::ffi::c_int;

use pgrx::pg_sys::{self, CommandDest};
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// The beginning of the server's `Port`, in PostgreSQL 13 to 18 alike; the bindings leave it out.
#[repr(C)]
struct PortStart {
    sock: c_int,
}

/// Shuts the client's socket and has the process end as soon as the server allows it: the commit cannot be undone any
/// more, and no error may be raised at this point.
///
/// To the client the outcome is unknown, as after any lost connection. A worker without a client shuts all of its
/// connections: a subscription's worker would tell the publisher that it has the transaction.
pub fn hang_up(reason: &'static str) {
    // SAFETY: a process of the server runs this in its only thread; the port, if there is one, lives as long as it.
    unsafe {
        let port: *const PortStart = pg_sys::MyProcPort.cast_const().cast();
        if port.is_null() {
            shut_connections();
        } else {
            libc::shutdown((*port).sock, libc::SHUT_RDWR);
        }
        pg_sys::whereToSendOutput = CommandDest::DestNone;
        pg_sys::ProcDiePending = 1;
        pg_sys::InterruptPending = 1;
    }
    pg_sys::panic::ErrorReport::new(PgSqlErrorCode::ERRCODE_CONNECTION_FAILURE, reason, "")
        .set_detail("The transaction is committed on this server, and nobody was told so.")
        .report(PgLogLevel::LOG);
}

/// Shuts every connected stream socket of this process. Those that other processes share are none: the server's listening
/// sockets are not connected, and what PostgreSQL 13 and 14 send statistics through is no stream.
///
/// Safe in a signal's handler: nothing but system calls.
pub fn shut_connections() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    for descriptor in 0..limit.rlim_cur.min(65_536) as c_int {
        if is_connected_stream(descriptor) {
            // SAFETY: harmless for whatever the descriptor is.
            unsafe { libc::shutdown(descriptor, libc::SHUT_RDWR) };
        }
    }
}

fn is_connected_stream(descriptor: c_int) -> bool {
    let mut kind: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    let mut peer: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut peer_length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the places for the answers are as large as said. What is no socket gives an error.
    unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &mut length,
        ) == 0
            && kind == libc::SOCK_STREAM
            && libc::getpeername(descriptor, (&raw mut peer).cast(), &mut peer_length) == 0
    }
}
