//! The task of a hub: it follows the list, makes its events, and reconnects after an outage.

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

/// The interval at which a hub drops old events and stalled followers.
const TIDY: Duration = Duration::from_secs(1);
/// The longest time between two heartbeats to the database.
const ASK: Duration = Duration::from_secs(5);
/// The part of the timeout of the database that an answer to a heartbeat may take. The rest is enough to open
/// the feed again, and to notify the followers. A database that is only busy mustn't have to tell all of them
/// all documents.
const ANSWERED: f64 = 0.6;
/// The first and the longest pause between two attempts to reconnect.
const RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// The reason why a feed isn't followed any more.
enum Left {
    /// The feed was lost and may be opened again.
    Lost(Error),
    /// The feed failed for good.
    Failed(Error),
    /// The hub has ended.
    Ended,
}

/// Follows a hub's list until the hub has no followers, or the list can't be followed any more.
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
        // Followers must be notified within that time, so the last attempt ends before.
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

    /// Opens the feed, reads its initial documents, and notes that the list is followed.
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
                // A gap before the beginning doesn't matter, and only a short list begins with documents.
                _ => {}
            }
        }
        Err(Error::internal("a feed ended before it began"))
    }

    /// Retries opening the feed until this time. Returns `None` if the hub ends before.
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

    /// Makes events of rows until the feed ends. `alive` is the time of the last heartbeat.
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
                        let until = *alive + self.bounds.patience.mul_f64(ANSWERED);
                        answer = Some(self.ask(until.duration_since(asked).max(every)));
                    }
                }
                answered = done(&mut answer) => {
                    answer = None;
                    if let Err(error) = answered {
                        return if is_passing(&error) { Left::Lost(error) } else { Left::Failed(error) };
                    }
                    *alive = Instant::now();
                    if let Err(left) = self.take_all(&mut rows).await {
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

    /// Reads all rows that have arrived.
    async fn take_all(&self, rows: &mut Rows) -> Result<(), Left> {
        loop {
            let row = match rows.next().now_or_never() {
                Some(row) => row,
                None if self.source.is_behind() => rows.next().await,
                None => return Ok(()),
            };
            self.take(row)?;
        }
    }

    fn take(&self, row: Option<Result<Box<RawValue>, Error>>) -> Result<(), Left> {
        let lost = |error| if is_passing(&error) { Left::Lost(error) } else { Left::Failed(error) };
        let row = row
            .unwrap_or_else(|| Err(Error::from(Code::OutcomeUnknown).caused_by("a feed has ended")))
            .map_err(lost)?;
        let unfit = || Left::Lost(Error::internal("a change doesn't fit what is known"));
        match Row::read(row.get(), self.source.shape()).map_err(Left::Failed)? {
            Row::Change(change) => self.push(&change).map_err(Left::Failed)?.then_some(()).ok_or_else(unfit),
            // A short list is read again and compared.
            Row::Gap(_) if self.source.is_short() => Err(unfit()),
            Row::Gap(skipped) => {
                self.push_gap(skipped);
                Ok(())
            }
            Row::Ready | Row::Nothing => Ok(()),
        }
    }
}

/// Waits for a future if there is one, else for ever.
async fn done<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Returns whether a retry may succeed.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(error.status().as_u16(), 503 | 504)
}
