//! What a condition asks of a field's value.

use reql::{Term, r};
use serde_json::Value;

use super::{Geometry, all, any_of};
use crate::query::path::Path;

#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) enum Test {
    /// A comparison with one value; or with a text that is a date or time, as two values: the string, then
    /// the time.
    Compare(Comparison, Vec<Value>),
    In(Vec<Value>),
    /// It is text in which a pattern is found.
    Match(String),
    /// It is text that begins so.
    Starts(String),
    /// It is an array that has one of these values.
    Contains(Vec<Value>),
    /// It is of a type, by the name that the database has for it.
    Type(&'static str),
    /// It is a geometry at a place.
    Geometry(Geometry),
    Has,
    /// One of these tests holds.
    Any(Vec<Test>),
    /// All of these tests hold.
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
    /// Visits the test, or those that it is made of.
    pub(super) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Test)) {
        match self {
            // They are no deeper than this: `any.` and `all.` have tests of other kinds.
            Test::Any(tests) | Test::All(tests) => tests.iter().for_each(visit),
            test => visit(test),
        }
    }

    /// A term that fails if the database can't make sense of what it is given.
    pub(super) fn check(&self) -> Option<Term> {
        match self {
            Test::Match(pattern) => Some(r.expr("").match_(pattern)),
            Test::Geometry(geometry) => Some(geometry.check()),
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

/// A term that is true if `holds` is, and all terms that `said` gives are true for at least one of the
/// values.
fn with_any(holds: Term, values: &[Value], said: impl Fn(&Value) -> Vec<Term>) -> Term {
    match values {
        [value] => all(std::iter::once(holds).chain(said(value))),
        values => all([holds, any_of(values.iter().map(|value| all(said(value))))]),
    }
}

/// Returns the least text that is greater than all that begin with a text; `None` if there is none. The
/// database compares text byte by byte, which in UTF-8 is the order of the characters.
pub(in crate::query) fn beyond(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(last) = rest.chars().next_back() {
        rest = rest.get(..rest.len() - last.len_utf8()).unwrap_or_default();
        // Between the last character below the surrogates and the first above there is nothing.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            return Some(format!("{rest}{next}"));
        }
    }
    None
}
