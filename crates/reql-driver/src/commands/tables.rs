//! Databases, tables and their indexes.

use super::{Between, GetAll, IndexCreate, IndexRename, Table, TableCreate, methods};
use crate::term::{Argument, Arguments, Call, Term, TermType};

methods! {
    /// Returns a table of a database: `r.db("blog").table("users")`.
    table<K>(name: Argument<K>) -> Table = Table with;
    /// Makes a table in a database: `r.db("blog").table_create("users")`.
    table_create<K>(name: Argument<K>) -> TableCreate = TableCreate with;
    /// Drops a table of a database: `r.db("blog").table_drop("users")`.
    table_drop<K>(name: Argument<K>) -> Term = TableDrop with;
    /// Lists the tables of a database: `r.db("blog").table_list()`.
    table_list() -> Term = TableList with;

    /// Returns the document of a primary key, or null: `r.table("users").get(1)`.
    get<K>(key: Argument<K>) -> Term = Get with;
    /// Returns all documents of some keys: `r.table("users").get_all(args!["ada", "grace"]).index("name")`.
    get_all<K>(keys: Arguments<K>) -> GetAll = GetAll with;
    /// Returns the documents whose keys lie in a range: `r.table("users").between(1, r.maxval())`.
    between<L, U>(lower: Argument<L>, upper: Argument<U>) -> Between = Between with;

    /// Drops an index: `r.table("users").index_drop("name")`.
    index_drop<K>(name: Argument<K>) -> Term = IndexDrop with;
    /// Lists the indexes: `r.table("users").index_list()`.
    index_list() -> Term = IndexList with;
    /// Renames an index: `r.table("users").index_rename("name", "full_name")`.
    index_rename<O, N>(old: Argument<O>, new: Argument<N>) -> IndexRename = IndexRename with;
    /// Describes these indexes, or all: `r.table("users").index_status(args![])`.
    index_status<K>(names: Arguments<K>) -> Term = IndexStatus with;
    /// Waits until these indexes, or all, can be used: `r.table("users").index_wait("name")`.
    index_wait<K>(names: Arguments<K>) -> Term = IndexWait with;
    /// Sets the function that each write of a table goes through; null removes it:
    /// `users.set_write_hook(|context: Term, old: Term, new: Term| new)`.
    set_write_hook<K>(function: Argument<K>) -> Term = SetWriteHook with;
    /// Describes a table's write hook, or returns null: `r.table("users").get_write_hook()`.
    get_write_hook() -> Term = GetWriteHook with;
}

impl Term {
    /// Makes an index of the field that has its name: `r.table("users").index_create("name")`.
    pub fn index_create<N>(&self, name: impl Argument<N>) -> IndexCreate {
        Call::on(TermType::IndexCreate, self).with(name).end().into()
    }

    /// Makes an index of a function, as `index_create` with two arguments does:
    /// `r.table("users").index_create_by("town", r.row().g("address").g("town"))`.
    pub fn index_create_by<N, K>(&self, name: impl Argument<N>, function: impl Argument<K>) -> IndexCreate {
        Call::on(TermType::IndexCreate, self).with(name).function(function).end().into()
    }
}
