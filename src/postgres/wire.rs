//! The byte stream to a server, whatever it runs over, and the hand-over of a
//! session that is already started to tokio-postgres.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{Client, NoTls};

use super::startup::Session;

/// A byte stream: TCP, Unix socket, or TLS.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Whatever a session runs over.
pub(super) type Wire = Box<dyn ByteStream>;

/// What carries on a session.
pub(super) type Driver = tokio_postgres::Connection<Started, tokio_postgres::tls::NoTlsStream>;

/// Gives a started session to tokio-postgres.
pub(super) async fn hand_over(session: Session) -> Result<(Client, Driver), tokio_postgres::Error> {
    let started = Started {
        wire: session.wire,
        transcript: session.transcript,
        startup_message_expected: true,
    };
    // The start-up message made of this never leaves the house: see `Started`.
    tokio_postgres::Config::new()
        .user("-")
        .connect_raw(started, NoTls)
        .await
}

/// A session past its start-up, shown to tokio-postgres as if it were new: the
/// start-up message that it sends is dropped, and the server's answers to ours
/// are what it reads first.
pub(super) struct Started {
    wire: Wire,
    transcript: BytesMut,
    startup_message_expected: bool,
}

impl AsyncRead for Started {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.transcript.is_empty() {
            return Pin::new(&mut self.wire).poll_read(cx, buf);
        }
        let length = self.transcript.len().min(buf.remaining());
        buf.put_slice(&self.transcript[..length]);
        self.transcript.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Started {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.startup_message_expected {
            // It comes alone and whole: nothing may follow it before the answer has been read.
            self.startup_message_expected = false;
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.wire).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
