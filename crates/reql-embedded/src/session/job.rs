//! The steps of a query: its first answer, its next batch, the wait for a feed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::noreply::Ticket;
use crate::budget::Budget;
use crate::budget::fuel::{self, Place};
use crate::datum::syntax::{self, Arena};
use crate::engine::{
    Answer, Batch, Cursor, Engine, Envelope, Error, ErrorType, Failure, Interrupt, Later, Query,
    QueryContext, QueryType, Text, Weight,
};
use crate::workers::{Held, Lane};

/// The outcome of a step.
pub(super) enum Outcome {
    Atom {
        json: Text,
        profile: Option<Vec<u8>>,
    },
    /// A value that is known later.
    Later(Later),
    /// Rows, and the cursor if more may follow.
    Batch {
        batch: Batch,
        rest: Option<Box<dyn Cursor>>,
    },
    Failed(Failure),
}

/// A finished piece of work.
pub(super) struct Done {
    pub(super) ticket: Ticket,
    /// True if the work counts against the limit of queries in flight.
    pub(super) counted: bool,
    /// The bytes that the work counts against the limit of their length.
    pub(super) size: usize,
    /// The count of the outcome, until that is answered.
    pub(super) _held: Option<Held>,
    pub(super) outcome: Outcome,
}

impl Outcome {
    /// Returns the length of its text, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Outcome::Atom { json, .. } | Outcome::Batch { batch: Batch { json, .. }, .. } => {
                json.bytes().len()
            }
            Outcome::Later(_) | Outcome::Failed(_) => 0,
        }
    }
}

/// Compiles a query.
pub(super) fn compile(engine: &dyn Engine, query: Envelope<'_>) -> Result<Box<dyn Query>, Error> {
    shielded(|| engine.compile(query)).unwrap_or_else(Err)
}

/// Reads, compiles and evaluates a query whose text is too long for the connection's own task. Returns the
/// outcome, and true if the client wants no answer, which is `noreply` where the text isn't read.
pub(super) fn start_text(
    engine: &dyn Engine,
    text: BytesMut,
    noreply: bool,
    context: &QueryContext,
) -> (bool, Outcome) {
    /// The bytes that a value of the text takes as a tree, as a term, and compiled.
    const VALUE: usize = 256;
    let budget = Budget::new(context.interrupt.clone(), engine.memory());
    let mut held = budget.reserve();
    if let Err(error) = held.add_bytes(VALUE * syntax::count_values(&text)) {
        return (noreply, Outcome::Failed(Error::runtime(ErrorType::ResourceLimit, error.message()).into()));
    }
    match fuel::within(&budget, Place::Worker, || Ok(compile_text(engine, text))) {
        Ok((noreply, Ok(query))) => (noreply, start(&*query, context, Weight::Heavy)),
        Ok((noreply, Err(error))) => (noreply, Outcome::Failed(error.into())),
        Err(_) => (noreply, Outcome::Failed(Failure::Interrupted)),
    }
}

/// Compiles a text, and drops it.
fn compile_text(engine: &dyn Engine, text: BytesMut) -> (bool, Result<Box<dyn Query>, Error>) {
    let arena = Arena::new();
    match Envelope::parse(&text, &arena) {
        Ok(query) if query.kind == QueryType::Start => (query.noreply, compile(engine, query)),
        Ok(query) => (query.noreply, Err(Error::client("Only a query of type START may be so long."))),
        Err(error) => (false, Err(error)),
    }
}

/// Evaluates a query to its first answer.
pub(super) fn start(query: &dyn Query, context: &QueryContext, place: Weight) -> Outcome {
    match shielded(|| query.run(context, place)) {
        Ok(Ok(Answer::Atom { json, profile })) => Outcome::Atom { json, profile },
        Ok(Ok(Answer::Later(later))) => Outcome::Later(later),
        Ok(Ok(Answer::Cursor(cursor))) => next(cursor, &context.interrupt),
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(error) => Outcome::Failed(error.into()),
    }
}

/// Waits for an answer that is under way. If the query turns out to take long after all, it runs again on a
/// thread that may take its time. The outcome is counted against the lane's backlog then.
pub(super) async fn finish(
    later: Later,
    query: Box<dyn Query>,
    context: QueryContext,
    lane: &Arc<Lane>,
) -> (Option<Held>, Outcome) {
    match later.await {
        Ok(json) => (None, Outcome::Atom { json, profile: None }),
        Err(Failure::WouldBlock) => {
            let interrupt = context.interrupt.clone();
            counted(interrupt, lane, move || start(&*query, &context, Weight::Heavy)).await
        }
        Err(failure) => (None, Outcome::Failed(failure)),
    }
}

