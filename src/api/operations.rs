//! Operations: whether the process lives, whether it can serve, and its figures.

use serde_json::json;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::{Reply, Response};
use warp::{Filter, reject};

use crate::app::App;
use crate::conn::{Clock, Conn, with_conn};
use crate::error::Error;
use crate::http::answer::{answer, json as reply, only, read, with_header};
use crate::http::call::{Call, TEXT, call};
use crate::metrics;

pub(crate) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let path = || warp::path!("health" / "live");
    let live = path().and(read()).and(call(app)).then(|call| answer(Clock::default(), live(call)));
    let live = live.or(path().and(only("GET, HEAD"))).unify();

    let path = || warp::path!("health" / "ready");
    let ready = path()
        .and(read())
        .and(call(app))
        .and(with_conn(app.database()))
        .then(|call, conn: Conn| answer(conn.clock(), ready(call, conn)));
    let ready = ready.or(path().and(only("GET, HEAD"))).unify();

    let path = || warp::path!("metrics");
    let metrics = path().and(read()).and(call(app)).then(|call| answer(Clock::default(), metrics(call)));
    let metrics = metrics.or(path().and(only("GET, HEAD"))).unify();

    let debug = app.settings().debug;
    let path = move || {
        let shown = move || std::future::ready(if debug { Ok(()) } else { Err(reject::not_found()) });
        warp::path!("config").and_then(shown).untuple_one()
    };
    let config = path().and(read()).and(call(app)).then(|call| answer(Clock::default(), config(call)));
    let config = config.or(path().and(only("GET, HEAD"))).unify();

    live.or(ready).unify().or(metrics).unify().or(config).unify().boxed()
}

/// The process answers.
async fn live(call: Call) -> Result<Response, Error> {
    call.plain()?;
    Ok(reply(StatusCode::OK, &json!({"status": "live"})))
}

/// What Prometheus asks for.
async fn metrics(call: Call) -> Result<Response, Error> {
    call.parameters()?.finish()?;
    call.accept(&[TEXT])?;
    let figures = call.app.figures()?.into_response();
    Ok(with_header(figures, CONTENT_TYPE, metrics::TEXT))
}

/// The effective settings. Secrets mask themselves.
async fn config(call: Call) -> Result<Response, Error> {
    call.plain()?;
    Ok(reply(StatusCode::OK, call.app.settings()))
}

/// The database answers too.
async fn ready(call: Call, conn: Conn) -> Result<Response, Error> {
    call.plain()?;
    call.app.ready().ask(conn).await?;
    Ok(reply(StatusCode::OK, &json!({"status": "ready"})))
}
