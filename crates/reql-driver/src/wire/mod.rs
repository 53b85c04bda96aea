//! The bytes on the wire: frames, and the answers in them.

mod answer;
mod elements;
mod inbound;
mod lists;

pub use answer::Form;
pub(crate) use answer::{Answer, AnswerKind, rows_of};
pub(crate) use elements::Elements;
pub(crate) use inbound::{Frame, Inbound};

/// A token and a length stand before each payload.
pub(crate) const HEADER_LEN: usize = 12;

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
/// more than fits.
pub(crate) fn write_frame<E>(
    token: u64,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<bool, E> {
    let start = out.len();
    out.extend_from_slice(&token.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    if let Err(error) = payload(out) {
        out.truncate(start);
        return Err(error);
    }
    let len = u32::try_from(out.len() - start - HEADER_LEN);
    match (len, out.get_mut(start + 8..start + HEADER_LEN)) {
        (Ok(len), Some(slot)) => slot.copy_from_slice(&len.to_le_bytes()),
        _ => {
            out.truncate(start);
            return Ok(false);
        }
    }
    Ok(true)
}
