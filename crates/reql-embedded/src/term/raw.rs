//! The term tree as the client sent it, checked for form: `[type, args, optargs]`, literals and objects.

use std::sync::Arc;

use super::{Backtraces, Frame, TermType, Written};
use crate::budget::fuel;
use crate::datum::pseudo::Literals;
use crate::datum::syntax::{Json, Notation};
use crate::datum::text::until_nul;
use crate::datum::{Datum, json};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::nested::Nested;

/// A term before compilation.
#[derive(Debug, Clone)]
pub struct RawTerm {
    /// The operation of the term.
    pub kind: TermType,
    /// Place of the term in the query.
    pub bt: Bt,
    /// Arguments.
    pub args: Nested<RawTerm>,
    /// Optional arguments, in the order of the query; the fields of an object.
    pub optargs: Nested<(Arc<str>, RawTerm)>,
    /// The value of a literal.
    pub datum: Option<Datum>,
    /// The form in which the client wrote the term, for terms that are to be stored.
    pub written: Option<Box<Written>>,
}

/// The restrictions that surround a term.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    kind: Option<TermType>,
    writes_legal: bool,
    /// `true` if the terms inside may get stored.
    stored: bool,
    outer: Option<&'a Surroundings<'a>>,
}

impl RawTerm {
    /// Checks a tree of JSON and gives each term its place (`term_walker_t` in RethinkDB).
    pub fn parse(tree: Json<'_>, places: &mut Backtraces) -> Result<RawTerm> {
        let root = Surroundings { kind: None, writes_legal: true, stored: false, outer: None };
        walk(tree, Bt::default(), true, &root, places)
    }

    /// Makes a term without a place of its own: it blames the one that it stands in for.
    pub fn generated(kind: TermType, bt: Bt, args: Vec<RawTerm>) -> RawTerm {
        RawTerm { kind, bt, args: args.into(), optargs: Nested::default(), datum: None, written: None }
    }

    /// Makes a literal.
    pub fn literal(datum: Datum, bt: Bt) -> RawTerm {
        RawTerm { datum: Some(datum), ..RawTerm::generated(TermType::Datum, bt, Vec::new()) }
    }

    /// Returns the value of an optional argument.
    pub fn optarg(&self, name: &str) -> Option<&RawTerm> {
        self.optargs.iter().find(|(key, _)| **key == *name).map(|(_, term)| term)
    }
}

fn malformed(message: impl Into<String>, bt: Bt) -> Error {
    Error::new(ErrorKind::Compile, message).at(bt)
}

/// The lists of a term's arguments, as far as they are there.
#[derive(Default)]
struct Lists<'a> {
    args: Option<&'a [Json<'a>]>,
    optargs: Option<&'a [(&'a str, Json<'a>)]>,
}

fn walk(
    tree: Json<'_>,
    bt: Bt,
    is_first_arg: bool,
    outer: &Surroundings<'_>,
    places: &mut Backtraces,
) -> Result<RawTerm> {
    fuel::spend(1)?;
    match tree {
        Json::Array(items) => walk_array(items, bt, is_first_arg, outer, places),
        Json::Object(fields) => {
            let here = check_surroundings(TermType::MakeObj, bt, is_first_arg, outer)?;
            let lists = Lists { args: None, optargs: Some(fields) };
            walk_children(TermType::MakeObj, lists, bt, &here, places)
        }
        literal => walk_literal(literal, bt, outer),
    }
}

fn walk_literal(value: Json<'_>, bt: Bt, here: &Surroundings<'_>) -> Result<RawTerm> {
    let datum =
        json::from_tree(value, Literals::Allowed).map_err(|error| error.with_kind(ErrorKind::Compile));
    let written = if here.stored { Written::literal(value) } else { None };
    Ok(RawTerm { written, ..RawTerm::literal(datum.at(bt)?, bt) })
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
        Some(Json::Num(number, notation)) => term_number(number, notation),
        other => {
            let found = other.as_ref().map_or("NULL", Json::type_name);
            return Err(malformed(format!("Expected a TermType as a NUMBER but found {found}."), bt));
        }
    };
    let kind = TermType::from_number(number)
        .ok_or_else(|| malformed(format!("Unrecognized TermType: {number}."), bt))?;
    let (second, third) = (items.next(), items.next());
    let here = check_surroundings(kind, bt, is_first_arg, outer)?;
    if kind == TermType::Datum {
        return match (second, third) {
            (Some(value), None) => walk_literal(value, bt, &here),
            _ => Err(malformed(format!("Expected 3 items in array, but found {}.", size + 1), bt)),
        };
    }
    walk_children(kind, lists(second, third).at(bt)?, bt, &here, places)
}

