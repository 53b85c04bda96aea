//! The choice of an index for a list.
//!
//! An index fits if it has an entry for every document that the list may contain. Only documents with a value
//! of an indexable type in each of the index's fields have one. So the filter must have a condition on each
//! field that guarantees such a value. A list in the index's own order needs none for the first field: it
//! reads the documents without a value ([`Plan::rest`]) at its end.
//!
//! The filter is applied to all documents found by the index, so a range may be wider than the conditions
//! that it is made of.

mod reading;

use std::cmp::Ordering;

use reql::Term;
use serde_json::{Map, Value};

use super::filter::{Comparison, Condition, Filter, Test, beyond};
use super::order::Order;
use super::path::{Path, SORTABLE};
use crate::names::PSEUDO_TYPE;
pub(super) use reading::{by_index, once_each};

/// The most values that a multi index is queried for.
const MEMBERS: usize = 16;

/// A secondary index over plain fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) fields: Vec<Path>,
    pub(crate) kind: Kind,
}

/// The kind of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One entry for each document.
    Plain,
    /// One entry for each member of an array.
    Multi,
    /// A geospatial index.
    Geo,
}

/// A plan for reading a list: an index, and the part of it to read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    index: String,
    primary_key: String,
    access: Access,
    /// The number of the list's sort keys that the index's order covers; `None` if the rows are sorted in
    /// memory.
    sorted: Option<usize>,
    /// The number of leading sort keys in which no row lies before the cursor.
    reached: usize,
    /// `true` if the documents without a value in the order's first field are to be read after the index.
    rest: bool,
    /// The rank of the plan.
    merit: Merit,
}

#[derive(Debug, Clone, PartialEq)]
enum Access {
    All,
    Keys(Vec<Value>),
    /// The entries from `low` to `high`, both values of the first fields of a compound index, or of the only
    /// field of another one.
    Range {
        low: Vec<Value>,
        high: Vec<Value>,
        compound: bool,
    },
    /// The documents whose array in this field, which has a multi index, contains one of these values.
    Members(Path, Vec<Value>),
    /// The documents whose geometry intersects this one.
    Intersecting(Term),
}

/// The rank of a plan. The greatest is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Merit {
    Scan,
    Range,
    Sorted,
    SortedRange,
    Keys(usize),
    SortedKeys(usize),
    PrimaryKeys,
}

/// The conditions of a filter on one field.
#[derive(Debug, Default)]
struct Known<'a> {
    equal: Option<&'a Value>,
    any: Option<&'a [Value]>,
    low: Option<Value>,
    high: Option<Value>,
    typed: bool,
}

/// The list that plans are made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a Filter,
    /// A filter that all documents that the caller may read match.
    pub(super) rule: Option<&'a Filter>,
    pub(super) order: &'a Order,
    pub(super) place: Option<&'a [Value]>,
    pub(super) primary_key: &'a str,
}

impl<'a> Wanted<'a> {
    /// Returns the conditions that all documents of the list fulfil.
    fn conditions(self) -> impl Iterator<Item = &'a Condition> {
        self.filter.conditions().chain(self.rule.into_iter().flat_map(Filter::conditions))
    }
}

impl Plan {
    /// Returns all plans with these indexes and the primary key, the best one first. The last reads the whole
    /// table.
    pub(super) fn all(wanted: Wanted<'_>, indexes: &[Index]) -> Vec<Plan> {
        let primary = primary(wanted);
        let mut plans: Vec<_> =
            indexes.iter().chain([&primary]).filter_map(|index| Plan::through(index, wanted)).collect();
        // Of equal ranks, the plan that covers more sort keys comes first, else the one of the first index.
        plans.sort_by_key(|plan| std::cmp::Reverse((plan.merit, plan.sorted)));
        plans.retain(|plan| plan.merit != Merit::Scan);
        plans.push(Plan::whole(wanted));
        plans
    }

    /// Returns the plan that reads the whole table, in the order of the primary key if that is the list's.
    pub(super) fn whole(wanted: Wanted<'_>) -> Plan {
        let sorted = wanted.order.is_index(wanted.primary_key);
        let place = wanted.place.filter(|_| sorted).map(<[Value]>::to_vec);
        let reached = place.as_ref().map_or(0, Vec::len);
        let access = match place {
            None => Access::All,
            Some(high) if wanted.order.falls() => Access::Range { low: Vec::new(), high, compound: false },
            Some(low) => Access::Range { low, high: Vec::new(), compound: false },
        };
        Plan {
            index: wanted.primary_key.to_owned(),
            primary_key: wanted.primary_key.to_owned(),
            access,
            sorted: sorted.then_some(1),
            reached,
            rest: false,
            merit: Merit::Scan,
        }
    }

