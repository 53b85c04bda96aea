//! Storage: databases, tables, documents and indexes in one [redb](https://docs.rs/redb) file.
//!
//! Everything here blocks and is called from threads that may. Reads take a snapshot and wait for nobody.
//! Writes are evaluated in the caller's thread and applied by one writer thread, which puts all that is
//! queued into one transaction (group commit) and tells the listeners of each table what changed before it
//! answers. A small soft write that finds nobody writing is committed by its caller, at once.
//!
//! | file | what it holds |
//! |---|---|
//! | `store` | [`Store`]: opening, the catalog's operations, small records, closing |
//! | `table` | [`Table`]: a handle with reads, writes, indexes |
//! | `catalog` | what databases, tables and indexes there are: a snapshot in memory, records in the file |
//! | `moment` | the read transaction that everybody shares until the next commit |
//! | `snapshot`, `scan`, `range` | one moment of a table, lazy rows in key or index order, bounds |
//! | `write` | a mutation's way: evaluated against a snapshot, checked and applied by the writer |
//! | `writer`, `commit`, `batch` | the writer thread, the commit, and the transaction that a group of jobs shares |
//! | `index`, `build` | index functions and entries, and building them in the background |
//! | `feed`, `backlog` | who is told about changes; the memory of changes that wait to be read |
//! | `opening`, `staged` | opening the redb file, or refusing it untouched |
//! | `file`, `codec` | the redb file in use, and opening it anew; records as bytes |
//! | `backup` | copies of a file that is in use |
//! | `check`, `maintenance` | integrity; the tools that work on a file no server uses |

mod backlog;
mod backup;
mod batch;
mod build;
mod catalog;
mod check;
mod codec;
mod commit;
mod core;
mod feed;
mod file;
mod index;
mod maintenance;
mod moment;
mod opening;
mod private;
mod range;
mod scan;
mod snapshot;
mod staged;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod write;
mod writer;

pub use backlog::Share;
pub use backup::Backup;
pub(crate) use backup::{Pace, copy_file, no_backup, receive};
pub use catalog::{Database, Durability, TableConfig, TableMeta};
pub use check::Report;
pub use feed::{ChangeEvent, EndReason, Listener, Subscription};
pub use index::{IndexCompiler, IndexEntries, IndexEntry, IndexFunction, IndexSpec, IndexStatus};
pub use maintenance::{Compacted, check, compact};
pub use range::{Direction, KeyRange};
pub use scan::{IndexScan, Scan};
pub use snapshot::{Snapshot, View};
pub use store::{Options, Store, TableOptions};
pub use table::{Started, Table};
pub use write::{Change, Failed, Mutation, Outcome, Outcomes, Results};
