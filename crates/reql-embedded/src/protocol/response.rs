//! Responses, written by hand into the connection's output: `token, length,
//! {"t":..,"e":..,"r":[..],"b":..,"p":..,"n":..}`.

use std::io::Write;

use super::answer::{Batch, Error, ErrorClass, ErrorType, Frame, Note, ServerInfo};

const SUCCESS_ATOM: u8 = 1;
const SUCCESS_SEQUENCE: u8 = 2;
const SUCCESS_PARTIAL: u8 = 3;
const WAIT_COMPLETE: u8 = 4;
const SERVER_INFO: u8 = 5;
const CLIENT_ERROR: u8 = 16;
const COMPILE_ERROR: u8 = 17;
const RUNTIME_ERROR: u8 = 18;

/// The token and the length before each payload.
const HEADER_LEN: usize = 12;

/// The bytes around the text of an answer.
pub(crate) struct Around<'a> {
    kind: u8,
    profile: Option<&'a [u8]>,
    notes: Option<&'a [Note]>,
}

impl<'a> Around<'a> {
    /// Returns the bytes around one value.
    pub(crate) fn atom(profile: Option<&'a [u8]>) -> Self {
        Around { kind: SUCCESS_ATOM, profile, notes: None }
    }

    /// Returns the bytes around rows of a stream. `done` is true with its last ones.
    pub(crate) fn batch(batch: &'a Batch, done: bool) -> Self {
        let kind = if done { SUCCESS_SEQUENCE } else { SUCCESS_PARTIAL };
        Around { kind, profile: batch.profile.as_deref(), notes: Some(&batch.notes) }
    }

    /// Writes the answer.
    pub(crate) fn write(&self, out: &mut Vec<u8>, token: i64, json: &[u8]) {
        frame(out, token, |out| {
            open(out, self.kind);
            out.extend_from_slice(json);
            self.end(out);
        });
    }

    /// Returns the bytes before and after a text of this length, which is sent by itself.
    pub(crate) fn parts(&self, token: i64, length: usize) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        frame(&mut before, token, |out| open(out, self.kind));
        self.end(&mut after);
        let all = before.len() - HEADER_LEN + length + after.len();
        match u32::try_from(all) {
            Ok(all) if all < u32::MAX => {
                before[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&all.to_le_bytes())
            }
            _ => return Err(too_large(all)),
        }
        Ok((before, after))
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.push(b']');
        close(out, self.profile, self.notes);
    }
}

/// Writes the empty end of a stream: the answer to STOP.
pub(crate) fn end_of_stream(out: &mut Vec<u8>, token: i64) {
    Around::batch(&Batch::default(), true).write(out, token, b"");
}

/// Writes word that all noreply queries are done.
pub(crate) fn wait_complete(out: &mut Vec<u8>, token: i64) {
    frame(out, token, |out| {
        open(out, WAIT_COMPLETE);
        out.extend_from_slice(b"]}");
    });
}

/// Writes the server's identity.
pub(crate) fn server_info(out: &mut Vec<u8>, token: i64, info: &ServerInfo) {
    frame(out, token, |out| {
        open(out, SERVER_INFO);
        out.extend_from_slice(b"{\"id\":");
        string(out, &info.id);
        out.extend_from_slice(b",\"name\":");
        string(out, &info.name);
        out.extend_from_slice(b",\"proxy\":false}]}");
    });
}

/// Writes an error.
pub(crate) fn error(out: &mut Vec<u8>, token: i64, error: &Error) {
    frame(out, token, |out| {
        match error.class {
            ErrorClass::Client => open(out, CLIENT_ERROR),
            ErrorClass::Compile => open(out, COMPILE_ERROR),
            ErrorClass::Runtime(kind) => open_runtime_error(out, kind),
        }
        string(out, &error.message);
        out.extend_from_slice(b"],\"b\":[");
        for (at, step) in error.backtrace.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match step {
                Frame::Position(position) => integer(out, u64::from(*position)),
                Frame::Optional(name) => string(out, name),
            }
        }
        out.extend_from_slice(b"]}");
    });
}

/// Writes one frame, whose length is known only when its payload is there.
fn frame(out: &mut Vec<u8>, token: i64, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&token.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    payload(out);
    let len = out.len() - start - HEADER_LEN;
    match u32::try_from(len) {
        Ok(len) if len < u32::MAX => {
            if let Some(slot) = out.get_mut(start + 8..start + HEADER_LEN) {
                slot.copy_from_slice(&len.to_le_bytes());
            }
        }
        _ => {
            out.truncate(start);
            error(out, token, &too_large(len));
        }
    }
}

