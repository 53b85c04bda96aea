//! The redb file in use: transactions, failures, opening it anew, closing it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use redb::backends::InMemoryBackend;
use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};

use super::backup::Pace;
use super::opening::{self, Opened, Purpose};
use super::private;
use super::read_view::ReadView;
use crate::budget::fuel;
use crate::error::{Error, Result};
use crate::memory;

/// The name of the file in the data directory.
pub(super) const FILE_NAME: &str = "reql.redb";

/// The default limit of memory for pages, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// The wait of an operation that needs the database for itself, until the running reads have ended.
const READS_END: Duration = Duration::from_secs(2);

/// Returns the default of the memory for pages, in bytes.
pub(super) fn cache_bytes() -> usize {
    memory::eighth(CACHE_BYTES)
}

/// A function that opens the file anew.
type Again = Box<dyn Fn() -> Result<Database> + Send + Sync>;

/// The open file. It can be closed, and opened anew, while handles to it exist.
pub(super) struct File {
    path: Option<PathBuf>,
    /// Identity of the file that had the name when it was opened.
    identity: Option<Identity>,
    /// Nothing for data that lives in memory, or is only looked at.
    again: Option<Again>,
    database: RwLock<Option<Database>>,
    /// The committed state, once it has been read. Locked after `database`, never before.
    view: Mutex<Option<Arc<ReadView>>>,
    /// True if an operation on the file failed, after which redb refuses all others.
    failed: AtomicBool,
    /// The first error of the file since it was opened, which is why others are refused.
    cause: Mutex<Option<Error>>,
}

impl File {
    /// Opens or creates the file in this directory; without one, the data lives in memory. Returns true with
    /// it if it is new.
    pub(super) fn open(directory: Option<&Path>, cache_bytes: usize) -> Result<(File, bool)> {
        let Some(directory) = directory else { return File::over(InMemoryBackend::new(), cache_bytes) };
        private::make_directory(directory).map_err(|error| opening::unusable(directory, &error))?;
        let path = directory.join(FILE_NAME);
        let opened = opening::open(&path, Purpose::Serve, cache_bytes, None)?;
        if opened.is_new {
            sync_directory(directory);
        }
        let is_new = opened.is_new;
        Ok((File::at(path, opened, cache_bytes), is_new))
    }

    /// Opens or creates the data in a backend of redb.
    pub(super) fn over(backend: impl StorageBackend, cache_bytes: usize) -> Result<(File, bool)> {
        let opened = opening::open_backend(backend, Path::new(":memory:"), cache_bytes)?;
        let is_new = opened.is_new;
        Ok((File::new(None, opened, None), is_new))
    }

    /// Opens a file that no server uses now, for work on the file itself.
    pub(super) fn open_existing(path: &Path, cache_bytes: usize) -> Result<File> {
        let opened = opening::open(path, Purpose::GoOn, cache_bytes, None)?;
        Ok(File::at(path.to_owned(), opened, cache_bytes))
    }

    /// Opens a file only to read it, at a pace if there is one. Returns true with it if it had to be
    /// recovered in memory.
    pub(super) fn look(path: &Path, cache_bytes: usize, pace: Option<Arc<Pace>>) -> Result<(File, bool)> {
        let opened = opening::open(path, Purpose::Look, cache_bytes, pace)?;
        let was_recovered = opened.was_recovered;
        Ok((File::new(None, opened, None), was_recovered))
    }

    /// Opens the data in a backend of redb, and in another one after each failure.
    #[cfg(test)]
    pub(super) fn over_each<B: StorageBackend>(
        backend: impl Fn() -> B + Send + Sync + 'static,
        cache_bytes: usize,
    ) -> Result<(File, bool)> {
        let open = move || opening::open_backend(backend(), Path::new(":memory:"), cache_bytes);
        let opened = open()?;
        let is_new = opened.is_new;
        Ok((File::new(None, opened, Some(Box::new(move || Ok(open()?.database)))), is_new))
    }

