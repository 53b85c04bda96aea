//! The term tree as the client sent it, checked for form: `[type, args, optargs]`, literals and objects.

use std::sync::Arc;

use super::{Backtraces, Frame, TermType};
use crate::datum::pseudo::Literals;
use crate::datum::syntax::Json;
use crate::datum::{Datum, json};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::nested::Nested;

/// A term before compilation.
#[derive(Debug, Clone)]
pub struct RawTerm {
    /// What it does.
    pub kind: TermType,
    /// Its place in the query.
    pub bt: Bt,
    /// Its arguments.
    pub args: Nested<RawTerm>,
    /// Its optional arguments, in the order of the query; the fields of an object.
    pub optargs: Nested<(Arc<str>, RawTerm)>,
    /// The value of a literal.
    pub datum: Option<Datum>,
}

/// What a term's surroundings allow and forbid.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    kind: Option<TermType>,
    writes_legal: bool,
    outer: Option<&'a Surroundings<'a>>,
}

impl RawTerm {
    /// Checks a tree of JSON and gives each term its place (`term_walker_t` in RethinkDB).
    pub fn parse(tree: Json<'_>, places: &mut Backtraces) -> Result<RawTerm> {
        let root = Surroundings { kind: None, writes_legal: true, outer: None };
        walk(tree, Bt::default(), true, &root, places)
    }

    /// A term without a place of its own: it blames the one it stands in for.
    pub fn generated(kind: TermType, bt: Bt, args: Vec<RawTerm>) -> RawTerm {
        RawTerm { kind, bt, args: args.into(), optargs: Nested::default(), datum: None }
    }

    /// A literal.
    pub fn literal(datum: Datum, bt: Bt) -> RawTerm {
        RawTerm { datum: Some(datum), ..RawTerm::generated(TermType::Datum, bt, Vec::new()) }
    }

    /// The value of an optional argument.
    pub fn optarg(&self, name: &str) -> Option<&RawTerm> {
        self.optargs.iter().find(|(key, _)| **key == *name).map(|(_, term)| term)
    }

    /// The JSON it can be parsed from again: how functions are stored.
    pub fn to_json(&self) -> Result<String> {
        let mut out = Vec::new();
        self.write_json(&mut out)?;
        String::from_utf8(out).map_err(|_| Error::internal("A term is not UTF-8."))
    }

    fn write_json(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(format!("[{}", self.kind.number()).as_bytes());
        if let Some(datum) = &self.datum {
            out.push(b',');
            json::write(datum, out)?;
        } else {
            out.extend_from_slice(b",[");
            for (index, arg) in self.args.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || arg.write_json(out))?;
            }
            out.extend_from_slice(b"],{");
            for (index, (name, arg)) in self.optargs.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write_str(name, out);
                out.push(b':');
                stacker::maybe_grow(32 * 1024, 1024 * 1024, || arg.write_json(out))?;
            }
            out.push(b'}');
        }
        out.push(b']');
        Ok(())
    }
}

fn malformed(message: impl Into<String>, bt: Bt) -> Error {
    Error::new(ErrorKind::Compile, message).at(bt)
}

fn walk(
    tree: Json<'_>,
    bt: Bt,
    is_first_arg: bool,
    outer: &Surroundings<'_>,
    places: &mut Backtraces,
) -> Result<RawTerm> {
    let (kind, args, optargs) = match tree {
        Json::Array(items) => return walk_array(items, bt, is_first_arg, outer, places),
        Json::Object(fields) => (TermType::MakeObj, &[][..], fields),
        literal => {
            let datum = json::from_tree(literal, Literals::Allowed)
                .map_err(|error| error.with_kind(ErrorKind::Compile));
            return Ok(RawTerm::literal(datum.at(bt)?, bt));
        }
    };
    walk_children(kind, args, optargs, bt, is_first_arg, outer, places)
}

