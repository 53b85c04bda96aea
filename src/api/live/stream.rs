//! The body of a live answer: events until the client leaves, the feed fails, or the service stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use warp::http::Method;
use warp::http::header::{CACHE_CONTROL, HeaderName};
use warp::reply::{Reply, Response};
use warp::sse::{self, Event};

use super::event::{Row, named, reset};
use crate::app::App;
use crate::app::scale::Scale;
use crate::conn::{Conn, Rows};
use crate::error::{Answered, Error, Problem};
use crate::http::answer::with_header;
use crate::shares::{Holder, Share};

/// How long a client waits before it comes again.
const RETRY: Duration = Duration::from_secs(2);
/// How often a stream without events shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Asks nginx and its like to pass events on as they come.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The events of one client.
pub(crate) struct Feed {
    rows: Rows<Conn, Row>,
    /// What is to be said before anything else.
    first: [Option<Event>; 2],
    /// The id of the event before.
    id: u64,
    ended: bool,
    /// The weight of the event before. It is held until the next one is asked for, since nobody asks while a
    /// client doesn't read.
    held: Option<Scale>,
    app: App,
    holder: Holder,
    subscriber: Subscriber,
    /// Given back after the connection is closed, since fields are dropped in their order.
    _share: Share,
}

/// Whom a stream is for. The outermost layer, which alone knows, fills it in when it sees the response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscriber(Arc<OnceLock<Request>>);

#[derive(Debug)]
struct Request {
    path: String,
    id: String,
    debug: bool,
}

impl Subscriber {
    /// Notes which request the stream answers.
    pub(crate) fn is(&self, request: Answered<'_>) {
        let Answered { path, request_id, debug, .. } = request;
        let _ = self.0.set(Request { path: path.to_owned(), id: request_id.to_owned(), debug });
    }

    fn answered(&self) -> Option<Answered<'_>> {
        let Request { path, id, debug } = self.0.get()?;
        Some(Answered { method: &Method::GET, path, request_id: id, debug: *debug })
    }
}

impl Feed {
    /// A feed whose first row has come already. `returns` is whether the client was here before, and `share`
    /// is its right to be served.
    pub(crate) fn new(
        rows: Rows<Conn, Row>,
        first: Row,
        returns: bool,
        (app, holder, share): (App, Holder, Share),
    ) -> Self {
        Feed {
            rows,
            first: [reset().filter(|_| returns), first.into_event()],
            id: 0,
            ended: false,
            held: None,
            app,
            holder,
            subscriber: Subscriber::default(),
            _share: share,
        }
    }

    /// The answer, which ends when `stopped` is done.
    pub(crate) fn into_response(self, stopped: impl Future<Output = ()> + Send + Sync + 'static) -> Response {
        let subscriber = self.subscriber.clone();
        let state = (self, Box::pin(stopped));
        let events = stream::unfold(state, |(mut feed, mut stopped)| async move {
            let event = feed.next(stopped.as_mut()).await?;
            Some((Ok::<_, Infallible>(event), (feed, stopped)))
        });
        respond(subscriber, events)
    }

    async fn next(&mut self, stopped: Pin<&mut (impl Future<Output = ()> + Send)>) -> Option<Event> {
        if self.ended {
            return None;
        }
        tokio::select! {
            biased;
            () = stopped => {
                self.ended = true;
                Some(Event::default().comment("The service stops."))
            }
            event = self.next_event() => {
                self.id += 1;
                event.map(|event| event.id(self.id.to_string()))
            }
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.first.iter_mut().find_map(Option::take) {
            return Some(event);
        }
        self.held = None;
        loop {
            let event = match self.rows.next().await? {
                Ok(row) => self.weighed(row),
                Err(error) => Err(error),
            };
            match event {
                Ok(None) => {}
                Ok(event) => return event,
                Err(error) => {
                    self.ended = true;
                    return failure(&self.subscriber, &error);
                }
            }
        }
    }

    /// The event of a row.
    ///
    /// # Errors
    ///
    /// If it is too heavy, or all answers and events in memory are with it.
    fn weighed(&mut self, row: Row) -> Result<Option<Event>, Error> {
        let scale = self.held.insert(self.app.scale(self.holder.clone()));
        row.documents().try_for_each(|document| scale.add(document))?;
        Ok(row.into_event())
    }
}

/// A stream that only tells that there can be none at this time.
pub(crate) fn failed(error: Error) -> Response {
    let subscriber = Subscriber::default();
    let told = subscriber.clone();
    let event = async move { failure(&told, &error) };
    let events = stream::once(event).filter_map(|event| async { event.map(Ok) });
    respond(subscriber, events)
}

/// The head of a stream, for who asks for nothing else.
pub(crate) fn head() -> Response {
    respond(Subscriber::default(), stream::empty())
}

fn respond(
    subscriber: Subscriber,
    events: impl Stream<Item = Result<Event, Infallible>> + Send + Sync + 'static,
) -> Response {
    let start = stream::iter([Ok(Event::default().retry(RETRY))]);
    let events = sse::keep_alive().interval(KEEP_ALIVE).stream(start.chain(events));
    let mut response = sse::reply(events).into_response();
    response.extensions_mut().insert(subscriber);
    let response = with_header(response, CACHE_CONTROL, "no-store");
    with_header(response, ACCEL_BUFFERING, "no")
}

/// The event of a feed that has failed: a problem document, as a response would have it.
fn failure(subscriber: &Subscriber, error: &Error) -> Option<Event> {
    let request = subscriber.answered();
    let id = request.map_or("-", |request| request.request_id);
    log::warn!("{id} a live query ends: {error}");
    named("error", Problem::from(error).document(request))
}
