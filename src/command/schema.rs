//! `db`, `table` and `index`: commands for databases, tables and indexes.

use std::time::Duration;

use clap::Subcommand;
use reql::{Args, Term, args, r};
use serde::Deserialize;
use tokio::time::sleep;

use super::Failure;
use super::accounts::checked;
use super::name::TableName;
use crate::bootstrap::{index_create, with_placement};
use crate::conn::Conn;
use crate::database::Database;
use crate::query::Path;
use crate::settings::Durability;

/// Interval at which the state of new indexes is queried.
const PAUSE: Duration = Duration::from_millis(500);

/// The subcommands of `db`.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// List the databases
    List,
    /// Create a database
    Create {
        /// The database's name
        name: String,
    },
    /// Drop a database and all its tables
    Drop {
        /// The database's name
        name: String,
        /// Do it
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Rename a database
    Rename {
        /// The database's name
        name: String,
        /// Its new name
        new: String,
    },
}

/// The subcommands of `table`.
#[derive(Debug, Subcommand)]
pub enum Table {
    /// List the tables of a database
    List {
        /// The database [default: `rdb.db` of the settings]
        db: Option<String>,
    },
    /// Create a table
    Create {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// Name of the primary key
        #[arg(long, default_value = "id")]
        primary_key: String,
        /// The number of shards
        #[arg(long)]
        shards: Option<u32>,
        /// The number of replicas of each shard
        #[arg(long)]
        replicas: Option<u32>,
        /// Acknowledge writes once they are on disk, or already in memory
        #[arg(long, default_value = "hard")]
        durability: Durability,
    },
    /// Drop a table and all its documents
    Drop {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// Do it
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Rename a table
    Rename {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// Its new name, in the same database
        new: String,
    },
}

/// The subcommands of `index`.
#[derive(Debug, Subcommand)]
pub enum Index {
    /// List the indexes of a table and their fields
    List {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
    },
    /// Create an index, and wait until it is ready
    Create {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// The index's name
        name: String,
        /// Field to index, `a.b` for a nested one; repeat it for a compound index [default: the index's name]
        #[arg(long = "field", value_name = "FIELD")]
        fields: Vec<String>,
        /// Index each element of an array
        #[arg(long)]
        multi: bool,
        /// Index geometry
        #[arg(long)]
        geo: bool,
    },
    /// Drop an index
    Drop {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// The index's name
        name: String,
    },
    /// Rename an index
    Rename {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// The index's name
        name: String,
        /// Its new name
        new: String,
    },
}

#[derive(Deserialize)]
struct Status {
    index: String,
    ready: bool,
    query: String,
}

/// Manages databases.
pub(crate) async fn db(db: Db, database: &Database) -> Result<(), Failure> {
    let mut conn = Conn::new(database.clone());
    match db {
        Db::List => list(conn.all(r.db_list()).await?),
        Db::Create { name } => conn.run(r.db_create(&name)).await?,
        Db::Drop { name, .. } => conn.run(r.db_drop(&name)).await?,
        Db::Rename { name, new } => rename(&mut conn, r.db(&name), &new).await?,
    }
    Ok(())
}

/// Manages tables.
pub(crate) async fn table(table: Table, database: &Database, default: &str) -> Result<(), Failure> {
    let mut conn = Conn::new(database.clone());
    match table {
        Table::List { db } => list(conn.all(r.db(db.as_deref().unwrap_or(default)).table_list()).await?),
        Table::Create { table, primary_key, shards, replicas, durability } => {
            let table = table.within(default);
            let create = r.db(&table.db).table_create(&table.name).primary_key(primary_key);
            conn.run(with_placement(create, shards, replicas, Some(durability))).await?;
        }
        Table::Drop { table, .. } => {
            let table = table.within(default);
            conn.run(r.db(&table.db).table_drop(&table.name)).await?;
        }
        Table::Rename { table, new } => rename(&mut conn, table.within(default).term(), &new).await?,
    }
    Ok(())
}

/// Manages indexes.
pub(crate) async fn index(index: Index, database: &Database, default: &str) -> Result<(), Failure> {
    let mut conn = Conn::new(database.clone());
    match index {
        Index::List { table } => {
            let table = table.within(default).term();
            for status in conn.all::<Status>(table.index_status(args![])).await? {
                let note = if status.ready { "" } else { " (being built)" };
                println!("{}{note}: {}", status.index, status.query);
            }
        }
        Index::Create { table, name, fields, multi, geo } => {
            let table = table.within(default).term();
            let fields = if fields.is_empty() { vec![name.clone()] } else { fields };
            let fields = Path::parse_indexed(&fields, "--field")?;
            conn.run(index_create(&table, &name, &fields, (multi, geo))).await?;
            wait_for_indexes(&mut conn, &table, &[&name]).await?;
        }
        Index::Drop { table, name } => conn.run(table.within(default).term().index_drop(&name)).await?,
        Index::Rename { table, name, new } => {
            conn.run(table.within(default).term().index_rename(&name, &new)).await?;
        }
    }
    Ok(())
}

/// Waits until these indexes of a table can be used; without names, all of them.
///
/// # Errors
///
/// If nothing can be written, so that they would never be ready.
pub(super) async fn wait_for_indexes(conn: &mut Conn, table: &Term, names: &[&str]) -> Result<(), Failure> {
    loop {
        let states: Vec<Status> = conn.all(table.index_status(Args::from_iter(names))).await?;
        if states.iter().all(|state| state.ready) {
            return Ok(());
        }
        // The embedded server starts over with an index that it can't write, and tells writers alone why.
        conn.run(table.sync()).await?;
        sleep(PAUSE).await;
    }
}

/// Changes the name in the configuration of a database or table.
async fn rename(conn: &mut Conn, what: impl Into<Term>, new: &str) -> Result<(), Failure> {
    let change = what.into().config().update(reql::obj! { "name": new });
    checked(conn.write_all(change).await?)
}

fn list(mut names: Vec<String>) {
    names.sort();
    for name in names {
        println!("{name}");
    }
}
