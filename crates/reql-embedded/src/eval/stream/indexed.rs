//! Rows of a table that come with their values in an index.

use std::sync::Arc;

use super::{Source, Stream};
use crate::budget::memory::Reservation;
use crate::datum::{Datum, key};
use crate::error::{Error, ErrorKind, Result};
use crate::eval::env::Env;
use crate::eval::func::Func;
use crate::eval::order::Order;
use crate::eval::scan::Permitted;
use crate::eval::slice::TableSlice;
use crate::eval::stored::function;
use crate::storage::IndexScan;

/// Rows in the order of an index, as pairs: the value in the index, and the row.
pub struct Pairs {
    slice: TableSlice,
    entries: Option<Entries>,
    permitted: Permitted,
}

/// The entries of an index that are being read.
struct Entries {
    scan: IndexScan,
    func: Func,
    /// Environment in which the function is called.
    env: Env,
    /// True if an array has an entry for each of its elements.
    multi: bool,
}

impl Pairs {
    /// Makes the pairs of a slice that has an index. The index is looked up when the first row is read.
    pub fn new(slice: TableSlice) -> Self {
        Pairs { slice, entries: None, permitted: Permitted::default() }
    }
}

impl Entries {
    fn open(slice: &TableSlice, env: &Env) -> Result<Self> {
        let (scan, spec) = slice.read_index(env)?;
        Ok(Entries { scan, func: function(&spec.source)?, env: env.for_stored(), multi: spec.multi })
    }

    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        env.view().map_or(Ok(()), |view| self.scan.keep_to(view))?;
        let Some(row) = self.scan.next()? else { return Ok(None) };
        let value = self.value(&row)?;
        Ok(Some(Datum::array(vec![value, row])))
    }

    /// Computes the value anew, because the key in the index doesn't have all of it: the zone of a time.
    fn value(&self, row: &Datum) -> Result<Datum> {
        match self.func.call(&self.env, std::slice::from_ref(row))? {
            Datum::Array(items) if self.multi => items
                .iter()
                .find(|item| key::secondary(item).is_ok_and(|key| key == self.scan.value()))
                .ok_or_else(|| Error::internal("An index entry does not belong to its row.")),
            value => Ok(value),
        }
    }
}

impl Source for Pairs {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        self.permitted.check(env, &self.slice.table)?;
        match &mut self.entries {
            Some(entries) => entries.next(env),
            None => self.entries.insert(Entries::open(&self.slice, env)?).next(env),
        }
    }

    fn is_lazy(&self) -> bool {
        true
    }

    fn suspend(&mut self) {
        self.permitted.pause();
        if let Some(entries) = &mut self.entries {
            entries.scan.suspend();
        }
    }
}

/// Returns the two parts of a row of [`Pairs`].
pub fn split_pair(pair: &Datum) -> Result<(Datum, Datum)> {
    let parts = pair.as_array()?;
    match (parts.get(0), parts.get(1)) {
        (Some(value), Some(row)) => Ok((value, row)),
        _ => Err(Error::internal("A row without its value in the index.")),
    }
}

/// The values of an index, each once.
pub struct DistinctValues {
    pairs: Stream,
    last: Option<Datum>,
}

impl DistinctValues {
    /// Takes the pairs in the order of the index.
    pub fn new(pairs: Stream) -> Self {
        DistinctValues { pairs, last: None }
    }
}

impl Source for DistinctValues {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        while let Some(pair) = self.pairs.next(env)? {
            let (value, _) = split_pair(&pair)?;
            if self.last.as_ref() != Some(&value) {
                self.last = Some(value.clone());
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn is_exhausted(&self) -> bool {
        self.pairs.is_exhausted()
    }

    fn suspend(&mut self) {
        self.pairs.suspend();
    }
}

/// Rows in the order of an index; those of the same value in a further order.
pub struct SortedRuns {
    pairs: Stream,
    index: Arc<str>,
    order: Order,
    run: std::vec::IntoIter<Datum>,
    /// First row of the next run, with its value.
    next: Option<(Datum, Datum)>,
    /// Memory of the run.
    held: Option<Reservation>,
}

impl SortedRuns {
    /// Takes the pairs in the order of the index, whose name errors tell.
    pub fn new(pairs: Stream, index: Arc<str>, order: Order) -> Self {
        SortedRuns { pairs, index, order, run: Vec::new().into_iter(), next: None, held: None }
    }

    fn too_many(&self, value: &Datum, limit: usize) -> Error {
        let (index, value) = (&self.index, value.trunc_print());
        let message = format!("Too many rows (> {limit}) with the same value for index `{index}`:\n{value}");
        Error::new(ErrorKind::ResourceLimit, message)
    }

    fn pair(&mut self, env: &Env) -> Result<Option<(Datum, Datum)>> {
        self.pairs.next(env)?.as_ref().map(split_pair).transpose()
    }

    /// Reads the rows of the next value.
    fn advance(&mut self, env: &Env) -> Result<bool> {
        let first = match self.next.take() {
            Some(pair) => Some(pair),
            None => self.pair(env)?,
        };
        let Some((value, row)) = first else { return Ok(false) };
        let mut held = env.reserve();
        held.add(&row)?;
        let mut run = vec![row];
        while let Some((other, row)) = self.pair(env)? {
            if other != value {
                self.next = Some((other, row));
                break;
            }
            held.add(&row)?;
            run.push(row);
            if run.len() > env.limits.array {
                return Err(self.too_many(&value, env.limits.array));
            }
        }
        self.run = self.order.sort(env, run)?.into_iter();
        self.held = Some(held);
        Ok(true)
    }
}

impl Source for SortedRuns {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        loop {
            if let Some(row) = self.run.next() {
                return Ok(Some(row));
            }
            if !self.advance(env)? {
                return Ok(None);
            }
        }
    }

    fn is_exhausted(&self) -> bool {
        self.run.len() == 0 && self.next.is_none() && self.pairs.is_exhausted()
    }

    fn suspend(&mut self) {
        self.pairs.suspend();
    }
}
