//! A small HTTP client: one request on a connection of its own, with a deadline.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::rt::{Read, Write};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use tokio::net::TcpStream;

/// Answers are short; what is longer is none.
const LONGEST: usize = 1 << 20;

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
}

/// What is asked.
#[derive(Clone, Default)]
pub struct Exchange<'a> {
    /// The path on the service.
    pub path: &'a str,
    /// What is sent; then it is a `POST`, and else a `GET`.
    pub json: Option<String>,
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    /// What TLS needs; the system's certificates if nothing is said.
    pub connector: Option<&'a SslConnector>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Endpoint {
    /// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`, each also behind `http://` or `https://`. `port` is the
    /// one of the service, where none is given; of a `https://` that has no port of its own it is 443.
    pub fn parse(text: &str, port: u16) -> Option<Endpoint> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return None,
            None => (false, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let default = match (tls, text.contains("://")) {
            (true, _) => 443,
            _ => port,
        };
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':').map_or(Ok(default), str::parse).ok()?)
        } else {
            match rest.split_once(':') {
                // An address without brackets.
                Some((_, more)) if more.contains(':') => (rest, default),
                Some((host, port)) => (host, port.parse().ok()?),
                None => (rest, default),
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        (!host.is_empty() && host.chars().all(plain)).then(|| Endpoint {
            tls,
            host: host.to_owned(),
            port,
        })
    }

    /// Without the path.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Asks, on a connection of its own.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn request(&self, exchange: Exchange<'_>, limit: Duration) -> Result<Reply, String> {
        match tokio::time::timeout(limit, self.exchange(exchange)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {limit:.1?}")),
        }
    }

    async fn exchange(&self, exchange: Exchange<'_>) -> Result<Reply, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| error.to_string())?;
        if !self.tls {
            return self.talk(TokioIo::new(stream), exchange).await;
        }
        let secure = || match exchange.connector {
            Some(connector) => connector.configure()?.into_ssl(&self.host),
            None => {
                let connector = SslConnector::builder(SslMethod::tls_client())?.build();
                connector.configure()?.into_ssl(&self.host)
            }
        };
        let ssl = secure().map_err(|error: openssl::error::ErrorStack| error.to_string())?;
        let mut stream = tokio_openssl::SslStream::new(ssl, stream).map_err(|error| error.to_string())?;
        std::pin::Pin::new(&mut stream)
            .connect()
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        self.talk(TokioIo::new(stream), exchange).await
    }

    async fn talk<S: Read + Write + Unpin>(&self, stream: S, exchange: Exchange<'_>) -> Result<Reply, String> {
        let (mut sender, connection) = http1::handshake(stream).await.map_err(|error| error.to_string())?;
        let Exchange {
            path,
            json,
            authorization,
            ..
        } = exchange;
        let exchange = async {
            let method = if json.is_some() { Method::POST } else { Method::GET };
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header(HOST, self.authority())
                .header(ACCEPT, "application/json");
            if json.is_some() {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let body = Full::new(Bytes::from(json.unwrap_or_default()));
            let request = request.body(body).map_err(|error| error.to_string())?;
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), LONGEST)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            Ok(Reply {
                status,
                body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            })
        };
        // The connection moves the bytes; it may be over before the answer has been taken from it.
        let moving = async {
            // What is wrong with it, the request is told.
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            reply = exchange => reply,
            () = moving => Err("the connection was closed".to_owned()),
        }
    }
}

/// A name as a segment of a path.
pub fn segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_host_may_have_a_port_and_a_scheme() {
        for (text, url) in [
            ("backup1", "http://backup1:7480"),
            ("10.0.0.1:80", "http://10.0.0.1:80"),
            ("::1", "http://[::1]:7480"),
            ("[::1]:81", "http://[::1]:81"),
            ("http://b", "http://b:7480"),
            ("https://b.example/", "https://b.example:443"),
            ("https://b:7480", "https://b:7480"),
        ] {
            assert_eq!(
                Endpoint::parse(text, 7480).map(|it| it.url()).as_deref(),
                Some(url),
                "{text}"
            );
        }
        for text in ["", "ftp://b", "b:x", "a b", "b/servers"] {
            assert_eq!(Endpoint::parse(text, 7480), None, "{text}");
        }
        assert_eq!(segment("a/b ü"), "a%2Fb%20%C3%BC");
    }

    async fn answered_with(answer: &'static str) -> (Result<Reply, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let endpoint = Endpoint::parse(&address, 1).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            let count = stream.read(&mut seen).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&seen[..count]).into_owned()
        };
        tokio::join!(
            endpoint.request(
                Exchange {
                    path: "/servers/main/operations",
                    json: Some("{}".to_owned()),
                    authorization: Some("token".to_owned()),
                    ..Exchange::default()
                },
                Duration::from_secs(60)
            ),
            serve
        )
    }

    #[tokio::test]
    async fn status_and_body_come_back() {
        let (reply, seen) = answered_with("HTTP/1.1 202 ACCEPTED\r\nContent-Length: 2\r\n\r\nok").await;
        let expected = Reply {
            status: 202,
            body: "ok".to_owned(),
        };
        assert_eq!(reply, Ok(expected));
        assert!(seen.starts_with("POST /servers/main/operations HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains("content-type: application/json\r\n"), "{seen}");
        assert!(seen.contains("authorization: token\r\n"), "{seen}");
    }

    #[tokio::test]
    async fn what_is_no_http_is_an_error() {
        for answer in [
            "",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        ] {
            let (reply, _) = answered_with(answer).await;
            assert!(reply.is_err(), "{answer:?}: {reply:?}");
        }
    }

    #[tokio::test]
    async fn silence_has_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 1).unwrap();
        let reply = endpoint
            .request(
                Exchange {
                    path: "/",
                    ..Exchange::default()
                },
                Duration::from_millis(50),
            )
            .await;
        assert!(reply.unwrap_err().contains("no answer"));
    }
}
