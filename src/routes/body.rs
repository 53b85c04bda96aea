//! Bodies: how they are read, how long they may be, and what is wrong with one that isn't JSON.

use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;
use warp::{Buf, Filter, Rejection};

use crate::error::Error;

/// How much of a body that is too long is still read, so that the client gets to see the answer.
pub(super) const DRAIN_MAX: u64 = 16 << 20;

/// Extracts a body of at most `limit` bytes.
pub(super) fn body(limit: u64) -> impl Filter<Extract = (Result<Vec<u8>, Error>,), Error = Rejection> + Copy {
    warp::body::stream().then(move |chunks| collect(chunks, limit))
}

async fn collect<B: Buf>(
    chunks: impl Stream<Item = Result<B, warp::Error>>,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let mut chunks = std::pin::pin!(chunks);
    let mut body = Vec::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let mut chunk = chunk.map_err(|error| Error::BadRequest(format!("The body broke off: {error}.")))?;
        length += chunk.remaining() as u64;
        if length > limit.saturating_add(DRAIN_MAX) {
            break;
        }
        while length <= limit && chunk.has_remaining() {
            let part = chunk.chunk();
            body.extend_from_slice(part);
            let read = part.len();
            chunk.advance(read);
        }
    }
    if length > limit { Err(Error::BodyTooLarge { limit }) } else { Ok(body) }
}

/// Reads JSON.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    check_names(body)?;
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            return Error::BadRequest(format!("The body is not what is expected here: {}.", reason(&error)));
        }
        Error::BadJson { line: error.line(), column: error.column(), reason: reason(&error) }
    })
}

/// Refuses names of fields that hold a NUL: the database would silently cut them there.
fn check_names(body: &[u8]) -> Result<(), Error> {
    const NUL: &[u8] = br"\u0000";
    // Text may hold it, names hardly ever do, and nothing else can be the reason to look closer.
    if !body.windows(NUL.len()).any(|bytes| bytes == NUL) {
        return Ok(());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if has_cut_name(&value) => Err(Error::BadRequest(
            "The name of a field holds a NUL character, which can't be stored.".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn has_cut_name(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_cut_name),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || has_cut_name(value))
        }
        _ => false,
    }
}

/// What is wrong, without the place, which has fields of its own.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn names_that_would_be_cut_are_refused() {
        let refused = |body: &[u8]| matches!(parse::<Value>(body), Err(Error::BadRequest(_)));
        assert!(refused(br#"{"a\u0000b": 1}"#));
        assert!(refused(br#"[{"a": {"\u0000": 1}}]"#));
        assert!(!refused(br#"{"a": "x\u0000y", "b\\u0000": 2}"#));
    }

    #[test]
    fn broken_json_is_located() {
        let error = parse::<Value>(b"{\n  \"a\": trx\n}").unwrap_err();
        assert!(matches!(error, Error::BadJson { line: 2, column: 10, .. }), "{error:?}");
        let error = parse::<Value>("[".repeat(10_000).as_bytes()).unwrap_err();
        assert!(matches!(error, Error::BadJson { line: 1, .. }), "{error:?}");
        assert!(matches!(parse::<Value>(b"\"\xff\""), Err(Error::BadJson { .. })));
        assert!(matches!(parse::<Value>(b""), Err(Error::BadJson { .. })));
    }
}
