//! The settings and keys that connections to a server share.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::dial::dial;
use crate::error::{Error, ErrorKind, Result};
use crate::handshake::{self, Credentials, KeptKeys};
use crate::r;
use crate::secret::Secret;
use crate::session::Session;
use crate::stream::{Patience, Stream};
use crate::term::Term;
use crate::wire::Inbound;

/// The port of RethinkDB for drivers.
const PORT: u16 = 28015;

/// A server, a user, and the settings of all connections to it. Opens [`Session`]s.
///
/// Clones share the keys that were made of passwords, so that only the first connection of a user has to hash
/// its password. Keys are kept for 256 users at most. The next login drops those that weren't used for 15
/// minutes.
///
/// ```no_run
/// use std::time::Duration;
/// use reql::Connector;
///
/// # async fn example() -> reql::Result<()> {
/// let connector = Connector::new("db.example:28015")
///     .user("ada", "secret")
///     .database("blog")
///     .timeout(Duration::from_secs(5));
/// let session = connector.connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    host: String,
    port: u16,
    credentials: Credentials,
    database: Option<Term>,
    timeout: Duration,
    max_answer: usize,
    patience: Patience,
    keys: Arc<KeptKeys>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
}

impl Connector {
    /// Connects to `host`, `host:port` or `[IPv6]:port`; the port is 28015 by default. The user is `admin`
    /// without a password.
    pub fn new(server: impl AsRef<str>) -> Self {
        let (host, port) = parse_server(server.as_ref());
        Connector::at(host, port)
    }

    /// Connects to this port of a host, which is a name or an address.
    pub fn at(host: impl Into<String>, port: u16) -> Self {
        Connector {
            host: host.into(),
            port,
            credentials: Credentials { user: "admin".to_owned(), password: Secret::default() },
            database: None,
            timeout: Duration::from_secs(20),
            max_answer: 256 << 20,
            patience: Patience { keepalive: Some(Duration::from_secs(60)), user_timeout: None },
            keys: Arc::new(KeptKeys::new()),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the user and the password. They are sent as they are, without SASLprep (RFC 4013), as by the
    /// official drivers.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Credentials { user: name.into(), password: Secret::new(password) };
        self
    }

    /// Sets the database of tables that name none; `test` by default, which is the server's.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(r.db(name.into()));
        self
    }

    /// Sets the longest time for opening a session: name, TCP, TLS and handshake; 20 seconds by default. The
    /// addresses of a host are tried one after the other, each for its share of the time.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the most bytes of an answer: a batch of rows, or one value; 256 MiB by default. Memory is
    /// allocated as the bytes come.
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Sets the time after which a silent connection is probed by TCP's keep-alive; a minute by default, from
    /// a second to nine hours, never with `None`. When three answers are missing, the connection fails; on
    /// Linux, a [`user_timeout`](Connector::user_timeout) stands in for their number.
    pub fn keepalive(mut self, idle: Option<Duration>) -> Self {
        self.patience.keepalive = idle;
        self
    }

    /// Sets the time that sent bytes may stay unacknowledged until the connection fails (`TCP_USER_TIMEOUT`,
    /// RFC 5482); the system's default is about a quarter of an hour. Linux only, elsewhere it does nothing.
    pub fn user_timeout(mut self, limit: Option<Duration>) -> Self {
        self.patience.user_timeout = limit;
        self
    }

    /// Protects connections by TLS.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Opens a session. Passwords are hashed on a thread of their own; a server that asks for more than
    /// 1,048,576 rounds is refused (RethinkDB asks for 4096, and for one if the password is empty).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`], [`Timeout`](ErrorKind::Timeout), [`Tls`](ErrorKind::Tls),
    /// [`Refused`](ErrorKind::Refused), [`Impostor`](ErrorKind::Impostor), and
    /// [`Protocol`](ErrorKind::Protocol) if it is no RethinkDB server's port.
    pub async fn connect(&self) -> Result<Session<Stream>> {
        self.connect_with(&self.credentials).await
    }

