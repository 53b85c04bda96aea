//! Tests of a field's value.

use reql::{Term, r};
use serde_json::Value;

use super::{Geometry, all, any_of};
use crate::names::PSEUDO_TYPE;
use crate::query::path::Path;
use crate::query::time;

#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) enum Test {
    /// A comparison with one value. A text that is a date or time is two values: the string, then the time.
    Compare(Comparison, Vec<Value>),
    In(Vec<Value>),
    /// The value is a string that matches a pattern.
    Match(String),
    /// The value is a string with this prefix.
    Starts(String),
    /// The value is an array that contains one of these values.
    Contains(Vec<Value>),
    /// The value is of a type, by the database's name of the type.
    Type(&'static str),
    /// The value is a geometry that passes a test.
    Geometry(Geometry),
    Has,
    /// One of these tests passes.
    Any(Vec<Test>),
    /// All of these tests pass.
    All(Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Test {
    /// Visits the test, or the tests that it consists of.
    pub(super) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Test)) {
        match self {
            // Not recursive: `any.` and `all.` can't be nested.
            Test::Any(tests) | Test::All(tests) => tests.iter().for_each(visit),
            test => visit(test),
        }
    }

    /// Returns terms that fail if a pattern, a geometry or a value of a pseudo-type is invalid.
    pub(super) fn check(&self) -> Vec<Term> {
        match self {
            Test::Match(pattern) => vec![r.expr("").match_(pattern)],
            Test::Geometry(geometry) => vec![geometry.check()],
            Test::Compare(_, values) | Test::In(values) | Test::Contains(values) => {
                values.iter().filter(|value| may_be_unsound(value)).map(|value| r.expr(value)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether the test passes if it is one of the values of an empty list.
    pub(super) fn constant(&self) -> Option<bool> {
        match self {
            Test::All(tests) => tests.is_empty().then_some(true),
            Test::Any(tests) => tests.is_empty().then_some(false),
            Test::In(values) | Test::Contains(values) => values.is_empty().then_some(false),
            _ => None,
        }
    }

    pub(super) fn holds(&self, field: &Path, row: &Term) -> Term {
        let present = field.is_in(row);
        let own = || field.of(row);
        let type_is = |name: &str| own().type_of().eq(name);
        match self {
            Test::Compare(Comparison::Eq, values) if values.contains(&Value::Null) => !present,
            Test::Compare(Comparison::Ne, values) if values.contains(&Value::Null) => present,
            Test::Has => present,
            Test::Compare(Comparison::Ne, values) => {
                let others = values.iter().map(|value| own().ne(value));
                all(std::iter::once(present).chain(others))
            }
            Test::Compare(op, values) => with_any(present, values, |value| {
                let compared = op.of(&own(), value);
                match op {
                    Comparison::Eq => vec![compared],
                    _ => vec![own().type_of().eq(r.type_of(value)), compared],
                }
            }),
            Test::In(values) => {
                let found = all([present.clone(), r.expr(values).contains(own())]);
                if values.contains(&Value::Null) { any_of([!present, found]) } else { found }
            }
            Test::Match(pattern) => all([present, type_is("STRING"), own().match_(pattern).ne(())]),
            Test::Starts(text) => {
                let beyond = beyond(text).map(|beyond| own().lt(beyond));
                all([present, type_is("STRING"), own().ge(text)].into_iter().chain(beyond))
            }
            Test::Contains(values) => {
                let present = all([present, type_is("ARRAY")]);
                with_any(present, values, |value| vec![own().contains(value)])
            }
            Test::Type(name) => all([present, type_is(name)]),
            Test::Geometry(geometry) => all([present, type_is("PTYPE<GEOMETRY>"), geometry.holds(&own())]),
            Test::Any(tests) => any_of(tests.iter().map(|test| test.holds(field, row))),
            Test::All(tests) => all(tests.iter().map(|test| test.holds(field, row))),
        }
    }
}

impl Comparison {
    fn of(self, own: &Term, value: &Value) -> Term {
        match self {
            Comparison::Eq => own.eq(value),
            Comparison::Ne => own.ne(value),
            Comparison::Lt => own.lt(value),
            Comparison::Le => own.le(value),
            Comparison::Gt => own.gt(value),
            Comparison::Ge => own.ge(value),
        }
    }
}

/// Returns whether a value is one of the database's own types, or holds one, so that the database may refuse
/// it.
fn may_be_unsound(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(may_be_unsound),
        Value::Object(_) if time::is_sound(value) => false,
        Value::Object(fields) => fields.contains_key(PSEUDO_TYPE) || fields.values().any(may_be_unsound),
        _ => false,
    }
}

/// Returns a term that is true if `holds` is, and all terms that `said` gives are true for at least one of
/// the values.
fn with_any(holds: Term, values: &[Value], said: impl Fn(&Value) -> Vec<Term>) -> Term {
    match values {
        [value] => all(std::iter::once(holds).chain(said(value))),
        values => all([holds, any_of(values.iter().map(|value| all(said(value))))]),
    }
}

/// Returns the smallest text that is greater than all texts with a prefix; `None` if there is none. The
/// database compares text byte by byte, which in UTF-8 is the order of code points.
pub(in crate::query) fn beyond(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(last) = rest.chars().next_back() {
        rest = rest.get(..rest.len() - last.len_utf8()).unwrap_or_default();
        // Skips the surrogates, which are no characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            return Some(format!("{rest}{next}"));
        }
    }
    None
}
