//! The number of sessions that should stand by.

use std::time::Duration;

use tokio::time::Instant;

/// The largest factor by which the number may exceed that of the settings.
const MOST: usize = 8;
/// The interval at which half of the unneeded sessions are given up.
const REVIEW: Duration = Duration::from_secs(1);

/// The number of sessions that should stand by. It is the number of the settings, and grows while requests
/// come in bursts for which that is too small.
///
/// Each time a stock that was full is used up, the number doubles. It shrinks in steps: each second, by half
/// of the fewest sessions that were unused during that second.
pub(super) struct StandbySize {
    minimum: usize,
    size: usize,
    /// `true` if the stock has been full since the number last changed.
    was_full: bool,
    /// The fewest sessions that were left since the last review.
    low_water: usize,
    reviewed: Instant,
}

impl StandbySize {
    pub(super) fn new(minimum: usize) -> Self {
        StandbySize { minimum, size: minimum, was_full: false, low_water: 0, reviewed: Instant::now() }
    }

    /// Returns the number of sessions that should stand by.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Notes that `left` sessions stand by after one was added.
    pub(super) fn filled(&mut self, left: usize) {
        self.was_full |= left >= self.size;
    }

    /// Notes that `left` sessions stand by after one was taken.
    pub(super) fn taken(&mut self, left: usize) {
        self.low_water = self.low_water.min(left);
    }

    /// Notes that a session was needed and there was none.
    pub(super) fn missed(&mut self) {
        self.low_water = 0;
        if self.was_full {
            self.resize(self.size * 2);
        }
    }

    /// Notes that the sessions ended for a reason that says nothing about how many are needed.
    pub(super) fn lost(&mut self) {
        self.was_full = false;
    }

    /// Lowers the number if it is time for that. `left` sessions stand by.
    pub(super) fn review(&mut self, left: usize) {
        if self.next_review().is_some_and(|due| due <= Instant::now()) {
            self.resize(self.size - self.low_water.div_ceil(2));
            self.low_water = left.min(self.size);
            self.filled(left);
        }
    }

    /// Returns the time of the next review; `None` if the number is that of the settings.
    pub(super) fn next_review(&self) -> Option<Instant> {
        (self.size > self.minimum).then(|| self.reviewed + REVIEW)
    }

    fn resize(&mut self, size: usize) {
        self.size = size.clamp(self.minimum, self.minimum * MOST);
        self.was_full = false;
        self.reviewed = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// A stock that has grown as far as it may.
    fn grown(minimum: usize) -> StandbySize {
        let mut stock = StandbySize::new(minimum);
        while stock.size() < minimum * MOST {
            stock.filled(stock.size());
            stock.missed();
        }
        stock
    }

    #[tokio::test(start_paused = true)]
    async fn grows_only_by_what_it_lacked_when_it_was_full() {
        let mut stock = StandbySize::new(4);
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
        // At the beginning of the first second, no session was left.
        assert_eq!(sizes, [32, 16, 8, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_stock_is_full_after_a_review_too() {
        let mut stock = StandbySize::new(4);
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
        let mut stock = StandbySize::new(0);
        stock.filled(0);
        stock.missed();
        assert_eq!((stock.size(), stock.next_review()), (0, None));
    }
}
