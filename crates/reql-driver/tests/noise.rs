//! A server whose messages are damaged at random: the client gets an answer or an error in time, and nothing
//! else. `REQL_ROUNDS` says how many rounds, `REQL_SEED` which.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use reql::{Connector, ErrorKind, Sent, r};
use support::fake::{self, Flaw};
use support::{Chance, rounds};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);
/// The longest answer that the client takes, in bytes.
const LONGEST: usize = 1 << 16;

/// Messages of servers in a handshake, and of programs that are no such server.
const GREETINGS: &[&[u8]] = &[
    b"{\"success\":true,\"min_protocol_version\":0,\"max_protocol_version\":0,\
       \"server_version\":\"2.4.4\"}\0",
    b"{\"success\":true,\"authentication\":\"r=abc,s=c2FsdA==,i=4096\"}\0",
    b"{\"success\":true,\"authentication\":\"v=abc\"}\0",
    b"{\"success\":false,\"error\":\"no\",\"error_code\":12}\0",
    b"ERROR: unsupported protocol version\n\0",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x16\x03\x01\0",
    b"{\"success\":true,\"authentication\":\"r=,s=,i=99999999999\"}\0",
];

/// Answers to queries, of every type, and some that are none.
const ANSWERS: &[&str] = &[
    r#"{"t":1,"r":[{"a":[1,2.5,"x",null]}],"n":[]}"#,
    r#"{"t":2,"r":[1,2,3],"n":[]}"#,
    r#"{"t":3,"r":[1,{"b":"]}"}],"n":[1,5]}"#,
    r#"{"t":4,"r":[]}"#,
    r#"{"t":5,"r":[{"id":"x","name":"n","proxy":false}]}"#,
    r#"{"t":16,"r":["bad"],"b":[]}"#,
    r#"{"t":18,"r":["wrong"],"b":[0,"a",9999999999],"e":4100000}"#,
    r#"{"r":{},"t":"1","p":[[]]}"#,
    r#"{"t":1,"r":[],"n":[],"p":[{"description":"x"}]}"#,
    "[]",
];

/// Changes some bytes: flips, drops, doubles or cuts them.
fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..chance.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = chance.below(bytes.len() as u64) as usize;
        match chance.below(5) {
            0 => bytes[at] = chance.below(256) as u8,
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => bytes.extend_from_within(at..),
            _ => {
                let digit = b"0123456789-[]{}\",:\\\0"[chance.below(20) as usize];
                bytes.insert(at, digit);
            }
        }
    }
}

/// Sends bytes in pieces of any size.
async fn say(io: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8], chance: &mut Chance) {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(bytes.len().min(1 + chance.below(40) as usize));
        if io.write_all(piece).await.is_err() {
            return;
        }
        bytes = rest;
    }
}

fn connector() -> Connector {
    Connector::new("fake").user("user", "pencil").max_answer(LONGEST).timeout(SOON)
}

#[tokio::test]
async fn damaged_handshakes() {
    let mut chance = Chance::new();
    for _ in 0..rounds(500) {
        let (client, mut io) = fake::pipe(1 << 10);
        let mut said = Vec::new();
        for _ in 0..1 + chance.below(4) {
            said.extend_from_slice(GREETINGS[chance.below(GREETINGS.len() as u64) as usize]);
        }
        damage(&mut said, &mut chance);
        let seed = chance.below(u64::MAX);
        let server = async {
            say(&mut io, &said, &mut Chance::seeded(seed)).await;
            let _ = io.shutdown().await;
            let _ = io.read_to_end(&mut Vec::new()).await;
        };
        let connector = connector();
        let connect = async {
            let connected = connector.connect_over(client).await;
            connected.map(drop).expect_err("nobody here knows the password")
        };
        let both = timeout(SOON, async { tokio::join!(connect, server).0 });
        let error = both.await.expect("an error in time");
        assert_eq!(error.query_sent(), Sent::NotSent, "{error}: {}", String::from_utf8_lossy(&said));
    }
}

/// Frames for an answer to the query with this token, damaged, and what comes after them.
fn answers(token: u64, chance: &mut Chance) -> Vec<u8> {
    let mut said = Vec::new();
    for _ in 0..1 + chance.below(3) {
        let mut payload = ANSWERS[chance.below(ANSWERS.len() as u64) as usize].as_bytes().to_vec();
        damage(&mut payload, chance);
        let mut header = token.to_le_bytes().to_vec();
        header.extend((payload.len() as u32).to_le_bytes());
        if chance.below(10) == 0 {
            damage(&mut header, chance);
        }
        said.extend(header);
        said.extend(payload);
    }
    said
}

#[tokio::test]
async fn damaged_answers() {
    let mut chance = Chance::new();
    for _ in 0..rounds(500) {
        let (client, mut io) = fake::pipe(1 << 10);
        let mut server = Chance::seeded(chance.below(u64::MAX));
        tokio::spawn(async move {
            fake::shake_hands(&mut io, Flaw::None).await;
            let (token, _) = fake::query(&mut io).await;
            let said = answers(token, &mut server);
            say(&mut io, &said, &mut server).await;
            let _ = io.shutdown().await;
            let _ = io.read_to_end(&mut Vec::new()).await;
        });
        let mut session = connector().connect_over(client).await.unwrap();
        let asked = async {
            let rows = session.all::<serde_json::Value>(r.table("t")).await;
            let settled = session.settle(SOON).await;
            (rows, settled)
        };
        let (rows, settled) = timeout(SOON, asked).await.expect("an answer or an error in time");
        match rows {
            Ok(rows) => assert!(rows.len() < LONGEST, "{}", rows.len()),
            Err(error) => assert_ne!(error.kind(), ErrorKind::Timeout, "{error}"),
        }
        // What is left of the answer is read, or the session is of no use.
        assert!(settled.is_ok() || session.is_closed());
    }
}
