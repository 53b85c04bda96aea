//! The order that a query asks for: by fields and functions, each ascending or descending.

use std::cell::{Cell, OnceCell};
use std::cmp::Ordering;

use super::env::Env;
use super::func::{Func, Shortcut};
use super::spec::Determinism;
use super::stable_sort::stable_sort;
use super::val::Val;
use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::term::TermType;

/// The criteria by which rows are ordered, the most important first.
#[derive(Default)]
pub struct Order(Vec<Criterion>);

struct Criterion {
    by: Func,
    descending: bool,
}

/// A row with its key under each criterion, computed on first use.
pub struct Keyed {
    /// The row.
    pub row: Datum,
    keys: Box<[OnceCell<Option<Datum>>]>,
}

impl Order {
    /// Adds the criterion of a term, which may be inside of `asc` or `desc`.
    pub fn push(&mut self, term: TermType, val: Val) -> Result<()> {
        let by = val.into_func(Shortcut::GetField)?;
        let harmless = Determinism::ONE_SERVER.join(Determinism::CONSTANT_NOW);
        if !by.determinism().holds_despite(harmless) {
            return Err(Error::logic("Sorting by a non-deterministic function is not supported."));
        }
        self.0.push(Criterion { by, descending: term == TermType::Desc });
        Ok(())
    }

    /// Returns true if the order leaves rows as they are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes a row ready for comparison.
    pub fn keyed(&self, row: Datum) -> Keyed {
        Keyed { row, keys: self.0.iter().map(|_| OnceCell::new()).collect() }
    }

    /// Returns true if a row comes before another one. Each function is called at most once for each row, and
    /// only if its result is needed, whose bytes are then added to `made`.
    pub fn is_less(&self, env: &Env, a: &Keyed, b: &Keyed, made: &Cell<usize>) -> Result<bool> {
        fuel::spend(1)?;
        for (at, criterion) in self.0.iter().enumerate() {
            let (a, b) = (criterion.key(env, a, at, made)?, criterion.key(env, b, at, made)?);
            let ordering = criterion.compare(a, b);
            if ordering.is_ne() {
                return Ok(ordering.is_lt());
            }
        }
        Ok(false)
    }

    /// Sorts rows; equal ones keep their order. The memory of the rows is the caller's to count.
    pub fn sort(&self, env: &Env, rows: Vec<Datum>) -> Result<Vec<Datum>> {
        let mut held = env.reserve();
        let keys = self.0.len() * size_of::<OnceCell<Option<Datum>>>();
        for _ in &rows {
            fuel::spend(1 + self.0.len() / 8)?;
            held.add_bytes(size_of::<Keyed>() + keys)?;
        }
        let keyed: Vec<Keyed> = rows.into_iter().map(|row| self.keyed(row)).collect();
        let mut sorted: Vec<&Keyed> = keyed.iter().collect();
        let made = Cell::new(0);
        stable_sort(&mut sorted, &mut |a, b| {
            let is_less = self.is_less(env, a, b, &made)?;
            held.add_bytes(made.take())?;
            Ok(is_less)
        })?;
        Ok(sorted.into_iter().map(|keyed| keyed.row.clone()).collect())
    }
}

impl Criterion {
    /// Returns the value that the row is ordered by under this criterion, or `None` for a row without the
    /// field. `None` is less than any value, so such a row comes first in ascending order.
    fn key<'a>(
        &self,
        env: &Env,
        keyed: &'a Keyed,
        at: usize,
        made: &Cell<usize>,
    ) -> Result<&'a Option<Datum>> {
        let cell = &keyed.keys[at];
        if cell.get().is_none() {
            let key = self.by.find(env, &keyed.row)?;
            made.set(made.get() + key.as_ref().map_or(0, Datum::footprint));
            return Ok(cell.get_or_init(|| key));
        }
        Ok(cell.get_or_init(|| None))
    }

    fn compare(&self, a: &Option<Datum>, b: &Option<Datum>) -> Ordering {
        let ordering = match (a, b) {
            (Some(a), Some(b)) => a.compare(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        if self.descending { ordering.reverse() } else { ordering }
    }
}
