//! Something between a program and a server that breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What happens when the answers have been let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection is closed, and so is every other one.
    Close,
    /// This one connection is closed; all others go on.
    CloseOnce,
    /// Nothing more comes through, but the connection stays open.
    FallSilent,
}

/// A port that leads to a server's, for as many bytes of answers as it is told.
pub struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    left: Arc<AtomicUsize>,
    cut: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
}

impl Proxy {
    /// Leads to `server`; lets `answers` bytes come back over all connections together.
    pub fn new(server: u16, answers: usize, then: Then) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let proxy = Proxy {
            port: listener.local_addr().expect("an address").port(),
            left: Arc::new(AtomicUsize::new(answers)),
            cut: Arc::default(),
            open: Arc::new(AtomicBool::new(true)),
        };
        let (left, cut, open) = (proxy.left.clone(), proxy.cut.clone(), proxy.open.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if !open.load(Ordering::Relaxed) {
                    break;
                }
                let client = client.expect("a connection");
                let server = TcpStream::connect(("127.0.0.1", server)).expect("the server");
                let (mut from, mut to) = (
                    client.try_clone().expect("a stream"),
                    server.try_clone().expect("a stream"),
                );
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let (left, cut) = (left.clone(), cut.clone());
                std::thread::spawn(move || answer(server, client, &left, &cut, then));
            }
        });
        proxy
    }

    /// Whether it has cut off an answer.
    pub fn has_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.open.store(false, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn answer(mut server: TcpStream, mut client: TcpStream, left: &AtomicUsize, cut: &AtomicBool, then: Then) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        let before = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(count))
            })
            .unwrap_or(0);
        if client.write_all(&buffer[..count.min(before)]).is_err() {
            break;
        }
        if before < count {
            cut.store(true, Ordering::Relaxed);
            match then {
                Then::Close => break,
                Then::CloseOnce => {
                    left.store(usize::MAX, Ordering::Relaxed);
                    break;
                }
                // Reads on, so that the server notices nothing either.
                Then::FallSilent => {}
            }
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}
