//! Checks of `Origin` and `Host` for requests without credentials.
//!
//! With `auth = "none"`, everybody who can reach the service may use it, and a browser can reach it on behalf
//! of any page. It sends form-like requests to any origin without a preflight (CSRF). And if the name of a
//! page is made to resolve to this machine, the browser takes the service for the page's own origin (DNS
//! rebinding). Foreign pages show in `Origin` ([Fetch, 3.2](https://fetch.spec.whatwg.org/#origin-header)),
//! foreign names in `Host`.

use warp::http::header::{HeaderValue, ORIGIN};

use crate::error::{Code, Error};
use crate::http::context::Context;
use crate::settings::{Auth, Cors, Settings};

/// Refuses requests of foreign pages and for foreign hosts, unless the service requires credentials.
pub(crate) fn check(settings: &Settings, context: &Context) -> Result<(), Error> {
    if settings.auth != Auth::None {
        return Ok(());
    }
    if !context.hosts().all(|host| settings.hosts.has(host)) {
        return Err(Error::from(Code::ForeignHost));
    }
    // Reads are harmless: without CORS headers, the browser keeps the answer from the page.
    match context.headers().get(ORIGIN) {
        Some(origin) if !context.method().is_safe() && !may_write(settings, origin, context) => {
            Err(Error::from(Code::ForeignOrigin))
        }
        _ => Ok(()),
    }
}

/// Returns whether a page of this origin may write: it is the service's own, or `cors` allows it.
fn may_write(settings: &Settings, origin: &HeaderValue, context: &Context) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let own = origin.split_once("://").map(|(_, host)| host);
    own.is_some_and(|own| context.hosts().any(|host| host.eq_ignore_ascii_case(own)))
        || match &settings.cors {
            Cors::Off => false,
            Cors::Any => true,
            Cors::List(origins) => origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
        }
}

#[cfg(test)]
mod tests {
    use warp::http::Request;

    use super::*;
    use crate::app::App;
    use crate::database::Database;
    use crate::settings::{Named, Rdb};

    fn asked(settings: &Settings, method: &str, host: &str, origin: &str) -> &'static str {
        let mut request = Request::builder().method(method).uri("/tables").header("host", host);
        if !origin.is_empty() {
            request = request.header("origin", origin);
        }
        let app = App::new(settings.clone(), Database::new(Rdb::default()).unwrap());
        let context = Context::new(&app, &request.body(()).unwrap(), |_| None);
        check(settings, &context).map_or_else(|error| error.code().as_str(), |()| "ok")
    }

    #[test]
    fn pages_of_others_may_not_write() {
        let settings = Settings::default();
        for (method, host, origin, expected) in [
            ("POST", "localhost:8000", "", "ok"),
            ("POST", "localhost:8000", "http://localhost:8000", "ok"),
            ("POST", "localhost:8000", "http://localhost:3000", "foreign-origin"),
            ("DELETE", "127.0.0.1", "https://evil.example", "foreign-origin"),
            ("POST", "127.0.0.1", "null", "foreign-origin"),
            ("GET", "127.0.0.1", "https://evil.example", "ok"),
            ("OPTIONS", "127.0.0.1", "https://evil.example", "ok"),
            ("GET", "evil.example", "", "foreign-host"),
            ("GET", "127.0.0.1.evil.example:8000", "", "foreign-host"),
            ("GET", "[::1]:8000", "", "ok"),
            ("GET", "", "", "ok"),
            ("GET", "warp-reql:8000", "", "ok"),
            ("GET", "LocalHost.", "", "ok"),
        ] {
            assert_eq!(asked(&settings, method, host, origin), expected, "{method} {host} {origin}");
        }
    }

    #[test]
    fn settings_let_more_in() {
        let cors = "https://a.example".parse().unwrap();
        let hosts: Named = "box.example, api.example".parse().unwrap();
        let settings = Settings { cors, hosts, ..Settings::default() };
        assert_eq!(asked(&settings, "POST", "box.example:80", "https://a.example"), "ok");
        assert_eq!(asked(&settings, "POST", "api.example", "https://b.example"), "foreign-origin");
        assert_eq!(asked(&settings, "POST", "other.example", ""), "foreign-host");
        let settings = Settings { cors: Cors::Any, hosts: Named::Any, ..Settings::default() };
        assert_eq!(asked(&settings, "POST", "other", "https://b.example"), "ok");
        let settings = Settings { auth: Auth::Database, ..Settings::default() };
        assert_eq!(asked(&settings, "POST", "other", "https://b.example"), "ok");
    }
}
