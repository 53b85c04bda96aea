//! Building indexes in the background, a chunk of each [in turn](super::build_queue).
//!
//! A chunk is read and evaluated here. The writer inserts its entries, and skips the documents that changed
//! in between: from the moment an index exists, every write maintains its entries itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use redb::ReadableTable;
use uuid::Uuid;

use super::batch::Batch;
use super::build_queue::Turn;
use super::catalog::TableEntry;
use super::core::Core;
use super::index::{Entry, Index, Progress};
use super::range::{Direction, KeyRange};
use super::scan::Scan;
use super::snapshot::Snapshot;
use super::writer::{Applied, Job, Need};
use crate::budget::fuel::{self, Place};
use crate::datum::pack;
use crate::error::Result;

/// The most documents that are put into an index in one transaction.
const CHUNK: usize = 512;

/// The bytes of documents and of their entries after which no more are put into the same transaction.
const CHUNK_BYTES: usize = 4 << 20;

/// The time after which no more documents are read for the same transaction.
const CHUNK_TIME: Duration = Duration::from_millis(50);

/// Builds the indexes of the queue until it is closed, on further threads as they are needed.
pub(super) fn run(core: &Arc<Core>) {
    thread::scope(|scope| work(core, scope));
}

fn work<'scope>(core: &'scope Arc<Core>, scope: &'scope Scope<'scope, '_>) {
    while let Some(Turn { mut build, needs_thread, number }) = core.builds.take() {
        if needs_thread {
            let helper = thread::Builder::new().name("reql-builder".into());
            if let Err(error) = helper.spawn_scoped(scope, move || work(core, scope)) {
                log::warn!("A slow index function may hold up other indexes: {error}");
            }
        }
        let step = build.step(core);
        // Else the index was dropped, or the store is closing; the next step tells which.
        let has_failed = step.as_ref().is_err_and(|error| !error.ends_query());
        let rest = match step {
            Ok(Step::Done) => None,
            Ok(Step::More) => Some(build),
            Err(error) => {
                if has_failed {
                    log::warn!("Building index `{}` starts over: {error}", build.index.spec.name);
                }
                build.start_over();
                Some(build)
            }
        };
        core.builds.end(number, rest, has_failed);
    }
}

/// An index that is being built.
pub(super) struct Build {
    table: Uuid,
    index: Index,
    /// `None` before the first chunk.
    scan: Option<Scan>,
}

enum Step {
    More,
    Done,
}

impl Build {
    /// Makes the build of an index, of which nothing has been done.
    pub(super) fn new(table: Uuid, index: Index) -> Self {
        Build { table, index, scan: None }
    }

    fn step(&mut self, core: &Arc<Core>) -> Result<Step> {
        let Some(table) = core.catalog().tables.get(&self.table).cloned() else { return Ok(Step::Done) };
        let Some(scan) = &mut self.scan else {
            self.index.progress.total.store(Snapshot::take(core, &table)?.len()?, Ordering::Relaxed);
            self.scan = Some(Scan::new(core, &table, KeyRange::all(), Direction::Forward));
            return self.submit(core, Content::Nothing);
        };
        let budget = core.build_budget(self.table, &self.index);
        let rows = fuel::within(&budget, Place::Worker, || read(scan, &self.index, CHUNK_TIME));
        scan.suspend();
        let (rows, is_end) = rows?;
        let count = rows.len();
        let content = if is_end { Content::Last(rows) } else { Content::Rows(rows) };
        let step = self.submit(core, content)?;
        self.index.progress.processed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(step)
    }

    fn start_over(&mut self) {
        self.scan = None;
        self.index.progress.processed.store(0, Ordering::Relaxed);
    }

    fn submit(&self, core: &Core, content: Content) -> Result<Step> {
        let (answer, receiver) = mpsc::sync_channel(1);
        core.submit(ChunkJob {
            table: self.table,
            index: self.index.id,
            progress: self.index.progress.clone(),
            content,
            step: Step::Done,
            result: Ok(()),
            answer,
        })?;
        core.answer(&receiver)
    }
}

