//! Integrity and compaction: slow, exclusive, and never needed in normal operation.

use std::collections::HashMap;
use std::sync::Arc;

use redb::{ReadableTable, ReadableTableMetadata};

use super::Store;
use super::catalog::TableEntry;
use super::codec;
use super::core::Core;
use super::index::Index;
use super::moment::Entries;
use super::snapshot::Snapshot;
use crate::datum::{Datum, key};
use crate::error::Result;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in words; empty if nothing is.
    pub problems: Vec<String>,
}

impl Store {
    /// Checks the file's structure, that each document is under its own key, and that each index holds exactly what its function gives.
    /// Writes wait meanwhile for the first part, which also repairs what it can.
    pub fn check(&self) -> Result<Report> {
        let mut report = Report::default();
        let core = self.core().clone();
        let is_clean =
            self.core().between(move || core.file.exclusively(|database| database.check_integrity()))?;
        if !is_clean {
            report.problems.push("The file's structure was damaged; it has been repaired.".into());
        }
        for table in self.core().catalog().tables.values() {
            check_table(self.core(), table, &mut report)?;
        }
        Ok(report)
    }

    /// Gives unused space back to the file system. Says whether there was any. Writes wait meanwhile.
    pub fn compact(&self) -> Result<bool> {
        let core = self.core().clone();
        self.core().between(move || core.file.exclusively(|database| database.compact()))
    }
}

fn check_table(core: &Arc<Core>, table: &Arc<TableEntry>, report: &mut Report) -> Result<()> {
    let snapshot = Snapshot::take(core, table)?;
    let mut problem =
        |text: String| report.problems.push(format!("Table `{}`: {text}", table.display_name()));
    let mut indexes: Vec<Checked<'_>> = Vec::new();
    for index in table.indexes.values().filter(|index| index.ready) {
        indexes.push(Checked { index, entries: snapshot.open_entries(index)?, expected: 0, missing: 0 });
    }
    for row in snapshot.documents.iter().map_err(|error| core.read_failure(error))? {
        let (found, value) = row.map_err(|error| core.read_failure(error))?;
        let document = codec::datum(value.value());
        if !is_under_own_key(&document, &table.config.primary_key, found.value()) {
            problem(format!("a document is under another key than its own: {}", document.trunc_print()));
        }
        for checked in &mut indexes {
            checked.look_for(core, found.value(), &document)?;
        }
    }
    for checked in indexes {
        let present = checked.entries.len().map_err(|error| core.read_failure(error))?;
        if checked.missing > 0 || present != checked.expected {
            problem(format!(
                "index `{}` has {present} entries instead of {}, and {} are missing.",
                checked.index.spec.name, checked.expected, checked.missing
            ));
        }
    }
    Ok(())
}

fn is_under_own_key(document: &Datum, primary_key: &str, found: &[u8]) -> bool {
    document.get(primary_key).and_then(|value| key::primary(&value).ok()).is_some_and(|own| own == found)
}

/// An index that is being compared to what its function gives.
struct Checked<'a> {
    index: &'a Index,
    entries: Arc<Entries>,
    expected: u64,
    missing: u64,
}

impl Checked<'_> {
    fn look_for(&mut self, core: &Core, key: &[u8], document: &Datum) -> Result<()> {
        // A function may give the same value twice where entries have no tag; that is one entry.
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
