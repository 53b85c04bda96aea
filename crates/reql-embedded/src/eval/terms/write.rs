//! Writing rows: insert, replace and their short forms, and writes for each row of a sequence.

use std::sync::Arc;

use crate::accounts::Permission;
use crate::datum::{Datum, key};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::eval::room::Room;
use crate::eval::stats::{Merged, Stats};
use crate::eval::table::TableRef;
use crate::eval::write::{self, Conflict, Document, Later, ReturnChanges, WriteOptions, Written};
use crate::eval::{
    Arity, Call, Determinism, Env, Flags, Func, Keys, Mentioned, Rows, Shortcut, Spec, Stream, Val, Value,
};
use crate::storage::Durability;
use crate::term::{RawTerm, TermType};

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Insert, Arity::exactly(2), insert).optargs(&[
        "conflict",
        "durability",
        "return_vals",
        "return_changes",
        "ignore_write_hook",
    ]),
    Spec::new(TermType::Replace, Arity::exactly(2), replace).optargs(REPLACE_OPTARGS),
    Spec::rewritten(TermType::Update, Arity::exactly(2), rewrite_update),
    Spec::rewritten(TermType::Delete, Arity::exactly(1), rewrite_delete),
    Spec::new(TermType::ForEach, Arity::exactly(2), for_each),
    Spec::new(TermType::Sync, Arity::exactly(1), sync).determinism(Determinism::NO),
];

const REPLACE_OPTARGS: &[&str] =
    &["non_atomic", "durability", "return_vals", "return_changes", "ignore_write_hook"];

fn ignore_write_hook(call: &Call<'_>) -> Result<bool> {
    Ok(call.optarg("ignore_write_hook")?.map(Val::into_bool).transpose()?.unwrap_or(false))
}

/// Returns the durability that a term asks for.
pub fn durability(call: &Call<'_>) -> Result<Option<Durability>> {
    let Some(value) = call.optarg("durability")? else { return Ok(None) };
    let bt = value.bt;
    match &*value.into_str()? {
        "hard" => Ok(Some(Durability::Hard)),
        "soft" => Ok(Some(Durability::Soft)),
        other => Err(Error::logic(format!(
            "Durability option `{other}` unrecognized (options are \"hard\" and \"soft\")."
        ))
        .at(bt)),
    }
}

fn return_changes(call: &Call<'_>) -> Result<ReturnChanges> {
    if call.optarg("return_vals")?.is_some() {
        return Err(
            call.fail("Error: encountered obsolete optarg `return_vals`.  Use `return_changes` instead.")
        );
    }
    let Some(value) = call.optarg("return_changes")? else { return Ok(ReturnChanges::No) };
    match value.into_datum()? {
        Datum::Str(text) if &*text == "always" => Ok(ReturnChanges::Always),
        Datum::Str(text) => Err(call.fail(format!(
            "Invalid return_changes value `{text}` (options are `true`, `false`, and `'always'`.)"
        ))),
        other => Ok(if other.is_truthy() { ReturnChanges::Yes } else { ReturnChanges::No }),
    }
}

fn conflict(call: &Call<'_>) -> Result<Conflict> {
    let Some(value) = call.optarg("conflict")? else { return Ok(Conflict::Error) };
    let bt = value.bt;
    if matches!(value.value, Value::Func(_)) {
        return value.into_func(Shortcut::None).map(Conflict::Func);
    }
    match &*value.into_str()? {
        "error" => Ok(Conflict::Error),
        "replace" => Ok(Conflict::Replace),
        "update" => Ok(Conflict::Update),
        other => Err(Error::logic(format!(
            "Conflict option `{other}` unrecognized (options are \"error\", \"replace\" and \"update\")."
        ))
        .at(bt)),
    }
}

fn check_conflict_function(call: &Call<'_>, func: &Func) -> Result<()> {
    if !write::is_atomic(func.determinism()) {
        return Err(call.fail("The conflict function passed to `insert` must be deterministic."));
    }
    if !matches!(func.arity(), Some(0 | 3)) {
        return Err(call.fail("The conflict function passed to `insert` should expect 3 arguments."));
    }
    Ok(())
}

fn insert(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    let return_changes = return_changes(call)?;
    let conflict = conflict(call)?;
    let durability = durability(call)?;
    let options = WriteOptions { durability, return_changes, ignore_write_hook: ignore_write_hook(call)? };
    write::check_hook_bypass(call.env, &table, &options)?;
    if let Conflict::Func(func) = &conflict {
        check_conflict_function(call, func)?;
    }
    let mut tally = Tally::default();
    let mut keys = GeneratedKeys::new(call.env);
    let documents = documents(call, &table)?;
    documents.in_batches(
        call.env,
        |document| keys.complete(&table, document),
        |batch| tally.add(write::insert(call.env, &table, batch, &conflict, &options)?, call.env),
    )?;
    keys.report(&mut tally.stats);
    Ok(tally.into_val(call))
}

