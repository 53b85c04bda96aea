//! Making the database, and the tables and indexes that the settings name, where they are missing.
//!
//! Nothing that exists is altered or dropped. Running it again, or in two processes at once, does no harm.

use std::time::Duration;

use log::Level;
use reql::commands::{IndexCreate, TableCreate};
use reql::{Query, Term, args, r};
use tokio::time::sleep;
use warp::http::StatusCode;

use crate::query::Path;
use crate::settings::{Databases, Durability, IndexSpec, RelationSpec, TableSpec};
use crate::{Conn, Database, Error};

const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest pause between two attempts: tables are there a second after the database at the latest.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Retries until everything exists, or until the database refuses for a reason that isn't temporary.
///
/// ```no_run
/// # async fn run(db: warp_reql::Database) {
/// use warp_reql::bootstrap;
/// use warp_reql::settings::TableSpec;
///
/// tokio::spawn(async move { bootstrap::until_done(&db, &[TableSpec::new("heroes")]).await });
/// # }
/// ```
pub async fn until_done(database: &Database, tables: &[TableSpec]) {
    let mut delay = FIRST_DELAY;
    // Only the first failure is a warning; repeating it would fill the log.
    let mut level = Level::Warn;
    loop {
        match once(database, tables).await {
            Ok(()) => return,
            Err(error) if may_pass(&error) => {
                log::log!(level, "The database isn't ready, trying again in {delay:?}: {error}");
                level = Level::Debug;
            }
            Err(error) => {
                log::error!("The database refuses to create the tables of the settings: {error}");
                return;
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Creates the database, tables and indexes that are missing, without retries.
///
/// # Errors
///
/// The errors of queries, see [`Conn`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use warp_reql::settings::{IndexSpec, TableSpec};
/// use warp_reql::{Conn, bootstrap, embedded, reql::r};
///
/// let db = embedded().await?;
/// let heroes = TableSpec { indexes: vec![IndexSpec::on("name")], ..TableSpec::new("heroes") };
/// bootstrap::once(&db, &[heroes]).await?;
/// let indexes: Vec<String> = Conn::new(db.database().clone()).all(r.table("heroes").index_list()).await?;
/// assert_eq!(indexes, ["name"]);
/// # Ok(())
/// # }
/// ```
pub async fn once(database: &Database, tables: &[TableSpec]) -> Result<(), Error> {
    let db = database.name();
    let mut conn = Conn::new(database.clone());
    if !names(&mut conn, r.db_list()).await?.iter().any(|name| name == db) {
        conn.run(r.db_create(db)).await?;
        log::info!("Created database {db:?}.");
    }
    let existing = names(&mut conn, r.db(db).table_list()).await?;
    for spec in tables {
        if !existing.contains(&spec.name) {
            conn.run(make_table(db, spec)).await?;
            log::info!("Created table {:?}.", spec.name);
        }
        make_indexes(&mut conn, db, spec).await?;
    }
    Ok(())
}

/// Does for the other databases that are served what [`until_done`] does for that of `rdb.db`. In those that
/// only fit a pattern, tables that are missing stay so.
pub(crate) async fn until_done_in_others(database: &Database, served: &Databases, tables: &[TableSpec]) {
    for name in served.named() {
        until_done(&database.named(name), tables).await;
    }
    if served.has_patterns()
        && let Err(error) = indexes_of_others(database, served, tables).await
    {
        log::error!("The indexes of the settings can't be made in all databases: {error}");
    }
}

async fn indexes_of_others(
    database: &Database,
    served: &Databases,
    tables: &[TableSpec],
) -> Result<(), Error> {
    let mut conn = Conn::new(database.clone());
    let there = names(&mut conn, r.db_list()).await?;
    let is_other = |name: &&String| served.has(name) && served.named().all(|it| it != *name);
    for name in there.iter().filter(is_other).filter(|name| *name != database.name()) {
        let existing = names(&mut conn, r.db(name).table_list()).await?;
        for spec in tables.iter().filter(|spec| existing.contains(&spec.name)) {
            make_indexes(&mut conn, name, spec).await?;
        }
    }
    Ok(())
}

/// Logs what relations lead to that isn't there. Requests that follow such a relation fail.
pub(crate) async fn check(database: &Database, relations: &[RelationSpec]) {
    for relation in relations {
        match fault(database, relation).await {
            Ok(None) => {}
            Ok(Some(fault)) => {
                let RelationSpec { table, name, .. } = relation;
                log::error!("The relation {name:?} of table {table:?} leads nowhere: {fault}");
            }
            Err(error) => log::warn!("The relations can't be checked: {error}"),
        }
    }
}

async fn fault(database: &Database, relation: &RelationSpec) -> Result<Option<String>, Error> {
    let mut conn = Conn::new(database.clone());
    let tables = names(&mut conn, r.table_list()).await?;
    if let Some(table) = [&relation.table, &relation.to].into_iter().find(|table| !tables.contains(table)) {
        return Ok(Some(format!("there is no table {table:?}.")));
    }
    let Some(index) = relation.by() else { return Ok(None) };
    let indexes = names(&mut conn, r.table(&relation.to).index_list()).await?;
    let missing = !indexes.iter().any(|name| name == index);
    Ok(missing.then(|| format!("table {:?} has no index {index:?}.", relation.to)))
}

/// Creates the indexes of a table that the settings name and that are missing, and waits for them. Returns
/// the names of those that weren't there before.
pub(crate) async fn make_indexes(conn: &mut Conn, db: &str, spec: &TableSpec) -> Result<Vec<String>, Error> {
    let further = spec.further_indexes();
    let wanted: Vec<_> = spec.indexes.iter().chain(&further).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let table = r.db(db).table(&spec.name);
    let existing = names(conn, table.index_list()).await?;
    let mut made = Vec::new();
    for index in wanted.into_iter().filter(|index| !existing.contains(&index.name)) {
        match conn.run(make_index(&table, index)?).await {
            Ok(()) => log::info!("Created index {:?} of table {:?}.", index.name, spec.name),
            // Another process was faster.
            Err(error) if error.status() == StatusCode::CONFLICT => {}
            Err(error) => return Err(error),
        }
        made.push(index.name.clone());
    }
    conn.run(table.index_wait(args![])).await?;
    made.sort();
    Ok(made)
}

async fn names(conn: &mut Conn, list: impl Into<Query>) -> Result<Vec<String>, Error> {
    Ok(conn.first(list).await?.unwrap_or_default())
}

fn make_table(db: &str, spec: &TableSpec) -> TableCreate {
    let create = r.db(db).table_create(&spec.name).primary_key(&spec.primary_key);
    with_placement(create, spec.shards, spec.replicas, spec.durability)
}

/// Adds the numbers of shards and replicas and the durability to the creation of a table.
pub(crate) fn with_placement(
    create: TableCreate,
    shards: Option<u32>,
    replicas: Option<u32>,
    durability: Option<Durability>,
) -> TableCreate {
    let create = match shards {
        Some(shards) => create.shards(shards),
        None => create,
    };
    let create = match replicas {
        Some(replicas) => create.replicas(replicas),
        None => create,
    };
    match durability {
        Some(durability) => create.durability(reql::Durability::from(durability)),
        None => create,
    }
}

fn make_index(table: &Term, spec: &IndexSpec) -> Result<IndexCreate, Error> {
    let fields = Path::parse_indexed(&spec.fields, "fields")?;
    Ok(index_create(table, &spec.name, &fields, (spec.multi, spec.geo)))
}

/// Returns the creation of an index over these fields; the options are `multi` and `geo`.
pub(crate) fn index_create(
    table: &Term,
    name: &str,
    fields: &[Path],
    (multi, geo): (bool, bool),
) -> IndexCreate {
    let create = table.index_create_by(name, |row: Term| Path::entry(fields, &row));
    // An option that is false is left out, as the official drivers do.
    let create = if multi { create.multi(true) } else { create };
    if geo { create.geo(true) } else { create }
}

/// Returns true if a retry may help: the server is away or starting, or another process was faster.
fn may_pass(error: &Error) -> bool {
    let temporary = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT, StatusCode::CONFLICT];
    temporary.contains(&error.status())
}
