//! `POST /tickets`: tickets for live queries of clients that can't send credentials.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::ComponentsBuilder;
use utoipa::openapi::schema::Object;
use warp::http::StatusCode;
use warp::http::header::AUTHORIZATION;
use warp::reply::Response;

use super::endpoint::{Endpoint, post};
use super::live;
use super::openapi::operation::{json_of, sent};
use super::openapi::schemas::{named, text};
use crate::app::tickets::LIFE;
use crate::error::{Code, Error};
use crate::http::answer::json as reply;
use crate::http::body::{Body, parse};
use crate::http::context::Context;
use crate::http::negotiate::JSON;
use crate::http::paths::{self, check};
use crate::http::prefix::divided;
use crate::http::ticket::{followed, ticket, with_ticket};
use crate::settings::Databases;
use crate::shares::Holder;

/// A request for a ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTicket {
    /// The path and the parameters of a live query.
    #[schema(schema_with = followed_url)]
    url: String,
}

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// The value of the parameter `ticket`.
    ticket: String,
    /// The URL with that parameter.
    url: String,
    /// The time for which it is valid, in seconds.
    expires_in: u64,
}

fn followed_url() -> Object {
    let c = "[^/?#%]|%[0-7][0-9A-Fa-f]";
    let id = format!(r"(?!\.{{1,2}}(\?|$))({c})+");
    let path = format!("/tables/[A-Za-z0-9_-]{{1,128}}/(changes|docs(/{id})?)");
    // Without a ticket.
    let none = "(?!([^#]*&)?ticket=[0-9a-f]{32}(&|$))";
    let pattern = format!(r"^{path}(\?{none}({c}|[/?])*)?$");
    text().pattern(Some(pattern)).examples([json!("/tables/heroes/docs?age=gte.18")]).build()
}

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let about = "Issue a ticket, which replaces the credentials of this request once, within half a minute, \
                 at the URL of one live query";
    let given = post("/tickets", "createTicket", about)
        .body(sent(&[JSON], named("NewTicket")))
        .answers(201, json_of("The ticket.", named("Ticket")))
        .problems(&[Code::ForeignOrigin, Code::TicketsExhausted])
        .admitted_with_body(give);
    vec![given]
}

/// The types of bodies and answers.
pub(crate) fn schemas(components: ComponentsBuilder) -> ComponentsBuilder {
    components.schema_from::<NewTicket>().schema_from::<Ticket>()
}

async fn give(context: Context, body: Body) -> Result<Response, Error> {
    context.plain()?;
    context.body_is(&[JSON])?;
    let NewTicket { url } = parse(&body?)?;
    let app = context.app();
    let followed = live_query(&url, &app.settings().databases)?;
    let credentials = context.headers().get_all(AUTHORIZATION).iter().cloned().collect();
    let holder = Holder::from(context.client()).with_user(context.user());
    let ticket = app.tickets().issue(holder, &followed, credentials)?;
    let url = with_ticket(&url, &ticket);
    let limit = app.limits().url;
    if url.len() as u64 > limit {
        return Err(Error::beyond(Code::UrlTooLong, limit));
    }
    Ok(reply(StatusCode::CREATED, &Ticket { url, ticket, expires_in: LIFE.as_secs() }))
}

/// Returns the canonical form of a live query's URL.
///
/// # Errors
///
/// [`Code::BadRequest`] if the URL isn't that of a live query.
fn live_query(url: &str, databases: &Databases) -> Result<String, Error> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let within = if databases.is_empty() { path } else { divided(path).1 };
    let is_live = live::PATHS.iter().any(|template| paths::fits(within, template));
    if !is_live || url.contains('#') || ticket(query).is_some() {
        return Err(Error::bad_request(
            "`url` is the path of a live query with its parameters, as `/tables/heroes/docs?age=gte.18`.",
        ));
    }
    check(path)?;
    followed(path, query)
}
