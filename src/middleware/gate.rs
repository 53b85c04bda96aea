//! What a request must keep to before any route looks at it: lengths, how many there may be, and credentials.

use warp::http::Method;
use warp::{Filter, Rejection, reject};

use super::origin;
use crate::app::App;
use crate::error::Error;
use crate::http::credentials::credentials;
use crate::http::head::{Head, head};
use crate::http::paths;
use crate::settings::Auth;
use crate::shares::Share;

/// The paths that requests about data start with. The others tell of the service itself: they need no
/// credentials, and answer even when it is busy.
const DATA: &str = "/tables";

/// Leave to be answered, for as long as it is held.
pub(crate) struct Pass {
    _share: Option<Share>,
}

/// Passes only requests that keep to the limits.
pub(crate) fn gate(app: &App) -> impl Filter<Extract = (Pass,), Error = Rejection> + Clone + use<> {
    let app = app.clone();
    head().and_then(move |head: Head| std::future::ready(pass(&app, &head).map_err(reject::custom)))
}

fn pass(app: &App, head: &Head) -> Result<Pass, Error> {
    let (limits, headers) = (app.limits(), head.headers());
    if head.uri_len() as u64 > limits.url {
        return Err(Error::UriTooLong { limit: limits.url });
    }
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if length as u64 > limits.headers {
        return Err(Error::HeadersTooLarge { limit: limits.headers });
    }
    paths::check(head.path())?;
    origin::check(app.settings(), head)?;
    if !head.path().starts_with(DATA) {
        return Ok(Pass { _share: None });
    }
    // A browser asks what it may do before it has credentials to show.
    if app.settings().auth == Auth::Database && head.method() != Method::OPTIONS {
        credentials(headers)?;
    }
    let share = app.request(head.client())?;
    Ok(Pass { _share: Some(share) })
}
