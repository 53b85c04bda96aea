//! From a handler's outcome to a response.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use warp::Reply;
use warp::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use warp::http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection, reject};

use super::call::JSON;
use crate::conn::Clock;
use crate::error::Error;

/// Runs a handler: its outcome, or its panic, becomes the response, which carries the connection's clock.
///
/// Boxed, since a filter's future has room for the largest of all handlers, and is moved about for each
/// request.
pub(crate) fn answer<F, R>(clock: Clock, handler: F) -> BoxFuture<'static, Response>
where
    F: Future<Output = Result<R, Error>> + Send + 'static,
    R: Reply,
{
    // An async block would have room for the handler twice: as what it captured, and as what it awaits.
    let answer = AssertUnwindSafe(handler).catch_unwind().map(|outcome| {
        let mut response = match outcome {
            Ok(Ok(reply)) => reply.into_response(),
            Ok(Err(error)) => error.into_response(),
            Err(panic) => Error::Internal(message(panic.as_ref())).into_response(),
        };
        response.extensions_mut().insert(clock);
        response
    });
    answer.boxed()
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}

/// A JSON document.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut response = warp::reply::json(value).into_response();
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    response
}

/// A JSON document that is written already.
pub(crate) fn json_text(status: StatusCode, text: Vec<u8>) -> Response {
    // A body alone would be of a type for bytes of any kind.
    let mut response = warp::http::Response::new(text).into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// No body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// Sets a header, unless its value can't be one.
pub(crate) fn with_header<V>(mut response: Response, name: HeaderName, value: V) -> Response
where
    HeaderValue: TryFrom<V>,
{
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Says where what was created is.
pub(crate) fn at(response: Response, location: &str) -> Response {
    with_header(response, LOCATION, location)
}

/// The methods by which something is read.
pub(crate) fn read() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::get().or(warp::head()).unify()
}

/// The end of a path's routes: every method but these is answered with 405, and `OPTIONS` with what there is.
pub(crate) fn only(allow: &'static str) -> impl Filter<Extract = (Response,), Error = Rejection> + Copy {
    warp::method().and_then(move |method: Method| async move {
        if method == Method::OPTIONS {
            return Ok(with_header(empty(StatusCode::NO_CONTENT), warp::http::header::ALLOW, allow));
        }
        if allow.split(", ").any(|allowed| allowed == method.as_str()) {
            return Err(reject::not_found());
        }
        Ok(Error::MethodNotAllowed { allow: allow.to_owned() }.into_response())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn panicking() -> Result<Response, Error> {
        panic!("the secret is 42")
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_that_tells_nothing() {
        let response = answer(Clock::default(), panicking()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.extensions().get::<Clock>().is_some());
        let problem = response.extensions().get::<crate::error::Problem>().unwrap();
        assert_eq!(problem.cause.as_deref(), Some("a handler panicked: the secret is 42"));
        assert!(!problem.detail.contains("secret"));
    }
}
