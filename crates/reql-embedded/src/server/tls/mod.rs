//! TLS on a server's addresses: its identity, its clients' authorities, and the handshake.

mod identity;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(super) use self::identity::Identity;
use super::listener::{Listener, accept_tcp};
use crate::protocol::{Peer, handshake};
use crate::session::{self, Incoming};

/// The first byte of TLS: a record of the handshake (RFC 8446, 5.1). A driver that speaks no TLS begins with
/// the number of its protocol, none of which begins so.
const HANDSHAKE_RECORD: u8 = 22;

/// A server's certificate for TLS, and the authorities of its clients.
///
/// The files are PEM texts. They are checked before every handshake: a changed file counts from the next one
/// on, and open connections stay. While the new files can't be used, for example because the certificate has
/// been replaced and its key not yet, the log tells so once, and handshakes go on with the old ones.
///
/// The cryptography is the
/// [`CryptoProvider`](https://docs.rs/rustls/latest/rustls/crypto/struct.CryptoProvider.html) that the
/// program has installed, or else `ring`.
///
/// ```no_run
/// use reql_embedded::{Server, Tls};
///
/// # async fn example() -> std::io::Result<()> {
/// let tls = Tls::files("cert.pem", "key.pem").client_ca("clients.pem");
/// let server = Server::builder().bind(([0, 0, 0, 0], 28015).into()).tls(tls).start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    min_version: TlsVersion,
}

/// A version of TLS. Older ones aren't spoken: RFC 8996 forbids them.
///
/// ```
/// use reql_embedded::{Tls, TlsVersion};
///
/// let tls = Tls::files("cert.pem", "key.pem").min_version(TlsVersion::V1_3);
/// # let _ = tls;
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    #[default]
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

impl Tls {
    /// Takes the certificate and its private key from these files. After the certificate, its file has those
    /// between it and its authority, if any. Each file has 1 MiB at most.
    pub fn files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        Self {
            certificate: certificate.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
            client_ca: None,
            min_version: TlsVersion::default(),
        }
    }

    /// Lets in only clients that show a certificate of one of the authorities in this file. Default: clients
    /// need no certificate.
    pub fn client_ca(mut self, file: impl AsRef<Path>) -> Self {
        self.client_ca = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the oldest version that is spoken. Default 1.2, as RethinkDB's.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }
}

/// An address where TLS is spoken.
pub(super) struct TlsListener {
    tcp: TcpListener,
    identity: Arc<Identity>,
}

impl TlsListener {
    pub(super) fn new(tcp: TcpListener, identity: Arc<Identity>) -> Self {
        Self { tcp, identity }
    }
}

impl Listener for TlsListener {
    type Incoming = TlsIncoming;

    async fn accept(&mut self) -> io::Result<(TlsIncoming, Peer)> {
        let (tcp, peer) = accept_tcp(&self.tcp).await?;
        Ok((TlsIncoming { tcp, identity: self.identity.clone() }, peer))
    }
}

/// A socket whose client hasn't sent anything yet.
pub(super) struct TlsIncoming {
    tcp: TcpStream,
    identity: Arc<Identity>,
}

impl Incoming for TlsIncoming {
    type Stream = TlsStream<TcpStream>;

    async fn open(mut self) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        if self.tcp.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
            session::farewell(&mut self.tcp, &handshake::no_tls(first[0])).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS where TLS is spoken"));
        }
        let identity = self.identity;
        let config = tokio::task::spawn_blocking(move || identity.current()).await?;
        TlsAcceptor::from(config).accept(self.tcp).await
    }
}
