//! One moment of a table, or of all: all reads through it belong together.

use std::sync::Arc;

use redb::{ReadableTableMetadata, TableError};

use super::catalog::{Catalog, TableEntry};
use super::codec;
use super::core::Core;
use super::index::Index;
use super::proposal::Document;
use super::range::{Direction, KeyRange};
use super::read_view::{Documents, Entries, ReadView};
use super::scan::{IndexScan, Scan};
use crate::budget::fuel;
use crate::datum::Datum;
use crate::error::Result;

/// A table at one moment. While it lives, its pages can't be used again, so it should not live long.
pub struct Snapshot {
    pub(super) core: Arc<Core>,
    pub(super) table: Arc<TableEntry>,
    view: Arc<ReadView>,
    /// Documents, shared with the index scans, which fetch documents through it.
    pub(super) documents: Arc<Documents>,
}

impl Snapshot {
    pub(super) fn take(core: &Arc<Core>, table: &Arc<TableEntry>) -> Result<Snapshot> {
        Snapshot::of(core, table, core.file.view()?)
    }

    fn of(core: &Arc<Core>, table: &Arc<TableEntry>, view: Arc<ReadView>) -> Result<Snapshot> {
        let documents = match view.documents(&table.tree) {
            Ok(documents) => documents,
            Err(TableError::TableDoesNotExist(_)) => return Err(table.gone()),
            Err(error) => return Err(core.read_failure(error)),
        };
        Ok(Snapshot { core: core.clone(), table: table.clone(), view, documents })
    }

    pub(super) fn open_entries(&self, index: &Index) -> Result<Arc<Entries>> {
        match self.view.entries(&index.tree) {
            Ok(entries) => Ok(entries),
            Err(TableError::TableDoesNotExist(_)) => Err(self.table.index_not_found(&index.spec.name)),
            Err(error) => Err(self.core.read_failure(error)),
        }
    }

    /// Returns the document with this key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Datum>> {
        let found = self.documents.get(key).map_err(|error| self.core.read_failure(error))?;
        found.map(|value| counted(value.value()).map(codec::datum)).transpose()
    }

    pub(super) fn document(&self, key: &[u8]) -> Result<Option<Document>> {
        let found = self.documents.get(key).map_err(|error| self.core.read_failure(error))?;
        found.map(|value| counted(value.value()).map(|stored| Document::new(Arc::from(stored)))).transpose()
    }

    /// Returns the number of documents, without counting.
    pub fn len(&self) -> Result<u64> {
        self.documents.len().map_err(|error| self.core.read_failure(error))
    }

    /// Returns true if there are no documents.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns the documents of a range in the order of their keys. The scan keeps to this moment until it is
    /// suspended.
    pub fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan> {
        Scan::at(self, range, direction)
    }

    /// Returns the documents whose index value is in a range, in the order of the values. The scan keeps to
    /// this moment until it is suspended.
    pub fn index_scan(&self, index: &str, range: KeyRange, direction: Direction) -> Result<IndexScan> {
        IndexScan::at(self, index, range, direction)
    }
}

/// All tables at one moment. While it lives, its pages can't be used again, so the file grows with every
/// write. Cloning shares it.
#[derive(Clone)]
pub struct View {
    catalog: Arc<Catalog>,
    view: Arc<ReadView>,
}

impl View {
    pub(super) fn take(core: &Core) -> Result<View> {
        // In this order: an index that was ready before the transaction began is complete in it.
        let catalog = core.catalog();
        Ok(View { catalog, view: core.file.view()? })
    }

    /// Returns the table as it was then.
    pub(super) fn table(&self, table: &TableEntry) -> Result<&Arc<TableEntry>> {
        self.catalog.tables.get(&table.id).ok_or_else(|| table.gone())
    }

    pub(super) fn snapshot(&self, core: &Arc<Core>, table: &TableEntry) -> Result<Snapshot> {
        Snapshot::of(core, self.table(table)?, self.view.clone())
    }
}

/// Counts the work of copying a document.
fn counted(stored: &[u8]) -> Result<&[u8]> {
    fuel::spend_bytes(stored.len()).map(|()| stored)
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({} tables)", self.catalog.tables.len())
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({})", self.table.display_name())
    }
}
