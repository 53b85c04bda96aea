//! The new file of a backup: out of sight until it is complete, sound, and on the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;
use redb::backends::FileBackend;
use tempfile::NamedTempFile;

use super::Backup;
use super::pace::Pace;
use super::trees::{self, Rows, Sink};
use crate::error::{Error, Result, Unusable};
use crate::storage::file::{FILE_NAME, failure, sync_directory};
use crate::storage::index::IndexCompiler;
use crate::storage::maintenance;
use crate::storage::opening::{self, Purpose};

/// The bytes that are written between two syncs of the disk. They are few, so that others who wait for the
/// disk wait no longer than for that.
const COMMIT: usize = 16 << 20;

/// The pages of the new file that are kept in memory, in bytes. It is written from beginning to end.
const CACHE: usize = 16 << 20;

/// A file that is being written under another name.
pub(super) struct Target {
    path: PathBuf,
    directory: PathBuf,
    partial: NamedTempFile,
    compiler: Arc<dyn IndexCompiler>,
    pace: Arc<Pace>,
}

impl Target {
    /// Begins a hidden file beside the file of this path.
    ///
    /// # Errors
    ///
    /// If there is a file of this path that is no earlier backup, or the directory can't be written to.
    pub(super) fn new(path: &Path, compiler: Arc<dyn IndexCompiler>, pace: Pace) -> Result<Self> {
        may_be_replaced(path)?;
        let cannot = |error: io::Error| cannot_write(path, &error);
        let name = path.file_name().ok_or_else(|| cannot(io::ErrorKind::InvalidFilename.into()))?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        // Accessible to its owner alone, as the data is.
        let partial = tempfile::Builder::new().prefix(&prefix).suffix(".partial").tempfile_in(&directory);
        let partial = partial.map_err(cannot)?;
        Ok(Target { path: path.to_owned(), directory, partial, compiler, pace: Arc::new(pace) })
    }

    /// Writes the file by `copy`, checks it, and gives it its name. If any of this fails, the file is
    /// removed.
    pub(super) fn take(self, copy: impl FnOnce(&mut dyn Sink, &Pace) -> Result<()>) -> Result<Backup> {
        let Target { path, directory, partial, compiler, pace } = self;
        let cannot = |error: &io::Error| cannot_write(&path, error);
        let backend = partial.reopen().map(FileBackend::new).map_err(|error| cannot(&error))?;
        let database = opening::open_backend(backend.map_err(failure)?, &path, CACHE)?.database;
        copy(&mut Writing { database: &database }, &pace)?;
        database.close().map_err(failure)?;
        partial.as_file().sync_all().map_err(|error| cannot(&error))?;
        let report = maintenance::check_at(partial.path(), compiler, Some(pace))?;
        if let Some(problem) = report.problems.first() {
            let (count, path) = (report.problems.len(), path.display());
            let message = format!(
                "No backup was written to `{path}`, for its data is damaged: {problem} ({count} in all.)"
            );
            return Err(Error::internal(message).about_file(Unusable::Damaged));
        }
        let size = partial.as_file().metadata().map_err(|error| cannot(&error))?.len();
        // It has taken a while, and a server may have been started on what was an earlier backup.
        may_be_replaced(&path)?;
        partial.persist(&path).map_err(|error| cannot(&error.error))?;
        sync_directory(&directory);
        Ok(Backup { size, report })
    }
}

/// The database in the new file.
struct Writing<'a> {
    database: &'a Database,
}

impl Sink for Writing<'_> {
    fn tree(&mut self, name: &str, rows: &mut dyn Rows) -> Result<()> {
        loop {
            let txn = self.database.begin_write().map_err(failure)?;
            let is_more = trees::write(&txn, name, rows, COMMIT)?;
            txn.commit().map_err(failure)?;
            if !is_more {
                return Ok(());
            }
        }
    }
}

/// Refuses to replace any file but a backup, above all the file of a server, running or not. Such a file is
/// told by its name.
fn may_be_replaced(path: &Path) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot_write(path, &error)),
    };
    if !found.is_file() {
        let message = format!("`{}` is no file; it was left as it is.", path.display());
        return Err(Error::op_failed(message));
    }
    if found.len() > 0 {
        opening::open(path, Purpose::Look, CACHE, None)?;
    }
    if path.file_name().is_some_and(|name| name == FILE_NAME) {
        let message = format!("`{}` has the name of a server's data; it was left as it is.", path.display());
        return Err(Error::op_failed(message));
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    // The hidden file's own name is of no use to anybody.
    let reason = error.to_string();
    let reason = reason.split_once(" at path ").map_or(reason.as_str(), |(reason, _)| reason);
    Error::op_failed(format!("The backup `{}` can't be written: {reason}.", path.display()))
}
