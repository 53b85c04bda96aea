//! Writes.

use super::{Delete, Insert, Replace, Update, methods};
use crate::term::{Argument, Term};

methods! {
    /// Inserts a document, or each of an array or a sequence: `r.table("users").insert(obj! { "name": "Ada"
    /// })`.
    insert<K>(documents: Argument<K>) -> Insert = Insert with;
    /// Merges an object, or a function's result, into each document of a selection:
    /// `r.table("users").get(1).update(obj! { "age": 36 })`.
    update<K>(change: Argument<K>) -> Update = Update functions;
    /// Replaces each document of a selection by an object or a function's result, null deletes:
    /// `r.table("users").get(1).replace(r.row().without("age"))`.
    replace<K>(document: Argument<K>) -> Replace = Replace functions;
    /// Deletes a selection: `r.table("users").get(1).delete()`.
    delete() -> Delete = Delete with;
    /// Waits until a table's writes of soft durability are on disk: `r.table("users").sync()`.
    sync() -> Term = Sync with;
}
