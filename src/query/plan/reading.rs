//! The query of a plan: reading the rows of a table with an index.

use reql::{Args, Bound, Opt, Term, args, r};
use serde_json::Value;

use super::{Access, Plan};
use crate::query::order::Order;
use crate::query::path::Path;

impl Plan {
    /// Returns the documents that the plan finds, unordered, for a list that has no rest.
    pub(in crate::query) fn found(&self, table: &Term) -> Term {
        match &self.access {
            Access::All => table.clone(),
            Access::Keys(keys) => table.get_all(Args::from_iter(keys)).index(&self.index).into(),
            Access::Range { low, high, compound } => {
                let (low, high) = match compound {
                    false => (
                        low.first().map_or_else(|| r.minval(), |low| r.expr(low)),
                        high.first().map_or_else(|| r.maxval(), |high| r.expr(high)),
                    ),
                    true => (r.expr(low), ending_at(high)),
                };
                table.between(low, high).index(&self.index).right_bound(Bound::Closed).into()
            }
            Access::Members(field, values) => self.members(table, field, values),
            Access::Intersecting(place) => table.get_intersecting(place).index(&self.index).into(),
        }
    }

    /// Returns the documents that a multi index finds, each of them once: with the first of the values that
    /// it contains. There may be several entries even for that value, which then follow each other.
    fn members(&self, table: &Term, field: &Path, values: &[Value]) -> Term {
        let under = |at: usize, value: &Value| {
            let entries = table.between(value, value).index(&self.index).right_bound(Bound::Closed);
            let entries: Term = Term::from(entries).order_by(r.index(&self.index)).into();
            let before = values.get(..at).unwrap_or_default();
            let new = match before {
                [] => entries,
                // A document without an array has a single entry.
                before => entries
                    .filter(|row: Term| {
                        let own = field.of(&row);
                        r.branch(args![
                            own.type_of().eq("ARRAY"),
                            own.set_intersection(before).is_empty(),
                            true
                        ])
                    })
                    .into(),
            };
            once_each(&new, &self.primary_key)
        };
        let mut parts = values.iter().enumerate().map(|(at, value)| under(at, value));
        let Some(first) = parts.next() else { return table.limit(0) };
        let others: Vec<Term> = parts.collect();
        if others.is_empty() { first } else { first.union(Args::from_iter(others)).into() }
    }

    /// Returns the documents that the plan finds, in the order of the index if that is the list's.
    pub(in crate::query) fn ordered(&self, table: &Term, order: &Order) -> Term {
        let found = self.found(table);
        match self.sorted {
            None => found,
            Some(covered) if covered + 1 >= order.keys().len() && order.is_uniform() => {
                found.order_by(by_index(&self.index, order.falls())).into()
            }
            Some(covered) => {
                let order_by = found.order_by(Args::from_iter(order.terms(covered)));
                match order.falls() {
                    false => order_by.index(&self.index).into(),
                    true => order_by.index(r.desc(&self.index)).into(),
                }
            }
        }
    }
}

/// Returns rows without those that follow themselves, as a document does in a multi index in which it has
/// several entries for a value.
pub(in crate::query) fn once_each(rows: &Term, primary_key: &str) -> Term {
    let id = |row: &Term| row.g(primary_key);
    rows.fold((), |_: Term, row: Term| id(&row))
        .emit(|last: Term, row: Term, _: Term| {
            r.branch(args![id(&row).eq(last), r.expr(Vec::<Term>::new()), [row]])
        })
        .into()
}

/// Returns the option of `order_by` for an index, ascending or descending.
pub(in crate::query) fn by_index(name: &str, falling: bool) -> Opt {
    if falling { r.index(r.desc(name)) } else { r.index(name) }
}

/// Returns the greatest entry of an index that begins with these values.
fn ending_at(values: &[Value]) -> Term {
    r.expr(values.iter().map(|value| r.expr(value)).chain([r.maxval()]).collect::<Vec<_>>())
}