    fn at(path: PathBuf, opened: Opened, cache_bytes: usize) -> File {
        let opens = path.clone();
        let again = move || Ok(opening::open(&opens, Purpose::GoOn, cache_bytes, None)?.database);
        File::new(Some(path), opened, Some(Box::new(again)))
    }

    fn new(path: Option<PathBuf>, opened: Opened, again: Option<Again>) -> File {
        let identity = path.as_deref().and_then(Identity::of);
        let database = RwLock::new(Some(opened.database));
        let (view, failed, cause) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        File { path, identity, again, database, view, failed, cause }
    }

    /// Returns the database, once it is not being opened again, which may take seconds. A thread that must
    /// not wait for that gives its work up.
    fn lock(&self) -> Result<RwLockReadGuard<'_, Option<Database>>> {
        match self.database.try_read() {
            Ok(database) => Ok(database),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                fuel::about_to_wait()?;
                Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Returns the committed state, shared with all readers between the same two commits.
    pub(super) fn view(&self) -> Result<Arc<ReadView>> {
        let database = self.lock()?;
        let mut view = self.view_slot();
        if let Some(view) = &*view {
            return Ok(view.clone());
        }
        // Under the lock, so that the next commit is sure to find this view and to remove it.
        let database = database.as_ref().ok_or_else(|| self.closed())?;
        let txn = database.begin_read().map_err(|error| self.failure(error))?;
        Ok(view.insert(Arc::new(ReadView::new(txn))).clone())
    }

    /// Makes later reads see the latest commit.
    pub(super) fn forget_view(&self) {
        let forgotten = self.view_slot().take();
        // Drop outside of the lock: the last reference ends a transaction, which takes a while.
        drop(forgotten);
    }

    fn view_slot(&self) -> MutexGuard<'_, Option<Arc<ReadView>>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a snapshot of the committed state.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction> {
        let database = self.lock()?;
        let database = database.as_ref().ok_or_else(|| self.closed())?;
        database.begin_read().map_err(|error| self.failure(error))
    }

    /// Begins a write transaction. Only one may be open at a time.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction> {
        let database = self.lock()?;
        let database = database.as_ref().ok_or_else(|| self.closed())?;
        database.begin_write().map_err(|error| self.failure(error))
    }

    /// Returns the error for a failed operation; notes that the file has to be opened anew.
    pub(super) fn failure(&self, error: impl Into<redb::Error>) -> Error {
        let error = error.into();
        if is_io(&error) {
            self.failed.store(true, Ordering::Release);
        }
        match error {
            redb::Error::Io(_) => self.cause().get_or_insert_with(|| describe(&error)).clone(),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
                self.refusal().unwrap_or_else(|| describe(&error))
            }
            _ => describe(&error),
        }
    }

    /// Returns the error of an operation that is refused because another one has failed; `None` if no failure
    /// is known.
    fn refusal(&self) -> Option<Error> {
        let cause = self.cause();
        let cause = cause.as_ref()?.message();
        Some(Error::op_failed(format!("The database file is being opened again after an error: {cause}")))
    }

    /// Returns the error of an operation while the file isn't open.
    fn closed(&self) -> Error {
        self.refusal().unwrap_or_else(closed)
    }

    fn cause(&self) -> MutexGuard<'_, Option<Error>> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the file as one that has to be opened anew.
    pub(super) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Opens the file anew after a failure, which undoes all changes that were not yet durable. Running
    /// transactions fail.
    pub(super) fn reopen(&self) -> Result<()> {
        let Some(again) = &self.again else {
            self.recovered();
            return Ok(());
        };
        self.check_in_place()?;
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.forget_view();
        // The lock on the file has to be released before it can be taken again.
        drop(slot.take());
        if let Some(path) = &self.path {
            forget_pages(path);
        }
        *slot = Some(again()?);
        self.recovered();
        Ok(())
    }

    fn recovered(&self) {
        *self.cause() = None;
        self.failed.store(false, Ordering::Release);
    }

    /// Runs an operation that needs the database for itself, once the running reads have ended. New reads
    /// wait.
    pub(super) fn exclusively<T, E: Into<redb::Error>>(
        &self,
        run: impl Fn(&mut Database) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.forget_view();
        let database = slot.as_mut().ok_or_else(|| self.closed())?;
        let start = Instant::now();
        loop {
            match run(database).map_err(Into::into) {
                Err(redb::Error::TransactionInProgress) if start.elapsed() < READS_END => {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(redb::Error::TransactionInProgress) => {
                    return Err(Error::op_failed("The database is being read; try again when it is idle."));
                }
                result => return result.map_err(|error| self.failure(error)),
            }
        }
    }

    /// Closes the file and releases its lock.
    pub(super) fn close(&self) {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.forget_view();
        *self.cause() = None;
        if let Some(database) = slot.take()
            && let Err(error) = database.close()
        {
            log::error!("The database file was not closed cleanly: {error}");
        }
    }

    /// Fails if the file was removed or replaced under the server. It then lives on without a name until it
    /// is closed: good enough to read, but no more writes must be acknowledged.
    pub(super) fn check_in_place(&self) -> Result<()> {
        match &self.path {
            Some(path) if self.identity.is_some() && self.identity != Identity::of(path) => {
                Err(Error::op_failed(format!(
                    "The database file `{}` was removed or replaced; no more can be written to it.",
                    path.display()
                )))
            }
            _ => Ok(()),
        }
    }

    /// Returns the directory of the file; none in memory.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.path.as_deref().and_then(Path::parent)
    }

    /// Returns the size of the file in bytes; 0 in memory.
    pub(super) fn size(&self) -> u64 {
        self.path.as_deref().and_then(|path| fs::metadata(path).ok()).map_or(0, |metadata| metadata.len())
    }
}