fn too_large(len: usize) -> Error {
    Error::runtime(
        ErrorType::ResourceLimit,
        format!("Response size ({len}) greater than maximum ({}).", u32::MAX - 1),
    )
}

fn open(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(b"{\"t\":");
    integer(out, u64::from(kind));
    out.extend_from_slice(b",\"r\":[");
}

fn open_runtime_error(out: &mut Vec<u8>, kind: ErrorType) {
    out.extend_from_slice(b"{\"t\":");
    integer(out, u64::from(RUNTIME_ERROR));
    out.extend_from_slice(b",\"e\":");
    integer(out, kind as u64);
    out.extend_from_slice(b",\"r\":[");
}

fn close(out: &mut Vec<u8>, profile: Option<&[u8]>, notes: Option<&[Note]>) {
    if let Some(profile) = profile {
        out.extend_from_slice(b",\"p\":");
        out.extend_from_slice(profile);
    }
    if let Some(notes) = notes {
        out.extend_from_slice(b",\"n\":[");
        for (at, note) in notes.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            integer(out, *note as u64);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn integer(out: &mut Vec<u8>, value: u64) {
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "{value}");
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Neither can turning a `str` into JSON.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before".to_vec();
        write(&mut out);
        let (header, payload) = out["before".len()..].split_at(HEADER_LEN);
        assert_eq!(header[..8], 7_i64.to_le_bytes());
        assert_eq!(header[8..], (payload.len() as u32).to_le_bytes());
        String::from_utf8(payload.to_vec()).expect("UTF-8")
    }

    fn atom(out: &mut Vec<u8>, json: &[u8], profile: Option<&[u8]>) {
        Around::atom(profile).write(out, 7, json);
    }

    #[test]
    fn values() {
        assert_eq!(payload(|out| atom(out, b"[1,2]", None)), r#"{"t":1,"r":[[1,2]]}"#);
        assert_eq!(payload(|out| atom(out, b"1", Some(b"[]"))), r#"{"t":1,"r":[1],"p":[]}"#);
    }

    #[test]
    fn streams() {
        let mut rows = Batch { notes: vec![Note::SequenceFeed, Note::IncludesStates], ..Batch::default() };
        rows.push(|out| out.extend_from_slice(b"1"));
        rows.push(|out| out.extend_from_slice(b"2"));
        let around = Around::batch(&rows, false);
        let expected = r#"{"t":3,"r":[1,2],"n":[1,5]}"#;
        assert_eq!(payload(|out| around.write(out, 7, rows.json.bytes())), expected);
        let in_parts = |out: &mut Vec<u8>| {
            let (before, after) = around.parts(7, 3).expect("a short one");
            out.extend([&before, rows.json.bytes(), &after].concat());
        };
        assert_eq!(payload(in_parts), expected);
        assert!(around.parts(7, u32::MAX as usize).is_err());
        assert_eq!(payload(|out| end_of_stream(out, 7)), r#"{"t":2,"r":[],"n":[]}"#);
        assert_eq!(payload(|out| wait_complete(out, 7)), r#"{"t":4,"r":[]}"#);
    }

    #[test]
    fn identity() {
        let info = ServerInfo { id: "i".into(), name: "n\"".into() };
        assert_eq!(
            payload(|out| server_info(out, 7, &info)),
            r#"{"t":5,"r":[{"id":"i","name":"n\"","proxy":false}]}"#
        );
    }

    #[test]
    fn errors() {
        let client = Error::client("say \"what\"?");
        assert_eq!(payload(|out| error(out, 7, &client)), r#"{"t":16,"r":["say \"what\"?"],"b":[]}"#);
        let runtime = Error {
            backtrace: vec![Frame::Position(0), Frame::Optional("index".into())],
            ..Error::runtime(ErrorType::NonExistence, "x")
        };
        assert_eq!(
            payload(|out| error(out, 7, &runtime)),
            r#"{"t":18,"e":3100000,"r":["x"],"b":[0,"index"]}"#
        );
        let compile = Error { class: ErrorClass::Compile, ..client };
        assert_eq!(payload(|out| error(out, 7, &compile)), r#"{"t":17,"r":["say \"what\"?"],"b":[]}"#);
    }
}
