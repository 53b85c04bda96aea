//! The ready-made JSON API. Each resource says which endpoints it has: what they take, how they are
//! described, and the handler of each. Handlers are plain functions from what a request says to a response or
//! an [`Error`](crate::Error).

mod admission;
mod documents;
mod endpoint;
mod indexes;
mod live;
mod openapi;
mod operations;
mod pages;
mod permission;
mod reql;
mod router;
mod tables;

use utoipa::openapi::ComponentsBuilder;

use crate::settings::{Auth, Settings};
use endpoint::Endpoint;
use openapi::operation::USER;
use operations::Text;
pub(crate) use router::Router;

/// Returns every endpoint of the API, as these settings have it.
fn endpoints(settings: &Settings) -> Vec<Endpoint> {
    let document = Text::default();
    let endpoints = operations::endpoints(settings, &document)
        .into_iter()
        .chain(pages::endpoints(settings))
        .chain(reql::endpoints(settings))
        .chain(tables::endpoints())
        .chain(indexes::endpoints())
        .chain(documents::endpoints(settings))
        .chain(live::endpoints(settings));
    let endpoints: Vec<_> = endpoints.map(|endpoint| of_users(endpoint, settings)).collect();
    let described = endpoints.iter().map(Endpoint::described);
    document.set(openapi::document(settings, described, schemas()));
    endpoints
}

/// Adds what an endpoint about data has to say of users.
fn of_users(endpoint: Endpoint, settings: &Settings) -> Endpoint {
    match settings.auth {
        _ if !endpoint.is_about_data() => endpoint,
        Auth::Database => endpoint.with_problems(&USER).with_credentials(openapi::BASIC),
        Auth::None => endpoint.with_problems(&USER[1..]),
    }
}

/// Returns the types of bodies and answers.
fn schemas() -> ComponentsBuilder {
    let resources = [tables::schemas, indexes::schemas, documents::schemas];
    resources.into_iter().fold(ComponentsBuilder::new(), |components, add| add(components))
}
