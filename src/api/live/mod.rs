//! Live queries: lists and documents as server-sent events.
//!
//! The same URL as a list or a document, with `Accept: text/event-stream`, is followed by a changefeed that
//! has a connection of its own. What is wrong with it is told by a status before the stream begins, and by an
//! `error` event later.

mod event;
mod stream;

use std::future::ready;

use futures_util::{StreamExt, TryFutureExt};
use reql::commands::Changes;
use reql::r;
use tokio::time::timeout;
use warp::filters::BoxedFilter;
use warp::http::header::HeaderName;
use warp::reply::Response;
use warp::{Filter, Rejection, reject};

use super::admission::{Admission, Unproven, conn};
use super::indexes;
use super::indexes::Index;
use crate::app::App;
use crate::conn::Conn;
use crate::error::Error;
use crate::http::answer::{answer, only, read};
use crate::http::call::{Call, NDJSON, call, favourite};
use crate::http::head::{Head, head};
use crate::http::paths::{id, table_name};
use crate::query::{Bounds, Live, Parameters, Path, initial};
use event::Row;
use stream::Feed;
pub(crate) use stream::Subscriber;

/// The type of live answers.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Lists and documents whose request names the type of live answers.
pub(crate) fn live(app: &App) -> BoxedFilter<(Response,)> {
    let conn = || conn(app);

    let path = || warp::path!("tables" / String / "docs");
    let list = path().and(read()).and(call(app)).and(conn());
    let list =
        list.then(|table, call, conn: Unproven| answer(conn.clock(), list_or_failure(table, call, conn)));

    let path = || warp::path!("tables" / String / "docs" / String);
    let one = path().and(read()).and(call(app)).and(conn());
    let one = one
        .then(|table, id, call, conn: Unproven| answer(conn.clock(), one_or_failure(table, id, call, conn)));

    asked_for().and(list.or(one).unify()).boxed()
}

/// Lists at a path of their own, for clients that can't name the type.
pub(crate) fn routes(app: &App) -> BoxedFilter<(Response,)> {
    let path = || warp::path!("tables" / String / "changes");
    let list = path().and(read()).and(call(app)).and(conn(app));
    let list =
        list.then(|table, call, conn: Unproven| answer(conn.clock(), list_or_failure(table, call, conn)));
    let other = path().and(only("GET, HEAD")).map(|_: String, response| response);
    list.or(other).unify().boxed()
}

/// Passes requests that prefer the type of live answers. Others are for the routes of lists and documents.
fn asked_for() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    let asked_for = |head: Head| favourite(head.headers(), &[EVENT_STREAM, NDJSON]) == EVENT_STREAM;
    head()
        .and_then(move |head| ready(if asked_for(head) { Ok(()) } else { Err(reject::not_found()) }))
        .untuple_one()
}

/// `GET /tables/{t}/docs`, `GET /tables/{t}/changes`
async fn list_or_failure(table: String, call: Call, conn: Unproven) -> Result<Response, Error> {
    let follow = async |(conn, _admission): (Conn, Admission)| follow_list(table, &call, conn).await;
    let outcome = conn.admitted().and_then(follow).await;
    told_to(&call, outcome)
}

/// `GET /tables/{t}/docs/{id}`
async fn one_or_failure(table: String, id: String, call: Call, conn: Unproven) -> Result<Response, Error> {
    let follow = async |(conn, _admission): (Conn, Admission)| follow_one(table, id, &call, conn).await;
    let outcome = conn.admitted().and_then(follow).await;
    told_to(&call, outcome)
}

/// An `EventSource` gives up for ever at any status but 200. One that returns after an outage is told by an
/// event that it isn't over yet, so that it comes again.
fn told_to(call: &Call, outcome: Result<Response, Error>) -> Result<Response, Error> {
    match outcome {
        Err(error) if returns(call) && error.status().is_server_error() => Ok(stream::failed(error)),
        outcome => outcome,
    }
}

/// Whether the client has been here before.
fn returns(call: &Call) -> bool {
    let by_header = call.headers().get(LAST_EVENT_ID).is_some_and(|id| !id.is_empty());
    by_header || call.parameters().is_ok_and(|mut parameters| parameters.take_last_event_id())
}

/// The parameters but for the id of the last event, which clients have there that can't set a header.
fn parameters(call: &Call) -> Result<Parameters, Error> {
    let mut parameters = call.parameters()?;
    parameters.take_last_event_id();
    Ok(parameters)
}

async fn follow_list(table: String, call: &Call, mut conn: Conn) -> Result<Response, Error> {
    let table = table_name(&table)?;
    call.accept(&[EVENT_STREAM])?;
    let parameters = parameters(call)?;
    let primary_key = call.app.primary_key(&mut conn, &table).await?;
    let live = Live::parse(parameters, Bounds { limits: call.app.limits(), primary_key: &primary_key })?;
    let index = match live.indexed_fields() {
        Some(fields) => Some(index_over(fields, &table, &mut conn).await?),
        None => None,
    };
    conn.check(live.check()).await?;
    follow(call, conn, live.initial(), live.query(&r.table(table), index.as_deref())).await
}

async fn follow_one(table: String, document: String, call: &Call, mut conn: Conn) -> Result<Response, Error> {
    let (table, id) = (table_name(&table)?, id(&document)?);
    call.accept(&[EVENT_STREAM])?;
    let mut parameters = parameters(call)?;
    let initial = initial(&mut parameters)?;
    parameters.finish()?;
    if call.is_head() {
        // A feed would have found out whether there is such a table.
        call.app.primary_key(&mut conn, &table).await?;
    }
    follow(call, conn, initial, r.table(table).get(id).changes()).await
}

/// Opens the feed and waits for its first row, with which the database says that it follows the query.
async fn follow(call: &Call, conn: Conn, initial: bool, feed: Changes) -> Result<Response, Error> {
    if call.is_head() {
        return Ok(stream::head());
    }
    let app = &call.app;
    let holder = call.holder(&conn);
    let share = app.feed(holder.clone())?;
    let returns = returns(call);
    let feed = feed
        // Whoever returns has missed changes: only what is there now makes up for them.
        .include_initial(initial || returns)
        .include_states(true)
        .include_types(true)
        .changefeed_queue_size(app.limits().feed_queue);
    let mut rows = conn.into_feed::<Row>(feed).await?;
    let patience = app.database().settings().query_timeout;
    let first = match timeout(patience, rows.next()).await {
        Ok(Some(first)) => first?,
        Ok(None) => return Err(Error::Internal("a feed ended before it began".to_owned())),
        Err(_) => {
            app.database().query_timed_out();
            return Err(Error::QueryTimeout(patience));
        }
    };
    Ok(Feed::new(rows, first, returns, (app.clone(), holder, share)).into_response(app.stopped()))
}

/// An index whose order is that of these fields.
async fn index_over(fields: &[Path], table: &str, conn: &mut Conn) -> Result<String, Error> {
    let indexes = indexes::of_table(table, conn).await?;
    let over = |index: &Index| index.plain().is_some_and(|own| own == fields);
    let found = indexes.into_iter().find(over).map(|index| index.name);
    found.ok_or_else(|| Error::BadParameter {
        name: "order".to_owned(),
        reason: "a live query's order needs an index over just these fields".to_owned(),
    })
}
