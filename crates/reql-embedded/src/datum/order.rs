//! The order of all values, across types too.
//!
//! Between types the names decide: `ARRAY` < `BOOL` < `NULL` < `NUMBER` < `OBJECT` < `PTYPE<BINARY>` <
//! `PTYPE<TIME>` < `STRING`, with `minval` below and `maxval` above all (RethinkDB's `datum_t::cmp`).
//!
//! There are two orders, which differ in one place. RethinkDB compares geometry with objects as an object,
//! but with binary strings by name. So it puts geometry after binary strings, although binary strings come
//! after objects. With an object between the two, the order goes in circles. [`Datum::compare`] does as
//! RethinkDB does, for the terms that compare, sort and choose. [`Ord`] puts geometry among the objects, for
//! everything that needs a total order. Both find the same values equal.

use std::cmp::Ordering;

use super::container::Container;
use super::{Datum, pseudo};
use crate::budget::fuel;

/// The rank of times.
const TIME: u8 = 7;

impl Datum {
    /// Returns the position of the type among the others. A time counts as a type of its own, geometry as a
    /// plain object.
    fn rank(&self) -> u8 {
        match self {
            Datum::MinVal => 0,
            Datum::Array(_) => 1,
            Datum::Bool(_) => 2,
            Datum::Null => 3,
            Datum::Num(_) => 4,
            Datum::Object(_) if self.is_ptype(pseudo::TIME) => TIME,
            Datum::Object(_) => 5,
            Datum::Binary(_) => 6,
            Datum::Str(_) => 8,
            Datum::MaxVal => 9,
            Datum::Damaged => 10,
        }
    }

    /// Compares as ReQL does. Binary strings, geometry and objects can come in a circle, so code that needs a
    /// total order must use [`Ord`].
    pub fn compare(&self, other: &Datum) -> Ordering {
        compare::<true>(self, other, Bytes::New)
    }
}

impl Ord for Datum {
    fn cmp(&self, other: &Self) -> Ordering {
        compare::<false>(self, other, Bytes::New)
    }
}

/// Compares two values; `BY_NAME` puts geometry after binary strings.
fn compare<const BY_NAME: bool>(a: &Datum, b: &Datum, bytes: Bytes) -> Ordering {
    match (a, b) {
        (Datum::Num(a), Datum::Num(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Datum::Str(a), Datum::Str(b)) => texts(a.as_bytes(), b.as_bytes()),
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Binary(a), Datum::Binary(b)) => texts(a, b),
        (Datum::Binary(_), Datum::Object(_)) if BY_NAME && b.is_ptype(pseudo::GEOMETRY) => Ordering::Less,
        (Datum::Object(_), Datum::Binary(_)) if BY_NAME && a.is_ptype(pseudo::GEOMETRY) => Ordering::Greater,
        _ => a.rank().cmp(&b.rank()).then_with(|| containers::<BY_NAME>(a, b, bytes)),
    }
}

/// Compares bytes. Short ones cost no more than the term that compares them.
fn texts(a: &[u8], b: &[u8]) -> Ordering {
    const SHORT: usize = 256;
    let length = a.len().min(b.len());
    if length > SHORT && !fuel::burn_bytes(length) {
        return Ordering::Equal;
    }
    a.cmp(b)
}

/// The handling of packed containers, whose bytes are compared once: not again for the containers within, so
/// that depth costs no more than size does.
#[derive(Clone, Copy, PartialEq)]
enum Bytes {
    New,
    Compared,
}

impl Bytes {
    /// Returns true if two containers are one, or have the same bytes, and the handling of the containers
    /// within.
    fn compare<T>(self, a: &Container<T>, b: &Container<T>) -> (bool, Bytes) {
        match (a.as_packed(), b.as_packed()) {
            (Some(a), Some(b)) if self == Bytes::New => {
                (a.is_same(b) || are_same(a.raw(), b.raw()), Bytes::Compared)
            }
            (Some(a), Some(b)) => (a.is_same(b), Bytes::Compared),
            _ => (a.is_same(b), Bytes::New),
        }
    }
}

fn are_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && fuel::burn_bytes(a.len()) && a == b
}

/// Compares two values of the same rank that are no scalars. Identity comes first: a shared value is equal to
/// itself, since numbers are finite.
fn containers<const BY_NAME: bool>(a: &Datum, b: &Datum, bytes: Bytes) -> Ordering {
    match (a, b) {
        (Datum::Array(x), Datum::Array(y)) => {
            let (is_same, bytes) = bytes.compare(x.container(), y.container());
            let compare = |a: &Datum, b: &Datum| compare::<BY_NAME>(a, b, bytes);
            unless(is_same, || first_difference(x.iter(), y.iter(), compare))
        }
        (Datum::Object(x), Datum::Object(y)) if a.rank() != TIME => {
            let (is_same, bytes) = bytes.compare(x.container(), y.container());
            unless(is_same, || {
                first_difference(x.iter(), y.iter(), |(key, a), (other, b)| {
                    key.cmp(other).then_with(|| compare::<BY_NAME>(a, b, bytes))
                })
            })
        }
        (Datum::Object(_), Datum::Object(_)) => pseudo::time::compare(a, b),
        _ => Ordering::Equal,
    }
}

fn unless(is_same: bool, compare: impl FnOnce() -> Ordering) -> Ordering {
    if is_same { Ordering::Equal } else { stacker::maybe_grow(32 * 1024, 1024 * 1024, compare) }
}

/// Compares item by item. If one sequence is the beginning of the other, the shorter one comes first.
fn first_difference<T>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    while fuel::burn(1) {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match compare(&a, &b) {
                Ordering::Equal => {}
                different => return different,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
    // Nobody is going to use this result.
    Ordering::Equal
}

impl PartialOrd for Datum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Datum {}
