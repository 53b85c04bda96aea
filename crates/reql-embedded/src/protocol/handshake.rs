//! The first bytes of a connection: the client's user, and its dialect.
//!
//! V1_0 exchanges JSON objects that end with NUL; V0_3 and V0_4 send a key and get a word. Each message
//! leaves in one write, because some drivers read each with one read. If a client has sent its messages
//! ahead, the answers to them leave together.

use std::io;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::frame::Inbound;
use super::scram::{AuthError, ClientFirst, Exchange};
use crate::budget::Budget;
use crate::budget::fuel::{self, Place};
use crate::budget::memory::Pool;
use crate::credentials::Credentials;
use crate::interrupt::{Interrupt, Reason};
use crate::term::RETHINKDB_VERSION;
use crate::workers::Lane;

const MAGIC_V0_1: u32 = 0x3f61_ba36;
const MAGIC_V0_2: u32 = 0x7230_81e1;
const MAGIC_V0_3: u32 = 0x5f75_e83e;
const MAGIC_V0_4: u32 = 0x400c_2d20;
const MAGIC_V1_0: u32 = 0x34c2_bdc3;

const PROTOCOL_PROTOBUF: u32 = 0x271f_fc41;
const PROTOCOL_JSON: u32 = 0x7e69_70c7;

/// The longest authorization key of the old dialects.
const MAX_KEY_LEN: u32 = 2048;

/// The longest message of V1_0, its NUL included, is one byte shorter.
const MAX_MESSAGE_LEN: usize = 2048;

/// The code of V1_0 for a version that this server doesn't speak.
const UNSUPPORTED_VERSION: i32 = 2;

/// The user of the old dialects, which know none.
const ADMIN: &str = "admin";

const PROTOBUF_REFUSED: &str = "The PROTOBUF client protocol is no longer supported";

/// A client that may send queries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) user: String,
    pub(crate) dialect: Dialect,
}

/// The server's first message.
#[derive(Serialize)]
struct Versions {
    max_protocol_version: i32,
    min_protocol_version: i32,
    server_version: &'static str,
    success: bool,
}

impl Versions {
    const OF_THIS_SERVER: Versions = Versions {
        max_protocol_version: 0,
        min_protocol_version: 0,
        server_version: RETHINKDB_VERSION,
        success: true,
    };
}

/// The server's other messages to a client that has done nothing wrong.
#[derive(Serialize)]
struct Step<'a> {
    authentication: &'a str,
    success: bool,
}

/// The differences between the dialects after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// V0_3: one query at a time; a feed without news is answered with an empty batch.
    Sequential,
    /// V0_4 and V1_0: many queries at a time; a feed is answered when there is news.
    Parallel,
}

/// The reason why a client was not welcomed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The socket failed or was closed.
    Io(io::Error),
    /// The client did something wrong and is to get this text.
    Told(Vec<u8>),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Io(error)
    }
}

/// The server that clients authenticate to.
pub(crate) struct Host<'a> {
    /// Function that returns the stored form of a user's password; `None` if there is no such user.
    pub(crate) credentials: &'a (dyn Fn(&str) -> Option<Credentials> + Send + Sync),
    /// Lane of the threads on which passwords are stretched.
    pub(crate) hashing: &'a Lane,
}

/// Performs the server's side of the handshake.
pub(crate) async fn perform<S>(
    stream: &mut S,
    inbound: &mut Inbound,
    host: Host<'_>,
) -> Result<Welcome, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire { stream, inbound, outbound: Vec::new() };
    match greet(&mut wire, &host).await {
        Ok(welcome) => {
            wire.flush().await?;
            Ok(welcome)
        }
        Err(Refusal::Told(text)) => Err(Refusal::Told([wire.outbound, text].concat())),
        Err(refusal) => Err(refusal),
    }
}

async fn greet<S>(wire: &mut Wire<'_, S>, host: &Host<'_>) -> Result<Welcome, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match wire.integer().await? {
        MAGIC_V1_0 => authenticate(wire, host).await,
        MAGIC_V0_4 => check_key(wire, host, Dialect::Parallel).await,
        MAGIC_V0_3 => check_key(wire, host, Dialect::Sequential).await,
        MAGIC_V0_1 | MAGIC_V0_2 => Err(plain(PROTOBUF_REFUSED)),
        _ => Err(plain(
            "Received an unsupported protocol version. This port is for RethinkDB queries. Does your client \
             driver version not match the server?",
        )),
    }
}

/// Authenticates by V1_0: SCRAM-SHA-256.
async fn authenticate<S>(wire: &mut Wire<'_, S>, host: &Host<'_>) -> Result<Welcome, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.send(&Versions::OF_THIS_SERVER);

    let message = wire.message().await?;
    check_version(&message)?;
    let first = ClientFirst::parse(authentication(&message)?)?;
    let user = first.user.clone();
    let credentials = (host.credentials)(&user);
    let exchange = Exchange::new(first, credentials);
    wire.send(&Step { authentication: exchange.challenge(), success: true });

    let message = wire.message().await?;
    let signature = exchange.finish(authentication(&message)?)?;
    wire.send(&Step { authentication: &signature, success: true });
    Ok(Welcome { user, dialect: Dialect::Parallel })
}