    /// Returns the plan with an index, if it fits.
    pub(super) fn through(index: &Index, wanted: Wanted<'_>) -> Option<Plan> {
        match (index.kind, &index.fields[..]) {
            (Kind::Plain, _) => Plan::through_plain(index, wanted),
            (kind, [field]) => {
                let tests = wanted.conditions().filter(|condition| condition.field == *field);
                let access =
                    tests.into_iter().find_map(|condition| Access::by(&condition.test, kind, field))?;
                let (index, primary_key) = (index.name.clone(), wanted.primary_key.to_owned());
                let merit = Merit::Keys(1);
                Some(Plan { index, primary_key, access, sorted: None, reached: 0, rest: false, merit })
            }
            // Compound multi and geo indexes have other entries than combinations of values.
            _ => None,
        }
    }

    fn through_plain(index: &Index, wanted: Wanted<'_>) -> Option<Plan> {
        let known: Vec<_> = index.fields.iter().map(|field| Known::of(field, wanted)).collect();
        let equal: Vec<Value> = known.iter().map_while(|known| known.equal.cloned()).collect();
        let open = index.fields.get(equal.len()..)?;
        let sorted = covered(open, wanted);
        let unknown = known.iter().filter(|known| !known.typed).count();
        let rest = unknown > 0 && equal.is_empty() && !known.first()?.typed;
        // Documents without a value in another field than the order's first would belong in between.
        if unknown > usize::from(rest) || (rest && sorted.is_none()) {
            return None;
        }
        let plan = |access, sorted, merit| {
            let (index, primary_key) = (index.name.clone(), wanted.primary_key.to_owned());
            Some(Plan { index, primary_key, access, sorted, reached: 0, rest, merit })
        };
        let compound = index.fields.len() > 1;
        let is_primary = index.name == wanted.primary_key;
        if let ([known], Some(_)) = (&known[..], known.first()?.any) {
            let keys = known.any.map(distinct).unwrap_or_default();
            return plan(
                Access::Keys(keys),
                None,
                if is_primary { Merit::PrimaryKeys } else { Merit::Keys(1) },
            );
        }
        if open.is_empty() && (sorted.is_none() || is_primary) {
            let keys = if compound { vec![Value::Array(equal.clone())] } else { equal.clone() };
            let merit = if is_primary { Merit::PrimaryKeys } else { Merit::Keys(equal.len()) };
            return plan(Access::Keys(keys), None, merit);
        }
        let next = known.get(equal.len());
        let bound = |value: Option<&Value>| equal.iter().chain(value).cloned().collect::<Vec<_>>();
        let mut low = bound(next.and_then(|known| known.low.as_ref()));
        let mut high = bound(next.and_then(|known| known.high.as_ref()));
        if rest {
            // The lowest sortable value.
            low = vec![Value::Bool(false)];
        }
        let narrows = next.is_some_and(|known| known.low.is_some() || known.high.is_some());
        let merit = match (equal.len(), sorted.is_some(), narrows) {
            (0, false, false) => return None,
            (0, false, true) => Merit::Range,
            // Reading in the order of the primary key needs no index.
            (0, true, false) if is_primary => Merit::Scan,
            (0, true, false) => Merit::Sorted,
            (0, true, true) => Merit::SortedRange,
            (_, _, _) if is_primary => Merit::PrimaryKeys,
            (count, false, _) => Merit::Keys(count),
            (count, true, _) => Merit::SortedKeys(count),
        };
        let place = wanted.place.filter(|_| sorted.is_some()).and_then(|place| place.get(..open.len()));
        let place = place.filter(|place| !place.iter().any(Value::is_null));
        if let Some(place) = place {
            let bound = if wanted.order.falls() { &mut high } else { &mut low };
            *bound = equal.iter().chain(place).cloned().collect();
        }
        let reached = place.map_or(0, <[Value]>::len);
        plan(Access::Range { low, high, compound }, sorted, merit).map(|plan| Plan { reached, ..plan })
    }

    /// Returns the name of the index; `None` if the table is read without an order.
    pub(crate) fn index(&self) -> Option<&str> {
        (self.access != Access::All || self.sorted.is_some()).then_some(self.index.as_str())
    }

    /// Returns whether the rows are in the list's order without sorting in memory.
    pub(super) fn is_sorted(&self) -> bool {
        self.sorted.is_some()
    }

    /// Returns the number of leading sort keys in which no row lies before the cursor.
    pub(super) fn reached(&self) -> usize {
        self.reached
    }

    /// Returns whether it finds so few rows that sorting them is cheap.
    pub(super) fn finds_few(&self) -> bool {
        self.merit == Merit::PrimaryKeys
    }

