//! The redb file: opening it, refusing what isn't ours, and opening it anew after a failure.

use std::fs;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, TableDefinition, TableError,
    TransactionError, WriteTransaction,
};

use super::catalog::{DATABASES, TABLES};
use super::moment::Moment;
use super::store::META;
use crate::error::{Error, Result};

/// The name of the file in the data directory.
pub(super) const FILE_NAME: &str = "reql.redb";

/// The version of everything this server keeps in the file. A newer one is refused.
const FORMAT: u64 = 1;

const FORMAT_TABLE: TableDefinition<&str, u64> = TableDefinition::new("reql-embedded");
const FORMAT_KEY: &str = "format";

/// How long an operation that needs the database for itself waits for those who read.
const READS_END: Duration = Duration::from_secs(2);

const MAGIC: &[u8; 9] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// The open file. It can be closed, and opened anew, under those who use it.
pub(super) struct File {
    path: Option<PathBuf>,
    cache_bytes: usize,
    database: RwLock<Option<Database>>,
    /// What is committed, once somebody has asked for it. Locked after `database`, never before.
    moment: Mutex<Option<Arc<Moment>>>,
    /// An operation on the file failed, after which redb refuses all others.
    failed: AtomicBool,
}

impl File {
    /// Opens or creates the file in this directory; without one, the data lives in memory. Says whether it is new.
    pub(super) fn open(directory: Option<&Path>, cache_bytes: usize) -> Result<(File, bool)> {
        let path = directory.map(|directory| directory.join(FILE_NAME));
        if let Some(directory) = directory {
            fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
        }
        let database = match &path {
            Some(path) => open_database(path, cache_bytes)?,
            None => Builder::new()
                .set_cache_size(cache_bytes)
                .create_with_backend(InMemoryBackend::new())
                .map_err(failure)?,
        };
        let shown = path.as_deref().unwrap_or(Path::new(":memory:"));
        let is_new = read_format(&database, shown)?.is_none();
        if is_new {
            initialize(&database)?;
            if let Some(directory) = directory {
                sync_directory(directory);
            }
        }
        let database = RwLock::new(Some(database));
        let file =
            File { path, cache_bytes, database, moment: Mutex::default(), failed: AtomicBool::new(false) };
        Ok((file, is_new))
    }

    fn lock(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is committed, shared with all others who read between the same two commits.
    pub(super) fn moment(&self) -> Result<Arc<Moment>> {
        let database = self.lock();
        let mut moment = self.moment_slot();
        if let Some(moment) = &*moment {
            return Ok(moment.clone());
        }
        // Under the lock, so that a commit that follows is sure to find this moment and to take it away.
        let txn = database.as_ref().ok_or_else(closed)?.begin_read().map_err(|error| self.failure(error))?;
        Ok(moment.insert(Arc::new(Moment::new(txn))).clone())
    }

    /// Has those who read from here on see what has just been committed.
    pub(super) fn forget_moment(&self) {
        let forgotten = self.moment_slot().take();
        // Whatever goes with it goes without the lock.
        drop(forgotten);
    }

    fn moment_slot(&self) -> MutexGuard<'_, Option<Arc<Moment>>> {
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A snapshot of everything that is committed.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction> {
        let database = self.lock();
        let database = database.as_ref().ok_or_else(closed)?;
        database.begin_read().map_err(|error| self.failure(error))
    }

    /// A write transaction; only the writer thread has one.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction> {
        let database = self.lock();
        let database = database.as_ref().ok_or_else(closed)?;
        database.begin_write().map_err(|error| self.failure(error))
    }

    /// The error for a failed operation; remembers that the file has to be opened anew.
    pub(super) fn failure(&self, error: impl Into<redb::Error>) -> Error {
        let error = error.into();
        if is_io(&error) {
            self.failed.store(true, Ordering::Release);
        }
        failure(error)
    }

    /// Marks the file as one that has to be opened anew.
    pub(super) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Opens the file anew after a failure, which undoes what was not yet durable. Transactions that are under way fail.
    pub(super) fn reopen(&self) -> Result<()> {
        let Some(path) = &self.path else {
            self.failed.store(false, Ordering::Release);
            return Ok(());
        };
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.forget_moment();
        // The lock on the file has to go before it can be taken again.
        drop(slot.take());
        *slot = Some(open_database(path, self.cache_bytes)?);
        self.failed.store(false, Ordering::Release);
        Ok(())
    }

