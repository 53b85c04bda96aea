//! Validation of the host of a request (RFC 9112, section 3.2).

use tower::service_fn;
use warp::http::header::HOST;
use warp::http::uri::Authority;
use warp::http::{HeaderMap, Version};

use super::{Asked, Within};
use crate::error::Error;
use crate::http::answer::refuse;

/// Refuses requests with no host, with several, or with an invalid one.
pub(crate) fn named<B: Send + 'static>(within: impl Within<B>) -> impl Within<B> {
    service_fn(move |asked: Asked<B>| {
        let within = within.clone();
        async move {
            if names_its_host(asked.request.headers(), asked.request.version()) {
                return Ok(within.answer(asked).await);
            }
            let reason = "A request of HTTP/1.1 has the header `Host`, once, and no request has a wrong one.";
            Ok(refuse(&asked.context, &Error::bad_request(reason.to_owned())))
        }
    })
}

fn names_its_host(headers: &HeaderMap, version: Version) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version != Version::HTTP_11,
        // An empty header is right for a URI without a host.
        (Some(host), None) => {
            let is_host = !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok();
            host.is_empty() || is_host
        }
        (Some(_), Some(_)) => false,
    }
}
