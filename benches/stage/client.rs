//! A client that asks one request after another on one connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Blocking, so that the requests of many clients are paced by the operating system, not by one more runtime.
pub struct Client {
    stream: TcpStream,
    buffer: [u8; 2048],
}

impl Client {
    pub fn connect(addr: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, buffer: [0; 2048] })
    }

    /// One request, whose answer must be a success. Only the whole API looks at its path.
    pub fn get(&mut self) -> io::Result<()> {
        self.stream.write_all(b"GET /tables/rows/docs/1 HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
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

/// Whether an answer is there with all of its body.
fn complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()) == Some(body.len())
}
