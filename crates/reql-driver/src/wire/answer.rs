//! Answers: the contents of a frame from the server.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::lists::{Notes, Way};
use crate::error::{Error, ErrorKind, ErrorType, Result, told};
use crate::term::Term;
use crate::wire::Elements;

/// `Response.ResponseType` in `ql2.proto`.
const ATOM: u8 = 1;
const SEQUENCE: u8 = 2;
const PARTIAL: u8 = 3;
const WAIT_COMPLETE: u8 = 4;
const SERVER_INFO: u8 = 5;
const CLIENT_ERROR: u8 = 16;
const COMPILE_ERROR: u8 = 17;
const RUNTIME_ERROR: u8 = 18;

/// The type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// One value.
    Atom,
    /// The last rows.
    Sequence,
    /// Some rows, with more to come.
    Partial,
    /// Word that all queries without an answer are done.
    WaitComplete,
    /// The server's identity.
    ServerInfo,
}

/// The form of an answer, as [`Session::poll_form`](crate::Session::poll_form) tells it.
///
/// ```no_run
/// use reql::{Form, Session, Stream, r};
///
/// # async fn example(mut session: Session<Stream>) -> reql::Result<()> {
/// session.begin(r.table("users").changes())?;
/// let form = std::future::poll_fn(|cx| session.poll_form(cx)).await?;
/// assert_eq!(form, Form::Feed);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One value, which is no array: its only row.
    Value,
    /// Rows, or the elements of an array.
    Rows,
    /// The rows of a changefeed, which has no end.
    Feed,
}

/// An answer that is no error. Its rows are places in the payload.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: AnswerKind,
    pub(crate) rows: Elements,
    pub(crate) is_feed: bool,
    pub(crate) profile: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    t: u8,
    #[serde(borrow)]
    r: &'a RawValue,
    #[serde(default)]
    n: Notes,
    #[serde(default)]
    e: Option<i64>,
    #[serde(default)]
    b: Option<Way>,
    #[serde(borrow, default)]
    p: Option<&'a RawValue>,
}

impl Answer {
    /// Parses a payload. An answer that is an error becomes one, with the query; without a query, it is the
    /// answer to a request of another kind.
    pub(crate) fn parse(payload: &[u8], query: Option<&Term>) -> Result<Answer> {
        let envelope: Envelope<'_> = serde_json::from_slice(payload).map_err(|error| {
            Error::new(ErrorKind::Protocol, format!("the server's answer can't be read: {error}"))
                .because(error)
        })?;
        let kind = match envelope.t {
            ATOM => AnswerKind::Atom,
            SEQUENCE => AnswerKind::Sequence,
            PARTIAL => AnswerKind::Partial,
            WAIT_COMPLETE if query.is_none() => AnswerKind::WaitComplete,
            SERVER_INFO if query.is_none() => AnswerKind::ServerInfo,
            CLIENT_ERROR => return Err(envelope.error(ErrorKind::Client, query)),
            COMPILE_ERROR => return Err(envelope.error(ErrorKind::Compile, query)),
            RUNTIME_ERROR => {
                let kind = ErrorKind::Runtime(ErrorType::from_number(envelope.e));
                return Err(envelope.error(kind, query));
            }
            other => {
                let message = format!("the server's answer is of a type that has no place here, {other}");
                return Err(Error::new(ErrorKind::Protocol, message));
            }
        };
        let rows = Elements::of(payload, place(payload, envelope.r))
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the server's answer has no rows"))?;
        let profile = envelope.p.map(|profile| profile.get().to_owned());
        Ok(Answer { kind, rows, is_feed: envelope.n.is_feed, profile })
    }
}

impl Answer {
    /// Returns the form of the answer.
    pub(crate) fn form(&self, payload: &[u8]) -> Form {
        let is_value = |value| Elements::of(payload, value).is_none();
        match self.kind {
            _ if self.is_feed => Form::Feed,
            AnswerKind::Atom if self.rows.first(payload).is_some_and(is_value) => Form::Value,
            _ => Form::Rows,
        }
    }
}

impl Envelope<'_> {
    fn error(self, kind: ErrorKind, query: Option<&Term>) -> Error {
        let message = serde_json::from_str::<[String; 1]>(self.r.get()).ok().map(|[message]| told(&message));
        let error = Error::new(kind, message.unwrap_or_else(|| "the server gives no reason".to_owned()));
        match query {
            Some(query) => error.at(query.clone(), self.b.unwrap_or_default().0),
            None => error,
        }
    }
}

