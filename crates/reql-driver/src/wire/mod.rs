//! The bytes on the wire: frames, and the answers in them.

mod answer;
mod elements;
mod inbound;
mod lists;

use crate::error::{Error, ErrorKind, Result};
pub use answer::Form;
pub(crate) use answer::{Answer, AnswerKind, rows_of};
pub(crate) use elements::Elements;
pub(crate) use inbound::{Frame, Inbound, TooLong};

/// A token and a length stand before each payload.
pub(crate) const HEADER_LEN: usize = 12;

/// The most bytes of a query. RethinkDB closes the connection on a longer one.
const MAX_QUERY: usize = (128 << 20) - 1;

/// The numbers of the queries without a term: `Query.QueryType` in `ql2.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Continue,
    Stop,
    NoreplyWait,
    ServerInfo,
}

impl Request {
    fn payload(self) -> &'static [u8] {
        match self {
            Request::Continue => b"[2]",
            Request::Stop => b"[3]",
            Request::NoreplyWait => b"[4]",
            Request::ServerInfo => b"[5]",
        }
    }

    /// Appends the request as a frame.
    pub(crate) fn write(self, token: u64, out: &mut Vec<u8>) {
        let payload = self.payload();
        out.extend_from_slice(&token.to_le_bytes());
        // A few bytes.
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(payload);
    }
}

/// Appends a frame whose payload is written by a function. Appends nothing if the function fails or writes
/// more than a server takes.
pub(crate) fn write_frame(
    token: u64,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&token.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    if let Err(error) = payload(out) {
        out.truncate(start);
        return Err(error);
    }
    let len = out.len() - start - HEADER_LEN;
    match (u32::try_from(len), out.get_mut(start + 8..start + HEADER_LEN)) {
        (Ok(prefix), Some(slot)) if len <= MAX_QUERY => slot.copy_from_slice(&prefix.to_le_bytes()),
        _ => {
            out.truncate(start);
            let message = format!("the query has {len} bytes, and a server takes {MAX_QUERY} at most");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_as_long_as_a_server_takes() {
        let mut out = vec![7];
        let write = |out: &mut Vec<u8>, len| {
            write_frame(1, out, |out| {
                out.resize(out.len() + len, b' ');
                Ok(())
            })
        };
        let error = write(&mut out, MAX_QUERY + 1).unwrap_err();
        assert_eq!((error.kind(), error.message().contains("134217728 bytes")), (ErrorKind::Invalid, true));
        assert_eq!(out, [7], "nothing of it is left");
        write(&mut out, MAX_QUERY).unwrap();
        assert_eq!((out.len(), &out[9..13]), (1 + HEADER_LEN + MAX_QUERY, &[0xff, 0xff, 0xff, 0x07][..]));
    }
}
