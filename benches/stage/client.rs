//! A client that asks one request after another on one connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use headers::Authorization;
use headers::authorization::Credentials;
use memchr::memmem;

/// The address to send requests to, and the credentials, which only the whole API reads.
#[derive(Debug, Clone)]
pub struct Target {
    addr: SocketAddr,
    request: Arc<str>,
}

impl Target {
    /// Asks there as the administrator, with this password.
    pub fn new(addr: SocketAddr, password: &str) -> Target {
        let who = Authorization::basic("admin", password).0.encode();
        let who = who.to_str().expect("Base64 is text");
        let head = format!("host: localhost\r\nauthorization: {who}");
        Target { addr, request: format!("GET /tables/rows/docs/1 HTTP/1.1\r\n{head}\r\n\r\n").into() }
    }
}

/// Blocking, so that the requests of many clients are paced by the operating system, not by one more runtime.
pub struct Client {
    stream: TcpStream,
    request: Arc<str>,
    buffer: [u8; 2048],
}

impl Client {
    pub fn connect(target: &Target) -> io::Result<Client> {
        let stream = TcpStream::connect(target.addr)?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, request: target.request.clone(), buffer: [0; 2048] })
    }

    /// One request, whose answer must be a success. Only the whole API looks at its path.
    pub fn get(&mut self) -> io::Result<()> {
        self.stream.write_all(self.request.as_bytes())?;
        let mut read = 0;
        while !complete(&self.buffer[..read]) {
            match self.stream.read(&mut self.buffer[read..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        match self.buffer.starts_with(b"HTTP/1.1 200") {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&self.buffer[..read]).into_owned())),
        }
    }
}

/// Returns whether an answer is there with all of its body. It is not the clients that are measured, so they
/// do no more than that.
fn complete(answer: &[u8]) -> bool {
    let Some(end) = memmem::find(answer, b"\r\n\r\n") else { return false };
    let Some(length) = memmem::find(answer, b"content-length: ") else { return false };
    let digits = answer[length..].iter().skip_while(|byte| !byte.is_ascii_digit());
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.len() == end + 4 + length
}
