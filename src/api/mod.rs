//! The ready-made JSON API: tables, indexes, documents, operations.
//!
//! Each module has a `routes` function, which says which requests it takes, and a handler for each of them.
//! Handlers are plain functions from what a request says to a response or an [`Error`](crate::Error).

mod admission;
pub(crate) mod documents;
pub(crate) mod indexes;
pub(crate) mod live;
mod openapi;
mod operations;
mod permission;
mod tables;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;

/// Returns every endpoint of the API.
pub(crate) fn endpoints(app: &App) -> BoxedFilter<(Response,)> {
    // What is asked for most comes first, since whatever stands before it is tried in vain each time; but
    // live queries, which have the paths of documents, before those.
    live::live(app)
        .or(documents::routes(app))
        .unify()
        .or(live::routes(app))
        .unify()
        .or(tables::routes(app))
        .unify()
        .or(indexes::routes(app))
        .unify()
        .or(operations::routes(app))
        .unify()
        .or(openapi::routes(app))
        .unify()
        .boxed()
}