/// Returns the documents to be inserted into a table: one object, or the rows of a sequence.
fn documents(call: &mut Call<'_>, table: &TableRef) -> Result<Rows> {
    let documents = call.arg(1)?;
    let bt = documents.bt;
    let document = match &documents.value {
        Value::Datum(datum) => datum.clone(),
        Value::Single(row) => row.get()?,
        _ => Datum::Null,
    };
    if matches!(document, Datum::Object(_)) {
        return Ok(Rows::Apart(Stream::of_array(vec![document], bt)));
    }
    if documents.is_datum() {
        return documents.into_stream(call.env).map(Rows::Apart);
    }
    let rows = documents.into_stream(call.env)?;
    rows.check_finite()?;
    if call.arg_tables(1).may_overlap(&Mentioned::table(table.name())) {
        return Rows::ahead(rows, &call.env.at_this_moment()?);
    }
    Ok(Rows::Apart(rows))
}

/// The sum of a write's parts.
#[derive(Default)]
struct Tally {
    stats: Stats,
    /// Last part, if it is still under way.
    later: Option<Later>,
}

impl Tally {
    fn add(&mut self, written: Written, env: &Env) -> Result<()> {
        match written {
            Written::Done(stats) => {
                self.stats.add(stats, env.limits);
                Ok(())
            }
            Written::Later(later) => match self.later.replace(later) {
                None => Ok(()),
                Some(_) => Err(Error::internal("A write of several parts was begun where nothing may wait.")),
            },
        }
    }

    fn into_val(self, call: &Call<'_>) -> Val {
        let Tally { mut stats, later } = self;
        let Some(later) = later else { return call.val(stats.into_datum()) };
        let (limits, bt) = (call.env.limits, call.bt());
        let counted = async move {
            let last = later.finish().await.at(bt)?;
            stats.add(last, limits);
            Ok(stats.into_datum())
        };
        Val { value: Value::Later(Box::pin(counted)), bt }
    }
}

/// The keys of documents that came without one.
struct GeneratedKeys {
    keys: Vec<Datum>,
    skipped: usize,
    limit: usize,
    room: Room,
}

impl GeneratedKeys {
    fn new(env: &Env) -> Self {
        GeneratedKeys { keys: Vec::new(), skipped: 0, limit: env.limits.array, room: Room::new(env) }
    }

    /// Returns the document with a key, generated if it has none.
    fn complete(&mut self, table: &TableRef, document: Datum) -> Document {
        let object = match &document {
            // A time can't have another field.
            Datum::Object(object)
                if !object.contains_key(table.primary_key()) && document.reql_type().is_none() =>
            {
                object
            }
            _ => return Document { value: document, is_key_generated: false },
        };
        let key = Datum::from(uuid::Uuid::new_v4().to_string());
        if self.skipped == 0 && self.keys.len() < self.limit && self.room.take(&key) {
            self.keys.push(key.clone());
        } else {
            self.skipped += 1;
        }
        let value = Datum::Object(object.clone().with(table.primary_key().clone(), key));
        Document { value, is_key_generated: true }
    }

    fn report(self, stats: &mut Stats) {
        if self.skipped > 0 {
            stats.warn(format!(
                "Too many generated keys ({}), array truncated to {}.",
                self.skipped + self.keys.len(),
                self.keys.len()
            ));
        }
        if !self.keys.is_empty() {
            stats.generated_keys(self.keys, self.room);
        }
    }
}

fn replace(call: &mut Call<'_>) -> Result<Val> {
    let non_atomic = call.optarg("non_atomic")?.map(Val::into_bool).transpose()?.unwrap_or(false);
    let return_changes = return_changes(call)?;
    let durability = durability(call)?;
    let options = WriteOptions { durability, return_changes, ignore_write_hook: ignore_write_hook(call)? };
    if !non_atomic && !write::is_atomic(call.arg_determinism(1)) {
        return Err(
            call.fail("Could not prove argument deterministic.  Maybe you want to use the non_atomic flag?")
        );
    }
    let func = call.arg(1)?.into_func(Shortcut::Constant)?;
    let mut tally = Tally::default();
    let selection = call.arg(0)?;
    if let Value::Single(single) = &selection.value {
        write::check_hook_bypass(call.env, single.table(), &options)?;
        let key = single.key()?;
        if single.table().stored().is_some() {
            // No row can have such a key, so there is nothing to be counted either.
            key::primary(&key)?;
        }
        let written = write::replace(call.env, single.table(), vec![key], &func, &options)?;
        tally.add(written, call.env)?;
    } else {
        let (table, rows) = selection.into_selection(call.env)?;
        write::check_hook_bypass(call.env, &table, &options)?;
        let before = call.env.at_this_moment()?;
        // A function that reads other rows must not see the effects of this write.
        let looks_around = !write::is_atomic(func.determinism());
        // For other functions only, RethinkDB blames this term for reading the keys of the rows.
        let bt = if looks_around { rows.place() } else { call.bt() };
        let keys = Rows::ahead(rows.then(Keys(table.primary_key().clone()), bt), &before)?;
        let env = if looks_around {
            before
        } else {
            drop(before);
            call.env.clone()
        };
        keys.in_batches(
            &env,
            |key| key,
            |keys| tally.add(write::replace(&env, &table, keys, &func, &options)?, &env),
        )?;
    }
    Ok(tally.into_val(call))
}

