//! The batches of a stream that is sent to a client.

use std::time::{Duration, Instant};

use super::env::Env;
use super::profile::Trace;
use super::stream::{FeedTraits, ParallelScan, Stream};
use super::val::Val;
use crate::budget::fuel;
use crate::budget::memory::Reservation;
use crate::datum::{display_g20, json};
use crate::error::{Error, ErrorKind, Result};

/// The size of batches (`batching.cc`).
#[derive(Debug, Clone, Copy)]
struct Batching {
    min_rows: usize,
    max_rows: usize,
    max_bytes: usize,
    max_time: Duration,
    first_scaledown: usize,
}

impl Batching {
    fn of_query(env: &Env) -> Result<Batching> {
        let number = |name: &str| env.optarg(name)?.map(Val::into_int).transpose();
        let positive = |value: i64| usize::try_from(value).unwrap_or(1).max(1);
        let max_rows = number("max_batch_rows")?.map_or(usize::MAX, positive);
        let min_rows = number("min_batch_rows")?.map_or(1, positive).min(max_rows);
        let max_bytes = number("max_batch_bytes")?.map_or(1 << 20, positive).min(LARGEST_BATCH);
        let first_scaledown = number("first_batch_scaledown_factor")?.map_or(4, positive);
        let seconds = env.optarg("max_batch_seconds")?.map(Val::into_num).transpose()?.unwrap_or(0.5);
        if seconds < 0.0 {
            let shown = display_g20(seconds);
            return Err(Error::logic(format!("max_batch_seconds must be positive (got `{shown}`).")));
        }
        let max_time = Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_BATCH));
        Ok(Batching { min_rows, max_rows, max_bytes, max_time, first_scaledown })
    }
}

/// The largest batch that a query can ask for, in bytes.
const LARGEST_BATCH: usize = 64 << 20;
/// The longest time for a batch that a query can ask for, in seconds.
const LONGEST_BATCH: f64 = 60.0;

/// The size in bytes below which a batch is made row by row, so that it doesn't get much larger.
const SMALL_BATCH: usize = 128 << 10;

/// The end of a batch, the number of its rows aside.
#[derive(Clone, Copy)]
struct BatchLimits {
    /// Length of the answer's text at which the batch ends.
    max_bytes: usize,
    deadline: Instant,
}

/// Appends rows as JSON, separated by commas, to the `before` rows that are there already. Ends with the
/// stream, or once `is_enough` returns true for the number of rows and the text. Returns the number of rows
/// then, and true if the stream has ended.
fn write_rows(
    stream: &mut Stream,
    env: &Env,
    before: usize,
    out: &mut Vec<u8>,
    is_enough: impl Fn(usize, &[u8]) -> bool,
) -> (usize, Result<bool>) {
    let (mut rows, mut held) = (before, env.reserve());
    loop {
        let row = match stream.next(env) {
            Ok(Some(row)) => row,
            Ok(None) => return (rows, Ok(true)),
            Err(error) => return (rows, Err(error)),
        };
        let length = out.len();
        if rows > 0 {
            out.push(b',');
        }
        let written = json::write(&row, out).and_then(|()| held.add_bytes(out.len() - length));
        if let Err(error) = written {
            return (rows, Err(error));
        }
        rows += 1;
        if is_enough(rows, out) {
            return (rows, Ok(false));
        }
    }
}

/// Returns the rows of a morsel as JSON, their number, and the error after them, if there is one; `None` if
/// the text is longer than `room`.
fn written(mut part: Stream, room: usize, env: &Env) -> Option<(Vec<u8>, usize, Result<()>)> {
    part.expect_none_kept();
    let mut text = Vec::new();
    match write_rows(&mut part, env, 0, &mut text, |_, text| text.len() > room) {
        (_, Ok(false)) => None,
        (rows, end) => Some((text, rows, end.map(drop))),
    }
}

/// A stream that is being sent.
pub struct Cursor {
    env: Env,
    stream: Stream,
    batching: Batching,
    is_first: bool,
    /// True if the feed had no more news.
    is_blocked: bool,
    /// Memory of the large values that the stream works with, such as those of variables.
    _kept: Option<Reservation>,
}

/// The size and the end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Number of rows that were written.
    pub rows: usize,
    /// True if these were the last rows.
    pub done: bool,
}

