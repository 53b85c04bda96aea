//! The order that a query asks for: by fields and functions, each ascending or descending.

use std::cmp::Ordering;
use std::sync::Arc;

use super::env::Env;
use super::func::{Func, Shortcut};
use super::spec::Determinism;
use super::val::Val;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::term::TermType;

/// What rows are ordered by; what comes first matters most.
#[derive(Default)]
pub struct Order(Vec<Criterion>);

struct Criterion {
    by: Func,
    descending: bool,
}

/// What one row is ordered by, under each criterion. Nothing comes before anything: a row without the field is first.
pub type Keys = Arc<[Option<Datum>]>;

impl Order {
    /// Adds what a term says, which `asc` or `desc` may surround.
    pub fn push(&mut self, term: TermType, val: Val) -> Result<()> {
        let by = val.into_func(Shortcut::GetField)?;
        let harmless = Determinism::ONE_SERVER.join(Determinism::CONSTANT_NOW);
        if !by.determinism().holds_despite(harmless) {
            return Err(Error::logic("Sorting by a non-deterministic function is not supported."));
        }
        self.0.push(Criterion { by, descending: term == TermType::Desc });
        Ok(())
    }

    /// Whether it leaves rows as they are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a row is ordered by.
    pub fn keys(&self, env: &Env, row: &Datum) -> Result<Keys> {
        self.0.iter().map(|criterion| criterion.key(env, row)).collect()
    }

    /// Compares two rows by their keys.
    pub fn compare(&self, a: &Keys, b: &Keys) -> Ordering {
        let keys = a.iter().zip(b.iter());
        self.0
            .iter()
            .zip(keys)
            .map(|(criterion, (a, b))| criterion.compare(a, b))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Sorts rows; equal ones stay as they are. A function is only called for rows that it may move.
    pub fn sort(&self, env: &Env, rows: Vec<Datum>) -> Result<Vec<Datum>> {
        let mut rows: Vec<_> = rows.into_iter().map(|row| (None, row)).collect();
        sort_by(&self.0, env, &mut rows)?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

/// Sorts rows by the first criterion, and those that are equal under it by the others.
fn sort_by(criteria: &[Criterion], env: &Env, rows: &mut [(Option<Datum>, Datum)]) -> Result<()> {
    let Some((criterion, others)) = criteria.split_first() else { return Ok(()) };
    if rows.len() < 2 {
        return Ok(());
    }
    for (key, row) in &mut *rows {
        *key = criterion.key(env, row)?;
    }
    rows.sort_by(|(a, _), (b, _)| criterion.compare(a, b));
    rows.chunk_by_mut(|(a, _), (b, _)| a == b).try_for_each(|equals| sort_by(others, env, equals))
}

impl Criterion {
    fn key(&self, env: &Env, row: &Datum) -> Result<Option<Datum>> {
        self.by.find(env, row)
    }

    fn compare(&self, a: &Option<Datum>, b: &Option<Datum>) -> Ordering {
        if self.descending { b.cmp(a) } else { a.cmp(b) }
    }
}
