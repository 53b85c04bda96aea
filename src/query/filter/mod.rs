//! Filters: `FIELD=OP.VALUE`, `FIELD=not.OP.VALUE`, `or=(A=OP.VALUE,and=(B=OP.VALUE,C=OP.VALUE))`.
//!
//! A condition on a field that is missing or null is false. `not.` is the exact negation, so it is true then.
//! Comparisons are true for values of the same type only: `age=gt.18` finds no strings, although ReQL sorts
//! all strings after all numbers. A text that is a date or time is compared both as a string and as a time.

mod claims;
mod geometry;
mod read;
mod size;
mod test;

use reql::{Args, Term, r};

use super::path::Path;
use crate::error::Error;
pub(crate) use claims::{Template, placed};
pub(super) use geometry::{Geometry, Near};
pub(super) use size::Size;
use size::{CONDITIONS, VALUES};
pub(super) use test::{Comparison, Test, beyond};

/// The deepest nesting of groups.
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
    /// `true` for `or`, `false` for `and`.
    any: bool,
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) field: Path,
    pub(super) negated: bool,
    pub(super) test: Test,
}

impl Filter {
    /// Returns whether all documents match it, whatever they have: it has no conditions, or they are about
    /// none of the values of an empty list, as in `all.()` and `not.in.()`.
    pub(crate) fn holds_always(&self) -> bool {
        self.0.iter().all(|clause| clause.constant() == Some(true))
    }

    /// Adds the condition `name=text`.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let condition = Condition::read(name, text)?;
        self.push(Clause::One(condition), name)
    }

    /// Adds a group of conditions, such as `or=(...)`. Returns `false` if `name` isn't that of a group.
    pub(crate) fn add_group(&mut self, name: &str, text: &str) -> Result<bool, Error> {
        let Some(group) = Group::read(name, text)? else { return Ok(false) };
        self.push(Clause::Group(group), name)?;
        Ok(true)
    }

    fn push(&mut self, clause: Clause, parameter: &str) -> Result<(), Error> {
        self.0.push(clause);
        self.size().check(parameter)
    }

    /// Returns the size of all its conditions.
    pub(super) fn size(&self) -> Size {
        let mut size = Size::default();
        self.each(&mut |condition| size.add(&condition.test));
        size
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the conditions that all documents must fulfil, for the choice of an index.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let mut must = Vec::new();
        self.0.iter().for_each(|clause| clause.must(&mut must));
        must.into_iter()
    }

    /// Returns whether a field has the same value in all documents that match.
    pub(super) fn fixes(&self, field: &Path) -> bool {
        let is_one = |test: &Test| matches!(test, Test::Compare(Comparison::Eq, values) if values.len() == 1);
        self.conditions().any(|condition| condition.field == *field && is_one(&condition.test))
    }

    /// Returns the field and the point of the condition `near`.
    pub(super) fn near(&self) -> Option<(&Path, &Near)> {
        self.conditions().find_map(|condition| match &condition.test {
            Test::Geometry(Geometry::Near(near)) => Some((&condition.field, near)),
            _ => None,
        })
    }

    /// The first field whose geometry must lie somewhere.
    pub(super) fn place(&self) -> Option<&Path> {
        let is_place = |condition: &&Condition| matches!(condition.test, Test::Geometry(_));
        self.conditions().find(is_place).map(|condition| &condition.field)
    }

    /// Returns the fields of all conditions.
    pub(crate) fn fields(&self) -> Vec<&Path> {
        let mut fields = Vec::new();
        self.each(&mut |condition| fields.push(&condition.field));
        fields
    }

    fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        self.0.iter().for_each(|clause| clause.each(visit));
    }

    /// Returns a query that fails if a pattern, a geometry or a value of one of the database's own types is
    /// invalid; `None` if there are none. The list itself would only fail if it gets to a document that the
    /// filter is applied to.
    pub(crate) fn check(&self) -> Option<Term> {
        let mut checks = Vec::new();
        self.each(&mut |condition| condition.test.each(&mut |test| checks.extend(test.check())));
        (!checks.is_empty()).then(|| r.expr(checks))
    }

    /// Returns the shortest term that is true if a row matches the filter, if the conditions are equalities
    /// of top-level fields. It is false for null, and fails for a row that is no document.
    pub(crate) fn holds_briefly(&self, row: &Term) -> Option<Term> {
        let equality = |clause: &Clause| match clause {
            Clause::One(Condition { field, negated: false, test: Test::Compare(Comparison::Eq, values) }) => {
                let [value] = &values[..] else { return None };
                let is_plain = value.is_string() || value.is_number() || value.is_boolean();
                (is_plain && !field.is_nested()).then(|| field.of(row).default(()).eq(value))
            }
            _ => None,
        };
        self.0.iter().map(equality).collect::<Option<Vec<_>>>().map(all)
    }

    /// Returns a term that is true if a row matches the filter.
    pub(crate) fn holds(&self, row: &Term) -> Term {
        all(self.0.iter().map(|clause| clause.holds(row)))
    }
}

/// Recursive functions, for groups that are nested no deeper than [`DEPTH`].
impl Clause {
    fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        match self {
            Clause::One(condition) => visit(condition),
            Clause::Group(group) => group.clauses.iter().for_each(|clause| clause.each(visit)),
        }
    }

    /// Collects the conditions that must be true for the clause to be true.
    fn must<'a>(&'a self, conditions: &mut Vec<&'a Condition>) {
        match self {
            Clause::One(condition) if !condition.negated => conditions.push(condition),
            Clause::Group(Group { negated: false, any: false, clauses }) => {
                clauses.iter().for_each(|clause| clause.must(conditions));
            }
            _ => {}
        }
    }

    /// Returns whether the clause holds if that doesn't depend on the document, as far as it shows.
    fn constant(&self) -> Option<bool> {
        match self {
            Clause::One(condition) => condition.test.constant().map(|holds| holds != condition.negated),
            Clause::Group(Group { negated, any, clauses }) => {
                let mut known = clauses.iter().map(Clause::constant);
                let holds = match known.clone().any(|holds| holds == Some(*any)) {
                    true => Some(*any),
                    false => known.all(|holds| holds == Some(!any)).then_some(!any),
                };
                holds.map(|holds| holds != *negated)
            }
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