impl Cursor {
    /// Makes the cursor of a stream, with the options of its query.
    pub(super) fn new(stream: Stream, env: Env) -> Result<Self> {
        let batching = Batching::of_query(&env)?;
        let env = if stream.feed().is_some() { env.for_cursor() } else { env };
        Ok(Cursor { env, stream, batching, is_first: true, is_blocked: false, _kept: fuel::take_kept() })
    }

    /// Appends the rows of the next batch as JSON, separated by commas.
    pub fn next_batch(&mut self, out: &mut Vec<u8>) -> Result<Batch> {
        if !self.env.may_wait() && (!self.is_first || self.feed().is_some()) {
            // A query is given up on the connection's task only if it can be begun again: in its first batch,
            // unless that took news off a feed.
            self.env = self.env.clone().where_it_may_wait();
        }
        self.env.meter().within(|| self.make_batch(out))
    }

    fn make_batch(&mut self, out: &mut Vec<u8>) -> Result<Batch> {
        let is_first = std::mem::take(&mut self.is_first);
        if let Some(trace) = self.env.trace() {
            // The first batch includes the time for making the stream.
            if is_first { trace.go_on() } else { trace.begin() }
        }
        let scaledown = if is_first { self.batching.first_scaledown } else { 1 };
        let max_bytes = out.len() + (self.batching.max_bytes / scaledown).max(1);
        let deadline = Instant::now() + self.batching.max_time / u32::try_from(scaledown).unwrap_or(u32::MAX);
        self.env.wake().reading();
        self.is_blocked = false;
        let limits = BatchLimits { max_bytes, deadline };
        let batch = match self.next_morsels(limits, out)? {
            Some(batch) => batch,
            None => self.next_rows(limits, 0, out)?,
        };
        self.stream.suspend();
        if batch.rows > 0 {
            self.env.wake().answered();
        }
        Ok(batch)
    }

    /// Makes a batch of several morsels of a table's rows, unless it is to be small.
    fn next_morsels(&mut self, limits: BatchLimits, out: &mut Vec<u8>) -> Result<Option<Batch>> {
        if self.batching.max_rows != usize::MAX || limits.max_bytes < out.len() + SMALL_BATCH {
            return Ok(None);
        }
        let Some(mut morsels) = ParallelScan::read(&mut self.stream, &self.env, written) else {
            return Ok(None);
        };
        let mut rows = 0;
        while let Some(morsel) = morsels.next() {
            let (text, count, end) = morsel?;
            if rows > 0 && count > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&text);
            rows += count;
            end?;
            // Rows that have been read belong to this batch.
            let expected = out.len() + morsels.ahead() * text.len();
            if expected >= limits.max_bytes
                || rows >= self.batching.min_rows && Instant::now() >= limits.deadline
            {
                morsels.stop();
            }
        }
        let has_given_up = morsels.has_given_up();
        let batch = Batch { rows, done: morsels.has_ended() };
        drop(morsels);
        if has_given_up && out.len() < limits.max_bytes {
            return self.next_rows(limits, rows, out).map(Some);
        }
        Ok(Some(batch))
    }

    /// Makes a batch row by row, with `before` rows in it already.
    fn next_rows(&mut self, limits: BatchLimits, before: usize, out: &mut Vec<u8>) -> Result<Batch> {
        let Batching { min_rows, max_rows, .. } = self.batching;
        let is_enough = |rows: usize, text: &[u8]| {
            rows >= max_rows
                || text.len() >= limits.max_bytes
                || rows >= min_rows && rows.is_multiple_of(64) && Instant::now() >= limits.deadline
        };
        let (rows, end) = write_rows(&mut self.stream, &self.env, before, out, is_enough);
        let done = match end {
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.feed().is_some() => {
                self.is_blocked = true;
                false
            }
            end => end?,
        };
        Ok(Batch { rows, done })
    }

    /// Returns an empty reservation, for the text that has been written.
    pub fn reserve(&self) -> Reservation {
        self.env.reserve()
    }

    /// Returns the profile of the last batch as JSON, if there is one.
    pub fn profile(&self) -> Option<Vec<u8>> {
        self.env.trace().map(Trace::to_json)
    }

    /// Returns the traits of the changefeed, if the stream is one.
    pub fn feed(&self) -> Option<FeedTraits> {
        self.stream.feed()
    }

    /// Returns true if the next batch is made in microseconds and without waiting.
    pub fn is_light(&self) -> bool {
        self.env.trace().is_none() && self.stream.is_light()
    }

    /// Waits until the next batch is worth asking for. May be dropped and called again.
    pub async fn ready(&mut self) {
        if self.is_blocked {
            self.env.wake().wait().await;
        }
    }
}
