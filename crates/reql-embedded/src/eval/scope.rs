//! Variables: what the functions around a term have bound.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::datum::Datum;

/// The bindings that a term sees. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Scope {
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

/// Whether `r.row` stands for the argument of such a function: one parameter, and not one made by the server.
pub(super) fn binds_implicit(params: &[i64]) -> bool {
    matches!(params, [variable] if *variable >= 0)
}

impl Scope {
    /// The scope inside a function that is called with these arguments.
    pub fn bind(&self, params: &[i64], args: &[Datum]) -> Scope {
        let mut scope = self.clone();
        for (variable, value) in params.iter().zip(args) {
            let outer = scope.innermost.take();
            scope.innermost = Some(Arc::new(Binding { variable: *variable, value: value.clone(), outer }));
        }
        if binds_implicit(params) {
            scope.implicit = if scope.implicit_depth == 0 { args.first().cloned() } else { None };
            scope.implicit_depth += 1;
        }
        scope
    }

    /// The value of a variable; the compiler has made sure that it is bound.
    pub fn get(&self, variable: i64) -> Option<Datum> {
        let mut binding = self.innermost.as_ref();
        while let Some(found) = binding {
            if found.variable == variable {
                return Some(found.value.clone());
            }
            binding = found.outer.as_ref();
        }
        None
    }

    /// The value of `r.row`; the compiler has made sure that it is unambiguous.
    pub fn implicit(&self) -> Option<Datum> {
        self.implicit.clone()
    }

    /// Whether nothing is bound: such a function can be stored.
    pub fn is_empty(&self) -> bool {
        self.innermost.is_none() && self.implicit_depth == 0
    }

    /// The names that are bound.
    pub fn variables(&self) -> BTreeSet<i64> {
        self.bindings().0.into_iter().map(|(variable, _)| variable).collect()
    }

    /// How many functions around bind `r.row`.
    pub fn implicit_depth(&self) -> u32 {
        self.implicit_depth
    }

    /// All bindings, innermost first, and the value of `r.row`.
    pub fn bindings(&self) -> (Vec<(i64, Datum)>, Option<Datum>) {
        let mut bindings = Vec::new();
        let mut binding = self.innermost.as_ref();
        while let Some(found) = binding {
            bindings.push((found.variable, found.value.clone()));
            binding = found.outer.as_ref();
        }
        (bindings, self.implicit.clone())
    }
}
