//! Pages of a list: `limit`, `offset`, `cursor`.

use reql::{Term, args, r};
use serde_json::Value;

use super::order::Order;
use super::parameters::{Parameters, bad};
use crate::error::Error;
use crate::json;
use crate::names::PSEUDO_TYPE;

/// The largest number of rows that the database counts to.
pub(super) const LARGEST: usize = i32::MAX as usize;

#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(super) limit: usize,
    pub(super) start: Start,
}

#[derive(Debug, Clone)]
pub(super) enum Start {
    Offset(usize),
    /// After the row with these sort keys.
    After(Vec<Value>),
}

/// The limits of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageLimits {
    /// The default number of documents in a page.
    pub(crate) page: usize,
    /// The most documents in a page.
    pub(crate) page_max: usize,
    /// The largest `offset`.
    pub(crate) offset_max: usize,
}

impl Page {
    pub(super) fn take(parameters: &mut Parameters, limits: PageLimits) -> Result<Self, Error> {
        let page = Page::take_any(parameters, limits)?;
        if page.limit > limits.page_max {
            return Err(bad("limit", format!("it may be {} at most", limits.page_max)));
        }
        Ok(page)
    }

    /// Parses the parameters of a page without a largest limit, for streams.
    pub(super) fn take_any(parameters: &mut Parameters, limits: PageLimits) -> Result<Self, Error> {
        let limit = parameters.take_number("limit")?.unwrap_or(limits.page.min(limits.page_max));
        if limit > LARGEST {
            return Err(bad("limit", format!("it may be {LARGEST} at most")));
        }
        let offset = parameters.take_number("offset")?;
        if offset > Some(limits.offset_max) {
            return Err(bad(
                "offset",
                format!("it may be {} at most; use the next page's cursor", limits.offset_max),
            ));
        }
        let start = match (parameters.take("cursor")?, offset) {
            (Some(_), Some(_)) => return Err(bad("cursor", "it can't be combined with `offset`")),
            (Some(cursor), None) => Start::After(read(&cursor)?),
            (None, offset) => Start::Offset(offset.unwrap_or(0)),
        };
        Ok(Page { limit, start })
    }

    /// Returns the number of rows to skip.
    pub(super) fn offset(&self) -> usize {
        match self.start {
            Start::Offset(offset) => offset,
            Start::After(_) => 0,
        }
    }

    /// Returns the sort keys in the cursor, if there is one.
    pub(super) fn place(&self) -> Option<&[Value]> {
        match &self.start {
            Start::Offset(_) => None,
            Start::After(place) => Some(place),
        }
    }

    /// Checks that the cursor, if there is one, is of this order.
    pub(super) fn check(&self, order: &Order) -> Result<(), Error> {
        let fits = |place: &[Value]| {
            let values = place.iter().zip(order.keys());
            // The database would compare objects, too, but no document has one as a sort key.
            place.len() == order.keys().len()
                && values.into_iter().all(|(value, key)| match value {
                    Value::Null => !key.primary,
                    Value::Array(_) => key.primary,
                    Value::Object(fields) => fields.contains_key(PSEUDO_TYPE),
                    _ => true,
                })
        };
        if self.place().is_none_or(fits) { Ok(()) } else { Err(bad("cursor", "it belongs to another order")) }
    }
}

fn read(cursor: &str) -> Result<Vec<Value>, Error> {
    match json::read(cursor) {
        Ok(Value::Array(place)) => Ok(place),
        _ => Err(bad("cursor", "it is not one that this service gave out")),
    }
}

/// Returns a term that is true if a row comes after a place in an order: if it is further in the first key
/// that differs. In the first `reached` keys it is known not to lie before the place, so any difference will
/// do.
pub(super) fn is_after(place: &[Value], order: &Order, reached: usize, row: &Term) -> Term {
    let mut after = r.expr(false);
    for (at, (key, value)) in order.keys().iter().zip(place).enumerate().rev() {
        if at < reached {
            let further = key.field.of(row).ne(value);
            after = if at + 1 == place.len() { further } else { further | after };
            continue;
        }
        let own = key.value(row);
        let tie = own.eq(value) & after;
        if value.is_null() {
            // Rows without a value are the last ones.
            after = tie;
            continue;
        }
        let further = if key.falling { own.lt(value) } else { own.gt(value) };
        after = match key.primary {
            true => further | tie,
            // ReQL sorts null among the types; here it comes last.
            false => r.or(args![own.eq(()), own.ne(()) & further, tie]),
        };
    }
    after
}
