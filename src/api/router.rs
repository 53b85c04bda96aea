//! [`Router`]: finding the endpoint of a request.
//!
//! The API is one filter of warp, so that it can be combined with other routes. Within it, endpoints are
//! looked up in a table instead of being chained filters: a filter can't list its paths and methods, which
//! `Allow`, the OpenAPI document and the metrics need.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::header::ALLOW;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::Side;
use super::endpoint::Endpoint;
use crate::app::App;
use crate::error::{Code, Error};
use crate::http::answer::{answer, empty, refuse, with_header};
use crate::http::body::{Chunks, chunks};
use crate::http::context::Context;
use crate::http::encoded::Decoder;
use crate::http::paths::fits;

/// The endpoints of the API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Router(Arc<Vec<Endpoint>>);

impl Router {
    /// Creates the router for the endpoints of one of the addresses.
    pub(crate) fn new(app: &App, side: Side) -> Self {
        Router(Arc::new(super::endpoints(app.settings(), side)))
    }

    /// Returns the template that a path matches, which is one of a fixed set.
    pub(crate) fn template(&self, path: &str) -> Option<&'static str> {
        // The most frequent endpoints are the last ones.
        self.0.iter().rev().map(Endpoint::path).find(|template| fits(path, template))
    }

    /// Answers every request that has a [`Context`].
    pub(crate) fn filter(&self) -> BoxedFilter<(Response,)> {
        let router = self.clone();
        let answered = move |context, body| {
            let router = router.clone();
            async move { router.answer(context, body).await }
        };
        warp::ext::get::<Context>().and(chunks()).then(answered).boxed()
    }

    async fn answer(&self, context: Context, body: Chunks) -> Response {
        let here = || self.0.iter().filter(|endpoint| Some(endpoint.path()) == context.template());
        if let Some(endpoint) = here().find(|endpoint| endpoint.takes(context.method())) {
            let app = context.app();
            let weight = || app.arriving(context.client().into());
            let decoder = Decoder::of(context.headers(), app.limits().bulk_body, weight);
            let body = body.decoded_by(decoder);
            let response = answer(context.clone(), endpoint.answer(context, body)).await;
            return match response.status() {
                StatusCode::UNSUPPORTED_MEDIA_TYPE => endpoint.tell_patches(response),
                _ => response,
            };
        }
        let allow = here().map(Endpoint::method).map(allowed).collect::<Vec<_>>().join(", ");
        match context.method() {
            _ if allow.is_empty() => refuse(&context, &Error::from(Code::NoSuchPath)),
            &Method::OPTIONS => {
                let told = with_header(empty(StatusCode::NO_CONTENT), ALLOW, allow);
                here().fold(told, |told, endpoint| endpoint.tell_patches(told))
            }
            _ => refuse(&context, &Error::method_not_allowed(&allow)),
        }
    }
}

/// Returns the methods in `Allow` for an endpoint with this method.
fn allowed(method: &Method) -> &str {
    if method == Method::GET { "GET, HEAD" } else { method.as_str() }
}
