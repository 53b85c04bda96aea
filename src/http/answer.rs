//! Conversion of a handler's result into a response.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use log::{Level, log};
use serde::Serialize;
use warp::Reply;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use warp::reply::Response;

use super::context::Context;
use super::negotiate::JSON;
use crate::app::outage::Outage;
use crate::error::{Code, Error};

/// Runs a handler. Its result, or its panic, becomes the response.
pub(crate) fn answer<F>(context: Context, handler: F) -> impl Future<Output = Response> + Send
where
    F: Future<Output = Result<Response, Error>> + Send,
{
    // An async block would hold the handler twice: once captured, and once awaited.
    AssertUnwindSafe(handler).catch_unwind().map(move |outcome| match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => refuse(&context, &error),
        Err(panic) => refuse(&context, &Error::internal(message(panic.as_ref()))),
    })
}

/// Answers a request with a problem document, and logs the cause, which clients must not see.
pub(crate) fn refuse(context: &Context, error: &Error) -> Response {
    if error.code() == Code::StorageFull {
        context.app().full().noticed();
    }
    if let Some(cause) = error.cause() {
        let is_outage = Outage::explains(error.code());
        if is_outage && let Some(news) = context.app().outage().refused() {
            news.tell(&cause);
        }
        let is_news = error.status().is_server_error() && !is_outage;
        let level = if is_news { Level::Error } else { Level::Debug };
        log!(level, request_id = context.id(); "{} {}: {cause}", context.id(), error.detail());
    }
    error.answer(context.answered())
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}

/// Returns a JSON document.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut response = warp::reply::json(value).into_response();
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    response
}

/// Returns a JSON document that is serialized already.
pub(crate) fn json_text(status: StatusCode, text: Vec<u8>) -> Response {
    // Without this, the type would be `application/octet-stream`.
    let mut response = warp::http::Response::new(text).into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// Returns an answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// Sets a header, unless its value is invalid.
pub(crate) fn with_header<V>(mut response: Response, name: HeaderName, value: V) -> Response
where
    HeaderValue: TryFrom<V>,
{
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Adds the header `Location` with the path of the created resource.
pub(crate) fn at(response: Response, location: &str) -> Response {
    with_header(response, LOCATION, location)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::app::App;
    use crate::database::Database;
    use crate::settings::{Rdb, Settings};

    async fn panicking() -> Result<Response, Error> {
        panic!("the secret is 42")
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_that_tells_nothing() {
        for debug in [false, true] {
            let settings = Settings { debug, ..Settings::default() };
            let app = App::new(settings, Database::new(Rdb::default()).unwrap());
            let context = Context::new(&app, &warp::http::Request::new(()), |_| None);
            let response = answer(context, panicking()).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(String::from_utf8_lossy(&body).contains("the secret is 42"), debug);
        }
    }
}
