//! Writes as the evaluator sees them: the new row, the check of it, and its count.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::env::Env;
use super::func::Func;
use super::report::Report;
use super::spec::Determinism;
use super::stats::Stats;
use super::system::SystemTable;
use super::table::{Backing, TableRef};
use super::term::Flags;
use crate::accounts::Permission;
use crate::budget::fuel;
use crate::datum::{Datum, key};
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::eval::profile::Work;
use crate::storage::{self, Change, Durability, Mutation, Started};

/// The options of a write.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// Durability that the answer waits for; the table's own setting if there is none.
    pub durability: Option<Durability>,
    /// Rows that the answer shows.
    pub return_changes: ReturnChanges,
    /// True if the write doesn't call the table's write hook.
    pub ignore_write_hook: bool,
}

/// The rows that an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnChanges {
    /// No rows.
    No,
    /// The rows that changed.
    Yes,
    /// All rows of the write, changed or not.
    Always,
}

/// The reaction of an insert to a key that is taken.
#[derive(Clone)]
pub enum Conflict {
    /// The insert fails.
    Error,
    /// The document replaces the row.
    Replace,
    /// The document is merged into the row.
    Update,
    /// A function of the key's name, the row and the new document decides.
    Func(Func),
}

/// A document to be inserted.
pub struct Document {
    /// The document, with a key.
    pub value: Datum,
    /// True if the server generated the key.
    pub is_key_generated: bool,
}

/// Fails if the write skips the write hook and the user may not change the table. RethinkDB lets this error
/// escape.
pub fn check_hook_bypass(env: &Env, table: &TableRef, options: &WriteOptions) -> Result<()> {
    if !options.ignore_write_hook {
        return Ok(());
    }
    env.require(Permission::Config, table.scope()).map_err(escaped)
}

/// Makes an error escape: RethinkDB doesn't attribute it to the query.
pub fn escaped(error: Error) -> Error {
    Error::internal(format!("Unexpected exception: {error}")).at(Bt::default())
}

/// Inserts documents and counts the outcomes (`batched_insert` in RethinkDB's `val.cc`).
pub fn insert(
    env: &Env,
    table: &TableRef,
    documents: Vec<Document>,
    conflict: &Conflict,
    options: &WriteOptions,
) -> Result<Written> {
    let rows = documents
        .into_iter()
        .map(|Document { value: document, is_key_generated }| {
            let key = document_key(&document, table)?;
            let conflict = conflict.clone();
            let (env, primary_key) = (env.clone(), table.primary_key().clone());
            let becomes = move |old: &Datum| {
                if old.is_null() {
                    return Ok(document.clone());
                }
                match &conflict {
                    Conflict::Replace => Ok(document.clone()),
                    Conflict::Update => old.merge(&document),
                    Conflict::Func(func) => {
                        func.call(&env, &[primary_key.clone().into(), old.clone(), document.clone()])
                    }
                    Conflict::Error => Err(duplicate(&primary_key, old, &document)),
                }
            };
            Ok(Row { is_key_generated, ..Row::new(key, becomes)? })
        })
        .collect();
    write(env, table, rows, options)
}

/// Returns the error of a key that is taken. Its text is made for the first one only, which the answer shows.
fn duplicate(primary_key: &Arc<str>, old: &Datum, new: &Datum) -> Error {
    let (primary_key, old, new) = (primary_key.clone(), old.clone(), new.clone());
    Error::lazily(ErrorKind::OpFailed, move || {
        format!("Duplicate primary key `{primary_key}`:\n{}\n{}", old.print(), new.print())
    })
}

/// Returns true if a function always makes the same value of the same row, so that its result depends on the
/// row alone. A dependence on the time, which writes may have anyway, doesn't count: the time is the same
/// throughout a query.
pub fn is_atomic(determinism: Determinism) -> bool {
    determinism.holds_despite(Determinism::CONSTANT_NOW)
}

/// Replaces the rows with these keys by the results of a function, and counts the outcomes (`batched_replace`
/// in RethinkDB's `val.cc`). A function that isn't atomic has to return a document, because RethinkDB inserts
/// that. For the same reason, the rows for which it fails are not shown.
pub fn replace(
    env: &Env,
    table: &TableRef,
    keys: Vec<Datum>,
    func: &Func,
    options: &WriteOptions,
) -> Result<Written> {
    let is_atomic = is_atomic(func.determinism());
    let rows = keys
        .into_iter()
        .map(|key| {
            let (env, func, primary_key) = (env.clone(), func.clone(), table.primary_key().clone());
            let own_key = key.clone();
            let becomes = move |old: &Datum| {
                let flags = if is_atomic { Flags::LITERAL_OK } else { Flags::NONE };
                let new = func.call_val(&env, std::slice::from_ref(old), flags)?.into_datum()?;
                if !is_atomic {
                    check_insertion(&primary_key, &own_key, old, &new)?;
                }
                Ok(new)
            };
            Ok(Row { hides_failure: !is_atomic, ..Row::new(key, becomes)? })
        })
        .collect();
    write(env, table, rows, options)
}

