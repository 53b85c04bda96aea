//! What every request gets, whichever route takes it: an id, timings, a line in the log, problem documents in full.

use std::convert::Infallible;

use log::{Level, log};
use tokio::time::Instant;
use warp::http::header::{HeaderName, HeaderValue};
use warp::http::{HeaderMap, Method};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, reject};

use super::App;
use super::call::raw_query;
use super::changes::Subscriber;
use crate::conn::Clock;
use crate::error::{Answered, Error, Problem};

/// The longest URL that is read, in bytes.
const URL_MAX: usize = 8 << 10;
/// The longest request id that is taken over.
const REQUEST_ID_MAX: usize = 128;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What is known of a request before anything is done for it.
struct Request {
    id: String,
    method: Method,
    path: FullPath,
    started: Instant,
    debug: bool,
}

/// Passes only URLs of a sane length.
pub(super) fn short_url() -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::path::full()
        .and(raw_query())
        .and_then(|path: FullPath, query: String| async move {
            if path.as_str().len() + query.len() > URL_MAX {
                return Err(reject::custom(Error::UriTooLong { limit: URL_MAX }));
            }
            Ok(())
        })
        .untuple_one()
}

/// Wraps all routes.
pub(super) fn observed<F>(
    app: &App,
    routes: F,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<F>
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + 'static,
{
    let debug = app.settings().debug;
    warp::method()
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .map(move |method, path, headers: HeaderMap| Request {
            id: request_id(&headers),
            method,
            path,
            started: Instant::now(),
            debug,
        })
        .and(routes)
        .map(finish)
}

fn finish(request: Request, mut response: Response) -> Response {
    let clock = response.extensions_mut().remove::<Clock>().unwrap_or_default();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let Some(cause) = &problem.cause {
            let level = if problem.status.is_server_error() { Level::Error } else { Level::Debug };
            log!(level, "{} {}: {cause}", request.id, problem.detail);
        }
        let headers = response.headers().clone();
        response = problem.answer(request.answered());
        for (name, value) in &headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    if let Some(subscriber) = response.extensions_mut().remove::<Subscriber>() {
        subscriber.is(request.answered());
    }
    let status = response.status().as_u16();
    let took = request.started.elapsed().as_secs_f64() * 1000.0;
    log::info!("{} {} {} {status} {took:.1}ms", request.id, request.method, request.path.as_str());
    set(&mut response, REQUEST_ID, &request.id);
    set(&mut response, SERVER_TIMING, &format!("{}, total;dur={took:.3}", clock.server_timing()));
    response
}

impl Request {
    fn answered(&self) -> Answered<'_> {
        Answered { method: &self.method, path: self.path.as_str(), request_id: &self.id, debug: self.debug }
    }
}

/// The client's own id if it is one that can stand in a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane =
        |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(|c| c.is_ascii_graphic());
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    sent.map_or_else(|| format!("{:032x}", fastrand::u128(..)), str::to_owned)
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
