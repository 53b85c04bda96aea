//! The event stream of a live query, as an answer.

use std::convert::Infallible;

use futures_util::{FutureExt, Stream, stream};
use warp::http::Method;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use warp::hyper::body::Bytes;
use warp::reply::{Reply, Response};

use super::last_event;
use crate::access::Caller;
use crate::error::{Answered, Error};
use crate::http::answer::with_header;
use crate::http::context::Context;
use crate::http::headers::ACCEL_BUFFERING;
use crate::http::negotiate::EVENT_STREAM;
use crate::live::{Event, RETRY, Wish};
use crate::shares::Holder;

/// The part of a request that a problem document needs. It is kept as long as the stream, so it is less than
/// the whole request.
struct Asked {
    path: Box<str>,
    id: Box<str>,
    debug: bool,
}

impl Asked {
    fn of(context: &Context) -> Self {
        let Answered { path, request_id, debug, .. } = context.answered();
        Asked { path: path.into(), id: request_id.into(), debug }
    }

    /// Returns the last event of a stream that has failed, with a problem document. It has no id, so that it
    /// doesn't change the client's position.
    fn failure(&self, error: &Error) -> Bytes {
        log::warn!(request_id = &*self.id; "{} a live query ends: {error}", self.id);
        let Asked { path, id, debug } = self;
        let answered = Answered { method: &Method::GET, path, request_id: id, debug: *debug };
        Event::bare("error", &error.document(answered))
    }
}

/// Returns the options of a client, from its request.
pub(super) fn wish(context: &Context, holder: Holder, initial: bool) -> Wish {
    let asked = Asked::of(context);
    let app = context.app();
    Wish {
        initial,
        last: last_event(context),
        failure: Box::new(move |error| asked.failure(error)),
        known: Box::new(app.follower_scale(holder.clone())),
        told: Box::new(app.follower_scale(holder)),
        end: context.caller().and_then(Caller::expires).map(|_| context.expired().boxed()),
    }
}

/// Answers with events.
pub(super) fn events<S, E>(events: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let response = warp::reply::stream(events).into_response();
    let response = with_header(response, CONTENT_TYPE, EVENT_STREAM);
    let response = with_header(response, CACHE_CONTROL, "no-store");
    with_header(response, ACCEL_BUFFERING, "no")
}

/// Returns a stream with nothing but an error.
pub(super) fn failed(context: &Context, error: &Error) -> Response {
    let failure = Asked::of(context).failure(error);
    events(stream::iter([Bytes::from_static(RETRY.as_bytes()), failure].map(Ok::<_, Infallible>)))
}

/// Returns a stream that ends at once, after which the client reconnects.
pub(super) fn again() -> Response {
    events(stream::iter([Ok::<_, Infallible>(Bytes::from_static(RETRY.as_bytes()))]))
}

/// Returns the answer to `HEAD`.
pub(super) fn head() -> Response {
    events(stream::empty::<Result<_, Infallible>>())
}
