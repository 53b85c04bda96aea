//! Bodies of requests: reading them, limiting their length, and parsing them as JSON.

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use warp::{Buf, Filter, Rejection};

use super::arriving::TooSlow;
pub(crate) use super::chunks::Chunks;
use super::context::Context;
use super::strict;
use crate::error::{Code, Error};
use crate::names::PSEUDO_TYPE;

/// A whole body, or the reason why it is refused.
pub(crate) type Body = Result<Vec<u8>, Error>;

/// Extracts a body without reading it.
pub(crate) fn chunks() -> impl Filter<Extract = (Chunks,), Error = Rejection> + Copy {
    warp::body::stream().map(|chunks| Chunks::new(StreamExt::map(chunks, read)))
}

fn read(chunk: Result<impl Buf, warp::Error>) -> Result<Vec<u8>, Error> {
    let mut chunk = chunk.map_err(broken)?;
    Ok(chunk.copy_to_bytes(chunk.remaining()).into())
}

/// Reads a body of at most `limits.body` bytes.
pub(crate) async fn whole(context: &Context, mut chunks: Chunks) -> Body {
    let limit = context.app().limits().body;
    let mut arrived = context.app().arriving(context.client().into());
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if (body.len() + chunk.len()) as u64 > limit {
            drop((body, chunk, arrived));
            chunks.drain().await;
            return Err(Error::beyond(Code::BodyTooLarge, limit));
        }
        if body.is_empty() {
            body = chunk;
        } else {
            if body.capacity() - body.len() < chunk.len() {
                // Doubling would leave much of it unused, for as long as the rest doesn't come.
                body.reserve_exact(chunk.len().max(body.len() / 4));
            }
            body.extend_from_slice(&chunk);
        }
        arrived.reach(body.capacity())?;
    }
    arrived.reach_tree(&body)?;
    context.hold(arrived);
    Ok(body)
}

/// Parses JSON that is a document or a patch.
pub(crate) fn document(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match value(body)? {
        Value::Object(document) if document.contains_key(PSEUDO_TYPE) => Err(Error::bad_request(format!(
            "A document can't be a value of one of ReQL's types: it may have `{PSEUDO_TYPE}` in its fields \
             only."
        ))),
        Value::Object(document) => Ok(document),
        _ => Err(Error::bad_request("A document is a JSON object.")),
    }
}

/// Makes the error of a body that ended early.
fn broken(error: warp::Error) -> Error {
    match TooSlow::within(&error) {
        Some(slow) => Error::after(Code::BodyTooSlow, slow.pause()),
        None => Error::bad_request(format!("The body broke off: {error}.")),
    }
}

/// Parses any JSON.
pub(crate) fn value(body: &[u8]) -> Result<Value, Error> {
    strict::read(body).map_err(|error| {
        let reason = strict::reason(&error);
        match error.is_data() {
            true => Error::bad_request(format!("The body can't be taken: {reason}.")),
            false => Error::bad_json(error.line(), error.column(), &reason),
        }
    })
}

/// Parses JSON of a certain form.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_value(value(body)?).map_err(|error| {
        Error::bad_request(format!("The body is not what is expected here: {}.", strict::reason(&error)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::strict::DEPTH_MAX;

    #[test]
    fn depth_is_bounded() {
        let nested = |open: &str, close: &str, depth: usize| {
            let body = format!("{{\"]}}\\\"\": {}1{}}}", open.repeat(depth - 1), close.repeat(depth - 1));
            document(body.as_bytes())
        };
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[1, ", "]")] {
            assert!(nested(open, close, DEPTH_MAX).is_ok(), "{open}");
            assert!(
                nested(open, close, DEPTH_MAX + 1).is_err_and(|error| error.code() == Code::BadRequest),
                "{open}"
            );
        }
        let broken = value("[".repeat(1 << 20).as_bytes());
        assert!(broken.as_ref().is_err_and(|error| error.code() == Code::BadRequest), "{broken:?}");
        assert!(value(format!("\"{}\"", "[".repeat(1000)).as_bytes()).is_ok(), "it is text");
    }

    #[test]
    fn a_document_is_a_bag_of_fields() {
        let refused =
            |body: &str| document(body.as_bytes()).is_err_and(|error| error.code() == Code::BadRequest);
        for body in ["[]", "1", r#"{"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}"#] {
            assert!(refused(body), "{body}");
        }
        assert!(refused(r#"{"id": 1, "\u0024reql_type$": null}"#));
        assert!(!refused(r#"{"a": {"$reql_type$": "TIME", "epoch_time": 1, "timezone": "+00:00"}}"#));
    }

    #[test]
    fn broken_json_is_located() {
        let error = value(b"{\n  \"a\": trx\n}").unwrap_err();
        assert!(error.place() == Some((2, 10)), "{error:?}");
        assert!(value(b"\"\xff\"").is_err_and(|error| error.code() == Code::BadJson));
        assert!(value(b"").is_err_and(|error| error.code() == Code::BadJson));
    }
}
