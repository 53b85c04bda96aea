//! The weight of an answer while it is made in memory: each has a bound, and so have all together.
//! Pages, groups and single documents are weighed; what tells of a write that is done already is not.

use std::sync::Arc;

use serde_json::Value;
use warp::reply::Response;

use crate::error::{Error, size};
use crate::settings::Limits;
use crate::shares::{Share, Taken};

/// The lightest answer that counts, in bytes. Ordinary ones are lighter and pay nothing.
const COUNTS: u64 = 64 << 10;
/// The amount, in KiB, that is taken at a time from what all answers have together, so that not every row has
/// to ask.
const STEP: usize = 64;

/// Weighs an answer row by row.
pub(crate) struct Scale {
    weight: u64,
    /// The amount, in KiB, that this answer has taken from what all answers together have.
    share: Share,
    taken: u64,
    limit: u64,
    total: u64,
}

/// The weight of an answer, for as long as its body is held.
#[derive(Debug, Clone)]
pub(super) struct Weight {
    _share: Arc<Share>,
}

impl Scale {
    pub(super) fn new(share: Share, limits: &Limits) -> Self {
        Scale { weight: 0, share, taken: 0, limit: limits.answer, total: limits.answers }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// If the answer is too heavy with it, or all answers together are.
    pub(super) fn add(&mut self, row: &Value) -> Result<(), Error> {
        self.add_length(length(row))
    }

    /// Adds text of this length, in bytes.
    ///
    /// # Errors
    ///
    /// As for [`Scale::add`].
    pub(super) fn add_bytes(&mut self, length: usize) -> Result<(), Error> {
        self.add_length(length as u64)
    }

    fn add_length(&mut self, length: u64) -> Result<(), Error> {
        self.weight = self.weight.saturating_add(length);
        if self.weight > self.limit {
            return Err(Error::AnswerTooLarge { limit: self.limit });
        }
        while self.weight > COUNTS + self.taken {
            self.share.grow(STEP).map_err(|taken| match taken {
                Taken::All(_) => Error::TooMuchToAnswer(self.total),
                Taken::Share(part) => {
                    Error::ShareUsedUp { limit: format!("answers of {}", size((part as u64) << 10)) }
                }
            })?;
            self.taken += (STEP as u64) << 10;
        }
        Ok(())
    }

    /// Leaves the weight with the answer, until that is read.
    pub(super) fn leave_with(self, mut response: Response) -> Response {
        if self.taken > 0 {
            response.extensions_mut().insert(Weight { _share: Arc::new(self.share) });
        }
        response
    }
}

/// Returns nearly the length of a value as JSON. Values from the database are no deeper than their parser
/// lets them be.
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
        assert!(matches!(scale.add(&json!("x".repeat(50_000))), Err(Error::TooMuchToAnswer(_))));
    }

    #[test]
    fn an_answer_weighs_until_it_is_read() {
        let shares = shares(1024);
        let mut one = scale(&shares);
        one.add(&json!("x".repeat(700 << 10))).unwrap();
        let response = one.leave_with(warp::reply().into_response());
        let mut other = scale(&shares);
        assert!(matches!(other.add(&json!("x".repeat(700 << 10))), Err(Error::TooMuchToAnswer(_))));
        drop((response, other));
        scale(&shares).add(&json!("x".repeat(700 << 10))).unwrap();
    }

    #[test]
    fn one_answer_is_bounded() {
        let mut scale = scale(&shares(1 << 20));
        scale.add(&json!(["x".repeat(1 << 19), {"a": "x".repeat(1 << 18)}])).unwrap();
        assert!(matches!(scale.add(&json!("x".repeat(1 << 18))), Err(Error::AnswerTooLarge { .. })));
    }
}
