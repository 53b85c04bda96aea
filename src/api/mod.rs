//! The ready-made JSON API. Each resource defines its endpoints, with their descriptions and handlers.
//! Handlers are plain functions from a request to a response or an [`Error`](crate::Error).

mod admission;
mod documents;
mod endpoint;
mod expand;
mod indexes;
mod live;
mod openapi;
mod operations;
mod pages;
mod permission;
mod reql;
mod router;
mod tables;
mod tickets;

use utoipa::openapi::ComponentsBuilder;

use crate::settings::{Auth, Settings};
use endpoint::Endpoint;
use openapi::operation::{TOKEN, USER};
use operations::Text;
pub(crate) use router::Router;

/// The listening address of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The address for clients.
    Public,
    /// The address for operators.
    Admin,
}

impl Side {
    /// Returns whether an endpoint is served at this address. Without `admin.address`, the endpoints for
    /// operators are served together with the others.
    fn has(self, settings: &Settings, path: &str) -> bool {
        let is_for_operators = ["/metrics", "/config"].contains(&path) || path.starts_with("/health/");
        match self {
            Side::Public => settings.admin.address.is_none() || !is_for_operators,
            Side::Admin => is_for_operators,
        }
    }
}

/// Returns all endpoints of an address with these settings.
fn endpoints(settings: &Settings, side: Side) -> Vec<Endpoint> {
    let document = Text::default();
    let endpoints = operations::endpoints(settings, &document)
        .into_iter()
        .chain(pages::endpoints(settings))
        .chain(reql::endpoints(settings))
        .chain(tables::endpoints())
        .chain(indexes::endpoints())
        .chain(documents::endpoints(settings))
        .chain(live::endpoints(settings))
        .chain(tickets::endpoints())
        .filter(|endpoint| side.has(settings, endpoint.path()));
    let endpoints: Vec<_> = endpoints.map(|endpoint| of_users(endpoint, settings)).collect();
    let described = endpoints.iter().map(Endpoint::described);
    document.set(openapi::text(&openapi::document(settings, described, schemas()), settings));
    endpoints
}

/// Adds the credentials and their problems to an endpoint about data.
fn of_users(endpoint: Endpoint, settings: &Settings) -> Endpoint {
    match settings.auth {
        _ if !endpoint.is_about_data() => endpoint,
        Auth::Database => endpoint.with_problems(&USER).with_credentials(openapi::BASIC),
        Auth::None => endpoint.with_problems(&USER[1..]),
        Auth::Token => endpoint.with_problems(&TOKEN).with_credentials(openapi::BEARER),
    }
}

/// Returns the schemas of bodies and answers.
fn schemas() -> ComponentsBuilder {
    let resources = [tables::schemas, indexes::schemas, documents::schemas, tickets::schemas];
    resources.into_iter().fold(ComponentsBuilder::new(), |components, add| add(components))
}