/// The function that makes the new row of the old one; `null` stands for none.
type Becomes = Box<dyn FnMut(&Datum) -> Result<Datum> + Send>;

/// A row to be written.
struct Row {
    key: Datum,
    encoded_key: Vec<u8>,
    is_key_generated: bool,
    /// True if the answer doesn't show this row when it can't be written.
    hides_failure: bool,
    becomes: Becomes,
}

impl Row {
    /// Makes a row to be written. Fails for a key that no row can have.
    fn new(key: Datum, becomes: impl FnMut(&Datum) -> Result<Datum> + Send + 'static) -> Result<Row> {
        let encoded_key = key::primary(&key)?;
        Ok(Row {
            key,
            encoded_key,
            is_key_generated: false,
            hides_failure: false,
            becomes: Box::new(becomes),
        })
    }
}

fn document_key(document: &Datum, table: &TableRef) -> Result<Datum> {
    let field = document.as_object()?.get(table.primary_key());
    field.ok_or_else(|| lacks_key(document, table.primary_key()))
}

fn lacks_key(document: &Datum, primary_key: &str) -> Error {
    Error::logic(format!("Inserted object must have primary key `{primary_key}`:\n{}", document.print()))
}

/// The outcome of a write, or a future of it.
pub enum Written {
    /// The write is done.
    Done(Stats),
    /// The write is under way; only on threads that may not wait.
    Later(Later),
}

/// Writes rows in order. Some may be errors, which were found without reading the table.
fn write(env: &Env, table: &TableRef, rows: Vec<Result<Row>>, options: &WriteOptions) -> Result<Written> {
    let _told = env.work(Work::Write);
    match table.backing() {
        Backing::Stored(stored) => write_stored(env, table, stored, rows, options),
        Backing::System(_) if !env.may_wait() => Err(Error::would_block()),
        Backing::System(system) => write_system(env, table, *system, rows, options).map(Written::Done),
    }
}

/// Writes rows of a system table, one after the other, each locked from being read to being written.
fn write_system(
    env: &Env,
    table: &TableRef,
    system: SystemTable,
    rows: Vec<Result<Row>>,
    options: &WriteOptions,
) -> Result<Stats> {
    env.require(Permission::Read, table.scope())?;
    env.require(Permission::Write, table.scope())?;
    let mut report = Report::new(env, options.return_changes);
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                report.refused(&error);
                continue;
            }
        };
        let _locked = system.lock(env)?;
        let old = system.row(env, &row.key)?.unwrap_or_default();
        let place = report.tried(row.hides_failure);
        let outcome = match write_system_row(env, table, system, row, &old) {
            Err(error) if error.ends_query() || error.kind() == ErrorKind::Permission => return Err(error),
            Err(error) => Err(storage::Failed { old: Some(old), error }),
            Ok(new) => Ok(storage::Outcome { changed: old != new, old: Some(old), new: Some(new) }),
        };
        report.settle(place, outcome);
    }
    report.finish()
}

fn write_system_row(
    env: &Env,
    table: &TableRef,
    system: SystemTable,
    row: Row,
    old: &Datum,
) -> Result<Datum> {
    let Row { key, encoded_key, is_key_generated, mut becomes, .. } = row;
    let new = becomes(old)?;
    check_replacement(table.primary_key(), &encoded_key, old, &new)?;
    system.write(env, &key, is_key_generated, new)
}

/// Writes rows of the store. Those that have no valid key are only counted.
fn write_stored(
    env: &Env,
    table: &TableRef,
    stored: &storage::Table,
    rows: Vec<Result<Row>>,
    options: &WriteOptions,
) -> Result<Written> {
    env.require(Permission::Write, table.scope())?;
    let hook = if options.ignore_write_hook { None } else { table.write_hook()? };
    let hook = hook.map(|func| Hook { func, env: env.for_stored() });
    if hook.is_some() && !env.may_wait() {
        // The work of a hook, and its duration, are unknown.
        return Err(Error::would_block());
    }
    let durability = options.durability.unwrap_or(stored.config().durability);
    let mut mutations = Vec::with_capacity(rows.len());
    let mut report = Report::new(env, options.return_changes);
    for row in rows {
        match row {
            Ok(row) => {
                report.tried(row.hides_failure);
                mutations.push(mutation(table, row, hook.clone()).within(env.budget()));
            }
            Err(error) => report.refused(&error),
        }
    }
    if env.may_wait() {
        stored.write_each(mutations, durability, &mut |place, outcome| report.settle(place, outcome))?;
        return report.finish().map(Written::Done);
    }
    let Ok([mutation]) = <[_; 1]>::try_from(mutations) else { return Err(Error::would_block()) };
    let started = stored.start_write(mutation, durability)?;
    fuel::commit();
    match started {
        Started::Done(outcomes) => report.of(outcomes).map(Written::Done),
        Started::Submitted(results) => Ok(Written::Later(Later { report, results })),
    }
}

