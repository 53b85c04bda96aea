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
    is_own(settings, origin, context)
        || match &settings.cors {
            Cors::Off => false,
            Cors::Any => true,
            Cors::List(origins) => origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
        }
}

/// Returns whether an origin is that of the service. A page of `http://` isn't, if the service itself speaks
/// TLS; behind a proxy, the service doesn't know the scheme, and takes either.
fn is_own(settings: &Settings, origin: &str, context: &Context) -> bool {
    let Some((scheme, own)) = origin.split_once("://") else { return false };
    // Unix sockets, whose clients have no address, are without TLS.
    let is_safe = settings.tls.is_on() && settings.trusted_proxies.is_empty() && context.client().is_some();
    (!is_safe || scheme.eq_ignore_ascii_case("https"))
        && context.hosts().any(|host| host.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use warp::http::Request;

    use super::*;
    use crate::app::App;
    use crate::database::Database;
    use crate::http::client::Peer;
    use crate::settings::{Named, Rdb, Tls};

    fn asked(settings: &Settings, method: &str, host: &str, origin: &str) -> &'static str {
        let mut request = Request::builder().method(method).uri("/tables").header("host", host);
        if !origin.is_empty() {
            request = request.header("origin", origin);
        }
        let app = App::new(settings.clone(), Database::new(Rdb::default()).unwrap());
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(Peer::Address(Ipv4Addr::LOCALHOST.into()));
        let context = Context::new(&app, &request, |_| None);
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
    fn a_page_without_tls_is_another_one() {
        let plain = Settings::default();
        let tls = Tls { cert: "cert.pem".into(), ..Tls::default() };
        let safe = Settings { tls, ..Settings::default() };
        let proxied = Settings { trusted_proxies: "127.0.0.1".parse().unwrap(), ..safe.clone() };
        let (http, https) = ("http://localhost", "https://localhost");
        for (settings, origin, expected) in [
            (&plain, http, "ok"),
            (&plain, https, "ok"),
            (&safe, http, "foreign-origin"),
            (&safe, https, "ok"),
            (&safe, "HTTPS://LocalHost", "ok"),
            (&proxied, http, "ok"),
        ] {
            assert_eq!(asked(settings, "POST", "localhost", origin), expected, "{origin}");
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
