//! Sources of rows, apart from tables.

use std::collections::VecDeque;

use super::{FeedTraits, Predicate, Source, Stream};
use crate::budget::memory::{LARGE, Reservation};
use crate::datum::{Array, Datum};
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::eval::env::Env;
use crate::eval::func::Func;
use crate::eval::watch::Watched;
use crate::feed::Kind;

/// The elements of an array.
pub struct ArraySource {
    items: Array,
    at: usize,
    /// Memory of the array, if it counts here.
    _held: Option<Reservation>,
}

impl ArraySource {
    /// Begins at the first element.
    pub fn new(items: Array) -> Self {
        ArraySource { items, at: 0, _held: None }
    }

    /// Begins at the first element of an array that a function has returned. A large one counts here, since
    /// it doesn't count for the function any more.
    pub fn returned(array: &Datum, env: &Env) -> Result<Self> {
        let (items, bytes) = (array.as_array()?.clone(), array.footprint());
        let mut held = (bytes > LARGE).then(|| env.reserve());
        held.as_mut().map_or(Ok(()), |held| held.add_bytes(bytes))?;
        Ok(ArraySource { items, at: 0, _held: held })
    }
}

impl Source for ArraySource {
    fn next(&mut self, _: &Env) -> Result<Option<Datum>> {
        let item = self.items.get(self.at);
        self.at += usize::from(item.is_some());
        Ok(item)
    }

    fn is_array(&self) -> bool {
        true
    }

    fn is_exhausted(&self) -> bool {
        self.at >= self.items.len()
    }
}

/// Rows that were read before, and count until they are taken.
pub struct HeldRows {
    rows: std::vec::IntoIter<Datum>,
    held: Reservation,
}

impl HeldRows {
    /// Begins at the first row. `held` counts them all.
    pub fn new(rows: Vec<Datum>, held: Reservation) -> Self {
        HeldRows { rows: rows.into_iter(), held }
    }
}

impl Source for HeldRows {
    fn next(&mut self, _: &Env) -> Result<Option<Datum>> {
        let row = self.rows.next();
        if let Some(row) = &row {
            self.held.release(row.footprint());
        }
        Ok(row)
    }

    fn is_array(&self) -> bool {
        true
    }

    fn is_exhausted(&self) -> bool {
        self.rows.len() == 0
    }
}

/// A part of a stream: a number of rows, after skipping some.
pub struct Slice {
    inner: Stream,
    skip: u64,
    left: Option<u64>,
}

impl Slice {
    /// Leaves out the first `skip` rows, and takes at most `limit` of the others.
    pub fn new(mut inner: Stream, skip: u64, limit: Option<u64>) -> Self {
        if skip == 0
            && let Some(limit) = limit
        {
            inner.expect_at_most(limit);
        }
        Slice { inner, skip, left: limit }
    }
}

impl Source for Slice {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        while self.skip > 0 {
            if self.inner.next(env)?.is_none() {
                self.skip = 0;
                self.left = Some(0);
                return Ok(None);
            }
            self.skip -= 1;
        }
        let row = self.inner.next(env)?;
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(row)
    }

    fn feed(&self) -> Option<FeedTraits> {
        self.inner.feed().map(FeedTraits::remade)
    }

    fn watch(&self) -> Result<Vec<Watched>> {
        let eager = || Error::logic("Cannot call `changes` on an eager stream.");
        if self.skip > 0 {
            return Err(eager());
        }
        let watched: [Watched; 1] = self
            .inner
            .watch()?
            .try_into()
            .map_err(|_| Error::logic("Cannot call `changes` on a slice of a union."))?;
        let limit = self.left.unwrap_or(u64::MAX);
        let limited = watched.into_iter().map(|watched| watched.limited(limit).ok_or_else(eager));
        limited.collect()
    }

    fn check_transformable(&self) -> Result<()> {
        Err(Error::logic(
            "Changefeeds are not supported on queries that have a transformation following a `limit` term.  \
             Transformations include terms such as `filter`, `map`, `pluck`, etc.  Consider moving the \
             transformation before the `limit` term.",
        ))
    }

    fn suspend(&mut self) {
        self.inner.suspend();
    }

    fn is_array(&self) -> bool {
        self.inner.is_array()
    }

    fn is_exhausted(&self) -> bool {
        self.left == Some(0) || self.inner.is_exhausted()
    }

    fn is_infinite(&self) -> bool {
        self.left.is_none() && self.inner.is_infinite()
    }

    fn check_finite(&self) -> Result<()> {
        // However short the slice is, its source is read as the slice is: by terms that read to the end.
        if self.left == Some(0) { Ok(()) } else { self.inner.check_finite() }
    }
}

/// Several streams, one after the other.
pub struct Chain {
    streams: VecDeque<Stream>,
}

impl Chain {
    /// Chains streams in this order.
    pub fn new(streams: Vec<Stream>) -> Self {
        Chain { streams: streams.into() }
    }
}