/// Returns the error for a failed operation on the file.
pub(super) fn failure(error: impl Into<redb::Error>) -> Error {
    describe(&error.into())
}

/// Returns the error for a failed operation whose cause is still needed.
pub(super) fn describe(error: &redb::Error) -> Error {
    match error {
        redb::Error::Io(error) if is_full(error) => {
            Error::op_failed(format!("The disk is full: the database file could not be written: {error}."))
        }
        redb::Error::Io(error) => {
            Error::op_failed(format!("The database file could not be read or written: {error}."))
        }
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            Error::op_failed("The database file is being opened again after an error.")
        }
        redb::Error::Corrupted(detail) => Error::internal(format!("The database file is damaged: {detail}")),
        other => Error::internal(format!("Unexpected storage error: {other}")),
    }
}

/// Returns true if the file can't grow: the file system, or the quota of its owner, has no room left.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn is_io(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::LockPoisoned(_))
}

pub(super) fn closed() -> Error {
    Error::op_failed("The database is closed.")
}

/// The identity of a file, which differs from that of any other file that gets its name. Nothing where the
/// system has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Identity> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).ok()?;
        Some(Identity { device: metadata.dev(), inode: metadata.ino() })
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Identity> {
        None
    }
}

/// Makes the system read the file from the disk again. After a failed flush it may take pages that never got
/// there for written, show them, and never write them again (`fsync(2)`; PostgreSQL stops for that reason).
/// Durable writes that are built on them would be lost with the power.
#[cfg(target_os = "linux")]
fn forget_pages(path: &Path) {
    use rustix::fs::{Advice, fadvise};
    let forgotten = fs::File::open(path).and_then(|file| Ok(fadvise(&file, 0, None, Advice::DontNeed)?));
    if let Err(error) = forgotten {
        log::warn!("Pages of the database file may be in memory that aren't on the disk: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn forget_pages(_: &Path) {}

/// Makes the new file's name durable, where directories can be opened at all.
pub(super) fn sync_directory(directory: &Path) {
    if let Ok(directory) = fs::File::open(directory)
        && let Err(error) = directory.sync_all()
    {
        log::warn!("The data directory could not be flushed: {error}");
    }
}
