//! `dump`: tables to an archive.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use reql::{Term, args, r};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::Failure;
use super::archive::{self, Documents, Info, Writer};
use super::name::{Place, Table, chosen};
use super::progress::Progress;
use crate::conn::Conn;
use crate::database::Database;
use crate::reserved;

/// The arguments of `dump`.
#[derive(Debug, Args)]
pub struct Dump {
    /// The archive to write; it must not exist [default: rethinkdb_dump_TIME.tar.gz]
    file: Option<PathBuf>,
    /// Dump only this database or table; can be repeated
    #[arg(long = "only", value_name = "DB[.TABLE]")]
    places: Vec<Place>,
    /// Number of tables to read at the same time
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    clients: u8,
}

/// The tables that may wait until they are in the archive, besides those that are being read.
const WAITING: usize = 16;

/// A table that has been read.
struct Dumped {
    table: Table,
    info: Info,
    documents: File,
    number: u64,
    /// Room among the tables that are read or wait.
    _room: OwnedSemaphorePermit,
}

/// Writes an archive. A document is as it was when it was read.
///
/// The archive is written beside the reading: a table whose reading stood still would be taken for one that
/// the database doesn't answer.
pub(crate) async fn dump(dump: Dump, database: &Database) -> Result<(), Failure> {
    let file = dump.file.clone().unwrap_or_else(default_name);
    let tables = chosen(all_tables(database).await?, &dump.places)?;
    let mut described = Vec::with_capacity(tables.len());
    for table in tables {
        described.push((info(database, &table).await?, table));
    }
    let estimate = described.iter().map(|((_, estimate), _)| estimate).sum();
    let mut progress = Progress::new("documents", estimate);
    let mut writer = Writer::create(&file)?;
    let (finished, mut tables) = mpsc::unbounded_channel::<Dumped>();
    let room = Arc::new(Semaphore::new(usize::from(dump.clients) + WAITING));
    let wanted = room.clone();
    let writing = spawn_blocking(move || {
        while let Some(Dumped { table, info, mut documents, .. }) = tables.blocking_recv()
            && !wanted.is_closed()
        {
            writer.add(&table, &mut documents, &info)?;
        }
        Ok::<_, Failure>(writer)
    });
    let described = described.into_iter().map(|((info, _), table)| (table, info)).collect();
    let reading =
        read_all(database, described, usize::from(dump.clients), &file, &room, finished, &mut progress);
    // If one of them fails, the archive isn't finished.
    let both = tokio::try_join!(reading, async { joined(writing.await) });
    let (count, writer) = both.inspect_err(|_| room.close())?;
    joined(spawn_blocking(move || writer.finish()).await)?;
    progress.line(&format!("{count} documents are in {}", file.display()));
    Ok(())
}

/// Reads tables, some at a time, and gives away each that has been read. Returns the number of documents.
async fn read_all(
    database: &Database,
    described: Vec<(Table, Info)>,
    clients: usize,
    archive: &Path,
    room: &Arc<Semaphore>,
    finished: mpsc::UnboundedSender<Dumped>,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let (advanced, mut advances) = mpsc::channel(64);
    let read = described.into_iter().map(|(table, info)| {
        let (advanced, room) = (advanced.clone(), room.clone());
        async move {
            // Before the table is begun: once it is, it has to be read on.
            let room = room.acquire_owned().await.map_err(|error| Failure::Usage(error.to_string()))?;
            read(database, (table, info), archive, advanced, room).await
        }
    });
    let mut read = stream::iter(read.collect::<Vec<_>>()).buffer_unordered(clients);
    drop(advanced);
    let mut count = 0;
    loop {
        tokio::select! {
            Some(more) = advances.recv() => progress.advance(more),
            table = read.try_next() => {
                let Some(dumped) = table? else { return Ok(count) };
                progress.line(&format!("{}: {} documents", dumped.table, dumped.number));
                count += dumped.number;
                // Nobody takes it any more after an error, which ends this soon.
                let _ = finished.send(dumped);
            }
        }
    }
}

fn default_name() -> PathBuf {
    chrono::Utc::now().format("rethinkdb_dump_%Y-%m-%dT%H-%M-%S.tar.gz").to_string().into()
}

/// Returns the tables of all databases but those of the server and of the service itself.
async fn all_tables(database: &Database) -> Result<Vec<Table>, Failure> {
    let mut conn = Conn::new(database.clone());
    let mut tables = Vec::new();
    for db in conn.all::<String>(r.db_list()).await? {
        if reserved::is_database(&db) {
            continue;
        }
        let names: Vec<String> = conn.all(r.db(&db).table_list()).await?;
        tables.extend(names.into_iter().map(|name| Table { db: db.clone(), name }));
    }
    Ok(tables)
}

/// Returns a table's description, and about how many documents it has.
async fn info(database: &Database, table: &Table) -> Result<(Info, u64), Failure> {
    let mut conn = Conn::new(database.clone());
    let term = table.term();
    let info: Option<Value> = conn.first(term.info().merge(described(&term))).await?;
    let info = info.unwrap_or_default();
    let estimates = info["doc_count_estimates"].as_array().into_iter().flatten();
    let estimate = estimates.filter_map(Value::as_f64).sum::<f64>() as u64;
    let info = serde_json::from_value(info).map_err(|error| Failure::Usage(format!("{table}: {error}")))?;
    Ok((info, estimate))
}

/// Returns what a description has beyond `info`.
fn described(table: &Term) -> Term {
    reql::obj! { "indexes": table.index_status(args![]), "write_hook": table.get_write_hook() }
}

/// Reads the documents of a table into a file.
async fn read(
    database: &Database,
    (table, info): (Table, Info),
    archive: &Path,
    advanced: mpsc::Sender<u64>,
    room: OwnedSemaphorePermit,
) -> Result<Dumped, Failure> {
    let failed = |error| Failure::file(archive, error);
    let mut documents = Documents::new(archive::scratch(archive)?).map_err(failed)?;
    let mut rows = Conn::new(database.clone()).into_stream::<Box<RawValue>>(table.term()).await?;
    while let Some(row) = rows.try_next().await? {
        documents.add(row.get()).map_err(failed)?;
        if documents.count % 1000 == 0 {
            // Nobody listens any more after an error elsewhere.
            let _ = advanced.send(1000).await;
        }
    }
    let number = documents.count;
    let documents = documents.finish().map_err(failed)?;
    Ok(Dumped { table, info, documents, number, _room: room })
}

/// Returns what a blocking task has made. One that panicked has said so itself.
pub(super) fn joined<T>(made: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    made.map_err(|error| Failure::Usage(error.to_string()))?
}
