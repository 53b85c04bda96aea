//! Committing: jobs are applied in one transaction, which is committed once; then all callers are answered.
//!
//! Most jobs come through the writer thread. A small soft write commits by itself if no other commit is under
//! way, which spares its caller two changes of threads:
//! [`Core::commit_at_once`](super::core::Core::commit_at_once).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::{Batch, Effects};
use super::catalog::Catalog;
use super::core::Core;
use super::feed::EndReason;
use super::writer::{Fatal, Job, Need};
use crate::error::{Error, ErrorKind, Result};

/// The most soft commits before a durable one. Pages stay in use until then.
const SOFT_COMMITS: u32 = 256;
/// The longest time from a soft commit to a durable one.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// The time without writes after which the free pages are recorded. (Tests don't wait.)
const RECORD_AFTER: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 200 });
/// The wait between attempts to open a failed file.
const REOPEN_EVERY: Duration = Duration::from_millis(500);

/// The state of commits.
pub(super) struct Committer {
    /// Number of soft commits that are not on the disk yet.
    unsynced: u32,
    /// Time of the first soft commit that is not on the disk yet.
    unsynced_since: Instant,
    /// Time of the last commit, if it recorded no free pages.
    unrecorded_since: Option<Instant>,
    /// Time before which a failed file isn't opened again.
    rests_until: Option<Instant>,
    /// True if the log says that a failed file can't be opened.
    is_told: bool,
    /// Error by which writes are refused without trying, and the time until which they are.
    refusal: Option<(Instant, Error)>,
    /// True if the file has failed, and nothing has reached the disk since. Soft writes are hard as long: one
    /// after the other would be acknowledged, and lost when it is to reach the disk.
    is_unproven: bool,
}

impl Committer {
    pub(super) fn new() -> Self {
        Committer {
            unsynced: 0,
            unsynced_since: Instant::now(),
            unrecorded_since: None,
            rests_until: None,
            is_told: false,
            refusal: None,
            is_unproven: false,
        }
    }

    /// Returns the time until there is something to flush or to record, or a failed file to open; `None` if
    /// there is nothing.
    pub(super) fn due_in(&self, core: &Core) -> Option<Duration> {
        if core.file.has_failed() {
            let rests_until = self.rests_until.unwrap_or_else(Instant::now);
            return Some(rests_until.saturating_duration_since(Instant::now()));
        }
        let flush = match self.unsynced {
            0 => None,
            SOFT_COMMITS.. => Some(Duration::ZERO),
            _ => Some(FLUSH_AFTER.saturating_sub(self.unsynced_since.elapsed())),
        };
        let record = self.unrecorded_since.map(|since| RECORD_AFTER.saturating_sub(since.elapsed()));
        flush.into_iter().chain(record).min()
    }

    /// Returns true if soft commits have to reach the disk now.
    pub(super) fn is_flush_due(&self) -> bool {
        self.unsynced >= SOFT_COMMITS || self.unsynced > 0 && self.unsynced_since.elapsed() >= FLUSH_AFTER
    }

    /// Returns true if a soft write is to wait for the disk.
    pub(super) fn is_unproven(&self) -> bool {
        self.is_unproven
    }

    /// Flushes or records if either is due. A failed file has nothing to flush: opening it undoes that.
    pub(super) fn flush_if_due(&mut self, core: &Core) {
        if core.file.has_failed() {
            return;
        }
        if self.unrecorded_since.is_some_and(|since| since.elapsed() >= RECORD_AFTER) {
            self.make_durable(core, Need::Recorded);
        } else if self.is_flush_due() {
            self.make_durable(core, Need::Hard);
        }
    }

    /// Makes soft commits durable.
    pub(super) fn flush(&mut self, core: &Core) {
        if self.unsynced > 0 {
            self.make_durable(core, Need::Hard);
        }
    }

    /// Opens a failed file anew.
    pub(super) fn recover_if_failed(&mut self, core: &Core) {
        if core.file.has_failed() {
            self.recover(core);
        }
    }

    /// Applies jobs, commits, and answers them. Opens the file anew first if it failed.
    pub(super) fn process(&mut self, core: &Core, mut jobs: Vec<Box<dyn Job>>) {
        let result = self.attempt(core, &mut jobs);
        if let Err(error) = &result
            && core.file.has_failed()
        {
            self.refuse(error.clone());
            self.recover(core);
        }
        answer(core, jobs, &result);
    }

    /// Applies jobs, commits, and answers them, for a caller that can't wait for seconds: opening a failed
    /// file anew is left to the writer.
    pub(super) fn process_at_once(&mut self, core: &Core, mut jobs: Vec<Box<dyn Job>>) {
        let result = self.attempt(core, &mut jobs);
        if let Err(error) = &result
            && core.file.has_failed()
        {
            self.refuse(error.clone());
        }
        answer(core, jobs, &result);
    }

    /// Applies jobs and commits.
    fn attempt(&mut self, core: &Core, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        let Some(need) = jobs.iter().map(|job| job.need()).max() else { return Ok(()) };
        if need == Need::Nothing {
            return Ok(());
        }
        guarded(core, || self.commit(core, jobs, need))
    }

