//! The head of a request, shared by all who look at it.

use std::convert::Infallible;
use std::sync::Arc;

use warp::Filter;
use warp::http::header::HOST;
use warp::http::uri::{Authority, PathAndQuery};
use warp::http::{HeaderMap, Method, Request};
use warp::path::FullPath;

use crate::shares::Client;

/// A request without its body. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Head(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    method: Method,
    uri: PathAndQuery,
    headers: HeaderMap,
    /// The host as the URI has it, which is where HTTP/2 says it.
    authority: Option<Authority>,
    client: Option<Client>,
}

impl Head {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Head(Arc::new(Parts {
            method: request.method().clone(),
            uri: request.uri().path_and_query().cloned().unwrap_or_else(root),
            headers: request.headers().clone(),
            authority: request.uri().authority().cloned(),
            client: request.extensions().get().copied(),
        }))
    }

    pub(crate) fn method(&self) -> &Method {
        &self.0.method
    }

    pub(crate) fn path(&self) -> &str {
        self.0.uri.path()
    }

    /// The parameters as they stand in the URL; empty if there are none.
    pub(crate) fn query(&self) -> &str {
        self.0.uri.query().unwrap_or_default()
    }

    /// How long path and parameters are, the question mark between them included, in bytes.
    pub(crate) fn uri_len(&self) -> usize {
        self.0.uri.as_str().len()
    }

    /// The hosts that the request says it is for, in its URI and its headers; rarely more than one.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        let told = self.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        self.0.authority.iter().map(Authority::as_str).chain(told)
    }

    /// Whom the request comes from; `None` if it came by no socket of the server's.
    pub(crate) fn client(&self) -> Option<Client> {
        self.0.client
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }
}

/// The path of a request that is about none.
fn root() -> PathAndQuery {
    PathAndQuery::from_static("/")
}

/// Extracts the head: the one that [`service`](super::service()) left with the request, or else a new one.
pub(crate) fn head() -> impl Filter<Extract = (Head,), Error = Infallible> + Copy {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let new = warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned()).map(
        |method, path: FullPath, query: String, headers| {
            let uri = if query.is_empty() {
                path.as_str().to_owned()
            } else {
                format!("{}?{query}", path.as_str())
            };
            let uri = uri.try_into().unwrap_or_else(|_| root());
            Head(Arc::new(Parts { method, uri, headers, authority: None, client: None }))
        },
    );
    warp::ext::get::<Head>().or(new).unify()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_head_is_the_same_whoever_takes_it() {
        for uri in ["/tables/a%20b?x=1&y=%26", "/tables?", "/"] {
            let request = Request::builder().method("PUT").uri(uri).header("x", "1").body(()).unwrap();
            let left = Head::of(&request);
            let taken = warp::test::request().method("PUT").path(uri).header("x", "1").filter(&head()).await;
            let taken = taken.unwrap();
            assert_eq!((left.path(), left.query()), (taken.path(), taken.query()));
            assert_eq!((left.method(), left.headers()["x"].as_bytes()), (taken.method(), &b"1"[..]));
            assert_eq!(taken.headers()["x"], "1");
        }
    }
}
