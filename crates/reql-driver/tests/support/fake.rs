//! A server that follows a test's script.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

/// The flaws of a server's handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    Rounds(u32),
    Nonce,
    Signature,
}

/// The rounds of the server's hash: few, but more than the client hashes without a thread of their own.
const ROUNDS: u32 = 32;

/// Returns both ends of a pipe that takes `size` bytes at once: with 1, each byte comes alone.
pub fn pipe(size: usize) -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(size)
}

fn hash(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

async fn text<S: AsyncRead + Unpin>(io: &mut S) -> Option<String> {
    let mut text = Vec::new();
    loop {
        match io.read_u8().await.ok()? {
            0 => return String::from_utf8(text).ok(),
            byte => text.push(byte),
        }
    }
}

async fn say<S: AsyncWrite + Unpin>(io: &mut S, message: &str) -> Option<()> {
    io.write_all(format!("{message}\0").as_bytes()).await.ok()
}

async fn hear<S: AsyncRead + Unpin>(io: &mut S) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(&text(io).await?).ok()?;
    message["authentication"].as_str().map(str::to_owned)
}

fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

/// Sends the three messages of a server, each when its turn has come. The password is "pencil". The server
/// hangs up on a client that doesn't know it.
pub async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, flaw: Flaw) {
    let _ = try_shake_hands(io, flaw).await;
}

async fn try_shake_hands<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S, flaw: Flaw) -> Option<()> {
    assert_eq!(io.read_u32_le().await.ok()?, 0x34c2_bdc3);
    let bare = hear(io).await?.strip_prefix("n,,")?.to_owned();
    let versions = r#""min_protocol_version":0,"max_protocol_version":0,"server_version":"2.4.4""#;
    say(io, &format!(r#"{{"success":true,{versions}}}"#)).await?;

    let rounds = if let Flaw::Rounds(rounds) = flaw { rounds } else { ROUNDS };
    let nonce = if flaw == Flaw::Nonce { "somebody-elses" } else { attribute(&bare, "r=")? };
    let challenge = format!("r={nonce}server,s={},i={rounds}", BASE64_STANDARD.encode("salt"));
    say(io, &format!(r#"{{"success":true,"authentication":"{challenge}"}}"#)).await?;
    if !matches!(flaw, Flaw::None | Flaw::Signature) {
        return None;
    }

    let last = hear(io).await?;
    let (without_proof, proof) = last.rsplit_once(",p=")?;
    let signed = format!("{bare},{challenge},{without_proof}");
    let salted: [u8; 32] = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(b"pencil", b"salt", rounds);
    let client = hash(&salted, b"Client Key");
    let signature = hash(&Sha256::digest(client), signed.as_bytes());
    let expected: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    if BASE64_STANDARD.decode(proof).ok()? != expected {
        return None;
    }
    let mut signature = hash(&hash(&salted, b"Server Key"), signed.as_bytes());
    signature[31] ^= u8::from(flaw == Flaw::Signature);
    let signature = BASE64_STANDARD.encode(signature);
    say(io, &format!(r#"{{"success":true,"authentication":"v={signature}"}}"#)).await
}

/// Reads a query: its token and its JSON.
pub async fn query<S: AsyncRead + Unpin>(io: &mut S) -> (u64, String) {
    let token = io.read_u64_le().await.unwrap();
    let mut payload = vec![0; io.read_u32_le().await.unwrap() as usize];
    io.read_exact(&mut payload).await.unwrap();
    (token, String::from_utf8(payload).unwrap())
}

pub fn frame(token: u64, payload: &str) -> Vec<u8> {
    let mut frame = token.to_le_bytes().to_vec();
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(payload.as_bytes());
    frame
}

pub async fn answer<S: AsyncWrite + Unpin>(io: &mut S, token: u64, payload: &str) {
    io.write_all(&frame(token, payload)).await.unwrap();
}
