//! Keys of geospatial indexes: a document is found under each of the grid cells that cover its geometry.

use super::cell;
use super::geojson::{self, Shape};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::ranges::united;

/// The cells that cover a document's geometry, at most.
const DOCUMENT_CELLS: usize = 8;

/// The cells that cover the geometry of a query, at most: with more of them, fewer documents are read in
/// vain.
const QUERY_CELLS: usize = 16;

/// The prefix that distinguishes these keys from those of ordinary values, which start with other letters.
const PREFIX: &[u8] = b"GC";

/// The first and the last key of a range.
pub type Range = (Vec<u8>, Vec<u8>);

/// Returns the keys under which a document with this geometry is found, each ending with a zero byte. Fails
/// if the value is no geometry.
pub fn keys(geometry: &Datum) -> Result<Vec<Vec<u8>>> {
    if !geometry.is_ptype(crate::datum::pseudo::GEOMETRY) {
        return Err(Error::logic(format!("Expected geometry but found {}.", geometry.type_name())));
    }
    let cells = cell::cover(&Shape::of(geojson::expect(geometry)?)?, DOCUMENT_CELLS);
    Ok(cells.into_iter().map(|cell| key(cell.id())).collect())
}

/// Returns the ranges of keys of documents whose geometry may intersect this one, in order and without
/// overlaps. A document may be found more than once, and not every one found does intersect.
pub fn ranges(shape: &Shape) -> Vec<Range> {
    let cells = cell::cover(shape, QUERY_CELLS);
    // A document covers a cell of the query with parts of that cell, or with a larger cell that contains it.
    let above = cells.iter().flat_map(|cell| cell.ancestors()).map(|cell| (cell.id(), cell.id()));
    let ids = united(cells.iter().map(|cell| cell.range()).chain(above).collect());
    ids.into_iter().map(|(first, last)| (key(first), key(last))).collect()
}

/// Returns the key of a cell, in digits rather than bytes: the only zero byte is the one that ends the key.
fn key(id: u64) -> Vec<u8> {
    [PREFIX, format!("{id:016x}").as_bytes(), &[0]].concat()
}
