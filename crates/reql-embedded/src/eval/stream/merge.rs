//! Merging ordered streams into one.

use std::cell::Cell;
use std::collections::VecDeque;

use super::heap::Heap;
use super::{Source, Stream};
use crate::budget::memory::Reservation;
use crate::datum::Datum;
use crate::error::{Bt, Error, Result};
use crate::eval::env::Env;
use crate::eval::order::{Keyed, Order};

/// The rows of several ordered streams in one order.
pub struct Merge {
    order: Order,
    streams: Vec<Stream>,
    /// The next row of each stream, with the number of the stream; `None` before the first row is read.
    heads: Option<Heap<(Keyed, usize)>>,
    ahead: VecDeque<Datum>,
    /// Number of rows that are merged at once. They are all checked for their order before the first of them
    /// is returned.
    batch: usize,
    /// Memory of the rows ahead.
    held: Option<Reservation>,
    bt: Bt,
}

/// The rows that RethinkDB merges at once, roughly.
const BATCH: usize = 1000;

impl Merge {
    /// Makes a merge. `bt` is the term to blame if a stream isn't in order.
    pub fn new(streams: Vec<Stream>, order: Order, bt: Bt) -> Self {
        Merge { order, streams, heads: None, ahead: VecDeque::new(), batch: BATCH, held: None, bt }
    }

    fn merge_next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let Merge { order, streams, heads, bt, .. } = self;
        let is_less =
            |(a, _): &(Keyed, usize), (b, _): &(Keyed, usize)| order.is_less(env, a, b, &Cell::new(0));
        let heap = match heads {
            Some(heap) => heap,
            None => {
                let heap = heads.insert(Heap::new());
                for (number, stream) in streams.iter_mut().enumerate() {
                    if let Some(row) = stream.next(env)? {
                        heap.push((order.keyed(row), number), is_less)?;
                    }
                }
                heap
            }
        };
        let Some((least, number)) = heap.pop(is_less)? else { return Ok(None) };
        if let Some(row) = streams[number].next(env)? {
            let next = order.keyed(row);
            if order.is_less(env, &next, &least, &Cell::new(0))? {
                let message = "The streams given as arguments are not ordered by given ordering.";
                return Err(Error::logic(message).at(*bt));
            }
            heap.push((next, number), is_less)?;
        }
        Ok(Some(least.row))
    }
}

impl Source for Merge {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        if self.ahead.is_empty() {
            let mut held = env.reserve();
            while self.ahead.len() < self.batch {
                let Some(row) = self.merge_next(env)? else { break };
                held.add(&row)?;
                self.ahead.push_back(row);
            }
            self.held = Some(held);
        }
        Ok(self.ahead.pop_front())
    }

    fn expect_at_most(&mut self, rows: u64) {
        self.batch = usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, self.batch);
    }

    fn blame(&mut self, bt: Bt) {
        self.bt = bt;
    }

    fn suspend(&mut self) {
        self.streams.iter_mut().for_each(Stream::suspend);
    }

    fn is_array(&self) -> bool {
        self.streams.iter().all(Stream::is_array)
    }

    fn is_infinite(&self) -> bool {
        self.streams.iter().any(Stream::is_infinite)
    }

    fn check_finite(&self) -> Result<()> {
        if self.is_infinite() {
            return Err(Error::logic("Cannot use an infinite stream with an ordered `union`."));
        }
        self.streams.iter().try_for_each(Stream::check_finite)
    }
}
