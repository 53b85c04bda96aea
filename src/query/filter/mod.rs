//! Which documents: `FIELD=OP.VALUE`, `FIELD=not.OP.VALUE`, `or=(A=OP.VALUE,B=OP.VALUE)`.
//!
//! A condition on a field that is missing or null doesn't hold, and `not.` is its exact negation, which then
//! does. Comparisons hold between values of one type only: `age=gt.18` finds no strings, although in ReQL's
//! order of types every string is greater than every number. Text that is a date or time is compared both as
//! a string and as a time.

use reql::{Args, Term, r};
use serde_json::Value;

use super::parameters::{PARAMETERS, bad, value};
use super::path::Path;
use super::syntax::{Member, Reader};
use super::time;
use crate::error::Error;

/// The most conditions that a request may have.
const CONDITIONS: usize = 256;
/// The most values that the lists of all conditions may have together.
const VALUES: usize = 1000;
/// The most patterns that a request may have. Each may be compiled to megabytes.
const PATTERNS: usize = 10;
/// The most bytes that all patterns may have together.
const PATTERN_BYTES: usize = 1000;
/// The characters that end an unquoted name among alternatives.
const IN_ALTERNATIVE: &str = "=,()";

/// Conditions that must all hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct Filter(Vec<Clause>);

#[derive(Debug, Clone)]
enum Clause {
    One(Condition),
    AnyOf(Vec<Condition>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) field: Path,
    pub(super) negated: bool,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// A comparison with one value; or with a text that is a date or time, as two values: the string, then the
    /// time.
    Compare(Comparison, Vec<Value>),
    In(Vec<Value>),
    Match(String),
    Contains(Vec<Value>),
    Has,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Filter {
    /// Adds the condition `name=text`.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let mut reader = Reader::new(name, name);
        let field = field(&mut reader, "")?;
        reader.finish()?;
        let mut reader = Reader::new(text, name);
        let (negated, test) = Test::read(&mut reader, false)?;
        reader.finish()?;
        self.push(Clause::One(Condition { field, negated, test }), name)
    }

    /// Adds the alternatives of `or=(...)`.
    pub(crate) fn add_or(&mut self, text: &str) -> Result<(), Error> {
        let mut reader = Reader::new(text, "or");
        reader.blanks();
        let start = reader.at();
        let any = reader.bracketed(CONDITIONS, |reader| {
            let field = field(reader, IN_ALTERNATIVE)?;
            reader.expect('=')?;
            let (negated, test) = Test::read(reader, true)?;
            Ok(Condition { field, negated, test })
        })?;
        if any.is_empty() {
            return Err(reader.wrong(start, "it must look like `(a=eq.1,b=gt.2)`"));
        }
        reader.finish()?;
        self.push(Clause::AnyOf(any), "or")
    }