    /// Runs an operation that needs the database for itself, once the reads that are under way have ended; new ones wait.
    pub(super) fn exclusively<T, E: Into<redb::Error>>(
        &self,
        run: impl Fn(&mut Database) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.forget_moment();
        let database = slot.as_mut().ok_or_else(closed)?;
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

    /// Closes the file and lets go of its lock.
    pub(super) fn close(&self) {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.forget_moment();
        if let Some(database) = slot.take()
            && let Err(error) = database.close()
        {
            log::error!("The database file was not closed cleanly: {error}");
        }
    }

    /// How large the file is, in bytes; 0 in memory.
    pub(super) fn size(&self) -> u64 {
        self.path.as_deref().and_then(|path| fs::metadata(path).ok()).map_or(0, |metadata| metadata.len())
    }
}

/// The error for a failed operation on the file.
pub(super) fn failure(error: impl Into<redb::Error>) -> Error {
    describe(&error.into())
}

/// The same for an error that is still needed.
pub(super) fn describe(error: &redb::Error) -> Error {
    match error {
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

fn is_io(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::LockPoisoned(_))
}

pub(super) fn closed() -> Error {
    Error::op_failed("The database is closed.")
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::op_failed(format!("Cannot use `{}` for the database: {error}.", path.display()))
}

fn refused(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::op_failed(format!("`{}` was left as it is: {reason}.", path.display()))
}

fn refusal(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Error::op_failed(format!("The database `{}` is in use by another process.", path.display()))
        }
        other => refused(path, format_args!("it can't be opened ({other})")),
    }
}

/// Opens the file for writing once everything that can be seen without writing is right.
fn open_database(path: &Path, cache_bytes: usize) -> Result<Database> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        if has_content(path)? {
            inspect(&builder, path)?;
        }
        builder.create(path).map_err(|error| refusal(path, error))
    }));
    // redb trusts a file that was closed cleanly and may panic if somebody else altered it.
    attempt.unwrap_or_else(|_| Err(refused(path, "it is damaged")))
}

/// Whether there is a database in the file. A creation that was cut short leaves a file without a header.
fn has_content(path: &Path) -> Result<bool> {
    let mut start = [0; MAGIC.len()];
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unusable(path, &error)),
    };
    let length = file.metadata().map_err(|error| unusable(path, &error))?.len();
    if length == 0 {
        return Ok(false);
    }
    match file.read_exact(&mut start) {
        Ok(()) if start == *MAGIC => Ok(true),
        Ok(()) if start == [0; MAGIC.len()] => {
            Err(refused(path, "its creation was cut short, so it holds no data; delete it and start again"))
        }
        _ => Err(refused(path, "it is not a database of this server")),
    }
}

/// Looks at the file without the right to write. One that wasn't closed cleanly can't be looked at this way.
fn inspect(builder: &Builder, path: &Path) -> Result<()> {
    match builder.open_read_only(path) {
        Ok(database) => read_format(&database, path).map(drop),
        Err(DatabaseError::RepairAborted) => {
            log::warn!("The database `{}` was not closed cleanly; recovering.", path.display());
            Ok(())
        }
        Err(error) => Err(refusal(path, error)),
    }
}

/// The format of what is in the file; `None` if there is nothing yet.
fn read_format(database: &impl ReadableDatabase, path: &Path) -> Result<Option<u64>> {
    let txn = database.begin_read().map_err(failure)?;
    let table = match txn.open_table(FORMAT_TABLE) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => {
            let is_foreign = txn.list_tables().map_err(failure)?.next().is_some()
                || txn.list_multimap_tables().map_err(failure)?.next().is_some();
            return if is_foreign {
                Err(refused(path, "it is another program's database"))
            } else {
                Ok(None)
            };
        }
        Err(error) => return Err(refused(path, error)),
    };
    let format = table.get(FORMAT_KEY).map_err(failure)?.map(|value| value.value());
    match format {
        Some(FORMAT) => Ok(format),
        Some(newer) if newer > FORMAT => Err(refused(
            path,
            format_args!("it was written by a newer version of this server (format {newer})"),
        )),
        _ => Err(refused(path, "its format is unknown")),
    }
}

fn initialize(database: &Database) -> Result<()> {
    let txn = database.begin_write().map_err(|error: TransactionError| failure(error))?;
    txn.open_table(FORMAT_TABLE).map_err(failure)?.insert(FORMAT_KEY, FORMAT).map_err(failure)?;
    for table in [DATABASES, TABLES] {
        txn.open_table(table).map_err(failure)?;
    }
    txn.open_table(META).map_err(failure)?;
    txn.commit().map_err(failure)
}

/// Makes the new file's name durable, where directories can be opened at all.
fn sync_directory(directory: &Path) {
    if let Ok(directory) = fs::File::open(directory)
        && let Err(error) = directory.sync_all()
    {
        log::warn!("The data directory could not be flushed: {error}");
    }
}
