//! Mutations that have been evaluated: what they saw, and what they want to change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use uuid::Uuid;

use super::catalog::TableEntry;
use super::index::{Delta, Index};
use super::write::{Change, ChangeFn, Failed, Mutation, Outcome, Settled};
use crate::budget::fuel::{self, Place};
use crate::datum::{Datum, pack, packed};
use crate::error::{Error, ErrorKind, Result};

/// The largest document, packed. redb's own limit is a little above.
const MAX_DOCUMENT: usize = 1 << 30;

/// The bytes that count as one document more: of the document before, of that after, and of entries.
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

    /// Packs a value.
    fn pack(datum: &Datum) -> Result<Self> {
        // The bytes are copied when they become shared.
        let _packed = fuel::aside(datum.size())?;
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
pub(super) struct Proposal {
    pub(super) old: Option<Document>,
    pub(super) result: Result<Effect>,
}

/// The change of the document, and its effect on each index.
pub(super) struct Effect {
    pub(super) new: Option<Document>,
    pub(super) changed: bool,
    deltas: Vec<(Uuid, Delta)>,
}

impl Proposal {
    /// Evaluates a mutation of the document `old`.
    pub(super) fn evaluate(
        mutation: &mut Mutation,
        old: Option<Document>,
        table: &TableEntry,
        place: Place,
    ) -> Proposal {
        let budget = mutation.budget.clone();
        let evaluate = || Effect::evaluate(mutation, old.as_ref(), table);
        let result = fuel::within(&budget, place, evaluate);
        Proposal { old, result }
    }

    /// Computes the effect of a change on indexes that came up since it was evaluated.
    pub(super) fn complete(&mut self, mutation: &Mutation, table: &TableEntry, place: Place) {
        let Proposal { old, result: Ok(effect) } = self else { return };
        let complete = || {
            effect.complete(&mutation.key, old.as_ref(), table);
            Ok(())
        };
        if let Err(error) = fuel::within(&mutation.budget, place, complete) {
            self.result = Err(error);
        }
    }

    /// Returns true if the evaluation was given up, for it took longer than it may where it was done.
    pub(super) fn is_given_up(&self) -> bool {
        self.result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Returns true if the mutation was evaluated on this document.
    pub(super) fn is_about(&self, current: Option<&[u8]>) -> bool {
        self.old.as_ref().map(|document| &*document.bytes) == current
    }

    /// Returns the mutation's share of a transaction, in typical documents. The writer compares the document
    /// before with the current one.
    pub(super) fn weight(&self) -> usize {
        let entries: usize =
            self.effect().map_or(0, |effect| effect.deltas.iter().map(|(_, delta)| delta.size()).sum());
        1 + (size(self.old.as_ref()) + self.new_size() + entries) / TYPICAL_DOCUMENT
    }

    /// Returns the bytes of the document that the mutation makes.
    pub(super) fn new_size(&self) -> usize {
        self.effect().map_or(0, |effect| size(effect.new.as_ref()))
    }

    /// Returns the effect, if there is one.
    fn effect(&self) -> Option<&Effect> {
        self.result.as_ref().ok().filter(|effect| effect.changed)
    }

    /// Returns true if there is anything to write.
    pub(super) fn changes(&self) -> bool {
        self.effect().is_some()
    }

    /// Returns the document as the mutation leaves it, for later mutations.
    pub(super) fn after(&self) -> Option<Document> {
        self.result.as_ref().map_or_else(|_| self.old.clone(), |effect| effect.new.clone())
    }

    /// Returns the outcome, once it is known that the proposal is the last.
    pub(super) fn outcome(self) -> Settled {
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
    pub(super) fn take_delta(&mut self, index: &Index) -> Delta {
        let delta = self.deltas.iter_mut().find(|(id, _)| *id == index.id);
        delta.map(|(_, delta)| std::mem::take(delta)).unwrap_or_default()
    }
}

/// Returns the bytes of a document, if there is one.
pub(super) fn size(document: Option<&Document>) -> usize {
    document.map_or(0, |document| document.bytes.len())
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