/// Returns the rows of an answer, or the elements of its value if that is an array.
pub(crate) fn rows_of(answer: &Answer, payload: &[u8]) -> Elements {
    let elements = match answer.kind {
        AnswerKind::Atom => answer.rows.first(payload).and_then(|value| Elements::of(payload, value)),
        _ => None,
    };
    elements.unwrap_or(answer.rows)
}

/// Returns the place of a part in the text that it is a part of.
fn place(whole: &[u8], part: &RawValue) -> Range<usize> {
    let text = part.get();
    let start = (text.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.wrapping_add(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn rows_are_what_they_were(
            rows in prop::collection::vec(json(), 0..6),
            kind in 1..4_u8,
            pretty in any::<bool>(),
        ) {
            let payload = serde_json::json!({ "n": [1], "r": rows, "t": kind });
            let payload = if pretty { format!("{payload:#}") } else { payload.to_string() };
            let answer = Answer::parse(payload.as_bytes(), None).unwrap();
            prop_assert!(answer.is_feed);
            let text = |place: Range<usize>| serde_json::from_str::<Value>(&payload[place]).unwrap();
            let mut elements = rows_of(&answer, payload.as_bytes());
            let places = std::iter::from_fn(|| elements.next(payload.as_bytes()));
            let read: Vec<Value> = places.map(text).collect();
            match &rows[..] {
                [Value::Array(elements), ..] if kind == ATOM => prop_assert_eq!(&read, elements),
                _ => prop_assert_eq!(read, rows),
            }
        }

        #[test]
        fn noise_is_an_error(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Answer::parse(&payload, None).is_err());
        }

        #[test]
        fn broken_answers_are_errors_or_answers(
            row in json(),
            cut in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let payload = format!(r#"{{"t":1,"r":[{row}],"e":3000000,"b":[0,"a"],"n":[]}}"#);
            let mut payload = payload.into_bytes();
            let at = cut.index(payload.len());
            payload[at] = byte;
            if let Ok(answer) = Answer::parse(&payload, None) {
                let mut rows = rows_of(&answer, &payload);
                while let Some(place) = rows.next(&payload) {
                    // A number may be beyond the range of a Value; that is noticed when the row is decoded.
                    let _: &RawValue = serde_json::from_slice(&payload[place]).unwrap();
                }
            }
            prop_assert!(Answer::parse(&payload[..at], None).is_err());
        }
    }

    #[test]
    fn errors_are_of_their_kinds() {
        for (payload, kind) in [
            (r#"{"t":16,"r":["x"],"b":[]}"#, ErrorKind::Client),
            (r#"{"t":17,"r":["x"],"b":[0,"index",1]}"#, ErrorKind::Compile),
            (r#"{"t":18,"e":3100000,"r":["x"],"b":[]}"#, ErrorKind::Runtime(ErrorType::NonExistence)),
            (r#"{"t":18,"e":7,"r":["x"]}"#, ErrorKind::Runtime(ErrorType::Other(7))),
            (r#"{"t":18,"r":["x"]}"#, ErrorKind::Runtime(ErrorType::Other(0))),
        ] {
            let query = crate::r.expr(1);
            let error = Answer::parse(payload.as_bytes(), Some(&query)).unwrap_err();
            assert_eq!((error.kind(), error.message()), (kind, "x"), "{payload}");
            assert_eq!(error.query(), Some(&query));
        }
    }

    #[test]
    fn answers_to_other_requests_answer_no_query() {
        for payload in [r#"{"t":4,"r":[]}"#, r#"{"t":5,"r":[{"id":"x"}]}"#] {
            assert!(Answer::parse(payload.as_bytes(), None).is_ok());
            let error = Answer::parse(payload.as_bytes(), Some(&crate::r.expr(1))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        }
    }

    /// The memory of an error is bounded, and nothing in it moves a terminal's cursor.
    #[test]
    fn errors_keep_little_of_what_they_were_sent() {
        let query = crate::r.expr("a secret");
        let (message, way) = ("é".repeat(1 << 20), vec!["0"; 1 << 20].join(","));
        let payload = format!(r#"{{"t":18,"e":7,"r":["\u001b[2J\n{message}"],"b":[{way}],"n":[{way}]}}"#);
        let error = Answer::parse(payload.as_bytes(), Some(&query)).unwrap_err();
        assert_eq!(error.backtrace().len(), usize::from(crate::MAX_DEPTH));
        assert!(error.message().starts_with("\u{fffd}[2J\né"), "{:.20}", error.message());
        assert!(error.message().len() < 17 << 10, "{}", error.message().len());
        let error = Answer::parse(br#"{"t":18,"r":["x"],"b":[0,"index"]}"#, Some(&query)).unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.contains("index") && !shown.contains("secret"), "{shown}");
    }
}
