//! Storage: databases, tables, documents and indexes in one [redb](https://docs.rs/redb) file.
//!
//! Everything here blocks and is called from threads that may. Reads take a snapshot and wait for no write.
//! Writes are evaluated in the caller's thread and applied by one writer thread. It puts all queued writes
//! into one transaction (group commit), and tells the listeners of each table of the changes before it
//! answers. A small soft write is committed by its caller at once if no other write is under way.
//!
//! | file | contents |
//! |---|---|
//! | `store` | [`Store`]: opening, the catalog's operations, small records, closing |
//! | `core` | the state that the handles, the writer and the builder share |
//! | `table` | [`Table`]: a handle with reads, writes, indexes |
//! | `catalog` | databases, tables and indexes: a snapshot in memory, records in the file |
//! | `read_view` | the read transaction that all readers share until the next commit |
//! | `snapshot` | one moment of a table |
//! | `scan`, `walk`, `range` | lazy rows in key or index order, the way through a tree, bounds |
//! | `write` | the life of a mutation: evaluated against a snapshot, checked and applied by the writer |
//! | `attempts` | handing mutations to the writer, and again those that it gives back |
//! | `reserved` | the documents of those, for whose writing others wait |
//! | `proposal` | mutations that have been evaluated: what they saw, and what they want to change |
//! | `writer`, `commit`, `batch` | the writer thread, the commit, the transaction of a group of jobs |
//! | `index`, `build` | index functions and entries, and building them in the background |
//! | `feed`, `backlog` | the listeners to changes; the memory of changes that wait to be read |
//! | `opening`, `staged` | opening the redb file, or refusing it unchanged |
//! | `file`, `codec` | the redb file in use, and opening it anew; records as bytes |
//! | `private` | files and directories that only the server may access |
//! | `backup` | copies of a file in use |
//! | `check`, `maintenance` | integrity; the tools that work on a file no server uses |

mod attempts;
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
mod opening;
mod private;
mod proposal;
mod range;
mod read_view;
mod reserved;
mod scan;
mod snapshot;
mod staged;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod walk;
mod write;
mod writer;

pub use attempts::Started;
pub use backlog::Share;
pub use backup::Backup;
pub(crate) use backup::{Pace, copy_file, no_backup, receive};
pub use catalog::{Database, Durability, Stamp, TableConfig, TableMeta};
pub use check::Report;
pub use feed::{ChangeEvent, EndReason, Listener, Subscription};
pub use index::{IndexCompiler, IndexEntries, IndexEntry, IndexFunction, IndexSpec, IndexStatus};
pub use maintenance::{Compacted, check, compact};
pub use range::{Direction, KeyRange};
pub use scan::{IndexScan, Scan, Within};
pub use snapshot::{Snapshot, View};
pub use store::{Options, Store, TableOptions};
pub use table::Table;
pub use write::{Change, Failed, Mutation, Outcome, Outcomes, Results, Settled};
