//! Arrays: adding, removing and replacing elements, and arrays as sets.

use std::collections::BTreeSet;

use super::position::{from_start, out_of_bounds};
use crate::budget::fuel::{self, Scope};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::{Arity, Call, Spec, Val};
use crate::term::{RawTerm, TermType};

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Append, Arity::exactly(2), append),
    Spec::new(TermType::Prepend, Arity::exactly(2), prepend),
    Spec::rewritten(TermType::Difference, Arity::exactly(2), difference),
    Spec::new(TermType::SetInsert, Arity::exactly(2), set_insert),
    Spec::new(TermType::SetUnion, Arity::exactly(2), set_union),
    Spec::new(TermType::SetIntersection, Arity::exactly(2), set_intersection),
    Spec::new(TermType::SetDifference, Arity::exactly(2), set_difference),
    Spec::new(TermType::InsertAt, Arity::exactly(3), insert_at),
    Spec::new(TermType::SpliceAt, Arity::exactly(3), splice_at),
    Spec::new(TermType::DeleteAt, Arity::between(2, 3), delete_at),
    Spec::new(TermType::ChangeAt, Arity::exactly(3), change_at),
];

/// Bytes that an element takes in a tree, about.
const IN_TREE: usize = 2 * size_of::<Datum>();

/// Counts elements that are about to be copied, and the memory that they take each until the result is made.
fn room(count: usize, each: usize) -> Result<Scope> {
    fuel::spend(1 + count / 8)?;
    fuel::aside(count.saturating_mul(each))
}

/// Counts elements of which a tree is about to be made, and the memory of that.
fn room_in_tree(count: usize) -> Result<Scope> {
    // Eight elements are compared for a unit, each with as many others as the tree has levels.
    let levels = count.checked_ilog2().unwrap_or_default() as usize;
    fuel::spend(count.saturating_mul(levels) / 8)?;
    room(count, IN_TREE)
}

/// The elements of an array, which this term will change.
fn elements(array: Datum) -> Result<(Vec<Datum>, Scope)> {
    match array {
        Datum::Array(items) => {
            let room = room(items.len(), size_of::<Datum>())?;
            Ok((items.into_vec(), room))
        }
        other => Err(other.wrong_type("ARRAY")),
    }
}

fn append(call: &mut Call<'_>) -> Result<Val> {
    let (array, item) = (call.datum(0)?, call.datum(1)?);
    let (mut items, _room) = elements(array)?;
    items.push(item);
    call.array(items)
}

fn prepend(call: &mut Call<'_>) -> Result<Val> {
    let (array, item) = (call.datum(0)?, call.datum(1)?);
    let array = array.as_array()?;
    let _room = room(array.len(), size_of::<Datum>())?;
    let mut items = Vec::with_capacity(array.len() + 1);
    items.push(item);
    items.extend(array.iter());
    call.array(items)
}

/// The parameter of the function in [`difference`].
const ROW: i64 = -2;

/// Rewrites `left.difference(right)` to `left.filter(row => right.contains(row).not())`.
fn difference(raw: &RawTerm) -> Result<RawTerm> {
    let [left, right] = &raw.args[..] else {
        return Err(Error::internal("A difference without its arguments."));
    };
    let term = |kind, args| RawTerm::generated(kind, raw.bt, args);
    let name = || RawTerm::literal(Datum::from(ROW), raw.bt);
    let row = term(TermType::Var, vec![name()]);
    let contains = term(TermType::Contains, vec![right.clone(), row]);
    let params = term(TermType::MakeArray, vec![name()]);
    let func = term(TermType::Func, vec![params, term(TermType::Not, vec![contains])]);
    let mut filter = term(TermType::Filter, vec![left.clone(), func]);
    filter.optargs = raw.optargs.clone();
    Ok(filter)
}

fn set_insert(call: &mut Call<'_>) -> Result<Val> {
    let (array, item) = (call.datum(0)?, call.datum(1)?);
    let array = array.as_array()?;
    let _room = room_in_tree(array.len())?;
    call.array(unseen(BTreeSet::new(), array.iter().chain([item])))
}

