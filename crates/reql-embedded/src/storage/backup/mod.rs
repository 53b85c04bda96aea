//! Backups: a copy of a file in use, as it was at one moment.
//!
//! A read transaction sees one moment of the file however much is written meanwhile. All of its rows go, tree
//! by tree, into a new file, either at once or over a socket to another process. No write waits for a backup.
//! But pages that are replaced meanwhile are kept until it ends, so the file in use grows by them.
//!
//! The new file gets its name once it is complete, on the disk, and found sound.

mod pace;
mod target;
mod trees;
mod wire;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::pace::Pace;
use self::target::Target;
pub(crate) use self::wire::no_backup;
use super::check::Report;
use super::file::{File, cache_bytes};
use super::index::IndexCompiler;
use super::maintenance::file_of;
use super::store::Store;
use crate::error::{Error, Result};

/// A finished backup.
///
/// ```no_run
/// use reql_embedded::{DataError, Server};
///
/// let backup = Server::backup_from("rethinkdb_data", "backup.redb", 64 << 20)?;
/// println!("{} bytes, {} documents", backup.size, backup.report.documents);
/// # Ok::<(), DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Size of the file, in bytes.
    pub size: u64,
    /// Report of the check of the new file. It has no problems, or there would be no backup.
    pub report: Report,
}

impl Store {
    /// Writes a backup to a file.
    pub(crate) fn back_up(
        &self,
        file: &Path,
        compiler: Arc<dyn IndexCompiler>,
        pace: Pace,
    ) -> Result<Backup> {
        let target = Target::new(file, compiler, pace)?;
        target.take(|target, pace| trees::copy(&self.core().file.begin_read()?, target, pace))
    }

    /// Sends a backup to a process that calls [`receive`].
    pub(crate) fn send_backup(&self, stream: impl Write, pace: &Pace) -> Result<()> {
        let txn = self.core().file.begin_read();
        wire::send(stream, |sink| trees::copy(&txn?, sink, pace))
    }
}

/// Receives a backup from [`Store::send_backup`] and writes it to a file.
pub(crate) fn receive(
    stream: impl Read,
    file: &Path,
    compiler: Arc<dyn IndexCompiler>,
    pace: Pace,
) -> Result<Backup> {
    let target = Target::new(file, compiler, pace)?;
    target.take(|target, pace| wire::receive(stream, target, pace))
}

/// Writes a backup of a file that no server uses. The source's path may be that of the data directory.
pub(crate) fn copy_file(
    source: &Path,
    file: &Path,
    compiler: Arc<dyn IndexCompiler>,
    pace: Pace,
) -> Result<Backup> {
    let source = file_of(source);
    // Nobody uses it, so it could be replaced.
    if matches!((source.canonicalize(), file.canonicalize()), (Ok(source), Ok(file)) if source == file) {
        let message = format!("`{}` is the data itself, and no backup of it.", file.display());
        return Err(Error::op_failed(message));
    }
    let (source, _) = File::look(&source, cache_bytes(), None)?;
    let target = Target::new(file, compiler, pace)?;
    target.take(|target, pace| trees::copy(&source.begin_read()?, target, pace))
}