fn check_version(message: &Map<String, Value>) -> Result<(), Refusal> {
    match message.get("protocol_version").and_then(Value::as_f64) {
        None => return Err(coded(1, "Expected a number for `protocol_version`.")),
        Some(version) if version != 0.0 => {
            return Err(coded(UNSUPPORTED_VERSION, "Unsupported `protocol_version`."));
        }
        Some(_) => {}
    }
    match message.get("authentication_method").and_then(Value::as_str) {
        None => Err(coded(3, "Expected a string for `authentication_method`.")),
        Some("SCRAM-SHA-256") => Ok(()),
        Some(_) => Err(coded(4, "Unsupported `authentication_method`.")),
    }
}

fn authentication(message: &Map<String, Value>) -> Result<&str, Refusal> {
    message
        .get("authentication")
        .and_then(Value::as_str)
        .ok_or_else(|| coded(5, "Expected a string for `authentication`."))
}

/// Checks the key of V0_3 and V0_4, which is the password of `admin`.
async fn check_key<S>(wire: &mut Wire<'_, S>, host: &Host<'_>, dialect: Dialect) -> Result<Welcome, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let len = wire.integer().await?;
    if len > MAX_KEY_LEN {
        return Err(plain("Client provided an authorization key that is too long."));
    }
    let key = wire.bytes(len as usize).await?;
    if !is_admins_password(host, key.to_vec()).await {
        return Err(plain("Incorrect authorization key."));
    }
    match wire.integer().await? {
        PROTOCOL_JSON => {}
        PROTOCOL_PROTOBUF => return Err(plain(PROTOBUF_REFUSED)),
        // RethinkDB shows it as a signed number.
        other => return Err(plain(&format!("Unrecognized protocol specified: '{}'", other as i32))),
    }
    wire.outbound.extend_from_slice(b"SUCCESS\0");
    Ok(Welcome { user: ADMIN.to_owned(), dialect })
}

async fn is_admins_password(host: &Host<'_>, key: Vec<u8>) -> bool {
    let Some(credentials) = (host.credentials)(ADMIN) else { return false };
    let Ok(key) = String::from_utf8(key) else { return false };
    // Stretching a password takes milliseconds or more, and any client may cause it.
    let gone = Gone(Interrupt::default());
    let (interrupt, budget) = (gone.0.clone(), Budget::new(gone.0.clone(), Pool::default()));
    let check = move || fuel::within(&budget, Place::Worker, || Ok(credentials.matches(&key)));
    matches!(host.hashing.run(interrupt, check).await, Some(Ok(true)))
}

/// Ends work when it is dropped, as it is with the handshake of a client that has gone.
struct Gone(Interrupt);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.raise(Reason::Closed);
    }
}

/// Returns an error of the dialects before V1_0, and of clients that speak none.
fn plain(message: &str) -> Refusal {
    Refusal::Told(plain_text(message))
}

/// Returns an error that any driver can read before a dialect is agreed on.
pub(crate) fn plain_text(message: &str) -> Vec<u8> {
    format!("ERROR: {message}\n\0").into_bytes()
}

/// Returns the error for a client that speaks no TLS where TLS is spoken. It is in the client's dialect, by
/// the first byte that it sent.
#[cfg(feature = "tls")]
pub(crate) fn no_tls(first: u8) -> Vec<u8> {
    const MESSAGE: &str = "This port speaks TLS, and your client doesn't.";
    if first == MAGIC_V1_0.to_le_bytes()[0] {
        text(&error(UNSUPPORTED_VERSION, MESSAGE))
    } else {
        plain_text(MESSAGE)
    }
}

/// Returns an error of V1_0.
fn coded(code: i32, message: &str) -> Refusal {
    Refusal::Told(text(&error(code, message)))
}

fn error(code: i32, message: &str) -> Value {
    json!({ "error": message, "error_code": code, "success": false })
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        coded(error.code, error.message)
    }
}

fn text(message: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(message).expect("messages are text and numbers");
    text.push(0);
    text
}

/// A socket with its input and output: all output is written before more input is read.
struct Wire<'a, S> {
    stream: &'a mut S,
    inbound: &'a mut Inbound,
    outbound: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<'_, S> {
    async fn integer(&mut self) -> Result<u32, Refusal> {
        Ok(self.bytes(4).await?.get_u32_le())
    }

    async fn bytes(&mut self, len: usize) -> Result<BytesMut, Refusal> {
        loop {
            if let Some(bytes) = self.inbound.take(len) {
                return Ok(bytes);
            }
            self.fill().await?;
        }
    }

    async fn message(&mut self) -> Result<Map<String, Value>, Refusal> {
        let text = loop {
            match self.inbound.take_text() {
                Some(text) if text.len() + 1 < MAX_MESSAGE_LEN => break text,
                None if self.inbound.len() < MAX_MESSAGE_LEN => self.fill().await?,
                _ => return Err(coded(7, "Limited read buffer size.")),
            }
        };
        match serde_json::from_slice(&text) {
            Ok(Value::Object(message)) => Ok(message),
            Ok(_) => Err(coded(9, "Failed to convert JSON to datum.")),
            Err(_) => Err(coded(8, "Invalid JSON object.")),
        }
    }

    fn send(&mut self, message: &impl Serialize) {
        self.outbound.extend(text(message));
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.outbound).await?;
        self.stream.flush().await?;
        self.outbound.clear();
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Refusal> {
        self.flush().await?;
        if self.inbound.fill(self.stream).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }
}