/// Rewrites `delete` to `replace` by nothing.
fn rewrite_delete(raw: &RawTerm) -> Result<RawTerm> {
    let bt = raw.bt;
    let func = function(bt, -11, RawTerm::literal(Datum::Null, bt));
    Ok(with_optargs(RawTerm::generated(TermType::Replace, bt, vec![raw.args[0].clone(), func]), raw))
}

/// Rewrites `update` to `replace` by the row merged with the argument's result for it; a missing row stays
/// missing, and `null` leaves the row alone.
fn rewrite_update(raw: &RawTerm) -> Result<RawTerm> {
    const OLD: i64 = -12;
    const NEW: i64 = -13;
    let bt = raw.bt;
    let term = |kind, args| RawTerm::generated(kind, bt, args);
    let null = || RawTerm::literal(Datum::Null, bt);
    let is_null = |name| term(TermType::Eq, vec![null(), variable(bt, name)]);
    let merged = term(TermType::Merge, vec![variable(bt, OLD), variable(bt, NEW)]);
    let unless_null = term(TermType::Branch, vec![is_null(NEW), variable(bt, OLD), merged]);
    let literal_ok = |mut call: RawTerm| {
        call.optargs.make_mut().push((Arc::from("_EVAL_FLAGS_"), RawTerm::literal(Datum::Num(1.0), bt)));
        call
    };
    let change = literal_ok(term(TermType::Funcall, vec![raw.args[1].clone(), variable(bt, OLD)]));
    let apply = literal_ok(term(TermType::Funcall, vec![function(bt, NEW, unless_null), change]));
    let body = term(TermType::Branch, vec![is_null(OLD), null(), apply]);
    Ok(with_optargs(term(TermType::Replace, vec![raw.args[0].clone(), function(bt, OLD, body)]), raw))
}

fn variable(bt: Bt, name: i64) -> RawTerm {
    RawTerm::generated(TermType::Var, bt, vec![RawTerm::literal(Datum::Num(name as f64), bt)])
}

fn function(bt: Bt, param: i64, body: RawTerm) -> RawTerm {
    let params = vec![RawTerm::literal(Datum::Num(param as f64), bt)];
    RawTerm::generated(TermType::Func, bt, vec![RawTerm::generated(TermType::MakeArray, bt, params), body])
}

fn with_optargs(mut term: RawTerm, raw: &RawTerm) -> RawTerm {
    term.optargs.clone_from(&raw.optargs);
    term
}

fn for_each(call: &mut Call<'_>) -> Result<Val> {
    const EXPECTS_WRITES: &str = "FOR_EACH expects one or more basic write queries.";
    let rows = call.stream(0)?;
    let func = call.arg(1)?.into_func(Shortcut::Constant)?;
    rows.check_finite()?;
    let mut rows = if call.arg_tables(0).may_overlap(&call.arg_tables(1)) {
        Rows::ahead(rows, &call.env.at_this_moment()?)?
    } else {
        Rows::Apart(rows)
    };
    let mut merged = Merged::new(call.env);
    while let Some(row) = rows.next(call.env)? {
        rows.suspend();
        let result = func.call_val(call.env, &[row], Flags::NONE)?;
        let bt = result.bt;
        let explain = |error: Error| {
            let message = match error.bt() {
                Some(_) => EXPECTS_WRITES.to_owned(),
                None => format!("{EXPECTS_WRITES}  {error}"),
            };
            Error::new(error.kind(), message).at(error.bt().unwrap_or(bt))
        };
        match result.into_datum().map_err(explain)? {
            object @ Datum::Object(_) => merged.add(&object).map_err(explain)?,
            other => {
                for item in other.as_array().map_err(explain)?.iter() {
                    merged.add(&item).map_err(explain)?;
                }
            }
        }
    }
    Ok(call.val(merged.into_datum()?))
}

fn sync(call: &mut Call<'_>) -> Result<Val> {
    let table = call.arg(0)?.into_table()?;
    call.env.require(Permission::Write, table.scope()).at(call.bt())?;
    if table.stored().is_none() {
        return Err(call.fail_as(ErrorKind::OpFailed, "Artificial tables don't support `sync()`."));
    }
    call.env.store()?.sync().at(call.bt())?;
    Ok(call.val(Datum::object([("synced", Datum::Num(1.0))])))
}
