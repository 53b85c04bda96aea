//! Making the database, and the tables and indexes that the settings name, where they are missing.
//!
//! Nothing that exists is altered or dropped. Running it again, or in two processes at once, does no harm.

use std::io;
use std::time::Duration;

use futures_util::TryStreamExt;
use log::Level;
use ql2::term::TermType;
use reql::cmd::{self, connect, index_create, index_wait, table_create};
use reql::{Command, Driver, Error, Runtime, Session, func, r};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::settings::{IndexSpec, Rdb, TableSpec};

const FIRST_DELAY: Duration = Duration::from_millis(100);
/// No more, so that the tables are there within a second of the database.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Tries until everything is there, or until the database refuses for a reason that won't pass by itself.
pub async fn until_done(rdb: &Rdb, tables: &[TableSpec]) {
    let mut delay = FIRST_DELAY;
    // The first failure is news; that it lasts is not.
    let mut level = Level::Warn;
    loop {
        match once(rdb, tables).await {
            Ok(()) => return,
            Err(error) if may_pass(&error) => {
                log::log!(level, "The database isn't ready, trying again in {delay:?}: {error}");
                level = Level::Debug;
            }
            Err(error) => {
                log::error!("The database refuses to make what the settings name: {error}");
                return;
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Makes what is missing, in one go.
///
/// # Errors
///
/// Whatever the driver says; timeouts come as I/O errors.
pub async fn once(rdb: &Rdb, tables: &[TableSpec]) -> Result<(), Error> {
    let database = Bootstrap { session: connect(rdb).await?, limit: rdb.query_timeout };
    if !database.names(r.db_list()).await?.contains(&rdb.db) {
        let _: Value = database.run(r.db_create(rdb.db.as_str())).await?;
        log::info!("Made database {:?}.", rdb.db);
    }
    let existing = database.names(r.db(rdb.db.as_str()).table_list()).await?;
    for spec in tables {
        if !existing.contains(&spec.name) {
            let _: Value = database.run(make_table(&rdb.db, spec)).await?;
            log::info!("Made table {:?}.", spec.name);
        }
        database.make_indexes(&rdb.db, spec).await?;
    }
    Ok(())
}

/// A session whose queries end in time.
struct Bootstrap {
    session: Session,
    limit: Duration,
}

impl Bootstrap {
    async fn make_indexes(&self, db: &str, spec: &TableSpec) -> Result<(), Error> {
        let table = || r.db(db).table(spec.name.as_str());
        let existing = self.names(table().index_list()).await?;
        let missing: Vec<_> = spec.indexes.iter().filter(|index| !existing.contains(&index.name)).collect();
        for index in &missing {
            let _: Value = self.run(make_index(table(), index)).await?;
            log::info!("Made index {:?} of table {:?}.", index.name, spec.name);
        }
        if !missing.is_empty() {
            let _: Value = self.run(table().index_wait(EveryIndex)).await?;
        }
        Ok(())
    }

    async fn names(&self, list: Command) -> Result<Vec<String>, Error> {
        self.run(list).await
    }

    async fn run<T: DeserializeOwned + Unpin>(&self, query: Command) -> Result<T, Error> {
        let mut answers = query.run(&self.session);
        let answer = timeout(self.limit, answers.try_next()).await.map_err(|_| timed_out("the query"))??;
        answer.ok_or_else(|| Driver::Other("the server sent no answer".to_owned()).into())
    }
}

/// The driver has `index_wait`, but implements no argument that it could be called with.
struct EveryIndex;

impl index_wait::Arg for EveryIndex {
    fn arg(self) -> cmd::Arg<()> {
        cmd::Arg { arg: Command::new(TermType::IndexWait), opts: None }
    }
}

/// The first server that answers.
async fn connect(rdb: &Rdb) -> Result<Session, Error> {
    let mut last = Driver::Other("no database server is named".to_owned()).into();
    for (host, port) in rdb.servers() {
        let options = connect::Options::new()
            .host(host.clone())
            .port(port)
            .user(rdb.user.clone())
            .password(rdb.password.expose().to_owned());
        match timeout(rdb.connect_timeout, r.connect(options)).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => last = error,
            Err(_) => last = timed_out(&format!("connecting to {host}:{port}")),
        }
    }
    Err(last)
}

fn make_table(db: &str, spec: &TableSpec) -> Command {
    let options = table_create::Options::new().primary_key(spec.primary_key.clone());
    r.db(db).table_create(r.args((spec.name.as_str(), options)))
}

fn make_index(table: Command, spec: &IndexSpec) -> Command {
    let options = index_create::Options::new().multi(spec.multi).geo(spec.geo);
    let function = match spec.fields.as_slice() {
        [field] => func!(|row| path(row, field)),
        fields => func!(|row| {
            let none = Command::from([] as [Command; 0]);
            fields.iter().fold(none, |values, field| values.append(path(row.clone(), field)))
        }),
    };
    table.index_create(r.args((spec.name.as_str(), function, options)))
}

/// The value at `a.b` in a document.
fn path(row: Command, field: &str) -> Command {
    field.split('.').fold(row, |value, name| value.bracket(name))
}

/// Whether time alone may help: the server is away, starting, or another process was faster.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Driver(_) | Error::Runtime(Runtime::Availability(_)))
}

fn timed_out(what: &str) -> Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long")).into()
}
