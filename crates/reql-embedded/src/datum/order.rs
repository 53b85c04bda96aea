//! The order of all values, across types too.
//!
//! Between types the names decide: `ARRAY` < `BOOL` < `NULL` < `NUMBER` < `OBJECT` < `PTYPE<BINARY>` < `PTYPE<TIME>` <
//! `STRING`, with `minval` below and `maxval` above all (RethinkDB's `datum_t::cmp`).

use std::cmp::Ordering;

use super::Datum;
use super::pseudo;

impl Datum {
    /// Where the type stands among the others. A time counts as a type of its own, geometry as a plain object.
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
}

impl Ord for Datum {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Datum::Num(a), Datum::Num(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Datum::Str(a), Datum::Str(b)) => a.cmp(b),
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            (Datum::Binary(a), Datum::Binary(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()).then_with(|| containers(self, other)),
        }
    }
}

/// Compares two values of the same rank that are no scalars.
fn containers(a: &Datum, b: &Datum) -> Ordering {
    stacker::maybe_grow(32 * 1024, 1024 * 1024, || match (a, b) {
        (Datum::Array(a), Datum::Array(b)) => a.iter().cmp(b.iter()),
        (Datum::Object(x), Datum::Object(y)) => {
            if a.rank() == 7 {
                pseudo::time::epoch(a).total_cmp(&pseudo::time::epoch(b))
            } else {
                x.iter().cmp(y.iter())
            }
        }
        _ => Ordering::Equal,
    })
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
