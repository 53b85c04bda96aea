//! Accounting of memory: the body of a request while it is read, and its answer while it is made. There are
//! limits for each and for all together. Pages, groups and single documents count, and so does the document
//! that a write returns. Beyond a limit an answer is refused, but a write is done by then: its document is
//! left out instead.

use std::sync::Arc;

use serde_json::value::RawValue;
use warp::reply::Response;

use super::turns::{Queue, Turn};
use crate::error::{Code, Error, size};
use crate::live::Memory;
use crate::query::Row;
use crate::settings::Limits;
use crate::shares::{Share, Taken};

/// The bytes of an answer that don't count. Most have no more and cause no accounting.
const FREE_ANSWER: u64 = 64 << 10;
/// The bytes that don't count of what is kept for a client of a live query. Fewer, since there may be
/// thousands.
const FREE_EVENT: u64 = 16 << 10;
/// The bytes of a body that don't count. Fewer, since a client may have a thousand bodies that don't end.
const FREE_BODY: u64 = 16 << 10;
/// The amount, in KiB, that is taken at a time from the common limit, so that not every row has to.
const STEP: usize = 16;
/// The memory, in bytes, that each value of a body takes while it is a tree, here and in the database.
const VALUE: u64 = 128;

/// An amount that grows, and is taken from the common limit.
struct Pile {
    /// The amount, in KiB, that has been taken.
    share: Share,
    taken: u64,
    /// The bytes that don't count.
    free: u64,
}

/// The size of an answer that grows row by row.
pub(crate) struct Scale {
    pile: Pile,
    weight: u64,
    limit: u64,
    total: u64,
    /// The way to the turn of a large answer, until it has waited for that.
    queue: Option<Queue>,
    /// The turn of a large answer, as long as it is made.
    turn: Option<Turn>,
}

/// The size of a body that is being read.
pub(crate) struct Arrived {
    pile: Pile,
    /// The weight of those values of the body that are trees now, in bytes.
    trees: u64,
    total: u64,
}

/// The share of an answer, held as long as its body.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    _share: Arc<Share>,
}

impl Scale {
    pub(crate) fn new(share: Share, queue: Queue, limits: &Limits) -> Self {
        Scale::beyond(FREE_ANSWER, share, Some(queue), limits)
    }

    /// Returns the scale of what is kept for a client of a live query.
    pub(crate) fn of_follower(share: Share, limits: &Limits) -> Self {
        Scale::beyond(FREE_EVENT, share, None, limits)
    }

    fn beyond(free: u64, share: Share, queue: Option<Queue>, limits: &Limits) -> Self {
        let pile = Pile::new(share, free);
        Scale { pile, weight: 0, limit: limits.answer, total: limits.answers, queue, turn: None }
    }

