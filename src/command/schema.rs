//! `db`, `table` and `index`: what holds documents.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use reql::{Durability, Term, args, r};
use serde::Deserialize;
use tokio::time::sleep;

use super::Failure;
use super::accounts::checked;
use super::name::TableName;
use crate::conn::Conn;
use crate::database::Database;

/// How often a table is asked how far its indexes are.
const PAUSE: Duration = Duration::from_millis(500);

/// What there is to do with databases.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// List the databases
    List,
    /// Make a database
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
    /// Give a database another name
    Rename {
        /// The database's name
        name: String,
        /// Its new name
        new: String,
    },
}

/// What there is to do with tables.
#[derive(Debug, Subcommand)]
pub enum Table {
    /// List the tables of a database
    List {
        /// The database [default: that of the settings]
        db: Option<String>,
    },
    /// Make a table
    Create {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// The field that identifies documents
        #[arg(long, default_value = "id")]
        primary_key: String,
        /// The number of shards
        #[arg(long)]
        shards: Option<u32>,
        /// The number of replicas of each shard
        #[arg(long)]
        replicas: Option<u32>,
        /// When a write is done: on disk, or in memory
        #[arg(long, default_value = "hard")]
        durability: Kept,
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
    /// Give a table another name
    Rename {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// Its new name, in the same database
        new: String,
    },
}

/// What there is to do with indexes.
#[derive(Debug, Subcommand)]
pub enum Index {
    /// List the indexes of a table, and what they are made of
    List {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
    },
    /// Make an index, and wait until it can be used
    Create {
        /// The table's name
        #[arg(value_name = "[DB.]TABLE")]
        table: TableName,
        /// The index's name
        name: String,
        /// The field to index, `a.b` for a nested one; several make a compound index [default: the name]
        #[arg(long = "field", value_name = "FIELD")]
        fields: Vec<String>,
        /// Index each element of the field's array
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
    /// Give an index another name
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

/// When a write of a table is done.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kept {
    /// When it is on disk
    Hard,
    /// When it is in memory
    Soft,
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
            let mut create = r.db(&table.db).table_create(&table.name).primary_key(primary_key);
            create = create.durability(Durability::from(durability));
            if let Some(shards) = shards {
                create = create.shards(shards);
            }
            if let Some(replicas) = replicas {
                create = create.replicas(replicas);
            }
            conn.run(create).await?;
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
            let function = function(if fields.is_empty() { vec![name.clone()] } else { fields });
            conn.run(table.index_create_by(&name, function).multi(multi).geo(geo)).await?;
            while !is_ready(&mut conn, &table, &name).await? {
                sleep(PAUSE).await;
            }
        }
        Index::Drop { table, name } => conn.run(table.within(default).term().index_drop(&name)).await?,
        Index::Rename { table, name, new } => {
            conn.run(table.within(default).term().index_rename(&name, &new)).await?;
        }
    }
    Ok(())
}

async fn is_ready(conn: &mut Conn, table: &Term, name: &str) -> Result<bool, Failure> {
    let states: Vec<Status> = conn.all(table.index_status(name)).await?;
    Ok(states.iter().all(|state| state.ready))
}

/// Returns the function of an index: a field, or an array of several.
fn function(fields: Vec<String>) -> impl Fn(Term) -> Term {
    move |row: Term| {
        let value = |field: &String| field.split('.').fold(row.clone(), |value, name| value.g(name));
        match fields.as_slice() {
            [field] => value(field),
            fields => r.expr(fields.iter().map(value).collect::<Vec<Term>>()),
        }
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

impl From<Kept> for Durability {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Hard => Durability::Hard,
            Kept::Soft => Durability::Soft,
        }
    }
}
