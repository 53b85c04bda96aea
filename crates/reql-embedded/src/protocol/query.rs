//! The envelope of a query: `[type, term, {optional arguments}]`. The meaning of the term is not known here.

use super::answer::Error;
use crate::datum::syntax::{self, Arena, Json};
use crate::term::static_flag;

/// The type of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryType {
    /// A new query.
    Start,
    /// A request for the next batch of a query.
    Continue,
    /// A request to end a query.
    Stop,
    /// A request for word that all earlier noreply queries are done.
    NoreplyWait,
    /// A request for the server's identity.
    ServerInfo,
}

/// A frame's payload, taken apart as far as a session needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope<'a> {
    /// The type of the request.
    pub kind: QueryType,
    /// True if the client wants no answer at all.
    pub noreply: bool,
    /// The term. Drivers leave it out in everything but START.
    pub term: Option<Json<'a>>,
    /// The global optional arguments.
    pub optargs: &'a [(&'a str, Json<'a>)],
}

impl<'a> Envelope<'a> {
    /// Parses a payload; its parts are allocated in the arena.
    pub fn parse(payload: &'a [u8], arena: &'a Arena) -> Result<Self, Error> {
        let items = match syntax::parse(payload, arena).map_err(|_| Error::unparseable())? {
            Json::Array(items) => items,
            other => {
                let found = other.type_name();
                return Err(malformed(format!("Expected a query to be an array, but found {found}.")));
            }
        };
        let len = items.len();
        if !(1..=3).contains(&len) {
            return Err(malformed(format!(
                "Expected 1 to 3 elements in the top-level query, but found {len}."
            )));
        }
        let mut items = items.iter().copied();
        let kind = query_type(items.next())?;
        let term = items.next();
        let optargs = match items.next() {
            None => &[],
            Some(Json::Object(optargs)) => optargs,
            Some(other) => {
                let found = other.type_name();
                return Err(malformed(format!("Expected global optargs as an object, but found {found}.")));
            }
        };
        let noreply = static_flag(optargs, "noreply");
        Ok(Self { kind, noreply, term, optargs })
    }
}

impl Envelope<'_> {
    /// Returns true if a client wants no answer to a payload of type START, as far as the end of it tells.
    /// The term isn't read, however long it is: this is for queries that are refused before that. Options of
    /// more than 4 KiB aren't looked at.
    pub fn wants_no_answer(payload: &[u8]) -> bool {
        let options = || {
            let parts = payload.trim_ascii_end().strip_suffix(b"]")?.trim_ascii_end();
            let (before, last) = parts.split_at(last_object(parts)?);
            // With one comma only, the object is the term.
            let before = before.trim_ascii_end().strip_suffix(b",")?;
            before.contains(&b',').then_some(last)
        };
        let Some(options) = options() else { return false };
        let payload = [&b"[1,0,"[..], options, b"]"].concat();
        Envelope::parse(&payload, &Arena::new()).is_ok_and(|query| query.noreply)
    }
}

