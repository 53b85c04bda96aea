//! Limits of requests before any endpoint: length of URL and headers, concurrent requests, rate, credentials.

use tower::service_fn;
use warp::http::header::AUTHORIZATION;
use warp::http::{Method, StatusCode};

use super::{Asked, Within, origin};
use crate::error::{Code, Error};
use crate::http::answer::refuse;
use crate::http::context::Context;
use crate::http::paths;
use crate::settings::Auth;
use crate::shares::Share;

/// Refuses requests that exceed the limits.
pub(crate) fn limited<B: Send + 'static>(within: impl Within<B>) -> impl Within<B> {
    service_fn(move |asked: Asked<B>| {
        let within = within.clone();
        async move {
            let context = asked.context.clone();
            let answered = match pass(&context) {
                // The share is returned once the answer is made.
                Ok(_share) => within.answer(asked).await,
                Err(error) => refuse(&context, &error),
            };
            // A request with wrong credentials counts against its address.
            Ok(match answered.status() {
                StatusCode::UNAUTHORIZED => match context.within_rate(None) {
                    Ok(()) => answered,
                    Err(error) => refuse(&context, &error),
                },
                _ => answered,
            })
        }
    })
}

/// Checks a request, and takes its share of concurrent requests.
fn pass(context: &Context) -> Result<Option<Share>, Error> {
    let (app, headers) = (context.app(), context.headers());
    let limits = app.limits();
    if context.uri_len() as u64 > limits.url {
        return Err(Error::beyond(Code::UrlTooLong, limits.url));
    }
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if length as u64 > limits.headers {
        return Err(Error::beyond(Code::HeadersTooLarge, limits.headers));
    }
    paths::check(context.path())?;
    origin::check(app.settings(), context)?;
    if !paths::is_about_data(context.path_within()) {
        return Ok(None);
    }
    // Requests with credentials are counted once those have been verified.
    if app.settings().auth == Auth::None || !headers.contains_key(AUTHORIZATION) {
        context.within_rate(None)?;
    }
    // A preflight never has credentials, and those of a ticket are known when it is spent.
    let needs_credentials = context.method() != Method::OPTIONS && context.ticket().is_none();
    if app.settings().auth == Auth::Database && needs_credentials {
        context.credentials()?;
    }
    Ok(Some(app.request(context.client())?))
}
