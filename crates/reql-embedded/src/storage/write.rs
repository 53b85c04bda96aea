//! Writing documents: a mutation is evaluated against a snapshot in the caller's thread; the writer thread
//! applies the result if the document is still the same, and evaluates once more on the current one if not.
//! All other writes wait for it meanwhile. A mutation that takes long there is given back to the caller, who
//! [tries again](super::attempts).

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;
use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadableTable;

use super::batch::Batch;
use super::catalog::{Durability, TableEntry};
use super::proposal::{self, Document, Effect, Proposal};
use super::reserved::WriteId;
use super::snapshot::Snapshot;
use super::writer::{Applied, Job, Need};
use crate::budget::Budget;
use crate::budget::fuel::Place;
use crate::budget::memory::{LARGE, Reservation};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The effect of a mutation on a document.
#[derive(Debug, Clone)]
pub enum Change {
    /// Leaves the document as it is, even if there is none.
    Keep,
    /// Replaces it by this document.
    Put(Datum),
    /// Removes the document.
    Delete,
}

/// A function from a document to the change of it.
pub type ChangeFn = Box<dyn FnMut(Option<&Datum>) -> Result<Change> + Send>;

/// A write to one document: atomic from reading it to replacing it.
pub struct Mutation {
    /// The document's key, encoded.
    pub key: Vec<u8>,
    /// Function that decides on the change. It runs again if another write changed the document meanwhile, in
    /// the writer thread if it is done soon there, and on the changed document; only the last run counts.
    pub change: ChangeFn,
    /// Budget of the decision, the functions of indexes included.
    pub(super) budget: Budget,
}

impl Mutation {
    /// Makes a mutation of the document with this key.
    pub fn new(
        key: impl Into<Vec<u8>>,
        change: impl FnMut(Option<&Datum>) -> Result<Change> + Send + 'static,
    ) -> Self {
        Mutation { key: key.into(), change: Box::new(change), budget: Budget::default() }
    }

    /// Fails if the query that the mutation belongs to has been interrupted.
    pub(super) fn check_wanted(&self) -> Result<()> {
        self.budget.check_wanted()
    }

    /// Sets the budget, whose interrupt ends the mutation as long as nothing is written.
    #[must_use]
    pub fn within(mut self, budget: &Budget) -> Self {
        self.budget = budget.clone();
        self
    }
}

/// The outcome of a mutation. Without a change, `old` and `new` are the same.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The document before.
    pub old: Option<Datum>,
    /// The document after.
    pub new: Option<Datum>,
    /// True if anything was written.
    pub changed: bool,
}

/// The failure of a mutation, which changed nothing.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The document for which the mutation failed.
    pub old: Option<Datum>,
    /// The failure.
    pub error: Error,
}

/// The outcome of a mutation, or its failure.
pub type Settled = std::result::Result<Outcome, Failed>;

/// The outcome of each of several mutations.
pub type Outcomes = Vec<Settled>;

/// The typical documents that share a job at most, so that a large write holds up the small ones of others
/// only briefly.
pub(super) const CHUNK: usize = 512;

/// A mutation on its way to the writer.
struct Write {
    mutation: Mutation,
    proposal: Proposal,
}

/// Mutations of one table that are applied in one transaction.
pub(super) struct WriteJob {
    table: Arc<TableEntry>,
    writes: Vec<Write>,
    attempt: Attempt,
    weight: usize,
    durability: Durability,
    results: Result<Vec<Tried>>,
    answer: Option<Answer>,
}

/// The results of mutations: an error of the whole, or the outcome of each.
pub type Results = Result<Outcomes>;

/// The result of a mutation that was handed to the writer.
pub(super) enum Tried {
    Done(Settled),
    /// The document is reserved for another write, or it had changed and to decide anew takes too long for
    /// the writer. Nothing was written.
    GivenBack(Mutation),
}

/// The receiver of the results of a [`WriteJob`], called in the thread that commits it.
type Answer = Box<dyn FnOnce(Result<Vec<Tried>>) + Send>;

/// One of the attempts of a write. Cloning shares it.
#[derive(Clone)]
pub(super) struct Attempt {
    write: WriteId,
    /// Keys of the mutations that are given back. Later mutations of these keys are, too: they come after.
    given_back: Arc<Mutex<HashSet<Vec<u8>>>>,
}

impl Attempt {
    /// Begins an attempt of a write.
    pub(super) fn of(write: WriteId) -> Self {
        Attempt { write, given_back: Arc::default() }
    }

    /// Gives a mutation back, and notes that.
    fn give_back(&self, mutation: Mutation) -> Tried {
        self.given_back.lock().unwrap_or_else(PoisonError::into_inner).insert(mutation.key.clone());
        Tried::GivenBack(mutation)
    }

