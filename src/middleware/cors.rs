//! CORS: which pages' scripts may use the service, told to their browsers.
//!
//! The browser enforces it; a request is answered whoever it comes from. What a page may do is the same on
//! all paths, so a preflight is an `OPTIONS` like any other, with more headers in its answer.

use warp::http::Method;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderValue,
    ORIGIN, VARY,
};
use warp::reply::Response;

use crate::http::head::Head;
use crate::settings::Cors;

/// The headers of requests that mean something to the service, and those that libraries and browsers' tools
/// send on their own account, which mean nothing to it.
const REQUEST_HEADERS: &str = "accept, accept-language, authorization, baggage, cache-control, content-language, content-type, \
    dnt, expires, idempotency-key, if-match, if-modified-since, if-none-match, last-event-id, pragma, prefer, priority, range, \
    sentry-trace, traceparent, tracestate, user-agent, x-requested-with, x-request-id";
/// The headers of answers that a script may see, beside those that every script may.
const RESPONSE_HEADERS: &str = "accept-patch, allow, db-connection, etag, idempotency-replayed, link, location, \
    preference-applied, retry-after, server-timing, www-authenticate, x-request-id, x-total-count";
/// For how long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

impl Cors {
    /// Tells the browser what the page may do that asks.
    pub(crate) fn allow(&self, asker: &Head, response: &mut Response) {
        let Some(allowed) = self.origin(asker.headers().get(ORIGIN), response) else { return };
        let methods = response.headers().get(ALLOW).cloned();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if !is_preflight(asker) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        if let Some(methods) = methods {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
    }

    /// The origins that may see the answer, if the asker's is among them.
    fn origin(&self, asker: Option<&HeaderValue>, response: &mut Response) -> Option<HeaderValue> {
        match self {
            Cors::Off => None,
            Cors::Any => asker.map(|_| HeaderValue::from_static("*")),
            Cors::List(origins) => {
                response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
                asker
                    .filter(|asker| origins.iter().any(|origin| origin.as_bytes() == asker.as_bytes()))
                    .cloned()
            }
        }
    }
}

/// Whether a browser asks what a request of the page's would be allowed.
fn is_preflight(asker: &Head) -> bool {
    asker.method() == Method::OPTIONS && asker.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
