//! The task of a hub: follows the list, makes its events, and follows it anew after an outage.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use serde_json::value::RawValue;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::hub::Hub;
use super::place::End;
use super::row::Row;
use super::source::Rows;
use super::view::View;
use crate::error::{Code, Error};

/// How often a hub looks at what is old, and for who has left.
const TIDY: Duration = Duration::from_secs(1);
/// The longest time between two questions to the database.
const ASK: Duration = Duration::from_secs(5);
/// The pauses between two attempts to follow a list anew, the first one and the longest one.
const RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// The reason why a feed isn't followed any more.
enum Left {
    /// It may be followed anew.
    Lost(Error),
    /// It makes no sense any more.
    Failed(Error),
    /// The hub has ended.
    Ended,
}

/// Follows a hub's list until nobody follows the hub, or the list can't be followed any more.
pub(super) async fn run(hub: Arc<Hub>) {
    let mut alive = Instant::now();
    let mut rows = match hub.open().await {
        Ok(rows) => rows,
        Err(error) => return hub.fail(error),
    };
    loop {
        match hub.follow(rows, &mut alive).await {
            Left::Ended => return,
            Left::Failed(error) => return hub.fail(error),
            Left::Lost(error) => {
                log::debug!("A live query has lost its feed: {error}");
                hub.is_away(Error::from(Code::DatabaseUnreachable).caused_by(error));
            }
        }
        // Its followers are to know within that time, so the last attempt ends before it does.
        rows = match hub.open_anew(alive + hub.bounds.patience.mul_f64(0.9)).await {
            Some(Ok(rows)) => rows,
            Some(Err(error)) => return hub.fail(error),
            None => return,
        };
        alive = Instant::now();
    }
}

impl Hub {
    fn fail(&self, error: Error) {
        self.end(End::Failed(error));
    }

    /// Opens the feed, takes what it begins with, and says that it is there.
    async fn open(&self) -> Result<Rows, Error> {
        let patience = self.bounds.patience;
        let begun = timeout(patience, self.begin_feed()).await;
        let (rows, view) = begun.unwrap_or(Err(Error::after(Code::QueryTimeout, patience)))?;
        self.is_followed(view);
        Ok(rows)
    }

    async fn begin_feed(&self) -> Result<(Rows, Option<View>), Error> {
        let mut rows = self.source.follow().await?;
        let mut view = self.source.is_short().then(View::default);
        while let Some(row) = rows.next().await {
            let row = row?;
            match (Row::read(row.get(), self.source.shape())?, &mut view) {
                (Row::Ready, _) => return Ok((rows, view)),
                (Row::Change(change), Some(view)) => {
                    let fits = view.apply(&change, self.bounds.bytes)?;
                    if !fits {
                        return Err(Error::internal("a feed began with what doesn't fit"));
                    }
                }
                // A gap before the beginning is none, and a long list doesn't begin with what is there.
                _ => {}
            }
        }
        Err(Error::internal("a feed ended before it began"))
    }

    /// Opens the feed again and again until this time; `None` if the hub ends before.
    async fn open_anew(&self, deadline: Instant) -> Option<Result<Rows, Error>> {
        let [mut pause, longest] = RETRY;
        let mut last = None;
        loop {
            if self.tidy() {
                return None;
            }
            match timeout_at(deadline, self.open()).await {
                Ok(Err(error)) if is_passing(&error) => {
                    self.is_away(error.clone());
                    last = Some(error);
                }
                Ok(outcome) => return Some(outcome),
                Err(_) => {}
            }
            if Instant::now() + pause >= deadline {
                return Some(Err(last.unwrap_or(Error::after(Code::QueryTimeout, self.bounds.patience))));
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Makes events of the rows as long as they come. `alive` is the time of the last sign of life.
    async fn follow(&self, mut rows: Rows, alive: &mut Instant) -> Left {
        let every = ASK.min(self.bounds.patience / 3);
        let mut ticks = interval(TIDY.min(every));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = Instant::now();
        let mut answer = None;
        loop {
            tokio::select! {
                row = rows.next() => {
                    if let Err(left) = self.take(row) {
                        return left;
                    }
                    *alive = Instant::now();
                }
                _ = ticks.tick() => {
                    if self.tidy() {
                        return Left::Ended;
                    }
                    if asked.elapsed() >= every && answer.is_none() {
                        asked = Instant::now();
                        answer = Some(self.ask(every));
                    }
                }
                answered = done(&mut answer) => {
                    answer = None;
                    if let Err(error) = answered {
                        return if is_passing(&error) { Left::Lost(error) } else { Left::Failed(error) };
                    }
                    *alive = Instant::now();
                    if let Err(left) = self.take_all(&mut rows) {
                        return left;
                    }
                    self.settle(asked);
                }
            }
        }
    }

    fn ask(&self, patience: Duration) -> BoxFuture<'_, Result<(), Error>> {
        let answer = async move {
            timeout(patience, self.source.ask())
                .await
                .unwrap_or(Err(Error::after(Code::QueryTimeout, patience)))
        };
        answer.boxed()
    }

    /// Takes all rows that have come.
    fn take_all(&self, rows: &mut Rows) -> Result<(), Left> {
        while let Some(row) = rows.next().now_or_never() {
            self.take(row)?;
        }
        Ok(())
    }

    fn take(&self, row: Option<Result<Box<RawValue>, Error>>) -> Result<(), Left> {
        let lost = |error| if is_passing(&error) { Left::Lost(error) } else { Left::Failed(error) };
        let row = row
            .unwrap_or_else(|| Err(Error::from(Code::OutcomeUnknown).caused_by("a feed has ended")))
            .map_err(lost)?;
        let unfit = || Left::Lost(Error::internal("a change doesn't fit what is known"));
        match Row::read(row.get(), self.source.shape()).map_err(Left::Failed)? {
            Row::Change(change) => self.push(&change).map_err(Left::Failed)?.then_some(()).ok_or_else(unfit),
            // What is missing of a short list is told by comparing.
            Row::Gap(_) if self.source.is_short() => Err(unfit()),
            Row::Gap(skipped) => {
                self.push_gap(skipped);
                Ok(())
            }
            Row::Ready | Row::Nothing => Ok(()),
        }
    }
}

/// Waits for a future, if there is one, and else without end.
async fn done<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Returns whether the same may go well some time later.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(error.status().as_u16(), 503 | 504)
}