    /// Opens a session for another user. It costs no hash if that user got in before with this password.
    ///
    /// # Errors
    ///
    /// As [`connect`](Connector::connect).
    pub async fn connect_as(&self, user: &str, password: &str) -> Result<Session<Stream>> {
        let credentials = Credentials { user: user.to_owned(), password: Secret::new(password) };
        self.connect_with(&credentials).await
    }

    /// Opens a session over a stream that is connected already, such as one end of `tokio::io::duplex`. TLS
    /// is not added.
    ///
    /// # Errors
    ///
    /// As [`connect`](Connector::connect).
    pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(&self, io: S) -> Result<Session<S>> {
        self.shake_hands_in_time(io, &self.credentials).await
    }

    /// Opens a session over a stream that is connected already, for another user.
    ///
    /// # Errors
    ///
    /// As [`connect`](Connector::connect).
    pub async fn connect_over_as<S>(&self, io: S, user: &str, password: &str) -> Result<Session<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let credentials = Credentials { user: user.to_owned(), password: Secret::new(password) };
        self.shake_hands_in_time(io, &credentials).await
    }

    async fn shake_hands_in_time<S>(&self, io: S, credentials: &Credentials) -> Result<Session<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match tokio::time::timeout(self.timeout, self.shake_hands(io, credentials)).await {
            Ok(session) => session,
            Err(_) => Err(self.too_slow("the handshake")),
        }
    }

    async fn connect_with(&self, credentials: &Credentials) -> Result<Session<Stream>> {
        let mut step = "";
        match tokio::time::timeout(self.timeout, self.open(credentials, &mut step)).await {
            Ok(session) => session,
            Err(_) => Err(self.too_slow(step)),
        }
    }

    async fn open(&self, credentials: &Credentials, step: &mut &str) -> Result<Session<Stream>> {
        *step = "the connection";
        let failed = |error| Error::io(&format!("connecting to {}:{}", self.host, self.port), error);
        let tcp = dial(&self.host, self.port, self.timeout).await.map_err(failed)?;
        self.patience.apply(&tcp).map_err(failed)?;
        *step = "the handshake of TLS";
        let stream = self.protect(tcp).await?;
        *step = "the handshake";
        Ok(self.shake_hands(stream, credentials).await?.looking(Stream::look))
    }

    #[cfg(feature = "tls")]
    async fn protect(&self, tcp: TcpStream) -> Result<Stream> {
        match &self.tls {
            Some(tls) => tls.connect(tcp, &self.host).await.map(Stream::tls),
            None => Ok(Stream::plain(tcp)),
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn protect(&self, tcp: TcpStream) -> Result<Stream> {
        Ok(Stream::plain(tcp))
    }

    async fn shake_hands<S>(&self, mut io: S, credentials: &Credentials) -> Result<Session<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut inbound = Inbound::new(self.max_answer);
        handshake::perform(&mut io, &mut inbound, credentials, &self.keys).await?;
        Ok(Session::new(io, inbound, self.database.clone()))
    }

    fn too_slow(&self, step: &str) -> Error {
        Error::new(ErrorKind::Timeout, format!("{step} wasn't there within {:?}", self.timeout))
    }
}

fn parse_server(server: &str) -> (String, u16) {
    let with_port = server.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = match with_port {
        // Without brackets, the last part of an IPv6 address is no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (server, PORT),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for (text, host, port) in [
            ("db", "db", 28015),
            ("db:1", "db", 1),
            ("127.0.0.1:28016", "127.0.0.1", 28016),
            ("[::1]:2", "::1", 2),
            ("[::1]", "::1", 28015),
            ("::1", "::1", 28015),
            ("fe80::1:2", "fe80::1:2", 28015),
        ] {
            assert_eq!(parse_server(text), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn shows_no_password() {
        let shown = format!("{:?}", Connector::new("db").user("ada", "open sesame"));
        assert!(shown.contains("ada") && !shown.contains("sesame"), "{shown}");
    }
}