/// Does work on a thread that may take its time. The outcome is counted where it is made: a task that is
/// polled late would let the lane run ahead.
async fn counted(
    interrupt: Interrupt,
    lane: &Arc<Lane>,
    work: impl FnOnce() -> Outcome + Send + 'static,
) -> (Option<Held>, Outcome) {
    let of = lane.clone();
    let work = move || {
        let outcome = work();
        (of.hold(outcome.len()), outcome)
    };
    lane.run(interrupt, work).await.unwrap_or((None, Outcome::Failed(Failure::Interrupted)))
}

/// Evaluates the next batch.
pub(super) fn next(mut cursor: Box<dyn Cursor>, interrupt: &Interrupt) -> Outcome {
    if interrupt.is_raised() {
        return Outcome::Failed(Failure::Interrupted);
    }
    match shielded(|| cursor.next_batch()) {
        Ok(Ok(batch)) => {
            let ended = batch.done || (batch.rows == 0 && !cursor.is_feed());
            Outcome::Batch { batch, rest: (!ended).then_some(cursor) }
        }
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(error) => Outcome::Failed(error.into()),
    }
}

/// Waits until a feed has a row, an error or its end, without holding a thread. With `patience`, the wait
/// ends with an empty batch after a while. The outcome is counted against the lane's backlog.
pub(super) async fn follow(
    mut cursor: Box<dyn Cursor>,
    interrupt: Interrupt,
    lane: &Arc<Lane>,
    patience: Option<Duration>,
) -> (Option<Held>, Outcome) {
    loop {
        let patient = tokio::select! {
            biased;
            () = interrupt.raised() => return (None, Outcome::Failed(Failure::Interrupted)),
            () = async { cursor.ready().await; lane.room().await } => true,
            () = run_out(patience) => false,
        };
        match next_where_it_belongs(cursor, interrupt.clone(), lane).await {
            // All rows that were there may have been filtered out.
            (_, Outcome::Batch { batch, rest: Some(rest) }) if batch.rows == 0 && patient => cursor = rest,
            counted => return counted,
        }
        tokio::task::yield_now().await;
    }
}

async fn run_out(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

async fn next_where_it_belongs(
    cursor: Box<dyn Cursor>,
    interrupt: Interrupt,
    lane: &Arc<Lane>,
) -> (Option<Held>, Outcome) {
    match cursor.weight() {
        Weight::Light => {
            let outcome = next(cursor, &interrupt);
            (lane.hold(outcome.len()), outcome)
        }
        Weight::Heavy => counted(interrupt.clone(), lane, move || next(cursor, &interrupt)).await,
    }
}

/// Catches a panic: a bug in one query must not end the others of its connection.
fn shielded<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = format!("Unexpected exception: {}", panic_message(panic.as_ref()));
        log::error!("{message}");
        Error::runtime(ErrorType::Internal, message)
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;
    use crate::workers::Workers;

    /// A feed that has a megabyte whenever it is asked, and counts that.
    struct Large(Arc<AtomicUsize>);

    impl Cursor for Large {
        fn next_batch(&mut self) -> Result<Batch, Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Batch { json: vec![b' '; 1 << 20].into(), rows: 1, ..Batch::default() })
        }

        fn is_feed(&self) -> bool {
            true
        }
    }

    /// Waits until the work that the pool may do is done.
    async fn at_rest(workers: &Workers) {
        let other = workers.lane();
        for _ in 0..100 {
            other.run(Interrupt::default(), || ()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn feeds_wait_for_results_that_nobody_has_looked_at() {
        let (workers, made) = (Workers::new(), Arc::<AtomicUsize>::default());
        let lane = Arc::new(workers.lane_with(1));
        let mut feeds = JoinSet::new();
        for _ in 0..20 {
            let (feed, lane) = (Box::new(Large(made.clone())), lane.clone());
            feeds.spawn(async move { follow(feed, Interrupt::default(), &lane, None).await });
        }
        for taken in 1..=20 {
            while made.load(Ordering::SeqCst) < taken {
                tokio::task::yield_now().await;
            }
            at_rest(&workers).await;
            assert_eq!(made.load(Ordering::SeqCst), taken);
            let (held, outcome) = feeds.join_next().await.unwrap().unwrap();
            assert!(held.is_some() && matches!(outcome, Outcome::Batch { .. }));
        }
    }
}