/// Reads the next documents, at least one, and computes their entries; no further ones after this time.
/// Returns true with them if they are the last.
pub(super) fn read(scan: &mut Scan, index: &Index, time: Duration) -> Result<(Vec<Indexed>, bool)> {
    let (mut rows, mut bytes, began) = (Vec::with_capacity(CHUNK), 0, Instant::now());
    while rows.len() < CHUNK && bytes < CHUNK_BYTES && (rows.is_empty() || began.elapsed() < time) {
        let Some(document) = scan.next()? else { return Ok((rows, true)) };
        let entries = index.entries(scan.key(), &document);
        let row = Indexed { key: scan.key().into(), bytes: pack::value(&document)?, entries };
        bytes += row.size();
        rows.push(row);
    }
    Ok((rows, false))
}

/// A document with its entries in the index that is being built.
pub(super) struct Indexed {
    key: Box<[u8]>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// The content of a chunk for the index.
enum Content {
    /// The start: removes the entries of an interrupted build. Nothing may be read for the index before that.
    Nothing,
    Rows(Vec<Indexed>),
    /// The last documents, after which the index is ready.
    Last(Vec<Indexed>),
}

impl Content {
    fn rows(&self) -> &[Indexed] {
        match self {
            Content::Nothing => &[],
            Content::Rows(rows) | Content::Last(rows) => rows,
        }
    }
}

/// A job that puts a chunk of documents into an index.
struct ChunkJob {
    table: Uuid,
    index: Uuid,
    /// Progress of this build, to tell the index from the same one loaded anew, whose build starts over.
    progress: Arc<Progress>,
    content: Content,
    step: Step,
    result: Result<()>,
    answer: SyncSender<Result<Step>>,
}

impl Job for ChunkJob {
    fn need(&self) -> Need {
        // The catalog in memory, in which the index is ready, must not be ahead of the file.
        if matches!(self.content, Content::Last(_)) { Need::Hard } else { Need::Soft }
    }

    fn weight(&self) -> usize {
        self.content.rows().len()
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> Applied {
        let Some(table) = batch.catalog().tables.get(&self.table).cloned() else { return Ok(()) };
        let Some(index) = table.index_by_id(self.index) else { return Ok(()) };
        if !Arc::ptr_eq(&index.progress, &self.progress) {
            return Ok(());
        }
        if matches!(self.content, Content::Nothing) {
            batch.clear_entries(index)?;
        }
        for row in self.content.rows() {
            row.put(&table, index, batch)?;
        }
        if matches!(self.content, Content::Last(_)) {
            let mut table = (*table).clone();
            table
                .indexes
                .values_mut()
                .filter(|index| index.id == self.index)
                .for_each(|index| index.ready = true);
            self.result = batch.put_table(table);
        } else {
            self.step = Step::More;
        }
        batch.failure()
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let ChunkJob { result, step, answer, .. } = *self;
        // The builder may have been told to end.
        let _ = answer.send(committed.and(result).map(|()| step));
    }
}

impl Indexed {
    fn size(&self) -> usize {
        let entries: usize = self.entries.iter().map(|(entry, _)| entry.len()).sum();
        self.key.len() + self.bytes.len() + entries
    }

    fn put(&self, table: &TableEntry, index: &Index, batch: &mut Batch<'_>) -> Applied {
        let documents = batch.documents(table)?;
        let is_same =
            documents.get(&*self.key)?.is_some_and(|current| current.value() == self.bytes.as_slice());
        if is_same && !self.entries.is_empty() {
            batch.effects().dirty = true;
            let entries = batch.entries(index)?;
            for (entry, length) in &self.entries {
                entries.insert(entry.as_slice(), length)?;
            }
        }
        Ok(())
    }
}