    fn push(&mut self, clause: Clause, parameter: &str) -> Result<(), Error> {
        self.0.push(clause);
        let sizes = self.tests().map(|test| match test {
            Test::In(values) => (1, values.len(), 0, 0),
            Test::Match(pattern) => (1, 0, 1, pattern.len()),
            _ => (1, 0, 0, 0),
        });
        let sum = |one: (usize, usize, usize, usize), two: (usize, usize, usize, usize)| {
            (one.0 + two.0, one.1 + two.1, one.2 + two.2, one.3 + two.3)
        };
        let (conditions, values, patterns, bytes) = sizes.fold((0, 0, 0, 0), sum);
        for (count, most, what) in [
            (conditions, CONDITIONS, "conditions"),
            (values, VALUES, "values in lists"),
            (patterns, PATTERNS, "patterns"),
            (bytes, PATTERN_BYTES, "bytes of patterns"),
        ] {
            if count > most {
                return Err(bad(parameter, format!("a request may have {most} {what} at most")));
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions that must hold by themselves, for the choice of an index.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter().filter_map(|clause| match clause {
            Clause::One(condition) if !condition.negated => Some(condition),
            _ => None,
        })
    }

    fn tests(&self) -> impl Iterator<Item = &Test> {
        self.0.iter().flat_map(Clause::conditions).map(|condition| &condition.test)
    }

    /// A query that fails if one of the patterns is invalid; `None` if there are no patterns. A filter alone
    /// would only fail at the first document that is matched against the pattern.
    pub(crate) fn check(&self) -> Option<Term> {
        let patterns = self.tests().filter_map(|test| match test {
            Test::Match(pattern) => Some(r.expr("").match_(pattern)),
            _ => None,
        });
        let matches: Vec<Term> = patterns.collect();
        (!matches.is_empty()).then(|| r.expr(matches))
    }

    /// Whether a row fulfils it.
    pub(crate) fn holds(&self, row: &Term) -> Term {
        let clauses = self.0.iter().map(|clause| match clause {
            Clause::One(condition) => condition.holds(row),
            Clause::AnyOf(any) => any_of(any.iter().map(|condition| condition.holds(row))),
        });
        all(clauses)
    }
}

/// The field of a condition.
fn field(reader: &mut Reader<'_>, ends: &str) -> Result<Path, Error> {
    let start = reader.at();
    let names = reader.names(ends)?;
    match &names[..] {
        // It might be meant as an escape.
        [place, name]
            if place.is_word("where") && name.bare().is_some_and(|name| PARAMETERS.contains(&name)) =>
        {
            let name = &name.text;
            let reason = format!(
                "`\"{name}\"` is the field `{name}`, and `\"where\".{name}` that of the field `where`"
            );
            Err(reader.wrong(start, reason))
        }
        _ => Ok(Path::from(names)),
    }
}

impl Clause {
    fn conditions(&self) -> &[Condition] {
        match self {
            Clause::One(condition) => std::slice::from_ref(condition),
            Clause::AnyOf(any) => any,
        }
    }
}

impl Condition {
    fn holds(&self, row: &Term) -> Term {
        let holds = self.test.holds(&self.field, row);
        if self.negated { !holds } else { holds }
    }
}

impl Test {
    /// Reads a test, and whether it is negated: up to the end of the text, or as a member of a list.
    fn read(reader: &mut Reader<'_>, listed: bool) -> Result<(bool, Self), Error> {
        reader.blanks();
        let start = reader.at();
        let mut op = reader.word();
        let negated = op == "not" && reader.eat('.');
        if negated {
            op = reader.word();
        }
        let ends =
            |next: Option<char>| next.is_none_or(|c| listed && (c == ',' || c == ')' || c.is_whitespace()));
        if op == "has" && ends(reader.peek()) {
            return Ok((negated, Test::Has));
        }
        let comparison = match op {
            "eq" => Some(Comparison::Eq),
            "ne" => Some(Comparison::Ne),
            "lt" => Some(Comparison::Lt),
            "lte" => Some(Comparison::Le),
            "gt" => Some(Comparison::Gt),
            "gte" => Some(Comparison::Ge),
            "in" | "match" | "contains" => None,
            _ => return Err(reader.wrong(start, expected(listed))),
        };
        if !reader.eat('.') {
            return Err(reader.wrong(start, expected(listed)));
        }
        let test = match (comparison, op) {
            (Some(op), _) => Test::Compare(op, operand(reader, listed)?),
            (None, "in") => Test::In(values(reader)?),
            (None, "match") => Test::Match(pattern(reader, listed)?),
            (None, _) => Test::Contains(operand(reader, listed)?),
        };
        Ok((negated, test))
    }

    fn holds(&self, field: &Path, row: &Term) -> Term {
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
            Test::Contains(values) => {
                let present = all([present, type_is("ARRAY")]);
                with_any(present, values, |value| vec![own().contains(value)])
            }
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

/// The message for text that is no test. Outside of lists the text may have been meant for a parameter that
/// doesn't exist, so the message mentions that.
fn expected(listed: bool) -> String {
    let unknown = if listed {
        "a condition on a field"
    } else {
        "there is none of this name, and a condition on a field"
    };
    format!(
        "{unknown} is OP.VALUE with OP among eq ne lt lte gt gte in match contains, or `has`, each after an optional `not.`"
    )
}

fn all(conditions: impl IntoIterator<Item = Term>) -> Term {
    match &Vec::from_iter(conditions)[..] {
        [condition] => condition.clone(),
        conditions => r.and(Args::from_iter(conditions)),
    }
}

fn any_of(conditions: impl IntoIterator<Item = Term>) -> Term {
    r.or(Args::from_iter(conditions))
}

/// A term that is true if `holds` is, and all terms that `said` gives are true for at least one of the
/// values.
fn with_any(holds: Term, values: &[Value], said: impl Fn(&Value) -> Vec<Term>) -> Term {
    match values {
        [value] => all(std::iter::once(holds).chain(said(value))),
        values => all([holds, any_of(values.iter().map(|value| all(said(value))))]),
    }
}

/// Reads the value that a field is compared with, in each of its meanings.
fn operand(reader: &mut Reader<'_>, listed: bool) -> Result<Vec<Value>, Error> {
    match listed {
        false => Ok(meanings(reader.rest())),
        true => reader.member().map(|member| match member {
            Member::Json(value) => vec![value],
            Member::Bare(text) => meanings(text),
        }),
    }
}

/// The values that a text may mean. A date or time means a string and a time; other text is JSON if it can be
/// read as JSON, else a string.
fn meanings(text: &str) -> Vec<Value> {
    match time::read(text) {
        Some((text, time)) => vec![Value::String(text), time],
        None => vec![value(text)],
    }
}

/// The values of `in.(a,b)`.
fn values(reader: &mut Reader<'_>) -> Result<Vec<Value>, Error> {
    let values = reader.bracketed(VALUES, |reader| {
        let start = reader.at();
        match reader.member()? {
            Member::Json(value) => Ok(vec![value]),
            Member::Bare("") => Err(reader.wrong(start, "a value is missing; the empty string is `\"\"`")),
            Member::Bare(text) => Ok(meanings(text)),
        }
    })?;
    Ok(values.into_iter().flatten().collect())
}

/// A regular expression, which is text unless it is in quotes.
fn pattern(reader: &mut Reader<'_>, listed: bool) -> Result<String, Error> {
    if listed {
        return reader.text_member();
    }
    let text = reader.rest();
    match value(text) {
        Value::String(quoted) => Ok(quoted),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
