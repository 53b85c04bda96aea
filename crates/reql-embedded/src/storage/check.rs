//! Integrity and compaction: slow, and never needed in normal operation.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use redb::{ReadableTable, ReadableTableMetadata, TableHandle};

use super::Store;
use super::catalog::{DATABASES, TABLES, TableEntry};
use super::codec;
use super::core::Core;
use super::file::{self, File};
use super::index::Index;
use super::opening::FORMAT_TABLE;
use super::read_view::Entries;
use super::snapshot::Snapshot;
use super::store::META;
use crate::datum::{Datum, is_well_formed, key};
use crate::error::Result;

/// The findings of a check.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use reql_embedded::Server;
///
/// # let directory = std::env::temp_dir().join(format!("checked-{}", std::process::id()));
/// Server::builder().in_process().data_dir(&directory).start().await?.shutdown().await;
/// let report = Server::check(&directory)?;
/// assert!(report.problems.is_empty() && !report.was_recovered);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Problems, in words; empty if there are none.
    pub problems: Vec<String>,
    /// Number of checked tables.
    pub tables: u64,
    /// Number of checked documents.
    pub documents: u64,
    /// Number of checked indexes. Indexes that are still to be built are left out.
    pub indexes: u64,
    /// True if the file had not been closed cleanly, as after a crash. That is no damage.
    pub was_recovered: bool,
}

impl Store {
    /// Checks the file's structure, that each document decodes and is under its own key, and that each index
    /// holds exactly the entries that its function computes. Writes wait during the first part, which also
    /// repairs the file as far as it can.
    pub fn check(&self) -> Result<Report> {
        let core = self.core().clone();
        let mut report = self.core().between(move || {
            let mut report = Report::default();
            check_structure(&core.file, &mut report)?;
            Ok(report)
        })?;
        check_tables(self.core(), &mut report)?;
        Ok(report)
    }

    /// Gives unused space back to the file system. Returns false if there was none. Writes wait meanwhile.
    pub fn compact(&self) -> Result<bool> {
        let core = self.core().clone();
        self.core().between(move || core.file.exclusively(|database| database.compact()))
    }
}

/// Checks the pages against their checksums.
pub(super) fn check_structure(file: &File, report: &mut Report) -> Result<()> {
    if !file.exclusively(|database| database.check_integrity())? {
        report.problems.push("The file's structure was damaged; it has been repaired.".into());
    }
    Ok(())
}

/// Checks that the catalog's records and the small ones decode, and that no name occurs twice.
pub(super) fn check_records(file: &File, report: &mut Report) -> Result<()> {
    let txn = file.begin_read()?;
    for tree in [DATABASES, TABLES] {
        let records = txn.open_table(tree).map_err(file::failure)?;
        let mut names = BTreeSet::new();
        for row in records.iter().map_err(file::failure)? {
            let (_, value) = row.map_err(file::failure)?;
            if !is_well_formed(value.value()) {
                report.problems.push(format!("A record in `{}` does not decode.", tree.name()));
                continue;
            }
            let record = codec::datum(value.value());
            let name = (record.get("db"), record.get("name"));
            if !names.insert(name) {
                report.problems.push(format!("Two records in `{}` have the same name.", tree.name()));
            }
        }
    }
    let records = txn.open_table(META).map_err(file::failure)?;
    for row in records.iter().map_err(file::failure)? {
        let (key, value) = row.map_err(file::failure)?;
        if !is_well_formed(value.value()) {
            report.problems.push(format!("The record `{}` does not decode.", key.value()));
        }
    }
    Ok(())
}

/// Checks that the trees in the file are exactly those of the tables and indexes in the catalog. Returns true
/// if none of these is missing.
pub(super) fn check_trees(core: &Core, report: &mut Report) -> Result<bool> {
    let txn = core.file.begin_read()?;
    let found = txn.list_tables().map_err(|error| core.read_failure(error))?;
    let found: BTreeSet<String> = found.map(|tree| tree.name().to_owned()).collect();
    let mut expected: BTreeSet<String> =
        [FORMAT_TABLE.name(), DATABASES.name(), TABLES.name(), META.name()].map(str::to_owned).into();
    for table in core.catalog().tables.values() {
        expected.insert(table.tree.to_string());
        expected.extend(table.indexes.values().map(|index| index.tree.to_string()));
    }
    let missing = expected.difference(&found).map(|tree| format!("The tree `{tree}` is missing."));
    let foreign = found.difference(&expected).map(|tree| format!("The tree `{tree}` belongs to no table."));
    report.problems.extend(missing.chain(foreign));
    Ok(expected.is_subset(&found))
}

/// Checks the documents and the indexes of every table.
pub(super) fn check_tables(core: &Arc<Core>, report: &mut Report) -> Result<()> {
    let catalog = core.catalog();
    for table in catalog.databases.values().flat_map(|database| database.tables.values()) {
        report.tables += 1;
        check_table(core, table, report)?;
    }
    Ok(())
}

fn check_table(core: &Arc<Core>, table: &Arc<TableEntry>, report: &mut Report) -> Result<()> {
    let Report { problems, documents, indexes, .. } = report;
    let snapshot = Snapshot::take(core, table)?;
    let mut problem = |text: String| problems.push(format!("Table `{}`: {text}", table.display_name()));
    let mut checked: Vec<Checked<'_>> = Vec::new();
    for index in table.indexes.values().filter(|index| index.ready) {
        *indexes += 1;
        checked.push(Checked { index, entries: snapshot.open_entries(index)?, expected: 0, missing: 0 });
    }
    for row in snapshot.documents.iter().map_err(|error| core.read_failure(error))? {
        let (found, value) = row.map_err(|error| core.read_failure(error))?;
        *documents += 1;
        if !is_well_formed(value.value()) {
            problem(format!(
                "the document under key {:?} does not decode.",
                found.value().escape_ascii().to_string()
            ));
            continue;
        }
        let document = codec::datum(value.value());
        if !is_under_own_key(&document, &table.config.primary_key, found.value()) {
            problem(format!("a document is under another key than its own: {}", document.trunc_print()));
        }
        for index in &mut checked {
            index.look_for(core, found.value(), &document)?;
        }
    }
    for index in checked {
        let present = index.entries.len().map_err(|error| core.read_failure(error))?;
        if index.missing > 0 || present != index.expected {
            problem(format!(
                "index `{}` has {present} entries instead of {}, and {} are missing.",
                index.index.spec.name, index.expected, index.missing
            ));
        }
    }
    Ok(())
}

fn is_under_own_key(document: &Datum, primary_key: &str, found: &[u8]) -> bool {
    document.get(primary_key).and_then(|value| key::primary(&value).ok()).is_some_and(|own| own == found)
}

/// An index that is being compared to the results of its function.
struct Checked<'a> {
    index: &'a Index,
    entries: Arc<Entries>,
    expected: u64,
    missing: u64,
}

impl Checked<'_> {
    fn look_for(&mut self, core: &Core, key: &[u8], document: &Datum) -> Result<()> {
        // A function may return the same value twice where entries have no tag; that is one entry.
        let expected: HashMap<_, _> = self.index.entries(key, document).into_iter().collect();
        for (entry, length) in expected {
            self.expected += 1;
            let found = self.entries.get(entry.as_slice()).map_err(|error| core.read_failure(error))?;
            if found.is_none_or(|found| found.value() != length) {
                self.missing += 1;
            }
        }
        Ok(())
    }
}
