//! `restore`: tables out of an archive.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use reql::types::Written;
use reql::{Conflict, Durability, Query, Term, r};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::archive::{self, Info};
use super::dump::joined;
use super::name::{Place, Table};
use super::progress::Progress;
use super::rows::{Batch, batches};
use super::schema::wait_for_indexes;
use super::unpack::{Unpacked, unpack};
use super::{Failure, in_a_line};
use crate::conn::Conn;
use crate::database::Database;
use crate::reserved;

/// Largest array allowed in a restored document. RethinkDB's default of 100,000 is meant for arrays that
/// queries build.
const ARRAY_MAX: u32 = 10_000_000;

/// The arguments of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The archive to read
    file: PathBuf,
    /// Restore only this database or table; can be repeated
    #[arg(long = "only", value_name = "DB[.TABLE]")]
    places: Vec<Place>,
    /// Write into existing tables, and replace documents and indexes that are also in the archive
    #[arg(long)]
    force: bool,
    /// Do not create the indexes
    #[arg(long)]
    no_indexes: bool,
    /// Wait for the disk after each batch instead of only at the end of each table
    #[arg(long)]
    hard_durability: bool,
}

/// An index, as `index_status` describes it.
#[derive(Deserialize)]
struct Index {
    index: String,
    function: Value,
    #[serde(default)]
    multi: bool,
    #[serde(default)]
    geo: bool,
}

/// Creates the tables of an archive. Data written before an error stays.
pub(crate) async fn restore(restore: Restore, database: &Database) -> Result<(), Failure> {
    let (file, places) = (restore.file.clone(), restore.places.clone());
    let (_directory, mut unpacked) = joined(spawn_blocking(move || unpack(&file, &places)).await)?;
    let own = without_reserved(&mut unpacked)?;
    make_tables(database, &unpacked, restore.force).await?;

    let bytes = unpacked.iter().map(|table| archive::length(&table.documents)).sum();
    let mut progress = Progress::new("bytes", bytes);
    for table in own {
        progress.line(&format!("{table}: left out, since it is the service's own"));
    }
    for unpacked in &unpacked {
        let number = fill(database, unpacked, &restore, &mut progress).await?;
        progress.line(&format!("{}: {number} documents", unpacked.table));
    }
    for Unpacked { table, info, .. } in &unpacked {
        let mut conn = Conn::new(database.clone());
        if !restore.no_indexes {
            make_indexes(&mut conn, table, info, &progress).await?;
        }
        if let Some(hook) = info.write_hook.as_ref().and_then(|hook| hook.get("function")) {
            conn.run(table.term().set_write_hook(hook)).await?;
        }
    }
    Ok(())
}

/// Leaves out the tables of services' own databases, which `dump` leaves out too, and returns them.
///
/// # Errors
///
/// If there are tables of the server's own database. Its users and settings are not an archive's to set.
fn without_reserved(unpacked: &mut Vec<Unpacked>) -> Result<Vec<Table>, Failure> {
    if unpacked.iter().any(|unpacked| unpacked.table.db == reserved::SYSTEM) {
        let system = reserved::SYSTEM;
        return Err(Failure::Usage(format!("the system database `{system}` can't be restored; see --only")));
    }
    let own = unpacked.extract_if(.., |unpacked| reserved::is_database(&unpacked.table.db));
    Ok(own.map(|unpacked| unpacked.table).collect())
}

