//! The body of a live answer: events until the client leaves, the feed fails, or the service stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use warp::http::header::CACHE_CONTROL;
use warp::reply::{Reply, Response};
use warp::sse::{self, Event};

use super::event::{Row, named, reset};
use crate::app::scale::Scale;
use crate::conn::{Conn, Rows};
use crate::error::Error;
use crate::http::answer::with_header;
use crate::http::context::Context;
use crate::http::headers::ACCEL_BUFFERING;
use crate::shares::{Holder, Share};

/// The time for which a client waits before it comes again.
const RETRY: Duration = Duration::from_secs(2);
/// How often a stream without events shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
    context: Context,
    holder: Holder,
    /// Done when the client's token counts no longer.
    expired: Pin<Box<dyn Future<Output = Error> + Send + Sync>>,
    /// Given back after the connection is closed, since fields are dropped in their order.
    _share: Share,
}

impl Feed {
    /// A feed whose first row has come already. `returns` is whether the client was here before, and `share`
    /// is its right to be served.
    pub(crate) fn new(
        rows: Rows<Conn, Row>,
        first: Row,
        returns: bool,
        (context, holder, share): (Context, Holder, Share),
    ) -> Self {
        Feed {
            rows,
            first: [reset().filter(|_| returns), first.into_event()],
            id: 0,
            ended: false,
            held: None,
            expired: Box::pin(context.expired()),
            context,
            holder,
            _share: share,
        }
    }

    /// The answer, which ends when `stopped` is done.
    pub(crate) fn into_response(self, stopped: impl Future<Output = ()> + Send + Sync + 'static) -> Response {
        let state = (self, Box::pin(stopped));
        let events = stream::unfold(state, |(mut feed, mut stopped)| async move {
            let event = feed.next(stopped.as_mut()).await?;
            Some((Ok::<_, Infallible>(event), (feed, stopped)))
        });
        respond(events)
    }

    async fn next(&mut self, stopped: Pin<&mut (impl Future<Output = ()> + Send)>) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = tokio::select! {
            biased;
            () = stopped => {
                self.ended = true;
                return Some(Event::default().comment("The service stops."));
            }
            event = self.next_event() => event,
        };
        self.id += 1;
        event.map(|event| event.id(self.id.to_string()))
    }

    async fn next_event(&mut self) -> Option<Event> {
        if let Some(event) = self.first.iter_mut().find_map(Option::take) {
            return Some(event);
        }
        self.held = None;
        loop {
            let row = tokio::select! {
                biased;
                error = &mut self.expired => Some(Err(error)),
                row = self.rows.next() => row,
            };
            let event = match row? {
                Ok(row) => self.weighed(row),
                Err(error) => Err(error),
            };
            match event {
                Ok(None) => {}
                Ok(event) => return event,
                Err(error) => {
                    self.ended = true;
                    return failure(&self.context, &error);
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
        let scale = self.held.insert(self.context.app().scale(self.holder.clone()));
        row.documents().try_for_each(|document| scale.add(document))?;
        Ok(row.into_event())
    }
}

/// A stream that only tells that there can be none at this time.
pub(crate) fn failed(context: &Context, error: Error) -> Response {
    let context = context.clone();
    let event = async move { failure(&context, &error) };
    let events = stream::once(event).filter_map(|event| async { event.map(Ok) });
    respond(events)
}

/// The head of a stream, for who asks for nothing else.
pub(crate) fn head() -> Response {
    respond(stream::empty())
}

fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + Sync + 'static) -> Response {
    let start = stream::iter([Ok(Event::default().retry(RETRY))]);
    let events = sse::keep_alive().interval(KEEP_ALIVE).stream(start.chain(events));
    let response = with_header(sse::reply(events).into_response(), CACHE_CONTROL, "no-store");
    with_header(response, ACCEL_BUFFERING, "no")
}

/// The event of a feed that has failed: a problem document, as a response would have it.
fn failure(context: &Context, error: &Error) -> Option<Event> {
    log::warn!(request_id = context.id(); "{} a live query ends: {error}", context.id());
    named("error", error.document(context.answered()))
}
