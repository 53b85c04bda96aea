//! Operations: whether the process lives, and whether it can serve.

use reql::r;
use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use super::App;
use super::answer::{answer, json as reply, only, read};
use super::call::{Call, call};
use crate::conn::{Clock, Conn, with_conn};
use crate::error::Error;

pub(super) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let path = || warp::path!("health" / "live");
    let live = path().and(read()).and(call(app)).then(|call| answer(Clock::default(), live(call)));
    let live = live.or(path().and(only("GET, HEAD"))).unify();

    let path = || warp::path!("health" / "ready");
    let ready = path()
        .and(read())
        .and(call(app))
        .and(with_conn(app.database()))
        .then(|call, conn: Conn| answer(conn.clock(), ready(call, conn)));
    live.or(ready).unify().or(path().and(only("GET, HEAD"))).unify().boxed()
}

/// The process answers.
async fn live(call: Call) -> Result<Response, Error> {
    call.plain()?;
    Ok(reply(StatusCode::OK, &json!({"status": "live"})))
}

/// The database answers too.
async fn ready(call: Call, mut conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    let answer: Result<Option<u8>, Error> = conn.first(r.expr(1)).await;
    match answer {
        Ok(_) => Ok(reply(StatusCode::OK, &json!({"status": "ready"}))),
        Err(error) => Err(error.into_unavailable()),
    }
}