    /// Refuses writes for a while after a failure. On a full disk every write fails and makes the file
    /// unusable. Opening it anew may take long and holds up reads, so it isn't done for each write.
    fn refuse(&mut self, error: Error) {
        self.refusal = Some((Instant::now() + REOPEN_EVERY, error));
    }

    fn commit(&mut self, core: &Core, jobs: &mut [Box<dyn Job>], need: Need) -> Result<()> {
        match &self.refusal {
            Some((until, error)) if Instant::now() < *until => return Err(error.clone()),
            _ => self.refusal = None,
        }
        core.file.check_in_place()?;
        let mut txn = core.file.begin_write()?;
        let mut batch = Batch::new(&txn, core);
        for job in jobs {
            job.apply(&mut batch).map_err(|Fatal(error)| core.file.failure(error))?;
        }
        let effects = batch.finish();
        let is_hard = match need {
            Need::Recorded => true,
            Need::Hard => effects.dirty || self.unsynced > 0,
            Need::Soft | Need::Nothing => effects.dirty && self.is_unproven,
        };
        if !effects.dirty && !is_hard {
            return txn.abort().map_err(|error| core.file.failure(error));
        }
        let durability = if is_hard { redb::Durability::Immediate } else { redb::Durability::None };
        txn.set_durability(durability).map_err(|error| core.file.failure(error))?;
        txn.set_quick_repair(need == Need::Recorded);
        if !is_hard {
            // Before anybody can see what isn't on the disk.
            core.set_unsynced(true);
        }
        let committed = txn.commit();
        core.file.forget_view();
        committed.map_err(|error| {
            // Whatever the panic was, redb takes no more writes; and the writes of this transaction may be in
            // the file.
            core.file.mark_failed();
            core.file.failure(error).with_kind(ErrorKind::OpIndeterminate)
        })?;
        self.count(core, is_hard);
        self.unrecorded_since = (need != Need::Recorded).then(Instant::now);
        Effects::carry_out(effects, core);
        Ok(())
    }

    fn count(&mut self, core: &Core, is_hard: bool) {
        if self.unsynced == 0 {
            self.unsynced_since = Instant::now();
        }
        self.unsynced = if is_hard { 0 } else { self.unsynced + 1 };
        if is_hard {
            self.is_unproven = false;
            core.set_unsynced(false);
        }
    }

    fn make_durable(&mut self, core: &Core, need: Need) {
        let Err(error) = guarded(core, || self.commit(core, &mut [], need)) else { return };
        log::error!("Writes could not be made durable: {error}");
        // The flush is tried again after a while, or with the next write.
        (self.unsynced, self.unsynced_since) = (1, Instant::now());
        self.unrecorded_since = None;
        if core.file.has_failed() {
            // The next write would be acknowledged, and undone in its turn.
            self.refuse(error);
            self.recover(core);
        }
    }

    /// Opens the file anew. Feeds end, since they may have reported changes that were not durable and are
    /// undone now.
    fn recover(&mut self, core: &Core) {
        let began = Instant::now();
        if self.rests_until.is_some_and(|until| began < until) {
            return;
        }
        self.is_unproven = true;
        let before = core.catalog();
        let reloaded = guarded(core, || {
            core.file.reopen()?;
            Catalog::load(&core.file.begin_read()?, &*core.compiler)
        });
        let took = began.elapsed();
        self.rests_until = Some(Instant::now() + REOPEN_EVERY.max(took));
        if let Some((until, _)) = &mut self.refusal
            && *until > began
        {
            *until = Instant::now() + REOPEN_EVERY.max(took * 10);
        }
        match reloaded {
            Ok(catalog) => self.resume(core, &before, catalog),
            Err(error) => {
                core.file.mark_failed();
                if !std::mem::replace(&mut self.is_told, true) {
                    log::error!("The database file failed and can't be opened again yet: {error}");
                }
            }
        }
    }

    fn resume(&mut self, core: &Core, before: &Catalog, catalog: Catalog) {
        (self.unsynced, self.unrecorded_since, self.is_told) = (0, None, false);
        core.set_unsynced(false);
        log::warn!("The database file failed and was opened again.");
        for table in before.tables.values() {
            table.listeners.end(EndReason::Failed);
        }
        let unbuilt: Vec<_> = catalog.unbuilt().collect();
        core.publish(Arc::new(catalog));
        for (table, index) in unbuilt {
            core.build(table, index);
        }
    }
}

/// Works on the file. After a panic, whatever it was, the file has to be opened anew.
fn guarded<T>(core: &Core, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        core.file.mark_failed();
        Err(Error::internal("The storage failed unexpectedly; its log says where."))
    })
}

/// Answers the callers of jobs.
fn answer(core: &Core, jobs: Vec<Box<dyn Job>>, result: &Result<()>) {
    for job in jobs {
        let answered = catch_unwind(AssertUnwindSafe(|| job.answer(result.clone())));
        if answered.is_err() {
            core.file.mark_failed();
        }
    }
}
