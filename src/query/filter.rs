//! Which documents: `FIELD=OP.VALUE`, `FIELD=not.OP.VALUE`, `or=(A=OP.VALUE,B=OP.VALUE)`.
//!
//! A condition on a field that is missing or null doesn't hold, and `not.` is its exact negation, which then does.
//! Comparisons hold between values of one type only: `age=gt.18` finds no strings, although in ReQL's order of types
//! every string is greater than every number.

use ql2::term::TermType;
use serde_json::Value;

use super::parameters::{bad, value};
use super::path::Path;
use super::term::{Node, array, datum, eq, ne, not, null, term};
use crate::error::Error;

/// Conditions that must all hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct Filter(Vec<Clause>);

#[derive(Debug, Clone)]
enum Clause {
    One(Condition),
    AnyOf(Vec<Condition>),
}

#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) field: Path,
    pub(super) negated: bool,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// A comparison, by its term.
    Compare(TermType, Value),
    In(Vec<Value>),
    Match(String),
    Contains(Value),
    Has,
}

impl Filter {
    /// Adds the condition `name=text`.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let field = name.strip_prefix("where.").unwrap_or(name);
        self.0.push(Clause::One(Condition::parse(field, text, name)?));
        Ok(())
    }

    /// Adds the alternatives of `or=(...)`.
    pub(crate) fn add_or(&mut self, text: &str) -> Result<(), Error> {
        let list = list(text).ok_or_else(|| bad("or", "it must look like `(a=eq.1,b=gt.2)`"))?;
        let condition = |part: &str| {
            let (field, test) =
                part.split_once('=').ok_or_else(|| bad("or", format!("`{part}` has no `=`")))?;
            Condition::parse(field, test, "or")
        };
        self.0.push(Clause::AnyOf(list.into_iter().map(condition).collect::<Result<_, _>>()?));
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

    /// Whether a row fulfils it.
    pub(crate) fn holds<T: Node>(&self, row: &T) -> T {
        let clauses = self.0.iter().map(|clause| match clause {
            Clause::One(condition) => condition.holds(row),
            Clause::AnyOf(any) => term(TermType::Or, any.iter().map(|condition| condition.holds(row))),
        });
        term(TermType::And, clauses)
    }
}

impl Condition {
    fn parse(field: &str, text: &str, parameter: &str) -> Result<Self, Error> {
        let field = Path::parse(field, parameter)?;
        let (negated, text) = match text.strip_prefix("not.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        Ok(Condition { field, negated, test: Test::parse(text, parameter)? })
    }

    fn holds<T: Node>(&self, row: &T) -> T {
        let holds = self.test.holds(&self.field, row);
        if self.negated { not(holds) } else { holds }
    }
}

impl Test {
    fn parse(text: &str, parameter: &str) -> Result<Self, Error> {
        if text == "has" {
            return Ok(Test::Has);
        }
        let (op, operand) = text.split_once('.').ok_or_else(|| bad(parameter, EXPECTED))?;
        let comparison = match op {
            "eq" => TermType::Eq,
            "ne" => TermType::Ne,
            "lt" => TermType::Lt,
            "lte" => TermType::Le,
            "gt" => TermType::Gt,
            "gte" => TermType::Ge,
            "in" => {
                let list = list(operand).ok_or_else(|| bad(parameter, "`in` must look like `in.(a,b)`"))?;
                return Ok(Test::In(list.into_iter().map(value).collect()));
            }
            "match" => return Ok(Test::Match(operand.to_owned())),
            "contains" => return Ok(Test::Contains(value(operand))),
            _ => return Err(bad(parameter, EXPECTED)),
        };
        Ok(Test::Compare(comparison, value(operand)))
    }

    fn holds<T: Node>(&self, field: &Path, row: &T) -> T {
        let present = field.is_in(row);
        let own = || field.of(row);
        let type_is = |name: &str| eq(term(TermType::TypeOf, [own()]), datum(name));
        match self {
            Test::Compare(TermType::Eq, Value::Null) => not(present),
            Test::Compare(TermType::Ne, Value::Null) | Test::Has => present,
            Test::Compare(op @ (TermType::Eq | TermType::Ne), value) => {
                all([present, term(*op, [own(), datum(value)])])
            }
            Test::Compare(op, value) => {
                let types = [own(), datum(value)].map(|side| term(TermType::TypeOf, [side]));
                all([present, term(TermType::Eq, types), term(*op, [own(), datum(value)])])
            }
            Test::In(values) => {
                let list = array(values.iter().map(datum));
                let found = all([present.clone(), term(TermType::Contains, [list, own()])]);
                if values.contains(&Value::Null) { term(TermType::Or, [not(present), found]) } else { found }
            }
            Test::Match(pattern) => {
                let matched = ne(term(TermType::Match, [own(), datum(pattern)]), null());
                all([present, type_is("STRING"), matched])
            }
            Test::Contains(value) => {
                let found = term(TermType::Contains, [own(), datum(value)]);
                all([present, type_is("ARRAY"), found])
            }
        }
    }
}

const EXPECTED: &str = "it must be OP.VALUE with OP among eq ne lt lte gt gte in match contains, or `has`, each after an optional `not.`";

fn all<T: Node, const N: usize>(conditions: [T; N]) -> T {
    term(TermType::And, conditions)
}

/// The members of `(a,b)`. Commas inside quotes, brackets and braces don't count.
fn list(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let mut members = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                members.push(inner.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.push(inner.get(start..)?);
    Some(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn test(text: &str) -> Test {
        Condition::parse("f", text, "f").unwrap().test
    }

    #[test]
    fn operators_are_read() {
        assert_eq!(test("eq.18"), Test::Compare(TermType::Eq, json!(18)));
        assert_eq!(test("gte.1.5"), Test::Compare(TermType::Ge, json!(1.5)));
        assert_eq!(test("ne.a.b"), Test::Compare(TermType::Ne, json!("a.b")));
        assert_eq!(test("in.(1,\"a,b\",[2,3])"), Test::In(vec![json!(1), json!("a,b"), json!([2, 3])]));
        assert_eq!(test("match.^S.*"), Test::Match("^S.*".to_owned()));
        assert_eq!(test("contains.x"), Test::Contains(json!("x")));
        assert_eq!(test("not.has"), Test::Has);
        assert!(Condition::parse("f", "not.has", "f").unwrap().negated);
    }

    #[test]
    fn what_is_no_condition_names_its_parameter() {
        for text in ["18", "is.18", "in.1,2", "", "not.18", "hasn't"] {
            let error = Condition::parse("age", text, "age").unwrap_err();
            assert!(matches!(error, Error::BadParameter { name, .. } if name == "age"), "{text}");
        }
    }

    #[test]
    fn alternatives_may_hold_lists() {
        let mut filter = Filter::default();
        filter.add_or("(age=in.(1,2),name=eq.\"a,b\")").unwrap();
        assert!(matches!(&filter.0[..], [Clause::AnyOf(any)] if any.len() == 2));
        assert!(filter.add_or("age=lt.1").is_err());
        assert!(filter.add_or("(age)").is_err());
    }
}