/// Creates the databases and tables that are missing.
///
/// # Errors
///
/// If tables are there already, unless they may be written into and have the same primary key.
async fn make_tables(database: &Database, unpacked: &[Unpacked], force: bool) -> Result<(), Failure> {
    let mut conn = Conn::new(database.clone());
    let mut databases: BTreeSet<String> = conn.all::<String>(r.db_list()).await?.into_iter().collect();
    let mut missing = Vec::new();
    let mut there = Vec::new();
    for Unpacked { table, info, .. } in unpacked {
        let keys = r.db(&table.db).table_list().contains(&table.name);
        let is_there = databases.contains(&table.db) && conn.first(keys).await? == Some(true);
        if !is_there {
            missing.push((table, info));
            continue;
        }
        there.push(table.to_string());
        let key: Option<String> = conn.first(table.term().info().g("primary_key")).await?;
        if force && key.as_ref() != Some(&info.primary_key) {
            let expected = &info.primary_key;
            return Err(Failure::Usage(format!("{table} has another primary key than `{expected}`")));
        }
    }
    if !(force || there.is_empty()) {
        let there = there.join(", ");
        return Err(Failure::Usage(format!(
            "{there}: there already; --force writes into tables that are there"
        )));
    }
    for (table, info) in missing {
        if databases.insert(table.db.clone()) {
            conn.run(r.db_create(&table.db)).await?;
        }
        conn.run(r.db(&table.db).table_create(&table.name).primary_key(&info.primary_key)).await?;
    }
    Ok(())
}

/// Writes the documents of a table, and returns how many there were.
async fn fill(
    database: &Database,
    unpacked: &Unpacked,
    restore: &Restore,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let mut conn = Conn::new(database.clone());
    let table = unpacked.table.term();
    // One batch is on its way while another is read.
    let (read, mut batches) = mpsc::channel(1);
    let reading = reading(&unpacked.table, unpacked.documents.clone(), read);
    let mut number = 0;
    while let Some(batch) = batches.recv().await {
        let (bytes, documents) = (batch.bytes, batch.documents.len() as u64);
        let written: Written = conn.write_all(insert(&table, batch, restore)).await?;
        if written.errors > 0 {
            let reason = written.first_error.unwrap_or_default();
            return Err(Failure::Usage(format!("{}: {}", unpacked.table, in_a_line(&reason))));
        }
        number += documents;
        progress.advance(bytes);
    }
    joined(reading.await)?;
    conn.run(table.sync()).await?;
    Ok(number)
}

fn reading(
    table: &Table,
    documents: PathBuf,
    read: mpsc::Sender<Batch>,
) -> tokio::task::JoinHandle<Result<(), Failure>> {
    let table = table.to_string();
    spawn_blocking(move || {
        let file = File::open(&documents).map_err(|error| Failure::file(&documents, error))?;
        batches(BufReader::new(file), |batch| read.blocking_send(batch).is_ok())
            .map_err(|error| Failure::Usage(format!("{table}: the documents can't be read: {error}")))
    })
}

/// Inserts documents. The server reads their JSON, so that numbers and values of ReQL's own types arrive as
/// they were written, and no document can be a term.
fn insert(table: &Term, batch: Batch, restore: &Restore) -> Query {
    let documents: Vec<Term> = batch.documents.iter().map(|json| r.json(json.get())).collect();
    let durability = if restore.hard_durability { Durability::Hard } else { Durability::Soft };
    let conflict = if restore.force { Conflict::Replace } else { Conflict::Error };
    let insert = table.insert(documents).conflict(conflict).durability(durability).ignore_write_hook(true);
    Query::new(insert).array_limit(ARRAY_MAX)
}

/// Makes the indexes of a table again, and waits until they can be used. One that is there already is
/// replaced once its successor is ready.
async fn make_indexes(
    conn: &mut Conn,
    table: &Table,
    info: &Info,
    progress: &Progress,
) -> Result<(), Failure> {
    let term = table.term();
    let there: Vec<String> = conn.all(term.index_list()).await?;
    for index in &info.indexes {
        let Ok(index) = Index::deserialize(index) else {
            progress.line(&format!("{table}: an index without a function is left out: {index}"));
            continue;
        };
        let make = |name| term.index_create_by(name, &index.function).multi(index.multi).geo(index.geo);
        if !there.contains(&index.index) {
            conn.run(make(&index.index)).await?;
            continue;
        }
        let mut passing = format!("{}_restored", index.index);
        while there.contains(&passing) {
            passing.push('_');
        }
        conn.run(make(&passing)).await?;
        wait_for_indexes(conn, &term, &[&passing]).await?;
        conn.run(term.index_rename(&passing, &index.index).overwrite(true)).await?;
    }
    wait_for_indexes(conn, &term, &[]).await
}
