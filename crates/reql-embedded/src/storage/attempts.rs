//! The attempts of a write: its mutations are handed to the writer. For those that it gives back, the
//! documents are reserved, so that they can be evaluated anew in the caller's thread and handed to it again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use tokio::sync::oneshot;

use super::catalog::{Durability, TableEntry};
use super::core::Core;
use super::file;
use super::reserved::WriteId;
use super::snapshot::Snapshot;
use super::write::{Attempt, CHUNK, Held, Mutation, Outcomes, Results, Settled, Tried, WriteJob};
use super::writer::Job;
use crate::budget::fuel;
use crate::error::{Error, Result};

/// The typical documents that may be under way for one write: two transactions, or a larger one.
const IN_FLIGHT: usize = 2 * CHUNK;

/// A write that has been started without blocking.
pub enum Started {
    /// The write is done.
    Done(Outcomes),
    /// The write is submitted, and its results come over the channel. A closed channel means that the store
    /// has been closed.
    Submitted(oneshot::Receiver<Results>),
}

/// Values with their places among the mutations of a write.
type Placed<T> = Vec<(usize, T)>;

/// Does what [`Table::write_each`](super::Table::write_each) says.
pub(super) fn write(
    core: &Arc<Core>,
    entry: &Arc<TableEntry>,
    mutations: Vec<Mutation>,
    durability: Durability,
    settle: &mut dyn FnMut(usize, Settled),
) -> Result<()> {
    let write = core.reservations.write_id();
    let mutations = mutations.into_iter().enumerate().collect();
    let given_back = attempted(core, entry, mutations, durability, &Attempt::of(write), settle)?;
    if given_back.is_empty() {
        return Ok(());
    }
    again(core, entry, write, given_back, durability, settle)
}

/// Reserves the documents of mutations that were given back, and does these as it gets the documents.
fn again(
    core: &Arc<Core>,
    entry: &Arc<TableEntry>,
    write: WriteId,
    mut given_back: Placed<Mutation>,
    durability: Durability,
    settle: &mut dyn FnMut(usize, Settled),
) -> Result<()> {
    let keys = given_back.iter().map(|(_, mutation)| mutation.key.clone()).collect();
    let mut reserved = core.reservations.reserve(write, entry.id, keys);
    while let Some((_, mutation)) = given_back.first() {
        let mut own = reserved.wait(|| mutation.check_interrupt())?;
        let (now, later): (Vec<_>, Vec<_>) =
            given_back.into_iter().partition(|(_, mutation)| own.contains(&mutation.key));
        let again = attempted(core, entry, now, durability, &Attempt::of(write), settle)?;
        // Some may be wanted back by an index that came up meanwhile, or by who wrote before the reservation.
        for (_, mutation) in &again {
            own.remove(&mutation.key);
        }
        reserved.release(&own);
        given_back = later;
        given_back.extend(again);
        given_back.sort_unstable_by_key(|(place, _)| *place);
    }
    Ok(())
}

/// A job that the writer has been handed.
struct Pending {
    answer: Receiver<Result<Vec<Tried>>>,
    weight: usize,
    /// Memory of the documents, which are in the answer, too.
    _held: Held,
}

impl Pending {
    fn wait(self, core: &Core) -> Result<Vec<Tried>> {
        core.answer(&self.answer)
    }
}

/// Evaluates mutations and hands them to the writer, once. Passes on the outcomes, in order, and returns the
/// mutations that were given back.
fn attempted(
    core: &Arc<Core>,
    entry: &Arc<TableEntry>,
    mutations: Placed<Mutation>,
    durability: Durability,
    attempt: &Attempt,
    settle: &mut dyn FnMut(usize, Settled),
) -> Result<Placed<Mutation>> {
    let table = core.table(entry)?;
    let (places, mutations): (Vec<_>, Vec<_>) = mutations.into_iter().unzip();
    let (mut places, mut given_back) = (places.into_iter(), Vec::new());
    let mut take = |tried: Vec<Tried>| {
        // The places come second, since `zip` takes one more of the first iterator at the end.
        for (tried, place) in tried.into_iter().zip(places.by_ref()) {
            match tried {
                Tried::Done(outcome) => settle(place, outcome),
                Tried::GivenBack(mutation) => given_back.push((place, mutation)),
            }
        }
    };
    let (mut pending, mut in_flight) = (VecDeque::<Pending>::new(), 0);
    let mut rest = mutations.into_iter().peekable();
    let mut is_first = true;
    while rest.peek().is_some() {
        let (job, held) =
            WriteJob::evaluate(&Snapshot::take(core, entry)?, table.clone(), &mut rest, attempt)?;
        let is_last = rest.peek().is_none();
        // What the write found as it wants it may be the work of a soft one.
        if is_first && is_last && !job.changes() && core.is_as_durable_as(durability) {
            take(job.into_outcomes().into_iter().map(Tried::Done).collect());
            return Ok(given_back);
        }
        is_first = false;
        // One durable commit at the end makes all commits before it durable.
        let job = if is_last { job.with_durability(durability) } else { job };
        let weight = job.weight();
        let (answer, receiver) = mpsc::sync_channel(1);
        // The caller may be gone.
        core.submit(job.answering(move |tried| answer.send(tried).unwrap_or_default()))?;
        pending.push_back(Pending { answer: receiver, weight, _held: held });
        in_flight += weight;
        while in_flight >= IN_FLIGHT
            && let Some(job) = pending.pop_front()
        {
            in_flight -= job.weight;
            take(job.wait(core)?);
        }
    }
    for job in pending {
        take(job.wait(core)?);
    }
    Ok(given_back)
}

/// Does what [`Table::start_write`](super::Table::start_write) says.
pub(super) fn start(
    core: &Arc<Core>,
    entry: &Arc<TableEntry>,
    mutation: Mutation,
    durability: Durability,
) -> Result<Started> {
    let table = core.table(entry)?;
    let mut mutations = [mutation].into_iter().peekable();
    let snapshot = Snapshot::take(core, entry)?;
    let attempt = Attempt::of(core.reservations.write_id());
    let (job, _held) = WriteJob::evaluate(&snapshot, table, &mut mutations, &attempt)?;
    // The budget may have run out during the evaluation.
    fuel::spend(1)?;
    if !job.changes() && core.is_as_durable_as(durability) {
        return Ok(Started::Done(job.into_outcomes()));
    }
    let (answer, mut receiver) = oneshot::channel();
    let answer = move |tried: Result<Vec<Tried>>| {
        // The caller may be gone.
        drop(answer.send(tried.and_then(all_done)));
    };
    let job = job.with_durability(durability).answering(answer);
    // The commit can't be given up and run again on another thread, since listeners are told of it.
    match fuel::apart(|| core.commit_at_once(job)) {
        Ok(()) => receiver.try_recv().unwrap_or_else(|_| Err(file::closed())).map(Started::Done),
        Err(job) => {
            core.try_submit(job)?;
            Ok(Started::Submitted(receiver))
        }
    }
}

/// Returns the outcomes, or the error for a caller who must not wait if any mutation was given back.
fn all_done(tried: Vec<Tried>) -> Results {
    let done = |tried| match tried {
        Tried::Done(outcome) => Ok(outcome),
        Tried::GivenBack(_) => Err(Error::would_block()),
    };
    tried.into_iter().map(done).collect()
}
