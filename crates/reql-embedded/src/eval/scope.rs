//! Variables: the bindings of the functions around a term.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::captures::Captures;
use crate::budget::fuel;
use crate::datum::Datum;

/// The bindings that a term sees: the arguments of the function around it, and the variables that this
/// function has captured. A scope borrows all of them, so that calling a function costs nothing for it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    params: &'a [i64],
    args: &'a [Datum],
    captured: &'a Captured,
}

/// The bindings of the functions around a function, kept with it. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Captured {
    innermost: Option<Arc<Binding>>,
    implicit: Option<Datum>,
    implicit_depth: u32,
}

#[derive(Debug)]
struct Binding {
    variable: i64,
    value: Datum,
    outer: Option<Arc<Binding>>,
}

/// Returns true if `r.row` refers to the argument of such a function: one with one parameter that the server
/// didn't make.
pub(super) fn binds_implicit(params: &[i64]) -> bool {
    matches!(params, [variable] if *variable >= 0)
}

/// The bindings that are looked through for a unit. The first ones cost no more than the term.
const NEAR: usize = 16;

impl Scope<'_> {
    /// The scope without bindings.
    pub const EMPTY: Scope<'static> = Scope { params: &[], args: &[], captured: &Captured::NOTHING };
}

impl<'a> Scope<'a> {
    /// Makes the scope inside a function that is called with these arguments.
    pub(super) fn of_call(captured: &'a Captured, params: &'a [i64], args: &'a [Datum]) -> Self {
        Scope { params, args, captured }
    }

    /// Returns the value of a variable; the compiler has made sure that it is bound.
    pub fn get(&self, variable: i64) -> Option<&'a Datum> {
        if self.params.len() > NEAR {
            fuel::burn(self.params.len() / NEAR);
        }
        // Of parameters with the same name, the first one counts.
        match self.params.iter().position(|param| *param == variable) {
            Some(at) => self.args.get(at),
            None => self.captured.get(variable),
        }
    }

    /// Returns the value of `r.row`; the compiler has made sure that it is unambiguous.
    pub fn implicit(&self) -> Option<&'a Datum> {
        if binds_implicit(self.params) {
            self.args.first().filter(|_| self.captured.implicit_depth == 0)
        } else {
            self.captured.implicit.as_ref()
        }
    }

    /// Returns the names that are bound.
    pub fn variables(&self) -> BTreeSet<i64> {
        let captured = self.captured.bindings().0;
        captured.into_iter().map(|(variable, _)| variable).chain(self.params.iter().copied()).collect()
    }

    /// Returns the number of functions around that bind `r.row`.
    pub fn implicit_depth(&self) -> u32 {
        self.captured.implicit_depth + u32::from(binds_implicit(self.params))
    }

    /// Returns the bindings in the form in which a new function keeps them.
    pub fn capture(&self) -> Captured {
        let mut innermost = self.captured.innermost.clone();
        for (variable, value) in self.params.iter().zip(self.args).rev() {
            let outer = innermost.take();
            innermost = Some(Arc::new(Binding { variable: *variable, value: value.clone(), outer }));
        }
        Captured { innermost, implicit: self.implicit().cloned(), implicit_depth: self.implicit_depth() }
    }
}

impl From<Captures> for Captured {
    fn from(captures: Captures) -> Self {
        let Captures { variables, implicit, implicit_depth } = captures;
        let innermost = variables
            .into_iter()
            .fold(None, |outer, (variable, value)| Some(Arc::new(Binding { variable, value, outer })));
        Captured { innermost, implicit, implicit_depth }
    }
}

impl Captured {
    /// The captured bindings of a function without any.
    pub const NOTHING: Captured = Captured { innermost: None, implicit: None, implicit_depth: 0 };

    fn get(&self, variable: i64) -> Option<&Datum> {
        let mut binding = self.innermost.as_deref();
        let mut passed = 0_usize;
        while let Some(found) = binding {
            if found.variable == variable {
                return Some(&found.value);
            }
            binding = found.outer.as_deref();
            passed += 1;
            if passed.is_multiple_of(NEAR) {
                fuel::burn(1);
            }
        }
        None
    }

    /// Returns the number of functions around that bind `r.row`.
    pub fn implicit_depth(&self) -> u32 {
        self.implicit_depth
    }

    /// Returns all bindings, innermost first, and the value of `r.row`.
    pub fn bindings(&self) -> (Vec<(i64, Datum)>, Option<Datum>) {
        let mut bindings = Vec::new();
        let mut binding = self.innermost.as_deref();
        while let Some(found) = binding {
            bindings.push((found.variable, found.value.clone()));
            binding = found.outer.as_deref();
        }
        (bindings, self.implicit.clone())
    }
}
