//! The captures of a function: the values of the variables around it that it uses.

use std::collections::{BTreeMap, HashMap};

use super::compile::parameters;
use super::scope::{Captured, binds_implicit};
use crate::datum::Datum;
use crate::term::{RawTerm, TermType};

/// The bindings that a function needs to be called outside of its place.
#[derive(Debug, Default)]
pub struct Captures {
    /// The values of variables.
    pub variables: BTreeMap<i64, Datum>,
    /// The value of `r.row`, if the function uses it without binding it.
    pub implicit: Option<Datum>,
    /// The number of enclosing functions that bind `r.row`.
    pub implicit_depth: u32,
}

impl Captures {
    /// Returns the bindings in scope that a function uses.
    pub fn of(func: &RawTerm, scope: &Captured) -> Captures {
        let (bindings, implicit) = scope.bindings();
        // The innermost binding of a name comes first, and counts.
        let mut bindings: BTreeMap<i64, Datum> = bindings.into_iter().rev().collect();
        let mut free = Free::default();
        free.search(func);
        bindings.retain(|variable, _| free.variables.contains(variable));
        Captures {
            variables: bindings,
            implicit: implicit.filter(|_| free.implicit),
            implicit_depth: scope.implicit_depth(),
        }
    }
}

/// The variables of a term that are bound outside of it.
#[derive(Default)]
struct Free {
    variables: std::collections::BTreeSet<i64>,
    implicit: bool,
    /// The number of times that the enclosing functions bind each variable.
    bound: HashMap<i64, usize>,
    /// The number of enclosing functions that bind `r.row`.
    implicit_depth: usize,
}

impl Free {
    fn search(&mut self, term: &RawTerm) {
        match term.kind {
            TermType::Var => self.variable(term),
            TermType::ImplicitVar => self.implicit |= self.implicit_depth == 0,
            TermType::Func => self.function(term),
            _ => self.inside(term),
        }
    }

    fn inside(&mut self, term: &RawTerm) {
        for arg in term.args.iter().chain(term.optargs.iter().map(|(_, arg)| arg)) {
            stacker::maybe_grow(32 * 1024, 1024 * 1024, || self.search(arg));
        }
    }

    fn variable(&mut self, term: &RawTerm) {
        let name = term.args.first().and_then(|name| name.datum.as_ref()).map(Datum::as_int);
        if let Some(Ok(name)) = name
            && self.bound.get(&name).is_none_or(|&times| times == 0)
        {
            self.variables.insert(name);
        }
    }

    fn function(&mut self, term: &RawTerm) {
        let params = term.args.first().map(parameters).and_then(Result::ok).unwrap_or_default();
        let implicit = usize::from(binds_implicit(&params));
        self.implicit_depth += implicit;
        for param in &params {
            *self.bound.entry(*param).or_default() += 1;
        }
        self.inside(term);
        for param in &params {
            *self.bound.entry(*param).or_default() -= 1;
        }
        self.implicit_depth -= implicit;
    }
}
