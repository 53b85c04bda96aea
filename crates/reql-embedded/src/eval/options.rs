//! The options of a whole query.

use std::sync::{Arc, LazyLock};

use super::compile::compile_constant;
use super::env::Env;
use super::func::Func;
use super::limits::Limits;
use crate::datum::Datum;
use crate::error::{Bt, Error, ErrorKind, Result};
use crate::term::{Query, RawTerm, TermType};

/// The options that a whole query may have, and that the terms in it may have (`optargs.cc`).
const OPTIONS: &[&str] = &[
    "_EVAL_FLAGS_",
    "_NO_RECURSE_",
    "_SHORTCUT_",
    "array_limit",
    "attempts",
    "auth",
    "base",
    "binary_format",
    "changefeed_queue_size",
    "conflict",
    "data",
    "db",
    "default",
    "default_timezone",
    "dry_run",
    "durability",
    "emergency_repair",
    "emit",
    "fill",
    "final_emit",
    "first_batch_scaledown_factor",
    "float",
    "geo",
    "geo_system",
    "group_format",
    "header",
    "identifier_format",
    "ignore_write_hook",
    "include_initial",
    "include_offsets",
    "include_states",
    "include_types",
    "index",
    "interleave",
    "left_bound",
    "max_batch_bytes",
    "max_batch_rows",
    "max_batch_seconds",
    "max_dist",
    "max_results",
    "method",
    "min_batch_rows",
    "multi",
    "non_atomic",
    "nonvoting_replica_tags",
    "noreply",
    "num_vertices",
    "ordered",
    "overwrite",
    "page",
    "page_limit",
    "params",
    "primary_key",
    "primary_replica_tag",
    "profile",
    "read_mode",
    "redirects",
    "replicas",
    "result_format",
    "return_changes",
    "return_vals",
    "right_bound",
    "shards",
    "squash",
    "time_format",
    "timeout",
    "unit",
    "use_outdated",
    "verify",
    "wait_for",
];

/// The database of queries that name none: nearly all of them, so it is compiled once.
static DEFAULT_DATABASE: LazyLock<Result<(Arc<str>, Func)>> = LazyLock::new(|| {
    let test = RawTerm::literal(Datum::str("test"), Bt::default());
    let database = compile_constant(&RawTerm::generated(TermType::Db, Bt::default(), vec![test]))?;
    Ok((Arc::from("db"), database))
});

/// Returns the environment with the options of a query.
pub(super) fn with_options(query: &Query, env: Env) -> Result<Env> {
    let mut options = Vec::with_capacity(query.optargs.len() + 1);
    for (name, raw) in &query.optargs {
        if !OPTIONS.contains(&&**name) {
            let message = format!("Unrecognized global optional argument `{name}`.");
            return Err(Error::new(ErrorKind::Compile, message).at(Bt::default()));
        }
        if options.iter().any(|(earlier, _)| earlier == name) {
            let message = format!("Duplicate global optional argument: `{name}`.");
            return Err(Error::new(ErrorKind::Compile, message).at(Bt::default()));
        }
        options.push((name.clone(), compile_constant(raw)?));
    }
    if !query.optargs.iter().any(|(name, _)| &**name == "db") {
        options.push(DEFAULT_DATABASE.clone()?);
    }
    Ok(env.with_optargs(options))
}

/// Returns the limits that the options set.
pub(super) fn limits(env: &Env) -> Result<Limits> {
    let Limits { array, changefeed_queue } = env.limits;
    let changefeed_queue = limit(env, "changefeed_queue_size", "changefeed queue size", changefeed_queue)?;
    let array = limit(env, "array_limit", "array size limit", array)?;
    Ok(Limits {
        array: array.min(Limits::GREATEST.array),
        changefeed_queue: changefeed_queue.min(Limits::GREATEST.changefeed_queue),
    })
}

fn limit(env: &Env, option: &str, name: &str, default: usize) -> Result<usize> {
    let Some(value) = env.optarg(option)? else { return Ok(default) };
    let value = value.into_int()?;
    match usize::try_from(value) {
        Ok(limit) if limit >= 1 => Ok(limit),
        _ => Err(Error::logic(format!("Illegal {name} `{value}`.  (Must be >= 1.)")).at(Bt::default())),
    }
}
