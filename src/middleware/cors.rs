//! CORS headers, by which browsers decide which pages may use the service.
//!
//! Browsers enforce CORS; the service answers every request. Permissions are the same for all paths, so a
//! preflight is handled like any other `OPTIONS`, with more headers in the answer.

use warp::http::Method;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderValue,
    ORIGIN, VARY,
};
use warp::reply::Response;

use crate::http::context::Context;
use crate::http::headers::{READ_BY_PAGES, SENT_BY_PAGES};
use crate::settings::Cors;

/// The time for which a browser may cache the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

impl Cors {
    /// Adds the CORS headers to a response.
    pub(crate) fn allow(&self, asker: &Context, response: &mut Response) {
        let Some(allowed) = self.origin(asker.headers().get(ORIGIN), response) else { return };
        let methods = response.headers().get(ALLOW).cloned();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if !is_preflight(asker) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ_BY_PAGES.clone());
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT_BY_PAGES.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        if let Some(methods) = methods {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
    }

    /// Returns the value of `Access-Control-Allow-Origin`, if the request's origin is allowed.
    fn origin(&self, asker: Option<&HeaderValue>, response: &mut Response) -> Option<HeaderValue> {
        match self {
            Cors::Off => None,
            // Whoever asks, since a cache may hand the answer to a page of any origin.
            Cors::Any => Some(HeaderValue::from_static("*")),
            Cors::List(origins) => {
                response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
                asker
                    .filter(|asker| origins.iter().any(|origin| origin.as_bytes() == asker.as_bytes()))
                    .cloned()
            }
        }
    }
}

/// Returns whether the request is a preflight.
fn is_preflight(asker: &Context) -> bool {
    asker.method() == Method::OPTIONS && asker.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