    /// Waits for the turn of an answer once it has become a large one, for a second at most. Call it before
    /// more is read of an answer that may have many rows.
    pub(crate) async fn in_turn(&mut self) {
        if self.pile.taken > 0
            && let Some(queue) = self.queue.take()
        {
            self.turn = queue.turn().await;
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// If the answer is too heavy with it, or all answers together are.
    pub(crate) fn add(&mut self, row: &impl Weigh) -> Result<(), Error> {
        self.add_length(row.weight())
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

    /// Returns the weight of all that was added, in bytes.
    pub(crate) fn weight(&self) -> usize {
        usize::try_from(self.weight).unwrap_or_default()
    }

    /// Attaches the share to the answer, until that has been sent.
    pub(crate) fn leave_with(self, mut response: Response) -> Response {
        if self.pile.taken > 0 {
            response.extensions_mut().insert(Weight { _share: Arc::new(self.pile.share) });
        }
        response
    }
}

impl Memory for Scale {
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.add_bytes(bytes)
    }

    fn clear(&mut self) {
        self.weight = 0;
        self.pile.clear();
    }
}

impl Weight {
    /// Counts an answer that is there already, of this length in bytes.
    ///
    /// # Errors
    ///
    /// If this makes all answers together too large, or those of one client.
    pub(crate) fn of(length: u64, mut share: Share, limits: &Limits) -> Result<Self, Error> {
        let grown = share.grow(usize::try_from(length >> 10).unwrap_or(usize::MAX));
        grown.map_err(|taken| {
            refused(taken, "answers", Error::beyond(Code::AnswersExhausted, limits.answers))
        })?;
        Ok(Weight { _share: Arc::new(share) })
    }
}

impl Arrived {
    pub(crate) fn new(share: Share, limits: &Limits) -> Self {
        Arrived { pile: Pile::new(share, FREE_BODY), trees: 0, total: limits.bodies }
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

    /// Notes that JSON of the body is about to be parsed. If the values would weigh more than one client may
    /// have, the body takes the client's whole share, so that it can be parsed while that client sends no
    /// other.
    ///
    /// # Errors
    ///
    /// As for [`Arrived::reach`].
    pub(crate) fn reach_tree(&mut self, json: &[u8]) -> Result<(), Error> {
        self.reach_values(json.len() as u64, values(json))
    }

    /// Does what [`Arrived::reach_tree`] does for so many values, whose texts have this length.
    ///
    /// # Errors
    ///
    /// As for [`Arrived::reach`].
    pub(crate) fn reach_values(&mut self, length: u64, values: u64) -> Result<(), Error> {
        let most = (self.pile.share.most() as u64) << 10;
        self.trees += length + VALUE * values;
        self.reach(usize::try_from(self.trees.min(most)).unwrap_or(usize::MAX))
    }

    /// Notes that all trees that were read are gone.
    pub(crate) fn forget_trees(&mut self) {
        self.trees = 0;
    }
}

impl Pile {
    fn new(share: Share, free: u64) -> Self {
        Pile { share, taken: 0, free }
    }

    /// Takes what is missing to an amount in bytes.
    fn reach(&mut self, amount: u64) -> Result<(), Taken> {
        let missing = amount.saturating_sub(self.free + self.taken).div_ceil((STEP as u64) << 10);
        if missing > 0 {
            self.share.grow(usize::try_from(missing).unwrap_or(usize::MAX).saturating_mul(STEP))?;
            self.taken += missing * ((STEP as u64) << 10);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.share.clear();
        self.taken = 0;
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

/// Returns the number of values in JSON, at most. What looks like one in a text counts, too.
pub(crate) fn values(json: &[u8]) -> u64 {
    json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() as u64
}

/// Part of an answer, as it is kept until it is written.
pub(crate) trait Weigh {
    /// Returns the number of bytes of memory that it takes, more or less.
    fn weight(&self) -> u64;
}

impl Weigh for f64 {
    fn weight(&self) -> u64 {
        size_of::<f64>() as u64
    }
}

impl Weigh for String {
    fn weight(&self) -> u64 {
        self.len() as u64
    }
}

/// JSON that stays text: as a tree, small values would take a hundred times as much.
impl Weigh for Box<RawValue> {
    fn weight(&self) -> u64 {
        self.get().len() as u64
    }
}

impl Weigh for Row {
    fn weight(&self) -> u64 {
        let beside = self.beside.values().map(Weigh::weight).sum::<u64>();
        self.doc.weight() + self.place.weight() + beside
    }
}

#[cfg(test)]
mod tests {
    use warp::reply::Reply;

    use super::super::turns::Turns;
    use super::*;
    use crate::shares::{Percent, Shares};

    fn shares(total: usize) -> Shares {
        Shares::new(total, Percent { client: 100, user: 100 })
    }

    fn scale(shares: &Shares) -> Scale {
        let limits = Limits { answer: 1 << 20, answers: 1 << 20, ..Limits::default() };
        Scale::new(shares.nothing(None), Turns::new().queue(None, 100), &limits)
    }

    #[test]
    fn light_answers_pay_nothing() {
        let shares = shares(0);
        let mut scale = scale(&shares);
        assert!((0..100).all(|i| scale.add(&"x".repeat(500 + i)).is_ok()));
        assert_eq!(scale.add(&"x".repeat(50_000)).unwrap_err().code(), Code::AnswersExhausted);
    }

    #[test]
    fn an_answer_weighs_until_it_is_read() {
        let shares = shares(1024);
        let mut one = scale(&shares);
        one.add(&"x".repeat(700 << 10)).unwrap();
        let response = one.leave_with(warp::reply().into_response());
        let mut other = scale(&shares);
        assert_eq!(other.add(&"x".repeat(700 << 10)).unwrap_err().code(), Code::AnswersExhausted);
        drop((response, other));
        scale(&shares).add(&"x".repeat(700 << 10)).unwrap();
    }

    #[test]
    fn what_is_returned_can_be_taken_again() {
        let shares = shares(1024);
        let mut one = scale(&shares);
        for _ in 0..3 {
            one.take(700 << 10).unwrap();
            assert!(shares.held() > 600, "{}", shares.held());
            one.clear();
            assert_eq!(shares.held(), 0);
        }
    }

    #[test]
    fn one_answer_is_bounded() {
        let mut scale = scale(&shares(1 << 20));
        scale.add(&"x".repeat(1 << 19)).unwrap();
        scale.add(&"x".repeat(1 << 18)).unwrap();
        assert_eq!(scale.add(&"x".repeat(1 << 19)).unwrap_err().code(), Code::AnswerTooLarge);
    }

    #[test]
    fn a_body_weighs_what_becomes_of_it() {
        let of = |shares: &Shares| Arrived::new(shares.nothing(None), &Limits::default());
        let (plain, zeros) = (format!("[\"{}\"]", "x".repeat(300_000)), format!("[{}0]", "0,".repeat(3000)));
        let shares = shares(1024);
        let (mut one, mut other) = (of(&shares), of(&shares));
        one.reach_tree(plain.as_bytes()).unwrap();
        assert!(shares.held() < 300, "text stays as long as it is: {}", shares.held());
        other.reach_tree(zeros.as_bytes()).unwrap();
        assert!(shares.held() > 500, "{}", shares.held());
        other.forget_trees();
        drop((one, other));
        // One that is heavier than all may be is taken alone.
        let bomb = format!("[{}0]", "[],".repeat(100_000));
        let (mut one, mut other) = (of(&shares), of(&shares));
        one.reach_tree(bomb.as_bytes()).unwrap();
        assert_eq!(other.reach_tree(bomb.as_bytes()).unwrap_err().code(), Code::BodiesExhausted);
        of(&shares).reach_tree(b"[1,2,3]").unwrap();
    }
}
