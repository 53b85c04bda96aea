//! Joining rows with the rows that an index finds for them.

use super::{FeedTraits, Source, Stream};
use crate::datum::Datum;
use crate::error::{Bt, Result};
use crate::eval::env::Env;
use crate::eval::func::Func;
use crate::eval::table::TableRef;

/// The pairs of `eq_join`: each row with each row of a table that has its key. In the order of the left rows.
pub struct EqJoin {
    left: Stream,
    key: Func,
    table: TableRef,
    index: String,
    /// A left row, and the rest of its partners.
    open: Option<(Datum, Stream)>,
}

impl EqJoin {
    /// Makes a join. `key` returns a row's key, which is looked up in the table's `index`.
    pub fn new(left: Stream, key: Func, table: TableRef, index: String) -> Self {
        EqJoin { left, key, table, index, open: None }
    }

    /// Returns the rows of the table that belong to a row; a row without a key has none.
    fn partners(&self, env: &Env, row: &Datum) -> Result<Option<Stream>> {
        let Some(key) = self.key.find(env, row)?.filter(|key| !key.is_null()) else { return Ok(None) };
        if self.table.is_primary(Some(&self.index)) {
            let partner = self.table.get(env, &key)?;
            return Ok((!partner.is_null()).then(|| Stream::of_array(vec![partner], Bt::default())));
        }
        self.table.get_all(env, vec![key], Some(&self.index), Bt::default()).map(Some)
    }
}

impl Source for EqJoin {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        loop {
            if let Some((left, partners)) = &mut self.open {
                if let Some(right) = partners.pull(env)? {
                    return Ok(Some(Datum::object([("left", left.clone()), ("right", right)])));
                }
                self.open = None;
            }
            let Some(left) = self.left.next(env)? else { return Ok(None) };
            self.open = self.partners(env, &left)?.map(|partners| (left, partners));
        }
    }

    fn feed(&self) -> Option<FeedTraits> {
        self.left.feed().map(FeedTraits::remade)
    }

    fn suspend(&mut self) {
        self.left.suspend();
        if let Some((_, partners)) = &mut self.open {
            partners.suspend();
        }
    }

    fn is_array(&self) -> bool {
        self.left.is_array()
    }

    fn is_exhausted(&self) -> bool {
        self.open.is_none() && self.left.is_exhausted()
    }

    fn is_infinite(&self) -> bool {
        self.left.is_infinite()
    }

    fn check_finite(&self) -> Result<()> {
        self.left.check_finite()
    }
}
