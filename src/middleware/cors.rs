//! CORS headers: they tell browsers which pages' scripts may use the service.
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

use crate::http::context::Context;
use crate::http::headers::{READ_BY_PAGES, SENT_BY_PAGES};
use crate::settings::Cors;

/// The time for which a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

impl Cors {
    /// Adds headers that tell the browser what the page may do.
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

    /// Returns the origins that may see the answer, if the asker's is among them.
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

/// Returns whether a browser asks in advance what a page's request may do (a preflight).
fn is_preflight(asker: &Context) -> bool {
    asker.method() == Method::OPTIONS && asker.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