    /// Returns true if a mutation of this key has been given back.
    fn has_given_back(&self, key: &[u8]) -> bool {
        self.given_back.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl WriteJob {
    /// Evaluates mutations against a snapshot, as many as fit into one job. Later ones see the effect of
    /// earlier ones on the same document. Returns the memory of the documents with the job.
    pub(super) fn evaluate(
        snapshot: &Snapshot,
        table: Arc<TableEntry>,
        mutations: &mut Peekable<impl Iterator<Item = Mutation>>,
        attempt: &Attempt,
    ) -> Result<(Self, Held)> {
        let durability = Durability::Soft;
        let mut job = WriteJob {
            table,
            writes: Vec::new(),
            attempt: attempt.clone(),
            weight: 0,
            durability,
            results: Ok(Vec::new()),
            answer: None,
        };
        let mut held = Held::default();
        let mut seen: HashMap<Vec<u8>, Option<Document>> = HashMap::new();
        while job.weight < CHUNK
            && let Some(mut mutation) = mutations.next()
        {
            let old = match seen.get(&mutation.key) {
                Some(document) => document.clone(),
                None => snapshot.document(&mutation.key)?,
            };
            let proposal = propose(&mut mutation, old, &job.table, &mut held);
            job.weight += proposal.weight();
            if mutations.peek().is_some() {
                seen.insert(mutation.key.clone(), proposal.after());
            }
            job.writes.push(Write { mutation, proposal });
        }
        Ok((job, held))
    }

    /// Sets the receiver of the results.
    pub(super) fn answering(mut self, answer: impl FnOnce(Result<Vec<Tried>>) + Send + 'static) -> Self {
        self.answer = Some(Box::new(answer));
        self
    }

    /// Sets the durability that the answer waits for.
    pub(super) fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns true if there is anything for the writer to do.
    pub(super) fn changes(&self) -> bool {
        self.writes.iter().any(|write| write.proposal.changes())
    }

    /// Returns the results as evaluated against the snapshot.
    pub(super) fn into_outcomes(self) -> Outcomes {
        self.writes.into_iter().map(|write| write.proposal.outcome()).collect()
    }

    fn apply_all(&mut self, table: &TableEntry, batch: &mut Batch<'_>) -> Applied {
        let mut results = Vec::with_capacity(self.writes.len());
        for write in std::mem::take(&mut self.writes) {
            results.push(write.apply(table, batch, &self.attempt)?);
        }
        self.results = Ok(results);
        Ok(())
    }
}

/// The memory of documents before and after their mutations, which counts if they are large together.
#[derive(Default)]
pub(super) struct Held {
    bytes: usize,
    counted: Option<Reservation>,
}

impl Held {
    fn add(&mut self, bytes: usize, budget: &Budget) -> Result<()> {
        let bytes = self.bytes + bytes;
        if bytes > LARGE {
            self.counted.get_or_insert_with(|| budget.reserve()).raise(bytes)?;
        }
        self.bytes = bytes;
        Ok(())
    }
}

/// Evaluates a mutation of the document `old`. It fails if the query has no memory for this or the new one.
fn propose(mutation: &mut Mutation, old: Option<Document>, table: &TableEntry, held: &mut Held) -> Proposal {
    if let Err(error) = held.add(proposal::size(old.as_ref()), &mutation.budget) {
        return Proposal { old, result: Err(error) };
    }
    let mut proposal = Proposal::evaluate(mutation, old, table, Place::Worker);
    if let Err(error) = held.add(proposal.new_size(), &mutation.budget) {
        proposal.result = Err(error);
    }
    proposal
}

impl Write {
    fn apply(self, table: &TableEntry, batch: &mut Batch<'_>, attempt: &Attempt) -> Applied<Tried> {
        let Write { mut mutation, mut proposal } = self;
        if batch.reservations().excludes(attempt.write, table.id, &mutation.key)
            || attempt.has_given_back(&mutation.key)
        {
            return Ok(attempt.give_back(mutation));
        }
        if let Some(current) = changed_meanwhile(table, batch, &mutation.key, &proposal)? {
            let evaluate = || Proposal::evaluate(&mut mutation, current, table, Place::Writer);
            let Some(anew) = batch.decide(evaluate) else { return Ok(attempt.give_back(mutation)) };
            proposal = anew;
        }
        proposal.complete(&mutation, table, Place::Writer);
        if proposal.is_given_up() {
            return Ok(attempt.give_back(mutation));
        }
        if let Proposal { old, result: Ok(effect) } = &mut proposal
            && effect.changed
        {
            put(&mutation.key, old.as_ref(), effect, table, batch)?;
        }
        Ok(Tried::Done(proposal.outcome()))
    }
}

/// Returns the current document, if it isn't the one that the proposal was evaluated on.
fn changed_meanwhile(
    table: &TableEntry,
    batch: &mut Batch<'_>,
    key: &[u8],
    proposal: &Proposal,
) -> Applied<Option<Option<Document>>> {
    let found = batch.documents(table)?.get(key)?;
    let bytes = found.as_ref().map(|guard| guard.value());
    Ok((!proposal.is_about(bytes)).then(|| bytes.map(|bytes| Document::new(Arc::from(bytes)))))
}

fn put(
    key: &[u8],
    old: Option<&Document>,
    effect: &mut Effect,
    table: &TableEntry,
    batch: &mut Batch<'_>,
) -> Applied {
    batch.effects().dirty = true;
    let documents = batch.documents(table)?;
    match &effect.new {
        Some(document) => documents.insert(key, &*document.bytes)?,
        None => documents.remove(key)?,
    };
    for index in table.indexes.values() {
        let delta = effect.take_delta(index);
        if delta.removed.is_empty() && delta.added.is_empty() {
            continue;
        }
        let entries = batch.entries(index)?;
        for (entry, _) in &delta.removed {
            entries.remove(entry.as_slice())?;
        }
        for (entry, length) in &delta.added {
            entries.insert(entry.as_slice(), length)?;
        }
    }
    batch.note_change(table, key, old, effect.new.as_ref());
    Ok(())
}

impl Job for WriteJob {
    fn need(&self) -> Need {
        match self.durability {
            Durability::Soft => Need::Soft,
            Durability::Hard => Need::Hard,
        }
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Applied {
        // The table may have been dropped, or have got another index, since it was looked up.
        match batch.catalog().tables.get(&self.table.id).cloned() {
            Some(table) => self.apply_all(&table, batch),
            None => {
                self.results = Err(self.table.gone());
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        if let Some(answer) = self.answer {
            answer(committed.and(self.results));
        }
    }
}