/// A write that has been handed to the storage.
pub struct Later {
    report: Report,
    results: oneshot::Receiver<storage::Results>,
}

impl Later {
    /// Waits for the outcome.
    pub async fn finish(self) -> Result<Stats> {
        let results = self.results.await;
        self.report.of(results.unwrap_or_else(|_| Err(Error::op_failed("The database is closed.")))?)
    }
}

fn mutation(table: &TableRef, row: Row, hook: Option<Hook>) -> Mutation {
    let Row { encoded_key: key, mut becomes, .. } = row;
    let (primary_key, own_key) = (table.primary_key().clone(), key.clone());
    Mutation::new(key, move |old| {
        let old = old.cloned().unwrap_or_default();
        let mut new = becomes(&old)?;
        if let Some(hook) = &hook {
            new = hook.apply(&primary_key, &old, new)?;
        }
        check_replacement(&primary_key, &own_key, &old, &new)?;
        Ok(match (&old, &new) {
            (Datum::Null, Datum::Null) => Change::Keep,
            (_, Datum::Null) => Change::Delete,
            _ if old == new => Change::Keep,
            _ => Change::Put(new),
        })
    })
}

/// The write hook, and the environment in which it is called.
#[derive(Clone)]
struct Hook {
    func: Func,
    env: Env,
}

impl Hook {
    /// Returns the row that the hook decides on (`apply_write_hook` in RethinkDB's `btree.cc`).
    fn apply(&self, primary_key: &str, old: &Datum, new: Datum) -> Result<Datum> {
        let id = if new.is_null() { old.get(primary_key) } else { new.as_object()?.get(primary_key) };
        let id = id.unwrap_or_default();
        let context = Datum::object([("primary_key", id), ("timestamp", self.env.now()?)]);
        let modified = self
            .func
            .call(&self.env, &[context, old.clone(), new.clone()])
            .map_err(|error| Error::new(error.kind(), format!("Error in write hook: {error}")))?;
        match (new.is_null(), modified.is_null()) {
            (true, false) => {
                Err(Error::op_failed("A write hook function must not turn a deletion into a replace/insert."))
            }
            (false, true) => {
                Err(Error::op_failed("A write hook function must not turn a replace/insert into a deletion."))
            }
            _ => Ok(modified),
        }
    }
}

fn not_an_object(value: &Datum) -> Error {
    let message = format!("Inserted value must be an OBJECT (got {}):\n{}", value.type_name(), value.print());
    value.type_error(message)
}

/// Checks that a document may be inserted in place of a row (`rcheck_valid_replace` in `datum.cc`).
fn check_insertion(primary_key: &str, key: &Datum, old: &Datum, new: &Datum) -> Result<()> {
    let id = new.as_object()?.get(primary_key).ok_or_else(|| lacks_key(new, primary_key))?;
    if id == *key { Ok(()) } else { Err(changes_key(primary_key, old, new)) }
}

fn changes_key(primary_key: &str, old: &Datum, new: &Datum) -> Error {
    let (old, new) = (old.print(), new.print());
    Error::logic(format!("Primary key `{primary_key}` cannot be changed (`{old}` -> `{new}`)."))
}

/// Checks that a row may be replaced by this one (`rcheck_row_replacement` in RethinkDB's `table_common.cc`).
fn check_replacement(primary_key: &str, key: &[u8], old: &Datum, new: &Datum) -> Result<()> {
    match new {
        Datum::Null => return Ok(()),
        Datum::Object(_) => {}
        other => return Err(not_an_object(other)),
    }
    let id = new.get(primary_key).ok_or_else(|| lacks_key(new, primary_key))?;
    if new.reql_type().is_some() {
        // The key may be a field of a time, but no one could read such a document.
        return Err(not_an_object(new));
    }
    if let Some(old_id) = old.get(primary_key) {
        if old_id == id {
            return Ok(());
        }
        return Err(changes_key(primary_key, old, new));
    }
    if key::primary(&id)? != key {
        return Err(Error::logic(format!(
            "Primary key `{primary_key}` cannot be changed (null -> {})",
            new.print()
        )));
    }
    Ok(())
}
