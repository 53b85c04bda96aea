//! The envelope of a query: `[type, term, {optional arguments}]`. What the term means is for others to say.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::engine::Error;

/// What a frame asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryType {
    /// A new query.
    Start,
    /// The next batch of a query.
    Continue,
    /// The end of a query.
    Stop,
    /// Word that all earlier noreply queries are done.
    NoreplyWait,
    /// The server's identity.
    ServerInfo,
}

/// A frame's payload, taken apart as far as a session needs it.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// What it asks for.
    pub kind: QueryType,
    /// Whether any answer is unwanted.
    pub noreply: bool,
    /// The term as JSON text. Drivers leave it out in everything but START.
    pub term: Option<&'a str>,
    /// The global optional arguments, a JSON object as text.
    pub optargs: Option<&'a str>,
}

/// The number of the term DATUM: optional arguments may come wrapped in it.
const TERM_DATUM: i64 = 1;

impl<'a> Envelope<'a> {
    /// Takes a payload apart. One pass checks the syntax of all of it.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let mut json = serde_json::Deserializer::from_slice(payload);
        let shape = json.deserialize_any(ShapeVisitor).map_err(|_| Error::unparseable())?;
        json.end().map_err(|_| Error::unparseable())?;
        Self::from_shape(shape)
    }

    fn from_shape(shape: Shape<'a>) -> Result<Self, Error> {
        let Shape::Array { first, len } = shape else {
            return Err(malformed(format!("Expected a query to be an array, but found {}.", shape.name())));
        };
        let [Some(kind), term, optargs] = first else { return Err(wrong_length(len)) };
        if len > 3 {
            return Err(wrong_length(len));
        }
        let kind = query_type(kind)?;
        let term = term.map(RawValue::get);
        let optargs = optargs.map(RawValue::get);
        if let Some(found) = optargs.map(type_name).filter(|name| *name != "OBJECT") {
            return Err(malformed(format!("Expected global optargs as an object, but found {found}.")));
        }
        Ok(Self { kind, noreply: optargs.is_some_and(|text| flag(text, "noreply")), term, optargs })
    }
}

fn malformed(what: String) -> Error {
    Error::client(format!("Server could not parse query: {what}"))
}

fn wrong_length(len: usize) -> Error {
    malformed(format!("Expected 1 to 3 elements in the top-level query, but found {len}."))
}

fn query_type(raw: &RawValue) -> Result<QueryType, Error> {
    let found = type_name(raw.get());
    if found != "NUMBER" {
        return Err(malformed(format!("Expected a query type as a number, but found {found}.")));
    }
    match number(raw) {
        1 => Ok(QueryType::Start),
        2 => Ok(QueryType::Continue),
        3 => Ok(QueryType::Stop),
        4 => Ok(QueryType::NoreplyWait),
        5 => Ok(QueryType::ServerInfo),
        other => Err(malformed(format!("Unrecognized QueryType: {other}."))),
    }
}

/// RethinkDB looks at the low 32 bits of whatever the number is stored as; so do its error messages.
fn number(raw: &RawValue) -> i32 {
    let text = raw.get();
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(integer), _) => integer as i32,
        (_, Ok(float)) => float.to_bits() as i32,
        _ => 0,
    }
}

/// RethinkDB's name for the type of a JSON text without leading space.
fn type_name(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'n') => "NULL",
        Some(b't' | b'f') => "BOOL",
        Some(b'{') => "OBJECT",
        Some(b'[') => "ARRAY",
        Some(b'"') => "STRING",
        _ => "NUMBER",
    }
}

/// Reads a flag that must be known before the query is compiled; anything but a plain `true` is false.
fn flag(optargs: &str, name: &str) -> bool {
    // Most queries carry `{}` or formats of the driver's: no need to walk through those.
    if !optargs.contains(name) {
        return false;
    }
    serde_json::Deserializer::from_str(optargs).deserialize_map(FlagVisitor { name }).unwrap_or(false)
}

