//! The tables that a term can read or write, as far as its text tells.

use std::collections::BTreeSet;

use super::term::{Shape, Term};
use crate::datum::Datum;
use crate::term::TermType;

/// The names of tables, in any database.
#[derive(Debug, Default)]
pub struct Mentioned<'a> {
    names: BTreeSet<&'a str>,
    /// `true` if there are tables whose names are not literals.
    others: bool,
}

impl<'a> Mentioned<'a> {
    /// Returns the tables of a term, and of all terms in it.
    pub fn of(term: &'a Term) -> Self {
        let mut mentioned = Mentioned::default();
        mentioned.add(term);
        mentioned
    }

    /// Returns the table of this name.
    pub fn table(name: &'a str) -> Self {
        Mentioned { names: BTreeSet::from([name]), others: false }
    }

    /// Returns true if both may mention the same table.
    pub fn may_overlap(&self, other: &Mentioned<'_>) -> bool {
        let is_none = |mentioned: &Mentioned<'_>| mentioned.names.is_empty() && !mentioned.others;
        !is_none(self)
            && !is_none(other)
            && (self.others || other.others || self.names.iter().any(|name| other.names.contains(name)))
    }

    fn add(&mut self, term: &'a Term) {
        match &term.shape {
            Shape::Datum(_) | Shape::Var(_) | Shape::Implicit => {}
            Shape::Object(fields) => fields.iter().for_each(|(_, term)| self.add_part(term)),
            Shape::Func(func) => self.add_part(&func.body),
            Shape::Args(inner) => self.add_part(inner),
            Shape::Op { args, optargs, .. } => {
                if term.kind == TermType::Table {
                    match args.last().map(|name| &name.shape) {
                        Some(Shape::Datum(Datum::Str(name))) => {
                            self.names.insert(name);
                        }
                        _ => self.others = true,
                    }
                }
                args.iter().chain(optargs.iter().map(|(_, term)| term)).for_each(|term| self.add_part(term));
            }
        }
    }

    fn add_part(&mut self, term: &'a Term) {
        stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.add(term));
    }
}
