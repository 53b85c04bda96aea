//! Where rows come from, apart from tables.

use std::collections::VecDeque;

use super::{Source, Stream};
use crate::datum::{Array, Datum};
use crate::error::Result;
use crate::eval::env::Env;

/// The elements of an array.
pub struct ArraySource {
    items: Array,
    at: usize,
}

impl ArraySource {
    /// From the first element on.
    pub fn new(items: Array) -> Self {
        ArraySource { items, at: 0 }
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
}

/// A part of a stream: what is left after skipping, up to a count.
pub struct Slice {
    inner: Stream,
    skip: u64,
    left: Option<u64>,
}

impl Slice {
    /// Without the first `skip` rows, and at most `limit` of the others.
    pub fn new(inner: Stream, skip: u64, limit: Option<u64>) -> Self {
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
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        self.inner.next(env)
    }

    fn suspend(&mut self) {
        self.inner.suspend();
    }

    fn is_array(&self) -> bool {
        self.inner.is_array()
    }

    fn is_infinite(&self) -> bool {
        self.left.is_none() && self.inner.is_infinite()
    }
}

/// Several streams, one after the other.
pub struct Chain {
    streams: VecDeque<Stream>,
}

impl Chain {
    /// In this order.
    pub fn new(streams: Vec<Stream>) -> Self {
        Chain { streams: streams.into() }
    }
}

impl Source for Chain {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        while let Some(first) = self.streams.front_mut() {
            if let Some(row) = first.next(env)? {
                return Ok(Some(row));
            }
            self.streams.pop_front();
        }
        Ok(None)
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
}
