//! Servers that are none: they say what a test wants to hear, once for each connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A listener on loopback whose connections are handed to `script`, each on a thread of its own. Its port.
pub fn listen(script: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let script = std::sync::Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let script = script.clone();
            std::thread::spawn(move || script(stream.expect("a connection")));
        }
    });
    port
}

/// Reads a message without type: a start-up message or a request for TLS.
pub fn read_startup(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).is_err() {
        return Vec::new();
    }
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body).expect("a whole message");
    body
}

/// Whether a message asks for TLS.
pub fn asks_for_tls(message: &[u8]) -> bool {
    message == [4, 210, 22, 47]
}

/// Answers a request for TLS with no, and returns the start-up message.
pub fn start_plain(stream: &mut TcpStream) -> Vec<u8> {
    let message = read_startup(stream);
    if !asks_for_tls(&message) {
        return message;
    }
    stream.write_all(b"N").expect("an answer");
    read_startup(stream)
}

pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend(body);
    message
}

pub fn error(sqlstate: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{sqlstate}\0M{text}\0\0").as_bytes())
}

/// AuthenticationOk and ReadyForQuery.
pub fn welcome() -> Vec<u8> {
    let mut messages = message(b'R', &[0, 0, 0, 0]);
    messages.extend(message(b'Z', b"I"));
    messages
}

/// The answer to a statement without rows.
pub fn done(tag: &str) -> Vec<u8> {
    let mut messages = message(b'C', format!("{tag}\0").as_bytes());
    messages.extend(message(b'Z', b"I"));
    messages
}

/// One row with one text column.
pub fn row(value: &str) -> Vec<u8> {
    let mut description = vec![0, 1];
    description.extend(b"answer\0");
    description.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]);
    let mut data = vec![0, 1];
    data.extend((value.len() as u32).to_be_bytes());
    data.extend(value.as_bytes());
    let mut messages = message(b'T', &description);
    messages.extend(message(b'D', &data));
    messages
}

/// Reads messages and answers each query with success, until the client leaves.
pub fn serve(stream: &mut (impl Read + Write)) {
    serve_with(stream, |_| Vec::new());
}

/// As [`serve`], with the rows that `answer` gives for a query.
pub fn serve_with(stream: &mut (impl Read + Write), answer: impl Fn(&str) -> Vec<u8>) {
    stream.write_all(&welcome()).expect("an answer");
    let mut header = [0; 5];
    while stream.read_exact(&mut header).is_ok() && header[0] != b'X' {
        let length = u32::from_be_bytes(header[1..].try_into().expect("four bytes"));
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).expect("a whole message");
        let mut messages = answer(&String::from_utf8_lossy(&body));
        messages.extend(done("SET"));
        stream.write_all(&messages).expect("an answer");
    }
}
