//! Opening a redb file, or refusing it and leaving it unchanged.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableDefinition,
    TableError, TransactionError,
};

use super::backup::Pace;
use super::catalog::{DATABASES, TABLES};
use super::file::failure;
use super::private;
use super::staged::{Access, Staged};
use super::store::META;
use crate::error::{Error, Result, Unusable};

/// The version of the server's data in the file. A newer one is refused.
const FORMAT: u64 = 1;

/// The tree of the file's format: the only tree that other versions know.
pub(super) const FORMAT_TABLE: TableDefinition<&str, u64> = TableDefinition::new("reql-embedded");
const FORMAT_KEY: &str = "format";

const MAGIC: &[u8; 9] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// The reason why a file without a database in it can't be worked on.
const NO_DATA: &str = "it holds no data of this server";

/// The purpose of opening a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Use of the file, which is made if there is none.
    Serve,
    /// Use of an existing file.
    GoOn,
    /// Reading only: nothing is written to the file.
    Look,
}

/// An opened file.
pub(super) struct Opened {
    pub(super) database: Database,
    /// True if opening created the file.
    pub(super) is_new: bool,
    /// True if the file had not been closed cleanly.
    pub(super) was_recovered: bool,
}

/// Opens a file. Nothing is written to it before all of its checks have passed. It is read at a pace if there
/// is one.
pub(super) fn open(
    path: &Path,
    purpose: Purpose,
    cache_bytes: usize,
    pace: Option<Arc<Pace>>,
) -> Result<Opened> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let has_content = has_content(path)?;
        if !has_content && purpose != Purpose::Serve {
            fs::metadata(path).map_err(|error| unusable(path, &error))?;
            return Err(refused(path, NO_DATA));
        }
        let is_looked_at = purpose == Purpose::Look;
        let mut options = OpenOptions::new();
        options.read(true).write(!is_looked_at).create(!is_looked_at).truncate(false);
        private::file(&mut options);
        let file = options.open(path).map_err(|error| unusable(path, &error))?;
        let same = file.try_clone().map_err(|error| unusable(path, &error))?;
        let file = FileBackend::new(file);
        let file = file.map_err(|error| refusal(path, error))?;
        let access = if is_looked_at { Access::Look } else { Access::Write };
        let staged = Staged::new(file, access, pace);
        let opened = open_staged(&staged, path, cache_bytes)?;
        if opened.is_new && purpose != Purpose::Serve {
            return Err(refused(path, NO_DATA));
        }
        if purpose == Purpose::Serve {
            // Only now: a file that is refused stays as it is.
            private::close(&same).map_err(|error| unusable(path, &error))?;
        }
        if !is_looked_at {
            staged.release().map_err(|error| unusable(path, &error))?;
        }
        Ok(opened)
    }));
    // redb trusts a file that was closed cleanly and may panic if the file was altered since.
    attempt.unwrap_or_else(|_| Err(damaged(path, "its structure makes no sense")))
}

/// Opens the data in another kind of backend, or creates it. Errors name it by `path`.
pub(super) fn open_backend(backend: impl StorageBackend, path: &Path, cache_bytes: usize) -> Result<Opened> {
    let staged = Staged::new(backend, Access::Write, None);
    let opened = open_staged(&staged, path, cache_bytes)?;
    staged.release().map_err(|error| unusable(path, &error))?;
    Ok(opened)
}

fn open_staged(staged: &Staged, path: &Path, cache_bytes: usize) -> Result<Opened> {
    let was_recovered = Arc::new(AtomicBool::new(false));
    let (recovering, shown) = (was_recovered.clone(), path.display().to_string());
    let database = Builder::new()
        .set_cache_size(cache_bytes)
        .set_repair_callback(move |_| {
            if !recovering.swap(true, Ordering::Relaxed) {
                log::warn!("The database `{shown}` was not closed cleanly; recovering.");
            }
        })
        .create_with_backend(staged.clone())
        .map_err(|error| refusal(path, error))?;
    let is_new = read_format(&database, path)?.is_none();
    if is_new {
        initialize(&database)?;
    }
    Ok(Opened { database, is_new, was_recovered: was_recovered.load(Ordering::Relaxed) })
}

/// Returns true if there is a database in the file. An interrupted creation leaves a file without a header.
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

/// Returns the format of the data in the file; `None` if there is none yet.
fn read_format(database: &Database, path: &Path) -> Result<Option<u64>> {
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
        )
        .about_file(Unusable::Newer)),
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

pub(super) fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::op_failed(format!("Cannot use `{}` for the database: {error}.", path.display()))
}

fn refused(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::op_failed(format!("`{}` was left as it is: {reason}.", path.display()))
        .about_file(Unusable::Foreign)
}

/// Returns the error of a file that was a database, unlike one that is only refused.
fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::internal(format!("`{}` was left as it is: it is damaged ({detail}).", path.display()))
        .about_file(Unusable::Damaged)
}

fn refusal(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Error::op_failed(format!("The database `{}` is in use by another process.", path.display()))
                .about_file(Unusable::InUse)
        }
        DatabaseError::Storage(StorageError::Corrupted(detail)) => damaged(path, detail),
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damaged(path, "it is cut off")
        }
        other => refused(path, format_args!("it can't be opened ({other})")),
    }
}
