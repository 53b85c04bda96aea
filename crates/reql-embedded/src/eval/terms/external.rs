//! Terms that leave the language: scripts in JavaScript, and requests over HTTP.

#[cfg(feature = "javascript")]
use std::sync::Arc;
#[cfg(feature = "javascript")]
use std::time::Duration;

use crate::accounts::{Permission, Scope};
use crate::error::Result;
use crate::eval::{Arity, Call, Determinism, Spec, Val};
#[cfg(feature = "javascript")]
use crate::eval::{
    Func, Value,
    javascript::{Outcome, Script},
};
use crate::term::TermType;

/// The terms of this family.
pub const TERMS: &[Spec] = &[
    Spec::new(TermType::Javascript, Arity::exactly(1), js).optargs(&["timeout"]).determinism(Determinism::NO),
    Spec::new(TermType::Http, Arity::exactly(1), http).optargs(HTTP_OPTIONS).determinism(Determinism::NO),
];

const HTTP_OPTIONS: &[&str] = &[
    "data",
    "timeout",
    "method",
    "params",
    "header",
    "attempts",
    "redirects",
    "verify",
    "page",
    "page_limit",
    "auth",
    "result_format",
];

/// Evaluates a script to a value or a function.
#[cfg(feature = "javascript")]
fn js(call: &mut Call<'_>) -> Result<Val> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(60);
    let timeout = match call.optarg("timeout")? {
        // Beyond the range of integers, the nearest one will do.
        Some(seconds) => Duration::from_millis((seconds.into_num()? * 1000.0) as u64),
        None => TIMEOUT,
    };
    let timeout = timeout.min(LONGEST);
    let source = call.datum(0)?.as_str()?.clone();
    let script = Script { source, timeout };
    match call.env.javascript.eval(call.env, &script)? {
        Outcome::Value(datum) => Ok(call.val(datum)),
        Outcome::Function => {
            Ok(Val { value: Value::Func(Func::native(Arc::new(script), call.bt())), bt: call.bt() })
        }
    }
}

#[cfg(not(feature = "javascript"))]
fn js(call: &mut Call<'_>) -> Result<Val> {
    Err(call.fail("`r.js` is not supported by this server: it was built without JavaScript."))
}

/// Refuses to make a request. A user who may only query the server could reach hosts that only its machine
/// can.
fn http(call: &mut Call<'_>) -> Result<Val> {
    call.env.require(Permission::Connect, Scope::Global)?;
    Err(call.fail("`r.http` is not supported by this server: it makes no requests of its own."))
}
