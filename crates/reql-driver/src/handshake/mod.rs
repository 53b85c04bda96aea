//! The first bytes of a connection: V1_0 of the protocol, whose messages are JSON that ends with NUL.
//!
//! The client's first two messages leave together, which the protocol allows and saves a round trip.

mod keys;
mod scram;

use std::future::poll_fn;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, ErrorKind, Result, told};
use crate::secret::Secret;
use crate::wire::Inbound;
pub(crate) use keys::KeptKeys;
use scram::{Challenge, First, Keys};

/// `VersionDummy.Version.V1_0` in `ql2.proto`.
const MAGIC: u32 = 0x34c2_bdc3;

/// The version of the protocol within V1_0.
const PROTOCOL_VERSION: i64 = 0;

/// The longest message that a server may send.
const MAX_MESSAGE: usize = 16 << 10;

/// The number of rounds up to which a password is hashed at once: a few microseconds. RethinkDB asks for one
/// if the password is empty.
const FEW_ROUNDS: u32 = 16;

/// The error codes that RethinkDB's drivers report as a failed authentication.
const WRONG_PASSWORD: i64 = 12;

/// The user that wants to get in.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// The client's first message, behind the number of the protocol.
#[derive(Serialize)]
struct Hello<'a> {
    protocol_version: i64,
    authentication_method: &'a str,
    authentication: String,
}

/// The client's last message.
#[derive(Serialize)]
struct Proof<'a> {
    authentication: &'a str,
}

#[derive(Deserialize)]
struct Message {
    success: bool,
    error: Option<String>,
    error_code: Option<i64>,
    authentication: Option<String>,
    min_protocol_version: Option<i64>,
    max_protocol_version: Option<i64>,
}

/// Performs the client's side of the handshake. What was read beyond it stays in the buffer.
pub(crate) async fn perform<S>(
    io: &mut S,
    inbound: &mut Inbound,
    credentials: &Credentials,
    kept: &KeptKeys,
) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = First::new(&credentials.user)?;
    let mut hello = MAGIC.to_le_bytes().to_vec();
    hello.extend(text(&Hello {
        protocol_version: PROTOCOL_VERSION,
        authentication_method: "SCRAM-SHA-256",
        authentication: first.message(),
    })?);
    send(io, &hello).await?;

    check_version(&receive(io, inbound).await?)?;
    let challenge = first.challenge(&authentication(receive(io, inbound).await?)?)?;
    let (keys, is_new) = match kept.get(&credentials.user, &credentials.password, &challenge) {
        Some(keys) => (keys, false),
        None => (derive(&credentials.password, &challenge).await?, true),
    };
    let last = first.prove(&challenge, &keys);
    send(io, &text(&Proof { authentication: &last.message })?).await?;

    let welcome = receive(io, inbound).await.inspect_err(|error| {
        if error.kind() == ErrorKind::Refused(WRONG_PASSWORD) {
            kept.forget(&credentials.user, &credentials.password);
        }
    })?;
    last.verify(&authentication(welcome)?, &keys)?;
    if is_new && challenge.rounds > FEW_ROUNDS {
        kept.keep(&credentials.user, &credentials.password, &challenge, keys);
    }
    Ok(())
}

async fn derive(password: &Secret, challenge: &Challenge) -> Result<Keys> {
    let (rounds, salt) = (challenge.rounds, challenge.salt.clone());
    if rounds <= FEW_ROUNDS {
        return Ok(Keys::derive(password.expose(), &salt, rounds));
    }
    let password = password.clone();
    let hashing = tokio::task::spawn_blocking(move || Keys::derive(password.expose(), &salt, rounds));
    hashing.await.map_err(|error| Error::new(ErrorKind::Io, format!("the password wasn't hashed: {error}")))
}

fn text(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(message).map_err(io::Error::from).map_err(|error| lost(error, &[]))?;
    text.push(0);
    Ok(text)
}

fn check_version(message: &Message) -> Result<()> {
    match (message.min_protocol_version, message.max_protocol_version) {
        (Some(min), Some(max)) if (min..=max).contains(&PROTOCOL_VERSION) => Ok(()),
        _ => Err(Error::new(ErrorKind::Protocol, "the server doesn't speak version 0 of the protocol")),
    }
}

fn authentication(message: Message) -> Result<String> {
    message
        .authentication
        .ok_or_else(|| Error::new(ErrorKind::Protocol, "a message of the handshake has no `authentication`"))
}

async fn send<S: AsyncWrite + Unpin>(io: &mut S, bytes: &[u8]) -> Result<()> {
    let sent = async {
        io.write_all(bytes).await?;
        io.flush().await
    };
    sent.await.map_err(|error| lost(error, &[]))
}

async fn receive<S: AsyncRead + Unpin>(io: &mut S, inbound: &mut Inbound) -> Result<Message> {
    let len = loop {
        let rest = inbound.rest();
        if let Some(len) = rest.iter().take(MAX_MESSAGE).position(|byte| *byte == 0) {
            break len;
        }
        if rest.len() >= MAX_MESSAGE || is_tls(rest) {
            return Err(no_server(rest));
        }
        match poll_fn(|cx| inbound.poll_fill(io, cx)).await {
            Ok(0) => return Err(lost(io::ErrorKind::UnexpectedEof.into(), inbound.rest())),
            Ok(_) => {}
            Err(error) => return Err(lost(error, inbound.rest())),
        }
    };
    let parsed = match inbound.rest().get(..len) {
        Some(text) => serde_json::from_slice::<Message>(text).map_err(|_| no_server(text)),
        None => Err(no_server(&[])),
    };
    inbound.advance(len + 1);
    let message = parsed?;
    if message.success {
        return Ok(message);
    }
    let code = message.error_code.unwrap_or_default();
    let reason = message.error.map_or_else(|| "it gives no reason".to_owned(), |reason| told(&reason));
    Err(Error::new(ErrorKind::Refused(code), format!("the server lets nobody in: {reason}")))
}

/// Tells if the bytes begin an alert or a handshake of TLS.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, ..])
}

/// Returns the error of an answer that isn't a server's.
fn no_server(said: &[u8]) -> Error {
    if is_tls(said) {
        return Error::new(ErrorKind::Tls, "the server speaks TLS, but the connection was to be without");
    }
    let said: String = String::from_utf8_lossy(said).chars().filter(|c| !c.is_control()).take(200).collect();
    let message = format!("this is no RethinkDB server's port for drivers, it says: {said}");
    Error::new(ErrorKind::Protocol, message)
}

/// Returns the error of a connection that failed before the handshake was over.
fn lost(error: io::Error, said: &[u8]) -> Error {
    #[cfg(feature = "tls")]
    if let Some(error) = crate::tls::alert(&error) {
        return error;
    }
    if error.kind() == io::ErrorKind::UnexpectedEof && !said.is_empty() {
        return no_server(said);
    }
    Error::io("the handshake went on (does the server expect TLS?)", error)
}