fn walk_array(
    items: &[Json<'_>],
    bt: Bt,
    is_first_arg: bool,
    outer: &Surroundings<'_>,
    places: &mut Backtraces,
) -> Result<RawTerm> {
    let size = items.len();
    if !(1..=3).contains(&size) {
        return Err(malformed(
            format!("Expected between 1 and 3 elements in a raw term, but found {size}."),
            bt,
        ));
    }
    let mut items = items.iter().copied();
    let number = match items.next() {
        Some(Json::Num(number)) => number as i64,
        other => {
            let found = other.as_ref().map_or("NULL", Json::type_name);
            return Err(malformed(format!("Expected a TermType as a NUMBER but found {found}."), bt));
        }
    };
    let kind = TermType::from_number(number)
        .ok_or_else(|| malformed(format!("Unrecognized TermType: {number}."), bt))?;
    let (second, third) = (items.next(), items.next());
    if kind == TermType::Datum {
        check_surroundings(kind, bt, is_first_arg, outer)?;
        return walk_datum(second, third, size, bt);
    }
    let (args, optargs) = match (second, third) {
        (None, _) => (&[][..], &[][..]),
        (Some(Json::Array(args)), None) => (args, &[][..]),
        (Some(Json::Object(optargs)), None) => (&[][..], optargs),
        (Some(Json::Array(args)), Some(Json::Object(optargs))) => (args, optargs),
        (Some(Json::Object(_)), Some(_)) => {
            return Err(malformed("Second and third element in a term are both optional arguments.", bt));
        }
        (Some(Json::Array(_)), Some(_)) => {
            return Err(malformed("Third element in a Term is not optional arguments.", bt));
        }
        _ => {
            return Err(malformed(
                "Second element in a Term is neither arguments nor optional arguments.",
                bt,
            ));
        }
    };
    walk_children(kind, args, optargs, bt, is_first_arg, outer, places)
}

fn walk_datum(second: Option<Json<'_>>, third: Option<Json<'_>>, size: usize, bt: Bt) -> Result<RawTerm> {
    match (second, third) {
        (Some(value), None) => {
            let datum = json::from_tree(value, Literals::Allowed)
                .map_err(|error| error.with_kind(ErrorKind::Compile));
            Ok(RawTerm::literal(datum.at(bt)?, bt))
        }
        _ => Err(malformed(format!("Expected 3 items in array, but found {}.", size + 1), bt)),
    }
}

fn check_surroundings<'a>(
    kind: TermType,
    bt: Bt,
    is_first_arg: bool,
    outer: &'a Surroundings<'a>,
) -> Result<Surroundings<'a>> {
    let writes_legal =
        outer.writes_legal && (is_first_arg || !outer.kind.is_some_and(TermType::forbids_writes));
    if matches!(kind, TermType::Asc | TermType::Desc) {
        let of_array = outer.kind == Some(TermType::MakeArray)
            && outer.outer.is_some_and(|outermost| outermost.kind == Some(TermType::Union));
        if !matches!(outer.kind, Some(TermType::OrderBy | TermType::Union)) && !of_array {
            let name = kind.name();
            return Err(malformed(
                format!("{name} may only be used as an argument to ORDER_BY or UNION."),
                bt,
            ));
        }
    }
    if kind.is_write_or_meta() && !writes_legal {
        return Err(malformed(
            "Cannot nest writes or meta ops in stream operations.  Use FOR_EACH instead.",
            bt,
        ));
    }
    Ok(Surroundings { kind: Some(kind), writes_legal, outer: Some(outer) })
}

fn walk_children(
    kind: TermType,
    args: &[Json<'_>],
    optargs: &[(&str, Json<'_>)],
    bt: Bt,
    is_first_arg: bool,
    outer: &Surroundings<'_>,
    places: &mut Backtraces,
) -> Result<RawTerm> {
    let here = check_surroundings(kind, bt, is_first_arg, outer)?;
    let mut terms = Vec::with_capacity(args.len());
    for (index, &arg) in args.iter().enumerate() {
        let place = places.child(bt, Frame::Arg(index));
        let arg =
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || walk(arg, place, index == 0, &here, places))?;
        terms.push(arg);
    }
    let mut options = Vec::with_capacity(optargs.len());
    for &(name, arg) in optargs {
        let place = places.child(bt, Frame::Optarg(Arc::from(name)));
        let arg = stacker::maybe_grow(32 * 1024, 1024 * 1024, || walk(arg, place, false, &here, places))?;
        // RethinkDB hands names on as C strings, which end at the first NUL.
        let name = name.split('\0').next().unwrap_or_default();
        options.push((Arc::from(name), arg));
    }
    Ok(RawTerm { optargs: options.into(), ..RawTerm::generated(kind, bt, terms) })
}
