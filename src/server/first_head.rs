//! The first head of a connection, which is waited for in little memory.
//!
//! Hyper has 8 KiB to write and as much to read for each connection that it serves, and twice as much to read
//! once a part of a head has come. A client may connect thousands of times and send nothing, or a part of a
//! head. So a connection is hyper's only when its first head is there.

use std::io;

use httparse::{EMPTY_HEADER, Request};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The bytes that are kept of a first head. Hyper reads the rest of a longer one, such as with many cookies.
const KEPT: usize = 1 << 10;
/// The headers that are looked at. Hyper reads a head with more.
const HEADERS: usize = 32;

/// Reads from a connection until its first head is there, or what can't become one: `KEPT` bytes, the preface
/// of HTTP/2, what isn't HTTP, or the end. Returns all that was read.
///
/// # Errors
///
/// If the stream can't be read.
pub(super) async fn first_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut read = Vec::with_capacity(KEPT);
    while may_become_one(&read) && read.len() < KEPT {
        if stream.read_buf(&mut read).await? == 0 {
            break;
        }
    }
    read.shrink_to_fit();
    Ok(read)
}

/// Returns true if these bytes are the beginning of a head, and not all of it.
fn may_become_one(read: &[u8]) -> bool {
    let mut headers = [EMPTY_HEADER; HEADERS];
    Request::new(&mut headers).parse(read).is_ok_and(|parsed| parsed.is_partial())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    const HEAD: &[u8] = b"POST /tables HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n";

    /// Returns what is read of a connection on which this was sent and more may follow; `None` if that is
    /// waited for.
    fn read(sent: &[u8]) -> Option<Vec<u8>> {
        let (mut ours, mut theirs) = duplex(64 << 10);
        theirs.write_all(sent).now_or_never().unwrap().unwrap();
        first_head(&mut ours).now_or_never().map(Result::unwrap)
    }

    #[test]
    fn a_whole_head_is_waited_for() {
        for end in 0..HEAD.len() {
            assert_eq!(read(&HEAD[..end]), None, "{end}");
        }
        assert_eq!(read(HEAD).unwrap(), HEAD);
        let with_body = [HEAD, b"{}"].concat();
        assert_eq!(read(&with_body).unwrap(), with_body);
    }

    #[test]
    fn nothing_is_waited_for_after_what_is_no_head() {
        let crowded = [&b"GET / HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(HEADERS + 1)].concat();
        for sent in [b"PRI * HTTP/2.0\r\n", &b"\x16\x03\x01"[..], b"SSH-2.0-x\r\n", b"GET / HTTP/9", &crowded]
        {
            assert_eq!(read(sent).unwrap(), sent);
        }
    }

    #[test]
    fn little_is_kept() {
        let long = [&b"GET /"[..], &b"x".repeat(32 << 10)].concat();
        let read = read(&long).unwrap();
        assert_eq!(read, &long[..KEPT]);
        assert!(read.capacity() <= KEPT);
    }

    #[tokio::test]
    async fn the_end_is_told_with_what_came_before() {
        let (mut ours, mut theirs) = duplex(64);
        theirs.write_all(&HEAD[..9]).await.unwrap();
        drop(theirs);
        assert_eq!(first_head(&mut ours).await.unwrap(), &HEAD[..9]);
    }
}
