//! A client of live queries: server-sent events over a socket of its own.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;

/// A stream of events.
pub struct Events {
    stream: BufReader<TcpStream>,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The part of the next chunk that has arrived.
    raw: Vec<u8>,
    /// Text that has arrived and isn't parsed yet, without the chunked encoding.
    text: String,
    ended: bool,
}

/// An event, or a comment.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
    pub id: Option<String>,
    pub retry: Option<u64>,
    pub comment: Option<String>,
}

impl Events {
    /// Asks for a stream.
    pub async fn open(addr: SocketAddr, path: &str) -> Events {
        Events::open_with(addr, path, &[]).await
    }

    /// Asks for a stream with further headers.
    pub async fn open_with(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Events {
        let socket = TcpSocket::new_v4().expect("a socket");
        // What isn't read has to wait at the service rather than here.
        socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
        let stream = socket.connect(addr).await.expect("the service listens");
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n");
        if !headers.iter().any(|(name, _)| *name == "accept") {
            request.push_str("Accept: text/event-stream\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = BufReader::new(stream);
        stream.write_all(format!("{request}\r\n").as_bytes()).await.expect("the request is sent");
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, stream.read_line(&mut line)).await;
            assert!(read.expect("an answer in time").expect("an answer") > 0, "no answer: {lines:?}");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let header = |line: &String| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let headers = lines[1..].iter().map(header).collect();
        Events { stream, status, headers, raw: Vec::new(), text: String::new(), ended: false }
    }

    /// A header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The next event or comment; `None` at a clean end. Panics if the stream breaks off.
    pub async fn any(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = Event::parse(block);
                self.text = rest.to_owned();
                return Some(event);
            }
            if self.ended {
                assert_eq!(self.text, "", "half an event");
                return None;
            }
            self.read_chunk().await;
        }
    }

    /// The next event, without comments, within the time that tests have.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let event = timeout(PATIENCE, self.any()).await.expect("an event in time")?;
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    /// The next event's name, and what its data has as `old` and `new`.
    pub async fn change(&mut self) -> (String, Value, Value) {
        let event = self.next().await.expect("an event");
        let side = |name: &str| event.data.get(name).cloned().unwrap_or_else(|| Value::from("none"));
        (event.name.clone(), side("old"), side("new"))
    }

    /// Checks that the next event is `ready`.
    pub async fn ready(&mut self) {
        assert_eq!(self.next().await.expect("an event").name, "ready");
    }

    /// The problem document of an answer that is no stream.
    pub async fn problem(mut self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let mut body = vec![0; self.header("content-length").parse().expect("a length")];
        self.stream.read_exact(&mut body).await.expect("the whole body");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Reads more. What has come is kept if this is given up.
    async fn read_chunk(&mut self) {
        while !self.take_chunk() {
            let read = self.stream.read_buf(&mut self.raw).await.expect("more of the stream");
            assert!(read > 0, "the stream breaks off");
        }
    }

    /// Takes the next chunk out of what has come, if it is there as a whole.
    fn take_chunk(&mut self) -> bool {
        let Some(begin) = self.raw.windows(2).position(|end| end == b"\r\n") else { return false };
        let length = std::str::from_utf8(&self.raw[..begin]).expect("the length of a chunk");
        let length = usize::from_str_radix(length, 16).expect("the length of a chunk");
        let (begin, end) = (begin + 2, begin + 2 + length + 2);
        if self.raw.len() < end {
            return false;
        }
        self.text.push_str(std::str::from_utf8(&self.raw[begin..end - 2]).expect("UTF-8"));
        self.ended = length == 0;
        self.raw.drain(..end);
        true
    }
}

impl Event {
    fn parse(block: &str) -> Event {
        let mut event = Event::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').expect("a field");
            match field {
                "event" => event.name = value.to_owned(),
                "data" => event.data = serde_json::from_str(value).expect("JSON"),
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = value.parse().ok(),
                "" => event.comment = Some(value.to_owned()),
                _ => panic!("an unknown field: {line}"),
            }
        }
        event
    }
}
