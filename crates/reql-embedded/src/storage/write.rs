//! Writing documents: a mutation is evaluated against a snapshot in the caller's thread; the writer thread
//! applies the result if the document is still the same, and evaluates once more on the current one if not.

use std::collections::HashMap;
use std::iter::Peekable;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::ReadableTable;
use uuid::Uuid;

use super::batch::Batch;
use super::catalog::{Durability, TableEntry};
use super::index::{Delta, Index};
use super::snapshot::Snapshot;
use super::writer::{Applied, Job, Need};
use crate::budget::Budget;
use crate::budget::fuel::{self, Place};
use crate::datum::{Datum, pack, packed};
use crate::error::{Error, ErrorKind, Result};

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
    /// Function that decides on the change. It runs a second time if another write changed the document
    /// meanwhile, then in the writer thread and on the changed document; only the last run counts.
    pub change: ChangeFn,
    /// Budget of the decision, the functions of indexes included.
    budget: Budget,
}

impl Mutation {
    /// Makes a mutation of the document with this key.
    pub fn new(
        key: impl Into<Vec<u8>>,
        change: impl FnMut(Option<&Datum>) -> Result<Change> + Send + 'static,
    ) -> Self {
        Mutation { key: key.into(), change: Box::new(change), budget: Budget::default() }
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

/// The outcome of each of several mutations.
pub type Outcomes = Vec<std::result::Result<Outcome, Failed>>;

/// The largest document, packed. redb's own limit is a little above.
const MAX_DOCUMENT: usize = 1 << 30;

/// The typical documents that share a job at most, so that a large write holds up the small ones of others
/// only briefly.
const CHUNK: usize = 512;
/// The size up to which a document counts as one; a larger one counts as several.
const TYPICAL_DOCUMENT: usize = 4096;

/// A document with its packed bytes.
#[derive(Clone)]
pub(super) struct Document {
    pub(super) bytes: Arc<[u8]>,
    pub(super) datum: Datum,
}

impl Document {
    pub(super) fn new(bytes: Arc<[u8]>) -> Self {
        Document { datum: packed::from_bytes(bytes.clone()), bytes }
    }

    fn pack(datum: &Datum) -> Result<Self> {
        let bytes = pack::document(datum)?;
        if bytes.len() > MAX_DOCUMENT {
            return Err(Error::new(
                ErrorKind::ResourceLimit,
                format!("The document is too large to be stored ({} bytes).", bytes.len()),
            ));
        }
        Ok(Document::new(bytes.into()))
    }
}

/// An evaluated mutation: the document that it saw, and the change that it wants.
struct Proposal {
    old: Option<Document>,
    result: Result<Effect>,
}

/// The change of the document, and its effect on each index.
struct Effect {
    new: Option<Document>,
    changed: bool,
    deltas: Vec<(Uuid, Delta)>,
}

impl Proposal {
    fn evaluate(mutation: &mut Mutation, old: Option<Document>, table: &TableEntry) -> Proposal {
        let budget = mutation.budget.clone();
        let evaluate = || Effect::evaluate(mutation, old.as_ref(), table);
        let result = fuel::within(&budget, Place::Worker, evaluate);
        Proposal { old, result }
    }

    /// Computes the effect of a change on indexes that came up since it was evaluated.
    fn complete(&mut self, mutation: &Mutation, table: &TableEntry) {
        let Proposal { old, result: Ok(effect) } = self else { return };
        let complete = || {
            effect.complete(&mutation.key, old.as_ref(), table);
            Ok(())
        };
        if let Err(error) = fuel::within(&mutation.budget, Place::Worker, complete) {
            self.result = Err(error);
        }
    }

    fn is_about(&self, current: Option<&[u8]>) -> bool {
        self.old.as_ref().map(|document| &*document.bytes) == current
    }

    /// Returns the mutation's share of a transaction, in typical documents.
    fn weight(&self) -> usize {
        let new = self.result.as_ref().ok().and_then(|effect| effect.new.as_ref());
        1 + new.map_or(0, |document| document.bytes.len() / TYPICAL_DOCUMENT)
    }

    fn changes(&self) -> bool {
        self.result.as_ref().is_ok_and(|effect| effect.changed)
    }

    /// Returns the document as the mutation leaves it, for later mutations.
    fn after(&self) -> Option<Document> {
        self.result.as_ref().map_or_else(|_| self.old.clone(), |effect| effect.new.clone())
    }

    fn outcome(self) -> std::result::Result<Outcome, Failed> {
        let old = self.old.map(|document| document.datum);
        match self.result {
            Ok(Effect { new, changed, .. }) => {
                Ok(Outcome { old, new: new.map(|document| document.datum), changed })
            }
            Err(error) => Err(Failed { old, error }),
        }
    }
}

impl Effect {
    fn evaluate(mutation: &mut Mutation, old: Option<&Document>, table: &TableEntry) -> Result<Effect> {
        let Mutation { key, change, .. } = mutation;
        let new = match guarded(change, old.map(|document| &document.datum))? {
            Change::Keep => return Ok(Effect::none(old)),
            Change::Put(datum) => Some(Document::pack(&datum)?),
            Change::Delete => None,
        };
        if old.map(|document| &document.bytes) == new.as_ref().map(|document| &document.bytes) {
            return Ok(Effect::none(old));
        }
        let deltas = table.indexes.values().map(|index| (index.id, delta(index, key, old, new.as_ref())));
        Ok(Effect { deltas: deltas.collect(), new, changed: true })
    }

    fn none(old: Option<&Document>) -> Effect {
        Effect { new: old.cloned(), changed: false, deltas: Vec::new() }
    }

    /// Adds the changes for indexes that came up after the evaluation.
    fn complete(&mut self, key: &[u8], old: Option<&Document>, table: &TableEntry) {
        if !self.changed {
            return;
        }
        for index in table.indexes.values() {
            if !self.deltas.iter().any(|(id, _)| *id == index.id) {
                self.deltas.push((index.id, delta(index, key, old, self.new.as_ref())));
            }
        }
    }

    /// Takes the change for an index.
    fn take_delta(&mut self, index: &Index) -> Delta {
        let delta = self.deltas.iter_mut().find(|(id, _)| *id == index.id);
        delta.map(|(_, delta)| std::mem::take(delta)).unwrap_or_default()
    }
}

fn delta(index: &Index, key: &[u8], old: Option<&Document>, new: Option<&Document>) -> Delta {
    Delta::of(index, key, old.map(|document| &document.datum), new.map(|document| &document.datum))
}

/// Runs the caller's function; its panic becomes the error of this mutation alone.
fn guarded(change: &mut ChangeFn, old: Option<&Datum>) -> Result<Change> {
    catch_unwind(AssertUnwindSafe(|| change(old))).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Error::internal(format!("The evaluation of a write panicked: {reason}")))
    })
}

