//! Work on a file that no server uses: checking it, and compacting it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backlog::BACKLOG_BYTES;
use super::backup::Pace;
use super::check::{self, Report};
use super::core::Core;
use super::file::{FILE_NAME, File, cache_bytes};
use super::index::IndexCompiler;
use crate::error::{Error, ErrorKind, Result};

/// Checks a file: its pages, its catalog, that each document decodes and is under its own key, and that each
/// index holds exactly the entries that its function computes. The path may be that of the data directory.
///
/// Nothing is written; a file that a crash left is recovered in memory. An error means that the file was not
/// checked: there is none, it is in use, or it is not this server's. Damage is in the report.
pub fn check(path: &Path, compiler: Arc<dyn IndexCompiler>) -> Result<Report> {
    check_at(path, compiler, None)
}

/// Checks a file, reading it at a pace if there is one.
pub(super) fn check_at(
    path: &Path,
    compiler: Arc<dyn IndexCompiler>,
    pace: Option<Arc<Pace>>,
) -> Result<Report> {
    let path = file_of(path);
    let mut report = Report::default();
    // A value that doesn't decode in pages that are right was not written by this server.
    let checked = catch_unwind(AssertUnwindSafe(|| look_at(&path, compiler, pace, &mut report)))
        .unwrap_or_else(|_| Err(Error::internal("What is in the file makes no sense.")));
    match checked {
        Err(error) if error.kind() == ErrorKind::Internal => report.problems.push(error.message().to_owned()),
        checked => checked?,
    }
    Ok(report)
}

fn look_at(
    path: &Path,
    compiler: Arc<dyn IndexCompiler>,
    pace: Option<Arc<Pace>>,
    report: &mut Report,
) -> Result<()> {
    let (file, was_recovered) = File::look(path, cache_bytes(), pace)?;
    report.was_recovered = was_recovered;
    check::check_structure(&file, report)?;
    check::check_records(&file, report)?;
    let (core, _receivers) = Core::new(file, compiler, BACKLOG_BYTES)?;
    let core = Arc::new(core);
    if check::check_trees(&core, report)? {
        check::check_tables(&core, report)?;
    }
    Ok(())
}

/// The sizes of a file before and after its compaction, in bytes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::Server;
///
/// # let directory = std::env::temp_dir().join(format!("compacted-{}", std::process::id()));
/// Server::builder().in_process().data_dir(&directory).start().await?.shutdown().await;
/// let sizes = Server::compact(&directory)?;
/// assert!(sizes.after <= sizes.before);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// Gives unused space in a file back to the file system. The path may be that of the data directory.
///
/// Ended at any moment, it leaves a file with all its data. An error means that the file is unchanged: there
/// is none, it is in use, damaged, or not this server's.
pub fn compact(path: &Path) -> Result<Compacted> {
    let path = file_of(path);
    let size = || fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let before = size();
    let file = File::open_existing(&path, cache_bytes())?;
    file.exclusively(|database| database.compact())?;
    file.close();
    Ok(Compacted { before, after: size() })
}

/// Returns the file that a path means.
pub(super) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() }
}
