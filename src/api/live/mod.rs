//! Live queries: lists and documents as server-sent events.
//!
//! A live query is a request for a list or a document with `Accept: text/event-stream`. Clients with the same
//! live query share a [hub](crate::live). Errors are reported by a status before the stream begins, and by an
//! `error` event later.

mod answer;
mod related;
mod source;

use futures_util::TryFutureExt;
use warp::http::StatusCode;
use warp::reply::Response;

use super::admission::{Admitted, Unproven};
use super::endpoint::{Endpoint, get};
use super::openapi::operation::text_of;
use super::openapi::parameters;
use crate::access::Grant;
use crate::api::expand::expansions;
use crate::conn::Conn;
use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::http::headers::LAST_EVENT_ID;
use crate::http::negotiate::EVENT_STREAM;
use crate::query::{Bounds, Expansion, Live, Parameters};
use crate::settings::Settings;
use source::Followed;

/// The paths of live queries.
pub(super) const PATHS: [&str; 3] = [CHANGES, "/tables/{table}/docs", "/tables/{table}/docs/{id}"];
/// The path that has live queries only.
const CHANGES: &str = "/tables/{table}/changes";

/// Returns the endpoints of live queries with a path of their own, for clients that can't set `Accept`.
pub(crate) fn endpoints(settings: &Settings) -> Vec<Endpoint> {
    let about = "Follow the documents: a stream of server-sent events. Lists and documents are followed at \
                 their own paths too, with `Accept: text/event-stream`.";
    let followed = get(CHANGES, "followDocuments", about)
        .takes([parameters::name("table")])
        .takes(parameters::live())
        .takes(parameters::filter())
        .takes(parameters::followed(&settings.limits))
        .takes(parameters::chosen())
        .takes(parameters::expansions(&settings.relations))
        .answers(200, text_of("The events, until the client leaves.", EVENT_STREAM))
        .problems(&[
            Code::QueryLogic,
            Code::NoSuchIndex,
            Code::Refused,
            Code::FeedsExhausted,
            Code::InvalidTicket,
        ])
        .live_only(list);
    vec![followed]
}

/// `GET /tables/{t}/docs`, `GET /tables/{t}/changes`
pub(crate) async fn list(context: Context, conn: Unproven) -> Result<Response, Error> {
    let follow = async |admitted: Admitted| {
        let (conn, grant, _admission) = admitted.for_documents()?;
        follow_list(&context, conn, &grant).await
    };
    let outcome = conn.admitted().and_then(follow).await;
    told_to(&context, outcome)
}

/// `GET /tables/{t}/docs/{id}`
pub(crate) async fn document(context: Context, conn: Unproven) -> Result<Response, Error> {
    let follow = async |admitted: Admitted| {
        let (conn, grant, _admission) = admitted.for_documents()?;
        follow_one(&context, conn, &grant).await
    };
    let outcome = conn.admitted().and_then(follow).await;
    told_to(&context, outcome)
}

/// Turns an error into an event for a client that reconnects. An `EventSource` never reconnects after a
/// status other than 200, but an outage may end, and so may its own old connection, which still counts.
fn told_to(context: &Context, outcome: Result<Response, Error>) -> Result<Response, Error> {
    match outcome {
        Err(error) if may_pass(&error) && last_event(context).is_some() => {
            Ok(answer::failed(context, &error))
        }
        outcome => outcome,
    }
}

fn may_pass(error: &Error) -> bool {
    error.status().is_server_error() || error.status() == StatusCode::TOO_MANY_REQUESTS
}

/// Returns the id of the last event that the client has seen, if it reconnects.
fn last_event(context: &Context) -> Option<String> {
    let by_header = context.headers().get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    by_header.map_or_else(
        || context.parameters().ok().and_then(|mut parameters| parameters.take_last_event_id()),
        |id| Some(id.to_str().unwrap_or_default().to_owned()),
    )
}

/// Returns the parameters without the id of the last event, which clients that can't set a header send there.
fn parameters_of(context: &Context) -> Result<Parameters, Error> {
    let mut parameters = context.parameters()?;
    parameters.take_last_event_id();
    Ok(parameters.sorted())
}

async fn follow_list(context: &Context, mut conn: Conn, grant: &Grant) -> Result<Response, Error> {
    let table = context.table()?;
    let (mut live, primary_key) = live_query((context, &mut conn), (&table, grant), Live::parse).await?;
    if live.needs_index() {
        go_through_its_index(&mut live, &table, (context, &mut conn)).await?;
    }
    let list = Followed::list(context, &conn, (&table, primary_key), &live);
    follow(context, conn, live.initial(), list).await
}

async fn follow_one(context: &Context, mut conn: Conn, grant: &Grant) -> Result<Response, Error> {
    let (table, id) = (context.table()?, context.document()?);
    let (live, primary_key) = live_query((context, &mut conn), (&table, grant), Live::parse_one).await?;
    let document = Followed::document(context, &conn, (&table, primary_key), (&live, id));
    follow(context, conn, live.initial(), document).await
}

/// Reads the live query of a request. Returns it with the primary key of its table.
async fn live_query(
    (context, conn): (&Context, &mut Conn),
    (table, grant): (&str, &Grant),
    parse: impl FnOnce(Parameters, Bounds<'_>, Vec<Expansion>) -> Result<Live, Error>,
) -> Result<(Live, String), Error> {
    grant.to_read()?;
    context.accept(&[EVENT_STREAM])?;
    let mut parameters = parameters_of(context)?;
    let primary_key = context.app().catalog().primary_key(conn, table).await?;
    let from = (table, &primary_key[..], grant);
    let expansions = expansions((context, &mut *conn), from, &mut parameters).await?;
    let limits = context.app().limits().pages();
    let bounds = Bounds { limits, primary_key: &primary_key, readable: grant.readable() };
    let live = parse(parameters, bounds, expansions)?;
    conn.check(live.check()).await?;
    Ok((live, primary_key))
}

/// Adds the client to the hub of its live query.
async fn follow(context: &Context, conn: Conn, initial: bool, source: Followed) -> Result<Response, Error> {
    if context.is_head() {
        return Ok(answer::head());
    }
    let (app, holder) = (context.app(), context.holder(&conn));
    // The client needs no connection any more.
    drop(conn);
    let share = app.feed(holder.clone())?;
    let key = source.key()?;
    let live_query = || app.live_query(holder.clone());
    let arrival = app.hubs().arrive(&key, Box::new(share), live_query, || Box::new(source))?;
    // The query has the rules of before, and the hubs of before have ended. The client has to ask again.
    if app.is_superseded() {
        return Ok(answer::again());
    }
    arrival.is_live().await?;
    Ok(answer::events(arrival.events(answer::wish(context, holder, initial))))
}

/// Has a live query go through the index that it needs.
async fn go_through_its_index(
    live: &mut Live,
    table: &str,
    (context, conn): (&Context, &mut Conn),
) -> Result<(), Error> {
    let catalog = context.app().catalog();
    if live.go_through(&catalog.indexes(conn, table).await?.plain)? {
        return Ok(());
    }
    // The index may have just been created.
    catalog.forget_indexes(table);
    let known = catalog.indexes(conn, table).await?;
    if live.go_through(&known.plain)? {
        return Ok(());
    }
    Err(match live.named() {
        None => Error::bad_parameter("order", "a live query's order needs an index over just these fields"),
        Some(name) if known.has(name) => {
            Error::bad_parameter("index", "a live query goes through an index over plain fields")
        }
        Some(_) => Code::NoSuchIndex.into(),
    })
}