impl Source for Chain {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        let mut blocked = None;
        for _ in 0..self.streams.len() {
            let Some(first) = self.streams.front_mut() else { break };
            let is_feed = first.feed().is_some();
            let row = match first.pull(env) {
                Ok(None) => {
                    self.streams.pop_front();
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    blocked = Some(error);
                    None
                }
                row => row?,
            };
            // Feeds have no end, so they take turns.
            if is_feed {
                self.streams.rotate_left(1);
            }
            if row.is_some() {
                return Ok(row);
            }
        }
        blocked.map_or(Ok(None), Err)
    }

    fn feed(&self) -> Option<FeedTraits> {
        let kinds = self.streams.iter().filter_map(|stream| stream.feed().map(|traits| traits.kind));
        kinds.reduce(Kind::join).map(|kind| FeedTraits { kind, has_states: false })
    }

    fn watch(&self) -> Result<Vec<Watched>> {
        let watched = self.streams.iter().map(Stream::watch).collect::<Result<Vec<_>>>()?;
        Ok(watched.into_iter().flatten().collect())
    }

    fn check_transformable(&self) -> Result<()> {
        self.streams.iter().try_for_each(Stream::check_transformable)
    }

    fn is_lazy(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(Stream::is_lazy)
    }

    /// Blames a term for errors in all of the streams, since a stage works on the rows of each.
    fn blame(&mut self, bt: Bt) {
        self.streams.iter_mut().for_each(|stream| stream.blame(bt));
    }

    fn place(&self) -> Option<Bt> {
        self.streams.front().map(Stream::place)
    }

    fn suspend(&mut self) {
        self.streams.iter_mut().for_each(Stream::suspend);
    }

    fn is_array(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(Stream::is_array)
    }

    fn is_infinite(&self) -> bool {
        self.streams.iter().any(Stream::is_infinite)
    }

    fn check_finite(&self) -> Result<()> {
        self.streams.iter().try_for_each(Stream::check_finite)
    }
}

/// Consecutive integers.
pub struct Range {
    next: i64,
    end: Option<i64>,
    bt: Bt,
}

impl Range {
    /// Counts from `start` up to but not including `end`, or for ever.
    pub fn new(start: i64, end: Option<i64>, bt: Bt) -> Self {
        Range { next: start, end, bt }
    }
}

impl Source for Range {
    fn next(&mut self, _: &Env) -> Result<Option<Datum>> {
        const LARGEST: i64 = 1 << 53;
        if self.end.is_some_and(|end| self.next >= end) {
            return Ok(None);
        }
        if self.next > LARGEST {
            return Err(Error::logic("`range` out of safe double bounds.").at(self.bt));
        }
        let number = Datum::Num(self.next as f64);
        self.next += 1;
        Ok(Some(number))
    }

    fn blame(&mut self, bt: Bt) {
        self.bt = bt;
    }

    fn is_exhausted(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    fn is_infinite(&self) -> bool {
        self.end.is_none()
    }
}

/// The results of a function of the rows of several streams, read in step until one of them ends.
pub struct ZipWith {
    streams: Vec<Stream>,
    func: Func,
    /// Rows of this step so far: the next stream may have to be waited for.
    rows: Vec<Datum>,
}

impl ZipWith {
    /// Makes the source. The function takes as many arguments as there are streams.
    pub fn new(streams: Vec<Stream>, func: Func) -> Self {
        ZipWith { streams, func, rows: Vec::new() }
    }
}

impl Source for ZipWith {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        while let Some(stream) = self.streams.get_mut(self.rows.len()) {
            match stream.next(env)? {
                Some(row) => self.rows.push(row),
                None => return Ok(None),
            }
        }
        self.func.call(env, &std::mem::take(&mut self.rows)).map(Some)
    }

    fn feed(&self) -> Option<FeedTraits> {
        let kinds = self.streams.iter().filter_map(|stream| stream.feed().map(|traits| traits.kind));
        kinds.reduce(Kind::join).map(|kind| FeedTraits { kind, has_states: false })
    }

    fn suspend(&mut self) {
        self.streams.iter_mut().for_each(Stream::suspend);
    }

    fn is_array(&self) -> bool {
        self.streams.iter().all(Stream::is_array)
    }

    fn is_exhausted(&self) -> bool {
        self.streams.iter().any(Stream::is_exhausted)
    }

    fn is_infinite(&self) -> bool {
        self.streams.iter().all(Stream::is_infinite)
    }
}

/// The positions of the rows that match.
pub struct Offsets {
    inner: Stream,
    predicate: Predicate,
    at: u64,
}

impl Offsets {
    /// Makes the source. Positions count from 0.
    pub fn new(inner: Stream, predicate: Predicate) -> Self {
        Offsets { inner, predicate, at: 0 }
    }
}

impl Source for Offsets {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        while let Some(row) = self.inner.next(env)? {
            let at = self.at;
            self.at += 1;
            if self.predicate.matches(env, &row)? {
                return Ok(Some(at.into()));
            }
        }
        Ok(None)
    }

    fn feed(&self) -> Option<FeedTraits> {
        self.inner.feed().map(FeedTraits::remade)
    }

    fn suspend(&mut self) {
        self.inner.suspend();
    }

    fn is_array(&self) -> bool {
        self.inner.is_array()
    }

    fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }

    fn is_infinite(&self) -> bool {
        self.inner.is_infinite()
    }

    fn check_finite(&self) -> Result<()> {
        self.inner.check_finite()
    }
}