    /// Returns whether documents without an entry in the index are to be read after it.
    pub(super) fn has_rest(&self) -> bool {
        self.rest
    }
}

/// Returns the index of the primary key.
pub(super) fn primary(wanted: Wanted<'_>) -> Index {
    let fields = vec![Path::whole(wanted.primary_key)];
    Index { name: wanted.primary_key.to_owned(), fields, kind: Kind::Plain }
}

/// Returns the number of sort keys that these fields cover, if the index is in their order, ascending or
/// descending. The fields are those of an index that have no fixed value. Entries of equal value are in the
/// order of the primary key.
fn covered(open: &[Path], wanted: Wanted<'_>) -> Option<usize> {
    let keys = wanted.order.keys();
    let begins = open.len() <= keys.len()
        && open.iter().zip(keys).all(|(field, key)| {
            key.near.is_none() && key.field == *field && key.falling == wanted.order.falls()
        });
    if open.is_empty() {
        return wanted.order.is_index(wanted.primary_key).then_some(0);
    }
    begins.then_some(open.len())
}

impl Access {
    /// Returns the part of an index over one field that has all documents that pass a test.
    fn by(test: &Test, kind: Kind, field: &Path) -> Option<Self> {
        match (kind, test) {
            (Kind::Multi, Test::Contains(values)) => {
                let values = distinct(values);
                let fits = values.len() <= MEMBERS && values.iter().all(is_indexed);
                fits.then(|| Access::Members(field.clone(), values))
            }
            (Kind::Geo, Test::Geometry(place)) => place.cover().map(Access::Intersecting),
            _ => None,
        }
    }
}

impl<'a> Known<'a> {
    fn of(field: &Path, wanted: Wanted<'a>) -> Self {
        let primary = field.is(wanted.primary_key);
        let usable = |value: &Value| if primary { is_key(value) } else { is_indexed(value) };
        let mut known = Known { typed: primary, ..Known::default() };
        for Condition { test, .. } in wanted.conditions().filter(|condition| condition.field == *field) {
            match test {
                Test::Compare(Comparison::Eq, values) if values.iter().all(usable) => match &values[..] {
                    [value] => known.equal = Some(value),
                    values => known.any = Some(values),
                },
                Test::In(values) if values.iter().all(|value| usable(value) && !value.is_array()) => {
                    known.any = Some(values);
                }
                // A text that may be a time has the time as its second value, and times sort before all text.
                Test::Compare(op, values)
                    if is_ranged(*op) && values.iter().all(|value| usable(value) && !value.is_array()) =>
                {
                    match op {
                        Comparison::Gt | Comparison::Ge => known.low = values.last().cloned(),
                        _ => known.high = values.first().cloned(),
                    }
                }
                Test::Starts(text) => {
                    let bounds = [Some(text.clone()), beyond(text)].map(|text| text.map(Value::String));
                    let [low, high] = bounds.map(|bound| bound.filter(usable));
                    known.low = low.or(known.low);
                    known.high = high.or(known.high);
                }
                Test::Match(_) => {}
                Test::Type(name) if SORTABLE.contains(name) => {}
                _ => continue,
            }
            known.typed = true;
        }
        known
    }
}

fn is_ranged(op: Comparison) -> bool {
    !matches!(op, Comparison::Eq | Comparison::Ne)
}

/// Returns whether a document with this value has an entry under it in an index.
fn is_indexed(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().all(is_indexed),
        Value::Object(fields) => fields.get(PSEUDO_TYPE).is_some_and(|name| name == "TIME"),
        _ => true,
    }
}

/// Returns whether it could be a primary key. A key that is too long would be an error of the query, while a
/// filter just finds nothing.
fn is_key(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= 100 && !text.contains('\0'),
        Value::Object(_) => is_indexed(value),
        value => value.is_number() || value.is_boolean(),
    }
}

/// Removes values that are equal for the database, which has one type of number, so that no document is found
/// twice.
fn distinct(values: &[Value]) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for value in values {
        if !kept.iter().any(|other| same_key(value, other)) {
            kept.push(value.clone());
        }
    }
    kept
}

/// Returns whether two values are one key of an index.
fn same_key(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64(), other.as_f64());
            one.zip(other)
                .is_some_and(|(one, other)| one.total_cmp(&other) == Ordering::Equal || one == other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_key(one, other))
        }
        // Times in different zones may be equal.
        (Value::Object(one), Value::Object(other)) => millis(one) == millis(other),
        _ => one == other,
    }
}

/// Returns a time in milliseconds, to which the database rounds.
fn millis(time: &Map<String, Value>) -> Option<f64> {
    time.get("epoch_time").and_then(Value::as_f64).map(|seconds| (seconds * 1000.0).round())
}

#[cfg(test)]
mod tests;
