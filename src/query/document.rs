//! Telling documents from other rows, since a table may hold values of other types.

use reql::Term;

/// Returns a term that is true if a row is a document. A value of one of ReQL's pseudo-types is none: it has
/// no fields.
pub(crate) fn is_document(row: &Term) -> Term {
    row.type_of().eq("OBJECT")
}