/// Returns the beginning of the object that a text ends with. The text is JSON, so a quote is the end of a
/// string unless an odd number of backslashes is before it.
fn last_object(text: &[u8]) -> Option<usize> {
    const LONGEST: usize = 4 << 10;
    let (mut depth, mut is_in_string) = (0_usize, false);
    for at in (text.len().saturating_sub(LONGEST)..text.len()).rev() {
        match text[at] {
            b'"' => {
                let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                is_in_string ^= escapes % 2 == 0;
            }
            _ if is_in_string => {}
            b'}' | b']' => depth += 1,
            b'{' | b'[' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return (text[at] == b'{').then_some(at);
                }
            }
            // The text ends with something else.
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn malformed(what: String) -> Error {
    Error::client(format!("Server could not parse query: {what}"))
}

fn query_type(number: Option<Json<'_>>) -> Result<QueryType, Error> {
    match number {
        Some(Json::Num(1.0, _)) => Ok(QueryType::Start),
        Some(Json::Num(2.0, _)) => Ok(QueryType::Continue),
        Some(Json::Num(3.0, _)) => Ok(QueryType::Stop),
        Some(Json::Num(4.0, _)) => Ok(QueryType::NoreplyWait),
        Some(Json::Num(5.0, _)) => Ok(QueryType::ServerInfo),
        Some(Json::Num(other, _)) => Err(malformed(format!("Unrecognized QueryType: {}.", other as i64))),
        other => {
            let found = other.as_ref().map_or("NULL", Json::type_name);
            Err(malformed(format!("Expected a query type as a number, but found {found}.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: impl AsRef<[u8]>) -> String {
        Envelope::parse(payload.as_ref(), &Arena::new()).expect_err("a refusal").message
    }

    #[test]
    fn takes_a_query_apart() {
        let arena = Arena::new();
        let query = Envelope::parse(b" [1, \"t\" ,{\"db\":[14,[\"x\"]]} ]\n", &arena).expect("a query");
        assert_eq!(query.kind, QueryType::Start);
        assert_eq!(query.term, Some(Json::Str("t")));
        assert_eq!(query.optargs[0].0, "db");
        assert!(!query.noreply);
    }

    #[test]
    fn term_and_optargs_may_be_missing() {
        let arena = Arena::new();
        let query = Envelope::parse(b"[2]", &arena).expect("a query");
        assert_eq!((query.kind, query.term, query.optargs), (QueryType::Continue, None, &[][..]));
    }

    #[test]
    fn reads_noreply_plain_and_wrapped() {
        let noreply = |optargs: &str| {
            let text = format!("[1,1,{optargs}]");
            Envelope::parse(text.as_bytes(), &Arena::new()).expect("a query").noreply
        };
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
    fn the_end_tells_if_an_answer_is_wanted() {
        for text in [
            r#"[1,[1,2],{"noreply":true}]"#,
            r#" [ 1 , "a\\" , { "db" : "]}\"{" , "x":[{}], "noreply" : [1, true] } ] "#,
            r#"[1,7,{"x":"\\\\","noreply":true}]"#,
        ] {
            assert!(Envelope::wants_no_answer(text.as_bytes()), "{text}");
            let arena = Arena::new();
            let query = Envelope::parse(text.as_bytes(), &arena).expect("a query");
            assert!(query.noreply, "{text}");
        }
        let long = format!(r#"[1,7,{{"noreply":true,"x":"{}"}}]"#, "x".repeat(5 << 10));
        for text in [
            r#"[1,{"noreply":true}]"#,
            r#"[1,[1,{"noreply":true}]]"#,
            r#"[1,7,{"x":{"noreply":true}}]"#,
            r#"[1,7,{"x":"\"noreply\":true"}]"#,
            r#"[1,7,{"noreply":false}]"#,
            r#"[1,7,{"noreply":true}"#,
            r#"[1,"{\"noreply\":true}"]"#,
            "[1]",
            "]",
            "",
            &long,
        ] {
            assert!(!Envelope::wants_no_answer(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_json_is_a_buggy_client() {
        for text in
            ["", "[", "[1,]", "[1 2]", "[1]x", "{\"a\"}", "[1,\"\u{1}\"]", "\"", "nul", "[1,[1}]", "1e400"]
        {
            assert_eq!(message(text), Error::unparseable().message, "{text:?}");
        }
        assert_eq!(message(b"[1,\"\xff\"]"), Error::unparseable().message);
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
            ("[1,1,[]]", "Expected global optargs as an object, but found ARRAY."),
        ] {
            assert_eq!(message(text), format!("{prefix}{expected}"), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = |depth| format!("[1,{}1{}]", "[".repeat(depth), "]".repeat(depth));
        assert!(Envelope::parse(deep(syntax::MAX_DEPTH - 1).as_bytes(), &Arena::new()).is_ok());
        assert_eq!(message(deep(500_000)), Error::unparseable().message);
        assert_eq!(message("[".repeat(500_000)), Error::unparseable().message);
    }
}
