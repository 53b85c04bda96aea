//! The contents of a file: its trees, and their rows as bytes.

use redb::{Key, ReadTransaction, TableDefinition, TableHandle, Value, WriteTransaction};

use super::pace::Pace;
use crate::error::{Error, Result};
use crate::storage::file::failure;

/// A receiver of a copy.
pub(super) trait Sink {
    /// Takes a tree with all its rows, in their order.
    fn tree(&mut self, name: &str, rows: &mut dyn Rows) -> Result<()>;
}

/// Rows, one after another.
pub(super) trait Rows {
    /// Replaces the last row by the next one. Returns false if there is none.
    fn next(&mut self, row: &mut Row) -> Result<bool>;
}

/// A row as bytes.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Row {
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// The types of a tree's rows, which its name tells.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Text to number: the format.
    Format,
    /// Text to bytes: small records.
    Records,
    /// Bytes to bytes: the catalog, documents.
    Documents,
    /// Bytes to number: entries of an index.
    Entries,
}

impl Kind {
    fn of(name: &str) -> Result<Self> {
        match name {
            "reql-embedded" => Ok(Kind::Format),
            "meta" => Ok(Kind::Records),
            "databases" | "tables" => Ok(Kind::Documents),
            _ if name.starts_with("t:") => Ok(Kind::Documents),
            _ if name.starts_with("i:") => Ok(Kind::Entries),
            _ => Err(Error::internal(format!("The tree `{name}` belongs to no table."))),
        }
    }
}

/// Copies everything that a transaction sees.
pub(super) fn copy(txn: &ReadTransaction, sink: &mut dyn Sink, pace: &Pace) -> Result<()> {
    for tree in txn.list_tables().map_err(failure)? {
        let name = tree.name();
        match Kind::of(name)? {
            Kind::Format => copy_tree::<&str, u64>(txn, name, sink, pace)?,
            Kind::Records => copy_tree::<&str, &[u8]>(txn, name, sink, pace)?,
            Kind::Documents => copy_tree::<&[u8], &[u8]>(txn, name, sink, pace)?,
            Kind::Entries => copy_tree::<&[u8], u32>(txn, name, sink, pace)?,
        }
    }
    Ok(())
}

fn copy_tree<K: Key + 'static, V: Value + 'static>(
    txn: &ReadTransaction,
    name: &str,
    sink: &mut dyn Sink,
    pace: &Pace,
) -> Result<()> {
    let tree = txn.open_table(TableDefinition::<K, V>::new(name)).map_err(failure)?;
    let rows = tree.range::<K::SelfType<'_>>(..).map_err(failure)?;
    sink.tree(name, &mut TreeRows { rows, pace })
}

/// The rows of a tree, at a bounded rate.
struct TreeRows<'a, K: Key + 'static, V: Value + 'static> {
    rows: redb::Range<'a, K, V>,
    pace: &'a Pace,
}

impl<K: Key, V: Value> Rows for TreeRows<'_, K, V> {
    fn next(&mut self, row: &mut Row) -> Result<bool> {
        let Some(next) = self.rows.next() else { return Ok(false) };
        let (key, value) = next.map_err(failure)?;
        row.key.clear();
        row.key.extend_from_slice(K::as_bytes(&key.value()).as_ref());
        row.value.clear();
        row.value.extend_from_slice(V::as_bytes(&value.value()).as_ref());
        self.pace.moved(row.size())?;
        Ok(true)
    }
}

/// Writes rows into a tree until there are none left, or `enough` bytes are written. Returns true if there
/// may be more.
pub(super) fn write(txn: &WriteTransaction, name: &str, rows: &mut dyn Rows, enough: usize) -> Result<bool> {
    let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    match Kind::of(name)? {
        Kind::Format => write_tree::<&str, u64>(txn, name, rows, enough, |row| {
            is_text(&row.key) && row.value.len() == size_of::<u64>()
        }),
        Kind::Records => write_tree::<&str, &[u8]>(txn, name, rows, enough, |row| is_text(&row.key)),
        Kind::Documents => write_tree::<&[u8], &[u8]>(txn, name, rows, enough, |_| true),
        Kind::Entries => {
            write_tree::<&[u8], u32>(txn, name, rows, enough, |row| row.value.len() == size_of::<u32>())
        }
    }
}

fn write_tree<K: Key + 'static, V: Value + 'static>(
    txn: &WriteTransaction,
    name: &str,
    rows: &mut dyn Rows,
    enough: usize,
    fits: impl Fn(&Row) -> bool,
) -> Result<bool> {
    let mut tree = txn.open_table(TableDefinition::<K, V>::new(name)).map_err(failure)?;
    let (mut row, mut written) = (Row::default(), 0);
    while written < enough {
        if !rows.next(&mut row)? {
            return Ok(false);
        }
        if !fits(&row) {
            return Err(Error::internal(format!("A row of the tree `{name}` makes no sense.")));
        }
        tree.insert(K::from_bytes(&row.key), V::from_bytes(&row.value)).map_err(failure)?;
        written += row.size();
    }
    Ok(true)
}
