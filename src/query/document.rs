//! Documents among the rows of a table, which may be anything else.

use reql::Term;

/// Returns a term for whether a row is a document. A value of one of ReQL's own types is none: it has no
/// fields.
pub(crate) fn is_document(row: &Term) -> Term {
    row.type_of().eq("OBJECT")
}