/// The outermost layer of any JSON value.
enum Shape<'a> {
    Array { first: [Option<&'a RawValue>; 3], len: usize },
    Other(&'static str),
}

impl Shape<'_> {
    fn name(&self) -> &'static str {
        match self {
            Shape::Array { .. } => "ARRAY",
            Shape::Other(name) => name,
        }
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut first = [None; 3];
        let mut len = 0;
        for slot in &mut first {
            let Some(raw) = seq.next_element::<&RawValue>()? else { return Ok(Shape::Array { first, len }) };
            *slot = Some(raw);
            len += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            len += 1;
        }
        Ok(Shape::Array { first, len })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Shape::Other("OBJECT"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Other("NULL"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shape::Other("BOOL"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Shape::Other("STRING"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Other("NUMBER"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shape::Other("NUMBER"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shape::Other("NUMBER"))
    }
}

struct FlagVisitor<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for FlagVisitor<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("optional arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some((key, value)) = map.next_entry::<Key<'_>, &RawValue>()? {
            if key.0 == self.name {
                return Ok(is_true(value.get()));
            }
        }
        Ok(false)
    }
}

/// A key that is copied only if it holds escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn is_true(json: &str) -> bool {
    json == "true"
        || serde_json::from_str::<(i64, bool)>(json).is_ok_and(|wrapped| wrapped == (TERM_DATUM, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &str) -> String {
        Envelope::parse(payload.as_bytes()).expect_err("a refusal").message
    }

    #[test]
    fn takes_a_query_apart() {
        let query = Envelope::parse(b" [1, [15, [\"t\"]] ,{\"db\":[14,[\"x\"]]} ]\n").expect("a query");
        assert_eq!(query.kind, QueryType::Start);
        assert_eq!(query.term, Some("[15, [\"t\"]]"));
        assert_eq!(query.optargs, Some("{\"db\":[14,[\"x\"]]}"));
        assert!(!query.noreply);
    }

    #[test]
    fn term_and_optargs_may_be_missing() {
        let query = Envelope::parse(b"[2]").expect("a query");
        assert_eq!((query.kind, query.term, query.optargs), (QueryType::Continue, None, None));
    }

    #[test]
    fn reads_noreply_plain_and_wrapped() {
        let noreply =
            |optargs: &str| Envelope::parse(format!("[1,1,{optargs}]").as_bytes()).expect("a query").noreply;
        assert!(noreply(r#"{"noreply":true}"#));
        assert!(noreply(r#"{"x":{"noreply":false},"noreply":[1,true]}"#));
        assert!(!noreply(r#"{"noreply":false}"#));
        assert!(!noreply(r#"{"noreply":"true"}"#));
        assert!(!noreply(r#"{"noreply":[2,true]}"#));
        assert!(!noreply(r#"{"noreply":[1,true,{}]}"#));
        assert!(!noreply(r#"{"x":{"noreply":true}}"#));
        assert!(!noreply("{}"));
    }

    #[test]
    fn text_that_is_no_json_is_a_buggy_client() {
        for text in
            ["", "[", "[1,]", "[1 2]", "[1]x", "{\"a\"}", "[1,\"\u{1}\"]", "\"", "nul", "[1,[1}]", "1e400"]
        {
            assert_eq!(message(text), Error::unparseable().message, "{text:?}");
        }
        assert_eq!(
            Envelope::parse(b"[1,\"\xff\"]").expect_err("no UTF-8").message,
            Error::unparseable().message
        );
    }

    #[test]
    fn other_shapes_are_named() {
        let prefix = "Server could not parse query: ";
        for (text, expected) in [
            ("{}", "Expected a query to be an array, but found OBJECT."),
            ("null", "Expected a query to be an array, but found NULL."),
            ("true", "Expected a query to be an array, but found BOOL."),
            ("-1.5", "Expected a query to be an array, but found NUMBER."),
            ("\"\"", "Expected a query to be an array, but found STRING."),
            ("[]", "Expected 1 to 3 elements in the top-level query, but found 0."),
            ("[1,1,{},1,1]", "Expected 1 to 3 elements in the top-level query, but found 5."),
            ("[\"1\"]", "Expected a query type as a number, but found STRING."),
            ("[[]]", "Expected a query type as a number, but found ARRAY."),
            ("[0]", "Unrecognized QueryType: 0."),
            ("[-7]", "Unrecognized QueryType: -7."),
            ("[1.0]", "Unrecognized QueryType: 0."),
            ("[1,1,[]]", "Expected global optargs as an object, but found ARRAY."),
        ] {
            assert_eq!(message(text), format!("{prefix}{expected}"), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("[1,{}1{}]", "[".repeat(500_000), "]".repeat(500_000));
        assert!(Envelope::parse(deep.as_bytes()).is_ok());
        assert_eq!(message(&"[".repeat(500_000)), Error::unparseable().message);
    }
}
