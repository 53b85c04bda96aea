//! Accounting of memory: the body of a request while it is read, and its answer while it is made. There are
//! limits for each and for all together. Pages, groups and single documents count; the result of a write
//! doesn't, since the write is done already.

use std::sync::Arc;

use serde_json::Value;
use warp::reply::Response;

use crate::error::{Code, Error, size};
use crate::settings::Limits;
use crate::shares::{Share, Taken};

/// The smallest answer or body that counts, in bytes. Most are smaller and cause no accounting.
const COUNTS: u64 = 64 << 10;
/// The amount, in KiB, that is taken at a time from the common limit, so that not every row has to.
const STEP: usize = 64;

/// An amount that grows, and is taken from the common limit.
struct Pile {
    /// The amount, in KiB, that has been taken.
    share: Share,
    taken: u64,
}

/// The size of an answer that grows row by row.
pub(crate) struct Scale {
    pile: Pile,
    weight: u64,
    limit: u64,
    total: u64,
}

/// The size of a body that is being read.
pub(crate) struct Arrived {
    pile: Pile,
    total: u64,
}

/// The share of an answer, held as long as its body.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    _share: Arc<Share>,
}

impl Scale {
    pub(crate) fn new(share: Share, limits: &Limits) -> Self {
        Scale { pile: Pile::new(share), weight: 0, limit: limits.answer, total: limits.answers }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// If this makes the answer too large, or all answers together.
    pub(crate) fn add(&mut self, row: &Value) -> Result<(), Error> {
        self.add_length(length(row))
    }

    /// Adds text of this length, in bytes.
    ///
    /// # Errors
    ///
    /// As for [`Scale::add`].
    pub(crate) fn add_bytes(&mut self, length: usize) -> Result<(), Error> {
        self.add_length(length as u64)
    }

    fn add_length(&mut self, length: u64) -> Result<(), Error> {
        self.weight = self.weight.saturating_add(length);
        if self.weight > self.limit {
            return Err(Error::beyond(Code::AnswerTooLarge, self.limit));
        }
        self.pile
            .reach(self.weight)
            .map_err(|taken| refused(taken, "answers", Error::beyond(Code::AnswersExhausted, self.total)))
    }

    /// Attaches the share to the answer, until that has been sent.
    pub(crate) fn leave_with(self, mut response: Response) -> Response {
        if self.pile.taken > 0 {
            response.extensions_mut().insert(Weight { _share: Arc::new(self.pile.share) });
        }
        response
    }
}

impl Arrived {
    pub(crate) fn new(share: Share, limits: &Limits) -> Self {
        Arrived { pile: Pile::new(share), total: limits.bodies }
    }

    /// Notes that `length` bytes of the body are in memory.
    ///
    /// # Errors
    ///
    /// If this makes all bodies together too large, or those of one client.
    pub(crate) fn reach(&mut self, length: usize) -> Result<(), Error> {
        let reached = self.pile.reach(length as u64);
        reached.map_err(|taken| refused(taken, "bodies", Error::beyond(Code::BodiesExhausted, self.total)))
    }
}

impl Pile {
    fn new(share: Share) -> Self {
        Pile { share, taken: 0 }
    }

    /// Takes what is missing to an amount in bytes.
    fn reach(&mut self, amount: u64) -> Result<(), Taken> {
        while amount > COUNTS + self.taken {
            self.share.grow(STEP)?;
            self.taken += (STEP as u64) << 10;
        }
        Ok(())
    }
}

/// Returns the error of a refused share: `all` if the total is used up.
fn refused(taken: Taken, things: &str, all: Error) -> Error {
    match taken {
        Taken::All(_) => all,
        Taken::Share(part) => {
            Error::about(Code::ShareUsedUp, format!("{things} of {}", size((part as u64) << 10)))
        }
    }
}

/// Estimates the length of a value as JSON. It is recursive: the parser bounds the depth of values from the
/// database.
fn length(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 12,
        Value::String(text) => text.len() as u64 + 3,
        Value::Array(items) => 2 + items.iter().map(length).sum::<u64>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(name, value)| name.len() as u64 + 4 + length(value)).sum::<u64>()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use warp::reply::Reply;

    use super::*;
    use crate::shares::{Percent, Shares};

    fn shares(total: usize) -> Shares {
        Shares::new(total, Percent { client: 100, user: 100 })
    }

    fn scale(shares: &Shares) -> Scale {
        let limits = Limits { answer: 1 << 20, answers: 1 << 20, ..Limits::default() };
        Scale::new(shares.nothing(None), &limits)
    }

    #[test]
    fn light_answers_pay_nothing() {
        let shares = shares(0);
        let mut scale = scale(&shares);
        assert!((0..100).all(|i| scale.add(&json!({"id": i, "text": "x".repeat(500)})).is_ok()));
        assert_eq!(scale.add(&json!("x".repeat(50_000))).unwrap_err().code(), Code::AnswersExhausted);
    }

    #[test]
    fn an_answer_weighs_until_it_is_read() {
        let shares = shares(1024);
        let mut one = scale(&shares);
        one.add(&json!("x".repeat(700 << 10))).unwrap();
        let response = one.leave_with(warp::reply().into_response());
        let mut other = scale(&shares);
        assert_eq!(other.add(&json!("x".repeat(700 << 10))).unwrap_err().code(), Code::AnswersExhausted);
        drop((response, other));
        scale(&shares).add(&json!("x".repeat(700 << 10))).unwrap();
    }

    #[test]
    fn one_answer_is_bounded() {
        let mut scale = scale(&shares(1 << 20));
        scale.add(&json!(["x".repeat(1 << 19), {"a": "x".repeat(1 << 18)}])).unwrap();
        assert!(
            scale.add(&json!("x".repeat(1 << 18))).is_err_and(|error| error.code() == Code::AnswerTooLarge)
        );
    }
}
