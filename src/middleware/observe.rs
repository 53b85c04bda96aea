//! Observation of every request: id, timings, access log, metrics.

use std::time::Duration;

use futures_util::FutureExt;
use tower::service_fn;
use warp::http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use warp::reply::Response;

use super::line::Line;
use super::{Asked, Within};
use crate::database::Source;
use crate::http::answer::with_header;
use crate::http::context::Context;
use crate::http::headers::{
    DB_CONNECTION, RATE_LIMIT, RATE_LIMIT_POLICY, REQUEST_ID, SERVER_TIMING, TRACEPARENT,
};

/// Observes requests, and adds the id and the timings to their answers.
pub(crate) fn observed<B: Send + 'static>(within: impl Within<B>) -> impl Within<B> {
    service_fn(move |asked: Asked<B>| {
        let (within, context) = (within.clone(), asked.context.clone());
        let answered = async move {
            let _running = context.app().metrics().request();
            let response = within.answer(asked).await;
            Ok(finish(&context, response))
        };
        // Boxed, since it is moved through the layers and into the server's own future.
        answered.boxed()
    })
}

fn finish(context: &Context, mut response: Response) -> Response {
    let (app, timings) = (context.app(), context.timings());
    let (status, took) = (response.status(), context.started().elapsed());
    if timings.source().is_some()
        && !status.is_server_error()
        && let Some(news) = app.outage().answered()
    {
        news.tell("");
    }
    app.metrics().answered(context.template(), context.method(), status, took);
    Line::new(context, status, took).tell();
    response = with_header(response, REQUEST_ID, context.id());
    if let Some(trace) = context.trace() {
        response = with_header(response, TRACEPARENT, trace.to_string());
    }
    if let Some(left) = context.rate() {
        response = with_header(response, RATE_LIMIT_POLICY, left.policy());
        response = with_header(response, RATE_LIMIT, left.to_string());
    }
    // It would tell the time of the database without the noise of the network, and so what a query has gone
    // through that its caller may not see.
    if app.settings().debug || !app.access().restricts(context.caller()) {
        response = with_header(response, SERVER_TIMING, server_timing(timings.waited(), took));
    }
    if app.settings().debug {
        response = with_header(response, DB_CONNECTION, source(timings.source()));
    }
    app.settings().cors.allow(context, &mut response);
    // Answers with a tag may be stored and revalidated; others can't be revalidated, so they must not be
    // stored.
    let keep = if response.headers().contains_key(ETAG) { "no-cache" } else { "no-store" };
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(keep));
    response
}

/// Returns the value of `Server-Timing`, in milliseconds: the waits for the connection and for the database,
/// and the whole request.
fn server_timing([conn, db]: [Duration; 2], total: Duration) -> String {
    let mut timing = String::with_capacity(64);
    for (name, took) in [("conn", conn), (", db", db), (", total", total)] {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        timing.push_str(name);
        timing.push_str(";dur=");
        timing.push_str(&(us / 1000).to_string());
        timing.push('.');
        timing.extend([100, 10, 1].map(|unit| char::from(b'0' + (us / unit % 10) as u8)));
    }
    timing
}

/// Returns the value of `Db-Connection`.
fn source(source: Option<Source>) -> &'static str {
    match source {
        None => "none",
        Some(Source::Standby) => "standby",
        Some(Source::Dialled | Source::Personal) => "dialled",
        Some(Source::Reused) => "reused",
    }
}
