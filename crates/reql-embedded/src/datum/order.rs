//! The order of all values, across types too.
//!
//! Between types the names decide: `ARRAY` < `BOOL` < `NULL` < `NUMBER` < `OBJECT` < `PTYPE<BINARY>` <
//! `PTYPE<TIME>` < `STRING`, with `minval` below and `maxval` above all (RethinkDB's `datum_t::cmp`).
//!
//! There are two orders, which differ in one place. RethinkDB compares geometry with objects as an object,
//! but with binary strings by name, and so puts it after those, although these come after objects. With an
//! object between the two, that goes in circles. [`Datum::compare`] does as RethinkDB does, for the terms
//! that compare, sort and choose; [`Ord`], for everything that needs an order to hold on to, puts geometry
//! among the objects. Both find the same values equal.

use std::cmp::Ordering;

use super::Datum;
use super::pseudo;

impl Datum {
    /// Where the type stands among the others. A time counts as a type of its own, geometry as a plain
    /// object.
    fn rank(&self) -> u8 {
        match self {
            Datum::MinVal => 0,
            Datum::Array(_) => 1,
            Datum::Bool(_) => 2,
            Datum::Null => 3,
            Datum::Num(_) => 4,
            Datum::Object(_) if self.is_ptype(pseudo::TIME) => 7,
            Datum::Object(_) => 5,
            Datum::Binary(_) => 6,
            Datum::Str(_) => 8,
            Datum::MaxVal => 9,
        }
    }

    /// Compares as ReQL does. Binary strings, geometry and objects can come in a circle, so nothing that
    /// needs an order to be one may rely on it.
    pub fn compare(&self, other: &Datum) -> Ordering {
        compare::<true>(self, other)
    }
}

impl Ord for Datum {
    fn cmp(&self, other: &Self) -> Ordering {
        compare::<false>(self, other)
    }
}

/// Compares two values; `BY_NAME` puts geometry after binary strings.
fn compare<const BY_NAME: bool>(a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Num(a), Datum::Num(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Datum::Str(a), Datum::Str(b)) => a.cmp(b),
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Binary(a), Datum::Binary(b)) => a.cmp(b),
        (Datum::Binary(_), Datum::Object(_)) if BY_NAME && b.is_ptype(pseudo::GEOMETRY) => Ordering::Less,
        (Datum::Object(_), Datum::Binary(_)) if BY_NAME && a.is_ptype(pseudo::GEOMETRY) => Ordering::Greater,
        _ => a.rank().cmp(&b.rank()).then_with(|| containers::<BY_NAME>(a, b)),
    }
}

/// Compares two values of the same rank that are no scalars.
fn containers<const BY_NAME: bool>(a: &Datum, b: &Datum) -> Ordering {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || match (a, b) {
        (Datum::Array(a), Datum::Array(b)) => first_difference(a.iter(), b.iter(), compare::<BY_NAME>),
        (Datum::Object(x), Datum::Object(y)) => {
            if a.rank() == 7 {
                pseudo::time::epoch(a).total_cmp(&pseudo::time::epoch(b))
            } else {
                first_difference(x.iter(), y.iter(), |(key, a), (other, b)| {
                    key.cmp(other).then_with(|| compare::<BY_NAME>(a, b))
                })
            }
        }
        _ => Ordering::Equal,
    })
}

/// Compares item by item; of two sequences that are alike as far as they go, the shorter one comes first.
fn first_difference<T>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match compare(&a, &b) {
                Ordering::Equal => {}
                different => return different,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
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