/// A mutation on its way to the writer.
struct Write {
    mutation: Mutation,
    proposal: Proposal,
}

/// Mutations of one table that are applied in one transaction.
pub(super) struct WriteJob {
    table: Arc<TableEntry>,
    writes: Vec<Write>,
    weight: usize,
    durability: Durability,
    results: Results,
    answer: Option<Answer>,
}

/// The results of mutations: an error of the whole, or the outcome of each.
pub type Results = Result<Outcomes>;

/// The receiver of the results of a [`WriteJob`], called in the thread that commits it.
type Answer = Box<dyn FnOnce(Results) + Send>;

impl WriteJob {
    /// Evaluates mutations against a snapshot, as many as fit into one job. Later ones see the effect of
    /// earlier ones on the same document.
    pub(super) fn evaluate(
        snapshot: &Snapshot,
        table: Arc<TableEntry>,
        mutations: &mut Peekable<impl Iterator<Item = Mutation>>,
    ) -> Result<Self> {
        let durability = Durability::Soft;
        let mut job = WriteJob {
            table,
            writes: Vec::new(),
            weight: 0,
            durability,
            results: Ok(Vec::new()),
            answer: None,
        };
        let mut seen: HashMap<Vec<u8>, Option<Document>> = HashMap::new();
        while job.weight < CHUNK
            && let Some(mut mutation) = mutations.next()
        {
            let old = match seen.get(&mutation.key) {
                Some(document) => document.clone(),
                None => snapshot.document(&mutation.key)?,
            };
            let proposal = Proposal::evaluate(&mut mutation, old, &job.table);
            job.weight += proposal.weight();
            if mutations.peek().is_some() {
                seen.insert(mutation.key.clone(), proposal.after());
            }
            job.writes.push(Write { mutation, proposal });
        }
        Ok(job)
    }

    /// Sets the receiver of the results.
    pub(super) fn answering(mut self, answer: impl FnOnce(Results) + Send + 'static) -> Self {
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
    pub(super) fn into_results(self) -> Results {
        Ok(self.writes.into_iter().map(|write| write.proposal.outcome()).collect())
    }

    fn apply_all(&mut self, table: &TableEntry, batch: &mut Batch<'_>) -> Applied {
        let mut results = Vec::with_capacity(self.writes.len());
        for write in std::mem::take(&mut self.writes) {
            results.push(write.apply(table, batch)?);
        }
        self.results = Ok(results);
        Ok(())
    }
}

impl Write {
    fn apply(
        self,
        table: &TableEntry,
        batch: &mut Batch<'_>,
    ) -> Applied<std::result::Result<Outcome, Failed>> {
        let Write { mut mutation, mut proposal } = self;
        let current = changed_meanwhile(table, batch, &mutation.key, &proposal)?;
        if let Some(current) = current {
            proposal = Proposal::evaluate(&mut mutation, current, table);
        }
        proposal.complete(&mutation, table);
        if let Proposal { old, result: Ok(effect) } = &mut proposal
            && effect.changed
        {
            put(&mutation.key, old.as_ref(), effect, table, batch)?;
        }
        Ok(proposal.outcome())
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
