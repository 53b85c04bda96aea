//! Which documents: `FIELD=OP.VALUE`, `FIELD=not.OP.VALUE`, `or=(A=OP.VALUE,and=(B=OP.VALUE,C=OP.VALUE))`.
//!
//! A condition on a field that is missing or null doesn't hold, and `not.` is its exact negation, which then
//! does. Comparisons hold between values of one type only: `age=gt.18` finds no strings, although in ReQL's
//! order of types every string is greater than every number. Text that is a date or time is compared both as
//! a string and as a time.

mod claims;
mod geometry;
mod read;
mod test;

use reql::{Args, Term, r};

use super::parameters::bad;
use super::path::Path;
use crate::error::Error;
pub(crate) use claims::{Template, placed};
pub(super) use geometry::{Geometry, Near};
pub(super) use test::{Comparison, Test, beyond};

/// The most conditions that a request may have.
const CONDITIONS: usize = 256;
/// The most values that the lists of all conditions may have together.
const VALUES: usize = 1000;
/// The most patterns that a request may have. Each may be compiled to megabytes.
const PATTERNS: usize = 10;
/// The most bytes that all patterns may have together.
const PATTERN_BYTES: usize = 1000;
/// How deep groups of conditions may lie in each other.
const DEPTH: usize = 8;

/// Conditions that must all hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct Filter(Vec<Clause>);

/// A condition, or a group of them.
#[derive(Debug, Clone, PartialEq)]
enum Clause {
    One(Condition),
    Group(Group),
}

/// Clauses that must all hold, or any of which must.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    negated: bool,
    /// `true` if one of them is enough.
    any: bool,
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) field: Path,
    pub(super) negated: bool,
    pub(super) test: Test,
}

/// How much a filter asks for.
#[derive(Debug, Default)]
struct Size {
    conditions: usize,
    values: usize,
    patterns: usize,
    pattern_bytes: usize,
}

impl Filter {
    /// Adds the condition `name=text`.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let condition = Condition::read(name, text)?;
        self.push(Clause::One(condition), name)
    }

    /// Adds a group of conditions, such as `or=(...)`, if there are groups of this name. Returns `false` if
    /// not.
    pub(crate) fn add_group(&mut self, name: &str, text: &str) -> Result<bool, Error> {
        let Some(group) = Group::read(name, text)? else { return Ok(false) };
        self.push(Clause::Group(group), name)?;
        Ok(true)
    }

    fn push(&mut self, clause: Clause, parameter: &str) -> Result<(), Error> {
        self.0.push(clause);
        let size = self.size();
        for (count, most, what) in [
            (size.conditions, CONDITIONS, "conditions"),
            (size.values, VALUES, "values in lists"),
            (size.patterns, PATTERNS, "patterns"),
            (size.pattern_bytes, PATTERN_BYTES, "bytes of patterns"),
        ] {
            if count > most {
                return Err(bad(parameter, format!("a request may have {most} {what} at most")));
            }
        }
        Ok(())
    }

    fn size(&self) -> Size {
        let mut size = Size::default();
        self.each(&mut |condition| {
            condition.test.each(&mut |test| {
                size.conditions += 1;
                match test {
                    Test::In(values) | Test::Contains(values) => size.values += values.len(),
                    Test::Match(pattern) => {
                        size.patterns += 1;
                        size.pattern_bytes += pattern.len();
                    }
                    _ => {}
                }
            });
        });
        size
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions that must hold by themselves, for the choice of an index.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let mut must = Vec::new();
        self.0.iter().for_each(|clause| clause.must(&mut must));
        must.into_iter()
    }

    /// The field that must be near a point, and that point.
    pub(super) fn near(&self) -> Option<(&Path, &Near)> {
        self.conditions().find_map(|condition| match &condition.test {
            Test::Geometry(Geometry::Near(near)) => Some((&condition.field, near)),
            _ => None,
        })
    }

    /// The fields that conditions are on.
    pub(crate) fn fields(&self) -> Vec<&Path> {
        let mut fields = Vec::new();
        self.each(&mut |condition| fields.push(&condition.field));
        fields
    }

    fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        self.0.iter().for_each(|clause| clause.each(visit));
    }

    /// A query that fails if the database can't make sense of a pattern or a geometry; `None` if there are
    /// none. A filter alone would only fail at the first document that it is asked of.
    pub(crate) fn check(&self) -> Option<Term> {
        let mut checks = Vec::new();
        self.each(&mut |condition| condition.test.each(&mut |test| checks.extend(test.check())));
        (!checks.is_empty()).then(|| r.expr(checks))
    }

    /// Returns whether a row fulfils it.
    pub(crate) fn holds(&self, row: &Term) -> Term {
        all(self.0.iter().map(|clause| clause.holds(row)))
    }
}

/// Groups lie in each other no deeper than [`DEPTH`].
impl Clause {
    fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        match self {
            Clause::One(condition) => visit(condition),
            Clause::Group(group) => group.clauses.iter().for_each(|clause| clause.each(visit)),
        }
    }

    /// Collects the conditions without which it doesn't hold.
    fn must<'a>(&'a self, conditions: &mut Vec<&'a Condition>) {
        match self {
            Clause::One(condition) if !condition.negated => conditions.push(condition),
            Clause::Group(Group { negated: false, any: false, clauses }) => {
                clauses.iter().for_each(|clause| clause.must(conditions));
            }
            _ => {}
        }
    }

    fn holds(&self, row: &Term) -> Term {
        match self {
            Clause::One(condition) => condition.holds(row),
            Clause::Group(group) => {
                let clauses = group.clauses.iter().map(|clause| clause.holds(row));
                let holds = if group.any { any_of(clauses) } else { all(clauses) };
                if group.negated { !holds } else { holds }
            }
        }
    }
}

impl Condition {
    fn holds(&self, row: &Term) -> Term {
        let holds = self.test.holds(&self.field, row);
        if self.negated { !holds } else { holds }
    }
}

fn all(conditions: impl IntoIterator<Item = Term>) -> Term {
    match &Vec::from_iter(conditions)[..] {
        [condition] => condition.clone(),
        conditions => r.and(Args::from_iter(conditions)),
    }
}

fn any_of(conditions: impl IntoIterator<Item = Term>) -> Term {
    match &Vec::from_iter(conditions)[..] {
        [condition] => condition.clone(),
        conditions => r.or(Args::from_iter(conditions)),
    }
}

#[cfg(test)]
mod tests;