/// Returns the number of a term. If it isn't written as an integer, RethinkDB takes the lower half of its
/// bits, which names no term that anybody meant.
fn term_number(number: f64, notation: Notation) -> i64 {
    match notation {
        Notation::Integer => number as i64,
        Notation::Decimal => i64::from(number.to_bits() as u32 as i32),
    }
}

/// Returns the lists of a term's arguments. Fails if they are malformed.
fn lists<'a>(second: Option<Json<'a>>, third: Option<Json<'a>>) -> Result<Lists<'a>> {
    let malformed = |message: &str| Err(Error::new(ErrorKind::Compile, message));
    match (second, third) {
        (None, _) => Ok(Lists::default()),
        (Some(Json::Array(args)), None) => Ok(Lists { args: Some(args), optargs: None }),
        (Some(Json::Object(optargs)), None) => Ok(Lists { args: None, optargs: Some(optargs) }),
        (Some(Json::Array(args)), Some(Json::Object(optargs))) => {
            Ok(Lists { args: Some(args), optargs: Some(optargs) })
        }
        (Some(Json::Object(_)), Some(_)) => {
            malformed("Second and third element in a term are both optional arguments.")
        }
        (Some(Json::Array(_)), Some(_)) => malformed("Third element in a Term is not optional arguments."),
        _ => malformed("Second element in a Term is neither arguments nor optional arguments."),
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
    let stored = outer.stored || matches!(kind, TermType::IndexCreate | TermType::SetWriteHook);
    Ok(Surroundings { kind: Some(kind), writes_legal, stored, outer: Some(outer) })
}

fn walk_children(
    kind: TermType,
    lists: Lists<'_>,
    bt: Bt,
    here: &Surroundings<'_>,
    places: &mut Backtraces,
) -> Result<RawTerm> {
    let Lists { args, optargs } = lists;
    let written = if here.stored { Written::lists(args.is_some(), optargs.is_some()) } else { None };
    let (args, optargs) = (args.unwrap_or_default(), optargs.unwrap_or_default());
    let mut terms = Vec::with_capacity(args.len());
    for (index, &arg) in args.iter().enumerate() {
        let place = places.child(bt, Frame::Arg(index));
        let arg = stacker::maybe_grow(32 * 1024, 1024 * 1024, || walk(arg, place, index == 0, here, places))?;
        terms.push(arg);
    }
    let mut options = Vec::with_capacity(optargs.len());
    for &(name, arg) in optargs {
        let place = places.child(bt, Frame::Optarg(Arc::from(name)));
        let arg = stacker::maybe_grow(32 * 1024, 1024 * 1024, || walk(arg, place, false, here, places))?;
        // RethinkDB handles names as C strings, which end at the first NUL.
        options.push((Arc::from(until_nul(name)), arg));
    }
    Ok(RawTerm { optargs: options.into(), written, ..RawTerm::generated(kind, bt, terms) })
}

#[cfg(test)]
mod tests {
    use super::{Backtraces, RawTerm};
    use crate::datum::syntax::{self, Arena};

    fn refusal(query: &str) -> String {
        let arena = Arena::new();
        let tree = syntax::parse(query.as_bytes(), &arena).expect("JSON");
        RawTerm::parse(tree, &mut Backtraces::default()).expect_err("no term").message().to_owned()
    }

    #[test]
    fn terms_that_there_are_not_are_refused_by_number() {
        assert_eq!(refusal("[197,[\"a\",{}]]"), "Unrecognized TermType: 197.");
        assert_eq!(refusal("[24.5,[1,2]]"), "Unrecognized TermType: 0.");
        assert_eq!(refusal("[24.0,[1,2]]"), "Unrecognized TermType: 0.");
        assert_eq!(refusal("[0.1,[1,2]]"), "Unrecognized TermType: -1717986918.");
        assert_eq!(refusal("[-1,[1,2]]"), "Unrecognized TermType: -1.");
    }
}
