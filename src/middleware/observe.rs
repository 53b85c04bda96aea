//! What every request gets, whichever route takes it: an id, timings, a line in the log, figures, problem
//! documents in full.

use std::convert::Infallible;
use std::mem;

use http_body_util::BodyExt;
use log::{Level, log};
use tokio::time::Instant;
use warp::Filter;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use warp::reply::{Reply, Response};

use crate::api::live::{EVENT_STREAM, Subscriber};
use crate::app::App;
use crate::app::outage::Outage;
use crate::conn::Clock;
use crate::digest::hex;
use crate::error::{Answered, Error, Problem};
use crate::http::answer::with_header;
use crate::http::head::{Head, head};
use crate::http::paths::template;
use crate::metrics::Going;

/// The longest request id that is taken over.
const REQUEST_ID_MAX: usize = 128;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Where the request's connection came from; for a service with `debug` only.
const DB_CONNECTION: HeaderName = HeaderName::from_static("db-connection");

/// What is known of a request before anything is done for it.
struct Request {
    id: String,
    head: Head,
    started: Instant,
    app: App,
    _running: Going,
}

/// Wraps all routes.
pub(crate) fn observed<F>(
    app: &App,
    routes: F,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<F>
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + 'static,
{
    let app = app.clone();
    head().map(move |head| Request::new(&app, head, Instant::now())).and(routes).map(Request::finish)
}

/// A request on its way through the routes, to be answered in their stead if they take too long.
pub(crate) struct Witness {
    app: App,
    head: Head,
    started: Instant,
}

impl Witness {
    pub(crate) fn new(app: &App, head: Head) -> Self {
        Witness { app: app.clone(), head, started: Instant::now() }
    }

    /// The answer in the routes' stead: nobody else has answered, logged or counted the request.
    pub(crate) fn answer(self, error: Error) -> Response {
        Request::new(&self.app, self.head, self.started).finish(error.into_response())
    }
}

impl Request {
    fn new(app: &App, head: Head, started: Instant) -> Self {
        let id = request_id(head.headers().get(REQUEST_ID));
        Request { id, head, started, app: app.clone(), _running: app.metrics().request() }
    }

    fn finish(mut self, mut response: Response) -> Response {
        let clock = response.extensions_mut().remove::<Clock>().unwrap_or_default();
        match response.extensions_mut().remove::<Problem>() {
            Some(problem) => response = self.in_full(problem, &response),
            None if clock.has_connection() => {
                if let Some(news) = self.app.outage().answered() {
                    news.tell("");
                }
            }
            None => {}
        }
        if let Some(subscriber) = response.extensions_mut().remove::<Subscriber>() {
            subscriber.is(self.answered());
        }
        let (status, took) = (response.status(), self.started.elapsed());
        let (method, path) = (self.head.method(), self.head.path());
        self.app.metrics().answered(template(path), method, status, took);
        log::info!("{} {method} {path} {} {:.1}ms", self.id, status.as_u16(), took.as_secs_f64() * 1000.0);
        response = with_header(response, REQUEST_ID, mem::take(&mut self.id));
        response = with_header(response, SERVER_TIMING, clock.server_timing(took));
        if self.app.settings().debug {
            response = with_header(response, DB_CONNECTION, clock.source());
        }
        self.app.settings().cors.allow(&self.head, &mut response);
        // What has a tag may be kept, and asked about; nothing else can be told to be still as it was.
        let keep = if response.headers().contains_key(ETAG) { "no-cache" } else { "no-store" };
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(keep));
        self.count_feed(response)
    }

    fn answered(&self) -> Answered<'_> {
        let debug = self.app.settings().debug;
        Answered { method: self.head.method(), path: self.head.path(), request_id: &self.id, debug }
    }

    /// A problem as a document that knows its request; what the response to it had to say beside it stays.
    fn in_full(&self, problem: Problem, response: &Response) -> Response {
        if let Some(cause) = &problem.cause {
            let is_outage = Outage::explains(problem.code);
            if is_outage && let Some(news) = self.app.outage().refused() {
                news.tell(cause);
            }
            let is_news = problem.status().is_server_error() && !is_outage;
            let level = if is_news { Level::Error } else { Level::Debug };
            log!(level, "{} {}: {cause}", self.id, problem.detail);
        }
        let mut document = problem.answer(self.answered());
        document.extensions_mut().remove::<Problem>();
        for (name, value) in response.headers() {
            document.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        document
    }

    /// An event stream counts as open until its body is dropped.
    fn count_feed(&self, response: Response) -> Response {
        let is_feed = |value: &HeaderValue| value.as_bytes().starts_with(EVENT_STREAM.as_bytes());
        if !response.headers().get(CONTENT_TYPE).is_some_and(is_feed) {
            return response;
        }
        let open = self.app.metrics().feed();
        let (head, body) = response.into_parts();
        let body = body.map_frame(move |frame| {
            let _open = &open;
            frame
        });
        let mut response = warp::reply::stream(body.into_data_stream()).into_response();
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }
}

/// The client's own id if it is one that can stand in a log, else a new one.
fn request_id(sent: Option<&HeaderValue>) -> String {
    let sane =
        |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.bytes().all(|c| c.is_ascii_graphic());
    let sent = sent.and_then(|id| id.to_str().ok()).filter(sane);
    sent.map_or_else(|| hex(&fastrand::u128(..).to_be_bytes()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::database::Database;
    use crate::settings::{Rdb, Settings};

    #[tokio::test]
    async fn an_event_stream_counts_until_it_is_dropped() {
        let app = App::new(Settings::default(), Database::new(Rdb::default()).unwrap());
        let feeds = || {
            app.figures()
                .unwrap()
                .lines()
                .find(|line| line.starts_with("warp_reql_feeds "))
                .map(str::to_owned)
        };
        let head = Head::of(&warp::http::Request::get("/tables/t/docs").body(()).unwrap());
        let request = Request::new(&app, head, Instant::now());
        let event = Ok::<_, Infallible>(warp::sse::Event::default().data("x"));
        let response = request.finish(warp::sse::reply(stream::iter([event])).into_response());
        assert_eq!(feeds().as_deref(), Some("warp_reql_feeds 1"));
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "data:x\n\n");
        assert_eq!(feeds().as_deref(), Some("warp_reql_feeds 0"));
    }
}
