//! How many sessions are to stand by.

use std::time::Duration;

use tokio::time::Instant;

/// The factor by which more than the settings say may stand by.
const MOST: usize = 8;
/// The time for which what nobody needed is kept before half of it is given up.
const REVIEW: Duration = Duration::from_secs(1);

/// As many as the settings say, and more while requests come in such bunches that these don't suffice.
///
/// Each time a stock that was full turns out too small it doubles. What is more than the settings say is
/// given up in steps: each second, half of what was left over at the worst moment of that second.
pub(super) struct Stock {
    settled: usize,
    size: usize,
    /// `true` if all have been there since the last change.
    was_full: bool,
    /// The fewest that were left since the last review.
    least: usize,
    reviewed: Instant,
}

impl Stock {
    pub(super) fn new(settled: usize) -> Self {
        Stock { settled, size: settled, was_full: false, least: 0, reviewed: Instant::now() }
    }

    /// Returns how many there shall be.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// There are this many, after one more came.
    pub(super) fn filled(&mut self, left: usize) {
        self.was_full |= left >= self.size;
    }

    /// There are this many, after one was taken.
    pub(super) fn taken(&mut self, left: usize) {
        self.least = self.least.min(left);
    }

    /// One was to be taken, and there was none.
    pub(super) fn missed(&mut self) {
        self.least = 0;
        if self.was_full {
            self.resize(self.size * 2);
        }
    }

    /// All were dropped, for a reason that says nothing of how many are needed.
    pub(super) fn lost(&mut self) {
        self.was_full = false;
    }

    /// Gives up what is too much for now. There are this many.
    pub(super) fn review(&mut self, left: usize) {
        if self.next_review().is_some_and(|due| due <= Instant::now()) {
            self.resize(self.size - self.least.div_ceil(2));
            self.least = left.min(self.size);
            self.filled(left);
        }
    }

    /// When to look again.
    pub(super) fn next_review(&self) -> Option<Instant> {
        (self.size > self.settled).then(|| self.reviewed + REVIEW)
    }

    fn resize(&mut self, size: usize) {
        self.size = size.clamp(self.settled, self.settled * MOST);
        self.was_full = false;
        self.reviewed = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// A stock that has grown as far as it may.
    fn grown(settled: usize) -> Stock {
        let mut stock = Stock::new(settled);
        while stock.size() < settled * MOST {
            stock.filled(stock.size());
            stock.missed();
        }
        stock
    }

    #[tokio::test(start_paused = true)]
    async fn grows_only_by_what_it_lacked_when_it_was_full() {
        let mut stock = Stock::new(4);
        stock.missed();
        assert_eq!(stock.size(), 4, "it had not been filled yet");
        stock.filled(4);
        stock.missed();
        stock.missed();
        assert_eq!(stock.size(), 8);
        stock.filled(8);
        stock.lost();
        stock.missed();
        assert_eq!(stock.size(), 8, "an outage is no bunch of requests");
        assert_eq!(grown(4).size(), 32);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_half_of_what_was_left_over() {
        let mut stock = grown(4);
        let mut sizes = Vec::new();
        while let Some(due) = stock.next_review() {
            advance(due - Instant::now()).await;
            stock.review(stock.size());
            sizes.push(stock.size());
        }
        // The first second began without any.
        assert_eq!(sizes, [32, 16, 8, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_stock_is_full_after_a_review_too() {
        let mut stock = Stock::new(4);
        stock.filled(4);
        stock.missed();
        stock.filled(8);
        advance(REVIEW).await;
        stock.review(8);
        assert_eq!(stock.size(), 8);
        stock.missed();
        assert_eq!(stock.size(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_what_is_needed() {
        let mut stock = grown(4);
        for _ in 0..10 {
            advance(REVIEW).await;
            stock.taken(0);
            stock.review(32);
        }
        assert_eq!(stock.size(), 32);
    }

    #[test]
    fn none_stay_none() {
        let mut stock = Stock::new(0);
        stock.filled(0);
        stock.missed();
        assert_eq!((stock.size(), stock.next_review()), (0, None));
    }
}
