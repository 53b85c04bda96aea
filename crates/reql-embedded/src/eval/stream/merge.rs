//! Merging streams that are in order already into one that is.

use super::{Source, Stream};
use crate::datum::Datum;
use crate::error::{At, Bt, Error, Result};
use crate::eval::env::Env;
use crate::eval::order::{Keys, Order};

/// The rows of several ordered streams in one order. Among equal rows the earlier stream's comes first.
pub struct Merge {
    order: Order,
    lanes: Vec<Lane>,
    started: bool,
    bt: Bt,
}

struct Lane {
    rows: Stream,
    /// The row that comes next, with what it is ordered by.
    head: Option<(Keys, Datum)>,
}

impl Merge {
    /// `bt` is the term to blame when a stream isn't in order.
    pub fn new(streams: Vec<Stream>, order: Order, bt: Bt) -> Self {
        let lanes = streams.into_iter().map(|rows| Lane { rows, head: None }).collect();
        Merge { order, lanes, started: false, bt }
    }
}

impl Lane {
    fn advance(&mut self, env: &Env, order: &Order) -> Result<Option<(Keys, Datum)>> {
        let head = match self.rows.next(env)? {
            Some(row) => Some((order.keys(env, &row)?, row)),
            None => None,
        };
        Ok(std::mem::replace(&mut self.head, head))
    }
}

impl Source for Merge {
    fn next(&mut self, env: &Env) -> Result<Option<Datum>> {
        if !std::mem::replace(&mut self.started, true) {
            for lane in &mut self.lanes {
                lane.advance(env, &self.order)?;
            }
        }
        let order = &self.order;
        let first = self
            .lanes
            .iter_mut()
            .filter_map(|lane| lane.head.as_ref().map(|(keys, _)| keys.clone()).map(|keys| (keys, lane)))
            .min_by(|(a, _), (b, _)| order.compare(a, b));
        let Some((keys, lane)) = first else { return Ok(None) };
        let row = lane.advance(env, order)?.map(|(_, row)| row);
        if let Some((next, _)) = &lane.head
            && order.compare(next, &keys).is_lt()
        {
            let message = "The streams given as arguments are not ordered by given ordering.";
            return Err(Error::logic(message).at(self.bt));
        }
        Ok(row)
    }

    fn suspend(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.rows.suspend());
    }

    fn is_array(&self) -> bool {
        self.lanes.iter().all(|lane| lane.rows.is_array())
    }

    fn is_infinite(&self) -> bool {
        self.lanes.iter().any(|lane| lane.rows.is_infinite())
    }

    fn check_finite(&self) -> Result<()> {
        if self.is_infinite() {
            return Err(Error::logic("Cannot use an infinite stream with an ordered `union`."));
        }
        self.lanes.iter().try_for_each(|lane| lane.rows.check_finite()).at(self.bt)
    }
}
