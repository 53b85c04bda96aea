//! Limits of requests before any endpoint: length of URL and headers, concurrent requests, rate, credentials.

use tower::service_fn;
use warp::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use warp::http::{Method, StatusCode, Version};
use warp::hyper::body::Body;
use warp::reply::Response;

use super::{Asked, Within, origin};
use crate::app::scale::Weight;
use crate::error::{Code, Error};
use crate::http::answer::{empty, refuse};
use crate::http::context::Context;
use crate::http::headers::PREFERENCE_APPLIED;
use crate::http::paced::{PART, UNCOUNTED};
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
                Ok(_share) => {
                    let version = asked.request.version();
                    counted(&context, version, within.answer(asked).await)
                }
                Err(error) => refuse(&context, &error),
            };
            // What is refused before it counts as its user's counts against its address.
            if is_refusal(&context, answered.status())
                && let Err(error) = context.within_rate(None)
            {
                return Ok(refuse(&context, &error));
            }
            Ok(answered)
        }
    })
}

/// Returns whether an answer refuses what counts towards the rate.
fn is_refusal(context: &Context, status: StatusCode) -> bool {
    let is_about_data = paths::is_about_data(context.path_within());
    status == StatusCode::UNAUTHORIZED || (status.is_client_error() && is_about_data)
}

/// Counts an answer that doesn't count yet, if its client may leave much unread: a short one of HTTP/2, of
/// which a connection may have many, or the document that a write returns. Beyond the limit a read is
/// refused; a write, which is done already, returns no document.
fn counted(context: &Context, version: Version, mut answered: Response) -> Response {
    let uncounted = if version == Version::HTTP_2 { UNCOUNTED } else { PART } as u64;
    let length = answered.body().size_hint().exact().unwrap_or_default();
    if length <= uncounted || answered.extensions().get::<Weight>().is_some() {
        return answered;
    }
    match context.app().weigh(length, context.client().into()) {
        Ok(weight) => {
            answered.extensions_mut().insert(weight);
            answered
        }
        Err(error) if context.method().is_safe() => refuse(context, &error),
        Err(_) if answered.headers().contains_key(ETAG) => without_document(answered),
        Err(_) => answered,
    }
}

/// Returns the answer to a write without the document.
fn without_document(answered: Response) -> Response {
    let (parts, _) = answered.into_parts();
    let mut answered = empty(parts.status);
    *answered.headers_mut() = parts.headers;
    *answered.extensions_mut() = parts.extensions;
    for told in [CONTENT_TYPE, CONTENT_LENGTH, PREFERENCE_APPLIED] {
        answered.headers_mut().remove(told);
    }
    if answered.status() == StatusCode::OK {
        *answered.status_mut() = StatusCode::NO_CONTENT;
    }
    answered
}

/// Checks a request, and takes its share of concurrent requests if it is about data.
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
    // Requests with credentials are counted once those have been verified, or the request is refused. Nobody
    // verifies those of a preflight.
    let is_preflight = context.method() == Method::OPTIONS;
    if app.settings().auth == Auth::None || !headers.contains_key(AUTHORIZATION) || is_preflight {
        context.within_rate(None)?;
    }
    // A preflight never has credentials, and those of a ticket are known when it is spent.
    let needs_credentials = !is_preflight && context.ticket().is_none();
    if app.settings().auth == Auth::Database && needs_credentials {
        context.credentials()?;
    }
    Ok(Some(app.request(context.client())?))
}