fn set_union(call: &mut Call<'_>) -> Result<Val> {
    let (left, right) = (call.datum(0)?, call.datum(1)?);
    let (left, right) = (left.as_array()?, right.as_array()?);
    let _room = room_in_tree(left.len() + right.len())?;
    call.array(unseen(BTreeSet::new(), left.iter().chain(right.iter())))
}

fn set_intersection(call: &mut Call<'_>) -> Result<Val> {
    let (left, right) = (call.datum(0)?, call.datum(1)?);
    let (left, right) = (left.as_array()?, right.as_array()?);
    let _room = room_in_tree(left.len() + right.len())?;
    let mut wanted: BTreeSet<Datum> = left.iter().collect();
    call.array(right.iter().take_while(|_| fuel::burn(1)).filter(|item| wanted.remove(item)).collect())
}

fn set_difference(call: &mut Call<'_>) -> Result<Val> {
    let (left, right) = (call.datum(0)?, call.datum(1)?);
    let (left, right) = (left.as_array()?, right.as_array()?);
    let _room = room_in_tree(left.len() + right.len())?;
    call.array(unseen(right.iter().collect(), left.iter()))
}

/// Returns the items that are not in the set, each once.
fn unseen(mut seen: BTreeSet<Datum>, items: impl Iterator<Item = Datum>) -> Vec<Datum> {
    items.take_while(|_| fuel::burn(1)).filter(|item| seen.insert(item.clone())).collect()
}

/// The unit of an index in the terms below: the elements, or the gaps before, between and after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Elements,
    Gaps,
}

/// The array, which must be within the limit, and the place that the second argument names.
fn array_and_place(call: &mut Call<'_>, counted: Counted) -> Result<(Vec<Datum>, u64, Scope)> {
    let (items, room) = elements(call.datum(0)?)?;
    call.env.limits.check_array(items.len())?;
    let size = items.len() + usize::from(counted == Counted::Gaps);
    let place = place(call, 1, size)?;
    Ok((items, place, room))
}

fn place(call: &mut Call<'_>, argument: usize, size: usize) -> Result<u64> {
    let index = call.datum(argument)?.as_int()?;
    from_start(index, size).ok_or_else(|| out_of_bounds(index))
}

/// Returns a place as an index, which must be below `end`.
fn within(place: u64, end: usize, size: usize) -> Result<usize> {
    usize::try_from(place)
        .ok()
        .filter(|at| *at < end)
        .ok_or_else(|| Error::missing(format!("Index `{place}` out of bounds for array of size: `{size}`.")))
}

fn insert_at(call: &mut Call<'_>) -> Result<Val> {
    let (mut items, place, _room) = array_and_place(call, Counted::Gaps)?;
    let item = call.datum(2)?;
    let size = items.len();
    items.insert(within(place, size + 1, size)?, item);
    call.array(items)
}

fn splice_at(call: &mut Call<'_>) -> Result<Val> {
    let (mut items, place, _room) = array_and_place(call, Counted::Gaps)?;
    let inserted = call.datum(2)?;
    let size = items.len();
    let at = within(place, size + 1, size)?;
    let (inserted, _room) = elements(inserted)?;
    items.splice(at..at, inserted);
    call.array(items)
}

fn delete_at(call: &mut Call<'_>) -> Result<Val> {
    let (mut items, place_of_start, _room) = array_and_place(call, Counted::Elements)?;
    let size = items.len();
    if call.len() == 2 {
        items.remove(within(place_of_start, size, size)?);
        return call.array(items);
    }
    // RethinkDB has room for 32 bits here (`delete_at_term_t` in its `arr.cc`).
    let place_of_end = place(call, 2, size)? as i32 as u64;
    let (start, end) = (within(place_of_start, size + 1, size)?, within(place_of_end, size + 1, size)?);
    if start > end {
        return Err(call.fail(format!("Start index `{start}` is greater than end index `{end}`.")));
    }
    items.drain(start..end);
    call.array(items)
}

fn change_at(call: &mut Call<'_>) -> Result<Val> {
    let (mut items, place, _room) = array_and_place(call, Counted::Elements)?;
    let item = call.datum(2)?;
    let size = items.len();
    items[within(place, size, size)?] = item;
    call.array(items)
}
