//! A client of the wire protocol, one byte after the other.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reql_embedded::{LocalStream, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub const V0_3: u32 = 0x5f75_e83e;
pub const V0_4: u32 = 0x400c_2d20;
pub const V1_0: u32 = 0x34c2_bdc3;
pub const JSON: u32 = 0x7e69_70c7;

pub struct Client<S = TcpStream> {
    pub stream: S,
}

impl Client<LocalStream> {
    /// Opens a connection within the process, and goes through the handshake.
    pub async fn within(server: &Server) -> Self {
        let mut client = Self { stream: server.connect().await.expect("a running server") };
        let last = client.authenticate("admin", "").await;
        assert_eq!(last["success"], json!(true), "{last}");
        client
    }
}

impl Client {
    /// Opens a socket, without a handshake.
    pub async fn dial(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("a listening server");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream }
    }

    /// Opens a connection, and goes through the handshake.
    pub async fn connect(addr: SocketAddr) -> Self {
        let mut client = Self::dial(addr).await;
        let last = client.authenticate("admin", "").await;
        assert_eq!(last["success"], json!(true), "{last}");
        client
    }

    /// Opens a connection of an old dialect, and goes through the handshake.
    pub async fn connect_with_key(addr: SocketAddr, magic: u32, key: &str) -> Self {
        let mut client = Self::dial(addr).await;
        client.send(&key_handshake(magic, key, JSON)).await;
        assert_eq!(client.text().await, "SUCCESS");
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("an open connection");
    }

    /// Reads up to the next NUL.
    pub async fn text(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            match self.stream.read_u8().await.expect("a text that ends with NUL") {
                0 => return String::from_utf8(text).expect("UTF-8"),
                byte => text.push(byte),
            }
        }
    }

    pub async fn message(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }

    /// Goes through the V1_0 handshake; returns the last message, or the first refusal.
    pub async fn authenticate(&mut self, user: &str, password: &str) -> Value {
        self.send(&V1_0.to_le_bytes()).await;
        assert_eq!(self.message().await["success"], json!(true));
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r=clientnonce");
        self.send(&first_message(&format!("n,,{bare}"))).await;
        let challenge = self.message().await;
        let Some(server_first) = challenge["authentication"].as_str() else { return challenge };
        let (last, signature) = client_final(&bare, server_first, password);
        self.send(&message(&json!({ "authentication": last }))).await;
        let answer = self.message().await;
        if answer["success"] == json!(true) {
            assert_eq!(answer["authentication"], json!(format!("v={signature}")), "the server's own proof");
        }
        answer
    }

    pub async fn query(&mut self, token: i64, query: &str) {
        self.send(&frame(token, query.as_bytes())).await;
    }

    pub async fn answer(&mut self) -> (i64, Value) {
        let token = self.stream.read_i64_le().await.expect("a token");
        let len = self.stream.read_u32_le().await.expect("a length");
        let mut payload = vec![0; len as usize];
        self.stream.read_exact(&mut payload).await.expect("a payload");
        (token, serde_json::from_slice(&payload).expect("JSON"))
    }

    pub async fn ask(&mut self, token: i64, query: &str) -> Value {
        self.query(token, query).await;
        let (answered, answer) = self.answer().await;
        assert_eq!(answered, token);
        answer
    }

    /// Reads the rest of the output until the server closes the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.expect("a clean end");
        rest
    }
}

pub fn frame(token: i64, payload: &[u8]) -> Vec<u8> {
    let mut frame = token.to_le_bytes().to_vec();
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub fn message(value: &Value) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    bytes.push(0);
    bytes
}

pub fn first_message(authentication: &str) -> Vec<u8> {
    message(&json!({
        "protocol_version": 0,
        "authentication_method": "SCRAM-SHA-256",
        "authentication": authentication,
    }))
}

pub fn key_handshake(magic: u32, key: &str, protocol: u32) -> Vec<u8> {
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(&protocol.to_le_bytes());
    bytes
}

/// Computes the client's side of SCRAM: its last message, and the signature that the server has to show.
pub fn client_final(bare: &str, server_first: &str, password: &str) -> (String, String) {
    let part = |name: &str| {
        let part = server_first.split(',').find_map(|part| part.strip_prefix(name));
        part.unwrap_or_else(|| panic!("{name} in {server_first}"))
    };
    let salt = BASE64_STANDARD.decode(part("s=")).expect("base64");
    let iterations = part("i=").parse().expect("a number");
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &salt, iterations);
    let without_proof = format!("c=biws,r={}", part("r="));
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let client_key = hmac(&salted, b"Client Key");
    let signature = hmac(&Sha256::digest(client_key), auth_message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
    let server_signature = hmac(&hmac(&salted, b"Server Key"), auth_message.as_bytes());
    (format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)), BASE64_STANDARD.encode(server_signature))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
