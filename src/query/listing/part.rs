//! Parts of a list: pages, and whole results as streams. In the order of an index, the documents without an
//! entry there come last, so that there are two places to read from.

use reql::{Bound, Term, args, r};
use serde_json::Value;

use super::{FEW, Listing, collected, text};
use crate::query::page::LARGEST;
use crate::query::plan::{Plan, by_index};

impl Listing {
    /// Returns queries for the documents of the whole result, or of the requested part, to be run one after
    /// another. None of them collects documents of an index in memory.
    pub(crate) fn stream(&self, plan: &Plan, table: &Term) -> Vec<Term> {
        let texts = |rows: Term| rows.map(|row: Term| text(self.told(&row)));
        let most = self.bounded.then_some(self.page.limit);
        self.parts(plan, table, most).into_iter().map(texts).collect()
    }

    fn parts(&self, plan: &Plan, table: &Term, most: Option<usize>) -> Vec<Term> {
        let cut = |rows: Term| match most {
            Some(most) => rows.limit(most),
            None => rows,
        };
        if plan.has_rest() && self.begins_in_rest() {
            return vec![cut(self.rest(table))];
        }
        let first = cut(self.skipped(self.rows(plan, table)));
        let rest = plan.has_rest().then(|| match (self.page.offset(), most) {
            (0, None) => self.rest(table),
            (offset, None) => {
                let told = self.rows(plan, table).limit(offset).count();
                told.do_(|told: Term| self.rest(table).skip(r.expr(offset) - told))
            }
            (offset, Some(most)) => self.rest_after(plan, table, offset.saturating_add(most).min(LARGEST)),
        });
        [first].into_iter().chain(rest).collect()
    }

    /// Returns a query for what is left of the first `needed` rows once the index has told all it has.
    fn rest_after(&self, plan: &Plan, table: &Term, needed: usize) -> Term {
        self.rows(plan, table).limit(needed).count().do_(|told: Term| {
            r.branch(args![told.ge(needed), Vec::<Value>::new(), self.more(table, &told, needed)])
        })
    }

    /// Returns the rows of the rest that belong to the first `needed` rows after the offset, if the index has
    /// `told` so many.
    fn more(&self, table: &Term, told: &Term, needed: usize) -> Term {
        let offset = self.page.offset();
        let begun = r.branch(args![told.lt(offset), offset, told]);
        self.rest(table).skip(begun.clone() - told).limit(r.expr(needed) - begun)
    }

    /// Returns a query for `count` rows from the beginning of the page.
    pub(super) fn part(&self, plan: &Plan, table: &Term, count: usize) -> Term {
        let rows = self.rows(plan, table);
        if !plan.has_rest() {
            return self.skipped(rows).limit(count);
        }
        if self.begins_in_rest() {
            return self.rest(table).limit(count);
        }
        // The rest is read only if the index has too few rows, since it takes a scan of the whole table.
        let needed = self.page.offset().saturating_add(count).min(LARGEST);
        if needed <= FEW + 1 {
            return self.skipped(collected(rows.limit(needed)).do_(|first: Term| {
                let more = collected(self.rest(table).limit(r.expr(needed) - first.count()));
                r.branch(args![first.count().eq(needed), &first, first.add(more)])
            }));
        }
        // So many are rather counted than held in memory.
        rows.limit(needed).count().do_(|told: Term| {
            let own = self.skipped(rows.clone()).limit(count);
            let all = collected(own.clone()).add(collected(self.more(table, &told, needed)));
            r.branch(args![told.eq(needed), own, all])
        })
    }

    fn skipped(&self, rows: Term) -> Term {
        match self.page.offset() {
            0 => rows,
            offset => rows.skip(offset),
        }
    }

    /// Returns whether the page begins after a row without a value in the first field of the order.
    fn begins_in_rest(&self) -> bool {
        self.page.place().and_then(<[Value]>::first).is_some_and(Value::is_null)
    }

    /// Returns a query for the rows without a value in the first field of the order.
    fn rest(&self, table: &Term) -> Term {
        let keys = self.order.keys();
        let tail = self.order.tail();
        let by_primary_key = tail.is_index(&self.primary_key);
        let place = self.page.place().filter(|place| place.first().is_some_and(Value::is_null));
        let mut rows = table.clone();
        if by_primary_key {
            if let Some(last) = place.and_then(<[Value]>::last) {
                rows = match tail.falls() {
                    false => rows.between(last, r.maxval()).left_bound(Bound::Open).into(),
                    true => rows.between(r.minval(), last).into(),
                };
            }
            rows = rows.order_by(by_index(&self.primary_key, tail.falls())).into();
        }
        let absent = |row: Term| match keys.first() {
            Some(key) => key.value(&row).eq(()),
            None => r.expr(false),
        };
        let rows = self.filtered(self.documents(rows).filter(absent).into());
        let rows = if place.is_some() { self.after(0, rows) } else { rows };
        if by_primary_key { rows } else { tail.sort(&rows) }
    }
}
