//! How many, and from where: `limit`, `offset`, `cursor`.

use ql2::term::TermType;
use reql::Command;
use serde_json::Value;

use super::order::Order;
use super::parameters::{Parameters, bad};
use super::term::{datum, eq, term};
use crate::error::Error;
use crate::settings::Limits;

#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(super) limit: usize,
    pub(super) start: Start,
}

#[derive(Debug, Clone)]
pub(super) enum Start {
    Offset(usize),
    /// After the row with this place in the order.
    After(Vec<Value>),
}

impl Page {
    pub(super) fn take(parameters: &mut Parameters, limits: &Limits) -> Result<Self, Error> {
        let limit = parameters.take_number("limit")?.unwrap_or(limits.page.min(limits.page_max));
        if limit > limits.page_max {
            return Err(bad("limit", format!("it may be {} at most", limits.page_max)));
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
}

fn read(cursor: &str) -> Result<Vec<Value>, Error> {
    serde_json::from_str(cursor).map_err(|_| bad("cursor", "it is not one that this service gave out"))
}

/// Whether a row comes after a place in an order: greater in the first key that differs.
pub(super) fn is_after(place: &[Value], order: &Order, row: &Command) -> Result<Command, Error> {
    if place.len() != order.keys().len() {
        return Err(bad("cursor", "it belongs to another order"));
    }
    let mut after = datum(false);
    for (key, value) in order.keys().iter().zip(place).rev() {
        let own = key.field.or_null(row);
        let further = if key.falling { TermType::Lt } else { TermType::Gt };
        let ties = term(TermType::And, [eq(own.clone(), datum(value)), after]);
        after = term(TermType::Or, [term(further, [own, datum(value)]), ties]);
    }
    Ok(after)
}
