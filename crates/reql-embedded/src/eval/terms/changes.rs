//! `changes`: follows the changes of rows.

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Permission;
use crate::datum::Datum;
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::eval::stream::{Chain, Changes, FeedTraits, UnionStates};
use crate::eval::watch::{Watched, open_point};
use crate::eval::write::escaped;
use crate::eval::{Arity, Call, SingleSelection, Spec, Stream, TableRef, Val, Value};
use crate::feed::{Capacity, Feed, Form, Kind, Options, Wake};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[Spec::new(TermType::Changes, Arity::exactly(1), changes).optargs(&[
    "squash",
    "changefeed_queue_size",
    "include_initial",
    "include_offsets",
    "include_states",
    "include_types",
])];

/// A time longer than anyone waits, in seconds.
const LONGEST: f64 = 1e9;

fn changes(call: &mut Call<'_>) -> Result<Val> {
    let squash = squash(call)?;
    let form = Form {
        states: flag(call, "include_states")?,
        types: flag(call, "include_types")?,
        offsets: flag(call, "include_offsets")?,
    };
    let include_initial = flag(call, "include_initial")?;
    let subject = call.arg(0)?;
    let queue = Capacity { changes: queue_size(call)?, ..Capacity::default() };
    let options = Options { squash, include_initial, form, queue };
    let bt = subject.bt;
    let feed = match subject.value {
        Value::Single(row) => of_row(call, &row, options, bt)?,
        Value::Func(_) | Value::Db(_) | Value::Grouped(_) => return Err(subject.wrong_type("SELECTION")),
        _ => {
            let is_system = matches!(&subject.value, Value::Table(table) if table.stored().is_none());
            let unexpected = |error| if is_system { error } else { unexpected(error) };
            let rows = subject.into_stream(call.env).map_err(unexpected)?;
            let watched = rows.watch()?;
            of_streams(call, watched, options)?
        }
    };
    Ok(Val { value: Value::Stream(feed), bt: call.bt() })
}

fn flag(call: &Call<'_>, name: &str) -> Result<bool> {
    Ok(call.optarg(name)?.map(Val::into_bool).transpose()?.unwrap_or(false))
}

/// Returns the interval for which changes are collected; `None` if they are not.
fn squash(call: &Call<'_>) -> Result<Option<Duration>> {
    let Some(squash) = call.optarg("squash")? else { return Ok(None) };
    let bt = squash.bt;
    match squash.into_datum()? {
        Datum::Bool(squash) => Ok(squash.then_some(Duration::ZERO)),
        Datum::Num(seconds) if seconds >= 0.0 => Ok(Some(Duration::from_secs_f64(seconds.min(LONGEST)))),
        Datum::Num(_) => {
            let message = "Expected BOOL or a positive NUMBER but found a negative NUMBER.";
            Err(Error::logic(message).at(bt))
        }
        other => {
            Err(Error::logic(format!("Expected BOOL or NUMBER but found {}.", other.type_name())).at(bt))
        }
    }
}

/// Returns the number of changes that may wait: the number that the query asks for, up to the server's own
/// limit.
fn queue_size(call: &Call<'_>) -> Result<usize> {
    let size = match call.optarg("changefeed_queue_size")? {
        None => call.env.limits.changefeed_queue,
        Some(size) => {
            let size = size.into_int()?;
            usize::try_from(size).ok().filter(|size| *size >= 1).ok_or_else(|| {
                let message = format!("Illegal changefeed queue size `{size}`.  (Must be >= 1.)");
                Error::logic(message).at(Bt::default())
            })?
        }
    };
    Ok(size.min(Capacity::MOST_CHANGES))
}

/// Follows a single row. `bt` is the term that found it.
fn of_row(call: &Call<'_>, row: &SingleSelection, options: Options, bt: Bt) -> Result<Stream> {
    if let SingleSelection::First { slice, .. } = row {
        return of_stream(call, Watched::first((**slice).clone()), options, bt);
    }
    let (table, key) = (row.table(), row.key()?);
    check_readable(call, table)?;
    let wake = call.env.wake_for_feed();
    let feed = open_point(table, &key, call.env, options, wake.clone())?;
    Ok(stream((Kind::Point, feed), options, table, wake, bt))
}

fn of_stream(call: &Call<'_>, watched: Watched, options: Options, bt: Bt) -> Result<Stream> {
    let table = watched.table().clone();
    check_readable(call, &table)?;
    let wake = call.env.wake_for_feed();
    let feed = watched.open(call.env, options, wake.clone(), call.bt())?;
    Ok(stream(feed, options, &table, wake, bt))
}

fn stream(
    (kind, feed): (Kind, Box<dyn Feed>),
    options: Options,
    table: &TableRef,
    wake: Arc<Wake>,
    bt: Bt,
) -> Stream {
    let traits = FeedTraits { kind, has_states: options.form.states };
    Stream::new(Changes::new(feed, traits, table.scope(), wake, bt), bt)
}

/// Checks the permission to read. For tables of the store, RethinkDB doesn't expect this to fail, and its
/// error says so.
fn check_readable(call: &Call<'_>, table: &TableRef) -> Result<()> {
    let readable = call.env.require(Permission::Read, table.scope());
    match table.stored() {
        Some(_) => readable.map_err(unexpected),
        None => readable.at(call.bt()),
    }
}

/// Converts an error of the permission check. A refusal escapes from the query; other errors are the query's
/// own.
fn unexpected(error: Error) -> Error {
    if error.kind() == ErrorKind::Permission { escaped(error) } else { error }
}

/// Opens one feed, or joins those of the parts of a union.
fn of_streams(call: &Call<'_>, watched: Vec<Watched>, options: Options) -> Result<Stream> {
    let feeds = watched.into_iter().map(|watched| of_stream(call, watched, options, call.bt()));
    let mut feeds = feeds.collect::<Result<Vec<_>>>()?;
    if feeds.len() == 1
        && let Some(feed) = feeds.pop()
    {
        return Ok(feed);
    }
    let count = feeds.len();
    let union = Chain::new(feeds);
    Ok(if options.form.states {
        Stream::new(UnionStates::new(union, count), call.bt())
    } else {
        Stream::new(union, call.bt())
    })
}
