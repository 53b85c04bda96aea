//! TLS for clients: handshakes with a deadline, and files that may change while serving.

mod files;
mod own;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::settings::Tls;
use files::Stamp;
pub(crate) use own::connect;

/// The timeout of a handshake, from the moment the client has connected.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The time that a client without TLS has to read the reply.
const FAREWELL: Duration = Duration::from_secs(1);
/// The record type that every handshake begins with (RFC 8446, section 5.1).
const IS_HANDSHAKE: u8 = 22;
/// The reply to a client that speaks HTTP without TLS. It is unencrypted, or the client couldn't read it.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n\
    Content-Length: 144\r\nConnection: close\r\n\r\n\
    {\"type\":\"urn:warp-reql:problem:bad-request\",\"title\":\"Bad Request\",\"status\":400,\
    \"detail\":\"This address speaks HTTPS only.\",\"code\":\"bad-request\"}\n";

/// Accepts TLS connections. Cheap to clone; clones share the files.
#[derive(Clone)]
pub(super) struct Acceptor(Arc<Mutex<Kept>>);

struct Kept {
    files: Tls,
    config: Arc<ServerConfig>,
    stamp: Stamp,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If one can't be read or they don't fit together.
    pub(super) fn new(files: Tls) -> io::Result<Acceptor> {
        Kept::read(files).map(|kept| Acceptor(Arc::new(Mutex::new(kept))))
    }

    /// Uses other files from the next handshake on.
    ///
    /// # Errors
    ///
    /// If the files are invalid. Then the previous ones stay in use.
    pub(super) fn renew(&self, files: Tls) -> io::Result<()> {
        let kept = Kept::read(files)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }

    /// Does the TLS handshake of a connection.
    ///
    /// # Errors
    ///
    /// If the client doesn't speak TLS, doesn't trust the service or isn't trusted, or takes too long.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let too_long = || io::Error::new(io::ErrorKind::TimedOut, "it took too long");
        timeout(HANDSHAKE, self.handshake(stream)).await.map_err(|_| too_long())?
    }

    async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        match stream.peek(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ if first == [IS_HANDSHAKE] => {}
            _ => {
                // The connection ends in any case, whether the client reads the reply or not.
                let _ = timeout(FAREWELL, refuse(stream)).await;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks no TLS"));
            }
        }
        // Reading files may block, on a network file system for example.
        let kept = Arc::clone(&self.0);
        let config = spawn_blocking(move || kept.lock().unwrap_or_else(PoisonError::into_inner).current());
        let config = config.await.map_err(io::Error::other)?;
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl Kept {
    fn read(files: Tls) -> io::Result<Kept> {
        // If the files change after this, their stamp differs next time, and they are read again.
        let stamp = Stamp::of(&files);
        let config = Arc::new(files::read(&files)?);
        Ok(Kept { files, config, stamp })
    }

    /// Returns the configuration of the files as they are now, or as they were when last valid.
    fn current(&mut self) -> Arc<ServerConfig> {
        let stamp = Stamp::of(&self.files);
        if stamp != self.stamp {
            self.stamp = stamp;
            match files::read(&self.files) {
                Ok(config) => {
                    self.config = Arc::new(config);
                    log::info!("The TLS files have changed; new connections use them.");
                }
                Err(error) => {
                    log::error!("The changed TLS files are invalid, and the old ones stay in use: {error}")
                }
            }
        }
        Arc::clone(&self.config)
    }
}

/// Replies that this address speaks TLS only. The client's request is read first: closing a socket with
/// unread data resets the connection, and the client might never see the reply.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(SPEAK_TLS).await?;
    stream.shutdown().await?;
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_a_deadline() {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let home = tempfile::TempDir::new().unwrap();
        let files = Tls { cert: home.path().join("c"), key: home.path().join("k"), ..Tls::default() };
        std::fs::write(&files.cert, key.cert.pem()).unwrap();
        std::fs::write(&files.key, key.signing_key.serialize_pem()).unwrap();
        let acceptor = Acceptor::new(files).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for sent in [&b""[..], &[IS_HANDSHAKE, 3, 1], b"GET / "] {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            client.write_all(sent).await.unwrap();
            assert!(acceptor.accept(accepted).await.is_err());
        }
    }

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(SPEAK_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
